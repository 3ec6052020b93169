/*
 * The live EZKs of a process: one for each version of a zone that is in use, with or without its
 * plaintext. Struct zones owns it; only for files of zones/.
 *
 * Locks: the registry's, then a lease's; both for moments, neither while the KMS is asked.
 */
#pragma once

#include "zones/entry.h"
#include "zones/lease.h"

struct ezks;

/* `zones` (borrowed) has settings, clock, clients and, for log lines, the names of projects.
 * Touches nothing else. */
enum zone_status ezks_new(struct zones *zones, struct ezks **ret_ezks);
/* Every struct ezk must have been released before; wipes every key. No random, no fetch, no
 * network. Accepts NULL. */
void ezks_free(struct ezks *ezks);
/* In a fork's child: the key pages read as zeros there, and nothing is touched. */
void ezks_abandon(struct ezks *ezks);

/*
 * The index has a newer state of a zone, by an own change or by a look into the store. Its live
 * EZKs follow: one that is fenced, awaits deletion or is gone with its zone or its project
 * (`removed`: only the uid is looked at) ends at once, wherever it is used; one that was restored
 * may be asked for again. Not to be called with zones->lock held.
 */
void ezks_changed(struct ezks *ezks, const struct entry *zone, bool removed);

/* --- For ezk.c */

/* Where a zone comes from; uids of the two do not meet. */
enum ezk_realm { EZK_OF_STORE, EZK_OF_SESSION, EZK_REALM_COUNT };

struct ezk {
	atomic_uint references; /* the registry's among them */
	struct ezks *ezks;
	enum ezk_realm realm;
	uint64_t zone;
	uint32_t version;
	struct lease lease;
	struct entry *entry; /* the newest that is known, held; lease.lock guards the pointer */
	struct ezk *next;    /* the next version of the same zone; the registry's lock guards it */
};

/* May a version of the zone be used? */
enum zone_status ezks_usable(const struct entry *zone, uint32_t version);
/* The live EZK, made if need be; held. */
enum zone_status ezks_live(struct ezks *ezks, enum ezk_realm realm, const struct entry *zone,
			   uint32_t version, struct ezk **ret_ezk);
struct zones *ezks_zones(struct ezks *ezks);
/* Wipes what has ended; asked for when lease_rules_due() says so. */
void ezks_wipe_ended(struct ezks *ezks);
struct lease_rules *ezks_rules(struct ezks *ezks);
