/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Entries become text. */
#include "base/encode.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/rows/words.h"

#include <inttypes.h>

static void put_name(struct buffer *out, const char *name)
{
	buffer_put_text(out, out->len > 0 && out->data[out->len - 1] != '{' ? "," : "");
	json_put_string(out, name);
	buffer_put_text(out, ":");
}

static void put_text(struct buffer *out, const char *name, const char *text)
{
	put_name(out, name);
	json_put_string(out, text);
}

static void put_number(struct buffer *out, const char *name, int64_t number)
{
	put_name(out, name);
	buffer_format(out, "%" PRId64, number);
}

/* As text: many programs that read JSON keep but 53 bits of a number. */
static void put_zone(struct buffer *out, const char *name, uint64_t zone)
{
	put_name(out, name);
	buffer_format(out, "\"%" PRIu64 "\"", zone);
}

static void put_flag(struct buffer *out, const char *name, bool flag)
{
	put_name(out, name);
	buffer_put_text(out, flag ? "true" : "false");
}

static void put_base64(struct buffer *out, const char *name, struct bytes value)
{
	put_name(out, name);
	buffer_put_text(out, "\"");
	base64_append(out, value);
	buffer_put_text(out, "\"");
}

static void put_hex(struct buffer *out, const char *name, struct bytes value)
{
	put_name(out, name);
	buffer_put_text(out, "\"");
	hex_append(out, value);
	buffer_put_text(out, "\"");
}

static void put_uid(struct buffer *out, const char *name, const struct uid *uid)
{
	put_hex(out, name, bytes(uid->bytes, UID_SIZE));
}

static void put_state(struct buffer *out, bool active)
{
	put_text(out, "state", rows_state_words[active ? 0 : 1]);
}

static void begin(struct buffer *out)
{
	buffer_put_text(out, "{");
	put_number(out, "format", ROWS_FORMAT);
}

static void end(struct buffer *out)
{
	buffer_put_text(out, "}");
}

/* --- By kind */

static void put_project(struct buffer *out, const struct entry *entry)
{
	put_number(out, "slot", entry->of_project.slot);
	put_number(out, "announced_ms", entry->of_project.announced_ms);
}

static void put_root_key(struct buffer *out, const struct entry *entry)
{
	put_text(out, "arn", entry->of_root_key.arn);
	put_text(out, "provider", entry->of_root_key.provider);
	put_text(out, "region", entry->of_root_key.region);
	put_flag(out, "multi_region", entry->of_root_key.multi_region);
	put_base64(out, "canary", entry->of_root_key.canary);
}

static void put_cluster(struct buffer *out, const struct entry *entry)
{
	put_text(out, "provider", entry->of_cluster.provider);
	put_text(out, "region", entry->of_cluster.region);
	put_uid(out, "root_key", &entry->of_cluster.root_key);
	put_uid(out, "leaving", &entry->of_cluster.leaving);
}

static void put_of_zone(struct buffer *out, const struct entry *entry)
{
	put_zone(out, "zone", entry->of_zone.zone);
	put_uid(out, "cluster", &entry->of_zone.cluster);
	put_number(out, "primary_version", entry->of_zone.primary);
	put_number(out, "raw_version", entry->of_zone.raw);
	put_number(out, "minimum_version", entry->of_zone.minimum);
	put_flag(out, "imported", entry->of_zone.imported);
	put_number(out, "rotate_days", entry->of_zone.rotate_days);
}

static void put_key(struct buffer *out, const struct entry *entry)
{
	put_zone(out, "zone", entry->of_key.zone);
	put_base64(out, "wrapped", entry->of_key.wrapped);
	put_number(out, "key_type", entry->of_key.key_type);
	put_number(out, "value_len", entry->of_key.value_len);
}

static void put_archive(struct buffer *out, const struct entry *entry)
{
	put_number(out, "slot", entry->of_archive.slot);
	put_uid(out, "archived", &entry->of_archive.archived);
}

static void (*const put_kind[ENTRY_KIND_COUNT])(struct buffer *, const struct entry *) = {
	[ENTRY_PROJECT] = put_project, [ENTRY_ROOT_KEY] = put_root_key,
	[ENTRY_CLUSTER] = put_cluster, [ENTRY_ZONE] = put_of_zone,
	[ENTRY_KEY] = put_key,	       [ENTRY_ARCHIVE] = put_archive,
};

void rows_put_entry(const struct entry *entry, struct buffer *out)
{
	begin(out);
	put_text(out, "kind", rows_kind(entry->kind));
	put_uid(out, "uid", &entry->uid);
	put_uid(out, "project", &entry->project);
	put_state(out, entry->state == ENTRY_ACTIVE);
	put_number(out, "created_ms", entry->created_ms);
	put_number(out, "delete_after_ms", entry->delete_after_ms);
	put_text(out, "label", entry->label);
	put_base64(out, "id", entry->id);
	put_number(out, "usages", entry->usages);
	put_base64(out, "extra", entry->extra);
	put_kind[entry->kind](out, entry);
	end(out);
}

uint64_t rows_number(const struct entry *entry)
{
	if (entry->kind == ENTRY_ZONE)
		return entry->of_zone.zone;
	return entry->kind == ENTRY_PROJECT ? entry->of_project.slot : 0;
}

void rows_put_tombstone(const struct entry *entry, int64_t removed_ms, struct buffer *out)
{
	begin(out);
	put_text(out, "kind", rows_kind(entry->kind));
	put_uid(out, "uid", &entry->uid);
	put_uid(out, "project", &entry->project);
	put_flag(out, "removed", true);
	put_zone(out, "number", rows_number(entry));
	put_number(out, "removed_ms", removed_ms);
	end(out);
}

/* --- Versions */

static void put_wraps(struct buffer *out, const struct ezk_version *version)
{
	put_name(out, "wraps");
	buffer_put_text(out, "[");
	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct wrap *wrap = &version->wraps[i];

		buffer_put_text(out, i == 0 ? "{" : ",{");
		put_text(out, "state", rows_wrap_words[wrap->state]);
		put_text(out, "arn", wrap->arn);
		put_number(out, "share", wrap->share);
		put_base64(out, "blob", wrap->blob);
		end(out);
	}
	buffer_put_text(out, "]");
}

void rows_put_version(uint64_t zone, const struct ezk_version *version, struct buffer *out)
{
	begin(out);
	put_zone(out, "zone", zone);
	put_zone(out, "record_zone", version->record_zone);
	put_number(out, "version", version->version);
	put_state(out, !version->retired);
	put_number(out, "delete_after_ms", version->delete_after_ms);
	put_number(out, "created_ms", version->created_ms);
	put_number(out, "greatest_usages", version->greatest_usages);
	put_base64(out, "limits", version->limits);
	put_hex(out, "fingerprint", bytes(version->fingerprint, sizeof(version->fingerprint)));
	put_hex(out, "mac", bytes(version->mac, sizeof(version->mac)));
	put_flag(out, "all_wraps", version->all_wraps);
	put_uid(out, "project", &version->project);
	put_uid(out, "cluster", &version->cluster);
	put_wraps(out, version);
	end(out);
}

/* --- The head */

void rows_put_head(const char *id, const struct store_level *level, int64_t created_ms,
		   struct buffer *out)
{
	begin(out);
	put_text(out, "id", id);
	put_number(out, "level", level->level);
	put_number(out, "min_reader", level->min_reader);
	put_number(out, "min_writer", level->min_writer);
	put_text(out, "release", level->release);
	put_number(out, "created_ms", created_ms);
	put_text(out, "created_by", "cmek-pkcs11 " CMEK_VERSION);
	end(out);
}
