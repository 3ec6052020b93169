/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of PKCS #11: prototypes, and the three function lists, in the order of the
 * standard. Part of pkcs11.h.
 *
 * The order is written once, in CK_FUNCTIONS_2_40(F), _3_0 and _3_2, which apply a macro F to each
 * function in turn: pointer types, members of the lists and their initial values come from it.
 */
#pragma once

#include "pkcs11.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CK_FUNCTION_LIST CK_FUNCTION_LIST, *CK_FUNCTION_LIST_PTR, **CK_FUNCTION_LIST_PTR_PTR;
typedef struct CK_FUNCTION_LIST_3_0 CK_FUNCTION_LIST_3_0, *CK_FUNCTION_LIST_3_0_PTR,
	**CK_FUNCTION_LIST_3_0_PTR_PTR;
typedef struct CK_FUNCTION_LIST_3_2 CK_FUNCTION_LIST_3_2, *CK_FUNCTION_LIST_3_2_PTR,
	**CK_FUNCTION_LIST_3_2_PTR_PTR;

/* General purpose */
CK_RV C_Initialize(CK_VOID_PTR args);
CK_RV C_Finalize(CK_VOID_PTR reserved);
CK_RV C_GetInfo(CK_INFO *ret_info);
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list);

/* Slots and tokens */
CK_RV C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *slots, CK_ULONG *slots_count);
CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *ret_info);
CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info);
CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *types, CK_ULONG *types_count);
CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info);
CK_RV C_InitToken(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label);
CK_RV C_InitPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *pin, CK_ULONG pin_len);
CK_RV C_SetPIN(CK_SESSION_HANDLE session, CK_UTF8CHAR *old_pin, CK_ULONG old_pin_len,
	       CK_UTF8CHAR *new_pin, CK_ULONG new_pin_len);

/* Sessions */
CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify,
		    CK_SESSION_HANDLE *ret_session);
CK_RV C_CloseSession(CK_SESSION_HANDLE session);
CK_RV C_CloseAllSessions(CK_SLOT_ID slot);
CK_RV C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *ret_info);
CK_RV C_GetOperationState(CK_SESSION_HANDLE session, CK_BYTE *state, CK_ULONG *state_len);
CK_RV C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE *state, CK_ULONG state_len,
			  CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentication_key);
CK_RV C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len);
CK_RV C_Logout(CK_SESSION_HANDLE session);

/* Objects */
CK_RV C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_object);
CK_RV C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
		   CK_ULONG count, CK_OBJECT_HANDLE *ret_object);
CK_RV C_DestroyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object);
CK_RV C_GetObjectSize(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *ret_size);
CK_RV C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			  CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV C_SetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			  CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV C_FindObjectsInit(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG objects_max,
		    CK_ULONG *ret_count);
CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE session);

/* Encryption */
CK_RV C_EncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_Encrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *encrypted,
		CK_ULONG *encrypted_len);
CK_RV C_EncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
		      CK_BYTE *encrypted, CK_ULONG *encrypted_len);
CK_RV C_EncryptFinal(CK_SESSION_HANDLE session, CK_BYTE *last, CK_ULONG *last_len);

/* Decryption */
CK_RV C_DecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *encrypted, CK_ULONG encrypted_len,
		CK_BYTE *data, CK_ULONG *data_len);
CK_RV C_DecryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted, CK_ULONG encrypted_len,
		      CK_BYTE *part, CK_ULONG *part_len);
CK_RV C_DecryptFinal(CK_SESSION_HANDLE session, CK_BYTE *last, CK_ULONG *last_len);

/* Digests */
CK_RV C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism);
CK_RV C_Digest(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *digest,
	       CK_ULONG *digest_len);
CK_RV C_DigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len);
CK_RV C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key);
CK_RV C_DigestFinal(CK_SESSION_HANDLE session, CK_BYTE *digest, CK_ULONG *digest_len);

/* Signatures and MACs */
CK_RV C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
	     CK_ULONG *signature_len);
CK_RV C_SignUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len);
CK_RV C_SignFinal(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *signature_len);
CK_RV C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
		    CK_ULONG *signature_len);

/* Verification of signatures and MACs */
CK_RV C_VerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_Verify(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature,
	       CK_ULONG signature_len);
CK_RV C_VerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len);
CK_RV C_VerifyFinal(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len);
CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len,
		      CK_BYTE *data, CK_ULONG *data_len);

/* Two operations at once */
CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
			    CK_BYTE *encrypted, CK_ULONG *encrypted_len);
CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted, CK_ULONG encrypted_len,
			    CK_BYTE *part, CK_ULONG *part_len);
CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len,
			  CK_BYTE *encrypted, CK_ULONG *encrypted_len);
CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE *encrypted, CK_ULONG encrypted_len,
			    CK_BYTE *part, CK_ULONG *part_len);

/* Keys */
CK_RV C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes,
		    CK_ULONG count, CK_OBJECT_HANDLE *ret_key);
CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			CK_ATTRIBUTE *public_attributes, CK_ULONG public_count,
			CK_ATTRIBUTE *private_attributes, CK_ULONG private_count,
			CK_OBJECT_HANDLE *ret_public_key, CK_OBJECT_HANDLE *ret_private_key);
CK_RV C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key,
		CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *wrapped_len);
CK_RV C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
		  CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped, CK_ULONG wrapped_len,
		  CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key);
CK_RV C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base_key,
		  CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key);

/* Random numbers, and what is left of parallel functions */
CK_RV C_SeedRandom(CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len);
CK_RV C_GenerateRandom(CK_SESSION_HANDLE session, CK_BYTE *random, CK_ULONG random_len);
CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE session);
CK_RV C_CancelFunction(CK_SESSION_HANDLE session);
CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *ret_slot, CK_VOID_PTR reserved);

/* 3.0: interfaces, logins by name, cancellation */
CK_RV C_GetInterfaceList(CK_INTERFACE *interfaces, CK_ULONG *interfaces_count);
CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **ret_interface,
		     CK_FLAGS flags);
CK_RV C_LoginUser(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len,
		  CK_UTF8CHAR *name, CK_ULONG name_len);
CK_RV C_SessionCancel(CK_SESSION_HANDLE session, CK_FLAGS flags);

/* 3.0: messages, encryption and decryption */
CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			   CK_OBJECT_HANDLE key);
CK_RV C_EncryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		       CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *data, CK_ULONG data_len,
		       CK_BYTE *encrypted, CK_ULONG *encrypted_len);
CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
			    CK_ULONG parameter_len, CK_BYTE *aad, CK_ULONG aad_len);
CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			   CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted,
			   CK_ULONG *encrypted_len, CK_FLAGS flags);
CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE session);
CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			   CK_OBJECT_HANDLE key);
CK_RV C_DecryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		       CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *encrypted, CK_ULONG encrypted_len,
		       CK_BYTE *data, CK_ULONG *data_len);
CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
			    CK_ULONG parameter_len, CK_BYTE *aad, CK_ULONG aad_len);
CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			   CK_BYTE *encrypted, CK_ULONG encrypted_len, CK_BYTE *part,
			   CK_ULONG *part_len, CK_FLAGS flags);
CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE session);

/* 3.0: messages, signatures */
CK_RV C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_SignMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		    CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len);
CK_RV C_SignMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len);
CK_RV C_SignMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			CK_BYTE *part, CK_ULONG part_len, CK_BYTE *signature,
			CK_ULONG *signature_len);
CK_RV C_MessageSignFinal(CK_SESSION_HANDLE session);
CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV C_VerifyMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
		      CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len);
CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
			   CK_ULONG parameter_len);
CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter, CK_ULONG parameter_len,
			  CK_BYTE *part, CK_ULONG part_len, CK_BYTE *signature,
			  CK_ULONG signature_len);
CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE session);

/* 3.2: encapsulation, verification with the signature given first, asynchronous calls */
CK_RV C_EncapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
		       CK_OBJECT_HANDLE public_key, CK_ATTRIBUTE *attributes, CK_ULONG count,
		       CK_BYTE *encapsulated, CK_ULONG *encapsulated_len,
		       CK_OBJECT_HANDLE *ret_key);
CK_RV C_DecapsulateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
		       CK_OBJECT_HANDLE private_key, CK_ATTRIBUTE *attributes, CK_ULONG count,
		       CK_BYTE *encapsulated, CK_ULONG encapsulated_len, CK_OBJECT_HANDLE *ret_key);
CK_RV C_VerifySignatureInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			    CK_OBJECT_HANDLE key, CK_BYTE *signature, CK_ULONG signature_len);
CK_RV C_VerifySignature(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len);
CK_RV C_VerifySignatureUpdate(CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len);
CK_RV C_VerifySignatureFinal(CK_SESSION_HANDLE session);
CK_RV C_GetSessionValidationFlags(CK_SESSION_HANDLE session, CK_SESSION_VALIDATION_FLAGS_TYPE type,
				  CK_FLAGS *ret_flags);
CK_RV C_AsyncComplete(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ASYNC_DATA *ret_result);
CK_RV C_AsyncGetID(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG *ret_id);
CK_RV C_AsyncJoin(CK_SESSION_HANDLE session, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data,
		  CK_ULONG data_len);
CK_RV C_WrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			     CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *aad,
			     CK_ULONG aad_len, CK_BYTE *wrapped, CK_ULONG *wrapped_len);
CK_RV C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			       CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped,
			       CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count,
			       CK_BYTE *aad, CK_ULONG aad_len, CK_OBJECT_HANDLE *ret_key);

/* clang-format off */
#define CK_FUNCTIONS_2_40(F)							\
	F(C_Initialize) F(C_Finalize) F(C_GetInfo) F(C_GetFunctionList)		\
	F(C_GetSlotList) F(C_GetSlotInfo) F(C_GetTokenInfo)			\
	F(C_GetMechanismList) F(C_GetMechanismInfo)				\
	F(C_InitToken) F(C_InitPIN) F(C_SetPIN)					\
	F(C_OpenSession) F(C_CloseSession) F(C_CloseAllSessions)		\
	F(C_GetSessionInfo) F(C_GetOperationState) F(C_SetOperationState)	\
	F(C_Login) F(C_Logout)							\
	F(C_CreateObject) F(C_CopyObject) F(C_DestroyObject) F(C_GetObjectSize)	\
	F(C_GetAttributeValue) F(C_SetAttributeValue)				\
	F(C_FindObjectsInit) F(C_FindObjects) F(C_FindObjectsFinal)		\
	F(C_EncryptInit) F(C_Encrypt) F(C_EncryptUpdate) F(C_EncryptFinal)	\
	F(C_DecryptInit) F(C_Decrypt) F(C_DecryptUpdate) F(C_DecryptFinal)	\
	F(C_DigestInit) F(C_Digest) F(C_DigestUpdate) F(C_DigestKey)		\
	F(C_DigestFinal)							\
	F(C_SignInit) F(C_Sign) F(C_SignUpdate) F(C_SignFinal)			\
	F(C_SignRecoverInit) F(C_SignRecover)					\
	F(C_VerifyInit) F(C_Verify) F(C_VerifyUpdate) F(C_VerifyFinal)		\
	F(C_VerifyRecoverInit) F(C_VerifyRecover)				\
	F(C_DigestEncryptUpdate) F(C_DecryptDigestUpdate)			\
	F(C_SignEncryptUpdate) F(C_DecryptVerifyUpdate)				\
	F(C_GenerateKey) F(C_GenerateKeyPair)					\
	F(C_WrapKey) F(C_UnwrapKey) F(C_DeriveKey)				\
	F(C_SeedRandom) F(C_GenerateRandom)					\
	F(C_GetFunctionStatus) F(C_CancelFunction) F(C_WaitForSlotEvent)

#define CK_FUNCTIONS_3_0(F)							\
	F(C_GetInterfaceList) F(C_GetInterface)					\
	F(C_LoginUser) F(C_SessionCancel)					\
	F(C_MessageEncryptInit) F(C_EncryptMessage) F(C_EncryptMessageBegin)	\
	F(C_EncryptMessageNext) F(C_MessageEncryptFinal)			\
	F(C_MessageDecryptInit) F(C_DecryptMessage) F(C_DecryptMessageBegin)	\
	F(C_DecryptMessageNext) F(C_MessageDecryptFinal)			\
	F(C_MessageSignInit) F(C_SignMessage) F(C_SignMessageBegin)		\
	F(C_SignMessageNext) F(C_MessageSignFinal)				\
	F(C_MessageVerifyInit) F(C_VerifyMessage) F(C_VerifyMessageBegin)	\
	F(C_VerifyMessageNext) F(C_MessageVerifyFinal)

#define CK_FUNCTIONS_3_2(F)							\
	F(C_EncapsulateKey) F(C_DecapsulateKey)					\
	F(C_VerifySignatureInit) F(C_VerifySignature)				\
	F(C_VerifySignatureUpdate) F(C_VerifySignatureFinal)			\
	F(C_GetSessionValidationFlags)						\
	F(C_AsyncComplete) F(C_AsyncGetID) F(C_AsyncJoin)			\
	F(C_WrapKeyAuthenticated) F(C_UnwrapKeyAuthenticated)
/* clang-format on */

/* CK_C_Initialize and so on: a pointer to each function. */
#define CK_POINTER_TYPE(function) typedef __typeof__(function) *CK_##function;
CK_FUNCTIONS_2_40(CK_POINTER_TYPE)
CK_FUNCTIONS_3_0(CK_POINTER_TYPE)
CK_FUNCTIONS_3_2(CK_POINTER_TYPE)
#undef CK_POINTER_TYPE

#define CK_MEMBER(function) CK_##function function;
struct CK_FUNCTION_LIST {
	CK_VERSION version;
	CK_FUNCTIONS_2_40(CK_MEMBER)
};

struct CK_FUNCTION_LIST_3_0 {
	CK_VERSION version;
	CK_FUNCTIONS_2_40(CK_MEMBER)
	CK_FUNCTIONS_3_0(CK_MEMBER)
};

struct CK_FUNCTION_LIST_3_2 {
	CK_VERSION version;
	CK_FUNCTIONS_2_40(CK_MEMBER)
	CK_FUNCTIONS_3_0(CK_MEMBER)
	CK_FUNCTIONS_3_2(CK_MEMBER)
};
#undef CK_MEMBER

#ifdef __cplusplus
}
#endif
