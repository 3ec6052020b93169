/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to what exists: names, deletion and its opposite. Each is based on what the caller knows
 * of the entry, and refused if that is not its newest state. */
#include "zones/domain/edit.h"

#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/new_zone.h"
#include "zones/domain/standing.h"
#include "zones/domain/token_key.h"
#include "zones/domain/usage.h"
#include "zones/index/rules.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

#include <inttypes.h>

struct edit {
	const struct entry *entry; /* as the caller knows it */
	const struct entry_names *names;
	const struct entry *rewrapped; /* a token key with those names; NULL: it needs none */
	struct bytes label;	       /* to be restored under; empty: its own */
	struct entry *result;	       /* held */
};

/* Where a decision begins, be it anew: the entry as it is now. */
static enum zone_status begin(const struct changes *changes, struct edit *edit,
			      struct entry **ret_current)
{
	entry_release(TAKE(edit->result));
	return entry_check_current(&changes->zones->index, edit->entry, ret_current);
}

/* --- Renaming */

static enum zone_status check_usages(const struct entry *zone)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	if (primary != NULL && (zone->usages & ~primary->greatest_usages) == 0)
		return ZONE_OK;
	return refuse(ZONE_INVALID,
		      "the usages of zone '%s' can be narrowed, not widened: its EZK record says "
		      "what it was made for",
		      zone->label);
}

/* The label says where a zone is, so that it can't be renamed into another cluster. */
static enum zone_status check_cluster_part(const struct index *index, const struct entry *zone)
{
	const struct entry *cluster = index_uid(index, zone->of_zone.cluster);
	struct zone_name name;

	TRY(zone_name_parse(bytes_of(zone->label), &name));
	if (cluster != NULL && bytes_equal(name.cluster, bytes_of(cluster->label)))
		return ZONE_OK;
	return refuse(ZONE_INVALID, "a zone can't be renamed into another cluster: %s",
		      zone->label);
}

static enum zone_status check_renamed(struct changes *changes, struct entry *renamed, bool label)
{
	const struct index *index = &changes->zones->index;

	if (renamed->kind == ENTRY_ZONE)
		TRY(check_usages(renamed));
	if (!label)
		return ZONE_OK;
	if (renamed->kind == ENTRY_ZONE) {
		TRY(check_cluster_part(index, renamed));
		TRY(standing_check_name(changes->zones, renamed));
	}
	return renamed->kind == ENTRY_PROJECT ? ZONE_OK : label_check_free(index, renamed);
}

struct moving {
	struct changes *changes;
	const struct entry *before; /* the cluster */
	const struct entry *after;
	enum zone_status status;
};

/* "old/db", or "db" in the cluster that was the default, becomes "new/db". */
static enum zone_status relabel(struct moving *moving, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *copy = NULL;
	AUTO(buffer_clear) struct buffer label = {0};
	struct zone_name name;

	TRY(zone_name_parse(bytes_of(zone->label), &name));
	if (!bytes_equal(name.cluster, bytes_of(moving->before->label)))
		return ZONE_OK; /* it has a name of its own */
	buffer_format(&label, "%s/", moving->after->label);
	buffer_append(&label, name.database);
	copy = entry_copy(zone);
	if (label.failed || copy == NULL)
		return ZONE_NO_MEMORY;
	TRY(label_check(ENTRY_ZONE, buffer_bytes(&label)));
	if (!entry_set_text(&copy->label, buffer_bytes(&label)))
		return ZONE_NO_MEMORY;
	TRY(label_check_free(&moving->changes->zones->index, copy));
	return changes_put(moving->changes, copy);
}

static bool relabel_next(void *state, struct entry *zone)
{
	struct moving *moving = state;

	if (uid_equal(zone->of_zone.cluster, moving->after->uid))
		moving->status = relabel(moving, zone);
	return moving->status == ZONE_OK;
}

/* Its zones' labels begin with a cluster's, so they change with it. */
static enum zone_status relabel_zones(struct changes *changes, const struct entry *before,
				      const struct entry *after)
{
	struct moving moving = {changes, before, after, ZONE_OK};

	if (strcmp(before->label, after->label) != 0)
		index_each_of(&changes->zones->index, after->project, ENTRY_ZONE, relabel_next,
			      &moving);
	return moving.status;
}

/* What an empty label or id stands for. */
static enum zone_status take_defaults(struct entry *entry, const struct entry_names *names)
{
	uint8_t zone_id[8];
	struct bytes id = bytes(entry->uid.bytes, UID_SIZE);

	if (entry->kind == ENTRY_ZONE) {
		put_big_endian(zone_id, sizeof(zone_id), entry->of_zone.zone);
		id = bytes(zone_id, sizeof(zone_id));
	} else if (entry->kind == ENTRY_KEY) {
		id = bytes(NULL, 0);
	}
	if (names->id.len == 0 && !entry_set_bytes(&entry->id, id))
		return ZONE_NO_MEMORY;
	if (names->label.len > 0)
		return ZONE_OK;
	if (entry->kind == ENTRY_ZONE)
		return zone_default_label(entry);
	if (entry->kind == ENTRY_KEY && !entry_set_text(&entry->label, names->label))
		return ZONE_NO_MEMORY;
	return ZONE_OK;
}

static enum zone_status decide_rename(struct changes *changes, void *state)
{
	struct edit *edit = state;
	struct entry *current;

	TRY(begin(changes, edit, &current));
	edit->result = entry_copy(edit->rewrapped != NULL ? edit->rewrapped : current);
	if (edit->result == NULL)
		return ZONE_NO_MEMORY;
	TRY(take_defaults(edit->result, edit->names));
	TRY(entry_take_names(edit->result, edit->names));
	if (edit->rewrapped != NULL)
		TRY(token_key_check_version(&changes->zones->index, edit->result));
	TRY(check_renamed(changes, edit->result, strcmp(current->label, edit->result->label) != 0));
	TRY(changes_put(changes, edit->result));
	if (current->kind == ENTRY_CLUSTER)
		return relabel_zones(changes, current, edit->result);
	return ZONE_OK;
}

static changes_decide decide_delete;

static enum zone_status run(struct zones *zones, changes_decide *decide, struct edit *edit,
			    struct entry **ret_entry)
{
	const struct entry *entry = edit->entry;
	struct store_key keys[] = {{.by = STORE_BY_UID, .uid = entry->uid},
				   {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE}};
	enum zone_status status;

	if (entry->kind == ENTRY_KEY) /* its rules look at its zone too, no further */
		keys[1].zone = entry->of_key.zone;
	if (entry->kind == ENTRY_KEY)
		status = zones_change_known(zones, keys, COUNT_OF(keys), decide, edit);
	else if (entry->kind == ENTRY_ZONE && decide == decide_delete)
		status = zones_change_known(zones, keys, 1, decide, edit);
	else
		status = zones_change(zones, decide, edit);

	if (status == ZONE_OK && ret_entry != NULL)
		*ret_entry = edit->result;
	else
		entry_release(edit->result);
	return status;
}

enum zone_status zones_key_replace(struct zones *zones, const struct entry *key,
				   const struct entry_names *names, struct bytes value,
				   struct entry **ret_key)
{
	AUTO(entry_releasep) struct entry *rewrapped = NULL;
	struct edit edit = {.entry = key, .names = names};
	AUTO(secret_freep) uint8_t *before = NULL;

	/* Else the new value would vouch for attributes that somebody changed in the store. */
	TRY(zones_key_open(zones, key, &before, NULL));
	TRY(token_key_wrap_value(zones, key, names, value, &rewrapped));
	edit.rewrapped = rewrapped;
	return run(zones, decide_rename, &edit, ret_key);
}

enum zone_status zones_entry_rename(struct zones *zones, const struct entry *entry,
				    const struct entry_names *names, struct entry **ret_entry)
{
	AUTO(entry_releasep) struct entry *rewrapped = NULL;
	struct edit edit = {.entry = entry, .names = names};

	if (entry->kind == ENTRY_KEY && token_key_limits_change(entry, names)) {
		TRY(token_key_wrap_anew(zones, entry, names, &rewrapped));
		edit.rewrapped = rewrapped;
	}
	return run(zones, decide_rename, &edit, ret_entry);
}

/* --- Deleting */

static enum zone_status decide_delete(struct changes *changes, void *state)
{
	struct edit *edit = state;
	struct entry *current;

	TRY(begin(changes, edit, &current));
	if (current->kind == ENTRY_KEY)
		return changes_remove(changes, current);
	if (current->kind == ENTRY_PROJECT)
		return refuse(ZONE_INVALID, "a project is replaced by a new one, not deleted");
	if (current->kind == ENTRY_ARCHIVE)
		return refuse(ZONE_PENDING_DELETION,
			      "an archive goes when its time is over, and not before");
	if (current->state != ENTRY_ACTIVE)
		return ZONE_OK;
	TRY(usage_check_none(changes->zones, current, USAGE_BY_RESTORABLE));
	TRY(entry_make_pending(current, zones_deletion_ms(changes->zones), &edit->result));
	return changes_put(changes, edit->result);
}

enum zone_status zones_entry_delete(struct zones *zones, const struct entry *entry)
{
	struct edit edit = {.entry = entry};

	return run(zones, decide_delete, &edit, NULL);
}

/* --- Restoring */

static enum zone_status check_stands(const struct entry *parent)
{
	if (parent != NULL && parent->state == ENTRY_ACTIVE)
		return ZONE_OK;
	return refuse(ZONE_PENDING_DELETION, "restore %s '%s' first",
		      parent == NULL ? "root key" : entry_kind_word(parent->kind),
		      parent == NULL ? "" : parent->label);
}

static enum zone_status check_cluster(const struct index *index, const struct entry *cluster)
{
	struct uid leaving = cluster->of_cluster.leaving;

	TRY(check_stands(index_uid(index, cluster->of_cluster.root_key)));
	return uid_equal(leaving, (struct uid){0}) ? ZONE_OK
						   : check_stands(index_uid(index, leaving));
}

/* A root key may have been removed when the zone's time was over, though it is there still. One
 * that the project never had is no matter of its. */
static enum zone_status check_wraps(const struct index *index, const struct entry *zone,
				    const struct ezk_version *version)
{
	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct entry *root_key =
			root_key_same(index, zone->project, version->wraps[i].arn);

		if (root_key != NULL)
			TRY(check_stands(root_key));
	}
	return ZONE_OK;
}

static enum zone_status check_zone(const struct index *index, const struct entry *zone)
{
	TRY(check_stands(index_uid(index, zone->of_zone.cluster)));
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		TRY(check_wraps(index, zone, &zone->of_zone.versions[i]));
	return ZONE_OK;
}

/* What it stands on must be there. */
static enum zone_status check_parents(const struct index *index, const struct entry *entry)
{
	if (entry->kind == ENTRY_CLUSTER)
		return check_cluster(index, entry);
	return entry->kind == ENTRY_ZONE ? check_zone(index, entry) : ZONE_OK;
}

/* The one that it is to have now, if its own is taken. */
static enum zone_status take_label(const struct edit *edit)
{
	if (edit->label.len == 0)
		return ZONE_OK;
	TRY(label_check(edit->result->kind, edit->label));
	return entry_set_text(&edit->result->label, edit->label) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* A zone stays in its cluster, under whatever name. */
static enum zone_status check_restored(const struct changes *changes, const struct edit *edit)
{
	const struct index *index = &changes->zones->index;

	if (edit->result->kind == ENTRY_ZONE && edit->label.len > 0) {
		TRY(check_cluster_part(index, edit->result));
		TRY(standing_check_name(changes->zones, edit->result));
	}
	return label_check_free(index, edit->result);
}

/* The project comes back in a slot that no project ever had. */
static enum zone_status restore_archive(struct changes *changes, struct edit *edit,
					struct entry *archive)
{
	const struct index *index = &changes->zones->index;
	const struct entry *project = index_uid(index, archive->of_archive.archived);

	if (project == NULL || index->next_slot > INT32_MAX)
		return refuse(ZONE_NOT_FOUND, "the archived project is not there any more");
	TRY(entry_make_active(project, &edit->result));
	TRY(take_label(edit));
	edit->result->of_project.slot = index->next_slot;
	TRY(changes_put(changes, edit->result));
	return changes_remove(changes, archive);
}

static enum zone_status decide_restore(struct changes *changes, void *state)
{
	struct edit *edit = state;
	struct entry *current;

	TRY(begin(changes, edit, &current));
	if (current->kind == ENTRY_ARCHIVE)
		return restore_archive(changes, edit, current);
	if (current->state == ENTRY_ACTIVE) {
		edit->result = entry_hold(current);
		return ZONE_OK;
	}
	TRY(entry_make_active(current, &edit->result));
	TRY(check_parents(&changes->zones->index, current));
	TRY(take_label(edit));
	TRY(check_restored(changes, edit));
	return changes_put(changes, edit->result);
}

enum zone_status zones_entry_restore(struct zones *zones, const struct entry *entry,
				     struct bytes label, struct entry **ret_entry)
{
	struct edit edit = {.entry = entry, .label = label};

	return run(zones, decide_restore, &edit, ret_entry);
}
