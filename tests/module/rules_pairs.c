/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Two operations in one call, states of digests, and a decryption that gives nothing but a yes. */
#include "rules.h"

static CK_BYTE text[64] = "a text of four blocks, which is enciphered, and looked at beside",
	       iv[16];

static CK_OBJECT_HANDLE key_for_all(CK_SESSION_HANDLE session)
{
	struct template *t = with_bool(aes_template(), CKA_SIGN, true);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_VERIFY, true);
	with(t, CKA_VALUE, known_value, sizeof(known_value));
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static CK_MECHANISM *cbc(void)
{
	return mechanism_with(CKM_AES_CBC, iv, sizeof(iv));
}

/* --- In pairs */

typedef CK_RV pair(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);

/* In place, in parts whose ends are no blocks' ends. */
static void through(CK_SESSION_HANDLE session, pair *both, CK_BYTE *data)
{
	CK_ULONG done = 0;

	for (CK_ULONG at = 0; at < sizeof(text); at += 8) {
		CK_BYTE part[16];
		CK_ULONG len = sizeof(part);

		memcpy(part, data + at, 8);
		check(both(session, part, 8, part, &len));
		memcpy(data + done, part, len);
		done += len;
	}
	assert_int_equal(done, sizeof(text));
}

static void a_pair_does_what_two_calls_do(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_for_all(session);
	CK_BYTE expected[64], digest[32], mac[16], data[64], out[64];
	CK_ULONG len = 64;

	check(p11->C_EncryptInit(session, cbc(), key));
	check(p11->C_Encrypt(session, text, sizeof(text), expected, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_Digest(session, text, sizeof(text), digest, &(CK_ULONG){32}));
	check(p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
	check(p11->C_Sign(session, text, sizeof(text), mac, &(CK_ULONG){16}));
	for (int round = 0; round < 2; round++) {
		memcpy(data, text, sizeof(text));
		check(p11->C_EncryptInit(session, cbc(), key));
		check(round == 0 ? p11->C_DigestInit(session, mechanism(CKM_SHA256))
				 : p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
		through(session, round == 0 ? p11->C_DigestEncryptUpdate : p11->C_SignEncryptUpdate,
			data);
		assert_memory_equal(data, expected, 64);
		len = 64;
		check(round == 0 ? p11->C_DigestFinal(session, out, &len)
				 : p11->C_SignFinal(session, out, &len));
		assert_memory_equal(out, round == 0 ? digest : mac, len);
		check(p11->C_EncryptFinal(session, out, &(CK_ULONG){64}));
		check(p11->C_DecryptInit(session, cbc(), key));
		check(round == 0 ? p11->C_DigestInit(session, mechanism(CKM_SHA256))
				 : p11->C_VerifyInit(session, mechanism(CKM_AES_CMAC), key));
		through(session,
			round == 0 ? p11->C_DecryptDigestUpdate : p11->C_DecryptVerifyUpdate, data);
		assert_memory_equal(data, text, 64);
		len = 64;
		check(round == 0 ? p11->C_DigestFinal(session, out, &len)
				 : p11->C_VerifyFinal(session, mac, 16));
		if (round == 0)
			assert_memory_equal(out, digest, len);
		check(p11->C_DecryptFinal(session, out, &(CK_ULONG){64}));
	}
}

static void too_little_room_reaches_neither_of_a_pair(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_for_all(session);
	CK_BYTE digest[32], out[64], made[32];
	CK_ULONG len = 0;

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_Digest(session, text, 32, digest, &(CK_ULONG){32}));
	check(p11->C_EncryptInit(session, cbc(), key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestEncryptUpdate(session, text, 32, NULL, &len));
	assert_int_equal(len--, 32);
	answers(CKR_BUFFER_TOO_SMALL, p11->C_DigestEncryptUpdate(session, text, 32, out, &len));
	assert_int_equal(len, 32);
	check(p11->C_DigestEncryptUpdate(session, text, 32, out, &len));
	check(p11->C_DigestFinal(session, made, &(CK_ULONG){32}));
	assert_memory_equal(made, digest, 32);
	check(p11->C_EncryptFinal(session, out, &(CK_ULONG){64}));
}

static void an_error_ends_both_of_a_pair(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_for_all(session);
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, cbc(), key));
	check(p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_SignEncryptUpdate(session, NULL, 1, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, out, &len));
	check(p11->C_EncryptInit(session, cbc(), key));
	answers(CKR_OPERATION_NOT_INITIALIZED,
		p11->C_DigestEncryptUpdate(session, text, 16, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
	check(p11->C_DecryptInit(session, mechanism_ctr(iv, 1), key));
	check(p11->C_VerifyInit(session, mechanism(CKM_AES_CMAC), key));
	answers(CKR_ENCRYPTED_DATA_LEN_RANGE,
		p11->C_DecryptVerifyUpdate(session, text, 64, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, out, 16));
	answers(CKR_OPERATION_NOT_INITIALIZED,
		p11->C_DecryptDigestUpdate(session, text, 16, out, &len));
}

/* --- States */

static void a_digest_goes_on_in_other_sessions_as_often_as_wanted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other;
	CK_BYTE saved[64], expected[64], made[64];
	CK_ULONG len = 0;

	check(p11->C_DigestInit(session, mechanism(CKM_SHA3_384)));
	check(p11->C_Digest(session, text, 40, expected, &(CK_ULONG){64}));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA3_384)));
	check(p11->C_DigestUpdate(session, text, 20));
	check(p11->C_GetOperationState(session, NULL, &len));
	assert_in_range(len, 1, sizeof(saved));
	len--;
	answers(CKR_BUFFER_TOO_SMALL, p11->C_GetOperationState(session, saved, &len));
	check(p11->C_GetOperationState(session, saved, &len));
	check(p11->C_DigestUpdate(session, iv, 16)); /* does not reach what was saved */
	for (int i = 0; i < 3; i++) {
		other = session_new();
		check(p11->C_DigestInit(other, mechanism(CKM_SHA_1)));
		check(p11->C_SetOperationState(other, saved, len, 0, 0));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Digest(other, text, 1, made, &(CK_ULONG){64}));
		check(p11->C_SetOperationState(other, saved, len, 0, 0));
		check(p11->C_DigestUpdate(other, text + 20, 20));
		check(p11->C_DigestFinal(other, made, &(CK_ULONG){64}));
		assert_memory_equal(made, expected, 48);
		check(p11->C_CloseSession(other));
	}
}

static void what_was_not_saved_here_is_not_restored(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE saved[64], made[64];
	CK_ULONG len = sizeof(saved);

	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_GetOperationState(session, saved, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_GetOperationState(session, saved, &len));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetOperationState(session, saved, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_SetOperationState(session, NULL, len, 0, 0));
	answers(CKR_KEY_NOT_NEEDED, p11->C_SetOperationState(session, saved, len, 7, 0));
	answers(CKR_KEY_NOT_NEEDED, p11->C_SetOperationState(session, saved, len, 0, 7));
	answers(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, saved, len - 1, 0, 0));
	answers(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, saved, 0, 0, 0));
	saved[3] ^= 1;
	answers(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, saved, len, 0, 0));
	/* All of these left the digest as it was. */
	check(p11->C_Digest(session, text, 1, made, &(CK_ULONG){64}));
}

static void an_operation_with_a_key_is_not_saved(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_for_all(session);
	CK_ULONG len = 0;

	check(p11->C_EncryptInit(session, cbc(), key));
	answers(CKR_STATE_UNSAVEABLE, p11->C_GetOperationState(session, NULL, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_STATE_UNSAVEABLE, p11->C_GetOperationState(session, NULL, &len));
	check(p11->C_EncryptInit(session, NULL, 0));
	check(p11->C_GetOperationState(session, NULL, &len));
	check(p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
	answers(CKR_STATE_UNSAVEABLE, p11->C_GetOperationState(session, NULL, &len));
}

static void the_newest_states_are_kept(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE first[16], second[16], saved[16];
	CK_ULONG len = sizeof(saved);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_GetOperationState(session, first, &len));
	check(p11->C_GetOperationState(session, second, &len));
	for (int i = 0; i < 255; i++)
		check(p11->C_GetOperationState(session, saved, &len));
	answers(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, first, len, 0, 0));
	check(p11->C_SetOperationState(session, second, len, 0, 0));
	check(p11->C_SetOperationState(session, saved, len, 0, 0));
}

static void no_state_outlives_finalize(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE saved[16];
	CK_ULONG len = sizeof(saved);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_GetOperationState(session, saved, &len));
	check(p11->C_Finalize(NULL));
	check(initialize());
	session = session_new();
	answers(CKR_SAVED_STATE_INVALID, p11->C_SetOperationState(session, saved, len, 0, 0));
	*state = (void *)session;
}

/* --- An empty message */

static CK_MECHANISM *aead(CK_MECHANISM_TYPE type)
{
	return type == CKM_AES_GCM ? mechanism_gcm(iv, 12, text, 5, 128)
				   : mechanism_ccm(0, iv, 12, text, 5, 16);
}

/* By messages, which FIPS has too. */
static void seal_nothing(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
			 CK_BYTE tag[static 16])
{
	CK_GCM_MESSAGE_PARAMS gcm = {iv, 12, 0, CKG_GENERATE_RANDOM, tag, 128};
	CK_CCM_MESSAGE_PARAMS ccm = {0, iv, 12, 0, CKG_GENERATE_RANDOM, tag, 16};
	bool is_gcm = type == CKM_AES_GCM;

	check(p30->C_MessageEncryptInit(session, mechanism(type), key));
	check(p30->C_EncryptMessage(session, is_gcm ? (void *)&gcm : (void *)&ccm,
				    is_gcm ? sizeof(gcm) : sizeof(ccm), text, 5, NULL, 0, NULL,
				    &(CK_ULONG){0}));
	check(p30->C_MessageEncryptFinal(session));
}

/* Nobody may take CKR_OK for a tag that was not looked at: without a buffer it is looked at, too.
 * Who comes again with one gets the same answer; who does not can begin anew. */
static void an_empty_plaintext_is_never_told_unseen(void **state)
{
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CCM};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE tag[16], out[16];

	for (int i = 0; i < 2; i++) {
		CK_ULONG len = 7;

		seal_nothing(session, types[i], key, tag);
		for (int again = 0; again < 3; again++) {
			check(p11->C_DecryptInit(session, aead(types[i]), key));
			check(p11->C_Decrypt(session, tag, 16, NULL, &len));
			assert_int_equal(len, 0);
			if (again == 1)
				check(p11->C_Decrypt(session, tag, 16, NULL, &len));
			if (again > 0)
				check(p11->C_Decrypt(session, tag, 16, out, &len));
			if (again > 0)
				answers(CKR_OPERATION_NOT_INITIALIZED,
					p11->C_Decrypt(session, tag, 16, out, &len));
		}
		check(p11->C_DecryptInit(session, aead(types[i]), key));
		check(p11->C_DecryptUpdate(session, tag, 16, NULL, &len));
		check(p11->C_DecryptUpdate(session, tag, 16, out, &len));
		check(p11->C_DecryptFinal(session, NULL, &len));
		check(p11->C_DecryptFinal(session, out, &len));
		tag[15] ^= 1;
		check(p11->C_DecryptInit(session, aead(types[i]), key));
		answers(CKR_ENCRYPTED_DATA_INVALID, p11->C_Decrypt(session, tag, 16, NULL, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_Decrypt(session, tag, 16, out, &len));
		check(p11->C_DecryptInit(session, aead(types[i]), key));
		check(p11->C_DecryptUpdate(session, tag, 16, out, &len));
		answers(CKR_ENCRYPTED_DATA_INVALID, p11->C_DecryptFinal(session, NULL, &len));
	}
}

static void a_yes_to_an_empty_plaintext_is_for_what_was_looked_at(void **state)
{
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CCM};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE tag[16], other[16], out[16];

	for (int i = 0; i < 2; i++)
		for (CK_ULONG len = 15; len <= 16; len++) {
			CK_ULONG out_len = sizeof(out);

			seal_nothing(session, types[i], key, tag);
			memcpy(other, tag, 16);
			other[15] ^= 1;
			check(p11->C_DecryptInit(session, aead(types[i]), key));
			check(p11->C_Decrypt(session, tag, 16, NULL, &out_len));
			answers(CKR_ENCRYPTED_DATA_INVALID,
				p11->C_Decrypt(session, other, len, out, &out_len));
			answers(CKR_OPERATION_NOT_INITIALIZED,
				p11->C_Decrypt(session, tag, 16, out, &out_len));
		}
}

int rules_pairs(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_pair_does_what_two_calls_do),
		in_session(too_little_room_reaches_neither_of_a_pair),
		in_session(an_error_ends_both_of_a_pair),
		in_session(a_digest_goes_on_in_other_sessions_as_often_as_wanted),
		in_session(what_was_not_saved_here_is_not_restored),
		in_session(an_operation_with_a_key_is_not_saved),
		in_session(the_newest_states_are_kept),
		in_session(no_state_outlives_finalize),
		in_session(an_empty_plaintext_is_never_told_unseen),
		in_session(a_yes_to_an_empty_plaintext_is_for_what_was_looked_at),
	};

	return run_group("pairs", tests, token_setup, token_teardown);
}
