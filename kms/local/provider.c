/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded KMS as a row. */
#include "kms/local/provider.h"

#include "base/encode.h"
#include "base/macros.h"
#include "kms/local/local.h"
#include "kms/local/names.h"

#include <stddef.h>

static const char *path_of(const struct kms_settings *settings)
{
	return ((const struct kms_local_settings *)provider_section(settings, &kms_local))->path;
}

static enum kms_status open_client(const struct kms_settings *settings, void *shared,
				   const char *region, struct kms_report *report,
				   struct kms_client **ret_client)
{
	(void)shared;
	(void)region;
	return local_client_new(path_of(settings), settings->clock, report, ret_client);
}

static enum kms_status describe(const struct kms_settings *settings, void *shared,
				const char *region, struct kms_report *report,
				struct buffer *ret_text)
{
	const char *path = path_of(settings);

	(void)shared;
	(void)region;
	(void)report;
	buffer_format(ret_text, "keys: %s\n", path == NULL ? "(no file configured)" : path);
	return ret_text->failed ? KMS_NO_MEMORY : KMS_OK;
}

/* It knows nobody's name: whoever can read its file may use its keys. */
static void note_caller(const struct kms_settings *settings, struct kms_caller *caller)
{
	if (path_of(settings) != NULL)
		utf8_cut(path_of(settings), sizeof(caller->identity), caller->identity);
}

/* Which file was looked into and which names are near is in the message. */
static const struct kms_remedy remedies[] = {
	{KMS_DISABLED, "enable the key: cmek key enable"},
	{KMS_UNAVAILABLE, "it is tried again at the next use"},
	{KMS_NOT_FOUND, NULL},
	{KMS_MISCONFIGURED, NULL},
};

static const struct kms_setting rows[] = {
	{"path", KMS_SETTING_FILE, offsetof(struct kms_local_settings, path), 0, 0, "local.keys"},
};

const struct kms_provider kms_local = {
	.name = "local",
	.key_names = "local:NAME",
	.patterns = "local:*",
	.read_name = local_read_name,
	.label = local_label,
	.read_fields = local_read_fields,
	.read_pattern = local_read_pattern,
	.is_own_name = local_is_own_name,
	.section_size = sizeof(struct kms_local_settings),
	.settings = rows,
	.setting_count = COUNT_OF(rows),
	.embedded = true,
	.only_region = "local",
	.remedies = remedies,
	.remedy_count = COUNT_OF(remedies),
	.open = open_client,
	.describe = describe,
	.note_caller = note_caller,
};
