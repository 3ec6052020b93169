/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* IVs that the module makes; see the header. */
#include "objects/ivs.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "objects/shards.h"

#include <stdlib.h>

struct made_ivs {
	atomic_uint references;
	CK_OBJECT_HANDLE handle;
	bool may_count;
	bool needs_enough;    /* random bits, always: another handle may count under this value */
	pthread_mutex_t lock; /* guards what follows */
	uint64_t random;      /* how many were made */
	bool had_few;	      /* bits in one of these */
	uint64_t next;	      /* of the counter */
	bool is_laid_out;
	struct iv_wish layout; /* of the counter; its `given` is `base` */
	uint8_t base[MADE_IV_MAX];
};

void object_allow_iv_counter(struct object *key)
{
	key->may_count_ivs = true;
}

/* --- Those of a handle */

/* A data key on the token may be a copy, too, of one that counted in an earlier life. A zone is
 * never copied. */
static bool may_count_elsewhere(const struct object *key)
{
	return key->is_copy || (key->owner == 0 && key->kind == OBJECT_KEY);
}

static struct made_ivs *ivs_new(const struct object *key)
{
	struct made_ivs *ivs = calloc(1, sizeof(*ivs));

	if (ivs == NULL)
		return NULL;
	ivs->references = 1;
	ivs->handle = key->handle;
	ivs->may_count = key->may_count_ivs;
	ivs->needs_enough = may_count_elsewhere(key);
	pthread_mutex_init(&ivs->lock, NULL);
	return ivs;
}

void made_ivs_release(struct made_ivs *ivs)
{
	if (ivs == NULL || atomic_fetch_sub(&ivs->references, 1) != 1)
		return;
	pthread_mutex_destroy(&ivs->lock);
	free(ivs);
}

void made_ivs_releasep(struct made_ivs **ivs)
{
	made_ivs_release(TAKE(*ivs));
}

static struct made_ivs *find_or_make(struct shard *shard, const struct object *now)
{
	struct made_ivs *ivs = map_find(&shard->made_ivs, handle_key(&now->handle));

	if (ivs != NULL)
		return ivs;
	ivs = ivs_new(now);
	if (ivs != NULL && map_put(&shard->made_ivs, handle_key(&ivs->handle), ivs))
		return ivs;
	made_ivs_release(ivs);
	return NULL;
}

CK_RV objects_made_ivs(struct objects *objects, const struct object *key, struct made_ivs **ret_ivs)
{
	struct shard *shard = shard_of_handle(objects, key->handle);
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	const struct object *now = key;
	struct made_ivs *ivs;

	/* An entry of the store is what it is; a session's object may have been destroyed, and what
	 * was counted for it is gone then. */
	if (key->owner != 0)
		now = map_find(&shard->objects, handle_key(&key->handle));
	if (now == NULL)
		return CKR_KEY_HANDLE_INVALID;
	ivs = find_or_make(shard, now);
	if (ivs == NULL)
		return CKR_HOST_MEMORY;
	atomic_fetch_add(&ivs->references, 1);
	*ret_ivs = ivs;
	return CKR_OK;
}

void shard_forget_ivs(struct shard *shard, CK_OBJECT_HANDLE handle)
{
	made_ivs_release(map_remove(&shard->made_ivs, handle_key(&handle)));
}

void shard_free_ivs(struct shard *shard)
{
	struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(&shard->made_ivs, &at)) != NULL)
		made_ivs_release(entry->value);
	map_clear(&shard->made_ivs);
}

bool made_ivs_may_count(const struct made_ivs *ivs)
{
	return ivs->may_count;
}

/* --- Made */

static size_t free_bits(const struct iv_wish *wish)
{
	return 8 * wish->len - wish->fixed_bits;
}

/* Which bits of a byte are made. */
static uint8_t made_mask(const struct iv_wish *wish, size_t at)
{
	if (wish->fixed_bits >= 8 * (at + 1))
		return 0;
	return wish->fixed_bits <= 8 * at ? 0xff : (uint8_t)(0xff >> (wish->fixed_bits - 8 * at));
}

static void put_bits(const struct iv_wish *wish, const uint8_t *bits, uint8_t *ret_iv)
{
	for (size_t i = 0; i < wish->len; i++) {
		uint8_t mask = made_mask(wish, i);
		uint8_t kept = wish->maker == IV_COUNTER_XOR ? 0xff : (uint8_t)~mask;

		ret_iv[i] = (uint8_t)((wish->given[i] & kept) ^ (bits[i] & mask));
	}
}

/* With n random bits, m IVs have a chance of some m^2 / 2^(n+1) to meet. */
static uint64_t random_max(size_t bits)
{
	return bits >= 96 ? UINT64_C(1) << 32 : UINT64_C(1) << ((bits - 32) / 2);
}

static CK_RV exhausted(const struct made_ivs *ivs, const char *what)
{
	log_warning("no further %s may be made for the key with handle %lu: make another key", what,
		    (unsigned long)ivs->handle);
	return CKR_KEY_EXHAUSTED;
}

static size_t random_min(const struct made_ivs *ivs)
{
	return ivs->is_laid_out || ivs->needs_enough ? MADE_RANDOM_BITS_ENOUGH
						     : MADE_RANDOM_BITS_MIN;
}

static CK_RV take_random(struct made_ivs *ivs, const struct iv_wish *wish, uint8_t *ret_iv)
{
	uint8_t bits[MADE_IV_MAX];

	if (free_bits(wish) < random_min(ivs)) {
		log_info("random IVs of this key need %zu bits that are not fixed, not %zu%s",
			 random_min(ivs), free_bits(wish),
			 random_min(ivs) == MADE_RANDOM_BITS_MIN
				 ? ""
				 : ": it has a counter, or is a copy or on the token");
		return CKR_MECHANISM_PARAM_INVALID;
	}
	if (ivs->random >= random_max(free_bits(wish)))
		return exhausted(ivs, "random IV");
	ivs->random++;
	if (free_bits(wish) < MADE_RANDOM_BITS_ENOUGH)
		ivs->had_few = true;
	if (!crypto_random(bits, wish->len))
		return CKR_FUNCTION_FAILED;
	put_bits(wish, bits, ret_iv);
	return CKR_OK;
}

/* Two layouts of one counter could give the same IV, and by two mechanisms different IVs could give
 * the same block: GCM enciphers IV || i, CCM a byte || nonce || i (SP 800-38D, 800-38C). */
static bool is_as_before(const struct made_ivs *ivs, const struct iv_wish *wish)
{
	const struct iv_wish *layout = &ivs->layout;

	if (!ivs->is_laid_out)
		return true;
	return wish->mechanism == layout->mechanism && wish->maker == layout->maker &&
	       wish->len == layout->len && wish->fixed_bits == layout->fixed_bits &&
	       (wish->maker != IV_COUNTER_XOR || memcmp(wish->given, ivs->base, wish->len) == 0);
}

static void lay_out(struct made_ivs *ivs, const struct iv_wish *wish)
{
	ivs->is_laid_out = true;
	ivs->layout = *wish;
	ivs->layout.given = ivs->base;
	memcpy(ivs->base, wish->given, wish->len);
}

static bool has_wrapped(const struct made_ivs *ivs, const struct iv_wish *wish)
{
	size_t bits = free_bits(wish);

	return ivs->next == UINT64_MAX || (bits < 64 && ivs->next >> bits != 0);
}

static CK_RV check_counter(const struct made_ivs *ivs, const struct iv_wish *wish)
{
	if (!ivs->may_count) {
		log_info("IVs by a counter are for a session's key that C_GenerateKey made; "
			 "CKG_GENERATE_RANDOM is for all");
		return CKR_MECHANISM_PARAM_INVALID;
	}
	if (ivs->had_few) {
		log_info("IVs by a counter are not for a key with random IVs of fewer than %d bits",
			 MADE_RANDOM_BITS_ENOUGH);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	if (!is_as_before(ivs, wish)) {
		log_info("IVs by a counter keep their mechanism, generator, length and fixed bits "
			 "as long as the key lives, and CKG_GENERATE_COUNTER_XOR what it begins "
			 "with");
		return CKR_MECHANISM_PARAM_INVALID;
	}
	return has_wrapped(ivs, wish) ? exhausted(ivs, "IV by this counter") : CKR_OK;
}

static CK_RV take_counted(struct made_ivs *ivs, const struct iv_wish *wish, uint8_t *ret_iv)
{
	uint8_t bits[MADE_IV_MAX] = {0};

	TRY(check_counter(ivs, wish));
	for (size_t i = 0; i < 8 && i < wish->len; i++)
		bits[wish->len - 1 - i] = (uint8_t)(ivs->next >> 8 * i);
	ivs->next++;
	lay_out(ivs, wish);
	put_bits(wish, bits, ret_iv);
	return CKR_OK;
}

CK_RV made_ivs_take(struct made_ivs *ivs, const struct iv_wish *wish, uint8_t *ret_iv)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&ivs->lock);

	return wish->maker == IV_RANDOM ? take_random(ivs, wish, ret_iv)
					: take_counted(ivs, wish, ret_iv);
}

void made_ivs_advance(struct made_ivs *ivs, uint64_t random, uint64_t counted)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&ivs->lock);

	ivs->random += random;
	ivs->next += counted;
}
