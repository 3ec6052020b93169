/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking turns. SQLite drops all POSIX locks of a file when any descriptor of it is closed in the
 * process, and its own state does not survive a fork in the middle of a call; so there is one
 * connection at a time in a process, under a mutex for which forks wait, and one writer among
 * processes, by flock() on a file of its own.
 */
#include "base/lock.h"
#include "base/macros.h"
#include "zones/store/sqlite/sqlite.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t registered = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

/* In the child too: the thread that forked is the one that lives on, and it holds the mutex. */
static void after_fork(void)
{
	pthread_mutex_unlock(&mutex);
}

static void register_fork(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

/* Whatever prevents the lock from being made also prevents a write. */
static enum zone_status status_of(const struct store_sqlite *store, int error)
{
	if (error == ENOMEM)
		return ZONE_NO_MEMORY;
	if (!lock_is_missing(store->lock_path))
		return ZONE_STORE_UNAVAILABLE;
	if (error == ENOSPC || error == EDQUOT)
		return ZONE_STORE_FULL;
	return error == EACCES || error == EPERM || error == EROFS ? ZONE_STORE_READ_ONLY
								   : ZONE_STORE_UNAVAILABLE;
}

static enum zone_status fail(struct store_sqlite *store, enum lock_answer answer, int error)
{
	AUTO(buffer_clear) struct buffer text = {0};
	enum zone_status status =
		answer == LOCK_BUSY ? ZONE_STORE_UNAVAILABLE : status_of(store, error);

	lock_explain(answer, error, store->lock_path, store->target, &text);
	if (text.failed)
		return ZONE_NO_MEMORY;
	return store_says(store, status, "%s", buffer_text(&text));
}

/* The mutex is free while we wait for another process, so that forks are not held up by it. */
enum zone_status store_lock(struct store_sqlite *store, bool exclusive, int *ret_lock)
{
	struct lock_wait wait = {0};
	enum lock_answer answer;
	int error;

	pthread_once(&registered, register_fork);
	do {
		pthread_mutex_lock(&mutex);
		answer = lock_try(store->lock_path, store->target, exclusive, ret_lock);
		error = errno;
		if (answer == LOCK_OURS || answer == LOCK_NEEDLESS)
			return ZONE_OK;
		pthread_mutex_unlock(&mutex);
	} while (answer == LOCK_BUSY && lock_wait(&wait));
	return fail(store, answer, error);
}

void store_unlock(int lock)
{
	lock_release(lock);
	pthread_mutex_unlock(&mutex);
}
