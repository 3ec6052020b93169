/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that stay in the token: how they are stored opens by no mechanism, and what limits them
 * changes together with it. */
#include "rules.h"

#include <stdlib.h>

static struct template *in_zone(struct template *t, CK_SESSION_HANDLE session,
				CK_OBJECT_HANDLE zone)
{
	CK_BYTE id[8];

	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_ZONE, id, 8), 8);
	return with(with_bool(t, CKA_TOKEN, true), CKA_CMEK_ZONE, id, 8);
}

/* The known key, which may not be read and may not leave. */
static CK_OBJECT_HANDLE kept_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone,
				 const char *label)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(with_bool(t, CKA_SENSITIVE, true), CKA_EXTRACTABLE, false);
	with_text(with(t, CKA_VALUE, known_value, 32), CKA_LABEL, label);
	in_zone(t, session, zone);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

struct stored {
	CK_BYTE blob[128];
	CK_ULONG len;
};

static struct stored stored_form(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	struct stored stored;

	stored.len = attribute_bytes(session, key, CKA_CMEK_ENCRYPTED_KEY, stored.blob,
				     sizeof(stored.blob));
	assert_int_equal(stored.len, 96);
	assert_memory_equal(stored.blob, "CTKN\1\0\0\0", 8);
	return stored;
}

static bool is_stored_as(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
			 const struct stored *before)
{
	struct stored now = stored_form(session, key);

	return memcmp(now.blob, before->blob, now.len) == 0;
}

/* --- Opened by no mechanism */

static void does_not_unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE with_key,
			    CK_BYTE *blob, CK_ULONG len)
{
	CK_OBJECT_HANDLE key;

	if (unwrap_by(session, by, with_key, blob, len, &key) == CKR_OK)
		assert_false(same_key(session, key, known_key(session)));
}

/* What it is bound to, of what a caller can know of it: nothing, its id in two forms. */
static void does_not_unwrap_as_dek(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone,
				   CK_OBJECT_HANDLE key, struct stored stored)
{
	CK_BYTE text[32], uid[16];
	CK_OBJECT_HANDLE opened;

	assert_int_equal(attribute_bytes(session, key, CKA_UNIQUE_ID, text, 32), 32);
	for (size_t i = 0; i < sizeof(uid); i++) {
		char two[3] = {(char)text[2 * i], (char)text[2 * i + 1], 0};

		uid[i] = (CK_BYTE)strtoul(two, NULL, 16);
	}
	for (int magic = 0; magic < 2; magic++) {
		CK_MECHANISM *mechanisms[] = {
			mechanism(CKM_CMEK_DEK_WRAP),
			mechanism_with(CKM_CMEK_DEK_WRAP, uid, sizeof(uid)),
			mechanism_with(CKM_CMEK_DEK_WRAP, text, sizeof(text)),
		};

		for (size_t i = 0; i < sizeof(mechanisms) / sizeof(*mechanisms); i++)
			answers(CKR_WRAPPED_KEY_INVALID,
				unwrap_by(session, mechanisms[i], zone, stored.blob, stored.len,
					  &opened));
		memcpy(stored.blob, "CDEK", 4);
	}
}

/* From each of its parts on. */
static void is_opened_by_none(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by,
			      const struct stored *stored)
{
	for (CK_ULONG skip = 0; skip + 32 <= stored->len; skip += 4) {
		CK_BYTE *part = (CK_BYTE *)stored->blob + skip;
		CK_ULONG len = stored->len - skip;

		for (size_t i = 0; i < wrap_count; i++)
			does_not_unwrap(session, fitting(wrap_mechanisms[i]), by, part, len);
		for (size_t i = 0; i < crypt_count; i++)
			yields_no_key(session, crypt_mechanisms[i], by, part, len);
	}
}

static void no_mechanism_opens_a_stored_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key = kept_key(session, zone, "kept"), visitor;
	CK_OBJECT_HANDLE root = default_root_key(session);
	struct stored stored = stored_form(session, key);
	CK_BYTE set[8192], out[512];
	CK_ULONG len = sizeof(set), out_len = sizeof(out);

	assert_true(same_key(session, key, known_key(session)));
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, set, &len));
	check(import_set(session, set, len, false, &visitor));
	does_not_unwrap_as_dek(session, zone, key, stored);
	does_not_unwrap_as_dek(session, visitor, key, stored);
	is_opened_by_none(session, zone, &stored);
	is_opened_by_none(session, visitor, &stored);
	is_opened_by_none(session, key, &stored);
	fails(unwrap_by(session, mechanism(CKM_CMEK_KMS), root, stored.blob, stored.len, &visitor));
	check(p11->C_DecryptInit(session, mechanism(CKM_CMEK_KMS), root));
	fails(p11->C_Decrypt(session, stored.blob, stored.len, out, &out_len));
}

static void a_zone_wraps_no_key_as_it_is_stored(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session), known_key(session),
		      wrapped, &len));
	assert_memory_equal(wrapped, "CDEK\1\0\0\0", 8);
}

/* --- Changes */

static CK_RV set(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, struct template *t)
{
	return p11->C_SetAttributeValue(session, key, t->rows, t->count);
}

static CK_SESSION_HANDLE begin_anew(void **state)
{
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)session_new();
	return (CK_SESSION_HANDLE)*state;
}

static void a_new_label_leaves_a_stored_key_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = kept_key(session, some_zone(session), "label-1");
	struct stored before = stored_form(session, key);

	check(set(session, key, with_text(template_new(), CKA_LABEL, "label-2")));
	check(set(session, key, with(template_new(), CKA_ID, "id", 2)));
	/* What it says already. */
	check(set(session, key, with_bool(template_new(), CKA_SENSITIVE, true)));
	assert_true(is_stored_as(session, key, &before));
	session = begin_anew(state);
	key = labelled(session, "label-2");
	assert_true(is_stored_as(session, key, &before));
	assert_true(same_key(session, key, known_key(session)));
}

static void each_attribute_that_limits_a_key_wraps_it_anew(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = kept_key(session, some_zone(session), "limited");
	struct template *changes[] = {
		with_bool(template_new(), CKA_DECRYPT, false),
		with_bool(template_new(), CKA_DERIVE, true),
		with_bool(template_new(), CKA_WRAP_WITH_TRUSTED, true),
		with_bool(template_new(), CKA_COPYABLE, false),
		with(template_new(), CKA_START_DATE, "20260101", 8),
		with(template_new(), CKA_END_DATE, "20991231", 8),
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct stored before = stored_form(session, key);

		check(set(session, key, changes[i]));
		assert_false(is_stored_as(session, key, &before));
		assert_true(same_key(session, key, known_key(session)));
	}
	session = begin_anew(state);
	key = labelled(session, "limited");
	assert_true(same_key(session, key, known_key(session)));
	assert_false(attribute_bool(session, key, CKA_DECRYPT));
	assert_true(attribute_bool(session, key, CKA_WRAP_WITH_TRUSTED));
}

static void a_copy_on_the_token_is_a_key_of_its_own(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = kept_key(session, some_zone(session), "original"), copy;
	struct stored original = stored_form(session, key);
	struct template *t = with_bool(template_new(), CKA_TOKEN, true);

	with_bool(with_text(t, CKA_LABEL, "copy"), CKA_DECRYPT, false);
	check(p11->C_CopyObject(session, key, t->rows, t->count, &copy));
	assert_false(is_stored_as(session, copy, &original));
	check(p11->C_DestroyObject(session, key));
	session = begin_anew(state);
	copy = labelled(session, "copy");
	assert_true(same_key(session, copy, known_key(session)));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11->C_DecryptInit(session, mechanism(CKM_AES_ECB), copy));
}

int rules_token_keys(void)
{
	const struct CMUnitTest tests[] = {
		in_session(no_mechanism_opens_a_stored_key),
		in_session(a_zone_wraps_no_key_as_it_is_stored),
		in_session(a_new_label_leaves_a_stored_key_alone),
		in_session(each_attribute_that_limits_a_key_wraps_it_anew),
		in_session(a_copy_on_the_token_is_a_key_of_its_own),
	};

	return run_group("token keys", tests, token_setup, token_teardown);
}
