/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The profile of AWS's shared config and credentials files that is in force. */
#include "aws/profile.h"

#include "aws/file.h"
#include "base/macros.h"
#include "net/answer.h"

static bool choose(const struct aws_settings *settings, const struct environment *environment,
		   struct profile *profile)
{
	const char *name = settings->profile;

	if (name == NULL)
		name = environment_get(environment, ENV_PROFILE);
	profile->named = name != NULL;
	buffer_put_text(&profile->name, name == NULL ? "default" : name);
	return buffer_text(&profile->name) != NULL;
}

static enum kms_status read_file(struct aws_file *file, const struct environment *environment,
				 enum environment_name variable, const char *standard,
				 struct kms_report *report)
{
	const char *given = environment_get(environment, variable);

	return aws_file_read(file, given == NULL ? standard : given, given != NULL,
			     environment_get(environment, ENV_HOME), report);
}

static const char *name_of(const struct profile *profile)
{
	return (const char *)profile->name.data;
}

/* Of the profile's section in the config file, [profile NAME]; the default one's may also be
 * [default]. */
static const char *config_kind(const struct profile *profile)
{
	static const char kind[] = "profile";

	return strcmp(name_of(profile), "default") == 0 &&
			       !aws_file_has(&profile->config, kind, name_of(profile))
		       ? NULL
		       : kind;
}

static bool find_exists(const struct profile *profile)
{
	return aws_file_has(&profile->config, config_kind(profile), name_of(profile)) ||
	       aws_file_has(&profile->credentials, NULL, name_of(profile));
}

enum kms_status profile_load(const struct aws_settings *settings,
			     const struct environment *environment, struct kms_report *report,
			     struct profile *profile)
{
	if (!choose(settings, environment, profile))
		return KMS_NO_MEMORY;
	TRY(read_file(&profile->config, environment, ENV_CONFIG_FILE, "~/.aws/config", report));
	TRY(read_file(&profile->credentials, environment, ENV_CREDENTIALS_FILE,
		      "~/.aws/credentials", report));
	profile->exists = find_exists(profile);
	return KMS_OK;
}

enum kms_status profile_require(const struct profile *profile, struct kms_report *report)
{
	if (profile->exists || !profile->named)
		return KMS_OK;
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
			"AWS profile '%s' is neither in %s nor in %s: add it, or name another "
			"(AWS_PROFILE, [aws] profile, source_profile)",
			(const char *)profile->name.data, (const char *)profile->config.path.data,
			(const char *)profile->credentials.path.data);
}

void profile_clear(struct profile *profile)
{
	buffer_clear(&profile->name);
	aws_file_clear(&profile->config);
	aws_file_clear(&profile->credentials);
}

static const char *not_empty(const char *value)
{
	return value == NULL || value[0] == 0 ? NULL : value;
}

const char *profile_credentials(const struct profile *profile, const char *key)
{
	return not_empty(aws_file_find(&profile->credentials, NULL, name_of(profile), key));
}

const char *profile_config(const struct profile *profile, const char *key)
{
	return not_empty(
		aws_file_find(&profile->config, config_kind(profile), name_of(profile), key));
}

const char *profile_get(const struct profile *profile, const char *key)
{
	const char *value = profile_credentials(profile, key);

	return value != NULL ? value : profile_config(profile, key);
}

bool profile_select(struct profile *profile, const char *name)
{
	AUTO(buffer_clear) struct buffer copy = {0}; /* `name` may be the profile's own */

	buffer_put_text(&copy, name);
	buffer_truncate(&profile->name, 0);
	buffer_append(&profile->name, buffer_bytes(&copy));
	profile->named = true;
	if (copy.failed || buffer_text(&profile->name) == NULL)
		return false;
	profile->exists = find_exists(profile);
	return true;
}

const char *profile_section(const struct profile *profile, const char *kind, const char *name,
			    const char *key)
{
	return not_empty(aws_file_find(&profile->config, kind, name, key));
}

/* The value of `key = value` among the lines of a nested section; no bytes if there is none. */
static struct bytes nested_find(const char *lines, const char *key)
{
	while (*lines != 0) {
		size_t len = strcspn(lines, "\n");
		const char *equals = memchr(lines, '=', len);

		if (equals != NULL &&
		    bytes_are(bytes_trim(bytes(lines, (size_t)(equals - lines))), key))
			return bytes_trim(bytes(equals + 1, len - (size_t)(equals - lines) - 1));
		lines += len + (lines[len] == '\n');
	}
	return bytes(NULL, 0);
}

bool profile_service_endpoint(const struct profile *profile, const char *service,
			      struct buffer *out)
{
	const char *services = profile_config(profile, "services");
	const char *nested;
	struct bytes url;

	if (services == NULL)
		return false;
	nested = aws_file_find(&profile->config, "services", services, service);
	url = nested == NULL ? bytes(NULL, 0) : nested_find(nested, "endpoint_url");
	buffer_append(out, url);
	return url.len > 0;
}
