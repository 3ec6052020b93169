/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A provider that lacks one of the functions by which its ciphers are called, as a newer OpenSSL
 * might: the real one, with that function left out of its tables. EVP still sees all of them. */
#pragma once

#include "base/macros.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "tests/support/unit.h"

#include <openssl/provider.h>

static int lacking; /* OSSL_FUNC_CIPHER_...; 0: all of the ciphers */

static OSSL_DISPATCH shortened_functions[4096];
static size_t shortened_used;

static const OSSL_DISPATCH *shorten(const OSSL_DISPATCH *functions)
{
	OSSL_DISPATCH *first = &shortened_functions[shortened_used];

	for (; functions->function_id != 0; functions++) {
		assert_true(shortened_used < COUNT_OF(shortened_functions) - 1);
		if (functions->function_id != lacking)
			shortened_functions[shortened_used++] = *functions;
	}
	shortened_functions[shortened_used++] = (OSSL_DISPATCH){0};
	return first;
}

/* The answer is good until the next. */
static const OSSL_ALGORITHM *query_lacking(const OSSL_PROVIDER *provider, int operation,
					   int *no_cache)
{
	static OSSL_ALGORITHM shortened[256];
	const OSSL_ALGORITHM *whole = OSSL_PROVIDER_query_operation(provider, operation, no_cache);
	size_t count = 0;

	shortened_used = 0;
	if (lacking == 0)
		return NULL;
	for (; whole->algorithm_names != NULL; whole++) {
		assert_true(count < COUNT_OF(shortened) - 1);
		if (strncmp(whole->algorithm_names, "AES-", 4) != 0)
			continue;
		shortened[count] = *whole;
		shortened[count++].implementation = shorten(whole->implementation);
	}
	shortened[count] = (OSSL_ALGORITHM){0};
	return shortened;
}

/* The library context anew, over such a provider. */
static bool start_lacking(int function)
{
	lacking = function;
	crypto_abandon();
	return crypto_start_asking(false, query_lacking);
}

/* For a group of tests that is run once more over EVP. */
static inline int start_by_evp(void **state)
{
	(void)state;
	if (!start_lacking(OSSL_FUNC_CIPHER_GET_CTX_PARAMS))
		return -1;
	return crypto_get()->by_evp == AES_MODE_COUNT * AES_KEY_SIZE_COUNT ? 0 : -1;
}
