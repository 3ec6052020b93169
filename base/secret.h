/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for key bytes: locked (mlock) where the limit allows, not in core dumps (MADV_DONTDUMP),
 * gone in a fork's child (MADV_WIPEONFORK: the child reads zeros), wiped when freed. Slots of a
 * slab, so a key costs no system call once a slab exists (base/slabs.h). When RLIMIT_MEMLOCK is
 * reached, memory is used unlocked, and a warning is logged once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SECRET_MAX = 1 << 16 };

/* `len` zeroed bytes, aligned to 64; NULL: no memory, or more than SECRET_MAX. Thread-safe. */
void *secret_new(size_t len);
/* Wipes and returns a slot; accepts NULL, and ignores a parent's slot in a fork's child. */
void secret_free(void *secret);
/* secret_free() of a variable, for AUTO. */
void secret_freep(void *variable);
/* How many slabs could not be locked (for doctor). */
size_t secret_unlocked_count(void);
/* In a fork's child, before any secret_new(): forgets the parent's slabs without touching their
 * pages. */
void secret_abandon(void);

/* Overwrites memory in a way the compiler keeps; accepts NULL with a length of 0. */
void wipe(void *memory, size_t len);
/* Copies key bytes. memcpy() with a length that the compiler knows becomes its own loads and
 * stores, and it may leave a part of the key on the stack, where nobody wipes it. */
void secret_copy(void *to, const void *from, size_t len);
