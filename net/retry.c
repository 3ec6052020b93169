/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* When a call is tried again. */
#include "net/retry.h"

#include "crypto/crypto.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

enum { BACKOFF_MAX_MS = 20000, HINT_MAX_MS = 5000 };

static const struct rule {
	int cost; /* in tokens */
	int base_ms;
} rules[] = {
	[RETRY_TRANSIENT] = {14, 50},
	[RETRY_THROTTLED] = {5, 1000},
};

int64_t retry_time_left(const struct retry *retry, int64_t limit)
{
	struct moment now = clock_now(retry->clock);
	int64_t left = retry->deadline.monotonic_ms - now.monotonic_ms;

	if (left <= 0)
		return 0;
	return left < limit ? left : limit;
}

static bool take_tokens(struct retry_bucket *bucket, int cost)
{
	int tokens = atomic_load(&bucket->tokens);

	do {
		if (tokens < cost)
			return false;
	} while (!atomic_compare_exchange_weak(&bucket->tokens, &tokens, tokens - cost));
	return true;
}

static void give_tokens(struct retry_bucket *bucket, int count)
{
	int tokens = atomic_load(&bucket->tokens), more;

	do {
		more = tokens + count > RETRY_BUCKET ? RETRY_BUCKET : tokens + count;
	} while (!atomic_compare_exchange_weak(&bucket->tokens, &tokens, more));
}

int64_t retry_jitter(int64_t ms)
{
	uint32_t random = UINT32_MAX;

	crypto_random(&random, sizeof(random));
	return (int64_t)((uint64_t)ms * random / UINT32_MAX);
}

static int64_t backoff(const struct retry *retry, const struct rule *rule, int64_t hint_ms)
{
	unsigned doublings = retry->attempt - 1;
	int64_t ms = BACKOFF_MAX_MS;

	if (doublings < 16 && ((int64_t)rule->base_ms << doublings) < BACKOFF_MAX_MS)
		ms = (int64_t)rule->base_ms << doublings;
	ms = retry_jitter(ms);
	if (hint_ms <= ms)
		return ms;
	return hint_ms < ms + HINT_MAX_MS ? hint_ms : ms + HINT_MAX_MS;
}

bool retry_again(struct retry *retry, enum retry_kind kind, int64_t hint_ms)
{
	const struct rule *rule;
	int64_t wait;

	if ((kind != RETRY_TRANSIENT && kind != RETRY_THROTTLED) ||
	    retry->attempt >= retry->max_attempts)
		return false;
	rule = &rules[kind];
	wait = backoff(retry, rule, hint_ms);
	if (retry_time_left(retry, INT64_MAX) <= wait || !take_tokens(retry->bucket, rule->cost))
		return false;
	retry->spent = rule->cost;
	retry->attempt++;
	retry->sleep(retry->sleep_state, wait);
	return true;
}

void retry_succeeded(struct retry *retry)
{
	give_tokens(retry->bucket, retry->spent > 0 ? retry->spent : 1);
}

void retry_sleep(void *state, int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)state;
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}
