/* Leases: time, and who asks. A yes brings time, a no ends it at once, silence changes nothing but
 * where coasting is allowed. How they end is in lease_end.c. */
#include "zones/lease.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/lease_private.h"

enum { BUSY_MS = 20 };

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

/* --- Time */

static struct moment load(const _Atomic int64_t *monotonic_ms, const _Atomic int64_t *realtime_ms)
{
	return (struct moment){
		atomic_load_explicit(monotonic_ms, memory_order_acquire),
		atomic_load_explicit(realtime_ms, memory_order_acquire),
	};
}

static struct moment end_of(const struct lease *lease)
{
	return load(&lease->ends_monotonic_ms, &lease->ends_realtime_ms);
}

bool lease_runs(const struct lease *lease, const struct clock *clock)
{
	return !moment_passed(end_of(lease), clock_now(clock));
}

/* Runs, and need not be renewed yet. */
static bool is_fresh(const struct lease *lease, const struct clock *clock)
{
	struct moment renew = load(&lease->renew_monotonic_ms, &lease->renew_realtime_ms);

	return !moment_passed(renew, clock_now(clock));
}

/* Readers may see one clock's new moment and the other's old one. That is never later than both
 * allow, since either clock alone ends a lease. */
static void store(_Atomic int64_t *monotonic_ms, _Atomic int64_t *realtime_ms, struct moment to)
{
	atomic_store_explicit(monotonic_ms, to.monotonic_ms, memory_order_release);
	atomic_store_explicit(realtime_ms, to.realtime_ms, memory_order_release);
}

void lease_set(struct lease *lease, struct moment renew, struct moment end)
{
	renew = moment_earlier(renew, end);
	store(&lease->renew_monotonic_ms, &lease->renew_realtime_ms, renew);
	store(&lease->ends_monotonic_ms, &lease->ends_realtime_ms, end);
}

void lease_count(struct lease *lease, struct lease_rules *rules, struct moment renew)
{
	struct moment end = moment_after(lease->yes, rules->yes_ms);

	if (rules->zone_lease_ms > 0)
		end = moment_earlier(end, moment_after(lease->brought, rules->zone_lease_ms));
	lease_set(lease, renew, end);
	lease->keep = rules->stale_ms > 0
			      ? moment_newer(end, moment_after(lease->yes, rules->stale_ms))
			      : end;
	lease_rules_wipe_at(rules, lease->keep);
}

/* --- Answers */

struct answer {
	enum zone_status status;
	bool vouched;	     /* by the root key; the lease's own keys stay */
	struct moment asked; /* when the request was sent; a failure: when it was known */
	struct moment renew;
	struct lease_keys *keys; /* brought */
};

static void answer_clear(struct answer *answer)
{
	secret_free(answer->keys);
}

static enum zone_status grant(struct lease *lease, struct lease_rules *rules, struct answer *answer)
{
	struct moment end = moment_after(answer->asked, rules->yes_ms);

	/* An answer that took longer than the lease it brings is as good as none. */
	if (moment_passed(end, clock_now(rules->clock)))
		return lease_hold_out(lease, rules, ZONE_KMS_UNAVAILABLE, clock_now(rules->clock));
	if (!answer->vouched) {
		secret_free(lease->keys);
		lease->keys = TAKE(answer->keys);
		lease->brought = lease->yes = answer->asked;
		lease->itself = lease_rules_ahead(rules, answer->asked, rules->zone_lease_ms);
	}
	lease->yes = moment_newer(lease->yes, answer->asked);
	lease->denied = ZONE_OK;
	lease_count(lease, rules, answer->renew);
	return ZONE_OK;
}

static enum zone_status settle(struct lease *lease, struct lease_rules *rules,
			       struct answer *answer)
{
	if (zone_status_is_no(answer->status)) {
		lease_remember(lease, rules, answer->status);
		return answer->status;
	}
	if (lease->overruled != ZONE_OK)
		return lease->overruled;
	if (answer->status == ZONE_OK)
		return grant(lease, rules, answer);
	return lease_hold_out(lease, rules, answer->status, answer->asked);
}

/* --- Asking */

static void ask_itself(struct lease_rules *rules, const struct lease_source *source, void *state,
		       struct answer *answer)
{
	answer->vouched = false;
	answer->status = ZONE_NO_MEMORY;
	answer->asked = clock_now(rules->clock);
	answer->renew = lease_rules_ahead(rules, answer->asked, rules->yes_ms);
	answer->keys = secret_new(sizeof(*answer->keys));
	if (answer->keys != NULL)
		answer->status = source->bring(state, answer->keys->ezk);
	if (answer->status != ZONE_OK)
		answer->asked = clock_now(rules->clock);
}

/* A key that is here need not be brought again, if its root key says yes. False: somebody else is
 * asking that. */
static bool ask_above(struct lease_rules *rules, const struct lease_source *source, void *state,
		      enum vouch_how how, struct answer *answer)
{
	struct voucher voucher = {0};
	enum vouch said = source->vouch(state, how, &voucher);

	if (said == VOUCH_ASK_ITSELF)
		ask_itself(rules, source, state, answer);
	else
		*answer = (struct answer){
			.status = said == VOUCH_YES ? ZONE_OK : voucher.outage,
			.vouched = said == VOUCH_YES,
			.asked = voucher.asked,
			.renew = voucher.renew,
		};
	return said != VOUCH_BUSY;
}

/* The key went, or the word of its root key lost its worth, while that was asked. */
static bool is_worthless(const struct lease *lease, const struct answer *answer)
{
	return answer->vouched && lease->overruled == ZONE_OK &&
	       (lease->keys == NULL || lease->doubted);
}

/* Called and left with the lock held, which is open meanwhile. */
static bool ask(struct lease *lease, struct lease_rules *rules, const struct lease_source *source,
		void *state, enum vouch_how how, struct answer *answer)
{
	bool above = lease->keys != NULL && lease_may_go_on(lease, rules);
	bool asked = true;

	if (moment_passed(lease->itself, clock_now(rules->clock)))
		how = VOUCH_ITSELF;
	pthread_mutex_unlock(&lease->lock);
	if (above)
		asked = ask_above(rules, source, state, how, answer);
	else
		ask_itself(rules, source, state, answer);
	pthread_mutex_lock(&lease->lock);
	return asked;
}

/* A request that was none: the lease is looked at again soon. */
static void take_back(struct lease *lease, const struct lease_rules *rules)
{
	struct moment soon = moment_after(clock_now(rules->clock), BUSY_MS);

	lease->sent--;
	lease_set(lease, soon, end_of(lease));
}

/* Called and left with the lock held, which is open while the KMS is asked. False: nobody was
 * asked. */
static bool ask_once(struct lease *lease, struct lease_rules *rules,
		     const struct lease_source *source, void *state, enum vouch_how how)
{
	AUTO(answer_clear) struct answer answer = {0};
	bool asked;

	lease->sent++;
	lease->overruled = ZONE_OK;
	lease->doubted = false;
	/* Meanwhile the others go on to the end by the short way. */
	lease_set(lease, end_of(lease), end_of(lease));
	asked = ask(lease, rules, source, state, how, &answer);
	if (asked && is_worthless(lease, &answer))
		ask(lease, rules, source, state, VOUCH_ITSELF, &answer);
	if (asked) {
		lease->answer = settle(lease, rules, &answer);
		lease->received++;
	} else {
		take_back(lease, rules);
	}
	pthread_cond_broadcast(&lease->answered);
	return asked;
}

/* The number of the request whose answer will do for who comes now: the one in flight, but where
 * every operation needs its own. */
static uint64_t request_needed(const struct lease *lease, const struct lease_rules *rules)
{
	return lease_in_flight(lease) && rules->lease_ms > 0 ? lease->sent : lease->sent + 1;
}

static enum zone_status refusal(const struct lease *lease, const struct lease_rules *rules,
				const struct lease_source *source, void *state)
{
	TRY(lease_refusal(lease, rules));
	return source->refusal(state);
}

static enum zone_status ask_or_wait(struct lease *lease, struct lease_rules *rules,
				    const struct lease_source *source, void *state)
{
	uint64_t needed = request_needed(lease, rules);

	while (lease->received < needed) {
		TRY(refusal(lease, rules, source, state));
		if (lease_in_flight(lease))
			pthread_cond_wait(&lease->answered, &lease->lock);
		else
			ask_once(lease, rules, source, state, VOUCH_WAIT);
	}
	return lease->answer;
}

/* Ahead of the end, by one thread; it alone learns a no at once. */
static enum zone_status refresh(struct lease *lease, struct lease_rules *rules,
				const struct lease_source *source, void *state)
{
	if (lease_in_flight(lease) || is_fresh(lease, rules->clock))
		return ZONE_OK;
	TRY(refusal(lease, rules, source, state));
	return ask_once(lease, rules, source, state, VOUCH_ASK) ? lease->answer : ZONE_OK;
}

static enum zone_status renew(struct lease *lease, struct lease_rules *rules,
			      const struct lease_source *source, void *state)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	if (rules->lease_ms == 0)
		return ask_or_wait(lease, rules, source, state);
	if (lease_runs(lease, rules->clock) || lease_prolong(lease, rules, source, state))
		return refresh(lease, rules, source, state);
	return ask_or_wait(lease, rules, source, state);
}

enum zone_status lease_begin(struct lease *lease, struct lease_rules *rules,
			     const struct lease_source *source, void *state)
{
	if (rules->lease_ms > 0 && is_fresh(lease, rules->clock))
		return ZONE_OK;
	return renew(lease, rules, source, state);
}

enum zone_status lease_continue(struct lease *lease, struct lease_rules *rules,
				const struct lease_source *source, void *state)
{
	bool good = rules->lease_ms > 0 ? is_fresh(lease, rules->clock)
					: lease_runs(lease, rules->clock);

	return good ? ZONE_OK : renew(lease, rules, source, state);
}
