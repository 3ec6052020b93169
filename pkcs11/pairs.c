/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Dual-function cryptographic functions", and the states of operations. The rules are in
 * session/pairs.c and session/states.c. */
#include "session/pairs.h"

#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/states.h"

CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len,
			    CK_BYTE *encrypted, CK_ULONG *encrypted_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run_pair(session, OPERATION_ENCRYPT, OPERATION_DIGEST,
				     bytes(part, part_len), encrypted, encrypted_len));
}

CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE *encrypted, CK_ULONG encrypted_len,
			    CK_BYTE *part, CK_ULONG *part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run_pair(session, OPERATION_DECRYPT, OPERATION_DIGEST,
				     bytes(encrypted, encrypted_len), part, part_len));
}

CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len,
			  CK_BYTE *encrypted, CK_ULONG *encrypted_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run_pair(session, OPERATION_ENCRYPT, OPERATION_SIGN,
				     bytes(part, part_len), encrypted, encrypted_len));
}

CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE *encrypted, CK_ULONG encrypted_len,
			    CK_BYTE *part, CK_ULONG *part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run_pair(session, OPERATION_DECRYPT, OPERATION_VERIFY,
				     bytes(encrypted, encrypted_len), part, part_len));
}

CK_RV C_GetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG *state_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_save_state(session, state, state_len));
}

CK_RV C_SetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG state_len,
			  CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_restore_state(session, bytes(state, state_len),
					  encryption_key != CK_INVALID_HANDLE ||
						  authentication_key != CK_INVALID_HANDLE));
}
