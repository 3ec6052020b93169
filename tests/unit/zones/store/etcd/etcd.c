/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a real etcd: what zones/store/store.h promises. Without etcd all are skipped. */
#include "zones/store/etcd/etcd.h"

#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/etcd_bed.h"
#include "tests/support/etcd_server.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"
#include "zones/store/etcd/engine.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- There and back */

static void store_that_is_not_there_is_empty(void **state)
{
	struct etcd_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	NEEDS_ETCD;
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 0);
	assert_int_equal(news.cursor.len, 0);
	assert_int_equal(bed->bed.store->operations->look_at(bed->bed.store, &facts), ZONE_OK);
	assert_false(facts.exists);
	assert_int_equal(bed->bed.store->operations->describe(bed->bed.store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "not made yet"));
}

static void cursor_of_another_store_counts_for_nothing(void **state)
{
	struct etcd_bed *bed = *state;
	struct etcd_bed other = {.prefix = "/test/other"};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	other.bed.store = etcd_bed_open(other.prefix);
	contract_fill(&other.bed);
	contract_read_since(&bed->bed, &other.bed.cursor, &news);
	assert_true(news.whole);
	assert_int_equal(news.count, 4);
	other.bed.store->operations->free(other.bed.store);
}

/* --- Many */

enum { MANY = 330 };

static void more_than_a_transaction_of_etcd_holds_is_written_at_once(void **state)
{
	struct etcd_bed *bed = *state;
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};

	if (!etcd_bed_runs())
		free(changes);
	NEEDS_ETCD;
	contract_fill(&bed->bed);
	for (uint32_t i = 0; i < MANY; i++)
		changes[i].entry = contract_make_entry(i % 2 == 0 ? ENTRY_KEY : ENTRY_ZONE, i + 10);
	assert_int_equal(contract_put(&bed->bed, changes, MANY), ZONE_OK);
	free(changes);
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, MANY + 4);
	for (size_t i = 1; i < news.count; i++) {
		assert_true(news.rows[i].entry->kind != ENTRY_ZONE ||
			    news.rows[i].entry->of_zone.version_count == 3);
		assert_true(news.rows[i].entry->revision > 0);
	}
}

/* --- Racing writers: 200 if $CMEK_ETCD_WRITERS is set */

enum { WRITERS = 200, WRITERS_QUICK = 25, LOSERS = 15 };

struct race {
	struct etcd_bed *bed;
	bool loses; /* answers */
	atomic_uint done, asks, late, lost;
};

/* HTTP by libcurl, of which each third answer is lost: of some the request too. */
struct losing_http {
	struct http http;
	struct http *real;
	struct race *race;
	unsigned requests;
};

static enum http_result lose(struct http *base, const struct http_request *request,
			     struct http_answer *answer)
{
	struct losing_http *http = (struct losing_http *)base;
	unsigned number = http->requests++;
	enum http_result result;

	if (number % 3 != 2)
		return http->real->operations->send(http->real, request, answer);
	atomic_fetch_add(&http->race->lost, 1);
	result = number % 2 == 0 ? http->real->operations->send(http->real, request, answer)
				 : HTTP_BROKEN;
	http_answer_clear(answer);
	return result == HTTP_ANSWERED ? HTTP_BROKEN : result;
}

static void lose_free(struct http *base)
{
	struct losing_http *http = (struct losing_http *)base;

	http->real->operations->free(http->real);
	free(http);
}

static const struct http_operations losing_operations = {.send = lose, .free = lose_free};

static struct store *open_losing(struct race *race)
{
	static atomic_uint number;
	const struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
						.prefix = {race->bed->prefix, NULL}};
	struct losing_http *http = calloc(1, sizeof(*http));

	*http = (struct losing_http){.http.operations = &losing_operations,
				     .real = http_curl_new(1, false, &clock_system),
				     .race = race,
				     .requests = atomic_fetch_add(&number, 1)};
	return etcd_new(&settings, &http->http, &clock_system, retry_sleep, NULL);
}

/* Adds one to a number that all of them change: the usages of one key. */
static enum zone_status count_up(void *state, struct store_news *news,
				 struct store_change **ret_changes, size_t *ret_count)
{
	struct contract_wish *wish = state;

	wish->asks++;
	for (size_t i = 0; i < news->count; i++) {
		if (news->rows[i].entry->kind != ENTRY_KEY)
			continue;
		entry_release(wish->changes[0].entry);
		wish->changes[0].entry = entry_copy(news->rows[i].entry);
		wish->changes[0].entry->usages++;
	}
	*ret_changes = wish->changes;
	*ret_count = 1;
	return ZONE_OK;
}

static void *race(void *state)
{
	struct race *race = state;
	struct store *store = race->loses ? open_losing(race) : etcd_bed_open(race->bed->prefix);
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	while (status != ZONE_OK) {
		const struct store_cursor nothing = {0};
		struct store_change change = {0};
		struct contract_wish wish = {.changes = &change, .count = 1};
		struct store_cursor cursor;

		status = store->operations->write(store, &nothing, count_up, &wish, &cursor);
		entry_release(change.entry);
		atomic_fetch_add(&race->asks, (unsigned)wish.asks);
		/* Others were quicker for as long as a call may take. */
		atomic_fetch_add(&race->late, status != ZONE_OK);
		if (status != ZONE_OK && strstr(log_last(), "may have been done") != NULL) {
			print_message("# %s\n", log_last());
			break;
		}
	}
	atomic_fetch_add(&race->done, status == ZONE_OK);
	store->operations->free(store);
	return NULL;
}

/* One that could not even read may try again; of what was written the count tells. */
static void run_race(struct etcd_bed *bed, unsigned writers, bool loses)
{
	struct race them = {.bed = bed, .loses = loses};
	AUTO(entry_releasep) struct entry *key = NULL;
	pthread_t threads[WRITERS];
	int64_t began_us = clock_precise_us();
	struct entry *first = contract_make_entry(ENTRY_KEY, 1);

	contract_fill(&bed->bed);
	first->usages = 0;
	assert_int_equal(contract_put_one(&bed->bed, first, false), ZONE_OK);
	for (size_t i = 0; i < writers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &them), 0);
	for (size_t i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	key = contract_copy_of(&bed->bed, ENTRY_KEY, 1);
	print_message("# %u of %u writes, %u tries, %u calls out of time, %u answers lost, %.1f "
		      "s\n",
		      atomic_load(&them.done), writers, atomic_load(&them.asks),
		      atomic_load(&them.late), atomic_load(&them.lost),
		      (double)(clock_precise_us() - began_us) / 1e6);
	assert_int_equal(atomic_load(&them.done), writers);
	assert_int_equal(key->usages, writers);
}

static void no_write_of_many_racing_ones_is_lost(void **state)
{
	NEEDS_ETCD;
	run_race(*state, getenv("CMEK_ETCD_WRITERS") == NULL ? WRITERS_QUICK : WRITERS, false);
}

static void no_write_is_lost_or_done_twice_where_answers_are_lost(void **state)
{
	NEEDS_ETCD;
	run_race(*state, LOSERS, true);
}

/* --- Damage, and what it says of itself */

static void put_raw(struct etcd_bed *bed, const char *key, const char *value)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(buffer_clear) struct buffer name = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct etcd *etcd = (struct etcd *)bed->bed.store;
	enum etcd_fate fate;

	etcd_key(etcd, &name, "%s", key);
	etcd_op_put(&ops, buffer_bytes(&name), bytes_of(value));
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	etcd_begin(etcd, ETCD_READ_MS);
	assert_int_equal(etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer), ZONE_OK);
}

static void row_that_no_release_wrote_is_damage(void **state)
{
	struct etcd_bed *bed = *state;
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	put_raw(bed, "row/00000000000000000000000000000000", "{\"format\":1}");
	assert_int_equal(bed->bed.store->operations->read(bed->bed.store, &nothing, &news),
			 ZONE_STORE_CORRUPT);
	assert_non_null(strstr(log_last(), "row/00000000000000000000000000000000 holds what no "
					   "release wrote (kind)"));
}

static void head_of_later_releases_is_read_in_part(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":9,\"min_reader\":9,\"min_writer\":9,"
				    "\"release\":\"9.0.0\",\"created_ms\":1}";
	struct etcd_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;
	struct entry *zone;

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	zone = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
	zone->state = ENTRY_PENDING_DELETION;
	assert_int_equal(contract_put_one(&bed->bed, zone, false), ZONE_OK);
	put_raw(bed, "head", later);
	contract_read_all(&bed->bed, &news);
	assert_true(news.limited);
	assert_int_equal(news.count, 3); /* project, root key, the zone that must not be opened */
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 3), false),
			 ZONE_STORE_NEWER);
	assert_int_equal(bed->bed.store->operations->look_at(bed->bed.store, &facts), ZONE_OK);
	assert_int_equal(facts.head.min_reader, 9);
	assert_int_equal(bed->bed.store->operations->describe(bed->bed.store, &text),
			 ZONE_STORE_NEWER);
	assert_int_equal(bed->bed.store->operations->bring(bed->bed.store, 8, 9), ZONE_CONFLICT);
}

static void store_that_only_newer_releases_write_is_read(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":2,\"min_reader\":1,\"min_writer\":2,"
				    "\"release\":\"0.2.0\",\"created_ms\":1}";
	struct etcd_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	put_raw(bed, "head", later);
	contract_read_all(&bed->bed, &news);
	assert_false(news.limited);
	assert_int_equal(news.count, 4);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, 3), false),
			 ZONE_STORE_NEWER_WRITER);
	assert_non_null(strstr(log_last(), "install cmek-pkcs11 0.2.0"));
}

static void store_that_was_there_is_not_made_anew(void **state)
{
	struct etcd_bed *bed = *state;
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(buffer_clear) struct buffer all = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	const struct store_cursor nothing = {0};

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	buffer_format(&all, "%s/", bed->prefix);
	etcd_op_delete(&ops, buffer_bytes(&all), true);
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	etcd_server_post("/v3/kv/txn", buffer_text(&body), NULL);
	assert_int_equal(bed->bed.store->operations->read(bed->bed.store, &nothing, &news),
			 ZONE_STORE_UNAVAILABLE);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_PROJECT, 3), false),
			 ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "it was there and is gone"));
}

static void doctor_hears_where_it_is_and_what_it_holds(void **state)
{
	struct etcd_bed *bed = *state;
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	NEEDS_ETCD;
	contract_fill(&bed->bed);
	assert_int_equal(bed->bed.store->operations->describe(bed->bed.store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), etcd_server_endpoint()));
	assert_non_null(strstr(buffer_text(&text), "4 rows, writable"));
	assert_non_null(strstr(buffer_text(&text), "store: id "));
	assert_non_null(strstr(buffer_text(&text), "level 1"));
	assert_int_equal(bed->bed.store->operations->look_at(bed->bed.store, &facts), ZONE_OK);
	assert_true(facts.exists && facts.writable && !facts.way_back);
	assert_int_equal(facts.head.level, 1);
	assert_int_equal(bed->bed.store->operations->bring(bed->bed.store, 1, 1), ZONE_OK);
	assert_int_equal(bed->bed.store->operations->bring(bed->bed.store, 1, 2), ZONE_INVALID);
	assert_true(bed->bed.store->operations->changed(bed->bed.store));
}

/* --- Rights: another etcd, which asks who it is */

struct guarded {
	char folder[64], password[96];
};

static bool guarded_running;

static void password_is(struct guarded *guarded, const char *word)
{
	FILE *file = fopen(guarded->password, "w");

	assert_non_null(file);
	fprintf(file, "%s\n", word);
	fclose(file);
}

/* Of root, writer and reader; each user's password is its name. */
static int begin_guarded(void **state)
{
	static const char *const requests[][2] = {
		{"/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"root\"}"},
		{"/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}"},
		{"/v3/auth/role/add", "{\"name\":\"write\"}"},
		{"/v3/auth/role/add", "{\"name\":\"read\"}"},
		/* "/guarded/" to "/guarded0" */
		{"/v3/auth/role/grant",
		 "{\"name\":\"write\",\"perm\":{\"permType\":\"READWRITE\",\"key\":"
		 "\"L2d1YXJkZWQv\",\"range_end\":\"L2d1YXJkZWQw\"}}"},
		{"/v3/auth/role/grant",
		 "{\"name\":\"read\",\"perm\":{\"permType\":\"READ\",\"key\":"
		 "\"L2d1YXJkZWQv\",\"range_end\":\"L2d1YXJkZWQw\"}}"},
		{"/v3/auth/user/add", "{\"name\":\"writer\",\"password\":\"writer\"}"},
		{"/v3/auth/user/add", "{\"name\":\"reader\",\"password\":\"reader\"}"},
		{"/v3/auth/user/grant", "{\"user\":\"writer\",\"role\":\"write\"}"},
		{"/v3/auth/user/grant", "{\"user\":\"reader\",\"role\":\"read\"}"},
		{"/v3/auth/enable", "{}"},
	};
	struct guarded *guarded = calloc(1, sizeof(*guarded));

	guarded_running = etcd_server_start();
	for (size_t i = 0; guarded_running && i < COUNT_OF(requests); i++)
		etcd_server_post(requests[i][0], requests[i][1], NULL);
	make_test_folder("etcd-user", guarded->folder);
	snprintf(guarded->password, sizeof(guarded->password), "%s/password", guarded->folder);
	*state = guarded;
	return 0;
}

static int end_guarded(void **state)
{
	struct guarded *guarded = *state;

	etcd_server_stop();
	remove_test_folder(guarded->folder);
	free(guarded);
	return 0;
}

static void become(struct guarded *guarded, const char *user, struct etcd_bed *bed)
{
	struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
					  .prefix = {"/guarded", NULL}};

	if (bed->bed.store != NULL)
		bed->bed.store->operations->free(bed->bed.store);
	*bed = (struct etcd_bed){0};
	if (user != NULL) {
		password_is(guarded, user);
		settings.user.text = user;
		settings.password_file.text = guarded->password;
	}
	bed->bed.store = store_etcd.open(&settings);
}

static enum zone_status look_as(struct etcd_bed *bed)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	return bed->bed.store->operations->read(bed->bed.store, &nothing, &news);
}

static void rights_are_told_apart(void **state)
{
	struct guarded *guarded = *state;
	struct etcd_bed bed = {0};
	struct store_facts facts;

	if (!guarded_running) {
		print_message("# reason: etcd is not installed (etcd-server)\n");
		skip();
	}
	become(guarded, NULL, &bed);
	assert_int_equal(look_as(&bed), ZONE_STORE_NO_CREDENTIALS);
	become(guarded, "writer", &bed);
	contract_fill(&bed.bed);
	assert_int_equal(bed.bed.store->operations->look_at(bed.bed.store, &facts), ZONE_OK);
	assert_true(facts.writable);
	/* Its password was changed: the token that it has is as good as none. */
	become(guarded, "writer", &bed);
	password_is(guarded, "wrong");
	assert_int_equal(look_as(&bed), ZONE_STORE_NO_CREDENTIALS);
	become(guarded, "reader", &bed);
	assert_int_equal(look_as(&bed), ZONE_OK);
	assert_int_equal(bed.bed.store->operations->look_at(bed.bed.store, &facts), ZONE_OK);
	assert_false(facts.writable);
	assert_int_equal(contract_put_one(&bed.bed, contract_make_entry(ENTRY_KEY, 3), false),
			 ZONE_STORE_READ_ONLY);
	bed.bed.store->operations->free(bed.bed.store);
}

int main(void)
{
	const struct CMUnitTest own[] = {
		ETCD_TEST(store_that_is_not_there_is_empty),
		ETCD_TEST(cursor_of_another_store_counts_for_nothing),
		ETCD_TEST(more_than_a_transaction_of_etcd_holds_is_written_at_once),
		ETCD_TEST(no_write_of_many_racing_ones_is_lost),
		ETCD_TEST(no_write_is_lost_or_done_twice_where_answers_are_lost),
		ETCD_TEST(row_that_no_release_wrote_is_damage),
		ETCD_TEST(head_of_later_releases_is_read_in_part),
		ETCD_TEST(store_that_only_newer_releases_write_is_read),
		ETCD_TEST(store_that_was_there_is_not_made_anew),
		ETCD_TEST(doctor_hears_where_it_is_and_what_it_holds),
	};
	const struct CMUnitTest guarded_tests[] = {
		cmocka_unit_test_setup_teardown(rights_are_told_apart, begin_guarded, end_guarded),
	};
	int failed = etcd_bed_run("etcd", NULL, own, COUNT_OF(own));

	return failed + cmocka_run_group_tests(guarded_tests, NULL, NULL);
}
