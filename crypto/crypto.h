/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library context: only the files of this folder use OpenSSL's libcrypto. A private
 * OSSL_LIB_CTX, so that a host whose default context routes algorithms into this very module
 * (openssl's pkcs11 provider) is not re-entered; every algorithm is fetched once. OpenSSL 3.0 API
 * only. Every function of this folder leaves the caller's error queue as it was.
 */
#pragma once

#include "base/bytes.h"

/*
 * Makes the context and fetches all algorithms. Once that has been done it does nothing: true, or
 * false if `fips` is asked for now and was not then. `fips`, or the host's own OpenSSL set to FIPS
 * algorithms, loads the providers fips and base instead of default; where they don't start, it
 * fails (docs/fips.md). Thread-safe, without a lock of ours. Where the provider does not offer the
 * functions that the ciphers call directly, they go by EVP, and a line of the log says so. False:
 * logged.
 *
 * Don't call it while holding a lock that C_Initialize needs: OpenSSL reads the host's
 * configuration here if it has not done so before (otherwise it would at the first key). That may
 * load providers that call C_Initialize of this very module, in this thread.
 */
bool crypto_start(bool fips);
/* The same with FIPS; `at` is the place that asks for it, for the error: "[crypto] fips in FILE
 * line 12". */
bool crypto_start_fips(const char *at);
/* Started, with FIPS algorithms only. */
bool crypto_is_fips(void);
/* In a fork's child: forgets the parent's context without freeing it, so that crypto_start makes a
 * new one. */
void crypto_abandon(void);
bool crypto_started(void);

/* The version of the libcrypto that is loaded, "3.0.22". */
const char *crypto_openssl_version(void);
/* True if curl's "OpenSSL/3.0.22" is the same copy of the library as ours, and the one curl uses:
 * then we may set up its TLS contexts (guest_tls_forgets). */
bool crypto_same_openssl(const char *ssl_version);

/* The thread's default library context becomes ours (for curl and its TLS), and back. NULL (not
 * started) may be given back. */
void *crypto_context_enter(void);
void crypto_context_leave(void *previous);

/* From the private context's CSPRNG; up to 64 bytes from what it gave before (crypto/random.c).
 * Don't call it while the process exits. */
bool crypto_random(void *ret, size_t len);
/* Wipes what it gave before; the next call draws anew. */
void crypto_random_forget(void);
/* Mixes in the application's seed, as additional input (C_SeedRandom). */
bool crypto_random_add(struct bytes seed);
