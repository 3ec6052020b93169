/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads, whole writes and folders, by system calls only. */
#include "base/file.h"

#include "base/access.h"
#include "base/aside.h"
#include "base/free.h"
#include "base/have.h"
#include "base/lock.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READ_AT_ONCE = 16384, TARGET_TRIES = 100 };

void file_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void dir_closep(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

/* Reads until the end or one byte over the limit. */
static bool read_all(int fd, size_t limit, struct buffer *out)
{
	size_t before = out->len;

	for (;;) {
		uint8_t *place = buffer_reserve(out, READ_AT_ONCE);
		ssize_t got;

		if (place == NULL) {
			errno = ENOMEM;
			return false;
		}
		got = read(fd, place, READ_AT_ONCE);
		if (got == 0)
			return true;
		if (got < 0 && errno != EINTR)
			return false;
		out->len += got > 0 ? (size_t)got : 0;
		if (out->len - before > limit) {
			errno = EOVERFLOW;
			return false;
		}
	}
}

/* Opening a pipe waits for its writer, unless it is opened with O_NONBLOCK; reading it would wait,
 * too. */
static int open_to_read(const char *path)
{
	AUTO(file_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int ret_fd = fd;
	struct stat found;

	if (fd < 0 || fstat(fd, &found) != 0)
		return -1;
	if (S_ISFIFO(found.st_mode)) {
		errno = ESPIPE;
		return -1;
	}
	fd = -1;
	return ret_fd;
}

bool file_read(const char *path, size_t limit, struct buffer *out)
{
	AUTO(file_closep) int fd = open_to_read(path);
	size_t before = out->len;

	if (fd < 0)
		return false;
	if (read_all(fd, limit, out))
		return true;
	buffer_truncate(out, before);
	return false;
}

bool file_can_open(unsigned count)
{
	AUTO(file_closep) int fd = count == 0 ? -1 : open("/", O_PATH | O_CLOEXEC);

	return count == 0 || (fd >= 0 && file_can_open(count - 1));
}

bool file_is_pipe(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0 && S_ISFIFO(found.st_mode);
}

/* Where a file system keeps large folios (ext4 since Linux 6.16), a write() asks for folios as
 * large as itself. A virtual machine that gives free memory back to its host has to fetch those
 * anew, and writes of 256 KiB took 5 times as long as writes of 32 KiB, of which the kernel keeps
 * some ready (PAGE_ALLOC_COSTLY_ORDER). In memory that is there, both take the same time. */
enum { WRITE_AT_ONCE = 1 << 15 };

bool file_write_all(int fd, struct bytes bytes)
{
	while (bytes.len > 0) {
		size_t len = bytes.len < WRITE_AT_ONCE ? bytes.len : WRITE_AT_ONCE;
		ssize_t done = write(fd, bytes.data, len);

		if (done < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (done < 0 && errno != EINTR)
			return false;
		if (done > 0)
			bytes = (struct bytes){bytes.data + done, bytes.len - (size_t)done};
	}
	return true;
}

bool file_may_append(const char *path)
{
	AUTO(freep) char *folder = path_folder(path);
	struct stat found;

	if (folder == NULL)
		return false;
	if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
		return true;
	return errno == ENOENT && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

char *path_join(const char *folder, const char *name)
{
	struct buffer path = {0};
	size_t len = strlen(folder);

	buffer_put_text(&path, folder);
	if (len > 0 && folder[len - 1] != '/')
		buffer_put_u8(&path, '/');
	buffer_put_text(&path, name);
	return buffer_take_text(&path);
}

/* How much of a path is its folder; 0: it has none of its own. */
static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return 0;
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? 1 : (size_t)(slash - path);
}

char *path_folder(const char *path)
{
	size_t len = folder_len(path);

	return len == 0 ? strdup(".") : strndup(path, len);
}

/* A file that is made between the two looks is not a link; it is looked up once more. */
char *path_target(const char *path)
{
	struct stat found;

	for (int tries = 0; tries < TARGET_TRIES; tries++) {
		char *target = realpath(path, NULL);

		if (target != NULL || errno != ENOENT)
			return target;
		if (lstat(path, &found) != 0)
			return strdup(path);
		if (S_ISLNK(found.st_mode))
			break;
	}
	errno = ENOENT;
	return NULL;
}

int file_open_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 && errno == EACCES ? FILE_NO_FOLDER : fd;
}

bool file_sync_folder(int fd)
{
	return fd < 0 || fsync(fd) == 0 || errno == EINVAL;
}

static bool sync_folder(const char *folder)
{
	AUTO(file_closep) int fd = file_open_folder(folder);

	return fd != -1 && file_sync_folder(fd);
}

bool file_sync_name(const char *path)
{
	size_t len = folder_len(path);
	char folder[PATH_MAX] = ".";

	if (len >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (len > 0)
		snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
	return sync_folder(folder);
}

/* --- New files */

/* Called before anything is in the file: whoever may have the file can then take over what a killed
 * process leaves. The host's umask does not count. */
static bool allow(int fd, const char *like, const char *folder, unsigned mode)
{
	struct stat found;

	if (like != NULL && stat(like, &found) == 0)
		return access_hand_on(like, fd);
	if (fchmod(fd, (mode_t)mode) != 0)
		return false;
	access_of_folder(folder, fd);
	return true;
}

static bool is_open_to_all(int fd)
{
	struct stat found;

	return fstat(fd, &found) == 0 && (found.st_mode & 7) != 0;
}

static bool write_aside(int fd, const char *target, const char *folder, struct bytes contents,
			unsigned mode)
{
	if (!allow(fd, target, folder, mode))
		return false;
	if ((mode & 7) == 0 && is_open_to_all(fd) && fchmod(fd, (mode_t)mode) != 0)
		return false;
	return file_write_all(fd, contents) && fsync(fd) == 0;
}

static void remove_aside(const char *aside)
{
	int saved = errno;

	unlink(aside);
	errno = saved;
}

#ifndef HAVE_RENAMEAT2 /* the kernel has it since 3.15, a C library perhaps not */
#define RENAME_NOREPLACE 1

static int renameat2(int from_folder, const char *from, int to_folder, const char *to,
		     unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}
#endif

bool file_rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (link(from, to) == 0) {
		remove_aside(from);
		return true;
	}
	if (errno == EPERM || errno == ENOSYS)
		errno = EOPNOTSUPP;
	return false;
}

static bool rename_reserved(const char *from, const char *to)
{
	AUTO(file_closep) int fd = -1;

	if (file_rename_new(from, to))
		return true;
	if (errno != EOPNOTSUPP)
		return false;
	fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (rename(from, to) == 0)
		return true;
	remove_aside(to);
	return false;
}

bool file_place(const char *from, const char *to, bool replace)
{
	return replace ? rename(from, to) == 0 : rename_reserved(from, to);
}

bool file_replace(const char *path, struct bytes contents, unsigned mode)
{
	AUTO(freep) char *target = path_target(path);
	AUTO(freep) char *folder = target == NULL ? NULL : path_folder(target);
	AUTO(freep) char *aside = NULL;
	AUTO(lock_releasep) int fd = folder == NULL ? -1 : aside_open(target, &aside);

	if (fd < 0)
		return false;
	if (write_aside(fd, target, folder, contents, mode) && rename(aside, target) == 0)
		return file_sync_name(target);
	remove_aside(aside);
	return false;
}

/* `like` belongs to another user, but its group, to which we belong, may write it. */
static bool is_shared(int fd, const char *like)
{
	struct stat found, made;

	return like != NULL && stat(like, &found) == 0 && fstat(fd, &made) == 0 &&
	       found.st_gid == made.st_gid && (made.st_mode & 060) == 060 &&
	       faccessat(AT_FDCWD, like, W_OK, AT_EACCESS) == 0;
}

/* File systems that can neither rename without replacing nor link have few permissions as well. */
static bool make_there(const char *path, const char *like, const char *folder)
{
	AUTO(file_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!allow(fd, like, folder, 0600);
	return fd >= 0;
}

bool file_make(const char *path, const char *like)
{
	AUTO(freep) char *folder = path_folder(path);
	AUTO(freep) char *aside = NULL;
	/* A child forked at this moment may have the descriptor for long: the new file may be a
	 * lock itself. */
	AUTO(lock_releasep) int fd = folder == NULL ? -1 : aside_open(path, &aside);

	if (fd < 0)
		return false;
	if (!allow(fd, like, folder, 0600) && (errno == ENOMEM || !is_shared(fd, like))) {
		int error = errno == ENOMEM ? ENOMEM : EACCES;

		unlink(aside);
		errno = error;
		return false;
	}
	if (file_rename_new(aside, path))
		return true;
	remove_aside(aside);
	return errno == EOPNOTSUPP && make_there(path, like, folder);
}

int file_open_append(const char *path)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	(void)file_make(path, NULL); /* else another process has, or it is a dangling link */
	return open(path, flags | O_CREAT, 0600);
}

/* --- Folders */

static bool is_empty(DIR *dir)
{
	const struct dirent *found;

	errno = 0;
	while ((found = readdir(dir)) != NULL)
		if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
			return false;
	return errno == 0;
}

/* A link in its place is not followed. Nor is a folder given away that has something in it: the
 * owner of the folder above may have moved another of root's folders to the place of the new one.
 */
static void give_to_owner_above(const char *path, const char *above)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && dir == NULL)
		close(fd);
	if (dir != NULL && is_empty(dir))
		access_of_folder(above, fd);
}

static bool make_folder(const char *path)
{
	AUTO(freep) char *above = path_folder(path);
	struct stat found;
	int error;

	if (above == NULL)
		return false;
	if (mkdir(path, 0700) == 0) {
		give_to_owner_above(path, above);
		return true;
	}
	/* For a parent that exists mkdir may answer EROFS or EACCES; for one that could not be
	 * made, errno tells why. */
	error = errno;
	if (stat(path, &found) != 0)
		errno = error == EEXIST ? errno : error; /* a dangling link exists */
	else if (!S_ISDIR(found.st_mode))
		errno = ENOTDIR;
	else
		return true;
	return false;
}

bool file_make_folders(const char *path)
{
	AUTO(freep) char *part = strdup(path);

	if (part == NULL)
		return false;
	for (char *at = part; *at != '\0'; at++) {
		if (*at != '/' || at == part)
			continue;
		*at = '\0';
		if (!make_folder(part))
			return false;
		*at = '/';
	}
	return make_folder(part);
}
