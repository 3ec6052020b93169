/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine a name opens. */
#include "base/log.h"
#include "tests/support/unit.h"
#include "zones/store/sqlite/engine.h"

static void made_up_free(struct store *store)
{
	(void)store;
}

static const struct store_operations made_up_operations = {.free = made_up_free};
static struct store made_up_store = {.operations = &made_up_operations};
static const char *made_up_path; /* as the engine heard it */

static struct store *made_up_open(const struct store_settings *settings)
{
	made_up_path = settings->path;
	return &made_up_store;
}

static struct store *never_opens(const struct store_settings *settings)
{
	(void)settings;
	return NULL;
}

static const struct store_engine made_up = {.name = "made-up", .open = made_up_open};
static const struct store_engine taker = {
	.name = "taker", .takes = "endpoint table", .open = made_up_open};
static const struct store_engine full = {.name = "full", .open = never_opens};
static const struct store_engine *const engines[] = {&store_sqlite, &made_up, &full, &taker, NULL};

static void the_name_chooses_the_engine(void **state)
{
	struct store_settings settings = {.backend = "made-up", .path = "/somewhere"};
	struct store *store = NULL;

	(void)state;
	assert_int_equal(store_open(engines, &settings, &store), ZONE_OK);
	assert_ptr_equal(store, &made_up_store);
	assert_string_equal(made_up_path, "/somewhere");
	settings.backend = "sqlite";
	assert_int_equal(store_open(engines, &settings, &store), ZONE_OK);
	assert_ptr_not_equal(store, &made_up_store);
	store->operations->free(store);
	settings.backend = "full";
	assert_int_equal(store_open(engines, &settings, &store), ZONE_NO_MEMORY);
}

static void an_unknown_name_is_told_with_those_that_there_are(void **state)
{
	struct store_settings settings = {
		.backend = "made", .backend_at = "/etc/cmek.conf line 3", .path = "/somewhere"};
	struct store *store = NULL;

	(void)state;
	assert_int_equal(store_open(engines, &settings, &store), ZONE_INVALID);
	assert_null(store);
	assert_string_equal(log_last(), "/etc/cmek.conf line 3: [store] backend = made: should be "
					"one of: sqlite made-up full taker");
	settings.backend_at = NULL;
	assert_int_equal(store_open(engines, &settings, &store), ZONE_INVALID);
	assert_string_equal(log_last(),
			    "[store] backend = made: should be one of: sqlite made-up full taker");
}

static void settings_of_another_engine_are_refused_with_their_place(void **state)
{
	struct store_settings settings = {.backend = "sqlite",
					  .path = "/somewhere",
					  .user = {"cmek", "/etc/cmek.conf line 7"}};
	struct store *store = NULL;

	(void)state;
	assert_int_equal(store_open(engines, &settings, &store), ZONE_INVALID);
	assert_null(store);
	assert_string_equal(log_last(),
			    "/etc/cmek.conf line 7: [store] user is not for backend = sqlite; set "
			    "[store] backend to the engine that it is for, or remove it");
}

static void engine_takes_the_settings_that_it_names_and_no_others(void **state)
{
	struct store_settings settings = {
		.backend = "taker", .endpoint = {"https://x", NULL}, .table = {"t", NULL}};
	struct store *store = NULL;

	(void)state;
	assert_int_equal(store_open(engines, &settings, &store), ZONE_OK);
	settings.region.text = "r";
	assert_int_equal(store_open(engines, &settings, &store), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "region is not for backend = taker"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_chooses_the_engine),
		cmocka_unit_test(an_unknown_name_is_told_with_those_that_there_are),
		cmocka_unit_test(settings_of_another_engine_are_refused_with_their_place),
		cmocka_unit_test(engine_takes_the_settings_that_it_names_and_no_others),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
