/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials as the profile in force says: static keys, a role assumed with another profile's
 * credentials, web identity, IAM Identity Center, or a program. A profile that can't be used is
 * refused by name: using some other identity in its place would be worse than none.
 */
#include "aws/credentials/sources.h"
#include "aws/profile.h"
#include "aws/sts.h"
#include "base/encode.h"
#include "base/macros.h"
#include "net/answer.h"

enum { CHAIN_MAX = 16, DURATION_MIN_S = 900, DURATION_MAX_S = 43200 };

/* The way from the profile in force to the one that needs no other profile's credentials. */
struct walk {
	const struct credentials_place *place;
	struct kms_report *report;
	struct profile *profile; /* the one that is looked at now */
	const char *visited[CHAIN_MAX];
	size_t count;
};

typedef const char *get_value(const struct profile *profile, const char *key);

static const char *name_of(const struct walk *walk)
{
	return (const char *)walk->profile->name.data;
}

static const char *get(const struct walk *walk, const char *key)
{
	return profile_get(walk->profile, key);
}

static enum kms_status take_static(const struct walk *walk, get_value *value,
				   struct credentials *ret_credentials)
{
	const char *id = value(walk->profile, "aws_access_key_id");
	const char *secret = value(walk->profile, "aws_secret_access_key");
	const char *token = value(walk->profile, "aws_session_token");

	if (secret == NULL)
		return kms_fail(KMS_NO_CREDENTIALS, walk->report, NULL,
				"AWS profile '%s' has aws_access_key_id, but no "
				"aws_secret_access_key",
				name_of(walk));
	buffer_put_text(&ret_credentials->access_key_id, id);
	buffer_put_text(&ret_credentials->secret_access_key, secret);
	buffer_put_text(&ret_credentials->session_token, token == NULL ? "" : token);
	buffer_put_text(&ret_credentials->origin, "static keys");
	return KMS_OK;
}

static enum kms_status take_from_credentials(struct walk *walk, struct credentials *ret)
{
	return take_static(walk, profile_credentials, ret);
}

static enum kms_status take_from_config(struct walk *walk, struct credentials *ret)
{
	return take_static(walk, profile_config, ret);
}

static enum kms_status take_sso(struct walk *walk, struct credentials *ret)
{
	return credentials_from_sso(walk->place, walk->profile, walk->report, ret);
}

static enum kms_status take_process(struct walk *walk, struct credentials *ret)
{
	return credentials_from_process(walk->place, get(walk, "credential_process"), walk->report,
					ret);
}

static enum kms_status refuse(const struct walk *walk, const char *what)
{
	return kms_fail(KMS_NO_CREDENTIALS, walk->report, NULL, "AWS profile '%s' %s",
			name_of(walk), what);
}

static enum kms_status refuse_login(struct walk *walk, struct credentials *ret)
{
	(void)ret;
	return refuse(walk, "uses login_session ('aws login'), which this release can't; use "
			    "'aws configure export-credentials' as its credential_process");
}

static enum kms_status refuse_without_role(struct walk *walk, struct credentials *ret)
{
	(void)ret;
	return refuse(walk, "has source_profile or credential_source, but no role_arn");
}

/* The duration; NULL if it is not set. */
static enum kms_status read_duration(const struct walk *walk, const char **ret_duration)
{
	const char *text = get(walk, "duration_seconds");
	uint64_t seconds = 0;

	if (text != NULL &&
	    (!decimal_decode(text, DURATION_MAX_S, &seconds) || seconds < DURATION_MIN_S))
		return refuse(walk, "has a duration_seconds that is not 900 to 43200");
	*ret_duration = text;
	return KMS_OK;
}

static enum kms_status take_web_identity(struct walk *walk, struct credentials *ret)
{
	const char *role = get(walk, "role_arn"), *duration;

	if (role == NULL)
		return refuse(walk, "has web_identity_token_file, but no role_arn");
	TRY(read_duration(walk, &duration));
	return credentials_from_web_identity(
		walk->place, role, get(walk, "web_identity_token_file"),
		get(walk, "role_session_name"), duration, walk->report, ret);
}

static const struct {
	const char *name;
	enum kms_status (*fetch)(const struct credentials_place *place, struct kms_report *report,
				 struct credentials *ret_credentials);
} credential_sources[] = {
	{"Environment", credentials_from_environment},
	{"Ec2InstanceMetadata", credentials_from_imds},
	{"EcsContainer", credentials_from_container},
};

static enum kms_status from_credential_source(const struct walk *walk, const char *name,
					      struct credentials *ret)
{
	for (size_t i = 0; i < COUNT_OF(credential_sources); i++) {
		enum kms_status status;

		if (strcmp(credential_sources[i].name, name) != 0)
			continue;
		status = credential_sources[i].fetch(walk->place, walk->report, ret);
		if (status != KMS_NOT_FOUND)
			return status;
		return kms_fail(KMS_NO_CREDENTIALS, walk->report, NULL,
				"AWS profile '%s' has credential_source = %s, which is not set up "
				"here",
				name_of(walk), name);
	}
	return refuse(walk, "has a credential_source that is none of Environment, "
			    "Ec2InstanceMetadata, EcsContainer");
}

static enum kms_status resolve(struct walk *walk, bool is_source, struct credentials *ret);

/* Signs with the credentials of the profile that this one names; then returns to this one. */
static enum kms_status from_source_profile(struct walk *walk, const char *source,
					   struct credentials *ret)
{
	const char *self = walk->visited[walk->count - 1];
	bool own = strcmp(source, self) == 0;

	for (size_t i = 0; i + 1 < walk->count; i++)
		if (strcmp(walk->visited[i], source) == 0)
			return refuse(walk, "and its source_profile name each other in a circle");
	if (own && profile_get(walk->profile, "aws_access_key_id") == NULL)
		return refuse(walk, "names itself as source_profile, but has no static keys");
	if (walk->count == CHAIN_MAX)
		return refuse(walk, "has more than 16 profiles behind it");
	walk->visited[walk->count++] = source;
	if (!profile_select(walk->profile, source))
		return KMS_NO_MEMORY;
	TRY(resolve(walk, true, ret));
	walk->count--;
	return profile_select(walk->profile, self) ? KMS_OK : KMS_NO_MEMORY;
}

static enum kms_status find_signer(struct walk *walk, struct credentials *ret)
{
	const char *profile = get(walk, "source_profile");
	const char *source = get(walk, "credential_source");

	if (get(walk, "mfa_serial") != NULL)
		return refuse(walk, "has mfa_serial, and a module can't ask for a code; take the "
				    "role with the AWS CLI, and let credential_process hand it on");
	if ((profile == NULL) == (source == NULL))
		return refuse(walk, "has role_arn, which needs either source_profile or "
				    "credential_source");
	if (profile != NULL)
		TRY(from_source_profile(walk, profile, ret));
	else
		TRY(from_credential_source(walk, source, ret));
	return credentials_check(ret, walk->report);
}

static enum kms_status take_role(struct walk *walk, struct credentials *ret)
{
	AUTO(credentials_clear) struct credentials signer = {0};
	struct sts_role role = {0};

	TRY(find_signer(walk, &signer));
	role.arn = get(walk, "role_arn");
	role.session_name = get(walk, "role_session_name");
	role.external_id = get(walk, "external_id");
	TRY(read_duration(walk, &role.duration));
	TRY(sts_assume_role(walk->place, &role, &signer, walk->report, ret));
	buffer_format(&ret->origin, "role %s by %s", role.arn, buffer_text(&signer.origin));
	return KMS_OK;
}

/* The ways in which a profile gets credentials; the first that it has is used. In a profile that
 * lends its credentials to a role, static keys come before all others. */
static const struct way {
	const char *key;
	get_value *get;
	enum kms_status (*take)(struct walk *walk, struct credentials *ret_credentials);
	bool is_static;
} ways[] = {
	/* clang-format off */
	{ "web_identity_token_file", profile_get,         take_web_identity,     false },
	{ "role_arn",                profile_get,         take_role,             false },
	{ "sso_session",             profile_get,         take_sso,              false },
	{ "sso_start_url",           profile_get,         take_sso,              false },
	{ "aws_access_key_id",       profile_credentials, take_from_credentials, true },
	{ "login_session",           profile_get,         refuse_login,          false },
	{ "credential_process",      profile_get,         take_process,          false },
	{ "aws_access_key_id",       profile_config,      take_from_config,      true },
	{ "credential_source",       profile_get,         refuse_without_role,   false },
	{ "source_profile",          profile_get,         refuse_without_role,   false },
	/* clang-format on */
};

static const struct way *find_way(const struct profile *profile, bool is_source)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++)
		if (is_source && ways[i].is_static && ways[i].get(profile, ways[i].key) != NULL)
			return &ways[i];
	for (size_t i = 0; i < COUNT_OF(ways); i++)
		if (ways[i].get(profile, ways[i].key) != NULL)
			return &ways[i];
	return NULL;
}

static enum kms_status no_way(const struct walk *walk)
{
	TRY(profile_require(walk->profile, walk->report));
	return walk->profile->named ? refuse(walk, "has no credentials") : KMS_NOT_FOUND;
}

static enum kms_status resolve(struct walk *walk, bool is_source, struct credentials *ret)
{
	const struct way *way = find_way(walk->profile, is_source);
	AUTO(buffer_clear) struct buffer origin = {0};

	if (way == NULL)
		return no_way(walk);
	TRY(way->take(walk, ret));
	buffer_format(&origin, "profile %s: %s", name_of(walk), buffer_text(&ret->origin));
	buffer_truncate(&ret->origin, 0);
	buffer_append(&ret->origin, buffer_bytes(&origin));
	return origin.failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	AUTO(profile_clear) struct profile profile = {0};
	AUTO(buffer_clear) struct buffer name = {0};
	struct walk walk = {.place = place, .report = report, .profile = &profile, .count = 1};

	TRY(profile_load(place->settings, place->environment, report, &profile));
	buffer_append(&name, buffer_bytes(&profile.name));
	walk.visited[0] = buffer_text(&name);
	if (walk.visited[0] == NULL)
		return KMS_NO_MEMORY;
	return resolve(&walk, false, ret_credentials);
}

const struct credentials_source credentials_profile = {"profile", fetch};
