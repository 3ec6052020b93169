/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of a role for an OpenID Connect token in a file: AWS_ROLE_ARN and
 * AWS_WEB_IDENTITY_TOKEN_FILE, as EKS sets them for service accounts. The file is read for each
 * request, since it is replaced before it runs out. */
#include "aws/credentials/sources.h"
#include "aws/sts.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "net/answer.h"

#include <errno.h>

enum { TOKEN_MAX = 64 * 1024 };

/* Without the end of its line. */
static enum kms_status read_token(const struct sts_token *token, struct kms_report *report,
				  struct buffer *ret_token)
{
	const char *path = token->path;

	if (!file_read(path, TOKEN_MAX, ret_token))
		return errno == ENOMEM
			       ? KMS_NO_MEMORY
			       : kms_fail(KMS_NO_CREDENTIALS, report, NULL,
					  "the web identity token file %s can't be read: %s", path,
					  system_error_text(errno));
	while (ret_token->len > 0 && ret_token->data[ret_token->len - 1] <= ' ')
		buffer_truncate(ret_token, ret_token->len - 1);
	if (ret_token->len == 0)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"the web identity token file %s is empty", path);
	return KMS_OK;
}

enum kms_status credentials_from_web_identity(const struct credentials_place *place,
					      const char *role, const char *token_file,
					      const char *session_name, const char *duration,
					      struct kms_report *report,
					      struct credentials *ret_credentials)
{
	const struct sts_role asked = {
		.arn = role, .session_name = session_name, .duration = duration};
	const struct sts_token token = {.read = read_token, .path = token_file};

	TRY(sts_assume_role_with_web_identity(place, &asked, &token, report, ret_credentials));
	buffer_format(&ret_credentials->origin, "role %s by web identity %s", role, token_file);
	return KMS_OK;
}

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	const struct environment *environment = place->environment;
	const char *file = environment_get(environment, ENV_WEB_IDENTITY_TOKEN_FILE);
	const char *role = environment_get(environment, ENV_ROLE_ARN);

	if (file == NULL)
		return KMS_NOT_FOUND;
	if (role == NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
	return credentials_from_web_identity(place, role, file,
					     environment_get(environment, ENV_ROLE_SESSION_NAME),
					     NULL, report, ret_credentials);
}

const struct credentials_source credentials_web_identity = {"web identity", fetch};
