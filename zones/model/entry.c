/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making, copying and counting entries. What they mean is decided elsewhere. */
#include "zones/model/entry.h"

#include "zones/model/record.h"

#include <assert.h>
#include <stdlib.h>

const char *entry_kind_word(enum entry_kind kind)
{
	static const char *const words[] = {"project",	"root key",  "cluster",
					    "database", "token key", "archive"};

	return words[kind];
}

static void bytes_free(struct bytes *bytes)
{
	free((void *)(uintptr_t)bytes->data);
	*bytes = (struct bytes){0};
}

static void text_free(char **text)
{
	free(*text);
	*text = NULL;
}

bool entry_set_bytes(struct bytes *field, struct bytes value)
{
	uint8_t *copy = NULL;

	if (value.len > 0) {
		copy = malloc(value.len);
		if (copy == NULL)
			return false;
		memcpy(copy, value.data, value.len);
	}
	bytes_free(field);
	*field = bytes(copy, value.len);
	return true;
}

bool entry_set_text(char **field, struct bytes text)
{
	char *copy = malloc(text.len + 1);

	if (copy == NULL)
		return false;
	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	free(*field);
	*field = copy;
	return true;
}

/* What a kind owns beyond label, id and extra: its texts and bytes, for freeing and for copying. */
enum { OWNED_MAX = 3 };
struct owned {
	char **texts[OWNED_MAX];
	struct bytes *bytes;
};

static struct owned owned_by(struct entry *entry)
{
	switch (entry->kind) {
	case ENTRY_ROOT_KEY:
		return (struct owned){{&entry->of_root_key.arn, &entry->of_root_key.provider,
				       &entry->of_root_key.region},
				      &entry->of_root_key.canary};
	case ENTRY_CLUSTER:
		return (struct owned){{&entry->of_cluster.provider, &entry->of_cluster.region}};
	case ENTRY_KEY:
		return (struct owned){.bytes = &entry->of_key.wrapped};
	default:
		return (struct owned){0};
	}
}

static void entry_free(struct entry *entry)
{
	struct owned owned = owned_by(entry);

	for (size_t i = 0; i < OWNED_MAX; i++)
		if (owned.texts[i] != NULL)
			text_free(owned.texts[i]);
	if (owned.bytes != NULL)
		bytes_free(owned.bytes);
	if (entry->kind == ENTRY_ZONE) {
		for (size_t i = 0; i < entry->of_zone.version_count; i++)
			ezk_version_clear(&entry->of_zone.versions[i]);
		free(entry->of_zone.versions);
	}
	text_free(&entry->label);
	bytes_free(&entry->id);
	bytes_free(&entry->extra);
	free(entry);
}

struct entry *entry_new(enum entry_kind kind)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->kind = kind;
	entry->state = ENTRY_ACTIVE;
	atomic_init(&entry->references, 1);
	if (entry_set_text(&entry->label, bytes(NULL, 0)))
		return entry;
	entry_free(entry);
	return NULL;
}

static bool own_text(char **field, const char *original)
{
	return original == NULL || entry_set_text(field, bytes_of(original));
}

static bool copy_versions(const struct entry *from, struct entry *to)
{
	size_t count = from->of_zone.version_count;

	to->of_zone.version_count = 0;
	to->of_zone.versions = calloc(count + 1, sizeof(*to->of_zone.versions));
	if (to->of_zone.versions == NULL)
		return false;
	for (; to->of_zone.version_count < count; to->of_zone.version_count++) {
		size_t at = to->of_zone.version_count;

		if (ezk_version_copy(&from->of_zone.versions[at], &to->of_zone.versions[at]) !=
		    ZONE_OK)
			return false;
	}
	return true;
}

static bool copy_owned(const struct entry *from, struct entry *to)
{
	struct owned source = owned_by((struct entry *)(uintptr_t)from), owned = owned_by(to);
	bool good = true;

	for (size_t i = 0; i < OWNED_MAX; i++)
		if (owned.texts[i] != NULL)
			good &= own_text(owned.texts[i], *source.texts[i]);
	if (owned.bytes != NULL)
		good &= entry_set_bytes(owned.bytes, *source.bytes);
	if (from->kind == ENTRY_ZONE)
		good &= copy_versions(from, to);
	return good && own_text(&to->label, from->label) && entry_set_bytes(&to->id, from->id) &&
	       entry_set_bytes(&to->extra, from->extra);
}

struct entry *entry_copy(const struct entry *entry)
{
	struct entry *copy = calloc(1, sizeof(*copy));
	struct owned owned;

	if (copy == NULL)
		return NULL;
	/* All but the count, which other threads may be changing. */
	memcpy((char *)copy + offsetof(struct entry, kind),
	       (const char *)entry + offsetof(struct entry, kind),
	       sizeof(*copy) - offsetof(struct entry, kind));
	atomic_init(&copy->references, 1);
	/* The pointers are still those of the original: none of them may be freed if a later
	 * step fails. */
	owned = owned_by(copy);
	for (size_t i = 0; i < OWNED_MAX; i++)
		if (owned.texts[i] != NULL)
			*owned.texts[i] = NULL;
	if (owned.bytes != NULL)
		*owned.bytes = (struct bytes){0};
	copy->label = NULL;
	copy->id = copy->extra = (struct bytes){0};
	if (copy->kind == ENTRY_ZONE) {
		copy->of_zone.versions = NULL;
		copy->of_zone.version_count = 0;
	}
	if (copy_owned(entry, copy))
		return copy;
	entry_free(copy);
	return NULL;
}

struct entry *entry_hold(struct entry *entry)
{
	atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
	return entry;
}

void entry_release(struct entry *entry)
{
	unsigned before;

	if (entry == NULL)
		return;
	before = atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before == 1)
		entry_free(entry);
}

bool entry_is_shared(const struct entry *entry)
{
	return atomic_load_explicit(&entry->references, memory_order_acquire) > 1;
}

void entry_releasep(struct entry **entry)
{
	entry_release(*entry);
	*entry = NULL;
}

const struct ezk_version *entry_version(const struct entry *zone, uint32_t version)
{
	assert(zone->kind == ENTRY_ZONE);
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].version == version &&
		    zone->of_zone.versions[i].record_zone == 0)
			return &zone->of_zone.versions[i];
	return NULL;
}

static bool is_bound(const struct entry *zone, const struct ezk_version *version, uint64_t bound)
{
	return version->record_zone == (bound == zone->of_zone.zone ? 0 : bound);
}

const struct ezk_version *entry_bound_version(const struct entry *zone, uint64_t bound,
					      uint32_t version)
{
	assert(zone->kind == ENTRY_ZONE);
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].version == version &&
		    is_bound(zone, &zone->of_zone.versions[i], bound))
			return &zone->of_zone.versions[i];
	return NULL;
}

bool entry_is_bound(const struct entry *zone, uint64_t bound)
{
	bool found = bound == zone->of_zone.zone;

	for (size_t i = 0; i < zone->of_zone.version_count && !found; i++)
		found = is_bound(zone, &zone->of_zone.versions[i], bound);
	return found;
}

/* Versions are counted from 1 and never again; what a session brought has no revision, and may be
 * but a part. */
bool entry_version_is_gone(const struct entry *zone, uint32_t version)
{
	return zone->revision > 0 && version > 0 && version < zone->of_zone.primary &&
	       entry_version(zone, version) == NULL;
}
