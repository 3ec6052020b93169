/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Opening messages over a toy token: which keys are kept, and what is refused.
 * tests/module/messages.c does it over the real module. */
#include "envelope/opener.h"
#include "base/macros.h"
#include "envelope/sealer.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

static struct envelope_token token;

static int fresh(void **state)
{
	(void)state;
	fake_token_reset();
	token = fake_token_session();
	return 0;
}

static int fresh_older(void **state)
{
	fresh(state);
	fake.is_older = true;
	return 0;
}

/* A message by a data key of its own. */
static void make(bool embed, const char *bound_to, struct buffer *out)
{
	AUTO(message_sealer_clear) struct message_sealer sealer;
	struct message_input input = {.payload = bytes_of("the payload"),
				      .collection = 7,
				      .bound_to = bytes_of(bound_to)};
	struct envelope_error error = {0};

	message_sealer_init(&sealer, &token, fake_token_zone(0), embed, NULL, NULL);
	assert_int_equal(message_seal(&sealer, &input, out, &error), ENVELOPE_OK);
}

static struct envelope_error last;

static enum envelope_status open_by(struct message_opener *opener, struct bytes in,
				    const char *bound_to)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct message message;
	enum envelope_status status;

	last = (struct envelope_error){0};
	TRY(message_decode(in, &message, &last));
	status = message_open(opener, &message, bytes_of(bound_to), &out, &last);
	if (status == ENVELOPE_OK)
		assert_bytes(buffer_bytes(&out), bytes_of("the payload"));
	else
		assert_int_equal(out.len, 0);
	return status;
}

static enum envelope_status open_once(struct bytes in, const char *bound_to)
{
	AUTO(message_opener_clear) struct message_opener opener;

	message_opener_init(&opener, &token, 0);
	return open_by(&opener, in, bound_to);
}

static void a_data_key_is_unwrapped_once(void **state)
{
	AUTO(message_opener_clear) struct message_opener opener;
	AUTO(buffer_clear) struct buffer one = {0}, two = {0};

	(void)state;
	make(false, NULL, &one);
	make(false, NULL, &two);
	message_opener_init(&opener, &token, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(open_by(&opener, buffer_bytes(&one), NULL), ENVELOPE_OK);
		assert_int_equal(open_by(&opener, buffer_bytes(&two), NULL), ENVELOPE_OK);
	}
	assert_int_equal(opener.unwrapped, 2);
	assert_int_equal(fake.live, 2);
}

static void the_last_64_data_keys_are_kept_and_no_more(void **state)
{
	AUTO(message_opener_clear) struct message_opener opener;
	AUTO(buffer_clear) struct buffer first = {0};

	(void)state;
	make(false, NULL, &first);
	message_opener_init(&opener, &token, 0);
	for (int i = 0; i < 100; i++) {
		AUTO(buffer_clear) struct buffer other = {0};

		make(false, NULL, &other);
		assert_int_equal(open_by(&opener, buffer_bytes(&other), NULL), ENVELOPE_OK);
		assert_int_equal(open_by(&opener, buffer_bytes(&first), NULL), ENVELOPE_OK);
	}
	/* The one that is used always stays. */
	assert_int_equal(opener.unwrapped, 101);
	assert_int_equal(fake.live, MESSAGE_KEYS_MAX);
	message_opener_clear(&opener);
	assert_int_equal(fake.live, 0);
}

static void each_flipped_bit_is_noticed_whether_the_key_is_kept_or_not(void **state)
{
	AUTO(message_opener_clear) struct message_opener opener;
	AUTO(buffer_clear) struct buffer in = {0};

	(void)state;
	make(true, "orders/3", &in);
	message_opener_init(&opener, &token, 0);
	assert_int_equal(open_by(&opener, buffer_bytes(&in), "orders/3"), ENVELOPE_OK);
	for (size_t bit = 0; bit < 8 * in.len; bit++) {
		in.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(open_by(&opener, buffer_bytes(&in), "orders/3"), ENVELOPE_OK);
		assert_int_not_equal(open_once(buffer_bytes(&in), "orders/3"), ENVELOPE_OK);
		in.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(open_by(&opener, buffer_bytes(&in), "orders/3"), ENVELOPE_OK);
}

static void further_data_must_be_given_again(void **state)
{
	AUTO(buffer_clear) struct buffer bound = {0}, free_one = {0};

	(void)state;
	make(false, "orders/3", &bound);
	make(false, NULL, &free_one);
	assert_int_equal(open_once(buffer_bytes(&bound), "orders/3"), ENVELOPE_OK);
	assert_int_equal(open_once(buffer_bytes(&bound), NULL), ENVELOPE_NAME_NEEDED);
	assert_int_equal(open_once(buffer_bytes(&free_one), "orders/3"), ENVELOPE_NOT_BOUND);
	assert_int_equal(open_once(buffer_bytes(&bound), "orders/4"), ENVELOPE_DAMAGED);
	assert_string_equal(
		last.text,
		"message: changed, or bound to another name than given: look at the name");
}

static void without_the_zone_it_opens_by_its_record_or_not_at_all(void **state)
{
	AUTO(buffer_clear) struct buffer with = {0}, without = {0};

	(void)state;
	make(true, NULL, &with);
	make(false, NULL, &without);
	fake.zones[0] = 0;
	assert_int_equal(open_once(buffer_bytes(&with), NULL), ENVELOPE_OK);
	assert_int_equal(fake.opened_records, 1);
	assert_int_equal(open_once(buffer_bytes(&without), NULL), ENVELOPE_ZONE_UNKNOWN);
	assert_string_equal(last.text, "zone 11, key version 1");
	fake.root_keys[0] = NULL;
	envelope_token_clear(&token);
	assert_int_equal(open_once(buffer_bytes(&with), NULL), ENVELOPE_ROOT_KEY_UNKNOWN);
}

static void of_one_zone_alone_if_the_reader_says_so(void **state)
{
	AUTO(message_opener_clear) struct message_opener opener;
	AUTO(buffer_clear) struct buffer in = {0};

	(void)state;
	make(false, NULL, &in);
	message_opener_init(&opener, &token, 22);
	assert_int_equal(open_by(&opener, buffer_bytes(&in), NULL), ENVELOPE_OTHER_ZONE);
	opener.zone = 11;
	assert_int_equal(open_by(&opener, buffer_bytes(&in), NULL), ENVELOPE_OK);
}

/* The message with another record in it: whoever does that has no key. */
static enum envelope_status with_record(const struct buffer *in, struct bytes record)
{
	AUTO(buffer_clear) struct buffer changed = {0};
	struct message message;

	assert_int_equal(message_decode(buffer_bytes(in), &message, &last), ENVELOPE_OK);
	message.record = record;
	assert_int_equal(message_header_encode(message.dek, &message, &changed), ENVELOPE_OK);
	buffer_append(&changed, message.sealed);
	return open_once(buffer_bytes(&changed), NULL);
}

static void a_record_is_the_keys_own_and_one_that_may_travel(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0}, other = {0}, later = {0}, kept = {0};

	(void)state;
	make(false, NULL, &in);
	fake_token_record(22, 1, fake.root_keys[0], &other);
	fake_token_record(11, 2, fake.root_keys[0], &later);
	fake_token_kept_record(11, 1, fake.root_keys[0], &kept);
	assert_int_equal(with_record(&in, buffer_bytes(&other)), ENVELOPE_DAMAGED);
	assert_string_equal(last.text, "message: the key record is another key's");
	assert_int_equal(with_record(&in, buffer_bytes(&later)), ENVELOPE_DAMAGED);
	assert_int_equal(with_record(&in, buffer_bytes(&kept)), ENVELOPE_DAMAGED);
	assert_string_equal(last.text,
			    "message: the key record is one that must stay in its store");
	assert_int_equal(with_record(&in, bytes_of("no record")), ENVELOPE_DAMAGED);
	assert_string_equal(last.text, "message: the key record is malformed");
	assert_int_equal(fake.opened_records, 0);
}

static void a_data_key_with_another_id_is_another_key(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0}, wrapped = {0}, changed = {0};
	CK_OBJECT_HANDLE dek;
	uint8_t aad[MESSAGE_DEK_AAD], names[MESSAGE_DEK];
	struct message message;

	(void)state;
	make(false, NULL, &in);
	assert_int_equal(message_decode(buffer_bytes(&in), &message, &last), ENVELOPE_OK);
	/* Another key, wrapped for the first one's id by somebody who may use the zone. */
	assert_int_equal(envelope_dek_make(&token, NULL, 0, &dek, &last), ENVELOPE_OK);
	message_dek_aad(message.dek_id, aad);
	assert_int_equal(envelope_dek_wrap(&token, dek, fake_token_zone(0), bytes(aad, sizeof(aad)),
					   &wrapped, NULL, &last),
			 ENVELOPE_OK);
	message_put_dek(buffer_bytes(&wrapped), message.dek_id, names);
	assert_int_equal(message_header_encode(bytes(names, MESSAGE_DEK), &message, &changed),
			 ENVELOPE_OK);
	buffer_append(&changed, message.sealed);
	assert_int_equal(open_once(buffer_bytes(&changed), NULL), ENVELOPE_DAMAGED);
	assert_string_equal(last.text, "message: the data key is not the one it was sealed with");
	assert_int_equal(fake.live, 1);
}

static void a_failure_of_any_call_leaves_nothing_and_the_next_try_works(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0};
	unsigned failures = 0;

	(void)state;
	make(true, NULL, &in);
	for (unsigned at = 1;; at++) {
		AUTO(message_opener_clear) struct message_opener opener;

		message_opener_init(&opener, &token, 0);
		fake.fail_at = fake.calls + at;
		if (open_by(&opener, buffer_bytes(&in), NULL) == ENVELOPE_OK)
			break;
		assert_int_equal(fake.live, 0);
		fake.fail_at = 0;
		assert_int_equal(open_by(&opener, buffer_bytes(&in), NULL), ENVELOPE_OK);
		failures++;
	}
	assert_in_range(failures, 6, 20);
}

/* `older`: the module that seals; the other opens. */
static void pass(bool older, const char *bound_to)
{
	AUTO(buffer_clear) struct buffer in = {0};

	fake.is_older = older;
	make(false, bound_to, &in);
	token = fake_token_session();
	fake.is_older = !older;
	assert_int_equal(open_once(buffer_bytes(&in), bound_to), ENVELOPE_OK);
	token = fake_token_session();
}

static void what_one_release_seals_the_other_opens(void **state)
{
	char long_one[2 * 512];

	(void)state;
	memset(long_one, 'x', sizeof(long_one));
	long_one[900] = '\0';
	for (int older = 0; older < 2; older++) {
		pass(older, NULL);
		pass(older, "orders/3");
		pass(older, long_one + 900 - (512 - MESSAGE_HEADER)); /* as long as fits */
		pass(older, long_one + 900 - (512 - MESSAGE_HEADER) - 1);
		pass(older, long_one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_data_key_is_unwrapped_once, fresh),
		cmocka_unit_test_setup(the_last_64_data_keys_are_kept_and_no_more, fresh),
		cmocka_unit_test_setup(each_flipped_bit_is_noticed_whether_the_key_is_kept_or_not,
				       fresh),
		cmocka_unit_test_setup(further_data_must_be_given_again, fresh),
		cmocka_unit_test_setup(without_the_zone_it_opens_by_its_record_or_not_at_all,
				       fresh),
		cmocka_unit_test_setup(of_one_zone_alone_if_the_reader_says_so, fresh),
		cmocka_unit_test_setup(a_record_is_the_keys_own_and_one_that_may_travel, fresh),
		cmocka_unit_test_setup(a_data_key_with_another_id_is_another_key, fresh),
		cmocka_unit_test_setup(a_failure_of_any_call_leaves_nothing_and_the_next_try_works,
				       fresh),
		cmocka_unit_test_setup(what_one_release_seals_the_other_opens, fresh),
		cmocka_unit_test_setup(each_flipped_bit_is_noticed_whether_the_key_is_kept_or_not,
				       fresh_older),
		cmocka_unit_test_setup(further_data_must_be_given_again, fresh_older),
		cmocka_unit_test_setup(a_failure_of_any_call_leaves_nothing_and_the_next_try_works,
				       fresh_older),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
