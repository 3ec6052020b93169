/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that the scenes are made of, each with what must be true of its answer. */
#include "application.h"
#include "shortage_rounds.h"

#include <stdarg.h>
#include <stdio.h>

#define PROJECT "demo"

CK_SESSION_HANDLE session;
CK_OBJECT_HANDLE zone, root, kept, key;
CK_GCM_PARAMS parameters;

static const CK_BYTE text[] = "what was encrypted while there was memory";
static CK_BYTE value[32] = "a key of 32 bytes, not a secret";
static CK_BYTE iv[12] = "twelve bytes";

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_ULONG key_len = 32;
static CK_KEY_TYPE aes = CKK_AES;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;

void note_wrong(const char *format, ...)
{
	va_list list;

	if (told->wrong[0] != 0)
		return;
	va_start(list, format);
	vsnprintf(told->wrong, sizeof(told->wrong), format, list);
	va_end(list);
}

/* All that match; *ret_first is one of them. */
CK_RV find_objects(CK_ATTRIBUTE *template, CK_ULONG rows, CK_ULONG *ret_count,
		   CK_OBJECT_HANDLE *ret_first)
{
	CK_OBJECT_HANDLE found[64];
	CK_RV rv = p11->C_FindObjectsInit(session, template, rows), end;

	if (rv != CKR_OK)
		return rv;
	rv = p11->C_FindObjects(session, found, 64, ret_count);
	end = p11->C_FindObjectsFinal(session);
	if (rv == CKR_OK && *ret_count > 0)
		*ret_first = found[0];
	return rv != CKR_OK ? rv : end;
}

CK_RV find_label(const char *label, CK_ULONG *ret_count, CK_OBJECT_HANDLE *ret_first)
{
	CK_ATTRIBUTE template[] = {{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};

	return find_objects(template, 1, ret_count, ret_first);
}

CK_OBJECT_HANDLE find_one(const char *label)
{
	CK_OBJECT_HANDLE found = 0;
	CK_ULONG count = 0;

	must(find_label(label, &count, &found), label);
	must(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, label);
	return found;
}

CK_MECHANISM gcm(CK_GCM_PARAMS *ret_parameters)
{
	*ret_parameters =
		(CK_GCM_PARAMS){.pIv = iv, .ulIvLen = sizeof(iv), .ulIvBits = 96, .ulTagBits = 128};
	return (CK_MECHANISM){CKM_AES_GCM, ret_parameters, sizeof(*ret_parameters)};
}

CK_RV encrypt_text(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *out, CK_ULONG *ret_len)
{
	CK_RV rv = p11->C_EncryptInit(session, &mechanism, by);

	*ret_len = OUT_MAX;
	return rv != CKR_OK ? rv
			    : p11->C_Encrypt(session, (CK_BYTE *)(uintptr_t)text, sizeof(text), out,
					     ret_len);
}

CK_RV decrypt_text(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *in, CK_ULONG len)
{
	CK_BYTE out[OUT_MAX];
	CK_ULONG out_len = sizeof(out);
	CK_RV rv = p11->C_DecryptInit(session, &mechanism, by);

	rv = rv != CKR_OK ? rv : p11->C_Decrypt(session, in, len, out, &out_len);
	if (rv == CKR_OK && (out_len != sizeof(text) || memcmp(out, text, out_len) != 0))
		note_wrong("what was decrypted is not what was encrypted");
	return rv;
}

CK_RV unwrap_key(CK_MECHANISM_TYPE type, CK_BYTE *in, CK_ULONG len, CK_BBOOL token,
		 CK_OBJECT_HANDLE *ret_key)
{
	CK_MECHANISM mechanism = {type, NULL, 0};
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes),
		ROW(CKA_TOKEN, token),	    ROW(CKA_SENSITIVE, no),
		ROW(CKA_EXTRACTABLE, yes),  {CKA_LABEL, (void *)"new", token ? 3 : 0},
	};

	return p11->C_UnwrapKey(session, &mechanism, zone, in, len, template, COUNT(template),
				ret_key);
}

void check_value(CK_OBJECT_HANDLE of)
{
	CK_BYTE is[64];
	CK_ATTRIBUTE row = ROW(CKA_VALUE, is);
	CK_RV rv = p11->C_GetAttributeValue(session, of, &row, 1);

	if (rv != CKR_OK)
		note_wrong("the value of what was unwrapped can't be read: 0x%lx", rv);
	else if (row.ulValueLen != sizeof(value) || memcmp(is, value, sizeof(value)) != 0)
		note_wrong("what was unwrapped is not what was wrapped");
}

static CK_MECHANISM_TYPE mechanisms[] = {CKM_CMEK_DEK_WRAP, CKM_AES_KEY_WRAP_KWP, CKM_AES_GCM,
					 CKM_AES_CCM};

/* A key that is not extractable is a zone here. It has limits, so that its record has something
 * to read. */
CK_RV generate_key(const char *label, CK_BBOOL token, CK_BBOOL extractable,
		   CK_OBJECT_HANDLE *ret_key)
{
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[] = {
		ROW(CKA_TOKEN, token),
		ROW(CKA_EXTRACTABLE, extractable),
		ROW(CKA_VALUE_LEN, key_len),
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
		ROW(CKA_ALLOWED_MECHANISMS, mechanisms),
	};

	return p11->C_GenerateKey(session, &mechanism, template,
				  COUNT(template) - (extractable ? 1 : 0), ret_key);
}

CK_RV import_key(CK_OBJECT_HANDLE *ret_key)
{
	CK_ATTRIBUTE template[] = {
		ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes), ROW(CKA_TOKEN, no),
		ROW(CKA_EXTRACTABLE, yes),  ROW(CKA_VALUE, value),
	};

	return p11->C_CreateObject(session, template, COUNT(template), ret_key);
}

/* --- The token, and what is on it */

CK_RV open_token(void)
{
	CK_SLOT_ID slots[16];
	CK_ULONG count = COUNT(slots);
	CK_TOKEN_INFO info;
	CK_RV rv = initialize();

	rv = rv != CKR_OK ? rv : p11->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv == CKR_OK && count != 1)
		note_wrong("the list has %lu slots", count);
	slot = slots[0];
	rv = rv != CKR_OK ? rv : p11->C_GetTokenInfo(slot, &info);
	if (rv == CKR_OK && strncmp((char *)info.label, PROJECT " ", 5) != 0)
		note_wrong("the token is called %.32s", info.label);
	return rv != CKR_OK ? rv
			    : p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
						 NULL, &session);
}

void find_all(void)
{
	zone = find_one("default/z0");
	root = find_one("root");
	kept = find_one("kept");
	must(import_key(&key), "C_CreateObject");
}

CK_MECHANISM by_kms(void)
{
	return (CK_MECHANISM){CKM_CMEK_KMS, NULL, 0};
}

/* --- What a fresh process finds */

void check_opens(CK_OBJECT_HANDLE by, CK_MECHANISM mechanism, CK_BYTE *data, CK_ULONG len,
		 const char *what)
{
	CK_RV rv = decrypt_text(by, mechanism, data, len);

	if (rv != CKR_OK)
		note_wrong("%s does not decrypt afterwards: 0x%lx", what, rv);
}

void check_unwraps(CK_MECHANISM_TYPE type, CK_BYTE *data, CK_ULONG len)
{
	CK_OBJECT_HANDLE opened;
	CK_RV rv = unwrap_key(type, data, len, no, &opened);

	if (rv != CKR_OK)
		note_wrong("what was wrapped does not open afterwards: 0x%lx", rv);
	else
		check_value(opened);
}
