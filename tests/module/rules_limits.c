/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a zone was made for stands in its EZK record, and holds wherever that is brought. */
#include "rules.h"

#include <stdio.h>

static const CK_MECHANISM_TYPE two_mechanisms[] = {CKM_CMEK_DEK_WRAP, CKM_AES_GCM};

/* It wraps, unwraps and decrypts, by two mechanisms; what it unwraps is sensitive; and it wraps
 * keys of 32 bytes. */
static CK_OBJECT_HANDLE limited_zone(CK_SESSION_HANDLE session)
{
	static CK_BBOOL yes = CK_TRUE;
	static CK_ULONG len = 32;
	static int number;
	CK_ATTRIBUTE unwrap[] = {{CKA_SENSITIVE, &yes, sizeof(yes)}};
	CK_ATTRIBUTE wrap[] = {{CKA_VALUE_LEN, &len, sizeof(len)}};
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	char label[32];

	snprintf(label, sizeof(label), "limited %d", ++number);
	with_text(t, CKA_LABEL, label);
	with_number(t, CKA_VALUE_LEN, 32);
	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_bool(t, CKA_ENCRYPT, false);
	with(t, CKA_ALLOWED_MECHANISMS, two_mechanisms, sizeof(two_mechanisms));
	with(t, CKA_UNWRAP_TEMPLATE, unwrap, sizeof(unwrap));
	return key_generate(session, with(t, CKA_WRAP_TEMPLATE, wrap, sizeof(wrap)));
}

struct set {
	CK_BYTE bytes[8192];
	CK_ULONG len;
};

static void export_zone(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, struct set *set)
{
	set->len = sizeof(set->bytes);
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), zone, set->bytes,
		      &set->len));
}

static CK_RV visit_as(CK_SESSION_HANDLE session, struct set *set, struct template *t,
		      CK_OBJECT_HANDLE *ret_zone)
{
	return p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), default_root_key(session),
				set->bytes, set->len, t->rows, t->count, ret_zone);
}

/* A template that wishes for everything. */
static struct template *greedy(void)
{
	return with_bool(with_bool(aes_template(), CKA_TOKEN, false), CKA_EXTRACTABLE, false);
}

static CK_OBJECT_HANDLE visitor_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone,
				   struct template *t)
{
	CK_OBJECT_HANDLE visitor;
	struct set set;

	export_zone(session, zone, &set);
	check(visit_as(session, &set, t, &visitor));
	return visitor;
}

static CK_RV unwrap_as(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_BYTE *wrapped,
		       CK_ULONG len, bool sensitive, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = with_bool(aes_template(), CKA_SENSITIVE, sensitive);

	return p11->C_UnwrapKey(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, t->rows,
				t->count, ret_key);
}

static void is_limited(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone)
{
	CK_BYTE data[64] = {0}, wrapped[256];
	CK_ULONG len = sizeof(wrapped), ignored = sizeof(data);
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 16);
	CK_OBJECT_HANDLE key, small = key_generate(session, t);

	assert_false(attribute_bool(session, zone, CKA_ENCRYPT));
	assert_true(attribute_bool(session, zone, CKA_UNWRAP));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11->C_EncryptInit(session, fitting(CKM_AES_GCM), zone));
	answers(CKR_MECHANISM_INVALID, p11->C_DecryptInit(session, fitting(CKM_AES_CBC), zone));
	answers(CKR_MECHANISM_INVALID, wrap_by(session, fitting(CKM_AES_KEY_WRAP_KWP), zone,
					       known_key(session), data, &ignored));
	answers(CKR_KEY_HANDLE_INVALID,
		wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, small, data, &ignored));
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, known_key(session), wrapped,
		      &len));
	answers(CKR_TEMPLATE_INCONSISTENT, unwrap_as(session, zone, wrapped, len, false, &key));
	check(unwrap_as(session, zone, wrapped, len, true, &key));
	assert_true(attribute_bool(session, key, CKA_SENSITIVE));
}

static void a_zone_in_a_session_is_no_more_than_the_zone_was(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor;
	CK_MECHANISM_TYPE allowed[4];

	is_limited(session, zone);
	visitor = visitor_of(session, zone, greedy());
	is_limited(session, visitor);
	/* In the order of the record. */
	assert_int_equal(
		attribute_bytes(session, visitor, CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed)),
		sizeof(two_mechanisms));
	assert_int_equal(allowed[0], CKM_AES_GCM);
	assert_int_equal(allowed[1], CKM_CMEK_DEK_WRAP);
}

static void the_template_that_brings_a_zone_can_only_narrow_it(void **state)
{
	static const CK_MECHANISM_TYPE wished[] = {CKM_AES_CBC, CKM_AES_GCM};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor, key;
	CK_MECHANISM_TYPE allowed[4];
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, known_key(session), wrapped,
		      &len));
	visitor = visitor_of(session, zone,
			     with(with_bool(greedy(), CKA_WRAP, false), CKA_ALLOWED_MECHANISMS,
				  wished, sizeof(wished)));
	assert_int_equal(
		attribute_bytes(session, visitor, CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed)),
		sizeof(*allowed));
	assert_int_equal(allowed[0], CKM_AES_GCM);
	assert_false(attribute_bool(session, visitor, CKA_WRAP));
	answers(CKR_MECHANISM_INVALID, unwrap_as(session, visitor, wrapped, len, true, &key));
	/* Nothing in common: it does nothing. */
	visitor = visitor_of(session, zone,
			     with(greedy(), CKA_ALLOWED_MECHANISMS, wished, sizeof(*wished)));
	assert_false(attribute_bool(session, visitor, CKA_DECRYPT));
	assert_false(attribute_bool(session, visitor, CKA_UNWRAP));
	fails(p11->C_DecryptInit(session, fitting(CKM_AES_GCM), visitor));
	fails(p11->C_DecryptInit(session, fitting(CKM_AES_CBC), visitor));
}

static CK_RV set_usage(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_ATTRIBUTE_TYPE usage,
		       bool value)
{
	struct template *t = with_bool(template_new(), usage, value);

	return p11->C_SetAttributeValue(session, zone, t->rows, t->count);
}

static void a_zone_is_narrowed_and_not_widened(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor;

	visitor = visitor_of(session, zone, greedy());
	answers(CKR_ATTRIBUTE_READ_ONLY, set_usage(session, zone, CKA_ENCRYPT, true));
	assert_int_equal(last_error(session), CMEK_ERROR_INVALID);
	answers(CKR_ATTRIBUTE_READ_ONLY, set_usage(session, visitor, CKA_ENCRYPT, true));
	check(set_usage(session, visitor, CKA_WRAP, false));
	assert_false(attribute_bool(session, visitor, CKA_WRAP));
	assert_true(attribute_bool(session, zone, CKA_WRAP));
	/* What it was made for may be given back. */
	check(set_usage(session, zone, CKA_WRAP, false));
	check(set_usage(session, zone, CKA_WRAP, true));
	assert_true(attribute_bool(session, zone, CKA_WRAP));
	is_limited(session, zone);
}

static void what_the_store_narrows_holds_in_sessions_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor, key;
	struct template *t;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, known_key(session), wrapped,
		      &len));
	visitor = visitor_of(session, zone, greedy());
	check(unwrap_as(session, visitor, wrapped, len, true, &key));
	check(set_usage(session, zone, CKA_UNWRAP, false));
	assert_false(attribute_bool(session, visitor, CKA_UNWRAP));
	answers(CKR_ATTRIBUTE_READ_ONLY, set_usage(session, visitor, CKA_UNWRAP, true));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		unwrap_as(session, visitor, wrapped, len, true, &key));
	/* No search shows another state. */
	t = with_bool(with_bool(template_new(), CKA_UNWRAP, true), CKA_TOKEN, false);
	assert_int_equal(objects_count(session, with_number(t, CKA_CMEK_VERSION, 1)), 0);
	check(set_usage(session, zone, CKA_UNWRAP, true));
	check(unwrap_as(session, visitor, wrapped, len, true, &key));
}

static CK_RV zone_of_mechanisms(CK_SESSION_HANDLE session, const char *label,
				const CK_MECHANISM_TYPE *types, CK_ULONG count)
{
	struct template *t = with_text(aes_template(), CKA_LABEL, label);
	CK_OBJECT_HANDLE zone;

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_number(t, CKA_VALUE_LEN, 32);
	with(t, CKA_ALLOWED_MECHANISMS, types, count * sizeof(*types));
	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &zone);
}

static void more_limits_than_a_record_holds_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG before = objects_count(session, template_new());
	CK_MECHANISM_TYPE types[126], same[126];

	/* 1024 bytes, of which the lengths of leases take 14. */
	for (CK_ULONG i = 0; i < 126; i++) {
		types[i] = 1000 + i;
		same[i] = CKM_AES_GCM;
	}
	answers(CKR_ATTRIBUTE_VALUE_INVALID, zone_of_mechanisms(session, "much", types, 126));
	assert_int_equal(last_error(session), CMEK_ERROR_INVALID);
	assert_int_equal(objects_count(session, template_new()), before);
	check(zone_of_mechanisms(session, "much", types, 125));
	check(zone_of_mechanisms(session, "much of the same", same, 126));
}

/* docs/format.md: 8 bytes of the set's head, then the record, whose limits begin at 98. */
static void a_record_without_one_of_its_limits_does_not_come_in(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor;
	CK_ULONG len;
	struct set set, changed;

	export_zone(session, zone, &set);
	len = (CK_ULONG)set.bytes[8 + 96] << 8 | set.bytes[8 + 97];
	assert_int_equal(len, 3 + 16 + 3 + 11 + 3 + 18 + 7 + 7);
	for (CK_ULONG at = 8 + 96; at < 8 + 98 + len; at++) {
		set.bytes[at] ^= 1;
		fails(visit_as(session, &set, greedy(), &visitor));
		set.bytes[at] ^= 1;
	}
	/* All but those of leases, and every length made right. */
	len -= 7 + 7;
	changed = set;
	memmove(changed.bytes + 8 + 98, changed.bytes + 8 + 98 + len, set.len - 8 - 98 - len);
	changed.len -= len;
	changed.bytes[8 + 96] = 0;
	changed.bytes[8 + 97] = 7 + 7;
	changed.bytes[8 + 6] = (CK_BYTE)((changed.len - 8) >> 8);
	changed.bytes[8 + 7] = (CK_BYTE)(changed.len - 8);
	fails_for(CMEK_ERROR_RECORD_CORRUPT, session,
		  visit_as(session, &changed, greedy(), &visitor));
	check(visit_as(session, &set, greedy(), &visitor));
}

static void a_limit_that_this_release_does_not_know_is_not_passed_over(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = limited_zone(session), visitor;
	struct set set;

	export_zone(session, zone, &set);
	set.bytes[8 + 98 + 3 + 16 + 3 + 11 + 3 + 18 + 7] = 200; /* the tag of the last */
	fails_for(CMEK_ERROR_RECORD_NEWER, session, visit_as(session, &set, greedy(), &visitor));
}

/* --- The greatest lease */

static struct template *zone_template(const char *label)
{
	struct template *t = with_text(aes_template(), CKA_LABEL, label);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	return with_number(t, CKA_VALUE_LEN, 32);
}

static CK_OBJECT_HANDLE bounded_zone(CK_SESSION_HANDLE session, const char *label,
				     CK_ULONG max_lease)
{
	return key_generate(session,
			    with_number(zone_template(label), CKA_CMEK_MAX_LEASE, max_lease));
}

static CK_RV generate(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	return p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key);
}

static void a_zone_says_its_greatest_lease_wherever_it_is(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = bounded_zone(session, "an hour", 3600), visitor;

	assert_int_equal(attribute_number(session, zone, CKA_CMEK_MAX_LEASE), 3600);
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_MAX_STALE), 86400);
	visitor = visitor_of(session, zone, greedy());
	assert_int_equal(attribute_number(session, visitor, CKA_CMEK_MAX_LEASE), 3600);
	assert_int_equal(attribute_number(session, visitor, CKA_CMEK_MAX_STALE), 86400);
	zone = key_generate(session,
			    with_number(zone_template("no outage"), CKA_CMEK_MAX_STALE, 0));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_MAX_LEASE), 86400);
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_MAX_STALE), 0);
}

static void a_greatest_lease_is_given_to_a_new_zone_and_to_nothing_else(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = bounded_zone(session, "a minute", 60), other;
	CK_ULONG before = objects_count(session, template_new());
	struct template *t = with_number(template_new(), CKA_CMEK_MAX_LEASE, 61);
	struct set set;

	answers(CKR_ATTRIBUTE_READ_ONLY,
		p11->C_SetAttributeValue(session, zone, t->rows, t->count));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_MAX_LEASE), 60);
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		generate(session, with_number(zone_template("long"), CKA_CMEK_MAX_LEASE,
					      CMEK_LEASE_BOUND_MAX + 1)));
	answers(CKR_ATTRIBUTE_VALUE_INVALID,
		generate(session, with_number(zone_template("long"), CKA_CMEK_MAX_STALE,
					      (CK_ULONG)1 << 32)));
	t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	answers(CKR_TEMPLATE_INCONSISTENT,
		generate(session, with_number(t, CKA_CMEK_MAX_STALE, 60)));
	export_zone(session, zone, &set);
	answers(CKR_TEMPLATE_INCONSISTENT,
		visit_as(session, &set, with_number(greedy(), CKA_CMEK_MAX_LEASE, 60), &other));
	t = with(with_number(aes_template(), CKA_CMEK_MAX_LEASE, 60), CKA_VALUE, known_value, 32);
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_CreateObject(session, t->rows, t->count, &other));
	assert_int_equal(objects_count(session, template_new()), before);
}

/* The embedded KMS's key, by other hands than this process's. */
static void disable_all_keys(void)
{
	char path[4200], keys[65536] = "", *at;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/local.keys", token_folder());
	file = fopen(path, "r+");
	assert_non_null(file);
	len = fread(keys, 1, sizeof(keys) - 1, file);
	keys[len] = '\0';
	rewind(file);
	while ((at = strstr(keys, "\"Enabled\"")) != NULL) {
		memmove(at + 10, at + 9, strlen(at + 9) + 1);
		memcpy(at, "\"Disabled\"", 10);
	}
	assert_int_equal(fputs(keys, file) >= 0 && fclose(file) == 0, 1);
}

static CK_RV encrypts(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone)
{
	CK_BYTE block[16] = {0};
	CK_RV rv = p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), zone);

	return rv != CKR_OK ? rv : p11->C_Encrypt(session, block, 16, block, &(CK_ULONG){16});
}

/* Of two zones under one root key one may be used for a day, and the other asks. */
static void a_record_of_0_outdoes_a_week_in_the_configuration(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE usual, asks;

	p11->C_Finalize(NULL);
	token_configure("lease_seconds = 604800\n");
	check(initialize());
	session = session_new();
	usual = some_zone(session);
	asks = bounded_zone(session, "asks", 0);
	check(encrypts(session, usual));
	check(encrypts(session, asks));
	disable_all_keys();
	check(encrypts(session, usual));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypts(session, asks));
	assert_int_equal(last_error(session), CMEK_ERROR_KMS_DISABLED);
	/* Which is a no about the key, and so ends the other's lease. */
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, encrypts(session, usual));
	p11->C_Finalize(NULL);
	token_configure("");
	check(initialize());
	*state = (void *)session_new();
}

int rules_limits(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_zone_in_a_session_is_no_more_than_the_zone_was),
		in_session(the_template_that_brings_a_zone_can_only_narrow_it),
		in_session(a_zone_is_narrowed_and_not_widened),
		in_session(what_the_store_narrows_holds_in_sessions_too),
		in_session(more_limits_than_a_record_holds_are_refused),
		in_session(a_record_without_one_of_its_limits_does_not_come_in),
		in_session(a_limit_that_this_release_does_not_know_is_not_passed_over),
		in_session(a_zone_says_its_greatest_lease_wherever_it_is),
		in_session(a_greatest_lease_is_given_to_a_new_zone_and_to_nothing_else),
		/* The last: its key stays disabled. */
		in_session(a_record_of_0_outdoes_a_week_in_the_configuration),
	};

	return run_group("limits", tests, token_setup, token_teardown);
}
