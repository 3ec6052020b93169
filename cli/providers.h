/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool itself says of a provider, by its keys. What can be asked of the module is no
 * business of this. */
#pragma once

#include "cli/policy.h"

struct key_provider {
	const char *name;		    /* CKA_CMEK_PROVIDER */
	const char *prefix;		    /* of its keys' ARNs */
	const struct policy_form *policies; /* NULL: it has none */
	/* What to do about a file whose root key is none of this store; NULL: as usual. */
	const char *unknown_key;
};

/* The provider of a key, by its ARN; NULL: none that is known here. */
const struct key_provider *key_provider_of(const char *arn);
/* The first that has policies: for a project that is yet to get a key. */
const struct key_provider *key_provider_with_policies(void);
