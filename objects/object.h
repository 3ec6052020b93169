/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS #11 objects: an entry of the store (root key, cluster, zone, token key or data, archive), or
 * a session's own (session key or data, session root key, session zone). They are counted and,
 * except for the marked fields, immutable: a change makes a new object under the same handle, so
 * that threads that use the old one are not disturbed.
 */
#pragma once

#include "base/buffer.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdatomic.h>

enum object_kind {
	OBJECT_ROOT_KEY,
	OBJECT_CLUSTER,
	OBJECT_ZONE,
	OBJECT_KEY,
	OBJECT_DATA,
	OBJECT_CERTIFICATE, /* opaque: data that has further attributes */
	OBJECT_ARCHIVE,
	OBJECT_DIAGNOSTIC,
	OBJECT_BACKUP,	/* objects/backup.c */
	OBJECT_PROFILE, /* objects/profile.h */
	OBJECT_KIND_COUNT
};

struct stamp;

/* Stored in objects/stored_fields.h: never renumbered. */
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

/* The keys by which session objects are looked up. */
enum object_link { OBJECT_BY_SESSION, OBJECT_BY_LABEL, OBJECT_BY_ID, OBJECT_LINK_COUNT };

struct object {
	atomic_uint references;
	CK_OBJECT_HANDLE handle; /* never reused, never 0; of an entry: its number */
	enum object_kind kind;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE owner; /* 0: a token object */
	atomic_bool gone;    /* marked; a session object that was destroyed or replaced: let go of
			      * it */
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
	struct bytes unwrap_template, derive_template;
	struct wished_seconds max_lease, max_stale; /* of a zone that is being made */
	struct wished_flag kept;		    /* the same: CKA_CMEK_EMBED_EZK is FALSE */
	struct wished_days rotate_days;		    /* the same */
	struct bytes root_keys;			    /* the same: CKA_CMEK_ROOT_KEYS, or empty */
	struct bytes kms_key;			    /* a root key: as its maker named it */
	struct ezk *ezk;			    /* a session zone: held */
	/* Data keys and data only. The value is set once (objects/value.h); a token key has none
	 * until it is first used: object_open. Data of the token never has: it is opened for each
	 * reading. */
	struct masked_value value;
	_Atomic uint64_t next_chunk, next_message; /* objects/chunk.h; 0 in each new object */
	/* objects/ivs.h; in a new object only if it replaces such a one: may it have a counter, and
	 * did C_CopyObject make it? */
	bool may_count_ivs, is_copy;
	struct stamp *stamp; /* held; shared by a key, its copies and the keys derived from it */
	struct object *kin_before, *kin_after; /* of the stamp's family; under its lock */
	/* Neighbours among a table's objects, under its lock. */
	struct object_neighbours {
		struct object *next, *previous;
	} links[OBJECT_LINK_COUNT];
	/* Of kinds that have it alone (object_has_more): an object of another kind, of which a
	 * process may have a million, ends before it. */
	struct object_more {
		/* Of a backup: its bytes, what is in it or became of it, what its restore was asked
		 * for, and whether its structure alone was looked at. */
		struct bytes file, told, restore;
		bool offline;
		CK_PROFILE_ID profile; /* of a profile object */
		/* Of data, and of certificates. */
		struct bytes application, object_id;
		CK_CERTIFICATE_TYPE certificate_type;
		CK_ULONG certificate_category, java_domain;
		CK_MECHANISM_TYPE name_hash; /* CKA_NAME_HASH_ALGORITHM */
		struct bytes subject, issuer, serial_number, url, subject_key_hash, issuer_key_hash,
			public_key_info;
	} more;
};

/* Where the bytes of data and certificates lie beyond a key's, in the order in which they are
 * stored (docs/format.md, 4.1): a new one goes to the end. */
enum { OBJECT_TEXTS = 9 };
extern const size_t object_texts[OBJECT_TEXTS];

/* A new object like `model`: bytes are copied, and what the model holds is held once more; one
 * reference, no value, and a stamp of its own unless the model has one. NULL: no memory. */
struct object *object_new(const struct object *model);
/* The fields of an object that never change, borrowed from it: to begin a model with. Others may be
 * using the object, so it can't be copied as a whole. */
struct object object_model(const struct object *object);
struct object *object_hold(struct object *object);
void object_release(struct object *object);
void object_releasep(struct object **object);
CK_OBJECT_CLASS object_class_of(enum object_kind kind);
CK_OBJECT_CLASS object_class(const struct object *object);
/* Certificates are data too. */
static inline bool object_is_data(const struct object *object)
{
	return object->kind == OBJECT_DATA || object->kind == OBJECT_CERTIFICATE;
}
static inline bool object_has_more(const struct object *object)
{
	return object_is_data(object) || object->kind == OBJECT_BACKUP ||
	       object->kind == OBJECT_PROFILE;
}
/* Keys and data that have a value of their own, which belongs to a zone or may do so. */
static inline bool object_has_value(const struct object *object)
{
	return object->kind == OBJECT_KEY || object_is_data(object);
}
/* Some flags only go one way: PKCS #11, "Common attributes" of storage objects and of keys. */
static inline bool object_flags_may_become(uint32_t flags, uint32_t wished)
{
	enum {
		ONLY_SET = OBJECT_SENSITIVE | OBJECT_WRAP_WITH_TRUSTED | OBJECT_PRIVATE,
		ONLY_CLEARED = OBJECT_EXTRACTABLE | OBJECT_COPYABLE,
	};

	return (flags & ~wished & ONLY_SET) == 0 && (~flags & wished & ONLY_CLEARED) == 0;
}

static inline bool object_has(const struct object *object, uint32_t flags)
{
	return (object->flags & flags) == flags;
}

/* Whether it is a zone whose record stays in the store (CKA_CMEK_EMBED_EZK). */
static inline bool object_record_is_kept(const struct object *object)
{
	return object->kind == OBJECT_ZONE && object->entry != NULL &&
	       zones_zone_is_kept(object->entry);
}

/* An object that C_DestroyObject or C_InitToken has put aside, until CKA_CMEK_STATE is set active.
 */
static inline bool object_awaits_deletion(const struct object *object)
{
	return object->kind == OBJECT_ARCHIVE ||
	       (object->entry != NULL && object->entry->state == ENTRY_PENDING_DELETION);
}

/* The EZK that a key is stamped with; NULL: none yet. Borrowed: it lives as long as the object. A
 * token key has it after object_open. */
struct ezk *object_ezk(const struct object *object);
/* A new object that nobody else knows yet and that has no value yet belongs where `other` belongs
 * (copies, derived keys): as soon as one is stamped, both are. */
void object_share_stamp(struct object *object, const struct object *other);
/* The same where it belongs to a zone that is known. */
void object_begin_in(struct object *object, struct ezk *ezk);
/* Stamps a key with a zone, or finds that it has that zone's stamp. From here on its value, and its
 * family's, are hidden while the zone has no lease. Asks the KMS if there is a value to hide and no
 * lease runs; if the KMS refuses, the key stays as it was. ZONE_OTHER_ZONE: it has another zone's
 * stamp. */
enum zone_status object_stamp(struct object *object, struct ezk *ezk);
/* Two data keys belong to one zone from here on: whichever family is stamped first stamps both,
 * even if neither is yet. Token keys have been opened before. Like object_stamp where one is
 * stamped. */
enum zone_status object_unite(struct object *a, struct object *b);
/* The id of the stamp's zone, 0: none; for a zone itself, its own id; no KMS. */
uint64_t object_zone(const struct object *object);

/*
 * The objects of a process: those of the store, through the index, and those of sessions. One for
 * each life of the module.
 */
struct objects;
/* What stands above the objects and is asked about them. */
struct objects_asks {
	/* Appends the types (CK_MECHANISM_TYPE[]) of the mechanisms that a key fits. */
	void (*mechanisms)(const struct object *key, struct buffer *out);
};
CK_RV objects_new(struct zones *zones, const struct objects_asks *asks,
		  struct objects **ret_objects);
void objects_free(struct objects *objects);
struct zones *objects_zones(struct objects *objects);
/* Changes whenever a handle's object may have changed: that of an entry with `store`, that of a
 * session with either. While it stays the same, a session's cached look-up is good. */
struct objects_generation {
	uint64_t store, sessions;
};
struct objects_generation objects_generation(const struct objects *objects);
static inline bool object_is_as_in(const struct object *object, struct objects_generation then,
				   struct objects_generation now)
{
	return then.store == now.store && (object->owner == 0 || then.sessions == now.sessions);
}

/* For callers that cache things made from keys (session/ready_keys.h), to be loaded in each call:
 * grows when a session object is destroyed that somebody else holds, or replaced. For entries of
 * the store: struct registry_watch. */
const _Atomic uint64_t *objects_gone(const struct objects *objects);
/* Whether it is still the object of its handle. False also where memory lacks to tell. */
bool objects_has(struct objects *objects, const struct object *object);
static inline bool object_is_gone(const struct object *object)
{
	return atomic_load_explicit(&object->gone, memory_order_relaxed);
}
/* Whether anybody holds it besides the caller. */
bool object_is_shared(const struct object *object);

/* The object behind a handle in a slot, held; from the session's own objects and the token's.
 * CKR_OBJECT_HANDLE_INVALID: none; CKR_HOST_MEMORY: not known. Entries that await deletion are
 * found. A zone allows what its records do; a session's zone also no more than the token's, if
 * there is one. */
CK_RV objects_get(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle,
		  struct object **ret_object);
/* The same for callers that need not know why there is none: NULL. */
struct object *objects_find(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle);
/* Adds a session object (takes it, sets its handle) and returns its handle. */
CK_RV objects_add(struct objects *objects, struct object *object, CK_OBJECT_HANDLE *ret_handle);
/* Replaces the object of a handle, `read`, by a changed one (takes it). OBJECT_HAS_CHANGED, which
 * is not for callers of the module: by another thread, meanwhile. */
#define OBJECT_HAS_CHANGED ((CK_RV)CKR_VENDOR_DEFINED)
CK_RV objects_replace(struct objects *objects, const struct object *read, struct object *object);
/* Destroys it. `held`: what the caller holds of that handle, which another thread may have replaced
 * meanwhile (true); or NULL. */
bool objects_remove(struct objects *objects, CK_OBJECT_HANDLE handle, const struct object *held);
/* Destroys what a session made. True: some of it is still held elsewhere. */
bool objects_remove_session(struct objects *objects, CK_SESSION_HANDLE session);
/* Destroys the private objects that the slot's sessions have made. */
void objects_remove_private(struct objects *objects, CK_SLOT_ID slot);
/* The object of an entry that was just made or changed (held). */
CK_RV objects_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		       struct object **ret_object);
/* Handles of all objects in a slot that match the template (free() the array); O(1) + results for
 * label, id, unique id. Unknown classes and attributes match nothing. Objects that await deletion
 * are found only if the template names CKA_CMEK_STATE. */
CK_RV objects_search(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
		     CK_ULONG count, CK_OBJECT_HANDLE **ret_handles, size_t *ret_count);
/* How far a search came that is made in several parts. */
struct search_rest {
	bool more;  /* there may be more */
	bool pages; /* of a large store: those that follow that uid */
	struct uid after;
};
/* The next part of such a search (zeros: the first): of a store of which but a part is known here
 * that is, of a zone which the template names, the zone itself; else what is known all the same,
 * then a page of the store at a time. No handle is in two parts, but of a zone that came by itself.
 * What is there all the time is found; what comes or goes meanwhile may be. */
CK_RV objects_search_part(struct objects *objects, CK_SLOT_ID slot, const CK_ATTRIBUTE *template,
			  CK_ULONG count, struct search_rest *rest, CK_OBJECT_HANDLE **ret_handles,
			  size_t *ret_count);

/* Zones and token keys are private objects from now on, whatever their own flags say. */
void objects_force_private(struct objects *objects);
/* Opens a token key, through its zone, so that its value is there (KMS if the zone has no lease).
 */
enum zone_status object_open(struct objects *objects, struct object *object);
/* Copies the value of a data key or of data, value_len bytes in the clear, which the caller frees
 * by secret_free(); opens a token key that is used for the first time, and data of the token each
 * time. KMS where its zone has no lease. */
enum zone_status object_read(struct objects *objects, struct object *object, uint8_t **ret_secret);

/* A new data key belongs to the zone that its template names (0: none), which must be one of the
 * slot's project. Asks the KMS, since making a key for a zone is a use of the zone.
 * CKR_ATTRIBUTE_VALUE_INVALID: there is no such zone here; CKR_TEMPLATE_INCONSISTENT: the key
 * belongs to another. */
CK_RV objects_stamp_as_named(struct objects *objects, CK_SLOT_ID slot, struct object *key,
			     uint64_t zone);
/* A new data key, or data, becomes a token object (takes it): wrapped by `zone` (0: the zone of its
 * stamp, else as zones/domain/key_place.h says) and stored. KMS. The caller has checked that the
 * session may write. */
CK_RV objects_store_key(struct objects *objects, CK_SLOT_ID slot, struct object *key, uint64_t zone,
			CK_OBJECT_HANDLE *ret_handle);
/* A zone made from an object that template_make_key gave (takes it): zones_zone_create with its
 * names. KMS. */
CK_RV objects_store_zone(struct objects *objects, CK_SLOT_ID slot, struct object *zone,
			 CK_OBJECT_HANDLE *ret_handle);
/* The same of several, with these names (CKA_CMEK_DATABASES): all or none; the first one's handle.
 */
CK_RV objects_store_zones(struct objects *objects, CK_SLOT_ID slot, struct object *zone,
			  struct bytes databases, CK_OBJECT_HANDLE *ret_handle);
/* Names, usages and further attributes of an object in the store's form: borrowed from the object,
 * and `extra` from the buffer it is written to. False: no memory. */
bool object_names(const struct object *object, struct buffer *extra, struct entry_names *ret_names);
