/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Regions and endpoints by every setting, and the set of clients. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "kms/aws/aws.h"
#include "kms/aws/provider.h"
#include "kms/kms.h"
#include "kms/local/provider.h"
#include "kms/settings.h"
#include "pkcs11/providers.h"
#include "tests/support/aws_home.h"
#include "tests/support/fake_http.h"
#include "tests/support/fake_kms_client.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct kms_settings settings;
static struct kms_aws_settings section;
static struct fake_http http;

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "very-secret", 1);
	section = (struct kms_aws_settings){0};
	settings = (struct kms_settings){.providers = module_providers,
					 .sections = {[PROVIDER_AWS] = &section}};
	return 0;
}

/* As kms_clients_describe() does it, but in a world where nobody answers. */
static enum kms_status describe_in(struct aws *aws, const char *region, struct kms_report *report,
				   struct buffer *text)
{
	char settled[KMS_REGION_MAX + 1];

	if (region[0] != 0)
		return aws_describe(aws, region, report, text);
	TRY(aws_region(aws, report, settled));
	return aws_describe(aws, settled, report, text);
}

static enum kms_status describe(const char *region, struct kms_report *report, struct buffer *text)
{
	static const struct fake_reply nobody[] = {{HTTP_NOT_CONNECTED, 0, NULL, NULL}};
	struct kms_settings copy;
	struct aws_transport transport;
	enum kms_status status;
	struct aws *aws;

	fake_http_init(&http);
	fake_http_script(&http, nobody, 1);
	transport = fake_http_transport(&http);
	assert_true(settings_copy(&settings, &copy));
	aws = aws_new(&copy, &transport);
	assert_non_null(aws);
	status = describe_in(aws, region, report, text);
	aws_free(aws);
	settings_clear(&copy);
	return status;
}

static void has_endpoint(const char *region, const char *expected)
{
	AUTO(buffer_clear) struct buffer text = {0}, line = {0};

	assert_int_equal(describe(region, NULL, &text), KMS_OK);
	buffer_format(&line, "\nendpoint: %s (", expected);
	if (strstr(buffer_text(&text), buffer_text(&line)) == NULL)
		fail_msg("no %s in:\n%s", expected, buffer_text(&text));
}

static void has_region(const char *expected)
{
	AUTO(buffer_clear) struct buffer text = {0}, line = {0};

	assert_int_equal(describe("", NULL, &text), KMS_OK);
	buffer_format(&line, "region: %s\n", expected);
	if (strstr(buffer_text(&text), buffer_text(&line)) == NULL)
		fail_msg("no %s in:\n%s", expected, buffer_text(&text));
}

static void is_misconfigured(const char *region, const char *word)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct kms_report report = {0};

	assert_int_equal(describe(region, &report, &text), KMS_MISCONFIGURED);
	if (strstr(report.message, word) == NULL)
		fail_msg("'%s' does not say '%s'", report.message, word);
}

static void hosts_follow_partition_fips_and_dual_stack(void **state)
{
	static const struct {
		const char *region;
		bool fips, dual;
		const char *url;
	} rows[] = {
		{"us-west-2", false, false, "https://kms.us-west-2.amazonaws.com"},
		{"us-west-2", true, false, "https://kms-fips.us-west-2.amazonaws.com"},
		{"us-west-2", false, true, "https://kms.us-west-2.api.aws"},
		{"us-west-2", true, true, "https://kms-fips.us-west-2.api.aws"},
		{"cn-north-1", false, false, "https://kms.cn-north-1.amazonaws.com.cn"},
		{"cn-north-1", false, true, "https://kms.cn-north-1.api.amazonwebservices.com.cn"},
		{"us-gov-west-1", true, false, "https://kms-fips.us-gov-west-1.amazonaws.com"},
		{"us-iso-east-1", false, false, "https://kms.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", false, false, "https://kms.us-isob-east-1.sc2s.sgov.gov"},
		{"eusc-de-east-1", false, false, "https://kms.eusc-de-east-1.amazonaws.eu"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		section.aws.use_fips_endpoint = rows[i].fips;
		section.aws.use_dualstack_endpoint = rows[i].dual;
		has_endpoint(rows[i].region, rows[i].url);
	}
}

static void fips_and_dual_stack_may_come_from_outside(void **state)
{
	(void)state;
	setenv("AWS_USE_FIPS_ENDPOINT", "TRUE", 1);
	has_endpoint("us-west-2", "https://kms-fips.us-west-2.amazonaws.com");
	setenv("AWS_USE_FIPS_ENDPOINT", "false", 1);
	aws_home_write("config",
		       "[default]\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\n");
	has_endpoint("us-west-2", "https://kms.us-west-2.api.aws");
}

static void addresses_in_their_order(void **state)
{
	(void)state;
	aws_home_write("config", "[default]\nendpoint_url = https://profile\n");
	has_endpoint("us-west-2", "https://profile");
	aws_home_write("config", "[default]\nservices = mine\nendpoint_url = https://profile\n"
				 "[services mine]\ns3 =\n  endpoint_url = https://s3\n"
				 "kms =\n  endpoint_url = https://services:8443/x\n");
	has_endpoint("us-west-2", "https://services:8443/x");
	aws_home_write("config", "[profile\tdefault]\nservices = mine\n[services \t\"mine\"]\n"
				 "kms =\n  endpoint_url = https://blanks\n");
	has_endpoint("us-west-2", "https://blanks");
	setenv("AWS_ENDPOINT_URL", "https://all", 1);
	has_endpoint("us-west-2", "https://all");
	setenv("AWS_ENDPOINT_URL_KMS", "https://kms", 1);
	has_endpoint("us-west-2", "https://kms");
	section.aws.endpoint_url = "https://own";
	has_endpoint("us-west-2", "https://own");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	has_endpoint("us-west-2", "https://own");
	section.aws.endpoint_url = NULL;
	has_endpoint("us-west-2", "https://kms.us-west-2.amazonaws.com");
}

static void http_is_for_loopback_only(void **state)
{
	static const char *const good[] = {"http://127.0.0.1:4566", "http://localhost",
					   "http://[::1]:80", "http://127.9.9.9/"};
	static const char *const bad[] = {"http://kms.example", "http://127.0.0.1.example",
					  "http://localhost.example", "http://10.0.0.1",
					  "http://[::2]"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		section.aws.endpoint_url = good[i];
		has_endpoint("us-west-2", good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		section.aws.endpoint_url = bad[i];
		is_misconfigured("us-west-2", "use https");
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const urls[] = {
		"kms.example",
		"ftp://kms.example",
		"https://",
		"https://a?b",
		"https://user@kms.example",
		"https://kms.example:x",
		"https://kms.example:",
		"https://kms example",
		"https://kms.example/a b",
		"https://kms.example/%41",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		section.aws.endpoint_url = urls[i];
		is_misconfigured("us-west-2", "is not https://HOST");
	}
}

static void a_password_in_an_address_is_not_told(void **state)
{
	static const char *const urls[] = {"https://joe:secret@kms.example",
					   "https://joe:sec@ret@kms.example/a",
					   "joe:secret@kms.example"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		section.aws.endpoint_url = urls[i];
		is_misconfigured("us-west-2", "KMS endpoint '@kms.example");
	}
}

static void an_address_excludes_fips_and_dual_stack(void **state)
{
	(void)state;
	section.aws.endpoint_url = "https://kms.example";
	section.aws.use_fips_endpoint = true;
	is_misconfigured("us-west-2", "FIPS");
	section.aws.use_fips_endpoint = false;
	section.aws.use_dualstack_endpoint = true;
	is_misconfigured("us-west-2", "dual-stack");
}

static void regions_in_their_order(void **state)
{
	(void)state;
	is_misconfigured("", "no AWS region");
	aws_home_write("config", "[default]\nregion = eu-west-1\n");
	has_region("eu-west-1");
	setenv("AWS_DEFAULT_REGION", "eu-west-2", 1);
	has_region("eu-west-2");
	setenv("AWS_REGION", "eu-west-3", 1);
	has_region("eu-west-3");
	section.aws.region = "eu-central-1";
	has_region("eu-central-1");
	is_misconfigured("evil.example/", "not an AWS region");
	is_misconfigured("us-west-2 # home", "not an AWS region");
}

static void the_description_names_the_source_and_no_secret(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};

	(void)state;
	assert_int_equal(describe("us-west-2", NULL, &text), KMS_OK);
	assert_non_null(strstr(buffer_text(&text), "credentials: environment, access key AKID"));
	assert_null(strstr(buffer_text(&text), "very-secret"));
}

static void a_client_is_made_once_for_a_provider_and_region(void **state)
{
	char path[] = "/nowhere/local.keys";
	struct kms_local_settings embedded = {.path = path};
	struct kms_clients *clients;
	struct kms_client *a, *b, *c, *d;

	(void)state;
	settings.sections[PROVIDER_LOCAL] = &embedded;
	clients = kms_clients_new(&settings);
	memset(path, 'x', sizeof(path)); /* ours to change: it was copied */
	assert_int_equal(kms_clients_find(clients, "aws", "us-west-2", NULL, &a), KMS_OK);
	assert_int_equal(kms_clients_find(clients, "aws", "us-west-2", NULL, &b), KMS_OK);
	assert_int_equal(kms_clients_find(clients, "aws", "us-east-1", NULL, &c), KMS_OK);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(kms_clients_find(clients, "local", "us-west-2", NULL, &c), KMS_OK);
	assert_int_equal(kms_clients_find(clients, "local", "", NULL, &d), KMS_OK);
	assert_ptr_equal(c, d);
	kms_clients_free(clients);
}

static void an_unknown_provider_is_refused(void **state)
{
	struct kms_clients *clients = kms_clients_new(&settings);
	AUTO(buffer_clear) struct buffer text = {0};
	struct kms_client *client;

	(void)state;
	assert_int_equal(kms_clients_find(clients, "gcp", "x", NULL, &client), KMS_MISCONFIGURED);
	assert_int_equal(kms_clients_describe(clients, "gcp", "x", NULL, &text), KMS_MISCONFIGURED);
	assert_int_equal(kms_clients_find(clients, "local", "", NULL, &client),
			 KMS_MISCONFIGURED); /* no path */
	kms_clients_free(clients);
}

static void a_replacement_stands_for_every_region(void **state)
{
	struct kms_clients *clients = kms_clients_new(&settings);
	struct fake_kms fake;
	struct kms_client *client;

	(void)state;
	fake_kms_init(&fake, "aws");
	assert_true(kms_clients_replace(clients, "aws", &fake.client));
	assert_int_equal(kms_clients_find(clients, "aws", "us-west-2", NULL, &client), KMS_OK);
	assert_ptr_equal(client, &fake.client);
	assert_int_equal(kms_clients_find(clients, "aws", "", NULL, &client), KMS_OK);
	assert_ptr_equal(client, &fake.client);
	kms_clients_free(clients);
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
		EMPTY(hosts_follow_partition_fips_and_dual_stack),
		EMPTY(fips_and_dual_stack_may_come_from_outside),
		EMPTY(addresses_in_their_order),
		EMPTY(http_is_for_loopback_only),
		EMPTY(what_is_no_address_is_refused),
		EMPTY(a_password_in_an_address_is_not_told),
		EMPTY(an_address_excludes_fips_and_dual_stack),
		EMPTY(regions_in_their_order),
		EMPTY(the_description_names_the_source_and_no_secret),
		EMPTY(a_client_is_made_once_for_a_provider_and_region),
		EMPTY(an_unknown_provider_is_refused),
		EMPTY(a_replacement_stands_for_every_region),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
