/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertexts of the embedded KMS, as specified in docs/format-local-kms.md. */
#pragma once

#include "kms/local/keys.h"

/* Appends the ciphertext of the plaintext under the key's newest material. */
enum kms_status local_seal(const struct local_key *key, struct bytes plaintext,
			   const struct kms_context *context, struct kms_report *report,
			   struct buffer *ret_blob);
/* Appends the plaintext. KMS_INVALID_CIPHERTEXT, KMS_INCORRECT_KEY. */
enum kms_status local_open(const struct local_key *key, struct bytes blob,
			   const struct kms_context *context, struct kms_report *report,
			   struct buffer *ret_plaintext);
