/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a zone's key: rotation, the raw version, the fence. */
#include "rules.h"

#include <stdio.h>

static CK_RV set(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_ATTRIBUTE_TYPE type,
		 CK_ULONG number)
{
	struct template *t = with_number(template_new(), type, number);

	return p11->C_SetAttributeValue(session, zone, t->rows, t->count);
}

struct wrapped {
	CK_BYTE bytes[128];
	CK_ULONG len;
};

static struct wrapped wrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_OBJECT_HANDLE key)
{
	struct wrapped wrapped = {.len = sizeof(wrapped.bytes)};

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped.bytes,
		      &wrapped.len));
	return wrapped;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, struct wrapped *wrapped)
{
	CK_OBJECT_HANDLE key;

	return unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped->bytes, wrapped->len,
			 &key);
}

/* docs/format.md, 4. */
static CK_ULONG version_of(const struct wrapped *wrapped)
{
	return wrapped->bytes[19];
}

static void a_session_wraps_by_the_new_version_at_once(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session), others;
	struct wrapped old = wrap(session, zone, key), new;

	others = known_key(other);
	wrap(other, zone, others); /* the other session has the zone's key ready, too */
	assert_int_equal(version_of(&old), 1);
	check(set(session, zone, CKA_CMEK_VERSION, 2));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_VERSION), 2);
	new = wrap(session, zone, key);
	assert_int_equal(version_of(&new), 2);
	new = wrap(other, zone, others);
	assert_int_equal(version_of(&new), 2);
	check(unwrap(session, zone, &old));
	check(unwrap(session, zone, &new));
	check(p11->C_CloseSession(other));
}

static void only_the_next_version_is_made(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);

	check(set(session, zone, CKA_CMEK_VERSION, 2));
	fails_for(CMEK_ERROR_ROTATED, session, set(session, zone, CKA_CMEK_VERSION, 2));
	fails_for(CMEK_ERROR_INVALID, session, set(session, zone, CKA_CMEK_VERSION, 4));
	fails_for(CMEK_ERROR_INVALID, session, set(session, zone, CKA_CMEK_VERSION, 0));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		set(session, zone, CKA_CMEK_VERSION, (CK_ULONG)UINT32_MAX + 3));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_VERSION), 2);
}

static void each_of_them_is_set_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	struct template *t = with_number(template_new(), CKA_CMEK_VERSION, 2);

	with_text(t, CKA_LABEL, "two at a time");
	answers(CKR_TEMPLATE_INCONSISTENT,
		p11->C_SetAttributeValue(session, zone, t->rows, t->count));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_VERSION), 1);
	/* And is a zone's alone. */
	fails(set(session, known_key(session), CKA_CMEK_ROTATE_DAYS, 1));
}

static void raw_mechanisms_stay_until_they_are_moved(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session), back;
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);
	CK_MECHANISM *kwp = mechanism(CKM_AES_KEY_WRAP_KWP);

	check(wrap_by(session, kwp, zone, key, wrapped, &len));
	check(set(session, zone, CKA_CMEK_VERSION, 2));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_RAW_VERSION), 1);
	check(unwrap_by(session, kwp, zone, wrapped, len, &back));
	assert_true(same_key(session, key, back));
	check(set(session, zone, CKA_CMEK_RAW_VERSION, 2));
	fails(unwrap_by(session, kwp, zone, wrapped, len, &back));
	check(set(session, zone, CKA_CMEK_RAW_VERSION, 1));
	check(unwrap_by(session, kwp, zone, wrapped, len, &back));
}

static void the_fence_denies_and_is_taken_back(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	struct wrapped old = wrap(session, zone, known_key(session));

	check(set(session, zone, CKA_CMEK_VERSION, 2));
	fails_for(CMEK_ERROR_IN_USE, session, set(session, zone, CKA_CMEK_MIN_VERSION, 2));
	check(set(session, zone, CKA_CMEK_RAW_VERSION, 2));
	check(set(session, zone, CKA_CMEK_MIN_VERSION, 2));
	fails_for(CMEK_ERROR_FENCED, session, unwrap(session, zone, &old));
	check(set(session, zone, CKA_CMEK_MIN_VERSION, 1));
	check(unwrap(session, zone, &old));
}

static void a_stored_key_is_wrapped_anew_by_the_primary_version(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session), kept;
	CK_BYTE id[8];
	struct template *t = template_new();

	attribute_bytes(session, zone, CKA_CMEK_ZONE, id, sizeof(id));
	with_bool(t, CKA_TOKEN, true);
	with(t, CKA_CMEK_ZONE, id, sizeof(id));
	with_bool(t, CKA_MODIFIABLE, false);
	check(p11->C_CopyObject(session, key, t->rows, t->count, &kept));
	assert_int_equal(attribute_number(session, kept, CKA_CMEK_WRAP_VERSION), 1);
	assert_int_equal(attribute_number(session, key, CKA_CMEK_WRAP_VERSION), 0);
	check(set(session, zone, CKA_CMEK_VERSION, 2));
	fails_for(CMEK_ERROR_INVALID, session, set(session, kept, CKA_CMEK_WRAP_VERSION, 3));
	check(set(session, kept, CKA_CMEK_WRAP_VERSION, 2));
	assert_int_equal(attribute_number(session, kept, CKA_CMEK_WRAP_VERSION), 2);
	assert_true(same_key(session, key, kept));
	answers(CKR_ATTRIBUTE_READ_ONLY, set(session, key, CKA_CMEK_WRAP_VERSION, 2));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		set(session, kept, CKA_CMEK_WRAP_VERSION, (CK_ULONG)UINT32_MAX + 3));
	check(p11->C_DestroyObject(session, kept));
}

static void a_zone_is_made_with_the_days_it_is_to_be_rotated_after(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE zone;

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_number(t, CKA_CMEK_ROTATE_DAYS, 90);
	check(p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &zone));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_ROTATE_DAYS), 90);
	check(set(session, zone, CKA_CMEK_ROTATE_DAYS, 0));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_ROTATE_DAYS), 0);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		set(session, zone, CKA_CMEK_ROTATE_DAYS, CMEK_ROTATE_DAYS_MAX + 1));
	with_number(t, CKA_CMEK_ROTATE_DAYS, CMEK_ROTATE_DAYS_MAX + 1);
	fails(p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &zone));
}

static struct template *zones_called(const char *names)
{
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	return with_text(t, CKA_CMEK_DATABASES, names);
}

static CK_RV make_zones(CK_SESSION_HANDLE session, struct template *t, CK_OBJECT_HANDLE *ret_first)
{
	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count,
				  ret_first);
}

static void many_zones_are_made_by_one_call_or_none(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE first, second, none = 0;

	some_zone(session); /* so that there is the cluster "default" */
	check(make_zones(session, zones_called("many-1\nmany-2"), &first));
	assert_int_equal(object_find(session, with_text(template_new(), CKA_LABEL, "many-1")),
			 first);
	second = object_find(session, with_text(template_new(), CKA_LABEL, "many-2"));
	assert_int_equal(attribute_number(session, second, CKA_CMEK_VERSION), 1);
	fails_for(CMEK_ERROR_EXISTS, session,
		  make_zones(session, zones_called("many-3\nmany-2"), &none));
	fails_for(CMEK_ERROR_EXISTS, session,
		  make_zones(session, zones_called("many-3\nmany-3\n"), &none));
	answers(CKR_TEMPLATE_INCONSISTENT,
		make_zones(session, with_text(zones_called("many-3"), CKA_LABEL, "many-4"), &none));
	/* That name is free. */
	check(make_zones(session, zones_called("many-3"), &none));
	check(p11->C_DestroyObject(session, none));
	check(p11->C_DestroyObject(session, first));
	check(p11->C_DestroyObject(session, second));
}

static void a_version_that_nobody_has_is_said_to_be_none(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	struct wrapped wrapped = wrap(session, zone, known_key(session));

	wrapped.bytes[19] = 9;
	fails_for(CMEK_ERROR_WRAPPED_KEY_INVALID, session, unwrap(session, zone, &wrapped));
}

static void versions_are_told_as_json(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	char text[2048] = "";

	check(set(session, zone, CKA_CMEK_VERSION, 2));
	attribute_bytes(session, zone, CKA_CMEK_VERSIONS, text, sizeof(text) - 1);
	assert_non_null(strstr(text, "\"version\": 2"));
	assert_non_null(strstr(text, "\"state\": \"active\", \"primary\": true, \"raw\": false"));
	assert_non_null(strstr(text, "\"root_keys\": [\"arn:local:"));
}

/* A record set has no store, and so no next version. */
static void a_zone_in_a_session_is_not_rotated(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), root = default_root_key(session), brought;
	CK_BYTE set_bytes[2048];
	CK_ULONG len = sizeof(set_bytes);

	check(set(session, zone, CKA_CMEK_VERSION, 2));
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, set_bytes, &len));
	check(import_set(session, set_bytes, len, false, &brought));
	answers(CKR_ATTRIBUTE_READ_ONLY, set(session, brought, CKA_CMEK_VERSION, 3));
	answers(CKR_ATTRIBUTE_READ_ONLY, set(session, brought, CKA_CMEK_ROTATE_DAYS, 3));
}

int rules_versions(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_session_wraps_by_the_new_version_at_once),
		in_session(only_the_next_version_is_made),
		in_session(each_of_them_is_set_alone),
		in_session(raw_mechanisms_stay_until_they_are_moved),
		in_session(the_fence_denies_and_is_taken_back),
		in_session(a_stored_key_is_wrapped_anew_by_the_primary_version),
		in_session(a_zone_is_made_with_the_days_it_is_to_be_rotated_after),
		in_session(many_zones_are_made_by_one_call_or_none),
		in_session(a_version_that_nobody_has_is_said_to_be_none),
		in_session(versions_are_told_as_json),
		in_session(a_zone_in_a_session_is_not_rotated),
	};

	return run_group("versions", tests, token_setup, token_teardown);
}
