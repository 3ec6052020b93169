/* Values that lie in memory hidden by an EZK. They need no integrity: it is our own memory, and a
 * live EZK is always the same key (zones/ezk_ask.c). */
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "zones/derive.h"
#include "zones/ezks.h"

enum { BLOCK = 32, CONTEXT_SIZE = EZKS_SALT_SIZE + 8 + 4 };

/* The EZK's key for this, and after it room for as much of its stream as the value is long; in
 * locked memory. */
static uint8_t *stream_new(size_t len)
{
	return secret_new(EZK_SIZE + (len + BLOCK - 1) / BLOCK * BLOCK);
}

/* A block of the derivation for each 32 bytes, bound to this process and value. All of them are
 * there before the value is touched. */
static bool mask(const struct ezk *ezk, uint64_t number, uint8_t *key, uint8_t *value, size_t len)
{
	uint8_t *stream = key + EZK_SIZE;
	uint8_t context[CONTEXT_SIZE];

	memcpy(context, ezks_salt(ezk->ezks), EZKS_SALT_SIZE);
	put_big_endian(context + EZKS_SALT_SIZE, 8, number);
	for (size_t at = 0; at < len; at += BLOCK) {
		put_big_endian(context + EZKS_SALT_SIZE + 8, 4, at / BLOCK);
		if (!kdf_counter(bytes(key, EZK_SIZE), "cmek/memory",
				 bytes(context, sizeof(context)), stream + at))
			return false;
	}
	for (size_t i = 0; i < len; i++)
		value[i] ^= stream[i];
	return true;
}

uint64_t ezk_hide_number(struct ezk *ezk)
{
	return ezks_next_number(ezk->ezks);
}

enum zone_status ezk_hide(struct ezk *ezk, uint64_t number, uint8_t *value, size_t len)
{
	AUTO(secret_freep) uint8_t *key = stream_new(len);

	if (key == NULL)
		return ZONE_NO_MEMORY;
	TRY(ezk_key(ezk, EZK_MEMORY, key));
	if (mask(ezk, number, key, value, len))
		return ZONE_OK;
	return crypto_started() ? ZONE_NO_MEMORY : ZONE_NOT_STARTED;
}

bool ezk_hide_now(struct ezk *ezk, uint64_t number, uint8_t *value, size_t len)
{
	AUTO(secret_freep) uint8_t *key = stream_new(len);

	return key != NULL && ezk_key_now(ezk, EZK_MEMORY, key) &&
	       mask(ezk, number, key, value, len);
}
