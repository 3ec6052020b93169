/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor part of this module's PKCS #11 interface: everything the cmek tool can do, any program
 * can do with the standard functions and these numbers. The numbers never change. A program that
 * uses another vendor's pkcs11.h includes that one before this file; otherwise ours is included,
 * which lies beside it.
 */
#pragma once

#ifndef CKR_OK
#include "pkcs11.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */

#define CMEK_VENDOR_BASE	0x80434D00UL

/*
 * Mechanisms
 *
 * CKM_CMEK_KMS, on a root key, by the KMS: C_Encrypt and C_Decrypt of up to 4096 bytes. C_WrapKey
 * of an EZK gives its record set (docs/format.md) without asking the KMS; C_UnwrapKey takes a
 * record set, or a KMS blob of 32 bytes that was encrypted under the context pair
 * cmek:purpose=import. Parameter: none, or a flat JSON object of text: further pairs for the
 * encryption context, whose names must not begin with "cmek:".
 *
 * CKM_CMEK_DEK_WRAP, on an EZK: C_WrapKey and C_UnwrapKey of a DEK, authenticated. Parameter: none,
 * or raw bytes that are bound in (AAD).
 *
 * CKM_CMEK_CHUNK: C_Encrypt of a chunk of an envelope (docs/format.md, 5.3) by AES-256-GCM, whose
 * IV the module makes: under a session key that C_DeriveKey made and that is not extractable,
 * each chunk after the one before, none after the last. The chunks are counted per object, so never
 * derive the same key twice. C_Decrypt takes CKM_AES_GCM.
 *
 * CKM_CMEK_MESSAGE: C_Encrypt and C_Decrypt of the payload of a message's envelope (docs/format.md,
 * 5.5) by AES-256-GCM, under a DEK of 32 bytes: the message's key is derived of it and the number,
 * is nobody's object, and is gone when the operation ends; the module makes the IV. The tag, 16
 * bytes, follows the ciphertext. The DEK allows CKA_DERIVE and CKA_ENCRYPT (or CKA_DECRYPT) and has
 * no CKA_DERIVE_TEMPLATE. To encrypt, it is a session's that C_GenerateKey made, and each number is
 * greater than the one before, whichever session had that: so never encrypt by a copy.
 */
#define CKM_CMEK_KMS		(CMEK_VENDOR_BASE + 1)
#define CKM_CMEK_DEK_WRAP	(CMEK_VENDOR_BASE + 2)
#define CKM_CMEK_CHUNK		(CMEK_VENDOR_BASE + 3)
#define CKM_CMEK_MESSAGE	(CMEK_VENDOR_BASE + 4)

typedef struct CK_CMEK_CHUNK_PARAMS {
	CK_ULONG	ulIndex;	/* 0 ... 2^32 - 1 */
	CK_BBOOL	bLast;
	CK_BYTE_PTR	pAAD;
	CK_ULONG	ulAADLen;
} CK_CMEK_CHUNK_PARAMS;

typedef struct CK_CMEK_MESSAGE_PARAMS {
	CK_ULONG	ulNumber;	/* 0 ... 2^32 - 1 */
	CK_BYTE_PTR	pAAD;
	CK_ULONG	ulAADLen;
} CK_CMEK_MESSAGE_PARAMS;

/*
 * Object classes. Stock programs stumble over these, so a search finds a cluster only if its template
 * names the class or an attribute of this file, an archive if it names the class or CKA_CMEK_STATE,
 * and the diagnostic object, one in each token, which `cmek doctor` reads, if it names the class.
 */
#define CKO_CMEK_CLUSTER	(CMEK_VENDOR_BASE + 1)
#define CKO_CMEK_DIAGNOSTIC	(CMEK_VENDOR_BASE + 2)
#define CKO_CMEK_ARCHIVE	(CMEK_VENDOR_BASE + 3)
/*
 * A backup (docs/backup.md), a session's object. C_CreateObject without CKA_VALUE makes one of the
 * token's project, or of the database that CKA_CMEK_ZONE names; CKA_VALUE is then what to keep in a
 * file. C_CreateObject with a file's bytes as CKA_VALUE verifies them, also in the free slot. Both
 * ask the KMS. C_CopyObject of it with CKA_TOKEN restores it into the store, whichever slot the
 * session is on: it makes another such object, whose CKA_CMEK_BACKUP says what was restored.
 */
#define CKO_CMEK_BACKUP		(CMEK_VENDOR_BASE + 4)
#define CMEK_BACKUP_MAX		268435456UL /* bytes of its CKA_VALUE */

/*
 * Attributes, by the objects that have them. Text is UTF-8 without a NUL.
 */

/* Of more than one class: R a root key, C a cluster, Z a zone, K a key that is none of these. */
#define CKA_CMEK_PROVIDER	(CMEK_VENDOR_BASE +  2) /* R C    text: "aws", "local" */
#define CKA_CMEK_REGION		(CMEK_VENDOR_BASE +  3) /* R C    text */
/* Of a zone's several root keys, the first. A search for a root key by it finds it by a related
 * multi-Region key's ARN, too. */
#define CKA_CMEK_ROOT_KEY	(CMEK_VENDOR_BASE +  9) /* R C Z  text: the root key's ARN */
#define CKA_CMEK_STATE		(CMEK_VENDOR_BASE +  8) /* R C Z  CK_ULONG: CMEK_STATE_… */
/* In a template it is the zone that the new key belongs to; empty on a key without a zone. */
#define CKA_CMEK_ZONE		(CMEK_VENDOR_BASE +  5) /* Z K    8 bytes, big-endian: a zone's id */
/* Of a zone, the EZK record of its primary version (not readable where CKA_CMEK_EMBED_EZK is
 * CK_FALSE); of a token DEK, what is stored of it (docs/format.md, 4.1), which no mechanism opens.
 * */
#define CKA_CMEK_ENCRYPTED_KEY	(CMEK_VENDOR_BASE + 10) /* Z K    bytes */

/* Of keys that are none of these and that the store keeps. The version of its zone's EZK that wraps
 * it; 0 of a session's key. Set it (alone) to the zone's primary version: the key is opened, and
 * wrapped anew by that, so that the older version need not be kept for it. Also of a key whose
 * CKA_MODIFIABLE is CK_FALSE, since nothing changes that it is or may do. */
#define CKA_CMEK_WRAP_VERSION	(CMEK_VENDOR_BASE + 37) /* K  CK_ULONG */

/* Of clusters. */
/* Setting CKA_CMEK_ROOT_KEY (alone) gives new zones that root key; the cluster is leaving the one
 * before until the last of its zones has moved. Setting it on a zone moves the zone, as does the KMS
 * (docs/lifecycle.md). */
#define CKA_CMEK_LEAVING_ROOT_KEY (CMEK_VENDOR_BASE + 26) /* text: its ARN; empty: none */
/* From when on it may go for good, of what awaits deletion (CMEK_STATE_PENDING_DELETION; an archive
 * too); else empty. */
#define CKA_CMEK_PURGE_DATE	(CMEK_VENDOR_BASE + 30) /* R C Z  text: "2026-12-24T04:38:06.000Z" */
/* What stands on it, and would be lost with it: JSON (docs/lifecycle.md). No search finds by it. */
#define CKA_CMEK_USAGE		(CMEK_VENDOR_BASE + 28) /* R C Z  text */

/* Of root keys. */
/* When the KMS saw the key used last: reading its value (not its length) asks the KMS
 * (kms:GetKeyLastUsage). Empty: never, as far as the KMS can tell. A refusal is an error of the
 * call, and changes nothing. */
#define CKA_CMEK_LAST_USED	(CMEK_VENDOR_BASE + 29) /* text: "2026-12-24T04:38:06.000Z" */
/* As whoever registered the key named it; in a template it makes an object of it. */
#define CKA_CMEK_KMS_KEY	(CMEK_VENDOR_BASE +  1) /* text */
/* Reading its value (not its length) asks the KMS now, by calls that every role of `cmek policy`
 * may make; afterwards CKA_CMEK_STATE, which asks no KMS, has the same value. No search finds by it. */
#define CKA_CMEK_KMS_STATE	(CMEK_VENDOR_BASE + 14) /* CK_ULONG: CMEK_STATE_… */
/* Until when a deletion can be cancelled (CMEK_STATE_KMS_PENDING_DELETION), if the KMS said so to
 * this process; else empty. */
#define CKA_CMEK_DELETION_DATE	(CMEK_VENDOR_BASE + 15) /* text: "2026-12-24T04:38:06.000Z" */
/* In a template of C_CreateObject, with CKA_CMEK_KMS_KEY "local:NAME" and CKA_TOKEN: CK_TRUE has
 * the embedded KMS make that key; it is refused if the key exists. Without the attribute, or with
 * CK_FALSE, the key must exist. A root key reads as CK_FALSE. */
#define CKA_CMEK_CREATE		(CMEK_VENDOR_BASE + 17) /* CK_BBOOL */

/* Of zones. */
#define CKA_CMEK_CLUSTER	(CMEK_VENDOR_BASE +  4) /* text: the label of its cluster */
/* The versions of its EZK (docs/lifecycle.md, "Rotation"). Each of these four is set alone, as the
 * only attribute of its call.
 * The primary version is the one that CKM_CMEK_DEK_WRAP wraps by. Setting it to the one after it
 * rotates: the root keys encrypt a new EZK, and the KMS is asked for that. CMEK_ERROR_ROTATED:
 * somebody else has, and nothing is left to do. */
#define CKA_CMEK_VERSION	(CMEK_VENDOR_BASE +  6) /* CK_ULONG: the primary version */
/* The one that raw mechanisms use, which have no field for a version: it moves only by this, up or
 * down, and what they encrypted before opens only after it is moved back. */
#define CKA_CMEK_RAW_VERSION	(CMEK_VENDOR_BASE +  7) /* CK_ULONG */
/* The fence: older versions open nothing until it is lowered again. At most the raw version. */
#define CKA_CMEK_MIN_VERSION	(CMEK_VENDOR_BASE + 11) /* CK_ULONG */
/* After how many days whoever wraps by the zone rotates it, if allowed to; 0: only when asked. Also
 * given in the template that makes the zone; the default is [zones] rotate_days. */
#define CKA_CMEK_ROTATE_DAYS	(CMEK_VENDOR_BASE + 23) /* CK_ULONG, at most CMEK_ROTATE_DAYS_MAX */
#define CMEK_ROTATE_DAYS_MAX	36500UL
/* In a template of C_GenerateKey for a database, in place of CKA_LABEL and without CKA_ID: the names
 * of several, one a line, at most CMEK_DATABASES_MAX, in clusters that are there. All of them are
 * made, alike but for the name, by one transaction of the store, or none is; the handle is that of
 * the first, the others are found by their labels. Reads as empty. */
#define CKA_CMEK_DATABASES	(CMEK_VENDOR_BASE + 46) /* text */
#define CMEK_DATABASES_MAX	1000UL
/* Of each version, oldest first: "version", "created", "state" ("active", "fenced", "pending
 * deletion"), "primary", "raw", "root_keys" (ARNs), "both" (they are needed together),
 * "imported_from" (a zone's id, or null). */
#define CKA_CMEK_VERSIONS	(CMEK_VENDOR_BASE + 24) /* text: a JSON array */
/* It came as a record set, to decrypt only, and is rotated where it came from. Not to be taken for
 * CKA_CMEK_IMPORTS. */
#define CKA_CMEK_IMPORTED	(CMEK_VENDOR_BASE + 12) /* CK_BBOOL */
/* The versions of other zones that it has imported, to open what they encrypted and for nothing
 * else (docs/backup.md, "Under another name"): of each the zone's id (8 bytes, big-endian) and the
 * version (4). C_UnwrapKey by this zone with CKM_CMEK_DEK_WRAP takes what names one of them; a
 * search finds by 8 bytes, or by 12, the zones that have one that begins so. */
#define CKA_CMEK_IMPORTS	(CMEK_VENDOR_BASE + 38) /* bytes */
/* Its root keys, and by "policy" whether any one of them opens it ("or", 1 to 4 of the project's,
 * the first where the cluster is) or two are needed together, those of two owners ("and"); whether
 * all of its versions have all of them ("even"); whether what the KMS re-encrypted was opened since
 * ("proven"): {"policy": "or", "keys": [ARN, …], "even": true, "proven": true}. Set "policy" and
 * "keys" (alone), or give them in the template that makes a zone of two owners. */
#define CKA_CMEK_ROOT_KEYS	(CMEK_VENDOR_BASE + 27) /* text: JSON */
/* How long a zone's key may be used after a yes of the KMS, and how long while the KMS is out of
 * reach, in seconds (docs/leases.md), whatever a configuration says. Given in the template that
 * makes the zone, at most a year; the defaults are [zones] max_lease_seconds and max_stale_seconds.
 * They stand in its record and never change. */
#define CKA_CMEK_MAX_LEASE	(CMEK_VENDOR_BASE + 18) /* CK_ULONG; 0: each operation asks */
#define CKA_CMEK_MAX_STALE	(CMEK_VENDOR_BASE + 19) /* CK_ULONG; 0: no longer than the lease */
#define CMEK_LEASE_BOUND_MAX	31536000UL
/* Whether a zone's EZK record may go where its data goes. CK_FALSE: it stays in the store, no
 * envelope carries it, CKA_CMEK_ENCRYPTED_KEY is not readable and C_WrapKey does not export it; what
 * it encrypted becomes unreadable with the last copy of the store that has it (docs/erasure.md).
 * Given in the template that makes the zone; the default is [zones] embed_ezk. It stands in the
 * record and never changes. */
#define CKA_CMEK_EMBED_EZK	(CMEK_VENDOR_BASE + 20) /* CK_BBOOL */

/* Of each own version of the zone, its number and CMEK_STATE_ACTIVE or, if it is retired,
 * CMEK_STATE_PENDING_DELETION. To change one, set this attribute alone to a version below
 * CKA_CMEK_MIN_VERSION and its new state: PENDING_DELETION retires it, so that it opens nothing any
 * more; ACTIVE brings it back; DELETED removes one that is retired, now and for good. */
#define CKA_CMEK_VERSION_STATE	(CMEK_VENDOR_BASE + 25) /* CK_ULONG[]; to set: CK_ULONG[2] */

/* Of the diagnostic object. Its CKA_VALUE is the whole report. */
#define CKA_CMEK_MESSAGE	(CMEK_VENDOR_BASE + 13) /* text: this thread's last error, one line */
#define CKA_CMEK_FAULTS		(CMEK_VENDOR_BASE + 16) /* CK_ULONG[]: its CMEK_ERROR_ numbers, each once */
#define CKA_CMEK_STORE		(CMEK_VENDOR_BASE + 21) /* text: JSON, as `cmek store show` (docs/store.md) */
/* The store's level, and the newest level that this module knows. To change the level, set this
 * attribute alone: first the level that the store is at (otherwise nothing is done), then the one
 * that it is to be brought to. */
#define CKA_CMEK_STORE_LEVEL	(CMEK_VENDOR_BASE + 22) /* CK_ULONG[2] */
/* Projects go to another store (docs/store.md, "Moving to another store"). Set alone, JSON: "to": a
 * configuration file or "sqlite:PATH"; with "all": true every project, else the token's; "dry_run":
 * true changes nothing; "undo": true takes back a copy that was cut off. Then it says as JSON what
 * was done: "from", "to", "projects", "rows", "written", "undone", "dry_run". */
#define CKA_CMEK_STORE_COPY	(CMEK_VENDOR_BASE + 45) /* text */
/* What awaits deletion in all projects, as JSON (docs/lifecycle.md). Set alone, it removes for good
 * what is due and was announced a day ago, and announces the rest that is due; CK_TRUE: it removes
 * all that is due, since this computer's clock is right. */
#define CKA_CMEK_MAINTAIN	(CMEK_VENDOR_BASE + 31) /* text; to set: CK_BBOOL */

/* Of backups. CKA_CMEK_EMBED_EZK in the template that makes one: CK_TRUE leaves out the zones whose
 * records stay in the store. */
#define CKA_CMEK_BACKUP		(CMEK_VENDOR_BASE + 32) /* text: JSON, what is in it (docs/backup.md) */
/* With CKA_VALUE: CK_TRUE looks at its structure alone, asks no KMS, and shows nothing about who
 * made it. */
#define CKA_CMEK_OFFLINE	(CMEK_VENDOR_BASE + 33) /* CK_BBOOL */
/* In a template of C_CopyObject, JSON, each part as needed: {"dry_run": true, "revive": ["C/D", …],
 * "map": {"OLD ROOT KEY": "NEW", …}, "as": "NAME"}; "as" makes a new project of that name, with
 * ids and EZKs of its own, whose zones have imported those of the backup (CKA_CMEK_IMPORTS). */
#define CKA_CMEK_RESTORE	(CMEK_VENDOR_BASE + 34) /* text */

/*
 * CKA_CMEK_STATE and CKA_CMEK_KMS_STATE. What can be set says so.
 */
#define CMEK_STATE_UNKNOWN		 0UL	/* a root key not asked about yet */
#define CMEK_STATE_ACTIVE		 1UL	/* set it: restores (with CKA_LABEL, under that), or
						   enables a local key */
#define CMEK_STATE_DISABLED		 2UL	/* of a root key; set it: disables a local one */
#define CMEK_STATE_PENDING_DELETION	 3UL	/* set it: the same as C_DestroyObject on a zone */
#define CMEK_STATE_UNREACHABLE		 4UL	/* the KMS did not answer */
/* Only of root keys, as the KMS reports them. */
#define CMEK_STATE_KMS_PENDING_DELETION	 5UL
#define CMEK_STATE_PENDING_IMPORT	 6UL
#define CMEK_STATE_UNAVAILABLE		 7UL	/* its custom key store is out of reach */
#define CMEK_STATE_UNUSABLE		 8UL	/* another state that allows no use */
#define CMEK_STATE_DENIED		 9UL	/* opens no zone for this identity; only when asked */
#define CMEK_STATE_NOT_FOUND		10UL
#define CMEK_STATE_NO_CREDENTIALS	11UL	/* only when asked */
#define CMEK_STATE_CREDENTIALS_REFUSED	12UL	/* only when asked */
#define CMEK_STATE_DELETED		13UL	/* set it, on what awaits deletion: it goes for good, now */

/*
 * Reasons: why a call failed. C_GetSessionInfo's ulDeviceError has the one of the session's last
 * failed call, CMEK_LastError the thread's; docs/errors.md has the return values that go with each.
 */
#define CMEK_ERROR_NONE				  0UL	/* no reason from below */
/* The KMS refused: 101 to 110. */
#define CMEK_ERROR_KMS_DENIED			101UL
#define CMEK_ERROR_KMS_DISABLED			102UL
#define CMEK_ERROR_KMS_INVALID_STATE		103UL	/* none of the states below */
#define CMEK_ERROR_KMS_NOT_FOUND		104UL
#define CMEK_ERROR_KMS_PENDING_DELETION		105UL
#define CMEK_ERROR_KMS_PENDING_IMPORT		106UL
#define CMEK_ERROR_KMS_KEY_STORE_UNAVAILABLE	107UL
/* The KMS, or the way to it, failed: 111 to 120. */
#define CMEK_ERROR_KMS_UNAVAILABLE		111UL
#define CMEK_ERROR_KMS_THROTTLED		112UL
#define CMEK_ERROR_KMS_NO_CREDENTIALS		113UL
#define CMEK_ERROR_KMS_CREDENTIALS_REFUSED	114UL
#define CMEK_ERROR_KMS_BAD_ANSWER		115UL
#define CMEK_ERROR_KMS_MISCONFIGURED		116UL
#define CMEK_ERROR_KMS_KEY_OUT_OF_REACH		117UL	/* the KMS answers, what holds the key does not */
/* The KMS refused what was sent: 121 to 130. */
#define CMEK_ERROR_KMS_INVALID_CIPHERTEXT	121UL
#define CMEK_ERROR_KMS_INCORRECT_KEY		122UL
#define CMEK_ERROR_KMS_INVALID_KEY_USAGE	123UL
#define CMEK_ERROR_KMS_INVALID_REQUEST		124UL
#define CMEK_ERROR_KMS_UNSUPPORTED		125UL
#define CMEK_ERROR_KMS_LIMIT_EXCEEDED		126UL
/* The store. */
#define CMEK_ERROR_STORE_UNAVAILABLE		201UL
#define CMEK_ERROR_STORE_READ_ONLY		202UL
#define CMEK_ERROR_STORE_CORRUPT		203UL
#define CMEK_ERROR_STORE_NEWER			204UL	/* a later release is needed to read it */
#define CMEK_ERROR_STORE_FULL			205UL
#define CMEK_ERROR_STORE_CONFLICT		206UL
#define CMEK_ERROR_STORE_NEWER_WRITER		207UL	/* a later release is needed to change it */
#define CMEK_ERROR_STORE_MOVED			208UL	/* the project lives in another store now */
#define CMEK_ERROR_AUDIT_UNAVAILABLE		209UL	/* [log] audit_required: no line can be written */
/* The rules of the system. */
#define CMEK_ERROR_EXISTS			301UL
#define CMEK_ERROR_TOO_MANY_ROOT_KEYS		302UL
#define CMEK_ERROR_WRONG_REGION			303UL
#define CMEK_ERROR_WRONG_PROVIDER		304UL
#define CMEK_ERROR_OTHER_ZONE			305UL
#define CMEK_ERROR_NO_ROOT_KEY			306UL
#define CMEK_ERROR_IN_USE			307UL
#define CMEK_ERROR_PENDING_DELETION		308UL
#define CMEK_ERROR_NOT_FOUND			309UL
#define CMEK_ERROR_INVALID			310UL
#define CMEK_ERROR_RECORD_CORRUPT		311UL	/* an EZK record, or a token key's row (docs/store.md) */
#define CMEK_ERROR_WRAPPED_KEY_INVALID		312UL
#define CMEK_ERROR_FENCED			313UL
#define CMEK_ERROR_IMPORTED			314UL
#define CMEK_ERROR_RECORD_NEWER			315UL	/* an EZK record has limits of a later release */
#define CMEK_ERROR_DELETED			316UL	/* a zone, for good */
#define CMEK_ERROR_INVALID_NAME			317UL	/* a label that can't be a name (docs/store.md) */
#define CMEK_ERROR_OTHER_PIN			318UL	/* [zones] pin names another zone */
#define CMEK_ERROR_ROOT_KEY_REFUSED		319UL	/* [kms] allowed_root_keys lacks it */
#define CMEK_ERROR_RECORD_KEPT			320UL	/* CKA_CMEK_EMBED_EZK: it stays in its store */
#define CMEK_ERROR_ROTATED			321UL	/* somebody else has rotated it already */
#define CMEK_ERROR_MOVING			323UL	/* a cluster that is leaving a root key */
#define CMEK_ERROR_BACKUP_CORRUPT		329UL	/* a backup is not what was written */
#define CMEK_ERROR_BACKUP_NEWER			330UL	/* a later release is needed to read it */
#define CMEK_ERROR_RESTORE_CONFLICT		331UL	/* it does not fit what is in the store */

/*
 * Exit codes of the cmek tool.
 */
#define CMEK_EXIT_OK		0
#define CMEK_EXIT_FAILED	1	/* any other failure */
#define CMEK_EXIT_USAGE		2	/* the command line */
#define CMEK_EXIT_NOT_FOUND	3	/* no such project, key, cluster, database, file */
#define CMEK_EXIT_REFUSED	4	/* a rule: duplicate, limit, region, provider, zone, file there */
#define CMEK_EXIT_DENIED	5	/* the KMS said no: disabled, denied, gone */
#define CMEK_EXIT_UNAVAILABLE	6	/* KMS, credentials or store out of reach: try again */
#define CMEK_EXIT_DAMAGED	7	/* an envelope, record or store that is not what was written */

/*
 * C_Initialize
 *
 * CKF_LIBRARY_CANT_CREATE_OS_THREADS in flags keeps libcurl from starting a thread for each host's
 * name that it looks up (nothing else here starts any). The calling thread then looks the name up,
 * and may wait for as long as the system's resolver does, beyond [aws] call_timeout_ms.
 * CKR_NEED_TO_CREATE_THREADS is never answered.
 *
 * pReserved is text, "key=value" pairs separated by spaces:
 *   config=PATH      the configuration file (no other is looked for), absolute or from "~/"
 *   free-slot=true   show a free slot, on which C_InitToken makes a project
 *   log=LEVEL        overrides [log] level (off, error, warning, info, debug)
 *   quiet=true       writes nothing to standard error: for programs that show the texts of
 *                    CMEK_LastError and CMEK_Loss themselves
 */

/*
 * Functions of our own. C_GetInterface gives them by this name, in any state of the module: also
 * when C_Initialize has failed and there is no session for C_GetSessionInfo.
 */
#define CMEK_INTERFACE		"Vendor cmek-pkcs11"

/* What a doctor's row says: all is well; worth a look; not set up yet; something does not work. */
#define CMEK_VERDICT_FINE	0UL
#define CMEK_VERDICT_NOTE	1UL
#define CMEK_VERDICT_UNSET	2UL
#define CMEK_VERDICT_FAULT	3UL

/* A thing that was looked at. Texts are never NULL, and go when the callback returns. */
struct CMEK_DOCTOR_ROW {
	const char *what;    /* "root key", "zone", "store", "KMS", "setting", …; may be empty */
	const char *which;   /* its label, or empty */
	const char *details; /* its ARN or id, or empty */
	const char *project; /* of a single one; else empty */
	const char *said;    /* a line; after the last "; " what to do */
	CK_ULONG verdict;    /* CMEK_VERDICT_ */
	CK_ULONG reason;     /* CMEK_ERROR_, of a fault */
};
typedef void (*CMEK_DOCTOR_PUT)(void *state, const struct CMEK_DOCTOR_ROW *row);

struct CMEK_DOCTOR {
	const char *project; /* look at this one alone; NULL: at all */
	const char *kms_key; /* also try this key of a KMS, registered or not; NULL: none */
	CK_BBOOL all_zones;  /* else some below each root key */
	CMEK_DOCTOR_PUT put; /* called for each row, within the call: C_Finalize and CMEK_Doctor are
			      * CKR_FUNCTION_FAILED in it, all others may be called. The child of a
			      * fork in it gets no more rows: for it the call answers
			      * CKR_CRYPTOKI_NOT_INITIALIZED, whatever it has called since */
	void *state;
};

/* Threads of the program's own, for CMEK_DoctorAtOnce: calls `ask` with `asked` once for each number
 * below `count`, from as many threads as it likes, and returns when all these calls have returned;
 * `state` is that of the request. `ask` asks a KMS and calls nothing of the program. What was not
 * asked is asked afterwards, one after the other. None of these threads may call C_Finalize, which
 * waits for the end of the call. */
typedef void (*CMEK_DOCTOR_ASK)(void *asked, CK_ULONG number);
typedef void (*CMEK_DOCTOR_RUN)(void *state, CK_ULONG count, CMEK_DOCTOR_ASK ask, void *asked);

struct CMEK_FUNCTIONS {
	CK_VERSION version; /* 1.3 */
	/* The last error that this thread met, as one line of text that says what to do ("": none
	 * yet, or the last call that failed has only its return value), and its CMEK_ERROR_ number.
	 * The text stays until the thread's next error. */
	const char *(*CMEK_LastError)(CK_ULONG *ret_reason);
	/* What was asked for and got lost outside the calls, such as a line of the audit log: the
	 * index-th kind, counted from 0, that was lost while "quiet=true" held, and how many like
	 * it came later. NULL: there are no more. The text stays. */
	const char *(*CMEK_Loss)(CK_ULONG index, CK_ULONG *ret_more);
	/* From 1.1 on. Looks at configuration, store, each KMS, root keys and zones; needs no
	 * project. The KMS is asked. CKR_TOKEN_NOT_PRESENT: there is no project of that label. */
	CK_RV (*CMEK_Doctor)(const struct CMEK_DOCTOR *request);
	/* From 1.1 on. A setting of the section [cli] of the configuration ("": not set, or no
	 * such). The text stays until C_Finalize. */
	const char *(*CMEK_Setting)(const char *key);
	/* From 1.1 on; they need C_Initialize. The store, before there is a project in it: makes
	 * what it needs (a table of DynamoDB) and says what was made; or says all that is known of
	 * it. Lines of text with a NUL, cut to `room` bytes, also where the store is at fault:
	 * CKR_FUNCTION_FAILED and the like, of which CMEK_LastError says more. */
	CK_RV (*CMEK_StoreCreate)(char *text, CK_ULONG room);
	CK_RV (*CMEK_StoreCheck)(char *text, CK_ULONG room);
	/* From 1.2 on. CMEK_Doctor, which asks a KMS one thing after the other: here `run`, which is
	 * called within the call as `put` is, has several asked at once. The rows are the same, in
	 * the same order, put by the calling thread. */
	CK_RV (*CMEK_DoctorAtOnce)(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run);
	/* From 1.3 on. The request id that the KMS gave its answer which was the thread's last error,
	 * to be quoted to the cloud's support; "": it gave none, or the error was no answer of a KMS.
	 * The text stays until the thread's next error. */
	const char *(*CMEK_LastRequest)(void);
};

/* clang-format on */

#ifdef __cplusplus
}
#endif
