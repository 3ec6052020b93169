/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Text becomes entries. */
#include "base/encode.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "base/name.h"
#include "kms/kms.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"
#include "zones/store/rows/words.h"

#include <stdio.h>

/* Beside those of a record, a version keeps some that were replaced. */
enum { STORED_WRAPS_MAX = 64 };

/* One object under way; the first fault stays. */
struct taking {
	struct rows_reading *reading;
	const json_t *object;
	const char *fault;
	bool no_memory;
};

static void note_fault(struct taking *taking, const char *name)
{
	if (taking->fault == NULL)
		taking->fault = name;
}

static enum zone_status judge(const struct taking *taking)
{
	if (taking->no_memory)
		return ZONE_NO_MEMORY;
	taking->reading->fault = taking->fault;
	return taking->fault == NULL ? ZONE_OK : ZONE_STORE_CORRUPT;
}

/* --- Values */

static int64_t take_number(struct taking *taking, const char *name, int64_t least, int64_t most)
{
	const json_t *value = json_object_get(taking->object, name);
	json_int_t number = json_integer_value(value);

	if (json_is_integer(value) && number >= least && number <= most)
		return number;
	note_fault(taking, name);
	return least;
}

static bool take_flag(struct taking *taking, const char *name)
{
	const json_t *value = json_object_get(taking->object, name);

	if (!json_is_boolean(value))
		note_fault(taking, name);
	return json_is_true(value);
}

/* Borrowed; "" where it is not a text. */
static const char *borrow_text(struct taking *taking, const char *name)
{
	const json_t *value = json_object_get(taking->object, name);

	if (json_is_string(value))
		return json_string_value(value);
	note_fault(taking, name);
	return "";
}

static uint64_t take_zone(struct taking *taking, const char *name, uint64_t least)
{
	uint64_t zone = 0;

	if (!decimal_decode(borrow_text(taking, name), ZONE_ID_MAX, &zone) || zone < least)
		note_fault(taking, name);
	return zone;
}

/* JSON is UTF-8 without NUL when it has been read. */
static void take_text(struct taking *taking, const char *name, size_t longest, char **field)
{
	const char *text = borrow_text(taking, name);

	if (strlen(text) > longest)
		note_fault(taking, name);
	else
		taking->no_memory |= !entry_set_text(field, bytes_of(text));
}

static void take_base64(struct taking *taking, const char *name, size_t longest,
			struct bytes *field)
{
	const char *text = borrow_text(taking, name);
	AUTO(buffer_clear) struct buffer value = {.limit = longest};
	bool fits = strlen(text) / 4 * 3 <= longest + 2;

	if (!fits || !base64_decode(bytes_of(text), &value)) {
		/* The buffer fails for want of memory, or at its limit. */
		taking->no_memory |= fits && value.failed && strlen(text) / 4 * 3 <= longest;
		note_fault(taking, name);
		return;
	}
	taking->no_memory |= !entry_set_bytes(field, buffer_bytes(&value));
}

/* Lower case alone, as we write it, so that a uid has one form. */
static int hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static void take_fixed(struct taking *taking, const char *name, uint8_t *field, size_t size)
{
	const char *text = borrow_text(taking, name);

	if (strlen(text) != 2 * size) {
		note_fault(taking, name);
		return;
	}
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			note_fault(taking, name);
		field[i] = (uint8_t)((high & 15) << 4 | (low & 15));
	}
}

static struct uid take_uid(struct taking *taking, const char *name)
{
	struct uid uid = {0};

	take_fixed(taking, name, uid.bytes, UID_SIZE);
	return uid;
}

static int take_word(struct taking *taking, const char *name, const char *const words[], int other)
{
	const char *word = borrow_text(taking, name);

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	if (!taking->reading->newer || *word == '\0' || strlen(word) > LABEL_MAX)
		note_fault(taking, name);
	else
		taking->reading->unknown++;
	return other;
}

/* A state that we do not know allows nothing. */
static enum entry_state take_state(struct taking *taking)
{
	return take_word(taking, "state", rows_state_words, 1) == 0 ? ENTRY_ACTIVE
								    : ENTRY_PENDING_DELETION;
}

/* --- By kind */

static void take_project(struct taking *taking, struct entry *entry)
{
	entry->of_project.slot = (uint32_t)take_number(taking, "slot", 0, INT32_MAX);
	entry->of_project.announced_ms = take_number(taking, "announced_ms", 0, INT64_MAX);
	/* A token's name is padded with blanks, and cut: else one project could pass for another.
	 */
	if (entry->label != NULL && (strlen(entry->label) > PROJECT_LABEL_MAX ||
				     name_fault(bytes_of(entry->label)) != NULL))
		note_fault(taking, "label");
}

static void take_root_key(struct taking *taking, struct entry *entry)
{
	take_text(taking, "arn", KMS_ARN_MAX, &entry->of_root_key.arn);
	take_text(taking, "provider", KMS_PROVIDER_MAX, &entry->of_root_key.provider);
	take_text(taking, "region", KMS_REGION_MAX, &entry->of_root_key.region);
	entry->of_root_key.multi_region = take_flag(taking, "multi_region");
	take_base64(taking, "canary", KMS_BLOB_MAX, &entry->of_root_key.canary);
}

static void take_cluster(struct taking *taking, struct entry *entry)
{
	take_text(taking, "provider", KMS_PROVIDER_MAX, &entry->of_cluster.provider);
	take_text(taking, "region", KMS_REGION_MAX, &entry->of_cluster.region);
	entry->of_cluster.root_key = take_uid(taking, "root_key");
	entry->of_cluster.leaving = take_uid(taking, "leaving");
}

static void take_of_zone(struct taking *taking, struct entry *entry)
{
	entry->of_zone.zone = take_zone(taking, "zone", 1);
	entry->of_zone.cluster = take_uid(taking, "cluster");
	entry->of_zone.primary = (uint32_t)take_number(taking, "primary_version", 1, UINT32_MAX);
	entry->of_zone.raw = (uint32_t)take_number(taking, "raw_version", 1, UINT32_MAX);
	entry->of_zone.minimum = (uint32_t)take_number(taking, "minimum_version", 0, UINT32_MAX);
	entry->of_zone.imported = take_flag(taking, "imported");
	entry->of_zone.rotate_days = (uint32_t)take_number(taking, "rotate_days", 0, UINT32_MAX);
}

static void take_key(struct taking *taking, struct entry *entry)
{
	entry->of_key.zone = take_zone(taking, "zone", 1);
	take_base64(taking, "wrapped", STORED_MAX, &entry->of_key.wrapped);
	entry->of_key.key_type = (uint32_t)take_number(taking, "key_type", 0, UINT32_MAX);
	entry->of_key.value_len = (uint32_t)take_number(taking, "value_len", 0, UINT32_MAX);
}

static void take_archive(struct taking *taking, struct entry *entry)
{
	entry->of_archive.slot = (uint32_t)take_number(taking, "slot", 0, INT32_MAX);
	entry->of_archive.archived = take_uid(taking, "archived");
}

static void (*const take_kind[ENTRY_KIND_COUNT])(struct taking *, struct entry *) = {
	[ENTRY_PROJECT] = take_project, [ENTRY_ROOT_KEY] = take_root_key,
	[ENTRY_CLUSTER] = take_cluster, [ENTRY_ZONE] = take_of_zone,
	[ENTRY_KEY] = take_key,		[ENTRY_ARCHIVE] = take_archive,
};

static void take_common(struct taking *taking, struct entry *entry)
{
	entry->project = take_uid(taking, "project");
	entry->state = take_state(taking);
	entry->created_ms = take_number(taking, "created_ms", 0, INT64_MAX);
	entry->delete_after_ms = take_number(taking, "delete_after_ms", 0, INT64_MAX);
	take_text(taking, "label", LABEL_MAX, &entry->label);
	take_base64(taking, "id", CKA_ID_MAX, &entry->id);
	entry->usages = (uint32_t)take_number(taking, "usages", 0, UINT32_MAX);
	take_base64(taking, "extra", EXTRA_MAX, &entry->extra);
}

static void take_tombstone(struct taking *taking, struct entry *entry)
{
	uint64_t number = take_zone(taking, "number", entry->kind == ENTRY_ZONE);

	entry->project = take_uid(taking, "project");
	take_number(taking, "removed_ms", 0, INT64_MAX);
	if (entry->kind == ENTRY_ZONE)
		entry->of_zone.zone = number;
	if (entry->kind != ENTRY_PROJECT)
		return;
	if (number > INT32_MAX)
		note_fault(taking, "number");
	entry->of_project.slot = (uint32_t)number;
}

/* --- A row */

/* False: not to be read, for `ret_status`. ZONE_OK: in a format to come. */
static bool open_text(struct rows_reading *reading, struct bytes text, struct taking *taking,
		      json_t **ret_object, enum zone_status *ret_status)
{
	bool no_memory = false;

	*taking = (struct taking){.reading = reading};
	reading->fault = NULL;
	*ret_object = json_read(text, JSON_REJECT_DUPLICATES, &no_memory);
	taking->object = *ret_object;
	taking->no_memory = no_memory;
	if (!no_memory && !json_is_object(taking->object))
		note_fault(taking, "the text");
	if (taking->fault == NULL && !no_memory &&
	    take_number(taking, "format", 1, INT32_MAX) != ROWS_FORMAT && taking->fault == NULL) {
		if (reading->newer) {
			reading->unknown++;
			*ret_status = ZONE_OK;
			return false;
		}
		note_fault(taking, "format");
	}
	*ret_status = judge(taking);
	return *ret_status == ZONE_OK;
}

/* ENTRY_KIND_COUNT: one to come, or a fault. */
static enum entry_kind take_kind_word(struct taking *taking)
{
	return (enum entry_kind)take_word(taking, "kind", rows_kind_words, ENTRY_KIND_COUNT);
}

static bool is_removed(const struct taking *taking)
{
	return json_object_get(taking->object, "removed") != NULL;
}

/* What both live and removed rows begin with; NULL: nothing to make of it, see `judge`. */
static struct entry *take_entry(struct taking *taking, enum entry_kind kind, uint64_t revision)
{
	struct entry *entry;

	if (kind == ENTRY_KIND_COUNT)
		return NULL;
	entry = entry_new(kind);
	if (entry == NULL) {
		taking->no_memory = true;
		return NULL;
	}
	entry->uid = take_uid(taking, "uid");
	entry->revision = revision;
	return entry;
}

enum zone_status rows_read_entry(struct rows_reading *reading, struct bytes text, uint64_t revision,
				 struct store_row *ret_row)
{
	AUTO(json_freep) json_t *object = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	enum zone_status status;
	struct taking taking;
	bool removed;

	*ret_row = (struct store_row){0};
	if (!open_text(reading, text, &taking, &object, &status))
		return status;
	removed = is_removed(&taking);
	entry = take_entry(&taking, take_kind_word(&taking), revision);
	if (removed && !take_flag(&taking, "removed"))
		note_fault(&taking, "removed");
	if (entry != NULL && removed) {
		take_tombstone(&taking, entry);
	} else if (entry != NULL) {
		take_common(&taking, entry);
		take_kind[entry->kind](&taking, entry);
	}
	TRY(judge(&taking));
	*ret_row = (struct store_row){TAKE(entry), removed};
	return ZONE_OK;
}

/* --- Versions */

static enum zone_status take_wrap(struct rows_reading *reading, const json_t *object,
				  struct ezk_version *version)
{
	struct taking taking = {.reading = reading, .object = object};
	AUTO(buffer_clear) struct buffer blob = {.limit = KMS_BLOB_MAX};
	/* One in a state that we do not know is kept and not used. */
	enum wrap_state state =
		(enum wrap_state)take_word(&taking, "state", rows_wrap_words, WRAP_REPLACED);
	const char *arn = borrow_text(&taking, "arn");
	const char *text = borrow_text(&taking, "blob");
	uint8_t share = (uint8_t)take_number(&taking, "share", 0, SHARE_COUNT);

	if (strlen(arn) > KMS_ARN_MAX)
		note_fault(&taking, "arn");
	if (strlen(text) > KMS_BLOB_MAX / 3 * 4 + 4)
		note_fault(&taking, "blob");
	TRY(judge(&taking));
	if (!base64_decode(bytes_of(text), &blob) || blob.len == 0) {
		taking.no_memory = blob.failed && strlen(text) / 4 * 3 <= KMS_BLOB_MAX;
		note_fault(&taking, "blob");
	}
	TRY(judge(&taking));
	TRY(ezk_version_add_wrap(version, arn, buffer_bytes(&blob)));
	version->wraps[version->wrap_count - 1].state = state;
	version->wraps[version->wrap_count - 1].share = share;
	return ZONE_OK;
}

static enum zone_status take_wraps(struct taking *taking, struct ezk_version *version)
{
	const json_t *wraps = json_object_get(taking->object, "wraps");

	if (!json_is_array(wraps) || json_array_size(wraps) > STORED_WRAPS_MAX) {
		note_fault(taking, "wraps");
		return judge(taking);
	}
	for (size_t i = 0; i < json_array_size(wraps); i++)
		TRY(take_wrap(taking->reading, json_array_get(wraps, i), version));
	return ZONE_OK;
}

static void take_version(struct taking *taking, struct ezk_version *version)
{
	version->record_zone = take_zone(taking, "record_zone", 0);
	version->version = (uint32_t)take_number(taking, "version", 1, UINT32_MAX);
	version->retired = take_state(taking) != ENTRY_ACTIVE;
	version->delete_after_ms = take_number(taking, "delete_after_ms", 0, INT64_MAX);
	version->created_ms = take_number(taking, "created_ms", 0, INT64_MAX);
	version->greatest_usages = (uint32_t)take_number(taking, "greatest_usages", 0, UINT32_MAX);
	take_base64(taking, "limits", LIMITS_MAX, &version->limits);
	take_fixed(taking, "fingerprint", version->fingerprint, sizeof(version->fingerprint));
	take_fixed(taking, "mac", version->mac, sizeof(version->mac));
	version->all_wraps = take_flag(taking, "all_wraps");
	version->project = take_uid(taking, "project");
	version->cluster = take_uid(taking, "cluster");
}

static bool comes_after(const struct entry *zone, const struct ezk_version *next)
{
	size_t count = zone->of_zone.version_count;

	return count == 0 || ezk_version_order(&zone->of_zone.versions[count - 1], next) < 0;
}

enum zone_status rows_read_version(struct rows_reading *reading, struct bytes text,
				   struct entry *zone)
{
	AUTO(json_freep) json_t *object = NULL;
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	enum zone_status status;
	struct taking taking;

	if (!open_text(reading, text, &taking, &object, &status))
		return status;
	if (take_zone(&taking, "zone", 1) != zone->of_zone.zone)
		note_fault(&taking, "zone");
	take_version(&taking, &version);
	if (!comes_after(zone, &version))
		note_fault(&taking, "version");
	TRY(judge(&taking));
	TRY(take_wraps(&taking, &version));
	return zone_take_version(zone, &version);
}

bool rows_zone_is_whole(const struct entry *zone)
{
	return entry_version(zone, zone->of_zone.primary) != NULL &&
	       entry_version(zone, zone->of_zone.raw) != NULL;
}

/* --- At every level */

static void take_minimum(struct taking *taking, struct rows_minimum *minimum)
{
	struct entry *entry = minimum->row.entry;

	if (minimum->row.removed) {
		take_tombstone(taking, entry);
		return;
	}
	if (entry->kind != ENTRY_ZONE) {
		take_common(taking, entry);
		take_kind[entry->kind](taking, entry);
		return;
	}
	entry->project = take_uid(taking, "project");
	entry->of_zone.zone = take_zone(taking, "zone", 1);
	minimum->active = take_state(taking) == ENTRY_ACTIVE;
	entry->state = ENTRY_PENDING_DELETION;
}

enum zone_status rows_read_minimum(struct rows_reading *reading, struct bytes text,
				   uint64_t revision, struct rows_minimum *ret_minimum)
{
	AUTO(json_freep) json_t *object = NULL;
	AUTO(entry_releasep) struct entry *entry = NULL;
	struct rows_minimum minimum = {0};
	enum entry_kind kind;
	enum zone_status status;
	struct taking taking;

	*ret_minimum = minimum;
	if (!open_text(reading, text, &taking, &object, &status))
		return status;
	kind = take_kind_word(&taking);
	minimum.row.removed = is_removed(&taking);
	if (kind > ENTRY_ROOT_KEY && kind != ENTRY_ZONE && !minimum.row.removed)
		return judge(&taking);
	entry = take_entry(&taking, kind, revision);
	minimum.row.entry = entry;
	if (entry != NULL)
		take_minimum(&taking, &minimum);
	TRY(judge(&taking));
	entry = NULL;
	*ret_minimum = minimum;
	return ZONE_OK;
}

/* --- The head */

static bool is_id(const char *id)
{
	if (strlen(id) != ROWS_ID_SIZE - 1)
		return false;
	for (; *id != '\0'; id++)
		if (hex_digit(*id) < 0)
			return false;
	return true;
}

/* It goes into messages, and anybody may have written it. */
static void put_release(struct store_head *head, const char *text)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz.-+~";
	bool good = *text != '\0' && strlen(text) < STORE_RELEASE_SIZE - sizeof("cmek-pkcs11") &&
		    text[strspn(text, plain)] == '\0';

	snprintf(head->release, sizeof(head->release), "%s%.*s", good ? "cmek-pkcs11 " : "",
		 STORE_RELEASE_SIZE - (int)sizeof("cmek-pkcs11 "), good ? text : "a later release");
}

enum zone_status rows_read_head(struct bytes text, char ret_id[static ROWS_ID_SIZE],
				struct store_head *ret_head, int64_t *ret_created_ms)
{
	AUTO(json_freep) json_t *object = NULL;
	struct rows_reading reading = {0};
	struct store_head head = {0};
	enum zone_status status;
	struct taking taking;
	const char *release, *id;

	if (!open_text(&reading, text, &taking, &object, &status))
		return status;
	head.level = (unsigned)take_number(&taking, "level", 1, INT32_MAX);
	head.min_reader = (unsigned)take_number(&taking, "min_reader", 1, head.level);
	head.min_writer = (unsigned)take_number(&taking, "min_writer", head.min_reader, head.level);
	id = borrow_text(&taking, "id");
	release = borrow_text(&taking, "release");
	*ret_created_ms = take_number(&taking, "created_ms", 0, INT64_MAX);
	if (!is_id(id))
		note_fault(&taking, "id");
	TRY(judge(&taking));
	snprintf(ret_id, ROWS_ID_SIZE, "%s", id);
	put_release(&head, release);
	*ret_head = head;
	return ZONE_OK;
}
