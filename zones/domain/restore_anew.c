/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore under another name makes by the KMS, without any lock: entries like those of the
 * backup, with ids and keys of their own. */
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "zones/domain/new_zone.h"
#include "zones/domain/restore_as.h"
#include "zones/domain/token_key.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/canary.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/entry_make.h"
#include "zones/model/record.h"

/* A copy under a uid of its own, active, in the new project. */
static enum zone_status make_copy(struct restore_anew *anew, size_t at, struct entry **ret_copy)
{
	AUTO(entry_releasep) struct entry *copy = NULL;

	TRY(entry_make_active(anew->backup->entries[at], &copy));
	TRY(uid_new(&copy->uid));
	copy->number = 0;
	copy->revision = 0;
	copy->project = at == 0 ? copy->uid : anew->made[0]->uid;
	copy->created_ms = zones_now_ms(anew->zones);
	*ret_copy = TAKE(copy);
	return ZONE_OK;
}

static enum zone_status make_project(struct restore_anew *anew, size_t at)
{
	TRY(make_copy(anew, at, &anew->made[at]));
	anew->made[at]->of_project.announced_ms = 0;
	return entry_set_text(&anew->made[at]->label, anew->wish->as) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* KMS: the old canary is bound to the old project. */
static enum zone_status make_root_key(struct restore_anew *anew, size_t at)
{
	AUTO(buffer_clear) struct buffer canary = {0};

	TRY(make_copy(anew, at, &anew->made[at]));
	TRY(canary_make(anew->zones->clients, anew->made[at], anew->made[0], &canary));
	return entry_set_bytes(&anew->made[at]->of_root_key.canary, buffer_bytes(&canary))
		       ? ZONE_OK
		       : ZONE_NO_MEMORY;
}

/* The new uid of what has that one in the backup; zeros: it does not come. */
static struct uid new_uid(const struct restore_anew *anew, enum entry_kind kind, struct uid uid)
{
	const struct entry *entry = backup_find(anew->backup, kind, uid);
	const struct entry *made = entry == NULL ? NULL : anew->made[entry->number - 1];

	return made == NULL ? (struct uid){0} : made->uid;
}

static enum zone_status make_cluster(struct restore_anew *anew, size_t at)
{
	struct entry *cluster;

	TRY(make_copy(anew, at, &cluster));
	anew->made[at] = cluster;
	cluster->of_cluster.root_key = new_uid(anew, ENTRY_ROOT_KEY, cluster->of_cluster.root_key);
	cluster->of_cluster.leaving = new_uid(anew, ENTRY_ROOT_KEY, cluster->of_cluster.leaving);
	return ZONE_OK;
}

/* --- Databases */

static struct kms_door door_of(const struct restore_anew *anew, const struct entry *zone,
			       uint64_t id, uint32_t version)
{
	return (struct kms_door){
		.clients = anew->zones->clients,
		.project = anew->made[0]->label,
		.project_id = anew->made[0]->uid,
		.zone = zone->label,
		.zone_id = id,
		.version = version,
	};
}

/* KMS: a new EZK, limited and wrapped as the old zone's primary version. */
static enum zone_status seal(const struct restore_anew *anew, const struct entry *zone,
			     const struct ezk_version *primary, struct ezk_version *ret_version)
{
	const struct kms_door door = door_of(anew, zone, zone->of_zone.zone, 1);
	struct ezk_version like = *primary; /* shallow */
	const struct ezk_seal ezk_seal = {
		.identity = {.zone = zone->of_zone.zone, .version = 1},
		.created_ms = zone->created_ms,
		.from_kms = anew->zones->settings.ezk_from_kms,
		.like = &like,
	};

	like.project = zone->project;
	like.cluster = zone->of_zone.cluster;
	return ezk_version_seal(&door, &ezk_seal, ret_version);
}

static bool imports_now(const struct restore_anew *anew, const struct entry *old,
			const struct ezk_version *version)
{
	bool imports;

	pthread_rwlock_rdlock(&anew->zones->lock);
	imports = restore_anew_imports(anew, old, version);
	pthread_rwlock_unlock(&anew->zones->lock);
	return imports;
}

/* The old zone's versions become imports, behind a place for its own; what is not imported stays
 * away. */
static enum zone_status import_versions(const struct restore_anew *anew, const struct entry *old,
					struct entry *zone)
{
	struct ezk_version own = {0};

	while (zone->of_zone.version_count > 0)
		zone_drop_version(zone, zone->of_zone.version_count - 1);
	TRY(zone_take_version(zone, &own));
	for (size_t i = 0; i < old->of_zone.version_count; i++) {
		const struct ezk_version *version = &old->of_zone.versions[i];
		struct ezk_version copy = {0};

		if (!imports_now(anew, old, version))
			continue;
		TRY(ezk_version_copy(version, &copy));
		if (copy.record_zone == 0)
			copy.record_zone = old->of_zone.zone;
		TRY(zone_take_version(zone, &copy));
	}
	return ZONE_OK;
}

static enum zone_status take_id(struct restore_anew *anew, const struct entry *old,
				struct entry *zone)
{
	uint8_t before[8], after[8];

	TRY(zone_id_draw(anew->zones, &zone->of_zone.zone));
	put_big_endian(before, sizeof(before), old->of_zone.zone);
	put_big_endian(after, sizeof(after), zone->of_zone.zone);
	if (!bytes_equal(zone->id, bytes(before, sizeof(before))))
		return ZONE_OK; /* somebody's own */
	return entry_set_bytes(&zone->id, bytes(after, sizeof(after))) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* All but its own version. */
static enum zone_status make_bare_zone(struct restore_anew *anew, size_t at)
{
	const struct entry *old = anew->backup->entries[at];
	struct entry *zone;

	TRY(make_copy(anew, at, &zone));
	anew->made[at] = zone;
	TRY(take_id(anew, old, zone));
	zone->of_zone.cluster = new_uid(anew, ENTRY_CLUSTER, old->of_zone.cluster);
	zone->of_zone.primary = zone->of_zone.raw = zone->of_zone.minimum = 1;
	zone->of_zone.imported = false;
	return import_versions(anew, old, zone);
}

/* --- Token keys */

/* They are the last of a backup's entries. */
static size_t first_key(const struct backup *backup)
{
	size_t at = backup->count;

	while (at > 0 && backup->entries[at - 1]->kind == ENTRY_KEY)
		at--;
	return at;
}

/* Which come, the plan has said. */
static bool is_wrapped_by(const struct entry *key, uint64_t zone, const struct ezk_version *version)
{
	uint32_t number;
	uint64_t id;

	return token_key_place(key->of_key.wrapped, &id, &number) && number == version->version &&
	       version->record_zone == zone;
}

/* Those of a zone that are wrapped by that version of it. */
static enum zone_status take_keys_along(struct restore_anew *anew, const struct entry *old,
					const struct entry *zone, const struct ezk_version *version,
					const uint8_t *ezk_from, const uint8_t *ezk_to)
{
	for (size_t i = first_key(anew->backup); i < anew->backup->count; i++) {
		const struct entry *key = anew->backup->entries[i];

		if (key->of_key.zone != old->of_zone.zone || anew->told[i].outcome != OUTCOME_ADDED)
			continue;
		if (!is_wrapped_by(key, old->of_zone.zone, version))
			continue;
		TRY(make_copy(anew, i, &anew->made[i]));
		anew->made[i]->of_key.zone = zone->of_zone.zone;
		TRY(token_key_take_along(key, ezk_from, anew->made[i], ezk_to, 1));
	}
	return ZONE_OK;
}

static bool has_keys(const struct restore_anew *anew, const struct entry *old)
{
	for (size_t i = first_key(anew->backup); i < anew->backup->count; i++)
		if (anew->backup->entries[i]->of_key.zone == old->of_zone.zone)
			return true;
	return false;
}

/* KMS: the root key has to say yes to each, and its MAC to be good, before anything opens by it. */
static enum zone_status open_import(struct restore_anew *anew, const struct entry *old,
				    const struct entry *zone, struct ezk_version *version,
				    const uint8_t *ezk_to)
{
	const struct kms_door door = door_of(anew, zone, version->record_zone, version->version);
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_open(&door, version->record_zone, version, ezk));
	if (!ezk_fingerprint(ezk, version->fingerprint))
		return ZONE_NO_MEMORY;
	return ezk_to == NULL ? ZONE_OK : take_keys_along(anew, old, zone, version, ezk, ezk_to);
}

/* KMS: what was made opens, which is shown before anything is wrapped by it. */
static enum zone_status open_own(const struct restore_anew *anew, const struct entry *zone,
				 uint8_t **ret_ezk)
{
	const struct kms_door door = door_of(anew, zone, zone->of_zone.zone, 1);
	AUTO(secret_freep) uint8_t *ezk = secret_new(EZK_SIZE);

	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_version_open(&door, zone->of_zone.zone, &zone->of_zone.versions[0], ezk));
	*ret_ezk = TAKE(ezk);
	return ZONE_OK;
}

static enum zone_status make_zone(struct restore_anew *anew, size_t at)
{
	const struct entry *old = anew->backup->entries[at];
	AUTO(secret_freep) uint8_t *ezk = NULL;
	struct entry *zone;

	TRY(make_bare_zone(anew, at));
	zone = anew->made[at];
	TRY(seal(anew, zone, entry_version(old, old->of_zone.primary), &zone->of_zone.versions[0]));
	if (has_keys(anew, old))
		TRY(open_own(anew, zone, &ezk));
	for (size_t i = 1; i < zone->of_zone.version_count; i++)
		TRY(open_import(anew, old, zone, &zone->of_zone.versions[i], ezk));
	return ZONE_OK;
}

/* In the backup's order each entry comes behind what it stands on, and keys with their zone. */
enum zone_status restore_anew_make(struct restore_anew *anew)
{
	static enum zone_status (*const makers[ENTRY_KIND_COUNT])(struct restore_anew *, size_t) = {
		[ENTRY_PROJECT] = make_project,
		[ENTRY_ROOT_KEY] = make_root_key,
		[ENTRY_CLUSTER] = make_cluster,
		[ENTRY_ZONE] = make_zone,
	};

	for (size_t i = 0; i < anew->backup->count; i++) {
		const struct entry *entry = anew->backup->entries[i];

		if (anew->told[i].outcome == OUTCOME_ADDED && makers[entry->kind] != NULL)
			TRY(makers[entry->kind](anew, i));
	}
	return ZONE_OK;
}
