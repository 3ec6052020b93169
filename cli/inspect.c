/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek inspect: what an envelope says of itself. Needs neither key nor module, and verifies
 * nothing. */
#include "base/encode.h"
#include "base/macros.h"
#include "cli/envelopes.h"
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As `cmek project show` and any PKCS #11 program show it; NULL: no memory. */
static char *project_serial(const uint8_t project[static ENVELOPE_PROJECT])
{
	struct buffer text = {0};

	hex_append(&text, bytes(project, ENVELOPE_PROJECT));
	return buffer_take_text(&text);
}

/* The first that opens it; of two owners both, in the order of their shares. */
static void print_root_keys(struct printer *printer, const struct envelope_record *record)
{
	struct buffer text = {0};

	if (record->both)
		buffer_put_text(&text, BOTH_OF);
	for (size_t i = 0; i < (record->both ? record->arn_count : 1); i++) {
		buffer_put_text(&text, i == 0 ? "" : ", ");
		buffer_append(&text, record->arns[i]);
	}
	print_take(printer, "root_key", buffer_take_text(&text));
}

static void print_slot(struct printer *printer, const struct envelope_header *header)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	struct envelope_record record = {0};
	uint64_t zone;
	uint32_t version = 0;

	envelope_slots_in_order(header, slots);
	envelope_wrapped_version(slots[0]->wrapped, &zone, &version);
	print_number(printer, "version", version);
	if (!envelope_record_decode(slots[0]->record, &record)) {
		print_text(printer, "record",
			   header->kept ? "none: opens only with its store, and never once its key "
					  "is in no copy of that"
					: "none, or damaged: does not open");
		if (header->kept)
			print_take(printer, "project_serial", project_serial(header->project));
		else
			print_text(printer, "root_key", "");
		return;
	}
	print_text(printer, "record", "embedded");
	print_root_keys(printer, &record);
	print_take(printer, "key_created", print_time((int64_t)record.created_ms));
}

static char *dek_id(const struct message *message)
{
	struct buffer text = {0};

	hex_append(&text, bytes(message->dek_id, MESSAGE_DEK_ID));
	return buffer_take_text(&text);
}

static void print_message_record(struct printer *printer, const struct message *message)
{
	struct envelope_record record = {0};

	if (!envelope_record_decode(message->record, &record)) {
		print_text(printer, "record",
			   message->record.len == 0 ? "none: opens only with its store"
						    : "damaged: does not open");
		return;
	}
	print_text(printer, "record", "embedded");
	print_root_keys(printer, &record);
	print_take(printer, "key_created", print_time((int64_t)record.created_ms));
}

static int inspect_message(struct stream *stream, struct buffer *storage,
			   const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json, .single = true};
	struct message message;

	TRY(message_read(stream, storage, &message));
	print_row(&printer);
	print_text(&printer, "file", arguments->positional[0]);
	print_text(&printer, "format", "CMEK 1 message");
	print_id(&printer, "zone", message.zone);
	print_number(&printer, "version", message.version);
	print_message_record(&printer, &message);
	print_id(&printer, "collection", message.collection);
	print_take(&printer, "data_key", dek_id(&message));
	print_number(&printer, "number", message.number);
	print_bool(&printer, "name_bound", message.bound);
	print_number(&printer, "header_bytes", message.header.len);
	print_number(&printer, "plain_bytes", message.payload_len);
	return print_end(&printer);
}

int inspect_file(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json, .single = true};
	AUTO(stream_clear) struct stream stream = STREAM_NONE;
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header;
	struct envelope_error error = {0};
	enum envelope_status status;

	TRY(stream_open_input(&stream, arguments->positional[0]));
	status = envelope_read_header(&stream.io, &storage, &header, &error);
	if (status == ENVELOPE_MESSAGE)
		return inspect_message(&stream, &storage, arguments);
	if (status != ENVELOPE_OK)
		return envelope_report(&stream, status, &error);
	print_row(&printer);
	print_text(&printer, "file", arguments->positional[0]);
	print_text(&printer, "format", "CMEK 1");
	print_id(&printer, "zone", header.zone);
	print_slot(&printer, &header);
	print_bool(&printer, "embed", !header.kept);
	print_bool(&printer, "name_bound", header.name_bound);
	print_number(&printer, "header_bytes", header.header_len);
	print_number(&printer, "chunk_bytes", (uint64_t)1 << header.chunk_bits);
	if (stream.in.size >= 0 && envelope_plain_size(&header, stream.in.size) >= 0)
		print_number(&printer, "plain_bytes",
			     (uint64_t)envelope_plain_size(&header, stream.in.size));
	return print_end(&printer);
}
