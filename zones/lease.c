/* Leases. A yes brings time, a no ends it at once, silence changes nothing. */
#include "zones/lease.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"

#include <assert.h>

enum { ENDED = 0, SECOND_MS = 1000 };

void lease_rules_init(struct lease_rules *rules, const struct clock *clock, unsigned lease_seconds,
		      unsigned deny_seconds)
{
	rules->clock = clock;
	rules->lease_seconds = lease_seconds;
	rules->deny_seconds = deny_seconds;
	lease_rules_reset(rules);
}

void lease_init(struct lease *lease)
{
	*lease = (struct lease){0};
	pthread_mutex_init(&lease->lock, NULL);
	pthread_cond_init(&lease->answered, NULL);
}

void lease_clear(struct lease *lease)
{
	secret_free(lease->keys);
	pthread_cond_destroy(&lease->answered);
	pthread_mutex_destroy(&lease->lock);
}

bool lease_runs(const struct lease *lease, const struct clock *clock)
{
	struct moment end = {
		atomic_load_explicit(&lease->ends_monotonic_ms, memory_order_acquire),
		atomic_load_explicit(&lease->ends_realtime_ms, memory_order_acquire),
	};

	return !moment_passed(end, clock_now(clock));
}

/* --- What is to be wiped next */

static void lower(_Atomic int64_t *value, int64_t to)
{
	int64_t seen = atomic_load(value);

	while (to < seen && !atomic_compare_exchange_weak(value, &seen, to))
		;
}

static void wipe_at(struct lease_rules *rules, struct moment end)
{
	lower(&rules->wipe_monotonic_ms, end.monotonic_ms);
	lower(&rules->wipe_realtime_ms, end.realtime_ms);
}

void lease_rules_reset(struct lease_rules *rules)
{
	atomic_store(&rules->wipe_monotonic_ms, INT64_MAX);
	atomic_store(&rules->wipe_realtime_ms, INT64_MAX);
}

bool lease_rules_due(const struct lease_rules *rules)
{
	struct moment next = {
		atomic_load_explicit(&rules->wipe_monotonic_ms, memory_order_relaxed),
		atomic_load_explicit(&rules->wipe_realtime_ms, memory_order_relaxed),
	};

	return moment_passed(next, clock_now(rules->clock));
}

/* --- With the lock held */

static void set_end(struct lease *lease, struct moment end)
{
	atomic_store_explicit(&lease->ends_monotonic_ms, end.monotonic_ms, memory_order_release);
	atomic_store_explicit(&lease->ends_realtime_ms, end.realtime_ms, memory_order_release);
}

static void end_now(struct lease *lease)
{
	set_end(lease, (struct moment){ENDED, ENDED});
	secret_free(lease->keys);
	lease->keys = NULL;
}

static void deny(struct lease *lease, const struct lease_rules *rules, enum zone_status no)
{
	int64_t remembered_ms = (int64_t)rules->deny_seconds * SECOND_MS;

	end_now(lease);
	lease->denied = no;
	lease->denied_until = moment_after(clock_now(rules->clock), remembered_ms);
}

static bool in_flight(const struct lease *lease)
{
	return lease->received < lease->sent;
}

/* What stands against asking at all. */
static enum zone_status refusal(const struct lease *lease, const struct lease_rules *rules)
{
	if (lease->barred != ZONE_OK)
		return lease->barred;
	if (lease->denied != ZONE_OK &&
	    !moment_passed(lease->denied_until, clock_now(rules->clock)))
		return lease->denied;
	return ZONE_OK;
}

/* A yes, to a request sent at `asked`. */
static enum zone_status grant(struct lease *lease, struct lease_rules *rules, struct moment asked,
			      struct lease_keys **keys)
{
	unsigned seconds = rules->lease_seconds > 0 ? rules->lease_seconds : OPERATION_SECONDS;
	struct moment end = moment_after(asked, (int64_t)seconds * SECOND_MS);

	/* An answer that took longer than the lease it brings is as good as none. */
	if (moment_passed(end, clock_now(rules->clock)))
		return ZONE_KMS_UNAVAILABLE;
	secret_free(lease->keys);
	lease->keys = TAKE(*keys);
	lease->denied = ZONE_OK;
	set_end(lease, end);
	wipe_at(rules, end);
	return ZONE_OK;
}

/* During an outage a lease goes on to its end, and no further; this is where coasting will have its
 * say. */
static enum zone_status settle(struct lease *lease, struct lease_rules *rules, struct moment asked,
			       enum zone_status answer, struct lease_keys **keys)
{
	if (zone_status_is_no(answer))
		deny(lease, rules, answer);
	else if (lease->overruled != ZONE_OK)
		answer = lease->overruled;
	else if (answer == ZONE_OK)
		answer = grant(lease, rules, asked, keys);
	return answer;
}

/* --- Asking */

/* Called and left with the lock held, which is open while the KMS is asked. */
static void ask_once(struct lease *lease, struct lease_rules *rules, lease_ask *ask, void *state)
{
	AUTO(secret_freep) struct lease_keys *keys = NULL;
	enum zone_status answer = ZONE_NO_MEMORY;
	struct moment asked;

	lease->sent++;
	lease->overruled = ZONE_OK;
	pthread_mutex_unlock(&lease->lock);
	asked = clock_now(rules->clock);
	keys = secret_new(sizeof(*keys));
	if (keys != NULL)
		answer = ask(state, keys->ezk);
	pthread_mutex_lock(&lease->lock);
	lease->answer = settle(lease, rules, asked, answer, &keys);
	lease->received++;
	pthread_cond_broadcast(&lease->answered);
}

/* The number of the request whose answer will do for who comes now: the one in flight, but where
 * every operation needs its own. */
static uint64_t request_needed(const struct lease *lease, const struct lease_rules *rules)
{
	return in_flight(lease) && rules->lease_seconds > 0 ? lease->sent : lease->sent + 1;
}

static enum zone_status ask_or_wait(struct lease *lease, struct lease_rules *rules, lease_ask *ask,
				    void *state)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);
	uint64_t needed;

	/* Somebody may have been faster. */
	if (rules->lease_seconds > 0 && lease_runs(lease, rules->clock))
		return ZONE_OK;
	needed = request_needed(lease, rules);
	while (lease->received < needed) {
		TRY(refusal(lease, rules));
		if (in_flight(lease))
			pthread_cond_wait(&lease->answered, lock);
		else
			ask_once(lease, rules, ask, state);
	}
	return lease->answer;
}

/* Refreshing ahead of the end has its place here: a lease that runs, but not for long. */
enum zone_status lease_begin(struct lease *lease, struct lease_rules *rules, lease_ask *ask,
			     void *state)
{
	if (rules->lease_seconds > 0 && lease_runs(lease, rules->clock))
		return ZONE_OK;
	return ask_or_wait(lease, rules, ask, state);
}

enum zone_status lease_continue(struct lease *lease, struct lease_rules *rules, lease_ask *ask,
				void *state)
{
	if (lease_runs(lease, rules->clock))
		return ZONE_OK;
	return ask_or_wait(lease, rules, ask, state);
}

/* --- Ending */

void lease_deny(struct lease *lease, const struct lease_rules *rules, enum zone_status no)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	assert(zone_status_is_no(no));
	deny(lease, rules, no);
	lease->overruled = no;
}

void lease_bar(struct lease *lease, enum zone_status why)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	lease->barred = why;
	if (why == ZONE_OK)
		return;
	end_now(lease);
	lease->overruled = why;
}

static struct moment later(struct moment a, struct moment b)
{
	return (struct moment){
		a.monotonic_ms > b.monotonic_ms ? a.monotonic_ms : b.monotonic_ms,
		a.realtime_ms > b.realtime_ms ? a.realtime_ms : b.realtime_ms,
	};
}

/* Not more often than once a second, since all leases are looked at. */
bool lease_sweep(struct lease *lease, struct lease_rules *rules, struct moment now)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);
	struct moment end = {lease->ends_monotonic_ms, lease->ends_realtime_ms};

	if (lease->keys != NULL && moment_passed(end, now))
		end_now(lease);
	if (lease->keys != NULL)
		wipe_at(rules, later(end, moment_after(now, SECOND_MS)));
	return lease->keys == NULL && !in_flight(lease) && refusal(lease, rules) == ZONE_OK;
}
