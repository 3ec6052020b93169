/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_FindObjects: label, id, unique id and class are looked up in the index of the store; the
 * other attributes are compared by the rows of the attribute table. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "objects/attribute.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/profile.h"
#include "objects/shards.h"
#include "zones/domain/lookup.h"
#include "zones/domain/daily.h"
#include "zones/domain/partial.h"
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
	bool names_ours;    /* a vendor attribute */
	bool names_profile; /* CKA_PROFILE_ID */
	CK_OBJECT_CLASS class;
	struct entry_filter filter;
	struct bytes label, id;
	struct uid uid;
	uint64_t zone, import;	  /* which it names: 0: none */
	struct search_rest *rest; /* it is made in parts; NULL: at once */
	struct buffer found;	  /* CK_OBJECT_HANDLE[] */
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
	struct bytes value = attribute_value(attribute);

	if (!bytes_valid(bytes(attribute->pValue, attribute->ulValueLen)))
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
	case CKA_CMEK_ZONE:
		search->compares = true;
		if (value.len == sizeof(search->zone))
			search->zone = get_big_endian(value.data, sizeof(search->zone));
		break;
	case CKA_CMEK_IMPORTS:
		search->compares = true;
		if (value.len >= sizeof(search->import))
			search->import = get_big_endian(value.data, sizeof(search->import));
		break;
	default:
		search->compares = true;
		search->filter.with_pending |= attribute->type == CKA_CMEK_STATE;
		search->names_ours |= (attribute->type & CKA_VENDOR_DEFINED) != 0;
		search->names_profile |= attribute->type == CKA_PROFILE_ID;
		search->nothing |= attribute_find(attribute->type) == NULL;
	}
	return CKR_OK;
}

/* The kinds of entry that a search looks at: those of the class it names. Stock programs stumble
 * over classes that they don't know, so clusters are found only if their class or a vendor
 * attribute is named, archives only with their class or CKA_CMEK_STATE, the diagnostic object and
 * the profile only with their class (the profile also with CKA_PROFILE_ID or CKA_UNIQUE_ID). */
static void choose_kinds(struct search *search)
{
	bool *kinds = search->filter.kinds;
	bool keys = !search->names_class || search->class == CKO_SECRET_KEY;
	bool kept = keys || search->class == CKO_DATA || search->class == CKO_CERTIFICATE;

	kinds[ENTRY_ROOT_KEY] = kinds[ENTRY_ZONE] = keys;
	kinds[ENTRY_KEY] = kept;
	kinds[ENTRY_CLUSTER] =
		search->names_class ? search->class == CKO_CMEK_CLUSTER : search->names_ours;
	kinds[ENTRY_ARCHIVE] = search->names_class ? search->class == CKO_CMEK_ARCHIVE
						   : search->filter.with_pending;
	search->filter.with_pending |= kinds[ENTRY_ARCHIVE] && search->names_class;
	search->in_sessions &= kept;
}

/* An object has one value of each: the index looks for the last, so all have to be compared. */
static bool comes_again(const struct search *search, CK_ULONG index)
{
	for (CK_ULONG i = 0; i < index; i++)
		if (search->template[i].type == search->template[index].type)
			return true;
	return false;
}

static CK_RV read_template(struct search *search)
{
	if ((search->template == NULL && search->count > 0) || search->count > TEMPLATE_COUNT_MAX)
		return CKR_ARGUMENTS_BAD;
	for (CK_ULONG i = 0; i < search->count; i++) {
		TRY(read_attribute(search, &search->template[i]));
		search->compares |= comes_again(search, i);
	}
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

/* What a zone keeps is looked up as one kind, and is of three classes. */
static bool is_of_class(const struct search *search, const struct entry *entry)
{
	const bool asked = search->names_class && entry->kind == ENTRY_KEY;

	return !asked || object_class_of(view_kind(entry)) == search->class;
}

static void try_entry(struct search *search, struct entry *entry, struct buffer scratch[static 2])
{
	struct object model;

	if (!is_of_class(search, entry))
		return;
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

/* The same of the profile, which is in no store. */
static void search_profile(struct search *search, struct entry *project, struct buffer *scratch)
{
	struct object model;

	if (search->names_class ? search->class != CKO_PROFILE
				: !search->names_profile && search->filter.uid == NULL)
		return;
	profile_model(project, search->slot, &model);
	if (matches(search, &model, scratch))
		add_found(search, model.handle);
}

/* Of a store that is known in part: a zone is found by its id, and keys of a zone that is not there
 * are none. ret_enough: the rest of the store need not be looked at now. `again`: that was the
 * answer before. */
static CK_RV search_zone(struct search *search, struct uid project, bool again,
			 struct buffer scratch[static 2], bool *ret_enough)
{
	struct zones *zones = search->objects->zones;
	AUTO(entry_releasep) struct entry *zone = NULL;

	*ret_enough = false;
	if (search->zone == 0 || !zones_are_partial(zones))
		return CKR_OK;
	TRY(error_of_zone(zones_meet_zone(zones, search->zone, &zone), ERROR_TOKEN));
	if (zone != NULL && (search->rest == NULL || again))
		return CKR_OK;
	if (zone != NULL && uid_equal(zone->project, project) && search->filter.kinds[ENTRY_ZONE] &&
	    (zone->state == ENTRY_ACTIVE || search->filter.with_pending))
		try_entry(search, zone, scratch);
	*ret_enough = zone == NULL || search->found.len > 0;
	if (zone != NULL && *ret_enough)
		search->rest->more = true;
	return CKR_OK;
}

/* Only zones have imported something. */
static CK_RV know_imports(struct search *search)
{
	struct entry_filter *filter = &search->filter;

	if (search->import == 0 || !zones_are_partial(search->objects->zones))
		return CKR_OK;
	filter->known = true;
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		filter->kinds[kind] &= kind == ENTRY_ZONE;
	return error_of_zone(zones_know_imports(search->objects->zones, search->import),
			     ERROR_TOKEN);
}

/* Takes the entries. */
static void try_entries(struct search *search, struct entry **entries, size_t count,
			struct buffer scratch[static 2])
{
	for (size_t i = 0; i < count; i++) {
		try_entry(search, entries[i], scratch);
		entry_release(entries[i]);
	}
	free(entries);
}

/* Of a large store what is found without reading all of it: the pages come after that. */
static void put_off_pages(struct search *search)
{
	if (search->rest == NULL ||
	    !zones_filter_needs_all(search->objects->zones, &search->filter))
		return;
	search->rest->more = search->rest->pages = true;
	search->filter.kinds[ENTRY_ZONE] = search->filter.kinds[ENTRY_KEY] = false;
}

static CK_RV search_store(struct search *search, struct buffer scratch[static 2])
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct entry **entries = NULL;
	enum zone_status status;
	size_t count = 0;
	bool enough;

	TRY(objects_project(search->objects, search->slot, &project));
	search_project(search, project, scratch);
	search_profile(search, project, &scratch[1]);
	search->filter.project = project->uid;
	TRY(search_zone(search, project->uid, search->rest != NULL && search->rest->more, scratch,
			&enough));
	if (enough)
		return CKR_OK;
	TRY(know_imports(search));
	if (search->rest != NULL)
		search->rest->more = false;
	put_off_pages(search);
	status = zones_list(search->objects->zones, &search->filter, &entries, &count);
	try_entries(search, entries, count, scratch);
	return status == ZONE_NOT_FOUND ? CKR_OK : error_of_zone(status, ERROR_TOKEN);
}

static CK_RV search_page(struct search *search)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct buffer scratch[2] = {0};
	struct entry **entries = NULL;
	size_t count = 0;
	bool end, failed;

	TRY(objects_project(search->objects, search->slot, &project));
	search->filter.project = project->uid;
	TRY(error_of_zone(zones_list_page(search->objects->zones, &search->filter,
					  &search->rest->after, &entries, &count, &end),
			  ERROR_TOKEN));
	try_entries(search, entries, count, scratch);
	search->rest->more = !end;
	failed = scratch[0].failed || scratch[1].failed || search->found.failed;
	buffer_clear(&scratch[0]);
	buffer_clear(&scratch[1]);
	return failed ? CKR_HOST_MEMORY : CKR_OK;
}

struct session_search {
	struct search *search;
	struct buffer *scratch;
};

static void try_session_object(void *state, struct object *listed)
{
	AUTO(object_releasep) struct object *object = NULL;
	struct session_search *of = state;

	if (listed->slot != of->search->slot)
		return;
	if (view_of_session(of->search->objects, object_hold(listed), &object) != CKR_OK)
		of->search->found.failed = true;
	else if (matches(of->search, object, of->scratch))
		add_found(of->search, object->handle);
}

static void search_sessions(struct search *search, struct buffer *scratch)
{
	struct session_search of = {search, scratch};
	bool by_label = search->label.len > 0;

	shards_visit(search->objects, by_label ? OBJECT_BY_LABEL : OBJECT_BY_ID,
		     by_label ? search->label : search->id, try_session_object, &of);
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
	if (search->found.len > 0 || (search->rest != NULL && search->rest->pages))
		return CKR_OK;
	TRY(error_of_zone(zones_refresh(zones, true), ERROR_TOKEN));
	return zones_generation(zones) == before ? CKR_OK : run(search);
}

CK_RV objects_search(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
		     CK_ULONG count, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count)
{
	return objects_search_part(objects, slot, template, count, NULL, ret_handles, ret_count);
}

CK_RV objects_search_part(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
			  CK_ULONG count, struct search_rest *rest, CK_OBJECT_HANDLE **ret_handles,
			  size_t *ret_count)
{
	const bool page = rest != NULL && rest->pages;
	struct search search = {.objects = objects,
				.slot = slot,
				.template = template,
				.count = count,
				.rest = rest,
				.in_store = true,
				.in_sessions = true};
	CK_RV rv;

	TRY(read_template(&search));
	rv = search.nothing ? CKR_OK : page ? search_page(&search) : run_twice(&search);
	if (rv != CKR_OK) {
		buffer_clear(&search.found);
		return rv;
	}
	*ret_count = search.found.len / sizeof(CK_OBJECT_HANDLE);
	*ret_handles = (CK_OBJECT_HANDLE *)(void *)search.found.data;
	return CKR_OK;
}
