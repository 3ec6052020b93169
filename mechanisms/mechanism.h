/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Everything this module can do, as one table: C_GetMechanismList, C_GetMechanismInfo, every *Init,
 * template checks and CKA_ALLOWED_MECHANISMS read it, and no `switch` over mechanisms stands
 * anywhere else. */
#pragma once

#include "base/buffer.h"
#include "include/pkcs11.h"
#include "include/cmek.h"
#include "zones/ezk/ezk.h"

/* What an operation does; many mechanisms share one. */
enum cipher {
	CIPHER_NONE,
	CIPHER_ECB,
	CIPHER_CBC,
	CIPHER_CBC_PAD,
	CIPHER_CTR,
	CIPHER_GCM,
	CIPHER_CHUNK,
	CIPHER_KW,
	CIPHER_KWP,
	CIPHER_KMS,
	CIPHER_DEK_WRAP,
	CIPHER_DIGEST,
	CIPHER_HKDF,
	CIPHER_GENERATE,
};

/* The form of the parameter. */
enum parameters {
	PARAMETERS_NONE,    /* none; a pointer with length 0 is none too */
	PARAMETERS_IV,	    /* 16 bytes */
	PARAMETERS_CTR,	    /* CK_AES_CTR_PARAMS */
	PARAMETERS_GCM,	    /* CK_GCM_PARAMS (also the 40-byte form without ulIvBits) */
	PARAMETERS_CHUNK,   /* CK_CMEK_CHUNK_PARAMS */
	PARAMETERS_KW_IV,   /* none, or the 8-byte (KW) or 4-byte (KWP) standard IV */
	PARAMETERS_CONTEXT, /* none, or flat JSON */
	PARAMETERS_AAD,	    /* none, or any bytes */
	PARAMETERS_HKDF,    /* CK_HKDF_PARAMS */
};

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
	enum cipher cipher;
	enum parameters parameters;
	CK_FLAGS flags;		   /* CKF_ENCRYPT | …, as C_GetMechanismInfo reports them */
	unsigned key_kinds;	   /* enum key_kind */
	CK_ULONG min_key, max_key; /* in the standard's unit: bytes, for generic secrets bits */
	int detail; /* enum aes_mode or enum digest_kind, where the cipher needs it */
	enum ezk_purpose
		encrypt_purpose; /* the derived key when an EZK is used by C_Encrypt / C_Decrypt */
	enum ezk_purpose wrap_purpose; /* and by C_WrapKey / C_UnwrapKey */
	unsigned offered;	       /* enum offered */
};

struct object;

/* Of what is offered by this process, which with [crypto] fips (crypto_is_fips) is what is
 * approved. NULL: not known. */
const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type);
/* The same for a use, one of the CKF_ flags. Where only FIPS is why there is none, the log says so,
 * and what to use instead. */
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
/* CKA_ALLOWED_MECHANISMS: the list that the key was made with, of which it keeps also what is not
 * known here; of a key that was never restricted, all that fit it. */
bool mechanism_is_allowed(const struct mechanism *mechanism, const struct object *key);
void mechanisms_allowed(const struct object *key, struct buffer *out);
