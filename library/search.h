/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which project a zone, or the key of an envelope, is: in what order projects are asked, and
 * whose answer counts. libcmek (library/find.c) and the tool (cli/sessions.c) say how they have a
 * session on each, and tell in their words what was not found.
 */
#pragma once

#include "envelope/keys.h"

/* The projects to be searched. */
struct library_searcher {
	/* Lends a session on the first (`again`) or the next one: the searcher's own, and its
	 * token. *ret_session NULL: there are no more. Not 0: it can't be had, which the searcher
	 * has told; the search ends with that answer. */
	int (*next)(void *state, bool again, void **ret_session, struct envelope_token **ret_by);
	/* That session was of no use; how its use ended. */
	void (*give)(void *state, void *session, enum envelope_status status,
		     const struct envelope_error *cause);
	void *state;
};

struct library_search {
	void *session; /* which it was found by, still lent; NULL: none */
	enum envelope_status status;
	struct envelope_error cause;
};

/* What is asked of one project after the other. */
typedef enum envelope_status library_question(void *session, struct envelope_token *by, void *state,
					      struct envelope_error *cause);

/* Whether the next project may know more; any other answer is final. */
bool library_is_elsewhere(enum envelope_status status);

/* Each answers 0 with `ret_search`, or what `next` did: */

/* The first project whose answer is ENVELOPE_OK, or final. */
int library_search_by(const struct library_searcher *searcher, library_question *question,
		      void *state, struct library_search *ret_search);
/* The project in which the zone lives; ENVELOPE_ZONE_UNKNOWN: none. */
int library_search_zone(const struct library_searcher *searcher, uint64_t zone,
			struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk);
/* The same; where it does not live, one that has imported it. */
int library_search_opener(const struct library_searcher *searcher, uint64_t zone,
			  struct library_search *ret_search, CK_OBJECT_HANDLE *ret_ezk);
