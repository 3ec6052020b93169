/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek encrypt; the messages for failures of envelope/, and what --json prints on success. */
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/print.h"
#include "cli/providers.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum envelope_status status;
	int code;
	const char *remedy;
} rows[] = {
	{ENVELOPE_EMPTY, CMEK_EXIT_DAMAGED, "was it emptied, or never written?"},
	{ENVELOPE_NOT_AN_ENVELOPE, CMEK_EXIT_DAMAGED, "is it plain data, or the wrong file?"},
	{ENVELOPE_NEWER, CMEK_EXIT_DAMAGED, "read it with a newer cmek"},
	{ENVELOPE_DAMAGED, CMEK_EXIT_DAMAGED, "fetch it again or take a backup"},
	{ENVELOPE_NAME_NEEDED, CMEK_EXIT_REFUSED, "give its name with --name"},
	{ENVELOPE_WRONG_NAME, CMEK_EXIT_REFUSED, "was the object moved or swapped?"},
	{ENVELOPE_NOT_BOUND, CMEK_EXIT_REFUSED, "leave out --name if that is as it should be"},
	{ENVELOPE_OTHER_ZONE, CMEK_EXIT_REFUSED, "see cmek inspect for its zone"},
	{ENVELOPE_ZONE_UNKNOWN, CMEK_EXIT_NOT_FOUND, "use the store where its database lives"},
	{ENVELOPE_NO_ROOM, CMEK_EXIT_REFUSED, "write it anew: cmek rewrap --rewrite"},
	{ENVELOPE_ROOT_KEY_UNKNOWN, CMEK_EXIT_NOT_FOUND,
	 "if you trust that key: cmek key add --project P KEY"},
};

/* The text of an unknown root key is its ARN. */
static const char *remedy_for(enum envelope_status status, const struct envelope_error *error,
			      const char *remedy)
{
	const struct key_provider *provider = key_provider_of(error->text);

	if (status != ENVELOPE_ROOT_KEY_UNKNOWN || provider == NULL ||
	    provider->unknown_key == NULL)
		return remedy;
	return provider->unknown_key;
}

int envelope_report_file(const char *name, enum envelope_status status,
			 const struct envelope_error *error)
{
	const char *space = error->text[0] == '\0' ? "" : ": ";

	if (status == ENVELOPE_MODULE)
		return module_failed(error->rv, "%s", name);
	if (status == ENVELOPE_INPUT || status == ENVELOPE_OUTPUT)
		return fail_system(error->system_error, name,
				   status == ENVELOPE_INPUT ? "" : "cannot be written: ");
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].status == status)
			return fail(rows[i].code, "%s: %s%s%s; %s", name,
				    envelope_status_text(status), space, error->text,
				    remedy_for(status, error, rows[i].remedy));
	return fail(CMEK_EXIT_FAILED, "%s: %s%s%s", name, envelope_status_text(status), space,
		    error->text);
}

int envelope_report(struct stream *stream, enum envelope_status status,
		    const struct envelope_error *error)
{
	stream_progress_end(stream);
	if (status == ENVELOPE_OUTPUT)
		return fail_system(error->system_error, stream->output.name, "");
	return envelope_report_file(stream->in_name, status, error);
}

int envelope_open_files(struct stream *stream, const struct arguments *arguments)
{
	const char *in = arguments->positional[0], *out = arguments->positional[1];

	if (arguments->json && output_is_standard(out))
		return fail(CMEK_EXIT_USAGE,
			    "--json and the data can't both go to standard output; name a file");
	return stream_open(stream, in, out, arguments_value(arguments, "force") != NULL);
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

/* The input's beginning shows whether it is an envelope already. That may be intended, so it is
 * only a warning. */
static ssize_t read_plain(void *state, uint8_t *out, size_t len)
{
	struct stream *stream = state;
	bool first = stream->done == 0;
	ssize_t count = stream->io.read(stream, out, len);

	if (first && count > 0 && envelope_begins(bytes(out, (size_t)count)))
		fail(CMEK_EXIT_OK,
		     "%s: is an envelope already and is encrypted once more; to have the data "
		     "back, decrypt twice",
		     stream->in_name);
	return count;
}

int encrypt_file(const struct arguments *arguments)
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
	TRY(envelope_open_files(&stream, arguments));
	TRY(stream_open_output(&stream));
	if (arguments_value(arguments, "message") != NULL)
		return message_encrypt(&stream, arguments, &token, zone);
	io = stream.io;
	io.read = read_plain;
	by.functions = token.functions;
	by.session = token.session;
	status = envelope_seal(&by, zone, &options, &io, &error);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	TRY(stream_finish(&stream));
	return !arguments->json ? CMEK_EXIT_OK
				: envelope_print(&stream, token.project, database,
						 object_zone_id(&token, zone), stream.done);
}
