/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process knows of a project's root key: the yes of its canary, which stands for all
 * zones below it; a no that is remembered; whether it is out of reach. One canary is in flight
 * however many threads and zones wait. Only for files of zones/.
 *
 * Which yes extends which lease: the canary's extends every lease below its root key; a zone's own
 * extends its own alone, since what it shows may hold for that zone alone. Which no ends which: one
 * about the key (disabled, unusable, gone), from whatever was asked, ends all; one about a right
 * ends the lease that asked. A canary that is refused a right is no no: it only stops to vouch.
 */
#pragma once

#include "zones/ezk/lease.h"
#include "zones/model/entry.h"

#include <pthread.h>

/* By what it is known: the project's uid, then the ARN. */
struct root_name {
	size_t len;
	char text[UID_SIZE + KMS_ARN_MAX + 1]; /* with a NUL at its end */
};
void root_name_init(struct root_name *ret_name, struct uid project, const char *arn);

struct root_lease {
	struct uid project;
	const char *arn;
	struct bytes name;
	struct lease_window window;
	pthread_mutex_t lock; /* guards what follows; after a lease's, if both are held */
	pthread_cond_t answered;
	uint64_t sent;	   /* canaries, so far */
	uint64_t received; /* one less than `sent` while one is in flight */
	enum vouch answer; /* of the last: YES, ASK_ITSELF or OUTAGE */
	bool vouches;	   /* by the canary sent at `yes`, to be renewed at `renew` */
	struct moment yes;
	struct moment renew;
	bool refused; /* the canary is not asked until then */
	struct moment refused_until;
	enum zone_status no; /* about the key, and how long it is remembered */
	struct moment no_until;
	uint64_t no_count;	 /* so far: a yes asked for before one of them is dropped */
	enum zone_status outage; /* ZONE_OK: in reach; else it is looked at again then */
	struct moment out_since;
	struct moment out_until;
	bool was_heard; /* by the last yes, no of the key or outage; not while a right is lacking */
	struct root_key_finding heard;
};

struct root_lease *root_lease_new(const struct root_name *name); /* NULL: no memory */
void root_lease_free(struct root_lease *root);

/* Asks the canary; called without a lock. */
typedef enum zone_status root_lease_ask(void *state);
/* For a lease to which a yes is good for `yes_ms`, which is at most that of the rules: a yes that
 * it would have to renew already is asked for anew. ret_refused: set for the one caller whose
 * canary brought a refusal, who must tell all leases below; else ZONE_OK. */
enum vouch root_lease_vouch(struct root_lease *root, struct lease_rules *rules, enum vouch_how how,
			    int64_t yes_ms, root_lease_ask *ask, void *state,
			    struct voucher *ret_voucher, enum zone_status *ret_refused);

/* The no about the key that is remembered, or ZONE_OK. */
enum zone_status root_lease_refusal(struct root_lease *root, const struct lease_rules *rules);
uint64_t root_lease_no_count(struct root_lease *root);
/* What something else than the canary heard; `no_count`: before it asked. Answers the status, or a
 * no that came in its way. */
enum zone_status root_lease_hear(struct root_lease *root, struct lease_rules *rules,
				 uint64_t no_count, enum zone_status status);
/* The last that was heard at all; false: nothing yet, or only that somebody lacks a right. */
bool root_lease_heard(struct root_lease *root, struct root_key_finding *ret_finding);
/* What came of asking for nothing but its state; NULL: that could not be told. Changes no lease. A
 * no that was heard since no_count was taken is undone by another no alone. */
void root_lease_found(struct root_lease *root, uint64_t no_count,
		      const struct root_key_finding *finding);
