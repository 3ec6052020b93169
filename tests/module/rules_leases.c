/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a no of the KMS does to keys that an application holds, and to operations under way. */
#include "rules.h"

#include <stdio.h>

/* Without a lease every operation asks, so that a no counts at once; and it is not remembered. */
static int begin(void **state)
{
	p11->C_Finalize(NULL);
	token_configure("lease_seconds = 0\ndeny_seconds = 0\n");
	if (initialize() != CKR_OK)
		return -1;
	return session_setup(state);
}

static int end(void **state)
{
	session_teardown(state);
	p11->C_Finalize(NULL);
	token_configure("");
	return initialize() == CKR_OK ? 0 : -1;
}

static void set_state(CK_SESSION_HANDLE session, CK_ULONG state)
{
	struct template *t = with_number(template_new(), CKA_CMEK_STATE, state);

	check(p11->C_SetAttributeValue(session, default_root_key(session), t->rows, t->count));
}

static CK_OBJECT_HANDLE wrapped_key(CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session), key, wrapped,
		      &len));
	return key;
}

static CK_RV encrypt(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE block[static 16])
{
	CK_RV rv = p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key);
	CK_ULONG len = 16;

	return rv != CKR_OK ? rv : p11->C_Encrypt(session, block, 16, block, &len);
}

static CK_OBJECT_HANDLE copy_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, bool on_token)
{
	struct template *t = with_bool(template_new(), CKA_TOKEN, on_token);
	CK_OBJECT_HANDLE copy;

	check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	return copy;
}

static CK_OBJECT_HANDLE derived_from(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_HKDF_PARAMS params = {.bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA256,
				 .ulSaltType = CKF_HKDF_SALT_NULL};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE derived;

	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
			       key, t->rows, t->count, &derived));
	return derived;
}

static void a_no_reaches_every_handle_and_recovery_brings_all_back(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_DERIVE, true);
	CK_OBJECT_HANDLE keys[5];
	CK_BYTE before[5][16] = {{0}}, after[5][16] = {{0}};

	keys[0] = key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
	keys[1] = copy_of(session, keys[0], false); /* before anything says their zone */
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session), keys[0],
		      (CK_BYTE[128]){0}, &(CK_ULONG){128}));
	keys[2] = copy_of(session, keys[0], false);
	keys[3] = derived_from(session, keys[0]);
	keys[4] = copy_of(session, keys[0], true);
	for (int i = 0; i < 5; i++)
		check(encrypt(session, keys[i], before[i]));
	set_state(session, CMEK_STATE_DISABLED);
	for (int i = 0; i < 5; i++) {
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypt(session, keys[i], after[i]));
		assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	}
	set_state(session, CMEK_STATE_ACTIVE);
	for (int i = 0; i < 5; i++) {
		check(encrypt(session, keys[i], after[i]));
		assert_memory_equal(before[i], after[i], 16);
	}
}

static void a_value_is_not_read_from_a_zone_that_is_closed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapped_key(session);
	CK_BYTE value[32];
	CK_ATTRIBUTE row = {CKA_VALUE, value, sizeof(value)};

	check(p11->C_GetAttributeValue(session, key, &row, 1));
	assert_memory_equal(value, known_value, 32);
	set_state(session, CMEK_STATE_DISABLED);
	fails_for(CMEK_ERROR_KMS_DISABLED, session,
		  p11->C_GetAttributeValue(session, key, &row, 1));
	assert_int_equal(objects_count(session, with(template_new(), CKA_VALUE, known_value, 32)),
			 0);
	set_state(session, CMEK_STATE_ACTIVE);
	row.ulValueLen = sizeof(value);
	check(p11->C_GetAttributeValue(session, key, &row, 1));
	assert_memory_equal(value, known_value, 32);
}

/* Of the token, and a copy of it in the session. */
static void data_of_a_zone_that_is_closed_is_not_read(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_DATA);
	struct template *change = with(template_new(), CKA_VALUE, "another", 7);
	CK_OBJECT_HANDLE data[2];
	CK_BYTE id[8], value[8];

	attribute_bytes(session, some_zone(session), CKA_CMEK_ZONE, id, 8);
	with(with_bool(with(t, CKA_VALUE, "secret", 6), CKA_TOKEN, true), CKA_CMEK_ZONE, id, 8);
	check(p11->C_CreateObject(session, t->rows, t->count, &data[0]));
	data[1] = copy_of(session, data[0], false);
	set_state(session, CMEK_STATE_DISABLED);
	for (int i = 0; i < 2; i++) {
		CK_ATTRIBUTE row = {CKA_VALUE, value, sizeof(value)};

		fails_for(CMEK_ERROR_KMS_DISABLED, session,
			  p11->C_GetAttributeValue(session, data[i], &row, 1));
		assert_int_equal(row.ulValueLen, CK_UNAVAILABLE_INFORMATION);
		row.pValue = NULL; /* its length is not its value */
		check(p11->C_GetAttributeValue(session, data[i], &row, 1));
		assert_int_equal(row.ulValueLen, 6);
		fails_for(CMEK_ERROR_KMS_DISABLED, session,
			  p11->C_SetAttributeValue(session, data[i], change->rows, change->count));
	}
	fails_for(CMEK_ERROR_KMS_DISABLED, session,
		  p11->C_CreateObject(session, t->rows, t->count, &(CK_OBJECT_HANDLE){0}));
	set_state(session, CMEK_STATE_ACTIVE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(attribute_bytes(session, data[i], CKA_VALUE, value, 8), 6);
		assert_memory_equal(value, "secret", 6);
	}
}

static void a_key_that_a_closed_zone_did_not_wrap_is_free_for_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), other = zone_generate(session, "the other");
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE wrapped[128], block[16] = {0};
	CK_ULONG len = sizeof(wrapped);

	set_state(session, CMEK_STATE_DISABLED);
	fails_for(CMEK_ERROR_KMS_DISABLED, session,
		  wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len));
	check(encrypt(session, key, block));
	set_state(session, CMEK_STATE_ACTIVE);
	len = sizeof(wrapped);
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), other, key, wrapped, &len));
	len = sizeof(wrapped);
	answers(CKR_KEY_NOT_WRAPPABLE,
		wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len));
}

static void a_label_is_changed_while_the_zone_is_closed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapped_key(session);
	struct template *t = with_text(template_new(), CKA_LABEL, "renamed");
	CK_BYTE block[16] = {0};

	set_state(session, CMEK_STATE_DISABLED);
	check(p11->C_SetAttributeValue(session, key, t->rows, t->count));
	assert_int_equal(encrypt(session, key, block), CKR_KEY_FUNCTION_NOT_PERMITTED);
	set_state(session, CMEK_STATE_ACTIVE);
	check(encrypt(session, key, block));
}

static void an_operation_under_way_ends_at_its_next_call(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapped_key(session);
	CK_BYTE block[16] = {0}, out[32];
	CK_MECHANISM *cbc = mechanism_with(CKM_AES_CBC, block, 16);

	check(p11->C_EncryptInit(session, cbc, key));
	check(p11->C_EncryptUpdate(session, block, 16, out, &(CK_ULONG){32}));
	set_state(session, CMEK_STATE_DISABLED);
	answers(CKR_FUNCTION_FAILED,
		p11->C_EncryptUpdate(session, block, 16, out, &(CK_ULONG){32}));
	assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &(CK_ULONG){32}));
	set_state(session, CMEK_STATE_ACTIVE);
	check(p11->C_EncryptInit(session, cbc, key));
	check(p11->C_EncryptUpdate(session, block, 16, out, &(CK_ULONG){32}));
	check(p11->C_EncryptFinal(session, out, &(CK_ULONG){32}));
}

static CK_MECHANISM *message(CK_ULONG number)
{
	CK_CMEK_MESSAGE_PARAMS parameters = {.ulNumber = number};

	return mechanism_with(CKM_CMEK_MESSAGE, &parameters, sizeof(parameters));
}

/* Its key is derived, and no object, but of the DEK's zone all the same. */
static void a_message_under_way_ends_at_its_next_call(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_DERIVE, true);
	CK_OBJECT_HANDLE dek = key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
	CK_BYTE wrapped[128], out[32];

	check(p11->C_EncryptInit(session, message(0), dek));
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session), dek, wrapped,
		      &(CK_ULONG){128}));
	set_state(session, CMEK_STATE_DISABLED);
	answers(CKR_FUNCTION_FAILED,
		p11->C_EncryptUpdate(session, (CK_BYTE *)"x", 1, out, &(CK_ULONG){32}));
	assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &(CK_ULONG){32}));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_EncryptInit(session, message(1), dek));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_DecryptInit(session, message(0), dek));
	set_state(session, CMEK_STATE_ACTIVE);
	check(p11->C_EncryptInit(session, message(2), dek));
	check(p11->C_Encrypt(session, (CK_BYTE *)"x", 1, out, &(CK_ULONG){32}));
	check(p11->C_DecryptInit(session, message(2), dek));
	check(p11->C_Decrypt(session, out, 17, out, &(CK_ULONG){32}));
	assert_int_equal(out[0], 'x');
}

static CK_OBJECT_HANDLE wrapped_mac_key(CK_SESSION_HANDLE session)
{
	struct template *t = with_bool(aes_template(), CKA_SIGN, true);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_VERIFY, true);
	with(t, CKA_VALUE, known_value, 32);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session), key,
		      (CK_BYTE[128]){0}, &(CK_ULONG){128}));
	return key;
}

static CK_RV mac_step(CK_SESSION_HANDLE session, int step)
{
	CK_BYTE text[16] = {0}, mac[16] = {0};
	CK_ULONG len = 16;

	switch (step) {
	case 0:
		return p11->C_Sign(session, text, 16, mac, &len);
	case 1:
		return p11->C_SignUpdate(session, text, 16);
	case 2:
		return p11->C_SignFinal(session, mac, &len);
	case 3:
		return p11->C_Verify(session, text, 16, mac, 16);
	case 4:
		return p11->C_VerifyUpdate(session, text, 16);
	default:
		return p11->C_VerifyFinal(session, mac, 16);
	}
}

static void a_mac_ends_at_its_next_call(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = wrapped_mac_key(session);
	CK_MECHANISM *cmac = mechanism(CKM_AES_CMAC);
	CK_BYTE text[16] = {0};

	for (int step = 0; step < 6; step++) {
		check(p11->C_SignInit(session, cmac, key));
		check(p11->C_VerifyInit(session, cmac, key));
		set_state(session, CMEK_STATE_DISABLED);
		answers(CKR_FUNCTION_FAILED, mac_step(session, step));
		assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
		answers(CKR_OPERATION_NOT_INITIALIZED,
			step < 3 ? p11->C_SignUpdate(session, text, 1)
				 : p11->C_VerifyUpdate(session, text, 1));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
			step < 3 ? p11->C_SignInit(session, cmac, key)
				 : p11->C_VerifyInit(session, cmac, key));
		set_state(session, CMEK_STATE_ACTIVE);
		check(p11->C_SignInit(session, NULL, 0));
		check(p11->C_VerifyInit(session, NULL, 0));
	}
}

static void a_no_in_one_session_ends_operations_of_others(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE key = wrapped_key(session);
	CK_BYTE block[16] = {0}, out[32];

	check(p11->C_EncryptInit(other, mechanism_with(CKM_AES_CBC, block, 16), key));
	set_state(session, CMEK_STATE_DISABLED);
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypt(session, key, block));
	answers(CKR_FUNCTION_FAILED, p11->C_EncryptUpdate(other, block, 16, out, &(CK_ULONG){32}));
	set_state(session, CMEK_STATE_ACTIVE);
	check(p11->C_CloseSession(other));
}

static void a_root_key_tells_what_was_heard_of_it(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), key = wrapped_key(session);
	CK_BYTE block[16] = {0};

	assert_int_equal(attribute_number(session, root, CKA_CMEK_STATE), CMEK_STATE_ACTIVE);
	set_state(session, CMEK_STATE_DISABLED);
	encrypt(session, key, block);
	assert_int_equal(attribute_number(session, root, CKA_CMEK_STATE), CMEK_STATE_DISABLED);
	assert_int_equal(objects_count(session, with_number(template_new(), CKA_CMEK_STATE,
							    CMEK_STATE_DISABLED)),
			 1);
	set_state(session, CMEK_STATE_ACTIVE);
	check(encrypt(session, key, block));
	assert_int_equal(attribute_number(session, root, CKA_CMEK_STATE), CMEK_STATE_ACTIVE);
}

/* Only reading its value asks: not its length, no size, no search. */
static void a_root_key_tells_what_the_kms_says_now(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session);
	CK_ATTRIBUTE row = {CKA_CMEK_KMS_STATE, NULL, 0};
	CK_ULONG size;

	assert_int_equal(attribute_number(session, root, CKA_CMEK_KMS_STATE), CMEK_STATE_ACTIVE);
	check(p11->C_GetAttributeValue(session, root, &row, 1));
	assert_int_equal(row.ulValueLen, sizeof(CK_ULONG));
	check(p11->C_GetObjectSize(session, root, &size));
	assert_int_equal(objects_count(session, with_number(template_new(), CKA_CMEK_KMS_STATE,
							    CMEK_STATE_ACTIVE)),
			 0);
	set_state(session, CMEK_STATE_DISABLED);
	assert_int_equal(attribute_number(session, root, CKA_CMEK_KMS_STATE), CMEK_STATE_DISABLED);
	assert_int_equal(attribute_number(session, root, CKA_CMEK_STATE), CMEK_STATE_DISABLED);
	assert_int_equal(attribute_bytes(session, root, CKA_CMEK_DELETION_DATE, &size, 8), 0);
	set_state(session, CMEK_STATE_ACTIVE);
	assert_int_equal(attribute_number(session, root, CKA_CMEK_KMS_STATE), CMEK_STATE_ACTIVE);
}

static CK_ULONG faults(CK_SESSION_HANDLE session, CK_ULONG numbers[static 4])
{
	CK_OBJECT_HANDLE doctor =
		object_find(session, with_number(template_new(), CKA_CLASS, CKO_CMEK_DIAGNOSTIC));
	CK_ATTRIBUTE report = {CKA_VALUE, NULL, 0};

	check(p11->C_GetAttributeValue(session, doctor, &report, 1)); /* makes it anew */
	return attribute_bytes(session, doctor, CKA_CMEK_FAULTS, numbers, 4 * sizeof(CK_ULONG)) /
	       sizeof(CK_ULONG);
}

static void the_diagnosis_numbers_its_faults(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG numbers[4];

	assert_int_equal(faults(session, numbers), 0);
	set_state(session, CMEK_STATE_DISABLED);
	assert_int_equal(faults(session, numbers), 1);
	assert_int_equal(numbers[0], CMEK_ERROR_KMS_DISABLED);
	set_state(session, CMEK_STATE_ACTIVE);
	assert_int_equal(faults(session, numbers), 0);
}

/* What limits a token key is bound to its value. */
static void a_token_key_of_a_closed_zone_is_not_limited_but_named(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = copy_of(session, wrapped_key(session), true);
	struct template *limit = with_bool(template_new(), CKA_DECRYPT, false);
	struct template *name = with_text(template_new(), CKA_LABEL, "named meanwhile");
	CK_BYTE block[16] = {0};

	set_state(session, CMEK_STATE_DISABLED);
	fails_for(CMEK_ERROR_KMS_DISABLED, session,
		  p11->C_SetAttributeValue(session, key, limit->rows, limit->count));
	assert_true(attribute_bool(session, key, CKA_DECRYPT));
	check(p11->C_SetAttributeValue(session, key, name->rows, name->count));
	set_state(session, CMEK_STATE_ACTIVE);
	check(encrypt(session, key, block));
	check(p11->C_SetAttributeValue(session, key, limit->rows, limit->count));
	assert_false(attribute_bool(session, key, CKA_DECRYPT));
	check(encrypt(session, key, block));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int rules_leases(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_no_reaches_every_handle_and_recovery_brings_all_back),
		CASE(data_of_a_zone_that_is_closed_is_not_read),
		CASE(a_value_is_not_read_from_a_zone_that_is_closed),
		CASE(a_key_that_a_closed_zone_did_not_wrap_is_free_for_another),
		CASE(a_label_is_changed_while_the_zone_is_closed),
		CASE(a_token_key_of_a_closed_zone_is_not_limited_but_named),
		CASE(an_operation_under_way_ends_at_its_next_call),
		CASE(a_message_under_way_ends_at_its_next_call),
		CASE(a_mac_ends_at_its_next_call),
		CASE(a_no_in_one_session_ends_operations_of_others),
		CASE(a_root_key_tells_what_was_heard_of_it),
		CASE(a_root_key_tells_what_the_kms_says_now),
		CASE(the_diagnosis_numbers_its_faults),
	};

	return run_group("leases", tests, token_setup, token_teardown);
}
