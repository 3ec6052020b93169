/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The key-wrap mechanisms over a keyed context (AES-ECB, in the direction of the work): their
 * lengths, and what each of their numbers stands for. */
#pragma once

#include "crypto/aes.h"
#include "mechanisms/mechanism.h"

enum { KW_OVERHEAD_MAX = 16 };

/* Length of a wrapped input; 0: one that can't be wrapped. */
size_t kw_wrapped_len(const struct mechanism *mechanism, size_t len);
/* Greatest length of what can come out; 0: nothing. */
size_t kw_unwrapped_max(const struct mechanism *mechanism, size_t wrapped_len);

bool kw_wrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	     size_t *ret_len);
/* `ret` has room for kw_unwrapped_max. */
bool kw_unwrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	       size_t *ret_len);
