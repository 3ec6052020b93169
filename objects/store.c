/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that go to the store, and token keys and data that come back from it. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/change.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/stored_fields.h"
#include "objects/template.h"
#include "objects/value.h"
#include "objects/zone_limits.h"
#include "zones/domain/key_place.h"
#include "zones/domain/lookup.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"

#include <stdlib.h>

bool object_names(const struct object *object, struct buffer *extra, struct entry_names *ret_names)
{
	stored_fields_write(object, extra);
	if (extra->failed)
		return false;
	*ret_names = (struct entry_names){.label = object->label,
					  .id = object->id,
					  .usages = object->usages,
					  .data = object_is_data(object),
					  .extra = buffer_bytes(extra),
					  .max_lease = object->max_lease,
					  .max_stale = object->max_stale,
					  .kept = object->kept,
					  .rotate_days = object->rotate_days};
	return true;
}

/* A zone's key is never readable and never leaves in clear, whatever its template said. */
static void harden(struct object *zone)
{
	zone->kind = OBJECT_ZONE;
	zone->usages &= ~(uint32_t)USAGE_DERIVE;
	zone->flags |= OBJECT_SENSITIVE;
	zone->flags &= ~(uint32_t)(OBJECT_EXTRACTABLE | OBJECT_COPYABLE);
	if (object_has(zone, OBJECT_LOCAL))
		zone->flags |= OBJECT_ALWAYS_SENSITIVE | OBJECT_NEVER_EXTRACTABLE;
}

/* What a new zone may ask for: its cluster's root key, or two owners. Further root keys, any one of
 * which opens it, come later. */
static CK_RV take_owners(const struct object *zone, struct root_keys_wish *wish,
			 struct entry_names *names)
{
	if (zone->root_keys.len == 0)
		return CKR_OK;
	TRY(root_keys_read(zone->root_keys, wish));
	if (!wish->both) {
		log_warning("a new database has its cluster's root key, or two together "
			    "(CKA_CMEK_ROOT_KEYS with the policy \"and\"); set others when it is "
			    "there");
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	memcpy(names->both, wish->arns, sizeof(names->both));
	return CKR_OK;
}

/* What the new zones have in common, and how they are made. */
struct zone_wish {
	struct buffer extra, limits;
	struct root_keys_wish owners;
	struct entry_names names;
};

static void zone_wish_clear(struct zone_wish *wish)
{
	buffer_clear(&wish->extra);
	buffer_clear(&wish->limits);
	root_keys_wish_clear(&wish->owners);
}

/* The names borrow of the object. */
static CK_RV read_zone_wish(const struct object *object, struct zone_wish *wish)
{
	struct object model = object_model(object);

	harden(&model);
	if (!object_names(&model, &wish->extra, &wish->names))
		return CKR_HOST_MEMORY;
	TRY(zone_limits_write(&model, &wish->limits));
	wish->names.limits = buffer_bytes(&wish->limits);
	return take_owners(&model, &wish->owners, &wish->names);
}

CK_RV objects_store_zone(struct objects *objects, CK_SLOT_ID slot, struct object *zone,
			 CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = zone;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(zone_wish_clear) struct zone_wish wish = {0};

	TRY(objects_project(objects, slot, &project));
	TRY(read_zone_wish(object, &wish));
	TRY(error_of_zone(zones_zone_create(objects->zones, project->uid, &wish.names, &entry),
			  ERROR_OBJECT));
	*ret_handle = entry->number;
	return CKR_OK;
}

/* One a line; the last line may have no end. */
static size_t split_lines(struct bytes text, struct bytes *lines, size_t room)
{
	size_t count = 0;

	while (text.len > 0 && count < room) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		const size_t len = end == NULL ? text.len : (size_t)(end - text.data);

		lines[count++] = bytes(text.data, len);
		text = bytes_after(text, end == NULL ? len : len + 1);
	}
	return count;
}

_Static_assert((int)CMEK_DATABASES_MAX == (int)ZONES_AT_ONCE, "callers are told the true bound");

static CK_RV make_zones(struct objects *objects, const struct entry *project,
			const struct entry_names *names, struct bytes databases,
			CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(freep) struct bytes *labels = calloc(ZONES_AT_ONCE + 1, sizeof(*labels));
	AUTO(entry_releasep) struct entry *first = NULL;
	size_t count;

	if (labels == NULL)
		return CKR_HOST_MEMORY;
	count = split_lines(databases, labels, ZONES_AT_ONCE + 1);
	TRY(error_of_zone(
		zones_zone_create_many(objects->zones, project->uid, names, labels, count, &first),
		ERROR_OBJECT));
	*ret_handle = first->number;
	return CKR_OK;
}

CK_RV objects_store_zones(struct objects *objects, CK_SLOT_ID slot, struct object *zone,
			  struct bytes databases, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = zone;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(zone_wish_clear) struct zone_wish wish = {0};

	if (object->label.len > 0 || object->id.len > 0) {
		log_warning("a template has CKA_CMEK_DATABASES, and CKA_LABEL or CKA_ID, which are "
			    "one database's");
		return CKR_TEMPLATE_INCONSISTENT;
	}
	TRY(objects_project(objects, slot, &project));
	TRY(read_zone_wish(object, &wish));
	return make_zones(objects, project, &wish.names, databases, ret_handle);
}

/* Only a reading of the store finds what another process has made within the last second. NULL:
 * the store has none. */
static enum zone_status find_zone(struct objects *objects, uint64_t zone, struct entry **ret_entry)
{
	const struct store_key key = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone};

	*ret_entry = zones_find_zone(objects->zones, zone);
	if (*ret_entry != NULL)
		return ZONE_OK;
	TRY(zones_look_for(objects->zones, &key));
	*ret_entry = zones_find_zone(objects->zones, zone);
	return ZONE_OK;
}

static CK_RV find_ezk(struct objects *objects, const struct entry *project, uint64_t zone,
		      struct ezk **ret_ezk)
{
	AUTO(entry_releasep) struct entry *entry = NULL;

	TRY(error_of_zone(find_zone(objects, zone, &entry), ERROR_OBJECT));
	if (entry == NULL || !uid_equal(entry->project, project->uid)) {
		log_warning("%s can't have the new key of project '%s': it is not there, or of "
			    "another project",
			    zone_title(objects->zones, zone).text, project->label);
		return error_of_zone(ZONE_NOT_FOUND, ERROR_OBJECT);
	}
	return error_of_zone(ezk_find(zones_registry(objects->zones), entry, EZK_PRIMARY, ret_ezk),
			     ERROR_OBJECT);
}

/* Stamps a key with a zone of its project that its new place names. */
static CK_RV stamp_with(struct objects *objects, const struct entry *project, uint64_t zone,
			struct object *key)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(find_ezk(objects, project, zone, &ezk));
	return error_of_zone(object_stamp(key, ezk), ERROR_OBJECT);
}

CK_RV objects_stamp_as_named(struct objects *objects, CK_SLOT_ID slot, struct object *key,
			     uint64_t zone)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	/* A zone that lives in a session only can have stamped the key: that zone is not in the
	 * store. */
	if (zone == 0 || object_zone(key) == zone)
		return CKR_OK;
	TRY(objects_project(objects, slot, &project));
	TRY(find_ezk(objects, project, zone, &ezk));
	TRY(error_of_zone(ezk_begin(ezk), ERROR_OBJECT));
	return error_of_zone(object_stamp(key, ezk), ERROR_OBJECT);
}

/* Where the new token key was made from a value, it need not be unwrapped to be used here. */
static void keep_value(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		       struct object *key)
{
	AUTO(object_releasep) struct object *view = NULL;
	struct ezk *ezk = object_ezk(key);

	if (key->kind != OBJECT_KEY || ezk == NULL ||
	    objects_of_entry(objects, entry, slot, &view) != CKR_OK ||
	    object_stamp(view, ezk) != ZONE_OK || object_ezk(view) != ezk)
		return;
	value_share(view, key);
}

/* Stamps the key with the zone to which it belongs from now on, if not before. This comes
 * before the key is stored: the key that it was copied from then stays in the zone too, and no
 * other thread can put it into a second zone meanwhile. */
static CK_RV settle_zone(struct objects *objects, const struct entry *project, CK_SLOT_ID slot,
			 struct object *key, uint64_t *zone)
{
	AUTO(entry_releasep) struct entry *place = NULL;

	if (*zone == 0)
		*zone = object_zone(key);
	if (*zone != 0)
		return stamp_with(objects, project, *zone, key);
	TRY(error_of_zone(zones_key_place(objects->zones, project->uid, key->label, &place),
			  ERROR_OBJECT));
	*zone = place->of_zone.zone;
	return objects_stamp_as_named(objects, slot, key, *zone);
}

CK_RV objects_store_key(struct objects *objects, CK_SLOT_ID slot, struct object *key, uint64_t zone,
			CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = key;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	AUTO(secret_freep) uint8_t *value = NULL;
	struct entry_names names;

	TRY(objects_project(objects, slot, &project));
	TRY(error_of_zone(object_read(objects, object, &value), ERROR_OBJECT));
	TRY(settle_zone(objects, project, slot, object, &zone));
	if (!object_names(object, &extra, &names))
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(zones_key_create(objects->zones, project->uid, zone,
					   (uint32_t)object->key_type,
					   bytes(value, object->value_len), &names, &entry),
			  ERROR_OBJECT));
	keep_value(objects, entry, slot, object);
	*ret_handle = entry->number;
	return CKR_OK;
}

/* Token keys in use. A value belongs to the entry of its own object: a later state of the entry
 * is another object, which opens the value again. */
enum zone_status object_open(struct objects *objects, struct object *object)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(secret_freep) uint8_t *secret = NULL;

	if (value_is_set(object))
		return ZONE_OK;
	if (object->kind != OBJECT_KEY || object->entry == NULL)
		return ZONE_INVALID;
	TRY(zones_key_open(objects->zones, object->entry, &secret, &ezk));
	TRY(object_stamp(object, ezk));
	return value_set(object, secret);
}

/* Kept nowhere: it may be large, and is read seldom. */
static enum zone_status open_data(struct objects *objects, struct object *data,
				  uint8_t **ret_secret)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(secret_freep) uint8_t *secret = NULL;

	TRY(zones_key_open(objects->zones, data->entry, &secret, &ezk));
	TRY(object_stamp(data, ezk));
	*ret_secret = TAKE(secret);
	return ZONE_OK;
}

enum zone_status object_read(struct objects *objects, struct object *object, uint8_t **ret_secret)
{
	AUTO(secret_freep) uint8_t *secret = NULL;

	if (object_is_data(object) && object->entry != NULL)
		return open_data(objects, object, ret_secret);
	/* This comes first, since only afterwards its length is known to be true. */
	TRY(object_open(objects, object));
	secret = secret_new(object->value_len);
	if (secret == NULL)
		return ZONE_NO_MEMORY;
	TRY(value_read(object, secret));
	*ret_secret = TAKE(secret);
	return ZONE_OK;
}
