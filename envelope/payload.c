/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/payload.h"

#include "base/macros.h"

#include <stdio.h>

enum { NONCE = 12 };

struct envelope_payload envelope_payload_of(struct envelope_token *token,
					    const struct envelope_header *header,
					    const struct envelope_keys *keys)
{
	return (struct envelope_payload){
		.token = token,
		.key = keys->payload,
		.aad = bytes(header->immutable, sizeof(header->immutable)),
		.chunk_len = (size_t)1 << header->chunk_bits,
	};
}

static void nonce_for(uint64_t index, bool last, uint8_t ret_nonce[static NONCE])
{
	memset(ret_nonce, 0, NONCE);
	for (int i = 0; i < 4; i++)
		ret_nonce[7 + i] = (uint8_t)(index >> (24 - 8 * i));
	ret_nonce[11] = last;
}

static CK_GCM_PARAMS parameters_for(const struct envelope_payload *payload,
				    uint8_t nonce[static NONCE])
{
	return (CK_GCM_PARAMS){
		.pIv = nonce,
		.ulIvLen = NONCE,
		.ulIvBits = NONCE * 8,
		.pAAD = (CK_BYTE *)payload->aad.data,
		.ulAADLen = payload->aad.len,
		.ulTagBits = ENVELOPE_TAG * 8,
	};
}

static enum envelope_status check_index(uint64_t index)
{
	return index <= UINT32_MAX ? ENVELOPE_OK : ENVELOPE_TOO_LARGE;
}

enum envelope_status envelope_chunk_begin(const struct envelope_payload *payload, uint64_t index,
					  bool last, struct envelope_error *error)
{
	CK_CMEK_CHUNK_PARAMS parameters = {index, last, (CK_BYTE *)payload->aad.data,
					   payload->aad.len};
	CK_MECHANISM chunk = {CKM_CMEK_CHUNK, &parameters, sizeof(parameters)};

	TRY(check_index(index));
	return envelope_answer(payload->token, error, "C_EncryptInit",
			       payload->token->functions->C_EncryptInit(payload->token->session,
									&chunk, payload->key));
}

enum envelope_status envelope_chunk_finish(const struct envelope_payload *payload, struct bytes in,
					   uint8_t *out, struct envelope_error *error)
{
	CK_ULONG len = in.len + ENVELOPE_TAG;

	return envelope_answer(payload->token, error, "C_Encrypt",
			       payload->token->functions->C_Encrypt(payload->token->session,
								    (CK_BYTE *)in.data, in.len, out,
								    &len));
}

enum envelope_status envelope_chunk_seal(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out,
					 struct envelope_error *error)
{
	TRY(envelope_chunk_begin(payload, index, last, error));
	return envelope_chunk_finish(payload, in, out, error);
}

static enum envelope_status damaged(uint64_t index, struct envelope_error *error)
{
	snprintf(error->text, sizeof(error->text), "chunk %llu: changed, out of place or cut off",
		 (unsigned long long)index);
	return ENVELOPE_DAMAGED;
}

/* What is there is one chunk at least, and none after it is empty. */
static enum envelope_status empty(uint64_t index, struct envelope_error *error)
{
	snprintf(error->text, sizeof(error->text), "chunk %llu: empty", (unsigned long long)index);
	return ENVELOPE_DAMAGED;
}

enum envelope_status envelope_chunk_open(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out, size_t *ret_len,
					 struct envelope_error *error)
{
	const CK_FUNCTION_LIST *f = payload->token->functions;
	CK_SESSION_HANDLE session = payload->token->session;
	uint8_t nonce[NONCE];
	CK_GCM_PARAMS parameters = parameters_for(payload, nonce);
	CK_MECHANISM gcm = {CKM_AES_GCM, &parameters, sizeof(parameters)};
	CK_ULONG len = in.len;
	CK_RV rv;

	TRY(check_index(index));
	if (in.len < ENVELOPE_TAG)
		return damaged(index, error);
	nonce_for(index, last, nonce);
	rv = f->C_DecryptInit(session, &gcm, payload->key);
	if (rv != CKR_OK)
		return envelope_failed(payload->token, error, "C_DecryptInit", rv);
	rv = f->C_Decrypt(session, (CK_BYTE *)in.data, in.len, out, &len);
	if (rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE)
		return damaged(index, error);
	if (rv != CKR_OK)
		return envelope_failed(payload->token, error, "C_Decrypt", rv);
	if (len == 0 && index > 0)
		return empty(index, error);
	*ret_len = len;
	return ENVELOPE_OK;
}
