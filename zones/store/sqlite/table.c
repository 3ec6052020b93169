/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of each kind of entry, and its columns there. What a zone has beside its row (versions
 * and wraps) is read and written in read.c and write.c. */
#include "kms/kms.h"
#include "zones/store/sqlite/sqlite.h"

static const char *const state_words[] = {"active", "pending deletion", NULL};
static const enum entry_state states[] = {ENTRY_ACTIVE, ENTRY_PENDING_DELETION};

const char *const store_kind_words[] = {"project",   "root key", "cluster", "zone",
					"token key", "archive",	 NULL};
const char *const store_wrap_words[] = {"active", "unproven", "replaced", NULL};

/* A state that this release does not know allows nothing. */
enum entry_state take_state(struct columns *columns)
{
	return states[take_word(columns, state_words, 1)];
}

void put_state(struct columns *columns, enum entry_state state)
{
	put_text(columns, state_words[state == ENTRY_ACTIVE ? 0 : 1]);
}

void take_common(struct columns *columns, struct entry *entry)
{
	entry->uid = take_uid(columns);
	entry->project = take_uid(columns);
	entry->revision = (uint64_t)take_integer(columns, 1, INT64_MAX);
	entry->state = take_state(columns);
	entry->created_ms = take_integer(columns, 0, INT64_MAX);
	entry->delete_after_ms = take_integer(columns, 0, INT64_MAX);
	take_text(columns, LABEL_MAX, &entry->label);
	take_blob(columns, CKA_ID_MAX, &entry->id);
	entry->usages = (uint32_t)take_integer(columns, 0, UINT32_MAX);
	take_blob(columns, EXTRA_MAX, &entry->extra);
}

void put_common(struct columns *columns, const struct entry *entry, uint64_t revision)
{
	put_uid(columns, entry->uid);
	put_uid(columns, entry->project);
	put_integer(columns, (int64_t)revision);
	put_state(columns, entry->state);
	put_integer(columns, entry->created_ms);
	put_integer(columns, entry->delete_after_ms);
	put_text(columns, entry->label);
	put_blob(columns, entry->id);
	put_integer(columns, entry->usages);
	put_blob(columns, entry->extra);
}

static void take_project(struct columns *columns, struct entry *entry)
{
	entry->of_project.slot = (uint32_t)take_integer(columns, 0, INT32_MAX);
	entry->of_project.announced_ms = take_integer(columns, 0, INT64_MAX);
}

static void put_project(struct columns *columns, const struct entry *entry)
{
	put_integer(columns, entry->of_project.slot);
	put_integer(columns, entry->of_project.announced_ms);
}

static void take_root_key(struct columns *columns, struct entry *entry)
{
	take_text(columns, KMS_ARN_MAX, &entry->of_root_key.arn);
	take_text(columns, KMS_PROVIDER_MAX, &entry->of_root_key.provider);
	take_text(columns, KMS_REGION_MAX, &entry->of_root_key.region);
	entry->of_root_key.multi_region = take_integer(columns, 0, 1) != 0;
	take_blob(columns, KMS_BLOB_MAX, &entry->of_root_key.canary);
}

static void put_root_key(struct columns *columns, const struct entry *entry)
{
	put_text(columns, entry->of_root_key.arn);
	put_text(columns, entry->of_root_key.provider);
	put_text(columns, entry->of_root_key.region);
	put_integer(columns, entry->of_root_key.multi_region);
	put_blob(columns, entry->of_root_key.canary);
}

static void take_cluster(struct columns *columns, struct entry *entry)
{
	take_text(columns, KMS_PROVIDER_MAX, &entry->of_cluster.provider);
	take_text(columns, KMS_REGION_MAX, &entry->of_cluster.region);
	entry->of_cluster.root_key = take_uid(columns);
	entry->of_cluster.leaving = take_uid(columns);
}

static void put_cluster(struct columns *columns, const struct entry *entry)
{
	put_text(columns, entry->of_cluster.provider);
	put_text(columns, entry->of_cluster.region);
	put_uid(columns, entry->of_cluster.root_key);
	put_uid(columns, entry->of_cluster.leaving);
}

static void take_zone(struct columns *columns, struct entry *entry)
{
	entry->of_zone.zone = (uint64_t)take_integer(columns, 1, INT64_MAX);
	entry->of_zone.cluster = take_uid(columns);
	entry->of_zone.primary = (uint32_t)take_integer(columns, 1, UINT32_MAX);
	entry->of_zone.raw = (uint32_t)take_integer(columns, 1, UINT32_MAX);
	entry->of_zone.minimum = (uint32_t)take_integer(columns, 0, UINT32_MAX);
	entry->of_zone.imported = take_integer(columns, 0, 1) != 0;
	entry->of_zone.rotate_days = (uint32_t)take_integer(columns, 0, UINT32_MAX);
}

static void put_zone(struct columns *columns, const struct entry *entry)
{
	put_integer(columns, (int64_t)entry->of_zone.zone);
	put_uid(columns, entry->of_zone.cluster);
	put_integer(columns, entry->of_zone.primary);
	put_integer(columns, entry->of_zone.raw);
	put_integer(columns, entry->of_zone.minimum);
	put_integer(columns, entry->of_zone.imported);
	put_integer(columns, entry->of_zone.rotate_days);
}

static void take_key(struct columns *columns, struct entry *entry)
{
	entry->of_key.zone = (uint64_t)take_integer(columns, 1, INT64_MAX);
	take_blob(columns, STORED_MAX, &entry->of_key.wrapped);
	entry->of_key.key_type = (uint32_t)take_integer(columns, 0, UINT32_MAX);
	entry->of_key.value_len = (uint32_t)take_integer(columns, 0, UINT32_MAX);
}

static void put_key(struct columns *columns, const struct entry *entry)
{
	put_integer(columns, (int64_t)entry->of_key.zone);
	put_blob(columns, entry->of_key.wrapped);
	put_integer(columns, entry->of_key.key_type);
	put_integer(columns, entry->of_key.value_len);
}

static void take_archive(struct columns *columns, struct entry *entry)
{
	entry->of_archive.slot = (uint32_t)take_integer(columns, 0, INT32_MAX);
	entry->of_archive.archived = take_uid(columns);
}

static void put_archive(struct columns *columns, const struct entry *entry)
{
	put_integer(columns, entry->of_archive.slot);
	put_uid(columns, entry->of_archive.archived);
}

/* clang-format off */
#define COMMON "uid, project, revision, state, created_ms, delete_after_ms, label, id, usages, extra, "

const struct store_table store_tables[ENTRY_KIND_COUNT] = {
	[ENTRY_PROJECT]  = { "projects", COMMON "slot, announced_ms", take_project, put_project },
	[ENTRY_ROOT_KEY] = { "root_keys", COMMON "arn, provider, region, multi_region, canary",
			     take_root_key, put_root_key },
	[ENTRY_CLUSTER]  = { "clusters", COMMON "provider, region, root_key, leaving", take_cluster, put_cluster },
	[ENTRY_ZONE]     = { "zones", COMMON "zone, cluster, primary_version, raw_version, minimum_version, imported, "
			     "rotate_days",
			     take_zone, put_zone },
	[ENTRY_KEY]      = { "token_keys", COMMON "zone, wrapped, key_type, value_len", take_key, put_key },
	[ENTRY_ARCHIVE]  = { "archives", COMMON "slot, archived", take_archive, put_archive },
};
/* clang-format on */
