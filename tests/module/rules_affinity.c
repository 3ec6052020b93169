/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A data key stays in its zone: what the first wrap or unwrap stamps on it. */
#include "rules.h"

static const struct {
	const char *name;
	CK_MECHANISM_TYPE type;
} ways[] = {{"KW", CKM_AES_KEY_WRAP}, {"PAD", CKM_AES_KEY_WRAP_PAD}, {"KWP", CKM_AES_KEY_WRAP_KWP},
	    {"CBC", CKM_AES_CBC_PAD}, {"GCM", CKM_AES_GCM},	     {"DEK", CKM_CMEK_DEK_WRAP}};
#define WAY_COUNT (sizeof(ways) / sizeof(*ways))

static CK_RV try_wrap(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE zone,
		      CK_OBJECT_HANDLE key)
{
	CK_BYTE wrapped[256];

	return wrap_by(session, fitting(type), zone, key, wrapped, &(CK_ULONG){sizeof(wrapped)});
}

static void a_key_wrapped_by_one_zone_is_not_wrapped_by_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);

	for (size_t i = 0; i < WAY_COUNT; i++) {
		CK_OBJECT_HANDLE key = known_key(session);

		check(try_wrap(session, ways[i].type, one, key));
		for (size_t j = 0; j < WAY_COUNT; j++)
			answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, ways[j].type, two, key));
		check(try_wrap(session, ways[i].type, one, key));
	}
}

static void a_key_unwrapped_by_one_zone_is_not_wrapped_by_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session), key;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), one, known_key(session), wrapped,
		      &len));
	check(unwrap_by(session, mechanism(CKM_AES_KEY_WRAP), one, wrapped, len, &key));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, key));
	assert_int_equal(last_error(session), CMEK_ERROR_OTHER_ZONE);
	check(try_wrap(session, CKM_AES_KEY_WRAP, one, key));
}

static void a_key_wrapped_by_one_zone_is_not_unwrapped_by_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE known = known_key(session), key;

	for (size_t i = 0; i < WAY_COUNT; i++) {
		CK_BYTE wrapped[256];
		CK_ULONG len = sizeof(wrapped);

		check(wrap_by(session, fitting(ways[i].type), one, known_key(session), wrapped,
			      &len));
		/* CBC with padding takes a wrong key for a right one once in 256. */
		if (unwrap_by(session, fitting(ways[i].type), two, wrapped, len, &key) != CKR_OK)
			continue;
		assert_int_equal(ways[i].type, CKM_AES_CBC_PAD);
		assert_false(same_key(session, key, known));
	}
}

static void a_wrapped_key_names_the_zone_it_belongs_to(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session), key;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), one, known_key(session), wrapped,
		      &len));
	fails_for(CMEK_ERROR_OTHER_ZONE, session,
		  unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), two, wrapped, len, &key));
}

static void a_copy_shares_the_zone_of_its_original(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE key = known_key(session), before, after;

	check(p11->C_CopyObject(session, key, NULL, 0, &before));
	check(try_wrap(session, CKM_AES_KEY_WRAP, one, key));
	check(p11->C_CopyObject(session, key, NULL, 0, &after));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, after));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, before));
}

static CK_OBJECT_HANDLE derived(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE base)
{
	CK_BYTE info[] = "info";
	CK_HKDF_PARAMS params = {.bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA256,
				 .ulSaltType = CKF_HKDF_SALT_NULL,
				 .pInfo = info,
				 .ulInfoLen = 4};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
			       base, t->rows, t->count, &key));
	return key;
}

static void a_derived_key_shares_the_zone_of_its_base(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE base = key_import(session, CKK_GENERIC_SECRET, known_value, 32);
	CK_OBJECT_HANDLE before = derived(session, base);

	check(try_wrap(session, CKM_AES_KEY_WRAP, one, base));
	answers(CKR_KEY_NOT_WRAPPABLE,
		try_wrap(session, CKM_AES_KEY_WRAP, two, derived(session, base)));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, before));
}

static void a_zone_derives_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_HKDF_PARAMS params = {.bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA256,
				 .ulSaltType = CKF_HKDF_SALT_NULL};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	fails(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
			       some_zone(session), t->rows, t->count, &key));
	fails(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
			       default_root_key(session), t->rows, t->count, &key));
}

static void keys_that_wrap_keys_are_of_one_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE of_one = known_key(session), of_two = known_key(session);
	CK_OBJECT_HANDLE fresh = known_key(session);

	check(try_wrap(session, CKM_AES_KEY_WRAP, one, of_one));
	check(try_wrap(session, CKM_AES_KEY_WRAP, two, of_two));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, of_one, of_two));
	check(try_wrap(session, CKM_AES_KEY_WRAP, of_one, fresh));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, fresh));
	check(try_wrap(session, CKM_AES_KEY_WRAP, one, fresh));
}

static void a_token_key_stays_in_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session), key;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_BYTE id[8];

	attribute_bytes(session, one, CKA_CMEK_ZONE, id, 8);
	with_number(t, CKA_VALUE_LEN, 32);
	key = key_generate(session, with(t, CKA_CMEK_ZONE, id, 8));
	answers(CKR_KEY_NOT_WRAPPABLE, try_wrap(session, CKM_AES_KEY_WRAP, two, key));
	check(try_wrap(session, CKM_AES_KEY_WRAP, one, key));
}

static void a_key_unwrapped_into_the_token_stays_in_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_BYTE wrapped[128], of_key[8], of_zone[8];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, known_key(session), wrapped,
		      &len));
	check(p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), zone, wrapped, len, t->rows,
			       t->count, &key));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	attribute_bytes(session, zone, CKA_CMEK_ZONE, of_zone, 8);
	assert_memory_equal(of_key, of_zone, 8);
}

int rules_affinity(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_key_wrapped_by_one_zone_is_not_wrapped_by_another),
		in_session(a_key_unwrapped_by_one_zone_is_not_wrapped_by_another),
		in_session(a_key_wrapped_by_one_zone_is_not_unwrapped_by_another),
		in_session(a_wrapped_key_names_the_zone_it_belongs_to),
		in_session(a_copy_shares_the_zone_of_its_original),
		in_session(a_derived_key_shares_the_zone_of_its_base),
		in_session(a_zone_derives_nothing),
		in_session(keys_that_wrap_keys_are_of_one_zone),
		in_session(a_token_key_stays_in_its_zone),
		in_session(a_key_unwrapped_into_the_token_stays_in_its_zone),
	};

	return run_group("affinity", tests, token_setup, token_teardown);
}
