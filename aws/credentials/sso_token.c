/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The token of a sign-in at IAM Identity Center: its file, and CreateToken of sso-oidc. */
#include "aws/credentials/sso_token.h"

#include "aws/credentials/json.h"
#include "aws/file.h"
#include "aws/service.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "crypto/digest.h"
#include "net/answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

enum { FILE_MAX = 64 * 1024, EARLY_MS = 15 * 60 * 1000, SHA1_SIZE = 20 };

struct token {
	struct buffer access, refresh, client_secret;
	int64_t expires_ms, registration_expires_ms; /* 0: not said */
	json_t *rest;
};

static void token_clear(struct token *token)
{
	buffer_clear(&token->access);
	buffer_clear(&token->refresh);
	buffer_clear(&token->client_secret);
	json_decref(token->rest);
	*token = (struct token){0};
}

static bool find_path(const struct credentials_place *place, const struct sso_session *session,
		      struct buffer *ret_path)
{
	const char *key = session->name == NULL ? session->start_url : session->name;
	uint8_t digest[SHA1_SIZE];

	if (!digest_once(DIGEST_SHA1, bytes_of(key), digest) ||
	    !aws_path_expand("~/.aws/sso/cache/", environment_get(place->environment, ENV_HOME),
			     ret_path))
		return false;
	hex_append(ret_path, bytes(digest, sizeof(digest)));
	buffer_put_text(ret_path, ".json");
	return buffer_text(ret_path) != NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool lacks_memory(const struct token *token)
{
	return token->access.failed || token->refresh.failed || token->client_secret.failed;
}

static bool parse(struct buffer *text, struct token *token)
{
	const struct json_secret secrets[] = {
		{"accessToken", &token->access},
		{"refreshToken", &token->refresh},
		{"clientSecret", &token->client_secret},
	};
	const char *end, *registration;
	bool no_memory;

	token->rest = json_read_apart(text, secrets, COUNT_OF(secrets), &no_memory);
	token->access.failed |= no_memory;
	end = text_of(token->rest, "expiresAt");
	registration = text_of(token->rest, "registrationExpiresAt");
	if (!json_secret_at(token->rest, "accessToken") || end == NULL ||
	    !clock_read_extended(end, &token->expires_ms))
		return false;
	if (registration == NULL ||
	    !clock_read_extended(registration, &token->registration_expires_ms))
		token->registration_expires_ms = 0;
	return buffer_text(&token->access) != NULL && buffer_text(&token->refresh) != NULL &&
	       buffer_text(&token->client_secret) != NULL;
}

static enum kms_status sign_in(const struct sso_session *session, const char *why,
			       struct kms_report *report)
{
	return kms_fail(KMS_CREDENTIALS_REFUSED, report, NULL,
			"%s for %s; sign in: 'aws sso login%s%s'", why, session->start_url,
			session->name == NULL ? "" : " --sso-session ",
			session->name == NULL ? "" : session->name);
}

static enum kms_status load(const char *path, const struct sso_session *session,
			    struct kms_report *report, struct token *token)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!file_read(path, FILE_MAX, &text))
		return errno == ENOMEM	 ? KMS_NO_MEMORY
		       : errno == ENOENT ? sign_in(session, "there is no SSO token", report)
					 : kms_fail(KMS_NO_CREDENTIALS, report, NULL,
						    "the SSO token %s can't be read: %s", path,
						    system_error_text(errno));
	if (!parse(&text, token))
		return lacks_memory(token)
			       ? KMS_NO_MEMORY
			       : sign_in(session, "the kept SSO token is no such thing", report);
	return KMS_OK;
}

static bool can_refresh(const struct sso_session *session, const struct token *token, int64_t now)
{
	return session->name != NULL && token->refresh.len > 0 && token->client_secret.len > 0 &&
	       text_of(token->rest, "clientId") != NULL && token->registration_expires_ms > now;
}

static void put_member(struct buffer *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buffer_put_text(out, out->len == 0 ? "{" : ", ");
	json_put_string(out, name);
	buffer_put_text(out, ": ");
	json_put_string(out, value);
}

static enum kms_status create_token(const struct credentials_place *place,
				    const struct sso_session *session, const struct token *token,
				    struct kms_report *report, struct http_answer *answer)
{
	const struct aws_settings *settings = place->settings;
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(service_clear) struct service service = {0};
	struct service_request request = {
		.method = "POST",
		.path = "/token",
		.headers = {{"Content-Type", "application/json"}},
		.connect_timeout_ms = settings->connect_timeout_ms,
		.timeout_ms = settings->attempt_timeout_ms,
	};

	put_member(&body, "grantType", "refresh_token");
	put_member(&body, "clientId", text_of(token->rest, "clientId"));
	put_member(&body, "clientSecret", (const char *)token->client_secret.data);
	put_member(&body, "refreshToken", (const char *)token->refresh.data);
	buffer_put_u8(&body, '}');
	if (body.failed)
		return KMS_NO_MEMORY;
	request.body = buffer_bytes(&body);
	TRY(service_open(&service, AWS_SSO_OIDC, session->region, place, report));
	return service_ask(&service, place, &request, report, answer);
}

/* The answer of CreateToken replaces the old token. */
static bool take_new(struct http_answer *answer, int64_t now, struct token *token)
{
	AUTO(buffer_clear) struct buffer access = {0}, refresh = {0}, id = {0};
	const struct json_secret secrets[] = {
		{"accessToken", &access}, {"refreshToken", &refresh}, {"idToken", &id}};
	bool no_memory;
	json_t *root = json_read_apart(&answer->body, secrets, COUNT_OF(secrets), &no_memory);
	json_int_t seconds = json_integer_value(json_object_get(root, "expiresIn"));
	bool good = json_secret_at(root, "accessToken") && seconds > 0 && seconds < INT32_MAX;

	json_decref(root);
	token->access.failed |= no_memory || access.failed;
	if (!good || buffer_text(&access) == NULL)
		return false;
	buffer_clear(&token->access);
	token->access = access;
	access = (struct buffer){0};
	token->expires_ms = now + seconds * 1000;
	if (refresh.len == 0)
		return true;
	buffer_clear(&token->refresh);
	token->refresh = refresh;
	refresh = (struct buffer){0};
	return buffer_text(&token->refresh) != NULL;
}

/* "2026-11-24T04:38:06Z", as the AWS CLI writes it. */
static void end_text(int64_t ms, char ret_text[static 21])
{
	char basic[17];

	clock_basic_utc(ms, basic);
	snprintf(ret_text, 21, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", basic, basic + 4, basic + 6,
		 basic + 9, basic + 11, basic + 13);
}

/* Keeps it for the next process that needs it. If the folder can't be written, each use costs a
 * refresh. */
static void save(const char *path, const struct sso_session *session, const struct token *token)
{
	AUTO(buffer_clear) struct buffer text = {0};
	char end[21];

	end_text(token->expires_ms, end);
	put_member(&text, "startUrl", session->start_url);
	put_member(&text, "region", session->region);
	put_member(&text, "accessToken", (const char *)token->access.data);
	put_member(&text, "expiresAt", end);
	put_member(&text, "clientId", text_of(token->rest, "clientId"));
	put_member(&text, "clientSecret", (const char *)token->client_secret.data);
	put_member(&text, "registrationExpiresAt", text_of(token->rest, "registrationExpiresAt"));
	put_member(&text, "refreshToken", (const char *)token->refresh.data);
	buffer_put_u8(&text, '}');
	if (text.failed || !file_replace(path, buffer_bytes(&text), 0600))
		log_loss("KMS: the refreshed SSO token can't be kept in %s: %s", path,
			 system_error_text(text.failed ? ENOMEM : errno));
}

/* Whether the token service itself refused, not something on the way: it uses OAuth's words. */
static enum kms_status judge(enum kms_status status, const struct http_answer *answer,
			     const struct kms_report *report)
{
	bool no_memory;
	json_t *root = json_read(buffer_bytes(&answer->body), 0, &no_memory);
	bool own_words = text_of(root, "error") != NULL || report->error_type[0] != 0;

	json_decref(root);
	if (no_memory)
		return KMS_NO_MEMORY;
	return own_words && status != KMS_UNAVAILABLE && status != KMS_THROTTLED
		       ? KMS_CREDENTIALS_REFUSED
		       : status;
}

static enum kms_status refresh(const struct credentials_place *place,
			       const struct sso_session *session, const char *path, int64_t now,
			       struct kms_report *report, struct token *token)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	enum kms_status status = create_token(place, session, token, report, &answer);

	if (status != KMS_OK)
		return judge(status, &answer, report);
	if (!take_new(&answer, now, token)) {
		if (lacks_memory(token))
			return KMS_NO_MEMORY;
		snprintf(report->message, sizeof(report->message), "CreateToken gave no token");
		return KMS_BAD_ANSWER;
	}
	save(path, session, token);
	return KMS_OK;
}

/* Another process may have refreshed it meanwhile, which ends the old refresh token. */
static bool is_refreshed_by_others(const char *path, int64_t now, struct token *token)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(token_clear) struct token other = {0};
	struct token taken;

	if (!file_read(path, FILE_MAX, &text) || !parse(&text, &other) || other.expires_ms <= now)
		return false;
	taken = *token;
	*token = other;
	other = taken;
	return true;
}

static enum kms_status make_good(const struct credentials_place *place,
				 const struct sso_session *session, const char *path,
				 struct kms_report *report, struct token *token)
{
	const struct clock *clock = place->settings->clock;
	int64_t now = clock->realtime_ms(clock->state);
	enum kms_status status;

	if (token->expires_ms - now >= EARLY_MS)
		return KMS_OK;
	status = can_refresh(session, token, now)
			 ? refresh(place, session, path, now, report, token)
			 : KMS_CREDENTIALS_REFUSED;
	if (status == KMS_OK || token->expires_ms > now || status == KMS_NO_MEMORY)
		return status == KMS_NO_MEMORY ? status : KMS_OK;
	if (is_refreshed_by_others(path, now, token))
		return KMS_OK;
	if (status == KMS_CREDENTIALS_REFUSED)
		return sign_in(session, "the SSO token has expired", report);
	return credentials_not_given("the SSO token has expired, and CreateToken failed", false,
				     status, report);
}

enum kms_status sso_token_get(const struct credentials_place *place,
			      const struct sso_session *session, struct kms_report *report,
			      struct buffer *ret_token)
{
	AUTO(buffer_clear) struct buffer path = {0};
	AUTO(token_clear) struct token token = {0};

	if (!find_path(place, session, &path))
		return path.failed ? KMS_NO_MEMORY
				   : kms_fail(KMS_NO_CREDENTIALS, report, NULL,
					      "no home folder, and so no SSO token");
	TRY(load(buffer_text(&path), session, report, &token));
	TRY(make_good(place, session, buffer_text(&path), report, &token));
	buffer_append(ret_token, buffer_bytes(&token.access));
	return buffer_text(ret_token) == NULL ? KMS_NO_MEMORY : KMS_OK;
}
