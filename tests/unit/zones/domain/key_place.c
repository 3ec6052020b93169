/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which zone a new key goes to, when nothing but its label and the configuration can say. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/key_place.h"
#include "zones/domain/zone.h"
#include "zones/model/entry.h"

#define FIXTURE(state) struct zones_fixture *f = *(state)

static void make(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
}

/* Clusters "prod" and "test" of root key A; a database in each. */
static int begin(void **state)
{
	AUTO(entry_releasep) struct entry *root = NULL, *prod = NULL, *test = NULL;

	if (zones_begin(state) != 0)
		return -1;
	FIXTURE(state);
	root = make_root_key(f, ROOT_A);
	prod = make_cluster(f, root, "prod");
	test = make_cluster(f, root, "test");
	make(f, "prod/orders");
	return 0;
}

static enum zone_status place_of(struct zones_fixture *f, const char *label, char *ret_zone)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	enum zone_status status =
		zones_key_place(f->zones, f->project->uid, bytes_of(label), &zone);

	*ret_zone = '\0';
	if (status == ZONE_OK)
		strcpy(ret_zone, zone->label);
	else
		assert_null(zone);
	return status;
}

static void goes_to(struct zones_fixture *f, const char *label, const char *zone)
{
	char found[LABEL_MAX + 1];

	assert_int_equal(place_of(f, label, found), ZONE_OK);
	assert_string_equal(found, zone);
}

static void goes_nowhere(struct zones_fixture *f, const char *label, enum zone_status why)
{
	char found[LABEL_MAX + 1];
	size_t before = count_entries(f->zones, f->project->uid, ENTRY_ZONE, true);

	assert_int_equal(place_of(f, label, found), why);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), before);
}

static void delete (struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep)
	struct entry *zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, label);

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
}

static void a_label_of_three_parts_names_its_zone(void **state)
{
	FIXTURE(state);

	make(f, "test/orders");
	make(f, "users"); /* in the cluster "default" */
	goes_to(f, "prod/orders/key", "prod/orders");
	goes_to(f, "test/orders/key", "test/orders");
	goes_to(f, "default/users/key", "users");
}

static void a_zone_that_is_not_there_is_not_replaced_by_another(void **state)
{
	FIXTURE(state);

	goes_nowhere(f, "prod/users/key", ZONE_NOT_FOUND);
	goes_nowhere(f, "test/orders/key", ZONE_NOT_FOUND);
	make(f, "test/orders");
	delete (f, "test/orders");
	goes_nowhere(f, "test/orders/key", ZONE_PENDING_DELETION);
	make(f, "test/orders");
	goes_to(f, "test/orders/key", "test/orders");
}

static void a_label_of_another_form_names_no_zone(void **state)
{
	static const char *const labels[] = {"",
					     "key",
					     "prod/orders",
					     "prod/orders/",
					     "/orders/key",
					     "prod//key",
					     "prod/users/a/key",
					     "stage/users/key",
					     "//"};
	FIXTURE(state);

	for (size_t i = 0; i < COUNT_OF(labels); i++)
		goes_to(f, labels[i], "prod/orders"); /* the only one */
}

static void without_a_name_the_only_zone_is_meant(void **state)
{
	FIXTURE(state);

	goes_to(f, "key", "prod/orders");
	make(f, "test/orders");
	goes_to(f, "key", "default/default");
	goes_to(f, "key", "default/default");
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 3);
	delete (f, "test/orders");
	delete (f, "default/default");
	goes_to(f, "key", "prod/orders");
}

static void a_zone_that_another_process_has_just_made_counts(void **state)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of("test/late");
	struct zones *other;
	FIXTURE(state);

	goes_to(f, "key", "prod/orders");
	other = zones_other(f);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(zones_zone_create(other, f->project->uid, &names, &zone), ZONE_OK);
	zones_free(other);
	goes_to(f, "test/late/key", "test/late");
}

static void the_configured_zone_comes_before_the_only_one(void **state)
{
	FIXTURE(state);

	f->settings.key_default = "test/users";
	zones_reopen(f);
	goes_nowhere(f, "key", ZONE_NOT_FOUND);
	goes_to(f, "prod/orders/key", "prod/orders");
	make(f, "test/users");
	goes_to(f, "key", "test/users");
	delete (f, "test/users");
	goes_nowhere(f, "key", ZONE_NOT_FOUND);
	f->settings.key_default = "default/default";
	zones_reopen(f);
	goes_to(f, "key", "default/default");
}

static void the_configured_zone_is_a_cluster_and_a_database(void **state)
{
	static const char *const wrong[] = {"",	  "orders", "/",    "/a",
					    "a/", "a/b/c",  " a/b", "a/b\n"};

	(void)state;
	assert_true(zones_key_default_valid("prod/orders"));
	assert_true(zones_key_default_valid("default/default"));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(zones_key_default_valid(wrong[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_label_of_three_parts_names_its_zone, begin,
						zones_end),
		cmocka_unit_test_setup_teardown(a_zone_that_is_not_there_is_not_replaced_by_another,
						begin, zones_end),
		cmocka_unit_test_setup_teardown(a_label_of_another_form_names_no_zone, begin,
						zones_end),
		cmocka_unit_test_setup_teardown(without_a_name_the_only_zone_is_meant, begin,
						zones_end),
		cmocka_unit_test_setup_teardown(a_zone_that_another_process_has_just_made_counts,
						begin, zones_end),
		cmocka_unit_test_setup_teardown(the_configured_zone_comes_before_the_only_one,
						begin, zones_end),
		cmocka_unit_test(the_configured_zone_is_a_cluster_and_a_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
