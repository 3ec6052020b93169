/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Message digesting functions". */
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/run.h"

CK_RV C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_begin(session, OPERATION_DIGEST, mechanism, 0));
}

CK_RV C_Digest(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *digest,
	       CK_ULONG *digest_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_DIGEST, STEP_ONCE, bytes(data, data_len), digest,
				digest_len));
}

CK_RV C_DigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG part_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_feed(session, OPERATION_DIGEST, bytes(part, part_len)));
}

CK_RV C_DigestKey(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_feed_key(session, key));
}

CK_RV C_DigestFinal(CK_SESSION_HANDLE handle, CK_BYTE *digest, CK_ULONG *digest_len)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_run(session, OPERATION_DIGEST, STEP_LAST, bytes(NULL, 0), digest,
				digest_len));
}
