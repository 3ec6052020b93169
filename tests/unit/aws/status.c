/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the real KMS as they were recorded (tests/vectors/kms_real_answers.json): each is read
 * by the module as it has to be. */
#include "aws/status.h"
#include "base/encode.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/aws_client_fixture.h"
#include "tests/support/aws_home.h"
#include "tests/support/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define ARN   "arn:aws:kms:us-west-2:111111111111:key/8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define MULTI "arn:aws:kms:us-west-2:111111111111:key/mrk-8b1f4f0e3c5a4b7e9d580d0f6a2a9c11"
#define PLAIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* 32 bytes */
#define BLOB  "YmxvYg=="
#define ID    "3f1c3a58-93d4-4b6e-8f0f-0c8a8c1f6c55"

enum { ERRORS = 94, KEYS = 34, ANSWERS = 9 };

static json_t *vectors;

static int begin(void **state)
{
	(void)state;
	vectors = json_load_file(source_file("tests/vectors/kms_real_answers.json"), 0, NULL);
	if (vectors == NULL || !crypto_start(false) || !aws_home_make())
		return -1;
	setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return client_start();
}

static int end(void **state)
{
	(void)state;
	client_stop();
	json_decref(vectors);
	aws_home_remove();
	return 0;
}

static const json_t *rows_of(const char *name, size_t count)
{
	const json_t *rows = json_object_get(vectors, name);

	assert_int_equal(json_array_size(rows), count); /* none is left out unseen */
	return rows;
}

static const char *text(const json_t *row, const char *name)
{
	const char *value = json_string_value(json_object_get(row, name));

	assert_non_null(value);
	return value;
}

/* What each type that was recorded has to become; where one is several, by its text, the first row
 * whose words it has. */
static const struct {
	const char *type;
	enum kms_status status;
	const char *words;
} expected[] = {
	/* clang-format off */
	{ "DisabledException",             KMS_DISABLED },
	{ "KMSInvalidStateException",      KMS_PENDING_IMPORT, "is pending import" },
	{ "KMSInvalidStateException",      KMS_INVALID_STATE },
	{ "NotFoundException",             KMS_NOT_FOUND },
	{ "InvalidCiphertextException",    KMS_INVALID_CIPHERTEXT },
	{ "IncorrectKeyException",         KMS_INCORRECT_KEY },
	{ "InvalidKeyUsageException",      KMS_INVALID_KEY_USAGE },
	{ "ValidationException",           KMS_INVALID_REQUEST },
	{ "UnsupportedOperationException", KMS_UNSUPPORTED },
	{ "LimitExceededException",        KMS_LIMIT_EXCEEDED },
	/* Of operations that the module does not use; they have no row of their own. */
	{ "DryRunOperationException",      KMS_INVALID_REQUEST },
	{ "KMSInvalidMacException",        KMS_INVALID_REQUEST },
	{ "KMSInvalidSignatureException",  KMS_INVALID_REQUEST },
	{ "TagException",                  KMS_INVALID_REQUEST },
	/* clang-format on */
};

static size_t expectation(const json_t *row)
{
	for (size_t i = 0; i < COUNT_OF(expected); i++)
		if (strcmp(expected[i].type, text(row, "type")) == 0 &&
		    (expected[i].words == NULL ||
		     strstr(text(row, "message"), expected[i].words) != NULL))
			return i;
	fail_msg("%s has no row here", text(row, "type"));
	return 0;
}

/* As the service writes it; `member` is how it calls the text. */
static void put_error(const char *prefix, const json_t *row, const char *member,
		      struct http_answer *answer)
{
	json_t *body = json_pack("{s:s+}", "__type", prefix, text(row, "type"));
	char *line;

	if (text(row, "message")[0] != 0)
		json_object_set_new(body, member, json_string(text(row, "message")));
	line = json_dumps(body, JSON_COMPACT);
	http_answer_clear(answer);
	answer->status = (unsigned)json_integer_value(json_object_get(row, "http"));
	buffer_put_text(&answer->head, "HTTP/1.1 400 Bad Request\r\nx-amzn-RequestId: " ID
				       "\r\nContent-Type: application/x-amz-json-1.1\r\n\r\n");
	buffer_put_text(&answer->body, line);
	free(line);
	json_decref(body);
}

static void check_error(const json_t *row, const struct http_answer *answer)
{
	const char *message = text(row, "message");
	struct kms_report report = {0};
	struct status_rule rule = status_judge(HTTP_ANSWERED, answer, &report);

	if (rule.status != expected[expectation(row)].status)
		fail_msg("%s: %s", text(row, "from"), kms_status_text(rule.status));
	assert_int_equal(rule.retry, RETRY_NO);
	assert_string_equal(report.error_type, text(row, "type"));
	assert_string_equal(report.request_id, ID);
	if (message[0] == 0)
		assert_string_equal(report.message, "AWS gives no details");
	else
		assert_true(strncmp(report.message, message, sizeof(report.message) - 1) == 0);
}

static void every_recorded_refusal_has_its_status_its_words_and_its_request_id(void **state)
{
	static const char *const prefixes[] = {"", "com.amazonaws.kms#"};
	static const char *const members[] = {"message", "Message"};
	AUTO(http_answer_clear) struct http_answer answer = {0};
	bool used[COUNT_OF(expected)] = {false};
	const json_t *row;
	size_t i;

	(void)state;
	json_array_foreach(rows_of("errors", ERRORS), i, row)
	{
		used[expectation(row)] = true;
		for (size_t k = 0; k < COUNT_OF(prefixes); k++) {
			put_error(prefixes[k], row, members[k], &answer);
			check_error(row, &answer);
		}
	}
	for (i = 0; i < COUNT_OF(expected); i++)
		assert_true(used[i]);
}

static enum kms_key_state state_of(const char *name)
{
	if (strcmp(name, "Enabled") == 0)
		return KMS_KEY_ENABLED;
	if (strcmp(name, "PendingImport") == 0)
		return KMS_KEY_PENDING_IMPORT;
	assert_string_equal(name, "Creating");
	return KMS_KEY_UNUSABLE;
}

static void script(struct fake_reply *reply, char *body)
{
	*reply = (struct fake_reply){HTTP_ANSWERED, 200, "x-amzn-RequestId: " ID "\r\n", body};
	fake_http_script(&http, reply, 1);
}

/* Every key is described under its own ARN. */
static void check_key(const json_t *row)
{
	const json_t *recorded = json_object_get(row, "metadata");
	bool multi = json_is_true(json_object_get(recorded, "MultiRegion"));
	const char *arn = multi ? MULTI : ARN;
	json_t *metadata = json_deep_copy(recorded), *body;
	struct kms_report report = {0};
	struct fake_reply reply;
	struct kms_key key;
	char *line;

	json_object_set_new(metadata, "Arn", json_string(arn));
	json_object_set_new(metadata, "KeyId", json_string(strchr(arn, '/') + 1));
	json_object_set_new(metadata, "CreationDate", json_real(1764000000.123));
	body = json_pack("{s:o}", "KeyMetadata", metadata);
	line = json_dumps(body, JSON_COMPACT);
	script(&reply, line);
	assert_int_equal(kms->operations->describe(kms, arn, &report, &key), KMS_OK);
	assert_string_equal(key.arn, arn);
	assert_string_equal(key.region, "us-west-2");
	assert_int_equal(key.multi_region, multi);
	assert_int_equal(key.state, state_of(text(recorded, "KeyState")));
	assert_int_equal(key.encrypts, strcmp(text(recorded, "KeySpec"), "SYMMETRIC_DEFAULT") == 0);
	assert_string_equal(report.request_id, ID);
	free(line);
	json_decref(body);
}

static void every_recorded_key_is_described_as_it_was(void **state)
{
	const json_t *row;
	size_t i;

	(void)state;
	json_array_foreach(rows_of("keys", KEYS), i, row) check_key(row);
}

static enum kms_status encrypt(struct buffer *plaintext, struct buffer *blob)
{
	(void)plaintext;
	return kms->operations->encrypt(kms, ARN, bytes_of("x"), NULL, NULL, blob);
}

static enum kms_status decrypt(struct buffer *plaintext, struct buffer *blob)
{
	(void)blob;
	return kms->operations->decrypt(kms, ARN, bytes_of("blob"), NULL, NULL, plaintext);
}

static enum kms_status generate(struct buffer *plaintext, struct buffer *blob)
{
	return kms->operations->generate_data_key(kms, ARN, NULL, NULL, plaintext, blob);
}

static enum kms_status re_encrypt(struct buffer *plaintext, struct buffer *blob)
{
	(void)plaintext;
	return kms->operations->re_encrypt(kms, ARN, bytes_of("blob"), NULL, ARN, NULL, NULL, blob);
}

/* The operations that were recorded, and what of their answers the module hands on. */
static const struct operation {
	const char *name;
	enum kms_status (*run)(struct buffer *plaintext, struct buffer *blob);
	bool plaintext, blob;
} operations[] = {
	{"Encrypt", encrypt, false, true},
	{"Decrypt", decrypt, true, false},
	{"GenerateDataKey", generate, true, true},
	{"ReEncrypt", re_encrypt, false, true},
	{"GenerateDataKeyWithoutPlaintext", NULL, false,
	 false}, /* which the module never asks for */
};

static const struct operation *operation_of(const json_t *row)
{
	for (size_t i = 0; i < COUNT_OF(operations); i++)
		if (strcmp(operations[i].name, text(row, "operation")) == 0)
			return &operations[i];
	fail_msg("%s has no row here", text(row, "operation"));
	return NULL;
}

static void check_answer(const json_t *row)
{
	static const struct {
		const char *stands, *value;
	} values[] = {{"<arn>", ARN}, {"<plaintext>", PLAIN}, {"<blob>", BLOB}};
	const struct operation *operation = operation_of(row);
	AUTO(buffer_clear) struct buffer plaintext = {0}, blob = {0}, raw = {0};
	json_t *fields = json_deep_copy(json_object_get(row, "fields")), *value;
	const char *name;
	struct fake_reply reply;
	char *line;

	json_object_foreach(fields, name, value) for (size_t i = 0; i < COUNT_OF(values);
						      i++) if (strcmp(json_string_value(value),
								      values[i].stands) == 0)
		json_string_set(value, values[i].value);
	line = json_dumps(fields, JSON_COMPACT);
	script(&reply, line);
	if (operation->run != NULL) {
		assert_int_equal(operation->run(&plaintext, &blob), KMS_OK);
		base64_append(&raw, buffer_bytes(&plaintext));
		assert_bytes(buffer_bytes(&raw), bytes_of(operation->plaintext ? PLAIN : ""));
		assert_bytes(buffer_bytes(&blob), bytes_of(operation->blob ? "blob" : ""));
	}
	free(line);
	json_decref(fields);
}

static void every_recorded_answer_is_taken(void **state)
{
	const json_t *row;
	size_t i;

	(void)state;
	json_array_foreach(rows_of("answers", ANSWERS), i, row) check_answer(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_recorded_refusal_has_its_status_its_words_and_its_request_id),
		cmocka_unit_test(every_recorded_key_is_described_as_it_was),
		cmocka_unit_test(every_recorded_answer_is_taken),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
