/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What threads write of an EZK with each key that they unwrap, wrap or destroy: the list of its
 * values, and how many hold it. One lane does until threads are seen to take turns in it; then each
 * has one of several, in lines of the cache that no other thread writes. An EZK that one thread
 * uses stays small.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct masked_value; /* zones/ezk/ezk.h */

struct lane {
	pthread_mutex_t lock; /* a short one; guards what follows, but for the counts */
	bool open;	      /* the keys are here, by which values can be hidden */
	struct masked_value *values;
	pthread_t last; /* which thread came last … */
	unsigned turns; /* … and how often it was another than before; in the first lane alone */
	_Atomic uint64_t held, released; /* so often */
};

struct lanes {
	struct lane first;
	_Atomic(struct lane_apart *) others; /* NULL: there is one */
	atomic_bool ended;
	_Atomic uint64_t left; /* how many hold it, once that has ended */
};

void lanes_init(struct lanes *lanes);
void lanes_clear(struct lanes *lanes); /* values stay their owners' */

/* Counts. Atomic steps in the thread's own lane; none of them finds out that it was the last (true)
 * before lanes_end(). */
void lanes_hold(struct lanes *lanes);
bool lanes_release(struct lanes *lanes);
/* False: nobody does, and nobody can come to but by the caller, since who holds comes from who
 * holds. */
bool lanes_are_held(const struct lanes *lanes);
/* The same, for the last time, while no other thread holds or releases: from here on the last
 * release is told. */
bool lanes_end(struct lanes *lanes);

/* The thread's own, locked; AUTO(lane_unlockp). */
struct lane *lanes_lock(struct lanes *lanes);
/* The one that has the value. */
struct lane *lanes_lock_of(struct lanes *lanes, const struct masked_value *value);
/* The same; it moves from the first to that of the thread, which uses it. */
struct lane *lanes_lock_to_use(struct lanes *lanes, struct masked_value *value);
void lane_unlockp(struct lane **lane);
/* The lane is locked. Of a value that is in none. */
void lanes_take(struct lanes *lanes, struct lane *lane, struct masked_value *value);
/* Locks by itself; also of a value that is in none. */
void lanes_forget(struct lanes *lanes, struct masked_value *value);

/* All at once: no value is taken meanwhile. */
void lanes_open(struct lanes *lanes);
typedef void lanes_visit(void *state, struct masked_value *value);
void lanes_close(struct lanes *lanes, lanes_visit *visit, void *state);
void lanes_each(struct lanes *lanes, lanes_visit *visit, void *state); /* closes nothing */
