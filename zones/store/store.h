/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: where projects, root keys, clusters, zones and token keys live between processes. An
 * engine is a folder beside sqlite/ and a row, so that one for fleets can come beside SQLite.
 * Nothing in it is secret: EZKs and DEKs are there in wrapped form only.
 *
 * A transaction is a list of changes that happens whole or not at all; a crash at any point leaves
 * the old or the new state. Every change compares the revision it was based on (0 = the row must be
 * new): ZONE_CONFLICT, and nothing has changed.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

struct store;

struct store_change {
	/* The wished state; its revision is the one it is based on, 0 for a new row. The store sets
	 * the new revision in it. */
	struct entry *entry;
	bool remove; /* for good: a tombstone with a revision stays, so that other processes notice
		      */
};

/* A row that is newer than what was known. `removed`: a tombstone, of whose entry only kind, uid,
 * revision and the zone id or slot mean something. */
struct store_row {
	struct entry *entry; /* owned */
	bool removed;	     /* of a zone that is ENTRY_PENDING_DELETION: it is there, withheld */
};

/* What a look into the store brought. */
struct store_news {
	struct store_row *rows; /* in any order: they are one state of the store */
	size_t count;
	/* The rows are all there is: what was known before and is not among them is gone. So it is
	 * at the first look, and when another store has taken the place of the one that was known.
	 */
	bool whole;
	/* The store asks more of a reader than this release knows: these are its projects, root
	 * keys, and zones that must not be opened. All else was not looked at. */
	bool limited;
	size_t unknown; /* rows of kinds that only later releases know, passed over */
	/* How many zones the store has, if `zones_counted`: whoever knows of more has some whose
	 * rows went without a tombstone, and is to be told all again. */
	bool zones_counted;
	size_t zones;
	uint64_t revision; /* the store's, after these rows */
};
void store_news_clear(struct store_news *news);
/* Appends a row (takes the entry, also on failure). False: no memory. */
bool store_news_add(struct store_news *news, struct entry *entry, bool removed);

/* Asked within a transaction, when the news have been read, for the changes to make; they stay the
 * asked one's. Anything but ZONE_OK abandons all. No network here: every process waits. */
typedef enum zone_status store_decide(void *state, struct store_news *news,
				      struct store_change **ret_changes, size_t *ret_count);

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

enum { STORE_RELEASE_SIZE = 32 };

/* What a store says of itself before anything in it is read. */
struct store_head {
	unsigned level;			  /* 0: it says none that could be read */
	unsigned min_reader;		  /* what a reader must understand */
	unsigned min_writer;		  /* what a writer must */
	char release[STORE_RELEASE_SIZE]; /* the first that knows its level: "cmek-pkcs11 0.2.0",
					     or "a later release", if it can't be read */
};

struct store_facts {
	const char *path; /* the store's */
	bool exists, writable;
	bool way_back; /* there is a level below, which would lose nothing */
	uint64_t revision;
	struct store_head head;
};

struct store_operations {
	/* All rows with a revision above `since`. A store that does not exist yet is empty. */
	enum zone_status (*read)(struct store *store, uint64_t since, struct store_news *ret_news);
	/* True if a `read` could bring something new: a stat, no more. */
	bool (*changed)(struct store *store);
	/*
	 * One transaction, alone in all processes: reads what is newer than `since`, then asks
	 * `decide` (this is where the rules are checked, against an index that is now up to date),
	 * then writes. On ZONE_OK each change's entry has *ret_revision, the store's new one. No
	 * changes: nothing is written, and *ret_revision is that of the news.
	 */
	enum zone_status (*write)(struct store *store, uint64_t since, store_decide *decide,
				  void *state, uint64_t *ret_revision);
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
	void (*free)(struct store *store);
	void (*abandon)(struct store *store); /* in a fork's child: forgets, leaks by intention */
};

struct store {
	const struct store_operations *operations;
};

/* What is configured of a store, in section [store]. */
struct store_settings {
	const char *backend;	/* the engine's name */
	const char *backend_at; /* where that is set: file and line, for messages; NULL: nowhere */
	const char *path;	/* of a file */
};

/* An engine. Where the module is put together there is a list of them; a test may have a longer
 * one. */
struct store_engine {
	const char *name;
	/* Copies what it keeps of the settings; touches no file and no network. NULL: no memory. */
	struct store *(*open)(const struct store_settings *settings);
};

/* By the engine that the settings name, of a list that ends with NULL. ZONE_INVALID, logged with
 * the names that there are: no engine has that name. */
enum zone_status store_open(const struct store_engine *const engines[],
			    const struct store_settings *settings, struct store **ret_store);
