/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Every write of a project writes its head too, so the heads alone vouch for all rows of it; each
 * row is compared once more. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/model/record.h"
#include "zones/store/dynamodb/write_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LEVEL_NEW = 1,	 /* that each release in use understands, whatever the newest is */
	ITEM_ROOM = 512, /* for an item's key, numbers and names, in bytes */
};

/* --- Operations */

/* Where the next one begins; they may have to be cut into parts. */
static void note_begin(struct dynamodb_attempt *attempt)
{
	size_t capacity = attempt->begin_capacity == 0 ? 128 : attempt->begin_capacity * 2;
	size_t *begins;

	if (attempt->ops.count == attempt->begin_capacity) {
		begins = realloc(attempt->begins, capacity * sizeof(*begins));
		attempt->ops.text.failed |= begins == NULL;
		if (begins == NULL)
			return;
		attempt->begins = begins;
		attempt->begin_capacity = capacity;
	}
	attempt->begins[attempt->ops.count] = attempt->ops.text.len;
}

/* What is put in place later goes by the head alone. */
static struct dynamodb_condition condition_of(const struct dynamodb_attempt *attempt,
					      enum dynamodb_when when, uint64_t rev)
{
	return (struct dynamodb_condition){attempt->in_parts ? WHEN_ANY : when, rev};
}

static void put(struct dynamodb_attempt *attempt, const struct dynamodb_key *key,
		const struct buffer *attributes, struct dynamodb_condition condition)
{
	note_begin(attempt);
	dynamodb_op_put(attempt->dynamodb, &attempt->ops, key, attributes, condition);
}

static void drop(struct dynamodb_attempt *attempt, const struct dynamodb_key *key)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};

	note_begin(attempt);
	dynamodb_op_delete(attempt->dynamodb, &attempt->ops, key, any);
}

/* --- Versions: a zone's row says which it has, and by which write each was written */

/* "RECORD-ZONE/VERSION", as in sort keys and in `have`. */
enum { VERSION_NAME = 16 + 1 + 8 };

static void version_name(const struct ezk_version *version, char ret_name[VERSION_NAME + 1])
{
	snprintf(ret_name, VERSION_NAME + 1, "%016" PRIx64 "/%08" PRIx32, version->record_zone,
		 version->version);
}

/* By which write it was written, as `have` says; NULL: it is not there. */
static const char *find_in(const char *have, const char *name)
{
	const char *found = have == NULL ? NULL : strstr(have, name);

	return found == NULL ? NULL : found + VERSION_NAME + 1;
}

static const struct ezk_version *same_in(const struct entry *zone,
					 const struct ezk_version *version)
{
	for (size_t i = 0; zone != NULL && i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].record_zone == version->record_zone &&
		    zone->of_zone.versions[i].version == version->version)
			return &zone->of_zone.versions[i];
	return NULL;
}

static enum zone_status too_large(struct dynamodb_attempt *attempt, const struct entry *entry,
				  size_t len)
{
	return dynamodb_says(attempt->dynamodb, ZONE_STORE_FULL,
			     "%s '%s' takes %zu bytes, and DynamoDB takes 400 KB an item; nothing "
			     "was written: give it fewer or shorter attributes",
			     entry_kind_word(entry->kind), entry->label, len);
}

static enum zone_status write_version(struct dynamodb_attempt *attempt, const struct entry *zone,
				      const struct ezk_version *version, uint64_t rev)
{
	const struct dynamodb_key key =
		dynamodb_key_version(zone->project, zone->of_zone.zone, version);
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(buffer_clear) struct buffer attributes = {0};

	rows_put_version(zone->of_zone.zone, version, &text);
	if (text.len + ITEM_ROOM > DYNAMODB_ITEM_MAX)
		return too_large(attempt, zone, text.len);
	dynamodb_put_number(&attributes, "rev", rev);
	dynamodb_put_text(&attributes, "v", buffer_text(&text));
	put(attempt, &key, &attributes, condition_of(attempt, WHEN_ANY, 0));
	return ZONE_OK;
}

/* Those that are there and shall not be. */
static void drop_versions(struct dynamodb_attempt *attempt, const struct entry *zone, bool all,
			  const char *have)
{
	struct ezk_version version = {0};

	while (dynamodb_next_version(&have, &version)) {
		const struct dynamodb_key key =
			dynamodb_key_version(zone->project, zone->of_zone.zone, &version);

		if (all || same_in(zone, &version) == NULL)
			drop(attempt, &key);
	}
}

/* Writes those that differ, and appends to `have` what the zone has then. */
static enum zone_status write_versions(struct dynamodb_attempt *attempt,
				       const struct store_change *change,
				       const struct dynamodb_row_now *now, uint64_t rev,
				       struct buffer *have)
{
	const struct entry *zone = change->entry;

	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];
		const struct ezk_version *before = same_in(change->before, version);
		char name[VERSION_NAME + 1];
		const char *was;

		version_name(version, name);
		was = find_in(now->have, name);
		if (was != NULL && before != NULL && ezk_version_same(version, before)) {
			buffer_format(have, "%s@%.*s,", name, (int)strcspn(was, ","), was);
			continue;
		}
		TRY(write_version(attempt, zone, version, rev));
		buffer_format(have, "%s@%" PRIx64 ",", name, rev);
	}
	return ZONE_OK;
}

/* An item that says where a zone is. */
static void write_place(struct dynamodb_attempt *attempt, const struct entry *zone,
			const struct dynamodb_key *key, enum dynamodb_when when)
{
	const struct dynamodb_key project = dynamodb_key_project(zone->project);
	const struct dynamodb_key uid = dynamodb_key_project(zone->uid);
	AUTO(buffer_clear) struct buffer attributes = {0};

	dynamodb_put_text(&attributes, "project", project.sort + 8);
	dynamodb_put_text(&attributes, "uid", uid.sort + 8);
	put(attempt, key, &attributes, condition_of(attempt, when, 0));
}

/* Where a zone is found by its id, also when it is gone. */
static void write_zone(struct dynamodb_attempt *attempt, const struct entry *zone)
{
	const struct dynamodb_key key = dynamodb_key_zone(zone->of_zone.zone);

	write_place(attempt, zone, &key, WHEN_NEW);
}

/* Whether one of its first `count` versions comes from that zone. */
static bool imports(const struct entry *zone, size_t count, uint64_t from)
{
	for (size_t i = 0; i < count; i++)
		if (zone->of_zone.versions[i].record_zone == from)
			return true;
	return false;
}

/* An import is found by where it comes from: an item for all versions that come from one zone,
 * which stays when they go. `was`: what has its items already; NULL: nothing is known to. */
static void write_imports(struct dynamodb_attempt *attempt, const struct entry *is,
			  const struct entry *was)
{
	for (size_t i = 0; i < is->of_zone.version_count; i++) {
		const uint64_t from = is->of_zone.versions[i].record_zone;
		const struct dynamodb_key key = dynamodb_key_import(from, is->uid);

		if (from != 0 && !imports(is, i, from) &&
		    (was == NULL || !imports(was, was->of_zone.version_count, from)))
			write_place(attempt, is, &key, WHEN_ANY);
	}
}

/* --- A row */

static bool was_there(const struct dynamodb_row_now *now)
{
	return now->rev != 0 && !now->row.removed;
}

static void count_zone(const struct store_change *change, const struct dynamodb_row_now *now,
		       struct dynamodb_touched *touched)
{
	if (!change->remove && !was_there(now))
		touched->zones++;
	if (change->remove && was_there(now) && touched->zones > 0)
		touched->zones--;
}

/* A tombstone stays. What an earlier build began to write is not counted from the middle on. */
static void count_row(const struct dynamodb_row_now *now, struct dynamodb_touched *touched)
{
	if (now->rev == 0 && (touched->seen.rev == 0 || touched->seen.rows > 0))
		touched->rows++;
}

static bool is_few(const struct entry *entry)
{
	return entry->kind != ENTRY_ZONE && entry->kind != ENTRY_KEY;
}

/* What every process reads is found by these items. */
static void write_few(struct dynamodb_attempt *attempt, const struct store_change *change,
		      const struct dynamodb_row_now *now)
{
	const struct dynamodb_key key =
		dynamodb_key_few(change->entry->project, change->entry->uid);
	const struct buffer nothing = {0};

	if (!is_few(change->entry) || was_there(now) != change->remove)
		return;
	if (change->remove)
		drop(attempt, &key);
	else
		put(attempt, &key, &nothing, condition_of(attempt, WHEN_ANY, 0));
}

static enum zone_status write_of_zone(struct dynamodb_attempt *attempt,
				      const struct store_change *change,
				      const struct dynamodb_row_now *now,
				      struct dynamodb_touched *touched, struct buffer *have)
{
	count_zone(change, now, touched);
	if (now->rev == 0)
		write_zone(attempt, change->entry);
	drop_versions(attempt, change->entry, change->remove, now->have);
	if (change->remove)
		return ZONE_OK;
	write_imports(attempt, change->entry, change->before);
	return write_versions(attempt, change, now, touched->seen.rev + 1, have);
}

static enum zone_status write_change(struct dynamodb_attempt *attempt,
				     const struct store_change *change,
				     const struct dynamodb_row_now *now)
{
	const struct entry *entry = change->entry;
	struct dynamodb_touched *touched = touched_of(attempt, entry->project);
	const struct dynamodb_key key = dynamodb_key_row(entry->project, entry->uid);
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(buffer_clear) struct buffer have = {0};
	AUTO(buffer_clear) struct buffer label = {0};
	AUTO(buffer_clear) struct buffer attributes = {0};

	if (change->remove)
		rows_put_tombstone(entry, clock_system.realtime_ms(clock_system.state), &text);
	else
		rows_put_entry(entry, &text);
	count_row(now, touched);
	write_few(attempt, change, now);
	if (entry->kind == ENTRY_ZONE)
		TRY(write_of_zone(attempt, change, now, touched, &have));
	if (text.len + have.len + ITEM_ROOM > DYNAMODB_ITEM_MAX)
		return too_large(attempt, entry, text.len + have.len);
	dynamodb_put_number(&attributes, "rev", touched->seen.rev + 1);
	dynamodb_put_text(&attributes, "v", buffer_text(&text));
	if (have.len > 0 || have.failed)
		dynamodb_put_text(&attributes, "have", buffer_text(&have));
	dynamodb_put_label(&label, entry->kind, bytes_of(entry->label));
	if (!change->remove && entry->state == ENTRY_ACTIVE)
		dynamodb_put_text(&attributes, "L", buffer_text(&label));
	put(attempt, &key, &attributes,
	    condition_of(attempt, now->rev == 0 ? WHEN_NEW : WHEN_AT, now->rev));
	return ZONE_OK;
}

static enum zone_status write_changes(struct dynamodb_attempt *attempt)
{
	attempt->ops.count = 0;
	buffer_truncate(&attempt->ops.text, 0);
	for (size_t i = 0; i < attempt->project_count; i++) {
		attempt->projects[i].zones = attempt->projects[i].seen.zones;
		attempt->projects[i].rows = attempt->projects[i].seen.rows;
	}
	for (size_t i = 0; i < attempt->count; i++)
		TRY(write_change(attempt, &attempt->changes[i], &attempt->rows[i]));
	return attempt->ops.text.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- Heads */

static void put_head(struct dynamodb_attempt *attempt, const struct dynamodb_key *key,
		     const struct buffer *attributes, uint64_t seen)
{
	const struct dynamodb_condition condition = {seen == 0 ? WHEN_NEW : WHEN_AT, seen};

	dynamodb_op_put(attempt->dynamodb, &attempt->heads, key, attributes, condition);
}

/* The uids of what is written of a project: those of few rows, or those of the others. */
static uint64_t put_uids(const struct dynamodb_attempt *attempt, struct uid project, bool few,
			 struct buffer *ret_uids)
{
	uint64_t count = 0;

	for (size_t i = 0; i < attempt->count; i++) {
		const struct entry *entry = attempt->changes[i].entry;

		if (!uid_equal(entry->project, project) || is_few(entry) != few)
			continue;
		hex_append(ret_uids, bytes(entry->uid.bytes, UID_SIZE));
		count++;
	}
	return count;
}

static void write_log(struct dynamodb_attempt *attempt, const struct dynamodb_touched *touched)
{
	const uint64_t rev = touched->seen.rev + 1;
	const struct uid project = touched->seen.project;
	const struct dynamodb_key key = dynamodb_key_log(project, rev);
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	AUTO(buffer_clear) struct buffer attributes = {0};
	AUTO(buffer_clear) struct buffer rows = {0};

	dynamodb_put_number(&attributes, "rev", rev);
	dynamodb_put_text(&attributes, "by", attempt->token);
	dynamodb_put_number(&attributes, "few", put_uids(attempt, project, true, &rows));
	put_uids(attempt, project, false, &rows);
	dynamodb_put_text(&attributes, "rows", buffer_text(&rows));
	put_head(attempt, &key, &attributes, 0);
	if (rev > DYNAMODB_LOG_KEPT) {
		const struct dynamodb_key old = dynamodb_key_log(project, rev - DYNAMODB_LOG_KEPT);

		dynamodb_op_delete(attempt->dynamodb, &attempt->heads, &old, any);
	}
}

struct dynamodb_position dynamodb_position_after(const struct dynamodb_attempt *attempt,
						 const struct dynamodb_touched *touched)
{
	struct dynamodb_position after = {
		.project = touched->seen.project,
		.rev = touched->seen.rev + 1,
		.zones = touched->zones,
		.rows = touched->rows,
		.parts = attempt->parts,
	};

	snprintf(after.by, sizeof(after.by), "%s", attempt->token);
	return after;
}

static void write_project(struct dynamodb_attempt *attempt, const struct dynamodb_touched *touched)
{
	const struct dynamodb_key key = dynamodb_key_project(touched->seen.project);
	const struct dynamodb_position after = dynamodb_position_after(attempt, touched);
	AUTO(buffer_clear) struct buffer attributes = {0};

	dynamodb_put_position(&attributes, &after);
	put_head(attempt, &key, &attributes, touched->seen.rev);
	write_log(attempt, touched);
}

/* Of a new store. */
static enum zone_status write_first_head(struct dynamodb_attempt *attempt)
{
	const struct dynamodb_key key = dynamodb_key_head();
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(buffer_clear) struct buffer attributes = {0};

	if (!remote_make_digits(attempt->look.id, ROWS_ID_SIZE))
		return ZONE_NO_MEMORY;
	attempt->look.head.level = attempt->look.head.min_reader = LEVEL_NEW;
	attempt->look.head.min_writer = LEVEL_NEW;
	rows_put_head(attempt->look.id, store_level_row(LEVEL_NEW),
		      clock_system.realtime_ms(clock_system.state), &text);
	dynamodb_put_text(&attributes, "v", buffer_text(&text));
	put_head(attempt, &key, &attributes, 0);
	return ZONE_OK;
}

/* Another one's clock may be ahead, so that it takes these parts for left over and removes them:
 * the first of them first (parts.c). */
static void check_parts(struct dynamodb_attempt *attempt)
{
	const struct dynamodb_condition there = {.when = WHEN_THERE};
	const struct dynamodb_key key =
		dynamodb_key_part(attempt->projects[0].seen.project, attempt->token, 0);

	dynamodb_op_check(attempt->dynamodb, &attempt->heads, &key, there);
}

static enum zone_status write_heads(struct dynamodb_attempt *attempt)
{
	const struct dynamodb_key key = dynamodb_key_wide();
	AUTO(buffer_clear) struct buffer attributes = {0};

	if (!attempt->look.exists)
		TRY(write_first_head(attempt));
	dynamodb_put_number(&attributes, "rev", attempt->look.wide + 1);
	if (attempt->wide)
		put_head(attempt, &key, &attributes, attempt->look.wide);
	for (size_t i = 0; i < attempt->project_count; i++)
		write_project(attempt, &attempt->projects[i]);
	if (attempt->parts > 0)
		check_parts(attempt);
	return attempt->heads.text.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- All of it */

/* A head, a line of the log and an old line of it for each project; and two of the store. */
static bool fits(const struct dynamodb_attempt *attempt)
{
	return attempt->ops.count + 3 * attempt->project_count + 2 <= DYNAMODB_OPS_MAX &&
	       attempt->ops.text.len + attempt->count * 2 * UID_SIZE + (1 << 16) <
		       DYNAMODB_BODY_MAX;
}

enum zone_status dynamodb_make_ops(struct dynamodb_attempt *attempt)
{
	if (!remote_make_digits(attempt->token, sizeof(attempt->token)))
		return ZONE_NO_MEMORY;
	TRY(write_changes(attempt));
	if (!fits(attempt)) {
		attempt->in_parts = true;
		TRY(write_changes(attempt));
		TRY(dynamodb_stage(attempt));
	}
	return write_heads(attempt);
}

void dynamodb_put_transaction(const struct dynamodb_attempt *attempt, struct buffer *ret_body)
{
	buffer_format(ret_body, "{\"ClientRequestToken\":\"%s\",\"TransactItems\":[",
		      attempt->token);
	buffer_append(ret_body, buffer_bytes(&attempt->heads.text));
	if (!attempt->in_parts && attempt->ops.count > 0) {
		buffer_put_text(ret_body, ",");
		buffer_append(ret_body, buffer_bytes(&attempt->ops.text));
	}
	buffer_put_text(ret_body, "]}");
	ret_body->failed |= attempt->heads.text.failed || attempt->ops.text.failed;
}
