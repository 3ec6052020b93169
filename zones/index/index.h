/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: all entries of the store in memory, found in O(1) by number, uid, zone id, slot,
 * fingerprint, and by label, id and kind within a project. It only keeps; the rules stand
 * elsewhere. Not thread-safe: struct zones guards it. Only for files of zones/.
 */
#pragma once

#include "base/map.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"
#include "zones/model/title.h"
#include "zones/store/store.h"

#include <stdatomic.h>

/* A place in a bucket, or the ring's head. */
struct index_link {
	struct index_link *before, *after;
	struct index_bucket *bucket; /* NULL: in none */
	struct index_node *node;     /* NULL: the head */
};

/* All entries that share a label, an id or a kind within a project, or zones that share a cluster,
 * in the order they became known. */
struct index_bucket {
	struct index_link head;
	size_t key_len;
	uint8_t key[];
};

/* INDEX_BY_AGE: zones and token keys of all projects, those that may go soonest first. */
enum index_by {
	INDEX_BY_LABEL,
	INDEX_BY_ID,
	INDEX_BY_KIND,
	INDEX_BY_CLUSTER,
	INDEX_BY_AGE,
	INDEX_BY_COUNT
};

/* The key of a bucket, in the caller's memory. */
struct index_key {
	uint8_t data[1 + UID_SIZE + LABEL_MAX];
};
struct bytes index_key(struct index_key *key, enum index_by by, struct uid within,
		       struct bytes value);

/* One uid: it stays while its entry is replaced, or let go (trim.c), and so does its number. */
struct index_node {
	struct entry *entry; /* held; NULL: it is to come, or was let go */
	atomic_bool used;    /* looked up since it was last passed over */
	struct uid uid;
	uint64_t number;
	uint64_t zone; /* zone id; 0: not a zone */
	uint32_t slot; /* under which it stands in `slots` */
	uint64_t round;
	uint64_t since; /* the round in which its entry came, or became certain */
	bool certain;	/* that the entry is its project's own: else not found by its zone id */
	struct index_link links[INDEX_BY_COUNT];
};

/* A zone that must not be opened; nothing else is known about it. */
struct index_gone {
	uint64_t zone;
	struct uid uid; /* whose tombstone says it; zeros: none's */
	bool withheld;	/* it awaits deletion; else it has a tombstone */
};

/* A zone that a store which is known in part was asked for, and does not have. */
struct index_absent {
	uint64_t zone;
};

/* A tombstone. */
struct index_grave {
	struct uid uid, project;
	uint64_t zone; /* 0: not a zone */
};

struct index {
	const struct kms_provider *const *providers; /* by which two names are of one root key */
	struct map numbers;			     /* number → node */
	struct map uids;			     /* uid → node */
	struct map zones;			     /* zone id → node */
	struct map slots;			     /* slot → node: active projects */
	struct map fingerprints;		     /* of zones' own EZK versions → node */
	struct map imports; /* of those that they have imported → one node of several */
	bool has_imports;   /* a zone has some, or had */
	struct map
		buckets; /* kind of bucket; project, and label, id or kind, or cluster → bucket */
	struct map gone; /* zone id → struct index_gone */
	struct map graves; /* uid → struct index_grave */
	/* Only what was met of zones and token keys is here; a zone that is neither here nor gone
	 * nor absent is unknown. */
	bool partial;
	struct map absent;     /* zone id → struct index_absent */
	size_t spare_count;    /* zones and token keys that are here */
	uint64_t let_go_count; /* how many were let go so far */
	/* Zones that are not as they were, for those who have their live EZKs; `removed`: not to be
	 * used, since zone or project are gone or archived. Whoever applies news takes it away. */
	struct store_news touched;
	struct store_unread *unread; /* as the news had them last */
	size_t unread_count;
	size_t zone_count; /* entries that are zones */
	size_t refused;	   /* rows that count for nothing, though they may be the right ones */
	uint64_t last_number;
	uint64_t round;	    /* grows with each whole load; nodes of an earlier one are gone */
	uint32_t next_slot; /* above every slot that was ever used */
};

/* Empty; `providers` live as long. */
static inline void index_init(struct index *index, const struct kms_provider *const *providers)
{
	*index = (struct index){.providers = providers, .numbers = {.of_numbers = true}};
}
void index_clear(struct index *index);

/* What a look into the store brought, as one step; takes the rows out of the news. On
 * ZONE_NO_MEMORY the index holds part of it and must be told everything again (since = 0), which
 * repairs it. A row of one project that has the uid or the zone id of another's is damage: what is
 * known stays, and of two that come with one whole load the zone counts as gone; so of a row and a
 * tombstone, but what is no zone stays. Zones of projects
 * that can be read no more, or can again, are touched.
 *
 * A partial index can't see what a row of the news takes over. There a zone is found by its id only
 * if it was known when all was, was asked for by that id, or is this process's own; by other ways
 * it is found in its project alone, and its id is unknown (index_zone_is_unknown). So is that of a
 * tombstone. What was asked for displaces what only the news told. */
enum zone_status index_apply(struct index *index, struct store_news *news);

/* Gives an entry that may come its number: what the entry of that uid has, or will have. Nothing
 * finds it before it comes by index_apply(). */
enum zone_status index_reserve(struct index *index, struct entry *entry);
/* The entry will not come after all. */
void index_unreserve(struct index *index, const struct entry *entry);

/* A number that no entry has or will have. */
uint64_t index_number_new(struct index *index);

/* Lets zones and token keys go until no more than `most` are left: those that nobody has looked up
 * since the last time and nobody holds, but no zone that `keep` wants. From then on the index is
 * partial. */
typedef bool index_keep(const void *state, uint64_t zone);
void index_trim(struct index *index, size_t most, index_keep *keep, const void *state);
/* Where more than `most` zones are known to be absent, forgets those that `keep` does not want:
 * they are unknown again, and asked for when they are met again. */
void index_trim_absent(struct index *index, size_t most, index_keep *keep, const void *state);
/* Notes that the store has no such zone. False: no memory. */
bool index_note_absent(struct index *index, uint64_t zone);
/* Nothing is known of the zone, since the index is partial or a project can't be read: the store
 * has to be asked. */
bool index_zone_is_unknown(const struct index *index, uint64_t zone);
/* Why a project can't be read; NULL: it can. */
const struct store_unread *index_unread(const struct index *index, struct uid project);
/* The uid of an entry that has that number and was let go; false: none. */
bool index_number_let_go(const struct index *index, uint64_t number, struct uid *ret_uid);

/* All borrowed; NULL: none. Also entries that await deletion and those of archived projects. */
struct entry *index_number(const struct index *index, uint64_t number);
struct entry *index_uid(const struct index *index, struct uid uid);
struct entry *index_zone(const struct index *index, uint64_t zone);
struct entry *index_slot(const struct index *index, uint32_t slot);
struct entry *index_fingerprint(const struct index *index, const uint8_t fingerprint[static 16]);
/* One that has imported it. */
struct entry *index_import(const struct index *index, const uint8_t fingerprint[static 16]);
/* A zone that has a tombstone. */
bool index_zone_is_gone(const struct index *index, uint64_t zone);
/* A zone that awaits deletion in a store that is read in part (store.h: limited). */
bool index_zone_is_withheld(const struct index *index, uint64_t zone);
/* What has a tombstone, of whatever kind. */
bool index_is_buried(const struct index *index, struct uid uid);
/* The next tombstone after position *at (begin with 0); NULL at the end. */
const struct index_grave *index_next_grave(const struct index *index, size_t *at);
/* A zone that lives here, or lived here and is gone for good. */
bool index_zone_was_used(const struct index *index, uint64_t zone);
/* The active entry of that kind and label; NULL: the label is free. */
struct entry *index_label(const struct index *index, struct uid project, enum entry_kind kind,
			  struct bytes label);
/* A project is active, so that what it holds can be used. */
bool index_project_active(const struct index *index, struct uid project);
/* The name of a zone in messages, also of one that awaits deletion. */
struct zone_title zone_title_in(const struct index *index, uint64_t zone);
/* The entry can be seen: it is not in an archived project. */
bool index_is_visible(const struct index *index, const struct entry *entry);

/* Calls `visit` for each entry of the project that matches the filter, in the order they
 * became known, until it answers false. */
typedef bool index_visit(void *state, struct entry *entry);
void index_each(const struct index *index, const struct entry_filter *filter, index_visit *visit,
		void *state);
/* Whether the entry is such a one. */
bool index_matches(const struct entry *entry, const struct entry_filter *filter);
/* The same for all entries of a kind in a project. */
void index_each_of(const struct index *index, struct uid project, enum entry_kind kind,
		   index_visit *visit, void *state);
/* The same for the zones of a cluster. One that has changed goes to the end: those that nobody has
 * touched come first. */
void index_each_in_cluster(const struct index *index, const struct entry *cluster,
			   index_visit *visit, void *state);
/* Active projects, in any order. */
void index_each_project(const struct index *index, index_visit *visit, void *state);
/* And those that are archived. Looks at every entry. */
void index_each_project_of_all(const struct index *index, index_visit *visit, void *state);
