/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that are more than a transaction of etcd takes, on a real etcd that takes few operations
 * at once; and all that zones/store/store.h promises, there. Without etcd all are skipped. */
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/etcd_bed.h"
#include "tests/support/etcd_server.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/etcd/engine.h"
#include "zones/store/etcd/etcd.h"

#include <limits.h>

/* For all that is not many at once. */
#define MAX_TXN_OPS "32"

/* What is below a place in the store, as etcd has it. */
static uint64_t count_below(struct etcd_bed *bed, const char *place)
{
	struct etcd *etcd = (struct etcd *)bed->bed.store;
	AUTO(buffer_clear) struct buffer key = {0}, body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	etcd_key(etcd, &key, "%s", place);
	etcd_put_range(&body, &(struct etcd_range){.key = buffer_bytes(&key),
						   .prefix = true,
						   .count_only = true});
	etcd_begin(etcd, ETCD_READ_MS);
	assert_int_equal(etcd_call(etcd, "/v3/kv/range", &body, true, &fate, &answer), ZONE_OK);
	return etcd_number(answer, "count");
}

static void what_is_too_long_for_one_request_is_written_in_parts(void **state)
{
	struct etcd_bed *bed = *state;
	struct store_change changes[2] = {0};
	AUTO(buffer_clear) struct buffer extra = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	memset(buffer_extend(&extra, EXTRA_MAX), 1, EXTRA_MAX);
	for (uint32_t i = 0; i < 2; i++) {
		changes[i].entry = contract_make_entry(ENTRY_KEY, i + 10);
		assert_true(entry_set_bytes(&changes[i].entry->extra, buffer_bytes(&extra)));
	}
	assert_int_equal(contract_put(&bed->bed, changes, 2), ZONE_OK);
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 6);
	assert_int_equal(count_below(bed, "part/") + count_below(bed, "pending/"), 0);
}

enum { LARGE = 1200 };

static void make_keys(struct store_change *changes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		changes[i] = (struct store_change){.entry = contract_make_entry(ENTRY_KEY, i + 10)};
}

static void more_keys_than_etcd_takes_at_once_are_written_in_parts(void **state)
{
	struct etcd_bed *bed = *state;
	struct store_change *changes = calloc(LARGE, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news all = {0};
	struct store_cursor then;

	if (!etcd_bed_runs())
		free(changes);
	NEEDS_ETCD;
	contract_fill(&bed->bed);
	then = bed->bed.cursor;
	make_keys(changes, LARGE);
	assert_int_equal(contract_put(&bed->bed, changes, LARGE), ZONE_OK);
	free(changes);
	contract_read_since(&bed->bed, &then, &news);
	assert_int_equal(news.count, LARGE);
	contract_read_all(&bed->bed, &all);
	assert_int_equal(all.count, LARGE + 4);
	assert_int_equal(count_below(bed, "part/") + count_below(bed, "pending/"), 0);
	/* What they are based on afterwards is what is there. */
	assert_int_equal(
		contract_put_one(&bed->bed, contract_copy_of(&bed->bed, ENTRY_KEY, 10), true),
		ZONE_OK);
}

/* --- A writer that is killed at a request: HTTP that is gone from there on; or to which etcd says,
 * once, that it has no space */

struct ending_http {
	struct http http;
	struct http *real;
	unsigned left;
	bool for_want_of_space;
};

static enum http_result send_until(struct http *http, const struct http_request *request,
				   struct http_answer *answer)
{
	struct ending_http *ending = (struct ending_http *)http;

	if (ending->left == 0 && ending->for_want_of_space) {
		ending->left = UINT_MAX;
		answer->status = 429;
		buffer_put_text(&answer->body, "{\"error\":\"etcdserver: mvcc: database space "
					       "exceeded\",\"code\":8}");
		return HTTP_ANSWERED;
	}
	if (ending->left == 0)
		return HTTP_NOT_CONNECTED;
	ending->left--;
	return ending->real->operations->send(ending->real, request, answer);
}

static void free_ending(struct http *http)
{
	struct ending_http *ending = (struct ending_http *)http;

	ending->real->operations->free(ending->real);
	free(ending);
}

static void never_sleep(void *state, int64_t ms)
{
	(void)state;
	(void)ms;
}

/* It takes few operations, so that all of this is in parts. */
static struct store *open_ending(const char *prefix, unsigned requests)
{
	static const struct http_operations operations = {send_until, NULL, free_ending};
	const struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
						.prefix = {prefix, NULL}};
	struct ending_http *ending = calloc(1, sizeof(*ending));
	struct store *store;

	*ending = (struct ending_http){
		{&operations}, http_curl_new(1, true, &clock_system), requests};
	store = etcd_new(&settings, &ending->http, &clock_system, never_sleep, NULL);
	((struct etcd *)store)->ops_at_once = 16;
	((struct etcd *)store)->bucket.tokens = 0; /* once is enough to know it */
	return store;
}

enum { SOME = 70 };

/* Whoever looks next reads the old state or the new one, and whoever writes next makes sure which
 * it is. */
static void large_write_that_is_killed_at_any_request_is_done_or_not(void **state)
{
	struct etcd_bed *bed = *state;
	unsigned done = 0, undone = 0;
	bool killed_it = true;

	NEEDS_ETCD;
	for (unsigned requests = 2; killed_it; requests++) {
		AUTO(store_news_clear) struct store_news before = {0};
		AUTO(store_news_clear) struct store_news after = {0};
		struct contract_bed killed = {0};
		struct store_change changes[SOME];
		void *one = NULL;
		struct etcd_bed *fresh;

		etcd_bed_begin(&one);
		fresh = one;
		contract_fill(&fresh->bed);
		killed.store = open_ending(fresh->prefix, requests);
		make_keys(changes, SOME);
		contract_put(&killed, changes, SOME);
		killed_it = ((struct ending_http *)((struct etcd *)killed.store)->http)->left == 0;
		killed.store->operations->free(killed.store);
		contract_read_all(&fresh->bed, &before);
		assert_true(before.count == 4 || before.count == 4 + SOME);
		assert_int_equal(
			contract_put_one(&fresh->bed, contract_make_entry(ENTRY_KEY, 9), false),
			ZONE_OK);
		contract_read_all(&fresh->bed, &after);
		assert_true(after.count == 5 || after.count == 5 + SOME);
		assert_true(after.count > before.count);
		assert_int_equal(count_below(fresh, "pending/"), 0);
		done += after.count > 5;
		undone += after.count == 5;
		etcd_bed_end(&one);
		assert_true(requests < 200);
	}
	(void)bed;
	print_message("# killed at %u requests: %u times undone, %u times done\n", done + undone,
		      undone, done);
	assert_true(done > 5 && undone > 3);
}

static void want_of_space_is_no_word_about_how_much_etcd_takes_at_once(void **state)
{
	(void)state;
	NEEDS_ETCD;
	for (unsigned requests = 2; requests < 24; requests++) {
		struct contract_bed full = {0};
		struct store_change changes[SOME];
		AUTO(store_news_clear) struct store_news news = {0};
		void *one = NULL;
		struct etcd_bed *fresh;
		struct etcd *etcd;

		etcd_bed_begin(&one);
		fresh = one;
		contract_fill(&fresh->bed);
		full.store = open_ending(fresh->prefix, requests);
		etcd = (struct etcd *)full.store;
		((struct ending_http *)etcd->http)->for_want_of_space = true;
		make_keys(changes, SOME);
		contract_put(&full, changes, SOME);
		assert_int_equal(etcd->ops_at_once, 16);
		full.store->operations->free(full.store);
		contract_read_all(&fresh->bed, &news);
		assert_true(news.count == 4 || news.count == 4 + SOME);
		etcd_bed_end(&one);
	}
}

static void reader_sees_the_state_before_a_large_write_until_it_is_in_its_place(void **state)
{
	struct etcd_bed *bed = *state;
	struct contract_bed killed = {0};
	struct store_change changes[SOME];
	struct store *reader;
	size_t seen = 4;

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	for (unsigned requests = 2; count_below(bed, "pending/") == 0; requests++) {
		killed = (struct contract_bed){.store = open_ending(bed->prefix, requests)};
		make_keys(changes, SOME);
		contract_put(&killed, changes, SOME);
		killed.store->operations->free(killed.store);
	}
	reader = etcd_bed_open(bed->prefix);
	/* At the second look it is put in its place, for the third. */
	for (int look = 0; look < 3; look++) {
		AUTO(store_news_clear) struct store_news news = {0};
		const struct store_cursor nothing = {0};

		assert_int_equal(reader->operations->read(reader, &nothing, &news), ZONE_OK);
		seen = news.count;
		assert_int_equal(seen, look < 2 ? 4 : 4 + SOME);
	}
	reader->operations->free(reader);
	assert_int_equal(count_below(bed, "part/") % 1000, count_below(bed, "part/"));
}

/* All that was before now, as etcd does from time to time. */
static void compact(struct etcd_bed *bed)
{
	struct etcd *etcd = (struct etcd *)bed->bed.store;
	AUTO(buffer_clear) struct buffer key = {0}, body = {0}, text = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	etcd_key(etcd, &key, "head");
	etcd_put_range(&body, &(struct etcd_range){.key = buffer_bytes(&key)});
	etcd_begin(etcd, ETCD_READ_MS);
	assert_int_equal(etcd_call(etcd, "/v3/kv/range", &body, true, &fate, &answer), ZONE_OK);
	buffer_format(&text, "{\"revision\":\"%llu\"}", (unsigned long long)etcd_revision(answer));
	etcd_server_post("/v3/kv/compaction", buffer_text(&text), NULL);
}

static enum zone_status read_all_of(struct store *store)
{
	AUTO(store_news_clear) struct store_news news = {0};

	TRY(store->operations->read(store, &(struct store_cursor){0}, &news));
	assert_int_equal(news.count, 4 + SOME);
	return ZONE_OK;
}

static enum zone_status read_few_of(struct store *store)
{
	AUTO(store_news_clear) struct store_news news = {0};

	return store->operations->read_few(store, &(struct store_cursor){0}, 10, &news);
}

static enum zone_status find_in(struct store *store)
{
	const struct store_key key = {.by = STORE_BY_UID, .uid = test_uid(ENTRY_KEY, 10)};
	AUTO(store_news_clear) struct store_news news = {0};

	return store->operations->find(store, &key, &news);
}

static enum zone_status list_in(struct store *store)
{
	AUTO(store_news_clear) struct store_news news = {0};
	struct uid after = {0};
	bool end;

	return store->operations->list(store, test_uid(ENTRY_PROJECT, 1), &after, &news, &end);
}

static enum zone_status write_in(struct store *store)
{
	struct contract_bed writer = {.store = store};

	return contract_put_one(&writer, contract_make_entry(ENTRY_KEY, 9), false);
}

typedef enum zone_status call_store(struct store *store);
static call_store *const calls[] = {read_all_of, read_few_of, find_in, list_in, write_in};

static void kill_large_write_and_compact(struct etcd_bed *bed)
{
	contract_fill(&bed->bed);
	for (unsigned requests = 2; count_below(bed, "pending/") == 0; requests++) {
		struct contract_bed killed = {.store = open_ending(bed->prefix, requests)};
		struct store_change changes[SOME];

		make_keys(changes, SOME);
		contract_put(&killed, changes, SOME);
		killed.store->operations->free(killed.store);
	}
	compact(bed);
}

/* The state that they would read is not there any more: whoever comes first puts that write in its
 * place, by whichever call. */
static void large_write_that_is_killed_before_a_compaction_stops_nobody(void **state)
{
	struct etcd_bed *bed = *state;

	(void)bed;
	NEEDS_ETCD;
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		void *one = NULL;
		struct etcd_bed *fresh;
		struct store *store;

		etcd_bed_begin(&one);
		fresh = one;
		kill_large_write_and_compact(fresh);
		store = etcd_bed_open(fresh->prefix);
		assert_int_equal(calls[i](store), ZONE_OK);
		assert_int_equal(count_below(fresh, "pending/"), 0);
		store->operations->free(store);
		etcd_bed_end(&one);
	}
}

/* An identity that may read alone. */
static enum http_result refuse_puts(struct http *http, const struct http_request *request,
				    struct http_answer *answer)
{
	struct ending_http *ending = (struct ending_http *)http;
	static const char refusal[] = "{\"code\":7,\"message\":\"permission denied\"}";

	if (memmem(request->body.data, request->body.len, "request_put", 11) == NULL &&
	    memmem(request->body.data, request->body.len, "request_delete", 14) == NULL)
		return ending->real->operations->send(ending->real, request, answer);
	answer->status = 403;
	buffer_put_text(&answer->body, refusal);
	return HTTP_ANSWERED;
}

static void who_may_only_read_is_told_who_has_to_end_a_killed_large_write(void **state)
{
	static const struct http_operations operations = {refuse_puts, NULL, free_ending};
	struct etcd_bed *bed = *state;
	struct store *store;

	NEEDS_ETCD;
	kill_large_write_and_compact(bed);
	store = open_ending(bed->prefix, UINT_MAX);
	((struct etcd *)store)->http->operations = &operations;
	for (int look = 0; look < 3; look++) {
		assert_int_equal(read_all_of(store), ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), "as a user who may write it"));
	}
	store->operations->free(store);
}

/* It is killed when it is done, before its parts are in their place. */
static void write_large_elsewhere(void *state)
{
	struct etcd_bed *bed = state;

	for (unsigned requests = 2; count_below(bed, "pending/") == 0; requests++) {
		struct contract_bed other = {.store = open_ending(bed->prefix, requests)};
		struct store_change changes[SOME];

		for (uint32_t i = 0; i < SOME; i++) {
			changes[i] = (struct store_change){
				.entry = contract_make_entry(ENTRY_KEY, i + 500)};
			changes[i].entry->project = test_uid(ENTRY_PROJECT, 2);
		}
		contract_put(&other, changes, SOME);
		other.store->operations->free(other.store);
	}
}

/* What was before the one would be amidst the other. */
static void large_write_waits_until_another_one_is_in_its_place(void **state)
{
	struct etcd_bed *bed = *state;
	struct contract_bed writer = {0};
	struct store_change changes[SOME];
	struct contract_wish wish = {.changes = changes,
				     .count = SOME,
				     .meanwhile = write_large_elsewhere,
				     .meanwhile_state = bed};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	writer.store = open_ending(bed->prefix, UINT_MAX);
	make_keys(changes, SOME);
	assert_int_equal(contract_put_wish(&writer, &wish), ZONE_OK);
	for (uint32_t i = 0; i < SOME; i++)
		entry_release(changes[i].entry);
	writer.store->operations->free(writer.store);
	assert_int_equal(count_below(bed, "pending/"), 0);
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 4 + 2 * (size_t)SOME);
	assert_int_equal(wish.asks, 2);
}

static void part_that_no_release_wrote_does_nothing(void **state)
{
	struct etcd_bed *bed = *state;
	struct etcd *etcd;
	AUTO(buffer_clear)
	struct buffer marker = {0}, part = {0}, ops = {0}, body = {0}, value = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	etcd = (struct etcd *)bed->bed.store;
	/* A part that puts another head. */
	buffer_put_u8(&value, 1);
	buffer_put_sized(&value, bytes_of("head"));
	buffer_put_u32(&value, 1);
	buffer_put_text(&value, "x");
	etcd_key(etcd, &part, "part/0000000000000001/0011223344556677/000000");
	etcd_op_put(&ops, buffer_bytes(&part), buffer_bytes(&value));
	etcd_key(etcd, &marker, "pending/0000000000000001/0011223344556677");
	etcd_op_put(&ops, buffer_bytes(&marker), bytes_of("1"));
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	etcd_begin(etcd, ETCD_READ_MS);
	assert_int_equal(etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer), ZONE_OK);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 9), false),
			 ZONE_STORE_CORRUPT);
	assert_non_null(strstr(log_last(), "part/0000000000000001"));
	/* What was there before is read all the same. */
	{
		AUTO(store_news_clear) struct store_news news = {0};

		contract_read_all(&bed->bed, &news);
		assert_int_equal(news.count, 4);
	}
}

int main(void)
{
	const struct CMUnitTest own[] = {
		ETCD_TEST(what_is_too_long_for_one_request_is_written_in_parts),
		ETCD_TEST(more_keys_than_etcd_takes_at_once_are_written_in_parts),
		ETCD_TEST(large_write_that_is_killed_at_any_request_is_done_or_not),
		ETCD_TEST(want_of_space_is_no_word_about_how_much_etcd_takes_at_once),
		ETCD_TEST(reader_sees_the_state_before_a_large_write_until_it_is_in_its_place),
		ETCD_TEST(large_write_that_is_killed_before_a_compaction_stops_nobody),
		ETCD_TEST(who_may_only_read_is_told_who_has_to_end_a_killed_large_write),
		ETCD_TEST(large_write_waits_until_another_one_is_in_its_place),
		ETCD_TEST(part_that_no_release_wrote_does_nothing),
	};

	return etcd_bed_run("parts", MAX_TXN_OPS, own, COUNT_OF(own));
}
