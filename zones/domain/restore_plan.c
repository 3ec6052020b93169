/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of a restore. What is missing here is added. What is here stays, unless the backup has
 * a newer version of its key; nothing goes back to an older one. What was deleted here, or waits
 * for it, comes back only if it is named. Databases are decided on first, since a cluster or a root
 * key that was removed comes back only with one that needs it.
 */
#include "zones/domain/restore_plan.h"

#include "base/encode.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/token_key.h"
#include "zones/index/rules.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/pins.h"
#include "zones/model/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void restore_plan_clear(struct restore_plan *plan)
{
	for (size_t i = 0; plan->results != NULL && i < plan->backup->count; i++)
		entry_release(plan->results[i]);
	for (size_t i = 0; i < plan->tombstone_count; i++)
		entry_release(plan->tombstones[i]);
	free(plan->told);
	free(plan->results);
	free(plan->needed);
	free(plan->tombstones);
	*plan = (struct restore_plan){0};
}

static const struct index *index_of(const struct restore_plan *plan)
{
	return &plan->zones->index;
}

static enum zone_status settle(struct restore_plan *plan, size_t at, enum outcome outcome,
			       const char *why)
{
	plan->told[at] = (struct told_entry){plan->backup->entries[at], outcome, why};
	plan->conflicts += outcome == OUTCOME_CONFLICT;
	return ZONE_OK;
}

/* A copy of what the backup has, as a new row, active or as it was. NULL: no memory. */
static struct entry *copy_new(const struct entry *entry, bool active)
{
	struct entry *copy = entry_copy(entry);

	if (copy == NULL)
		return NULL;
	copy->number = 0;
	copy->revision = 0;
	if (active) {
		copy->state = ENTRY_ACTIVE;
		copy->delete_after_ms = 0;
	}
	return copy;
}

/* --- Databases */

bool restore_revives(const struct restore_wish *wish, const struct entry *zone)
{
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, zone->of_zone.zone);
	for (size_t i = 0; i < wish->revive_count; i++)
		if (bytes_are(wish->revive[i], zone->label) || bytes_are(wish->revive[i], id))
			return true;
	return false;
}

static bool is_pinned_to_another(const struct restore_plan *plan, const struct entry *zone)
{
	uint64_t pin = plan->zones->pins == NULL
			       ? 0
			       : pins_find(plan->zones->pins, plan->backup->entries[0]->label,
					   zone->label);

	return pin != 0 && pin != zone->of_zone.zone && zone->state == ENTRY_ACTIVE;
}

static bool has_refused_key(const struct restore_plan *plan, const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++)
		if (version->wraps[i].state != WRAP_REPLACED &&
		    !kms_clients_allow(plan->zones->clients, version->wraps[i].arn))
			return true;
	return false;
}

/* NULL: a version fits. An imported one shares its value with the zone that it was imported from.
 */
static const char *version_fault(const struct restore_plan *plan, const struct entry *zone,
				 const struct ezk_version *version)
{
	uint64_t bound = ezk_version_bound(zone->of_zone.zone, version);

	if (has_refused_key(plan, version))
		return "a root key of it is not among [kms] allowed_root_keys";
	if (fingerprint_find_other(index_of(plan), bound, version->fingerprint) != NULL)
		return "its key is that of another database here";
	return NULL;
}

static const char *zone_fault(const struct restore_plan *plan, const struct entry *zone)
{
	const char *fault = NULL;

	for (size_t i = 0; i < zone->of_zone.version_count && fault == NULL; i++)
		fault = version_fault(plan, zone, &zone->of_zone.versions[i]);
	if (fault == NULL && is_pinned_to_another(plan, zone))
		fault = "its name is pinned to another database ([zones] pin)";
	return fault;
}

/* Takes the entry. */
static enum zone_status add(struct restore_plan *plan, size_t at, struct entry *entry,
			    enum outcome outcome, const char *fault)
{
	AUTO(entry_releasep) struct entry *result = entry;
	enum zone_status status;

	if (result == NULL)
		return ZONE_NO_MEMORY;
	status = label_find_other(index_of(plan), result);
	if (status == ZONE_NO_MEMORY)
		return status;
	if (fault == NULL && status == ZONE_EXISTS)
		fault = "another has its name here; rename that first";
	if (fault != NULL)
		return settle(plan, at, OUTCOME_CONFLICT, fault);
	plan->results[at] = TAKE(result);
	return settle(plan, at, outcome, NULL);
}

/* A zone's label begins with its cluster's, which may have another here than in the backup. */
static enum zone_status relabel(const struct restore_plan *plan, struct entry *zone,
				const char **ret_fault, bool *ret_relabelled)
{
	const struct entry *was = backup_find(plan->backup, ENTRY_CLUSTER, zone->of_zone.cluster);
	const struct entry *here = index_uid(index_of(plan), zone->of_zone.cluster);
	AUTO(buffer_clear) struct buffer label = {0};
	struct zone_name name;

	if (was == NULL || here == NULL || strcmp(was->label, here->label) == 0)
		return ZONE_OK;
	TRY(zone_name_parse(bytes_of(zone->label), &name));
	if (!bytes_equal(name.cluster, bytes_of(was->label)))
		return ZONE_OK; /* it has a name of its own */
	buffer_format(&label, "%s/", here->label);
	buffer_append(&label, name.database);
	if (label.failed)
		return ZONE_NO_MEMORY;
	*ret_relabelled = true;
	if (label_check(ENTRY_ZONE, buffer_bytes(&label)) != ZONE_OK)
		*ret_fault = "its cluster has another name here, with which its own is too long";
	return entry_set_text(&zone->label, buffer_bytes(&label)) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status add_zone(struct restore_plan *plan, size_t at, bool named,
				 enum outcome outcome)
{
	AUTO(entry_releasep) struct entry *zone = copy_new(plan->backup->entries[at], named);
	const char *fault = NULL;
	bool relabelled = false;

	if (zone == NULL)
		return ZONE_NO_MEMORY;
	TRY(relabel(plan, zone, &fault, &relabelled));
	if (fault == NULL)
		fault = zone_fault(plan, zone);
	TRY(add(plan, at, TAKE(zone), outcome, fault));
	if (relabelled && plan->told[at].why == NULL)
		plan->told[at].why = "its cluster has another name here, and so has it";
	return ZONE_OK;
}

static enum zone_status plan_missing_zone(struct restore_plan *plan, size_t at, bool named)
{
	const struct entry *zone = plan->backup->entries[at];
	bool buried = index_is_buried(index_of(plan), zone->uid);
	bool gone = buried || index_zone_was_used(index_of(plan), zone->of_zone.zone);

	if (gone && !named)
		return settle(plan, at, OUTCOME_LEFT_OUT,
			      "it was deleted here for good; --revive brings it back");
	if (gone && !buried)
		return settle(plan, at, OUTCOME_CONFLICT, "its id was deleted here by another row");
	if (zone->state != ENTRY_ACTIVE && !named &&
	    zone->delete_after_ms <= zones_now_ms(plan->zones))
		return settle(plan, at, OUTCOME_LEFT_OUT,
			      "it awaited deletion, and its time is over; --revive brings it back");
	return add_zone(plan, at, named, gone ? OUTCOME_REVIVED : OUTCOME_ADDED);
}

/* Of those that a zone has here, the newest of its own. */
static uint32_t newest(const struct entry *zone)
{
	uint32_t version = 0;

	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].record_zone == 0)
			version = zone->of_zone.versions[i].version;
	return version;
}

static size_t own_count(const struct entry *zone)
{
	size_t count = 0;

	while (count < zone->of_zone.version_count &&
	       zone->of_zone.versions[count].record_zone == 0)
		count++;
	return count;
}

static enum zone_status add_copy(struct entry *zone, const struct ezk_version *version)
{
	struct ezk_version copy = {0};

	TRY(ezk_version_copy(version, &copy));
	return zone_take_version(zone, &copy);
}

static const char *find_difference(const struct entry *backed_up, const struct entry *here)
{
	for (size_t i = 0; i < own_count(backed_up); i++) {
		const struct ezk_version *version = &backed_up->of_zone.versions[i];
		const struct ezk_version *same = entry_version(here, version->version);

		if (same != NULL && !record_same_bound(same, version))
			return "a version of its key differs from that of the same number here: "
			       "both were rotated since they parted";
	}
	return NULL;
}

/* NULL: what a database that lives here would get is by root keys that its project believes. Also
 * by the replaced ones, which open where the others do not. */
static const char *newer_fault(const struct restore_plan *plan, const struct entry *backed_up,
			       const struct entry *here)
{
	const struct ezk_version *primary = entry_version(here, here->of_zone.primary);

	for (size_t i = 0; i < own_count(backed_up); i++) {
		const struct ezk_version *version = &backed_up->of_zone.versions[i];

		if (version->version > newest(here) && primary != NULL && primary->all_wraps &&
		    !version->all_wraps)
			return "here it needs two owners, and newer versions of its key need one; "
			       "let it need one here first (cmek database set-keys)";
		for (size_t w = 0; version->version > newest(here) && w < version->wrap_count; w++)
			if (!restore_trust_has(plan->trust, index_of(plan), here->project,
					       version->wraps[w].arn))
				return "newer versions of its key are by a root key that the "
				       "project does not have; add that, or use --map";
	}
	return NULL;
}

/* Only versions above all that it has here: one that is missing below was purged. */
static enum zone_status take_newer(struct entry *merged, const struct entry *backed_up)
{
	uint32_t above = newest(merged);

	for (size_t i = 0; i < own_count(backed_up); i++)
		if (backed_up->of_zone.versions[i].version > above)
			TRY(add_copy(merged, &backed_up->of_zone.versions[i]));
	if (backed_up->of_zone.primary <= merged->of_zone.primary)
		return ZONE_OK;
	merged->of_zone.primary = backed_up->of_zone.primary;
	merged->of_zone.rotate_days = backed_up->of_zone.rotate_days;
	if (backed_up->of_zone.raw > merged->of_zone.raw)
		merged->of_zone.raw = backed_up->of_zone.raw;
	if (backed_up->of_zone.minimum > merged->of_zone.minimum)
		merged->of_zone.minimum = backed_up->of_zone.minimum;
	return ZONE_OK;
}

static enum zone_status merge_zone(struct restore_plan *plan, size_t at, const struct entry *here,
				   bool revives)
{
	const struct entry *backed_up = plan->backup->entries[at];
	const char *fault = find_difference(backed_up, here);
	AUTO(entry_releasep) struct entry *merged = entry_copy(here);

	if (merged == NULL)
		return ZONE_NO_MEMORY;
	TRY(take_newer(merged, backed_up));
	if (fault == NULL && !revives &&
	    merged->of_zone.version_count == here->of_zone.version_count)
		return settle(plan, at, OUTCOME_HERE, NULL);
	if (revives) {
		merged->state = ENTRY_ACTIVE;
		merged->delete_after_ms = 0;
	}
	if (fault == NULL)
		fault = newer_fault(plan, backed_up, here);
	if (fault == NULL)
		fault = zone_fault(plan, merged);
	return add(plan, at, TAKE(merged), revives ? OUTCOME_REVIVED : OUTCOME_UPDATED, fault);
}

static enum zone_status plan_zone(struct restore_plan *plan, size_t at)
{
	const struct entry *zone = plan->backup->entries[at];
	const struct entry *here = index_zone(index_of(plan), zone->of_zone.zone);
	bool named = restore_revives(plan->wish, zone);

	if (here == NULL)
		return plan_missing_zone(plan, at, named);
	if (!uid_equal(here->project, zone->project))
		return settle(plan, at, OUTCOME_CONFLICT, "it lives in another project here");
	if (here->state != ENTRY_ACTIVE && !named)
		return settle(plan, at, OUTCOME_LEFT_OUT,
			      "it awaits deletion here; --revive brings it back");
	return merge_zone(plan, at, here, here->state != ENTRY_ACTIVE);
}

/* --- What they stand on */

static bool *needed(const struct restore_plan *plan, enum entry_kind kind, struct uid uid)
{
	const struct entry *entry = backup_find(plan->backup, kind, uid);

	return entry == NULL ? NULL : &plan->needed[entry->number - 1];
}

static void need(const struct restore_plan *plan, enum entry_kind kind, struct uid uid)
{
	bool *flag = needed(plan, kind, uid);

	if (flag != NULL)
		*flag = true;
}

/* A root key that only encrypts, without being a cluster's, vouches for leases by its canary. */
static void need_keys_of(const struct restore_plan *plan, const struct entry *zone)
{
	for (size_t i = 0; i < plan->backup->count; i++) {
		const struct entry *root_key = plan->backup->entries[i];

		if (root_key->kind > ENTRY_ROOT_KEY)
			break;
		for (size_t v = 0;
		     root_key->kind == ENTRY_ROOT_KEY && v < zone->of_zone.version_count; v++)
			for (size_t w = 0; w < zone->of_zone.versions[v].wrap_count; w++)
				plan->needed[i] |= strcmp(zone->of_zone.versions[v].wraps[w].arn,
							  root_key->of_root_key.arn) == 0;
	}
}

/* The project's own, if it has that key under another row. */
static struct uid root_key_here(const struct restore_plan *plan, struct uid uid)
{
	const struct entry *backed_up = backup_find(plan->backup, ENTRY_ROOT_KEY, uid);
	const struct entry *here = backed_up == NULL
					   ? NULL
					   : root_key_same(index_of(plan), plan->backup->project,
							   backed_up->of_root_key.arn);

	return here != NULL ? here->uid : backed_up != NULL ? backed_up->uid : (struct uid){0};
}

static enum zone_status plan_cluster(struct restore_plan *plan, size_t at)
{
	const struct entry *cluster = plan->backup->entries[at];
	const struct entry *here = index_uid(index_of(plan), cluster->uid);
	bool buried = index_is_buried(index_of(plan), cluster->uid);
	struct entry *copy;

	if (here != NULL && here->state != ENTRY_ACTIVE && plan->needed[at])
		return settle(plan, at, OUTCOME_CONFLICT,
			      "it awaits deletion here; restore it first");
	if (here != NULL)
		return settle(plan, at, OUTCOME_HERE, NULL);
	if (!plan->needed[at] && (buried || cluster->state != ENTRY_ACTIVE))
		return settle(plan, at, OUTCOME_LEFT_OUT, "it was removed, and nothing needs it");
	need(plan, ENTRY_ROOT_KEY, cluster->of_cluster.root_key);
	need(plan, ENTRY_ROOT_KEY, cluster->of_cluster.leaving);
	copy = copy_new(cluster, true);
	if (copy != NULL) {
		copy->of_cluster.root_key = root_key_here(plan, cluster->of_cluster.root_key);
		copy->of_cluster.leaving = root_key_here(plan, cluster->of_cluster.leaving);
	}
	return add(plan, at, copy, buried ? OUTCOME_REVIVED : OUTCOME_ADDED, NULL);
}

static enum zone_status plan_root_key(struct restore_plan *plan, size_t at)
{
	const struct entry *root_key = plan->backup->entries[at];
	bool buried = index_is_buried(index_of(plan), root_key->uid);
	const char *fault = NULL;

	if (root_key_same(index_of(plan), root_key->project, root_key->of_root_key.arn) != NULL)
		return settle(plan, at, OUTCOME_HERE, NULL);
	if (!plan->needed[at] && (buried || root_key->state != ENTRY_ACTIVE))
		return settle(plan, at, OUTCOME_LEFT_OUT, "it was removed, and nothing needs it");
	if (index_uid(index_of(plan), root_key->uid) != NULL)
		fault = "it is here, and --map names another in its place: use cmek database "
			"rewrap";
	else if (!kms_clients_allow(plan->zones->clients, root_key->of_root_key.arn))
		fault = "it is not among [kms] allowed_root_keys";
	else if (++plan->root_keys > ROOT_KEYS_MAX)
		fault = "the project would have more than 20 root keys; remove one first";
	return add(plan, at, copy_new(root_key, true), buried ? OUTCOME_REVIVED : OUTCOME_ADDED,
		   fault);
}

struct namesake {
	const struct entry *project;
	bool found;
};

static bool compare_project(void *state, struct entry *project)
{
	struct namesake *namesake = state;

	namesake->found |= strcmp(project->label, namesake->project->label) == 0;
	return !namesake->found;
}

static enum zone_status plan_project(struct restore_plan *plan, size_t at)
{
	const struct entry *project = plan->backup->entries[at];
	const struct entry *here = index_uid(index_of(plan), project->uid);
	struct namesake namesake = {.project = project};
	struct entry *copy;

	if (here != NULL && here->state != ENTRY_ACTIVE)
		return settle(plan, at, OUTCOME_CONFLICT,
			      "it is archived here; restore it first (cmek project restore)");
	if (here != NULL &&
	    !restore_trust_has(plan->trust, index_of(plan), here->uid, plan->trust->voucher))
		return settle(plan, at, OUTCOME_CONFLICT,
			      "it is here, and has not the root key that vouches for the backup");
	if (here != NULL)
		return settle(plan, at, OUTCOME_HERE, NULL);
	index_each_project(index_of(plan), compare_project, &namesake);
	if (namesake.found)
		return settle(plan, at, OUTCOME_CONFLICT,
			      "another project has its name here; restore into another store");
	if (index_of(plan)->next_slot > INT32_MAX)
		return settle(plan, at, OUTCOME_CONFLICT, "the store has no slot left");
	copy = copy_new(project, true);
	if (copy != NULL)
		copy->of_project.slot = index_of(plan)->next_slot;
	return add(plan, at, copy, OUTCOME_ADDED, NULL);
}

/* --- Token keys, which come with their database */

/* As it will be. */
static bool has_version(const struct restore_plan *plan, const struct entry *zone,
			const struct entry *key)
{
	const struct entry *after = plan->results[zone->number - 1];

	if (after == NULL)
		after = index_zone(index_of(plan), key->of_key.zone);
	return after != NULL && token_key_has_version(after, key);
}

static enum zone_status plan_key(struct restore_plan *plan, size_t at)
{
	const struct entry *key = plan->backup->entries[at];
	const struct entry *zone = backup_zone(plan->backup, key->of_key.zone);
	enum outcome of_zone = plan->told[zone->number - 1].outcome;
	bool buried = index_is_buried(index_of(plan), key->uid);

	if (index_uid(index_of(plan), key->uid) != NULL)
		return settle(plan, at, OUTCOME_HERE, NULL);
	if (of_zone == OUTCOME_LEFT_OUT || of_zone == OUTCOME_CONFLICT)
		return settle(plan, at, OUTCOME_LEFT_OUT, "its database does not come back");
	if (buried && !restore_revives(plan->wish, zone))
		return settle(plan, at, OUTCOME_LEFT_OUT,
			      "it was destroyed here; --revive of its database brings it back");
	if (!has_version(plan, zone, key))
		return settle(plan, at, OUTCOME_LEFT_OUT,
			      "its key version is retired or gone here");
	return add(plan, at, copy_new(key, false), buried ? OUTCOME_REVIVED : OUTCOME_ADDED, NULL);
}

/* --- Tombstones, so that an older backup does not bring back what this one knows to be gone */

static enum zone_status plan_tombstone(struct restore_plan *plan, const struct backup_gone *gone)
{
	struct entry *tombstone;

	if (index_uid(index_of(plan), gone->uid) != NULL ||
	    index_is_buried(index_of(plan), gone->uid) ||
	    (gone->zone != 0 && index_zone_was_used(index_of(plan), gone->zone)))
		return ZONE_OK;
	tombstone = entry_new(gone->zone != 0 ? ENTRY_ZONE : ENTRY_KEY);
	if (tombstone == NULL)
		return ZONE_NO_MEMORY;
	tombstone->uid = gone->uid;
	tombstone->project = plan->backup->project;
	if (gone->zone != 0)
		tombstone->of_zone.zone = gone->zone;
	plan->tombstones[plan->tombstone_count++] = tombstone;
	return ZONE_OK;
}

/* --- All of it */

typedef enum zone_status plan_entry(struct restore_plan *plan, size_t at);

static enum zone_status plan_each(struct restore_plan *plan, enum entry_kind kind,
				  plan_entry *plan_one)
{
	for (size_t i = 0; i < plan->backup->count; i++)
		if (plan->backup->entries[i]->kind == kind)
			TRY(plan_one(plan, i));
	return ZONE_OK;
}

static void need_parents(const struct restore_plan *plan)
{
	for (size_t i = 0; i < plan->backup->count; i++) {
		const struct entry *zone = plan->results[i];

		if (zone == NULL || zone->kind != ENTRY_ZONE)
			continue;
		need(plan, ENTRY_CLUSTER, plan->backup->entries[i]->of_zone.cluster);
		need_keys_of(plan, zone);
	}
}

static enum zone_status plan_all(struct restore_plan *plan)
{
	plan->root_keys = root_key_count(index_of(plan), plan->backup->project);
	TRY(plan_each(plan, ENTRY_PROJECT, plan_project));
	TRY(plan_each(plan, ENTRY_ZONE, plan_zone));
	need_parents(plan);
	TRY(plan_each(plan, ENTRY_CLUSTER, plan_cluster));
	TRY(plan_each(plan, ENTRY_ROOT_KEY, plan_root_key));
	TRY(plan_each(plan, ENTRY_KEY, plan_key));
	for (size_t i = 0; i < plan->backup->gone_count; i++)
		TRY(plan_tombstone(plan, &plan->backup->gone[i]));
	return ZONE_OK;
}

enum zone_status restore_plan_make(struct zones *zones, const struct backup *backup,
				   const struct restore_wish *wish,
				   const struct restore_trust *trust, struct restore_plan *ret_plan)
{
	AUTO(restore_plan_clear)
	struct restore_plan plan = {.zones = zones, .backup = backup, .wish = wish, .trust = trust};

	plan.told = calloc(backup->count, sizeof(*plan.told));
	plan.results = calloc(backup->count, sizeof(*plan.results));
	plan.needed = calloc(backup->count, sizeof(*plan.needed));
	plan.tombstones = calloc(backup->gone_count + 1, sizeof(*plan.tombstones));
	if (plan.told == NULL || plan.results == NULL || plan.needed == NULL ||
	    plan.tombstones == NULL)
		return ZONE_NO_MEMORY;
	TRY(plan_all(&plan));
	*ret_plan = plan;
	plan = (struct restore_plan){0};
	return ZONE_OK;
}

bool restore_plan_changes(const struct restore_plan *plan)
{
	bool changes = plan->tombstone_count > 0;

	for (size_t i = 0; i < plan->backup->count; i++)
		changes |= plan->results[i] != NULL;
	return changes;
}

enum zone_status restore_plan_put(const struct restore_plan *plan, struct changes *changes)
{
	changes->action = "restored";
	for (size_t i = 0; i < plan->backup->count; i++)
		if (plan->results[i] != NULL)
			TRY(changes_bring(changes, plan->results[i], false));
	for (size_t i = 0; i < plan->tombstone_count; i++)
		TRY(changes_bring(changes, plan->tombstones[i], true));
	return ZONE_OK;
}
