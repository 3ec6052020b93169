/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For LD_PRELOAD: the process dies by SIGKILL in its $KILL_AT-th call that changes a file, half of
 * what is to be written being written. So every such moment can be tried, one after the other. A
 * state of the files in which it has been able to die already is no further moment: what only syncs
 * leaves them as they are.
 * With $NO_TMPFILE, no file system has files without names; with $NO_FLOCK, none has locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_last(void)
{
	static atomic_long moments;
	const char *at = getenv("KILL_AT");

	return at != NULL && atomic_fetch_add(&moments, 1) + 1 == strtol(at, NULL, 10);
}

static atomic_bool seen; /* the files as they are now have been a moment */

static bool is_last_before(void)
{
	return !atomic_exchange(&seen, true) && is_last();
}

static long changed(long result)
{
	atomic_store(&seen, false);
	return result;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

#define SYNC_OR_DIE(call)                                                                          \
	do {                                                                                       \
		if (is_last_before())                                                              \
			die();                                                                     \
		return (call);                                                                     \
	} while (0)
#define OR_DIE(call) SYNC_OR_DIE((int)changed(call))

ssize_t write(int fd, const void *data, size_t len)
{
	if (is_last()) {
		syscall(SYS_write, fd, data, len / 2);
		die();
	}
	return changed(syscall(SYS_write, fd, data, len));
}

/* With 64-bit offsets this header's name for pwrite, ftruncate is the one with 64. */
ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	if (is_last()) {
		syscall(SYS_pwrite64, fd, data, len / 2, at);
		die();
	}
	return changed(syscall(SYS_pwrite64, fd, data, len, at));
}

int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list list;

	va_start(list, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
	va_end(list);
	if ((flags & O_TMPFILE) == O_TMPFILE && getenv("NO_TMPFILE") != NULL) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if ((flags & (O_CREAT | O_TRUNC)) != 0)
		changed(0);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int flock(int fd, int operation)
{
	if (getenv("NO_FLOCK") != NULL) {
		errno = ENOLCK;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

int ftruncate(int fd, off_t len)
{
	OR_DIE(syscall(SYS_ftruncate, fd, len));
}

int fsync(int fd)
{
	SYNC_OR_DIE((int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
	SYNC_OR_DIE((int)syscall(SYS_fdatasync, fd));
}

int rename(const char *from, const char *to)
{
	OR_DIE(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
	OR_DIE(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to)
{
	OR_DIE(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int futimens(int fd, const struct timespec times[2])
{
	OR_DIE(syscall(SYS_utimensat, fd, NULL, times, 0));
}

int unlink(const char *path)
{
	OR_DIE(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
	OR_DIE(syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}

int mkdir(const char *path, mode_t mode)
{
	OR_DIE(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int fchmod(int fd, mode_t mode)
{
	OR_DIE(syscall(SYS_fchmod, fd, mode));
}
