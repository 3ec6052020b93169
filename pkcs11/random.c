/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Random number generation functions". */
#include "crypto/crypto.h"
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/session.h"

/* The application's seed is mixed in and never replaces anything. */
CK_RV C_SeedRandom(CK_SESSION_HANDLE handle, CK_BYTE *seed, CK_ULONG seed_len)
{
	AUTO(session_return) struct session *session = NULL;
	struct bytes given = bytes(seed, seed_len);

	TRY(session_borrow(handle, &session));
	if (!bytes_valid(given))
		return told(CKR_ARGUMENTS_BAD);
	return told(crypto_random_add(given) ? CKR_OK : CKR_FUNCTION_FAILED);
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE *random, CK_ULONG random_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	if (!bytes_valid(bytes(random, random_len)))
		return told(CKR_ARGUMENTS_BAD);
	return told(random_len == 0 || crypto_random(random, random_len) ? CKR_OK
									 : CKR_FUNCTION_FAILED);
}
