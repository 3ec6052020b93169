/* Whole reads, whole writes, folders and locks, by system calls only. */
#include "base/file.h"
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_AT_ONCE = 16384 };

void file_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
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

/* Opening a pipe waits for its writer, unless it is O_NONBLOCK; reading it would, too. */
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

bool file_write_all(int fd, struct bytes bytes)
{
	while (bytes.len > 0) {
		ssize_t done = write(fd, bytes.data, bytes.len);

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

	if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0)
		return true;
	return errno == ENOENT && folder != NULL &&
	       faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
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

char *path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

char *path_temporary(const char *folder)
{
	AUTO(buffer_clear) struct buffer name = {0};
	uint8_t random[8];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return NULL;
	buffer_put_text(&name, ".cmek-");
	hex_append(&name, bytes(random, sizeof(random)));
	return buffer_text(&name) == NULL ? NULL : path_join(folder, buffer_text(&name));
}

bool file_sync_folder(const char *folder)
{
	AUTO(file_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some file systems can't sync a folder, and say so by EINVAL. */
	return fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
}

/* Past the umask, which is the host's. */
static bool write_new(const char *path, struct bytes contents, unsigned mode)
{
	AUTO(file_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 && fchmod(fd, (mode_t)mode) == 0 && file_write_all(fd, contents) &&
	       fsync(fd) == 0;
}

bool file_replace(const char *path, struct bytes contents, unsigned mode)
{
	AUTO(freep) char *folder = path_folder(path);
	AUTO(freep) char *temporary = folder == NULL ? NULL : path_temporary(folder);
	int saved;

	if (temporary == NULL) {
		errno = ENOMEM;
		return false;
	}
	if (write_new(temporary, contents, mode) && rename(temporary, path) == 0)
		return file_sync_folder(folder);
	saved = errno;
	if (saved != EEXIST)
		unlink(temporary);
	errno = saved;
	return false;
}

static bool make_folder(const char *path)
{
	struct stat found;
	int error;

	if (mkdir(path, 0700) == 0)
		return true;
	/* A parent that is there may answer EROFS or EACCES; what could not be made tells why. */
	error = errno;
	if (stat(path, &found) != 0)
		errno = error == EEXIST ? errno : error; /* a link that leads nowhere is there */
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

/* A reader may share the lock of a folder in which it can't write. */
static int open_lock(const char *path, bool exclusive)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0 && !exclusive && (errno == EACCES || errno == EROFS))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd;
}

int file_lock(const char *path, bool exclusive)
{
	AUTO(file_closep) int fd = open_lock(path, exclusive);
	int locked_fd = fd;

	if (fd < 0)
		return -1;
	while (flock(fd, exclusive ? LOCK_EX : LOCK_SH) != 0)
		if (errno != EINTR)
			return -1;
	fd = -1;
	return locked_fd;
}
