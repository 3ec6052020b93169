/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that an endpoint gives: web identity by STS, a container's agent, an instance's
 * metadata service. What each is asked, and what becomes of each of its failures. */
#include "aws/credentials.h"
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

static struct aws_look look;
static char token_path[AWS_HOME_PATH];

#define GIVEN                                                                                      \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\\/s\","               \
	"\"Token\":\"t\",\"Expiration\":\"2025-11-24T17:00:00Z\"}"

#define TOKEN                                                                                      \
	{                                                                                          \
		HTTP_ANSWERED, 200, NULL, "imds-token"                                             \
	}
#define ROLE                                                                                       \
	{                                                                                          \
		HTTP_ANSWERED, 200, NULL, "my-role\nother"                                         \
	}

#define SCRIPT(...)                                                                                \
	static const struct fake_reply replies_[] = {__VA_ARGS__};                                 \
	fake_http_script(&look.http, replies_, COUNT_OF(replies_))

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	aws_look_init(&look);
	aws_home_write("token", "jwt\n");
	aws_home_path("token", token_path);
	return 0;
}

static void fails_with(const char *word)
{
	aws_look_fails(&look, KMS_NO_CREDENTIALS, word);
}

/* Web identity. */

static void set_web_identity(void)
{
	static char answer[1024];
	static struct fake_reply reply;

	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token_path, 1);
	setenv("AWS_ROLE_ARN", "arn:r", 1);
	aws_look_sts_answer(answer, sizeof(answer), "AssumeRoleWithWebIdentity", 7);
	reply = (struct fake_reply){HTTP_ANSWERED, 200, NULL, answer};
	fake_http_script(&look.http, &reply, 1);
}

static void a_web_identity_is_handed_to_sts_unsigned(void **state)
{
	char origin[512];

	(void)state;
	set_web_identity();
	setenv("AWS_ROLE_SESSION_NAME", "pod", 1);
	snprintf(origin, sizeof(origin), "role arn:r by web identity %s", token_path);
	aws_look_finds(&look, origin, "ROLE7 role7 TOKEN7");
	assert_string_equal(look.identity, "arn"); /* by STS's word */
	assert_string_equal(look.http.sent[0].body,
			    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Ar&"
			    "RoleSessionName=pod&WebIdentityToken=jwt");
	assert_null(fake_http_header(&look.http, 0, "Authorization"));
	aws_home_write("token", "another");
	look.http.request_count = 0;
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_non_null(strstr(look.http.sent[0].body, "WebIdentityToken=another"));
}

static void a_web_identity_may_stand_in_a_profile(void **state)
{
	char text[512];

	(void)state;
	set_web_identity();
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	snprintf(text, sizeof(text),
		 "[profile work]\nrole_arn = arn:p\nweb_identity_token_file = %s\n"
		 "role_session_name = n\n",
		 token_path);
	aws_home_write("config", text);
	setenv("AWS_PROFILE", "work", 1);
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_non_null(strstr(look.http.sent[0].body, "RoleArn=arn%3Ap&RoleSessionName=n&Web"));
}

static void what_a_web_identity_lacks_is_said(void **state)
{
	(void)state;
	set_web_identity();
	unsetenv("AWS_ROLE_ARN");
	fails_with("AWS_ROLE_ARN is not");
	setenv("AWS_ROLE_ARN", "arn:r", 1);
	aws_home_write("token", "\n");
	fails_with("is empty");
	aws_home_write("token", NULL);
	fails_with("can't be read: No such file");
	assert_int_equal(look.http.request_count, 0);
}

static void refusals_of_a_web_identity_are_what_they_are(void **state)
{
	static const struct {
		const char *code;
		enum kms_status status;
		size_t requests;
	} rows[] = {
		{"AccessDenied", KMS_DENIED, 1},
		{"ExpiredTokenException", KMS_CREDENTIALS_REFUSED, 1},
		{"InvalidIdentityToken", KMS_CREDENTIALS_REFUSED, 3},
		{"IDPRejectedClaim", KMS_CREDENTIALS_REFUSED, 1},
		{"IDPCommunicationError", KMS_UNAVAILABLE, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[128];
		const struct fake_reply reply = {HTTP_ANSWERED, 400, NULL, body};

		set_web_identity();
		snprintf(body, sizeof(body), "<Error><Code>%s</Code></Error>", rows[i].code);
		fake_http_script(&look.http, &reply, 1);
		aws_look_fails(&look, rows[i].status, "AssumeRoleWithWebIdentity of arn:r");
		assert_int_equal(look.http.request_count, rows[i].requests);
	}
}

/* The token's file is replaced while STS thinks; in the end it is gone. */
static void replace_token(struct fake_http *http)
{
	static const char *const tokens[] = {"second", "third\n"};

	aws_home_write("token", http->request_count <= 2 ? tokens[http->request_count - 1] : NULL);
}

static void a_token_that_sts_can_t_check_now_is_read_and_shown_again(void **state)
{
	static char answer[1024];
	struct fake_reply replies[3] = {
		{HTTP_ANSWERED, 400, NULL, "<Error><Code>InvalidIdentityToken</Code></Error>"},
		{HTTP_ANSWERED, 400, NULL, "<Error><Code>IDPCommunicationError</Code></Error>"},
		{HTTP_ANSWERED, 200, NULL, answer},
	};

	(void)state;
	set_web_identity();
	aws_look_sts_answer(answer, sizeof(answer), "AssumeRoleWithWebIdentity", 7);
	fake_http_script(&look.http, replies, COUNT_OF(replies));
	look.http.on_send = replace_token;
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(look.found, "ROLE7 role7 TOKEN7");
	assert_int_equal(look.http.request_count, 3);
	assert_non_null(strstr(look.http.sent[0].body, "&WebIdentityToken=jwt"));
	assert_non_null(strstr(look.http.sent[1].body, "&WebIdentityToken=second"));
	assert_null(strstr(look.http.sent[1].body, "jwt"));
	assert_string_equal(strstr(look.http.sent[2].body, "&WebIdentityToken="),
			    "&WebIdentityToken=third");
}

static void a_token_that_is_gone_meanwhile_is_said(void **state)
{
	static const struct fake_reply reply = {HTTP_ANSWERED, 400, NULL,
						"<Error><Code>InvalidIdentityToken</Code></Error>"};

	(void)state;
	set_web_identity();
	look.settings.max_attempts = 9;
	fake_http_script(&look.http, &reply, 1);
	look.http.on_send = replace_token;
	aws_look_fails(&look, KMS_NO_CREDENTIALS, "the web identity token file");
	assert_int_equal(look.http.request_count, 3);
}

static void an_end_that_can_t_be_read_is_named(void **state)
{
	static const char bad[] = "gave credentials whose expiration is no time as in";
	static const char *const ends[] = {"", "tomorrow", "2025-11-24", "2025-11-24T17:00:00"};
	static char json[256], xml[1024];
	static struct fake_reply replies[] = {TOKEN, ROLE, TOKEN, {HTTP_ANSWERED, 200, NULL, json}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		snprintf(json, sizeof(json),
			 "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
			 "\"Token\":\"t\",\"Expiration\":\"%s\"}",
			 ends[i]);
		fake_http_script(&look.http, replies, COUNT_OF(replies));
		fails_with(bad);
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c", 1);
		fake_http_script(&look.http, &replies[3], 1);
		fails_with(bad);
		unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	}
	set_web_identity();
	aws_look_sts_answer(xml, sizeof(xml), "AssumeRoleWithWebIdentity", 7);
	memcpy(strstr(xml, "2025-"), "soon-", 5);
	replies[3].body = xml;
	fake_http_script(&look.http, &replies[3], 1);
	fails_with("of arn:r: the answer has credentials whose expiration is no time");
	replies[3].body = json;
}

/* Containers. */

static void a_relative_address_is_the_ecs_agent_s(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, GIVEN});
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x?id=1", 1);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/", 1);
	aws_look_finds(&look, "container", "A s/s t");
	assert_string_equal(look.http.sent[0].url, "http://169.254.170.2/v2/credentials/x?id=1");
	assert_string_equal(look.http.sent[0].method, "GET");
	assert_string_equal(look.http.sent[0].proxy, "");
	assert_int_equal(look.http.sent[0].timeout_ms, 2000);
	assert_int_equal(look.expires_ms - look.http.now_ms, 3600 * 1000);
	assert_null(fake_http_header(&look.http, 0, "Authorization"));
}

static void a_full_address_is_one_of_those_that_may_be_trusted(void **state)
{
	static const char *const good[] = {
		"http://169.254.170.23/v1/credentials",
		"http://[fd00:ec2::23]/v1/credentials",
		"http://169.254.170.2/x",
		"http://127.0.0.1:51679/x?y=z",
		"http://localhost/get-credentials",
		"http://[::1]:80/",
		"https://anything.example/x",
	};
	static const char *const bad[] = {
		"http://169.254.170.24/",  "http://169.254.170.2.example/",
		"http://10.0.0.1/x",	   "http://localhost.example/",
		"http://169.254.169.254/", "ftp://127.0.0.1/",
		"http://user@127.0.0.1/",  "/v1",
	};

	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, GIVEN});
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i], 1);
		look.http.request_count = 0;
		assert_int_equal(aws_look_now(&look), KMS_OK);
		assert_string_equal(look.http.sent[0].url, good[i]);
	}
	look.http.request_count = 0;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
		assert_int_equal(aws_look_now(&look), KMS_MISCONFIGURED);
	}
	assert_int_equal(look.http.request_count, 0);
}

static void the_token_s_file_wins_and_is_read_each_time(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, GIVEN});
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(fake_http_header(&look.http, 0, "Authorization"), "Basic abc");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_path, 1);
	aws_home_write("token", "pod-token");
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(fake_http_header(&look.http, 1, "Authorization"), "pod-token");
	aws_home_write("token", "next-token");
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(fake_http_header(&look.http, 2, "Authorization"), "next-token");
	aws_home_write("token", "a\r\nX-Evil: 1");
	fails_with("more than one line");
	aws_home_write("token", "a\n\n");
	fails_with("more than one line");
	aws_home_write("token", NULL);
	fails_with("can't be read");
	assert_int_equal(look.http.request_count, 3);
}

/* Whoever may write into it might never come. */
static void no_pipe_is_waited_for(void **state)
{
	static const char *const variables[] = {
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE"};
	char pipe_path[AWS_HOME_PATH];

	(void)state;
	aws_home_path("pipe", pipe_path);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	for (size_t i = 0; i < COUNT_OF(variables); i++) {
		aws_home_empty();
		setenv("AWS_ROLE_ARN", "arn:r", 1);
		if (i >= 3)
			setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/", 1);
		if (i == 4)
			setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token_path, 1);
		setenv(variables[i], pipe_path, 1);
		aws_look_fails(&look, i == 2 || i == 3 ? KMS_NO_CREDENTIALS : KMS_MISCONFIGURED,
			       i == 4 ? "is a pipe" : "can't be read: It is a pipe");
	}
	assert_int_equal(look.http.request_count, 0);
	unlink(pipe_path);
}

static void the_line_end_after_a_container_s_token_is_not_the_token_s(void **state)
{
	static const char *const ends[] = {"token\n", "token\r\n", "token"};

	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL, GIVEN});
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials", 1);
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
		setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", ends[i], 1);
		assert_int_equal(aws_look_now(&look), KMS_OK);
		assert_string_equal(fake_http_header(&look.http, 2 * i, "Authorization"), "token");
		setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_path, 1);
		aws_home_write("token", ends[i]);
		assert_int_equal(aws_look_now(&look), KMS_OK);
		assert_string_equal(fake_http_header(&look.http, 2 * i + 1, "Authorization"),
				    "token");
	}
}

static void a_line_break_in_what_is_given_is_named(void **state)
{
	(void)state;
	SCRIPT({HTTP_ANSWERED, 200, NULL,
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\\n\",\"Token\":\"t\"}"});
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c", 1);
	fails_with("secret access key from container holds characters that do not belong there: a");
}

static void failures_of_the_agent_are_told(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum kms_status status;
		size_t requests;
		const char *word;
	} rows[] = {
		{{HTTP_NOT_CONNECTED, 0, NULL, NULL}, KMS_UNAVAILABLE, 3, "ordered fault"},
		{{HTTP_ANSWERED, 500, NULL, ""}, KMS_UNAVAILABLE, 3, "HTTP status 500"},
		{{HTTP_ANSWERED, 429, NULL, ""}, KMS_THROTTLED, 3, "HTTP status 429"},
		{{HTTP_ANSWERED, 404, NULL, ""}, KMS_NO_CREDENTIALS, 1, "HTTP status 404"},
		{{HTTP_ANSWERED, 400, NULL, "{\"code\":\"x\",\"message\":\"no role\"}"},
		 KMS_NO_CREDENTIALS,
		 1,
		 "no role"},
		{{HTTP_ANSWERED, 200, NULL, "{}"}, KMS_NO_CREDENTIALS, 1, "gave no credentials"},
		{{HTTP_ANSWERED, 200, NULL, "<html>"}, KMS_NO_CREDENTIALS, 1, "gave no"},
		{{HTTP_ANSWERED, 200, NULL, "{\"AccessKeyId\":\"A\"}"},
		 KMS_NO_CREDENTIALS,
		 1,
		 "gave no"},
	};

	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c", 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fake_http_script(&look.http, &rows[i].reply, 1);
		aws_look_fails(&look, rows[i].status, rows[i].word);
		assert_int_equal(look.http.request_count, rows[i].requests);
	}
}

/* Instances. */

static void an_instance_s_role_comes_by_version_two(void **state)
{
	static const char base[] = "http://169.254.169.254/latest/meta-data/iam/"
				   "security-credentials/";
	char url[256];

	(void)state;
	SCRIPT(TOKEN, ROLE, TOKEN, {HTTP_ANSWERED, 200, NULL, GIVEN});
	aws_look_finds(&look, "EC2 metadata, role my-role", "A s/s t");
	assert_string_equal(look.http.sent[0].method, "PUT");
	assert_string_equal(look.http.sent[0].url, "http://169.254.169.254/latest/api/token");
	assert_string_equal(fake_http_header(&look.http, 0, "X-aws-ec2-metadata-token-ttl-seconds"),
			    "21600");
	assert_string_equal(look.http.sent[1].method, "GET");
	assert_string_equal(look.http.sent[1].url, base);
	assert_string_equal(fake_http_header(&look.http, 1, "X-aws-ec2-metadata-token"),
			    "imds-token");
	snprintf(url, sizeof(url), "%smy-role", base);
	assert_string_equal(look.http.sent[3].url, url);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(look.http.sent[i].proxy, "");
		assert_int_equal(look.http.sent[i].timeout_ms, 1000);
	}
}

static void where_the_metadata_service_is_can_be_set(void **state)
{
	static const struct {
		const char *name, *value, *url;
	} rows[] = {
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://10.1.2.3:8080/",
		 "http://10.1.2.3:8080/latest/api/token"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6",
		 "http://[fd00:ec2::254]/latest/api/token"},
		{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv4",
		 "http://169.254.169.254/latest/api/token"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		look.http.request_count = 0;
		setenv(rows[i].name, rows[i].value, 1);
		fails_with("EC2's metadata service");
		assert_string_equal(look.http.sent[0].url, rows[i].url);
		unsetenv(rows[i].name);
	}
	aws_home_write("config", "[default]\nec2_metadata_service_endpoint = http://h\n");
	look.http.request_count = 0;
	fails_with("EC2's metadata service");
	assert_string_equal(look.http.sent[0].url, "http://h/latest/api/token");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5", 1);
	aws_look_fails(&look, KMS_MISCONFIGURED, "IPv5");
}

static void attempts_and_patience_can_be_set(void **state)
{
	(void)state;
	fails_with("no AWS credentials: neither");
	assert_int_equal(look.http.request_count, 1);
	setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3", 1);
	setenv("AWS_METADATA_SERVICE_TIMEOUT", "2", 1);
	look.http.request_count = 0;
	fails_with("no AWS credentials: neither");
	assert_int_equal(look.http.request_count, 3);
	assert_int_equal(look.http.sent[0].timeout_ms, 2000);
}

static void a_service_that_is_switched_off_is_not_asked(void **state)
{
	(void)state;
	setenv("AWS_EC2_METADATA_DISABLED", "True", 1);
	fails_with("no AWS credentials: neither");
	assert_int_equal(look.http.request_count, 0);
	aws_home_write("config", "[default]\nrole_arn = r\n"
				 "credential_source = Ec2InstanceMetadata\n");
	fails_with("not set up here");
}

static void version_one_is_never_used(void **state)
{
	static const unsigned statuses[] = {400, 401, 403, 404, 405};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(statuses); i++) {
		const struct fake_reply reply = {HTTP_ANSWERED, statuses[i], NULL, ""};

		fake_http_script(&look.http, &reply, 1);
		fails_with(statuses[i] == 403	? "switched off"
			   : statuses[i] >= 404 ? "set up IMDSv2"
						: "HTTP status 40");
		assert_int_equal(look.http.request_count, 1);
	}
}

static void failures_of_the_metadata_service_are_told(void **state)
{
	static const struct {
		struct fake_reply replies[4];
		const char *word;
	} rows[] = {
		{{TOKEN, {HTTP_ANSWERED, 404, NULL, ""}}, "HTTP status 404"},
		{{TOKEN, {HTTP_ANSWERED, 200, NULL, "\n"}}, "no role is attached"},
		{{TOKEN, {HTTP_ANSWERED, 200, NULL, "../../x"}}, "no role is attached"},
		{{TOKEN,
		  ROLE,
		  TOKEN,
		  {HTTP_ANSWERED, 200, NULL, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}"}},
		 "AssumeRoleUnauthorizedAccess"},
		{{TOKEN, ROLE, TOKEN, {HTTP_ANSWERED, 200, NULL, "no json"}}, "not of the known"},
		{{TOKEN, ROLE, TOKEN, {HTTP_BROKEN, 0, NULL, NULL}}, "ordered fault"},
		{{{HTTP_ANSWERED, 200, NULL, ""}}, "gave no token"},
		{{{HTTP_ANSWERED, 200, NULL, "a\r\nb"}}, "gave no token"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t count = 0;

		while (count < 4 && (rows[i].replies[count].status != 0 ||
				     rows[i].replies[count].result != HTTP_ANSWERED))
			count++;
		fake_http_script(&look.http, rows[i].replies, count);
		fails_with(rows[i].word);
		assert_int_equal(look.http.request_count, count);
	}
}

static void what_an_instance_gives_near_its_end_is_used(void **state)
{
	(void)state;
	SCRIPT(TOKEN, ROLE, TOKEN,
	       {HTTP_ANSWERED, 200, NULL,
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
		"\"Expiration\":\"2025-11-24T15:00:00Z\"}"});
	aws_look_finds(&look, "EC2 metadata, role my-role", "A s t");
}

static void an_instance_s_role_may_take_another(void **state)
{
	static char answer[1024];
	static struct fake_reply replies[] = {TOKEN,
					      ROLE,
					      TOKEN,
					      {HTTP_ANSWERED, 200, NULL, GIVEN},
					      {HTTP_ANSWERED, 200, NULL, answer}};

	(void)state;
	aws_look_sts_answer(answer, sizeof(answer), "AssumeRole", 1);
	aws_home_write("config", "[default]\nrole_arn = r\n"
				 "credential_source = Ec2InstanceMetadata\n");
	fake_http_script(&look.http, replies, COUNT_OF(replies));
	aws_look_finds(&look, "profile default: role r by EC2 metadata, role my-role",
		       "ROLE1 role1 TOKEN1");
}

static void a_container_s_role_may_take_another(void **state)
{
	static char answer[1024];
	static struct fake_reply replies[] = {{HTTP_ANSWERED, 200, NULL, GIVEN},
					      {HTTP_ANSWERED, 200, NULL, answer}};

	(void)state;
	aws_look_sts_answer(answer, sizeof(answer), "AssumeRole", 1);
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
	aws_home_write("config", "[default]\nrole_arn = r\ncredential_source = EcsContainer\n");
	fake_http_script(&look.http, replies, COUNT_OF(replies));
	aws_look_finds(&look, "profile default: role r by container", "ROLE1 role1 TOKEN1");
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

#define EMPTY(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMPTY(a_web_identity_is_handed_to_sts_unsigned),
		EMPTY(a_web_identity_may_stand_in_a_profile),
		EMPTY(what_a_web_identity_lacks_is_said),
		EMPTY(refusals_of_a_web_identity_are_what_they_are),
		EMPTY(a_token_that_sts_can_t_check_now_is_read_and_shown_again),
		EMPTY(a_token_that_is_gone_meanwhile_is_said),
		EMPTY(an_end_that_can_t_be_read_is_named),
		EMPTY(a_relative_address_is_the_ecs_agent_s),
		EMPTY(a_full_address_is_one_of_those_that_may_be_trusted),
		EMPTY(the_token_s_file_wins_and_is_read_each_time),
		EMPTY(no_pipe_is_waited_for),
		EMPTY(the_line_end_after_a_container_s_token_is_not_the_token_s),
		EMPTY(a_line_break_in_what_is_given_is_named),
		EMPTY(failures_of_the_agent_are_told),
		EMPTY(an_instance_s_role_comes_by_version_two),
		EMPTY(where_the_metadata_service_is_can_be_set),
		EMPTY(attempts_and_patience_can_be_set),
		EMPTY(a_service_that_is_switched_off_is_not_asked),
		EMPTY(version_one_is_never_used),
		EMPTY(failures_of_the_metadata_service_are_told),
		EMPTY(what_an_instance_gives_near_its_end_is_used),
		EMPTY(an_instance_s_role_may_take_another),
		EMPTY(a_container_s_role_may_take_another),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
