/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS #11 objects: an entry of the store (root key, cluster, zone, token key, archive), or a
 * session's own (session key, session root key, session zone). Counted and, but for the marked
 * fields, immutable: a change makes a new object under the same handle, so that who uses the old
 * one is not disturbed.
 */
#pragma once

#include <stdatomic.h>

#include "base/buffer.h"
#include "include/pkcs11.h"
#include "include/cmek.h"
#include "zones/ezk/ezk.h"

enum object_kind {
	OBJECT_ROOT_KEY,
	OBJECT_CLUSTER,
	OBJECT_ZONE,
	OBJECT_KEY,
	OBJECT_ARCHIVE,
	OBJECT_DIAGNOSTIC,
	OBJECT_KIND_COUNT
};

struct stamp;

/* Stored in objects/extra.h: never renumbered. */
enum object_flag {
	OBJECT_TOKEN = 1 << 0,
	OBJECT_PRIVATE = 1 << 1,
	OBJECT_MODIFIABLE = 1 << 2,
	OBJECT_COPYABLE = 1 << 3,
	OBJECT_DESTROYABLE = 1 << 4,
	OBJECT_SENSITIVE = 1 << 5,
	OBJECT_ALWAYS_SENSITIVE = 1 << 6,
	OBJECT_EXTRACTABLE = 1 << 7,
	OBJECT_NEVER_EXTRACTABLE = 1 << 8,
	OBJECT_LOCAL = 1 << 9,
	OBJECT_TRUSTED = 1 << 10,
	OBJECT_WRAP_WITH_TRUSTED = 1 << 11,
};

/* What the objects of sessions are looked for by. */
enum object_link { OBJECT_BY_SESSION, OBJECT_BY_LABEL, OBJECT_BY_ID, OBJECT_LINK_COUNT };

struct object {
	atomic_uint references;
	CK_OBJECT_HANDLE handle; /* never reused, never 0; of an entry: its number */
	enum object_kind kind;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE owner; /* 0: a token object */
	atomic_bool gone;    /* marked; a session's that was destroyed or replaced: let go of it */
	struct entry *entry; /* held; NULL: a session key or session zone */
	struct uid uid;
	CK_KEY_TYPE key_type;
	CK_ULONG value_len;
	CK_MECHANISM_TYPE generated_by; /* CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION */
	uint32_t usages;		/* enum usage */
	uint32_t flags;			/* enum object_flag */
	struct bytes label;
	struct bytes id;
	struct bytes start_date; /* 0 or 8 bytes */
	struct bytes end_date;
	struct bytes allowed_mechanisms; /* CK_MECHANISM_TYPE[], none = any */
	struct bytes wrap_template;	 /* templates as objects/template.h writes them */
	struct bytes unwrap_template;
	struct wished_seconds max_lease, max_stale; /* of a zone that is being made */
	struct wished_flag kept;		    /* the same: CKA_CMEK_EMBED_EZK is FALSE */
	struct bytes kms_key;			    /* a root key: as its maker named it */
	struct ezk *ezk;			    /* a session zone: held */
	/* Data keys only. The value is set once (objects/value.h); a token key has none until it is
	 * first used: object_open. */
	struct kept value;
	_Atomic uint64_t next_chunk; /* objects/chunk.h; 0 in each new object */
	struct stamp *stamp; /* held; shared by a key, its copies and what is derived from it */
	struct object *kin_before, *kin_after; /* of the stamp's family; under its lock */
	/* Neighbours among a table's objects, under its lock. */
	struct object_neighbours {
		struct object *next, *previous;
	} links[OBJECT_LINK_COUNT];
};

/* A new object like `model`: bytes are copied, what is held there is held once more; one reference,
 * no value, a stamp of its own unless the model has one. NULL: no memory. */
struct object *object_new(const struct object *model);
/* What of an object never changes, borrowed from it: to begin a model with. Others may be using the
 * object, so it can't be copied as a whole. */
struct object object_model(const struct object *object);
struct object *object_hold(struct object *object);
void object_release(struct object *object);
void object_releasep(struct object **object);
CK_OBJECT_CLASS object_class(const struct object *object);
static inline bool object_has(const struct object *object, uint32_t flags)
{
	return (object->flags & flags) == flags;
}

/* Is it a zone whose record is for the store alone (CKA_CMEK_EMBED_EZK)? */
static inline bool object_record_is_kept(const struct object *object)
{
	return object->kind == OBJECT_ZONE && object->entry != NULL &&
	       zones_zone_is_kept(object->entry);
}

/* What C_DestroyObject or C_InitToken has put aside, until CKA_CMEK_STATE is set active. */
static inline bool object_awaits_deletion(const struct object *object)
{
	return object->kind == OBJECT_ARCHIVE ||
	       (object->entry != NULL && object->entry->state == ENTRY_PENDING_DELETION);
}

/* The EZK a key is stamped with, NULL: none yet. Borrowed: lives as long as the object. A token
 * key has it after object_open. */
struct ezk *object_ezk(const struct object *object);
/* A new object that nobody else knows yet and that has no value yet belongs where `other` belongs
 * (copies, derived keys): whichever is stamped first, both are. */
void object_share_stamp(struct object *object, const struct object *other);
/* Stamps a key with a zone, or finds that it has that zone's stamp; its value, and its family's,
 * are hidden from here on while the zone has no lease. KMS if there is a value to hide and no lease
 * runs; with its refusal the key stays as it was. ZONE_OTHER_ZONE: it has another's. */
enum zone_status object_stamp(struct object *object, struct ezk *ezk);
/* Two data keys belong to one zone from here on, whichever of their families is stamped first, and
 * also if neither is yet. Token keys have been opened. As object_stamp where one is stamped. */
enum zone_status object_unite(struct object *a, struct object *b);
/* The zone id of the stamp, 0: none; of a zone itself, its own; no KMS. */
uint64_t object_zone(const struct object *object);

/*
 * The objects of a process: those of the store, by way of the index, and those of sessions. One per
 * module life.
 */
struct objects;
CK_RV objects_new(struct zones *zones, struct objects **ret_objects);
void objects_free(struct objects *objects);
struct zones *objects_zones(struct objects *objects);
/* Changes whenever a handle's object may have changed; a session's cached look-up is good while it
 * stays the same. */
uint64_t objects_generation(const struct objects *objects);

/* For whoever keeps what was made of keys (session/ready_keys.h), to be loaded in each call: grows
 * when an object of a session has gone or was replaced. Entries of the store: struct ezks_watch. */
const _Atomic uint64_t *objects_gone(const struct objects *objects);
/* Is it still what its handle stands for? False also where memory lacks to tell. */
bool objects_has(struct objects *objects, const struct object *object);
static inline bool object_is_gone(const struct object *object)
{
	return atomic_load_explicit(&object->gone, memory_order_relaxed);
}
/* Does anybody hold it besides the caller? */
bool object_is_shared(const struct object *object);

/* The object behind a handle in a slot, held; from the session's own objects and the token's.
 * CKR_OBJECT_HANDLE_INVALID: none; CKR_HOST_MEMORY: who knows. Entries that await deletion are
 * found. A zone allows what its records do; one of a session also no more than the token's, where
 * there is that. */
CK_RV objects_get(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle,
		  struct object **ret_object);
/* The same for who need not know why there is none: NULL. */
struct object *objects_find(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle);
/* Adds a session's object (takes it, sets its handle) and returns its handle. */
CK_RV objects_add(struct objects *objects, struct object *object, CK_OBJECT_HANDLE *ret_handle);
/* Puts a changed value under the same handle (takes it). */
CK_RV objects_replace(struct objects *objects, struct object *object);
void objects_remove(struct objects *objects, CK_OBJECT_HANDLE handle);
/* Destroys what a session made. True: somebody still holds some of it. */
bool objects_remove_session(struct objects *objects, CK_SESSION_HANDLE session);
/* Destroys the private objects that sessions with a slot have made. */
void objects_remove_private(struct objects *objects, CK_SLOT_ID slot);
/* The object of an entry that was just made or changed (held). */
CK_RV objects_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		       struct object **ret_object);
/* Handles of all objects in a slot that match the template (free() the array); O(1) + results for
 * label, id, unique id. Unknown classes and attributes match nothing. What awaits deletion is found
 * only if the template names CKA_CMEK_STATE. */
CK_RV objects_search(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
		     CK_ULONG count, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count);

/* Zones and token keys are private objects from now on, whatever they say of themselves. */
void objects_force_private(struct objects *objects);
/* Makes the value of a token key be there, by way of its zone (KMS when that has no lease). */
enum zone_status object_open(struct objects *objects, struct object *object);
/* The value of a data key, value_len bytes in the clear, for the caller to secret_free(); opens a
 * token key that is used for the first time. KMS where its zone has no lease. */
enum zone_status object_read(struct objects *objects, struct object *object, uint8_t **ret_secret);

/* A new data key belongs to the zone that its template names (0: none), which is one of the slot's
 * project. KMS, since to make a key for a zone is to use that. CKR_ATTRIBUTE_VALUE_INVALID: there
 * is no such zone here; CKR_TEMPLATE_INCONSISTENT: the key is another's. */
CK_RV objects_stamp_as_named(struct objects *objects, CK_SLOT_ID slot, struct object *key,
			     uint64_t zone);
/* A new data key becomes a token object (takes it): wrapped by `zone` (0: the zone of its stamp,
 * else "default/default", made on demand) and stored. KMS. Who has checked that the session may
 * write is the caller. */
CK_RV objects_store_key(struct objects *objects, CK_SLOT_ID slot, struct object *key, uint64_t zone,
			CK_OBJECT_HANDLE *ret_handle);
/* A zone made from an object that template_make_key gave (takes it): zones_zone_create with its
 * names. KMS. */
CK_RV objects_store_zone(struct objects *objects, CK_SLOT_ID slot, struct object *zone,
			 CK_OBJECT_HANDLE *ret_handle);
/* Names, usages and further attributes of an object as the store keeps them: borrowed from the
 * object, and `extra` from the buffer it is written to. False: no memory. */
bool object_names(const struct object *object, struct buffer *extra, struct entry_names *ret_names);
