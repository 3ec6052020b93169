/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sessions, for session.c: places for sessions, found by handle without the table's
 * lock. A place is never freed, so one may look into it, lock it, and only then see whether it
 * still has the handle. A handle is a number that is never used again and the index of its place. A
 * thread that closes a session takes the handle out of the place under the table's lock, and waits
 * for those in the session outside it.
 */
#pragma once

#include "session/session.h"

#include <pthread.h>
#include <stdatomic.h>

struct place {
	pthread_mutex_t lock;		  /* the session's: held while it is borrowed */
	_Atomic CK_SESSION_HANDLE handle; /* 0: free; changed under the table's lock */
	struct session *session;	  /* under the place's lock */
	/* Under the table's lock. */
	CK_SLOT_ID slot;
	bool read_write;
	uint32_t index;
	struct place *next; /* in the list of free places, or of those being closed */
} __attribute__((aligned(64)));

/* Whether there is a table at all: CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV table_started(void);
/* For a thread that opens or closes a session, and so holds no session's lock for which
 * table_stop's caller would wait: what the sessions of this module life work on, which stays until
 * table_leave. CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV table_enter(bool *ret_inside, struct objects **ret_objects, struct tokens **ret_tokens);
void table_leave(bool *inside); /* for AUTO; accepts false */
/* Nobody enters from here on; waits for those inside. */
void table_stop(void);

/* A place and a handle for a session that is about to be; CKR_SESSION_COUNT. */
CK_RV table_take_place(struct place **ret_place, CK_SESSION_HANDLE *ret_handle);
/* From here on the handle is found. CKR_SESSION_READ_WRITE_SO_EXISTS. */
CK_RV table_publish(struct place *place, CK_SESSION_HANDLE handle, CK_SLOT_ID slot,
		    bool read_write);
void table_give_back(struct place *place);

/* Locks the place that has the handle; NULL: none. Takes no lock but the place's own. */
struct place *table_lock(CK_SESSION_HANDLE handle);
/* Calls `visit` for every idle session. The caller may be in one itself. */
void table_visit_idle(void (*visit)(struct session *session));
/* Takes the handle out, so that no thread enters; with a slot's last session its user is logged
 * out. NULL: none. The place is to be given back. */
struct place *table_unlink(CK_SESSION_HANDLE handle);
/* The same with all sessions of a slot, or (NULL) all there are: a list. */
struct place *table_unlink_all(const CK_SLOT_ID *slot);
