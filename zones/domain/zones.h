/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain: projects, root keys, clusters, zones (databases) and their keys, with all rules of
 * the system. It knows neither PKCS #11 nor AWS. Thread-safe.
 * Functions that say "KMS" may wait for the network and hold no lock of ours meanwhile.
 */
#pragma once

#include "base/clock.h"
#include "kms/kms.h"
#include "zones/model/entry.h"
#include "zones/model/limits.h"
#include "zones/model/names.h"
#include "zones/model/status.h"
#include "zones/model/told.h"
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
	unsigned deletion_window_days; /* 30 */
	bool ezk_from_kms;	       /* ezk_source = kms */
	const char *pins;	       /* [zones] pin; NULL: none */
	const char *pins_at;	       /* where that is set: file and line, for messages */
	const struct clock *clock;
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
struct ezks *zones_ezks(struct zones *zones);

/* --- The index (no KMS) */

/*
 * Reads what is new in the store; without `now`, at most once in its engine's interval (of SQLite a
 * second), and without waiting for another thread that is at it. Every look-up below sees at least
 * that state. Once something has been read, a store that is merely out of reach is no failure
 * without `now`: what is known may still be used; nor is one that this release may only read in
 * part (projects, root keys, and which zones not to open). ZONE_STORE_….
 */
enum zone_status zones_refresh(struct zones *zones, bool now);
/*
 * For whoever has looked something up in vain: asks the store for what has that key, if its engine
 * can, else looks into it now. What was not there is not asked for again within a second. The same
 * look-up finds then what there is.
 */
enum zone_status zones_look_for(struct zones *zones, const struct store_key *key);
/* False: the index lacks a part of what the store has, since memory lacked when that was read. The
 * next look-up reads it anew; what is not found before may well be there. */
bool zones_are_whole(const struct zones *zones);
/* The store asks more of a reader than this release knows: only projects and root keys are there,
 * as far as they can be read. */
bool zones_are_limited(const struct zones *zones);
/* Changes with every change of the index: what was looked up before it may be stale after it. */
uint64_t zones_generation(const struct zones *zones);

/* Held entries: release each; also those that await deletion. NULL: none, or in an archived project
 * (which no look-up shows). */
struct entry *zones_find_number(struct zones *zones, uint64_t number);
struct entry *zones_find_zone(struct zones *zones, uint64_t zone);
/* Why zones_find_zone() finds none, as the thread's reason too: ZONE_DELETED, ZONE_PENDING_DELETION
 * (with its project), else ZONE_NOT_FOUND. */
enum zone_status zones_zone_missing(struct zones *zones, uint64_t zone);
struct entry *zones_find_slot(struct zones *zones, uint32_t slot);
struct entry *zones_find_uid(struct zones *zones, struct uid uid);
/* All projects by slot; then what a project holds. `filter` fields that are set must match;
 * look-ups by label, id, uid and kind are O(1) + results. Gives an array of held entries (free()
 * it). */
enum zone_status zones_list_projects(struct zones *zones, struct entry ***ret_entries,
				     size_t *ret_count);
enum zone_status zones_list(struct zones *zones, const struct entry_filter *filter,
			    struct entry ***ret_entries, size_t *ret_count);
/* The lowest slot number no project ever had. Of the state that was last read. */
enum zone_status zones_free_slot(struct zones *zones, uint32_t *ret_slot);

/* --- Projects */

/* In a slot from zones_free_slot(); ZONE_EXISTS: somebody took it meanwhile. The label is without
 * padding; other projects may have the same. */
enum zone_status zones_project_create(struct zones *zones, uint32_t slot, struct bytes label,
				      struct entry **ret_project);
/* Archives `project` whole (restorable for the deletion window, by its archive in the new one) and
 * puts a new empty one into its slot, in one transaction. ZONE_CONFLICT, ZONE_NOT_FOUND: it is not
 * what the caller knows. */
enum zone_status zones_project_replace(struct zones *zones, struct entry *project,
				       struct bytes label, struct entry **ret_project);

/* --- Root keys */

/* KMS: describe, trial encrypt and decrypt (purpose canary), then stored. ZONE_EXISTS (the same
 * key, however named, or the label), ZONE_TOO_MANY_ROOT_KEYS; restores one that awaits removal.
 * Default label: the name of an alias or local key, else (also where that is taken) the key id.
 * ZONE_ROOT_KEY_REFUSED here, and for all below that ask by one: [kms] allowed_root_keys does not
 * have it. */
enum zone_status zones_root_key_add(struct zones *zones, struct uid project, struct bytes kms_key,
				    const struct entry_names *names, struct entry **ret_root_key);
/* The same for a key that the embedded KMS makes first: "local:NAME". ZONE_EXISTS: it has one of
 * that name. ZONE_INVALID: a key of another KMS, or an id. */
enum zone_status zones_root_key_create(struct zones *zones, struct uid project,
				       struct bytes kms_key, const struct entry_names *names,
				       struct entry **ret_root_key);
/* A root key named only for this process's sessions (to open a record set where no project has it);
 * not stored; no KMS. */
enum zone_status zones_root_key_name(struct zones *zones, struct bytes kms_key,
				     struct entry **ret_root_key);
/* Its key is on this machine: in the embedded KMS. */
bool zones_root_key_is_embedded(const struct zones *zones, const struct entry *root_key);
/* What this process learnt last about it, whatever it asked, except that a right was lacking.
 * False: nothing yet. No KMS. */
bool zones_root_key_heard(struct zones *zones, const struct entry *root_key,
			  struct root_key_finding *ret_finding);
/*
 * KMS: asks for its state now, by calls that every role of `cmek policy` may make: the canary; if
 * that is no yes, DescribeKey; and where a right is lacking, the project's zones below it, since
 * access is denied only to who can open none. False: it could not be told, since there are more
 * zones than are tried; ret_finding then has the refusal. The thread's last reason (base/log.h) is
 * that of the finding.
 */
bool zones_root_key_ask(struct zones *zones, const struct entry *root_key,
			struct root_key_finding *ret_finding);
/* Local keys: enable, disable. ZONE_KMS_UNSUPPORTED for a cloud key. */
enum zone_status zones_root_key_set_state(struct zones *zones, const struct entry *root_key,
					  enum kms_key_state state);
/* KMS, purpose data, plus the caller's pairs (none may begin with "cmek:": ZONE_INVALID). */
enum zone_status zones_root_key_encrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes plaintext,
					struct buffer *ret_blob);
enum zone_status zones_root_key_decrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					struct buffer *ret_plaintext);

/* --- Clusters and zones */

/* Provider and region equal the root key's (a local key fits any region; a multi-Region key each
 * where its replica answers: KMS). Empty provider or region: the root key's. ZONE_WRONG_PROVIDER,
 * ZONE_WRONG_REGION, ZONE_EXISTS. */
enum zone_status zones_cluster_create(struct zones *zones, struct uid project,
				      struct bytes provider, struct bytes region,
				      struct uid root_key, const struct entry_names *names,
				      struct entry **ret_cluster);
/* The name of a zone in messages, also of one that awaits deletion. */
struct zone_told zone_told(struct zones *zones, uint64_t zone);
/* KMS. label: "cluster/database"; "database" (cluster "default", made on demand in the root key's
 * region, the root key being the project's only one or default_root_key, which is added on demand);
 * empty: "zone-ID". "db" and "default/db" are one name. A failure leaves nothing. ZONE_INVALID:
 * more limits than a record holds. ZONE_OTHER_PIN: the name is another zone's, by configuration. */
enum zone_status zones_zone_create(struct zones *zones, struct uid project,
				   const struct entry_names *names, struct entry **ret_zone);
/* Whether the record of its primary version stays in this store. All records of a zone are alike in
 * this. */
bool zones_zone_is_kept(const struct entry *zone);
/* The record set of a zone: all versions (docs/format.md). For both: ZONE_RECORD_KEPT. */
enum zone_status zones_zone_export(struct zones *zones, const struct entry *zone,
				   struct buffer *ret_records);
/* The record of one version. */
enum zone_status zones_zone_record(const struct entry *zone, uint32_t version,
				   struct buffer *ret_record);
/* KMS: a record set comes (back) to a project, each record decrypted by `root_key` (no other wrap
 * is looked at or kept) and its MAC found good first. It keeps its ids and context; with `imported`
 * it decrypts only. ZONE_EXISTS: the zone lives in this store, or its key is another zone's.
 * ZONE_PENDING_DELETION, ZONE_DELETED: it was deleted here, and a record set restores nothing.
 * ZONE_OTHER_PIN. ZONE_RECORD_KEPT: it was to stay in its store. */
enum zone_status zones_zone_import(struct zones *zones, struct uid project,
				   const struct entry *root_key, struct bytes records,
				   bool imported, const struct entry_names *names,
				   struct entry **ret_zone);
/* KMS: a blob of 32 bytes under purpose=import (plus pairs) becomes a new zone, re-encrypted as
 * `ezk`. ZONE_EXISTS: that key is a zone's here already. */
enum zone_status zones_zone_import_blob(struct zones *zones, struct uid project,
					const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					const struct entry_names *names, struct entry **ret_zone);

/* --- Token keys */

/* KMS where it is to be made. The zone of keys that name no zone, "default/default". */
enum zone_status zones_default_zone(struct zones *zones, struct uid project, uint64_t *ret_zone);
/* KMS when the zone has no lease. Wraps `value` by the zone (0: the default one) and stores it. */
enum zone_status zones_key_create(struct zones *zones, struct uid project, uint64_t zone,
				  uint32_t key_type, struct bytes value,
				  const struct entry_names *names, struct entry **ret_key);
/* The same. Its value, value_len bytes for the caller to secret_free(). It is bound to its project
 * and to all that limits it: key type, length, usages and extra; label, id and state are not among
 * them. ZONE_RECORD_CORRUPT: the entry is not what it was wrapped with. *ret_ezk (may be NULL): the
 * EZK version that was used, held. */
struct ezk;
enum zone_status zones_key_open(struct zones *zones, const struct entry *key, uint8_t **ret_secret,
				struct ezk **ret_ezk);

/* --- Changes (compare-and-set on the entry's revision: ZONE_CONFLICT) */

/* Label, id, usages and extra become those of `names`; empty ones the default. A zone's label keeps
 * its cluster, its usages are within the greatest (else ZONE_INVALID); a cluster's new label goes
 * into its zones' too. ZONE_EXISTS. KMS only for usages and extra of a token key, which is wrapped
 * anew (as zones_key_open()); a refusal changes nothing. */
enum zone_status zones_entry_rename(struct zones *zones, const struct entry *entry,
				    const struct entry_names *names, struct entry **ret_entry);
/* Root keys (ZONE_IN_USE if a cluster or an EZK version needs it, also of a zone that can be
 * restored), clusters without zones (ZONE_IN_USE), zones: scheduled, restorable; once more does
 * nothing. Token keys: gone. Archives: ZONE_PENDING_DELETION; projects: ZONE_INVALID. */
enum zone_status zones_entry_delete(struct zones *zones, const struct entry *entry);
/* ZONE_EXISTS: the label is another's by now (rename it first); ZONE_PENDING_DELETION: its cluster
 * or root key must be restored first. An archive gives its project, in a new slot. */
enum zone_status zones_entry_restore(struct zones *zones, const struct entry *entry,
				     struct entry **ret_entry);

/* The store's levels, as JSON (docs/store.md); and bringing it to another, which is audited.
 * ZONE_CONFLICT: it is not at `from`; ZONE_IN_USE: what a level brought is in use; ZONE_INVALID: a
 * level that is not known; ZONE_STORE_…. */
enum zone_status zones_store_describe(struct zones *zones, struct buffer *ret_json);
enum zone_status zones_store_levels(struct zones *zones, unsigned *ret_level,
				    unsigned *ret_understood);
enum zone_status zones_store_bring(struct zones *zones, unsigned from, unsigned to);

/* For `doctor`: configuration of the store, its state, and for each root key and zone of a project
 * what a check says, as text; and which statuses are behind its faults. KMS. */
struct doctor_faults {
	bool met[ZONE_STATUS_COUNT];
};
enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text,
			      struct doctor_faults *ret_faults);
