/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a search finds: stock programs see nothing but what they know. */
#include "rules.h"

#include <stdio.h>

static CK_OBJECT_HANDLE some_cluster(CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE root = default_root_key(session), cluster;
	static unsigned count;
	char arn[512], label[16];

	snprintf(label, sizeof(label), "seen-%u", count++);
	arn[attribute_bytes(session, root, CKA_CMEK_ROOT_KEY, arn, sizeof(arn) - 1)] = 0;
	check(cluster_add(session, label, "local", "local", arn, &cluster));
	return cluster;
}

static bool finds(CK_SESSION_HANDLE session, struct template *t, CK_OBJECT_HANDLE wanted)
{
	CK_OBJECT_HANDLE found[64];
	CK_ULONG count;
	bool has = false;

	check(p11->C_FindObjectsInit(session, t->rows, t->count));
	do {
		check(p11->C_FindObjects(session, found, 64, &count));
		for (CK_ULONG i = 0; i < count; i++)
			has |= found[i] == wanted;
	} while (count > 0);
	check(p11->C_FindObjectsFinal(session));
	return has;
}

static void a_search_for_everything_finds_standard_classes_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found[64], zone = some_zone(session);
	struct template *everything = template_new();
	CK_ULONG count;

	some_cluster(session);
	assert_true(finds(session, everything, zone));
	check(p11->C_FindObjectsInit(session, NULL, 0));
	do {
		check(p11->C_FindObjects(session, found, 64, &count));
		for (CK_ULONG i = 0; i < count; i++)
			assert_int_equal(attribute_number(session, found[i], CKA_CLASS),
					 CKO_SECRET_KEY);
	} while (count > 0);
	check(p11->C_FindObjectsFinal(session));
}

static void a_cluster_is_found_by_its_class_or_a_vendor_attribute(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE cluster = some_cluster(session);
	struct template *t = template_new();
	char label[64];

	label[attribute_bytes(session, cluster, CKA_LABEL, label, sizeof(label) - 1)] = 0;
	assert_false(finds(session, with_text(t, CKA_LABEL, label), cluster));
	assert_false(finds(session, with_bool(t, CKA_TOKEN, true), cluster));
	assert_true(finds(session, with_text(t, CKA_CMEK_PROVIDER, "local"), cluster));
	t = with_number(template_new(), CKA_CMEK_STATE, CMEK_STATE_ACTIVE);
	assert_true(finds(session, t, cluster));
	t = with_number(template_new(), CKA_CLASS, CKO_CMEK_CLUSTER);
	assert_true(finds(session, t, cluster));
	t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	assert_false(finds(session, with_text(t, CKA_CMEK_PROVIDER, "local"), cluster));
}

static struct template *profile(void)
{
	return with_number(template_new(), CKA_CLASS, CKO_PROFILE);
}

static void the_token_names_its_profile(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found = object_find(session, profile());
	CK_BYTE uid[64];

	assert_int_equal(attribute_number(session, found, CKA_CLASS), CKO_PROFILE);
	assert_int_equal(attribute_number(session, found, CKA_PROFILE_ID), CKP_BASELINE_PROVIDER);
	assert_true(attribute_bool(session, found, CKA_TOKEN));
	assert_false(attribute_bool(session, found, CKA_PRIVATE));
	assert_int_equal(attribute_bytes(session, found, CKA_UNIQUE_ID, uid, sizeof(uid)), 32);
	assert_int_equal(object_find(session, with(template_new(), CKA_UNIQUE_ID, uid, 32)), found);
}

static void a_profile_is_found_only_by_its_class_or_id(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found = object_find(session, profile());
	struct template *t = with_number(template_new(), CKA_PROFILE_ID, CKP_BASELINE_PROVIDER);

	assert_int_equal(object_find(session, t), found);
	assert_false(finds(session, template_new(), found));
	assert_false(finds(session, with_bool(template_new(), CKA_TOKEN, true), found));
	t = with_number(profile(), CKA_PROFILE_ID, CKP_EXTENDED_PROVIDER);
	assert_int_equal(objects_count(session, t), 0);
	assert_int_equal(objects_count(session, with_bool(profile(), CKA_TOKEN, false)), 0);
}

static void a_profile_is_not_made_changed_or_destroyed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE found = object_find(session, profile()), made;
	struct template *t = with_text(template_new(), CKA_LABEL, "mine");

	answers(CKR_ACTION_PROHIBITED, p11->C_SetAttributeValue(session, found, t->rows, t->count));
	answers(CKR_ACTION_PROHIBITED, p11->C_CopyObject(session, found, NULL, 0, &made));
	answers(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(session, found));
	answers(CKR_KEY_HANDLE_INVALID, p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), found));
	t = profile();
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		p11->C_CreateObject(session, t->rows, t->count, &made));
}

int rules_search(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_search_for_everything_finds_standard_classes_alone),
		in_session(a_cluster_is_found_by_its_class_or_a_vendor_attribute),
		in_session(the_token_names_its_profile),
		in_session(a_profile_is_found_only_by_its_class_or_id),
		in_session(a_profile_is_not_made_changed_or_destroyed),
	};

	return run_group("search", tests, token_setup, token_teardown);
}
