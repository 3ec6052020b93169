/*
 * The domain: projects, root keys, clusters, zones (databases) and their keys, with all rules of
 * the system (docs/rules in ARCHITECTURE.md). It knows neither PKCS #11 nor AWS. Thread-safe.
 * Functions that say "KMS" may wait for the network and hold no lock of ours meanwhile.
 */
#pragma once

#include "base/clock.h"
#include "kms/kms.h"
#include "zones/entry.h"
#include "zones/status.h"
#include "zones/store.h"

struct zones_settings {
	const char *default_root_key;	     /* NULL: none, and there is no built-in one */
	struct bytes default_root_key_extra; /* its entry's `extra`; borrowed for zones' life */
	unsigned lease_seconds;		     /* 0: the KMS is asked for every operation */
	unsigned deny_seconds;		     /* how long an explicit no is remembered */
	unsigned max_stale_seconds;	     /* the hard end during an outage; 0: the lease */
	bool renew_by_zone;		     /* renew = zone */
	unsigned zone_lease_seconds;
	unsigned deletion_window_days; /* 30 */
	bool ezk_from_kms;	       /* ezk_source = kms */
	const struct clock *clock;
};

struct zones;

/* Touches neither network nor store: the store is opened at the first look. Takes `store` and
 * `clients`. */
enum zone_status zones_new(const struct zones_settings *settings, struct store *store,
			   struct kms_clients *clients, struct zones **ret_zones);
void zones_free(struct zones *zones);	 /* wipes every key; no random, no fetch, no network */
void zones_abandon(struct zones *zones); /* in a fork's child */

/* --- The index (no KMS) */

/* Reads what is new in the store; without `now`, at most once a second. Every look-up below sees at
 * least that state. */
enum zone_status zones_refresh(struct zones *zones, bool now);
/* Changes with every change of the index: what was looked up before it may be stale after it. */
uint64_t zones_generation(const struct zones *zones);

/* Held entries: release each. NULL/ZONE_NOT_FOUND: none (or not visible). */
struct entry *zones_find_number(struct zones *zones, uint64_t number);
struct entry *zones_find_zone(struct zones *zones, uint64_t zone);
struct entry *zones_find_slot(struct zones *zones, uint32_t slot);
struct entry *zones_find_uid(struct zones *zones, struct uid uid);
/* All projects by slot; then what a project holds. `filter` fields that are set must match;
 * look-ups by label, id and uid are O(1) + results. Appends held entries to the array (free() it).
 */
struct entry_filter {
	struct uid project;
	bool kinds[ENTRY_KIND_COUNT]; /* those that are looked for */
	const struct bytes *label;
	const struct bytes *id;
	const struct uid *uid;
	bool with_pending; /* also what awaits deletion */
};
enum zone_status zones_list_projects(struct zones *zones, struct entry ***ret_entries,
				     size_t *ret_count);
enum zone_status zones_list(struct zones *zones, const struct entry_filter *filter,
			    struct entry ***ret_entries, size_t *ret_count);
/* The lowest slot number no project ever had. */
enum zone_status zones_free_slot(struct zones *zones, uint32_t *ret_slot);

/* --- Projects */

enum zone_status zones_project_create(struct zones *zones, uint32_t slot, struct bytes label,
				      struct entry **ret_project);
/* Archives `project` whole (restorable for the deletion window) and puts a new empty one into its
 * slot, in one transaction. */
enum zone_status zones_project_replace(struct zones *zones, struct entry *project,
				       struct bytes label, struct entry **ret_project);

/* --- Root keys */

struct entry_names {
	struct bytes label; /* empty: a default */
	struct bytes id;    /* empty: a default */
	uint32_t usages;
	struct bytes extra;
};

/* KMS: describe, trial encrypt and decrypt (purpose canary), then stored. ZONE_EXISTS,
 * ZONE_TOO_MANY_ROOT_KEYS; restores one that awaits removal. A "local:NAME" key is made if new.
 * Default label: the name of an alias or local key, else the key id. */
enum zone_status zones_root_key_add(struct zones *zones, struct uid project, struct bytes kms_key,
				    const struct entry_names *names, struct entry **ret_root_key);
/* A root key named only for this process's sessions (to open a record set where no project has it);
 * not stored; no KMS. */
enum zone_status zones_root_key_name(struct zones *zones, struct bytes kms_key,
				     struct entry **ret_root_key);
/* KMS: describes it now. */
enum zone_status zones_root_key_state(struct zones *zones, const struct entry *root_key,
				      enum kms_key_state *ret_state);
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

/* Provider and region equal the root key's (a local key fits any region). Empty provider: the root
 * key's. */
enum zone_status zones_cluster_create(struct zones *zones, struct uid project,
				      struct bytes provider, struct bytes region,
				      struct uid root_key, const struct entry_names *names,
				      struct entry **ret_cluster);
/* KMS. label: "cluster/database"; "database" (cluster "default", made on demand in the root key's
 * region, the root key being the project's only one or default_root_key, which is added on demand);
 * empty: "zone-ID". A failure leaves nothing. */
enum zone_status zones_zone_create(struct zones *zones, struct uid project,
				   const struct entry_names *names, struct entry **ret_zone);
/* The record set of a zone: all versions (docs/format.md). */
enum zone_status zones_zone_export(struct zones *zones, const struct entry *zone,
				   struct buffer *ret_records);
/* The record of one version. */
enum zone_status zones_zone_record(const struct entry *zone, uint32_t version,
				   struct buffer *ret_record);
/* KMS: a record set comes (back) to a project, decrypted and its MAC found good first. With
 * `imported` it keeps old ids and context and decrypts only; else its ids must not live here
 * (ZONE_EXISTS). */
enum zone_status zones_zone_import(struct zones *zones, struct uid project,
				   const struct entry *root_key, struct bytes records,
				   bool imported, const struct entry_names *names,
				   struct entry **ret_zone);
/* KMS: a blob of 32 bytes under purpose=import (plus pairs) becomes a new zone, re-encrypted as
 * `ezk`. */
enum zone_status zones_zone_import_blob(struct zones *zones, struct uid project,
					const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					const struct entry_names *names, struct entry **ret_zone);

/* --- Token keys */

/* KMS when the zone has no lease. Wraps `value` by the zone (0: the zone "default/default", made on
 * demand) and stores it. */
enum zone_status zones_key_create(struct zones *zones, struct uid project, uint64_t zone,
				  uint32_t key_type, struct bytes value,
				  const struct entry_names *names, struct entry **ret_key);

/* --- Changes (compare-and-set on the entry's revision: ZONE_CONFLICT) */

enum zone_status zones_entry_rename(struct zones *zones, const struct entry *entry,
				    const struct entry_names *names, struct entry **ret_entry);
/* Root keys (ZONE_IN_USE if an EZK version needs it), clusters without zones, zones: scheduled,
 * restorable. Token keys: gone. */
enum zone_status zones_entry_delete(struct zones *zones, const struct entry *entry);
enum zone_status zones_entry_restore(struct zones *zones, const struct entry *entry,
				     struct entry **ret_entry);

/* For `doctor`: configuration of the store, its state, and for each root key and zone of a project
 * what a check says, as text. KMS. */
enum zone_status zones_doctor(struct zones *zones, struct uid project, struct buffer *ret_text);
