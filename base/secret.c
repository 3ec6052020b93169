/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of slabs that a fork's child finds empty. */
#include "base/secret.h"

#include "base/free.h"
#include "base/short_lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/slabs.h"
#include "base/thread.h"

#include <stdint.h>
#include <string.h>

static void log_unlocked(int error)
{
	log_notice("keys in memory are not locked against swapping: mlock: %s; "
		   "raise RLIMIT_MEMLOCK (LimitMEMLOCK= in systemd)",
		   strerror(error));
}

static struct slabs slabs = {.lock = SHORT_LOCK_INITIALIZER, .on_unlocked = log_unlocked};

void wipe(void *memory, size_t len)
{
	if (len > 0)
		explicit_bzero(memory, len);
}

/* Through a pointer that the compiler can't see through. memcpy() leaves what it copied in vector
 * registers, which the dynamic linker saves on the stack when the host calls some function for the
 * first time; so as many zeros go the same way. */
void secret_copy(void *to, const void *from, size_t len)
{
	static void *(*const volatile copy)(void *, const void *, size_t) = memcpy;
	static const uint8_t zeros[256];
	uint8_t scrap[sizeof(zeros)];

	if (len == 0)
		return;
	copy(to, from, len);
	copy(scrap, zeros, len < sizeof(zeros) ? len : sizeof(zeros));
}

/* --- Slots of the smallest size, which most keys fit: a few are kept, wiped, where a thread that
 * frees one takes the next, so that threads seldom meet in the slabs. */

enum { KEPT_BITS = 3, KEPT_MAX = 6 };

static struct kept {
	pthread_mutex_t lock;
	size_t count;
	void *slots[KEPT_MAX];
} __attribute__((aligned(64))) kept[1 << KEPT_BITS] = {
#define KEPT                                                                                       \
	{                                                                                          \
		.lock = SHORT_LOCK_INITIALIZER                                                     \
	}
	KEPT, KEPT, KEPT, KEPT, KEPT, KEPT, KEPT, KEPT,
#undef KEPT
};

/* NULL: none is kept. */
static void *take_kept(void)
{
	struct kept *mine = &kept[thread_part(KEPT_BITS)];
	AUTO(unlockp) pthread_mutex_t *held = locked(&mine->lock);

	return mine->count > 0 ? mine->slots[--mine->count] : NULL;
}

/* False: there is no room for it. */
static bool keep(void *slot)
{
	struct kept *mine = &kept[thread_part(KEPT_BITS)];
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	wipe(slot, SLOT_MIN);
	held = locked(&mine->lock);
	if (mine->count == KEPT_MAX)
		return false;
	mine->slots[mine->count++] = slot;
	return true;
}

void *secret_new(size_t len)
{
	void *slot = len <= SLOT_MIN ? take_kept() : NULL;

	if (slot != NULL)
		return slot;
	return len > SECRET_MAX ? NULL : slabs_new(&slabs, len);
}

/* A slot whose slab the fork has emptied has no size. */
void secret_free(void *secret)
{
	if (secret == NULL || slabs_room(secret) != SLOT_MIN || !keep(secret))
		slabs_free(&slabs, secret);
}

void secret_freep(void *variable)
{
	secret_free(take_pointer(variable));
}

size_t secret_unlocked_count(void)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&slabs.lock);

	return slabs.unlocked_count;
}

void secret_abandon(void)
{
	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		short_lock_init(&kept[i].lock);
		kept[i].count = 0;
	}
	slabs_abandon(&slabs);
}
