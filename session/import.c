/*
 * C_UnwrapKey by a root key. A record set (docs/format.md) brings a zone back to a token, or lives
 * in the session alone, which is how an envelope opens on a host that knows nothing but the KMS.
 * Any other bytes are a KMS blob of 32 bytes under purpose=import, which becomes a new zone.
 */
#include "session/keys.h"

#include "base/log.h"
#include "objects/error.h"
#include "session/keyed.h"
#include "session/parameters.h"
#include "session/state.h"

/* Record sets and single records begin so; no KMS's ciphertext does. */
static bool is_record_set(struct bytes wrapped)
{
	return wrapped.len >= 4 &&
	       (memcmp(wrapped.data, "CEZS", 4) == 0 || memcmp(wrapped.data, "CEZK", 4) == 0);
}

static enum zone_status import(struct session *session, struct uid project,
			       const struct entry *root_key, const struct parameter *parameter,
			       struct bytes wrapped, bool imported, const struct entry_names *names,
			       struct entry **ret_zone)
{
	struct zones *zones = objects_zones(session->objects);
	const struct kms_context none = {0};

	if (is_record_set(wrapped))
		return zones_zone_import(zones, project, root_key, wrapped, imported, names,
					 ret_zone);
	return zones_zone_import_blob(zones, project, root_key,
				      parameter->context == NULL ? &none
								 : &parameter->context->pairs,
				      wrapped, names, ret_zone);
}

static CK_RV import_to_token(struct session *session, struct keyed *root,
			     const struct parameter *parameter, struct bytes wrapped,
			     const struct template *template, struct object *wished,
			     CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(entry_releasep) struct entry *project = NULL, *zone = NULL;
	AUTO(object_releasep) struct object *object = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry_names names;

	if (!object_names(wished, &extra, &names))
		return CKR_HOST_MEMORY;
	TRY(tokens_project(session->tokens, session->slot, &project));
	TRY(error_of_zone(import(session, project->uid, root->object->entry, parameter, wrapped,
				 template->imported, &names, &zone),
			  ERROR_IMPORT));
	TRY(objects_of_entry(session->objects, zone, session->slot, &object));
	*ret_handle = object->handle;
	return CKR_OK;
}

/* As every EZK is, on a token or not. */
static void become_zone(struct object *object, struct ezk *ezk)
{
	object->kind = OBJECT_ZONE;
	object->ezk = ezk;
	object->usages &= ~(uint32_t)USAGE_DERIVE;
	object->flags |= OBJECT_SENSITIVE;
	object->flags &= ~(uint32_t)(OBJECT_EXTRACTABLE | OBJECT_COPYABLE | OBJECT_LOCAL);
}

static CK_RV import_to_session(struct session *session, struct keyed *root, struct bytes wrapped,
			       struct object **wished, CK_OBJECT_HANDLE *ret_handle)
{
	struct ezk *ezk = NULL;

	if (!is_record_set(wrapped)) {
		log_error("an EZK from elsewhere becomes a zone of a token: CKA_TOKEN must be "
			  "TRUE to unwrap a blob of the KMS");
		return CKR_TEMPLATE_INCONSISTENT;
	}
	TRY(error_of_zone(ezk_from_records(objects_zones(session->objects), root->object->entry,
					   wrapped, &ezk),
			  ERROR_IMPORT));
	become_zone(*wished, ezk);
	return session_add(session, wished, ret_handle);
}

CK_RV session_import_zone(struct session *session, struct keyed *root,
			  const struct parameter *parameter, struct bytes wrapped,
			  const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	struct template zone = *template;
	AUTO(object_releasep) struct object *wished = NULL;

	if ((zone.key_type != CK_UNAVAILABLE_INFORMATION && zone.key_type != CKK_AES) ||
	    (zone.value_len != 0 && zone.value_len != 32) || (zone.flags & OBJECT_EXTRACTABLE) != 0)
		return CKR_TEMPLATE_INCONSISTENT;
	zone.key_type = CKK_AES;
	zone.value_len = 32;
	TRY(template_make_key(TEMPLATE_UNWRAP, &zone, zone.token, &wished));
	if (zone.token)
		return import_to_token(session, root, parameter, wrapped, &zone, wished,
				       ret_handle);
	return import_to_session(session, root, wrapped, &wished, ret_handle);
}
