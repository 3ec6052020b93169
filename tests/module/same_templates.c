/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what a key can be made of, and what is refused. */
#include "same.h"

static const CK_BYTE value[32] = "0123456789abcdef0123456789abcde";

static CK_RV create(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	return p11->C_CreateObject(session, t->rows, t->count, &key);
}

static CK_RV generate(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key);
}

static struct template *class_and_type(void)
{
	return with_number(with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY), CKA_KEY_TYPE,
			   CKK_AES);
}

static void creating_needs_class_type_and_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t;

	t = with(with_number(template_new(), CKA_KEY_TYPE, CKK_AES), CKA_VALUE, value, 32);
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, t));
	t = with(with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY), CKA_VALUE, value, 32);
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, t));
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, class_and_type()));
	answers(CKR_TEMPLATE_INCOMPLETE, create(session, template_new()));
	check(create(session, with(class_and_type(), CKA_VALUE, value, 32)));
}

static void every_size_of_aes_key_is_created(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	check(create(session, with(class_and_type(), CKA_VALUE, value, 16)));
	check(create(session, with(class_and_type(), CKA_VALUE, value, 24)));
	check(create(session, with(class_and_type(), CKA_VALUE, value, 32)));
}

static void another_size_is_no_aes_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_RV expected = difference("C_CreateObject of an AES key of 15 bytes");

	answers(expected, create(session, with(class_and_type(), CKA_VALUE, value, 15)));
}

static void the_length_of_a_created_key_may_stand_beside_its_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(class_and_type(), CKA_VALUE, value, 32);

	answers(difference("CKA_VALUE_LEN beside CKA_VALUE"),
		create(session, with_number(t, CKA_VALUE_LEN, 32)));
}

static void another_class_is_no_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(class_and_type(), CKA_VALUE, value, 32);

	answers(CKR_ATTRIBUTE_VALUE_INVALID, create(session, with_number(t, CKA_CLASS, 0x7777)));
}

static void an_attribute_of_another_class_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(class_and_type(), CKA_VALUE, value, 32);

	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		create(session, with(t, CKA_PUBLIC_EXPONENT, value, 3)));
}

static void values_of_a_wrong_length_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(class_and_type(), CKA_VALUE, value, 32);

	answers(CKR_ATTRIBUTE_VALUE_INVALID, create(session, with(t, CKA_ENCRYPT, value, 4)));
	t = with(with(template_new(), CKA_CLASS, value, 4), CKA_VALUE, value, 32);
	answers(difference("a number of 4 bytes"), create(session, t));
}

static void a_template_that_is_not_there_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(class_and_type(), CKA_VALUE, value, 32);
	CK_OBJECT_HANDLE key;

	answers(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, NULL, 2, &key));
	answers(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, t->rows, t->count, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, NULL, t->rows, t->count, &key));
	answers(CKR_ARGUMENTS_BAD,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), NULL, 2, &key));
	answers(CKR_ARGUMENTS_BAD,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, NULL));
}

static void generating_needs_a_length(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	answers(CKR_TEMPLATE_INCOMPLETE, generate(session, aes_template()));
	check(generate(session, with_number(aes_template(), CKA_VALUE_LEN, 16)));
	check(generate(session, with_number(aes_template(), CKA_VALUE_LEN, 24)));
	check(generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32)));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		generate(session, with_number(aes_template(), CKA_VALUE_LEN, 20)));
}

static void generating_needs_neither_class_nor_type(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	check(generate(session, with_number(template_new(), CKA_VALUE_LEN, 32)));
}

static void a_class_or_type_that_does_not_fit_the_mechanism_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	answers(difference("C_GenerateKey of another class"),
		generate(session, with_number(t, CKA_CLASS, CKO_PUBLIC_KEY)));
	t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	answers(CKR_TEMPLATE_INCONSISTENT,
		generate(session, with_number(t, CKA_KEY_TYPE, CKK_DES3)));
}

static void a_value_can_not_be_chosen_when_generating(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	answers(CKR_ATTRIBUTE_READ_ONLY, generate(session, with(t, CKA_VALUE, value, 32)));
}

static void what_only_the_token_sets_can_not_be_chosen(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	static const CK_ATTRIBUTE_TYPE own[] = {CKA_LOCAL, CKA_ALWAYS_SENSITIVE,
						CKA_NEVER_EXTRACTABLE};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

		answers(CKR_ATTRIBUTE_READ_ONLY, generate(session, with_bool(t, own[i], true)));
	}
}

static void a_generic_secret_is_generated_in_any_length(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 45);
	CK_OBJECT_HANDLE key;

	check(p11->C_GenerateKey(session, mechanism(CKM_GENERIC_SECRET_KEY_GEN), t->rows, t->count,
				 &key));
	assert_int_equal(attribute_number(session, key, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 45);
}

static void only_mechanisms_that_generate_generate(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	answers(CKR_MECHANISM_INVALID,
		p11->C_GenerateKey(session, mechanism(CKM_AES_ECB), t->rows, t->count, &key));
	answers(CKR_MECHANISM_INVALID,
		p11->C_GenerateKey(session, mechanism(0x8ABCDEF0UL), t->rows, t->count, &key));
}

static void usages_that_no_template_names_are_given(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key =
		key_generate(session, with_number(template_new(), CKA_VALUE_LEN, 32));

	assert_true(attribute_bool(session, key, CKA_ENCRYPT));
	assert_true(attribute_bool(session, key, CKA_DECRYPT));
	assert_true(attribute_bool(session, key, CKA_WRAP));
	assert_true(attribute_bool(session, key, CKA_UNWRAP));
	assert_false(attribute_bool(session, key, CKA_TOKEN));
	assert_true(attribute_bool(session, key, CKA_MODIFIABLE));
	assert_true(attribute_bool(session, key, CKA_COPYABLE));
	assert_true(attribute_bool(session, key, CKA_DESTROYABLE));
}

static void an_empty_label_and_id_are_accepted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key =
		key_generate(session, with(with(t, CKA_LABEL, "", 0), CKA_ID, "", 0));

	assert_int_equal(attribute_bytes(session, key, CKA_LABEL, NULL, 0), 0);
	assert_int_equal(attribute_bytes(session, key, CKA_ID, NULL, 0), 0);
}

int same_templates(void)
{
	const struct CMUnitTest tests[] = {
		in_session(creating_needs_class_type_and_value),
		in_session(every_size_of_aes_key_is_created),
		in_session(another_size_is_no_aes_key),
		in_session(the_length_of_a_created_key_may_stand_beside_its_value),
		in_session(another_class_is_no_key),
		in_session(an_attribute_of_another_class_is_refused),
		in_session(values_of_a_wrong_length_are_refused),
		in_session(a_template_that_is_not_there_is_refused),
		in_session(generating_needs_a_length),
		in_session(generating_needs_neither_class_nor_type),
		in_session(a_class_or_type_that_does_not_fit_the_mechanism_is_refused),
		in_session(a_value_can_not_be_chosen_when_generating),
		in_session(what_only_the_token_sets_can_not_be_chosen),
		in_session(a_generic_secret_is_generated_in_any_length),
		in_session(only_mechanisms_that_generate_generate),
		in_session(usages_that_no_template_names_are_given),
		in_session(an_empty_label_and_id_are_accepted),
	};

	return run_group("templates", tests, token_setup, token_teardown);
}
