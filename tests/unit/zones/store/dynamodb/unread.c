/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A project whose items were broken, by whoever may write them: nothing of it is served, and
 * everything of the others is. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/dynamodb/engine.h"

enum { BROKEN = 1, OTHER = 2 };

struct unread_bed {
	struct contract_bed bed;
	struct fake_table table;
	struct store_cursor then; /* as everything was well */
};

static struct entry *entry_of(enum entry_kind kind, uint32_t project, uint32_t number)
{
	struct entry *entry = contract_make_entry(kind, number);

	entry->project = test_uid(ENTRY_PROJECT, project);
	return entry;
}

static void put_project(struct unread_bed *bed, uint32_t number)
{
	struct entry *project = entry_of(ENTRY_PROJECT, number, number);
	char label[16];

	snprintf(label, sizeof(label), "project-%u", (unsigned)number);
	assert_true(entry_set_text(&project->label, bytes_of(label)));
	project->of_project.slot = number;
	assert_int_equal(contract_put_one(&bed->bed, project, false), ZONE_OK);
	assert_int_equal(
		contract_put_one(&bed->bed, entry_of(ENTRY_ROOT_KEY, number, number), false),
		ZONE_OK);
}

static enum zone_status put_key(struct unread_bed *bed, uint32_t project, uint32_t number)
{
	return contract_put_one(&bed->bed, entry_of(ENTRY_KEY, project, number), false);
}

static int begin(void **state)
{
	struct unread_bed *bed = calloc(1, sizeof(*bed));

	fake_table_init(&bed->table);
	bed->bed.store = fake_table_store(&bed->table);
	put_project(bed, BROKEN);
	put_project(bed, OTHER);
	assert_int_equal(put_key(bed, BROKEN, 1), ZONE_OK);
	bed->then = bed->bed.cursor;
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct unread_bed *bed = *state;

	bed->bed.store->operations->free(bed->bed.store);
	fake_table_clear(&bed->table);
	free(bed);
	return 0;
}

/* --- Ways to break it */

static struct dynamodb_key row_of(enum entry_kind kind, uint32_t number)
{
	return dynamodb_key_row(test_uid(ENTRY_PROJECT, BROKEN), test_uid(kind, number));
}

static void lose_a_line_of_the_log(struct unread_bed *bed)
{
	const struct dynamodb_key line = dynamodb_key_log(test_uid(ENTRY_PROJECT, BROKEN), 4);

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	fake_table_set(&bed->table, line.partition, line.sort, NULL, NULL, NULL);
}

static void break_a_line_of_the_log(struct unread_bed *bed)
{
	const struct dynamodb_key line = dynamodb_key_log(test_uid(ENTRY_PROJECT, BROKEN), 4);

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	fake_table_set(&bed->table, line.partition, line.sort, "rows", "S", "0123");
}

static void set_head(struct unread_bed *bed, const char *name, const char *number)
{
	const struct dynamodb_key head = dynamodb_key_project(test_uid(ENTRY_PROJECT, BROKEN));

	fake_table_set(&bed->table, head.partition, head.sort, name, "N", number);
}

static void lose_a_part(struct unread_bed *bed)
{
	set_head(bed, "parts", "1");
	set_head(bed, "rev", "4");
}

static void break_a_part(struct unread_bed *bed)
{
	const struct dynamodb_key head = dynamodb_key_project(test_uid(ENTRY_PROJECT, BROKEN));
	const struct dynamodb_key row = row_of(ENTRY_ROOT_KEY, BROKEN);
	const char *by = fake_table_text(&bed->table, head.partition, head.sort, "by");
	const struct dynamodb_key part = dynamodb_key_part(test_uid(ENTRY_PROJECT, BROKEN), by, 0);

	lose_a_part(bed);
	/* An item that is there takes the place of the part. */
	fake_table_set(&bed->table, row.partition, row.sort, "ops", "S", "\"no operation\"");
	fake_table_set(&bed->table, row.partition, row.sort, "SK", "S", part.sort);
}

static void break_the_head(struct unread_bed *bed)
{
	set_head(bed, "rev", "0");
}

static void count_more_databases_than_rows(struct unread_bed *bed)
{
	set_head(bed, "zones", "18446744073709551615");
	set_head(bed, "rev", "4");
}

static void count_too_many_rows(struct unread_bed *bed)
{
	set_head(bed, "rows", "18446744073709551615");
	set_head(bed, "rev", "4");
}

static void break_a_row(struct unread_bed *bed)
{
	const struct dynamodb_key row = row_of(ENTRY_KEY, 1);

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	fake_table_set(&bed->table, row.partition, row_of(ENTRY_KEY, 3).sort, "v", "S", "{}");
}

/* In one write: few cursors are remembered. */
static void put_databases(struct unread_bed *bed)
{
	struct store_change changes[] = {{.entry = entry_of(ENTRY_CLUSTER, BROKEN, 1)},
					 {.entry = entry_of(ENTRY_ZONE, BROKEN, 1)},
					 {.entry = entry_of(ENTRY_ZONE, BROKEN, 2)}};

	assert_int_equal(contract_put(&bed->bed, changes, COUNT_OF(changes)), ZONE_OK);
}

static void name_a_version_twice(struct unread_bed *bed)
{
	const struct dynamodb_key row = row_of(ENTRY_ZONE, 1);
	const char *have;
	char twice[1024];

	put_databases(bed);
	have = fake_table_text(&bed->table, row.partition, row.sort, "have");
	snprintf(twice, sizeof(twice), "%s%s", have, have);
	fake_table_set(&bed->table, row.partition, row.sort, "have", "S", twice);
}

static void give_two_rows_one_database(struct unread_bed *bed)
{
	const struct dynamodb_key row = row_of(ENTRY_ZONE, 2);
	char text[8192], *id;

	put_databases(bed);
	snprintf(text, sizeof(text), "%s",
		 fake_table_text(&bed->table, row.partition, row.sort, "v"));
	id = strstr(text, "4611686018427387906");
	assert_non_null(id);
	id[18] = '5';
	fake_table_set(&bed->table, row.partition, row.sort, "v", "S", text);
}

/* As deep as DynamoDB takes it, and deeper than is read (base/json.h). */
static void nest_an_attribute(struct unread_bed *bed)
{
	const struct dynamodb_key row = row_of(ENTRY_KEY, 3);
	json_t *value = json_pack("{s:s}", "S", "leaf");

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	for (int i = 0; i < 31; i++)
		value = json_pack("{s:{s:o}}", "M", "n", value);
	fake_table_set_json(&bed->table, row.partition, row.sort, "deep", value);
}

static void put_a_nul(struct unread_bed *bed)
{
	const struct dynamodb_key row = row_of(ENTRY_KEY, 3);

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	fake_table_set_json(&bed->table, row.partition, row.sort, "nul",
			    json_pack("{s:s#}", "S", "a\0b", 3));
}

static const struct breach {
	const char *name;
	void (*make)(struct unread_bed *bed);
	enum zone_status why;
	const char *told, *remedy;
} breaches[] = {
	{"a line of the log is lost", lose_a_line_of_the_log, ZONE_STORE_UNAVAILABLE,
	 "no line of a write", "restore that project from a backup"},
	{"a line of the log is broken", break_a_line_of_the_log, ZONE_STORE_CORRUPT,
	 "log/0000000000000004", "restore it from a backup"},
	{"a hidden part is lost", lose_a_part, ZONE_STORE_UNAVAILABLE, "lacks a part",
	 "restore that project from a backup"},
	{"a hidden part is broken", break_a_part, ZONE_STORE_CORRUPT, "part/",
	 "restore it from a backup"},
	{"the head is broken", break_the_head, ZONE_STORE_CORRUPT, "project/",
	 "restore it from a backup"},
	{"it has more databases than rows", count_more_databases_than_rows, ZONE_STORE_CORRUPT,
	 "project/", "restore it from a backup"},
	{"it has too many rows", count_too_many_rows, ZONE_STORE_CORRUPT, "project/",
	 "restore it from a backup"},
	{"a row is broken", break_a_row, ZONE_STORE_CORRUPT, "row/", "restore it from a backup"},
	{"a database names a version twice", name_a_version_twice, ZONE_STORE_CORRUPT, "(have)",
	 "restore it from a backup"},
	{"two rows are of one database", give_two_rows_one_database, ZONE_STORE_CORRUPT,
	 "(the zone of another row)", "restore it from a backup"},
	{"an item is nested too deep", nest_an_attribute, ZONE_STORE_CORRUPT, "nested too deep",
	 "restore it from a backup"},
	{"an item has a NUL", put_a_nul, ZONE_STORE_CORRUPT, "a NUL in a text",
	 "restore it from a backup"},
};

/* --- What holds for each */

static const struct store_unread *unread_in(const struct store_news *news)
{
	return store_unread_of(news->unread, news->unread_count, test_uid(ENTRY_PROJECT, BROKEN));
}

static void check_told(const struct breach *breach, const struct store_news *news)
{
	const struct dynamodb_key project = dynamodb_key_project(test_uid(ENTRY_PROJECT, BROKEN));
	const struct store_unread *unread = unread_in(news);

	if (unread == NULL)
		fail_msg("%s: not told", breach->name);
	assert_int_equal(news->unread_count, 1);
	assert_int_equal(unread->why, breach->why);
	if (strstr(unread->text, breach->told) == NULL ||
	    strstr(unread->text, breach->remedy) == NULL ||
	    strstr(unread->text, project.sort + strlen("project/")) == NULL)
		fail_msg("%s: %s", breach->name, unread->text);
}

static bool has_row_of(const struct store_news *news, uint32_t project)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->project, test_uid(ENTRY_PROJECT, project)) &&
		    news->rows[i].entry->kind != ENTRY_PROJECT)
			return true;
	return false;
}

static void check_readings(struct unread_bed *bed, const struct breach *breach)
{
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news all = {0};
	AUTO(store_news_clear) struct store_news none = {0};

	contract_read_since(&bed->bed, &bed->then, &news);
	check_told(breach, &news);
	assert_true(unread_in(&news)->known);
	assert_true(has_row_of(&news, OTHER));
	assert_false(has_row_of(&news, BROKEN));
	contract_read_since(&bed->bed, &news.cursor, &none);
	check_told(breach, &none); /* each look tries again */
	assert_int_equal(none.count, 0);
	contract_read_all(&bed->bed, &all);
	check_told(breach, &all);
	assert_false(unread_in(&all)->known);
	assert_true(has_row_of(&all, OTHER));
	assert_false(has_row_of(&all, BROKEN));
}

static enum zone_status find_label(struct unread_bed *bed, uint32_t project, const char *label,
				   struct store_news *ret_news)
{
	const struct store_key key = {.by = STORE_BY_LABEL,
				      .kind = ENTRY_KEY,
				      .project = test_uid(ENTRY_PROJECT, project),
				      .label = bytes_of(label)};

	return bed->bed.store->operations->find(bed->bed.store, &key, ret_news);
}

static void check_uses(struct unread_bed *bed, const struct breach *breach)
{
	AUTO(store_news_clear) struct store_news found = {0};

	assert_int_equal(find_label(bed, BROKEN, "nowhere", &found), breach->why);
	assert_non_null(strstr(log_last(), breach->remedy));
	assert_int_equal(find_label(bed, OTHER, "nowhere", &found), ZONE_OK);
	bed->bed.cursor = bed->then; /* as a process that has not made what is lost */
	assert_int_equal(put_key(bed, BROKEN, 8), breach->why);
	assert_int_equal(put_key(bed, OTHER, 9), ZONE_OK);
}

/* What has to be compared with all projects waits. */
static void check_what_needs_all(struct unread_bed *bed, const struct breach *breach)
{
	struct entry *project = entry_of(ENTRY_PROJECT, 3, 3);

	assert_true(entry_set_text(&project->label, bytes_of("project-3")));
	project->of_project.slot = 3;
	assert_int_equal(contract_put_one(&bed->bed, project, false), breach->why);
}

static void project_that_is_broken_keeps_nobody_from_the_others(void **state)
{
	end(state);
	for (size_t i = 0; i < COUNT_OF(breaches); i++) {
		struct unread_bed *bed;

		begin(state);
		bed = *state;
		breaches[i].make(bed);
		assert_int_equal(put_key(bed, OTHER, 2), ZONE_OK);
		check_readings(bed, &breaches[i]);
		check_uses(bed, &breaches[i]);
		check_what_needs_all(bed, &breaches[i]);
		end(state);
	}
	begin(state);
}

static void project_that_was_mended_is_read_again(void **state)
{
	struct unread_bed *bed = *state;
	AUTO(store_news_clear) struct store_news broken = {0};
	AUTO(store_news_clear) struct store_news mended = {0};

	const struct dynamodb_key line = dynamodb_key_log(test_uid(ENTRY_PROJECT, BROKEN), 4);
	char rows[64];

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	snprintf(rows, sizeof(rows), "%s",
		 fake_table_text(&bed->table, line.partition, line.sort, "rows"));
	fake_table_set(&bed->table, line.partition, line.sort, "rows", "S", "0123");
	contract_read_since(&bed->bed, &bed->then, &broken);
	assert_int_equal(broken.unread_count, 1);
	fake_table_set(&bed->table, line.partition, line.sort, "rows", "S", rows);
	contract_read_since(&bed->bed, &broken.cursor, &mended);
	assert_int_equal(mended.unread_count, 0);
	assert_non_null(news_find(&mended, ENTRY_KEY, 3));
	assert_int_equal(put_key(bed, BROKEN, 4), ZONE_OK);
}

static void broken_project_costs_no_waiting_at_each_look(void **state)
{
	struct unread_bed *bed = *state;
	AUTO(store_news_clear) struct store_news first = {0};
	AUTO(store_news_clear) struct store_news second = {0};
	unsigned before, cost;

	lose_a_line_of_the_log(bed);
	contract_read_since(&bed->bed, &bed->then, &first);
	before = bed->table.requests;
	contract_read_since(&bed->bed, &first.cursor, &second);
	cost = bed->table.requests - before;
	assert_int_equal(second.unread_count, 1);
	print_message("# a look beside a broken project: %u requests\n", cost);
	assert_in_range(cost, 2, 3);
}

enum { WAITING = 6 };

/* In each a large write that lacks a part. */
static void let_many_wait(struct unread_bed *bed)
{
	for (uint32_t i = 0; i < WAITING; i++)
		put_project(bed, 10 + i);
	for (uint32_t i = 0; i < WAITING; i++) {
		const struct dynamodb_key head =
			dynamodb_key_project(test_uid(ENTRY_PROJECT, 10 + i));

		fake_table_set(&bed->table, head.partition, head.sort, "parts", "N", "1");
	}
}

static void projects_that_wait_share_the_patience_of_a_look(void **state)
{
	struct unread_bed *bed = *state;
	AUTO(store_news_clear) struct store_news first = {0};
	AUTO(store_news_clear) struct store_news second = {0};

	let_many_wait(bed);
	bed->table.slept_ms = 0;
	contract_read_all(&bed->bed, &first);
	assert_int_equal(first.unread_count, WAITING);
	assert_true(has_row_of(&first, OTHER));
	/* The last sleep may begin at its end. */
	assert_in_range(bed->table.slept_ms, 1, DYNAMODB_PATIENCE_MS + 500);
	bed->table.slept_ms = 0;
	contract_read_since(&bed->bed, &first.cursor, &second);
	assert_int_equal(second.unread_count, WAITING);
	assert_int_equal(bed->table.slept_ms, 0);
}

/* --- Much is written of one project between two looks */

static struct dynamodb_key line_of(uint64_t rev)
{
	return dynamodb_key_log(test_uid(ENTRY_PROJECT, BROKEN), rev);
}

/* As if its fifth write were its 1030th; what its log does not keep is gone. */
static void make_it_outrun_its_log(struct unread_bed *bed)
{
	const struct dynamodb_key known = line_of(3), was = line_of(5), is = line_of(1030);
	const struct dynamodb_key row = row_of(ENTRY_KEY, 3);

	assert_int_equal(put_key(bed, BROKEN, 3), ZONE_OK);
	assert_int_equal(
		contract_put_one(&bed->bed, contract_copy_of(&bed->bed, ENTRY_KEY, 3), true),
		ZONE_OK);
	fake_table_set(&bed->table, was.partition, was.sort, "SK", "S", is.sort);
	fake_table_set(&bed->table, is.partition, is.sort, "rev", "N", "1030");
	fake_table_set(&bed->table, row.partition, row.sort, "rev", "N", "1030");
	fake_table_set(&bed->table, known.partition, known.sort, NULL, NULL, NULL);
	set_head(bed, "rev", "1030");
}

static void project_that_outruns_its_log_is_read_anew_alone(void **state)
{
	struct unread_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	size_t removed = 0;

	make_it_outrun_its_log(bed);
	contract_read_since(&bed->bed, &bed->then, &news);
	assert_false(news.whole);
	assert_int_equal(news.unread_count, 0);
	assert_false(has_row_of(&news, OTHER));
	for (size_t i = 0; i < news.count; i++)
		removed += news.rows[i].removed &&
			   uid_equal(news.rows[i].entry->uid, test_uid(ENTRY_KEY, 3));
	assert_int_equal(removed, 1);
	assert_non_null(news_find(&news, ENTRY_KEY, 1));
}

/* --- A row in one project with the uid of what is another's */

static void plant(struct unread_bed *bed, const char *name, json_t *value)
{
	const struct dynamodb_key row = row_of(ENTRY_KEY, 1);
	const struct dynamodb_key victim =
		dynamodb_key_row(test_uid(ENTRY_PROJECT, OTHER), test_uid(ENTRY_KEY, 5));

	fake_table_set(&bed->table, row.partition, row.sort, "SK", "S", victim.sort);
	fake_table_set_json(&bed->table, row.partition, victim.sort, name, value);
}

static bool is_found(struct unread_bed *bed, const struct store_key *key)
{
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, key, &news), ZONE_OK);
	for (size_t i = 0; i < news.count; i++)
		if (uid_equal(news.rows[i].entry->uid, key->uid) &&
		    uid_equal(news.rows[i].entry->project, test_uid(ENTRY_PROJECT, OTHER)))
			return true;
	return false;
}

static void row_in_another_project_hides_none_from_a_search_by_uid(void **state)
{
	const struct store_key key = {.by = STORE_BY_UID, .uid = test_uid(ENTRY_KEY, 5)};
	json_t *deep = json_pack("{s:s}", "S", "leaf");

	for (int i = 0; i < 31; i++)
		deep = json_pack("{s:{s:o}}", "M", "n", deep);
	for (int i = 0; i < 2; i++) {
		struct unread_bed *bed = *state;

		assert_int_equal(put_key(bed, OTHER, 5), ZONE_OK);
		assert_true(is_found(bed, &key));
		plant(bed, i == 0 ? "v" : "deep", i == 0 ? json_pack("{s:s}", "S", "{}") : deep);
		assert_true(is_found(bed, &key));
		end(state);
		begin(state);
	}
}

static void fault_where_nothing_else_is_found_is_told(void **state)
{
	const struct store_key key = {.by = STORE_BY_UID, .uid = test_uid(ENTRY_KEY, 5)};
	AUTO(store_news_clear) struct store_news news = {0};
	struct unread_bed *bed = *state;

	plant(bed, "v", json_pack("{s:s}", "S", "{}"));
	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &news),
			 ZONE_STORE_CORRUPT);
	assert_non_null(strstr(log_last(), "of project"));
}

static void answer_of_no_projects_partition_is_damage(void **state)
{
	static const char *const begins[] = {"q/", ""};
	const struct store_key key = {.by = STORE_BY_UID, .uid = test_uid(ENTRY_KEY, 1)};
	struct unread_bed *bed = *state;

	for (size_t i = 0; i < COUNT_OF(begins); i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		bed->table.misnamed = begins[i];
		assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &news),
				 ZONE_STORE_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define UNREAD_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
		UNREAD_TEST(project_that_is_broken_keeps_nobody_from_the_others),
		UNREAD_TEST(project_that_was_mended_is_read_again),
		UNREAD_TEST(row_in_another_project_hides_none_from_a_search_by_uid),
		UNREAD_TEST(fault_where_nothing_else_is_found_is_told),
		UNREAD_TEST(answer_of_no_projects_partition_is_damage),
		UNREAD_TEST(project_that_outruns_its_log_is_read_anew_alone),
		UNREAD_TEST(projects_that_wait_share_the_patience_of_a_look),
		UNREAD_TEST(broken_project_costs_no_waiting_at_each_look),
	};

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
