/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster is named by the zone's label; only "default" may be missing. */
#include "zones/domain/zone_place.h"

#include "base/macros.h"
#include "zones/domain/cluster.h"
#include "zones/domain/lookup.h"
#include "zones/domain/root_key_private.h"
#include "zones/index/rules.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

void zone_place_clear(struct zone_place *place)
{
	entry_release(place->project);
	entry_release(place->root_key);
	candidate_clear(&place->candidate);
	entry_release(place->cluster);
	*place = (struct zone_place){0};
}

const struct entry *zone_place_root_key(const struct zone_place *place)
{
	if (place->root_key != NULL)
		return place->root_key;
	return place->candidate.taken != NULL ? place->candidate.taken : place->candidate.entry;
}

/* --- The root key of a new default cluster */

struct only {
	struct entry *found;
	size_t count;
};

static bool count_active(void *state, struct entry *root_key)
{
	struct only *only = state;

	if (root_key->state == ENTRY_ACTIVE) {
		only->found = root_key;
		only->count++;
	}
	return true;
}

static struct entry *hold_only(struct zones *zones, struct uid project, size_t *ret_count)
{
	struct only only = {0};

	pthread_rwlock_rdlock(&zones->lock);
	index_each_of(&zones->index, project, ENTRY_ROOT_KEY, count_active, &only);
	if (only.count == 1)
		entry_hold(only.found);
	pthread_rwlock_unlock(&zones->lock);
	*ret_count = only.count;
	return only.count == 1 ? only.found : NULL;
}

static struct entry *hold_same(struct zones *zones, struct uid project, const char *arn)
{
	struct entry *same;

	pthread_rwlock_rdlock(&zones->lock);
	same = root_key_same(&zones->index, project, arn);
	same = same != NULL && same->state == ENTRY_ACTIVE ? entry_hold(same) : NULL;
	pthread_rwlock_unlock(&zones->lock);
	return same;
}

/* KMS. */
static enum zone_status use_default(struct zones *zones, struct uid project,
				    struct zone_place *place)
{
	const struct entry_names names = {.usages = USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_WRAP |
						    USAGE_UNWRAP,
					  .extra = zones->settings.default_root_key_extra};
	const char *name = zones->settings.default_root_key;

	TRY(candidate_describe(zones, project, name, bytes(NULL, 0), LOCAL_KEY_FOUND_OR_MADE,
			       &place->candidate));
	TRY(entry_take_names(place->candidate.entry, &names));
	place->root_key = hold_same(zones, project, place->candidate.entry->of_root_key.arn);
	if (place->root_key != NULL) {
		candidate_clear(&place->candidate);
		return ZONE_OK;
	}
	return candidate_try(zones, &place->candidate);
}

static enum zone_status choose_root_key(struct zones *zones, struct uid project,
					struct zone_place *place)
{
	size_t count;

	place->root_key = hold_only(zones, project, &count);
	if (place->root_key != NULL)
		return ZONE_OK;
	if (zones->settings.default_root_key != NULL)
		return use_default(zones, project, place);
	return refuse(ZONE_NO_ROOT_KEY,
		      count == 0 ? "project '%s' has no root key; add one ('cmek key add'), or set "
				   "[kms] default_root_key"
				 : "project '%s' has several root keys and no cluster 'default'; "
				   "name a cluster, or set [kms] default_root_key",
		      place->project->label);
}

/* --- The cluster */

static struct entry *hold_cluster(struct zones *zones, struct uid project, struct bytes label)
{
	struct entry *cluster;

	pthread_rwlock_rdlock(&zones->lock);
	cluster = index_label(&zones->index, project, ENTRY_CLUSTER, label);
	if (cluster != NULL)
		entry_hold(cluster);
	pthread_rwlock_unlock(&zones->lock);
	return cluster;
}

/* An import keeps its root key, which must be one that the cluster could have. */
static enum zone_status check_fits(const struct zones *zones, const struct entry *root_key,
				   const struct entry *cluster)
{
	if (strcmp(root_key->of_root_key.provider, cluster->of_cluster.provider) != 0)
		return refuse(ZONE_WRONG_PROVIDER, "root key '%s' is not of cluster '%s's provider",
			      root_key->label, cluster->label);
	if (strcmp(root_key->of_root_key.region, cluster->of_cluster.region) != 0 &&
	    !kms_clients_fit_anywhere(zones->clients, root_key->of_root_key.provider))
		return refuse(ZONE_WRONG_REGION, "root key '%s' is not in cluster '%s's region",
			      root_key->label, cluster->label);
	return ZONE_OK;
}

static enum zone_status use_cluster(struct zones *zones, const struct entry *root_key,
				    struct zone_place *place)
{
	if (root_key != NULL && !uid_equal(root_key->uid, place->cluster->of_cluster.root_key) &&
	    !uid_equal(root_key->uid, place->cluster->of_cluster.leaving))
		return check_fits(zones, root_key, place->cluster);
	if (root_key != NULL)
		return ZONE_OK;
	place->root_key = zones_find_uid(zones, place->cluster->of_cluster.root_key);
	if (place->root_key == NULL || place->root_key->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION,
			      "the root key of cluster '%s' awaits removal; restore it first",
			      place->cluster->label);
	return ZONE_OK;
}

static enum zone_status new_cluster(struct zones *zones, struct zone_place *place)
{
	if (place->root_key == NULL)
		TRY(choose_root_key(zones, place->project->uid, place));
	place->cluster_is_new = true;
	return cluster_make(zones, zone_place_root_key(place), bytes_of(DEFAULT_CLUSTER),
			    &place->cluster);
}

static enum zone_status find_place(struct zones *zones, struct uid project, struct bytes label,
				   const struct entry *root_key, struct zone_place *place)
{
	struct zone_name name;

	TRY(zone_name_parse(label, &name));
	place->project = zones_find_uid(zones, project);
	if (place->project == NULL)
		return refuse(ZONE_NOT_FOUND, "the project is not there any more");
	if (root_key != NULL)
		place->root_key = entry_hold((struct entry *)(uintptr_t)root_key);
	place->cluster = hold_cluster(zones, project, name.cluster);
	if (place->cluster != NULL)
		return use_cluster(zones, root_key, place);
	if (!bytes_equal(name.cluster, bytes_of(DEFAULT_CLUSTER)))
		return refuse(ZONE_NOT_FOUND,
			      "project '%s' has no cluster '%.*s'; make it: cmek cluster create "
			      "%.*s --project %s --key L --region R",
			      place->project->label, (int)name.cluster.len,
			      (const char *)name.cluster.data, (int)name.cluster.len,
			      (const char *)name.cluster.data, place->project->label);
	return new_cluster(zones, place);
}

enum zone_status zone_place_find(struct zones *zones, struct uid project, struct bytes label,
				 const struct entry *root_key, struct zone_place *ret_place)
{
	AUTO(zone_place_clear) struct zone_place place = {0};

	TRY(find_place(zones, project, label, root_key, &place));
	*ret_place = place;
	place = (struct zone_place){0};
	return ZONE_OK;
}

/* --- Within a transaction */

static bool is_active(const struct index *index, const struct entry *entry)
{
	const struct entry *current = index_uid(index, entry->uid);

	return current != NULL && current->state == ENTRY_ACTIVE;
}

static enum zone_status put_root_key(struct changes *changes, struct zone_place *place)
{
	enum zone_status status;

	if (place->root_key != NULL)
		return is_active(&changes->zones->index, place->root_key) ? ZONE_OK : ZONE_CONFLICT;
	status = candidate_put(changes, &place->candidate);
	/* Somebody added the very same meanwhile: then it is the one to use. */
	return status == ZONE_EXISTS ? ZONE_CONFLICT : status;
}

static enum zone_status put_cluster(struct changes *changes, struct zone_place *place)
{
	const struct index *index = &changes->zones->index;
	const struct entry *current = index_uid(index, place->cluster->uid);

	if (place->cluster_is_new) {
		if (index_label(index, place->project->uid, ENTRY_CLUSTER,
				bytes_of(place->cluster->label)) != NULL)
			return ZONE_CONFLICT;
		place->cluster->of_cluster.root_key = zone_place_root_key(place)->uid;
		return cluster_put(changes, place->cluster);
	}
	/* Of another name, it is not the one that the zone's label begins with. */
	if (current == NULL || current->state != ENTRY_ACTIVE ||
	    !uid_equal(current->of_cluster.root_key, place->cluster->of_cluster.root_key) ||
	    strcmp(current->label, place->cluster->label) != 0)
		return ZONE_CONFLICT;
	return ZONE_OK;
}

enum zone_status zone_place_put(struct changes *changes, struct zone_place *place)
{
	TRY(project_check(&changes->zones->index, place->project->uid));
	TRY(put_root_key(changes, place));
	return put_cluster(changes, place);
}
