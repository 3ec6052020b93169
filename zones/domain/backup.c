/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups are made of one state of the index. A random key makes their MAC; root keys encrypt it,
 * under a purpose of its own. */
#include "zones/domain/backup.h"

#include "base/clock.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "zones/domain/backup_told.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/index/rules.h"
#include "zones/kms/audit.h"
#include "zones/kms/door.h"
#include "zones/model/backup.h"
#include "zones/model/entry_make.h"
#include "zones/model/refuse.h"

#include <stdio.h>

_Static_assert((int)BACKUP_MAC_SIZE == (int)SHA256_SIZE, "the MAC is HMAC-SHA-256");

enum { KEY_SIZE = 32 };

/* --- The MAC key, by the KMS */

struct mac_context {
	char project[2 * UID_SIZE + 1], backup[2 * UID_SIZE + 1];
	struct kms_pair pairs[3];
	struct kms_context context;
};

static void put_hex(struct uid uid, char *ret_text)
{
	for (size_t i = 0; i < UID_SIZE; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", uid.bytes[i]);
}

static void mac_context_init(struct mac_context *c, const struct backup *backup)
{
	put_hex(backup->project, c->project);
	put_hex(backup->id, c->backup);
	c->pairs[0] = (struct kms_pair){"cmek:purpose", "backup"};
	c->pairs[1] = (struct kms_pair){"cmek:project", c->project};
	c->pairs[2] = (struct kms_pair){"cmek:backup", c->backup};
	c->context = (struct kms_context){c->pairs, COUNT_OF(c->pairs)};
}

static const char *project_of(const struct backup *backup)
{
	return backup->count == 0 ? NULL : backup->entries[0]->label;
}

static struct kms_door door_of(struct zones *zones, const struct backup *backup, const char *arn,
			       struct mac_context *context)
{
	mac_context_init(context, backup);
	return (struct kms_door){
		.clients = zones->clients,
		.key = arn,
		.context = &context->context,
		.project = project_of(backup),
		.project_id = backup->project,
	};
}

static bool mac_of(const uint8_t *key, struct bytes covered, uint8_t ret_mac[static SHA256_SIZE])
{
	return hmac_once(DIGEST_SHA256, bytes(key, KEY_SIZE), &covered, 1, ret_mac);
}

/* KMS: whether what a root key opens makes the file's MAC. */
static enum zone_status check_by(struct zones *zones, struct bytes file,
				 const struct backup *backup, const struct wrap *wrap)
{
	AUTO(buffer_clear) struct buffer key = {0};
	uint8_t made[SHA256_SIZE];
	struct mac_context context;
	const struct kms_door door = door_of(zones, backup, wrap->arn, &context);
	struct bytes mac, covered = backup_covered(file, &mac);

	TRY(door_decrypt(&door, wrap->blob, &key));
	if (key.len != KEY_SIZE)
		return ZONE_BACKUP_CORRUPT;
	if (!mac_of(key.data, covered, made))
		return ZONE_NO_MEMORY;
	return bytes_equal_constant_time(mac, bytes(made, sizeof(made))) ? ZONE_OK
									 : ZONE_BACKUP_CORRUPT;
}

static enum zone_status refuse_mac(enum zone_status status)
{
	if (status != ZONE_BACKUP_CORRUPT && status != ZONE_KMS_INVALID_CIPHERTEXT &&
	    status != ZONE_KMS_INCORRECT_KEY)
		return status;
	return refuse(ZONE_BACKUP_CORRUPT,
		      "the backup is not what was written: its MAC does not fit it; use another "
		      "copy of it");
}

enum zone_status backup_check_mac(struct zones *zones, struct bytes file,
				  const struct backup *backup, const bool *may,
				  const char **ret_voucher)
{
	enum zone_status answer = ZONE_BACKUP_CORRUPT;
	bool first = true;

	for (size_t i = 0; i < backup->wrap_count; i++) {
		enum zone_status status;

		if (!may[i])
			continue;
		status = check_by(zones, file, backup, &backup->wraps[i]);
		*ret_voucher = backup->wraps[i].arn;
		if (status == ZONE_OK || status == ZONE_BACKUP_CORRUPT || status == ZONE_NO_MEMORY)
			return refuse_mac(status);
		if (first || zone_status_is_no(status))
			answer = status;
		first = false;
	}
	return refuse_mac(answer);
}

/* --- Making */

struct making {
	struct zones *zones;
	const struct backup_wish *wish;
	struct backup backup;
	struct uid cluster; /* of the only database */
	size_t left_out;
	bool no_memory;
};

static void making_clear(struct making *making)
{
	backup_clear(&making->backup);
}

static void take(struct making *making, struct entry *entry)
{
	making->no_memory |= !backup_add(&making->backup, entry);
}

static bool take_all(void *state, struct entry *entry)
{
	take(state, entry);
	return true;
}

static bool take_cluster(void *state, struct entry *cluster)
{
	struct making *making = state;

	if (making->wish->zone == 0 || uid_equal(cluster->uid, making->cluster))
		take(making, cluster);
	return true;
}

static bool take_zone(void *state, struct entry *zone)
{
	struct making *making = state;

	if (making->wish->zone != 0 && zone->of_zone.zone != making->wish->zone)
		return true;
	if (making->wish->embedding_only && zones_zone_is_kept(zone))
		making->left_out++;
	else
		take(making, zone);
	return true;
}

static bool take_key(void *state, struct entry *key)
{
	struct making *making = state;

	if (backup_zone(&making->backup, key->of_key.zone) != NULL)
		take(making, key);
	return true;
}

static void take_gone(struct making *making)
{
	const struct index_grave *grave;
	size_t at = 0;

	while (making->wish->zone == 0 &&
	       (grave = index_next_grave(&making->zones->index, &at)) != NULL)
		making->no_memory |= !backup_add_gone(&making->backup, grave->uid, grave->zone);
}

static enum zone_status find_only(struct making *making, struct uid project)
{
	const struct entry *zone = index_zone(&making->zones->index, making->wish->zone);

	if (making->wish->zone == 0)
		return ZONE_OK;
	if (zone == NULL || !uid_equal(zone->project, project))
		return refuse(ZONE_NOT_FOUND, "the project has no such database to back up");
	making->cluster = zone->of_zone.cluster;
	return ZONE_OK;
}

/* With the index's lock held: one state of it. A backup of one database has all root keys, which
 * are few. */
static enum zone_status collect(struct making *making, struct uid project)
{
	const struct index *index = &making->zones->index;

	TRY(project_check_newest(index, project));
	if (!index_project_active(index, project))
		return refuse(ZONE_NOT_FOUND, "the project is not there any more");
	TRY(find_only(making, project));
	take(making, index_uid(index, project));
	index_each_of(index, project, ENTRY_ROOT_KEY, take_all, making);
	index_each_of(index, project, ENTRY_CLUSTER, take_cluster, making);
	index_each_of(index, project, ENTRY_ZONE, take_zone, making);
	index_each_of(index, project, ENTRY_KEY, take_key, making);
	take_gone(making);
	return making->no_memory ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status collect_locked(struct making *making, struct uid project)
{
	enum zone_status status;

	pthread_rwlock_rdlock(&making->zones->lock);
	status = collect(making, project);
	pthread_rwlock_unlock(&making->zones->lock);
	if (status != ZONE_OK || making->wish->zone == 0 || making->left_out == 0)
		return status;
	return refuse(ZONE_RECORD_KEPT, "the database keeps its key in its store alone: it is left "
					"out, and nothing remains to back up");
}

/* KMS. A root key more does not stop the backup if it refuses; its blob is then missing. */
static enum zone_status wrap_by(struct making *making, const char *arn, const uint8_t *key,
				enum zone_status *refused)
{
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	struct mac_context context;
	const struct kms_door door = door_of(making->zones, &making->backup, arn, &context);
	enum zone_status status = door_encrypt(&door, bytes(key, KEY_SIZE), &blob);

	if (status != ZONE_OK) {
		*refused = status;
		return status == ZONE_NO_MEMORY || status == ZONE_AUDIT_UNAVAILABLE ? status
										    : ZONE_OK;
	}
	if (blob.failed || blob.len == 0)
		return ZONE_KMS_BAD_ANSWER;
	return backup_add_wrap(&making->backup, arn, buffer_bytes(&blob)) ? ZONE_OK
									  : ZONE_NO_MEMORY;
}

static enum zone_status wrap_key(struct making *making, const uint8_t *key)
{
	enum zone_status refused = ZONE_OK;
	struct backup_arns arns;

	backup_arns(&making->backup, &arns);
	if (arns.count == 0)
		return refuse(ZONE_NO_ROOT_KEY,
			      "project '%s' has no root key that could protect a "
			      "backup; add one ('cmek key add')",
			      project_of(&making->backup));
	for (size_t i = 0; i < arns.count; i++)
		TRY(wrap_by(making, arns.list[i], key, &refused));
	return making->backup.wrap_count > 0 ? ZONE_OK : refused;
}

static enum zone_status seal(struct making *making, struct buffer *file)
{
	AUTO(secret_freep) uint8_t *key = secret_new(KEY_SIZE);
	uint8_t mac[SHA256_SIZE];

	if (key == NULL)
		return ZONE_NO_MEMORY;
	if (!crypto_random(key, KEY_SIZE))
		return ZONE_NOT_STARTED;
	TRY(uid_new(&making->backup.id));
	TRY(wrap_key(making, key));
	TRY(backup_encode(&making->backup, file));
	if (!mac_of(key, buffer_bytes(file), mac))
		return ZONE_NO_MEMORY;
	buffer_append(file, bytes(mac, sizeof(mac)));
	return file->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status audit_made(const struct backup *backup)
{
	return audit_write(&(struct audit_event){
		.event = "project",
		.action = "backed up",
		.outcome = "ok",
		.project = project_of(backup),
		.project_id = backup->project,
		.name = project_of(backup),
		.zone = backup->zone,
		.duration_us = -1,
	});
}

enum zone_status zones_backup_make(struct zones *zones, struct uid project,
				   const struct backup_wish *wish, struct buffer *ret_file,
				   struct buffer *ret_told)
{
	AUTO(making_clear) struct making making = {.zones = zones, .wish = wish};
	struct told_backup told = {.backup = &making.backup, .verified = true};

	TRY(audit_ready());
	TRY(zones_refresh(zones, true));
	TRY(zones_know_all(zones));
	making.backup.made_ms = zones_now_ms(zones);
	making.backup.project = project;
	making.backup.zone = wish->zone;
	making.backup.embedding_only = wish->embedding_only;
	TRY(collect_locked(&making, project));
	TRY(seal(&making, ret_file));
	told.left_out = making.left_out;
	TRY(told_of_backup(&told, ret_told));
	return audit_made(&making.backup);
}

/* --- Verifying */

/* Every root key is asked, since each is to be known to open what it protects. */
static enum zone_status verify_all(struct zones *zones, struct bytes file,
				   const struct backup *backup, enum zone_status *opens)
{
	enum zone_status answer = ZONE_BACKUP_CORRUPT;
	bool good = false;

	for (size_t i = 0; i < backup->wrap_count; i++) {
		opens[i] = check_by(zones, file, backup, &backup->wraps[i]);
		if (opens[i] == ZONE_BACKUP_CORRUPT || opens[i] == ZONE_NO_MEMORY)
			return refuse_mac(opens[i]);
		good |= opens[i] == ZONE_OK;
		if (i == 0 || zone_status_is_no(opens[i]))
			answer = opens[i];
	}
	return good ? ZONE_OK : refuse_mac(answer);
}

enum zone_status zones_backup_verify(struct zones *zones, struct bytes file, bool offline,
				     struct buffer *ret_told)
{
	AUTO(backup_clear) struct backup backup = {0};
	enum zone_status opens[BACKUP_WRAPS_MAX];
	struct told_backup told = {.backup = &backup, .verified = !offline};

	TRY(backup_decode(file, &backup));
	if (!offline) {
		TRY(verify_all(zones, file, &backup, opens));
		told.opens = opens;
	}
	return told_of_backup(&told, ret_told);
}
