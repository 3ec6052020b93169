/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of AWS KMS (AWS KMS API Reference): what each sends, and what its answer must
 * contain to be accepted.
 */
#include "kms/aws/aws.h"

#include "base/json_secret.h"
#include "base/macros.h"
#include "kms/aws/body.h"
#include "kms/aws/names.h"
#include "kms/aws/request.h"
#include "kms/context.h"
#include "net/answer.h"

enum { DATA_KEY = 32 };

static struct aws_client *own(struct kms_client *client)
{
	return (struct aws_client *)client;
}

static enum kms_status check_key(const char *key, struct kms_report *report)
{
	struct bytes region;

	if (key != NULL && strlen(key) <= KMS_ARN_MAX && aws_read_name(key, &region))
		return KMS_OK;
	return kms_fail(KMS_INVALID_REQUEST, report, "ValidationException",
			"'%s' is not the name of an AWS KMS key", key == NULL ? "" : key);
}

static enum kms_status bad_answer(struct kms_report *report, const char *operation,
				  const char *what)
{
	return kms_fail(KMS_BAD_ANSWER, report, NULL, "%s answered %s", operation, what);
}

static enum kms_status aws_describe_key(struct kms_client *client, const char *key,
					struct kms_report *report, struct kms_key *ret_key)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct kms_key found;

	TRY(check_key(key, report));
	body_begin(&body);
	body_put_text(&body, "KeyId", key);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client), &(struct aws_call){"DescribeKey", buffer_bytes(&body), NULL},
			 report, &answer, NULL));
	if (!answer_read_key(answer, &found))
		return bad_answer(report, "DescribeKey", "no key's metadata");
	if (!answer_names_key(json_object_get(answer, "KeyMetadata"), "Arn", key))
		return bad_answer(report, "DescribeKey", "for another key");
	*ret_key = found;
	return KMS_OK;
}

static enum kms_status aws_encrypt(struct kms_client *client, const char *key,
				   struct bytes plaintext, const struct kms_context *context,
				   struct kms_report *report, struct buffer *ret_blob)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;

	TRY(check_key(key, report));
	TRY(check_plaintext(plaintext, report));
	TRY(check_context(context, report));
	body_begin(&body);
	body_put_text(&body, "KeyId", key);
	body_put_base64(&body, "Plaintext", plaintext);
	body_put_context(&body, "EncryptionContext", context);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client), &(struct aws_call){"Encrypt", buffer_bytes(&body), NULL},
			 report, &answer, NULL));
	if (!answer_names_key(answer, "KeyId", key))
		return bad_answer(report, "Encrypt", "for another key");
	if (!answer_read_blob(answer, ret_blob))
		return ret_blob->failed ? KMS_NO_MEMORY
					: bad_answer(report, "Encrypt", "no ciphertext");
	return KMS_OK;
}

static enum kms_status aws_decrypt(struct kms_client *client, const char *key, struct bytes blob,
				   const struct kms_context *context, struct kms_report *report,
				   struct buffer *ret_plaintext)
{
	AUTO(buffer_clear) struct buffer body = {0}, plaintext = {0};
	AUTO(json_freep) json_t *answer = NULL;

	TRY(check_key(key, report));
	TRY(check_blob(blob, report));
	TRY(check_context(context, report));
	body_begin(&body);
	body_put_text(&body, "KeyId", key);
	body_put_base64(&body, "CiphertextBlob", blob);
	body_put_context(&body, "EncryptionContext", context);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client),
			 &(struct aws_call){"Decrypt", buffer_bytes(&body), "Plaintext"}, report,
			 &answer, &plaintext));
	if (!answer_names_key(answer, "KeyId", key))
		return bad_answer(report, "Decrypt", "for another key");
	if (plaintext.len < 1 || plaintext.len > KMS_PLAINTEXT_MAX)
		return bad_answer(report, "Decrypt", "a plaintext of impossible length");
	buffer_append(ret_plaintext, buffer_bytes(&plaintext));
	return ret_plaintext->failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status aws_generate_data_key(struct kms_client *client, const char *key,
					     const struct kms_context *context,
					     struct kms_report *report,
					     struct buffer *ret_plaintext, struct buffer *ret_blob)
{
	AUTO(buffer_clear) struct buffer body = {0}, plaintext = {0};
	AUTO(json_freep) json_t *answer = NULL;

	TRY(check_key(key, report));
	TRY(check_context(context, report));
	body_begin(&body);
	body_put_text(&body, "KeyId", key);
	body_put_number(&body, "NumberOfBytes", DATA_KEY);
	body_put_context(&body, "EncryptionContext", context);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client),
			 &(struct aws_call){"GenerateDataKey", buffer_bytes(&body), "Plaintext"},
			 report, &answer, &plaintext));
	if (!answer_names_key(answer, "KeyId", key))
		return bad_answer(report, "GenerateDataKey", "for another key");
	if (plaintext.len != DATA_KEY || !answer_read_blob(answer, ret_blob))
		return ret_blob->failed
			       ? KMS_NO_MEMORY
			       : bad_answer(report, "GenerateDataKey", "no key of 32 bytes");
	buffer_append(ret_plaintext, buffer_bytes(&plaintext));
	return ret_plaintext->failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status aws_re_encrypt(struct kms_client *client, const char *key, struct bytes blob,
				      const struct kms_context *context, const char *new_key,
				      const struct kms_context *new_context,
				      struct kms_report *report, struct buffer *ret_blob)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;

	TRY(check_key(key, report));
	TRY(check_key(new_key, report));
	TRY(check_blob(blob, report));
	TRY(check_context(context, report));
	TRY(check_context(new_context, report));
	body_begin(&body);
	body_put_text(&body, "SourceKeyId", key);
	body_put_text(&body, "DestinationKeyId", new_key);
	body_put_base64(&body, "CiphertextBlob", blob);
	body_put_context(&body, "SourceEncryptionContext", context);
	body_put_context(&body, "DestinationEncryptionContext", new_context);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client), &(struct aws_call){"ReEncrypt", buffer_bytes(&body), NULL},
			 report, &answer, NULL));
	if (!answer_names_key(answer, "SourceKeyId", key) ||
	    !answer_names_key(answer, "KeyId", new_key))
		return bad_answer(report, "ReEncrypt", "for another key");
	if (!answer_read_blob(answer, ret_blob))
		return ret_blob->failed ? KMS_NO_MEMORY
					: bad_answer(report, "ReEncrypt", "no ciphertext");
	return KMS_OK;
}

static enum kms_status aws_last_usage(struct kms_client *client, const char *key,
				      struct kms_report *report, struct kms_last_usage *ret_usage)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;

	TRY(check_key(key, report));
	body_begin(&body);
	body_put_text(&body, "KeyId", key);
	if (!body_end(&body))
		return KMS_NO_MEMORY;
	TRY(request_call(own(client),
			 &(struct aws_call){"GetKeyLastUsage", buffer_bytes(&body), NULL}, report,
			 &answer, NULL));
	if (!answer_read_last_usage(answer, ret_usage))
		return bad_answer(report, "GetKeyLastUsage", "with no usage");
	return KMS_OK;
}

const struct kms_operations aws_operations = {
	.describe = aws_describe_key,
	.encrypt = aws_encrypt,
	.decrypt = aws_decrypt,
	.generate_data_key = aws_generate_data_key,
	.re_encrypt = aws_re_encrypt,
	.last_usage = aws_last_usage,
	.free = aws_client_free,
};
