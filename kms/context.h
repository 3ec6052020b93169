/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What every provider checks before it works: sizes, key names, encryption context. */
#pragma once

#include "kms/kms.h"

/* 1..KMS_PLAINTEXT_MAX and 1..KMS_BLOB_MAX bytes; else KMS_INVALID_REQUEST. */
enum kms_status check_plaintext(struct bytes plaintext, struct kms_report *report);
enum kms_status check_blob(struct bytes blob, struct kms_report *report);

/* Names not empty and unique, all text UTF-8, each at most 65,535 bytes; NULL is an empty context.
 * Else KMS_INVALID_REQUEST. */
enum kms_status check_context(const struct kms_context *context, struct kms_report *report);

/* The canonical form of docs/format-local-kms.md: checked, sorted, length-prefixed; appended. */
enum kms_status context_append(const struct kms_context *context, struct kms_report *report,
			       struct buffer *out);
