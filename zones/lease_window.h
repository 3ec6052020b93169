/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the canary of a root key is to be asked, for all leases below it: whoever uses any of them
 * looks here, so that a renewal does not depend on whether somebody uses a certain one in the last
 * part of its own time. Times are of the clock that goes forward alone, since this ends no lease.
 *
 * It opens when the first of the leases is to be renewed. Uses that come in bursts may miss it: who
 * is the first after a rest, and sees that a rest as long as that would outlast a lease, has it
 * open at once, if there are several to be saved (one by itself is renewed by its own request just
 * as well).
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
	atomic_bool closed;	  /* the canary vouches for nobody */
};

void lease_window_init(struct lease_window *window);
/* A lease that is to be renewed at this moment; `first`: there was none, so what was known is old.
 */
void lease_window_add(struct lease_window *window, bool first, int64_t renew_ms, int64_t ends_ms);
/* Opens then; INT64_MAX: not. */
void lease_window_set(struct lease_window *window, int64_t opens_ms);

static inline bool lease_window_is_open(const struct lease_window *window, int64_t now_ms)
{
	return now_ms >= atomic_load_explicit(&window->opens_ms, memory_order_relaxed);
}

/* The first use after a rest: notes it. `opens_ms` was loaded before `last_ms`. */
void lease_window_rested(struct lease_window *window, int64_t now_ms, int64_t opens_ms,
			 int64_t last_ms);
/* A lease of this length is used. Two loads; in each sixteenth of it one user writes. */
static inline bool lease_window_use(struct lease_window *window, int64_t now_ms, int64_t lease_ms)
{
	int64_t opens_ms = atomic_load_explicit(&window->opens_ms, memory_order_acquire);
	int64_t last_ms = atomic_load_explicit(&window->used_ms, memory_order_relaxed);

	if (now_ms - last_ms >= lease_ms / 16)
		lease_window_rested(window, now_ms, opens_ms, last_ms);
	return lease_window_is_open(window, now_ms);
}
