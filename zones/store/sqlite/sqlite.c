/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store's functions: each visit takes the lock, opens a connection, does its work and leaves
 * nothing open. */
#include "zones/store/sqlite/sqlite.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/sqlite/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* File systems round their times, some to two seconds: what was changed so shortly before we looked
 * may have been changed once more since without a new time. */
enum { TIME_GRAIN_MS = 2000 };

/* To read so many rows takes some ten milliseconds; one by its key takes a fraction of one. */
enum { WHOLE_ROWS = 1000 };

static struct store_sqlite *own(struct store *store)
{
	return (struct store_sqlite *)store;
}

struct visit {
	int lock;
	bool taken;
	bool exclusive; /* it may write */
};

static void visit_end(struct visit *visit)
{
	if (visit->taken)
		store_unlock(visit->lock);
}

static enum zone_status visit_begin(struct store_sqlite *store, bool exclusive, struct visit *visit)
{
	TRY(store_lock(store, exclusive, &visit->lock));
	visit->taken = true;
	visit->exclusive = exclusive;
	return ZONE_OK;
}

/* A transaction that was interrupted left its journal: the first reader that may write must roll it
 * back, alone. */
static enum zone_status visit_begin_reading(struct store_sqlite *store, struct visit *visit)
{
	TRY(visit_begin(store, false, visit));
	if (access(store->journal_path, F_OK) != 0 || !store_is_writable(store))
		return ZONE_OK;
	visit_end(visit);
	visit->taken = false;
	return visit_begin(store, true, visit);
}

static int64_t now_ms(void)
{
	return clock_system.realtime_ms(clock_system.state);
}

/* Notes what the file looks like now, before the lock is given back. */
static void look(struct store_sqlite *store, const char *id, bool limited)
{
	struct stat found = {0};

	if (stat(store->path, &found) != 0)
		found = (struct stat){0};
	store->seen = found;
	store->seen_at_ms = now_ms();
	store->looked = true;
	snprintf(store->id, sizeof(store->id), "%s", id);
	store->limited = limited;
	/* What it needs is said once, not at each look. */
	store->said = limited ? ZONE_STORE_NEWER : ZONE_OK;
	if (store->gone)
		log_notice("store %s: it is back", store->path);
	store->gone = false;
}

/* --- A cursor is the store's revision; there is no cursor before the first. */

static struct store_cursor cursor_of(uint64_t revision)
{
	struct store_cursor cursor = {0};

	if (revision == 0)
		return cursor;
	cursor.len = sizeof(revision);
	memcpy(cursor.data, &revision, sizeof(revision));
	return cursor;
}

static uint64_t revision_of(const struct store_cursor *cursor)
{
	uint64_t revision = 0;

	if (cursor->len == sizeof(revision))
		memcpy(&revision, cursor->data, sizeof(revision));
	return revision;
}

/* --- Reading and writing */

static void nothing_there(struct store_news *ret_news)
{
	*ret_news = (struct store_news){.whole = true};
}

/* Of a look: what was read before, and how many rows are read as a whole. */
struct look_for {
	uint64_t since;
	size_t most;
};

/* Another store, the same one from an old backup, or one that was read by other rules than now:
 * nothing that is known of it counts any more. */
static bool goes_on(const struct connection *connection, uint64_t since)
{
	return since != 0 && strcmp(connection->id, connection->store->id) == 0 &&
	       connection->revision >= since && !connection->limited && !connection->store->limited;
}

static enum zone_status read_whole(struct connection *connection, const struct look_for *look_for,
				   struct store_news *news)
{
	news->whole = true;
	connection->store->count.good = false; /* another file, perhaps */
	connection->store->seen_zones.good = false;
	if (connection->limited)
		return store_read_every_level(connection, news);
	/* What is known already is another store's, else: that is rare, and read as a whole. */
	if (look_for->since == 0 && look_for->most != SIZE_MAX)
		TRY(store_has_more(connection, look_for->most, &news->partial));
	if (!news->partial)
		return store_read_rows(connection, 0, news);
	news->zones_counted = true;
	TRY(store_count_zones(connection, &news->zones));
	return store_read_few(connection, news);
}

static size_t count_buried_zones(const struct store_news *news)
{
	size_t count = 0;

	for (size_t i = 0; i < news->count; i++)
		count += news->rows[i].removed && news->rows[i].entry->kind == ENTRY_ZONE;
	return count;
}

/* Whoever knows a part of the store can't tell by the number of what it knows that rows of zones
 * went without a tombstone: there are fewer than at the last look, and too few tombstones. */
static bool lost_some(const struct store_sqlite *store, uint64_t since,
		      const struct store_news *news)
{
	return store->seen_zones.good && store->seen_zones.revision == since &&
	       news->zones + count_buried_zones(news) < store->seen_zones.zones;
}

static void note_zones(struct store_sqlite *store, uint64_t revision, size_t zones)
{
	store->seen_zones = (struct store_seen){true, revision, zones};
}

static enum zone_status read_on(struct connection *connection, uint64_t since,
				struct store_news *news)
{
	if (connection->revision != since)
		TRY(store_read_rows(connection, since, news));
	TRY(store_count_zones(connection, &news->zones));
	news->zones_counted = true;
	return ZONE_OK;
}

static enum zone_status read_news(struct connection *connection, const struct look_for *look_for,
				  struct store_news *ret_news)
{
	AUTO(store_news_clear) struct store_news news = {0};
	bool whole = !goes_on(connection, look_for->since);

	if (!whole) {
		TRY(read_on(connection, look_for->since, &news));
		whole = lost_some(connection->store, look_for->since, &news);
	}
	if (whole) {
		store_news_clear(&news);
		TRY(read_whole(connection, look_for, &news));
	}
	news.cursor = cursor_of(connection->revision);
	news.limited = connection->limited;
	if (news.partial || (!whole && connection->store->seen_zones.good))
		note_zones(connection->store, connection->revision, news.zones);
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

static enum zone_status read_some(struct store_sqlite *store, const struct look_for *look_for,
				  struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};

	TRY(store_check_reach(store));
	TRY(store_follow(store));
	if (!store_exists(store)) {
		nothing_there(ret_news);
		return ZONE_OK;
	}
	TRY(visit_begin_reading(store, &visit));
	TRY(store_check_reach(store));
	if (!store_exists(store)) {
		nothing_there(ret_news);
		look(store, "", false);
		return ZONE_OK;
	}
	TRY(connection_open(&connection, store, visit.exclusive));
	TRY(read_news(&connection, look_for, ret_news));
	look(store, connection.id, connection.limited);
	return ZONE_OK;
}

static enum zone_status sqlite_read(struct store *base, const struct store_cursor *since,
				    struct store_news *ret_news)
{
	const struct look_for look_for = {revision_of(since), SIZE_MAX};

	return read_some(own(base), &look_for, ret_news);
}

static enum zone_status sqlite_read_few(struct store *base, const struct store_cursor *since,
					size_t most, struct store_news *ret_news)
{
	const struct look_for look_for = {revision_of(since), most};

	return read_some(own(base), &look_for, ret_news);
}

static bool sqlite_changed(struct store *base)
{
	const struct store_sqlite *store = own(base);
	struct stat found = {0};
	int64_t changed_ms;

	if (stat(store->path, &found) != 0)
		found = (struct stat){0};
	if (!store->looked || store->gone || found.st_dev != store->seen.st_dev ||
	    found.st_ino != store->seen.st_ino || found.st_size != store->seen.st_size ||
	    memcmp(&found.st_mtim, &store->seen.st_mtim, sizeof(found.st_mtim)) != 0 ||
	    memcmp(&found.st_ctim, &store->seen.st_ctim, sizeof(found.st_ctim)) != 0)
		return true;
	changed_ms = (int64_t)found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1000000;
	return found.st_ino != 0 && store->seen_at_ms - changed_ms < TIME_GRAIN_MS;
}

/* What a transaction is asked to do. */
struct wish {
	store_decide *decide;
	void *state;
	struct store_change *changes;
	size_t count;
};

static enum zone_status decide(struct wish *wish, struct store_news *news)
{
	AUTO(store_news_clear) struct store_news taken = *news;

	*news = (struct store_news){0};
	return wish->decide(wish->state, &taken, &wish->changes, &wish->count);
}

static enum zone_status write_changes(struct connection *connection, const struct wish *wish,
				      uint64_t revision)
{
	AUTO(buffer_clear) struct buffer sql = {0};
	struct store_count count = connection->count;

	/* What is written here is one change of the file. If it is not, the next look counts. */
	connection->store->count.good = false;
	count.counter++;
	for (size_t i = 0; i < wish->count; i++) {
		store_count_change(&count, &wish->changes[i]);
		TRY(store_write_change(connection, &wish->changes[i], revision));
	}
	buffer_format(&sql, "UPDATE store SET revision = %" PRIu64 "; COMMIT", revision);
	if (sql.failed)
		return ZONE_NO_MEMORY;
	TRY(connection_run(connection, buffer_text(&sql)));
	connection->store->count = count;
	if (connection->store->seen_zones.good)
		note_zones(connection->store, revision, count.zones);
	for (size_t i = 0; i < wish->count; i++)
		if (!wish->changes[i].remove)
			wish->changes[i].entry->revision = revision;
	return ZONE_OK;
}

static enum zone_status change(struct connection *connection, uint64_t since, struct wish *wish,
			       struct store_cursor *ret_cursor)
{
	AUTO(store_news_clear) struct store_news news = {0};
	const struct look_for look_for = {since, SIZE_MAX};
	uint64_t revision = connection->revision;

	TRY(read_news(connection, &look_for, &news));
	/* From here on the caller knows what was read. */
	snprintf(connection->store->id, sizeof(connection->store->id), "%s", connection->id);
	connection->store->limited = false;
	TRY(decide(wish, &news));
	if (wish->count > 0) {
		TRY(write_changes(connection, wish, revision + 1));
		revision++;
	}
	*ret_cursor = cursor_of(revision);
	return ZONE_OK;
}

/* Where no store is yet, one is made only if there is something to write. */
static enum zone_status begin_store(struct store_sqlite *store, struct wish *wish)
{
	AUTO(store_news_clear) struct store_news nothing = {0};

	nothing_there(&nothing);
	TRY(decide(wish, &nothing));
	return wish->count == 0 ? ZONE_OK : store_create(store);
}

static enum zone_status write_first(struct store_sqlite *store, struct wish *wish,
				    struct store_cursor *ret_cursor)
{
	AUTO(connection_close) struct connection connection = {0};

	TRY(begin_store(store, wish));
	*ret_cursor = cursor_of(0);
	if (wish->count == 0)
		return ZONE_OK;
	TRY(connection_open(&connection, store, true));
	TRY(write_changes(&connection, wish, 1));
	*ret_cursor = cursor_of(1);
	look(store, connection.id, false);
	return ZONE_OK;
}

/* Alone under its lock, it asks once. */
static enum zone_status sqlite_write(struct store *base, const struct store_cursor *since,
				     store_decide *decide_it, void *state,
				     struct store_cursor *ret_cursor)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct store_sqlite *store = own(base);
	struct wish wish = {.decide = decide_it, .state = state};
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};

	TRY(store_check_reach(store));
	TRY(store_follow(store));
	if (!file_make_folders(store->folder))
		return store_failed(store, ZONE_STORE_READ_ONLY, "making its folder", errno);
	TRY(visit_begin(store, true, &visit));
	TRY(store_check_reach(store));
	if (!store_exists(store))
		return write_first(store, &wish, ret_cursor);
	TRY(connection_open(&connection, store, true));
	TRY(store_check_writer(&connection));
	TRY(change(&connection, revision_of(since), &wish, ret_cursor));
	look(store, connection.id, false);
	return ZONE_OK;
}

/* --- By a key, and page by page */

/* The store is there, and the lock held. */
static enum zone_status reach(struct store_sqlite *store, bool exclusive, struct visit *visit)
{
	TRY(store_check_reach(store));
	TRY(store_follow(store));
	if (!store_exists(store))
		return ZONE_NOT_FOUND;
	TRY(exclusive ? visit_begin(store, true, visit) : visit_begin_reading(store, visit));
	return store_exists(store) ? ZONE_OK : ZONE_NOT_FOUND;
}

/* Rows alone are good only beside what is known of the same store. */
static enum zone_status open_known(struct store_sqlite *store, struct visit *visit,
				   struct connection *connection)
{
	TRY(reach(store, false, visit));
	TRY(connection_open(connection, store, visit->exclusive));
	if (connection->limited)
		return ZONE_STORE_NEWER;
	if (store->id[0] == '\0' || strcmp(connection->id, store->id) == 0)
		return ZONE_OK;
	store->looked = false;
	return store_says(store, ZONE_STORE_UNAVAILABLE,
			  "another store has taken its place; it is read at the next look");
}

static enum zone_status sqlite_find(struct store *base, const struct store_key *key,
				    struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	enum zone_status status = open_known(own(base), &visit, &connection);

	if (status != ZONE_OK)
		return status == ZONE_NOT_FOUND ? ZONE_OK : status;
	TRY(store_find(&connection, key, &news));
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

static enum zone_status sqlite_list(struct store *base, struct uid project, struct uid *after,
				    struct store_news *ret_news, bool *ret_end)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};
	AUTO(store_news_clear) struct store_news news = {0};
	enum zone_status status = open_known(own(base), &visit, &connection);

	*ret_end = true;
	if (status != ZONE_OK)
		return status == ZONE_NOT_FOUND ? ZONE_OK : status;
	TRY(store_list(&connection, project, after, &news, ret_end));
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

/* --- Levels */

static enum zone_status sqlite_look_at(struct store *base, struct store_facts *ret_facts)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct store_sqlite *store = own(base);
	struct store_facts facts = {.path = store->path};
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};
	enum zone_status status = reach(store, false, &visit);

	if (status == ZONE_OK) {
		TRY(connection_open(&connection, store, visit.exclusive));
		TRY(store_way_back(&connection, &facts.way_back));
		facts.exists = true;
		snprintf(facts.id, sizeof(facts.id), "%s", connection.id);
		facts.writable = store_is_writable(store);
		facts.revision = connection.revision;
		facts.head = connection.head;
	} else if (status != ZONE_NOT_FOUND) {
		return status;
	}
	*ret_facts = facts;
	return ZONE_OK;
}

static enum zone_status sqlite_bring(struct store *base, unsigned from, unsigned to)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct store_sqlite *store = own(base);
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};

	TRY(reach(store, true, &visit));
	TRY(connection_open(&connection, store, true));
	return store_bring(&connection, from, to);
}

/* What is deleted is overwritten at once (set_up); this reaches copies that older pages have of it,
 * from before, or by other tools. */
static enum zone_status sqlite_scrub(struct store *base)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct store_sqlite *store = own(base);
	AUTO(visit_end) struct visit visit = {0};
	AUTO(connection_close) struct connection connection = {0};

	TRY(reach(store, true, &visit));
	TRY(connection_open(&connection, store, true));
	TRY(store_check_writer(&connection));
	return connection_run(&connection, "COMMIT; VACUUM");
}

/* --- For doctor */

static enum zone_status check_pages(struct connection *connection, struct buffer *ret_text)
{
	AUTO(statement_closep) sqlite3_stmt *check = NULL;

	TRY(connection_prepare(connection, "PRAGMA quick_check(5)", &check));
	while (sqlite3_step(check) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(check, 0);

		if (line != NULL && strcmp(line, "ok") == 0)
			return ZONE_OK;
		buffer_format(ret_text, "store: %s\n", line == NULL ? "?" : line);
	}
	return ZONE_STORE_CORRUPT;
}

/* Leftovers of somebody who deleted rows only from `zones`, with foreign keys off: keys by which
 * files of a database that seems erased still open. */
static enum zone_status describe_leftovers(struct connection *connection, struct buffer *ret_text)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	int64_t count;

	TRY(connection_prepare(connection,
			       "SELECT count(*) FROM (SELECT zone FROM ezk_versions UNION "
			       "SELECT zone FROM wraps) WHERE zone NOT IN (SELECT zone FROM zones)",
			       &statement));
	if (sqlite3_step(statement) != SQLITE_ROW)
		return connection_failed(connection, "looking for leftovers");
	count = sqlite3_column_int64(statement, 0);
	if (count > 0)
		buffer_format(ret_text,
			      "store: keys of %" PRId64 " databases that are not in zones are left "
			      "in ezk_versions or wraps: they are not erased (docs/erasure.md)\n",
			      count);
	return ZONE_OK;
}

static void describe_levels(const struct connection *connection, struct buffer *ret_text)
{
	const struct store_head *head = &connection->head;
	unsigned own_level = store_level_understood();

	buffer_format(ret_text,
		      "store: level %u, readers need %u, writers %u; this release knows level %u\n",
		      head->level, head->min_reader, head->min_writer, own_level);
	if (head->min_writer > own_level)
		buffer_format(ret_text, "store: it can't be changed from here: install %s\n",
			      head->release);
}

static const char *access_of(const struct connection *connection)
{
	if (connection->head.min_writer > store_level_understood())
		return "readable, not to be changed by this release";
	return store_is_writable(connection->store) ? "writable" : "read-only";
}

static enum zone_status describe_open(struct store_sqlite *store, const struct visit *visit,
				      struct buffer *ret_text)
{
	AUTO(connection_close) struct connection connection = {0};
	AUTO(store_news_clear) struct store_news all = {0};

	store->said = ZONE_OK;
	TRY(connection_open(&connection, store, visit->exclusive));
	describe_levels(&connection, ret_text);
	TRY(check_pages(&connection, ret_text));
	if (connection.limited)
		return ZONE_STORE_NEWER;
	TRY(store_read_rows(&connection, 0, &all));
	buffer_format(ret_text, "store: revision %" PRIu64 ", %zu rows, %s\n", connection.revision,
		      all.count, access_of(&connection));
	if (all.unknown > 0)
		buffer_format(ret_text,
			      "store: %zu rows say what only later releases know; they are not "
			      "used\n",
			      all.unknown);
	return describe_leftovers(&connection, ret_text);
}

static enum zone_status sqlite_describe(struct store *base, struct buffer *ret_text)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct store_sqlite *store = own(base);
	AUTO(visit_end) struct visit visit = {0};

	buffer_format(ret_text, "store: %s (SQLite %s)\n", store->path, sqlite3_libversion());
	TRY(store_check_reach(store));
	TRY(store_follow(store));
	if (!store_exists(store)) {
		buffer_put_text(ret_text, "store: not made yet; the first project makes it\n");
		return ZONE_OK;
	}
	TRY(visit_begin_reading(store, &visit));
	return describe_open(store, &visit, ret_text);
}

/* --- Life */

static void sqlite_free(struct store *base)
{
	struct store_sqlite *store = own(base);

	free(store->path);
	free(store->target);
	free(store->journal_path);
	free(store->lock_path);
	free(store->new_path);
	free(store->folder);
	free(store);
}

/* No connection is ever open while a process forks, so a child has nothing to forget but
 * memory. */
static void sqlite_abandon(struct store *base)
{
	(void)base;
}

static const struct store_operations operations = {
	.read = sqlite_read,
	.read_few = sqlite_read_few,
	.find = sqlite_find,
	.list = sqlite_list,
	.changed = sqlite_changed,
	.write = sqlite_write,
	.describe = sqlite_describe,
	.look_at = sqlite_look_at,
	.bring = sqlite_bring,
	.scrub = sqlite_scrub,
	.free = sqlite_free,
	.abandon = sqlite_abandon,
};

static struct store *sqlite_open(const struct store_settings *settings)
{
	struct store_sqlite *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return NULL;
	store->store.engine = &store_sqlite;
	store->store.operations = &operations;
	store->path = strdup(settings->path);
	if (store->path != NULL)
		return &store->store;
	sqlite_free(&store->store);
	return NULL;
}

const struct store_engine store_sqlite = {
	.name = "sqlite",
	.look_every_ms = 1000, /* a stat */
	.reads_whole = WHOLE_ROWS,
	.takes = "index_max",
	.open = sqlite_open,
};
