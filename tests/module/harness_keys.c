/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Templates, objects and mechanisms of the tests. */
#include "harness.h"

/* --- Templates */

struct template *template_new(void)
{
	static struct template ring[16];
	static unsigned next;
	struct template *t = &ring[next++ % 16];

	memset(t, 0, sizeof(*t));
	return t;
}

struct template *with(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
	CK_ATTRIBUTE *row = NULL;

	assert_true(t->used + len <= sizeof(t->values));
	for (CK_ULONG i = 0; i < t->count; i++)
		row = t->rows[i].type == type ? &t->rows[i] : row;
	if (row == NULL) {
		assert_true(t->count < sizeof(t->rows) / sizeof(*t->rows));
		row = &t->rows[t->count++];
	}
	*row = (CK_ATTRIBUTE){type, len == 0 ? NULL : t->values + t->used, len};
	if (len != 0)
		memcpy(t->values + t->used, value, len);
	t->used += (len + 7) / 8 * 8;
	return t;
}

struct template *with_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
	CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;

	return with(t, type, &byte, sizeof(byte));
}

struct template *with_number(struct template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
	return with(t, type, &value, sizeof(value));
}

struct template *with_text(struct template *t, CK_ATTRIBUTE_TYPE type, const char *value)
{
	return with(t, type, value, strlen(value));
}

static struct template *secret_template(CK_KEY_TYPE type)
{
	static const CK_ATTRIBUTE_TYPE yes[] = {CKA_EXTRACTABLE, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP,
						CKA_UNWRAP};
	struct template *t = template_new();

	with_number(t, CKA_CLASS, CKO_SECRET_KEY);
	with_number(t, CKA_KEY_TYPE, type);
	with_bool(t, CKA_TOKEN, false);
	with_bool(t, CKA_SENSITIVE, false);
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		with_bool(t, yes[i], true);
	return t;
}

struct template *aes_template(void)
{
	return secret_template(CKK_AES);
}

/* --- Objects */

CK_OBJECT_HANDLE key_import(CK_SESSION_HANDLE session, CK_KEY_TYPE type, const void *value,
			    CK_ULONG len)
{
	struct template *t = secret_template(type);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_DERIVE, type != CKK_AES);
	with(t, CKA_VALUE, value, len);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

CK_OBJECT_HANDLE key_generate(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	check(p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
	return key;
}

CK_OBJECT_HANDLE zone_generate(CK_SESSION_HANDLE session, const char *label)
{
	struct template *t = with_text(aes_template(), CKA_LABEL, label);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	return key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
}

CK_ULONG attribute_number(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			  CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG value = 0;
	CK_ATTRIBUTE row = {type, &value, sizeof(value)};

	check(p11->C_GetAttributeValue(session, object, &row, 1));
	assert_int_equal(row.ulValueLen, sizeof(value));
	return value;
}

bool attribute_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL value = 0;
	CK_ATTRIBUTE row = {type, &value, sizeof(value)};

	check(p11->C_GetAttributeValue(session, object, &row, 1));
	assert_int_equal(row.ulValueLen, sizeof(value));
	return value != CK_FALSE;
}

CK_ULONG attribute_bytes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
			 void *value, CK_ULONG size)
{
	CK_ATTRIBUTE row = {type, value, size};

	check(p11->C_GetAttributeValue(session, object, &row, 1));
	return row.ulValueLen;
}

static CK_ULONG find(CK_SESSION_HANDLE session, struct template *t, CK_OBJECT_HANDLE *first)
{
	CK_OBJECT_HANDLE objects[16];
	CK_ULONG count, total = 0;

	check(p11->C_FindObjectsInit(session, t->rows, t->count));
	do {
		check(p11->C_FindObjects(session, objects, 16, &count));
		if (total == 0 && count > 0)
			*first = objects[0];
		total += count;
	} while (count > 0);
	check(p11->C_FindObjectsFinal(session));
	return total;
}

CK_ULONG objects_count(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE first;

	return find(session, t, &first);
}

CK_OBJECT_HANDLE object_find(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE first = CK_INVALID_HANDLE;

	assert_int_equal(find(session, t, &first), 1);
	return first;
}

/* --- Mechanisms */

union parameter {
	CK_BYTE bytes[256];
	CK_AES_CTR_PARAMS ctr;
	CK_GCM_PARAMS gcm;
	CK_CCM_PARAMS ccm;
};

CK_MECHANISM *mechanism_with(CK_MECHANISM_TYPE type, const void *parameter, CK_ULONG len)
{
	static struct {
		CK_MECHANISM mechanism;
		union parameter parameter;
	} ring[16];
	static unsigned next;
	unsigned at = next++ % 16;

	assert_true(len <= sizeof(union parameter));
	if (len != 0)
		memcpy(&ring[at].parameter, parameter, len);
	ring[at].mechanism = (CK_MECHANISM){type, len == 0 ? NULL : &ring[at].parameter, len};
	return &ring[at].mechanism;
}

CK_MECHANISM *mechanism(CK_MECHANISM_TYPE type)
{
	return mechanism_with(type, NULL, 0);
}

CK_MECHANISM *mechanism_ctr(const CK_BYTE counter[static 16], CK_ULONG bits)
{
	CK_AES_CTR_PARAMS params = {.ulCounterBits = bits};

	memcpy(params.cb, counter, 16);
	return mechanism_with(CKM_AES_CTR, &params, sizeof(params));
}

CK_MECHANISM *mechanism_gcm(const void *iv, CK_ULONG iv_len, const void *aad, CK_ULONG aad_len,
			    CK_ULONG tag_bits)
{
	CK_GCM_PARAMS params = {.ulIvLen = iv_len,
				.ulIvBits = iv_len * 8,
				.ulAADLen = aad_len,
				.ulTagBits = tag_bits};

	/* The interface has no const. */
	memcpy(&params.pIv, &iv, sizeof(iv));
	memcpy(&params.pAAD, &aad, sizeof(aad));
	return mechanism_with(CKM_AES_GCM, &params, sizeof(params));
}

CK_MECHANISM *mechanism_ccm(CK_ULONG data_len, const void *nonce, CK_ULONG nonce_len,
			    const void *aad, CK_ULONG aad_len, CK_ULONG tag_len)
{
	CK_CCM_PARAMS params = {.ulDataLen = data_len,
				.ulNonceLen = nonce_len,
				.ulAADLen = aad_len,
				.ulMACLen = tag_len};

	memcpy(&params.pNonce, &nonce, sizeof(nonce));
	memcpy(&params.pAAD, &aad, sizeof(aad));
	return mechanism_with(CKM_AES_CCM, &params, sizeof(params));
}

bool mechanism_offered(CK_MECHANISM_TYPE type, CK_FLAGS flags)
{
	CK_MECHANISM_INFO info;

	return p11->C_GetMechanismInfo(slot, type, &info) == CKR_OK &&
	       (info.flags & flags) == flags;
}
