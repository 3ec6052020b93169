/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Many messages by one data key, and when there is a new one, over a toy token;
 * tests/module/messages.c does it over the real module. */
#include "envelope/sealer.h"
#include "base/macros.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

static struct envelope_token token;
static struct fake_clock now;

static int fresh(void **state)
{
	(void)state;
	fake_token_reset();
	fake_clock_init(&now);
	token = fake_token_session();
	return 0;
}

static bool is_older;

static int fresh_older(void **state)
{
	fresh(state);
	fake.is_older = is_older = true;
	return 0;
}

static void begin(struct message_sealer *sealer, const struct message_limits *limits)
{
	message_sealer_init(sealer, &token, fake_token_zone(0), false, limits, &now.clock);
}

static enum envelope_status seal(struct message_sealer *sealer, const char *text,
				 struct buffer *out)
{
	struct message_input input = {.payload = bytes_of(text)};
	struct envelope_error error = {0};

	buffer_truncate(out, 0);
	return message_seal(sealer, &input, out, &error);
}

static struct message sealed(struct message_sealer *sealer, const char *text, struct buffer *out)
{
	struct envelope_error error = {0};
	struct message message = {0};

	assert_int_equal(seal(sealer, text, out), ENVELOPE_OK);
	assert_int_equal(message_decode(buffer_bytes(out), &message, &error), ENVELOPE_OK);
	return message;
}

/* Whether the next message has the same data key as the last. */
static bool keeps_its_key(struct message_sealer *sealer, const char *text)
{
	AUTO(buffer_clear) struct buffer out = {0};
	uint8_t before[MESSAGE_DEK];
	struct message message;

	memcpy(before, sealer->names, MESSAGE_DEK);
	message = sealed(sealer, text, &out);
	return memcmp(before, message.dek.data, MESSAGE_DEK) == 0;
}

static void one_data_key_seals_many_each_with_its_own_number(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};
	struct message message;

	(void)state;
	begin(&sealer, NULL);
	for (uint32_t i = 0; i < 100; i++) {
		if (i > 0)
			assert_true(keeps_its_key(&sealer, "again"));
		message = sealed(&sealer, "a message", &out);
		assert_int_equal(message.number, i == 0 ? 0 : 2 * i);
		assert_int_equal(out.len, strlen("a message") + 8 + MESSAGE_OVERHEAD);
		assert_int_equal(fake.live, 1);
	}
}

static void a_key_is_used_for_so_many_messages_bytes_and_so_long(void **state)
{
	const struct message_limits few = {.messages = 3}, small = {.bytes = 10},
				    brief = {.ms = 500};
	AUTO(message_sealer_clear) struct message_sealer sealer, by_bytes, by_time;
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	begin(&sealer, &few);
	for (int i = 0; i < 9; i++)
		assert_int_equal(sealed(&sealer, "x", &out).number, i % 3);
	begin(&by_bytes, &small);
	sealed(&by_bytes, "longer than ten", &out);
	assert_false(keeps_its_key(&by_bytes, "12345"));
	assert_true(keeps_its_key(&by_bytes, "12345"));
	assert_false(keeps_its_key(&by_bytes, "1"));
	begin(&by_time, &brief);
	sealed(&by_time, "x", &out);
	fake_clock_advance(&now, 499);
	assert_true(keeps_its_key(&by_time, "x"));
	fake_clock_advance(&now, 1);
	assert_false(keeps_its_key(&by_time, "x"));
}

static void no_key_has_more_messages_than_there_are_numbers(void **state)
{
	const struct message_limits endless = {.messages = UINT64_MAX};
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	begin(&sealer, &endless);
	sealed(&sealer, "x", &out);
	sealer.sealed = UINT32_MAX;
	assert_int_equal(sealed(&sealer, "x", &out).number, UINT32_MAX);
	assert_int_equal(sealed(&sealer, "x", &out).number, 0);
}

static void after_a_rotation_there_is_a_new_key_within_a_second(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	begin(&sealer, NULL);
	assert_int_equal(sealed(&sealer, "x", &out).version, 1);
	fake.version = 2;
	fake_clock_advance(&now, MESSAGE_LOOK_MS);
	assert_int_equal(sealed(&sealer, "x", &out).version, 2);
	fake_clock_advance(&now, MESSAGE_LOOK_MS);
	assert_true(keeps_its_key(&sealer, "x"));
	assert_int_equal(fake.live, 1);
}

static void the_record_is_in_it_only_if_asked_for(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0}, record = {0};

	(void)state;
	message_sealer_init(&sealer, &token, fake_token_zone(1), true, NULL, NULL);
	fake_token_record(22, 1, fake.root_keys[0], &record);
	assert_bytes(sealed(&sealer, "x", &out).record, buffer_bytes(&record));
	message_sealer_clear(&sealer);
	/* A zone whose record stays in its store. */
	fake.kept = true;
	message_sealer_init(&sealer, &token, fake_token_zone(1), true, NULL, NULL);
	assert_int_equal(seal(&sealer, "x", &out), ENVELOPE_MODULE);
	assert_int_equal(out.len, 0);
}

static void what_does_not_fit_is_refused(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};
	struct message_input long_one = {.payload = bytes("", MESSAGE_PAYLOAD_MAX + 1)};
	struct message_input far = {.collection = MESSAGE_COLLECTION_MAX + 1};
	struct envelope_error error = {0};

	(void)state;
	begin(&sealer, NULL);
	assert_int_equal(message_seal(&sealer, &long_one, &out, &error), ENVELOPE_TOO_LARGE);
	assert_int_equal(message_seal(&sealer, &far, &out, &error), ENVELOPE_TOO_LARGE);
	assert_int_equal(fake.calls, 0);
}

static void a_failure_of_any_call_leaves_nothing_and_the_next_message_works(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (unsigned at = 1;; at++) {
		AUTO(message_sealer_clear) struct message_sealer sealer;
		AUTO(buffer_clear) struct buffer out = {0};

		fresh(NULL);
		fake.is_older = is_older;
		message_sealer_init(&sealer, &token, fake_token_zone(0), true, NULL, &now.clock);
		fake.fail_at = at;
		if (seal(&sealer, "x", &out) == ENVELOPE_OK)
			break;
		assert_int_equal(out.len, 0);
		assert_int_equal(fake.live, 0);
		assert_int_equal(seal(&sealer, "x", &out), ENVELOPE_OK);
		failures++;
	}
	assert_in_range(failures, 6, 20);
}

static void a_message_costs_two_calls_where_the_module_derives_its_key_itself(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};
	unsigned before;

	(void)state;
	begin(&sealer, NULL);
	sealed(&sealer, "x", &out);
	before = fake.calls;
	for (int i = 0; i < 10; i++)
		sealed(&sealer, "x", &out);
	assert_int_equal(fake.calls - before, 2 * 10);
	assert_int_equal(fake.asked_for_mechanisms, 1);
}

static void an_older_module_is_asked_once(void **state)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	begin(&sealer, NULL);
	for (int i = 0; i < 10; i++)
		sealed(&sealer, "x", &out);
	assert_int_equal(fake.asked_for_mechanisms, 1);
	assert_int_equal(fake.live, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_data_key_seals_many_each_with_its_own_number, fresh),
		cmocka_unit_test_setup(a_key_is_used_for_so_many_messages_bytes_and_so_long, fresh),
		cmocka_unit_test_setup(no_key_has_more_messages_than_there_are_numbers, fresh),
		cmocka_unit_test_setup(after_a_rotation_there_is_a_new_key_within_a_second, fresh),
		cmocka_unit_test_setup(the_record_is_in_it_only_if_asked_for, fresh),
		cmocka_unit_test_setup(what_does_not_fit_is_refused, fresh),
		cmocka_unit_test_setup(
			a_failure_of_any_call_leaves_nothing_and_the_next_message_works, fresh),
		cmocka_unit_test_setup(
			a_message_costs_two_calls_where_the_module_derives_its_key_itself, fresh),
		cmocka_unit_test_setup(one_data_key_seals_many_each_with_its_own_number,
				       fresh_older),
		cmocka_unit_test_setup(an_older_module_is_asked_once, fresh_older),
		cmocka_unit_test_setup(
			a_failure_of_any_call_leaves_nothing_and_the_next_message_works,
			fresh_older),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
