/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wraps of an EZK version, as it moves from one root key to another. A live wrap is active or
 * unproven; a replaced one is kept while nothing else is known to open, so that an EZK which the
 * KMS re-encrypted unseen is never lost. No KMS here.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

static inline bool wrap_is_live(const struct wrap *wrap)
{
	return wrap->state != WRAP_REPLACED;
}

/* The live wrap by that root key, as it is named here; NULL: none. */
const struct wrap *ezk_version_live_wrap(const struct ezk_version *version, const char *arn);
/* Is one of its wraps by this root key, or by a related one? */
bool ezk_version_has_wrap_by(const struct kms_provider *const *providers,
			     const struct ezk_version *version, const char *arn);
/* The live wrap of a share, the first of them; NULL: none. */
const struct wrap *ezk_version_live_share(const struct ezk_version *version, unsigned share);
/* A whole EZK where any root key opens the version, a share where two owners do. */
static inline bool wrap_fits_policy(const struct ezk_version *version, const struct wrap *wrap)
{
	return wrap->share <= SHARE_COUNT && (wrap->share != 0) == version->all_wraps;
}
/* The policy and the wraps agree: whole ones with OR; with AND shares alone, each of which is
 * there, and some two of them by root keys that are not one key, by the providers or, where these
 * are NULL, by their names alone. Whoever opens or writes a version asks this first: a share is
 * never taken for an EZK, nor one owner for two. */
bool ezk_version_fits_policy(const struct kms_provider *const *providers,
			     const struct ezk_version *version);
/* Does one of its wraps have this blob? */
bool ezk_version_has_blob(const struct ezk_version *version, struct bytes blob);
/* How many wraps have that state. */
size_t ezk_version_count(const struct ezk_version *version, enum wrap_state state);
/* Of all versions of a zone: none has an unproven wrap. */
bool zone_is_proven(const struct entry *zone);
/* Each of its versions has a live wrap by the root key. */
bool zone_is_under(const struct entry *zone, const char *arn);
/* Do two states of a version have the same wraps, in the same states? */
bool ezk_version_same_wraps(const struct ezk_version *a, const struct ezk_version *b);

/* The wrap with this blob was opened, and the MAC found good: it is active from now on. If it was
 * the replaced one, what should have replaced it did not open, and goes. What nobody needs any more
 * goes as well. False: there is no such wrap, or nothing has changed. */
bool ezk_version_prove(struct ezk_version *version, struct bytes blob);
/* Drops the replaced wraps, of each share, if what is to replace them has been proven. */
void ezk_version_drop_needless(struct ezk_version *version);
/* Of several wraps by one root key, any of which would do, keeps an active one alone, if there is
 * one. Where all are needed, none goes. */
void ezk_version_drop_twice(struct ezk_version *version, const char *arn);
/* Adds a copy of a wrap in that state. */
enum zone_status ezk_version_take_wrap(struct ezk_version *version, const struct wrap *wrap,
				       enum wrap_state state);
/* A copy of all but the wraps. */
enum zone_status ezk_version_copy_bare(const struct ezk_version *version,
				       struct ezk_version *ret_copy);
/* Gives the versions of `zone` the wraps that the same versions of `from` have. */
enum zone_status ezk_version_set_wraps(struct ezk_version *version, const struct ezk_version *from);

/* What a change of a zone's wraps was, in the audit log's words: "rewrapped" (there is a new one),
 * "proven", "rewrap undone" (one that did not open is gone), "root keys changed" (some went, or
 * stand in another order); NULL: they are as they were. */
const char *zone_wraps_change(const struct entry *before, const struct entry *after);
/* The only root key of its live wraps; NULL: there are several. */
const char *zone_only_root_key(const struct entry *zone);
