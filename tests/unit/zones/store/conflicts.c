/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Every change of the domain on a store whose writes come too late twice: it happens once all the
 * same, and the rules hold against what others did meanwhile. */
#include "base/buffer.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/etcd_server.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/rotate.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/kms/audit.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

/* --- The same on each engine */

/* What came of the changes, in words that do not differ from run to run. */
struct run {
	struct zones_fixture *f;
	struct buffer said;
	struct bytes records; /* of a zone that never was in this store */
	uint64_t writes;
	size_t log_lines, audit_lines;
};

static void note(struct run *run, const char *what, enum zone_status status)
{
	buffer_format(&run->said, "%s: %s\n", what, zone_status_text(status));
}

static struct entry *find(struct run *run, enum entry_kind kind, const char *label)
{
	struct entry *entry = find_entry(run->f->zones, run->f->project->uid, kind, label);

	if (entry == NULL)
		fail_msg("there is no '%s' after\n%s", label, buffer_text(&run->said));
	return entry;
}

static void remove_entry(struct run *run, enum entry_kind kind, const char *label)
{
	AUTO(entry_releasep) struct entry *entry = find(run, kind, label);

	note(run, "deleted", zones_entry_delete(run->f->zones, entry));
}

static void remove_and_restore(struct run *run, enum entry_kind kind, const char *label)
{
	AUTO(entry_releasep) struct entry *entry = find(run, kind, label);
	AUTO(entry_releasep) struct entry *gone = NULL, *back = NULL;

	note(run, "deleted", zones_entry_delete(run->f->zones, entry));
	gone = zones_find_uid(run->f->zones, entry->uid);
	note(run, "restored", zones_entry_restore(run->f->zones, gone, bytes(NULL, 0), &back));
}

static void rename_entry(struct run *run, enum entry_kind kind, const char *label, const char *to,
			 uint32_t usages)
{
	AUTO(entry_releasep) struct entry *entry = find(run, kind, label);
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of(to);

	names.usages = usages;
	note(run, "renamed", zones_entry_rename(run->f->zones, entry, &names, &renamed));
	if (renamed != NULL)
		buffer_format(&run->said, " to %s\n", renamed->label);
}

static void change_root_keys(struct run *run)
{
	struct zones *zones = run->f->zones;
	struct uid project = run->f->project->uid;

	note(run, "a", add_root_key(zones, project, ROOT_A, "a"));
	note(run, "a again", add_root_key(zones, project, "alias/a", "other"));
	note(run, "taken label", create_root_key(zones, project, LOCAL_KEY, "a"));
	note(run, "local", create_root_key(zones, project, LOCAL_KEY, "l"));
	remove_and_restore(run, ENTRY_ROOT_KEY, "l");
	rename_entry(run, ENTRY_ROOT_KEY, "l", "l2", USAGE_WRAP);
	remove_entry(run, ENTRY_ROOT_KEY, "l2");
	note(run, "revived", add_root_key(zones, project, LOCAL_KEY, "l3"));
}

static void create_zone(struct run *run, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);

	note(run, label, zones_zone_create(run->f->zones, run->f->project->uid, &names, &zone));
}

static void change_zones(struct run *run)
{
	AUTO(entry_releasep) struct entry *root_key = find(run, ENTRY_ROOT_KEY, "a");

	note(run, "cluster", create_cluster(run->f->zones, root_key, NULL, NULL, "prod"));
	note(run, "cluster again", create_cluster(run->f->zones, root_key, NULL, NULL, "prod"));
	create_zone(run, "prod/db");
	create_zone(run, "prod/db");
	create_zone(run, "brings"); /* root key b and the default cluster */
	create_zone(run, "default/brings");
	rename_entry(run, ENTRY_ZONE, "prod/db", "prod/db2", USAGE_WRAP);
	rename_entry(run, ENTRY_CLUSTER, "prod", "live", 0);
	remove_and_restore(run, ENTRY_ZONE, "live/db2");
	remove_entry(run, ENTRY_CLUSTER, "live");
	remove_entry(run, ENTRY_ROOT_KEY, "a");
}

static void change_keys(struct run *run)
{
	AUTO(entry_releasep) struct entry *zone = find(run, ENTRY_ZONE, "live/db2");
	AUTO(entry_releasep) struct entry *key = NULL;
	struct entry_names names = names_of("key");

	note(run, "key",
	     zones_key_create(run->f->zones, run->f->project->uid, zone->of_zone.zone, 0x1f,
			      bytes_of("0123456789abcdef"), &names, &key));
	rename_entry(run, ENTRY_KEY, "key", "key2", USAGE_WRAP | USAGE_UNWRAP);
	rename_entry(run, ENTRY_KEY, "key2", "key3", USAGE_WRAP);
	remove_entry(run, ENTRY_KEY, "key3");
}

static void mark_zone(struct run *run, const struct entry *zone, enum zone_mark mark,
		      uint32_t value)
{
	AUTO(entry_releasep) struct entry *marked = NULL;

	note(run, "marked", zones_zone_mark(run->f->zones, zone, mark, value, &marked));
}

static void change_versions(struct run *run)
{
	AUTO(entry_releasep) struct entry *zone = find(run, ENTRY_ZONE, "live/db2");

	for (uint32_t version = 2; version <= 4; version++) {
		AUTO(entry_releasep) struct entry *rotated = NULL;

		note(run, "rotated", zones_zone_rotate(run->f->zones, zone, version, &rotated));
	}
	mark_zone(run, zone, ZONE_RAW, 3);
	mark_zone(run, zone, ZONE_MINIMUM, 3);
	mark_zone(run, zone, ZONE_MINIMUM, 4);
	mark_zone(run, zone, ZONE_MINIMUM, 1);
	mark_zone(run, zone, ZONE_ROTATE_DAYS, 90);
}

static void import_zones(struct run *run)
{
	const struct kms_pair pairs[] = {{"cmek:purpose", "import"}};
	const struct kms_context context = {pairs, 1}, none = {0};
	AUTO(entry_releasep) struct entry *root_key = find(run, ENTRY_ROOT_KEY, "a");
	AUTO(entry_releasep) struct entry *back = NULL, *brought = NULL;
	AUTO(buffer_clear) struct buffer blob = {0};
	struct entry_names names = names_of("back"), names_of_blob = names_of("brought");

	for (int i = 0; i < 2; i++)
		note(run, "import",
		     zones_zone_import(run->f->zones, run->f->project->uid, root_key, run->records,
				       true, &names, &back));
	assert_int_equal(
		run->f->aws.client.operations->encrypt(&run->f->aws.client, ROOT_A,
						       bytes_of("0123456789abcdef0123456789abcdef"),
						       &context, NULL, &blob),
		KMS_OK);
	for (int i = 0; i < 2; i++)
		note(run, "import of a blob",
		     zones_zone_import_blob(run->f->zones, run->f->project->uid, root_key, &none,
					    buffer_bytes(&blob), &names_of_blob, &brought));
}

static void fill_with_root_keys(struct run *run)
{
	enum zone_status status = ZONE_OK;
	char name[32];

	for (int i = 0; i < 30 && status == ZONE_OK; i++) {
		snprintf(name, sizeof(name), "local:k%d", i);
		status = create_root_key(run->f->zones, run->f->project->uid, name, NULL);
		note(run, name, status);
	}
}

static void change_projects(struct run *run)
{
	struct zones *zones = run->f->zones;
	AUTO(entry_releasep) struct entry *old = NULL, *new = NULL, *archive = NULL, *back = NULL;
	AUTO(entry_releasep) struct entry *none = NULL;

	note(run, "project", zones_project_create(zones, 1, bytes_of("second"), &old));
	note(run, "slot taken", zones_project_create(zones, 1, bytes_of("third"), &none));
	note(run, "replaced", zones_project_replace(zones, old, bytes_of("new"), &new));
	note(run, "again", zones_project_replace(zones, old, bytes_of("newer"), &none));
	archive = find_entry(zones, new->uid, ENTRY_ARCHIVE, "second");
	note(run, "restored", zones_entry_restore(zones, archive, bytes(NULL, 0), &back));
	buffer_format(&run->said, " in slot %u\n", (unsigned)back->of_project.slot);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All entries of a project as lines, in an order that does not depend on uids. */
static void describe(struct zones *zones, const struct entry *project, struct buffer *out)
{
	struct entry_filter filter = {.project = project->uid, .with_pending = true};
	struct entry **entries = NULL;
	char *lines[64];
	size_t count = 0;

	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		filter.kinds[kind] = true;
	assert_int_equal(zones_list(zones, &filter, &entries, &count), ZONE_OK);
	assert_in_range(count, 1, COUNT_OF(lines));
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = entries[i];

		assert_true(
			asprintf(&lines[i], "kind %d '%s' state %d usages %x of %zu versions",
				 entry->kind, entry->label, entry->state, (unsigned)entry->usages,
				 entry->kind == ENTRY_ZONE ? entry->of_zone.version_count : 0) > 0);
		entry_release(entries[i]);
	}
	qsort(lines, count, sizeof(*lines), by_text);
	for (size_t i = 0; i < count; i++) {
		buffer_format(out, "%s\n", lines[i]);
		free(lines[i]);
	}
	free(entries);
}

static void describe_all(struct zones *zones, struct buffer *out)
{
	struct entry **projects = NULL;
	size_t count = 0;

	assert_int_equal(zones_refresh(zones, true), ZONE_OK);
	assert_int_equal(zones_list_projects(zones, &projects, &count), ZONE_OK);
	for (size_t i = 0; i < count; i++) {
		buffer_format(out, "slot %u\n", (unsigned)projects[i]->of_project.slot);
		describe(zones, projects[i], out);
		entry_release(projects[i]);
	}
	free(projects);
}

static size_t count_lines(const char *path)
{
	AUTO(buffer_clear) struct buffer text = {0};
	size_t count = 0;

	file_bytes(path, &text);
	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == '\n';
	return count;
}

/* What others read is what the changer has. */
static void compare_with_others(struct run *run)
{
	struct zones *other = zones_other(run->f);
	AUTO(buffer_clear) struct buffer own = {0}, theirs = {0};

	describe_all(run->f->zones, &own);
	describe_all(other, &theirs);
	assert_string_equal(buffer_text(&own), buffer_text(&theirs));
	buffer_append(&run->said, buffer_bytes(&own));
	zones_free(other);
}

static void run_all(const struct store_engine *engine, struct bytes records, struct run *run)
{
	char log[128], audit[128];
	void *state = NULL;

	assert_int_equal(zones_begin_in(engine, &state), 0);
	*run = (struct run){.f = state, .records = records};
	run->f->settings.default_root_key = "alias/b";
	zones_reopen(run->f);
	snprintf(log, sizeof(log), "%s/log", run->f->folder);
	snprintf(audit, sizeof(audit), "%s/audit", run->f->folder);
	assert_true(log_configure(LOG_ERROR, log));
	assert_true(audit_configure(audit));
	change_root_keys(run);
	change_zones(run);
	change_keys(run);
	change_versions(run);
	import_zones(run);
	fill_with_root_keys(run);
	change_projects(run);
	assert_true(audit_configure(NULL));
	assert_true(log_configure(LOG_OFF, "stderr"));
	run->log_lines = count_lines(log);
	run->audit_lines = count_lines(audit);
	compare_with_others(run);
	run->writes = memory_rows.writes;
}

static void run_end(struct run *run)
{
	void *state = run->f;

	buffer_clear(&run->said);
	zones_end(&state);
}

static void make_records(struct buffer *ret_records)
{
	AUTO(entry_releasep) struct entry *root_key = NULL, *zone = NULL;
	struct entry_names names = names_of("elsewhere");
	void *state = NULL;
	struct zones_fixture *f;

	assert_int_equal(zones_begin(&state), 0);
	f = state;
	root_key = make_root_key(f, ROOT_A);
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	assert_int_equal(zones_zone_export(f->zones, zone, ret_records), ZONE_OK);
	zones_end(&state);
}

static void assert_same_run(const struct run *a, const struct run *b)
{
	assert_string_equal(buffer_text((struct buffer *)(uintptr_t)&a->said),
			    buffer_text((struct buffer *)(uintptr_t)&b->said));
	assert_int_equal(a->log_lines, b->log_lines);
	assert_int_equal(a->audit_lines, b->audit_lines);
}

static void every_change_happens_once_however_often_it_comes_too_late(void **state)
{
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(run_end) struct run sqlite = {0};
	AUTO(run_end) struct run in_time = {0};
	AUTO(run_end) struct run late = {0};
	size_t asks;

	(void)state;
	make_records(&records);
	run_all(&store_sqlite, buffer_bytes(&records), &sqlite);
	run_all(&memory_store, buffer_bytes(&records), &in_time);
	asks = memory_rows.asks;
	assert_same_run(&sqlite, &in_time);
	memory_rows_end();
	memory_rows.conflicts = 2;
	run_all(&memory_store, buffer_bytes(&records), &late);
	assert_same_run(&sqlite, &late);
	assert_true(late.writes == in_time.writes);
	/* Each that wrote was asked three times; each that refused, once. */
	assert_int_equal(memory_rows.asks, asks + 2 * late.writes);
	memory_rows_end();
}

static void every_change_is_the_same_on_etcd(void **state)
{
	struct buffer records = {0};
	struct run sqlite, etcd;

	(void)state;
	if (!etcd_server_start()) {
		print_message("# reason: etcd is not installed (etcd-server)\n");
		skip();
	}
	make_records(&records);
	run_all(&store_sqlite, buffer_bytes(&records), &sqlite);
	run_all(&etcd_server_engine, buffer_bytes(&records), &etcd);
	assert_same_run(&sqlite, &etcd);
	run_end(&sqlite);
	run_end(&etcd);
	buffer_clear(&records);
	etcd_server_stop();
}

/* --- Others are quicker */

static int begin_late(void **state)
{
	memory_rows_begin();
	if (zones_begin_in(&memory_store, state) != 0)
		return 1;
	memory_rows.conflicts = 1;
	return 0;
}

static int end_late(void **state)
{
	zones_end(state);
	memory_rows_end();
	return 0;
}

/* Another process, and what it does between two tries of this one. */
struct rival {
	struct zones_fixture *f;
	struct zones *zones;
	const struct entry *entry;
	const char *name;
	enum zone_status status;
};

static void rival_end(struct rival *rival)
{
	zones_free(rival->zones);
}

static void rival_begin(struct zones_fixture *f, void (*act)(void *), struct rival *rival)
{
	*rival = (struct rival){.f = f, .zones = zones_other(f), .status = ZONE_INVALID};
	assert_int_equal(zones_refresh(rival->zones, true), ZONE_OK);
	memory_rows.rival = act;
	memory_rows.rival_state = rival;
}

static void rival_makes_cluster(void *state)
{
	struct rival *rival = state;

	rival->status = create_cluster(rival->zones, rival->entry, NULL, NULL, rival->name);
}

static void label_that_was_taken_meanwhile_is_refused(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(rival_end) struct rival rival = {0};

	rival_begin(f, rival_makes_cluster, &rival);
	rival.entry = root_key;
	rival.name = "prod";
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "prod"), ZONE_EXISTS);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 1);

	rival_end(&rival);
	rival_begin(f, rival_makes_cluster, &rival);
	rival.entry = root_key;
	rival.name = "other";
	assert_int_equal(create_cluster(f->zones, root_key, NULL, NULL, "third"), ZONE_OK);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 3);
}

static void rival_adds_root_key(void *state)
{
	struct rival *rival = state;

	rival->status = add_root_key(rival->zones, rival->f->project->uid, rival->name, NULL);
}

static void root_key_that_another_brought_meanwhile_is_used(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(rival_end) struct rival rival = {0};
	struct entry_names names = names_of("db");

	f->settings.default_root_key = "alias/b";
	zones_reopen(f);
	rival_begin(f, rival_adds_root_key, &rival);
	rival.name = ROOT_B;
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 1);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
}

static void place_that_was_the_last_is_given_once(void **state)
{
	FIXTURE(state);
	AUTO(rival_end) struct rival rival = {0};
	char name[32];

	for (int i = 0; i < ROOT_KEYS_MAX - 1; i++) {
		snprintf(name, sizeof(name), "local:k%d", i);
		assert_int_equal(create_root_key(f->zones, f->project->uid, name, NULL), ZONE_OK);
	}
	rival_begin(f, rival_adds_root_key, &rival);
	rival.name = ROOT_B;
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, NULL),
			 ZONE_TOO_MANY_ROOT_KEYS);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true),
			 ROOT_KEYS_MAX);
}

static void rival_restores(void *state)
{
	struct rival *rival = state;
	AUTO(entry_releasep)
	struct entry *gone = zones_find_uid(rival->zones, rival->entry->uid);
	AUTO(entry_releasep) struct entry *back = NULL;

	rival->status = zones_entry_restore(rival->zones, gone, bytes(NULL, 0), &back);
}

static void root_key_that_came_back_meanwhile_is_there_already(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(rival_end) struct rival rival = {0};

	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_OK);
	rival_begin(f, rival_restores, &rival);
	rival.entry = root_key;
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "again"), ZONE_EXISTS);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
}

static void root_key_that_awaited_removal_comes_back_once(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *back = NULL;

	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "again"), ZONE_OK);
	back = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "again");
	assert_non_null(back);
	assert_true(uid_equal(back->uid, root_key->uid));
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
}

static void rival_deletes(void *state)
{
	struct rival *rival = state;

	rival->status = zones_entry_delete(rival->zones, rival->entry);
}

/* What was decided against at the first try says nothing at the second. */
static void label_of_our_own_choice_is_chosen_anew(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *taker = NULL, *added = NULL;
	AUTO(rival_end) struct rival rival = {0};

	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "b"), ZONE_OK);
	taker = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "b");
	rival_begin(f, rival_deletes, &rival);
	rival.entry = taker;
	assert_int_equal(add_root_key(f->zones, f->project->uid, "alias/b", NULL), ZONE_OK);
	assert_int_equal(rival.status, ZONE_OK);
	added = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "b");
	assert_non_null(added);
	assert_string_equal(added->of_root_key.arn, ROOT_B);
}

static void key_is_not_made_in_a_zone_that_went_meanwhile(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = NULL, *key = NULL;
	AUTO(rival_end) struct rival rival = {0};
	struct entry_names names = names_of("db"), key_names = names_of("key");

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	rival_begin(f, rival_deletes, &rival);
	rival.entry = zone;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &key_names, &key),
			 ZONE_PENDING_DELETION);
	assert_int_equal(rival.status, ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_KEY, true), 0);
}

static void rival_renames(void *state)
{
	struct rival *rival = state;
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of(rival->name);

	rival->status = zones_entry_rename(rival->zones, rival->entry, &names, &renamed);
}

static void entry_that_was_changed_meanwhile_is_a_conflict(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *renamed = NULL, *found = NULL;
	AUTO(rival_end) struct rival rival = {0};
	struct entry_names names = names_of("mine");

	rival_begin(f, rival_renames, &rival);
	rival.entry = root_key;
	rival.name = "theirs";
	assert_int_equal(zones_entry_rename(f->zones, root_key, &names, &renamed), ZONE_CONFLICT);
	assert_null(renamed);
	assert_int_equal(rival.status, ZONE_OK);
	found = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "theirs");
	assert_non_null(found);
}

#define LATE_TEST(name) cmocka_unit_test_setup_teardown(name, begin_late, end_late)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_happens_once_however_often_it_comes_too_late),
		cmocka_unit_test(every_change_is_the_same_on_etcd),
		LATE_TEST(label_that_was_taken_meanwhile_is_refused),
		LATE_TEST(root_key_that_another_brought_meanwhile_is_used),
		LATE_TEST(place_that_was_the_last_is_given_once),
		LATE_TEST(root_key_that_came_back_meanwhile_is_there_already),
		LATE_TEST(root_key_that_awaited_removal_comes_back_once),
		LATE_TEST(label_of_our_own_choice_is_chosen_anew),
		LATE_TEST(key_is_not_made_in_a_zone_that_went_meanwhile),
		LATE_TEST(entry_that_was_changed_meanwhile_is_a_conflict),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
