/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Key management functions". */
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/keys.h"

CK_RV C_GenerateKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes,
		    CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_generate(session, mechanism, attributes, count, ret_key));
}

CK_RV C_WrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,
		CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *wrapped_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_wrap(session, mechanism, wrapping_key, key, wrapped, wrapped_len));
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
		  CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped, CK_ULONG wrapped_len,
		  CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_unwrap(session, mechanism, unwrapping_key, bytes(wrapped, wrapped_len),
				   attributes, count, ret_key));
}

CK_RV C_WrapKeyAuthenticated(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
			     CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *aad,
			     CK_ULONG aad_len, CK_BYTE *wrapped, CK_ULONG *wrapped_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_wrap_apart(session, mechanism, wrapping_key, key, bytes(aad, aad_len),
				       wrapped, wrapped_len));
}

CK_RV C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
			       CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped,
			       CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count,
			       CK_BYTE *aad, CK_ULONG aad_len, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_unwrap_apart(session, mechanism, unwrapping_key,
					 bytes(wrapped, wrapped_len), bytes(aad, aad_len),
					 attributes, count, ret_key));
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_key,
		  CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_derive(session, mechanism, base_key, attributes, count, ret_key));
}
