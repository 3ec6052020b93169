/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a database of SQLite comes to a level of the store and back (zones/store/levels.c). A row is
 * never changed once a release has had it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/sqlite/sqlite.h"

#include <inttypes.h>

/* SQL that makes a level out of the one below it, and back; `used` counts what the level below
 * could not keep. */
struct passage {
	const char *up, *down, *used;
};

/* clang-format off */
/* One for each row of zones/store/levels.c. */
static const struct passage passages[] = {
	{ "", "", "SELECT 0" },
#ifdef CMEK_NEXT_LEVELS
	{ "ALTER TABLE zones ADD COLUMN note TEXT NOT NULL DEFAULT ''; CREATE TABLE notes (uid TEXT PRIMARY KEY)",
	  "ALTER TABLE zones DROP COLUMN note; DROP TABLE notes",
	  "SELECT (SELECT count(*) FROM notes) + count(*) FROM zones WHERE note <> ''" },
	{ "CREATE TABLE frozen (zone INTEGER PRIMARY KEY)", "DROP TABLE frozen", "SELECT count(*) FROM frozen" },
#endif
};
/* clang-format on */

static bool is_known(unsigned level)
{
	return level <= COUNT_OF(passages) && store_level_row(level) != NULL;
}

enum zone_status store_check_writer(struct connection *connection)
{
	const struct store_head *head = &connection->head;
	enum zone_status before = connection->store->said;

	if (head->min_writer <= store_level_understood())
		return ZONE_OK;
	store_says(connection->store, ZONE_STORE_NEWER_WRITER,
		   "changing it takes level %u; this release (%s) knows level %u and %s: install "
		   "%s, or run 'cmek store downgrade' with that",
		   head->min_writer, CMEK_VERSION, store_level_understood(),
		   connection->limited ? "opens what carries its record" : "reads it",
		   head->release);
	/* What reading has to say about the store is still logged once, not again after each
	 * refusal. */
	connection->store->said = before;
	return ZONE_STORE_NEWER_WRITER;
}

static enum zone_status count_used(struct connection *connection, unsigned level,
				   int64_t *ret_count)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;

	TRY(connection_prepare(connection, passages[level - 1].used, &statement));
	if (sqlite3_step(statement) != SQLITE_ROW)
		return connection_failed(connection, "looking at what is in use");
	*ret_count = sqlite3_column_int64(statement, 0);
	return ZONE_OK;
}

enum zone_status store_way_back(struct connection *connection, bool *ret_free)
{
	int64_t used = 1;

	*ret_free = false;
	if (connection->limited || connection->head.level < 2 || !is_known(connection->head.level))
		return ZONE_OK;
	TRY(count_used(connection, connection->head.level, &used));
	*ret_free = used == 0;
	return ZONE_OK;
}

static enum zone_status refuse_way(struct connection *connection, enum zone_status status,
				   const char *why)
{
	store_says(connection->store, status, "%s", why);
	connection->store->said = ZONE_OK; /* the next refusal is told too, not just the first */
	return status;
}

static enum zone_status go_down(struct connection *connection, unsigned level)
{
	int64_t used;

	TRY(count_used(connection, level, &used));
	if (used > 0)
		return refuse_way(
			connection, ZONE_IN_USE,
			"what its level switched on is in use, and a lower level can't keep "
			"that: remove it first, or stay at this level");
	return connection_run(connection, passages[level - 1].down);
}

static enum zone_status check_way(struct connection *connection, unsigned from, unsigned to)
{
	if (connection->head.level != from)
		return refuse_way(connection, ZONE_CONFLICT,
				  "somebody has brought it to another level meanwhile; look again: "
				  "cmek store show");
	if (!is_known(from) || !is_known(to))
		return refuse_way(connection, ZONE_INVALID,
				  "this release does not know that level; see: cmek store show");
	return ZONE_OK;
}

static enum zone_status note_level(struct connection *connection, const struct store_level *level)
{
	AUTO(buffer_clear) struct buffer sql = {0};

	buffer_format(&sql,
		      "PRAGMA user_version = %u; UPDATE store SET schema = %u, min_reader = %u, "
		      "min_writer = %u, release = '%s', revision = revision + 1; COMMIT",
		      level->min_reader, level->level, level->min_reader, level->min_writer,
		      level->release);
	return sql.failed ? ZONE_NO_MEMORY : connection_run(connection, buffer_text(&sql));
}

enum zone_status store_bring(struct connection *connection, unsigned from, unsigned to)
{
	TRY(store_check_writer(connection));
	TRY(check_way(connection, from, to));
	for (unsigned level = from; level < to; level++)
		TRY(connection_run(connection, passages[level].up));
	for (unsigned level = from; level > to; level--)
		TRY(go_down(connection, level));
	return from == to ? ZONE_OK : note_level(connection, store_level_row(to));
}
