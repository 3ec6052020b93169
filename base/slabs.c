/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slab is an aligned run of pages: a header, then slots of one size, so that a slot's slab is
 * found from its address. In a fork's child the kernel zeroes slabs that do not stay, with their
 * headers, so that a slot freed there is recognized as the parent's.
 */
#include "base/slabs.h"

#include "base/free.h"
#include "base/short_lock.h"
#include "base/macros.h"
#include "base/secret.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* 16 KiB each: the oldest default of RLIMIT_MEMLOCK, 64 KiB, still allows a few. */
enum { SLAB_SIZE = 16384 };

static const uint64_t slab_magic = 0x636d656b736c6162;

struct slab {
	_Alignas(SLOT_MIN) uint64_t magic;
	size_t slot_size;
	size_t mapped;
	bool locked;
};

struct slot {
	struct slot *next;
};

static size_t class_size(size_t class)
{
	return (size_t)SLOT_MIN << class;
}

static size_t class_of(size_t len)
{
	size_t class = 0;

	while (class_size(class) < len)
		class ++;
	return class;
}

/* Pages may be larger than a slab of ours (64 KiB on some machines). */
static size_t slab_size(void)
{
	static _Atomic size_t known;
	size_t size = atomic_load_explicit(&known, memory_order_relaxed);

	if (size == 0) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);

		size = page > SLAB_SIZE ? page : SLAB_SIZE;
		atomic_store_explicit(&known, size, memory_order_relaxed);
	}
	return size;
}

static struct slab *slab_of(const void *slot)
{
	return (struct slab *)((uintptr_t)slot & ~((uintptr_t)slab_size() - 1));
}

/* Pages aligned to a slab's size: one slab more is mapped and the ends given back. */
static void *map_aligned(size_t size)
{
	size_t before, alignment = slab_size();
	uint8_t *start = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	before = (alignment - (uintptr_t)start % alignment) % alignment;
	if (before > 0)
		munmap(start, before);
	if (alignment > before)
		munmap(start + before + size, alignment - before);
	return start + before;
}

static bool within_limit(const struct slabs *slabs, size_t size)
{
	struct rlimit limit;

	return !slabs->half_the_limit || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
	       limit.rlim_cur == RLIM_INFINITY || slabs->locked_bytes + size <= limit.rlim_cur / 2;
}

static bool lock_pages(struct slabs *slabs, void *memory, size_t size)
{
	if (within_limit(slabs, size) && mlock(memory, size) == 0) {
		slabs->locked_bytes += size;
		return true;
	}
	if (++slabs->unlocked_count == 1 && slabs->on_unlocked != NULL)
		slabs->on_unlocked(errno);
	return false;
}

/* An old kernel may lack MADV_WIPEONFORK; the caller's fork check still keeps a child from using a
 * key. */
static struct slab *slab_map(struct slabs *slabs, size_t size, size_t slot_size)
{
	struct slab *slab = map_aligned(size);
	bool is_locked;

	if (slab == NULL)
		return NULL;
	is_locked = lock_pages(slabs, slab, size);
	madvise(slab, size, MADV_DONTDUMP);
	if (!slabs->stays_at_fork)
		madvise(slab, size, MADV_WIPEONFORK);
	*slab = (struct slab){slab_magic, slot_size, size, is_locked};
	return slab;
}

/* Adds a slab's slots to the free ones of their class. */
static bool slab_new(struct slabs *slabs, size_t class)
{
	size_t size = slab_size(), slot_size = class_size(class);
	struct slab *slab = slab_map(slabs, size, slot_size);

	if (slab == NULL)
		return false;
	for (size_t at = sizeof(*slab); at + slot_size <= size; at += slot_size) {
		struct slot *slot = (struct slot *)(void *)((uint8_t *)slab + at);

		slot->next = slabs->free_slots[class];
		slabs->free_slots[class] = slot;
	}
	return true;
}

static void *new_large(struct slabs *slabs, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (len + sizeof(struct slab) + page - 1) / page * page;
	struct slab *slab;

	if (len > SIZE_MAX / 2)
		return NULL;
	slab = slab_map(slabs, size, size - sizeof(*slab));
	return slab == NULL ? NULL : (void *)(slab + 1);
}

void *slabs_new(struct slabs *slabs, size_t len)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&slabs->lock);
	struct slot *slot;
	size_t class;

	if (len > SLOT_MAX)
		return new_large(slabs, len);
	class = class_of(len);
	if (slabs->free_slots[class] == NULL && !slab_new(slabs, class))
		return NULL;
	slot = slabs->free_slots[class];
	slabs->free_slots[class] = slot->next;
	slot->next = NULL; /* the rest was wiped when it was freed */
	return slot;
}

/* Whole pages, which the kernel wipes before it gives them to anybody. */
static void free_large(struct slabs *slabs, struct slab *slab)
{
	size_t mapped = slab->mapped;

	if (slab->locked)
		slabs->locked_bytes -= mapped;
	wipe(slab, mapped);
	munmap(slab, mapped);
}

void slabs_free(struct slabs *slabs, void *memory)
{
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	struct slot *slot = memory;
	struct slab *slab = slab_of(memory);
	size_t class;

	/* Without its number, in a child: it is the parent's slot. */
	if (memory == NULL || slab->magic != slab_magic)
		return;
	if (slab->slot_size <= SLOT_MAX)
		wipe(memory, slab->slot_size);
	held = locked(&slabs->lock);
	if (slab->slot_size > SLOT_MAX) {
		free_large(slabs, slab);
		return;
	}
	class = class_of(slab->slot_size);
	slot->next = slabs->free_slots[class];
	slabs->free_slots[class] = slot;
}

size_t slabs_room(const void *slot)
{
	return slab_of(slot)->slot_size;
}

void slabs_abandon(struct slabs *slabs)
{
	/* Another thread of the parent may have held the lock. */
	short_lock_init(&slabs->lock);
	memset(slabs->free_slots, 0, sizeof(slabs->free_slots));
	slabs->locked_bytes = 0;
	slabs->unlocked_count = 0;
}
