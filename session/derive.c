/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_DeriveKey, over a data key. What is derived belongs to the zone of its base key, and of HKDF's
 * salt if that is a key. */
#include "base/log.h"
#include "base/secret.h"
#include "mechanisms/deriving.h"
#include "mechanisms/hkdf.h"
#include "objects/chunk.h"
#include "session/keys.h"
#include "session/output.h"
#include "session/state.h"

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

static CK_RV read_salt_key(struct session *session, struct derivation *derivation,
			   const struct ready_key *by)
{
	AUTO(object_releasep) struct object *salt = NULL;

	if (!hkdf_wants_salt_key(derivation))
		return CKR_OK;
	TRY(session_second_key(session, KEY_DERIVE, by->mechanism, derivation->params.hSaltKey,
			       &salt));
	return hkdf_salt_key(derivation, session->objects, by, salt);
}

static CK_RV add(struct session *session, const struct template *template, struct object **key,
		 CK_OBJECT_HANDLE *ret_handle)
{
	if (!template->token)
		object_begin_chunks(*key);
	return session_add_key(session, template, key, ret_handle);
}

/* --- By HKDF, into which a second key may go */

static CK_RV run_hkdf(struct session *session, struct ready_key *by, struct derivation *derivation,
		      uint8_t **ret_value)
{
	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	TRY(hkdf_base(derivation, session->objects, by));
	TRY(read_salt_key(session, derivation, by));
	return hkdf_run(derivation, ret_value);
}

/* A key's CKA_DERIVE_TEMPLATE is kept to by keys; data would be the same bytes without it. */
static CK_RV may_derive_data(const struct object *base)
{
	struct template forced;

	if (base->derive_template.len == 0)
		return CKR_OK;
	TRY(template_read(TEMPLATE_DERIVE, NULL, 0, &forced));
	TRY(template_force(TEMPLATE_DERIVE, base->derive_template, &forced));
	if (forced.class == CKO_DATA)
		return CKR_OK;
	log_warning("the key's CKA_DERIVE_TEMPLATE says what its keys are: data is derived only "
		    "where that names CKO_DATA");
	return CKR_TEMPLATE_INCONSISTENT;
}

/* Data that are no key: whoever sees them reads them. */
static CK_RV derive_data(struct session *session, struct ready_key *by,
			 struct derivation *derivation, const struct template *template,
			 CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *data = NULL;
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(may_derive_data(by->object));
	TRY(hkdf_begin(derivation, template->value_len, DATA_MAX));
	TRY(run_hkdf(session, by, derivation, &value));
	TRY(template_make_data(template, template->token, bytes(value, derivation->len), by->object,
			       &data));
	return session_add_key(session, template, &data, ret_handle);
}

static CK_RV derive_key(struct session *session, struct ready_key *by,
			struct derivation *derivation, struct template *template,
			CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;
	AUTO(secret_freep) uint8_t *value = NULL;

	TRY(hkdf_begin(derivation, template->value_len, DEK_MAX));
	template->value_len = derivation->len;
	TRY(template_make_key(TEMPLATE_DERIVE, template, template->token, &key));
	TRY(run_hkdf(session, by, derivation, &value));
	inherit(by->object, key);
	object_share_stamp(key, by->object);
	TRY(object_take_value(key, &value, derivation->len));
	return add(session, template, &key, ret_handle);
}

static CK_RV derive_by_hkdf(struct session *session, struct ready_key *by,
			    const CK_MECHANISM *given, struct template *template,
			    CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(derivation_clear) struct derivation derivation = {0};

	TRY(hkdf_read(given, &derivation.params));
	return by->mechanism->detail == HKDF_DATA
		       ? derive_data(session, by, &derivation, template, ret_handle)
		       : derive_key(session, by, &derivation, template, ret_handle);
}

/* --- By the others */

static CK_RV read_parameter(const CK_MECHANISM *given, struct deriving *deriving)
{
	const struct behaviour *does = deriving->mechanism->does;
	CK_RV rv = does->derive->read(given, deriving);

	if (rv == CKR_MECHANISM_PARAM_INVALID)
		log_info("mechanism 0x%lx: the parameter is not %s", given->mechanism,
			 does->wanted);
	return rv;
}

/* What a cipher or a MAC makes of chosen data, read in the clear, is what the base key would tell
 * of itself: of AES GCM's hash key, blocks of its ECB, a MAC. So a sensitive key gives sensitive
 * ones. */
static CK_RV keeps_secret(const struct object *base, const struct object *key)
{
	if ((base->flags & OBJECT_SENSITIVE) == 0 || (key->flags & OBJECT_SENSITIVE) != 0)
		return CKR_OK;
	log_info("a sensitive key gives only sensitive ones by this mechanism: CKA_SENSITIVE false "
		 "does not fit");
	return CKR_TEMPLATE_INCONSISTENT;
}

static CK_RV set_derived(struct session *session, struct ready_key *by,
			 const struct deriving *deriving, struct object *key)
{
	AUTO(secret_freep) uint8_t *base = NULL;
	AUTO(secret_freep) uint8_t *value = secret_new(deriving->len);

	if (value == NULL)
		return CKR_HOST_MEMORY;
	TRY(key_value(session->objects, by->object, ERROR_WRAP, &base));
	inherit(by->object, key);
	object_share_stamp(key, by->object);
	if (!deriving->mechanism->does->derive->run(deriving, bytes(base, by->object->value_len),
						    value))
		return CKR_FUNCTION_FAILED;
	return object_take_value(key, &value, deriving->len);
}

static CK_RV derive_by_method(struct session *session, struct ready_key *by,
			      const CK_MECHANISM *given, struct template *template,
			      CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;
	struct deriving deriving = {.mechanism = by->mechanism};

	TRY(read_parameter(given, &deriving));
	TRY(by->mechanism->does->derive->fit(by->object, template->value_len, &deriving));
	template->value_len = deriving.len;
	if (template->key_type == CK_UNAVAILABLE_INFORMATION)
		template->key_type = CKK_GENERIC_SECRET;
	TRY(template_make_key(TEMPLATE_DERIVE, template, template->token, &key));
	TRY(keeps_secret(by->object, key));
	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	TRY(set_derived(session, by, &deriving, key));
	return add(session, template, &key, ret_handle);
}

/* --- */

/* A template without a class is one of a key; data have other attributes, so they have to say so.
 */
static CK_RV check_class(const struct mechanism *mechanism, CK_OBJECT_CLASS class)
{
	bool makes_data = mechanism->does == &hkdf_behaviour && mechanism->detail == HKDF_DATA;

	if (class == CK_UNAVAILABLE_INFORMATION && makes_data) {
		log_warning("template of what CKM_HKDF_DATA derives lacks CKA_CLASS, CKO_DATA");
		return CKR_TEMPLATE_INCOMPLETE;
	}
	if (class == (makes_data ? CKO_DATA : CKO_SECRET_KEY) ||
	    class == CK_UNAVAILABLE_INFORMATION)
		return CKR_OK;
	return CKR_TEMPLATE_INCONSISTENT;
}

CK_RV session_derive(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE base_key, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_key)
{
	struct template template;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || ret_key == NULL || (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_DERIVE, given.mechanism, base_key, &by));
	TRY(template_read(TEMPLATE_DERIVE, attributes, count, &template));
	TRY(template_force(TEMPLATE_DERIVE, by->object->derive_template, &template));
	TRY(session_may_make(session, &template));
	TRY(check_class(by->mechanism, template.class));
	if (by->mechanism->does->derive != NULL)
		TRY(derive_by_method(session, by, &given, &template, &handle));
	else
		TRY(derive_by_hkdf(session, by, &given, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}
