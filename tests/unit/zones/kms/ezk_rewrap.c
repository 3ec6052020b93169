/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A version goes to other root keys: by which calls, and what is left behind. */
#include "zones/kms/ezk_rewrap.h"

#include "base/log.h"
#include "base/macros.h"
#include "tests/support/sealed_versions.h"
#include "zones/model/wraps.h"

#define ELSEWHERE "arn:aws:kms:us-east-1:111122223333:key/99999999-9999-4999-8999-999999999999"

static enum zone_status rewrap_to(struct live_zones *live, const struct ezk_version *version,
				  const struct ezk_wish *wish, struct ezk_version *ret_wrapped)
{
	const struct kms_door door = {.clients = live->clients};

	return ezk_version_rewrap(&door, ZONE, version, wish, ret_wrapped);
}

static enum zone_status rewrap_by(struct live_zones *live, const struct ezk_version *version,
				  const char *key, struct ezk_version *ret_wrapped)
{
	const struct ezk_wish wish = {&key, 1, false};

	return rewrap_to(live, version, &wish, ret_wrapped);
}

static void assert_wrap(const struct ezk_version *version, size_t at, const char *arn,
			enum wrap_state state)
{
	assert_true(at < version->wrap_count);
	assert_string_equal(version->wraps[at].arn, arn);
	assert_int_equal(version->wraps[at].state, state);
}

static unsigned calls(struct live_zones *live, enum fake_kms_call call)
{
	return fake_kms_calls(&live->kms, call);
}

static void in_one_place_the_kms_does_it_unseen(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};
	uint8_t before[EZK_SIZE], after[EZK_SIZE];

	seal(live, &limited, &version);
	assert_int_equal(rewrap_by(live, &version, ROOT_2, &moved), ZONE_OK);
	assert_int_equal(calls(live, FAKE_RE_ENCRYPT), 1);
	assert_int_equal(calls(live, FAKE_DECRYPT), 0);
	assert_int_equal(moved.wrap_count, 2);
	assert_wrap(&moved, 0, ROOT_2, WRAP_UNPROVEN);
	assert_wrap(&moved, 1, ROOT_1, WRAP_REPLACED);
	assert_true(record_same_bound(&version, &moved));
	assert_int_equal(open_as(live, ZONE, &version, before), ZONE_OK);
	assert_int_equal(open_as(live, ZONE, &moved, after), ZONE_OK);
	assert_memory_equal(before, after, EZK_SIZE);
}

static void elsewhere_it_is_opened_and_encrypted_and_proven(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};
	uint8_t ezk[EZK_SIZE];

	fake_kms_add(&live->kms, ELSEWHERE, NULL);
	seal(live, &plain, &version);
	assert_int_equal(rewrap_by(live, &version, ELSEWHERE, &moved), ZONE_OK);
	assert_int_equal(calls(live, FAKE_RE_ENCRYPT), 0);
	assert_int_equal(moved.wrap_count, 1);
	assert_wrap(&moved, 0, ELSEWHERE, WRAP_ACTIVE);
	assert_int_equal(open_as(live, ZONE, &moved, ezk), ZONE_OK);
}

static void no_to_prove(void *state, enum fake_kms_call call)
{
	struct live_zones *live = state;

	if (call == FAKE_ENCRYPT)
		fake_kms_fail(&live->kms, FAKE_DECRYPT, KMS_DENIED, 1);
}

static void a_wrap_that_its_maker_may_not_open_stays_unproven(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};

	fake_kms_add(&live->kms, ELSEWHERE, NULL);
	seal(live, &plain, &version);
	live->kms.on_call = no_to_prove;
	live->kms.on_call_state = live;
	assert_int_equal(rewrap_by(live, &version, ELSEWHERE, &moved), ZONE_OK);
	assert_wrap(&moved, 0, ELSEWHERE, WRAP_UNPROVEN);
	assert_wrap(&moved, 1, ROOT_1, WRAP_REPLACED);
}

static void a_second_key_needs_one_call_and_replaces_nothing(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};
	const char *keys[] = {ROOT_1, ROOT_2};
	const struct ezk_wish wish = {keys, 2, false};

	seal(live, &plain, &version);
	assert_int_equal(rewrap_to(live, &version, &wish, &moved), ZONE_OK);
	assert_int_equal(calls(live, FAKE_RE_ENCRYPT), 1);
	assert_int_equal(moved.wrap_count, 2);
	assert_wrap(&moved, 0, ROOT_1, WRAP_ACTIVE);
	assert_wrap(&moved, 1, ROOT_2, WRAP_UNPROVEN);
}

static void by_new_material_the_same_key_is_asked_again(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, moved = {0};
	const char *key = ROOT_1;
	const struct ezk_wish wish = {&key, 1, true};

	seal(live, &plain, &version);
	assert_int_equal(rewrap_by(live, &version, ROOT_1, &moved), ZONE_OK);
	assert_int_equal(calls(live, FAKE_RE_ENCRYPT), 0);
	assert_true(ezk_version_same_wraps(&version, &moved));
	ezk_version_clear(&moved);
	assert_int_equal(rewrap_to(live, &version, &wish, &moved), ZONE_OK);
	assert_wrap(&moved, 0, ROOT_1, WRAP_UNPROVEN);
	assert_wrap(&moved, 1, ROOT_1, WRAP_REPLACED);
}

static void a_key_that_says_no_or_a_blob_that_is_none_leads_to_the_next(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear) struct ezk_version version = {0}, both = {0}, moved = {0};
	const char *keys[] = {ROOT_1, ROOT_2};
	const struct ezk_wish wish = {keys, 2, false};

	seal(live, &plain, &version);
	assert_int_equal(rewrap_to(live, &version, &wish, &both), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(rewrap_by(live, &both, ROOT_3, &moved), ZONE_OK);
	assert_wrap(&moved, 0, ROOT_3, WRAP_UNPROVEN);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	ezk_version_clear(&moved);
	assert_int_equal(rewrap_by(live, &both, ROOT_3, &moved), ZONE_KMS_DISABLED);
	assert_null(moved.wraps);
}

static void trying_proves_what_opens_and_undoes_what_does_not(void **state)
{
	struct live_zones *live = *state;
	AUTO(ezk_version_clear)
	struct ezk_version version = {0}, moved = {0}, proven = {0}, undone = {0};
	const struct kms_door door = {.clients = live->clients};

	seal(live, &plain, &version);
	assert_int_equal(rewrap_by(live, &version, ROOT_2, &moved), ZONE_OK);
	assert_int_equal(ezk_version_try(&door, ZONE, &moved, &proven), ZONE_OK);
	assert_int_equal(proven.wrap_count, 1);
	assert_wrap(&proven, 0, ROOT_2, WRAP_ACTIVE);
	((uint8_t *)(uintptr_t)moved.wraps[0].blob.data)[0] ^= 1;
	assert_int_equal(ezk_version_try(&door, ZONE, &moved, &undone), ZONE_OK);
	assert_int_equal(undone.wrap_count, 1);
	assert_wrap(&undone, 0, ROOT_1, WRAP_ACTIVE);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_ENABLED, KMS_DENIED);
	((uint8_t *)(uintptr_t)moved.wraps[0].blob.data)[0] ^= 1;
	ezk_version_clear(&undone);
	assert_int_equal(ezk_version_try(&door, ZONE, &moved, &undone), ZONE_KMS_DENIED);
}

#define LIVE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(in_one_place_the_kms_does_it_unseen),
		LIVE(elsewhere_it_is_opened_and_encrypted_and_proven),
		LIVE(a_wrap_that_its_maker_may_not_open_stays_unproven),
		LIVE(a_second_key_needs_one_call_and_replaces_nothing),
		LIVE(by_new_material_the_same_key_is_asked_again),
		LIVE(a_key_that_says_no_or_a_blob_that_is_none_leads_to_the_next),
		LIVE(trying_proves_what_opens_and_undoes_what_does_not),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
