/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of hosts, looked up in the calling thread and handed to libcurl, whose own resolver starts
 * a thread for each: for a program that has said that it can't have that.
 */
#pragma once

#include "net/http.h"

#include <curl/curl.h>

/* What libcurl would look up for a request if it had to connect. */
struct http_names {
	size_t count; /* 0: nothing, for there are addresses already */
	struct http_name {
		char *host, *port; /* libcurl's */
		bool of_proxy;
	} at[2];
};
void http_names_clear(struct http_names *names);

/* Zero state first. CURLE_OK: here they are; a URL that libcurl can't read has none, and libcurl
 * refuses it. CURLE_URL_MALFORMAT: a name that is not ASCII (`error` says so); CURLE_OUT_OF_MEMORY.
 */
CURLcode http_names_find(const struct http_request *request, struct http_names *names,
			 char error[static CURL_ERROR_SIZE]);

/* For CURLOPT_RESOLVE, in place of whatever the handle knew before; NULL if there are no names.
 * With an address to which nothing may connect: an existing connection is used, and the socket
 * callback refuses a new one. */
CURLcode http_names_without_address(const struct http_names *names, struct curl_slist **ret_list);
/* With all their current addresses, from the system's resolver and within its own time. A failure
 * is libcurl's code for it, with the resolver's words in `error`. */
CURLcode http_names_look_up(const struct http_names *names, struct curl_slist **ret_list,
			    char error[static CURL_ERROR_SIZE]);

/* For AUTO. */
static inline void curl_slist_freep(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}
