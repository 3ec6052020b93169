/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A provider's functions, as crypto/aes.c calls them, over EVP. The state is EVP's own context. */
#include "base/bytes.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

/* EVP counts in int. Pieces are whole blocks, so that each begins where the one before it ended.
 * CCM takes a message in one piece. */
enum { PIECE = 1 << 30 };

static void *state_new(void *cipher)
{
	EVP_CIPHER_CTX *state = EVP_CIPHER_CTX_new();

	if (state != NULL && EVP_CipherInit_ex2(state, cipher, NULL, NULL, 1, NULL) == 1)
		return state;
	EVP_CIPHER_CTX_free(state);
	return NULL;
}

static void state_free(void *state)
{
	EVP_CIPHER_CTX_free(state);
}

/* EVP takes an IV without its length: the length is the context's, and only GCM and CCM can change
 * it. */
static bool set_iv_len(EVP_CIPHER_CTX *state, size_t len)
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &len),
		OSSL_PARAM_END,
	};

	return len == 0 || EVP_CIPHER_CTX_get_iv_length(state) == (int)len ||
	       EVP_CIPHER_CTX_set_params(state, params) == 1;
}

static int init(void *state, struct bytes key, struct bytes iv, int encrypt,
		const OSSL_PARAM params[])
{
	if (key.len > 0 && EVP_CIPHER_CTX_get_key_length(state) != (int)key.len)
		return 0;
	return set_iv_len(state, iv.len) &&
	       EVP_CipherInit_ex2(state, NULL, key.len > 0 ? key.data : NULL,
				  iv.len > 0 ? iv.data : NULL, encrypt, params) == 1;
}

static int encrypt_init(void *state, const unsigned char *key, size_t key_len,
			const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	return init(state, bytes(key, key_len), bytes(iv, iv_len), 1, params);
}

static int decrypt_init(void *state, const unsigned char *key, size_t key_len,
			const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	return init(state, bytes(key, key_len), bytes(iv, iv_len), 0, params);
}

static int update(void *state, unsigned char *out, size_t *ret_len, size_t size,
		  const unsigned char *in, size_t len)
{
	(void)size; /* the caller's room, which it has made large enough */
	*ret_len = 0;
	/* Once at least: an empty message of CCM counts. */
	do {
		int piece = len < PIECE ? (int)len : PIECE, got = 0;

		if (EVP_CipherUpdate(state, out == NULL ? NULL : out + *ret_len, &got, in, piece) !=
		    1)
			return 0;
		*ret_len += (size_t)got;
		in = in == NULL ? NULL : in + piece; /* NULL: CCM's length alone */
		len -= (size_t)piece;
	} while (len > 0);
	return 1;
}

static int final(void *state, unsigned char *out, size_t *ret_len, size_t size)
{
	int got = 0, good = EVP_CipherFinal_ex(state, out, &got);

	(void)size;
	*ret_len = (size_t)got;
	return good;
}

static int get_params(void *state, OSSL_PARAM params[])
{
	return EVP_CIPHER_CTX_get_params(state, params);
}

static int set_params(void *state, const OSSL_PARAM params[])
{
	return EVP_CIPHER_CTX_set_params(state, params);
}

struct provided provided_by_evp(EVP_CIPHER *cipher)
{
	return (struct provided){
		.provider = cipher,
		.state_new = state_new,
		.state_free = state_free,
		.encrypt_init = encrypt_init,
		.decrypt_init = decrypt_init,
		.update = update,
		.final = final,
		.whole = update,
		.get_params = get_params,
		.set_params = set_params,
		.by_evp = true,
	};
}
