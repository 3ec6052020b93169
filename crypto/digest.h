/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests (FIPS 180-4 and 202), HMAC (FIPS 198-1) and the two key derivations built on it. */
#pragma once

#include "base/buffer.h"

enum digest_kind {
	DIGEST_SHA1,
	DIGEST_SHA224,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	DIGEST_SHA512_224,
	DIGEST_SHA512_256,
	DIGEST_SHA3_224,
	DIGEST_SHA3_256,
	DIGEST_SHA3_384,
	DIGEST_SHA3_512,
	DIGEST_COUNT
};
enum { DIGEST_MAX_SIZE = 64, SHA256_SIZE = 32 };

size_t digest_size(enum digest_kind kind);
bool digest_once(enum digest_kind kind, struct bytes in, uint8_t *ret_digest);

/* A digest under way. _new allocates and starts; _start begins anew without allocating, and must be
 * called after _finish. Not thread-safe. */
struct digest;
struct digest *digest_new(enum digest_kind kind);
/* One that goes on where the other is. */
struct digest *digest_copy(const struct digest *digest);
void digest_free(struct digest *digest);
bool digest_start(struct digest *digest);
bool digest_update(struct digest *digest, struct bytes in);
bool digest_finish(struct digest *digest, uint8_t *ret_digest);

/* HMAC of the concatenation of `count` parts. Keys of any length. */
bool hmac_once(enum digest_kind kind, struct bytes key, const struct bytes *parts, size_t count,
	       uint8_t *ret_mac);

/*
 * SP 800-108r1 section 4.1, counter mode, PRF HMAC-SHA-256, one block (L = 256): HMAC(key,
 * 0x00000001 | label | 0x00 | context | 0x00000100).
 */
bool kdf_counter(struct bytes key, const char *label, struct bytes context,
		 uint8_t ret_key[static 32]);

/* RFC 5869. `extract`/`expand` choose the halves (CKM_HKDF_DERIVE's bExtract, bExpand); at least
 * one. Without extract, `key` is the PRK. An empty salt with extract means digest_size zeros. With
 * extract only, ret_len is digest_size; else 1..255 * digest_size. False: other lengths. */
bool hkdf(enum digest_kind kind, bool extract, bool expand, struct bytes key, struct bytes salt,
	  struct bytes info, uint8_t *ret_key, size_t ret_len);
