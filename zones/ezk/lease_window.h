/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the canary of a root key is to be asked, for all leases below it: whoever uses any of them
 * looks here, so that a renewal does not depend on whether somebody uses a certain one in the last
 * part of its own time. Times are of the clock that goes forward alone, since this ends no lease.
 *
 * It opens when the first of the leases is to be renewed. Uses that come in bursts may miss that
 * moment. So the first use after a rest opens it at once if, after another rest as long, a lease
 * would be over; but only where several leases gain by it (a single one is renewed just as well by
 * its own request).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lease_window {
	_Atomic int64_t opens_ms; /* INT64_MAX: not, as far as is known */
	_Atomic int64_t ends_ms;  /* of the lease that is to be renewed first */
	_Atomic int64_t used_ms;  /* the last use, give or take a sixteenth of a lease */
	_Atomic int leases;	  /* that run, or may */
	atomic_bool closed;	  /* the canary vouches for no zone */
};

void lease_window_init(struct lease_window *window);
/* A lease runs that is to be renewed at `renew_ms`. `first`: no other one does, so that what the
 * window says is out of date. */
void lease_window_add(struct lease_window *window, bool first, int64_t renew_ms, int64_t ends_ms);
/* It opens at `opens_ms`; INT64_MAX: not before it is set anew. */
void lease_window_set(struct lease_window *window, int64_t opens_ms);

static inline bool lease_window_is_open(const struct lease_window *window, int64_t now_ms)
{
	return now_ms >= atomic_load_explicit(&window->opens_ms, memory_order_relaxed);
}

/* Notes the first use after a rest. The caller has loaded `opens_ms` before `last_ms`. */
void lease_window_rested(struct lease_window *window, int64_t now_ms, int64_t opens_ms,
			 int64_t last_ms);
/* A lease of this length is used: is the canary to be asked? Costs two loads; one caller in each
 * sixteenth of the lease also writes. */
static inline bool lease_window_use(struct lease_window *window, int64_t now_ms, int64_t lease_ms)
{
	int64_t opens_ms = atomic_load_explicit(&window->opens_ms, memory_order_acquire);
	int64_t last_ms = atomic_load_explicit(&window->used_ms, memory_order_relaxed);

	if (now_ms - last_ms >= lease_ms / 16)
		lease_window_rested(window, now_ms, opens_ms, last_ms);
	return lease_window_is_open(window, now_ms);
}
