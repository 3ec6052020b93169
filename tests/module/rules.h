/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of our own module (docs, ARCHITECTURE.md), through its C_* functions alone. */
#pragma once

#include "harness.h"

/* The reason of a session's last failure: CMEK_ERROR_…. */
CK_ULONG last_error(CK_SESSION_HANDLE session);
/* The call failed, and for this reason. */
#define fails_for(reason, session, call)                                                           \
	check_reason((call), (reason), (session), #call, __FILE__, __LINE__)
void check_reason(CK_RV rv, CK_ULONG reason, CK_SESSION_HANDLE session, const char *call,
		  const char *file, int line);
/* The call failed, whatever it answered. */
#define fails(call) check_fails((call), #call, __FILE__, __LINE__)
void check_fails(CK_RV rv, const char *call, const char *file, int line);

/* A key of the embedded KMS becomes a root key of the token. */
CK_RV root_key_add(CK_SESSION_HANDLE session, const char *kms_key, CK_OBJECT_HANDLE *ret_key);
/* A local one, which the KMS makes first. */
CK_RV root_key_create(CK_SESSION_HANDLE session, const char *kms_key, CK_OBJECT_HANDLE *ret_key);
/* The root key of all zones that tests make: the configuration's default. */
CK_OBJECT_HANDLE default_root_key(CK_SESSION_HANDLE session);
CK_RV cluster_add(CK_SESSION_HANDLE session, const char *label, const char *provider,
		  const char *region, const char *root_key_arn, CK_OBJECT_HANDLE *ret_cluster);
/* An object by label. */
CK_OBJECT_HANDLE labelled(CK_SESSION_HANDLE session, const char *label);
/* A zone whose label no other test has. */
CK_OBJECT_HANDLE some_zone(CK_SESSION_HANDLE session);
/* A data key of 32 bytes, readable, whose value is known. */
extern const CK_BYTE known_value[32];
CK_OBJECT_HANDLE known_key(CK_SESSION_HANDLE session);

/* Every mechanism by which a zone encrypts or wraps in this run, with a parameter that fits. */
extern CK_MECHANISM_TYPE crypt_mechanisms[], wrap_mechanisms[];
extern size_t crypt_count, wrap_count;
CK_MECHANISM *fitting(CK_MECHANISM_TYPE type);

CK_RV wrap_by(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
	      CK_OBJECT_HANDLE key, CK_BYTE *wrapped, CK_ULONG *wrapped_len);
CK_RV unwrap_by(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE wrapping,
		CK_BYTE *wrapped, CK_ULONG wrapped_len, CK_OBJECT_HANDLE *ret_key);
/* Decrypts at once and in parts; in neither does a half of the known key come out. */
void yields_no_key(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE zone,
		   CK_BYTE *wrapped, CK_ULONG len);
/* The record set of a zone under the default root key comes back to the token, or lives in the
 * session. */
CK_RV import_set(CK_SESSION_HANDLE session, CK_BYTE *set, CK_ULONG len, bool token,
		 CK_OBJECT_HANDLE *ret_zone);
/* The two keys encrypt alike. */
bool same_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE one, CK_OBJECT_HANDLE two);

/* The groups: each returns the number of failures. */
int rules_interfaces(void);
int rules_life(void);
int rules_attributes(void);
int rules_rows(void);
int rules_rows_templates(void);
int rules_root_keys(void);
int rules_zones(void);
int rules_versions(void);
int rules_wraps(void);
int rules_wraps_params(void);
int rules_token_keys(void);
int rules_data(void);
int rules_trusted(void);
int rules_limits(void);
int rules_macs(void);
int rules_kept(void);
int rules_affinity(void);
int rules_authenticated(void);
int rules_chunks(void);
int rules_envelope_messages(void);
int rules_ccm(void);
int rules_families(void);
int rules_ivs(void);
int rules_parameters(void);
int rules_arguments(void);
int rules_leases(void);
int rules_messages(void);
int rules_names(void);
int rules_pairs(void);
int rules_search(void);
int rules_places(void);
int rules_deleted(void);
int rules_derivations(void);
int rules_sessions(void);
int rules_settings(void);
int rules_returns(void);
int rules_memory(void);
