/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Related multi-Region keys: one key under a name in each region. What one encrypted, each
 * decrypts. */
#include "kms/replica.h"

#include "base/arn.h"
#include "kms/provider.h"

/* Cuts the next word off a list with spaces; no bytes: there are no more. */
static struct bytes next_word(const char **list)
{
	struct bytes word;

	*list += strspn(*list, " ");
	word = bytes(*list, strcspn(*list, " "));
	*list += word.len;
	return word;
}

bool kms_regions_valid(const char *order)
{
	struct bytes region;
	size_t count = 0;

	for (; (region = next_word(&order)).len > 0; count++)
		if (!region_valid(region))
			return false;
	return count <= REPLICA_REGIONS_MAX;
}

/* Whether a word before `end` gives this name already. */
static bool came_before(const struct kms_provider *const *providers, const char *order,
			const char *end, const char *arn)
{
	char earlier[KMS_ARN_MAX + 1];

	while (order < end)
		if (kms_arn_in_region(providers, arn, next_word(&order), earlier) &&
		    strcmp(earlier, arn) == 0)
			return true;
	return false;
}

static const char *order_of(const struct kms_settings *settings, const char *arn)
{
	struct bytes region;
	const struct kms_provider *provider = provider_of_key(settings->providers, arn, &region);
	const char *order = provider_region_order(settings, provider);

	return order == NULL ? "" : order;
}

bool replica_name(const struct kms_settings *settings, const char *arn, size_t index,
		  char ret_arn[static KMS_ARN_MAX + 1])
{
	const struct kms_provider *const *providers = settings->providers;
	const char *order = order_of(settings, arn), *at = order;
	size_t count = 0;

	for (const char *word = at; count < REPLICA_REGIONS_MAX; word = at) {
		struct bytes region = next_word(&at);

		if (region.len == 0)
			break;
		/* What is no region, or comes again, is no name. */
		if (!kms_arn_in_region(providers, arn, region, ret_arn) ||
		    came_before(providers, order, word, ret_arn))
			continue;
		if (count++ == index)
			return true;
	}
	/* The key's own region is asked last, unless the order has it. */
	if (index != count || came_before(providers, order, at, arn) || strlen(arn) > KMS_ARN_MAX)
		return false;
	strcpy(ret_arn, arn);
	return true;
}
