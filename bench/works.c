/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The measurements, by PKCS #11 and by libcrypto with a context that is reused. */
#include "base/macros.h"
#include "bench/bench.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { LARGEST = 1 << 20, TAG = 16, KEY = 32, WRAPPED = 40, FILE_SIZE = 4096 };

static uint8_t plain[LARGEST];
static const uint8_t key[KEY] = {1};
/* Each thread has its own of what a work changes. */
static _Thread_local uint8_t sealed[LARGEST + TAG], iv[12], wrapped[WRAPPED];
static _Thread_local uint8_t file_sealed[FILE_SIZE + TAG], file_plain[FILE_SIZE + TAG];
static _Thread_local EVP_CIPHER_CTX *evp, *evp_of_file;
static const uint8_t file_iv[12] = {7};

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

static bool unwrap(struct peer *peer, CK_OBJECT_HANDLE *ret_key)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
	};

	return good(peer->p11->C_UnwrapKey(peer->session, &kw, peer->wrap_key, wrapped,
					   sizeof(wrapped), template, COUNT_OF(template), ret_key),
		    "C_UnwrapKey");
}

/* Unwraps what unwrap_prepare() wrapped for this very peer, and destroys the key. */
static bool unwrap_run(struct peer *peer, size_t size)
{
	CK_OBJECT_HANDLE unwrapped;

	(void)size;
	if (peer->p11 == NULL)
		return evp_wrap(wrapped, WRAPPED);
	return unwrap(peer, &unwrapped) &&
	       good(peer->p11->C_DestroyObject(peer->session, unwrapped), "C_DestroyObject");
}

/* --- A small file, with a wrapped key of its own: read */

static bool evp_file_prepare(void)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	uint8_t *tag = file_sealed + FILE_SIZE;
	int len;
	bool made;

	EVP_CIPHER_CTX_free(evp_of_file);
	evp_of_file = EVP_CIPHER_CTX_new();
	made = EVP_EncryptInit_ex2(evp_of_file, gcm, key, file_iv, NULL) == 1 &&
	       EVP_EncryptUpdate(evp_of_file, file_sealed, &len, plain, FILE_SIZE) == 1 &&
	       EVP_EncryptFinal_ex(evp_of_file, tag, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(evp_of_file, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1 &&
	       EVP_DecryptInit_ex2(evp_of_file, gcm, NULL, NULL, NULL) == 1;
	EVP_CIPHER_free(gcm);
	return made;
}

static bool evp_file(void)
{
	uint8_t dek[WRAPPED + 8];
	int len;

	return EVP_CipherInit_ex(evp, NULL, NULL, NULL, NULL, -1) == 1 &&
	       EVP_CipherUpdate(evp, dek, &len, wrapped, WRAPPED) == 1 &&
	       EVP_DecryptInit_ex(evp_of_file, NULL, NULL, key, file_iv) == 1 &&
	       EVP_CIPHER_CTX_ctrl(evp_of_file, EVP_CTRL_AEAD_SET_TAG, TAG,
				   file_sealed + FILE_SIZE) == 1 &&
	       EVP_DecryptUpdate(evp_of_file, file_plain, &len, file_sealed, FILE_SIZE) == 1 &&
	       EVP_DecryptFinal_ex(evp_of_file, file_plain + len, &len) == 1;
}

static CK_MECHANISM file_mechanism(CK_GCM_PARAMS *params)
{
	*params = (CK_GCM_PARAMS){.pIv = (CK_BYTE *)file_iv,
				  .ulIvLen = sizeof(file_iv),
				  .ulIvBits = 8 * sizeof(file_iv),
				  .ulTagBits = 8 * TAG};
	return (CK_MECHANISM){CKM_AES_GCM, params, sizeof(*params)};
}

static bool file_prepare(struct peer *peer, size_t size)
{
	CK_GCM_PARAMS params;
	CK_MECHANISM gcm = file_mechanism(&params);
	CK_ULONG len = sizeof(file_sealed);

	if (!unwrap_prepare(peer, size))
		return false;
	if (peer->p11 == NULL)
		return evp_file_prepare();
	return good(peer->p11->C_EncryptInit(peer->session, &gcm, peer->data_key),
		    "C_EncryptInit") &&
	       good(peer->p11->C_Encrypt(peer->session, plain, FILE_SIZE, file_sealed, &len),
		    "C_Encrypt");
}

static bool file_run(struct peer *peer, size_t size)
{
	CK_GCM_PARAMS params;
	CK_MECHANISM gcm = file_mechanism(&params);
	CK_ULONG len = sizeof(file_plain);
	CK_OBJECT_HANDLE dek;

	(void)size;
	if (peer->p11 == NULL)
		return evp_file();
	return unwrap(peer, &dek) &&
	       good(peer->p11->C_DecryptInit(peer->session, &gcm, dek), "C_DecryptInit") &&
	       good(peer->p11->C_Decrypt(peer->session, file_sealed, sizeof(file_sealed),
					 file_plain, &len),
		    "C_Decrypt") &&
	       good(peer->p11->C_DestroyObject(peer->session, dek), "C_DestroyObject");
}

/* --- Work that libcrypto has no like of ------------------------------------------------------- */

static bool nothing_prepare(struct peer *peer, size_t size)
{
	(void)peer;
	(void)size;
	return true;
}

static bool generate_run(struct peer *peer, size_t size)
{
	CK_OBJECT_HANDLE made;

	(void)size;
	return key_make(peer, false, "made", false, &made) &&
	       good(peer->p11->C_DestroyObject(peer->session, made), "C_DestroyObject");
}

static bool session_run(struct peer *peer, size_t size)
{
	CK_SESSION_INFO info;
	CK_SESSION_HANDLE opened;

	(void)size;
	return good(peer->p11->C_GetSessionInfo(peer->session, &info), "C_GetSessionInfo") &&
	       good(peer->p11->C_OpenSession(info.slotID, CKF_SERIAL_SESSION, NULL, NULL, &opened),
		    "C_OpenSession") &&
	       good(peer->p11->C_CloseSession(opened), "C_CloseSession");
}

static bool random_run(struct peer *peer, size_t size)
{
	return good(peer->p11->C_GenerateRandom(peer->session, sealed, size), "C_GenerateRandom");
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
	{ "file of 4 KiB: unwrap its key, decrypt", FILE_SIZE, file_prepare,          file_run,           true },
	{ "generate a key, destroy it",            KEY,     nothing_prepare,        generate_run,       false },
	{ "open a session, close it",              0,       nothing_prepare,        session_run,        false },
	{ "random, 32 B",                          32,      nothing_prepare,        random_run,         false },
	{ "find by label among 10 session keys",   10,      session_search_prepare, session_search_run, false },
	{ "find by label among 1000 session keys", 1000,    session_search_prepare, session_search_run, false },
	{ "find by label among 10 token keys",     10,      token_search_prepare,   token_search_run,   false },
	{ "find by label among 1000 token keys",   1000,    token_search_prepare,   token_search_run,   false },
	{ "find by label among 10,000 session keys", 10000, session_search_prepare, session_search_run, false },
	/* clang-format on */
};
const size_t work_count = COUNT_OF(works);

const struct work *work_named(const char *title)
{
	for (size_t i = 0; i < work_count; i++)
		if (strcmp(works[i].title, title) == 0)
			return &works[i];
	return NULL;
}
