/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EZK records (docs/format.md, "EZK record"): one version of one zone's EZK, encrypted by its root
 * keys, with all that is bound to it: how they are written and read. Making and opening one asks
 * the KMS (zones/kms/ezk_version.h); which records are whose, and where they lie, is the store's
 * business.
 */
#pragma once

#include "base/buffer.h"
#include "kms/kms.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

enum { WRAPS_MAX = 8, RECORD_FORMAT = 1 };
#define RECORD_MAGIC "CEZK"
#define ZONE_ID_MAX  ((uint64_t)INT64_MAX)

/* Adds a wrap; both are copied. The blob is not empty. */
enum zone_status ezk_version_add_wrap(struct ezk_version *version, const char *arn,
				      struct bytes blob);
/* Frees the last wrap. */
void ezk_version_drop_wrap(struct ezk_version *version);
/* Drops the wraps that are not by this root key; those of a related multi-Region key get its name.
 */
void ezk_version_keep_wraps(const struct kms_provider *const *providers,
			    struct ezk_version *version, const char *arn);
/* The same of shares: one must be by this root key, and the others by keys that are known, since
 * whoever could name a key of his own for one share could make what he likes of the other. */
typedef bool ezk_knows_key(void *state, const char *arn);
void ezk_version_keep_shares(const struct kms_provider *const *providers,
			     struct ezk_version *version, const char *arn, ezk_knows_key *knows,
			     void *state);
/* Wraps and all. Accepts the zero state. */
void ezk_version_clear(struct ezk_version *version);
enum zone_status ezk_version_copy(const struct ezk_version *version, struct ezk_version *ret_copy);
/* The order of a zone's versions: its own ascending, then those imported by record zone and
 * version. Less than 0: a comes before b. */
int ezk_version_order(const struct ezk_version *a, const struct ezk_version *b);
/* Puts a version in its place among the zone's. Takes it, also on failure. ZONE_NO_MEMORY. */
enum zone_status zone_take_version(struct entry *zone, struct ezk_version *version);
/* The one at that place goes, with its wraps. */
void zone_drop_version(struct entry *zone, size_t at);
/* Whether two are alike in every field, with their wraps. */
bool ezk_version_same(const struct ezk_version *a, const struct ezk_version *b);

/* ZONE_INVALID: malformed, or too long for the format; ZONE_RECORD_NEWER. A decoded version has no
 * fingerprint (zeros). */
enum zone_status record_encode(uint64_t zone, const struct ezk_version *version,
			       struct buffer *out);
enum zone_status record_decode(struct bytes record, uint64_t *ret_zone,
			       struct ezk_version *ret_version);

/* Says in the log why a record can't be used, and answers ZONE_RECORD_NEWER. `zone` is its name,
 * from zones/model/title.h. */
enum zone_status record_is_newer(const char *zone, uint32_t version);

/* Bytes 8 … 63 of a record, which the MAC covers together with the limits. */
void record_put_bound(uint64_t zone, const struct ezk_version *version, struct buffer *out);
/* Whether two agree in everything that the MAC covers, and in the MAC. */
bool record_same_bound(const struct ezk_version *a, const struct ezk_version *b);

struct record_set {
	uint64_t zone;
	struct ezk_version *versions; /* ascending, of one project */
	size_t count;
};
/* Whether any of them stays in its store. Such a set is neither exported nor imported. */
bool record_set_is_kept(const struct record_set *set);
/* ZONE_RECORD_KEPT, with the reason (zones/domain/zone_import.c). */
enum zone_status record_set_refuse_kept(const struct record_set *set);
void record_set_clear(struct record_set *set);
enum zone_status record_set_encode(const struct record_set *set, struct buffer *out);
/* A single record is accepted in place of a set of one. */
enum zone_status record_set_decode(struct bytes records, struct record_set *ret_set);
