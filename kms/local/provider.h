/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded KMS as a row of the list of providers. */
#pragma once

#include "kms/provider.h"

extern const struct kms_provider kms_local;
