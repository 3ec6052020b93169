/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded KMS as a row of the list of providers, and what [local] of cmek.conf sets. */
#pragma once

#include "kms/provider.h"

struct kms_local_settings {
	const char *path; /* of the file with its keys */
};

extern const struct kms_provider kms_local;
