/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Every object answers the attributes of its class, and no others, as the standard's tables have
 * them (rows.h). */
#include "rows.h"
#include "rules.h"

#include <stdio.h>

/* --- One object of each kind */

enum kind {
	ROOT_KEY,
	SESSION_ROOT_KEY,
	ZONE,
	SESSION_ZONE,
	TOKEN_KEY,
	SESSION_KEY,
	HMAC_KEY,
	UNWRAPPED_KEY,
	TOKEN_DATA,
	SESSION_DATA,
	TOKEN_CERTIFICATE,
	SESSION_CERTIFICATE,
	PROFILE,
	CLUSTER,
	DIAGNOSTIC,
	KIND_COUNT
};

/* A class of our own is that of a storage object. */
static const struct {
	const char *name;
	unsigned class;
} kinds[KIND_COUNT] = {
	[ROOT_KEY] = {"root key", ROW_KEY},
	[SESSION_ROOT_KEY] = {"root key of a session", ROW_KEY},
	[ZONE] = {"zone", ROW_KEY},
	[SESSION_ZONE] = {"zone of a session", ROW_KEY},
	[TOKEN_KEY] = {"key on the token", ROW_KEY},
	[SESSION_KEY] = {"key of a session", ROW_KEY},
	[HMAC_KEY] = {"key for HMAC", ROW_KEY},
	[UNWRAPPED_KEY] = {"key that was unwrapped", ROW_KEY},
	[TOKEN_DATA] = {"data on the token", ROW_DATA},
	[SESSION_DATA] = {"data of a session", ROW_DATA},
	[TOKEN_CERTIFICATE] = {"certificate on the token", ROW_CERTIFICATE},
	[SESSION_CERTIFICATE] = {"certificate of a session", ROW_CERTIFICATE},
	[PROFILE] = {"profile", ROW_PROFILE},
	[CLUSTER] = {"cluster", 0},
	[DIAGNOSTIC] = {"diagnostic object", 0},
};

static CK_OBJECT_HANDLE create(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE object;

	check(p11->C_CreateObject(session, t->rows, t->count, &object));
	return object;
}

static CK_OBJECT_HANDLE of_class(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class)
{
	return object_find(session, with_number(template_new(), CKA_CLASS, class));
}

static CK_OBJECT_HANDLE session_root_key(CK_SESSION_HANDLE session)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	return create(session, with_text(t, CKA_CMEK_KMS_KEY, "local:test"));
}

static CK_OBJECT_HANDLE session_zone(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE root_key,
				     CK_OBJECT_HANDLE zone)
{
	CK_OBJECT_HANDLE visitor;
	CK_BYTE set[8192];
	CK_ULONG len = sizeof(set);

	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root_key, zone, set, &len));
	check(import_set(session, set, len, false, &visitor));
	return visitor;
}

static CK_OBJECT_HANDLE unwrapped_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, known_key(session), wrapped,
		      &len));
	check(p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), zone, wrapped, len, t->rows,
			       t->count, &key));
	return key;
}

/* With no more than must be given. */
static struct template *data(bool token)
{
	return with_bool(with_number(template_new(), CKA_CLASS, CKO_DATA), CKA_TOKEN, token);
}

static struct template *certificate(bool token)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CERTIFICATE);

	with_bool(with_number(t, CKA_CERTIFICATE_TYPE, CKC_X_509), CKA_TOKEN, token);
	return with(with(t, CKA_SUBJECT, "s", 1), CKA_VALUE, "abc", 3);
}

static struct template *secret(CK_KEY_TYPE type, bool token)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_bool(with_number(t, CKA_KEY_TYPE, type), CKA_TOKEN, token);
	return with(t, CKA_VALUE, known_value, sizeof(known_value));
}

static void make_all(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE objects[static KIND_COUNT])
{
	objects[ZONE] = some_zone(session);
	objects[ROOT_KEY] = default_root_key(session);
	objects[SESSION_ZONE] = session_zone(session, objects[ROOT_KEY], objects[ZONE]);
	objects[UNWRAPPED_KEY] = unwrapped_key(session, objects[ZONE]);
	objects[TOKEN_KEY] = create(session, secret(CKK_AES, true));
	objects[SESSION_KEY] = create(session, secret(CKK_AES, false));
	objects[HMAC_KEY] = create(session, secret(CKK_SHA256_HMAC, false));
	objects[TOKEN_DATA] = create(session, data(true));
	objects[SESSION_DATA] = create(session, data(false));
	objects[TOKEN_CERTIFICATE] = create(session, certificate(true));
	objects[SESSION_CERTIFICATE] = create(session, certificate(false));
	objects[SESSION_ROOT_KEY] = session_root_key(session);
	objects[PROFILE] = of_class(session, CKO_PROFILE);
	objects[CLUSTER] = of_class(session, CKO_CMEK_CLUSTER);
	objects[DIAGNOSTIC] = of_class(session, CKO_CMEK_DIAGNOSTIC);
}

/* --- What is answered */

static const struct row *row_of(CK_ATTRIBUTE_TYPE type, unsigned class)
{
	for (size_t i = 0; i < row_count; i++)
		if (rows[i].type == type && (rows[i].classes & class) != 0)
			return &rows[i];
	return NULL;
}

#define OF(kind) (1U << (kind))

enum {
	TOP_KEYS = OF(ROOT_KEY) | OF(SESSION_ROOT_KEY) | OF(ZONE) | OF(SESSION_ZONE),
	OWN_CLASSES = OF(CLUSTER) | OF(DIAGNOSTIC),
};

/* On purpose (docs/objects.md, "Attributes"). */
static const struct {
	CK_ATTRIBUTE_TYPE type;
	unsigned kinds;
	CK_RV answer;
} differences[] = {
	{CKA_CHECK_VALUE, TOP_KEYS | OF(HMAC_KEY), CKR_ATTRIBUTE_TYPE_INVALID},
	{CKA_DERIVE_TEMPLATE, TOP_KEYS, CKR_ATTRIBUTE_TYPE_INVALID},
	{CKA_ID, OF(CLUSTER), CKR_OK},
	{CKA_VALUE, OF(DIAGNOSTIC), CKR_OK},
};

static bool differs(CK_ATTRIBUTE_TYPE type, enum kind kind, CK_RV *answer)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++)
		if (differences[i].type == type && (differences[i].kinds & OF(kind)) != 0) {
			*answer = differences[i].answer;
			return true;
		}
	return false;
}

static bool is_guarded(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	return attribute_bool(session, object, CKA_SENSITIVE) ||
	       !attribute_bool(session, object, CKA_EXTRACTABLE);
}

/* A class of our own, and the profile, have what storage objects have. */
static const struct row *row_for(enum kind kind, CK_ATTRIBUTE_TYPE type)
{
	const struct row *row = row_of(type, kinds[kind].class);

	if (row != NULL || (OF(kind) & (OWN_CLASSES | OF(PROFILE))) == 0)
		return row;
	row = row_of(type, ROW_ALL);
	return row != NULL && (row->classes & ROW_STORED) == ROW_STORED ? row : NULL;
}

static CK_RV expected_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, enum kind kind,
			 CK_ATTRIBUTE_TYPE type)
{
	const struct row *row = row_for(kind, type);
	CK_RV answer;

	if (differs(type, kind, &answer))
		return answer;
	if (row == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	return (row->notes & GUARDED) != 0 && is_guarded(session, object) ? CKR_ATTRIBUTE_SENSITIVE
									  : CKR_OK;
}

static bool fits(enum row_form form, const CK_BYTE *value, CK_ULONG len)
{
	switch (form) {
	case ROW_BOOL:
		return len == sizeof(CK_BBOOL) && *value <= CK_TRUE;
	case ROW_NUMBER:
		return len == sizeof(CK_ULONG);
	case ROW_DATE:
		return len == 0 || len == sizeof(CK_DATE);
	case ROW_NUMBERS:
		return len % sizeof(CK_ULONG) == 0;
	case ROW_TEMPLATE:
		return len % sizeof(CK_ATTRIBUTE) == 0;
	case ROW_TEXT:
		return memchr(value, 0, len) == NULL;
	case ROW_BYTES:
		return true;
	}
	return false;
}

/* Of what has a value: the length when that is asked for, and the same when the value is. */
static void reads(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, enum kind kind,
		  CK_ATTRIBUTE_TYPE type, const char *name)
{
	static CK_BYTE value[4096];
	CK_RV expected = expected_of(session, object, kind, type);
	CK_ATTRIBUTE length = {type, NULL, 0}, whole = {type, value, sizeof(value)};
	CK_RV rv = p11->C_GetAttributeValue(session, object, &length, 1);
	const struct row *row = row_of(type, ROW_ALL);
	char text[160];

	snprintf(text, sizeof(text), "%s of a %s: %s, not %s", name, kinds[kind].name, rv_name(rv),
		 rv_name(expected));
	_assert_true(rv == expected, text, __FILE__, __LINE__);
	if (type == CKA_VALUE && kind == DIAGNOSTIC) /* a report is made for its length */
		return;
	rv = p11->C_GetAttributeValue(session, object, &whole, 1);
	_assert_true(rv == expected, text, __FILE__, __LINE__);
	assert_int_equal(whole.ulValueLen, length.ulValueLen);
	snprintf(text, sizeof(text), "%s of a %s has %lu bytes", name, kinds[kind].name,
		 whole.ulValueLen);
	if (expected != CKR_OK)
		_assert_true(whole.ulValueLen == CK_UNAVAILABLE_INFORMATION, text, __FILE__,
			     __LINE__);
	else
		_assert_true(fits(row->form, value, whole.ulValueLen), text, __FILE__, __LINE__);
}

static void every_object_answers_the_rows_of_its_class(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT];

	make_all(session, objects);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (size_t i = 0; i < row_count; i++)
			reads(session, objects[kind], kind, rows[i].type, rows[i].name);
}

static void what_belongs_to_other_classes_is_in_none(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT];
	char name[32];

	make_all(session, objects);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (size_t i = 0; i < foreign_row_count; i++) {
			snprintf(name, sizeof(name), "attribute 0x%lx", foreign_rows[i]);
			reads(session, objects[kind], kind, foreign_rows[i], name);
		}
}

/* --- What does not change */

/* CKR_OK: it may. */
static CK_RV change_of(enum kind kind, CK_ATTRIBUTE_TYPE type)
{
	const struct row *row = row_for(kind, type);
	CK_RV answer;

	if (differs(type, kind, &answer))
		return answer;
	if (row == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	return (row->notes & (CHANGES | OFFICER)) != 0 ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY;
}

static void stays(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, enum kind kind,
		  const struct row *row)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE named = {row->type, &yes, row->form == ROW_DATE ? 0 : 1};
	CK_RV expected = change_of(kind, row->type), rv;
	char text[160];

	if (expected == CKR_OK)
		return;
	rv = p11->C_SetAttributeValue(session, object, &named, 1);
	snprintf(text, sizeof(text), "%s of a %s is changed: %s, not %s", row->name,
		 kinds[kind].name, rv_name(rv), rv_name(expected));
	_assert_true(rv == expected, text, __FILE__, __LINE__);
}

static void what_does_not_change_is_told_apart_from_what_is_not_there(void **state)
{
	static const enum kind changeable[] = {
		ROOT_KEY,	   SESSION_ROOT_KEY,	ZONE,	    SESSION_ZONE,
		TOKEN_KEY,	   SESSION_KEY,		TOKEN_DATA, SESSION_DATA,
		TOKEN_CERTIFICATE, SESSION_CERTIFICATE, CLUSTER};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT];

	make_all(session, objects);
	for (size_t i = 0; i < sizeof(changeable) / sizeof(*changeable); i++)
		for (size_t j = 0; j < row_count; j++)
			stays(session, objects[changeable[i]], changeable[i], &rows[j]);
}

/* --- What nobody said */

/* Secrets that come in under protection, or are to last, are not shown unless their maker says so
 * (docs/objects.md). */
static bool is_safer(const struct row *row, enum kind kind)
{
	return row->type == CKA_SENSITIVE && (kind == TOKEN_KEY || kind == UNWRAPPED_KEY);
}

static void has_usual(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, enum kind kind,
		      const struct row *row)
{
	CK_BYTE value[4096];
	CK_ULONG len = attribute_bytes(session, object, row->type, value, sizeof(value));
	CK_ULONG number = 0;
	char text[160];

	if (row->form == ROW_BOOL)
		number = *value;
	else if (row->form == ROW_NUMBER)
		memcpy(&number, value, sizeof(number));
	snprintf(text, sizeof(text), "%s of a %s: %lu bytes, %lu", row->name, kinds[kind].name, len,
		 number);
	if (row->type == CKA_TOKEN || is_safer(row, kind)) /* which was given; ours */
		return;
	_assert_true(row->usual == ROW_EMPTY ? len == 0 : number == row->number, text, __FILE__,
		     __LINE__);
}

static void what_a_template_leaves_out_is_as_the_standard_has_it(void **state)
{
	static const enum kind plain[] = {TOKEN_KEY,	     SESSION_KEY,	 HMAC_KEY,
					  UNWRAPPED_KEY,     TOKEN_DATA,	 SESSION_DATA,
					  TOKEN_CERTIFICATE, SESSION_CERTIFICATE};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT];

	make_all(session, objects);
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		for (size_t j = 0; j < row_count; j++)
			if ((rows[j].classes & kinds[plain[i]].class) != 0 &&
			    rows[j].usual != ROW_OWN)
				has_usual(session, objects[plain[i]], plain[i], &rows[j]);
	assert_true(attribute_bool(session, objects[TOKEN_KEY], CKA_SENSITIVE));
	assert_true(attribute_bool(session, objects[UNWRAPPED_KEY], CKA_SENSITIVE));
}

/* Even the root key's, which the KMS has kept from the first. */
static void a_key_is_local_where_it_was_generated(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT], made, copy;
	const CK_ULONG none = CK_UNAVAILABLE_INFORMATION;

	make_all(session, objects);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		if (kinds[kind].class == ROW_KEY && kind != ZONE) {
			assert_false(attribute_bool(session, objects[kind], CKA_LOCAL));
			assert_int_equal(
				attribute_number(session, objects[kind], CKA_KEY_GEN_MECHANISM),
				none);
		}
	made = key_generate(session, with_number(template_new(), CKA_VALUE_LEN, 32));
	check(p11->C_CopyObject(session, made, NULL, 0, &copy));
	for (int i = 0; i < 3; i++) {
		made = i == 0 ? objects[ZONE] : i == 1 ? made : copy;
		assert_true(attribute_bool(session, made, CKA_LOCAL));
		assert_int_equal(attribute_number(session, made, CKA_KEY_GEN_MECHANISM),
				 CKM_AES_KEY_GEN);
	}
}

/* What came from outside was seen there. */
static void a_key_that_came_from_outside_was_not_always_secret(void **state)
{
	static const enum kind came[] = {TOKEN_KEY, SESSION_KEY, HMAC_KEY, UNWRAPPED_KEY};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE objects[KIND_COUNT];

	make_all(session, objects);
	for (size_t i = 0; i < sizeof(came) / sizeof(*came); i++) {
		assert_false(attribute_bool(session, objects[came[i]], CKA_ALWAYS_SENSITIVE));
		assert_false(attribute_bool(session, objects[came[i]], CKA_NEVER_EXTRACTABLE));
	}
}

/* SHA-1("abc") begins so (FIPS 180). */
static void the_check_value_of_a_certificate_is_a_digest_of_its_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with(template_new(), CKA_CHECK_VALUE, "\xa9\x99\x3e", 3);
	CK_BYTE value[3];

	for (int token = 0; token < 2; token++) {
		CK_OBJECT_HANDLE object = create(session, certificate(token));

		assert_int_equal(attribute_bytes(session, object, CKA_CHECK_VALUE, value, 3), 3);
		assert_memory_equal(value, "\xa9\x99\x3e", 3);
	}
	assert_int_equal(objects_count(session, t), 0); /* a search opens nothing */
}

int rules_rows(void)
{
	const struct CMUnitTest tests[] = {
		in_session(every_object_answers_the_rows_of_its_class),
		in_session(what_belongs_to_other_classes_is_in_none),
		in_session(what_does_not_change_is_told_apart_from_what_is_not_there),
		in_session(what_a_template_leaves_out_is_as_the_standard_has_it),
		in_session(a_key_is_local_where_it_was_generated),
		in_session(a_key_that_came_from_outside_was_not_always_secret),
		in_session(the_check_value_of_a_certificate_is_a_digest_of_its_value),
	};

	return run_group("rows", tests, token_setup, token_teardown);
}
