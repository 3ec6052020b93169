/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/retry.h"

#include "base/macros.h"
#include "include/cmek.h"

enum { FIRST_MS = 100, LONGEST_MS = 3000 };

/* The reasons that pass: from, to. */
static const CK_ULONG passing[][2] = {
	{CMEK_ERROR_KMS_DENIED, CMEK_ERROR_KMS_KEY_STORE_UNAVAILABLE},
	{CMEK_ERROR_KMS_UNAVAILABLE, CMEK_ERROR_KMS_BAD_ANSWER},
	{CMEK_ERROR_KMS_KEY_OUT_OF_REACH, CMEK_ERROR_KMS_KEY_OUT_OF_REACH},
	{CMEK_ERROR_STORE_UNAVAILABLE, CMEK_ERROR_STORE_UNAVAILABLE},
	{CMEK_ERROR_STORE_CONFLICT, CMEK_ERROR_STORE_CONFLICT},
	{CMEK_ERROR_AUDIT_UNAVAILABLE, CMEK_ERROR_AUDIT_UNAVAILABLE},
};

bool envelope_may_pass(enum envelope_status status, const struct envelope_error *error)
{
	if (status != ENVELOPE_MODULE)
		return false;
	for (size_t i = 0; i < COUNT_OF(passing); i++)
		if (error->reason >= passing[i][0] && error->reason <= passing[i][1])
			return true;
	return false;
}

unsigned envelope_retry_ms(unsigned attempt)
{
	unsigned ms = FIRST_MS;

	for (; attempt > 1 && ms < LONGEST_MS; attempt--)
		ms *= 2;
	return ms < LONGEST_MS ? ms : LONGEST_MS;
}
