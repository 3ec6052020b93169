/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/output.h"

#include "base/access.h"
#include "base/aside.h"
#include "base/file.h"
#include "base/free.h"
#include "base/have.h"
#include "base/lock.h"
#include "base/macros.h"
#include "base/system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *text;
	bool has_error;
} faults[] = {
	[OUTPUT_EXISTS] = {"is there already", false},
	[OUTPUT_IS_INPUT] = {"is the input itself", false},
	[OUTPUT_IS_FOLDER] = {"is a folder", false},
	[OUTPUT_IS_SPECIAL] = {"is there already, and is not a file", false},
	[OUTPUT_IS_MOUNTED] = {"is a mount point, which a finished file can't replace", false},
	[OUTPUT_IS_LINK] = {"is a link, and no link is followed where many files are written",
			    false},
	[OUTPUT_IS_DANGLING] = {"is a link, and what it leads to can't be reached", true},
	[OUTPUT_IS_PLANTED] = {"is another user's, in a folder where everybody may put files",
			       false},
	[OUTPUT_UNSYNCED] = {"written, but the folder could not be synced", true},
};

void library_output_text(enum output_fault fault, int error, char *out, size_t room)
{
	snprintf(out, room, "%s%s%s", faults[fault].text, faults[fault].has_error ? ": " : "",
		 faults[fault].has_error ? system_error_text(error) : "");
}

static void tell_guard(const struct output *output)
{
	if (output->guard != NULL)
		output->guard(output->temporary);
}

/* --- Choosing -------------------------------------------------------------------------------- */

/* A dangling link would have to be removed to make room for the file; then it is not a link any
 * more. */
static enum output_fault check_link(const char *name)
{
	int error = errno;
	struct stat status;
	bool dangles = lstat(name, &status) == 0 && S_ISLNK(status.st_mode);

	errno = error;
	return dangles ? OUTPUT_IS_DANGLING : OUTPUT_FINE;
}

static bool same_place(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Terminals and sockets go both ways. */
bool library_output_is_input(const struct stat *out, int in)
{
	struct stat status;
	bool keeps = S_ISREG(out->st_mode) || S_ISBLK(out->st_mode) || S_ISFIFO(out->st_mode);

	return keeps && fstat(in, &status) == 0 && same_place(out, &status);
}

/* Where this can't be asked, rename() says so in the end (EBUSY). */
static bool is_mount_point(const char *name)
{
#if defined(HAVE_STATX) && defined(STATX_ATTR_MOUNT_ROOT)
	struct statx status;

	return statx(AT_FDCWD, name, 0, STATX_TYPE, &status) == 0 &&
	       (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#else
	(void)name;
	return false;
#endif
}

/* A file or a disk would lose its contents; pipes and other devices are there to be written to. */
static enum output_fault look_at_existing(const struct output *output, const struct stat *status,
					  int in)
{
	if (S_ISDIR(status->st_mode))
		return OUTPUT_IS_FOLDER;
	if (output->only_files && !S_ISREG(status->st_mode))
		return OUTPUT_IS_SPECIAL;
	if (library_output_is_input(status, in))
		return OUTPUT_IS_INPUT;
	if (S_ISREG(status->st_mode) && is_mount_point(output->name))
		return OUTPUT_IS_MOUNTED;
	if (!output->force && (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)))
		return OUTPUT_EXISTS;
	return OUTPUT_FINE;
}

/* In a folder like /tmp: another user's file, whose owner may be waiting for what is written. The
 * kernel's fs.protected_fifos and fs.protected_regular have the same rule, but only for files
 * opened with O_CREAT. */
static bool is_planted(const char *path)
{
	AUTO(freep) char *folder = path_folder(path);
	struct stat found, place;

	return folder != NULL && lstat(path, &found) == 0 && stat(folder, &place) == 0 &&
	       (place.st_mode & S_ISVTX) != 0 && (place.st_mode & 022) != 0 &&
	       found.st_uid != geteuid() && found.st_uid != place.st_uid;
}

static enum output_fault check_whose(const char *name)
{
	AUTO(freep) char *target = realpath(name, NULL);

	return is_planted(name) || (target != NULL && is_planted(target)) ? OUTPUT_IS_PLANTED
									  : OUTPUT_FINE;
}

/* What exists under the name already decides where the output goes. */
enum output_fault library_output_choose(struct output *output, int in)
{
	const char *name = output->name;
	struct stat status;

	TRY(check_whose(name));
	output->replaces = stat(name, &status) == 0;
	TRY(output->replaces ? look_at_existing(output, &status, in) : check_link(name));
	output->direct = output->replaces && !S_ISREG(status.st_mode);
	if (output->direct) /* a pipe of /dev/fd/N has no path of its own */
		return OUTPUT_FINE;
	output->like = in;
	output->target = output->replaces ? realpath(name, NULL) : strdup(name);
	output->folder = output->target == NULL ? NULL : path_folder(output->target);
	return output->folder == NULL ? OUTPUT_SYSTEM : OUTPUT_FINE;
}

/* What is there under one of many names. */
static enum output_fault look_at_name(struct output *output, int folder, const char *leaf, int in)
{
	struct stat status;

	output->replaces = fstatat(folder, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0;
	if (!output->replaces)
		return errno == ENOENT ? OUTPUT_FINE : OUTPUT_SYSTEM;
	if (S_ISLNK(status.st_mode))
		return OUTPUT_IS_LINK;
	return S_ISREG(status.st_mode) ? look_at_existing(output, &status, in) : OUTPUT_IS_SPECIAL;
}

enum output_fault library_output_choose_in(struct output *output, int folder, const char *leaf,
					   int in)
{
	output->among_many = true;
	output->like = in;
	TRY(look_at_name(output, folder, leaf, in));
	/* Through the descriptor: whatever has the folder's name by then. */
	if (asprintf(&output->folder, "/proc/self/fd/%d", folder) < 0)
		output->folder = NULL;
	output->target = output->folder == NULL ? NULL : path_join(output->folder, leaf);
	errno = ENOMEM;
	return output->target == NULL ? OUTPUT_SYSTEM : OUTPUT_FINE;
}

/* --- Writing --------------------------------------------------------------------------------- */

static int open_without_name(const char *folder)
{
	/* Reached through its name in /proc. */
	if (access("/proc/self/fd", X_OK) != 0)
		return -1;
	return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

static int open_temporary(struct output *output)
{
	int fd = aside_open(output->target, &output->temporary);

	if (fd >= 0)
		tell_guard(output);
	return fd;
}

enum output_fault library_output_open(struct output *output)
{
	if (output->fd >= 0)
		return OUTPUT_FINE;
	if (output->direct)
		output->fd = open(output->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	else
		output->fd = open_without_name(output->folder);
	if (output->fd < 0 && !output->direct)
		output->fd = open_temporary(output);
	if (output->fd < 0)
		return OUTPUT_SYSTEM;
	output->mode = access_like(output->like, output->fd) & ~output->mask;
	return OUTPUT_FINE;
}

/* Less at a time, and each time costs more than it gains. */
enum { BEGIN_EVERY = 1 << 26 };

bool library_output_write(struct output *output, struct bytes bytes)
{
	if (!file_write_all(output->fd, bytes))
		return false;
	output->written += (off_t)bytes.len;
	if (output->direct || output->written - output->begun < BEGIN_EVERY)
		return true;
	/* What goes wrong is told by fsync(). */
	(void)!sync_file_range(output->fd, output->begun, output->written - output->begun,
			       SYNC_FILE_RANGE_WRITE);
	output->begun = output->written;
	return true;
}

/* --- Finishing ------------------------------------------------------------------------------- */

static void forget_temporary(struct output *output)
{
	char *name = TAKE(output->temporary);

	if (name != NULL)
		tell_guard(output);
	free(name);
}

/* A file without a name takes its place at once if that is free; linkat() can't replace a file. */
static bool put_in_place(struct output *output)
{
	if (output->temporary == NULL) {
		if (file_link(output->fd, output->target))
			return true;
		if (errno != EEXIST || !output->force ||
		    !aside_link(output->fd, output->target, &output->temporary))
			return false;
		tell_guard(output);
	}
	/* What has appeared meanwhile is not replaced, unless that is allowed. */
	if (!file_place(output->temporary, output->target, output->force))
		return false;
	forget_temporary(output);
	return true;
}

/* Only root can give files away; for other users the file is theirs now. Where the rest can't be
 * set (a file system without permissions), the file stays as narrow as it was opened. */
static void hand_on_permissions(const struct output *output)
{
	if (output->replaces)
		(void)!access_hand_on(output->target, output->fd);
	else
		(void)!fchmod(output->fd, output->mode);
}

static enum output_fault not_in_place(void)
{
	if (errno == EEXIST)
		return OUTPUT_EXISTS;
	return errno == EBUSY ? OUTPUT_IS_MOUNTED : OUTPUT_SYSTEM;
}

enum output_fault library_output_finish(struct output *output)
{
	if (output->direct)
		return OUTPUT_FINE;
	hand_on_permissions(output);
	if (fsync(output->fd) != 0 || !put_in_place(output))
		return not_in_place();
	return output->among_many || file_sync_name(output->target) ? OUTPUT_FINE : OUTPUT_UNSYNCED;
}

void library_output_clear(struct output *output)
{
	if (output->temporary != NULL)
		unlink(output->temporary);
	forget_temporary(output);
	free(TAKE(output->folder));
	free(TAKE(output->target));
	if (!output->is_borrowed)
		lock_release(output->fd);
	output->fd = -1;
}
