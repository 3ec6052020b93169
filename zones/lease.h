/*
 * A lease: how long one decrypted EZK may be used, and who asks for the next. It knows time,
 * flights and refusals; whom to ask is its owner's business. Plaintext is there only while a lease
 * runs, in locked memory, and goes with it.
 *
 * Time is the earlier of two clocks (base/clock.h), counted from the start of the request that
 * brought the key. One request is in flight however many threads wait, and all of them get its
 * answer. Nothing is locked meanwhile.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "zones/derive.h"

/* An operation under way runs this long on its yes where lease_seconds is 0. */
enum { OPERATION_SECONDS = 60 };

/* What all leases of a process share. */
struct lease_rules {
	const struct clock *clock;
	unsigned lease_seconds; /* 0: each operation needs a request sent after it began */
	unsigned deny_seconds;
	/* The first moment at which some plaintext is to be wiped, on either clock. */
	_Atomic int64_t wipe_monotonic_ms;
	_Atomic int64_t wipe_realtime_ms;
};
void lease_rules_init(struct lease_rules *rules, const struct clock *clock, unsigned lease_seconds,
		      unsigned deny_seconds);

/* The EZK and what was derived from it so far; lies in locked memory. */
struct lease_keys {
	uint8_t ezk[EZK_SIZE];
	uint8_t derived[EZK_PURPOSE_COUNT][EZK_SIZE];
	bool has[EZK_PURPOSE_COUNT];
};

struct lease {
	/* The end, on both clocks; written under the lock, read without it. */
	_Atomic int64_t ends_monotonic_ms;
	_Atomic int64_t ends_realtime_ms;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t answered;
	struct lease_keys *keys;    /* NULL: none; may be there a little longer than the lease */
	uint64_t sent;		    /* requests, so far */
	uint64_t received;	    /* answers; one less than `sent` while one is in flight */
	enum zone_status answer;    /* the last */
	enum zone_status overruled; /* what became known while the request in flight was out */
	enum zone_status denied;    /* the last explicit no, and how long it is remembered */
	struct moment denied_until;
	enum zone_status barred; /* by the domain: fenced, awaits deletion, gone */
};

void lease_init(struct lease *lease);
void lease_clear(struct lease *lease); /* wipes */

/* Brings the EZK; called without a lock. */
typedef enum zone_status lease_ask(void *state, uint8_t ret_ezk[static EZK_SIZE]);

/* An operation begins, or goes on with a further part. Asks if need be; ZONE_OK, or why not. */
enum zone_status lease_begin(struct lease *lease, struct lease_rules *rules, lease_ask *ask,
			     void *state);
enum zone_status lease_continue(struct lease *lease, struct lease_rules *rules, lease_ask *ask,
				void *state);
/* One load of each clock and two of memory. */
bool lease_runs(const struct lease *lease, const struct clock *clock);

/* An explicit no, from wherever: ends the lease, wipes, is remembered, and overrules a yes that was
 * asked for before. */
void lease_deny(struct lease *lease, const struct lease_rules *rules, enum zone_status no);
/* The same by the domain's own rules, until it says ZONE_OK. */
void lease_bar(struct lease *lease, enum zone_status why);

/* Wipes what has ended, notes when to come again in the rules. True: nothing is left here that a
 * new lease of the same key would miss. */
bool lease_sweep(struct lease *lease, struct lease_rules *rules, struct moment now);
/* Is there something to wipe? */
bool lease_rules_due(const struct lease_rules *rules);
/* Before all leases are swept: they note anew what is next. */
void lease_rules_reset(struct lease_rules *rules);
