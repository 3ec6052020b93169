/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the keys of many zones: what a step costs does not grow with their number. It is told
 * by what SQLite is asked (its own counts of pages and of instructions of its machine) and by calls
 * of the KMS, never by time; how long it takes is printed.
 * $CMEK_SCALE_ZONES: how many, "1000 10000"; else a few.
 */
#include "tests/support/moved_zones.h"

#include "base/log.h"
#include "tests/support/store_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/rotate.h"
#include "zones/model/record.h"

#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

/* --- What SQLite has been asked so far */

struct asked {
	uint64_t pages, steps;
};

static struct asked asked;

static uint64_t status_of(sqlite3 *db, int what)
{
	int now = 0, most;

	sqlite3_db_status(db, what, &now, &most, 0);
	return (uint64_t)now;
}

static int note(unsigned event, void *state, void *what, void *more)
{
	(void)state, (void)more;
	if (event == SQLITE_TRACE_PROFILE)
		asked.steps += (uint64_t)sqlite3_stmt_status(what, SQLITE_STMTSTATUS_VM_STEP, 1);
	else
		asked.pages += status_of(what, SQLITE_DBSTATUS_CACHE_HIT) +
			       status_of(what, SQLITE_DBSTATUS_CACHE_MISS);
	return 0;
}

static int watch(sqlite3 *db, char **ret_error, const void *routines)
{
	(void)ret_error, (void)routines;
	return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE | SQLITE_TRACE_CLOSE, note, NULL);
}

/* --- What a step of all zones came to */

enum step { ROTATED, REWRAPPED, PROVEN, STEP_COUNT };

static const char *const step_names[STEP_COUNT] = {
	[ROTATED] = "rotated",
	[REWRAPPED] = "rewrapped, 2 versions",
	[PROVEN] = "proven, 2 versions",
};

struct figures {
	double cpu_ms, pages, steps; /* a zone */
};

struct measure {
	struct asked before;
	clock_t began;
};

static struct measure measure_begin(void)
{
	return (struct measure){asked, clock()};
}

static struct figures measure_end(const struct measure *measure, enum step step, size_t count)
{
	const double each = (double)count;
	struct figures figures = {
		(double)(clock() - measure->began) * 1e3 / CLOCKS_PER_SEC / each,
		(double)(asked.pages - measure->before.pages) / each,
		(double)(asked.steps - measure->before.steps) / each,
	};

	print_message("# %6zu zones %-22s %6.2f ms of CPU, %7.1f pages, %7.1f instructions of "
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

static struct entry *zone_like(const struct changes *changes, const struct entry *like, size_t at)
{
	struct entry *zone = entry_copy(like);
	struct ezk_version *version = &zone->of_zone.versions[0];
	const struct kms_door door = {.clients = changes->zones->clients,
				      .key = like->of_zone.versions[0].wraps[0].arn};
	const struct ezk_seal seal = {
		.identity = {zone->project, zone->of_zone.cluster, 1000 + at, 1, {0}},
		.greatest_usages = zone->usages,
		.created_ms = zone->created_ms,
	};
	char label[32];

	zone->revision = zone->number = 0;
	zone->of_zone.zone = seal.identity.zone;
	memcpy(zone->uid.bytes, &zone->of_zone.zone, sizeof(zone->of_zone.zone));
	snprintf(label, sizeof(label), "%s/%zu", clusters[at % COUNT_OF(clusters)], at);
	assert_true(entry_set_text(&zone->label, bytes_of(label)));
	ezk_version_clear(version);
	assert_int_equal(ezk_version_seal(&door, &seal, version), ZONE_OK);
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

/* All at once, by one transaction: how they came is nothing that is shown here. */
static void create(struct zones_fixture *f, struct entry **zones, size_t count)
{
	AUTO(entry_releasep) struct entry *first = moved_zone(f, "c/first");
	AUTO(entry_releasep) struct entry *second = moved_zone(f, "e/first");
	struct many many = {{first, second}, zones, count - COUNT_OF(clusters)};

	assert_int_equal(zones_change(f->zones, decide_many, &many), ZONE_OK);
	zones[many.count] = TAKE(first);
	zones[many.count + 1] = TAKE(second);
}

static struct figures rotate(struct zones_fixture *f, struct entry **zones, size_t count)
{
	struct measure measure = measure_begin();
	unsigned before = all_calls(f);

	for (size_t i = 0; i < count; i++) {
		AUTO(entry_releasep) struct entry *rotated = NULL;

		assert_int_equal(zones_zone_rotate(f->zones, zones[i], 2, &rotated), ZONE_OK);
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
			 2 * count);
	assert_int_equal(all_calls(f) - all, 2 * count);
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
	ret_figures[ROTATED] = rotate(f, zones, count);
	move_all(f, zones, count, ret_figures);
	assert_int_equal(open_anew(f, zones[count - 1], 2), ZONE_OK);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(step_of_a_zone_costs_the_same_among_many),
	};

	log_configure(LOG_OFF, "stderr");
	sqlite3_auto_extension((void (*)(void))watch);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
