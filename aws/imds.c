/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* EC2's instance metadata service (Amazon EC2 User Guide, "Use the Instance Metadata Service"). */
#include "aws/imds.h"

#include "aws/service.h"
#include "base/encode.h"
#include "base/macros.h"
#include "net/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TIMEOUT_S = 1, TIMEOUT_MAX_S = 60, ATTEMPTS_MAX = 10, TOKEN_MAX = 1024 };

/* A path below this, and the token's. */
static const char meta_data[] = "/latest/meta-data/", token_path[] = "/latest/api/token";

static unsigned number_of(const struct environment *environment, enum environment_name name,
			  unsigned normal, unsigned max)
{
	const char *text = environment_get(environment, name);
	uint64_t value;

	return text != NULL && decimal_decode(text, max, &value) && value > 0 ? (unsigned)value
									      : normal;
}

static const char *setting(const struct environment *environment, enum environment_name name,
			   const struct profile *profile, const char *key)
{
	const char *value = environment_get(environment, name);

	return value != NULL ? value : profile_config(profile, key);
}

static enum kms_status open_service(const struct credentials_place *place, struct service *service,
				    struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};
	const char *url, *mode;

	TRY(profile_load(place->settings, place->environment, report, &profile));
	url = setting(place->environment, ENV_IMDS_ENDPOINT, &profile,
		      "ec2_metadata_service_endpoint");
	mode = setting(place->environment, ENV_IMDS_ENDPOINT_MODE, &profile,
		       "ec2_metadata_service_endpoint_mode");
	if (mode != NULL && strcasecmp(mode, "IPv4") != 0 && strcasecmp(mode, "IPv6") != 0)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is IPv4 or IPv6, not '%s'",
				mode);
	if (url == NULL)
		url = mode != NULL && strcasecmp(mode, "IPv6") == 0 ? "http://[fd00:ec2::254]"
								    : "http://169.254.169.254";
	return service_init_address(
		service, url, number_of(place->environment, ENV_IMDS_ATTEMPTS, 1, ATTEMPTS_MAX),
		report);
}

static enum kms_status ask(struct service *service, const struct credentials_place *place,
			   const char *method, const char *path, struct http_header header,
			   struct kms_report *report, struct http_answer *answer)
{
	unsigned ms =
		1000 * number_of(place->environment, ENV_IMDS_TIMEOUT, TIMEOUT_S, TIMEOUT_MAX_S);
	const struct service_request request = {
		.method = method,
		.path = path,
		.headers = {header},
		.connect_timeout_ms = ms,
		.timeout_ms = ms,
	};

	return service_ask(service, place, &request, report, answer);
}

/* What a token looks like; it goes into a header. */
static bool is_token(const struct buffer *token)
{
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] <= ' ' || token->data[i] > '~')
			return false;
	return token->len > 0 && token->len <= TOKEN_MAX;
}

static enum kms_status get_token(struct service *service, const struct credentials_place *place,
				 struct kms_report *report, struct http_answer *answer)
{
	const struct http_header life = {"X-aws-ec2-metadata-token-ttl-seconds", "21600"};
	enum kms_status status = ask(service, place, "PUT", token_path, life, report, answer);

	if (status == KMS_OK && is_token(&answer->body) && buffer_text(&answer->body) != NULL)
		return KMS_OK;
	if (answer->status == 403)
		snprintf(report->message, sizeof(report->message), "it is switched off");
	else if (answer->status == 404 || answer->status == 405)
		snprintf(report->message, sizeof(report->message),
			 "it knows version 1 alone, which is not used; set up IMDSv2");
	else if (status == KMS_OK)
		snprintf(report->message, sizeof(report->message), "it gave no token");
	return status == KMS_UNAVAILABLE || status == KMS_NO_MEMORY ? status : KMS_NO_CREDENTIALS;
}

enum kms_status imds_get(const struct credentials_place *place, const char *path,
			 struct kms_report *report, struct http_answer *ret_answer)
{
	AUTO(http_answer_clear) struct http_answer token = {0};
	AUTO(buffer_clear) struct buffer full = {0};
	AUTO(service_clear) struct service service = {0};
	enum kms_status status;

	if (environment_true(place->environment, ENV_IMDS_DISABLED))
		return KMS_NOT_FOUND;
	TRY(open_service(place, &service, report));
	TRY(get_token(&service, place, report, &token));
	buffer_format(&full, "%s%s", meta_data, path);
	if (buffer_text(&full) == NULL)
		return KMS_NO_MEMORY;
	status = ask(&service, place, "GET", buffer_text(&full),
		     (struct http_header){"X-aws-ec2-metadata-token", (char *)token.body.data},
		     report, ret_answer);
	if (status == KMS_OK)
		return buffer_text(&ret_answer->body) == NULL ? KMS_NO_MEMORY : KMS_OK;
	return status == KMS_UNAVAILABLE || status == KMS_NO_MEMORY ? status : KMS_NO_CREDENTIALS;
}
