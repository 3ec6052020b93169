/*
 * A key made ready for one mechanism and one use, kept by its session so that the next message
 * under the same key costs an IV and no key schedule, no look-up and no shared lock. It holds its
 * object, and for a zone the EZK version in use. It never outlives a no: when the lease can't be
 * had, the key schedule goes.
 */
#pragma once

#include "crypto/aes.h"
#include "objects/error.h"
#include "objects/mechanism.h"
#include "objects/object.h"

enum key_use { KEY_ENCRYPT, KEY_DECRYPT, KEY_WRAP, KEY_UNWRAP, KEY_DERIVE, KEY_USE_COUNT };

struct keyed {
	CK_OBJECT_HANDLE handle; /* 0: a free place */
	CK_MECHANISM_TYPE type;
	enum key_use use;
	uint64_t generation; /* of the objects, when the handle was last looked up */
	uint64_t turn;	     /* of its last use: the oldest goes first */
	const struct mechanism *mechanism;
	struct object *object; /* held */
	struct ezk *ezk;       /* held; a zone's version in use */
	struct aes *aes;       /* made by keyed_begin where the mechanism is AES */
};

enum { KEYED_COUNT = 6 };
struct keyed_cache {
	struct keyed places[KEYED_COUNT];
	uint64_t turn;
};

void keyed_clear(struct keyed *keyed);

struct session;

/* Wipes the key schedules whose lease has ended, in this session and in those that nobody is in: no
 * schedule waits for its next use to be found ended. Once after each look into the store. */
void keyed_sweep(struct session *session);

/*
 * The key behind a handle for a use, after every check that needs no KMS: mechanism, kind and type
 * of key, size, usage, allowed mechanisms, login. Answers what the standard names for that use
 * (CKR_WRAPPING_KEY_HANDLE_INVALID …). Stays the session's; good until the next call of this.
 */
CK_RV session_key(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
		  CK_OBJECT_HANDLE handle, struct keyed **ret_keyed);
/* A second key that goes into what the first does (a salt): the same checks, but it is not made
 * ready. Held. */
CK_RV session_second_key(struct session *session, enum key_use use,
			 const struct mechanism *mechanism, CK_OBJECT_HANDLE handle,
			 struct object **ret_object);
/* For a data key that is not made ready but used as what it is (wrapped, digested, a salt): its
 * lease, if it has one (KMS), and its value, value_len bytes for the caller to secret_free(). */
CK_RV key_begin(struct object *key, enum error_place place);
CK_RV key_value(struct session *session, struct object *key, enum error_place place,
		uint8_t **ret_secret);

/* May the key be used so, by what its attributes say? */
CK_RV key_allows(const struct mechanism *mechanism, enum key_use use, const struct object *key);
/* After it began: a zone's record is the one by which was decided that it may. `used`: the version
 * that what was wrapped named; NULL: the key's own. CKR_DEVICE_ERROR. */
CK_RV keyed_verified(const struct keyed *keyed, struct ezk *used);

/* May an operation begin now? Renews the lease (KMS) and makes the key schedule. */
CK_RV keyed_begin(struct session *session, struct keyed *keyed);
/* And may it go on? One atomic load while the lease runs. */
CK_RV keyed_continue(struct keyed *keyed);
/* The zone a key belongs to, as an EZK under whose lease it lives; NULL: none. Borrowed. */
struct ezk *keyed_lease(const struct keyed *keyed);
