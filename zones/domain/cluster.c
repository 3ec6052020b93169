/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters: a provider and a region, equal to those of a root key. */
#include "zones/domain/cluster.h"

#include "base/arn.h"
#include "base/buffer.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/index/rules.h"
#include "zones/kms/door.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

enum zone_status cluster_make(const struct zones *zones, const struct entry *root_key,
			      struct bytes label, struct entry **ret_cluster)
{
	AUTO(entry_releasep) struct entry *cluster = NULL;

	TRY(label_check(ENTRY_CLUSTER, label));
	TRY(entry_make(ENTRY_CLUSTER, root_key->project, zones_now_ms(zones), &cluster));
	cluster->of_cluster.root_key = root_key->uid;
	if (!entry_set_text(&cluster->label, label) ||
	    !entry_set_bytes(&cluster->id, bytes(cluster->uid.bytes, UID_SIZE)) ||
	    !entry_set_text(&cluster->of_cluster.provider,
			    bytes_of(root_key->of_root_key.provider)) ||
	    !entry_set_text(&cluster->of_cluster.region, bytes_of(root_key->of_root_key.region)))
		return ZONE_NO_MEMORY;
	*ret_cluster = TAKE(cluster);
	return ZONE_OK;
}

enum zone_status cluster_put(struct changes *changes, struct entry *cluster)
{
	const struct index *index = &changes->zones->index;

	TRY(project_check(index, cluster->project));
	TRY(label_check_free(index, cluster));
	return changes_put(changes, cluster);
}

/* --- Region */

static enum zone_status wrong_region(const struct entry *root_key, struct bytes region)
{
	return refuse(ZONE_WRONG_REGION,
		      "root key '%s' is in region %s, not %.*s; a cluster is where its root key is",
		      root_key->label, root_key->of_root_key.region, (int)region.len,
		      (const char *)region.data);
}

/* A multi-Region key fits where its replica answers. KMS. */
static enum zone_status check_replica(struct zones *zones, const struct entry *root_key,
				      struct bytes region)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, root_key->project);
	char arn[KMS_ARN_MAX + 1];
	const struct kms_door door = {
		.clients = zones->clients,
		.key = arn,
		.project = entry_label(project),
		.project_id = root_key->project,
		.related = true,
	};
	struct kms_key key;
	enum zone_status status;

	if (!kms_arn_in_region(kms_clients_providers(zones->clients), root_key->of_root_key.arn,
			       region, arn))
		return wrong_region(root_key, region);
	status = door_describe(&door, &key);
	if (status == ZONE_OK &&
	    kms_same_key(kms_clients_providers(zones->clients), key.arn, root_key->of_root_key.arn))
		return ZONE_OK;
	return status == ZONE_OK || status == ZONE_KMS_NOT_FOUND ? wrong_region(root_key, region)
								 : status;
}

enum zone_status cluster_check_region(struct zones *zones, const struct entry *root_key,
				      struct bytes region)
{
	if (!region_valid(region))
		return refuse(ZONE_INVALID,
			      "a region is small letters and digits, with hyphens between");
	if (kms_clients_fit_anywhere(zones->clients, root_key->of_root_key.provider) ||
	    bytes_equal(region, bytes_of(root_key->of_root_key.region)))
		return ZONE_OK;
	return root_key->of_root_key.multi_region ? check_replica(zones, root_key, region)
						  : wrong_region(root_key, region);
}

/* --- Creating */

static enum zone_status find_root_key(struct zones *zones, struct uid project, struct uid uid,
				      struct entry **ret_root_key)
{
	AUTO(entry_releasep) struct entry *root_key = zones_find_uid(zones, uid);

	if (root_key == NULL || root_key->kind != ENTRY_ROOT_KEY ||
	    !uid_equal(root_key->project, project))
		return refuse(ZONE_NOT_FOUND, "the project has no such root key");
	*ret_root_key = TAKE(root_key);
	return ZONE_OK;
}

/* It is what the cluster's new zones would get. */
static enum zone_status check_allowed(struct zones *zones, const struct entry *root_key)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, root_key->project);
	const struct kms_door door = {.clients = zones->clients, .project = entry_label(project)};

	return door_check_allowed(&door, root_key->of_root_key.arn);
}

static enum zone_status decide_create(struct changes *changes, void *state)
{
	struct entry *cluster = state;
	const struct entry *root_key =
		index_uid(&changes->zones->index, cluster->of_cluster.root_key);

	if (root_key == NULL)
		return refuse(ZONE_NOT_FOUND, "the root key is not there any more");
	if (root_key->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION,
			      "root key '%s' awaits removal; restore it first", root_key->label);
	return cluster_put(changes, cluster);
}

enum zone_status zones_cluster_create(struct zones *zones, struct uid project,
				      struct bytes provider, struct bytes region,
				      struct uid root_key_uid, const struct entry_names *names,
				      struct entry **ret_cluster)
{
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(entry_releasep) struct entry *cluster = NULL;

	TRY(find_root_key(zones, project, root_key_uid, &root_key));
	TRY(check_allowed(zones, root_key));
	if (provider.len > 0 && !bytes_equal(provider, bytes_of(root_key->of_root_key.provider)))
		return refuse(ZONE_WRONG_PROVIDER,
			      "root key '%s' is a key of provider %s, and so must the cluster be",
			      root_key->label, root_key->of_root_key.provider);
	TRY(cluster_make(zones, root_key, names->label, &cluster));
	TRY(entry_take_names(cluster, names));
	if (region.len > 0) {
		TRY(cluster_check_region(zones, root_key, region));
		if (!entry_set_text(&cluster->of_cluster.region, region))
			return ZONE_NO_MEMORY;
	}
	TRY(zones_change(zones, decide_create, cluster));
	*ret_cluster = TAKE(cluster);
	return ZONE_OK;
}
