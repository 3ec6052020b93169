/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Entries become rows of the store. */
#include "base/clock.h"
#include "base/macros.h"
#include "zones/model/record.h"
#include "zones/store/sqlite/sqlite.h"

#include <inttypes.h>

/* Runs a statement whose parameters have been bound. A constraint that does not hold means that
 * the row is not as the change assumed. */
static enum zone_status run(struct connection *connection, const struct columns *parameters)
{
	int result;

	if (parameters->failed)
		return connection_failed(connection, "binding values");
	result = sqlite3_step(parameters->statement);
	if (result == SQLITE_CONSTRAINT)
		return ZONE_CONFLICT;
	return result == SQLITE_DONE ? ZONE_OK : connection_failed(connection, "writing");
}

static size_t count_columns(const char *columns)
{
	size_t count = 1;

	for (; *columns != '\0'; columns++)
		count += *columns == ',';
	return count;
}

/* "(?1, ?2, … ?count)" */
static void put_places(struct buffer *sql, size_t count)
{
	for (size_t i = 1; i <= count; i++)
		buffer_format(sql, "%s?%zu", i == 1 ? "(" : ", ", i);
	buffer_put_text(sql, ")");
}

static void put_statement(struct buffer *sql, const struct store_table *table, bool insert)
{
	size_t count = count_columns(table->columns);

	if (insert)
		buffer_format(sql, "INSERT INTO %s (%s) VALUES ", table->name, table->columns);
	else
		buffer_format(sql, "UPDATE %s SET (%s) = ", table->name, table->columns);
	put_places(sql, count);
	if (!insert)
		buffer_format(sql, " WHERE uid = ?1 AND revision = ?%zu", count + 1);
}

static enum zone_status write_row(struct connection *connection, const struct entry *entry,
				  uint64_t revision)
{
	uint64_t based_on = entry->revision;
	const struct store_table *table = &store_tables[entry->kind];
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	AUTO(buffer_clear) struct buffer sql = {0};
	struct columns parameters = {0};

	put_statement(&sql, table, based_on == 0);
	if (sql.failed)
		return ZONE_NO_MEMORY;
	TRY(connection_prepare(connection, buffer_text(&sql), &statement));
	parameters.statement = statement;
	put_common(&parameters, entry, revision);
	table->put(&parameters, entry);
	if (based_on != 0)
		put_integer(&parameters, (int64_t)based_on);
	TRY(run(connection, &parameters));
	return sqlite3_changes(connection->db) == 1 ? ZONE_OK : ZONE_CONFLICT;
}

static enum zone_status write_wraps(struct connection *connection, uint64_t zone,
				    const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++) {
		AUTO(statement_closep) sqlite3_stmt *statement = NULL;
		struct columns parameters = {0};

		TRY(connection_prepare(connection,
				       "INSERT INTO wraps (zone, record_zone, version, position, "
				       "state, arn, blob, share) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
				       "?7, ?8)",
				       &statement));
		parameters.statement = statement;
		put_integer(&parameters, (int64_t)zone);
		put_integer(&parameters, (int64_t)version->record_zone);
		put_integer(&parameters, version->version);
		put_integer(&parameters, (int64_t)i);
		put_text(&parameters, store_wrap_words[version->wraps[i].state]);
		put_text(&parameters, version->wraps[i].arn);
		put_blob(&parameters, version->wraps[i].blob);
		put_integer(&parameters, version->wraps[i].share);
		TRY(run(connection, &parameters));
	}
	return ZONE_OK;
}

static enum zone_status write_version(struct connection *connection, uint64_t zone,
				      const struct ezk_version *version)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(connection_prepare(connection,
			       "INSERT INTO ezk_versions (zone, record_zone, version, state, "
			       "delete_after_ms, created_ms, greatest_usages, limits, "
			       "fingerprint, mac, all_wraps, project, cluster) VALUES (?1, ?2, "
			       "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
			       &statement));
	parameters.statement = statement;
	put_integer(&parameters, (int64_t)zone);
	put_integer(&parameters, (int64_t)version->record_zone);
	put_integer(&parameters, version->version);
	put_state(&parameters, version->retired ? ENTRY_PENDING_DELETION : ENTRY_ACTIVE);
	put_integer(&parameters, version->delete_after_ms);
	put_integer(&parameters, version->created_ms);
	put_integer(&parameters, version->greatest_usages);
	put_blob(&parameters, version->limits);
	put_blob(&parameters, bytes(version->fingerprint, sizeof(version->fingerprint)));
	put_blob(&parameters, bytes(version->mac, sizeof(version->mac)));
	put_integer(&parameters, version->all_wraps);
	put_uid(&parameters, version->project);
	put_uid(&parameters, version->cluster);
	TRY(run(connection, &parameters));
	return write_wraps(connection, zone, version);
}

/* Wraps go with it. */
static enum zone_status delete_version(struct connection *connection, uint64_t zone,
				       const struct ezk_version *version)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(connection_prepare(connection,
			       "DELETE FROM ezk_versions WHERE zone = ?1 AND record_zone = ?2 AND "
			       "version = ?3",
			       &statement));
	parameters.statement = statement;
	put_integer(&parameters, (int64_t)zone);
	put_integer(&parameters, (int64_t)version->record_zone);
	put_integer(&parameters, version->version);
	return run(connection, &parameters);
}

static enum zone_status delete_versions(struct connection *connection, uint64_t zone)
{
	AUTO(buffer_clear) struct buffer sql = {0};

	buffer_format(&sql, "DELETE FROM ezk_versions WHERE zone = %" PRIu64, zone);
	return sql.failed ? ZONE_NO_MEMORY : connection_run(connection, buffer_text(&sql));
}

/* Of the version at one place in both lists; where one list has ended, the other's goes first. */
static int compare_at(const struct entry *is, size_t i, const struct entry *was, size_t j)
{
	if (i == is->of_zone.version_count)
		return 1;
	if (j == was->of_zone.version_count)
		return -1;
	return ezk_version_order(&is->of_zone.versions[i], &was->of_zone.versions[j]);
}

/* Goes through both states side by side, since they have one order: removes what is not the same
 * any more, or writes what was not there as it is. */
static enum zone_status write_pass(struct connection *connection, const struct entry *is,
				   const struct entry *was, bool removes)
{
	uint64_t zone = is->of_zone.zone;
	size_t i = 0, j = 0;

	while (i < is->of_zone.version_count || j < was->of_zone.version_count) {
		int order = compare_at(is, i, was, j);
		const struct ezk_version *here = order > 0 ? NULL : &is->of_zone.versions[i++];
		const struct ezk_version *before = order < 0 ? NULL : &was->of_zone.versions[j++];

		if (order == 0 && ezk_version_same(here, before))
			continue;
		if (removes && before != NULL)
			TRY(delete_version(connection, zone, before));
		if (!removes && here != NULL)
			TRY(write_version(connection, zone, here));
	}
	return ZONE_OK;
}

/* A new row never meets the one that it replaces. */
static enum zone_status write_differences(struct connection *connection, const struct entry *is,
					  const struct entry *was)
{
	TRY(write_pass(connection, is, was, true));
	return write_pass(connection, is, was, false);
}

/* A zone may have many versions, of which a change touches one. */
static enum zone_status write_versions(struct connection *connection,
				       const struct store_change *change, bool is_new)
{
	const struct entry *zone = change->entry;

	if (change->before != NULL)
		return write_differences(connection, zone, change->before);
	if (!is_new)
		TRY(delete_versions(connection, zone->of_zone.zone));
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		TRY(write_version(connection, zone->of_zone.zone, &zone->of_zone.versions[i]));
	return ZONE_OK;
}

static enum zone_status delete_row(struct connection *connection, const struct entry *entry)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	AUTO(buffer_clear) struct buffer sql = {0};
	struct columns parameters = {0};

	buffer_format(&sql, "DELETE FROM %s WHERE uid = ?1 AND revision = ?2",
		      store_tables[entry->kind].name);
	if (sql.failed)
		return ZONE_NO_MEMORY;
	TRY(connection_prepare(connection, buffer_text(&sql), &statement));
	parameters.statement = statement;
	put_uid(&parameters, entry->uid);
	put_integer(&parameters, (int64_t)entry->revision);
	TRY(run(connection, &parameters));
	return sqlite3_changes(connection->db) == 1 ? ZONE_OK : ZONE_CONFLICT;
}

static int64_t number_of(const struct entry *entry)
{
	if (entry->kind == ENTRY_ZONE)
		return (int64_t)entry->of_zone.zone;
	return entry->kind == ENTRY_PROJECT ? entry->of_project.slot : 0;
}

static enum zone_status bury(struct connection *connection, const struct entry *entry,
			     uint64_t revision)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(connection_prepare(connection,
			       "INSERT INTO tombstones (uid, kind, revision, number, removed_ms, "
			       "project) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			       &statement));
	parameters.statement = statement;
	put_uid(&parameters, entry->uid);
	put_text(&parameters, store_kind_words[entry->kind]);
	put_integer(&parameters, (int64_t)revision);
	put_integer(&parameters, number_of(entry));
	put_integer(&parameters, clock_system.realtime_ms(clock_system.state));
	put_uid(&parameters, entry->project);
	return run(connection, &parameters);
}

static enum zone_status exhume(struct connection *connection, const struct entry *entry)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};

	TRY(connection_prepare(connection, "DELETE FROM tombstones WHERE uid = ?1", &statement));
	parameters.statement = statement;
	put_uid(&parameters, entry->uid);
	return run(connection, &parameters);
}

/* What was removed for good comes back by a backup alone. */
static enum zone_status check_not_buried(struct connection *connection, const struct entry *entry)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns parameters = {0};
	int result;

	TRY(connection_prepare(connection, "SELECT 1 FROM tombstones WHERE uid = ?1", &statement));
	parameters.statement = statement;
	put_uid(&parameters, entry->uid);
	if (parameters.failed)
		return connection_failed(connection, "binding values");
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return ZONE_CONFLICT;
	return result == SQLITE_DONE ? ZONE_OK : connection_failed(connection, "reading");
}

enum zone_status store_write_change(struct connection *connection,
				    const struct store_change *change, uint64_t revision)
{
	const struct entry *entry = change->entry;

	if (change->remove) {
		if (!change->from_backup)
			TRY(delete_row(connection, entry));
		return bury(connection, entry, revision);
	}
	if (entry->revision == 0)
		TRY(change->from_backup ? exhume(connection, entry)
					: check_not_buried(connection, entry));
	TRY(write_row(connection, entry, revision));
	return entry->kind == ENTRY_ZONE ? write_versions(connection, change, entry->revision == 0)
					 : ZONE_OK;
}
