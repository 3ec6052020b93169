/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM as operations. Decryption in parts keeps the ciphertext until the tag has been
 * verified: no plaintext leaves the module before that. */
#include "mechanisms/gcm.h"

#include "base/log.h"
#include "mechanisms/message.h"
#include "objects/chunk.h"

/* --- Parameters */

/* CK_GCM_PARAMS as PKCS #11 2.20 drafts had it, still tried by older Java. */
struct short_gcm_params {
	CK_BYTE *iv;
	CK_ULONG iv_len;
	CK_BYTE *aad;
	CK_ULONG aad_len;
	CK_ULONG tag_bits;
};

static bool copy_gcm(const CK_MECHANISM *given, CK_GCM_PARAMS *ret)
{
	struct short_gcm_params old;

	if (given->pParameter == NULL)
		return false;
	if (given->ulParameterLen == sizeof(*ret)) {
		memcpy(ret, given->pParameter, sizeof(*ret));
		return true;
	}
	if (given->ulParameterLen != sizeof(old))
		return false;
	memcpy(&old, given->pParameter, sizeof(old));
	*ret = (CK_GCM_PARAMS){.pIv = old.iv,
			       .ulIvLen = old.iv_len,
			       .pAAD = old.aad,
			       .ulAADLen = old.aad_len,
			       .ulTagBits = old.tag_bits};
	return true;
}

/* SP 800-38D section 5.2.1.2. pkcs11-tool sends length 0 when its user asked for no tag. */
static bool tag_bits_valid(CK_ULONG bits)
{
	return bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0);
}

CK_RV gcm_read(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_GCM_PARAMS gcm;

	if (!copy_gcm(given, &gcm) || !tag_bits_valid(gcm.ulTagBits))
		return CKR_MECHANISM_PARAM_INVALID;
	if (gcm.pIv == NULL || gcm.ulIvLen < 1 || gcm.ulIvLen > AES_GCM_IV_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->iv = bytes(gcm.pIv, gcm.ulIvLen);
	parameter->aad = bytes(gcm.pAAD, gcm.ulAADLen);
	parameter->tag_len = gcm.ulTagBits / 8;
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* --- Operations */

/* SP 800-38D section 5.2.1.1: 2^39 - 256 bits of a text. */
#define TEXT_MAX ((UINT64_C(1) << 36) - 32)

CK_RV gcm_start(struct operation *op, struct parameter *parameter)
{
	const struct aes_message message = {
		.iv = parameter->iv,
		.aad = parameter->aad,
		.tag_len = parameter->tag_len,
	};

	op->tag_len = parameter->tag_len;
	op->collected_max = op->kind == OPERATION_DECRYPT ? TEXT_MAX + op->tag_len : TEXT_MAX;
	return aes_start(op->key->aes, &message) ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV gcm_seal_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return aes_seal(op->key->aes, in, out, ret_len) ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV gcm_seal_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len + op->tag_len;
	return in_len <= TEXT_MAX ? CKR_OK : len_range(op);
}

CK_RV gcm_text_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len <= TEXT_MAX ? CKR_OK : len_range(op);
}

CK_RV gcm_tag_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = op->tag_len;
	return CKR_OK;
}

static const struct cipher_class seal_class = {
	.start = gcm_start,
	.bounds = {gcm_seal_bound, gcm_text_bound, gcm_tag_bound},
	.runs = {gcm_seal_once, aes_part, aes_last},
};

CK_RV gcm_open_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	if (in_len < op->tag_len || in_len - op->tag_len > TEXT_MAX)
		return len_range(op);
	*ret_bound = in_len - op->tag_len;
	return CKR_OK;
}

/* The tag first: in place, the end of the input may be written over. */
CK_RV gcm_open_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	struct bytes tag = bytes(in.data + in.len - op->tag_len, op->tag_len);
	struct bytes text = bytes(in.data, in.len - op->tag_len);
	size_t none;

	if (!aes_set_tag(op->key->aes, tag))
		return CKR_FUNCTION_FAILED;
	TRY(aes_part(op, text, out, ret_len));
	return aes_last(op, text, NULL, &none);
}

static const struct cipher_class open_class = {
	.start = gcm_start,
	.bounds = {gcm_open_bound, collected_part_bound, collected_last_bound},
	.runs = {gcm_open_once, collected_part, collected_last},
	.authenticates = true,
};

/* --- As a way of wrapping: the tag follows the key */

static CK_RV accepts(const struct parameter *parameter)
{
	return parameter_tag_may_wrap(parameter, "CKM_AES_GCM");
}

static size_t wrapped_len(const struct mechanism *mechanism, const struct parameter *parameter,
			  size_t len)
{
	(void)mechanism;
	return len == 0 || len > AES_WRAP_MAX ? 0 : len + parameter->tag_len;
}

static size_t value_max(const struct mechanism *mechanism, const struct parameter *parameter,
			size_t len)
{
	(void)mechanism;
	if (len <= parameter->tag_len || len > AES_WRAP_MAX)
		return 0;
	return len - parameter->tag_len;
}

static CK_RV unwrap(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
		    uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk)
{
	const struct aes_message message = {parameter->iv, parameter->aad, parameter->tag_len};
	size_t len = wrapped.len - parameter->tag_len, none;

	(void)ret_ezk;
	if (!aes_start(by->aes, &message) ||
	    !aes_set_tag(by->aes, bytes(wrapped.data + len, parameter->tag_len)) ||
	    !aes_update(by->aes, bytes(wrapped.data, len), ret_secret, ret_len) ||
	    !aes_finish(by->aes, NULL, &none))
		return CKR_WRAPPED_KEY_INVALID;
	return CKR_OK;
}

static const struct wrap_method gcm_wrap = {
	.accepts = accepts,
	.wrapped_len = wrapped_len,
	.value_max = value_max,
	.wrap = aes_wrap,
	.unwrap = unwrap,
};

/* --- Messages: the tag is apart */

static bool read_message(const void *structure, struct message *ret_message)
{
	CK_GCM_MESSAGE_PARAMS gcm;

	memcpy(&gcm, structure, sizeof(gcm));
	*ret_message = (struct message){
		.iv = gcm.pIv,
		.iv_len = gcm.ulIvLen,
		.fixed_bits = gcm.ulIvFixedBits,
		.generator = gcm.ivGenerator,
		.tag = gcm.pTag,
		.tag_len = gcm.ulTagBits / 8,
		.text_max = TEXT_MAX,
	};
	return tag_bits_valid(gcm.ulTagBits) && gcm.ulIvLen >= 1 && gcm.ulIvLen <= AES_GCM_IV_MAX;
}

static bool read_wrap(const void *structure, struct message *ret_message, struct bytes *ret_aad)
{
	CK_GCM_WRAP_PARAMS gcm;
	CK_GCM_MESSAGE_PARAMS same;

	memcpy(&gcm, structure, sizeof(gcm));
	same = (CK_GCM_MESSAGE_PARAMS){.pIv = gcm.pIv,
				       .ulIvLen = gcm.ulIvLen,
				       .ulIvFixedBits = gcm.ulIvFixedBits,
				       .ivGenerator = gcm.ivGenerator,
				       .ulTagBits = gcm.ulTagBits};
	*ret_aad = bytes(gcm.pAAD, gcm.ulAADLen);
	return read_message(&same, ret_message);
}

static const struct message_class messages = {
	.size = sizeof(CK_GCM_MESSAGE_PARAMS),
	.read = read_message,
	.wrap_size = sizeof(CK_GCM_WRAP_PARAMS),
	.read_wrap = read_wrap,
	.wanted = "CK_GCM_MESSAGE_PARAMS with an IV of 1 to 128 bytes and a tag of 32 to 128 bits",
	.made_len = AES_GCM_IV,
	.made_with_fips = true,
};

static CK_RV seal_message(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	size_t tag_len;

	TRY(aes_part(op, in, out, ret_len));
	return aes_last(op, in, op->tag, &tag_len);
}

static const struct cipher_class message_seal_class = {
	.start = gcm_start,
	.bounds = {gcm_text_bound, gcm_text_bound, gcm_text_bound},
	.runs = {seal_message, aes_part, seal_message},
};

static CK_RV open_message(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	size_t none;

	if (!aes_set_tag(op->key->aes, bytes(op->tag, op->tag_len)))
		return CKR_FUNCTION_FAILED;
	TRY(aes_part(op, in, out, ret_len));
	return aes_finish(op->key->aes, NULL, &none) ? CKR_OK : CKR_AEAD_DECRYPT_FAILED;
}

static const struct cipher_class message_open_class = {
	.start = gcm_start,
	.bounds = {gcm_text_bound, collected_part_bound, collected_end_bound},
	.runs = {open_message, collected_part, collected_end},
};

const struct behaviour gcm_behaviour = {
	.read = gcm_read,
	.wanted = "CK_GCM_PARAMS with an IV of 1 to 128 bytes and a tag of 32 to 128 bits",
	.operations = {[OPERATION_ENCRYPT] = &seal_class,
		       [OPERATION_DECRYPT] = &open_class,
		       [OPERATION_MESSAGE_ENCRYPT] = &message_seal_class,
		       [OPERATION_MESSAGE_DECRYPT] = &message_open_class},
	.wrap = &gcm_wrap,
	.messages = &messages,
	.scheduled = true,
};

/* --- Chunks: sealing by an IV of the module's */

/* docs/format.md, 5.3 */
static void put_chunk_iv(struct parameter *parameter)
{
	memset(parameter->counter, 0, sizeof(parameter->counter));
	for (int i = 0; i < 4; i++)
		parameter->counter[7 + i] = (uint8_t)(parameter->number >> (24 - 8 * i));
	parameter->counter[AES_GCM_IV - 1] = parameter->is_last;
	parameter->iv = bytes(parameter->counter, AES_GCM_IV);
}

static CK_RV read_chunk(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_CMEK_CHUNK_PARAMS chunk;

	if (given->ulParameterLen != sizeof(chunk) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&chunk, given->pParameter, sizeof(chunk));
	if (chunk.ulIndex > UINT32_MAX || chunk.bLast > CK_TRUE)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->number = (uint32_t)chunk.ulIndex;
	parameter->is_last = chunk.bLast == CK_TRUE;
	put_chunk_iv(parameter);
	parameter->aad = bytes(chunk.pAAD, chunk.ulAADLen);
	parameter->tag_len = AES_GCM_TAG;
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* The index is taken whatever comes of it. */
static CK_RV chunk_start(struct operation *op, struct parameter *parameter)
{
	struct object *key = op->key->object;

	if (!object_has_chunks(key) || object_has(key, OBJECT_EXTRACTABLE)) {
		log_warning(
			"CKM_CMEK_CHUNK takes a session's key that C_DeriveKey made and that is "
			"not extractable, so that no chunk was sealed elsewhere");
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	}
	if (!object_take_chunk(key, parameter->number, parameter->is_last)) {
		log_warning("CKM_CMEK_CHUNK: chunk %lu, or one after it, was sealed under this key",
			    (unsigned long)parameter->number);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	return gcm_start(op, parameter);
}

static const struct cipher_class chunk_class = {
	.start = chunk_start,
	.bounds = {gcm_seal_bound, gcm_text_bound, gcm_tag_bound},
	.runs = {gcm_seal_once, aes_part, aes_last},
};

const struct behaviour chunk_behaviour = {
	.read = read_chunk,
	.wanted = "CK_CMEK_CHUNK_PARAMS with an index below 2^32",
	.operations = {[OPERATION_ENCRYPT] = &chunk_class},
	.scheduled = true,
};
