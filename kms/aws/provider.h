/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS KMS as a row of the list of providers, and what [aws] of cmek.conf sets. */
#pragma once

#include "aws/settings.h"
#include "kms/provider.h"

struct kms_aws_settings {
	struct aws_settings aws; /* no_threads and clock are those of struct kms_settings */
	const char *multi_region_order;
};

extern const struct kms_provider kms_aws;
