/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: the fetched algorithms. Not for other folders.
 *
 * The caller's error queue: a call that can fail on valid use stands between ERR_set_mark() and
 * ERR_pop_to_mark(). That pair costs as much as four single AES blocks, so the data path leaves it
 * out where everything that OpenSSL could refuse has been checked before.
 */
#pragma once

#include "crypto/aes.h"
#include "crypto/digest.h"

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>

enum { AES_KEY_SIZE_COUNT = 3 }; /* 16, 24, 32 bytes */

/*
 * A cipher as its provider offers it (provider-cipher(7) of OpenSSL's manual), called without the
 * EVP layer. For each GCM message EVP asks for the IV's length and for the tag by names that it
 * compares one by one; that takes as long as encrypting 64 bytes.
 */
struct provided {
	void *provider; /* its context */
	OSSL_FUNC_cipher_newctx_fn *state_new;
	OSSL_FUNC_cipher_freectx_fn *state_free; /* wipes */
	OSSL_FUNC_cipher_encrypt_init_fn *encrypt_init;
	OSSL_FUNC_cipher_decrypt_init_fn *decrypt_init;
	OSSL_FUNC_cipher_update_fn *update;
	OSSL_FUNC_cipher_final_fn *final;
	OSSL_FUNC_cipher_cipher_fn *whole; /* blocks that are whole, without keeping any back; the
					    * same as update where there is no such function */
	OSSL_FUNC_cipher_get_ctx_params_fn *get_params;
	OSSL_FUNC_cipher_set_ctx_params_fn *set_params;
	bool by_evp; /* EVP's own, which look at more than the cipher when a key is set */
};
/* A keyed ECB context as its provider's own function, for whoever runs a chain of single blocks:
 * what stands before each of them would take as long as the block. Lives as long as the context. */
struct block_cipher {
	OSSL_FUNC_cipher_cipher_fn *run;
	void *state;
};
struct block_cipher aes_block_cipher(const struct aes *ecb);
/* One block in place. */
static inline bool block_cipher_run(const struct block_cipher *cipher, void *block)
{
	size_t len;

	return cipher->run(cipher->state, block, &len, AES_BLOCK, block, AES_BLOCK) == 1;
}
/* OSSL_PROVIDER_query_operation, or a test's own, which leaves something out. */
typedef const OSSL_ALGORITHM *provided_query(const OSSL_PROVIDER *provider, int operation,
					     int *no_cache);
/* Finds the functions of a cipher that was fetched, by one of its names; they live as long as the
 * cipher. NULL: found; else what the provider lacks (one of these functions, or the whole cipher),
 * as a constant text. */
const char *provided_find(provided_query *query, const EVP_CIPHER *cipher, const char *name,
			  struct provided *ret_provided);
/* The same functions over EVP, for a cipher whose provider does not offer all of them: slower, but
 * EVP knows other ways to the same result. They live as long as the cipher. */
struct provided provided_by_evp(EVP_CIPHER *cipher);

struct crypto {
	struct crypto *before; /* abandoned earlier */
	bool fips;
	const char *fips_at; /* during the start: where the setting stands; NULL: the host's OpenSSL
			      * asks for it */
	OSSL_LIB_CTX *context;
	OSSL_PROVIDER *providers[2];				 /* default; or fips and base */
	EVP_CIPHER *ciphers[AES_MODE_COUNT][AES_KEY_SIZE_COUNT]; /* they keep `provided` alive */
	struct provided provided[AES_MODE_COUNT][AES_KEY_SIZE_COUNT];
	EVP_MD *digests[DIGEST_COUNT];
	EVP_MAC *hmac, *cmac;
	bool wrong_tag_raises; /* a wrong tag leaves an error in OpenSSL's queue */
	unsigned by_evp;       /* how many ciphers go by EVP */
};

/* crypto_start() with a question of the caller's own to the provider. */
bool crypto_start_asking(bool fips, provided_query *query);

/* NULL: not started. The result lives until the process ends. */
const struct crypto *crypto_get(void);
/* In a fork's child: forgets what crypto_random() has in stock. */
void random_abandon(void);
/* For tests: this thread's stock, of which *ret_left bytes are still to be given. NULL: none. */
const uint8_t *random_stock(size_t *ret_left);
/* Loads them according to crypto->fips into its context. False: logged. */
bool crypto_load_providers(struct crypto *crypto);
/* Whether OpenSSL's error queue says that memory ran out. */
bool crypto_lacks_memory(void);
/* Logs what failed with the newest reason in OpenSSL's error queue. */
void crypto_log_error(const char *what);

/* For a source that uses OpenSSL directly: checks that all functions come from one copy of
 * libcrypto. In a host that brings some of them (node does), two copies would be mixed otherwise.
 * False: logged. */
bool crypto_check_origin(void);

/* Whether OpenSSL is linked into the module, where no other code sees it (-Dhidden_openssl). */
enum {
#ifdef CMEK_HIDDEN_OPENSSL
	OPENSSL_IS_HIDDEN = 1,
#else
	OPENSSL_IS_HIDDEN = 0,
#endif
};
/* Gives OpenSSL memory that is locked as far as half of RLIMIT_MEMLOCK goes, not dumped, and wiped
 * when freed. For a copy that is the module's own, before it has allocated anything. False:
 * logged. */
bool crypto_own_memory(void);
