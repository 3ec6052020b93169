/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macros.h"
#include "zones/store/dynamodb/write_private.h"

#include <stdlib.h>

/* --- Which projects */

static bool touch(struct dynamodb_attempt *attempt, struct uid uid)
{
	const struct dynamodb_position *seen;
	struct dynamodb_touched *projects;

	if (touched_of(attempt, uid) != NULL)
		return true;
	projects = realloc(attempt->projects, (attempt->project_count + 1) * sizeof(*projects));
	if (projects == NULL)
		return false;
	attempt->projects = projects;
	projects += attempt->project_count++;
	seen = dynamodb_position_of(&attempt->look.at, uid);
	*projects = (struct dynamodb_touched){.seen.project = uid};
	if (seen != NULL)
		projects->seen = *seen;
	projects->zones = projects->seen.zones;
	return true;
}

enum zone_status dynamodb_plan(struct dynamodb_attempt *attempt)
{
	attempt->wide = !attempt->look.exists;
	for (size_t i = 0; i < attempt->count; i++) {
		const struct store_change *change = &attempt->changes[i];

		TRY(dynamodb_check_readable(attempt->dynamodb, change));
		attempt->wide |= remote_is_wide(change) || remote_imports(change);
		if (!touch(attempt, change->entry->project))
			return ZONE_NO_MEMORY;
	}
	attempt->rows = calloc(attempt->count, sizeof(*attempt->rows));
	return attempt->rows == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- The rows */

/* Which change is about the row with that key. */
static size_t change_of(const struct dynamodb_attempt *attempt, struct uid uid)
{
	size_t i = 0;

	while (i < attempt->count && !uid_equal(attempt->changes[i].entry->uid, uid))
		i++;
	return i;
}

static enum zone_status visit_row(void *state, const json_t *item)
{
	struct dynamodb_attempt *attempt = state;
	const char *sort = dynamodb_text(item, "SK");
	struct rows_reading reading = {.newer =
					       attempt->look.head.level > store_level_understood()};
	struct dynamodb_row_now *now;
	struct uid uid;
	size_t at;

	if (strncmp(sort, "row/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return dynamodb_damaged(attempt->dynamodb, sort, "SK");
	at = change_of(attempt, uid);
	if (at == attempt->count)
		return ZONE_OK;
	now = &attempt->rows[at];
	entry_release(now->row.entry);
	free(now->have);
	now->rev = dynamodb_number(item, "rev");
	now->have = strdup(dynamodb_text(item, "have"));
	if (rows_read_entry(&reading, bytes_of(dynamodb_text(item, "v")), now->rev, &now->row) ==
	    ZONE_STORE_CORRUPT)
		return dynamodb_damaged(attempt->dynamodb, sort,
					reading.fault == NULL ? "as a whole" : reading.fault);
	return now->have == NULL || (now->row.entry == NULL && reading.unknown == 0)
		       ? ZONE_NO_MEMORY
		       : ZONE_OK;
}

enum zone_status dynamodb_look_at_rows(struct dynamodb_attempt *attempt)
{
	struct dynamodb_key *keys = calloc(attempt->count, sizeof(*keys));
	enum zone_status status;

	if (keys == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < attempt->count; i++)
		keys[i] = dynamodb_key_row(attempt->changes[i].entry->project,
					   attempt->changes[i].entry->uid);
	status = dynamodb_fetch(attempt->dynamodb, keys, attempt->count, visit_row, attempt);
	free(keys);
	TRY(status);
	for (size_t i = 0; i < attempt->count; i++)
		attempt->again |= attempt->rows[i].rev >
				  touched_of(attempt, attempt->changes[i].entry->project)->seen.rev;
	return ZONE_OK;
}

/* --- Whether the changes are based on what is there */

enum zone_status dynamodb_check_changes(const struct dynamodb_attempt *attempt)
{
	for (size_t i = 0; i < attempt->count; i++)
		if (!remote_fits(&attempt->changes[i], &attempt->rows[i].row, attempt->rows[i].rev))
			return ZONE_CONFLICT;
	return ZONE_OK;
}
