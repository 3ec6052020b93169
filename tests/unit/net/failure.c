/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a failure of libcurl is called, and what to do about it. With real servers and proxies:
 * tests/aws/proxies.py and tls.py. */
#include "base/macros.h"
#include "net/failure.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define URL  "https://kms.us-west-2.amazonaws.com/"
#define HOST "kms.us-west-2.amazonaws.com: "

struct failing {
	CURLcode code;
	const char *url, *proxy, *words; /* what libcurl has said */
	enum http_result result;
	const char *told; /* all of it */
};

static void check_rows(const struct failing *rows, size_t count)
{
	CURL *handle = curl_easy_init();

	assert_non_null(handle);
	for (size_t i = 0; i < count; i++) {
		const struct http_request request = {.url = rows[i].url, .proxy = rows[i].proxy};
		struct http_answer answer = {0};

		snprintf(answer.error, sizeof(answer.error), "%s", rows[i].words);
		assert_int_equal(http_failure(handle, rows[i].code, &request, &answer),
				 rows[i].result);
		assert_string_equal(answer.error, rows[i].told);
		http_answer_clear(&answer);
	}
	curl_easy_cleanup(handle);
}

static void a_failure_names_the_host_and_what_to_do(void **state)
{
	static const struct failing rows[] = {
		{CURLE_COULDNT_CONNECT, URL, NULL, "refused", HTTP_NOT_CONNECTED, HOST "refused"},
		{CURLE_COULDNT_CONNECT, URL, NULL,
		 "Failed to connect to kms.us-west-2.amazonaws.com port 443 after 3 ms: refused",
		 HTTP_NOT_CONNECTED, HOST "refused"},
		{CURLE_OPERATION_TIMEDOUT, URL, NULL,
		 "Operation timed out after 701 milliseconds with 0 bytes received", HTTP_TIMED_OUT,
		 HOST "Operation timed out"},
		{CURLE_OPERATION_TIMEDOUT, URL, NULL, "too late", HTTP_TIMED_OUT, HOST "too late"},
		{CURLE_COULDNT_RESOLVE_HOST, "https://kms.invalid:8443/", NULL,
		 "Could not resolve host: kms.invalid", HTTP_NOT_CONNECTED,
		 "Could not resolve host: kms.invalid"},
		{CURLE_RECV_ERROR, URL, NULL, "reset", HTTP_BROKEN, HOST "reset"},
		{CURLE_WRITE_ERROR, URL, NULL, "long", HTTP_TOO_LONG, HOST "long"},
		{CURLE_SSL_CONNECT_ERROR, URL, NULL, "alert", HTTP_NOT_CONNECTED,
		 HOST "alert; the server must offer TLS 1.2 or 1.3"},
		{CURLE_SSL_CACERT_BADFILE, URL, NULL, "no PEM", HTTP_UNTRUSTED,
		 HOST "no PEM; check AWS_CA_BUNDLE or ca_bundle: a file of CA certificates in PEM"},
		/* Nothing was found wrong with the certificate itself: it is the name. */
		{CURLE_PEER_FAILED_VERIFICATION, URL, NULL, "no match", HTTP_UNTRUSTED,
		 HOST "no match; its certificate is another host's: check the endpoint"},
		/* The host is told with its port, and without the rest. */
		{CURLE_COULDNT_CONNECT, "http://127.0.0.1:99/a?b#c", NULL, "refused",
		 HTTP_NOT_CONNECTED, "127.0.0.1:99: refused"},
		{CURLE_URL_MALFORMAT, "nonsense", NULL, "odd", HTTP_UNUSABLE, "nonsense: odd"},
		/* An answer that is not HTTP, and an unknown scheme. */
		{CURLE_UNSUPPORTED_PROTOCOL, URL, NULL, "0.9", HTTP_BROKEN, HOST "0.9"},
		{CURLE_UNSUPPORTED_PROTOCOL, "ftp://a/", NULL, "ftp", HTTP_UNUSABLE, "a: ftp"},
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows));
}

/* libcurl says that the host is unknown, or does not answer. */
static void too_many_open_files_are_called_that(void **state)
{
	static const CURLcode codes[] = {CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
					 CURLE_SSL_CACERT_BADFILE};
	const struct http_request request = {.url = URL};
	struct http_answer answers[COUNT_OF(codes)] = {0};
	CURL *handle = curl_easy_init();
	int next = dup(STDERR_FILENO);
	struct rlimit before, few;

	(void)state;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)next + 2, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (size_t i = 0; i < COUNT_OF(codes); i++)
		http_failure(handle, codes[i], &request, &answers[i]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		assert_non_null(
			strstr(answers[i].error, "too many files are open in this process"));
		http_answer_clear(&answers[i]);
	}
	curl_easy_cleanup(handle);
}

static void libcurl_s_own_words_stand_in_for_missing_ones(void **state)
{
	const struct http_request request = {.url = URL};
	CURL *handle = curl_easy_init();
	struct http_answer answer = {0};

	(void)state;
	assert_int_equal(http_failure(handle, CURLE_COULDNT_CONNECT, &request, &answer),
			 HTTP_NOT_CONNECTED);
	assert_non_null(strstr(answer.error, curl_easy_strerror(CURLE_COULDNT_CONNECT)));
	assert_int_equal(http_failure(handle, CURLE_OK, &request, &answer), HTTP_ANSWERED);
	http_answer_clear(&answer);
	curl_easy_cleanup(handle);
}

static void a_proxy_is_named_without_its_password(void **state)
{
#define BY "; by the proxy proxy:3128: check HTTPS_PROXY and NO_PROXY"
	static const struct failing rows[] = {
		{CURLE_COULDNT_CONNECT, URL, "http://proxy:3128", "refused", HTTP_NOT_CONNECTED,
		 HOST "refused" BY},
		{CURLE_COULDNT_RESOLVE_PROXY, URL, "http://user:pa@ss@proxy:3128/", "unknown",
		 HTTP_NOT_CONNECTED, HOST "unknown; check HTTPS_PROXY" BY},
	};

	(void)state;
	check_rows(rows, COUNT_OF(rows));
}

/* libcurl quotes a proxy that it can't make out, perhaps not to its end: its general words do. */
static void no_quotation_tells_the_password(void **state)
{
	static const char *const words[] = {
		"Unsupported proxy scheme for 'ftp://user:secret@proxy:3128'",
		"Unsupported proxy scheme for 'ftp://u",
	};
	const struct http_request request = {.url = URL, .proxy = "ftp://user:secret@proxy:3128"};
	CURL *handle = curl_easy_init();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct http_answer answer = {0};

		snprintf(answer.error, sizeof(answer.error), "%s", words[i]);
		http_failure(handle, CURLE_COULDNT_RESOLVE_PROXY, &request, &answer);
		assert_non_null(
			strstr(answer.error, curl_easy_strerror(CURLE_COULDNT_RESOLVE_PROXY)));
		assert_non_null(strstr(answer.error, "by the proxy proxy:3128"));
		assert_null(strstr(answer.error, "secret"));
		assert_null(strstr(answer.error, "ftp://u"));
		http_answer_clear(&answer);
	}
	curl_easy_cleanup(handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_names_the_host_and_what_to_do),
		cmocka_unit_test(too_many_open_files_are_called_that),
		cmocka_unit_test(libcurl_s_own_words_stand_in_for_missing_ones),
		cmocka_unit_test(a_proxy_is_named_without_its_password),
		cmocka_unit_test(no_quotation_tells_the_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
