/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* MACs over EVP_MAC, whose set-up costs more than a short message: so it is made once for a key.
 * Derivations, which have a new key each time, use hmac_once(). */
#include "crypto/mac.h"

#include "base/macros.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>

struct mac {
	EVP_MAC_CTX *ctx;
	size_t size;
	bool running;
};

static bool key_set(EVP_MAC_CTX *ctx, struct bytes key, const OSSL_PARAM params[])
{
	static const uint8_t empty[1]; /* NULL would mean the key before it */
	bool good;

	ERR_set_mark();
	good = EVP_MAC_init(ctx, key.len == 0 ? empty : key.data, key.len, params) == 1;
	ERR_pop_to_mark();
	return good;
}

static struct mac *mac_new(EVP_MAC *type, size_t size, struct bytes key, const OSSL_PARAM params[])
{
	struct mac *mac = malloc(sizeof(*mac));

	if (mac == NULL)
		return NULL;
	*mac = (struct mac){.ctx = EVP_MAC_CTX_new(type), .size = size};
	if (mac->ctx != NULL && key_set(mac->ctx, key, params))
		return mac;
	mac_free(mac);
	return NULL;
}

struct mac *mac_new_hmac(enum digest_kind kind, struct bytes key)
{
	const struct crypto *crypto = crypto_get();
	char *name = crypto == NULL ? NULL : (char *)EVP_MD_get0_name(crypto->digests[kind]);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_END,
	};

	return crypto == NULL ? NULL : mac_new(crypto->hmac, digest_size(kind), key, params);
}

struct mac *mac_new_cmac(struct bytes key)
{
	const struct crypto *crypto = crypto_get();
	char cipher[16];
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_END,
	};

	if (crypto == NULL || (key.len != 16 && key.len != 24 && key.len != 32))
		return NULL;
	snprintf(cipher, sizeof(cipher), "AES-%zu-CBC", 8 * key.len);
	return mac_new(crypto->cmac, CMAC_SIZE, key, params);
}

void mac_free(struct mac *mac)
{
	if (mac == NULL)
		return;
	EVP_MAC_CTX_free(mac->ctx);
	free(mac);
}

size_t mac_size(const struct mac *mac)
{
	return mac->size;
}

bool mac_start(struct mac *mac)
{
	ERR_set_mark();
	mac->running = EVP_MAC_init(mac->ctx, NULL, 0, NULL) == 1;
	ERR_pop_to_mark();
	return mac->running;
}

bool mac_update(struct mac *mac, struct bytes in)
{
	if (!mac->running)
		return false;
	return in.len == 0 || EVP_MAC_update(mac->ctx, in.data, in.len) == 1;
}

bool mac_finish(struct mac *mac, uint8_t *ret_mac)
{
	bool was_running = mac->running;
	size_t len;

	mac->running = false;
	return was_running && EVP_MAC_final(mac->ctx, ret_mac, &len, mac->size) == 1;
}
