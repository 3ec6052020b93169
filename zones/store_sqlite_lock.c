/*
 * Whose turn it is. SQLite drops all POSIX locks of a file when any descriptor of it is closed in
 * the process, and its own state does not survive a fork in the middle of a call; so there is one
 * connection at a time in a process, under a mutex for which forks wait, and one writer among
 * processes, by flock() on a file of its own.
 */
#include "base/file.h"
#include "base/macros.h"
#include "zones/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, NAP_MS = 1, NAP_MAX_MS = 5 };

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

/* Descriptor, or -1: it can't exist here. To lock, no right to write is needed. */
static int open_lock(const struct store_sqlite *store)
{
	int fd = open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	return fd >= 0 ? fd : open(store->lock_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* True: ours, or there is no lock to have (*ret_lock is -1). */
static bool try_lock(const struct store_sqlite *store, bool exclusive, int *ret_lock)
{
	AUTO(file_closep) int fd = open_lock(store);
	int result = -1;

	*ret_lock = -1;
	if (fd < 0)
		return true;
	do
		result = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
	while (result != 0 && errno == EINTR);
	if (result != 0 && errno == EWOULDBLOCK)
		return false;
	if (result == 0) { /* else a file system without locks */
		*ret_lock = fd;
		fd = -1;
	}
	return true;
}

static void nap(unsigned ms)
{
	struct timespec left = {.tv_nsec = (long)ms * 1000000};

	/* Naps are counted, not timed: one that a signal cuts short is slept out. */
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

/* The mutex is free while we wait for another process, so that forks are not held up by it. */
enum zone_status store_lock(struct store_sqlite *store, bool exclusive, int *ret_lock)
{
	unsigned nap_ms = NAP_MS;

	pthread_once(&registered, register_fork);
	for (unsigned waited_ms = 0; waited_ms < WAIT_MS; waited_ms += nap_ms) {
		pthread_mutex_lock(&mutex);
		if (try_lock(store, exclusive, ret_lock))
			return ZONE_OK;
		pthread_mutex_unlock(&mutex);
		nap(nap_ms);
		nap_ms = nap_ms < NAP_MAX_MS ? nap_ms + 1 : NAP_MAX_MS;
	}
	return store_says(store, ZONE_STORE_UNAVAILABLE,
			  "another process has held %s for %d seconds; look which one ('fuser -v' "
			  "on that file) and why",
			  store->lock_path, WAIT_MS / 1000);
}

/* Explicitly: a child that was made past our handlers (vfork, clone) may have the descriptor too.
 */
void store_unlock(int lock)
{
	if (lock >= 0) {
		flock(lock, LOCK_UN);
		close(lock);
	}
	pthread_mutex_unlock(&mutex);
}
