/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share about the objects of a process. */
#pragma once

#include "base/map.h"
#include "objects/object.h"
#include "objects/report.h"
#include "zones/model/project_extra.h"

#include <pthread.h>

enum { SHARD_BITS = 3, SHARD_COUNT = 1 << SHARD_BITS };

/* The objects of some sessions. */
struct shard {
	pthread_mutex_t lock;		       /* guards what follows */
	uint64_t made;			       /* objects, so far: the number in a handle */
	struct map objects;		       /* handle to a session's object, held */
	struct map buckets[OBJECT_LINK_COUNT]; /* lists of them: objects/links.h */
	struct map made_ivs;		       /* handle to its struct made_ivs, held */
} __attribute__((aligned(64)));

struct objects {
	struct zones *zones;
	const struct objects_asks *asks;
	struct report *report;
	bool private_entries;	  /* zones and token keys are private, whatever their own flags say
				   */
	atomic_bool knows_pins;	  /* some project of the store has, or had, a PIN */
	_Atomic uint64_t changes; /* of session objects; part of the generation */
	atomic_bool has_prefix;	  /* set once, under the lock, as this: */
	uint8_t uid_prefix[8];	  /* of the session objects of this life */
	struct shard shards[SHARD_COUNT]; /* objects/shards.h */
	pthread_mutex_t lock;		  /* guards what follows */
	struct map views;		  /* number to the object of an entry, held: a cache */
	struct buffer store_copy; /* what the last copy of the store did: objects/store_copy.h */
};

/* As a key of a map. */
static inline struct bytes handle_key(const CK_OBJECT_HANDLE *handle)
{
	return bytes(handle, sizeof(*handle));
}

/* What objects/ivs.h counts for a handle, when that is given up (the lock is held), and for all. */
void shard_forget_ivs(struct shard *shard, CK_OBJECT_HANDLE handle);
void shard_free_ivs(struct shard *shard);

/* An entry as an object, borrowed from both: no value, no stamp, not counted. `scratch` holds part
 * of it; if it failed, that part is missing and the object must not be used. */
void view_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		   struct object *ret_model, struct buffer *scratch);
/* As which kind an entry is seen: those of a zone are keys, data or certificates. */
enum object_kind view_kind(const struct entry *entry);
/* Whether an entry is private, whatever its own flags say: a zone, a token key or data, where login
 * is enforced by the configuration or its project has a PIN. Certificates are public by nature. */
bool view_is_private(struct objects *objects, const struct entry *entry, CK_SLOT_ID slot);
/* A zone that lives in a session is also limited by what the store, if it knows the zone, says of
 * it. Takes a session object and gives it back, or another object, in no table, that allows less.
 * CKR_HOST_MEMORY: also where it is not known what the store says. */
CK_RV view_of_session(struct objects *objects, struct object *object, struct object **ret_object);
/* Whether its zones and token keys are private, for its PIN. */
static inline bool project_has_pin(const struct entry *project)
{
	return project_extra_pins(project).len > 0;
}
/* Whoever has found a project says so, so that where no project has a PIN nobody need look. */
void objects_note_project(struct objects *objects, const struct entry *project);
static inline bool objects_know_pins(const struct objects *objects)
{
	return atomic_load_explicit(&objects->knows_pins, memory_order_relaxed);
}
/* A project that has a PIN, other than `own`, held; NULL: there is none. */
CK_RV objects_other_with_pin(struct objects *objects, const struct uid *own,
			     struct entry **ret_project);
/* The project in a slot, held; CKR_DEVICE_REMOVED: it is gone. */
CK_RV objects_project(struct objects *objects, CK_SLOT_ID slot, struct entry **ret_project);
