/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease: how long one decrypted EZK may be used, and who asks for more time. It knows time,
 * flights, refusals and outages; its owner knows whom to ask. Plaintext is there only while a lease
 * runs (and, where coasting is allowed, may come to run again), in locked memory, and goes with it.
 * docs/leases.md is the same for users.
 *
 * Time is the earlier of two clocks (base/clock.h), counted from the start of the request that
 * brought a yes. One request is in flight however many threads wait, and all of them get its
 * answer. Nothing is locked meanwhile. The first thread that uses a lease in its last part renews
 * it, while others go on with what is left; and the first thread that uses any lease below a root
 * key when that is to be asked (zones/ezk/lease_window.h), has that asked for all.
 */
#pragma once

#include "zones/ezk/lanes.h"
#include "zones/ezk/lease_rules.h"
#include "zones/ezk/lease_window.h"
#include "zones/model/derive.h"

#include <pthread.h>
#include <stdatomic.h>

/* The EZK and what was derived from it so far; lies in locked memory. */
struct lease_keys {
	uint8_t ezk[EZK_SIZE];
	uint8_t derived[EZK_PURPOSE_COUNT][EZK_SIZE];
	bool has[EZK_PURPOSE_COUNT];
};

struct lease_source;

struct lease {
	struct lease_rules *rules;
	const struct lease_source *source; /* asks for it, with its own state */
	void *state;
	/* Those of the rules, as far as the key's record allows; written under the lock. */
	_Atomic int64_t lease_ms;
	int64_t yes_ms, stale_ms;
	/* From when on who uses it renews it, and the end, on both clocks; written under the lock,
	 * read without it. */
	_Atomic int64_t renew_monotonic_ms;
	_Atomic int64_t renew_realtime_ms;
	_Atomic int64_t ends_monotonic_ms;
	_Atomic int64_t ends_realtime_ms;
	_Atomic(struct lease_window *) window; /* of what vouches for it; NULL: nothing does */
	/* A line of the cache, so that who only looks is not in the way of who takes the lock. */
	uint8_t apart[64];
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t answered;
	struct lease_window *counted; /* the window that has this lease among its own */
	struct lease_keys *keys;      /* NULL: none; may be there a little longer than the lease */
	struct moment brought;	      /* when the request was sent that brought the keys */
	struct moment itself;	      /* from then on renewals ask the key itself */
	struct moment yes;	      /* when the request was sent that the newest yes answered */
	struct moment keep;	      /* the keys are wiped then */
	uint64_t sent;		      /* requests, so far */
	uint64_t received;	      /* answers; one less than `sent` while one is in flight */
	enum zone_status answer;      /* the last */
	enum zone_status overruled;   /* what became known while the request in flight was out */
	bool anew;		      /* and that what it brings is to be asked again */
	bool doubted;		      /* and that what stands for the key does so no more */
	enum zone_status denied;      /* the last explicit no, and how long it is remembered */
	struct moment denied_until;
	enum zone_status barred; /* by the domain: fenced, awaits deletion, gone */
	enum zone_status out;	 /* why it gives no use; ZONE_OK: nothing is known against it */
	enum zone_status told;	 /* the same, as the source was told last */
	bool telling;
	bool was_leased; /* ever, or since it was barred */
	uint8_t beyond[64];
	struct lanes lanes; /* of values, which are hidden when the keys go; has locks of its own */
};

/* What becomes of a lease, for the code that logs it. */
enum lease_event {
	LEASE_ENDED,   /* it was there, and ended by a no, or could not be renewed */
	LEASE_REFUSED, /* there was none to end; or it was out, and there is a no of another kind */
	LEASE_RECOVERED /* the first yes after either */
};

/* What the root key above a key says for it. */
enum vouch {
	VOUCH_YES,
	VOUCH_ASK_ITSELF, /* it says nothing: the key must be asked itself */
	VOUCH_BUSY,	  /* somebody is asking it */
	VOUCH_OUTAGE	  /* it can't be reached */
};
enum vouch_how {
	VOUCH_KNOWN,  /* by what is known; no KMS */
	VOUCH_ITSELF, /* the key's own turn: nothing, or an outage that is known; no KMS */
	VOUCH_ASK,    /* asks the KMS, but does not wait for another's request */
	VOUCH_WAIT
};
struct voucher {
	struct moment asked; /* when the yes was asked for; when it was found out of reach */
	struct moment renew; /* when to renew it */
	enum zone_status outage;
};

/* Whom a lease asks. */
struct lease_source {
	/* Brings the key by its own Decrypt, and how long its record, which was found good, lets a
	 * yes last. KMS; called without a lock. */
	enum zone_status (*bring)(void *state, struct lease_bounds *ret_bounds,
				  uint8_t ret_ezk[static EZK_SIZE]);
	/* A yes is good for `yes_ms` here. VOUCH_KNOWN is called with the lease's lock held. */
	enum vouch (*vouch)(void *state, enum vouch_how how, int64_t yes_ms,
			    struct voucher *ret_voucher);
	/* A no that is remembered above the key, or ZONE_OK; with the lease's lock held. */
	enum zone_status (*refusal)(void *state);
	/* A request of another thread, or an earlier one, is why this operation fails: gives this
	 * thread a reason (log_reason). Called without a lock. */
	void (*say)(void *state, enum zone_status why);
	/* Once for each change, in their order; `why` of LEASE_RECOVERED is ZONE_OK. Called without
	 * a lock. */
	void (*tell)(void *state, enum lease_event event, enum zone_status why);
	/* Is the KMS silent at this moment (kms/silence.h), and why? Then a caller without a lease
	 * fails at once and does not wait for the caller whose request is in flight. Called with
	 * the lease's lock held; NULL: it never is. */
	enum zone_status (*silence)(void *state);
	/* Looks into the store, for lease_rules_look_due(): an operation under way may have many
	 * parts, and nobody else to look meanwhile. Called without a lock; NULL: there is none. */
	void (*look)(void *state);
};

void lease_init(struct lease *lease, struct lease_rules *rules, const struct lease_source *source,
		void *state);
void lease_clear(struct lease *lease); /* wipes */
/* What its record says of leases, before the key is brought for the first time: until then nothing
 * but the rules bounds them. What a key brings along counts from there on. */
void lease_expect(struct lease *lease, const struct lease_bounds *bounds);

/* An operation begins, or goes on with a further part. Asks if need be; ZONE_OK, or why not. */
enum zone_status lease_begin(struct lease *lease);
enum zone_status lease_continue(struct lease *lease);
/* The window of the canary that vouches for it; NULL: none does. It outlives the lease's keys. */
void lease_rest_on(struct lease *lease, struct lease_window *window);
/* One load of each clock and two of memory. */
bool lease_runs(const struct lease *lease);
/* Runs and need not be renewed, so that lease_begin() and lease_continue() have nothing to do, by a
 * real time that was just read and the other clock, which is loaded. Never where each operation
 * asks. */
bool lease_is_fresh(const struct lease *lease, int64_t realtime_ms);

/* An explicit no: ends the lease, wipes, is remembered, and overrules a yes that was asked for
 * before. The lease's own requests do this by themselves; tests do it by this. */
void lease_deny(struct lease *lease, enum zone_status no);
/* The same where the no is remembered above. ZONE_OK: what the key itself says in a request under
 * way still counts. */
void lease_end(struct lease *lease, enum zone_status no);
/* The same by the domain's own rules, until it says ZONE_OK. True: its keys were here, and went. */
bool lease_bar(struct lease *lease, enum zone_status why);
bool lease_is_barred(struct lease *lease);
/* Tells the source what changed since it was told last. For a caller of one of lease_end,
 * lease_deny or lease_sweep, after it let go of its locks; lease_begin and lease_continue do so
 * themselves. */
void lease_tell(struct lease *lease);
bool lease_has_news(struct lease *lease);
/* Is there a no or a failure that only a yes takes back? */
bool lease_is_out(struct lease *lease);
/* What stood for the key does so no more: what is left is its own yes. */
void lease_doubt(struct lease *lease);
/* The next renewal asks the key itself. */
void lease_ask_itself(struct lease *lease);

/* Wipes what has ended, unless it goes on by what is known above; notes when to come again in the
 * rules. True: nothing is left here that a new lease of the same key would miss. */
bool lease_sweep(struct lease *lease, struct moment now);
