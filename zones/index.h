/*
 * The index: all entries of the store in memory, found in O(1) by number, uid, zone id, slot,
 * fingerprint, and by label, id and kind within a project. It only keeps; the rules stand
 * elsewhere. Not thread-safe: struct zones guards it. Only for files of zones/.
 */
#pragma once

#include "base/map.h"
#include "zones/entry.h"
#include "zones/status.h"
#include "zones/store.h"
#include "zones/zones.h"

struct index {
	struct map numbers;	 /* number → struct node */
	struct map uids;	 /* uid → struct node */
	struct map zones;	 /* zone id → struct node */
	struct map slots;	 /* slot → struct node: active projects */
	struct map fingerprints; /* of EZK versions → struct node */
	struct map buckets;	 /* project and label, id or kind → struct bucket */
	struct map gone_zones;	 /* zone ids of tombstones → struct gone_zone */
	uint64_t last_number;
	uint32_t next_slot; /* above every slot that was ever used */
};

void index_clear(struct index *index);

/* What a look into the store brought, as one step. Takes the news' entries. On ZONE_NO_MEMORY the
 * index holds part of it and must be told all again (since = 0), which repairs it. */
enum zone_status index_apply(struct index *index, struct store_news *news);

/* All borrowed; NULL: none. Also what awaits deletion and what archived projects hold. */
struct entry *index_number(const struct index *index, uint64_t number);
struct entry *index_uid(const struct index *index, struct uid uid);
struct entry *index_zone(const struct index *index, uint64_t zone);
struct entry *index_slot(const struct index *index, uint32_t slot);
struct entry *index_fingerprint(const struct index *index, const uint8_t fingerprint[static 16]);
/* A zone that lives here, or lived here and is gone for good. */
bool index_zone_was_used(const struct index *index, uint64_t zone);
/* The active entry of that kind and label; NULL: the label is free. */
struct entry *index_label(const struct index *index, struct uid project, enum entry_kind kind,
			  struct bytes label);
/* A project is active, so that what it holds can be used. */
bool index_project_active(const struct index *index, struct uid project);

/* Calls `visit` for each entry of the project that matches the filter, in order of creation, until
 * it answers false. */
typedef bool index_visit(void *state, struct entry *entry);
void index_each(const struct index *index, const struct entry_filter *filter, index_visit *visit,
		void *state);
/* The same for all entries of a kind in a project. */
void index_each_of(const struct index *index, struct uid project, enum entry_kind kind,
		   index_visit *visit, void *state);
/* Active projects, in any order. */
void index_each_project(const struct index *index, index_visit *visit, void *state);
