/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of adding and using root keys that zones/ needs elsewhere too: a zone may bring its
 * project's first root key with it, in one transaction. */
#pragma once

#include "zones/domain/state.h"

/* A name of a KMS key, as text. ZONE_INVALID. */
enum zone_status kms_name_copy(const struct zones *zones, struct bytes kms_key, char **ret_name);

/* A KMS key on its way to become a root key. For AUTO: candidate_clear, which accepts zeros. */
struct candidate {
	struct entry *entry; /* as it was found out */
	struct entry *taken; /* what the transaction makes of it; NULL: there was none yet */
	bool label_is_ours;  /* made from the key's name: gives way to another of that label */
};
void candidate_clear(struct candidate *candidate);

/* Where "local:NAME" comes from. A typing error in a name must not make a key. */
enum local_key {
	LOCAL_KEY_FOUND,
	LOCAL_KEY_MADE,		 /* ZONE_EXISTS: there is one. ZONE_INVALID: not a local name */
	LOCAL_KEY_FOUND_OR_MADE, /* on demand: [kms] default_root_key */
};

/* KMS: describes it (and makes it, if that is wished and it would not be refused anyway).
 * ZONE_KMS_INVALID_KEY_USAGE. No label: its own. */
enum zone_status candidate_describe(struct zones *zones, struct uid project, const char *name,
				    struct bytes label, enum local_key wish,
				    struct candidate *ret_candidate);
/* KMS: refuses what the project has already; encrypts and decrypts, which makes the canary. */
enum zone_status candidate_try(struct zones *zones, struct candidate *candidate);
/* Within a transaction: the rules, and the change, of `taken`: a copy of the candidate's entry, or
 * one that awaits removal and comes back. */
enum zone_status candidate_put(struct changes *changes, struct candidate *candidate);

/* For callers that ask the KMS about a root key (root_key_state.c): the leases below that key learn
 * the answer. Leases need no right but that to decrypt EZKs, so access denied tells them nothing.
 */
struct root_key_listener {
	struct zones *zones;
	struct root_lease *root;
	uint64_t no_count;
};
struct root_key_listener root_key_listen(struct zones *zones, const struct entry *root_key);
void root_key_hear(const struct root_key_listener *listener, enum zone_status status);
/* The status that a state means for a use of the key. */
enum zone_status root_key_meaning(enum kms_key_state state);

/* KMS: canary_ask() for a project's root key, found by its ARN. ZONE_NOT_FOUND: there is none, or
 * it has no canary. */
enum zone_status root_key_ask_canary(struct zones *zones, struct uid project, const char *arn,
				     bool own_region);

/* KMS: decrypts under a purpose and the caller's pairs. */
enum zone_status root_key_decrypt_for(struct zones *zones, const struct entry *root_key,
				      const char *purpose, const struct kms_context *context,
				      struct bytes blob, struct buffer *ret_plaintext);
