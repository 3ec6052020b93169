/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: opened, checked, closed; and the file made where none is. */
#include "base/access.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "zones/store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

enum { BUSY_MS = 2000 }; /* for an administrator's sqlite3 tool: our own wait by flock() */

enum zone_status store_says(struct store_sqlite *store, enum zone_status status, const char *format,
			    ...)
{
	AUTO(freep) char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (store->said == status)
		log_reason("store %s: %s", store->path,
			   text == NULL ? zone_status_text(status) : text);
	else
		log_error("store %s: %s", store->path,
			  text == NULL ? zone_status_text(status) : text);
	store->said = status;
	return status;
}

static enum zone_status status_of(enum zone_status denied, int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ZONE_STORE_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return denied;
	case ENOMEM:
		return ZONE_NO_MEMORY;
	default:
		return ZONE_STORE_UNAVAILABLE;
	}
}

enum zone_status store_failed(struct store_sqlite *store, enum zone_status denied,
			      const char *doing, int error)
{
	return store_says(store, status_of(denied, error), "%s: %s; %s", doing,
			  system_error_text(error), system_error_remedy(error));
}

static const struct {
	int result;
	enum zone_status status;
	const char *remedy;
} meanings[] = {
	/* clang-format off */
	{ SQLITE_NOMEM,       ZONE_NO_MEMORY,         "free some memory" },
	{ SQLITE_FULL,        ZONE_STORE_FULL,        "make room on its disk" },
	{ SQLITE_CORRUPT,     ZONE_STORE_CORRUPT,     "keep a copy and restore it from a backup" },
	{ SQLITE_NOTADB,      ZONE_STORE_CORRUPT,     "it is left as it is: restore it from a backup" },
	{ SQLITE_ERROR,       ZONE_STORE_CORRUPT,     "its tables are not ours; restore it from a backup" },
	{ SQLITE_MISMATCH,    ZONE_STORE_CORRUPT,     "its tables are not ours; restore it from a backup" },
	{ SQLITE_BUSY,        ZONE_STORE_UNAVAILABLE, "another program holds it in a transaction" },
	{ SQLITE_LOCKED,      ZONE_STORE_UNAVAILABLE, "another program holds it in a transaction" },
	{ SQLITE_READONLY,    ZONE_STORE_READ_ONLY,   "a transaction was cut off: it must be opened once by a process "
						      "that may write it" },
	{ SQLITE_PERM,        ZONE_STORE_UNAVAILABLE, "look at its owner and mode" },
	{ SQLITE_CANTOPEN,    ZONE_STORE_UNAVAILABLE, "look at its owner and mode, and its folder's" },
	/* clang-format on */
};

/* SQLite tells a full disk, but calls a quota or a limit on file sizes just an error, and has
 * forgotten the reason by the time we hear of it. So we see whether more could be written. */
static bool is_full(const struct store_sqlite *store)
{
	static const uint8_t zeros[65536];
	AUTO(file_closep) int fd = open(store->new_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat found = {0};
	ssize_t written;

	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT;
	if (stat(store->path, &found) != 0)
		found.st_size = 0;
	written = pwrite(fd, zeros, sizeof(zeros), found.st_size);
	unlink(store->new_path);
	return written < (ssize_t)sizeof(zeros);
}

enum zone_status connection_failed(struct connection *connection, const char *doing)
{
	const char *text = sqlite3_errmsg(connection->db);
	int result = sqlite3_extended_errcode(connection->db);
	int error = sqlite3_system_errno(connection->db);

	if ((result & 0xff) == SQLITE_CANTOPEN && error != 0)
		return store_failed(connection->store, ZONE_STORE_UNAVAILABLE, doing, error);
	if (result == SQLITE_IOERR_WRITE && is_full(connection->store))
		return store_says(connection->store, ZONE_STORE_FULL,
				  "%s: its disk, a quota or a limit on file sizes is used up; make "
				  "room",
				  doing);
	if (result == SQLITE_IOERR_NOMEM)
		result = SQLITE_NOMEM;
	/* What a later release has made of its tables is no damage. */
	if (connection->limited &&
	    ((result & 0xff) == SQLITE_ERROR || (result & 0xff) == SQLITE_MISMATCH))
		return ZONE_STORE_NEWER;
	for (size_t i = 0; i < COUNT_OF(meanings); i++)
		if (meanings[i].result == (result & 0xff))
			return store_says(connection->store, meanings[i].status, "%s: %s; %s",
					  doing, text, meanings[i].remedy);
	return store_says(connection->store, ZONE_STORE_UNAVAILABLE, "%s: %s (%d)", doing, text,
			  result);
}

enum zone_status connection_damaged(struct connection *connection, const char *what)
{
	return connection->limited ? ZONE_STORE_NEWER
				   : store_says(connection->store, ZONE_STORE_CORRUPT,
						"%s; restore it from a backup", what);
}

void statement_closep(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
	*statement = NULL;
}

void connection_close(struct connection *connection)
{
	sqlite3_close(connection->db); /* rolls back; all statements have been finalized */
	connection->db = NULL;
}

enum zone_status connection_run(struct connection *connection, const char *sql)
{
	if (sqlite3_exec(connection->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return ZONE_OK;
	if (sqlite3_errcode(connection->db) == SQLITE_CONSTRAINT)
		return ZONE_CONFLICT;
	return connection_failed(connection, "a statement");
}

enum zone_status connection_prepare(struct connection *connection, const char *sql,
				    sqlite3_stmt **ret_statement)
{
	if (sqlite3_prepare_v2(connection->db, sql, -1, ret_statement, NULL) == SQLITE_OK)
		return ZONE_OK;
	return connection_failed(connection, "preparing a statement");
}

/* What the file brings with it beyond tables (triggers, views) is not run. Temporary data stays in
 * memory; nothing is mapped, since a truncated file would be a SIGBUS in the host. What is deleted
 * is overwritten, in the file itself. */
static enum zone_status set_up(struct connection *connection)
{
	sqlite3 *db = connection->db;

	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	return connection_run(connection, "PRAGMA trusted_schema = OFF;"
					  "PRAGMA cell_size_check = ON;"
					  "PRAGMA temp_store = MEMORY;"
					  "PRAGMA mmap_size = 0;"
					  "PRAGMA foreign_keys = ON;"
					  "PRAGMA secure_delete = ON;"
					  "PRAGMA synchronous = EXTRA;");
}

static enum zone_status open_file(struct connection *connection, const char *path, bool writes)
{
	int flags = (writes ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_PRIVATECACHE;

	/* Nothing is read yet, so what can fail is the right to open it. */
	if (sqlite3_open_v2(path, &connection->db, flags, "unix") != SQLITE_OK)
		return connection_failed(connection, "opening it");
	return set_up(connection);
}

static enum zone_status read_number(struct connection *connection, const char *sql,
				    int64_t *ret_number)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;

	TRY(connection_prepare(connection, sql, &statement));
	if (sqlite3_step(statement) != SQLITE_ROW)
		return connection_failed(connection, "reading its head");
	*ret_number = sqlite3_column_int64(statement, 0);
	return ZONE_OK;
}

/* It goes into messages, and anybody may have written it. */
static void put_release(struct store_head *head, const char *text)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz.-+~";
	bool good = text != NULL && *text != '\0' && text[strspn(text, plain)] == '\0';

	snprintf(head->release, sizeof(head->release), "%s%s", good ? "cmek-pkcs11 " : "",
		 good ? text : "a later release");
}

static void take_head(struct connection *connection, struct columns *columns)
{
	struct store_head *head = &connection->head;
	AUTO(freep) char *id = NULL;
	AUTO(freep) char *release = NULL;

	take_text(columns, STORE_ID_SIZE - 1, &id);
	connection->revision = (uint64_t)take_integer(columns, 0, INT64_MAX - 1);
	/* min_reader <= min_writer <= level: a writer reads first, and no level asks for a later
	 * one. */
	columns->failed |= take_integer(columns, 1, INT32_MAX) != head->min_reader;
	head->min_writer = (unsigned)take_integer(columns, head->min_reader, INT32_MAX);
	head->level = (unsigned)take_integer(columns, head->min_writer, INT32_MAX);
	take_text(columns, STORE_RELEASE_SIZE - (sizeof("cmek-pkcs11 ")), &release);
	columns->failed |= id == NULL || *id == '\0';
	if (columns->failed)
		return;
	snprintf(connection->id, sizeof(connection->id), "%s", id);
	put_release(head, release);
}

/* The one row of table `store`. */
static enum zone_status read_state(struct connection *connection)
{
	AUTO(statement_closep) sqlite3_stmt *statement = NULL;
	struct columns columns = {0};
	int result;

	TRY(connection_prepare(connection,
			       "SELECT id, revision, min_reader, min_writer, schema, release FROM "
			       "store",
			       &statement));
	columns.statement = statement;
	result = sqlite3_step(statement);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		return connection_failed(connection, "reading its head");
	columns.failed = result == SQLITE_DONE;
	if (result == SQLITE_ROW)
		take_head(connection, &columns);
	if (columns.no_memory)
		return ZONE_NO_MEMORY;
	return columns.failed ? connection_damaged(connection, "its table 'store' is damaged")
			      : ZONE_OK;
}

static enum zone_status say_newer(struct connection *connection)
{
	return store_says(
		connection->store, ZONE_STORE_NEWER,
		"reading it takes level %u; this release (%s) knows level %u: install %s, and "
		"until then only what carries its record opens",
		connection->head.min_reader, CMEK_VERSION, store_level_understood(),
		connection->head.release);
}

/* Ours, whole and of a release we know? */
static enum zone_status check(struct connection *connection)
{
	struct store_sqlite *store = connection->store;
	int64_t application, reader;
	enum zone_status status;

	TRY(read_number(connection, "PRAGMA application_id", &application));
	TRY(read_number(connection, "PRAGMA user_version", &reader));
	if (application != STORE_APPLICATION_ID)
		return store_says(store, ZONE_STORE_CORRUPT,
				  "it is not a store of cmek-pkcs11, or its head is damaged; it is "
				  "left as it is: restore it from a backup or set [store] path");
	connection->limited = reader > store_level_understood();
	connection->head =
		(struct store_head){.min_reader = (unsigned)reader, .min_writer = (unsigned)reader};
	put_release(&connection->head, NULL);
	status = read_state(connection);
	/* Told also if its table 'store' can't be read, since a later release may change that. */
	if (connection->limited && (status == ZONE_OK || status == ZONE_STORE_NEWER))
		say_newer(connection);
	return status;
}

/* An empty file is not a new store: a new one appears whole, so somebody lost this one. */
static enum zone_status check_size(struct store_sqlite *store)
{
	struct stat found;

	if (stat(store->path, &found) != 0)
		return store_failed(store, ZONE_STORE_UNAVAILABLE, "looking at it", errno);
	if (!S_ISREG(found.st_mode))
		return store_says(store, ZONE_STORE_UNAVAILABLE,
				  "it is not a file; set path in [store]");
	if (found.st_size == 0)
		return store_says(store, ZONE_STORE_CORRUPT,
				  "it is empty; restore it from a backup, or remove it to begin "
				  "anew");
	return ZONE_OK;
}

/* SQLite would open a pipe of that name and wait for its writer. */
static enum zone_status check_journal(struct store_sqlite *store)
{
	struct stat found;

	if (stat(store->journal_path, &found) != 0 || S_ISREG(found.st_mode))
		return ZONE_OK;
	return store_says(store, ZONE_STORE_UNAVAILABLE,
			  "what lies in the place of its journal, %s, is not a file; remove it",
			  store->journal_path);
}

enum zone_status connection_open(struct connection *connection, struct store_sqlite *store,
				 bool writes)
{
	connection->store = store;
	TRY(check_size(store));
	TRY(check_journal(store));
	if (writes && !store_is_writable(store))
		return store_says(store, ZONE_STORE_READ_ONLY,
				  "this process may read it but not change it; look at the owner "
				  "and mode of the file and its folder");
	TRY(open_file(connection, store->target, writes));
	/* The file may have been put into WAL mode by some tool: that fails where it is read-only.
	 */
	if (writes)
		TRY(connection_run(connection, "PRAGMA journal_mode = DELETE"));
	TRY(connection_run(connection, writes ? "BEGIN IMMEDIATE" : "BEGIN"));
	return check(connection);
}

/* --- A new file */

static void put_contents(struct buffer *sql, struct bytes id)
{
	const struct store_level *level = store_level_row(STORE_LEVEL_NEW);

	buffer_format(sql,
		      "PRAGMA application_id = %d; PRAGMA user_version = %u; BEGIN IMMEDIATE;\n",
		      STORE_APPLICATION_ID, level->min_reader);
	for (size_t i = 0; store_schema[i] != NULL; i++)
		buffer_format(sql, "%s;\n", store_schema[i]);
	buffer_put_text(sql, "INSERT INTO store VALUES (1, '");
	hex_append(sql, id);
	buffer_format(sql, "', %u, 0, %" PRId64 ", 'cmek-pkcs11 %s', %u, %u, '%s'); COMMIT",
		      level->level, clock_system.realtime_ms(clock_system.state), CMEK_VERSION,
		      level->min_reader, level->min_writer, level->release);
}

static enum zone_status fill(struct connection *connection)
{
	AUTO(buffer_clear) struct buffer sql = {0};
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return ZONE_STORE_UNAVAILABLE;
	put_contents(&sql, bytes(id, sizeof(id)));
	return sql.failed ? ZONE_NO_MEMORY : connection_run(connection, buffer_text(&sql));
}

static enum zone_status write_new(struct store_sqlite *store)
{
	AUTO(connection_close) struct connection connection = {.store = store};
	AUTO(file_closep) int fd = -1;

	unlink(store->new_path);
	fd = open(store->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_failed(store, ZONE_STORE_READ_ONLY, "making it", errno);
	access_of_folder(store->folder, fd);
	file_closep(&fd);
	TRY(open_file(&connection, store->new_path, true));
	/* Nobody sees the file before it is whole, so there is nothing to roll back. */
	TRY(connection_run(&connection, "PRAGMA journal_mode = OFF"));
	return fill(&connection);
}

static bool appear(const struct store_sqlite *store)
{
	if (!file_rename_new(store->new_path, store->target)) {
		/* A file system that can't; the lock is ours. */
		if (errno != EOPNOTSUPP || store_exists(store) ||
		    rename(store->new_path, store->target) != 0)
			return false;
	}
	return file_sync_name(store->target);
}

enum zone_status store_create(struct store_sqlite *store)
{
	enum zone_status status;

	/* SQLite would take it for the journal of the new file and play it back. */
	if (access(store->journal_path, F_OK) == 0)
		return store_says(store, ZONE_STORE_CORRUPT,
				  "the store is gone, but its journal is there; put the store back "
				  "beside it, or remove the journal too");
	status = write_new(store);
	if (status == ZONE_OK && !appear(store))
		status = store_failed(store, ZONE_STORE_READ_ONLY, "making it", errno);
	if (status != ZONE_OK)
		unlink(store->new_path);
	return status;
}
