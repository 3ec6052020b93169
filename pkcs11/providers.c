/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that names the providers. */
#include "pkcs11/providers.h"

#include "kms/aws/provider.h"
#include "kms/local/provider.h"

const struct kms_provider *const module_providers[] = {
	[PROVIDER_AWS] = &kms_aws,
	[PROVIDER_LOCAL] = &kms_local,
	NULL,
};
