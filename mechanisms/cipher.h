/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the mechanisms over struct aes share. The key schedule is the ready key's; a start is an IV.
 */
#pragma once

#include "mechanisms/operation.h"
#include "mechanisms/wrapping.h"

/* Steps: a further part, the rest, and all at once. */
CK_RV aes_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV aes_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV aes_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
/* Begins with the IV alone. */
CK_RV iv_start(struct operation *op, struct parameter *parameter);

CK_RV same_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
/* Without padding a full block is never held back. */
CK_RV blocks_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
extern const struct cipher_class blocks_class; /* ECB and CBC without padding */
static inline size_t whole_blocks(size_t len)
{
	return len - len % AES_BLOCK;
}

/* A whole message by the ready key: IV, AAD and length of the tag are the parameter's. */
bool aes_message_run(struct aes *aes, const struct parameter *parameter, struct bytes in,
		     uint8_t *out, size_t *ret_len);
/* The same as a way of wrapping. */
CK_RV aes_wrap(struct ready_key *by, const struct parameter *parameter, struct bytes value,
	       uint8_t *ret_wrapped);
