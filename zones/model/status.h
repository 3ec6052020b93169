/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The statuses that the functions of zones/ answer. */
#pragma once

#include "kms/kms.h"

enum zone_status {
	ZONE_OK = 0,
	ZONE_NO_MEMORY,
	ZONE_NOT_STARTED, /* the library context is missing */
	/* The rules. */
	ZONE_NOT_FOUND,
	ZONE_EXISTS,		 /* a root key twice (by its canonical ARN), a label in use */
	ZONE_TOO_MANY_ROOT_KEYS, /* 20 a project */
	ZONE_WRONG_REGION,
	ZONE_WRONG_PROVIDER,
	ZONE_OTHER_ZONE,  /* a key of one zone was offered to another */
	ZONE_NO_ROOT_KEY, /* the project has none, and no default_root_key is configured */
	ZONE_IN_USE,	  /* a root key that an EZK version needs, a cluster with zones */
	ZONE_MOVING,	  /* a cluster that is leaving another root key still */
	ZONE_PENDING_DELETION,
	ZONE_DELETED,		  /* for good: the store has its tombstone */
	ZONE_INVALID,		  /* an id, number, record or blob that is malformed */
	ZONE_INVALID_NAME,	  /* a label that is no name (zones/model/names.h) */
	ZONE_FENCED,		  /* a version below the zone's minimum */
	ZONE_IMPORTED,		  /* an imported zone decrypts only */
	ZONE_ROTATED,		  /* by somebody else meanwhile: it has that version already */
	ZONE_RECORD_CORRUPT,	  /* MAC or fingerprint of an EZK record, or tag of a token key */
	ZONE_RECORD_NEWER,	  /* an EZK record with a limit that this release does not know */
	ZONE_RECORD_KEPT,	  /* an EZK record that stays in its store */
	ZONE_WRAPPED_KEY_INVALID, /* a wrapped DEK does not open */
	/* Backups. */
	ZONE_BACKUP_CORRUPT,   /* it is not what was written */
	ZONE_BACKUP_NEWER,     /* a later release made it */
	ZONE_RESTORE_CONFLICT, /* what it holds does not fit what is here */
	/* The settings. */
	ZONE_OTHER_PIN,	       /* [zones] pin: the name is another zone's */
	ZONE_ROOT_KEY_REFUSED, /* [kms] allowed_root_keys does not have it */
	/* The store. */
	ZONE_STORE_UNAVAILABLE,
	ZONE_STORE_THROTTLED,	   /* it asks for fewer requests */
	ZONE_STORE_DENIED,	   /* it does not let this identity read */
	ZONE_STORE_NO_CREDENTIALS, /* there are none for it, or it refuses them */
	ZONE_STORE_READ_ONLY,
	ZONE_STORE_MOVED, /* the project lives in another store now */
	ZONE_STORE_CORRUPT,
	ZONE_STORE_NEWER,	 /* it asks more of a reader than this release knows */
	ZONE_STORE_NEWER_WRITER, /* it asks more of a writer than that */
	ZONE_STORE_FULL,
	ZONE_CONFLICT,		/* somebody else changed it first */
	ZONE_AUDIT_UNAVAILABLE, /* a line that [log] audit_required can't be written */
/* The KMS: ZONE_KMS_DENIED …, a row of net/statuses.h each, so that nothing is lost. */
#define KMS_STATUS(name, ...) ZONE_KMS_##name,
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
		ZONE_STATUS_COUNT
};

enum zone_status zone_status_of_kms(enum kms_status status);
/* An explicit no of the KMS. */
bool zone_status_is_no(enum zone_status status);
/* The KMS gave no answer: a timeout, a failure of its own, throttling. Faults of credentials or
 * configuration are not outages. */
bool zone_status_is_outage(enum zone_status status);
/* A no about the root key itself, for everybody and every use: disabled, unusable, gone. */
bool zone_status_is_no_of_key(enum zone_status status);
/* The store gave no answer, for whatever reason: what is known of it may still be used. */
bool zone_status_is_store_outage(enum zone_status status);
const char *zone_status_text(enum zone_status status);

/* What was found out about a root key. */
struct root_key_finding {
	enum zone_status status; /* ZONE_OK: it works */
	int64_t deletion_ms;	 /* pending deletion: until when, in real time; 0: nobody said */
};
/* What a status says of the state of a root key; KEY_STATE_UNKNOWN: nothing. */
enum key_state zone_status_key_state(enum zone_status status);
/* The same in a word that people and programs read: "active", "pending deletion" … */
const char *zone_status_word(enum zone_status status);
