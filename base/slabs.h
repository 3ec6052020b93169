/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is locked (mlock) as far as the limit goes, not in core dumps (MADV_DONTDUMP), and
 * wiped when freed: slots of slabs, so that a slot costs no system call once its slab exists. What
 * secret.h (keys) and crypto/own_memory.c (an OpenSSL of our own) are made of.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Slots have 64, 128 … 4096 bytes; what is larger has a mapping of its own. */
enum { SLOT_MIN = 64, SLOT_CLASSES = 7, SLOT_MAX = SLOT_MIN << (SLOT_CLASSES - 1) };

struct slot;
struct slabs {
	pthread_mutex_t lock;
	struct slot *free_slots[SLOT_CLASSES];
	bool stays_at_fork;  /* else a fork's child reads zeros (MADV_WIPEONFORK) */
	bool half_the_limit; /* at most half of RLIMIT_MEMLOCK is used, the rest is left to keys */
	size_t locked_bytes; /* of these slabs */
	size_t unlocked_count; /* slabs that could not be locked */
	/* Told of the first of them, with errno; under the lock. NULL: nobody is. */
	void (*on_unlocked)(int error);
};
/* `len` zeroed bytes, aligned to 64; NULL: no memory. Thread-safe. */
void *slabs_new(struct slabs *slabs, size_t len);
/* Wipes and returns a slot; accepts NULL, and ignores one whose slab the fork has emptied. */
void slabs_free(struct slabs *slabs, void *slot);
/* How many bytes the slot has; at least as many as were asked for. */
size_t slabs_room(const void *slot);
/* In a fork's child: forgets the parent's slabs without touching their pages. */
void slabs_abandon(struct slabs *slabs);
