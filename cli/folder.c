/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/folder.h"

#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC };

const char *place_leaf(const struct place *place)
{
	const char *slash = strrchr(place->path + place->below, '/');

	return slash == NULL ? place->path + place->below : slash + 1;
}

/* What the path begins with, to be opened as it is. */
static int open_named(const struct place *place)
{
	AUTO(freep) char *named = strndup(place->path, place->below);

	if (named == NULL)
		return -1;
	return open(*named == '\0' ? "." : named, FOLDER_FLAGS);
}

static int not_reached(const struct place *place, size_t len)
{
	AUTO(freep) char *folder = strndup(place->path, len);
	int error = errno;

	if (error == ENOTDIR || error == ELOOP)
		return fail(CMEK_EXIT_REFUSED,
			    "%s: %s is a link, or not a folder; no link is followed below the "
			    "folder that was named",
			    place->path, folder == NULL ? "its folder" : folder);
	return fail_system(error, place->path, "");
}

/* Whoever owns the folder can take away or exchange what is put there. */
static bool is_planted(int parent, int folder)
{
	struct stat above, status;

	return fstat(parent, &above) == 0 && fstat(folder, &status) == 0 &&
	       (above.st_mode & S_ISVTX) != 0 && (above.st_mode & 022) != 0 &&
	       status.st_uid != geteuid() && status.st_uid != above.st_uid;
}

/* The mode of the folder that `like` has at the same depth, which may be private. */
static mode_t mode_like(const struct place *like, size_t below_len)
{
	AUTO(freep)
	char *folder = like == NULL ? NULL : strndup(like->path, like->below + below_len);
	struct stat status;

	if (folder == NULL || stat(folder, &status) != 0)
		return like == NULL ? 0777 : 0700;
	return (status.st_mode & 0777) | 0700;
}

/* One name further; *folder is replaced. */
static int step(const struct place *place, size_t at, size_t len, const struct place *like,
		bool make, int *folder)
{
	AUTO(freep) char *name = strndup(place->path + at, len);
	size_t end = at + len;
	int next;

	if (name == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	if (make && mkdirat(*folder, name, mode_like(like, end - place->below)) != 0 &&
	    errno != EEXIST)
		return fail_system(errno, place->path, "its folder cannot be made: ");
	next = openat(*folder, name, FOLDER_FLAGS | O_NOFOLLOW);
	if (next < 0)
		return not_reached(place, end);
	if (make && is_planted(*folder, next)) {
		close(next);
		return fail(CMEK_EXIT_REFUSED,
			    "%s: its folder is another user's, in one where everybody may put "
			    "files; name another folder",
			    place->path);
	}
	close(*folder);
	*folder = next;
	return CMEK_EXIT_OK;
}

static int walk(const struct place *place, const struct place *like, bool make, int *ret_fd)
{
	AUTO(file_closep) int folder = open_named(place);
	const char *at = place->path + place->below, *slash;

	if (folder < 0)
		return not_reached(place, place->below);
	for (; (slash = strchr(at, '/')) != NULL; at = slash + 1)
		if (slash > at)
			TRY(step(place, (size_t)(at - place->path), (size_t)(slash - at), like,
				 make, &folder));
	*ret_fd = folder;
	folder = -1;
	return CMEK_EXIT_OK;
}

int folder_open(const struct place *place, int *ret_fd)
{
	return walk(place, NULL, false, ret_fd);
}

int folder_make(const struct place *place, const struct place *like, int *ret_fd)
{
	return walk(place, like, true, ret_fd);
}
