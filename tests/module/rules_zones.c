/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones: making, deleting, restoring, and what a disabled root key means for them. */
#include "rules.h"

#include <stdio.h>

static struct template *zone_template(const char *label)
{
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	return with_text(t, CKA_LABEL, label);
}

static CK_RV zone_make(CK_SESSION_HANDLE session, const char *label, CK_OBJECT_HANDLE *ret_zone)
{
	struct template *t = zone_template(label);

	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, ret_zone);
}

static CK_RV set_state(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG state)
{
	struct template *t = with_number(template_new(), CKA_CMEK_STATE, state);

	return p11->C_SetAttributeValue(session, object, t->rows, t->count);
}

static CK_ULONG wrapped_under(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_BYTE *wrapped,
			      CK_ULONG size)
{
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, known_key(session), wrapped,
		      &size));
	return size;
}

static void a_label_names_one_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone, again;

	check(zone_make(session, "once", &zone));
	fails_for(CMEK_ERROR_EXISTS, session, zone_make(session, "once", &again));
	assert_int_equal(labelled(session, "once"), zone);
}

static void other_token_keys_may_share_a_label(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);

	with_number(t, CKA_VALUE_LEN, 32);
	with_text(t, CKA_LABEL, "shared");
	key_generate(session, t);
	key_generate(session, t);
	assert_int_equal(objects_count(session, with_text(template_new(), CKA_LABEL, "shared")), 2);
}

/* A zone is a key of 32 bytes that does not leave; every other token key is a data key of one. */
static void only_keys_of_32_bytes_that_stay_become_zones(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_BYTE of_key[8], of_default[8];
	CK_OBJECT_HANDLE key, of_name;

	some_zone(session);
	of_name = zone_generate(session, "default/default");
	with_bool(t, CKA_EXTRACTABLE, false);
	key = key_generate(session, with_number(t, CKA_VALUE_LEN, 16));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	attribute_bytes(session, of_name, CKA_CMEK_ZONE, of_default, 8);
	assert_memory_equal(of_key, of_default, 8);
	t = with_bool(aes_template(), CKA_TOKEN, true);
	key = key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	assert_memory_equal(of_key, of_default, 8);
}

static void a_token_key_is_stored_wrapped(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_BYTE id[8], of_key[8], stored[256];

	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8);
	with(t, CKA_CMEK_ZONE, id, 8);
	with(t, CKA_VALUE, known_value, 32);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ZONE, of_key, 8), 8);
	assert_memory_equal(of_key, id, 8);
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_ENCRYPTED_KEY, stored, 256), 96);
	assert_memory_equal(stored, "CTKN\1", 5);
	assert_memory_equal(stored + 8, id, 8);
}

static void a_zone_that_is_not_there_holds_no_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	static const CK_BYTE nowhere[8] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_VALUE_LEN, 32);
	with(t, CKA_CMEK_ZONE, nowhere, 8);
	fails(p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN),
				   with(t, CKA_CMEK_ZONE, nowhere, 7)->rows, t->count, &key));
}

static void a_deleted_zone_is_hidden_and_denied(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *named = with_text(template_new(), CKA_LABEL, "deleted");
	CK_OBJECT_HANDLE zone, key;
	CK_BYTE wrapped[128];
	CK_ULONG len;

	check(zone_make(session, "deleted", &zone));
	len = wrapped_under(session, zone, wrapped, sizeof(wrapped));
	check(p11->C_DestroyObject(session, zone));
	assert_int_equal(objects_count(session, named), 0);
	fails(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), zone));
	fails(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &key));
	with_number(named, CKA_CMEK_STATE, CMEK_STATE_PENDING_DELETION);
	assert_int_equal(object_find(session, named), zone);
}

static void a_deleted_zone_comes_back_with_its_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone, key;
	CK_BYTE wrapped[128];
	CK_ULONG len;

	check(zone_make(session, "restored", &zone));
	len = wrapped_under(session, zone, wrapped, sizeof(wrapped));
	check(p11->C_DestroyObject(session, zone));
	check(set_state(session, zone, CMEK_STATE_ACTIVE));
	zone = labelled(session, "restored");
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &key));
	assert_true(same_key(session, key, known_key(session)));
}

static void deleting_frees_the_label(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone, next;
	CK_BYTE id[2][8];

	check(zone_make(session, "freed", &zone));
	attribute_bytes(session, zone, CKA_CMEK_ZONE, id[0], 8);
	check(p11->C_DestroyObject(session, zone));
	check(zone_make(session, "freed", &next));
	attribute_bytes(session, next, CKA_CMEK_ZONE, id[1], 8);
	assert_memory_not_equal(id[0], id[1], 8);
	/* The older one can't take the label back. */
	fails_for(CMEK_ERROR_EXISTS, session, set_state(session, zone, CMEK_STATE_ACTIVE));
}

static void deleting_reaches_the_keys_of_a_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone, key;
	CK_BYTE wrapped[128];

	check(zone_make(session, "reached", &zone));
	key = known_key(session);
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped,
		      &(CK_ULONG){sizeof(wrapped)}));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, wrapped, 16, wrapped, &(CK_ULONG){16}));
	check(p11->C_DestroyObject(session, zone));
	fails(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(set_state(session, zone, CMEK_STATE_ACTIVE));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
}

static int without_lease(void **state)
{
	p11->C_Finalize(NULL);
	token_configure("lease_seconds = 0\ndeny_seconds = 0\n");
	if (initialize() != CKR_OK)
		return -1;
	return session_setup(state);
}

static int with_lease(void **state)
{
	session_teardown(state);
	p11->C_Finalize(NULL);
	token_configure("");
	return initialize() == CKR_OK ? 0 : -1;
}

static void a_disabled_root_key_closes_its_zones(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), root = default_root_key(session), key, other;
	CK_BYTE wrapped[128], block[16] = {0};
	CK_ULONG len = sizeof(wrapped);

	key = known_key(session);
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len));
	check(set_state(session, root, CMEK_STATE_DISABLED));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), zone));
	assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	fails_for(CMEK_ERROR_KMS_DISABLED, session,
		  unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &other));
	/* The data key was known to this process before, and is not any more. */
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	fails_for(CMEK_ERROR_KMS_DISABLED, session, zone_make(session, "closed", &other));
	check(set_state(session, root, CMEK_STATE_ACTIVE));
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &other));
	assert_true(same_key(session, other, known_key(session)));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, block, 16, block, &(CK_ULONG){16}));
}

static void a_failed_zone_leaves_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), zone;
	CK_ULONG before = objects_count(session, template_new());

	check(set_state(session, root, CMEK_STATE_DISABLED));
	fails(zone_make(session, "nothing", &zone));
	assert_int_equal(objects_count(session, template_new()), before);
	check(set_state(session, root, CMEK_STATE_ACTIVE));
	check(zone_make(session, "nothing", &zone));
	assert_int_equal(last_error(session), CMEK_ERROR_NONE);
}

static void asking_for_lengths_and_attributes_needs_no_kms(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), root = default_root_key(session);
	CK_BYTE text[256];
	CK_ULONG len = 0;

	check(set_state(session, root, CMEK_STATE_DISABLED));
	attribute_bytes(session, zone, CKA_LABEL, text, sizeof(text));
	attribute_bytes(session, zone, CKA_CMEK_ROOT_KEY, text, sizeof(text));
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, known_key(session), NULL, &len));
	assert_int_equal(len, 96);
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, NULL, &len));
	check(set_state(session, root, CMEK_STATE_ACTIVE));
}

static void without_a_root_key_no_zone_is_made(void **state)
{
	CK_SESSION_HANDLE session;
	CK_SLOT_ID first = slot, second = token_new("bare");
	CK_OBJECT_HANDLE zone;
	char path[4200];
	FILE *file;

	(void)state;
	check(p11->C_Finalize(NULL));
	snprintf(path, sizeof(path), "%s/module.conf", token_folder());
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n",
		token_folder(), token_folder());
	assert_int_equal(fclose(file), 0);
	check(initialize());
	slot = second;
	session = session_new();
	fails_for(CMEK_ERROR_NO_ROOT_KEY, session, zone_make(session, "unprotected", &zone));
	assert_int_equal(objects_count(session, template_new()), 0);
	check(p11->C_CloseSession(session));
	slot = first;
	check(p11->C_Finalize(NULL));
	token_configure("");
	check(initialize());
}

#define leaseless(test) cmocka_unit_test_setup_teardown(test, without_lease, with_lease)

int rules_zones(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_label_names_one_zone),
		in_session(other_token_keys_may_share_a_label),
		in_session(only_keys_of_32_bytes_that_stay_become_zones),
		in_session(a_token_key_is_stored_wrapped),
		in_session(a_zone_that_is_not_there_holds_no_key),
		in_session(a_deleted_zone_is_hidden_and_denied),
		in_session(a_deleted_zone_comes_back_with_its_key),
		in_session(deleting_frees_the_label),
		in_session(deleting_reaches_the_keys_of_a_zone),
		leaseless(a_disabled_root_key_closes_its_zones),
		leaseless(a_failed_zone_leaves_nothing),
		leaseless(asking_for_lengths_and_attributes_needs_no_kms),
		cmocka_unit_test(without_a_root_key_no_zone_is_made),
	};

	return run_group("zones", tests, token_setup, token_teardown);
}
