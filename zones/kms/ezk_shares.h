/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EZK that two owners hold together (docs/format.md, 3.2; docs/lifecycle.md, "Two owners"): it
 * is the XOR of two shares, each encrypted by the root key of one owner, under an encryption
 * context that says which share it is. One share says nothing of the EZK. Only for files of
 * zones/kms/.
 */
#pragma once

#include "zones/kms/ezk_version.h"

enum { SHARES_SIZE = SHARE_COUNT * EZK_SIZE };

/* Share 1, drawn here unless `has_first` says that it is there already, and share 2, of an EZK; one
 * behind the other, in locked memory of the caller's. No KMS. ZONE_NOT_STARTED: nothing drawn. */
enum zone_status ezk_shares_split(const uint8_t ezk[static EZK_SIZE], bool has_first,
				  uint8_t ret_shares[static SHARES_SIZE]);
/* The EZK, in locked memory of the caller's. */
void ezk_shares_combine(const uint8_t first[static EZK_SIZE], const uint8_t second[static EZK_SIZE],
			uint8_t ret_ezk[static EZK_SIZE]);

/* KMS: wraps share `i` + 1 by keys[i] (ARNs). ret_version: the wraps are added to it, active.
 * `door`'s key and context are not looked at. ZONE_INVALID: the two are one key. */
enum zone_status ezk_shares_wrap(const struct kms_door *door, const struct ezk_identity *identity,
				 const char *const keys[static SHARE_COUNT],
				 const uint8_t shares[static SHARES_SIZE],
				 struct ezk_version *ret_version);
/* ZONE_INVALID, and the log says so: two owners need two root keys, and related ones are one. */
enum zone_status ezk_shares_check_keys(const struct kms_door *door, const char *first,
				       const char *second);

/*
 * The rule among the wraps of a version in AND (ezk_version_by_wraps): both shares are asked for,
 * and what they make is the EZK that the MAC is about. A no of either is the answer, at once; where
 * one owner's KMS does not answer, the other is still asked, since that may be a no. A wrap that
 * was replaced is opened only where what replaces it is unproven and holds no share of the key.
 */
enum zone_status ezk_shares_open(const struct kms_door *door, uint64_t zone,
				 const struct ezk_version *version, ezk_open_by *open, void *state,
				 struct ezk_opened *ret_opened, uint8_t ret_ezk[static EZK_SIZE]);
