/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Why no project opens an envelope, and where its key may be: the same words for one file and for
 * one of many. */
#pragma once

#include "cli/token.h"
#include "envelope/envelope.h"
#include "envelope/keys.h"

struct missing {
	const CK_FUNCTION_LIST *functions;
	const CK_SLOT_ID *slots; /* of all projects, also those that were not searched */
	CK_ULONG slot_count;
	const char *project; /* the only one that was searched; NULL: all */
	const char *name;    /* of the file, for messages */
	const struct envelope_header *header;
	const struct token *searched; /* the last one; without a session: none was */
	bool unseen;		      /* one was searched without the PIN that it has */
};

/* Whether a project that was not searched has the zone, or made the envelope; if so, reports it. */
bool missing_is_elsewhere(const struct missing *missing);
/* A `key` that is not found may still be in a store that is too new to be read, or be seen by a
 * user alone: then reports that. An exit code. */
int missing_check_whole(const struct missing *missing, const char *key);
/* The label of the project that made the envelope, if that is here (free() it); else NULL. */
char *missing_project(const struct missing *missing);
/* The key (`which`: zone and version) is only in the store of a project. Reports; an exit code. */
int missing_report_kept(const struct missing *missing, const char *which);
/* No project that was searched opens it: what the last said. The same. */
int missing_report(const struct missing *missing, enum envelope_status status,
		   const struct envelope_error *error);
/* --database (`wanted`; NULL: any): whether the envelope's zone is that, which was found on the
 * token as `zone`, or not at all (CK_INVALID_HANDLE). The same. */
int missing_check_database(const struct missing *missing, const char *wanted,
			   const struct token *token, CK_OBJECT_HANDLE zone);
