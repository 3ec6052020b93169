/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: where projects, root keys, clusters, zones and token keys live between processes. An
 * engine is a folder beside sqlite/ and a row, so that one for fleets can come beside SQLite.
 * Nothing in it is secret: EZKs and DEKs are there in wrapped form only.
 *
 * A transaction is a list of changes that happens whole or not at all; a crash at any point leaves
 * the old or the new state. Every change compares the revision of its row that it was based on (0 =
 * the row must be new): ZONE_CONFLICT, and nothing has changed.
 *
 * An engine may ask others over the network. Then its calls take their time, up to a deadline of
 * its own, and hold no lock meanwhile but those of the store itself; of one store there is one call
 * at a time. What keeps them from an answer has its own status: ZONE_STORE_UNAVAILABLE,
 * ZONE_STORE_THROTTLED, ZONE_STORE_DENIED, ZONE_STORE_NO_CREDENTIALS; ZONE_STORE_READ_ONLY, if
 * reading is allowed and writing is not. Each call holds pthread_cancel off.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

struct store;
struct aws_settings;

enum { STORE_CURSOR_MAX = 64 };

/* How far a store has been read, in its engine's own words. The zero state: nothing was read, and
 * all is to be told. */
struct store_cursor {
	size_t len;
	uint8_t data[STORE_CURSOR_MAX];
};

struct store_change {
	/* The wished state; its revision is the one it is based on, 0 for a new row. The store sets
	 * the row's new revision in it when it is written, and changes nothing in it before. */
	struct entry *entry;
	bool remove; /* for good: a tombstone with a revision stays, so that other processes notice
		      */
	/* A new row takes the place of its uid's tombstone; or, of what is removed: it was never in
	 * this store, and only its tombstone comes (a restore). */
	bool from_backup;
	/* Its state at the revision that it is based on, borrowed, so that an engine need write no
	 * more than what differs; NULL: not known. */
	const struct entry *before;
};

/* A row that is newer than what was known. `removed`: a tombstone, of whose entry only kind, uid,
 * revision and the zone id or slot mean something. */
struct store_row {
	struct entry *entry; /* owned */
	bool removed; /* in limited news, of a zone that is ENTRY_PENDING_DELETION: it is there,
			withheld */
};

enum { STORE_UNREAD_TEXT = 320 };

/* A project of which nothing could be read, though the store itself answers: something of it is
 * damaged, or waits for somebody. */
struct store_unread {
	struct uid project;
	enum zone_status why;
	bool known; /* it was read before; else there is at most its own row of it */
	char text[STORE_UNREAD_TEXT]; /* what is wrong with which project, and what to do */
};

/* What a look into the store brought. */
struct store_news {
	struct store_row *rows; /* in any order: they are one state of the store */
	size_t count;
	/* The rows are all there is: what was known before and is not among them is gone. So it is
	 * at the first look, and when another store has taken the place of the one that was known.
	 */
	bool whole;
	/* Of a whole reading: the store has more than was asked for, and these are its projects,
	 * root keys, clusters and archives alone. Zones and token keys are found by their keys;
	 * none that is not among the rows is gone. */
	bool partial;
	/* The store asks more of a reader than this release knows: these are its projects, root
	 * keys, and zones that must not be opened. All else was not looked at. */
	bool limited;
	size_t unknown; /* rows of kinds that only later releases know, passed over */
	/* Of these nothing newer is among the rows, of a whole reading no more than the project
	 * itself: what is known of them may be out of date, and what is not known may be there. */
	struct store_unread *unread;
	size_t unread_count;
	/* How many zones the store has, if `zones_counted`: whoever knows of more has some whose
	 * rows went without a tombstone, and has to be told everything again. */
	bool zones_counted;
	size_t zones;
	struct store_cursor cursor; /* how far the store has been read with these rows */
	/* Set by whoever asked: by what it is certain whose a zone id is. */
	uint64_t zone; /* they were looked for by this one; 0: by none */
	bool own;      /* this process has just written them */
};
void store_news_clear(struct store_news *news);
/* Appends a row (takes the entry, also on failure). False: no memory. */
bool store_news_add(struct store_news *news, struct entry *entry, bool removed);
/* Appends a project that can't be read. False: no memory. */
bool store_news_add_unread(struct store_news *news, const struct store_unread *unread);
/* NULL: it is not among these. */
const struct store_unread *store_unread_of(const struct store_unread *list, size_t count,
					   struct uid project);

/*
 * Asked within a transaction, when the news have been read, for the changes to make; they stay the
 * asked one's, until it is asked again. Anything but ZONE_OK abandons all, and is the answer. No
 * network here: every process waits.
 * May be asked several times, where others were quicker than the write: each time from the
 * beginning, as if it had not been asked before, with what is newer than at the time before.
 */
typedef enum zone_status store_decide(void *state, struct store_news *news,
				      struct store_change **ret_changes, size_t *ret_count);

/* What may be looked for by a key. */
enum store_by {
	STORE_BY_UID,	 /* an entry of any kind: uid */
	STORE_BY_ZONE,	 /* a zone: zone */
	STORE_BY_LABEL,	 /* an active entry: project, kind, label */
	STORE_BY_IMPORT, /* the zones that have imported versions of a zone, or had: zone */
};
struct store_key {
	enum store_by by;
	enum entry_kind kind;
	struct uid uid, project;
	uint64_t zone;
	uint32_t version;   /* for zones/domain/missed.h alone: of a zone; 0: the zone itself */
	struct bytes label; /* borrowed */
};

/* A level of the store: what it asks of whoever reads or writes it (docs/format.md, 6). */
struct store_level {
	unsigned level, min_reader, min_writer;
	const char *release; /* the first that knows it */
	const char *feature; /* what it switches on */
};
/* The newest that this release knows. */
unsigned store_level_understood(void);
/* NULL: not known. */
const struct store_level *store_level_row(unsigned level);

enum { STORE_RELEASE_SIZE = 32, STORE_ID_SIZE = 33 }; /* with a NUL */

/* What a store says of itself before anything in it is read. */
struct store_head {
	unsigned level;			  /* 0: it says none that could be read */
	unsigned min_reader;		  /* what a reader must understand */
	unsigned min_writer;		  /* what a writer must */
	char release[STORE_RELEASE_SIZE]; /* the first that knows its level: "cmek-pkcs11 0.2.0",
					     or "a later release", if it can't be read */
};

struct store_facts {
	const char *path;      /* the store's */
	const char *rights_on; /* what an identity is given rights on, if that is not the path; else
				  NULL */
	char id[STORE_ID_SIZE]; /* by which the store itself is known, wherever it lies; empty: it
				   has none, or is not there yet */
	bool exists, writable;
	bool way_back; /* there is a level below, which would lose nothing */
	uint64_t revision;
	struct store_head head;
};

struct store_operations {
	/* All rows that are newer than at `since`. A store that does not exist yet is empty. */
	enum zone_status (*read)(struct store *store, const struct store_cursor *since,
				 struct store_news *ret_news);
	/* For an engine whose stores may hold more than each process should know, else NULL: the
	 * same, but where nothing was read before and the store has more than `most` rows, only
	 * the few that all others stand on (`partial`). */
	enum zone_status (*read_few)(struct store *store, const struct store_cursor *since,
				     size_t most, struct store_news *ret_news);
	/* True if a `read` could bring something new; asked at most once in the engine's
	 * interval. Never waits: an engine that would have to wait answers true, and `read`
	 * finds out. */
	bool (*changed)(struct store *store);
	/* For an engine whose interval is long, or that has read_few, else NULL: the newest state,
	 * or the tombstone, of what has that key, and of all that it stands on (its project, of a
	 * zone its cluster and root key), as far as they are there. These are rows alone: nothing
	 * is said of others, and no cursor. */
	enum zone_status (*find)(struct store *store, const struct store_key *key,
				 struct store_news *ret_news);
	/* For an engine that has read_few, else NULL: some of a project's zones and token keys that
	 * are there, in the order of their uids: those that follow *after (zeros: the first). They
	 * are rows alone, as with find, each as it was when it was read. *after moves on; *ret_end:
	 * there are no more. There may be none among them, and more to come. */
	enum zone_status (*list)(struct store *store, struct uid project, struct uid *after,
				 struct store_news *ret_news, bool *ret_end);
	/*
	 * One transaction, as if alone in all processes: reads what is newer than `since`, then
	 * asks `decide` (this is where the rules are checked, against an index that is now up to
	 * date), then writes; if somebody else has written meanwhile, begins again. On ZONE_OK each
	 * change's entry has its new revision, and *ret_cursor is how far the store has been read:
	 * past the news and perhaps these changes, but past nothing that `decide` has not seen. No
	 * changes: nothing is written. A write whose answer is lost is found out about before it is
	 * tried again.
	 */
	enum zone_status (*write)(struct store *store, const struct store_cursor *since,
				  store_decide *decide, void *state,
				  struct store_cursor *ret_cursor);
	/* Makes what the first project can't make by itself, and appends lines of text: what was
	 * made. What is there stays. NULL: there is no such thing. */
	enum zone_status (*create)(struct store *store, struct buffer *ret_text);
	/* Appends lines of text: what it stands on, beside what `describe` says. NULL: nothing. */
	enum zone_status (*examine)(struct store *store, struct buffer *ret_text);
	/* For doctor: appends lines of text: path, levels, revision, whether it is writable and
	 * sound. The status says whether it can be read. */
	enum zone_status (*describe)(struct store *store, struct buffer *ret_text);
	/* The head alone, and whether there is a way back. ZONE_OK also for a store that only a
	 * later release reads, and for one that is not there yet (`exists`). */
	enum zone_status (*look_at)(struct store *store, struct store_facts *ret_facts);
	/* From one level to another, up or down, in one transaction, alone in all processes.
	 * ZONE_CONFLICT: it is not at `from`; ZONE_IN_USE: what a level brought is in use;
	 * ZONE_INVALID, ZONE_NOT_FOUND. */
	enum zone_status (*bring)(struct store *store, unsigned from, unsigned to);
	/* After rows were removed for good: overwrites what may be left of them in the store's
	 * files. NULL: there is no way to. */
	enum zone_status (*scrub)(struct store *store);
	void (*free)(struct store *store);
	void (*abandon)(struct store *store); /* in a fork's child: forgets, leaks by intention */
};

struct store {
	const struct store_engine *engine;
	const struct store_operations *operations;
	unsigned look_every_ms; /* as configured; 0: the engine's */
	bool away;   /* set by an engine that waits: the last call to read, find or write had no
			answer, so that the next ones may be spared */
	size_t most; /* zones and token keys that a process keeps; 0: STORE_MOST (read_few) */
};

enum { STORE_MOST = 10000, STORE_MOST_MIN = 100, STORE_MOST_MAX = 10000000 };
enum { STORE_LOOK_MIN = 5, STORE_LOOK_MAX = 300 }; /* seconds */

/* A setting of an engine that asks others, and where it is set: file and line, for messages. NULL:
 * not set, or nowhere. */
struct store_setting {
	const char *text, *at;
};

/* What is configured of a store, in section [store]. */
struct store_settings {
	const char *backend;	/* the engine's name */
	const char *backend_at; /* where that is set: file and line, for messages; NULL: nowhere */
	const char *path;	/* of a file */
	struct store_setting endpoint, prefix, ca_bundle, client_certificate, client_key, user,
		password_file, table, region, look_every, index_max;
	const struct aws_settings *aws; /* section [aws]; NULL: nothing is set there */
	bool no_threads;		/* none is started, not even for names (net/http.h) */
};

/* An engine. Where the module is put together there is a list of them; a test may have a longer
 * one. */
struct store_engine {
	const char *name;
	/* How often it is asked whether something has changed; an engine that waits, up to a tenth
	 * sooner. */
	unsigned look_every_ms;
	unsigned waits_ms; /* how long a call may wait for the network; 0: it has none */
	/* So many rows are read whole when a process starts, unless [store] index_max says
	 * otherwise; 0: STORE_MOST (read_few). */
	size_t reads_whole;
	/* The settings of those above that are for it, with blanks between them, beside `backend`
	 * and `path`; NULL: none. */
	const char *takes;
	/* For an engine that takes some, else NULL: ZONE_INVALID, logged with the setting's place:
	 * they don't fit. ZONE_NO_MEMORY. */
	enum zone_status (*check)(const struct store_settings *settings);
	/* Copies what it keeps of the settings; touches no file and no network. NULL: no memory. */
	struct store *(*open)(const struct store_settings *settings);
};

/* By the engine that the settings name, of a list that ends with NULL. ZONE_INVALID, logged: no
 * engine has that name, with the names that there are; or a setting is not for that engine, or
 * `look_every` (STORE_LOOK_MIN … STORE_LOOK_MAX) or `index_max` (STORE_MOST_MIN … STORE_MOST_MAX)
 * is no such number. */
enum zone_status store_open(const struct store_engine *const engines[],
			    const struct store_settings *settings, struct store **ret_store);
