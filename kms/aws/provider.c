/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS KMS as a row. */
#include "kms/aws/provider.h"

#include "base/macros.h"
#include "kms/aws/aws.h"
#include "kms/aws/names.h"

#include <stddef.h>

#define AT(member) offsetof(struct kms_aws_settings, member)

/* clang-format off */
static const struct kms_setting rows[] = {
	/* key                        form                 goes to                         default  at most */
	{ "profile",                KMS_SETTING_TEXT,    AT(aws.profile),                   0, 0, NULL },
	{ "region",                 KMS_SETTING_TEXT,    AT(aws.region),                    0, 0, NULL },
	{ "multi_region_order",     KMS_SETTING_REGIONS, AT(multi_region_order),            0, 0, NULL },
	{ "endpoint_url",           KMS_SETTING_TEXT,    AT(aws.endpoint_url),              0, 0, NULL },
	{ "ca_bundle",              KMS_SETTING_FILE,    AT(aws.ca_bundle),                 0, 0, NULL },
	{ "use_fips_endpoint",      KMS_SETTING_FLAG,    AT(aws.use_fips_endpoint),         0, 0, NULL },
	{ "use_dualstack_endpoint", KMS_SETTING_FLAG,    AT(aws.use_dualstack_endpoint),    0, 0, NULL },
	{ "connect_timeout_ms",     KMS_SETTING_NUMBER,  AT(aws.connect_timeout_ms),     2000, 600000, NULL },
	{ "attempt_timeout_ms",     KMS_SETTING_NUMBER,  AT(aws.attempt_timeout_ms),     5000, 600000, NULL },
	{ "call_timeout_ms",        KMS_SETTING_NUMBER,  AT(aws.call_timeout_ms),       15000, 600000, NULL },
	{ "max_attempts",           KMS_SETTING_NUMBER,  AT(aws.max_attempts),              0, 100, NULL },
	{ "max_idle_connections",   KMS_SETTING_NUMBER,  AT(aws.max_idle_connections),      8, 1000, NULL },
};
/* clang-format on */

static unsigned call_ms(const void *section)
{
	return ((const struct kms_aws_settings *)section)->aws.call_timeout_ms;
}

static const char *region_order(const void *section)
{
	return ((const struct kms_aws_settings *)section)->multi_region_order;
}

static void *shared_new(const struct kms_settings *settings)
{
	return aws_new(settings, NULL);
}

static void shared_free(void *shared)
{
	aws_free(shared);
}

static void shared_abandon(void *shared)
{
	aws_abandon(shared);
}

static enum kms_status find_region(void *shared, struct kms_report *report,
				   char ret_region[static KMS_REGION_MAX + 1])
{
	return aws_region(shared, report, ret_region);
}

static enum kms_status open_client(const struct kms_settings *settings, void *shared,
				   const char *region, struct kms_report *report,
				   struct kms_client **ret_client)
{
	(void)settings;
	return aws_client_new(shared, region, report, ret_client);
}

static enum kms_status describe(const struct kms_settings *settings, void *shared,
				const char *region, struct kms_report *report,
				struct buffer *ret_text)
{
	(void)settings;
	return aws_describe(shared, region, report, ret_text);
}

static const struct kms_remedy remedies[] = {
	{KMS_UNSUPPORTED, "do it in AWS: aws kms enable-key, aws kms disable-key"},
};

const struct kms_provider kms_aws = {
	.name = "aws",
	.key_names = "a key ARN, an alias ARN, alias/NAME, a key id",
	.patterns = "key ARNs (a * stands for any part of a field), ACCOUNT, ACCOUNT/REGION",
	.read_name = aws_read_name,
	.label = aws_label,
	.read_fields = aws_read_fields,
	.read_pattern = aws_read_pattern,
	.is_own_name = aws_is_own_name,
	.in_region = aws_in_region,
	.section_size = sizeof(struct kms_aws_settings),
	.settings = rows,
	.setting_count = COUNT_OF(rows),
	.call_ms = call_ms,
	.region_order = region_order,
	.remedies = remedies,
	.remedy_count = COUNT_OF(remedies),
	.shared_new = shared_new,
	.shared_free = shared_free,
	.shared_abandon = shared_abandon,
	.find_region = find_region,
	.open = open_client,
	.describe = describe,
};
