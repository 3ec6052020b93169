/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered about endpoints and keys that do not answer. */
#include "kms/silence.h"

#include "base/free.h"
#include "base/macros.h"
#include "kms/provider.h"
#include "net/retry.h"

#include <stdio.h>
#include <stdlib.h>

enum { DOUBLINGS_MAX = 8 };

/* Why there was no answer; many failures with one cause have one line in the log. */
struct cause {
	enum kms_status status;
	char type[64];
	uint32_t words; /* where there was no type: a hash of the message, without its numbers */
};

struct silence {
	bool silent;
	bool asked_now;	      /* one caller is asking, for all */
	unsigned failures;    /* those that count for the backoff */
	struct moment began;  /* the request that failed first */
	struct moment failed; /* the last one */
	struct moment until;
	uint64_t refused, failing; /* calls since it began: at once; by a request */
	/* Of a key: its own request at the endpoint was not answered, and none since. */
	bool suspected;
	/* Of an endpoint: a key that is not suspected was refused since somebody asked. */
	bool others_wait;
	bool is_told;
	struct cause told;
	/* Of an endpoint: the last key to which the endpoint answered by an error of its own; NULL
	 * as soon as anybody there gets another answer. */
	struct silence *suspect;
	char message[256]; /* of the last failure */
	enum kms_status status;
	char name[];
};

void silences_init(struct silences *silences, const struct kms_settings *settings)
{
	*silences = (struct silences){.settings = settings};
	pthread_mutex_init(&silences->lock, NULL);
}

void silences_clear(struct silences *silences)
{
	size_t at = 0;

	for (struct map_entry *entry; (entry = map_next(&silences->by_name, &at)) != NULL;)
		free(entry->value);
	map_clear(&silences->by_name);
	pthread_mutex_destroy(&silences->lock);
}

static struct moment now_of(const struct silences *silences)
{
	return clock_now(silences->settings->clock);
}

/* --- Finding. All below hold the lock. */

static struct silence *find(const struct silences *silences, const char *name)
{
	return map_find(&silences->by_name, bytes_of(name));
}

static struct silence *find_or_make(struct silences *silences, const char *name)
{
	size_t size = strlen(name) + 1;
	struct silence *silence = find(silences, name);

	if (silence != NULL)
		return silence;
	silence = calloc(1, sizeof(*silence) + size);
	if (silence == NULL)
		return NULL;
	memcpy(silence->name, name, size);
	if (map_put(&silences->by_name, bytes_of(silence->name), silence))
		return silence;
	free(silence);
	return NULL;
}

/* --- Whether it may be asked */

static bool keeps_off(const struct silence *silence, struct moment now)
{
	return silence != NULL && silence->silent &&
	       (silence->asked_now || !moment_passed(silence->until, now));
}

/* A key whose requests fail, while others' would be answered, must not take all turns: a key that
 * has not failed goes first, if one waits. */
static bool gives_way(struct silence *endpoint, const struct silence *own, struct moment now)
{
	if (endpoint == NULL || !endpoint->silent)
		return false;
	if (own == NULL || !own->suspected) {
		endpoint->others_wait = true;
		return false;
	}
	return endpoint->others_wait &&
	       !moment_passed(moment_after(endpoint->until, SILENCE_OTHERS_MS), now);
}

static bool take_turn(struct silence *silence)
{
	if (silence == NULL || !silence->silent)
		return false;
	silence->others_wait = false;
	silence->asked_now = true;
	return true;
}

static enum kms_status refuse(struct silence *silence, struct moment now, struct kms_report *report)
{
	int64_t ago = (now.monotonic_ms - silence->failed.monotonic_ms) / 1000;

	silence->refused++;
	if (report == NULL)
		return silence->status;
	snprintf(report->message, sizeof(report->message), "%s, %lld s ago", silence->message,
		 (long long)ago);
	return silence->status;
}

/* The endpoint that a key's name leads to; false: the name leads to none. The embedded KMS counts
 * as one, so that a cause is told once there too; it is never silent, since asking it costs a look
 * at a file. */
static bool name_endpoint(const struct silences *silences, const char *key, struct kms_turn *turn)
{
	const struct kms_provider *provider;
	struct bytes region;

	turn->local = false;
	provider = provider_of_key(silences->settings->providers, key, &region);
	if (provider == NULL)
		return false;
	turn->local = provider->embedded;
	snprintf(turn->endpoint, sizeof(turn->endpoint), "%s %.*s", provider->name, (int)region.len,
		 (const char *)region.data);
	return true;
}

enum kms_status silences_begin(struct silences *silences, const char *key,
			       struct kms_turn *ret_turn, struct kms_report *report)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&silences->lock);
	struct moment now = now_of(silences);
	struct silence *endpoint, *own;

	*ret_turn = (struct kms_turn){.key = key, .began = now};
	if (!name_endpoint(silences, key, ret_turn))
		return KMS_OK;
	endpoint = find(silences, ret_turn->endpoint);
	own = find(silences, key);
	if (gives_way(endpoint, own, now) || keeps_off(endpoint, now))
		return refuse(endpoint, now, report);
	if (keeps_off(own, now))
		return refuse(own, now, report);
	ret_turn->for_endpoint = take_turn(endpoint);
	ret_turn->for_key = take_turn(own);
	return KMS_OK;
}

enum kms_status silences_silent(struct silences *silences, const char *key)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&silences->lock);
	struct moment now = now_of(silences);
	struct kms_turn turn = {0};
	struct silence *silence, *own;

	if (!name_endpoint(silences, key, &turn))
		return KMS_OK;
	silence = find(silences, turn.endpoint);
	own = find(silences, key);
	if (!gives_way(silence, own, now) && !keeps_off(silence, now)) {
		if (!keeps_off(own, now))
			return KMS_OK;
		silence = own;
	}
	silence->refused++;
	return silence->status;
}

/* --- The outcome */

/* Of a message without its digits: durations differ from one request to the next. FNV-1a. */
static uint32_t hash_words(const char *text)
{
	uint32_t hash = 2166136261;

	for (; *text != '\0'; text++)
		if (*text < '0' || *text > '9')
			hash = (hash ^ (unsigned char)*text) * 16777619;
	return hash;
}

static struct cause cause_of(enum kms_status status, const struct kms_report *report)
{
	struct cause cause = {.status = status};

	snprintf(cause.type, sizeof(cause.type), "%s", report->error_type);
	if (cause.type[0] == '\0')
		cause.words = hash_words(report->message);
	return cause;
}

static bool same_cause(const struct cause *a, const struct cause *b)
{
	return a->status == b->status && a->words == b->words && strcmp(a->type, b->type) == 0;
}

/* Whether the KMS has answered at all. A failure on our own side (credentials, memory, the
 * configuration) does not show that. */
static bool is_answer(enum kms_status status, const struct kms_report *report)
{
	return status == KMS_OK || kms_status_is_no(status) ||
	       (report->sent && status == KMS_CREDENTIALS_REFUSED) || !kms_status_lasts(status);
}

static bool is_news(struct silence *silence, enum kms_status status,
		    const struct kms_report *report)
{
	const struct cause cause = cause_of(status, report);

	if (silence->is_told && same_cause(&silence->told, &cause))
		return false;
	silence->told = cause;
	return silence->is_told = true;
}

static struct moment later(struct moment a, struct moment b)
{
	return a.monotonic_ms > b.monotonic_ms ? a : b;
}

static void back_off(struct silence *silence, struct moment began, struct moment now)
{
	unsigned doublings = silence->failures < DOUBLINGS_MAX ? silence->failures : DOUBLINGS_MAX;
	int64_t ms = (int64_t)SILENCE_FIRST_MS << doublings;

	if (ms > SILENCE_MAX_MS)
		ms = SILENCE_MAX_MS;
	ms -= retry_jitter(ms / 4);
	silence->failures++;
	silence->until = later(moment_after(began, ms),
			       moment_after(now, ms < SILENCE_REST_MS ? ms : SILENCE_REST_MS));
}

static void begin_silence(struct silence *silence, struct moment began)
{
	silence->silent = true;
	silence->failures = 0;
	silence->began = began;
}

/* `counts`: the turn was taken for this silence. A request that was already under way when the
 * silence began does not lengthen the backoff. */
static void hear_silence(struct silences *silences, struct silence *silence,
			 const struct kms_turn *turn, bool counts, enum kms_status status,
			 const struct kms_report *report)
{
	struct moment now = now_of(silences);
	bool first = !silence->silent;

	if (first)
		begin_silence(silence, turn->began);
	silence->status = status;
	silence->failed = now;
	snprintf(silence->message, sizeof(silence->message), "%.255s", report->message);
	if (first || counts)
		back_off(silence, turn->began, now);
}

static void forget(struct silence *silence)
{
	silence->silent = silence->is_told = false;
	silence->suspected = silence->others_wait = false;
	silence->failing = silence->refused = 0;
	silence->suspect = NULL;
}

/* True: there was one, whose end is worth a line; a single failure on our own side is not. */
static bool end_silence(const struct silences *silences, struct silence *silence,
			struct kms_turn_news *news)
{
	int64_t lasted_ms;
	bool was_there;

	if (silence == NULL)
		return false;
	lasted_ms = now_of(silences).monotonic_ms - silence->began.monotonic_ms;
	was_there = silence->silent || silence->failing > 1;
	if (was_there) {
		news->ended = true;
		news->refused += silence->refused;
		news->failed += silence->failing;
		if (lasted_ms > news->lasted_ms)
			news->lasted_ms = lasted_ms;
	}
	forget(silence);
	return was_there;
}

/* Two keys met the same kind of error, with no answer in between: the silence is the endpoint's. It
 * goes on with the first key's backoff and counts, and with what was logged. */
static struct silence *widen(struct silence *endpoint)
{
	struct silence *key = endpoint->suspect;

	endpoint->silent = true;
	endpoint->failures = key->failures;
	endpoint->began = key->began;
	endpoint->until = key->until;
	endpoint->failing = key->failing;
	endpoint->refused = key->refused;
	endpoint->is_told = key->is_told;
	endpoint->told = key->told;
	forget(key);
	key->suspected = true;
	endpoint->suspect = NULL;
	return endpoint;
}

/* The silence to which an outage belongs: the endpoint's, where there is no way to it; the key's,
 * where the endpoint answers by an error of its own, until a second key meets one. NULL: no memory.
 */
static struct silence *whose(struct silences *silences, const struct kms_turn *turn,
			     enum kms_status status, const struct kms_report *report)
{
	struct silence *endpoint, *own;

	own = find_or_make(silences, turn->key);
	if (kms_status_is_outage_of_key(status))
		return own;
	if (own != NULL)
		own->suspected = true;
	endpoint = find_or_make(silences, turn->endpoint);
	if (endpoint == NULL || endpoint->silent || report->request_id[0] == '\0')
		return endpoint;
	if (endpoint->suspect != NULL && endpoint->suspect != own && endpoint->suspect->silent)
		return widen(endpoint);
	endpoint->suspect = own;
	return own;
}

static void hear_failure(struct silences *silences, const struct kms_turn *turn,
			 enum kms_status status, const struct kms_report *report,
			 struct kms_turn_news *news)
{
	bool outage = kms_status_is_outage(status) && !turn->local;
	struct silence *silence = outage ? whose(silences, turn, status, report)
					 : find_or_make(silences, turn->endpoint);

	if (silence == NULL) /* if memory lacks for it, each call asks, and each failure is logged
			      */
		return;
	if (!silence->silent && silence->failing == 0)
		silence->began = turn->began;
	if (outage)
		hear_silence(silences, silence, turn,
			     strcmp(silence->name, turn->key) == 0 ? turn->for_key
								   : turn->for_endpoint,
			     status, report);
	silence->failing++;
	if (!turn->quiet)
		news->is_new = is_news(silence, status, report);
}

static void give_turn_back(struct silence *silence, bool taken)
{
	if (silence != NULL && taken)
		silence->asked_now = false;
}

void silences_end(struct silences *silences, const struct kms_turn *turn, enum kms_status status,
		  const struct kms_report *report, struct kms_turn_news *ret_news)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&silences->lock);
	struct silence *endpoint = find(silences, turn->endpoint);
	struct silence *own = find(silences, turn->key);

	*ret_news = (struct kms_turn_news){.is_new = status != KMS_OK};
	give_turn_back(endpoint, turn->for_endpoint);
	give_turn_back(own, turn->for_key);
	if (turn->endpoint[0] == '\0')
		return;
	if (is_answer(status, report)) {
		bool whole = end_silence(silences, endpoint, ret_news);

		ret_news->of_key = end_silence(silences, own, ret_news) && !whole;
		return;
	}
	/* An error about one key shows that the endpoint itself answers. */
	if (kms_status_is_outage_of_key(status))
		end_silence(silences, endpoint, ret_news);
	hear_failure(silences, turn, status, report, ret_news);
}
