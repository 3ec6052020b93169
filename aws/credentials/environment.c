/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Ignored when the
 * configuration names a profile, since that names an identity. */
#include "aws/credentials/sources.h"
#include "aws/profile.h"
#include "base/macros.h"
#include "net/answer.h"

static enum kms_status take_expiration(const char *text, struct kms_report *report,
				       struct credentials *ret_credentials)
{
	if (text == NULL || clock_read_extended(text, &ret_credentials->expires_ms))
		return KMS_OK;
	return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
			"AWS_CREDENTIAL_EXPIRATION is not a time as in 2026-11-24T04:38:06Z");
}

enum kms_status credentials_from_environment(const struct credentials_place *place,
					     struct kms_report *report,
					     struct credentials *ret_credentials)
{
	const char *id = environment_get(place->environment, ENV_ACCESS_KEY_ID);
	const char *secret = environment_get(place->environment, ENV_SECRET_ACCESS_KEY);
	const char *token = environment_get(place->environment, ENV_SESSION_TOKEN);
	const char *end = environment_get(place->environment, ENV_CREDENTIAL_EXPIRATION);

	if (id == NULL)
		return KMS_NOT_FOUND;
	if (secret == NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
	TRY(take_expiration(end, report, ret_credentials));
	buffer_put_text(&ret_credentials->access_key_id, id);
	buffer_put_text(&ret_credentials->secret_access_key, secret);
	buffer_put_text(&ret_credentials->session_token, token == NULL ? "" : token);
	buffer_put_text(&ret_credentials->origin, "environment");
	return KMS_OK;
}

/* A profile that AWS_PROFILE names gives way to keys in the environment, but it must exist: a wrong
 * name must not lead to another identity. botocore and the AWS CLI do the same. */
static enum kms_status check_profile(const struct credentials_place *place,
				     struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};

	TRY(profile_load(place->settings, place->environment, report, &profile));
	return profile_require(&profile, report);
}

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	if (place->settings->profile != NULL ||
	    environment_get(place->environment, ENV_ACCESS_KEY_ID) == NULL)
		return KMS_NOT_FOUND;
	TRY(check_profile(place, report));
	return credentials_from_environment(place, report, ret_credentials);
}

const struct credentials_source credentials_environment = {"environment", fetch};
