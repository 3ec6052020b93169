/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a zone's EZK: how a new one comes, what the others see of it, and the marks. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/audit_lines.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/missed.h"
#include "zones/domain/project.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/audit.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"

#include <time.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)
#define DEK	       "0123456789abcdef"

enum { WRAPPED_SIZE = 16 + DEK_WRAP_OVERHEAD };

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static struct entry *newest(struct zones *zones, const struct entry *zone)
{
	struct entry *found = zones_find_uid(zones, zone->uid);

	assert_non_null(found);
	return found;
}

static enum zone_status rotate_to(struct zones *zones, const struct entry *zone, uint32_t version)
{
	AUTO(entry_releasep) struct entry *rotated = NULL;
	enum zone_status status = zones_zone_rotate(zones, zone, version, &rotated);

	assert_true((status == ZONE_OK) == (rotated != NULL));
	if (rotated != NULL)
		assert_int_equal(rotated->of_zone.primary, version);
	return status;
}

static enum zone_status mark(struct zones *zones, const struct entry *zone, enum zone_mark what,
			     uint32_t value)
{
	AUTO(entry_releasep) struct entry *marked = NULL;

	return zones_zone_mark(zones, zone, what, value, &marked);
}

/* By the newest state that this domain knows. */
static enum zone_status wrap(struct zones *zones, const struct entry *zone,
			     uint8_t ret_wrapped[static WRAPPED_SIZE])
{
	AUTO(entry_releasep) struct entry *now = newest(zones, zone);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(zones), now, EZK_PRIMARY, &ezk));
	return dek_wrap(ezk, bytes_of(DEK), bytes(NULL, 0), ret_wrapped);
}

static enum zone_status unwrap(struct zones *zones, const struct entry *zone,
			       const uint8_t wrapped[static WRAPPED_SIZE])
{
	AUTO(entry_releasep) struct entry *now = newest(zones, zone);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	uint8_t dek[16];

	TRY(ezk_find(zones_registry(zones), now, EZK_PRIMARY, &ezk));
	TRY(dek_unwrap(ezk, bytes(wrapped, WRAPPED_SIZE), bytes(NULL, 0), dek, NULL));
	assert_memory_equal(dek, DEK, sizeof(dek));
	return ZONE_OK;
}

static uint32_t version_of(const uint8_t wrapped[static WRAPPED_SIZE])
{
	uint32_t version = 0;
	uint64_t zone;

	assert_true(dek_wrap_names(bytes(wrapped, WRAPPED_SIZE), &zone, &version));
	return version;
}

/* --- A new version */

static void next_version_wraps_and_older_ones_open(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	uint8_t old[WRAPPED_SIZE], new[WRAPPED_SIZE];
	unsigned calls;

	assert_int_equal(wrap(f->zones, zone, old), ZONE_OK);
	calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls + 1);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_GENERATE), 0);
	assert_int_equal(wrap(f->zones, zone, new), ZONE_OK);
	assert_int_equal(version_of(old), 1);
	assert_int_equal(version_of(new), 2);
	assert_int_equal(unwrap(f->zones, zone, old), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, new), ZONE_OK);
	now = newest(f->zones, zone);
	assert_int_equal(now->of_zone.raw, 1);
	assert_int_equal(now->of_zone.minimum, 1);
	assert_int_equal(now->of_zone.version_count, 2);
}

static void new_version_is_bound_as_the_one_before_is(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL, *now = NULL;
	struct entry_names names = names_of("db");
	const struct ezk_version *first, *second;

	names.max_lease = (struct wished_seconds){true, 77};
	names.kept = (struct wished_flag){true, true};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	fake_clock_advance(&f->clock, 5000);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	now = newest(f->zones, zone);
	first = entry_version(now, 1);
	second = entry_version(now, 2);
	assert_bytes(first->limits, second->limits);
	assert_true(limits_get_kept(second->limits));
	assert_int_equal(first->greatest_usages, second->greatest_usages);
	assert_true(uid_equal(first->project, second->project));
	assert_true(uid_equal(first->cluster, second->cluster));
	assert_int_equal(second->created_ms, first->created_ms + 5000);
	assert_memory_not_equal(first->fingerprint, second->fingerprint, 16);
	assert_int_equal(second->wrap_count, 1);
	assert_string_equal(second->wraps[0].arn, ROOT_A);
	/* What others read of it is the same. */
	zones_reopen(f);
	entry_release(now);
	now = newest(f->zones, zone);
	assert_int_equal(now->of_zone.version_count, 2);
	assert_int_equal(now->of_zone.primary, 2);
}

static void key_may_be_drawn_by_the_kms(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	uint8_t wrapped[WRAPPED_SIZE];
	unsigned calls;

	f->settings.ezk_from_kms = true;
	zones_reopen(f);
	calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_GENERATE), 1);
	assert_int_equal(wrap(f->zones, zone, wrapped), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, wrapped), ZONE_OK);
}

/* --- Several root keys */

struct rewrapping {
	const struct entry *zone;
	const char *arn;
	enum wrap_state first; /* what becomes of the wrap that was there */
};

/* Gives version 1 a second wrap, as rewrap does. */
static enum zone_status decide_second_wrap(struct changes *changes, void *state)
{
	struct rewrapping *rewrapping = state;
	const struct entry *now = index_uid(&changes->zones->index, rewrapping->zone->uid);
	AUTO(entry_releasep) struct entry *copy = entry_copy(now);
	struct ezk_version *version = &copy->of_zone.versions[0];

	version->wraps[0].state = rewrapping->first;
	TRY(ezk_version_add_wrap(version, rewrapping->arn, version->wraps[0].blob));
	return changes_put(changes, copy);
}

static void add_second_wrap(struct zones *zones, const struct entry *zone, const char *arn,
			    enum wrap_state first)
{
	struct rewrapping rewrapping = {zone, arn, first};

	assert_int_equal(zones_change(zones, decide_second_wrap, &rewrapping), ZONE_OK);
}

static void assert_wrapped_by(const struct entry *zone, uint32_t version, const char *first,
			      const char *second)
{
	const struct ezk_version *found = entry_version(zone, version);

	assert_int_equal(found->wrap_count, second == NULL ? 1 : 2);
	assert_string_equal(found->wraps[0].arn, first);
	if (second != NULL)
		assert_string_equal(found->wraps[1].arn, second);
}

static void every_root_key_in_use_wraps_the_new_version(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	uint8_t wrapped[WRAPPED_SIZE];

	add_second_wrap(f->zones, zone, ROOT_B, WRAP_ACTIVE);
	for (uint32_t version = 2; version <= 3; version++) {
		f->settings.ezk_from_kms = version == 3;
		zones_reopen(f);
		assert_int_equal(rotate_to(f->zones, zone, version), ZONE_OK);
		entry_release(now);
		now = newest(f->zones, zone);
		assert_wrapped_by(now, version, ROOT_A, ROOT_B);
	}
	/* Each of them opens it. */
	assert_int_equal(wrap(f->zones, zone, wrapped), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	zones_reopen(f);
	assert_int_equal(unwrap(f->zones, zone, wrapped), ZONE_OK);
	/* And it takes all of them. */
	assert_int_equal(rotate_to(f->zones, zone, 4), ZONE_KMS_DISABLED);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_DENIED);
	assert_int_equal(rotate_to(f->zones, zone, 4), ZONE_KMS_DENIED);
}

static void root_key_that_was_replaced_wraps_no_more(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;

	add_second_wrap(f->zones, zone, ROOT_B, WRAP_REPLACED);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	now = newest(f->zones, zone);
	assert_wrapped_by(now, 2, ROOT_B, NULL);
}

/* What somebody else does while the KMS is asked. */
struct meanwhile {
	struct zones *zones;
	const struct entry *zone;
	void (*act)(struct meanwhile *meanwhile);
	bool done;
	enum zone_status status;
};

static void act_once(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;

	if (call != FAKE_ENCRYPT || meanwhile->done)
		return;
	meanwhile->done = true;
	meanwhile->act(meanwhile);
}

static void meanwhile_begin(struct zones_fixture *f, const struct entry *zone,
			    void (*act)(struct meanwhile *), struct meanwhile *meanwhile)
{
	*meanwhile = (struct meanwhile){.zones = zones_other(f), .zone = zone, .act = act};
	assert_int_equal(zones_refresh(meanwhile->zones, true), ZONE_OK);
	f->aws.on_call_state = meanwhile;
	f->aws.on_call = act_once;
}

static void meanwhile_end(struct meanwhile *meanwhile)
{
	zones_free(meanwhile->zones);
}

static void gets_second_wrap(struct meanwhile *meanwhile)
{
	add_second_wrap(meanwhile->zones, meanwhile->zone, ROOT_B, WRAP_ACTIVE);
}

static void version_is_made_anew_where_the_root_keys_changed_meanwhile(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	AUTO(meanwhile_end) struct meanwhile meanwhile = {0};

	meanwhile_begin(f, zone, gets_second_wrap, &meanwhile);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_true(meanwhile.done);
	now = newest(f->zones, zone);
	assert_wrapped_by(now, 2, ROOT_A, ROOT_B);
}

/* --- Several at a time */

static void rotates(struct meanwhile *meanwhile)
{
	meanwhile->status = rotate_to(meanwhile->zones, meanwhile->zone, 2);
}

static void of_two_that_rotate_one_does_and_the_other_is_told(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	AUTO(meanwhile_end) struct meanwhile meanwhile = {0};
	unsigned calls;

	meanwhile_begin(f, zone, rotates, &meanwhile);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_ROTATED);
	assert_int_equal(meanwhile.status, ZONE_OK);
	now = newest(f->zones, zone);
	assert_int_equal(now->of_zone.version_count, 2);
	/* What is known to have happened costs no call. */
	calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_ROTATED);
	assert_int_equal(rotate_to(f->zones, zone, 4), ZONE_INVALID);
	assert_int_equal(rotate_to(f->zones, zone, 1), ZONE_INVALID);
	assert_int_equal(rotate_to(f->zones, zone, 0), ZONE_INVALID);
	assert_int_equal(rotate_to(f->zones, zone, UINT32_MAX), ZONE_INVALID);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls);
}

static void is_renamed(struct meanwhile *meanwhile)
{
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of("other");

	assert_int_equal(zones_entry_rename(meanwhile->zones, meanwhile->zone, &names, &renamed),
			 ZONE_OK);
}

static void another_change_meanwhile_is_kept(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	AUTO(meanwhile_end) struct meanwhile meanwhile = {0};
	unsigned calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);

	meanwhile_begin(f, zone, is_renamed, &meanwhile);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	now = newest(f->zones, zone);
	assert_string_equal(now->label, "other");
	assert_int_equal(now->of_zone.primary, 2);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls + 1);
}

static void is_deleted(struct meanwhile *meanwhile)
{
	assert_int_equal(zones_entry_delete(meanwhile->zones, meanwhile->zone), ZONE_OK);
}

static void zone_that_went_meanwhile_is_not_rotated(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(meanwhile_end) struct meanwhile meanwhile = {0};

	meanwhile_begin(f, zone, is_deleted, &meanwhile);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_PENDING_DELETION);
	/* Nor one of which that is known. */
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_PENDING_DELETION);
	assert_int_equal(mark(f->zones, zone, ZONE_ROTATE_DAYS, 1), ZONE_PENDING_DELETION);
}

static void others_follow_within_a_second_or_when_they_meet_the_version(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	struct zones *others[2] = {zones_other(f), zones_other(f)};
	uint8_t wrapped[WRAPPED_SIZE], old[WRAPPED_SIZE];

	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_int_equal(zones_refresh(others[i], true), ZONE_OK);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(wrap(f->zones, zone, wrapped), ZONE_OK);
	/* Until they look they go on with what they know. */
	assert_int_equal(wrap(others[0], zone, old), ZONE_OK);
	assert_int_equal(version_of(old), 1);
	assert_int_equal(unwrap(others[0], zone, wrapped), ZONE_WRAPPED_KEY_INVALID);
	fake_clock_advance(&f->clock, f->engine->look_every_ms + 1);
	assert_int_equal(zones_refresh(others[0], false), ZONE_OK);
	assert_int_equal(unwrap(others[0], zone, wrapped), ZONE_OK);
	assert_int_equal(wrap(others[0], zone, old), ZONE_OK);
	assert_int_equal(version_of(old), 2);
	assert_int_equal(zones_look_for_version(others[1], zone->of_zone.zone, 2), ZONE_OK);
	assert_int_equal(unwrap(others[1], zone, wrapped), ZONE_OK);
	zones_free(others[0]);
	zones_free(others[1]);
}

static void stored_key_of_a_version_not_yet_known_opens_at_once(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *key = NULL;
	struct entry_names names = names_of("key");
	struct zones *other = zones_other(f);
	uint8_t *value = NULL;

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of(DEK), &names, &key),
			 ZONE_OK);
	assert_int_equal(zones_key_open(other, key, &value, NULL), ZONE_OK);
	assert_memory_equal(value, DEK, 16);
	secret_free(value);
	zones_free(other);
}

/* A look for what was not there is not repeated within a second. */
static void version_that_is_nowhere_is_looked_for_once_a_second(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	uint64_t id = zone->of_zone.zone, looks = f->zones->looks;
	size_t finds = memory_rows.finds;

	for (int i = 0; i < 10; i++)
		assert_int_equal(zones_look_for_version(f->zones, id, 7), ZONE_OK);
	assert_int_equal(f->zones->looks + memory_rows.finds, looks + finds + 1);
	assert_int_equal(zones_look_for_version(f->zones, id, 8), ZONE_OK);
	fake_clock_advance(&f->clock, MISSED_MS + 1);
	assert_int_equal(zones_look_for_version(f->zones, id, 7), ZONE_OK);
	assert_int_equal(f->zones->looks + memory_rows.finds, looks + finds + 3);
}

/* --- Refused */

static void what_the_kms_refuses_changes_nothing(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	uint8_t wrapped[WRAPPED_SIZE];

	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_DENIED, 1);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_KMS_DENIED);
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_UNAVAILABLE, 1);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_KMS_UNAVAILABLE);
	now = newest(f->zones, zone);
	assert_int_equal(now->revision, zone->revision);
	fake_clock_advance(&f->clock, 60000); /* its silence is over */
	assert_int_equal(wrap(f->zones, zone, wrapped), ZONE_OK);
	assert_int_equal(version_of(wrapped), 1);
}

static struct entry *import_zone(struct zones_fixture *f, bool imported)
{
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "elsewhere");
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("brought");
	struct entry *brought = NULL;

	names.rotate_days = (struct wished_days){true, 9};
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	entry_release(TAKE(zone));
	zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, "elsewhere");
	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);
	snprintf(f->path, sizeof(f->path), "%s/other.db", f->folder);
	memory_rows_end();
	memory_rows_begin();
	entry_release(f->project);
	zones_free(f->zones);
	f->zones = zones_other(f);
	f->project = NULL;
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("there"), &f->project),
			 ZONE_OK);
	root_key = make_root_key(f, ROOT_A);
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, root_key,
					   buffer_bytes(&records), imported, &names, &brought),
			 ZONE_OK);
	return brought;
}

static void imported_zone_is_rotated_where_it_lives(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = import_zone(f, true);

	assert_int_equal(zone->of_zone.primary, 2);
	assert_int_equal(zone->of_zone.rotate_days, 0);
	assert_int_equal(rotate_to(f->zones, zone, 3), ZONE_IMPORTED);
	assert_int_equal(mark(f->zones, zone, ZONE_ROTATE_DAYS, 30), ZONE_IMPORTED);
	assert_int_equal(mark(f->zones, zone, ZONE_ROTATE_DAYS, 0), ZONE_OK);
}

static void zone_that_came_back_goes_on_with_the_next_version(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = import_zone(f, false);
	AUTO(entry_releasep) struct entry *now = NULL;

	assert_int_equal(zone->of_zone.rotate_days, 9);
	assert_int_equal(rotate_to(f->zones, zone, 3), ZONE_OK);
	now = newest(f->zones, zone);
	/* The record goes on being that of the project that it was made in. */
	assert_true(uid_equal(entry_version(now, 3)->project, entry_version(now, 1)->project));
	assert_true(uid_equal(entry_version(now, 3)->cluster, entry_version(now, 1)->cluster));
}

static void version_whose_wraps_are_not_its_policys_is_not_followed(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *copy = entry_copy(zone);
	const struct kms_door door = {.clients = f->zones->clients};
	struct ezk_seal seal = {.identity = {.zone = zone->of_zone.zone, .version = 2}};
	struct ezk_version made = {0};
	unsigned calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);

	copy->of_zone.versions[0].all_wraps = true;
	seal.like = &copy->of_zone.versions[0];
	assert_int_equal(ezk_version_seal(&door, &seal, &made), ZONE_RECORD_CORRUPT);
	copy->of_zone.versions[0].all_wraps = false;
	copy->of_zone.versions[0].wraps[0].state = WRAP_REPLACED;
	assert_int_equal(ezk_version_seal(&door, &seal, &made), ZONE_KMS_INCORRECT_KEY);
	assert_true(entry_set_bytes(&copy->of_zone.versions[0].limits, bytes(NULL, 0)));
	assert_int_equal(ezk_version_seal(&door, &seal, &made), ZONE_RECORD_CORRUPT);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls);
}

/* --- Marks */

static void raw_version_moves_both_ways_and_only_when_asked(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	for (uint32_t version = 2; version <= 3; version++)
		assert_int_equal(rotate_to(f->zones, zone, version), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 4), ZONE_INVALID);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 0), ZONE_INVALID);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 3), ZONE_OK);
	now = newest(f->zones, zone);
	assert_int_equal(ezk_find(zones_registry(f->zones), now, EZK_RAW, &ezk), ZONE_OK);
	assert_int_equal(ezk_version_number(ezk), 3);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 1), ZONE_OK);
}

static void fence_denies_older_versions_until_it_is_lowered(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	uint8_t wrapped[WRAPPED_SIZE];

	assert_int_equal(wrap(f->zones, zone, wrapped), ZONE_OK);
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 2), ZONE_IN_USE);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 2), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, wrapped), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 3), ZONE_INVALID);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 0), ZONE_INVALID);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 2), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, wrapped), ZONE_FENCED);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 1), ZONE_FENCED);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 1), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, wrapped), ZONE_OK);
}

static void fence_ends_keys_that_are_open(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct zones *other = zones_other(f);

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, 1, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(rotate_to(other, zone, 2), ZONE_OK);
	assert_int_equal(mark(other, zone, ZONE_RAW, 2), ZONE_OK);
	assert_int_equal(mark(other, zone, ZONE_MINIMUM, 2), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_false(ezk_leased(ezk));
	assert_int_equal(ezk_begin(ezk), ZONE_FENCED);
	zones_free(other);
}

static void retired_version_is_not_used_raw(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *now = NULL;

	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 2), ZONE_OK);
	now = newest(f->zones, zone);
	/* As the store would have it. */
	now->of_zone.versions[0].retired = true;
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 1), ZONE_PENDING_DELETION);
}

static void days_are_bounded_and_what_is_so_already_is_not_written(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *first = NULL, *again = NULL;

	assert_int_equal(zones_zone_mark(f->zones, zone, ZONE_ROTATE_DAYS, 30, &first), ZONE_OK);
	assert_int_equal(first->of_zone.rotate_days, 30);
	assert_int_equal(zones_zone_mark(f->zones, zone, ZONE_ROTATE_DAYS, 30, &again), ZONE_OK);
	assert_int_equal(again->revision, first->revision);
	assert_int_equal(mark(f->zones, zone, ZONE_ROTATE_DAYS, ROTATE_DAYS_MAX + 1), ZONE_INVALID);
}

static void each_step_has_its_word_in_the_audit_log(void **state)
{
	FIXTURE(state);
	static const char *const words[] = {"\"rotated\"", "\"raw version moved\"", "\"fenced\"",
					    "\"fence lowered\""};
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(buffer_clear) struct buffer lines = {0};
	char path[160];

	snprintf(path, sizeof(path), "%s/audit", f->folder);
	assert_true(audit_configure(path));
	assert_int_equal(rotate_to(f->zones, zone, 2), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_RAW, 2), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 2), ZONE_OK);
	assert_int_equal(mark(f->zones, zone, ZONE_MINIMUM, 1), ZONE_OK);
	assert_true(audit_configure(NULL));
	file_bytes(path, &lines);
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strstr(buffer_text(&lines), words[i]) == NULL)
			fail_msg("no %s in\n%s", words[i], buffer_text(&lines));
}

/* --- Many */

static int64_t spent_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void versions_have_no_ceiling(void **state)
{
	FIXTURE(state);
	enum { VERSIONS = 400 };
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	uint8_t wrapped[2][WRAPPED_SIZE];
	int64_t begun = spent_us(), half;

	assert_int_equal(wrap(f->zones, zone, wrapped[0]), ZONE_OK);
	for (uint32_t version = 2; version <= VERSIONS / 2; version++)
		assert_int_equal(rotate_to(f->zones, zone, version), ZONE_OK);
	half = spent_us();
	for (uint32_t version = VERSIONS / 2 + 1; version <= VERSIONS; version++)
		assert_int_equal(rotate_to(f->zones, zone, version), ZONE_OK);
	print_message("# %d versions of one zone: the first half took %d ms, the second %d ms\n",
		      VERSIONS, (int)((half - begun) / 1000), (int)((spent_us() - half) / 1000));
	assert_int_equal(wrap(f->zones, zone, wrapped[1]), ZONE_OK);
	zones_reopen(f);
	assert_int_equal(unwrap(f->zones, zone, wrapped[0]), ZONE_OK);
	assert_int_equal(unwrap(f->zones, zone, wrapped[1]), ZONE_OK);
	assert_int_equal(version_of(wrapped[1]), VERSIONS);
}

/* --- On both engines */

static int begin_late(void **state)
{
	memory_rows_begin();
	if (zones_begin_in(&memory_store, state) != 0)
		return 1;
	memory_rows.conflicts = 1;
	return 0;
}

static int end_late(void **state)
{
	zones_end(state);
	memory_rows_end();
	return 0;
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, zones_begin, zones_end),                             \
	{                                                                                          \
#test " where writes come too late", test, begin_late, end_late, NULL              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(next_version_wraps_and_older_ones_open),
		BOTH(new_version_is_bound_as_the_one_before_is),
		BOTH(key_may_be_drawn_by_the_kms),
		BOTH(every_root_key_in_use_wraps_the_new_version),
		BOTH(root_key_that_was_replaced_wraps_no_more),
		BOTH(version_is_made_anew_where_the_root_keys_changed_meanwhile),
		BOTH(of_two_that_rotate_one_does_and_the_other_is_told),
		BOTH(another_change_meanwhile_is_kept),
		BOTH(zone_that_went_meanwhile_is_not_rotated),
		BOTH(others_follow_within_a_second_or_when_they_meet_the_version),
		BOTH(stored_key_of_a_version_not_yet_known_opens_at_once),
		BOTH(version_that_is_nowhere_is_looked_for_once_a_second),
		BOTH(what_the_kms_refuses_changes_nothing),
		BOTH(imported_zone_is_rotated_where_it_lives),
		BOTH(zone_that_came_back_goes_on_with_the_next_version),
		BOTH(version_whose_wraps_are_not_its_policys_is_not_followed),
		BOTH(raw_version_moves_both_ways_and_only_when_asked),
		BOTH(fence_denies_older_versions_until_it_is_lowered),
		BOTH(fence_ends_keys_that_are_open),
		BOTH(retired_version_is_not_used_raw),
		BOTH(days_are_bounded_and_what_is_so_already_is_not_written),
		BOTH(each_step_has_its_word_in_the_audit_log),
		BOTH(versions_have_no_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
