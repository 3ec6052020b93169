/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of the embedded KMS, as they stand in `local.keys` (docs/format-local-kms.md): in
 * memory, and as text. Knows neither files nor time.
 */
#pragma once

#include "base/buffer.h"
#include "kms/kms.h"

enum {
	LOCAL_ID = 16,
	LOCAL_ID_TEXT = 36,
	LOCAL_NAME_MAX = 128,
	LOCAL_SECRET = 32,
	LOCAL_FILE_MAX = 16 * 1024 * 1024
};

struct local_material {
	uint32_t version; /* from 1, rising */
	int64_t created_ms;
	uint8_t *secret; /* LOCAL_SECRET bytes of secret memory */
};

struct local_key {
	char id[LOCAL_ID_TEXT + 1];
	char name[LOCAL_NAME_MAX + 1];
	enum kms_key_state state; /* enabled, disabled or pending deletion */
	int64_t created_ms;
	int64_t deletion_ms; /* if pending */
	struct local_material *materials;
	size_t material_count; /* at least 1 */
};

struct local_keys {
	struct local_key *keys;
	size_t count;
};

void local_keys_clear(struct local_keys *keys);

/* By "local:NAME", "local:ID" or ARN; NULL: none. Borrowed. */
struct local_key *local_keys_find(const struct local_keys *keys, const char *key);
/* For a caller who may have mistyped "local:NAME": the keys whose names are close, appended as
 * "local:a or local:b". False: there are none. */
bool local_keys_near(const struct local_keys *keys, const char *key, struct buffer *out);
/* A new enabled key with random id and material. False: no memory or no random. */
bool local_keys_add(struct local_keys *keys, const char *name, int64_t now_ms);
/* Drops the keys whose deletion moment has passed. */
void local_keys_purge(struct local_keys *keys, int64_t now_ms);

/* "arn:local:kms:local::key/ID" */
void local_key_arn(const struct local_key *key, char ret_arn[static KMS_ARN_MAX + 1]);
void local_key_id(const struct local_key *key, uint8_t ret_id[static LOCAL_ID]);
const struct local_material *local_key_material(const struct local_key *key, uint32_t version);

/* The text of the file. Writing answers false without memory. Reading takes the secrets out of
 * `text`, which is spoilt by it. KMS_MISCONFIGURED: it is not such a file; *ret_why says in words
 * what is wrong. KMS_NO_MEMORY. */
bool local_keys_write(const struct local_keys *keys, struct buffer *out);
enum kms_status local_keys_read(struct buffer *text, struct local_keys *ret_keys,
				const char **ret_why);
