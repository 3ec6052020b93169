/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of an EZK that are retired: first fenced off, then hidden by every way in, then gone. */
#include "zones/domain/retire.h"

#include "base/macros.h"
#include "zones/domain/state.h"
#include "zones/domain/usage.h"
#include "zones/index/rules.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

#include <inttypes.h>

struct wish {
	const struct entry *zone; /* as the caller knows it */
	uint32_t version;
	enum version_step step;
	struct entry *changed; /* held */
};

/* Its place among the versions. */
static enum zone_status find(const struct entry *zone, uint32_t version, size_t *ret_at)
{
	const struct ezk_version *found = entry_version(zone, version);

	if (found != NULL) {
		*ret_at = (size_t)(found - zone->of_zone.versions);
		return ZONE_OK;
	}
	if (entry_version_is_gone(zone, version))
		return refuse(ZONE_DELETED, "version %" PRIu32 " of zone '%s' is gone for good",
			      version, zone->label);
	return refuse(ZONE_NOT_FOUND, "zone '%s' has no version %" PRIu32 " of its own",
		      zone->label, version);
}

static enum zone_status check_no_token_key(const struct zones *zones, const struct entry *zone,
					   uint32_t version)
{
	const struct entry *key = usage_find_token_key(zones, zone, version);

	if (key == NULL)
		return ZONE_OK;
	return refuse(ZONE_IN_USE,
		      "version %" PRIu32 " of zone '%s' is needed by token key '%s', which it "
		      "wraps; wrap that anew ('cmek database rewrap --token-keys'), or destroy it",
		      version, zone->label, key->label);
}

static enum zone_status check_retirable(const struct zones *zones, const struct entry *zone,
					uint32_t version)
{
	if (version >= zone->of_zone.minimum || version == zone->of_zone.primary ||
	    version == zone->of_zone.raw)
		return refuse(ZONE_IN_USE,
			      "version %" PRIu32 " of zone '%s' is in use: move the fence above it "
			      "first ('cmek database set --min-version', now %" PRIu32 ")",
			      version, zone->label, zone->of_zone.minimum);
	return check_no_token_key(zones, zone, version);
}

/* --- What was imported of it */

bool import_is_orphan(const struct index *index, const struct ezk_version *version)
{
	const struct entry *origin = index_zone(index, version->record_zone);

	if (version->record_zone == 0)
		return false;
	return index_zone_is_gone(index, version->record_zone) ||
	       (origin != NULL && entry_version_is_gone(origin, version->version));
}

struct dropping {
	struct changes *changes;
	uint64_t zone;
	uint32_t version; /* 0: all */
	enum zone_status status;
};

static bool is_of(const struct dropping *dropping, const struct ezk_version *version)
{
	return version->record_zone == dropping->zone &&
	       (dropping->version == 0 || dropping->version == version->version);
}

static enum zone_status drop_from(struct dropping *dropping, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *changed = entry_copy(zone);

	if (changed == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = changed->of_zone.version_count; i-- > 0;)
		if (is_of(dropping, &changed->of_zone.versions[i]))
			zone_drop_version(changed, i);
	return changes_put(dropping->changes, changed);
}

static bool visit_zone(void *state, struct entry *zone)
{
	struct dropping *dropping = state;

	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		if (!is_of(dropping, &zone->of_zone.versions[i]))
			continue;
		dropping->status = drop_from(dropping, zone);
		break;
	}
	return dropping->status == ZONE_OK;
}

static bool visit_project(void *state, struct entry *project)
{
	struct dropping *dropping = state;

	index_each_of(&dropping->changes->zones->index, project->uid, ENTRY_ZONE, visit_zone,
		      dropping);
	return dropping->status == ZONE_OK;
}

enum zone_status imports_drop(struct changes *changes, uint64_t zone, uint32_t version)
{
	struct dropping dropping = {changes, zone, version, ZONE_OK};

	if (changes->zones->index.has_imports)
		index_each_project_of_all(&changes->zones->index, visit_project, &dropping);
	return dropping.status;
}

/* --- A step */

/* Changes the copy; *ret_same: there was nothing to do. */
static enum zone_status apply(const struct zones *zones, const struct wish *wish, size_t at,
			      bool *ret_same)
{
	struct ezk_version *version = &wish->changed->of_zone.versions[at];

	*ret_same =
		wish->step != VERSION_PURGE && version->retired == (wish->step == VERSION_RETIRE);
	if (*ret_same)
		return ZONE_OK;
	if (wish->step == VERSION_PURGE && !version->retired)
		return refuse(ZONE_INVALID,
			      "version %" PRIu32 " of zone '%s' is not retired: retire it first, "
			      "since that can be undone",
			      wish->version, wish->changed->label);
	if (wish->step == VERSION_PURGE) {
		TRY(check_no_token_key(zones, wish->changed, wish->version));
		zone_drop_version(wish->changed, at);
		return ZONE_OK;
	}
	if (wish->step == VERSION_RETIRE)
		TRY(check_retirable(zones, wish->changed, wish->version));
	version->retired = wish->step == VERSION_RETIRE;
	version->delete_after_ms = version->retired ? zones_deletion_ms(zones) : 0;
	return ZONE_OK;
}

static enum zone_status decide(struct changes *changes, void *state)
{
	struct wish *wish = state;
	struct entry *current;
	size_t at = 0;
	bool same;

	entry_release(TAKE(wish->changed));
	TRY(entry_check_current(&changes->zones->index, wish->zone, &current));
	if (current->state != ENTRY_ACTIVE && wish->step != VERSION_PURGE)
		return refuse(ZONE_PENDING_DELETION, "zone '%s' awaits deletion; restore it first",
			      current->label);
	TRY(find(current, wish->version, &at));
	wish->changed = entry_copy(current);
	if (wish->changed == NULL)
		return ZONE_NO_MEMORY;
	TRY(apply(changes->zones, wish, at, &same));
	if (same)
		return ZONE_OK;
	if (wish->step == VERSION_PURGE)
		TRY(imports_drop(changes, current->of_zone.zone, wish->version));
	return changes_put(changes, wish->changed);
}

enum zone_status zones_version_step(struct zones *zones, const struct entry *zone, uint32_t version,
				    enum version_step step)
{
	struct wish wish = {zone, version, step, NULL};
	enum zone_status status = zones_change(zones, decide, &wish);

	entry_release(wish.changed);
	return status;
}
