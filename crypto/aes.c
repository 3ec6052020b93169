/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES contexts over a provider's functions: keyed once, then restarted for each message by its IV
 * alone; by CCM, keyed for each message. */
#include "crypto/aes.h"

#include "base/macros.h"
#include "base/secret.h"
#include "crypto/internal.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>

enum { SHIFTED_AT_ONCE = 1024 };

/* SP 800-38D section 5.2.1.1, in bytes. */
static const uint64_t gcm_data_max = (UINT64_C(1) << 36) - 32;

/* Of two sessions, none lies in a cache line of the other's: each operation writes to it. */
enum { CACHE_LINE = 64 };

struct aes {
	_Alignas(CACHE_LINE) const struct provided *provided;
	void *state; /* the provider's */
	enum aes_mode mode;
	bool encrypt;
	bool running; /* between start and finish */
	bool tag_set;
	bool marked; /* a wrong tag needs the error queue's mark */
	size_t tag_len;
	uint64_t total; /* bytes of this message so far */
	size_t key_len;
	uint8_t key[32]; /* of CCM, which is keyed for each message; else zeros */
};

static bool is_block_mode(const struct aes *aes)
{
	return aes->mode == AES_ECB || aes->mode == AES_CBC || aes->mode == AES_CBC_PAD;
}

static const struct provided *find_provided(const struct crypto *crypto, enum aes_mode mode,
					    size_t key_len)
{
	if (crypto == NULL || key_len < 16 || key_len > 32 || key_len % 8 != 0)
		return NULL;
	return &crypto->provided[mode][(key_len - 16) / 8];
}

static bool init(struct aes *aes, struct bytes key, struct bytes iv)
{
	OSSL_FUNC_cipher_encrypt_init_fn *function =
		aes->encrypt ? aes->provided->encrypt_init : aes->provided->decrypt_init;

	return function(aes->state, key.data, key.len, iv.data, iv.len, NULL) == 1;
}

static bool set_no_padding(struct aes *aes)
{
	unsigned padding = 0;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_uint(OSSL_CIPHER_PARAM_PADDING, &padding),
		OSSL_PARAM_END,
	};

	return aes->provided->set_params(aes->state, params) == 1;
}

static bool key_straight(struct aes *aes, struct bytes key)
{
	bool is_whole = is_block_mode(aes) && aes->mode != AES_CBC_PAD;

	return init(aes, key, bytes(NULL, 0)) && (!is_whole || set_no_padding(aes));
}

/* A provider has nothing to refuse: the key's length is the cipher's. */
static bool set_key(struct aes *aes, struct bytes key)
{
	bool good;

	if (!aes->provided->by_evp)
		return key_straight(aes, key);
	ERR_set_mark();
	good = key_straight(aes, key);
	ERR_pop_to_mark();
	return good;
}

static void keep_key(struct aes *aes, struct bytes key)
{
	memcpy(aes->key, key.data, key.len);
}

struct aes *aes_new(enum aes_mode mode, bool encrypt, struct bytes key)
{
	const struct crypto *crypto = crypto_get();
	const struct provided *provided = find_provided(crypto, mode, key.len);
	struct aes *aes = provided == NULL ? NULL : aligned_alloc(CACHE_LINE, sizeof(*aes));

	if (aes == NULL)
		return NULL;
	*aes = (struct aes){
		.provided = provided,
		.state = provided->state_new(provided->provider),
		.mode = mode,
		.encrypt = encrypt,
		.marked = crypto->wrong_tag_raises,
		.key_len = key.len,
	};
	if (aes->state != NULL && set_key(aes, key)) {
		if (mode == AES_CCM)
			keep_key(aes, key);
		return aes;
	}
	aes_free(aes);
	return NULL;
}

bool aes_rekey(struct aes *aes, struct bytes key)
{
	aes->running = false;
	return aes->mode != AES_CCM && key.len == aes->key_len && set_key(aes, key);
}

void aes_free(struct aes *aes)
{
	if (aes == NULL)
		return;
	aes->provided->state_free(aes->state);
	wipe(aes->key, aes->key_len);
	free(aes);
}

void aes_freep(struct aes **aes)
{
	aes_free(*aes);
}

static bool message_valid(const struct aes *aes, const struct aes_message *message)
{
	if (aes->mode == AES_GCM)
		return message->iv.len >= 1 && message->iv.len <= AES_GCM_IV_MAX &&
		       message->tag_len >= 4 && message->tag_len <= AES_GCM_TAG;
	return aes->mode != AES_CCM && message->iv.len == (aes->mode == AES_ECB ? 0 : AES_BLOCK) &&
	       message->aad.len == 0;
}

/* A NULL `out` means AAD. Held-back parts of blocks may come out with it. */
static bool update(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len)
{
	*ret_len = 0;
	return in.len == 0 || aes->provided->update(aes->state, out, ret_len, in.len + AES_BLOCK,
						    in.data, in.len) == 1;
}

static bool authenticate(struct aes *aes, struct bytes aad)
{
	size_t none;

	return update(aes, aad, NULL, &none);
}

bool aes_start(struct aes *aes, const struct aes_message *message)
{
	aes->running = false;
	if (!message_valid(aes, message) || !init(aes, bytes(NULL, 0), message->iv) ||
	    (message->aad.len > 0 && !authenticate(aes, message->aad)))
		return false;
	aes->total = 0;
	aes->tag_len = message->tag_len;
	aes->tag_set = false;
	aes->running = true;
	return true;
}

bool aes_authenticate(struct aes *aes, struct bytes aad)
{
	return aes->running && aes->mode == AES_GCM && aes->total == 0 && authenticate(aes, aad);
}

/* Whether OpenSSL still holds input back, so that its output lags behind (up to 16 bytes). */
static bool holds_back(const struct aes *aes)
{
	return is_block_mode(aes) &&
	       (aes->total % AES_BLOCK != 0 ||
		(aes->mode == AES_CBC_PAD && !aes->encrypt && aes->total > 0));
}

/*
 * In place, while earlier input is held back: that input comes out first and would overwrite, by at
 * most a block, input that is still to be read. So each piece is read aside before the piece ahead
 * of it is written.
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
		good = update(aes, bytes(pieces[turn], len), out + *ret_len, &got);
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
		good = update(aes, in, out, &got);
	if (!good)
		return false;
	aes->total += in.len;
	*ret_len = got;
	return true;
}

bool aes_set_tag(struct aes *aes, struct bytes tag)
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (void *)tag.data, tag.len),
		OSSL_PARAM_END,
	};

	if (!aes->running || aes->mode != AES_GCM || aes->encrypt || tag.len != aes->tag_len)
		return false;
	aes->tag_set = aes->provided->set_params(aes->state, params) == 1;
	return aes->tag_set;
}

/* Wrong padding leaves an error in the queue; a wrong tag may. */
static bool final(struct aes *aes, uint8_t *out, size_t *ret_len)
{
	bool good;

	if (aes->mode == AES_GCM && !aes->marked)
		return aes->provided->final(aes->state, out, ret_len, AES_BLOCK) == 1;
	ERR_set_mark();
	good = aes->provided->final(aes->state, out, ret_len, AES_BLOCK) == 1;
	ERR_pop_to_mark();
	return good;
}

static bool tag_get(struct aes *aes, uint8_t *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out, aes->tag_len),
		OSSL_PARAM_END,
	};

	return aes->provided->get_params(aes->state, params) == 1;
}

static bool finish_gcm(struct aes *aes, uint8_t *out, size_t *ret_len)
{
	uint8_t none[AES_BLOCK];
	size_t len = 0;

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
	size_t len = 0;
	bool good;

	if (!aes->encrypt && (aes->total == 0 || aes->total % AES_BLOCK != 0))
		return false;
	good = final(aes, block, &len);
	if (good) {
		memcpy(out, block, len);
		*ret_len = len;
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
	/* Only an incomplete block is held back. */
	if (is_block_mode(aes) && aes->total % AES_BLOCK != 0)
		return false;
	*ret_len = 0;
	return true;
}

bool aes_seal(struct aes *aes, struct bytes in, uint8_t *out, size_t *ret_len)
{
	uint8_t none[AES_BLOCK];
	size_t len;

	if (!aes->running || aes->mode != AES_GCM || !aes->encrypt ||
	    in.len > gcm_data_max - aes->total)
		return false;
	aes->running = false;
	if (!update(aes, in, out, &len) || !final(aes, none, &len) || !tag_get(aes, out + in.len))
		return false;
	*ret_len = in.len + aes->tag_len;
	return true;
}

/* --- CCM */

uint64_t aes_ccm_max(size_t nonce_len)
{
	size_t len_bits = 8 * (AES_BLOCK - 1 - nonce_len); /* SP 800-38C, appendix A.1 */

	return len_bits > 30 ? AES_CCM_LEN_MAX : (UINT64_C(1) << len_bits) - 1;
}

static bool ccm_valid(const struct aes *aes, const struct aes_message *message, size_t len)
{
	size_t nonce_len = message->iv.len, tag_len = message->tag_len;

	return aes->mode == AES_CCM && nonce_len >= AES_CCM_NONCE_MIN &&
	       nonce_len <= AES_CCM_NONCE_MAX && tag_len >= AES_CCM_TAG_MIN &&
	       tag_len <= AES_CCM_TAG_MAX && tag_len % 2 == 0 && len <= aes_ccm_max(nonce_len) &&
	       message->aad.len <= AES_CCM_LEN_MAX;
}

/* OpenSSL takes the lengths of nonce and tag (or the tag itself) before the key, and the message's
 * length before all else. */
static bool ccm_start(struct aes *aes, const struct aes_message *message, struct bytes tag,
		      size_t len)
{
	size_t nonce_len = message->iv.len, none;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &nonce_len),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (void *)tag.data, tag.len),
		OSSL_PARAM_END,
	};

	aes->tag_len = message->tag_len;
	return aes->provided->set_params(aes->state, params) == 1 &&
	       init(aes, bytes(aes->key, aes->key_len), message->iv) &&
	       aes->provided->update(aes->state, NULL, &none, len, NULL, len) == 1 &&
	       update(aes, message->aad, NULL, &none);
}

/* Of an empty message too: that it came is how OpenSSL knows to look at the tag, or to make it. */
static bool ccm_pass(struct aes *aes, struct bytes in, uint8_t *out)
{
	uint8_t none[AES_BLOCK] = {0};
	size_t len;

	return aes->provided->update(aes->state, in.len > 0 ? out : none, &len, in.len,
				     in.len > 0 ? in.data : none, in.len) == 1;
}

static bool ccm_seal(struct aes *aes, const struct aes_message *message, struct bytes in,
		     uint8_t *out, uint8_t *ret_tag)
{
	return ccm_valid(aes, message, in.len) &&
	       ccm_start(aes, message, bytes(NULL, message->tag_len), in.len) &&
	       ccm_pass(aes, in, out) && tag_get(aes, ret_tag);
}

static bool ccm_open(struct aes *aes, const struct aes_message *message, struct bytes in,
		     uint8_t *out, struct bytes tag)
{
	if (!ccm_valid(aes, message, in.len))
		return false;
	if (ccm_start(aes, message, tag, in.len) && ccm_pass(aes, in, out))
		return true;
	wipe(out, in.len);
	return false;
}

bool aes_ccm_apart(struct aes *aes, const struct aes_message *message, struct bytes in,
		   uint8_t *out, uint8_t *tag)
{
	bool good;

	ERR_set_mark();
	good = aes->encrypt ? ccm_seal(aes, message, in, out, tag)
			    : ccm_open(aes, message, in, out, bytes(tag, message->tag_len));
	ERR_pop_to_mark();
	return good;
}

bool aes_ccm(struct aes *aes, const struct aes_message *message, struct bytes in, uint8_t *out)
{
	uint8_t tag[AES_CCM_TAG_MAX];

	if (message->tag_len > sizeof(tag))
		return false;
	if (aes->encrypt)
		return aes_ccm_apart(aes, message, in, out, out + in.len);
	in.len -= message->tag_len;
	memcpy(tag, in.data + in.len, message->tag_len);
	return aes_ccm_apart(aes, message, in, out, tag);
}

struct block_cipher aes_block_cipher(const struct aes *ecb)
{
	assert(ecb->mode == AES_ECB && ecb->total % AES_BLOCK == 0);
	return (struct block_cipher){ecb->provided->whole, ecb->state};
}

bool aes_block(struct aes *ecb, const uint8_t in[static AES_BLOCK], uint8_t out[static AES_BLOCK])
{
	const struct block_cipher cipher = aes_block_cipher(ecb);
	size_t len;

	return cipher.run(cipher.state, out, &len, AES_BLOCK, in, AES_BLOCK) == 1;
}

bool aes_gcm_seal(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret)
{
	AUTO(aes_freep) struct aes *aes = aes_new(AES_GCM, true, key);
	const struct aes_message message = {iv, aad, AES_GCM_TAG};
	size_t len;

	return aes != NULL && iv.len == AES_GCM_IV && aes_start(aes, &message) &&
	       aes_seal(aes, in, ret, &len);
}

bool aes_gcm_open(struct bytes key, struct bytes iv, struct bytes aad, struct bytes in,
		  uint8_t *ret, bool *ret_wrong)
{
	AUTO(aes_freep) struct aes *aes = NULL;
	const struct aes_message message = {iv, aad, AES_GCM_TAG};
	uint8_t tag[AES_GCM_TAG];
	size_t len;

	*ret_wrong = in.len < AES_GCM_TAG || iv.len != AES_GCM_IV;
	if (*ret_wrong)
		return false;
	in.len -= AES_GCM_TAG;
	memcpy(tag, in.data + in.len, sizeof(tag)); /* `in` and `ret` may be the same memory */
	aes = aes_new(AES_GCM, false, key);
	*ret_wrong = aes != NULL; /* until it opens: from here on nothing allocates */
	if (aes != NULL && aes_start(aes, &message) && aes_update(aes, in, ret, &len) &&
	    aes_set_tag(aes, bytes(tag, sizeof(tag))) && aes_finish(aes, NULL, &len)) {
		*ret_wrong = false;
		return true;
	}
	wipe(ret, in.len);
	return false;
}
