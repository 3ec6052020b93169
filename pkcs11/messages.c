/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11 3.0, "Message-based encryption functions" and "Message-based decryption functions":
 * translation only. The rules are in session/messages.c. */
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/messages.h"

CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_messages_begin(session, OPERATION_MESSAGE_ENCRYPT, mechanism, key));
}

CK_RV C_EncryptMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		       CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *data, CK_ULONG data_len,
		       CK_BYTE *encrypted, CK_ULONG *encrypted_len)
{
	const struct message_call call = {parameter,	       parameter_len,
					  bytes(aad, aad_len), bytes(data, data_len),
					  encrypted,	       encrypted_len};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message(session, OPERATION_MESSAGE_ENCRYPT, &call));
}

CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			    CK_BYTE *aad, CK_ULONG aad_len)
{
	const struct message_call call = {
		.parameter = parameter, .parameter_len = parameter_len, .aad = bytes(aad, aad_len)};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message_begin(session, OPERATION_MESSAGE_ENCRYPT, &call));
}

CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			   CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted,
			   CK_ULONG *encrypted_len, CK_FLAGS flags)
{
	const struct message_call call = {.parameter = parameter,
					  .parameter_len = parameter_len,
					  .in = bytes(part, part_len),
					  .out = encrypted,
					  .out_len = encrypted_len};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message_next(session, OPERATION_MESSAGE_ENCRYPT, &call, flags));
}

CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE handle)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_messages_end(session, OPERATION_MESSAGE_ENCRYPT));
}

CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_messages_begin(session, OPERATION_MESSAGE_DECRYPT, mechanism, key));
}

CK_RV C_DecryptMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		       CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *encrypted, CK_ULONG encrypted_len,
		       CK_BYTE *data, CK_ULONG *data_len)
{
	const struct message_call call = {
		parameter, parameter_len, bytes(aad, aad_len), bytes(encrypted, encrypted_len),
		data,	   data_len};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message(session, OPERATION_MESSAGE_DECRYPT, &call));
}

CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			    CK_BYTE *aad, CK_ULONG aad_len)
{
	const struct message_call call = {
		.parameter = parameter, .parameter_len = parameter_len, .aad = bytes(aad, aad_len)};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message_begin(session, OPERATION_MESSAGE_DECRYPT, &call));
}

CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			   CK_BYTE *encrypted, CK_ULONG encrypted_len, CK_BYTE *part,
			   CK_ULONG *part_len, CK_FLAGS flags)
{
	const struct message_call call = {.parameter = parameter,
					  .parameter_len = parameter_len,
					  .in = bytes(encrypted, encrypted_len),
					  .out = part,
					  .out_len = part_len};
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_message_next(session, OPERATION_MESSAGE_DECRYPT, &call, flags));
}

CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE handle)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_messages_end(session, OPERATION_MESSAGE_DECRYPT));
}
