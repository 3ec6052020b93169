/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of kms.h as the clients keep them. */
#include "kms/settings.h"

#include "base/macros.h"
#include "kms/provider.h"

#include <stdlib.h>

static void *at(struct kms_settings *settings, size_t field)
{
	return (char *)settings + field;
}

static bool is_text(const struct kms_setting *setting)
{
	return setting->form != KMS_SETTING_FLAG && setting->form != KMS_SETTING_NUMBER;
}

/* Each text of the providers' own sections, and those that concern all; false: there are no more.
 */
static bool text_at(struct kms_settings *settings, size_t index, char ***ret_text)
{
	static const size_t others[] = {offsetof(struct kms_settings, allowed_root_keys),
					offsetof(struct kms_settings, allowed_root_keys_at)};
	const struct kms_provider *const *provider = settings->providers;

	if (index < COUNT_OF(others)) {
		*ret_text = at(settings, others[index]);
		return true;
	}
	index -= COUNT_OF(others);
	for (; *provider != NULL; provider++)
		for (size_t i = 0; i < (*provider)->setting_count; i++)
			if (is_text(&(*provider)->settings[i]) && index-- == 0) {
				*ret_text = at(settings, (*provider)->settings[i].field);
				return true;
			}
	return false;
}

static void fill_numbers(struct kms_settings *copy, const struct kms_provider *provider)
{
	for (size_t i = 0; i < provider->setting_count; i++) {
		const struct kms_setting *setting = &provider->settings[i];
		unsigned *value = at(copy, setting->field);

		if (setting->form == KMS_SETTING_NUMBER && *value == 0)
			*value = setting->usual;
	}
}

static void fill_defaults(struct kms_settings *copy)
{
	for (const struct kms_provider *const *provider = copy->providers; *provider != NULL;
	     provider++)
		fill_numbers(copy, *provider);
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
	char **text;

	for (size_t i = 0; text_at(copy, i, &text); i++)
		good = own_text(text) && good;
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
	char **text;

	for (size_t i = 0; copy->providers != NULL && text_at(copy, i, &text); i++) {
		free(*text);
		*text = NULL;
	}
}
