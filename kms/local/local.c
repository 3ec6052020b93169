/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded KMS as a client: which key, in which state, may do what. It answers with the error
 * types of AWS KMS, so that nothing above it can tell the difference.
 */
#include "kms/local/local.h"

#include "base/arn.h"
#include "base/free.h"
#include "base/lock.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "kms/context.h"
#include "kms/local/blob.h"
#include "kms/local/file.h"
#include "kms/local/names.h"
#include "net/answer.h"

#include <stdio.h>
#include <stdlib.h>

enum { DATA_KEY = 32, DELETION_DAYS = 30 };

struct local_client {
	struct kms_client client;
	pthread_mutex_t lock; /* of the file's state in memory; not while waiting for its lock */
	struct local_file file;
	const struct clock *clock;
};

static struct local_client *own(struct kms_client *client)
{
	return (struct local_client *)client;
}

static int64_t now_ms(const struct local_client *local)
{
	return local->clock->realtime_ms(local->clock->state);
}

static bool is_gone(const struct local_key *key, int64_t now)
{
	return key->state == KMS_KEY_PENDING_DELETION && key->deletion_ms <= now;
}

/* "local:NAME", not the id or ARN that a key has once it is made. */
static bool is_new_name(const char *key)
{
	struct bytes name = local_label(key);

	return local_name_valid(name) && !uuid_valid(name);
}

/* Says which file was searched, and which of its keys may be meant. The caller's refusal names the
 * key that is asked for. A missing file is no reason to say that a key does not exist. */
static enum kms_status not_found(const struct local_client *local, const char *key,
				 struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer near = {0};
	const struct local_keys *keys = &local->file.keys;
	bool named = is_new_name(key);

	if (local->file.missing)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"the file of the embedded KMS is missing: %s; restore it from a "
				"backup, or %s",
				local->file.path,
				named ? "make a first key: cmek key create"
				      : "copy it from the host that made the key");
	if (named && local_keys_near(keys, key, &near))
		return kms_fail(KMS_NOT_FOUND, report, "NotFoundException",
				"it is not in %s; name %s, or make it: cmek key create",
				local->file.path, buffer_text(&near));
	return kms_fail(KMS_NOT_FOUND, report, "NotFoundException",
			"it is not in %s, which has %zu key%s; %s", local->file.path, keys->count,
			keys->count == 1 ? "" : "s",
			named ? "to make it: cmek key create"
			      : "if another host made it, copy its local.keys");
}

/* The key as the file has it now; the lock is held. */
static enum kms_status find_key(struct local_client *local, const char *key,
				struct kms_report *report, const struct local_key **ret_key)
{
	const struct local_key *found;

	TRY(local_file_refresh(&local->file, report));
	found = local_keys_find(&local->file.keys, key);
	if (found == NULL || is_gone(found, now_ms(local)))
		return not_found(local, key, report);
	*ret_key = found;
	return KMS_OK;
}

static enum kms_status find_usable(struct local_client *local, const char *key,
				   struct kms_report *report, const struct local_key **ret_key)
{
	char arn[KMS_ARN_MAX + 1];

	TRY(find_key(local, key, report, ret_key));
	local_key_arn(*ret_key, arn);
	if ((*ret_key)->state == KMS_KEY_DISABLED)
		return kms_fail(KMS_DISABLED, report, "DisabledException", "%s is disabled.", arn);
	if ((*ret_key)->state != KMS_KEY_ENABLED)
		return kms_fail(KMS_PENDING_DELETION, report, "KMSInvalidStateException",
				"%s is pending deletion.", arn);
	return KMS_OK;
}

static enum kms_status local_describe(struct kms_client *client, const char *key,
				      struct kms_report *report, struct kms_key *ret_key)
{
	struct local_client *local = own(client);
	pthread_mutex_t *lock AUTO(unlockp) = locked(&local->lock);
	const struct local_key *found;
	struct kms_key answer = {.provider = "local", .region = "local", .encrypts = true};

	TRY(find_key(local, key, report, &found));
	local_key_arn(found, answer.arn);
	answer.state = found->state;
	answer.deletion_ms = found->deletion_ms;
	*ret_key = answer;
	return KMS_OK;
}

static enum kms_status local_encrypt(struct kms_client *client, const char *key,
				     struct bytes plaintext, const struct kms_context *context,
				     struct kms_report *report, struct buffer *ret_blob)
{
	struct local_client *local = own(client);
	pthread_mutex_t *lock AUTO(unlockp) = locked(&local->lock);
	const struct local_key *found;

	TRY(check_plaintext(plaintext, report));
	TRY(find_usable(local, key, report, &found));
	return local_seal(found, plaintext, context, report, ret_blob);
}

static enum kms_status local_decrypt(struct kms_client *client, const char *key, struct bytes blob,
				     const struct kms_context *context, struct kms_report *report,
				     struct buffer *ret_plaintext)
{
	struct local_client *local = own(client);
	pthread_mutex_t *lock AUTO(unlockp) = locked(&local->lock);
	const struct local_key *found;

	TRY(check_blob(blob, report));
	TRY(find_usable(local, key, report, &found));
	return local_open(found, blob, context, report, ret_plaintext);
}

static enum kms_status local_generate_data_key(struct kms_client *client, const char *key,
					       const struct kms_context *context,
					       struct kms_report *report,
					       struct buffer *ret_plaintext,
					       struct buffer *ret_blob)
{
	uint8_t *data_key AUTO(secret_freep) = secret_new(DATA_KEY);
	AUTO(buffer_clear) struct buffer blob = {0};

	if (data_key == NULL || !crypto_random(data_key, DATA_KEY))
		return KMS_NO_MEMORY;
	TRY(local_encrypt(client, key, bytes(data_key, DATA_KEY), context, report, &blob));
	buffer_append(ret_plaintext, bytes(data_key, DATA_KEY));
	buffer_append(ret_blob, buffer_bytes(&blob));
	return ret_plaintext->failed || ret_blob->failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status local_re_encrypt(struct kms_client *client, const char *key,
					struct bytes blob, const struct kms_context *context,
					const char *new_key, const struct kms_context *new_context,
					struct kms_report *report, struct buffer *ret_blob)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};

	TRY(local_decrypt(client, key, blob, context, report, &plaintext));
	return local_encrypt(client, new_key, buffer_bytes(&plaintext), new_context, report,
			     ret_blob);
}

struct change {
	const struct local_client *local;
	const char *key;
	enum kms_key_state state;
	bool registered; /* see kms_operations.create */
	bool *made;
	int64_t now_ms;
};

static enum kms_status refresh(struct local_client *local, struct kms_report *report)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&local->lock);

	return local_file_refresh(&local->file, report);
}

/* Threads that only use keys go on while another process changes the file. */
static enum kms_status change_file(struct local_client *local, local_change *apply,
				   const struct change *change, struct kms_report *report)
{
	int file_lock AUTO(lock_releasep) = -1;
	pthread_mutex_t *lock AUTO(unlockp) = NULL;

	TRY(refresh(local, report)); /* no lock, nor folder, where the file is out of reach */
	TRY(local_file_lock(&local->file, report, &file_lock));
	lock = locked(&local->lock);
	return local_file_change(&local->file, apply, change, report);
}

static enum kms_status apply_state(struct local_keys *keys, const void *state,
				   struct kms_report *report)
{
	const struct change *change = state;
	struct local_key *key;

	local_keys_purge(keys, change->now_ms);
	key = local_keys_find(keys, change->key);
	if (key == NULL)
		return not_found(change->local, change->key, report);
	if (change->state != KMS_KEY_PENDING_DELETION)
		key->deletion_ms = 0;
	else if (key->state != KMS_KEY_PENDING_DELETION) /* a window that runs goes on */
		key->deletion_ms = change->now_ms + DELETION_DAYS * INT64_C(86400000);
	key->state = change->state;
	return KMS_OK;
}

static enum kms_status local_set_state(struct kms_client *client, const char *key,
				       enum kms_key_state state, struct kms_report *report)
{
	struct local_client *local = own(client);
	const struct change change = {
		.local = local, .key = key, .state = state, .now_ms = now_ms(local)};

	if (state != KMS_KEY_ENABLED && state != KMS_KEY_DISABLED &&
	    state != KMS_KEY_PENDING_DELETION)
		return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
				"a key can't be put into that state");
	return change_file(local, apply_state, &change, report);
}

static enum kms_status apply_create(struct local_keys *keys, const void *state,
				    struct kms_report *report)
{
	const struct change *change = state;
	const char *name = change->key + strlen("local:");

	if (change->registered && change->local->file.missing)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"the file of the embedded KMS is missing, though keys of it are "
				"registered: %s; restore it from a backup, since new keys would "
				"not open what those encrypted",
				change->local->file.path);
	local_keys_purge(keys, change->now_ms);
	if (local_keys_find(keys, change->key) != NULL)
		return KMS_OK;
	*change->made = local_keys_add(keys, name, change->now_ms);
	return *change->made ? KMS_OK : KMS_NO_MEMORY;
}

/* Whether nothing has to be written: then the file may be read-only. */
static bool exists(struct local_client *local, const char *key)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&local->lock);
	const struct local_key *found;

	if (local_file_refresh(&local->file, NULL) != KMS_OK)
		return false;
	found = local_keys_find(&local->file.keys, key);
	return found != NULL && !is_gone(found, now_ms(local));
}

static enum kms_status local_create(struct kms_client *client, const char *key, bool registered,
				    struct kms_report *report, bool *ret_made)
{
	struct local_client *local = own(client);
	const struct change change = {.local = local,
				      .key = key,
				      .registered = registered,
				      .made = ret_made,
				      .now_ms = now_ms(local)};

	*ret_made = false;
	if (exists(local, key))
		return KMS_OK;
	if (!is_new_name(key))
		return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
				"'%s' can't be the name of a new local key: local:NAME, up to 128 "
				"of A-Z a-z 0-9 . _ / -",
				key);
	return change_file(local, apply_create, &change, report);
}

static void local_free(struct kms_client *client)
{
	struct local_client *local = own(client);

	local_file_clear(&local->file);
	pthread_mutex_destroy(&local->lock);
	free(local);
}

static const struct kms_operations local_operations = {
	.describe = local_describe,
	.encrypt = local_encrypt,
	.decrypt = local_decrypt,
	.generate_data_key = local_generate_data_key,
	.re_encrypt = local_re_encrypt,
	.set_state = local_set_state,
	.create = local_create,
	.free = local_free,
};

enum kms_status local_client_new(const char *path, const struct clock *clock,
				 struct kms_report *report, struct kms_client **ret_client)
{
	struct local_client *local;

	if (path == NULL)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"no file for local keys is configured: [local] path");
	local = calloc(1, sizeof(*local));
	if (local == NULL)
		return KMS_NO_MEMORY;
	local->client.operations = &local_operations;
	local->clock = clock;
	pthread_mutex_init(&local->lock, NULL);
	if (!local_file_init(&local->file, path)) {
		local_free(&local->client);
		return KMS_NO_MEMORY;
	}
	*ret_client = &local->client;
	return KMS_OK;
}
