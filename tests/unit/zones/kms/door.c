/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a refusal leaves in the log: one line, in people's words, with what to do, and no secret. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/live_zones.h"

#include <stdio.h>
#include <unistd.h>

struct logged {
	struct live_zones live;
	char path[64];
};

static int set_up(void **state)
{
	struct logged *logged = malloc(sizeof(*logged));

	live_zones_start(&logged->live, 300);
	snprintf(logged->path, sizeof(logged->path), "/tmp/cmek-ask.XXXXXX");
	close(mkstemp(logged->path));
	assert_true(log_configure(LOG_WARNING, logged->path));
	*state = logged;
	return 0;
}

static int tear_down(void **state)
{
	struct logged *logged = *state;

	log_configure(LOG_OFF, "stderr");
	unlink(logged->path);
	live_zones_stop(&logged->live);
	free(logged);
	return 0;
}

static struct kms_door door_for_zone(struct logged *logged)
{
	struct kms_door door = live_door(&logged->live, ROOT_1);

	door.project = "shop";
	door.zone = "eu/orders";
	door.zone_id = 3044928755559416890;
	door.version = 3;
	return door;
}

static void read_log(const struct logged *logged, char text[static 4096])
{
	FILE *file = fopen(logged->path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, 4095, file);
	text[len] = '\0';
	fclose(file);
}

static size_t lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void each_refusal_is_one_line_with_its_remedy(void **state)
{
	static const enum kms_status refusals[] = {KMS_DENIED,
						   KMS_DISABLED,
						   KMS_PENDING_DELETION,
						   KMS_PENDING_IMPORT,
						   KMS_KEY_STORE_UNAVAILABLE,
						   KMS_INVALID_STATE,
						   KMS_NOT_FOUND,
						   KMS_INVALID_CIPHERTEXT,
						   KMS_BAD_ANSWER,
						   KMS_MISCONFIGURED};
	struct logged *logged = *state;
	struct kms_door door = door_for_zone(logged);
	char text[4096];

	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		AUTO(buffer_clear) struct buffer out = {0};

		/* Each alone, not as what follows a silence. */
		fake_clock_advance(&logged->live.clock, 1000);
		assert_int_equal(door_encrypt(&door, bytes_of("x"), &out), ZONE_OK);
		assert_int_equal(truncate(logged->path, 0), 0);
		fake_kms_fail(&logged->live.kms, FAKE_DECRYPT, refusals[i], 1);
		assert_int_equal(door_decrypt(&door, bytes_of("blob"), &out),
				 zone_status_of_kms(refusals[i]));
		read_log(logged, text);
		assert_int_equal(lines(text), 1);
		assert_non_null(strstr(text, "KMS Decrypt with key " ROOT_1));
		assert_non_null(strstr(text, "zone 'eu/orders' of project 'shop', version 3"));
		assert_null(strstr(text, "3044928755559416890"));
		assert_non_null(strstr(text, kms_status_text(refusals[i])));
		assert_non_null(strstr(text, "fake-request"));
		assert_non_null(strstr(text, "; "));
		assert_string_equal(log_last_request(), "fake-request");
		log_reason("another");
		assert_string_equal(log_last_request(), "");
	}
}

static void an_outage_fits_two_lines_and_says_where_and_why(void **state)
{
	static const struct {
		enum kms_status status;
		const char *where, *todo;
	} rows[] = {
		{KMS_UNAVAILABLE, "aws in us-west-2: the KMS is out of reach: ", "; check network"},
		{KMS_THROTTLED, "root key " ROOT_1 ": throttled: ", "; raise its request quota"},
		{KMS_KEY_OUT_OF_REACH,
		 "root key " ROOT_1 ": the key is out of reach: ", "; see to the key store"},
	};
	struct logged *logged = *state;
	struct kms_door door = door_for_zone(logged);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer out = {0};
		char text[4096];
		size_t said;

		fake_clock_advance(&logged->live.clock, 60000);
		assert_int_equal(door_encrypt(&door, bytes_of("x"), &out), ZONE_OK);
		assert_int_equal(truncate(logged->path, 0), 0);
		fake_kms_fail(&logged->live.kms, FAKE_DECRYPT, rows[i].status, 1);
		door_decrypt(&door, bytes_of("blob"), &out);
		read_log(logged, text);
		assert_int_equal(lines(text), 1);
		assert_non_null(strstr(text, rows[i].where));
		assert_non_null(strstr(text, rows[i].todo));
		said = strlen("the fake KMS says: ") + strlen(kms_status_text(rows[i].status));
		/* Not in the line, and known: */
		assert_null(strstr(log_last(), "fake-request"));
		assert_string_equal(log_last_request(), "fake-request");
		/* Two lines of a terminal, where the KMS says "Rate exceeded". */
		assert_in_range(strlen(log_last()) - said, 1, 160 - strlen("Rate exceeded"));
	}
}

static void success_is_silent(void **state)
{
	struct logged *logged = *state;
	struct kms_door door = door_for_zone(logged);
	AUTO(buffer_clear) struct buffer blob = {0};
	char text[4096];

	assert_int_equal(door_encrypt(&door, bytes_of("secret"), &blob), ZONE_OK);
	read_log(logged, text);
	assert_string_equal(text, "");
}

static void caller_gets_the_words_of_the_kms(void **state)
{
	struct logged *logged = *state;
	struct kms_door door = door_for_zone(logged);
	AUTO(buffer_clear) struct buffer blob = {0};
	struct kms_report report = {0};

	door.report = &report;
	fake_kms_set(&logged->live.kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(door_encrypt(&door, bytes_of("secret"), &blob), ZONE_KMS_DISABLED);
	assert_string_equal(report.request_id, "fake-request");
}

static void name_that_is_none_is_an_invalid_request(void **state)
{
	struct logged *logged = *state;
	struct kms_door door = live_door(&logged->live, "arn:aws:s3:::bucket");
	struct kms_key key;
	char text[4096];

	assert_int_equal(door_describe(&door, &key), ZONE_KMS_INVALID_REQUEST);
	read_log(logged, text);
	assert_int_equal(lines(text), 1);
	assert_null(strstr(text, "zone")); /* it is about none */
}

static void what_only_local_keys_can_is_unsupported_elsewhere(void **state)
{
	struct logged *logged = *state;
	struct kms_door door = live_door(&logged->live, ROOT_1);
	bool made;

	assert_int_equal(door_set_state(&door, KMS_KEY_DISABLED), ZONE_KMS_UNSUPPORTED);
	assert_int_equal(door_create(&door, false, &made), ZONE_KMS_UNSUPPORTED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_refusal_is_one_line_with_its_remedy),
		CASE(an_outage_fits_two_lines_and_says_where_and_why),
		CASE(success_is_silent),
		CASE(caller_gets_the_words_of_the_kms),
		CASE(name_that_is_none_is_an_invalid_request),
		CASE(what_only_local_keys_can_is_unsupported_elsewhere),
	};

	return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
