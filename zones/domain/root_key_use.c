/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Root keys in use: named for a session, and used by applications to encrypt with the purpose
 * `data`. */
#include "base/free.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key.h"
#include "zones/domain/root_key_private.h"
#include "zones/ezk/registry.h"
#include "zones/kms/door.h"
#include "zones/model/entry_make.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

enum zone_status zones_root_key_name(struct zones *zones, struct bytes kms_key,
				     struct entry **ret_root_key)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(ENTRY_ROOT_KEY);
	AUTO(freep) char *name = NULL;
	const struct kms_door door = {.clients = zones->clients};
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	TRY(kms_name_copy(zones, kms_key, &name));
	/* What an alias or a key id stands for is known when it is used. */
	if (kms_clients_is_own_name(zones->clients, name))
		TRY(door_check_allowed(&door, name));
	TRY(uid_new(&entry->uid));
	kms_name_parse(kms_clients_providers(zones->clients), name, provider, region);
	if (!entry_set_text(&entry->label, bytes_of(name)) ||
	    !entry_set_text(&entry->of_root_key.arn, bytes_of(name)) ||
	    !entry_set_text(&entry->of_root_key.provider, bytes_of(provider)) ||
	    !entry_set_text(&entry->of_root_key.region, bytes_of(region)))
		return ZONE_NO_MEMORY;
	pthread_rwlock_wrlock(&zones->lock);
	entry->number = index_number_new(&zones->index);
	pthread_rwlock_unlock(&zones->lock);
	*ret_root_key = TAKE(entry);
	return ZONE_OK;
}

/* One that only a session has named belongs to no project; ret_project is NULL then. Held. */
static struct kms_door door_for(struct zones *zones, const struct entry *root_key,
				struct entry **ret_project)
{
	*ret_project = zones_find_uid(zones, root_key->project);
	return (struct kms_door){
		.clients = zones->clients,
		.key = root_key->of_root_key.arn,
		.project = entry_label(*ret_project),
		.project_id = root_key->project,
	};
}

bool zones_root_key_is_embedded(const struct zones *zones, const struct entry *root_key)
{
	return kms_clients_embed(zones->clients, root_key->of_root_key.provider);
}

enum zone_status zones_root_key_last_used(struct zones *zones, const struct entry *root_key,
					  struct kms_last_usage *ret_usage)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	const struct kms_door door = door_for(zones, root_key, &project);

	if (zones_root_key_is_embedded(zones, root_key))
		return refuse(ZONE_KMS_UNSUPPORTED,
			      "the embedded KMS keeps no account of when its keys are used");
	return door_last_usage(&door, ret_usage);
}

/* --- Local keys, which are enabled and disabled here */

enum zone_status zones_root_key_set_state(struct zones *zones, const struct entry *root_key,
					  enum kms_key_state state)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	const struct kms_door door = door_for(zones, root_key, &project);
	const struct root_key_listener listener = root_key_listen(zones, root_key);
	enum zone_status status = door_set_state(&door, state);

	if (status == ZONE_OK)
		root_key_hear(&listener, root_key_meaning(state));
	return status;
}

/* --- Encryption for applications */

/* The caller's pairs and purpose=data; the array is to be freed. */
static enum zone_status with_purpose(const char *purpose, const struct kms_context *context,
				     struct kms_pair **ret_pairs)
{
	AUTO(freep) struct kms_pair *pairs = calloc(context->count + 1, sizeof(*pairs));

	if (pairs == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < context->count; i++) {
		if (strncmp(context->pairs[i].name, "cmek:", 5) == 0)
			return refuse(ZONE_INVALID,
				      "names of the encryption context that begin with 'cmek:' are "
				      "not for callers: %s",
				      context->pairs[i].name);
		pairs[i] = context->pairs[i];
	}
	pairs[context->count] = (struct kms_pair){"cmek:purpose", purpose};
	*ret_pairs = TAKE(pairs);
	return ZONE_OK;
}

static enum zone_status check_usable(const struct entry *root_key)
{
	if (root_key->state == ENTRY_ACTIVE)
		return ZONE_OK;
	return refuse(ZONE_PENDING_DELETION, "root key '%s' awaits removal; restore it first",
		      root_key->label);
}

enum zone_status zones_root_key_encrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes plaintext,
					struct buffer *ret_blob)
{
	const struct root_key_listener listener = root_key_listen(zones, root_key);
	AUTO(freep) struct kms_pair *pairs = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	struct kms_door door = door_for(zones, root_key, &project);
	struct kms_context all;
	enum zone_status status;

	TRY(check_usable(root_key));
	TRY(with_purpose("data", context, &pairs));
	all = (struct kms_context){pairs, context->count + 1};
	door.context = &all;
	status = door_encrypt(&door, plaintext, ret_blob);
	root_key_hear(&listener, status);
	return status;
}

enum zone_status root_key_decrypt_for(struct zones *zones, const struct entry *root_key,
				      const char *purpose, const struct kms_context *context,
				      struct bytes blob, struct buffer *ret_plaintext)
{
	const struct root_key_listener listener = root_key_listen(zones, root_key);
	AUTO(freep) struct kms_pair *pairs = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	struct kms_door door = door_for(zones, root_key, &project);
	struct kms_context all;
	enum zone_status status;

	TRY(check_usable(root_key));
	TRY(with_purpose(purpose, context, &pairs));
	all = (struct kms_context){pairs, context->count + 1};
	door.context = &all;
	status = door_decrypt(&door, blob, ret_plaintext);
	root_key_hear(&listener, status);
	return status;
}

enum zone_status zones_root_key_decrypt(struct zones *zones, const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					struct buffer *ret_plaintext)
{
	return root_key_decrypt_for(zones, root_key, "data", context, blob, ret_plaintext);
}
