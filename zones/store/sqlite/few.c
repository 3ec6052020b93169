/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Of a store that a process knows but a part of: rows by a key, with what they stand on, and page
 * by page. Each condition has an index (schema.c); a store of an earlier build may lack some, and
 * then its table is gone through. */
#include "base/macros.h"
#include "zones/store/sqlite/sqlite.h"

enum { PAGE_ROWS = 250 };

enum zone_status store_has_more(struct connection *connection, size_t most, bool *ret_more)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	AUTO(buffer_clear) struct buffer sql = {0};

	/* No more are counted than it takes to know. */
	buffer_put_text(&sql, "SELECT count(*) FROM (");
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		buffer_format(&sql, "SELECT 1 FROM %s UNION ALL ", store_tables[kind].name);
	buffer_format(&sql, "SELECT 1 FROM tombstones LIMIT %zu)", most + 1);
	if (sql.failed)
		return ZONE_NO_MEMORY;
	TRY(connection_prepare(connection, buffer_text(&sql), &statement));
	if (sqlite3_step(statement) != SQLITE_ROW)
		return connection_failed(connection, "counting its rows");
	*ret_more = (uint64_t)sqlite3_column_int64(statement, 0) > most;
	return ZONE_OK;
}

/* --- By a key */

static bool has(const struct store_news *news, struct uid uid)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, uid))
			return true;
	return false;
}

/* A statement whose parameters have been bound. */
static enum zone_status take_bound(struct reading *reading, enum entry_kind kind,
				   const struct columns *parameters)
{
	return parameters->failed ? connection_failed(reading->connection, "binding values")
				  : reading_take(reading, kind, parameters->statement);
}

/* `kind` ENTRY_KIND_COUNT: its tombstone. */
static enum zone_status find_uid(struct reading *reading, enum entry_kind kind, struct uid uid)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	if (has(reading->news, uid))
		return ZONE_OK;
	TRY(reading_select(reading, kind, "uid = ?1", &statement));
	parameters.statement = statement;
	put_uid(&parameters, uid);
	return take_bound(reading, kind, &parameters);
}

static enum zone_status find_by_uid(struct reading *reading, struct uid uid)
{
	for (int kind = 0; kind <= ENTRY_KIND_COUNT; kind++)
		TRY(find_uid(reading, (enum entry_kind)kind, uid));
	return ZONE_OK;
}

static enum zone_status find_number(struct reading *reading, enum entry_kind kind,
				    const char *where, uint64_t number)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(reading_select(reading, kind, where, &statement));
	parameters.statement = statement;
	put_integer(&parameters, (int64_t)number);
	return take_bound(reading, kind, &parameters);
}

/* With the tombstone of another row that had the id: that outlives whatever took its place. */
static enum zone_status find_by_zone(struct reading *reading, uint64_t zone)
{
	TRY(find_number(reading, ENTRY_ZONE, "zone = ?1", zone));
	return find_number(reading, ENTRY_KIND_COUNT, "number = ?1 AND kind = 'zone'", zone);
}

static enum zone_status find_by_label(struct reading *reading, const struct store_key *key)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	if (key->label.len > LABEL_MAX)
		return ZONE_OK;
	TRY(reading_select(reading, key->kind, "project = ?1 AND label = ?2 AND state = 'active'",
			   &statement));
	parameters.statement = statement;
	put_uid(&parameters, key->project);
	parameters.failed |= sqlite3_bind_text(statement, 2, (const char *)key->label.data,
					       (int)key->label.len, SQLITE_STATIC) != SQLITE_OK;
	return take_bound(reading, key->kind, &parameters);
}

/* And what it stands on. */
static enum zone_status find_parents(struct reading *reading, const struct entry *entry)
{
	const size_t before = reading->news->count;
	const struct entry *cluster;

	TRY(find_uid(reading, ENTRY_PROJECT, entry->project));
	if (entry->kind != ENTRY_ZONE)
		return ZONE_OK;
	TRY(find_uid(reading, ENTRY_CLUSTER, entry->of_zone.cluster));
	if (reading->news->count == before)
		return ZONE_OK;
	cluster = reading->news->rows[reading->news->count - 1].entry;
	return cluster->kind == ENTRY_CLUSTER
		       ? find_uid(reading, ENTRY_ROOT_KEY, cluster->of_cluster.root_key)
		       : ZONE_OK;
}

static enum zone_status find_rows(struct reading *reading, const struct store_key *key)
{
	switch (key->by) {
	case STORE_BY_UID:
		return find_by_uid(reading, key->uid);
	case STORE_BY_ZONE:
		return find_by_zone(reading, key->zone);
	case STORE_BY_LABEL:
		return find_by_label(reading, key);
	case STORE_BY_IMPORT:
		return find_number(
			reading, ENTRY_ZONE,
			"zone IN (SELECT zone FROM ezk_versions WHERE record_zone = ?1 AND "
			"record_zone <> 0)",
			key->zone);
	}
	return ZONE_OK;
}

enum zone_status store_find(struct connection *connection, const struct store_key *key,
			    struct store_news *news)
{
	AUTO(reading_clear) struct reading reading = {0};
	size_t found;

	TRY(reading_begin(connection, news, &reading));
	TRY(find_rows(&reading, key));
	found = news->count;
	for (size_t i = 0; i < found; i++)
		if (!news->rows[i].removed)
			TRY(find_parents(&reading, news->rows[i].entry));
	return ZONE_OK;
}

/* --- Page by page */

/* The last uid of a page. */
static enum zone_status page_end(struct connection *connection, struct uid project,
				 struct uid after, struct uid *ret_last, bool *ret_end)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};
	int result, count = 0;

	TRY(connection_prepare(connection,
			       "SELECT uid FROM zones WHERE project = ?1 AND uid > ?2 UNION ALL "
			       "SELECT uid FROM token_keys WHERE project = ?1 AND uid > ?2 "
			       "ORDER BY uid LIMIT ?3",
			       &statement));
	parameters.statement = statement;
	put_uid(&parameters, project);
	put_uid(&parameters, after);
	put_integer(&parameters, PAGE_ROWS);
	*ret_last = after;
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		struct columns columns = {.statement = statement};

		*ret_last = take_uid(&columns);
		if (columns.failed)
			return connection_damaged(connection, "a uid is none that we write");
		count++;
	}
	*ret_end = count < PAGE_ROWS;
	return result == SQLITE_DONE && !parameters.failed
		       ? ZONE_OK
		       : connection_failed(connection, "listing its rows");
}

static enum zone_status list_kind(struct reading *reading, enum entry_kind kind, struct uid project,
				  struct uid after, struct uid last)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(reading_select(reading, kind, "project = ?1 AND uid > ?2 AND uid <= ?3", &statement));
	parameters.statement = statement;
	put_uid(&parameters, project);
	put_uid(&parameters, after);
	put_uid(&parameters, last);
	return take_bound(reading, kind, &parameters);
}

enum zone_status store_list(struct connection *connection, struct uid project, struct uid *after,
			    struct store_news *news, bool *ret_end)
{
	AUTO(reading_clear) struct reading reading = {0};
	struct uid last;

	TRY(page_end(connection, project, *after, &last, ret_end));
	TRY(reading_begin(connection, news, &reading));
	TRY(list_kind(&reading, ENTRY_ZONE, project, *after, last));
	TRY(list_kind(&reading, ENTRY_KEY, project, *after, last));
	*after = last;
	return ZONE_OK;
}
