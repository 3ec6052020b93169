/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones that leave as record sets and come back: to where they were lost, or as imported ones,
 * which keep the old ids and context and decrypt only. And EZKs that the customer made. */
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/new_zone.h"
#include "zones/domain/rewrap_private.h"
#include "zones/domain/root_key_private.h"
#include "zones/domain/standing.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/names.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"
#include "zones/model/title.h"
#include "zones/model/wraps.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_exported(const struct ezk_version *version)
{
	return version->record_zone == 0 && !version->retired;
}

enum zone_status zones_zone_export(struct zones *zones, const struct entry *zone,
				   struct buffer *ret_records)
{
	/* Shallow copies, of its own versions that open something. */
	AUTO(freep)
	struct ezk_version *versions = calloc(zone->of_zone.version_count + 1, sizeof(*versions));
	struct record_set set = {zone->of_zone.zone, versions, 0};

	if (versions == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (is_exported(&zone->of_zone.versions[i]))
			versions[set.count++] = zone->of_zone.versions[i];
	if (record_set_is_kept(&set))
		return refuse(ZONE_RECORD_KEPT,
			      "%s keeps its key in this store alone (CKA_CMEK_EMBED_EZK is "
			      "FALSE): it is not exported; to have a copy, back up the store",
			      zone_title(zones, zone->of_zone.zone).text);
	return record_set_encode(&set, ret_records);
}

bool zones_zone_is_wrapped_by(const struct zones *zones, const struct entry *zone,
			      const struct entry *root_key)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	return primary != NULL && ezk_version_has_wrap_by(kms_clients_providers(zones->clients),
							  primary, root_key->of_root_key.arn);
}

bool zones_zone_is_kept(const struct entry *zone)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	return primary != NULL && limits_get_kept(primary->limits);
}

enum zone_status zones_zone_record(const struct entry *zone, uint32_t version,
				   struct buffer *ret_record)
{
	const struct ezk_version *found = entry_version(zone, version);

	if (found == NULL)
		return ZONE_NOT_FOUND;
	if (limits_get_kept(found->limits))
		return ZONE_RECORD_KEPT;
	return record_encode(zone->of_zone.zone, found, ret_record);
}

struct known_keys {
	struct zones *zones;
	struct uid project;
};

static bool is_known(void *state, const char *arn)
{
	const struct known_keys *known = state;

	return rewrap_has_root_key(known->zones, known->project, arn);
}

/* By the root key; of two owners by the other's, too, which the project must have. */
static void keep_trusted(struct zones *zones, struct uid project, const char *arn,
			 struct ezk_version *version)
{
	const struct kms_provider *const *providers = kms_clients_providers(zones->clients);
	struct known_keys known = {zones, project};

	if (version->all_wraps)
		ezk_version_keep_shares(providers, version, arn, is_known, &known);
	else
		ezk_version_keep_wraps(providers, version, arn);
}

/* Opens a version by the root key that it is to be trusted by, and no other, which also tells its
 * fingerprint. KMS. */
static enum zone_status open_version(struct zones *zones, struct uid project,
				     const struct kms_door *door, uint64_t zone, const char *arn,
				     struct ezk_version *version)
{
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	keep_trusted(zones, project, arn, version);
	if (version->wrap_count > 0 &&
	    !ezk_version_fits_policy(kms_clients_providers(zones->clients), version))
		return refuse(
			ZONE_NO_ROOT_KEY,
			"version %" PRIu32 " of %s needs the root keys of two owners, and the "
			"project has not both; add the other ('cmek key add')",
			version->version, zone_title_as(door->zone, door->project, zone).text);
	if (version->wrap_count == 0)
		return refuse(ZONE_KMS_INCORRECT_KEY,
			      "version %" PRIu32 " of %s is not encrypted by %s", version->version,
			      zone_title_as(door->zone, door->project, zone).text, arn);
	TRY(ezk_version_open(door, zone, version, ezk));
	return ezk_fingerprint(ezk, version->fingerprint) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status open_all(struct zones *zones, const struct new_zone *new,
				 struct record_set *set)
{
	struct kms_door door = {
		.clients = zones->clients,
		.project = new->place.project->label,
		.project_id = new->place.project->uid,
		.zone = new->zone->label,
		.zone_id = set->zone,
	};

	for (size_t i = 0; i < set->count; i++) {
		door.version = set->versions[i].version;
		TRY(open_version(zones, new->place.project->uid, &door, set->zone,
				 zone_place_root_key(&new->place)->of_root_key.arn,
				 &set->versions[i]));
	}
	return ZONE_OK;
}

/* The set does not say which version was the raw one; it began as the first. */
static void take_versions(struct entry *zone, struct record_set *set)
{
	zone->of_zone.primary = set->versions[set->count - 1].version;
	zone->of_zone.raw = zone->of_zone.minimum = set->versions[0].version;
	zone->usages &= set->versions[set->count - 1].greatest_usages;
	zone->of_zone.versions = TAKE(set->versions);
	zone->of_zone.version_count = set->count;
	*set = (struct record_set){0};
}

/* Nor does a zone come back so that was deleted here: only a restore names what it brings back. */
static enum zone_status check_here(struct zones *zones, uint64_t zone)
{
	enum zone_status why;
	bool lives;

	pthread_rwlock_rdlock(&zones->lock);
	lives = index_zone(&zones->index, zone) != NULL;
	why = standing_of(zones, zone);
	pthread_rwlock_unlock(&zones->lock);
	if (why == ZONE_DELETED || why == ZONE_PENDING_DELETION)
		return standing_refuse(zones, zone, 0, why);
	return lives ? refuse(ZONE_EXISTS, "%s lives in this store", zone_title(zones, zone).text)
		     : ZONE_OK;
}

static enum zone_status check_root_key(const struct entry *root_key, struct uid project)
{
	if (root_key->kind == ENTRY_ROOT_KEY && uid_equal(root_key->project, project))
		return ZONE_OK;
	return refuse(ZONE_NOT_FOUND, "the root key is not one of the project's");
}

static enum zone_status import_set(struct zones *zones, struct uid project,
				   const struct entry *root_key, struct record_set *set,
				   bool imported, const struct entry_names *names,
				   struct entry **ret_zone)
{
	AUTO(new_zone_clear) struct new_zone new = {.returns = true};

	TRY(check_root_key(root_key, project));
	TRY(record_set_refuse_kept(set));
	TRY(label_check(ENTRY_ZONE, names->label));
	TRY(zones_refresh(zones, true));
	TRY(check_here(zones, set->zone));
	TRY(zone_place_find(zones, project, names->label, root_key, &new.place));
	TRY(new_zone_prepare(zones, set->zone, names, &new));
	TRY(open_all(zones, &new, set));
	take_versions(new.zone, set);
	new.zone->of_zone.imported = imported;
	if (imported) {
		new.zone->usages &= USAGE_DECRYPT | USAGE_VERIFY | USAGE_UNWRAP;
		new.zone->of_zone.rotate_days = 0;
	}
	TRY(new_zone_commit(zones, &new));
	*ret_zone = TAKE(new.zone);
	return ZONE_OK;
}

enum zone_status zones_zone_import(struct zones *zones, struct uid project,
				   const struct entry *root_key, struct bytes records,
				   bool imported, const struct entry_names *names,
				   struct entry **ret_zone)
{
	AUTO(record_set_clear) struct record_set set = {0};
	enum zone_status status = record_set_decode(records, &set);
	uint64_t id = set.zone;

	if (status == ZONE_OK)
		status = import_set(zones, project, root_key, &set, imported, names, ret_zone);
	else if (status == ZONE_INVALID)
		status = refuse(ZONE_INVALID, "these bytes are not the records of a zone");
	return new_zone_ended(zones, project, names->label, id, status);
}

/* The EZK that somebody encrypted by the root key. KMS. */
static enum zone_status open_blob(struct zones *zones, struct uid project,
				  const struct entry *root_key, const struct kms_context *context,
				  struct bytes blob, struct buffer *ret_plaintext)
{
	TRY(check_root_key(root_key, project));
	TRY(root_key_decrypt_for(zones, root_key, "import", context, blob, ret_plaintext));
	return ret_plaintext->len == EZK_SIZE
		       ? ZONE_OK
		       : refuse(ZONE_INVALID, "an EZK has %d bytes, and this one %zu", EZK_SIZE,
				ret_plaintext->len);
}

enum zone_status zones_zone_import_blob(struct zones *zones, struct uid project,
					const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					const struct entry_names *names, struct entry **ret_zone)
{
	AUTO(buffer_clear) struct buffer plaintext = {0};
	enum zone_status status = label_check(ENTRY_ZONE, names->label);

	if (status == ZONE_OK)
		status = open_blob(zones, project, root_key, context, blob, &plaintext);
	if (status != ZONE_OK)
		return new_zone_ended(zones, project, names->label, 0, status);
	return new_zone_create(zones, project, root_key, plaintext.data, names, ret_zone);
}
