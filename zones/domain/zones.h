/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain: projects, root keys, clusters, zones (databases) and their keys, with all rules of
 * the system. It knows neither PKCS #11 nor AWS. Thread-safe. Here: its life, and how fresh it is;
 * what can be done with it is in the header of each noun.
 * Functions that say "KMS" may wait for the network and hold no lock of ours meanwhile.
 */
#pragma once

#include "base/clock.h"
#include "kms/kms.h"
#include "zones/model/limits.h"
#include "zones/model/status.h"
#include "zones/store/store.h"

struct zones_settings {
	const char *default_root_key;	     /* NULL: none, and there is no built-in one */
	struct bytes default_root_key_extra; /* its entry's `extra`; borrowed for zones' life */
	unsigned lease_seconds;		     /* 0: the KMS is asked for every operation */
	unsigned deny_seconds;		     /* how long an explicit no is remembered */
	unsigned max_stale_seconds;	     /* the hard end during an outage; 0: the lease */
	unsigned kms_call_ms;		     /* how long a call of the KMS may take */
	bool renew_by_zone;		     /* renew = zone */
	unsigned zone_lease_seconds;
	struct lease_bounds new_zone;  /* of zones that are made without bounds of their own */
	bool new_zone_kept;	       /* the same: embed_ezk = false */
	unsigned new_zone_rotate_days; /* the same; 0: rotated only when asked */
	unsigned deletion_window_days; /* 30 */
	bool ezk_from_kms;	       /* ezk_source = kms */
	const char *key_default;       /* [zones] default; NULL: none; borrowed for zones' life */
	const char *pins;	       /* [zones] pin; NULL: none */
	const char *pins_at;	       /* where that is set: file and line, for messages */
	const struct clock *clock;
	/* Opens another store by the name that a user gives it ("sqlite:PATH", or a file of
	 * configuration), for `cmek store copy`. Logs what is wrong. NULL: there is no way to. */
	enum zone_status (*open_place)(void *state, const char *name, struct store **ret_store);
	void *open_place_state;
};

struct zones;

/* Whether a text may be [zones] pin (zones/model/pins.h); ret_bad: the part that is not a pin;
 * *ret_no_memory: unknown for lack of memory. */
bool zones_pins_valid(const char *text, struct bytes *ret_bad, bool *ret_no_memory);

/* Touches neither network nor store: the store is opened when it is first read. Takes `store` and
 * `clients` on ZONE_OK. */
enum zone_status zones_new(const struct zones_settings *settings, struct store *store,
			   struct kms_clients *clients, struct zones **ret_zones);
void zones_free(struct zones *zones);	 /* wipes every key; no random, no fetch, no network */
void zones_abandon(struct zones *zones); /* in a fork's child */

/* The live EZKs (zones/ezk/ezk.h), as long as the domain lives. */
struct registry *zones_registry(struct zones *zones);

/* --- The index (no KMS) */

/*
 * Reads what is new in the store; without `now`, at most once in its engine's interval (of SQLite a
 * second), and without waiting for another thread that is at it. Every look-up below sees at least
 * that state. Once something has been read, a store that is merely out of reach is no failure
 * without `now`: what is known may still be used; nor is one that this release may only read in
 * part (projects, root keys, and which zones not to open). ZONE_STORE_….
 */
enum zone_status zones_refresh(struct zones *zones, bool now);
/* The same with `now`, but it waits no longer than that for another call of this process which has
 * the store busy: then ZONE_STORE_UNAVAILABLE. */
enum zone_status zones_refresh_within(struct zones *zones, unsigned wait_ms);
/*
 * For whoever has looked something up in vain: asks the store for what has that key, if its engine
 * can, else looks into it now. What was not there is not asked for again within a second. The same
 * look-up finds then what there is.
 */
enum zone_status zones_look_for(struct zones *zones, const struct store_key *key);
/* The same for whoever has met a version of a zone that the zone does not have, as far as is known
 * here: another process may just have rotated it. */
enum zone_status zones_look_for_version(struct zones *zones, uint64_t zone, uint32_t version);
/* False: the index lacks a part of what the store has, since memory lacked when that was read. The
 * next look-up reads it anew; what is not found before may well be there. */
bool zones_are_whole(const struct zones *zones);
/* The store asks more of a reader than this release knows: only projects and root keys are there,
 * as far as they can be read. */
bool zones_are_limited(const struct zones *zones);
/* Changes with every change of the index: what was looked up before it may be stale after it. */
uint64_t zones_generation(const struct zones *zones);

int64_t zones_now_ms(const struct zones *zones); /* real time */
