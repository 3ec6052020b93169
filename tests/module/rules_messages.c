/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages (3.0): many under one key, at once and in parts. The vectors are in vectors_ciphers.c;
 * IVs that the module makes in rules_ivs.c. */
#include "rules.h"
#include "tests/support/judged_fips.h"

enum { LEN = 40, TAG = 16, END = CKF_END_OF_MESSAGE };

static CK_BYTE header[] = "header", text[LEN + 1] = "forty bytes are sealed as one message ...";

/* A message of one mechanism, and what goes along with it. */
struct sent {
	CK_MECHANISM_TYPE type;
	CK_BYTE iv[12], tag[TAG], sealed[LEN], opened[LEN];
	CK_GCM_MESSAGE_PARAMS gcm;
	CK_CCM_MESSAGE_PARAMS ccm;
	void *parameter;
	CK_ULONG parameter_len;
};

static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CCM};

static struct sent *sent_by(CK_MECHANISM_TYPE type, struct sent *sent)
{
	*sent = (struct sent){.type = type};
	sent->gcm = (CK_GCM_MESSAGE_PARAMS){sent->iv,  sizeof(sent->iv), 0, CKG_GENERATE_RANDOM,
					    sent->tag, 8 * TAG};
	sent->ccm = (CK_CCM_MESSAGE_PARAMS){
		LEN, sent->iv, sizeof(sent->iv), 0, CKG_GENERATE_RANDOM, sent->tag, TAG};
	sent->parameter = type == CKM_AES_GCM ? (void *)&sent->gcm : (void *)&sent->ccm;
	sent->parameter_len = type == CKM_AES_GCM ? sizeof(sent->gcm) : sizeof(sent->ccm);
	return sent;
}

static CK_RV seal(CK_SESSION_HANDLE session, struct sent *sent)
{
	CK_ULONG len = LEN;
	CK_RV rv = p30->C_EncryptMessage(session, sent->parameter, sent->parameter_len, header,
					 sizeof(header), text, LEN, sent->sealed, &len);

	if (rv == CKR_OK)
		assert_int_equal(len, LEN);
	return rv;
}

/* Whatever fails gives no byte. */
static CK_RV open_sent(CK_SESSION_HANDLE session, struct sent *sent)
{
	static const CK_BYTE zeros[LEN];
	CK_ULONG len = LEN;
	CK_RV rv;

	memset(sent->opened, 0, LEN);
	rv = p30->C_DecryptMessage(session, sent->parameter, sent->parameter_len, header,
				   sizeof(header), sent->sealed, LEN, sent->opened, &len);
	assert_memory_equal(sent->opened, rv == CKR_OK ? text : zeros, LEN);
	return rv;
}

static void begin_both(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
	check(p30->C_MessageEncryptInit(session, mechanism(type), key));
	check(p30->C_MessageDecryptInit(session, mechanism(type), key));
}

static void end_both(CK_SESSION_HANDLE session)
{
	check(p30->C_MessageEncryptFinal(session));
	check(p30->C_MessageDecryptFinal(session));
}

static void many_messages_go_under_one_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[] = {some_zone(session), known_key(session)};
	struct sent sent[5];

	for (size_t i = 0; i < 4; i++) {
		begin_both(session, types[i % 2], keys[i / 2]);
		for (size_t n = 0; n < 5; n++)
			check(seal(session, sent_by(types[i % 2], &sent[n])));
		for (size_t n = 0; n < 5; n++) {
			assert_memory_not_equal(sent[n].iv, sent[(n + 1) % 5].iv, 12);
			check(open_sent(session, &sent[n]));
		}
		end_both(session);
	}
}

static void a_message_is_what_c_encrypt_makes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[] = {some_zone(session), known_key(session)};
	CK_BYTE joined[LEN + TAG], opened[LEN];
	struct sent sent;

	for (size_t i = 0; i < 4; i++) {
		CK_ULONG len = LEN;

		begin_both(session, types[i % 2], keys[i / 2]);
		check(seal(session, sent_by(types[i % 2], &sent)));
		memcpy(joined, sent.sealed, LEN);
		memcpy(joined + LEN, sent.tag, TAG);
		check(p11->C_DecryptInit(
			session,
			i % 2 == 0 ? mechanism_gcm(sent.iv, 12, header, sizeof(header), 8 * TAG)
				   : mechanism_ccm(LEN, sent.iv, 12, header, sizeof(header), TAG),
			keys[i / 2]));
		check(p11->C_Decrypt(session, joined, sizeof(joined), opened, &len));
		assert_memory_equal(opened, text, LEN);
		end_both(session);
	}
}

/* --- Parts */

static CK_RV next_sealed(CK_SESSION_HANDLE session, struct sent *sent, CK_ULONG at, CK_ULONG len,
			 CK_FLAGS flags, CK_BYTE *out, CK_ULONG *out_len)
{
	return p30->C_EncryptMessageNext(session, sent->parameter, sent->parameter_len, text + at,
					 len, out, out_len, flags);
}

static void seal_in_parts(CK_SESSION_HANDLE session, struct sent *sent, CK_ULONG step)
{
	CK_ULONG at = 0, got = 0;

	check(p30->C_EncryptMessageBegin(session, sent->parameter, sent->parameter_len, header,
					 sizeof(header)));
	while (at < LEN) {
		CK_ULONG len = LEN - at < step ? LEN - at : step, room = LEN - got;

		check(next_sealed(session, sent, at, len, at + len == LEN ? END : 0,
				  sent->sealed + got, &room));
		at += len;
		got += room;
	}
	assert_int_equal(got, LEN);
}

/* Until the end there is no plaintext. */
static CK_RV open_in_parts(CK_SESSION_HANDLE session, struct sent *sent, CK_ULONG step)
{
	static const CK_BYTE zeros[LEN];
	CK_ULONG at = 0;
	CK_RV rv = CKR_OK;

	memset(sent->opened, 0, LEN);
	check(p30->C_DecryptMessageBegin(session, sent->parameter, sent->parameter_len, header,
					 sizeof(header)));
	while (at < LEN) {
		CK_ULONG len = LEN - at < step ? LEN - at : step, room = LEN;

		rv = p30->C_DecryptMessageNext(session, sent->parameter, sent->parameter_len,
					       sent->sealed + at, len, sent->opened, &room,
					       at + len == LEN ? END : 0);
		at += len;
		if (at < LEN) {
			check(rv);
			assert_int_equal(room, 0);
		}
		assert_memory_equal(sent->opened, at == LEN && rv == CKR_OK ? text : zeros, LEN);
	}
	return rv;
}

static void parts_are_the_whole(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = some_zone(session);
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		for (CK_ULONG step = 1; step <= LEN; step += 3) {
			seal_in_parts(session, sent_by(types[i], &sent), step);
			check(open_sent(session, &sent));
			check(open_in_parts(session, &sent, step));
			check(seal(session, &sent));
			check(open_in_parts(session, &sent, step));
		}
		end_both(session);
	}
}

static void what_is_not_authentic_gives_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = some_zone(session);
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		CK_BYTE *fields[] = {sent.iv, sent.tag, sent.sealed};
		size_t lens[] = {sizeof(sent.iv), TAG, LEN};

		begin_both(session, types[i], key);
		check(seal(session, sent_by(types[i], &sent)));
		for (size_t f = 0; f < 3; f++)
			for (size_t bit = 0; bit < 8 * lens[f]; bit += 7) {
				fields[f][bit / 8] ^= (CK_BYTE)(1 << bit % 8);
				answers(CKR_AEAD_DECRYPT_FAILED, open_sent(session, &sent));
				answers(CKR_AEAD_DECRYPT_FAILED, open_in_parts(session, &sent, 16));
				fields[f][bit / 8] ^= (CK_BYTE)(1 << bit % 8);
			}
		header[0] ^= 1;
		answers(CKR_AEAD_DECRYPT_FAILED, open_sent(session, &sent));
		header[0] ^= 1;
		check(open_sent(session, &sent)); /* and the series went on */
		end_both(session);
	}
}

/* The end may come with a tag of fewer bits, or with none. */
static void the_end_has_the_tag_that_the_begin_said(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;
	CK_ULONG len = LEN;

	begin_both(session, CKM_AES_GCM, key);
	check(seal(session, sent_by(CKM_AES_GCM, &sent)));
	check(p30->C_DecryptMessageBegin(session, sent.parameter, sent.parameter_len, header,
					 sizeof(header)));
	sent.gcm.ulTagBits = 32;
	answers(CKR_MECHANISM_PARAM_INVALID,
		p30->C_DecryptMessageNext(session, sent.parameter, sent.parameter_len, sent.sealed,
					  LEN, sent.opened, &len, END));
	sent.gcm.ulTagBits = 8 * TAG;
	check(p30->C_DecryptMessageBegin(session, sent.parameter, sent.parameter_len, header,
					 sizeof(header)));
	len = LEN;
	answers(CKR_MECHANISM_PARAM_INVALID,
		p30->C_DecryptMessageNext(session, NULL, 0, sent.sealed, LEN, sent.opened, &len,
					  END));
	check(open_sent(session, &sent));
	end_both(session);
}

/* --- What ends, and what does not */

static void an_error_ends_its_message_and_not_the_series(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_ULONG len = LEN;
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		sent_by(types[i], &sent);
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL,
						 0));
		answers(CKR_ARGUMENTS_BAD,
			next_sealed(session, &sent, 0, 16, 0, sent.sealed, NULL));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			next_sealed(session, &sent, 0, 16, END, sent.sealed, &len));
		answers(CKR_ARGUMENTS_BAD,
			p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, NULL, 8,
					      text, LEN, sent.sealed, &len));
		answers(CKR_MECHANISM_PARAM_INVALID,
			p30->C_EncryptMessage(session, sent.parameter, 7, NULL, 0, text, LEN,
					      sent.sealed, &len));
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL,
						 0));
		answers(CKR_ARGUMENTS_BAD,
			next_sealed(session, &sent, 0, 16, END | 2, sent.sealed, &len));
		check(seal(session, &sent));
		check(open_sent(session, &sent));
		end_both(session);
		answers(CKR_OPERATION_NOT_INITIALIZED, seal(session, &sent));
		answers(CKR_OPERATION_NOT_INITIALIZED, open_sent(session, &sent));
	}
}

static void a_message_in_parts_refuses_one_at_once_and_goes_on(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct sent sent, other;
	CK_ULONG len = LEN;

	begin_both(session, CKM_AES_GCM, known_key(session));
	sent_by(CKM_AES_GCM, &sent);
	check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, header,
					 sizeof(header)));
	check(next_sealed(session, &sent, 0, 16, 0, sent.sealed, &len));
	answers(CKR_OPERATION_ACTIVE, seal(session, sent_by(CKM_AES_GCM, &other)));
	answers(CKR_OPERATION_ACTIVE,
		p30->C_EncryptMessageBegin(session, other.parameter, other.parameter_len, NULL, 0));
	answers(CKR_OPERATION_ACTIVE,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), 0));
	assert_memory_equal(other.iv, (CK_BYTE[12]){0}, 12);
	len = LEN - 16;
	check(next_sealed(session, &sent, 16, LEN - 16, END, sent.sealed + 16, &len));
	check(open_sent(session, &sent));
	end_both(session);
}

static void messages_stand_beside_all_other_operations(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, second = session_new();
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE iv[16] = {0}, blocks[32] = {0}, digest[32];
	CK_ULONG len = LEN, blocks_len = 16;
	struct sent sent, other;

	begin_both(session, CKM_AES_GCM, key);
	begin_both(second, CKM_AES_GCM, key);
	check(p11->C_EncryptInit(session, mechanism_with(CKM_AES_CBC, iv, 16), key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	sent_by(CKM_AES_GCM, &sent);
	check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, header,
					 sizeof(header)));
	check(p11->C_EncryptUpdate(session, text, 16, blocks, &blocks_len));
	check(next_sealed(session, &sent, 0, 16, 0, sent.sealed, &len));
	check(seal(second, sent_by(CKM_AES_GCM, &other)));
	check(open_sent(session, &other));
	check(p11->C_DigestUpdate(session, text, 16));
	len = LEN - 16;
	check(next_sealed(session, &sent, 16, LEN - 16, END, sent.sealed + 16, &len));
	check(open_sent(second, &sent));
	blocks_len = 16;
	check(p11->C_EncryptUpdate(session, text + 16, 16, blocks + 16, &blocks_len));
	blocks_len = 0;
	check(p11->C_EncryptFinal(session, blocks, &blocks_len));
	len = sizeof(digest);
	check(p11->C_DigestFinal(session, digest, &len));
	end_both(session);
	check(open_sent(second, &sent));
	end_both(second);
	check(p11->C_CloseSession(second));
}

static void final_cancel_and_no_mechanism_end_all(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_ULONG len = LEN;
	struct sent sent;

	sent_by(CKM_AES_GCM, &sent);
	for (int how = 0; how < 3; how++) {
		begin_both(session, CKM_AES_GCM, key);
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL,
						 0));
		if (how == 0)
			check(p30->C_MessageEncryptFinal(session));
		else if (how == 1)
			check(p30->C_MessageEncryptInit(session, NULL, 0));
		else
			check(p30->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			next_sealed(session, &sent, 0, LEN, END, sent.sealed, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED, seal(session, &sent));
		answers(CKR_OPERATION_NOT_INITIALIZED, p30->C_MessageEncryptFinal(session));
		check(p30->C_SessionCancel(session, CKF_ENCRYPT | CKF_MESSAGE_ENCRYPT));
		check(p30->C_MessageDecryptFinal(session));
	}
	begin_both(session, CKM_AES_GCM, key);
	check(p30->C_SessionCancel(session, CKF_MESSAGE_DECRYPT));
	check(p30->C_MessageEncryptFinal(session));
	answers(CKR_OPERATION_NOT_INITIALIZED, p30->C_MessageDecryptFinal(session));
	check(p30->C_MessageDecryptInit(session, NULL, 0));
}

static void whoever_lacks_room_may_come_again(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;
	CK_ULONG len;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		sent_by(types[i], &sent);
		len = 7;
		check(p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, NULL, 0,
					    text, LEN, NULL, &len));
		assert_int_equal(len, LEN);
		len = LEN - 1;
		answers(CKR_BUFFER_TOO_SMALL,
			p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, NULL, 0,
					      text, LEN, sent.sealed, &len));
		assert_int_equal(len, LEN);
		assert_memory_equal(sent.iv, (CK_BYTE[12]){0}, 12);
		check(seal(session, &sent));
		check(p30->C_DecryptMessageBegin(session, sent.parameter, sent.parameter_len,
						 header, sizeof(header)));
		for (int again = 0; again < 4; again++) {
			len = again % 2 == 0 ? 0 : LEN - 1;
			answers(again % 2 == 0 ? CKR_OK : CKR_BUFFER_TOO_SMALL,
				p30->C_DecryptMessageNext(
					session, sent.parameter, sent.parameter_len, sent.sealed,
					LEN, again % 2 == 0 ? NULL : sent.opened, &len, END));
			assert_int_equal(len, LEN);
		}
		check(p30->C_DecryptMessageNext(session, sent.parameter, sent.parameter_len,
						sent.sealed, LEN, sent.opened, &len, END));
		assert_memory_equal(sent.opened, text, LEN);
		end_both(session);
	}
}

/* A NULL buffer asks for a length; but nobody may take that for a yes. */
static void an_empty_message_is_verified_without_a_buffer_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;
	CK_BYTE none[1];
	CK_ULONG len = 0;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		sent_by(types[i], &sent)->ccm.ulDataLen = 0;
		check(p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, header,
					    sizeof(header), NULL, 0, none, &len));
		assert_int_equal(len, 0);
		for (int good = 1; good >= 0; good--) {
			sent.tag[3] ^= good == 1 ? 0 : 1;
			answers(good == 1 ? CKR_OK : CKR_AEAD_DECRYPT_FAILED,
				p30->C_DecryptMessage(session, sent.parameter, sent.parameter_len,
						      header, sizeof(header), NULL, 0, NULL, &len));
			check(p30->C_DecryptMessageBegin(session, sent.parameter,
							 sent.parameter_len, header,
							 sizeof(header)));
			answers(good == 1 ? CKR_OK : CKR_AEAD_DECRYPT_FAILED,
				p30->C_DecryptMessageNext(session, sent.parameter,
							  sent.parameter_len, NULL, 0, NULL, &len,
							  END));
			assert_int_equal(len, 0);
		}
		end_both(session);
	}
}

/* GMAC: a header alone, and its tag. */
static void an_empty_message_is_sealed_without_a_buffer_too(void **state)
{
	static const CK_BYTE none[TAG];
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;
	CK_ULONG len = 7;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		sent_by(types[i], &sent)->ccm.ulDataLen = 0;
		check(p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, header,
					    sizeof(header), NULL, 0, NULL, &len));
		assert_int_equal(len, 0);
		assert_memory_not_equal(sent.iv, none, 12);
		assert_memory_not_equal(sent.tag, none, TAG);
		check(p30->C_DecryptMessage(session, sent.parameter, sent.parameter_len, header,
					    sizeof(header), NULL, 0, NULL, &len));
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len,
						 header, sizeof(header)));
		memset(sent.tag, 0, TAG);
		check(p30->C_EncryptMessageNext(session, sent.parameter, sent.parameter_len, NULL,
						0, NULL, &len, END));
		check(p30->C_DecryptMessage(session, sent.parameter, sent.parameter_len, header,
					    sizeof(header), NULL, 0, NULL, &len));
		end_both(session);
	}
}

static void text_and_ciphertext_may_be_one_memory(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;
	CK_BYTE memory[LEN + 8];
	CK_ULONG len;

	for (size_t i = 0; i < 2; i++)
		for (size_t shift = 0; shift <= 8; shift += 4) {
			begin_both(session, types[i], key);
			sent_by(types[i], &sent);
			memcpy(memory, text, LEN);
			len = LEN;
			check(p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len,
						    NULL, 0, memory, LEN, memory + shift, &len));
			check(p30->C_DecryptMessage(session, sent.parameter, sent.parameter_len,
						    NULL, 0, memory + shift, LEN, memory, &len));
			assert_memory_equal(memory, text, LEN);
			end_both(session);
		}
}

/* --- The key */

static void the_key_needs_its_rights(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE only = CKM_AES_CBC;
	CK_OBJECT_HANDLE keys[3];

	keys[0] = key_generate(session, with_bool(with_number(aes_template(), CKA_VALUE_LEN, 32),
						  CKA_ENCRYPT, false));
	keys[1] = key_generate(session, with_bool(with_number(aes_template(), CKA_VALUE_LEN, 32),
						  CKA_DECRYPT, false));
	keys[2] = key_generate(session, with(with_number(aes_template(), CKA_VALUE_LEN, 32),
					     CKA_ALLOWED_MECHANISMS, &only, sizeof(only)));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), keys[0]));
	check(p30->C_MessageDecryptInit(session, mechanism(CKM_AES_GCM), keys[0]));
	check(p30->C_MessageDecryptFinal(session));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p30->C_MessageDecryptInit(session, mechanism(CKM_AES_CCM), keys[1]));
	answers(CKR_MECHANISM_INVALID,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), keys[2]));
	answers(CKR_MECHANISM_INVALID,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_CBC), keys[1]));
	answers(CKR_KEY_HANDLE_INVALID,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), 0));
	answers(CKR_KEY_TYPE_INCONSISTENT,
		p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM),
					  default_root_key(session)));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p30->C_MessageEncryptInit(session, mechanism_with(CKM_AES_GCM, "12 bytes iv.", 12),
					  keys[1]));
	answers(CKR_OPERATION_NOT_INITIALIZED, p30->C_MessageEncryptFinal(session));
}

static void the_mechanisms_say_that_they_take_messages(void **state)
{
	static const CK_FLAGS messages =
		CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
	CK_MECHANISM_TYPE list[128];
	CK_MECHANISM_INFO info;
	CK_ULONG count = 128;

	(void)state;
	check(p11->C_GetMechanismList(slot, list, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		check(p11->C_GetMechanismInfo(slot, list[i], &info));
		assert_int_equal(info.flags & messages,
				 list[i] == CKM_AES_GCM || list[i] == CKM_AES_CCM ? messages : 0);
	}
}

static void the_next_message_sees_what_became_of_the_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, second = session_new();
	CK_OBJECT_HANDLE key = known_key(session);
	struct template *t = with_bool(template_new(), CKA_ENCRYPT, false);
	CK_ULONG len = LEN;
	struct sent sent;

	begin_both(session, CKM_AES_GCM, key);
	check(seal(session, sent_by(CKM_AES_GCM, &sent)));
	check(p11->C_SetAttributeValue(session, key, t->rows, t->count));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, &sent));
	check(open_sent(session, &sent));
	t = with_bool(template_new(), CKA_ENCRYPT, true);
	check(p11->C_SetAttributeValue(second, key, t->rows, t->count));
	check(seal(session, &sent));
	check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, header,
					 sizeof(header)));
	check(p11->C_DestroyObject(second, key));
	/* What is under way works on, as C_EncryptUpdate does. */
	check(next_sealed(session, &sent, 0, LEN, END, sent.sealed, &len));
	answers(CKR_KEY_HANDLE_INVALID, seal(session, &sent));
	answers(CKR_KEY_HANDLE_INVALID, open_sent(session, &sent));
	end_both(session);
	check(p11->C_CloseSession(second));
}

/* Without a lease each message asks. */
static int begin_unleased(void **state)
{
	p11->C_Finalize(NULL);
	token_configure("lease_seconds = 0\ndeny_seconds = 0\n");
	if (initialize() != CKR_OK)
		return -1;
	return session_setup(state);
}

static int end_unleased(void **state)
{
	session_teardown(state);
	p11->C_Finalize(NULL);
	token_configure("");
	return initialize() == CKR_OK ? 0 : -1;
}

static void a_no_of_the_kms_stops_the_next_message(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = some_zone(session), root = default_root_key(session);
	struct template *off = with_number(template_new(), CKA_CMEK_STATE, CMEK_STATE_DISABLED);
	struct template *on = with_number(template_new(), CKA_CMEK_STATE, CMEK_STATE_ACTIVE);
	struct sent sent;
	CK_ULONG len = 0;

	begin_both(session, CKM_AES_GCM, key);
	check(seal(session, sent_by(CKM_AES_GCM, &sent)));
	check(p11->C_SetAttributeValue(session, root, off->rows, off->count));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, &sent));
	assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, open_sent(session, &sent));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p30->C_DecryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL, 0));
	/* A length asks nobody. */
	check(p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, NULL, 0, text, LEN,
				    NULL, &len));
	check(p11->C_SetAttributeValue(session, root, on->rows, on->count));
	check(seal(session, &sent));
	check(open_sent(session, &sent));
	end_both(session);
}

/* --- Parameters */

static void parameters_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		CK_ULONG iv_len, tag_bits;
		CK_GENERATOR_FUNCTION generator;
		bool has_iv, has_tag;
	} bad[] = {
		{0, 128, CKG_GENERATE, true, true},    {11, 128, CKG_GENERATE, true, true},
		{13, 128, CKG_GENERATE, true, true},   {129, 128, CKG_NO_GENERATE, true, true},
		{12, 0, CKG_GENERATE, true, true},     {12, 120 + 4, CKG_GENERATE, true, true},
		{12, 136, CKG_GENERATE, true, true},   {12, 128, 5, true, true},
		{12, 128, CKG_GENERATE, false, true},  {12, 128, CKG_GENERATE, true, false},
		{~0UL, 128, CKG_GENERATE, true, true},
	};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct sent sent;

	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), known_key(session)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		sent_by(CKM_AES_GCM, &sent);
		sent.gcm.ulIvLen = bad[i].iv_len;
		sent.gcm.ulTagBits = bad[i].tag_bits;
		sent.gcm.ivGenerator = bad[i].generator;
		sent.gcm.pIv = bad[i].has_iv ? sent.iv : NULL;
		sent.gcm.pTag = bad[i].has_tag ? sent.tag : NULL;
		answers(CKR_MECHANISM_PARAM_INVALID, seal(session, &sent));
	}
	check(p30->C_MessageEncryptFinal(session));
}

static void ccm_has_the_length_that_was_said(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct sent sent;
	CK_ULONG len = LEN;

	begin_both(session, CKM_AES_CCM, known_key(session));
	sent_by(CKM_AES_CCM, &sent);
	for (CK_ULONG said = LEN - 1; said <= LEN + 1; said += 2) {
		sent.ccm.ulDataLen = said;
		answers(CKR_DATA_LEN_RANGE, seal(session, &sent));
		answers(CKR_ENCRYPTED_DATA_LEN_RANGE, open_sent(session, &sent));
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL,
						 0));
		answers(CKR_DATA_LEN_RANGE,
			next_sealed(session, &sent, 0, LEN, END, sent.sealed, &len));
	}
	sent.ccm.ulDataLen = LEN;
	check(seal(session, &sent));
	check(open_sent(session, &sent));
	end_both(session);
}

/* It is touched at the end. */
static void a_message_in_parts_begins_without_a_tag(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG len = LEN;
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], known_key(session));
		sent_by(types[i], &sent);
		sent.gcm.pTag = sent.ccm.pMAC = NULL;
		answers(CKR_MECHANISM_PARAM_INVALID, seal(session, &sent));
		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len,
						 header, sizeof(header)));
		sent.gcm.pTag = sent.ccm.pMAC = sent.tag;
		check(next_sealed(session, &sent, 0, LEN, END, sent.sealed, &len));
		for (int with = 1; with >= 0; with--) {
			sent.gcm.pTag = sent.ccm.pMAC = NULL;
			answers(CKR_MECHANISM_PARAM_INVALID, open_sent(session, &sent));
			check(p30->C_DecryptMessageBegin(session, sent.parameter,
							 sent.parameter_len, header,
							 sizeof(header)));
			sent.gcm.pTag = sent.ccm.pMAC = with == 1 ? sent.tag : NULL;
			memset(sent.opened, 0, LEN);
			answers(with == 1 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
				p30->C_DecryptMessageNext(session, sent.parameter,
							  sent.parameter_len, sent.sealed, LEN,
							  sent.opened, &len, END));
			if (with == 1)
				assert_memory_equal(sent.opened, text, LEN);
		}
		end_both(session);
	}
}

/* Who opens need not say who made the IV, nor truly. */
static void opening_passes_over_generator_and_fixed_bits(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_GENERATOR_FUNCTION generator;
	CK_BYTE long_iv[20] = "twenty bytes of an I", joined[LEN + TAG];
	CK_ULONG len = sizeof(joined);
	CK_OBJECT_HANDLE key = known_key(session);
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], key);
		check(seal(session, sent_by(types[i], &sent)));
		sent.gcm.ulIvFixedBits = sent.ccm.ulNonceFixedBits = ~0UL;
		for (generator = 0; generator <= 6; generator++) {
			sent.gcm.ivGenerator = sent.ccm.nonceGenerator = generator;
			check(open_sent(session, &sent));
			check(open_in_parts(session, &sent, 16));
		}
		end_both(session);
	}
	if (!fips_offers(CKM_AES_GCM, CKF_ENCRYPT))
		return; /* no IV of the caller's */
	check(p11->C_EncryptInit(session,
				 mechanism_gcm(long_iv, 20, header, sizeof(header), 8 * TAG), key));
	check(p11->C_Encrypt(session, text, LEN, joined, &len));
	sent_by(CKM_AES_GCM, &sent);
	sent.gcm.pIv = long_iv;
	sent.gcm.ulIvLen = 20;
	memcpy(sent.sealed, joined, LEN);
	memcpy(sent.tag, joined + LEN, TAG);
	check(p30->C_MessageDecryptInit(session, mechanism(CKM_AES_GCM), key));
	check(open_sent(session, &sent));
	check(p30->C_MessageDecryptFinal(session));
}

/* Such a length is looked at before an IV is made, and before what fails is wiped. */
static void a_length_that_no_message_has_takes_no_iv_and_touches_nothing(void **state)
{
	static const CK_ULONG lens[] = {~0UL, ~0UL - TAG, ~0UL / 2, (1UL << 36) - 31};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key =
		key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
	CK_BYTE out[LEN] = "stays", before[LEN] = "stays";
	struct sent sent;

	begin_both(session, CKM_AES_GCM, key);
	sent_by(CKM_AES_GCM, &sent)->gcm.ivGenerator = CKG_GENERATE_COUNTER;
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		CK_ULONG room = ~0UL;

		answers(CKR_DATA_LEN_RANGE,
			p30->C_EncryptMessage(session, sent.parameter, sent.parameter_len, NULL, 0,
					      text, lens[i], out, &room));
		answers(CKR_ENCRYPTED_DATA_LEN_RANGE,
			p30->C_DecryptMessage(session, sent.parameter, sent.parameter_len, NULL, 0,
					      text, lens[i], out, &room));
		assert_int_equal(room, ~0UL);
		for (CK_FLAGS flags = 0; flags <= END; flags += END) {
			check(p30->C_DecryptMessageBegin(session, sent.parameter,
							 sent.parameter_len, NULL, 0));
			answers(CKR_ENCRYPTED_DATA_LEN_RANGE,
				p30->C_DecryptMessageNext(session, sent.parameter,
							  sent.parameter_len, text, lens[i], out,
							  &room, flags));
		}
		assert_memory_equal(out, before, LEN);
	}
	for (CK_FLAGS flags = 0; flags <= END; flags += END) {
		CK_ULONG room = ~0UL;

		check(p30->C_EncryptMessageBegin(session, sent.parameter, sent.parameter_len, NULL,
						 0));
		answers(CKR_DATA_LEN_RANGE,
			next_sealed(session, &sent, 0, ~0UL, flags, out, &room));
	}
	check(seal(session, &sent));
	assert_int_equal(sent.iv[11], 2); /* after those that began in parts */
	end_both(session);
}

/* With FIPS the module makes the IVs of GCM. */
static void the_caller_may_bring_the_iv_but_with_fips(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	bool fits = fips_offers(CKM_AES_GCM, CKF_ENCRYPT);
	struct sent sent;

	for (size_t i = 0; i < 2; i++) {
		begin_both(session, types[i], known_key(session));
		sent_by(types[i], &sent);
		sent.gcm.ivGenerator = sent.ccm.nonceGenerator = CKG_NO_GENERATE;
		memcpy(sent.iv, "twelve bytes", 12);
		answers(fits || i == 1 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
			seal(session, &sent));
		assert_memory_equal(sent.iv, "twelve bytes", 12);
		if (fits || i == 1)
			check(open_sent(session, &sent));
		end_both(session);
	}
}

int rules_messages(void)
{
	const struct CMUnitTest tests[] = {
		in_session(many_messages_go_under_one_key),
		in_session(a_message_is_what_c_encrypt_makes),
		in_session(parts_are_the_whole),
		in_session(what_is_not_authentic_gives_nothing),
		in_session(the_end_has_the_tag_that_the_begin_said),
		in_session(an_error_ends_its_message_and_not_the_series),
		in_session(a_message_in_parts_refuses_one_at_once_and_goes_on),
		in_session(messages_stand_beside_all_other_operations),
		in_session(final_cancel_and_no_mechanism_end_all),
		in_session(whoever_lacks_room_may_come_again),
		in_session(an_empty_message_is_verified_without_a_buffer_too),
		in_session(an_empty_message_is_sealed_without_a_buffer_too),
		in_session(text_and_ciphertext_may_be_one_memory),
		in_session(the_key_needs_its_rights),
		in_session(the_mechanisms_say_that_they_take_messages),
		in_session(the_next_message_sees_what_became_of_the_key),
		cmocka_unit_test_setup_teardown(a_no_of_the_kms_stops_the_next_message,
						begin_unleased, end_unleased),
		in_session(parameters_that_do_not_fit_are_refused),
		in_session(ccm_has_the_length_that_was_said),
		in_session(a_message_in_parts_begins_without_a_tag),
		in_session(opening_passes_over_generator_and_fixed_bits),
		in_session(a_length_that_no_message_has_takes_no_iv_and_touches_nothing),
		in_session(the_caller_may_bring_the_iv_but_with_fips),
	};

	return run_group("messages", tests, token_setup, token_teardown);
}
