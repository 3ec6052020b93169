/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client: the projects that it sees, and sessions on them. A call takes a worker (a session, with
 * the keys that were opened on it) and gives it back, so that threads share no session; the next
 * call takes the same one. In a fork's child workers of the parent are only forgotten.
 */
#pragma once

#include "envelope/opener.h"
#include "envelope/range.h"
#include "envelope/sealer.h"
#include "library/error.h"
#include "library/refusal.h"
#include "library/slots.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LIBRARY_IDLE_MAX = 32, LIBRARY_HINTS = 64 };

struct library_project {
	struct library_slot slot;  /* as it was found */
	atomic_bool wants_pin;	   /* as the store had it last */
	struct library_pool *pool; /* owned */
	atomic_uint epoch;	   /* sessions of an earlier one are closed, or see nothing */
	unsigned login_generation; /* of `login`; 0: there was none yet */
	CK_SESSION_HANDLE login;   /* a login lasts as long as a session does */
	atomic_bool unseen;	   /* its user is not logged in: no databases are seen */
	struct library_project *_Atomic before; /* in the client's list */
	struct library_project *gone;		/* in that of projects which are there no more */
};

struct library_pool {
	struct library_worker *idle; /* the last one given back comes first */
	unsigned idle_count;
	atomic_uint forgotten; /* how often chunks were to be wiped */
};

struct library_worker {
	struct library_worker *next;
	struct library_project *project;
	unsigned generation, epoch;
	unsigned forgotten; /* of its pool, when it was taken */
	struct envelope_token by;
	struct message_opener opener; /* begun with the worker */
	/* Of a zone's workers: without and with the record in each message. */
	CK_OBJECT_HANDLE ezk;
	struct message_sealer sealers[2];
	struct buffer scratch;	       /* of a call; wiped at its end */
	struct envelope_scratch chunk; /* of ranges */
};

struct cmek_client {
	char *project, *pin;		   /* owned; NULL: all, none */
	char guarded[LIBRARY_SERIAL_SIZE]; /* the project whose PIN it is; "": nobody's */
	struct library_refusal *refusal;   /* of the PIN: here, in a child or in a parent */
	unsigned proven;		   /* generation in which the PIN opened its project */
	struct cmek_client *next;	   /* of all that have a PIN */
	struct library_project *_Atomic projects; /* grows at its head; freed with the client */
	struct library_project *gone;		  /* what was taken out of it: others look at it */
	/* In which project a zone was found last; guarded by library_lock. */
	struct {
		uint64_t zone;
		struct library_project *project;
	} hints[LIBRARY_HINTS];
	unsigned next_hint;
};

/* Looks for projects that were made since, that have got a PIN, or are there no more. */
enum cmek_status library_client_refresh(struct cmek_client *client, struct cmek_error *error);
/* Whether the slot is still that project's, as the store has it now; whether it has a PIN is noted.
 */
bool library_project_is_there(struct library_project *project);
struct library_project *library_projects(const struct cmek_client *client);
/* Where the zone was found last; NULL: not known. */
struct library_project *library_hint(struct cmek_client *client, uint64_t zone);
void library_hint_set(struct cmek_client *client, uint64_t zone, struct library_project *project);

/* Takes a worker out of `pool`, or makes one: logged in to the project if it wants that and the
 * PIN is that project's. A PIN that was refused once is not tried again. */
enum cmek_status library_worker_take(struct cmek_client *client, struct library_project *project,
				     struct library_pool *pool, struct library_worker **ret_worker,
				     struct cmek_error *error);
/* Has its session been closed by others, with all that the module kept in it? Of its project then
 * no session is used that is as old. */
bool library_worker_is_lost(const struct library_worker *worker);
/* Neither lost, as far as is known, nor of another process or life of the module. */
bool library_worker_is_current(const struct library_worker *worker);
/* `status` and `cause` say how the call went: a worker whose session is gone is not kept. */
void library_worker_give(struct library_pool *pool, struct library_worker *worker,
			 enum envelope_status status, const struct envelope_error *cause);
/* Of another generation or process, a session is not ours: then only the memory is freed. */
void library_worker_free(struct library_worker *worker); /* accepts NULL */
void library_pool_clear(struct library_pool *pool);
/* Wipes chunks that ranges have left in the pool's workers, idle or in use. */
void library_pool_forget(struct library_pool *pool);
