/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Two owners of one EZK: what is made by both opens by both, and by nothing else. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/sealed_versions.h"
#include "zones/kms/ezk_rewrap.h"
#include "zones/kms/ezk_shares.h"
#include "zones/model/wraps.h"

static struct ezk_seal by_both(const uint8_t *key)
{
	struct ezk_seal seal = plain;

	seal.second = ROOT_2;
	seal.key = key;
	return seal;
}

static const uint8_t known_key[EZK_SIZE] = {7, 8, 9};

/* Under the roots 1 and 2 together. */
static void seal_both(struct live_zones *live, struct ezk_version *version)
{
	struct ezk_seal both = by_both(known_key);

	seal(live, &both, version);
}

static void shares_make_the_key_and_neither_is_it(void **state)
{
	uint8_t shares[SHARES_SIZE], ezk[EZK_SIZE], others[SHARES_SIZE];

	(void)state;
	assert_int_equal(ezk_shares_split(known_key, false, shares), ZONE_OK);
	ezk_shares_combine(shares, shares + EZK_SIZE, ezk);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
	assert_memory_not_equal(shares, known_key, EZK_SIZE);
	assert_memory_not_equal(shares + EZK_SIZE, known_key, EZK_SIZE);
	assert_int_equal(ezk_shares_split(known_key, false, others), ZONE_OK);
	assert_memory_not_equal(shares, others, EZK_SIZE);
	memset(others, 5, EZK_SIZE);
	assert_int_equal(ezk_shares_split(known_key, true, others), ZONE_OK);
	assert_int_equal(others[0], 5);
	assert_int_equal(others[EZK_SIZE], 5 ^ 7);
}

static void version_of_two_owners_opens_by_both(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	assert_true(version.all_wraps);
	assert_int_equal(version.wrap_count, 2);
	assert_string_equal(version.wraps[0].arn, ROOT_1);
	assert_string_equal(version.wraps[1].arn, ROOT_2);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_OK);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
	assert_int_equal(live_decrypts(live), 2);
}

static void the_kms_may_draw_a_share_and_never_the_whole(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct ezk_seal drawn = by_both(NULL);
	uint8_t ezk[EZK_SIZE];

	drawn.from_kms = true;
	seal(live, &drawn, &version);
	assert_int_equal(fake_kms_calls(&live->kms, FAKE_GENERATE), 1);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_OK);
}

static void two_owners_by_one_key_are_refused(void **state)
{
	struct live_zones *live = *state;
	struct kms_door door = live_door(live, ROOT_1);
	struct ezk_seal both = by_both(NULL);
	struct ezk_version version = {0};

	both.second = ROOT_1;
	assert_int_equal(ezk_version_seal(&door, &both, &version), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "are one key"));
	assert_int_equal(fake_kms_calls(&live->kms, FAKE_ENCRYPT), 0);
	assert_int_equal(ezk_shares_check_keys(&door, "arn:aws:kms:eu-west-1:1:key/mrk-1",
					       "arn:aws:kms:us-east-1:1:key/mrk-1"),
			 ZONE_INVALID);
}

static void a_no_of_either_is_the_answer(void **state)
{
	static const char *const roots[] = {ROOT_1, ROOT_2};
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	for (size_t i = 0; i < COUNT_OF(roots); i++) {
		fake_kms_set(&live->kms, roots[i], KMS_KEY_DISABLED, KMS_OK);
		assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DISABLED);
		fake_kms_set(&live->kms, roots[i], KMS_KEY_PENDING_DELETION, KMS_OK);
		assert_true(zone_status_is_no(open_as(live, ZONE, &version, ezk)));
		fake_kms_set(&live->kms, roots[i], KMS_KEY_ENABLED, KMS_DENIED);
		assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DENIED);
		fake_kms_set(&live->kms, roots[i], KMS_KEY_ENABLED, KMS_OK);
	}
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_OK);
}

static void an_outage_of_one_hides_no_no_of_the_other(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_THROTTLED);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_THROTTLED);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DISABLED);
}

/* --- Records that somebody has changed */

static void shares_can_not_change_places(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	version.wraps[0].share = 2;
	version.wraps[1].share = 1;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	version.wraps[1].share = 2;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
}

static void a_share_of_another_zone_or_version_does_not_open(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, other = {0}, again = {0};
	struct ezk_seal both = by_both(known_key);
	struct wrap own;
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	own = version.wraps[1];
	both.identity.zone++;
	seal(live, &both, &other);
	version.wraps[1] = other.wraps[1];
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	version.wraps[1] = own;
	/* The same zone and version, drawn another time: the context fits, the key does not. */
	both = by_both(known_key);
	seal(live, &both, &again);
	version.wraps[1] = again.wraps[1];
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
	assert_non_null(strstr(log_last(), "two root keys"));
	version.wraps[1] = own;
}

/* OR in place of AND: the share is offered as the key. */
static void a_share_does_not_pass_for_the_key(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	version.all_wraps = false;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
	assert_int_equal(live_decrypts(live), 0);
	version.wraps[0].share = version.wraps[1].share = 0;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
}

/* AND in place of OR: the key is offered as a share. */
static void the_key_does_not_pass_for_a_share(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_twice(live, &version);
	version.all_wraps = true;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
	assert_int_equal(live_decrypts(live), 0);
	version.wraps[0].share = 1;
	version.wraps[1].share = 2;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
}

static void two_shares_by_one_key_do_not_open(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer record = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	assert_true(entry_set_text(&version.wraps[1].arn, bytes_of(ROOT_1)));
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
	assert_int_equal(record_encode(ZONE, &version, &record), ZONE_INVALID);
	assert_int_equal(live_decrypts(live), 0);
}

static void record_keeps_which_share_is_which(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, decoded = {0}, bad = {0};
	AUTO(buffer_clear) struct buffer record = {0};
	uint8_t ezk[EZK_SIZE];
	uint64_t zone;

	seal_both(live, &version);
	assert_int_equal(record_encode(ZONE, &version, &record), ZONE_OK);
	assert_int_equal(record.data[5], 1);
	assert_int_equal(record_decode(buffer_bytes(&record), &zone, &decoded), ZONE_OK);
	assert_true(ezk_version_same_wraps(&version, &decoded));
	assert_int_equal(open_as(live, ZONE, &decoded, ezk), ZONE_OK);
	record.data[5] = 0;
	assert_int_equal(record_decode(buffer_bytes(&record), &zone, &bad), ZONE_INVALID);
}

/* --- Versions that follow and move */

static void a_new_version_has_the_same_owners(void **state)
{
	struct live_zones *live = *state;
	struct kms_door door = live_door(live, NULL);
	AUTO(ezk_version_clear) struct ezk_version version = {0}, next = {0};
	struct ezk_seal follows = {.identity = {.zone = ZONE, .version = 4}};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	follows.like = &version;
	assert_int_equal(ezk_version_seal(&door, &follows, &next), ZONE_OK);
	assert_true(next.all_wraps);
	assert_string_equal(next.wraps[1].arn, ROOT_2);
	assert_int_equal(open_as(live, ZONE, &next, ezk), ZONE_OK);
	assert_memory_not_equal(ezk, known_key, EZK_SIZE);
}

static enum zone_status move_to(struct live_zones *live, const struct ezk_version *version,
				const char *one, const char *two, bool both,
				struct ezk_version *ret_moved)
{
	struct kms_door door = live_door(live, NULL);
	const char *keys[] = {one, two};
	const struct ezk_wish wish = {keys, two == NULL ? 1 : 2, false, both};

	return ezk_version_rewrap(&door, ZONE, version, &wish, ret_moved);
}

static void share_moves_by_re_encryption_alone(void **state)
{
	struct live_zones *live = *state;
	struct kms_door door = live_door(live, NULL);
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0}, proven = {0};
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	/* Whoever moves it may open nothing. */
	fake_kms_fail(&live->kms, FAKE_DECRYPT, KMS_DENIED, 100);
	assert_int_equal(move_to(live, &version, ROOT_3, ROOT_2, true, &moved), ZONE_OK);
	fake_kms_fail(&live->kms, FAKE_DECRYPT, KMS_OK, 0);
	assert_int_equal(moved.wrap_count, 3);
	assert_string_equal(ezk_version_live_share(&moved, 1)->arn, ROOT_3);
	assert_int_equal(ezk_version_live_share(&moved, 1)->state, WRAP_UNPROVEN);
	assert_string_equal(ezk_version_live_share(&moved, 2)->arn, ROOT_2);
	assert_int_equal(ezk_version_live_share(&moved, 2)->state, WRAP_ACTIVE);
	assert_int_equal(open_as(live, ZONE, &moved, ezk), ZONE_OK);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
	assert_int_equal(ezk_version_try(&door, ZONE, &moved, &proven), ZONE_OK);
	assert_int_equal(proven.wrap_count, 2);
	assert_int_equal(ezk_version_count(&proven, WRAP_ACTIVE), 2);
}

/* The KMS was to have moved it and has not. */
static void share_that_was_moved_wrongly_opens_by_the_one_before(void **state)
{
	struct live_zones *live = *state;
	struct kms_door door = live_door(live, NULL);
	AUTO(ezk_version_clear)
	struct ezk_version version = {0}, other = {0}, moved = {0}, proven = {0};
	struct ezk_seal both = by_both(known_key);
	uint8_t ezk[EZK_SIZE];

	seal_both(live, &version);
	assert_int_equal(move_to(live, &version, ROOT_1, ROOT_3, true, &moved), ZONE_OK);
	both.second = ROOT_3;
	seal(live, &both, &other);
	for (size_t i = 0; i < moved.wrap_count; i++)
		if (moved.wraps[i].state == WRAP_UNPROVEN)
			assert_true(entry_set_bytes(&moved.wraps[i].blob, other.wraps[1].blob));
	assert_int_equal(open_as(live, ZONE, &moved, ezk), ZONE_OK);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
	assert_int_equal(ezk_version_try(&door, ZONE, &moved, &proven), ZONE_OK);
	assert_int_equal(proven.wrap_count, 2);
	assert_string_equal(ezk_version_live_share(&proven, 2)->arn, ROOT_2);
	/* A no never leads there. */
	fake_kms_set(&live->kms, ROOT_3, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_as(live, ZONE, &moved, ezk), ZONE_KMS_DISABLED);
}

static void share_moves_by_hand_where_the_kms_may_not(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};
	unsigned decrypts;

	seal_both(live, &version);
	fake_kms_fail(&live->kms, FAKE_RE_ENCRYPT, KMS_DENIED, 1);
	decrypts = live_decrypts(live);
	assert_int_equal(move_to(live, &version, ROOT_1, ROOT_3, true, &moved), ZONE_OK);
	/* That share alone: as it was, and as it is. */
	assert_int_equal(live_decrypts(live), decrypts + 2);
	assert_int_equal(moved.wrap_count, 2);
	assert_int_equal(ezk_version_count(&moved, WRAP_ACTIVE), 2);
	assert_string_equal(moved.wraps[1].arn, ROOT_3);
}

static void one_owner_becomes_two_and_one_again(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version one = {0}, two = {0}, back = {0}, bad = {0};
	struct ezk_seal given = plain;
	uint8_t ezk[EZK_SIZE];

	given.key = known_key;
	seal(live, &given, &one);
	assert_int_equal(move_to(live, &one, ROOT_1, ROOT_1, true, &bad), ZONE_INVALID);
	assert_int_equal(move_to(live, &one, ROOT_1, ROOT_2, true, &two), ZONE_OK);
	assert_int_equal(two.wrap_count, 2);
	assert_true(two.all_wraps);
	assert_memory_equal(two.mac, one.mac, sizeof(one.mac));
	assert_int_equal(open_as(live, ZONE, &two, ezk), ZONE_OK);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
	/* Back by both yeses. */
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(move_to(live, &two, ROOT_1, NULL, false, &bad), ZONE_KMS_DISABLED);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(move_to(live, &two, ROOT_1, NULL, false, &back), ZONE_OK);
	assert_false(back.all_wraps);
	assert_int_equal(back.wrap_count, 1);
	assert_int_equal(open_as(live, ZONE, &back, ezk), ZONE_OK);
	assert_memory_equal(ezk, known_key, EZK_SIZE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(shares_make_the_key_and_neither_is_it),
		CASE(version_of_two_owners_opens_by_both),
		CASE(the_kms_may_draw_a_share_and_never_the_whole),
		CASE(two_owners_by_one_key_are_refused),
		CASE(a_no_of_either_is_the_answer),
		CASE(an_outage_of_one_hides_no_no_of_the_other),
		CASE(shares_can_not_change_places),
		CASE(a_share_of_another_zone_or_version_does_not_open),
		CASE(a_share_does_not_pass_for_the_key),
		CASE(the_key_does_not_pass_for_a_share),
		CASE(two_shares_by_one_key_do_not_open),
		CASE(record_keeps_which_share_is_which),
		CASE(a_new_version_has_the_same_owners),
		CASE(share_moves_by_re_encryption_alone),
		CASE(share_that_was_moved_wrongly_opens_by_the_one_before),
		CASE(share_moves_by_hand_where_the_kms_may_not),
		CASE(one_owner_becomes_two_and_one_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
