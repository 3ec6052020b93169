/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapping and unwrapping of keys. */
#include "same.h"

static const CK_BYTE wrapping_value[32] = "0123456789abcdef0123456789abcde";
static const CK_BYTE value[32] = "the key that is wrapped by other";
static const CK_BYTE iv[16] = "initial vector!";

static CK_OBJECT_HANDLE wrapping_key(CK_SESSION_HANDLE session)
{
	return key_import(session, CKK_AES, wrapping_value, 32);
}

static CK_ULONG wrap(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
		     CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG size)
{
	check(p11->C_WrapKey(session, by, wrapping, key, out, &size));
	return size;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
		    CK_BYTE *wrapped, CK_ULONG len, struct template *t, CK_OBJECT_HANDLE *ret_key)
{
	return p11->C_UnwrapKey(session, by, wrapping, wrapped, len, t->rows, t->count, ret_key);
}

static CK_ULONG value_len(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ULONG compare_len)
{
	CK_BYTE read[64];
	CK_ULONG len = attribute_bytes(session, key, CKA_VALUE, read, sizeof(read));

	assert_memory_equal(read, value, compare_len);
	return len;
}

static void is_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ULONG len)
{
	assert_int_equal(value_len(session, key, len), len);
}

static void a_wrapped_key_comes_back(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD};
	CK_BYTE wrapped[64];

	for (int i = 0; i < 2; i++) {
		for (CK_ULONG len = 16; len <= 32; len += 8) {
			CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, len);
			CK_ULONG wrapped_len = wrap(session, mechanism(types[i]), wrapping, key,
						    wrapped, sizeof(wrapped));

			assert_int_equal(wrapped_len, len + 8);
			check(unwrap(session, mechanism(types[i]), wrapping, wrapped, wrapped_len,
				     aes_template(), &back));
			is_value(session, back, len);
		}
	}
}

static void a_secret_of_any_length_is_wrapped_with_padding(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	bool exact = difference("the length of a secret comes back with it") != 0;
	CK_BYTE wrapped[64];

	for (CK_ULONG len = 9; len <= 24; len++) {
		CK_OBJECT_HANDLE key = key_import(session, CKK_GENERIC_SECRET, value, len);
		CK_ULONG wrapped_len = wrap(session, mechanism(CKM_AES_KEY_WRAP_PAD), wrapping, key,
					    wrapped, sizeof(wrapped));
		struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);

		assert_int_equal(wrapped_len, (len + 7) / 8 * 8 + 8);
		check(unwrap(session, mechanism(CKM_AES_KEY_WRAP_PAD), wrapping, wrapped,
			     wrapped_len, t, &back));
		assert_int_equal(value_len(session, back, len), exact ? len : wrapped_len - 8);
	}
}

static void a_secret_that_is_no_multiple_of_8_needs_padding(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_GENERIC_SECRET, value, 17);
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	answers(difference("CKM_AES_KEY_WRAP of 17 bytes"),
		p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), wrapping_key(session), key,
			       wrapped, &len));
}

static void a_key_is_wrapped_by_cbc_with_padding(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32), back;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session);
	CK_MECHANISM *by = mechanism_with(CKM_AES_CBC_PAD, iv, sizeof(iv));
	CK_RV expected = difference("C_WrapKey by CKM_AES_CBC_PAD");
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	answers(expected, p11->C_WrapKey(session, by, wrapping, key, wrapped, &len));
	if (expected != CKR_OK)
		return;
	assert_int_equal(len, 48);
	check(unwrap(session, by, wrapping, wrapped, len, aes_template(), &back));
	is_value(session, back, 32);
}

static void a_key_is_wrapped_by_cbc_as_data_are_encrypted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32), back;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session);
	CK_MECHANISM *by = mechanism_with(CKM_AES_CBC, iv, sizeof(iv));
	CK_RV expected = difference("C_UnwrapKey by CKM_AES_CBC");
	CK_BYTE wrapped[64], same[64];
	CK_ULONG len = sizeof(wrapped), same_len = sizeof(same);

	check(p11->C_WrapKey(session, by, wrapping, key, wrapped, &len));
	assert_int_equal(len, 32);
	check(p11->C_EncryptInit(session, by, wrapping));
	check(p11->C_Encrypt(session, (CK_BYTE *)value, 32, same, &same_len));
	assert_memory_equal(wrapped, same, 32);
	answers(expected, unwrap(session, by, wrapping, wrapped, len, aes_template(), &back));
	if (expected == CKR_OK)
		is_value(session, back, 32);
}

static void the_length_of_a_wrapped_key_can_be_asked(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_OBJECT_HANDLE wrapping = wrapping_key(session);
	CK_BYTE wrapped[40];
	CK_ULONG len = 0xdeadbeef;

	check(p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), wrapping, key, NULL, &len));
	assert_int_equal(len, 40);
	len = 39;
	answers(CKR_BUFFER_TOO_SMALL,
		p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), wrapping, key, wrapped, &len));
	assert_int_equal(len, 40);
	answers(CKR_ARGUMENTS_BAD,
		p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), wrapping, key, wrapped, NULL));
}

static void what_was_changed_is_not_unwrapped(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32), back;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session);
	CK_BYTE wrapped[40];
	CK_ULONG before;

	wrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, key, wrapped, sizeof(wrapped));
	before = objects_count(session, template_new());
	for (int i = 0; i < 40; i++) {
		wrapped[i] ^= 0x40;
		answers(difference("C_UnwrapKey of what was changed"),
			unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, wrapped, 40,
			       aes_template(), &back));
		wrapped[i] ^= 0x40;
	}
	assert_int_equal(objects_count(session, template_new()), before);
}

static void a_wrapped_key_of_a_wrong_length_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	CK_BYTE wrapped[64] = {0};

	answers(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping,
						  wrapped, 39, aes_template(), &back));
	answers(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping,
						  wrapped, 8, aes_template(), &back));
}

static void a_key_that_may_not_leave_does_not(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_EXTRACTABLE, false));
	CK_BYTE wrapped[40];
	CK_ULONG len = sizeof(wrapped);

	answers(CKR_KEY_UNEXTRACTABLE, p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP),
						      wrapping_key(session), key, wrapped, &len));
}

static void only_keys_that_may_wrap_do(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32), not_wrapping, back;
	CK_BYTE wrapped[40] = {0};
	CK_ULONG len = sizeof(wrapped);

	with_bool(t, CKA_WRAP, false);
	not_wrapping = key_generate(session, with_bool(t, CKA_UNWRAP, false));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP),
							       not_wrapping, key, wrapped, &len));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		unwrap(session, mechanism(CKM_AES_KEY_WRAP), not_wrapping, wrapped, 40,
		       aes_template(), &back));
}

static void missing_keys_are_told_apart(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapping_key(session), back;
	CK_BYTE wrapped[40] = {0};
	CK_ULONG len = sizeof(wrapped);

	answers(CKR_WRAPPING_KEY_HANDLE_INVALID,
		p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), CK_INVALID_HANDLE, key,
			       wrapped, &len));
	answers(CKR_KEY_HANDLE_INVALID, p11->C_WrapKey(session, mechanism(CKM_AES_KEY_WRAP), key,
						       CK_INVALID_HANDLE, wrapped, &len));
	answers(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
		unwrap(session, mechanism(CKM_AES_KEY_WRAP), CK_INVALID_HANDLE, wrapped, 40,
		       aes_template(), &back));
}

static void other_mechanisms_wrap_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapping_key(session), back;
	CK_BYTE wrapped[40] = {0};
	CK_ULONG len = sizeof(wrapped);

	answers(CKR_MECHANISM_INVALID,
		p11->C_WrapKey(session, mechanism(CKM_SHA256), key, key, wrapped, &len));
	answers(CKR_MECHANISM_INVALID,
		unwrap(session, mechanism(CKM_SHA256), key, wrapped, 40, aes_template(), &back));
	answers(CKR_ARGUMENTS_BAD, p11->C_WrapKey(session, NULL, key, key, wrapped, &len));
}

static void the_standard_iv_of_key_wrap_may_be_given(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32), wrapping, back;
	CK_BYTE a6[8] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}, wrapped[40];
	CK_RV expected = difference("CKM_AES_KEY_WRAP with its standard IV");
	CK_ULONG len = sizeof(wrapped);

	wrapping = wrapping_key(session);
	answers(expected, p11->C_WrapKey(session, mechanism_with(CKM_AES_KEY_WRAP, a6, 8), wrapping,
					 key, wrapped, &len));
	if (expected != CKR_OK)
		return;
	check(unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, wrapped, len, aes_template(),
		     &back));
	is_value(session, back, 32);
}

static CK_OBJECT_HANDLE unwrapped(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	CK_BYTE wrapped[40];
	CK_ULONG len;

	len = wrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping,
		   key_import(session, CKK_AES, value, 32), wrapped, sizeof(wrapped));
	check(unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, wrapped, len, t, &back));
	return back;
}

static void an_unwrapped_key_was_not_always_secret(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = unwrapped(session, aes_template());

	assert_false(attribute_bool(session, key, CKA_LOCAL));
	assert_false(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
	assert_int_equal(attribute_number(session, key, CKA_KEY_GEN_MECHANISM),
			 CK_UNAVAILABLE_INFORMATION);
}

static void an_unwrapped_key_is_sensitive_unless_the_template_says_otherwise(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	t = with_number(t, CKA_KEY_TYPE, CKK_AES);
	assert_int_equal(attribute_bool(session, unwrapped(session, t), CKA_SENSITIVE),
			 difference("CKA_SENSITIVE of an unwrapped key"));
	with_bool(t, CKA_SENSITIVE, false);
	assert_false(attribute_bool(session, unwrapped(session, t), CKA_SENSITIVE));
}

static void the_length_of_an_unwrapped_key_is_known(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	assert_int_equal(
		attribute_number(session, unwrapped(session, aes_template()), CKA_VALUE_LEN),
		difference("CKA_VALUE_LEN of an unwrapped key"));
}

static void the_length_of_an_unwrapped_key_may_be_given(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_BYTE wrapped[40];

	wrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping,
	     key_import(session, CKK_AES, value, 32), wrapped, sizeof(wrapped));
	answers(difference("C_UnwrapKey with CKA_VALUE_LEN"),
		unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, wrapped, 40, t, &back));
}

static void an_unwrapped_key_needs_class_and_type(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE wrapping = wrapping_key(session), back;
	struct template *t = with_bool(template_new(), CKA_TOKEN, false);
	CK_BYTE wrapped[40];

	wrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping,
	     key_import(session, CKK_AES, value, 32), wrapped, sizeof(wrapped));
	answers(CKR_TEMPLATE_INCOMPLETE,
		unwrap(session, mechanism(CKM_AES_KEY_WRAP), wrapping, wrapped, 40, t, &back));
}

static void a_key_unwrapped_into_the_token_stays(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_text(aes_template(), CKA_LABEL, "unwrapped"), *label;

	unwrapped(session, with_bool(t, CKA_TOKEN, true));
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)session_new();
	session = (CK_SESSION_HANDLE)*state;
	label = with_text(template_new(), CKA_LABEL, "unwrapped");
	is_value(session, object_find(session, label), 32);
}

static void a_key_of_the_token_wraps(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_generate(session, "wraps"), back;
	CK_BYTE wrapped[40], data[16] = {0}, one[16], two[16];
	CK_OBJECT_HANDLE key =
		key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
	CK_ULONG len = wrap(session, mechanism(CKM_AES_KEY_WRAP), zone, key, wrapped, 40);

	check(unwrap(session, mechanism(CKM_AES_KEY_WRAP), zone, wrapped, len, aes_template(),
		     &back));
	len = 16;
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, data, 16, one, &len));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), back));
	check(p11->C_Encrypt(session, data, 16, two, &len));
	assert_memory_equal(one, two, 16);
}

int same_wraps(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_wrapped_key_comes_back),
		in_session(a_secret_of_any_length_is_wrapped_with_padding),
		in_session(a_secret_that_is_no_multiple_of_8_needs_padding),
		in_session(a_key_is_wrapped_by_cbc_with_padding),
		in_session(a_key_is_wrapped_by_cbc_as_data_are_encrypted),
		in_session(the_length_of_a_wrapped_key_can_be_asked),
		in_session(what_was_changed_is_not_unwrapped),
		in_session(a_wrapped_key_of_a_wrong_length_is_refused),
		in_session(a_key_that_may_not_leave_does_not),
		in_session(only_keys_that_may_wrap_do),
		in_session(missing_keys_are_told_apart),
		in_session(other_mechanisms_wrap_nothing),
		in_session(the_standard_iv_of_key_wrap_may_be_given),
		in_session(an_unwrapped_key_was_not_always_secret),
		in_session(an_unwrapped_key_is_sensitive_unless_the_template_says_otherwise),
		in_session(the_length_of_an_unwrapped_key_is_known),
		in_session(the_length_of_an_unwrapped_key_may_be_given),
		in_session(an_unwrapped_key_needs_class_and_type),
		in_session(a_key_unwrapped_into_the_token_stays),
		in_session(a_key_of_the_token_wraps),
	};

	return run_group("wraps", tests, token_setup, token_teardown);
}
