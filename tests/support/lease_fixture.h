/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A lease alone: a clock that stands still, and an oracle in place of the KMS and of the root key's
 * canary. */
#pragma once

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/fake_clock.h"
#include "tests/support/unit.h"
#include "zones/ezk/lease.h"

#include <stdio.h>
#include <unistd.h>

/* Leases are renewed in the last quarter, but not in the last twentieth. */
enum {
	LEASE_SECONDS = 300,
	NOT_YET = LEASE_SECONDS * 3 / 4 - 1,
	SURELY = LEASE_SECONDS * 19 / 20 + 1,
	STALE_SECONDS = 3600,
	DENY_SECONDS = 5,
	THREADS = 64
};

/* What the leases of these tests ask. */
struct oracle {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned asked;
	bool held; /* requests wait until it is false */
	enum zone_status answer;
	struct fake_clock *clock;
	int64_t takes_ms;
	enum vouch says, known, itself;
	struct voucher voucher;
	unsigned vouched;
	void (*meanwhile)(struct oracle *oracle);
	struct lease *lease;
	struct lease_rules *rules;
	enum zone_status refusal;
	/* While the key itself is brought. */
	void (*while_brought)(struct oracle *oracle);
	struct lease_bounds bounds; /* the record's; never reached */
	int64_t yes_ms;		    /* what the root key was told last that a yes is good for */
	char told[1024];
};

struct fixture {
	struct fake_clock clock;
	struct lease_rules rules;
	struct lease lease;
	struct oracle oracle;
};

static inline enum zone_status bring(void *state, struct lease_bounds *ret_bounds,
				     uint8_t ret_ezk[static EZK_SIZE])
{
	struct oracle *oracle = state;
	AUTO(unlockp) pthread_mutex_t *lock = locked(&oracle->lock);

	oracle->asked++;
	pthread_cond_broadcast(&oracle->changed);
	while (oracle->held)
		pthread_cond_wait(&oracle->changed, lock);
	fake_clock_advance(oracle->clock, oracle->takes_ms);
	if (oracle->while_brought != NULL)
		oracle->while_brought(oracle);
	memset(ret_ezk, 'k', EZK_SIZE);
	*ret_bounds = oracle->bounds;
	return oracle->answer;
}

/* The root key above: what it says, and how often it was asked. */
static inline enum vouch vouch(void *state, enum vouch_how how, int64_t yes_ms,
			       struct voucher *ret_voucher)
{
	struct oracle *oracle = state;
	enum vouch said = how == VOUCH_KNOWN	? oracle->known
			  : how == VOUCH_ITSELF ? oracle->itself
						: oracle->says;

	if (how == VOUCH_ASK || how == VOUCH_WAIT) {
		oracle->vouched++;
		if (oracle->meanwhile != NULL)
			oracle->meanwhile(oracle);
	}
	oracle->yes_ms = yes_ms;
	*ret_voucher = oracle->voucher;
	return said;
}

static inline enum zone_status refusal(void *state)
{
	return ((struct oracle *)state)->refusal;
}

static void say(void *state, enum zone_status why)
{
	(void)state;
	log_reason("%s", zone_status_text(why));
}

/* What was told, newest last: "ended: the key is disabled\n" */
static void tell(void *state, enum lease_event event, enum zone_status why)
{
	static const char *const names[] = {"ended", "refused", "recovered"};
	struct oracle *oracle = state;
	size_t len;

	pthread_mutex_lock(&oracle->lock);
	len = strlen(oracle->told);
	snprintf(oracle->told + len, sizeof(oracle->told) - len, "%s: %s\n", names[event],
		 zone_status_text(why));
	pthread_mutex_unlock(&oracle->lock);
}

static const struct lease_source source = {bring, vouch, refusal, say, tell};

static inline void hold(struct oracle *oracle, bool held)
{
	pthread_mutex_lock(&oracle->lock);
	oracle->held = held;
	pthread_cond_broadcast(&oracle->changed);
	pthread_mutex_unlock(&oracle->lock);
}

static inline void wait_until_asked(struct oracle *oracle, unsigned times)
{
	pthread_mutex_lock(&oracle->lock);
	while (oracle->asked < times)
		pthread_cond_wait(&oracle->changed, &oracle->lock);
	pthread_mutex_unlock(&oracle->lock);
}

static inline void start_with(struct fixture *f, struct lease_settings settings)
{
	memset(f, 0, sizeof(*f));
	fake_clock_init(&f->clock);
	settings.deny_seconds = DENY_SECONDS;
	lease_rules_init(&f->rules, &f->clock.clock, &settings);
	lease_init(&f->lease, &f->rules, &source, &f->oracle);
	f->oracle.lease = &f->lease;
	f->oracle.rules = &f->rules;
	f->oracle.bounds = (struct lease_bounds){LEASE_BOUND_MAX, LEASE_BOUND_MAX};
	f->oracle.says = f->oracle.known = f->oracle.itself = VOUCH_ASK_ITSELF;
	pthread_mutex_init(&f->oracle.lock, NULL);
	pthread_cond_init(&f->oracle.changed, NULL);
	f->oracle.clock = &f->clock;
}

static inline void start(struct fixture *f, unsigned lease_seconds)
{
	start_with(f, (struct lease_settings){.lease_seconds = lease_seconds});
}

static inline int set_up(void **state)
{
	*state = malloc(sizeof(struct fixture));
	start(*state, LEASE_SECONDS);
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	lease_clear(&f->lease);
	free(f);
	return 0;
}

static inline enum zone_status begin(struct fixture *f)
{
	return lease_begin(&f->lease);
}

static inline enum zone_status go_on(struct fixture *f)
{
	return lease_continue(&f->lease);
}

static inline bool sweep(struct fixture *f)
{
	lease_rules_reset(&f->rules);
	return lease_sweep(&f->lease, clock_now(&f->clock.clock));
}

static inline void seconds_pass(struct fixture *f, int64_t seconds)
{
	fake_clock_advance(&f->clock, seconds * 1000);
}
