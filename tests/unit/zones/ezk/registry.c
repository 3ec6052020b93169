/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between live EZKs and the domain above them: here the domain is a table that the test
 * makes up, and no struct zones is there. */
#include "base/buffer.h"
#include "base/macros.h"
#include "tests/support/live_zones.h"

enum { LEASE_SECONDS = 300, ZONE = 42 };

static int set_up(void **state)
{
	const struct lease_settings lease = {
		.lease_seconds = LEASE_SECONDS, .deny_seconds = 5, .zone_lease_seconds = 86400};

	*state = malloc(sizeof(struct live_zones));
	live_zones_start_with(*state, &lease);
	return 0;
}

static int tear_down(void **state)
{
	live_zones_stop(*state);
	free(*state);
	return 0;
}

static struct ezk *find(struct live_zones *live, const struct entry *zone)
{
	struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(live->registry, zone, EZK_PRIMARY, &ezk), ZONE_OK);
	return ezk;
}

static void put_records(const struct entry *zone, struct buffer *records)
{
	const struct record_set set = {zone->of_zone.zone, zone->of_zone.versions,
				       zone->of_zone.version_count};

	assert_int_equal(record_set_encode(&set, records), ZONE_OK);
}

static void what_the_domain_says_of_a_zone_bars_a_new_ezk(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	live->standing = ZONE_OTHER_PIN;
	ezk = find(live, zone);
	assert_int_equal(ezk_begin(ezk), ZONE_OTHER_PIN);
	assert_int_equal(live->explained, 1);
	assert_int_equal(live_decrypts(live), 0);
	live->standing = ZONE_OK;
	registry_changed(live->registry, zone, ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void records_are_opened_after_a_look_and_with_the_domains_consent(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	put_records(zone, &records);
	live->look = ZONE_STORE_UNAVAILABLE;
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_STORE_UNAVAILABLE);
	live->look = ZONE_OK;
	live->standing = ZONE_DELETED;
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_DELETED);
	assert_int_equal(live->explained, 1);
	assert_int_equal(live_decrypts(live), 0);
	live->standing = ZONE_OK;
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_OK);
	assert_int_equal(live->looks, 3);
}

static void records_follow_what_the_domain_says_later(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(buffer_clear) struct buffer records = {0}, ended = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	uint64_t id = ZONE;

	put_records(zone, &records);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_OK);
	registry_changed_records(live->registry, live_standing, live, &ended);
	assert_int_equal(ended.len, 0);
	live->standing = ZONE_DELETED;
	registry_changed_records(live->registry, live_standing, live, &ended);
	assert_true(bytes_equal(buffer_bytes(&ended), bytes(&id, sizeof(id))));
	assert_false(ezk_leased(ezk));
	assert_int_equal(ezk_begin(ezk), ZONE_DELETED);
}

static void a_renewal_asks_the_canary_of_the_domain(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	live->canary = ZONE_OK;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_clock_advance(&live->clock, LEASE_SECONDS * 1000 * 97 / 100);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live->canaries, 1);
	assert_int_equal(live_decrypts(live), 1);
}

static void a_no_of_the_canary_ends_what_rests_on_its_key(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	live->canary = ZONE_KMS_DISABLED;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_clock_advance(&live->clock, LEASE_SECONDS * 1000 * 97 / 100);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_false(ezk_leased(ezk));
}

static void the_domain_looks_into_the_store_when_that_is_due(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(ezk_continue(ezk), ZONE_OK);
	assert_int_equal(live->looks, 0);
	lease_rules_look_at(registry_rules(live->registry), live->clock.monotonic_ms);
	assert_int_equal(ezk_continue(ezk), ZONE_OK);
	assert_int_equal(live->looks, 1);
}

static void messages_call_a_zone_as_the_domain_does(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	assert_string_equal(zone_title_by(ezk, 7).text, "zone 7");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_the_domain_says_of_a_zone_bars_a_new_ezk),
		CASE(records_are_opened_after_a_look_and_with_the_domains_consent),
		CASE(records_follow_what_the_domain_says_later),
		CASE(a_renewal_asks_the_canary_of_the_domain),
		CASE(a_no_of_the_canary_ends_what_rests_on_its_key),
		CASE(the_domain_looks_into_the_store_when_that_is_due),
		CASE(messages_call_a_zone_as_the_domain_does),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
