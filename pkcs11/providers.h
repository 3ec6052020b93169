/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS providers of this module: a row each (kms/provider.h), and NULL. */
#pragma once

#include "kms/provider.h"

enum { PROVIDER_AWS, PROVIDER_LOCAL }; /* their places, and those of their sections */
extern const struct kms_provider *const module_providers[];
