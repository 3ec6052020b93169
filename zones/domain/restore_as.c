/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a backup under another name, and the transaction. It is decided twice: before
 * anything is made, which takes the KMS, and within the transaction once more. */
#include "zones/domain/restore_as.h"

#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/restore_plan.h"
#include "zones/domain/standing.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"
#include "zones/index/rules.h"
#include "zones/model/names.h"
#include "zones/model/pins.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void anew_clear(struct restore_anew *anew)
{
	for (size_t i = 0; anew->made != NULL && i < anew->backup->count; i++)
		entry_release(anew->made[i]);
	free(anew->made);
	free(anew->told);
	free(anew->needed);
	*anew = (struct restore_anew){0};
}

static const struct index *index_of(const struct restore_anew *anew)
{
	return &anew->zones->index;
}

static bool comes(const struct restore_anew *anew, size_t at)
{
	return anew->told[at].outcome == OUTCOME_ADDED;
}

static void settle(struct restore_anew *anew, size_t at, enum outcome outcome, const char *why)
{
	anew->told[at] = (struct told_entry){anew->backup->entries[at], outcome, why};
	anew->conflicts += outcome == OUTCOME_CONFLICT;
}

/* NULL: it comes. */
static void add(struct restore_anew *anew, size_t at, const char *fault)
{
	settle(anew, at, fault == NULL ? OUTCOME_ADDED : OUTCOME_CONFLICT, fault);
}

static void need(struct restore_anew *anew, enum entry_kind kind, struct uid uid)
{
	const struct entry *entry = backup_find(anew->backup, kind, uid);

	if (entry != NULL)
		anew->needed[entry->number - 1] = true;
}

/* --- The project */

struct namesake {
	struct bytes label;
	bool found;
};

static bool compare_project(void *state, struct entry *project)
{
	struct namesake *namesake = state;

	namesake->found |= bytes_are(namesake->label, project->label);
	return !namesake->found;
}

static void plan_project(struct restore_anew *anew, size_t at)
{
	struct namesake namesake = {.label = anew->wish->as};
	const char *fault = NULL;

	index_each_project(index_of(anew), compare_project, &namesake);
	if (namesake.found)
		fault = "there is a project of the new name here; give another name";
	else if (index_of(anew)->next_slot > INT32_MAX)
		fault = "the store has no slot left";
	add(anew, at, fault);
}

/* --- Databases */

bool restore_anew_imports(const struct restore_anew *anew, const struct entry *zone,
			  const struct ezk_version *version)
{
	uint64_t bound = ezk_version_bound(zone->of_zone.zone, version);

	return !version->retired &&
	       (version->record_zone != 0 || version->version >= zone->of_zone.minimum) &&
	       standing_of_version(anew->zones, bound, version->version) == ZONE_OK;
}

/* Where the original is, its own root keys bound whose key new data may go under. */
static bool is_strange(const struct restore_anew *anew, const char *arn)
{
	struct uid original = anew->backup->project;

	return index_uid(index_of(anew), original) != NULL &&
	       !restore_trust_has(anew->trust, index_of(anew), original, arn);
}

static const char refused_key[] = "a root key of it is not among [kms] allowed_root_keys";
static const char strange_key[] =
	"the original project, which is here, does not have a root key of "
	"it; if you know that, name its ARN in --map";

static const char *key_fault(const struct restore_anew *anew, const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct wrap *wrap = &version->wraps[i];

		if (wrap_is_live(wrap) && !kms_clients_allow(anew->zones->clients, wrap->arn))
			return refused_key;
		if (is_strange(anew, wrap->arn))
			return strange_key;
	}
	return NULL;
}

static const char *zone_fault(const struct restore_anew *anew, const struct entry *zone)
{
	const struct pins *pins = anew->zones->pins;
	char project[PROJECT_LABEL_MAX + 1];

	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];
		uint64_t bound = ezk_version_bound(zone->of_zone.zone, version);

		const char *fault = key_fault(anew, version);

		if (fault != NULL)
			return fault;
		if (fingerprint_find_other(index_of(anew), bound, version->fingerprint) != NULL)
			return "its key is that of another database here";
	}
	snprintf(project, sizeof(project), "%.*s", (int)anew->wish->as.len,
		 (const char *)anew->wish->as.data);
	if (pins != NULL && pins_find(pins, project, zone->label) != 0)
		return "its name in the new project is pinned to another database ([zones] pin)";
	return NULL;
}

/* What its new key is to be like: who has to open it, what it may do. */
static bool primary_comes(const struct restore_anew *anew, const struct entry *zone)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	return primary != NULL && restore_anew_imports(anew, zone, primary);
}

static bool has_one_policy(const struct entry *zone)
{
	for (size_t i = 1; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].record_zone == 0 &&
		    zone->of_zone.versions[i].all_wraps != zone->of_zone.versions[0].all_wraps)
			return false;
	return true;
}

static void plan_zone(struct restore_anew *anew, size_t at)
{
	const struct entry *zone = anew->backup->entries[at];
	enum zone_status why = standing_of(anew->zones, zone->of_zone.zone);

	if (zone->state != ENTRY_ACTIVE && !restore_revives(anew->wish, zone))
		settle(anew, at, OUTCOME_LEFT_OUT,
		       "it awaited deletion when the backup was made; --revive brings it");
	else if (why != ZONE_OK)
		settle(anew, at, OUTCOME_LEFT_OUT,
		       "it was deleted here, so its key opens nothing here, imported or not; "
		       "restore it without --as, or into another store");
	else if (!primary_comes(anew, zone))
		settle(anew, at, OUTCOME_LEFT_OUT,
		       "its newest key version is retired, fenced off or erased, here or in the "
		       "backup; restore it without --as, or into another store");
	else if (!has_one_policy(zone))
		add(anew, at, "some versions of its key need two owners, and others one");
	else
		add(anew, at, zone_fault(anew, zone));
}

/* --- What they stand on */

static void need_keys_of(struct restore_anew *anew, const struct entry *zone)
{
	for (size_t i = 0; i < anew->backup->count; i++) {
		const struct entry *root_key = anew->backup->entries[i];

		if (root_key->kind > ENTRY_ROOT_KEY)
			break;
		for (size_t v = 0;
		     root_key->kind == ENTRY_ROOT_KEY && v < zone->of_zone.version_count; v++)
			for (size_t w = 0; w < zone->of_zone.versions[v].wrap_count; w++)
				anew->needed[i] |= strcmp(zone->of_zone.versions[v].wraps[w].arn,
							  root_key->of_root_key.arn) == 0;
	}
}

static void need_parents(struct restore_anew *anew)
{
	for (size_t i = 0; i < anew->backup->count; i++) {
		const struct entry *zone = anew->backup->entries[i];

		if (zone->kind != ENTRY_ZONE || !comes(anew, i))
			continue;
		need(anew, ENTRY_CLUSTER, zone->of_zone.cluster);
		need_keys_of(anew, zone);
	}
}

static void plan_cluster(struct restore_anew *anew, size_t at)
{
	const struct entry *cluster = anew->backup->entries[at];

	if (!anew->needed[at] && cluster->state != ENTRY_ACTIVE) {
		settle(anew, at, OUTCOME_LEFT_OUT, "it was removed, and nothing needs it");
		return;
	}
	need(anew, ENTRY_ROOT_KEY, cluster->of_cluster.root_key);
	need(anew, ENTRY_ROOT_KEY, cluster->of_cluster.leaving);
	add(anew, at, NULL);
}

static size_t needed_root_keys(const struct restore_anew *anew)
{
	size_t count = 0;

	for (size_t i = 0; i < anew->backup->count; i++)
		count += anew->backup->entries[i]->kind == ENTRY_ROOT_KEY && anew->needed[i];
	return count;
}

static void plan_root_key(struct restore_anew *anew, size_t at)
{
	const char *arn = anew->backup->entries[at]->of_root_key.arn, *fault = NULL;

	if (!anew->needed[at]) {
		settle(anew, at, OUTCOME_LEFT_OUT, "nothing needs it; cmek key add brings it");
		return;
	}
	if (!kms_clients_allow(anew->zones->clients, arn))
		fault = "it is not among [kms] allowed_root_keys";
	else if (is_strange(anew, arn))
		fault = "the original project, which is here, does not have it; if you know it, "
			"name its ARN in --map";
	else if (needed_root_keys(anew) > ROOT_KEYS_MAX)
		fault = "the project would have more than 20 root keys";
	add(anew, at, fault);
}

/* --- Token keys */

/* By the version that wraps it. */
static bool key_comes(const struct restore_anew *anew, const struct entry *zone,
		      const struct entry *key)
{
	const struct ezk_version *version;
	uint32_t number;
	uint64_t id;

	if (!token_key_place(key->of_key.wrapped, &id, &number))
		return false;
	version = entry_version(zone, number);
	return version != NULL && restore_anew_imports(anew, zone, version);
}

static void plan_key(struct restore_anew *anew, size_t at)
{
	const struct entry *key = anew->backup->entries[at];
	const struct entry *zone = backup_zone(anew->backup, key->of_key.zone);

	if (!comes(anew, zone->number - 1))
		settle(anew, at, OUTCOME_LEFT_OUT, "its database does not come");
	else if (index_is_buried(index_of(anew), key->uid))
		settle(anew, at, OUTCOME_LEFT_OUT, "it was destroyed here");
	else if (!key_comes(anew, zone, key))
		settle(anew, at, OUTCOME_LEFT_OUT,
		       "its key version was retired, fenced off or erased, here or in the backup");
	else
		add(anew, at, NULL);
}

/* --- All of it */

/* What awaited deletion may have the name of another by now. */
static void check_revived(struct restore_anew *anew, size_t at)
{
	const struct entry *entry = anew->backup->entries[at];

	for (size_t i = 0; i < anew->backup->count && comes(anew, at); i++)
		if (i != at && anew->backup->entries[i]->kind == entry->kind && comes(anew, i) &&
		    strcmp(anew->backup->entries[i]->label, entry->label) == 0)
			add(anew, at, "another of the backup that comes has its name");
}

typedef void plan_entry(struct restore_anew *anew, size_t at);

static void plan_each(struct restore_anew *anew, enum entry_kind kind, plan_entry *plan_one)
{
	for (size_t i = 0; i < anew->backup->count; i++)
		if (anew->backup->entries[i]->kind == kind)
			plan_one(anew, i);
}

/* With the index's lock held, or within a turn. */
static void plan(struct restore_anew *anew)
{
	anew->conflicts = 0;
	memset(anew->needed, 0, anew->backup->count * sizeof(*anew->needed));
	plan_each(anew, ENTRY_PROJECT, plan_project);
	plan_each(anew, ENTRY_ZONE, plan_zone);
	need_parents(anew);
	plan_each(anew, ENTRY_CLUSTER, plan_cluster);
	plan_each(anew, ENTRY_ROOT_KEY, plan_root_key);
	plan_each(anew, ENTRY_KEY, plan_key);
	for (size_t i = 0; i < anew->backup->count; i++)
		if (anew->backup->entries[i]->state != ENTRY_ACTIVE &&
		    anew->backup->entries[i]->kind != ENTRY_KEY)
			check_revived(anew, i);
}

static enum zone_status plan_now(struct restore_anew *anew)
{
	TRY(zones_refresh(anew->zones, true));
	TRY(zones_know_all(anew->zones));
	pthread_rwlock_rdlock(&anew->zones->lock);
	plan(anew);
	pthread_rwlock_unlock(&anew->zones->lock);
	return ZONE_OK;
}

static enum zone_status refuse_changed(const struct restore_anew *anew)
{
	return refuse(ZONE_CONFLICT,
		      "the store was changed while project '%.*s' was being made of the backup; "
		      "nothing was restored: try again",
		      (int)anew->wish->as.len, (const char *)anew->wish->as.data);
}

/* Is each version that was imported one that still opens? */
static bool stands(const struct restore_anew *anew, const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		if (version->record_zone != 0 &&
		    standing_of_version(anew->zones, version->record_zone, version->version) !=
			    ZONE_OK)
			return false;
	}
	return true;
}

/* Is it still what was made? */
static enum zone_status check_made(const struct restore_anew *anew)
{
	if (anew->conflicts > 0)
		return told_refuse_conflicts(anew->backup, anew->told, anew->conflicts);
	for (size_t i = 0; i < anew->backup->count; i++) {
		const struct entry *made = anew->made[i];

		if (comes(anew, i) != (made != NULL) ||
		    (made != NULL && made->kind == ENTRY_ZONE &&
		     (index_zone_was_used(index_of(anew), made->of_zone.zone) ||
		      !stands(anew, made))))
			return refuse_changed(anew);
	}
	return ZONE_OK;
}

static enum zone_status decide(struct changes *changes, void *state)
{
	struct restore_anew *anew = state;

	plan(anew);
	TRY(check_made(anew));
	anew->made[0]->of_project.slot = index_of(anew)->next_slot;
	changes->action = "restored";
	for (size_t i = 0; i < anew->backup->count; i++)
		if (anew->made[i] != NULL)
			TRY(changes_put(changes, anew->made[i]));
	return ZONE_OK;
}

static enum zone_status tell(const struct restore_anew *anew, bool written, struct buffer *ret_told)
{
	char as[PROJECT_LABEL_MAX + 1];
	const struct told_restore told = {
		.backup = anew->backup,
		.entries = anew->told,
		.voucher = anew->trust->voucher,
		.written = written,
		.as = as,
		.made = written ? anew->made : NULL,
	};

	snprintf(as, sizeof(as), "%.*s", (int)anew->wish->as.len,
		 (const char *)anew->wish->as.data);
	return told_of_restore(&told, ret_told);
}

enum zone_status restore_as(struct zones *zones, const struct backup *backup,
			    const struct restore_wish *wish, const struct restore_trust *trust,
			    struct buffer *ret_told)
{
	AUTO(anew_clear)
	struct restore_anew anew = {zones, backup, wish, trust, NULL, NULL, NULL, 0};

	TRY(label_check(ENTRY_PROJECT, wish->as));
	anew.told = calloc(backup->count, sizeof(*anew.told));
	anew.needed = calloc(backup->count, sizeof(*anew.needed));
	anew.made = calloc(backup->count, sizeof(*anew.made));
	if (anew.told == NULL || anew.needed == NULL || anew.made == NULL)
		return ZONE_NO_MEMORY;
	TRY(plan_now(&anew));
	if (wish->dry_run)
		return tell(&anew, false, ret_told);
	if (anew.conflicts > 0)
		return told_refuse_conflicts(backup, anew.told, anew.conflicts);
	TRY(restore_anew_make(&anew));
	TRY(zones_change(zones, decide, &anew));
	return tell(&anew, true, ret_told);
}
