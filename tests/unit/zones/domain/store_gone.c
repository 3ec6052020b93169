/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store that many hosts share is out of reach of one of them for an hour, on a clock that the
 * test moves: what goes on there, what is refused with which reason, how many requests it costs,
 * and how soon after it everything works. On DynamoDB's fake, and on an etcd behind a line that is
 * cut. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/etcd_server.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/partial.h"
#include "zones/domain/standing.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry.h"
#include "zones/store/dynamodb/engine.h"
#include "zones/store/etcd/engine.h"
#include "zones/store/etcd/etcd.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	SECOND_MS = 1000,
	HOUR_S = 3600,
	LEASE_S = 300,
	LOOKS = HOUR_S / 27 + 1,
	/* Of a program that asks for something unknown and tries a change each second: the retries
	 * that the bucket pays for (net/retry.h), then one for each call that is not spared. */
	REQUESTS_MAX = RETRY_BUCKET / 5 + LOOKS + HOUR_S / 2,
	ROUNDS_A_SECOND = 20
};

/* --- A line that can be cut */

struct line {
	struct http http;
	struct http *inner;
	unsigned requests;
	bool cut;
};

/* The clocks of all stores here; the domain's is moved with them. */
static struct fake_clock times;
static struct fake_clock *domain_times;
static struct line *last_line;
static struct fake_table table;

static void pass_time(void *state, int64_t ms)
{
	(void)state;
	fake_clock_advance(&times, ms);
	if (domain_times != NULL)
		fake_clock_advance(domain_times, ms);
}

static enum http_result send(struct http *http, const struct http_request *request,
			     struct http_answer *answer)
{
	struct line *line = (struct line *)http;

	line->requests++;
	if (!line->cut)
		return line->inner->operations->send(line->inner, request, answer);
	snprintf(answer->error, sizeof(answer->error), "no way to host; is it reachable?");
	return HTTP_NOT_CONNECTED;
}

static void abandon_line(struct http *http)
{
	(void)http;
}

static void free_line(struct http *http)
{
	struct line *line = (struct line *)http;

	line->inner->operations->free(line->inner);
	free(line);
}

static struct http *make_line(struct http *inner)
{
	static const struct http_operations operations = {send, abandon_line, free_line};
	struct line *line = calloc(1, sizeof(*line));

	assert_non_null(line);
	*line = (struct line){.http = {&operations}, .inner = inner};
	last_line = line;
	return &line->http;
}

static struct store *open_dynamodb(const struct store_settings *settings)
{
	const struct aws_transport transport = {.http = make_line(fake_table_http(&table)),
						.sleep = pass_time};
	const struct store_settings here = {
		.table = {"cmek", NULL}, .region = {"eu-central-1", NULL}, .no_threads = true};

	(void)settings;
	return dynamodb_new(&here, &transport, &times.clock);
}

static struct store *open_etcd(const struct store_settings *settings)
{
	const struct store_settings here = {.endpoint = {etcd_server_endpoint(), NULL},
					    .prefix = {settings->path, NULL}};

	return etcd_new(&here, make_line(http_curl_new(1, true, &clock_system)), &times.clock,
			pass_time, NULL);
}

static const struct store_engine on_dynamodb = {
	.name = "dynamodb",
	.look_every_ms = DYNAMODB_LOOK_MS,
	.waits_ms = DYNAMODB_WAITS_MS,
	.open = open_dynamodb,
};

static const struct store_engine on_etcd = {
	.name = "etcd",
	.look_every_ms = ETCD_LOOK_MS,
	.waits_ms = ETCD_WAITS_MS,
	.open = open_etcd,
};

/* --- Two hosts */

struct bed {
	struct zones_fixture *f; /* the host that stays connected, … */
	struct zones *zones;	 /* … and the one that does not */
	struct line *line;
	struct entry *known, *unknown, *deleted;
	struct ezk *ezk; /* of the known one, there */
};

static struct entry *make_zone(struct zones *zones, struct uid project, const char *label)
{
	const struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(zones, project, &names, &zone), ZONE_OK);
	return zone;
}

static struct ezk *open_zone(struct zones *zones, const struct entry *zone)
{
	struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(zones_registry(zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	return ezk;
}

static struct bed *begin(const struct store_engine *engine)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	void *fixture;

	fake_clock_init(&times);
	domain_times = NULL;
	zones_begin_in(engine, &fixture);
	bed->f = fixture;
	domain_times = &bed->f->clock;
	entry_release(make_root_key(bed->f, "alias/a"));
	bed->known = make_zone(bed->f->zones, bed->f->project->uid, "known");
	bed->deleted = make_zone(bed->f->zones, bed->f->project->uid, "deleted");
	bed->zones = zones_other(bed->f);
	bed->line = last_line;
	assert_int_equal(zones_refresh(bed->zones, false), ZONE_OK);
	bed->ezk = open_zone(bed->zones, bed->known);
	/* It does not hear of these any more. */
	bed->unknown = make_zone(bed->f->zones, bed->f->project->uid, "unknown");
	bed->line->cut = true;
	bed->line->requests = 0;
	return bed;
}

static void end(struct bed *bed)
{
	void *fixture = bed->f;

	ezk_release(bed->ezk);
	entry_release(bed->known);
	entry_release(bed->unknown);
	entry_release(bed->deleted);
	zones_free(bed->zones);
	free(bed);
	zones_end(&fixture);
}

/* As a function of the module does: it looks first, if that is due. */
static enum zone_status use(struct bed *bed)
{
	TRY(zones_refresh(bed->zones, false));
	registry_sweep(zones_registry(bed->zones));
	return ezk_begin(bed->ezk);
}

static enum zone_status use_number(struct bed *bed, uint64_t id)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	const struct store_key key = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = id};

	TRY(zones_meet_zone(bed->zones, id, &zone));
	if (zone == NULL) {
		TRY(zones_look_for(bed->zones, &key));
		TRY(zones_meet_zone(bed->zones, id, &zone));
	}
	if (zone == NULL)
		return ZONE_NOT_FOUND;
	TRY(ezk_find(zones_registry(bed->zones), zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

static enum zone_status change(struct bed *bed)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	const struct entry_names names = names_of("made meanwhile");

	return zones_zone_create(bed->zones, bed->f->project->uid, &names, &zone);
}

static void second_passes(struct bed *bed)
{
	fake_clock_advance(&bed->f->clock, SECOND_MS);
	fake_clock_advance(&times, SECOND_MS);
}

static int64_t seconds(const struct bed *bed)
{
	return bed->f->clock.monotonic_ms / SECOND_MS;
}

/* --- What is shown */

static void known_ones_open_and_others_are_refused_for_an_hour(struct bed *bed)
{
	const int64_t until = seconds(bed) + HOUR_S;

	while (seconds(bed) < until) {
		second_passes(bed);
		assert_int_equal(use(bed), ZONE_OK);
		for (int i = 0; i < ROUNDS_A_SECOND; i++)
			assert_int_equal(use_number(bed, bed->unknown->of_zone.zone),
					 ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), "no way to host"));
		assert_int_equal(change(bed), ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), "no way to host"));
	}
}

static void no_storm_came_of_it(const struct bed *bed, const char *engine)
{
	print_message("# %s, out of reach for an hour: %u requests\n", engine, bed->line->requests);
	assert_in_range(bed->line->requests, LOOKS / 2, REQUESTS_MAX);
}

/* Within one interval all is as if nothing had been. */
static void all_works_again_without_a_restart(struct bed *bed)
{
	const int64_t until = seconds(bed) + 30;

	assert_int_equal(zones_entry_delete(bed->f->zones, bed->deleted), ZONE_OK);
	bed->line->cut = false;
	for (int i = 0; i < STORE_SILENCE_MAX_MS / SECOND_MS; i++)
		second_passes(bed);
	assert_int_equal(use_number(bed, bed->unknown->of_zone.zone), ZONE_OK);
	assert_int_equal(change(bed), ZONE_OK);
	while (seconds(bed) <= until) {
		second_passes(bed);
		assert_int_equal(use(bed), ZONE_OK);
	}
	assert_int_equal(standing_now(bed->zones, bed->deleted->of_zone.zone),
			 ZONE_PENDING_DELETION);
}

static void an_hour_without(const struct store_engine *engine)
{
	struct bed *bed = begin(engine);

	known_ones_open_and_others_are_refused_for_an_hour(bed);
	no_storm_came_of_it(bed, engine->name);
	all_works_again_without_a_restart(bed);
	end(bed);
}

/* The KMS is gone as well: what is known opens to the end of its lease, and not beyond. */
static void lease_ends_where_the_kms_is_gone_too(const struct store_engine *engine)
{
	struct bed *bed = begin(engine);
	int64_t opened = seconds(bed);

	fake_kms_set(&bed->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	while (use(bed) == ZONE_OK && seconds(bed) < opened + HOUR_S)
		second_passes(bed);
	assert_int_equal(use(bed), ZONE_KMS_UNAVAILABLE);
	assert_in_range(seconds(bed) - opened, LEASE_S * 9 / 10, LEASE_S + 15);
	end(bed);
}

/* A process that starts meanwhile has no store, says so, and has it when it is back. */
static void process_that_starts_meanwhile(const struct store_engine *engine)
{
	struct bed *bed = begin(engine);

	zones_free(bed->zones);
	bed->zones = zones_other(bed->f);
	bed->line = last_line;
	bed->line->cut = true;
	for (int i = 0; i < HOUR_S * ROUNDS_A_SECOND; i++) {
		if (i % ROUNDS_A_SECOND == 0)
			second_passes(bed);
		assert_int_equal(zones_refresh(bed->zones, false), ZONE_STORE_UNAVAILABLE);
	}
	no_storm_came_of_it(bed, engine->name);
	bed->line->cut = false;
	for (int i = 0; i < STORE_SILENCE_MAX_MS / SECOND_MS; i++)
		second_passes(bed);
	assert_int_equal(zones_refresh(bed->zones, false), ZONE_OK);
	assert_int_equal(use_number(bed, bed->unknown->of_zone.zone), ZONE_OK);
	end(bed);
}

#define ON_DYNAMODB(scene)                                                                         \
	do {                                                                                       \
		setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);                                     \
		setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);                                      \
		setenv("AWS_CONFIG_FILE", "/dev/null", 1);                                         \
		setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);                             \
		setenv("AWS_EC2_METADATA_DISABLED", "true", 1);                                    \
		fake_table_init(&table);                                                           \
		scene(&on_dynamodb);                                                               \
		fake_table_clear(&table);                                                          \
	} while (0)

#define ON_ETCD(scene)                                                                             \
	do {                                                                                       \
		if (!etcd_server_start()) {                                                        \
			print_message("# reason: etcd is not installed (etcd-server)\n");          \
			skip();                                                                    \
		}                                                                                  \
		scene(&on_etcd);                                                                   \
		etcd_server_stop();                                                                \
	} while (0)

static void dynamodb_is_gone_for_an_hour(void **state)
{
	(void)state;
	ON_DYNAMODB(an_hour_without);
}

static void etcd_is_gone_for_an_hour(void **state)
{
	(void)state;
	ON_ETCD(an_hour_without);
}

static void lease_ends_without_dynamodb_and_kms(void **state)
{
	(void)state;
	ON_DYNAMODB(lease_ends_where_the_kms_is_gone_too);
}

static void lease_ends_without_etcd_and_kms(void **state)
{
	(void)state;
	ON_ETCD(lease_ends_where_the_kms_is_gone_too);
}

static void process_that_starts_without_dynamodb_spares_it(void **state)
{
	(void)state;
	ON_DYNAMODB(process_that_starts_meanwhile);
}

static void process_that_starts_without_etcd_spares_it(void **state)
{
	(void)state;
	ON_ETCD(process_that_starts_meanwhile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dynamodb_is_gone_for_an_hour),
		cmocka_unit_test(etcd_is_gone_for_an_hour),
		cmocka_unit_test(lease_ends_without_dynamodb_and_kms),
		cmocka_unit_test(lease_ends_without_etcd_and_kms),
		cmocka_unit_test(process_that_starts_without_dynamodb_spares_it),
		cmocka_unit_test(process_that_starts_without_etcd_spares_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
