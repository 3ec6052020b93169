/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share about the objects of a process. */
#pragma once

#include "base/map.h"
#include "objects/object.h"
#include "objects/report.h"

#include <pthread.h>

struct objects {
	struct zones *zones;
	const struct objects_asks *asks;
	struct report *report;
	bool private_entries;	  /* zones and token keys are private, whatever their own flags say
				   */
	_Atomic uint64_t changes; /* of session objects; part of the generation */
	pthread_mutex_t lock;	  /* guards what follows */
	uint64_t last_handle;
	uint8_t uid_prefix[8];		       /* of the session objects of this life */
	struct map sessions;		       /* handle to a session's object, held */
	struct map buckets[OBJECT_LINK_COUNT]; /* lists of them: objects/links.h */
	struct map views;		       /* number to the object of an entry, held: a cache */
	struct map made_ivs;		       /* handle to its struct made_ivs, held */
};

/* What objects/ivs.h counts for a handle, when that is given up (the lock is held), and for all. */
void objects_forget_ivs(struct objects *objects, CK_OBJECT_HANDLE handle);
void objects_free_ivs(struct objects *objects);

/* An entry as an object, borrowed from both: no value, no stamp, not counted. `scratch` holds part
 * of it; if it failed, that part is missing and the object must not be used. */
void view_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		   struct object *ret_model, struct buffer *scratch);
/* A zone that lives in a session is also limited by what the store, if it knows the zone, says of
 * it. Takes a session object and gives it back, or another object, in no table, that allows less.
 * CKR_HOST_MEMORY: also where it is not known what the store says. */
CK_RV view_of_session(struct objects *objects, struct object *object, struct object **ret_object);
/* The project in a slot, held; CKR_DEVICE_REMOVED: it is gone. */
CK_RV objects_project(struct objects *objects, CK_SLOT_ID slot, struct entry **ret_project);
