/* The border between zones/ and PKCS #11: one table from zone_status to CK_RV. The reason's number
 * stays with the thread until the session takes it for C_GetSessionInfo (ulDeviceError). */
#pragma once

#include "pkcs11/cmek.h"
#include "pkcs11/pkcs11.h"
#include "zones/status.h"

/* What the function was doing decides which of the standard's return values fits. */
enum error_place {
	ERROR_INIT,   /* C_*Init, C_WrapKey, C_UnwrapKey, C_DeriveKey: a no is
			 CKR_KEY_FUNCTION_NOT_PERMITTED where that function lists it */
	ERROR_USE,    /* C_Encrypt … : a no is CKR_FUNCTION_FAILED */
	ERROR_OBJECT, /* C_CreateObject, C_GenerateKey, C_SetAttributeValue, C_DestroyObject … */
	ERROR_TOKEN,  /* C_InitToken, C_OpenSession, slots */
	ERROR_UNWRAP, /* data the caller brought: CKR_WRAPPED_KEY_INVALID */
	ERROR_PLACE_COUNT
};

CK_RV error_of_zone(enum zone_status status, enum error_place place);
/* The reason noted by this thread since the last take; CMEK_ERROR_…; resets it. */
CK_ULONG error_take_reason(void);
