/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The keys derived from an EZK, one for each purpose (docs/format.md, "Key derivation"). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* docs/format.md: labels of the derivation. */
enum ezk_purpose {
	EZK_DATA,
	EZK_MAC,
	EZK_RECORD,
	EZK_DEK_WRAP,
	EZK_TOKEN_KEY,	/* those that the store keeps */
	EZK_TOKEN_DATA, /* data that it keeps */
	EZK_WRAP_KW,
	EZK_WRAP_KWP, /* KWP and 0x210A */
	EZK_WRAP_CBC_PAD,
	EZK_WRAP_GCM,
	EZK_WRAP_CCM,
	EZK_FINGERPRINT,
	EZK_MEMORY, /* struct masked_value */
	EZK_PURPOSE_COUNT
};

enum { EZK_SIZE = 32, FINGERPRINT_SIZE = 16 };

/* False: no memory, or the library context is missing. */
bool ezk_derive(const uint8_t ezk[static EZK_SIZE], enum ezk_purpose purpose, uint64_t zone,
		uint32_t version, uint8_t ret_key[static EZK_SIZE]);
/* What identifies an EZK in the store without telling it; the same in whatever zone it is offered,
 * so that one value can't serve two. */
bool ezk_fingerprint(const uint8_t ezk[static EZK_SIZE],
		     uint8_t ret_fingerprint[static FINGERPRINT_SIZE]);
