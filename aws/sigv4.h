/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 for requests with an Authorization header (AWS General Reference,
 * "Signature Version 4 signing process"). Own code, since libcurl's signer is wrong for our
 * requests before 8.3 and keeps a copy of the secret that can't be wiped.
 */
#pragma once

#include "base/buffer.h"
#include "net/http.h"

#include <pthread.h>

enum { SIGV4_TIME = 16, SIGV4_DATE = 8, SIGV4_KEY = 32 };

/* Where and when a signature holds. */
struct sigv4_scope {
	const char *time; /* "20150830T123600Z" */
	const char *region;
	const char *service;
};

/* The signer. Borrowed; the number changes whenever the secret does (for the cache of keys). */
struct sigv4_identity {
	const char *access_key_id;
	struct bytes secret;
	uint64_t number;
};

/* What is signed. Path and query are canonical already ("/" and "" for KMS); all headers are
 * signed, in any order; Host and X-Amz-Date have to be among them. */
struct sigv4_request {
	const char *method;
	const char *path;
	const char *query;
	const struct http_header *headers;
	size_t header_count;
	struct bytes body;
};

/* The signing key changes once a day: it is kept for one identity and scope. Zero state with
 * PTHREAD_MUTEX_INITIALIZER in lock. */
struct sigv4_cache {
	pthread_mutex_t lock;
	uint64_t number; /* 0 = empty */
	char date[SIGV4_DATE + 1];
	uint8_t key[SIGV4_KEY];
};
void sigv4_cache_clear(struct sigv4_cache *cache);

/* The value of the Authorization header, appended. `cache` belongs to one region and service. */
bool sigv4_sign(const struct sigv4_identity *identity, const struct sigv4_scope *scope,
		const struct sigv4_request *request, struct sigv4_cache *cache,
		struct buffer *ret_authorization);

/* The three stages, separate for the published vectors; sigv4_sign does all of them. */
bool sigv4_canonical(const struct sigv4_request *request, struct buffer *ret_canonical,
		     struct buffer *ret_signed_headers);
bool sigv4_string_to_sign(struct bytes canonical, const struct sigv4_scope *scope,
			  struct buffer *ret_string);
bool sigv4_signature(struct bytes secret, struct bytes string_to_sign,
		     const struct sigv4_scope *scope, struct buffer *ret_hex);
