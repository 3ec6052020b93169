/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A lock file is never removed, and gets its permissions once, while it is still ours alone:
 * otherwise the owner of its folder could have them given to another file. */
#include "base/lock.h"

#include "base/access.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, NAP_MS = 1, NAP_MAX_MS = 5 };

/* A folder, a pipe or a device can't be a lock, and opening one may do harm or take long. */
static bool is_file(int fd)
{
	struct stat found;

	if (fstat(fd, &found) != 0)
		return false;
	errno = S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
	return S_ISREG(found.st_mode);
}

/* Locking needs no permission to write. */
static int open_present(const char *path)
{
	const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
	AUTO(file_closep) int fd = open(path, O_RDWR | flags);
	int opened;

	if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
		fd = open(path, O_RDONLY | flags);
	if (fd < 0 || !is_file(fd))
		return -1;
	opened = fd;
	fd = -1;
	return opened;
}

static int open_lock(const char *path, const char *guarded)
{
	int fd = open_present(path);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	/* EEXIST: another process has made it. */
	return file_make(path, guarded) || errno == EEXIST ? open_present(path) : -1;
}

static bool can_not_lock(int error)
{
	return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

/* Where a lock can't be made, no writer can write either. */
static bool reader_goes_on(int error)
{
	return error == EACCES || error == EPERM || error == EROFS || error == ENOSPC ||
	       error == EDQUOT;
}

bool lock_is_missing(const char *path)
{
	struct stat found;

	return lstat(path, &found) != 0 && errno == ENOENT;
}

static enum lock_answer no_lock(const char *path, bool exclusive)
{
	int error = errno;
	bool goes_on = !exclusive && reader_goes_on(error) && lock_is_missing(path);

	errno = error;
	return goes_on ? LOCK_NEEDLESS : LOCK_IMPOSSIBLE;
}

enum lock_answer lock_try(const char *path, const char *guarded, bool exclusive, int *ret_fd)
{
	AUTO(file_closep) int fd = open_lock(path, guarded);
	int result;

	*ret_fd = -1;
	if (fd < 0)
		return no_lock(path, exclusive);
	do
		result = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
	while (result != 0 && errno == EINTR);
	if (result != 0 && errno == EWOULDBLOCK)
		return LOCK_BUSY;
	if (result != 0)
		return can_not_lock(errno) ? LOCK_NEEDLESS : LOCK_IMPOSSIBLE;
	*ret_fd = fd;
	fd = -1;
	return LOCK_OURS;
}

/* Explicitly: a child that was made without our fork handlers (vfork, clone) may have the
 * descriptor too. */
void lock_release(int fd)
{
	int saved = errno;

	if (fd < 0)
		return;
	flock(fd, LOCK_UN);
	close(fd);
	errno = saved;
}

void lock_releasep(int *fd)
{
	lock_release(*fd);
	*fd = -1;
}

static void nap(unsigned ms)
{
	struct timespec left = {.tv_nsec = (long)ms * 1000000};

	/* Naps are counted, not timed: a nap that a signal interrupts is slept to its end. */
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

bool lock_wait(struct lock_wait *wait)
{
	wait->nap_ms = wait->nap_ms < NAP_MAX_MS ? wait->nap_ms + NAP_MS : NAP_MAX_MS;
	nap(wait->nap_ms);
	wait->waited_ms += wait->nap_ms;
	return wait->waited_ms < WAIT_MS;
}

void lock_explain(enum lock_answer answer, int error, const char *path, const char *guarded,
		  struct buffer *ret_text)
{
	struct stat found;

	if (answer == LOCK_BUSY)
		buffer_format(ret_text,
			      "another process has held %s for %d seconds; look which one ('fuser "
			      "-v' on that file) and why",
			      path, WAIT_MS / 1000);
	else if (lstat(path, &found) != 0)
		buffer_format(ret_text, "its lock %s can't be made: %s; %s", path,
			      system_error_text(error), system_error_remedy(error));
	else if (!S_ISREG(found.st_mode))
		buffer_format(ret_text, "its lock %s is not a file; remove it", path);
	else if (error == EACCES || error == EPERM)
		buffer_format(ret_text,
			      "its lock %s can't be taken: %s; give it the owner, group "
			      "and mode of %s",
			      path, system_error_text(error), guarded);
	else
		buffer_format(ret_text, "its lock %s can't be taken: %s; %s", path,
			      system_error_text(error), system_error_remedy(error));
}
