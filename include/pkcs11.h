/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PKCS #11 ("Cryptoki") C interface, complete for 2.40, 3.0, 3.1 and 3.2: types and general
 * structures here, constants, mechanism parameters and functions in the three headers included
 * below. Only declarations; the layout is the one of Unix (natural alignment). We carry our own
 * because the header that systems ship differs by release. Vendor numbers are in cmek.h.
 */
#pragma once

#include "pkcs11_constants.h"

#define CRYPTOKI_VERSION_MAJOR	   3
#define CRYPTOKI_VERSION_MINOR	   2
#define CRYPTOKI_VERSION_AMENDMENT 0

#ifdef __cplusplus
#define NULL_PTR nullptr
#else
#define NULL_PTR ((void *)0)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Basic types. CK_ULONG has the size of a pointer; handles, flags and all numbered things are
 * CK_ULONGs under another name. */
typedef unsigned char CK_BYTE, *CK_BYTE_PTR;
typedef CK_BYTE CK_CHAR, *CK_CHAR_PTR;
typedef CK_BYTE CK_UTF8CHAR, *CK_UTF8CHAR_PTR;
typedef CK_BYTE CK_BBOOL, *CK_BBOOL_PTR;
typedef unsigned long int CK_ULONG, *CK_ULONG_PTR;
typedef long int CK_LONG, *CK_LONG_PTR;
typedef void *CK_VOID_PTR, **CK_VOID_PTR_PTR;

typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_FLAGS, *CK_FLAGS_PTR;
typedef CK_ULONG CK_SLOT_ID, *CK_SLOT_ID_PTR;
typedef CK_ULONG CK_SESSION_HANDLE, *CK_SESSION_HANDLE_PTR;
typedef CK_ULONG CK_OBJECT_HANDLE, *CK_OBJECT_HANDLE_PTR;
typedef CK_ULONG CK_OBJECT_CLASS, *CK_OBJECT_CLASS_PTR;
typedef CK_ULONG CK_ATTRIBUTE_TYPE, *CK_ATTRIBUTE_TYPE_PTR;
typedef CK_ULONG CK_MECHANISM_TYPE, *CK_MECHANISM_TYPE_PTR;
typedef CK_ULONG CK_KEY_TYPE, *CK_KEY_TYPE_PTR;
typedef CK_ULONG CK_CERTIFICATE_TYPE, *CK_CERTIFICATE_TYPE_PTR;
typedef CK_ULONG CK_CERTIFICATE_CATEGORY, *CK_CERTIFICATE_CATEGORY_PTR;
typedef CK_ULONG CK_JAVA_MIDP_SECURITY_DOMAIN, *CK_JAVA_MIDP_SECURITY_DOMAIN_PTR;
typedef CK_ULONG CK_HW_FEATURE_TYPE, *CK_HW_FEATURE_TYPE_PTR;
typedef CK_ULONG CK_PROFILE_ID, *CK_PROFILE_ID_PTR;
typedef CK_ULONG CK_NOTIFICATION, *CK_NOTIFICATION_PTR;
typedef CK_ULONG CK_STATE, *CK_STATE_PTR;
typedef CK_ULONG CK_USER_TYPE, *CK_USER_TYPE_PTR;
typedef CK_ULONG CK_TRUST, *CK_TRUST_PTR;
typedef CK_ULONG CK_VALIDATION_TYPE, *CK_VALIDATION_TYPE_PTR;
typedef CK_ULONG CK_VALIDATION_AUTHORITY_TYPE, *CK_VALIDATION_AUTHORITY_TYPE_PTR;
typedef CK_ULONG CK_SESSION_VALIDATION_FLAGS_TYPE, *CK_SESSION_VALIDATION_FLAGS_TYPE_PTR;

typedef struct CK_VERSION {
	CK_BYTE major;
	CK_BYTE minor; /* in hundredths: 2.40 is {2, 40}, 3.2 is {3, 2} */
} CK_VERSION, *CK_VERSION_PTR;

/* Texts in the information structures are UTF-8, padded with blanks, without a final NUL. */
typedef struct CK_INFO {
	CK_VERSION cryptokiVersion;
	CK_UTF8CHAR manufacturerID[32];
	CK_FLAGS flags;
	CK_UTF8CHAR libraryDescription[32];
	CK_VERSION libraryVersion;
} CK_INFO, *CK_INFO_PTR;

typedef struct CK_SLOT_INFO {
	CK_UTF8CHAR slotDescription[64];
	CK_UTF8CHAR manufacturerID[32];
	CK_FLAGS flags;
	CK_VERSION hardwareVersion;
	CK_VERSION firmwareVersion;
} CK_SLOT_INFO, *CK_SLOT_INFO_PTR;

typedef struct CK_TOKEN_INFO {
	CK_UTF8CHAR label[32];
	CK_UTF8CHAR manufacturerID[32];
	CK_UTF8CHAR model[16];
	CK_CHAR serialNumber[16];
	CK_FLAGS flags;
	CK_ULONG ulMaxSessionCount;
	CK_ULONG ulSessionCount;
	CK_ULONG ulMaxRwSessionCount;
	CK_ULONG ulRwSessionCount;
	CK_ULONG ulMaxPinLen;
	CK_ULONG ulMinPinLen;
	CK_ULONG ulTotalPublicMemory;
	CK_ULONG ulFreePublicMemory;
	CK_ULONG ulTotalPrivateMemory;
	CK_ULONG ulFreePrivateMemory;
	CK_VERSION hardwareVersion;
	CK_VERSION firmwareVersion;
	CK_CHAR utcTime[16];
} CK_TOKEN_INFO, *CK_TOKEN_INFO_PTR;

typedef struct CK_SESSION_INFO {
	CK_SLOT_ID slotID;
	CK_STATE state;
	CK_FLAGS flags;
	CK_ULONG ulDeviceError;
} CK_SESSION_INFO, *CK_SESSION_INFO_PTR;

typedef struct CK_ATTRIBUTE {
	CK_ATTRIBUTE_TYPE type;
	CK_VOID_PTR pValue;
	CK_ULONG ulValueLen; /* in bytes */
} CK_ATTRIBUTE, *CK_ATTRIBUTE_PTR;

typedef struct CK_DATE {
	CK_CHAR year[4]; /* digits */
	CK_CHAR month[2];
	CK_CHAR day[2];
} CK_DATE, *CK_DATE_PTR;

typedef struct CK_MECHANISM {
	CK_MECHANISM_TYPE mechanism;
	CK_VOID_PTR pParameter;
	CK_ULONG ulParameterLen; /* in bytes */
} CK_MECHANISM, *CK_MECHANISM_PTR;

typedef struct CK_MECHANISM_INFO {
	CK_ULONG ulMinKeySize; /* bits or bytes: the mechanism says which */
	CK_ULONG ulMaxKeySize;
	CK_FLAGS flags;
} CK_MECHANISM_INFO, *CK_MECHANISM_INFO_PTR;

/* Callbacks of an application. */
typedef CK_RV (*CK_NOTIFY)(CK_SESSION_HANDLE session, CK_NOTIFICATION event,
			   CK_VOID_PTR application);
typedef CK_RV (*CK_CREATEMUTEX)(CK_VOID_PTR *ret_mutex);
typedef CK_RV (*CK_DESTROYMUTEX)(CK_VOID_PTR mutex);
typedef CK_RV (*CK_LOCKMUTEX)(CK_VOID_PTR mutex);
typedef CK_RV (*CK_UNLOCKMUTEX)(CK_VOID_PTR mutex);

typedef struct CK_C_INITIALIZE_ARGS {
	CK_CREATEMUTEX CreateMutex;
	CK_DESTROYMUTEX DestroyMutex;
	CK_LOCKMUTEX LockMutex;
	CK_UNLOCKMUTEX UnlockMutex;
	CK_FLAGS flags;
	CK_VOID_PTR pReserved;
} CK_C_INITIALIZE_ARGS, *CK_C_INITIALIZE_ARGS_PTR;

/* A function list and its name (3.0). */
typedef struct CK_INTERFACE {
	CK_UTF8CHAR *pInterfaceName;
	CK_VOID_PTR pFunctionList; /* begins with a CK_VERSION */
	CK_FLAGS flags;
} CK_INTERFACE, *CK_INTERFACE_PTR, **CK_INTERFACE_PTR_PTR;

/* The result of an asynchronous call (3.2). */
typedef struct CK_ASYNC_DATA {
	CK_ULONG ulVersion;
	CK_BYTE *pValue;
	CK_ULONG ulValue;
	CK_OBJECT_HANDLE hObject;
	CK_OBJECT_HANDLE hAdditionalObject;
} CK_ASYNC_DATA, *CK_ASYNC_DATA_PTR;

#ifdef __cplusplus
}
#endif

#include "pkcs11_functions.h"
#include "pkcs11_params.h"
