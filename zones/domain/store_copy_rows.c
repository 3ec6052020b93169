/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a copy: what differs is written, and nothing else, so that a copy that was cut off
 * goes on where it was, and a way back costs no more than what has changed. Two rows are the same
 * if they are as text (docs/format.md, 6.1).
 */
#include "base/cancel.h"
#include "base/macros.h"
#include "zones/domain/store_copy_private.h"
#include "zones/model/refuse.h"
#include "zones/store/rows/rows.h"

#include <stdlib.h>

/* A transaction of a store in the network: what each engine takes. A store in a file takes all at
 * once, since there a row may not go before those that name it. */
enum { ROWS_AT_ONCE = 60, BYTES_AT_ONCE = 256 << 10, ROWS_OF_ONE = 5 };

/* --- Writing */

struct batch {
	struct copying *copying;
	struct store_change *changes;
	size_t count;
	bool refused; /* and why was told */
};

/* Others keep away from projects that are marked; but somebody may have taken the copy back, or
 * brought it to its end. And
 * while projects are marked, none may come whose name or slot they would have. */
static enum zone_status check_news(const struct batch *batch, const struct store_news *news)
{
	const struct copying *copying = batch->copying;
	bool of_projects = batch->count > 0 && !batch->changes[0].remove &&
			   batch->changes[0].entry->kind == ENTRY_PROJECT;
	for (size_t i = 0; i < news->count; i++) {
		const struct entry *entry = news->rows[i].entry;

		if (entry->kind != ENTRY_PROJECT)
			continue;
		if (of_projects || (copying_has(copying, entry->uid) &&
				    (news->rows[i].removed || !copy_arrives(copying, entry))))
			return copy_refuse_other(entry, copying->to.name);
	}
	return ZONE_OK;
}

static enum zone_status give(void *state, struct store_news *news,
			     struct store_change **ret_changes, size_t *ret_count)
{
	struct batch *batch = state;

	batch->refused = true;
	TRY(check_news(batch, news));
	batch->refused = false;
	*ret_changes = batch->changes;
	*ret_count = batch->count;
	return ZONE_OK;
}

enum zone_status copy_write(struct copying *copying, struct store_change *changes, size_t count)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct batch batch = {.copying = copying, .changes = changes, .count = count};
	struct side *to = &copying->to;
	struct store_cursor since = to->news.cursor;
	enum zone_status status;

	status = to->store->operations->write(to->store, &since, give, &batch, &to->news.cursor);
	if (status == ZONE_CONFLICT && !batch.refused)
		return refuse(ZONE_CONFLICT,
			      "store %s has changed meanwhile, or has a database or a key of "
			      "these already; look at it, then run this again",
			      to->name);
	return status;
}

/* --- Slots */

/* One above all that either store has, or had. */
static uint64_t next_slot(const struct copying *copying)
{
	const struct store_news *both[] = {&copying->from.news, &copying->to.news};
	uint64_t next = 0;

	for (size_t side = 0; side < COUNT_OF(both); side++)
		for (size_t i = 0; i < both[side]->count; i++) {
			const struct entry *entry = both[side]->rows[i].entry;

			if (entry->kind == ENTRY_PROJECT && entry->of_project.slot >= next)
				next = (uint64_t)entry->of_project.slot + 1;
		}
	for (size_t i = 0; i < copying->count; i++)
		if (copying->slots[i] >= next)
			next = (uint64_t)copying->slots[i] + 1;
	return next;
}

static bool slot_is_taken(const struct copying *copying, size_t at, uint32_t slot)
{
	const struct store_news *news = &copying->to.news;

	for (size_t i = 0; i < at; i++)
		if (copying->slots[i] == slot)
			return true;
	for (size_t i = 0; i < news->count; i++) {
		const struct entry *entry = news->rows[i].entry;

		if (entry->kind == ENTRY_PROJECT && entry->of_project.slot == slot &&
		    !copying_has(copying, entry->uid))
			return true;
	}
	return false;
}

/* A slot of this store may have got another number there with the project before. */
static bool find_slot_before(const struct copying *copying, size_t at, uint32_t *ret_slot)
{
	const struct entry *project = side_project(&copying->from, copying->projects[at]);
	const struct entry *there = side_project(&copying->to, copying->projects[at]);

	if (there != NULL)
		*ret_slot = there->of_project.slot;
	for (size_t i = 0; i < at && there == NULL; i++) {
		there = side_project(&copying->from, copying->projects[i]);
		if (there->of_project.slot != project->of_project.slot)
			there = NULL;
		else
			*ret_slot = copying->slots[i];
	}
	return there != NULL;
}

enum zone_status copy_choose_slots(struct copying *copying)
{
	for (size_t i = 0; i < copying->count; i++) {
		const struct entry *project = side_project(&copying->from, copying->projects[i]);
		uint64_t slot = project->of_project.slot;

		if (find_slot_before(copying, i, &copying->slots[i]))
			continue;
		if (slot_is_taken(copying, i, project->of_project.slot))
			slot = next_slot(copying);
		if (slot > INT32_MAX)
			return refuse(ZONE_INVALID, "store %s has no slot left", copying->to.name);
		copying->slots[i] = (uint32_t)slot;
	}
	return ZONE_OK;
}

uint32_t copy_slot(const struct copying *copying, struct uid project, uint32_t otherwise)
{
	for (size_t i = 0; i < copying->count; i++)
		if (uid_equal(copying->projects[i], project))
			return copying->slots[i];
	return otherwise;
}

/* --- What differs */

struct difference {
	struct copying *copying;
	struct store_change *changes; /* their entries are owned */
	size_t count, room;
};

static void difference_clear(struct difference *difference)
{
	for (size_t i = 0; i < difference->count; i++)
		entry_release(difference->changes[i].entry);
	free(difference->changes);
	difference->changes = NULL;
	difference->count = difference->room = 0;
}

/* Takes the entry. */
static enum zone_status add(struct difference *difference, struct entry *entry,
			    const struct store_change *change)
{
	if (entry != NULL && difference->count == difference->room) {
		size_t room = difference->room * 2 + 16;
		struct store_change *more = realloc(difference->changes, room * sizeof(*more));

		if (more == NULL) {
			entry_release(entry);
			return ZONE_NO_MEMORY;
		}
		difference->changes = more;
		difference->room = room;
	}
	if (entry == NULL)
		return ZONE_NO_MEMORY;
	difference->changes[difference->count] = *change;
	difference->changes[difference->count++].entry = entry;
	return ZONE_OK;
}

static void put_text(const struct entry *entry, struct buffer *text)
{
	rows_put_entry(entry, text);
	for (size_t i = 0; entry->kind == ENTRY_ZONE && i < entry->of_zone.version_count; i++)
		rows_put_version(entry->of_zone.zone, &entry->of_zone.versions[i], text);
}

static enum zone_status compare(const struct entry *a, const struct entry *b, bool *ret_same)
{
	AUTO(buffer_clear) struct buffer text_a = {0};
	AUTO(buffer_clear) struct buffer text_b = {0};

	put_text(a, &text_a);
	put_text(b, &text_b);
	*ret_same = bytes_equal(buffer_bytes(&text_a), buffer_bytes(&text_b));
	return text_a.failed || text_b.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* As it is to be there. */
static enum zone_status make_copy(const struct copying *copying, const struct entry *here,
				  struct entry **ret_copy)
{
	struct entry *copy = entry_copy(here);

	if (copy == NULL)
		return ZONE_NO_MEMORY;
	copy->revision = 0;
	if (here->kind == ENTRY_ARCHIVE)
		copy->of_archive.slot =
			copy_slot(copying, here->of_archive.archived, here->of_archive.slot);
	*ret_copy = copy;
	return ZONE_OK;
}

static enum zone_status put_live(struct difference *difference, const struct entry *here)
{
	const struct store_row *there = side_row(&difference->copying->to, here->uid);
	struct store_change change = {.from_backup = there != NULL && there->removed};
	AUTO(entry_releasep) struct entry *copy = NULL;
	bool same = false;

	TRY(make_copy(difference->copying, here, &copy));
	if (there != NULL && !there->removed) {
		TRY(compare(copy, there->entry, &same));
		copy->revision = there->entry->revision;
		change.before = there->entry;
	}
	return same ? ZONE_OK : add(difference, TAKE(copy), &change);
}

/* What is gone here is gone there, and never comes again. */
static enum zone_status put_tombstone(struct difference *difference, const struct entry *here)
{
	const struct store_row *there = side_row(&difference->copying->to, here->uid);
	struct entry *copy;

	if (there != NULL)
		return ZONE_OK; /* a tombstone too; or it is what put_removed() removes */
	copy = entry_copy(here);
	if (copy != NULL)
		copy->revision = 0;
	return add(difference, copy, &(struct store_change){.remove = true, .from_backup = true});
}

static enum zone_status put_removed(struct difference *difference, const struct entry *there)
{
	const struct store_row *here = side_row(&difference->copying->from, there->uid);

	if (here != NULL && !here->removed)
		return ZONE_OK;
	return add(difference, entry_copy(there), &(struct store_change){.remove = true});
}

/* A name may be another row's in the other store: whoever is to lose it loses it first. */
static enum zone_status put_aside(struct difference *difference, const struct entry *there)
{
	const struct store_row *here = side_row(&difference->copying->from, there->uid);
	struct entry *aside;

	if (there->state != ENTRY_ACTIVE || here == NULL || here->removed ||
	    strcmp(here->entry->label, there->label) == 0)
		return ZONE_OK;
	aside = entry_copy(there);
	if (aside != NULL)
		aside->state = ENTRY_PENDING_DELETION;
	return add(difference, aside, &(struct store_change){.before = there});
}

static bool goes(const struct copying *copying, const struct store_row *row, enum entry_kind kind)
{
	return !row->removed && row->entry->kind == kind &&
	       copying_has(copying, row->entry->project);
}

typedef enum zone_status put_row(struct difference *difference, const struct entry *entry);

static enum zone_status each_of(struct difference *difference, const struct side *side,
				enum entry_kind kind, put_row *put)
{
	for (size_t i = 0; i < side->news.count; i++)
		if (goes(difference->copying, &side->news.rows[i], kind))
			TRY(put(difference, side->news.rows[i].entry));
	return ZONE_OK;
}

static enum zone_status find_aside(struct difference *difference)
{
	for (int kind = ENTRY_ROOT_KEY; kind < ENTRY_KIND_COUNT; kind++)
		if (kind != ENTRY_KEY) /* their labels may be equal */
			TRY(each_of(difference, &difference->copying->to, (enum entry_kind)kind,
				    put_aside));
	return ZONE_OK;
}

/* What goes, before what comes; nothing after what it stands on. */
static enum zone_status find_all(struct difference *difference)
{
	const struct side *from = &difference->copying->from, *to = &difference->copying->to;

	for (int kind = ENTRY_KIND_COUNT; kind-- > ENTRY_ROOT_KEY;)
		TRY(each_of(difference, to, (enum entry_kind)kind, put_removed));
	for (int kind = ENTRY_ROOT_KEY; kind < ENTRY_KIND_COUNT; kind++)
		TRY(each_of(difference, from, (enum entry_kind)kind, put_live));
	for (size_t i = 0; i < from->news.count; i++)
		if (from->news.rows[i].removed)
			TRY(put_tombstone(difference, from->news.rows[i].entry));
	return ZONE_OK;
}

/* --- In parts */

static size_t rows_of(const struct store_change *change)
{
	return ROWS_OF_ONE +
	       (change->entry->kind == ENTRY_ZONE ? change->entry->of_zone.version_count : 0);
}

static size_t size_of(const struct store_change *change)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!change->remove)
		put_text(change->entry, &text);
	return text.len;
}

/* How many of them go at once; one at least. */
static size_t part_of(const struct difference *difference, size_t from)
{
	size_t at = from, rows = 0, size = 0;

	if (difference->copying->to.store->engine->waits_ms == 0)
		return difference->count - from;
	while (at < difference->count && rows < ROWS_AT_ONCE && size < BYTES_AT_ONCE) {
		rows += rows_of(&difference->changes[at]);
		size += size_of(&difference->changes[at]);
		if (at > from && (rows > ROWS_AT_ONCE || size > BYTES_AT_ONCE))
			break;
		at++;
	}
	return at - from;
}

static enum zone_status write_all(struct difference *difference)
{
	size_t part;

	for (size_t from = 0; from < difference->count; from += part) {
		part = part_of(difference, from);
		TRY(copy_write(difference->copying, difference->changes + from, part));
	}
	difference->copying->written += difference->count;
	return ZONE_OK;
}

static enum zone_status set_aside(struct copying *copying)
{
	AUTO(difference_clear) struct difference aside = {.copying = copying};

	TRY(find_aside(&aside));
	if (aside.count == 0)
		return ZONE_OK;
	TRY(write_all(&aside));
	return copy_read_there(copying);
}

enum zone_status copy_rows(struct copying *copying, bool only_count, size_t *ret_count)
{
	AUTO(difference_clear) struct difference difference = {.copying = copying};

	if (!only_count)
		TRY(set_aside(copying));
	TRY(find_all(&difference));
	*ret_count = difference.count;
	return only_count ? ZONE_OK : write_all(&difference);
}
