/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses go by a proxy, and by which. */
#include "aws/environment.h"
#include "base/macros.h"
#include "net/proxy.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {
	"https_proxy", "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
	"no_proxy",    "NO_PROXY",    "http_proxy", "HTTP_PROXY",
};

static int forget(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		unsetenv(names[i]);
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What is found is borrowed from the environment. */
static void goes_by(const char *url, const char *expected)
{
	struct environment environment = {0};
	struct proxy_variables variables;
	const char *found;

	assert_true(environment_read(&environment));
	variables = environment_proxy(&environment);
	found = proxy_find(&variables, url);
	if (!same(found, expected))
		fail_msg("%s goes by %s, with NO_PROXY=%s", url, found == NULL ? "none" : found,
			 getenv("NO_PROXY") == NULL ? "" : getenv("NO_PROXY"));
	environment_clear(&environment);
}

static void nothing_is_set_and_nothing_used(void **state)
{
	(void)state;
	goes_by("https://kms.example", NULL);
}

static void the_first_variable_that_is_set_names_the_proxy(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		const char *expected;
	} steps[] = {
		{"ALL_PROXY", "http://a", "http://a"},	 {"all_proxy", "http://b", "http://b"},
		{"HTTPS_PROXY", "http://c", "http://c"}, {"https_proxy", "http://d", "http://d"},
		{"https_proxy", "", "http://c"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		setenv(steps[i].name, steps[i].value, 1);
		goes_by("https://kms.example", steps[i].expected);
	}
}

static void http_goes_to_nobody_but_its_host(void **state)
{
	(void)state;
	setenv("http_proxy", "http://a", 1);
	setenv("HTTPS_PROXY", "http://a", 1);
	setenv("ALL_PROXY", "http://a", 1);
	goes_by("http://127.0.0.1:8000/", NULL);
	goes_by("HTTP://localhost", NULL);
	goes_by("HTTPS://localhost", "http://a");
}

static void no_proxy_lists_what_is_reached_directly(void **state)
{
	static const struct {
		const char *list;
		const char *host;
		bool direct;
	} rows[] = {
		/* clang-format off */
		{ "kms.example",              "kms.example",       true },
		{ "KMS.Example",              "kms.example:443",   true },
		{ "kms.example.",             "kms.example",       true },
		{ "kms.example",              "kms.example.",      true },
		{ "example",                  "kms.example",       true },
		{ ".example",                 "kms.example",       true },
		{ "*.example",                "kms.example",       true },
		{ ".kms.example",             "kms.example",       true },
		{ "ms.example",               "kms.example",       false },
		{ "kms.example",              "akms.example",      false },
		{ "kms.example",              "example",           false },
		{ "kms.example",              "kms.example.org",   false },
		{ "a,b, c kms.example\t,d",   "kms.example",       true },
		{ "a,,b",                     "kms.example",       false },
		{ ",.,*.",                    "kms.example",       false },
		{ "*",                        "kms.example",       true },
		{ "a, *",                     "kms.example",       true },
		{ "*a",                       "kms.example",       false },
		{ "kms.example:443",          "kms.example",       true },
		{ "kms.example:443",          "kms.example:443/x", true },
		{ "kms.example:443",          "kms.example:8443",  false },
		{ "kms.example:8443",         "kms.example:8443",  true },
		{ "kms.example:8443",         "kms.example",       false },
		{ "127.0.0.1",                "127.0.0.1:5",       true },
		{ "0.0.1",                    "127.0.0.1:5",       false },
		{ "127.0.0.0/8",              "127.1.2.3",         true },
		{ "10.0.0.0/8",               "127.1.2.3",         false },
		{ "10.16.0.0/12",             "10.31.2.3",         true },
		{ "10.16.0.0/12",             "10.32.2.3",         false },
		{ "10.16.0.0/99",             "10.16.2.3",         false },
		{ "10.16.0.0/",               "10.16.2.3",         false },
		{ "0.0.0.0/0",                "10.16.2.3",         true },
		{ "10.0.0.0/8",               "kms.example",       false },
		{ "::1",                      "[::1]:5",           true },
		{ "[::1]",                    "[::1]",             true },
		{ "[::1]:5",                  "[::1]:5",           true },
		{ "[::1]:5",                  "[::1]:6",           false },
		{ "fd00::/8",                 "[fd12::1]",         true },
		{ "fd00::/8",                 "[fe12::1]",         false },
		{ "fd12::1/128",              "[fd12::1]",         true },
		{ "0.0.0.0/0",                "[fd12::1]",         false },
		/* clang-format on */
	};

	(void)state;
	setenv("HTTPS_PROXY", "http://proxy", 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char url[128];

		snprintf(url, sizeof(url), "https://%s", rows[i].host);
		setenv("NO_PROXY", rows[i].list, 1);
		goes_by(url, rows[i].direct ? NULL : "http://proxy");
	}
}

static void no_proxy_in_small_letters_wins(void **state)
{
	(void)state;
	setenv("HTTPS_PROXY", "http://proxy", 1);
	setenv("NO_PROXY", "*", 1);
	setenv("no_proxy", "elsewhere", 1);
	goes_by("https://kms.example", "http://proxy");
}

#define CLEAN(test) cmocka_unit_test_setup_teardown(test, forget, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLEAN(nothing_is_set_and_nothing_used),
		CLEAN(the_first_variable_that_is_set_names_the_proxy),
		CLEAN(http_goes_to_nobody_but_its_host),
		CLEAN(no_proxy_lists_what_is_reached_directly),
		CLEAN(no_proxy_in_small_letters_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
