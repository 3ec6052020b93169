/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages (PKCS #11 3.0, "Message-based encryption functions"): many under one key, each with an
 * IV and a tag of its own, in a structure of the caller's that goes along with each call. Each is
 * an operation (operation.h) of the kind OPERATION_MESSAGE_…; the text is in and out alone, the tag
 * is the operation's. How they begin, run and end is session/messages.h. Keys are wrapped with such
 * IVs, too: the tag is apart in C_WrapKeyAuthenticated, and follows the key in C_WrapKey (3.2,
 * CK_GCM_WRAP_PARAMS, CK_CCM_WRAP_PARAMS).
 */
#pragma once

#include "mechanisms/operation.h"

enum { MESSAGE_IV_MAX = AES_GCM_IV_MAX };

/* What the structure says; pointers into the caller's memory. */
struct message {
	uint8_t *iv; /* iv_len bytes; where the module makes the IV, it goes there */
	size_t iv_len;
	size_t fixed_bits;
	CK_GENERATOR_FUNCTION generator; /* to encrypt; CKG_NO_GENERATE: the IV is the caller's */
	uint8_t *tag;			 /* tag_len bytes; may be NULL, see below */
	size_t tag_len;
	size_t text_max; /* bytes */
	bool is_sized;	 /* CCM: the text has data_len bytes */
	size_t data_len;
};

struct message_class {
	size_t size; /* of the structure, in bytes */
	/* From such bytes. False: the mechanism can't take that. */
	bool (*read)(const void *structure, struct message *ret_message);
	const char *wanted; /* as in struct behaviour */
	/* The same of C_WrapKey, which has no place for a tag, but the associated data. */
	size_t wrap_size;
	bool (*read_wrap)(const void *structure, struct message *ret_message,
			  struct bytes *ret_aad);
	size_t made_len;     /* of an IV that the module makes, in bytes; 0: any */
	bool made_with_fips; /* where FIPS is on, IVs to encrypt are to be made by the module */
};

/* CKR_MECHANISM_PARAM_INVALID. Where a message begins, the tag may be NULL: it is not touched. */
CK_RV message_parameter_read(const struct mechanism *mechanism, const void *given,
			     CK_ULONG given_len, struct message *ret_message);
CK_RV message_parameter_with_tag(const struct mechanism *mechanism, const void *given,
				 CK_ULONG given_len, struct message *ret_message);
/* At Init there may be none, or such a structure, which does not matter yet. */
CK_RV message_parameter_first(const struct mechanism *mechanism, const CK_MECHANISM *given);
/* The parameter of C_WrapKey and C_UnwrapKey: the mechanism's own, or, where it has messages, the
 * structure for keys. Without the latter *ret_message stays as it is: all zero, no IV to be made.
 */
CK_RV message_wrap_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
			struct message *ret_message, struct parameter *ret_parameter);
/* Of C_WrapKeyAuthenticated and C_UnwrapKeyAuthenticated: the message's structure, also as the
 * parameter by which the mechanism wraps; both are the caller's memory. CKR_MECHANISM_INVALID: it
 * does not wrap so. */
CK_RV message_wrap_read_apart(const struct mechanism *mechanism, const CK_MECHANISM *given,
			      struct bytes aad, struct message *ret_message,
			      struct parameter *ret_parameter);
/* The IV by which to encrypt: the caller's, or one that is made, and used up by that. `ret_iv` has
 * room for message->iv_len bytes. CKR_MECHANISM_PARAM_INVALID, CKR_KEY_EXHAUSTED;
 * CKR_KEY_HANDLE_INVALID, or what the key's use has in its place: another thread destroyed it. */
CK_RV message_iv(struct objects *objects, const struct ready_key *key,
		 const struct message *message, uint8_t *ret_iv);
/* For a key that is wrapped by the mechanism's own parameter: may the IV be the caller's?
 * CKR_MECHANISM_PARAM_INVALID: with FIPS it is to be made by the module. */
CK_RV message_iv_may_be_given(const struct mechanism *mechanism);
/* And what was made goes into the caller's structure, once nothing can fail any more. */
void message_give_iv(const struct message *message, const uint8_t *iv);
