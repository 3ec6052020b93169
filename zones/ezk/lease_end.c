/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How leases end, and what keeps them from ending. */
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/ezk/lease_private.h"

#include <assert.h>

enum { SECOND_MS = 1000 };

/* Not more often than once a second, since all leases are looked at. */
static struct moment next_look(struct moment wanted, struct moment now)
{
	struct moment soon = moment_after(now, SECOND_MS);

	return (struct moment){
		wanted.monotonic_ms > soon.monotonic_ms ? wanted.monotonic_ms : soon.monotonic_ms,
		wanted.realtime_ms > soon.realtime_ms ? wanted.realtime_ms : soon.realtime_ms,
	};
}

void lease_leave(struct lease *lease)
{
	struct moment now = lease_now(lease);

	lease_rules_wipe_at(lease->rules,
			    next_look(lease->denied == ZONE_OK ? now : lease->denied_until, now));
}

static void end_now(struct lease *lease)
{
	const struct moment never = {0};

	lease_set(lease, never, never);
	lease_leave_window(lease);
	if (lease->keys != NULL) {
		lease_hide_values(lease);
		atomic_fetch_add(&lease->rules->news, 1);
	}
	secret_free(lease->keys);
	lease->keys = NULL;
	lease_leave(lease);
}

/* --- A no */

void lease_remember(struct lease *lease, enum zone_status no)
{
	lease->denied = no;
	lease->denied_until = moment_after(lease_now(lease), lease->rules->deny_ms);
	end_now(lease);
}

enum zone_status lease_refusal(const struct lease *lease)
{
	if (lease->barred != ZONE_OK)
		return lease->barred;
	if (lease->denied != ZONE_OK && !moment_passed(lease->denied_until, lease_now(lease)))
		return lease->denied;
	return ZONE_OK;
}

void lease_deny(struct lease *lease, enum zone_status no)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	assert(zone_status_is_no(no));
	lease_remember(lease, no);
	lease_note(lease, no);
	lease->overruled = no;
}

void lease_end(struct lease *lease, enum zone_status no)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	if (no != ZONE_OK && lease->keys != NULL)
		lease_note(lease, no);
	end_now(lease);
	lease->anew = true;
	if (no != ZONE_OK)
		lease->overruled = no;
}

bool lease_bar(struct lease *lease, enum zone_status why)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);
	bool was_here = lease->keys != NULL;

	lease->barred = why;
	if (why == ZONE_OK)
		return false;
	/* What the KMS says does not matter any more. */
	lease->out = lease->told = ZONE_OK;
	lease->was_leased = false;
	end_now(lease);
	lease->overruled = why;
	return was_here;
}

bool lease_is_barred(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	return lease->barred != ZONE_OK;
}

/* --- What is reported about it */

/* After a no or a failure, silence says nothing new; a no does. */
void lease_note(struct lease *lease, enum zone_status status)
{
	if (lease->barred != ZONE_OK)
		return;
	if (status == ZONE_OK)
		lease->was_leased = true;
	if (status == ZONE_OK || lease->out == ZONE_OK || zone_status_is_no(status))
		lease->out = status;
}

static enum lease_event event_of(const struct lease *lease)
{
	if (lease->out == ZONE_OK)
		return LEASE_RECOVERED;
	return lease->told == ZONE_OK && lease->was_leased ? LEASE_ENDED : LEASE_REFUSED;
}

/* With the lock held, which is open meanwhile. */
static void tell_once(struct lease *lease)
{
	enum lease_event event = event_of(lease);
	enum zone_status why = lease->out;

	lease->told = why;
	lease->telling = true;
	pthread_mutex_unlock(&lease->lock);
	lease->source->tell(lease->state, event, why);
	pthread_mutex_lock(&lease->lock);
	lease->telling = false;
}

void lease_tell(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	/* The thread that reports also reports what came meanwhile. */
	while (!lease->telling && lease->out != lease->told)
		tell_once(lease);
}

bool lease_has_news(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	return lease->out != lease->told;
}

bool lease_is_out(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	return lease->out != ZONE_OK || lease->told != ZONE_OK;
}

/* --- Silence */

static bool may_coast(const struct lease *lease, struct moment now)
{
	struct moment limit = moment_after(lease->yes, lease->stale_ms);

	return lease->stale_ms > 0 && lease->keys != NULL && !moment_passed(limit, now);
}

static bool is_running(const struct lease *lease)
{
	return lease_asks_ahead(lease) && lease_runs(lease);
}

bool lease_may_go_on(const struct lease *lease)
{
	return is_running(lease) || (lease_asks_ahead(lease) && may_coast(lease, lease_now(lease)));
}

/* But for the hard end. */
static struct moment within_limit(const struct lease *lease, struct moment moment)
{
	return moment_earlier(moment_after(lease->yes, lease->stale_ms), moment);
}

void lease_hold_on(struct lease *lease)
{
	struct moment now = lease_now(lease);
	struct moment end = {lease->ends_monotonic_ms, lease->ends_realtime_ms};

	if (is_running(lease) && may_coast(lease, now))
		end = moment_newer(end,
				   within_limit(lease, moment_after(now, lease->rules->call_ms)));
	lease_set(lease, end, end);
}

/* An outage is believed for a while; then the KMS is asked again, so that no lease coasts past
 * a no that could have come by now. Until that request can have failed, the outage counts. */
enum zone_status lease_hold_out(struct lease *lease, enum zone_status why, struct moment since)
{
	struct moment now = lease_now(lease);
	struct moment end = {lease->ends_monotonic_ms, lease->ends_realtime_ms};
	bool coasts = zone_status_is_outage(why) && may_coast(lease, now);

	if (!is_running(lease) && !coasts)
		return why;
	if (coasts) {
		struct moment far =
			within_limit(lease, moment_after(since, lease->rules->outage_ms +
									lease->rules->call_ms));

		end = is_running(lease) ? moment_newer(end, far) : far;
	}
	lease_set(lease, lease_rules_again(lease->rules, since), end);
	return moment_passed(end, now) ? why : ZONE_OK;
}

/* --- What stands for the key */

void lease_doubt(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	lease->doubted = true;
	if (lease->keys == NULL || lease->yes.monotonic_ms == lease->brought.monotonic_ms)
		return;
	lease->yes = lease->brought;
	lease_count(lease, lease_rules_ahead(lease->rules, lease->yes, lease->yes_ms));
}

void lease_ask_itself(struct lease *lease)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	lease->itself = (struct moment){0};
	lease->anew = true;
}

bool lease_prolong(struct lease *lease)
{
	struct voucher voucher;

	if (lease->keys == NULL || !lease_asks_ahead(lease) ||
	    moment_passed(lease->itself, lease_now(lease)) ||
	    lease->source->vouch(lease->state, VOUCH_KNOWN, lease->yes_ms, &voucher) != VOUCH_YES)
		return false;
	lease->yes = moment_newer(lease->yes, voucher.asked);
	lease_count(lease, voucher.renew);
	if (!lease_runs(lease))
		return false;
	lease_note(lease, ZONE_OK);
	return true;
}

/* --- Wiping */

/* Not to be looked at again: one that is barred, which is not a matter of time. */
static bool waits_for_time(const struct lease *lease)
{
	return lease->barred == ZONE_OK && lease_refusal(lease) != ZONE_OK;
}

bool lease_sweep(struct lease *lease, struct moment now)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);

	if (lease->keys != NULL && moment_passed(lease->keep, now) && !lease_prolong(lease) &&
	    moment_passed(lease->keep, now))
		end_now(lease);
	if (lease->keys != NULL)
		lease_rules_wipe_at(lease->rules, next_look(lease->keep, now));
	else if (waits_for_time(lease))
		lease_leave(lease);
	return lease->keys == NULL && !lease_in_flight(lease) && lease_refusal(lease) == ZONE_OK;
}
