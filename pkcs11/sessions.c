/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Session management functions". */
#include "objects/error.h"
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/output.h"
#include "session/run.h"

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
		    CK_SESSION_HANDLE *ret_session)
{
	CK_SESSION_HANDLE handle;

	(void)application; /* no callbacks are ever made */
	(void)notify;
	TRY(error_ended(told(session_open(slot, flags, ret_session == NULL ? NULL : &handle))));
	put_ulong(ret_session, handle);
	return CKR_OK;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE handle)
{
	return error_ended(told(session_close(handle)));
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
	return error_ended(told(session_close_all(slot)));
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *ret_info)
{
	CK_SESSION_INFO info;

	TRY(told(session_info(handle, &info)));
	if (ret_info == NULL)
		return told(CKR_ARGUMENTS_BAD);
	memcpy((void *)ret_info, &info, sizeof(info));
	return CKR_OK;
}

CK_RV C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	CK_SESSION_INFO info;

	TRY(told(session_info(handle, &info)));
	if (pin == NULL && pin_len != 0)
		return told(CKR_ARGUMENTS_BAD);
	return error_ended(told(session_login(handle, user, bytes(pin, pin_len))));
}

/* A name is not looked at: there is one user. */
CK_RV C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
		  CK_UTF8CHAR *name, CK_ULONG name_len)
{
	CK_SESSION_INFO info;

	TRY(told(session_info(handle, &info)));
	if ((pin == NULL && pin_len != 0) || (name == NULL && name_len != 0))
		return told(CKR_ARGUMENTS_BAD);
	return error_ended(told(session_login(handle, user, bytes(pin, pin_len))));
}

CK_RV C_InitPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
	CK_SESSION_INFO info;

	TRY(told(session_info(handle, &info)));
	if (!bytes_valid(bytes(pin, pin_len)))
		return told(CKR_ARGUMENTS_BAD);
	return error_ended(told(session_init_pin(handle, bytes(pin, pin_len))));
}

CK_RV C_SetPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *old_pin, CK_ULONG old_pin_len,
	       CK_UTF8CHAR *new_pin, CK_ULONG new_pin_len)
{
	CK_SESSION_INFO info;

	TRY(told(session_info(handle, &info)));
	if (!bytes_valid(bytes(old_pin, old_pin_len)) || !bytes_valid(bytes(new_pin, new_pin_len)))
		return told(CKR_ARGUMENTS_BAD);
	return error_ended(told(
		session_set_pin(handle, bytes(old_pin, old_pin_len), bytes(new_pin, new_pin_len))));
}

CK_RV C_Logout(CK_SESSION_HANDLE handle)
{
	return error_ended(told(session_logout(handle)));
}

CK_RV C_SessionCancel(CK_SESSION_HANDLE handle, CK_FLAGS flags)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	session_cancel(session, flags);
	return CKR_OK;
}
