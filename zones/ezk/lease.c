/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: how much time is left, and which thread asks for more. A yes brings time, a no ends
 * the lease at once, and silence changes nothing, except where coasting is allowed. lease_end.c
 * has how leases end. */
#include "zones/ezk/lease.h"

#include "base/cancel.h"
#include "base/free.h"
#include "base/short_lock.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/ezk/lease_private.h"

enum { BUSY_MS = 20 };

void lease_init(struct lease *lease, struct lease_rules *rules, const struct lease_source *source,
		void *state)
{
	*lease = (struct lease){.rules = rules,
				.source = source,
				.state = state,
				.lease_ms = rules->lease_ms,
				.yes_ms = rules->yes_ms,
				.stale_ms = rules->stale_ms};
	short_lock_init(&lease->lock);
	pthread_cond_init(&lease->answered, NULL);
	lanes_init(&lease->lanes);
}

void lease_clear(struct lease *lease)
{
	secret_free(lease->keys);
	lanes_clear(&lease->lanes);
	pthread_cond_destroy(&lease->answered);
	pthread_mutex_destroy(&lease->lock);
}

static void bind_to(struct lease *lease, const struct lease_bounds *bounds)
{
	struct lease_times times = lease_rules_within(lease->rules, bounds);

	atomic_store_explicit(&lease->lease_ms, times.lease_ms, memory_order_relaxed);
	lease->yes_ms = times.yes_ms;
	lease->stale_ms = times.stale_ms;
}

void lease_expect(struct lease *lease, const struct lease_bounds *bounds)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	if (lease->keys == NULL)
		bind_to(lease, bounds);
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

void lease_rest_on(struct lease *lease, struct lease_window *window)
{
	atomic_store_explicit(&lease->window, window, memory_order_release);
}

bool lease_runs(const struct lease *lease)
{
	return !moment_passed(end_of(lease), lease_now(lease));
}

static struct moment renewal_of(const struct lease *lease)
{
	return load(&lease->renew_monotonic_ms, &lease->renew_realtime_ms);
}

/* Notes that it is used; true: its root key is to be asked, for all leases below it. */
static bool asks_for_all(const struct lease *lease, int64_t monotonic_ms)
{
	struct lease_window *window = atomic_load_explicit(&lease->window, memory_order_acquire);
	int64_t lease_ms = atomic_load_explicit(&lease->lease_ms, memory_order_relaxed);

	return window != NULL && lease_ms > 0 && lease_window_use(window, monotonic_ms, lease_ms);
}

/* It need not be renewed yet, nor its root key be asked. */
static bool is_fresh(const struct lease *lease, struct moment until)
{
	struct moment now = lease_now(lease);

	return !asks_for_all(lease, now.monotonic_ms) && !moment_passed(until, now);
}

/* And no thread is to check whether it is still allowed. */
static bool goes_on(const struct lease *lease, struct moment until)
{
	struct moment now = lease_now(lease);

	return !asks_for_all(lease, now.monotonic_ms) && !moment_passed(until, now) &&
	       !lease_rules_look_due(lease->rules, now.monotonic_ms);
}

bool lease_is_fresh(const struct lease *lease, int64_t realtime_ms)
{
	struct moment renew = load(&lease->renew_monotonic_ms, &lease->renew_realtime_ms);
	const struct clock *clock = lease->rules->clock;
	int64_t monotonic_ms = clock->monotonic_ms(clock->state);

	return lease_asks_ahead(lease) && realtime_ms < renew.realtime_ms &&
	       monotonic_ms < renew.monotonic_ms && !asks_for_all(lease, monotonic_ms) &&
	       !lease_rules_look_due(lease->rules, monotonic_ms);
}

/* A reader may see the new moment of one clock and the old one of the other. That is never
 * later than both allow, since each clock alone ends a lease. */
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

/* Among those for which the canary is asked. */
static void join(struct lease *lease, struct moment renew, struct moment end)
{
	struct lease_window *window = lease->window;
	bool first = false;

	if (lease->counted != window) {
		lease_leave_window(lease);
		lease->counted = window;
		first = window != NULL && atomic_fetch_add(&window->leases, 1) == 0;
	}
	/* Where these conditions do not hold, each key asks for itself. A lease that is due for
	 * renewal is not added: its next use renews it, and otherwise the canary, which may be
	 * in flight, would be asked once too often. */
	if (window != NULL && lease->rules->zone_lease_ms > 0 && lease_asks_ahead(lease) &&
	    !moment_passed(renew, lease_now(lease)))
		lease_window_add(window, first, moment_earlier(renew, end).monotonic_ms,
				 end.monotonic_ms);
}

void lease_count(struct lease *lease, struct moment renew)
{
	struct moment end = moment_after(lease->yes, lease->yes_ms);

	if (lease->rules->zone_lease_ms > 0)
		end = moment_earlier(end,
				     moment_after(lease->brought, lease->rules->zone_lease_ms));
	lease_set(lease, renew, end);
	join(lease, renew, end);
	lease->keep = lease->stale_ms > 0
			      ? moment_newer(end, moment_after(lease->yes, lease->stale_ms))
			      : end;
	lease_rules_wipe_at(lease->rules, lease->keep);
}

/* --- Answers */

struct answer {
	enum zone_status status;
	bool vouched;	     /* by the root key; the lease's own keys stay */
	struct moment asked; /* when the request was sent; a failure: when it was known */
	struct moment renew; /* vouched */
	struct lease_bounds bounds;
	struct lease_keys *keys; /* brought */
};

static void answer_clear(struct answer *answer)
{
	secret_free(answer->keys);
}

static enum zone_status grant(struct lease *lease, struct answer *answer)
{
	struct moment end;

	if (!answer->vouched) {
		bind_to(lease, &answer->bounds);
		answer->renew = lease_rules_ahead(lease->rules, answer->asked, lease->yes_ms);
	}
	end = moment_after(answer->asked, lease->yes_ms);
	/* An answer that took longer than the lease it brings is as good as none. */
	if (moment_passed(end, lease_now(lease)))
		return lease_hold_out(lease, ZONE_KMS_UNAVAILABLE, lease_now(lease));
	if (!answer->vouched) {
		secret_free(lease->keys);
		lease->keys = TAKE(answer->keys);
		lanes_open(&lease->lanes);
		lease->brought = lease->yes = answer->asked;
		lease->itself =
			lease_rules_ahead(lease->rules, answer->asked, lease->rules->zone_lease_ms);
	}
	lease->yes = moment_newer(lease->yes, answer->asked);
	lease->denied = ZONE_OK;
	lease_count(lease, answer->renew);
	return ZONE_OK;
}

static enum zone_status settle(struct lease *lease, struct answer *answer)
{
	if (zone_status_is_no(answer->status)) {
		lease_remember(lease, answer->status);
		return answer->status;
	}
	if (lease->overruled != ZONE_OK)
		return lease->overruled;
	if (answer->status == ZONE_OK)
		return grant(lease, answer);
	return lease_hold_out(lease, answer->status, answer->asked);
}

/* --- Asking */

static void ask_itself(struct lease *lease, struct answer *answer)
{
	answer->vouched = false;
	answer->status = ZONE_NO_MEMORY;
	answer->asked = lease_now(lease);
	answer->keys = secret_new(sizeof(*answer->keys));
	if (answer->keys != NULL)
		answer->status =
			lease->source->bring(lease->state, &answer->bounds, answer->keys->ezk);
	if (answer->status != ZONE_OK)
		answer->asked = lease_now(lease);
}

/* A key that is here need not be brought again, if its root key says yes. False: somebody else is
 * asking that. */
static bool ask_above(struct lease *lease, enum vouch_how how, int64_t yes_ms,
		      struct answer *answer)
{
	struct voucher voucher = {0};
	enum vouch said = lease->source->vouch(lease->state, how, yes_ms, &voucher);

	if (said == VOUCH_ASK_ITSELF)
		ask_itself(lease, answer);
	else
		*answer = (struct answer){
			.status = said == VOUCH_YES ? ZONE_OK : voucher.outage,
			.vouched = said == VOUCH_YES,
			.asked = voucher.asked,
			.renew = voucher.renew,
		};
	return said != VOUCH_BUSY;
}

/* While the root key was asked, the key went, or the root key's yes ceased to count. */
static bool is_worthless(const struct lease *lease, const struct answer *answer)
{
	if (answer->status != ZONE_OK || lease->overruled != ZONE_OK)
		return false;
	return answer->vouched ? lease->keys == NULL || lease->doubted : lease->anew;
}

/* Called and left with the lock held, which is open meanwhile. */
static bool ask(struct lease *lease, enum vouch_how how, struct answer *answer)
{
	bool above = lease->keys != NULL && lease_may_go_on(lease);
	int64_t yes_ms = lease->yes_ms;
	bool asked = true;

	if (moment_passed(lease->itself, lease_now(lease)))
		how = VOUCH_ITSELF;
	pthread_mutex_unlock(&lease->lock);
	if (above)
		asked = ask_above(lease, how, yes_ms, answer);
	else
		ask_itself(lease, answer);
	pthread_mutex_lock(&lease->lock);
	return asked;
}

/* A request that was none: the lease is looked at again soon. */
static void take_back(struct lease *lease)
{
	struct moment soon = moment_after(lease_now(lease), BUSY_MS);

	lease->sent--;
	lease_set(lease, soon, end_of(lease));
}

/* Called and left with the lock held, which is open while the KMS is asked. False: nobody was
 * asked. */
static bool ask_once(struct lease *lease, enum vouch_how how)
{
	AUTO(answer_clear) struct answer answer = {0};
	bool asked;

	lease->sent++;
	lease->overruled = ZONE_OK;
	lease->doubted = lease->anew = false;
	/* Meanwhile the others go on to the end by the short way. */
	lease_hold_on(lease);
	asked = ask(lease, how, &answer);
	while (asked && is_worthless(lease, &answer)) {
		answer_clear(&answer);
		answer.keys = NULL;
		lease->anew = false;
		ask(lease, VOUCH_ITSELF, &answer);
	}
	if (asked) {
		lease->answer = settle(lease, &answer);
		lease_note(lease, lease->answer);
		lease->received++;
	} else {
		take_back(lease);
	}
	if (lease->keys == NULL)
		lease_leave(lease);
	pthread_cond_broadcast(&lease->answered);
	return asked;
}

/* The number of the request whose answer also serves a thread that comes now: the one in
 * flight, except where every operation needs its own. */
static uint64_t request_needed(const struct lease *lease)
{
	return lease_in_flight(lease) && lease_asks_ahead(lease) ? lease->sent : lease->sent + 1;
}

static enum zone_status refusal(struct lease *lease)
{
	enum zone_status no = lease_refusal(lease);

	if (no == ZONE_OK)
		no = lease->source->refusal(lease->state);
	if (no != ZONE_OK)
		lease_note(lease, no);
	return no;
}

/* The request in flight may take its whole time. */
static enum zone_status silence(struct lease *lease)
{
	enum zone_status why = ZONE_OK;

	if (lease->source->silence != NULL && !lease_may_go_on(lease))
		why = lease->source->silence(lease->state);
	if (why != ZONE_OK)
		lease_note(lease, why);
	return why;
}

static enum zone_status ask_or_wait(struct lease *lease)
{
	uint64_t needed = request_needed(lease);

	while (lease->received < needed) {
		TRY(refusal(lease));
		if (!lease_in_flight(lease)) {
			ask_once(lease, VOUCH_WAIT);
			continue;
		}
		TRY(silence(lease));
		pthread_cond_wait(&lease->answered, &lease->lock);
	}
	return lease->answer;
}

/* Ahead of the end, by one thread; it alone learns a no at once. */
static enum zone_status refresh(struct lease *lease)
{
	if (lease_in_flight(lease) || is_fresh(lease, renewal_of(lease)))
		return ZONE_OK;
	TRY(refusal(lease));
	return ask_once(lease, VOUCH_ASK) ? lease->answer : ZONE_OK;
}

static enum zone_status renew(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	if (!lease_asks_ahead(lease))
		return ask_or_wait(lease);
	if (lease_runs(lease) || lease_prolong(lease))
		return refresh(lease);
	return ask_or_wait(lease);
}

static void look(struct lease *lease)
{
	if (lease->source->look != NULL &&
	    lease_rules_look_due(lease->rules, lease_now(lease).monotonic_ms))
		lease->source->look(lease->state);
}

static enum zone_status renew_or_say(struct lease *lease,
				     struct moment (*until)(const struct lease *))
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	unsigned reasons = log_reasons();
	enum zone_status status;

	look(lease);
	if (until != NULL && is_fresh(lease, until(lease)))
		return ZONE_OK;
	status = renew(lease);
	lease_tell(lease);
	if (status != ZONE_OK && log_reasons() == reasons)
		lease->source->say(lease->state, status);
	return status;
}

/* Until when a further use needs nobody; where every operation asks, one that goes on goes by the
 * yes that it has. */
enum zone_status lease_begin(struct lease *lease)
{
	if (!lease_asks_ahead(lease))
		return renew_or_say(lease, NULL);
	return goes_on(lease, renewal_of(lease)) ? ZONE_OK : renew_or_say(lease, renewal_of);
}

enum zone_status lease_continue(struct lease *lease)
{
	struct moment (*until)(const struct lease *) =
		lease_asks_ahead(lease) ? renewal_of : end_of;

	return goes_on(lease, until(lease)) ? ZONE_OK : renew_or_say(lease, until);
}
