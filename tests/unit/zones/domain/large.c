/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process in front of a large store, in a real etcd and in a table of DynamoDB that is played in
 * this process: it starts, opens what it meets, finds and refuses without reading all of it. How
 * many requests that takes and how much memory is bounded; how long, is printed.
 * $CMEK_LARGE_ZONES: how many databases, else a few hundred.
 */
#include "base/macros.h"
#include "tests/support/etcd_server.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <malloc.h>
#include <time.h>

enum {
	MOST = 100,
	AT_ONCE = 300,	    /* databases in a transaction */
	OPENED = 12,	    /* that exist as keys too */
	KEPT_MAX = 4 << 20, /* bytes that a process may keep, whatever the store has */
	LOOK_REQUESTS = 4,  /* of a start: heads and counts, keys, rows, the log's last line */
	MEET_REQUESTS =
		8, /* of one that was not met: head, key, row, what it stands on, versions */
};

/* --- Where the store is */

static struct fake_table table;

static bool table_start(void)
{
	fake_table_init(&table);
	return true;
}

static void table_stop(void)
{
	fake_table_clear(&table);
}

static struct store *table_open(const struct store_settings *settings)
{
	(void)settings;
	return fake_table_store(&table);
}

static size_t table_requests(const struct store *store)
{
	(void)store;
	return table.requests;
}

static const struct store_engine table_engine = {
	.name = "dynamodb",
	.look_every_ms = DYNAMODB_LOOK_MS,
	.waits_ms = DYNAMODB_WAITS_MS,
	.open = table_open,
};

static const struct server {
	const char *missing;
	size_t most; /* databases it is good for: a fake looks at each item */
	const struct store_engine *engine;
	bool (*start)(void);
	void (*stop)(void);
	size_t (*requests)(const struct store *store);
} etcd = {"etcd is not installed (etcd-server)",
	  SIZE_MAX,
	  &etcd_server_engine,
	  etcd_server_start,
	  etcd_server_stop,
	  etcd_server_requests},
  dynamodb = {NULL, 500, &table_engine, table_start, table_stop, table_requests};

static const struct server *server;
static bool running;

static size_t zone_count(void)
{
	const char *text = getenv("CMEK_LARGE_ZONES");
	const size_t count = text == NULL ? 250 : strtoul(text, NULL, 10);

	return count < server->most ? count : server->most;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t bytes_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* --- A store with many databases, which are rows alone */

struct filling {
	const struct entry *like;
	struct store_cursor cursor;
	struct store_change changes[AT_ONCE];
	size_t count, number;
};

static struct entry *make_row(const struct entry *like, size_t number)
{
	struct entry *zone = entry_copy(like);
	char label[32];

	assert_non_null(zone);
	snprintf(label, sizeof(label), "c/filler-%zu", number);
	assert_true(entry_set_text(&zone->label, bytes_of(label)));
	zone->revision = zone->number = 0;
	zone->of_zone.zone = 1000000 + number;
	memcpy(zone->uid.bytes, &number, sizeof(number));
	memcpy(zone->of_zone.versions[0].fingerprint, &number, sizeof(number));
	return zone;
}

static enum zone_status wish(void *state, struct store_news *news,
			     struct store_change **ret_changes, size_t *ret_count)
{
	struct filling *filling = state;

	(void)news;
	*ret_changes = filling->changes;
	*ret_count = filling->count;
	return ZONE_OK;
}

static void put_rows(struct zones_fixture *f, struct filling *filling)
{
	struct store *store = f->zones->store;
	struct store_cursor since = filling->cursor;

	assert_int_equal(store->operations->write(store, &since, wish, filling, &filling->cursor),
			 ZONE_OK);
	for (size_t i = 0; i < filling->count; i++)
		entry_release(filling->changes[i].entry);
	filling->count = 0;
}

static void fill(struct zones_fixture *f, const struct entry *like, size_t count)
{
	struct filling filling = {.like = like, .cursor = f->zones->cursor};

	for (size_t i = 0; i < count; i++) {
		filling.changes[filling.count++] =
			(struct store_change){.entry = make_row(like, i)};
		if (filling.count == AT_ONCE || i + 1 == count)
			put_rows(f, &filling);
	}
}

/* --- The bed: made once */

struct bed {
	struct zones_fixture *f;
	struct entry *root_key, *cluster;
	uint64_t zones[OPENED]; /* with keys */
	uint64_t newest;
	struct zones *part;
	size_t before, requests_before;
};
static struct bed bed;

static struct entry *make_zone(struct zones *zones, struct uid project, const char *label)
{
	const struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(zones, project, &names, &zone), ZONE_OK);
	return zone;
}

static int begin_group(void)
{
	struct entry *zone = NULL;
	void *fixture;
	char label[32];

	running = server->start();
	if (!running)
		return 0;
	zones_begin_in(server->engine, &fixture);
	bed.f = fixture;
	bed.root_key = make_root_key(bed.f, "alias/a");
	bed.cluster = make_cluster(bed.f, bed.root_key, "c");
	for (size_t i = 0; i < OPENED; i++) {
		entry_release(zone);
		snprintf(label, sizeof(label), "c/db-%zu", i);
		zone = make_zone(bed.f->zones, bed.f->project->uid, label);
		bed.zones[i] = zone->of_zone.zone;
	}
	fill(bed.f, zone, zone_count());
	entry_release(zone);
	return 0;
}

static int begin_in_etcd(void **state)
{
	(void)state;
	server = &etcd;
	return begin_group();
}

static int begin_in_dynamodb(void **state)
{
	(void)state;
	server = &dynamodb;
	return begin_group();
}

static int end_group(void **state)
{
	void *fixture = bed.f;

	(void)state;
	if (!running)
		return 0;
	entry_release(bed.root_key);
	entry_release(bed.cluster);
	zones_end(&fixture);
	server->stop();
	return 0;
}

/* A process that starts. */
static int begin(void **state)
{
	(void)state;
	if (!running)
		return 0;
	malloc_trim(0);
	bed.before = bytes_in_use();
	bed.part = zones_other(bed.f);
	bed.part->store->most = MOST;
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (running)
		zones_free(bed.part);
	return 0;
}

#define NEEDS_SERVER                                                                               \
	do {                                                                                       \
		if (!running) {                                                                    \
			print_message("# reason: %s\n", server->missing);                          \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static size_t requests_since(void)
{
	size_t now = server->requests(bed.part->store), since = now - bed.requests_before;

	bed.requests_before = now;
	return since;
}

static void start(void)
{
	bed.requests_before = server->requests(bed.part->store);
	assert_int_equal(zones_refresh(bed.part, false), ZONE_OK);
}

static enum zone_status open_zone(uint64_t id)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(zones_meet_zone(bed.part, id, &zone));
	if (zone == NULL)
		return zones_zone_missing(bed.part, id);
	TRY(ezk_find(zones_registry(bed.part), zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

/* --- What it costs */

static void a_start_and_the_first_file_cost_a_few_requests(void **state)
{
	double began = seconds(), started;
	size_t start_requests, meet_requests;

	(void)state;
	NEEDS_SERVER;
	start();
	started = seconds();
	start_requests = requests_since();
	assert_int_equal(open_zone(bed.zones[OPENED / 2]), ZONE_OK);
	meet_requests = requests_since();
	print_message("# %zu databases: start %zu requests, %.0f ms; first key %zu requests, %.0f "
		      "ms; %zu KiB kept\n",
		      zone_count() + OPENED, start_requests, (started - began) * 1e3, meet_requests,
		      (seconds() - started) * 1e3, (bytes_in_use() - bed.before) / 1024);
	assert_true(zones_are_partial(bed.part));
	assert_true(start_requests <= LOOK_REQUESTS);
	assert_true(meet_requests <= MEET_REQUESTS);
	assert_true(bytes_in_use() - bed.before < KEPT_MAX);
}

static void what_was_met_costs_nothing_more(void **state)
{
	(void)state;
	NEEDS_SERVER;
	start();
	assert_int_equal(open_zone(bed.zones[0]), ZONE_OK);
	requests_since();
	for (int i = 0; i < 100; i++)
		assert_int_equal(open_zone(bed.zones[0]), ZONE_OK);
	assert_int_equal(requests_since(), 0);
}

static void a_look_costs_one_request(void **state)
{
	(void)state;
	NEEDS_SERVER;
	start();
	requests_since();
	fake_clock_advance(&bed.f->clock, 30001);
	assert_int_equal(zones_refresh(bed.part, false), ZONE_OK);
	assert_int_equal(requests_since(), 1);
}

static void memory_is_bounded_however_many_are_met(void **state)
{
	size_t kept;

	(void)state;
	NEEDS_SERVER;
	start();
	for (uint64_t i = 0; i < 5 * MOST && i < zone_count(); i++) {
		AUTO(entry_releasep) struct entry *zone = NULL;

		assert_int_equal(zones_meet_zone(bed.part, 1000000 + i, &zone), ZONE_OK);
		assert_non_null(zone);
	}
	kept = bytes_in_use() - bed.before;
	print_message("# %d met, %zu known, %zu KiB kept\n", 5 * MOST, bed.part->index.spare_count,
		      kept / 1024);
	assert_true(bed.part->index.spare_count <= 2 * MOST);
	assert_true(kept < KEPT_MAX);
}

static void a_label_is_found_by_its_key(void **state)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	(void)state;
	NEEDS_SERVER;
	start();
	requests_since();
	zone = find_entry(bed.part, bed.f->project->uid, ENTRY_ZONE, "c/db-7");
	assert_non_null(zone);
	assert_int_equal(zone->of_zone.zone, bed.zones[7]);
	assert_true(requests_since() <= MEET_REQUESTS);
	assert_true(zones_are_partial(bed.part));
}

static void a_unique_id_is_found_by_its_key(void **state)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;

	(void)state;
	NEEDS_SERVER;
	zone = zones_find_zone(bed.f->zones, bed.zones[3]);
	start();
	requests_since();
	assert_int_equal(zones_meet_uid(bed.part, zone->uid, &found), ZONE_OK);
	assert_non_null(found);
	assert_true(requests_since() <= MEET_REQUESTS);
	assert_true(zones_are_partial(bed.part));
}

static void what_is_nowhere_is_asked_for_once(void **state)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	(void)state;
	NEEDS_SERVER;
	start();
	requests_since();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(zones_meet_zone(bed.part, 7, &zone), ZONE_OK);
		assert_null(zone);
	}
	/* In DynamoDB also whether a large write waits that may have it. */
	assert_true(requests_since() <= 3);
}

static void imports_of_a_zone_are_asked_for_once(void **state)
{
	(void)state;
	NEEDS_SERVER;
	start();
	requests_since();
	for (int i = 0; i < 100; i++)
		assert_int_equal(zones_know_imports(bed.part, bed.zones[4]), ZONE_OK);
	assert_true(requests_since() <= 2);
	assert_true(zones_are_partial(bed.part));
}

/* --- Others */

static void what_another_host_has_just_made_opens_by_one_look_up(void **state)
{
	static unsigned made;
	char label[32];

	(void)state;
	NEEDS_SERVER;
	start();
	snprintf(label, sizeof(label), "c/new-%u", made++);
	{
		AUTO(entry_releasep)
		struct entry *zone = make_zone(bed.f->zones, bed.f->project->uid, label);

		requests_since();
		assert_int_equal(open_zone(zone->of_zone.zone), ZONE_OK);
	}
	assert_true(requests_since() <= MEET_REQUESTS);
	assert_true(zones_are_partial(bed.part));
}

static void what_another_host_deleted_ends_at_the_next_look(void **state)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	(void)state;
	NEEDS_SERVER;
	start();
	assert_int_equal(open_zone(bed.zones[9]), ZONE_OK);
	zone = zones_find_zone(bed.part, bed.zones[9]);
	assert_int_equal(zones_entry_delete(bed.f->zones, zone), ZONE_OK);
	fake_clock_advance(&bed.f->clock, 30001);
	assert_int_equal(zones_refresh(bed.part, false), ZONE_OK);
	assert_int_equal(open_zone(bed.zones[9]), ZONE_PENDING_DELETION);
	assert_true(zones_are_partial(bed.part));
}

/* --- Rules */

static void a_label_that_is_taken_is_refused(void **state)
{
	const struct entry_names names = names_of("c/filler-5");
	struct entry *zone = NULL;

	(void)state;
	NEEDS_SERVER;
	start();
	assert_int_equal(zones_zone_create(bed.part, bed.f->project->uid, &names, &zone),
			 ZONE_EXISTS);
	assert_true(zones_are_partial(bed.part));
}

static void what_zones_stand_on_is_not_removed(void **state)
{
	double began = seconds();

	(void)state;
	NEEDS_SERVER;
	start();
	assert_int_equal(zones_entry_delete(bed.part, bed.cluster), ZONE_IN_USE);
	assert_int_equal(zones_entry_delete(bed.part, bed.root_key), ZONE_IN_USE);
	print_message("# all of it was read in %.1f s, and takes %zu MiB\n", seconds() - began,
		      (bytes_in_use() - bed.before) >> 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_start_and_the_first_file_cost_a_few_requests),
		TEST(what_was_met_costs_nothing_more),
		TEST(a_look_costs_one_request),
		TEST(memory_is_bounded_however_many_are_met),
		TEST(a_label_is_found_by_its_key),
		TEST(a_unique_id_is_found_by_its_key),
		TEST(what_is_nowhere_is_asked_for_once),
		TEST(imports_of_a_zone_are_asked_for_once),
		TEST(what_another_host_has_just_made_opens_by_one_look_up),
		TEST(what_another_host_deleted_ends_at_the_next_look),
		TEST(a_label_that_is_taken_is_refused),
		TEST(what_zones_stand_on_is_not_removed),
	};

	return cmocka_run_group_tests_name("etcd", tests, begin_in_etcd, end_group) +
	       cmocka_run_group_tests_name("dynamodb", tests, begin_in_dynamodb, end_group);
}
