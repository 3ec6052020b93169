/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The one place in the tool that names the providers. */
#include "cli/providers.h"

#include "base/macros.h"

#include <string.h>

static const struct key_provider providers[] = {
	{"aws", "arn:aws", &policy_aws, NULL},
	{"local", "arn:local:", NULL,
	 "if you trust that key: cmek key add --project P KEY (if another host made it, copy its "
	 "local.keys first)"},
};

const struct key_provider *key_provider_of(const char *arn)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++)
		if (strncmp(arn, providers[i].prefix, strlen(providers[i].prefix)) == 0)
			return &providers[i];
	return NULL;
}

const struct key_provider *key_provider_with_policies(void)
{
	size_t i = 0;

	while (providers[i].policies == NULL)
		i++;
	return &providers[i];
}
