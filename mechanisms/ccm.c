/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CCM. It works on a whole, whose length it knows from the start: parts are collected. */
#include "mechanisms/cipher.h"
#include "mechanisms/message.h"

#include <stdlib.h>

/* --- The parameter */

static bool lengths_valid(CK_ULONG nonce_len, CK_ULONG data_len)
{
	return nonce_len >= AES_CCM_NONCE_MIN && nonce_len <= AES_CCM_NONCE_MAX &&
	       data_len <= aes_ccm_max(nonce_len);
}

static bool tag_valid(CK_ULONG len)
{
	return len >= AES_CCM_TAG_MIN && len <= AES_CCM_TAG_MAX && len % 2 == 0;
}

static CK_RV read_ccm(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_CCM_PARAMS ccm;

	if (given->ulParameterLen != sizeof(ccm) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&ccm, given->pParameter, sizeof(ccm));
	if (ccm.pNonce == NULL || !lengths_valid(ccm.ulNonceLen, ccm.ulDataLen) ||
	    !tag_valid(ccm.ulMACLen) || ccm.ulAADLen > AES_CCM_LEN_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->iv = bytes(ccm.pNonce, ccm.ulNonceLen);
	parameter->aad = bytes(ccm.pAAD, ccm.ulAADLen);
	parameter->tag_len = ccm.ulMACLen;
	parameter->data_len = ccm.ulDataLen;
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* --- Operations */

/* What is wanted of the parameter when the work is done. */
struct nonce_and_aad {
	uint8_t nonce[AES_CCM_NONCE_MAX];
	size_t nonce_len, aad_len;
	uint8_t aad[];
};

static struct nonce_and_aad *keep(const struct parameter *parameter)
{
	struct nonce_and_aad *kept = NULL;

	if (parameter->aad.len <= SIZE_MAX - sizeof(*kept))
		kept = malloc(sizeof(*kept) + parameter->aad.len);
	if (kept == NULL)
		return NULL;
	kept->nonce_len = parameter->iv.len;
	memcpy(kept->nonce, parameter->iv.data, parameter->iv.len);
	kept->aad_len = parameter->aad.len;
	if (parameter->aad.len > 0)
		memcpy(kept->aad, parameter->aad.data, parameter->aad.len);
	return kept;
}

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	if (parameter->aad.len > AES_CCM_LEN_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	op->own = keep(parameter);
	op->tag_len = parameter->tag_len;
	op->collected_max = parameter->data_len;
	if (op->kind == OPERATION_DECRYPT) /* of a message the tag is apart */
		op->collected_max += op->tag_len;
	return op->own == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

/* The whole is of the length that the parameter said. */
static CK_RV seal_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = op->collected_max + op->tag_len;
	return in_len == op->collected_max ? CKR_OK : len_range(op);
}

static CK_RV open_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = op->collected_max - op->tag_len;
	return in_len == op->collected_max ? CKR_OK : len_range(op);
}

static struct aes_message message_of(const struct operation *op)
{
	const struct nonce_and_aad *kept = op->own;

	return (struct aes_message){
		.iv = bytes(kept->nonce, kept->nonce_len),
		.aad = bytes(kept->aad, kept->aad_len),
		.tag_len = op->tag_len,
	};
}

static bool run(struct operation *op, struct bytes in, uint8_t *out)
{
	const struct aes_message message = message_of(op);

	return aes_ccm(op->key->aes, &message, in, out);
}

static CK_RV seal_whole(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	*ret_len = in.len + op->tag_len;
	return run(op, in, out) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV open_whole(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	*ret_len = in.len - op->tag_len;
	return run(op, in, out) ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
}

static const struct cipher_class seal_class = {
	.start = start,
	.bounds = {seal_bound, collected_part_bound, collected_last_bound},
	.runs = {seal_whole, collected_part, collected_last},
	.let_go = free,
};

static const struct cipher_class open_class = {
	.start = start,
	.bounds = {open_bound, collected_part_bound, collected_last_bound},
	.runs = {open_whole, collected_part, collected_last},
	.let_go = free,
	.authenticates = true,
};

/* --- As a way of wrapping: the tag follows the key, whose length the parameter says */

static CK_RV accepts(const struct parameter *parameter)
{
	return parameter_tag_may_wrap(parameter, "CKM_AES_CCM");
}

static size_t wrapped_len(const struct mechanism *mechanism, const struct parameter *parameter,
			  size_t len)
{
	(void)mechanism;
	if (len == 0 || len > AES_WRAP_MAX || len != parameter->data_len)
		return 0;
	return len + parameter->tag_len;
}

static size_t value_max(const struct mechanism *mechanism, const struct parameter *parameter,
			size_t len)
{
	(void)mechanism;
	if (parameter->data_len == 0 || len > AES_WRAP_MAX ||
	    len != parameter->data_len + parameter->tag_len)
		return 0;
	return parameter->data_len;
}

static bool run_whole(struct ready_key *by, const struct parameter *parameter, struct bytes in,
		      uint8_t *out)
{
	const struct aes_message message = {parameter->iv, parameter->aad, parameter->tag_len};

	return aes_ccm(by->aes, &message, in, out);
}

static CK_RV wrap(struct ready_key *by, const struct parameter *parameter, struct bytes value,
		  uint8_t *ret_wrapped)
{
	return run_whole(by, parameter, value, ret_wrapped) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV unwrap(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
		    uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk)
{
	(void)ret_ezk;
	*ret_len = parameter->data_len;
	return run_whole(by, parameter, wrapped, ret_secret) ? CKR_OK : CKR_WRAPPED_KEY_INVALID;
}

static const struct wrap_method ccm_wrap = {
	.accepts = accepts,
	.wrapped_len = wrapped_len,
	.value_max = value_max,
	.wrap = wrap,
	.unwrap = unwrap,
};

/* --- Messages: the tag is apart */

static bool read_message(const void *structure, struct message *ret_message)
{
	CK_CCM_MESSAGE_PARAMS ccm;

	memcpy(&ccm, structure, sizeof(ccm));
	*ret_message = (struct message){
		.iv = ccm.pNonce,
		.iv_len = ccm.ulNonceLen,
		.fixed_bits = ccm.ulNonceFixedBits,
		.generator = ccm.nonceGenerator,
		.tag = ccm.pMAC,
		.tag_len = ccm.ulMACLen,
		.text_max = ccm.ulDataLen,
		.is_sized = true,
		.data_len = ccm.ulDataLen,
	};
	return tag_valid(ccm.ulMACLen) && lengths_valid(ccm.ulNonceLen, ccm.ulDataLen);
}

static bool read_wrap(const void *structure, struct message *ret_message, struct bytes *ret_aad)
{
	CK_CCM_WRAP_PARAMS ccm;
	CK_CCM_MESSAGE_PARAMS same;

	memcpy(&ccm, structure, sizeof(ccm));
	same = (CK_CCM_MESSAGE_PARAMS){.ulDataLen = ccm.ulDataLen,
				       .pNonce = ccm.pNonce,
				       .ulNonceLen = ccm.ulNonceLen,
				       .ulNonceFixedBits = ccm.ulNonceFixedBits,
				       .nonceGenerator = ccm.nonceGenerator,
				       .ulMACLen = ccm.ulMACLen};
	*ret_aad = bytes(ccm.pAAD, ccm.ulAADLen);
	return ccm.ulAADLen <= AES_CCM_LEN_MAX && read_message(&same, ret_message);
}

static const struct message_class messages = {
	.size = sizeof(CK_CCM_MESSAGE_PARAMS),
	.read = read_message,
	.wrap_size = sizeof(CK_CCM_WRAP_PARAMS),
	.read_wrap = read_wrap,
	.wanted = "CK_CCM_MESSAGE_PARAMS with a nonce of 7 to 13 bytes, a length of data that this "
		  "nonce has room for (1 GiB at most), and a MAC of 4, 6, ... 16 bytes",
};

static CK_RV whole_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len == op->collected_max ? CKR_OK : len_range(op);
}

static CK_RV message_whole(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	const struct aes_message message = message_of(op);

	if (!aes_ccm_apart(op->key->aes, &message, in, out, op->tag))
		return operation_opens(op) ? CKR_AEAD_DECRYPT_FAILED : CKR_FUNCTION_FAILED;
	*ret_len = in.len;
	return CKR_OK;
}

static const struct cipher_class message_cipher_class = {
	.start = start,
	.bounds = {whole_bound, collected_part_bound, collected_end_bound},
	.runs = {message_whole, collected_part, collected_end},
	.let_go = free,
};

const struct behaviour ccm_behaviour = {
	.read = read_ccm,
	.wanted =
		"CK_CCM_PARAMS with a nonce of 7 to 13 bytes, a length of data that this nonce has "
		"room for (1 GiB at most, as for the AAD), and a MAC of 4, 6, ... 16 bytes",
	.operations = {[OPERATION_ENCRYPT] = &seal_class,
		       [OPERATION_DECRYPT] = &open_class,
		       [OPERATION_MESSAGE_ENCRYPT] = &message_cipher_class,
		       [OPERATION_MESSAGE_DECRYPT] = &message_cipher_class},
	.wrap = &ccm_wrap,
	.messages = &messages,
	.scheduled = true,
};
