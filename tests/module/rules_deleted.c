/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A database that was deleted: refused by every way in, with that reason, until it is restored;
 * then all that was open works again. */
#include "rules.h"

enum { WRAPPED_MAX = 256 };

/* All that leads into a zone. */
static struct ways_in {
	CK_OBJECT_HANDLE zone, by_record; /* its EZK, and one that came with an envelope */
	CK_OBJECT_HANDLE dek, dek_by_record, copy, base, derived, wrapped_once;
	CK_OBJECT_HANDLE token_key, unused_token_key;
	CK_BYTE id[8];
	CK_BYTE set[8192], wrapped[WRAPPED_MAX];
	CK_ULONG set_len, wrapped_len;
} in;

static CK_RV open_set(CK_SESSION_HANDLE session, bool token, CK_OBJECT_HANDLE *ret_zone)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, token);
	if (token)
		with_text(t, CKA_LABEL, "back");
	return p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), default_root_key(session), in.set,
				in.set_len, t->rows, t->count, ret_zone);
}

static CK_OBJECT_HANDLE token_key_make(CK_SESSION_HANDLE session, CK_RV *ret_rv)
{
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

	with(t, CKA_CMEK_ZONE, in.id, sizeof(in.id));
	with_number(t, CKA_VALUE_LEN, 32);
	*ret_rv = p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key);
	return key;
}

static CK_RV derive_from(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE base,
			 CK_OBJECT_HANDLE *ret_key)
{
	CK_BYTE info[] = "info";
	CK_HKDF_PARAMS params = {.bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA256,
				 .ulSaltType = CKF_HKDF_SALT_NULL,
				 .pInfo = info,
				 .ulInfoLen = 4};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	return p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &params, sizeof(params)),
				base, t->rows, t->count, ret_key);
}

static CK_RV encrypt(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_BYTE block[16] = {0};
	CK_RV rv = p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key);

	return rv != CKR_OK ? rv : p11->C_Encrypt(session, block, 16, block, &(CK_ULONG){16});
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key)
{
	CK_BYTE wrapped[WRAPPED_MAX];

	return wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), by, key, wrapped,
		       &(CK_ULONG){sizeof(wrapped)});
}

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by)
{
	CK_OBJECT_HANDLE key;

	return unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), by, in.wrapped, in.wrapped_len,
			 &key);
}

static void open_all_ways(CK_SESSION_HANDLE session)
{
	CK_RV rv;

	in.zone = some_zone(session);
	attribute_bytes(session, in.zone, CKA_CMEK_ZONE, in.id, sizeof(in.id));
	in.set_len = sizeof(in.set);
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), in.zone, in.set,
		      &in.set_len));
	check(open_set(session, false, &in.by_record));
	in.wrapped_len = sizeof(in.wrapped);
	in.wrapped_once = known_key(session);
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), in.zone, in.wrapped_once, in.wrapped,
		      &in.wrapped_len));
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), in.zone, in.wrapped, in.wrapped_len,
			&in.dek));
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), in.by_record, in.wrapped,
			in.wrapped_len, &in.dek_by_record));
	check(p11->C_CopyObject(session, in.dek_by_record, NULL, 0, &in.copy));
	in.base = key_import(session, CKK_GENERIC_SECRET, known_value, 32);
	check(wrap(session, in.by_record, in.base));
	check(derive_from(session, in.base, &in.derived));
	in.token_key = token_key_make(session, &rv);
	check(rv);
	in.unused_token_key = token_key_make(session, &rv);
	check(rv);
	check(encrypt(session, in.token_key));
}

/* --- Each way, on one session */

static CK_RV zone_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.zone);
}

static CK_RV zone_wraps(CK_SESSION_HANDLE session)
{
	return wrap(session, in.zone, known_key(session));
}

static CK_RV zone_unwraps(CK_SESSION_HANDLE session)
{
	return unwrap(session, in.zone);
}

static CK_RV record_opens(CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE zone;

	return open_set(session, false, &zone);
}

static CK_RV record_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.by_record);
}

static CK_RV record_wraps(CK_SESSION_HANDLE session)
{
	return wrap(session, in.by_record, known_key(session));
}

static CK_RV record_unwraps(CK_SESSION_HANDLE session)
{
	return unwrap(session, in.by_record);
}

static CK_RV dek_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.dek);
}

static CK_RV dek_of_record_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.dek_by_record);
}

static CK_RV dek_of_record_is_wrapped_again(CK_SESSION_HANDLE session)
{
	return wrap(session, in.by_record, in.dek_by_record);
}

static CK_RV dek_of_record_wraps(CK_SESSION_HANDLE session)
{
	CK_BYTE wrapped[WRAPPED_MAX];

	return wrap_by(session, mechanism(CKM_AES_KEY_WRAP), in.dek_by_record, in.copy, wrapped,
		       &(CK_ULONG){sizeof(wrapped)});
}

static CK_RV base_derives(CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE key;

	return derive_from(session, in.base, &key);
}

static CK_RV dek_that_was_wrapped_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.wrapped_once);
}

static CK_RV value_is_read(CK_SESSION_HANDLE session)
{
	CK_BYTE value[32];
	CK_ATTRIBUTE row = {CKA_VALUE, value, sizeof(value)};

	return p11->C_GetAttributeValue(session, in.wrapped_once, &row, 1);
}

static CK_RV it_is_digested(CK_SESSION_HANDLE session)
{
	CK_BYTE digest[32];
	CK_RV rv;

	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	rv = p11->C_DigestKey(session, in.wrapped_once);
	if (rv == CKR_OK)
		check(p11->C_DigestFinal(session, digest, &(CK_ULONG){sizeof(digest)}));
	return rv;
}

static CK_RV it_becomes_a_token_key(CK_SESSION_HANDLE session)
{
	struct template *t = with_bool(template_new(), CKA_TOKEN, true);
	CK_OBJECT_HANDLE key;

	return p11->C_CopyObject(session, in.wrapped_once, t->rows, t->count, &key);
}

static CK_RV copy_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.copy);
}

static CK_RV derived_key_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.derived);
}

static CK_RV token_key_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.token_key);
}

static CK_RV unused_token_key_encrypts(CK_SESSION_HANDLE session)
{
	return encrypt(session, in.unused_token_key);
}

static CK_RV token_key_is_made(CK_SESSION_HANDLE session)
{
	CK_RV rv;

	token_key_make(session, &rv);
	return rv;
}

static const struct {
	const char *name;
	CK_RV (*go)(CK_SESSION_HANDLE session);
} ways[] = {
	{"the database's key encrypts", zone_encrypts},
	{"it wraps a new DEK", zone_wraps},
	{"it unwraps", zone_unwraps},
	{"its record opens", record_opens},
	{"what was opened by the record encrypts", record_encrypts},
	{"it wraps a new DEK", record_wraps},
	{"it unwraps", record_unwraps},
	{"a DEK that was unwrapped encrypts", dek_encrypts},
	{"one that was unwrapped by the record encrypts", dek_of_record_encrypts},
	{"it is wrapped again", dek_of_record_is_wrapped_again},
	{"it wraps", dek_of_record_wraps},
	{"a key is derived from one that was wrapped", base_derives},
	{"a DEK that was wrapped encrypts", dek_that_was_wrapped_encrypts},
	{"its value is read", value_is_read},
	{"it is digested", it_is_digested},
	{"it becomes a token key", it_becomes_a_token_key},
	{"a copy encrypts", copy_encrypts},
	{"a key that was derived encrypts", derived_key_encrypts},
	{"a token key that was used encrypts", token_key_encrypts},
	{"one that was not used encrypts", unused_token_key_encrypts},
	{"another is made", token_key_is_made},
};

static void all_open(CK_SESSION_HANDLE session)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		CK_RV rv = ways[i].go(session);

		if (rv != CKR_OK)
			fail_msg("%s: %s", ways[i].name, rv_name(rv));
	}
}

static void none_opens(CK_SESSION_HANDLE session)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		CK_RV rv = ways[i].go(session);

		if (rv == CKR_OK || last_error(session) != CMEK_ERROR_PENDING_DELETION)
			fail_msg("%s: %s, reason %lu", ways[i].name, rv_name(rv),
				 last_error(session));
	}
}

static void set_active(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone)
{
	struct template *t = with_number(template_new(), CKA_CMEK_STATE, CMEK_STATE_ACTIVE);

	check(p11->C_SetAttributeValue(session, zone, t->rows, t->count));
}

static void a_deleted_database_is_refused_by_every_way_in_until_it_is_restored(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();

	open_all_ways(session);
	all_open(session);
	check(p11->C_DestroyObject(other, in.zone));
	none_opens(session);
	set_active(other, in.zone);
	all_open(session);
	check(p11->C_CloseSession(other));
}

static void operations_under_way_end_at_their_next_part(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE block[16] = {0};
	CK_OBJECT_HANDLE keys[4];

	for (size_t i = 0; i < 4; i++) {
		open_all_ways(session);
		memcpy(keys, (CK_OBJECT_HANDLE[]){in.zone, in.by_record, in.dek_by_record, in.copy},
		       sizeof(keys));
		check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), keys[i]));
		check(p11->C_EncryptUpdate(session, block, 16, block, &(CK_ULONG){16}));
		check(p11->C_DestroyObject(session, in.zone));
		answers(CKR_FUNCTION_FAILED,
			p11->C_EncryptUpdate(session, block, 16, block, &(CK_ULONG){16}));
		assert_int_equal(last_error(session), CMEK_ERROR_PENDING_DELETION);
	}
}

/* Only a restore that names it does. */
static void a_record_set_does_not_bring_a_deleted_database_back(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone;

	open_all_ways(session);
	fails_for(CMEK_ERROR_EXISTS, session, open_set(session, true, &zone));
	check(p11->C_DestroyObject(session, in.zone));
	fails_for(CMEK_ERROR_PENDING_DELETION, session, open_set(session, true, &zone));
	set_active(session, in.zone);
	fails_for(CMEK_ERROR_EXISTS, session, open_set(session, true, &zone));
}

int rules_deleted(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_deleted_database_is_refused_by_every_way_in_until_it_is_restored),
		in_session(operations_under_way_end_at_their_next_part),
		in_session(a_record_set_does_not_bring_a_deleted_database_back),
	};

	return run_group("rules: deleted databases", tests, token_setup, token_teardown);
}
