/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What programs read of keys: every key answers all of it, in one call. */
#include "rules.h"

#include <stdio.h>

/* What consumers ask of secret keys. */
static const CK_ATTRIBUTE_TYPE everything[] = {
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
#define EVERYTHING_COUNT (sizeof(everything) / sizeof(*everything))

static void answers_everything(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	static CK_BYTE values[EVERYTHING_COUNT][256];
	CK_ATTRIBUTE rows[EVERYTHING_COUNT];

	for (size_t i = 0; i < EVERYTHING_COUNT; i++)
		rows[i] = (CK_ATTRIBUTE){everything[i], values[i], sizeof(values[i])};
	check(p11->C_GetAttributeValue(session, key, rows, EVERYTHING_COUNT));
	assert_int_equal(attribute_number(session, key, CKA_CLASS), CKO_SECRET_KEY);
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 32);
	assert_in_range(attribute_bytes(session, key, CKA_ID, values[0], 256), 0, 32);
	assert_in_range(attribute_bytes(session, key, CKA_UNIQUE_ID, values[0], 256), 1, 64);
}

static struct template *token_key(void)
{
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);

	return with_number(t, CKA_VALUE_LEN, 32);
}

static void every_key_answers_everything(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), back;
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	answers_everything(session, zone);
	answers_everything(session, default_root_key(session));
	answers_everything(session, known_key(session));
	answers_everything(session, key_generate(session, token_key()));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, known_key(session), wrapped,
		      &len));
	check(unwrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, wrapped, len, &back));
	answers_everything(session, back);
}

static void is_locked_up(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_BYTE value[64];
	CK_ATTRIBUTE row = {CKA_VALUE, value, sizeof(value)};
	CK_OBJECT_HANDLE copy;

	assert_true(attribute_bool(session, key, CKA_SENSITIVE));
	assert_true(attribute_bool(session, key, CKA_ALWAYS_SENSITIVE));
	assert_false(attribute_bool(session, key, CKA_EXTRACTABLE));
	assert_true(attribute_bool(session, key, CKA_NEVER_EXTRACTABLE));
	assert_false(attribute_bool(session, key, CKA_COPYABLE));
	assert_false(attribute_bool(session, key, CKA_DERIVE));
	assert_true(attribute_bool(session, key, CKA_TOKEN));
	answers(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, key, &row, 1));
	answers(CKR_ACTION_PROHIBITED, p11->C_CopyObject(session, key, NULL, 0, &copy));
}

static void zones_and_root_keys_are_locked_up(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	is_locked_up(session, some_zone(session));
	is_locked_up(session, default_root_key(session));
}

/* pkcs11-tool says CKA_SENSITIVE=FALSE unless told otherwise. */
static void a_zone_is_sensitive_even_if_its_template_says_otherwise(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(token_key(), CKA_SENSITIVE, false);

	with_text(t, CKA_LABEL, "not sensitive");
	is_locked_up(session, key_generate(session, with_bool(t, CKA_EXTRACTABLE, false)));
}

static void a_zone_is_not_unlocked_later(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	static const CK_ATTRIBUTE_TYPE types[] = {CKA_EXTRACTABLE, CKA_COPYABLE, CKA_DERIVE};
	struct template *t = with_bool(template_new(), CKA_SENSITIVE, false);

	fails(p11->C_SetAttributeValue(session, zone, t->rows, 1));
	for (int i = 0; i < 3; i++) {
		t = with_bool(template_new(), types[i], true);
		fails(p11->C_SetAttributeValue(session, zone, t->rows, 1));
	}
	is_locked_up(session, zone);
}

static void a_zone_tells_where_it_belongs(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_generate(session, "belongs");
	CK_OBJECT_HANDLE root = default_root_key(session);
	CK_BYTE id[32], zone_id[8], arn[2][256], label[64];
	CK_ULONG len;

	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_ZONE, zone_id, 8), 8);
	len = attribute_bytes(session, zone, CKA_ID, id, sizeof(id));
	assert_int_equal(len, 8);
	assert_memory_equal(id, zone_id, 8);
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_VERSION), 1);
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_RAW_VERSION), 1);
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_STATE), CMEK_STATE_ACTIVE);
	len = attribute_bytes(session, zone, CKA_CMEK_ROOT_KEY, arn[0], 256);
	assert_int_equal(attribute_bytes(session, root, CKA_CMEK_ROOT_KEY, arn[1], 256), len);
	assert_memory_equal(arn[0], arn[1], len);
	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_CLUSTER, label, 64), 7);
	assert_memory_equal(label, "default", 7);
	len = attribute_bytes(session, zone, CKA_LABEL, label, sizeof(label));
	assert_int_equal(len, strlen("belongs"));
	assert_memory_equal(label, "belongs", len);
}

static void a_zone_without_a_label_is_called_by_its_id(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(token_key(), CKA_EXTRACTABLE, false);
	CK_OBJECT_HANDLE zone = key_generate(session, t);
	unsigned long long number = 0;
	char label[64] = "", expected[64];
	CK_BYTE id[8];

	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8), 8);
	for (int i = 0; i < 8; i++)
		number = number << 8 | id[i];
	assert_true(number < 1ULL << 63);
	snprintf(expected, sizeof(expected), "zone-%llu", number);
	attribute_bytes(session, zone, CKA_LABEL, label, sizeof(label) - 1);
	assert_string_equal(label, expected);
}

static void the_record_of_a_zone_is_readable(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_BYTE record[8192];
	CK_ULONG len = attribute_bytes(session, zone, CKA_CMEK_ENCRYPTED_KEY, record, 8192);

	assert_in_range(len, 100, 8192);
	assert_memory_equal(record, "CEZK\1", 5);
	assert_int_equal(record[6] << 8 | record[7], len);
}

static void a_session_key_belongs_to_no_zone_until_it_is_wrapped(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), zone = some_zone(session);
	CK_BYTE of_key[8], of_zone[8], wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 0);
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, key, wrapped, &len));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	attribute_bytes(session, zone, CKA_CMEK_ZONE, of_zone, 8);
	assert_memory_equal(of_key, of_zone, 8);
}

static void whether_a_key_leaves_depends_on_where_it_lives(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 16);

	assert_true(attribute_bool(session, key_generate(session, t), CKA_EXTRACTABLE));
	with_bool(t, CKA_TOKEN, true);
	assert_false(attribute_bool(session, key_generate(session, t), CKA_EXTRACTABLE));
}

static void the_unique_ids_differ(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[3] = {some_zone(session), known_key(session), known_key(session)};
	CK_BYTE ids[3][64];
	CK_ULONG len = 0;

	for (int i = 0; i < 3; i++)
		len = attribute_bytes(session, keys[i], CKA_UNIQUE_ID, ids[i], 64);
	assert_memory_not_equal(ids[0], ids[1], len);
	assert_memory_not_equal(ids[1], ids[2], len);
	assert_int_equal(object_find(session, with(template_new(), CKA_UNIQUE_ID, ids[0], len)),
			 keys[0]);
}

static void an_id_has_at_most_32_bytes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_BYTE id[33] = {1};
	CK_OBJECT_HANDLE key;

	key_generate(session, with(t, CKA_ID, id, 32));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN),
				   with(t, CKA_ID, id, 33)->rows, t->count, &key));
}

static void the_usages_that_a_template_names_are_the_only_ones(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_ENCRYPT, true));

	assert_true(attribute_bool(session, key, CKA_ENCRYPT));
	assert_false(attribute_bool(session, key, CKA_DECRYPT));
	assert_false(attribute_bool(session, key, CKA_WRAP));
	assert_false(attribute_bool(session, key, CKA_UNWRAP));
}

/* Providers and NSS say so on AES keys. */
static void usages_that_mean_nothing_on_aes_keys_are_accepted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	with_bool(t, CKA_SIGN, true);
	with_bool(t, CKA_VERIFY, true);
	key_generate(session, with_bool(t, CKA_DERIVE, true));
}

static bool has_type(const CK_MECHANISM_TYPE *types, CK_ULONG len, CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < len / sizeof(type); i++)
		if (types[i] == type)
			return true;
	return false;
}

static void an_empty_list_of_mechanisms_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	with(t, CKA_ALLOWED_MECHANISMS, NULL, 0);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
}

static void a_key_that_was_never_restricted_tells_what_it_can_do(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session);
	CK_OBJECT_HANDLE secret = key_import(session, CKK_GENERIC_SECRET, known_value, 32);
	CK_MECHANISM_TYPE types[64];
	CK_ULONG len = attribute_bytes(session, key, CKA_ALLOWED_MECHANISMS, types, sizeof(types));

	for (size_t i = 0; i < crypt_count; i++)
		assert_true(has_type(types, len, crypt_mechanisms[i]));
	assert_true(has_type(types, len, CKM_HKDF_DERIVE));
	assert_false(has_type(types, len, CKM_CMEK_DEK_WRAP));
	assert_false(has_type(types, len, CKM_CMEK_KMS));
	len = attribute_bytes(session, zone, CKA_ALLOWED_MECHANISMS, types, sizeof(types));
	for (size_t i = 0; i < wrap_count; i++)
		assert_true(has_type(types, len, wrap_mechanisms[i]));
	assert_false(has_type(types, len, CKM_HKDF_DERIVE));
	len = attribute_bytes(session, secret, CKA_ALLOWED_MECHANISMS, types, sizeof(types));
	assert_int_equal(len, sizeof(*types));
	assert_true(has_type(types, len, CKM_HKDF_DERIVE));
	len = attribute_bytes(session, default_root_key(session), CKA_ALLOWED_MECHANISMS, types,
			      sizeof(types));
	assert_int_equal(len, sizeof(*types));
	assert_true(has_type(types, len, CKM_CMEK_KMS));
}

static void the_mechanisms_of_a_key_can_be_given_to_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), other;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_MECHANISM_TYPE types[64], again[64];
	CK_ULONG len = attribute_bytes(session, key, CKA_ALLOWED_MECHANISMS, types, sizeof(types));

	other = key_generate(session, with(t, CKA_ALLOWED_MECHANISMS, types, len));
	assert_int_equal(
		attribute_bytes(session, other, CKA_ALLOWED_MECHANISMS, again, sizeof(again)), len);
	assert_memory_equal(types, again, len);
	for (size_t i = 0; i < crypt_count; i++)
		check(p11->C_EncryptInit(session_new(), fitting(crypt_mechanisms[i]), other));
}

static void a_search_finds_by_the_mechanisms_that_are_told(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE types[64];
	CK_OBJECT_HANDLE key = known_key(session);
	CK_ULONG len = attribute_bytes(session, key, CKA_ALLOWED_MECHANISMS, types, sizeof(types));
	struct template *t = with(template_new(), CKA_ALLOWED_MECHANISMS, types, len);

	assert_int_equal(object_find(session, with_bool(t, CKA_TOKEN, false)), key);
	assert_int_equal(
		objects_count(session, with(template_new(), CKA_ALLOWED_MECHANISMS, NULL, 0)), 0);
}

/* Some other module's, perhaps; it is told again, and allows nothing. */
static void a_mechanism_that_is_not_known_is_kept_in_the_list(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	const CK_MECHANISM_TYPE list[] = {0x8ABCDEF0UL, CKM_AES_GCM};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_MECHANISM_TYPE told[4];
	CK_OBJECT_HANDLE key;

	key = key_generate(session, with(t, CKA_ALLOWED_MECHANISMS, list, sizeof(list)));
	assert_int_equal(attribute_bytes(session, key, CKA_ALLOWED_MECHANISMS, told, sizeof(told)),
			 sizeof(list));
	assert_memory_equal(told, list, sizeof(list));
	answers(CKR_MECHANISM_INVALID, p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
}

static void a_root_key_keeps_to_the_mechanisms_it_was_given(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	const CK_MECHANISM_TYPE list[] = {CKM_AES_GCM};

	for (int token = 0; token < 2; token++) {
		struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
		CK_OBJECT_HANDLE key;

		with_text(t, CKA_CMEK_KMS_KEY, token ? "local:limited" : "local:limited-too");
		with(with_bool(t, CKA_TOKEN, token), CKA_ALLOWED_MECHANISMS, list, sizeof(list));
		if (token)
			with_bool(t, CKA_CMEK_CREATE, true);
		check(p11->C_CreateObject(session, t->rows, t->count, &key));
		answers(CKR_MECHANISM_INVALID,
			p11->C_EncryptInit(session, mechanism(CKM_CMEK_KMS), key));
		answers(CKR_KEY_TYPE_INCONSISTENT,
			p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
	}
}

int rules_attributes(void)
{
	const struct CMUnitTest tests[] = {
		in_session(every_key_answers_everything),
		in_session(zones_and_root_keys_are_locked_up),
		in_session(a_zone_is_sensitive_even_if_its_template_says_otherwise),
		in_session(a_zone_is_not_unlocked_later),
		in_session(a_zone_tells_where_it_belongs),
		in_session(a_zone_without_a_label_is_called_by_its_id),
		in_session(the_record_of_a_zone_is_readable),
		in_session(a_session_key_belongs_to_no_zone_until_it_is_wrapped),
		in_session(whether_a_key_leaves_depends_on_where_it_lives),
		in_session(the_unique_ids_differ),
		in_session(an_id_has_at_most_32_bytes),
		in_session(the_usages_that_a_template_names_are_the_only_ones),
		in_session(usages_that_mean_nothing_on_aes_keys_are_accepted),
		in_session(an_empty_list_of_mechanisms_is_refused),
		in_session(a_key_that_was_never_restricted_tells_what_it_can_do),
		in_session(the_mechanisms_of_a_key_can_be_given_to_another),
		in_session(a_search_finds_by_the_mechanisms_that_are_told),
		in_session(a_mechanism_that_is_not_known_is_kept_in_the_list),
		in_session(a_root_key_keeps_to_the_mechanisms_it_was_given),
	};

	return run_group("attributes", tests, token_setup, token_teardown);
}
