/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Searches. */
#include "same.h"

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

static void objects_are_found_by_what_they_are(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = labelled_key(session, "find one");
	struct template *t = label_is("find one");

	labelled_key(session, "find two");
	assert_int_equal(object_find(session, t), one);
	with_number(t, CKA_CLASS, CKO_SECRET_KEY);
	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, false);
	assert_int_equal(object_find(session, t), one);
	assert_int_equal(objects_count(session, with_bool(t, CKA_TOKEN, true)), 0);
	assert_int_equal(objects_count(session, label_is("find")), 0);
	assert_int_equal(objects_count(session, label_is("find one ")), 0);
}

static void unknown_classes_and_attributes_match_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	labelled_key(session, "some");
	assert_int_equal(
		objects_count(session, with_number(template_new(), CKA_CLASS, CKO_HW_FEATURE)), 0);
	assert_int_equal(objects_count(session, with_number(template_new(), CKA_CLASS, 0xce534354)),
			 0);
	assert_int_equal(objects_count(session, with_text(template_new(), CKA_APPLICATION, "x")),
			 0);
	assert_int_equal(objects_count(session, with_text(template_new(), 0x8ABCDEF0UL, "x")), 0);
}

static void an_empty_template_finds_all(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG before = objects_count(session, template_new());

	labelled_key(session, "all 1");
	labelled_key(session, "all 2");
	assert_int_equal(objects_count(session, template_new()), before + 2);
}

static void a_search_gives_each_object_once_in_pieces(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found[40], one;
	CK_ULONG count, total = 0;
	struct template *t = label_is("piece");

	for (int i = 0; i < 30; i++)
		labelled_key(session, "piece");
	check(p11->C_FindObjectsInit(session, t->rows, t->count));
	for (;;) {
		check(p11->C_FindObjects(session, &one, 1, &count));
		if (count == 0)
			break;
		for (CK_ULONG i = 0; i < total; i++)
			assert_int_not_equal(found[i], one);
		assert_true(total < 30);
		found[total++] = one;
	}
	assert_int_equal(total, 30);
	check(p11->C_FindObjectsFinal(session));
}

static void a_search_is_one_operation_of_its_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found;
	CK_ULONG count;

	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(session, &found, 1, &count));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
	check(p11->C_FindObjectsInit(session, NULL, 0));
	answers(CKR_OPERATION_ACTIVE, p11->C_FindObjectsInit(session, NULL, 0));
	check(p11->C_FindObjectsFinal(session));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
	answers(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(session, NULL, 1));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjectsFinal(session));
}

static void other_calls_work_during_a_search(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = labelled_key(session, "during"), found;
	CK_BYTE block[16] = {0};
	CK_ULONG count, len = sizeof(block);
	struct template *t = label_is("during");
	CK_RV expected = difference("C_EncryptInit during a search");

	check(p11->C_FindObjectsInit(session, t->rows, t->count));
	assert_int_equal(attribute_number(session, key, CKA_CLASS), CKO_SECRET_KEY);
	answers(expected, p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	if (expected == CKR_OK)
		check(p11->C_Encrypt(session, block, sizeof(block), block, &len));
	check(p11->C_FindObjects(session, &found, 1, &count));
	assert_int_equal(count, 1);
	assert_int_equal(found, key);
	check(p11->C_FindObjectsFinal(session));
}

/* A further row of a type that the template has. */
static struct template *again(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value,
			      CK_ULONG len)
{
	with(t, CK_UNAVAILABLE_INFORMATION, value, len);
	t->rows[t->count - 1].type = type;
	return t;
}

/* On the token, where an index is asked, and in a session. */
static void an_attribute_that_is_named_twice_has_to_match_twice(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[2] = {labelled_key(session, "twice"),
				    zone_generate(session, "twice, kept")};
	const char *const labels[2] = {"twice", "twice, kept"};

	for (int i = 0; i < 2; i++) {
		struct template *t =
			again(label_is(labels[i]), CKA_LABEL, labels[i], strlen(labels[i]));
		CK_BBOOL is_token = i == 1;

		assert_int_equal(object_find(session, t), keys[i]);
		for (int last = 0; last < 2; last++) {
			t = again(label_is(labels[1 - last]), CKA_LABEL, labels[last],
				  strlen(labels[last]));
			assert_int_equal(objects_count(session, t), 0);
		}
		t = again(with_bool(label_is(labels[i]), CKA_TOKEN, i == 0), CKA_TOKEN, &is_token,
			  1);
		assert_int_equal(objects_count(session, t), 0);
	}
}

int same_search(void)
{
	const struct CMUnitTest tests[] = {
		in_session(objects_are_found_by_what_they_are),
		in_session(unknown_classes_and_attributes_match_nothing),
		in_session(an_empty_template_finds_all),
		in_session(an_attribute_that_is_named_twice_has_to_match_twice),
		in_session(a_search_gives_each_object_once_in_pieces),
		in_session(a_search_is_one_operation_of_its_session),
		in_session(other_calls_work_during_a_search),
	};

	return run_group("search", tests, token_setup, token_teardown);
}
