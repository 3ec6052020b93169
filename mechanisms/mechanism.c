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
#include "mechanisms/deriving.h"
#include "mechanisms/hkdf.h"
#include "objects/object.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
	CRYPT = CKF_ENCRYPT | CKF_DECRYPT,
	WRAP = CKF_WRAP | CKF_UNWRAP,
	TELL = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE,
	MAC = CKF_SIGN | CKF_VERIFY,
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

/* The key derivations of SP 800-108; HMAC by one digest: whole, cut short, and its keys, which have
 * 112 bits at least with FIPS. */
/* clang-format off */
#define HMAC_ROWS(name, key, digest, min, offered)                                              \
	{ CKM_##name##_HMAC,         key, &hmac_behaviour,                                      \
	  MAC,          DATA, min, 512, digest, 0, 0, offered },                                \
	{ CKM_##name##_HMAC_GENERAL, key, &hmac_general_behaviour,                              \
	  MAC,          DATA, min, 512, digest, 0, 0, offered },                                \
	{ CKM_##name##_KEY_GEN,      key, &generate_behaviour,                                  \
	  CKF_GENERATE, 0,    min, 512, 0,      0, 0, offered }
#define KDF_ROWS(name, mode)                                                                    \
	{ CKM_SP800_108_##name##_KDF, ANY, &kdf_behaviour,                                      \
	  CKF_DERIVE, DATA, 1, 512, mode, 0, 0, ELSE },                                         \
	{ CKM_SP800_108_##name##_KDF, ANY, &kdf_behaviour,                                      \
	  CKF_DERIVE, DATA, 14, 512, mode, 0, 0, FIPS }
#define HMACS(name, key, digest)                                                                \
	HMAC_ROWS(name, key, digest, 1, ELSE), HMAC_ROWS(name, key, digest, 14, FIPS)
/* clang-format on */

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
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_CBC,       EZK_DATA,     0, ELSE },
	{ CKM_AES_CBC,                CKK_AES,  &cbc_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CBC,       EZK_DATA,     0, FIPS },
	{ CKM_AES_CBC_PAD,            CKK_AES,  &cbc_pad_behaviour,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_CBC_PAD,   EZK_DATA,     EZK_WRAP_CBC_PAD, ELSE },
	{ CKM_AES_CBC_PAD,            CKK_AES,  &cbc_pad_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CBC_PAD,   EZK_DATA,     0, FIPS },
	{ CKM_AES_CTR,                CKK_AES,  &ctr_behaviour,
	  CRYPT,           BOTH, 16, 32,     AES_CTR,       EZK_DATA,     0, ALWAYS },
	{ CKM_AES_GCM,                CKK_AES,  &gcm_behaviour,
	  CRYPT | WRAP | TELL, BOTH, 16, 32,     AES_GCM,       EZK_DATA,     EZK_WRAP_GCM, ELSE },
	{ CKM_AES_GCM,                CKK_AES,  &gcm_behaviour,
	  OPEN | CKF_WRAP | TELL, BOTH, 16, 32,  AES_GCM,       EZK_DATA,     EZK_WRAP_GCM, FIPS },
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
	  CKF_DERIVE,      DATA, 1, 512,     HKDF_KEY,      0,            0, ELSE },
	{ CKM_HKDF_DERIVE,            ANY,      &hkdf_behaviour,
	  CKF_DERIVE,      DATA, 14, 512,    HKDF_KEY,      0,            0, FIPS },
	{ CKM_HKDF_DATA,              ANY,      &hkdf_behaviour,
	  CKF_DERIVE,      DATA, 1, 512,     HKDF_DATA,     0,            0, ELSE },
	{ CKM_HKDF_DATA,              ANY,      &hkdf_behaviour,
	  CKF_DERIVE,      DATA, 14, 512,    HKDF_DATA,     0,            0, FIPS },
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
	{ CKM_CMEK_MESSAGE,           CKK_AES,  &envelope_message_behaviour,
	  CRYPT,           DATA, 32, 32,     AES_GCM,       0,            0, ALWAYS },
	{ CKM_CMEK_DEK_WRAP,          CKK_AES,  &dek_wrap_behaviour,
	  WRAP,            ZONE, 32, 32,     0,             0,            EZK_DEK_WRAP, ALWAYS },
	{ CKM_AES_CMAC,               CKK_AES,  &cmac_behaviour,
	  MAC,             DATA, 16, 32,     0,             0,            0, ALWAYS },
	{ CKM_AES_CMAC_GENERAL,       CKK_AES,  &cmac_general_behaviour,
	  MAC,             DATA, 16, 32,     0,             0,            0, ALWAYS },
	{ CKM_AES_GMAC,               CKK_AES,  &gmac_behaviour,
	  MAC,             DATA, 16, 32,     AES_GCM,       0,            0, ELSE },
	{ CKM_AES_GMAC,               CKK_AES,  &gmac_behaviour,
	  CKF_VERIFY,      DATA, 16, 32,     AES_GCM,       0,            0, FIPS },
	HMACS(SHA_1,  CKK_SHA_1_HMAC,  DIGEST_SHA1),
	HMACS(SHA224, CKK_SHA224_HMAC, DIGEST_SHA224),
	HMACS(SHA256, CKK_SHA256_HMAC, DIGEST_SHA256),
	HMACS(SHA384, CKK_SHA384_HMAC, DIGEST_SHA384),
	HMACS(SHA512, CKK_SHA512_HMAC, DIGEST_SHA512),
	{ CKM_SHA512_224,              ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA512_224, 0,          0, ALWAYS },
	{ CKM_SHA512_256,              ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA512_256, 0,          0, ALWAYS },
	{ CKM_SHA3_224,                ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA3_224, 0,          0, ALWAYS },
	{ CKM_SHA3_256,                ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA3_256, 0,          0, ALWAYS },
	{ CKM_SHA3_384,                ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA3_384, 0,          0, ALWAYS },
	{ CKM_SHA3_512,                ANY,      &digest_behaviour,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA3_512, 0,          0, ALWAYS },
	HMACS(SHA512_224, CKK_SHA512_224_HMAC, DIGEST_SHA512_224),
	HMACS(SHA512_256, CKK_SHA512_256_HMAC, DIGEST_SHA512_256),
	HMACS(SHA3_224, CKK_SHA3_224_HMAC, DIGEST_SHA3_224),
	HMACS(SHA3_256, CKK_SHA3_256_HMAC, DIGEST_SHA3_256),
	HMACS(SHA3_384, CKK_SHA3_384_HMAC, DIGEST_SHA3_384),
	HMACS(SHA3_512, CKK_SHA3_512_HMAC, DIGEST_SHA3_512),
	{ CKM_AES_ECB_ENCRYPT_DATA,   CKK_AES,  &ecb_data_behaviour,
	  CKF_DERIVE,      DATA, 16, 32,     AES_ECB,       0,            0, ELSE },
	{ CKM_AES_CBC_ENCRYPT_DATA,   CKK_AES,  &cbc_data_behaviour,
	  CKF_DERIVE,      DATA, 16, 32,     AES_CBC,       0,            0, ELSE },
	KDF_ROWS(COUNTER,         COUNTER_KDF),
	KDF_ROWS(FEEDBACK,        FEEDBACK_KDF),
	KDF_ROWS(DOUBLE_PIPELINE, PIPELINE_KDF),
};
/* clang-format on */

/* What to use where only the row for FIPS lacks the use. */
static const struct {
	CK_MECHANISM_TYPE type;
	const char *name, *instead;
} left_out[] = {
	{CKM_AES_GCM, "CKM_AES_GCM with the caller's IV",
	 "CKM_CMEK_DEK_WRAP for keys, CKM_CMEK_CHUNK for data"},
	{CKM_AES_CBC, "CKM_AES_CBC for keys", "CKM_CMEK_DEK_WRAP or CKM_AES_KEY_WRAP"},
	{CKM_AES_CBC_PAD, "CKM_AES_CBC_PAD for keys", "CKM_CMEK_DEK_WRAP"},
	{CKM_AES_ECB_ENCRYPT_DATA, "CKM_AES_ECB_ENCRYPT_DATA", "CKM_SP800_108_COUNTER_KDF"},
	{CKM_AES_CBC_ENCRYPT_DATA, "CKM_AES_CBC_ENCRYPT_DATA", "CKM_SP800_108_COUNTER_KDF"},
	{CKM_AES_GMAC, "CKM_AES_GMAC with the caller's IV", "CKM_AES_CMAC"},
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

static bool takes_type(const struct mechanism *mechanism, CK_KEY_TYPE type)
{
	return mechanism->key_type == type || mechanism->key_type == ANY ||
	       (mechanism->does->takes_generic && type == CKK_GENERIC_SECRET);
}

bool mechanism_fits_type(const struct mechanism *mechanism, const struct object *key)
{
	return (mechanism->key_kinds & mechanism_key_kind(key)) != 0 &&
	       takes_type(mechanism, key->key_type);
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
