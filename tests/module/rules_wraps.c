/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a zone has wrapped opens only by unwrapping, and with the mechanism that wrapped it. */
#include "rules.h"

static CK_ULONG wrapped_by(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE zone,
			   CK_BYTE *wrapped, CK_ULONG size)
{
	check(wrap_by(session, fitting(type), zone, known_key(session), wrapped, &size));
	return size;
}

static bool contains(const CK_BYTE *out, CK_ULONG len, const void *part, size_t part_len)
{
	return memmem(out, len, part, part_len) != NULL;
}

void yields_no_key(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE zone,
		   CK_BYTE *wrapped, CK_ULONG len)
{
	CK_BYTE out[512] = {0};
	CK_ULONG out_len = sizeof(out);

	check(p11->C_DecryptInit(session, fitting(type), zone));
	(void)p11->C_Decrypt(session, wrapped, len, out, &out_len);
	assert_false(contains(out, sizeof(out), known_value, 16));
	assert_false(contains(out, sizeof(out), known_value + 16, 16));
	memset(out, 0, sizeof(out));
	out_len = sizeof(out);
	check(p11->C_DecryptInit(session, fitting(type), zone));
	if (p11->C_DecryptUpdate(session, wrapped, len, out, &out_len) == CKR_OK) {
		CK_ULONG rest = sizeof(out) - out_len;

		(void)p11->C_DecryptFinal(session, out + out_len, &rest);
	}
	assert_false(contains(out, sizeof(out), known_value, 16));
	assert_false(contains(out, sizeof(out), known_value + 16, 16));
}

static void a_wrapped_key_is_not_decrypted_by_any_mechanism(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_BYTE wrapped[256];

	for (size_t i = 0; i < wrap_count; i++) {
		CK_ULONG len =
			wrapped_by(session, wrap_mechanisms[i], zone, wrapped, sizeof(wrapped));

		for (size_t j = 0; j < crypt_count; j++) {
			yields_no_key(session, crypt_mechanisms[j], zone, wrapped, len);
			/* From the first block of what would be the ciphertext, too. */
			for (CK_ULONG skip = 8; skip + 32 <= len; skip += 8)
				yields_no_key(session, crypt_mechanisms[j], zone, wrapped + skip,
					      (len - skip) / 16 * 16);
		}
	}
}

static void what_was_encrypted_does_not_become_a_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key, known = known_key(session);
	CK_BYTE data[32], blob[256];

	memcpy(data, known_value, sizeof(data));
	for (size_t i = 0; i < crypt_count; i++) {
		CK_ULONG len = sizeof(blob);

		check(p11->C_EncryptInit(session, fitting(crypt_mechanisms[i]), zone));
		check(p11->C_Encrypt(session, data, sizeof(data), blob, &len));
		for (size_t j = 0; j < wrap_count; j++) {
			if (unwrap_by(session, fitting(wrap_mechanisms[j]), zone, blob, len,
				      &key) == CKR_OK)
				assert_false(same_key(session, key, known));
		}
	}
}

/* CBC with padding takes a wrong key for a right one once in 256: it must be another key. */
static void a_wrapped_key_is_unwrapped_by_its_mechanism_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), known = known_key(session), key;
	CK_BYTE wrapped[256];

	for (size_t i = 0; i < wrap_count; i++) {
		CK_ULONG len =
			wrapped_by(session, wrap_mechanisms[i], zone, wrapped, sizeof(wrapped));

		for (size_t j = 0; j < wrap_count; j++) {
			CK_RV rv = unwrap_by(session, fitting(wrap_mechanisms[j]), zone, wrapped,
					     len, &key);

			if (i == j ||
			    (wrap_mechanisms[i] == CKM_AES_KEY_WRAP_PAD &&
			     wrap_mechanisms[j] == CKM_AES_KEY_WRAP_KWP) ||
			    (wrap_mechanisms[i] == CKM_AES_KEY_WRAP_KWP &&
			     wrap_mechanisms[j] == CKM_AES_KEY_WRAP_PAD))
				assert_true(rv == CKR_OK && same_key(session, key, known));
			else
				assert_true(rv != CKR_OK || !same_key(session, key, known));
		}
	}
}

static void a_wrapped_key_survives_a_restart(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = zone_generate(session, "restarted"), key;
	CK_BYTE wrapped[8][256];
	CK_ULONG len[8];

	for (size_t i = 0; i < wrap_count; i++)
		len[i] = wrapped_by(session, wrap_mechanisms[i], zone, wrapped[i], 256);
	check(p11->C_Finalize(NULL));
	check(initialize());
	*state = (void *)session_new();
	session = (CK_SESSION_HANDLE)*state;
	zone = labelled(session, "restarted");
	for (size_t i = 0; i < wrap_count; i++) {
		check(unwrap_by(session, fitting(wrap_mechanisms[i]), zone, wrapped[i], len[i],
				&key));
		assert_true(same_key(session, key, known_key(session)));
	}
}

static CK_MECHANISM *with_path(const char *path)
{
	return mechanism_with(CKM_CMEK_DEK_WRAP, path, strlen(path));
}

static void a_bound_path_is_needed_to_unwrap(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_BYTE wrapped[256];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, with_path("a/b"), zone, known_key(session), wrapped, &len));
	assert_int_equal(len, 96);
	answers(CKR_WRAPPED_KEY_INVALID,
		unwrap_by(session, with_path("a/c"), zone, wrapped, len, &key));
	answers(CKR_WRAPPED_KEY_INVALID,
		unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &key));
	check(unwrap_by(session, with_path("a/b"), zone, wrapped, len, &key));
}

static void each_wrap_by_a_zone_is_another(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_BYTE wrapped[2][128];

	wrapped_by(session, CKM_CMEK_DEK_WRAP, zone, wrapped[0], 128);
	wrapped_by(session, CKM_CMEK_DEK_WRAP, zone, wrapped[1], 128);
	assert_memory_not_equal(wrapped[0] + 20, wrapped[1] + 20, 16);
	assert_memory_not_equal(wrapped[0] + 48, wrapped[1] + 48, 32);
}

static void every_flipped_bit_of_a_wrapped_key_is_noticed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_BYTE wrapped[128];
	CK_ULONG len = wrapped_by(session, CKM_CMEK_DEK_WRAP, zone, wrapped, 128);

	for (CK_ULONG bit = 0; bit < len * 8; bit++) {
		wrapped[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
		fails(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len, &key));
		wrapped[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
	}
	for (CK_ULONG shorter = 0; shorter < len; shorter++)
		fails(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, shorter,
				&key));
}

static void a_zone_is_wrapped_by_its_root_key_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), other = some_zone(session);
	CK_OBJECT_HANDLE root = default_root_key(session);
	CK_BYTE wrapped[8192];
	CK_ULONG len = sizeof(wrapped);

	for (size_t i = 0; i < wrap_count; i++)
		fails(wrap_by(session, fitting(wrap_mechanisms[i]), other, zone, wrapped,
			      &(CK_ULONG){sizeof(wrapped)}));
	fails(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), known_key(session), zone, wrapped,
		      &(CK_ULONG){sizeof(wrapped)}));
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), root, zone, wrapped, &len));
	assert_memory_equal(wrapped, "CEZS\1", 5);
	fails(wrap_by(session, mechanism(CKM_CMEK_KMS), root, root, wrapped, &len));
}

CK_RV import_set(CK_SESSION_HANDLE session, CK_BYTE *set, CK_ULONG len, bool token,
		 CK_OBJECT_HANDLE *ret_zone)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, token);
	return p11->C_UnwrapKey(session, mechanism(CKM_CMEK_KMS), default_root_key(session), set,
				len, t->rows, t->count, ret_zone);
}

static void a_zone_in_use_does_not_come_back_a_second_time(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), again;
	CK_BYTE set[8192];
	CK_ULONG len = sizeof(set);

	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), zone, set,
		      &len));
	fails_for(CMEK_ERROR_EXISTS, session, import_set(session, set, len, true, &again));
}

/* How an envelope opens on a host whose store does not know its zone. */
static void a_zone_may_live_in_a_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), visitor, key;
	CK_BYTE set[8192], wrapped[128];
	CK_ULONG len = sizeof(set), wrapped_len;

	wrapped_len = wrapped_by(session, CKM_CMEK_DEK_WRAP, zone, wrapped, 128);
	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), zone, set,
		      &len));
	check(import_set(session, set, len, false, &visitor));
	assert_int_not_equal(visitor, zone);
	check(unwrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), visitor, wrapped, wrapped_len,
			&key));
	assert_true(same_key(session, key, known_key(session)));
	check(p11->C_DestroyObject(session, visitor));
	assert_int_equal(attribute_number(session, zone, CKA_CMEK_STATE), CMEK_STATE_ACTIVE);
}

static void a_record_that_was_changed_does_not_come_in(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), visitor;
	/* One in each field that the MAC or the KMS binds: project, cluster, zone, version,
	 * created, greatest usages, MAC, limits; see docs/format.md, section 3. */
	static const CK_ULONG fields[] = {8, 24, 40, 51, 52, 63, 64, 97};
	CK_BYTE set[8192];
	CK_ULONG len = sizeof(set);

	check(wrap_by(session, mechanism(CKM_CMEK_KMS), default_root_key(session), zone, set,
		      &len));
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		set[8 + fields[i]] ^= 1;
		fails(import_set(session, set, len, false, &visitor));
		set[8 + fields[i]] ^= 1;
	}
	fails(import_set(session, set, len - 1, false, &visitor));
	check(import_set(session, set, len, false, &visitor));
}

/* SP 800-38D, Appendix C: a short tag is guessed, and each guess tells more of the key behind it.
 */
static void a_key_is_wrapped_by_gcm_with_96_bits_of_tag_at_least(void **state)
{
	static const CK_ULONG bits[] = {32, 64, 96, 104, 112, 120, 128};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)}, key;

	for (size_t i = 0; i < 2 * sizeof(bits) / sizeof(*bits); i++) {
		CK_MECHANISM *gcm = mechanism_gcm("twelve bytes", 12, NULL, 0, bits[i / 2]);
		CK_BYTE wrapped[64];
		CK_ULONG len = sizeof(wrapped);

		if (bits[i / 2] >= 96) {
			check(wrap_by(session, gcm, by[i % 2], known_key(session), wrapped, &len));
			check(unwrap_by(session, gcm, by[i % 2], wrapped, len, &key));
			continue;
		}
		answers(CKR_MECHANISM_PARAM_INVALID,
			wrap_by(session, gcm, by[i % 2], known_key(session), wrapped, &len));
		answers(CKR_MECHANISM_PARAM_INVALID,
			unwrap_by(session, gcm, by[i % 2], wrapped, 32 + bits[i / 2] / 8, &key));
	}
}

int rules_wraps(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_wrapped_key_is_not_decrypted_by_any_mechanism),
		in_session(what_was_encrypted_does_not_become_a_key),
		in_session(a_wrapped_key_is_unwrapped_by_its_mechanism_alone),
		in_session(a_wrapped_key_survives_a_restart),
		in_session(a_bound_path_is_needed_to_unwrap),
		in_session(each_wrap_by_a_zone_is_another),
		in_session(every_flipped_bit_of_a_wrapped_key_is_noticed),
		in_session(a_key_is_wrapped_by_gcm_with_96_bits_of_tag_at_least),
		in_session(a_zone_is_wrapped_by_its_root_key_alone),
		in_session(a_zone_in_use_does_not_come_back_a_second_time),
		in_session(a_zone_may_live_in_a_session),
		in_session(a_record_that_was_changed_does_not_come_in),
	};

	return run_group("wraps", tests, token_setup, token_teardown);
}
