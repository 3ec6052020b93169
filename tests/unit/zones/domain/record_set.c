/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones by their record sets: where the store was lost, what is exported and imported, and what
 * limits come along. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"
#include "zones/model/record.h"

#define FIXTURE(state) struct zones_fixture *f = *(state)

/* --- Export and import */

static void record_set_brings_a_zone_back_where_the_store_was_lost(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *other_root = NULL;
	AUTO(entry_releasep) struct entry *back = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct entry_names names = names_of("back");

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, root_key,
					   buffer_bytes(&records), false, &names, &back),
			 ZONE_EXISTS);

	assert_int_equal(remove(f->path), 0);
	zones_reopen(f); /* whoever has seen it takes it for out of reach */
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &other_root),
		ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, other_root,
					   buffer_bytes(&records), false, &names, &back),
			 ZONE_OK);
	assert_true(back->of_zone.zone == zone->of_zone.zone);
	assert_string_equal(back->label, "back");
	assert_false(back->of_zone.imported);
	assert_true(uid_equal(entry_version(back, 1)->project, zone->project));
	assert_memory_equal(entry_version(back, 1)->fingerprint,
			    entry_version(zone, 1)->fingerprint, 16);
	assert_int_equal(ezk_find(zones_registry(f->zones), back, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void zone_that_keeps_its_record_gives_it_to_nobody(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL, *back = NULL, *project = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("db");
	struct record_set set;
	AUTO(ezk_releasep) struct ezk *ezk = NULL, *by_record = NULL;

	names.kept = (struct wished_flag){true, true};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	assert_true(zones_zone_is_kept(zone));
	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_RECORD_KEPT);
	assert_non_null(strstr(log_last(), "back up the store"));
	assert_int_equal(zones_zone_record(zone, 1, &records), ZONE_RECORD_KEPT);
	assert_int_equal(records.len, 0);
	/* Whoever brought it out of the store by other means. */
	set = (struct record_set){zone->of_zone.zone, zone->of_zone.versions, 1};
	assert_int_equal(record_set_encode(&set, &records), ZONE_OK);
	assert_int_equal(ezk_from_records(zones_registry(f->zones), root_key,
					  buffer_bytes(&records), &by_record),
			 ZONE_RECORD_KEPT);
	assert_int_equal(remove(f->path), 0);
	zones_reopen(f);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	entry_release(root_key);
	names = names_of("back");
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &root_key),
		ZONE_OK);
	assert_int_equal(ezk_from_records(zones_registry(f->zones), root_key,
					  buffer_bytes(&records), &by_record),
			 ZONE_RECORD_KEPT);
	for (int imported = 0; imported < 2; imported++)
		assert_int_equal(zones_zone_import(f->zones, project->uid, root_key,
						   buffer_bytes(&records), imported, &names, &back),
				 ZONE_RECORD_KEPT);
	assert_int_equal(count_entries(f->zones, project->uid, ENTRY_ZONE, true), 0);
}

static void zone_keeps_its_record_as_is_asked_for_or_else_as_is_set(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	static const struct {
		bool set;
		struct wished_flag wish;
		bool kept;
	} rows[] = {
		{false, {false, true}, false},
		{false, {true, true}, true},
		{true, {false, false}, true},
		{true, {true, false}, false},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(entry_releasep) struct entry *zone = NULL;
		struct entry_names names = {.usages = USAGE_WRAP, .kept = rows[i].wish};

		f->settings.new_zone_kept = rows[i].set;
		zones_reopen(f);
		assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone),
				 ZONE_OK);
		assert_int_equal(zones_zone_is_kept(zone), rows[i].kept);
	}
}

static void imported_zone_decrypts_only(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *imported = NULL;
	AUTO(entry_releasep) struct entry *none = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("archive");

	assert_int_equal(fixture_create_zone(f, "db", &zone), ZONE_OK);
	assert_int_equal(zones_zone_record(zone, 1, &records), ZONE_OK);
	assert_int_equal(remove(f->path), 0);
	zones_reopen(f); /* whoever has seen it takes it for out of reach */
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	entry_release(root_key);
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &root_key),
		ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, root_key, buffer_bytes(&records),
					   true, &names, &imported),
			 ZONE_OK);
	assert_true(imported->of_zone.imported);
	assert_int_equal(imported->usages, USAGE_UNWRAP);
	assert_int_equal(zones_key_create(f->zones, project->uid, imported->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &none),
			 ZONE_IMPORTED);
}

static void assert_bounds(const struct entry *zone, uint32_t max_lease, uint32_t max_stale)
{
	struct lease_bounds bounds;

	assert_true(limits_get_lease(entry_version(zone, 1)->limits, &bounds));
	assert_int_equal(bounds.max_lease, max_lease);
	assert_int_equal(bounds.max_stale, max_stale);
}

/* What a zone was made with stays, whatever is set later. */
static void greatest_lease_is_what_is_asked_for_or_else_what_is_set(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *usual = NULL, *asked = NULL, *none = NULL, *again = NULL;
	struct entry_names names = names_of("usual");

	f->settings.new_zone = (struct lease_bounds){3600, 7200};
	zones_reopen(f);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &usual), ZONE_OK);
	assert_bounds(usual, 3600, 7200);
	names = names_of("asked");
	names.max_stale = (struct wished_seconds){true, 60};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &asked), ZONE_OK);
	assert_bounds(asked, 3600, 60);
	names = names_of("none");
	names.max_lease = names.max_stale = (struct wished_seconds){true, 0};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &none), ZONE_OK);
	assert_bounds(none, 0, 0);
	f->settings.new_zone = (struct lease_bounds){604800, 604800};
	zones_reopen(f);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	again = zones_find_zone(f->zones, usual->of_zone.zone);
	assert_non_null(again);
	assert_bounds(again, 3600, 7200);
	assert_int_equal(fixture_open_zone(f, again->of_zone.zone), ZONE_OK);
}

static void a_zone_keeps_the_limits_it_was_made_with(void **state)
{
	/* And those of leases, which every record has. */
	static const uint8_t limits[] = {1, 0, 1, 'x'},
			     with_leases[] = {1,    0,	  1, 'x', 4, 0, 4, 0,	 1,
					      0x51, 0x80, 5, 0,	  4, 0, 1, 0x51, 0x80},
			     too_much[LIMITS_MAX + 1] = {1, 3, 254};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL, *back = NULL, *project = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("db");
	struct entry *none = NULL;

	names.limits = bytes(too_much, sizeof(too_much));
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &none), ZONE_INVALID);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 0);
	names.limits = bytes(limits, sizeof(limits));
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	assert_bytes(entry_version(zone, 1)->limits, bytes(with_leases, sizeof(with_leases)));
	assert_int_equal(fixture_open_zone(f, zone->of_zone.zone), ZONE_OK);
	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);

	assert_int_equal(remove(f->path), 0);
	zones_reopen(f); /* whoever has seen it takes it for out of reach */
	names.limits = bytes(NULL, 0);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	entry_release(root_key);
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &root_key),
		ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, root_key, buffer_bytes(&records),
					   false, &names, &back),
			 ZONE_OK);
	assert_bytes(entry_version(back, 1)->limits, bytes(with_leases, sizeof(with_leases)));
	assert_int_equal(fixture_open_zone(f, zone->of_zone.zone), ZONE_OK);
}

static void changed_records_are_not_imported(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *other = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("c/back");
	struct entry *none = NULL;
	struct record_set set;

	assert_int_equal(fixture_create_zone(f, "c/db", &zone), ZONE_OK);
	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, root_key,
					   bytes_of("no records"), false, &names, &none),
			 ZONE_INVALID);

	/* Another zone's id over the same blob: the KMS's context does not fit. */
	set = (struct record_set){zone->of_zone.zone ^ 1, zone->of_zone.versions, 1};
	buffer_truncate(&records, 0);
	assert_int_equal(record_set_encode(&set, &records), ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, root_key,
					   buffer_bytes(&records), false, &names, &none),
			 ZONE_KMS_INVALID_CIPHERTEXT);
	/* Not encrypted by the root key that was named. */
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, other, buffer_bytes(&records),
					   false, &names, &none),
			 ZONE_KMS_INCORRECT_KEY);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
}

static void brought_key_serves_one_zone(void **state)
{
	const struct kms_pair pairs[] = {{"cmek:purpose", "import"}, {"app", "x"}};
	const struct kms_context import = {pairs, 2}, app = {pairs + 1, 1}, none_context = {0};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer blob = {0};
	AUTO(buffer_clear) struct buffer short_blob = {0};
	struct entry_names names = names_of("brought"), again = names_of("again");
	struct lease_bounds bounds;
	struct entry *none = NULL;

	names.limits = bytes("\3\0\1x", 4);
	names.max_lease = (struct wished_seconds){true, 60};
	assert_int_equal(
		f->aws.client.operations->encrypt(&f->aws.client, ROOT_A,
						  bytes_of("0123456789abcdef0123456789abcdef"),
						  &import, NULL, &blob),
		KMS_OK);
	assert_int_equal(f->aws.client.operations->encrypt(&f->aws.client, ROOT_A, bytes_of("0123"),
							   &import, NULL, &short_blob),
			 KMS_OK);
	assert_int_equal(zones_zone_import_blob(f->zones, f->project->uid, root_key, &none_context,
						buffer_bytes(&blob), &names, &none),
			 ZONE_KMS_INVALID_CIPHERTEXT);
	assert_int_equal(zones_zone_import_blob(f->zones, f->project->uid, root_key, &app,
						buffer_bytes(&short_blob), &names, &none),
			 ZONE_INVALID);
	assert_int_equal(zones_zone_import_blob(f->zones, f->project->uid, root_key, &app,
						buffer_bytes(&blob), &names, &zone),
			 ZONE_OK);
	assert_true(limits_get_lease(entry_version(zone, 1)->limits, &bounds));
	assert_int_equal(bounds.max_lease, 60);
	assert_int_equal(bounds.max_stale, 86400);
	assert_bytes(bytes(entry_version(zone, 1)->limits.data,
			   entry_version(zone, 1)->limits.len - LEASE_LIMITS_SIZE),
		     names.limits);
	assert_int_equal(zones_zone_import_blob(f->zones, f->project->uid, root_key, &app,
						buffer_bytes(&blob), &again, &none),
			 ZONE_EXISTS);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(record_set_brings_a_zone_back_where_the_store_was_lost),
		ZONES_TEST(zone_that_keeps_its_record_gives_it_to_nobody),
		ZONES_TEST(zone_keeps_its_record_as_is_asked_for_or_else_as_is_set),
		ZONES_TEST(imported_zone_decrypts_only),
		ZONES_TEST(greatest_lease_is_what_is_asked_for_or_else_what_is_set),
		ZONES_TEST(a_zone_keeps_the_limits_it_was_made_with),
		ZONES_TEST(changed_records_are_not_imported),
		ZONES_TEST(brought_key_serves_one_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
