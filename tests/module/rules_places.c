/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where a data key that stays in the token goes: the first of its template, the zone that it comes
 * from, its label, the configuration. */
#include "rules.h"

#include <stdio.h>

enum { ID = 8 };

static void id_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_BYTE ret_id[static ID])
{
	memset(ret_id, 0, ID);
	assert_int_equal(attribute_bytes(session, object, CKA_CMEK_ZONE, ret_id, ID), ID);
}

static void is_in(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE zone)
{
	CK_BYTE ids[2][ID];

	id_of(session, key, ids[0]);
	id_of(session, zone, ids[1]);
	assert_memory_equal(ids[0], ids[1], ID);
}

static struct template *kept(const char *label)
{
	struct template *t = with_bool(template_new(), CKA_TOKEN, true);

	with_bool(with_number(t, CKA_VALUE_LEN, 32), CKA_EXTRACTABLE, true);
	return with_text(t, CKA_LABEL, label);
}

/* As a program that knows nothing of zones says it. */
static CK_OBJECT_HANDLE keep(CK_SESSION_HANDLE session, const char *label)
{
	return key_generate(session, kept(label));
}

static CK_RV try_to_keep(CK_SESSION_HANDLE session, const char *label)
{
	struct template *t = kept(label);
	CK_OBJECT_HANDLE key;

	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key);
}

static CK_OBJECT_HANDLE zone_of(CK_SESSION_HANDLE session, const char *label)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	if (objects_count(session, with_text(t, CKA_LABEL, label)) == 0)
		zone_generate(session, label);
	return labelled(session, label);
}

static void a_label_says_where_a_key_goes(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_of(session, "default/orders"), key, other;
	CK_BYTE wrapped[64];

	other = zone_of(session, "default/users");
	key = keep(session, "default/orders/one");
	is_in(session, key, zone);
	is_in(session, keep(session, "default/users/one"), other);
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, key, wrapped,
		      &(CK_ULONG){sizeof(wrapped)}));
	answers(CKR_KEY_NOT_WRAPPABLE, wrap_by(session, mechanism(CKM_AES_KEY_WRAP), other, key,
					       wrapped, &(CK_ULONG){sizeof(wrapped)}));
}

static void a_database_that_is_not_there_takes_no_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_of(session, "default/gone");

	fails_for(CMEK_ERROR_NOT_FOUND, session, try_to_keep(session, "default/nobody/one"));
	check(p11->C_DestroyObject(session, zone));
	fails_for(CMEK_ERROR_PENDING_DELETION, session, try_to_keep(session, "default/gone/one"));
}

static void the_template_and_the_stamp_come_before_the_label(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE orders = zone_of(session, "default/orders"), key, copy;
	struct template *t = kept("default/users/named");
	CK_OBJECT_HANDLE users = zone_of(session, "default/users");
	CK_BYTE wrapped[64], id[ID];
	CK_ULONG len = sizeof(wrapped);

	id_of(session, orders, id);
	is_in(session, key_generate(session, with(t, CKA_CMEK_ZONE, id, ID)), orders);
	key = known_key(session);
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), orders, key, wrapped, &len));
	t = with_text(with_bool(template_new(), CKA_TOKEN, true), CKA_LABEL, "default/users/copy");
	check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	is_in(session, copy, orders);
	t = with_number(with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY), CKA_KEY_TYPE,
			CKK_AES);
	with_text(with_bool(t, CKA_TOKEN, true), CKA_LABEL, "default/users/unwrapped");
	check(p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), orders, wrapped, len, t->rows,
			       t->count, &key));
	is_in(session, key, orders);
	is_in(session, keep(session, "default/users/last"), users);
}

static void keys_of_every_way_in_follow_their_labels(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE orders = zone_of(session, "default/orders"), key, copy;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);

	with_text(with(t, CKA_VALUE, known_value, 32), CKA_LABEL, "default/orders/imported");
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	is_in(session, key, orders);
	t = with_text(with_bool(template_new(), CKA_TOKEN, true), CKA_LABEL, "default/orders/copy");
	check(p11->C_CopyObject(session, known_key(session), t->rows, t->count, &copy));
	is_in(session, copy, orders);
}

static void the_configured_database_takes_what_names_none(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	check(p11->C_Finalize(NULL));
	token_configure("[zones]\ndefault = default/users\n");
	check(initialize());
	session = session_new();
	zone_of(session, "default/orders");
	is_in(session, keep(session, "no database"), zone_of(session, "default/users"));
	is_in(session, keep(session, "default/orders/two"), zone_of(session, "default/orders"));
	check(p11->C_CloseSession(session));
	check(p11->C_Finalize(NULL));
	token_configure("[zones]\ndefault = users\n");
	answers(CKR_FUNCTION_FAILED, initialize());
	token_configure("");
	check(initialize());
}

static void without_any_name_default_is_made(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_OBJECT_HANDLE key;

	(void)state;
	zone_of(session, "default/orders");
	zone_of(session, "default/users");
	key = keep(session, "no name");
	is_in(session, key, labelled(session, "default/default"));
	check(p11->C_CloseSession(session));
}

int rules_places(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_label_says_where_a_key_goes),
		in_session(a_database_that_is_not_there_takes_no_key),
		in_session(the_template_and_the_stamp_come_before_the_label),
		in_session(keys_of_every_way_in_follow_their_labels),
		cmocka_unit_test(the_configured_database_takes_what_names_none),
		cmocka_unit_test(without_any_name_default_is_made),
	};

	return run_group("places", tests, token_setup, token_teardown);
}
