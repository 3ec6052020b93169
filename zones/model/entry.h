/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of the index: what the store holds, as immutable, counted values. A change makes a
 * new entry with the same number; whoever holds the old one goes on reading the old state until it
 * asks again. No PKCS #11 type here.
 */
#pragma once

#include "base/bytes.h"

#include <stdatomic.h>

enum entry_kind {
	ENTRY_PROJECT,
	ENTRY_ROOT_KEY,
	ENTRY_CLUSTER,
	ENTRY_ZONE,
	ENTRY_KEY,
	ENTRY_ARCHIVE,
	ENTRY_KIND_COUNT
};
/* "root key", "database" …: for messages. */
const char *entry_kind_word(enum entry_kind kind);
enum entry_state { ENTRY_ACTIVE = 1, ENTRY_PENDING_DELETION = 3 };

enum {
	UID_SIZE = 16,	  /* random ids of projects, root keys, clusters, token keys */
	CKA_ID_MAX = 255, /* bytes */
	LABEL_MAX = 255,  /* bytes of UTF-8; project labels: 32 */
	PROJECT_LABEL_MAX = 32,
	ROOT_KEYS_MAX = 20,	    /* a project */
	EXTRA_MAX = 1 << 20,	    /* bytes */
	DATA_MAX = 1 << 16,	    /* bytes of data that a zone keeps; of keys: DEK_MAX */
	STORED_MAX = DATA_MAX + 64, /* bytes that a store has of a token key or of data */
};

/* What a key may be used for; bits of `usages`, and of the greatest usages in an EZK record
 * (docs/format.md): never renumbered. */
enum usage {
	USAGE_ENCRYPT = 1 << 0,
	USAGE_DECRYPT = 1 << 1,
	USAGE_SIGN = 1 << 2,
	USAGE_VERIFY = 1 << 3,
	USAGE_WRAP = 1 << 4,
	USAGE_UNWRAP = 1 << 5,
	USAGE_DERIVE = 1 << 6,
};

struct uid {
	uint8_t bytes[UID_SIZE];
};

/* A wrap that ReEncrypt made is unproven until a process with Decrypt has opened it and found the
 * MAC good; the one it replaces is kept until then, but never used for a lease. */
enum wrap_state { WRAP_ACTIVE, WRAP_UNPROVEN, WRAP_REPLACED };

struct wrap {
	char *arn;	   /* the root key */
	struct bytes blob; /* the EZK, or a share of it, encrypted by it */
	enum wrap_state state;
	uint8_t share; /* 0: the whole EZK; 1 … SHARE_COUNT: that share (docs/format.md, 3.2) */
};
/* An EZK that needs two root keys is the XOR of so many shares, each for an owner of its own. */
enum { SHARE_COUNT = 2 };

struct ezk_version {
	uint64_t record_zone;	 /* 0: the zone's own; else of that from which it was imported, to
				    decrypt only */
	uint32_t version;	 /* 1, 2, … */
	bool retired;		 /* awaits deletion, and opens nothing */
	int64_t delete_after_ms; /* if so: when it may go for good */
	int64_t created_ms;	 /* real time */
	uint32_t greatest_usages;
	struct bytes limits; /* zones/model/limits.h */
	uint8_t fingerprint[16];
	uint8_t mac[32];
	bool all_wraps; /* the wraps' policy: false OR, true AND, of shares */
	size_t wrap_count;
	struct wrap *wraps;
	/* What the record is bound to; differs from the zone's own ids in an imported zone. */
	struct uid project;
	struct uid cluster;
};

struct entry {
	atomic_uint references;
	enum entry_kind kind;
	enum entry_state state;
	uint64_t number;    /* process-local, never reused, never 0: a PKCS #11 object handle */
	struct uid uid;	    /* CKA_UNIQUE_ID */
	struct uid project; /* of a project: its own */
	uint64_t revision;  /* the store's, of the last change: what a compare-and-set compares */
	int64_t created_ms;
	int64_t delete_after_ms; /* PENDING_DELETION: when it may go for good */
	char *label;		 /* never NULL; of a project: without padding */
	struct bytes id;	 /* CKA_ID, at most CKA_ID_MAX bytes */
	uint32_t usages;
	struct bytes extra; /* further attributes, as the layer above wrote them; opaque here */
	union {
		struct {
			uint32_t slot; /* below 2^31, stable */
			/* When it was announced last that something of it is due for good, in real
			 * time: a day later that goes (zones/domain/purge.h). 0: never. */
			int64_t announced_ms;
		} of_project;
		struct {
			char *arn;
			char *provider;
			char *region;
			bool multi_region;
			struct bytes canary; /* zones/kms/canary.h; empty: none */
		} of_root_key;
		struct {
			char *provider;
			char *region;
			struct uid root_key; /* of new zones */
			/* The one before, under which some zones still are, until the last of them
			 * has moved; zeros: none. */
			struct uid leaving;
		} of_cluster;
		struct {
			uint64_t zone; /* the zone id, 1 … 2^63-1 */
			struct uid cluster;
			uint32_t primary;
			uint32_t raw;
			uint32_t minimum;
			bool imported;
			uint32_t rotate_days; /* a new primary after so long; 0: only when asked */
			size_t version_count;
			/* Its own ascending, then those imported by record zone and version. */
			struct ezk_version *versions;
		} of_zone;
		struct {
			uint64_t zone;
			struct bytes wrapped; /* docs/format.md, 4.1: bound to all that limits it */
			uint32_t key_type;    /* the layer above's number */
			uint32_t value_len;
		} of_key;
		struct {
			uint32_t slot;	     /* where it was */
			struct uid archived; /* the project that was archived */
		} of_archive;
	};
};

/* A new entry with one reference, empty label and no number; NULL: no memory. */
struct entry *entry_new(enum entry_kind kind);
/* A private copy with one reference, to be changed and then given to a transaction. */
struct entry *entry_copy(const struct entry *entry);
struct entry *entry_hold(struct entry *entry);
void entry_release(struct entry *entry); /* accepts NULL; frees with the last reference */
void entry_releasep(struct entry **entry);
/* Somebody else holds it too. */
bool entry_is_shared(const struct entry *entry);
/* NULL of NULL: for messages about an entry that may not exist. */
static inline const char *entry_label(const struct entry *entry)
{
	return entry == NULL ? NULL : entry->label;
}
/* The id of the zone that a version's record is bound to: the one that has it, or where it comes
 * from. */
static inline uint64_t ezk_version_bound(uint64_t zone, const struct ezk_version *version)
{
	return version->record_zone == 0 ? zone : version->record_zone;
}
/* A zone's own version, NULL: none. */
const struct ezk_version *entry_version(const struct entry *zone, uint32_t version);
/* The version whose record is bound to `bound`, a zone's id: of the zone's own if that is its id,
 * or of those that it has imported from there, which only open. NULL: none. */
const struct ezk_version *entry_bound_version(const struct entry *zone, uint64_t bound,
					      uint32_t version);
/* Whether it is that zone, or has imported versions from there. */
bool entry_is_bound(const struct entry *zone, uint64_t bound);
/* A version that a zone of the store had and has no more: it was removed for good. */
bool entry_version_is_gone(const struct entry *zone, uint32_t version);

/* For the code that makes an entry (which is immutable once others can see it): replace owned bytes
 * and text by a copy. False: no memory, nothing changed. `text` must hold no NUL. */
bool entry_set_bytes(struct bytes *field, struct bytes value);
bool entry_set_text(char **field, struct bytes text);

static inline bool uid_equal(struct uid a, struct uid b)
{
	return memcmp(a.bytes, b.bytes, UID_SIZE) == 0;
}

/* Which entries of a project are looked for: fields that are set must match. */
struct entry_filter {
	struct uid project;
	bool kinds[ENTRY_KIND_COUNT]; /* those that are looked for */
	const struct bytes *label;
	const struct bytes *id;
	const struct uid *uid;
	bool with_pending; /* also what awaits deletion */
	bool known;	   /* the store is not asked, even if this process knows but part of it */
};
