/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_GenerateKey: what the template asks for decides whether a zone or a data key is made. */
#include "base/log.h"
#include "mechanisms/generate.h"
#include "mechanisms/parameters.h"
#include "objects/chunk.h"
#include "objects/ivs.h"
#include "session/keys.h"
#include "session/output.h"
#include "session/state.h"

enum { ZONE_KEY_LEN = 32 };

/* A token AES-256 key that is not extractable is a zone's EZK; every other key is a data key. */
static bool asks_for_zone(const struct template *template)
{
	return template->token && template->key_type == CKK_AES &&
	       template->value_len == ZONE_KEY_LEN && (template->flags & OBJECT_EXTRACTABLE) == 0;
}

/* The row counts generic secrets in bits. That there is a length, and one that fits the type, is
 * the template's to know. */
static CK_RV check_len(const struct mechanism *mechanism, CK_ULONG len)
{
	CK_ULONG unit = mechanism->key_type == CKK_GENERIC_SECRET ? 8 : 1;
	CK_ULONG min = (mechanism->min_key + unit - 1) / unit;

	if (len == 0 || len >= min)
		return CKR_OK;
	log_warning("mechanism 0x%lx makes keys of %lu bytes at least, not %lu", mechanism->type,
		    min, len);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV complete(const struct mechanism *mechanism, struct template *template)
{
	if (template->class != CK_UNAVAILABLE_INFORMATION && template->class != CKO_SECRET_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	if (template->key_type != CK_UNAVAILABLE_INFORMATION &&
	    template->key_type != mechanism->key_type)
		return CKR_TEMPLATE_INCONSISTENT;
	template->key_type = mechanism->key_type;
	return check_len(mechanism, template->value_len);
}

static CK_RV refuse_zone_in_zone(void)
{
	log_warning("a template names a zone (CKA_CMEK_ZONE) for what would be a zone itself: a "
		    "token key of 32 bytes is a data key if CKA_EXTRACTABLE is TRUE");
	return CKR_TEMPLATE_INCONSISTENT;
}

static CK_RV make(struct session *session, const struct mechanism *mechanism,
		  const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;

	TRY(template_make_key(TEMPLATE_GENERATE, template, template->token, &key));
	key->generated_by = mechanism->type;
	if (asks_for_zone(template) && template->zone != 0)
		return refuse_zone_in_zone();
	if (asks_for_zone(template) && template->databases.data != NULL)
		return objects_store_zones(session->objects, session->slot, TAKE(key),
					   template->databases, ret_handle);
	if (asks_for_zone(template))
		return objects_store_zone(session->objects, session->slot, TAKE(key), ret_handle);
	if (template_is_of_zone(template))
		return template_refuse_of_zone("a data key: those are of zones");
	TRY(generate_value(key, template->value_len));
	if (!template->token) {
		object_allow_iv_counter(key);
		object_begin_messages(key);
	}
	return session_add_key(session, template, &key, ret_handle);
}

CK_RV session_generate(struct session *session, const CK_MECHANISM *mechanism,
		       const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(parameter_clear) struct parameter parameter = {0};
	const struct mechanism *found;
	struct template template;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;

	if (mechanism == NULL || ret_key == NULL || (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	found = mechanism_find_for(given.mechanism, CKF_GENERATE);
	if (found == NULL)
		return CKR_MECHANISM_INVALID;
	TRY(parameter_read(found, &given, &parameter));
	TRY(template_read(TEMPLATE_GENERATE, attributes, count, &template));
	TRY(complete(found, &template));
	TRY(session_may_make(session, &template));
	TRY(make(session, found, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}
