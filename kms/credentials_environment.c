/* Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Not looked at
 * when the configuration names a profile: that names an identity. */
#include "kms/credentials.h"

#include "kms/report.h"

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	const char *id = environment_get(place->environment, ENV_ACCESS_KEY_ID);
	const char *secret = environment_get(place->environment, ENV_SECRET_ACCESS_KEY);
	const char *token = environment_get(place->environment, ENV_SESSION_TOKEN);

	if (place->settings->profile != NULL || id == NULL)
		return KMS_NOT_FOUND;
	if (secret == NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
	buffer_put_text(&ret_credentials->access_key_id, id);
	buffer_put_text(&ret_credentials->secret_access_key, secret);
	buffer_put_text(&ret_credentials->session_token, token == NULL ? "" : token);
	return KMS_OK;
}

const struct credentials_source credentials_environment = {"environment", fetch};
