/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Looking through the list of providers. */
#include "kms/provider.h"

#include "base/macros.h"

enum { USUAL_CALL_MS = 15000 };

const struct kms_provider *provider_find(const struct kms_provider *const *providers,
					 const char *name)
{
	for (; *providers != NULL; providers++)
		if (strcmp((*providers)->name, name) == 0)
			return *providers;
	return NULL;
}

const struct kms_provider *provider_of_key(const struct kms_provider *const *providers,
					   const char *key, struct bytes *ret_region)
{
	if (key == NULL || strlen(key) > KMS_ARN_MAX)
		return NULL;
	for (; *providers != NULL; providers++)
		if ((*providers)->read_name(key, ret_region) && ret_region->len <= KMS_REGION_MAX)
			return *providers;
	return NULL;
}

void *provider_section(const struct kms_settings *settings, const struct kms_provider *provider)
{
	for (size_t i = 0; settings->providers[i] != NULL; i++)
		if (settings->providers[i] == provider)
			return settings->sections[i];
	return NULL;
}

unsigned provider_call_ms(const struct kms_settings *settings, const struct kms_provider *provider)
{
	const void *section = provider == NULL ? NULL : provider_section(settings, provider);
	unsigned ms = section == NULL || provider->call_ms == NULL ? 0 : provider->call_ms(section);

	return ms == 0 ? USUAL_CALL_MS : ms;
}

unsigned kms_settings_call_ms(const struct kms_settings *settings)
{
	unsigned greatest = 0;

	for (size_t i = 0; settings->providers[i] != NULL; i++) {
		unsigned ms = provider_call_ms(settings, settings->providers[i]);

		greatest = ms > greatest ? ms : greatest;
	}
	return greatest;
}

const char *provider_region_order(const struct kms_settings *settings,
				  const struct kms_provider *provider)
{
	const void *section = provider == NULL ? NULL : provider_section(settings, provider);

	return section == NULL || provider->region_order == NULL ? NULL
								 : provider->region_order(section);
}

static const char *text_of(const struct kms_provider *provider, size_t text)
{
	return *(const char *const *)(const void *)((const char *)provider + text);
}

void providers_put(const struct kms_provider *const *providers, size_t text, const char *last,
		   struct buffer *out)
{
	for (size_t i = 0; providers[i] != NULL; i++) {
		if (i > 0)
			buffer_put_text(out, providers[i + 1] == NULL ? last : ", ");
		buffer_put_text(out, text_of(providers[i], text));
	}
}
