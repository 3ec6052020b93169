/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek decrypt: finds the project whose key opens the envelope, checks what the options demand,
 * then writes. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/sessions.h"
#include "envelope/opener.h"
#include "envelope/parallel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opening {
	const struct arguments *arguments;
	struct stream *stream;
	const struct envelope_header
		*header;	       /* of a message: its zone, and whether it has a record */
	const struct message *message; /* NULL: it is a file's */
	struct message_opener opener;
	struct slots slots;
	struct sessions sessions;
	struct project_session *session; /* by which it is opened; NULL: none yet */
	struct envelope_keys keys;
	CK_OBJECT_HANDLE zone; /* there; CK_INVALID_HANDLE: the zone is not there */
};

static void opening_clear(struct opening *opening)
{
	message_opener_clear(&opening->opener);
	if (opening->session != NULL)
		envelope_keys_clear(&opening->session->by, &opening->keys);
	sessions_clear(&opening->sessions);
	slots_clear(&opening->slots);
}

/* What may be said where no key is found. */
static struct missing missing_of(const struct opening *opening)
{
	return sessions_missing(&opening->sessions, opening->header, opening->stream->in_name);
}

/* The project in which the zone lives, among those to be searched; else one that has imported it.
 */
static int find_zone(struct opening *opening)
{
	static const struct token none = {0};
	struct missing missing;

	TRY(sessions_find_opener(&opening->sessions, opening->header->zone,
				 opening->stream->in_name, &opening->session, &opening->zone));
	missing = missing_of(opening);
	return missing_check_database(&missing, arguments_value(opening->arguments, "database"),
				      opening->session == NULL ? &none : &opening->session->token,
				      opening->zone);
}

static enum envelope_status unlock(void *session, struct envelope_token *by, void *state,
				   struct envelope_error *error)
{
	struct opening *opening = state;
	struct envelope_expectation expected = {
		.name = bytes_of(arguments_value(opening->arguments, "name"))};

	(void)session;
	if (opening->message != NULL) {
		message_opener_clear(&opening->opener);
		message_opener_init(&opening->opener, by, 0);
		return message_unlock(&opening->opener, opening->message, error);
	}
	TRY(envelope_check(by, opening->header, &expected, error));
	return envelope_unlock(by, opening->header, &opening->keys, error);
}

/* The same of a message, which does not say in which project that is. */
static int report_unknown(const struct opening *opening)
{
	const struct missing missing = missing_of(opening);
	struct envelope_error error = {0};

	TRY(missing_check_whole(&missing, "key"));
	snprintf(error.text, sizeof(error.text), "zone %" PRIu64 ", key version %" PRIu32,
		 opening->message->zone, opening->message->version);
	return envelope_report(opening->stream, ENVELOPE_ZONE_UNKNOWN, &error);
}

/* None of the searched projects has the zone: takes the first whose root keys open the embedded
 * record. */
static int unlock_by_record(struct opening *opening)
{
	struct library_search search;
	struct missing missing;

	TRY(sessions_open_by(&opening->sessions, unlock, opening, &search));
	opening->session = search.session;
	if (search.status == ENVELOPE_OK)
		return CMEK_EXIT_OK;
	missing = missing_of(opening);
	if (search.status == ENVELOPE_ZONE_UNKNOWN && opening->message != NULL)
		return missing_is_elsewhere(&missing) ? CMEK_EXIT_NOT_FOUND
						      : report_unknown(opening);
	return missing_report(&missing, search.status, &search.cause);
}

/* There is no project, or not the one that --project names. Advising to make one is no help where
 * the file's key is only in a store that is not here. */
static int report_no_project(const struct opening *opening, const char *project)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	const struct missing missing = missing_of(opening);
	AUTO(freep) char *owner = missing_project(&missing);
	char which[64];
	uint64_t zone;
	uint32_t version = 0;

	if (opening->header->kept && opening->message != NULL)
		return report_unknown(opening);
	if (!opening->header->kept || owner != NULL)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "%s%s; make one: cmek project create NAME, then cmek key add",
			    project == NULL ? "there is no project here" : "no project ",
			    project == NULL ? "" : project);
	envelope_slots_in_order(opening->header, slots);
	envelope_wrapped_version(slots[0]->wrapped, &zone, &version);
	snprintf(which, sizeof(which), "zone %" PRIu64 ", key version %" PRIu32,
		 opening->header->zone, version);
	return missing_report_kept(&missing, which);
}

static int find_key(struct opening *opening, const CK_FUNCTION_LIST *functions)
{
	const char *project = arguments_value(opening->arguments, "project");
	struct envelope_error error = {0};
	enum envelope_status status;

	stream_progress_end(opening->stream);
	TRY(slots_look(functions, project, project, &opening->slots));
	TRY(sessions_init(&opening->sessions, &opening->slots));
	TRY(find_zone(opening));
	if (opening->slots.count == 0)
		return report_no_project(opening, project);
	if (opening->session == NULL)
		return unlock_by_record(opening);
	status = unlock(opening->session, &opening->session->by, opening, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK
				     : envelope_report(opening->stream, status, &error);
}

/* If no project here has the zone, the database is unknown. */
static int print_done(const struct opening *opening)
{
	AUTO(freep)
	char *database = opening->zone == CK_INVALID_HANDLE
				 ? NULL
				 : object_text(&opening->session->token, opening->zone, CKA_LABEL);

	return envelope_print(opening->stream, opening->session->token.project,
			      database == NULL ? "" : database, opening->header->zone,
			      opening->stream->written);
}

static int write_message(struct opening *opening)
{
	const char *name = arguments_value(opening->arguments, "name");
	AUTO(buffer_clear) struct buffer payload = {0};
	struct stream *stream = opening->stream;
	struct envelope_error error = {0};
	enum envelope_status status =
		message_open(&opening->opener, opening->message, bytes_of(name), &payload, &error);

	if (status != ENVELOPE_OK)
		return envelope_report(stream, status, &error);
	TRY(stream_open_output(stream));
	if (payload.len > 0 && !stream->io.write(stream->io.state, buffer_bytes(&payload)))
		return fail_system(errno, stream->output.name, "");
	TRY(stream_finish(stream));
	return opening->arguments->json ? print_done(opening) : CMEK_EXIT_OK;
}

static int decrypt_message(struct opening *opening, struct buffer *storage)
{
	const CK_FUNCTION_LIST *functions;
	struct envelope_header header = {0};
	struct envelope_record record;
	struct message message;

	TRY(message_read(opening->stream, storage, &message));
	if (envelope_record_decode(message.record, &record))
		memcpy(header.project, record.project, sizeof(header.project));
	header.zone = message.zone;
	header.kept = message.record.len == 0;
	opening->header = &header;
	opening->message = &message;
	TRY(module_load(&functions));
	TRY(find_key(opening, functions));
	return write_message(opening);
}

static int decrypt_pair(const struct arguments *arguments, const struct file_pair *pair)
{
	AUTO(stream_clear) struct stream stream = STREAM_NONE;
	AUTO(buffer_clear) struct buffer storage = {0};
	AUTO(opening_clear) struct opening opening = {.arguments = arguments, .stream = &stream};
	const CK_FUNCTION_LIST *functions;
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(envelope_open_files(&stream, arguments, pair));
	status = envelope_read_header(&stream.io, &storage, &header, &error);
	if (status == ENVELOPE_MESSAGE)
		return decrypt_message(&opening, &storage);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	opening.header = &header;
	TRY(module_load(&functions));
	TRY(find_key(&opening, functions));
	TRY(stream_open_output(&stream));
	status = envelope_open_parallel(&opening.session->by, &header, &opening.keys,
					library_input_threads(&stream.in, pair->threads),
					&stream.io, &error);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	TRY(stream_finish(&stream));
	return arguments->json ? print_done(&opening) : CMEK_EXIT_OK;
}

int decrypt_file(const struct arguments *arguments)
{
	AUTO(file_pair_clear) struct file_pair pair = {0};
	bool many = false;

	TRY(files_read(arguments, false, &many, &pair));
	return many ? files_decrypt(arguments) : decrypt_pair(arguments, &pair);
}
