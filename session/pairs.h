/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* "Dual-function cryptographic functions": a part goes through two operations in one call. */
#pragma once

#include "mechanisms/operation.h"
#include "session/session.h"

/* C_DigestEncryptUpdate and its kin: `crypts` is OPERATION_ENCRYPT or _DECRYPT, `other` gets the
 * plaintext: OPERATION_DIGEST, _SIGN or _VERIFY. A length query, and too little room, reach
 * neither; an error ends both. What only the last step of a decryption gives (all, by GCM and CCM)
 * the caller passes to the other itself. */
CK_RV session_run_pair(struct session *session, enum operation_kind crypts,
		       enum operation_kind other, struct bytes in, CK_BYTE *out, CK_ULONG *out_len);
