/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the groups of rules share, and the list of groups. */
#include "rules.h"
#include "tests/support/judged_fips.h"

#include <stdio.h>

const CK_BYTE known_value[32] = {'t', 'h', 'i', 's', ' ', 'd', 'a', 't', 'a', ' ', 'k',
				 'e', 'y', ' ', 'i', 's', ' ', 'k', 'n', 'o', 'w', 'n',
				 ' ', 't', 'o', ' ', 't', 'e', 's', 't', 's', '!'};

CK_MECHANISM_TYPE crypt_mechanisms[] = {
	CKM_AES_ECB,	  CKM_AES_CBC,		CKM_AES_CBC_PAD,      CKM_AES_CTR, CKM_AES_GCM,
	CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP_KWP, CKM_AES_CCM,
};
size_t crypt_count = sizeof(crypt_mechanisms) / sizeof(*crypt_mechanisms);

CK_MECHANISM_TYPE wrap_mechanisms[] = {
	CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP_KWP, CKM_AES_CBC_PAD,
	CKM_AES_GCM,	  CKM_CMEK_DEK_WRAP,	CKM_AES_CCM,
};
size_t wrap_count = sizeof(wrap_mechanisms) / sizeof(*wrap_mechanisms);

CK_ULONG last_error(CK_SESSION_HANDLE session)
{
	CK_SESSION_INFO info;

	check(p11->C_GetSessionInfo(session, &info));
	return info.ulDeviceError;
}

void check_reason(CK_RV rv, CK_ULONG reason, CK_SESSION_HANDLE session, const char *call,
		  const char *file, int line)
{
	CK_ULONG found = last_error(session);
	char text[512];

	if (rv != CKR_OK && found == reason)
		return;
	snprintf(text, sizeof(text), "%s answered %s for reason %lu, not for reason %lu", call,
		 rv_name(rv), found, reason);
	_assert_true(0, text, file, line);
}

void check_fails(CK_RV rv, const char *call, const char *file, int line)
{
	char text[512];

	snprintf(text, sizeof(text), "%s should not have worked", call);
	_assert_true(rv != CKR_OK, text, file, line);
}

/* --- Objects of the hierarchy */

static struct template *with_root_key(const char *kms_key)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, true);
	return with_text(t, CKA_CMEK_KMS_KEY, kms_key);
}

CK_RV root_key_create(CK_SESSION_HANDLE session, const char *kms_key, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = with_bool(with_root_key(kms_key), CKA_CMEK_CREATE, true);

	return p11->C_CreateObject(session, t->rows, t->count, ret_key);
}

CK_RV root_key_add(CK_SESSION_HANDLE session, const char *kms_key, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = with_root_key(kms_key);

	return p11->C_CreateObject(session, t->rows, t->count, ret_key);
}

CK_RV cluster_add(CK_SESSION_HANDLE session, const char *label, const char *provider,
		  const char *region, const char *root_key_arn, CK_OBJECT_HANDLE *ret_cluster)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CMEK_CLUSTER);

	with_bool(t, CKA_TOKEN, true);
	with_text(t, CKA_LABEL, label);
	with_text(t, CKA_CMEK_PROVIDER, provider);
	with_text(t, CKA_CMEK_REGION, region);
	with_text(t, CKA_CMEK_ROOT_KEY, root_key_arn);
	return p11->C_CreateObject(session, t->rows, t->count, ret_cluster);
}

CK_OBJECT_HANDLE labelled(CK_SESSION_HANDLE session, const char *label)
{
	return object_find(session, with_text(template_new(), CKA_LABEL, label));
}

CK_OBJECT_HANDLE default_root_key(CK_SESSION_HANDLE session)
{
	struct template *t = with_text(template_new(), CKA_CMEK_KMS_KEY, "local:test");

	if (objects_count(session, t) == 0)
		some_zone(session);
	return object_find(session, with_text(template_new(), CKA_CMEK_KMS_KEY, "local:test"));
}

CK_OBJECT_HANDLE some_zone(CK_SESSION_HANDLE session)
{
	static unsigned count;
	char label[32];

	snprintf(label, sizeof(label), "zone-%u", ++count);
	return zone_generate(session, label);
}

CK_OBJECT_HANDLE known_key(CK_SESSION_HANDLE session)
{
	return key_import(session, CKK_AES, known_value, sizeof(known_value));
}

/* --- Wrapping */

CK_MECHANISM *fitting(CK_MECHANISM_TYPE type)
{
	static const CK_BYTE iv[16] = "initial vector!";

	if (type == CKM_AES_CBC || type == CKM_AES_CBC_PAD)
		return mechanism_with(type, iv, sizeof(iv));
	if (type == CKM_AES_CTR)
		return mechanism_ctr(iv, 128);
	if (type == CKM_AES_GCM)
		return mechanism_gcm(iv, 12, NULL, 0, 128);
	if (type == CKM_AES_CCM)
		return mechanism_ccm(sizeof(known_value), iv, 12, NULL, 0, 16);
	return mechanism(type);
}

CK_RV wrap_by(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
	      CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *wrapped_len)
{
	return p11->C_WrapKey(session, by, wrapping, key, wrapped, wrapped_len);
}

CK_RV unwrap_by(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
		CK_BYTE *wrapped, CK_ULONG wrapped_len, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = aes_template();

	return p11->C_UnwrapKey(session, by, wrapping, wrapped, wrapped_len, t->rows, t->count,
				ret_key);
}

static void fingerprint(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE out[static 16])
{
	CK_BYTE block[16] = {0};
	CK_ULONG len = 16;

	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, block, 16, out, &len));
}

bool same_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE two)
{
	CK_BYTE first[16], second[16];

	fingerprint(session, one, first);
	fingerprint(session, two, second);
	return memcmp(first, second, sizeof(first)) == 0;
}

static void leave_out(CK_MECHANISM_TYPE *types, size_t *count, CK_FLAGS use)
{
	size_t kept = 0;

	for (size_t i = 0; i < *count; i++)
		if (fips_offers(types[i], use))
			types[kept++] = types[i];
	*count = kept;
}

int main(void)
{
	int failures = 0;

	leave_out(crypt_mechanisms, &crypt_count, CKF_ENCRYPT);
	leave_out(wrap_mechanisms, &wrap_count, CKF_WRAP);
	failures += rules_interfaces();
	failures += rules_life();
	failures += rules_attributes();
	failures += rules_rows();
	failures += rules_rows_templates();
	failures += rules_root_keys();
	failures += rules_zones();
	failures += rules_versions();
	failures += rules_wraps();
	failures += rules_wraps_params();
	failures += rules_limits();
	failures += rules_macs();
	failures += rules_kept();
	failures += rules_token_keys();
	failures += rules_data();
	failures += rules_trusted();
	failures += rules_affinity();
	failures += rules_chunks();
	failures += rules_envelope_messages();
	failures += rules_ccm();
	failures += rules_parameters();
	failures += rules_arguments();
	failures += rules_leases();
	failures += rules_messages();
	failures += rules_ivs();
	failures += rules_authenticated();
	failures += rules_names();
	failures += rules_pairs();
	failures += rules_search();
	failures += rules_places();
	failures += rules_deleted();
	failures += rules_derivations();
	failures += rules_sessions();
	failures += rules_settings();
	failures += rules_returns();
	failures += rules_families();
	failures += rules_memory();
	return failures == 0 ? 0 : 1;
}
