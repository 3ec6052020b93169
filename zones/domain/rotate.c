/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The new key is drawn and encrypted first, outside of all locks; then one transaction looks
 * whether the zone is still as it was, and writes the version and the mark on it. */
#include "zones/domain/rotate.h"

#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/standing.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

#include <inttypes.h>

enum { ATTEMPTS = 5 };

/* --- Rotation */

struct rotation {
	struct entry *zone; /* held: the state by which the new version was made */
	uint32_t version;
	bool quiet;
	struct ezk_version made;
	struct entry *result; /* held */
};

static void rotation_clear(struct rotation *rotation)
{
	ezk_version_clear(&rotation->made);
	entry_release(rotation->zone);
	entry_release(rotation->result);
}

static enum zone_status refuse_imported(const struct entry *zone)
{
	return refuse(ZONE_IMPORTED,
		      "database '%s' was imported to be read only: rotate it in the store that it "
		      "comes from",
		      zone->label);
}

static enum zone_status refuse_rotated(const struct entry *zone)
{
	return refuse(ZONE_ROTATED,
		      "database '%s' has been rotated by somebody else meanwhile: its primary "
		      "version is %" PRIu32 "; nothing is left to do",
		      zone->label, zone->of_zone.primary);
}

static enum zone_status refuse_number(const struct entry *zone, uint32_t version)
{
	return refuse(ZONE_INVALID,
		      "database '%s' is rotated to version %" PRIu32 ", the one after its primary, "
		      "and not to %" PRIu32,
		      zone->label, zone->of_zone.primary + 1, version);
}

/* May it be rotated to that version? */
static enum zone_status check(const struct entry *zone, uint32_t version)
{
	if (zone->of_zone.imported)
		return refuse_imported(zone);
	/* Which a live EZK's finder takes for the raw one (zones/ezk/ezk.h) is never reached. */
	if (version <= 1 || version - 1 > zone->of_zone.primary || version >= UINT32_MAX - 1)
		return refuse_number(zone, version);
	return zone->of_zone.primary >= version ? refuse_rotated(zone) : ZONE_OK;
}

/* Is the primary still the one that the new version was made like? */
static bool is_unchanged(const struct entry *before, const struct entry *now)
{
	const struct ezk_version *was = entry_version(before, before->of_zone.primary);
	const struct ezk_version *is = entry_version(now, now->of_zone.primary);

	return was != NULL && is != NULL && ezk_version_same(was, is);
}

/* The zone as it is now, within a transaction. */
static enum zone_status find_current(const struct changes *changes, const struct entry *zone,
				     struct entry **ret_current)
{
	const struct index *index = &changes->zones->index;
	struct entry *current = index_uid(index, zone->uid);
	uint64_t id = zone->of_zone.zone;

	if (current == NULL || !index_is_visible(index, current))
		return refuse(ZONE_NOT_FOUND, "database '%s' is not there any more", zone->label);
	TRY(standing_refuse(changes->zones, id, 0, standing_of(changes->zones, id)));
	*ret_current = current;
	return ZONE_OK;
}

/* The rules look at the zone alone, and whose its id is. */
static enum zone_status change_zone(struct zones *zones, const struct entry *zone,
				    changes_decide *decide_it, void *state)
{
	const struct store_key keys[] = {
		{.by = STORE_BY_UID, .uid = zone->uid},
		{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone->of_zone.zone},
	};

	return zones_change_known(zones, keys, COUNT_OF(keys), decide_it, state);
}

static enum zone_status decide(struct changes *changes, void *state)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	struct rotation *rotation = state;
	struct entry *current;

	entry_release(TAKE(rotation->result));
	TRY(find_current(changes, rotation->zone, &current));
	TRY(check(current, rotation->version));
	if (!is_unchanged(rotation->zone, current))
		return ZONE_CONFLICT; /* it is made anew */
	rotation->result = entry_copy(current);
	if (rotation->result == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_copy(&rotation->made, &version));
	TRY(zone_take_version(rotation->result, &version));
	rotation->result->of_zone.primary = rotation->version;
	return changes_put(changes, rotation->result);
}

/* The newest state of it that is known, if it may be used. */
static enum zone_status hold_newest(struct zones *zones, const struct entry *zone,
				    struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *newest = NULL;
	uint64_t id = zone->of_zone.zone;

	TRY(zones_meet_uid(zones, zone->uid, &newest));
	if (newest == NULL)
		return zones_zone_missing(zones, id);
	TRY(zones_know_zone(zones, id));
	TRY(standing_refuse(zones, id, 0, standing_now(zones, id)));
	*ret_zone = TAKE(newest);
	return ZONE_OK;
}

static enum zone_status seal(struct zones *zones, struct rotation *rotation)
{
	const struct entry *zone = rotation->zone;
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, zone->project);
	const struct kms_door door = {
		.clients = zones->clients,
		.project = entry_label(project),
		.project_id = zone->project,
		.zone = zone->label,
		.zone_id = zone->of_zone.zone,
		.version = rotation->version,
		.quiet = rotation->quiet,
	};
	const struct ezk_seal ezk_seal = {
		.identity = {.zone = zone->of_zone.zone, .version = rotation->version},
		.created_ms = zones_now_ms(zones),
		.from_kms = zones->settings.ezk_from_kms,
		.like = entry_version(zone, zone->of_zone.primary),
	};

	if (ezk_seal.like == NULL)
		return refuse(ZONE_RECORD_CORRUPT,
			      "database '%s' lacks its primary version; restore the store from a "
			      "backup",
			      zone->label);
	return ezk_version_seal(&door, &ezk_seal, &rotation->made);
}

static enum zone_status try_once(struct zones *zones, const struct entry *zone,
				 struct rotation *rotation)
{
	TRY(zones_refresh(zones, true));
	TRY(hold_newest(zones, zone, &rotation->zone));
	TRY(check(rotation->zone, rotation->version));
	TRY(seal(zones, rotation));
	return change_zone(zones, zone, decide, rotation);
}

static enum zone_status rotate(struct zones *zones, const struct entry *zone, uint32_t version,
			       bool quiet, struct entry **ret_zone)
{
	enum zone_status status = ZONE_CONFLICT;

	/* A root key may be taken from it, or given to it, while the KMS is asked. */
	for (int i = 0; i < ATTEMPTS && status == ZONE_CONFLICT; i++) {
		AUTO(rotation_clear)
		struct rotation rotation = {.version = version, .quiet = quiet};

		status = try_once(zones, zone, &rotation);
		if (status == ZONE_OK && ret_zone != NULL)
			*ret_zone = TAKE(rotation.result);
	}
	return status;
}

enum zone_status zones_zone_rotate(struct zones *zones, const struct entry *zone, uint32_t version,
				   struct entry **ret_zone)
{
	return rotate(zones, zone, version, false, ret_zone);
}

enum zone_status zone_rotate_quietly(struct zones *zones, const struct entry *zone,
				     uint32_t version)
{
	return rotate(zones, zone, version, true, NULL);
}

/* --- Marks */

struct marking {
	const struct entry *zone; /* as the caller knows it */
	enum zone_mark mark;
	uint32_t value;
	struct entry *result; /* held */
};

static enum zone_status check_raw(const struct entry *zone, uint32_t value)
{
	const struct ezk_version *version = entry_version(zone, value);

	if (version == NULL)
		return refuse(ZONE_INVALID, "database '%s' has no version %" PRIu32, zone->label,
			      value);
	if (version->retired)
		return refuse(ZONE_PENDING_DELETION,
			      "version %" PRIu32 " of database '%s' awaits deletion; restore it "
			      "first, or choose another",
			      value, zone->label);
	if (value < zone->of_zone.minimum)
		return refuse(ZONE_FENCED,
			      "version %" PRIu32 " of database '%s' is fenced off: its minimum "
			      "version is %" PRIu32 "; lower that first",
			      value, zone->label, zone->of_zone.minimum);
	return ZONE_OK;
}

static enum zone_status check_minimum(const struct entry *zone, uint32_t value)
{
	if (value == 0 || value > zone->of_zone.primary)
		return refuse(ZONE_INVALID,
			      "the minimum version of database '%s' is from 1 to %" PRIu32
			      ", its primary version, and not %" PRIu32,
			      zone->label, zone->of_zone.primary, value);
	if (value > zone->of_zone.raw)
		return refuse(ZONE_IN_USE,
			      "version %" PRIu32 " of database '%s' is what raw mechanisms use; "
			      "move the raw version first, or choose a minimum that is no greater",
			      zone->of_zone.raw, zone->label);
	return ZONE_OK;
}

static enum zone_status check_rotate_days(const struct entry *zone, uint32_t value)
{
	if (value > ROTATE_DAYS_MAX)
		return refuse(ZONE_INVALID,
			      "a database is rotated after at most %d days, and not %" PRIu32,
			      ROTATE_DAYS_MAX, value);
	return value > 0 && zone->of_zone.imported ? refuse_imported(zone) : ZONE_OK;
}

static const struct mark_row {
	enum zone_status (*check)(const struct entry *zone, uint32_t value);
	size_t field;
} marks[ZONE_MARK_COUNT] = {
	[ZONE_RAW] = {check_raw, offsetof(struct entry, of_zone.raw)},
	[ZONE_MINIMUM] = {check_minimum, offsetof(struct entry, of_zone.minimum)},
	[ZONE_ROTATE_DAYS] = {check_rotate_days, offsetof(struct entry, of_zone.rotate_days)},
};

static uint32_t *field_of(struct entry *zone, enum zone_mark mark)
{
	return (uint32_t *)(void *)((uint8_t *)zone + marks[mark].field);
}

static enum zone_status decide_mark(struct changes *changes, void *state)
{
	struct marking *marking = state;
	struct entry *current;

	entry_release(TAKE(marking->result));
	TRY(find_current(changes, marking->zone, &current));
	TRY(marks[marking->mark].check(current, marking->value));
	if (*field_of(current, marking->mark) == marking->value) {
		marking->result = entry_hold(current);
		return ZONE_OK;
	}
	marking->result = entry_copy(current);
	if (marking->result == NULL)
		return ZONE_NO_MEMORY;
	*field_of(marking->result, marking->mark) = marking->value;
	return changes_put(changes, marking->result);
}

enum zone_status zones_zone_mark(struct zones *zones, const struct entry *zone, enum zone_mark mark,
				 uint32_t value, struct entry **ret_zone)
{
	struct marking marking = {zone, mark, value, NULL};
	enum zone_status status = change_zone(zones, zone, decide_mark, &marking);

	if (status == ZONE_OK)
		*ret_zone = marking.result;
	else
		entry_release(marking.result);
	return status;
}
