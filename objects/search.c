/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_FindObjects: label, id, unique id and class are looked up in the index of the store; the
 * other attributes are compared by the rows of the attribute table. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "objects/attribute.h"
#include "objects/error.h"
#include "objects/links.h"
#include "objects/objects_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/daily.h"
#include "zones/domain/zones.h"

struct search {
	struct objects *objects;
	CK_SLOT_ID slot;
	const CK_ATTRIBUTE *template;
	CK_ULONG count;
	bool nothing;	  /* it names something that no object of ours has */
	bool in_store;	  /* token objects are asked for */
	bool in_sessions; /* session objects are asked for */
	bool compares;	  /* the index does not answer for some attribute */
	bool names_class;
	CK_OBJECT_CLASS class;
	struct entry_filter filter;
	struct bytes label, id;
	struct uid uid;
	struct buffer found; /* CK_OBJECT_HANDLE[] */
};

static void read_class(struct search *search, const CK_ATTRIBUTE *attribute)
{
	search->nothing |= attribute->ulValueLen != sizeof(CK_OBJECT_CLASS);
	if (search->nothing)
		return;
	memcpy(&search->class, attribute->pValue, sizeof(search->class));
	search->names_class = true;
}

static void read_token(struct search *search, const CK_ATTRIBUTE *attribute)
{
	bool token = attribute->ulValueLen == 1 && *(const CK_BBOOL *)attribute->pValue;

	search->in_store &= token;
	search->in_sessions &= !token;
}

static void read_unique_id(struct search *search, struct bytes text)
{
	AUTO(buffer_clear) struct buffer uid = {0};

	search->compares = true; /* a session object may have it */
	if (!hex_decode(text, &uid) || uid.len != UID_SIZE) {
		search->nothing = !uid.failed;
		search->found.failed |= uid.failed;
		return;
	}
	memcpy(search->uid.bytes, uid.data, UID_SIZE);
	search->filter.uid = &search->uid;
}

static CK_RV read_attribute(struct search *search, const CK_ATTRIBUTE *attribute)
{
	struct bytes value = bytes(attribute->pValue, attribute->ulValueLen);

	if (!bytes_valid(value))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	switch (attribute->type) {
	case CKA_CLASS:
		read_class(search, attribute);
		break;
	case CKA_TOKEN:
		read_token(search, attribute);
		break;
	case CKA_LABEL:
		search->label = value;
		search->filter.label = &search->label;
		break;
	case CKA_ID:
		search->id = value;
		search->filter.id = &search->id;
		break;
	case CKA_UNIQUE_ID:
		read_unique_id(search, value);
		break;
	default:
		search->compares = true;
		search->filter.with_pending |= attribute->type == CKA_CMEK_STATE;
		search->nothing |= attribute_find(attribute->type) == NULL;
	}
	return CKR_OK;
}

/* The kinds of entry that a search looks at: those of the class it names; archives and the
 * diagnostic object only if it names their class. */
static void choose_kinds(struct search *search)
{
	bool *kinds = search->filter.kinds;
	bool keys = !search->names_class || search->class == CKO_SECRET_KEY;

	kinds[ENTRY_ROOT_KEY] = kinds[ENTRY_ZONE] = kinds[ENTRY_KEY] = keys;
	kinds[ENTRY_CLUSTER] = !search->names_class || search->class == CKO_CMEK_CLUSTER;
	kinds[ENTRY_ARCHIVE] = search->names_class ? search->class == CKO_CMEK_ARCHIVE
						   : search->filter.with_pending;
	search->filter.with_pending |= kinds[ENTRY_ARCHIVE] && search->names_class;
	search->in_sessions &= keys;
}

static CK_RV read_template(struct search *search)
{
	if (search->template == NULL && search->count > 0)
		return CKR_ARGUMENTS_BAD;
	for (CK_ULONG i = 0; i < search->count; i++)
		TRY(read_attribute(search, &search->template[i]));
	choose_kinds(search);
	return CKR_OK;
}

/* A root key is found by the ARN of a related one too: what that encrypted it decrypts. */
static bool is_root_key(const struct search *search, const struct object *object,
			const CK_ATTRIBUTE *attribute)
{
	return object->kind == OBJECT_ROOT_KEY && attribute->type == CKA_CMEK_ROOT_KEY &&
	       attribute->ulValueLen > 0 &&
	       zones_root_key_is(search->objects->zones, object->entry,
				 bytes(attribute->pValue, attribute->ulValueLen));
}

static bool matches(const struct search *search, const struct object *object,
		    struct buffer *scratch)
{
	const struct attribute_source source = {search->objects, object};

	for (CK_ULONG i = 0; i < search->count; i++)
		if (!is_root_key(search, object, &search->template[i]) &&
		    !attribute_matches(&source, &search->template[i], scratch))
			return false;
	return true;
}

static void add_found(struct search *search, CK_OBJECT_HANDLE handle)
{
	buffer_append(&search->found, bytes(&handle, sizeof(handle)));
}

static void try_entry(struct search *search, struct entry *entry, struct buffer scratch[static 2])
{
	struct object model;

	if (search->compares) {
		view_of_entry(search->objects, entry, search->slot, &model, &scratch[0]);
		if (!matches(search, &model, &scratch[1]))
			return;
	}
	add_found(search, entry->number);
}

/* The diagnostic object is the project's entry; found only by its class. */
static void search_project(struct search *search, struct entry *project,
			   struct buffer scratch[static 2])
{
	struct object model;

	if (!search->names_class || search->class != CKO_CMEK_DIAGNOSTIC)
		return;
	view_of_entry(search->objects, project, search->slot, &model, &scratch[0]);
	if (matches(search, &model, &scratch[1]))
		add_found(search, project->number);
}

static CK_RV search_store(struct search *search, struct buffer scratch[static 2])
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct entry **entries = NULL;
	enum zone_status status;
	size_t count = 0;

	TRY(objects_project(search->objects, search->slot, &project));
	search_project(search, project, scratch);
	search->filter.project = project->uid;
	status = zones_list(search->objects->zones, &search->filter, &entries, &count);
	for (size_t i = 0; i < count; i++) {
		try_entry(search, entries[i], scratch);
		entry_release(entries[i]);
	}
	free(entries);
	return status == ZONE_NOT_FOUND ? CKR_OK : error_of_zone(status, ERROR_TOKEN);
}

static void try_session_object(struct search *search, struct object *listed, struct buffer *scratch)
{
	AUTO(object_releasep) struct object *object = NULL;

	if (listed->slot != search->slot)
		return;
	if (view_of_session(search->objects, object_hold(listed), &object) != CKR_OK)
		search->found.failed = true;
	else if (matches(search, object, scratch))
		add_found(search, object->handle);
}

static void search_linked(struct search *search, enum object_link by, struct bytes key,
			  struct buffer *scratch)
{
	struct object *object = links_first(search->objects, by, key);

	for (; object != NULL; object = links_next(object, by))
		try_session_object(search, object, scratch);
}

static void search_sessions(struct search *search, struct buffer *scratch)
{
	struct objects *objects = search->objects;
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct map_entry *entry;
	size_t at = 0;

	if (search->label.len > 0)
		search_linked(search, OBJECT_BY_LABEL, search->label, scratch);
	else if (search->id.len > 0)
		search_linked(search, OBJECT_BY_ID, search->id, scratch);
	else
		while ((entry = map_next(&objects->sessions, &at)) != NULL)
			try_session_object(search, entry->value, scratch);
}

static CK_RV run(struct search *search)
{
	struct buffer scratch[2] = {0};
	CK_RV rv = CKR_OK;
	bool failed;

	if (search->in_store)
		rv = search_store(search, scratch);
	if (search->in_sessions && rv == CKR_OK)
		search_sessions(search, &scratch[1]);
	failed = scratch[0].failed || scratch[1].failed || search->found.failed;
	buffer_clear(&scratch[0]);
	buffer_clear(&scratch[1]);
	return rv == CKR_OK && failed ? CKR_HOST_MEMORY : rv;
}

/* Only a reading of the store shows what another process has made within the last second, so a
 * search that finds nothing reads it. */
static CK_RV run_twice(struct search *search)
{
	struct zones *zones = search->objects->zones;
	uint64_t before;

	TRY(error_of_zone(zones_refresh(zones, false), ERROR_TOKEN));
	zones_daily(zones);
	before = zones_generation(zones);
	TRY(run(search));
	if (search->found.len > 0)
		return CKR_OK;
	TRY(error_of_zone(zones_refresh(zones, true), ERROR_TOKEN));
	return zones_generation(zones) == before ? CKR_OK : run(search);
}

CK_RV objects_search(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
		     CK_ULONG count, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	struct search search = {.objects = objects,
				.slot = slot,
				.template = template,
				.count = count,
				.in_store = true,
				.in_sessions = true};
	CK_RV rv;

	TRY(read_template(&search));
	rv = search.nothing ? CKR_OK : run_twice(&search);
	if (rv != CKR_OK) {
		buffer_clear(&search.found);
		return rv;
	}
	*ret_count = search.found.len / sizeof(CK_OBJECT_HANDLE);
	*ret_handles = (CK_OBJECT_HANDLE *)(void *)search.found.data;
	return CKR_OK;
}
