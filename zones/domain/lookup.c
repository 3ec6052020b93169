/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A look-up holds the lock for reading, for a moment, and what it finds. */
#include "zones/domain/lookup.h"

#include "base/buffer.h"
#include "base/cancel.h"
#include "base/macros.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/index/rules.h"

#include <stdlib.h>

enum { TRIES = 8 }; /* of a list, where others let go of something meanwhile */

static void end_reading(pthread_rwlock_t **lock)
{
	pthread_rwlock_unlock(*lock);
}

static pthread_rwlock_t *begin_reading(struct zones *zones)
{
	pthread_rwlock_rdlock(&zones->lock);
	return &zones->lock;
}

#define READING(zones)                                                                             \
	AUTO(end_reading) pthread_rwlock_t *reading_ = begin_reading(zones);                       \
	(void)reading_

static struct entry *hold_visible(struct zones *zones, struct entry *entry)
{
	return entry != NULL && index_is_visible(&zones->index, entry) ? entry_hold(entry) : NULL;
}

struct entry *zones_find_number(struct zones *zones, uint64_t number)
{
	READING(zones);

	return hold_visible(zones, index_number(&zones->index, number));
}

struct entry *zones_find_zone(struct zones *zones, uint64_t zone)
{
	READING(zones);

	return hold_visible(zones, index_zone(&zones->index, zone));
}

struct entry *zones_find_slot(struct zones *zones, uint32_t slot)
{
	READING(zones);

	return hold_visible(zones, index_slot(&zones->index, slot));
}

struct entry *zones_find_uid(struct zones *zones, struct uid uid)
{
	READING(zones);

	return hold_visible(zones, index_uid(&zones->index, uid));
}

/* Held entries that a look-up collects. */
struct list {
	struct entry **entries;
	size_t count;
	size_t capacity;
	bool no_memory;
};

static void list_clear(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		entry_release(list->entries[i]);
	free(list->entries);
}

static bool list_add(void *state, struct entry *entry)
{
	struct list *list = state;

	if (list->count == list->capacity) {
		size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
		struct entry **entries = realloc(list->entries, capacity * sizeof(struct entry *));

		list->no_memory = entries == NULL;
		if (entries == NULL)
			return false;
		list->entries = entries;
		list->capacity = capacity;
	}
	list->entries[list->count++] = entry_hold(entry);
	return true;
}

static enum zone_status give(struct list *list, struct entry ***ret_entries, size_t *ret_count)
{
	if (list->no_memory)
		return ZONE_NO_MEMORY;
	*ret_count = list->count;
	*ret_entries = TAKE(list->entries);
	list->count = 0;
	return ZONE_OK;
}

static int by_slot(const void *a, const void *b)
{
	uint32_t x = (*(struct entry *const *)a)->of_project.slot;
	uint32_t y = (*(struct entry *const *)b)->of_project.slot;

	return (x > y) - (x < y);
}

enum zone_status zones_list_projects(struct zones *zones, struct entry ***ret_entries,
				     size_t *ret_count)
{
	AUTO(list_clear) struct list list = {0};
	READING(zones);

	index_each_project(&zones->index, list_add, &list);
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof(struct entry *), by_slot);
	return give(&list, ret_entries, ret_count);
}

/* ZONE_CONFLICT: others have let go of something meanwhile. */
static enum zone_status list_known(struct zones *zones, const struct entry_filter *filter,
				   struct entry ***ret_entries, size_t *ret_count)
{
	AUTO(list_clear) struct list list = {0};
	READING(zones);

	if (!zones_knows_filter(zones, filter))
		return ZONE_CONFLICT;
	TRY(project_check_read(&zones->index, filter->project));
	if (index_project_active(&zones->index, filter->project))
		index_each(&zones->index, filter, list_add, &list);
	return give(&list, ret_entries, ret_count);
}

enum zone_status zones_list(struct zones *zones, const struct entry_filter *filter,
			    struct entry ***ret_entries, size_t *ret_count)
{
	enum zone_status status = ZONE_CONFLICT;

	for (int i = 0; i < TRIES && status == ZONE_CONFLICT; i++) {
		TRY(zones_know_filter(zones, filter));
		status = list_known(zones, filter, ret_entries, ret_count);
	}
	return status == ZONE_CONFLICT ? ZONE_STORE_UNAVAILABLE : status;
}

static bool put_uids(const struct store_news *news, struct buffer *uids)
{
	for (size_t i = 0; i < news->count; i++)
		buffer_append(uids, bytes(news->rows[i].entry->uid.bytes, UID_SIZE));
	return !uids->failed;
}

/* Within a turn, so that the index can be read without its lock. */
static bool add_matching(const struct zones *zones, const struct entry_filter *filter,
			 const struct buffer *uids, struct list *list)
{
	for (size_t at = 0; at < uids->len; at += UID_SIZE) {
		struct entry *entry;
		struct uid uid;

		memcpy(uid.bytes, uids->data + at, UID_SIZE);
		entry = index_uid(&zones->index, uid);
		if (entry != NULL && index_matches(entry, filter) && !list_add(list, entry))
			return false;
	}
	return true;
}

static enum zone_status take_page(struct zones *zones, const struct entry_filter *filter,
				  struct uid *after, struct list *list, bool *ret_end)
{
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer uids = {0};

	TRY(zones->store->operations->list(zones->store, filter->project, after, &news, ret_end));
	if (!put_uids(&news, &uids))
		return ZONE_NO_MEMORY;
	TRY(zones_apply_all(zones, &news));
	return index_project_active(&zones->index, filter->project) &&
			       !add_matching(zones, filter, &uids, list)
		       ? ZONE_NO_MEMORY
		       : ZONE_OK;
}

enum zone_status zones_list_page(struct zones *zones, const struct entry_filter *filter,
				 struct uid *after, struct entry ***ret_entries, size_t *ret_count,
				 bool *ret_end)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;
	AUTO(list_clear) struct list list = {0};
	struct uid next = *after;
	bool end;

	TRY(zones_begin_turn(zones, &held));
	TRY(take_page(zones, filter, &next, &list, &end));
	zones_trim(zones);
	TRY(give(&list, ret_entries, ret_count));
	*after = next;
	*ret_end = end;
	return ZONE_OK;
}

bool zones_root_key_is(const struct zones *zones, const struct entry *root_key, struct bytes arn)
{
	char text[KMS_ARN_MAX + 1];

	if (arn.len > KMS_ARN_MAX || memchr(arn.data, '\0', arn.len) != NULL)
		return false;
	memcpy(text, arn.data, arn.len);
	text[arn.len] = '\0';
	return kms_same_key(kms_clients_providers(zones->clients), root_key->of_root_key.arn, text);
}

enum zone_status zones_free_slot(struct zones *zones, uint32_t *ret_slot)
{
	READING(zones);

	if (zones->index.next_slot > INT32_MAX)
		return ZONE_INVALID;
	*ret_slot = zones->index.next_slot;
	return ZONE_OK;
}
