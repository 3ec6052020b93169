/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory, whose rows all stores of this process share, as those of a fleet share a
 * database: it writes what nobody else has changed meanwhile, and else asks anew. It has the faults
 * that a test orders.
 */
#pragma once

#include "zones/store/store.h"

#include <pthread.h>

enum { MEMORY_LOOK_MS = 30000, MEMORY_HASTY_MS = 1 };

/* One engine; with the second, whoever waits for another call of the process soon gives up. */
extern const struct store_engine memory_store;
extern const struct store_engine memory_store_hasty;

struct memory_row {
	struct entry *entry; /* owned: nobody else has this copy */
	bool removed;
};

struct memory_rows {
	pthread_mutex_t lock; /* all below but the faults, which are set while nobody calls */
	pthread_cond_t moved; /* the gate, or who waits at it */
	struct memory_row *rows;
	size_t count;
	uint64_t revision;
	/* The gate, behind which everything is asked. */
	bool closed;
	size_t waiting;
	/* How often it was called, and asked `decide`; how many writes were done. */
	size_t reads, finds, asks, writes, looks;
	size_t wholes;	  /* readings of all there is */
	size_t lists;	  /* pages */
	size_t lost_list; /* the page of that number does not come */
	size_t most;	  /* of stores that are opened from here on; 0: the usual */
	/* Faults. */
	size_t miscounted;	    /* so many databases fewer are told than there are */
	size_t conflicts;	    /* so many tries of each write are too late */
	enum zone_status fault;	    /* what each call answers; ZONE_OK: none */
	const char *id;		    /* the store's; NULL: it has none */
	struct store_unread unread; /* a project that can't be read; why ZONE_OK: there is none */
	/* What somebody else does between two tries; it may write itself. Once. NULL: nothing */
	void (*rival)(void *state);
	void *rival_state;
};
extern struct memory_rows memory_rows;

/* Empty, and without faults. */
void memory_rows_begin(void);
void memory_rows_end(void);
/* From here on every call waits until memory_open(). */
void memory_close(void);
void memory_open(void);
/* Until so many calls wait. */
void memory_await(size_t waiting);
