/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials from a container's agent: ECS tasks by AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, EKS
 * Pod Identity and others by AWS_CONTAINER_CREDENTIALS_FULL_URI (AWS SDKs and Tools Reference
 * Guide, "Container credential provider").
 */
#include "aws/credentials/json.h"
#include "aws/credentials/sources.h"
#include "aws/service.h"
#include "base/file.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "net/answer.h"
#include "net/url.h"

#include <errno.h>

enum { TIMEOUT_MS = 2000, ATTEMPTS = 3, TOKEN_MAX = 16 * 1024 };

static const struct credentials_form form = {
	.id = "AccessKeyId",
	.secret = "SecretAccessKey",
	.token = "Token",
	.expiration = "Expiration",
};

/* Where http is allowed, besides the machine itself: the agents of ECS and EKS, on any port. */
static bool is_agent(struct bytes host)
{
	static const char *const agents[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};

	for (size_t i = 0; i < COUNT_OF(agents); i++) {
		size_t len = strlen(agents[i]);

		if (bytes_begin(host, agents[i]) && (host.len == len || host.data[len] == ':'))
			return true;
	}
	return url_is_loopback(host);
}

/* "http://host:port" of a URL, and where its path begins. */
static const char *split(const char *url, struct buffer *ret_base)
{
	const char *host = strstr(url, "://");
	size_t len =
		host == NULL ? strlen(url) : (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");

	buffer_append(ret_base, bytes(url, len));
	return url + len;
}

static enum kms_status open_relative(const char *path, struct service *service,
				     struct kms_report *report)
{
	if (path[0] == '/')
		return service_init_address(service, "http://169.254.170.2", ATTEMPTS, report);
	return kms_fail(KMS_MISCONFIGURED, report, NULL,
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
}

static enum kms_status open_full(const char *url, struct service *service, const char **ret_path,
				 struct kms_report *report)
{
	AUTO(buffer_clear) struct buffer base = {0};
	const char *path = split(url, &base);

	if (buffer_text(&base) == NULL)
		return KMS_NO_MEMORY;
	TRY(service_init_address(service, buffer_text(&base), ATTEMPTS, report));
	if (!bytes_begin(bytes_of(url), "https:") &&
	    !is_agent(buffer_bytes(&service->endpoint.host)))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"AWS_CONTAINER_CREDENTIALS_FULL_URI '%s': http is only for this "
				"machine and the agents of ECS and EKS",
				url);
	*ret_path = path[0] == '/' ? path : "/";
	return KMS_OK;
}

static enum kms_status open_agent(const struct environment *environment, struct service *service,
				  const char **ret_path, struct kms_report *report)
{
	*ret_path = environment_get(environment, ENV_CONTAINER_RELATIVE_URI);
	if (*ret_path != NULL)
		return open_relative(*ret_path, service, report);
	return open_full(environment_get(environment, ENV_CONTAINER_FULL_URI), service, ret_path,
			 report);
}

/* One line break comes from the file or the shell, not from the token. */
static void drop_line_end(struct buffer *token)
{
	if (token->len > 0 && token->data[token->len - 1] == '\n')
		buffer_truncate(token, token->len - 1);
	if (token->len > 0 && token->data[token->len - 1] == '\r')
		buffer_truncate(token, token->len - 1);
}

/* The file wins; it is read each time, since it is replaced before it runs out. */
static enum kms_status read_token(const struct environment *environment, struct buffer *token,
				  struct kms_report *report)
{
	const char *path = environment_get(environment, ENV_CONTAINER_TOKEN_FILE);
	const char *given = environment_get(environment, ENV_CONTAINER_TOKEN);

	if (path != NULL && !file_read(path, TOKEN_MAX, token))
		return errno == ENOMEM ? KMS_NO_MEMORY
				       : kms_fail(KMS_NO_CREDENTIALS, report, NULL,
						  "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE %s can't "
						  "be read: %s",
						  path, system_error_text(errno));
	if (path == NULL)
		buffer_put_text(token, given == NULL ? "" : given);
	drop_line_end(token);
	if (buffer_text(token) == NULL)
		return KMS_NO_MEMORY;
	if (token->len > 0 && (memchr(token->data, '\r', token->len) != NULL ||
			       memchr(token->data, '\n', token->len) != NULL))
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL,
				"the container's authorization token has more than one line");
	return KMS_OK;
}

static enum kms_status ask(const struct credentials_place *place, struct service *service,
			   const char *path, const struct buffer *token, struct kms_report *report,
			   struct http_answer *answer)
{
	struct service_request request = {
		.method = "GET",
		.path = path,
		.headers = {{"Accept", "application/json"}},
		.connect_timeout_ms = TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS,
	};

	if (token->len > 0)
		request.headers[1] =
			(struct http_header){"Authorization", (const char *)token->data};
	return service_ask(service, place, &request, report, answer);
}

enum kms_status credentials_from_container(const struct credentials_place *place,
					   struct kms_report *report,
					   struct credentials *ret_credentials)
{
	static const char who[] = "the container's credentials endpoint";
	AUTO(http_answer_clear) struct http_answer answer = {0};
	AUTO(buffer_clear) struct buffer token = {0};
	AUTO(service_clear) struct service service = {0};
	AUTO(json_freep) json_t *rest = NULL;
	const char *path, *given;
	enum kms_status status;

	if (environment_get(place->environment, ENV_CONTAINER_RELATIVE_URI) == NULL &&
	    environment_get(place->environment, ENV_CONTAINER_FULL_URI) == NULL)
		return KMS_NOT_FOUND;
	TRY(open_agent(place->environment, &service, &path, report));
	TRY(read_token(place->environment, &token, report));
	status = ask(place, &service, path, &token, report, &answer);
	if (status != KMS_OK)
		return credentials_not_given(who, false, status, report);
	given = credentials_parse(&answer.body, &form, ret_credentials, &rest);
	if (given != NULL && credentials_lack_memory(ret_credentials))
		return KMS_NO_MEMORY;
	if (given != NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "%s gave %s", who, given);
	ret_credentials->expires_ms -= service_clock_difference(place->settings->clock, &answer);
	buffer_put_text(&ret_credentials->origin, "container");
	return KMS_OK;
}

const struct credentials_source credentials_container = {"container", credentials_from_container};
