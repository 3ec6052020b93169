/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Root keys and clusters: what may become one, how many, and what a root key does. */
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>

static CK_RV crypt(CK_SESSION_HANDLE session, bool encrypt, CK_OBJECT_HANDLE key, CK_MECHANISM *by,
		   const CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	CK_RV rv = (encrypt ? p11->C_EncryptInit : p11->C_DecryptInit)(session, by, key);
	CK_BYTE *input;

	if (rv != CKR_OK)
		return rv;
	input = malloc(in_len + 1);
	memcpy(input, in, in_len);
	rv = (encrypt ? p11->C_Encrypt : p11->C_Decrypt)(session, input, in_len, out, out_len);
	free(input);
	return rv;
}

static CK_MECHANISM *with_context(const char *json)
{
	return mechanism_with(CKM_CMEK_KMS, json, strlen(json));
}

static void a_root_key_is_named_and_described(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key;
	CK_BYTE text[256];

	check(root_key_create(session, "local:described", &key));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_KMS_KEY, text, 256), 15);
	assert_memory_equal(text, "local:described", 15);
	assert_in_range(attribute_bytes(session, key, CKA_CMEK_ROOT_KEY, text, 256), 10, 256);
	assert_memory_equal(text, "arn:", 4);
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_PROVIDER, text, 256), 5);
	assert_memory_equal(text, "local", 5);
	assert_int_equal(attribute_bytes(session, key, CKA_LABEL, text, 256), 9);
	assert_memory_equal(text, "described", 9);
	check(p11->C_DestroyObject(session, key));
}

static void a_root_key_is_added_once(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key, again;
	char arn[512] = "";

	check(root_key_create(session, "local:once", &key));
	fails_for(CMEK_ERROR_EXISTS, session, root_key_create(session, "local:once", &again));
	fails_for(CMEK_ERROR_EXISTS, session, root_key_add(session, "local:once", &again));
	attribute_bytes(session, key, CKA_CMEK_ROOT_KEY, arn, sizeof(arn) - 1);
	fails_for(CMEK_ERROR_EXISTS, session, root_key_add(session, arn, &again));
	check(p11->C_DestroyObject(session, key));
}

static void what_is_no_key_does_not_become_a_root_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ULONG before = objects_count(session, template_new());
	CK_OBJECT_HANDLE key;

	fails(root_key_add(session, "", &key));
	fails(root_key_add(session, "local:", &key));
	fails(root_key_add(session, "arn:aws:kms:nowhere", &key));
	fails(root_key_add(session, "local:two words", &key));
	fails(root_key_create(session, "local:two words", &key));
	fails(root_key_create(session, "alias/root", &key));
	assert_int_equal(objects_count(session, template_new()), before);
}

/* A typing error must not make a key: it has to be asked for. */
static void a_local_key_is_made_only_if_cka_cmek_create_says_so(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;
	CK_BYTE no = CK_TRUE;

	fails_for(CMEK_ERROR_KMS_NOT_FOUND, session, root_key_add(session, "local:asked", &key));
	with_text(t, CKA_CMEK_KMS_KEY, "local:asked");
	with_bool(t, CKA_CMEK_CREATE, false);
	with_bool(t, CKA_TOKEN, true);
	fails_for(CMEK_ERROR_KMS_NOT_FOUND, session,
		  p11->C_CreateObject(session, t->rows, t->count, &key));
	check(root_key_create(session, "local:asked", &key));
	assert_int_equal(attribute_bytes(session, key, CKA_CMEK_CREATE, &no, 1), 1);
	assert_int_equal(no, CK_FALSE);
	check(p11->C_DestroyObject(session, key));
}

/* One that only a session knows would be lost with it. */
static void a_local_key_that_is_made_is_a_token_object(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;

	with_text(t, CKA_CMEK_KMS_KEY, "local:fleeting");
	with_bool(t, CKA_CMEK_CREATE, true);
	answers(CKR_TEMPLATE_INCONSISTENT, p11->C_CreateObject(session, t->rows, t->count, &key));
	with_bool(t, CKA_TOKEN, false);
	answers(CKR_TEMPLATE_INCONSISTENT, p11->C_CreateObject(session, t->rows, t->count, &key));
	fails_for(CMEK_ERROR_KMS_NOT_FOUND, session, root_key_add(session, "local:fleeting", &key));
}

static void a_root_key_lives_in_the_token(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, true);
	with_text(t, CKA_CMEK_KMS_KEY, "local:valued");
	with(t, CKA_VALUE, known_value, 32);
	fails(p11->C_CreateObject(session, t->rows, t->count, &key));
}

static void a_root_key_encrypts_data(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session);
	static CK_BYTE data[4097], blob[8192], back[8192];
	static const CK_ULONG lens[] = {1, 32, 4096};

	for (int i = 0; i < 3; i++) {
		CK_ULONG len = sizeof(blob), back_len = sizeof(back);

		check(crypt(session, true, root, mechanism(CKM_CMEK_KMS), data, lens[i], blob,
			    &len));
		check(crypt(session, false, root, mechanism(CKM_CMEK_KMS), blob, len, back,
			    &back_len));
		assert_int_equal(back_len, lens[i]);
		assert_memory_equal(back, data, lens[i]);
	}
	answers(CKR_DATA_LEN_RANGE, crypt(session, true, root, mechanism(CKM_CMEK_KMS), data, 4097,
					  blob, &(CK_ULONG){sizeof(blob)}));
}

static void the_context_of_a_root_key_is_bound(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session);
	CK_BYTE blob[1024], back[1024];
	CK_ULONG len = sizeof(blob), back_len = sizeof(back);

	check(crypt(session, true, root, with_context("{\"tenant\":\"7\"}"), known_value, 32, blob,
		    &len));
	fails(crypt(session, false, root, mechanism(CKM_CMEK_KMS), blob, len, back, &back_len));
	back_len = sizeof(back);
	fails(crypt(session, false, root, with_context("{\"tenant\":\"8\"}"), blob, len, back,
		    &back_len));
	back_len = sizeof(back);
	check(crypt(session, false, root, with_context("{\"tenant\":\"7\"}"), blob, len, back,
		    &back_len));
	assert_memory_equal(back, known_value, 32);
}

static void a_context_that_is_ours_or_malformed_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session);
	static const char *const bad[] = {
		"{\"cmek:purpose\":\"ezk\"}", "{\"cmek:zone\":\"1\"}", "{", "[]", "{\"a\":1}",
		"{\"a\":{\"b\":\"c\"}}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		answers(CKR_MECHANISM_PARAM_INVALID,
			p11->C_EncryptInit(session, with_context(bad[i]), root));
}

/* Otherwise every reader of the store could have the zone's key in the clear. */
static void the_wrapped_key_of_a_zone_is_not_decrypted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), root = default_root_key(session);
	CK_BYTE record[8192], out[8192];
	CK_ULONG len = attribute_bytes(session, zone, CKA_CMEK_ENCRYPTED_KEY, record, 8192);
	/* docs/format.md, section 3: after 99 bytes and 14 of limits, the ARN and the blob, each
	 * with its length. */
	CK_BYTE *wrap = record + 99 + 14;
	CK_BYTE *blob = wrap + 2 + ((CK_ULONG)wrap[0] << 8 | wrap[1]) + 2;
	char context[256];

	assert_int_equal(record[96] << 8 | record[97], 14);
	assert_int_equal(record[98 + 14], 1);
	assert_true(blob < record + len);
	fails(crypt(session, false, root, mechanism(CKM_CMEK_KMS), blob,
		    (CK_ULONG)(record + len - blob), out, &(CK_ULONG){sizeof(out)}));
	fails(crypt(session, false, root, mechanism(CKM_CMEK_KMS), record, len, out,
		    &(CK_ULONG){sizeof(out)}));
	snprintf(context, sizeof(context), "{\"cmek:purpose\":\"ezk\",\"cmek:version\":\"1\"}");
	fails(crypt(session, false, root, with_context(context), blob,
		    (CK_ULONG)(record + len - blob), out, &(CK_ULONG){sizeof(out)}));
}

static void what_a_root_key_encrypted_does_not_become_a_zone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), zone;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_BYTE blob[1024];
	CK_ULONG len = sizeof(blob), before;

	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	check(crypt(session, true, root, mechanism(CKM_CMEK_KMS), known_value, 32, blob, &len));
	before = objects_count(session, template_new());
	answers(CKR_WRAPPED_KEY_INVALID, p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), root,
							  blob, len, t->rows, t->count, &zone));
	assert_int_equal(objects_count(session, template_new()), before);
}

static void a_root_key_works_by_the_kms_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), key = known_key(session);
	CK_BYTE wrapped[256];

	for (size_t i = 0; i < crypt_count; i++)
		fails(p11->C_EncryptInit(session, fitting(crypt_mechanisms[i]), root));
	for (size_t i = 0; i < wrap_count; i++)
		fails(wrap_by(session, fitting(wrap_mechanisms[i]), root, key, wrapped,
			      &(CK_ULONG){sizeof(wrapped)}));
	fails(wrap_by(session, mechanism(CKM_CMEK_KMS), root, key, wrapped,
		      &(CK_ULONG){sizeof(wrapped)}));
	fails(p11->C_EncryptInit(session, mechanism(CKM_CMEK_KMS), some_zone(session)));
	fails(p11->C_EncryptInit(session, mechanism(CKM_CMEK_KMS), key));
}

static void a_root_key_in_use_is_not_removed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session);

	some_zone(session);
	fails_for(CMEK_ERROR_IN_USE, session, p11->C_DestroyObject(session, root));
	assert_int_equal(default_root_key(session), root);
}

static void a_removed_root_key_comes_back_when_it_is_added(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *named = with_text(template_new(), CKA_CMEK_KMS_KEY, "local:removed");
	CK_OBJECT_HANDLE root, again;
	CK_BYTE ids[2][64];

	check(root_key_create(session, "local:removed", &root));
	attribute_bytes(session, root, CKA_UNIQUE_ID, ids[0], 64);
	check(p11->C_DestroyObject(session, root));
	assert_int_equal(objects_count(session, named), 0);
	with_number(named, CKA_CMEK_STATE, CMEK_STATE_PENDING_DELETION);
	assert_int_equal(objects_count(session, named), 1);
	check(root_key_add(session, "local:removed", &again));
	attribute_bytes(session, again, CKA_UNIQUE_ID, ids[1], 64);
	assert_memory_equal(ids[0], ids[1], 16);
	check(p11->C_DestroyObject(session, again));
}

static void a_cluster_fits_its_root_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE root = default_root_key(session), cluster;
	CK_BYTE text[256];
	char arn[512] = "";

	attribute_bytes(session, root, CKA_CMEK_ROOT_KEY, arn, sizeof(arn) - 1);
	check(cluster_add(session, "prod", "local", "us-west-2", arn, &cluster));
	assert_int_equal(attribute_number(session, cluster, CKA_CLASS), CKO_CMEK_CLUSTER);
	assert_int_equal(attribute_bytes(session, cluster, CKA_LABEL, text, 256), 4);
	assert_int_equal(attribute_bytes(session, cluster, CKA_CMEK_REGION, text, 256), 9);
	assert_memory_equal(text, "us-west-2", 9);
	assert_int_equal(attribute_bytes(session, cluster, CKA_CMEK_ROOT_KEY, text, 256),
			 strlen(arn));
	fails_for(CMEK_ERROR_WRONG_PROVIDER, session,
		  cluster_add(session, "other", "aws", "us-west-2", arn, &cluster));
	fails_for(CMEK_ERROR_EXISTS, session,
		  cluster_add(session, "prod", "local", "eu-west-1", arn, &cluster));
	fails(cluster_add(session, "none", "local", "us-west-2", "arn:nobody", &cluster));
}

static void a_zone_is_made_in_the_cluster_its_label_names(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE cluster, zone;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_BYTE text[64];
	char arn[512] = "";

	attribute_bytes(session, default_root_key(session), CKA_CMEK_ROOT_KEY, arn, 511);
	check(cluster_add(session, "east", "local", "us-east-1", arn, &cluster));
	zone = zone_generate(session, "east/orders");
	assert_int_equal(attribute_bytes(session, zone, CKA_CMEK_CLUSTER, text, 64), 4);
	assert_memory_equal(text, "east", 4);
	fails_for(CMEK_ERROR_IN_USE, session, p11->C_DestroyObject(session, cluster));
	with_number(t, CKA_VALUE_LEN, 32);
	with_bool(t, CKA_EXTRACTABLE, false);
	with_text(t, CKA_LABEL, "west/orders");
	fails_for(
		CMEK_ERROR_NOT_FOUND, session,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &zone));
}

static void a_project_has_twenty_root_keys_at_most(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *roots = with_text(template_new(), CKA_CMEK_PROVIDER, "local");
	CK_OBJECT_HANDLE key;
	CK_ULONG count;
	char name[32];

	roots = with_number(roots, CKA_CLASS, CKO_SECRET_KEY);
	/* Those that await removal count. */
	with_number(roots, CKA_CMEK_STATE, CMEK_STATE_PENDING_DELETION);
	count = objects_count(session, roots);
	roots->count--;
	count += objects_count(session, roots);
	for (CK_ULONG i = count; i < 20; i++) {
		snprintf(name, sizeof(name), "local:number-%lu", i);
		check(root_key_create(session, name, &key));
	}
	fails_for(CMEK_ERROR_TOO_MANY_ROOT_KEYS, session,
		  root_key_create(session, "local:number-21", &key));
	check(p11->C_DestroyObject(session, labelled(session, "number-19")));
	fails_for(CMEK_ERROR_TOO_MANY_ROOT_KEYS, session,
		  root_key_create(session, "local:number-21", &key));
	check(root_key_add(session, "local:number-19", &key));
}

int rules_root_keys(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_root_key_is_named_and_described),
		in_session(a_root_key_is_added_once),
		in_session(what_is_no_key_does_not_become_a_root_key),
		in_session(a_local_key_is_made_only_if_cka_cmek_create_says_so),
		in_session(a_local_key_that_is_made_is_a_token_object),
		in_session(a_root_key_lives_in_the_token),
		in_session(a_root_key_encrypts_data),
		in_session(the_context_of_a_root_key_is_bound),
		in_session(a_context_that_is_ours_or_malformed_is_refused),
		in_session(the_wrapped_key_of_a_zone_is_not_decrypted),
		in_session(what_a_root_key_encrypted_does_not_become_a_zone),
		in_session(a_root_key_works_by_the_kms_alone),
		in_session(a_root_key_in_use_is_not_removed),
		in_session(a_removed_root_key_comes_back_when_it_is_added),
		in_session(a_cluster_fits_its_root_key),
		in_session(a_zone_is_made_in_the_cluster_its_label_names),
		in_session(a_project_has_twenty_root_keys_at_most),
	};

	return run_group("root keys", tests, token_setup, token_teardown);
}
