/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of KMS requests and answers. */
#include "kms/aws/body.h"

#include "base/arn.h"
#include "base/encode.h"
#include "base/json_secret.h"
#include "base/macros.h"

#include <stdio.h>

void body_begin(struct buffer *body)
{
	buffer_put_u8(body, '{');
}

static void put_name(struct buffer *body, const char *name)
{
	if (body->len > 1)
		buffer_put_u8(body, ',');
	json_put_string(body, name);
	buffer_put_u8(body, ':');
}

void body_put_text(struct buffer *body, const char *name, const char *text)
{
	put_name(body, name);
	json_put_string(body, text);
}

void body_put_base64(struct buffer *body, const char *name, struct bytes value)
{
	put_name(body, name);
	buffer_put_u8(body, '"');
	base64_append(body, value);
	buffer_put_u8(body, '"');
}

void body_put_context(struct buffer *body, const char *name, const struct kms_context *context)
{
	if (context == NULL || context->count == 0)
		return;
	put_name(body, name);
	for (size_t i = 0; i < context->count; i++) {
		buffer_put_u8(body, i == 0 ? '{' : ',');
		json_put_string(body, context->pairs[i].name);
		buffer_put_u8(body, ':');
		json_put_string(body, context->pairs[i].value);
	}
	buffer_put_u8(body, '}');
}

void body_put_number(struct buffer *body, const char *name, unsigned number)
{
	put_name(body, name);
	buffer_format(body, "%u", number);
}

bool body_end(struct buffer *body)
{
	buffer_put_u8(body, '}');
	return !body->failed;
}

bool answer_read_blob(const json_t *answer, struct buffer *ret_blob)
{
	const char *text = json_string_value(json_object_get(answer, "CiphertextBlob"));
	AUTO(buffer_clear) struct buffer blob = {0};

	if (text == NULL || !base64_decode(bytes_of(text), &blob) || blob.len < 1 ||
	    blob.len > KMS_BLOB_MAX) {
		ret_blob->failed |= blob.failed;
		return false;
	}
	buffer_append(ret_blob, buffer_bytes(&blob));
	return !ret_blob->failed;
}

bool answer_names_key(const json_t *answer, const char *member, const char *asked)
{
	const char *answered = json_string_value(json_object_get(answer, member));
	struct arn a, b;
	struct bytes id;

	if (answered == NULL || !arn_parse(answered, &a) || !bytes_are(a.service, "kms"))
		return false;
	id = arn_key_id(&a);
	if (id.len == 0)
		return false;
	if (!arn_parse(asked, &b))
		return bytes_begin(bytes_of(asked), "alias/") || bytes_are(id, asked);
	return arn_key_id(&b).len == 0 || strcmp(asked, answered) == 0;
}

static const struct {
	const char *text;
	enum kms_key_state state;
} states[] = {
	{"Enabled", KMS_KEY_ENABLED},
	{"Updating", KMS_KEY_ENABLED}, /* its primary Region moves; it works meanwhile */
	{"Disabled", KMS_KEY_DISABLED},
	{"PendingDeletion", KMS_KEY_PENDING_DELETION},
	{"PendingReplicaDeletion", KMS_KEY_PENDING_DELETION},
	{"PendingImport", KMS_KEY_PENDING_IMPORT},
	{"Unavailable", KMS_KEY_UNAVAILABLE},
};

static enum kms_key_state state_of(const char *text)
{
	for (size_t i = 0; i < COUNT_OF(states); i++)
		if (strcmp(states[i].text, text) == 0)
			return states[i].state;
	return KMS_KEY_UNUSABLE;
}

static bool is(const json_t *object, const char *name, const char *text)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL && strcmp(value, text) == 0;
}

/* ARN and region. */
static bool read_arn(const json_t *meta, struct kms_key *key)
{
	const char *text = json_string_value(json_object_get(meta, "Arn"));
	struct arn arn;

	if (text == NULL || strlen(text) > KMS_ARN_MAX || !arn_parse(text, &arn) ||
	    !region_valid(arn.region))
		return false;
	strcpy(key->arn, text);
	memcpy(key->region, arn.region.data, arn.region.len);
	key->multi_region = bytes_begin(arn_key_id(&arn), "mrk-");
	return true;
}

/* A symmetric key has no other usage; emulations leave it out. */
static bool encrypts(const json_t *meta)
{
	const json_t *usage = json_object_get(meta, "KeyUsage");

	return (is(meta, "KeySpec", "SYMMETRIC_DEFAULT") ||
		is(meta, "CustomerMasterKeySpec", "SYMMETRIC_DEFAULT")) &&
	       (usage == NULL || json_is_null(usage) || is(meta, "KeyUsage", "ENCRYPT_DECRYPT"));
}

/* Seconds since 1970, perhaps with a fraction; 0: none, or none that can be. */
static int64_t moment_ms(const json_t *of, const char *name)
{
	static const double year_3000 = 32503680000;
	double seconds = json_number_value(json_object_get(of, name));

	return seconds > 0 && seconds < year_3000 ? (int64_t)(seconds * 1000) : 0;
}

bool answer_read_key(const json_t *answer, struct kms_key *ret_key)
{
	const json_t *meta = json_object_get(answer, "KeyMetadata");
	const char *state = json_string_value(json_object_get(meta, "KeyState"));
	struct kms_key key = {.provider = "aws"};

	if (state == NULL || !read_arn(meta, &key))
		return false;
	key.state = state_of(state);
	if (key.state == KMS_KEY_PENDING_DELETION)
		key.deletion_ms = moment_ms(meta, "DeletionDate");
	key.encrypts = encrypts(meta);
	*ret_key = key;
	return true;
}

bool answer_read_last_usage(const json_t *answer, struct kms_last_usage *ret_usage)
{
	const json_t *last = json_object_get(answer, "KeyLastUsage");
	const char *operation = json_string_value(json_object_get(last, "Operation"));
	struct kms_last_usage usage = {.used_ms = moment_ms(last, "Timestamp"),
				       .since_ms = moment_ms(answer, "TrackingStartDate")};

	if (usage.used_ms == 0 && usage.since_ms == 0)
		return false;
	if (usage.used_ms != 0 && operation != NULL)
		snprintf(usage.operation, sizeof(usage.operation), "%s", operation);
	*ret_usage = usage;
	return true;
}
