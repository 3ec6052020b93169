/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What struct zones holds, for the files of zones/ alone.
 *
 * Locks, in this order: `changing`, the store's own, `lock`. None is held while the KMS is asked.
 * The index changes only by who holds `changing` and, for the moment of the change, `lock` for
 * writing; so either of the two is enough to read it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "zones/index/index.h"
#include "zones/domain/zones.h"

struct pins;
struct ezks; /* the live EZKs, made and freed by zones/ezk/ezk.c */

struct zones {
	struct zones_settings settings; /* default_root_key and pins_at are owned */
	struct pins *pins;		/* NULL: none */
	const struct clock *clock;
	struct store *store;
	struct kms_clients *clients;
	struct ezks *ezks;

	pthread_mutex_t changing; /* one look or change at a time; held over the store's calls */
	pthread_rwlock_t lock;	  /* the index, for moments */
	struct index index;
	uint64_t revision; /* of the store, that the index has; 0: none */
	atomic_uint_fast64_t generation;
	atomic_bool loaded;	       /* the index has been filled once */
	atomic_bool limited;	       /* by what this release may read of a newer store */
	atomic_bool broken;	       /* it has but part of the news, for want of memory */
	atomic_int_fast64_t next_look; /* monotonic ms: before it, a look is not due */
	_Atomic(enum zone_status)
		no_creation;		/* the outage that kept a zone from being made last */
	_Atomic(enum zone_status) look; /* what the last look answered */
};

/* Takes news into the index; with `changing` held. */
enum zone_status zones_apply(struct zones *zones, struct store_news *news);
/* Gives an entry that is to be written its number, and the index room for it; with `changing` held.
 * And takes it back, if it was not written. */
enum zone_status zones_reserve(struct zones *zones, struct entry *entry);
void zones_unreserve(struct zones *zones, const struct entry *entry);
/* Notes that the index is fresh now. */
void zones_looked(struct zones *zones, enum zone_status status);

/* A transaction: brings the index up to date, lets `decide` check the rules and name the changes,
 * writes them, and shows them in the index. `decide` may read zones->index without a lock and must
 * not wait for anything. */
struct changes {
	struct zones *zones;
	struct store_change *list;
	size_t count;
};
typedef enum zone_status changes_decide(struct changes *changes, void *state);
enum zone_status zones_change(struct zones *zones, changes_decide *decide, void *state);
/* For `decide`: adds a change. Holds the entry. */
enum zone_status changes_put(struct changes *changes, struct entry *entry);
enum zone_status changes_remove(struct changes *changes, struct entry *entry);

int64_t zones_now_ms(const struct zones *zones);      /* real time */
int64_t zones_deletion_ms(const struct zones *zones); /* when the deletion window ends */
/* Random, as uids are. ZONE_NOT_STARTED. */
enum zone_status uid_new(struct uid *ret_uid);
/* A rule refuses: says why, once, and returns the status. */
enum zone_status refuse(enum zone_status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
