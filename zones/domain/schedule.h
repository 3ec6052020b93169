/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotation by whoever uses a zone, since no thread of ours could do it. After a zone's rotate_days
 * each process waits a while of its own before it tries, so that of many one does and the others
 * hear of it; and of a process one thread does, behind its own work, while all go on with the
 * version that there is.
 */
#pragma once

#include "base/map.h"
#include "zones/model/entry.h"

#include <pthread.h>

struct zones;

/* From when on a zone is to be rotated by this process, if it wraps by it: a real time. INT64_MAX:
 * never, as far as its entry says. No lock, no KMS. */
int64_t zones_rotation_due(const struct zones *zones, const struct entry *zone);
/*
 * For whoever has just wrapped by a zone. If `*due_ms` has passed, and nobody else of the process
 * is at it: looks into the store whether the zone is still to be rotated, and does it (KMS). A
 * failure is nobody's but the log's, in a line a day for each zone, and is tried again a day later,
 * or an hour where somebody did not answer. *due_ms: when to come by again.
 */
void zones_rotate_when_due(struct zones *zones, const struct entry *zone, int64_t *due_ms);

/* --- Part of struct zones */

struct schedule {
	uint64_t salt;	      /* this process's */
	pthread_mutex_t lock; /* all below; for moments */
	bool busy;	      /* somebody rotates */
	int64_t pause_until;  /* real time: nothing before, since something has just failed */
	struct map failed;    /* zones, by their ids: when to try again, and when it was told */
};
/* False: there is no random source. */
bool schedule_init(struct schedule *schedule);
void schedule_clear(struct schedule *schedule);
