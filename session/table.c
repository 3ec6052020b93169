/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions; see the header. */
#include "session/table.h"

#include "base/fork.h"
#include "base/free.h"
#include "base/thread.h"
#include "session/ready_keys.h"
#include "session/states.h"

#include <stdlib.h>

enum {
	INDEX_BITS = 20, /* a million sessions at once */
	SHARD_BITS = 3,
	SHARD_COUNT = 1 << SHARD_BITS,
	PLACE_BITS = INDEX_BITS - SHARD_BITS, /* places of a shard */
	CHUNK_BITS = 6,			      /* places that are made together */
	CHUNK_SIZE = 1 << CHUNK_BITS,
	CHUNK_COUNT = 1 << (PLACE_BITS - CHUNK_BITS),
	KEPT_MAX = 64, /* sessions that the free places of a shard keep */
};

/* How many sessions a slot has. */
struct tally {
	CK_SLOT_ID slot;
	size_t all, read_write;
} __attribute__((aligned(64)));

struct table_shard {
	pthread_mutex_t lock; /* guards what follows, but for the chunks */
	bool started;
	size_t inside; /* threads that are, by way of this shard */
	pthread_cond_t empty;
	size_t used; /* places that have ever been in use */
	struct place *free;
	size_t kept;	 /* sessions, by those */
	uint64_t opened; /* sessions, so far: the number in a handle */
	struct tally *tallies;
	size_t tally_count;
	_Atomic(struct place *) chunks[CHUNK_COUNT];
} __attribute__((aligned(128)));

static struct table_shard shards[SHARD_COUNT] = {
#define SHARD                                                                                      \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .empty = PTHREAD_COND_INITIALIZER               \
	}
	SHARD, SHARD, SHARD, SHARD, SHARD, SHARD, SHARD, SHARD,
#undef SHARD
};

/* Under all locks. */
static struct {
	struct objects *objects;
	struct tokens *tokens;
} life;

static void unlock_all(bool *held)
{
	for (size_t i = SHARD_COUNT; *held && i-- > 0;)
		pthread_mutex_unlock(&shards[i].lock);
}

/* AUTO(unlock_all) bool held = lock_all(); */
static bool lock_all(void)
{
	for (size_t i = 0; i < SHARD_COUNT; i++)
		pthread_mutex_lock(&shards[i].lock);
	return true;
}

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
	AUTO(unlock_all) bool held = lock_all();

	pthread_once(&once, watch_forks);
	ready_keys_start();
	life.objects = objects;
	life.tokens = tokens;
	for (size_t i = 0; i < SHARD_COUNT; i++) {
		shards[i].started = true;
		/* Each begins with another place: what a session makes lies where the last bits of
		 * its handle say (objects/shards.h), and threads should not meet there either. */
		if (shards[i].used == 0)
			shards[i].used = i;
	}
	return CKR_OK;
}

struct objects *table_objects(void)
{
	return life.objects;
}

struct tokens *table_tokens(void)
{
	return life.tokens;
}

static struct table_shard *shard_of_thread(void)
{
	return &shards[thread_part(SHARD_BITS)];
}

static CK_RV started(const struct table_shard *shard)
{
	return shard->started ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

CK_RV table_started(void)
{
	struct table_shard *shard = shard_of_thread();
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	lock = locked(&shard->lock);
	return started(shard);
}

CK_RV table_enter(struct table_shard **ret_inside)
{
	struct table_shard *shard = shard_of_thread();
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	lock = locked(&shard->lock);
	TRY(started(shard));
	shard->inside++;
	*ret_inside = shard;
	return CKR_OK;
}

/* Under the shard's lock. */
static void leave(struct table_shard *shard)
{
	if (--shard->inside == 0 && !shard->started)
		pthread_cond_broadcast(&shard->empty);
}

void table_leave(struct table_shard **inside)
{
	AUTO(unlockp) pthread_mutex_t *lock = NULL;

	if (*inside == NULL)
		return;
	lock = locked(&(*inside)->lock);
	leave(*inside);
}

static void stop(struct table_shard *shard)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&shard->lock);

	shard->started = false;
	while (shard->inside > 0)
		pthread_cond_wait(&shard->empty, &shard->lock);
}

void table_stop(void)
{
	for (size_t i = 0; i < SHARD_COUNT; i++)
		stop(&shards[i]);
}

void sessions_abandon(void)
{
	for (size_t i = 0; i < SHARD_COUNT; i++) {
		struct table_shard *shard = &shards[i];

		/* Threads that are not here may have held any of these locks. */
		pthread_mutex_init(&shard->lock, NULL);
		pthread_cond_init(&shard->empty, NULL);
		for (size_t at = 0; at < CHUNK_COUNT; at++)
			atomic_store(&shard->chunks[at], NULL);
		shard->started = false;
		shard->inside = 0;
		shard->used = 0;
		shard->free = NULL;
		shard->kept = 0;
		shard->tallies = NULL;
		shard->tally_count = 0;
	}
	states_abandon();
}

/* --- Places */

static struct table_shard *shard_of(CK_SESSION_HANDLE handle_or_index)
{
	return &shards[handle_or_index >> PLACE_BITS & (SHARD_COUNT - 1)];
}

/* NULL: there never was such a place. */
static struct place *place_at(struct table_shard *shard, size_t number)
{
	struct place *chunk =
		atomic_load_explicit(&shard->chunks[number >> CHUNK_BITS], memory_order_acquire);

	return chunk == NULL ? NULL : &chunk[number & (CHUNK_SIZE - 1)];
}

/* The chunk that has the place of this number. False: no memory. */
static bool chunk_make(struct table_shard *shard, size_t number)
{
	struct place *chunk = aligned_alloc(_Alignof(struct place), CHUNK_SIZE * sizeof(*chunk));
	size_t first = number & ~((size_t)CHUNK_SIZE - 1);

	if (chunk == NULL)
		return false;
	memset(chunk, 0, CHUNK_SIZE * sizeof(*chunk));
	for (size_t i = 0; i < CHUNK_SIZE; i++) {
		pthread_mutex_init(&chunk[i].lock, NULL);
		chunk[i].index = (uint32_t)((size_t)(shard - shards) << PLACE_BITS | (first + i));
	}
	atomic_store_explicit(&shard->chunks[number >> CHUNK_BITS], chunk, memory_order_release);
	return true;
}

/* Of a shard that is not full; NULL: no memory. */
static struct place *place_new(struct table_shard *shard)
{
	struct place *place = shard->free;

	if (place != NULL) {
		shard->free = place->next;
		shard->kept -= place->session != NULL;
		return place;
	}
	if (place_at(shard, shard->used) == NULL && !chunk_make(shard, shard->used))
		return NULL;
	return place_at(shard, shard->used++);
}

static CK_RV take_place(struct table_shard *shard, struct place **ret_place,
			CK_SESSION_HANDLE *ret_handle)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&shard->lock);
	struct place *place;

	TRY(started(shard));
	if (shard->free == NULL && shard->used == (size_t)CHUNK_SIZE * CHUNK_COUNT)
		return CKR_SESSION_COUNT;
	place = place_new(shard);
	if (place == NULL)
		return CKR_HOST_MEMORY;
	shard->inside++;
	*ret_handle = (CK_SESSION_HANDLE)(++shard->opened << INDEX_BITS | place->index);
	*ret_place = place;
	return CKR_OK;
}

CK_RV table_take_place(struct place **ret_place, CK_SESSION_HANDLE *ret_handle)
{
	size_t own = thread_part(SHARD_BITS);
	CK_RV rv = CKR_SESSION_COUNT;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	for (size_t i = 0; i < SHARD_COUNT && rv == CKR_SESSION_COUNT; i++)
		rv = take_place(&shards[(own + i) % SHARD_COUNT], ret_place, ret_handle);
	return rv;
}

void table_give_back(struct place **place)
{
	AUTO(unlockp) pthread_mutex_t *lock = NULL;
	struct table_shard *shard;

	if (*place == NULL)
		return;
	shard = shard_of((*place)->index);
	lock = locked(&shard->lock);
	if (shard->kept == KEPT_MAX)
		free(TAKE((*place)->session));
	shard->kept += (*place)->session != NULL;
	(*place)->next = shard->free;
	shard->free = *place;
	leave(shard);
}

static struct place *find(CK_SESSION_HANDLE handle)
{
	struct place *place = place_at(shard_of(handle), handle & (((size_t)1 << PLACE_BITS) - 1));

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

static bool has_session(struct place *place)
{
	return atomic_load_explicit(&place->handle, memory_order_acquire) != 0;
}

/* A session that is in use sees to itself. */
static void visit_idle(struct place *place, void *visit)
{
	void (*const *function)(struct session *) = visit;

	if (!has_session(place) || pthread_mutex_trylock(&place->lock) != 0)
		return;
	if (has_session(place)) /* it may have been closed meanwhile */
		(*function)(place->session);
	pthread_mutex_unlock(&place->lock);
}

static void visit_free(struct place *place, void *visit)
{
	void (*const *function)(struct session *) = visit;

	if (place->session != NULL)
		(*function)(TAKE(place->session));
}

static void each_place(void (*visit)(struct place *place, void *state), void *state)
{
	struct place *place;

	for (size_t i = 0; i < SHARD_COUNT; i++)
		for (size_t at = 0; at < (size_t)CHUNK_SIZE * CHUNK_COUNT &&
				    (place = place_at(&shards[i], at)) != NULL;
		     at++)
			visit(place, state);
}

void table_visit_idle(void (*visit)(struct session *session))
{
	each_place(visit_idle, &visit);
}

void table_visit_free(void (*visit)(struct session *session))
{
	AUTO(unlock_all) bool held = lock_all();

	each_place(visit_free, &visit);
	for (size_t i = 0; i < SHARD_COUNT; i++)
		shards[i].kept = 0;
}

/* --- Counting */

static struct tally *tally_find(struct table_shard *shard, CK_SLOT_ID slot)
{
	size_t i;

	for (i = 0; i < shard->tally_count; i++) {
		if (shard->tallies[i].slot == slot)
			return &shard->tallies[i];
	}
	return NULL;
}

/* In lines of the cache of its own, as all that a shard writes. */
static struct tally *tally_get(struct table_shard *shard, CK_SLOT_ID slot)
{
	struct tally *tally = tally_find(shard, slot), *tallies;
	size_t size = shard->tally_count * sizeof(*tallies);

	if (tally != NULL)
		return tally;
	tallies = aligned_alloc(_Alignof(struct tally), size + sizeof(*tallies));
	if (tallies == NULL)
		return NULL;
	if (size > 0)
		memcpy(tallies, shard->tallies, size);
	free(shard->tallies);
	shard->tallies = tallies;
	tallies[shard->tally_count] = (struct tally){.slot = slot};
	return &tallies[shard->tally_count++];
}

/* With all locks. */
static struct tally count_all(CK_SLOT_ID slot)
{
	struct tally sum = {.slot = slot};

	for (size_t i = 0; i < SHARD_COUNT; i++) {
		const struct tally *tally = tally_find(&shards[i], slot);

		sum.all += tally == NULL ? 0 : tally->all;
		sum.read_write += tally == NULL ? 0 : tally->read_write;
	}
	return sum;
}

void session_counts(CK_SLOT_ID slot, CK_ULONG *ret_all, CK_ULONG *ret_read_write)
{
	AUTO(unlock_all) bool held = lock_all();
	struct tally sum = count_all(slot);

	*ret_all = sum.all;
	*ret_read_write = sum.read_write;
}

/* --- Coming and going */

CK_RV table_publish(struct place *place, CK_SESSION_HANDLE handle, CK_SLOT_ID slot, bool read_write)
{
	struct table_shard *shard = shard_of(place->index);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&shard->lock);
	struct tally *tally = tally_get(shard, slot);

	TRY(started(shard));
	if (tally == NULL)
		return CKR_HOST_MEMORY;
	if (!read_write && tokens_user(life.tokens, slot) == CKU_SO)
		return CKR_SESSION_READ_WRITE_SO_EXISTS;
	place->slot = slot;
	place->read_write = read_write;
	tally->all++;
	tally->read_write += read_write;
	atomic_store_explicit(&place->handle, handle, memory_order_release);
	leave(shard);
	return CKR_OK;
}

/* Private objects that nobody may use now are of a login that ended by itself: when the project was
 * replaced, or got a PIN. The next one must not find them. */
static void remove_left_over(CK_SLOT_ID slot)
{
	if (!tokens_private_allowed(life.tokens, slot))
		objects_remove_private(life.objects, slot);
}

CK_RV table_log_in(CK_SESSION_HANDLE handle, const struct token_login *login)
{
	AUTO(unlock_all) bool held = lock_all();
	const struct place *place = find(handle);
	struct tally sum;

	TRY(started(&shards[0]));
	if (place == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	sum = count_all(place->slot);
	if (login->user == CKU_SO && sum.all > sum.read_write)
		return CKR_SESSION_READ_ONLY_EXISTS;
	remove_left_over(place->slot);
	return tokens_log_in(life.tokens, place->slot, login);
}

CK_RV table_log_out(CK_SESSION_HANDLE handle)
{
	AUTO(unlock_all) bool held = lock_all();
	const struct place *place = find(handle);
	CK_RV rv;

	TRY(started(&shards[0]));
	if (place == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	rv = tokens_logout(life.tokens, place->slot);
	if (rv == CKR_USER_NOT_LOGGED_IN)
		remove_left_over(place->slot);
	/* PKCS #11 2.40, C_Logout: "all private session objects […] are destroyed". */
	if (rv == CKR_OK)
		objects_remove_private(life.objects, place->slot);
	return rv;
}

/* "When the last session is closed, the user is logged out." With all locks: a login needs them
 * too. */
static void log_out_without_sessions(CK_SLOT_ID slot)
{
	if (count_all(slot).all == 0)
		tokens_logout(life.tokens, slot);
}

/* How many sessions of its slot are left in its shard. */
static size_t unlink_place(struct table_shard *shard, struct place *place)
{
	struct tally *tally = tally_find(shard, place->slot);

	atomic_store_explicit(&place->handle, 0, memory_order_release);
	shard->inside++;
	tally->read_write -= place->read_write;
	return --tally->all;
}

/* True: it may have been the last of its slot, where somebody is logged in. */
static CK_RV unlink_one(CK_SESSION_HANDLE handle, struct place **ret_place, bool *ret_may_be_last)
{
	struct table_shard *shard = shard_of(handle);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&shard->lock);
	struct place *place = find(handle);

	TRY(started(shard));
	if (place == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	*ret_may_be_last =
		unlink_place(shard, place) == 0 && tokens_have_login(life.tokens, place->slot);
	*ret_place = place;
	return CKR_OK;
}

CK_RV table_unlink(CK_SESSION_HANDLE handle, struct place **ret_place)
{
	AUTO(unlock_all) bool held = false;
	bool may_be_last = false;

	if (fork_is_child())
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	TRY(unlink_one(handle, ret_place, &may_be_last));
	if (!may_be_last)
		return CKR_OK;
	held = lock_all();
	log_out_without_sessions((*ret_place)->slot);
	return CKR_OK;
}

/* Before those that have been. */
static struct place *unlink_in(struct table_shard *shard, const CK_SLOT_ID *slot,
			       struct place *list)
{
	struct place *place;

	for (size_t i = 0; i < shard->used && (place = place_at(shard, i)) != NULL; i++) {
		if (!has_session(place) || (slot != NULL && place->slot != *slot))
			continue;
		unlink_place(shard, place);
		place->next = list;
		list = place;
	}
	return list;
}

struct place *table_unlink_all(const CK_SLOT_ID *slot)
{
	AUTO(unlock_all) bool held = lock_all();
	struct place *list = NULL;

	for (size_t i = 0; i < SHARD_COUNT; i++)
		list = unlink_in(&shards[i], slot, list);
	for (struct place *place = list; place != NULL; place = place->next)
		log_out_without_sessions(place->slot);
	return list;
}
