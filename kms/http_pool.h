/*
 * Idle libcurl handles, each with its kept-alive connections. Last in, first out, so that few stay
 * warm and the others age out. A handle is with one thread at a time; nothing of libcurl is called
 * under the lock.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include <curl/curl.h>

enum { POOL_MAX = 64, POOL_IDLE_MS = 50 * 1000 };

struct http_pool {
	pthread_mutex_t lock;
	size_t count;
	size_t max; /* handles kept, at most POOL_MAX */
	struct {
		CURL *handle;
		int64_t since_ms;
	} idle[POOL_MAX];
};

void pool_init(struct http_pool *pool, size_t max);
/* Ends all idle handles. */
void pool_clear(struct http_pool *pool);
/* A handle, new if none is idle; first ends those idle for too long. NULL: no memory. */
CURL *pool_borrow(struct http_pool *pool, int64_t now_ms);
/* Takes it back with its connections; ends it if there are enough, and those idle for too long. */
void pool_return(struct http_pool *pool, CURL *handle, int64_t now_ms);
