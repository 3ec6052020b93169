/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of an envelope, by PKCS #11 calls alone: find a zone, make or open the DEK, derive
 * payload key and commitment (docs/format.md section 5.1). Handles are session objects of the
 * token's session; they end with it, or by envelope_keys_clear.
 */
#pragma once

#include "base/buffer.h"
#include "envelope/header.h"
#include "include/cmek.h"

enum { ENVELOPE_OPENED_MAX = 16 };

/* A token with a session on it (the caller's). Opened records are kept, so that many envelopes of a
 * zone cost one KMS call. */
struct envelope_token {
	const CK_FUNCTION_LIST *functions;
	CK_SESSION_HANDLE session;
	struct {
		uint8_t bound[ENVELOPE_RECORD_BOUND_MAX];
		size_t bound_len;
		CK_OBJECT_HANDLE key;
	} opened[ENVELOPE_OPENED_MAX];
	size_t opened_count;
	/* How this module seals messages (envelope/message_keys.h). */
	enum {
		ENVELOPE_MESSAGES_UNKNOWN,
		ENVELOPE_MESSAGES_AT_ONCE,
		ENVELOPE_MESSAGES_DERIVED
	} messages;
};

struct envelope_keys {
	CK_OBJECT_HANDLE dek;
	CK_OBJECT_HANDLE payload;
	uint8_t commitment[ENVELOPE_COMMITMENT];
	const struct envelope_slot *slot; /* of an envelope that was unlocked: what opened; borrowed
					   */
};

/* Forgets the opened records. The session stays the caller's. */
void envelope_token_clear(struct envelope_token *token);

/* The zone's EZK on this token. One that awaits deletion is found as well; the module refuses to
 * use it and says why. CK_INVALID_HANDLE: the zone does not live here. */
enum envelope_status envelope_zone_find(struct envelope_token *token, uint64_t zone,
					CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);
/* The database of this name, CLUSTER/NAME (CKA_LABEL), unless it awaits deletion.
 * CK_INVALID_HANDLE: there is none on this token. */
enum envelope_status envelope_zone_find_named(struct envelope_token *token, struct bytes label,
					      CK_OBJECT_HANDLE *ret_ezk,
					      struct envelope_error *error);
enum envelope_status envelope_zone_id(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				      uint64_t *ret_zone, struct envelope_error *error);
/* The same as envelope_zone_find for whoever only opens: a zone of this token that has imported
 * versions of that zone (CKA_CMEK_IMPORTS) will do. It wraps nothing for it. */
enum envelope_status envelope_import_find(struct envelope_token *token, uint64_t zone,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);
enum envelope_status envelope_opener_find(struct envelope_token *token, uint64_t zone,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);
/* Whether the zone's record stays in its store (CKA_CMEK_EMBED_EZK), so that no envelope may carry
 * it. */
enum envelope_status envelope_zone_is_kept(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   bool *ret_kept, struct envelope_error *error);
/* The zone's primary version, the newest that this token has of it. */
enum envelope_status envelope_zone_version(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   uint32_t *ret_version, struct envelope_error *error);
/* For a reader who has a record of that version of a zone: the store wins where it knows the key,
 * but it may be an older copy, from before that version, or have imported others. Then the key is
 * nowhere but in the record, and *ezk, which was found to open it, becomes CK_INVALID_HANDLE.
 * Accepts CK_INVALID_HANDLE. */
enum envelope_status envelope_zone_drop_older(struct envelope_token *token, uint64_t zone,
					      uint32_t version, CK_OBJECT_HANDLE *ezk,
					      struct envelope_error *error);
/* The first bytes of the id of this token's project. */
enum envelope_status envelope_project(struct envelope_token *token,
				      uint8_t ret_project[static ENVELOPE_PROJECT],
				      struct envelope_error *error);
/* The token's root key of that ARN, or a related one; CK_INVALID_HANDLE: it has none. */
enum envelope_status envelope_root_key_find(struct envelope_token *token, struct bytes arn,
					    CK_OBJECT_HANDLE *ret_key,
					    struct envelope_error *error);
/* Opens the EZK of an embedded record, by the root keys in it that this token has
 * (ENVELOPE_ROOT_KEY_UNKNOWN: none), tried in the record's order until one opens it. If none does,
 * the answer is a no of one of them, else an outage, else ENVELOPE_DAMAGED. KMS. */
enum envelope_status envelope_record_open(struct envelope_token *token, struct bytes record,
					  CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);

/* --- A DEK by itself (files use the functions below, messages these by message_keys.h) */

/* A new DEK, from which keys may be derived; `more`: what its template has besides, as
 * ENVELOPE_DEK_MORE attributes at most. */
enum { ENVELOPE_DEK_MORE = 2 };
enum envelope_status envelope_dek_make(struct envelope_token *token, const CK_ATTRIBUTE *more,
				       CK_ULONG more_count, CK_OBJECT_HANDLE *ret_dek,
				       struct envelope_error *error);
/* The DEK wrapped by the EZK's primary version, and (unless `ret_record` is NULL) the record of
 * that very version. */
enum envelope_status envelope_dek_wrap(struct envelope_token *token, CK_OBJECT_HANDLE dek,
				       CK_OBJECT_HANDLE ezk, struct bytes aad,
				       struct buffer *ret_wrapped, struct buffer *ret_record,
				       struct envelope_error *error);
/* ENVELOPE_DAMAGED if it does not open. `more` as above. */
enum envelope_status envelope_dek_unwrap(struct envelope_token *token, struct bytes wrapped,
					 CK_OBJECT_HANDLE ezk, struct bytes aad,
					 const CK_ATTRIBUTE *more, CK_ULONG more_count,
					 CK_OBJECT_HANDLE *ret_dek, struct envelope_error *error);
/* HKDF-Expand of the DEK by `label | salt`, 56 bytes at most: 32 bytes that anybody may see; a key
 * for a payload, which never leaves the module. */
enum envelope_status envelope_derive_public(struct envelope_token *token, CK_OBJECT_HANDLE dek,
					    const char *label, struct bytes salt,
					    uint8_t ret_value[static 32],
					    struct envelope_error *error);
enum envelope_status envelope_derive_payload(struct envelope_token *token, CK_OBJECT_HANDLE dek,
					     const char *label, struct bytes salt,
					     CK_OBJECT_HANDLE *ret_key,
					     struct envelope_error *error);

/* --- The keys of a file's envelope */

/* A new DEK with its commitment (the payload key comes once the DEK has been wrapped and so belongs
 * to its zone). */
enum envelope_status envelope_keys_make(struct envelope_token *token,
					const uint8_t salt[static ENVELOPE_SALT],
					struct envelope_keys *ret_keys,
					struct envelope_error *error);
/* The record of the zone's primary version. */
enum envelope_status envelope_zone_record(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					  struct buffer *out, struct envelope_error *error);
/* As envelope_dek_wrap. */
enum envelope_status envelope_keys_wrap(struct envelope_token *token,
					const struct envelope_keys *keys, CK_OBJECT_HANDLE ezk,
					struct bytes aad, struct buffer *ret_wrapped,
					struct buffer *ret_record, struct envelope_error *error);
enum envelope_status envelope_keys_payload(struct envelope_token *token, struct envelope_keys *keys,
					   const uint8_t salt[static ENVELOPE_SALT],
					   struct envelope_error *error);
/* DEK, commitment and payload key of a wrapped DEK. ENVELOPE_DAMAGED if it does not open. */
enum envelope_status envelope_keys_open(struct envelope_token *token, struct bytes wrapped,
					CK_OBJECT_HANDLE ezk, struct bytes aad,
					const uint8_t salt[static ENVELOPE_SALT],
					struct envelope_keys *ret_keys,
					struct envelope_error *error);
void envelope_keys_clear(struct envelope_token *token, struct envelope_keys *keys);

/* SHA-256 by the token (name binding). */
enum envelope_status envelope_digest(struct envelope_token *token, const struct bytes *parts,
				     size_t count, uint8_t ret_digest[static 32],
				     struct envelope_error *error);
/* What a header says of a name that is bound in. */
enum envelope_status envelope_name_binding(struct envelope_token *token,
					   const uint8_t salt[static ENVELOPE_SALT],
					   struct bytes name, uint8_t ret_binding[static 32],
					   struct envelope_error *error);
enum envelope_status envelope_random(struct envelope_token *token, uint8_t *ret, size_t len,
				     struct envelope_error *error);

/* Notes which function failed; answers the status for it. */
enum envelope_status envelope_failed(struct envelope_token *token, struct envelope_error *error,
				     const char *function, CK_RV rv);
/* The same, or ENVELOPE_OK for CKR_OK. */
enum envelope_status envelope_answer(struct envelope_token *token, struct envelope_error *error,
				     const char *function, CK_RV rv);
