/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The classes of cipher operations, by file; cipher.c has the table that chooses. */
#pragma once

#include "mechanisms/operation.h"

/* aes.c */
extern const struct cipher_class blocks_class; /* ECB and CBC */
extern const struct cipher_class pad_class;    /* CBC_PAD, encrypting */
extern const struct cipher_class unpad_class;  /* CBC_PAD, decrypting */
extern const struct cipher_class counter_class;
/* gcm.c */
extern const struct cipher_class seal_class;
extern const struct cipher_class open_class;
extern const struct cipher_class chunk_class; /* sealing, by an IV of the module's */
/* key_wrap.c: key wrap used as a cipher, as Java does */
extern const struct cipher_class kw_encrypt_class; /* KW, KWP */
extern const struct cipher_class kw_decrypt_class;
/* kms.c */
extern const struct cipher_class kms_encrypt_class;
extern const struct cipher_class kms_decrypt_class;

/* Shared by those over struct aes: a further part, and all at once. */
CK_RV aes_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV aes_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV aes_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len);
CK_RV same_bound(const struct operation *op, size_t in_len, size_t *ret_bound);
