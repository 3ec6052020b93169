/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of an EZK: what seals them opens them, and what a changed or moved one comes to. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/digest.h"
#include "tests/support/sealed_versions.h"

static void sealed_version_opens(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t first[EZK_SIZE], second[EZK_SIZE];

	seal(*state, &plain, &version);
	assert_int_equal(version.version, 3);
	assert_int_equal(version.wrap_count, 1);
	assert_string_equal(version.wraps[0].arn, ROOT_1);
	assert_int_equal(open_as(*state, ZONE, &version, first), ZONE_OK);
	assert_int_equal(open_as(*state, ZONE, &version, second), ZONE_OK);
	assert_memory_equal(first, second, EZK_SIZE);
}

static void seal_uses_the_key_that_is_given(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t key[EZK_SIZE] = {1, 2, 3}, opened[EZK_SIZE];
	struct ezk_seal given = plain;

	given.key = key;
	seal(*state, &given, &version);
	assert_int_equal(open_as(*state, ZONE, &version, opened), ZONE_OK);
	assert_memory_equal(opened, key, EZK_SIZE);
}

static void seal_can_have_the_key_drawn_by_the_kms(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct ezk_seal from_kms = plain;
	uint8_t opened[EZK_SIZE];

	from_kms.from_kms = true;
	seal(live, &from_kms, &version);
	assert_int_equal(fake_kms_calls(&live->kms, FAKE_GENERATE), 1);
	assert_int_equal(fake_kms_calls(&live->kms, FAKE_ENCRYPT), 0);
	assert_int_equal(open_as(live, ZONE, &version, opened), ZONE_OK);
}

static void seal_under_a_disabled_key_leaves_nothing(void **state)
{
	struct live_zones *live = *state;
	struct kms_door door = live_door(live, ROOT_1);
	struct ezk_version version = {0};

	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(ezk_version_seal(&door, &plain, &version), ZONE_KMS_DISABLED);
	assert_null(version.wraps);
}

static void record_of_another_identity_does_not_open(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct ezk_version other;
	uint8_t ezk[EZK_SIZE];

	seal(*state, &plain, &version);
	assert_int_equal(open_as(*state, ZONE + 1, &version, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	other = version;
	other.version++;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	other = version;
	other.project.bytes[0] ^= 1;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	other = version;
	other.cluster.bytes[15] ^= 1;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	other = version;
	other.created_ms++;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
	other = version;
	other.greatest_usages |= USAGE_ENCRYPT;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
	other = version;
	other.limits = bytes("\1\0\0" OF_LEASES, 17);
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
	other = version;
	other.fingerprint[0] ^= 1;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
}

/* --- Limits */

static void limits_that_were_taken_away_or_changed_are_noticed(void **state)
{
	static const struct bytes changes[] = {
		{NULL, 0},
		{(const uint8_t *)OF_LEASES, 14},
		{(const uint8_t *)"\1\0\10\0\0\0\0\0\0\20\207" OF_LEASES, 25},
		{(const uint8_t *)"\3\0\1x" OF_LEASES, 18},
		{(const uint8_t *)"\1\0\10\0\0\0\0\0\0\20\207\3\0\1y" OF_LEASES, 29},
		{(const uint8_t *)"\1\0\10\0\0\0\0\0\0\20\207\3\0\1x" OF_LEASES "\6\0\0", 32},
	};
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal(*state, &limited, &version);
	assert_int_equal(open_as(*state, ZONE, &version, ezk), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct ezk_version other = version;

		other.limits = changes[i];
		assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
		assert_false(record_same_bound(&other, &version));
	}
}

static void that_a_record_is_for_its_store_is_bound_by_the_mac(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version open = {0}, kept = {0};
	struct ezk_seal for_its_store = limited;
	struct record_set set = {.zone = ZONE, .versions = &kept, .count = 1};
	struct ezk_version other;
	uint8_t ezk[EZK_SIZE];

	for_its_store.kept = true;
	seal(*state, &limited, &open);
	seal(*state, &for_its_store, &kept);
	assert_int_equal(open_as(*state, ZONE, &kept, ezk), ZONE_OK);
	assert_true(record_set_is_kept(&set));
	assert_int_equal(record_set_refuse_kept(&set), ZONE_RECORD_KEPT);
	other = kept;
	other.limits.len -= KEPT_LIMIT_SIZE;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
	assert_false(record_same_bound(&other, &kept));
	other = open;
	other.limits = kept.limits;
	assert_int_equal(open_as(*state, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
	set.versions = &open;
	assert_int_equal(record_set_refuse_kept(&set), ZONE_OK);
}

static void limits_too_long_or_malformed_are_not_sealed(void **state)
{
	static const uint8_t value[LIMITS_MAX];
	enum { FULL = LIMITS_MAX - LEASE_LIMITS_SIZE - 3 };
	AUTO(buffer_clear) struct buffer limits = {0};
	struct kms_door door = live_door(*state, ROOT_1);
	struct ezk_version version = {0};
	struct ezk_seal too_much = plain;

	limits_put(&limits, LIMIT_UNWRAP_TEMPLATE, bytes(value, FULL + 1));
	too_much.limits = buffer_bytes(&limits);
	assert_int_equal(ezk_version_seal(&door, &too_much, &version), ZONE_INVALID);
	too_much.limits.len--;
	assert_int_equal(ezk_version_seal(&door, &too_much, &version), ZONE_INVALID);
	assert_null(version.wraps);
}

/* As a later release may have made it: everything is right, and it means something. */
static void limit_of_a_later_release_makes_a_record_unusable(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer record = {0}, covered = {0};
	struct ezk_version read;
	uint8_t ezk[EZK_SIZE], key[EZK_SIZE];
	struct bytes part;
	uint64_t zone;

	seal(*state, &limited, &version);
	assert_int_equal(open_as(*state, ZONE, &version, ezk), ZONE_OK);
	assert_true(entry_set_bytes(&version.limits, bytes(OF_LEASES "\11\0\1x", 18)));
	buffer_append(&covered, bytes("CEZK\1", 5));
	record_put_bound(ZONE, &version, &covered);
	buffer_put_sized(&covered, version.limits);
	part = buffer_bytes(&covered);
	assert_true(ezk_derive(ezk, EZK_RECORD, ZONE, version.version, key));
	assert_true(hmac_once(DIGEST_SHA256, bytes(key, sizeof(key)), &part, 1, version.mac));
	assert_int_equal(open_as(*state, ZONE, &version, ezk), ZONE_RECORD_NEWER);
	assert_int_equal(record_encode(ZONE, &version, &record), ZONE_RECORD_NEWER);
	/* And as bytes: the first limit becomes the last. */
	assert_true(entry_set_bytes(&version.limits, bytes(OF_LEASES, 14)));
	assert_int_equal(record_encode(ZONE, &version, &record), ZONE_OK);
	record.data[98 + 7] = 9;
	assert_int_equal(record_decode(buffer_bytes(&record), &zone, &read), ZONE_RECORD_NEWER);
}

static void greatest_lease_is_bound_by_the_kms_and_the_mac(void **state)
{
	static const struct bytes changes[] = {
		{(const uint8_t *)"\4\0\4\0\0\16\21\5\0\4\0\0\34\40", 14},
		{(const uint8_t *)"\4\0\4\0\0\16\20\5\0\4\0\0\34\41", 14},
	};
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct ezk_context context;
	uint8_t ezk[EZK_SIZE];

	seal(live, &plain, &version);
	assert_bytes(version.limits, bytes(OF_LEASES, 14));
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct ezk_version other = version;

		other.limits = changes[i];
		assert_int_equal(open_as(live, ZONE, &other, ezk), ZONE_KMS_INVALID_CIPHERTEXT);
		assert_false(record_same_bound(&other, &version));
	}
	ezk_context_init(&context, &plain.identity);
	assert_int_equal(context.context.count, 7);
	assert_string_equal(context.pairs[5].name, "cmek:max-lease");
	assert_string_equal(context.pairs[5].value, "3600");
	assert_string_equal(context.pairs[6].name, "cmek:max-stale");
	assert_string_equal(context.pairs[6].value, "7200");
}

/* Neither of the store nor in bytes. */
static void record_without_a_greatest_lease_is_none(void **state)
{
	static const struct bytes lists[] = {
		{NULL, 0},
		{(const uint8_t *)"\4\0\4\0\0\16\20", 7},
		{(const uint8_t *)"\5\0\4\0\0\34\40", 7},
		{(const uint8_t *)"\4\0\3\0\16\20\5\0\4\0\0\34\40", 13},
		{(const uint8_t *)"\4\0\4\0\0\16\20\5\0\5\0\0\0\34\40", 15},
	};
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, read = {0};
	AUTO(buffer_clear) struct buffer whole = {0}, out = {0};
	uint8_t ezk[EZK_SIZE];
	uint64_t zone;

	seal(live, &plain, &version);
	assert_int_equal(record_encode(ZONE, &version, &whole), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		struct ezk_version other = version;
		AUTO(buffer_clear) struct buffer record = {0};

		other.limits = lists[i];
		assert_int_equal(open_as(live, ZONE, &other, ezk), ZONE_RECORD_CORRUPT);
		assert_int_equal(record_encode(ZONE, &other, &out), ZONE_INVALID);
		/* The same record with this list in place of its own. */
		buffer_append(&record, bytes(whole.data, 96));
		buffer_put_sized(&record, lists[i]);
		buffer_append(&record, bytes(whole.data + 112, whole.len - 112));
		put_big_endian(record.data + 6, 2, record.len);
		assert_int_equal(record_decode(buffer_bytes(&record), &zone, &read), ZONE_INVALID);
	}
	assert_int_equal(live_decrypts(live), 0);
}

/* A blob from elsewhere with the right context, as who may call kms:Encrypt can make: the MAC
 * tells. */
static void another_key_under_the_same_context_is_refused(void **state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0}, forged = {0};
	uint8_t ezk[EZK_SIZE];

	seal(*state, &plain, &version);
	seal(*state, &plain, &forged);
	memcpy(forged.mac, version.mac, sizeof(forged.mac));
	memset(forged.fingerprint, 0, sizeof(forged.fingerprint));
	assert_int_equal(open_as(*state, ZONE, &forged, ezk), ZONE_RECORD_CORRUPT);
}

static void plaintext_of_another_length_or_content_is_refused(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal(live, &plain, &version);
	live->kms.cut_to = 31;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
	live->kms.cut_to = 0;
	live->kms.flip = true;
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_RECORD_CORRUPT);
}

/* --- Several wraps */

static void any_wrap_opens(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_twice(live, &version);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_OK);
	fake_kms_fail(&live->kms, FAKE_DECRYPT, KMS_UNAVAILABLE, 1);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_OK);
}

static void a_no_without_a_yes_denies(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_twice(live, &version);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_DENIED);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DENIED);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&live->clock, 13000); /* past the longest silence */
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DISABLED);
}

static void replaced_wrap_is_never_asked(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t ezk[EZK_SIZE];

	seal_twice(live, &version);
	version.wraps[0].state = WRAP_REPLACED;
	version.wraps[1].state = WRAP_UNPROVEN;
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_as(live, ZONE, &version, ezk), ZONE_KMS_DISABLED);
	assert_int_equal(live_decrypts(live), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sealed_version_opens),
		CASE(seal_uses_the_key_that_is_given),
		CASE(seal_can_have_the_key_drawn_by_the_kms),
		CASE(seal_under_a_disabled_key_leaves_nothing),
		CASE(record_of_another_identity_does_not_open),
		CASE(limits_that_were_taken_away_or_changed_are_noticed),
		CASE(that_a_record_is_for_its_store_is_bound_by_the_mac),
		CASE(limits_too_long_or_malformed_are_not_sealed),
		CASE(limit_of_a_later_release_makes_a_record_unusable),
		CASE(greatest_lease_is_bound_by_the_kms_and_the_mac),
		CASE(record_without_a_greatest_lease_is_none),
		CASE(another_key_under_the_same_context_is_refused),
		CASE(plaintext_of_another_length_or_content_is_refused),
		CASE(any_wrap_opens),
		CASE(a_no_without_a_yes_denies),
		CASE(replaced_wrap_is_never_asked),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
