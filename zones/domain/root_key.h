/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Root keys of projects: keys of a KMS. */
#pragma once

#include "kms/kms.h"
#include "zones/model/names.h"
#include "zones/model/status.h"

struct zones;

/* KMS: describe, trial encrypt and decrypt (purpose canary), then stored. ZONE_EXISTS (the same
 * key, however named, or the label), ZONE_TOO_MANY_ROOT_KEYS; restores one that awaits removal.
 * Default label: the name of an alias or local key, else (also where that is taken) the key id.
 * ZONE_ROOT_KEY_REFUSED here, and for all below that ask by one: [kms] allowed_root_keys does not
 * have it. */
enum zone_status zones_root_key_add(struct zones *zones, struct uid project, struct bytes kms_key,
				    const struct entry_names *names, struct entry **ret_root_key);
/* The same for a key that the embedded KMS makes first: "local:NAME". ZONE_EXISTS: it has one of
 * that name. ZONE_INVALID: a key of another KMS, or an id. */
enum zone_status zones_root_key_create(struct zones *zones, struct uid project,
				       struct bytes kms_key, const struct entry_names *names,
				       struct entry **ret_root_key);
/* A root key named only for this process's sessions (to open a record set where no project has it);
 * not stored; no KMS. */
enum zone_status zones_root_key_name(struct zones *zones, struct bytes kms_key,
				     struct entry **ret_root_key);
/* Its key is on this machine: in the embedded KMS. */
bool zones_root_key_is_embedded(const struct zones *zones, const struct entry *root_key);
/* What this process learnt last about it, whatever it asked, except that a right was lacking.
 * False: nothing yet. No KMS. */
bool zones_root_key_heard(struct zones *zones, const struct entry *root_key,
			  struct root_key_finding *ret_finding);
/*
 * KMS: asks for its state now, by calls that every role of `cmek policy` may make: the canary; if
 * that is no yes, DescribeKey; and where a right is lacking, the project's zones below it, since
 * access is denied only to who can open none. False: it could not be told, since there are more
 * zones than are tried; ret_finding then has the refusal. The thread's last reason (base/log.h) is
 * that of the finding.
 */
bool zones_root_key_ask(struct zones *zones, const struct entry *root_key,
			struct root_key_finding *ret_finding);
/* KMS: when it was used last, by whomever, as far as the KMS tells (kms:GetKeyLastUsage). What it
 * answers says nothing of the key's state. ZONE_KMS_UNSUPPORTED: the KMS keeps no account. */
enum zone_status zones_root_key_last_used(struct zones *zones, const struct entry *root_key,
					  struct kms_last_usage *ret_usage);
/* Local keys: enable, disable. ZONE_KMS_UNSUPPORTED for a cloud key. */
enum zone_status zones_root_key_set_state(struct zones *zones, const struct entry *root_key,
					  enum kms_key_state state);
/* KMS, purpose data, plus the caller's pairs (none may begin with "cmek:": ZONE_INVALID). */
enum zone_status zones_root_key_encrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes plaintext,
					struct buffer *ret_blob);
enum zone_status zones_root_key_decrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					struct buffer *ret_plaintext);
