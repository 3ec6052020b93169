/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_DeriveKey: HKDF over a data key. What is derived belongs to the zone of its base key, and of
 * its salt if that is a key. */
#include "session/keys.h"

#include "base/secret.h"
#include "crypto/digest.h"
#include "objects/chunk.h"
#include "objects/error.h"
#include "session/output.h"
#include "session/state.h"

struct derivation {
	const CK_HKDF_PARAMS *hkdf;
	enum digest_kind digest;
	struct bytes base;
	struct bytes salt;
	size_t len;
};

static CK_RV find_digest(CK_MECHANISM_TYPE type, enum digest_kind *ret_digest)
{
	const struct mechanism *mechanism = mechanism_find(type);

	if (mechanism == NULL || mechanism->cipher != CIPHER_DIGEST)
		return CKR_MECHANISM_PARAM_INVALID;
	*ret_digest = (enum digest_kind)mechanism->detail;
	return CKR_OK;
}

/* A salt that is a key is one that derives, as the base is, with all that is asked of that.
 * Whatever comes of both belongs where both belong, which is one zone. */
static CK_RV salt_of_key(struct session *session, const struct ready_key *by, struct object *salt,
			 uint8_t **ret_secret)
{
	CK_RV rv;

	TRY(key_begin(salt, ERROR_WRAP));
	TRY(key_value(session->objects, salt, ERROR_WRAP, ret_secret));
	rv = error_of_zone(object_unite(by->object, salt), ERROR_WRAP);
	return rv == CKR_KEY_NOT_WRAPPABLE ? CKR_KEY_FUNCTION_NOT_PERMITTED : rv;
}

/* The base key's value has been read. ret_secret: what the salt lies in, if it is a key's. */
static CK_RV find_salt(struct session *session, const struct ready_key *by,
		       const CK_HKDF_PARAMS *hkdf, uint8_t **ret_secret, struct bytes *ret_salt)
{
	AUTO(object_releasep) struct object *salt = NULL;

	*ret_salt = bytes(NULL, 0);
	if (!hkdf->bExtract || hkdf->ulSaltType == CKF_HKDF_SALT_NULL)
		return CKR_OK;
	if (hkdf->ulSaltType == CKF_HKDF_SALT_DATA) {
		*ret_salt = bytes(hkdf->pSalt, hkdf->ulSaltLen);
		return CKR_OK;
	}
	TRY(session_second_key(session, KEY_DERIVE, by->mechanism, hkdf->hSaltKey, &salt));
	TRY(salt_of_key(session, by, salt, ret_secret));
	*ret_salt = bytes(*ret_secret, salt->value_len);
	return CKR_OK;
}

/* RFC 5869: an extract alone gives one digest; a shorter key is its beginning. */
static CK_RV find_len(const struct template *template, const struct derivation *derivation,
		      size_t *ret_len)
{
	size_t size = digest_size(derivation->digest);
	size_t max = derivation->hkdf->bExpand ? DEK_MAX : size;
	size_t len = template->value_len;

	if (len == 0 && derivation->hkdf->bExpand)
		return CKR_TEMPLATE_INCOMPLETE;
	if (len == 0)
		len = size;
	if (len > max || (derivation->hkdf->bExpand && len > 255 * size))
		return CKR_KEY_SIZE_RANGE;
	*ret_len = len;
	return CKR_OK;
}

static CK_RV run(const struct derivation *derivation, struct object *key)
{
	const CK_HKDF_PARAMS *hkdf_params = derivation->hkdf;
	size_t len = hkdf_params->bExpand ? derivation->len : digest_size(derivation->digest);
	AUTO(secret_freep) uint8_t *value = secret_new(len);

	if (value == NULL)
		return CKR_HOST_MEMORY;
	if (!hkdf(derivation->digest, hkdf_params->bExtract, hkdf_params->bExpand, derivation->base,
		  derivation->salt, bytes(hkdf_params->pInfo, hkdf_params->ulInfoLen), value, len))
		return CKR_FUNCTION_FAILED;
	return object_set_value(key, bytes(value, derivation->len));
}

/* PKCS #11, "Secret key objects": a derived key was never anything its base key was not. */
static void inherit(const struct object *base, struct object *key)
{
	if ((base->flags & OBJECT_ALWAYS_SENSITIVE) == 0 || (key->flags & OBJECT_SENSITIVE) == 0)
		key->flags &= ~(uint32_t)OBJECT_ALWAYS_SENSITIVE;
	else
		key->flags |= OBJECT_ALWAYS_SENSITIVE;
	if ((base->flags & OBJECT_NEVER_EXTRACTABLE) == 0 || (key->flags & OBJECT_EXTRACTABLE) != 0)
		key->flags &= ~(uint32_t)OBJECT_NEVER_EXTRACTABLE;
	else
		key->flags |= OBJECT_NEVER_EXTRACTABLE;
}

static CK_RV derive(struct session *session, struct ready_key *by,
		    const CK_HKDF_PARAMS *hkdf_params, struct template *template,
		    CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;
	AUTO(secret_freep) uint8_t *base = NULL, *salt = NULL;
	struct derivation derivation = {.hkdf = hkdf_params};

	TRY(find_digest(hkdf_params->prfHashMechanism, &derivation.digest));
	TRY(find_len(template, &derivation, &derivation.len));
	template->value_len = derivation.len;
	TRY(template_make_key(TEMPLATE_DERIVE, template, template->token, &key));
	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	TRY(key_value(session->objects, by->object, ERROR_WRAP, &base));
	derivation.base = bytes(base, by->object->value_len);
	TRY(find_salt(session, by, hkdf_params, &salt, &derivation.salt));
	inherit(by->object, key);
	object_share_stamp(key, by->object);
	TRY(run(&derivation, key));
	if (!template->token)
		object_begin_chunks(key);
	return session_add_key(session, template, &key, ret_handle);
}

CK_RV session_derive(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE base_key, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_key)
{
	CK_HKDF_PARAMS hkdf_params;
	struct template template;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || ret_key == NULL || (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_DERIVE, given.mechanism, base_key, &by));
	TRY(parameter_read_hkdf(&given, &hkdf_params));
	TRY(template_read(TEMPLATE_DERIVE, attributes, count, &template));
	TRY(session_may_make(session, &template));
	if (template.class != CK_UNAVAILABLE_INFORMATION && template.class != CKO_SECRET_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	TRY(derive(session, by, &hkdf_params, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}
