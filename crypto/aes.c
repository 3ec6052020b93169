/* AES contexts over EVP: keyed once, started anew for each message by its IV alone. */
#include "crypto/aes.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/internal.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>

enum {
	EVP_AT_ONCE = 1 << 30, /* EVP counts in int; a multiple of the block */
	SHIFTED_AT_ONCE = 1024,
};

/* SP 800-38D section 5.2.1.1, in bytes. */
static const uint64_t gcm_data_max = (UINT64_C(1) << 36) - 32;

struct aes {
	EVP_CIPHER_CTX *ctx;
	enum aes_mode mode;
	bool encrypt;
	bool running; /* between start and finish */
	bool tag_set;
	bool marked;   /* a wrong tag needs the error queue's mark */
	size_t iv_len; /* what ctx is set to (GCM) */
	size_t tag_len;
	uint64_t total; /* bytes of this message so far */
};

static bool is_block_mode(const struct aes *aes)
{
	return aes->mode == AES_ECB || aes->mode == AES_CBC || aes->mode == AES_CBC_PAD;
}

static const EVP_CIPHER *cipher_find(const struct crypto *crypto, enum aes_mode mode,
				     size_t key_len)
{
	if (crypto == NULL || key_len < 16 || key_len > 32 || key_len % 8 != 0)
		return NULL;
	return crypto->ciphers[mode][(key_len - 16) / 8];
}

static bool set_key(struct aes *aes, const EVP_CIPHER *cipher, struct bytes key)
{
	bool good;

	ERR_set_mark();
	good = EVP_CipherInit_ex2(aes->ctx, cipher, key.data, NULL, aes->encrypt, NULL) == 1;
	/* Only where it means something: once set, OpenSSL sets it anew with every IV. */
	if (good && is_block_mode(aes) && aes->mode != AES_CBC_PAD)
		good = EVP_CIPHER_CTX_set_padding(aes->ctx, 0) == 1;
	ERR_pop_to_mark();
	return good;
}

struct aes *aes_new(enum aes_mode mode, bool encrypt, struct bytes key)
{
	const struct crypto *crypto = crypto_get();
	const EVP_CIPHER *cipher = cipher_find(crypto, mode, key.len);
	struct aes *aes = cipher == NULL ? NULL : malloc(sizeof(*aes));

	if (aes == NULL)
		return NULL;
	*aes = (struct aes){
		.ctx = EVP_CIPHER_CTX_new(),
		.mode = mode,
		.encrypt = encrypt,
		.marked = crypto->wrong_tag_raises,
		.iv_len = AES_GCM_IV,
	};
	if (aes->ctx != NULL && set_key(aes, cipher, key))
		return aes;
	aes_free(aes);
	return NULL;
}

void aes_free(struct aes *aes)
{
	if (aes == NULL)
		return;
	EVP_CIPHER_CTX_free(aes->ctx);
	free(aes);
}

void aes_freep(struct aes **aes)
{
	aes_free(*aes);
}

void aes_abandon(struct aes *aes)
{
	free(aes);
}

static bool iv_len_set(struct aes *aes, size_t len)
{
	if (aes->iv_len == len)
		return true;
	if (EVP_CIPHER_CTX_ctrl(aes->ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)len, NULL) != 1)
		return false;
	aes->iv_len = len;
	return true;
}

static bool message_valid(const struct aes *aes, const struct aes_message *message)
{
	if (aes->mode == AES_GCM)
		return message->iv.len >= 1 && message->iv.len <= AES_GCM_IV_MAX &&
		       message->tag_len >= 4 && message->tag_len <= AES_GCM_TAG;
	return message->iv.len == (aes->mode == AES_ECB ? 0 : AES_BLOCK) && message->aad.len == 0;
}

/* EVP takes an int: in pieces. A NULL `out` means AAD. */
static bool evp_update(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len)
{
	*ret_len = 0;
	while (in.len > 0) {
		int piece = in.len < EVP_AT_ONCE ? (int)in.len : EVP_AT_ONCE, got = 0;

		if (EVP_CipherUpdate(aes->ctx, out == NULL ? NULL : out + *ret_len, &got, in.data,
				     piece) != 1)
			return false;
		*ret_len += (size_t)got;
		in = bytes(in.data + piece, in.len - (size_t)piece);
	}
	return true;
}

bool aes_start(struct aes *aes, const struct aes_message *message)
{
	size_t none;

	aes->running = false;
	if (!message_valid(aes, message) ||
	    (aes->mode == AES_GCM && !iv_len_set(aes, message->iv.len)))
		return false;
	if (EVP_CipherInit_ex2(aes->ctx, NULL, NULL, message->iv.data, -1, NULL) != 1 ||
	    !evp_update(aes, message->aad, NULL, &none))
		return false;
	aes->total = 0;
	aes->tag_len = message->tag_len;
	aes->tag_set = false;
	aes->running = true;
	return true;
}

/* Whether OpenSSL still holds input back, so that its output lags behind (up to 16 bytes). */
static bool holds_back(const struct aes *aes)
{
	return is_block_mode(aes) &&
	       (aes->total % AES_BLOCK != 0 ||
		(aes->mode == AES_CBC_PAD && !aes->encrypt && aes->total > 0));
}

/*
 * In place, while earlier input is held back: that comes out first and would overwrite input that
 * is still to be read, by at most a block. So each piece is read aside before the one ahead of it
 * is written.
 */
static bool update_shifted(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len)
{
	uint8_t pieces[2][SHIFTED_AT_ONCE];
	size_t len = in.len < SHIFTED_AT_ONCE ? in.len : SHIFTED_AT_ONCE, turn = 0;
	bool good = true;

	*ret_len = 0;
	memcpy(pieces[0], in.data, len);
	while (good && len > 0) {
		size_t got, left = in.len - len;
		size_t next = left < SHIFTED_AT_ONCE ? left : SHIFTED_AT_ONCE;

		in = bytes(in.data + len, left);
		memcpy(pieces[1 - turn], in.data, next);
		good = evp_update(aes, bytes(pieces[turn], len), out + *ret_len, &got);
		*ret_len += got;
		len = next;
		turn = 1 - turn;
	}
	wipe(pieces, sizeof(pieces));
	return good;
}

bool aes_update(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len)
{
	size_t got = 0;
	bool good;

	if (!aes->running || (aes->mode == AES_GCM && in.len > gcm_data_max - aes->total))
		return false;
	if (in.len > 0 && in.data == out && holds_back(aes))
		good = update_shifted(aes, in, out, &got);
	else
		good = evp_update(aes, in, out, &got);
	if (!good)
		return false;
	aes->total += in.len;
	*ret_len = got;
	return true;
}

bool aes_set_tag(struct aes *aes, struct bytes tag)
{
	if (!aes->running || aes->mode != AES_GCM || aes->encrypt || tag.len != aes->tag_len)
		return false;
	aes->tag_set = EVP_CIPHER_CTX_ctrl(aes->ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag.len,
					   (void *)tag.data) == 1;
	return aes->tag_set;
}

/* Wrong paddings leave an error in the queue; wrong tags may. */
static bool final(struct aes *aes, uint8_t *out, int *ret_len)
{
	bool good;

	if (aes->mode == AES_GCM && !aes->marked)
		return EVP_CipherFinal_ex(aes->ctx, out, ret_len) == 1;
	ERR_set_mark();
	good = EVP_CipherFinal_ex(aes->ctx, out, ret_len) == 1;
	ERR_pop_to_mark();
	return good;
}

/* Asked for as a parameter: the control does the same by way of a translation of 30 ns. */
static bool tag_get(struct aes *aes, uint8_t *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out, aes->tag_len),
		OSSL_PARAM_END,
	};

	return EVP_CIPHER_CTX_get_params(aes->ctx, params) == 1;
}

static bool finish_gcm(struct aes *aes, uint8_t *out, size_t *ret_len)
{
	uint8_t none[AES_BLOCK];
	int len = 0;

	if (!aes->encrypt) {
		if (!aes->tag_set || !final(aes, none, &len))
			return false;
		*ret_len = 0;
		return true;
	}
	if (!final(aes, none, &len) || !tag_get(aes, out))
		return false;
	*ret_len = aes->tag_len;
	return true;
}

static bool finish_padded(struct aes *aes, uint8_t *out, size_t *ret_len)
{
	uint8_t block[AES_BLOCK];
	int len = 0;
	bool good;

	if (!aes->encrypt && (aes->total == 0 || aes->total % AES_BLOCK != 0))
		return false;
	good = final(aes, block, &len);
	if (good) {
		memcpy(out, block, (size_t)len);
		*ret_len = (size_t)len;
	}
	wipe(block, sizeof(block));
	return good;
}

bool aes_finish(struct aes *aes, uint8_t *out, size_t *ret_len)
{
	if (!aes->running)
		return false;
	aes->running = false;
	if (aes->mode == AES_GCM)
		return finish_gcm(aes, out, ret_len);
	if (aes->mode == AES_CBC_PAD)
		return finish_padded(aes, out, ret_len);
	/* Nothing is held back but what is no whole block. */
	if (is_block_mode(aes) && aes->total % AES_BLOCK != 0)
		return false;
	*ret_len = 0;
	return true;
}

bool aes_block(struct aes *ecb, const uint8_t in[static AES_BLOCK], uint8_t out[static AES_BLOCK])
{
	int len;

	assert(ecb->mode == AES_ECB && ecb->total % AES_BLOCK == 0);
	return EVP_CipherUpdate(ecb->ctx, out, &len, in, AES_BLOCK) == 1;
}

bool aes_gcm_seal(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret)
{
	AUTO(aes_freep) struct aes *aes = aes_new(AES_GCM, true, key);
	const struct aes_message message = {iv, aad, AES_GCM_TAG};
	size_t len;

	return aes != NULL && iv.len == AES_GCM_IV && aes_start(aes, &message) &&
	       aes_update(aes, in, ret, &len) && aes_finish(aes, ret + in.len, &len);
}

bool aes_gcm_open(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret)
{
	AUTO(aes_freep) struct aes *aes = NULL;
	const struct aes_message message = {iv, aad, AES_GCM_TAG};
	uint8_t tag[AES_GCM_TAG];
	size_t len;

	if (in.len < AES_GCM_TAG || iv.len != AES_GCM_IV)
		return false;
	in.len -= AES_GCM_TAG;
	memcpy(tag, in.data + in.len, sizeof(tag)); /* `in` and `ret` may be the same memory */
	aes = aes_new(AES_GCM, false, key);
	if (aes != NULL && aes_start(aes, &message) && aes_update(aes, in, ret, &len) &&
	    aes_set_tag(aes, bytes(tag, sizeof(tag))) && aes_finish(aes, NULL, &len))
		return true;
	wipe(ret, in.len);
	return false;
}
