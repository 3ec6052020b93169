/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of kms.h as the clients keep them. */
#include "kms/settings.h"

#include "base/macros.h"

#include <stdlib.h>

static const size_t texts[] = {
	offsetof(struct kms_settings, profile),
	offsetof(struct kms_settings, region),
	offsetof(struct kms_settings, endpoint_url),
	offsetof(struct kms_settings, ca_bundle),
	offsetof(struct kms_settings, local_path),
	offsetof(struct kms_settings, multi_region_order),
	offsetof(struct kms_settings, allowed_root_keys),
	offsetof(struct kms_settings, allowed_root_keys_at),
};

static const struct {
	size_t offset;
	unsigned value;
} defaults[] = {
	{offsetof(struct kms_settings, connect_timeout_ms), 2000},
	{offsetof(struct kms_settings, attempt_timeout_ms), 5000},
	{offsetof(struct kms_settings, call_timeout_ms), 15000},
	{offsetof(struct kms_settings, max_idle_connections), 8},
};

static char **text_at(struct kms_settings *settings, size_t i)
{
	return (char **)((char *)settings + texts[i]);
}

static void fill_defaults(struct kms_settings *copy)
{
	for (size_t i = 0; i < COUNT_OF(defaults); i++) {
		unsigned *value = (unsigned *)((char *)copy + defaults[i].offset);

		if (*value == 0)
			*value = defaults[i].value;
	}
	if (copy->clock == NULL)
		copy->clock = &clock_system;
}

/* Replaces a borrowed text by an own one; an empty text counts as not set. */
static bool own_text(char **text)
{
	if (*text == NULL)
		return true;
	if ((*text)[0] == 0) {
		*text = NULL;
		return true;
	}
	*text = strdup(*text);
	return *text != NULL;
}

static bool own_texts(struct kms_settings *copy)
{
	bool good = true;

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		good = own_text(text_at(copy, i)) && good;
	return good;
}

bool settings_copy(const struct kms_settings *settings, struct kms_settings *ret_copy)
{
	struct kms_settings copy = *settings;

	fill_defaults(&copy);
	if (!own_texts(&copy)) {
		settings_clear(&copy);
		return false;
	}
	*ret_copy = copy;
	return true;
}

void settings_clear(struct kms_settings *copy)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		free(*text_at(copy, i));
		*text_at(copy, i) = NULL;
	}
}
