/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live EZK: one version of one zone in this process. It exists with or without its plaintext; the
 * plaintext lives in locked memory for the length of a lease, and the EZK itself encrypts nothing:
 * every use takes a key derived for one purpose.
 */
#pragma once

#include "base/clock.h"
#include "zones/model/derive.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"
#include "zones/model/title.h"

struct registry; /* the live EZKs of a process (zones_registry) */
struct ezk;	 /* counted */

/* The version of a zone in the index (0: the primary; UINT32_MAX: the raw version); no KMS.
 * ZONE_PENDING_DELETION (also of a retired version), ZONE_DELETED (a version that is gone for
 * good), ZONE_FENCED, ZONE_ROOT_KEY_REFUSED; what else stands against the zone
 * (zones/domain/standing.h) may be said by ezk_begin() only. */
enum zone_status ezk_find(struct registry *registry, const struct entry *zone, uint32_t version,
			  struct ezk **ret_ezk);
enum { EZK_PRIMARY = 0 };
#define EZK_RAW UINT32_MAX
/*
 * From a record set that is in no store, for this process's sessions. Only wraps by `root_key` are
 * looked at: whoever could name a key of his own could pass off his data as the zone's
 * (ZONE_KMS_INCORRECT_KEY: none is). One that is named by an alias or a key id is described first.
 * KMS, unless the very records have a lease here: the newest version is opened and its MAC checked.
 * ZONE_INVALID. If the store knows their zone, its word holds (zones/domain/standing.h), now and as
 * long as the EZK is held: ZONE_PENDING_DELETION, ZONE_DELETED, ZONE_OTHER_PIN. A process that
 * can't look into the store, and never could, is refused: ZONE_STORE_…. ZONE_ROOT_KEY_REFUSED.
 * ZONE_RECORD_KEPT: they stay in their store. ZONE_NO_ROOT_KEY: they need two owners' root keys,
 * and the project has not both.
 */
enum zone_status ezk_from_records(struct registry *registry, const struct entry *root_key,
				  struct bytes records, struct ezk **ret_ezk);
struct ezk *ezk_hold(struct ezk *ezk);
void ezk_release(struct ezk *ezk); /* accepts NULL */
void ezk_releasep(struct ezk **ezk);

/* What its record is bound to. Of a version that a zone has imported, that is the zone where it
 * comes from, and not the one that ezk_entry() is. */
uint64_t ezk_zone(const struct ezk *ezk);
uint32_t ezk_version_number(const struct ezk *ezk);
/* It opens what was encrypted, and encrypts nothing: its zone, or the version alone, was imported.
 */
bool ezk_is_imported(struct ezk *ezk);
/* The newest state of its zone that is known, held; of a session's record set: an entry that is in
 * no index, without label and id. For zones_zone_export() and attributes. */
struct entry *ezk_entry(struct ezk *ezk);
/* How messages call a zone of the same store, whichever it is. */
struct zone_title zone_title_by(struct ezk *ezk, uint64_t zone);
/* Another version that the same zone has (also of a session's record set), its own or imported, for
 * unwrapping what names it by the zone's id that its record is bound to. ZONE_OTHER_ZONE: it has
 * nothing of that zone. No KMS. */
enum zone_status ezk_sibling(struct ezk *ezk, uint64_t bound, uint32_t version,
			     struct ezk **ret_ezk);

/*
 * May the key be used by an operation that begins now? Renews the lease if it has ended (KMS; one
 * call in flight per EZK, all others wait for its answer). An explicit no is remembered for
 * deny_seconds. After ZONE_OK the keys below can be had. With lease_seconds = 0 each call asks, so
 * call it once for each operation.
 *
 * Making a zone does not begin a lease: kms:Encrypt was shown then, but not the right to
 * kms:Decrypt, nor that what was stored opens. The first use asks.
 */
enum zone_status ezk_begin(struct ezk *ezk);
/* The same for a further part of an operation under way: while the lease runs (with lease_seconds =
 * 0: for 60 s after the last yes) a load of each clock and three of memory, and once a second a
 * look into the store. */
enum zone_status ezk_continue(struct ezk *ezk);
/*
 * Is what `zone` (a state of its zone that the caller knows) says of this version's record what its
 * MAC was found good for? For a caller that has decided by it what the EZK may do, after
 * ezk_begin(): what it looked at may have been changed by hand. A comparison of pointers, but after
 * a change. No KMS. ZONE_RECORD_CORRUPT.
 */
enum zone_status ezk_verified(struct ezk *ezk, const struct entry *zone);
/* Whether a lease runs now. For callers that cache things made from a key, and wipe them with the
 * lease. No KMS. */
bool ezk_leased(const struct ezk *ezk);
/* Have ezk_begin() and ezk_continue() nothing to do, by a real time that was just read? */
bool ezk_is_fresh(const struct ezk *ezk, int64_t realtime_ms);
/* Copies the 32-byte key of a purpose into the caller's locked memory (secret_new). Begins by
 * itself if the lease does not run. */
enum zone_status ezk_key(struct ezk *ezk, enum ezk_purpose purpose, uint8_t *ret_secret);

/*
 * The value of a key that belongs to a zone, in memory. It lies open while the EZK is here, and is
 * hidden (masked by a key stream of the EZK) when that goes, by a no or with the end of its lease:
 * so a no reaches every value of the zone at once, also those that nobody uses again, and they are
 * found again when the EZK comes back. What comes when the EZK is gone could not be hidden any
 * more, so it is not taken. Embedded in its owner; the EZK guards it from the moment it has taken
 * it.
 */
struct masked_value {
	_Atomic(uint8_t *) bytes; /* in locked memory, the owner's to free; NULL: none yet */
	size_t len;
	bool hidden;
	bool lost;	      /* could not be hidden, and was wiped */
	_Atomic uint8_t lane; /* of its EZK's (zones/ezk/lanes.h); 0: in none */
	uint64_t number;      /* under which it is hidden; 0: not yet */
	struct masked_value *next, *previous;
};
/* Takes values that lie open, chained by `next`. False: no lease runs, and none is taken. No KMS.
 */
bool ezk_keep(struct ezk *ezk, struct masked_value *values);
/* The same with one that has no bytes yet: they are set then. */
bool ezk_put(struct ezk *ezk, struct masked_value *value, uint8_t *bytes);
/* Before the owner frees it; also of one that was never taken. */
void ezk_forget(struct ezk *ezk, struct masked_value *value);
/* Copies it in the clear to locked memory. Begins a lease if none runs, as ezk_continue() does. */
enum zone_status ezk_read(struct ezk *ezk, struct masked_value *value, uint8_t *ret_secret);
/* No KMS: false if no lease runs. */
bool ezk_read_now(struct ezk *ezk, struct masked_value *value, uint8_t *ret_secret);
/* Takes the value of `from` once more, as it lies: `to` gets `bytes`, which have its length. */
void ezk_share(struct ezk *ezk, const struct masked_value *from, struct masked_value *to,
	       uint8_t *bytes);

/* Wipes the plaintexts whose lease has ended, since no thread of ours can: for the begin of each C_
 * function. Costs two loads and two clocks while there is nothing to do; no KMS. */
void registry_sweep(struct registry *registry);
/*
 * For whoever keeps what was made of keys, to be loaded in each call. `news` grows when a lease has
 * ended, an entry has changed, and with each look into the store, of which there is one a second
 * while the module is used. When `wipe_at` has passed, registry_sweep() is due; INT64_MAX: no lease
 * runs. That is by the real time alone, so that a call costs one clock; one that was set back is
 * found out with the next look.
 */
struct registry_watch {
	const struct clock *clock;
	const _Atomic int64_t *wipe_at;
	const _Atomic uint64_t *news;
};
struct registry_watch registry_watch(struct registry *registry);

/*
 * CKM_CMEK_DEK_WRAP (docs/format.md, "Wrapped DEK"). A DEK of 1..512 bytes (else ZONE_INVALID);
 * wrapped it has DEK_WRAP_OVERHEAD bytes more. Each is an operation of its own and begins by
 * itself. ZONE_IMPORTED: such a zone only unwraps. Unwrapping chooses the version that the blob
 * names, of the zone's own or of those that it has imported: ZONE_OTHER_ZONE;
 * ZONE_WRAPPED_KEY_INVALID (malformed, changed, another AAD, or a version that the zone never had).
 * `ret_secret` has room for the blob less the overhead. *ret_ezk (may be NULL): the version used,
 * held.
 */
enum { DEK_WRAP_OVERHEAD = 64, DEK_MAX = 512 };
enum zone_status dek_wrap(struct ezk *ezk, struct bytes dek, struct bytes aad,
			  uint8_t *ret_wrapped);
enum zone_status dek_unwrap(struct ezk *ezk, struct bytes wrapped, struct bytes aad,
			    uint8_t *ret_secret, struct ezk **ret_ezk);
/* The zone and the version of its EZK that a wrapped DEK names; false: it is malformed. */
bool dek_wrap_names(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version);
/*
 * The same for a token key as the store keeps it, and for data that it keeps, of up to DATA_MAX
 * bytes or none (docs/format.md, 4.1): each has another magic and another purpose, so that none
 * opens the other's, and no mechanism a stored one. For zones/domain/token_key.c alone, which knows
 * what the AAD is.
 */
enum stored_form { STORED_KEY, STORED_DATA, STORED_FORM_COUNT };
enum zone_status token_key_wrap(struct ezk *ezk, enum stored_form form, struct bytes value,
				struct bytes aad, uint8_t *ret_wrapped);
/* By the form that the blob has. */
enum zone_status token_key_unwrap(struct ezk *ezk, struct bytes wrapped, struct bytes aad,
				  uint8_t *ret_secret, struct ezk **ret_ezk);
/* The same by an EZK in locked memory, which is no live one: of a backup, or one that is being
 * made. Unwrapping: it is the caller's to know that it is that of the zone and version which the
 * blob names. */
enum zone_status token_key_wrap_bare(const uint8_t ezk[static EZK_SIZE], uint64_t zone,
				     uint32_t version, enum stored_form form, struct bytes value,
				     struct bytes aad, uint8_t *ret_wrapped);
enum zone_status token_key_unwrap_bare(const uint8_t ezk[static EZK_SIZE], struct bytes wrapped,
				       struct bytes aad, uint8_t *ret_secret);
/* Zone and version that a stored token key names; false: it is malformed. */
bool token_key_place(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version);
/* What is malformed is no data. */
enum stored_form token_key_form(struct bytes wrapped);
