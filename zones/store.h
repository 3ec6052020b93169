/*
 * The store: where projects, root keys, clusters, zones and token keys live between processes. A
 * table of functions, so that a shared engine for fleets can come beside SQLite. Nothing in it is
 * secret: EZKs and DEKs are there in wrapped form only.
 *
 * A transaction is a list of changes that happens whole or not at all; a crash at any point leaves
 * the old or the new state. Every change compares the revision it was based on (0 = the row must be
 * new): ZONE_CONFLICT, and nothing has changed.
 */
#pragma once

#include "zones/entry.h"
#include "zones/status.h"

struct store;

struct store_change {
	/* The wished state; its revision is the one it is based on, 0 for a new row. The store sets
	 * the new revision in it. */
	struct entry *entry;
	bool remove; /* for good: a tombstone with a revision stays, so that other processes notice
		      */
};

/* Receives a row that is newer than what was known; the entry is given away. `removed`: a
 * tombstone. */
typedef enum zone_status store_visit(void *state, struct entry *entry, bool removed);

struct store_operations {
	/* Calls `visit` for every row with a revision above `since`, in order of revision.
	 * *ret_revision: the store's last. A store that does not exist yet is empty. */
	enum zone_status (*read)(struct store *store, uint64_t since, store_visit *visit,
				 void *state, uint64_t *ret_revision);
	/* True if a `read` could bring something new: a stat, no more. */
	bool (*changed)(struct store *store);
	/*
	 * One transaction, alone in all processes: reads what is newer than `since` as `read` does,
	 * then asks `prepare` for the changes (this is where the rules are checked, against an
	 * index that is now up to date; anything but ZONE_OK abandons all), then writes them. On
	 * ZONE_OK each change's entry has its new revision, and *ret_revision is the last of them.
	 */
	enum zone_status (*write)(struct store *store, uint64_t since, store_visit *visit,
				  enum zone_status (*prepare)(void *state,
							      struct store_change **ret_changes,
							      size_t *ret_count),
				  void *state, uint64_t *ret_revision);
	/* A line of text for doctor: path, schema, revision, whether writable. */
	enum zone_status (*describe)(struct store *store, struct buffer *ret_text);
	void (*free)(struct store *store);
	void (*abandon)(struct store *store); /* in a fork's child */
};

struct store {
	const struct store_operations *operations;
};

/* SQLite 3, rollback journal. `path` is copied. No file is touched before the first read or write.
 */
struct store *store_sqlite_new(const char *path);
