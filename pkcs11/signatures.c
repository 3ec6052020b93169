/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Signing and MACing functions" and "Functions for verifying signatures and MACs": MACs
 * alone, since there are no key pairs here. The rules are in session/run.c. */
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/run.h"

CK_RV C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_begin(session, OPERATION_SIGN, mechanism, key));
}

CK_RV C_Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
	     CK_ULONG *signature_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_SIGN, STEP_ONCE, bytes(data, data_len),
				signature, signature_len));
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_feed(session, OPERATION_SIGN, bytes(part, part_len)));
}

CK_RV C_SignFinal(CK_SESSION_HANDLE handle, CK_BYTE *signature, CK_ULONG *signature_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_SIGN, STEP_LAST, bytes(NULL, 0), signature,
				signature_len));
}

CK_RV C_VerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_begin(session, OPERATION_VERIFY, mechanism, key));
}

CK_RV C_Verify(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
	       CK_ULONG signature_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_verify(session, STEP_ONCE, bytes(data, data_len),
				   bytes(signature, signature_len)));
}

CK_RV C_VerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_feed(session, OPERATION_VERIFY, bytes(part, part_len)));
}

CK_RV C_VerifyFinal(CK_SESSION_HANDLE handle, CK_BYTE *signature, CK_ULONG signature_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_verify(session, STEP_LAST, bytes(NULL, 0),
				   bytes(signature, signature_len)));
}
