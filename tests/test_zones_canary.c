/* Leases of zones on a real store, by way of their root key's canary: how often the KMS is asked,
 * and how far a no goes. */
#include "base/macros.h"
#include "base/secret.h"
#include "zones/ezk.h"
#include "zones/ezks.h"
#include "zones/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"
#include "tests/zones_fixture.h"

enum {
	LEASE_SECONDS = 300,
	NOT_YET = LEASE_SECONDS * 3 / 4 - 1,
	SURELY = LEASE_SECONDS * 19 / 20 + 1,
	ZONE_LEASE_SECONDS = 86400,
	STALE_SECONDS = 3600,
	DENY_SECONDS = 5,
	THREADS = 64,
	MANY_ZONES = 100
};

struct leased {
	struct zones_fixture *f;
	struct entry *root_key;
	struct ezk *ezks[MANY_ZONES];
	size_t count;
	unsigned before; /* Decrypt calls until the test began */
};

static void configure(struct leased *l, bool by_zone, unsigned max_stale_seconds)
{
	l->f->settings.renew_by_zone = by_zone;
	l->f->settings.zone_lease_seconds = ZONE_LEASE_SECONDS;
	l->f->settings.max_stale_seconds = max_stale_seconds;
	zones_reopen(l->f);
}

static struct ezk *make_zone(struct leased *l, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);
	struct ezk *ezk = NULL;

	assert_int_equal(zones_zone_create(l->f->zones, l->f->project->uid, &names, &zone),
			 ZONE_OK);
	assert_int_equal(ezk_find(l->f->zones, zone, EZK_PRIMARY, &ezk), ZONE_OK);
	return ezk;
}

static void make_zones(struct leased *l, size_t count)
{
	char label[32];

	l->root_key = make_root_key(l->f, "alias/a");
	for (l->count = 0; l->count < count; l->count++) {
		snprintf(label, sizeof(label), "zone-%zu", l->count);
		l->ezks[l->count] = make_zone(l, label);
	}
	l->before = fake_kms_calls(&l->f->aws, FAKE_DECRYPT);
}

static unsigned calls(struct leased *l)
{
	return fake_kms_calls(&l->f->aws, FAKE_DECRYPT) - l->before;
}

static int begin(void **state)
{
	struct leased *l = calloc(1, sizeof(*l));
	void *fixture;

	zones_begin(&fixture);
	l->f = fixture;
	configure(l, false, 0);
	*state = l;
	return 0;
}

static int end(void **state)
{
	struct leased *l = *state;
	void *fixture = l->f;

	for (size_t i = 0; i < l->count; i++)
		ezk_release(l->ezks[i]);
	entry_release(l->root_key);
	free(l);
	return zones_end(&fixture);
}

static void seconds_pass(struct leased *l, int64_t seconds)
{
	fake_clock_advance(&l->f->clock, seconds * 1000);
}

/* As each C_ function does: it sweeps first. */
static enum zone_status use(struct leased *l, size_t zone)
{
	AUTO(secret_freep) uint8_t *key = secret_new(32);

	ezks_sweep(l->f->zones);
	TRY(ezk_begin(l->ezks[zone]));
	return ezk_key(l->ezks[zone], EZK_DATA, key);
}

static void use_all(struct leased *l, enum zone_status expected)
{
	for (size_t i = 0; i < l->count; i++)
		assert_int_equal(use(l, i), expected);
}

static void set_key(struct leased *l, enum kms_key_state state)
{
	fake_kms_set(&l->f->aws, ROOT_A, state, KMS_OK);
}

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

static void who_rests_longer_than_a_lease_asks_anew(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	use_all(l, ZONE_OK);
	seconds_pass(l, LEASE_SECONDS);
	ezks_sweep(l->f->zones);
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
	/* And by who is at work all the time. */
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
	assert_int_equal(use(l, 2), ZONE_KMS_INVALID_STATE);
	assert_null(l->ezks[0]->lease.keys);
	use_all(l, ZONE_KMS_INVALID_STATE);
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

/* --- Yes and no on the way together */

struct meanwhile {
	struct leased *l;
	size_t zone;
	bool done;
	enum zone_status answer;
};

/* While a request is out, another zone hears that the key is disabled; and then it is enabled
 * again, so that the request brings a yes. */
static void hear_a_no(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;

	if (call != FAKE_DECRYPT || meanwhile->done)
		return;
	meanwhile->done = true;
	set_key(meanwhile->l, KMS_KEY_DISABLED);
	meanwhile->answer = use(meanwhile->l, meanwhile->zone);
	set_key(meanwhile->l, KMS_KEY_ENABLED);
}

static void yes_of_the_canary_that_a_no_of_a_zone_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 2};

	make_zones(l, 3);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(use(l, 1), ZONE_OK);
	seconds_pass(l, SURELY);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void yes_of_a_zone_that_a_no_of_the_canary_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 0};

	make_zones(l, 2);
	assert_int_equal(use(l, 0), ZONE_OK);
	seconds_pass(l, SURELY);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	assert_null(l->ezks[1]->lease.keys);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void yes_of_a_zone_that_a_no_of_another_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 0};

	make_zones(l, 2);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

/* --- Outage */

static void outage_is_one_attempt_for_all_zones(void **state)
{
	struct leased *l = *state;
	unsigned before;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 10);
	use_all(l, ZONE_OK);
	before = calls(l);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	for (int i = 1; i < STALE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	/* Every 7 to 15 seconds. */
	assert_in_range(calls(l) - before, 3300 / 16, 3400 / 7);
	seconds_pass(l, 1);
	use_all(l, ZONE_KMS_UNAVAILABLE);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	use_all(l, ZONE_OK);
}

static void without_coasting_an_outage_is_borne_to_the_end_of_the_lease(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_THROTTLED);
	for (int i = 1; i < LEASE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	seconds_pass(l, 1);
	use_all(l, ZONE_KMS_THROTTLED);
}

static void missing_credentials_are_borne_to_the_end_of_the_lease_alone(void **state)
{
	struct leased *l = *state;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_NO_CREDENTIALS);
	for (int i = 1; i < LEASE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	assert_in_range(calls(l), 3 + 1, 3 + LEASE_SECONDS / 4 / 7);
	seconds_pass(l, 15);
	use_all(l, ZONE_KMS_NO_CREDENTIALS);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(l, 15);
	use_all(l, ZONE_OK);
}

static void no_is_heard_while_coasting(void **state)
{
	struct leased *l = *state;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	seconds_pass(l, 2 * LEASE_SECONDS);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(l, 15);
	use_all(l, ZONE_KMS_DISABLED);
}

/* --- What is known of the key */

static void what_was_heard_of_a_root_key_is_told_without_asking(void **state)
{
	struct leased *l = *state;
	enum zone_status heard;
	struct zones *other;
	unsigned before;

	make_zones(l, 1);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard, ZONE_OK); /* it was added here */
	other = zones_other(l->f);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_false(zones_root_key_heard(other, l->root_key, &heard));
	zones_free(other);
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	before = calls(l);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard, ZONE_KMS_DISABLED);
	set_key(l, KMS_KEY_ENABLED);
	seconds_pass(l, DENY_SECONDS);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_UNAVAILABLE, 1);
	assert_int_equal(use(l, 0), ZONE_KMS_UNAVAILABLE);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard, ZONE_KMS_UNAVAILABLE);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard, ZONE_OK);
	assert_int_equal(calls(l) - before, 2);
}

static void key_that_is_described_as_disabled_ends_the_leases_below_it(void **state)
{
	struct leased *l = *state;
	enum kms_key_state found;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(zones_root_key_state(l->f->zones, l->root_key, &found), ZONE_OK);
	assert_int_equal(found, KMS_KEY_DISABLED);
	use_all(l, ZONE_KMS_DISABLED);
	assert_int_equal(calls(l), 2);
}

static void who_may_not_encrypt_or_describe_goes_on_to_decrypt(void **state)
{
	struct leased *l = *state;
	AUTO(buffer_clear) struct buffer blob = {0};
	const struct kms_context none = {0};
	enum kms_key_state found;
	enum zone_status heard;

	make_zones(l, 1);
	use_all(l, ZONE_OK);
	fake_kms_fail(&l->f->aws, FAKE_ENCRYPT, KMS_DENIED, 1);
	fake_kms_fail(&l->f->aws, FAKE_DESCRIBE, KMS_DENIED, 1);
	assert_int_equal(
		zones_root_key_encrypt(l->f->zones, l->root_key, &none, bytes_of("x"), &blob),
		ZONE_KMS_DENIED);
	assert_int_equal(zones_root_key_state(l->f->zones, l->root_key, &found), ZONE_KMS_DENIED);
	use_all(l, ZONE_OK);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard, ZONE_OK);
}

static void local_key_that_is_disabled_here_ends_its_leases_at_once(void **state)
{
	struct leased *l = *state;

	l->root_key = make_root_key(l->f, LOCAL_KEY);
	l->ezks[l->count++] = make_zone(l, "zone");
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(zones_root_key_set_state(l->f->zones, l->root_key, KMS_KEY_DISABLED),
			 ZONE_OK);
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	assert_int_equal(zones_root_key_set_state(l->f->zones, l->root_key, KMS_KEY_ENABLED),
			 ZONE_OK);
	assert_int_equal(use(l, 0), ZONE_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(cold_zones_are_asked_once_each_and_then_one_canary_a_lease),
		CASE(zones_that_ask_for_themselves_ask_once_each_a_lease),
		CASE(zone_that_is_not_used_stays_leased_by_the_others),
		CASE(who_rests_longer_than_a_lease_asks_anew),
		CASE(each_zone_is_asked_itself_once_a_day),
		CASE(root_key_without_a_canary_leaves_zones_to_themselves),
		CASE(disabled_key_is_noticed_by_its_canary),
		CASE(disabled_key_is_noticed_by_zones_that_ask_for_themselves),
		CASE(no_about_the_key_ends_every_lease_below_it),
		CASE(no_about_a_right_ends_the_zone_that_asked),
		CASE(canary_without_a_right_is_no_no),
		CASE(right_that_is_lost_is_noticed_by_canary_and_zone),
		CASE(refused_canary_takes_back_what_it_gave),
		CASE(canary_that_does_not_open_leaves_zones_to_themselves),
		CASE(yes_of_the_canary_that_a_no_of_a_zone_overtook_is_dropped),
		CASE(yes_of_a_zone_that_a_no_of_the_canary_overtook_is_dropped),
		CASE(yes_of_a_zone_that_a_no_of_another_overtook_is_dropped),
		CASE(outage_is_one_attempt_for_all_zones),
		CASE(without_coasting_an_outage_is_borne_to_the_end_of_the_lease),
		CASE(missing_credentials_are_borne_to_the_end_of_the_lease_alone),
		CASE(no_is_heard_while_coasting),
		CASE(what_was_heard_of_a_root_key_is_told_without_asking),
		CASE(key_that_is_described_as_disabled_ends_the_leases_below_it),
		CASE(who_may_not_encrypt_or_describe_goes_on_to_decrypt),
		CASE(local_key_that_is_disabled_here_ends_its_leases_at_once),
	};

	return cmocka_run_group_tests_name("canary", tests, NULL, NULL);
}
