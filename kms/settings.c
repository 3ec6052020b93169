/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of kms.h as the clients keep them. */
#include "kms/settings.h"

#include "base/macros.h"
#include "kms/provider.h"

#include <assert.h>
#include <stdlib.h>

static void *at(void *section, size_t field)
{
	return (char *)section + field;
}

static bool is_text(const struct kms_setting *setting)
{
	return setting->form != KMS_SETTING_FLAG && setting->form != KMS_SETTING_NUMBER;
}

/* Each text: those that concern all, then those of the providers' own sections; false: there are no
 * more. A section that is missing has none. */
static bool text_at(struct kms_settings *settings, size_t index, char ***ret_text)
{
	static const size_t others[] = {offsetof(struct kms_settings, allowed_root_keys),
					offsetof(struct kms_settings, allowed_root_keys_at)};

	if (index < COUNT_OF(others)) {
		*ret_text = at(settings, others[index]);
		return true;
	}
	index -= COUNT_OF(others);
	for (size_t p = 0; settings->providers[p] != NULL; p++)
		for (size_t i = 0; i < settings->providers[p]->setting_count; i++) {
			const struct kms_setting *setting = &settings->providers[p]->settings[i];

			if (settings->sections[p] == NULL || !is_text(setting) || index-- > 0)
				continue;
			*ret_text = at(settings->sections[p], setting->field);
			return true;
		}
	return false;
}

static void fill_numbers(const struct kms_provider *provider, void *section)
{
	for (size_t i = 0; i < provider->setting_count; i++) {
		const struct kms_setting *setting = &provider->settings[i];
		unsigned *value = at(section, setting->field);

		if (setting->form == KMS_SETTING_NUMBER && *value == 0)
			*value = setting->usual;
	}
}

/* A copy, the texts still borrowed; NULL: no memory. */
static void *copy_section(const struct kms_provider *provider, const void *given)
{
	void *section = calloc(1, provider->section_size);

	if (section == NULL)
		return NULL;
	if (given != NULL)
		memcpy(section, given, provider->section_size);
	fill_numbers(provider, section);
	return section;
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
	bool good = true;

	for (size_t i = 0; copy.providers[i] != NULL; i++) {
		const struct kms_provider *provider = copy.providers[i];

		assert(i < KMS_PROVIDERS_MAX);
		copy.sections[i] = NULL;
		if (provider->section_size == 0)
			continue;
		copy.sections[i] = copy_section(provider, settings->sections[i]);
		good &= copy.sections[i] != NULL;
	}
	if (copy.clock == NULL)
		copy.clock = &clock_system;
	if (!own_texts(&copy) || !good) {
		settings_clear(&copy);
		return false;
	}
	*ret_copy = copy;
	return true;
}

void settings_clear(struct kms_settings *copy)
{
	char **text;

	if (copy->providers == NULL)
		return;
	for (size_t i = 0; text_at(copy, i, &text); i++) {
		free(*text);
		*text = NULL;
	}
	for (size_t i = 0; copy->providers[i] != NULL; i++) {
		free(copy->sections[i]);
		copy->sections[i] = NULL;
	}
}
