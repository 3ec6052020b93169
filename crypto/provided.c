/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a cipher's functions in its provider. */
#include "base/macros.h"
#include "crypto/internal.h"

#include <openssl/provider.h>
#include <string.h>
#include <strings.h>

/* "AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46" */
static bool is_named(const char *names, const char *name)
{
	size_t len;

	for (; *names != '\0'; names += len + (names[len] == ':')) {
		len = strcspn(names, ":");
		if (len == strlen(name) && strncasecmp(names, name, len) == 0)
			return true;
	}
	return false;
}

static const OSSL_DISPATCH *find_functions(provided_query *query, const OSSL_PROVIDER *provider,
					   const char *name)
{
	int no_cache;
	const OSSL_ALGORITHM *algorithm = query(provider, OSSL_OP_CIPHER, &no_cache);

	for (; algorithm != NULL && algorithm->algorithm_names != NULL; algorithm++) {
		if (is_named(algorithm->algorithm_names, name))
			return algorithm->implementation;
	}
	return NULL;
}

static void take(const OSSL_DISPATCH *function, struct provided *provided)
{
	switch (function->function_id) {
	case OSSL_FUNC_CIPHER_NEWCTX:
		provided->state_new = OSSL_FUNC_cipher_newctx(function);
		break;
	case OSSL_FUNC_CIPHER_FREECTX:
		provided->state_free = OSSL_FUNC_cipher_freectx(function);
		break;
	case OSSL_FUNC_CIPHER_ENCRYPT_INIT:
		provided->encrypt_init = OSSL_FUNC_cipher_encrypt_init(function);
		break;
	case OSSL_FUNC_CIPHER_DECRYPT_INIT:
		provided->decrypt_init = OSSL_FUNC_cipher_decrypt_init(function);
		break;
	case OSSL_FUNC_CIPHER_UPDATE:
		provided->update = OSSL_FUNC_cipher_update(function);
		break;
	case OSSL_FUNC_CIPHER_FINAL:
		provided->final = OSSL_FUNC_cipher_final(function);
		break;
	case OSSL_FUNC_CIPHER_CIPHER:
		provided->whole = OSSL_FUNC_cipher_cipher(function);
		break;
	case OSSL_FUNC_CIPHER_GET_CTX_PARAMS:
		provided->get_params = OSSL_FUNC_cipher_get_ctx_params(function);
		break;
	case OSSL_FUNC_CIPHER_SET_CTX_PARAMS:
		provided->set_params = OSSL_FUNC_cipher_set_ctx_params(function);
		break;
	default:
		break;
	}
}

static const char *find_lack(const struct provided *provided)
{
	const struct {
		const char *name;
		bool there;
	} wanted[] = {
		{"no function newctx", provided->state_new != NULL},
		{"no function freectx", provided->state_free != NULL},
		{"no function encrypt_init", provided->encrypt_init != NULL},
		{"no function decrypt_init", provided->decrypt_init != NULL},
		{"no function update", provided->update != NULL},
		{"no function final", provided->final != NULL},
		{"no function get_ctx_params", provided->get_params != NULL},
		{"no function set_ctx_params", provided->set_params != NULL},
	};

	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if (!wanted[i].there)
			return wanted[i].name;
	return NULL;
}

const char *provided_find(provided_query *query, const EVP_CIPHER *cipher, const char *name,
			  struct provided *ret_provided)
{
	const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(cipher);
	const OSSL_DISPATCH *function = find_functions(query, provider, name);
	struct provided provided = {.provider = OSSL_PROVIDER_get0_provider_ctx(provider)};
	const char *lack;

	if (function == NULL)
		return "no functions of its own";
	for (; function->function_id != 0; function++)
		take(function, &provided);
	if (provided.whole == NULL)
		provided.whole = provided.update;
	lack = find_lack(&provided);
	if (lack == NULL)
		*ret_provided = provided;
	return lack;
}
