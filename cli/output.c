/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/output.h"

#include "base/access.h"
#include "base/aside.h"
#include "base/file.h"
#include "base/free.h"
#include "base/have.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- A temporary name does not outlive an interruption --------------------------------------- */

static char *volatile named;

static void remove_and_die(int number)
{
	if (named != NULL)
		unlink(named);
	raise(number); /* SA_RESETHAND: as if nobody had caught it */
}

static void guard(char *temporary)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction action = {.sa_handler = remove_and_die, .sa_flags = SA_RESETHAND}, before;

	named = temporary;
	for (size_t i = 0; temporary != NULL && i < COUNT_OF(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

static void guard_output(const struct output *output)
{
	if (!output->among_many)
		guard(output->temporary);
}

static void unguard_output(const struct output *output)
{
	if (!output->among_many)
		guard(NULL);
}

/* --- Opening --------------------------------------------------------------------------------- */

static int refuse(const char *name)
{
	return fail_system(errno, name, "cannot be written: ");
}

/* A dangling link would have to be removed to make room for the file; then it is not a link any
 * more. */
static int check_link(const char *name)
{
	int error = errno;
	struct stat status;

	if (lstat(name, &status) != 0 || !S_ISLNK(status.st_mode))
		return CMEK_EXIT_OK;
	return fail(
		CMEK_EXIT_FAILED,
		"%s: is a link, and what it leads to can't be reached: %s; make that, or remove "
		"the link",
		name, system_error_text(error));
}

static mode_t mask;

void output_prepare(void)
{
	mask = umask(0);
	umask(mask);
}

static mode_t mode_like(const struct output *output)
{
	if (!output->among_many)
		output_prepare();
	return access_like(output->like, output->fd) & ~mask;
}

static bool same_place(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Writing would change the part that is yet to be read. Terminals and sockets go both ways. */
static bool is_input(const struct stat *out, int in)
{
	struct stat status;
	bool keeps = S_ISREG(out->st_mode) || S_ISBLK(out->st_mode) || S_ISFIFO(out->st_mode);

	return keeps && fstat(in, &status) == 0 && same_place(out, &status);
}

/* As `cmek encrypt F - >F` and `>>F` do. */
static int look_at_standard_output(struct output *output, int in, const char *in_name)
{
	struct stat status;

	output->name = "standard output";
	output->fd = STDOUT_FILENO;
	output->direct = true;
	if (fstat(output->fd, &status) != 0 || !is_input(&status, in))
		return CMEK_EXIT_OK;
	if (S_ISREG(status.st_mode) && status.st_size == 0)
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is empty, since standard output is the same file, and the shell "
			    "empties it first; write to another file",
			    in_name);
	return fail(CMEK_EXIT_REFUSED,
		    "%s: is standard output too, so it would grow while it is read; write to "
		    "another file",
		    in_name);
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

static int refuse_mount_point(const char *name)
{
	return fail(CMEK_EXIT_FAILED,
		    "%s: is a mount point, which a finished file can't replace; to write into it, "
		    "give - as OUT and add >%s",
		    name, name);
}

static int refuse_existing(const char *name)
{
	return fail(CMEK_EXIT_REFUSED,
		    "%s: is there already; name another file, or replace it with --force", name);
}

/* A file or a disk would lose its contents; pipes and other devices are there to be written to. */
static int look_at_existing(const char *name, const struct stat *status, int in, bool force)
{
	if (S_ISDIR(status->st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is a folder; name a file", name);
	if (is_input(status, in))
		return fail(CMEK_EXIT_REFUSED, "%s: is the input itself; name another file", name);
	if (S_ISREG(status->st_mode) && is_mount_point(name))
		return refuse_mount_point(name);
	if (!force && (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)))
		return refuse_existing(name);
	return CMEK_EXIT_OK;
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

static int check_whose(const char *name)
{
	AUTO(freep) char *target = realpath(name, NULL);

	if (!is_planted(name) && (target == NULL || !is_planted(target)))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_REFUSED,
		    "%s: is another user's, in a folder where everybody may put files; name "
		    "another file, or remove it",
		    name);
}

/* What exists under the name already decides where the output goes. */
static int look_at(struct output *output, const char *name, int in)
{
	struct stat status;

	output->replaces = stat(name, &status) == 0;
	TRY(check_whose(name));
	TRY(output->replaces ? look_at_existing(name, &status, in, output->force)
			     : check_link(name));
	output->direct = output->replaces && !S_ISREG(status.st_mode);
	if (output->direct) /* a pipe of /dev/fd/N has no path of its own */
		return CMEK_EXIT_OK;
	output->like = in;
	output->target = output->replaces ? realpath(name, NULL) : strdup(name);
	output->folder = output->target == NULL ? NULL : path_folder(output->target);
	return output->folder == NULL ? refuse(name) : CMEK_EXIT_OK;
}

/* --- One of many */

/* What is there under one of many names. */
static int look_at_name(struct output *output, int folder, const char *leaf, int in)
{
	struct stat status;

	output->replaces = fstatat(folder, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0;
	if (!output->replaces)
		return errno == ENOENT ? CMEK_EXIT_OK : refuse(output->name);
	if (S_ISLNK(status.st_mode))
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is a link, and no link is followed where many files are written; "
			    "remove it",
			    output->name);
	if (!S_ISREG(status.st_mode))
		return fail(CMEK_EXIT_REFUSED, "%s: is there already, and is not a file",
			    output->name);
	return look_at_existing(output->name, &status, in, output->force);
}

int output_choose_in(struct output *output, const char *called, int folder, const char *leaf,
		     int in, bool force)
{
	*output = (struct output){
		.name = called, .fd = -1, .force = force, .among_many = true, .like = in};
	TRY(look_at_name(output, folder, leaf, in));
	/* Through the descriptor: whatever has the folder's name by then. */
	if (asprintf(&output->folder, "/proc/self/fd/%d", folder) < 0)
		output->folder = NULL;
	output->target = output->folder == NULL ? NULL : path_join(output->folder, leaf);
	return output->target == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

bool output_is_standard(const char *name)
{
	return strcmp(name, "-") == 0 || strcmp(name, "/dev/stdout") == 0;
}

int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force)
{
	*output = (struct output)OUTPUT_NONE;
	output->name = name;
	output->force = force;
	return output_is_standard(name) ? look_at_standard_output(output, in, in_name)
					: look_at(output, name, in);
}

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

	guard_output(output);
	return fd;
}

int output_open(struct output *output)
{
	if (output->fd >= 0)
		return CMEK_EXIT_OK;
	if (output->direct)
		output->fd = open(output->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	else
		output->fd = open_without_name(output->folder);
	if (output->fd < 0 && !output->direct)
		output->fd = open_temporary(output);
	if (output->fd < 0)
		return refuse(output->name);
	output->mode = mode_like(output);
	return CMEK_EXIT_OK;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Less at a time, and each time costs more than it gains. */
enum { BEGIN_EVERY = 1 << 26 };

bool output_write(struct output *output, struct bytes bytes)
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

/* A file that has appeared meanwhile is not replaced, unless --force is given. */
static bool rename_to_target(const struct output *output)
{
	return output->force ? rename(output->temporary, output->target) == 0
			     : file_rename_reserved(output->temporary, output->target);
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
		guard_output(output);
	}
	if (!rename_to_target(output))
		return false;
	unguard_output(output);
	free(TAKE(output->temporary));
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

static int not_in_place(const char *name)
{
	if (errno == EEXIST)
		return refuse_existing(name);
	return errno == EBUSY ? refuse_mount_point(name) : refuse(name);
}

int output_finish(struct output *output)
{
	if (output->direct)
		return CMEK_EXIT_OK;
	hand_on_permissions(output);
	if (fsync(output->fd) != 0 || !put_in_place(output))
		return not_in_place(output->name);
	if (output->among_many)
		return CMEK_EXIT_OK;
	/* A folder that one may write but not read can't be opened for this. */
	if (!file_sync_folder(output->folder) && errno != EACCES)
		return fail(CMEK_EXIT_FAILED, "%s: written, but the folder could not be synced: %s",
			    output->name, system_error_text(errno));
	return CMEK_EXIT_OK;
}

/* Puts the folder in the last one's place, whose descriptor *fd is then, or -1 if it is the same.
 */
static void take_turns(struct output_folder *last, int *fd)
{
	struct stat status = {0};
	int before;

	if (*fd >= 0)
		fstat(*fd, &status);
	pthread_mutex_lock(&last->lock);
	before = last->fd;
	if (before >= 0 && last->device == status.st_dev && last->inode == status.st_ino) {
		file_closep(fd);
	} else {
		last->fd = *fd;
		last->device = status.st_dev;
		last->inode = status.st_ino;
		*fd = before;
	}
	pthread_mutex_unlock(&last->lock);
}

int output_finish_folder(struct output_folder *last, const struct output *output)
{
	AUTO(file_closep)
	int fd = output == NULL ? -1 : open(output->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (output != NULL && fd < 0 && errno != EACCES)
		return fail_system(errno, output->name, "");
	take_turns(last, &fd);
	/* Some file systems can't sync a folder. */
	if (fd < 0 || fsync(fd) == 0 || errno == EINVAL)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_FAILED, "outputs are written, but a folder could not be synced: %s",
		    system_error_text(errno));
}

void output_clear(struct output *output)
{
	if (output->temporary != NULL)
		unlink(output->temporary);
	unguard_output(output);
	free(TAKE(output->temporary));
	free(TAKE(output->folder));
	free(TAKE(output->target));
	if (output->fd > STDERR_FILENO)
		close(output->fd);
	output->fd = -1;
}
