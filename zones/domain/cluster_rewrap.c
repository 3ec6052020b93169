/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster goes to another root key zone by zone: new zones get the new key at once, and the
 * cluster leaves the old one when its last zone has moved. */
#include "base/macros.h"
#include "zones/domain/cluster.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/rewrap_private.h"
#include "zones/domain/root_key_private.h"
#include "zones/index/rules.h"
#include "zones/kms/door.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

/* --- The root key that is to be the new one */

static struct entry *hold_same(struct zones *zones, struct uid project, const char *arn)
{
	struct entry *same;

	pthread_rwlock_rdlock(&zones->lock);
	same = root_key_same(&zones->index, project, arn);
	if (same != NULL)
		entry_hold(same);
	pthread_rwlock_unlock(&zones->lock);
	return same;
}

static enum zone_status check_usable(struct zones *zones, const struct entry *root_key)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, root_key->project);
	const struct kms_door door = {.clients = zones->clients, .project = entry_label(project)};

	if (root_key->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION,
			      "root key '%s' awaits removal; restore it first", root_key->label);
	return door_check_allowed(&door, root_key->of_root_key.arn);
}

/* Under a key that is switched off no zone would be made, nor could one move to it. Where the KMS
 * does not say so, that is found out with the first zone. KMS. */
static enum zone_status check_enabled(struct zones *zones, const struct entry *root_key)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, root_key->project);
	const struct kms_door door = {
		.clients = zones->clients,
		.key = root_key->of_root_key.arn,
		.project = entry_label(project),
		.project_id = root_key->project,
		.own_region = true,
	};
	struct kms_key key = {0};
	enum zone_status status = door_describe(&door, &key);

	if (status != ZONE_OK)
		return zone_status_is_no_of_key(status) ? status : ZONE_OK;
	status = root_key_meaning(key.state);
	if (!zone_status_is_no_of_key(status))
		return ZONE_OK;
	return refuse(status,
		      "a cluster can't go to root key '%s': its state in the KMS is %s; enable it "
		      "there first, or name another ('cmek key list')",
		      root_key->label, kms_key_state_text(key.state));
}

enum zone_status rewrap_find_root_key(struct zones *zones, struct uid project, struct bytes arn,
				      struct entry **ret_root_key)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	char text[KMS_ARN_MAX + 1] = "";

	if (arn.len <= KMS_ARN_MAX && arn.len > 0) {
		memcpy(text, arn.data, arn.len);
		text[arn.len] = '\0';
		root_key = hold_same(zones, project, text);
	}
	if (root_key == NULL)
		return refuse(ZONE_NOT_FOUND,
			      "the project has no root key %s; add it first ('cmek key add')",
			      text);
	TRY(check_usable(zones, root_key));
	*ret_root_key = TAKE(root_key);
	return ZONE_OK;
}

bool rewrap_has_root_key(struct zones *zones, struct uid project, const char *arn)
{
	AUTO(entry_releasep) struct entry *root_key = hold_same(zones, project, arn);

	return root_key != NULL && root_key->state == ENTRY_ACTIVE;
}

/* --- Clusters that are leaving a root key */

/* Zones that have not moved yet. */
struct staying {
	const struct changes *changes;
	const struct entry *cluster; /* as it is to be */
	const char *leaving;	     /* the ARN that it leaves; NULL: it is not there any more */
	const struct entry *moved;   /* as it is to be; not in the index yet; NULL: none */
	bool found;
};

static const char *arn_of(const struct index *index, struct uid uid)
{
	const struct entry *root_key = index_uid(index, uid);

	return root_key == NULL || root_key->kind != ENTRY_ROOT_KEY ? NULL
								    : root_key->of_root_key.arn;
}

/* What is under the cluster's root key already, and has the one before as a further key or for
 * another owner's share, keeps that. */
static bool is_under_new(const struct staying *staying, const struct ezk_version *version)
{
	const char *arn =
		arn_of(&staying->changes->zones->index, staying->cluster->of_cluster.root_key);

	return arn != NULL && ezk_version_live_wrap(version, arn) != NULL;
}

static bool version_stays(const struct staying *staying, const struct ezk_version *version)
{
	const struct kms_clients *clients = staying->changes->zones->clients;
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct wrap *wrap = &version->wraps[i];

		if (!wrap_is_live(wrap))
			continue;
		if (staying->leaving != NULL && strcmp(wrap->arn, staying->leaving) == 0 &&
		    !is_under_new(staying, version))
			return true;
		if (kms_name_parse(kms_clients_providers(clients), wrap->arn, provider, region) &&
		    strcmp(provider, staying->cluster->of_cluster.provider) != 0)
			return true;
	}
	return false;
}

static bool zone_stays(const struct staying *staying, const struct entry *zone)
{
	if (staying->moved != NULL && uid_equal(zone->uid, staying->moved->uid))
		zone = staying->moved;
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (version_stays(staying, &zone->of_zone.versions[i]))
			return true;
	return false;
}

static bool find_staying(void *state, struct entry *zone)
{
	struct staying *staying = state;

	staying->found = zone_stays(staying, zone);
	return !staying->found;
}

/* Also those that await deletion: they may be restored. Zones that moved come last in their
 * cluster, so this looks at few, however many move one by one. */
static bool some_stay(struct staying *staying)
{
	index_each_in_cluster(&staying->changes->zones->index, staying->cluster, find_staying,
			      staying);
	return staying->found;
}

static bool is_leaving(const struct entry *cluster)
{
	return !uid_equal(cluster->of_cluster.leaving, (struct uid){0});
}

enum zone_status cluster_leave_if_last(struct changes *changes, const struct entry *moved)
{
	const struct index *index = &changes->zones->index;
	const struct entry *cluster = index_uid(index, moved->of_zone.cluster);
	struct staying staying = {.changes = changes, .cluster = cluster, .moved = moved};
	AUTO(entry_releasep) struct entry *left = NULL;

	if (cluster == NULL || !is_leaving(cluster))
		return ZONE_OK;
	staying.leaving = arn_of(index, cluster->of_cluster.leaving);
	if (some_stay(&staying))
		return ZONE_OK;
	left = entry_copy(cluster);
	if (left == NULL)
		return ZONE_NO_MEMORY;
	left->of_cluster.leaving = (struct uid){0};
	return changes_put(changes, left);
}

/* --- A cluster gets another */

struct target {
	struct uid cluster;
	const struct entry *root_key;
	const char *region;   /* NULL: as it is */
	struct entry *result; /* held */
};

static enum zone_status refuse_third(const struct index *index, const struct entry *cluster)
{
	const struct entry *leaving = index_uid(index, cluster->of_cluster.leaving);
	const struct entry *root_key = index_uid(index, cluster->of_cluster.root_key);

	return refuse(ZONE_MOVING,
		      "cluster '%s' is leaving root key '%s' still: move all its databases to '%s' "
		      "first, or back ('cmek database rewrap %s/')",
		      cluster->label, leaving == NULL ? "" : leaving->label,
		      root_key == NULL ? "" : root_key->label, cluster->label);
}

/* Those of the new root key; what it was under is left, if a zone is there. */
static enum zone_status aim(struct changes *changes, const struct target *target,
			    struct entry *cluster)
{
	struct staying staying = {.changes = changes, .cluster = cluster};
	struct uid before = cluster->of_cluster.root_key;

	if (uid_equal(before, target->root_key->uid))
		before = cluster->of_cluster.leaving;
	cluster->of_cluster.root_key = target->root_key->uid;
	cluster->of_cluster.leaving = before;
	if (!entry_set_text(&cluster->of_cluster.provider,
			    bytes_of(target->root_key->of_root_key.provider)))
		return ZONE_NO_MEMORY;
	if (target->region != NULL &&
	    !entry_set_text(&cluster->of_cluster.region, bytes_of(target->region)))
		return ZONE_NO_MEMORY;
	staying.leaving = arn_of(&changes->zones->index, before);
	if (is_leaving(cluster) && !some_stay(&staying))
		cluster->of_cluster.leaving = (struct uid){0};
	return ZONE_OK;
}

static bool same_target(const struct entry *a, const struct entry *b)
{
	return uid_equal(a->of_cluster.root_key, b->of_cluster.root_key) &&
	       uid_equal(a->of_cluster.leaving, b->of_cluster.leaving);
}

static enum zone_status decide_cluster(struct changes *changes, void *state)
{
	struct target *target = state;
	const struct index *index = &changes->zones->index;
	const struct entry *current = index_uid(index, target->cluster);
	const struct entry *root_key = index_uid(index, target->root_key->uid);

	entry_release(TAKE(target->result));
	if (current == NULL || current->state != ENTRY_ACTIVE)
		return refuse(ZONE_NOT_FOUND, "the cluster is not there any more");
	if (root_key == NULL || root_key->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION,
			      "root key '%s' awaits removal; restore it first",
			      target->root_key->label);
	if (is_leaving(current) &&
	    !uid_equal(current->of_cluster.root_key, target->root_key->uid) &&
	    !uid_equal(current->of_cluster.leaving, target->root_key->uid))
		return refuse_third(index, current);
	target->result = entry_copy(current);
	if (target->result == NULL)
		return ZONE_NO_MEMORY;
	TRY(aim(changes, target, target->result));
	return same_target(current, target->result) ? ZONE_OK
						    : changes_put(changes, target->result);
}

/* Of another provider it may be anywhere; else where the cluster is. KMS. */
static enum zone_status choose_region(struct zones *zones, const struct entry *cluster,
				      const struct entry *root_key, const char **ret_region)
{
	*ret_region = NULL;
	if (strcmp(root_key->of_root_key.provider, cluster->of_cluster.provider) == 0)
		return cluster_check_region(zones, root_key, bytes_of(cluster->of_cluster.region));
	if (!kms_clients_fit_anywhere(zones->clients, root_key->of_root_key.provider))
		*ret_region = root_key->of_root_key.region;
	return ZONE_OK;
}

enum zone_status zones_cluster_rewrap(struct zones *zones, const struct entry *cluster,
				      struct bytes arn, struct entry **ret_cluster)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	struct target target = {.cluster = cluster->uid};
	enum zone_status status;

	TRY(zones_refresh(zones, true));
	TRY(rewrap_find_root_key(zones, cluster->project, arn, &root_key));
	TRY(check_enabled(zones, root_key));
	TRY(choose_region(zones, cluster, root_key, &target.region));
	target.root_key = root_key;
	status = zones_change(zones, decide_cluster, &target);
	if (status == ZONE_OK)
		*ret_cluster = TAKE(target.result);
	entry_release(target.result);
	return status;
}
