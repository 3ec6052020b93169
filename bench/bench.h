/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of PKCS #11 modules side by side in one process, beside plain libcrypto. A program of its
 * own: it knows modules by their paths and C_* functions alone. */
#pragma once

#include "include/pkcs11.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PEER_COUNT = 4, PEER_LIBCRYPTO = 0, PEER_OURS = 1 };

/* A module to measure, or libcrypto. */
struct peer {
	const char *name;
	char version[96];
	char missing[160];     /* why it is not measured; empty: it is */
	CK_FUNCTION_LIST *p11; /* NULL: libcrypto */
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE data_key; /* AES-256, encrypts */
	CK_OBJECT_HANDLE wrap_key; /* AES-256, wraps; our module's is an EZK */
	size_t session_key_count;  /* made for the searches */
	size_t token_key_count;
	bool has_token_keys;
};

/* Opens one of the peers, if it is installed (else `missing` says why). `folder` is for its files.
 */
void peer_open(struct peer *ret_peer, size_t number, const char *folder);
/* The same one for another thread: with a session and a data key of its own, which end with that
 * session. */
bool peer_beside(const struct peer *peer, struct peer *ret_beside);

/* A measurement. False: the peer can't do it (`failure` says why). */
struct work {
	const char *title;
	size_t size; /* bytes, or objects */
	bool (*prepare)(struct peer *peer, size_t size);
	bool (*run)(struct peer *peer, size_t size);
	bool beside_libcrypto;
};

extern const struct work works[];
extern const size_t work_count;
const struct work *work_named(const char *title); /* NULL: there is none */

/* The function and the result of the last PKCS #11 call that failed. */
extern char failure[96];
bool good(CK_RV result, const char *function);

/* A new AES-256 key in the peer's session. */
bool key_make(struct peer *peer, bool on_token, const char *label, bool extractable,
	      CK_OBJECT_HANDLE *ret_key);
