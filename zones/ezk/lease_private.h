/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What lease.c and lease_end.c share of a lease; its lock is held for all of these. */
#pragma once

#include "zones/ezk/lease.h"

static inline struct moment lease_now(const struct lease *lease)
{
	return clock_now(lease->rules->clock);
}

/* Else each operation asks. */
static inline bool lease_asks_ahead(const struct lease *lease)
{
	return atomic_load_explicit(&lease->lease_ms, memory_order_relaxed) > 0;
}

static inline bool lease_in_flight(const struct lease *lease)
{
	return lease->received < lease->sent;
}

void lease_set(struct lease *lease, struct moment renew, struct moment end);
/* Counts the time that the newest yes gives. */
void lease_count(struct lease *lease, struct moment renew);
/* From here on the canary is not asked for it. */
static inline void lease_leave_window(struct lease *lease)
{
	if (lease->counted != NULL)
		atomic_fetch_sub(&lease->counted->leases, 1);
	lease->counted = NULL;
}
/* The keys may be used, or might be if the KMS were out of reach. */
bool lease_may_go_on(const struct lease *lease);
/* While a request is out: where coasting is allowed, a lease that still runs does not end before
 * the request can have failed, for silence is how an outage begins. */
void lease_hold_on(struct lease *lease);
/* There was no answer. What runs goes on to its end or, in an outage, as far as max_stale_seconds
 * allows: ZONE_OK; else `why`. */
enum zone_status lease_hold_out(struct lease *lease, enum zone_status why, struct moment since);
/* An explicit no: ends the lease, wipes, and is remembered. */
void lease_remember(struct lease *lease, enum zone_status no);
/* Its keys are not here: the sweep is to come when nothing needs to be remembered of it any
 * more. */
void lease_leave(struct lease *lease);
/* Notes what came of it, for lease_tell(). */
void lease_note(struct lease *lease, enum zone_status status);
/* What stands against asking at all, here. */
enum zone_status lease_refusal(const struct lease *lease);
/* Goes on by what is known above. */
bool lease_prolong(struct lease *lease);
/* Hides all that is kept, by the keys that are still here (masked_value.c). */
void lease_hide_values(struct lease *lease);
