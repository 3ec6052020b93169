/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version of an EZK is wrapped by other root keys. Where the KMS re-encrypts, the plaintext stays
 * there, and what came of it is unproven (zones/model/wraps.h); elsewhere, or where that right is
 * lacking, the EZK is opened and encrypted here, in locked memory, which needs kms:Decrypt, and
 * what came of it is proven at once. One call for each wrap that is made in the first way.
 */
#pragma once

#include "zones/kms/door.h"
#include "zones/model/entry.h"

/* How a version is to be wrapped. Borrowed. */
struct ezk_wish {
	const char *const *keys; /* the ARNs of its root keys, the first one first */
	size_t count;
	bool anew; /* also what is wrapped by them already: under their newest material; of two
		      owners by the first of them alone */
	/* Of two owners: count is SHARE_COUNT, and each key gets a share; a share whose key is
	 * among them stays with it. */
	bool both;
};

/* KMS: ret_wrapped is a copy of `version` with such wraps. `zone`: that of its record. `door`'s
 * key and context are not looked at. ZONE_KMS_DENIED: neither way is allowed, which is logged.
 * Where one key becomes two owners', or theirs one's, the EZK is opened, split or joined, and
 * opened once more by what came of it: that needs kms:Decrypt by all of them, and leaves nothing of
 * before. A share alone moves as a whole EZK does. ZONE_INVALID: two owners by one key. */
enum zone_status ezk_version_rewrap(const struct kms_door *door, uint64_t zone,
				    const struct ezk_version *version, const struct ezk_wish *wish,
				    struct ezk_version *ret_wrapped);
/* KMS: a copy whose wraps are proven, as far as this process can open them. */
enum zone_status ezk_version_try(const struct kms_door *door, uint64_t zone,
				 const struct ezk_version *version, struct ezk_version *ret_proven);
