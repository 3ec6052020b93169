/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of the role of an EC2 instance. The last source: where none before it is set up, this
 * machine either is an instance, or has none. Its credentials may be used past their end while it
 * gives no newer ones ("static stability"): the KMS refuses them if it objects.
 */
#include "aws/credentials/json.h"
#include "aws/credentials/sources.h"
#include "aws/imds.h"
#include "aws/service.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "net/answer.h"

#include <stdio.h>
#include <stdlib.h>

static const char who[] = "EC2's metadata service";

static const struct credentials_form form = {
	.id = "AccessKeyId",
	.secret = "SecretAccessKey",
	.token = "Token",
	.expiration = "Expiration",
	.expires = true,
};

/* Its name is the first line; into the path of the credentials. */
static enum kms_status find_role(const struct credentials_place *place, struct kms_report *report,
				 struct buffer *ret_path)
{
	static const char of_role[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+=,.@_-";
	AUTO(http_answer_clear) struct http_answer answer = {0};
	size_t len;

	TRY(imds_get(place, "iam/security-credentials/", report, &answer));
	len = strcspn((const char *)answer.body.data, "\r\n");
	if (len == 0 || !bytes_all_in(bytes(answer.body.data, len), of_role)) {
		snprintf(report->message, sizeof(report->message),
			 "no role is attached to this instance");
		return KMS_NO_CREDENTIALS;
	}
	buffer_format(ret_path, "iam/security-credentials/%.*s", (int)len,
		      (const char *)answer.body.data);
	return buffer_text(ret_path) == NULL ? KMS_NO_MEMORY : KMS_OK;
}

/* Why there are none, in the service's own words. */
static enum kms_status not_given(const char *given, const json_t *rest, struct kms_report *report)
{
	const char *code = json_string_value(json_object_get(rest, "Code"));
	bool good = code != NULL && strcmp(code, "Success") == 0;

	snprintf(report->message, sizeof(report->message), "it gave %s%s%s", given,
		 good ? "" : ": ",
		 good		? ""
		 : code == NULL ? "not of the known form"
				: code);
	return KMS_NO_CREDENTIALS;
}

static enum kms_status get(const struct credentials_place *place, struct kms_report *report,
			   struct credentials *ret_credentials)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	AUTO(buffer_clear) struct buffer path = {0};
	AUTO(json_freep) json_t *rest = NULL;
	const char *given;

	TRY(find_role(place, report, &path));
	TRY(imds_get(place, buffer_text(&path), report, &answer));
	given = credentials_parse(&answer.body, &form, ret_credentials, &rest);
	if (given != NULL)
		return credentials_lack_memory(ret_credentials) ? KMS_NO_MEMORY
								: not_given(given, rest, report);
	ret_credentials->expires_ms -= service_clock_difference(place->settings->clock, &answer);
	ret_credentials->outlasts = true;
	buffer_format(&ret_credentials->origin, "EC2 metadata, role %s",
		      strrchr(buffer_text(&path), '/') + 1);
	return KMS_OK;
}

enum kms_status credentials_from_imds(const struct credentials_place *place,
				      struct kms_report *report,
				      struct credentials *ret_credentials)
{
	enum kms_status status = get(place, report, ret_credentials);

	return status == KMS_OK || status == KMS_NOT_FOUND || status == KMS_MISCONFIGURED
		       ? status
		       : credentials_not_given(who, false, status, report);
}

/* Nobody said that this is an instance, so no answer means that there are no credentials. */
static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	enum kms_status status = get(place, report, ret_credentials);
	struct kms_report cause = *report;

	if (status == KMS_OK || status == KMS_NOT_FOUND || status == KMS_MISCONFIGURED ||
	    status == KMS_NO_MEMORY)
		return status;
	return kms_fail(
		KMS_NO_CREDENTIALS, report, cause.error_type,
		"no AWS credentials: neither in the environment (AWS_ACCESS_KEY_ID), nor in "
		"a profile of ~/.aws, nor by web identity or container; %s: %s",
		who, cause.message);
}

const struct credentials_source credentials_imds = {"EC2 metadata", fetch};
