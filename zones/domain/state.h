/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What struct zones holds, for the files of zones/ alone.
 *
 * In this order: the turn to change, the store's own locks, `lock`. None is held while the KMS is
 * asked; only the turn, which is no lock, is kept while the store waits for the network.
 * The index changes only by whoever has the turn and, for the moment of the change, `lock` for
 * writing; so either of the two is enough to read it.
 */
#pragma once

#include "zones/domain/missed.h"
#include "zones/domain/schedule.h"
#include "zones/domain/store_silence.h"
#include "zones/domain/turn.h"
#include "zones/domain/zones.h"
#include "zones/index/index.h"

#include <pthread.h>
#include <stdatomic.h>

struct pins;
struct registry; /* the live EZKs: zones/domain/live_ezks.c, zones/ezk/registry.h */

struct zones {
	struct zones_settings settings; /* default_root_key and pins_at are owned */
	struct pins *pins;		/* NULL: none */
	const struct clock *clock;
	struct store *store;
	struct kms_clients *clients;
	struct registry *registry;

	struct turn changing;  /* one look or change at a time; kept over the store's calls */
	pthread_rwlock_t lock; /* the index, for moments */
	struct index index;
	struct store_cursor cursor; /* how far the index has the store; the zero state: read all */
	int64_t next_recount;	    /* monotonic ms: not before it for a count that does not fit */
	bool miscounted;	    /* such a count was told of */
	struct missed missed;
	struct store_silence silence;
	struct missed asked; /* labels of which the index has all, though it is partial */
	struct schedule schedule;
	atomic_uint_fast64_t looks; /* how many have begun */
	atomic_size_t zones_there;  /* how many zones the store has, as it last said */
	size_t found_here;	    /* look-ups by a key since the index was partial; in a turn */
	bool read_on;		    /* it was read whole for that; in a turn */
	atomic_uint_fast64_t generation;
	atomic_bool loaded;	       /* the index has been filled once */
	atomic_bool partial;	       /* index.partial, for whoever has no lock */
	atomic_bool unread;	       /* the same: there are projects that can't be read */
	atomic_bool wants_all;	       /* something here needed all of the store: it stays */
	atomic_bool limited;	       /* by what this release may read of a newer store */
	atomic_bool broken;	       /* it has but part of the news, for want of memory */
	atomic_int_fast64_t next_look; /* monotonic ms: before it, nothing of this is due */
	atomic_int_fast64_t next_read; /* the same of the store; at the earliest with a look */
	_Atomic int64_t next_daily;    /* monotonic ms: zones_daily() */
	_Atomic(enum zone_status)
		no_creation;		/* the outage that kept a zone from being made last */
	_Atomic(enum zone_status) look; /* what the last look answered */
};

/* The turn to look or change, with the deadline of the store's engine; ZONE_STORE_UNAVAILABLE: not
 * within that. Its taker holds pthread_cancel off until zones_end_turn(), which accepts NULL. */
enum zone_status zones_begin_turn(struct zones *zones, struct zones **ret_held);
void zones_end_turn(struct zones **held);
/* Before and after each call that an engine may have to wait with (store.h: away). */
enum zone_status zones_check_silence(struct zones *zones);
enum zone_status zones_note_silence(struct zones *zones, enum zone_status status);

/* Makes the live EZKs and shows them the domain, whose settings and clock are set before. Borrows
 * `clients`. */
enum zone_status zones_live_ezks(struct zones *zones, struct kms_clients *clients,
				 struct registry **ret_registry);

/* Takes news into the index; within a turn. */
enum zone_status zones_apply(struct zones *zones, struct store_news *news);
/* Gives an entry that is to be written its number, and the index room for it; within a turn. And
 * takes it back, if it was not written. */
enum zone_status zones_reserve(struct zones *zones, struct entry *entry);
void zones_unreserve(struct zones *zones, const struct entry *entry);
/* Whether the index says all that there is of that key. */
bool zones_know_now(struct zones *zones, const struct store_key *key);
/* A store that is far away was asked for it a moment ago, and did not have it. */
bool zones_asked_just_now(struct zones *zones, const struct store_key *key);
/* Within a turn: looks into the store; asks it for what has that key. */
enum zone_status zones_look_in_turn(struct zones *zones);
enum zone_status zones_ask_in_turn(struct zones *zones, const struct store_key *key);
/* Applies news. ZONE_STORE_CORRUPT: the index is partial, and a row that may be what is looked for
 * counts for nothing; the others are there. */
enum zone_status zones_apply_all(struct zones *zones, struct store_news *news);
/* Within a turn: reads all of the store, if the index is partial. */
enum zone_status zones_know_all_in_turn(struct zones *zones);
/* The same for the entries of these keys alone. */
enum zone_status zones_know_in_turn(struct zones *zones, const struct store_key *keys,
				    size_t count);
/* How many zones and token keys the process keeps, about. */
size_t zones_most(const struct zones *zones);
/* Within a turn, while nobody looks at the index: lets go of what is too much. */
void zones_trim(struct zones *zones);
/* Within a turn: forgets zone ids that the store does not have, where they are too many. */
void zones_trim_absent(struct zones *zones);
/* Notes that the index is fresh now. */
void zones_looked(struct zones *zones, enum zone_status status);

/* A transaction: brings the index up to date, lets `decide` check the rules and name the changes,
 * writes them, and shows them in the index. `decide` may read zones->index without a lock and must
 * not wait for anything. It may be asked several times, each time from the beginning: what it made
 * at the time before, in `state` too, is made anew or set again, and what it looked at in the index
 * may be gone. A refusal is told by it, since it ends the transaction. */
struct changes {
	struct zones *zones;
	struct store_change *list;
	size_t count;
	const char *action; /* what the audit log calls each of them; NULL: what it is */
	bool purges;	    /* what it removes had awaited that: for the audit log */
	bool moves;	    /* it marks projects as going to another store, or takes that back */
};
typedef enum zone_status changes_decide(struct changes *changes, void *state);
enum zone_status zones_change(struct zones *zones, changes_decide *decide, void *state);
/* The same where the rules look at nothing but projects, root keys, clusters, and what has these
 * keys: so the store need not be read whole for it. A label is that of all spellings. */
enum zone_status zones_change_known(struct zones *zones, const struct store_key *keys, size_t count,
				    changes_decide *decide, void *state);
/* For `decide`: adds a change. Holds the entry, as long as it is not asked again. */
enum zone_status changes_put(struct changes *changes, struct entry *entry);
enum zone_status changes_remove(struct changes *changes, struct entry *entry);
/* The same for what a backup brings (store.h: from_backup). */
enum zone_status changes_bring(struct changes *changes, struct entry *entry, bool remove);
/* Of changes that are not made. */
void changes_clear(struct changes *changes);

int64_t zones_monotonic_ms(const struct zones *zones);
int64_t zones_deletion_ms(const struct zones *zones); /* when the deletion window ends */
