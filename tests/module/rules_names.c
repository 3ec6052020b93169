/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names: one rule for projects, clusters, databases and root keys, by every way in (base/name.h).
 */
#include "rules.h"

#include <stdio.h>

/* A line's end, a terminal's command, a C1 control, blanks at the ends, other blanks, invisible
 * characters, invalid UTF-8. */
static const char *const wrong[] = {
	"a\n",
	"\x1b[2Ja",
	"a\xc2\x9b",
	"a ",
	" a",
	"a\xc2\xa0",
	"a\xe3\x80\x80",
	"a\xe2\x80\x8b",
	("a\xe2\x80\xae"
	 "b"),
	"a\xff",
};
enum { WRONG = sizeof(wrong) / sizeof(*wrong) };

static struct template *renaming(const char *label)
{
	return with_text(template_new(), CKA_LABEL, label);
}

static CK_RV rename_to(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const char *label)
{
	struct template *t = renaming(label);

	return p11->C_SetAttributeValue(session, object, t->rows, t->count);
}

static CK_RV add_key(CK_SESSION_HANDLE session, const char *label, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = renaming(label);

	with_number(t, CKA_CLASS, CKO_SECRET_KEY);
	with_bool(t, CKA_TOKEN, true);
	with_text(t, CKA_CMEK_KMS_KEY, "local:named");
	with_bool(t, CKA_CMEK_CREATE, true);
	return p11->C_CreateObject(session, t->rows, t->count, ret_key);
}

static CK_RV make_zone(CK_SESSION_HANDLE session, const char *label, CK_OBJECT_HANDLE *ret_zone)
{
	struct template *t = renaming(label);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_number(t, CKA_VALUE_LEN, 32);
	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, ret_zone);
}

static void a_root_key_s_label_is_a_name(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key;

	for (size_t i = 0; i < WRONG; i++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID, add_key(session, wrong[i], &key));
	fails_for(CMEK_ERROR_INVALID_NAME, session, add_key(session, "a ", &key));
	check(add_key(session, "a name", &key));
	for (size_t i = 0; i < WRONG; i++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID, rename_to(session, key, wrong[i]));
	check(rename_to(session, key, "another name"));
	check(p11->C_DestroyObject(session, key));
}

static void a_cluster_s_label_is_a_name(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), cluster;
	char arn[512] = "";

	attribute_bytes(session, root, CKA_CMEK_ROOT_KEY, arn, sizeof(arn) - 1);
	for (size_t i = 0; i < WRONG; i++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID,
			cluster_add(session, wrong[i], "local", "local", arn, &cluster));
	check(cluster_add(session, "named", "local", "local", arn, &cluster));
	for (size_t i = 0; i < WRONG; i++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID, rename_to(session, cluster, wrong[i]));
	check(rename_to(session, cluster, "a name"));
}

static void both_parts_of_a_database_s_label_are_names(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone;
	char label[64];

	for (size_t i = 0; i < WRONG; i++) {
		answers(CKR_ATTRIBUTE_VALUE_INVALID, make_zone(session, wrong[i], &zone));
		snprintf(label, sizeof(label), "default/%s", wrong[i]);
		answers(CKR_ATTRIBUTE_VALUE_INVALID, make_zone(session, label, &zone));
		snprintf(label, sizeof(label), "%s/db", wrong[i]);
		answers(CKR_ATTRIBUTE_VALUE_INVALID, make_zone(session, label, &zone));
	}
	fails_for(CMEK_ERROR_INVALID_NAME, session, make_zone(session, "default/ db", &zone));
	check(make_zone(session, "default/a name", &zone));
	for (size_t i = 0; i < WRONG; i++) {
		snprintf(label, sizeof(label), "default/%s", wrong[i]);
		answers(CKR_ATTRIBUTE_VALUE_INVALID, rename_to(session, zone, label));
	}
	check(rename_to(session, zone, "default/another name"));
}

static void a_zone_that_is_unwrapped_gets_a_name_as_well(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), zone = some_zone(session), back;
	CK_BYTE set[8192];
	CK_ULONG len = sizeof(set);

	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, set, &len));
	for (size_t i = 0; i < WRONG; i++) {
		struct template *t = renaming(wrong[i]);

		with_number(t, CKA_CLASS, CKO_SECRET_KEY);
		with_number(t, CKA_KEY_TYPE, CKK_AES);
		with_bool(t, CKA_TOKEN, true);
		answers(CKR_ATTRIBUTE_VALUE_INVALID,
			p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), root, set, len, t->rows,
					 t->count, &back));
	}
}

/* Blanks at its end are the padding. */
static void a_project_s_label_is_a_name(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_UTF8CHAR padded[32], pin[1] = "";

	check(p11->C_CloseSession(session));
	for (size_t i = 0; i < WRONG; i++) {
		memset(padded, ' ', sizeof(padded));
		memcpy(padded, wrong[i], strlen(wrong[i]));
		if (strcmp(wrong[i], "a ") != 0)
			answers(CKR_ARGUMENTS_BAD, p11->C_InitToken(slot, pin, 0, padded));
	}
	*state = (void *)(uintptr_t)session_new();
}

/* It belongs to the application, which finds its keys by it. */
static void the_label_of_a_data_key_is_any_text(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key, copy;
	CK_RV rv;

	for (size_t i = 0; i < WRONG; i++) {
		struct template *t = with_text(aes_template(), CKA_LABEL, wrong[i]);
		bool text = strcmp(wrong[i], "a\xff") != 0;

		with_bool(t, CKA_TOKEN, true);
		with_number(t, CKA_VALUE_LEN, 32);
		rv = p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count,
					&key);
		assert_int_equal(rv, text ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID);
		if (!text)
			continue;
		assert_int_equal(objects_count(session, renaming(wrong[i])), 1);
		check(rename_to(session, key, ""));
		t = renaming(wrong[i]);
		check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
		check(p11->C_DestroyObject(session, key));
		check(p11->C_DestroyObject(session, copy));
	}
}

int rules_names(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_root_key_s_label_is_a_name),
		in_session(a_cluster_s_label_is_a_name),
		in_session(both_parts_of_a_database_s_label_are_names),
		in_session(a_zone_that_is_unwrapped_gets_a_name_as_well),
		in_session(a_project_s_label_is_a_name),
		in_session(the_label_of_a_data_key_is_any_text),
	};

	return run_group("names", tests, token_setup, token_teardown);
}
