/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes. The first one's lock comes before another's, and guards that there are others: so whoever
 * holds it sees all of them as they are. */
#include "zones/ezk/lanes.h"

#include "base/short_lock.h"
#include "base/thread.h"
#include "zones/ezk/ezk.h"

#include <assert.h>
#include <stdlib.h>

enum {
	LANE_BITS = 3,
	LANE_COUNT = 1 << LANE_BITS,
	TURNS = 8,  /* of threads in one lane, until there are more */
	APART = 128 /* processors fetch two lines at once */
};

struct lane_apart {
	struct lane lane;
} __attribute__((aligned(APART)));

/* masked_value.lane: 0: in none; the first; or one of the others. */
enum { IN_NONE, IN_FIRST, IN_OTHERS };

static struct lane_apart *others_of(const struct lanes *lanes)
{
	return atomic_load_explicit(&lanes->others, memory_order_acquire);
}

static void lane_init(struct lane *lane)
{
	*lane = (struct lane){0};
	short_lock_init(&lane->lock);
}

void lanes_init(struct lanes *lanes)
{
	lane_init(&lanes->first);
	atomic_init(&lanes->others, NULL);
	atomic_init(&lanes->ended, false);
	atomic_init(&lanes->left, 0);
}

void lanes_clear(struct lanes *lanes)
{
	struct lane_apart *others = others_of(lanes);

	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++)
		pthread_mutex_destroy(&others[i].lane.lock);
	free(others);
	pthread_mutex_destroy(&lanes->first.lock);
}

/* --- How many hold it */

static struct lane *own(struct lanes *lanes)
{
	struct lane_apart *others = others_of(lanes);

	return others == NULL ? &lanes->first : &others[thread_part(LANE_BITS)].lane;
}

static bool have_ended(const struct lanes *lanes)
{
	return atomic_load_explicit(&lanes->ended, memory_order_acquire);
}

void lanes_hold(struct lanes *lanes)
{
	if (have_ended(lanes))
		atomic_fetch_add(&lanes->left, 1);
	else
		atomic_fetch_add_explicit(&own(lanes)->held, 1, memory_order_relaxed);
}

bool lanes_release(struct lanes *lanes)
{
	if (have_ended(lanes))
		return atomic_fetch_sub(&lanes->left, 1) == 1;
	atomic_fetch_add_explicit(&own(lanes)->released, 1, memory_order_release);
	return false;
}

/* Releases are read before holds are: if both are equal then, they were so in between, where all
 * that had been held was released. */
static uint64_t count(const struct lanes *lanes)
{
	const struct lane_apart *others = others_of(lanes);
	uint64_t released = atomic_load(&lanes->first.released), held;

	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++)
		released += atomic_load(&others[i].lane.released);
	atomic_thread_fence(memory_order_seq_cst);
	others = others_of(lanes);
	held = atomic_load(&lanes->first.held);
	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++)
		held += atomic_load(&others[i].lane.held);
	return held - released;
}

bool lanes_are_held(const struct lanes *lanes)
{
	return count(lanes) != 0;
}

bool lanes_end(struct lanes *lanes)
{
	atomic_store(&lanes->left, count(lanes));
	atomic_store_explicit(&lanes->ended, true, memory_order_release);
	return atomic_load(&lanes->left) != 0;
}

/* --- Lanes for all */

/* With the first one locked. Without memory it stays alone, for a while. */
static void spread(struct lanes *lanes)
{
	struct lane_apart *others = aligned_alloc(APART, LANE_COUNT * sizeof(*others));

	lanes->first.turns = 0;
	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++) {
		lane_init(&others[i].lane);
		others[i].lane.open = lanes->first.open;
	}
	atomic_store_explicit(&lanes->others, others, memory_order_release);
}

static void watch_turns(struct lanes *lanes)
{
	const pthread_t self = pthread_self();

	if (pthread_equal(lanes->first.last, self) || others_of(lanes) != NULL)
		return;
	lanes->first.last = self;
	if (++lanes->first.turns > TURNS)
		spread(lanes);
}

struct lane *lanes_lock(struct lanes *lanes)
{
	struct lane *lane = own(lanes);

	pthread_mutex_lock(&lane->lock);
	if (lane == &lanes->first)
		watch_turns(lanes);
	return lane;
}

void lane_unlockp(struct lane **lane)
{
	if (*lane != NULL)
		pthread_mutex_unlock(&(*lane)->lock);
}

/* --- Values */

static struct lane *lane_at(const struct lanes *lanes, unsigned number)
{
	return number < IN_OTHERS ? (struct lane *)(uintptr_t)&lanes->first
				  : &others_of(lanes)[number - IN_OTHERS].lane;
}

static unsigned number_of(const struct lanes *lanes, const struct lane *lane)
{
	if (lane == &lanes->first)
		return IN_FIRST;
	return IN_OTHERS + (unsigned)((const struct lane_apart *)lane - others_of(lanes));
}

void lanes_take(struct lanes *lanes, struct lane *lane, struct masked_value *value)
{
	assert(value->lane == IN_NONE);
	value->previous = NULL;
	value->next = lane->values;
	if (lane->values != NULL)
		lane->values->previous = value;
	lane->values = value;
	atomic_store_explicit(&value->lane, (uint8_t)number_of(lanes, lane), memory_order_release);
}

static void unlink_value(struct lane *lane, struct masked_value *value)
{
	if (value->next != NULL)
		value->next->previous = value->previous;
	if (value->previous != NULL)
		value->previous->next = value->next;
	else
		lane->values = value->next;
	atomic_store_explicit(&value->lane, IN_NONE, memory_order_relaxed);
}

/* Another thread may move it until its lane is locked. */
struct lane *lanes_lock_of(struct lanes *lanes, const struct masked_value *value)
{
	for (;;) {
		unsigned number = atomic_load_explicit(&value->lane, memory_order_acquire);
		struct lane *lane = lane_at(lanes, number);

		pthread_mutex_lock(&lane->lock);
		if (atomic_load_explicit(&value->lane, memory_order_relaxed) == number)
			return lane;
		pthread_mutex_unlock(&lane->lock);
	}
}

struct lane *lanes_lock_to_use(struct lanes *lanes, struct masked_value *value)
{
	struct lane *lane = lanes_lock_of(lanes, value), *to;

	if (lane != &lanes->first || value->lane == IN_NONE)
		return lane;
	watch_turns(lanes);
	to = own(lanes);
	if (to == lane)
		return lane;
	pthread_mutex_lock(&to->lock);
	unlink_value(lane, value);
	lanes_take(lanes, to, value);
	pthread_mutex_unlock(&lane->lock);
	return to;
}

void lanes_forget(struct lanes *lanes, struct masked_value *value)
{
	struct lane *lane;

	if (atomic_load_explicit(&value->lane, memory_order_acquire) == IN_NONE)
		return;
	lane = lanes_lock_of(lanes, value);
	unlink_value(lane, value);
	pthread_mutex_unlock(&lane->lock);
}

/* --- All of them */

static void set_open(struct lane *lane, bool open)
{
	pthread_mutex_lock(&lane->lock);
	lane->open = open;
	pthread_mutex_unlock(&lane->lock);
}

void lanes_open(struct lanes *lanes)
{
	struct lane_apart *others;

	pthread_mutex_lock(&lanes->first.lock);
	others = others_of(lanes);
	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++)
		set_open(&others[i].lane, true);
	lanes->first.open = true;
	pthread_mutex_unlock(&lanes->first.lock);
}

static void visit_values(const struct lane *lane, lanes_visit *visit, void *state)
{
	for (struct masked_value *value = lane->values; value != NULL; value = value->next)
		visit(state, value);
}

static void visit_all(struct lanes *lanes, bool closes, lanes_visit *visit, void *state)
{
	struct lane_apart *others;

	pthread_mutex_lock(&lanes->first.lock);
	lanes->first.open = lanes->first.open && !closes;
	visit_values(&lanes->first, visit, state);
	others = others_of(lanes);
	for (size_t i = 0; others != NULL && i < LANE_COUNT; i++) {
		pthread_mutex_lock(&others[i].lane.lock);
		others[i].lane.open = others[i].lane.open && !closes;
		visit_values(&others[i].lane, visit, state);
		pthread_mutex_unlock(&others[i].lane.lock);
	}
	pthread_mutex_unlock(&lanes->first.lock);
}

void lanes_close(struct lanes *lanes, lanes_visit *visit, void *state)
{
	visit_all(lanes, true, visit, state);
}

void lanes_each(struct lanes *lanes, lanes_visit *visit, void *state)
{
	visit_all(lanes, false, visit, state);
}
