/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Everything this module can do, as one table: C_GetMechanismList, C_GetMechanismInfo, every *Init,
 * template checks and CKA_ALLOWED_MECHANISMS read it, and no `switch` over mechanisms stands
 * anywhere else. */
#pragma once

#include "base/buffer.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "zones/ezk/ezk.h"

enum operation_kind {
	OPERATION_ENCRYPT,
	OPERATION_DECRYPT,
	OPERATION_DIGEST,
	OPERATION_SIGN,
	OPERATION_VERIFY,
	OPERATION_MESSAGE_ENCRYPT, /* one message; many of them: session/messages.h */
	OPERATION_MESSAGE_DECRYPT,
	OPERATION_KIND_COUNT
};

struct cipher_class;
struct derive_method;
struct mac;
struct mechanism;
struct message_class;
struct parameter;
struct wrap_method;

/* What a mechanism does; some share one. Each is described in the file of its family. */
struct behaviour {
	/* Checks what the application gave and brings it into one form:
	 * CKR_MECHANISM_PARAM_INVALID. */
	CK_RV (*read)(const CK_MECHANISM *given, struct parameter *parameter);
	const char *wanted; /* in a sentence about the parameter: "… is not" */
	const struct cipher_class *operations[OPERATION_KIND_COUNT]; /* NULL: none (operation.h) */
	const struct wrap_method *wrap;				     /* NULL: none (wrapping.h) */
	const struct derive_method *derive;			     /* NULL: none (deriving.h) */
	const struct message_class *messages;			     /* NULL: none (message.h) */
	bool scheduled; /* works by something that was keyed: an AES key schedule, in the mode
			 * that is the row's detail, */
	struct mac *(*keyed)(const struct mechanism *mechanism, struct bytes key); /* or this */
	bool takes_generic; /* beside the row's type of key CKK_GENERIC_SECRET */
	bool moves_zones;   /* what it wraps and unwraps is a zone */
	bool derives;	    /* encrypts by a key that it derives: the key has to allow that, too */
};

/* The families, by file. */
extern const struct behaviour cbc_behaviour, cbc_pad_behaviour;
extern const struct behaviour ccm_behaviour;
extern const struct behaviour ctr_behaviour;
extern const struct behaviour dek_wrap_behaviour;
extern const struct behaviour digest_behaviour;
extern const struct behaviour ecb_behaviour;
extern const struct behaviour ecb_data_behaviour, cbc_data_behaviour; /* encrypt_data.c */
extern const struct behaviour kdf_behaviour;			      /* sp800_108.c */
extern const struct behaviour gcm_behaviour, chunk_behaviour;
extern const struct behaviour envelope_message_behaviour;
extern const struct behaviour generate_behaviour;
extern const struct behaviour hkdf_behaviour;
extern const struct behaviour kms_behaviour;
extern const struct behaviour kw_behaviour, kwp_behaviour;	      /* key_wrap.c */
extern const struct behaviour hmac_behaviour, hmac_general_behaviour; /* mac.c */
extern const struct behaviour cmac_behaviour, cmac_general_behaviour, gmac_behaviour;

/* Which objects a mechanism works on. */
enum key_kind {
	KEY_KIND_NONE = 0,
	KEY_KIND_ROOT = 1 << 0,
	KEY_KIND_ZONE = 1 << 1,
	KEY_KIND_DATA = 1 << 2
};

/* Where a row holds: a mechanism whose approved part is smaller has two (docs/fips.md). */
enum offered { OFFERED_FIPS = 1 << 0, OFFERED_ELSE = 1 << 1 };

struct mechanism {
	CK_MECHANISM_TYPE type;
	CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION: any secret key, or none */
	const struct behaviour *does;
	CK_FLAGS flags;		   /* CKF_ENCRYPT | …, as C_GetMechanismInfo reports them */
	unsigned key_kinds;	   /* enum key_kind */
	CK_ULONG min_key, max_key; /* in the standard's unit: bytes, for generic secrets bits */
	int detail; /* enum aes_mode or enum digest_kind, where what it does needs it */
	enum ezk_purpose
		encrypt_purpose; /* the derived key when an EZK is used by C_Encrypt / C_Decrypt */
	enum ezk_purpose wrap_purpose; /* and by C_WrapKey / C_UnwrapKey */
	unsigned offered;	       /* enum offered */
};

struct object;

/* The list in place of the module's own, for tests: while nobody uses the module. It stays the
 * caller's. NULL: the module's own again. */
void mechanisms_use(const struct mechanism *list, size_t count);

/* Of what is offered by this process, which with [crypto] fips (crypto_is_fips) is what is
 * approved. NULL: not known. */
const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type);
/* The same for a use, one of the CKF_ flags. Where FIPS is the only reason that there is none, the
 * log says so, and what to use instead. */
const struct mechanism *mechanism_find_for(CK_MECHANISM_TYPE type, CK_FLAGS use);
/* What that line names: the file whose [crypto] fips is set, NULL: the host's OpenSSL. While nobody
 * uses the module. */
void mechanisms_fips_by(const char *file);
/* In the order C_GetMechanismList reports; index < mechanism_count(). */
const struct mechanism *mechanism_at(size_t index);
size_t mechanism_count(void);

/* What an object is to a mechanism; KEY_KIND_NONE: no key. */
enum key_kind mechanism_key_kind(const struct object *object);
/* Is it made for such a key: its kind, its type; its size? */
bool mechanism_fits_type(const struct mechanism *mechanism, const struct object *key);
bool mechanism_fits_size(const struct mechanism *mechanism, const struct object *key);
/* By CKA_ALLOWED_MECHANISMS. */
bool mechanism_is_allowed(const struct mechanism *mechanism, const struct object *key);
/* What the objects ask of the mechanisms, for objects_new(). */
extern const struct objects_asks mechanisms_asked;
