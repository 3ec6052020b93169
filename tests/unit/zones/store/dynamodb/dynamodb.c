/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store in a table of DynamoDB that is played in this process: what zones/store/store.h
 * promises, and what DynamoDB makes harder. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/table_bed.h"
#include "tests/support/unit.h"
#include "zones/store/dynamodb/engine.h"

/* --- A table */

static void store_that_is_not_there_is_empty(void **state)
{
	struct table_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 0);
	assert_int_equal(news.cursor.len, 0);
	assert_int_equal(bed->bed.store->operations->look_at(bed->bed.store, &facts), ZONE_OK);
	assert_false(facts.exists);
	assert_int_equal(bed->bed.store->operations->describe(bed->bed.store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "not made yet"));
}

static void table_that_is_not_there_is_told_from_an_outage(void **state)
{
	struct table_bed *bed = *state;

	bed->table.status.exists = false;
	assert_int_equal(read_status(bed), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "cmek store create"));
}

static void cursor_of_another_store_counts_for_nothing(void **state)
{
	struct table_bed *bed = *state;
	void *other_state;
	struct table_bed *other;
	AUTO(store_news_clear) struct store_news news = {0};

	table_bed_begin(&other_state);
	other = other_state;
	contract_fill(&bed->bed);
	contract_fill(&other->bed);
	contract_read_since(&bed->bed, &other->bed.cursor, &news);
	assert_true(news.whole);
	assert_int_equal(news.count, 4);
	table_bed_end(&other_state);
}

static void table_that_was_restored_to_an_earlier_time_is_read_anew(void **state)
{
	struct table_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	char head[64];
	const struct dynamodb_key key = dynamodb_key_project(test_uid(ENTRY_PROJECT, 1));

	contract_fill(&bed->bed);
	snprintf(head, sizeof(head), "%s", key.sort);
	fake_table_set(&bed->table, "store", head, "by", "S", "00112233445566778899aabbccddeeff");
	contract_read_since(&bed->bed, &bed->bed.cursor, &news);
	assert_true(news.whole);
	assert_int_equal(news.count, 4);
}

static void line_of_the_log_that_is_gone_makes_the_look_whole(void **state)
{
	struct table_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_cursor then;

	contract_fill(&bed->bed);
	then = bed->bed.cursor;
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 2), false),
			 ZONE_OK);
	fake_table_set(&bed->table, project_partition(), "log/0000000000000001", NULL, NULL, NULL);
	contract_read_since(&bed->bed, &then, &news);
	assert_true(news.whole);
	assert_int_equal(news.count, 5);
}

static void log_keeps_so_many_lines_and_no_more(void **state)
{
	struct table_bed *bed = *state;
	struct store_cursor then;
	AUTO(store_news_clear) struct store_news news = {0};
	const struct dynamodb_key head = dynamodb_key_project(test_uid(ENTRY_PROJECT, 1));
	char last[32], number[8];

	contract_fill(&bed->bed);
	/* As if so many writes had been done. */
	snprintf(number, sizeof(number), "%d", DYNAMODB_LOG_KEPT);
	snprintf(last, sizeof(last), "log/%016x", DYNAMODB_LOG_KEPT);
	fake_table_set(&bed->table, "store", head.sort, "rev", "N", number);
	fake_table_set(&bed->table, project_partition(), "log/0000000000000001", "SK", "S", last);
	fake_table_set(&bed->table, project_partition(), last, "rev", "N", number);
	fake_table_set(&bed->table, project_partition(), last, "rows", "S", "");
	contract_read_all(&bed->bed, &news);
	then = news.cursor;
	assert_non_null(
		fake_table_text(&bed->table, project_partition(), "log/0000000000000001", "by"));
	bed->bed.cursor = then;
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 2), false),
			 ZONE_OK);
	assert_null(
		fake_table_text(&bed->table, project_partition(), "log/0000000000000001", "by"));
	assert_int_equal(fake_table_count(&bed->table, "log/"), 2);
}

/* --- Races and lost answers */

/* $CMEK_DYNAMODB_WRITERS: how many; tests/sweeps/store_dynamodb.py has more of them. */
static unsigned racing_writers(void)
{
	const char *text = getenv("CMEK_DYNAMODB_WRITERS");

	return text == NULL ? 25 : (unsigned)strtoul(text, NULL, 10);
}

static void no_write_of_many_racing_ones_is_lost_or_done_twice(void **state)
{
	struct table_bed *bed = *state;

	bed->table.lose_each = 10;
	contract_race(&bed->bed, racing_writers());
}

static void so_it_is_where_tokens_are_forgotten(void **state)
{
	struct table_bed *bed = *state;

	bed->table.lose_each = 5;
	bed->table.forgets_tokens = true;
	contract_race(&bed->bed, 12);
}

/* --- Damage, and levels */

static void row_that_no_release_wrote_is_damage(void **state)
{
	struct table_bed *bed = *state;
	char row[64];

	contract_fill(&bed->bed);
	snprintf(row, sizeof(row), "%s", row_key(ENTRY_CLUSTER, 1));
	fake_table_set(&bed->table, project_partition(), row, "v", "S", "{\"format\":1}");
	assert_int_equal(read_status(bed), ZONE_STORE_CORRUPT);
	assert_non_null(strstr(log_last(), "holds what no release wrote (kind)"));
}

static void head_of_later_releases_is_read_in_part(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":9,\"min_reader\":9,\"min_writer\":9,"
				    "\"release\":\"9.0.0\",\"created_ms\":1}";
	struct table_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;
	struct entry *zone;
	struct store *store = bed->bed.store;

	contract_fill(&bed->bed);
	zone = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
	zone->state = ENTRY_PENDING_DELETION;
	assert_int_equal(contract_put_one(&bed->bed, zone, false), ZONE_OK);
	fake_table_set(&bed->table, "store", "head", "v", "S", later);
	contract_read_all(&bed->bed, &news);
	assert_true(news.limited);
	assert_int_equal(news.count, 3); /* project, root key, the zone that must not be opened */
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 3), false),
			 ZONE_STORE_NEWER);
	assert_int_equal(store->operations->look_at(store, &facts), ZONE_OK);
	assert_int_equal(facts.head.min_reader, 9);
	assert_int_equal(store->operations->describe(store, &text), ZONE_STORE_NEWER);
	assert_int_equal(store->operations->bring(store, 8, 9), ZONE_CONFLICT);
}

static void store_that_only_newer_releases_write_is_read(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":2,\"min_reader\":1,\"min_writer\":2,"
				    "\"release\":\"0.2.0\",\"created_ms\":1}";
	struct table_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(&bed->bed);
	fake_table_set(&bed->table, "store", "head", "v", "S", later);
	contract_read_all(&bed->bed, &news);
	assert_false(news.limited);
	assert_int_equal(news.count, 4);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 3), false),
			 ZONE_STORE_NEWER_WRITER);
	assert_non_null(strstr(log_last(), "install cmek-pkcs11 0.2.0"));
}

static void store_that_was_there_is_not_made_anew(void **state)
{
	struct table_bed *bed = *state;

	contract_fill(&bed->bed);
	fake_table_empty(&bed->table);
	assert_int_equal(read_status(bed), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_PROJECT, 3), false),
			 ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "it was there and is gone"));
}

static void doctor_hears_where_it_is_and_what_it_holds(void **state)
{
	struct table_bed *bed = *state;
	struct store *store = bed->bed.store;
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	contract_fill(&bed->bed);
	assert_int_equal(store->operations->describe(store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "dynamodb:cmek (dynamodb)"));
	assert_non_null(strstr(buffer_text(&text), "https://dynamodb.eu-central-1.amazonaws.com"));
	assert_non_null(strstr(buffer_text(&text), "1 projects, 4 rows, writable"));
	assert_non_null(strstr(buffer_text(&text), "access key AKIDEXAMPLE"));
	assert_int_equal(store->operations->look_at(store, &facts), ZONE_OK);
	assert_true(facts.exists && facts.writable && !facts.way_back);
	assert_int_equal(facts.head.level, 1);
	assert_int_equal(store->operations->bring(store, 1, 1), ZONE_OK);
	assert_int_equal(store->operations->bring(store, 1, 2), ZONE_INVALID);
	assert_true(store->operations->changed(store));
	bed->table.denied_writes = 1;
	assert_int_equal(store->operations->look_at(store, &facts), ZONE_OK);
	assert_false(facts.writable);
}

static void requests_are_signed_for_dynamodb_in_its_region(void **state)
{
	struct table_bed *bed = *state;

	assert_int_equal(read_status(bed), ZONE_OK);
	assert_non_null(strstr(bed->table.authorization, "AKIDEXAMPLE/"));
	assert_non_null(strstr(bed->table.authorization, "/eu-central-1/dynamodb/aws4_request"));
}

/* --- The same on a server, if there is one: a table for each test */

struct server_bed {
	struct contract_bed bed;
	char table[32];
};

static struct store *open_on_server(void *place)
{
	const struct store_settings settings = {
		.table = {place, NULL},
		.region = {"eu-central-1", NULL},
		.endpoint = {getenv("CMEK_DYNAMODB_ENDPOINT"), NULL}};
	struct store *store = store_dynamodb.open(&settings);

	assert_non_null(store);
	return store;
}

static int begin_on_server(void **state)
{
	static unsigned number;
	struct server_bed *bed = calloc(1, sizeof(*bed));
	AUTO(buffer_clear) struct buffer text = {0};
	struct store *store;

	snprintf(bed->table, sizeof(bed->table), "test-%u", number++);
	bed->bed.open = open_on_server;
	bed->bed.place = bed->table;
	store = bed->bed.store = open_on_server(bed->table);
	if (store->operations->create(store, &text) != ZONE_OK)
		fail_msg("%s", log_last());
	*state = bed;
	return 0;
}

static int end_on_server(void **state)
{
	struct server_bed *bed = *state;

	bed->bed.store->operations->free(bed->bed.store);
	free(bed);
	return 0;
}

static void no_write_on_a_server_is_lost_or_done_twice(void **state)
{
	contract_race(*state, racing_writers());
}

static void large_write_on_a_server_is_whole(void **state)
{
	struct contract_bed *bed = *state;
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(bed);
	make_many(changes, MANY, 10);
	assert_int_equal(contract_put(bed, changes, MANY), ZONE_OK);
	free(changes);
	contract_read_all(bed, &news);
	assert_int_equal(news.count, MANY + 4);
}

static int run_on_server(void)
{
	struct CMUnitTest tests[64] = {
		{"no_write_on_a_server_is_lost_or_done_twice",
		 no_write_on_a_server_is_lost_or_done_twice, begin_on_server, end_on_server, NULL},
		{"large_write_on_a_server_is_whole", large_write_on_a_server_is_whole,
		 begin_on_server, end_on_server, NULL},
	};
	size_t count = 2;

	for (size_t i = 0; i < contract_test_count; i++)
		tests[count++] = (struct CMUnitTest){contract_tests[i].name, contract_tests[i].run,
						     begin_on_server, end_on_server, NULL};
	return _cmocka_run_group_tests("dynamodb_server", tests, count, NULL, NULL);
}

/* --- Making the table */

static void table_is_made_guarded_and_once(void **state)
{
	struct table_bed *bed = *state;
	struct store *store = bed->bed.store;
	AUTO(buffer_clear) struct buffer first = {0};
	AUTO(buffer_clear) struct buffer second = {0};
	AUTO(buffer_clear) struct buffer found = {0};

	bed->table.status.exists = false;
	assert_int_equal(store->operations->examine(store, &found), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "cmek store create"));
	assert_int_equal(store->operations->create(store, &first), ZONE_OK);
	assert_non_null(strstr(buffer_text(&first), "made table cmek in eu-central-1"));
	assert_true(bed->table.status.on_demand && bed->table.status.deletion_protected &&
		    bed->table.status.backed_up);
	assert_int_equal(store->operations->create(store, &second), ZONE_OK);
	assert_non_null(strstr(buffer_text(&second), "is there already"));
	assert_int_equal(store->operations->examine(store, &found), ZONE_OK);
	assert_non_null(
		strstr(buffer_text(&found), "is ACTIVE, billed on demand, deletion protection on"));
	assert_non_null(strstr(buffer_text(&found), "point-in-time recovery: on"));
}

int main(void)
{
	const struct CMUnitTest own[] = {
		TABLE_TEST(store_that_is_not_there_is_empty),
		TABLE_TEST(table_that_is_not_there_is_told_from_an_outage),
		TABLE_TEST(cursor_of_another_store_counts_for_nothing),
		TABLE_TEST(table_that_was_restored_to_an_earlier_time_is_read_anew),
		TABLE_TEST(line_of_the_log_that_is_gone_makes_the_look_whole),
		TABLE_TEST(log_keeps_so_many_lines_and_no_more),
		TABLE_TEST(no_write_of_many_racing_ones_is_lost_or_done_twice),
		TABLE_TEST(so_it_is_where_tokens_are_forgotten),
		TABLE_TEST(row_that_no_release_wrote_is_damage),
		TABLE_TEST(head_of_later_releases_is_read_in_part),
		TABLE_TEST(store_that_only_newer_releases_write_is_read),
		TABLE_TEST(store_that_was_there_is_not_made_anew),
		TABLE_TEST(doctor_hears_where_it_is_and_what_it_holds),
		TABLE_TEST(table_is_made_guarded_and_once),
		TABLE_TEST(requests_are_signed_for_dynamodb_in_its_region),
	};
	struct CMUnitTest tests[COUNT_OF(own) + 64];
	size_t count = COUNT_OF(own);

	memcpy(tests, own, sizeof(own));
	for (size_t i = 0; i < contract_test_count; i++)
		tests[count++] = (struct CMUnitTest){contract_tests[i].name, contract_tests[i].run,
						     table_bed_begin, table_bed_end, NULL};
	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	if (getenv("CMEK_DYNAMODB_ENDPOINT") != NULL)
		return run_on_server();
	return _cmocka_run_group_tests("dynamodb", tests, count, NULL, NULL);
}
