/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys under the EZK of their zone, bound to zone, version and the caller's AAD: CKM_CMEK_DEK_WRAP,
 * and keys and data that the store keeps. */
#include "base/macros.h"
#include "base/reader.h"
#include "base/secret.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "zones/ezk/ezk.h"
#include "zones/model/derive.h"
#include "zones/model/entry.h"

enum {
	FORMAT = 1,
	ZONE_AT = 8,
	VERSION_AT = 16,
	SALT_AT = 20,
	SALT_SIZE = 16,
	NONCE_AT = SALT_AT + SALT_SIZE,
	HEADER_SIZE = NONCE_AT + AES_GCM_IV,
	AAD_NEAR = 464, /* callers' AAD up to this size needs no allocation */
};
_Static_assert(DEK_WRAP_OVERHEAD == HEADER_SIZE + AES_GCM_TAG, "the header and the tag");

/* Forms of one layout that share no key. */
struct form {
	uint8_t head[ZONE_AT];
	enum ezk_purpose purpose;
	const char *label; /* of the key of one blob */
	size_t min, max;   /* bytes of a value */
	bool imported;	   /* opens by a version that the zone has imported, too */
};
static const struct form dek_form = {
	{'C', 'D', 'E', 'K', FORMAT}, EZK_DEK_WRAP, "cmek/1/dek", 1, DEK_MAX, true};
static const struct form stored_forms[STORED_FORM_COUNT] = {
	[STORED_KEY] = {{'C', 'T', 'K', 'N', FORMAT},
			EZK_TOKEN_KEY,
			"cmek/1/token-value",
			1,
			DEK_MAX,
			false},
	[STORED_DATA] = {{'C', 'T', 'D', 'A', FORMAT},
			 EZK_TOKEN_DATA,
			 "cmek/1/token-data-value",
			 0,
			 DATA_MAX,
			 false},
};
_Static_assert((int)STORED_MAX >= (int)DATA_MAX + (int)DEK_WRAP_OVERHEAD, "a store takes all");

/* The EZK of a blob: one that is live here, or its plaintext, in locked memory, with its numbers.
 */
struct by {
	struct ezk *live; /* NULL: `bare` */
	const uint8_t *bare;
	uint64_t zone;
	uint32_t version;
};

static struct by by_live(struct ezk *ezk)
{
	return (struct by){.live = ezk, .zone = ezk_zone(ezk), .version = ezk_version_number(ezk)};
}

static bool make_header(const struct form *form, const struct by *by,
			uint8_t header[static HEADER_SIZE])
{
	memcpy(header, form->head, sizeof(form->head));
	put_big_endian(header + ZONE_AT, 8, by->zone);
	put_big_endian(header + VERSION_AT, 4, by->version);
	return crypto_random(header + SALT_AT, SALT_SIZE + AES_GCM_IV);
}

/* Derives the key of a single blob from the EZK's key for the form and the salt. In locked memory.
 */
struct blob_keys {
	uint8_t parent[EZK_SIZE];
	uint8_t blob[EZK_SIZE];
};

static enum zone_status derive(const struct form *form, const struct by *by, const uint8_t *header,
			       struct blob_keys *keys)
{
	bool done = true;

	if (by->live != NULL)
		TRY(ezk_key(by->live, form->purpose, keys->parent));
	else
		done = ezk_derive(by->bare, form->purpose, by->zone, by->version, keys->parent);
	if (done && kdf_counter(bytes(keys->parent, EZK_SIZE), form->label,
				bytes(header + SALT_AT, SALT_SIZE), keys->blob))
		return ZONE_OK;
	return crypto_started() ? ZONE_NO_MEMORY : ZONE_NOT_STARTED;
}

typedef bool gcm_once(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		      uint8_t *ret, bool *ret_wrong);

/* Has nothing to find wrong. */
static bool seal(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in, uint8_t *ret,
		 bool *ret_wrong)
{
	*ret_wrong = false;
	return aes_gcm_seal(key, iv, aad, in, ret);
}

/* AAD = the header | the caller's. */
static enum zone_status run(const struct form *form, gcm_once *gcm, const struct by *by,
			    const uint8_t *header, struct bytes aad, struct bytes in, uint8_t *ret)
{
	AUTO(secret_freep) struct blob_keys *keys = secret_new(sizeof(*keys));
	AUTO(buffer_clear) struct buffer far = {0};
	uint8_t near[HEADER_SIZE + AAD_NEAR], *all = near;
	bool wrong;

	if (aad.len > AAD_NEAR)
		all = buffer_extend(&far, HEADER_SIZE + aad.len);
	if (keys == NULL || all == NULL)
		return ZONE_NO_MEMORY;
	memcpy(all, header, HEADER_SIZE);
	if (aad.len > 0)
		memcpy(all + HEADER_SIZE, aad.data, aad.len);
	TRY(derive(form, by, header, keys));
	if (gcm(bytes(keys->blob, EZK_SIZE), bytes(header + NONCE_AT, AES_GCM_IV),
		bytes(all, HEADER_SIZE + aad.len), in, ret, &wrong))
		return ZONE_OK;
	if (wrong)
		return ZONE_WRAPPED_KEY_INVALID;
	return crypto_started() ? ZONE_NO_MEMORY : ZONE_NOT_STARTED;
}

static enum zone_status wrap_by(const struct form *form, const struct by *by, struct bytes key,
				struct bytes aad, uint8_t *ret_wrapped)
{
	uint8_t header[HEADER_SIZE];

	if (key.len < form->min || key.len > form->max)
		return ZONE_INVALID;
	if (!make_header(form, by, header))
		return ZONE_NOT_STARTED;
	TRY(run(form, seal, by, header, aad, key, ret_wrapped + HEADER_SIZE));
	memcpy(ret_wrapped, header, HEADER_SIZE);
	return ZONE_OK;
}

static enum zone_status wrap(const struct form *form, struct ezk *ezk, struct bytes key,
			     struct bytes aad, uint8_t *ret_wrapped)
{
	const struct by by = by_live(ezk);

	if (key.len < form->min || key.len > form->max)
		return ZONE_INVALID;
	if (ezk_is_imported(ezk))
		return ZONE_IMPORTED;
	TRY(ezk_begin(ezk));
	return wrap_by(form, &by, key, aad, ret_wrapped);
}

/* Which zone and version a blob names; ZONE_WRAPPED_KEY_INVALID: it is malformed. */
static enum zone_status read_header(const struct form *form, struct bytes wrapped,
				    uint64_t *ret_zone, uint32_t *ret_version)
{
	struct reader reader = reader_of(wrapped);
	struct bytes begin = reader_take(&reader, sizeof(form->head));

	if (wrapped.len < DEK_WRAP_OVERHEAD + form->min ||
	    wrapped.len > DEK_WRAP_OVERHEAD + form->max ||
	    !bytes_equal(begin, bytes(form->head, sizeof(form->head))))
		return ZONE_WRAPPED_KEY_INVALID;
	*ret_zone = reader_u64(&reader);
	*ret_version = reader_u32(&reader);
	return ZONE_OK;
}

/* The EZK of the version that the blob names. */
static enum zone_status choose(const struct form *form, struct ezk *ezk, struct bytes wrapped,
			       struct ezk **ret_ezk)
{
	enum zone_status status;
	uint32_t version;
	uint64_t zone;

	TRY(read_header(form, wrapped, &zone, &version));
	if (zone != ezk_zone(ezk) && !form->imported)
		return ZONE_OTHER_ZONE;
	if (zone == ezk_zone(ezk) && version == ezk_version_number(ezk)) {
		*ret_ezk = ezk_hold(ezk);
		return ZONE_OK;
	}
	status = ezk_sibling(ezk, zone, version, ret_ezk);
	return status == ZONE_NOT_FOUND ? ZONE_WRAPPED_KEY_INVALID : status;
}

static enum zone_status unwrap(const struct form *form, struct ezk *ezk, struct bytes wrapped,
			       struct bytes aad, uint8_t *ret_secret, struct ezk **ret_ezk)
{
	AUTO(ezk_releasep) struct ezk *used = NULL;
	struct by by;

	TRY(choose(form, ezk, wrapped, &used));
	TRY(ezk_begin(used));
	by = by_live(used);
	TRY(run(form, aes_gcm_open, &by, wrapped.data, aad,
		bytes(wrapped.data + HEADER_SIZE, wrapped.len - HEADER_SIZE), ret_secret));
	if (ret_ezk != NULL)
		*ret_ezk = TAKE(used);
	return ZONE_OK;
}

enum zone_status dek_wrap(struct ezk *ezk, struct bytes dek, struct bytes aad, uint8_t *ret_wrapped)
{
	return wrap(&dek_form, ezk, dek, aad, ret_wrapped);
}

enum zone_status dek_unwrap(struct ezk *ezk, struct bytes wrapped, struct bytes aad,
			    uint8_t *ret_secret, struct ezk **ret_ezk)
{
	return unwrap(&dek_form, ezk, wrapped, aad, ret_secret, ret_ezk);
}

static const struct form *stored_form_of(struct bytes wrapped)
{
	return &stored_forms[token_key_form(wrapped)];
}

enum zone_status token_key_wrap(struct ezk *ezk, enum stored_form form, struct bytes value,
				struct bytes aad, uint8_t *ret_wrapped)
{
	return wrap(&stored_forms[form], ezk, value, aad, ret_wrapped);
}

enum zone_status token_key_unwrap(struct ezk *ezk, struct bytes wrapped, struct bytes aad,
				  uint8_t *ret_secret, struct ezk **ret_ezk)
{
	return unwrap(stored_form_of(wrapped), ezk, wrapped, aad, ret_secret, ret_ezk);
}

enum zone_status token_key_wrap_bare(const uint8_t ezk[static EZK_SIZE], uint64_t zone,
				     uint32_t version, enum stored_form form, struct bytes value,
				     struct bytes aad, uint8_t *ret_wrapped)
{
	const struct by by = {.bare = ezk, .zone = zone, .version = version};

	return wrap_by(&stored_forms[form], &by, value, aad, ret_wrapped);
}

enum zone_status token_key_unwrap_bare(const uint8_t ezk[static EZK_SIZE], struct bytes wrapped,
				       struct bytes aad, uint8_t *ret_secret)
{
	const struct form *form = stored_form_of(wrapped);
	struct by by = {.bare = ezk};

	TRY(read_header(form, wrapped, &by.zone, &by.version));
	return run(form, aes_gcm_open, &by, wrapped.data, aad,
		   bytes(wrapped.data + HEADER_SIZE, wrapped.len - HEADER_SIZE), ret_secret);
}

bool dek_wrap_names(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version)
{
	return read_header(&dek_form, wrapped, ret_zone, ret_version) == ZONE_OK;
}

bool token_key_place(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version)
{
	return read_header(stored_form_of(wrapped), wrapped, ret_zone, ret_version) == ZONE_OK;
}

enum stored_form token_key_form(struct bytes wrapped)
{
	const uint8_t *data = stored_forms[STORED_DATA].head;

	return wrapped.len >= ZONE_AT && memcmp(wrapped.data, data, ZONE_AT) == 0 ? STORED_DATA
										  : STORED_KEY;
}
