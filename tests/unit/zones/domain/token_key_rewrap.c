/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Token keys that are wrapped anew, by the primary version of their zone. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "tests/support/stored_keys.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

static void rotate(struct zones *zones, uint64_t id, uint32_t version)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(zones, id);
	AUTO(entry_releasep) struct entry *rotated = NULL;

	assert_int_equal(zones_zone_rotate(zones, zone, version, &rotated), ZONE_OK);
}

static void mark(struct zones *zones, uint64_t id, enum zone_mark mark, uint32_t version)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(zones, id);
	AUTO(entry_releasep) struct entry *marked = NULL;

	assert_int_equal(zones_zone_mark(zones, zone, mark, version, &marked), ZONE_OK);
}

static enum zone_status retire(struct zones *zones, uint64_t id, uint32_t version)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(zones, id);

	return zones_version_step(zones, zone, version, VERSION_RETIRE);
}

static void a_key_that_was_wrapped_anew_holds_no_old_version_up(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;
	uint64_t zone = key->of_key.zone;

	assert_int_equal(zones_key_version(key), 1);
	rotate(f->zones, zone, 2);
	mark(f->zones, zone, ZONE_RAW, 2);
	mark(f->zones, zone, ZONE_MINIMUM, 2);
	assert_int_equal(retire(f->zones, zone, 1), ZONE_IN_USE);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_FENCED);
	mark(f->zones, zone, ZONE_MINIMUM, 1);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_OK);
	mark(f->zones, zone, ZONE_MINIMUM, 2);
	assert_int_equal(retire(f->zones, zone, 1), ZONE_OK);
	zones_reopen(f);
	found = zones_find_uid(f->zones, key->uid);
	assert_int_equal(zones_key_version(found), 2);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
	assert_string_equal(found->label, key->label);
	assert_int_equal(found->usages, key->usages);
	assert_bytes(found->extra, key->extra);
}

static void a_key_is_wrapped_anew_by_the_primary_version_alone(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	rotate(f->zones, key->of_key.zone, 2);
	assert_int_equal(zones_key_rewrap(f->zones, key, 1), ZONE_INVALID);
	assert_int_equal(zones_key_rewrap(f->zones, key, 3), ZONE_INVALID);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_OK);
	found = zones_find_uid(f->zones, key->uid);
	/* There is nothing left to do. */
	assert_int_equal(zones_key_rewrap(f->zones, found, 2), ZONE_OK);
	entry_release(key);
	key = zones_find_uid(f->zones, found->uid);
	assert_int_equal(key->revision, found->revision);
}

static void a_key_that_somebody_else_changed_is_not_wrapped_anew(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	rotate(f->zones, key->of_key.zone, 2);
	assert_int_equal(change(f->zones, key, "new", USAGE_UNWRAP, "x"), ZONE_OK);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_CONFLICT);
	found = zones_find_uid(f->zones, key->uid);
	assert_int_equal(found->usages, USAGE_UNWRAP);
	assert_int_equal(open_key(f->zones, found), ZONE_OK);
}

static void a_key_stays_wrapped_as_it_was_where_the_kms_says_no(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *key = make_key(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	rotate(f->zones, key->of_key.zone, 2);
	zones_reopen(f);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_DENIED);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_KMS_DENIED);
	found = zones_find_uid(f->zones, key->uid);
	assert_int_equal(zones_key_version(found), 1);
	assert_int_equal(found->revision, key->revision);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(a_key_that_was_wrapped_anew_holds_no_old_version_up),
		ZONES_TEST(a_key_is_wrapped_anew_by_the_primary_version_alone),
		ZONES_TEST(a_key_that_somebody_else_changed_is_not_wrapped_anew),
		ZONES_TEST(a_key_stays_wrapped_as_it_was_where_the_kms_says_no),
	};

	return cmocka_run_group_tests_name("token keys wrapped anew", tests, NULL, NULL);
}
