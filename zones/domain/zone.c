/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making zones. The EZK is drawn and encrypted first, outside of all locks; then one transaction
 * checks the rules once more and writes all of it, or nothing. */
#include "zones/domain/zone.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/domain/lookup.h"
#include "zones/domain/new_zone.h"
#include "zones/domain/partial.h"
#include "zones/domain/rewrap_private.h"
#include "zones/domain/standing.h"
#include "zones/domain/zones.h"
#include "zones/index/rules.h"
#include "zones/kms/audit.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/entry_make.h"
#include "zones/model/names.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

#include <inttypes.h>
#include <stdlib.h>

void new_zone_clear(struct new_zone *new)
{
	zone_place_clear(&new->place);
	entry_release(TAKE(new->second));
	entry_release(new->zone);
	new->zone = NULL;
}

static bool was_used(struct zones *zones, uint64_t zone)
{
	bool used;

	pthread_rwlock_rdlock(&zones->lock);
	used = index_zone_was_used(&zones->index, zone);
	pthread_rwlock_unlock(&zones->lock);
	return used;
}

enum zone_status zone_id_draw(struct zones *zones, uint64_t *ret_zone)
{
	uint64_t zone;

	do {
		if (!crypto_random(&zone, sizeof(zone)))
			return ZONE_NOT_STARTED;
		zone &= ZONE_ID_MAX;
	} while (zone == 0 || was_used(zones, zone));
	*ret_zone = zone;
	return ZONE_OK;
}

enum zone_status zone_default_label(struct entry *zone)
{
	AUTO(buffer_clear) struct buffer label = {0};

	buffer_format(&label, "zone-%" PRIu64, zone->of_zone.zone);
	return entry_set_text(&zone->label, buffer_bytes(&label)) && !label.failed ? ZONE_OK
										   : ZONE_NO_MEMORY;
}

void new_zone_keys_clear(struct new_zone_keys *keys)
{
	buffer_clear(&keys->other);
}

enum zone_status new_zone_list_keys(const struct entry *zone, struct new_zone_keys *keys)
{
	struct store_key label = {.by = STORE_BY_LABEL,
				  .kind = ENTRY_ZONE,
				  .project = zone->project,
				  .label = bytes_of(zone->label)};
	const char *other = label_other_spelling(zone->label, &keys->other);

	if (keys->other.failed)
		return ZONE_NO_MEMORY;
	keys->keys[keys->count++] = (struct store_key){
		.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone->of_zone.zone};
	keys->keys[keys->count++] = label;
	if (other != NULL) {
		label.label = bytes_of(other);
		keys->keys[keys->count++] = label;
	}
	return ZONE_OK;
}

/* Before the KMS is asked in vain. */
static enum zone_status know_label(struct zones *zones, const struct entry *zone)
{
	const struct bytes label = bytes_of(zone->label);
	struct entry_filter filter = {.project = zone->project, .label = &label};

	filter.kinds[ENTRY_ZONE] = true;
	return zones_know_filter(zones, &filter);
}

static enum zone_status check_label(struct zones *zones, const struct entry *zone)
{
	enum zone_status status;

	TRY(know_label(zones, zone));
	pthread_rwlock_rdlock(&zones->lock);
	status = label_check_free(&zones->index, zone);
	if (status == ZONE_OK)
		status = standing_check_name(zones, zone);
	pthread_rwlock_unlock(&zones->lock);
	return status;
}

enum zone_status new_zone_prepare(struct zones *zones, uint64_t id, const struct entry_names *names,
				  struct new_zone *new)
{
	uint8_t id_bytes[8];
	struct entry *zone;

	TRY(entry_make(ENTRY_ZONE, new->place.project->uid, zones_now_ms(zones), &new->zone));
	zone = new->zone;
	zone->of_zone.zone = id;
	zone->of_zone.cluster = new->place.cluster->uid;
	zone->of_zone.rotate_days = names->rotate_days.named ? names->rotate_days.days
							     : zones->settings.new_zone_rotate_days;
	put_big_endian(id_bytes, sizeof(id_bytes), id);
	if (!entry_set_bytes(&zone->id, bytes(id_bytes, sizeof(id_bytes))))
		return ZONE_NO_MEMORY;
	TRY(zone_default_label(zone));
	TRY(entry_take_names(zone, names));
	return check_label(zones, zone);
}

static char *text_of(struct bytes label)
{
	struct buffer text = {0};

	buffer_append(&text, label);
	return buffer_take_text(&text);
}

/* In an outage whoever tries again and again leaves one line, not one for each. */
static bool is_new_refusal(struct zones *zones, enum zone_status status)
{
	enum zone_status outage = zone_status_is_outage(status) ? status : ZONE_OK;

	return (atomic_exchange(&zones->no_creation, outage) != outage || outage == ZONE_OK) &&
	       status != ZONE_OK;
}

enum zone_status new_zone_ended(struct zones *zones, struct uid project_uid, struct bytes label,
				uint64_t id, enum zone_status status)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(freep) char *name = NULL;

	if (!is_new_refusal(zones, status))
		return status;
	project = zones_find_uid(zones, project_uid);
	name = text_of(label);
	audit_write(&(struct audit_event){
		.event = "zone",
		.action = "creation refused",
		.outcome = zone_status_text(status),
		.project = entry_label(project),
		.project_id = project_uid,
		.name = name,
		.zone = id,
		.duration_us = -1,
	});
	return status;
}

/* --- Within a transaction */

static enum zone_status check_fingerprints(const struct index *index, const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct entry *other = fingerprint_find_other(
			index, zone->of_zone.zone, zone->of_zone.versions[i].fingerprint);

		if (other != NULL)
			return refuse(ZONE_EXISTS,
				      "this key is that of %s already, and one key can't serve two "
				      "zones",
				      zone_title_in(index, other->of_zone.zone).text);
	}
	return ZONE_OK;
}

/* It is as it was found. */
static enum zone_status check_second(const struct index *index, const struct new_zone *new)
{
	const struct entry *current =
		new->second == NULL ? NULL : index_uid(index, new->second->uid);

	return new->second == NULL || (current != NULL && current->state == ENTRY_ACTIVE)
		       ? ZONE_OK
		       : ZONE_CONFLICT;
}

enum zone_status new_zone_decide(struct changes *changes, struct new_zone *new)
{
	const struct index *index = &changes->zones->index;

	TRY(zone_place_put(changes, &new->place));
	TRY(check_second(index, new));
	TRY(label_check_free(index, new->zone));
	TRY(standing_check_name(changes->zones, new->zone));
	if (index_zone(index, new->zone->of_zone.zone) != NULL)
		return new->returns ? refuse(ZONE_EXISTS, "%s lives in this store",
					     zone_title_in(index, new->zone->of_zone.zone).text)
				    : ZONE_CONFLICT;
	if (index_zone_was_used(index, new->zone->of_zone.zone))
		return new->returns ? ZONE_DELETED : ZONE_CONFLICT;
	TRY(check_fingerprints(index, new->zone));
	return changes_put(changes, new->zone);
}

static enum zone_status decide(struct changes *changes, void *state)
{
	return new_zone_decide(changes, state);
}

enum zone_status new_zone_commit(struct zones *zones, struct new_zone *new)
{
	AUTO(new_zone_keys_clear) struct new_zone_keys keys = {0};

	if (new->returns || new->brought)
		return zones_change(zones, decide, new);
	TRY(new_zone_list_keys(new->zone, &keys));
	return zones_change_known(zones, keys.keys, keys.count, decide, new);
}

/* --- With a key that is drawn now, or one that is brought */

static struct lease_bounds bounds_of(const struct zones *zones, const struct entry_names *names)
{
	struct lease_bounds bounds = zones->settings.new_zone;

	if (names->max_lease.named)
		bounds.max_lease = names->max_lease.seconds;
	if (names->max_stale.named)
		bounds.max_stale = names->max_stale.seconds;
	return bounds;
}

static bool is_kept(const struct zones *zones, const struct entry_names *names)
{
	return names->kept.named ? names->kept.value : zones->settings.new_zone_kept;
}

enum zone_status new_zone_seal(const struct zones *zones, const uint8_t *key,
			       const struct entry_names *names, struct new_zone *new)
{
	struct entry *zone = new->zone;
	const struct entry *root_key = zone_place_root_key(&new->place);
	const struct kms_door door = {
		.clients = zones->clients,
		.key = root_key->of_root_key.arn,
		.project = new->place.project->label,
		.project_id = new->place.project->uid,
		.zone = zone->label,
		.zone_id = zone->of_zone.zone,
		.version = 1,
	};
	const struct ezk_seal ezk_seal = {
		.identity = {zone->project, zone->of_zone.cluster, zone->of_zone.zone, 1,
			     bounds_of(zones, names)},
		.greatest_usages = zone->usages,
		.limits = names->limits,
		.kept = is_kept(zones, names),
		.created_ms = zone->created_ms,
		.from_kms = zones->settings.ezk_from_kms,
		.key = key,
		.second = new->second == NULL ? NULL : new->second->of_root_key.arn,
	};

	zone->of_zone.primary = zone->of_zone.raw = zone->of_zone.minimum = 1;
	zone->of_zone.versions = calloc(1, sizeof(*zone->of_zone.versions));
	if (zone->of_zone.versions == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_seal(&door, &ezk_seal, &zone->of_zone.versions[0]));
	zone->of_zone.version_count = 1;
	return ZONE_OK;
}

/* NULL: it has one owner. */
static enum zone_status find_owners(struct zones *zones, struct uid project,
				    const struct entry_names *names, struct entry **ret_first,
				    struct entry **ret_second)
{
	if (names->both[0].len == 0)
		return ZONE_OK;
	TRY(rewrap_find_root_key(zones, project, names->both[0], ret_first));
	return rewrap_find_root_key(zones, project, names->both[1], ret_second);
}

/* The second may be in another region, and not with another provider. */
static enum zone_status check_owner(const struct new_zone *new)
{
	const struct entry *cluster = new->place.cluster;

	if (new->second == NULL ||
	    strcmp(new->second->of_root_key.provider, cluster->of_cluster.provider) == 0)
		return ZONE_OK;
	return refuse(ZONE_WRONG_PROVIDER,
		      "root key '%s' is a key of provider %s, and cluster '%s' has %s",
		      new->second->label, new->second->of_root_key.provider, cluster->label,
		      cluster->of_cluster.provider);
}

enum zone_status new_zone_find(struct zones *zones, struct uid project,
			       const struct entry *root_key, const struct entry_names *names,
			       uint64_t *ret_id, struct new_zone *new)
{
	AUTO(entry_releasep) struct entry *first = NULL;

	TRY(find_owners(zones, project, names, &first, &new->second));
	TRY(zone_place_find(zones, project, names->label, first != NULL ? first : root_key,
			    &new->place));
	TRY(check_owner(new));
	TRY(zone_id_draw(zones, ret_id));
	return new_zone_prepare(zones, *ret_id, names, new);
}

static enum zone_status try_once(struct zones *zones, struct uid project,
				 const struct entry *root_key, const uint8_t *key,
				 const struct entry_names *names, uint64_t *ret_id,
				 struct entry **ret_zone)
{
	AUTO(new_zone_clear) struct new_zone new = {.brought = key != NULL};

	TRY(zones_refresh(zones, true));
	TRY(new_zone_find(zones, project, root_key, names, ret_id, &new));
	TRY(new_zone_seal(zones, key, names, &new));
	TRY(new_zone_commit(zones, &new));
	*ret_zone = TAKE(new.zone);
	return ZONE_OK;
}

enum zone_status new_zone_create(struct zones *zones, struct uid project,
				 const struct entry *root_key, const uint8_t *key,
				 const struct entry_names *names, struct entry **ret_zone)
{
	enum zone_status status = ZONE_CONFLICT;
	uint64_t id = 0;

	/* Two processes may both bring the default cluster; the second then uses the first's. */
	for (int i = 0; i < NEW_ZONE_ATTEMPTS && status == ZONE_CONFLICT; i++)
		status = try_once(zones, project, root_key, key, names, &id, ret_zone);
	return new_zone_ended(zones, project, names->label, id, status);
}

enum zone_status zones_zone_create(struct zones *zones, struct uid project,
				   const struct entry_names *names, struct entry **ret_zone)
{
	return new_zone_create(zones, project, NULL, NULL, names, ret_zone);
}

struct zone_title zone_title(struct zones *zones, uint64_t zone)
{
	struct zone_title title;

	pthread_rwlock_rdlock(&zones->lock);
	title = zone_title_in(&zones->index, zone);
	pthread_rwlock_unlock(&zones->lock);
	return title;
}
