/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices that the process is a fork's child. A page marked MADV_WIPEONFORK holds a number that the
 * kernel zeroes in the child, so the check is one load, whereas getpid() is a system call. Where
 * there is no such page (a kernel older than 4.14, no memory), getpid() is compared instead.
 */
#pragma once

#include <stdbool.h>

/* Marks this process as the owner of what is made from now on. Thread-safe, can't fail. */
void fork_mark(void);
/* True in a child of the process that called fork_mark(), and in its children, until the child
 * marks itself. False before the first mark. */
bool fork_is_child(void);
