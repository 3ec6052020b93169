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
#include "objects/objects_private.h"
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

/* Flags that only go one way. */
enum {
	ONLY_SET = OBJECT_SENSITIVE | OBJECT_WRAP_WITH_TRUSTED | OBJECT_PRIVATE,
	ONLY_CLEARED = OBJECT_EXTRACTABLE | OBJECT_COPYABLE,
};

static CK_RV merge_flags(uint32_t *flags, const struct template *template)
{
	uint32_t wished = (*flags & ~template->flags_named) | template->flags;

	if ((*flags & ~wished & ONLY_SET) || (~*flags & wished & ONLY_CLEARED)) {
		log_warning("CKA_SENSITIVE, CKA_WRAP_WITH_TRUSTED and CKA_PRIVATE can't be taken "
			    "back, nor CKA_EXTRACTABLE and CKA_COPYABLE given back");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	*flags = wished;
	return CKR_OK;
}

CK_RV edit_merge(const struct object *object, const struct template *template,
		 struct object *ret_model)
{
	struct object model = object_model(object);

	TRY(merge_flags(&model.flags, template));
	if (template->present_token)
		model.flags = template->token ? model.flags | OBJECT_TOKEN
					      : model.flags & ~(uint32_t)OBJECT_TOKEN;
	if (template->present_label)
		model.label = template->label;
	if (template->present_id)
		model.id = template->id;
	if (template->start_date.data != NULL)
		model.start_date = template->start_date;
	if (template->end_date.data != NULL)
		model.end_date = template->end_date;
	model.usages = (model.usages & ~template->usages_named) | template->usages;
	*ret_model = model;
	return CKR_OK;
}

/* A session object: the new one takes over the old one's handle, value and stamp. */
static CK_RV change_session_object(const struct editor *editor, const struct object *object,
				   const struct object *model)
{
	AUTO(object_releasep) struct object *changed = object_new(model);

	if (changed == NULL)
		return CKR_HOST_MEMORY;
	if (value_is_set(object) && !value_share(changed, object))
		return CKR_HOST_MEMORY;
	return objects_replace(editor->objects, TAKE(changed));
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
			  const struct object *model)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry_names names;

	if (!names_of_change(object, model, &extra, &names))
		return CKR_HOST_MEMORY;
	return error_of_zone(
		zones_entry_rename(editor->objects->zones, object->entry, &names, &changed),
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
	if (state == CMEK_STATE_PENDING_DELETION && !pending && object->kind != OBJECT_KEY)
		return error_of_zone(zones_entry_delete(zones, object->entry), ERROR_OBJECT);
	if (state == CMEK_STATE_DELETED && object->kind != OBJECT_KEY)
		return error_of_zone(zones_purge_entry(zones, object->entry), ERROR_OBJECT);
	return state == CMEK_STATE_ACTIVE ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV check_rows(const struct object *object, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	for (CK_ULONG i = 0; i < count; i++)
		if (!attribute_of_kind(attribute_find(attributes[i].type), object->kind))
			return CKR_ATTRIBUTE_TYPE_INVALID;
	return CKR_OK;
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

static CK_RV change(const struct editor *editor, const struct object *object,
		    const struct template *template)
{
	struct object model;

	if (object->kind == OBJECT_ZONE)
		TRY(check_zone_usages(editor, object, template));
	if (object->kind != OBJECT_KEY && (template->usages & USAGE_DERIVE)) {
		log_warning("zones and root keys derive nothing: CKA_DERIVE stays CK_FALSE");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	TRY(edit_merge(object, template, &model));
	TRY(editor_allows(editor, model.flags));
	return object->owner != 0 ? change_session_object(editor, object, &model)
				  : change_entry(editor, object, &model);
}

/* --- Attributes that are set alone, of a form of their own */

static bool read_two(const CK_ATTRIBUTE *attribute, CK_ULONG ret_numbers[static 2])
{
	if (attribute->pValue == NULL || attribute->ulValueLen != 2 * sizeof(CK_ULONG))
		return false;
	memcpy(ret_numbers, attribute->pValue, 2 * sizeof(CK_ULONG));
	return ret_numbers[0] <= INT32_MAX && ret_numbers[1] <= INT32_MAX;
}

/* CKA_CMEK_STORE_LEVEL. */
static CK_RV change_store_level(const struct editor *editor, const struct object *object,
				const CK_ATTRIBUTE *attribute)
{
	CK_ULONG levels[2];

	(void)object;
	if (!read_two(attribute, levels))
		return CKR_ATTRIBUTE_VALUE_INVALID;
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
	{CKA_CMEK_MAINTAIN, OBJECT_DIAGNOSTIC, maintain},
	{CKA_CMEK_VERSION_STATE, OBJECT_ZONE, change_version_state},
	{CKA_CMEK_WRAP_VERSION, OBJECT_KEY, change_wrap_version},
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

CK_RV edit_change(const struct editor *editor, const struct object *object,
		  const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	const struct lone *found = find_lone(object, attributes, count);
	struct template template;

	TRY(editor_allows(editor, object->flags));
	if (found != NULL)
		return found->change(editor, object, attributes);
	if (!object_has(object, OBJECT_MODIFIABLE))
		return CKR_ACTION_PROHIBITED;
	TRY(template_read(TEMPLATE_SET, attributes, count, &template));
	TRY(check_rows(object, attributes, count));
	/* Changes of their own, each of which must happen whole or not at all. */
	if (template.present_state)
		return change_state_alone(editor, object, &template, count);
	if (names_root_keys(attributes, count))
		return set_root_keys(editor, object, attributes, count);
	if (zone_versions_named(&template))
		return count == 1 ? zone_versions_change(editor, object, &template)
				  : CKR_TEMPLATE_INCONSISTENT;
	return change(editor, object, &template);
}

CK_RV edit_destroy(const struct editor *editor, const struct object *object)
{
	TRY(editor_allows(editor, object->flags));
	if (!object_has(object, OBJECT_DESTROYABLE))
		return CKR_ACTION_PROHIBITED;
	if (object->owner == 0)
		TRY(error_of_zone(zones_entry_delete(editor->objects->zones, object->entry),
				  ERROR_DESTROY));
	objects_remove(editor->objects, object->handle);
	return CKR_OK;
}
