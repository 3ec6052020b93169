/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The aws client on an HTTP that does what it is told: what is sent, what is believed, and what
 * each fault and each refusal becomes. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/aws.h"
#include "kms/aws/provider.h"
#include "tests/support/aws_client_fixture.h"
#include "tests/support/aws_home.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define UUID   "8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define ARN    "arn:aws:kms:us-west-2:111122223333:key/" UUID
#define OTHER  "arn:aws:kms:us-west-2:111122223333:key/00000000-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define ALIAS  "alias/root"
#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

#define DECRYPTED "{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" SECRET "\"}"

static int set_up(void **state)
{
	(void)state;
	return client_start();
}

static int tear_down(void **state)
{
	(void)state;
	client_stop();
	return 0;
}

#define SCRIPT(...)                                                                                \
	static const struct fake_reply replies_[] = {__VA_ARGS__};                                 \
	fake_http_script(&http, replies_, COUNT_OF(replies_))

static enum kms_status decrypt(const char *key, struct kms_report *report, struct buffer *plaintext)
{
	return kms->operations->decrypt(kms, key, bytes_of("blob"), NULL, report, plaintext);
}

/* One answer to Decrypt with this body. */
static enum kms_status decrypt_answered(const char *key, unsigned status, const char *body,
					struct kms_report *report)
{
	struct fake_reply reply = {HTTP_ANSWERED, status, NULL, body};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	enum kms_status answer;

	fake_http_script(&http, &reply, 1);
	answer = decrypt(key, report, &plaintext);
	assert_int_equal(plaintext.len, answer == KMS_OK ? 32 : 0);
	return answer;
}

static void a_request_carries_what_kms_wants(void **state)
{
	const struct kms_pair pairs[] = {{"cmek:purpose", "ezk"}, {"q", "\""}};
	const struct kms_context context = {pairs, 2};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	SCRIPT({HTTP_ANSWERED, 200, "x-amzn-RequestId: 42\r\n", DECRYPTED});
	struct kms_report report = {0};

	(void)state;
	assert_int_equal(
		kms->operations->decrypt(kms, ARN, bytes_of("blob"), &context, &report, &plaintext),
		KMS_OK);
	assert_string_equal(report.request_id, "42");
	assert_int_equal(plaintext.len, 32);
	assert_string_equal(http.sent[0].url, "https://kms.us-west-2.amazonaws.com");
	assert_string_equal(http.sent[0].body,
			    "{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"YmxvYg==\","
			    "\"EncryptionContext\":{\"cmek:purpose\":\"ezk\",\"q\":\"\\\"\"}}");
	assert_string_equal(fake_http_header(&http, 0, "X-Amz-Target"), "TrentService.Decrypt");
	assert_string_equal(fake_http_header(&http, 0, "Content-Type"),
			    "application/x-amz-json-1.1");
	assert_string_equal(fake_http_header(&http, 0, "Host"), "kms.us-west-2.amazonaws.com");
	assert_string_equal(fake_http_header(&http, 0, "X-Amz-Date"), "20251124T160000Z");
	assert_string_equal(fake_http_header(&http, 0, "X-Amz-Security-Token"), "TOKEN");
	assert_non_null(strstr(fake_http_header(&http, 0, "Authorization"),
			       "Credential=AKIDEXAMPLE/20251124/us-west-2/kms/aws4_request, "
			       "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
			       "x-amz-target, Signature="));
	assert_int_equal(http.sent[0].connect_timeout_ms, 2000);
	assert_int_equal(http.sent[0].timeout_ms, 5000);
}

static void a_remark_goes_into_the_user_agent_unsigned(void **state)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};
	struct kms_report report = {.remark = "lease/300"};

	(void)state;
	{
		SCRIPT({HTTP_ANSWERED, 503, NULL, ""}, {HTTP_ANSWERED, 200, NULL, DECRYPTED});
		assert_int_equal(decrypt(ARN, &report, &plaintext), KMS_OK);
		assert_int_equal(http.request_count, 2);
		for (size_t i = 0; i < 2; i++) {
			assert_string_equal(http.sent[i].user_agent,
					    "cmek-pkcs11/" CMEK_VERSION " lease/300");
			assert_null(fake_http_header(&http, i, "User-Agent"));
			assert_null(
				strstr(fake_http_header(&http, i, "Authorization"), "user-agent"));
		}
	}
	buffer_clear(&plaintext);
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL, DECRYPTED});
		assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
		assert_string_equal(http.sent[0].user_agent, "cmek-pkcs11/" CMEK_VERSION);
	}
}

static void a_report_says_as_whom_the_kms_was_asked(void **state)
{
	struct kms_report report = {0};

	(void)state;
	assert_int_equal(
		decrypt_answered(ARN, 400,
				 "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}",
				 &report),
		KMS_DENIED);
	assert_string_equal(report.caller.access_key_id, "AKIDEXAMPLE");
	assert_string_equal(report.caller.credentials, "environment");
	assert_string_equal(report.caller.identity, "");
	/* Nobody was asked. */
	report = (struct kms_report){0};
	assert_int_equal(decrypt_answered("bad key", 200, DECRYPTED, &report), KMS_INVALID_REQUEST);
	assert_string_equal(report.caller.access_key_id, "");
}

static void each_operation_asks_in_its_own_words(void **state)
{
	AUTO(buffer_clear) struct buffer a = {0}, b = {0};

	(void)state;
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL,
			"{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"YmxvYg==\"}"});
		assert_int_equal(
			kms->operations->encrypt(kms, ALIAS, bytes_of("x"), NULL, NULL, &a),
			KMS_OK);
		assert_bytes(buffer_bytes(&a), bytes_of("blob"));
		assert_string_equal(http.sent[0].body,
				    "{\"KeyId\":\"alias/root\",\"Plaintext\":\"eA==\"}");
	}
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL,
			"{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"YmxvYg==\",\"Plaintext\":"
			"\"" SECRET "\"}"});
		buffer_clear(&a);
		assert_int_equal(kms->operations->generate_data_key(kms, UUID, NULL, NULL, &a, &b),
				 KMS_OK);
		assert_int_equal(a.len, 32);
		assert_bytes(buffer_bytes(&b), bytes_of("blob"));
		assert_string_equal(http.sent[0].body,
				    "{\"KeyId\":\"" UUID "\",\"NumberOfBytes\":32}");
	}
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL,
			"{\"KeyId\":\"" OTHER "\",\"SourceKeyId\":\"" ARN
			"\",\"CiphertextBlob\":\"YmxvYg==\"}"});
		buffer_clear(&b);
		assert_int_equal(kms->operations->re_encrypt(kms, ARN, bytes_of("x"), NULL, OTHER,
							     NULL, NULL, &b),
				 KMS_OK);
		assert_string_equal(http.sent[0].body,
				    "{\"SourceKeyId\":\"" ARN "\",\"DestinationKeyId\":\"" OTHER
				    "\",\"CiphertextBlob\":\"eA==\"}");
	}
}

static void last_usage_is_a_moment_or_none_since_one(void **state)
{
	struct kms_last_usage usage;

	(void)state;
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL,
			"{\"KeyCreationDate\":1.7e9,\"KeyId\":\"" UUID
			"\",\"TrackingStartDate\":1764000000,\"KeyLastUsage\":{\"Operation\":"
			"\"Decrypt\",\"Timestamp\":1764000001.5,\"CloudTrailEventId\":\"e\"}}"});
		assert_int_equal(kms->operations->last_usage(kms, ARN, NULL, &usage), KMS_OK);
		assert_true(usage.used_ms == 1764000001500);
		assert_true(usage.since_ms == 1764000000000);
		assert_string_equal(usage.operation, "Decrypt");
		assert_string_equal(http.sent[0].body, "{\"KeyId\":\"" ARN "\"}");
		assert_string_equal(fake_http_header(&http, 0, "X-Amz-Target"),
				    "TrentService.GetKeyLastUsage");
	}
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL, "{\"TrackingStartDate\":1764000000}"});
		assert_int_equal(kms->operations->last_usage(kms, ARN, NULL, &usage), KMS_OK);
		assert_true(usage.used_ms == 0);
	}
	{
		SCRIPT({HTTP_ANSWERED, 200, NULL, "{}"});
		assert_int_equal(kms->operations->last_usage(kms, ARN, NULL, &usage),
				 KMS_BAD_ANSWER);
	}
}

static void describe_tells_state_region_and_use(void **state)
{
	static const struct {
		const char *state, *usage;
		enum kms_key_state expected;
		bool encrypts;
	} rows[] = {
		{"Enabled", "ENCRYPT_DECRYPT", KMS_KEY_ENABLED, true},
		{"Updating", "ENCRYPT_DECRYPT", KMS_KEY_ENABLED, true},
		{"Disabled", "ENCRYPT_DECRYPT", KMS_KEY_DISABLED, true},
		{"PendingDeletion", "ENCRYPT_DECRYPT", KMS_KEY_PENDING_DELETION, true},
		{"PendingReplicaDeletion", "ENCRYPT_DECRYPT", KMS_KEY_PENDING_DELETION, true},
		{"PendingImport", "ENCRYPT_DECRYPT", KMS_KEY_PENDING_IMPORT, true},
		{"Unavailable", "ENCRYPT_DECRYPT", KMS_KEY_UNAVAILABLE, true},
		{"Creating", "ENCRYPT_DECRYPT", KMS_KEY_UNUSABLE, true},
		{"Enabled", "SIGN_VERIFY", KMS_KEY_ENABLED, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[512];
		struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, body};
		struct kms_key key;

		snprintf(body, sizeof(body),
			 "{\"KeyMetadata\":{\"Arn\":\"%s\",\"KeyState\":\"%s\",\"KeyUsage\":\"%s\","
			 "\"KeySpec\":\"SYMMETRIC_DEFAULT\",\"DeletionDate\":1798086246.5}}",
			 ARN, rows[i].state, rows[i].usage);
		fake_http_script(&http, &reply, 1);
		assert_int_equal(kms->operations->describe(kms, ALIAS, NULL, &key), KMS_OK);
		assert_string_equal(key.arn, ARN);
		assert_string_equal(key.region, "us-west-2");
		assert_int_equal(key.state, rows[i].expected);
		assert_int_equal(key.deletion_ms, rows[i].expected == KMS_KEY_PENDING_DELETION
							  ? INT64_C(1798086246500)
							  : 0);
		assert_int_equal(key.encrypts, rows[i].encrypts);
	}
}

static void what_the_protocol_does_not_promise_is_a_bad_answer(void **state)
{
	static const char *const bodies[] = {
		"[]",
		"{}",
		"{\"KeyId\":\"" ARN "\"}",
		"{\"Plaintext\":\"" SECRET "\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":7}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"\"}",
		"{\"KeyId\":\"" ARN "\",\"Plain\\u0074ext\":\"" SECRET "\"}",
		"{\"KeyId\":\"" ARN "\",\"x\":{\"Plaintext\":\"" SECRET "\"}}",
		"{\"KeyId\":\"" OTHER "\",\"Plaintext\":\"" SECRET "\"}",
		"{\"KeyId\":\"" UUID "\",\"Plaintext\":\"" SECRET "\"}",
		"{\"KeyId\":\"arn:aws:s3:us-west-2:111122223333:key/" UUID
		"\",\"Plaintext\":\"" SECRET "\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		if (decrypt_answered(ARN, 200, bodies[i], NULL) != KMS_BAD_ANSWER)
			fail_msg("%s was believed", bodies[i]);
		assert_int_equal(http.request_count, 1);
	}
}

static void what_was_cut_or_garbled_on_its_way_is_asked_for_again(void **state)
{
	static const char *const bodies[] = {
		"",
		"{",
		"<html></html>",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" SECRET,
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"not base64!\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"QQ\"}",
		"{\"KeyId\":\"" ARN "\",\"Plaintext\":\"" SECRET "\",\"Plaintext\":\"" SECRET "\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		const struct fake_reply script[] = {{HTTP_ANSWERED, 200, NULL, bodies[i]},
						    {HTTP_ANSWERED, 200, NULL, DECRYPTED}};
		AUTO(buffer_clear) struct buffer plaintext = {0};

		assert_int_equal(decrypt_answered(ARN, 200, bodies[i], NULL), KMS_BAD_ANSWER);
		assert_int_equal(http.request_count, 3);
		fake_http_script(&http, script, 2);
		assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
		assert_int_equal(plaintext.len, 32);
		assert_int_equal(http.request_count, 2);
	}
}

static void no_damage_of_an_answer_is_more_than_a_bad_answer(void **state)
{
	char body[] = DECRYPTED;

	(void)state;
	for (size_t bit = 0; bit < 8 * strlen(DECRYPTED); bit++) {
		struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, body};
		AUTO(buffer_clear) struct buffer plaintext = {0};
		enum kms_status status;

		body[bit / 8] ^= (char)(1 << bit % 8);
		fake_http_script(&http, &reply, 1);
		status = decrypt(ARN, NULL, &plaintext);
		assert_true(status == KMS_BAD_ANSWER || status == KMS_OK);
		assert_true(status == KMS_OK ? plaintext.len >= 31 : plaintext.len == 0);
		body[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t len = 0; len < strlen(DECRYPTED); len++) {
		char cut[] = DECRYPTED;

		cut[len] = 0;
		assert_int_equal(decrypt_answered(ARN, 200, cut, NULL), KMS_BAD_ANSWER);
	}
}

static void the_key_that_answers_has_to_be_the_one_asked(void **state)
{
	static const struct {
		const char *asked, *body;
		enum kms_status status;
	} rows[] = {
		{ARN, DECRYPTED, KMS_OK},
		{UUID, DECRYPTED, KMS_OK},
		{ALIAS, DECRYPTED, KMS_OK},
		{"arn:aws:kms:us-west-2:111122223333:alias/root", DECRYPTED, KMS_OK},
		{OTHER, DECRYPTED, KMS_BAD_ANSWER},
		{"00000000-3c5a-4b7e-9d58-0d0f6a2a9c11", DECRYPTED, KMS_BAD_ANSWER},
		{"arn:aws:kms:us-west-2:999922223333:key/" UUID, DECRYPTED, KMS_BAD_ANSWER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(decrypt_answered(rows[i].asked, 200, rows[i].body, NULL),
				 rows[i].status);
}

static void a_data_key_of_another_length_is_a_bad_answer(void **state)
{
	AUTO(buffer_clear) struct buffer a = {0}, b = {0};
	SCRIPT({HTTP_ANSWERED, 200, NULL,
		"{\"KeyId\":\"" ARN "\",\"CiphertextBlob\":\"YmxvYg==\",\"Plaintext\":\"QUJD\"}"});

	(void)state;
	assert_int_equal(kms->operations->generate_data_key(kms, ARN, NULL, NULL, &a, &b),
			 KMS_BAD_ANSWER);
	assert_int_equal(a.len + b.len, 0);
}

static void refusals_become_statuses_by_their_type(void **state)
{
	static const struct {
		unsigned http;
		const char *body;
		enum kms_status status;
		const char *type, *message;
	} rows[] = {
		{400, "{\"__type\":\"DisabledException\",\"message\":\"k is disabled.\"}",
		 KMS_DISABLED, "DisabledException", "k is disabled."},
		{400, "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: u\"}", KMS_DENIED,
		 "AccessDeniedException", "User: u"},
		{403, "{\"__type\":\"com.amazonaws.kms#NotFoundException:http://x\"}",
		 KMS_NOT_FOUND, "NotFoundException", "AWS gives no details"},
		{500, "{\"__type\":\"KMSInvalidStateException\",\"message\":\"m\"}",
		 KMS_INVALID_STATE, "KMSInvalidStateException", "m"},
		{400,
		 "{\"__type\":\"KMSInvalidStateException\",\"message\":\"k is pending deletion.\"}",
		 KMS_PENDING_DELETION, "KMSInvalidStateException", "k is pending deletion."},
		{400, "{\"__type\":\"DisabledException\",\"message\":\"k is pending deletion.\"}",
		 KMS_PENDING_DELETION, "DisabledException", "k is pending deletion."},
		{400,
		 "{\"__type\":\"KMSInvalidStateException\",\"message\":\"k is pending replica "
		 "deletion.\"}",
		 KMS_PENDING_DELETION, "KMSInvalidStateException",
		 "k is pending replica deletion."},
		{400,
		 "{\"__type\":\"KMSInvalidStateException\",\"message\":\"k is pending import.\"}",
		 KMS_PENDING_IMPORT, "KMSInvalidStateException", "k is pending import."},
		{400, "{\"__type\":\"KMSInvalidStateException\",\"message\":\"k is unavailable.\"}",
		 KMS_KEY_STORE_UNAVAILABLE, "KMSInvalidStateException", "k is unavailable."},
		/* No text turns an answer into a no that is not one. */
		{400,
		 "{\"__type\":\"AccessDeniedException\",\"message\":\"k is pending deletion.\"}",
		 KMS_DENIED, "AccessDeniedException", "k is pending deletion."},
		{400, "{\"__type\":\"InvalidCiphertextException\"}", KMS_INVALID_CIPHERTEXT,
		 "InvalidCiphertextException", "AWS gives no details"},
		{400, "{\"__type\":\"IncorrectKeyException\"}", KMS_INCORRECT_KEY,
		 "IncorrectKeyException", "AWS gives no details"},
		{400, "{\"__type\":\"BrandNewException\",\"message\":\"new\"}", KMS_INVALID_REQUEST,
		 "BrandNewException", "new"},
		{403,
		 "<?xml version=\"1.0\"?><ErrorResponse><Error><Code>SignatureDoesNotMatch</Code>"
		 "<Message>wrong</Message></Error></ErrorResponse>",
		 KMS_CREDENTIALS_REFUSED, "SignatureDoesNotMatch", "wrong"},
		{403, "<html>proxy</html>", KMS_BAD_ANSWER, "", "HTTP status 403"},
		{301, "", KMS_BAD_ANSWER, "", "HTTP status 301"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct kms_report report = {0};

		assert_int_equal(decrypt_answered(ARN, rows[i].http, rows[i].body, &report),
				 rows[i].status);
		assert_string_equal(report.error_type, rows[i].type);
		assert_string_equal(report.message, rows[i].message);
		assert_int_equal(http.request_count, 1);
	}
}

static void a_type_in_the_header_counts_where_the_body_has_none(void **state)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};
	struct kms_report report = {0};
	SCRIPT({HTTP_ANSWERED, 400, "HTTP/1.1 400\r\nx-amzn-errortype: DisabledException:http\r\n",
		""});

	(void)state;
	assert_int_equal(decrypt(ARN, &report, &plaintext), KMS_DISABLED);
}

static void faults_that_may_pass_are_tried_again(void **state)
{
	static const struct fake_reply faults[] = {
		{HTTP_NOT_CONNECTED, 0, NULL, NULL},
		{HTTP_BROKEN, 0, NULL, NULL},
		{HTTP_TIMED_OUT, 0, NULL, NULL},
		{HTTP_ANSWERED, 500, NULL, "{\"__type\":\"KMSInternalException\"}"},
		{HTTP_ANSWERED, 400, NULL, "{\"__type\":\"ThrottlingException\"}"},
		{HTTP_ANSWERED, 502, NULL, "<html></html>"},
		{HTTP_ANSWERED, 503, NULL, ""},
		{HTTP_ANSWERED, 504, NULL, ""},
		{HTTP_ANSWERED, 429, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		const struct fake_reply script[] = {
			faults[i], faults[i], {HTTP_ANSWERED, 200, NULL, DECRYPTED}};
		AUTO(buffer_clear) struct buffer plaintext = {0};

		fake_http_script(&http, script, COUNT_OF(script));
		assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
		assert_int_equal(http.request_count, 3);
	}
}

static void faults_that_stay_are_told_after_three_attempts(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum kms_status status;
		size_t requests;
	} rows[] = {
		{{HTTP_NOT_CONNECTED, 0, NULL, NULL}, KMS_UNAVAILABLE, 3},
		{{HTTP_BROKEN, 0, NULL, NULL}, KMS_UNAVAILABLE, 3},
		{{HTTP_TIMED_OUT, 0, NULL, NULL}, KMS_UNAVAILABLE, 3},
		{{HTTP_ANSWERED, 500, NULL, ""}, KMS_UNAVAILABLE, 3},
		{{HTTP_ANSWERED, 400, NULL, "{\"__type\":\"ThrottlingException\"}"},
		 KMS_THROTTLED,
		 3},
		{{HTTP_ANSWERED, 501, NULL, ""}, KMS_UNAVAILABLE, 1},
		{{HTTP_TOO_LONG, 0, NULL, NULL}, KMS_BAD_ANSWER, 1},
		{{HTTP_UNTRUSTED, 0, NULL, NULL}, KMS_UNAVAILABLE, 1},
		{{HTTP_UNUSABLE, 0, NULL, NULL}, KMS_MISCONFIGURED, 1},
		{{HTTP_NO_MEMORY, 0, NULL, NULL}, KMS_NO_MEMORY, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer plaintext = {0};
		struct kms_report report = {0};

		fake_http_script(&http, &rows[i].reply, 1);
		assert_int_equal(decrypt(ARN, &report, &plaintext), rows[i].status);
		assert_int_equal(http.request_count, rows[i].requests);
		assert_true(report.message[0] != 0);
	}
}

static void take_six_seconds(struct fake_http *fake)
{
	fake->now_ms += 6000;
}

static void no_call_outlives_its_deadline(void **state)
{
	const int64_t begin = http.now_ms;
	AUTO(buffer_clear) struct buffer plaintext = {0};
	SCRIPT({HTTP_TIMED_OUT, 0, NULL, NULL});

	(void)state;
	http.on_send = take_six_seconds;
	((struct kms_aws_settings *)settings.sections[PROVIDER_AWS])->aws.max_attempts = 100;
	assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_UNAVAILABLE);
	assert_int_equal(http.request_count, 3);
	assert_true(http.sent[2].timeout_ms <= 3000);
	assert_true(http.now_ms - begin - 3 * 6000 < 15000);
}

static void a_call_that_shares_its_time_takes_no_more(void **state)
{
	struct kms_report report = {.until = moment_after(clock_now(&fake_clock), 7000)};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	SCRIPT({HTTP_TIMED_OUT, 0, NULL, NULL});

	(void)state;
	http.on_send = take_six_seconds;
	assert_int_equal(decrypt(ARN, &report, &plaintext), KMS_UNAVAILABLE);
	assert_int_equal(http.request_count, 2);
	assert_non_null(strstr(report.message, "(2 of 3 attempts, 12."));
	assert_true(http.sent[1].timeout_ms <= 1000);
	assert_true(report.sent);
	/* None is left: nothing is sent. */
	report = (struct kms_report){.until = clock_now(&fake_clock)};
	assert_int_equal(decrypt(ARN, &report, &plaintext), KMS_UNAVAILABLE);
	assert_int_equal(http.request_count, 2);
	assert_false(report.sent);
	/* No more than the settings say, whatever is asked for. */
	report = (struct kms_report){.until = moment_after(clock_now(&fake_clock), 100000)};
	fake_http_script(&http, replies_, 1);
	assert_int_equal(decrypt(ARN, &report, &plaintext), KMS_UNAVAILABLE);
	assert_int_equal(http.request_count, 3);
	assert_true(http.sent[2].timeout_ms <= 3000);
}

static void the_server_s_wish_to_wait_is_heard(void **state)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};
	SCRIPT({HTTP_ANSWERED, 400, "x-amz-retry-after: 1500\r\n",
		"{\"__type\":\"ThrottlingException\"}"},
	       {HTTP_ANSWERED, 200, NULL, DECRYPTED});

	(void)state;
	assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
	assert_in_range(http.slept_ms, 1500, 1500);
}

static void an_expired_token_is_not_sent_twice_if_there_is_no_other(void **state)
{
	(void)state;
	assert_int_equal(decrypt_answered(ARN, 400, "{\"__type\":\"ExpiredTokenException\"}", NULL),
			 KMS_CREDENTIALS_REFUSED);
	assert_int_equal(http.request_count, 1);
}

#define SKEWED(type, message)                                                                      \
	{                                                                                          \
		HTTP_ANSWERED, 400, "Date: Mon, 24 Nov 2025 15:50:00 GMT\r\n",                     \
			"{\"__type\":\"" type "\",\"message\":\"" message "\"}"                    \
	}

static void a_wrong_clock_is_put_right_once_and_for_all(void **state)
{
	static const struct fake_reply refusals[] = {
		SKEWED("InvalidSignatureException", "Signature not yet current: x is still later"),
		SKEWED("SignatureDoesNotMatch", "Signature expired"),
		SKEWED("RequestExpired", ""),
		SKEWED("RequestTimeTooSkewed", ""),
	};

	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		const struct fake_reply script[] = {refusals[i],
						    {HTTP_ANSWERED, 200, NULL, DECRYPTED}};
		AUTO(buffer_clear) struct buffer plaintext = {0}, again = {0};

		fake_http_script(&http, script, 2);
		assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
		assert_int_equal(http.request_count, 2);
		assert_int_equal(http.slept_ms, 0);
		assert_string_equal(fake_http_header(&http, 0, "X-Amz-Date"), "20251124T160000Z");
		assert_string_equal(fake_http_header(&http, 1, "X-Amz-Date"), "20251124T155000Z");
		/* It is remembered ... */
		fake_http_script(&http, script + 1, 1);
		assert_int_equal(decrypt(ARN, NULL, &again), KMS_OK);
		assert_string_equal(fake_http_header(&http, 0, "X-Amz-Date"), "20251124T155000Z");
		/* ... by this client. */
		tear_down(state);
		set_up(state);
	}
}

static void a_clock_that_was_set_is_noticed(void **state)
{
	const struct fake_reply wrong[] = {SKEWED("RequestExpired", ""),
					   {HTTP_ANSWERED, 200, NULL, DECRYPTED}};
	const struct fake_reply right[] = {SKEWED("RequestExpired", ""),
					   {HTTP_ANSWERED, 200, NULL, DECRYPTED}};
	AUTO(buffer_clear) struct buffer plaintext = {0}, again = {0};

	(void)state;
	fake_http_script(&http, wrong, 2);
	assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_OK);
	http.now_ms -= 10 * 60 * 1000;
	fake_http_script(&http, right, 2);
	assert_int_equal(decrypt(ARN, NULL, &again), KMS_OK);
	assert_string_equal(fake_http_header(&http, 0, "X-Amz-Date"), "20251124T154000Z");
	assert_string_equal(fake_http_header(&http, 1, "X-Amz-Date"), "20251124T155000Z");
}

static void a_wrong_signature_is_no_wrong_clock(void **state)
{
	static const char *const dates[] = {NULL, "Date: Mon, 24 Nov 2025 16:03:59 GMT\r\n",
					    "Date: whenever\r\n"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(dates); i++) {
		const struct fake_reply reply = {HTTP_ANSWERED, 403, dates[i],
						 "{\"__type\":\"InvalidSignatureException\"}"};
		AUTO(buffer_clear) struct buffer plaintext = {0};

		fake_http_script(&http, &reply, 1);
		assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_CREDENTIALS_REFUSED);
		assert_int_equal(http.request_count, 1);
	}
}

static void a_clock_that_can_t_be_put_right_is_tried_once(void **state)
{
	const struct fake_reply script[] = {SKEWED("RequestExpired", ""),
					    {HTTP_ANSWERED, 400,
					     "Date: Mon, 24 Nov 2025 10:00:00 GMT\r\n",
					     "{\"__type\":\"RequestExpired\"}"}};
	AUTO(buffer_clear) struct buffer plaintext = {0};

	(void)state;
	fake_http_script(&http, script, 2);
	assert_int_equal(decrypt(ARN, NULL, &plaintext), KMS_CREDENTIALS_REFUSED);
	assert_int_equal(http.request_count, 2);
}

static void names_of_other_keys_never_reach_aws(void **state)
{
	static const char *const names[] = {"local:demo", "root", "",
					    ("arn:local:kms:local::key/" UUID)};
	AUTO(buffer_clear) struct buffer plaintext = {0};
	SCRIPT({HTTP_ANSWERED, 200, NULL, DECRYPTED});

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(decrypt(names[i], NULL, &plaintext), KMS_INVALID_REQUEST);
	assert_int_equal(http.request_count, 0);
}

static void keys_are_not_made_or_switched_in_aws(void **state)
{
	(void)state;
	assert_null(kms->operations->set_state);
	assert_null(kms->operations->create);
}

static int set_environment(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	if (!aws_home_make())
		return -1;
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("AWS_SESSION_TOKEN", "TOKEN", 1);
	return crypto_start(false) ? 0 : -1;
}

static int drop_environment(void **state)
{
	(void)state;
	aws_home_remove();
	return 0;
}

#define WITH_CLIENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CLIENT(a_request_carries_what_kms_wants),
		WITH_CLIENT(a_remark_goes_into_the_user_agent_unsigned),
		WITH_CLIENT(a_report_says_as_whom_the_kms_was_asked),
		WITH_CLIENT(each_operation_asks_in_its_own_words),
		WITH_CLIENT(last_usage_is_a_moment_or_none_since_one),
		WITH_CLIENT(describe_tells_state_region_and_use),
		WITH_CLIENT(what_the_protocol_does_not_promise_is_a_bad_answer),
		WITH_CLIENT(what_was_cut_or_garbled_on_its_way_is_asked_for_again),
		WITH_CLIENT(no_damage_of_an_answer_is_more_than_a_bad_answer),
		WITH_CLIENT(the_key_that_answers_has_to_be_the_one_asked),
		WITH_CLIENT(a_data_key_of_another_length_is_a_bad_answer),
		WITH_CLIENT(refusals_become_statuses_by_their_type),
		WITH_CLIENT(a_type_in_the_header_counts_where_the_body_has_none),
		WITH_CLIENT(faults_that_may_pass_are_tried_again),
		WITH_CLIENT(faults_that_stay_are_told_after_three_attempts),
		WITH_CLIENT(no_call_outlives_its_deadline),
		WITH_CLIENT(a_call_that_shares_its_time_takes_no_more),
		WITH_CLIENT(the_server_s_wish_to_wait_is_heard),
		WITH_CLIENT(an_expired_token_is_not_sent_twice_if_there_is_no_other),
		WITH_CLIENT(a_wrong_clock_is_put_right_once_and_for_all),
		WITH_CLIENT(a_clock_that_was_set_is_noticed),
		WITH_CLIENT(a_wrong_signature_is_no_wrong_clock),
		WITH_CLIENT(a_clock_that_can_t_be_put_right_is_tried_once),
		WITH_CLIENT(names_of_other_keys_never_reach_aws),
		WITH_CLIENT(keys_are_not_made_or_switched_in_aws),
	};

	return cmocka_run_group_tests(tests, set_environment, drop_environment);
}
