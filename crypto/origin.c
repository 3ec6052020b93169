/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where our libcrypto functions come from. A process may hold two copies: a host linked statically
 * with OpenSSL exports some of its functions, and the linker gives a module those first and the
 * rest from the shared library. An object that one copy made crashes in the functions of the other.
 */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

typedef void any_function(void);

/* Every libcrypto function that the module uses; tests/checks/origin.sh compares the list with the
 * built module's symbols. */
#define ORIGIN(function)                                                                           \
	{                                                                                          \
#function, (any_function *)(function)                                              \
	}
static const struct {
	const char *name;
	any_function *function;
} functions[] = {
	ORIGIN(ERR_clear_error),
	ORIGIN(ERR_error_string_n),
	ORIGIN(ERR_get_error_all),
	ORIGIN(ERR_new),
	ORIGIN(ERR_peek_error),
	ORIGIN(ERR_peek_last_error),
	ORIGIN(ERR_pop_to_mark),
	ORIGIN(ERR_reason_error_string),
	ORIGIN(ERR_set_debug),
	ORIGIN(ERR_set_error),
	ORIGIN(ERR_set_mark),
	ORIGIN(EVP_CIPHER_CTX_free),
	ORIGIN(EVP_CIPHER_CTX_get_iv_length),
	ORIGIN(EVP_CIPHER_CTX_get_key_length),
	ORIGIN(EVP_CIPHER_CTX_get_params),
	ORIGIN(EVP_CIPHER_CTX_new),
	ORIGIN(EVP_CIPHER_CTX_set_params),
	ORIGIN(EVP_CIPHER_fetch),
	ORIGIN(EVP_CIPHER_free),
	ORIGIN(EVP_CIPHER_get0_provider),
	ORIGIN(EVP_CipherFinal_ex),
	ORIGIN(EVP_CipherInit_ex2),
	ORIGIN(EVP_CipherUpdate),
	ORIGIN(EVP_DigestFinal_ex),
	ORIGIN(EVP_DigestInit_ex2),
	ORIGIN(EVP_DigestUpdate),
	ORIGIN(EVP_KDF_CTX_free),
	ORIGIN(EVP_KDF_CTX_new),
	ORIGIN(EVP_KDF_derive),
	ORIGIN(EVP_KDF_fetch),
	ORIGIN(EVP_KDF_free),
	ORIGIN(EVP_MAC_CTX_free),
	ORIGIN(EVP_MAC_CTX_new),
	ORIGIN(EVP_MAC_fetch),
	ORIGIN(EVP_MAC_final),
	ORIGIN(EVP_MAC_free),
	ORIGIN(EVP_MAC_init),
	ORIGIN(EVP_MAC_update),
	ORIGIN(EVP_MD_CTX_copy_ex),
	ORIGIN(EVP_MD_CTX_free),
	ORIGIN(EVP_MD_CTX_new),
	ORIGIN(EVP_MD_fetch),
	ORIGIN(EVP_MD_free),
	ORIGIN(EVP_MD_get0_name),
	ORIGIN(EVP_RAND_reseed),
	ORIGIN(EVP_default_properties_enable_fips),
	ORIGIN(EVP_default_properties_is_fips_enabled),
	ORIGIN(OPENSSL_info),
	ORIGIN(OPENSSL_init_crypto),
	ORIGIN(OSSL_LIB_CTX_free),
	ORIGIN(OSSL_LIB_CTX_get0_global_default),
	ORIGIN(OSSL_LIB_CTX_load_config),
	ORIGIN(OSSL_LIB_CTX_new),
	ORIGIN(OSSL_LIB_CTX_set0_default),
	ORIGIN(OSSL_PROVIDER_get0_provider_ctx),
	ORIGIN(OSSL_PROVIDER_load),
	ORIGIN(OSSL_PROVIDER_query_operation),
	ORIGIN(OSSL_PROVIDER_unload),
	ORIGIN(OpenSSL_version),
	ORIGIN(RAND_get0_primary),
	ORIGIN(RAND_priv_bytes_ex),
};

static Dl_info home_of(any_function *function)
{
	Dl_info info = {0};
	void *address; /* ISO C does not cast functions to objects; in POSIX both have the same size
			*/

	memcpy(&address, &function, sizeof(address));
	dladdr(address, &info);
	return info;
}

bool crypto_check_origin(void)
{
	Dl_info first = home_of(functions[0].function);

	for (size_t i = 1; i < COUNT_OF(functions); i++) {
		Dl_info info = home_of(functions[i].function);

		if (info.dli_fbase == first.dli_fbase)
			continue;
		log_error(
			"this process mixes two copies of OpenSSL: %s comes from %s, %s from %s; "
			"build the module with -Dhidden_openssl=true, or use it through p11-kit's "
			"remoting",
			functions[0].name, first.dli_fname, functions[i].name, info.dli_fname);
		return false;
	}
	return true;
}
