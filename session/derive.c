/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_DeriveKey: HKDF over a data key. What is derived belongs to the zone of its base key, and of
 * its salt if that is a key. */
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

static CK_RV derive(struct session *session, struct ready_key *by, struct derivation *derivation,
		    struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;

	TRY(hkdf_begin(derivation, template->value_len));
	template->value_len = derivation->len;
	TRY(template_make_key(TEMPLATE_DERIVE, template, template->token, &key));
	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	TRY(hkdf_base(derivation, session->objects, by));
	TRY(read_salt_key(session, derivation, by));
	inherit(by->object, key);
	object_share_stamp(key, by->object);
	TRY(hkdf_run(derivation, key));
	if (!template->token)
		object_begin_chunks(key);
	return session_add_key(session, template, &key, ret_handle);
}

CK_RV session_derive(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE base_key, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_key)
{
	AUTO(derivation_clear) struct derivation derivation = {0};
	struct template template;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || ret_key == NULL || (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_DERIVE, given.mechanism, base_key, &by));
	TRY(hkdf_read(&given, &derivation.params));
	TRY(template_read(TEMPLATE_DERIVE, attributes, count, &template));
	TRY(session_may_make(session, &template));
	if (template.class != CK_UNAVAILABLE_INFORMATION && template.class != CKO_SECRET_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	TRY(derive(session, by, &derivation, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}
