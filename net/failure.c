/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Turns libcurl's report that there is no answer into our result, and into words for people. */
#include "net/failure.h"

#include "base/file.h"
#include "base/macros.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char unknown_ca[] =
	"nobody who is trusted here vouches for its certificate: if it is the right server, name a "
	"file with its CA in AWS_CA_BUNDLE or ca_bundle";

/* Libcurl's codes for failures, our results, and what to do; all other codes mean that the
 * connection broke. */
static const struct failure {
	CURLcode code;
	enum http_result result;
	const char *advice;
} results[] = {
	/* clang-format off */
	{ CURLE_OK,                       HTTP_ANSWERED,      "" },
	{ CURLE_OUT_OF_MEMORY,            HTTP_NO_MEMORY,     "" },
	{ CURLE_WRITE_ERROR,              HTTP_TOO_LONG,      "" },
	{ CURLE_OPERATION_TIMEDOUT,       HTTP_TIMED_OUT,     "" },
	{ CURLE_COULDNT_RESOLVE_PROXY,    HTTP_NOT_CONNECTED, "check HTTPS_PROXY" },
	{ CURLE_COULDNT_RESOLVE_HOST,     HTTP_NOT_CONNECTED, "" },
	{ CURLE_COULDNT_CONNECT,          HTTP_NOT_CONNECTED, "" },
	{ CURLE_SSL_CONNECT_ERROR,        HTTP_NOT_CONNECTED, "the server must offer TLS 1.2 or 1.3" },
	{ CURLE_PEER_FAILED_VERIFICATION, HTTP_UNTRUSTED,     "its certificate is another host's: check the endpoint" },
	{ CURLE_SSL_CACERT_BADFILE,       HTTP_UNTRUSTED,     "check AWS_CA_BUNDLE or ca_bundle: a file of CA certificates in PEM" },
	{ CURLE_SSL_CERTPROBLEM,          HTTP_UNTRUSTED,     "check client_certificate and client_key: files in PEM that belong together, the key without a passphrase" },
	{ CURLE_URL_MALFORMAT,            HTTP_UNUSABLE,      "" },
	{ CURLE_UNSUPPORTED_PROTOCOL,     HTTP_UNUSABLE,      "" },
	{ CURLE_FAILED_INIT,              HTTP_UNUSABLE,      "" },
	/* clang-format on */
};

/* What OpenSSL found wrong with a certificate (X509_V_ERR_…, openssl-verification-options(1)). */
static const struct {
	long code;
	const char *advice;
} certificates[] = {
	/* clang-format off */
	{  2, unknown_ca }, /* UNABLE_TO_GET_ISSUER_CERT */
	{  9, "its certificate is not valid yet: check this machine's clock" },
	{ 10, "its certificate has expired: it needs a new one, or this machine's clock is wrong" },
	{ 18, unknown_ca }, /* DEPTH_ZERO_SELF_SIGNED_CERT */
	{ 19, unknown_ca }, /* SELF_SIGNED_CERT_IN_CHAIN */
	{ 20, unknown_ca }, /* UNABLE_TO_GET_ISSUER_CERT_LOCALLY */
	{ 21, unknown_ca }, /* UNABLE_TO_VERIFY_LEAF_SIGNATURE */
	/* clang-format on */
};

/* 0 and 1 (UNSPECIFIED): libcurl's initial value, which stays if the name is what is wrong. */
static bool is_wrong(long found)
{
	return found > 1;
}

/* NULL: the name was wrong. */
static const char *certificate_advice(CURL *handle, const struct http_request *request)
{
	long found = 0, of_proxy = 0;

	curl_easy_getinfo(handle, CURLINFO_SSL_VERIFYRESULT, &found);
	if (request->proxy != NULL && strncasecmp(request->proxy, "https:", 6) == 0)
		curl_easy_getinfo(handle, CURLINFO_PROXY_SSL_VERIFYRESULT, &of_proxy);
	if (is_wrong(of_proxy))
		return "this is the proxy's certificate: have the system trust its CA";
	for (size_t i = 0; i < COUNT_OF(certificates); i++)
		if (certificates[i].code == found)
			return certificates[i].advice;
	return is_wrong(found) ? "its certificate can't be trusted" : NULL;
}

/* The proxy's answer to CONNECT; 0: none, or there is no proxy. */
static long proxy_status(CURL *handle, const struct http_request *request)
{
	long status = 0;

	if (request->proxy != NULL)
		curl_easy_getinfo(handle, CURLINFO_HTTP_CONNECTCODE, &status);
	return status;
}

static bool is_refusal(long status)
{
	return status >= 400 && status < 500;
}

static const char *proxy_advice(long status)
{
	if (status == 407)
		return "it wants a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT";
	if (is_refusal(status))
		return "let it allow this host, or name the host in NO_PROXY";
	return "check HTTPS_PROXY and NO_PROXY";
}

/* The host of a URL, with its port. */
static struct bytes host_of(const char *url)
{
	const char *begin = strstr(url, "://");

	begin = begin == NULL ? url : begin + 3;
	return bytes(begin, strcspn(begin, "/?#"));
}

/* The proxy as it may be shown: without user and password. */
static struct bytes name_of(const char *proxy)
{
	const char *at = strrchr(proxy, '@');

	return host_of(at == NULL ? proxy : at + 1);
}

/* Whether libcurl quotes a proxy that it can't parse, perhaps not to its end. */
static bool quotes(const char *words, const char *proxy)
{
	const char *user = strstr(proxy, "://");
	size_t len = user == NULL ? 1 : (size_t)(user - proxy) + 4;

	return strchr(proxy, '@') != NULL && memmem(words, strlen(words), proxy, len) != NULL;
}

/* Without "Failed to connect to HOST port N after M ms: ", since the host is told before, and
 * without " after M milliseconds …" of a time limit, since what counts is how long the whole call
 * took (kms/aws/request.c). Cuts `words`. */
static const char *gist(CURLcode code, char *words)
{
	char *reason = strstr(words, " ms: "), *duration = strstr(words, " after ");

	if (strncmp(words, "Failed to connect to ", 21) == 0 && reason != NULL)
		return reason + 5;
	if (code == CURLE_OPERATION_TIMEDOUT && duration != NULL)
		*duration = '\0';
	return words;
}

/* Whether libcurl's words name the host already, as those for a name without an address do. */
static bool names_host(const char *words, struct bytes host)
{
	const size_t len = strcspn((const char *)host.data, ":/?#");

	return len > 0 && memmem(words, strlen(words), host.data, len < host.len ? len : host.len);
}

static void tell(struct http_answer *answer, CURLcode code, const struct http_request *request,
		 const char *advice, long status)
{
	const struct bytes host = host_of(request->url);
	char words[sizeof(answer->error)];
	bool is_named;
	int len;

	memcpy(words, answer->error, sizeof(words));
	if (words[0] == 0 || (request->proxy != NULL && quotes(words, request->proxy)))
		snprintf(words, sizeof(words), "%s", curl_easy_strerror(code));
	is_named = code == CURLE_COULDNT_RESOLVE_HOST && names_host(words, host);
	len = snprintf(answer->error, sizeof(answer->error), "%.*s%s%s%s%s",
		       is_named ? 0 : (int)host.len, (const char *)host.data, is_named ? "" : ": ",
		       gist(code, words), advice[0] == 0 ? "" : "; ", advice);
	if (request->proxy != NULL && len > 0 && (size_t)len < sizeof(answer->error))
		snprintf(answer->error + len, sizeof(answer->error) - (size_t)len,
			 "; by the proxy %.*s: %s", (int)name_of(request->proxy).len,
			 (const char *)name_of(request->proxy).data, proxy_advice(status));
}

/* A look-up of the name takes a pair of sockets and a file or a third, a connection one, a file of
 * CAs one: libcurl calls it an unknown host, or a server that can't be reached. */
enum { FILES_NEEDED = 4 };

static const char *files_advice(CURLcode code)
{
	static const CURLcode doubtful[] = {
		CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
		CURLE_SSL_CACERT_BADFILE,    CURLE_FAILED_INIT,
	};

	for (size_t i = 0; i < COUNT_OF(doubtful); i++)
		if (doubtful[i] == code && !file_can_open(FILES_NEEDED))
			return errno == ENFILE
				       ? "too many files are open in this system: raise its "
					 "limit (fs.file-max)"
				       : "too many files are open in this process: raise its "
					 "limit (ulimit -n)";
	return NULL;
}

/* An answer as of HTTP/0.9, or in no protocol at all, is called an unsupported one too. */
static const struct failure *find(CURLcode code, const char *url)
{
	static const struct failure broken = {CURLE_RECV_ERROR, HTTP_BROKEN, ""};

	if (code == CURLE_UNSUPPORTED_PROTOCOL && strncasecmp(url, "http", 4) == 0)
		return &broken;
	for (size_t i = 0; i < COUNT_OF(results); i++)
		if (results[i].code == code)
			return &results[i];
	return &broken;
}

enum http_result http_failure(CURL *handle, CURLcode code, const struct http_request *request,
			      struct http_answer *answer)
{
	const struct failure *failure = find(code, request->url);
	const char *advice = files_advice(code);
	long status = proxy_status(handle, request);

	if (code == CURLE_OK)
		return HTTP_ANSWERED;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		advice = certificate_advice(handle, request);
	tell(answer, code, request, advice == NULL ? failure->advice : advice, status);
	return is_refusal(status) ? HTTP_REFUSED : failure->result;
}
