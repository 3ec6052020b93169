/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests over EVP; HMAC and the key derivations over digests, since OpenSSL 3.0 takes five times
 * as long to set up its MAC and KDF objects as to run them. */
#include "crypto/digest.h"

#include "base/macros.h"
#include "base/secret.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>

enum { BLOCK_MAX = 144 };

static const struct {
	size_t size, block_size;
} sizes[DIGEST_COUNT] = {
	/* clang-format off */
	[DIGEST_SHA1]       = { 20,  64 },
	[DIGEST_SHA224]     = { 28,  64 },
	[DIGEST_SHA256]     = { 32,  64 },
	[DIGEST_SHA384]     = { 48, 128 },
	[DIGEST_SHA512]     = { 64, 128 },
	[DIGEST_SHA512_224] = { 28, 128 },
	[DIGEST_SHA512_256] = { 32, 128 },
	[DIGEST_SHA3_224]   = { 28, 144 },
	[DIGEST_SHA3_256]   = { 32, 136 },
	[DIGEST_SHA3_384]   = { 48, 104 },
	[DIGEST_SHA3_512]   = { 64,  72 },
	/* clang-format on */
};

size_t digest_size(enum digest_kind kind)
{
	return sizes[kind].size;
}

struct digest {
	EVP_MD_CTX *ctx;
	const EVP_MD *type;
	bool running;
};

static bool digest_init(struct digest *digest, enum digest_kind kind)
{
	const struct crypto *crypto = crypto_get();

	*digest = (struct digest){0};
	if (crypto == NULL)
		return false;
	*digest = (struct digest){EVP_MD_CTX_new(), crypto->digests[kind]};
	return digest->ctx != NULL && digest_start(digest);
}

static void digest_clear(struct digest *digest)
{
	EVP_MD_CTX_free(digest->ctx);
	*digest = (struct digest){0};
}

struct digest *digest_new(enum digest_kind kind)
{
	struct digest *digest = malloc(sizeof(*digest));

	if (digest == NULL || digest_init(digest, kind))
		return digest;
	digest_free(digest);
	return NULL;
}

struct digest *digest_copy(const struct digest *digest)
{
	struct digest *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = (struct digest){EVP_MD_CTX_new(), digest->type, digest->running};
	ERR_set_mark();
	if (copy->ctx == NULL || EVP_MD_CTX_copy_ex(copy->ctx, digest->ctx) != 1) {
		digest_free(copy);
		copy = NULL;
	}
	ERR_pop_to_mark();
	return copy;
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	digest_clear(digest);
	free(digest);
}

bool digest_start(struct digest *digest)
{
	/* Naming the type again is faster than leaving it out. */
	digest->running = EVP_DigestInit_ex2(digest->ctx, digest->type, NULL) == 1;
	return digest->running;
}

bool digest_update(struct digest *digest, struct bytes in)
{
	if (!digest->running)
		return false;
	return in.len == 0 || EVP_DigestUpdate(digest->ctx, in.data, in.len) == 1;
}

bool digest_finish(struct digest *digest, uint8_t *ret_digest)
{
	bool was_running = digest->running;

	digest->running = false;
	return was_running && EVP_DigestFinal_ex(digest->ctx, ret_digest, NULL) == 1;
}

static bool digest_parts(struct digest *digest, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!digest_update(digest, parts[i]))
			return false;
	return true;
}

bool digest_once(enum digest_kind kind, struct bytes in, uint8_t *ret_digest)
{
	AUTO(digest_clear) struct digest digest;

	return digest_init(&digest, kind) && digest_update(&digest, in) &&
	       digest_finish(&digest, ret_digest);
}

/* With FIPS, HMAC is the provider's own, whatever it costs. */
static bool hmac_update_by_provider(EVP_MAC_CTX *mac, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i].len > 0 && EVP_MAC_update(mac, parts[i].data, parts[i].len) != 1)
			return false;
	return true;
}

static bool hmac_by_provider(const struct crypto *crypto, enum digest_kind kind, struct bytes key,
			     const struct bytes *parts, size_t count, uint8_t *ret_mac)
{
	static const uint8_t empty[1]; /* NULL would keep the key before it */
	char *name = (char *)EVP_MD_get0_name(crypto->digests[kind]);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_END,
	};
	EVP_MAC_CTX *mac;
	size_t len;
	bool good;

	ERR_set_mark();
	mac = EVP_MAC_CTX_new(crypto->hmac);
	good = mac != NULL &&
	       EVP_MAC_init(mac, key.len == 0 ? empty : key.data, key.len, params) == 1 &&
	       hmac_update_by_provider(mac, parts, count) &&
	       EVP_MAC_final(mac, ret_mac, &len, sizes[kind].size) == 1;
	EVP_MAC_CTX_free(mac);
	ERR_pop_to_mark();
	return good;
}

/* FIPS 198-1 section 4, steps 1 to 3: the key, filled up to a block. */
static bool hmac_key(struct digest *digest, enum digest_kind kind, struct bytes key,
		     uint8_t pad[static BLOCK_MAX])
{
	memset(pad, 0, BLOCK_MAX);
	if (key.len > sizes[kind].block_size)
		return digest_update(digest, key) && digest_finish(digest, pad) &&
		       digest_start(digest);
	if (key.len > 0)
		secret_copy(pad, key.data, key.len);
	return true;
}

static bool digest_pad(struct digest *digest, uint8_t pad[static BLOCK_MAX], size_t len,
		       uint8_t mask)
{
	for (size_t i = 0; i < len; i++)
		pad[i] ^= mask;
	return digest_update(digest, bytes(pad, len));
}

static bool hmac_run(struct digest *digest, enum digest_kind kind, uint8_t pad[static BLOCK_MAX],
		     const struct bytes *parts, size_t count, uint8_t *ret_mac)
{
	const uint8_t inner = 0x36, outer = 0x5c;
	size_t size = sizes[kind].size, block_size = sizes[kind].block_size;
	uint8_t mac[DIGEST_MAX_SIZE];
	bool good = digest_pad(digest, pad, block_size, inner) &&
		    digest_parts(digest, parts, count) && digest_finish(digest, mac) &&
		    digest_start(digest) && digest_pad(digest, pad, block_size, inner ^ outer) &&
		    digest_update(digest, bytes(mac, size)) && digest_finish(digest, mac);

	if (good)
		secret_copy(ret_mac, mac, size);
	wipe(mac, sizeof(mac));
	return good;
}

bool hmac_once(enum digest_kind kind, struct bytes key, const struct bytes *parts, size_t count,
	       uint8_t *ret_mac)
{
	AUTO(digest_clear) struct digest digest = {0};
	const struct crypto *crypto = crypto_get();
	uint8_t pad[BLOCK_MAX];
	bool good;

	if (crypto != NULL && crypto->fips)
		return hmac_by_provider(crypto, kind, key, parts, count, ret_mac);
	good = digest_init(&digest, kind) && hmac_key(&digest, kind, key, pad) &&
	       hmac_run(&digest, kind, pad, parts, count, ret_mac);

	wipe(pad, sizeof(pad));
	return good;
}
