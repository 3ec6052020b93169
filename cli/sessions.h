/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's sessions on the projects here, each opened when it is first needed, and where among
 * them the key of an envelope is. */
#pragma once

#include "cli/token.h"
#include "envelope/envelope.h"

/* The slots of the projects that are looked at. */
struct slots {
	const CK_FUNCTION_LIST *functions;
	CK_SLOT_ID *ids; /* owned */
	CK_ULONG count;
};

/* `project`: only that one; NULL: all. Reports; an exit code. */
int slots_read(const CK_FUNCTION_LIST *functions, const char *project, struct slots *ret_slots);
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
/* The keys of an envelope, by its zone or, if no project here has that, by the embedded record.
 * Reports `name`; an exit code. */
int sessions_unlock(struct sessions *sessions, const struct envelope_header *header,
		    const char *name, struct project_session **ret_session,
		    struct envelope_keys *ret_keys);
