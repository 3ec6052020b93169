/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of `cmek store copy`. Each leaves both stores in a state from which the command goes
 * on, or is taken back; a project can be changed in one of them at most:
 *
 *   1. there: the projects appear, archived, with the mark that they are arriving
 *   2. here: the mark that they have gone; from now on nothing changes here
 *   3. there: all rows, then read once more and compared
 *   4. there: the projects become what they were here, and the mark goes
 */
#include "zones/domain/store_copy.h"

#include "base/json.h"
#include "base/macros.h"
#include "zones/domain/store_copy_private.h"
#include "zones/model/moving.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

enum { ROUNDS = 3 }; /* of writing what differs, and comparing */
/* What each engine takes in one transaction; a copy that is cut off between two goes on. */
enum { PROJECTS_AT_ONCE = 20 };

/* An arriving project awaits no deletion; it is archived, so that nobody uses what is not whole. */
#define NEVER_MS INT64_C(253402300799000) /* the end of 9999 */

static void copying_clear(struct copying *copying)
{
	if (copying->to.store != NULL)
		copying->to.store->operations->free(copying->to.store);
	side_clear(&copying->from);
	side_clear(&copying->to);
	free(copying->projects);
	free(copying->slots);
	free(copying->arriving);
}

/* --- Which projects */

static enum zone_status add_project(struct copying *copying, struct uid project)
{
	struct uid *projects;
	uint64_t *arriving;
	uint32_t *slots;

	if (copying_has(copying, project))
		return ZONE_OK;
	projects = realloc(copying->projects, (copying->count + 1) * sizeof(*projects));
	if (projects != NULL)
		copying->projects = projects;
	slots = realloc(copying->slots, (copying->count + 1) * sizeof(*slots));
	if (slots != NULL)
		copying->slots = slots;
	arriving = realloc(copying->arriving, (copying->count + 1) * sizeof(*arriving));
	if (arriving != NULL)
		copying->arriving = arriving;
	if (projects == NULL || slots == NULL || arriving == NULL)
		return ZONE_NO_MEMORY;
	slots[copying->count] = 0;
	arriving[copying->count] = 0;
	projects[copying->count++] = project;
	return ZONE_OK;
}

/* What is archived on a project goes with it, and what is archived on that. */
static enum zone_status add_archived(struct copying *copying)
{
	const struct store_news *news = &copying->from.news;
	size_t before;

	do {
		before = copying->count;
		for (size_t i = 0; i < news->count; i++) {
			const struct entry *entry = news->rows[i].entry;

			if (!news->rows[i].removed && entry->kind == ENTRY_ARCHIVE &&
			    copying_has(copying, entry->project) &&
			    side_project(&copying->from, entry->of_archive.archived) != NULL)
				TRY(add_project(copying, entry->of_archive.archived));
		}
	} while (copying->count != before);
	return ZONE_OK;
}

/* The active ones first: they keep their slots. */
static enum zone_status add_all(struct copying *copying, bool active)
{
	const struct store_news *news = &copying->from.news;

	for (size_t i = 0; i < news->count; i++) {
		const struct entry *entry = news->rows[i].entry;

		if (!news->rows[i].removed && entry->kind == ENTRY_PROJECT &&
		    (entry->state == ENTRY_ACTIVE) == active)
			TRY(add_project(copying, entry->uid));
	}
	return ZONE_OK;
}

static bool has_gone_project(const struct store_news *news)
{
	for (size_t i = 0; i < news->count; i++)
		if (news->rows[i].removed && news->rows[i].entry->kind == ENTRY_PROJECT)
			return true;
	return false;
}

static enum zone_status choose_projects(struct copying *copying)
{
	if (copying->wish->of != NULL && side_project(&copying->from, *copying->wish->of) != NULL)
		TRY(add_project(copying, *copying->wish->of));
	if (copying->wish->of == NULL) {
		TRY(add_all(copying, true));
		TRY(add_all(copying, false));
	}
	TRY(add_archived(copying));
	if (copying->wish->of == NULL && has_gone_project(&copying->from.news))
		return ZONE_OK; /* which may have to go there too */
	return copying->count > 0 ? ZONE_OK
				  : refuse(ZONE_NOT_FOUND, "store %s has no such project to copy",
					   copying->from.name);
}

/* --- Where a project is */

enum place {
	PLACE_HERE,    /* it lives here, and is not there, or has gone from there */
	PLACE_BETWEEN, /* a copy of it has begun */
	PLACE_THERE,   /* it has arrived */
};

static enum zone_status refuse_project(enum zone_status status, const struct entry *project,
				       const char *why, struct bytes place)
{
	return refuse(status, "project %s %s %.*s", project->label, why, (int)place.len,
		      (const char *)place.data);
}

/* It had arrived there, and then left for yet another store, or was deleted for good: ret_place is
 * that store, or nothing. */
static bool has_gone_on(const struct copying *copying, struct uid uid, struct bytes *ret_place)
{
	const struct store_row *row = side_row(&copying->to, uid);

	*ret_place = bytes(NULL, 0);
	if (row == NULL || row->removed)
		return row != NULL;
	return moving_of(row->entry, ret_place) == MOVING_AWAY &&
	       !bytes_are(*ret_place, copying->from.name);
}

/* A store of the same name that is not the one which the project went to, or came from. */
static bool is_another(const struct entry *marked, const struct side *side)
{
	const struct bytes id = moving_id_of(marked);

	return id.len > 0 && side->id[0] != '\0' && !bytes_are(id, side->id);
}

static enum zone_status check_ids(const struct copying *copying, const struct entry *here,
				  const struct entry *there)
{
	struct bytes place;

	if (moving_of(here, &place) == MOVING_AWAY && is_another(here, &copying->to))
		return refuse_project(ZONE_CONFLICT, here,
				      "went to a store in whose place is another one now; put that "
				      "one back:",
				      bytes_of(copying->to.name));
	if (there != NULL && moving_of(there, &place) == MOVING_IN &&
	    is_another(there, &copying->from))
		return refuse_project(ZONE_CONFLICT, here,
				      "is arriving there from a store in whose place is this one "
				      "now:",
				      bytes_of(copying->from.name));
	return ZONE_OK;
}

static enum zone_status find_place(const struct copying *copying, struct uid uid,
				   enum place *ret_place)
{
	const struct entry *here = side_project(&copying->from, uid);
	const struct entry *there = side_project(&copying->to, uid);
	struct bytes from_here, from_there = {0};
	enum moving is_here = moving_of(here, &from_here);
	enum moving is_there = there == NULL ? MOVING_AWAY : moving_of(there, &from_there);

	if (is_here == MOVING_IN)
		return refuse_project(
			ZONE_CONFLICT, here,
			"has not arrived here yet; run that copy to its end first: it "
			"comes from store",
			from_here);
	if (is_here == MOVING_AWAY && !bytes_are(from_here, copying->to.name))
		return refuse_project(ZONE_CONFLICT, here, "has gone to another store:", from_here);
	TRY(check_ids(copying, here, there));
	if (is_there == MOVING_IN && !bytes_are(from_there, copying->from.name))
		return refuse_project(ZONE_CONFLICT, here,
				      "is arriving there from another store, by which it is to be "
				      "copied to its end:",
				      from_there);
	if (is_here == MOVING_AWAY && has_gone_on(copying, uid, &from_there))
		return refuse_project(ZONE_CONFLICT, here,
				      from_there.len > 0 ? "has gone on to store"
							 : "was deleted for good in store",
				      from_there.len > 0 ? from_there : bytes_of(copying->to.name));
	if (is_there == MOVING_NOT && is_here == MOVING_NOT)
		return refuse_project(ZONE_EXISTS, here, "lives in both stores; it is there too:",
				      bytes_of(copying->to.name));
	*ret_place = is_there == MOVING_NOT			       ? PLACE_THERE
		     : is_there == MOVING_IN || is_here == MOVING_AWAY ? PLACE_BETWEEN
								       : PLACE_HERE;
	return ZONE_OK;
}

/* Names are unique among active projects. */
static enum zone_status check_name(const struct copying *copying, const struct entry *here)
{
	const struct store_news *news = &copying->to.news;

	for (size_t i = 0; i < news->count && here->state == ENTRY_ACTIVE; i++) {
		const struct entry *there = news->rows[i].entry;

		if (!news->rows[i].removed && there->kind == ENTRY_PROJECT &&
		    there->state == ENTRY_ACTIVE && strcmp(there->label, here->label) == 0 &&
		    !uid_equal(there->uid, here->uid))
			return refuse_project(ZONE_EXISTS, here,
					      "has the name of another project in store",
					      bytes_of(copying->to.name));
	}
	return ZONE_OK;
}

/* Forgets those that have arrived. */
static enum zone_status check_projects(struct copying *copying)
{
	size_t kept = 0;
	enum place place = PLACE_HERE;

	for (size_t i = 0; i < copying->count; i++) {
		TRY(find_place(copying, copying->projects[i], &place));
		if (place != PLACE_THERE && !copying->wish->undo)
			TRY(check_name(copying,
				       side_project(&copying->from, copying->projects[i])));
		if (place == PLACE_THERE && copying->wish->undo)
			return refuse_project(
				ZONE_EXISTS, side_project(&copying->from, copying->projects[i]),
				"has arrived; to bring it back, run 'cmek store copy' with the "
				"configuration of store",
				bytes_of(copying->to.name));
		if (place == PLACE_BETWEEN || (place == PLACE_HERE && !copying->wish->undo))
			copying->projects[kept++] = copying->projects[i];
	}
	copying->count = kept;
	return ZONE_OK;
}

static enum zone_status check_stores(const struct copying *copying)
{
	if (strcmp(copying->from.name, copying->to.name) == 0)
		return refuse(ZONE_INVALID, "store %s is this store itself; name another one",
			      copying->to.name);
	if (copying->from.level > (copying->to.exists ? copying->to.level : 1))
		return refuse(ZONE_STORE_NEWER_WRITER,
			      "store %s is at level %u, store %s is below that; bring that one to "
			      "it first (cmek store upgrade)",
			      copying->from.name, copying->from.level, copying->to.name);
	return ZONE_OK;
}

/* --- In parts */

/* Some of the projects. */
struct part {
	const struct copying *copying;
	size_t from, end;
};

/* False: there are no more; begin with the zero state. */
static bool next_part(const struct copying *copying, struct part *part)
{
	size_t left = copying->count - part->end;

	part->copying = copying;
	part->from = part->end;
	part->end += left < PROJECTS_AT_ONCE ? left : PROJECTS_AT_ONCE;
	return left > 0;
}

/* --- The projects' rows there */

/* `moving`: MOVING_IN: it is arriving; MOVING_AWAY: it is not any more; MOVING_NOT: it lives there.
 */
static enum zone_status make_project(const struct copying *copying, struct uid uid,
				     enum moving moving, struct store_change *ret_change)
{
	const struct entry *here = side_project(&copying->from, uid);
	const struct store_row *there = side_row(&copying->to, uid);
	AUTO(entry_releasep) struct entry *copy = entry_copy(here);

	if (copy == NULL || !moving_mark(copy, moving, copying->from.name, copying->from.id))
		return ZONE_NO_MEMORY;
	copy->revision = there == NULL || there->removed ? 0 : there->entry->revision;
	copy->of_project.slot = copy_slot(copying, uid, here->of_project.slot);
	if (moving != MOVING_NOT) {
		copy->state = ENTRY_PENDING_DELETION;
		copy->delete_after_ms = NEVER_MS;
	}
	*ret_change = (struct store_change){
		.entry = TAKE(copy),
		.from_backup = there != NULL && there->removed,
		.before = there == NULL || there->removed ? NULL : there->entry,
	};
	return ZONE_OK;
}

/* Of a copy that goes on it is there already; of one that is taken back there may be none. */
static bool stays(const struct copying *copying, struct uid uid, enum moving moving)
{
	const struct entry *there = side_project(&copying->to, uid);
	struct bytes place;

	return there == NULL ? moving == MOVING_AWAY
			     : moving != MOVING_NOT && moving_of(there, &place) == moving;
}

static void note_arriving(struct copying *copying, const struct entry *there)
{
	for (size_t i = 0; i < copying->count; i++)
		if (there != NULL && uid_equal(copying->projects[i], there->uid))
			copying->arriving[i] = there->revision;
}

/* `changes`: room for all of the part. */
static enum zone_status write_part(struct copying *copying, enum moving moving, struct part part,
				   struct store_change *changes)
{
	enum zone_status status = ZONE_OK;
	size_t count = 0;

	for (size_t i = part.from; i < part.end && status == ZONE_OK; i++) {
		struct uid uid = copying->projects[i];

		note_arriving(copying, side_project(&copying->to, uid));
		if (stays(copying, uid, moving))
			continue;
		status = make_project(copying, uid, moving, &changes[count]);
		count += status == ZONE_OK;
	}
	if (status == ZONE_OK && count > 0)
		status = copy_write(copying, changes, count);
	for (size_t i = 0; i < count; i++) {
		note_arriving(copying, changes[i].entry);
		entry_release(changes[i].entry);
	}
	return status;
}

static enum zone_status write_projects(struct copying *copying, enum moving moving)
{
	struct store_change changes[PROJECTS_AT_ONCE];
	struct part part = {0};

	while (next_part(copying, &part))
		TRY(write_part(copying, moving, part, changes));
	if (moving == MOVING_NOT)
		copying->written += copying->count;
	return moving == MOVING_IN ? copy_read_there(copying) : ZONE_OK;
}

/* --- The marks here */

/*
 * The row must be as it was before the other store was looked at, and a copy writes it also where
 * the mark is there already: so of a copy and of its being taken back, whichever is second notices
 * the other, here or there, whenever each of them was stopped and went on.
 */
static enum zone_status mark_one(struct changes *changes, const struct copying *copying,
				 struct uid uid)
{
	const struct entry *project = index_uid(&changes->zones->index, uid);
	AUTO(entry_releasep) struct entry *marked = NULL;
	const struct entry *read = side_project(&copying->from, uid);
	bool undo = copying->wish->undo;
	struct bytes place;

	if (project == NULL || project->revision != read->revision)
		return copy_refuse_other(read, copying->from.name);
	if (undo && moving_of(project, &place) == MOVING_NOT)
		return ZONE_OK;
	marked = entry_copy(project);
	if (marked == NULL ||
	    !moving_mark(marked, undo ? MOVING_NOT : MOVING_AWAY, copying->to.name, copying->to.id))
		return ZONE_NO_MEMORY;
	return changes_put(changes, marked);
}

static enum zone_status decide_marks(struct changes *changes, void *state)
{
	const struct part *part = state;

	changes->moves = true;
	changes->action = part->copying->wish->undo ? "move taken back" : "moved";
	for (size_t i = part->from; i < part->end; i++)
		TRY(mark_one(changes, part->copying, part->copying->projects[i]));
	return ZONE_OK;
}

static enum zone_status write_marks(const struct copying *copying)
{
	struct part part = {0};

	while (next_part(copying, &part))
		TRY(zones_change(copying->zones, decide_marks, &part));
	return ZONE_OK;
}

/* --- All of it */

static enum zone_status copy_and_compare(struct copying *copying)
{
	size_t differ = 1;

	for (size_t round = 0; differ > 0 && round < ROUNDS; round++) {
		TRY(copy_rows(copying, false, &differ));
		TRY(copy_read_there(copying));
		TRY(copy_rows(copying, true, &differ));
	}
	return differ == 0
		       ? ZONE_OK
		       : refuse(ZONE_CONFLICT,
				"store %s still differs in %zu rows; the projects stay archived "
				"there: run this again",
				copying->to.name, differ);
}

static enum zone_status carry_out(struct copying *copying)
{
	TRY(copy_choose_slots(copying));
	TRY(write_projects(copying, MOVING_IN));
	TRY(write_marks(copying));
	TRY(side_read(copying, &copying->from));
	TRY(copy_and_compare(copying));
	return write_projects(copying, MOVING_NOT);
}

static enum zone_status take_back(struct copying *copying)
{
	TRY(copy_choose_slots(copying));
	TRY(write_projects(copying, MOVING_AWAY));
	return write_marks(copying);
}

/* --- What was deleted for good meanwhile */

/* Projects that had gone from there to here, and are no more. */
static enum zone_status choose_gone(const struct copying *copying, struct copying *gone)
{
	const struct store_news *news = &copying->from.news;

	for (size_t i = 0; i < news->count && copying->wish->of == NULL; i++) {
		const struct store_row *row = &news->rows[i];
		const struct entry *there = side_project(&copying->to, row->entry->uid);
		struct bytes place;

		if (row->removed && there != NULL && moving_of(there, &place) == MOVING_AWAY &&
		    bytes_are(place, copying->from.name) && !is_another(there, &copying->from))
			TRY(add_project(gone, there->uid));
	}
	return ZONE_OK;
}

static enum zone_status remove_project(struct copying *gone, struct uid uid)
{
	AUTO(entry_releasep) struct entry *copy = entry_copy(side_project(&gone->to, uid));
	struct store_change change = {.entry = copy, .remove = true};

	return copy == NULL ? ZONE_NO_MEMORY : copy_write(gone, &change, 1);
}

static void gone_clear(struct copying *gone)
{
	free(gone->projects);
	free(gone->slots);
	free(gone->arriving);
}

/* Whoever is on the old store still would open files of a project that was purged in the new one.
 */
static enum zone_status remove_gone(struct copying *copying)
{
	AUTO(gone_clear)
	struct copying gone = {
		.zones = copying->zones, .wish = copying->wish, .from = copying->from};
	size_t rows = 0;

	TRY(choose_gone(copying, &gone));
	if (gone.count == 0)
		return ZONE_OK;
	TRY(side_read(copying, &copying->to)); /* the others have just been written there */
	gone.to = copying->to;		       /* borrowed: it is not read again */
	TRY(copy_rows(&gone, copying->wish->dry_run, &rows));
	for (size_t i = 0; i < gone.count && !copying->wish->dry_run; i++)
		TRY(remove_project(&gone, gone.projects[i]));
	copying->written += rows + gone.count;
	return ZONE_OK;
}

static void count_rows(struct copying *copying)
{
	const struct store_news *news = &copying->from.news;

	copying->rows = 0;
	for (size_t i = 0; i < news->count; i++)
		copying->rows += !news->rows[i].removed &&
				 copying_has(copying, news->rows[i].entry->project);
}

static enum zone_status tell(const struct copying *copying, size_t differ, struct buffer *ret_told)
{
	bool done = !copying->wish->dry_run;
	json_t *projects = json_array(), *told;
	char *text;

	for (size_t i = 0; i < copying->count; i++)
		json_array_append_new(
			projects,
			json_text(side_project(&copying->from, copying->projects[i])->label));
	told = json_pack("{s:o, s:o, s:o, s:I, s:I, s:b, s:b}", "from",
			 json_text(copying->from.name), "to", json_text(copying->to.name),
			 "projects", projects, "rows", (json_int_t)copying->rows, "written",
			 (json_int_t)(copying->written + (done ? 0 : differ + copying->count)),
			 "undone", copying->wish->undo && done, "dry_run", copying->wish->dry_run);
	text = told == NULL ? NULL : json_dumps(told, JSON_ENSURE_ASCII);
	json_decref(told);
	if (text != NULL)
		buffer_put_text(ret_told, text);
	free(text);
	return text == NULL || ret_told->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

enum zone_status zones_store_copy(struct zones *zones, const struct store_copy_wish *wish,
				  struct buffer *ret_told)
{
	AUTO(copying_clear)
	struct copying copying = {.zones = zones, .wish = wish, .from = {.store = zones->store}};
	size_t differ = 0;

	if (zones->settings.open_place == NULL)
		return ZONE_INVALID;
	TRY(zones->settings.open_place(zones->settings.open_place_state, wish->to,
				       &copying.to.store));
	TRY(side_read(&copying, &copying.from));
	TRY(side_read(&copying, &copying.to));
	TRY(check_stores(&copying));
	TRY(choose_projects(&copying));
	TRY(check_projects(&copying));
	count_rows(&copying);
	if (wish->dry_run && copying.count > 0)
		TRY(copy_rows(&copying, true, &differ));
	else if (copying.count > 0)
		TRY(wish->undo ? take_back(&copying) : carry_out(&copying));
	if (!wish->undo)
		TRY(remove_gone(&copying));
	return tell(&copying, differ, ret_told);
}
