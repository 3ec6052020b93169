/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Turns libcurl's report that there is no answer into a result and a message. */
#pragma once

#include "net/http.h"

#include <curl/curl.h>

/* The result of a request that has just been performed. Without an answer answer->error, which may
 * hold libcurl's own words, says what happened to which host, by which proxy (never with its
 * password), and what to do. */
enum http_result http_failure(CURL *handle, CURLcode code, const struct http_request *request,
			      struct http_answer *answer);
