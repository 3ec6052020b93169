/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live EZKs of a process: one for each version of a zone that is in use, with or without its
 * plaintext. Whoever has the zones owns it, and hands in what it asks of them; only for files of
 * zones/.
 *
 * Locks: the registry's, then a lease's, then its lanes' or a root key's; all for moments, none
 * while the KMS is asked.
 */
#pragma once

#include "zones/ezk/ezk.h"
#include "zones/ezk/root_lease.h"

/* What stands against the use of a version of a zone (zones/domain/standing.h), by numbers alone.
 */
typedef enum zone_status registry_standing(void *state, uint64_t zone, uint32_t version);
/*
 * What live EZKs see of the domain that has their zones. Called without a lock of the registry or
 * of a lease. Nothing of it is asked while a lease runs, but for `refresh`, once a second, and
 * in the lease's last part `project` and `ask_canary`.
 */
struct domain_view {
	void *state;
	/* A project that is here, held; NULL: it is not. */
	struct entry *(*project)(void *state, struct uid uid);
	registry_standing *standing;
	/* The same of one row of the store, by its own name as well. */
	enum zone_status (*standing_of_row)(void *state, const struct entry *row);
	/* If `why` is such a word, or ZONE_ROOT_KEY_REFUSED: gives the thread that as its reason
	 * (log_reason), with what to do about it. False: it is none of those. */
	bool (*explain)(void *state, uint64_t zone, uint32_t version, enum zone_status why);
	struct zone_title (*title)(void *state, uint64_t zone);
	/* Looks into the store, if that is due. ZONE_STORE_…. */
	enum zone_status (*refresh)(void *state);
	/* KMS: decrypts the canary of the project's root key, by that key or a related one.
	 * ZONE_NOT_FOUND: it has none. */
	enum zone_status (*ask_canary)(void *state, struct uid project, const char *arn);
	/* A wrap of this version was opened, and its MAC found good, that is not active yet
	 * (zones/model/wraps.h): notes so in the store, if this process may write it. NULL: there
	 * is no store. */
	void (*proven)(void *state, const struct entry *zone, const struct ezk_version *version,
		       const struct wrap *wrap);
	/* Is it one of the project's root keys? Of a record set of two owners both must be. NULL:
	 * none is known. */
	bool (*has_root_key)(void *state, struct uid project, const char *arn);
	/* Before `standing` is asked of a zone: makes known what the store has of it, if this
	 * process knows but part of the store. ZONE_STORE_…: that can't be found out. Called
	 * without a lock. NULL: all is known. */
	enum zone_status (*know)(void *state, uint64_t zone);
};

struct registry_settings {
	struct lease_settings lease;
	const struct clock *clock;
	struct kms_clients *clients;
	struct domain_view domain;
};
/* The settings are copied; what they point to is borrowed, and touched by no call here. */
enum zone_status registry_new(const struct registry_settings *settings,
			      struct registry **ret_registry);
/* Every struct ezk must have been released before; wipes every key. No random, no fetch, no
 * network. Accepts NULL. */
void registry_free(struct registry *registry);
/* In a fork's child: the key pages read as zeros there, and nothing is touched. */
void registry_abandon(struct registry *registry);

/*
 * The index has a newer state of a zone, by an own change or by a look into the store. Its live
 * EZKs follow: one that is fenced, or that something stands against (`why`: standing.h, or
 * ZONE_NOT_FOUND of a zone that the store has no more), ends at once, wherever it is used; one that
 * was restored may be asked for again. True: one that could be used has ended. Not to be called
 * with the index's lock held.
 */
bool registry_changed(struct registry *registry, const struct entry *zone, enum zone_status why);
/* Appends the ids of all zones that have live EZKs, or from which those come: more than once each.
 */
void registry_zones(struct registry *registry, struct buffer *ret_zones);
/*
 * The index has changed: so do the live EZKs of sessions' record sets, whose zones it may know by
 * now, or know otherwise, and those of imported versions with what has become of where they come
 * from. `standing` is called with the registry's lock held, so it takes none of
 * the index's: whoever changes that keeps it as it is meanwhile. Appends the ids of zones of which
 * one that could be used has ended, as uint64_t.
 */
void registry_changed_records(struct registry *registry, registry_standing *standing, void *state,
			      struct buffer *ret_ended);

/* --- What is known of root keys */

/* Made if need be, and there as long as the registry; NULL: no memory. ret_no_count: for
 * registry_hear(). */
struct root_lease *registry_listen(struct registry *registry, struct uid project, const char *arn,
				   uint64_t *ret_no_count);
/* What a request by the root key brought that was sent after registry_listen(); answers it, or a no
 * about the key that came in its way. A no about the key ends all leases that rest on it, in every
 * project. If a right is lacking that leases do not need (to encrypt, to describe), that is not
 * passed on. Accepts NULL. */
enum zone_status registry_hear(struct registry *registry, struct root_lease *root,
			       uint64_t no_count, enum zone_status status);

/* --- For ezk.c */

/* Where a zone comes from; uids of the two do not meet. */
enum ezk_realm { EZK_OF_STORE, EZK_OF_SESSION, EZK_REALM_COUNT };

struct ezk {
	struct registry *registry;
	enum ezk_realm realm;
	struct uid project;
	struct uid known_by; /* under which its root keys are known: the project's, or zeros */
	/* What its record is bound to: its zone's id, or, of an imported version, that of the zone
	 * that it comes from (entry_bound_version). */
	uint64_t zone;
	uint32_t version;
	struct lease lease;  /* its lanes count who holds the EZK, beside the registry */
	struct entry *entry; /* the newest that is known, held; lease.lock guards the pointer */
	/* One whose record of this version was found good by its MAC, when the EZK was brought last
	 * or as far as another says the same; held. The lock guards it, except for a comparison. */
	_Atomic(struct entry *) verified;
	/* What stands against its zone, and of an imported version against the one that it comes
	 * from; the registry's lock guards both. */
	enum zone_status standing, origin;
	/* Two owners: it needs both root keys, and rests on both. Else only the first of each of
	 * these counts. */
	_Atomic bool both;
	_Atomic(struct root_lease *) rests_on[SHARE_COUNT]; /* whose canaries vouch for it */
	/* Those without which it can't be decrypted; NULL: any one of several will do. */
	_Atomic(struct root_lease *) needs[SHARE_COUNT];
	uint64_t proved;  /* the revision of its zone whose wraps were proven last; 0: of none */
	bool was_brought; /* of these three, too, the request in flight is the only writer */
	uint8_t fingerprint[FINGERPRINT_SIZE];
	struct ezk *next; /* the next version of the same zone; the registry's lock guards it */
};

/* `at`: 0, or the share less one. The first root key's window is what its lease is renewed by. */
static inline void ezk_rest_on(struct ezk *ezk, size_t at, struct root_lease *root)
{
	ezk->rests_on[at] = root;
	if (at == 0)
		lease_rest_on(&ezk->lease, root == NULL ? NULL : &root->window);
}
/* On how many it rests. */
static inline size_t ezk_owner_count(const struct ezk *ezk)
{
	return ezk->both ? SHARE_COUNT : 1;
}

/* For all three, `bound` says whose version it is: the zone's own, or one that it has imported. */

/* Do two states of a zone say the same of a version in all that its MAC covers? */
bool registry_same_record(const struct entry *a, const struct entry *b, uint64_t bound,
			  uint32_t version);
/* Gives the thread the reason of ZONE_FENCED, with what to do about it. */
void registry_tell_fence(const struct entry *zone, uint32_t version);
/* May a version of the zone be used, as its entry says? ZONE_PENDING_DELETION: the zone awaits
 * that, or the version is retired; ZONE_DELETED: the version is gone for good; ZONE_NOT_FOUND: the
 * zone never had it; ZONE_FENCED; ZONE_ROOT_KEY_REFUSED: none of the root keys that could open it
 * is allowed, or, of two owners, not both. */
enum zone_status registry_usable(struct registry *registry, const struct entry *zone,
				 uint64_t bound, uint32_t version);
/* The live EZK, made if need be; held. Whatever stands against its zone bars it. */
enum zone_status registry_live(struct registry *registry, enum ezk_realm realm,
			       const struct entry *zone, uint64_t bound, uint32_t version,
			       struct ezk **ret_ezk);
const struct registry_settings *registry_settings(const struct registry *registry);
/* Wipes what has ended; to be called when lease_rules_due() says so. */
void registry_wipe_ended(struct registry *registry);
struct lease_rules *registry_rules(struct registry *registry);
/* For those who keep what was made of keys (struct registry_watch): the store was looked into, or
 * something has become of a zone. */
void registry_note_news(struct registry *registry);
/* A canary was refused: what stood on it must stand by itself. */
void registry_doubt(struct registry *registry, struct root_lease *root);
/* Returns when a no that is being told has reached every lease it ends: for a thread that is about
 * to answer one, so that nothing that begins afterwards succeeds. */
void registry_await_noes(struct registry *registry);
/* Whom the leases ask (renewal.c); state: the struct ezk. */
extern const struct lease_source ezk_source;
