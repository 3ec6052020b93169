/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: reading, changing, copying, destroying. Searches are in same_search.c. */
#include "same.h"

static const CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
/* SoftHSM2 takes no NULL for an empty template. */
static CK_ATTRIBUTE none;

static CK_OBJECT_HANDLE labelled_key(CK_SESSION_HANDLE session, const char *label)
{
	struct template *t =
		with_number(with_text(aes_template(), CKA_LABEL, label), CKA_VALUE_LEN, 32);

	return key_generate(session, t);
}

static struct template *label_is(const char *label)
{
	return with_text(template_new(), CKA_LABEL, label);
}

static void a_created_key_has_the_attributes_of_its_template(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, sizeof(value));
	CK_BYTE read[64];

	assert_int_equal(attribute_number(session, key, CKA_CLASS), CKO_SECRET_KEY);
	assert_int_equal(attribute_number(session, key, CKA_KEY_TYPE), CKK_AES);
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 32);
	assert_int_equal(attribute_bytes(session, key, CKA_VALUE, read, sizeof(read)), 32);
	assert_memory_equal(read, value, 32);
	assert_false(attribute_bool(session, key, CKA_TOKEN));
	assert_false(attribute_bool(session, key, CKA_SENSITIVE));
	assert_true(attribute_bool(session, key, CKA_EXTRACTABLE));
	assert_true(attribute_bool(session, key, CKA_ENCRYPT));
	assert_true(attribute_bool(session, key, CKA_UNWRAP));
}

static void a_created_key_was_not_always_secret(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, sizeof(value));

	assert_false(attribute_bool(session, key, CKA_LOCAL));
	assert_false(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
	assert_int_equal(attribute_number(session, key, CKA_KEY_GEN_MECHANISM),
			 CK_UNAVAILABLE_INFORMATION);
}

static void a_generated_key_knows_where_it_comes_from(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 16);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	key = key_generate(session, t);
	assert_true(attribute_bool(session, key, CKA_LOCAL));
	assert_true(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
	assert_true(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
	assert_int_equal(attribute_number(session, key, CKA_KEY_GEN_MECHANISM), CKM_AES_KEY_GEN);
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 16);
}

static void a_secret_is_not_read(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_SENSITIVE, true));
	CK_BYTE read[64];
	CK_ATTRIBUTE row = {CKA_VALUE, read, sizeof(read)};

	answers(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, key, &row, 1));
	assert_true(row.ulValueLen == CK_UNAVAILABLE_INFORMATION);
	row = (CK_ATTRIBUTE){CKA_VALUE, NULL, 0};
	answers(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, key, &row, 1));
}

static void one_bad_attribute_does_not_hide_the_others(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "others");
	CK_OBJECT_CLASS class = 0;
	CK_BYTE modulus[8];
	char label[16];
	CK_ATTRIBUTE rows[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_MODULUS, modulus, sizeof(modulus)},
		{CKA_LABEL, label, sizeof(label)},
	};

	answers(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_GetAttributeValue(session, key, rows, 3));
	assert_int_equal(class, CKO_SECRET_KEY);
	assert_true(rows[1].ulValueLen == CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(rows[2].ulValueLen, 6);
	assert_memory_equal(label, "others", 6);
}

static void a_buffer_too_small_for_an_attribute_is_told(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "a label");
	char label[16];
	CK_ATTRIBUTE row = {CKA_LABEL, label, 3};

	answers(CKR_BUFFER_TOO_SMALL, p11->C_GetAttributeValue(session, key, &row, 1));
	assert_true(row.ulValueLen == CK_UNAVAILABLE_INFORMATION);
}

static void the_length_of_an_attribute_can_be_asked(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "a label");
	CK_ATTRIBUTE rows[] = {{CKA_LABEL, NULL, 12345}, {CKA_CLASS, NULL, 0}};

	check(p11->C_GetAttributeValue(session, key, rows, 2));
	assert_int_equal(rows[0].ulValueLen, 7);
	assert_int_equal(rows[1].ulValueLen, sizeof(CK_ULONG));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(session, key, NULL, 1));
}

static void a_missing_object_is_invalid(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "gone"), copy;
	CK_OBJECT_CLASS class;
	CK_ATTRIBUTE row = {CKA_CLASS, &class, sizeof(class)};
	CK_ULONG size;

	check(p11->C_DestroyObject(session, key));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(session, key));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(session, key, &row, 1));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_SetAttributeValue(session, key, &row, 1));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_CopyObject(session, key, &none, 0, &copy));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(session, key, &size));
	answers(difference("C_EncryptInit with a missing key"),
		p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
}

static void the_label_and_id_can_be_changed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "before");
	struct template *t = with_text(template_new(), CKA_LABEL, "after");
	char label[16];

	with_text(t, CKA_ID, "id");
	check(p11->C_SetAttributeValue(session, key, t->rows, t->count));
	assert_int_equal(attribute_bytes(session, key, CKA_LABEL, label, sizeof(label)), 5);
	assert_memory_equal(label, "after", 5);
	assert_int_equal(objects_count(session, label_is("before")), 0);
	assert_int_equal(objects_count(session, with_text(template_new(), CKA_ID, "id")), 1);
}

static void what_a_key_is_can_not_be_changed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "fixed");
	static const CK_ATTRIBUTE_TYPE fixed[] = {CKA_CLASS, CKA_KEY_TYPE, CKA_VALUE_LEN,
						  CKA_KEY_GEN_MECHANISM};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		struct template *t = with_number(template_new(), fixed[i], 3);

		answers(CKR_ATTRIBUTE_READ_ONLY,
			p11->C_SetAttributeValue(session, key, t->rows, t->count));
	}
}

static void protection_is_only_ever_raised(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "raised");
	struct template *t = with_bool(template_new(), CKA_SENSITIVE, true);

	with_bool(t, CKA_EXTRACTABLE, false);
	check(p11->C_SetAttributeValue(session, key, t->rows, t->count));
	assert_true(attribute_bool(session, key, CKA_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
	t = with_bool(template_new(), CKA_SENSITIVE, false);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, t->rows, 1));
	t = with_bool(template_new(), CKA_EXTRACTABLE, true);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(session, key, t->rows, 1));
}

static void what_is_not_modifiable_stays(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_MODIFIABLE, false));

	t = with_text(template_new(), CKA_LABEL, "new");
	answers(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(session, key, t->rows, 1));
}

static void what_is_not_destroyable_stays(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_DESTROYABLE, false));

	answers(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(session, key));
}

static void a_copy_is_another_object_with_the_same_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, sizeof(value)), copy;
	struct template *t = label_is("copy");
	CK_BYTE read[32];

	check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	assert_int_not_equal(copy, key);
	assert_int_equal(attribute_bytes(session, copy, CKA_VALUE, read, sizeof(read)), 32);
	assert_memory_equal(read, value, 32);
	assert_int_equal(object_find(session, t), copy);
	check(p11->C_DestroyObject(session, key));
	assert_int_equal(attribute_number(session, copy, CKA_VALUE_LEN), 32);
}

static void a_copy_is_protected_as_much_or_more(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key, copy;

	with_bool(t, CKA_SENSITIVE, true);
	key = key_generate(session, with_bool(t, CKA_EXTRACTABLE, false));
	t = with_bool(template_new(), CKA_SENSITIVE, false);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(session, key, t->rows, 1, &copy));
	t = with_bool(template_new(), CKA_EXTRACTABLE, true);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(session, key, t->rows, 1, &copy));
	check(p11->C_CopyObject(session, key, &none, 0, &copy));
	assert_true(attribute_bool(session, copy, CKA_SENSITIVE));
	assert_false(attribute_bool(session, copy, CKA_EXTRACTABLE));
}

static void a_copy_needs_no_template(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "original"), copy;

	answers(difference("C_CopyObject without a template"),
		p11->C_CopyObject(session, key, NULL, 0, &copy));
	answers(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, NULL, 1, &copy));
	answers(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, &none, 0, NULL));
}

static void what_is_not_copyable_is_not_copied(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_COPYABLE, false)), copy;

	answers(CKR_ACTION_PROHIBITED, p11->C_CopyObject(session, key, &none, 0, &copy));
}

static void session_objects_die_with_their_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE key = labelled_key(other, "short");

	assert_int_equal(attribute_number(session, key, CKA_CLASS), CKO_SECRET_KEY);
	check(p11->C_CloseSession(other));
	assert_int_equal(objects_count(session, label_is("short")), 0);
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(session, key));
}

static void token_objects_stay(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(label_is("stays"), CKA_TOKEN, true);
	CK_OBJECT_HANDLE key;

	zone_generate(session, "stays");
	check(p11->C_Finalize(NULL));
	check(initialize());
	session = session_new();
	key = object_find(session, t);
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 32);
	assert_true(attribute_bool(session, key, CKA_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_EXTRACTABLE));
	check(p11->C_DestroyObject(session, key));
	assert_int_equal(objects_count(session, t), 0);
	*state = (void *)session;
}

static void a_token_key_encrypts_the_same_after_a_restart(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = zone_generate(session, "restart");
	CK_BYTE plain[16] = "sixteen letters", encrypted[16];
	CK_ULONG len = 16;

	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, plain, 16, encrypted, &len));
	check(p11->C_Finalize(NULL));
	check(initialize());
	session = session_new();
	key = object_find(session, with_bool(label_is("restart"), CKA_TOKEN, true));
	check(p11->C_DecryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Decrypt(session, encrypted, 16, encrypted, &len));
	assert_memory_equal(encrypted, plain, 16);
	*state = (void *)session;
}

static void the_size_of_an_object_may_be_unknown(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "size");
	CK_ULONG size = 0;

	check(p11->C_GetObjectSize(session, key, &size));
	assert_int_not_equal(size, 0);
	answers(CKR_ARGUMENTS_BAD, p11->C_GetObjectSize(session, key, NULL));
}

int same_objects(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_created_key_has_the_attributes_of_its_template),
		in_session(a_created_key_was_not_always_secret),
		in_session(a_generated_key_knows_where_it_comes_from),
		in_session(a_secret_is_not_read),
		in_session(one_bad_attribute_does_not_hide_the_others),
		in_session(a_buffer_too_small_for_an_attribute_is_told),
		in_session(the_length_of_an_attribute_can_be_asked),
		in_session(a_missing_object_is_invalid),
		in_session(the_label_and_id_can_be_changed),
		in_session(what_a_key_is_can_not_be_changed),
		in_session(protection_is_only_ever_raised),
		in_session(what_is_not_modifiable_stays),
		in_session(what_is_not_destroyable_stays),
		in_session(a_copy_is_another_object_with_the_same_value),
		in_session(a_copy_is_protected_as_much_or_more),
		in_session(a_copy_needs_no_template),
		in_session(what_is_not_copyable_is_not_copied),
		in_session(session_objects_die_with_their_session),
		in_session(token_objects_stay),
		in_session(a_token_key_encrypts_the_same_after_a_restart),
		in_session(the_size_of_an_object_may_be_unknown),
	};

	return run_group("objects", tests, token_setup, token_teardown);
}
