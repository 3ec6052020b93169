/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The border between zones/ and PKCS #11: one table from zone_status to CK_RV. The reason's number
 * stays with the thread until the session takes it for C_GetSessionInfo (ulDeviceError). */
#pragma once

#include "base/thread.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "zones/model/status.h"

/* What the function was doing decides which of the standard's return values fits. */
enum error_place {
	ERROR_INIT,    /* C_*Init: a refusal is CKR_KEY_FUNCTION_NOT_PERMITTED */
	ERROR_USE,     /* C_Encrypt … under an EZK or a DEK: a refusal is CKR_FUNCTION_FAILED */
	ERROR_KMS,     /* C_Encrypt, C_Decrypt by a root key: the data is the caller's */
	ERROR_WRAP,    /* C_WrapKey, C_DeriveKey */
	ERROR_UNWRAP,  /* C_UnwrapKey of a DEK: a blob that does not open is
			* CKR_WRAPPED_KEY_INVALID, but a refused EZK blob, which is the store's, is
			* CKR_DEVICE_ERROR */
	ERROR_IMPORT,  /* C_UnwrapKey by a root key: the EZK blob is the caller's too */
	ERROR_OBJECT,  /* C_CreateObject, C_CopyObject, C_GenerateKey, C_SetAttributeValue */
	ERROR_DESTROY, /* C_DestroyObject */
	ERROR_TOKEN,   /* C_InitToken, C_OpenSession, slots, C_FindObjectsInit */
	ERROR_PLACE_COUNT
};

/* The reason's number alone. */
CK_ULONG error_reason_of(enum zone_status status);
CK_RV error_of_zone(enum zone_status status, enum error_place place);
/* Notes a reason that does not come from zones/. */
void error_note(CK_ULONG reason);
/* The reason that this thread has noted since the last take; CMEK_ERROR_…; resets it. */
CK_ULONG error_take_reason(void);
/* The last reason that was noted, of the last call that was refused or since; CMEK_ERROR_NONE: that
 * call had none. */
CK_ULONG error_last_reason(void);
/* A call is refused with this value: what earlier calls left for error_last_reason() and log_last()
 * is forgotten, so that nobody takes it for the reason of this one. Values that tell a caller how
 * to go on (a buffer is too small) leave it. */
void error_refused(CK_RV rv);
/* Any call ends, after error_refused: what it has noted (a warning of one that went well) is no
 * reason of a later one. */
void error_call_ends(void);
/* Answers rv: for calls that give back what they borrow (session_leave, module_leave) before what
 * they answer is told. */
static inline CK_RV error_ended(CK_RV rv)
{
	if (atomic_load_explicit(&thread_news, memory_order_relaxed) != 0) /* ever */
		error_call_ends();
	return rv;
}
