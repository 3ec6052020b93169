/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking turns by flock() on a file of its own beside the one that is guarded: with that one's
 * owner, group and mode, so that whoever may use the one may take the other, whoever made it.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

enum lock_answer {
	LOCK_OURS,
	LOCK_NEEDLESS, /* a file system without locks; or none can be made here by us, and we only
			* read */
	LOCK_BUSY,
	LOCK_IMPOSSIBLE, /* errno: it can't be opened, or not be made */
};

/* One try, that waits for nobody. Makes the lock where none is: as `guarded` is, or, while that is
 * missing, for the folder's owner alone. LOCK_OURS: *ret_fd is for lock_release; else -1. */
enum lock_answer lock_try(const char *path, const char *guarded, bool exclusive, int *ret_fd);
/* Accepts -1. */
void lock_release(int fd);
void lock_releasep(int *fd); /* for AUTO */

/* Between tries: begins as {0}. False: it has been ten seconds. */
struct lock_wait {
	unsigned waited_ms, nap_ms;
};
bool lock_wait(struct lock_wait *wait);

/* In words why the lock is not ours, and what to do; `error` is errno after LOCK_IMPOSSIBLE. */
void lock_explain(enum lock_answer answer, int error, const char *path, const char *guarded,
		  struct buffer *ret_text);
/* LOCK_IMPOSSIBLE since none can be made, not since something is in the way. */
bool lock_is_missing(const char *path);
