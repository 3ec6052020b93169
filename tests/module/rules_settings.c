/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What two settings refuse, whatever the store says: root keys that are not allowed, and names that
 * are pinned to other zones. */
#include "rules.h"

#include <stdio.h>

/* Everything on the token was made without these settings. */
static struct {
	CK_OBJECT_HANDLE zone, root;
	char label[32];
	unsigned long long id;
} made;

static int restart(const char *settings)
{
	p11->C_Finalize(NULL);
	token_configure(settings);
	return initialize() == CKR_OK ? 0 : -1;
}

static CK_SESSION_HANDLE session_with(const char *settings)
{
	CK_SESSION_HANDLE session;

	assert_int_equal(restart(settings), 0);
	session = session_new();
	made.root = default_root_key(session);
	made.zone = labelled(session, made.label);
	return session;
}

static void make_all(void)
{
	CK_SESSION_HANDLE session = session_new();
	CK_BYTE id[8];

	made.zone = some_zone(session);
	made.label[attribute_bytes(session, made.zone, CKA_LABEL, made.label,
				   sizeof(made.label) - 1)] = '\0';
	attribute_bytes(session, made.zone, CKA_CMEK_ZONE, id, sizeof(id));
	made.id = 0;
	for (size_t i = 0; i < sizeof(id); i++)
		made.id = made.id << 8 | id[i];
	check(p11->C_CloseSession(session));
}

static CK_RV wrap_by_zone(CK_SESSION_HANDLE session)
{
	CK_BYTE wrapped[128];

	return wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), made.zone, known_key(session),
		       wrapped, &(CK_ULONG){sizeof(wrapped)});
}

static CK_RV encrypt_by_zone(CK_SESSION_HANDLE session)
{
	return p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), made.zone);
}

static CK_RV encrypt_by_root_key(CK_SESSION_HANDLE session)
{
	CK_BYTE out[512];
	CK_RV rv = p11->C_EncryptInit(session, mechanism(CKM_CMEK_KMS), made.root);

	return rv != CKR_OK ? rv
			    : p11->C_Encrypt(session, (CK_BYTE *)"text", 4, out,
					     &(CK_ULONG){sizeof(out)});
}

static CK_RV make_zone(CK_SESSION_HANDLE session, const char *label)
{
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE zone;

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_text(t, CKA_LABEL, label);
	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &zone);
}

static void a_root_key_that_is_not_allowed_is_refused(void **state)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;

	(void)state;
	make_all();
	session = session_with("allowed_root_keys = 111122223333, arn:aws:kms:eu-*:*:key/mrk-*\n");
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypt_by_zone(session));
	assert_int_equal(last_error(session), CMEK_ERROR_ROOT_KEY_REFUSED);
	fails_for(CMEK_ERROR_ROOT_KEY_REFUSED, session, wrap_by_zone(session));
	answers(CKR_FUNCTION_FAILED, encrypt_by_root_key(session));
	assert_int_equal(last_error(session), CMEK_ERROR_ROOT_KEY_REFUSED);
	answers(CKR_TEMPLATE_INCONSISTENT, make_zone(session, "refused"));
	assert_int_equal(last_error(session), CMEK_ERROR_ROOT_KEY_REFUSED);
	answers(CKR_TEMPLATE_INCONSISTENT, root_key_create(session, "local:another", &key));
	assert_int_equal(last_error(session), CMEK_ERROR_ROOT_KEY_REFUSED);
	session = session_with("allowed_root_keys = 111122223333 local:*\n");
	check(encrypt_by_zone(session));
	check(wrap_by_zone(session));
	check(make_zone(session, "allowed"));
	assert_int_equal(restart(""), 0);
}

static void a_zone_under_a_name_that_is_pinned_to_another_is_refused(void **state)
{
	CK_SESSION_HANDLE session;
	char settings[128];

	(void)state;
	make_all();
	snprintf(settings, sizeof(settings), "[zones]\npin = %s = 5, first:pinned = 6\n",
		 made.label);
	session = session_with(settings);
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypt_by_zone(session));
	assert_int_equal(last_error(session), CMEK_ERROR_OTHER_PIN);
	fails_for(CMEK_ERROR_OTHER_PIN, session, wrap_by_zone(session));
	answers(CKR_TEMPLATE_INCONSISTENT, make_zone(session, "pinned"));
	assert_int_equal(last_error(session), CMEK_ERROR_OTHER_PIN);
	answers(CKR_TEMPLATE_INCONSISTENT, make_zone(session, "default/pinned"));
	snprintf(settings, sizeof(settings), "[zones]\npin = %s = %llu, other:pinned = 6\n",
		 made.label, made.id);
	session = session_with(settings);
	check(encrypt_by_zone(session));
	check(wrap_by_zone(session));
	check(make_zone(session, "pinned"));
	assert_int_equal(restart(""), 0);
}

/* Of what gives nothing before its end. */
static CK_RV feed(CK_SESSION_HANDLE session, CK_ULONG mib)
{
	static CK_BYTE part[1 << 16];
	CK_RV rv = CKR_OK;

	for (CK_ULONG i = 0; rv == CKR_OK && i < mib << 4; i++) {
		CK_ULONG len = sizeof(part);

		rv = p11->C_DecryptUpdate(session, part, sizeof(part), part, &len);
	}
	return rv;
}

static void a_message_in_parts_is_kept_as_far_as_the_setting_says(void **state)
{
	CK_SESSION_HANDLE session = session_with("[crypto]\nkeep_max_mib = 1\n");
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE tag[16] = {0};
	CK_ULONG len = sizeof(tag);

	(void)state;
	check(p11->C_DecryptInit(session, fitting(CKM_AES_GCM), key));
	check(feed(session, 1));
	answers(CKR_DEVICE_MEMORY, p11->C_DecryptUpdate(session, tag, 1, tag, &len));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DecryptFinal(session, tag, &len));
	check(p11->C_CloseSession(session));
	session = session_with("[crypto]\nkeep_max_mib = 0\n");
	check(p11->C_DecryptInit(session, fitting(CKM_AES_GCM), known_key(session)));
	answers(CKR_DEVICE_MEMORY, p11->C_DecryptUpdate(session, tag, 1, tag, &len));
	check(p11->C_CloseSession(session));
	session = session_with("");
	check(p11->C_DecryptInit(session, fitting(CKM_AES_GCM), known_key(session)));
	check(feed(session, 2));
	assert_int_equal(restart(""), 0);
}

int rules_settings(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_root_key_that_is_not_allowed_is_refused),
		cmocka_unit_test(a_zone_under_a_name_that_is_pinned_to_another_is_refused),
		cmocka_unit_test(a_message_in_parts_is_kept_as_far_as_the_setting_says),
	};

	return run_group("rules: settings", tests, token_setup, token_teardown);
}
