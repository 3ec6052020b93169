/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key made ready for one mechanism and one use, kept by its session so that the next message
 * under the same key costs an IV and no key schedule, no look-up and no shared lock. It holds its
 * object, and for a zone the EZK version in use. It never outlives a no: when the lease can't be
 * had, the key schedule goes.
 */
#pragma once

#include "crypto/aes.h"
#include "objects/error.h"
#include "mechanisms/mechanism.h"
#include "objects/object.h"

enum key_use { KEY_ENCRYPT, KEY_DECRYPT, KEY_WRAP, KEY_UNWRAP, KEY_DERIVE, KEY_USE_COUNT };

struct keyed {
	CK_OBJECT_HANDLE handle; /* 0: a free place */
	bool over; /* the key is gone: it goes with the operation that works with it */
	CK_MECHANISM_TYPE type;
	enum key_use use;
	uint64_t generation; /* of the objects, when the handle was last looked up */
	uint64_t turn;	     /* of its last use: the oldest goes first */
	const struct mechanism *mechanism;
	struct object *object; /* held */
	struct ezk *ezk;       /* held; a zone's version in use */
	struct aes *aes;       /* made by keyed_begin where the mechanism is AES */
};

enum { KEYED_COUNT = 6 };
struct keyed_cache {
	struct keyed places[KEYED_COUNT];
	uint64_t turn;
	/* What grows when there is something to let go of, and how far that was seen. */
	struct ezks_watch watch;
	const _Atomic uint64_t *gone;
	uint64_t seen_gone, seen_news;
};

void keyed_init(struct keyed_cache *cache, struct objects *objects);
void keyed_clear(struct keyed *keyed);
/* An operation does not work with it any more. */
void keyed_done(struct keyed *keyed);

struct session;

/*
 * No key outlives what allows it. Whoever leaves a session looks whether something has happened
 * (some loads), and lets go of what has to go: keys that were destroyed, changed, or are hidden by
 * a logout, and key schedules whose lease has ended. Once for each lease that ended, change of an
 * entry and look into the store that is also done in all sessions that nobody is in, since those
 * may never be entered again. An operation under way works on with its key: a destroyed one goes
 * when the operation ends, a lease is looked at by its next step.
 */
void keyed_tidy(struct session *session);
static inline bool keyed_is_tidy(const struct keyed_cache *cache)
{
	return atomic_load_explicit(cache->gone, memory_order_acquire) == cache->seen_gone &&
	       atomic_load_explicit(cache->watch.news, memory_order_acquire) == cache->seen_news;
}
/* The same by whoever has no session. */
void keyed_tidy_idle(struct objects *objects);
/* A session's object was destroyed or replaced (held by the caller): where others made it ready,
 * idle sessions let go of it too. */
void keyed_let_go(struct session *session, const struct object *object);
/* This session and all idle ones, whatever the news are: after a logout. */
void keyed_tidy_now(struct session *session);
/* Has all idle sessions go through their places. */
void keyed_visit_idle(void);
/* Before a fork: key schedules lie in memory that the child inherits. Those of idle sessions are
 * wiped, and made again at their next use. */
void keyed_before_fork(void);
/* With a new table of sessions. */
void keyed_start(void);

/*
 * The key behind a handle for a use, after every check that needs no KMS: mechanism, kind and type
 * of key, size, usage, allowed mechanisms, login. Answers what the standard names for that use
 * (CKR_WRAPPING_KEY_HANDLE_INVALID …). Stays the session's; good until the next call of this.
 */
CK_RV session_key(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
		  CK_OBJECT_HANDLE handle, struct keyed **ret_keyed);
/* A second key that goes into what the first does (a salt): the same checks, but it is not made
 * ready. Held. */
CK_RV session_second_key(struct session *session, enum key_use use,
			 const struct mechanism *mechanism, CK_OBJECT_HANDLE handle,
			 struct object **ret_object);
/* For a data key that is not made ready but used as what it is (wrapped, digested, a salt): its
 * lease, if it has one (KMS), and its value, value_len bytes for the caller to secret_free(). */
CK_RV key_begin(struct object *key, enum error_place place);
CK_RV key_value(struct session *session, struct object *key, enum error_place place,
		uint8_t **ret_secret);

/* May the key be used so, by what its attributes say? */
CK_RV key_allows(const struct mechanism *mechanism, enum key_use use, const struct object *key);
/* After it began: a zone's record is the one by which was decided that it may. `used`: the version
 * that what was wrapped named; NULL: the key's own. CKR_DEVICE_ERROR. */
CK_RV keyed_verified(const struct keyed *keyed, struct ezk *used);

/* May an operation begin now? Renews the lease (KMS) and makes the key schedule. */
CK_RV keyed_begin(struct session *session, struct keyed *keyed);
/* And may it go on? Two atomic loads while the lease runs. */
CK_RV keyed_continue(const struct session *session, struct keyed *keyed);
/* The zone a key belongs to, as an EZK under whose lease it lives; NULL: none. Borrowed. */
struct ezk *keyed_lease(const struct keyed *keyed);
