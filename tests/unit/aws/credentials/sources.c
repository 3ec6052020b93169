/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where credentials come from, in which order, and that no identity takes the place of another. */
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

static void finds(const char *origin, const char *found)
{
	aws_look_finds(&look, origin, found);
}

static void fails_with(const char *word)
{
	aws_look_fails(&look, KMS_NO_CREDENTIALS, word);
}

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	aws_look_init(&look);
	return 0;
}

static void none_at_all_is_said(void **state)
{
	(void)state;
	fails_with("AWS_ACCESS_KEY_ID");
}

static void the_environment_comes_first(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	finds("profile default: static keys", "F f ");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	finds("environment", "E e ");
	setenv("AWS_SECURITY_TOKEN", "old", 1);
	finds("environment", "E e old");
	setenv("AWS_SESSION_TOKEN", "t", 1);
	finds("environment", "E e t");
	setenv("AWS_PROFILE", "default", 1);
	finds("environment", "E e t");
}

static void an_empty_variable_is_not_set(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	setenv("AWS_ACCESS_KEY_ID", "", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	setenv("AWS_PROFILE", "", 1);
	finds("profile default: static keys", "F f ");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	fails_with("AWS_SECRET_ACCESS_KEY");
}

static void a_configured_profile_silences_the_environment(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	look.settings.profile = "work";
	fails_with("'work' is neither in");
	aws_home_write("credentials", "[work]\naws_access_key_id=W\naws_secret_access_key=w\n"
				      "aws_session_token = t\n");
	finds("profile work: static keys", "W w t");
}

static void a_named_profile_that_lacks_is_an_error(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	setenv("AWS_PROFILE", "other", 1);
	fails_with("'other' is neither in");
	aws_home_write("config", "[profile other]\nregion = us-west-2\n");
	fails_with("'other' has no credentials");
	aws_home_write("config", "[other]\naws_access_key_id=X\naws_secret_access_key=x\n");
	fails_with("'other' is neither in");
}

static void the_environment_s_keys_need_the_profile_that_it_names(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	setenv("AWS_PROFILE", "other", 1);
	fails_with("'other' is neither in");
	aws_home_write("config", "[profile others]\nregion = us-west-2\n");
	fails_with("'other' is neither in");
	aws_home_write("config", "[profile other]\nregion = us-west-2\n");
	finds("environment", "E e ");
	aws_home_write("config", "");
	aws_home_write("credentials", "[other]\naws_access_key_id=O\naws_secret_access_key=o\n");
	finds("environment", "E e ");
	unsetenv("AWS_PROFILE");
	setenv("AWS_DEFAULT_PROFILE", "gone", 1);
	fails_with("'gone' is neither in");
}

static void a_colon_is_as_good_as_an_equals_sign(void **state)
{
	(void)state;
	aws_home_write("credentials",
		       "[default]\naws_access_key_id : A\n"
		       "aws_secret_access_key: s/+=:x\naws_session_token = t:u=v==\n");
	finds("profile default: static keys", "A s/+=:x t:u=v==");
}

static void the_credentials_file_wins_over_the_config_file(void **state)
{
	(void)state;
	aws_home_write("config", "[profile w]\nAWS_ACCESS_KEY_ID = C\naws_secret_access_key = c\n");
	setenv("AWS_DEFAULT_PROFILE", "w", 1);
	finds("profile w: static keys", "C c ");
	aws_home_write("credentials", "[w]\naws_access_key_id=F\naws_secret_access_key=f\n");
	finds("profile w: static keys", "F f ");
	aws_home_write("credentials", "[w]\naws_access_key_id=F\n");
	fails_with("no aws_secret_access_key");
}

static void profile_names_may_be_quoted(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "my work", 1);
	aws_home_write("config", "[profile \"my work\"]\naws_access_key_id=Q\n"
				 "aws_secret_access_key=q\n");
	finds("profile my work: static keys", "Q q ");
	aws_home_write("config",
		       "[profile my work]\naws_access_key_id=P\naws_secret_access_key=p\n");
	finds("profile my work: static keys", "P p ");
}

static void blanks_in_a_header_of_the_config_file_are_read_as_by_aws_s_tools(void **state)
{
	static const char *const headers[] = {
		"[profile\twork]",	   "[profile  work]",	"[ profile \t work \t]",
		"[profile\t\"work\"] # x", "[profile 'work' ]",
	};

	(void)state;
	setenv("AWS_PROFILE", "work", 1);
	for (size_t i = 0; i < COUNT_OF(headers); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s\naws_access_key_id=W\naws_secret_access_key=w\n",
			 headers[i]);
		aws_home_write("config", text);
		finds("profile work: static keys", "W w ");
	}
	/* Within quotes they are the name's. */
	aws_home_write("config",
		       "[profile  \"my  work\"]\naws_access_key_id=Q\naws_secret_access_key=q\n");
	setenv("AWS_PROFILE", "my  work", 1);
	finds("profile my  work: static keys", "Q q ");
	setenv("AWS_PROFILE", "my work", 1);
	fails_with("'my work' is neither in");
	/* No profile of the config file. */
	aws_home_write("config", "[profilework]\naws_access_key_id=N\naws_secret_access_key=n\n");
	setenv("AWS_PROFILE", "work", 1);
	fails_with("'work' is neither in");
}

static void the_default_profile_has_two_names(void **state)
{
	(void)state;
	aws_home_write("config", "[default]\naws_access_key_id=D\naws_secret_access_key=d\n");
	finds("profile default: static keys", "D d ");
	aws_home_write("config",
		       "[default]\naws_access_key_id=D\naws_secret_access_key=d\n"
		       "[profile default]\naws_access_key_id=P\naws_secret_access_key=p\n");
	finds("profile default: static keys", "P p ");
}

static void a_file_that_is_no_ini_is_told_with_its_line(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\nwhat is this\n");
	aws_look_fails(&look, KMS_MISCONFIGURED, "/.aws/credentials:3:");
}

static void files_may_be_elsewhere(void **state)
{
	char path[256];

	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	fails_with("no AWS credentials");
	snprintf(path, sizeof(path), "%s/.aws/credentials", getenv("HOME"));
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	finds("profile default: static keys", "F f ");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", 1);
	finds("profile default: static keys", "F f ");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all", 1);
	fails_with("no AWS credentials");
}

static void what_does_not_fit_into_a_header_is_refused(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "E\r\nX-Evil: 1", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	fails_with("characters");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SESSION_TOKEN", "t t", 1);
	fails_with("characters");
}

static void a_blank_or_line_break_at_the_end_of_a_key_is_named_before_aws_is_asked(void **state)
{
	static const struct {
		const char *name, *good, *word;
	} keys[] = {
		{"AWS_ACCESS_KEY_ID", "E", "the AWS access key id from environment"},
		{"AWS_SECRET_ACCESS_KEY", "e", "the AWS secret access key from environment"},
		{"AWS_SESSION_TOKEN", "t", "the AWS session token from environment"},
	};
	static const char *const formats[] = {"%s\n", "%s\r\n", "%s ", "%s\t", " %s", "\n%s"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		setenv(keys[i].name, keys[i].good, 1);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		for (size_t j = 0; j < COUNT_OF(formats); j++) {
			char value[16];

			snprintf(value, sizeof(value), formats[j], keys[i].good);
			setenv(keys[i].name, value, 1);
			fails_with(keys[i].word);
			fails_with("a blank or a line break at its beginning or end");
		}
		setenv(keys[i].name, keys[i].good, 1);
	}
	setenv("AWS_SECRET_ACCESS_KEY", "e\xc2\xa0", 1);
	fails_with("secret access key from environment holds characters");
	unsetenv("AWS_ACCESS_KEY_ID");
	/* In a file blanks at the end are no part of a value; a second line is. */
	aws_home_write("credentials",
		       "[default]\naws_access_key_id = F \t\naws_secret_access_key = f \r\n");
	finds("profile default: static keys", "F f ");
	aws_home_write("credentials",
		       "[default]\naws_access_key_id = F\naws_secret_access_key = f\n  g\n");
	fails_with("secret access key from profile default: static keys holds characters");
}

static void what_the_environment_says_of_the_end_is_kept(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", "2025-11-24T17:00:00+00:00", 1);
	finds("environment", "E e ");
	assert_int_equal(look.expires_ms - look.http.now_ms, 3600 * 1000);
	setenv("AWS_CREDENTIAL_EXPIRATION", "2025-11-24T15:59:59Z", 1);
	fails_with("have expired already");
	setenv("AWS_CREDENTIAL_EXPIRATION", "tomorrow", 1);
	fails_with("AWS_CREDENTIAL_EXPIRATION");
}

static void nothing_empty_is_used(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id = \n"
				      "aws_secret_access_key = \n");
	fails_with("no AWS credentials");
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
		EMPTY(none_at_all_is_said),
		EMPTY(the_environment_comes_first),
		EMPTY(an_empty_variable_is_not_set),
		EMPTY(a_configured_profile_silences_the_environment),
		EMPTY(a_named_profile_that_lacks_is_an_error),
		EMPTY(the_environment_s_keys_need_the_profile_that_it_names),
		EMPTY(a_colon_is_as_good_as_an_equals_sign),
		EMPTY(the_credentials_file_wins_over_the_config_file),
		EMPTY(profile_names_may_be_quoted),
		EMPTY(blanks_in_a_header_of_the_config_file_are_read_as_by_aws_s_tools),
		EMPTY(the_default_profile_has_two_names),
		EMPTY(a_file_that_is_no_ini_is_told_with_its_line),
		EMPTY(files_may_be_elsewhere),
		EMPTY(what_does_not_fit_into_a_header_is_refused),
		EMPTY(a_blank_or_line_break_at_the_end_of_a_key_is_named_before_aws_is_asked),
		EMPTY(what_the_environment_says_of_the_end_is_kept),
		EMPTY(nothing_empty_is_used),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
