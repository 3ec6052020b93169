/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the keys of many zones: what a step costs does not grow with their number. It is told
 * by what SQLite is asked (its own counts of pages and of instructions of its machine) and by calls
 * of the KMS, never by time; how long it takes is printed.
 * $CMEK_SCALE_ZONES: how many, "1000 10000"; else a few. $CMEK_SCALE_VERSIONS: with how many
 * versions each; else one.
 */
#include "tests/support/moved_zones.h"

#include "base/log.h"
#include "tests/support/sqlite_asked.h"
#include "tests/support/store_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/daily.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/rotate.h"
#include "zones/ezk/ezk.h"
#include "zones/model/record.h"

#include <stdio.h>
#include <time.h>

/* With how many versions zones are made. */
static uint32_t versions(void)
{
	const char *text = getenv("CMEK_SCALE_VERSIONS");

	return text == NULL ? 1 : (uint32_t)strtoul(text, NULL, 10);
}

/* --- What a step of all zones came to */

enum step { READ, MET, ROTATED, REWRAPPED, PROVEN, STEP_COUNT };

static const char *const step_names[STEP_COUNT] = {
	[READ] = "read with all others",
	[MET] = "met by its label, opened",
	[ROTATED] = "rotated",
	[REWRAPPED] = "rewrapped",
	[PROVEN] = "proven",
};

struct figures {
	double cpu_ms, pages, steps; /* a zone */
};

struct measure {
	struct sqlite_asked before;
	clock_t began;
};

static struct measure measure_begin(void)
{
	return (struct measure){sqlite_asked, clock()};
}

static struct figures measure_end(const struct measure *measure, enum step step, size_t count)
{
	const double each = (double)count;
	struct figures figures = {
		(double)(clock() - measure->began) * 1e3 / CLOCKS_PER_SEC / each,
		(double)(sqlite_asked.pages - measure->before.pages) / each,
		(double)(sqlite_asked.steps - measure->before.steps) / each,
	};

	print_message("# %6zu zones %-24s %6.2f ms of CPU, %7.1f pages, %7.1f instructions of "
		      "SQLite a zone\n",
		      count, step_names[step], figures.cpu_ms, figures.pages, figures.steps);
	return figures;
}

/* --- Their life */

static unsigned all_calls(struct zones_fixture *f)
{
	unsigned sum = 0;

	for (int i = 0; i < FAKE_CALL_COUNT; i++)
		sum += fake_kms_calls(&f->aws, (enum fake_kms_call)i);
	return sum;
}

/* Half of them in each of two clusters. */
static const char *const clusters[] = {"c", "e"};

static void make_places(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *b = make_root_key(f, "alias/b");

	for (size_t i = 0; i < COUNT_OF(clusters); i++)
		entry_release(make_cluster(f, a, clusters[i]));
}

struct many {
	const struct entry *like[COUNT_OF(clusters)];
	struct entry **zones; /* held */
	size_t count;
};

static void add_version(const struct changes *changes, struct entry *zone, const char *key,
			uint32_t number)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	const struct kms_door door = {.clients = changes->zones->clients, .key = key};
	const struct ezk_seal seal = {
		.identity = {zone->project, zone->of_zone.cluster, zone->of_zone.zone, number, {0}},
		.greatest_usages = zone->usages,
		.created_ms = zone->created_ms,
	};

	assert_int_equal(ezk_version_seal(&door, &seal, &version), ZONE_OK);
	assert_int_equal(zone_take_version(zone, &version), ZONE_OK);
}

static struct entry *zone_like(const struct changes *changes, const struct entry *like, size_t at)
{
	struct entry *zone = entry_copy(like);
	char label[32];

	zone->revision = zone->number = 0;
	zone->of_zone.zone = 1000 + at;
	zone->of_zone.primary = versions();
	memcpy(zone->uid.bytes, &zone->of_zone.zone, sizeof(zone->of_zone.zone));
	snprintf(label, sizeof(label), "%s/%zu", clusters[at % COUNT_OF(clusters)], at);
	assert_true(entry_set_text(&zone->label, bytes_of(label)));
	ezk_version_clear(&zone->of_zone.versions[0]);
	zone->of_zone.version_count = 0;
	for (uint32_t number = 1; number <= versions(); number++)
		add_version(changes, zone, like->of_zone.versions[0].wraps[0].arn, number);
	return zone;
}

static enum zone_status decide_many(struct changes *changes, void *state)
{
	struct many *many = state;

	for (size_t i = 0; i < many->count; i++) {
		many->zones[i] = zone_like(changes, many->like[i % COUNT_OF(clusters)], i);
		TRY(changes_put(changes, many->zones[i]));
	}
	return ZONE_OK;
}

/* As the others are. */
static struct entry *first_zone(struct zones_fixture *f, const char *label)
{
	struct entry *zone = moved_zone(f, label);

	for (uint32_t version = 2; version <= versions(); version++) {
		AUTO(entry_releasep) struct entry *before = zone;

		assert_int_equal(zones_zone_rotate(f->zones, before, version, &zone), ZONE_OK);
	}
	return zone;
}

/* All at once, by one transaction: how they came is nothing that is shown here. */
static void create(struct zones_fixture *f, struct entry **zones, size_t count)
{
	AUTO(entry_releasep) struct entry *first = first_zone(f, "c/first");
	AUTO(entry_releasep) struct entry *second = first_zone(f, "e/first");
	struct many many = {{first, second}, zones, count - COUNT_OF(clusters)};

	assert_int_equal(zones_change(f->zones, decide_many, &many), ZONE_OK);
	zones[many.count] = TAKE(first);
	zones[many.count + 1] = TAKE(second);
}

/* By another process, all of them. */
static struct figures read_all(struct zones_fixture *f, size_t count)
{
	struct zones *other = zones_other(f);
	struct figures figures;
	struct measure measure;

	other->store->most = 2 * count + 100;
	measure = measure_begin();
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_false(zones_are_partial(other));
	assert_int_equal(other->index.zone_count, count);
	figures = measure_end(&measure, READ, count);
	zones_free(other);
	return figures;
}

enum { MET_COUNT = 40 };

/* By one that knows but a part: of a start and a few look-ups each has its share. */
static struct figures meet_some(struct zones_fixture *f, struct entry **zones, size_t count)
{
	struct zones *other = zones_other(f);
	struct figures figures;
	struct measure measure;

	other->store->most = MET_COUNT - 1;
	measure = measure_begin();
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_true(zones_are_partial(other));
	for (size_t i = 0; i < MET_COUNT; i++) {
		AUTO(entry_releasep)
		struct entry *zone = find_entry(other, f->project->uid, ENTRY_ZONE,
						zones[i * 7919 % count]->label);
		AUTO(ezk_releasep) struct ezk *ezk = NULL;

		assert_non_null(zone);
		assert_int_equal(zone->of_zone.version_count, versions());
		assert_int_equal(ezk_find(zones_registry(other), zone, EZK_PRIMARY, &ezk), ZONE_OK);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
	}
	figures = measure_end(&measure, MET, MET_COUNT);
	zones_free(other);
	return figures;
}

static struct figures rotate(struct zones_fixture *f, struct entry **zones, size_t count)
{
	struct measure measure = measure_begin();
	unsigned before = all_calls(f);

	for (size_t i = 0; i < count; i++) {
		AUTO(entry_releasep) struct entry *rotated = NULL;

		assert_int_equal(zones_zone_rotate(f->zones, zones[i], versions() + 1, &rotated),
				 ZONE_OK);
	}
	assert_int_equal(all_calls(f) - before, count);
	return measure_end(&measure, ROTATED, count);
}

static bool is_leaving(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep)
	struct entry *cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, label);

	return !uid_equal(cluster->of_cluster.leaving, (struct uid){0});
}

struct walk {
	size_t visited;
};

static bool look_for_staying(void *state, struct entry *zone)
{
	struct walk *walk = state;

	walk->visited++;
	return zone_is_under(zone, ROOT_B);
}

/* Whether its cluster has more zones that stay is asked with each that moves: of how many zones? */
static void assert_few_are_looked_at(struct zones_fixture *f, const struct entry *moved)
{
	const struct entry *cluster = index_uid(&f->zones->index, moved->of_zone.cluster);
	struct walk walk = {0};

	if (!uid_equal(cluster->of_cluster.leaving, (struct uid){0}))
		index_each_in_cluster(&f->zones->index, cluster, look_for_staying, &walk);
	assert_true(walk.visited <= 1);
}

/* The second time what came of the first is proven; that is done for some. */
static struct figures move(struct zones_fixture *f, struct entry **zones, size_t count,
			   enum step step)
{
	struct measure measure = measure_begin();
	unsigned before = fake_kms_calls(&f->aws, step == PROVEN ? FAKE_DECRYPT : FAKE_RE_ENCRYPT);
	unsigned all = all_calls(f);

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(rewrap(f, zones[i], ROOT_B), ZONE_OK);
		assert_few_are_looked_at(f, zones[i]);
	}
	assert_int_equal(fake_kms_calls(&f->aws, step == PROVEN ? FAKE_DECRYPT : FAKE_RE_ENCRYPT) -
				 before,
			 (versions() + 1) * count);
	assert_int_equal(all_calls(f) - all, (versions() + 1) * count);
	return measure_end(&measure, step, count);
}

static void move_all(struct zones_fixture *f, struct entry **zones, size_t count,
		     struct figures *ret_figures)
{
	for (size_t i = 0; i < COUNT_OF(clusters); i++) {
		assert_int_equal(aim(f, clusters[i], ROOT_B), ZONE_OK);
		assert_true(is_leaving(f, clusters[i]));
	}
	ret_figures[REWRAPPED] = move(f, zones, count, REWRAPPED);
	for (size_t i = 0; i < COUNT_OF(clusters); i++)
		assert_false(is_leaving(f, clusters[i]));
	ret_figures[PROVEN] = move(f, zones, (count + 9) / 10, PROVEN);
}

/* By one call of their one root key, whatever their number. */
static void back_up(struct zones_fixture *f, size_t count)
{
	const struct backup_wish wish = {0};
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	clock_t began = clock();
	unsigned before = all_calls(f);

	assert_int_equal(zones_backup_make(f->zones, f->project->uid, &wish, &file, &told),
			 ZONE_OK);
	assert_int_equal(all_calls(f) - before, 1);
	print_message("# %6zu zones backed up in %.2f s of CPU, %zu bytes\n", count,
		      (double)(clock() - began) / CLOCKS_PER_SEC, file.len);
}

static void live(size_t count, struct figures ret_figures[static STEP_COUNT])
{
	struct zones_fixture *f;
	void *state = NULL;
	struct entry **zones = calloc(count, sizeof(*zones));

	assert_non_null(zones);
	assert_int_equal(zones_begin(&state), 0);
	f = state;
	make_places(f);
	create(f, zones, count);
	ret_figures[READ] = read_all(f, count);
	ret_figures[MET] = meet_some(f, zones, count);
	ret_figures[ROTATED] = rotate(f, zones, count);
	move_all(f, zones, count, ret_figures);
	assert_int_equal(open_anew(f, zones[count - 1], versions() + 1), ZONE_OK);
	back_up(f, count);
	for (size_t i = 0; i < count; i++)
		entry_release(zones[i]);
	free(zones);
	zones_end(&state);
}

/* The depth of a tree may grow, and nothing else. */
static void assert_no_more(double now, double before, const char *step)
{
	if (now > before * 1.5 + 8)
		fail_msg("%s: %.1f a zone, and %.1f with fewer zones", step, now, before);
}

static void step_of_a_zone_costs_the_same_among_many(void **state)
{
	const char *wished = getenv("CMEK_SCALE_ZONES");
	char *text = strdup(wished == NULL ? "60 240" : wished), *rest = NULL;
	struct figures first[STEP_COUNT], now[STEP_COUNT];
	bool is_first = true;

	(void)state;
	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		live(strtoul(word, NULL, 10), now);
		for (int i = 0; !is_first && i < STEP_COUNT; i++) {
			assert_no_more(now[i].pages, first[i].pages, step_names[i]);
			assert_no_more(now[i].steps, first[i].steps, step_names[i]);
		}
		if (is_first)
			memcpy(first, now, sizeof(first));
		is_first = false;
	}
	free(text);
}

/* Where all of it may be kept. */
static void who_meets_many_of_a_file_reads_it_whole_once(void **state)
{
	enum { COUNT = 30 };
	struct zones_fixture *f;
	void *fixture = NULL;
	struct entry *zones[COUNT];

	(void)state;
	assert_int_equal(zones_begin(&fixture), 0);
	f = fixture;
	make_places(f);
	create(f, zones, COUNT);
	for (size_t most = COUNT - 1; most <= COUNT; most++) {
		struct zones *other = zones_other(f);
		AUTO(entry_releasep) struct entry *zone = NULL;

		other->store->most = most;
		assert_int_equal(zones_refresh(other, true), ZONE_OK);
		assert_true(zones_are_partial(other));
		zone = find_entry(other, f->project->uid, ENTRY_ZONE, zones[0]->label);
		assert_non_null(zone);
		assert_int_equal(zones_are_partial(other), most < COUNT);
		zones_free(other);
	}
	for (size_t i = 0; i < COUNT; i++)
		entry_release(zones[i]);
	zones_end(&fixture);
}

/* What is due can't be told from a part. Most processes are gone by then. */
static void after_an_hour_a_file_is_read_whole_for_what_is_due(void **state)
{
	enum { COUNT = 30, HOUR_MS = 60 * 60 * 1000 };
	struct zones_fixture *f;
	void *fixture = NULL;
	struct entry *zones[COUNT];
	struct zones *other;

	(void)state;
	assert_int_equal(zones_begin(&fixture), 0);
	f = fixture;
	make_places(f);
	create(f, zones, COUNT);
	for (size_t most = COUNT - 1; most <= COUNT; most++) {
		other = zones_other(f);
		other->store->most = most;
		assert_int_equal(zones_refresh(other, true), ZONE_OK);
		zones_daily(other);
		fake_clock_advance(&f->clock, HOUR_MS - 1);
		zones_daily(other);
		assert_true(zones_are_partial(other));
		fake_clock_advance(&f->clock, 2);
		zones_daily(other);
		assert_int_equal(zones_are_partial(other), most < COUNT);
		zones_free(other);
	}
	for (size_t i = 0; i < COUNT; i++)
		entry_release(zones[i]);
	zones_end(&fixture);
}

static enum zone_status use(struct zones *zones, const struct entry *zone)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(zones), zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

/* By a copy of its row under another uid. */
static void what_was_erased_does_not_open_again_where_a_part_is_known(void **state)
{
	enum { COUNT = 30, ALL = 1000 };
	static const size_t mosts[] = {ALL, COUNT - 1};
	struct zones_fixture *f;
	void *fixture = NULL;
	struct entry *zones[COUNT];

	(void)state;
	assert_int_equal(zones_begin(&fixture), 0);
	f = fixture;
	make_places(f);
	create(f, zones, COUNT);
	raw_sql(f->path,
		"INSERT INTO tombstones (uid, kind, revision, number, removed_ms, project) "
		"SELECT 'a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0', 'zone', 1, min(zone), 0, "
		"project FROM zones");
	for (size_t m = 0; m < COUNT_OF(mosts); m++) {
		struct zones *other = zones_other(f);
		size_t open = 0;

		other->store->most = mosts[m];
		assert_int_equal(zones_refresh(other, true), ZONE_OK);
		assert_int_equal(zones_are_partial(other), mosts[m] < COUNT);
		for (size_t i = 0; i < COUNT; i++) {
			AUTO(entry_releasep)
			struct entry *zone =
				find_entry(other, f->project->uid, ENTRY_ZONE, zones[i]->label);

			open += zone != NULL && use(other, zone) == ZONE_OK;
		}
		assert_int_equal(open, COUNT - 1);
		zones_free(other);
	}
	for (size_t i = 0; i < COUNT; i++)
		entry_release(zones[i]);
	zones_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(step_of_a_zone_costs_the_same_among_many),
		cmocka_unit_test(who_meets_many_of_a_file_reads_it_whole_once),
		cmocka_unit_test(after_an_hour_a_file_is_read_whole_for_what_is_due),
		cmocka_unit_test(what_was_erased_does_not_open_again_where_a_part_is_known),
	};

	log_configure(LOG_OFF, "stderr");
	sqlite_watch();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
