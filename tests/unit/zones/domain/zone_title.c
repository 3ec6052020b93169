/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How zones are called in messages: by label, and by id only where no label is known. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"

#include <inttypes.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.usages = USAGE_WRAP | USAGE_UNWRAP;
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static void a_zone_is_called_by_its_label_and_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	const uint64_t id = zone->of_zone.zone;

	assert_string_equal(zone_title(f->zones, id).text, "zone 'db' of project 'project'");
	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_string_equal(zone_title_by(ezk, id).text, "zone 'db' of project 'project'");
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_string_equal(zone_title(f->zones, id).text, "zone 'db' of project 'project'");
}

static void a_zone_that_is_not_known_is_called_by_its_id(void **state)
{
	FIXTURE(state);

	assert_string_equal(zone_title(f->zones, 9007199254740993).text, "zone 9007199254740993");
}

static void what_is_refused_about_a_zone_names_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *again = NULL;
	AUTO(buffer_clear) struct buffer set = {0};
	struct entry_names names = names_of("back");
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, zone->of_zone.zone);
	assert_int_equal(zones_zone_export(f->zones, zone, &set), ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, f->project->uid, root_key, buffer_bytes(&set),
					   false, &names, &again),
			 ZONE_EXISTS);
	assert_non_null(strstr(log_last(), "zone 'db' of project 'project' lives in this store"));
	assert_null(strstr(log_last(), id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_zone_is_called_by_its_label_and_project),
		TEST(a_zone_that_is_not_known_is_called_by_its_id),
		TEST(what_is_refused_about_a_zone_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
