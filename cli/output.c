/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/output.h"

#include "base/file.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- A temporary name does not outlive an interruption --------------------------------------- */

static const char *volatile named;

static void remove_and_die(int number)
{
	if (named != NULL)
		unlink(named);
	raise(number); /* SA_RESETHAND: as if nobody had caught it */
}

static void guard(const char *temporary)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction action = {.sa_handler = remove_and_die, .sa_flags = SA_RESETHAND}, before;

	named = temporary;
	for (size_t i = 0; temporary != NULL && i < COUNT_OF(numbers); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(numbers[i], &action, NULL);
}

/* --- What goes wrong ------------------------------------------------------------------------- */

/* What to do by the tool's own options; NULL: nothing is said. */
static const struct {
	int code;
	const char *remedy;
} answers[] = {
	[OUTPUT_EXISTS] = {CMEK_EXIT_REFUSED, "name another file, or replace it with --force"},
	[OUTPUT_IS_INPUT] = {CMEK_EXIT_REFUSED, "name another file"},
	[OUTPUT_IS_FOLDER] = {CMEK_EXIT_FAILED, "name a file"},
	[OUTPUT_IS_SPECIAL] = {CMEK_EXIT_REFUSED, NULL},
	[OUTPUT_IS_MOUNTED] = {CMEK_EXIT_FAILED, "to write into it, give - as OUT and add >"},
	[OUTPUT_IS_LINK] = {CMEK_EXIT_REFUSED, "remove it"},
	[OUTPUT_IS_DANGLING] = {CMEK_EXIT_FAILED, "make that, or remove the link"},
	[OUTPUT_IS_PLANTED] = {CMEK_EXIT_REFUSED, "name another file, or remove it"},
	[OUTPUT_UNSYNCED] = {CMEK_EXIT_FAILED, NULL},
};

static int report(const struct output *output, enum output_fault fault)
{
	int error = errno;
	char text[512];

	if (fault == OUTPUT_FINE)
		return CMEK_EXIT_OK;
	if (fault == OUTPUT_SYSTEM)
		return fail_system(error, output->name, "cannot be written: ");
	library_output_text(fault, error, text, sizeof(text));
	return fail(answers[fault].code, "%s: %s%s%s%s", output->name, text,
		    answers[fault].remedy == NULL ? "" : "; ",
		    answers[fault].remedy == NULL ? "" : answers[fault].remedy,
		    fault == OUTPUT_IS_MOUNTED ? output->name : "");
}

/* --- Choosing -------------------------------------------------------------------------------- */

static mode_t mask;

void output_prepare(void)
{
	mask = umask(0);
	umask(mask);
}

/* As `cmek encrypt F - >F` and `>>F` do. */
static int look_at_standard_output(struct output *output, int in, const char *in_name)
{
	struct stat status;

	output->name = "standard output";
	output->fd = STDOUT_FILENO;
	output->direct = output->is_borrowed = true;
	if (fstat(output->fd, &status) != 0 || !library_output_is_input(&status, in))
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

bool output_is_standard(const char *name)
{
	return strcmp(name, "-") == 0 || strcmp(name, "/dev/stdout") == 0;
}

int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force)
{
	*output = (struct output)OUTPUT_NONE;
	if (output_is_standard(name))
		return look_at_standard_output(output, in, in_name);
	output_prepare();
	output->name = name;
	output->force = force;
	output->mask = mask;
	output->guard = guard;
	return report(output, library_output_choose(output, in));
}

/* A file of many is one thread's, which many.h interrupts; none has a guard of its own. */
int output_choose_in(struct output *output, const char *called, int folder, const char *leaf,
		     int in, bool force)
{
	*output = (struct output)OUTPUT_NONE;
	output->name = called;
	output->force = force;
	output->mask = mask;
	return report(output, library_output_choose_in(output, folder, leaf, in));
}

/* --- Writing and finishing ------------------------------------------------------------------- */

int output_open(struct output *output)
{
	return report(output, library_output_open(output));
}

int output_finish(struct output *output)
{
	return report(output, library_output_finish(output));
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
	int fd = output == NULL ? FILE_NO_FOLDER : file_open_folder(output->folder);

	if (fd == -1)
		return fail_system(errno, output->name, "");
	take_turns(last, &fd);
	if (file_sync_folder(fd))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_FAILED, "outputs are written, but a folder could not be synced: %s",
		    system_error_text(errno));
}
