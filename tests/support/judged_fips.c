/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Tests judged by what is not offered with FIPS; see the header. */
#include "tests/support/judged_fips.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

enum { KEY_MIN = 14 }; /* bytes: 112 bits */

static const struct {
	CK_MECHANISM_TYPE type;
	CK_FLAGS uses;
	const char *what;
} left_out[] = {
	{CKM_AES_GCM, CKF_ENCRYPT | CKF_WRAP, "CKM_AES_GCM by an IV of the caller's"},
	{CKM_AES_GMAC, CKF_SIGN, "CKM_AES_GMAC by an IV of the caller's"},
	{CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE, "CKM_AES_ECB_ENCRYPT_DATA"},
	{CKM_AES_CBC_ENCRYPT_DATA, CKF_DERIVE, "CKM_AES_CBC_ENCRYPT_DATA"},
	{CKM_AES_CBC, CKF_WRAP | CKF_UNWRAP, "CKM_AES_CBC for keys"},
	{CKM_AES_CBC_PAD, CKF_WRAP | CKF_UNWRAP, "CKM_AES_CBC_PAD for keys"},
};

static CK_FUNCTION_LIST real, judging;

static const char *find_left_out(CK_MECHANISM_TYPE type, CK_FLAGS use)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (left_out[i].type == type && (left_out[i].uses & use) != 0)
			return left_out[i].what;
	return NULL;
}

bool fips_offers(CK_MECHANISM_TYPE type, CK_FLAGS use)
{
	return getenv("CMEK_TEST_FIPS") == NULL || find_left_out(type, use) == NULL;
}

bool fips_takes_key(CK_ULONG len)
{
	return getenv("CMEK_TEST_FIPS") == NULL || len >= KEY_MIN;
}

/* A test is ended from its own thread and process only. */
static bool is_test(void)
{
	static pid_t first;

	if (first == 0)
		first = getpid();
	return getpid() == first && syscall(SYS_gettid) == (long)first;
}

static CK_RV judge(const char *what, CK_RV rv)
{
	if (what == NULL || !is_test())
		return rv;
	if (rv == CKR_OK)
		fail_msg("FIPS offers %s", what);
	print_message("# reason: judged: FIPS refuses %s\n", what);
	skip();
	return rv;
}

static const char *of(const CK_MECHANISM *mechanism, CK_FLAGS use)
{
	return mechanism == NULL ? NULL : find_left_out(mechanism->mechanism, use);
}

static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key)
{
	return judge(of(by, CKF_ENCRYPT), real.C_EncryptInit(session, by, key));
}

/* Of keys that are wrapped by GCM: the module may make the IV. */
static const char *of_wrapping(const CK_MECHANISM *by)
{
	CK_GCM_WRAP_PARAMS params;

	if (by != NULL && by->mechanism == CKM_AES_GCM && by->pParameter != NULL &&
	    by->ulParameterLen == sizeof(params)) {
		memcpy(&params, by->pParameter, sizeof(params));
		if (params.ivGenerator != CKG_NO_GENERATE)
			return NULL;
	}
	return of(by, CKF_WRAP);
}

static CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
		      CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *len)
{
	return judge(of_wrapping(by), real.C_WrapKey(session, by, wrapping, key, wrapped, len));
}

static CK_RV unwrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE unwrapping,
			CK_BYTE *wrapped, CK_ULONG len, CK_ATTRIBUTE *rows, CK_ULONG count,
			CK_OBJECT_HANDLE *ret_key)
{
	return judge(of(by, CKF_UNWRAP),
		     real.C_UnwrapKey(session, by, unwrapping, wrapped, len, rows, count, ret_key));
}

static CK_ULONG length_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_ULONG len = CK_UNAVAILABLE_INFORMATION;
	CK_ATTRIBUTE row = {CKA_VALUE_LEN, &len, sizeof(len)};

	real.C_GetAttributeValue(session, key, &row, 1);
	return len;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key)
{
	bool is_short = length_of(session, key) < KEY_MIN;
	CK_RV rv = real.C_SignInit(session, by, key);

	return judge(is_short ? "a MAC by less than 112 bits" : of(by, CKF_SIGN), rv);
}

static CK_RV derive_key(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE base,
			CK_ATTRIBUTE *rows, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	/* Before, so that the reason of a failure stays the last. */
	bool is_short = length_of(session, base) < KEY_MIN;
	CK_RV rv = real.C_DeriveKey(session, by, base, rows, count, ret_key);

	return judge(is_short ? "a derivation from less than 112 bits" : of(by, CKF_DERIVE), rv);
}

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_ATTRIBUTE *rows,
			  CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	CK_RV rv = real.C_GenerateKey(session, by, rows, count, ret_key);
	CK_ULONG len = KEY_MIN;

	if (rv == CKR_ARGUMENTS_BAD) /* the rows may not be as many as is said */
		return rv;
	for (CK_ULONG i = 0; rows != NULL && i < count; i++)
		if (rows[i].type == CKA_VALUE_LEN && rows[i].ulValueLen == sizeof(len))
			memcpy(&len, rows[i].pValue, sizeof(len));
	if (by == NULL || by->mechanism != CKM_GENERIC_SECRET_KEY_GEN || len >= KEY_MIN)
		return rv;
	return judge("a key of less than 112 bits", rv);
}

CK_FUNCTION_LIST *judged(CK_FUNCTION_LIST *list)
{
	if (getenv("CMEK_TEST_FIPS") == NULL)
		return list;
	is_test();
	real = judging = *list;
	judging.C_EncryptInit = encrypt_init;
	judging.C_SignInit = sign_init;
	judging.C_WrapKey = wrap_key;
	judging.C_UnwrapKey = unwrap_key;
	judging.C_DeriveKey = derive_key;
	judging.C_GenerateKey = generate_key;
	return &judging;
}
