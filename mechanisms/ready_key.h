/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key made ready for one mechanism and one use, so that the next message under the same key costs
 * an IV and no key schedule, no look-up and no shared lock. It holds its object, and for a zone the
 * EZK version in use. It never outlives a no: when the lease can't be had, the key schedule goes.
 * Sessions keep some of them (session/ready_keys.h).
 */
#pragma once

#include "crypto/aes.h"
#include "crypto/mac.h"
#include "mechanisms/mechanism.h"
#include "objects/error.h"
#include "objects/object.h"

enum key_use {
	KEY_ENCRYPT,
	KEY_DECRYPT,
	KEY_WRAP,
	KEY_UNWRAP,
	KEY_DERIVE,
	KEY_MESSAGE_ENCRYPT,
	KEY_MESSAGE_DECRYPT,
	KEY_SIGN,
	KEY_VERIFY,
	KEY_USE_COUNT
};

/* What the standard says about each use: "C_EncryptInit" … "C_DeriveKey", return values. */
struct key_use_facts {
	CK_FLAGS flag;
	uint32_t usage;
	const char *attribute; /* that allows it */
	bool encrypts;
	CK_RV bad_handle, bad_type, bad_size;
	enum error_place place;
};
extern const struct key_use_facts key_uses[KEY_USE_COUNT];

struct ready_key {
	CK_OBJECT_HANDLE handle; /* 0: a free place */
	bool over; /* the key is gone: it goes with the operation that works with it */
	CK_MECHANISM_TYPE type;
	enum key_use use;
	bool begins_itself;		      /* what it does looks at the lease (wrapping.h) */
	bool scheduled;			      /* it needs a key schedule, or a keyed MAC */
	struct objects_generation generation; /* when the handle was last looked up */
	uint64_t turn;			      /* of its last use: the oldest goes first */
	const struct mechanism *mechanism;
	struct object *object; /* held */
	struct ezk *ezk;       /* held; a zone's version in use */
	int64_t rotate_at_ms;  /* of a zone that wraps: for zones_rotate_when_due() */
	struct aes *aes;       /* made by ready_key_begin where the mechanism is AES, */
	struct mac *mac;       /* or a MAC of another kind; or both: see envelope_message.c */
};

/* May the key be used so, by what its attributes say? */
CK_RV key_allows(const struct mechanism *mechanism, enum key_use use, const struct object *key);
/* Every check of a key that needs no KMS: kind and type of key, size, and key_allows. Answers what
 * the standard names for that use (CKR_WRAPPING_KEY_TYPE_INCONSISTENT …). */
CK_RV key_check(const struct mechanism *mechanism, enum key_use use, const struct object *key);
/* For a data key that is not made ready but used as what it is (wrapped, digested, a salt): its
 * lease, if it has one (KMS), and its value, value_len bytes for the caller to secret_free(). */
CK_RV key_begin(struct object *key, enum error_place place);
CK_RV key_value(struct objects *objects, struct object *key, enum error_place place,
		uint8_t **ret_secret);

/* A checked object (takes it) for a mechanism and a use; of a zone its version in use is found. The
 * place was cleared. */
CK_RV ready_key_fill(struct ready_key *place, struct objects *objects,
		     const struct mechanism *mechanism, enum key_use use, struct object **object);
void ready_key_clear(struct ready_key *key);
/* An operation does not work with it any more. */
void ready_key_done(struct ready_key *key);
/* Wipes the key schedule, or what else was keyed; it is made again when it is needed. */
void ready_key_drop_schedule(struct ready_key *key);
static inline bool ready_key_has_schedule(const struct ready_key *key)
{
	return key->aes != NULL || key->mac != NULL;
}

/* May an operation begin now? Renews the lease (KMS) and makes the key schedule. `now_ms`: a
 * reading of the clock at which no lease that was good has been found to have ended; INT64_MAX:
 * none ran. */
CK_RV ready_key_begin(struct ready_key *key, struct objects *objects, int64_t now_ms);
/* And may it go on? Two atomic loads while the lease runs. */
CK_RV ready_key_continue(struct ready_key *key, int64_t now_ms);
/* After it began: the zone's record is still the one by which it was decided that the key may be
 * used so. `used`: the version that what was wrapped named; NULL: the key's own.
 * CKR_DEVICE_ERROR. */
CK_RV ready_key_verified(const struct ready_key *key, struct ezk *used);
/* After what it wrapped has been given out: rotates the zone, if that is due (KMS). */
void ready_key_wrapped(struct ready_key *key, struct objects *objects);
/* The zone a key belongs to, as an EZK under whose lease it lives; NULL: none. Borrowed. */
struct ezk *ready_key_lease(const struct ready_key *key);
