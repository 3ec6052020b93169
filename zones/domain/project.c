/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Projects: made in a free slot; replaced by an empty one, which archives the old one whole; and
 * brought back from the archive. */
#include "zones/domain/project.h"

#include "base/macros.h"
#include "zones/domain/state.h"
#include "zones/index/rules.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/project_extra.h"
#include "zones/model/refuse.h"

static enum zone_status make(const struct zones *zones, uint32_t slot, struct bytes label,
			     struct bytes extra, struct entry **ret_project)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	TRY(label_check(ENTRY_PROJECT, label));
	TRY(entry_make(ENTRY_PROJECT, (struct uid){0}, zones_now_ms(zones), &project));
	project->of_project.slot = slot;
	if (!entry_set_text(&project->label, label) || !entry_set_bytes(&project->extra, extra))
		return ZONE_NO_MEMORY;
	*ret_project = TAKE(project);
	return ZONE_OK;
}

static enum zone_status decide_new(struct changes *changes, void *state)
{
	struct entry *project = state;

	if (project->of_project.slot < changes->zones->index.next_slot)
		return refuse(ZONE_EXISTS, "slot %u has a project, or had one; take a free one",
			      (unsigned)project->of_project.slot);
	return changes_put(changes, project);
}

enum zone_status zones_project_create_with(struct zones *zones, uint32_t slot, struct bytes label,
					   struct bytes extra, struct entry **ret_project)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	if (slot > INT32_MAX)
		return refuse(ZONE_INVALID, "a slot's number is below 2^31");
	TRY(make(zones, slot, label, extra, &project));
	TRY(zones_change(zones, decide_new, project));
	*ret_project = TAKE(project);
	return ZONE_OK;
}

enum zone_status zones_project_create(struct zones *zones, uint32_t slot, struct bytes label,
				      struct entry **ret_project)
{
	return zones_project_create_with(zones, slot, label, bytes(NULL, 0), ret_project);
}

/* --- What the layer above keeps with it */

struct extra_edit {
	struct uid project;
	const char *action;
	project_extra_change *change;
	void *state;
};

static enum zone_status decide_extra(struct changes *changes, void *state)
{
	const struct extra_edit *edit = state;
	const struct entry *now = index_uid(&changes->zones->index, edit->project);
	AUTO(entry_releasep) struct entry *changed = NULL;
	AUTO(buffer_clear) struct buffer extra = {0};

	if (now == NULL || now->kind != ENTRY_PROJECT || now->state != ENTRY_ACTIVE)
		return refuse(ZONE_NOT_FOUND, "the project is not there any more");
	TRY(edit->change(edit->state, project_extra_pins(now), &extra));
	changed = entry_copy(now);
	if (extra.failed || changed == NULL ||
	    !project_extra_set(changed, buffer_bytes(&extra), project_extra_mark(now)))
		return ZONE_NO_MEMORY;
	changes->action = edit->action;
	return changes_put(changes, changed);
}

enum zone_status zones_project_change_extra(struct zones *zones, struct uid project,
					    const char *action, project_extra_change *change,
					    void *state)
{
	struct extra_edit edit = {project, action, change, state};
	const struct store_key key = {.by = STORE_BY_UID, .uid = project};

	/* No rule looks at more than the project. */
	return zones_change_known(zones, &key, 1, decide_extra, &edit);
}

/* --- Replacing */

struct replacement {
	const struct entry *shown; /* what the caller knows of the old one */
	struct entry *project;	   /* the new one */
	struct entry *archive;
};

static enum zone_status decide_replacement(struct changes *changes, void *state)
{
	struct replacement *replacement = state;
	struct entry *archive = replacement->archive, *current;
	AUTO(entry_releasep) struct entry *old = NULL;

	TRY(entry_check_current(&changes->zones->index, replacement->shown, &current));
	TRY(entry_make_pending(current, zones_deletion_ms(changes->zones), &old));
	archive->delete_after_ms = old->delete_after_ms;
	archive->of_archive.slot = old->of_project.slot;
	archive->of_archive.archived = old->uid;
	replacement->project->of_project.slot = old->of_project.slot;
	if (!entry_set_text(&archive->label, bytes_of(old->label)))
		return ZONE_NO_MEMORY;
	/* The old one first: a slot has one active project at any time. */
	TRY(changes_put(changes, old));
	TRY(changes_put(changes, replacement->project));
	return changes_put(changes, archive);
}

enum zone_status zones_project_replace_with(struct zones *zones, struct entry *project,
					    struct bytes label, struct bytes extra,
					    struct entry **ret_project)
{
	AUTO(entry_releasep) struct entry *new = NULL;
	AUTO(entry_releasep) struct entry *archive = NULL;
	struct replacement replacement;

	if (project->kind != ENTRY_PROJECT)
		return ZONE_INVALID;
	TRY(make(zones, project->of_project.slot, label, extra, &new));
	TRY(entry_make(ENTRY_ARCHIVE, new->uid, zones_now_ms(zones), &archive));
	replacement = (struct replacement){project, new, archive};
	TRY(zones_change(zones, decide_replacement, &replacement));
	*ret_project = TAKE(new);
	return ZONE_OK;
}

enum zone_status zones_project_replace(struct zones *zones, struct entry *project,
				       struct bytes label, struct entry **ret_project)
{
	return zones_project_replace_with(zones, project, label, bytes(NULL, 0), ret_project);
}
