/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A whole outage, on a clock that the test moves and a KMS that counts: how many requests it costs,
 * what it leaves in the logs, and how soon after it work goes on. */
#include "base/file.h"
#include "base/log.h"
#include "kms/silence.h"
#include "tests/support/audit_lines.h"
#include "tests/support/leased_zones.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/kms/audit.h"

#include <stdio.h>
#include <unistd.h>

enum {
	SECOND_MS = 1000,
	TEN_MINUTES_MS = 600 * SECOND_MS,
	STEP_MS = 100,
	USE_MS = 500, /* from one use of each zone to the next */
	RECOVERY_MS = 15 * SECOND_MS,
	ZONES = 5, /* under each of two root keys of one endpoint */
	DOMAINS = 200,
	/* One from one backoff to the next, and those with which it grows. */
	PROBES_MAX = TEN_MINUTES_MS / (SILENCE_MAX_MS * 3 / 4) + 7
};

static unsigned all_calls(struct leased *l)
{
	unsigned sum = 0;

	for (int call = 0; call < FAKE_CALL_COUNT; call++)
		sum += fake_kms_calls(&l->f->aws, (enum fake_kms_call)call);
	return sum;
}

static void answer(struct leased *l, enum kms_status status)
{
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, status);
	fake_kms_set(&l->f->aws, ROOT_B, KMS_KEY_ENABLED, status);
}

/* --- Lines */

static char log_file[160], audit_file[160];

static void log_into_files(struct leased *l)
{
	snprintf(log_file, sizeof(log_file), "%s/log", l->f->folder);
	snprintf(audit_file, sizeof(audit_file), "%s/audit.jsonl", l->f->folder);
	assert_true(log_configure(LOG_WARNING, log_file));
	assert_true(audit_configure(audit_file));
}

static void stop_logs(void)
{
	log_configure(LOG_OFF, "stderr");
	audit_configure(NULL);
}

/* Of those that have such a text, since the last time. */
static unsigned take_log_lines(const char *with)
{
	AUTO(buffer_clear) struct buffer text = {0};
	unsigned found = 0;
	char *rest = NULL;

	assert_true(file_read(log_file, 64 << 20, &text));
	for (char *line = strtok_r((char *)buffer_text(&text), "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest))
		found += strstr(line, with) != NULL;
	return found;
}

static void forget_logs(void)
{
	assert_int_equal(truncate(log_file, 0), 0);
	unlink(audit_file);
}

/* --- Two root keys with their zones */

static void make_two_root_keys(struct leased *l)
{
	AUTO(entry_releasep) struct entry *other = NULL;
	AUTO(entry_releasep) struct entry *cluster = NULL;
	char label[32];

	make_zones(l, ZONES);
	other = make_root_key(l->f, "alias/b");
	cluster = make_cluster(l->f, other, "elsewhere");
	for (size_t i = 0; i < ZONES; i++) {
		snprintf(label, sizeof(label), "elsewhere/zone-%zu", i);
		l->ezks[l->count++] = make_zone(l, label);
	}
}

/* Answers how many uses failed. */
static unsigned use_each(struct leased *l, enum zone_status expected)
{
	unsigned failed = 0;

	for (size_t i = 0; i < l->count; i++) {
		enum zone_status status = use(l, i);

		failed += status != ZONE_OK;
		assert_true(status == ZONE_OK || status == expected);
	}
	return failed;
}

static unsigned use_for(struct leased *l, int64_t ms, enum zone_status expected)
{
	unsigned failed = 0;

	for (int64_t at = 0; at < ms; at += USE_MS) {
		fake_clock_advance(&l->f->clock, USE_MS);
		failed += use_each(l, expected);
	}
	return failed;
}

static int64_t recovery(struct leased *l, enum zone_status expected)
{
	int64_t ms = 0;

	while (use_each(l, expected) > 0) {
		assert_true(ms < 10 * RECOVERY_MS);
		fake_clock_advance(&l->f->clock, STEP_MS);
		ms += STEP_MS;
	}
	return ms;
}

/* The audit log has so many lines about calls, and one for each lease that ended. */
static void check_audit_lines(struct leased *l, unsigned expected)
{
	json_t *lines = read_lines(audit_file);
	unsigned calls = 0, leases = 0;

	for (size_t i = 0; i < json_array_size(lines); i++) {
		calls += strcmp(text_of(lines, i, "event"), "kms") == 0;
		leases += strcmp(text_of(lines, i, "event"), "lease") == 0;
	}
	json_decref(lines);
	print_message("# audit log: %u lines about calls, %u about leases\n", calls, leases);
	assert_int_equal(calls, expected);
	assert_int_equal(leases, l->count);
}

/* How many requests ten minutes may cost at most. */
static unsigned bound_of(unsigned steady, unsigned askers)
{
	unsigned probes = askers * PROBES_MAX;

	return steady * 12 / 10 > probes ? steady * 12 / 10 : probes;
}

static unsigned cost_of_ten_minutes(struct leased *l, enum zone_status expected,
				    unsigned *ret_failed)
{
	unsigned before = all_calls(l);

	forget_logs();
	*ret_failed = use_for(l, TEN_MINUTES_MS, expected);
	return all_calls(l) - before;
}

static void outage_of_one_domain(struct leased *l, unsigned lease_seconds, enum kms_status status)
{
	enum zone_status expected = zone_status_of_kms(status);
	unsigned endpoints = status == KMS_THROTTLED ? 2 : 1; /* that is of a key */
	unsigned steady, asked, failed, bound;
	int64_t ms;

	l->f->settings.lease_seconds = lease_seconds;
	configure(l, false, 0);
	make_two_root_keys(l);
	use_all(l, ZONE_OK);
	log_into_files(l);
	steady = cost_of_ten_minutes(l, ZONE_OK, &failed);
	assert_int_equal(failed, 0);
	answer(l, status);
	asked = cost_of_ten_minutes(l, expected, &failed);
	bound = bound_of(steady, endpoints);
	print_message("# lease %u s, %s: steady state %u requests in ten minutes; in the outage %u "
		      "(bound %u), and %u calls failed; log: %u lines\n",
		      lease_seconds, kms_status_text(status), steady, asked, bound, failed,
		      take_log_lines(""));
	assert_true(failed > 5000);
	assert_true(asked <= bound);
	assert_int_equal(take_log_lines(""), endpoints);
	check_audit_lines(l, endpoints);
	forget_logs();
	answer(l, KMS_OK);
	ms = recovery(l, expected);
	print_message("# all %zu zones work %lld ms after the KMS is back\n", l->count,
		      (long long)ms);
	assert_true(ms <= RECOVERY_MS);
	assert_int_equal(take_log_lines("answers again"), endpoints);
	stop_logs();
}

static void outage_with_a_short_lease_costs_no_more_than_work_does(void **state)
{
	outage_of_one_domain(*state, 12, KMS_UNAVAILABLE);
}

static void outage_with_the_default_lease_costs_a_request_in_some_seconds(void **state)
{
	outage_of_one_domain(*state, LEASE_SECONDS, KMS_UNAVAILABLE);
}

static void throttling_is_remembered_for_each_key(void **state)
{
	outage_of_one_domain(*state, 12, KMS_THROTTLED);
}

/* --- Every way to the KMS */

enum { WAYS = 6 };

static enum zone_status go(struct leased *l, struct entry *root_key, int way)
{
	AUTO(entry_releasep) struct entry *made = NULL;
	AUTO(buffer_clear) struct buffer out = {0};
	struct entry_names names = names_of("new");
	struct root_key_finding finding;
	const struct kms_context none = {0};

	switch (way) {
	case 0:
		return use(l, 0);
	case 1:
		return zones_zone_create(l->f->zones, l->f->project->uid, &names, &made);
	case 2:
		return zones_root_key_encrypt(l->f->zones, root_key, &none, bytes_of("x"), &out);
	case 3:
		return zones_root_key_decrypt(l->f->zones, root_key, &none, bytes_of("x"), &out);
	case 4:
		return add_root_key(l->f->zones, l->f->project->uid, ROOT_B, "b");
	default:
		zones_root_key_ask(l->f->zones, root_key, &finding);
		return finding.status;
	}
}

static void fail_all(struct leased *l, unsigned count)
{
	for (int call = 0; call < FAKE_CALL_COUNT; call++)
		fake_kms_fail(&l->f->aws, (enum fake_kms_call)call, KMS_UNAVAILABLE, count);
}

static void each_way_to_the_kms_keeps_to_one_memory(void **state)
{
	struct leased *l = *state;
	unsigned before;

	make_zones(l, 1);
	fail_all(l, 1000000);
	for (int first = 0; first < WAYS; first++) {
		/* A failure of any way is known to all. That it is not the one key's is known by
		 * the second. */
		seconds_pass(l, 60);
		before = all_calls(l);
		assert_int_equal(go(l, l->root_key, first), ZONE_KMS_UNAVAILABLE);
		assert_int_equal(all_calls(l) - before, 1);
		for (int way = 0; way < WAYS; way++)
			for (int i = 0; i < 10; i++)
				assert_int_equal(go(l, l->root_key, way), ZONE_KMS_UNAVAILABLE);
		assert_int_equal(all_calls(l) - before, first == 0 ? 2 : 1);
	}
	fail_all(l, 0);
	seconds_pass(l, 60);
	for (int way = 0; way < WAYS; way++)
		assert_true(way == 3 || go(l, l->root_key, way) == ZONE_OK);
}

static void refused_call_says_why_and_since_when(void **state)
{
	struct leased *l = *state;

	make_zones(l, 2);
	answer(l, KMS_UNAVAILABLE);
	assert_int_equal(use(l, 0), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(use(l, 1), ZONE_KMS_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "aws in us-west-2: "));
	assert_non_null(strstr(log_last(), "the KMS is out of reach"));
	assert_non_null(strstr(log_last(), ", 0 s ago"));
}

/* A process that starts in an outage has no lease to go on by. */
static void start_in_an_outage_is_one_request_for_all_zones(void **state)
{
	struct leased *l = *state;
	unsigned before;

	make_zones(l, MANY_ZONES);
	answer(l, KMS_UNAVAILABLE);
	before = all_calls(l);
	for (int i = 0; i < 100; i++)
		use_all(l, ZONE_KMS_UNAVAILABLE);
	assert_int_equal(all_calls(l) - before, 1);
}

static void credentials_that_lack_are_asked_each_time_and_told_once(void **state)
{
	struct leased *l = *state;
	unsigned before;

	make_zones(l, 2);
	log_into_files(l);
	answer(l, KMS_NO_CREDENTIALS);
	before = all_calls(l);
	for (int i = 0; i < 50; i++)
		use_all(l, ZONE_KMS_NO_CREDENTIALS);
	assert_int_equal(all_calls(l) - before, 100);
	assert_int_equal(take_log_lines(""), 1);
	answer(l, KMS_OK);
	use_all(l, ZONE_OK);
	assert_int_equal(take_log_lines("answers again"), 1);
	stop_logs();
}

/* --- Many processes */

struct domain {
	struct zones *zones;
	struct ezk *ezk;
	bool works;
};

static enum zone_status use_domain(struct domain *domain)
{
	AUTO(secret_freep) uint8_t *key = secret_new(32);

	registry_sweep(zones_registry(domain->zones));
	TRY(ezk_begin(domain->ezk));
	return ezk_key(domain->ezk, EZK_DATA, key);
}

static unsigned use_domains(struct domain *domains)
{
	unsigned failed = 0;

	for (size_t i = 0; i < DOMAINS; i++) {
		domains[i].works = use_domain(&domains[i]) == ZONE_OK;
		failed += !domains[i].works;
	}
	return failed;
}

static void open_domains(struct leased *l, struct domain *domains)
{
	AUTO(entry_releasep) struct entry *zone = ezk_entry(l->ezks[0]);

	for (size_t i = 0; i < DOMAINS; i++) {
		AUTO(entry_releasep) struct entry *own = NULL;

		domains[i].zones = zones_other(l->f);
		assert_int_equal(zones_refresh(domains[i].zones, true), ZONE_OK);
		own = zones_find_uid(domains[i].zones, zone->uid);
		assert_int_equal(ezk_find(zones_registry(domains[i].zones), own, EZK_PRIMARY,
					  &domains[i].ezk),
				 ZONE_OK);
	}
}

static void close_domains(struct domain *domains)
{
	for (size_t i = 0; i < DOMAINS; i++) {
		ezk_release(domains[i].ezk);
		zones_free(domains[i].zones);
	}
	free(domains);
}

/* As after C_Finalize and C_Initialize, or in a fork's child. */
static void new_domain_knows_of_no_silence(void **state)
{
	struct domain *domains = calloc(DOMAINS, sizeof(*domains));
	struct leased *l = *state;

	make_zones(l, 1);
	answer(l, KMS_UNAVAILABLE);
	assert_int_equal(use(l, 0), ZONE_KMS_UNAVAILABLE);
	answer(l, KMS_OK);
	assert_int_equal(use(l, 0), ZONE_KMS_UNAVAILABLE);
	open_domains(l, domains);
	assert_int_equal(use_domains(domains), 0);
	close_domains(domains);
}

/* Each is used every two seconds for ten minutes. *ret_worst: the most requests between two uses in
 * the second half, when the outage has lasted for a while and they come spread out. */
static unsigned cost_of_domains(struct leased *l, struct domain *domains, unsigned *ret_failed,
				unsigned *ret_worst)
{
	unsigned before = all_calls(l);

	*ret_failed = *ret_worst = 0;
	for (int64_t at = 0; at < TEN_MINUTES_MS; at += 2 * SECOND_MS) {
		unsigned step = all_calls(l);

		seconds_pass(l, 2);
		*ret_failed += use_domains(domains);
		step = all_calls(l) - step;
		if (at > TEN_MINUTES_MS / 2 && step > *ret_worst)
			*ret_worst = step;
	}
	return all_calls(l) - before;
}

/* Until all work; *ret_half: until half of them do. */
static int64_t recovery_of_domains(struct leased *l, struct domain *domains, int64_t *ret_half)
{
	*ret_half = -1;
	for (int64_t ms = 0;; ms += STEP_MS) {
		unsigned failed = use_domains(domains);

		if (*ret_half < 0 && failed <= DOMAINS / 2)
			*ret_half = ms;
		if (failed == 0)
			return ms;
		assert_true(ms < 10 * RECOVERY_MS);
		fake_clock_advance(&l->f->clock, STEP_MS);
	}
}

static void outage_of_many_domains(struct leased *l, unsigned lease_seconds)
{
	struct domain *domains = calloc(DOMAINS, sizeof(*domains));
	unsigned steady, asked, failed, worst;
	int64_t ms, half;

	l->f->settings.lease_seconds = lease_seconds;
	configure(l, false, 0);
	make_zones(l, 1);
	open_domains(l, domains);
	assert_int_equal(use_domains(domains), 0);
	steady = cost_of_domains(l, domains, &failed, &worst);
	assert_int_equal(failed, 0);
	answer(l, KMS_UNAVAILABLE);
	asked = cost_of_domains(l, domains, &failed, &worst);
	assert_true(failed > DOMAINS);
	answer(l, KMS_OK);
	ms = recovery_of_domains(l, domains, &half);
	print_message(
		"# %d domains, lease %u s: steady state %u requests in ten minutes, outage "
		"%u (%u each at most), at most %u in two seconds; half work %lld ms after the "
		"KMS is back, all after %lld ms\n",
		DOMAINS, lease_seconds, steady, asked, (asked + DOMAINS - 1) / DOMAINS, worst,
		(long long)half, (long long)ms);
	assert_true(asked <= bound_of(steady, DOMAINS));
	assert_true(worst < DOMAINS / 2);
	assert_true(ms <= RECOVERY_MS);
	close_domains(domains);
}

static void many_domains_with_a_short_lease_bear_it_together(void **state)
{
	outage_of_many_domains(*state, 20);
}

static void many_domains_with_the_default_lease_bear_it_together(void **state)
{
	outage_of_many_domains(*state, LEASE_SECONDS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(outage_with_a_short_lease_costs_no_more_than_work_does),
		CASE(outage_with_the_default_lease_costs_a_request_in_some_seconds),
		CASE(throttling_is_remembered_for_each_key),
		CASE(each_way_to_the_kms_keeps_to_one_memory),
		CASE(refused_call_says_why_and_since_when),
		CASE(start_in_an_outage_is_one_request_for_all_zones),
		CASE(credentials_that_lack_are_asked_each_time_and_told_once),
		CASE(new_domain_knows_of_no_silence),
		CASE(many_domains_with_a_short_lease_bear_it_together),
		CASE(many_domains_with_the_default_lease_bear_it_together),
	};

	return cmocka_run_group_tests_name("outage", tests, NULL, NULL);
}
