/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys wrap what only trusted keys may wrap, and who says so. */
#include "rules.h"

static CK_RV set(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct template *t)
{
	return p11->C_SetAttributeValue(session, object, t->rows, t->count);
}

static CK_RV trust(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, bool yes)
{
	return set(session, object, with_bool(template_new(), CKA_TRUSTED, yes));
}

static CK_OBJECT_HANDLE guarded_key(CK_SESSION_HANDLE session)
{
	struct template *t = with_bool(aes_template(), CKA_WRAP_WITH_TRUSTED, true);

	return key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_OBJECT_HANDLE key)
{
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	return wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len);
}

static void only_a_trusted_zone_wraps_a_key_that_asks_for_one(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_generate(session, "default/trusted");
	CK_OBJECT_HANDLE key = guarded_key(session);

	assert_false(attribute_bool(session, zone, CKA_TRUSTED));
	answers(CKR_KEY_NOT_WRAPPABLE, wrap(session, zone, key));
	check(trust(session, zone, true));
	check(wrap(session, zone, key));
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)(session = session_new());
	zone = labelled(session, "default/trusted");
	key = guarded_key(session);
	assert_true(attribute_bool(session, zone, CKA_TRUSTED));
	check(wrap(session, zone, key));
	check(trust(session, zone, false));
	answers(CKR_KEY_NOT_WRAPPABLE, wrap(session, zone, key));
	check(wrap(session, zone, known_key(session)));
}

static void of_keys_a_zone_alone_is_trusted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(aes_template(), CKA_TRUSTED, true);
	CK_MECHANISM *by = mechanism(CKM_AES_KEY_GEN);
	CK_OBJECT_HANDLE key = known_key(session), made;

	with_number(t, CKA_VALUE_LEN, 32);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_GenerateKey(session, by, t->rows, t->count, &made));
	answers(CKR_ATTRIBUTE_READ_ONLY, trust(session, key, true));
	answers(CKR_ATTRIBUTE_READ_ONLY, trust(session, default_root_key(session), true));
	check(trust(session, key, false));
	t = with_bool(template_new(), CKA_TRUSTED, true);
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(session, key, t->rows, t->count, &made));
}

static void what_asks_for_a_trusted_key_goes_on_asking(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = guarded_key(session), copy;
	struct template *t = with_bool(template_new(), CKA_WRAP_WITH_TRUSTED, false);

	answers(CKR_ATTRIBUTE_READ_ONLY, set(session, key, t));
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	check(p11->C_CopyObject(session, key, NULL, 0, &copy));
	assert_true(attribute_bool(session, copy, CKA_WRAP_WITH_TRUSTED));
	answers(CKR_KEY_NOT_WRAPPABLE, wrap(session, some_zone(session), copy));
}

static void a_copy_of_a_trusted_certificate_is_not_trusted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CERTIFICATE);
	CK_OBJECT_HANDLE certificate, copy;

	with(with(t, CKA_SUBJECT, "s", 1), CKA_VALUE, "der", 3);
	with_bool(with_number(t, CKA_CERTIFICATE_TYPE, CKC_X_509), CKA_TRUSTED, true);
	check(p11->C_CreateObject(session, t->rows, t->count, &certificate));
	assert_true(attribute_bool(session, certificate, CKA_TRUSTED));
	check(p11->C_CopyObject(session, certificate, NULL, 0, &copy));
	assert_false(attribute_bool(session, copy, CKA_TRUSTED));
	check(trust(session, copy, true));
	check(trust(session, copy, false));
}

/* --- With PINs */

static CK_SLOT_ID make_guarded_token(void)
{
	CK_UTF8CHAR label[32];
	CK_SLOT_ID slots[16], chosen = 0;
	CK_ULONG count = 16;
	CK_TOKEN_INFO info;

	check(p11->C_Finalize(NULL));
	token_configure("[slots]\nfree = true\n");
	check(initialize());
	check(p11->C_GetSlotList(CK_FALSE, slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (p11->C_GetTokenInfo(slots[i], &info) != CKR_OK)
			chosen = slots[i];
	memset(label, ' ', sizeof(label));
	memcpy(label, "guarded", 7);
	check(p11->C_InitToken(chosen, (CK_BYTE *)SO_PIN, strlen(SO_PIN), label));
	return token_slot("guarded");
}

static void log_in(CK_SESSION_HANDLE session, CK_USER_TYPE user, const char *pin)
{
	p11->C_Logout(session);
	check(p11->C_Login(session, user, (CK_BYTE *)(uintptr_t)pin, strlen(pin)));
}

static CK_ULONG count_zones(CK_SESSION_HANDLE session)
{
	return objects_count(session, with_text(template_new(), CKA_LABEL, "default/guarded"));
}

static void is_left_alone(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone)
{
	struct template *t = with_text(template_new(), CKA_LABEL, "default/other");
	struct template *more = with_bool(with_text(template_new(), CKA_LABEL, "default/other"),
					  CKA_TRUSTED, false);

	answers(CKR_USER_NOT_LOGGED_IN, set(session, zone, t));
	answers(CKR_USER_NOT_LOGGED_IN, set(session, zone, more));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(session, zone));
	answers(CKR_WRAPPING_KEY_HANDLE_INVALID, wrap(session, zone, known_key(session)));
}

/* And nothing more; nor does the user. */
static void the_security_officer_says_which_zone_is_trusted(void **state)
{
	CK_SLOT_ID guarded = make_guarded_token();
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE zone;

	(void)state;
	check(p11->C_OpenSession(guarded, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
				 &session));
	log_in(session, CKU_SO, SO_PIN);
	check(p11->C_InitPIN(session, (CK_BYTE *)USER_PIN, strlen(USER_PIN)));
	log_in(session, CKU_USER, USER_PIN);
	zone = zone_generate(session, "default/guarded");
	answers(CKR_ATTRIBUTE_READ_ONLY, trust(session, zone, true));
	check(p11->C_Logout(session));
	assert_int_equal(count_zones(session), 0);
	answers(CKR_OBJECT_HANDLE_INVALID, trust(session, zone, true));
	log_in(session, CKU_SO, SO_PIN);
	assert_int_equal(count_zones(session), 1);
	check(trust(session, zone, true));
	assert_true(attribute_bool(session, zone, CKA_TRUSTED));
	is_left_alone(session, zone);
	log_in(session, CKU_USER, USER_PIN);
	check(wrap(session, zone, guarded_key(session)));
	answers(CKR_ATTRIBUTE_READ_ONLY, trust(session, zone, false));
	check(p11->C_Finalize(NULL));
	token_configure("");
	check(initialize());
}

int rules_trusted(void)
{
	const struct CMUnitTest tests[] = {
		in_session(only_a_trusted_zone_wraps_a_key_that_asks_for_one),
		in_session(of_keys_a_zone_alone_is_trusted),
		in_session(what_asks_for_a_trusted_key_goes_on_asking),
		in_session(a_copy_of_a_trusted_certificate_is_not_trusted),
		cmocka_unit_test(the_security_officer_says_which_zone_is_trusted),
	};

	return run_group("trusted", tests, token_setup, token_teardown);
}
