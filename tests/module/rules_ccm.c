/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_AES_CCM: what its vectors (vectors_ciphers.c) do not say. */
#include "rules.h"

static const CK_BYTE nonce[13] = "13 bytes here";
enum { TAG = 8, LEN = 32 };

static CK_MECHANISM *ccm(CK_ULONG data_len)
{
	return mechanism_ccm(data_len, nonce, sizeof(nonce), "header", 6, TAG);
}

static void seal(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE out[static LEN + TAG])
{
	CK_BYTE text[LEN];
	CK_ULONG len = LEN + TAG;

	memcpy(text, known_value, LEN);
	check(p11->C_EncryptInit(session, ccm(LEN), key));
	check(p11->C_Encrypt(session, text, LEN, out, &len));
	assert_int_equal(len, LEN + TAG);
}

static CK_RV open_by(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key, CK_BYTE *in,
		     CK_ULONG in_len)
{
	CK_BYTE out[64] = {0}, zeros[64] = {0};
	CK_ULONG len = sizeof(out);
	CK_RV rv = p11->C_DecryptInit(session, by, key);

	if (rv != CKR_OK)
		return rv;
	rv = p11->C_Decrypt(session, in, in_len, out, &len);
	assert_memory_equal(out, rv == CKR_OK ? known_value : zeros, LEN);
	return rv;
}

static void what_is_not_authentic_gives_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)};
	CK_BYTE sealed[LEN + TAG];

	for (int i = 0; i < 2; i++) {
		seal(session, by[i], sealed);
		check(open_by(session, ccm(LEN), by[i], sealed, sizeof(sealed)));
		for (size_t bit = 0; bit < 8 * sizeof(sealed); bit += 5) {
			sealed[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
			answers(CKR_ENCRYPTED_DATA_INVALID,
				open_by(session, ccm(LEN), by[i], sealed, sizeof(sealed)));
			sealed[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
		}
		answers(CKR_ENCRYPTED_DATA_INVALID,
			open_by(session,
				mechanism_ccm(LEN, nonce, sizeof(nonce), "another", 7, TAG), by[i],
				sealed, sizeof(sealed)));
		answers(CKR_ENCRYPTED_DATA_INVALID,
			open_by(session, mechanism_ccm(LEN, nonce, 12, "header", 6, TAG), by[i],
				sealed, sizeof(sealed)));
		/* The same bytes as a longer text with a shorter tag. */
		answers(CKR_ENCRYPTED_DATA_INVALID,
			open_by(session,
				mechanism_ccm(LEN + 4, nonce, sizeof(nonce), "header", 6, TAG - 4),
				by[i], sealed, sizeof(sealed)));
	}
}

static void the_length_is_the_one_that_was_said(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE sealed[LEN + TAG], out[64];
	CK_ULONG len = sizeof(out);

	seal(session, key, sealed);
	for (CK_ULONG in = LEN - 1; in <= LEN + 1; in += 2) {
		check(p11->C_EncryptInit(session, ccm(LEN), key));
		answers(CKR_DATA_LEN_RANGE, p11->C_Encrypt(session, out, in, out, &len));
		answers(CKR_ENCRYPTED_DATA_LEN_RANGE,
			open_by(session, ccm(LEN), key, sealed, in + TAG));
	}
	check(p11->C_EncryptInit(session, ccm(LEN), key));
	check(p11->C_EncryptUpdate(session, sealed, LEN - 1, out, &len));
	assert_int_equal(len, 0);
	answers(CKR_DATA_LEN_RANGE, p11->C_EncryptUpdate(session, sealed, 2, out, &len));
	check(p11->C_EncryptInit(session, ccm(LEN), key));
	check(p11->C_EncryptUpdate(session, sealed, LEN - 1, out, &len));
	len = sizeof(out);
	answers(CKR_DATA_LEN_RANGE, p11->C_EncryptFinal(session, out, &len));
}

static void whoever_lacks_room_may_come_again(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE text[LEN], sealed[LEN + TAG], out[LEN + TAG];
	CK_ULONG len = LEN;

	memcpy(text, known_value, LEN);
	seal(session, key, sealed);
	check(p11->C_EncryptInit(session, ccm(LEN), key));
	check(p11->C_Encrypt(session, text, LEN, NULL, &len));
	assert_int_equal(len, LEN + TAG);
	len--;
	answers(CKR_BUFFER_TOO_SMALL, p11->C_Encrypt(session, text, LEN, out, &len));
	check(p11->C_Encrypt(session, text, LEN, out, &len));
	assert_memory_equal(out, sealed, sizeof(sealed));
}

static void the_parameter_may_be_freed_after_init(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE sealed[LEN + TAG], out[LEN + TAG], text[LEN], other[13], header[6];
	CK_ULONG len = sizeof(out);

	seal(session, key, sealed);
	memcpy(text, known_value, LEN);
	memcpy(other, nonce, sizeof(other));
	memcpy(header, "header", sizeof(header));
	check(p11->C_EncryptInit(session, mechanism_ccm(LEN, other, 13, header, 6, TAG), key));
	memset(other, 0, sizeof(other));
	memset(header, 0, sizeof(header));
	check(p11->C_Encrypt(session, text, LEN, out, &len));
	assert_memory_equal(out, sealed, sizeof(sealed));
}

static void a_key_is_wrapped_by_its_length_and_96_bits_of_tag_at_least(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)}, key;

	for (CK_ULONG i = 0; i < 2 * 7; i++) {
		CK_ULONG tag = 4 + i / 2 * 2, len = 64;
		CK_MECHANISM *good = mechanism_ccm(32, nonce, 13, NULL, 0, tag);
		CK_MECHANISM *longer = mechanism_ccm(33, nonce, 13, NULL, 0, tag);
		CK_BYTE wrapped[64] = {0};

		if (tag < 12) {
			answers(CKR_MECHANISM_PARAM_INVALID,
				wrap_by(session, good, by[i % 2], known_key(session), wrapped,
					&len));
			answers(CKR_MECHANISM_PARAM_INVALID,
				unwrap_by(session, good, by[i % 2], wrapped, 32 + tag, &key));
			continue;
		}
		answers(CKR_KEY_SIZE_RANGE,
			wrap_by(session, longer, by[i % 2], known_key(session), wrapped, &len));
		check(wrap_by(session, good, by[i % 2], known_key(session), wrapped, &len));
		assert_int_equal(len, 32 + tag);
		answers(CKR_WRAPPED_KEY_LEN_RANGE,
			unwrap_by(session, longer, by[i % 2], wrapped, len, &key));
		check(unwrap_by(session, good, by[i % 2], wrapped, len, &key));
		wrapped[len - 1] ^= 1;
		answers(CKR_WRAPPED_KEY_INVALID,
			unwrap_by(session, good, by[i % 2], wrapped, len, &key));
	}
}

int rules_ccm(void)
{
	const struct CMUnitTest tests[] = {
		in_session(what_is_not_authentic_gives_nothing),
		in_session(the_length_is_the_one_that_was_said),
		in_session(whoever_lacks_room_may_come_again),
		in_session(the_parameter_may_be_freed_after_init),
		in_session(a_key_is_wrapped_by_its_length_and_96_bits_of_tag_at_least),
	};

	return run_group("ccm", tests, token_setup, token_teardown);
}
