/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_SetAttributeValue and C_DestroyObject. */
#include "objects/change.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/attribute.h"
#include "objects/edit.h"
#include "objects/error.h"
#include "objects/key_dates.h"
#include "objects/objects_private.h"
#include "objects/store_copy.h"
#include "objects/stored_fields.h"
#include "objects/value.h"
#include "objects/zone_limits.h"
#include "objects/zone_versions.h"
#include "zones/domain/edit.h"
#include "zones/domain/levels.h"
#include "zones/domain/purge.h"
#include "zones/domain/retire.h"
#include "zones/domain/root_key.h"
#include "zones/domain/token_key.h"

enum { TRIES = 100 };

static CK_RV merge_flags(uint32_t *flags, const struct template *template)
{
	uint32_t wished = (*flags & ~template->flags_named) | template->flags;

	if (!object_flags_may_become(*flags, wished)) {
		log_warning("CKA_SENSITIVE, CKA_WRAP_WITH_TRUSTED and CKA_PRIVATE can't be taken "
			    "back, nor CKA_EXTRACTABLE and CKA_COPYABLE given back");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	*flags = wished;
	return CKR_OK;
}

static void take_named(struct bytes wished, struct bytes *field)
{
	if (wished.data != NULL)
		*field = wished;
}

/* PKCS #11 3.1, "X.509 public key certificate objects": CKA_ID, issuer and serial number may
 * change.
 */
static CK_RV check_dates(const struct object *object, const struct template *template)
{
	if (object->kind != OBJECT_CERTIFICATE ||
	    (template->start_date.data == NULL && template->end_date.data == NULL))
		return CKR_OK;
	log_warning("the dates of a certificate stay as they are: they are what is in it");
	return CKR_ATTRIBUTE_READ_ONLY;
}

CK_RV edit_merge(const struct object *object, const struct template *template,
		 struct object *ret_model)
{
	struct object model = object_model(object);

	TRY(check_dates(object, template));
	TRY(merge_flags(&model.flags, template));
	if (template->present_token)
		model.flags = template->token ? model.flags | OBJECT_TOKEN
					      : model.flags & ~(uint32_t)OBJECT_TOKEN;
	if (template->present_label)
		model.label = template->label;
	if (template->present_id)
		model.id = template->id;
	take_named(template->start_date, &model.start_date);
	take_named(template->end_date, &model.end_date);
	take_named(template->application, &model.more.application);
	take_named(template->object_id, &model.more.object_id);
	take_named(template->issuer, &model.more.issuer);
	take_named(template->serial_number, &model.more.serial_number);
	model.usages = (model.usages & ~template->usages_named) | template->usages;
	TRY(key_dates_check(model.start_date, model.end_date));
	*ret_model = model;
	return CKR_OK;
}

/* A session object: the new one takes over the old one's handle, stamp, and value, unless there is
 * a new one. */
static CK_RV change_session_object(const struct editor *editor, const struct object *object,
				   const struct object *model, struct bytes value)
{
	AUTO(object_releasep) struct object *changed = object_new(model);

	if (changed == NULL)
		return CKR_HOST_MEMORY;
	if (value.data != NULL)
		TRY(error_of_zone(value_set(changed, value.data), ERROR_OBJECT));
	else if (value_is_set(object) && !value_share(changed, object))
		return CKR_HOST_MEMORY;
	return objects_replace(editor->objects, object, TAKE(changed));
}

/* Fields that the change leaves alone stay as they are stored, even if this release would write
 * them differently. So a new label does not wrap a token key again, which may need the KMS. */
static bool names_of_change(const struct object *object, const struct object *model,
			    struct buffer *extra, struct entry_names *ret_names)
{
	AUTO(buffer_clear) struct buffer before = {0};

	stored_fields_write(object, &before);
	if (before.failed || !object_names(model, extra, ret_names))
		return false;
	if (bytes_equal(buffer_bytes(&before), ret_names->extra))
		ret_names->extra = object->entry->extra;
	return true;
}

static CK_RV change_entry(const struct editor *editor, const struct object *object,
			  const struct object *model, struct bytes value)
{
	struct zones *zones = editor->objects->zones;
	AUTO(entry_releasep) struct entry *changed = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry_names names;

	if (!names_of_change(object, model, &extra, &names))
		return CKR_HOST_MEMORY;
	return error_of_zone(
		value.data != NULL
			? zones_key_replace(zones, object->entry, &names, value, &changed)
			: zones_entry_rename(zones, object->entry, &names, &changed),
		ERROR_OBJECT);
}

/* CKA_CMEK_STATE. */

static enum zone_status restore(const struct editor *editor, const struct object *object,
				struct bytes label)
{
	AUTO(entry_releasep) struct entry *restored = NULL;

	return zones_entry_restore(editor->objects->zones, object->entry, label, &restored);
}

static CK_RV change_root_key_state(const struct editor *editor, const struct object *object,
				   enum kms_key_state state)
{
	return error_of_zone(zones_root_key_set_state(editor->objects->zones, object->entry, state),
			     ERROR_OBJECT);
}

static CK_RV change_state(const struct editor *editor, const struct object *object, CK_ULONG state,
			  struct bytes label)
{
	struct zones *zones = editor->objects->zones;
	bool pending = object_awaits_deletion(object);
	bool root_key = object->kind == OBJECT_ROOT_KEY;

	if (object->entry == NULL || object->owner != 0)
		return CKR_ATTRIBUTE_READ_ONLY;
	if (state == CMEK_STATE_ACTIVE && pending)
		return error_of_zone(restore(editor, object, label), ERROR_OBJECT);
	if (label.data != NULL) /* what is here keeps its name */
		return CKR_TEMPLATE_INCONSISTENT;
	if (state == CMEK_STATE_ACTIVE && root_key)
		return change_root_key_state(editor, object, KMS_KEY_ENABLED);
	if (state == CMEK_STATE_DISABLED && root_key)
		return change_root_key_state(editor, object, KMS_KEY_DISABLED);
	if (state == CMEK_STATE_PENDING_DELETION && !pending && !object_has_value(object))
		return error_of_zone(zones_entry_delete(zones, object->entry), ERROR_OBJECT);
	if (state == CMEK_STATE_DELETED && !object_has_value(object))
		return error_of_zone(zones_purge_entry(zones, object->entry), ERROR_OBJECT);
	return state == CMEK_STATE_ACTIVE ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV refuse_usages(const struct object *zone, const char *why)
{
	log_warning("zone '%.*s' can be narrowed, not widened: %s", (int)zone->label.len,
		    (const char *)zone->label.data, why);
	error_note(CMEK_ERROR_INVALID);
	return CKR_ATTRIBUTE_READ_ONLY;
}

/* For a session's zone: would its object still allow this, with all that the store says? */
static CK_RV check_session_usages(const struct editor *editor, const struct object *zone,
				  uint32_t usages)
{
	AUTO(object_releasep) struct object *wished = NULL;
	struct object model = object_model(zone);

	model.usages |= usages;
	wished = object_new(&model);
	if (wished == NULL)
		return CKR_HOST_MEMORY;
	TRY(view_of_session(editor->objects, TAKE(wished), &wished));
	return (usages & ~wished->usages) == 0
		       ? CKR_OK
		       : refuse_usages(zone, "the token's zone does not allow it; change it there");
}

/* What a zone was made for stands in its record, and nothing can extend it. */
static CK_RV check_zone_usages(const struct editor *editor, const struct object *zone,
			       const struct template *template)
{
	uint32_t usages = template->usages & ~(uint32_t)USAGE_DERIVE, greatest;

	if (!zone_greatest_usages(zone, &greatest))
		return CKR_HOST_MEMORY;
	if ((usages & ~greatest) != 0)
		return refuse_usages(zone, "its EZK record says what it was made for; make another "
					   "zone");
	return zone->owner == 0 ? CKR_OK : check_session_usages(editor, zone, usages);
}

/* Of keys only a zone is trusted: what that wraps opens by no other use of it, for which it has
 * another key. */
static CK_RV check_trust(const struct editor *editor, const struct object *object, uint32_t flags)
{
	bool may_be = object->kind == OBJECT_CERTIFICATE ||
		      (object->kind == OBJECT_ZONE && object->owner == 0);

	if (!((flags ^ object->flags) & OBJECT_TRUSTED))
		return CKR_OK;
	if (may_be)
		return trust_allowed(editor, OBJECT_TRUSTED);
	log_warning("CKA_TRUSTED: of keys only a database of the token can be trusted");
	return CKR_ATTRIBUTE_READ_ONLY;
}

/* Of all that has a value only data gets another one. */
static CK_RV take_value(const struct object *object, const struct template *template,
			struct object *model)
{
	if (template->value.data == NULL)
		return CKR_OK;
	if (object->kind != OBJECT_DATA) {
		log_warning("CKA_VALUE stays as it is: only data gets another one");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	model->value_len = template->value.len;
	return data_check_len(template->value.len);
}

static CK_RV change(const struct editor *editor, const struct object *object,
		    const struct template *template)
{
	struct object model;

	if (object->kind == OBJECT_ZONE)
		TRY(check_zone_usages(editor, object, template));
	if (!object_has_value(object) && (template->usages & USAGE_DERIVE)) {
		log_warning("zones and root keys derive nothing: CKA_DERIVE stays CK_FALSE");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	TRY(edit_merge(object, template, &model));
	TRY(take_value(object, template, &model));
	TRY(editor_allows(editor, model.flags));
	TRY(check_trust(editor, object, model.flags));
	return object->owner != 0 ? change_session_object(editor, object, &model, template->value)
				  : change_entry(editor, object, &model, template->value);
}

/* --- Attributes that are set alone, of a form of their own */

static bool read_two(const CK_ATTRIBUTE *attribute, CK_ULONG ret_numbers[static 2])
{
	if (attribute->pValue == NULL || attribute->ulValueLen != 2 * sizeof(CK_ULONG))
		return false;
	memcpy(ret_numbers, attribute->pValue, 2 * sizeof(CK_ULONG));
	return ret_numbers[0] <= INT32_MAX && ret_numbers[1] <= INT32_MAX;
}

/* What concerns the whole store is a security officer's wherever one of its projects has a PIN; a
 * project that has none would let anybody do it. */
static CK_RV check_whole_store(const struct editor *editor)
{
	AUTO(entry_releasep) struct entry *own = NULL, *other = NULL;

	TRY(objects_project(editor->objects, editor->slot, &own));
	if (project_has_pin(own)) /* then it is he (editor_allows_object) */
		return CKR_OK;
	TRY(objects_other_with_pin(editor->objects, &own->uid, &other));
	if (other == NULL)
		return CKR_OK;
	log_warning("this changes the whole store, in which project %s has a PIN: do it as the "
		    "security officer of a project with a PIN",
		    other->label);
	return CKR_USER_NOT_LOGGED_IN;
}

/* CKA_CMEK_STORE_LEVEL. */
static CK_RV change_store_level(const struct editor *editor, const struct object *object,
				const CK_ATTRIBUTE *attribute)
{
	CK_ULONG levels[2];

	(void)object;
	if (!read_two(attribute, levels))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	TRY(check_whole_store(editor));
	return error_of_zone(
		zones_store_bring(editor->objects->zones, (unsigned)levels[0], (unsigned)levels[1]),
		ERROR_OBJECT);
}

/* CKA_CMEK_MAINTAIN. */
static CK_RV maintain(const struct editor *editor, const struct object *object,
		      const CK_ATTRIBUTE *attribute)
{
	struct purge_report report;
	CK_BBOOL due;

	(void)object;
	if (attribute->pValue == NULL || attribute->ulValueLen != sizeof(due))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	memcpy(&due, attribute->pValue, sizeof(due));
	TRY(check_whole_store(editor));
	return error_of_zone(zones_purge(editor->objects->zones,
					 due == CK_FALSE ? PURGE_ANNOUNCED : PURGE_DUE, &report),
			     ERROR_OBJECT);
}

/* CKA_CMEK_VERSION_STATE. */
static CK_RV change_version_state(const struct editor *editor, const struct object *object,
				  const CK_ATTRIBUTE *attribute)
{
	static const struct {
		CK_ULONG state;
		enum version_step step;
	} steps[] = {{CMEK_STATE_ACTIVE, VERSION_UNRETIRE},
		     {CMEK_STATE_PENDING_DELETION, VERSION_RETIRE},
		     {CMEK_STATE_DELETED, VERSION_PURGE}};
	CK_ULONG wish[2];

	if (!object_has(object, OBJECT_MODIFIABLE))
		return CKR_ACTION_PROHIBITED;
	if (object->entry == NULL || object->owner != 0)
		return CKR_ATTRIBUTE_READ_ONLY;
	if (!read_two(attribute, wish))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	for (size_t i = 0; i < COUNT_OF(steps); i++)
		if (steps[i].state == wish[1])
			return error_of_zone(zones_version_step(editor->objects->zones,
								object->entry, (uint32_t)wish[0],
								steps[i].step),
					     ERROR_OBJECT);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

/* CKA_CMEK_WRAP_VERSION. */
static CK_RV change_wrap_version(const struct editor *editor, const struct object *object,
				 const CK_ATTRIBUTE *attribute)
{
	CK_ULONG version;

	if (object->entry == NULL || object->owner != 0)
		return CKR_ATTRIBUTE_READ_ONLY;
	if (attribute->pValue == NULL || attribute->ulValueLen != sizeof(version))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	memcpy(&version, attribute->pValue, sizeof(version));
	if (version > UINT32_MAX)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return error_of_zone(
		zones_key_rewrap(editor->objects->zones, object->entry, (uint32_t)version),
		ERROR_OBJECT);
}

typedef CK_RV change_alone(const struct editor *editor, const struct object *object,
			   const CK_ATTRIBUTE *attribute);

struct lone {
	CK_ATTRIBUTE_TYPE type;
	enum object_kind kind;
	change_alone *change;
};

static const struct lone lone[] = {
	{CKA_CMEK_STORE_LEVEL, OBJECT_DIAGNOSTIC, change_store_level},
	{CKA_CMEK_STORE_COPY, OBJECT_DIAGNOSTIC, store_copy_run},
	{CKA_CMEK_MAINTAIN, OBJECT_DIAGNOSTIC, maintain},
	{CKA_CMEK_VERSION_STATE, OBJECT_ZONE, change_version_state},
	{CKA_CMEK_WRAP_VERSION, OBJECT_KEY, change_wrap_version},
	{CKA_CMEK_WRAP_VERSION, OBJECT_DATA, change_wrap_version},
	{CKA_CMEK_WRAP_VERSION, OBJECT_CERTIFICATE, change_wrap_version},
};

/* NULL: the template is none of these. */
static const struct lone *find_lone(const struct object *object, const CK_ATTRIBUTE *attributes,
				    CK_ULONG count)
{
	for (size_t i = 0; attributes != NULL && count == 1 && i < COUNT_OF(lone); i++)
		if (lone[i].kind == object->kind && lone[i].type == attributes->type)
			return &lone[i];
	return NULL;
}

/* A change of its own, which must happen whole or not at all; what comes back may get a new label.
 */
static CK_RV change_state_alone(const struct editor *editor, const struct object *object,
				const struct template *template, CK_ULONG count)
{
	struct bytes label = bytes(NULL, 0);

	if (count > 2 || (count == 2 && !template->present_label))
		return CKR_TEMPLATE_INCONSISTENT;
	if (count == 2)
		label = template->label;
	return change_state(editor, object, template->state, label);
}

/* Steps of their own. */
static bool names_root_keys(const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	bool named = false;

	for (CK_ULONG i = 0; i < count; i++)
		named |= attributes[i].type == CKA_CMEK_ROOT_KEY ||
			 attributes[i].type == CKA_CMEK_ROOT_KEYS;
	return named;
}

static CK_RV set_root_keys(const struct editor *editor, const struct object *object,
			   const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	if (count != 1)
		return CKR_TEMPLATE_INCONSISTENT;
	return attributes->type == CKA_CMEK_ROOT_KEY ? change_root_key(editor, object, attributes)
						     : change_root_keys(editor, object, attributes);
}

/* Which database is trusted is for the officer to say, who is allowed nothing else of what is
 * private.
 */
static bool officer_trusts(const struct editor *editor, const struct object *object,
			   const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	return editor->so_allowed && object->kind == OBJECT_ZONE && attributes != NULL &&
	       count == 1 && attributes->type == CKA_TRUSTED;
}

/* PKCS #11 3.1, "Certificate objects": one that is trusted can't be modified, unless that is taken
 * back. */
static bool is_fixed(const struct object *object, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	bool trust = attributes != NULL && count == 1 && attributes->type == CKA_TRUSTED;

	return !object_has(object, OBJECT_MODIFIABLE) ||
	       (object->kind == OBJECT_CERTIFICATE && object_has(object, OBJECT_TRUSTED) && !trust);
}

static CK_RV change_as_read(const struct editor *editor, const struct object *object,
			    const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	const struct lone *found = find_lone(object, attributes, count);
	struct editor as = *editor;
	struct template template;

	as.private_allowed |= officer_trusts(editor, object, attributes, count);
	TRY(editor_allows_object(&as, object));
	if (found != NULL)
		return found->change(&as, object, attributes);
	if (is_fixed(object, attributes, count))
		return CKR_ACTION_PROHIBITED;
	TRY(template_read_for(TEMPLATE_SET, object, attributes, count, &template));
	/* Changes of their own, each of which must happen whole or not at all. */
	if (template.present_state)
		return change_state_alone(&as, object, &template, count);
	if (names_root_keys(attributes, count))
		return set_root_keys(&as, object, attributes, count);
	if (zone_versions_named(&template))
		return count == 1 ? zone_versions_change(&as, object, &template)
				  : CKR_TEMPLATE_INCONSISTENT;
	return change(&as, object, &template);
}

CK_RV edit_change(const struct editor *editor, const struct object *object,
		  const CK_ATTRIBUTE *attributes, CK_ULONG count, bool *ret_other)
{
	CK_RV rv = change_as_read(editor, object, attributes, count);

	*ret_other = rv == OBJECT_HAS_CHANGED;
	for (int i = 0; rv == OBJECT_HAS_CHANGED && i < TRIES; i++) {
		AUTO(object_releasep)
		struct object *now = objects_find(editor->objects, object->slot, object->handle);

		rv = now == NULL ? CKR_OBJECT_HANDLE_INVALID
				 : change_as_read(editor, now, attributes, count);
	}
	if (rv != OBJECT_HAS_CHANGED)
		return rv;
	log_warning("other threads change this object again and again: do it once more");
	return CKR_FUNCTION_FAILED;
}

CK_RV edit_destroy(const struct editor *editor, const struct object *object, bool *ret_other)
{
	*ret_other = false;
	TRY(editor_allows_object(editor, object));
	if (!object_has(object, OBJECT_DESTROYABLE))
		return CKR_ACTION_PROHIBITED;
	if (object->owner == 0)
		TRY(error_of_zone(zones_entry_delete(editor->objects->zones, object->entry),
				  ERROR_DESTROY));
	*ret_other = objects_remove(editor->objects, object->handle, object);
	return CKR_OK;
}
