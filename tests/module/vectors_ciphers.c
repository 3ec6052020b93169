/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES modes on their vectors, at once and in parts of 7 bytes, both ways. */
#include "vectors.h"

#include "tests/support/judged_fips.h"

typedef CK_RV whole(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
typedef CK_RV last(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG *);

static void in_parts(CK_SESSION_HANDLE session, whole *update, last *final, const struct vector *v,
		     CK_BYTE *in, CK_ULONG in_len, CK_BYTE *expected, CK_ULONG expected_len)
{
	CK_BYTE out[2048];
	CK_ULONG done = 0, room;

	for (CK_ULONG at = 0; at < in_len; at += 7) {
		room = sizeof(out) - done;
		check(update(session, in + at, in_len - at < 7 ? in_len - at : 7, out + done,
			     &room));
		done += room;
	}
	room = sizeof(out) - done;
	check(final(session, out + done, &room));
	is_output(v, out, done + room, expected, expected_len);
}

static void both_ways(CK_SESSION_HANDLE session, CK_MECHANISM *by, const struct vector *v,
		      CK_OBJECT_HANDLE key, CK_BYTE *plain, CK_ULONG plain_len, CK_BYTE *encrypted,
		      CK_ULONG encrypted_len)
{
	CK_BYTE out[2048];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, by, key));
	check(p11->C_Encrypt(session, plain, plain_len, out, &len));
	is_output(v, out, len, encrypted, encrypted_len);
	check(p11->C_EncryptInit(session, by, key));
	in_parts(session, p11->C_EncryptUpdate, p11->C_EncryptFinal, v, plain, plain_len, encrypted,
		 encrypted_len);
	len = sizeof(out);
	check(p11->C_DecryptInit(session, by, key));
	check(p11->C_Decrypt(session, encrypted, encrypted_len, out, &len));
	is_output(v, out, len, plain, plain_len);
	check(p11->C_DecryptInit(session, by, key));
	in_parts(session, p11->C_DecryptUpdate, p11->C_DecryptFinal, v, encrypted, encrypted_len,
		 plain, plain_len);
}

static void ecb(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);

	both_ways(session, mechanism(CKM_AES_ECB), v, key, v->bytes[1], v->len[1], v->bytes[2],
		  v->len[2]);
	check(p11->C_DestroyObject(session, key));
}

static void cbc(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);

	both_ways(session, mechanism_with(CKM_AES_CBC, v->bytes[1], 16), v, key, v->bytes[2],
		  v->len[2], v->bytes[3], v->len[3]);
	check(p11->C_DestroyObject(session, key));
}

/* With padding, a message is encrypted as its first blocks, and a block that CBC makes of the
 * padding (PKCS #7: RFC 5652, section 6.3). */
static void cbc_pad(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE padded[256], encrypted[256];

	for (CK_ULONG len = v->len[2] - 16; len <= v->len[2]; len++) {
		CK_ULONG whole_len = (len / 16 + 1) * 16, encrypted_len = sizeof(encrypted);

		memcpy(padded, v->bytes[2], len);
		memset(padded + len, (int)(whole_len - len), whole_len - len);
		check(p11->C_EncryptInit(session, mechanism_with(CKM_AES_CBC, v->bytes[1], 16),
					 key));
		check(p11->C_Encrypt(session, padded, whole_len, encrypted, &encrypted_len));
		assert_memory_equal(encrypted, v->bytes[3], len / 16 * 16);
		both_ways(session, mechanism_with(CKM_AES_CBC_PAD, v->bytes[1], 16), v, key,
			  v->bytes[2], len, encrypted, encrypted_len);
	}
	check(p11->C_DestroyObject(session, key));
}

static void ctr(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);

	both_ways(session, mechanism_ctr(v->bytes[1], 128), v, key, v->bytes[2], v->len[2],
		  v->bytes[3], v->len[3]);
	check(p11->C_DestroyObject(session, key));
}

static CK_MECHANISM *gcm_of(const struct vector *v, CK_ULONG tag_len)
{
	return mechanism_gcm(v->bytes[1], v->len[1], v->bytes[2], v->len[2], tag_len * 8);
}

static void gcm(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE encrypted[2048];

	memcpy(encrypted, v->bytes[4], v->len[4]);
	memcpy(encrypted + v->len[4], v->bytes[5], v->len[5]);
	both_ways(session, gcm_of(v, v->len[5]), v, key, v->bytes[3], v->len[3], encrypted,
		  v->len[4] + v->len[5]);
	check(p11->C_DestroyObject(session, key));
}

static void ccm(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE encrypted[2048];

	memcpy(encrypted, v->bytes[4], v->len[4]);
	memcpy(encrypted + v->len[4], v->bytes[5], v->len[5]);
	both_ways(
		session,
		mechanism_ccm(v->len[3], v->bytes[1], v->len[1], v->bytes[2], v->len[2], v->len[5]),
		v, key, v->bytes[3], v->len[3], encrypted, v->len[4] + v->len[5]);
	check(p11->C_DestroyObject(session, key));
}

/* --- The same as messages, with the tag apart */

static void both_ways_as_message(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type,
				 const struct vector *v, void *parameter, CK_ULONG parameter_len,
				 CK_BYTE *tag)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE out[2048];
	CK_ULONG len = sizeof(out);

	check(p30->C_MessageEncryptInit(session, mechanism(type), key));
	check(p30->C_EncryptMessage(session, parameter, parameter_len, v->bytes[2], v->len[2],
				    v->bytes[3], v->len[3], out, &len));
	is_output(v, out, len, v->bytes[4], v->len[4]);
	is_output(v, tag, v->len[5], v->bytes[5], v->len[5]);
	check(p30->C_MessageEncryptFinal(session));
	len = sizeof(out);
	check(p30->C_MessageDecryptInit(session, mechanism(type), key));
	check(p30->C_DecryptMessage(session, parameter, parameter_len, v->bytes[2], v->len[2],
				    v->bytes[4], v->len[4], out, &len));
	is_output(v, out, len, v->bytes[3], v->len[3]);
	check(p30->C_MessageDecryptFinal(session));
	check(p11->C_DestroyObject(session, key));
}

static void gcm_message(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_BYTE tag[16] = {0};
	CK_GCM_MESSAGE_PARAMS params = {v->bytes[1],	 v->len[1], 0,
					CKG_NO_GENERATE, tag,	    8 * v->len[5]};

	both_ways_as_message(session, CKM_AES_GCM, v, &params, sizeof(params), tag);
}

static void ccm_message(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_BYTE tag[16] = {0};
	CK_CCM_MESSAGE_PARAMS params = {v->len[3],	 v->bytes[1], v->len[1], 0,
					CKG_NO_GENERATE, tag,	      v->len[5]};

	both_ways_as_message(session, CKM_AES_CCM, v, &params, sizeof(params), tag);
}

static void gcm_bad_message(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE tag[16], out[2048] = {0}, zeros[2048] = {0};
	CK_GCM_MESSAGE_PARAMS params = {v->bytes[1],	 v->len[1], 0,
					CKG_NO_GENERATE, tag,	    8 * v->len[4]};
	CK_ULONG len = sizeof(out);

	memcpy(tag, v->bytes[4], v->len[4]);
	check(p30->C_MessageDecryptInit(session, mechanism(CKM_AES_GCM), key));
	answers(CKR_AEAD_DECRYPT_FAILED,
		p30->C_DecryptMessage(session, &params, sizeof(params), v->bytes[2], v->len[2],
				      v->bytes[3], v->len[3], out, &len));
	assert_memory_equal(out, zeros, sizeof(out));
	check(p30->C_MessageDecryptFinal(session));
	check(p11->C_DestroyObject(session, key));
}

static void gcm_bad(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_RV expected = module_is_softhsm() ? CKR_GENERAL_ERROR : CKR_ENCRYPTED_DATA_INVALID;
	CK_BYTE encrypted[2048], out[2048], zeros[2048] = {0};
	CK_ULONG len = sizeof(out);

	memcpy(encrypted, v->bytes[3], v->len[3]);
	memcpy(encrypted + v->len[3], v->bytes[4], v->len[4]);
	memset(out, 0, sizeof(out));
	check(p11->C_DecryptInit(session, gcm_of(v, v->len[4]), key));
	answers(expected, p11->C_Decrypt(session, encrypted, v->len[3] + v->len[4], out, &len));
	if (!module_is_softhsm())
		assert_memory_equal(out, zeros, sizeof(out));
	check(p11->C_DestroyObject(session, key));
}

static void aes_ecb_is_that_of_sp_800_38a(void **state)
{
	from_file(state, "aes_ecb.txt", 3, ecb);
}

static void aes_cbc_is_that_of_sp_800_38a(void **state)
{
	from_file(state, "aes_cbc.txt", 4, cbc);
}

static void aes_cbc_pad_is_cbc_of_the_padded_message(void **state)
{
	from_file(state, "aes_cbc.txt", 4, cbc_pad);
}

static void aes_ctr_is_that_of_sp_800_38a(void **state)
{
	from_file(state, "aes_ctr.txt", 4, ctr);
}

static void aes_gcm_is_that_of_sp_800_38d(void **state)
{
	from_file(state, "aes_gcm.txt", 6, gcm);
}

static void aes_gcm_gives_nothing_of_what_is_not_authentic(void **state)
{
	from_file(state, "aes_gcm_bad.txt", 5, gcm_bad);
}

static void aes_ccm_is_that_of_sp_800_38c(void **state)
{
	need(CKM_AES_CCM, CKF_ENCRYPT | CKF_DECRYPT);
	from_file(state, "aes_ccm.txt", 6, ccm);
}

static void need_messages(void)
{
	if (p30 == NULL || module_is_softhsm())
		skip_because("SoftHSM2 has no messages");
}

static void messages_by_aes_gcm_are_those_of_sp_800_38d(void **state)
{
	need_messages();
	if (!fips_offers(CKM_AES_GCM, CKF_ENCRYPT))
		skip_because("with FIPS the module makes the IVs");
	from_file(state, "aes_gcm.txt", 6, gcm_message);
}

static void messages_by_aes_gcm_give_nothing_of_what_is_not_authentic(void **state)
{
	need_messages();
	from_file(state, "aes_gcm_bad.txt", 5, gcm_bad_message);
}

static void messages_by_aes_ccm_are_those_of_sp_800_38c(void **state)
{
	need_messages();
	from_file(state, "aes_ccm.txt", 6, ccm_message);
}

int vectors_ciphers(void)
{
	const struct CMUnitTest tests[] = {
		in_session(aes_ecb_is_that_of_sp_800_38a),
		in_session(aes_cbc_is_that_of_sp_800_38a),
		in_session(aes_cbc_pad_is_cbc_of_the_padded_message),
		in_session(aes_ctr_is_that_of_sp_800_38a),
		in_session(aes_gcm_is_that_of_sp_800_38d),
		in_session(aes_gcm_gives_nothing_of_what_is_not_authentic),
		in_session(aes_ccm_is_that_of_sp_800_38c),
		in_session(messages_by_aes_gcm_are_those_of_sp_800_38d),
		in_session(messages_by_aes_gcm_give_nothing_of_what_is_not_authentic),
		in_session(messages_by_aes_ccm_are_those_of_sp_800_38c),
	};

	return run_group("ciphers", tests, token_setup, token_teardown);
}
