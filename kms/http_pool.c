/* Idle libcurl handles. */
#include "kms/http_pool.h"

#include <stdbool.h>
#include <string.h>

#include "base/free.h"
#include "base/macros.h"

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

static CURL *take_newest(struct http_pool *pool)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);

	return pool->count == 0 ? NULL : pool->idle[--pool->count].handle;
}

/* Takes out the oldest handle if it is too old or one too many. */
static CURL *take_surplus(struct http_pool *pool, int64_t now_ms)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);
	CURL *oldest;

	if (pool->count == 0 ||
	    (pool->count <= pool->max && now_ms - pool->idle[0].since_ms < POOL_IDLE_MS))
		return NULL;
	oldest = pool->idle[0].handle;
	pool->count--;
	memmove(&pool->idle[0], &pool->idle[1], pool->count * sizeof(pool->idle[0]));
	return oldest;
}

static void end_surplus(struct http_pool *pool, int64_t now_ms)
{
	CURL *surplus;

	while ((surplus = take_surplus(pool, now_ms)) != NULL)
		curl_easy_cleanup(surplus);
}

CURL *pool_borrow(struct http_pool *pool, int64_t now_ms)
{
	CURL *handle;

	end_surplus(pool, now_ms);
	handle = take_newest(pool);
	return handle != NULL ? handle : curl_easy_init();
}

static bool put(struct http_pool *pool, CURL *handle, int64_t now_ms)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&pool->lock);

	if (pool->count == POOL_MAX)
		return false;
	pool->idle[pool->count].handle = handle;
	pool->idle[pool->count++].since_ms = now_ms;
	return true;
}

void pool_return(struct http_pool *pool, CURL *handle, int64_t now_ms)
{
	if (!put(pool, handle, now_ms))
		curl_easy_cleanup(handle);
	end_surplus(pool, now_ms);
}
