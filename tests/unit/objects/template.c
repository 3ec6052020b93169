/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what is read, what is refused by which value, and the keys that come of them. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/attribute.h"
#include "objects/template.h"
#include "tests/support/unit.h"
#include "tests/support/values.h"

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY, public_key = CKO_PUBLIC_KEY,
		       data_object = CKO_DATA, cluster = CKO_CMEK_CLUSTER;
static CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET, des3 = CKK_DES3;
static CK_ULONG len_16 = 16, len_20 = 20, len_32 = 32;
static CK_BYTE value[32] = "0123456789abcdef0123456789abcde";

#define ROW(type, variable)                                                                        \
	{                                                                                          \
		type, &(variable), sizeof(variable)                                                \
	}
#define READ(use, rows, ret) template_read(use, rows, COUNT_OF(rows), ret)

static CK_RV make(enum template_use use, const CK_ATTRIBUTE *rows, CK_ULONG count, bool token,
		  struct object **ret_object)
{
	struct template template;

	TRY(template_read(use, rows, count, &template));
	if (template.key_type == CK_UNAVAILABLE_INFORMATION)
		template.key_type = CKK_AES;
	return template_make_key(use, &template, token, ret_object);
}

static void what_a_template_names_is_read(void **state)
{
	CK_BYTE zone[8] = {0, 0, 0, 0, 0, 0, 1, 2};
	CK_ATTRIBUTE rows[] = {
		ROW(CKA_CLASS, secret_key), ROW(CKA_KEY_TYPE, aes),   ROW(CKA_TOKEN, yes),
		ROW(CKA_VALUE_LEN, len_32), ROW(CKA_ENCRYPT, yes),    ROW(CKA_DECRYPT, no),
		ROW(CKA_SENSITIVE, no),	    {CKA_LABEL, value, 4},    {CKA_ID, value, 2},
		ROW(CKA_CMEK_ZONE, zone),   {CKA_START_DATE, NULL, 0}};
	struct template template;

	(void)state;
	assert_int_equal(READ(TEMPLATE_GENERATE, rows, &template), CKR_OK);
	assert_int_equal(template.class, CKO_SECRET_KEY);
	assert_int_equal(template.key_type, CKK_AES);
	assert_true(template.present_token && template.token);
	assert_int_equal(template.value_len, 32);
	assert_int_equal(template.usages_named, USAGE_ENCRYPT | USAGE_DECRYPT);
	assert_int_equal(template.usages, USAGE_ENCRYPT);
	assert_int_equal(template.flags_named, OBJECT_SENSITIVE);
	assert_int_equal(template.flags, 0);
	assert_bytes(template.label, bytes_of("0123"));
	assert_bytes(template.id, bytes_of("01"));
	assert_int_equal(template.zone, 0x102);
	assert_null(template.end_date.data);
	assert_null(template.value.data);
}

static void an_empty_template_names_nothing(void **state)
{
	struct template template;

	(void)state;
	assert_int_equal(template_read(TEMPLATE_GENERATE, NULL, 0, &template), CKR_OK);
	assert_int_equal(template.class, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(template.named[0] | template.named[1], 0);
	assert_false(template.present_label);
	assert_int_equal(template_read(TEMPLATE_GENERATE, NULL, 1, &template), CKR_ARGUMENTS_BAD);
}

static void refused(enum template_use use, CK_ATTRIBUTE row, CK_RV expected)
{
	CK_ATTRIBUTE rows[] = {ROW(CKA_KEY_TYPE, aes), row};
	size_t first = row.type == CKA_KEY_TYPE || use == TEMPLATE_SET || use == TEMPLATE_COPY;
	struct template template;

	assert_int_equal(template_read(use, rows + first, 2 - first, &template), expected);
}

static void each_fault_has_its_value(void **state)
{
	(void)state;
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_MODULUS, value), CKR_ATTRIBUTE_TYPE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_LOCAL, yes), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_UNIQUE_ID, value), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_GENERATE, (CK_ATTRIBUTE)ROW(CKA_VALUE, value), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_SET, (CK_ATTRIBUTE)ROW(CKA_TOKEN, yes), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_COPY, (CK_ATTRIBUTE)ROW(CKA_VALUE_LEN, len_16), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_ENCRYPT, value, 1},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_ENCRYPT, &yes, 0}, CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_LABEL, NULL, 4}, CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_KEY_TYPE, value, 4},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_START_DATE, value, 7},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_START_DATE, value + 5, 8},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, value, 12},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_CMEK_ZONE, value, 7},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_CLASS, public_key),
		CKR_ATTRIBUTE_VALUE_INVALID);
	/* Data has no type of key. */
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_CLASS, data_object),
		CKR_ATTRIBUTE_TYPE_INVALID);
	refused(TEMPLATE_UNWRAP, (CK_ATTRIBUTE)ROW(CKA_CLASS, data_object),
		CKR_TEMPLATE_INCONSISTENT);
	refused(TEMPLATE_GENERATE, (CK_ATTRIBUTE)ROW(CKA_CLASS, data_object),
		CKR_TEMPLATE_INCONSISTENT);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_CLASS, cluster), CKR_ATTRIBUTE_TYPE_INVALID);
	refused(TEMPLATE_GENERATE, (CK_ATTRIBUTE){CKA_CMEK_REGION, value, 9},
		CKR_ATTRIBUTE_TYPE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_TRUSTED, yes), CKR_ATTRIBUTE_READ_ONLY);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_TRUSTED, no), CKR_OK);
}

static void a_label_is_text(void **state)
{
	static CK_BYTE long_label[256], broken[] = {'a', 0xff}, with_nul[] = {'a', 0, 'b'};

	(void)state;
	memset(long_label, 'x', sizeof(long_label));
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_LABEL, broken), CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE)ROW(CKA_LABEL, with_nul),
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_LABEL, long_label, 256},
		CKR_ATTRIBUTE_VALUE_INVALID);
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_LABEL, long_label, 255}, CKR_OK);
}

/* By its name, with what it must be. */
static void a_refusal_names_the_attribute(void **state)
{
	static CK_BYTE long_value[256];

	(void)state;
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_LABEL, long_value, 256},
		CKR_ATTRIBUTE_VALUE_INVALID);
	assert_string_equal(log_last(), "template to create an object: CKA_LABEL must be UTF-8 "
					"without a NUL of at most 255 bytes");
	refused(TEMPLATE_GENERATE, (CK_ATTRIBUTE){CKA_ENCRYPT, long_value, 2},
		CKR_ATTRIBUTE_VALUE_INVALID);
	assert_string_equal(log_last(), "template to generate an object: CKA_ENCRYPT must be one "
					"byte, CK_TRUE or CK_FALSE");
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){CKA_CMEK_REGION, long_value, 256},
		CKR_ATTRIBUTE_VALUE_INVALID);
	assert_non_null(strstr(log_last(), "CKA_CMEK_REGION must be UTF-8"));
	refused(TEMPLATE_CREATE, (CK_ATTRIBUTE){0x7fffffff, long_value, 1},
		CKR_ATTRIBUTE_TYPE_INVALID);
	assert_non_null(strstr(log_last(), "attribute 0x7fffffff is not known"));
}

static void the_same_twice_is_no_contradiction(void **state)
{
	CK_ATTRIBUTE same[] = {ROW(CKA_ENCRYPT, yes), ROW(CKA_KEY_TYPE, aes), {CKA_ID, value, 4},
			       ROW(CKA_ENCRYPT, yes), ROW(CKA_KEY_TYPE, aes), {CKA_ID, value, 4}};
	CK_ATTRIBUTE flag[] = {ROW(CKA_ENCRYPT, yes), ROW(CKA_ENCRYPT, no)};
	CK_ATTRIBUTE number[] = {ROW(CKA_KEY_TYPE, aes), ROW(CKA_KEY_TYPE, generic)};
	CK_ATTRIBUTE text[] = {{CKA_ID, value, 4}, {CKA_ID, value, 5}};
	struct template template;

	(void)state;
	assert_int_equal(READ(TEMPLATE_CREATE, same, &template), CKR_OK);
	assert_int_equal(READ(TEMPLATE_CREATE, flag, &template), CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(READ(TEMPLATE_CREATE, number, &template), CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(READ(TEMPLATE_CREATE, text, &template), CKR_TEMPLATE_INCONSISTENT);
}

/* Usages. */

static uint32_t usages_of(const CK_ATTRIBUTE *rows, CK_ULONG count)
{
	AUTO(object_releasep) struct object *object = NULL;

	assert_int_equal(make(TEMPLATE_UNWRAP, rows, count, false, &object), CKR_OK);
	return object->usages;
}

static void a_template_without_usages_gets_the_usual_ones(void **state)
{
	CK_ATTRIBUTE named[] = {ROW(CKA_ENCRYPT, yes), ROW(CKA_DECRYPT, no)};
	CK_ATTRIBUTE denied[] = {ROW(CKA_DERIVE, no), ROW(CKA_WRAP, no)};

	(void)state;
	assert_int_equal(usages_of(NULL, 0),
			 USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_WRAP | USAGE_UNWRAP);
	assert_int_equal(usages_of(named, 2), USAGE_ENCRYPT);
	assert_int_equal(usages_of(denied, 2), USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_UNWRAP);
}

/* Flags. */

static uint32_t flags_of(enum template_use use, const CK_ATTRIBUTE *rows, CK_ULONG count,
			 bool token)
{
	CK_ATTRIBUTE all[8] = {ROW(CKA_VALUE_LEN, len_32)};
	AUTO(object_releasep) struct object *object = NULL;

	for (CK_ULONG i = 0; i < count; i++)
		all[1 + i] = rows[i];
	assert_int_equal(make(use, all, 1 + count, token, &object), CKR_OK);
	return object->flags;
}

static void what_a_key_is_depends_on_how_and_where_it_is_made(void **state)
{
	const uint32_t usual = OBJECT_MODIFIABLE | OBJECT_COPYABLE | OBJECT_DESTROYABLE;
	CK_ATTRIBUTE open[] = {ROW(CKA_SENSITIVE, no), ROW(CKA_EXTRACTABLE, yes)};
	CK_ATTRIBUTE closed[] = {ROW(CKA_SENSITIVE, yes), ROW(CKA_EXTRACTABLE, no)};

	(void)state;
	assert_int_equal(flags_of(TEMPLATE_GENERATE, NULL, 0, false),
			 usual | OBJECT_LOCAL | OBJECT_EXTRACTABLE);
	assert_int_equal(flags_of(TEMPLATE_GENERATE, NULL, 0, true),
			 usual | OBJECT_LOCAL | OBJECT_TOKEN | OBJECT_SENSITIVE |
				 OBJECT_ALWAYS_SENSITIVE | OBJECT_NEVER_EXTRACTABLE);
	assert_int_equal(flags_of(TEMPLATE_CREATE, NULL, 0, false), usual | OBJECT_EXTRACTABLE);
	assert_int_equal(flags_of(TEMPLATE_UNWRAP, NULL, 0, false),
			 usual | OBJECT_EXTRACTABLE | OBJECT_SENSITIVE);
	assert_int_equal(flags_of(TEMPLATE_UNWRAP, open, 2, true),
			 usual | OBJECT_TOKEN | OBJECT_EXTRACTABLE);
	assert_int_equal(flags_of(TEMPLATE_CREATE, closed, 2, false), usual | OBJECT_SENSITIVE);
	assert_int_equal(flags_of(TEMPLATE_GENERATE, open, 2, true),
			 usual | OBJECT_LOCAL | OBJECT_TOKEN | OBJECT_EXTRACTABLE);
}

static void a_key_has_a_type_and_a_length_that_exist(void **state)
{
	CK_ATTRIBUTE no_len[] = {ROW(CKA_KEY_TYPE, aes)};
	CK_ATTRIBUTE odd[] = {ROW(CKA_KEY_TYPE, aes), ROW(CKA_VALUE_LEN, len_20)};
	CK_ATTRIBUTE secret[] = {ROW(CKA_KEY_TYPE, generic), ROW(CKA_VALUE_LEN, len_20)};
	CK_ATTRIBUTE other[] = {ROW(CKA_KEY_TYPE, des3), ROW(CKA_VALUE_LEN, len_16)};
	AUTO(object_releasep) struct object *object = NULL;
	struct template template;

	(void)state;
	assert_int_equal(make(TEMPLATE_GENERATE, no_len, 1, false, &object),
			 CKR_TEMPLATE_INCOMPLETE);
	assert_int_equal(make(TEMPLATE_GENERATE, odd, 2, false, &object),
			 CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(make(TEMPLATE_GENERATE, other, 2, false, &object),
			 CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(template_read(TEMPLATE_CREATE, NULL, 0, &template), CKR_OK);
	assert_int_equal(template_make_key(TEMPLATE_CREATE, &template, false, &object),
			 CKR_TEMPLATE_INCOMPLETE);
	assert_int_equal(make(TEMPLATE_GENERATE, secret, 2, false, &object), CKR_OK);
	assert_int_equal(object->generated_by, CKM_GENERIC_SECRET_KEY_GEN);
}

static void a_value_fits_its_length_and_type(void **state)
{
	CK_ATTRIBUTE any[] = {ROW(CKA_KEY_TYPE, aes)};
	CK_ATTRIBUTE said[] = {ROW(CKA_KEY_TYPE, aes), ROW(CKA_VALUE_LEN, len_16)};
	AUTO(object_releasep) struct object *one = NULL;
	AUTO(object_releasep) struct object *two = NULL;

	(void)state;
	assert_int_equal(make(TEMPLATE_CREATE, any, 1, false, &one), CKR_OK);
	assert_int_equal(object_set_value(one, bytes(value, 20)), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(object_set_value(one, bytes(value, 24)), CKR_OK);
	assert_int_equal(one->value_len, 24);
	assert_value(one, bytes(value, 24));
	assert_int_equal(make(TEMPLATE_CREATE, said, 2, false, &two), CKR_OK);
	assert_int_equal(object_set_value(two, bytes(value, 32)), CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(object_set_value(two, bytes(value, 16)), CKR_OK);
}

/* Templates that keys keep. */

static struct object *with_unwrap_template(CK_ATTRIBUTE *inner, CK_ULONG count)
{
	CK_ATTRIBUTE rows[] = {ROW(CKA_VALUE_LEN, len_32),
			       {CKA_UNWRAP_TEMPLATE, inner, count * sizeof(*inner)},
			       {CKA_WRAP_TEMPLATE, inner, count * sizeof(*inner)}};
	struct object *object = NULL;

	assert_int_equal(make(TEMPLATE_GENERATE, rows, 3, false, &object), CKR_OK);
	return object;
}

static void a_kept_template_is_read_as_it_was_given(void **state)
{
	CK_ATTRIBUTE inner[] = {ROW(CKA_ENCRYPT, yes), ROW(CKA_KEY_TYPE, aes), {CKA_ID, value, 5}};
	AUTO(object_releasep) struct object *object = with_unwrap_template(inner, 3);
	CK_ATTRIBUTE got[3] = {0}, outer = {CKA_UNWRAP_TEMPLATE, NULL, 0};
	CK_BYTE id[5], flag;
	CK_KEY_TYPE type;

	(void)state;
	assert_int_equal(attributes_get(NULL, object, &outer, 1), CKR_OK);
	assert_int_equal(outer.ulValueLen, sizeof(got));
	outer.pValue = got;
	assert_int_equal(attributes_get(NULL, object, &outer, 1), CKR_OK);
	assert_int_equal(got[1].type, CKA_KEY_TYPE);
	assert_int_equal(got[1].ulValueLen, sizeof(CK_KEY_TYPE));
	got[0].pValue = &flag;
	got[1].pValue = &type;
	got[2].pValue = id;
	assert_int_equal(attributes_get(NULL, object, &outer, 1), CKR_OK);
	assert_int_equal(flag, CK_TRUE);
	assert_int_equal(type, CKK_AES);
	assert_memory_equal(id, value, 5);
	got[2].ulValueLen = 4;
	assert_int_equal(attributes_get(NULL, object, &outer, 1), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(got[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	outer.ulValueLen = sizeof(got) - 1;
	assert_int_equal(attributes_get(NULL, object, &outer, 1), CKR_BUFFER_TOO_SMALL);
}

static void an_unwrap_template_is_added_to_what_the_caller_says(void **state)
{
	CK_ATTRIBUTE inner[] = {ROW(CKA_EXTRACTABLE, no), ROW(CKA_KEY_TYPE, aes)};
	AUTO(object_releasep) struct object *object = with_unwrap_template(inner, 2);
	CK_ATTRIBUTE against[] = {ROW(CKA_EXTRACTABLE, yes)}, beside[] = {ROW(CKA_SENSITIVE, no)};
	struct template template;

	(void)state;
	assert_int_equal(READ(TEMPLATE_UNWRAP, beside, &template), CKR_OK);
	assert_int_equal(template_force(TEMPLATE_UNWRAP, object->unwrap_template, &template),
			 CKR_OK);
	assert_int_equal(template.key_type, CKK_AES);
	assert_int_equal(template.flags_named, OBJECT_SENSITIVE | OBJECT_EXTRACTABLE);
	assert_int_equal(template.flags, 0);
	assert_int_equal(READ(TEMPLATE_UNWRAP, against, &template), CKR_OK);
	assert_int_equal(template_force(TEMPLATE_UNWRAP, object->unwrap_template, &template),
			 CKR_TEMPLATE_INCONSISTENT);
}

/* Neither when it is made, nor when one is found that another release, or somebody else, wrote. */
static void a_kept_template_gives_nothing_that_a_caller_may_not(void **state)
{
	static const CK_ATTRIBUTE_TYPE vouches[] = {CKA_TRUSTED, CKA_LOCAL, CKA_NEVER_EXTRACTABLE,
						    CKA_ALWAYS_SENSITIVE};
	struct object *object = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vouches); i++) {
		CK_ATTRIBUTE inner = {vouches[i], &yes, sizeof(yes)};
		CK_ATTRIBUTE rows[] = {ROW(CKA_VALUE_LEN, len_32),
				       {CKA_UNWRAP_TEMPLATE, &inner, sizeof(inner)}};
		AUTO(buffer_clear) struct buffer stored = {0};
		struct template template;

		assert_int_equal(make(TEMPLATE_GENERATE, rows, 2, false, &object),
				 CKR_ATTRIBUTE_VALUE_INVALID);
		rows[1].type = CKA_DERIVE_TEMPLATE;
		assert_int_equal(make(TEMPLATE_GENERATE, rows, 2, false, &object),
				 CKR_ATTRIBUTE_VALUE_INVALID);
		assert_int_equal(template_pack(bytes(&inner, sizeof(inner)), &stored), CKR_OK);
		assert_int_equal(template_read(TEMPLATE_UNWRAP, NULL, 0, &template), CKR_OK);
		assert_int_equal(template_force(TEMPLATE_UNWRAP, buffer_bytes(&stored), &template),
				 CKR_TEMPLATE_INCONSISTENT);
		assert_int_equal(template.flags, 0);
	}
}

static void a_wrap_template_says_which_keys_may_be_wrapped(void **state)
{
	bool no_memory;
	CK_ATTRIBUTE inner[] = {ROW(CKA_EXTRACTABLE, yes), ROW(CKA_VALUE_LEN, len_32)};
	CK_ATTRIBUTE short_key[] = {ROW(CKA_VALUE_LEN, len_16)};
	AUTO(object_releasep) struct object *by = with_unwrap_template(inner, 2);
	AUTO(object_releasep) struct object *fits = with_unwrap_template(NULL, 0);
	AUTO(object_releasep) struct object *not = NULL;

	(void)state;
	assert_int_equal(make(TEMPLATE_GENERATE, short_key, 1, false, &not ), CKR_OK);
	assert_true(template_matches(by->wrap_template, fits, &no_memory));
	assert_false(template_matches(by->wrap_template, not, &no_memory));
	assert_true(template_matches(fits->wrap_template, not, &no_memory));
}

static void templates_in_templates_are_refused(void **state)
{
	CK_ATTRIBUTE innermost[] = {ROW(CKA_ENCRYPT, yes)};
	CK_ATTRIBUTE inner[] = {{CKA_WRAP_TEMPLATE, innermost, sizeof(innermost)}};
	CK_ATTRIBUTE unknown[] = {ROW(CKA_MODULUS, value)};
	struct buffer stored = {0};

	(void)state;
	assert_int_equal(template_pack(bytes(inner, sizeof(inner)), &stored),
			 CKR_ATTRIBUTE_VALUE_INVALID);
	assert_int_equal(template_pack(bytes(unknown, sizeof(unknown)), &stored),
			 CKR_ATTRIBUTE_TYPE_INVALID);
	buffer_clear(&stored);
}

static void a_stored_template_that_is_damaged_fits_nothing(void **state)
{
	bool no_memory;
	CK_ATTRIBUTE inner[] = {{CKA_ID, value, 5}};
	AUTO(object_releasep) struct object *object = with_unwrap_template(NULL, 0);
	struct template template = {0};
	struct buffer stored = {0};

	(void)state;
	assert_int_equal(template_pack(bytes(inner, sizeof(inner)), &stored), CKR_OK);
	for (size_t len = 1; len < stored.len; len++) {
		assert_false(template_matches(bytes(stored.data, len), object, &no_memory));
		assert_int_equal(
			template_force(TEMPLATE_UNWRAP, bytes(stored.data, len), &template),
			CKR_DEVICE_ERROR);
	}
	buffer_clear(&stored);
}

static int quiet(void **state)
{
	(void)state;
	return !log_configure(LOG_OFF, "stderr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_template_names_is_read),
		cmocka_unit_test(an_empty_template_names_nothing),
		cmocka_unit_test(each_fault_has_its_value),
		cmocka_unit_test(a_label_is_text),
		cmocka_unit_test(a_refusal_names_the_attribute),
		cmocka_unit_test(the_same_twice_is_no_contradiction),
		cmocka_unit_test(a_template_without_usages_gets_the_usual_ones),
		cmocka_unit_test(what_a_key_is_depends_on_how_and_where_it_is_made),
		cmocka_unit_test(a_key_has_a_type_and_a_length_that_exist),
		cmocka_unit_test(a_value_fits_its_length_and_type),
		cmocka_unit_test(a_kept_template_is_read_as_it_was_given),
		cmocka_unit_test(a_kept_template_gives_nothing_that_a_caller_may_not),
		cmocka_unit_test(an_unwrap_template_is_added_to_what_the_caller_says),
		cmocka_unit_test(a_wrap_template_says_which_keys_may_be_wrapped),
		cmocka_unit_test(templates_in_templates_are_refused),
		cmocka_unit_test(a_stored_template_that_is_damaged_fits_nothing),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
