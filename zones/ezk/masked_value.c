/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Values in memory that are masked while their EZK is away. They have no tag: the memory is our
 * own, and a live EZK is always the same key (zones/ezk/renewal.c). */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "zones/ezk/lease_private.h"
#include "zones/ezk/registry.h"

#include <assert.h>

enum { BLOCK = 32, SALT_SIZE = 16, CONTEXT_SIZE = SALT_SIZE + 8 + 4 };

/* --- With the lease's lock held */

static bool find_key(struct lease_keys *keys)
{
	if (!keys->has[EZK_MEMORY])
		keys->has[EZK_MEMORY] =
			ezk_derive(keys->ezk, EZK_MEMORY, 0, 0, keys->derived[EZK_MEMORY]);
	return keys->has[EZK_MEMORY];
}

/* The key stream: a block of the derivation for each 32 bytes, bound to this process and value. */
static bool make_stream(const struct lease *lease, uint64_t number, size_t len, uint8_t *ret_stream)
{
	uint8_t context[CONTEXT_SIZE];

	if (!find_key(lease->keys))
		return false;
	memcpy(context, lease->rules->salt, SALT_SIZE);
	put_big_endian(context + SALT_SIZE, 8, number);
	for (size_t at = 0; at < len; at += BLOCK) {
		put_big_endian(context + SALT_SIZE + 8, 4, at / BLOCK);
		if (!kdf_counter(bytes(lease->keys->derived[EZK_MEMORY], EZK_SIZE), "cmek/memory",
				 bytes(context, sizeof(context)), ret_stream + at))
			return false;
	}
	return true;
}

/* Hides or shows. False: nothing was done. */
static bool mask(const struct lease *lease, struct masked_value *value)
{
	AUTO(secret_freep) uint8_t *stream = secret_new((value->len + BLOCK - 1) / BLOCK * BLOCK);
	uint8_t *content = value->bytes;

	if (value->number == 0)
		value->number = atomic_fetch_add(&lease->rules->last_hidden, 1) + 1;
	if (stream == NULL || !make_stream(lease, value->number, value->len, stream))
		return false;
	for (size_t i = 0; i < value->len; i++)
		content[i] ^= stream[i];
	value->hidden = !value->hidden;
	return true;
}

static void hide(const struct lease *lease, struct masked_value *value)
{
	if (value->hidden || value->lost || mask(lease, value))
		return;
	wipe(value->bytes, value->len);
	value->lost = true;
	log_error("a key in memory could not be hidden when its zone went, and is lost to its "
		  "handle: out of memory");
}

static void hide_one(void *state, struct masked_value *value)
{
	hide(state, value);
}

void lease_hide_values(struct lease *lease)
{
	lanes_close(&lease->lanes, hide_one, lease);
}

/* --- With a lane locked */

/* The EZK is here: values may lie open, and can be hidden when it goes. */
static bool is_open(const struct lease *lease, const struct lane *lane)
{
	return lane->open && lease_runs(lease);
}

enum copied { COPIED, NOT_COPIED, IS_HIDDEN, IS_LOST };

static enum copied copy(struct lease *lease, struct masked_value *value, uint8_t *ret_secret)
{
	AUTO(lane_unlockp) struct lane *lane = lanes_lock_to_use(&lease->lanes, value);

	if (!is_open(lease, lane))
		return NOT_COPIED;
	if (value->lost)
		return IS_LOST;
	if (value->hidden)
		return IS_HIDDEN;
	secret_copy(ret_secret, value->bytes, value->len);
	return COPIED;
}

/* By the keys, which the lease's lock guards; it comes before a lane's. False: no memory. */
static bool show(struct lease *lease, struct masked_value *value)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);
	AUTO(lane_unlockp) struct lane *lane = lanes_lock_of(&lease->lanes, value);

	return !is_open(lease, lane) || value->lost || !value->hidden || mask(lease, value);
}

/* False: no lease runs. */
static bool read_now(struct lease *lease, struct masked_value *value, uint8_t *ret_secret,
		     enum zone_status *ret_status)
{
	enum copied copied = copy(lease, value, ret_secret);

	while (copied == IS_HIDDEN && show(lease, value))
		copied = copy(lease, value, ret_secret);
	*ret_status = copied == COPIED ? ZONE_OK : ZONE_NO_MEMORY;
	return copied != NOT_COPIED;
}

/* --- For its owner */

bool ezk_keep(struct ezk *ezk, struct masked_value *values)
{
	AUTO(lane_unlockp) struct lane *lane = NULL;
	struct masked_value *next;

	if (values == NULL) /* as with each key that is unwrapped: its value comes later */
		return true;
	lane = lanes_lock(&ezk->lease.lanes);
	if (!is_open(&ezk->lease, lane))
		return false;
	for (; values != NULL; values = next) {
		next = values->next;
		lanes_take(&ezk->lease.lanes, lane, values);
	}
	return true;
}

bool ezk_put(struct ezk *ezk, struct masked_value *value, uint8_t *bytes)
{
	AUTO(lane_unlockp) struct lane *lane = lanes_lock(&ezk->lease.lanes);

	if (!is_open(&ezk->lease, lane))
		return false;
	value->bytes = bytes;
	lanes_take(&ezk->lease.lanes, lane, value);
	return true;
}

void ezk_forget(struct ezk *ezk, struct masked_value *value)
{
	lanes_forget(&ezk->lease.lanes, value);
}

bool ezk_read_now(struct ezk *ezk, struct masked_value *value, uint8_t *ret_secret)
{
	enum zone_status status;

	return read_now(&ezk->lease, value, ret_secret, &status) && status == ZONE_OK;
}

enum zone_status ezk_read(struct ezk *ezk, struct masked_value *value, uint8_t *ret_secret)
{
	enum zone_status status;

	if (read_now(&ezk->lease, value, ret_secret, &status))
		return status;
	TRY(ezk_continue(ezk));
	if (read_now(&ezk->lease, value, ret_secret, &status))
		return status;
	/* It ended within the blink since. */
	return ZONE_KMS_UNAVAILABLE;
}

void ezk_share(struct ezk *ezk, const struct masked_value *from, struct masked_value *to,
	       uint8_t *bytes)
{
	AUTO(lane_unlockp) struct lane *lane = lanes_lock_of(&ezk->lease.lanes, from);

	memcpy(bytes, from->bytes, from->len);
	to->hidden = from->hidden;
	to->lost = from->lost;
	to->number = from->number;
	to->bytes = bytes;
	lanes_take(&ezk->lease.lanes, lane, to);
}
