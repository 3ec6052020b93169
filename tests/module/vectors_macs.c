/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* MACs on their vectors: made and verified, at once and in parts, whole and cut short. */
#include "vectors.h"

#include "tests/support/judged_fips.h"

static CK_OBJECT_HANDLE mac_key(CK_SESSION_HANDLE session, CK_KEY_TYPE type, CK_BYTE *value,
				CK_ULONG len)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, type);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_SIGN, true);
	with_bool(t, CKA_VERIFY, true);
	with(t, CKA_VALUE, value, len);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static CK_ULONG piece(CK_ULONG at, CK_ULONG len)
{
	return len - at < 7 ? len - at : 7;
}

static void signs(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
		  const struct vector *v, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *mac,
		  CK_ULONG mac_len)
{
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	check(p11->C_SignInit(session, by, key));
	check(p11->C_Sign(session, data, data_len, out, &len));
	is_output(v, out, len, mac, mac_len);
	check(p11->C_SignInit(session, by, key));
	for (CK_ULONG at = 0; at < data_len; at += 7)
		check(p11->C_SignUpdate(session, data + at, piece(at, data_len)));
	len = sizeof(out);
	check(p11->C_SignFinal(session, out, &len));
	is_output(v, out, len, mac, mac_len);
}

static void verifies(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
		     CK_BYTE *data, CK_ULONG data_len, CK_BYTE *mac, CK_ULONG mac_len)
{
	check(p11->C_VerifyInit(session, by, key));
	check(p11->C_Verify(session, data, data_len, mac, mac_len));
	check(p11->C_VerifyInit(session, by, key));
	for (CK_ULONG at = 0; at < data_len; at += 7)
		check(p11->C_VerifyUpdate(session, data + at, piece(at, data_len)));
	check(p11->C_VerifyFinal(session, mac, mac_len));
	mac[mac_len - 1] ^= 1;
	check(p11->C_VerifyInit(session, by, key));
	answers(CKR_SIGNATURE_INVALID, p11->C_Verify(session, data, data_len, mac, mac_len));
	mac[mac_len - 1] ^= 1;
}

static void both(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
		 const struct vector *v, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *mac,
		 CK_ULONG mac_len)
{
	signs(session, by, key, v, data, data_len, mac, mac_len);
	verifies(session, by, key, data, data_len, mac, mac_len);
}

/* --- HMAC */

static const struct hmac {
	CK_BYTE name[2];
	CK_MECHANISM_TYPE whole, general;
	CK_KEY_TYPE key_type;
} hmacs[] = {
	{{0x00, 0x01}, CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC},
	{{0x02, 0x24}, CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC},
	{{0x02, 0x56}, CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC},
	{{0x03, 0x84}, CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC},
	{{0x05, 0x12}, CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC},
	{{0x52, 0x24}, CKM_SHA512_224_HMAC, CKM_SHA512_224_HMAC_GENERAL, CKK_SHA512_224_HMAC},
	{{0x52, 0x56}, CKM_SHA512_256_HMAC, CKM_SHA512_256_HMAC_GENERAL, CKK_SHA512_256_HMAC},
	{{0x32, 0x24}, CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKK_SHA3_224_HMAC},
	{{0x32, 0x56}, CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC},
	{{0x33, 0x84}, CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKK_SHA3_384_HMAC},
	{{0x35, 0x12}, CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKK_SHA3_512_HMAC},
};

static const struct hmac *hmac_of(const struct vector *v)
{
	for (size_t i = 0; i < sizeof(hmacs) / sizeof(*hmacs); i++)
		if (memcmp(hmacs[i].name, v->bytes[0], 2) == 0)
			return &hmacs[i];
	fail();
	return NULL;
}

/* SoftHSM2 wants keys as long as the digest, and FIPS 112 bits. */
static bool takes_key(const struct vector *v)
{
	if (module_is_softhsm())
		return v->len[1] >= v->len[3] && mechanism_offered(hmac_of(v)->whole, CKF_SIGN);
	return fips_takes_key(v->len[1]);
}

static void hmac_whole(CK_SESSION_HANDLE session, const struct vector *v)
{
	const struct hmac *hmac = hmac_of(v);
	const CK_KEY_TYPE types[2] = {CKK_GENERIC_SECRET, hmac->key_type};

	if (!takes_key(v))
		return;
	for (int i = 0; i < 2; i++) {
		CK_OBJECT_HANDLE key = mac_key(session, types[i], v->bytes[1], v->len[1]);

		both(session, mechanism(hmac->whole), key, v, v->bytes[2], v->len[2], v->bytes[3],
		     v->len[3]);
		check(p11->C_DestroyObject(session, key));
	}
}

static void cut_short(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
		      const struct vector *v, int data, int mac)
{
	const CK_ULONG lens[] = {4, v->len[mac] / 2, v->len[mac] - 1, v->len[mac]};

	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++)
		both(session, mechanism_with(type, &lens[i], sizeof(lens[i])), key, v,
		     v->bytes[data], v->len[data], v->bytes[mac], lens[i]);
}

static void hmac_general(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key;

	if (!takes_key(v))
		return;
	key = mac_key(session, CKK_GENERIC_SECRET, v->bytes[1], v->len[1]);
	cut_short(session, hmac_of(v)->general, key, v, 2, 3);
	check(p11->C_DestroyObject(session, key));
}

static void hmac_is_that_of_rfc_2202_and_4231(void **state)
{
	from_file(state, "hmac.txt", 4, hmac_whole);
}

static void hmac_cut_short_is_its_beginning(void **state)
{
	need(CKM_SHA256_HMAC_GENERAL, CKF_SIGN | CKF_VERIFY);
	from_file(state, "hmac.txt", 4, hmac_general);
}

/* --- CMAC */

static void cmac_whole(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = mac_key(session, CKK_AES, v->bytes[0], v->len[0]);

	both(session, mechanism(CKM_AES_CMAC), key, v, v->bytes[1], v->len[1], v->bytes[2],
	     v->len[2]);
	check(p11->C_DestroyObject(session, key));
}

static void cmac_general(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = mac_key(session, CKK_AES, v->bytes[0], v->len[0]);

	cut_short(session, CKM_AES_CMAC_GENERAL, key, v, 1, 2);
	check(p11->C_DestroyObject(session, key));
}

static void cmac_is_that_of_sp_800_38b(void **state)
{
	from_file(state, "aes_cmac.txt", 3, cmac_whole);
}

static void cmac_cut_short_is_its_beginning(void **state)
{
	need(CKM_AES_CMAC_GENERAL, CKF_SIGN | CKF_VERIFY);
	from_file(state, "aes_cmac.txt", 3, cmac_general);
}

/* --- GMAC */

static CK_MECHANISM *gmac_by(const struct vector *v)
{
	CK_GCM_PARAMS params = {
		.pIv = v->bytes[1], .ulIvLen = v->len[1], .ulTagBits = 8 * v->len[3]};

	return mechanism_with(CKM_AES_GMAC, &params, sizeof(params));
}

static void gmac_verifies(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = mac_key(session, CKK_AES, v->bytes[0], v->len[0]);

	verifies(session, gmac_by(v), key, v->bytes[2], v->len[2], v->bytes[3], v->len[3]);
	if (v->len[1] == 12 && v->len[3] == 16)
		verifies(session, mechanism_with(CKM_AES_GMAC, v->bytes[1], 12), key, v->bytes[2],
			 v->len[2], v->bytes[3], v->len[3]);
	check(p11->C_DestroyObject(session, key));
}

static void gmac_signs(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = mac_key(session, CKK_AES, v->bytes[0], v->len[0]);

	signs(session, gmac_by(v), key, v, v->bytes[2], v->len[2], v->bytes[3], v->len[3]);
	if (v->len[1] == 12 && v->len[3] == 16)
		signs(session, mechanism_with(CKM_AES_GMAC, v->bytes[1], 12), key, v, v->bytes[2],
		      v->len[2], v->bytes[3], v->len[3]);
	check(p11->C_DestroyObject(session, key));
}

static void gmac_that_is_verified_is_that_of_nist(void **state)
{
	need(CKM_AES_GMAC, CKF_VERIFY);
	from_file(state, "aes_gmac.txt", 4, gmac_verifies);
}

static void gmac_that_is_made_is_that_of_nist(void **state)
{
	need(CKM_AES_GMAC, CKF_SIGN);
	from_file(state, "aes_gmac.txt", 4, gmac_signs);
}

int vectors_macs(void)
{
	const struct CMUnitTest tests[] = {
		in_session(hmac_is_that_of_rfc_2202_and_4231),
		in_session(hmac_cut_short_is_its_beginning),
		in_session(cmac_is_that_of_sp_800_38b),
		in_session(cmac_cut_short_is_its_beginning),
		in_session(gmac_that_is_verified_is_that_of_nist),
		in_session(gmac_that_is_made_is_that_of_nist),
	};

	return run_group("MACs", tests, token_setup, token_teardown);
}
