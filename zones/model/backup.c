/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups are written and read entry by entry. A reader believes nothing: lengths, texts, numbers
 * and how the parts fit are checked before anybody sees them. */
#include "zones/model/backup.h"

#include "base/encode.h"
#include "base/macros.h"
#include "base/reader.h"
#include "kms/kms.h"
#include "zones/model/names.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

static const char magic[4] = {'C', 'B', 'A', 'K'};

enum {
	LENGTH_AT = 8, /* of the file's length */
	EMBEDDING_ONLY = 1,
	VERSION_RETIRED = 1,
	VERSIONS_MAX = 1 << 20,
};

/* Kinds of items, in their order in a file: never renumbered. */
enum item {
	ITEM_PROJECT = 1,
	ITEM_ROOT_KEY,
	ITEM_CLUSTER,
	ITEM_ZONE,
	ITEM_TOKEN_KEY,
	ITEM_GONE,
	ITEM_END
};
static const enum entry_kind kinds[ITEM_GONE] = {
	[ITEM_PROJECT] = ENTRY_PROJECT, [ITEM_ROOT_KEY] = ENTRY_ROOT_KEY,
	[ITEM_CLUSTER] = ENTRY_CLUSTER, [ITEM_ZONE] = ENTRY_ZONE,
	[ITEM_TOKEN_KEY] = ENTRY_KEY,
};

/* --- In memory */

static void drop_wraps(struct wrap *wraps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(wraps[i].arn);
		free((void *)(uintptr_t)wraps[i].blob.data);
	}
	free(wraps);
}

void backup_clear(struct backup *backup)
{
	drop_wraps(backup->wraps, backup->wrap_count);
	for (size_t i = 0; i < backup->count; i++)
		entry_release(backup->entries[i]);
	free(backup->entries);
	free(backup->gone);
	map_clear(&backup->uids);
	map_clear(&backup->zones);
	*backup = (struct backup){0};
}

/* Room for one more in an array that grows by doubling; NULL: no memory. */
static void *grown(void *array, size_t count, size_t size)
{
	return (count & (count - 1)) != 0 ? array
					  : realloc(array, (count == 0 ? 1 : 2 * count) * size);
}

bool backup_add_wrap(struct backup *backup, const char *arn, struct bytes blob)
{
	struct wrap wrap = {0}, *wraps;

	if (backup->wrap_count == BACKUP_WRAPS_MAX)
		return false;
	wraps = grown(backup->wraps, backup->wrap_count, sizeof(*wraps));
	if (wraps == NULL)
		return false;
	backup->wraps = wraps;
	if (!entry_set_text(&wrap.arn, bytes_of(arn)))
		return false;
	if (!entry_set_bytes(&wrap.blob, blob)) {
		free(wrap.arn);
		return false;
	}
	wraps[backup->wrap_count++] = wrap;
	return true;
}

bool backup_add(struct backup *backup, struct entry *entry)
{
	struct entry **entries = grown(backup->entries, backup->count, sizeof(struct entry *));

	if (entries == NULL)
		return false;
	backup->entries = entries;
	entries[backup->count++] = entry_hold(entry);
	return map_put(&backup->uids, bytes(entry->uid.bytes, UID_SIZE), entry) &&
	       (entry->kind != ENTRY_ZONE ||
		map_put(&backup->zones, bytes(&entry->of_zone.zone, sizeof(entry->of_zone.zone)),
			entry));
}

bool backup_add_gone(struct backup *backup, struct uid uid, uint64_t zone)
{
	struct backup_gone *gone = grown(backup->gone, backup->gone_count, sizeof(*gone));

	if (gone == NULL)
		return false;
	backup->gone = gone;
	gone[backup->gone_count++] = (struct backup_gone){uid, zone};
	return true;
}

struct entry *backup_find(const struct backup *backup, enum entry_kind kind, struct uid uid)
{
	struct entry *found = map_find(&backup->uids, bytes(uid.bytes, UID_SIZE));

	return found != NULL && found->kind == kind ? found : NULL;
}

struct entry *backup_zone(const struct backup *backup, uint64_t zone)
{
	return map_find(&backup->zones, bytes(&zone, sizeof(zone)));
}

static void note_arn(struct backup_arns *arns, const char *arn)
{
	for (size_t i = 0; i < arns->count; i++)
		if (strcmp(arns->list[i], arn) == 0)
			return;
	if (arns->count < BACKUP_WRAPS_MAX)
		arns->list[arns->count++] = arn;
}

static void note_zone(struct backup_arns *arns, const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];

		for (size_t j = 0; j < version->wrap_count; j++)
			if (version->wraps[j].state != WRAP_REPLACED)
				note_arn(arns, version->wraps[j].arn);
	}
}

void backup_arns(const struct backup *backup, struct backup_arns *ret_arns)
{
	*ret_arns = (struct backup_arns){0};
	for (size_t i = 0; i < backup->count; i++)
		if (backup->entries[i]->kind == ENTRY_ZONE)
			note_zone(ret_arns, backup->entries[i]);
	for (size_t i = 0; i < backup->count && backup->zones.count == 0; i++)
		if (backup->entries[i]->kind == ENTRY_ROOT_KEY &&
		    backup->entries[i]->state == ENTRY_ACTIVE)
			note_arn(ret_arns, backup->entries[i]->of_root_key.arn);
}

const struct wrap *backup_wrap(const struct backup *backup, const char *arn)
{
	for (size_t i = 0; i < backup->wrap_count; i++)
		if (strcmp(backup->wraps[i].arn, arn) == 0)
			return &backup->wraps[i];
	return NULL;
}

/* --- Writing */

static void put_uid(struct buffer *out, struct uid uid)
{
	buffer_append(out, bytes(uid.bytes, UID_SIZE));
}

static void put_long(struct buffer *out, struct bytes value)
{
	buffer_put_u32(out, (uint32_t)value.len);
	buffer_append(out, value);
}

static void put_common(struct buffer *out, const struct entry *entry)
{
	put_uid(out, entry->uid);
	buffer_put_u8(out, (uint8_t)entry->state);
	buffer_put_u64(out, (uint64_t)entry->created_ms);
	buffer_put_u64(out, (uint64_t)entry->delete_after_ms);
	buffer_put_u32(out, entry->usages);
	buffer_put_sized(out, bytes_of(entry->label));
	buffer_put_sized(out, entry->id);
	/* A project's is the mark of its move to another store: not in a backup. */
	put_long(out, entry->kind == ENTRY_PROJECT ? bytes(NULL, 0) : entry->extra);
}

static enum zone_status put_version(struct buffer *out, uint64_t zone,
				    const struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer record = {0};
	uint64_t record_zone = ezk_version_bound(zone, version);

	TRY(record_encode(record_zone, version, &record));
	buffer_put_u8(out, version->retired ? VERSION_RETIRED : 0);
	buffer_put_u64(out, (uint64_t)version->delete_after_ms);
	buffer_append(out, bytes(version->fingerprint, sizeof(version->fingerprint)));
	put_long(out, buffer_bytes(&record));
	for (size_t i = 0; i < version->wrap_count; i++)
		buffer_put_u8(out, (uint8_t)version->wraps[i].state);
	return ZONE_OK;
}

static enum zone_status put_zone(struct buffer *out, const struct entry *zone)
{
	buffer_put_u64(out, zone->of_zone.zone);
	put_uid(out, zone->of_zone.cluster);
	buffer_put_u32(out, zone->of_zone.primary);
	buffer_put_u32(out, zone->of_zone.raw);
	buffer_put_u32(out, zone->of_zone.minimum);
	buffer_put_u8(out, zone->of_zone.imported);
	buffer_put_u32(out, zone->of_zone.rotate_days);
	buffer_put_u32(out, (uint32_t)zone->of_zone.version_count);
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		TRY(put_version(out, zone->of_zone.zone, &zone->of_zone.versions[i]));
	return ZONE_OK;
}

static void put_root_key(struct buffer *out, const struct entry *root_key)
{
	buffer_put_u8(out, root_key->of_root_key.multi_region);
	buffer_put_sized(out, bytes_of(root_key->of_root_key.arn));
	buffer_put_sized(out, bytes_of(root_key->of_root_key.provider));
	buffer_put_sized(out, bytes_of(root_key->of_root_key.region));
	buffer_put_sized(out, root_key->of_root_key.canary);
}

static void put_cluster(struct buffer *out, const struct entry *cluster)
{
	buffer_put_sized(out, bytes_of(cluster->of_cluster.provider));
	buffer_put_sized(out, bytes_of(cluster->of_cluster.region));
	put_uid(out, cluster->of_cluster.root_key);
	put_uid(out, cluster->of_cluster.leaving);
}

static void put_key(struct buffer *out, const struct entry *key)
{
	buffer_put_u64(out, key->of_key.zone);
	buffer_put_u32(out, key->of_key.key_type);
	buffer_put_u32(out, key->of_key.value_len);
	put_long(out, key->of_key.wrapped);
}

static enum zone_status put_body(struct buffer *out, const struct entry *entry)
{
	put_common(out, entry);
	if (entry->kind == ENTRY_ROOT_KEY)
		put_root_key(out, entry);
	else if (entry->kind == ENTRY_CLUSTER)
		put_cluster(out, entry);
	else if (entry->kind == ENTRY_ZONE)
		return put_zone(out, entry);
	else if (entry->kind == ENTRY_KEY)
		put_key(out, entry);
	return ZONE_OK;
}

static enum item item_of(enum entry_kind kind)
{
	enum item item = ITEM_PROJECT;

	while (item < ITEM_GONE && kinds[item] != kind)
		item++;
	return item;
}

static void put_item(struct buffer *out, enum item item, struct bytes body)
{
	buffer_put_u8(out, (uint8_t)item);
	put_long(out, body);
}

static enum zone_status put_entry(struct buffer *out, const struct entry *entry)
{
	AUTO(buffer_clear) struct buffer body = {0};

	TRY(put_body(&body, entry));
	if (body.failed)
		return ZONE_NO_MEMORY;
	put_item(out, item_of(entry->kind), buffer_bytes(&body));
	return ZONE_OK;
}

static void put_gone(struct buffer *out, const struct backup_gone *gone)
{
	uint8_t body[UID_SIZE + 8];

	memcpy(body, gone->uid.bytes, UID_SIZE);
	put_big_endian(body + UID_SIZE, 8, gone->zone);
	put_item(out, ITEM_GONE, bytes(body, sizeof(body)));
}

static void put_head(struct buffer *out, const struct backup *backup)
{
	buffer_append(out, bytes(magic, sizeof(magic)));
	buffer_put_u32(out, (uint32_t)BACKUP_FORMAT << 24);
	buffer_put_u64(out, 0); /* the length comes last */
	put_uid(out, backup->id);
	buffer_put_u64(out, (uint64_t)backup->made_ms);
	put_uid(out, backup->project);
	buffer_put_u64(out, backup->zone);
	buffer_put_u32(out, backup->embedding_only ? EMBEDDING_ONLY : 0);
	buffer_put_u8(out, (uint8_t)backup->wrap_count);
	for (size_t i = 0; i < backup->wrap_count; i++) {
		buffer_put_sized(out, bytes_of(backup->wraps[i].arn));
		buffer_put_sized(out, backup->wraps[i].blob);
	}
}

enum zone_status backup_encode(const struct backup *backup, struct buffer *out)
{
	put_head(out, backup);
	buffer_put_u32(out, (uint32_t)(backup->count + backup->gone_count));
	for (size_t i = 0; i < backup->count; i++)
		TRY(put_entry(out, backup->entries[i]));
	for (size_t i = 0; i < backup->gone_count; i++)
		put_gone(out, &backup->gone[i]);
	if (out->failed)
		return ZONE_NO_MEMORY;
	if (out->len > BACKUP_MAX - BACKUP_MAC_SIZE)
		return refuse(ZONE_INVALID, "the project is larger than a backup can be (256 MiB); "
					    "back its databases up one by one");
	put_big_endian(out->data + LENGTH_AT, 8, out->len + BACKUP_MAC_SIZE);
	return ZONE_OK;
}

/* --- Reading. What is wrong in an entry is remembered by the reader. */

static struct uid take_uid(struct reader *reader)
{
	struct bytes taken = reader_take(reader, UID_SIZE);
	struct uid uid = {0};

	if (taken.len == UID_SIZE)
		memcpy(uid.bytes, taken.data, UID_SIZE);
	return uid;
}

static int64_t take_ms(struct reader *reader)
{
	uint64_t ms = reader_u64(reader);

	reader->failed |= ms > INT64_MAX;
	return (int64_t)(ms & INT64_MAX);
}

static bool take_bool(struct reader *reader)
{
	uint8_t value = reader_u8(reader);

	reader->failed |= value > 1;
	return value == 1;
}

static struct bytes take_long(struct reader *reader, size_t max)
{
	uint32_t len = reader_u32(reader);

	reader->failed |= len > max;
	return reader_take(reader, reader->failed ? 0 : len);
}

/* False: no memory. */
static bool take_text(struct reader *reader, size_t max, char **field)
{
	struct bytes text = reader_sized(reader);

	reader->failed |= text.len > max || !utf8_valid(text);
	return reader->failed || entry_set_text(field, text);
}

static bool take_blob(struct reader *reader, size_t max, struct bytes *field)
{
	struct bytes blob = reader_sized(reader);

	reader->failed |= blob.len > max;
	return reader->failed || entry_set_bytes(field, blob);
}

static bool take_common(struct reader *reader, struct entry *entry)
{
	struct bytes extra;
	bool good;

	entry->uid = take_uid(reader);
	entry->state = (enum entry_state)reader_u8(reader);
	reader->failed |= entry->state != ENTRY_ACTIVE && entry->state != ENTRY_PENDING_DELETION;
	entry->created_ms = take_ms(reader);
	entry->delete_after_ms = take_ms(reader);
	entry->usages = reader_u32(reader);
	good = take_text(reader, LABEL_MAX, &entry->label);
	good &= take_blob(reader, CKA_ID_MAX, &entry->id);
	extra = take_long(reader, EXTRA_MAX);
	good &= entry->kind != ENTRY_PROJECT || extra.len == 0;
	return good && entry_set_bytes(&entry->extra, extra);
}

static bool take_root_key(struct reader *reader, struct entry *root_key)
{
	bool good;

	root_key->of_root_key.multi_region = take_bool(reader);
	good = take_text(reader, KMS_ARN_MAX, &root_key->of_root_key.arn);
	good &= take_text(reader, KMS_PROVIDER_MAX, &root_key->of_root_key.provider);
	good &= take_text(reader, KMS_REGION_MAX, &root_key->of_root_key.region);
	good &= take_blob(reader, KMS_BLOB_MAX, &root_key->of_root_key.canary);
	reader->failed |= !reader->failed && root_key->of_root_key.arn[0] == '\0';
	return good;
}

static bool take_cluster(struct reader *reader, struct entry *cluster)
{
	bool good = take_text(reader, KMS_PROVIDER_MAX, &cluster->of_cluster.provider);

	good &= take_text(reader, KMS_REGION_MAX, &cluster->of_cluster.region);
	cluster->of_cluster.root_key = take_uid(reader);
	cluster->of_cluster.leaving = take_uid(reader);
	return good;
}

static bool take_key(struct reader *reader, struct entry *key)
{
	key->of_key.zone = reader_u64(reader);
	key->of_key.key_type = reader_u32(reader);
	key->of_key.value_len = reader_u32(reader);
	return entry_set_bytes(&key->of_key.wrapped, take_long(reader, STORED_MAX));
}

/* A record that is none is damage here, since nobody else brought it. */
static enum zone_status take_version(struct reader *reader, uint64_t zone,
				     struct ezk_version *ret_version)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	uint8_t flags = reader_u8(reader);
	int64_t delete_after_ms = take_ms(reader);
	struct bytes fingerprint = reader_take(reader, sizeof(version.fingerprint));
	struct bytes record = take_long(reader, UINT16_MAX);
	uint64_t record_zone;

	if (reader->failed || flags > VERSION_RETIRED)
		return ZONE_BACKUP_CORRUPT;
	TRY(record_decode(record, &record_zone, &version));
	version.retired = flags == VERSION_RETIRED;
	version.delete_after_ms = delete_after_ms;
	version.record_zone = record_zone == zone ? 0 : record_zone;
	memcpy(version.fingerprint, fingerprint.data, sizeof(version.fingerprint));
	for (size_t i = 0; i < version.wrap_count; i++) {
		version.wraps[i].state = (enum wrap_state)reader_u8(reader);
		reader->failed |= version.wraps[i].state > WRAP_REPLACED;
	}
	*ret_version = version;
	version = (struct ezk_version){0};
	return ZONE_OK;
}

/* Own versions ascending, then imported ones by zone and version. */
static bool is_after(const struct ezk_version *a, const struct ezk_version *b)
{
	return b->record_zone > a->record_zone ||
	       (b->record_zone == a->record_zone && b->version > a->version);
}

static enum zone_status take_versions(struct reader *reader, struct entry *zone, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct ezk_version *versions =
			grown(zone->of_zone.versions, i, sizeof(*zone->of_zone.versions));

		if (versions == NULL)
			return ZONE_NO_MEMORY;
		zone->of_zone.versions = versions;
		TRY(take_version(reader, zone->of_zone.zone, &versions[i]));
		zone->of_zone.version_count++;
		if (i > 0 && !is_after(&versions[i - 1], &versions[i]))
			return ZONE_BACKUP_CORRUPT;
	}
	return ZONE_OK;
}

static enum zone_status take_zone(struct reader *reader, struct entry *zone)
{
	uint32_t count;

	zone->of_zone.zone = reader_u64(reader);
	zone->of_zone.cluster = take_uid(reader);
	zone->of_zone.primary = reader_u32(reader);
	zone->of_zone.raw = reader_u32(reader);
	zone->of_zone.minimum = reader_u32(reader);
	zone->of_zone.imported = take_bool(reader);
	zone->of_zone.rotate_days = reader_u32(reader);
	count = reader_u32(reader);
	if (reader->failed || zone->of_zone.zone == 0 || zone->of_zone.zone > ZONE_ID_MAX ||
	    count > VERSIONS_MAX)
		return ZONE_BACKUP_CORRUPT;
	TRY(take_versions(reader, zone, count));
	return entry_version(zone, zone->of_zone.primary) != NULL &&
			       entry_version(zone, zone->of_zone.raw) != NULL
		       ? ZONE_OK
		       : ZONE_BACKUP_CORRUPT;
}

static enum zone_status take_body(struct reader *reader, struct entry *entry)
{
	bool good = take_common(reader, entry);

	if (good && entry->kind == ENTRY_ROOT_KEY)
		good = take_root_key(reader, entry);
	else if (good && entry->kind == ENTRY_CLUSTER)
		good = take_cluster(reader, entry);
	else if (good && entry->kind == ENTRY_KEY)
		good = take_key(reader, entry);
	if (!good)
		return ZONE_NO_MEMORY;
	if (entry->kind == ENTRY_ZONE)
		TRY(take_zone(reader, entry));
	return reader_done(reader) ? ZONE_OK : ZONE_BACKUP_CORRUPT;
}

/* --- How the parts fit */

static bool is_new(const struct backup *backup, const struct entry *entry)
{
	return map_find(&backup->uids, bytes(entry->uid.bytes, UID_SIZE)) == NULL &&
	       (entry->kind != ENTRY_ZONE || backup_zone(backup, entry->of_zone.zone) == NULL);
}

/* What an entry stands on comes before it. */
static bool stands(const struct backup *backup, const struct entry *entry)
{
	switch (entry->kind) {
	case ENTRY_PROJECT:
		return backup->count == 0 && uid_equal(entry->uid, backup->project) &&
		       entry->state == ENTRY_ACTIVE;
	case ENTRY_CLUSTER:
		return backup_find(backup, ENTRY_ROOT_KEY, entry->of_cluster.root_key) != NULL;
	case ENTRY_ZONE:
		return backup_find(backup, ENTRY_CLUSTER, entry->of_zone.cluster) != NULL;
	case ENTRY_KEY:
		return backup_zone(backup, entry->of_key.zone) != NULL;
	default:
		return backup->count > 0;
	}
}

static enum zone_status take_entry(struct reader *reader, enum item item, struct backup *backup)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(kinds[item]);

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	TRY(take_body(reader, entry));
	entry->project = backup->project;
	if (!is_new(backup, entry) || !stands(backup, entry))
		return ZONE_BACKUP_CORRUPT;
	TRY(label_check(entry->kind, bytes_of(entry->label)));
	return backup_add(backup, entry) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status take_gone(struct reader *reader, struct backup *backup)
{
	struct uid uid = take_uid(reader);
	uint64_t zone = reader_u64(reader);

	if (!reader_done(reader) || zone > ZONE_ID_MAX)
		return ZONE_BACKUP_CORRUPT;
	return backup_add_gone(backup, uid, zone) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status take_item(struct reader *reader, enum item *last, struct backup *backup)
{
	enum item item = (enum item)reader_u8(reader);
	struct reader body = reader_of(take_long(reader, BACKUP_MAX));

	if (reader->failed || item < *last || item == 0)
		return ZONE_BACKUP_CORRUPT;
	if (item >= ITEM_END)
		return ZONE_BACKUP_NEWER;
	*last = item;
	return item == ITEM_GONE ? take_gone(&body, backup) : take_entry(&body, item, backup);
}

static enum zone_status take_wraps(struct reader *reader, struct backup *backup)
{
	uint8_t count = reader_u8(reader);

	if (count == 0 || count > BACKUP_WRAPS_MAX)
		return ZONE_BACKUP_CORRUPT;
	for (uint8_t i = 0; i < count; i++) {
		struct bytes arn = reader_sized(reader), blob = reader_sized(reader);
		char text[KMS_ARN_MAX + 1];

		if (reader->failed || arn.len == 0 || arn.len > KMS_ARN_MAX || !utf8_valid(arn) ||
		    blob.len == 0 || blob.len > KMS_BLOB_MAX)
			return ZONE_BACKUP_CORRUPT;
		memcpy(text, arn.data, arn.len);
		text[arn.len] = '\0';
		if (!backup_add_wrap(backup, text, blob))
			return ZONE_NO_MEMORY;
	}
	return ZONE_OK;
}

static enum zone_status take_head(struct reader *reader, size_t len, struct backup *backup)
{
	uint32_t flags;
	uint8_t format;

	if (!bytes_equal(reader_take(reader, sizeof(magic)), bytes(magic, sizeof(magic))))
		return ZONE_BACKUP_CORRUPT;
	format = reader_u8(reader);
	if (format > BACKUP_FORMAT)
		return ZONE_BACKUP_NEWER;
	if (format != BACKUP_FORMAT || reader_u8(reader) != 0 || reader_u8(reader) != 0 ||
	    reader_u8(reader) != 0 || reader_u64(reader) != len)
		return ZONE_BACKUP_CORRUPT;
	backup->id = take_uid(reader);
	backup->made_ms = take_ms(reader);
	backup->project = take_uid(reader);
	backup->zone = reader_u64(reader);
	flags = reader_u32(reader);
	backup->embedding_only = flags == EMBEDDING_ONLY;
	if (reader->failed || backup->zone > ZONE_ID_MAX || flags > EMBEDDING_ONLY)
		return ZONE_BACKUP_CORRUPT;
	return take_wraps(reader, backup);
}

static enum zone_status take_all(struct bytes file, struct backup *backup)
{
	struct reader reader = reader_of(file);
	enum item last = ITEM_PROJECT;
	uint32_t count;

	if (file.len < BACKUP_MAC_SIZE || file.len > BACKUP_MAX)
		return ZONE_BACKUP_CORRUPT;
	reader.left.len -= BACKUP_MAC_SIZE;
	TRY(take_head(&reader, file.len, backup));
	count = reader_u32(&reader);
	for (uint32_t i = 0; i < count; i++)
		TRY(take_item(&reader, &last, backup));
	return reader_done(&reader) && backup->count > 0 ? ZONE_OK : ZONE_BACKUP_CORRUPT;
}

enum zone_status backup_decode(struct bytes file, struct backup *ret_backup)
{
	AUTO(backup_clear) struct backup backup = {0};
	enum zone_status status = take_all(file, &backup);

	if (status == ZONE_INVALID || status == ZONE_INVALID_NAME)
		status = ZONE_BACKUP_CORRUPT;
	if (status == ZONE_BACKUP_CORRUPT)
		return refuse(status, "this is no backup of a project, or one that is damaged or "
				      "cut off; use another copy of it");
	if (status == ZONE_BACKUP_NEWER)
		return refuse(status,
			      "the backup was made by a later release; restore it with that");
	TRY(status);
	*ret_backup = backup;
	backup = (struct backup){0};
	return ZONE_OK;
}

struct bytes backup_covered(struct bytes file, struct bytes *ret_mac)
{
	size_t len = file.len - BACKUP_MAC_SIZE;

	*ret_mac = bytes(file.data + len, BACKUP_MAC_SIZE);
	return bytes(file.data, len);
}
