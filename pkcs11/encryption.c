/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Encryption functions" and "Decryption functions": translation only. The rules are in
 * session/run.c. */
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/run.h"

CK_RV C_EncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_begin(session, OPERATION_ENCRYPT, mechanism, key));
}

CK_RV C_Encrypt(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *encrypted,
		CK_ULONG *encrypted_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_ENCRYPT, STEP_ONCE, bytes(data, data_len),
				encrypted, encrypted_len));
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len,
		      CK_BYTE *encrypted, CK_ULONG *encrypted_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_ENCRYPT, STEP_PART, bytes(part, part_len),
				encrypted, encrypted_len));
}

CK_RV C_EncryptFinal(CK_SESSION_HANDLE handle, CK_BYTE *last, CK_ULONG *last_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(
		session_run(session, OPERATION_ENCRYPT, STEP_LAST, bytes(NULL, 0), last, last_len));
}

CK_RV C_DecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_begin(session, OPERATION_DECRYPT, mechanism, key));
}

CK_RV C_Decrypt(CK_SESSION_HANDLE handle, CK_BYTE *encrypted, CK_ULONG encrypted_len, CK_BYTE *data,
		CK_ULONG *data_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_DECRYPT, STEP_ONCE,
				bytes(encrypted, encrypted_len), data, data_len));
}

CK_RV C_DecryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *encrypted, CK_ULONG encrypted_len,
		      CK_BYTE *part, CK_ULONG *part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_DECRYPT, STEP_PART,
				bytes(encrypted, encrypted_len), part, part_len));
}

CK_RV C_DecryptFinal(CK_SESSION_HANDLE handle, CK_BYTE *last, CK_ULONG *last_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(
		session_run(session, OPERATION_DECRYPT, STEP_LAST, bytes(NULL, 0), last, last_len));
}
