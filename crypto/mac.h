/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MACs in parts: HMAC (FIPS 198-1) and AES-CMAC (SP 800-38B). Keyed once, then started anew for
 * each message without allocating. Not thread-safe: each session has its own. What is shorter than
 * mac_size() is its beginning.
 */
#pragma once

#include "crypto/digest.h"

enum { MAC_MAX_SIZE = DIGEST_MAX_SIZE, CMAC_SIZE = 16 };

struct mac;
/* Keys of any length. NULL: no memory, or the library context is not started. */
struct mac *mac_new_hmac(enum digest_kind kind, struct bytes key);
/* Keys of 16, 24 or 32 bytes; NULL for others too. */
struct mac *mac_new_cmac(struct bytes key);
/* Wipes the key. */
void mac_free(struct mac *mac);

size_t mac_size(const struct mac *mac);
/* A new message, whatever became of the one before. */
bool mac_start(struct mac *mac);
/* False: no message under way. */
bool mac_update(struct mac *mac, struct bytes in);
/* Ends the message: mac_size() bytes. */
bool mac_finish(struct mac *mac, uint8_t *ret_mac);
