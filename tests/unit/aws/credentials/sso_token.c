/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* IAM Identity Center: the token of a sign-in, its refresh, and a role's credentials for it. */
#include "aws/credentials/sso_token.h"
#include "base/file.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/aws_home.h"
#include "tests/support/aws_look.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* SHA-1 of "corp" and of "https://corp.example/start". */
#define CACHE	  "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"
#define CACHE_URL "sso/cache/f7c9b39d0b4c7a7d82c79307585f77e1c5e74378.json"

#define ROLE_CREDENTIALS                                                                           \
	"{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\","                   \
	"\"sessionToken\":\"t\",\"expiration\":1764003600000}}"

static struct aws_look look;

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	aws_look_init(&look);
	setenv("AWS_PROFILE", "work", 1);
	aws_home_write("config", "[profile work]\nsso_session = corp\nsso_account_id = 1111\n"
				 "sso_role_name = Read Only\n"
				 "[sso-session corp]\nsso_region = eu-west-1\n"
				 "sso_start_url = https://corp.example/start\n");
	aws_home_write(CACHE, NULL);
	aws_home_write(CACHE_URL, NULL);
	return 0;
}

#define SCRIPT(...)                                                                                \
	static const struct fake_reply replies_[] = {__VA_ARGS__};                                 \
	fake_http_script(&look.http, replies_, COUNT_OF(replies_))

/* A token that runs until `end`, registered until `registered` (NULL: not refreshable). */
static void sign_in(const char *cache, const char *end, const char *registered)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"startUrl\": \"https://corp.example/start\", \"region\": \"eu-west-1\", "
		 "\"accessToken\": \"old-access\", \"expiresAt\": \"%s\"%s%s%s}",
		 end,
		 registered == NULL
			 ? ""
			 : ", \"clientId\": \"client\", \"clientSecret\": \"very-secret\", "
			   "\"refreshToken\": \"old-refresh\", \"registrationExpiresAt\": \"",
		 registered == NULL ? "" : registered, registered == NULL ? "" : "\"");
	aws_home_write(cache, text);
}

static void a_good_token_is_shown_to_the_portal(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	sign_in(CACHE, "2025-11-24T17:00:00Z", NULL);
	aws_look_finds(&look, "profile work: SSO role Read Only of account 1111", "A s t");
	assert_int_equal(look.expires_ms, INT64_C(1764003600000));
	assert_string_equal(look.http.sent[0].url,
			    "https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?"
			    "role_name=Read%20Only&account_id=1111");
	assert_string_equal(look.http.sent[0].method, "GET");
	assert_string_equal(fake_http_header(&look.http, 0, "x-amz-sso_bearer_token"),
			    "old-access");
	assert_null(fake_http_header(&look.http, 0, "Authorization"));
}

static void the_older_form_stands_in_the_profile(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	aws_home_write("config", "[profile work]\nsso_region = eu-west-1\nsso_account_id = 1111\n"
				 "sso_role_name = r\nsso_start_url = https://corp.example/start\n");
	sign_in(CACHE_URL, "2025-11-24T17:00:00UTC", NULL);
	aws_look_finds(&look, "profile work: SSO role r of account 1111", "A s t");
	sign_in(CACHE_URL, "2025-11-24T16:00:00UTC", "2026-11-24T16:00:00Z");
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "sign in: 'aws sso login'");
}

static void a_kept_token_that_is_a_pipe_is_not_waited_for(void **state)
{
	char path[AWS_HOME_PATH];

	(void)state;
	sign_in(CACHE, "2025-11-24T17:00:00Z", NULL); /* makes the folders */
	aws_home_path(CACHE, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	aws_look_fails(&look, KMS_NO_CREDENTIALS, "can't be read: It is a pipe");
}

static void whoever_has_not_signed_in_is_told_how(void **state)
{
	(void)state;
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "'aws sso login --sso-session corp'");
	aws_home_write(CACHE, "{}");
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "'aws sso login --sso-session corp'");
	aws_home_write(CACHE, "not json");
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "'aws sso login --sso-session corp'");
	sign_in(CACHE, "2025-11-24T15:59:59Z", NULL);
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "has expired");
	sign_in(CACHE, "2025-11-24T15:59:59Z", "2025-11-24T15:00:00Z"); /* registration too */
	aws_look_fails(&look, KMS_CREDENTIALS_REFUSED, "has expired");
	assert_int_equal(look.http.request_count, 0);
}

static void read_cache(struct buffer *text)
{
	char path[AWS_HOME_PATH];
	struct stat status;

	aws_home_path(CACHE, path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_true(file_read(path, 4096, text));
	assert_non_null(buffer_text(text));
}

static void a_token_near_its_end_is_refreshed_and_kept_as_the_cli_keeps_it(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};

	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL,
		"{\"accessToken\":\"new-access\",\"expiresIn\":28800,\"tokenType\":\"Bearer\","
		"\"refreshToken\":\"new-refresh\"}"},
	       {HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	sign_in(CACHE, "2025-11-24T16:14:00Z", "2026-01-01T00:00:00Z");
	aws_look_finds(&look, "profile work: SSO role Read Only of account 1111", "A s t");
	assert_string_equal(look.http.sent[0].url, "https://oidc.eu-west-1.amazonaws.com/token");
	assert_string_equal(look.http.sent[0].body,
			    "{\"grantType\": \"refresh_token\", \"clientId\": \"client\", "
			    "\"clientSecret\": \"very-secret\", \"refreshToken\": "
			    "\"old-refresh\"}");
	assert_string_equal(fake_http_header(&look.http, 0, "Content-Type"), "application/json");
	assert_string_equal(fake_http_header(&look.http, 1, "x-amz-sso_bearer_token"),
			    "new-access");
	read_cache(&text);
	assert_string_equal(
		buffer_text(&text),
		"{\"startUrl\": \"https://corp.example/start\", \"region\": \"eu-west-1\", "
		"\"accessToken\": \"new-access\", \"expiresAt\": \"2025-11-25T00:00:00Z\", "
		"\"clientId\": \"client\", \"clientSecret\": \"very-secret\", "
		"\"registrationExpiresAt\": \"2026-01-01T00:00:00Z\", \"refreshToken\": "
		"\"new-refresh\"}");
}

/* An administrator who tries something out with a service's home must not shut the service out. */
static void a_refreshed_token_stays_its_owner_s(void **state)
{
	char path[AWS_HOME_PATH];
	struct stat status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# reason: it takes root to be two users\n");
		skip();
	}
	SCRIPT({HTTP_ANSWERED, 200, NULL, "{\"accessToken\":\"new-access\",\"expiresIn\":28800}"},
	       {HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	sign_in(CACHE, "2025-11-24T16:14:00Z", "2026-01-01T00:00:00Z");
	aws_home_path(CACHE, path);
	assert_int_equal(chown(path, 3000, 3001), 0);
	assert_int_equal(chmod(path, 0640), 0);
	aws_look_finds(&look, "profile work: SSO role Read Only of account 1111", "A s t");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, 3000);
	assert_int_equal(status.st_gid, 3001);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_int_equal(status.st_size > 0, true);
}

static void a_refresh_that_fails_does_not_hurt_a_token_that_still_runs(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 400, NULL, "{\"error\":\"invalid_grant\"}"},
	       {HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	sign_in(CACHE, "2025-11-24T16:14:00Z", "2026-01-01T00:00:00Z");
	aws_look_finds(&look, "profile work: SSO role Read Only of account 1111", "A s t");
	assert_string_equal(fake_http_header(&look.http, 1, "x-amz-sso_bearer_token"),
			    "old-access");
}

static void a_refresh_that_is_needed_and_fails_is_told(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum kms_status status;
		const char *word;
	} rows[] = {
		{{HTTP_ANSWERED, 400, NULL, "{\"error\":\"invalid_grant\"}"},
		 KMS_CREDENTIALS_REFUSED,
		 "sign in"},
		{{HTTP_ANSWERED, 200, NULL, "{}"}, KMS_NO_CREDENTIALS, "gave no token"},
		{{HTTP_ANSWERED, 403, NULL, "<html>"}, KMS_NO_CREDENTIALS, "HTTP status 403"},
		{{HTTP_NOT_CONNECTED, 0, NULL, NULL}, KMS_UNAVAILABLE, "CreateToken failed"},
		{{HTTP_ANSWERED, 500, NULL, ""}, KMS_UNAVAILABLE, "CreateToken failed"},
		{{HTTP_ANSWERED, 429, NULL, ""}, KMS_THROTTLED, "CreateToken failed"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		sign_in(CACHE, "2025-11-24T15:00:00Z", "2026-01-01T00:00:00Z");
		fake_http_script(&look.http, &rows[i].reply, 1);
		aws_look_fails(&look, rows[i].status, rows[i].word);
	}
}

/* While the refresh is under way, another process writes a good token. */
static void refreshed_meanwhile(struct fake_http *http)
{
	if (http->request_count == 1)
		sign_in(CACHE, "2025-11-24T23:00:00Z", "2026-01-01T00:00:00Z");
}

static void what_another_process_has_refreshed_is_used(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 400, NULL, "{\"error\":\"invalid_grant\"}"},
	       {HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	sign_in(CACHE, "2025-11-24T15:00:00Z", "2026-01-01T00:00:00Z");
	look.http.on_send = refreshed_meanwhile;
	aws_look_finds(&look, "profile work: SSO role Read Only of account 1111", "A s t");
}

static void refusals_of_the_portal_are_what_they_are(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum kms_status status;
		const char *word;
	} rows[] = {
		{{HTTP_ANSWERED, 401, NULL,
		  "{\"__type\":\"com.amazonaws.switchboard.portal#UnauthorizedException\","
		  "\"message\":\"Session token not found or invalid\"}"},
		 KMS_CREDENTIALS_REFUSED,
		 "sign in"},
		{{HTTP_ANSWERED, 403, NULL,
		  "{\"__type\":\"com.amazonaws.switchboard.portal#ForbiddenException\","
		  "\"message\":\"No access\"}"},
		 KMS_DENIED,
		 "denies role Read Only of account 1111: No access"},
		{{HTTP_ANSWERED, 403, NULL, "<html>a proxy</html>"},
		 KMS_NO_CREDENTIALS,
		 "HTTP status 403"},
		{{HTTP_ANSWERED, 404, NULL,
		  "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no such role\"}"},
		 KMS_NO_CREDENTIALS,
		 "no such role"},
		{{HTTP_ANSWERED, 429, NULL, "{\"__type\":\"TooManyRequestsException\"}"},
		 KMS_THROTTLED,
		 "AWS gives no details"},
		{{HTTP_TIMED_OUT, 0, NULL, NULL}, KMS_UNAVAILABLE, "ordered fault"},
		{{HTTP_ANSWERED, 200, NULL, "{}"}, KMS_NO_CREDENTIALS, "gave no credentials"},
		{{HTTP_ANSWERED, 200, NULL,
		  "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\","
		  "\"expiration\":\"x\"}}"},
		 KMS_NO_CREDENTIALS,
		 "gave credentials whose expiration is no time in milli"},
		{{HTTP_ANSWERED, 200, NULL,
		  "{\"secretAccessKey\":\"s\",\"roleCredentials\":{\"accessKeyId\":\"A\","
		  "\"expiration\":1764003600000}}"},
		 KMS_NO_CREDENTIALS,
		 "gave no credentials"},
	};

	(void)state;
	sign_in(CACHE, "2025-11-24T17:00:00Z", NULL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fake_http_script(&look.http, &rows[i].reply, 1);
		aws_look_fails(&look, rows[i].status, rows[i].word);
	}
}

static void addresses_may_be_set_for_both_services(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, "{\"accessToken\":\"n\",\"expiresIn\":60}"},
	       {HTTP_ANSWERED, 200, NULL, ROLE_CREDENTIALS});
	setenv("AWS_ENDPOINT_URL_SSO", "https://portal/", 1);
	setenv("AWS_ENDPOINT_URL_SSO_OIDC", "https://oidc", 1);
	sign_in(CACHE, "2025-11-24T15:00:00Z", "2026-01-01T00:00:00Z");
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(look.http.sent[0].url, "https://oidc/token");
	assert_non_null(strstr(look.http.sent[1].url, "https://portal/federation/"));
}

static int make_home(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	return aws_home_make() && crypto_start(false) ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	aws_home_remove();
	return 0;
}

#define WORK(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORK(a_good_token_is_shown_to_the_portal),
		WORK(the_older_form_stands_in_the_profile),
		WORK(a_kept_token_that_is_a_pipe_is_not_waited_for),
		WORK(whoever_has_not_signed_in_is_told_how),
		WORK(a_token_near_its_end_is_refreshed_and_kept_as_the_cli_keeps_it),
		WORK(a_refreshed_token_stays_its_owner_s),
		WORK(a_refresh_that_fails_does_not_hurt_a_token_that_still_runs),
		WORK(a_refresh_that_is_needed_and_fails_is_told),
		WORK(what_another_process_has_refreshed_is_used),
		WORK(refusals_of_the_portal_are_what_they_are),
		WORK(addresses_may_be_set_for_both_services),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
