/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The name is "folder/.cmek-" and 16 digits: derived from the file's name, or random. */
#include "base/aside.h"

#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 4, FIXED_ATTEMPTS = 2 };

/* FNV-1a, over the names within one folder: a name may already be as long as the folder allows, so
 * nothing can be added to it. */
static uint64_t digest(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return hash;
}

static bool pick_digits(const char *path, bool fixed, uint64_t *ret_digits)
{
	const char *slash = strrchr(path, '/');

	*ret_digits = digest(slash == NULL ? path : slash + 1);
	return fixed || getrandom(ret_digits, sizeof(*ret_digits), 0) == sizeof(*ret_digits);
}

static char *aside_name(const char *path, bool fixed)
{
	AUTO(freep) char *folder = path_folder(path);
	char name[32];
	uint64_t digits;

	if (folder == NULL || !pick_digits(path, fixed, &digits))
		return NULL;
	snprintf(name, sizeof(name), ".cmek-%016llx", (unsigned long long)digits);
	return path_join(folder, name);
}

bool file_is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* Only the process that holds its lock removes it, and only if the name still means the file that
 * was locked. */
static void remove_leftover(const char *name)
{
	AUTO(file_closep)
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && file_is_at(fd, name))
		unlink(name);
}

bool file_link(int fd, const char *path)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* Until it is locked, another process may take it for a leftover. Where nothing can be locked, no
 * process takes anything for one. */
static bool mark(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static int make_new(const char *name)
{
	AUTO(file_closep)
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int made = fd;

	if (fd < 0)
		return -1;
	if (!mark(fd) || !file_is_at(fd, name)) {
		errno = EEXIST;
		return -1;
	}
	fd = -1;
	return made;
}

/* Puts `nameless` or, if that is -1, a new file under the name. */
static int make(const char *name, int nameless)
{
	if (nameless < 0)
		return make_new(name);
	(void)mark(nameless);
	return file_link(nameless, name) ? nameless : -1;
}

static int make_aside(const char *path, int nameless, char **ret_name)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		AUTO(freep) char *name = aside_name(path, attempt < FIXED_ATTEMPTS);
		int fd;

		errno = ENOMEM;
		if (name == NULL)
			return -1;
		fd = make(name, nameless);
		if (fd >= 0) {
			*ret_name = TAKE(name);
			return fd;
		}
		if (errno != EEXIST)
			return -1;
		remove_leftover(name);
	}
	errno = EEXIST;
	return -1;
}

int aside_open(const char *path, char **ret_name)
{
	return make_aside(path, -1, ret_name);
}

bool aside_link(int fd, const char *path, char **ret_name)
{
	return make_aside(path, fd, ret_name) >= 0;
}
