/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A KMS in the process, for unit tests of the layers above kms.h: keys with states, a count of
 * calls, and faults to order. It encrypts nothing: a blob shows its plaintext to whoever looks.
 *
 * 	struct fake_kms fake;
 *
 * 	fake_kms_init(&fake, "aws");
 * 	fake_kms_add(&fake, FAKE_ARN("1"), "alias/root");
 * 	kms_clients_replace(clients, "aws", &fake.client);
 */
#pragma once

#include "kms/kms.h"

#include <pthread.h>

#define FAKE_ARN(id) "arn:aws:kms:us-west-2:111122223333:key/" id

enum fake_kms_call {
	FAKE_DESCRIBE,
	FAKE_ENCRYPT,
	FAKE_DECRYPT,
	FAKE_GENERATE,
	FAKE_RE_ENCRYPT,
	FAKE_LAST_USAGE,
	FAKE_SET_STATE,
	FAKE_CREATE,
	FAKE_CALL_COUNT
};

enum { FAKE_KEYS_MAX = 40 };

struct fake_kms_key {
	char arn[256];
	char name[128]; /* another name: "alias/root", "local:NAME"; may be empty */
	enum kms_key_state state;
	int64_t deletion_ms; /* until when it says that it is pending deletion */
	bool encrypts;
	int64_t used_ms;	 /* when it says that it was used last */
	enum kms_status refusal; /* KMS_DENIED …: what every use of the key answers; 0: by state */
};

struct fake_kms {
	struct kms_client client;
	pthread_mutex_t mutex; /* guards all below */
	const char *provider;
	struct fake_kms_key keys[FAKE_KEYS_MAX];
	size_t key_count;
	bool create_registered;		 /* as the last create call passed it */
	unsigned calls[FAKE_CALL_COUNT]; /* also those that failed */
	/* Faults: the next `fail_count` calls of a kind answer `fail_status`. */
	enum kms_status fail_status[FAKE_CALL_COUNT];
	unsigned fail_count[FAKE_CALL_COUNT];
	unsigned delay_ms; /* of every call, spent without the mutex */
	size_t cut_to;	   /* nonzero: plaintexts come back with at most so many bytes */
	bool flip;	   /* plaintexts come back with a bit turned */
	char remark[KMS_REMARK_MAX + 1]; /* of the last decrypt with a report */
	/* Called at the begin of each call, without the mutex; may call the fake's functions. */
	void (*on_call)(void *state, enum fake_kms_call call);
	void *on_call_state;
};

/* Zeroes it; no keys. `provider` is borrowed. Key names: if it is "local", those of docs/format-
 * local-kms.md. Nothing needs freeing; client.operations->free does nothing. */
void fake_kms_init(struct fake_kms *fake, const char *provider);
/* An enabled key, or the one that has this ARN already. `name` may be NULL. */
struct fake_kms_key *fake_kms_add(struct fake_kms *fake, const char *arn, const char *name);
void fake_kms_set(struct fake_kms *fake, const char *arn, enum kms_key_state state,
		  enum kms_status refusal);
void fake_kms_used(struct fake_kms *fake, const char *arn, int64_t used_ms);
/* The next `count` calls of the kind fail. */
void fake_kms_fail(struct fake_kms *fake, enum fake_kms_call call, enum kms_status status,
		   unsigned count);
unsigned fake_kms_calls(struct fake_kms *fake, enum fake_kms_call call);
