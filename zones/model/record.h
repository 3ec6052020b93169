/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EZK records (docs/format.md, "EZK record"): one version of one zone's EZK, encrypted by its root
 * keys, with all that is bound to it. Making and opening one asks the KMS; encoding does not. Which
 * records are whose, and where they lie, is the store's business.
 */
#pragma once

#include "base/secret.h"
#include "zones/kms/ask.h"
#include "zones/model/derive.h"
#include "zones/model/entry.h"
#include "zones/model/limits.h"

enum { WRAPS_MAX = 8, RECORD_FORMAT = 1 };
#define RECORD_MAGIC "CEZK"
#define ZONE_ID_MAX  ((uint64_t)INT64_MAX)

/* What an EZK is bound to, in the KMS (encryption context) and by its MAC. */
struct ezk_identity {
	struct uid project;
	struct uid cluster;
	uint64_t zone;
	uint32_t version;
	struct lease_bounds lease;
};

/* The encryption context of an EZK, purpose `ezk`. Points into itself: don't copy it. */
struct ezk_context {
	char project[2 * UID_SIZE + 1];
	char cluster[2 * UID_SIZE + 1];
	char zone[21];
	char version[11];
	char max_lease[11];
	char max_stale[11];
	struct kms_pair pairs[7];
	struct kms_context context;
};
void ezk_context_init(struct ezk_context *ret_context, const struct ezk_identity *identity);

struct ezk_seal {
	struct ezk_identity identity;
	uint32_t greatest_usages;
	struct bytes limits; /* borrowed; those of leases, and `kept`, are put behind them */
	bool kept;	     /* the record is for its store alone (LIMIT_KEPT) */
	int64_t created_ms;
	bool from_kms;	    /* the key is drawn by GenerateDataKey, not by our own CSPRNG */
	const uint8_t *key; /* 32 bytes that exist already (an import); NULL: drawn */
};

/* KMS: makes a version under the root key `ask->key` (an ARN), with its one wrap, MAC and
 * fingerprint. The plaintext is not given out: the first use decrypts it, which shows that the
 * right to do so is there and that what was stored opens. ZONE_INVALID: the limits are malformed,
 * or more than LIMITS_MAX. */
enum zone_status ezk_version_seal(const struct ask *ask, const struct ezk_seal *seal,
				  struct ezk_version *ret_version);

/*
 * KMS: the EZK, by any of its wraps (in their order; `ask->key` and context are not looked at); 32
 * bytes, MAC and, if known, fingerprint found good: else ZONE_RECORD_CORRUPT, as where those of
 * leases are missing; and then the limits: ZONE_RECORD_NEWER. If none opens, an explicit no of any
 * of them is the answer. AND wraps are reserved: ZONE_INVALID.
 */
enum zone_status ezk_version_open(const struct ask *ask, uint64_t zone,
				  const struct ezk_version *version,
				  uint8_t ret_ezk[static EZK_SIZE]);
/* KMS: the same by one wrap. */
enum zone_status ezk_wrap_open(const struct ask *ask, uint64_t zone,
			       const struct ezk_version *version, const struct wrap *wrap,
			       uint8_t ret_ezk[static EZK_SIZE]);
/* And the rule among wraps alone: `open` is called for one after the other until it opens. `ask`
 * says whose record it is. */
typedef enum zone_status ezk_open_by(void *state, const struct ezk_version *version,
				     const struct wrap *wrap, uint8_t ret_ezk[static EZK_SIZE]);
enum zone_status ezk_version_by_any(const struct ask *ask, uint64_t zone,
				    const struct ezk_version *version, ezk_open_by *open,
				    void *state, uint8_t ret_ezk[static EZK_SIZE]);

/* Adds a wrap; both are copied. The blob is not empty. */
enum zone_status ezk_version_add_wrap(struct ezk_version *version, const char *arn,
				      struct bytes blob);
/* Frees the last wrap. */
void ezk_version_drop_wrap(struct ezk_version *version);
/* Drops the wraps that are not by this root key; those of a related multi-Region key get its name.
 */
void ezk_version_keep_wraps(struct ezk_version *version, const char *arn);
/* Wraps and all. Accepts the zero state. */
void ezk_version_clear(struct ezk_version *version);
enum zone_status ezk_version_copy(const struct ezk_version *version, struct ezk_version *ret_copy);

/* ZONE_INVALID: malformed, or too long for the format; ZONE_RECORD_NEWER. A decoded version has no
 * fingerprint (zeros). */
enum zone_status record_encode(uint64_t zone, const struct ezk_version *version,
			       struct buffer *out);
enum zone_status record_decode(struct bytes record, uint64_t *ret_zone,
			       struct ezk_version *ret_version);

/* Says in the log why a record can't be used, and answers ZONE_RECORD_NEWER. `zone` is its name,
 * from zones/model/told.h. */
enum zone_status record_is_newer(const char *zone, uint32_t version);

/* Bytes 8 … 63 of a record, which the MAC covers together with the limits. */
void record_put_bound(uint64_t zone, const struct ezk_version *version, struct buffer *out);
/* Do two say the same in all that the MAC covers, and have they the same MAC? */
bool record_same_bound(const struct ezk_version *a, const struct ezk_version *b);

struct record_set {
	uint64_t zone;
	struct ezk_version *versions; /* ascending, of one project */
	size_t count;
};
/* Is any of them for its store alone? Such a set is neither written for others nor taken in. */
bool record_set_is_kept(const struct record_set *set);
/* ZONE_RECORD_KEPT, with the reason (zones/domain/zone_import.c). */
enum zone_status record_set_refuse_kept(const struct record_set *set);
void record_set_clear(struct record_set *set);
enum zone_status record_set_encode(const struct record_set *set, struct buffer *out);
/* A single record is accepted in place of a set of one. */
enum zone_status record_set_decode(struct bytes records, struct record_set *ret_set);
