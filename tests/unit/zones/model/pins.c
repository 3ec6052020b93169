/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* [zones] pin: what may be written, what it says, and that no other zone is used under such a name.
 */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/doctor.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/model/pins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

/* --- The text */

static void pins_say_which_zone_a_name_is(void **state)
{
	static const struct {
		const char *text, *project, *label;
		uint64_t zone;
	} rows[] = {
		{"c/d = 5", "p", "c/d", 5},
		{"c/d=5", "p", "c/e", 0},
		{"c/d=5", "p", "d", 0},
		/* One name, however it is written. */
		{"d=5", "p", "d", 5},
		{"d=5", "p", "default/d", 5},
		{"default/d=5", "p", "d", 5},
		{"p:c/d=5", "p", "c/d", 5},
		{"p:c/d=5", "q", "c/d", 0},
		{"p : c/d = 5", "p", "c/d", 5},
		{":c/d=5", "q", "c/d", 5},
		{"c/d=5, p:c/d=6", "p", "c/d", 6},
		{"p:c/d=6, c/d=5", "q", "c/d", 5},
		{"c/d=5, c/e=6,", "p", "c/e", 6},
		{"\nc/d = 5\nc/e = 6", "p", "c/e", 6},
		{"c/d=5,c/d=5", "p", "c/d", 5},
		/* Odd labels. */
		{"c/a b=5", "p", "c/a b", 5},
		{"c/a=b=5", "p", "c/a=b", 5},
		{":c/a:b=5", "p", "c/a:b", 5},
		{"my project:c/d=5", "my project", "c/d", 5},
		{"c/d=9223372036854775807", "p", "c/d", INT64_MAX},
		{"c/d=5", "p", "c/d ", 0},
		{"c/d=5", "p", "c /d", 0},
		{"c/d=5", "p", "", 0},
		{"c/d=5", "p", "c/d/e", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes bad;
		struct pins *pins;
		bool failed, no_memory;

		if (!pins_valid(rows[i].text, &bad, &no_memory))
			fail_msg("'%s' at '%.*s'", rows[i].text, (int)bad.len,
				 (const char *)bad.data);
		pins = pins_new(rows[i].text, &failed);
		assert_false(failed);
		if (pins_find(pins, rows[i].project, rows[i].label) != rows[i].zone)
			fail_msg("'%s': %s:%s", rows[i].text, rows[i].project, rows[i].label);
		pins_free(pins);
	}
	assert_true(pins_find(NULL, "p", "c/d") == 0);
}

static void what_is_no_pin_is_named(void **state)
{
	static const struct {
		const char *text, *bad;
	} rows[] = {
		{"c/d", "c/d"},
		{"c/d=", "c/d="},
		{"=5", "=5"},
		{"c/=5", "c/=5"},
		{"/d=5", "/d=5"},
		{"c/d/e=5", "c/d/e=5"},
		{"c/d=0", "c/d=0"},
		{"c/d=-1", "c/d=-1"},
		{"c/d=5x", "c/d=5x"},
		{"c/d=0x5", "c/d=0x5"},
		{"c/d=9223372036854775808", "c/d=9223372036854775808"},
		{"c/d=111111111111111111111111111111", "c/d=111111111111111111111111111111"},
		{"c/d=5 c/e=6 7", "c/d=5 c/e=6 7"},
		{"c/e=6, c/d=5, c/d=7", "c/d=7"},
		{"d=5, default/d=7", "default/d=7"},
		{"a label of a project that is too long:c/d=5",
		 "a label of a project that is too long:c/d=5"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes bad;
		bool no_memory;

		if (pins_valid(rows[i].text, &bad, &no_memory))
			fail_msg("%s", rows[i].text);
		assert_false(no_memory);
		assert_bytes(bad, bytes_of(rows[i].bad));
	}
}

static void pins_are_listed_as_they_were_written(void **state)
{
	struct pin pin;
	struct pins *pins;
	bool failed;

	(void)state;
	pins = pins_new("d=5, p:c/e=6", &failed);
	assert_true(pins_at(pins, 0, &pin));
	assert_string_equal(pin.project, "");
	assert_string_equal(pin.cluster, "default");
	assert_string_equal(pin.database, "d");
	assert_true(pins_at(pins, 1, &pin));
	assert_string_equal(pin.project, "p");
	assert_string_equal(pin.cluster, "c");
	assert_true(pin.zone == 6);
	assert_false(pins_at(pins, 2, &pin));
	pins_free(pins);
	assert_null(pins_new(NULL, &failed));
	assert_false(failed);
}

/* --- The rules */

/* Processes that begin from here on have the pin. */
static void pin_to(struct zones_fixture *f, const char *name, uint64_t zone)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s = %" PRIu64, name, zone);
	f->settings.pins = text;
	f->settings.pins_at = "here.conf line 7";
	zones_reopen(f);
}

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static enum zone_status use(struct zones *zones, const struct entry *zone, struct ezk **ret_ezk)
{
	AUTO(entry_releasep) struct entry *found = zones_find_zone(zones, zone->of_zone.zone);

	TRY(ezk_find(zones_registry(zones), found, EZK_PRIMARY, ret_ezk));
	return ezk_begin(*ret_ezk);
}

static void assert_says(const char *words)
{
	if (strstr(log_last(), words) == NULL)
		fail_msg("'%s' does not say: %s", log_last(), words);
}

/* As a store writer can: the rows are newer. */
static void set_labels(struct zones_fixture *f, const struct entry *one, const char *its,
		       const struct entry *two, const char *other)
{
	char sql[1024];

	snprintf(sql, sizeof(sql),
		 "UPDATE store SET revision = revision + 1; "
		 "UPDATE zones SET label = 'x' WHERE zone = %" PRIu64 "; "
		 "UPDATE zones SET label = '%s', revision = (SELECT revision FROM store) "
		 "WHERE zone = %" PRIu64 "; "
		 "UPDATE zones SET label = '%s', revision = (SELECT revision FROM store) "
		 "WHERE zone = %" PRIu64,
		 one->of_zone.zone, other, two->of_zone.zone, its, one->of_zone.zone);
	raw_sql(f->path, sql);
}

static void zone_under_a_name_that_is_pinned_to_another_is_not_used(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *one = make_zone(f, "one");
	AUTO(entry_releasep) struct entry *two = make_zone(f, "two");
	AUTO(ezk_releasep) struct ezk *ezk = NULL, *other = NULL, *by_record = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	char pinned[64];

	assert_int_equal(zones_zone_export(f->zones, two, &records), ZONE_OK);
	pin_to(f, "one", one->of_zone.zone);
	assert_int_equal(use(f->zones, one, &ezk), ZONE_OK);
	assert_int_equal(use(f->zones, two, &other), ZONE_OK);
	assert_int_equal(ezk_from_records(zones_registry(f->zones), root_key,
					  buffer_bytes(&records), &by_record),
			 ZONE_OK);

	/* Under the running process. */
	set_labels(f, one, "two", two, "one");
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(ezk_continue(other), ZONE_OTHER_PIN);
	snprintf(pinned, sizeof(pinned), "zone %" PRIu64 "; see who", one->of_zone.zone);
	assert_says(pinned);
	snprintf(pinned, sizeof(pinned), "database 'one' (zone %" PRIu64 ")", two->of_zone.zone);
	assert_says(pinned);
	assert_says("of project 'project'");
	assert_says("[zones] pin (here.conf line 7)");
	assert_int_equal(ezk_begin(by_record), ZONE_OTHER_PIN);
	/* The other's name is nobody's. */
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	ezk_release(TAKE(other));
	assert_int_not_equal(use(f->zones, two, &other), ZONE_OK);

	/* And in one that starts later. */
	ezk_release(TAKE(ezk));
	ezk_release(TAKE(other));
	ezk_release(TAKE(by_record));
	zones_reopen(f);
	assert_int_equal(use(f->zones, two, &other), ZONE_OTHER_PIN);
	assert_int_equal(ezk_from_records(zones_registry(f->zones), root_key,
					  buffer_bytes(&records), &by_record),
			 ZONE_OTHER_PIN);

	set_labels(f, one, "one", two, "two");
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	ezk_release(TAKE(other));
	assert_int_equal(use(f->zones, two, &other), ZONE_OK);
}

/* The zone once more, in a row that is read before its own, and under another's name. */
static void write_twice(struct zones_fixture *f, const struct entry *zone,
			const struct entry *pinned)
{
	char sql[2048];

	snprintf(sql, sizeof(sql),
		 "UPDATE zones SET label = 'gone' WHERE zone = %" PRIu64 ";"
		 "UPDATE store SET revision = revision + 1;"
		 "CREATE TABLE twice AS SELECT * FROM zones WHERE zone = %" PRIu64 ";"
		 "UPDATE twice SET label = 'one', uid = '0123456789abcdef0123456789abcdef';"
		 "INSERT INTO twice SELECT * FROM zones;"
		 "UPDATE twice SET revision = (SELECT revision FROM store);"
		 "DROP TABLE zones;"
		 "ALTER TABLE twice RENAME TO zones;",
		 pinned->of_zone.zone, zone->of_zone.zone);
	raw_sql(f->path, sql);
}

static enum zone_status use_by_name(struct zones_fixture *f, const char *label)
{
	struct bytes name = bytes_of(label);
	struct entry_filter filter = {
		.project = f->project->uid, .label = &name, .kinds = {[ENTRY_ZONE] = true}};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(freep) struct entry **found = NULL;
	enum zone_status status;
	size_t count;

	assert_int_equal(zones_list(f->zones, &filter, &found, &count), ZONE_OK);
	assert_int_equal(count, 1);
	status = ezk_find(zones_registry(f->zones), found[0], EZK_PRIMARY, &ezk);
	status = status == ZONE_OK ? ezk_begin(ezk) : status;
	entry_release(found[0]);
	return status;
}

static void zone_that_is_in_the_store_twice_is_not_used_under_a_pinned_name(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *one = make_zone(f, "one");
	AUTO(entry_releasep) struct entry *two = make_zone(f, "two");

	pin_to(f, "one", one->of_zone.zone);
	assert_int_equal(use_by_name(f, "one"), ZONE_OK);
	assert_int_equal(use_by_name(f, "two"), ZONE_OK);
	write_twice(f, two, one);
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_int_equal(use_by_name(f, "one"), ZONE_OTHER_PIN);
	assert_says("has it twice, once under a name that is pinned to another zone");
	zones_reopen(f);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_int_equal(use_by_name(f, "one"), ZONE_OTHER_PIN);
	assert_int_equal(use_by_name(f, "gone"), ZONE_OK);
}

/* Which, padded with blanks or cut to 32 bytes, is how tokens are named. */
static void project_whose_name_passes_for_another_s_is_damage(void **state)
{
	static const char *const labels[] = {"project ", " project",
					     "project                          again"};
	FIXTURE(state);
	char sql[256];

	for (size_t i = 0; i < COUNT_OF(labels); i++) {
		snprintf(sql, sizeof(sql),
			 "UPDATE store SET revision = revision + 1; UPDATE projects SET label = "
			 "'%s', revision = (SELECT revision FROM store)",
			 labels[i]);
		raw_sql(f->path, sql);
		assert_int_equal(zones_refresh(f->zones, true), ZONE_STORE_CORRUPT);
	}
}

static void no_zone_gets_a_name_that_is_pinned_to_another(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "other");
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of("db");
	unsigned before;

	pin_to(f, "db", 77);
	before = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &renamed),
			 ZONE_OTHER_PIN);
	assert_says("the name 'db' in project 'project' is pinned to zone 77");
	assert_says("here.conf line 7");
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), before);
	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_OTHER_PIN);
	names.label = bytes_of("default/db");
	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_OTHER_PIN);
	names.label = bytes_of("free");
	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_OK);
}

static void pinned_zone_comes_back_under_its_name(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *own = NULL;
	AUTO(entry_releasep) struct entry *back = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct entry_names names = names_of("db");

	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);
	assert_int_equal(remove(f->path), 0);
	pin_to(f, "db", zone->of_zone.zone); /* reopens: whoever has seen the store misses it */
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	assert_int_equal(zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &own),
			 ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, own, buffer_bytes(&records),
					   false, &names, &back),
			 ZONE_OK);
	assert_int_equal(use(f->zones, back, &ezk), ZONE_OK);
}

static void doctor_says_whether_pins_hold(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *one = make_zone(f, "one");
	AUTO(entry_releasep) struct entry *two = make_zone(f, "two");
	AUTO(buffer_clear) struct buffer report = {0};
	struct doctor_faults faults;
	char text[256], line[128];
	const char *said;

	snprintf(text, sizeof(text),
		 "one = %" PRIu64 ", two = 7, moved = %" PRIu64 ", none = 8, project:one = %" PRIu64
		 ", elsewhere:one = 9",
		 one->of_zone.zone, two->of_zone.zone, one->of_zone.zone);
	f->settings.pins = text;
	zones_reopen(f);
	assert_int_equal(zones_doctor(f->zones, f->project->uid, &report, &faults), ZONE_OK);
	said = buffer_text(&report);
	snprintf(line, sizeof(line), "pin default/one (zone %" PRIu64 "): ok\n", one->of_zone.zone);
	assert_non_null(strstr(said, line));
	snprintf(line, sizeof(line),
		 "pin default/two (zone 7): FAILED: the name is that of zone %" PRIu64 "\n",
		 two->of_zone.zone);
	assert_non_null(strstr(said, line));
	snprintf(line, sizeof(line),
		 "pin default/moved (zone %" PRIu64 "): FAILED: that zone is named two\n",
		 two->of_zone.zone);
	assert_non_null(strstr(said, line));
	assert_non_null(
		strstr(said, "pin default/none (zone 8): no database has that name here\n"));
	assert_null(strstr(said, "(zone 9)"));
	assert_true(faults.met[ZONE_OTHER_PIN]);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pins_say_which_zone_a_name_is),
		cmocka_unit_test(what_is_no_pin_is_named),
		cmocka_unit_test(pins_are_listed_as_they_were_written),
		ZONES_TEST(zone_under_a_name_that_is_pinned_to_another_is_not_used),
		ZONES_TEST(zone_that_is_in_the_store_twice_is_not_used_under_a_pinned_name),
		ZONES_TEST(project_whose_name_passes_for_another_s_is_damage),
		ZONES_TEST(no_zone_gets_a_name_that_is_pinned_to_another),
		ZONES_TEST(pinned_zone_comes_back_under_its_name),
		ZONES_TEST(doctor_says_whether_pins_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
