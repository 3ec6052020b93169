/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the standard that are not supported, and say so. */
#include "objects/refusal.h"
#include "pkcs11/exported.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define ANSWERS(answer, name, parameters)                                                          \
	CK_RV name parameters                                                                      \
	{                                                                                          \
		return told(answer);                                                               \
	}
#define UNSUPPORTED(name, parameters) ANSWERS(CKR_FUNCTION_NOT_SUPPORTED, name, parameters)

/* clang-format off */

/* No key signs so that the signature gives the data back, and there are no key pairs. */
UNSUPPORTED(C_SignRecoverInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				CK_OBJECT_HANDLE key))
UNSUPPORTED(C_SignRecover, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len,
			    CK_BYTE *signature, CK_ULONG *signature_len))
UNSUPPORTED(C_VerifyRecoverInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				  CK_OBJECT_HANDLE key))
UNSUPPORTED(C_VerifyRecover, (CK_SESSION_HANDLE session, CK_BYTE *signature,
			      CK_ULONG signature_len, CK_BYTE *data, CK_ULONG *data_len))
UNSUPPORTED(C_GenerateKeyPair, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				CK_ATTRIBUTE *public_attributes, CK_ULONG public_count,
				CK_ATTRIBUTE *private_attributes, CK_ULONG private_count,
				CK_OBJECT_HANDLE *ret_public_key,
				CK_OBJECT_HANDLE *ret_private_key))

/* Messages that are signed: C_Sign does the same for MACs. */
UNSUPPORTED(C_MessageSignInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				CK_OBJECT_HANDLE key))
UNSUPPORTED(C_SignMessage, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
			    CK_ULONG parameter_len, CK_BYTE *data, CK_ULONG data_len,
			    CK_BYTE *signature, CK_ULONG *signature_len))
UNSUPPORTED(C_SignMessageBegin, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
				 CK_ULONG parameter_len))
UNSUPPORTED(C_SignMessageNext, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
				CK_ULONG parameter_len, CK_BYTE *part, CK_ULONG part_len,
				CK_BYTE *signature, CK_ULONG *signature_len))
UNSUPPORTED(C_MessageSignFinal, (CK_SESSION_HANDLE session))
UNSUPPORTED(C_MessageVerifyInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				  CK_OBJECT_HANDLE key))
UNSUPPORTED(C_VerifyMessage, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
			      CK_ULONG parameter_len, CK_BYTE *data, CK_ULONG data_len,
			      CK_BYTE *signature, CK_ULONG signature_len))
UNSUPPORTED(C_VerifyMessageBegin, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
				   CK_ULONG parameter_len))
UNSUPPORTED(C_VerifyMessageNext, (CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
				  CK_ULONG parameter_len, CK_BYTE *part, CK_ULONG part_len,
				  CK_BYTE *signature, CK_ULONG signature_len))
UNSUPPORTED(C_MessageVerifyFinal, (CK_SESSION_HANDLE session))

/* 3.2: no key pairs here, and signatures are MACs (C_Verify); each call has done its work when it returns. */
UNSUPPORTED(C_EncapsulateKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			       CK_OBJECT_HANDLE public_key, CK_ATTRIBUTE *attributes,
			       CK_ULONG count, CK_BYTE *encapsulated, CK_ULONG *encapsulated_len,
			       CK_OBJECT_HANDLE *ret_key))
UNSUPPORTED(C_DecapsulateKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			       CK_OBJECT_HANDLE private_key, CK_ATTRIBUTE *attributes,
			       CK_ULONG count, CK_BYTE *encapsulated, CK_ULONG encapsulated_len,
			       CK_OBJECT_HANDLE *ret_key))
UNSUPPORTED(C_VerifySignatureInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
				    CK_OBJECT_HANDLE key, CK_BYTE *signature,
				    CK_ULONG signature_len))
UNSUPPORTED(C_VerifySignature, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len))
UNSUPPORTED(C_VerifySignatureUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len))
UNSUPPORTED(C_VerifySignatureFinal, (CK_SESSION_HANDLE session))
UNSUPPORTED(C_AsyncComplete, (CK_SESSION_HANDLE session, CK_UTF8CHAR *function,
			      CK_ASYNC_DATA *ret_result))
UNSUPPORTED(C_AsyncGetID, (CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG *ret_id))
UNSUPPORTED(C_AsyncJoin, (CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG id,
			  CK_BYTE *data, CK_ULONG data_len))

/* This module is not validated (docs/fips.md). */
UNSUPPORTED(C_GetSessionValidationFlags, (CK_SESSION_HANDLE session,
					  CK_SESSION_VALIDATION_FLAGS_TYPE type,
					  CK_FLAGS *ret_flags))

/* Legacy functions, for which the standard prescribes the answer. */
ANSWERS(CKR_FUNCTION_NOT_PARALLEL, C_GetFunctionStatus, (CK_SESSION_HANDLE session))
ANSWERS(CKR_FUNCTION_NOT_PARALLEL, C_CancelFunction, (CK_SESSION_HANDLE session))
