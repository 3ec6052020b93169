/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen is compared with what is there; see the header. */
#include "pkcs11/slot_events.h"

#include "base/free.h"
#include "base/macros.h"
#include "objects/error.h"
#include "zones/domain/lookup.h"
#include "zones/domain/zones.h"

#include <stdlib.h>

struct seen {
	CK_SLOT_ID slot;
	struct uid project;
};

void slot_events_init(struct slot_events *events)
{
	*events = (struct slot_events){0};
	pthread_mutex_init(&events->lock, NULL);
}

void slot_events_clear(struct slot_events *events)
{
	buffer_clear(&events->seen);
	pthread_mutex_destroy(&events->lock);
}

static size_t count_of(const struct buffer *list)
{
	return list->len / sizeof(struct seen);
}

static struct seen *at(const struct buffer *list, size_t index)
{
	return (struct seen *)(void *)list->data + index;
}

static struct seen *find(const struct buffer *list, CK_SLOT_ID slot)
{
	for (size_t i = 0; i < count_of(list); i++)
		if (at(list, i)->slot == slot)
			return at(list, i);
	return NULL;
}

/* Of the state that was last read: no lock is held while the store is. */
static CK_RV list(struct zones *zones, struct buffer *ret_there)
{
	struct entry **projects = NULL;
	size_t count = 0;

	TRY(error_of_zone(zones_list_projects(zones, &projects, &count), ERROR_TOKEN));
	for (size_t i = 0; i < count; i++) {
		const struct seen seen = {projects[i]->of_project.slot, projects[i]->uid};

		buffer_append(ret_there, bytes(&seen, sizeof(seen)));
		entry_release(projects[i]);
	}
	free(projects);
	return ret_there->failed ? CKR_HOST_MEMORY : CKR_OK;
}

/* Has come, or has taken another's place. */
static bool take_new(struct buffer *seen, const struct buffer *there, CK_SLOT_ID *ret_slot)
{
	for (size_t i = 0; i < count_of(there); i++) {
		struct seen *now = at(there, i), *before = find(seen, now->slot);

		if (before != NULL && uid_equal(before->project, now->project))
			continue;
		if (before != NULL)
			*before = *now;
		else
			buffer_append(seen, bytes(now, sizeof(*now)));
		*ret_slot = now->slot;
		return true;
	}
	return false;
}

static bool take_gone(struct buffer *seen, const struct buffer *there, CK_SLOT_ID *ret_slot)
{
	for (size_t i = 0; i < count_of(seen); i++) {
		struct seen *before = at(seen, i);

		if (find(there, before->slot) != NULL)
			continue;
		*ret_slot = before->slot;
		*before = *at(seen, count_of(seen) - 1);
		buffer_truncate(seen, seen->len - sizeof(*before));
		return true;
	}
	return false;
}

void slot_events_begin(struct slot_events *events, struct zones *zones)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&events->lock);

	if (events->begun)
		return;
	events->begun = list(zones, &events->seen) == CKR_OK;
	if (!events->begun)
		buffer_clear(&events->seen);
}

CK_RV slot_events_next(struct slot_events *events, struct zones *zones, CK_SLOT_ID *ret_slot)
{
	AUTO(buffer_clear) struct buffer there = {0};
	AUTO(unlockp) pthread_mutex_t *held = NULL;
	bool found;

	TRY(error_of_zone(zones_refresh(zones, false), ERROR_TOKEN));
	slot_events_begin(events, zones);
	held = locked(&events->lock);
	TRY(list(zones, &there));
	found = take_new(&events->seen, &there, ret_slot) ||
		take_gone(&events->seen, &there, ret_slot);
	if (events->seen.failed)
		return CKR_HOST_MEMORY;
	return found ? CKR_OK : CKR_NO_EVENT;
}
