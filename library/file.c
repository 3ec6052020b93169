/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: the result is written aside and put in its place when it is whole and on the disk.
 */
#include "base/access.h"
#include "base/aside.h"
#include "base/file.h"
#include "base/free.h"
#include "base/lock.h"
#include "base/macros.h"
#include "envelope/reader.h"
#include "library/open.h"
#include "library/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Two files ------------------------------------------------------------------------------- */

struct files {
	const char *in_name, *out_name;
	bool replace, replaces;
	int in, out;
	char *target;	 /* owned: where the result goes; a link stays one */
	char *temporary; /* owned: its name until then */
};
#define FILES_NONE                                                                                 \
	{                                                                                          \
		.in = -1, .out = -1                                                                \
	}

static void files_clear(struct files *files)
{
	if (files->temporary != NULL)
		unlink(files->temporary);
	lock_release(files->out);
	file_closep(&files->in);
	free(files->temporary);
	free(files->target);
}

static enum cmek_status unreadable(const struct files *files, struct cmek_error *error)
{
	return library_fail_system(error, errno, files->in_name, "");
}

static enum cmek_status unwritable(const struct files *files, struct cmek_error *error)
{
	return library_fail_system(error, errno, files->out_name, "cannot be written: ");
}

static enum cmek_status is_there(const struct files *files, struct cmek_error *error)
{
	return library_fail(error, CMEK_REFUSED,
			    "%s: is there already; choose another name, or say that it may be "
			    "replaced",
			    files->out_name);
}

static enum cmek_status look_at_target(const struct files *files, const struct stat *out,
				       struct cmek_error *error)
{
	struct stat in;

	if (!S_ISREG(out->st_mode))
		return library_fail(error, CMEK_REFUSED, "%s: is not a file; choose another name",
				    files->out_name);
	if (fstat(files->in, &in) == 0 && in.st_dev == out->st_dev && in.st_ino == out->st_ino)
		return library_fail(error, CMEK_REFUSED,
				    "%s: is the input itself; choose another name",
				    files->out_name);
	return files->replace ? CMEK_OK : is_there(files, error);
}

static enum cmek_status files_open(struct files *files, struct cmek_error *error)
{
	struct stat status;

	files->in = open(files->in_name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (files->in < 0)
		return unreadable(files, error);
	files->replaces = stat(files->out_name, &status) == 0;
	if (files->replaces)
		TRY(look_at_target(files, &status, error));
	files->target = files->replaces ? realpath(files->out_name, NULL) : strdup(files->out_name);
	if (files->target == NULL)
		return unwritable(files, error);
	return CMEK_OK;
}

/* As late as it can be: a name, a key or a rule that is wrong leaves nothing behind. */
static bool open_aside(struct files *files)
{
	if (files->out < 0)
		files->out = aside_open(files->target, &files->temporary);
	return files->out >= 0;
}

static ssize_t read_in(void *state, uint8_t *out, size_t len)
{
	const struct files *files = state;
	ssize_t count;

	do {
		count = read(files->in, out, len);
	} while (count < 0 && errno == EINTR);
	return count;
}

static bool write_aside(void *state, struct bytes data)
{
	struct files *files = state;

	return open_aside(files) && file_write_all(files->out, data);
}

static bool put_in_place(const struct files *files)
{
	return files->replace ? rename(files->temporary, files->target) == 0
			      : file_rename_reserved(files->temporary, files->target);
}

static void hand_on_permissions(const struct files *files)
{
	if (files->replaces)
		(void)!access_hand_on(files->target, files->out);
	else
		(void)!fchmod(files->out, access_like(files->in, files->out));
}

static enum cmek_status files_finish(struct files *files, struct cmek_error *error)
{
	AUTO(freep) char *folder = path_folder(files->target);

	if (folder == NULL || !open_aside(files))
		return unwritable(files, error);
	hand_on_permissions(files);
	if (fsync(files->out) != 0)
		return unwritable(files, error);
	if (!put_in_place(files))
		return errno == EEXIST ? is_there(files, error) : unwritable(files, error);
	free(TAKE(files->temporary));
	/* A folder that one may write but not read can't be opened for this. */
	return file_sync_folder(folder) || errno == EACCES ? CMEK_OK : unwritable(files, error);
}

/* Which of the two files a failure is about. */
static enum cmek_status failed(const struct files *files, enum envelope_status status,
			       const struct envelope_error *cause, struct cmek_error *error)
{
	return library_fail_envelope(
		error, status == ENVELOPE_OUTPUT ? files->out_name : files->in_name, status, cause);
}

/* --- Sealing --------------------------------------------------------------------------------- */

static enum cmek_status seal(cmek_zone *zone, struct files *files,
			     const struct cmek_seal_options *options, struct cmek_error *error)
{
	const struct envelope_io io = {read_in, write_aside, files};
	struct envelope_options bound = {0};
	struct envelope_error cause = {0};
	struct library_worker *worker;
	enum envelope_status status;
	enum cmek_status told = CMEK_OK;

	if (options->name_len > 0)
		bound.name = bytes(options->name, options->name_len);
	TRY(library_zone_take(zone, &worker, error));
	status = envelope_seal(&worker->by, worker->ezk, &bound, &io, &cause);
	if (status != ENVELOPE_OK)
		told = failed(files, status, &cause, error);
	library_worker_give(&zone->pool, worker, status, &cause);
	return told;
}

static enum cmek_status seal_file(cmek_zone *zone, struct files *files,
				  const struct cmek_seal_options *given, struct cmek_error *error)
{
	struct cmek_seal_options options;

	TRY(library_seal_options(given, &options, error));
	TRY(files_open(files, error));
	TRY(seal(zone, files, &options, error));
	return files_finish(files, error);
}

enum cmek_status cmek_seal_file(cmek_zone *zone, const char *in_path, const char *out_path,
				bool replace, const struct cmek_seal_options *options,
				cmek_error **ret_error)
{
	AUTO(files_clear) struct files files = FILES_NONE;
	struct cmek_error error;

	files.in_name = in_path;
	files.out_name = out_path;
	files.replace = replace;
	return library_answer(seal_file(zone, &files, options, &error), &error, ret_error);
}

/* --- Opening --------------------------------------------------------------------------------- */

static enum cmek_status unseal(cmek_client *client, struct files *files,
			       const struct cmek_unseal_options *options, struct cmek_error *error)
{
	AUTO(library_opened_clear) struct library_opened opened = {0};
	const struct envelope_expectation expected = library_expected(options);
	const struct envelope_io io = {read_in, write_aside, files};
	struct envelope_error cause = {0};
	enum envelope_status status;

	TRY(library_opened_read(&opened, client, &expected, &io, files->in_name, error));
	status = envelope_open_payload(&opened.worker->by, &opened.header, &opened.keys, &io,
				       &cause);
	return library_opened_failed(&opened,
				     status == ENVELOPE_OUTPUT ? files->out_name : files->in_name,
				     status, &cause, error);
}

static enum cmek_status unseal_file(cmek_client *client, struct files *files,
				    const struct cmek_unseal_options *given,
				    struct cmek_error *error)
{
	struct cmek_unseal_options options;

	TRY(library_unseal_options(given, &options, error));
	TRY(files_open(files, error));
	TRY(unseal(client, files, &options, error));
	return files_finish(files, error);
}

enum cmek_status cmek_unseal_file(cmek_client *client, const char *in_path, const char *out_path,
				  bool replace, const struct cmek_unseal_options *options,
				  cmek_error **ret_error)
{
	AUTO(files_clear) struct files files = FILES_NONE;
	struct cmek_error error;

	files.in_name = in_path;
	files.out_name = out_path;
	files.replace = replace;
	return library_answer(unseal_file(client, &files, options, &error), &error, ret_error);
}
