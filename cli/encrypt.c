/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek encrypt; the messages for failures of envelope/, and what --json prints on success. */
#include "base/file.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/print.h"
#include "cli/providers.h"
#include "envelope/parallel.h"
#include "library/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What to do by the tool's own options; all else stands in library/error.c. */
static const struct {
	enum envelope_status status;
	const char *remedy;
} remedies[] = {
	{ENVELOPE_NAME_NEEDED, "give its name with --name"},
	{ENVELOPE_NOT_BOUND, "leave out --name if that is as it should be"},
};

/* The text of an unknown root key is its ARN. */
static const char *remedy_for(enum envelope_status status, const struct envelope_error *error)
{
	const struct key_provider *provider =
		status == ENVELOPE_ROOT_KEY_UNKNOWN ? key_provider_of(error->text) : NULL;

	if (provider != NULL && provider->unknown_key != NULL)
		return provider->unknown_key;
	for (size_t i = 0; i < COUNT_OF(remedies); i++)
		if (remedies[i].status == status)
			return remedies[i].remedy;
	return library_remedy(status);
}

int envelope_report_file(const char *name, enum envelope_status status,
			 const struct envelope_error *error)
{
	const char *remedy = remedy_for(status, error);
	char text[LIBRARY_TEXT_MAX];

	if (status == ENVELOPE_MODULE)
		return module_failed(error->rv, "%s", name);
	if (status == ENVELOPE_INPUT || status == ENVELOPE_OUTPUT)
		return fail_system(error->system_error, name,
				   status == ENVELOPE_INPUT ? "" : "cannot be written: ");
	library_envelope_text(status, error, remedy, text);
	return fail(remedy == NULL ? CMEK_EXIT_FAILED
				   : exit_code_of(library_kind_of_envelope(status)),
		    "%s: %s", name, text);
}

int envelope_report(struct stream *stream, enum envelope_status status,
		    const struct envelope_error *error)
{
	stream_progress_end(stream);
	if (status == ENVELOPE_OUTPUT)
		return fail_system(error->system_error, stream->output.name, "");
	return envelope_report_file(stream->in_name, status, error);
}

static bool is_envelope(const char *name)
{
	AUTO(file_closep) int fd = open(name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	uint8_t start[4];
	ssize_t count = fd < 0 ? -1 : pread(fd, start, sizeof(start), 0);

	return count > 0 && envelope_begins(bytes(start, (size_t)count));
}

static bool is_empty(const char *name)
{
	struct stat status;

	return stat(name, &status) == 0 && status.st_size == 0;
}

/* Where *.cmek has two matches, the second is no OUT, and --force would destroy it. An OUT that was
 * meant is what the command itself has written before: an envelope, or none. */
static int check_meant(const struct file_pair *pair, const struct output *output)
{
	const char *name = output->target;

	if (!pair->is_two_words || !output->force || !output->replaces || output->direct)
		return CMEK_EXIT_OK;
	if (!pair->encrypts && is_envelope(name))
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is an envelope, and would be replaced by what %s holds; -o OUT if "
			    "that is meant, --suffix for both",
			    pair->out, pair->in);
	if (pair->encrypts && !is_empty(name) && !is_envelope(name))
		return fail(CMEK_EXIT_REFUSED,
			    "%s: is no envelope, and would be replaced by that of %s; -o OUT if "
			    "that is meant, --suffix for both",
			    pair->out, pair->in);
	return CMEK_EXIT_OK;
}

int envelope_open_files(struct stream *stream, const struct arguments *arguments,
			const struct file_pair *pair)
{
	stream->quiet = arguments_value(arguments, "quiet") != NULL;
	if (arguments->json && output_is_standard(pair->out))
		return fail(CMEK_EXIT_USAGE,
			    "--json and the data can't both go to standard output; name a file");
	TRY(stream_open(stream, pair->in, pair->out, arguments_value(arguments, "force") != NULL));
	return check_meant(pair, &stream->output);
}

int envelope_print(const struct stream *stream, const char *project, const char *database,
		   uint64_t zone, int64_t plain_bytes)
{
	struct printer printer = {.json = true, .single = true};

	print_row(&printer);
	print_text(&printer, "file", stream->output.name);
	print_text(&printer, "project", project);
	print_text(&printer, "database", database);
	print_id(&printer, "zone", zone);
	print_number(&printer, "plain_bytes", (uint64_t)plain_bytes);
	return print_end(&printer);
}

/* That may be intended. */
void envelope_warn_of_second(const char *name, struct bytes beginning)
{
	if (envelope_begins(beginning))
		warn("%s: is an envelope already and is encrypted once more; to have the data "
		     "back, decrypt twice",
		     name);
}

static ssize_t read_plain(void *state, uint8_t *out, size_t len)
{
	struct stream *stream = state;
	bool first = stream->done == 0;
	ssize_t count = stream->io.read(stream, out, len);

	if (first && count > 0)
		envelope_warn_of_second(stream->in_name, bytes(out, (size_t)count));
	return count;
}

static int encrypt_pair(const struct arguments *arguments, const struct file_pair *pair)
{
	const char *name = arguments_value(arguments, "name");
	const char *database = arguments_value(arguments, "database");
	struct envelope_options options = {.name = bytes_of(name)};
	AUTO(stream_clear) struct stream stream = STREAM_NONE;
	struct envelope_io io;
	AUTO(token_close) struct token token = {0};
	struct envelope_error error = {0};
	struct envelope_token by = {0};
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;
	uint64_t collection;

	TRY(message_options(arguments, &collection));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, database, &zone));
	TRY(envelope_open_files(&stream, arguments, pair));
	TRY(stream_open_output(&stream));
	if (arguments_value(arguments, "message") != NULL)
		return message_encrypt(&stream, arguments, &token, zone);
	io = stream.io;
	io.read = read_plain;
	by.functions = token.functions;
	by.session = token.session;
	status = envelope_seal_parallel(
		&by, zone, &options, library_input_threads(&stream.in, pair->threads), &io, &error);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	TRY(stream_finish(&stream));
	return !arguments->json ? CMEK_EXIT_OK
				: envelope_print(&stream, token.project, database,
						 object_zone_id(&token, zone), stream.done);
}

int encrypt_file(const struct arguments *arguments)
{
	AUTO(file_pair_clear) struct file_pair pair = {0};
	bool many = false;

	TRY(files_read(arguments, true, &many, &pair));
	return many ? files_encrypt(arguments) : encrypt_pair(arguments, &pair);
}
