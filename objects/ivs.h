/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IVs that this module makes for messages (PKCS #11 3.0), counted for each key handle so that none
 * comes twice under a key: a session's key until it is destroyed, others until C_Finalize (even if
 * destroyed, for a message may be under way). Random ones are limited in number: SP 800-38D,
 * section 8.3, wants a chance of at most 2^-32 that two are the same. A counter belongs to a key
 * whose value no other handle began with: one that C_GenerateKey made in a session. Where a key has
 * a counter, or another of the same value may have one (this is a copy, or a data key on the
 * token), random ones have MADE_RANDOM_BITS_ENOUGH bits. What is taken is gone, whatever becomes of
 * its message.
 */
#pragma once

#include "objects/object.h"

enum iv_maker { IV_RANDOM, IV_COUNTER, IV_COUNTER_XOR };
enum {
	MADE_IV_MAX = 13,
	MADE_RANDOM_BITS_MIN = 64,
	MADE_RANDOM_BITS_ENOUGH = 96 /* SP 800-38D, section 8.2.2 */
};

struct iv_wish {
	enum iv_maker maker;
	const uint8_t
		*given;	   /* `len` bytes: the fixed bits; for IV_COUNTER_XOR all of them count */
	size_t len;	   /* at most MADE_IV_MAX */
	size_t fixed_bits; /* the first ones, which stay as they are given; less than 8 * len */
	CK_MECHANISM_TYPE mechanism; /* that begins its blocks by it */
};

struct made_ivs; /* counted */

/* For a new key that nobody else knows yet: it may have a counter. */
void object_allow_iv_counter(struct object *key);
/* Those of the object's handle, held. CKR_KEY_HANDLE_INVALID: it is gone. */
CK_RV objects_made_ivs(struct objects *objects, const struct object *key,
		       struct made_ivs **ret_ivs);
void made_ivs_release(struct made_ivs *ivs); /* accepts NULL */
void made_ivs_releasep(struct made_ivs **ivs);
bool made_ivs_may_count(const struct made_ivs *ivs);
/*
 * Takes the next one. CKR_MECHANISM_PARAM_INVALID: no counter for this key, or none after random
 * ones of few bits; too few bits for random ones; or a counter of another layout than before
 * (mechanism, maker, length, fixed bits, for IV_COUNTER_XOR what is given), by which an IV, or what
 * stands in its place in a block of another mechanism, could come twice. CKR_KEY_EXHAUSTED: no
 * further one may be made so. Thread-safe.
 */
CK_RV made_ivs_take(struct made_ivs *ivs, const struct iv_wish *wish, uint8_t *ret_iv);

/* For tests: as if so many had been made. */
void made_ivs_advance(struct made_ivs *ivs, uint64_t random, uint64_t counted);
