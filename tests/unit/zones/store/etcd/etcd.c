/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a real etcd: what zones/store/store.h promises. Without etcd all are skipped. */
#include "zones/store/etcd/etcd.h"

#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/etcd_server.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"
#include "zones/store/etcd/engine.h"

#include <pthread.h>
#include <stdatomic.h>

static bool running;

#define NEEDS_ETCD                                                                                 \
	do {                                                                                       \
		if (!running) {                                                                    \
			print_message("# reason: etcd is not installed (etcd-server)\n");          \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* --- A store of its own for each test */

struct bed {
	char prefix[64];
	struct store *store;
	struct store_cursor cursor; /* how far it was read or written last */
};

static struct store *open_at(const char *prefix)
{
	const struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
						.prefix = {prefix, NULL}};
	struct store *store = store_etcd.open(&settings);

	assert_non_null(store);
	return store;
}

static int begin(void **state)
{
	static unsigned number;
	struct bed *bed = calloc(1, sizeof(*bed));

	snprintf(bed->prefix, sizeof(bed->prefix), "/test/%u", number++);
	if (running)
		bed->store = open_at(bed->prefix);
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct bed *bed = *state;

	if (bed->store != NULL)
		bed->store->operations->free(bed->store);
	free(bed);
	return 0;
}

struct wish {
	struct store_change *changes;
	size_t count;
	size_t asks, rows; /* how often it was asked, and heard of how many rows */
	void (*meanwhile)(void *state);
	void *meanwhile_state;
};

static enum zone_status wished(void *state, struct store_news *news,
			       struct store_change **ret_changes, size_t *ret_count)
{
	struct wish *wish = state;
	void (*meanwhile)(void *) = wish->meanwhile;

	wish->asks++;
	wish->rows += news->count;
	wish->meanwhile = NULL;
	if (meanwhile != NULL)
		meanwhile(wish->meanwhile_state);
	*ret_changes = wish->changes;
	*ret_count = wish->count;
	return ZONE_OK;
}

static enum zone_status put_wish(struct bed *bed, struct wish *wish)
{
	const struct store_cursor since = bed->cursor;

	return bed->store->operations->write(bed->store, &since, wished, wish, &bed->cursor);
}

/* Releases the entries. */
static enum zone_status put(struct bed *bed, struct store_change *changes, size_t count)
{
	struct wish wish = {.changes = changes, .count = count};
	enum zone_status status = put_wish(bed, &wish);

	for (size_t i = 0; i < count; i++)
		entry_release(changes[i].entry);
	return status;
}

static enum zone_status put_one(struct bed *bed, struct entry *entry, bool remove)
{
	struct store_change change = {.entry = entry, .remove = remove};

	return put(bed, &change, 1);
}

static struct entry *make_entry(enum entry_kind kind, uint32_t number)
{
	struct entry *entry = test_entry(kind, number);

	/* A project's name is a name. */
	if (kind == ENTRY_PROJECT)
		assert_true(entry_set_text(&entry->label, bytes_of("project")));
	return entry;
}

static void fill(struct bed *bed)
{
	struct store_change changes[4] = {0};

	for (int kind = ENTRY_PROJECT; kind <= ENTRY_ZONE; kind++)
		changes[kind].entry = make_entry((enum entry_kind)kind, 1);
	assert_int_equal(put(bed, changes, 4), ZONE_OK);
}

static void read_since(struct bed *bed, const struct store_cursor *since,
		       struct store_news *ret_news)
{
	assert_int_equal(bed->store->operations->read(bed->store, since, ret_news), ZONE_OK);
}

static void read_all(struct bed *bed, struct store_news *ret_news)
{
	const struct store_cursor nothing = {0};

	read_since(bed, &nothing, ret_news);
	assert_true(ret_news->whole);
}

static struct entry *copy_of(struct bed *bed, enum entry_kind kind, uint32_t number)
{
	AUTO(store_news_clear) struct store_news news = {0};
	struct entry *found, *copy;

	read_all(bed, &news);
	found = news_find(&news, kind, number);
	assert_non_null(found);
	copy = entry_copy(found);
	copy->number = 0;
	return copy;
}

/* --- There and back */

static void store_that_is_not_there_is_empty(void **state)
{
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	NEEDS_ETCD;
	read_all(bed, &news);
	assert_int_equal(news.count, 0);
	assert_int_equal(news.cursor.len, 0);
	assert_int_equal(bed->store->operations->look_at(bed->store, &facts), ZONE_OK);
	assert_false(facts.exists);
	assert_int_equal(bed->store->operations->describe(bed->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "not made yet"));
}

static void every_kind_comes_back_as_it_was(void **state)
{
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_change changes[ENTRY_KIND_COUNT] = {0};

	NEEDS_ETCD;
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		changes[kind].entry = entry_hold(make_entry((enum entry_kind)kind, 1));
	assert_int_equal(put(bed, changes, ENTRY_KIND_COUNT), ZONE_OK);
	read_all(bed, &news);
	assert_int_equal(news.count, ENTRY_KIND_COUNT);
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		struct entry *back = news_find(&news, (enum entry_kind)kind, 1);

		assert_non_null(back);
		assert_same_entry(changes[kind].entry, back);
		entry_release(changes[kind].entry);
	}
}

static void only_what_is_newer_is_read(void **state)
{
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news nothing = {0};
	struct store_cursor then;

	NEEDS_ETCD;
	fill(bed);
	then = bed->cursor;
	assert_int_equal(put_one(bed, make_entry(ENTRY_KEY, 2), false), ZONE_OK);
	read_since(bed, &then, &news);
	assert_false(news.whole);
	assert_int_equal(news.count, 1);
	assert_non_null(news_find(&news, ENTRY_KEY, 2));
	assert_true(news.zones_counted);
	assert_int_equal(news.zones, 1);
	read_since(bed, &news.cursor, &nothing);
	assert_int_equal(nothing.count, 0);
	assert_false(nothing.whole);
}

static void cursor_of_another_store_counts_for_nothing(void **state)
{
	struct bed *bed = *state;
	struct bed other = {.prefix = "/test/other"};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	fill(bed);
	other.store = open_at(other.prefix);
	fill(&other);
	read_since(bed, &other.cursor, &news);
	assert_true(news.whole);
	assert_int_equal(news.count, 4);
	other.store->operations->free(other.store);
}

/* --- Changes */

static void change_needs_the_revision_that_is_there(void **state)
{
	struct bed *bed = *state;
	struct entry *first, *second;

	NEEDS_ETCD;
	fill(bed);
	assert_int_equal(put_one(bed, make_entry(ENTRY_CLUSTER, 1), false), ZONE_CONFLICT);
	first = copy_of(bed, ENTRY_CLUSTER, 1);
	second = copy_of(bed, ENTRY_CLUSTER, 1);
	assert_int_equal(put_one(bed, first, false), ZONE_OK);
	assert_int_equal(put_one(bed, entry_hold(second), true), ZONE_CONFLICT);
	assert_int_equal(put_one(bed, second, false), ZONE_CONFLICT);
}

static void all_is_written_or_nothing(void **state)
{
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_change changes[2] = {0};

	NEEDS_ETCD;
	fill(bed);
	changes[0].entry = make_entry(ENTRY_KEY, 5); /* new */
	changes[1].entry = make_entry(ENTRY_CLUSTER, 1);
	assert_int_equal(put(bed, changes, 2), ZONE_CONFLICT);
	read_all(bed, &news);
	assert_int_equal(news.count, 4);
}

static void what_is_removed_leaves_a_tombstone(void **state)
{
	struct bed *bed = *state;
	const struct store_key by_zone = {
		.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 1};
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news found = {0};
	struct store_cursor then;

	NEEDS_ETCD;
	fill(bed);
	then = bed->cursor;
	assert_int_equal(put_one(bed, copy_of(bed, ENTRY_ZONE, 1), true), ZONE_OK);
	read_since(bed, &then, &news);
	assert_int_equal(news.count, 1);
	assert_true(news.rows[0].removed);
	assert_int_equal(news.zones, 0);
	assert_true(news.rows[0].entry->of_zone.zone == ((uint64_t)1 << 62) + 1);
	assert_int_equal(bed->store->operations->find(bed->store, &by_zone, &found), ZONE_OK);
	assert_int_equal(found.count, 1);
	assert_true(found.rows[0].removed);
	/* It is no free place. */
	assert_int_equal(put_one(bed, make_entry(ENTRY_ZONE, 1), false), ZONE_CONFLICT);
}

static void backup_takes_the_place_of_a_tombstone(void **state)
{
	struct bed *bed = *state;
	struct store_change back = {.entry = NULL, .from_backup = true};
	struct store_change foreign = {.entry = NULL, .remove = true, .from_backup = true};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	fill(bed);
	assert_int_equal(put_one(bed, copy_of(bed, ENTRY_ZONE, 1), true), ZONE_OK);
	back.entry = make_entry(ENTRY_ZONE, 1);
	assert_int_equal(put(bed, &back, 1), ZONE_OK);
	foreign.entry = make_entry(ENTRY_ZONE, 2);
	assert_int_equal(put(bed, &foreign, 1), ZONE_OK);
	foreign.entry = make_entry(ENTRY_ZONE, 2);
	assert_int_equal(put(bed, &foreign, 1), ZONE_CONFLICT);
	read_all(bed, &news);
	assert_int_equal(news.count, 5);
	assert_int_equal(news_find(&news, ENTRY_ZONE, 1)->of_zone.version_count, 3);
}

/* With and without the state before. */
static void versions_of_a_zone_follow_it(void **state)
{
	struct bed *bed = *state;

	NEEDS_ETCD;
	fill(bed);
	for (int known = 0; known < 2; known++) {
		AUTO(entry_releasep) struct entry *before = copy_of(bed, ENTRY_ZONE, 1);
		AUTO(entry_releasep) struct entry *after = NULL;
		struct entry *zone = entry_copy(before);
		struct store_change change = {.entry = entry_hold(zone)};

		change.before = known ? before : NULL;
		/* The last goes, the first is retired. */
		ezk_version_clear(&zone->of_zone.versions[--zone->of_zone.version_count]);
		zone->of_zone.versions[0].retired = !zone->of_zone.versions[0].retired;
		zone->of_zone.primary = zone->of_zone.raw = 1;
		assert_int_equal(put(bed, &change, 1), ZONE_OK);
		after = copy_of(bed, ENTRY_ZONE, 1);
		assert_same_entry(zone, after);
		entry_release(zone);
	}
}

static void zone_with_one_value_twice_is_refused(void **state)
{
	struct bed *bed = *state;
	struct entry *zone;

	NEEDS_ETCD;
	fill(bed);
	zone = copy_of(bed, ENTRY_ZONE, 1);
	memcpy(zone->of_zone.versions[1].fingerprint, zone->of_zone.versions[0].fingerprint,
	       sizeof(zone->of_zone.versions[1].fingerprint));
	assert_int_equal(put_one(bed, zone, false), ZONE_CONFLICT);
}

/* --- Many */

enum { MANY = 330 };

static void more_than_a_transaction_of_etcd_holds_is_written_at_once(void **state)
{
	struct bed *bed = *state;
	struct store_change *changes = calloc(MANY, sizeof(*changes));
	AUTO(store_news_clear) struct store_news news = {0};

	if (!running)
		free(changes);
	NEEDS_ETCD;
	fill(bed);
	for (uint32_t i = 0; i < MANY; i++)
		changes[i].entry = make_entry(i % 2 == 0 ? ENTRY_KEY : ENTRY_ZONE, i + 10);
	assert_int_equal(put(bed, changes, MANY), ZONE_OK);
	free(changes);
	read_all(bed, &news);
	assert_int_equal(news.count, MANY + 4);
	for (size_t i = 1; i < news.count; i++) {
		assert_true(news.rows[i].entry->kind != ENTRY_ZONE ||
			    news.rows[i].entry->of_zone.version_count == 3);
		assert_true(news.rows[i].entry->revision > 0);
	}
}

static void what_etcd_does_not_take_at_once_is_refused_whole(void **state)
{
	struct bed *bed = *state;
	struct store_change changes[2] = {0};
	AUTO(buffer_clear) struct buffer extra = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	fill(bed);
	memset(buffer_extend(&extra, EXTRA_MAX), 1, EXTRA_MAX);
	for (uint32_t i = 0; i < 2; i++) {
		changes[i].entry = make_entry(ENTRY_KEY, i + 10);
		assert_true(entry_set_bytes(&changes[i].entry->extra, buffer_bytes(&extra)));
	}
	assert_int_equal(put(bed, changes, 2), ZONE_STORE_FULL);
	assert_non_null(strstr(log_last(), "nothing was written"));
	read_all(bed, &news);
	assert_int_equal(news.count, 4);
	/* One alone fits, and many are read in pages. */
	for (uint32_t i = 0; i < 3; i++) {
		struct entry *key = make_entry(ENTRY_KEY, i + 10);

		assert_true(entry_set_bytes(&key->extra, buffer_bytes(&extra)));
		assert_int_equal(put_one(bed, key, false), ZONE_OK);
	}
	store_news_clear(&news);
	read_all(bed, &news);
	assert_int_equal(news.count, 7);
}

/* --- By a key */

static void find_brings_an_entry_with_what_it_stands_on(void **state)
{
	struct bed *bed = *state;
	struct entry *zone;
	const struct store_key keys[] = {
		{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 1},
		{.by = STORE_BY_UID, .uid = test_uid(ENTRY_ZONE, 1)},
		{.by = STORE_BY_LABEL,
		 .kind = ENTRY_ZONE,
		 .project = test_uid(ENTRY_PROJECT, 1),
		 .label = bytes_of("label/1 \xc3\xa4")},
	};
	const struct store_key nobody = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = 7};

	NEEDS_ETCD;
	fill(bed);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		assert_int_equal(bed->store->operations->find(bed->store, &keys[i], &news),
				 ZONE_OK);
		assert_int_equal(news.count, 4);
		assert_false(news.whole);
		assert_int_equal(news.cursor.len, 0);
		zone = news_find(&news, ENTRY_ZONE, 1);
		assert_int_equal(zone->of_zone.version_count, 3);
	}
	for (int i = 0; i < 2; i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		assert_int_equal(bed->store->operations->find(bed->store,
							      i == 0 ? &nobody : &keys[2], &news),
				 ZONE_OK);
		assert_int_equal(news.count, i == 0 ? 0 : 4);
	}
}

static void names_as_long_as_they_may_be_are_found(void **state)
{
	static const size_t lens[] = {1, 57, 58, 59, 60, 128, LABEL_MAX};
	struct bed *bed = *state;
	char label[LABEL_MAX];

	NEEDS_ETCD;
	fill(bed);
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		const size_t len = lens[i];
		const struct store_key key = {.by = STORE_BY_LABEL,
					      .kind = ENTRY_CLUSTER,
					      .project = test_uid(ENTRY_PROJECT, 1),
					      .label = bytes(label, len)};
		struct entry *cluster = copy_of(bed, ENTRY_CLUSTER, 1);
		AUTO(store_news_clear) struct store_news news = {0};

		memset(label, 'n', len);
		assert_true(entry_set_text(&cluster->label, key.label));
		assert_int_equal(put_one(bed, cluster, false), ZONE_OK);
		assert_int_equal(bed->store->operations->find(bed->store, &key, &news), ZONE_OK);
		if (news_find(&news, ENTRY_CLUSTER, 1) == NULL)
			fail_msg("a name of %zu bytes is not found", len);
	}
}

static void old_name_finds_nothing(void **state)
{
	struct bed *bed = *state;
	struct store_key key = {.by = STORE_BY_LABEL,
				.kind = ENTRY_CLUSTER,
				.project = test_uid(ENTRY_PROJECT, 1),
				.label = bytes_of("label/1 \xc3\xa4")};
	struct entry *cluster;

	NEEDS_ETCD;
	fill(bed);
	cluster = copy_of(bed, ENTRY_CLUSTER, 1);
	assert_true(entry_set_text(&cluster->label, bytes_of("new")));
	assert_int_equal(put_one(bed, cluster, false), ZONE_OK);
	for (int i = 0; i < 3; i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		if (i == 1)
			key.label = bytes_of("new");
		if (i == 2) {
			cluster = copy_of(bed, ENTRY_CLUSTER, 1);
			cluster->state = ENTRY_PENDING_DELETION;
			assert_int_equal(put_one(bed, cluster, false), ZONE_OK);
		}
		assert_int_equal(bed->store->operations->find(bed->store, &key, &news), ZONE_OK);
		assert_int_equal(news.count, i == 1 ? 2 : 0);
	}
}

/* --- Others are quicker */

struct rival {
	struct bed *bed;
	enum entry_kind kind;
	uint32_t number;
	struct uid project;
};

static void rival_writes(void *state)
{
	struct rival *rival = state;
	struct bed other = {.store = open_at(rival->bed->prefix)};
	struct entry *entry = make_entry(rival->kind, rival->number);

	entry->project = rival->project;
	assert_int_equal(put_one(&other, entry, false), ZONE_OK);
	other.store->operations->free(other.store);
}

static size_t asks_for(struct bed *bed, struct rival rival, struct store_change change)
{
	struct wish wish = {.changes = &change,
			    .count = 1,
			    .meanwhile = rival_writes,
			    .meanwhile_state = &rival};
	AUTO(store_news_clear) struct store_news news = {0};

	rival.bed = bed;
	assert_int_equal(put_wish(bed, &wish), ZONE_OK);
	/* Nothing that `decide` has not seen is passed over. */
	read_since(bed, &bed->cursor, &news);
	assert_true(wish.asks > 1 || news_find(&news, rival.kind, rival.number) != NULL);
	entry_release(change.entry);
	return wish.asks;
}

static size_t asks_beside(struct bed *bed, struct rival rival, enum entry_kind kind)
{
	return asks_for(bed, rival, (struct store_change){.entry = make_entry(kind, 50)});
}

static void write_of_the_same_project_is_decided_anew(void **state)
{
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	NEEDS_ETCD;
	fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 1);
	assert_int_equal(asks_beside(*state, rival, ENTRY_KEY), 2);
}

static void write_of_another_project_is_not_in_the_way(void **state)
{
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	NEEDS_ETCD;
	fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	assert_int_equal(asks_beside(*state, rival, ENTRY_KEY), 1);
}

static void what_is_unique_in_the_store_is_decided_beside_all_projects(void **state)
{
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	NEEDS_ETCD;
	fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	assert_int_equal(asks_beside(*state, rival, ENTRY_ZONE), 2);
}

/* A project that is made of a backup elsewhere imports the versions of zones that are there. */
static void what_destroys_a_version_is_decided_beside_all_projects(void **state)
{
	struct bed *bed = *state;
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	NEEDS_ETCD;
	fill(bed);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	/* To retire one, to remove one, to remove the zone. */
	for (size_t i = 0; i < 3; i++, rival.number++) {
		AUTO(entry_releasep) struct entry *before = copy_of(bed, ENTRY_ZONE, 1);
		struct store_change change = {
			.entry = entry_copy(before), .before = before, .remove = i == 2};
		struct ezk_version *versions = change.entry->of_zone.versions;

		if (i == 0)
			versions[0].retired = true;
		if (i == 1)
			ezk_version_clear(&versions[--change.entry->of_zone.version_count]);
		assert_int_equal(asks_for(bed, rival, change), i == 0 ? 1 : 2);
	}
}

static void two_that_make_the_store_agree(void **state)
{
	struct bed *bed = *state;
	struct rival rival = {.bed = bed, .kind = ENTRY_PROJECT, .number = 2};
	struct store_change change = {.entry = NULL};
	struct wish wish = {.changes = &change,
			    .count = 1,
			    .meanwhile = rival_writes,
			    .meanwhile_state = &rival};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	rival.project = test_uid(ENTRY_PROJECT, 2);
	change.entry = make_entry(ENTRY_PROJECT, 1);
	assert_int_equal(put_wish(bed, &wish), ZONE_OK);
	assert_int_equal(wish.asks, 2);
	assert_int_equal(wish.rows, 1);
	read_all(bed, &news);
	assert_int_equal(news.count, 2);
	entry_release(change.entry);
}

/* --- Racing writers: 200 if $CMEK_ETCD_WRITERS is set */

enum { WRITERS = 200, WRITERS_QUICK = 25, LOSERS = 15 };

struct race {
	struct bed *bed;
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
	struct wish *wish = state;

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
	struct store *store = race->loses ? open_losing(race) : open_at(race->bed->prefix);
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	while (status != ZONE_OK) {
		const struct store_cursor nothing = {0};
		struct store_change change = {0};
		struct wish wish = {.changes = &change, .count = 1};
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
static void run_race(struct bed *bed, unsigned writers, bool loses)
{
	struct race them = {.bed = bed, .loses = loses};
	AUTO(entry_releasep) struct entry *key = NULL;
	pthread_t threads[WRITERS];
	int64_t began_us = clock_precise_us();
	struct entry *first = make_entry(ENTRY_KEY, 1);

	fill(bed);
	first->usages = 0;
	assert_int_equal(put_one(bed, first, false), ZONE_OK);
	for (size_t i = 0; i < writers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &them), 0);
	for (size_t i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	key = copy_of(bed, ENTRY_KEY, 1);
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

static void put_raw(struct bed *bed, const char *key, const char *value)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(buffer_clear) struct buffer name = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct etcd *etcd = (struct etcd *)bed->store;
	enum etcd_fate fate;

	etcd_key(etcd, &name, "%s", key);
	etcd_op_put(&ops, buffer_bytes(&name), bytes_of(value));
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	etcd_begin(etcd, ETCD_READ_MS);
	assert_int_equal(etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer), ZONE_OK);
}

static void row_that_no_release_wrote_is_damage(void **state)
{
	struct bed *bed = *state;
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	fill(bed);
	put_raw(bed, "row/00000000000000000000000000000000", "{\"format\":1}");
	assert_int_equal(bed->store->operations->read(bed->store, &nothing, &news),
			 ZONE_STORE_CORRUPT);
	assert_non_null(strstr(log_last(), "row/00000000000000000000000000000000 holds what no "
					   "release wrote (kind)"));
}

static void head_of_later_releases_is_read_in_part(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":9,\"min_reader\":9,\"min_writer\":9,"
				    "\"release\":\"9.0.0\",\"created_ms\":1}";
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;
	struct entry *zone;

	NEEDS_ETCD;
	fill(bed);
	zone = copy_of(bed, ENTRY_ZONE, 1);
	zone->state = ENTRY_PENDING_DELETION;
	assert_int_equal(put_one(bed, zone, false), ZONE_OK);
	put_raw(bed, "head", later);
	read_all(bed, &news);
	assert_true(news.limited);
	assert_int_equal(news.count, 3); /* project, root key, the zone that must not be opened */
	assert_int_equal(put_one(bed, make_entry(ENTRY_KEY, 3), false), ZONE_STORE_NEWER);
	assert_int_equal(bed->store->operations->look_at(bed->store, &facts), ZONE_OK);
	assert_int_equal(facts.head.min_reader, 9);
	assert_int_equal(bed->store->operations->describe(bed->store, &text), ZONE_STORE_NEWER);
	assert_int_equal(bed->store->operations->bring(bed->store, 8, 9), ZONE_CONFLICT);
}

static void store_that_only_newer_releases_write_is_read(void **state)
{
	static const char later[] = "{\"format\":1,\"id\":\"00112233445566778899aabbccddeeff\","
				    "\"level\":2,\"min_reader\":1,\"min_writer\":2,"
				    "\"release\":\"0.2.0\",\"created_ms\":1}";
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};

	NEEDS_ETCD;
	fill(bed);
	put_raw(bed, "head", later);
	read_all(bed, &news);
	assert_false(news.limited);
	assert_int_equal(news.count, 4);
	assert_int_equal(put_one(bed, make_entry(ENTRY_KEY, 3), false), ZONE_STORE_NEWER_WRITER);
	assert_non_null(strstr(log_last(), "install cmek-pkcs11 0.2.0"));
}

static void store_that_was_there_is_not_made_anew(void **state)
{
	struct bed *bed = *state;
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(buffer_clear) struct buffer all = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	const struct store_cursor nothing = {0};

	NEEDS_ETCD;
	fill(bed);
	buffer_format(&all, "%s/", bed->prefix);
	etcd_op_delete(&ops, buffer_bytes(&all), true);
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	etcd_server_post("/v3/kv/txn", buffer_text(&body), NULL);
	assert_int_equal(bed->store->operations->read(bed->store, &nothing, &news),
			 ZONE_STORE_UNAVAILABLE);
	assert_int_equal(put_one(bed, make_entry(ENTRY_PROJECT, 3), false), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "it was there and is gone"));
}

static void doctor_hears_where_it_is_and_what_it_holds(void **state)
{
	struct bed *bed = *state;
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	NEEDS_ETCD;
	fill(bed);
	assert_int_equal(bed->store->operations->describe(bed->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), etcd_server_endpoint()));
	assert_non_null(strstr(buffer_text(&text), "4 rows, writable"));
	assert_non_null(strstr(buffer_text(&text), "store: id "));
	assert_non_null(strstr(buffer_text(&text), "level 1"));
	assert_int_equal(bed->store->operations->look_at(bed->store, &facts), ZONE_OK);
	assert_true(facts.exists && facts.writable && !facts.way_back);
	assert_int_equal(facts.head.level, 1);
	assert_int_equal(bed->store->operations->bring(bed->store, 1, 1), ZONE_OK);
	assert_int_equal(bed->store->operations->bring(bed->store, 1, 2), ZONE_INVALID);
	assert_true(bed->store->operations->changed(bed->store));
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

static void become(struct guarded *guarded, const char *user, struct bed *bed)
{
	struct store_settings settings = {.endpoint = {etcd_server_endpoint(), NULL},
					  .prefix = {"/guarded", NULL}};

	if (bed->store != NULL)
		bed->store->operations->free(bed->store);
	*bed = (struct bed){0};
	if (user != NULL) {
		password_is(guarded, user);
		settings.user.text = user;
		settings.password_file.text = guarded->password;
	}
	bed->store = store_etcd.open(&settings);
}

static enum zone_status look_as(struct bed *bed)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	return bed->store->operations->read(bed->store, &nothing, &news);
}

static void rights_are_told_apart(void **state)
{
	struct guarded *guarded = *state;
	struct bed bed = {0};
	struct store_facts facts;

	if (!guarded_running) {
		print_message("# reason: etcd is not installed (etcd-server)\n");
		skip();
	}
	become(guarded, NULL, &bed);
	assert_int_equal(look_as(&bed), ZONE_STORE_NO_CREDENTIALS);
	become(guarded, "writer", &bed);
	fill(&bed);
	assert_int_equal(bed.store->operations->look_at(bed.store, &facts), ZONE_OK);
	assert_true(facts.writable);
	/* Its password was changed: the token that it has is as good as none. */
	become(guarded, "writer", &bed);
	password_is(guarded, "wrong");
	assert_int_equal(look_as(&bed), ZONE_STORE_NO_CREDENTIALS);
	become(guarded, "reader", &bed);
	assert_int_equal(look_as(&bed), ZONE_OK);
	assert_int_equal(bed.store->operations->look_at(bed.store, &facts), ZONE_OK);
	assert_false(facts.writable);
	assert_int_equal(put_one(&bed, make_entry(ENTRY_KEY, 3), false), ZONE_STORE_READ_ONLY);
	bed.store->operations->free(bed.store);
}

#define ETCD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ETCD_TEST(store_that_is_not_there_is_empty),
		ETCD_TEST(every_kind_comes_back_as_it_was),
		ETCD_TEST(only_what_is_newer_is_read),
		ETCD_TEST(cursor_of_another_store_counts_for_nothing),
		ETCD_TEST(change_needs_the_revision_that_is_there),
		ETCD_TEST(all_is_written_or_nothing),
		ETCD_TEST(what_is_removed_leaves_a_tombstone),
		ETCD_TEST(backup_takes_the_place_of_a_tombstone),
		ETCD_TEST(versions_of_a_zone_follow_it),
		ETCD_TEST(zone_with_one_value_twice_is_refused),
		ETCD_TEST(more_than_a_transaction_of_etcd_holds_is_written_at_once),
		ETCD_TEST(what_etcd_does_not_take_at_once_is_refused_whole),
		ETCD_TEST(find_brings_an_entry_with_what_it_stands_on),
		ETCD_TEST(names_as_long_as_they_may_be_are_found),
		ETCD_TEST(old_name_finds_nothing),
		ETCD_TEST(write_of_the_same_project_is_decided_anew),
		ETCD_TEST(write_of_another_project_is_not_in_the_way),
		ETCD_TEST(what_is_unique_in_the_store_is_decided_beside_all_projects),
		ETCD_TEST(what_destroys_a_version_is_decided_beside_all_projects),
		ETCD_TEST(two_that_make_the_store_agree),
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
	int failed;

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	running = etcd_server_start();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	etcd_server_stop();
	return failed + cmocka_run_group_tests(guarded_tests, NULL, NULL);
}
