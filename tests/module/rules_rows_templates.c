/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What each template may name, must name and must not, by the footnotes of the standard's tables
 * (rows.h). */
#include "rows.h"
#include "rules.h"

#include <stdio.h>

/* --- Each use of a template, with the least that it needs */

enum use { CREATE, GENERATE, UNWRAP, DERIVE, COPY, SET, USE_COUNT };

static const char *const uses[USE_COUNT] = {
	"C_CreateObject", "C_GenerateKey", "C_UnwrapKey",
	"C_DeriveKey",	  "C_CopyObject",  "C_SetAttributeValue",
};

/* What the calls need besides. */
struct scene {
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE zone, base;
	CK_BYTE wrapped[64];
	CK_ULONG wrapped_len;
};

static void set_scene(CK_SESSION_HANDLE session, struct scene *ret_scene)
{
	*ret_scene = (struct scene){.session = session, .wrapped_len = 64};
	ret_scene->zone = some_zone(session);
	ret_scene->base = key_import(session, CKK_GENERIC_SECRET, known_value, sizeof(known_value));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), ret_scene->zone, known_key(session),
		      ret_scene->wrapped, &ret_scene->wrapped_len));
}

static struct template *least(enum use use, unsigned class)
{
	struct template *t = template_new();

	if (use == COPY || use == SET)
		return t;
	if (use == GENERATE)
		return with_number(t, CKA_VALUE_LEN, 32);
	with_number(t, CKA_CLASS,
		    class == ROW_DATA	       ? CKO_DATA
		    : class == ROW_CERTIFICATE ? CKO_CERTIFICATE
					       : CKO_SECRET_KEY);
	if (class == ROW_CERTIFICATE) {
		with(with_number(t, CKA_CERTIFICATE_TYPE, CKC_X_509), CKA_SUBJECT, "s", 1);
		return with(t, CKA_VALUE, "abc", 3);
	}
	if (class == ROW_KEY)
		with_number(t, CKA_KEY_TYPE, CKK_AES);
	if (use == CREATE && class == ROW_KEY)
		with(t, CKA_VALUE, known_value, sizeof(known_value));
	if (use == DERIVE)
		with_number(t, CKA_VALUE_LEN, 32);
	return t;
}

/* An object to copy or to change, of which everything may be said. */
static CK_OBJECT_HANDLE subject(struct scene *scene, unsigned class)
{
	struct template *t = least(CREATE, class);
	CK_OBJECT_HANDLE object;

	check(p11->C_CreateObject(scene->session, t->rows, t->count, &object));
	return object;
}

static CK_MECHANISM *hkdf(void)
{
	const CK_HKDF_PARAMS params = {.bExtract = CK_TRUE,
				       .bExpand = CK_TRUE,
				       .prfHashMechanism = CKM_SHA256,
				       .ulSaltType = CKF_HKDF_SALT_NULL};

	return mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params));
}

static CK_RV apply(struct scene *scene, enum use use, unsigned class, struct template *t)
{
	CK_SESSION_HANDLE session = scene->session;
	CK_OBJECT_HANDLE made;

	switch (use) {
	case CREATE:
		return p11->C_CreateObject(session, t->rows, t->count, &made);
	case GENERATE:
		return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count,
					  &made);
	case UNWRAP:
		return p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), scene->zone,
					scene->wrapped, scene->wrapped_len, t->rows, t->count,
					&made);
	case DERIVE:
		return p11->C_DeriveKey(session, hkdf(), scene->base, t->rows, t->count, &made);
	case COPY:
		return p11->C_CopyObject(session, subject(scene, class), t->rows, t->count, &made);
	default:
		return p11->C_SetAttributeValue(session, subject(scene, class), t->rows, t->count);
	}
}

/* Only keys are generated, unwrapped and, by this mechanism, derived. */
static bool makes(enum use use, unsigned class)
{
	return class == ROW_KEY || use == CREATE || use == COPY || use == SET;
}

/* --- What stands in the tables */

/* What must be there, and what the standard says nothing of, is as it was. */
static struct template *with_fitting(struct template *t, const struct row *row, unsigned class)
{
	static CK_BBOOL yes = CK_TRUE;
	static const CK_ATTRIBUTE inner = {CKA_ENCRYPT, &yes, sizeof(yes)};

	if (row->type == CKA_CLASS && class != ROW_KEY)
		return with_number(t, CKA_CLASS, class == ROW_DATA ? CKO_DATA : CKO_CERTIFICATE);
	if (row->type == CKA_VALUE && class == ROW_KEY)
		return with(t, CKA_VALUE, known_value, sizeof(known_value));
	if (row->type == CKA_URL) /* it would ask for more */
		return with(t, CKA_URL, NULL, 0);
	switch (row->form) {
	case ROW_BOOL:
		return with_bool(t, row->type, row->number == CK_TRUE);
	case ROW_NUMBER:
	case ROW_NUMBERS:
		return with_number(t, row->type, row->number);
	case ROW_DATE:
		return with(t, row->type, "20200229", 8);
	case ROW_TEMPLATE:
		return with(t, row->type, &inner, sizeof(inner));
	default:
		return with(t, row->type, "abc", 3);
	}
}

/* Of the wrong length, or nowhere. */
static struct template *with_unfit(struct template *t, const struct row *row)
{
	static const CK_BYTE zeros[7] = {0};

	switch (row->form) {
	case ROW_BOOL:
		return with(t, row->type, zeros, 2);
	case ROW_TEXT:
		return with(t, row->type, "\xff", 1);
	case ROW_BYTES:
		with(t, row->type, zeros, 3);
		for (CK_ULONG i = 0; i < t->count; i++)
			if (t->rows[i].type == row->type)
				t->rows[i].pValue = NULL;
		return t;
	default:
		return with(t, row->type, zeros, sizeof(zeros));
	}
}

/* On purpose (docs/objects.md, "Attributes"). */
static const struct {
	CK_ATTRIBUTE_TYPE type;
	unsigned uses; /* bits */
	CK_RV answer;
} differences[] = {
	{CKA_CHECK_VALUE, ~0U, CKR_ATTRIBUTE_READ_ONLY},    {CKA_VALUE_LEN, 1U << CREATE, CKR_OK},
	{CKA_VALUE, 1U << COPY, CKR_ATTRIBUTE_READ_ONLY},   {CKA_DESTROYABLE, 1U << COPY, CKR_OK},
	{CKA_TRUSTED, 1U << COPY, CKR_ATTRIBUTE_READ_ONLY},
};

static CK_RV expected_of(enum use use, const struct row *row)
{
	static const unsigned refused[USE_COUNT] = {
		[CREATE] = CREATE_NOT,
		[GENERATE] = GENERATE_NOT,
		[UNWRAP] = UNWRAP_NOT,
		[DERIVE] = GENERATE_NOT,
	};
	static const unsigned changes[USE_COUNT] = {
		[COPY] = CHANGES | IN_COPY,
		[SET] = CHANGES | OFFICER,
	};

	for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++)
		if (differences[i].type == row->type && (differences[i].uses & 1U << use) != 0)
			return differences[i].answer;
	if ((row->notes & refused[use]) != 0)
		return CKR_ATTRIBUTE_READ_ONLY;
	if (changes[use] != 0 && (row->notes & changes[use]) == 0)
		return CKR_ATTRIBUTE_READ_ONLY;
	return CKR_OK;
}

static void is(CK_RV rv, CK_RV expected, enum use use, unsigned class, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "%s of %s with %s: %s, not %s", uses[use],
		 class == ROW_KEY    ? "a key"
		 : class == ROW_DATA ? "data"
				     : "a certificate",
		 what, rv_name(rv), rv_name(expected));
	_assert_true(rv == expected, text, __FILE__, __LINE__);
}

typedef void one_row(struct scene *scene, enum use use, unsigned class, const struct row *row);

/* For each use, class and row of the class, or of others alone. */
static void for_each(CK_SESSION_HANDLE session, bool of_class, one_row *does)
{
	struct scene scene;

	set_scene(session, &scene);
	for (int use = 0; use < USE_COUNT; use++)
		for (unsigned class = ROW_DATA; class <= ROW_KEY; class <<= 1)
			for (size_t i = 0; makes(use, class) && i < row_count; i++)
				if (((rows[i].classes & class) != 0) == of_class)
					does(&scene, use, class, &rows[i]);
}

static void may_be_named(struct scene *scene, enum use use, unsigned class, const struct row *row)
{
	struct template *t = with_fitting(least(use, class), row, class);

	is(apply(scene, use, class, t), expected_of(use, row), use, class, row->name);
}

static void a_template_names_what_the_footnotes_let_it(void **state)
{
	for_each((CK_SESSION_HANDLE)*state, true, may_be_named);
}

static void has_its_form(struct scene *scene, enum use use, unsigned class, const struct row *row)
{
	struct template *t = with_unfit(least(use, class), row);

	if (expected_of(use, row) == CKR_OK)
		is(apply(scene, use, class, t), CKR_ATTRIBUTE_VALUE_INVALID, use, class, row->name);
}

static void a_value_has_the_form_of_its_row(void **state)
{
	for_each((CK_SESSION_HANDLE)*state, true, has_its_form);
}

static bool has_row(CK_ATTRIBUTE_TYPE type, unsigned class)
{
	bool found = false;

	for (size_t i = 0; i < row_count; i++)
		found |= rows[i].type == type && (rows[i].classes & class) != 0;
	return found;
}

static void is_of_no_such(struct scene *scene, enum use use, unsigned class, const struct row *row)
{
	struct template *t = with_fitting(least(use, class), row, class);

	if (!has_row(row->type, class))
		is(apply(scene, use, class, t), CKR_ATTRIBUTE_TYPE_INVALID, use, class, row->name);
}

/* Whether or not it could be given to an object of its own class. */
static void what_the_class_lacks_is_told_of_as_that(void **state)
{
	for_each((CK_SESSION_HANDLE)*state, false, is_of_no_such);
}

static void what_is_not_known_is_told_of_as_that(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct scene scene;

	set_scene(session, &scene);
	for (int use = 0; use < USE_COUNT; use++)
		for (size_t i = 0; i < foreign_row_count; i++) {
			struct template *t = with(least(use, ROW_KEY), foreign_rows[i], "a", 1);
			char name[32];

			snprintf(name, sizeof(name), "attribute 0x%lx", foreign_rows[i]);
			is(apply(&scene, use, ROW_KEY, t), CKR_ATTRIBUTE_TYPE_INVALID, use, ROW_KEY,
			   name);
		}
}

/* --- What must be there */

static struct template *without(struct template *t, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG kept = 0;

	for (CK_ULONG i = 0; i < t->count; i++)
		if (t->rows[i].type != type)
			t->rows[kept++] = t->rows[i];
	t->count = kept;
	return t;
}

static void must_be_named(struct scene *scene, enum use use, unsigned class, const struct row *row)
{
	static const unsigned needed[USE_COUNT] = {
		[CREATE] = CREATE_MUST, [GENERATE] = GENERATE_MUST, [UNWRAP] = UNWRAP_MUST};

	if ((row->notes & needed[use]) != 0)
		is(apply(scene, use, class, without(least(use, class), row->type)),
		   CKR_TEMPLATE_INCOMPLETE, use, class, row->name);
}

static void what_must_be_given_is_missed(void **state)
{
	for_each((CK_SESSION_HANDLE)*state, true, must_be_named);
}

/* CKA_VALUE may be empty then. */
static void a_certificate_that_is_elsewhere_needs_both_digests(void **state)
{
	static const CK_ATTRIBUTE_TYPE digests[] = {CKA_HASH_OF_SUBJECT_PUBLIC_KEY,
						    CKA_HASH_OF_ISSUER_PUBLIC_KEY};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE made;

	for (int count = 0; count <= 2; count++) {
		struct template *t = least(CREATE, ROW_CERTIFICATE);

		with(with_text(t, CKA_URL, "https://example.com/c"), CKA_VALUE, NULL, 0);
		for (int i = 0; i < count; i++)
			with(t, digests[i], known_value, 20);
		answers(count == 2 ? CKR_OK : CKR_TEMPLATE_INCOMPLETE,
			p11->C_CreateObject(session, t->rows, t->count, &made));
	}
}

/* --- What contradicts */

static void one_attribute_has_one_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct scene scene;

	set_scene(session, &scene);
	for (int use = 0; use < USE_COUNT; use++) {
		static CK_UTF8CHAR two[] = "two";
		struct template *t = with_text(least(use, ROW_KEY), CKA_LABEL, "one");

		t->rows[t->count++] = (CK_ATTRIBUTE){CKA_LABEL, two, 3};
		is(apply(&scene, use, ROW_KEY, t), CKR_TEMPLATE_INCONSISTENT, use, ROW_KEY,
		   "two labels");
	}
}

static void the_length_of_a_key_is_that_of_its_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct scene scene;

	set_scene(session, &scene);
	for (int use = CREATE; use <= UNWRAP; use += UNWRAP - CREATE)
		is(apply(&scene, use, ROW_KEY, with_number(least(use, ROW_KEY), CKA_VALUE_LEN, 16)),
		   CKR_TEMPLATE_INCONSISTENT, use, ROW_KEY, "CKA_VALUE_LEN");
}

/* --- What is changed */

static CK_RV set(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct template *t)
{
	return p11->C_SetAttributeValue(session, object, t->rows, t->count);
}

static void goes_one_way(struct scene *scene, enum use use, unsigned class, const struct row *row)
{
	bool last = (row->notes & ONLY_TRUE) != 0;
	CK_OBJECT_HANDLE object, copy;
	struct template *back;

	if (use != SET || (row->notes & (ONLY_TRUE | ONLY_FALSE)) == 0)
		return;
	object = subject(scene, class);
	is(set(scene->session, object, with_bool(template_new(), row->type, last)), CKR_OK, use,
	   class, row->name);
	back = with_bool(template_new(), row->type, !last);
	is(set(scene->session, object, back), CKR_ATTRIBUTE_READ_ONLY, use, class, row->name);
	if (row->type != CKA_COPYABLE)
		is(p11->C_CopyObject(scene->session, object, back->rows, back->count, &copy),
		   CKR_ATTRIBUTE_READ_ONLY, COPY, class, row->name);
}

static void what_only_goes_one_way_does_not_come_back(void **state)
{
	for_each((CK_SESSION_HANDLE)*state, true, goes_one_way);
}

static void a_trusted_certificate_changes_in_nothing_else(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(least(CREATE, ROW_CERTIFICATE), CKA_TRUSTED, true);
	struct template *label = with_text(template_new(), CKA_LABEL, "another");
	CK_OBJECT_HANDLE object;

	check(p11->C_CreateObject(session, t->rows, t->count, &object));
	answers(CKR_ACTION_PROHIBITED, set(session, object, label));
	answers(CKR_ACTION_PROHIBITED, set(session, object, with(template_new(), CKA_ID, "id", 2)));
	answers(CKR_ACTION_PROHIBITED,
		set(session, object,
		    with_bool(with_text(template_new(), CKA_LABEL, "another"), CKA_TRUSTED,
			      false)));
	check(set(session, object, with_bool(template_new(), CKA_TRUSTED, false)));
	check(set(session, object, label));
}

static void categories_of_certificates_are_the_standards(void **state)
{
	static const CK_ATTRIBUTE_TYPE types[] = {CKA_CERTIFICATE_CATEGORY,
						  CKA_JAVA_MIDP_SECURITY_DOMAIN};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE made;

	for (int i = 0; i < 2; i++)
		for (CK_ULONG number = 0; number <= 4; number++) {
			struct template *t =
				with_number(least(CREATE, ROW_CERTIFICATE), types[i], number);

			answers(number == 4 ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_OK,
				p11->C_CreateObject(session, t->rows, t->count, &made));
		}
}

int rules_rows_templates(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_template_names_what_the_footnotes_let_it),
		in_session(a_value_has_the_form_of_its_row),
		in_session(what_the_class_lacks_is_told_of_as_that),
		in_session(what_is_not_known_is_told_of_as_that),
		in_session(what_must_be_given_is_missed),
		in_session(a_certificate_that_is_elsewhere_needs_both_digests),
		in_session(one_attribute_has_one_value),
		in_session(the_length_of_a_key_is_that_of_its_value),
		in_session(what_only_goes_one_way_does_not_come_back),
		in_session(a_trusted_certificate_changes_in_nothing_else),
		in_session(categories_of_certificates_are_the_standards),
	};

	return run_group("templates by the rows", tests, token_setup, token_teardown);
}
