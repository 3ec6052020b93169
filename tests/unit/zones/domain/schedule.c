/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation by whoever uses a zone: when, by how many, and what a failure costs. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rotate.h"
#include "zones/domain/schedule.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"

#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

enum { DAYS = 30, HOUR_MS = 3600 * 1000 };
/* Whoever is late is so by a 24th of the period at most. */
#define PERIOD_MS (DAYS * DAY_MS)
#define LATEST_MS (PERIOD_MS + DAYS * (int64_t)HOUR_MS)

static struct entry *make_zone(struct zones_fixture *f, const char *label, uint32_t days)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	if (count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true) == 0)
		root_key = make_root_key(f, ROOT_A);
	names.rotate_days = (struct wished_days){true, days};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

/* As whoever wraps does it, with what he knows of the zone. */
static int64_t use(struct zones *zones, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *known = zones_find_uid(zones, zone->uid);
	int64_t due = zones_rotation_due(zones, known);

	zones_rotate_when_due(zones, known, &due);
	return due;
}

static uint32_t primary_of(struct zones *zones, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *known = NULL;

	assert_int_equal(zones_refresh(zones, true), ZONE_OK);
	known = zones_find_uid(zones, zone->uid);
	return known->of_zone.primary;
}

static unsigned encrypts(struct zones_fixture *f)
{
	return fake_kms_calls(&f->aws, FAKE_ENCRYPT);
}

/* --- When */

static void zone_is_rotated_once_after_its_days(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	unsigned calls = encrypts(f);

	fake_clock_advance(&f->clock, PERIOD_MS - 1);
	use(f->zones, zone);
	assert_int_equal(encrypts(f), calls);
	fake_clock_advance(&f->clock, LATEST_MS - PERIOD_MS + 1);
	for (int i = 0; i < 3; i++)
		use(f->zones, zone);
	assert_int_equal(encrypts(f), calls + 1);
	assert_int_equal(primary_of(f->zones, zone), 2);
	/* And again after the next. */
	fake_clock_advance(&f->clock, LATEST_MS);
	use(f->zones, zone);
	assert_int_equal(primary_of(f->zones, zone), 3);
}

static void zone_without_days_is_rotated_only_when_asked(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", 0);
	AUTO(entry_releasep) struct entry *usual = NULL;
	struct entry_names names = names_of("usual");

	assert_true(zones_rotation_due(f->zones, zone) == INT64_MAX);
	fake_clock_advance(&f->clock, 100 * LATEST_MS);
	assert_true(use(f->zones, zone) == INT64_MAX);
	assert_int_equal(primary_of(f->zones, zone), 1);
	/* What a zone gets that names none is configured. */
	f->settings.new_zone_rotate_days = 7;
	zones_reopen(f);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &usual), ZONE_OK);
	assert_int_equal(usual->of_zone.rotate_days, 7);
}

static void nonsense_in_the_store_is_never_due(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	AUTO(entry_releasep) struct entry *changed = entry_copy(zone);

	changed->of_zone.versions[0].created_ms = INT64_MAX;
	assert_true(zones_rotation_due(f->zones, changed) == INT64_MAX);
	changed->of_zone.versions[0].created_ms = 0;
	changed->of_zone.rotate_days = UINT32_MAX;
	assert_true(zones_rotation_due(f->zones, changed) == INT64_MAX);
	changed->of_zone.rotate_days = DAYS;
	changed->of_zone.imported = true;
	assert_true(zones_rotation_due(f->zones, changed) == INT64_MAX);
	changed->of_zone.imported = false;
	changed->of_zone.primary = 5;
	assert_true(zones_rotation_due(f->zones, changed) == INT64_MAX);
}

static void making_a_stored_key_is_a_use(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	AUTO(entry_releasep) struct entry *key = NULL;
	struct entry_names names = names_of("key");

	fake_clock_advance(&f->clock, LATEST_MS);
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	assert_int_equal(primary_of(f->zones, zone), 2);
}

/* --- By whom */

/* Of 200 processes that wrap once a second, the first whose time has come does it, and the others
 * hear of it before theirs has. */
static void of_many_processes_one_asks_the_kms(void **state)
{
	FIXTURE(state);
	enum { PROCESSES = 200, DATABASES = 5, STEP_MS = 10 * 1000 };
	struct zones *processes[PROCESSES];
	struct entry *zones[DATABASES];
	unsigned calls;

	for (int i = 0; i < DATABASES; i++) {
		char label[16];

		snprintf(label, sizeof(label), "db-%d", i);
		zones[i] = make_zone(f, label, 1);
	}
	for (int i = 0; i < PROCESSES; i++) {
		processes[i] = zones_other(f);
		assert_int_equal(zones_refresh(processes[i], true), ZONE_OK);
	}
	calls = encrypts(f);
	fake_clock_advance(&f->clock, DAY_MS);
	for (int step = 0; step < HOUR_MS / STEP_MS; step++) {
		fake_clock_advance(&f->clock, STEP_MS);
		for (int i = 0; i < PROCESSES; i++)
			for (int j = 0; j < DATABASES; j++)
				use(processes[i], zones[j]);
	}
	print_message("# %d processes, %d databases: %u calls of the KMS\n", PROCESSES, DATABASES,
		      encrypts(f) - calls);
	assert_int_equal(encrypts(f), calls + DATABASES);
	for (int i = 0; i < DATABASES; i++) {
		assert_int_equal(primary_of(f->zones, zones[i]), 2);
		entry_release(zones[i]);
	}
	for (int i = 0; i < PROCESSES; i++)
		zones_free(processes[i]);
}

struct passer {
	struct zones *zones;
	const struct entry *zone;
	unsigned passes;
	int64_t due;
};

/* Another thread that wraps while one rotates. */
static void pass_by(void *state, enum fake_kms_call call)
{
	struct passer *passer = state;

	if (call == FAKE_ENCRYPT && passer->passes++ == 0)
		passer->due = use(passer->zones, passer->zone);
}

static void others_of_the_process_go_on_meanwhile(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	struct passer passer = {.zones = f->zones, .zone = zone};
	unsigned calls;

	fake_clock_advance(&f->clock, LATEST_MS);
	calls = encrypts(f);
	f->aws.on_call_state = &passer;
	f->aws.on_call = pass_by;
	use(f->zones, zone);
	assert_int_equal(passer.passes, 1);
	assert_int_equal(encrypts(f), calls + 1);
	assert_true(passer.due > f->clock.realtime_ms);
	assert_true(passer.due <= f->clock.realtime_ms + 1000);
}

static void what_was_changed_elsewhere_is_heard_of_before_the_kms_is_asked(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	AUTO(entry_releasep) struct entry *marked = NULL;
	struct zones *other = zones_other(f);
	unsigned calls = encrypts(f);

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(zones_zone_mark(other, zone, ZONE_ROTATE_DAYS, 0, &marked), ZONE_OK);
	fake_clock_advance(&f->clock, LATEST_MS);
	assert_true(use(f->zones, zone) == INT64_MAX);
	assert_int_equal(encrypts(f), calls);
	zones_free(other);
}

/* --- Failures */

static size_t lines_in(const char *path)
{
	AUTO(buffer_clear) struct buffer text = {0};
	size_t count = 0;

	file_bytes(path, &text);
	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == '\n';
	return count;
}

static void use_for_days(struct zones_fixture *f, const struct entry *zone, int days)
{
	for (int i = 0; i < days * 24 * 4; i++) {
		fake_clock_advance(&f->clock, HOUR_MS / 4);
		assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
		use(f->zones, zone);
	}
}

static void missing_right_leaves_a_line_a_day(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	AUTO(buffer_clear) struct buffer text = {0};
	unsigned calls = encrypts(f);
	char log[160];

	snprintf(log, sizeof(log), "%s/log", f->folder);
	assert_true(log_configure(LOG_WARNING, log));
	fake_clock_advance(&f->clock, LATEST_MS);
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_DENIED, 1000);
	use_for_days(f, zone, 3);
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_in_range(encrypts(f) - calls, 3, 4);
	assert_in_range(lines_in(log), 3, 4);
	file_bytes(log, &text);
	assert_non_null(strstr(buffer_text(&text), "database 'db' is to be rotated since 20"));
	assert_non_null(strstr(buffer_text(&text), zone_status_text(ZONE_KMS_DENIED)));
	assert_non_null(strstr(buffer_text(&text), "cmek database rotate"));
	/* Whoever gets the right uses it. */
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_OK, 0);
	use_for_days(f, zone, 1);
	assert_int_equal(primary_of(f->zones, zone), 2);
}

static void outage_is_tried_again_after_an_hour_and_told_once_a_day(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	unsigned calls = encrypts(f);
	char log[160];

	snprintf(log, sizeof(log), "%s/log", f->folder);
	fake_clock_advance(&f->clock, LATEST_MS);
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_UNAVAILABLE, 1000);
	assert_true(log_configure(LOG_WARNING, log));
	use_for_days(f, zone, 1);
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_in_range(encrypts(f) - calls, 12, 25);
	assert_in_range(lines_in(log), 1, 3); /* with those of the silence itself */
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_OK, 0);
	fake_clock_advance(&f->clock, HOUR_MS);
	use_for_days(f, zone, 1);
	assert_int_equal(primary_of(f->zones, zone), 2);
}

/* So that a process that may rotate none of 10,000 zones does not ask the KMS as often. */
static void failures_come_once_a_minute_whatever_zones_they_are_about(void **state)
{
	FIXTURE(state);
	enum { DATABASES = 20 };
	struct entry *zones[DATABASES];
	unsigned calls;

	for (int i = 0; i < DATABASES; i++) {
		char label[16];

		snprintf(label, sizeof(label), "db-%d", i);
		zones[i] = make_zone(f, label, DAYS);
	}
	calls = encrypts(f);
	fake_clock_advance(&f->clock, LATEST_MS);
	fake_kms_fail(&f->aws, FAKE_ENCRYPT, KMS_DENIED, 1000);
	for (int second = 0; second < 180; second++) {
		for (int i = 0; i < DATABASES; i++)
			use(f->zones, zones[i]);
		fake_clock_advance(&f->clock, 1000);
	}
	assert_int_equal(encrypts(f), calls + 3);
	for (int i = 0; i < DATABASES; i++)
		entry_release(zones[i]);
}

/* Root may write whatever a file's mode says: what belongs to f is nobody's for a while. */
static void become_nobody(struct zones_fixture *f)
{
	enum { NOBODY = 65534 };
	char lock[160];

	if (geteuid() != 0)
		return;
	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	assert_int_equal(chown(f->folder, NOBODY, NOBODY), 0);
	assert_int_equal(chown(f->path, NOBODY, NOBODY), 0);
	assert_int_equal(chown(lock, NOBODY, NOBODY), 0);
	assert_int_equal(seteuid(NOBODY), 0);
}

static void store_that_can_not_be_written_stops_nobody(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", DAYS);
	uid_t self = geteuid();
	char log[160];

	snprintf(log, sizeof(log), "%s/log", f->folder);
	become_nobody(f);
	assert_true(log_configure(LOG_WARNING, log));
	assert_int_equal(chmod(f->path, 0400), 0);
	fake_clock_advance(&f->clock, LATEST_MS);
	use_for_days(f, zone, 2);
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_true(log_configure(LOG_OFF, "stderr"));
	/* Two lines a day: of the store and of what waits for it. */
	assert_in_range(lines_in(log), 2, 4);
	use_for_days(f, zone, 1);
	assert_int_equal(primary_of(f->zones, zone), 2);
	assert_int_equal(seteuid(self), 0);
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

#define HERE(test) cmocka_unit_test_setup_teardown(test, zones_begin, zones_end)
#define BOTH(test)                                                                                 \
	HERE(test),                                                                                \
	{                                                                                          \
#test " where writes come too late", test, begin_late, end_late, NULL              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(zone_is_rotated_once_after_its_days),
		BOTH(zone_without_days_is_rotated_only_when_asked),
		HERE(nonsense_in_the_store_is_never_due),
		BOTH(making_a_stored_key_is_a_use),
		HERE(of_many_processes_one_asks_the_kms),
		BOTH(others_of_the_process_go_on_meanwhile),
		BOTH(what_was_changed_elsewhere_is_heard_of_before_the_kms_is_asked),
		BOTH(missing_right_leaves_a_line_a_day),
		BOTH(outage_is_tried_again_after_an_hour_and_told_once_a_day),
		BOTH(failures_come_once_a_minute_whatever_zones_they_are_about),
		HERE(store_that_can_not_be_written_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
