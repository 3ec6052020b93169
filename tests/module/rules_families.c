/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys belong together before a zone is known: by wrapping, as a salt, by what a template
 * names. What a zone stamps is in rules_affinity.c. */
#include "rules.h"

static CK_RV wraps(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key)
{
	return wrap_by(session, mechanism(CKM_AES_KEY_WRAP), by, key, (CK_BYTE[128]){0},
		       &(CK_ULONG){128});
}

static CK_OBJECT_HANDLE copy_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_OBJECT_HANDLE copy;

	check(p11->C_CopyObject(session, key, NULL, 0, &copy));
	return copy;
}

/* HKDF with a salt that is a key. */
static CK_RV salted(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE base, CK_OBJECT_HANDLE salt,
		    CK_OBJECT_HANDLE *ret_key)
{
	CK_HKDF_PARAMS params = {.bExtract = CK_TRUE,
				 .bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA256,
				 .ulSaltType = CKF_HKDF_SALT_KEY,
				 .hSaltKey = salt};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	return p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
				base, t->rows, t->count, ret_key);
}

static CK_OBJECT_HANDLE deriving_key(CK_SESSION_HANDLE session, CK_ATTRIBUTE_TYPE but)
{
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	with_bool(t, CKA_DERIVE, but != CKA_DERIVE);
	return key_generate(session, t);
}

static void is_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE zone)
{
	CK_BYTE of_key[8], of_zone[8];

	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_ZONE, of_zone, 8), 8);
	assert_memory_equal(of_key, of_zone, 8);
}

static void is_free(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_BYTE id[8];

	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, id, 8), 0);
}

/* --- Wrapping */

static void a_key_wrapped_by_a_key_goes_where_that_goes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE by = known_key(session), key = known_key(session);

	check(wraps(session, by, key));
	is_free(session, by);
	check(wraps(session, one, by));
	is_of(session, key, one);
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, key));
}

static void a_key_that_wrapped_a_key_goes_where_that_goes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE by = known_key(session), key = known_key(session);

	check(wraps(session, by, key));
	check(wraps(session, one, key));
	is_of(session, by, one);
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, by));
}

static void families_that_wrap_each_other_are_one(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE base = deriving_key(session, 0), key = known_key(session);
	CK_OBJECT_HANDLE kin[4];

	kin[0] = copy_of(session, base);
	check(salted(session, base, base, &kin[1]));
	kin[2] = copy_of(session, key);
	check(wraps(session, kin[0], kin[2]));
	kin[3] = copy_of(session, key); /* of one that has joined */
	check(wraps(session, one, kin[1]));
	for (int i = 0; i < 4; i++) {
		is_of(session, kin[i], one);
		answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, kin[i]));
	}
}

static void a_chain_of_wraps_is_one_family(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), keys[24];

	for (int i = 0; i < 24; i++)
		keys[i] = known_key(session);
	/* From both ends, so that the middle joins two that are large already. */
	for (int i = 0; i < 11; i++)
		check(wraps(session, keys[i], keys[i + 1]));
	for (int i = 22; i > 11; i--)
		check(wraps(session, keys[i], keys[i + 1]));
	check(wraps(session, keys[12], keys[11]));
	check(p11->C_DestroyObject(session, keys[12]));
	check(wraps(session, one, keys[23]));
	for (int i = 0; i < 24; i++)
		if (i != 12)
			is_of(session, keys[i], one);
}

static void a_key_without_a_zone_takes_that_of_what_it_wraps(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE by = known_key(session), before = copy_of(session, by);
	CK_OBJECT_HANDLE key = known_key(session), other = known_key(session);

	check(wraps(session, one, key));
	check(wraps(session, two, other));
	check(wraps(session, by, key));
	is_of(session, before, one);
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, before, other));
	is_of(session, other, two);
}

static void a_wrap_that_is_refused_joins_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), by = known_key(session),
			 key = known_key(session);
	CK_BYTE small[4];

	answers(CKR_BUFFER_TOO_SMALL, wrap_by(session, mechanism(CKM_AES_KEY_WRAP), by, key, small,
					      &(CK_ULONG){sizeof(small)}));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), by, key, NULL, &(CK_ULONG){0}));
	check(wraps(session, one, by));
	is_free(session, key);
}

/* --- Salts */

static void a_salt_key_needs_the_rights_of_a_base_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE gcm = CKM_AES_GCM;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE base = deriving_key(session, 0), key;

	with_bool(t, CKA_DERIVE, true);
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		salted(session, base, deriving_key(session, CKA_DERIVE), &key));
	answers(CKR_MECHANISM_INVALID,
		salted(session, base,
		       key_generate(session, with(t, CKA_ALLOWED_MECHANISMS, &gcm, sizeof(gcm))),
		       &key));
	answers(CKR_KEY_TYPE_INCONSISTENT, salted(session, base, some_zone(session), &key));
	answers(CKR_KEY_HANDLE_INVALID, salted(session, base, CK_INVALID_HANDLE, &key));
	check(salted(session, base, deriving_key(session, 0), &key));
}

static void base_and_salt_of_two_zones_derive_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = deriving_key(session, 0), salt = deriving_key(session, 0), key;

	check(wraps(session, some_zone(session), base));
	check(wraps(session, some_zone(session), salt));
	fails_for(CMEK_ERROR_OTHER_ZONE, session, salted(session, base, salt, &key));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, salted(session, base, salt, &key));
}

static void what_is_salted_by_a_key_belongs_to_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE base = deriving_key(session, 0), salt = deriving_key(session, 0), key;

	check(wraps(session, one, salt));
	check(salted(session, base, salt, &key));
	is_of(session, key, one);
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, key));
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, base));
}

static void what_is_salted_by_a_key_goes_where_that_goes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE base = deriving_key(session, 0), salt = deriving_key(session, 0), key;

	check(salted(session, base, salt, &key));
	check(wraps(session, one, salt));
	is_of(session, key, one);
	answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, base));
}

static void a_token_key_is_a_salt_of_its_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE one = some_zone(session), base = deriving_key(session, 0), salt, key;
	CK_BYTE id[8];

	attribute_bytes(session, one, CKA_CMEK_ZONE, id, 8);
	with_bool(with_bool(t, CKA_TOKEN, true), CKA_DERIVE, true);
	with_text(t, CKA_LABEL, "salt on the token");
	key_generate(session, with(t, CKA_CMEK_ZONE, id, 8));
	/* So that it is not open here yet. */
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)session_new();
	session = (CK_SESSION_HANDLE)*state;
	base = deriving_key(session, 0);
	salt = labelled(session, "salt on the token");
	check(salted(session, base, salt, &key));
	is_of(session, key, salt);
	is_of(session, base, salt);
}

/* --- Keys whose value is told */

static void only_a_key_that_may_be_read_is_digested(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE stays = key_generate(session, with_bool(t, CKA_EXTRACTABLE, false));

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_KEY_INDIGESTIBLE, p11->C_DigestKey(session, stays));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestKey(session, known_key(session)));
}

/* --- Templates that name a zone */

enum maker { GENERATES, CREATES, COPIES, UNWRAPS, DERIVES, MAKER_COUNT };

/* A session key by one of the calls that take a template, which names a zone. */
static CK_RV make(CK_SESSION_HANDLE session, enum maker maker, const CK_BYTE zone[static 8],
		  CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = with(aes_template(), CKA_CMEK_ZONE, zone, 8);
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL};
	CK_OBJECT_HANDLE other = deriving_key(session, 0);
	CK_BYTE wrapped[40];

	if (maker == GENERATES || maker == DERIVES)
		with_number(t, CKA_VALUE_LEN, 32);
	switch (maker) {
	case GENERATES:
		return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count,
					  ret_key);
	case CREATES:
		with(t, CKA_VALUE, known_value, 32);
		return p11->C_CreateObject(session, t->rows, t->count, ret_key);
	case COPIES:
		t = with(template_new(), CKA_CMEK_ZONE, zone, 8);
		return p11->C_CopyObject(session, other, t->rows, t->count, ret_key);
	case UNWRAPS:
		check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), other, known_key(session),
			      wrapped, &(CK_ULONG){sizeof(wrapped)}));
		return p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), other, wrapped,
					sizeof(wrapped), t->rows, t->count, ret_key);
	default:
		return p11->C_DeriveKey(session,
					mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), other,
					t->rows, t->count, ret_key);
	}
}

static void every_key_of_a_session_goes_to_the_zone_its_template_names(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session), key;
	CK_BYTE id[8];

	attribute_bytes(session, one, CKA_CMEK_ZONE, id, 8);
	for (enum maker maker = 0; maker < MAKER_COUNT; maker++) {
		check(make(session, maker, id, &key));
		is_of(session, key, one);
		answers(CKR_KEY_NOT_WRAPPABLE, wraps(session, two, key));
	}
}

static void a_template_that_names_no_zone_of_the_token_makes_nothing(void **state)
{
	static const CK_BYTE ids[][8] = {{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}, {0}};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG before = objects_count(session, with_bool(template_new(), CKA_TOKEN, false));
	CK_OBJECT_HANDLE key;

	for (enum maker maker = 0; maker < MAKER_COUNT; maker++)
		for (int i = 0; i < 2; i++)
			answers(CKR_ATTRIBUTE_VALUE_INVALID, make(session, maker, ids[i], &key));
	/* But for what the calls worked with: a key each, and two where they unwrap. */
	assert_int_equal(objects_count(session, with_bool(template_new(), CKA_TOKEN, false)),
			 before + 2 * (MAKER_COUNT + 1));
}

static void a_zone_of_another_project_takes_no_key_of_a_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_SLOT_ID home = slot;
	CK_OBJECT_HANDLE zone, key;
	CK_BYTE id[8];

	slot = token_new("next door");
	session = session_new();
	zone = zone_generate(session, "next door");
	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	slot = home;
	session = session_new();
	*state = (void *)session;
	for (enum maker maker = 0; maker < MAKER_COUNT; maker++)
		answers(CKR_ATTRIBUTE_VALUE_INVALID, make(session, maker, id, &key));
}

static void a_key_of_one_zone_is_not_made_another_s_by_a_template(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE one = some_zone(session), two = some_zone(session);
	CK_OBJECT_HANDLE key = known_key(session), copy;
	struct template *t;
	CK_BYTE id[2][8];

	attribute_bytes(session, one, CKA_CMEK_ZONE, id[0], 8);
	attribute_bytes(session, two, CKA_CMEK_ZONE, id[1], 8);
	check(wraps(session, one, key));
	t = with(template_new(), CKA_CMEK_ZONE, id[1], 8);
	answers(CKR_TEMPLATE_INCONSISTENT,
		p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	assert_int_equal(last_error(session), CMEK_ERROR_OTHER_ZONE);
	t = with(template_new(), CKA_CMEK_ZONE, id[0], 8);
	check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
}

static void a_zone_is_made_in_no_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), zone = some_zone(session), key;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_BYTE id[8], set[8192];
	CK_ULONG len = sizeof(set);

	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	with_bool(with(t, CKA_CMEK_ZONE, id, 8), CKA_TOKEN, true);
	answers(CKR_TEMPLATE_INCONSISTENT,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, set, &len));
	t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	with(with_bool(t, CKA_TOKEN, false), CKA_CMEK_ZONE, id, 8);
	answers(CKR_TEMPLATE_INCONSISTENT, p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), root,
							    set, len, t->rows, t->count, &key));
}

int rules_families(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_key_wrapped_by_a_key_goes_where_that_goes),
		in_session(a_key_that_wrapped_a_key_goes_where_that_goes),
		in_session(families_that_wrap_each_other_are_one),
		in_session(a_chain_of_wraps_is_one_family),
		in_session(a_key_without_a_zone_takes_that_of_what_it_wraps),
		in_session(a_wrap_that_is_refused_joins_nothing),
		in_session(a_salt_key_needs_the_rights_of_a_base_key),
		in_session(base_and_salt_of_two_zones_derive_nothing),
		in_session(what_is_salted_by_a_key_belongs_to_its_zone),
		in_session(what_is_salted_by_a_key_goes_where_that_goes),
		in_session(a_token_key_is_a_salt_of_its_zone),
		in_session(only_a_key_that_may_be_read_is_digested),
		in_session(every_key_of_a_session_goes_to_the_zone_its_template_names),
		in_session(a_template_that_names_no_zone_of_the_token_makes_nothing),
		in_session(a_zone_of_another_project_takes_no_key_of_a_session),
		in_session(a_key_of_one_zone_is_not_made_another_s_by_a_template),
		in_session(a_zone_is_made_in_no_zone),
	};

	return run_group("families", tests, token_setup, token_teardown);
}
