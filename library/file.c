/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: the result appears when it is whole and on the disk (library/output.h). */
#include "base/cancel.h"
#include "base/macros.h"
#include "envelope/parallel.h"
#include "library/input.h"
#include "library/open.h"
#include "library/options.h"
#include "library/output.h"
#include "library/zone.h"

#include <errno.h>

/* --- Two files ------------------------------------------------------------------------------- */

struct files {
	const char *in_name;
	struct library_input in;
	struct output output;
};
#define FILES_OF(in_path, out_path, replace)                                                       \
	{                                                                                          \
		.in_name = (in_path), .in = LIBRARY_INPUT_NONE, .output = {                        \
			.name = (out_path),                                                        \
			.force = (replace),                                                        \
			.only_files = true,                                                        \
			.fd = -1                                                                   \
		}                                                                                  \
	}

static void files_clear(struct files *files)
{
	library_output_clear(&files->output);
	library_input_clear(&files->in);
}

static enum cmek_status say(const struct files *files, enum output_fault fault,
			    struct cmek_error *error)
{
	static const struct {
		enum cmek_status kind;
		const char *remedy;
	} answers[] = {
		[OUTPUT_EXISTS] = {CMEK_REFUSED,
				   "; choose another name, or say that it may be replaced"},
		[OUTPUT_IS_INPUT] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_IS_FOLDER] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_IS_SPECIAL] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_IS_MOUNTED] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_IS_LINK] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_IS_DANGLING] = {CMEK_IO, "; make that, or remove the link"},
		[OUTPUT_IS_PLANTED] = {CMEK_REFUSED, "; choose another name"},
		[OUTPUT_UNSYNCED] = {CMEK_IO, ""},
	};
	int system_error = errno;
	char text[256];

	if (fault == OUTPUT_FINE)
		return CMEK_OK;
	if (fault == OUTPUT_SYSTEM)
		return library_fail_system(error, system_error, files->output.name,
					   "cannot be written: ");
	library_output_text(fault, system_error, text, sizeof(text));
	library_fail(error, answers[fault].kind, "%s: %s%s", files->output.name, text,
		     answers[fault].remedy);
	if (error->status == CMEK_IO)
		error->system_error = system_error;
	return error->status;
}

static enum cmek_status files_open(struct files *files, struct cmek_error *error)
{
	if (files->in_name == NULL || files->output.name == NULL)
		return library_fail(error, CMEK_REFUSED, "a path that is NULL; name a file");
	if (!library_input_open(&files->in, files->in_name))
		return library_fail_system(error, errno, files->in_name, "");
	return say(files, library_output_choose(&files->output, files->in.fd), error);
}

static ssize_t read_in(void *state, uint8_t *out, size_t len)
{
	const struct files *files = state;

	return library_input_read(files->in.fd, out, len);
}

/* Opens as late as it can be: a name, a key or a rule that is wrong leaves nothing behind. */
static bool write_aside(void *state, struct bytes data)
{
	struct files *files = state;

	return library_output_open(&files->output) == OUTPUT_FINE &&
	       library_output_write(&files->output, data);
}

static enum cmek_status files_finish(struct files *files, struct cmek_error *error)
{
	TRY(say(files, library_output_open(&files->output), error));
	return say(files, library_output_finish(&files->output), error);
}

static const char *which(const struct files *files, enum envelope_status status)
{
	return envelope_failed_file(status, files->in_name, files->output.name);
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
	status = envelope_seal_parallel(&worker->by, worker->ezk, &bound,
					library_input_threads(&files->in, options->threads), &io,
					&cause);
	if (status != ENVELOPE_OK)
		told = library_fail_envelope(error, which(files, status), status, &cause);
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
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(files_clear) struct files files = FILES_OF(in_path, out_path, replace);
	struct cmek_error error;

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
	status = envelope_open_parallel(&opened.worker->by, &opened.header, &opened.keys,
					library_input_threads(&files->in, options->threads), &io,
					&cause);
	return library_opened_failed(&opened, which(files, status), status, &cause, error);
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
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(files_clear) struct files files = FILES_OF(in_path, out_path, replace);
	struct cmek_error error;

	return library_answer(unseal_file(client, &files, options, &error), &error, ret_error);
}
