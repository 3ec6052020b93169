/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/message_keys.h"

#include "base/macros.h"
#include "envelope/payload.h"

/* --- What the module has --------------------------------------------------------------------- */

static bool has_mechanism(const struct envelope_token *token)
{
	const CK_FLAGS both = CKF_ENCRYPT | CKF_DECRYPT;
	CK_SESSION_INFO session;
	CK_MECHANISM_INFO info;

	return token->functions->C_GetSessionInfo(token->session, &session) == CKR_OK &&
	       token->functions->C_GetMechanismInfo(session.slotID, CKM_CMEK_MESSAGE, &info) ==
		       CKR_OK &&
	       (info.flags & both) == both;
}

static bool by_mechanism(struct envelope_token *token)
{
	if (token->messages == ENVELOPE_MESSAGES_UNKNOWN)
		token->messages = has_mechanism(token) ? ENVELOPE_MESSAGES_AT_ONCE
						       : ENVELOPE_MESSAGES_DERIVED;
	return token->messages == ENVELOPE_MESSAGES_AT_ONCE;
}

/* --- Data keys ------------------------------------------------------------------------------- */

static CK_BBOOL yes = CK_TRUE;
static CK_MECHANISM_TYPE uses[] = {CKM_HKDF_DERIVE, CKM_CMEK_MESSAGE};
/* A DEK's id is derived, too. */
static const CK_ATTRIBUTE to_seal[] = {{CKA_ENCRYPT, &yes, sizeof(yes)},
				       {CKA_ALLOWED_MECHANISMS, uses, sizeof(uses)}};
static const CK_ATTRIBUTE to_open[] = {{CKA_DECRYPT, &yes, sizeof(yes)},
				       {CKA_ALLOWED_MECHANISMS, uses, sizeof(uses)}};

enum envelope_status message_dek_make(struct envelope_token *token, CK_OBJECT_HANDLE *ret_dek,
				      struct envelope_error *error)
{
	return envelope_dek_make(token, to_seal, by_mechanism(token) ? COUNT_OF(to_seal) : 0,
				 ret_dek, error);
}

enum envelope_status message_dek_unwrap(struct envelope_token *token, struct bytes wrapped,
					CK_OBJECT_HANDLE ezk, struct bytes aad,
					CK_OBJECT_HANDLE *ret_dek, struct envelope_error *error)
{
	return envelope_dek_unwrap(token, wrapped, ezk, aad, to_open,
				   by_mechanism(token) ? COUNT_OF(to_open) : 0, ret_dek, error);
}

/* --- The AAD, in one piece ------------------------------------------------------------------- */

struct joined {
	uint8_t few[512];
	struct buffer many; /* where that is too small */
};

static void joined_clear(struct joined *joined)
{
	buffer_clear(&joined->many);
}

static bool join(const struct message_payload *payload, struct joined *joined,
		 struct bytes *ret_aad)
{
	size_t header = payload->header.len, len = header + payload->bound_to.len;
	uint8_t *to = joined->few;

	*ret_aad = payload->header;
	if (len == header)
		return true;
	if (len > sizeof(joined->few))
		to = buffer_extend(&joined->many, len);
	if (to == NULL)
		return false;
	memcpy(to, payload->header.data, header);
	memcpy(to + header, payload->bound_to.data, payload->bound_to.len);
	*ret_aad = bytes(to, len);
	return true;
}

/* --- By a key that is derived and destroyed -------------------------------------------------- */

static enum envelope_status derive(struct envelope_token *token,
				   const struct message_payload *payload, CK_OBJECT_HANDLE *ret_key,
				   struct envelope_error *error)
{
	uint8_t salt[4];

	put_big_endian(salt, sizeof(salt), payload->number);
	return envelope_derive_payload(token, payload->dek, "cmek/1/message",
				       bytes(salt, sizeof(salt)), ret_key, error);
}

static enum envelope_status seal_derived(struct envelope_token *token,
					 const struct message_payload *payload, struct bytes aad,
					 struct bytes in, uint8_t *out,
					 struct envelope_error *error)
{
	struct envelope_payload chunk = {.token = token, .aad = aad};
	enum envelope_status status;

	TRY(derive(token, payload, &chunk.key, error));
	status = envelope_chunk_seal(&chunk, 0, true, in, out, error);
	token->functions->C_DestroyObject(token->session, chunk.key);
	return status;
}

static enum envelope_status open_derived(struct envelope_token *token,
					 const struct message_payload *payload, struct bytes aad,
					 struct bytes in, uint8_t *out,
					 struct envelope_error *error)
{
	struct envelope_payload chunk = {.token = token, .aad = aad};
	enum envelope_status status;
	size_t len;

	TRY(derive(token, payload, &chunk.key, error));
	status = envelope_chunk_open(&chunk, 0, true, in, out, &len, error);
	token->functions->C_DestroyObject(token->session, chunk.key);
	return status;
}

/* --- At once --------------------------------------------------------------------------------- */

static enum envelope_status seal_at_once(struct envelope_token *token,
					 const struct message_payload *payload, struct bytes aad,
					 struct bytes in, uint8_t *out,
					 struct envelope_error *error)
{
	CK_CMEK_MESSAGE_PARAMS parameters = {payload->number, (CK_BYTE *)aad.data, aad.len};
	CK_MECHANISM by = {CKM_CMEK_MESSAGE, &parameters, sizeof(parameters)};
	CK_ULONG len = in.len + ENVELOPE_TAG;

	TRY(envelope_answer(token, error, "C_EncryptInit",
			    token->functions->C_EncryptInit(token->session, &by, payload->dek)));
	return envelope_answer(
		token, error, "C_Encrypt",
		token->functions->C_Encrypt(token->session, (CK_BYTE *)in.data, in.len, out, &len));
}

static enum envelope_status open_at_once(struct envelope_token *token,
					 const struct message_payload *payload, struct bytes aad,
					 struct bytes in, uint8_t *out,
					 struct envelope_error *error)
{
	CK_CMEK_MESSAGE_PARAMS parameters = {payload->number, (CK_BYTE *)aad.data, aad.len};
	CK_MECHANISM by = {CKM_CMEK_MESSAGE, &parameters, sizeof(parameters)};
	CK_ULONG len = in.len;
	CK_RV rv;

	TRY(envelope_answer(token, error, "C_DecryptInit",
			    token->functions->C_DecryptInit(token->session, &by, payload->dek)));
	rv = token->functions->C_Decrypt(token->session, (CK_BYTE *)in.data, in.len, out, &len);
	if (rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE)
		return ENVELOPE_DAMAGED;
	return envelope_answer(token, error, "C_Decrypt", rv);
}

enum envelope_status message_payload_seal(struct envelope_token *token,
					  const struct message_payload *payload, struct bytes in,
					  uint8_t *out, struct envelope_error *error)
{
	AUTO(joined_clear) struct joined joined;
	struct bytes aad;

	joined.many = (struct buffer){0};
	if (!join(payload, &joined, &aad))
		return ENVELOPE_NO_MEMORY;
	return by_mechanism(token) ? seal_at_once(token, payload, aad, in, out, error)
				   : seal_derived(token, payload, aad, in, out, error);
}

enum envelope_status message_payload_open(struct envelope_token *token,
					  const struct message_payload *payload, struct bytes in,
					  uint8_t *out, struct envelope_error *error)
{
	AUTO(joined_clear) struct joined joined;
	struct bytes aad;

	joined.many = (struct buffer){0};
	if (!join(payload, &joined, &aad))
		return ENVELOPE_NO_MEMORY;
	return by_mechanism(token) ? open_at_once(token, payload, aad, in, out, error)
				   : open_derived(token, payload, aad, in, out, error);
}
