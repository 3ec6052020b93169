/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libcurl. Each request sets all its options anew on a handle from the pool, which brings
 * nothing along but its connections.
 */
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "net/failure.h"
#include "net/guest.h"
#include "net/http.h"
#include "net/names.h"
#include "net/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http_curl {
	struct http http;
	struct http_pool pool;
	struct guest_sockets sockets;
	const struct clock *clock;
	bool no_threads;
};

/* What opens the sockets for one try of a request. */
struct dial {
	struct guest_sockets *sockets;
	bool refused; /* none may be opened */
	bool wanted;  /* one was */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static bool curl_usable;

/* Two copies of libcrypto in one process, ours and libcurl's, may mix their symbols: no KMS is
 * better than a crash. */
static void start_curl(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	if (!crypto_same_openssl(info->ssl_version)) {
		log_error("KMS: libcurl uses %s, this module OpenSSL %s: cloud KMS refused; "
			  "build the module with -Dhidden_openssl=true, or let the program load "
			  "the system's OpenSSL",
			  info->ssl_version == NULL ? "no TLS" : info->ssl_version,
			  crypto_openssl_version());
		return;
	}
	curl_usable = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

/* Returns how much was taken; if that is not all, libcurl ends the transfer. */
static size_t take(struct http_answer *answer, struct buffer *into, struct bytes data)
{
	bool fits = data.len <= into->limit - into->len;

	buffer_append(into, data);
	answer->no_memory |= into->failed && fits;
	return into->failed ? 0 : data.len;
}

/* The data lies in a buffer of libcurl's own, which may hold it for as long as the connection is
 * kept, and longer: a key must not stay there. */
static size_t on_body(char *data, size_t size, size_t count, void *state)
{
	struct http_answer *answer = state;
	size_t taken = take(answer, &answer->body, bytes(data, size * count));

	wipe(data, size * count);
	return taken;
}

/* A status line starts the lines anew: those of a "100 Continue" or of a proxy are dropped. */
static size_t on_head(char *data, size_t size, size_t count, void *state)
{
	struct http_answer *answer = state;

	if (size * count > 5 && memcmp(data, "HTTP/", 5) == 0)
		buffer_truncate(&answer->head, 0);
	return take(answer, &answer->head, bytes(data, size * count));
}

static curl_socket_t on_socket(void *state, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct dial *dial = state;

	(void)purpose;
	dial->wanted = true;
	if (dial->refused)
		return CURL_SOCKET_BAD;
	return guest_socket_open(dial->sockets, address->family, address->socktype,
				 address->protocol);
}

static int on_close(void *state, curl_socket_t fd)
{
	guest_socket_close(state, fd);
	return 0;
}

static CURLcode on_tls(CURL *handle, void *ssl_context, void *state)
{
	(void)handle;
	(void)state;
	guest_tls_forgets(ssl_context);
	return CURLE_OK;
}

static struct curl_slist *header_list(const struct http_request *request)
{
	/* Headers that libcurl would add on its own are not sent. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; list != NULL && i < request->header_count; i++) {
		AUTO(buffer_clear) struct buffer line = {0};
		struct curl_slist *longer = NULL;

		buffer_format(&line, "%s: %s", request->headers[i].name, request->headers[i].value);
		if (buffer_text(&line) != NULL)
			longer = curl_slist_append(list, buffer_text(&line));
		if (longer == NULL)
			curl_slist_free_all(list);
		list = longer;
	}
	return list;
}

/* Lines may hold a session token. */
static void header_list_free(struct curl_slist *list)
{
	for (struct curl_slist *line = list; line != NULL; line = line->next)
		wipe(line->data, strlen(line->data));
	curl_slist_free_all(list);
}

/* Only options with texts need memory. */
static bool set_text(CURL *handle, CURLoption option, const char *text)
{
	return curl_easy_setopt(handle, option, text) == CURLE_OK;
}

static bool set_protocol(CURL *handle)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	if (!set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
		return false;
#else
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(handle, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L); /* the path that was signed */
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(handle, CURLOPT_MAXAGE_CONN, (long)(POOL_IDLE_MS / 1000));
	return true;
}

static void set_callbacks(CURL *handle, struct dial *dial, struct http_answer *answer)
{
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, (void *)answer);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, (void *)answer);
	curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, (void *)dial);
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETDATA, (void *)dial->sockets);
	curl_easy_setopt(handle, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, answer->error);
}

static bool set_request(CURL *handle, const struct http_request *request, struct curl_slist *list)
{
	/* The proxy is never libcurl's own choice: it would read the environment. */
	if (!set_text(handle, CURLOPT_URL, request->url) ||
	    !set_text(handle, CURLOPT_PROXY, request->proxy == NULL ? "" : request->proxy) ||
	    !set_text(handle, CURLOPT_NOPROXY, "") ||
	    !set_text(handle, CURLOPT_USERAGENT,
		      request->user_agent == NULL ? HTTP_USER_AGENT : request->user_agent))
		return false;
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	if (request->ca_bundle != NULL && !set_text(handle, CURLOPT_CAINFO, request->ca_bundle))
		return false;
	/* Without a passphrase of ours OpenSSL asks the terminal for one, and waits. */
	if (request->client_certificate != NULL &&
	    (!set_text(handle, CURLOPT_SSLCERT, request->client_certificate) ||
	     !set_text(handle, CURLOPT_SSLKEY, request->client_key) ||
	     !set_text(handle, CURLOPT_KEYPASSWD, "")))
		return false;
	if (strcmp(request->method, "POST") != 0)
		return set_text(handle, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(handle, CURLOPT_POST, 1L);
	curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body.data);
	return true;
}

/* `addresses`: of names, or NULL. */
static enum http_result perform(struct dial *dial, CURL *handle, const struct http_request *request,
				struct curl_slist *addresses, struct http_answer *answer)
{
	struct curl_slist *list = header_list(request);
	CURLcode code = CURLE_OUT_OF_MEMORY;
	long status = 0;

	set_callbacks(handle, dial, answer);
	if (list != NULL && set_protocol(handle) && set_request(handle, request, list)) {
		curl_easy_setopt(handle, CURLOPT_RESOLVE, addresses);
		code = curl_easy_perform(handle);
		/* A handle whose use was not finished may still read it. */
		curl_easy_setopt(handle, CURLOPT_RESOLVE, NULL);
		code = answer->no_memory ? CURLE_OUT_OF_MEMORY : code;
		curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
		answer->status = (unsigned)status;
	}
	header_list_free(list);
	return http_failure(handle, code, request, answer);
}

static void forget_answer(struct http_answer *answer)
{
	buffer_truncate(&answer->head, 0);
	buffer_truncate(&answer->body, 0);
	answer->status = 0;
	answer->error[0] = 0;
}

/* What is left of a request's time since then; never 0, which means no limit to libcurl. */
static void shorten(const struct http_curl *http, int64_t since_ms, struct http_request *request)
{
	int64_t left = request->timeout_ms - (clock_now(http->clock).monotonic_ms - since_ms);

	request->timeout_ms = left > 0 ? (unsigned)left : 1;
	if (request->connect_timeout_ms > request->timeout_ms)
		request->connect_timeout_ms = request->timeout_ms;
}

/* By a new connection. */
static enum http_result perform_anew(struct http_curl *http, CURL *handle,
				     const struct http_request *request,
				     const struct http_names *names, struct http_answer *answer)
{
	AUTO(curl_slist_freep) struct curl_slist *addresses = NULL;
	struct dial dial = {.sockets = &http->sockets};
	int64_t began_ms = clock_now(http->clock).monotonic_ms;
	struct http_request rest = *request;
	CURLcode code = http_names_look_up(names, &addresses, answer->error);

	if (code != CURLE_OK)
		return http_failure(handle, code, request, answer);
	shorten(http, began_ms, &rest);
	return perform(&dial, handle, &rest, addresses, answer);
}

/*
 * Without a thread. First by a connection that is there, if there is one, for it needs no name;
 * where libcurl wants another, nothing has come of it, as with a connection that died meanwhile,
 * and the names are looked up. Nothing found is used again: each try replaces what the handle
 * knows.
 */
static enum http_result perform_here(struct http_curl *http, CURL *handle,
				     const struct http_request *request, struct http_answer *answer)
{
	AUTO(http_names_clear) struct http_names names = {0};
	AUTO(curl_slist_freep) struct curl_slist *nowhere = NULL;
	struct dial dial = {.sockets = &http->sockets};
	CURLcode code = http_names_find(request, &names, answer->error);
	enum http_result result;

	if (code == CURLE_OK)
		code = http_names_without_address(&names, &nowhere);
	if (code != CURLE_OK)
		return http_failure(handle, code, request, answer);
	dial.refused = names.count > 0;
	result = perform(&dial, handle, request, nowhere, answer);
	if (!dial.refused || !dial.wanted)
		return result;
	forget_answer(answer);
	return perform_anew(http, handle, request, &names, answer);
}

/* Scheme, host and port of a URL. */
static void name_server(const char *url, char ret_server[static POOL_SERVER_MAX + 1])
{
	const char *host = strstr(url, "://");

	host = host == NULL ? url : host + 3;
	snprintf(ret_server, POOL_SERVER_MAX + 1, "%.*s",
		 (int)(host - url + (ptrdiff_t)strcspn(host, "/?#")), url);
}

static enum http_result send_with_pool(struct http_curl *http, const struct http_request *request,
				       struct http_answer *answer)
{
	char server[POOL_SERVER_MAX + 1];
	struct dial dial = {.sockets = &http->sockets};
	enum http_result result;
	CURL *handle;

	name_server(request->url, server);
	handle = pool_borrow(&http->pool, server, clock_now(http->clock).monotonic_ms);
	if (handle == NULL)
		return HTTP_NO_MEMORY;
	result = http->no_threads ? perform_here(http, handle, request, answer)
				  : perform(&dial, handle, request, NULL, answer);
	curl_easy_reset(handle); /* forgets what is borrowed, keeps the connections */
	/* Sockets closed from now on are still ours to count. */
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(handle, CURLOPT_CLOSESOCKETDATA, (void *)&http->sockets);
	pool_return(&http->pool, handle, server, clock_now(http->clock).monotonic_ms);
	return result;
}

static enum http_result real_send(struct http *base, const struct http_request *request,
				  struct http_answer *answer)
{
	struct http_curl *http = (struct http_curl *)base;
	struct guest guest;
	enum http_result result = HTTP_UNUSABLE;

	answer->head.limit = HTTP_HEAD_MAX;
	answer->body.limit = request->body_limit > 0 ? request->body_limit : HTTP_BODY_MAX;
	guest_enter(&guest);
	pthread_once(&curl_once, start_curl);
	if (curl_usable)
		result = send_with_pool(http, request, answer);
	else
		snprintf(answer->error, sizeof(answer->error), "libcurl can't be used here");
	guest_leave(&guest);
	return result;
}

static void real_abandon(struct http *base)
{
	guest_sockets_abandon(&((struct http_curl *)base)->sockets);
}

static void real_free(struct http *base)
{
	struct http_curl *http = (struct http_curl *)base;
	struct guest guest;

	if (guest_openssl_ended()) { /* the process exits: TLS can't say goodbye any more */
		real_abandon(base);
		return;
	}
	guest_enter(&guest);
	pool_clear(&http->pool);
	guest_leave(&guest);
	free(http);
}

static const struct http_operations real_operations = {
	.send = real_send,
	.abandon = real_abandon,
	.free = real_free,
};

struct http *http_curl_new(unsigned max_idle_connections, bool no_threads,
			   const struct clock *clock)
{
	struct http_curl *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return NULL;
	http->http.operations = &real_operations;
	http->clock = clock;
	http->no_threads = no_threads;
	pool_init(&http->pool, max_idle_connections);
	return &http->http;
}
