/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile of AWS's shared files says about credentials, and that one that can't be used is
 * refused, never passed over. */
#include "aws/credentials.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/aws_home.h"
#include "tests/support/aws_look.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct aws_look look;
static char answers[4][1024];
static struct fake_reply replies[4];

/* STS gives ROLE1, ROLE2, … to who asks. */
static void let_sts_answer(const char *action)
{
	for (int i = 0; i < 4; i++) {
		aws_look_sts_answer(answers[i], sizeof(answers[i]), action, i + 1);
		replies[i] = (struct fake_reply){HTTP_ANSWERED, 200, NULL, answers[i]};
	}
	fake_http_script(&look.http, replies, 4);
}

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	aws_look_init(&look);
	let_sts_answer("AssumeRole");
	aws_home_write("credentials", "[base]\naws_access_key_id=B\naws_secret_access_key=b\n"
				      "[default]\naws_access_key_id=D\naws_secret_access_key=d\n");
	setenv("AWS_PROFILE", "work", 1);
	return 0;
}

static void asked(size_t i, const char *part)
{
	if (strstr(look.http.sent[i].body, part) == NULL)
		fail_msg("'%s' is not in '%s'", part, look.http.sent[i].body);
}

static void fails_with(const char *word)
{
	aws_look_fails(&look, KMS_NO_CREDENTIALS, word);
}

static void a_role_is_taken_with_the_source_profile_s_keys(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = arn:aws:iam::1:role/r\n"
				 "source_profile = base\nexternal_id = a b&c\n"
				 "role_session_name = me@here\nduration_seconds = 3600\n");
	aws_look_finds(&look,
		       "profile work: role arn:aws:iam::1:role/r by profile base: static keys",
		       "ROLE1 role1 TOKEN1");
	assert_int_equal(look.expires_ms - look.http.now_ms, 3600 * 1000);
	assert_int_equal(look.http.request_count, 1);
	assert_string_equal(look.http.sent[0].url, "https://sts.us-west-2.amazonaws.com");
	assert_string_equal(look.http.sent[0].method, "POST");
	assert_string_equal(look.http.sent[0].body,
			    "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
			    "%3Arole%2Fr&RoleSessionName=me%40here&ExternalId=a%20b%26c&"
			    "DurationSeconds=3600");
	assert_non_null(strstr(fake_http_header(&look.http, 0, "Authorization"),
			       "Credential=B/20251124/us-west-2/sts/aws4_request"));
	assert_null(fake_http_header(&look.http, 0, "X-Amz-Security-Token"));
}

static void a_session_without_a_name_is_called_after_program_and_host(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = base\n");
	assert_int_equal(aws_look_now(&look), KMS_OK);
	asked(0, "&RoleSessionName=cmek-pkcs11");
	assert_null(strstr(look.http.sent[0].body, "ExternalId"));
	assert_null(strstr(look.http.sent[0].body, "DurationSeconds"));
}

static void roles_may_be_chained(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r1\nsource_profile = middle\n"
				 "[profile middle]\nrole_arn = r2\nsource_profile = low\n"
				 "[profile low]\nrole_arn = r3\nsource_profile = base\n");
	aws_look_finds(&look,
		       "profile work: role r1 by profile middle: role r2 by profile low: role r3 "
		       "by profile base: static keys",
		       "ROLE3 role3 TOKEN3");
	asked(0, "RoleArn=r3");
	asked(1, "RoleArn=r2");
	asked(2, "RoleArn=r1");
	assert_non_null(strstr(fake_http_header(&look.http, 1, "Authorization"), "=ROLE1/"));
	assert_string_equal(fake_http_header(&look.http, 2, "X-Amz-Security-Token"), "TOKEN2");
}

static void a_profile_may_be_its_own_source(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = work\n");
	fails_with("names itself as source_profile, but has no static keys");
	aws_home_write("credentials", "[work]\naws_access_key_id=W\naws_secret_access_key=w\n");
	aws_look_finds(&look, "profile work: role r by profile work: static keys",
		       "ROLE1 role1 TOKEN1");
}

static void static_keys_of_a_source_come_before_its_role(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = base\n"
				 "[profile base]\nrole_arn = other\nsource_profile = nowhere\n");
	aws_look_finds(&look, "profile work: role r by profile base: static keys",
		       "ROLE1 role1 TOKEN1");
}

static void circles_are_noticed(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r1\nsource_profile = a\n"
				 "[profile a]\nrole_arn = r2\nsource_profile = b\n"
				 "[profile b]\nrole_arn = r3\nsource_profile = a\n");
	fails_with("in a circle");
	aws_home_write("config", "[profile work]\nrole_arn = r1\nsource_profile = a\n"
				 "[profile a]\nrole_arn = r2\nsource_profile = work\n");
	fails_with("in a circle");
	assert_int_equal(look.http.request_count, 0);
}

static void endless_chains_end(void **state)
{
	char text[2048] = "[profile work]\nrole_arn=r\nsource_profile=p1\n";
	size_t len = strlen(text);

	(void)state;
	for (int i = 1; i < 30; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"[profile p%d]\nrole_arn=r\nsource_profile=p%d\n", i,
					i + 1);
	aws_home_write("config", text);
	fails_with("more than 16");
}

static void what_a_role_lacks_is_said(void **state)
{
	static const struct {
		const char *config, *word;
	} rows[] = {
		{"role_arn = r\n", "either source_profile or credential_source"},
		{"role_arn = r\nsource_profile = base\ncredential_source = Environment\n",
		 "either source_profile or credential_source"},
		{"role_arn = r\nsource_profile = gone\n", "'gone' is neither in"},
		{"role_arn = r\nsource_profile = poor\n[profile poor]\nregion = x\n",
		 "'poor' has no credentials"},
		{"role_arn = r\nsource_profile = base\nmfa_serial = arn:aws:iam::1:mfa/m\n",
		 "mfa_serial"},
		{"role_arn = r\nsource_profile = base\nduration_seconds = 60\n",
		 "duration_seconds"},
		{"role_arn = r\nsource_profile = base\nduration_seconds = 1h\n",
		 "duration_seconds"},
		{"role_arn = r\ncredential_source = Mainframe\n", "none of Environment"},
		{"role_arn = r\ncredential_source = Environment\n",
		 "Environment, which is not set up here"},
		{"role_arn = r\ncredential_source = EcsContainer\n",
		 "EcsContainer, which is not set up here"},
		{"credential_source = Environment\n", "no role_arn"},
		{"source_profile = base\n", "no role_arn"},
		{"web_identity_token_file = /t\n", "no role_arn"},
		{"login_session = arn:aws:sts::1:x\n", "login_session"},
		{"sso_session = gone\nsso_account_id = 1\nsso_role_name = r\n", "'gone'"},
		{"sso_start_url = https://x\nsso_account_id = 1\nsso_role_name = r\n",
		 "sso_region"},
		{"sso_start_url = https://x\nsso_region = us-west-2\nsso_role_name = r\n",
		 "sso_account_id"},
		{"sso_start_url = https://x\nsso_region = us-west-2\nsso_account_id = 1\n",
		 "sso_role_name"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char config[512];

		snprintf(config, sizeof(config), "[profile work]\n%s", rows[i].config);
		aws_home_write("config", config);
		fails_with(rows[i].word);
	}
	assert_int_equal(look.http.request_count, 0);
}

static void a_role_s_source_may_be_the_environment(void **state)
{
	(void)state;
	look.settings.profile = "work";
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	setenv("AWS_SESSION_TOKEN", "t", 1);
	aws_home_write("config", "[profile work]\nrole_arn = r\ncredential_source = Environment\n");
	aws_look_finds(&look, "profile work: role r by environment", "ROLE1 role1 TOKEN1");
	assert_string_equal(fake_http_header(&look.http, 0, "X-Amz-Security-Token"), "t");
}

static void the_default_profile_that_can_t_be_used_is_not_passed_over(void **state)
{
	(void)state;
	unsetenv("AWS_PROFILE");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c", 1);
	aws_home_write("config", "[default]\nrole_arn = r\nsource_profile = gone\n");
	fails_with("'gone' is neither in");
}

static void what_a_role_s_profile_says_wins_over_static_keys(void **state)
{
	(void)state;
	unsetenv("AWS_PROFILE");
	aws_home_write("config", "[default]\nrole_arn = r\nsource_profile = base\n");
	aws_look_finds(&look, "profile default: role r by profile base: static keys",
		       "ROLE1 role1 TOKEN1");
	aws_home_write("config", "[default]\ncredential_process = /bin/false\n");
	aws_look_finds(&look, "profile default: static keys", "D d ");
}

static void sts_is_asked_where_region_and_address_say(void **state)
{
	static const char config[] = "[profile work]\nrole_arn = r\nsource_profile = base\n";
	static const struct {
		const char *name, *value, *more, *url;
	} rows[] = {
		{"AWS_REGION", "eu-west-1", "", "https://sts.eu-west-1.amazonaws.com"},
		{"AWS_REGION", "cn-north-1", "", "https://sts.cn-north-1.amazonaws.com.cn"},
		{"AWS_USE_FIPS_ENDPOINT", "true", "", "https://sts-fips.us-west-2.amazonaws.com"},
		{"AWS_USE_DUALSTACK_ENDPOINT", "true", "", "https://sts.us-west-2.api.aws"},
		{"AWS_ENDPOINT_URL", "https://all/", "", "https://all/"},
		{"AWS_ENDPOINT_URL_STS", "https://one", "", "https://one"},
		{"AWS_ENDPOINT_URL_KMS", "https://k", "", "https://sts.us-west-2.amazonaws.com"},
		{"X", "", "region = eu-west-2\n", "https://sts.eu-west-2.amazonaws.com"},
		{"X", "", "endpoint_url = https://p\n", "https://p"},
		{"X", "", "services = s\n[services s]\nsts =\n  endpoint_url = https://s\n",
		 "https://s"},
	};

	(void)state;
	look.settings.endpoint_url = "https://kms-alone";
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s%s", config, rows[i].more);
		aws_home_write("config", text);
		setenv(rows[i].name, rows[i].value, 1);
		let_sts_answer("AssumeRole");
		assert_int_equal(aws_look_now(&look), KMS_OK);
		assert_string_equal(look.http.sent[0].url, rows[i].url);
		unsetenv(rows[i].name);
	}
	setenv("AWS_REGION", "us-gov-west-1", 1);
	setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
	aws_home_write("config", config);
	let_sts_answer("AssumeRole");
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(look.http.sent[0].url, "https://sts.us-gov-west-1.amazonaws.com");
}

#define STS_ERROR(code)                                                                            \
	"<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code>"                           \
	"<Message>User &quot;u&quot; may not</Message></Error></ErrorResponse>"

static void refusals_of_sts_are_what_they_are(void **state)
{
	static const struct {
		struct fake_reply reply;
		enum kms_status status;
		size_t requests;
		const char *word;
	} rows[] = {
		{{HTTP_ANSWERED, 403, NULL, STS_ERROR("AccessDenied")},
		 KMS_DENIED,
		 1,
		 "STS AssumeRole of r: User \"u\" may not"},
		{{HTTP_ANSWERED, 403, NULL, STS_ERROR("InvalidClientTokenId")},
		 KMS_CREDENTIALS_REFUSED,
		 1,
		 "may not"},
		{{HTTP_ANSWERED, 403, NULL, STS_ERROR("SignatureDoesNotMatch")},
		 KMS_CREDENTIALS_REFUSED,
		 1,
		 "may not"},
		{{HTTP_ANSWERED, 400, NULL, STS_ERROR("ValidationError")},
		 KMS_NO_CREDENTIALS,
		 1,
		 "may not"},
		{{HTTP_ANSWERED, 400, NULL, STS_ERROR("Throttling")}, KMS_THROTTLED, 3, "may not"},
		{{HTTP_ANSWERED, 503, NULL, "<html>"}, KMS_UNAVAILABLE, 3, "HTTP status 503"},
		{{HTTP_NOT_CONNECTED, 0, NULL, NULL}, KMS_UNAVAILABLE, 3, "ordered fault"},
		{{HTTP_TIMED_OUT, 0, NULL, NULL}, KMS_UNAVAILABLE, 3, "ordered fault"},
		{{HTTP_ANSWERED, 404, NULL, "<html>"}, KMS_NO_CREDENTIALS, 1, "HTTP status 404"},
		{{HTTP_ANSWERED, 200, NULL, "<html>"}, KMS_NO_CREDENTIALS, 1, "no credentials"},
		{{HTTP_ANSWERED, 200, NULL, "<AccessKeyId>A</AccessKeyId>"},
		 KMS_NO_CREDENTIALS,
		 1,
		 "no credentials"},
	};

	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = base\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fake_http_script(&look.http, &rows[i].reply, 1);
		aws_look_fails(&look, rows[i].status, rows[i].word);
		assert_int_equal(look.http.request_count, rows[i].requests);
	}
}

static void the_time_for_sts_is_the_call_s(void **state)
{
	static const struct fake_reply silence[] = {{HTTP_TIMED_OUT, 0, NULL, NULL}};

	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = base\n");
	look.settings.call_timeout_ms = 3000;
	look.settings.connect_timeout_ms = 4000;
	fake_http_script(&look.http, silence, 1);
	aws_look_fails(&look, KMS_UNAVAILABLE, "STS");
	assert_int_equal(look.http.sent[0].timeout_ms, 3000);
	assert_int_equal(look.http.sent[0].connect_timeout_ms, 3000);
}

static void a_wrong_clock_is_put_right_for_sts(void **state)
{
	static const struct fake_reply late = {
		HTTP_ANSWERED, 403, "HTTP/1.1 403\r\nDate: Mon, 24 Nov 2025 18:00:00 GMT\r\n",
		"<Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message>"};

	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = base\n");
	replies[1] = (struct fake_reply){HTTP_ANSWERED, 200,
					 "Date: Mon, 24 Nov 2025 18:00:00 GMT\r\n", answers[0]};
	replies[0] = late;
	fake_http_script(&look.http, replies, 2);
	assert_int_equal(aws_look_now(&look), KMS_NO_CREDENTIALS); /* they end at 17:00 */
	assert_int_equal(look.http.request_count, 2);
	assert_string_equal(fake_http_header(&look.http, 0, "X-Amz-Date"), "20251124T160000Z");
	assert_string_equal(fake_http_header(&look.http, 1, "X-Amz-Date"), "20251124T180000Z");
	replies[0] = (struct fake_reply){HTTP_ANSWERED, 200,
					 "Date: Mon, 24 Nov 2025 16:30:00 GMT\r\n", answers[0]};
	fake_http_script(&look.http, replies, 1);
	assert_int_equal(aws_look_now(&look), KMS_OK);
	assert_string_equal(fake_http_header(&look.http, 0, "X-Amz-Date"), "20251124T180000Z");
	/* Half an hour of life by the server's clock, so by ours too. */
	assert_int_equal(look.expires_ms - look.http.now_ms, 1800 * 1000);
}

static void a_source_s_keys_that_fit_no_header_are_refused(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\nrole_arn = r\nsource_profile = odd\n");
	aws_home_write("credentials", "[odd]\naws_access_key_id=A B\naws_secret_access_key=b\n");
	fails_with("characters");
	assert_int_equal(look.http.request_count, 0);
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
		WORK(a_role_is_taken_with_the_source_profile_s_keys),
		WORK(a_session_without_a_name_is_called_after_program_and_host),
		WORK(roles_may_be_chained),
		WORK(a_profile_may_be_its_own_source),
		WORK(static_keys_of_a_source_come_before_its_role),
		WORK(circles_are_noticed),
		WORK(endless_chains_end),
		WORK(what_a_role_lacks_is_said),
		WORK(a_role_s_source_may_be_the_environment),
		WORK(the_default_profile_that_can_t_be_used_is_not_passed_over),
		WORK(what_a_role_s_profile_says_wins_over_static_keys),
		WORK(sts_is_asked_where_region_and_address_say),
		WORK(refusals_of_sts_are_what_they_are),
		WORK(the_time_for_sts_is_the_call_s),
		WORK(a_wrong_clock_is_put_right_for_sts),
		WORK(a_source_s_keys_that_fit_no_header_are_refused),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
