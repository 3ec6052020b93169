/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of a role by IAM Identity Center (AWS SDKs and Tools Reference Guide, "IAM Identity
 * Center credential provider"): a profile's sso_session, or the older form within the profile. */
#include "aws/credentials/json.h"
#include "aws/credentials/sources.h"
#include "aws/credentials/sso_token.h"
#include "aws/profile.h"
#include "aws/service.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "net/answer.h"
#include "net/form.h"

#include <stdio.h>

static const struct credentials_form form = {
	.object = "roleCredentials",
	.id = "accessKeyId",
	.secret = "secretAccessKey",
	.token = "sessionToken",
	.expiration = "expiration",
	.expires = true,
	.since_1970 = true,
};

struct wanted {
	struct sso_session session;
	const char *account, *role;
};

static enum kms_status lacks(const struct profile *profile, const char *key,
			     struct kms_report *report)
{
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
			"AWS profile '%s' uses SSO, but has no %s",
			(const char *)profile->name.data, key);
}

static const char *session_value(const struct profile *profile, const char *name, const char *key)
{
	return name == NULL ? profile_get(profile, key)
			    : profile_section(profile, "sso-session", name, key);
}

static enum kms_status read_profile(const struct profile *profile, struct kms_report *report,
				    struct wanted *ret)
{
	const char *name = profile_get(profile, "sso_session");

	ret->session.name = name;
	ret->session.start_url = session_value(profile, name, "sso_start_url");
	ret->session.region = session_value(profile, name, "sso_region");
	ret->account = profile_get(profile, "sso_account_id");
	ret->role = profile_get(profile, "sso_role_name");
	if (name != NULL && (ret->session.start_url == NULL || ret->session.region == NULL))
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS profile '%s' names the sso-session '%s', which has no "
				"sso_start_url and sso_region",
				(const char *)profile->name.data, name);
	if (ret->session.start_url == NULL)
		return lacks(profile, "sso_start_url", report);
	if (ret->session.region == NULL)
		return lacks(profile, "sso_region", report);
	if (ret->account == NULL)
		return lacks(profile, "sso_account_id", report);
	return ret->role == NULL ? lacks(profile, "sso_role_name", report) : KMS_OK;
}

static enum kms_status ask(const struct credentials_place *place, const struct wanted *wanted,
			   const char *token, struct kms_report *report, struct http_answer *answer)
{
	const struct aws_settings *settings = place->settings;
	AUTO(buffer_clear) struct buffer path = {0}, query = {0};
	AUTO(service_clear) struct service service = {0};
	struct service_request request = {
		.method = "GET",
		.headers = {{"x-amz-sso_bearer_token", token}},
		.connect_timeout_ms = settings->connect_timeout_ms,
		.timeout_ms = settings->attempt_timeout_ms,
	};

	form_put(&query, "role_name", wanted->role);
	form_put(&query, "account_id", wanted->account);
	buffer_put_text(&path, "/federation/credentials?");
	buffer_append(&path, buffer_bytes(&query));
	request.path = query.failed ? NULL : buffer_text(&path);
	if (request.path == NULL)
		return KMS_NO_MEMORY;
	TRY(service_open(&service, AWS_SSO, wanted->session.region, place, report));
	return service_ask(&service, place, &request, report, answer);
}

/* The portal's own words: it does not accept the token, or one may not have the role. */
static enum kms_status judge(const struct wanted *wanted, enum kms_status status,
			     const struct http_answer *answer, struct kms_report *report)
{
	struct kms_report cause = *report;

	if (status == KMS_OK)
		return KMS_OK;
	if (answer->status == 401 || status == KMS_CREDENTIALS_REFUSED)
		return kms_fail(KMS_CREDENTIALS_REFUSED, report, cause.error_type,
				"SSO does not take the token: %s; sign in: 'aws sso login'",
				cause.message);
	if (status == KMS_DENIED || strcmp(cause.error_type, "ForbiddenException") == 0)
		return kms_fail(KMS_DENIED, report, cause.error_type,
				"SSO denies role %s of account %s: %s", wanted->role,
				wanted->account, cause.message);
	return credentials_not_given("SSO GetRoleCredentials", false, status, report);
}

enum kms_status credentials_from_sso(const struct credentials_place *place,
				     const struct profile *profile, struct kms_report *report,
				     struct credentials *ret_credentials)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	AUTO(buffer_clear) struct buffer token = {0};
	AUTO(json_freep) json_t *rest = NULL;
	struct wanted wanted;
	const char *given;

	TRY(read_profile(profile, report, &wanted));
	TRY(sso_token_get(place, &wanted.session, report, &token));
	TRY(judge(&wanted, ask(place, &wanted, buffer_text(&token), report, &answer), &answer,
		  report));
	given = credentials_parse(&answer.body, &form, ret_credentials, &rest);
	if (given != NULL && credentials_lack_memory(ret_credentials))
		return KMS_NO_MEMORY;
	if (given != NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "SSO GetRoleCredentials gave %s",
				given);
	ret_credentials->expires_ms -= service_clock_difference(place->settings->clock, &answer);
	buffer_format(&ret_credentials->origin, "SSO role %s of account %s", wanted.role,
		      wanted.account);
	return KMS_OK;
}
