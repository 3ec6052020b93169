/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A blob is: "FAKE" | a number of its own (4) | its complement (4) | sized(ARN) |
 * sized(canonical context) | the plaintext, each byte turned by 0x5a so that a search for the
 * plaintext does not find it. */
#include "tests/support/fake_kms_client.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/reader.h"
#include "pkcs11/providers.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { MASK = 0x5a, PAIRS_MAX = 32 };

static struct fake_kms *fake_of(struct kms_client *client)
{
	return (struct fake_kms *)client;
}

/* Counts the call and answers the fault that was ordered for it. */
static enum kms_status enter(struct fake_kms *fake, enum fake_kms_call call)
{
	enum kms_status status = KMS_OK;

	if (fake->on_call != NULL)
		fake->on_call(fake->on_call_state, call);
	if (fake->delay_ms > 0)
		usleep(fake->delay_ms * 1000);
	pthread_mutex_lock(&fake->mutex);
	fake->calls[call]++;
	if (fake->fail_count[call] > 0) {
		fake->fail_count[call]--;
		status = fake->fail_status[call];
	}
	pthread_mutex_unlock(&fake->mutex);
	return status;
}

static enum kms_status fail(struct kms_report *report, enum kms_status status)
{
	if (report == NULL)
		return status;
	report->sent = true;
	snprintf(report->request_id, sizeof(report->request_id), "fake-request");
	snprintf(report->error_type, sizeof(report->error_type), "FakeException%d", (int)status);
	snprintf(report->message, sizeof(report->message), "the fake KMS says: %s",
		 kms_status_text(status));
	return status;
}

/* By ARN, name, or the part after the last '/' of the ARN. */
static struct fake_kms_key *find(struct fake_kms *fake, const char *name)
{
	for (size_t i = 0; i < fake->key_count; i++) {
		struct fake_kms_key *key = &fake->keys[i];
		const char *id = strrchr(key->arn, '/');

		if (strcmp(key->arn, name) == 0 || strcmp(key->name, name) == 0 ||
		    (id != NULL && strcmp(id + 1, name) == 0))
			return key;
	}
	return NULL;
}

static enum kms_status find_usable(struct fake_kms *fake, const char *name,
				   struct fake_kms_key **ret_key)
{
	struct fake_kms_key *key = find(fake, name);

	static const enum kms_status refusals[] = {
		[KMS_KEY_DISABLED] = KMS_DISABLED,
		[KMS_KEY_PENDING_DELETION] = KMS_PENDING_DELETION,
		[KMS_KEY_PENDING_IMPORT] = KMS_PENDING_IMPORT,
		[KMS_KEY_UNAVAILABLE] = KMS_KEY_STORE_UNAVAILABLE,
		[KMS_KEY_UNUSABLE] = KMS_INVALID_STATE,
	};

	if (key == NULL)
		return KMS_NOT_FOUND;
	if (key->refusal != KMS_OK)
		return key->refusal;
	if (key->state != KMS_KEY_ENABLED)
		return refusals[key->state];
	if (!key->encrypts)
		return KMS_INVALID_KEY_USAGE;
	*ret_key = key;
	return KMS_OK;
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const struct kms_pair *)a)->name, ((const struct kms_pair *)b)->name);
}

static void put_context(struct buffer *out, const struct kms_context *context)
{
	struct kms_pair pairs[PAIRS_MAX];
	AUTO(buffer_clear) struct buffer text = {0};
	size_t count = context == NULL ? 0 : context->count;

	if (count > PAIRS_MAX)
		abort();
	if (count > 0)
		memcpy(pairs, context->pairs, count * sizeof(*pairs));
	qsort(pairs, count, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < count; i++) {
		buffer_put_sized(&text, bytes_of(pairs[i].name));
		buffer_put_sized(&text, bytes_of(pairs[i].value));
	}
	buffer_put_sized(out, buffer_bytes(&text));
}

static void put_masked(struct buffer *out, struct bytes in)
{
	for (size_t i = 0; i < in.len; i++)
		buffer_put_u8(out, in.data[i] ^ MASK);
}

static enum kms_status seal(const struct fake_kms_key *key, struct bytes plaintext,
			    const struct kms_context *context, struct buffer *out)
{
	static atomic_uint blobs;
	uint32_t number = atomic_fetch_add(&blobs, 1);

	buffer_append(out, bytes_of("FAKE"));
	buffer_put_u32(out, number);
	buffer_put_u32(out, ~number);
	buffer_put_sized(out, bytes_of(key->arn));
	put_context(out, context);
	put_masked(out, plaintext);
	return out->failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status open_blob(struct fake_kms *fake, const struct fake_kms_key *key,
				 struct bytes blob, const struct kms_context *context,
				 struct buffer *out)
{
	struct reader reader = reader_of(blob);
	bool magic = bytes_equal(reader_take(&reader, 4), bytes_of("FAKE"));
	bool numbered = reader_u32(&reader) == ~reader_u32(&reader);
	struct bytes arn = reader_sized(&reader), bound = reader_sized(&reader);
	AUTO(buffer_clear) struct buffer expected = {0};
	AUTO(freep) char *arn_text = NULL;

	if (reader.failed || !magic || !numbered)
		return KMS_INVALID_CIPHERTEXT;
	arn_text = strndup((const char *)arn.data, arn.len);
	if (!kms_same_key(module_providers, arn_text, key->arn))
		return KMS_INCORRECT_KEY;
	put_context(&expected, context);
	if (!bytes_equal(bytes(expected.data + 2, expected.len - 2), bound))
		return KMS_INVALID_CIPHERTEXT;
	if (fake->cut_to > 0 && reader.left.len > fake->cut_to)
		reader.left.len = fake->cut_to;
	put_masked(out, reader.left);
	if (fake->flip && out->len > 0)
		out->data[out->len - 1] ^= 1;
	return out->failed ? KMS_NO_MEMORY : KMS_OK;
}

static void region_of(const char *arn, char ret_region[static KMS_REGION_MAX + 1])
{
	for (int colon = 0; colon < 3 && *arn != '\0'; arn++)
		colon += *arn == ':';
	snprintf(ret_region, KMS_REGION_MAX + 1, "%.*s", (int)strcspn(arn, ":"), arn);
}

static enum kms_status fake_describe(struct kms_client *client, const char *name,
				     struct kms_report *report, struct kms_key *ret_key)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_DESCRIBE);
	const struct fake_kms_key *key;

	if (status != KMS_OK)
		return fail(report, status);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	key = find(fake, name);
	(void)lock;
	if (key == NULL)
		return fail(report, KMS_NOT_FOUND);
	if (key->refusal != KMS_OK)
		return fail(report, key->refusal);
	memset(ret_key, 0, sizeof(*ret_key));
	snprintf(ret_key->arn, sizeof(ret_key->arn), "%s", key->arn);
	snprintf(ret_key->provider, sizeof(ret_key->provider), "%s", fake->provider);
	region_of(key->arn, ret_key->region);
	if (strcmp(fake->provider, "local") == 0)
		snprintf(ret_key->region, sizeof(ret_key->region), "local");
	ret_key->state = key->state;
	ret_key->deletion_ms = key->deletion_ms;
	ret_key->encrypts = key->encrypts;
	ret_key->multi_region = strstr(key->arn, ":key/mrk-") != NULL;
	return KMS_OK;
}

static enum kms_status fake_encrypt(struct kms_client *client, const char *name,
				    struct bytes plaintext, const struct kms_context *context,
				    struct kms_report *report, struct buffer *ret_blob)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_ENCRYPT);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = NULL;

	(void)lock;
	if (status == KMS_OK)
		status = find_usable(fake, name, &key);
	if (status == KMS_OK && (plaintext.len == 0 || plaintext.len > KMS_PLAINTEXT_MAX))
		status = KMS_INVALID_REQUEST;
	if (status == KMS_OK)
		status = seal(key, plaintext, context, ret_blob);
	return status == KMS_OK ? KMS_OK : fail(report, status);
}

static enum kms_status fake_decrypt(struct kms_client *client, const char *name, struct bytes blob,
				    const struct kms_context *context, struct kms_report *report,
				    struct buffer *ret_plaintext)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_DECRYPT);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = NULL;

	(void)lock;
	if (status == KMS_OK)
		status = find_usable(fake, name, &key);
	if (status == KMS_OK)
		status = open_blob(fake, key, blob, context, ret_plaintext);
	if (report != NULL) {
		memcpy(fake->remark, report->remark, sizeof(fake->remark));
		strcpy(report->caller.access_key_id, "AKIAFAKE");
	}
	return status == KMS_OK ? KMS_OK : fail(report, status);
}

static enum kms_status fake_generate(struct kms_client *client, const char *name,
				     const struct kms_context *context, struct kms_report *report,
				     struct buffer *ret_plaintext, struct buffer *ret_blob)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_GENERATE);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = NULL;
	uint8_t random[32];

	(void)lock;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort();
	if (status == KMS_OK)
		status = find_usable(fake, name, &key);
	if (status == KMS_OK)
		status = seal(key, bytes(random, sizeof(random)), context, ret_blob);
	if (status == KMS_OK)
		buffer_append(ret_plaintext, bytes(random, sizeof(random)));
	return status == KMS_OK ? KMS_OK : fail(report, status);
}

static enum kms_status fake_re_encrypt(struct kms_client *client, const char *name,
				       struct bytes blob, const struct kms_context *context,
				       const char *new_name, const struct kms_context *new_context,
				       struct kms_report *report, struct buffer *ret_blob)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_RE_ENCRYPT);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	AUTO(buffer_clear) struct buffer plaintext = {0};
	struct fake_kms_key *key = NULL, *new_key = NULL;

	(void)lock;
	if (status == KMS_OK)
		status = find_usable(fake, name, &key);
	if (status == KMS_OK)
		status = find_usable(fake, new_name, &new_key);
	if (status == KMS_OK)
		status = open_blob(fake, key, blob, context, &plaintext);
	if (status == KMS_OK)
		status = seal(new_key, buffer_bytes(&plaintext), new_context, ret_blob);
	return status == KMS_OK ? KMS_OK : fail(report, status);
}

static enum kms_status fake_last_usage(struct kms_client *client, const char *name,
				       struct kms_report *report, struct kms_last_usage *ret_usage)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_LAST_USAGE);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = find(fake, name);

	(void)lock;
	if (status == KMS_OK && key == NULL)
		status = KMS_NOT_FOUND;
	if (status != KMS_OK)
		return fail(report, status);
	*ret_usage = (struct kms_last_usage){.used_ms = key->used_ms, .since_ms = 1};
	return KMS_OK;
}

void fake_kms_used(struct fake_kms *fake, const char *arn, int64_t used_ms)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);

	(void)lock;
	find(fake, arn)->used_ms = used_ms;
}

static enum kms_status fake_set_state(struct kms_client *client, const char *name,
				      enum kms_key_state state, struct kms_report *report)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_SET_STATE);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = find(fake, name);

	(void)lock;
	if (status == KMS_OK && key == NULL)
		status = KMS_NOT_FOUND;
	if (status != KMS_OK)
		return fail(report, status);
	key->state = state;
	return KMS_OK;
}

/* The ARN has an id made from the name. */
static enum kms_status fake_create(struct kms_client *client, const char *name, bool registered,
				   struct kms_report *report, bool *ret_made)
{
	struct fake_kms *fake = fake_of(client);
	enum kms_status status = enter(fake, FAKE_CREATE);
	uint64_t id = 0;
	char arn[256];

	fake->create_registered = registered;
	if (status != KMS_OK)
		return fail(report, status);
	if (strncmp(name, "local:", 6) != 0 || name[6] == '\0' || strlen(name) > 100)
		return fail(report, KMS_INVALID_REQUEST);
	*ret_made = find(fake, name) == NULL;
	if (!*ret_made)
		return KMS_OK;
	for (const char *at = name; *at != '\0'; at++)
		id = id * 31 + (uint8_t)*at;
	snprintf(arn, sizeof(arn), "arn:local:kms:local::key/00000000-0000-4000-8000-%012" PRIx64,
		 id & 0xffffffffffff);
	fake_kms_add(fake, arn, name);
	return KMS_OK;
}

static void fake_free(struct kms_client *client)
{
	(void)client;
}

static const struct kms_operations operations = {
	.describe = fake_describe,
	.encrypt = fake_encrypt,
	.decrypt = fake_decrypt,
	.generate_data_key = fake_generate,
	.re_encrypt = fake_re_encrypt,
	.last_usage = fake_last_usage,
	.free = fake_free,
};

static const struct kms_operations local_operations = {
	.describe = fake_describe,
	.encrypt = fake_encrypt,
	.decrypt = fake_decrypt,
	.generate_data_key = fake_generate,
	.re_encrypt = fake_re_encrypt,
	.set_state = fake_set_state,
	.create = fake_create,
	.free = fake_free,
};

void fake_kms_init(struct fake_kms *fake, const char *provider)
{
	memset(fake, 0, sizeof(*fake));
	fake->client.operations = strcmp(provider, "local") == 0 ? &local_operations : &operations;
	fake->provider = provider;
	pthread_mutex_init(&fake->mutex, NULL);
}

struct fake_kms_key *fake_kms_add(struct fake_kms *fake, const char *arn, const char *name)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = find(fake, arn);

	(void)lock;
	if (key != NULL)
		return key;
	if (fake->key_count == FAKE_KEYS_MAX)
		abort();
	key = &fake->keys[fake->key_count++];
	snprintf(key->arn, sizeof(key->arn), "%s", arn);
	snprintf(key->name, sizeof(key->name), "%s", name == NULL ? "" : name);
	key->state = KMS_KEY_ENABLED;
	key->encrypts = true;
	return key;
}

void fake_kms_set(struct fake_kms *fake, const char *arn, enum kms_key_state state,
		  enum kms_status refusal)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);
	struct fake_kms_key *key = find(fake, arn);

	(void)lock;
	if (key == NULL)
		abort();
	key->state = state;
	key->refusal = refusal;
}

void fake_kms_fail(struct fake_kms *fake, enum fake_kms_call call, enum kms_status status,
		   unsigned count)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);

	(void)lock;
	fake->fail_status[call] = status;
	fake->fail_count[call] = count;
}

unsigned fake_kms_calls(struct fake_kms *fake, enum fake_kms_call call)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&fake->mutex);

	(void)lock;
	return fake->calls[call];
}
