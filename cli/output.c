#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/access.h"
#include "base/aside.h"
#include "base/file.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/cmek.h"

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

/* --- Opening --------------------------------------------------------------------------------- */

static int refuse(const char *name)
{
	return fail_system(errno, name, "cannot be written: ");
}

/* A link to nothing would have to go to make room for the file; then it is no link any more. */
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
		name, strerror(error));
}

static mode_t mode_like(int like, int fd)
{
	mode_t mask = umask(0);

	umask(mask);
	return access_like(like, fd) & ~mask;
}

/* What is at the name already decides where the output goes. */
static int look_at(struct output *output, const char *name)
{
	struct stat status;

	output->replaces = stat(name, &status) == 0;
	if (!output->replaces)
		TRY(check_link(name));
	if (output->replaces && S_ISDIR(status.st_mode))
		return fail(CMEK_EXIT_FAILED, "%s: is a folder; name a file", name);
	output->direct = output->replaces && !S_ISREG(status.st_mode);
	if (output->direct) /* a pipe of /dev/stdout or /dev/fd/N has no path of its own */
		return CMEK_EXIT_OK;
	output->target = output->replaces ? realpath(name, NULL) : strdup(name);
	output->folder = output->target == NULL ? NULL : path_folder(output->target);
	return output->folder == NULL ? refuse(name) : CMEK_EXIT_OK;
}

static int open_without_name(const char *folder)
{
	/* Its name comes by way of /proc. */
	if (access("/proc/self/fd", X_OK) != 0)
		return -1;
	return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
}

static int open_temporary(struct output *output)
{
	int fd = aside_open(output->target, &output->temporary);

	guard(output->temporary);
	return fd;
}

int output_open(struct output *output, const char *name, int like)
{
	*output = (struct output)OUTPUT_NONE;
	output->name = name;
	if (strcmp(name, "-") == 0) {
		output->name = "standard output";
		output->fd = STDOUT_FILENO;
		output->direct = true;
		return CMEK_EXIT_OK;
	}
	TRY(look_at(output, name));
	if (output->direct)
		output->fd = open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	else
		output->fd = open_without_name(output->folder);
	if (output->fd < 0 && !output->direct)
		output->fd = open_temporary(output);
	if (output->fd < 0)
		return refuse(name);
	output->mode = mode_like(like, output->fd);
	return CMEK_EXIT_OK;
}

/* --- Finishing ------------------------------------------------------------------------------- */

/* A file without a name takes its place at once if that is free; a link can't replace. */
static bool put_in_place(struct output *output)
{
	if (output->temporary == NULL) {
		if (file_link(output->fd, output->target))
			return true;
		if (errno != EEXIST || !aside_link(output->fd, output->target, &output->temporary))
			return false;
		guard(output->temporary);
	}
	if (rename(output->temporary, output->target) != 0)
		return false;
	guard(NULL);
	free(TAKE(output->temporary));
	return true;
}

/* Only root can give files away; for others it is theirs now. What can't be done (a file system
 * without permissions) leaves it as narrow as it was opened. */
static void hand_on_permissions(const struct output *output)
{
	if (output->replaces)
		(void)!access_hand_on(output->target, output->fd);
	else
		(void)!fchmod(output->fd, output->mode);
}

int output_finish(struct output *output)
{
	if (output->direct)
		return CMEK_EXIT_OK;
	hand_on_permissions(output);
	if (fsync(output->fd) != 0 || !put_in_place(output))
		return refuse(output->name);
	/* A folder one may write in but not read can't be opened for it. */
	if (!file_sync_folder(output->folder) && errno != EACCES)
		return fail(CMEK_EXIT_FAILED, "%s: written, but the folder could not be synced: %s",
			    output->name, strerror(errno));
	return CMEK_EXIT_OK;
}

void output_clear(struct output *output)
{
	if (output->temporary != NULL)
		unlink(output->temporary);
	guard(NULL);
	free(TAKE(output->temporary));
	free(TAKE(output->folder));
	free(TAKE(output->target));
	if (output->fd > STDERR_FILENO)
		close(output->fd);
	output->fd = -1;
}
