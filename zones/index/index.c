/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Filling the index. Each uid has a node; a newer entry is put into the node of the older one,
 * after all that led to the older has been taken away. */
#include "zones/index/index.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdlib.h>

uint64_t index_number_new(struct index *index)
{
	return ++index->last_number;
}

/* --- Buckets */

static void leave_bucket(struct index *index, struct index_link *link)
{
	struct index_bucket *bucket = link->bucket;

	if (bucket == NULL)
		return;
	link->before->after = link->after;
	link->after->before = link->before;
	*link = (struct index_link){.node = link->node};
	if (bucket->head.after != &bucket->head)
		return;
	map_remove(&index->buckets, bytes(bucket->key, bucket->key_len));
	free(bucket);
}

static struct index_bucket *bucket_new(struct index *index, struct bytes key)
{
	struct index_bucket *bucket = malloc(sizeof(*bucket) + key.len);

	if (bucket == NULL)
		return NULL;
	bucket->head =
		(struct index_link){.before = &bucket->head, .after = &bucket->head, .node = NULL};
	bucket->key_len = key.len;
	memcpy(bucket->key, key.data, key.len);
	if (map_put(&index->buckets, bytes(bucket->key, key.len), bucket))
		return bucket;
	free(bucket);
	return NULL;
}

static bool enter_bucket(struct index *index, struct index_link *link, struct bytes key)
{
	struct index_bucket *bucket = map_find(&index->buckets, key);

	if (bucket == NULL)
		bucket = bucket_new(index, key);
	if (bucket == NULL)
		return false;
	link->bucket = bucket;
	link->before = bucket->head.before;
	link->after = &bucket->head;
	link->before->after = link;
	bucket->head.before = link;
	return true;
}

struct bytes index_key(struct index_key *key, enum index_by by, struct uid within,
		       struct bytes value)
{
	key->data[0] = (uint8_t)by;
	memcpy(key->data + 1, within.bytes, UID_SIZE);
	if (value.len > LABEL_MAX)
		value.len = LABEL_MAX; /* no entry has it, so nothing will match */
	if (value.len > 0)
		memcpy(key->data + 1 + UID_SIZE, value.data, value.len);
	return bytes(key->data, 1 + UID_SIZE + value.len);
}

/* --- What leads to an entry */

static void forget_if_own(struct map *map, struct bytes key, const struct index_node *node)
{
	if (map_find(map, key) == node)
		map_remove(map, key);
}

/* An import shares the fingerprint of the zone that it comes from, which is found by it. */
static struct map *fingerprints_of(struct index *index, const struct ezk_version *version)
{
	return version->record_zone == 0 ? &index->fingerprints : &index->imports;
}

static void unlink_entry(struct index *index, struct index_node *node)
{
	const struct entry *entry = node->entry;

	for (int by = 0; by < INDEX_BY_COUNT; by++)
		leave_bucket(index, &node->links[by]);
	forget_if_own(&index->slots, bytes(&node->slot, sizeof(node->slot)), node);
	if (entry == NULL || entry->kind != ENTRY_ZONE)
		return;
	for (size_t i = 0; i < entry->of_zone.version_count; i++)
		forget_if_own(fingerprints_of(index, &entry->of_zone.versions[i]),
			      bytes(entry->of_zone.versions[i].fingerprint, 16), node);
}

static bool link_zone(struct index *index, struct index_node *node)
{
	const struct entry *entry = node->entry;

	struct index_key key;

	node->zone = entry->of_zone.zone;
	if (!enter_bucket(
		    index, &node->links[INDEX_BY_CLUSTER],
		    index_key(&key, INDEX_BY_CLUSTER, entry->of_zone.cluster, bytes(NULL, 0))))
		return false;
	for (size_t i = 0; i < entry->of_zone.version_count; i++) {
		index->has_imports |= entry->of_zone.versions[i].record_zone != 0;
		if (!map_put(fingerprints_of(index, &entry->of_zone.versions[i]),
			     bytes(entry->of_zone.versions[i].fingerprint, 16), node))
			return false;
	}
	return map_put(&index->zones, bytes(&node->zone, sizeof(node->zone)), node);
}

static bool link_project(struct index *index, struct index_node *node)
{
	node->slot = node->entry->of_project.slot;
	if (node->slot >= index->next_slot)
		index->next_slot = node->slot + 1;
	return node->entry->state != ENTRY_ACTIVE ||
	       map_put(&index->slots, bytes(&node->slot, sizeof(node->slot)), node);
}

static bool link_entry(struct index *index, struct index_node *node)
{
	const struct entry *entry = node->entry;
	const uint8_t kind = (uint8_t)entry->kind;
	const struct bytes values[] = {
		[INDEX_BY_LABEL] = bytes_of(entry->label),
		[INDEX_BY_ID] = entry->id,
		[INDEX_BY_KIND] = bytes(&kind, 1),
	};
	struct index_key key;

	for (size_t by = 0; by < COUNT_OF(values); by++)
		if (!enter_bucket(index, &node->links[by],
				  index_key(&key, (enum index_by)by, entry->project, values[by])))
			return false;
	if (entry->kind == ENTRY_ZONE)
		return link_zone(index, node);
	return entry->kind != ENTRY_PROJECT || link_project(index, node);
}

/* --- The live EZKs must learn of it */

static bool touch(struct index *index, struct entry *zone, bool gone)
{
	return store_news_add(&index->touched, entry_hold(zone),
			      gone || !index_is_visible(index, zone));
}

struct touching {
	struct index *index;
	bool good;
};

static bool touch_next(void *state, struct entry *zone)
{
	struct touching *touching = state;

	touching->good = touch(touching->index, zone, false);
	return touching->good;
}

/* When a project is archived or restored, so are its zones. */
static bool touch_entry(struct index *index, struct entry *entry)
{
	struct touching touching = {index, true};

	if (entry->kind == ENTRY_ZONE)
		return touch(index, entry, false);
	if (entry->kind == ENTRY_PROJECT)
		index_each_of(index, entry->uid, ENTRY_ZONE, touch_next, &touching);
	return touching.good;
}

/* --- Nodes */

static size_t one_if_zone(const struct entry *entry)
{
	return entry != NULL && entry->kind == ENTRY_ZONE ? 1 : 0;
}

static void node_free(struct index *index, struct index_node *node)
{
	index->zone_count -= one_if_zone(node->entry);
	unlink_entry(index, node);
	forget_if_own(&index->zones, bytes(&node->zone, sizeof(node->zone)), node);
	map_remove(&index->numbers, bytes(&node->number, sizeof(node->number)));
	map_remove(&index->uids, bytes(node->uid.bytes, UID_SIZE));
	entry_release(node->entry);
	free(node);
}

/* False: no memory. It stays, so that a reader of the whole store learns of it too. */
static bool node_remove(struct index *index, struct index_node *node)
{
	if (node->entry != NULL && node->entry->kind == ENTRY_ZONE &&
	    !touch(index, node->entry, true))
		return false;
	node_free(index, node);
	return true;
}

static struct index_node *node_new(struct index *index, struct uid uid)
{
	struct index_node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->uid = uid;
	node->number = index_number_new(index);
	for (int by = 0; by < INDEX_BY_COUNT; by++)
		node->links[by].node = node;
	if (map_put(&index->uids, bytes(node->uid.bytes, UID_SIZE), node) &&
	    map_put(&index->numbers, bytes(&node->number, sizeof(node->number)), node))
		return node;
	map_remove(&index->uids, bytes(node->uid.bytes, UID_SIZE));
	free(node);
	return NULL;
}

enum zone_status index_reserve(struct index *index, struct entry *entry)
{
	struct index_node *node = map_find(&index->uids, bytes(entry->uid.bytes, UID_SIZE));

	if (node == NULL)
		node = node_new(index, entry->uid);
	if (node == NULL)
		return ZONE_NO_MEMORY;
	entry->number = node->number;
	return ZONE_OK;
}

void index_unreserve(struct index *index, const struct entry *entry)
{
	struct index_node *node = map_find(&index->uids, bytes(entry->uid.bytes, UID_SIZE));

	if (node != NULL && node->entry == NULL)
		node_free(index, node);
}

/* Only a restore brings back what had a tombstone, and takes that away (store.h). */
static void exhume(struct index *index, struct uid uid)
{
	struct index_grave *grave = map_remove(&index->graves, bytes(uid.bytes, UID_SIZE));

	if (grave != NULL && grave->zone != 0)
		free(map_remove(&index->gone, bytes(&grave->zone, sizeof(grave->zone))));
	free(grave);
}

static enum zone_status put(struct index *index, struct entry *entry)
{
	struct index_node *node = map_find(&index->uids, bytes(entry->uid.bytes, UID_SIZE));

	if (node == NULL)
		node = node_new(index, entry->uid);
	if (node == NULL) {
		entry_release(entry);
		return ZONE_NO_MEMORY;
	}
	exhume(index, entry->uid);
	unlink_entry(index, node);
	index->zone_count += one_if_zone(entry) - one_if_zone(node->entry);
	entry_release(node->entry);
	entry->number = node->number;
	node->entry = entry;
	node->round = index->round;
	return link_entry(index, node) && touch_entry(index, entry) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status remember_gone(struct index *index, uint64_t zone, bool withheld)
{
	struct index_gone *gone = map_find(&index->gone, bytes(&zone, sizeof(zone)));

	if (gone != NULL) {
		gone->withheld &= withheld; /* a tombstone outlives all */
		return ZONE_OK;
	}
	gone = malloc(sizeof(*gone));
	if (gone == NULL)
		return ZONE_NO_MEMORY;
	*gone = (struct index_gone){zone, withheld};
	if (map_put(&index->gone, bytes(&gone->zone, sizeof(gone->zone)), gone))
		return ZONE_OK;
	free(gone);
	return ZONE_NO_MEMORY;
}

static enum zone_status remember_grave(struct index *index, const struct entry *tombstone,
				       bool withheld)
{
	struct index_grave *grave;

	if (withheld || index_is_buried(index, tombstone->uid))
		return ZONE_OK;
	grave = malloc(sizeof(*grave));
	if (grave == NULL)
		return ZONE_NO_MEMORY;
	*grave = (struct index_grave){tombstone->uid,
				      tombstone->kind == ENTRY_ZONE ? tombstone->of_zone.zone : 0};
	if (map_put(&index->graves, bytes(grave->uid.bytes, UID_SIZE), grave))
		return ZONE_OK;
	free(grave);
	return ZONE_NO_MEMORY;
}

/* Takes the tombstone. `limited`: of a zone that awaits deletion it only says that. */
static enum zone_status bury(struct index *index, struct entry *tombstone, bool limited)
{
	AUTO(entry_releasep) struct entry *gone = tombstone;
	struct index_node *node = map_find(&index->uids, bytes(gone->uid.bytes, UID_SIZE));
	bool withheld = limited && gone->state == ENTRY_PENDING_DELETION;

	if (node != NULL && !node_remove(index, node))
		return ZONE_NO_MEMORY;
	TRY(remember_grave(index, gone, withheld));
	if (gone->kind == ENTRY_PROJECT && gone->of_project.slot >= index->next_slot)
		index->next_slot = gone->of_project.slot + 1;
	return gone->kind != ENTRY_ZONE ? ZONE_OK
					: remember_gone(index, gone->of_zone.zone, withheld);
}

/* Removes the nodes that the latest whole load did not bring. */
static enum zone_status sweep(struct index *index)
{
	AUTO(freep)
	struct index_node **stale = calloc(index->uids.count + 1, sizeof(struct index_node *));
	size_t at = 0, count = 0;
	bool good = true;

	if (stale == NULL)
		return ZONE_NO_MEMORY;
	for (struct map_entry *found; (found = map_next(&index->uids, &at)) != NULL;) {
		struct index_node *node = found->value;

		if (node->round != index->round)
			stale[count++] = node;
	}
	for (size_t i = 0; i < count; i++)
		good &= node_remove(index, stale[i]);
	return good ? ZONE_OK : ZONE_NO_MEMORY;
}

static void forget_gone(struct index *index)
{
	size_t at = 0;

	for (struct map_entry *found; (found = map_next(&index->gone, &at)) != NULL;)
		free(found->value);
	map_clear(&index->gone);
	at = 0;
	for (struct map_entry *found; (found = map_next(&index->graves, &at)) != NULL;)
		free(found->value);
	map_clear(&index->graves);
}

enum zone_status index_apply(struct index *index, struct store_news *news)
{
	if (news->whole) {
		index->round++;
		index->next_slot = 0;
		forget_gone(index);
	}
	for (size_t i = 0; i < news->count; i++) {
		struct store_row *row = &news->rows[i];
		struct entry *entry = TAKE(row->entry);

		TRY(row->removed ? bury(index, entry, news->limited) : put(index, entry));
	}
	return news->whole ? sweep(index) : ZONE_OK;
}

void index_clear(struct index *index)
{
	if (index == NULL)
		return;
	for (size_t at = 0; index->uids.count > 0; at = 0)
		node_free(index, map_next(&index->uids, &at)->value);
	store_news_clear(&index->touched);
	forget_gone(index);
	map_clear(&index->numbers);
	map_clear(&index->uids);
	map_clear(&index->zones);
	map_clear(&index->slots);
	map_clear(&index->fingerprints);
	map_clear(&index->imports);
	map_clear(&index->buckets);
	*index = (struct index){0};
}
