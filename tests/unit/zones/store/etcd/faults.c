/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store makes of an etcd that refuses, is slow, or whose answers are lost: each answer is
 * written down here. */
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_http.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/etcd/engine.h"
#include "zones/store/etcd/etcd.h"

#define ENDPOINT	 "https://etcd.example.com:2379"
#define HEADER(revision) "\"header\":{\"cluster_id\":\"7\",\"revision\":\"" revision "\"}"
#define YES(body)                                                                                  \
	{                                                                                          \
		HTTP_ANSWERED, 200, NULL, body                                                     \
	}
#define REFUSAL(status, code, text)                                                                \
	{                                                                                          \
		HTTP_ANSWERED, status, NULL, "{\"error\":\"" text "\",\"code\":" #code "}"         \
	}
#define LOST                                                                                       \
	{                                                                                          \
		HTTP_TIMED_OUT, 0, NULL, NULL                                                      \
	}
#define NO_CONNECTION                                                                              \
	{                                                                                          \
		HTTP_NOT_CONNECTED, 0, NULL, NULL                                                  \
	}
/* No store is there, at revision 5; and what is asked before it is written. */
#define EMPTY                                                                                      \
	YES("{" HEADER("5") ",\"succeeded\":true,\"responses\":[{\"response_range\":{}},"          \
			    "{\"response_range\":{}},{\"response_range\":{}}]}")
#define NOTHING_THERE                                                                              \
	YES("{" HEADER("5") ",\"succeeded\":true,\"responses\":[{\"response_range\":{}},"          \
			    "{\"response_range\":{}}]}")
#define DONE_AT_6     YES("{" HEADER("6") ",\"succeeded\":true}")
#define TOO_LATE_AT_7 YES("{" HEADER("7") "}")

struct bed {
	struct fake_http http;
	struct clock clock;
	struct store *store;
	char folder[64], password[96];
};

static void pass_time(void *state, int64_t ms)
{
	struct fake_http *http = state;

	http->slept_ms += ms;
	http->now_ms += ms;
}

static struct store *open_store(struct bed *bed, struct store_settings settings)
{
	struct store *store;

	settings.endpoint.text = ENDPOINT "/";
	settings.prefix.text = "/p";
	store = etcd_new(&settings, &bed->http.http, &bed->clock, pass_time, &bed->http);
	assert_non_null(store);
	return store;
}

static int begin(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	FILE *file;

	make_test_folder("etcd", bed->folder);
	snprintf(bed->password, sizeof(bed->password), "%s/password", bed->folder);
	file = fopen(bed->password, "w");
	fputs("pass \"word\"\n", file);
	fclose(file);
	fake_http_init(&bed->http);
	bed->clock = fake_http_clock(&bed->http);
	bed->store = open_store(bed, (struct store_settings){0});
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct bed *bed = *state;

	bed->store->operations->free(bed->store);
	remove_test_folder(bed->folder);
	free(bed);
	return 0;
}

/* The rights of a user, in place of nobody's. */
static void become_user(struct bed *bed)
{
	bed->store->operations->free(bed->store);
	bed->store = open_store(bed, (struct store_settings){.user.text = "me",
							     .password_file.text = bed->password});
}

#define SCRIPT(bed, ...)                                                                           \
	static const struct fake_reply replies_[] = {__VA_ARGS__};                                 \
	fake_http_script(&(bed)->http, replies_, COUNT_OF(replies_))

static enum zone_status read_it(struct bed *bed)
{
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	return bed->store->operations->read(bed->store, &nothing, &news);
}

struct wish {
	struct store_change change;
	size_t asks;
};

static enum zone_status wished(void *state, struct store_news *news,
			       struct store_change **ret_changes, size_t *ret_count)
{
	struct wish *wish = state;

	(void)news;
	wish->asks++;
	*ret_changes = &wish->change;
	*ret_count = 1;
	return ZONE_OK;
}

static enum zone_status write_it(struct bed *bed, size_t *ret_asks)
{
	const struct store_cursor nothing = {0};
	struct wish wish = {.change.entry = test_entry(ENTRY_KEY, 1)};
	struct store_cursor cursor;
	enum zone_status status =
		bed->store->operations->write(bed->store, &nothing, wished, &wish, &cursor);

	if (status == ZONE_OK)
		assert_int_equal(wish.change.entry->revision, 6);
	*ret_asks = wish.asks;
	entry_release(wish.change.entry);
	return status;
}

/* --- What keeps it from an answer */

static void each_refusal_has_its_status(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum zone_status status;
		const char *told;
	} rows[] = {
		{REFUSAL(403, 7, "etcdserver: permission denied"), ZONE_STORE_DENIED,
		 "grant this user"},
		{REFUSAL(400, 3, "etcdserver: user name is empty"), ZONE_STORE_NO_CREDENTIALS,
		 "[store] user and password_file"},
		{REFUSAL(401, 16, "etcdserver: invalid auth token"), ZONE_STORE_NO_CREDENTIALS,
		 "password_file"},
		{REFUSAL(429, 8, "etcdserver: too many requests"), ZONE_STORE_THROTTLED,
		 "try again later"},
		{REFUSAL(503, 14, "etcdserver: no leader"), ZONE_STORE_UNAVAILABLE, "health"},
		{{HTTP_ANSWERED, 502, NULL, "<html>"}, ZONE_STORE_UNAVAILABLE, "502"},
		{{HTTP_ANSWERED, 404, NULL, "nothing"}, ZONE_STORE_UNAVAILABLE, "JSON gateway"},
		{{HTTP_ANSWERED, 403, NULL, "no"}, ZONE_STORE_DENIED, "before etcd"},
		{{HTTP_ANSWERED, 429, NULL, ""}, ZONE_STORE_THROTTLED, "later"},
		{{HTTP_ANSWERED, 200, NULL, "[]"}, ZONE_STORE_UNAVAILABLE, "etcd does not"},
		{{HTTP_ANSWERED, 200, NULL, "{}"}, ZONE_STORE_UNAVAILABLE, "etcd does not"},
		{{HTTP_UNTRUSTED, 0, NULL, NULL}, ZONE_STORE_UNAVAILABLE, "ordered fault"},
		{NO_CONNECTION, ZONE_STORE_UNAVAILABLE, "ordered fault"},
		{LOST, ZONE_STORE_UNAVAILABLE, "ordered fault"},
		{{HTTP_NO_MEMORY, 0, NULL, NULL}, ZONE_NO_MEMORY, ""},
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fake_http_script(&bed->http, &rows[i].reply, 1);
		if (read_it(bed) != rows[i].status)
			fail_msg("row %zu: %s", i, log_last());
		if (strstr(log_last(), rows[i].told) == NULL)
			fail_msg("row %zu: '%s' is not in: %s", i, rows[i].told, log_last());
	}
}

static void reading_is_tried_again_but_not_for_ever(void **state)
{
	struct bed *bed = *state;

	{
		SCRIPT(bed, LOST, REFUSAL(503, 14, "etcdserver: leader changed"), EMPTY);
		assert_int_equal(read_it(bed), ZONE_OK);
		assert_int_equal(bed->http.request_count, 3);
	}
	{
		SCRIPT(bed, LOST);
		assert_int_equal(read_it(bed), ZONE_STORE_UNAVAILABLE);
		assert_int_equal(bed->http.request_count, 3);
	}
	{
		SCRIPT(bed, REFUSAL(403, 7, "etcdserver: permission denied"));
		assert_int_equal(read_it(bed), ZONE_STORE_DENIED);
		assert_int_equal(bed->http.request_count, 1);
	}
}

static void let_time_pass(struct fake_http *http)
{
	http->now_ms += http->sent[http->request_count - 1].timeout_ms;
}

static void no_call_takes_longer_than_it_may(void **state)
{
	struct bed *bed = *state;
	int64_t began = bed->http.now_ms;
	size_t asks;

	bed->http.on_send = let_time_pass;
	{
		SCRIPT(bed, LOST);
		assert_int_equal(read_it(bed), ZONE_STORE_UNAVAILABLE);
		assert_in_range(bed->http.now_ms - began, 1, ETCD_READ_MS);
	}
	began = bed->http.now_ms;
	{
		SCRIPT(bed, EMPTY, NOTHING_THERE, LOST);
		assert_int_equal(write_it(bed, &asks), ZONE_STORE_UNAVAILABLE);
		assert_in_range(bed->http.now_ms - began, 1, ETCD_WAITS_MS);
	}
}

static size_t count(struct buffer *text, const char *words)
{
	size_t found = 0;

	for (const char *at = buffer_text(text); (at = strstr(at, words)) != NULL; at++)
		found++;
	return found;
}

static void an_outage_is_told_once_and_its_end_too(void **state)
{
	struct bed *bed = *state;
	AUTO(buffer_clear) struct buffer text = {0};
	char log[96];

	snprintf(log, sizeof(log), "%s/log", bed->folder);
	assert_true(log_configure(LOG_WARNING, log));
	for (int i = 0; i < 2; i++) {
		SCRIPT(bed, NO_CONNECTION);
		assert_int_equal(read_it(bed), ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), "ordered fault"));
	}
	for (int i = 0; i < 2; i++) {
		SCRIPT(bed, EMPTY);
		assert_int_equal(read_it(bed), ZONE_OK);
	}
	assert_true(log_configure(LOG_OFF, "stderr"));
	file_bytes(log, &text);
	assert_int_equal(count(&text, "ordered fault"), 1);
	assert_int_equal(count(&text, "it is back"), 1);
}

/* --- As whom */

#define TOKEN(text) YES("{" HEADER("5") ",\"token\":\"" text "\"}")

static void a_token_is_fetched_once_and_anew_when_it_is_refused(void **state)
{
	struct bed *bed = *state;

	become_user(bed);
	SCRIPT(bed, TOKEN("one"), EMPTY, EMPTY, REFUSAL(401, 16, "etcdserver: invalid auth token"),
	       TOKEN("two"), EMPTY);
	for (int i = 0; i < 3; i++)
		assert_int_equal(read_it(bed), ZONE_OK);
	assert_int_equal(bed->http.request_count, 6);
	assert_string_equal(bed->http.sent[0].url, ENDPOINT "/v3/auth/authenticate");
	assert_string_equal(bed->http.sent[0].body,
			    "{\"name\":\"me\",\"password\":\"pass \\\"word\\\"\"}");
	assert_null(fake_http_header(&bed->http, 0, "Authorization"));
	assert_string_equal(fake_http_header(&bed->http, 2, "Authorization"), "one");
	assert_null(fake_http_header(&bed->http, 4, "Authorization"));
	assert_string_equal(fake_http_header(&bed->http, 5, "Authorization"), "two");
}

static void a_token_that_is_refused_at_once_ends_it(void **state)
{
	struct bed *bed = *state;

	become_user(bed);
	SCRIPT(bed, TOKEN("one"), REFUSAL(401, 16, "etcdserver: invalid auth token"));
	assert_int_equal(read_it(bed), ZONE_STORE_NO_CREDENTIALS);
	assert_int_equal(bed->http.request_count, 2);
}

static void a_wrong_password_is_told_without_it(void **state)
{
	struct bed *bed = *state;

	become_user(bed);
	{
		SCRIPT(bed, REFUSAL(400, 3,
				    "etcdserver: authentication failed, invalid user ID "
				    "or password"));
		assert_int_equal(read_it(bed), ZONE_STORE_NO_CREDENTIALS);
		assert_null(strstr(log_last(), "pass \""));
	}
	remove(bed->password);
	assert_int_equal(read_it(bed), ZONE_STORE_NO_CREDENTIALS);
	assert_non_null(strstr(log_last(), "can't be read"));
}

/* --- A write whose answer is lost. The token that it left is read out of what was sent. */

static char project_head[512], project_head_where_it_came_too_late[640];
static char project_head_that_others_wrote_since[512];

/* The text of a head in Base64, with one token more. */
static void append_token(const char *value, struct buffer *ret_value)
{
	AUTO(buffer_clear) struct buffer text = {0};

	assert_true(base64_decode(bytes(value, strcspn(value, "\"")), &text));
	buffer_truncate(&text, text.len - strlen("]}"));
	buffer_put_text(&text, ",\"x\"]}");
	base64_append(ret_value, buffer_bytes(&text));
}

/* The head of the project as the transaction wrote it: that operation's value, as it was sent. */
static void remember_head(struct fake_http *http)
{
	const char *body = http->sent[http->request_count - 1].body;
	const char *put = strstr(body, "request_put"), *value;
	char kvs[400];

	while (put != NULL) {
		AUTO(buffer_clear) struct buffer longer = {0};

		value = strstr(put, "\"value\":\"") + 9;
		put = strstr(value, "request_put");
		/* {"format":1,"writes": */
		if (strncmp(value, "eyJmb3JtYXQiOjEsIndyaXRlcyI6", 28) != 0)
			continue;
		snprintf(kvs, sizeof(kvs),
			 "\"kvs\":[{\"key\":\"eA==\",\"mod_revision\":\"6\",\"version\":\"1\","
			 "\"value\":\"%.*s\"}]",
			 (int)strcspn(value, "\""), value);
		snprintf(project_head, sizeof(project_head), "{" HEADER("9") ",%s}", kvs);
		snprintf(project_head_where_it_came_too_late,
			 sizeof(project_head_where_it_came_too_late),
			 "{" HEADER("9") ",\"responses\":[{\"response_range\":{%s}}]}", kvs);
		append_token(value, &longer);
		snprintf(project_head_that_others_wrote_since,
			 sizeof(project_head_that_others_wrote_since),
			 "{" HEADER("9") ",\"kvs\":[{\"key\":\"eA==\",\"mod_revision\":\"8\","
					 "\"version\":\"2\",\"value\":\"%s\"}]}",
			 buffer_text(&longer));
	}
}

#define NO_HEAD_YET	    YES("{" HEADER("8") "}")
#define NO_SPACE	    REFUSAL(429, 8, "etcdserver: mvcc: database space exceeded")
#define HEAD_WITH_OURS	    YES(project_head)
#define TOO_LATE_AFTER_OURS YES(project_head_where_it_came_too_late)
#define OURS_THEN_OTHERS    YES(project_head_that_others_wrote_since)
#define HEAD_OF_OTHERS                                                                             \
	YES("{" HEADER("9") ",\"kvs\":[{\"key\":\"eA==\",\"mod_revision\":\"8\",\"version\":"      \
			    "\"1\",\"value\":\"eyJmb3JtYXQiOjEsIndyaXRlcyI6WyJ4Il19\"}]}")

static void a_write_that_was_done_is_not_done_again(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST, HEAD_WITH_OURS);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->http.request_count, 4);
	assert_string_equal(bed->http.sent[2].url, ENDPOINT "/v3/kv/txn");
	assert_string_equal(bed->http.sent[3].url, ENDPOINT "/v3/kv/range");
}

static void a_write_that_was_not_done_is_sent_again_as_it_was(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, {HTTP_BROKEN, 0, NULL, NULL}, NO_HEAD_YET, DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->http.request_count, 5);
	assert_string_equal(bed->http.sent[2].body, bed->http.sent[4].body);
}

/* It was on its way still when it was sent again. */
static void a_write_that_was_done_late_is_found(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST, NO_HEAD_YET, TOO_LATE_AFTER_OURS);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->http.request_count, 5);
}

/* A store is there, at revision 5. */
static const char *look_at_a_store(void)
{
	static char text[1024];
	AUTO(buffer_clear) struct buffer head = {0};
	AUTO(buffer_clear) struct buffer value = {0};

	rows_put_head("0123456789abcdef0123456789abcdef", store_level_row(1), 0, &head);
	base64_append(&value, buffer_bytes(&head));
	snprintf(text, sizeof(text),
		 "{" HEADER("5") ",\"succeeded\":true,\"responses\":[{\"response_range\":{\"kvs\":["
				 "{\"key\":\"eA==\",\"value\":\"%s\"}]}},{\"response_range\":{}},"
				 "{\"response_range\":{}}]}",
		 buffer_text(&value));
	return text;
}

/* At 6 another project may have been written, as that is in nobody's way. */
static void after_a_lost_write_that_others_followed_nothing_is_passed_over(void **state)
{
	struct bed *bed = *state;
	const struct fake_reply replies[] = {
		YES(look_at_a_store()), YES("{" HEADER("5") "}"), NOTHING_THERE, LOST,
		OURS_THEN_OTHERS,	YES(look_at_a_store()),
	};
	const struct store_cursor nothing = {0};
	struct wish wish = {.change.entry = test_entry(ENTRY_KEY, 1)};
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_cursor cursor;

	bed->http.on_send = remember_head;
	fake_http_script(&bed->http, replies, COUNT_OF(replies));
	assert_int_equal(
		bed->store->operations->write(bed->store, &nothing, wished, &wish, &cursor),
		ZONE_OK);
	assert_int_equal(wish.asks, 1);
	entry_release(wish.change.entry);
	assert_int_equal(bed->store->operations->read(bed->store, &cursor, &news), ZONE_OK);
	assert_non_null(strstr(bed->http.sent[5].body, "\"min_mod_revision\":\"6\""));
}

/* Nor is a store that was made so taken for read. */
static void a_new_store_that_others_wrote_since_is_read_whole(void **state)
{
	struct bed *bed = *state;
	const struct store_cursor nothing = {0};
	struct wish wish = {.change.entry = test_entry(ENTRY_KEY, 1)};
	struct store_cursor cursor;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST, OURS_THEN_OTHERS);
	assert_int_equal(
		bed->store->operations->write(bed->store, &nothing, wished, &wish, &cursor),
		ZONE_OK);
	assert_int_equal(cursor.len, 0);
	entry_release(wish.change.entry);
}

/* As libcurl does, by another connection. */
static void a_write_that_was_sent_twice_unseen_is_done_once(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, TOO_LATE_AFTER_OURS);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
}

static void a_write_that_comes_too_late_is_decided_anew(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, TOO_LATE_AT_7, EMPTY, NOTHING_THERE, DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 2);
}

/* Without memory for it, or by other hands. */
static void a_head_that_can_not_be_read_says_nothing(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST,
	       YES("{" HEADER("9") ",\"kvs\":[{\"key\":\"eA==\",\"version\":\"1\",\"value\":"
				   "\"e30=\"}]}"),
	       HEAD_OF_OTHERS, EMPTY, NOTHING_THERE, DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 2);
	assert_int_equal(bed->http.request_count, 8);
}

static void after_a_lost_write_that_others_overtook_it_is_decided_anew(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, REFUSAL(504, 4, "context deadline exceeded"),
	       HEAD_OF_OTHERS, EMPTY, NOTHING_THERE, DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 2);
}

static void what_can_not_be_found_out_is_told(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = let_time_pass;
	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST);
	assert_int_equal(write_it(bed, &asks), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(asks, 1);
	assert_non_null(strstr(log_last(), "it may have been done; look before it is tried again"));
}

static void a_write_that_was_never_sent_is_sent_again(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, NO_CONNECTION, REFUSAL(429, 8, "too many requests"),
	       DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
}

static void a_write_that_is_denied_where_reading_is_not_is_read_only(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, REFUSAL(403, 7, "etcdserver: permission denied"));
	assert_int_equal(write_it(bed, &asks), ZONE_STORE_READ_ONLY);
	assert_non_null(strstr(log_last(), "may read it but not change it"));
}

static void a_full_etcd_is_told_with_what_to_do(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY, NOTHING_THERE, NO_SPACE, NO_HEAD_YET);
	assert_int_equal(write_it(bed, &asks), ZONE_STORE_FULL);
	assert_int_equal(bed->http.request_count, 4);
	assert_non_null(strstr(log_last(), "quota-backend-bytes"));
}

/* Etcd does the write that uses its space up, and refuses it then. */
static void a_write_that_made_etcd_full_is_done(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, NO_SPACE, HEAD_WITH_OURS);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_non_null(strstr(log_last(), "done all the same"));
}

static void a_write_that_made_etcd_full_and_can_not_be_looked_for_is_told(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = let_time_pass;
	SCRIPT(bed, EMPTY, NOTHING_THERE, NO_SPACE, LOST);
	assert_int_equal(write_it(bed, &asks), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "it may have been done; look before it is tried again"));
}

/* --- An answer was lost, and what is sent then is refused */

static const struct fake_reply refused_then[] = {
	NO_SPACE,
	REFUSAL(403, 7, "etcdserver: permission denied"),
	REFUSAL(413, 3, "etcdserver: request is too large"),
	REFUSAL(401, 16, "etcdserver: invalid auth token"),
	{HTTP_UNTRUSTED, 0, NULL, NULL},
	{HTTP_TOO_LONG, 0, NULL, NULL},
};

static void a_write_that_was_lost_is_found_though_the_next_is_refused(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	for (size_t i = 0; i < COUNT_OF(refused_then); i++) {
		const struct fake_reply replies[] = {EMPTY,	  NOTHING_THERE,   LOST,
						     NO_HEAD_YET, refused_then[i], HEAD_WITH_OURS};

		fake_http_script(&bed->http, replies, COUNT_OF(replies));
		if (write_it(bed, &asks) != ZONE_OK || asks != 1)
			fail_msg("row %zu: %s", i, log_last());
		bed->store->operations->free(bed->store);
		bed->store = open_store(bed, (struct store_settings){0});
	}
}

static void a_write_that_was_lost_is_found_though_etcd_is_not_reached_then(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = remember_head;
	SCRIPT(bed, EMPTY, NOTHING_THERE, LOST, NO_HEAD_YET, NO_CONNECTION, NO_CONNECTION,
	       NO_CONNECTION, HEAD_WITH_OURS);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 1);
	assert_int_equal(bed->http.request_count, 8);
}

static void let_two_seconds_pass(struct fake_http *http)
{
	http->now_ms += 2000;
}

static void a_write_that_was_lost_is_not_said_to_be_undone_by_a_refusal(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	bed->http.on_send = let_two_seconds_pass;
	for (size_t i = 0; i < COUNT_OF(refused_then); i++) {
		const struct fake_reply replies[] = {EMPTY,	      NOTHING_THERE,   LOST,
						     NO_HEAD_YET,     refused_then[i], NO_HEAD_YET,
						     refused_then[i], NO_HEAD_YET};

		fake_http_script(&bed->http, replies, COUNT_OF(replies));
		if (write_it(bed, &asks) != ZONE_STORE_UNAVAILABLE || asks != 1 ||
		    strstr(log_last(), "it may have been done; look before it is tried again") ==
			    NULL)
			fail_msg("row %zu: %s", i, log_last());
	}
}

static void what_was_compacted_is_read_as_it_is_now(void **state)
{
	struct bed *bed = *state;
	size_t asks;

	SCRIPT(bed, EMPTY,
	       REFUSAL(400, 11, "etcdserver: mvcc: required revision has been compacted"), EMPTY,
	       NOTHING_THERE, DONE_AT_6);
	assert_int_equal(write_it(bed, &asks), ZONE_OK);
	assert_int_equal(asks, 2);
}

/* --- What is sent */

static void requests_bear_what_is_set(void **state)
{
	struct bed *bed = *state;

	bed->store->operations->free(bed->store);
	bed->store = open_store(bed, (struct store_settings){.ca_bundle.text = "/etc/ca.pem"});
	SCRIPT(bed, EMPTY);
	assert_int_equal(read_it(bed), ZONE_OK);
	assert_string_equal(bed->http.sent[0].url, ENDPOINT "/v3/kv/txn");
	assert_string_equal(bed->http.sent[0].method, "POST");
	assert_string_equal(bed->http.sent[0].ca_bundle, "/etc/ca.pem");
	assert_string_equal(bed->http.sent[0].proxy, "");
	assert_int_equal(bed->http.sent[0].timeout_ms, ETCD_ATTEMPT_MS);
	/* "/p/head" */
	assert_non_null(strstr(bed->http.sent[0].body, "\"key\":\"L3AvaGVhZA==\""));
}

static void settings_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		struct store_settings settings;
		const char *told;
	} rows[] = {
		{{.backend = "etcd", .backend_at = "f line 2"},
		 "f line 2: [store] backend = etcd: needs [store] endpoint = https://HOST:PORT"},
		{{.endpoint = {"ftp://e", "f line 3"}},
		 "f line 3: [store] endpoint = ftp://e: should be https://HOST[:PORT]"},
		{{.endpoint = {"https://me:secret@e", NULL}},
		 "[store] endpoint = @e: should be https://HOST[:PORT]"},
		{{.endpoint = {"https://e/path", NULL}},
		 "[store] endpoint = https://e/path: should be https://HOST[:PORT]"},
		{{.endpoint = {"http://e:2379", NULL}},
		 "[store] endpoint = http://e:2379: http is only for this machine itself; use "
		 "https"},
		{{.endpoint = {"https://e", NULL}, .prefix = {"/a b", NULL}},
		 "[store] prefix = /a b: should be at most 256 letters, digits, '-', '.', '_' and "
		 "'/'"},
		{{.endpoint = {"https://e", NULL}, .prefix = {"/", NULL}},
		 "[store] prefix = /: should be at most 256 letters, digits, '-', '.', '_' and "
		 "'/'"},
		{{.endpoint = {"https://e", NULL}, .user = {"u", NULL}},
		 "[store] user: needs [store] password_file as well"},
		{{.endpoint = {"https://e", NULL}, .password_file = {"/p", NULL}},
		 "[store] password_file: needs [store] user as well"},
		{{.endpoint = {"https://e", NULL}, .client_certificate = {"/c", NULL}},
		 "[store] client_certificate: needs [store] client_key as well"},
		{{.endpoint = {"https://e", NULL}, .client_key = {"/k", NULL}},
		 "[store] client_key: needs [store] client_certificate as well"},
	};
	const struct store_settings good = {.endpoint = {"http://127.0.0.1:2379", NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(store_etcd.check(&rows[i].settings), ZONE_INVALID);
		assert_string_equal(log_last(), rows[i].told);
	}
	assert_int_equal(store_etcd.check(&good), ZONE_OK);
}

/* 2026-11-02 10:00:00 UTC. */
static int64_t at_ten(void *state)
{
	(void)state;
	return INT64_C(1793613600000);
}

static void described_at(struct bed *bed, const char *date, const char *expected)
{
	const struct fake_reply reply = {HTTP_ANSWERED, 200, date,
					 "{" HEADER("5") ",\"succeeded\":true,\"responses\":["
							 "{\"response_range\":{}},"
							 "{\"response_range\":{}},"
							 "{\"response_range\":{}}]}"};
	AUTO(buffer_clear) struct buffer text = {0};

	fake_http_script(&bed->http, &reply, 1);
	assert_int_equal(bed->store->operations->describe(bed->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), expected));
}

static void doctor_hears_how_far_the_clocks_are_apart(void **state)
{
	struct bed *bed = *state;

	bed->clock.realtime_ms = at_ten;
	described_at(bed, NULL, "not made yet");
	described_at(bed, "Date: Mon, 02 Nov 2026 10:00:59 GMT\r\n", "this host's agree\n");
	described_at(bed, "Date: Mon, 02 Nov 2026 10:02:00 GMT\r\n",
		     "warning: its clock is 120 seconds ahead of this host's");
	described_at(bed, "Date: Mon, 02 Nov 2026 09:58:00 GMT\r\n",
		     "warning: its clock is 120 seconds behind this host's");
}

#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT_TEST(each_refusal_has_its_status),
		FAULT_TEST(reading_is_tried_again_but_not_for_ever),
		FAULT_TEST(no_call_takes_longer_than_it_may),
		FAULT_TEST(an_outage_is_told_once_and_its_end_too),
		FAULT_TEST(a_token_is_fetched_once_and_anew_when_it_is_refused),
		FAULT_TEST(a_token_that_is_refused_at_once_ends_it),
		FAULT_TEST(a_wrong_password_is_told_without_it),
		FAULT_TEST(a_write_that_was_done_is_not_done_again),
		FAULT_TEST(a_write_that_was_not_done_is_sent_again_as_it_was),
		FAULT_TEST(a_write_that_was_done_late_is_found),
		FAULT_TEST(after_a_lost_write_that_others_followed_nothing_is_passed_over),
		FAULT_TEST(a_new_store_that_others_wrote_since_is_read_whole),
		FAULT_TEST(a_write_that_was_sent_twice_unseen_is_done_once),
		FAULT_TEST(a_write_that_comes_too_late_is_decided_anew),
		FAULT_TEST(a_head_that_can_not_be_read_says_nothing),
		FAULT_TEST(after_a_lost_write_that_others_overtook_it_is_decided_anew),
		FAULT_TEST(what_can_not_be_found_out_is_told),
		FAULT_TEST(a_write_that_was_never_sent_is_sent_again),
		FAULT_TEST(a_write_that_is_denied_where_reading_is_not_is_read_only),
		FAULT_TEST(a_full_etcd_is_told_with_what_to_do),
		FAULT_TEST(a_write_that_made_etcd_full_is_done),
		FAULT_TEST(a_write_that_made_etcd_full_and_can_not_be_looked_for_is_told),
		FAULT_TEST(a_write_that_was_lost_is_found_though_the_next_is_refused),
		FAULT_TEST(a_write_that_was_lost_is_found_though_etcd_is_not_reached_then),
		FAULT_TEST(a_write_that_was_lost_is_not_said_to_be_undone_by_a_refusal),
		FAULT_TEST(what_was_compacted_is_read_as_it_is_now),
		FAULT_TEST(requests_bear_what_is_set),
		FAULT_TEST(doctor_hears_how_far_the_clocks_are_apart),
		cmocka_unit_test(settings_that_do_not_fit_are_refused),
	};

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
