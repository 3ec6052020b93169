/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The private library context and what is fetched from it. No lock: two threads that start at once
 * (or a thread re-entered while OpenSSL loads the host's configuration) each make a context, and
 * the first one stays. */
#include "crypto/crypto.h"

#include "base/cancel.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static _Atomic(struct crypto *) current;
/* The parent's contexts that fork's children abandoned; kept in sight of leak checkers. */
static struct crypto *abandoned;

static const char *const mode_names[AES_MODE_COUNT] = {
	/* clang-format off */
	[AES_ECB]     = "ECB",
	[AES_CBC]     = "CBC",
	[AES_CBC_PAD] = "CBC",
	[AES_CTR]     = "CTR",
	[AES_GCM]     = "GCM",
	[AES_CCM]     = "CCM",
	/* clang-format on */
};

static const char *const digest_names[DIGEST_COUNT] = {
	/* clang-format off */
	[DIGEST_SHA1]       = "SHA1",
	[DIGEST_SHA224]     = "SHA2-224",
	[DIGEST_SHA256]     = "SHA2-256",
	[DIGEST_SHA384]     = "SHA2-384",
	[DIGEST_SHA512]     = "SHA2-512",
	[DIGEST_SHA512_224] = "SHA2-512/224",
	[DIGEST_SHA512_256] = "SHA2-512/256",
	[DIGEST_SHA3_224]   = "SHA3-224",
	[DIGEST_SHA3_256]   = "SHA3-256",
	[DIGEST_SHA3_384]   = "SHA3-384",
	[DIGEST_SHA3_512]   = "SHA3-512",
	/* clang-format on */
};

const struct crypto *crypto_get(void)
{
	return atomic_load_explicit(&current, memory_order_acquire);
}

/* Both are checked: the oldest error may be the host's, and the newest a consequence. */
bool crypto_lacks_memory(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE ||
	       ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
}

void crypto_log_error(const char *what)
{
	unsigned long last = ERR_peek_last_error();
	char reason[256] = "no reason given";

	if (crypto_lacks_memory())
		snprintf(reason, sizeof(reason), "out of memory");
	else if (ERR_SYSTEM_ERROR(last) || ERR_reason_error_string(last) != NULL)
		ERR_error_string_n(last, reason, sizeof(reason));
	else if (last != 0) /* a number without a text */
		snprintf(reason, sizeof(reason), "it gives no reason in words");
	log_error("OpenSSL %s: %s: %s", crypto_openssl_version(), what, reason);
}

static void crypto_free(struct crypto *crypto)
{
	for (size_t mode = 0; mode < AES_MODE_COUNT; mode++)
		for (size_t size = 0; size < AES_KEY_SIZE_COUNT; size++)
			EVP_CIPHER_free(crypto->ciphers[mode][size]);
	for (size_t kind = 0; kind < DIGEST_COUNT; kind++)
		EVP_MD_free(crypto->digests[kind]);
	EVP_MAC_free(crypto->hmac);
	EVP_MAC_free(crypto->cmac);
	for (size_t i = 0; i < COUNT_OF(crypto->providers); i++)
		if (crypto->providers[i] != NULL)
			OSSL_PROVIDER_unload(crypto->providers[i]);
	OSSL_LIB_CTX_free(crypto->context);
	free(crypto);
}

static void crypto_freep(struct crypto **crypto)
{
	if (*crypto != NULL)
		crypto_free(*crypto);
}

/* How to ask for the ciphers, and for the log the first one that the provider does not offer
 * directly. */
struct asking {
	provided_query *query;
	const char *fips_at; /* see struct crypto */
	char name[16];
	const char *lack;
};

/* Directly from its provider, else by EVP (docs/decisions/004). */
static void cipher_provide(struct crypto *crypto, struct asking *asking, const char *name,
			   EVP_CIPHER *cipher, struct provided *ret_provided)
{
	const char *lack = provided_find(asking->query, cipher, name, ret_provided);

	if (lack == NULL)
		return;
	*ret_provided = provided_by_evp(cipher);
	if (crypto->by_evp++ > 0)
		return;
	snprintf(asking->name, sizeof(asking->name), "%s", name);
	asking->lack = lack;
}

static bool ciphers_fetch(struct crypto *crypto, struct asking *asking, enum aes_mode mode)
{
	for (size_t size = 0; size < AES_KEY_SIZE_COUNT; size++) {
		EVP_CIPHER **cipher = &crypto->ciphers[mode][size];
		char name[16];

		snprintf(name, sizeof(name), "AES-%zu-%s", 128 + 64 * size, mode_names[mode]);
		*cipher = EVP_CIPHER_fetch(crypto->context, name, NULL);
		if (*cipher == NULL) {
			crypto_log_error(name);
			return false;
		}
		cipher_provide(crypto, asking, name, *cipher, &crypto->provided[mode][size]);
	}
	return true;
}

static bool digest_fetch(struct crypto *crypto, enum digest_kind kind)
{
	crypto->digests[kind] = EVP_MD_fetch(crypto->context, digest_names[kind], NULL);
	if (crypto->digests[kind] == NULL)
		crypto_log_error(digest_names[kind]);
	return crypto->digests[kind] != NULL;
}

static bool mac_fetch(struct crypto *crypto, const char *name, EVP_MAC **ret_mac)
{
	*ret_mac = EVP_MAC_fetch(crypto->context, name, NULL);
	if (*ret_mac == NULL)
		crypto_log_error(name);
	return *ret_mac != NULL;
}

/* Finds out whether a wrong GCM tag leaves an error in the queue (not in the releases we know, but
 * nothing promises it): where it does not, each decryption saves a quarter of its time. */
static bool wrong_tag_raises(const struct crypto *crypto)
{
	const struct provided *gcm = &crypto->provided[AES_GCM][2];
	const int ours = 1;
	uint8_t zeros[32] = {0}, out[AES_BLOCK];
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, zeros, AES_GCM_TAG),
		OSSL_PARAM_END,
	};
	void *state = gcm->state_new(gcm->provider);
	bool raises = true;
	size_t len;

	ERR_raise(ERR_LIB_USER, ours);
	if (state != NULL &&
	    gcm->decrypt_init(state, zeros, sizeof(zeros), zeros, AES_GCM_IV, NULL) == 1 &&
	    gcm->set_params(state, tag) == 1 && gcm->final(state, out, &len, sizeof(out)) == 0)
		raises = ERR_GET_REASON(ERR_peek_last_error()) != ours;
	gcm->state_free(state);
	return raises;
}

/* A context whose generators could not be made the first time never gets any: it is given up at
 * once, and the next start makes another. */
static bool draws(const struct crypto *crypto)
{
	uint8_t byte;
	bool good = RAND_priv_bytes_ex(crypto->context, &byte, sizeof(byte), 0) == 1;

	/* OpenSSL's data about threads is another thing that it makes either once or never. */
	if (!good)
		crypto_log_error("no random bytes; if it stays so in this process, restart it");
	return good;
}

static struct crypto *crypto_new(bool fips, struct asking *asking)
{
	AUTO(crypto_freep) struct crypto *crypto = calloc(1, sizeof(*crypto));

	if (crypto == NULL)
		return NULL;
	crypto->fips = fips;
	crypto->fips_at = asking->fips_at;
	crypto->context = OSSL_LIB_CTX_new();
	if (crypto->context == NULL || !crypto_load_providers(crypto))
		return NULL;
	for (int mode = 0; mode < AES_MODE_COUNT; mode++)
		if (!ciphers_fetch(crypto, asking, (enum aes_mode)mode))
			return NULL;
	for (int kind = 0; kind < DIGEST_COUNT; kind++)
		if (!digest_fetch(crypto, (enum digest_kind)kind))
			return NULL;
	if (!mac_fetch(crypto, "HMAC", &crypto->hmac) ||
	    !mac_fetch(crypto, "CMAC", &crypto->cmac) || !draws(crypto))
		return NULL;
	crypto->wrong_tag_raises = wrong_tag_raises(crypto);
	crypto->fips_at = NULL;
	return TAKE(crypto);
}

/* OpenSSL 3.0 looks for an engine when a context gets its key, and reads the configuration for
 * that; this question makes it read the configuration now. */
static bool host_wants_fips(void)
{
	return EVP_default_properties_is_fips_enabled(NULL) == 1;
}

/* If memory for it runs out, OpenSSL has no default context, never gets one later, and crashes
 * where it is used. A copy of the module's own registers nothing to run at exit. */
static bool has_default_context(void)
{
	const uint64_t options = OPENSSL_IS_HIDDEN ? OPENSSL_INIT_NO_ATEXIT : 0;

	if (OPENSSL_init_crypto(options, NULL) == 1 && OSSL_LIB_CTX_get0_global_default() != NULL)
		return true;
	crypto_log_error(
		"it could not start in this process and will not try again: restart the process");
	return false;
}

static void log_slower_way(const struct crypto *crypto, const struct asking *asking)
{
	if (crypto->by_evp > 0)
		log_info("OpenSSL %s: %u of %d ciphers take the slower way by EVP: for example, "
			 "its provider offers %s for %s",
			 crypto_openssl_version(), crypto->by_evp,
			 AES_MODE_COUNT * AES_KEY_SIZE_COUNT, asking->lack, asking->name);
}

/* A context that others have begun to use can't be changed. */
static bool has_what_is_asked(bool fips)
{
	if (!fips || crypto_is_fips())
		return true;
	log_error("this process has used the module without [crypto] fips, and that can't change "
		  "now: restart it");
	return false;
}

static bool start(bool fips, struct asking asking)
{
	struct crypto *made, *none = NULL;

	if (crypto_started())
		return has_what_is_asked(fips);
	if (!crypto_check_origin() || (OPENSSL_IS_HIDDEN && !crypto_own_memory()))
		return false;
	ERR_set_mark();
	made = has_default_context() ? crypto_new(host_wants_fips() || fips, &asking) : NULL;
	if (made != NULL && !atomic_compare_exchange_strong(&current, &none, made))
		crypto_free(made);
	else if (made != NULL)
		log_slower_way(made, &asking);
	ERR_pop_to_mark();
	return made != NULL && has_what_is_asked(fips);
}

bool crypto_start_asking(bool fips, provided_query *query)
{
	return start(fips, (struct asking){.query = query});
}

bool crypto_start(bool fips)
{
	return crypto_start_asking(fips, OSSL_PROVIDER_query_operation);
}

bool crypto_start_fips(const char *at)
{
	return start(true, (struct asking){.query = OSSL_PROVIDER_query_operation, .fips_at = at});
}

bool crypto_is_fips(void)
{
	const struct crypto *crypto = crypto_get();

	return crypto != NULL && crypto->fips;
}

bool crypto_started(void)
{
	return crypto_get() != NULL;
}

void crypto_abandon(void)
{
	struct crypto *parents = atomic_exchange(&current, NULL);

	random_abandon();
	if (parents == NULL)
		return;
	parents->before = abandoned;
	abandoned = parents;
}

const char *crypto_openssl_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

bool crypto_same_openssl(const char *ssl_version)
{
	static const char library[] = "OpenSSL/";
	const char *ours = crypto_openssl_version();
	const char *theirs = ssl_version == NULL ? NULL : strstr(ssl_version, library);

	/* In brackets: curl has this library, but uses another. */
	if (theirs == NULL || (theirs > ssl_version && theirs[-1] == '('))
		return false;
	theirs += strlen(library);
	return strcspn(theirs, " ") == strlen(ours) && strncmp(theirs, ours, strlen(ours)) == 0;
}

void *crypto_context_enter(void)
{
	const struct crypto *crypto = crypto_get();

	return crypto == NULL ? NULL : OSSL_LIB_CTX_set0_default(crypto->context);
}

void crypto_context_leave(void *previous)
{
	if (previous != NULL)
		OSSL_LIB_CTX_set0_default(previous);
}
