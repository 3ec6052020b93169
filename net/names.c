/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts, looked up in the calling thread. */
#include "net/names.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void http_names_clear(struct http_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		curl_free(names->at[i].host);
		curl_free(names->at[i].port);
	}
	names->count = 0;
}

static bool begins(const char *text, const char *beginning)
{
	return strncasecmp(text, beginning, strlen(beginning)) == 0;
}

/* Libcurl resolves localhost by itself, without any query. */
static bool is_address(const char *host)
{
	struct in_addr address;

	return host[0] == '[' || strcasecmp(host, "localhost") == 0 ||
	       inet_pton(AF_INET, host, &address) == 1;
}

static bool is_ascii(const char *text)
{
	for (; *text != 0; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Host and port as libcurl reads them; `port` if there is none. */
static CURLUcode read_url(CURLU *url, const char *text, const char *port, struct http_name *ret)
{
	CURLUcode code = curl_url_set(url, CURLUPART_URL, text,
				      CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME);

	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_HOST, &ret->host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_PORT, &ret->port, 0);
	if (code == CURLUE_NO_PORT) {
		code = curl_url_set(url, CURLUPART_PORT, port, 0);
		if (code == CURLUE_OK)
			code = curl_url_get(url, CURLUPART_PORT, &ret->port, 0);
	}
	return code;
}

static CURLcode add(struct http_names *names, const char *text, const char *port, bool of_proxy,
		    char *error)
{
	struct http_name *name = &names->at[names->count];
	CURLU *url = curl_url();
	CURLUcode code = url == NULL ? CURLUE_OUT_OF_MEMORY : CURLUE_OK;

	*name = (struct http_name){.of_proxy = of_proxy};
	if (code == CURLUE_OK)
		code = read_url(url, text, port, name);
	curl_url_cleanup(url);
	names->count++;
	if (code == CURLUE_OK && !is_ascii(name->host)) {
		snprintf(error, CURL_ERROR_SIZE,
			 "a name in letters beyond ASCII: write it as xn--...");
		return CURLE_URL_MALFORMAT;
	}
	if (code == CURLUE_OK && !is_address(name->host))
		return CURLE_OK;
	curl_free(name->host);
	curl_free(name->port);
	names->count--;
	return code == CURLUE_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

CURLcode http_names_find(const struct http_request *request, struct http_names *names,
			 char error[static CURL_ERROR_SIZE])
{
	const char *proxy = request->proxy;
	CURLcode code = CURLE_OK;

	if (proxy != NULL)
		code = add(names, proxy, begins(proxy, "https:") ? "443" : "1080", true, error);
	/* A proxy gets the name itself, except for these two kinds. */
	if (code == CURLE_OK &&
	    (proxy == NULL || begins(proxy, "socks4:") || begins(proxy, "socks5:")))
		code = add(names, request->url, begins(request->url, "http:") ? "80" : "443", false,
			   error);
	return code;
}

static bool append(struct curl_slist **list, struct buffer *line)
{
	struct curl_slist *longer =
		buffer_text(line) == NULL ? NULL : curl_slist_append(*list, buffer_text(line));

	if (longer != NULL)
		*list = longer;
	return longer != NULL;
}

/* With the '+' libcurl forgets it in time. */
static void begin_line(const struct http_name *name, struct buffer *line)
{
	buffer_format(line, "+%s:%s:", name->host, name->port);
}

CURLcode http_names_without_address(const struct http_names *names, struct curl_slist **ret_list)
{
	AUTO(curl_slist_freep) struct curl_slist *list = NULL;

	for (size_t i = 0; i < names->count; i++) {
		AUTO(buffer_clear) struct buffer line = {0};

		begin_line(&names->at[i], &line);
		buffer_put_text(&line, "192.0.2.1"); /* RFC 5737: an address that nobody has */
		if (!append(&list, &line))
			return CURLE_OUT_OF_MEMORY;
	}
	*ret_list = TAKE(list);
	return CURLE_OK;
}

static size_t put_addresses(const struct addrinfo *found, struct buffer *line)
{
	size_t count = 0;

	for (; found != NULL; found = found->ai_next) {
		char text[INET6_ADDRSTRLEN];
		bool v6 = found->ai_family == AF_INET6;
		const void *address =
			v6 ? (const void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr
			   : (const void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr;

		if ((!v6 && found->ai_family != AF_INET) ||
		    inet_ntop(found->ai_family, address, text, sizeof(text)) == NULL)
			continue;
		buffer_format(line, v6 ? "%s[%s]" : "%s%s", count == 0 ? "" : ",", text);
		count++;
	}
	return count;
}

static CURLcode not_found(const struct http_name *name, int code, int system_error, char *error)
{
	snprintf(error, CURL_ERROR_SIZE, "Could not resolve %s: %.120s: %s",
		 name->of_proxy ? "proxy" : "host", name->host,
		 code == 0	      ? "it has no address"
		 : code == EAI_SYSTEM ? strerror(system_error)
				      : gai_strerror(code));
	return name->of_proxy ? CURLE_COULDNT_RESOLVE_PROXY : CURLE_COULDNT_RESOLVE_HOST;
}

static CURLcode look_up(const struct http_name *name, struct buffer *line, char *error)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int code = getaddrinfo(name->host, NULL, &hints, &found), system_error = errno;
	size_t count;

	if (code == EAI_MEMORY || (code == EAI_SYSTEM && system_error == ENOMEM))
		return CURLE_OUT_OF_MEMORY;
	if (code != 0)
		return not_found(name, code, system_error, error);
	begin_line(name, line);
	count = put_addresses(found, line);
	freeaddrinfo(found);
	return count > 0 ? CURLE_OK : not_found(name, 0, 0, error);
}

CURLcode http_names_look_up(const struct http_names *names, struct curl_slist **ret_list,
			    char error[static CURL_ERROR_SIZE])
{
	AUTO(curl_slist_freep) struct curl_slist *list = NULL;

	for (size_t i = 0; i < names->count; i++) {
		AUTO(buffer_clear) struct buffer line = {0};

		TRY(look_up(&names->at[i], &line, error));
		if (!append(&list, &line))
			return CURLE_OUT_OF_MEMORY;
	}
	*ret_list = TAKE(list);
	return CURLE_OK;
}
