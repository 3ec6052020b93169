/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One label a purpose; the context is the EZK's zone and version. */
#include "zones/model/derive.h"

#include "base/macros.h"
#include "base/secret.h"
#include "crypto/digest.h"

/* A promise: files written with these labels exist. */
/* clang-format off */
static const char *const labels[] = {
	[EZK_DATA] = "cmek/1/data",
	[EZK_MAC] = "cmek/1/mac",
	[EZK_RECORD] = "cmek/1/record",
	[EZK_DEK_WRAP] = "cmek/1/dek-wrap",
	[EZK_TOKEN_KEY] = "cmek/1/token-key",
	[EZK_TOKEN_DATA] = "cmek/1/token-data",
	[EZK_WRAP_KW] = "cmek/1/wrap-kw",
	[EZK_WRAP_KWP] = "cmek/1/wrap-kwp",
	[EZK_WRAP_CBC_PAD] = "cmek/1/wrap-cbc-pad",
	[EZK_WRAP_GCM] = "cmek/1/wrap-gcm",
	[EZK_WRAP_CCM] = "cmek/1/wrap-ccm",
	[EZK_FINGERPRINT] = "cmek/1/fingerprint",
	[EZK_MEMORY] = "cmek/1/memory", /* never written anywhere */
};
/* clang-format on */
_Static_assert(COUNT_OF(labels) == EZK_PURPOSE_COUNT, "each purpose has a label");

enum { CONTEXT_SIZE = 12 }; /* zone (8) | version (4) */

bool ezk_derive(const uint8_t ezk[static EZK_SIZE], enum ezk_purpose purpose, uint64_t zone,
		uint32_t version, uint8_t ret_key[static EZK_SIZE])
{
	uint8_t context[CONTEXT_SIZE];

	put_big_endian(context, 8, zone);
	put_big_endian(context + 8, 4, version);
	return kdf_counter(bytes(ezk, EZK_SIZE), labels[purpose], bytes(context, sizeof(context)),
			   ret_key);
}

bool ezk_fingerprint(const uint8_t ezk[static EZK_SIZE],
		     uint8_t ret_fingerprint[static FINGERPRINT_SIZE])
{
	uint8_t key[EZK_SIZE];

	if (!ezk_derive(ezk, EZK_FINGERPRINT, 0, 0, key))
		return false;
	memcpy(ret_fingerprint, key, FINGERPRINT_SIZE);
	wipe(key, sizeof(key));
	return true;
}
