/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One test program for two modules: SoftHSM2, which most applications are tried with, and ours.
 * What passes on both can't be a misunderstanding of ours alone. Here are the list of groups and
 * the table of differences.
 */
#include "same.h"

struct difference {
	const char *name;
	CK_ULONG softhsm;
	CK_ULONG ours;
	const char *why; /* ours does it otherwise */
};

static const struct difference differences[] = {
	{"C_Initialize with pReserved", CKR_ARGUMENTS_BAD, CKR_OK,
	 "p11-kit, pkcs11-provider and others pass a module's settings there, and drop a module "
	 "that "
	 "refuses them."},
	{"C_Logout without a login", CKR_OK, CKR_USER_NOT_LOGGED_IN,
	 "The standard lists this value for exactly this case."},
	{"C_Login with another PIN", CKR_PIN_INCORRECT, CKR_OK,
	 "A token without a PIN is protected by the rights at the KMS; any PIN logs in, since many "
	 "programs log in unasked."},
	{"C_EncryptInit during a search", CKR_OPERATION_ACTIVE, CKR_OK,
	 "A session may have one operation of each kind at once (chapter \"Sessions\"); OpenSSH "
	 "and "
	 "libp11 use keys during their searches."},
	{"C_CopyObject without a template", CKR_ARGUMENTS_BAD, CKR_OK,
	 "No attributes to change is no error, whatever the pointer."},
	{"C_CreateObject of an AES key of 15 bytes", CKR_OK, CKR_ATTRIBUTE_VALUE_INVALID,
	 "SoftHSM2 notices when the key is used."},
	{"CKA_VALUE_LEN beside CKA_VALUE", CKR_ATTRIBUTE_READ_ONLY, CKR_OK,
	 "pkcs11-tool writes both; a length that is right says nothing new."},
	{"a number of 4 bytes", CKR_TEMPLATE_INCOMPLETE, CKR_ATTRIBUTE_VALUE_INVALID,
	 "SoftHSM2 takes a class of another length for no class."},
	{"C_GenerateKey of another class", CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT,
	 "A valid class, but not the mechanism's: \"C_GenerateKey\" names this value."},
	{"C_EncryptInit with a missing key", CKR_OBJECT_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID,
	 "\"C_EncryptInit\" lists only the latter."},
	{"C_Decrypt of a changed GCM message", CKR_GENERAL_ERROR, CKR_ENCRYPTED_DATA_INVALID,
	 "The data are wrong, not the module."},
	{"C_Decrypt with wrong padding", CKR_GENERAL_ERROR, CKR_ENCRYPTED_DATA_INVALID,
	 "The data are wrong, not the module."},
	{"a GCM message shorter than its tag", CKR_GENERAL_ERROR, CKR_ENCRYPTED_DATA_LEN_RANGE,
	 "The data are wrong, not the module."},
	{"GCM with a tag of 0 bits", CKR_OK, CKR_MECHANISM_PARAM_INVALID,
	 "SoftHSM2 writes no tag at all; pkcs11-tool asks for 0 if not told otherwise, and nobody "
	 "would "
	 "notice that nothing is authenticated."},
	{"GCM with a tag of 136 bits", CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID,
	 "SP 800-38D knows 96 to 128 bits."},
	{"a parameter that is missing", CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID,
	 "The value that the standard has for it."},
	{"a structure that is too short", CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID,
	 "The value that the standard has for it."},
	{"an IV of 15 bytes", CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID,
	 "The value that the standard has for it."},
	{"an operation after CKR_ARGUMENTS_BAD", CKR_OK, CKR_OPERATION_NOT_INITIALIZED,
	 "Every error but CKR_BUFFER_TOO_SMALL ends the operation (\"C_Encrypt\"); programs begin "
	 "the "
	 "next one without asking."},
	{"C_Encrypt after C_EncryptUpdate", CKR_OK, CKR_OPERATION_NOT_INITIALIZED,
	 "C_Encrypt is for the whole and can't end what was begun in parts (\"C_Encrypt\")."},
	{"C_DecryptInit during an encryption", CKR_OPERATION_ACTIVE, CKR_OK,
	 "A session may have one operation of each kind at once (chapter \"Sessions\")."},
	{"C_EncryptInit without a mechanism", CKR_ARGUMENTS_BAD, CKR_OK,
	 "Since 3.0 this cancels the active operation; pkcs11-provider does it."},
	{"C_Encrypt after C_EncryptInit without a mechanism", CKR_OK, CKR_OPERATION_NOT_INITIALIZED,
	 "Since 3.0 the former has cancelled it."},
	{"C_DecryptFinal of a changed GCM message", CKR_GENERAL_ERROR, CKR_ENCRYPTED_DATA_INVALID,
	 "The data are wrong, not the module."},
	{"C_Digest after C_DigestUpdate", CKR_OK, CKR_OPERATION_NOT_INITIALIZED,
	 "C_Digest is for the whole and can't end what was begun in parts (\"C_Digest\")."},
	{"C_GetOperationState without an operation", CKR_FUNCTION_NOT_SUPPORTED,
	 CKR_OPERATION_NOT_INITIALIZED, "SoftHSM2 saves no state at all."},
	{"C_SetOperationState of what was not saved", CKR_FUNCTION_NOT_SUPPORTED,
	 CKR_SAVED_STATE_INVALID, "SoftHSM2 saves no state at all."},
	{"C_DigestKey of a sensitive key", CKR_OK, CKR_KEY_INDIGESTIBLE,
	 "A digest of a data key would be something to compare guesses with outside the token."},
	{"C_WrapKey by CKM_AES_CBC_PAD", CKR_MECHANISM_INVALID, CKR_OK,
	 "Remote tokens of p11-kit let no other wrapping mechanism through."},
	{"C_UnwrapKey by CKM_AES_CBC", CKR_MECHANISM_INVALID, CKR_OK,
	 "SoftHSM2 wraps by it and unwraps nothing."},
	{"C_UnwrapKey of what was changed", CKR_GENERAL_ERROR, CKR_WRAPPED_KEY_INVALID,
	 "The wrapped key is wrong, not the module."},
	{"CKM_AES_KEY_WRAP with its standard IV", CKR_ARGUMENTS_BAD, CKR_OK,
	 "The standard allows it; Java passes it."},
	{"CKM_AES_KEY_WRAP of 17 bytes", CKR_OK, CKR_KEY_SIZE_RANGE,
	 "SoftHSM2 adds zeros before it wraps, and they are part of the key that comes back."},
	{"the length of a secret comes back with it", 0, 1,
	 "SoftHSM2 adds zeros before it wraps by CKM_AES_KEY_WRAP_PAD, so that RFC 5649's padding "
	 "has "
	 "nothing left to do, and they are part of the key that comes back."},
	{"CKA_SENSITIVE of an unwrapped key", CK_FALSE, CK_TRUE,
	 "Whoever unwraps a data key seldom wants to read it; a template can say so."},
	{"CKA_VALUE_LEN of an unwrapped key", 0, 32,
	 "SoftHSM2 does not set it, and programs that read it take the key for empty."},
	{"C_UnwrapKey with CKA_VALUE_LEN", CKR_ATTRIBUTE_READ_ONLY, CKR_OK,
	 "pkcs11-tool gives it; a length that is right says nothing new."},
};

CK_ULONG difference(const char *name)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++) {
		if (strcmp(differences[i].name, name) == 0)
			return module_is_softhsm() ? differences[i].softhsm : differences[i].ours;
	}
	fail_msg("the table of differences has no \"%s\"", name);
	return 0;
}

int main(void)
{
	int failures = 0;

	if (module_is_missing())
		return 0;
	failures += same_life() + same_sessions() + same_objects() + same_search();
	failures += same_templates() + same_ciphers() + same_operations() + same_digests() +
		    same_wraps();
	return failures == 0 ? 0 : 1;
}
