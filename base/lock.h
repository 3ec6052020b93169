/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes take turns by flock() on a lock file beside the guarded file. The lock file has the
 * guarded one's owner, group and mode, so that whoever may use the one may take the other, whoever
 * made it.
 */
#pragma once

#include "base/buffer.h"

#include <stdbool.h>

enum lock_answer {
	LOCK_OURS,
	LOCK_NEEDLESS, /* the file system has no locks; or we can't make one here, and only read */
	LOCK_BUSY,
	LOCK_IMPOSSIBLE, /* errno: the lock file can't be opened or made */
};

/* One try, without waiting. Makes the lock file where there is none: with the permissions of
 * `guarded` or, while that is missing, for the folder's owner alone. LOCK_OURS: pass *ret_fd to
 * lock_release; else it is -1. */
enum lock_answer lock_try(const char *path, const char *guarded, bool exclusive, int *ret_fd);
/* Accepts -1. */
void lock_release(int fd);
void lock_releasep(int *fd); /* for AUTO */

/* Waits between tries; begins as {0}. False: ten seconds have passed. */
struct lock_wait {
	unsigned waited_ms, nap_ms;
};
bool lock_wait(struct lock_wait *wait);

/* Says why the lock is not ours, and what to do; `error` is errno after LOCK_IMPOSSIBLE. */
void lock_explain(enum lock_answer answer, int error, const char *path, const char *guarded,
		  struct buffer *ret_text);
/* LOCK_IMPOSSIBLE because none can be made, not because something is in the way. */
bool lock_is_missing(const char *path);
