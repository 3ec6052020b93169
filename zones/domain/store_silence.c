/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/store_silence.h"

#include "base/log.h"
#include "net/retry.h"

#include <stdio.h>

void store_silence_init(struct store_silence *silence)
{
	*silence = (struct store_silence){0};
	pthread_mutex_init(&silence->lock, NULL);
}

void store_silence_clear(struct store_silence *silence)
{
	pthread_mutex_destroy(&silence->lock);
}

enum zone_status store_silence_check(struct store_silence *silence, int64_t now_ms)
{
	enum zone_status status = ZONE_OK;

	pthread_mutex_lock(&silence->lock);
	if (now_ms < silence->until_ms) {
		status = silence->why;
		log_reason("%s", silence->text);
	}
	pthread_mutex_unlock(&silence->lock);
	return status;
}

/* Half of it is by chance, so that processes which heard of an outage together don't ask in step.
 */
static int64_t length_of(unsigned failures)
{
	const unsigned doubled = failures - 2 < 4 ? failures - 2 : 4;
	const int64_t ms = (int64_t)STORE_SILENCE_MS << doubled;

	return ms / 2 + retry_jitter(ms / 2);
}

void store_silence_note(struct store_silence *silence, enum zone_status status, int64_t now_ms)
{
	pthread_mutex_lock(&silence->lock);
	if (!zone_status_is_store_outage(status)) {
		silence->failures = 0;
		silence->until_ms = 0;
	} else if (++silence->failures > 1) {
		silence->why = status;
		snprintf(silence->text, sizeof(silence->text), "%s", log_last());
		silence->until_ms = now_ms + length_of(silence->failures);
	}
	pthread_mutex_unlock(&silence->lock);
}
