/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Idle libcurl handles. */
#include "net/pool.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void pool_init(struct http_pool *pool, size_t max)
{
	*pool = (struct http_pool){.max = max < POOL_MAX ? max : POOL_MAX};
	pthread_mutex_init(&pool->lock, NULL);
}

void pool_clear(struct http_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		curl_easy_cleanup(pool->idle[i].handle);
	pool->count = 0;
	pthread_mutex_destroy(&pool->lock);
}

/* The lock is held. */
static CURL *take(struct http_pool *pool, size_t i)
{
	CURL *handle = pool->idle[i].handle;

	pool->count--;
	memmove(&pool->idle[i], &pool->idle[i + 1], (pool->count - i) * sizeof(pool->idle[0]));
	return handle;
}

static CURL *take_newest(struct http_pool *pool, const char *server)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);

	for (size_t i = pool->count; i-- > 0;)
		if (strncmp(pool->idle[i].server, server, POOL_SERVER_MAX) == 0)
			return take(pool, i);
	return NULL;
}

/* Takes out the oldest handle if it is too old or one too many. */
static CURL *take_surplus(struct http_pool *pool, int64_t now_ms)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);

	if (pool->count == 0 ||
	    (pool->count <= pool->max && now_ms - pool->idle[0].since_ms < POOL_IDLE_MS))
		return NULL;
	return take(pool, 0);
}

static void end_surplus(struct http_pool *pool, int64_t now_ms)
{
	CURL *surplus;

	while ((surplus = take_surplus(pool, now_ms)) != NULL)
		curl_easy_cleanup(surplus);
}

CURL *pool_borrow(struct http_pool *pool, const char *server, int64_t now_ms)
{
	CURL *handle;

	end_surplus(pool, now_ms);
	handle = take_newest(pool, server);
	return handle != NULL ? handle : curl_easy_init();
}

static bool put(struct http_pool *pool, CURL *handle, const char *server, int64_t now_ms)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);

	if (pool->count == POOL_MAX)
		return false;
	pool->idle[pool->count].handle = handle;
	snprintf(pool->idle[pool->count].server, POOL_SERVER_MAX + 1, "%s", server);
	pool->idle[pool->count++].since_ms = now_ms;
	return true;
}

void pool_return(struct http_pool *pool, CURL *handle, const char *server, int64_t now_ms)
{
	if (!put(pool, handle, server, now_ms))
		curl_easy_cleanup(handle);
	end_surplus(pool, now_ms);
}
