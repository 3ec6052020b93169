/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which class of operation a mechanism is, in each direction. */
#include "mechanisms/cipher.h"

/* clang-format off */
static const struct {
	const struct cipher_class *encrypt, *decrypt;
} classes[] = {
	[CIPHER_ECB]     = {&blocks_class,      &blocks_class},
	[CIPHER_CBC]     = {&blocks_class,      &blocks_class},
	[CIPHER_CBC_PAD] = {&pad_class,         &unpad_class},
	[CIPHER_CTR]     = {&counter_class,     &counter_class},
	[CIPHER_GCM]     = {&seal_class,        &open_class},
	[CIPHER_CHUNK]   = {&chunk_class,       NULL},
	[CIPHER_KW]      = {&kw_encrypt_class,  &kw_decrypt_class},
	[CIPHER_KWP]     = {&kw_encrypt_class,  &kw_decrypt_class},
	[CIPHER_KMS]     = {&kms_encrypt_class, &kms_decrypt_class},
};
/* clang-format on */

const struct cipher_class *cipher_class_find(const struct mechanism *mechanism,
					     enum operation_kind kind)
{
	if (mechanism->cipher >= COUNT_OF(classes))
		return NULL;
	return kind == OPERATION_DECRYPT ? classes[mechanism->cipher].decrypt
					 : classes[mechanism->cipher].encrypt;
}
