/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AWS KMS through its row alone, as the set of clients has it. */
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/provider.h"
#include "kms/settings.h"
#include "pkcs11/providers.h"
#include "tests/support/aws_home.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct kms_settings settings;
static void *shared;

static int begin(void **state)
{
	struct kms_aws_settings section = {.aws.max_attempts = 1};
	const struct kms_settings given = {.providers = module_providers,
					   .sections = {[PROVIDER_AWS] = &section}};

	(void)state;
	aws_home_empty();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
	setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9", 1); /* where nobody listens */
	if (!settings_copy(&given, &settings))
		return -1;
	shared = kms_aws.shared_new(&settings);
	return shared == NULL;
}

static int end(void **state)
{
	(void)state;
	kms_aws.shared_free(shared);
	settings_clear(&settings);
	return 0;
}

static void region_is_found_where_it_is_set_and_nowhere_else(void **state)
{
	char region[KMS_REGION_MAX + 1];

	(void)state;
	assert_int_equal(kms_aws.find_region(shared, NULL, region), KMS_MISCONFIGURED);
	kms_aws.shared_free(shared);
	setenv("AWS_REGION", "eu-central-1", 1);
	shared = kms_aws.shared_new(&settings);
	assert_int_equal(kms_aws.find_region(shared, NULL, region), KMS_OK);
	assert_string_equal(region, "eu-central-1");
}

static void what_is_set_up_is_described(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};

	(void)state;
	assert_int_equal(kms_aws.describe(&settings, shared, "us-west-2", NULL, &text), KMS_OK);
	assert_non_null(strstr(buffer_text(&text), "us-west-2"));
	assert_non_null(strstr(buffer_text(&text), "http://127.0.0.1:9"));
	assert_null(strstr(buffer_text(&text), "very-secret"));
}

static void client_is_opened_without_asking_anybody(void **state)
{
	struct kms_client *client = NULL;

	(void)state;
	assert_int_equal(kms_aws.open(&settings, shared, "us-west-2", NULL, &client), KMS_OK);
	client->operations->free(client);
}

static void child_that_abandons_what_is_shared_leaves_the_parent_its_own(void **state)
{
	struct kms_client *client = NULL;
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		kms_aws.shared_abandon(shared);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(kms_aws.open(&settings, shared, "us-west-2", NULL, &client), KMS_OK);
	client->operations->free(client);
}

static int set_up_all(void **state)
{
	(void)state;
	return aws_home_make() && crypto_start(false) ? 0 : -1;
}

static int tear_down_all(void **state)
{
	(void)state;
	aws_home_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(region_is_found_where_it_is_set_and_nowhere_else,
						begin, end),
		cmocka_unit_test_setup_teardown(what_is_set_up_is_described, begin, end),
		cmocka_unit_test_setup_teardown(client_is_opened_without_asking_anybody, begin,
						end),
		cmocka_unit_test_setup_teardown(
			child_that_abandons_what_is_shared_leaves_the_parent_its_own, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
