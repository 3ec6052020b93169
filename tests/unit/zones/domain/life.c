/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of keys as chance has it: random steps by two processes on one store, beside a model of
 * what the rules say (tests/support/life_model.h). After each step all that the store has is
 * compared with the model, and what was sealed is opened, by these processes and by new ones. What
 * happens meanwhile: another process that takes a step while the KMS is asked, keys that refuse or
 * do not answer, a store out of reach, a clock that jumps, a store that is lost.
 *
 * CMEK_LIFE_RUNS: how many runs (a store in a file, which takes longer, gets a part of them);
 * CMEK_TEST_SEED: the first run's seed, each other's is the next. A failure tells the seed, and
 * what was done.
 */
#include "base/macros.h"
#include "tests/support/life_check.h"
#include "tests/support/life_steps.h"
#include "tests/support/memory_store.h"
#include "tests/support/sqlite_store.h"
#include "tests/support/unit.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

enum {
	RUNS = 60,   /* unless asked for more */
	IN_FILE = 6, /* one of so many, of a store in a file */
	STEPS = 60,
	SECOND_MS = 1000,
};
#define DAY (24LL * 60 * 60 * 1000)

/* --- What happens beside the steps */

static void move_clock(struct life_world *w, int64_t ms)
{
	if (ms >= 0)
		fake_clock_advance(&w->f->clock, ms);
	else
		w->f->clock.realtime_ms += ms;
	w->life.now_ms = w->f->clock.realtime_ms;
}

static void pass_time(struct life_world *w)
{
	static const int64_t jumps[] = {60 * SECOND_MS, 3600 * SECOND_MS, DAY + SECOND_MS,
					2 * DAY,	20 * DAY,	  31 * DAY,
					-2 * DAY,	-DAY / 2};
	int64_t jump = jumps[life_below(w, COUNT_OF(jumps))];

	life_tell(w, "# the clock goes on by %.2f days\n", (double)jump / (double)DAY);
	move_clock(w, jump);
}

/* Silence is that of a whole place: who asks there is not answered, for whichever key. */
static void change_place(struct life_world *w, enum life_place place, enum kms_status answer)
{
	for (int i = 0; i < LIFE_KEYS; i++)
		if (life_key_place(i) == place)
			life_set_answer(w, i, answer);
}

static void change_key(struct life_world *w)
{
	static const enum kms_status answers[] = {
		KMS_OK,	      KMS_OK,	  KMS_OK,	 KMS_OK,
		KMS_DISABLED, KMS_DENIED, KMS_THROTTLED, KMS_KEY_OUT_OF_REACH,
	};
	int key = life_draw_key(w);
	enum kms_status answer = answers[life_below(w, COUNT_OF(answers))];

	if (life_one_in(w, 6)) {
		life_tell(w, "# all keys where root key %d is are out of reach\n", key);
		change_place(w, life_key_place(key), KMS_UNAVAILABLE);
		return;
	}
	life_tell(w, "# root key %d answers: %s\n", key,
		  answer == KMS_OK ? "ok" : kms_status_text(answer));
	if (w->answers[key] == KMS_UNAVAILABLE)
		change_place(w, life_key_place(key), KMS_OK);
	life_set_answer(w, key, answer);
}

static void crash(struct life_world *w)
{
	int process = life_below(w, LIFE_PROCESSES);

	life_tell(w, "# process %s is started again\n", process == 0 ? "one" : "two");
	zones_free(w->processes[process]);
	w->processes[process] = zones_other(w->f);
}

/* Whole, and back. */
static void archive(struct life_world *w)
{
	struct zones *zones = w->processes[life_below(w, LIFE_PROCESSES)];
	AUTO(entry_releasep)
	struct entry *project = NULL, *new = NULL, *archive = NULL, *back = NULL;
	struct zones *other = zones_other(w->f);
	struct entry_filter filter = {0};
	struct entry **found = NULL;
	size_t count = 0;
	uint8_t dek[LIFE_DEK];

	life_tell(w, "# the project is archived, and restored\n");
	life_refresh(w, zones);
	project = zones_find_uid(zones, w->project);
	LIFE_HOLDS(w, zones_project_replace(zones, project, bytes_of("new"), &new) == ZONE_OK,
		   "the project can't be archived");
	life_refresh(w, other);
	for (size_t i = 0; i < w->seal_count; i++)
		LIFE_HOLDS(w,
			   life_open(zones, w->seals[i].zone, w->seals[i].version, &w->seals[i],
				     dek) != ZONE_OK &&
				   life_open(other, w->seals[i].zone, w->seals[i].version,
					     &w->seals[i], dek) != ZONE_OK,
			   "seal %zu of an archived project opens", i);
	filter.project = new->uid;
	filter.kinds[ENTRY_ARCHIVE] = filter.with_pending = true;
	LIFE_HOLDS(w, zones_list(zones, &filter, &found, &count) == ZONE_OK && count == 1,
		   "there is no archive");
	archive = found[0];
	free(found);
	LIFE_HOLDS(w, zones_entry_restore(zones, archive, bytes(NULL, 0), &back) == ZONE_OK,
		   "the project does not come back");
	zones_free(other);
}

/* --- Backups */

static void back_up(struct life_world *w)
{
	struct life_snapshot *snapshot = &w->snapshots[life_below(w, LIFE_SNAPSHOTS)];
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	struct zones *zones = w->processes[life_below(w, LIFE_PROCESSES)];
	const struct backup_wish wish = {0};
	enum zone_status status;
	bool all = true, any = false;

	for (int i = 0; i < LIFE_KEYS; i++)
		all &= w->answers[i] == KMS_OK;
	for (int i = 0; i < w->next_zone; i++)
		any |= life_is_there(w->life.zones[i].state);
	life_refresh(w, zones);
	status = zones_backup_make(zones, w->project, &wish, &file, &told);
	life_tell(w, "# backup %d -> %s\n", (int)(snapshot - w->snapshots),
		  status == ZONE_OK ? "ok" : zone_status_text(status));
	LIFE_HOLDS(w, status == ZONE_OK || !all || !any, "no backup could be made: %s",
		   zone_status_text(status));
	if (status != ZONE_OK)
		return;
	buffer_clear(&snapshot->file);
	snapshot->file = file;
	file = (struct buffer){0};
	snapshot->life = w->life;
	snapshot->there = true;
	w->backups++;
}

static bool is_kept(struct zones *zones, struct uid uid)
{
	AUTO(entry_releasep) struct entry *entry = zones_find_uid(zones, uid);

	return entry != NULL;
}

/* Only what is newer; nothing goes down. */
static void adopt_versions(struct life_world *w, struct life_zone *here,
			   const struct life_zone *from)
{
	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++) {
		const struct life_version *old = life_version(here, v);
		const struct life_version *new = life_version(from, v);

		LIFE_HOLDS(w,
			   old == NULL || new == NULL || memcmp(old->ezk, new->ezk, LIFE_EZK) == 0,
			   "zone %d was restored, though its version %" PRIu32 " differs",
			   (int)(here - w->life.zones), v);
		if (v > here->primary && new != NULL)
			here->versions[v - 1] = *new;
	}
	if (from->primary <= here->primary)
		return;
	here->primary = from->primary;
	here->raw = from->raw > here->raw ? from->raw : here->raw;
	here->minimum = from->minimum > here->minimum ? from->minimum : here->minimum;
}

static void adopt_zone(struct life_world *w, struct zones *zones, const struct life *from, int at)
{
	struct life_zone *here = &w->life.zones[at];
	const struct life_zone *there = &from->zones[at];
	const struct life_cluster *cluster;

	if (here->state == LIFE_ABSENT && there->state == LIFE_GONE)
		*here = *there;
	if (!life_is_there(there->state))
		return;
	if (here->state == LIFE_ACTIVE)
		adopt_versions(w, here, there);
	if (here->state != LIFE_ABSENT)
		return;
	if (!is_kept(zones, there->uid)) {
		LIFE_HOLDS(w, there->state == LIFE_PENDING && there->due_ms <= w->life.now_ms,
			   "zone %d was not restored", at);
		here->state = LIFE_ABSENT;
		here->id = there->id;
		return;
	}
	*here = *there;
	cluster = &w->life.clusters[there->cluster];
	if (life_is_there(cluster->state)) {
		const char *name = strchr(there->label, '/');

		snprintf(here->label, sizeof(here->label), "%s%.8s", cluster->label, name);
	}
}

/* What the store did not have, and has now, is as it was when the backup was made. */
static void adopt(struct life_world *w, struct zones *zones, const struct life *from)
{
	for (int i = 0; i < w->next_zone; i++)
		adopt_zone(w, zones, from, i);
	for (int i = 0; i < w->next_cluster; i++)
		if (!life_is_there(w->life.clusters[i].state) &&
		    life_is_there(from->clusters[i].state) &&
		    is_kept(zones, from->clusters[i].uid)) {
			w->life.clusters[i] = from->clusters[i];
			w->life.clusters[i].state = LIFE_ACTIVE;
		} else if (w->life.clusters[i].state == LIFE_ABSENT &&
			   from->clusters[i].state != LIFE_ABSENT) {
			w->life.clusters[i].state = LIFE_GONE;
		}
	for (int i = 0; i < LIFE_KEYS; i++)
		if (w->life.keys[i].state == LIFE_ABSENT && life_is_there(from->keys[i].state) &&
		    is_kept(zones, from->keys[i].uid)) {
			w->life.keys[i] = from->keys[i];
			w->life.keys[i].state = LIFE_ACTIVE;
		}
	for (int i = 0; i < w->next_token; i++)
		if (w->life.tokens[i].state == LIFE_ABSENT) {
			const struct life_zone *zone = &w->life.zones[from->tokens[i].zone];
			bool kept = from->tokens[i].state == LIFE_ACTIVE &&
				    is_kept(zones, from->tokens[i].uid);

			LIFE_HOLDS(w,
				   kept || from->tokens[i].state != LIFE_ACTIVE ||
					   zone->state != LIFE_ACTIVE || /* it stays away */
					   !life_version(zone, from->tokens[i].version),
				   "token key %d was not restored", i);
			if (from->tokens[i].state != LIFE_ABSENT)
				w->life.tokens[i] = from->tokens[i];
			if (from->tokens[i].state == LIFE_ACTIVE && !kept)
				w->life.tokens[i].state = LIFE_ABSENT;
		}
}

static enum zone_status bring_back(struct zones *zones, const struct life_snapshot *snapshot)
{
	const struct restore_wish wish = {0};
	AUTO(buffer_clear) struct buffer told = {0};

	return zones_restore(zones, buffer_bytes(&snapshot->file), &wish, &told);
}

static void restore(struct life_world *w, const struct life_snapshot *snapshot)
{
	struct zones *zones = w->processes[life_below(w, LIFE_PROCESSES)];
	enum zone_status status;

	life_refresh(w, zones);
	status = bring_back(zones, snapshot);
	life_tell(w, "# restore %d -> %s\n", (int)(snapshot - w->snapshots),
		  status == ZONE_OK ? "ok" : zone_status_text(status));
	if (status != ZONE_OK)
		return;
	adopt(w, zones, &snapshot->life);
	w->restores++;
}

static void lose_store(struct life_world *w)
{
	for (int i = 0; i < LIFE_PROCESSES; i++)
		zones_free(TAKE(w->processes[i]));
	if (w->f->engine == &memory_store) {
		memory_rows_begin();
		memory_rows.conflicts = 2;
	} else {
		assert_true(unlink(w->f->path) == 0 || w->project.bytes[0] == 0);
	}
	for (int i = 0; i < LIFE_PROCESSES; i++)
		w->processes[i] = zones_other(w->f);
}

/* The store has nothing any more: what is known is forgotten, but for what it was called. */
static void forget(struct life_world *w)
{
	const struct life before = w->life;

	memset(&w->life, 0, sizeof(w->life));
	w->life.now_ms = before.now_ms;
	for (int i = 0; i < w->next_zone; i++) {
		w->life.zones[i].id = before.zones[i].id;
		w->life.zones[i].uid = before.zones[i].uid;
	}
	for (int i = 0; i < w->next_token; i++)
		w->life.tokens[i].uid = before.tokens[i].uid;
}

static void lose_and_restore(struct life_world *w, const struct life_snapshot *snapshot)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	enum zone_status status;

	for (int i = 0; i < LIFE_KEYS; i++)
		life_set_answer(w, i, KMS_OK);
	lose_store(w);
	forget(w);
	status = bring_back(w->processes[0], snapshot);
	life_tell(w, "# the store is lost; restore %d -> %s\n", (int)(snapshot - w->snapshots),
		  status == ZONE_OK ? "ok" : zone_status_text(status));
	LIFE_HOLDS(w, status == ZONE_OK, "a backup can't be restored: %s",
		   zone_status_text(status));
	adopt(w, w->processes[0], &snapshot->life);
	project = zones_find_uid(w->processes[0], w->project);
	LIFE_HOLDS(w, project != NULL, "the project was not restored");
	w->life.announced_ms = project->of_project.announced_ms;
	w->losses++;
}

static void use_backup(struct life_world *w)
{
	const struct life_snapshot *snapshot = &w->snapshots[life_below(w, LIFE_SNAPSHOTS)];
	const struct life_snapshot *other = &w->snapshots[life_below(w, LIFE_SNAPSHOTS)];

	if (!snapshot->there || life_one_in(w, 2)) {
		back_up(w);
	} else if (life_one_in(w, 2)) {
		restore(w, snapshot);
	} else {
		lose_and_restore(w, snapshot);
		if (other != snapshot && other->there)
			restore(w, other);
	}
}

/* --- Runs */

static void begin_run(struct life_world *w, uint64_t seed)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	w->seed = w->random = seed;
	w->life = (struct life){0};
	w->next_cluster = w->next_zone = w->next_token = 0;
	w->seal_count = 0;
	w->rival = NULL;
	buffer_truncate(&w->story, 0);
	for (int i = 0; i < LIFE_SNAPSHOTS; i++)
		w->snapshots[i].there = false;
	for (int i = 0; i < LIFE_ZONES; i++)
		buffer_truncate(&w->records[i].file, 0);
	w->leased = life_draw(w) % 2 == 0;
	w->f->settings.lease_seconds = w->leased ? 300 : 0;
	fake_clock_init(&w->f->clock);
	life_begin_kms(w);
	w->f->aws.on_call = w->f->local.on_call = life_come_between;
	w->f->aws.on_call_state = w->f->local.on_call_state = w;
	w->project = (struct uid){0};
	lose_store(w);
	move_clock(w, SECOND_MS);
	assert_int_equal(zones_project_create(w->processes[0], 0, bytes_of("project"), &project),
			 ZONE_OK);
	w->project = project->uid;
}

static void live_on(struct life_world *w)
{
	switch (life_below(w, 40)) {
	case 0:
	case 1:
	case 2:
		pass_time(w);
		break;
	case 3:
	case 4:
	case 5:
		change_key(w);
		break;
	case 6:
		crash(w);
		break;
	case 7:
		archive(w);
		break;
	case 8:
	case 9:
	case 10:
		use_backup(w);
		break;
	default:
		life_take_step(w, life_below(w, LIFE_PROCESSES));
	}
	/* A no and an outage are remembered for some seconds. */
	move_clock(w, 20 * SECOND_MS);
}

static void run(struct life_world *w, uint64_t seed)
{
	begin_run(w, seed);
	life_settle_down(w);
	for (int i = 0; i < STEPS; i++) {
		live_on(w);
		life_check_all(w, i == STEPS - 1);
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void what_is_kept_and_what_opens_is_what_the_rules_say(void **state)
{
	struct life_world *w = *state;
	uint64_t wished = setting("CMEK_LIFE_RUNS", RUNS);
	uint64_t runs = w->f->engine == &memory_store ? wished : (wished + IN_FILE - 1) / IN_FILE;
	uint64_t first = setting("CMEK_TEST_SEED",
				 getenv("CMEK_LIFE_RUNS") == NULL ? 1 : (uint64_t)time(NULL));

	print_message("# %s store: CMEK_TEST_SEED=%" PRIu64 " CMEK_LIFE_RUNS=%" PRIu64 "\n",
		      w->f->engine->name, first, runs);
	for (uint64_t i = 0; i < runs; i++)
		run(w, first + i);
	life_tell_figures(w);
}

/* --- The engines */

static int begin_in(const struct store_engine *engine, void **state)
{
	struct life_world *w = calloc(1, sizeof(*w));
	void *fixture = NULL;

	memory_rows_begin();
	zones_begin_in(engine, &fixture);
	w->f = fixture;
	entry_release(TAKE(w->f->project));
	w->processes[0] = TAKE(w->f->zones);
	*state = w;
	return 0;
}

static int begin_in_file(void **state)
{
	return begin_in(&store_sqlite, state);
}

static int begin_in_memory(void **state)
{
	return begin_in(&memory_store, state);
}

/* Processes that know but a part of a file, and let go of most of it again and again. */
enum { KNOWN = 3 };

static struct store *open_few(const struct store_settings *settings)
{
	struct store *store = store_sqlite.open(settings);

	if (store != NULL)
		store->most = KNOWN;
	return store;
}

static const struct store_engine few_engine = {.name = "sqlite, known in part", .open = open_few};

static int begin_in_part(void **state)
{
	return begin_in(&few_engine, state);
}

static int end(void **state)
{
	struct life_world *w = *state;
	void *fixture = w->f;

	for (int i = 0; i < LIFE_PROCESSES; i++)
		zones_free(w->processes[i]);
	for (int i = 0; i < LIFE_SNAPSHOTS; i++)
		buffer_clear(&w->snapshots[i].file);
	for (int i = 0; i < LIFE_ZONES; i++)
		buffer_clear(&w->records[i].file);
	buffer_clear(&w->story);
	free(w);
	zones_end(&fixture);
	memory_rows_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"in_a_file_what_is_kept_and_what_opens_is_what_the_rules_say",
		 what_is_kept_and_what_opens_is_what_the_rules_say, begin_in_file, end, NULL},
		{"known_in_part_what_is_kept_and_what_opens_is_what_the_rules_say",
		 what_is_kept_and_what_opens_is_what_the_rules_say, begin_in_part, end, NULL},
		{"where_writes_come_too_late_what_is_kept_and_what_opens_is_what_the_rules_say",
		 what_is_kept_and_what_opens_is_what_the_rules_say, begin_in_memory, end, NULL},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
