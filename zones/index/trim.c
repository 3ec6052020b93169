/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A partial index: what is let go of it, and which zones are known not to be there. */
#include "base/macros.h"
#include "zones/index/index_private.h"

#include <stdlib.h>

/* --- Zones that the store does not have */

void index_drop_absent(struct index *index, uint64_t zone)
{
	free(map_remove(&index->absent, bytes(&zone, sizeof(zone))));
}

void index_forget_absent(struct index *index)
{
	size_t at = 0;

	for (struct map_entry *found; (found = map_next(&index->absent, &at)) != NULL;)
		free(found->value);
	map_clear(&index->absent);
}

bool index_note_absent(struct index *index, uint64_t zone)
{
	struct index_absent *absent;

	if (map_find(&index->absent, bytes(&zone, sizeof(zone))) != NULL)
		return true;
	absent = malloc(sizeof(*absent));
	if (absent == NULL)
		return false;
	absent->zone = zone;
	if (map_put(&index->absent, bytes(&absent->zone, sizeof(absent->zone)), absent))
		return true;
	free(absent);
	return false;
}

bool index_zone_is_unknown(const struct index *index, uint64_t zone)
{
	return (index->partial || index->unread_count > 0) && !index_zone_was_used(index, zone) &&
	       map_find(&index->absent, bytes(&zone, sizeof(zone))) == NULL;
}

void index_trim_absent(struct index *index, size_t most, index_keep *keep, const void *state)
{
	struct map old = index->absent;
	size_t at = 0;

	if (old.count <= most)
		return;
	index->absent = (struct map){0};
	for (struct map_entry *found; (found = map_next(&old, &at)) != NULL;) {
		struct index_absent *absent = found->value;

		if (!keep(state, absent->zone) ||
		    !map_put(&index->absent, bytes(&absent->zone, sizeof(absent->zone)), absent))
			free(absent);
	}
	map_clear(&old);
}

/* --- Letting go */

static void to_end(struct index_link *link)
{
	struct index_link *head = &link->bucket->head;

	link->before->after = link->after;
	link->after->before = link->before;
	link->before = head->before;
	link->after = head;
	link->before->after = link;
	head->before = link;
}

/* What was used since it was last here has a second chance. */
static bool may_go(struct index_node *node, index_keep *keep, const void *state)
{
	const struct entry *entry = node->entry;

	if (atomic_exchange_explicit(&node->used, false, memory_order_relaxed))
		return false;
	return !entry_is_shared(entry) &&
	       (entry->kind != ENTRY_ZONE || !keep(state, entry->of_zone.zone));
}

void index_trim(struct index *index, size_t most, index_keep *keep, const void *state)
{
	struct index_key key;
	const struct index_bucket *bucket = map_find(
		&index->buckets, index_key(&key, INDEX_BY_AGE, (struct uid){0}, bytes(NULL, 0)));
	size_t left = index->spare_count;

	index->partial = true;
	for (; left > 0 && index->spare_count > most; left--) {
		struct index_node *node = bucket->head.after->node;

		if (may_go(node, keep, state))
			index_let_go(index, node);
		else
			to_end(&node->links[INDEX_BY_AGE]);
	}
	index_trim_absent(index, most, keep, state);
}

bool index_number_let_go(const struct index *index, uint64_t number, struct uid *ret_uid)
{
	const struct index_node *node = map_find(&index->numbers, bytes(&number, sizeof(number)));

	if (node == NULL || node->entry != NULL)
		return false;
	*ret_uid = node->uid;
	return true;
}
