/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions on the domain: the rules are checked against an index that is up to date. An engine
 * that lets others write meanwhile asks again from the beginning (zones/store/store.h). */
#include "base/cancel.h"
#include "base/macros.h"
#include "zones/domain/state.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/audit.h"
#include "zones/model/moving.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <stdlib.h>

struct decision {
	struct changes changes;
	changes_decide *decide;
	void *state;
	struct store_news own; /* room for what the changes will be to the index */
	bool read_anew;	       /* the news showed that the index lacks something */
};

void changes_clear(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		entry_release(changes->list[i].entry);
	free(changes->list);
	changes->list = NULL;
	changes->count = 0;
}

static void decision_clear(struct decision *decision)
{
	changes_clear(&decision->changes);
	store_news_clear(&decision->own);
}

/* Nothing of it is written. */
static void take_back(struct decision *decision)
{
	for (size_t i = 0; i < decision->changes.count; i++)
		zones_unreserve(decision->changes.zones, decision->changes.list[i].entry);
	decision_clear(decision);
	decision->changes.action = NULL;
}

/* What the index has of it, if the change is based on that; it stays there until it was written. */
static const struct entry *state_before(const struct changes *changes, const struct entry *entry)
{
	const struct entry *before = index_uid(&changes->zones->index, entry->uid);

	return before != NULL && before->revision == entry->revision ? before : NULL;
}

static enum zone_status add(struct changes *changes, struct entry *entry, bool remove,
			    bool from_backup)
{
	size_t size = (changes->count + 1) * sizeof(*changes->list);
	struct store_change *list = realloc(changes->list, size);

	if (list == NULL)
		return ZONE_NO_MEMORY;
	changes->list = list;
	list[changes->count++] = (struct store_change){.entry = entry_hold(entry),
						       .remove = remove,
						       .from_backup = from_backup,
						       .before = state_before(changes, entry)};
	return ZONE_OK;
}

enum zone_status changes_put(struct changes *changes, struct entry *entry)
{
	return add(changes, entry, false, false);
}

enum zone_status changes_remove(struct changes *changes, struct entry *entry)
{
	return add(changes, entry, true, false);
}

enum zone_status changes_bring(struct changes *changes, struct entry *entry, bool remove)
{
	return add(changes, entry, remove, true);
}

/* This comes before the write, so that a lack of memory in the index can't lose what was
 * written: each new entry gets its number. */
static enum zone_status make_own_news(struct decision *decision)
{
	for (size_t i = 0; i < decision->changes.count; i++) {
		const struct store_change *change = &decision->changes.list[i];

		if (!store_news_add(&decision->own, entry_hold(change->entry), change->remove))
			return ZONE_NO_MEMORY;
		if (!change->remove)
			TRY(zones_reserve(decision->changes.zones, change->entry));
	}
	return ZONE_OK;
}

static bool visit_moved(void *state, struct entry *project)
{
	const struct entry **moved = state;
	struct bytes place;

	if (moving_of(project, &place) == MOVING_AWAY)
		*moved = project;
	return *moved == NULL;
}

/* The project that keeps a change from being made. A new project is made where the others have gone
 * to. NULL: none. */
static const struct entry *find_mark(const struct index *index, const struct entry *entry)
{
	const struct entry *project = index_uid(index, entry->project), *moved = NULL;
	struct bytes place;

	if (project != NULL)
		return moving_of(project, &place) == MOVING_NOT ? NULL : project;
	if (entry->kind == ENTRY_PROJECT)
		index_each_project(index, visit_moved, &moved);
	return moved;
}

static enum zone_status refuse_moved(const struct entry *project, bool is_new, struct bytes place)
{
	int len = (int)place.len;
	const char *store = (const char *)place.data;

	if (is_new)
		return refuse(
			ZONE_STORE_MOVED,
			"new projects are made where project %s has gone, store %.*s; make it "
			"there, or move the others too: cmek store copy --to STORE",
			project->label, len, store);
	return refuse(ZONE_STORE_MOVED,
		      "project %s has gone to store %.*s; change it there: set [store] to that one",
		      project->label, len, store);
}

/* What goes to another store, or comes from one, is changed by nothing else. */
static enum zone_status check_marks(const struct changes *changes)
{
	for (size_t i = 0; i < changes->count && !changes->moves; i++) {
		const struct entry *entry = changes->list[i].entry;
		const struct entry *project = find_mark(&changes->zones->index, entry);
		struct bytes place;

		if (project == NULL)
			continue;
		if (moving_of(project, &place) == MOVING_AWAY)
			return refuse_moved(project, !uid_equal(project->uid, entry->project),
					    place);
		return refuse(ZONE_STORE_READ_ONLY,
			      "project %s has not arrived yet from store %.*s; run 'cmek store "
			      "copy' to its end",
			      project->label, (int)place.len, (const char *)place.data);
	}
	return ZONE_OK;
}

static enum zone_status decide(void *state, struct store_news *news,
			       struct store_change **ret_changes, size_t *ret_count)
{
	struct decision *decision = state;
	struct zones *zones = decision->changes.zones;

	/* What was decided at the time before did not come to pass. */
	take_back(decision);
	TRY(zones_apply_all(zones, news));
	decision->read_anew |= zones->cursor.len == 0;
	TRY(decision->decide(&decision->changes, decision->state));
	TRY(check_marks(&decision->changes));
	TRY(make_own_news(decision));
	*ret_changes = decision->changes.list;
	*ret_count = decision->changes.count;
	return ZONE_OK;
}

/* What the audit log calls the kinds of entries. */
static const char *const events[ENTRY_KIND_COUNT] = {
	[ENTRY_PROJECT] = "project", [ENTRY_ROOT_KEY] = "root_key", [ENTRY_CLUSTER] = "cluster",
	[ENTRY_ZONE] = "zone",	     [ENTRY_KEY] = "key",	    [ENTRY_ARCHIVE] = "archive",
};

/* The version that is retired in one state of a zone and not in the other, or that is gone; 0:
 * none. */
static uint32_t version_between(const struct entry *before, const struct entry *after,
				const char **ret_action)
{
	for (size_t i = 0; i < before->of_zone.version_count; i++) {
		const struct ezk_version *was = &before->of_zone.versions[i];
		const struct ezk_version *is = entry_version(after, was->version);

		if (was->record_zone != 0 || (is != NULL && is->retired == was->retired))
			continue;
		*ret_action = is == NULL    ? "version purged"
			      : is->retired ? "version retired"
					    : "version unretired";
		return was->version;
	}
	return 0;
}

/* A cluster is brought to another root key, and has left the one before. */
static const char *cluster_action(const struct entry *before, const struct entry *after)
{
	if (!uid_equal(before->of_cluster.root_key, after->of_cluster.root_key))
		return "root key set";
	return uid_equal(before->of_cluster.leaving, after->of_cluster.leaving) ? NULL
										: "root key left";
}

static const char *project_action(const struct entry *before, const struct entry *after)
{
	if (before->of_project.announced_ms == after->of_project.announced_ms)
		return NULL;
	return after->of_project.announced_ms == 0 ? "purge taken back" : "purge announced";
}

static const char *zone_action(const struct entry *before, const struct entry *after)
{
	const char *retired;

	if (version_between(before, after, &retired) != 0)
		return retired;
	if (after->of_zone.primary != before->of_zone.primary)
		return "rotated";
	if (after->of_zone.minimum != before->of_zone.minimum)
		return after->of_zone.minimum > before->of_zone.minimum ? "fenced"
									: "fence lowered";
	return after->of_zone.raw != before->of_zone.raw ? "raw version moved"
							 : zone_wraps_change(before, after);
}

/* A step of its life; NULL: no such step. */
static const char *step_of(const struct entry *before, const struct entry *after)
{
	if (after->kind == ENTRY_ZONE)
		return zone_action(before, after);
	if (after->kind == ENTRY_PROJECT)
		return project_action(before, after);
	return after->kind == ENTRY_CLUSTER ? cluster_action(before, after) : NULL;
}

/* What a change was; `before`: the state the index had, NULL: none. */
static const char *action_of(const struct changes *changes, const struct store_change *change,
			     const struct entry *before)
{
	const char *step;

	if (change->remove)
		return changes->purges ? "purged" : "removed";
	if (before == NULL)
		return "created";
	step = step_of(before, change->entry);
	if (before->state == change->entry->state)
		return step == NULL ? "changed" : step;
	return change->entry->state == ENTRY_ACTIVE ? "restored" : "deletion scheduled";
}

/* A project may come with what belongs to it, which the index has not seen yet. */
static const char *project_label(const struct changes *changes, struct uid project)
{
	for (size_t i = 0; i < changes->count; i++)
		if (uid_equal(changes->list[i].entry->uid, project))
			return changes->list[i].entry->label;
	return entry_label(index_uid(&changes->zones->index, project));
}

/* The version that a change of a zone is about. */
static uint32_t version_of(const struct entry *before, const struct entry *after)
{
	const char *action;
	uint32_t retired = before == NULL ? 0 : version_between(before, after, &action);

	if (retired != 0)
		return retired;
	if (before == NULL || after->of_zone.primary != before->of_zone.primary)
		return after->of_zone.primary;
	if (after->of_zone.minimum != before->of_zone.minimum)
		return after->of_zone.minimum;
	return after->of_zone.raw != before->of_zone.raw ? after->of_zone.raw
							 : after->of_zone.primary;
}

static void put_details(struct audit_event *event, const struct entry *before,
			const struct entry *entry)
{
	uint64_t zone;

	switch (entry->kind) {
	case ENTRY_ZONE:
		event->zone = entry->of_zone.zone;
		event->version = version_of(before, entry);
		event->root_key = zone_only_root_key(entry);
		break;
	case ENTRY_KEY:
		event->zone = entry->of_key.zone;
		token_key_place(entry->of_key.wrapped, &zone, &event->version);
		break;
	case ENTRY_ROOT_KEY:
		event->root_key = entry->of_root_key.arn;
		break;
	default:
		break;
	}
}

/* False: no lease is about that. */
static bool lease_of(const struct changes *changes, const struct entry *entry, uint32_t *ret_lease)
{
	const struct entry *zone = entry;
	const struct ezk_version *version;

	*ret_lease = changes->zones->settings.lease_seconds;
	if (entry->kind == ENTRY_ROOT_KEY)
		return true;
	if (entry->kind == ENTRY_KEY)
		zone = index_zone(&changes->zones->index, entry->of_key.zone);
	if (zone == NULL || zone->kind != ENTRY_ZONE)
		return false;
	version = entry_version(zone, zone->of_zone.primary);
	if (version != NULL)
		*ret_lease = limits_lease_seconds(version->limits, *ret_lease);
	return true;
}

static void audit_change(const struct changes *changes, const struct store_change *change)
{
	const struct entry *entry = change->entry;
	const struct entry *before = index_uid(&changes->zones->index, entry->uid);
	struct audit_event event = {
		.event = events[entry->kind],
		.action = changes->action != NULL && !change->remove
				  ? changes->action
				  : action_of(changes, change, before),
		.outcome = "ok",
		.project = project_label(changes, entry->project),
		.project_id = entry->project,
		.name = entry->label,
		.duration_us = -1,
	};
	uint32_t lease;

	if (lease_of(changes, entry, &lease))
		event.lease = &lease;
	put_details(&event, before, entry);
	audit_write(&event);
}

/* What a backup knows to be gone was never here: nothing is removed. */
static bool is_foreign_tombstone(const struct store_change *change)
{
	return change->remove && change->from_backup;
}

/* It is written, and can't be taken back for a line that is lost after all; the index does not have
 * it yet, and so still says what was before. */
static void audit(const struct decision *decision)
{
	for (size_t i = 0; i < decision->changes.count; i++)
		if (!is_foreign_tombstone(&decision->changes.list[i]))
			audit_change(&decision->changes, &decision->changes.list[i]);
}

static enum zone_status change(struct decision *decision)
{
	struct zones *zones = decision->changes.zones;
	struct store_cursor since = zones->cursor;

	TRY(audit_ready());
	TRY(zones_check_silence(zones));
	TRY(zones_note_silence(zones,
			       zones->store->operations->write(zones->store, &since, decide,
							       decision, &decision->own.cursor)));
	audit(decision);
	decision->own.own = true;
	/* It is done. An index that can't take it in is read anew by the next look-up. */
	if (zones_apply(zones, &decision->own) == ZONE_OK)
		zones_looked(zones, ZONE_OK);
	if (decision->read_anew)
		zones->cursor = (struct store_cursor){0};
	return ZONE_OK;
}

/* Rules must not be checked against less than they look at. */
static enum zone_status know(struct zones *zones, const struct store_key *keys, size_t count)
{
	return keys == NULL ? zones_know_all_in_turn(zones)
			    : zones_know_in_turn(zones, keys, count);
}

enum zone_status zones_change(struct zones *zones, changes_decide *decide_it, void *state)
{
	return zones_change_known(zones, NULL, 0, decide_it, state);
}

enum zone_status zones_change_known(struct zones *zones, const struct store_key *keys, size_t count,
				    changes_decide *decide_it, void *state)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(decision_clear)
	struct decision decision = {
		.changes = {.zones = zones}, .decide = decide_it, .state = state};
	AUTO(zones_end_turn) struct zones *held = NULL;
	enum zone_status status;

	TRY(zones_begin_turn(zones, &held));
	TRY(know(zones, keys, count));
	status = change(&decision);
	if (status != ZONE_OK)
		take_back(&decision);
	return status;
}
