/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A backup comes back: its MAC is checked and root keys are exchanged by the KMS first, without any
 * lock; then one transaction plans and writes all of it, or nothing. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/restore_as.h"
#include "zones/domain/partial.h"
#include "zones/domain/restore_plan.h"
#include "zones/domain/root_key_private.h"
#include "zones/kms/audit.h"
#include "zones/kms/canary.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/backup.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <stdlib.h>

/* --- Another root key in the place of an old one */

/* By its ARN, else by its label: what is the ARN of one can't be taken for the label of another. */
static struct entry *find_root_key(const struct backup *backup, struct bytes name)
{
	struct entry *labelled = NULL;

	for (size_t i = 0; i < backup->count; i++) {
		struct entry *entry = backup->entries[i];

		if (entry->kind != ENTRY_ROOT_KEY)
			continue;
		if (bytes_are(name, entry->of_root_key.arn))
			return entry;
		if (labelled == NULL && bytes_are(name, entry->label))
			labelled = entry;
	}
	return labelled;
}

struct moving {
	struct zones *zones;
	struct backup *backup;
	struct entry *root_key; /* the backup's */
	const char *from, *to;	/* ARNs */
	bool dry_run;		/* nothing is encrypted */
};

/* KMS: what the new key encrypted opens, and is the EZK: its MAC is found good; or it is the share
 * that was encrypted. */
static enum zone_status prove(const struct kms_door *door, uint64_t record_zone,
			      const struct ezk_version *version, const struct wrap *made,
			      const uint8_t *ezk)
{
	AUTO(secret_freep) uint8_t *opened = secret_new(EZK_SIZE);

	if (opened == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_wrap_open(door, record_zone, version, made, opened));
	return bytes_equal_constant_time(bytes(opened, EZK_SIZE), bytes(ezk, EZK_SIZE))
		       ? ZONE_OK
		       : ZONE_KMS_BAD_ANSWER;
}

/* KMS: the same EZK, encrypted by the new key; the old blob goes only after that is proven. */
static enum zone_status encrypt_anew(const struct moving *moving, const struct kms_door *door,
				     const struct ezk_identity *identity,
				     const struct ezk_version *version, struct wrap *wrap)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	AUTO(freep) char *arn = strdup(moving->to);
	struct kms_door door_to = *door;
	struct ezk_context context;
	struct wrap made = {.arn = arn, .share = wrap->share};

	if (ezk == NULL || arn == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_wrap_open(door, identity->zone, version, wrap, ezk));
	ezk_context_init(&context, identity);
	door_to.key = moving->to;
	door_to.context = &context.context;
	TRY(door_encrypt(&door_to, bytes(ezk, EZK_SIZE), &blob));
	if (blob.failed || blob.len == 0)
		return ZONE_KMS_BAD_ANSWER;
	made.blob = buffer_bytes(&blob);
	TRY(prove(door, identity->zone, version, &made, ezk));
	return entry_set_bytes(&wrap->blob, made.blob) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* KMS. A replaced wrap remains one. */
static enum zone_status move_wrap(const struct moving *moving, const struct entry *zone,
				  const struct ezk_version *version, struct wrap *wrap)
{
	struct ezk_identity identity = {.project = version->project,
					.cluster = version->cluster,
					.zone = version->record_zone != 0 ? version->record_zone
									  : zone->of_zone.zone,
					.version = version->version,
					.share = wrap->share};
	const struct kms_door door = {.clients = moving->zones->clients,
				      .project = moving->backup->entries[0]->label,
				      .project_id = moving->backup->project,
				      .zone = zone->label,
				      .zone_id = zone->of_zone.zone,
				      .version = version->version};

	if (!limits_get_lease(version->limits, &identity.lease))
		return ZONE_RECORD_CORRUPT;
	TRY(encrypt_anew(moving, &door, &identity, version, wrap));
	/* No MAC was found good for a share alone. */
	if (wrap->state == WRAP_UNPROVEN && wrap->share == 0)
		wrap->state = WRAP_ACTIVE;
	return ZONE_OK;
}

/* Two owners stay two. */
static enum zone_status check_owners(const struct moving *moving, const struct entry *zone,
				     const struct ezk_version *version)
{
	const struct kms_provider *const *providers = kms_clients_providers(moving->zones->clients);
	const struct wrap *first = ezk_version_live_share(version, 1);
	const struct wrap *second = ezk_version_live_share(version, 2);

	if (first == NULL || second == NULL || !kms_same_key(providers, first->arn, second->arn))
		return ZONE_OK;
	return refuse(
		ZONE_INVALID,
		"database '%s' needs two root keys together, and both would be %s; map them to "
		"two keys",
		zone->label, second->arn);
}

/* A related multi-Region key opens what the other encrypted, so nothing is opened, nor proven. What
 * was replaced moves too: it may be the only wrap that opens. */
static enum zone_status move_version(const struct moving *moving, const struct entry *zone,
				     struct ezk_version *version)
{
	bool related = kms_same_key(kms_clients_providers(moving->zones->clients), moving->from,
				    moving->to);
	size_t proven = ezk_version_count(version, WRAP_ACTIVE);

	for (size_t i = 0; i < version->wrap_count; i++) {
		struct wrap *wrap = &version->wraps[i];

		if (strcmp(wrap->arn, moving->from) != 0)
			continue;
		if (!related && !moving->dry_run)
			TRY(move_wrap(moving, zone, version, wrap));
		if (!entry_set_text(&wrap->arn, bytes_of(moving->to)))
			return ZONE_NO_MEMORY;
	}
	if (!version->all_wraps && ezk_version_count(version, WRAP_ACTIVE) > proven)
		ezk_version_drop_needless(version);
	ezk_version_drop_twice(version, moving->to);
	return check_owners(moving, zone, version);
}

static enum zone_status move_zones(const struct moving *moving)
{
	for (size_t i = 0; i < moving->backup->count; i++) {
		struct entry *zone = moving->backup->entries[i];

		for (size_t v = 0; zone->kind == ENTRY_ZONE && v < zone->of_zone.version_count; v++)
			TRY(move_version(moving, zone, &zone->of_zone.versions[v]));
	}
	return ZONE_OK;
}

/* A cluster is where its root key is; an embedded key fits any region. */
static enum zone_status move_clusters(const struct moving *moving, const struct entry *new,
				      struct uid in_place)
{
	bool anywhere = kms_clients_fit_anywhere(moving->zones->clients, new->of_root_key.provider);

	for (size_t i = 0; i < moving->backup->count; i++) {
		struct entry *cluster = moving->backup->entries[i];

		if (cluster->kind != ENTRY_CLUSTER)
			continue;
		if (uid_equal(cluster->of_cluster.leaving, moving->root_key->uid))
			cluster->of_cluster.leaving = in_place;
		if (!uid_equal(cluster->of_cluster.root_key, moving->root_key->uid))
			continue;
		cluster->of_cluster.root_key = in_place;
		if (!entry_set_text(&cluster->of_cluster.provider,
				    bytes_of(new->of_root_key.provider)) ||
		    (!anywhere && !entry_set_text(&cluster->of_cluster.region,
						  bytes_of(new->of_root_key.region))))
			return ZONE_NO_MEMORY;
	}
	return ZONE_OK;
}

static enum zone_status become(struct entry *root_key, const struct entry *new, struct bytes canary)
{
	root_key->of_root_key.multi_region = new->of_root_key.multi_region;
	return entry_set_text(&root_key->of_root_key.provider,
			      bytes_of(new->of_root_key.provider)) &&
			       entry_set_text(&root_key->of_root_key.region,
					      bytes_of(new->of_root_key.region)) &&
			       entry_set_bytes(&root_key->of_root_key.canary, canary) &&
			       entry_set_text(&root_key->of_root_key.arn,
					      bytes_of(new->of_root_key.arn))
		       ? ZONE_OK
		       : ZONE_NO_MEMORY;
}

/* The new key may be one that the backup has already: then the old one is not needed any more. */
static enum zone_status replace(const struct moving *moving, struct entry *new)
{
	struct entry *there = find_root_key(moving->backup, bytes_of(new->of_root_key.arn));
	AUTO(buffer_clear) struct buffer canary = {0};

	if (there != NULL && there != moving->root_key) {
		moving->root_key->state = ENTRY_PENDING_DELETION;
		return move_clusters(moving, new, there->uid);
	}
	if (!moving->dry_run)
		TRY(canary_make(moving->zones->clients, new, moving->backup->entries[0], &canary));
	TRY(move_clusters(moving, new, moving->root_key->uid));
	return become(moving->root_key, new, buffer_bytes(&canary));
}

static enum zone_status apply_map(struct zones *zones, const struct restore_map *map, bool dry_run,
				  struct backup *backup, struct restore_trust *trust)
{
	AUTO(freep) char *name = NULL;
	AUTO(freep) char *from = NULL;
	AUTO(candidate_clear) struct candidate candidate = {0};
	struct entry *root_key = find_root_key(backup, map->from);
	struct moving moving = {zones, backup, root_key, NULL, NULL, dry_run};

	if (root_key == NULL)
		return refuse(ZONE_NOT_FOUND,
			      "the backup has no root key '%.*s'; 'cmek backup "
			      "verify' lists those that it has",
			      (int)map->from.len, (const char *)map->from.data);
	TRY(kms_name_copy(zones, map->to, &name));
	TRY(candidate_describe(zones, backup->project, name, bytes_of(root_key->label),
			       LOCAL_KEY_FOUND, &candidate));
	from = strdup(root_key->of_root_key.arn);
	if (from == NULL)
		return ZONE_NO_MEMORY;
	moving.from = from;
	moving.to = candidate.entry->of_root_key.arn;
	TRY(restore_trust_name(trust, bytes_of(moving.to)));
	TRY(move_zones(&moving));
	return replace(&moving, candidate.entry);
}

/* --- The transaction */

struct restoring {
	const struct backup *backup;
	const struct restore_wish *wish;
	const struct restore_trust *trust;
	struct restore_plan plan;
};

static void restoring_clear(struct restoring *restoring)
{
	if (restoring->plan.backup != NULL)
		restore_plan_clear(&restoring->plan);
}

static enum zone_status plan_anew(struct zones *zones, struct restoring *restoring)
{
	restoring_clear(restoring);
	return restore_plan_make(zones, restoring->backup, restoring->wish, restoring->trust,
				 &restoring->plan);
}

static enum zone_status decide(struct changes *changes, void *state)
{
	struct restoring *restoring = state;

	TRY(plan_anew(changes->zones, restoring));
	if (restoring->plan.conflicts > 0)
		return told_refuse_conflicts(restoring->backup, restoring->plan.told,
					     restoring->plan.conflicts);
	return restore_plan_put(&restoring->plan, changes);
}

static enum zone_status only_look(struct zones *zones, struct restoring *restoring)
{
	enum zone_status status;

	TRY(zones_refresh(zones, true));
	TRY(zones_know_all(zones));
	pthread_rwlock_rdlock(&zones->lock);
	status = plan_anew(zones, restoring);
	pthread_rwlock_unlock(&zones->lock);
	return status;
}

/* The project itself has a line already, if it came back. */
static void audit_restored(const struct restore_plan *plan)
{
	const struct backup *backup = plan->backup;

	if (plan->results[0] == NULL)
		audit_write(&(struct audit_event){
			.event = "project",
			.action = "restored",
			.outcome = "ok",
			.project = backup->entries[0]->label,
			.project_id = backup->project,
			.name = backup->entries[0]->label,
			.zone = backup->zone,
			.duration_us = -1,
		});
}

static enum zone_status tell(const struct restoring *restoring, bool written,
			     struct buffer *ret_told)
{
	const struct restore_plan *plan = &restoring->plan;
	const struct told_restore told = {
		.backup = plan->backup,
		.entries = plan->told,
		.tombstones = plan->tombstone_count,
		.voucher = restoring->trust->voucher,
		.written = written,
	};

	return told_of_restore(&told, ret_told);
}

static enum zone_status carry_out(struct zones *zones, const struct backup *backup,
				  const struct restore_wish *wish,
				  const struct restore_trust *trust, struct buffer *ret_told)
{
	AUTO(restoring_clear)
	struct restoring restoring = {.backup = backup, .wish = wish, .trust = trust};

	if (wish->dry_run) {
		TRY(only_look(zones, &restoring));
		return tell(&restoring, false, ret_told);
	}
	TRY(zones_change(zones, decide, &restoring));
	if (!restore_plan_changes(&restoring.plan))
		return tell(&restoring, false, ret_told);
	audit_restored(&restoring.plan);
	return tell(&restoring, true, ret_told);
}

/* KMS. */
static enum zone_status check_vouched(struct zones *zones, struct bytes file,
				      const struct backup *backup, struct restore_trust *trust)
{
	bool may[BACKUP_WRAPS_MAX];
	enum zone_status status;

	TRY(zones_refresh(zones, true));
	TRY(zones_know_all(zones));
	pthread_rwlock_rdlock(&zones->lock);
	status = restore_trust_choose(trust, &zones->index, backup, may);
	pthread_rwlock_unlock(&zones->lock);
	return status == ZONE_OK ? backup_check_mac(zones, file, backup, may, &trust->voucher)
				 : status;
}

static enum zone_status name_mapped(const struct restore_wish *wish, struct restore_trust *trust)
{
	for (size_t i = 0; i < wish->map_count; i++) {
		TRY(restore_trust_name(trust, wish->maps[i].from));
		TRY(restore_trust_name(trust, wish->maps[i].to));
	}
	return ZONE_OK;
}

/* A name that is mistyped would bring nothing back, without a word. */
static enum zone_status check_revived(const struct backup *backup, const struct restore_wish *wish)
{
	for (size_t i = 0; i < wish->revive_count; i++) {
		const struct restore_wish one = {.revive = &wish->revive[i], .revive_count = 1};
		size_t at = 0;

		while (at < backup->count && (backup->entries[at]->kind != ENTRY_ZONE ||
					      !restore_revives(&one, backup->entries[at])))
			at++;
		if (at == backup->count)
			return refuse(
				ZONE_NOT_FOUND,
				"the backup has no database '%.*s' to bring back; 'cmek backup "
				"verify --json' lists those that it has",
				(int)wish->revive[i].len, (const char *)wish->revive[i].data);
	}
	return ZONE_OK;
}

enum zone_status zones_restore(struct zones *zones, struct bytes file,
			       const struct restore_wish *wish, struct buffer *ret_told)
{
	AUTO(backup_clear) struct backup backup = {0};
	AUTO(restore_trust_clear) struct restore_trust trust = {0};

	TRY(backup_decode(file, &backup));
	TRY(name_mapped(wish, &trust));
	TRY(check_vouched(zones, file, &backup, &trust));
	TRY(check_revived(&backup, wish));
	for (size_t i = 0; i < wish->map_count; i++)
		TRY(apply_map(zones, &wish->maps[i], wish->dry_run, &backup, &trust));
	for (size_t i = 0; i < backup.count; i++)
		backup.entries[i]->number = i + 1;
	return wish->as.len > 0 ? restore_as(zones, &backup, wish, &trust, ret_told)
				: carry_out(zones, &backup, wish, &trust, ret_told);
}
