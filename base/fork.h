/*
 * Notices that the process is a fork's child. A page marked MADV_WIPEONFORK holds a number that the
 * kernel zeroes in the child, so the check is one load, where getpid() is a system call.
 */
#pragma once

#include <stdbool.h>

/* Marks this process as the owner of what is made from now on. False: no page (no memory, or a
 * kernel older than 4.14; then getpid() is compared instead and this returns true). */
bool fork_mark(void);
/* True in a child of the process that called fork_mark(), until the child marks itself. */
bool fork_is_child(void);
