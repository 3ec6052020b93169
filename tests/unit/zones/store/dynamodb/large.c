/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store in a table of DynamoDB: changes that are more than a transaction takes go in parts. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/table_bed.h"
#include "tests/support/unit.h"

static void check_many(struct table_bed *bed)
{
	AUTO(store_news_clear) struct store_news news = {0};

	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, MANY + 4);
	for (size_t i = 0; i < news.count; i++)
		assert_true(news.rows[i].entry->kind != ENTRY_ZONE ||
			    news.rows[i].entry->of_zone.version_count == 3);
}

static void more_than_a_transaction_takes_is_written_in_parts(void **state)
{
	struct table_bed *bed = *state;
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_cursor then;

	contract_fill(&bed->bed);
	then = bed->bed.cursor;
	make_many(changes, MANY, 10);
	assert_int_equal(contract_put(&bed->bed, changes, MANY), ZONE_OK);
	free(changes);
	assert_int_equal(fake_table_count(&bed->table, "part/"), 0);
	check_many(bed);
	contract_read_since(&bed->bed, &then, &news);
	assert_false(news.whole);
	assert_int_equal(news.count, MANY);
	assert_int_equal(news.zones, MANY / 2 + 1);
}

/* Killed before the n-th transaction of it, for each n. */
static void large_write_that_is_cut_short_is_done_whole_or_not_at_all(void **state)
{
	bool done = false, not_done = false, to_the_end = false;

	(void)state;
	for (unsigned cut = 1; !to_the_end; cut++) {
		void *cut_state;
		struct table_bed *bed;
		struct store_change *changes = calloc(MANY, sizeof(*changes));
		AUTO(store_news_clear) struct store_news news = {0};
		struct store *writer;
		unsigned before;

		table_bed_begin(&cut_state);
		bed = cut_state;
		contract_fill(&bed->bed);
		before = bed->table.transactions;
		bed->table.cut = before + cut;
		make_many(changes, MANY, 10);
		contract_put(&bed->bed, changes, MANY);
		free(changes);
		to_the_end = bed->table.transactions < before + cut;
		bed->table.cut = 0;
		/* Another process comes. */
		writer = bed->bed.store;
		bed->bed.store = fake_table_store(&bed->table);
		writer->operations->free(writer);
		contract_read_all(&bed->bed, &news);
		if (news.count == MANY + 4) {
			done = true;
			check_many(bed);
		} else {
			not_done = true;
			assert_int_equal(news.count, 4);
		}
		assert_int_equal(
			contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 2), false),
			ZONE_OK);
		table_bed_end(&cut_state);
	}
	assert_true(done && not_done);
}

/* A rival is quicker: the parts are for nothing, and go. */
static void parts_of_a_write_that_came_too_late_are_removed(void **state)
{
	struct table_bed *bed = *state;
	struct between between = {bed, ENTRY_KEY, 500};
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	struct contract_wish wish = {.changes = changes,
				     .count = MANY,
				     .meanwhile = write_between,
				     .meanwhile_state = &between};

	contract_fill(&bed->bed);
	make_many(changes, MANY, 10);
	assert_int_equal(contract_put_wish(&bed->bed, &wish), ZONE_OK);
	assert_int_equal(wish.asks, 2);
	assert_int_equal(fake_table_count(&bed->table, "part/"), 0);
	for (size_t i = 0; i < MANY; i++)
		entry_release(changes[i].entry);
	free(changes);
}

/* As one whose clock is a day ahead does with what it takes for left over. */
static void remove_first_part(void *state)
{
	struct table_bed *bed = state;

	assert_true(fake_table_remove(&bed->table, "part/"));
}

static void large_write_whose_parts_were_removed_is_not_done_but_tried_again(void **state)
{
	struct table_bed *bed = *state;
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	struct contract_wish wish = {.changes = changes, .count = MANY};

	contract_fill(&bed->bed);
	make_many(changes, MANY, 10);
	/* After four parts. */
	bed->table.before_number = bed->table.transactions + 5;
	bed->table.before = remove_first_part;
	bed->table.between_state = bed;
	assert_int_equal(contract_put_wish(&bed->bed, &wish), ZONE_OK);
	assert_int_equal(wish.asks, 2);
	check_many(bed);
	assert_int_equal(fake_table_count(&bed->table, "part/"), 0);
	for (size_t i = 0; i < MANY; i++)
		entry_release(changes[i].entry);
	free(changes);
}

/* They may be those of the write that was done meanwhile, if this host's clock is wrong. */
static void parts_are_not_removed_once_the_project_was_written(void **state)
{
	struct table_bed *bed = *state;
	struct between between = {bed, ENTRY_KEY, 500};
	struct store_change *changes = calloc(MANY, sizeof(*changes));

	contract_fill(&bed->bed);
	fake_table_set(&bed->table, project_partition(), row_key(ENTRY_PROJECT, 1), "SK", "S",
		       "part/0123/000000");
	fake_table_set(&bed->table, project_partition(), "part/0123/000000", "at", "N", "1");
	make_many(changes, MANY, 10);
	bed->table.before_number = bed->table.transactions + 1;
	bed->table.before = write_between;
	bed->table.between_state = &between;
	/* The removal and the other's write; the parts do not come. */
	bed->table.cut = bed->table.transactions + 3;
	assert_int_not_equal(contract_put(&bed->bed, changes, MANY), ZONE_OK);
	bed->table.cut = 0;
	assert_int_equal(fake_table_count(&bed->table, "part/0123"), 1);
	free(changes);
	/* It is still as it was seen. */
	changes = calloc(MANY, sizeof(*changes));
	make_many(changes, MANY, 10);
	assert_int_equal(contract_put(&bed->bed, changes, MANY), ZONE_OK);
	assert_int_equal(fake_table_count(&bed->table, "part/"), 0);
	free(changes);
}

/* Of a write that was killed once it was done: part and head are in the table. */
static void leave_parts(struct table_bed *bed, char ret_part[64])
{
	const struct dynamodb_key head = dynamodb_key_project(test_uid(ENTRY_PROJECT, 1));
	struct store_change *changes = calloc(MANY, sizeof(*changes));

	contract_fill(&bed->bed);
	/* Four parts, then the head. */
	bed->table.cut = bed->table.transactions + 6;
	make_many(changes, MANY, 10);
	contract_put(&bed->bed, changes, MANY);
	bed->table.cut = 0;
	free(changes);
	assert_non_null(fake_table_text(&bed->table, "store", head.sort, "parts"));
	snprintf(ret_part, 64, "part/%s/000000",
		 fake_table_text(&bed->table, "store", head.sort, "by"));
}

static bool is_found(struct store *store, const struct store_key *key, struct uid uid)
{
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(store->operations->find(store, key, &news), ZONE_OK);
	for (size_t i = 0; i < news.count; i++)
		if (uid_equal(news.rows[i].entry->uid, uid))
			return true;
	return false;
}

/* A process that is told that a write is done sends others to what it wrote. */
static void what_was_written_in_parts_is_found_before_they_are_in_their_place(void **state)
{
	AUTO(entry_releasep) struct entry *key = contract_make_entry(ENTRY_KEY, 10);
	AUTO(entry_releasep) struct entry *zone = contract_make_entry(ENTRY_ZONE, 11);
	const struct {
		struct store_key key;
		struct uid uid;
	} ways[] = {
		{{.by = STORE_BY_UID, .uid = key->uid}, key->uid},
		{{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone->of_zone.zone}, zone->uid},
		{{.by = STORE_BY_LABEL,
		  .kind = ENTRY_KEY,
		  .project = key->project,
		  .label = bytes_of(key->label)},
		 key->uid},
	};

	table_bed_end(state);
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct table_bed *bed;
		struct store *other;
		char part[64];

		table_bed_begin(state);
		bed = *state;
		leave_parts(bed, part);
		other = fake_table_store(&bed->table);
		if (!is_found(other, &ways[i].key, ways[i].uid))
			fail_msg("not found by way %zu", i);
		other->operations->free(other);
		table_bed_end(state);
	}
	table_bed_begin(state);
}

/* PARTITION stands for the project's own partition. */
static void part_does_nothing_but_what_a_release_writes_in_its_project(void **state)
{
#define OTHER		     "p/0123456789abcdef0123456789abcdef"
#define ROW		     "row/00112233445566778899aabbccddeeff"
#define KEY(partition, sort) "\"PK\":{\"S\":\"" partition "\"},\"SK\":{\"S\":\"" sort "\"}"
#define PLACE(project)                                                                             \
	",\"project\":{\"S\":\"" project "\"},\"uid\":{\"S\":"                                     \
	"\"00112233445566778899aabbccddeeff\"}"
#define PUT(table, key)	   "{\"Put\":{\"TableName\":\"" table "\",\"Item\":{" key "}}}"
#define DELETE(table, key) "{\"Delete\":{\"TableName\":\"" table "\",\"Key\":{" key "}}}"
	static const char *const bad[] = {
		"",
		"7",
		PUT("cmek", KEY(OTHER, ROW)),
		DELETE("cmek", KEY(OTHER, ROW)),
		PUT("payroll", KEY("PARTITION", ROW)),
		DELETE("payroll", KEY("PARTITION", ROW)),
		PUT("cmek", KEY("store", "head")),
		PUT("cmek", KEY("PARTITION", "log/0000000000000001")),
		DELETE("cmek", KEY("PARTITION", "log/0000000000000001")),
		PUT("cmek", KEY("PARTITION", "version/1/1/1")),
		PUT("cmek", KEY("PARTITION", ROW) ",\"other\":{\"S\":\"\"}"),
		PUT("cmek", KEY("PARTITION", ROW) ",\"rev\":{\"S\":\"1\"}"),
		PUT("cmek", KEY("PARTITION", ROW) ",\"v\":{\"L\":[]}"),
		/* A zone is another project's. */
		PUT("cmek",
		    KEY("z/4000000000000001", "zone") PLACE("0123456789abcdef0123456789abcdef")),
		DELETE("cmek", KEY("z/4000000000000001", "zone")),
		PUT("cmek", KEY("z/4000000000000001", "import/00112233445566778899aabbccddeeff")
				    PLACE("0123456789abcdef0123456789abcdef")),
		DELETE("cmek",
		       KEY("z/4000000000000001", "import/00112233445566778899aabbccddeeff")),
		PUT("cmek", KEY("z/4000000000000001", "import/../zone") PLACE("PARTITION")),
		PUT("cmek", KEY(OTHER, "few/00112233445566778899aabbccddeeff")),
		PUT("cmek", KEY("PARTITION", "few/1")),
		"{\"Put\":{\"TableName\":\"cmek\",\"Item\":{" KEY(
			"PARTITION", ROW) "},\"ConditionExpression\":\"attribute_exists(PK)\"}}",
		"{\"Update\":{\"TableName\":\"cmek\",\"Key\":{" KEY("PARTITION", ROW) "}}}",
		DELETE("cmek", KEY("PARTITION", ROW)) "],\"x\":[1",
		DELETE("cmek", KEY("PARTITION", ROW)) "," DELETE("cmek", KEY(OTHER, ROW)),
	};
	struct table_bed *bed = *state;
	char part[64];

	leave_parts(bed, part);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const char *at = strstr(bad[i], "PARTITION");
		unsigned done = bed->table.done;
		char text[512];

		snprintf(text, sizeof(text), "%.*s%s%s",
			 (int)(at == NULL ? strlen(bad[i]) : (size_t)(at - bad[i])), bad[i],
			 at == NULL ? "" : project_partition(), at == NULL ? "" : at + 9);
		fake_table_set(&bed->table, project_partition(), part, "ops", "S", text);
		if (read_status(bed) != ZONE_STORE_CORRUPT)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(bed->table.done, done);
		assert_non_null(strstr(log_last(), project_partition() + 2));
	}
}

static void what_dynamodb_does_not_take_is_refused_whole(void **state)
{
	struct table_bed *bed = *state;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry *key = contract_make_entry(ENTRY_KEY, 10);
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(&bed->bed);
	memset(buffer_extend(&extra, 300 << 10), 1, 300 << 10);
	assert_true(entry_set_bytes(&key->extra, buffer_bytes(&extra)));
	assert_int_equal(contract_put_one(&bed->bed, key, false), ZONE_STORE_FULL);
	assert_non_null(strstr(log_last(), "400 KB"));
	/* Nor many of several projects. */
	make_many(changes, MANY, 10);
	changes[1].entry->project = test_uid(ENTRY_PROJECT, 9);
	assert_int_equal(contract_put(&bed->bed, changes, MANY), ZONE_STORE_FULL);
	assert_non_null(strstr(log_last(), "several projects"));
	free(changes);
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(more_than_a_transaction_takes_is_written_in_parts),
		TABLE_TEST(large_write_that_is_cut_short_is_done_whole_or_not_at_all),
		TABLE_TEST(parts_of_a_write_that_came_too_late_are_removed),
		TABLE_TEST(what_was_written_in_parts_is_found_before_they_are_in_their_place),
		TABLE_TEST(large_write_whose_parts_were_removed_is_not_done_but_tried_again),
		TABLE_TEST(parts_are_not_removed_once_the_project_was_written),
		TABLE_TEST(part_does_nothing_but_what_a_release_writes_in_its_project),
		TABLE_TEST(what_dynamodb_does_not_take_is_refused_whole),
	};

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests_name("large changes", tests, NULL, NULL);
}
