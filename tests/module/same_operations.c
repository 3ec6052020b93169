/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How an operation begins, goes on and ends: parts, the two-call rule, and what ends it. Written
 * for every mode that encrypts; digests follow the same rules in same_digests.c. */
#include "same.h"

static const CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
static const CK_BYTE iv[16] = "initial vector!";

struct mode {
	const char *name;
	CK_MECHANISM_TYPE type;
	bool pads, tags;
};

static const struct mode modes[] = {
	{"ECB", CKM_AES_ECB, false, false},    {"CBC", CKM_AES_CBC, false, false},
	{"PAD", CKM_AES_CBC_PAD, true, false}, {"CTR", CKM_AES_CTR, false, false},
	{"GCM", CKM_AES_GCM, false, true},
};
#define MODE_COUNT	 (sizeof(modes) / sizeof(*modes))
#define for_each_mode(m) for (const struct mode *m = modes; (m) < modes + MODE_COUNT; (m)++)

static CK_MECHANISM *by(const struct mode *mode)
{
	if (mode->type == CKM_AES_ECB)
		return mechanism(mode->type);
	if (mode->type == CKM_AES_CTR)
		return mechanism_ctr(iv, 128);
	if (mode->tags)
		return mechanism_gcm(iv, 12, "header", 6, 128);
	return mechanism_with(mode->type, iv, sizeof(iv));
}

static CK_ULONG encrypted_len(const struct mode *mode, CK_ULONG len)
{
	return mode->pads ? (len / 16 + 1) * 16 : mode->tags ? len + 16 : len;
}

static void encrypt_whole(CK_SESSION_HANDLE session, const struct mode *mode, CK_OBJECT_HANDLE key,
			  CK_BYTE *data, CK_ULONG len, CK_BYTE *out)
{
	CK_ULONG out_len = encrypted_len(mode, len);

	check(p11->C_EncryptInit(session, by(mode), key));
	check(p11->C_Encrypt(session, data, len, out, &out_len));
	assert_int_equal(out_len, encrypted_len(mode, len));
}

static CK_OBJECT_HANDLE a_key(CK_SESSION_HANDLE session)
{
	return key_import(session, CKK_AES, value, sizeof(value));
}

typedef CK_RV update(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
typedef CK_RV final(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG *);

/* Feeds `in` in steps of the given size and returns the length of all that came out. */
static CK_ULONG in_parts(CK_SESSION_HANDLE session, update *part, final *last, CK_BYTE *in,
			 CK_ULONG len, CK_ULONG step, CK_BYTE *out, CK_ULONG size)
{
	CK_ULONG done = 0, room;

	for (CK_ULONG at = 0; at < len; at += step) {
		room = size - done;
		check(part(session, in + at, step < len - at ? step : len - at, out + done, &room));
		done += room;
	}
	room = size - done;
	check(last(session, out + done, &room));
	return done + room;
}

static void parts_give_the_same_as_the_whole(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[160], whole[176], out[256], back[256];
	static const CK_ULONG steps[] = {1, 7, 13, 16, 17, 32, 100, 160};

	for (CK_ULONG i = 0; i < sizeof(data); i++)
		data[i] = (CK_BYTE)i;
	for_each_mode(m)
	{
		CK_ULONG len = encrypted_len(m, 160);

		encrypt_whole(session, m, key, data, 160, whole);
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			check(p11->C_EncryptInit(session, by(m), key));
			assert_int_equal(in_parts(session, p11->C_EncryptUpdate,
						  p11->C_EncryptFinal, data, 160, steps[i], out,
						  256),
					 len);
			assert_memory_equal(out, whole, len);
			check(p11->C_DecryptInit(session, by(m), key));
			assert_int_equal(in_parts(session, p11->C_DecryptUpdate,
						  p11->C_DecryptFinal, whole, len, steps[i], back,
						  256),
					 160);
			assert_memory_equal(back, data, 160);
		}
	}
}

static void nothing_can_be_encrypted_in_parts(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE out[32], data[1];

	for_each_mode(m)
	{
		CK_ULONG len = sizeof(out);

		check(p11->C_EncryptInit(session, by(m), key));
		check(p11->C_EncryptUpdate(session, data, 0, out, &len));
		assert_int_equal(len, 0);
		len = sizeof(out);
		check(p11->C_EncryptFinal(session, out, &len));
		assert_int_equal(len, encrypted_len(m, 0));
	}
}

/* Programs panic if the end of a mode without padding still has data for them. */
static void no_whole_block_is_held_back_without_padding(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[32];

	for (const struct mode *m = modes; m < modes + 2; m++) {
		CK_ULONG len = sizeof(out);

		check(p11->C_DecryptInit(session, by(m), key));
		check(p11->C_DecryptUpdate(session, data, 32, out, &len));
		assert_int_equal(len, 32);
		len = 0;
		check(p11->C_DecryptFinal(session, NULL, &len));
		assert_int_equal(len, 0);
		check(p11->C_DecryptFinal(session, out, &len));
	}
}

static void asking_for_the_length_changes_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, whole[48], out[64];

	for_each_mode(m)
	{
		CK_ULONG len = 0xdeadbeef;

		encrypt_whole(session, m, key, data, 32, whole);
		check(p11->C_EncryptInit(session, by(m), key));
		for (int i = 0; i < 2; i++) {
			len = 0xdeadbeef;
			check(p11->C_Encrypt(session, data, 32, NULL, &len));
			assert_int_equal(len, encrypted_len(m, 32));
		}
		check(p11->C_Encrypt(session, data, 32, out, &len));
		assert_memory_equal(out, whole, len);
		check(p11->C_DecryptInit(session, by(m), key));
		check(p11->C_Decrypt(session, whole, encrypted_len(m, 32), NULL, &len));
		assert_in_range(len, 32, 48);
		len = sizeof(out);
		check(p11->C_Decrypt(session, whole, encrypted_len(m, 32), out, &len));
		assert_int_equal(len, 32);
	}
}

static void asking_for_the_length_of_a_part_changes_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, whole[48], out[64];

	for_each_mode(m)
	{
		CK_ULONG len = 0xdeadbeef, done;

		encrypt_whole(session, m, key, data, 32, whole);
		check(p11->C_EncryptInit(session, by(m), key));
		check(p11->C_EncryptUpdate(session, data, 32, NULL, &len));
		assert_in_range(len, m->pads ? 16 : 32, 64);
		done = sizeof(out);
		check(p11->C_EncryptUpdate(session, data, 32, out, &done));
		len = 0xdeadbeef;
		check(p11->C_EncryptFinal(session, NULL, &len));
		assert_in_range(len, encrypted_len(m, 32) - done, 32);
		len = sizeof(out) - done;
		check(p11->C_EncryptFinal(session, out + done, &len));
		assert_int_equal(done + len, encrypted_len(m, 32));
		assert_memory_equal(out, whole, done + len);
	}
}

static void too_little_room_is_told_and_forgiven(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, whole[48], out[64];

	for_each_mode(m)
	{
		CK_ULONG len = encrypted_len(m, 32) - 1;

		encrypt_whole(session, m, key, data, 32, whole);
		check(p11->C_EncryptInit(session, by(m), key));
		answers(CKR_BUFFER_TOO_SMALL, p11->C_Encrypt(session, data, 32, out, &len));
		assert_int_equal(len, encrypted_len(m, 32));
		check(p11->C_Encrypt(session, data, 32, out, &len));
		assert_memory_equal(out, whole, len);
	}
}

static void too_little_room_for_a_part_is_told_and_forgiven(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[48] = {0}, whole[64], out[96];

	for_each_mode(m)
	{
		CK_ULONG len = 1, done;

		encrypt_whole(session, m, key, data, 48, whole);
		check(p11->C_EncryptInit(session, by(m), key));
		answers(CKR_BUFFER_TOO_SMALL, p11->C_EncryptUpdate(session, data, 48, out, &len));
		assert_in_range(len, m->pads ? 32 : 48, 64);
		done = sizeof(out);
		check(p11->C_EncryptUpdate(session, data, 48, out, &done));
		if (encrypted_len(m, 48) > done) {
			len = 0;
			answers(CKR_BUFFER_TOO_SMALL,
				p11->C_EncryptFinal(session, out + done, &len));
			assert_int_equal(len, encrypted_len(m, 48) - done);
		}
		len = sizeof(out) - done;
		check(p11->C_EncryptFinal(session, out + done, &len));
		assert_memory_equal(out, whole, done + len);
	}
}

static void an_operation_ends_with_its_result(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[48];

	for_each_mode(m)
	{
		CK_ULONG len = sizeof(out);

		encrypt_whole(session, m, key, data, 32, out);
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Encrypt(session, data, 32, out, &len));
		check(p11->C_EncryptInit(session, by(m), key));
		check(p11->C_EncryptUpdate(session, data, 32, out, &len));
		len = sizeof(out);
		check(p11->C_EncryptFinal(session, out, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_EncryptUpdate(session, data, 32, out, &len));
	}
}

static void an_error_ends_the_operation(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[48];

	for_each_mode(m)
	{
		CK_ULONG len = sizeof(out);

		check(p11->C_EncryptInit(session, by(m), key));
		answers(CKR_ARGUMENTS_BAD, p11->C_Encrypt(session, data, 32, out, NULL));
		answers(difference("an operation after CKR_ARGUMENTS_BAD"),
			p11->C_Encrypt(session, data, 32, out, &len));
	}
}

static void data_that_are_not_there_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE out[48];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, by(modes), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Encrypt(session, NULL, 32, out, &len));
	check(p11->C_DecryptInit(other, by(modes), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Decrypt(other, NULL, 32, out, &len));
	check(p11->C_CloseSession(other));
}

static void an_operation_is_begun_once(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[48];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, by(modes), key));
	answers(CKR_OPERATION_ACTIVE, p11->C_EncryptInit(session, by(modes), key));
	check(p11->C_Encrypt(session, data, 32, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptUpdate(session, data, 16, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptFinal(session, out, &len));
}

static void the_whole_can_not_follow_a_part(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[64];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, by(modes), key));
	check(p11->C_EncryptUpdate(session, data, 16, out, &len));
	len = sizeof(out);
	answers(difference("C_Encrypt after C_EncryptUpdate"),
		p11->C_Encrypt(session, data, 16, out, &len));
}

static void operations_of_two_kinds_can_be_active(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, out[32], back[32];
	CK_ULONG len = 32;
	CK_RV expected = difference("C_DecryptInit during an encryption");

	check(p11->C_EncryptInit(session, by(modes), key));
	answers(expected, p11->C_DecryptInit(session, by(modes), key));
	check(p11->C_Encrypt(session, data, 32, out, &len));
	if (expected == CKR_OK)
		check(p11->C_Decrypt(session, out, 32, back, &len));
}

static void sessions_do_not_disturb_each_other(void **state)
{
	CK_SESSION_HANDLE one = (CK_SESSION_HANDLE)*state, two = session_new();
	CK_OBJECT_HANDLE key = a_key(one);
	CK_BYTE data[32] = {0}, expected[48], out[2][64];
	CK_ULONG len[2] = {64, 64}, rest = 64;

	encrypt_whole(one, &modes[4], key, data, 32, expected);
	check(p11->C_EncryptInit(one, by(&modes[4]), key));
	check(p11->C_EncryptInit(two, by(&modes[4]), key));
	check(p11->C_EncryptUpdate(one, data, 32, out[0], &len[0]));
	check(p11->C_EncryptUpdate(two, data, 32, out[1], &len[1]));
	check(p11->C_EncryptFinal(one, out[0] + len[0], &rest));
	assert_memory_equal(out[0], expected, 48);
	check(p11->C_CloseSession(two));
}

static void a_mechanism_that_is_not_there(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[16] = {0};
	CK_ULONG len = sizeof(data);

	check(p11->C_EncryptInit(session, by(modes), key));
	answers(difference("C_EncryptInit without a mechanism"),
		p11->C_EncryptInit(session, NULL, key));
	answers(difference("C_Encrypt after C_EncryptInit without a mechanism"),
		p11->C_Encrypt(session, data, 16, data, &len));
}

static void a_closed_session_has_no_operation(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_OBJECT_HANDLE key = a_key((CK_SESSION_HANDLE)*state);
	CK_BYTE data[16] = {0};
	CK_ULONG len = sizeof(data);

	check(p11->C_EncryptInit(session, by(modes), key));
	check(p11->C_CloseSession(session));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_Encrypt(session, data, 16, data, &len));
}

static void an_operation_outlives_its_key_object(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[32] = {0}, expected[32], out[32];
	CK_ULONG len = sizeof(out);

	encrypt_whole(session, modes, key, data, 32, expected);
	check(p11->C_EncryptInit(session, by(modes), key));
	check(p11->C_DestroyObject(session, key));
	check(p11->C_Encrypt(session, data, 32, out, &len));
	assert_memory_equal(out, expected, 32);
}

static void gcm_in_parts_ends_with_the_tag_checked(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = a_key(session);
	CK_BYTE data[64] = {0}, out[80], back[128];
	CK_ULONG len = sizeof(back);

	encrypt_whole(session, &modes[4], key, data, 64, out);
	out[70] ^= 1;
	check(p11->C_DecryptInit(session, by(&modes[4]), key));
	check(p11->C_DecryptUpdate(session, out, 80, back, &len));
	len = sizeof(back);
	answers(difference("C_DecryptFinal of a changed GCM message"),
		p11->C_DecryptFinal(session, back, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptFinal(session, back, &len));
}

/* The standard leaves open what becomes of it. */
static void an_operation_goes_on_when_its_key_is_destroyed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, t);
	CK_BYTE block[16] = {0}, before[16], after[16];
	CK_ULONG len = 16;

	check(p11->C_EncryptInit(other, mechanism(CKM_AES_ECB), key));
	check(p11->C_EncryptUpdate(other, block, 16, before, &len));
	check(p11->C_DestroyObject(session, key));
	check(p11->C_EncryptUpdate(other, block, 16, after, &len));
	assert_memory_equal(before, after, 16);
	check(p11->C_EncryptFinal(other, after, &len));
	assert_int_not_equal(p11->C_EncryptInit(other, mechanism(CKM_AES_ECB), key), CKR_OK);
}

int same_operations(void)
{
	const struct CMUnitTest tests[] = {
		in_session(parts_give_the_same_as_the_whole),
		in_session(nothing_can_be_encrypted_in_parts),
		in_session(no_whole_block_is_held_back_without_padding),
		in_session(asking_for_the_length_changes_nothing),
		in_session(asking_for_the_length_of_a_part_changes_nothing),
		in_session(too_little_room_is_told_and_forgiven),
		in_session(too_little_room_for_a_part_is_told_and_forgiven),
		in_session(an_operation_ends_with_its_result),
		in_session(an_error_ends_the_operation),
		in_session(data_that_are_not_there_are_refused),
		in_session(an_operation_is_begun_once),
		in_session(the_whole_can_not_follow_a_part),
		in_session(operations_of_two_kinds_can_be_active),
		in_session(sessions_do_not_disturb_each_other),
		in_session(a_mechanism_that_is_not_there),
		in_session(a_closed_session_has_no_operation),
		in_session(an_operation_outlives_its_key_object),
		in_session(gcm_in_parts_ends_with_the_tag_checked),
		in_session(an_operation_goes_on_when_its_key_is_destroyed),
	};

	return run_group("operations", tests, token_setup, token_teardown);
}
