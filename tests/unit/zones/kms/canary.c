/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How often the KMS is asked for the zones of a root key, and how far a no goes. */
#include "base/file.h"
#include "base/log.h"
#include "tests/support/leased_zones.h"
#include "zones/domain/zones.h"

/* --- How often */

struct worker {
	pthread_t thread;
	struct leased *l;
	unsigned seed;
	unsigned refused;
};

static void *work(void *state)
{
	struct worker *worker = state;

	for (unsigned i = 0; i < worker->l->count; i++)
		worker->refused +=
			use(worker->l, (worker->seed * 7 + i) % worker->l->count) != ZONE_OK;
	return NULL;
}

static unsigned work_by_threads(struct leased *l)
{
	struct worker workers[THREADS];
	unsigned refused = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.l = l, .seed = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		refused += workers[i].refused;
	}
	return refused;
}

static void cold_zones_are_asked_once_each_and_then_one_canary_a_lease(void **state)
{
	struct leased *l = *state;

	make_zones(l, MANY_ZONES);
	l->f->aws.delay_ms = 1;
	assert_int_equal(work_by_threads(l), 0);
	assert_int_equal(calls(l), MANY_ZONES);
	for (unsigned i = 1; i <= 5; i++) {
		seconds_pass(l, SURELY);
		assert_int_equal(work_by_threads(l), 0);
		assert_int_equal(calls(l), MANY_ZONES + i);
	}
	/* A no is one call, and then none for deny_seconds. */
	set_key(l, KMS_KEY_DISABLED);
	seconds_pass(l, SURELY);
	work_by_threads(l);
	use_all(l, ZONE_KMS_DISABLED);
	assert_int_equal(calls(l), MANY_ZONES + 6);
}

static void zones_that_ask_for_themselves_ask_once_each_a_lease(void **state)
{
	struct leased *l = *state;

	configure(l, true, 0);
	make_zones(l, 10);
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(work_by_threads(l), 0);
		assert_int_equal(calls(l), 10 * i);
		seconds_pass(l, SURELY);
	}
}

static void zone_that_is_not_used_stays_leased_by_the_others(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	for (int i = 0; i < 20; i++) {
		seconds_pass(l, SURELY);
		assert_int_equal(use(l, 0), ZONE_OK);
	}
	assert_int_equal(calls(l), 2 + 20);
	assert_int_equal(use(l, 1), ZONE_OK);
	assert_int_equal(calls(l), 2 + 20);
}

static void a_process_that_rests_longer_than_a_lease_asks_anew(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	use_all(l, ZONE_OK);
	seconds_pass(l, LEASE_SECONDS);
	registry_sweep(zones_registry(l->f->zones));
	for (size_t i = 0; i < 3; i++)
		assert_null(l->ezks[i]->lease.keys);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 6);
}

static void each_zone_is_asked_itself_once_a_day(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	for (int64_t at = 0; at < ZONE_LEASE_SECONDS + LEASE_SECONDS; at += SURELY) {
		use_all(l, ZONE_OK);
		seconds_pass(l, SURELY);
	}
	/* Canaries and, for each zone, twice its own. */
	assert_in_range(calls(l), ZONE_LEASE_SECONDS / SURELY,
			(ZONE_LEASE_SECONDS + LEASE_SECONDS) / SURELY + 2 * 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(l->ezks[i]->lease.brought.monotonic_ms > 3600 * 1000);
}

static void root_key_without_a_canary_leaves_zones_to_themselves(void **state)
{
	struct leased *l = *state;
	const struct entry *in_index;

	make_zones(l, 2);
	in_index = index_uid(&l->f->zones->index, l->root_key->uid);
	assert_true(entry_set_bytes(&((struct entry *)(uintptr_t)in_index)->of_root_key.canary,
				    bytes(NULL, 0)));
	use_all(l, ZONE_OK);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 4);
}

/* --- At any period of use */

enum { SHORT_LEASE = 12, USED_ZONES = 20, LEASES = 100, TICK_MS = 50 };

/* Zones that are each used once in a period, one after the other, evenly or (`burst`) all at once;
 * answers the calls in a hundred leases. */
static unsigned calls_at_period(struct leased *l, int64_t period_ms, bool burst)
{
	int64_t next[USED_ZONES], now = 0;
	unsigned before;

	for (size_t i = 0; i < l->count; i++)
		next[i] = burst ? 0 : period_ms * (int64_t)i / (int64_t)l->count;
	for (before = calls(l); now < LEASES * SHORT_LEASE * 1000; now += TICK_MS) {
		for (size_t i = 0; i < l->count; i++) {
			if (now < next[i])
				continue;
			assert_int_equal(use(l, i), ZONE_OK);
			next[i] += period_ms;
		}
		/* What it takes to open them once is no matter of leases. */
		if (now < 2 * SHORT_LEASE * 1000)
			before = calls(l);
		fake_clock_advance(&l->f->clock, TICK_MS);
	}
	return calls(l) - before;
}

static void root_key_costs_little_more_than_a_call_a_lease_at_any_period_of_use(void **state)
{
	static const int64_t periods[] = {50,	500,  1000, 2000, 3000,	 4000,	5000,
					  6000, 7000, 8000, 9000, 10000, 11000, 12000};
	struct leased *l = *state;

	l->f->settings.lease_seconds = SHORT_LEASE;
	configure(l, false, 0);
	make_zones(l, USED_ZONES);
	for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++) {
		unsigned spread = calls_at_period(l, periods[i], false);
		unsigned burst = calls_at_period(l, periods[i], true);

		print_message("# %d zones, lease %d s, each used every %5.2f s: %.2f calls a lease"
			      "; all at once: %.2f\n",
			      USED_ZONES, SHORT_LEASE, (double)periods[i] / 1000,
			      spread / (double)(LEASES - 2), burst / (double)(LEASES - 2));
		assert_true(spread <= 1.3 * (LEASES - 2));
		/* No use lies in the last part: the one before it asks, so that it is at most one
		 * call a burst, and fewer than two a lease. Bursts a lease apart find all ended. */
		if (periods[i] < 11900)
			assert_true(burst <= 2.05 * (LEASES - 2));
	}
}

static void one_zone_alone_costs_no_more_than_a_call_a_lease(void **state)
{
	static const int64_t periods[] = {1000, 3000, 4000, 6000, 7000, 11000};
	struct leased *l = *state;

	l->f->settings.lease_seconds = SHORT_LEASE;
	configure(l, false, 0);
	make_zones(l, 1);
	for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++) {
		unsigned alone = calls_at_period(l, periods[i], true);

		print_message("# one zone, used every %5.2f s: %.2f calls a lease\n",
			      (double)periods[i] / 1000, alone / (double)(LEASES - 2));
		assert_true(alone <= 1.3 * (LEASES - 2));
	}
}

/* --- By the zones' own bounds */

static void week(struct leased *l, uint32_t max_lease)
{
	l->f->settings.lease_seconds = 604800;
	l->f->settings.new_zone.max_lease = max_lease;
	zones_reopen(l->f);
}

static void week_is_cut_to_the_lease_of_the_records(void **state)
{
	struct leased *l = *state;

	week(l, LEASE_SECONDS);
	make_zones(l, MANY_ZONES);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), MANY_ZONES);
	seconds_pass(l, NOT_YET);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), MANY_ZONES);
	seconds_pass(l, SURELY - NOT_YET);
	/* One canary for all, as where that lease is configured. */
	for (unsigned i = 1; i <= 5; i++) {
		use_all(l, ZONE_OK);
		assert_int_equal(calls(l), MANY_ZONES + i);
		seconds_pass(l, SURELY);
	}
	set_key(l, KMS_KEY_DISABLED);
	seconds_pass(l, LEASE_SECONDS - SURELY);
	use_all(l, ZONE_KMS_DISABLED);
}

static void canary_extends_each_lease_by_no_more_than_its_own_record_allows(void **state)
{
	struct leased *l = *state;

	week(l, 86400);
	make_zones(l, 1);
	l->ezks[l->count++] =
		make_bounded_zone(l, "short", (struct wished_seconds){true, LEASE_SECONDS});
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 2);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 3);
	/* Nobody uses the short one meanwhile, and the other has no reason to ask. */
	seconds_pass(l, LEASE_SECONDS);
	registry_sweep(zones_registry(l->f->zones));
	assert_null(l->ezks[1]->lease.keys);
	/* Whoever uses another asks once for the one that was to be renewed, and then for himself.
	 */
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(calls(l), 4);
	seconds_pass(l, 5 * LEASE_SECONDS);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(calls(l), 4);
	assert_int_equal(use(l, 1), ZONE_OK);
	assert_int_equal(calls(l), 5);
}

static void zone_of_0_asks_for_each_operation_from_the_first_on(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	l->ezks[l->count++] = make_bounded_zone(l, "asks", (struct wished_seconds){true, 0});
	/* Before anything was asked, the store's word counts. */
	assert_int_equal(l->ezks[0]->lease.lease_ms, LEASE_SECONDS * 1000);
	assert_int_equal(l->ezks[1]->lease.lease_ms, 0);
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(ezk_begin(l->ezks[0]), ZONE_OK);
		assert_int_equal(ezk_begin(l->ezks[1]), ZONE_OK);
		assert_int_equal(calls(l), 1 + i);
	}
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(ezk_begin(l->ezks[0]), ZONE_OK);
	assert_int_equal(ezk_begin(l->ezks[1]), ZONE_KMS_DISABLED);
}

static void log_says_once_that_a_record_cuts_the_configuration(void **state)
{
	char *path = path_join(((struct leased *)*state)->f->folder, "log");
	AUTO(buffer_clear) struct buffer text = {0};
	struct leased *l = *state;
	const char *said;

	assert_true(log_configure(LOG_INFO, path));
	l->f->settings.max_stale_seconds = 604800;
	week(l, LEASE_SECONDS);
	make_zones(l, 3);
	use_all(l, ZONE_OK);
	seconds_pass(l, LEASE_SECONDS);
	use_all(l, ZONE_OK);
	log_configure(LOG_OFF, "stderr");
	assert_true(file_read(path, 65536, &text));
	said = strstr(buffer_text(&text),
		      "its greatest lease is 300 s, by its record, which holds in "
		      "place of [kms] lease_seconds = 604800");
	assert_non_null(said);
	assert_null(strstr(said + 1, "its greatest lease"));
	said = strstr(buffer_text(&text), "its greatest stale time is 86400 s");
	assert_non_null(said);
	assert_null(strstr(said + 1, "its greatest stale time"));
	/* All is well, so nobody is warned. */
	assert_non_null(strstr(buffer_text(&text), "info: zone "));
	free(path);
}

/* --- A no */

static void disabled_key_is_noticed_within_the_lease(struct leased *l)
{
	use_all(l, ZONE_OK);
	set_key(l, KMS_KEY_DISABLED);
	seconds_pass(l, LEASE_SECONDS);
	use_all(l, ZONE_KMS_DISABLED);
	set_key(l, KMS_KEY_ENABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
	/* And by a process that works all the time. */
	seconds_pass(l, SURELY);
	set_key(l, KMS_KEY_DISABLED);
	use_all(l, ZONE_KMS_DISABLED);
	for (size_t i = 0; i < l->count; i++)
		assert_null(l->ezks[i]->lease.keys);
	set_key(l, KMS_KEY_ENABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void disabled_key_is_noticed_by_its_canary(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	disabled_key_is_noticed_within_the_lease(l);
}

static void disabled_key_is_noticed_by_zones_that_ask_for_themselves(void **state)
{
	struct leased *l = *state;

	configure(l, true, 0);
	make_zones(l, 3);
	disabled_key_is_noticed_within_the_lease(l);
}

static void no_about_the_key_ends_every_lease_below_it(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(use(l, 1), ZONE_OK);
	set_key(l, KMS_KEY_PENDING_DELETION);
	/* A cold zone is the first to hear it. */
	assert_int_equal(use(l, 2), ZONE_KMS_PENDING_DELETION);
	assert_null(l->ezks[0]->lease.keys);
	use_all(l, ZONE_KMS_PENDING_DELETION);
	assert_int_equal(calls(l), 3);
}

static void no_about_a_right_ends_the_zone_that_asked(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	assert_int_equal(use(l, 0), ZONE_OK);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_DENIED, 1);
	assert_int_equal(use(l, 1), ZONE_KMS_DENIED);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(calls(l), 2);
}

static void canary_without_a_right_is_no_no(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	use_all(l, ZONE_OK);
	seconds_pass(l, SURELY);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_DENIED, 1);
	use_all(l, ZONE_OK);
	/* The canary, then each zone by itself, for a lease. */
	assert_int_equal(calls(l), 3 + 1 + 3);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 3 + 1 + 3 + 3);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 3 + 1 + 3 + 3 + 1);
}

static void right_that_is_lost_is_noticed_by_canary_and_zone(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	seconds_pass(l, SURELY);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_DENIED);
	use_all(l, ZONE_KMS_DENIED);
	assert_int_equal(calls(l), 2 + 1 + 2);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void refused_canary_takes_back_what_it_gave(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	seconds_pass(l, SURELY);
	use_all(l, ZONE_OK); /* both rest on the canary now */
	seconds_pass(l, SURELY);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_DENIED, 1);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(calls(l), 2 + 1 + 2);
	assert_false(lease_runs(&l->ezks[1]->lease));
	assert_int_equal(use(l, 1), ZONE_OK);
	assert_int_equal(calls(l), 2 + 1 + 3);
}

static void canary_that_does_not_open_leaves_zones_to_themselves(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	seconds_pass(l, SURELY);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_INVALID_CIPHERTEXT, 1);
	use_all(l, ZONE_OK);
	assert_int_equal(calls(l), 2 + 1 + 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cold_zones_are_asked_once_each_and_then_one_canary_a_lease),
		CASE(zones_that_ask_for_themselves_ask_once_each_a_lease),
		CASE(zone_that_is_not_used_stays_leased_by_the_others),
		CASE(a_process_that_rests_longer_than_a_lease_asks_anew),
		CASE(each_zone_is_asked_itself_once_a_day),
		CASE(root_key_without_a_canary_leaves_zones_to_themselves),
		CASE(root_key_costs_little_more_than_a_call_a_lease_at_any_period_of_use),
		CASE(one_zone_alone_costs_no_more_than_a_call_a_lease),
		CASE(week_is_cut_to_the_lease_of_the_records),
		CASE(canary_extends_each_lease_by_no_more_than_its_own_record_allows),
		CASE(zone_of_0_asks_for_each_operation_from_the_first_on),
		CASE(log_says_once_that_a_record_cuts_the_configuration),
		CASE(disabled_key_is_noticed_by_its_canary),
		CASE(disabled_key_is_noticed_by_zones_that_ask_for_themselves),
		CASE(no_about_the_key_ends_every_lease_below_it),
		CASE(no_about_a_right_ends_the_zone_that_asked),
		CASE(canary_without_a_right_is_no_no),
		CASE(right_that_is_lost_is_noticed_by_canary_and_zone),
		CASE(refused_canary_takes_back_what_it_gave),
		CASE(canary_that_does_not_open_leaves_zones_to_themselves),
	};

	return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
