/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Two clocks that stand still until a test moves both or one of them. */
#pragma once

#include "base/clock.h"

#include <stdatomic.h>

struct fake_clock {
	struct clock clock; /* what is handed out; points back here */
	_Atomic int64_t monotonic_ms;
	_Atomic int64_t realtime_ms;
};

static inline int64_t fake_clock_monotonic(void *state)
{
	return ((struct fake_clock *)state)->monotonic_ms;
}

static inline int64_t fake_clock_realtime(void *state)
{
	return ((struct fake_clock *)state)->realtime_ms;
}

static inline void fake_clock_init(struct fake_clock *clock)
{
	clock->clock = (struct clock){fake_clock_monotonic, fake_clock_realtime, clock};
	clock->monotonic_ms = 1000;
	clock->realtime_ms = 1764000000000;
}

static inline void fake_clock_advance(struct fake_clock *clock, int64_t ms)
{
	clock->monotonic_ms += ms;
	clock->realtime_ms += ms;
}
