/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The attribute table, and what C_GetAttributeValue makes of it. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/attribute.h"
#include "objects/value.h"
#include "tests/support/unit.h"

static char main_label[] = "main", zone_label[] = "prod/orders";
static char arn[] = "arn:local:x", local[] = "local";

static struct entry root_entry = {
	.references = 1,
	.kind = ENTRY_ROOT_KEY,
	.state = ENTRY_ACTIVE,
	.number = 7,
	.label = main_label,
	.of_root_key = {.arn = arn, .provider = local, .region = local},
};

static struct ezk_version version = {.version = 1};
static struct entry zone_entry = {
	.references = 1,
	.kind = ENTRY_ZONE,
	.state = ENTRY_PENDING_DELETION,
	.number = 8,
	.label = zone_label,
	.of_zone = {.zone = 0x0102030405060708,
		    .primary = 3,
		    .raw = 2,
		    .minimum = 1,
		    .version_count = 1,
		    .versions = &version},
};

static uint8_t secret[32] = "0123456789abcdef0123456789abcde";

static struct object *key(uint32_t flags)
{
	const struct object model = {.kind = OBJECT_KEY,
				     .key_type = CKK_AES,
				     .value_len = sizeof(secret),
				     .flags = flags,
				     .usages = USAGE_ENCRYPT | USAGE_WRAP,
				     .generated_by = CKM_AES_KEY_GEN,
				     .label = bytes_of("dek"),
				     .id = bytes_of("\1\2")};
	struct object *object = object_new(&model);

	assert_non_null(object);
	assert_int_equal(value_set(object, secret), ZONE_OK);
	return object;
}

/* Borrowed: never released. */
static struct object root_key(void)
{
	return (struct object){.kind = OBJECT_ROOT_KEY, .entry = &root_entry, .value_len = 32};
}

static struct object zone(void)
{
	return (struct object){.kind = OBJECT_ZONE, .entry = &zone_entry, .value_len = 32};
}

static void no_attribute_stands_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < attribute_count(); i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(attribute_at(i)->type, attribute_at(j)->type);
}

static void every_row_can_be_read_and_those_in_templates_have_a_place(void **state)
{
	const unsigned kinds = (1U << OBJECT_KIND_COUNT) - 1, uses = (1U << TEMPLATE_USE_COUNT) - 1;

	(void)state;
	for (size_t i = 0; i < attribute_count(); i++) {
		const struct attribute *row = attribute_at(i);

		assert_ptr_equal(attribute_find(row->type), row);
		assert_int_equal(attribute_index(row), i);
		assert_non_null(row->get);
		assert_true(row->kinds != 0 && (row->kinds & ~kinds) == 0);
		assert_int_equal(row->uses & ~uses, 0);
		if (row->uses != 0 && row->form != ATTRIBUTE_USAGE && row->form != ATTRIBUTE_FLAG)
			assert_int_not_equal(row->field, 0);
		if (row->uses != 0 &&
		    (row->form == ATTRIBUTE_TEXT || row->form == ATTRIBUTE_BYTES ||
		     row->form == ATTRIBUTE_ARRAY || row->form == ATTRIBUTE_MECHANISMS))
			assert_int_not_equal(row->max, 0);
	}
}

/* Each attribute of keys that stock programs ask for. */
static const CK_ATTRIBUTE_TYPE asked[] = {
	CKA_CLASS,
	CKA_KEY_TYPE,
	CKA_TOKEN,
	CKA_PRIVATE,
	CKA_MODIFIABLE,
	CKA_COPYABLE,
	CKA_DESTROYABLE,
	CKA_LABEL,
	CKA_ID,
	CKA_START_DATE,
	CKA_END_DATE,
	CKA_DERIVE,
	CKA_LOCAL,
	CKA_KEY_GEN_MECHANISM,
	CKA_ALLOWED_MECHANISMS,
	CKA_SENSITIVE,
	CKA_ALWAYS_SENSITIVE,
	CKA_EXTRACTABLE,
	CKA_NEVER_EXTRACTABLE,
	CKA_ENCRYPT,
	CKA_DECRYPT,
	CKA_SIGN,
	CKA_VERIFY,
	CKA_WRAP,
	CKA_UNWRAP,
	CKA_TRUSTED,
	CKA_WRAP_WITH_TRUSTED,
	CKA_WRAP_TEMPLATE,
	CKA_UNWRAP_TEMPLATE,
	CKA_VALUE_LEN,
	CKA_UNIQUE_ID,
};

static void every_kind_of_key_has_what_programs_ask_for(void **state)
{
	static const enum object_kind keys[] = {OBJECT_ROOT_KEY, OBJECT_ZONE, OBJECT_KEY};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(asked); i++)
		for (size_t j = 0; j < COUNT_OF(keys); j++)
			assert_true(attribute_of_kind(attribute_find(asked[i]), keys[j]));
}

static void reading_goes_on_after_what_can_not_be_read(void **state)
{
	AUTO(object_releasep) struct object *object = key(OBJECT_SENSITIVE | OBJECT_EXTRACTABLE);
	CK_BYTE label[8], value[32], small[1], flag;
	CK_ULONG len;
	CK_ATTRIBUTE rows[] = {{CKA_VALUE, value, sizeof(value)},
			       {CKA_MODULUS, value, sizeof(value)},
			       {CKA_ID, small, sizeof(small)},
			       {CKA_LABEL, label, sizeof(label)},
			       {CKA_ENCRYPT, &flag, sizeof(flag)},
			       {CKA_VALUE_LEN, &len, sizeof(len)},
			       {CKA_KEY_TYPE, NULL, 0}};

	(void)state;
	assert_int_equal(attributes_get(NULL, object, rows, COUNT_OF(rows)),
			 CKR_ATTRIBUTE_SENSITIVE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rows[i].ulValueLen, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(rows[3].ulValueLen, 3);
	assert_memory_equal(label, "dek", 3);
	assert_int_equal(flag, CK_TRUE);
	assert_int_equal(len, 32);
	assert_int_equal(rows[6].ulValueLen, sizeof(CK_KEY_TYPE));
	assert_int_equal(attributes_get(NULL, object, rows + 1, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	rows[2].ulValueLen = 1;
	assert_int_equal(attributes_get(NULL, object, rows + 2, 1), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(attributes_get(NULL, object, NULL, 0), CKR_OK);
	assert_int_equal(attributes_get(NULL, object, NULL, 1), CKR_ARGUMENTS_BAD);
}

static CK_RV read_value(struct object *object, CK_BYTE *value)
{
	CK_ATTRIBUTE row = {CKA_VALUE, value, 32};

	return attributes_get(NULL, object, &row, 1);
}

static void a_value_leaves_only_if_nothing_forbids_it(void **state)
{
	AUTO(object_releasep) struct object *object = key(OBJECT_EXTRACTABLE);
	const struct object unopened_model = {
		.kind = OBJECT_KEY, .value_len = 32, .flags = OBJECT_EXTRACTABLE | OBJECT_TOKEN};
	AUTO(object_releasep) struct object *unopened = object_new(&unopened_model);
	struct object root = root_key(), of_zone = zone();
	CK_BYTE value[32];

	(void)state;
	assert_int_equal(read_value(object, value), CKR_OK);
	assert_memory_equal(value, secret, 32);
	object->flags = OBJECT_EXTRACTABLE | OBJECT_SENSITIVE;
	assert_int_equal(read_value(object, value), CKR_ATTRIBUTE_SENSITIVE);
	object->flags = 0;
	assert_int_equal(read_value(object, value), CKR_ATTRIBUTE_SENSITIVE);
	/* A token key that nobody has used yet has a length all the same. */
	assert_int_equal(read_value(unopened, NULL), CKR_OK);
	assert_int_equal(read_value(&root, value), CKR_ATTRIBUTE_SENSITIVE);
	assert_int_equal(read_value(&of_zone, value), CKR_ATTRIBUTE_SENSITIVE);
}

static void outputs_may_be_misaligned(void **state)
{
	AUTO(object_releasep) struct object *object = key(0);
	CK_BYTE room[sizeof(CK_ULONG) + 1];
	CK_ATTRIBUTE row = {CKA_VALUE_LEN, room + 1, sizeof(CK_ULONG)};
	CK_ULONG len;

	(void)state;
	assert_int_equal(attributes_get(NULL, object, &row, 1), CKR_OK);
	memcpy(&len, room + 1, sizeof(len));
	assert_int_equal(len, 32);
}

static CK_ULONG number(struct object *object, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG value = 0;
	CK_ATTRIBUTE row = {type, &value, sizeof(value)};

	assert_int_equal(attributes_get(NULL, object, &row, 1), CKR_OK);
	return value;
}

static void assert_text(struct object *object, CK_ATTRIBUTE_TYPE type, const char *expected)
{
	CK_BYTE text[64];
	CK_ATTRIBUTE row = {type, text, sizeof(text)};

	assert_int_equal(attributes_get(NULL, object, &row, 1), CKR_OK);
	assert_bytes(bytes(text, row.ulValueLen), bytes_of(expected));
}

static void root_keys_and_zones_tell_what_they_are(void **state)
{
	struct object root = root_key(), of_zone = zone();
	CK_BYTE id[8];
	CK_ATTRIBUTE row = {CKA_CMEK_ZONE, id, sizeof(id)};

	(void)state;
	assert_int_equal(number(&root, CKA_CLASS), CKO_SECRET_KEY);
	assert_int_equal(number(&root, CKA_CMEK_STATE), CMEK_STATE_UNKNOWN);
	assert_text(&root, CKA_CMEK_ROOT_KEY, "arn:local:x");
	assert_text(&root, CKA_CMEK_PROVIDER, "local");
	assert_int_equal(number(&of_zone, CKA_CMEK_VERSION), 3);
	assert_int_equal(number(&of_zone, CKA_CMEK_RAW_VERSION), 2);
	assert_int_equal(number(&of_zone, CKA_CMEK_MIN_VERSION), 1);
	assert_int_equal(number(&of_zone, CKA_CMEK_STATE), CMEK_STATE_PENDING_DELETION);
	assert_int_equal(attributes_get(NULL, &of_zone, &row, 1), CKR_OK);
	assert_memory_equal(id, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(attributes_get(NULL, &root, &row, 1), CKR_ATTRIBUTE_TYPE_INVALID);
}

static void an_object_matches_by_what_can_be_read(void **state)
{
	AUTO(object_releasep) struct object *open = key(OBJECT_EXTRACTABLE);
	AUTO(object_releasep) struct object *closed = key(OBJECT_SENSITIVE);
	const struct attribute_source sources[] = {{NULL, open}, {NULL, closed}};
	CK_ATTRIBUTE value = {CKA_VALUE, secret, 32}, label = {CKA_LABEL, secret, 3},
		     unknown = {CKA_MODULUS, secret, 3};
	AUTO(buffer_clear) struct buffer scratch = {0};
	CK_BYTE dek[] = "dek";

	(void)state;
	assert_true(attribute_matches(&sources[0], &value, &scratch));
	assert_false(attribute_matches(&sources[1], &value, &scratch));
	assert_false(attribute_matches(&sources[0], &label, &scratch));
	label.pValue = dek;
	assert_true(attribute_matches(&sources[0], &label, &scratch));
	assert_false(attribute_matches(&sources[0], &unknown, &scratch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_attribute_stands_twice),
		cmocka_unit_test(every_row_can_be_read_and_those_in_templates_have_a_place),
		cmocka_unit_test(every_kind_of_key_has_what_programs_ask_for),
		cmocka_unit_test(reading_goes_on_after_what_can_not_be_read),
		cmocka_unit_test(a_value_leaves_only_if_nothing_forbids_it),
		cmocka_unit_test(outputs_may_be_misaligned),
		cmocka_unit_test(root_keys_and_zones_tell_what_they_are),
		cmocka_unit_test(an_object_matches_by_what_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
