/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF; see the header. */
#include "mechanisms/hkdf.h"

#include "base/macros.h"
#include "base/secret.h"
#include "mechanisms/parameters.h"
#include "objects/template.h"

static bool salt_valid(const CK_HKDF_PARAMS *hkdf)
{
	switch (hkdf->ulSaltType) {
	case CKF_HKDF_SALT_NULL:
	case CKF_HKDF_SALT_KEY:
		return true;
	case CKF_HKDF_SALT_DATA:
		return bytes_valid(bytes(hkdf->pSalt, hkdf->ulSaltLen));
	default:
		return !hkdf->bExtract; /* then it is not used */
	}
}

CK_RV hkdf_read(const CK_MECHANISM *given, CK_HKDF_PARAMS *ret_hkdf)
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

/* hkdf_read() reads the structure: struct parameter, which most mechanisms need, has no room for
 * it. */
static CK_RV read(const CK_MECHANISM *given, struct parameter *parameter)
{
	(void)given;
	(void)parameter;
	return CKR_MECHANISM_PARAM_INVALID;
}

const struct behaviour hkdf_behaviour = {.read = read, .wanted = "CK_HKDF_PARAMS"};

void derivation_clear(struct derivation *derivation)
{
	secret_free(derivation->base_secret);
	secret_free(derivation->salt_secret);
}

static CK_RV find_digest(CK_MECHANISM_TYPE type, enum digest_kind *ret_digest)
{
	const struct mechanism *mechanism = mechanism_find(type);

	if (mechanism == NULL || mechanism->does != &digest_behaviour)
		return CKR_MECHANISM_PARAM_INVALID;
	*ret_digest = (enum digest_kind)mechanism->detail;
	return CKR_OK;
}

/* RFC 5869: an extract alone gives one digest, and what is shorter its beginning. */
static size_t len_max(const struct derivation *derivation, size_t max)
{
	size_t size = digest_size(derivation->digest);
	size_t given = derivation->params.bExpand ? 255 * size : size;

	return given < max ? given : max;
}

CK_RV hkdf_begin(struct derivation *derivation, size_t wanted_len, size_t max)
{
	bool expands = derivation->params.bExpand;

	TRY(find_digest(derivation->params.prfHashMechanism, &derivation->digest));
	if (wanted_len == 0 && expands)
		return CKR_TEMPLATE_INCOMPLETE;
	derivation->len = wanted_len != 0 ? wanted_len : digest_size(derivation->digest);
	return derivation->len <= len_max(derivation, max) ? CKR_OK : CKR_KEY_SIZE_RANGE;
}

CK_RV hkdf_base(struct derivation *derivation, struct objects *objects, const struct ready_key *by)
{
	const CK_HKDF_PARAMS *params = &derivation->params;

	TRY(key_value(objects, by->object, ERROR_WRAP, &derivation->base_secret));
	derivation->base = bytes(derivation->base_secret, by->object->value_len);
	if (params->bExtract && params->ulSaltType == CKF_HKDF_SALT_DATA)
		derivation->salt = bytes(params->pSalt, params->ulSaltLen);
	return CKR_OK;
}

bool hkdf_wants_salt_key(const struct derivation *derivation)
{
	return derivation->params.bExtract && derivation->params.ulSaltType == CKF_HKDF_SALT_KEY;
}

/* A key that serves as the salt must allow derivation, and passes the same checks as the base
 * key. Both belong to one zone, and so does the derived key. */
CK_RV hkdf_salt_key(struct derivation *derivation, struct objects *objects,
		    const struct ready_key *by, struct object *salt)
{
	CK_RV rv;

	TRY(key_begin(salt, ERROR_WRAP));
	TRY(key_value(objects, salt, ERROR_WRAP, &derivation->salt_secret));
	rv = error_of_zone(object_unite(by->object, salt), ERROR_WRAP);
	if (rv != CKR_OK)
		return rv == CKR_KEY_NOT_WRAPPABLE ? CKR_KEY_FUNCTION_NOT_PERMITTED : rv;
	derivation->salt = bytes(derivation->salt_secret, salt->value_len);
	return CKR_OK;
}

CK_RV hkdf_run(const struct derivation *derivation, uint8_t **ret_value)
{
	const CK_HKDF_PARAMS *params = &derivation->params;
	size_t len = params->bExpand ? derivation->len : digest_size(derivation->digest);
	AUTO(secret_freep) uint8_t *value = secret_new(len);

	if (value == NULL)
		return CKR_HOST_MEMORY;
	if (!hkdf(derivation->digest, params->bExtract, params->bExpand, derivation->base,
		  derivation->salt, bytes(params->pInfo, params->ulInfoLen), value, len))
		return CKR_FUNCTION_FAILED;
	*ret_value = TAKE(value);
	return CKR_OK;
}
