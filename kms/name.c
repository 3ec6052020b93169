/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys: which provider and region a name belongs to, and when two ARNs are one key. Nobody
 * is asked; whether the key exists is the KMS's to say. */
#include "kms/provider.h"

bool kms_name_parse(const struct kms_provider *const *providers, const char *key,
		    char ret_provider[static KMS_PROVIDER_MAX + 1],
		    char ret_region[static KMS_REGION_MAX + 1])
{
	struct bytes region;
	const struct kms_provider *provider = provider_of_key(providers, key, &region);

	if (provider == NULL || strlen(provider->name) > KMS_PROVIDER_MAX ||
	    region.len > KMS_REGION_MAX)
		return false;
	strcpy(ret_provider, provider->name);
	if (region.len > 0)
		memcpy(ret_region, region.data, region.len);
	ret_region[region.len] = 0;
	return true;
}

bool kms_arn_in_region(const struct kms_provider *const *providers, const char *arn,
		       struct bytes region, char ret_arn[static KMS_ARN_MAX + 1])
{
	for (; *providers != NULL; providers++)
		if ((*providers)->in_region != NULL &&
		    (*providers)->in_region(arn, region, ret_arn))
			return true;
	return false;
}

bool kms_same_key(const struct kms_provider *const *providers, const char *a, const char *b)
{
	char there[KMS_ARN_MAX + 1];
	struct bytes region;

	if (strcmp(a, b) == 0)
		return true;
	return provider_of_key(providers, b, &region) != NULL &&
	       kms_arn_in_region(providers, a, region, there) && strcmp(there, b) == 0;
}
