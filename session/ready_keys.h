/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that a session has made ready (mechanisms/ready_key.h), kept from one operation to the
 * next and found by handle.
 */
#pragma once

#include "mechanisms/ready_key.h"

enum { READY_KEYS_COUNT = 8 };
struct ready_keys {
	struct ready_key places[READY_KEYS_COUNT];
	uint64_t turn; /* 0: no key was ever made ready */
	/* What grows when there is something to let go of, and how far that was seen. */
	struct registry_watch watch;
	const _Atomic uint64_t *gone;
	uint64_t seen_gone, seen_news;
};

/* Of a new session: all places are free. */
void ready_keys_init(struct ready_keys *ready, struct objects *objects);

struct session;

/*
 * No key outlives what allows it. Whoever leaves a session looks whether something has happened
 * (some loads), and lets go of what has to go: keys that were destroyed, changed, or are hidden by
 * a logout, and key schedules whose lease has ended. Once for each lease that ended, change of an
 * entry and look into the store that is also done in all sessions that nobody is in, since those
 * may never be entered again. An operation under way works on with its key: a destroyed one goes
 * when the operation ends, a lease is looked at by its next step.
 */
void ready_keys_tidy(struct session *session);
static inline bool ready_keys_is_tidy(const struct ready_keys *ready)
{
	return atomic_load_explicit(ready->gone, memory_order_acquire) == ready->seen_gone &&
	       atomic_load_explicit(ready->watch.news, memory_order_acquire) == ready->seen_news;
}
/* The same by whoever has no session. */
void ready_keys_tidy_idle(struct objects *objects);
/* A session's object was destroyed or replaced (held by the caller; `other`: another of its handle
 * was, objects/edit.h): where others made it ready, idle sessions let go of it too. One that a
 * thread is just leaving may have looked before: it lets go with its next call, when it is closed,
 * or with the next that sweeps idle ones, as before a fork. */
void ready_keys_let_go(struct session *session, const struct object *object, bool other);
/* This session and all idle ones, whatever the news are: after a logout. */
void ready_keys_tidy_now(struct session *session);
/* Has all idle sessions go through their places. */
void ready_keys_visit_idle(void);
/* Before a fork: key schedules lie in memory that the child inherits. Those of idle sessions are
 * wiped, and made again at their next use. */
void ready_keys_before_fork(void);
/* With a new table of sessions. */
void ready_keys_start(void);

/*
 * The key behind a handle for a use, after every check that needs no KMS: mechanism, kind and type
 * of key, size, usage, allowed mechanisms, login. Answers what the standard names for that use
 * (CKR_WRAPPING_KEY_HANDLE_INVALID …). Stays the session's; good until the next call of this.
 */
CK_RV session_key(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
		  CK_OBJECT_HANDLE handle, struct ready_key **ret_key);
/* A second key that goes into what the first does (a salt): the same checks, but it is not made
 * ready. Held. */
CK_RV session_second_key(struct session *session, enum key_use use,
			 const struct mechanism *mechanism, CK_OBJECT_HANDLE handle,
			 struct object **ret_object);
