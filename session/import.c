/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C_UnwrapKey by a root key. A record set (docs/format.md) brings a zone back to a token, or lives
 * in the session alone, which is how an envelope opens on a host that knows nothing but the KMS.
 * Any other bytes are a KMS blob of 32 bytes under purpose=import, which becomes a new zone.
 */
#include "base/log.h"
#include "mechanisms/parameters.h"
#include "objects/error.h"
#include "objects/zone_limits.h"
#include "session/keys.h"
#include "session/ready_keys.h"
#include "session/state.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"

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

static CK_RV import_to_token(struct session *session, struct ready_key *root,
			     const struct parameter *parameter, struct bytes wrapped,
			     const struct template *template, struct object *wished,
			     CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(entry_releasep) struct entry *project = NULL, *zone = NULL;
	AUTO(object_releasep) struct object *object = NULL;
	AUTO(buffer_clear) struct buffer extra = {0}, limits = {0};
	struct entry_names names;

	if (!object_names(wished, &extra, &names))
		return CKR_HOST_MEMORY;
	/* A record set has its own. */
	if (!is_record_set(wrapped))
		TRY(zone_limits_write(wished, &limits));
	names.limits = buffer_bytes(&limits);
	TRY(tokens_project(session->tokens, session->slot, &project));
	TRY(error_of_zone(import(session, project->uid, root->object->entry, parameter, wrapped,
				 template->imported, &names, &zone),
			  ERROR_IMPORT));
	TRY(objects_of_entry(session->objects, zone, session->slot, &object));
	*ret_handle = object->handle;
	return CKR_OK;
}

/* As every EZK is, on a token or not, and kept to the records that it came with. */
static CK_RV make_zone(const struct object *wished, struct ezk *ezk, struct object **ret_zone)
{
	AUTO(entry_releasep) struct entry *records = ezk_entry(ezk);
	AUTO(zone_limits_clear) struct zone_limits limits = {0};
	struct object model = object_model(wished);

	model.kind = OBJECT_ZONE;
	model.ezk = ezk;
	model.stamp = NULL;
	model.flags |= OBJECT_SENSITIVE;
	model.flags &= ~(uint32_t)(OBJECT_EXTRACTABLE | OBJECT_COPYABLE | OBJECT_LOCAL);
	zone_limits_begin(wished, &limits);
	zone_limits_keep_to_zone(&limits, records);
	if (!zone_limits_put(&limits, &model))
		return CKR_HOST_MEMORY;
	model.usages &= ~(uint32_t)USAGE_DERIVE;
	*ret_zone = object_new(&model);
	return *ret_zone == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

static CK_RV import_to_session(struct session *session, struct ready_key *root,
			       struct bytes wrapped, const struct object *wished,
			       CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	if (!is_record_set(wrapped)) {
		log_error("an EZK from elsewhere becomes a zone of a token: CKA_TOKEN must be "
			  "TRUE to unwrap a blob of the KMS");
		return CKR_TEMPLATE_INCONSISTENT;
	}
	TRY(error_of_zone(ezk_from_records(zones_registry(objects_zones(session->objects)),
					   root->object->entry, wrapped, &ezk),
			  ERROR_IMPORT));
	TRY(make_zone(wished, ezk, &zone));
	return session_add(session, &zone, ret_handle);
}

CK_RV session_import_zone(struct session *session, struct ready_key *root,
			  const struct parameter *parameter, struct bytes wrapped,
			  const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	struct template zone = *template;
	AUTO(object_releasep) struct object *wished = NULL;

	if ((zone.key_type != CK_UNAVAILABLE_INFORMATION && zone.key_type != CKK_AES) ||
	    (zone.value_len != 0 && zone.value_len != 32) || (zone.flags & OBJECT_EXTRACTABLE) != 0)
		return CKR_TEMPLATE_INCONSISTENT;
	if (is_record_set(wrapped) && template_is_of_zone(&zone))
		return template_refuse_of_zone("a zone that comes with its record, which has them");
	zone.key_type = CKK_AES;
	zone.value_len = 32;
	TRY(template_make_key(TEMPLATE_UNWRAP, &zone, zone.token, &wished));
	if (zone.token)
		return import_to_token(session, root, parameter, wrapped, &zone, wished,
				       ret_handle);
	return import_to_session(session, root, wrapped, wished, ret_handle);
}
