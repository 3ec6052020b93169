/*
 * Credentials from the profile in force: its static keys and session token. A profile that gets its
 * identity in another way is refused by name: using some other identity in its place would be worse
 * than none.
 */
#include "kms/credentials.h"

#include "base/macros.h"
#include "kms/profile.h"
#include "kms/report.h"

/* Ways of other sources, those that win over static keys first. */
static const struct way {
	const char *key;
	bool wins; /* over static keys of the credentials file */
} other_ways[] = {
	/* clang-format off */
	{ "role_arn",                true },
	{ "web_identity_token_file", true },
	{ "sso_session",             true },
	{ "sso_start_url",           true },
	{ "credential_source",       true },
	{ "login_session",           false },
	{ "credential_process",      false },
	/* clang-format on */
};

static const struct way *other_way(const struct profile *profile, bool has_static_keys)
{
	for (size_t i = 0; i < COUNT_OF(other_ways); i++)
		if ((other_ways[i].wins || !has_static_keys) &&
		    profile_get(profile, other_ways[i].key) != NULL)
			return &other_ways[i];
	return NULL;
}

typedef const char *getter(const struct profile *profile, const char *key);

static enum kms_status take_static(const struct profile *profile, getter *get,
				   struct kms_report *report, struct credentials *ret_credentials)
{
	const char *secret = get(profile, "aws_secret_access_key");
	const char *token = get(profile, "aws_session_token");

	if (secret == NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS profile '%s' has aws_access_key_id, but no "
				"aws_secret_access_key",
				(const char *)profile->name.data);
	buffer_put_text(&ret_credentials->access_key_id, get(profile, "aws_access_key_id"));
	buffer_put_text(&ret_credentials->secret_access_key, secret);
	buffer_put_text(&ret_credentials->session_token, token == NULL ? "" : token);
	return KMS_OK;
}

static enum kms_status not_usable(const struct profile *profile, const struct way *way,
				  struct kms_report *report)
{
	const char *name = (const char *)profile->name.data;

	if (!profile->exists && profile->named)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS profile '%s' is neither in %s nor in %s", name,
				(const char *)profile->config.path.data,
				(const char *)profile->credentials.path.data);
	if (way != NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS profile '%s' uses %s, which this release can't; give it "
				"static keys, or export credentials ('aws configure "
				"export-credentials --format env')",
				name, way->key);
	if (profile->named)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS profile '%s' has no credentials", name);
	return KMS_NOT_FOUND;
}

static enum kms_status take(const struct profile *profile, struct kms_report *report,
			    struct credentials *ret_credentials)
{
	bool in_credentials = profile_credentials(profile, "aws_access_key_id") != NULL;
	const struct way *way = other_way(profile, in_credentials);

	if (way == NULL && in_credentials)
		return take_static(profile, profile_credentials, report, ret_credentials);
	if (way == NULL && profile_config(profile, "aws_access_key_id") != NULL)
		return take_static(profile, profile_config, report, ret_credentials);
	return not_usable(profile, way, report);
}

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	AUTO(profile_clear) struct profile profile = {0};

	TRY(profile_load(place->settings, place->environment, report, &profile));
	return take(&profile, report, ret_credentials);
}

const struct credentials_source credentials_profile = {"profile", fetch};
