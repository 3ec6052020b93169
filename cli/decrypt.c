/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek decrypt: finds the project whose key opens the envelope, checks what the options demand,
 * then writes. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "envelope/opener.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opening {
	const struct arguments *arguments;
	const CK_FUNCTION_LIST *functions;
	struct stream *stream;
	const struct envelope_header
		*header;	       /* of a message: its zone, and whether it has a record */
	const struct message *message; /* NULL: it is a file's */
	struct message_opener opener;
	CK_SLOT_ID *slots; /* owned: all projects here */
	CK_ULONG slot_count;
	struct token token; /* the token that opens it */
	struct envelope_token by;
	struct envelope_keys keys;
	CK_OBJECT_HANDLE zone; /* on that token; CK_INVALID_HANDLE: the zone is not there */
};

static void opening_clear(struct opening *opening)
{
	message_opener_clear(&opening->opener);
	if (opening->token.session != CK_INVALID_HANDLE)
		envelope_keys_clear(&opening->by, &opening->keys);
	token_close(&opening->token);
	free(opening->slots);
}

/* Whether a slot is to be searched: --project names one, else all are. */
static bool is_wanted(const struct opening *opening, CK_SLOT_ID slot)
{
	const char *project = arguments_value(opening->arguments, "project");
	char label[TOKEN_LABEL_SIZE];

	return slot_label(opening->functions, slot, label, NULL) &&
	       (project == NULL || strcmp(project, label) == 0);
}

static int use_slot(struct opening *opening, CK_SLOT_ID slot)
{
	message_opener_clear(&opening->opener);
	token_close(&opening->token);
	TRY(token_open_slot(opening->functions, slot, &opening->token));
	opening->by = (struct envelope_token){.functions = opening->functions,
					      .session = opening->token.session};
	return CMEK_EXIT_OK;
}

/* The name of the zone's database, if the slot has the zone (free() it); else NULL. */
static char *database_in(const struct opening *opening, CK_SLOT_ID slot)
{
	AUTO(token_close) struct token token = {.functions = opening->functions};
	struct envelope_token by = {.functions = opening->functions};
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE zone = CK_INVALID_HANDLE;

	if (opening->functions->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL,
					      &token.session) != CKR_OK)
		return NULL;
	by.session = token.session;
	if (envelope_zone_find(&by, opening->header->zone, &zone, &error) != ENVELOPE_OK ||
	    zone == CK_INVALID_HANDLE)
		return NULL;
	return object_text(&token, zone, CKA_LABEL);
}

/* Whether a project that --project leaves out has the zone; if so, reports it. */
static bool is_elsewhere(const struct opening *opening)
{
	const char *project = arguments_value(opening->arguments, "project");
	char label[TOKEN_LABEL_SIZE];

	for (CK_ULONG i = 0; project != NULL && i < opening->slot_count; i++) {
		AUTO(freep) char *database = NULL;

		if (is_wanted(opening, opening->slots[i]) ||
		    !slot_label(opening->functions, opening->slots[i], label, NULL))
			continue;
		database = database_in(opening, opening->slots[i]);
		if (database == NULL)
			continue;
		fail(CMEK_EXIT_NOT_FOUND,
		     "%s: it belongs to database %s of project %s, and project %s can't open it; "
		     "leave out --project, or give that one",
		     opening->stream->in_name, database, label, project);
		return true;
	}
	return false;
}

/* A key that is not found may still be in a store that is too new to be read. */
static int check_whole(const struct opening *opening, const char *key)
{
	if (opening->token.session == CK_INVALID_HANDLE || !token_is_partial(&opening->token))
		return CMEK_EXIT_OK;
	module_failed(CKR_DEVICE_ERROR, "%s: looking for its %s", opening->stream->in_name, key);
	return exit_code_for(CKR_DEVICE_ERROR, CMEK_ERROR_STORE_NEWER);
}

/* --database: checks that the envelope's zone is that database's, on the token in use. */
static int check_database(struct opening *opening)
{
	const char *wanted = arguments_value(opening->arguments, "database");
	AUTO(freep) char *label = NULL;
	struct envelope_error error = {0};

	if (wanted == NULL)
		return CMEK_EXIT_OK;
	if (opening->zone == CK_INVALID_HANDLE && is_elsewhere(opening))
		return CMEK_EXIT_NOT_FOUND;
	if (opening->zone == CK_INVALID_HANDLE)
		TRY(check_whole(opening, "database"));
	if (opening->zone == CK_INVALID_HANDLE)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "%s: its zone %llu is in no project here, so it cannot be shown to be "
			    "of %s; leave out --database",
			    opening->stream->in_name, (unsigned long long)opening->header->zone,
			    wanted);
	label = object_text(&opening->token, opening->zone, CKA_LABEL);
	if (label != NULL && strcmp(label, wanted) == 0)
		return CMEK_EXIT_OK;
	snprintf(error.text, sizeof(error.text), "%s of project %s, not %s",
		 label == NULL ? "?" : label, opening->token.project, wanted);
	return envelope_report(opening->stream, ENVELOPE_OTHER_ZONE, &error);
}

typedef enum envelope_status find_in(struct envelope_token *token, uint64_t zone,
				     CK_OBJECT_HANDLE *ret_ezk, struct envelope_error *error);

static int find_by(struct opening *opening, find_in *find)
{
	struct envelope_error error = {0};
	enum envelope_status status;

	for (CK_ULONG i = 0; i < opening->slot_count && opening->zone == CK_INVALID_HANDLE; i++) {
		if (!is_wanted(opening, opening->slots[i]))
			continue;
		TRY(use_slot(opening, opening->slots[i]));
		status = find(&opening->by, opening->header->zone, &opening->zone, &error);
		if (status != ENVELOPE_OK)
			return envelope_report(opening->stream, status, &error);
	}
	return CMEK_EXIT_OK;
}

/* The project in which the zone lives, among those to be searched; else one that has imported it.
 */
static int find_zone(struct opening *opening)
{
	opening->zone = CK_INVALID_HANDLE;
	TRY(find_by(opening, envelope_zone_find));
	TRY(find_by(opening, envelope_import_find));
	return check_database(opening);
}

static enum envelope_status unlock(struct opening *opening, struct envelope_error *error)
{
	struct envelope_expectation expected = {
		.name = bytes_of(arguments_value(opening->arguments, "name"))};

	if (opening->message != NULL) {
		message_opener_init(&opening->opener, &opening->by, 0);
		return message_unlock(&opening->opener, opening->message, error);
	}
	TRY(envelope_check(&opening->by, opening->header, &expected, error));
	return envelope_unlock(&opening->by, opening->header, &opening->keys, error);
}

/* The label of the project whose store has the keys of the envelope's zone, if the project is here
 * (free() it). */
static char *project_of(const struct opening *opening)
{
	AUTO(buffer_clear) struct buffer serial = {0};
	char label[TOKEN_LABEL_SIZE];
	CK_TOKEN_INFO info;

	hex_append(&serial, bytes(opening->header->project, ENVELOPE_PROJECT));
	for (CK_ULONG i = 0; i < opening->slot_count; i++)
		if (slot_label(opening->functions, opening->slots[i], label, &info) &&
		    bytes_equal(bytes(info.serialNumber, sizeof(info.serialNumber)),
				buffer_bytes(&serial)))
			return strdup(label);
	return NULL;
}

/* The same of a message, which does not say in which project that is. */
static int report_unknown(const struct opening *opening)
{
	struct envelope_error error = {0};

	TRY(check_whole(opening, "key"));
	snprintf(error.text, sizeof(error.text), "zone %" PRIu64 ", key version %" PRIu32,
		 opening->message->zone, opening->message->version);
	return envelope_report(opening->stream, ENVELOPE_ZONE_UNKNOWN, &error);
}

/* No project here has the zone, and only its own store has its key. `which`: zone and version. */
static int report_kept(const struct opening *opening, const char *which)
{
	AUTO(buffer_clear) struct buffer serial = {0};
	AUTO(freep) char *project = project_of(opening);

	TRY(check_whole(opening, "key"));
	hex_append(&serial, bytes(opening->header->project, ENVELOPE_PROJECT));
	if (project != NULL)
		return fail(CMEK_EXIT_NOT_FOUND,
			    "%s: its key (%s) is only in the store of project %s, and is not "
			    "there; restore the store from a backup: if it was erased, the file "
			    "opens no more",
			    opening->stream->in_name, which, project);
	return fail(CMEK_EXIT_NOT_FOUND,
		    "%s: its key (%s) is only in the store of the project with serial %.*s, which "
		    "is not here; use that store, or a backup of it",
		    opening->stream->in_name, which, (int)serial.len, (const char *)serial.data);
}

/* None of the searched projects has the zone: takes the first whose root keys open the embedded
 * record. */
static int unlock_by_record(struct opening *opening)
{
	enum envelope_status status = ENVELOPE_ZONE_UNKNOWN;
	struct envelope_error error = {0};

	for (CK_ULONG i = 0; i < opening->slot_count; i++) {
		if (!is_wanted(opening, opening->slots[i]))
			continue;
		TRY(use_slot(opening, opening->slots[i]));
		error = (struct envelope_error){0};
		status = unlock(opening, &error);
		if (status != ENVELOPE_ROOT_KEY_UNKNOWN)
			break;
	}
	if (status == ENVELOPE_OK)
		return CMEK_EXIT_OK;
	if ((status == ENVELOPE_ROOT_KEY_UNKNOWN || status == ENVELOPE_ZONE_UNKNOWN) &&
	    is_elsewhere(opening))
		return CMEK_EXIT_NOT_FOUND;
	if (status == ENVELOPE_ZONE_UNKNOWN && opening->message != NULL)
		return report_unknown(opening);
	if (status == ENVELOPE_ZONE_UNKNOWN)
		return report_kept(opening, error.text);
	return envelope_report(opening->stream, status, &error);
}

/* There is no project, or not the one that --project names. Advising to make one is no help where
 * the file's key is only in a store that is not here. */
static int report_no_project(const struct opening *opening, const char *project)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	AUTO(freep) char *owner = project_of(opening);
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
	return report_kept(opening, which);
}

static int find_key(struct opening *opening)
{
	const char *project = arguments_value(opening->arguments, "project");
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(module_slots(opening->functions, &opening->slots, &opening->slot_count));
	TRY(find_zone(opening));
	if (opening->token.session == CK_INVALID_HANDLE)
		return report_no_project(opening, project);
	if (opening->zone == CK_INVALID_HANDLE)
		return unlock_by_record(opening);
	status = unlock(opening, &error);
	return status == ENVELOPE_OK ? CMEK_EXIT_OK
				     : envelope_report(opening->stream, status, &error);
}

/* If no project here has the zone, the database is unknown. */
static int print_done(const struct opening *opening)
{
	AUTO(freep)
	char *database = opening->zone == CK_INVALID_HANDLE
				 ? NULL
				 : object_text(&opening->token, opening->zone, CKA_LABEL);

	return envelope_print(opening->stream, opening->token.project,
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
	struct envelope_header header = {0};
	struct message message;

	TRY(message_read(opening->stream, storage, &message));
	header.zone = message.zone;
	header.kept = message.record.len == 0;
	opening->header = &header;
	opening->message = &message;
	TRY(module_load(&opening->functions));
	TRY(find_key(opening));
	return write_message(opening);
}

int decrypt_file(const struct arguments *arguments)
{
	AUTO(stream_clear) struct stream stream = STREAM_NONE;
	AUTO(buffer_clear) struct buffer storage = {0};
	AUTO(opening_clear) struct opening opening = {.arguments = arguments, .stream = &stream};
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(envelope_open_files(&stream, arguments));
	status = envelope_read_header(&stream.io, &storage, &header, &error);
	if (status == ENVELOPE_MESSAGE)
		return decrypt_message(&opening, &storage);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	opening.header = &header;
	TRY(module_load(&opening.functions));
	TRY(find_key(&opening));
	TRY(stream_open_output(&stream));
	status = envelope_open_payload(&opening.by, &header, &opening.keys, &stream.io, &error);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	TRY(stream_finish(&stream));
	return arguments->json ? print_done(&opening) : CMEK_EXIT_OK;
}
