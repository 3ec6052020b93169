/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that others reach too, and that does not answer, is not asked again at once: else a
 * program that looks for something in a loop, on each of many hosts, would keep it from coming
 * back. Thread-safe.
 */
#pragma once

#include "zones/model/status.h"

#include <pthread.h>

/* The second failure in a row brings the first; each one twice as much, up to: */
enum { STORE_SILENCE_MS = 250, STORE_SILENCE_MAX_MS = 4000 };

struct store_silence {
	pthread_mutex_t lock;
	int64_t until_ms;  /* monotonic; 0: it may be asked */
	unsigned failures; /* in a row */
	enum zone_status why;
	char text[320];
};

void store_silence_init(struct store_silence *silence);
void store_silence_clear(struct store_silence *silence);
/* ZONE_OK: it may be asked. Else what it answered last, whose reason is this call's too. */
enum zone_status store_silence_check(struct store_silence *silence, int64_t now_ms);
/* What came of a call; its reason is log_last(). Only outages count. */
void store_silence_note(struct store_silence *silence, enum zone_status status, int64_t now_ms);
