/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS STS, by its query protocol: a form is posted, XML comes back (AWS STS API Reference). */
#include "aws/sts.h"

#include "aws/service.h"
#include "base/macros.h"
#include "net/answer.h"
#include "net/form.h"
#include "net/xml.h"

#include <stdio.h>
#include <unistd.h>

enum { SESSION_MAX = 64, NAME_MAX_BYTES = 128 };

/* A call under way. */
struct query {
	const char *action;
	struct service service;
	struct buffer form;
	const struct sts_token *token; /* NULL: there is none */
	size_t before_token;	       /* length of the form without it */
	bool token_failed;	       /* and has been told */
	struct http_answer answer;
};

static void query_clear(struct query *query)
{
	service_clear(&query->service);
	buffer_clear(&query->form);
	http_answer_clear(&query->answer);
}

static enum kms_status query_begin(struct query *query, const char *action,
				   const struct credentials_place *place, struct kms_report *report)
{
	query->action = action;
	form_put(&query->form, "Action", action);
	form_put(&query->form, "Version", "2011-06-15");
	TRY(service_open(&query->service, AWS_STS, NULL, place, report));
	if (place->sts_skew_ms != NULL)
		query->service.skew_ms = *place->sts_skew_ms;
	return KMS_OK;
}

/* The form with the token as it is now. */
static enum kms_status put_token(void *state, struct kms_report *report, struct bytes *ret_body)
{
	AUTO(buffer_clear) struct buffer token = {0};
	struct query *query = state;

	query->token_failed = true;
	TRY(query->token->read(query->token, report, &token));
	query->token_failed = false;
	buffer_truncate(&query->form, query->before_token);
	form_put_bytes(&query->form, "WebIdentityToken", buffer_bytes(&token));
	*ret_body = buffer_bytes(&query->form);
	return query->form.failed ? KMS_NO_MEMORY : KMS_OK;
}

static enum kms_status query_ask(struct query *query, const struct credentials_place *place,
				 const struct credentials *signer, const char *about,
				 struct kms_report *report)
{
	const struct aws_settings *settings = place->settings;
	const struct service_request request = {
		.method = "POST",
		.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
		.body = buffer_bytes(&query->form),
		.renew_body = query->token == NULL ? NULL : put_token,
		.state = query,
		.signer = signer,
		.connect_timeout_ms = settings->connect_timeout_ms,
		.timeout_ms = settings->attempt_timeout_ms,
	};
	AUTO(buffer_clear) struct buffer who = {0};
	enum kms_status status;

	buffer_format(&who, "STS %s%s%s", query->action, *about == 0 ? "" : " of ", about);
	if (query->form.failed || buffer_text(&who) == NULL)
		return KMS_NO_MEMORY;
	status = service_ask(&query->service, place, &request, report, &query->answer);
	if (place->sts_skew_ms != NULL)
		*place->sts_skew_ms = query->service.skew_ms;
	if (status == KMS_OK || query->token_failed)
		return status;
	return credentials_not_given(buffer_text(&who), true, status, report);
}

static bool take(const struct query *query, const char *name, struct buffer *ret_text)
{
	return xml_find(buffer_bytes(&query->answer.body), name, ret_text) && ret_text->len > 0;
}

/* NULL: success; else what the answer has instead. */
static const char *take_credentials(const struct query *query, struct credentials *ret)
{
	AUTO(buffer_clear) struct buffer end = {0};
	const char *given = "no credentials";

	if (take(query, "AccessKeyId", &ret->access_key_id) &&
	    take(query, "SecretAccessKey", &ret->secret_access_key) &&
	    take(query, "SessionToken", &ret->session_token) && take(query, "Expiration", &end))
		given = buffer_text(&end) != NULL &&
					clock_read_extended(buffer_text(&end), &ret->expires_ms)
				? NULL
				: credentials_bad_end;
	ret->session_token.failed |= end.failed;
	/* Only for the audit log, which can do without it. */
	if (given == NULL && !take(query, "Arn", &ret->identity))
		buffer_truncate(&ret->identity, 0);
	return given;
}

static enum kms_status query_credentials(struct query *query, const struct credentials_place *place,
					 const struct sts_role *role,
					 const struct credentials *signer,
					 struct kms_report *report, struct credentials *ret)
{
	const char *given;

	TRY(query_ask(query, place, signer, role->arn, report));
	given = take_credentials(query, ret);
	if (credentials_lack_memory(ret))
		return KMS_NO_MEMORY;
	if (given != NULL)
		return kms_fail(KMS_NO_CREDENTIALS, report, NULL, "STS %s of %s: the answer has %s",
				query->action, role->arn, given);
	ret->expires_ms -= service_clock_difference(place->settings->clock, &query->answer);
	return KMS_OK;
}

static bool fits_session_name(char c)
{
	static const char others[] = "+=,.@_-";

	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != 0 && strchr(others, c) != NULL);
}

/* What CloudTrail shows for a session without a name: the program and the host. */
static void default_session_name(char ret_name[static SESSION_MAX + 1])
{
	char host[NAME_MAX_BYTES] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = 0;
	snprintf(ret_name, SESSION_MAX + 1, "cmek-pkcs11%s%.48s", host[0] == 0 ? "" : "-", host);
	for (char *c = ret_name; *c != 0; c++)
		if (!fits_session_name(*c))
			*c = '-';
}

static void put_role(struct query *query, const struct sts_role *role)
{
	char own_name[SESSION_MAX + 1];

	default_session_name(own_name);
	form_put(&query->form, "RoleArn", role->arn);
	form_put(&query->form, "RoleSessionName",
		 role->session_name == NULL ? own_name : role->session_name);
	if (role->external_id != NULL)
		form_put(&query->form, "ExternalId", role->external_id);
	if (role->duration != NULL)
		form_put(&query->form, "DurationSeconds", role->duration);
}

enum kms_status sts_assume_role(const struct credentials_place *place, const struct sts_role *role,
				const struct credentials *signer, struct kms_report *report,
				struct credentials *ret_credentials)
{
	AUTO(query_clear) struct query query = {0};

	TRY(query_begin(&query, "AssumeRole", place, report));
	put_role(&query, role);
	return query_credentials(&query, place, role, signer, report, ret_credentials);
}

enum kms_status sts_assume_role_with_web_identity(const struct credentials_place *place,
						  const struct sts_role *role,
						  const struct sts_token *token,
						  struct kms_report *report,
						  struct credentials *ret_credentials)
{
	AUTO(query_clear) struct query query = {0};

	TRY(query_begin(&query, "AssumeRoleWithWebIdentity", place, report));
	put_role(&query, role);
	query.token = token;
	query.before_token = query.form.len;
	return query_credentials(&query, place, role, NULL, report, ret_credentials);
}

enum kms_status sts_caller_identity(const struct credentials_place *place,
				    const struct credentials *signer, struct kms_report *report,
				    struct buffer *ret_endpoint, struct buffer *ret_arn)
{
	AUTO(query_clear) struct query query = {0};

	TRY(query_begin(&query, "GetCallerIdentity", place, report));
	buffer_append(ret_endpoint, buffer_bytes(&query.service.endpoint.url));
	TRY(query_ask(&query, place, signer, "", report));
	if (!take(&query, "Arn", ret_arn))
		return kms_fail(KMS_BAD_ANSWER, report, NULL,
				"STS GetCallerIdentity: the answer has no Arn");
	return KMS_OK;
}
