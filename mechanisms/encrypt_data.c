/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_CBC_ENCRYPT_DATA: the key is what the base key makes of given
 * data. */
#include "base/macros.h"
#include "base/secret.h"
#include "mechanisms/deriving.h"
#include "mechanisms/parameters.h"

static CK_RV data_valid(const struct deriving *deriving)
{
	size_t len = deriving->data.len;

	return deriving->data.data != NULL && len > 0 && len % AES_BLOCK == 0 && len <= AES_WRAP_MAX
		       ? CKR_OK
		       : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV read_ecb(const CK_MECHANISM *given, struct deriving *ret_deriving)
{
	CK_KEY_DERIVATION_STRING_DATA data;

	if (given->ulParameterLen != sizeof(data) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&data, given->pParameter, sizeof(data));
	ret_deriving->data = bytes(data.pData, data.ulLen);
	return data_valid(ret_deriving);
}

static CK_RV read_cbc(const CK_MECHANISM *given, struct deriving *ret_deriving)
{
	CK_AES_CBC_ENCRYPT_DATA_PARAMS data;

	if (given->ulParameterLen != sizeof(data) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&data, given->pParameter, sizeof(data));
	memcpy(ret_deriving->cbc_iv, data.iv, sizeof(data.iv));
	ret_deriving->iv = bytes(ret_deriving->cbc_iv, sizeof(data.iv));
	ret_deriving->data = bytes(data.pData, data.length);
	return data_valid(ret_deriving);
}

/* A shorter key is the beginning. */
static CK_RV fit(const struct object *base, size_t wanted_len, struct deriving *deriving)
{
	(void)base;
	deriving->len = wanted_len == 0 ? deriving->data.len : wanted_len;
	return deriving->len <= deriving->data.len && deriving->len <= DEK_MAX ? CKR_OK
									       : CKR_KEY_SIZE_RANGE;
}

static bool run(const struct deriving *deriving, struct bytes base, uint8_t *ret_value)
{
	const struct aes_message message = {.iv = deriving->iv};
	AUTO(aes_freep)
	struct aes *aes = aes_new((enum aes_mode)deriving->mechanism->detail, true, base);
	AUTO(secret_freep) uint8_t *out = secret_new(deriving->data.len);
	size_t len;

	if (aes == NULL || out == NULL || !aes_start(aes, &message) ||
	    !aes_update(aes, deriving->data, out, &len))
		return false;
	secret_copy(ret_value, out, deriving->len);
	return true;
}

static const struct derive_method by_ecb = {read_ecb, fit, run}, by_cbc = {read_cbc, fit, run};

static CK_RV read(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)given;
	(void)parameter;
	return CKR_MECHANISM_PARAM_INVALID;
}

const struct behaviour ecb_data_behaviour = {
	.read = read,
	.wanted = "CK_KEY_DERIVATION_STRING_DATA of whole blocks",
	.derive = &by_ecb,
};
const struct behaviour cbc_data_behaviour = {
	.read = read,
	.wanted = "CK_AES_CBC_ENCRYPT_DATA_PARAMS of whole blocks",
	.derive = &by_cbc,
};
