/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_CreateObject and C_CopyObject. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/attribute.h"
#include "objects/edit.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/token.h"
#include "objects/value.h"
#include "zones/domain/cluster.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"

CK_RV editor_allows(const struct editor *editor, uint32_t flags)
{
	if ((flags & OBJECT_TOKEN) && !editor->read_write)
		return CKR_SESSION_READ_ONLY;
	if ((flags & OBJECT_PRIVATE) && !editor->private_allowed)
		return CKR_USER_NOT_LOGGED_IN;
	return CKR_OK;
}

CK_RV editor_allows_object(const struct editor *editor, const struct object *object)
{
	bool is_so = object->owner == 0 &&
		     (object->kind == OBJECT_ROOT_KEY || object->kind == OBJECT_CLUSTER ||
		      object->kind == OBJECT_ARCHIVE || object->kind == OBJECT_DIAGNOSTIC);

	TRY(editor_allows(editor, object->flags));
	if (object->kind == OBJECT_CERTIFICATE && object->owner == 0 &&
	    !(object_has(object, OBJECT_TRUSTED) ? editor->so_allowed : editor->private_allowed))
		return CKR_USER_NOT_LOGGED_IN;
	return is_so && !editor->so_allowed ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
}

/* PKCS #11: "can only be set to CK_TRUE by the SO user". */
CK_RV trust_allowed(const struct editor *editor, uint32_t flags)
{
	if (!(flags & OBJECT_TRUSTED) || editor->so_allowed)
		return CKR_OK;
	log_warning("CKA_TRUSTED is set by the security officer: log in as CKU_SO");
	return CKR_ATTRIBUTE_READ_ONLY;
}

/* The fields that root keys and clusters both take from a template. */
static struct object named(enum object_kind kind, const struct template *template)
{
	return (struct object){
		.kind = kind,
		.label = template->label,
		.id = template->id,
		.kms_key = template->kms_key,
		.allowed_mechanisms = template->allowed_mechanisms,
		.generated_by = CK_UNAVAILABLE_INFORMATION,
		.key_type = CKK_AES,
		.value_len = 32,
		.flags = ((OBJECT_MODIFIABLE | OBJECT_DESTROYABLE) & ~template->flags_named) |
			 template->flags,
	};
}

/* Root keys. */

static CK_RV check_root_key(const struct template *template)
{
	bool aes =
		template->key_type == CKK_AES || template->key_type == CK_UNAVAILABLE_INFORMATION;

	if (aes && (template->value_len == 0 || template->value_len == 32) &&
	    template->value.data == NULL && !(template->flags & OBJECT_EXTRACTABLE))
		return CKR_OK;
	log_warning("a root key stays in its KMS: an AES key of 32 bytes, not extractable");
	return CKR_TEMPLATE_INCONSISTENT;
}

/* A key that is made must be registered, or nobody would know of it. */
static CK_RV check_create(const struct template *template)
{
	if (!template->create || template->token)
		return CKR_OK;
	log_warning("CKA_CMEK_CREATE makes a root key, which needs CKA_TOKEN");
	return CKR_TEMPLATE_INCONSISTENT;
}

static CK_RV store_root_key(const struct editor *editor, const struct object *model, bool create,
			    CK_OBJECT_HANDLE *ret_handle)
{
	struct zones *zones = editor->objects->zones;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry_names names;

	if (!editor->so_allowed)
		return CKR_USER_NOT_LOGGED_IN;
	TRY(objects_project(editor->objects, editor->slot, &project));
	if (!object_names(model, &extra, &names))
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(
		create ? zones_root_key_create(zones, project->uid, model->kms_key, &names, &entry)
		       : zones_root_key_add(zones, project->uid, model->kms_key, &names, &entry),
		ERROR_OBJECT));
	*ret_handle = entry->number;
	return CKR_OK;
}

/* A root key that only this session knows: to open envelopes that no project of this host has made.
 */
static CK_RV name_root_key(const struct editor *editor, const struct object *wish,
			   CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(buffer_clear) struct buffer scratch = {0};
	struct object *object, model;

	TRY(error_of_zone(zones_root_key_name(editor->objects->zones, wish->kms_key, &entry),
			  ERROR_OBJECT));
	view_of_entry(editor->objects, entry, editor->slot, &model, &scratch);
	if (scratch.failed)
		return CKR_HOST_MEMORY;
	model.flags &= ~(uint32_t)OBJECT_TOKEN;
	model.owner = editor->session;
	model.label = wish->label.len > 0 ? wish->label : model.label;
	model.id = wish->id;
	model.usages = wish->usages;
	model.kms_key = wish->kms_key;
	model.allowed_mechanisms = wish->allowed_mechanisms;
	object = object_new(&model);
	return object == NULL ? CKR_HOST_MEMORY : objects_add(editor->objects, object, ret_handle);
}

static CK_RV create_root_key(const struct editor *editor, const struct template *template,
			     CK_OBJECT_HANDLE *ret_handle)
{
	struct object model = named(OBJECT_ROOT_KEY, template);

	TRY(check_root_key(template));
	TRY(check_create(template));
	model.usages = template_usages(template) & ~(uint32_t)USAGE_DERIVE;
	return template->token ? store_root_key(editor, &model, template->create, ret_handle)
			       : name_root_key(editor, &model, ret_handle);
}

/* Clusters. */

/* The root key that a cluster names by its ARN; without a name, the project's only one. */
static CK_RV find_root_key(const struct editor *editor, const struct entry *project,
			   struct bytes arn, struct uid *ret_uid)
{
	struct entry_filter filter = {.project = project->uid, .kinds = {[ENTRY_ROOT_KEY] = true}};
	struct entry **entries = NULL;
	size_t count = 0, found = 0;
	enum zone_status status;

	status = zones_list(editor->objects->zones, &filter, &entries, &count);
	for (size_t i = 0; i < count; i++) {
		if (arn.data == NULL || bytes_equal(arn, bytes_of(entries[i]->of_root_key.arn))) {
			*ret_uid = entries[i]->uid;
			found++;
		}
		entry_release(entries[i]);
	}
	free(entries);
	if (status != ZONE_OK && status != ZONE_NOT_FOUND)
		return error_of_zone(status, ERROR_OBJECT);
	if (found == 1)
		return CKR_OK;
	log_warning("project '%s' has %s", project->label,
		    arn.data != NULL ? "no root key of the ARN that the cluster names"
		    : found == 0     ? "no root key yet, and a cluster needs one"
				     : "several root keys: name the cluster's (CKA_CMEK_ROOT_KEY)");
	error_note(arn.data != NULL ? CMEK_ERROR_NOT_FOUND : CMEK_ERROR_NO_ROOT_KEY);
	return arn.data != NULL ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_TEMPLATE_INCOMPLETE;
}

static CK_RV create_cluster(const struct editor *editor, const struct template *template,
			    CK_OBJECT_HANDLE *ret_handle)
{
	const struct object model = named(OBJECT_CLUSTER, template);
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};
	struct entry_names names;
	struct uid root_key;

	if (!editor->so_allowed)
		return CKR_USER_NOT_LOGGED_IN;
	TRY(objects_project(editor->objects, editor->slot, &project));
	TRY(find_root_key(editor, project, template->root_key, &root_key));
	if (!object_names(&model, &extra, &names))
		return CKR_HOST_MEMORY;
	TRY(error_of_zone(zones_cluster_create(editor->objects->zones, project->uid,
					       template->provider, template->region, root_key,
					       &names, &entry),
			  ERROR_OBJECT));
	*ret_handle = entry->number;
	return CKR_OK;
}

/* Data keys. */

/* Takes the object. Where a login is enforced, every key on the token is private, and what is made
 * there is a use of its zone. */
static CK_RV keep_key(const struct editor *editor, struct object *key, uint64_t zone,
		      CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = key;
	bool is_private;

	object->slot = editor->slot;
	if (object_has(object, OBJECT_TOKEN) && !editor->private_allowed)
		return CKR_USER_NOT_LOGGED_IN;
	TRY(objects_stamp_as_named(editor->objects, editor->slot, object, zone));
	if (object_has(object, OBJECT_TOKEN))
		return objects_store_key(editor->objects, editor->slot, TAKE(object), zone,
					 ret_handle);
	object->owner = editor->session;
	is_private = object_has(object, OBJECT_PRIVATE);
	TRY(objects_add(editor->objects, TAKE(object), ret_handle));
	/* A logout that came meanwhile has not seen it. */
	if (!is_private || editor->tokens == NULL ||
	    tokens_private_allowed(editor->tokens, editor->slot))
		return CKR_OK;
	objects_remove(editor->objects, *ret_handle, NULL);
	*ret_handle = CK_INVALID_HANDLE;
	return CKR_USER_NOT_LOGGED_IN;
}

static CK_RV create_key(const struct editor *editor, const struct template *template,
			CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = NULL;

	if (template->value.data == NULL) {
		log_warning("template of a key lacks CKA_VALUE (or CKA_CMEK_KMS_KEY)");
		return CKR_TEMPLATE_INCOMPLETE;
	}
	TRY(template_make_key(TEMPLATE_CREATE, template, template->token, &object));
	TRY(object_set_value(object, template->value));
	return keep_key(editor, TAKE(object), template->zone, ret_handle);
}

static CK_RV create_data(const struct editor *editor, const struct template *template,
			 CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *object = NULL;

	TRY(trust_allowed(editor, template->flags));
	TRY(template_make_data(template, template->token, template->value, NULL, &object));
	return keep_key(editor, TAKE(object), template->zone, ret_handle);
}

CK_RV edit_create(const struct editor *editor, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		  CK_OBJECT_HANDLE *ret_handle)
{
	struct template template;

	TRY(template_read(TEMPLATE_CREATE, attributes, count, &template));
	if (template.class == CK_UNAVAILABLE_INFORMATION) {
		log_warning("template to create an object lacks CKA_CLASS");
		return CKR_TEMPLATE_INCOMPLETE;
	}
	/* There are no others. */
	if (template.class == CKO_CMEK_CLUSTER && !template.present_token)
		template.token = true;
	TRY(editor_allows(editor, template.flags | (template.token ? OBJECT_TOKEN : 0)));
	if (template.class == CKO_CMEK_CLUSTER)
		return template.token ? create_cluster(editor, &template, ret_handle)
				      : CKR_TEMPLATE_INCONSISTENT;
	if (template.class == CKO_CMEK_BACKUP)
		return edit_create_backup(editor, &template, ret_handle);
	if (template.class == CKO_DATA || template.class == CKO_CERTIFICATE)
		return create_data(editor, &template, ret_handle);
	if (template.kms_key.data != NULL)
		return create_root_key(editor, &template, ret_handle);
	return create_key(editor, &template, ret_handle);
}

/* The value of token data is in no object. */
static CK_RV copy_value(const struct editor *editor, struct object *copy, struct object *object)
{
	AUTO(secret_freep) uint8_t *value = NULL;

	if (value_is_set(object))
		return value_share(copy, object) ? CKR_OK : CKR_HOST_MEMORY;
	TRY(error_of_zone(object_read(editor->objects, object, &value), ERROR_OBJECT));
	return error_of_zone(value_set(copy, value), ERROR_OBJECT);
}

CK_RV edit_copy(const struct editor *editor, struct object *object, const CK_ATTRIBUTE *attributes,
		CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(object_releasep) struct object *copy = NULL;
	struct template template;
	struct object model;

	if (object->kind == OBJECT_BACKUP) {
		TRY(template_read_for(TEMPLATE_COPY, object, attributes, count, &template));
		return edit_restore(editor, object, &template, ret_handle);
	}
	if (!object_has_value(object) || !object_has(object, OBJECT_COPYABLE))
		return CKR_ACTION_PROHIBITED;
	TRY(template_read_for(TEMPLATE_COPY, object, attributes, count, &template));
	TRY(edit_merge(object, &template, &model));
	TRY(editor_allows(editor, model.flags));
	if (object->kind == OBJECT_KEY)
		TRY(error_of_zone(object_open(editor->objects, object), ERROR_OBJECT));
	model.flags &= ~(uint32_t)OBJECT_TRUSTED; /* which was said of the other alone */
	model.stamp = object->stamp;
	model.entry = NULL;
	model.owner = 0;
	copy = object_new(&model);
	if (copy == NULL)
		return CKR_HOST_MEMORY;
	TRY(copy_value(editor, copy, object));
	copy->is_copy = true;
	return keep_key(editor, TAKE(copy), template.zone, ret_handle);
}
