/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle libcurl handles, each with one kept-alive connection to one server, so that the pool's size
 * is that of its connections. Last in, first out, so that few stay warm and the others age out. A
 * handle is with one thread at a time; nothing of libcurl is called under the lock.
 */
#pragma once

#include <curl/curl.h>
#include <pthread.h>
#include <stdint.h>

enum { POOL_MAX = 64, POOL_IDLE_MS = 50 * 1000, POOL_SERVER_MAX = 127 };

struct http_pool {
	pthread_mutex_t lock;
	size_t count;
	size_t max; /* handles kept, at most POOL_MAX */
	struct {
		CURL *handle;
		char server[POOL_SERVER_MAX + 1]; /* cut off if longer */
		int64_t since_ms;
	} idle[POOL_MAX];
};

void pool_init(struct http_pool *pool, size_t max);
/* Ends all idle handles. */
void pool_clear(struct http_pool *pool);
/* A handle whose connection is to this server (any text that tells one from another), else a new
 * one; first ends those idle for too long. NULL: no memory. */
CURL *pool_borrow(struct http_pool *pool, const char *server, int64_t now_ms);
/* Takes it back with its connection; ends it if there are enough, and also those that have been
 * idle for too long. */
void pool_return(struct http_pool *pool, CURL *handle, const char *server, int64_t now_ms);
