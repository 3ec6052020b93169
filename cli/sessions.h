/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's sessions on the projects here, each opened when it is first needed, and where among
 * them the key of an envelope is. */
#pragma once

#include "cli/missing.h"
#include "cli/token.h"
#include "envelope/envelope.h"
#include "library/search.h"

/* The slots of the projects that are looked at. */
struct slots {
	const CK_FUNCTION_LIST *functions;
	CK_SLOT_ID *ids; /* owned */
	CK_ULONG count;
	CK_SLOT_ID *all; /* owned: of all projects, also those that are not searched */
	CK_ULONG all_count;
	const char *project;  /* the only one that is searched; NULL: all */
	struct token *logins; /* owned; one a slot, without a session where none is wanted */
};

/* `project`: only that one; NULL: all. `whose`: the project of the PIN (cli/pin.h). There may be
 * none. Reports; an exit code. */
int slots_look(const CK_FUNCTION_LIST *functions, const char *project, const char *whose,
	       struct slots *ret_slots);
/* The same; a project that is not there is reported. */
int slots_read(const CK_FUNCTION_LIST *functions, const char *project, const char *whose,
	       struct slots *ret_slots);
/* Logs in where that is wanted, which lasts till slots_clear. Reports; an exit code. */
int slots_login(struct slots *slots);
void slots_clear(struct slots *slots);

struct project_session {
	struct token token;
	struct envelope_token by;
};

struct sessions {
	const struct slots *slots;
	struct project_session *list; /* owned; one a slot */
	size_t last;		      /* where something was found last: searched first */
};

/* Reports; an exit code. */
int sessions_init(struct sessions *sessions, const struct slots *slots);
void sessions_clear(struct sessions *sessions); /* for AUTO */

/* The project in which the zone lives; *ret_session NULL: none. Reports `name`; an exit code. */
int sessions_find_zone(struct sessions *sessions, uint64_t zone, const char *name,
		       struct project_session **ret_session, CK_OBJECT_HANDLE *ret_zone);
/* The same; where it does not live, one that has imported it. */
int sessions_find_opener(struct sessions *sessions, uint64_t zone, const char *name,
			 struct project_session **ret_session, CK_OBJECT_HANDLE *ret_zone);
/* Where no project has the zone: the first whose root keys open the record, or what the last one
 * said (library/search.h; the session is a struct project_session). Reports what is about a
 * session; an exit code. */
int sessions_open_by(struct sessions *sessions, library_question *question, void *state,
		     struct library_search *ret_search);
/* What may be said of an envelope whose key is not found. */
struct missing sessions_missing(const struct sessions *sessions,
				const struct envelope_header *header, const char *name);
/* Where nothing is found: denied if a project was looked at without the PIN that it has. Reports
 * `name`; an exit code. */
int sessions_check_seen(const struct sessions *sessions, const char *name);
/* The keys of an envelope, by its zone or, if no project here has that, by the embedded record.
 * Reports `name`; an exit code. */
int sessions_unlock(struct sessions *sessions, const struct envelope_header *header,
		    const char *name, struct project_session **ret_session,
		    struct envelope_keys *ret_keys);
