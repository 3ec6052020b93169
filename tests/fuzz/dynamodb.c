/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes for the answers of DynamoDB: the first byte chooses what is asked of the store, and
 * each line after it is the next answer, the last one for ever. A clock on which time flies ends
 * what would go on and on. Nothing may crash; rows that are told keep the promises of store.h.
 */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/fuzz/fuzz.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdlib.h>

enum { STEP_MS = 40 };

/* --- A clock, and a way on which the lines come */

static int64_t now_ms;

static int64_t pass(void *state)
{
	(void)state;
	return now_ms += STEP_MS;
}

static const struct clock clock_that_flies = {.monotonic_ms = pass, .realtime_ms = pass};

static void do_not_sleep(void *state, int64_t ms)
{
	(void)state;
	now_ms += ms;
}

struct lines {
	struct http http;
	struct bytes left, line;
};

/* A line that begins with an exclamation mark is a refusal. */
static enum http_result send(struct http *http, const struct http_request *request,
			     struct http_answer *answer)
{
	struct lines *lines = (struct lines *)http;
	const uint8_t *end;
	bool refused;

	(void)request;
	if (lines->left.len > 0) {
		end = memchr(lines->left.data, '\n', lines->left.len);
		lines->line =
			bytes(lines->left.data,
			      end == NULL ? lines->left.len : (size_t)(end - lines->left.data));
		lines->left = bytes_after(lines->left, lines->line.len + (end != NULL));
	}
	refused = lines->line.len > 0 && lines->line.data[0] == '!';
	answer->status = refused ? 400 : 200;
	buffer_append(&answer->body, bytes_after(lines->line, refused ? 1 : 0));
	return buffer_text(&answer->body) == NULL ? HTTP_NO_MEMORY : HTTP_ANSWERED;
}

static void do_nothing(struct http *http)
{
	(void)http;
}

static const struct http_operations operations = {
	.send = send, .abandon = do_nothing, .free = do_nothing};

/* --- What is asked */

static void check_news(const struct store_news *news)
{
	for (size_t i = 0; i < news->count; i++) {
		const struct store_row *row = &news->rows[i];

		if (row->entry == NULL || row->entry->revision == 0)
			abort();
		if (!row->removed && !news->limited && row->entry->kind == ENTRY_ZONE &&
		    !rows_zone_is_whole(row->entry))
			abort();
	}
}

static enum zone_status want_one(void *state, struct store_news *news,
				 struct store_change **ret_changes, size_t *ret_count)
{
	struct store_change *change = state;

	check_news(news);
	change->entry->revision = 0;
	*ret_changes = change;
	*ret_count = 1;
	return ZONE_OK;
}

static void write_one(struct store *store, const struct store_cursor *since)
{
	AUTO(entry_releasep) struct entry *key = entry_new(ENTRY_KEY);
	struct store_change change = {.entry = key};
	struct store_cursor cursor;

	if (key != NULL && entry_set_text(&key->label, bytes_of("k")))
		store->operations->write(store, since, want_one, &change, &cursor);
}

static void find_by(struct store *store, enum store_by by)
{
	const struct store_key key = {.by = by,
				      .kind = ENTRY_ZONE,
				      .uid = {{0xb0}},
				      .project = {{0xa0}},
				      .zone = 7,
				      .label = bytes_of("prod")};
	AUTO(store_news_clear) struct store_news news = {0};

	if (store->operations->find(store, &key, &news) == ZONE_OK)
		check_news(&news);
}

static void list_some(struct store *store)
{
	struct uid after = {0}, before;
	bool end = false;

	for (int page = 0; page < 8 && !end; page++) {
		AUTO(store_news_clear) struct store_news news = {0};

		before = after;
		if (store->operations->list(store, (struct uid){{0xa0}}, &after, &news, &end) !=
		    ZONE_OK)
			return;
		check_news(&news);
		if (!end && uid_equal(before, after))
			abort();
	}
}

static void read_twice(struct store *store, bool few)
{
	struct store_cursor since = {0};

	for (int i = 0; i < 2; i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		if ((few ? store->operations->read_few(store, &since, 1, &news)
			 : store->operations->read(store, &since, &news)) != ZONE_OK)
			return;
		check_news(&news);
		since = news.cursor;
	}
}

static void look_at(struct store *store)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct store_facts facts;

	store->operations->look_at(store, &facts);
	store->operations->examine(store, &text);
}

static void ask(struct store *store, unsigned what)
{
	static const struct store_cursor nothing;

	if (what == 0 || what == 9)
		read_twice(store, false);
	if (what == 1)
		read_twice(store, true);
	if (what == 2 || what == 9)
		list_some(store);
	if (what == 3)
		write_one(store, &nothing);
	if (what == 4)
		look_at(store);
	if (what >= 5 && what <= 8)
		find_by(store, (enum store_by)(what - 5));
}

static void begin(void)
{
	static bool begun;

	if (begun)
		return;
	begun = true;
	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		abort();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_settings settings = {
		.table = {"cmek", NULL}, .region = {"eu-central-1", NULL}, .no_threads = true};
	struct lines lines = {.http.operations = &operations};
	const struct aws_transport transport = {.http = &lines.http, .sleep = do_not_sleep};
	struct store *store;

	if (size == 0)
		return 0;
	begin();
	now_ms = 0;
	lines.left = bytes(data + 1, size - 1);
	store = dynamodb_new(&settings, &transport, &clock_that_flies);
	if (store == NULL)
		abort();
	ask(store, data[0] % 10);
	store->operations->free(store);
	return 0;
}
