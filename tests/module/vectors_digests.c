/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests and HKDF on their vectors. The first word of a line is the size of the SHA in bits. */
#include "vectors.h"

static CK_MECHANISM_TYPE sha_of(const struct vector *v)
{
	static const struct {
		CK_BYTE name[2];
		CK_MECHANISM_TYPE type;
	} shas[] = {{{0x00, 0x01}, CKM_SHA_1},	    {{0x02, 0x24}, CKM_SHA224},
		    {{0x02, 0x56}, CKM_SHA256},	    {{0x03, 0x84}, CKM_SHA384},
		    {{0x05, 0x12}, CKM_SHA512},	    {{0x52, 0x24}, CKM_SHA512_224},
		    {{0x52, 0x56}, CKM_SHA512_256}, {{0x32, 0x24}, CKM_SHA3_224},
		    {{0x32, 0x56}, CKM_SHA3_256},   {{0x33, 0x84}, CKM_SHA3_384},
		    {{0x35, 0x12}, CKM_SHA3_512}};

	assert_int_equal(v->len[0], 2);
	for (size_t i = 0; i < sizeof(shas) / sizeof(*shas); i++) {
		if (memcmp(shas[i].name, v->bytes[0], 2) == 0)
			return shas[i].type;
	}
	fail();
	return 0;
}

static void sha(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	if (module_is_softhsm() && !mechanism_offered(sha_of(v), CKF_DIGEST))
		return;
	check(p11->C_DigestInit(session, mechanism(sha_of(v))));
	check(p11->C_Digest(session, v->bytes[1], v->len[1], out, &len));
	is_output(v, out, len, v->bytes[2], v->len[2]);
	check(p11->C_DigestInit(session, mechanism(sha_of(v))));
	for (CK_ULONG at = 0; at < v->len[1]; at += 37)
		check(p11->C_DigestUpdate(session, v->bytes[1] + at,
					  v->len[1] - at < 37 ? v->len[1] - at : 37));
	len = sizeof(out);
	check(p11->C_DigestFinal(session, out, &len));
	is_output(v, out, len, v->bytes[2], v->len[2]);
}

static void derives(CK_SESSION_HANDLE session, const struct vector *v, bool extract, bool expand)
{
	int from = extract ? 1 : 4, to = expand ? 5 : 4;
	CK_HKDF_PARAMS params = {
		.bExtract = extract,
		.bExpand = expand,
		.prfHashMechanism = sha_of(v),
		.ulSaltType = extract && v->len[2] > 0 ? CKF_HKDF_SALT_DATA : CKF_HKDF_SALT_NULL,
		.pSalt = v->bytes[2],
		.ulSaltLen = v->len[2],
		.pInfo = v->bytes[3],
		.ulInfoLen = v->len[3],
	};
	struct template *made[2] = {generic_secret(),
				    with_number(template_new(), CKA_CLASS, CKO_DATA)};
	static const CK_MECHANISM_TYPE types[2] = {CKM_HKDF_DERIVE, CKM_HKDF_DATA};
	CK_OBJECT_HANDLE base, key;
	CK_BYTE value[128];
	CK_ULONG len;

	base = key_import(session, CKK_GENERIC_SECRET, v->bytes[from], v->len[from]);
	for (int i = 0; i < 2; i++) {
		with_number(made[i], CKA_VALUE_LEN, v->len[to]);
		check(p11->C_DeriveKey(session, mechanism_with(types[i], &params, sizeof(params)),
				       base, made[i]->rows, made[i]->count, &key));
		len = attribute_bytes(session, key, CKA_VALUE, value, sizeof(value));
		is_output(v, value, len, v->bytes[to], v->len[to]);
		check(p11->C_DestroyObject(session, key));
	}
	check(p11->C_DestroyObject(session, base));
}

static void hkdf(CK_SESSION_HANDLE session, const struct vector *v)
{
	derives(session, v, true, true);
	derives(session, v, true, false);
	derives(session, v, false, true);
}

static void sha_is_that_of_fips_180_and_202(void **state)
{
	from_file(state, "sha.txt", 3, sha);
}

static void hkdf_is_that_of_rfc_5869(void **state)
{
	need(CKM_HKDF_DERIVE, CKF_DERIVE);
	from_file(state, "hkdf.txt", 6, hkdf);
}

int vectors_digests(void)
{
	const struct CMUnitTest tests[] = {
		in_session(sha_is_that_of_fips_180_and_202),
		in_session(hkdf_is_that_of_rfc_5869),
	};

	return run_group("digests", tests, token_setup, token_teardown);
}
