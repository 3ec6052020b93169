/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS KMS as a row. */
#include "kms/aws/provider.h"

#include "kms/aws/aws.h"
#include "kms/aws/names.h"

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

const struct kms_provider kms_aws = {
	.name = "aws",
	.key_names = "a key ARN, an alias ARN, alias/NAME, a key id",
	.patterns = "key ARNs (a * stands for any part of a field), ACCOUNT, ACCOUNT/REGION",
	.read_name = aws_read_name,
	.label = aws_label,
	.read_fields = aws_read_fields,
	.read_pattern = aws_read_pattern,
	.in_region = aws_in_region,
	.shared_new = shared_new,
	.shared_free = shared_free,
	.shared_abandon = shared_abandon,
	.find_region = find_region,
	.open = open_client,
	.describe = describe,
};
