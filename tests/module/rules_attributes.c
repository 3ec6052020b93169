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

static CK_RV ask_check_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE value[3])
{
	CK_ATTRIBUTE row = {CKA_CHECK_VALUE, value, 3};
	CK_RV rv = p11->C_GetAttributeValue(session, key, &row, 1);

	if (rv == CKR_OK)
		assert_int_equal(row.ulValueLen, 3);
	return rv;
}

/* Of SP 800-38A's key; sensitive or not, in a session or on the token. */
static void an_aes_key_tells_its_check_value_when_asked(void **state)
{
	static const CK_BYTE nist[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
					 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE value[3], block[16] = {0};
	CK_ATTRIBUTE row = {CKA_CHECK_VALUE, NULL, 0};
	CK_OBJECT_HANDLE keys[2] = {
		key_import(session, CKK_AES, nist, sizeof(nist)),
		key_generate(session, with_bool(token_key(), CKA_SENSITIVE, true))};
	struct template *t = with(template_new(), CKA_CHECK_VALUE, "\x7d\xf7\x6b", 3);

	check(ask_check_value(session, keys[0], value));
	assert_memory_equal(value, "\x7d\xf7\x6b", 3);
	assert_int_equal(objects_count(session, t), 0); /* a search opens nothing */
	assert_true(attribute_bool(session, keys[1], CKA_SENSITIVE));
	check(ask_check_value(session, keys[1], value));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), keys[1]));
	check(p11->C_Encrypt(session, block, 16, block, &(CK_ULONG){16}));
	assert_memory_equal(value, block, 3);
	check(p11->C_GetAttributeValue(session, keys[0], &row, 1));
	assert_int_equal(row.ulValueLen, 3);
	row = (CK_ATTRIBUTE){CKA_CHECK_VALUE, value, 2};
	answers(CKR_BUFFER_TOO_SMALL, p11->C_GetAttributeValue(session, keys[0], &row, 1));
}

static void no_other_key_has_a_check_value(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[3] = {some_zone(session), default_root_key(session),
				    key_import(session, CKK_GENERIC_SECRET, known_value, 32)};
	struct template *t = with(aes_template(), CKA_VALUE, known_value, 32);
	CK_BYTE value[3] = {0};

	for (int i = 0; i < 3; i++)
		answers(CKR_ATTRIBUTE_TYPE_INVALID, ask_check_value(session, keys[i], value));
	with(t, CKA_CHECK_VALUE, value, 3);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_CreateObject(session, t->rows, t->count, &keys[0]));
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

/* The text of a UUID has 36 bytes, and libp11 gives room for 255. */
static void an_id_has_at_most_255_bytes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	struct template *t = with_number(token_key(), CKA_VALUE_LEN, 32);
	CK_BYTE id[256] = {1}, found[256];

	memset(id + 1, 0xab, 254);
	key = key_generate(session, with(t, CKA_ID, id, 255));
	assert_int_equal(attribute_bytes(session, key, CKA_ID, found, sizeof(found)), 255);
	assert_memory_equal(found, id, 255);
	assert_int_equal(object_find(session, with(template_new(), CKA_ID, id, 255)), key);
	check(p11->C_SetAttributeValue(session, zone,
				       with(template_new(), CKA_ID, id + 1, 254)->rows, 1));
	assert_int_equal(object_find(session, with(template_new(), CKA_ID, id + 1, 254)), zone);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_SetAttributeValue(session, key, with(template_new(), CKA_ID, id, 256)->rows,
					 1));
}

static void a_nul_at_the_end_of_a_label_is_no_part_of_it(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32), *twice;
	CK_OBJECT_HANDLE key = key_generate(session, with(t, CKA_LABEL, "counted", 8));
	CK_BYTE label[16];
	CK_OBJECT_HANDLE none;

	assert_int_equal(attribute_bytes(session, key, CKA_LABEL, label, sizeof(label)), 7);
	assert_int_equal(object_find(session, with(template_new(), CKA_LABEL, "counted", 8)), key);
	assert_int_equal(object_find(session, with(template_new(), CKA_LABEL, "counted", 7)), key);
	twice = with(template_new(), CKA_LABEL, "counted\0", 9);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_SetAttributeValue(session, key, twice->rows, twice->count));
	with_number(twice, CKA_VALUE_LEN, 32);
	answers(CKR_ATTRIBUTE_VALUE_INVALID, p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN),
								twice->rows, twice->count, &none));
}

static void what_an_object_is_is_looked_at_first(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_MODULUS_BITS, 2048);
	CK_OBJECT_HANDLE none;

	with_number(t, CKA_CLASS, CKO_PRIVATE_KEY);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_CreateObject(session, t->rows, t->count, &none));
	t = with_number(with_number(template_new(), CKA_PRIME_BITS, 8), CKA_CLASS, CKO_SECRET_KEY);
	with_number(t, CKA_KEY_TYPE, CKK_RC4);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_CreateObject(session, t->rows, t->count, &none));
	t = with_number(with_number(template_new(), CKA_PRIME_BITS, 8), CKA_CLASS, CKO_SECRET_KEY);
	with_number(t, CKA_KEY_TYPE, CKK_AES);
	answers(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_CreateObject(session, t->rows, t->count, &none));
}

/* --- Dates */

static struct template *days(const char *start, const char *end)
{
	struct template *t = with(template_new(), CKA_START_DATE, start, strlen(start));

	return with(t, CKA_END_DATE, end, strlen(end));
}

static CK_RV set_days(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const char *start,
		      const char *end)
{
	struct template *t = days(start, end);

	return p11->C_SetAttributeValue(session, key, t->rows, t->count);
}

static CK_RV uses(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_BYTE block[16] = {0};
	CK_RV rv = p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key);

	return rv != CKR_OK ? rv : p11->C_Encrypt(session, block, 16, block, &(CK_ULONG){16});
}

static void a_key_is_used_on_its_days_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE keys[] = {known_key(session), some_zone(session),
				   key_generate(session, token_key())};
	CK_BYTE wrapped[64];

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		check(set_days(session, keys[i], "20200101", "20991231"));
		check(uses(session, keys[i]));
		check(set_days(session, keys[i], "", "20200101"));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, uses(session, keys[i]));
		check(set_days(session, keys[i], "20980101", ""));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, uses(session, keys[i]));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
			wrap_by(session, mechanism(CKM_AES_KEY_WRAP), keys[i], known_key(session),
				wrapped, &(CK_ULONG){sizeof(wrapped)}));
		check(set_days(session, keys[i], "", ""));
		check(uses(session, keys[i]));
	}
}

static void a_date_is_a_day_and_the_last_is_not_before_the_first(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	static const char *const wrong[] = {"20260230", "20261301", "20260001", "2026010 ",
					    "20260100"};
	CK_OBJECT_HANDLE key = known_key(session);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID, set_days(session, key, wrong[i], ""));
	answers(CKR_TEMPLATE_INCONSISTENT, set_days(session, key, "20260102", "20260101"));
	check(set_days(session, key, "20240229", "20990101"));
	check(uses(session, key));
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
	assert_true(has_type(types, len, CKM_AES_CMAC));
	assert_false(has_type(types, len, CKM_SHA256_HMAC));
	assert_false(has_type(types, len, CKM_CMEK_DEK_WRAP));
	assert_false(has_type(types, len, CKM_CMEK_KMS));
	len = attribute_bytes(session, zone, CKA_ALLOWED_MECHANISMS, types, sizeof(types));
	for (size_t i = 0; i < wrap_count; i++)
		assert_true(has_type(types, len, wrap_mechanisms[i]));
	assert_false(has_type(types, len, CKM_HKDF_DERIVE));
	len = attribute_bytes(session, secret, CKA_ALLOWED_MECHANISMS, types, sizeof(types));
	assert_true(has_type(types, len, CKM_HKDF_DERIVE));
	assert_true(has_type(types, len, CKM_SHA256_HMAC));
	assert_false(has_type(types, len, CKM_AES_CMAC));
	assert_false(has_type(types, len, CKM_AES_ECB));
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
		in_session(an_aes_key_tells_its_check_value_when_asked),
		in_session(no_other_key_has_a_check_value),
		in_session(whether_a_key_leaves_depends_on_where_it_lives),
		in_session(the_unique_ids_differ),
		in_session(an_id_has_at_most_255_bytes),
		in_session(a_nul_at_the_end_of_a_label_is_no_part_of_it),
		in_session(what_an_object_is_is_looked_at_first),
		in_session(a_key_is_used_on_its_days_alone),
		in_session(a_date_is_a_day_and_the_last_is_not_before_the_first),
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
