/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones whose record stays in the store (CKA_CMEK_EMBED_EZK is FALSE): no function gives it out,
 * and everything else works as usual. */
#include "rules.h"

#include <stdio.h>

static struct template *zone_template(void)
{
	static int number;
	char label[32];

	snprintf(label, sizeof(label), "kept %d", ++number);
	return with_bool(
		with_number(with_text(with_bool(aes_template(), CKA_TOKEN, true), CKA_LABEL, label),
			    CKA_VALUE_LEN, 32),
		CKA_EXTRACTABLE, false);
}

static CK_OBJECT_HANDLE kept_zone(CK_SESSION_HANDLE session)
{
	return key_generate(session, with_bool(zone_template(), CKA_CMEK_EMBED_EZK, false));
}

static CK_RV generate(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key);
}

static void a_zone_says_whether_its_record_is_for_the_store_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE kept = kept_zone(session), usual = some_zone(session);
	CK_ULONG before;

	assert_false(attribute_bool(session, kept, CKA_CMEK_EMBED_EZK));
	assert_true(attribute_bool(session, usual, CKA_CMEK_EMBED_EZK));
	before = objects_count(session, with_bool(template_new(), CKA_CMEK_EMBED_EZK, false));
	kept_zone(session);
	assert_int_equal(
		objects_count(session, with_bool(template_new(), CKA_CMEK_EMBED_EZK, false)),
		before + 1);
	assert_true(attribute_bool(
		session,
		key_generate(session, with_bool(zone_template(), CKA_CMEK_EMBED_EZK, true)),
		CKA_CMEK_EMBED_EZK));
}

static void its_record_leaves_by_no_function(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = kept_zone(session);
	CK_BYTE out[8192];
	CK_ATTRIBUTE record = {CKA_CMEK_ENCRYPTED_KEY, NULL, 0};
	CK_ULONG len = 0, size = 0;

	answers(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, zone, &record, 1));
	assert_true(record.ulValueLen == CK_UNAVAILABLE_INFORMATION);
	record = (CK_ATTRIBUTE){CKA_CMEK_ENCRYPTED_KEY, out, sizeof(out)};
	answers(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(session, zone, &record, 1));
	check(p11->C_GetObjectSize(session, zone, &size));
	assert_true(size > 0 && size < 4096);
	/* Nor its length. */
	answers(CKR_KEY_UNEXTRACTABLE, wrap_by(session, mechanism(CKM_CMEK_KMS),
					       default_root_key(session), zone, NULL, &len));
	assert_int_equal(last_error(session), CMEK_ERROR_RECORD_KEPT);
	len = sizeof(out);
	answers(CKR_KEY_UNEXTRACTABLE, wrap_by(session, mechanism(CKM_CMEK_KMS),
					       default_root_key(session), zone, out, &len));
	assert_int_equal(last_error(session), CMEK_ERROR_RECORD_KEPT);
}

/* What it wraps names the zone and carries no record. */
static void it_wraps_and_unwraps_as_any_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = kept_zone(session), key = known_key(session), back;
	CK_BYTE wrapped[256];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len));
	assert_int_equal(len, 96);
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &back));
	assert_true(same_key(session, key, back));
}

static void it_is_given_to_a_new_zone_and_to_nothing_else(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE kept = kept_zone(session), usual = some_zone(session), other;
	CK_ULONG before = objects_count(session, template_new());
	struct template *t;
	CK_BYTE set[8192];
	CK_ULONG len = sizeof(set);

	t = with_bool(template_new(), CKA_CMEK_EMBED_EZK, true);
	answers(CKR_ATTRIBUTE_READ_ONLY,
		p11->C_SetAttributeValue(session, kept, t->rows, t->count));
	assert_false(attribute_bool(session, kept, CKA_CMEK_EMBED_EZK));
	t = with_bool(template_new(), CKA_CMEK_EMBED_EZK, false);
	answers(CKR_ATTRIBUTE_READ_ONLY,
		p11->C_SetAttributeValue(session, usual, t->rows, t->count));
	assert_true(attribute_bool(session, usual, CKA_CMEK_EMBED_EZK));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		generate(session, with_number(zone_template(), CKA_CMEK_EMBED_EZK, 0)));
	t = with_bool(with_number(aes_template(), CKA_VALUE_LEN, 32), CKA_CMEK_EMBED_EZK, false);
	answers(CKR_TEMPLATE_INCONSISTENT, generate(session, t));
	t = with(with_bool(aes_template(), CKA_CMEK_EMBED_EZK, false), CKA_VALUE, known_value, 32);
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_CreateObject(session, t->rows, t->count, &other));
	/* Records say it themselves. */
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), usual, set,
		      &len));
	t = with_bool(with_bool(aes_template(), CKA_EXTRACTABLE, false), CKA_CMEK_EMBED_EZK, false);
	answers(CKR_TEMPLATE_INCONSISTENT,
		p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), default_root_key(session), set,
				 len, t->rows, t->count, &other));
	assert_int_equal(objects_count(session, template_new()), before);
}

static void the_configuration_says_it_for_zones_that_do_not(void **state)
{
	CK_SESSION_HANDLE session;

	p11->C_Finalize(NULL);
	token_configure("[zones]\nembed_ezk = false\n");
	check(initialize());
	session = session_new();
	assert_false(attribute_bool(session, some_zone(session), CKA_CMEK_EMBED_EZK));
	assert_true(attribute_bool(
		session,
		key_generate(session, with_bool(zone_template(), CKA_CMEK_EMBED_EZK, true)),
		CKA_CMEK_EMBED_EZK));
	p11->C_Finalize(NULL);
	token_configure("");
	check(initialize());
	*state = (void *)session_new();
}

int rules_kept(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_zone_says_whether_its_record_is_for_the_store_alone),
		in_session(its_record_leaves_by_no_function),
		in_session(it_wraps_and_unwraps_as_any_zone),
		in_session(it_is_given_to_a_new_zone_and_to_nothing_else),
		in_session(the_configuration_says_it_for_zones_that_do_not),
	};

	return run_group("records for the store alone", tests, token_setup, token_teardown);
}
