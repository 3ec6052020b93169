/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Filling the index. Each uid has a node; a newer entry is put into the node of the older one,
 * after all that led to the older has been taken away. */
#include "zones/index/index.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/index/index_private.h"

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
	index_drop_absent(index, node->zone);
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
	return !node->certain ||
	       map_put(&index->zones, bytes(&node->zone, sizeof(node->zone)), node);
}

static bool link_project(struct index *index, struct index_node *node)
{
	node->slot = node->entry->of_project.slot;
	if (node->slot >= index->next_slot)
		index->next_slot = node->slot + 1;
	return node->entry->state != ENTRY_ACTIVE ||
	       map_put(&index->slots, bytes(&node->slot, sizeof(node->slot)), node);
}

/* What there may be too many of for a process. */
static bool is_spare(const struct entry *entry)
{
	return entry != NULL && (entry->kind == ENTRY_ZONE || entry->kind == ENTRY_KEY);
}

static bool link_age(struct index *index, struct index_node *node)
{
	struct index_key key;

	atomic_store_explicit(&node->used, true, memory_order_relaxed);
	return !is_spare(node->entry) ||
	       enter_bucket(index, &node->links[INDEX_BY_AGE],
			    index_key(&key, INDEX_BY_AGE, (struct uid){0}, bytes(NULL, 0)));
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

	if (!link_age(index, node))
		return false;
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
	index->spare_count -= is_spare(node->entry);
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

static void tell_foreign_tombstone(const struct entry *entry)
{
	log_error("store: damaged: '%s' has a tombstone in another project%s: look at who may "
		  "write that",
		  entry_label(entry),
		  entry->kind == ENTRY_ZONE ? ", and is refused where that was read first"
					    : ", which counts for nothing");
}

static void forget_gone_by(struct index *index, const struct index_grave *grave)
{
	const struct bytes zone = bytes(&grave->zone, sizeof(grave->zone));
	const struct index_gone *gone = map_find(&index->gone, zone);

	if (gone != NULL && uid_equal(gone->uid, grave->uid))
		free(map_remove(&index->gone, zone));
}

/* Only a restore brings back what had a tombstone, and takes that away (store.h). One that lies in
 * another project is not the entry's own, and of a zone nobody knows then which is right. */
static void exhume(struct index *index, const struct entry *entry)
{
	struct index_grave *grave = map_remove(&index->graves, bytes(entry->uid.bytes, UID_SIZE));
	bool own = grave == NULL || uid_equal(grave->project, entry->project);

	if (!own)
		tell_foreign_tombstone(entry);
	if (own && grave != NULL && grave->zone != 0)
		forget_gone_by(index, grave);
	free(grave);
}

static enum zone_status remember_gone(struct index *index, uint64_t zone, struct uid by,
				      bool withheld)
{
	struct index_gone *gone = map_find(&index->gone, bytes(&zone, sizeof(zone)));

	if (gone != NULL) {
		if (gone->withheld && !withheld) /* a tombstone outlives all */
			*gone = (struct index_gone){zone, by, false};
		return ZONE_OK;
	}
	gone = malloc(sizeof(*gone));
	if (gone == NULL)
		return ZONE_NO_MEMORY;
	*gone = (struct index_gone){zone, by, withheld};
	if (map_put(&index->gone, bytes(&gone->zone, sizeof(gone->zone)), gone))
		return ZONE_OK;
	free(gone);
	return ZONE_NO_MEMORY;
}

/* --- Rows of one project that would take another's place */

/* Who writes to one project alone must not reach what is another's (docs/store-dynamodb.md). */
static const struct index_node *find_owner(const struct index *index, const struct index_node *node,
					   const struct entry *entry)
{
	const struct index_node *other = NULL;

	if (node != NULL && node->entry != NULL && !uid_equal(node->entry->project, entry->project))
		return node;
	if (entry->kind == ENTRY_ZONE)
		other = map_find(&index->zones, bytes(&entry->of_zone.zone, sizeof(uint64_t)));
	return other != NULL && other->entry != NULL && other != node &&
			       !uid_equal(other->entry->project, entry->project)
		       ? other
		       : NULL;
}

static bool is_alone(const struct store_news *news)
{
	return !news->whole && news->cursor.len == 0;
}

/* What the row says it is, it is: the store said so where it was asked for that very thing, or all
 * of the store would show who else says it. */
static bool is_certain(const struct index *index, const struct store_news *news,
		       const struct entry *entry)
{
	if (!index->partial || news->own || !is_spare(entry))
		return true;
	return entry->kind == ENTRY_ZONE ? news->zone == entry->of_zone.zone : is_alone(news);
}

/* It was certain before, and the row says the same. */
static bool was_certain(const struct index_node *node, const struct entry *entry)
{
	return node != NULL && node->entry != NULL && node->certain &&
	       uid_equal(node->entry->project, entry->project) &&
	       (entry->kind != ENTRY_ZONE || node->zone == entry->of_zone.zone);
}

/* What was looked for by a key brings along what it stands on, which is mostly known. */
static bool is_known(const struct index *index, const struct store_news *news,
		     const struct entry *entry)
{
	const struct index_node *node = map_find(&index->uids, bytes(entry->uid.bytes, UID_SIZE));

	return node != NULL && node->entry != NULL && entry->revision != 0 &&
	       node->entry->revision == entry->revision &&
	       uid_equal(node->entry->project, entry->project) &&
	       (node->certain || !is_certain(index, news, entry));
}

/* What only the news told gives way. */
static bool displaces(const struct index *index, const struct index_node *node,
		      const struct entry *entry, bool certain)
{
	return index->partial && certain && node != NULL && node->entry != NULL && !node->certain &&
	       !uid_equal(node->entry->project, entry->project);
}

/* It was known before this whole load. */
static bool stays(const struct index *index, const struct index_node *owner)
{
	return owner->certain && owner->since != index->round;
}

/* Takes the entry. Of two that a first look brings, nobody knows which is the right one. */
static enum zone_status refuse_row(struct index *index, const struct index_node *owner,
				   struct entry *entry, const struct store_news *news)
{
	AUTO(entry_releasep) struct entry *refused = entry;
	struct entry *known = owner->entry;

	log_error(
		"store: damaged: '%s' and '%s', of two projects, have the same id; the latter row "
		"counts for nothing: look at who may write it",
		entry_label(known), entry_label(refused));
	index->refused += is_alone(news) || !owner->certain;
	if (!news->whole || stays(index, owner) || known->kind != ENTRY_ZONE)
		return ZONE_OK;
	TRY(remember_gone(index, known->of_zone.zone, (struct uid){0}, false));
	if (refused->kind == ENTRY_ZONE)
		TRY(remember_gone(index, refused->of_zone.zone, (struct uid){0}, false));
	return touch(index, known, true) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* The node whose the row is, which may be new. NULL: no memory. */
static struct index_node *node_for(struct index *index, struct index_node *node,
				   const struct entry *entry, bool certain)
{
	if (displaces(index, node, entry, certain)) {
		if (!node_remove(index, node))
			return NULL;
		node = NULL;
	}
	return node == NULL ? node_new(index, entry->uid) : node;
}

static void note_certain(struct index *index, struct index_node *node, const struct entry *entry,
			 bool certain)
{
	const bool was = was_certain(node, entry);

	if (node->entry == NULL || !node->certain)
		node->since = index->round;
	forget_if_own(&index->zones, bytes(&node->zone, sizeof(node->zone)), node);
	node->certain = certain || was;
}

static enum zone_status put(struct index *index, struct entry *entry, const struct store_news *news)
{
	struct index_node *node = map_find(&index->uids, bytes(entry->uid.bytes, UID_SIZE));
	const bool certain = is_certain(index, news, entry);
	const struct index_node *owner =
		find_owner(index, displaces(index, node, entry, certain) ? NULL : node, entry);

	if (owner != NULL)
		return refuse_row(index, owner, entry, news);
	node = node_for(index, node, entry, certain);
	if (node == NULL) {
		entry_release(entry);
		return ZONE_NO_MEMORY;
	}
	exhume(index, entry);
	unlink_entry(index, node);
	note_certain(index, node, entry, certain);
	index->zone_count += one_if_zone(entry) - one_if_zone(node->entry);
	index->spare_count += (size_t)is_spare(entry) - (size_t)is_spare(node->entry);
	entry_release(node->entry);
	entry->number = node->number;
	node->entry = entry;
	node->round = index->round;
	return link_entry(index, node) && touch_entry(index, entry) ? ZONE_OK : ZONE_NO_MEMORY;
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
	*grave = (struct index_grave){tombstone->uid, tombstone->project,
				      tombstone->kind == ENTRY_ZONE ? tombstone->of_zone.zone : 0};
	if (map_put(&index->graves, bytes(grave->uid.bytes, UID_SIZE), grave))
		return ZONE_OK;
	free(grave);
	return ZONE_NO_MEMORY;
}

/* In one project, of what is another's: what is known stays. Of both that a first look brings the
 * zone is refused. */
static enum zone_status refuse_tombstone(struct index *index, const struct index_node *owner,
					 const struct entry *gone, bool whole)
{
	const struct entry *known = owner->entry;

	tell_foreign_tombstone(known);
	if (!whole || stays(index, owner) || known->kind != ENTRY_ZONE ||
	    gone->kind != ENTRY_ZONE || gone->of_zone.zone != known->of_zone.zone)
		return ZONE_OK;
	TRY(remember_gone(index, known->of_zone.zone, (struct uid){0}, false));
	return touch(index, owner->entry, true) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* Takes the tombstone. `limited`: of a zone that awaits deletion it only says that, and not whose
 * it is. */
static enum zone_status bury(struct index *index, struct entry *tombstone,
			     const struct store_news *news)
{
	AUTO(entry_releasep) struct entry *gone = tombstone;
	struct index_node *node = map_find(&index->uids, bytes(gone->uid.bytes, UID_SIZE));
	const bool certain = is_certain(index, news, gone);
	const bool known = certain || was_certain(node, gone);
	const bool displaced = displaces(index, node, gone, certain);
	const struct index_node *owner =
		news->limited ? NULL : find_owner(index, displaced ? NULL : node, gone);
	bool withheld = news->limited && gone->state == ENTRY_PENDING_DELETION;

	if (owner != NULL)
		return refuse_tombstone(index, owner, gone, news->whole);

	/* Of one that was let go, the live EZKs are told all the same. */
	if (gone->kind == ENTRY_ZONE && (node == NULL || node->entry == NULL) && index->partial &&
	    !touch(index, gone, true))
		return ZONE_NO_MEMORY;
	if (node != NULL && !node_remove(index, node))
		return ZONE_NO_MEMORY;
	if (gone->kind == ENTRY_ZONE && !known)
		index_drop_absent(index, gone->of_zone.zone);
	if (!known && !is_alone(news))
		return ZONE_OK; /* unknown, and asked for when it is met */
	TRY(remember_grave(index, gone, withheld));
	if (gone->kind == ENTRY_PROJECT && gone->of_project.slot >= index->next_slot)
		index->next_slot = gone->of_project.slot + 1;
	return gone->kind != ENTRY_ZONE || !known
		       ? ZONE_OK
		       : remember_gone(index, gone->of_zone.zone, gone->uid, withheld);
}

/* Of such a project nothing was read, and what is known of it goes on as during an outage. One that
 * is damaged is refused. */
static bool waits(const struct index *index, const struct index_node *node)
{
	const struct store_unread *unread =
		node->entry == NULL ? NULL : index_unread(index, node->entry->project);

	return unread != NULL && zone_status_is_store_outage(unread->why);
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

		if (node->round != index->round && !waits(index, node))
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

/* --- Projects that can't be read */

const struct store_unread *index_unread(const struct index *index, struct uid project)
{
	return store_unread_of(index->unread, index->unread_count, project);
}

static bool touch_zones_of(struct index *index, const struct store_unread *list, size_t count)
{
	struct touching touching = {index, true};

	for (size_t i = 0; i < count && touching.good; i++)
		index_each_of(index, list[i].project, ENTRY_ZONE, touch_next, &touching);
	return touching.good;
}

/* All of the project was here before the load that goes on. */
static bool was_read(const struct index *index, struct uid project)
{
	const struct index_node *node = map_find(&index->uids, bytes(project.bytes, UID_SIZE));
	const struct store_unread *before = index_unread(index, project);

	return node != NULL && node->entry != NULL && node->since != index->round &&
	       (before == NULL || before->known);
}

/* A whole load takes each project for a new one. `all`: the index had all there was. */
static void note_known(const struct index *index, struct store_news *news, bool all)
{
	for (size_t i = 0; news->whole && i < news->unread_count; i++)
		news->unread[i].known |= all && was_read(index, news->unread[i].project);
}

/* Takes the list of the news. */
static enum zone_status put_unread(struct index *index, struct store_news *news)
{
	bool good = touch_zones_of(index, index->unread, index->unread_count);

	free(index->unread);
	index->unread = TAKE(news->unread);
	index->unread_count = news->unread_count;
	news->unread_count = 0;
	good &= touch_zones_of(index, index->unread, index->unread_count);
	return good ? ZONE_OK : ZONE_NO_MEMORY;
}

enum zone_status index_apply(struct index *index, struct store_news *news)
{
	const bool alone = is_alone(news);
	const bool all = !index->partial && !news->partial;

	if (news->whole) {
		index->round++;
		index->next_slot = 0;
		index->partial = news->partial;
		forget_gone(index);
		index_forget_absent(index);
	}
	for (size_t i = 0; i < news->count; i++) {
		struct store_row *row = &news->rows[i];
		struct entry *entry = TAKE(row->entry);

		if (alone && !row->removed && is_known(index, news, entry)) {
			entry_release(entry);
			continue;
		}
		TRY(row->removed ? bury(index, entry, news) : put(index, entry, news));
	}
	note_known(index, news, all);
	if (!alone)
		TRY(put_unread(index, news));
	return news->whole && !news->partial ? sweep(index) : ZONE_OK;
}

/* --- Letting go */

/* The number and the uid stay together, since a handle may have been given out. */
void index_let_go(struct index *index, struct index_node *node)
{
	index->zone_count -= one_if_zone(node->entry);
	index->spare_count--;
	index->let_go_count++;
	unlink_entry(index, node);
	forget_if_own(&index->zones, bytes(&node->zone, sizeof(node->zone)), node);
	entry_release(TAKE(node->entry));
}

void index_clear(struct index *index)
{
	if (index == NULL)
		return;
	for (size_t at = 0; index->uids.count > 0; at = 0)
		node_free(index, map_next(&index->uids, &at)->value);
	store_news_clear(&index->touched);
	free(index->unread);
	forget_gone(index);
	index_forget_absent(index);
	map_clear(&index->numbers);
	map_clear(&index->uids);
	map_clear(&index->zones);
	map_clear(&index->slots);
	map_clear(&index->fingerprints);
	map_clear(&index->imports);
	map_clear(&index->buckets);
	*index = (struct index){0};
}
