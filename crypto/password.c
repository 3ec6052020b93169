/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers of passwords, by OpenSSL's key derivations. */
#include "crypto/password.h"

#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>

/* Today's advice, and bounds for what a store says: 128 MiB, and some seconds. */
enum {
	SCRYPT_COST = 15,
	SCRYPT_COST_MAX = 17,
	SCRYPT_MEMORY = 192 << 20,
	PBKDF2_COST = 600000,
	PBKDF2_COST_MAX = 10000000,
};

enum password_algorithm password_algorithm(uint32_t *ret_cost)
{
	*ret_cost = crypto_is_fips() ? PBKDF2_COST : SCRYPT_COST;
	return crypto_is_fips() ? PASSWORD_PBKDF2 : PASSWORD_SCRYPT;
}

static void kdf_freep(EVP_KDF **kdf)
{
	EVP_KDF_free(*kdf);
}

static void kdf_context_freep(EVP_KDF_CTX **context)
{
	EVP_KDF_CTX_free(*context);
}

static bool derive(const char *name, const OSSL_PARAM *parameters, uint8_t *ret_verifier)
{
	const struct crypto *crypto = crypto_get();
	AUTO(kdf_freep) EVP_KDF *kdf = NULL;
	AUTO(kdf_context_freep) EVP_KDF_CTX *context = NULL;
	bool good;

	if (crypto == NULL)
		return false;
	ERR_set_mark();
	kdf = EVP_KDF_fetch(crypto->context, name, NULL);
	context = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	good = context != NULL &&
	       EVP_KDF_derive(context, ret_verifier, PASSWORD_VERIFIER, parameters) == 1;
	if (!good)
		crypto_log_error(name);
	ERR_pop_to_mark();
	return good;
}

bool password_verifier(enum password_algorithm algorithm, uint32_t cost, struct bytes password,
		       const uint8_t salt[static PASSWORD_SALT],
		       uint8_t ret_verifier[static PASSWORD_VERIFIER])
{
	char digest[] = "SHA256";
	uint64_t n = algorithm == PASSWORD_SCRYPT && cost <= SCRYPT_COST_MAX ? 1ULL << cost : 0;
	uint64_t iterations = cost, memory = SCRYPT_MEMORY;
	uint32_t r = 8, p = 1;
	OSSL_PARAM secret = OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD,
						    (void *)(uintptr_t)password.data, password.len);
	OSSL_PARAM salted = OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt,
						    PASSWORD_SALT);
	const OSSL_PARAM scrypt[] = {
		secret,
		salted,
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
		OSSL_PARAM_END,
	};
	const OSSL_PARAM pbkdf2[] = {
		secret,
		salted,
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_ITER, &iterations),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_END,
	};

	if (n > 1)
		return derive("SCRYPT", scrypt, ret_verifier);
	if (algorithm == PASSWORD_PBKDF2 && cost > 0 && cost <= PBKDF2_COST_MAX)
		return derive("PBKDF2", pbkdf2, ret_verifier);
	log_error("a PIN's verifier names an algorithm or a cost that this release does not know: "
		  "%d, %u",
		  (int)algorithm, (unsigned)cost);
	return false;
}
