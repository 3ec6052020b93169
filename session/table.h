/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sessions, for session.c: places for sessions, found by handle without a lock of the
 * table's. A place is never freed, so one may look into it, lock it, and only then see whether it
 * still has the handle. A handle is a number that is never used again and the index of its place.
 *
 * The table is in shards, each with a lock, so that threads that open and close sessions seldom
 * meet: a thread takes places of its own shard, while there are any. Whoever asks for something of
 * all of them (how many sessions a slot has, whether one was its last) holds all locks, which are
 * taken in the order of the shards.
 *
 * Between taking and publishing a place, and between unlinking it and giving it back, a thread is
 * inside the table: what the sessions of this module life work on stays meanwhile.
 */
#pragma once

#include "session/session.h"

#include <pthread.h>
#include <stdatomic.h>

/* Two lines of the cache, which processors fetch in pairs. */
struct place {
	pthread_mutex_t lock;		  /* the session's: held while it is borrowed */
	_Atomic CK_SESSION_HANDLE handle; /* 0: free; changed under the shard's lock */
	/* Of a place with a handle, under the place's lock; else of whoever has taken the place or
	 * unlinked it. That of a free place is kept for the next. */
	struct session *session;
	/* Under the shard's lock. */
	CK_SLOT_ID slot;
	bool read_write;
	uint32_t index;
	struct place *next; /* in the list of free places, or of those being closed */
} __attribute__((aligned(128)));

/* What the sessions of this module life work on; for a thread that is inside, or has a session. */
struct objects *table_objects(void);
struct tokens *table_tokens(void);

/* Whether there is a table at all: CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV table_started(void);
/* For a thread that is inside without a place, and holds no session's lock for which table_stop's
 * caller would wait. CKR_CRYPTOKI_NOT_INITIALIZED. */
struct table_shard;
CK_RV table_enter(struct table_shard **ret_inside);
void table_leave(struct table_shard **inside); /* for AUTO; accepts NULL */
/* Nobody comes inside from here on; waits for those who are. */
void table_stop(void);

/* A place for a session that is about to be, and its handle. CKR_CRYPTOKI_NOT_INITIALIZED,
 * CKR_SESSION_COUNT. */
CK_RV table_take_place(struct place **ret_place, CK_SESSION_HANDLE *ret_handle);
/* From here on the handle is found, and the place is the table's.
 * CKR_SESSION_READ_WRITE_SO_EXISTS; then it is still the caller's. */
CK_RV table_publish(struct place *place, CK_SESSION_HANDLE handle, CK_SLOT_ID slot,
		    bool read_write);
/* Its session, if it has one, is as good as new. */
void table_give_back(struct place **place); /* for AUTO; accepts NULL */

/* Locks the place that has the handle; NULL: none. Takes no lock but the place's own. */
struct place *table_lock(CK_SESSION_HANDLE handle);
/* Logs in by a session that is still there, and as the SO while no session is read-only.
 * CKR_SESSION_HANDLE_INVALID, CKR_SESSION_READ_ONLY_EXISTS, and what tokens_log_in answers. Both
 * destroy private session objects that are not to be found by the next login, and hold all locks
 * meanwhile: an object that another thread makes, once it has logged in, is none of them. */
CK_RV table_log_in(CK_SESSION_HANDLE handle, const struct token_login *login);
/* CKR_SESSION_HANDLE_INVALID, and what tokens_logout answers. */
CK_RV table_log_out(CK_SESSION_HANDLE handle);
/* Calls `visit` for every idle session. The caller may be in one itself. */
void table_visit_idle(void (*visit)(struct session *session));
/* Takes the handle out, so that no thread enters the session; with a slot's last session its user
 * is logged out. The place is to be given back. CKR_CRYPTOKI_NOT_INITIALIZED,
 * CKR_SESSION_HANDLE_INVALID. */
CK_RV table_unlink(CK_SESSION_HANDLE handle, struct place **ret_place);
/* The same with all sessions of a slot, or (NULL) all there are: a list. */
struct place *table_unlink_all(const CK_SLOT_ID *slot);
/* Takes the sessions out that free places keep, once there are no others. */
void table_visit_free(void (*visit)(struct session *session));
