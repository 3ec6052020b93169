/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in the index. */
#include "base/macros.h"
#include "zones/index/index.h"

static struct entry *found(const struct map *map, struct bytes key)
{
	struct index_node *node = map_find(map, key);

	if (node == NULL)
		return NULL;
	/* Not written without need: others read the same line. */
	if (!atomic_load_explicit(&node->used, memory_order_relaxed))
		atomic_store_explicit(&node->used, true, memory_order_relaxed);
	return node->entry;
}

struct entry *index_number(const struct index *index, uint64_t number)
{
	return found(&index->numbers, bytes(&number, sizeof(number)));
}

struct entry *index_uid(const struct index *index, struct uid uid)
{
	return found(&index->uids, bytes(uid.bytes, UID_SIZE));
}

struct entry *index_zone(const struct index *index, uint64_t zone)
{
	return found(&index->zones, bytes(&zone, sizeof(zone)));
}

struct entry *index_slot(const struct index *index, uint32_t slot)
{
	return found(&index->slots, bytes(&slot, sizeof(slot)));
}

struct entry *index_fingerprint(const struct index *index, const uint8_t fingerprint[static 16])
{
	return found(&index->fingerprints, bytes(fingerprint, 16));
}

struct entry *index_import(const struct index *index, const uint8_t fingerprint[static 16])
{
	return found(&index->imports, bytes(fingerprint, 16));
}

bool index_zone_is_gone(const struct index *index, uint64_t zone)
{
	const struct index_gone *gone = map_find(&index->gone, bytes(&zone, sizeof(zone)));

	return gone != NULL && !gone->withheld;
}

bool index_is_buried(const struct index *index, struct uid uid)
{
	return map_find(&index->graves, bytes(uid.bytes, UID_SIZE)) != NULL;
}

const struct index_grave *index_next_grave(const struct index *index, size_t *at)
{
	const struct map_entry *found = map_next(&index->graves, at);

	return found == NULL ? NULL : found->value;
}

bool index_zone_is_withheld(const struct index *index, uint64_t zone)
{
	const struct index_gone *gone = map_find(&index->gone, bytes(&zone, sizeof(zone)));

	return gone != NULL && gone->withheld;
}

bool index_zone_was_used(const struct index *index, uint64_t zone)
{
	return index_zone(index, zone) != NULL ||
	       map_find(&index->gone, bytes(&zone, sizeof(zone))) != NULL;
}

bool index_project_active(const struct index *index, struct uid project)
{
	const struct entry *entry = index_uid(index, project);

	return entry != NULL && entry->kind == ENTRY_PROJECT && entry->state == ENTRY_ACTIVE;
}

bool index_is_visible(const struct index *index, const struct entry *entry)
{
	return index_project_active(index, entry->project);
}

struct zone_title zone_title_in(const struct index *index, uint64_t zone)
{
	const struct entry *entry = index_zone(index, zone);
	const struct entry *project = entry == NULL ? NULL : index_uid(index, entry->project);

	return zone_title_as(entry_label(entry), entry_label(project), zone);
}

bool index_matches(const struct entry *entry, const struct entry_filter *filter)
{
	if (!uid_equal(entry->project, filter->project) || !filter->kinds[entry->kind])
		return false;
	if (entry->state != ENTRY_ACTIVE && !filter->with_pending)
		return false;
	if (filter->label != NULL && !bytes_equal(bytes_of(entry->label), *filter->label))
		return false;
	if (filter->id != NULL && !bytes_equal(entry->id, *filter->id))
		return false;
	return filter->uid == NULL || uid_equal(entry->uid, *filter->uid);
}

/* False: `visit` had enough. */
static bool visit_bucket(const struct index *index, struct bytes key,
			 const struct entry_filter *filter, index_visit *visit, void *state)
{
	const struct index_bucket *bucket = map_find(&index->buckets, key);

	if (bucket == NULL)
		return true;
	for (const struct index_link *link = bucket->head.after; link != &bucket->head;
	     link = link->after)
		if (index_matches(link->node->entry, filter) && !visit(state, link->node->entry))
			return false;
	return true;
}

void index_each(const struct index *index, const struct entry_filter *filter, index_visit *visit,
		void *state)
{
	struct index_key key;

	if (filter->uid != NULL) {
		struct entry *entry = index_uid(index, *filter->uid);

		if (entry != NULL && index_matches(entry, filter))
			visit(state, entry);
		return;
	}
	if (filter->label != NULL || filter->id != NULL) {
		enum index_by by = filter->label != NULL ? INDEX_BY_LABEL : INDEX_BY_ID;
		struct bytes value = by == INDEX_BY_LABEL ? *filter->label : *filter->id;

		visit_bucket(index, index_key(&key, by, filter->project, value), filter, visit,
			     state);
		return;
	}
	for (int i = 0; i < ENTRY_KIND_COUNT; i++) {
		const uint8_t kind = (uint8_t)i;

		if (filter->kinds[i] &&
		    !visit_bucket(index,
				  index_key(&key, INDEX_BY_KIND, filter->project, bytes(&kind, 1)),
				  filter, visit, state))
			return;
	}
}

void index_each_of(const struct index *index, struct uid project, enum entry_kind kind,
		   index_visit *visit, void *state)
{
	struct entry_filter filter = {.project = project, .with_pending = true};

	filter.kinds[kind] = true;
	index_each(index, &filter, visit, state);
}

void index_each_in_cluster(const struct index *index, const struct entry *cluster,
			   index_visit *visit, void *state)
{
	struct entry_filter filter = {.project = cluster->project, .with_pending = true};
	struct index_key key;

	filter.kinds[ENTRY_ZONE] = true;
	visit_bucket(index, index_key(&key, INDEX_BY_CLUSTER, cluster->uid, bytes(NULL, 0)),
		     &filter, visit, state);
}

static bool keep_first(void *state, struct entry *entry)
{
	*(struct entry **)state = entry;
	return false;
}

struct entry *index_label(const struct index *index, struct uid project, enum entry_kind kind,
			  struct bytes label)
{
	struct entry_filter filter = {.project = project, .label = &label};
	struct entry *first = NULL;

	filter.kinds[kind] = true;
	index_each(index, &filter, keep_first, &first);
	return first;
}

void index_each_project_of_all(const struct index *index, index_visit *visit, void *state)
{
	size_t at = 0;

	for (struct map_entry *found; (found = map_next(&index->uids, &at)) != NULL;) {
		struct entry *entry = ((struct index_node *)found->value)->entry;

		if (entry != NULL && entry->kind == ENTRY_PROJECT && !visit(state, entry))
			return;
	}
}

void index_each_project(const struct index *index, index_visit *visit, void *state)
{
	size_t at = 0;

	for (struct map_entry *entry; (entry = map_next(&index->slots, &at)) != NULL;)
		if (!visit(state, ((struct index_node *)entry->value)->entry))
			return;
}
