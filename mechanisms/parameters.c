/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanism parameters; see the header. One reader a form, chosen by the mechanism's row. */
#include "mechanisms/parameters.h"

#include <jansson.h>

#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/aes.h"

enum { WRAP_TAG_MIN = 12 };

void context_free(struct context *context)
{
	if (context == NULL)
		return;
	json_decref(context->json);
	free(context);
}

static void context_freep(struct context **context)
{
	context_free(*context);
}

static CK_RV read_none(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)parameter;
	return given->ulParameterLen == 0 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV read_iv(const CK_MECHANISM *given, struct parameter *parameter)
{
	if (given->ulParameterLen != AES_BLOCK || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->iv = bytes(given->pParameter, AES_BLOCK);
	return CKR_OK;
}

/* ulCounterBits is only looked at for sense: OpenSSL's pkcs11 provider says 16 and means 16 bytes,
 * and a counter that wraps early would not decrypt what others wrote. */
static CK_RV read_counter(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_AES_CTR_PARAMS counter;

	if (given->ulParameterLen != sizeof(counter) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&counter, given->pParameter, sizeof(counter));
	if (counter.ulCounterBits < 1 || counter.ulCounterBits > 128)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(parameter->counter, counter.cb, sizeof(counter.cb));
	parameter->iv = bytes(parameter->counter, sizeof(parameter->counter));
	return CKR_OK;
}

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

/* SP 800-38D section 5.2.1.2. Length 0 is what pkcs11-tool sends when nobody asked for a tag. */
static bool tag_bits_valid(CK_ULONG bits)
{
	return bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0);
}

static CK_RV read_gcm(const CK_MECHANISM *given, struct parameter *parameter)
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

/* docs/format.md, 5.3 */
static void put_chunk_iv(struct parameter *parameter)
{
	memset(parameter->counter, 0, sizeof(parameter->counter));
	for (int i = 0; i < 4; i++)
		parameter->counter[7 + i] = (uint8_t)(parameter->chunk >> (24 - 8 * i));
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
	parameter->chunk = (uint32_t)chunk.ulIndex;
	parameter->is_last = chunk.bLast == CK_TRUE;
	put_chunk_iv(parameter);
	parameter->aad = bytes(chunk.pAAD, chunk.ulAADLen);
	parameter->tag_len = AES_GCM_TAG;
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

/* Java names the standard's own initial values: RFC 3394 section 2.2.3.1, RFC 5649 section 3. */
static CK_RV read_standard_iv(const CK_MECHANISM *given, struct bytes standard)
{
	if (given->ulParameterLen == 0)
		return CKR_OK;
	if (given->pParameter == NULL ||
	    !bytes_equal(bytes(given->pParameter, given->ulParameterLen), standard))
		return CKR_MECHANISM_PARAM_INVALID;
	return CKR_OK;
}

static CK_RV read_wrap_iv(const struct mechanism *mechanism, const CK_MECHANISM *given)
{
	static const uint8_t kw[8] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};
	static const uint8_t kwp[4] = {0xA6, 0x59, 0x59, 0xA6};

	if (mechanism->cipher == CIPHER_KW)
		return read_standard_iv(given, bytes(kw, sizeof(kw)));
	return read_standard_iv(given, bytes(kwp, sizeof(kwp)));
}

/* Names that begin so are the module's, which says by them what a ciphertext is for. */
static bool name_is_ours(const char *name)
{
	return strncmp(name, "cmek:", 5) == 0;
}

static bool context_fill(struct context *context)
{
	const char *name;
	json_t *value;

	if (!json_is_object((json_t *)context->json))
		return false;
	context->pairs.pairs = context->list;
	json_object_foreach((json_t *)context->json, name, value)
	{
		if (context->pairs.count == CONTEXT_PAIRS_MAX || !json_is_string(value) ||
		    name_is_ours(name))
			return false;
		context->list[context->pairs.count++] =
			(struct kms_pair){name, json_string_value(value)};
	}
	return true;
}

static CK_RV read_context(const CK_MECHANISM *given, struct parameter *parameter)
{
	AUTO(context_freep) struct context *context = NULL;
	bool no_memory;

	if (given->ulParameterLen == 0)
		return CKR_OK;
	if (given->pParameter == NULL || given->ulParameterLen > CONTEXT_JSON_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	context = calloc(1, sizeof(*context));
	if (context == NULL)
		return CKR_HOST_MEMORY;
	context->json = json_read(bytes(given->pParameter, given->ulParameterLen),
				  JSON_REJECT_DUPLICATES, &no_memory);
	if (context->json == NULL && no_memory)
		return CKR_HOST_MEMORY;
	if (!context_fill(context)) {
		log_error("CKM_CMEK_KMS: the parameter is not a flat JSON object of at most %d "
			  "texts with names that do not begin with \"cmek:\"",
			  CONTEXT_PAIRS_MAX);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	parameter->context = TAKE(context);
	return CKR_OK;
}

static CK_RV read_aad(const CK_MECHANISM *given, struct parameter *parameter)
{
	parameter->aad = bytes(given->pParameter, given->ulParameterLen);
	return bytes_valid(parameter->aad) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static bool salt_valid(const CK_HKDF_PARAMS *hkdf)
{
	switch (hkdf->ulSaltType) {
	case CKF_HKDF_SALT_NULL:
	case CKF_HKDF_SALT_KEY:
		return true;
	case CKF_HKDF_SALT_DATA:
		return bytes_valid(bytes(hkdf->pSalt, hkdf->ulSaltLen));
	default:
		return !hkdf->bExtract; /* then nobody looks at it */
	}
}

CK_RV parameter_read_hkdf(const CK_MECHANISM *given, CK_HKDF_PARAMS *ret_hkdf)
{
	CK_HKDF_PARAMS hkdf;

	if (given->ulParameterLen != sizeof(hkdf) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&hkdf, given->pParameter, sizeof(hkdf));
	if ((!hkdf.bExtract && !hkdf.bExpand) || !salt_valid(&hkdf) ||
	    !bytes_valid(bytes(hkdf.pInfo, hkdf.ulInfoLen)))
		return CKR_MECHANISM_PARAM_INVALID;
	*ret_hkdf = hkdf;
	return CKR_OK;
}

static CK_RV read_form(const struct mechanism *mechanism, const CK_MECHANISM *given,
		       struct parameter *ret_parameter)
{
	switch (mechanism->parameters) {
	case PARAMETERS_NONE:
		return read_none(given, ret_parameter);
	case PARAMETERS_IV:
		return read_iv(given, ret_parameter);
	case PARAMETERS_CTR:
		return read_counter(given, ret_parameter);
	case PARAMETERS_GCM:
		return read_gcm(given, ret_parameter);
	case PARAMETERS_CHUNK:
		return read_chunk(given, ret_parameter);
	case PARAMETERS_KW_IV:
		return read_wrap_iv(mechanism, given);
	case PARAMETERS_CONTEXT:
		return read_context(given, ret_parameter);
	case PARAMETERS_AAD:
		return read_aad(given, ret_parameter);
	case PARAMETERS_HKDF:
		break;
	}
	return CKR_MECHANISM_PARAM_INVALID;
}

/* In a sentence about the parameter: "… is not". */
static const char *const wanted[] = {
	[PARAMETERS_NONE] = "empty",
	[PARAMETERS_IV] = "an IV of 16 bytes",
	[PARAMETERS_CTR] = "CK_AES_CTR_PARAMS with 1 to 128 bits of counter",
	[PARAMETERS_GCM] = "CK_GCM_PARAMS with an IV of 1 to 128 bytes and a tag of 32 to 128 bits",
	[PARAMETERS_CHUNK] = "CK_CMEK_CHUNK_PARAMS with an index below 2^32",
	[PARAMETERS_KW_IV] = "empty or the standard's initial value",
	[PARAMETERS_CONTEXT] = "empty or flat JSON",
	[PARAMETERS_AAD] = "empty or bytes",
	[PARAMETERS_HKDF] = "CK_HKDF_PARAMS",
};

CK_RV parameter_read(const struct mechanism *mechanism, const CK_MECHANISM *given,
		     struct parameter *ret_parameter)
{
	CK_RV rv = read_form(mechanism, given, ret_parameter);

	if (rv == CKR_MECHANISM_PARAM_INVALID)
		log_info("mechanism 0x%lx: the parameter is not %s", given->mechanism,
			 wanted[mechanism->parameters]);
	return rv;
}

CK_RV parameter_read_to_wrap(const struct mechanism *mechanism, const CK_MECHANISM *given,
			     struct parameter *ret_parameter)
{
	TRY(parameter_read(mechanism, given, ret_parameter));
	if (mechanism->cipher != CIPHER_GCM || ret_parameter->tag_len >= WRAP_TAG_MIN)
		return CKR_OK;
	log_warning("CKM_AES_GCM wraps and unwraps keys with a tag of %d bits at least, not %zu",
		    WRAP_TAG_MIN * 8, ret_parameter->tag_len * 8);
	return CKR_MECHANISM_PARAM_INVALID;
}
