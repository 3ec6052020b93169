/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* When to ask with a root key's canary. */
#include "zones/ezk/lease_window.h"

enum { SEVERAL = 2 };

void lease_window_init(struct lease_window *window)
{
	*window = (struct lease_window){.opens_ms = INT64_MAX, .ends_ms = INT64_MAX};
}

void lease_window_set(struct lease_window *window, int64_t opens_ms)
{
	atomic_store(&window->opens_ms, opens_ms);
}

void lease_window_add(struct lease_window *window, bool first, int64_t renew_ms, int64_t ends_ms)
{
	int64_t seen = atomic_load(&window->opens_ms);

	if (atomic_load(&window->closed))
		return;
	while (first || renew_ms < seen) {
		if (!atomic_compare_exchange_weak(&window->opens_ms, &seen, renew_ms))
			continue;
		atomic_store(&window->ends_ms, ends_ms);
		return;
	}
}

void lease_window_rested(struct lease_window *window, int64_t now_ms, int64_t opens_ms,
			 int64_t last_ms)
{
	int64_t rest_ms = now_ms - last_ms;

	/* Of several callers that come together, one notes it. */
	if (!atomic_compare_exchange_strong(&window->used_ms, &last_ms, now_ms))
		return;
	/* If the canary is being asked, or was asked after `opens_ms` was loaded, it need not be
	 * asked once more: then opens_ms is INT64_MAX, or the exchange below fails. That is sure,
	 * since whoever asks has passed through here before, and `opens_ms` was loaded before the
	 * note above was written. */
	if (opens_ms > now_ms && opens_ms != INT64_MAX && last_ms > 0 &&
	    atomic_load(&window->leases) >= SEVERAL &&
	    now_ms + rest_ms + rest_ms / 8 >= atomic_load(&window->ends_ms))
		atomic_compare_exchange_strong(&window->opens_ms, &opens_ms, now_ms);
}
