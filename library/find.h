/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where among a client's projects a database or the key of an envelope is, and what is said where
 * none has it. */
#pragma once

#include "library/client.h"

/* Opens something by a worker of a project. */
typedef enum envelope_status library_attempt(struct library_worker *worker, void *state,
					     struct envelope_error *cause);

/* What is to be opened. */
struct library_sought {
	const char *which; /* for messages */
	uint64_t zone;
	library_attempt *attempt;
	void *state;
};

/* Opens it by the project where its zone lives, else by one that has imported the zone, else by the
 * first whose root keys open its record. CMEK_OK: the worker that opened it is the caller's, who
 * gives it back to the pool of its project. */
enum cmek_status library_open_by(struct cmek_client *client, const struct library_sought *sought,
				 struct library_worker **ret_worker, struct cmek_error *error);

struct library_database {
	struct library_project *project;
	uint64_t zone;
};
/* A database by "CLUSTER/NAME", "PROJECT:CLUSTER/NAME" or its zone id, decimal. CMEK_REFUSED: two
 * projects have it; CMEK_DENIED: it may be where a PIN is missing. */
enum cmek_status library_find_database(struct cmek_client *client, const char *name,
				       struct library_database *ret_database,
				       struct cmek_error *error);
