/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the SQLite store; for the files of zones/store/sqlite/ alone. */
#pragma once

#include "base/buffer.h"
#include "zones/store/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

/* A new store is made at the level that each release in use understands, whatever the newest is. */
enum { STORE_LEVEL_NEW = 1, STORE_APPLICATION_ID = 0x434d454b /* "CMEK" */ };

/* How many zones there were, and at which change of the file (count.c). */
struct store_count {
	bool good;
	uint32_t counter;
	size_t zones;
};

/* How many zones there were at the last look of a process that knows part of the store: `good`, and
 * as of which revision. */
struct store_seen {
	bool good;
	uint64_t revision;
	size_t zones;
};

struct store_sqlite {
	struct store store;
	char *path;
	/* Where the path leads, past links; SQLite puts the journal there as well. */
	char *target;
	char *journal_path;
	char *lock_path;
	char *new_path; /* where a new file is made before it appears */
	char *folder;
	/* What was there at the last look; guarded by the mutex of all stores. */
	char id[STORE_ID_SIZE]; /* empty: no file was ever there */
	bool gone;		/* one was, and is out of reach now */
	bool looked;
	struct stat seen;
	int64_t seen_at_ms;		/* real time */
	_Atomic(enum zone_status) said; /* what was logged last: once is enough */
	bool limited;			/* what was read last was read without its tables */
	struct store_count count;
	struct store_seen seen_zones;
};

/* --- lock.c: one of our connections at a time, in this process and among all. */

/* Takes the mutex and the lock (base/lock.h); *ret_lock is its descriptor, -1: there is none to
 * have, and none is needed. ZONE_STORE_UNAVAILABLE: not within ten seconds, or it can't be opened;
 * ZONE_STORE_READ_ONLY, ZONE_STORE_FULL: to write, one would have to be made. */
enum zone_status store_lock(struct store_sqlite *store, bool exclusive, int *ret_lock);
void store_unlock(int lock);

/* --- place.c */

bool store_exists(const struct store_sqlite *store);
/* Where the path leads now: `target` and the names that go with it. Before any of them is used.
 * ZONE_STORE_UNAVAILABLE: it is a link to nothing. */
enum zone_status store_follow(struct store_sqlite *store);
/* ZONE_STORE_UNAVAILABLE: it was there and can't be reached, which is logged once. A disk that is
 * not mounted is no empty store, and no place for a new one. */
enum zone_status store_check_reach(struct store_sqlite *store);
/* Both the file and its folder, where the journal goes. */
bool store_is_writable(const struct store_sqlite *store);

/* --- open.c */

/* A connection, opened and checked: the file is a store of ours, and a transaction has begun. */
struct connection {
	struct store_sqlite *store;
	sqlite3 *db;
	char id[STORE_ID_SIZE];
	uint64_t revision;
	struct store_head head;
	bool limited; /* it asks more of a reader than we know: store_read_every_level() alone */
	struct store_count count; /* what store_count_zones() found */
};

enum zone_status connection_open(struct connection *connection, struct store_sqlite *store,
				 bool writes);
/* Rolls back what has not been committed. Accepts the zero state. */
void connection_close(struct connection *connection);
/* Makes the file where none is: it appears whole, with tables and no rows. */
enum zone_status store_create(struct store_sqlite *store);
enum zone_status connection_run(struct connection *connection, const char *sql);
enum zone_status connection_prepare(struct connection *connection, const char *sql,
				    sqlite3_stmt **ret_statement);
void statement_closep(sqlite3_stmt **statement);
/* What the last failure of SQLite means to us; logs it. */
enum zone_status connection_failed(struct connection *connection, const char *doing);
/* ZONE_STORE_CORRUPT, logged; in a store of which we know too little, ZONE_STORE_NEWER. */
enum zone_status connection_damaged(struct connection *connection, const char *what);
/* Logs "store PATH: …" unless the same status was the last to be logged; then it is this call's
 * reason alone. Returns the status. */
enum zone_status store_says(struct store_sqlite *store, enum zone_status status, const char *format,
			    ...) __attribute__((format(printf, 3, 4)));

/* The same for an error of the system: what it is, and what to do. Its status: ZONE_STORE_FULL,
 * ZONE_NO_MEMORY, `denied` where the right is lacking or the file system is read-only, else
 * ZONE_STORE_UNAVAILABLE. */
enum zone_status store_failed(struct store_sqlite *store, enum zone_status denied,
			      const char *doing, int error);

/* --- levels.c */

/* ZONE_STORE_NEWER_WRITER, with the reason. */
enum zone_status store_check_writer(struct connection *connection);
/* Whether the level below its own would lose nothing. */
enum zone_status store_way_back(struct connection *connection, bool *ret_free);
/* Goes from level to level within the connection's transaction, and ends that. ZONE_CONFLICT: it is
 * not at `from`; ZONE_INVALID: a level that is not known; ZONE_IN_USE: it would lose something. */
enum zone_status store_bring(struct connection *connection, unsigned from, unsigned to);

/* --- schema.c */

/* Statements; NULL ends them. */
extern const char *const store_schema[];

/* --- columns.c: values between SQLite and entries, column by column. */

struct columns {
	sqlite3_stmt *statement;
	int at;
	bool failed;  /* writing: SQLite's error. Reading: not what the schema promises */
	bool newer;   /* reading: the store's level is above ours, and its words may be new */
	bool unknown; /* … and one was */
	bool no_memory;
};

int64_t take_integer(struct columns *columns, int64_t least, int64_t greatest);
void take_text(struct columns *columns, size_t longest, char **field);
void take_blob(struct columns *columns, size_t longest, struct bytes *field);
void take_fixed(struct columns *columns, void *field, size_t size);
struct uid take_uid(struct columns *columns); /* hex text */
/* A word of a list that ends with NULL: its place; `other` for one that only a later release knows.
 */
int take_word(struct columns *columns, const char *const words[], int other);

void put_integer(struct columns *columns, int64_t value);
void put_text(struct columns *columns, const char *text);
void put_blob(struct columns *columns, struct bytes blob);
void put_uid(struct columns *columns, struct uid uid);

/* --- table.c: which columns each kind of entry has. */

struct store_table {
	const char *name;
	const char *columns; /* those of every kind first: `take_common`, `put_common` */
	void (*take)(struct columns *columns, struct entry *entry);
	void (*put)(struct columns *columns, const struct entry *entry);
};
extern const struct store_table store_tables[ENTRY_KIND_COUNT];
extern const char *const store_kind_words[]; /* by enum entry_kind */
extern const char *const store_wrap_words[]; /* by enum wrap_state */
enum entry_state take_state(struct columns *columns);
void put_state(struct columns *columns, enum entry_state state);
void take_common(struct columns *columns, struct entry *entry);
void put_common(struct columns *columns, const struct entry *entry, uint64_t revision);

/* --- read.c, write.c */

/* The statements of one reading; those for versions and wraps are used again for each zone. */
struct reading {
	struct connection *connection;
	struct store_news *news;
	sqlite3_stmt *versions;
	sqlite3_stmt *wraps;
};

enum zone_status reading_begin(struct connection *connection, struct store_news *news,
			       struct reading *ret_reading);
void reading_clear(struct reading *reading);
/* Rows of a table, for a condition with parameters to bind; ENTRY_KIND_COUNT: tombstones. A row
 * counts for nothing while its uid has one. */
enum zone_status reading_select(struct reading *reading, enum entry_kind kind, const char *where,
				sqlite3_stmt **ret_statement);
/* Runs such a statement, and adds what it finds to the news. */
enum zone_status reading_take(struct reading *reading, enum entry_kind kind,
			      sqlite3_stmt *statement);

/* Rows with a revision above `since`. */
enum zone_status store_read_rows(struct connection *connection, uint64_t since,
				 struct store_news *news);
/* Those that all others stand on: projects, root keys, clusters, archives. */
enum zone_status store_read_few(struct connection *connection, struct store_news *news);
/* What holds at every level (docs/format.md, 6), all of it: projects, root keys, and the zones that
 * must not be opened, as tombstones. ZONE_STORE_NEWER: not even that can be read. */
enum zone_status store_read_every_level(struct connection *connection, struct store_news *news);
/* One change, with the given revision. ZONE_CONFLICT. */
enum zone_status store_write_change(struct connection *connection,
				    const struct store_change *change, uint64_t revision);

/* --- count.c */

/* How many rows `zones` has; before anything is written. */
enum zone_status store_count_zones(struct connection *connection, size_t *ret_zones);
/* What a change makes of their number; before it is written. */
void store_count_change(struct store_count *count, const struct store_change *change);

/* --- few.c: of a store that a process knows but a part of (store.h: find, list) */

/* Whether it has more rows than that, with tombstones. */
enum zone_status store_has_more(struct connection *connection, size_t most, bool *ret_more);
enum zone_status store_find(struct connection *connection, const struct store_key *key,
			    struct store_news *news);
enum zone_status store_list(struct connection *connection, struct uid project, struct uid *after,
			    struct store_news *news, bool *ret_end);
