/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of an EZK, made and opened by the KMS. What is made is written by zones/model/record.h.
 */
#pragma once

#include "zones/kms/door.h"
#include "zones/model/derive.h"
#include "zones/model/entry.h"
#include "zones/model/limits.h"

/* What an EZK is bound to, in the KMS (encryption context) and by its MAC. */
struct ezk_identity {
	struct uid project;
	struct uid cluster;
	uint64_t zone;
	uint32_t version;
	struct lease_bounds lease;
	uint8_t share; /* what is encrypted: 0 the whole EZK, else that share of it */
};

/* The encryption context of an EZK, purpose `ezk`. Points into itself: don't copy it. */
struct ezk_context {
	char project[2 * UID_SIZE + 1];
	char cluster[2 * UID_SIZE + 1];
	char zone[21];
	char version[11];
	char max_lease[11];
	char max_stale[11];
	struct kms_pair pairs[8];
	struct kms_context context;
};
void ezk_context_init(struct ezk_context *ret_context, const struct ezk_identity *identity);

struct ezk_seal {
	struct ezk_identity identity;
	uint32_t greatest_usages;
	struct bytes limits; /* borrowed; those of leases, and `kept`, are put behind them */
	bool kept;	     /* the record stays in its store (LIMIT_KEPT) */
	int64_t created_ms;
	bool from_kms;	    /* the key is drawn by GenerateDataKey, not by our own CSPRNG */
	const uint8_t *key; /* 32 bytes that exist already (an import); NULL: drawn */
	/* The root key (ARN) of a second owner: the EZK opens only by both. NULL: none. */
	const char *second;
	/* The version that this one follows: it has that one's ids (`identity` counts for zone and
	 * version alone), usages and limits, and is wrapped as that is: by each root key that has a
	 * wrap of it in use, in its policy. NULL: none; then `door->key` wraps it, with `second`.
	 */
	const struct ezk_version *like;
};

/* What opened a version: one wrap, or one of each share. Borrowed from it. */
struct ezk_opened {
	const struct wrap *by[SHARE_COUNT];
	size_t count;
};

/* KMS: makes a version under the root key `door->key` (an ARN), with its wraps, MAC and
 * fingerprint. The plaintext is not given out: the first use decrypts it, which shows that the
 * right to do so is there and that what was stored opens. ZONE_INVALID: the limits are malformed,
 * or more than LIMITS_MAX, or the root keys of two owners are one key; ZONE_RECORD_CORRUPT: `like`
 * lacks what every record has. */
enum zone_status ezk_version_seal(const struct kms_door *door, const struct ezk_seal *seal,
				  struct ezk_version *ret_version);

/*
 * KMS: the EZK, by any of its wraps (in their order; `door->key` and context are not looked at); 32
 * bytes, MAC and, if known, fingerprint found good: else ZONE_RECORD_CORRUPT, as where those of
 * leases are missing; and then the limits: ZONE_RECORD_NEWER. If none opens, an explicit no of any
 * of them is the answer. A wrap that was replaced is opened only if all that replaces it is
 * unproven and turns out not to hold the key; never after a no or an outage. In AND both owners'
 * root keys must say yes (zones/kms/ezk_shares.h). ZONE_RECORD_CORRUPT: wraps and policy disagree.
 */
enum zone_status ezk_version_open(const struct kms_door *door, uint64_t zone,
				  const struct ezk_version *version,
				  uint8_t ret_ezk[static EZK_SIZE]);
/* KMS: the same by one wrap; of a share, that share, which no MAC tells from any other 32 bytes:
 * for ezk_shares_open(), and for whoever moves it or asks no more than whether its root key says
 * yes. */
enum zone_status ezk_wrap_open(const struct kms_door *door, uint64_t zone,
			       const struct ezk_version *version, const struct wrap *wrap,
			       uint8_t ret_ezk[static EZK_SIZE]);
/* Is it the key that the record is about? `by`: the root key that decrypted it, for the log; NULL:
 * those of two owners. No KMS.
 * ZONE_RECORD_CORRUPT, ZONE_RECORD_NEWER. */
enum zone_status ezk_version_check(const struct kms_door *door, uint64_t zone,
				   const struct ezk_version *version, const char *by,
				   const uint8_t ezk[static EZK_SIZE]);
/* Whether what came of that says that the wrap does not hold the key, whoever may open it. */
bool ezk_wrap_is_bad(enum zone_status status);
/* And the rule among wraps alone: `open` is called for one after the other until it opens, or has
 * brought each share. */
typedef enum zone_status ezk_open_by(void *state, const struct ezk_version *version,
				     const struct wrap *wrap, uint8_t ret_ezk[static EZK_SIZE]);
enum zone_status ezk_version_by_wraps(const struct kms_door *door, uint64_t zone,
				      const struct ezk_version *version, ezk_open_by *open,
				      void *state, struct ezk_opened *ret_opened,
				      uint8_t ret_ezk[static EZK_SIZE]);
