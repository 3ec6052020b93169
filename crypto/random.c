/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes. OpenSSL asks so much before it gives any that 32 of them cost as much as 500, so
 * short draws are from a stock: locked memory that a generator has filled, in which what has been
 * given is wiped. There are a few, since threads would wait for one. A stock ends with the process
 * that filled it (a fork's child gets none of it), with a seed of the application's, and when the
 * module is finalized. With FIPS algorithms there is none.
 */
#include "base/cancel.h"
#include "base/fork.h"
#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"
#include "base/short_lock.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdatomic.h>

/* With is_there, a slot of locked memory. */
enum { STOCK_SIZE = 1023, STOCK_DRAW_MAX = 64, STOCK_BITS = 3, STOCK_COUNT = 1 << STOCK_BITS };

/* Behind the bytes: the kernel wipes it with them in a fork's child, also of a process that never
 * said fork_mark(). */
static const uint8_t is_there = 1;

struct stock {
	pthread_mutex_t lock;
	uint8_t *bytes; /* in locked memory, and one more: is_there; NULL: none yet */
	size_t left;	/* of them, from the first on */
	unsigned seeds; /* as many had been given when it was filled */
} __attribute__((aligned(64)));

static struct stock stocks[STOCK_COUNT] = {
#define STOCK                                                                                      \
	{                                                                                          \
		.lock = SHORT_LOCK_INITIALIZER                                                     \
	}
	STOCK, STOCK, STOCK, STOCK, STOCK, STOCK, STOCK, STOCK,
#undef STOCK
};
static atomic_uint seeds_given;

static bool draw(const struct crypto *crypto, void *ret, size_t len)
{
	bool good;

	ERR_set_mark();
	good = RAND_priv_bytes_ex(crypto->context, ret, len, 0) == 1;
	if (!good)
		crypto_log_error("no random bytes");
	ERR_pop_to_mark();
	return good;
}

static struct stock *stock_of_thread(void)
{
	return &stocks[thread_part(STOCK_BITS)];
}

static bool has_bytes(const struct stock *stock)
{
	return stock->bytes != NULL && stock->bytes[STOCK_SIZE] == is_there;
}

static bool fill(const struct crypto *crypto, struct stock *stock)
{
	unsigned seeds = atomic_load(&seeds_given);

	if (!has_bytes(stock)) {
		secret_free(stock->bytes); /* that a draw never filled, or (no more) a parent's */
		stock->bytes = secret_new(STOCK_SIZE + sizeof(is_there));
	}
	stock->left = 0;
	if (stock->bytes == NULL || !draw(crypto, stock->bytes, STOCK_SIZE))
		return false;
	stock->bytes[STOCK_SIZE] = is_there;
	stock->left = STOCK_SIZE;
	stock->seeds = seeds;
	return true;
}

static bool take(const struct crypto *crypto, void *ret, size_t len)
{
	struct stock *stock = stock_of_thread();
	AUTO(unlockp) pthread_mutex_t *held = locked(&stock->lock);

	if ((stock->left < len || !has_bytes(stock) ||
	     stock->seeds != atomic_load_explicit(&seeds_given, memory_order_relaxed)) &&
	    !fill(crypto, stock))
		return false;
	stock->left -= len;
	secret_copy(ret, stock->bytes + stock->left, len);
	wipe(stock->bytes + stock->left, len);
	return true;
}

bool crypto_random(void *ret, size_t len)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	const struct crypto *crypto = crypto_get();

	if (crypto == NULL)
		return false;
	if (len > STOCK_DRAW_MAX || crypto->fips || fork_is_child())
		return draw(crypto, ret, len);
	return take(crypto, ret, len);
}

bool crypto_random_add(struct bytes seed)
{
	const struct crypto *crypto = crypto_get();
	EVP_RAND_CTX *primary;
	bool good;

	if (crypto == NULL)
		return false;
	if (seed.len == 0)
		return true;
	ERR_set_mark();
	/* The generators of all threads reseed from this one when they see it reseeded. */
	primary = RAND_get0_primary(crypto->context);
	good = primary != NULL && EVP_RAND_reseed(primary, 0, NULL, 0, seed.data, seed.len) == 1;
	ERR_pop_to_mark();
	atomic_fetch_add(&seeds_given, 1);
	return good;
}

void crypto_random_forget(void)
{
	for (size_t i = 0; i < STOCK_COUNT; i++) {
		AUTO(unlockp) pthread_mutex_t *held = locked(&stocks[i].lock);

		secret_free(TAKE(stocks[i].bytes));
		stocks[i].left = 0;
	}
}

const uint8_t *random_stock(size_t *ret_left)
{
	const struct stock *stock = stock_of_thread();

	*ret_left = stock->left;
	return stock->bytes;
}

/* The slots are the parent's, and another thread of it may have held the locks. */
void random_abandon(void)
{
	for (size_t i = 0; i < STOCK_COUNT; i++) {
		short_lock_init(&stocks[i].lock);
		stocks[i].bytes = NULL;
		stocks[i].left = 0;
	}
}
