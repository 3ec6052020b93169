/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the store become entries. */
#include "base/macros.h"
#include "base/name.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"
#include "zones/model/title.h"
#include "zones/store/sqlite/sqlite.h"

#include <stdlib.h>

void reading_clear(struct reading *reading)
{
	sqlite3_finalize(reading->versions);
	sqlite3_finalize(reading->wraps);
}

static struct columns columns_of(const struct reading *reading, sqlite3_stmt *statement)
{
	return (struct columns){
		.statement = statement,
		.newer = reading->connection->head.level > store_level_understood(),
	};
}

static void wrap_clear(struct wrap *wrap)
{
	free(wrap->arn);
	free((void *)(uintptr_t)wrap->blob.data);
}

static enum zone_status judge(struct reading *reading, const struct columns *columns,
			      const char *table, struct uid uid)
{
	if (columns->no_memory)
		return ZONE_NO_MEMORY;
	reading->news->unknown += columns->unknown;
	if (!columns->failed)
		return ZONE_OK;
	if (reading->connection->limited)
		return ZONE_STORE_NEWER;
	return store_says(
		reading->connection->store, ZONE_STORE_CORRUPT,
		"a row of table %s (uid %02x%02x%02x%02x...) holds what no release wrote; "
		"restore the store from a backup",
		table, uid.bytes[0], uid.bytes[1], uid.bytes[2], uid.bytes[3]);
}

/* SQLITE_ROW → true, SQLITE_DONE → false, else the status. */
static enum zone_status step(struct reading *reading, sqlite3_stmt *statement, bool *ret_row)
{
	int result = sqlite3_step(statement);

	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return connection_failed(reading->connection, "reading");
	*ret_row = result == SQLITE_ROW;
	return ZONE_OK;
}

static enum zone_status read_wraps(struct reading *reading, const struct entry *zone,
				   struct ezk_version *version)
{
	bool more;

	sqlite3_reset(reading->wraps);
	sqlite3_bind_int64(reading->wraps, 1, (int64_t)zone->of_zone.zone);
	sqlite3_bind_int64(reading->wraps, 2, (int64_t)version->record_zone);
	sqlite3_bind_int64(reading->wraps, 3, version->version);
	for (;;) {
		struct columns columns = columns_of(reading, reading->wraps);
		AUTO(wrap_clear) struct wrap wrap = {0};

		TRY(step(reading, reading->wraps, &more));
		if (!more)
			return ZONE_OK;
		/* A wrap in a state that this release does not know is kept, and not used. */
		wrap.state = (enum wrap_state)take_word(&columns, store_wrap_words, WRAP_REPLACED);
		take_text(&columns, KMS_ARN_MAX, &wrap.arn);
		take_blob(&columns, KMS_BLOB_MAX, &wrap.blob);
		wrap.share = (uint8_t)take_integer(&columns, 0, SHARE_COUNT);
		columns.failed |= wrap.blob.len == 0;
		TRY(judge(reading, &columns, "wraps", zone->uid));
		TRY(ezk_version_add_wrap(version, wrap.arn, wrap.blob));
		version->wraps[version->wrap_count - 1].state = wrap.state;
		version->wraps[version->wrap_count - 1].share = wrap.share;
	}
}

static void take_version(struct columns *columns, struct ezk_version *version)
{
	version->record_zone = (uint64_t)take_integer(columns, 0, INT64_MAX);
	version->version = (uint32_t)take_integer(columns, 1, UINT32_MAX);
	version->retired = take_state(columns) != ENTRY_ACTIVE;
	version->delete_after_ms = take_integer(columns, 0, INT64_MAX);
	version->created_ms = take_integer(columns, 0, INT64_MAX);
	version->greatest_usages = (uint32_t)take_integer(columns, 0, UINT32_MAX);
	take_blob(columns, LIMITS_MAX, &version->limits);
	take_fixed(columns, version->fingerprint, sizeof(version->fingerprint));
	take_fixed(columns, version->mac, sizeof(version->mac));
	version->all_wraps = take_integer(columns, 0, 1) != 0;
	version->project = take_uid(columns);
	version->cluster = take_uid(columns);
}

static enum zone_status read_versions(struct reading *reading, struct entry *zone)
{
	bool more;

	sqlite3_reset(reading->versions);
	sqlite3_bind_int64(reading->versions, 1, (int64_t)zone->of_zone.zone);
	for (;;) {
		struct columns columns = columns_of(reading, reading->versions);
		AUTO(ezk_version_clear) struct ezk_version version = {0};

		TRY(step(reading, reading->versions, &more));
		if (!more)
			break;
		take_version(&columns, &version);
		TRY(judge(reading, &columns, "ezk_versions", zone->uid));
		TRY(read_wraps(reading, zone, &version));
		TRY(zone_take_version(zone, &version));
	}
	if (entry_version(zone, zone->of_zone.primary) != NULL &&
	    entry_version(zone, zone->of_zone.raw) != NULL)
		return ZONE_OK;
	return store_says(reading->connection->store, ZONE_STORE_CORRUPT,
			  "%s lacks its primary or raw version; restore the store from a backup",
			  zone_title_as(zone->label, NULL, zone->of_zone.zone).text);
}

/* The name of a token is padded with blanks, and cut. So without this check one project could
 * pass for another, whose pins name it exactly. */
static bool is_project_name(const char *label)
{
	struct bytes name = bytes_of(label);

	return name.len <= PROJECT_LABEL_MAX && name_fault(name) == NULL;
}

static enum zone_status read_row(struct reading *reading, sqlite3_stmt *statement,
				 enum entry_kind kind)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(kind);
	struct columns columns = columns_of(reading, statement);

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	take_common(&columns, entry);
	store_tables[kind].take(&columns, entry);
	if (kind == ENTRY_PROJECT && entry->label != NULL)
		columns.failed |= !is_project_name(entry->label);
	TRY(judge(reading, &columns, store_tables[kind].name, entry->uid));
	if (kind == ENTRY_ZONE)
		TRY(read_versions(reading, entry));
	return store_news_add(reading->news, TAKE(entry), false) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status read_tombstone(struct reading *reading, sqlite3_stmt *statement)
{
	struct columns columns = columns_of(reading, statement);
	int kind = take_word(&columns, store_kind_words, ENTRY_KIND_COUNT);
	bool known = kind < ENTRY_KIND_COUNT;
	AUTO(entry_releasep)
	struct entry *entry = entry_new(known ? (enum entry_kind)kind : ENTRY_PROJECT);
	int64_t number;

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	entry->uid = take_uid(&columns);
	entry->revision = (uint64_t)take_integer(&columns, 1, INT64_MAX);
	number = take_integer(&columns, 0, INT64_MAX);
	entry->project = take_uid(&columns);
	TRY(judge(reading, &columns, "tombstones", entry->uid));
	if (!known) /* of a kind of entries that we never saw */
		return ZONE_OK;
	if (kind == ENTRY_ZONE)
		entry->of_zone.zone = (uint64_t)number;
	if (kind == ENTRY_PROJECT)
		entry->of_project.slot = (uint32_t)number;
	return store_news_add(reading->news, TAKE(entry), true) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* A zone that awaits deletion, or whose project is archived: this is all that is known of it. */
static enum zone_status read_withheld(struct reading *reading, sqlite3_stmt *statement)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(ENTRY_ZONE);
	struct columns columns = columns_of(reading, statement);

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	entry->uid = take_uid(&columns);
	entry->of_zone.zone = (uint64_t)take_integer(&columns, 1, INT64_MAX);
	entry->state = ENTRY_PENDING_DELETION;
	TRY(judge(reading, &columns, "zones", entry->uid));
	return store_news_add(reading->news, TAKE(entry), true) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status read_all_withheld(struct reading *reading)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	bool more;

	TRY(connection_prepare(
		reading->connection,
		"SELECT zones.uid, zones.zone FROM zones LEFT JOIN projects ON projects.uid = "
		"zones.project WHERE zones.state IS NOT 'active' OR projects.state IS NOT 'active'",
		&statement));
	for (;;) {
		TRY(step(reading, statement, &more));
		if (!more)
			return ZONE_OK;
		TRY(read_withheld(reading, statement));
	}
}

enum zone_status reading_select(struct reading *reading, enum entry_kind kind, const char *where,
				sqlite3_stmt **ret_statement)
{
	AUTO(buffer_clear) struct buffer sql = {0};
	const bool buried = kind == ENTRY_KIND_COUNT;

	buffer_format(&sql, "SELECT %s FROM %s WHERE %s%s",
		      buried ? "kind, uid, revision, number, project" : store_tables[kind].columns,
		      buried ? "tombstones" : store_tables[kind].name,
		      buried ? "" : "uid NOT IN (SELECT uid FROM tombstones) AND ", where);
	if (sql.failed)
		return ZONE_NO_MEMORY;
	return connection_prepare(reading->connection, buffer_text(&sql), ret_statement);
}

enum zone_status reading_take(struct reading *reading, enum entry_kind kind,
			      sqlite3_stmt *statement)
{
	bool more;

	for (;;) {
		TRY(step(reading, statement, &more));
		if (!more)
			return ZONE_OK;
		TRY(kind == ENTRY_KIND_COUNT ? read_tombstone(reading, statement)
					     : read_row(reading, statement, kind));
	}
}

static enum zone_status read_table(struct reading *reading, enum entry_kind kind, uint64_t since)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;

	TRY(reading_select(reading, kind, "revision > ?1 ORDER BY revision", &statement));
	sqlite3_bind_int64(statement, 1, (int64_t)since);
	return reading_take(reading, kind, statement);
}

enum zone_status reading_begin(struct connection *connection, struct store_news *news,
			       struct reading *ret_reading)
{
	*ret_reading = (struct reading){.connection = connection, .news = news};
	TRY(connection_prepare(connection,
			       "SELECT record_zone, version, state, delete_after_ms, created_ms, "
			       "greatest_usages, limits, fingerprint, mac, all_wraps, project, "
			       "cluster FROM ezk_versions WHERE zone = ?1 ORDER BY record_zone, "
			       "version",
			       &ret_reading->versions));
	return connection_prepare(connection,
				  "SELECT state, arn, blob, share FROM wraps WHERE zone = ?1 AND "
				  "record_zone = ?2 AND version = ?3 ORDER BY position",
				  &ret_reading->wraps);
}

enum zone_status store_read_rows(struct connection *connection, uint64_t since,
				 struct store_news *news)
{
	AUTO(reading_clear) struct reading reading = {0};

	TRY(reading_begin(connection, news, &reading));
	for (int kind = 0; kind <= ENTRY_KIND_COUNT; kind++)
		TRY(read_table(&reading, (enum entry_kind)kind, since));
	return ZONE_OK;
}

enum zone_status store_read_few(struct connection *connection, struct store_news *news)
{
	static const enum entry_kind few[] = {ENTRY_PROJECT, ENTRY_ROOT_KEY, ENTRY_CLUSTER,
					      ENTRY_ARCHIVE};
	AUTO(reading_clear) struct reading reading = {0};

	TRY(reading_begin(connection, news, &reading));
	for (size_t i = 0; i < COUNT_OF(few); i++)
		TRY(read_table(&reading, few[i], 0));
	return ZONE_OK;
}

enum zone_status store_read_every_level(struct connection *connection, struct store_news *news)
{
	struct reading reading = {.connection = connection, .news = news};

	if (connection->id[0] == '\0') /* its head could not be read */
		return ZONE_STORE_NEWER;
	TRY(read_table(&reading, ENTRY_PROJECT, 0));
	TRY(read_table(&reading, ENTRY_ROOT_KEY, 0));
	TRY(read_table(&reading, ENTRY_KIND_COUNT, 0));
	return read_all_withheld(&reading);
}
