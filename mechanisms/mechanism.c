/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of mechanisms. Key sizes are in the unit the standard reports for each mechanism: bytes
 * for AES and HKDF, bits for generic secrets. */
#include "mechanisms/mechanism.h"

#include "base/log.h"
#include "base/macros.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "objects/object.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
	CRYPT = CKF_ENCRYPT | CKF_DECRYPT,
	WRAP = CKF_WRAP | CKF_UNWRAP,
	TELL = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE,
	OPEN = CKF_DECRYPT | CKF_UNWRAP,
	ROOT = KEY_KIND_ROOT,
	ZONE = KEY_KIND_ZONE,
	BOTH = KEY_KIND_ZONE | KEY_KIND_DATA,
	DATA = KEY_KIND_DATA,
	FIPS = OFFERED_FIPS,
	ELSE = OFFERED_ELSE,
	ALWAYS = OFFERED_FIPS | OFFERED_ELSE,
};

/* Any secret key will do. */
#define ANY CK_UNAVAILABLE_INFORMATION

/* Everything this module can do, in the order C_GetMechanismList reports it. The columns "to
 * encrypt" and "to wrap" name the key derived from an EZK when it is used to encrypt and to wrap:
 * an EZK itself encrypts nothing. */
/* clang-format off */
static const struct mechanism mechanisms[] = {
	/* type                       key       does
	   flags           on    key sizes   detail         to encrypt    to wrap           offered */
	{ CKM_AES_KEY_GEN,            CKK_AES,  &generate_behaviour,
	  CKF_GENERATE,    0,    16, 32,     0,             0,            0, ALWAYS },
	{ CKM_AES_ECB,                CKK_AES,  &ecb_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_ECB,       EZK_DATA,     0, ALWAYS },
	{ CKM_AES_CBC,                CKK_AES,  &cbc_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CBC,       EZK_DATA,     0, ALWAYS },
	{ CKM_AES_CBC_PAD,            CKK_AES,  &cbc_pad_behaviour,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_CBC_PAD,   EZK_DATA,     EZK_WRAP_CBC_PAD, ELSE },
	{ CKM_AES_CBC_PAD,            CKK_AES,  &cbc_pad_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CBC_PAD,   EZK_DATA,     0, FIPS },
	{ CKM_AES_CTR,                CKK_AES,  &ctr_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CTR,       EZK_DATA,     0, ALWAYS },
	{ CKM_AES_GCM,                CKK_AES,  &gcm_behaviour,
	  CRYPT | WRAP | TELL, BOTH, 16, 32,     AES_GCM,       EZK_DATA,     EZK_WRAP_GCM, ELSE },
	{ CKM_AES_GCM,                CKK_AES,  &gcm_behaviour,
	  OPEN | TELL,     BOTH, 16, 32,     AES_GCM,       EZK_DATA,     EZK_WRAP_GCM, FIPS },
	{ CKM_AES_CCM,                CKK_AES,  &ccm_behaviour,
	  CRYPT | WRAP | TELL, BOTH, 16, 32,     AES_CCM,       EZK_DATA,     EZK_WRAP_CCM, ALWAYS },
	{ CKM_AES_KEY_WRAP,           CKK_AES,  &kw_behaviour,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KW, ALWAYS },
	{ CKM_AES_KEY_WRAP_PAD,       CKK_AES,  &kwp_behaviour,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KWP, ALWAYS },
	{ CKM_AES_KEY_WRAP_KWP,       CKK_AES,  &kwp_behaviour,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KWP, ALWAYS },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, &generate_behaviour,
	  CKF_GENERATE,    0,    8, 4096,    0,             0,            0, ELSE },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, &generate_behaviour,
	  CKF_GENERATE,    0,    112, 4096,  0,             0,            0, FIPS },
	{ CKM_HKDF_DERIVE,            ANY,      &hkdf_behaviour,
	  CKF_DERIVE,      DATA, 1, 512,     0,             0,            0, ELSE },
	{ CKM_HKDF_DERIVE,            ANY,      &hkdf_behaviour,
	  CKF_DERIVE,      DATA, 14, 512,    0,             0,            0, FIPS },
	{ CKM_SHA_1,                  ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA1,   0,            0, ALWAYS },
	{ CKM_SHA224,                 ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA224, 0,            0, ALWAYS },
	{ CKM_SHA256,                 ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA256, 0,            0, ALWAYS },
	{ CKM_SHA384,                 ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA384, 0,            0, ALWAYS },
	{ CKM_SHA512,                 ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA512, 0,            0, ALWAYS },
	{ CKM_CMEK_KMS,               CKK_AES,  &kms_behaviour,
	  CRYPT | WRAP,    ROOT, 32, 32,     0,             0,            0, ALWAYS },
	{ CKM_CMEK_CHUNK,             CKK_AES,  &chunk_behaviour,
	  CKF_ENCRYPT,     DATA, 32, 32,     AES_GCM,       0,            0, ALWAYS },
	{ CKM_CMEK_DEK_WRAP,          CKK_AES,  &dek_wrap_behaviour,
	  WRAP,            ZONE, 32, 32,     0,             0,            EZK_DEK_WRAP, ALWAYS },
};
/* clang-format on */

/* What to use where only the row for FIPS lacks the use. */
static const struct {
	CK_MECHANISM_TYPE type;
	const char *name, *instead;
} left_out[] = {
	{CKM_AES_GCM, "CKM_AES_GCM with the caller's IV",
	 "CKM_CMEK_DEK_WRAP for keys, CKM_CMEK_CHUNK for data"},
	{CKM_AES_CBC_PAD, "CKM_AES_CBC_PAD for keys", "CKM_CMEK_DEK_WRAP"},
};
static _Atomic bool was_told[COUNT_OF(left_out)];

static char told_by[512] = "the host's OpenSSL";

void mechanisms_fips_by(const char *file)
{
	if (file == NULL)
		snprintf(told_by, sizeof(told_by), "the host's OpenSSL");
	else
		snprintf(told_by, sizeof(told_by), "fips = true in %s", file);
}

/* Once as a warning, since the caller may call again and again. */
static void tell_why(CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < COUNT_OF(left_out); i++) {
		if (left_out[i].type == type)
			log_write(atomic_exchange(&was_told[i], true) ? LOG_INFO : LOG_WARNING,
				  "%s is not FIPS-approved (%s): use %s", left_out[i].name, told_by,
				  left_out[i].instead);
	}
}

/* What is looked at. */
static const struct mechanism *rows = mechanisms;
static size_t row_count = COUNT_OF(mechanisms);

void mechanisms_use(const struct mechanism *list, size_t count)
{
	rows = list == NULL ? mechanisms : list;
	row_count = list == NULL ? COUNT_OF(mechanisms) : count;
}

static const struct mechanism *find(CK_MECHANISM_TYPE type, unsigned offered)
{
	for (size_t i = 0; i < row_count; i++)
		if (rows[i].type == type && (rows[i].offered & offered) != 0)
			return &rows[i];
	return NULL;
}

static unsigned offered_here(void)
{
	return crypto_is_fips() ? FIPS : ELSE;
}

const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type)
{
	return find(type, offered_here());
}

const struct mechanism *mechanism_find_for(CK_MECHANISM_TYPE type, CK_FLAGS use)
{
	const struct mechanism *mechanism = mechanism_find(type), *otherwise;

	if (mechanism != NULL && (mechanism->flags & use) != 0)
		return mechanism;
	otherwise = find(type, ELSE);
	if (otherwise != NULL && (otherwise->flags & use) != 0)
		tell_why(type);
	return NULL;
}

const struct mechanism *mechanism_at(size_t index)
{
	const struct mechanism *one = rows;
	unsigned offered = offered_here();

	for (;; one++) {
		if ((one->offered & offered) != 0 && index-- == 0)
			return one;
	}
}

size_t mechanism_count(void)
{
	size_t count = 0;

	for (size_t i = 0; i < row_count; i++)
		count += (rows[i].offered & offered_here()) != 0;
	return count;
}

enum key_kind mechanism_key_kind(const struct object *object)
{
	static const enum key_kind kinds[OBJECT_KIND_COUNT] = {
		[OBJECT_ROOT_KEY] = KEY_KIND_ROOT,
		[OBJECT_ZONE] = KEY_KIND_ZONE,
		[OBJECT_KEY] = KEY_KIND_DATA,
	};

	return kinds[object->kind];
}

bool mechanism_fits_type(const struct mechanism *mechanism, const struct object *key)
{
	return (mechanism->key_kinds & mechanism_key_kind(key)) != 0 &&
	       (mechanism->key_type == key->key_type || mechanism->key_type == ANY);
}

bool mechanism_fits_size(const struct mechanism *mechanism, const struct object *key)
{
	return key->value_len >= mechanism->min_key && key->value_len <= mechanism->max_key;
}

bool mechanism_is_allowed(const struct mechanism *mechanism, const struct object *key)
{
	struct bytes allowed = key->allowed_mechanisms;
	CK_MECHANISM_TYPE one;

	for (size_t at = 0; at + sizeof(one) <= allowed.len; at += sizeof(one)) {
		memcpy(&one, allowed.data + at, sizeof(one));
		if (one == mechanism->type)
			return true;
	}
	return allowed.len == 0;
}

static void append_fitting(const struct object *key, struct buffer *out)
{
	for (size_t i = 0; i < mechanism_count(); i++) {
		const struct mechanism *one = mechanism_at(i);

		if (mechanism_fits_type(one, key) && mechanism_fits_size(one, key))
			buffer_append(out, bytes(&one->type, sizeof(one->type)));
	}
}

const struct objects_asks mechanisms_asked = {.mechanisms = append_fitting};
