/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The measurements, by PKCS #11 and by libcrypto with a context that is reused. */
#include "base/macros.h"
#include "bench/bench.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { LARGEST = 1 << 20, TAG = 16, KEY = 32, WRAPPED = 40 };

static uint8_t plain[LARGEST], sealed[LARGEST + TAG], iv[12], wrapped[WRAPPED];
static const uint8_t key[KEY] = {1};
static EVP_CIPHER_CTX *evp;

/* A new IV for each message, as GCM demands. */
static void next_iv(void)
{
	for (size_t i = sizeof(iv); i-- > 0 && ++iv[i] == 0;)
		;
}

static bool evp_begin(const char *name, int encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	bool begun;

	EVP_CIPHER_CTX_free(evp);
	evp = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(evp, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	begun = EVP_CipherInit_ex2(evp, cipher, key, NULL, encrypt, NULL) == 1;
	EVP_CIPHER_free(cipher);
	return begun;
}

static bool evp_gcm(size_t size)
{
	int len;

	return EVP_EncryptInit_ex(evp, NULL, NULL, NULL, iv) == 1 &&
	       EVP_EncryptUpdate(evp, sealed, &len, plain, (int)size) == 1 &&
	       EVP_EncryptFinal_ex(evp, sealed + size, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, TAG, sealed + size) == 1;
}

static bool gcm_prepare(struct peer *peer, size_t size)
{
	(void)size;
	return peer->p11 != NULL || evp_begin("AES-256-GCM", 1);
}

static bool gcm_run(struct peer *peer, size_t size)
{
	CK_GCM_PARAMS params = {
		.pIv = iv, .ulIvLen = sizeof(iv), .ulIvBits = 8 * sizeof(iv), .ulTagBits = 8 * TAG};
	CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
	CK_ULONG len = sizeof(sealed);

	next_iv();
	if (peer->p11 == NULL)
		return evp_gcm(size);
	return good(peer->p11->C_EncryptInit(peer->session, &mechanism, peer->data_key),
		    "C_EncryptInit") &&
	       good(peer->p11->C_Encrypt(peer->session, plain, size, sealed, &len), "C_Encrypt");
}

static CK_MECHANISM kw = {CKM_AES_KEY_WRAP, NULL, 0};

static bool evp_wrap(const uint8_t *in, int in_len)
{
	uint8_t out[WRAPPED + 8];
	int len;

	return EVP_CipherInit_ex(evp, NULL, NULL, NULL, NULL, -1) == 1 &&
	       EVP_CipherUpdate(evp, out, &len, in, in_len) == 1;
}

static bool wrap_prepare(struct peer *peer, size_t size)
{
	(void)size;
	return peer->p11 != NULL || evp_begin("AES-256-WRAP", 1);
}

static bool wrap_run(struct peer *peer, size_t size)
{
	CK_ULONG len = sizeof(wrapped);

	(void)size;
	if (peer->p11 == NULL)
		return evp_wrap(key, KEY);
	return good(peer->p11->C_WrapKey(peer->session, &kw, peer->wrap_key, peer->data_key,
					 wrapped, &len),
		    "C_WrapKey");
}

static bool unwrap_prepare(struct peer *peer, size_t size)
{
	uint8_t in[KEY] = {2};
	int len;

	if (peer->p11 != NULL)
		return wrap_run(peer, size);
	return evp_begin("AES-256-WRAP", 1) && EVP_CipherUpdate(evp, wrapped, &len, in, KEY) == 1 &&
	       evp_begin("AES-256-WRAP", 0);
}

/* Unwraps what unwrap_prepare() wrapped for this very peer, and destroys the key. */
static bool unwrap_run(struct peer *peer, size_t size)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_HANDLE unwrapped;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
	};

	(void)size;
	if (peer->p11 == NULL)
		return evp_wrap(wrapped, WRAPPED);
	return good(peer->p11->C_UnwrapKey(peer->session, &kw, peer->wrap_key, wrapped,
					   sizeof(wrapped), template, COUNT_OF(template),
					   &unwrapped),
		    "C_UnwrapKey") &&
	       good(peer->p11->C_DestroyObject(peer->session, unwrapped), "C_DestroyObject");
}

static void search_label(char *label, size_t size, bool on_token, size_t number)
{
	snprintf(label, size, "%s-%zu", on_token ? "token" : "session", number);
}

static bool search_prepare(struct peer *peer, size_t size, bool on_token)
{
	size_t *count = on_token ? &peer->token_key_count : &peer->session_key_count;
	CK_OBJECT_HANDLE made;
	char label[32];

	if (on_token && !peer->has_token_keys) {
		snprintf(failure, sizeof(failure), "has no token here");
		return false;
	}
	for (; *count < size; ++*count) {
		search_label(label, sizeof(label), on_token, *count);
		if (!key_make(peer, on_token, label, on_token, &made))
			return false;
	}
	return true;
}

/* Each search is for another label. */
static bool search_run(struct peer *peer, size_t size, bool on_token)
{
	static size_t turn;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_OBJECT_HANDLE found[2];
	CK_ULONG count = 0;
	char label[32];
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_LABEL, label, 0}};

	search_label(label, sizeof(label), on_token, turn++ * 7919 % size);
	template[1].ulValueLen = strlen(label);
	if (!good(peer->p11->C_FindObjectsInit(peer->session, template, COUNT_OF(template)),
		  "C_FindObjectsInit") ||
	    !good(peer->p11->C_FindObjects(peer->session, found, COUNT_OF(found), &count),
		  "C_FindObjects") ||
	    !good(peer->p11->C_FindObjectsFinal(peer->session), "C_FindObjectsFinal"))
		return false;
	if (count != 1)
		snprintf(failure, sizeof(failure), "found %lu keys of label %s", count, label);
	return count == 1;
}

static bool session_search_prepare(struct peer *peer, size_t size)
{
	return search_prepare(peer, size, false);
}

static bool session_search_run(struct peer *peer, size_t size)
{
	return search_run(peer, size, false);
}

static bool token_search_prepare(struct peer *peer, size_t size)
{
	return search_prepare(peer, size, true);
}

static bool token_search_run(struct peer *peer, size_t size)
{
	return search_run(peer, size, true);
}

const struct work works[] = {
	/* clang-format off */
	{ "AES-256-GCM, 64 B",                     64,      gcm_prepare,            gcm_run,            true },
	{ "AES-256-GCM, 1 KiB",                    1024,    gcm_prepare,            gcm_run,            true },
	{ "AES-256-GCM, 16 KiB",                   16384,   gcm_prepare,            gcm_run,            true },
	{ "AES-256-GCM, 1 MiB",                    LARGEST, gcm_prepare,            gcm_run,            true },
	{ "wrap a 32-byte key (AES_KEY_WRAP)",     KEY,     wrap_prepare,           wrap_run,           true },
	{ "unwrap it into a key, destroy it",      KEY,     unwrap_prepare,         unwrap_run,         true },
	{ "find by label among 10 session keys",   10,      session_search_prepare, session_search_run, false },
	{ "find by label among 1000 session keys", 1000,    session_search_prepare, session_search_run, false },
	{ "find by label among 10 token keys",     10,      token_search_prepare,   token_search_run,   false },
	{ "find by label among 1000 token keys",   1000,    token_search_prepare,   token_search_run,   false },
	/* clang-format on */
};
const size_t work_count = COUNT_OF(works);
