/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the sources; the credentials that are kept, and when new ones are fetched. */
#include "aws/credentials/chain.h"

#include "aws/credentials/sources.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "net/answer.h"
#include "net/retry.h"

#include <stdlib.h>
#include <time.h>

/* The order of most AWS SDKs and of the SDK reference. */
const struct credentials_source *const credentials_order[] = {
	&credentials_environment, &credentials_profile, &credentials_web_identity,
	&credentials_container,	  &credentials_imds,
};
const size_t credentials_order_count = COUNT_OF(credentials_order);

enum {
	MINUTE_MS = 60 * 1000,
	SOON_MS = 15 * MINUTE_MS, /* before the end: one fetches, others go on */
	NOW_MS = 10 * MINUTE_MS,  /* before the end: all wait */
	PAUSE_MS = MINUTE_MS / 2, /* after a failure, and as much jitter */
	STABLE_MS = 12 * MINUTE_MS,
	STABLE_JITTER_MS = 8 * MINUTE_MS
};

enum need { NEED_NONE, NEED_SOON, NEED_NOW };

struct credentials_chain {
	pthread_mutex_t lock;
	pthread_cond_t fetched; /* waits by CLOCK_MONOTONIC */
	struct credentials_place place;
	const struct credentials_source *const *order;
	size_t order_count;
	struct credentials *kept; /* one reference is ours; NULL: none yet */
	int64_t since_ms;	  /* when they came */
	int64_t pause_until_ms;	  /* no fetch before this, as long as there are usable ones */
	uint64_t last_number;
	bool fetching;
	uint64_t rounds; /* fetches that have ended */
	enum kms_status last_status;
	struct kms_report last_report; /* of the last of these */
};

struct credentials_chain *credentials_chain_new(const struct credentials_place *place,
						const struct credentials_source *const *order,
						size_t order_count)
{
	struct credentials_chain *chain = calloc(1, sizeof(*chain));
	pthread_condattr_t monotonic;

	if (chain == NULL)
		return NULL;
	pthread_mutex_init(&chain->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&chain->fetched, &monotonic);
	pthread_condattr_destroy(&monotonic);
	chain->place = *place;
	chain->order = order;
	chain->order_count = order_count;
	return chain;
}

/* The lock is held. */
static void drop(struct credentials *credentials)
{
	if (credentials == NULL || --credentials->references > 0)
		return;
	credentials_clear(credentials);
	free(credentials);
}

void credentials_chain_free(struct credentials_chain *chain)
{
	if (chain == NULL)
		return;
	drop(chain->kept);
	pthread_cond_destroy(&chain->fetched);
	pthread_mutex_destroy(&chain->lock);
	free(chain);
}

static int64_t now_of(const struct credentials_chain *chain)
{
	const struct clock *clock = chain->place.settings->clock;

	return clock->realtime_ms(clock->state);
}

static enum kms_status ask_sources(const struct credentials_chain *chain,
				   const struct credentials_place *place, struct kms_report *report,
				   struct credentials *credentials)
{
	for (size_t i = 0; i < chain->order_count; i++) {
		enum kms_status status = chain->order[i]->fetch(place, report, credentials);

		if (status == KMS_OK && credentials->origin.len == 0)
			buffer_put_text(&credentials->origin, chain->order[i]->name);
		if (status != KMS_NOT_FOUND)
			return status;
	}
	return kms_fail(
		KMS_NO_CREDENTIALS, report, NULL,
		"no AWS credentials: neither in the environment (AWS_ACCESS_KEY_ID), nor in "
		"a profile of ~/.aws, nor by web identity, container or EC2 metadata");
}

/* The lock is open. */
static enum kms_status fetch_some(struct credentials_chain *chain,
				  const struct credentials_wish *wish, struct kms_report *report,
				  struct credentials *credentials)
{
	struct credentials_place place = chain->place;

	place.region = wish->region;
	place.deadline = wish->deadline;
	TRY(ask_sources(chain, &place, report, credentials));
	TRY(credentials_check(credentials, report));
	if (credentials->expires_ms != 0 && !credentials->outlasts &&
	    credentials->expires_ms <= now_of(chain))
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"the AWS credentials from %s have expired already",
				(const char *)credentials->origin.data);
	log_info("KMS: AWS credentials from %s", (const char *)credentials->origin.data);
	return KMS_OK;
}

/* When the next fetch is worthwhile, if no use forces it. The lock is held. */
static int64_t pause_end(const struct credentials_chain *chain, enum kms_status status)
{
	const struct credentials *kept = chain->kept;
	int64_t now = now_of(chain);

	if (status != KMS_OK)
		return now + PAUSE_MS + retry_jitter(PAUSE_MS);
	if (kept->outlasts && kept->expires_ms - now < SOON_MS)
		return now + STABLE_MS + retry_jitter(STABLE_JITTER_MS);
	return 0;
}

/* The lock is held. */
static void keep(struct credentials_chain *chain, struct credentials *fresh)
{
	drop(chain->kept);
	chain->kept = fresh;
	chain->since_ms = now_of(chain);
}

/* Replaces the credentials that are kept by new ones; on failure nothing changes. Called and left
 * with the lock held; it is open meanwhile. */
static enum kms_status fetch(struct credentials_chain *chain, const struct credentials_wish *wish,
			     struct kms_report *report)
{
	struct credentials *fresh = calloc(1, sizeof(*fresh));
	enum kms_status status;

	if (fresh == NULL)
		return KMS_NO_MEMORY;
	fresh->references = 1;
	fresh->number = ++chain->last_number;
	chain->fetching = true;
	pthread_mutex_unlock(&chain->lock);
	status = fetch_some(chain, wish, report, fresh);
	pthread_mutex_lock(&chain->lock);
	chain->fetching = false;
	chain->rounds++;
	chain->last_status = status;
	chain->last_report = *report;
	if (status == KMS_OK)
		keep(chain, fresh);
	else
		drop(fresh);
	chain->pause_until_ms = pause_end(chain, status);
	pthread_cond_broadcast(&chain->fetched);
	return status;
}

static struct timespec real_deadline(const struct credentials_chain *chain, struct moment deadline)
{
	const struct clock *clock = chain->place.settings->clock;
	int64_t left = deadline.monotonic_ms - clock->monotonic_ms(clock->state);
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += left > 0 ? left % 1000 * 1000000 : 0;
	end.tv_sec += (left > 0 ? left / 1000 : 0) + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	return end;
}

/* The result of the fetch that is under way. The lock is held. */
static enum kms_status await(struct credentials_chain *chain, const struct credentials_wish *wish,
			     struct kms_report *report)
{
	const struct timespec end = real_deadline(chain, wish->deadline);
	uint64_t round = chain->rounds;

	while (chain->rounds == round)
		if (pthread_cond_timedwait(&chain->fetched, &chain->lock, &end) != 0 &&
		    chain->rounds == round)
			return kms_fail(KMS_UNAVAILABLE, report, NULL,
					"out of time while waiting for AWS credentials");
	*report = chain->last_report;
	return chain->last_status;
}

static enum kms_status fetch_or_await(struct credentials_chain *chain,
				      const struct credentials_wish *wish,
				      struct kms_report *report)
{
	return chain->fetching ? await(chain, wish, report) : fetch(chain, wish, report);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool is_usable(const struct credentials_chain *chain)
{
	const struct credentials *kept = chain->kept;

	return kept != NULL &&
	       (kept->expires_ms == 0 || kept->outlasts || kept->expires_ms > now_of(chain));
}

/* The lock is held. */
static enum need judge(const struct credentials_chain *chain)
{
	int64_t now = now_of(chain), left, life;
	enum need need;

	if (chain->kept == NULL)
		return NEED_NOW;
	left = chain->kept->expires_ms - now;
	life = chain->kept->expires_ms - chain->since_ms;
	if (chain->kept->expires_ms == 0 || left > least(SOON_MS, life / 4))
		return NEED_NONE;
	need = left > least(NOW_MS, life / 6) ? NEED_SOON : NEED_NOW;
	if (now >= chain->pause_until_ms || !is_usable(chain) ||
	    (need == NEED_NOW && kms_status_is_no(chain->last_status)))
		return need;
	return NEED_NONE;
}

enum kms_status credentials_chain_borrow(struct credentials_chain *chain,
					 const struct credentials_wish *wish,
					 struct kms_report *report,
					 struct credentials **ret_credentials)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);
	enum need need = judge(chain);
	struct kms_report own = {0};
	enum kms_status status = KMS_OK;

	if (report == NULL)
		report = &own;
	if (need == NEED_NOW || (need == NEED_SOON && !chain->fetching))
		status = fetch_or_await(chain, wish, report);
	if (status != KMS_OK &&
	    (!is_usable(chain) || (need == NEED_NOW && kms_status_is_no(status))))
		return status;
	chain->kept->references++;
	*ret_credentials = chain->kept;
	return KMS_OK;
}

void credentials_chain_return(struct credentials_chain *chain, struct credentials *credentials)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);

	drop(credentials);
}

enum kms_status credentials_chain_renew(struct credentials_chain *chain,
					const struct credentials_wish *wish,
					const struct credentials *refused,
					struct kms_report *report, bool *ret_others)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&chain->lock);
	struct kms_report own = {0};

	if (chain->kept == NULL || chain->kept->number == refused->number)
		TRY(fetch_or_await(chain, wish, report == NULL ? &own : report));
	*ret_others = !credentials_equal(chain->kept, refused);
	return KMS_OK;
}
