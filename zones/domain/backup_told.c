/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/backup_told.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/zone.h"
#include "zones/model/refuse.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *hex_json(struct uid uid)
{
	AUTO(buffer_clear) struct buffer text = {0};

	hex_append(&text, bytes(uid.bytes, UID_SIZE));
	return text.failed ? NULL : json_string(buffer_text(&text));
}

static json_t *moment_json(int64_t ms)
{
	char moment[25];

	clock_extended_utc(ms, moment);
	return json_string(moment);
}

static json_t *zone_id_json(uint64_t zone)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, zone);
	return json_string(text);
}

static const char *state_word(const struct entry *entry)
{
	return entry->state == ENTRY_ACTIVE ? "active" : "pending deletion";
}

/* Takes `json`. */
static enum zone_status dump(json_t *json, struct buffer *ret_json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_ENSURE_ASCII);

	json_decref(json);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(ret_json, text);
	free(text);
	return ret_json->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* Of a list and its next value: NULL, and both gone, where memory lacked. */
static json_t *appended(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value) == 0)
		return list;
	json_decref(list);
	return NULL;
}

static size_t count_of(const struct backup *backup, enum entry_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < backup->count; i++)
		count += backup->entries[i]->kind == kind;
	return count;
}

/* --- A backup */

static json_t *root_key_json(const struct told_backup *told, const char *arn)
{
	const struct wrap *wrap = backup_wrap(told->backup, arn);
	enum zone_status status;

	if (wrap == NULL)
		return json_pack("{s:s, s:b, s:s}", "arn", arn, "opens", 0, "why",
				 "it refused when the backup was made");
	if (told->opens == NULL)
		return json_pack("{s:s}", "arn", arn);
	status = told->opens[wrap - told->backup->wraps];
	if (status == ZONE_OK)
		return json_pack("{s:s, s:b}", "arn", arn, "opens", 1);
	return json_pack("{s:s, s:b, s:s}", "arn", arn, "opens", 0, "why",
			 zone_status_text(status));
}

static json_t *root_keys_json(const struct told_backup *told)
{
	json_t *list = json_array();
	struct backup_arns arns;

	backup_arns(told->backup, &arns);
	for (size_t i = 0; i < arns.count && list != NULL; i++)
		list = appended(list, root_key_json(told, arns.list[i]));
	return list;
}

static json_t *database_json(const struct entry *zone)
{
	return json_pack("{s:s, s:o, s:I, s:s, s:b}", "name", zone->label, "zone",
			 zone_id_json(zone->of_zone.zone), "versions",
			 (json_int_t)zone->of_zone.version_count, "state", state_word(zone),
			 "in_store_alone", (int)zones_zone_is_kept(zone));
}

static json_t *databases_json(const struct backup *backup)
{
	json_t *list = json_array();

	for (size_t i = 0; i < backup->count && list != NULL; i++)
		if (backup->entries[i]->kind == ENTRY_ZONE)
			list = appended(list, database_json(backup->entries[i]));
	return list;
}

enum zone_status told_of_backup(const struct told_backup *told, struct buffer *ret_json)
{
	const struct backup *b = told->backup;

	return dump(json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:o, s:I, s:o, s:I, s:I, s:I}",
			      "backup", hex_json(b->id), "made", moment_json(b->made_ms), "project",
			      b->entries[0]->label, "project_id", hex_json(b->project), "whole",
			      b->zone == 0 && !b->embedding_only, "verified", (int)told->verified,
			      "root_keys", root_keys_json(told), "clusters",
			      (json_int_t)count_of(b, ENTRY_CLUSTER), "databases",
			      databases_json(b), "token_keys", (json_int_t)count_of(b, ENTRY_KEY),
			      "tombstones", (json_int_t)b->gone_count, "left_out",
			      (json_int_t)told->left_out),
		    ret_json);
}

/* --- A restore */

static const char *const outcomes[OUTCOME_COUNT] = {
	[OUTCOME_HERE] = "here",	 [OUTCOME_ADDED] = "added",
	[OUTCOME_UPDATED] = "updated",	 [OUTCOME_REVIVED] = "revived",
	[OUTCOME_LEFT_OUT] = "left out", [OUTCOME_CONFLICT] = "conflict",
};

static json_t *entry_json(const struct told_restore *restore, size_t at)
{
	const struct told_entry *told = &restore->entries[at];
	const struct entry *made = restore->made == NULL ? NULL : restore->made[at];
	json_t *json = json_pack("{s:s, s:s, s:s}", "kind", entry_kind_word(told->entry->kind),
				 "name", told->entry->label, "outcome", outcomes[told->outcome]);

	if (json != NULL && told->why != NULL)
		json_object_set_new(json, "why", json_string(told->why));
	if (json != NULL && told->entry->kind == ENTRY_ZONE)
		json_object_set_new(json, "zone", zone_id_json(told->entry->of_zone.zone));
	if (json != NULL && made != NULL && made->kind == ENTRY_ZONE)
		json_object_set_new(json, "new_zone", zone_id_json(made->of_zone.zone));
	return json;
}

static json_t *entries_json(const struct told_restore *told)
{
	json_t *list = json_array();

	for (size_t i = 0; i < told->backup->count && list != NULL; i++)
		list = appended(list, entry_json(told, i));
	return list;
}

static json_int_t outcome_count(const struct told_restore *told, enum outcome outcome)
{
	json_int_t count = 0;

	for (size_t i = 0; i < told->backup->count; i++)
		count += told->entries[i].outcome == outcome;
	return count;
}

static json_t *counts_json(const struct told_restore *told)
{
	json_t *counts = json_object();

	for (int i = 0; i < OUTCOME_COUNT && counts != NULL; i++)
		json_object_set_new(counts, outcomes[i],
				    json_integer(outcome_count(told, (enum outcome)i)));
	return counts;
}

/* The project that was made, where it is another than the backup's. */
static json_t *with_name(const struct told_restore *told, json_t *json)
{
	if (json == NULL || told->as == NULL)
		return json;
	json_object_set_new(json, "as", json_string(told->as));
	if (told->made != NULL && told->made[0] != NULL)
		json_object_set_new(json, "as_id", hex_json(told->made[0]->uid));
	return json;
}

enum zone_status told_of_restore(const struct told_restore *told, struct buffer *ret_json)
{
	const struct backup *b = told->backup;

	return dump(
		with_name(told,
			  json_pack("{s:o, s:o, s:s, s:o, s:s, s:b, s:o, s:I, s:o}", "backup",
				    hex_json(b->id), "made", moment_json(b->made_ms), "project",
				    b->entries[0]->label, "project_id", hex_json(b->project),
				    "vouched_by", told->voucher, "written", (int)told->written,
				    "counts", counts_json(told), "tombstones",
				    (json_int_t)told->tombstones, "entries", entries_json(told))),
		ret_json);
}

enum zone_status told_refuse_conflicts(const struct backup *backup,
				       const struct told_entry *entries, size_t conflicts)
{
	for (size_t i = 0; i < backup->count; i++)
		if (entries[i].outcome == OUTCOME_CONFLICT)
			log_error("restoring %s '%s' of project '%s': %s",
				  entry_kind_word(entries[i].entry->kind), entries[i].entry->label,
				  backup->entries[0]->label, entries[i].why);
	return refuse(ZONE_RESTORE_CONFLICT,
		      "nothing was restored: %zu of the backup's entries %s not fit what is here; "
		      "'cmek restore --dry-run' tells each",
		      conflicts, conflicts == 1 ? "does" : "do");
}
