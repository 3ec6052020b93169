/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/slots.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdlib.h>
#include <string.h>

enum { MADE_MEANWHILE = 16 };

CK_RV library_slots(const CK_FUNCTION_LIST *functions, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	CK_ULONG count = 0;

	TRY(functions->C_GetSlotList(CK_FALSE, NULL, &count));
	count += MADE_MEANWHILE;
	slots = calloc(count, sizeof(*slots));
	if (slots != NULL)
		TRY(functions->C_GetSlotList(CK_FALSE, slots, &count));
	*ret_slots = TAKE(slots);
	*ret_count = count;
	return CKR_OK;
}

static bool is_initialized(const CK_TOKEN_INFO *info)
{
	return (info->flags & CKF_TOKEN_INITIALIZED) != 0;
}

static void take_padded(const CK_UTF8CHAR *padded, size_t len, char *ret_text)
{
	while (len > 0 && padded[len - 1] == ' ')
		len--;
	memcpy(ret_text, padded, len);
	ret_text[len] = '\0';
}

bool library_slot_read(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id,
		       struct library_slot *ret_slot)
{
	CK_TOKEN_INFO info;

	if (functions->C_GetTokenInfo(id, &info) != CKR_OK || !is_initialized(&info))
		return false;
	ret_slot->id = id;
	take_padded(info.label, sizeof(info.label), ret_slot->project);
	take_padded(info.serialNumber, sizeof(info.serialNumber), ret_slot->serial);
	ret_slot->read_only = (info.flags & CKF_WRITE_PROTECTED) != 0;
	ret_slot->wants_login = (info.flags & CKF_LOGIN_REQUIRED) != 0;
	return true;
}

bool library_slot_is_free(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id)
{
	CK_TOKEN_INFO info;
	CK_RV rv = functions->C_GetTokenInfo(id, &info);

	return rv == CKR_TOKEN_NOT_RECOGNIZED || (rv == CKR_OK && !is_initialized(&info));
}

CK_RV library_slot_open(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id, bool read_only,
			CK_SESSION_HANDLE *ret_session)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (read_only ? 0 : CKF_RW_SESSION);

	return functions->C_OpenSession(id, flags, NULL, NULL, ret_session);
}

bool library_login_without(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session)
{
	CK_RV rv = functions->C_Login(session, CKU_USER, (CK_UTF8CHAR *)"", 0);

	return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
}

bool library_is_users(CK_STATE state)
{
	return state == CKS_RW_USER_FUNCTIONS || state == CKS_RO_USER_FUNCTIONS;
}
