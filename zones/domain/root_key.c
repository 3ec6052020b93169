/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Adding root keys: named in any way, known by their canonical ARN, and taken only after they have
 * shown that they encrypt and decrypt. Their use is in root_key_use.c. */
#include "zones/domain/root_key.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/purge.h"
#include "zones/domain/root_key_private.h"
#include "zones/ezk/registry.h"
#include "zones/index/rules.h"
#include "zones/kms/canary.h"
#include "zones/kms/door.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

#include <string.h>

/* --- Candidates: a KMS key that may become a root key */

void candidate_clear(struct candidate *candidate)
{
	entry_release(candidate->entry);
	entry_release(candidate->taken);
	*candidate = (struct candidate){0};
}

static enum zone_status refuse_name(const struct zones *zones, const char *name)
{
	AUTO(buffer_clear) struct buffer names = {0};

	kms_clients_put_key_names(zones->clients, &names);
	return refuse(ZONE_INVALID, "'%s' is not the name of a KMS key: %s", name,
		      buffer_text(&names) == NULL ? "" : buffer_text(&names));
}

enum zone_status kms_name_copy(const struct zones *zones, struct bytes kms_key, char **ret_name)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	AUTO(freep) char *name = NULL;

	if (kms_key.len == 0 || kms_key.len > KMS_ARN_MAX || !utf8_valid(kms_key))
		return refuse(ZONE_INVALID, "the name of a KMS key is empty, too long or not text");
	name = strndup((const char *)kms_key.data, kms_key.len);
	if (name == NULL)
		return ZONE_NO_MEMORY;
	if (!kms_name_parse(kms_clients_providers(zones->clients), name, provider, region))
		return refuse_name(zones, name);
	*ret_name = TAKE(name);
	return ZONE_OK;
}

static bool is_full(struct zones *zones, struct uid project)
{
	bool full;

	pthread_rwlock_rdlock(&zones->lock);
	full = root_key_count(&zones->index, project) >= ROOT_KEYS_MAX;
	pthread_rwlock_unlock(&zones->lock);
	return full;
}

static enum zone_status too_many(void)
{
	return refuse(ZONE_TOO_MANY_ROOT_KEYS,
		      "a project has at most %d root keys, those that await removal among them: "
		      "remove one that no database uses ('cmek key remove --now'), or make another "
		      "project",
		      ROOT_KEYS_MAX);
}

static bool is_taken(struct zones *zones, struct uid project, struct bytes label)
{
	bool taken;

	pthread_rwlock_rdlock(&zones->lock);
	taken = index_label(&zones->index, project, ENTRY_ROOT_KEY, label) != NULL;
	pthread_rwlock_unlock(&zones->lock);
	return taken;
}

static enum zone_status taken_label(struct bytes label)
{
	return refuse(ZONE_EXISTS,
		      "the project has a root key '%.*s' already; choose another label",
		      (int)label.len, (const char *)label.data);
}

/* Whether any project has a root key of the embedded KMS. */
struct local_search {
	const struct zones *zones;
	bool found;
};

static bool note_local(void *state, struct entry *entry)
{
	struct local_search *search = state;

	search->found |= kms_clients_embed(search->zones->clients, entry->of_root_key.provider);
	return !search->found;
}

static bool search_project(void *state, struct entry *project)
{
	struct local_search *search = state;

	index_each_of(&search->zones->index, project->uid, ENTRY_ROOT_KEY, note_local, search);
	return !search->found;
}

static bool has_local_keys(struct zones *zones)
{
	struct local_search search = {.zones = zones};

	pthread_rwlock_rdlock(&zones->lock);
	index_each_project(&zones->index, search_project, &search);
	pthread_rwlock_unlock(&zones->lock);
	return search.found;
}

static enum zone_status make_local(struct zones *zones, const struct kms_door *door,
				   enum local_key wish)
{
	bool made = false;

	TRY(door_create(door, has_local_keys(zones), &made));
	if (made || wish == LOCAL_KEY_FOUND_OR_MADE)
		return ZONE_OK;
	return refuse(ZONE_EXISTS,
		      "the embedded KMS has a key %s already; add that (cmek key add), or choose "
		      "another name",
		      door->key);
}

/* A local key is made, if that is wished, but not for a project that has no room for it or for its
 * label. */
static enum zone_status make_if_wished(struct zones *zones, const struct kms_door *door,
				       struct bytes label, enum local_key wish)
{
	bool local = kms_clients_may_make(zones->clients, door->key);
	bool full = is_full(zones, door->project_id);

	if (wish == LOCAL_KEY_FOUND || (wish == LOCAL_KEY_FOUND_OR_MADE && (!local || full)))
		return ZONE_OK;
	if (!local)
		return refuse(
			ZONE_INVALID,
			"only a key of the embedded KMS, local:NAME, can be made here; make %s "
			"in its KMS, and add it (cmek key add)",
			door->key);
	if (full)
		return too_many();
	if (label.len > 0 && is_taken(zones, door->project_id, label))
		return taken_label(label);
	return make_local(zones, door, wish);
}

static enum zone_status describe(struct zones *zones, struct uid project, const char *name,
				 struct bytes label, enum local_key wish, struct kms_key *ret_key)
{
	AUTO(entry_releasep) struct entry *owner = zones_find_uid(zones, project);
	const struct kms_door door = {
		.clients = zones->clients,
		.key = name,
		.project = entry_label(owner),
		.project_id = project,
	};

	TRY(make_if_wished(zones, &door, label, wish));
	TRY(door_describe(&door, ret_key));
	if (!ret_key->encrypts)
		return refuse(ZONE_KMS_INVALID_KEY_USAGE,
			      "%s is not a symmetric key for encryption and decryption",
			      ret_key->arn);
	return ZONE_OK;
}

static struct bytes key_id(const struct zones *zones, const char *arn)
{
	struct bytes id = kms_clients_key_id(zones->clients, arn);

	if (id.len == 0)
		id = bytes_of(arn);
	return id.len > LABEL_MAX ? bytes(id.data + id.len - LABEL_MAX, LABEL_MAX) : id;
}

static bool fill(struct entry *entry, const struct kms_key *key)
{
	entry->of_root_key.multi_region = key->multi_region;
	return entry_set_text(&entry->of_root_key.arn, bytes_of(key->arn)) &&
	       entry_set_text(&entry->of_root_key.provider, bytes_of(key->provider)) &&
	       entry_set_text(&entry->of_root_key.region, bytes_of(key->region)) &&
	       entry_set_bytes(&entry->id, bytes(entry->uid.bytes, UID_SIZE));
}

static enum zone_status make(const struct zones *zones, struct uid project, const char *name,
			     const struct kms_key *key, struct candidate *ret_candidate)
{
	AUTO(entry_releasep) struct entry *entry = NULL;
	struct bytes label = kms_clients_label(zones->clients, name);

	TRY(entry_make(ENTRY_ROOT_KEY, project, zones_now_ms(zones), &entry));
	if (label.len == 0 || label.len > LABEL_MAX)
		label = key_id(zones, key->arn);
	if (!fill(entry, key) || !entry_set_text(&entry->label, label))
		return ZONE_NO_MEMORY;
	ret_candidate->entry = TAKE(entry);
	ret_candidate->label_is_ours = true;
	return ZONE_OK;
}

static enum zone_status already_there(const struct entry *same)
{
	return refuse(ZONE_EXISTS, "the project has %s already, as root key '%s'; use that",
		      same->of_root_key.arn, same->label);
}

static enum zone_status check_new(struct zones *zones, struct uid project, const char *arn)
{
	const struct entry *same;
	enum zone_status status;

	pthread_rwlock_rdlock(&zones->lock);
	status = project_check(&zones->index, project);
	same = status == ZONE_OK ? root_key_same(&zones->index, project, arn) : NULL;
	if (same != NULL && same->state == ENTRY_ACTIVE)
		status = already_there(same);
	pthread_rwlock_unlock(&zones->lock);
	return status;
}

enum zone_status candidate_describe(struct zones *zones, struct uid project, const char *name,
				    struct bytes label, enum local_key wish,
				    struct candidate *ret_candidate)
{
	struct kms_key key;

	TRY(describe(zones, project, name, label, wish, &key));
	return make(zones, project, name, &key, ret_candidate);
}

enum zone_status candidate_try(struct zones *zones, struct candidate *candidate)
{
	AUTO(buffer_clear) struct buffer canary = {.limit = KMS_BLOB_MAX};
	struct entry *entry = candidate->entry;
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, entry->project);

	TRY(check_new(zones, entry->project, entry->of_root_key.arn));
	TRY(canary_make(zones->clients, entry, project, &canary));
	return entry_set_bytes(&entry->of_root_key.canary, buffer_bytes(&canary)) ? ZONE_OK
										  : ZONE_NO_MEMORY;
}

/* --- Within a transaction */

static bool label_is_free(const struct index *index, const struct entry *entry)
{
	const struct entry *found =
		index_label(index, entry->project, ENTRY_ROOT_KEY, bytes_of(entry->label));

	return found == NULL || uid_equal(found->uid, entry->uid);
}

/* A label of our own choice gives way to another of that name. */
static enum zone_status settle_label(const struct zones *zones, const struct candidate *candidate)
{
	const struct index *index = &zones->index;
	struct entry *entry = candidate->taken;

	if (candidate->label_is_ours && !label_is_free(index, entry) &&
	    !entry_set_text(&entry->label, key_id(zones, entry->of_root_key.arn)))
		return ZONE_NO_MEMORY;
	return label_check_free(index, entry);
}

/* Root keys whose deletion window has ended make room for another. */
static enum zone_status make_room(struct changes *changes, struct uid project)
{
	size_t count = root_key_count(&changes->zones->index, project), gone = 0;

	if (count < ROOT_KEYS_MAX)
		return ZONE_OK;
	TRY(purge_root_keys(changes, project, &gone));
	return count - gone < ROOT_KEYS_MAX ? ZONE_OK : too_many();
}

/* The one that awaits removal comes back, with what was found out now. */
static enum zone_status revive(struct candidate *candidate, const struct entry *pending)
{
	AUTO(entry_releasep) struct entry *revived = NULL;
	const struct entry *entry = candidate->entry;

	TRY(entry_make_active(pending, &revived));
	if (!entry_set_bytes(&revived->of_root_key.canary, entry->of_root_key.canary))
		return ZONE_NO_MEMORY;
	if (!candidate->label_is_ours && !entry_set_text(&revived->label, bytes_of(entry->label)))
		return ZONE_NO_MEMORY;
	candidate->taken = TAKE(revived);
	return ZONE_OK;
}

static enum zone_status take_new(struct changes *changes, struct candidate *candidate)
{
	TRY(make_room(changes, candidate->entry->project));
	candidate->taken = entry_copy(candidate->entry);
	return candidate->taken != NULL ? ZONE_OK : ZONE_NO_MEMORY;
}

enum zone_status candidate_put(struct changes *changes, struct candidate *candidate)
{
	const struct index *index = &changes->zones->index;
	struct uid project = candidate->entry->project;
	const struct entry *same;

	TRY(project_check(index, project));
	same = root_key_same(index, project, candidate->entry->of_root_key.arn);
	if (same != NULL && same->state == ENTRY_ACTIVE)
		return already_there(same);
	entry_release(TAKE(candidate->taken));
	TRY(same != NULL ? revive(candidate, same) : take_new(changes, candidate));
	TRY(settle_label(changes->zones, candidate));
	return changes_put(changes, candidate->taken);
}

/* --- For those above */

static enum zone_status decide_add(struct changes *changes, void *state)
{
	return candidate_put(changes, state);
}

static void tell_works(struct zones *zones, const struct entry *root_key)
{
	uint64_t no_count;
	struct root_lease *root = registry_listen(zones->registry, root_key->project,
						  root_key->of_root_key.arn, &no_count);

	registry_hear(zones->registry, root, no_count, ZONE_OK);
}

static enum zone_status add(struct zones *zones, struct uid project, struct bytes kms_key,
			    const struct entry_names *names, enum local_key wish,
			    struct entry **ret_root_key)
{
	AUTO(candidate_clear) struct candidate candidate = {0};
	AUTO(freep) char *name = NULL;

	TRY(kms_name_copy(zones, kms_key, &name));
	/* Before a local key is made for it. */
	TRY(label_check(ENTRY_ROOT_KEY, names->label));
	TRY(candidate_describe(zones, project, name, names->label, wish, &candidate));
	candidate.label_is_ours = names->label.len == 0;
	TRY(entry_take_names(candidate.entry, names));
	TRY(candidate_try(zones, &candidate));
	TRY(zones_change(zones, decide_add, &candidate));
	*ret_root_key = TAKE(candidate.taken);
	tell_works(zones, *ret_root_key);
	return ZONE_OK;
}

enum zone_status zones_root_key_add(struct zones *zones, struct uid project, struct bytes kms_key,
				    const struct entry_names *names, struct entry **ret_root_key)
{
	return add(zones, project, kms_key, names, LOCAL_KEY_FOUND, ret_root_key);
}

enum zone_status zones_root_key_create(struct zones *zones, struct uid project,
				       struct bytes kms_key, const struct entry_names *names,
				       struct entry **ret_root_key)
{
	return add(zones, project, kms_key, names, LOCAL_KEY_MADE, ret_root_key);
}
