/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store makes of a DynamoDB that refuses, is slow, or whose answers are lost; and of
 * settings. */
#include "aws/settings.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/fake_http.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/dynamodb/engine.h"

struct fault_bed {
	struct contract_bed bed;
	struct fake_table table;
};

static int begin(void **state)
{
	struct fault_bed *bed = calloc(1, sizeof(*bed));

	fake_table_init(&bed->table);
	bed->bed.store = fake_table_store(&bed->table);
	contract_fill(&bed->bed);
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct fault_bed *bed = *state;

	bed->bed.store->operations->free(bed->bed.store);
	fake_table_clear(&bed->table);
	free(bed);
	return 0;
}

static enum zone_status read_it(struct fault_bed *bed)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	return bed->bed.store->operations->read(bed->bed.store, &nothing, &news);
}

static enum zone_status write_it(struct fault_bed *bed, size_t *ret_asks)
{
	struct entry *key = contract_make_entry(ENTRY_KEY, 7);
	struct store_change change = {.entry = key};
	struct contract_wish wish = {.changes = &change, .count = 1};
	enum zone_status status = contract_put_wish(&bed->bed, &wish);

	*ret_asks = wish.asks;
	entry_release(key);
	return status;
}

static bool is_written(struct fault_bed *bed)
{
	AUTO(store_news_clear) struct store_news news = {0};

	contract_read_all(&bed->bed, &news);
	return news_find(&news, ENTRY_KEY, 7) != NULL;
}

/* --- What passes */

static void a_fault_that_passes_is_not_seen(void **state)
{
	struct fault_bed *bed = *state;

	bed->table.broken = 1;
	assert_int_equal(read_it(bed), ZONE_OK);
	bed->table.throttled = 2;
	assert_int_equal(read_it(bed), ZONE_OK);
}

static void keys_that_were_not_answered_are_asked_for_again(void **state)
{
	struct fault_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	const struct store_cursor then = bed->bed.cursor;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(
			contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, i + 10), false),
			ZONE_OK);
	bed->table.batch = 1;
	contract_read_since(&bed->bed, &then, &news);
	assert_int_equal(news.count, 3);
}

static void refused_credentials_are_fetched_anew_once(void **state)
{
	struct fault_bed *bed = *state;

	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	bed->table.unsigned_ = 1;
	assert_int_equal(read_it(bed), ZONE_STORE_NO_CREDENTIALS);
	assert_non_null(strstr(log_last(), "UnrecognizedClientException"));
	assert_int_equal(read_it(bed), ZONE_OK);
}

/* --- What does not */

static void faults_are_told_apart(void **state)
{
	struct fault_bed *bed = *state;
	const struct {
		unsigned *fault;
		enum zone_status status;
		const char *told;
	} rows[] = {
		{&bed->table.broken, ZONE_STORE_UNAVAILABLE, "InternalServerError"},
		{&bed->table.throttled, ZONE_STORE_THROTTLED,
		 "ProvisionedThroughputExceededException"},
		{&bed->table.denied_reads, ZONE_STORE_DENIED, "docs/store-dynamodb.md"},
		{&bed->table.unsigned_, ZONE_STORE_NO_CREDENTIALS, "renew the credentials"},
		{&bed->table.missing, ZONE_STORE_UNAVAILABLE, "cmek store create"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		*rows[i].fault = 100;
		assert_int_equal(read_it(bed), rows[i].status);
		if (strstr(log_last(), rows[i].told) == NULL)
			fail_msg("%s is not in: %s", rows[i].told, log_last());
		*rows[i].fault = 0;
		assert_int_equal(read_it(bed), ZONE_OK);
	}
}

static void who_may_not_write_is_told_so(void **state)
{
	struct fault_bed *bed = *state;
	size_t asks;

	bed->table.denied_writes = 1;
	assert_int_equal(write_it(bed, &asks), ZONE_STORE_READ_ONLY);
	assert_int_equal(asks, 1);
	assert_false(is_written(bed));
}

/* --- Lost answers */

static void write_whose_answer_is_lost_is_done_once(void **state)
{
	struct fault_bed *bed = *state;
	size_t asks;

	bed->table.lost = 1;
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->table.done, 2);
	assert_true(is_written(bed));
}

static void write_that_is_lost_on_its_way_is_sent_again(void **state)
{
	struct fault_bed *bed = *state;
	size_t asks;

	bed->table.unsent = 3;
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->table.done, 2);
	assert_true(is_written(bed));
}

static void write_of_a_rival(void *state)
{
	struct fault_bed *bed = state;
	struct contract_bed other = {.store = fake_table_store(&bed->table)};

	assert_int_equal(contract_put_one(&other, contract_make_entry(ENTRY_KEY, 8), false),
			 ZONE_OK);
	other.store->operations->free(other.store);
	bed->table.unsent = 1;
}

/* Lost on its way, and a rival was quicker: it is decided anew, not sent again. */
static void lost_write_that_came_too_late_is_decided_anew(void **state)
{
	struct fault_bed *bed = *state;
	struct entry *key = contract_make_entry(ENTRY_KEY, 7);
	struct store_change change = {.entry = key};
	struct contract_wish wish = {.changes = &change,
				     .count = 1,
				     .meanwhile = write_of_a_rival,
				     .meanwhile_state = bed};

	assert_int_equal(contract_put_wish(&bed->bed, &wish), ZONE_OK);
	assert_int_equal(wish.asks, 2);
	entry_release(key);
	assert_true(is_written(bed));
}

static void conflict_is_tried_again(void **state)
{
	struct fault_bed *bed = *state;
	size_t asks;

	bed->table.conflicts = 3;
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 4);
	assert_true(is_written(bed));
}

/* --- With a clock of its own */

struct scripted {
	struct fake_http http;
	struct clock clock;
	struct store *store;
};

static void script(struct scripted *scripted, const struct fake_reply *replies, size_t count)
{
	const struct store_settings settings = {.table = {"cmek", NULL},
						.region = {"eu-central-1", NULL}};
	struct aws_transport transport;

	fake_http_init(&scripted->http);
	fake_http_script(&scripted->http, replies, count);
	scripted->clock = fake_http_clock(&scripted->http);
	transport = fake_http_transport(&scripted->http);
	scripted->store = dynamodb_new(&settings, &transport, &scripted->clock);
	assert_non_null(scripted->store);
}

static enum zone_status read_scripted(const struct fake_reply *replies, size_t count)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	struct scripted scripted;
	enum zone_status status;

	script(&scripted, replies, count);
	status = scripted.store->operations->read(scripted.store, &nothing, &news);
	scripted.store->operations->free(scripted.store);
	return status;
}

static void answers_that_are_none_of_dynamodb_are_told(void **state)
{
	static const struct fake_reply rows[] = {
		{HTTP_ANSWERED, 200, NULL, "<html>"},
		{HTTP_ANSWERED, 200, NULL, "[]"},
		{HTTP_ANSWERED, 403, NULL, "<html>"},
		{HTTP_ANSWERED, 404, NULL, ""},
		{HTTP_ANSWERED, 400, NULL, "{\"__type\":\"UnknownOperationException\"}"},
		{HTTP_TOO_LONG, 0, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(read_scripted(&rows[i], 1), ZONE_STORE_UNAVAILABLE);
		if (strstr(log_last(), "[store] endpoint") == NULL)
			fail_msg("%zu: %s", i, log_last());
	}
}

static void answer_with_other_types_is_no_store(void **state)
{
	static const char *const bodies[] = {
		"{\"Items\":{}}",
		"{\"Items\":[1,null,[]]}",
		"{\"Items\":[{\"SK\":\"head\"}]}",
		"{\"Items\":[{\"SK\":{\"S\":\"project/zz\"}}]}",
		"{\"Items\":[{\"SK\":{\"S\":\"head\"},\"v\":{\"N\":\"1\"}}]}",
		("{\"LastEvaluatedKey\":{},\"Items\":[{\"SK\":{\"S\":\"head\"},\"v\":{\"S\":\"{}\"}"
		 "}]}"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		const struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, bodies[i]};
		enum zone_status status = read_scripted(&reply, 1);

		assert_true(status == ZONE_OK || status == ZONE_STORE_CORRUPT);
		assert_int_equal(status, i < 2 || i == 2 ? status : ZONE_STORE_CORRUPT);
	}
}

static void outage_ends_with_the_time_of_a_call(void **state)
{
	static const struct fake_reply replies[] = {{HTTP_NOT_CONNECTED, 0, NULL, NULL},
						    {HTTP_NOT_CONNECTED, 0, NULL, NULL},
						    {HTTP_TIMED_OUT, 0, NULL, NULL},
						    {HTTP_ANSWERED, 200, NULL, "{\"Items\":[]}"}};
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	struct scripted scripted;

	(void)state;
	script(&scripted, replies, COUNT_OF(replies));
	assert_int_equal(scripted.store->operations->read(scripted.store, &nothing, &news),
			 ZONE_STORE_UNAVAILABLE);
	assert_true(scripted.http.slept_ms <= DYNAMODB_READ_MS);
	assert_int_equal(scripted.store->operations->read(scripted.store, &nothing, &news),
			 ZONE_OK);
	scripted.store->operations->free(scripted.store);
}

static void without_credentials_nothing_is_asked(void **state)
{
	static const struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, "{\"Items\":[]}"};

	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	assert_int_equal(read_scripted(&reply, 1), ZONE_STORE_NO_CREDENTIALS);
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
}

static void without_a_region_the_setting_is_told(void **state)
{
	static const struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, "{\"Items\":[]}"};
	const struct store_settings settings = {.table = {"cmek", NULL}};
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	struct fake_http http;
	struct aws_transport transport;
	struct clock clock;
	struct store *store;

	(void)state;
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	fake_http_init(&http);
	fake_http_script(&http, &reply, 1);
	clock = fake_http_clock(&http);
	transport = fake_http_transport(&http);
	store = dynamodb_new(&settings, &transport, &clock);
	assert_int_equal(store->operations->read(store, &nothing, &news), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "set [store] region"));
	assert_int_equal(http.request_count, 0);
	store->operations->free(store);
}

/* --- Settings */

static void settings_that_do_not_fit_are_told_with_their_place(void **state)
{
	static const struct store_engine *const engines[] = {&store_dynamodb, NULL};
	const struct store_setting table = {"cmek", NULL};
	const struct {
		struct store_settings settings;
		const char *told;
	} rows[] = {
		{{.backend_at = "f line 1"},
		 "f line 1: [store] backend = dynamodb: needs [store] "
		 "table = NAME (docs/store-dynamodb.md)"},
		{{.table = {"no table", "f line 2"}},
		 "f line 2: [store] table = no table: should be the name of a table: 3 to 255 "
		 "letters, digits, '-', '.' and '_'"},
		{{.table = table, .region = {"EU", "f line 3"}},
		 "f line 3: [store] region = EU: should be a region of AWS, as eu-central-1"},
		{{.table = table, .endpoint = {"http://db.example", "f line 4"}},
		 "f line 4: [store] endpoint = http://db.example: http is only for this machine "
		 "itself; use https"},
		{{.table = table, .endpoint = {"db.example", "f line 5"}},
		 "f line 5: [store] endpoint = db.example: should be https://HOST[:PORT]"},
		{{.table = table, .user = {"me", "f line 6"}},
		 "f line 6: [store] user is not for backend = dynamodb; set [store] backend to the "
		 "engine that it is for, or remove it"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct store_settings settings = rows[i].settings;
		struct store *store = NULL;

		settings.backend = "dynamodb";
		assert_int_equal(store_open(engines, &settings, &store), ZONE_INVALID);
		assert_string_equal(log_last(), rows[i].told);
	}
}

static void endpoint_is_the_setting_or_by_region_with_fips(void **state)
{
	static const struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, "{\"Items\":[]}"};
	const struct aws_settings fips = {.use_fips_endpoint = true};
	const struct {
		const char *endpoint;
		const struct aws_settings *aws;
		const char *url;
	} rows[] = {
		{NULL, NULL, "https://dynamodb.eu-central-1.amazonaws.com"},
		{NULL, &fips, "https://dynamodb-fips.eu-central-1.amazonaws.com"},
		{"https://db.example:8443", NULL, "https://db.example:8443"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct store_settings settings = {.table = {"cmek", NULL},
							.region = {"eu-central-1", NULL},
							.endpoint = {rows[i].endpoint, NULL},
							.aws = rows[i].aws};
		const struct store_cursor nothing = {0};
		AUTO(store_news_clear) struct store_news news = {0};
		struct fake_http http;
		struct aws_transport transport;
		struct clock clock;
		struct store *store;

		fake_http_init(&http);
		fake_http_script(&http, &reply, 1);
		clock = fake_http_clock(&http);
		transport = fake_http_transport(&http);
		store = dynamodb_new(&settings, &transport, &clock);
		assert_int_equal(store->operations->read(store, &nothing, &news), ZONE_OK);
		assert_string_equal(http.sent[0].url, rows[i].url);
		assert_string_equal(fake_http_header(&http, 0, "X-Amz-Target"),
				    "DynamoDB_20120810.Query");
		store->operations->free(store);
	}
}

static void each_word_of_dynamodb_has_a_remedy_and_stands_once(void **state)
{
	(void)state;
	for (size_t i = 0; dynamodb_words[i].type != NULL; i++) {
		assert_non_null(dynamodb_words[i].remedy);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(dynamodb_words[i].type, dynamodb_words[j].type);
	}
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(a_fault_that_passes_is_not_seen),
		FAULT_TEST(keys_that_were_not_answered_are_asked_for_again),
		FAULT_TEST(refused_credentials_are_fetched_anew_once),
		FAULT_TEST(faults_are_told_apart),
		FAULT_TEST(who_may_not_write_is_told_so),
		FAULT_TEST(write_whose_answer_is_lost_is_done_once),
		FAULT_TEST(write_that_is_lost_on_its_way_is_sent_again),
		FAULT_TEST(lost_write_that_came_too_late_is_decided_anew),
		FAULT_TEST(conflict_is_tried_again),
		cmocka_unit_test(answers_that_are_none_of_dynamodb_are_told),
		cmocka_unit_test(answer_with_other_types_is_no_store),
		cmocka_unit_test(outage_ends_with_the_time_of_a_call),
		cmocka_unit_test(without_credentials_nothing_is_asked),
		cmocka_unit_test(without_a_region_the_setting_is_told),
		cmocka_unit_test(settings_that_do_not_fit_are_told_with_their_place),
		cmocka_unit_test(endpoint_is_the_setting_or_by_region_with_fips),
		cmocka_unit_test(each_word_of_dynamodb_has_a_remedy_and_stands_once),
	};

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
