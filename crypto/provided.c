/* Finding a cipher's functions in its provider. */
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

static const OSSL_DISPATCH *find_functions(const OSSL_PROVIDER *provider, const char *name)
{
	int no_cache;
	const OSSL_ALGORITHM *algorithm =
		OSSL_PROVIDER_query_operation(provider, OSSL_OP_CIPHER, &no_cache);

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

static bool is_whole(const struct provided *provided)
{
	return provided->state_new != NULL && provided->state_free != NULL &&
	       provided->encrypt_init != NULL && provided->decrypt_init != NULL &&
	       provided->update != NULL && provided->final != NULL &&
	       provided->get_params != NULL && provided->set_params != NULL;
}

bool provided_find(const EVP_CIPHER *cipher, const char *name, struct provided *ret_provided)
{
	const OSSL_PROVIDER *provider = EVP_CIPHER_get0_provider(cipher);
	const OSSL_DISPATCH *function = find_functions(provider, name);
	struct provided provided = {.provider = OSSL_PROVIDER_get0_provider_ctx(provider)};

	for (; function != NULL && function->function_id != 0; function++)
		take(function, &provided);
	if (!is_whole(&provided))
		return false;
	*ret_provided = provided;
	return true;
}
