/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the store seen as objects: the fields that each kind always has, and the defaults of
 * those that its maker may choose. */
#include "base/macros.h"
#include "objects/objects_private.h"
#include "objects/stored_fields.h"
#include "objects/zone_limits.h"
#include "zones/domain/lookup.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zones.h"

enum {
	KEPT_SECRET = OBJECT_SENSITIVE | OBJECT_ALWAYS_SENSITIVE | OBJECT_NEVER_EXTRACTABLE,
	OF_KEYS = KEPT_SECRET | OBJECT_EXTRACTABLE | OBJECT_LOCAL | OBJECT_WRAP_WITH_TRUSTED,
	CHANGEABLE = OBJECT_MODIFIABLE | OBJECT_DESTROYABLE,
	NO_COPIES = OBJECT_EXTRACTABLE | OBJECT_COPYABLE | OBJECT_TRUSTED,
	EVERYTHING = -1,
};

/* clang-format off */
static const struct {
	uint32_t always, never, usually;
	CK_MECHANISM_TYPE generated_by;
} kinds[OBJECT_KIND_COUNT] = {
	[OBJECT_DIAGNOSTIC]  = { OBJECT_TOKEN, (uint32_t)EVERYTHING, 0, 0 },
	[OBJECT_ROOT_KEY]    = { OBJECT_TOKEN | KEPT_SECRET, OBJECT_PRIVATE | OBJECT_LOCAL | NO_COPIES,
				 CHANGEABLE, CK_UNAVAILABLE_INFORMATION },
	[OBJECT_CLUSTER]     = { OBJECT_TOKEN, OBJECT_PRIVATE | NO_COPIES, CHANGEABLE, 0 },
	[OBJECT_ZONE]        = { OBJECT_TOKEN | OBJECT_SENSITIVE, OBJECT_EXTRACTABLE | OBJECT_COPYABLE,
				 CHANGEABLE | KEPT_SECRET | OBJECT_LOCAL, CKM_AES_KEY_GEN },
	[OBJECT_KEY]         = { OBJECT_TOKEN, OBJECT_TRUSTED,
				 CHANGEABLE | OBJECT_COPYABLE | OBJECT_SENSITIVE,
				 CK_UNAVAILABLE_INFORMATION },
	[OBJECT_DATA]        = { OBJECT_TOKEN, OF_KEYS | OBJECT_TRUSTED, CHANGEABLE | OBJECT_COPYABLE, 0 },
	[OBJECT_CERTIFICATE] = { OBJECT_TOKEN, OF_KEYS, CHANGEABLE | OBJECT_COPYABLE, 0 },
	[OBJECT_ARCHIVE]     = { OBJECT_TOKEN | OBJECT_MODIFIABLE, (uint32_t)EVERYTHING, 0, 0 },
};
/* clang-format on */

static enum object_kind shown_as(const struct entry *entry)
{
	static const enum object_kind shown[ENTRY_KIND_COUNT] = {
		[ENTRY_PROJECT] = OBJECT_DIAGNOSTIC,
		[ENTRY_ROOT_KEY] = OBJECT_ROOT_KEY,
		[ENTRY_CLUSTER] = OBJECT_CLUSTER,
		[ENTRY_ZONE] = OBJECT_ZONE,
		[ENTRY_KEY] = OBJECT_KEY,
		[ENTRY_ARCHIVE] = OBJECT_ARCHIVE,
	};

	return entry->kind == ENTRY_KEY && zones_key_is_data(entry) ? OBJECT_DATA
								    : shown[entry->kind];
}

enum object_kind view_kind(const struct entry *entry)
{
	struct object model = {.kind = shown_as(entry)};
	AUTO(buffer_clear) struct buffer scratch = {0};

	if (model.kind == OBJECT_DATA) /* certificates are, until that is read */
		stored_fields_read(entry->extra, &model, &scratch);
	return model.kind;
}

bool view_is_private(struct objects *objects, const struct entry *entry, CK_SLOT_ID slot)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	if (entry->kind != ENTRY_ZONE && entry->kind != ENTRY_KEY)
		return false;
	if (view_kind(entry) == OBJECT_CERTIFICATE) /* but for its own flag */
		return false;
	return objects->private_entries ||
	       (objects_project(objects, slot, &project) == CKR_OK && project_has_pin(project));
}

/* The parts of a model that lie elsewhere are put into the scratch, mechanisms first for their
 * alignment. */
static bool move_to(struct buffer *scratch, struct object *model)
{
	struct bytes *parts[] = {&model->allowed_mechanisms, &model->wrap_template,
				 &model->unwrap_template};
	size_t at = 0;

	buffer_truncate(scratch, 0);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		buffer_append(scratch, *parts[i]);
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		*parts[i] =
			scratch->failed ? bytes(NULL, 0) : bytes(scratch->data + at, parts[i]->len);
		at += parts[i]->len;
	}
	return !scratch->failed;
}

/* A zone's row never allows more than its records. If memory lacks, which the scratch then says,
 * the zone may do nothing. */
static void keep_to_records(const struct entry *zone, struct object *model, struct buffer *scratch)
{
	AUTO(zone_limits_clear) struct zone_limits limits = {0};

	zone_limits_begin(model, &limits);
	zone_limits_keep_to_zone(&limits, zone);
	scratch->failed |= !zone_limits_put(&limits, model);
	if (!move_to(scratch, model))
		model->usages = 0;
}

void view_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		   struct object *ret_model, struct buffer *scratch)
{
	struct object model = {
		.handle = entry->number, .slot = slot, .entry = entry, .kind = shown_as(entry)};

	model.flags = kinds[model.kind].usually;
	model.generated_by = kinds[model.kind].generated_by;
	if (entry->kind != ENTRY_PROJECT) /* its PINs */
		stored_fields_read(entry->extra, &model, scratch);
	model.flags &= ~kinds[model.kind].never;
	model.flags |= kinds[model.kind].always;
	model.flags |= view_is_private(objects, entry, slot) ? OBJECT_PRIVATE : 0;
	model.uid = entry->uid;
	model.label = bytes_of(entry->label);
	model.id = entry->id;
	model.usages = entry->usages;
	model.key_type = entry->kind == ENTRY_KEY ? entry->of_key.key_type : CKK_AES;
	model.value_len = entry->kind == ENTRY_KEY ? entry->of_key.value_len : 32;
	if (entry->kind == ENTRY_ZONE)
		keep_to_records(entry, &model, scratch);
	*ret_model = model;
}

/* The store's entry of a session's zone, held; NULL: the store does not know it. */
static CK_RV known_zone(struct objects *objects, const struct object *object,
			struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *brought = ezk_entry(object->ezk);
	AUTO(entry_releasep)
	struct entry *zone = zones_find_zone(objects->zones, brought->of_zone.zone);
	const struct ezk_version *primary =
		zone == NULL ? NULL : entry_version(zone, zone->of_zone.primary);

	if (zone == NULL && !zones_are_whole(objects->zones))
		return CKR_HOST_MEMORY;
	if (primary != NULL && uid_equal(primary->project, brought->project))
		*ret_zone = TAKE(zone);
	return CKR_OK;
}

static bool is_as_narrow(const struct object *object, const struct object *model)
{
	return object->usages == model->usages &&
	       bytes_equal(object->allowed_mechanisms, model->allowed_mechanisms) &&
	       bytes_equal(object->wrap_template, model->wrap_template) &&
	       bytes_equal(object->unwrap_template, model->unwrap_template);
}

static CK_RV narrowed(struct object *object, const struct object *by, struct object **ret_object)
{
	AUTO(zone_limits_clear) struct zone_limits limits = {0};
	struct object model = object_model(object);

	zone_limits_begin(object, &limits);
	zone_limits_narrow(&limits, by);
	if (!zone_limits_put(&limits, &model))
		return CKR_HOST_MEMORY;
	*ret_object = is_as_narrow(object, &model) ? object_hold(object) : object_new(&model);
	return *ret_object == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

CK_RV view_of_session(struct objects *objects, struct object *object, struct object **ret_object)
{
	AUTO(object_releasep) struct object *taken = object;
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer scratch = {0};
	struct object row;

	if (object->kind == OBJECT_ZONE)
		TRY(known_zone(objects, object, &zone));
	if (zone == NULL) {
		*ret_object = TAKE(taken);
		return CKR_OK;
	}
	view_of_entry(objects, zone, object->slot, &row, &scratch);
	if (scratch.failed)
		return CKR_HOST_MEMORY;
	return narrowed(object, &row, ret_object);
}
