/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What mechanisms share that are AES-GCM by the ready key's schedule (operation.h says what a step
 * is): a start by IV, AAD and length of the tag, which are the parameter's; to encrypt, the tag
 * follows the text; to decrypt, nothing comes out before the tag was looked at. */
#pragma once

#include "mechanisms/cipher.h"

/* CK_GCM_PARAMS, in both of its forms. */
CK_RV gcm_read(const CK_MECHANISM *given, struct parameter *parameter);
CK_RV gcm_start(struct operation *op, struct parameter *parameter);

/* Encrypting: all at once, a part, the tag. The parts are aes_part() and aes_last(). */
CK_RV gcm_seal_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV gcm_text_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV gcm_tag_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV gcm_seal_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
/* Decrypting: all at once. Parts are collected. */
CK_RV gcm_open_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
CK_RV gcm_open_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
