/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions that were made by a clock that was ahead: who says so, and how often. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/ahead.h"
#include "zones/domain/daily.h"
#include "zones/domain/doctor.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rotate.h"
#include "zones/domain/schedule.h"
#include "zones/domain/zone.h"

#define FIXTURE(state) struct zones_fixture *f = *(state)
#define YEARS_MS       (10 * 365 * DAY_MS)

static struct entry *make_zone(struct zones_fixture *f, const char *label, uint32_t days)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.rotate_days = (struct wished_days){true, days};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static enum zone_status rotate(struct zones_fixture *f, const struct entry *zone, uint32_t version)
{
	AUTO(entry_releasep) struct entry *rotated = NULL;

	return zones_zone_rotate(f->zones, zone, version, &rotated);
}

/* Rotated while the clock is years ahead, and then that is set right. */
static struct entry *make_ahead(struct zones_fixture *f, const char *label, uint32_t days)
{
	AUTO(entry_releasep) struct entry *zone = make_zone(f, label, days);

	f->clock.realtime_ms += YEARS_MS;
	assert_int_equal(rotate(f, zone, 2), ZONE_OK);
	f->clock.realtime_ms -= YEARS_MS;
	return zones_find_uid(f->zones, zone->uid);
}

static bool doctor_says(struct zones_fixture *f, const char *words)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct doctor_faults faults;

	assert_int_equal(zones_doctor(f->zones, f->project->uid, &text, &faults), ZONE_OK);
	return strstr(buffer_text(&text), words) != NULL;
}

/* What a day's look says. */
static void look(struct zones_fixture *f, struct buffer *ret_said)
{
	char log[128];

	snprintf(log, sizeof(log), "%s/log", f->folder);
	remove(log);
	assert_true(log_configure(LOG_WARNING, log));
	zones_daily(f->zones);
	assert_true(log_configure(LOG_OFF, "stderr"));
	file_bytes(log, ret_said);
}

static void doctor_names_a_version_that_is_to_come(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_ahead(f, "db", 0);

	assert_true(
		doctor_says(f, "version 2): ok; but its version says that it was made on 2035"));
	assert_true(doctor_says(f, "'cmek database rotate'"));
	assert_int_equal(rotate(f, zone, 3), ZONE_OK);
	assert_true(doctor_says(f, "version 3): ok\n"));
}

static void log_has_a_line_a_day_where_a_schedule_is_put_off(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_ahead(f, "db", 90);
	AUTO(entry_releasep) struct entry *second = make_ahead(f, "second", 90);
	AUTO(entry_releasep) struct entry *by_hand = make_ahead(f, "by-hand", 0);
	AUTO(buffer_clear) struct buffer said = {0};

	look(f, &said);
	assert_non_null(strstr(buffer_text(&said), "of project 'project': its version 2 says"));
	assert_non_null(strstr(buffer_text(&said), "with 1 more databases"));
	look(f, &said);
	assert_int_equal(said.len, 0);
	assert_int_equal(rotate(f, zone, 3), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, second), ZONE_OK);
	fake_clock_advance(&f->clock, DAY_MS);
	look(f, &said);
	assert_int_equal(said.len, 0);
}

/* One whose clock is behind must not take the other's versions for a fault of which it rids itself.
 */
static void nobody_rotates_because_another_clock_is_ahead(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_ahead(f, "db", 90);
	AUTO(buffer_clear) struct buffer said = {0};
	unsigned calls = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	int64_t due = zones_rotation_due(f->zones, zone);

	look(f, &said);
	fake_clock_advance(&f->clock, 200 * DAY_MS);
	zones_rotate_when_due(f->zones, zone, &due);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), calls);
}

static void clocks_that_differ_by_less_than_a_day_are_nothing_to_tell(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db", 90);

	f->clock.realtime_ms -= DAY_MS;
	assert_false(zone_is_ahead(f->zones, zone));
	f->clock.realtime_ms -= 1;
	assert_true(zone_is_ahead(f->zones, zone));
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(doctor_names_a_version_that_is_to_come),
		ZONES_TEST(log_has_a_line_a_day_where_a_schedule_is_put_off),
		ZONES_TEST(nobody_rotates_because_another_clock_is_ahead),
		ZONES_TEST(clocks_that_differ_by_less_than_a_day_are_nothing_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
