/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_UnwrapKey of a data key, by an EZK or by another data key. Of zones: import.c. */
#include "base/log.h"
#include "base/secret.h"
#include "mechanisms/message.h"
#include "mechanisms/wrapping.h"
#include "objects/error.h"
#include "objects/zone_limits.h"
#include "session/keys.h"
#include "session/output.h"
#include "session/state.h"
#include "zones/domain/zones.h"

/* A key that a zone unwraps belongs to that zone; one that another key unwraps belongs where
 * that key does, even if that is decided later. */
static void stamp(const struct ready_key *by, struct ezk *used, struct object *key)
{
	struct ezk *zone = used != NULL ? used : by->ezk;

	if (zone != NULL)
		object_begin_in(key, zone);
	else
		object_share_stamp(key, by->object);
}

/* Takes the value, which has `len` bytes. */
static CK_RV make(struct session *session, const struct ready_key *by, struct ezk *used,
		  const struct template *template, uint8_t **value, size_t len,
		  CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *key = NULL;

	if (template_is_of_zone(template))
		return template_refuse_of_zone("a data key: those are of zones");
	TRY(template_make_key(TEMPLATE_UNWRAP, template, template->token, &key));
	stamp(by, used, key);
	TRY(object_take_value(key, value, len));
	return session_add_key(session, template, &key, ret_handle);
}

static CK_RV unwrap_by(struct session *session, struct ready_key *by,
		       const struct parameter *parameter, struct bytes wrapped,
		       const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	const struct wrap_method *method = by->mechanism->does->wrap;
	AUTO(secret_freep) uint8_t *value = NULL;
	AUTO(ezk_releasep) struct ezk *used = NULL;
	size_t len;

	len = method == NULL ? 0 : method->value_max(by->mechanism, parameter, wrapped.len);
	if (len == 0)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	value = secret_new(len);
	if (value == NULL)
		return CKR_HOST_MEMORY;
	TRY(ready_key_begin(by, session->objects, session->realtime_ms));
	TRY(method->unwrap(by, parameter, wrapped, value, &len, &used));
	TRY(ready_key_verified(by, used));
	return make(session, by, used, template, &value, len, ret_handle);
}

/* What was wrapped names a version of a zone; version 0: none, or there is no such format. */
struct named {
	uint64_t zone;
	uint32_t version;
};

static struct named named_in(const struct ready_key *by, struct bytes wrapped)
{
	struct named named = {0};

	if (!by->begins_itself ||
	    !by->mechanism->does->wrap->names(wrapped, &named.zone, &named.version))
		return (struct named){0};
	return named;
}

/* Another process may have rotated the zone just now. The key is found anew if there are news.
 * Imported versions came with the zone. */
static CK_RV look_for_version(struct session *session, CK_MECHANISM_TYPE mechanism,
			      CK_OBJECT_HANDLE handle, struct bytes wrapped, struct ready_key **by)
{
	const struct entry *zone = (*by)->object->entry;
	struct named named = named_in(*by, wrapped);

	if (named.version == 0 || zone == NULL || named.zone != zone->of_zone.zone ||
	    entry_version(zone, named.version) != NULL)
		return CKR_OK;
	TRY(error_of_zone(
		zones_look_for_version(objects_zones(session->objects), named.zone, named.version),
		ERROR_UNWRAP));
	return session_key(session, KEY_UNWRAP, mechanism, handle, by);
}

static CK_RV keep_to_named(const struct ready_key *by, struct named named,
			   struct zone_limits *limits, struct bytes *template)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct object model = object_model(by->object);
	const struct ezk_version *version;

	zone = by->object->entry != NULL ? entry_hold(by->object->entry) : ezk_entry(by->ezk);
	version = entry_bound_version(zone, named.zone, named.version);
	if (version == NULL)
		return CKR_OK; /* unwrapping reports it */
	zone_limits_begin(by->object, limits);
	zone_limits_keep_to(limits, version);
	if (!zone_limits_put(limits, &model))
		return CKR_HOST_MEMORY;
	*template = model.unwrap_template;
	return key_allows(by->mechanism, by->use, &model);
}

/* What was wrapped names the version that is to be used, and which is held to its own record.
 * `template`: the unwrapping key's CKA_UNWRAP_TEMPLATE, and that record's in its place; `limits`
 * keep it. */
static CK_RV keep_to_version(const struct ready_key *by, struct bytes wrapped,
			     struct zone_limits *limits, struct bytes *template)
{
	struct named named = named_in(by, wrapped);

	if (named.version == 0 ||
	    (named.zone == ezk_zone(by->ezk) && named.version == ezk_version_number(by->ezk)))
		return CKR_OK;
	return keep_to_named(by, named, limits, template);
}

/* A template that names no class is meant for a secret key: nothing else can be wrapped here. */
static CK_RV read_template(struct bytes forced, const CK_ATTRIBUTE *attributes, CK_ULONG count,
			   struct template *ret_template)
{
	TRY(template_read(TEMPLATE_UNWRAP, attributes, count, ret_template));
	TRY(template_force(TEMPLATE_UNWRAP, forced, ret_template));
	if (ret_template->class != CK_UNAVAILABLE_INFORMATION &&
	    ret_template->class != CKO_SECRET_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	return CKR_OK;
}

static CK_RV refuse_zone_in_zone(void)
{
	log_warning("a template names a zone (CKA_CMEK_ZONE) for what a root key unwraps, which is "
		    "a zone itself: its id stands in its record");
	return CKR_TEMPLATE_INCONSISTENT;
}

/* --- With the tag apart: what names no version, and is no zone */

static CK_RV unwrap_apart(struct session *session, struct ready_key *by,
			  const struct parameter *parameter, struct bytes wrapped,
			  const struct message *message, const struct template *template,
			  CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(buffer_clear) struct buffer whole = {0};

	if (wrapped.len > AES_WRAP_MAX)
		return CKR_WRAPPED_KEY_LEN_RANGE;
	buffer_append(&whole, wrapped);
	buffer_append(&whole, bytes(message->tag, message->tag_len));
	if (whole.failed)
		return CKR_HOST_MEMORY;
	return unwrap_by(session, by, parameter, buffer_bytes(&whole), template, ret_handle);
}

CK_RV session_unwrap_apart(struct session *session, const CK_MECHANISM *mechanism,
			   CK_OBJECT_HANDLE unwrapping_key, struct bytes wrapped, struct bytes aad,
			   const CK_ATTRIBUTE *attributes, CK_ULONG count,
			   CK_OBJECT_HANDLE *ret_key)
{
	struct parameter parameter;
	struct template template;
	struct message message;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || ret_key == NULL || wrapped.data == NULL || !bytes_valid(aad) ||
	    (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_UNWRAP, given.mechanism, unwrapping_key, &by));
	TRY(message_wrap_read_apart(by->mechanism, &given, aad, &message, &parameter));
	TRY(read_template(by->object->unwrap_template, attributes, count, &template));
	TRY(session_may_make(session, &template));
	TRY(unwrap_apart(session, by, &parameter, wrapped, &message, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}

/* --- Of all kinds */

CK_RV session_unwrap(struct session *session, const CK_MECHANISM *mechanism,
		     CK_OBJECT_HANDLE unwrapping_key, struct bytes wrapped,
		     const CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_key)
{
	AUTO(parameter_clear) struct parameter parameter = {0};
	AUTO(zone_limits_clear) struct zone_limits limits = {0};
	struct message message = {0};
	struct template template;
	struct bytes forced;
	CK_OBJECT_HANDLE handle;
	CK_MECHANISM given;
	struct ready_key *by;

	if (mechanism == NULL || ret_key == NULL || wrapped.data == NULL ||
	    (attributes == NULL && count != 0))
		return CKR_ARGUMENTS_BAD;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, KEY_UNWRAP, given.mechanism, unwrapping_key, &by));
	TRY(message_wrap_read(by->mechanism, &given, &message, &parameter));
	TRY(look_for_version(session, given.mechanism, unwrapping_key, wrapped, &by));
	forced = by->object->unwrap_template;
	TRY(keep_to_version(by, wrapped, &limits, &forced));
	TRY(read_template(forced, attributes, count, &template));
	TRY(session_may_make(session, &template));
	if (by->mechanism->does->moves_zones && template.zone != 0)
		return refuse_zone_in_zone();
	if (by->mechanism->does->moves_zones)
		TRY(session_import_zone(session, by, &parameter, wrapped, &template, &handle));
	else
		TRY(unwrap_by(session, by, &parameter, wrapped, &template, &handle));
	put_ulong(ret_key, handle);
	return CKR_OK;
}
