/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, at once and in parts. Their values are in vectors.c as well; here are the rules. */
#include "same.h"

struct digest {
	CK_MECHANISM_TYPE type;
	CK_ULONG len;
	CK_BYTE begin[8]; /* of the digest of "abc": FIPS 180-4, "Secure Hash Standard" examples */
};

static const struct digest digests[] = {
	{CKM_SHA_1, 20, {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a}},
	{CKM_SHA224, 28, {0x23, 0x09, 0x7d, 0x22, 0x34, 0x05, 0xd8, 0x22}},
	{CKM_SHA256, 32, {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea}},
	{CKM_SHA384, 48, {0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b}},
	{CKM_SHA512, 64, {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba}},
};
#define DIGEST_COUNT (sizeof(digests) / sizeof(*digests))
#define for_each_digest(d)                                                                         \
	for (const struct digest *d = digests; (d) < digests + DIGEST_COUNT; (d)++)

static CK_BYTE abc[3] = {'a', 'b', 'c'};

static void every_digest_has_its_length_and_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];

	for_each_digest(d)
	{
		CK_ULONG len = sizeof(out);

		check(p11->C_DigestInit(session, mechanism(d->type)));
		check(p11->C_Digest(session, abc, 3, out, &len));
		assert_int_equal(len, d->len);
		assert_memory_equal(out, d->begin, 8);
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_Digest(session, abc, 3, out, &len));
	}
}

static void parts_give_the_same_digest(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];

	for_each_digest(d)
	{
		CK_ULONG len = sizeof(out);

		check(p11->C_DigestInit(session, mechanism(d->type)));
		for (int i = 0; i < 3; i++)
			check(p11->C_DigestUpdate(session, abc + i, 1));
		check(p11->C_DigestUpdate(session, abc, 0));
		check(p11->C_DigestFinal(session, out, &len));
		assert_int_equal(len, d->len);
		assert_memory_equal(out, d->begin, 8);
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestFinal(session, out, &len));
	}
}

static void the_length_of_a_digest_can_be_asked(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];

	for_each_digest(d)
	{
		CK_ULONG len = 0xdeadbeef;

		check(p11->C_DigestInit(session, mechanism(d->type)));
		check(p11->C_Digest(session, abc, 3, NULL, &len));
		assert_int_equal(len, d->len);
		len--;
		answers(CKR_BUFFER_TOO_SMALL, p11->C_Digest(session, abc, 3, out, &len));
		assert_int_equal(len, d->len);
		check(p11->C_Digest(session, abc, 3, out, &len));
		assert_memory_equal(out, d->begin, 8);
	}
}

static void the_length_can_be_asked_at_the_end_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];
	CK_ULONG len = 0xdeadbeef;

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestUpdate(session, abc, 3));
	check(p11->C_DigestFinal(session, NULL, &len));
	assert_int_equal(len, 32);
	len = 31;
	answers(CKR_BUFFER_TOO_SMALL, p11->C_DigestFinal(session, out, &len));
	check(p11->C_DigestFinal(session, out, &len));
	assert_memory_equal(out, digests[2].begin, 8);
}

static void nothing_has_a_digest_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	static const CK_BYTE begin[4] = {0xe3, 0xb0, 0xc4, 0x42};
	CK_BYTE out[32];
	CK_ULONG len = sizeof(out);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_Digest(session, abc, 0, out, &len));
	assert_memory_equal(out, begin, sizeof(begin));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestFinal(session, out, &len));
	assert_memory_equal(out, begin, sizeof(begin));
}

static void a_digest_is_begun_before_it_is_used(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_Digest(session, abc, 3, out, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestUpdate(session, abc, 3));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestFinal(session, out, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_OPERATION_ACTIVE, p11->C_DigestInit(session, mechanism(CKM_SHA256)));
}

static void other_mechanisms_digest_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	answers(CKR_MECHANISM_INVALID, p11->C_DigestInit(session, mechanism(CKM_AES_ECB)));
	answers(CKR_MECHANISM_INVALID, p11->C_DigestInit(session, mechanism(0x8ABCDEF0UL)));
}

static void bad_arguments_of_a_digest_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_ARGUMENTS_BAD, p11->C_Digest(session, NULL, 3, out, &len));
	check(p11->C_DigestInit(other, mechanism(CKM_SHA256)));
	answers(CKR_ARGUMENTS_BAD, p11->C_DigestUpdate(other, NULL, 3));
	check(p11->C_CloseSession(other));
}

static void the_whole_digest_can_not_follow_a_part(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE out[64];
	CK_ULONG len = sizeof(out);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestUpdate(session, abc, 1));
	answers(difference("C_Digest after C_DigestUpdate"),
		p11->C_Digest(session, abc + 1, 2, out, &len));
}

static void a_key_can_be_digested(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE value[16] = "sixteen letters", expected[32], out[32];
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 16);
	CK_ULONG len = sizeof(out);

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_Digest(session, value, 16, expected, &len));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestKey(session, key));
	check(p11->C_DigestFinal(session, out, &len));
	assert_memory_equal(out, expected, 32);
}

static void a_sensitive_key_is_not_digested(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_SENSITIVE, true));

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(difference("C_DigestKey of a sensitive key"), p11->C_DigestKey(session, key));
}

int same_digests(void)
{
	const struct CMUnitTest tests[] = {
		in_session(every_digest_has_its_length_and_value),
		in_session(parts_give_the_same_digest),
		in_session(the_length_of_a_digest_can_be_asked),
		in_session(the_length_can_be_asked_at_the_end_too),
		in_session(nothing_has_a_digest_too),
		in_session(a_digest_is_begun_before_it_is_used),
		in_session(other_mechanisms_digest_nothing),
		in_session(bad_arguments_of_a_digest_are_refused),
		in_session(the_whole_digest_can_not_follow_a_part),
		in_session(a_key_can_be_digested),
		in_session(a_sensitive_key_is_not_digested),
	};

	return run_group("digests", tests, token_setup, token_teardown);
}
