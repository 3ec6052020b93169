/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many zones the store has. To count them SQLite goes through an index of them all, with each
 * look and each change, so what was counted is kept with the number of the file's last change.
 * Whoever changes the file makes that number a greater one, also with a tool of SQLite's own.
 */
#include "base/macros.h"
#include "zones/store/sqlite/sqlite.h"

/* https://www.sqlite.org/fileformat2.html, "The Database Header": versions for writing and reading
 * (1: rollback journal; in a WAL the counter says nothing), and the file change counter. */
enum { VERSIONS_AT = 18, COUNTER_AT = 24, HEAD_END = 28, ROLLBACK = 1 };

/* False: it can't be told. By SQLite's own descriptor: to close another one on the file would drop
 * its locks. */
static bool read_counter(struct connection *connection, uint32_t *ret_counter)
{
	uint8_t head[HEAD_END - VERSIONS_AT];
	const uint8_t *counter = head + (COUNTER_AT - VERSIONS_AT);
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(connection->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
		    SQLITE_OK ||
	    file == NULL || file->pMethods == NULL ||
	    file->pMethods->xRead(file, head, sizeof(head), VERSIONS_AT) != SQLITE_OK ||
	    head[0] != ROLLBACK || head[1] != ROLLBACK)
		return false;
	*ret_counter = (uint32_t)counter[0] << 24 | (uint32_t)counter[1] << 16 |
		       (uint32_t)counter[2] << 8 | counter[3];
	return true;
}

static enum zone_status count(struct connection *connection, size_t *ret_zones)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;

	TRY(connection_prepare(connection, "SELECT count(*) FROM zones", &statement));
	if (sqlite3_step(statement) != SQLITE_ROW)
		return connection_failed(connection, "counting its zones");
	*ret_zones = (size_t)sqlite3_column_int64(statement, 0);
	return ZONE_OK;
}

enum zone_status store_count_zones(struct connection *connection, size_t *ret_zones)
{
	struct store_count *known = &connection->store->count;
	struct store_count now = {0};

	now.good = read_counter(connection, &now.counter);
	if (known->good && now.good && now.counter == known->counter)
		now.zones = known->zones;
	else
		TRY(count(connection, &now.zones));
	*known = connection->count = now;
	*ret_zones = now.zones;
	return ZONE_OK;
}

void store_count_change(struct store_count *count, const struct store_change *change)
{
	if (change->entry->kind != ENTRY_ZONE)
		return;
	if (change->remove)
		count->zones -= change->from_backup ? 0 : 1;
	else
		count->zones += change->entry->revision == 0 ? 1 : 0;
}
