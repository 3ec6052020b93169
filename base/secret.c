/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slab allocator for secrets. A slab is an aligned run of pages: a header, then slots of one
 * size, so that a slot's slab is found from its address. In a fork's child the kernel zeroes the
 * slabs with their headers, so that a slot freed there is recognized as the parent's.
 */
#include "base/secret.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 16 KiB each: the oldest default of RLIMIT_MEMLOCK, 64 KiB, still allows a few. */
enum { SLAB_SIZE = 16384, SLOT_MIN = 64, CLASS_COUNT = 7 };

_Static_assert((SLOT_MIN << (CLASS_COUNT - 1)) == SECRET_MAX, "the last class is the largest");

static const uint64_t slab_magic = 0x636d656b736c6162;

struct slab {
	_Alignas(SLOT_MIN) uint64_t magic;
	size_t class;
};

struct slot {
	struct slot *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *free_slots[CLASS_COUNT];
static size_t unlocked_count;

void wipe(void *memory, size_t len)
{
	if (len > 0)
		explicit_bzero(memory, len);
}

/* Through a pointer that the compiler can't see through. */
void secret_copy(void *to, const void *from, size_t len)
{
	static void *(*const volatile copy)(void *, const void *, size_t) = memcpy;

	if (len > 0)
		copy(to, from, len);
}

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
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return page > SLAB_SIZE ? page : SLAB_SIZE;
}

/* Pages aligned to their size: twice as many are mapped and the ends given back. */
static void *map_aligned(size_t size)
{
	uint8_t *start =
		mmap(NULL, size * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;

	if (start == MAP_FAILED)
		return NULL;
	before = (size - (uintptr_t)start % size) % size;
	if (before > 0)
		munmap(start, before);
	munmap(start + before + size, size - before);
	return start + before;
}

/* Locks the mapping, and keeps it out of dumps and children. An old kernel may lack the latter; the
 * caller's fork check still keeps a child from using a key. */
static void protect(void *memory, size_t size)
{
	if (mlock(memory, size) != 0 && ++unlocked_count == 1)
		log_notice("keys in memory are not locked against swapping: mlock: %s; "
			   "raise RLIMIT_MEMLOCK (LimitMEMLOCK= in systemd)",
			   strerror(errno));
	madvise(memory, size, MADV_DONTDUMP);
	madvise(memory, size, MADV_WIPEONFORK);
}

/* Adds a slab's slots to the free ones of their class. */
static bool slab_new(size_t class)
{
	size_t size = slab_size(), slot_size = class_size(class);
	uint8_t *memory = map_aligned(size);

	if (memory == NULL)
		return false;
	protect(memory, size);
	*(struct slab *)memory = (struct slab){slab_magic, class};
	for (size_t at = sizeof(struct slab); at + slot_size <= size; at += slot_size) {
		struct slot *slot = (struct slot *)(memory + at);

		slot->next = free_slots[class];
		free_slots[class] = slot;
	}
	return true;
}

void *secret_new(size_t len)
{
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	struct slot *slot;
	size_t class;

	if (len > SECRET_MAX)
		return NULL;
	class = class_of(len);
	held = locked(&lock);
	if (free_slots[class] == NULL && !slab_new(class))
		return NULL;
	slot = free_slots[class];
	free_slots[class] = slot->next;
	slot->next = NULL; /* the rest was wiped when it was freed */
	return slot;
}

void secret_free(void *secret)
{
	struct slab *slab = (struct slab *)((uintptr_t)secret & ~((uintptr_t)slab_size() - 1));
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	struct slot *slot = secret;

	/* In a child: it is the parent's slot. */
	if (secret == NULL || slab->magic != slab_magic)
		return;
	wipe(secret, class_size(slab->class));
	held = locked(&lock);
	slot->next = free_slots[slab->class];
	free_slots[slab->class] = slot;
}

void secret_freep(void *variable)
{
	secret_free(take_pointer(variable));
}

size_t secret_unlocked_count(void)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&lock);

	return unlocked_count;
}

void secret_abandon(void)
{
	/* Another thread of the parent may have held it. */
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	memset(free_slots, 0, sizeof(free_slots));
	unlocked_count = 0;
}
