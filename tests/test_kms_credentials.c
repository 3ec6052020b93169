/* Where credentials come from, in which order, and that no identity takes the place of another. */
#include "kms/credentials.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/macros.h"

#include "tests/aws_home.h"
#include "tests/unit.h"

static struct kms_settings settings;

/* What the whole chain answers in the environment as it is now. */
static enum kms_status look(char *ret_found, size_t size, struct kms_report *report)
{
	struct environment environment;
	const struct credentials_place place = {&settings, &environment, NULL};
	struct credentials_chain *chain;
	struct credentials *found;
	enum kms_status status;

	assert_true(environment_read(&environment));
	chain = credentials_chain_new(&place, &clock_system, credentials_order,
				      credentials_order_count);
	assert_non_null(chain);
	status = credentials_chain_borrow(chain, report, &found);
	if (status == KMS_OK) {
		snprintf(ret_found, size, "%s %s %s %s", found->source,
			 (char *)found->access_key_id.data, (char *)found->secret_access_key.data,
			 (char *)found->session_token.data);
		credentials_chain_return(chain, found);
	}
	credentials_chain_free(chain);
	environment_clear(&environment);
	return status;
}

static void finds(const char *expected)
{
	char found[256];

	assert_int_equal(look(found, sizeof(found), NULL), KMS_OK);
	assert_string_equal(found, expected);
}

static void fails_with(const char *word)
{
	struct kms_report report = {0};
	char found[256];

	assert_int_equal(look(found, sizeof(found), &report), KMS_NO_CREDENTIALS);
	if (strstr(report.message, word) == NULL)
		fail_msg("'%s' does not say '%s'", report.message, word);
}

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	settings = (struct kms_settings){0};
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
	finds("profile F f ");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	finds("environment E e ");
	setenv("AWS_SECURITY_TOKEN", "old", 1);
	finds("environment E e old");
	setenv("AWS_SESSION_TOKEN", "t", 1);
	finds("environment E e t");
	setenv("AWS_PROFILE", "default", 1);
	finds("environment E e t");
}

static void an_empty_variable_is_not_set(void **state)
{
	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	setenv("AWS_ACCESS_KEY_ID", "", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	setenv("AWS_PROFILE", "", 1);
	finds("profile F f ");
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	fails_with("AWS_SECRET_ACCESS_KEY");
}

static void a_configured_profile_silences_the_environment(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "E", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "e", 1);
	settings.profile = "work";
	fails_with("'work' is neither in");
	aws_home_write("credentials", "[work]\naws_access_key_id=W\naws_secret_access_key=w\n"
				      "aws_session_token = t\n");
	finds("profile W w t");
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

static void the_credentials_file_wins_over_the_config_file(void **state)
{
	(void)state;
	aws_home_write("config", "[profile w]\nAWS_ACCESS_KEY_ID = C\naws_secret_access_key = c\n");
	setenv("AWS_DEFAULT_PROFILE", "w", 1);
	finds("profile C c ");
	aws_home_write("credentials", "[w]\naws_access_key_id=F\naws_secret_access_key=f\n");
	finds("profile F f ");
	aws_home_write("credentials", "[w]\naws_access_key_id=F\n");
	fails_with("no aws_secret_access_key");
}

static void profile_names_may_be_quoted(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "my work", 1);
	aws_home_write("config", "[profile \"my work\"]\naws_access_key_id=Q\n"
				 "aws_secret_access_key=q\n");
	finds("profile Q q ");
	aws_home_write("config",
		       "[profile my work]\naws_access_key_id=P\naws_secret_access_key=p\n");
	finds("profile P p ");
}

static void the_default_profile_has_two_names(void **state)
{
	(void)state;
	aws_home_write("config", "[default]\naws_access_key_id=D\naws_secret_access_key=d\n");
	finds("profile D d ");
	aws_home_write("config",
		       "[default]\naws_access_key_id=D\naws_secret_access_key=d\n"
		       "[profile default]\naws_access_key_id=P\naws_secret_access_key=p\n");
	finds("profile P p ");
}

static void what_is_not_supported_is_refused_not_passed_over(void **state)
{
	static const char *const keys[] = {"role_arn", "web_identity_token_file", "sso_session",
					   "sso_start_url", "credential_source"};
	char text[256];

	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\naws_secret_access_key=f\n");
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		snprintf(text, sizeof(text), "[default]\n%s = x\n", keys[i]);
		aws_home_write("config", text);
		fails_with(keys[i]);
	}
	aws_home_write("config", "[default]\ncredential_process = /bin/true\n");
	finds("profile F f ");
	aws_home_write("credentials", NULL);
	fails_with("credential_process");
}

static void a_file_that_is_no_ini_is_told_with_its_line(void **state)
{
	struct kms_report report = {0};
	char found[256];

	(void)state;
	aws_home_write("credentials", "[default]\naws_access_key_id=F\nwhat is this\n");
	assert_int_equal(look(found, sizeof(found), &report), KMS_MISCONFIGURED);
	assert_non_null(strstr(report.message, "/.aws/credentials:3:"));
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
	finds("profile F f ");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", 1);
	finds("profile F f ");
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

/* Sources of our own: the chain's keeping and renewing. */
static int fetches;
static int64_t fake_now, fake_expiry;

static enum kms_status counting(const struct credentials_place *place, struct kms_report *report,
				struct credentials *ret_credentials)
{
	(void)place;
	(void)report;
	buffer_format(&ret_credentials->access_key_id, "K%d", ++fetches);
	buffer_put_text(&ret_credentials->secret_access_key, "s");
	ret_credentials->expires_ms = fake_expiry;
	return KMS_OK;
}

static enum kms_status absent(const struct credentials_place *place, struct kms_report *report,
			      struct credentials *ret_credentials)
{
	(void)place;
	(void)report;
	(void)ret_credentials;
	return KMS_NOT_FOUND;
}

static enum kms_status broken(const struct credentials_place *place, struct kms_report *report,
			      struct credentials *ret_credentials)
{
	(void)place;
	(void)report;
	(void)ret_credentials;
	return KMS_UNAVAILABLE;
}

static const struct credentials_source counting_source = {"counting", counting},
				       absent_source = {"absent", absent},
				       broken_source = {"broken", broken};

static int64_t read_fake(void *state)
{
	(void)state;
	return fake_now;
}

static const struct clock fake_clock = {read_fake, read_fake, NULL};

static struct credentials_chain *chain_of(const struct credentials_source *const *order,
					  size_t count)
{
	static const struct credentials_place place;

	fetches = 0;
	fake_now = 1000000000;
	fake_expiry = 0;
	return credentials_chain_new(&place, &fake_clock, order, count);
}

static void borrow_and_return(struct credentials_chain *chain, const char *expected)
{
	struct credentials *found;

	assert_int_equal(credentials_chain_borrow(chain, NULL, &found), KMS_OK);
	assert_string_equal((char *)found->access_key_id.data, expected);
	credentials_chain_return(chain, found);
}

static void what_was_found_is_kept_until_shortly_before_it_expires(void **state)
{
	static const struct credentials_source *const order[] = {&absent_source, &counting_source};
	struct credentials_chain *chain = chain_of(order, 2);

	(void)state;
	fake_expiry = fake_now + 3600000;
	borrow_and_return(chain, "K1");
	fake_now += 3600000 - 600001;
	borrow_and_return(chain, "K1");
	fake_now += 1;
	fake_expiry = 0;
	borrow_and_return(chain, "K2");
	fake_now += INT64_C(1000000000000);
	borrow_and_return(chain, "K2");
	credentials_chain_free(chain);
}

static void a_source_that_fails_ends_the_search(void **state)
{
	static const struct credentials_source *const order[] = {&broken_source, &counting_source};
	struct credentials_chain *chain = chain_of(order, 2);
	struct credentials *found;

	(void)state;
	assert_int_equal(credentials_chain_borrow(chain, NULL, &found), KMS_UNAVAILABLE);
	assert_int_equal(fetches, 0);
	credentials_chain_free(chain);
}

static void refused_ones_are_fetched_anew_once_for_all(void **state)
{
	static const struct credentials_source *const order[] = {&counting_source};
	struct credentials_chain *chain = chain_of(order, 1);
	struct credentials *first, *second;

	(void)state;
	assert_int_equal(credentials_chain_borrow(chain, NULL, &first), KMS_OK);
	assert_int_equal(credentials_chain_borrow(chain, NULL, &second), KMS_OK);
	assert_ptr_equal(first, second);
	assert_true(credentials_chain_renew(chain, first));
	assert_true(credentials_chain_renew(chain, second));
	assert_int_equal(fetches, 2);
	assert_string_equal((char *)first->access_key_id.data, "K1");
	credentials_chain_return(chain, first);
	credentials_chain_return(chain, second);
	borrow_and_return(chain, "K2");
	credentials_chain_free(chain);
}

static int make_home(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	return aws_home_make() ? 0 : -1;
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
		EMPTY(the_credentials_file_wins_over_the_config_file),
		EMPTY(profile_names_may_be_quoted),
		EMPTY(the_default_profile_has_two_names),
		EMPTY(what_is_not_supported_is_refused_not_passed_over),
		EMPTY(a_file_that_is_no_ini_is_told_with_its_line),
		EMPTY(files_may_be_elsewhere),
		EMPTY(what_does_not_fit_into_a_header_is_refused),
		EMPTY(what_was_found_is_kept_until_shortly_before_it_expires),
		EMPTY(a_source_that_fails_ends_the_search),
		EMPTY(refused_ones_are_fetched_anew_once_for_all),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
