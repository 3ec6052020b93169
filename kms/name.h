/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of key names; kms_name_parse and kms_arn_same_key of kms.h are built on it. */
#pragma once

#include "base/bytes.h"

/* A name of the embedded KMS's keys: docs/format-local-kms.md. */
bool local_name_valid(struct bytes name);
