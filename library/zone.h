/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A database that seals, with sessions of its own: on each of them many messages share a data key.
 */
#pragma once

#include "library/client.h"

struct cmek_zone {
	cmek_client *client;
	atomic_uint users; /* its owner, and writers: the last one frees it */
	struct library_project *project;
	uint64_t id;
	char *name;		   /* owned */
	char *title;		   /* owned: for messages, "CLUSTER/NAME of project P" */
	bool kept;		   /* its record stays in its store */
	atomic_size_t record_room; /* what a message with the record may need for that */
	struct library_pool pool;
};

/* For a writer, which outlives it perhaps: cmek_zone_free gives it back. */
cmek_zone *library_zone_keep(cmek_zone *zone);
/* A worker whose `ezk` is the zone's. CMEK_NOT_FOUND: the database is there no more. */
enum cmek_status library_zone_take(cmek_zone *zone, struct library_worker **ret_worker,
				   struct cmek_error *error);
/* The worker goes back, and a failure is told. */
enum cmek_status library_zone_give(cmek_zone *zone, struct library_worker *worker,
				   enum envelope_status status, const struct envelope_error *cause,
				   struct cmek_error *error);
