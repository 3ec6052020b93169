/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The keys derived from an EZK, one for each purpose (docs/format.md, "Key derivation"). */
#pragma once

#include "zones/ezk/ezk.h"

enum { EZK_SIZE = 32, FINGERPRINT_SIZE = 16 };

/* False: no memory, or the library context is missing. */
bool ezk_derive(const uint8_t ezk[static EZK_SIZE], enum ezk_purpose purpose, uint64_t zone,
		uint32_t version, uint8_t ret_key[static EZK_SIZE]);
/* What identifies an EZK in the store without telling it; the same in whatever zone it is offered,
 * so that one value can't serve two. */
bool ezk_fingerprint(const uint8_t ezk[static EZK_SIZE],
		     uint8_t ret_fingerprint[static FINGERPRINT_SIZE]);
