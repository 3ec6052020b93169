/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions; see the header. */
#include "session/table.h"

#include "base/fork.h"
#include "base/free.h"
#include "session/ready_keys.h"

#include <stdlib.h>

enum {
	INDEX_BITS = 20, /* a million sessions at once */
	CHUNK_BITS = 8,	 /* places that are made together */
	CHUNK_SIZE = 1 << CHUNK_BITS,
	CHUNK_COUNT = 1 << (INDEX_BITS - CHUNK_BITS),
};

/* How many sessions a slot has. */
struct tally {
	CK_SLOT_ID slot;
	size_t all, read_write;
};

static struct {
	pthread_mutex_t lock;
	bool started; /* under the lock, as all but the chunks */
	_Atomic(struct place *) chunks[CHUNK_COUNT];
	size_t used; /* places that have ever been in use */
	struct place *free;
	uint64_t opened; /* sessions, so far: the number in a handle */
	struct tally *tallies;
	size_t tally_count;
	struct objects *objects;
	struct tokens *tokens;
	size_t inside; /* threads that have entered and not left */
	pthread_cond_t empty;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .empty = PTHREAD_COND_INITIALIZER};

/* --- The life of the table */

/* A child that has not initialized has nothing but what its parent left. */
static void before_fork(void)
{
	if (!fork_is_child())
		ready_keys_before_fork();
}

/* Handlers can't be taken back, so once. */
static void watch_forks(void)
{
	pthread_atfork(before_fork, NULL, NULL);
}

CK_RV sessions_start(struct objects *objects, struct tokens *tokens)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);

	pthread_once(&once, watch_forks);
	ready_keys_start();
	table.objects = objects;
	table.tokens = tokens;
	table.started = true;
	return CKR_OK;
}

CK_RV table_started(void)
{
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	lock = locked(&table.lock);
	return table.started ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

CK_RV table_enter(bool *ret_inside, struct objects **ret_objects, struct tokens **ret_tokens)
{
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	lock = locked(&table.lock);
	if (!table.started)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	table.inside++;
	*ret_inside = true;
	*ret_objects = table.objects;
	*ret_tokens = table.tokens;
	return CKR_OK;
}

void table_leave(bool *inside)
{
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (!*inside)
		return;
	lock = locked(&table.lock);
	if (--table.inside == 0)
		pthread_cond_broadcast(&table.empty);
}

void table_stop(void)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);

	table.started = false;
	while (table.inside > 0)
		pthread_cond_wait(&table.empty, &table.lock);
}

void sessions_abandon(void)
{
	/* Threads that are not here may have held any of these locks. */
	pthread_mutex_init(&table.lock, NULL);
	pthread_cond_init(&table.empty, NULL);
	table.inside = 0;
	for (size_t i = 0; i < CHUNK_COUNT; i++)
		atomic_store(&table.chunks[i], NULL);
	table.used = 0;
	table.free = NULL;
	table.tallies = NULL;
	table.tally_count = 0;
	table.started = false;
}

/* --- Places */

static struct place *place_at(size_t index)
{
	struct place *chunk =
		atomic_load_explicit(&table.chunks[index >> CHUNK_BITS], memory_order_acquire);

	return chunk == NULL ? NULL : &chunk[index & (CHUNK_SIZE - 1)];
}

static struct place *chunk_new(size_t first)
{
	struct place *chunk = aligned_alloc(_Alignof(struct place), CHUNK_SIZE * sizeof(*chunk));
	uint32_t i;

	if (chunk == NULL)
		return NULL;
	memset(chunk, 0, CHUNK_SIZE * sizeof(*chunk));
	for (i = 0; i < CHUNK_SIZE; i++) {
		pthread_mutex_init(&chunk[i].lock, NULL);
		chunk[i].index = (uint32_t)first + i;
	}
	atomic_store_explicit(&table.chunks[first >> CHUNK_BITS], chunk, memory_order_release);
	return chunk;
}

/* Of a table that is not full; NULL: no memory. */
static struct place *place_new(void)
{
	struct place *place = table.free;

	if (place != NULL) {
		table.free = place->next;
		return place;
	}
	place = place_at(table.used);
	if (place == NULL)
		place = chunk_new(table.used);
	if (place != NULL)
		table.used++;
	return place;
}

CK_RV table_take_place(struct place **ret_place, CK_SESSION_HANDLE *ret_handle)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);
	bool full = table.free == NULL && table.used == (size_t)CHUNK_SIZE * CHUNK_COUNT;
	struct place *place = full ? NULL : place_new();

	if (place == NULL)
		return full ? CKR_SESSION_COUNT : CKR_HOST_MEMORY;
	*ret_place = place;
	*ret_handle = (CK_SESSION_HANDLE)(++table.opened << INDEX_BITS | place->index);
	return CKR_OK;
}

void table_give_back(struct place *place)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);

	place->next = table.free;
	table.free = place;
}

static struct place *find(CK_SESSION_HANDLE handle)
{
	struct place *place = place_at(handle & (((size_t)1 << INDEX_BITS) - 1));

	if (handle == 0 || place == NULL ||
	    atomic_load_explicit(&place->handle, memory_order_acquire) != handle)
		return NULL;
	return place;
}

struct place *table_lock(CK_SESSION_HANDLE handle)
{
	struct place *place = find(handle);

	if (place == NULL)
		return NULL;
	pthread_mutex_lock(&place->lock);
	/* It may have been closed meanwhile. */
	if (atomic_load_explicit(&place->handle, memory_order_acquire) == handle)
		return place;
	pthread_mutex_unlock(&place->lock);
	return NULL;
}

/* A session that is in use sees to itself. */
static void visit_place(struct place *place, void (*visit)(struct session *session))
{
	if (atomic_load_explicit(&place->handle, memory_order_acquire) == 0 ||
	    pthread_mutex_trylock(&place->lock) != 0)
		return;
	if (place->session != NULL)
		visit(place->session);
	pthread_mutex_unlock(&place->lock);
}

void table_visit_idle(void (*visit)(struct session *session))
{
	for (size_t i = 0; i < (size_t)CHUNK_SIZE * CHUNK_COUNT && place_at(i) != NULL; i++)
		visit_place(place_at(i), visit);
}

/* --- Counting */

static struct tally *tally_find(CK_SLOT_ID slot)
{
	size_t i;

	for (i = 0; i < table.tally_count; i++) {
		if (table.tallies[i].slot == slot)
			return &table.tallies[i];
	}
	return NULL;
}

static struct tally *tally_get(CK_SLOT_ID slot)
{
	struct tally *tally = tally_find(slot), *tallies;

	if (tally != NULL)
		return tally;
	tallies = realloc(table.tallies, (table.tally_count + 1) * sizeof(*tallies));
	if (tallies == NULL)
		return NULL;
	table.tallies = tallies;
	tallies[table.tally_count] = (struct tally){.slot = slot};
	return &tallies[table.tally_count++];
}

void session_counts(CK_SLOT_ID slot, CK_ULONG *ret_all, CK_ULONG *ret_read_write)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);
	const struct tally *tally = tally_find(slot);

	*ret_all = tally == NULL ? 0 : tally->all;
	*ret_read_write = tally == NULL ? 0 : tally->read_write;
}

/* --- Coming and going */

CK_RV table_publish(struct place *place, CK_SESSION_HANDLE handle, CK_SLOT_ID slot, bool read_write)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);
	struct tally *tally = tally_get(slot);

	if (!table.started)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	if (tally == NULL)
		return CKR_HOST_MEMORY;
	if (!read_write && tokens_user(table.tokens, slot) == CKU_SO)
		return CKR_SESSION_READ_WRITE_SO_EXISTS;
	place->slot = slot;
	place->read_write = read_write;
	tally->all++;
	tally->read_write += read_write;
	atomic_store_explicit(&place->handle, handle, memory_order_release);
	return CKR_OK;
}

static void unlink_place(struct place *place)
{
	struct tally *tally = tally_find(place->slot);

	atomic_store_explicit(&place->handle, 0, memory_order_release);
	tally->all--;
	tally->read_write -= place->read_write;
	/* "When the last session is closed, the user is logged out." */
	if (tally->all == 0)
		tokens_logout(table.tokens, place->slot);
}

struct place *table_unlink(CK_SESSION_HANDLE handle)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);
	struct place *place = find(handle);

	if (place != NULL)
		unlink_place(place);
	return place;
}

struct place *table_unlink_all(const CK_SLOT_ID *slot)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&table.lock);
	struct place *list = NULL;

	for (size_t i = 0; i < table.used; i++) {
		struct place *place = place_at(i);

		if (atomic_load(&place->handle) == 0 || (slot != NULL && place->slot != *slot))
			continue;
		unlink_place(place);
		place->next = list;
		list = place;
	}
	return list;
}
