/* The table of mechanisms. Key sizes are in the unit the standard reports for each mechanism: bytes
 * for AES and HKDF, bits for generic secrets. */
#include "objects/mechanism.h"

#include "crypto/aes.h"
#include "crypto/digest.h"
#include "objects/object.h"

enum {
	CRYPT = CKF_ENCRYPT | CKF_DECRYPT,
	WRAP = CKF_WRAP | CKF_UNWRAP,
	ROOT = KEY_KIND_ROOT,
	ZONE = KEY_KIND_ZONE,
	BOTH = KEY_KIND_ZONE | KEY_KIND_DATA,
	DATA = KEY_KIND_DATA,
};

/* Any secret key will do. */
#define ANY CK_UNAVAILABLE_INFORMATION

/* Everything this module can do, in the order C_GetMechanismList reports it. The last two columns
 * name the key derived from an EZK when it is used to encrypt and to wrap: an EZK itself encrypts
 * nothing. */
/* clang-format off */
static const struct mechanism mechanisms[] = {
	/* type                       key       does               parameter
	   flags           on    key sizes   detail         to encrypt    to wrap */
	{ CKM_AES_KEY_GEN,            CKK_AES,  CIPHER_GENERATE,   PARAMETERS_NONE,
	  CKF_GENERATE,    0,    16, 32,     0,             0,            0 },
	{ CKM_AES_ECB,                CKK_AES,  CIPHER_ECB,        PARAMETERS_NONE,
	  CRYPT,           BOTH, 16, 32,     AES_ECB,       EZK_DATA,     0 },
	{ CKM_AES_CBC,                CKK_AES,  CIPHER_CBC,        PARAMETERS_IV,
	  CRYPT,           BOTH, 16, 32,     AES_CBC,       EZK_DATA,     0 },
	{ CKM_AES_CBC_PAD,            CKK_AES,  CIPHER_CBC_PAD,    PARAMETERS_IV,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_CBC_PAD,   EZK_DATA,     EZK_WRAP_CBC_PAD },
	{ CKM_AES_CTR,                CKK_AES,  CIPHER_CTR,        PARAMETERS_CTR,
	  CRYPT,           BOTH, 16, 32,     AES_CTR,       EZK_DATA,     0 },
	{ CKM_AES_GCM,                CKK_AES,  CIPHER_GCM,        PARAMETERS_GCM,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_GCM,       EZK_DATA,     EZK_WRAP_GCM },
	{ CKM_AES_KEY_WRAP,           CKK_AES,  CIPHER_KW,         PARAMETERS_KW_IV,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KW },
	{ CKM_AES_KEY_WRAP_PAD,       CKK_AES,  CIPHER_KWP,        PARAMETERS_KW_IV,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KWP },
	{ CKM_AES_KEY_WRAP_KWP,       CKK_AES,  CIPHER_KWP,        PARAMETERS_KW_IV,
	  CRYPT | WRAP,    BOTH, 16, 32,     AES_ECB,       EZK_DATA,     EZK_WRAP_KWP },
	{ CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, CIPHER_GENERATE, PARAMETERS_NONE,
	  CKF_GENERATE,    0,    8, 4096,    0,             0,            0 },
	{ CKM_HKDF_DERIVE,            ANY,      CIPHER_HKDF,       PARAMETERS_HKDF,
	  CKF_DERIVE,      DATA, 1, 512,     0,             0,            0 },
	{ CKM_SHA_1,                  ANY,      CIPHER_DIGEST,     PARAMETERS_NONE,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA1,   0,            0 },
	{ CKM_SHA224,                 ANY,      CIPHER_DIGEST,     PARAMETERS_NONE,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA224, 0,            0 },
	{ CKM_SHA256,                 ANY,      CIPHER_DIGEST,     PARAMETERS_NONE,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA256, 0,            0 },
	{ CKM_SHA384,                 ANY,      CIPHER_DIGEST,     PARAMETERS_NONE,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA384, 0,            0 },
	{ CKM_SHA512,                 ANY,      CIPHER_DIGEST,     PARAMETERS_NONE,
	  CKF_DIGEST,      0,    0, 0,       DIGEST_SHA512, 0,            0 },
	{ CKM_CMEK_KMS,               CKK_AES,  CIPHER_KMS,        PARAMETERS_CONTEXT,
	  CRYPT | WRAP,    ROOT, 32, 32,     0,             0,            0 },
	{ CKM_CMEK_DEK_WRAP,          CKK_AES,  CIPHER_DEK_WRAP,   PARAMETERS_AAD,
	  WRAP,            ZONE, 32, 32,     0,             0,            EZK_DEK_WRAP },
};
/* clang-format on */

const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type)
{
	for (size_t i = 0; i < mechanism_count(); i++)
		if (mechanisms[i].type == type)
			return &mechanisms[i];
	return NULL;
}

const struct mechanism *mechanism_at(size_t index)
{
	return &mechanisms[index];
}

size_t mechanism_count(void)
{
	return sizeof(mechanisms) / sizeof(mechanisms[0]);
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

void mechanisms_allowed(const struct object *key, struct buffer *out)
{
	buffer_append(out, key->allowed_mechanisms);
	if (key->allowed_mechanisms.len > 0)
		return;
	for (size_t i = 0; i < mechanism_count(); i++) {
		const struct mechanism *one = mechanism_at(i);

		if (mechanism_fits_type(one, key) && mechanism_fits_size(one, key))
			buffer_append(out, bytes(&one->type, sizeof(one->type)));
	}
}
