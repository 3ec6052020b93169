/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, bytes out: messages, and envelopes of files that lie in memory. */
#include "base/macros.h"
#include "base/secret.h"
#include "envelope/reader.h"
#include "library/open.h"
#include "library/options.h"
#include "library/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- Sealing --------------------------------------------------------------------------------- */

static size_t sealed_size(const cmek_zone *zone, size_t len, bool embed)
{
	return MESSAGE_HEADER + len + ENVELOPE_TAG + (embed ? atomic_load(&zone->record_room) : 0);
}

static enum cmek_status check_limits(const cmek_zone *zone, size_t len,
				     const struct cmek_seal_options *options,
				     struct cmek_error *error)
{
	if (len > MESSAGE_PAYLOAD_MAX)
		return library_fail(error, CMEK_REFUSED,
				    "%s: a message has at most 64 MiB; seal it as a file or a "
				    "stream",
				    zone->title);
	if (options->collection > MESSAGE_COLLECTION_MAX)
		return library_fail(error, CMEK_REFUSED, "%s: a collection is at most %" PRIu64,
				    zone->title, MESSAGE_COLLECTION_MAX);
	if (options->embed && zone->kept)
		return library_fail(error, CMEK_REFUSED,
				    "%s: it keeps its key's record in its store: leave out embed",
				    zone->title);
	return CMEK_OK;
}

size_t cmek_sealed_size(const cmek_zone *zone, size_t len, const struct cmek_seal_options *given)
{
	struct cmek_seal_options options;
	struct cmek_error error;

	return library_seal_options(given, &options, &error) == CMEK_OK &&
			       check_limits(zone, len, &options, &error) == CMEK_OK
		       ? sealed_size(zone, len, options.embed)
		       : 0;
}

/* A record that has grown since the caller asked for the size. */
static void learn_size(cmek_zone *zone, struct bytes record)
{
	size_t room = 2 + envelope_record_room(record);

	if (room > atomic_load(&zone->record_room))
		atomic_store(&zone->record_room, room);
}

/* The sealer has forgotten the record that had no room. */
static void learn_size_anew(cmek_zone *zone, struct library_worker *worker)
{
	AUTO(buffer_clear) struct buffer record = {0};
	struct envelope_error unused = {0};

	if (envelope_zone_record(&worker->by, worker->ezk, &record, &unused) == ENVELOPE_OK)
		learn_size(zone, buffer_bytes(&record));
}

static enum cmek_status no_room(const cmek_zone *zone, size_t needed, size_t room,
				struct cmek_error *error)
{
	return library_fail(error, CMEK_REFUSED,
			    "%s: room for %zu bytes, and %zu are needed: see cmek_sealed_size",
			    zone->title, room, needed);
}

static enum cmek_status check_room(const cmek_zone *zone, size_t len,
				   const struct cmek_seal_options *options, size_t room,
				   struct cmek_error *error)
{
	size_t needed = sealed_size(zone, len, options->embed);

	return room < needed ? no_room(zone, needed, room, error) : CMEK_OK;
}

static enum cmek_status seal(cmek_zone *zone, struct bytes data,
			     const struct cmek_seal_options *options, void *out, size_t room,
			     size_t *ret_len, struct cmek_error *error)
{
	const struct message_input input = {.payload = data,
					    .collection = options->collection,
					    .bound_to = bytes(options->name, options->name_len)};
	/* With its limit it never grows, so it stays the caller's. */
	struct buffer sealed = {.data = out, .capacity = room, .limit = room};
	struct envelope_error cause;
	struct library_worker *worker;
	enum envelope_status status;

	TRY(library_zone_take(zone, &worker, error));
	cause.rv = CKR_OK;
	cause.reason = CMEK_ERROR_NONE;
	cause.text[0] = '\0';
	status = message_seal(&worker->sealers[options->embed], &input, &sealed, &cause);
	if (status == ENVELOPE_OK)
		*ret_len = sealed.len;
	if (status == ENVELOPE_OK && options->embed)
		learn_size(zone, buffer_bytes(&worker->sealers[true].record));
	if (status == ENVELOPE_NO_MEMORY && sealed.failed) {
		learn_size_anew(zone, worker);
		library_worker_give(&zone->pool, worker, status, &cause);
		return no_room(zone, sealed_size(zone, data.len, options->embed), room, error);
	}
	return library_zone_give(zone, worker, status, &cause, error);
}

static bool overlap(struct bytes a, struct bytes b)
{
	uintptr_t from = (uintptr_t)a.data, other = (uintptr_t)b.data;

	return a.len > 0 && b.len > 0 &&
	       (from < other ? other - from < a.len : from - other < b.len);
}

/* The header is written before the name and the data are read. */
static enum cmek_status check_apart(const cmek_zone *zone, struct bytes data,
				    const struct cmek_seal_options *options, struct bytes out,
				    struct cmek_error *error)
{
	return !overlap(data, out) && !overlap(bytes(options->name, options->name_len), out)
		       ? CMEK_OK
		       : library_fail(error, CMEK_REFUSED,
				      "%s: a message is not sealed in place: give out memory "
				      "apart from the data and the name",
				      zone->title);
}

static enum cmek_status seal_message(cmek_zone *zone, struct bytes data,
				     const struct cmek_seal_options *given, void *out, size_t room,
				     size_t *ret_len, struct cmek_error *error)
{
	struct cmek_seal_options options;

	TRY(library_seal_options(given, &options, error));
	TRY(check_limits(zone, data.len, &options, error));
	TRY(check_room(zone, data.len, &options, room, error));
	TRY(library_check_memory(data.data, data.len, error));
	TRY(library_check_memory(out, room, error));
	TRY(check_apart(zone, data, &options, bytes(out, room), error));
	return seal(zone, data, &options, out, room, ret_len, error);
}

enum cmek_status cmek_seal(cmek_zone *zone, const void *data, size_t len,
			   const struct cmek_seal_options *options, void *out, size_t room,
			   size_t *ret_len, cmek_error **ret_error)
{
	struct cmek_error error;

	return library_answer(
		seal_message(zone, bytes(data, len), options, out, room, ret_len, &error), &error,
		ret_error);
}

/* --- Opening --------------------------------------------------------------------------------- */

static bool is_message(struct bytes sealed)
{
	return sealed.len > 5 && envelope_begins(sealed) && sealed.data[5] == ENVELOPE_KIND_MESSAGE;
}

static int64_t plain_size(struct bytes sealed)
{
	struct envelope_error cause;
	struct envelope_header header;
	struct message message;
	uint32_t len;

	if (is_message(sealed))
		return message_decode(sealed, &message, &cause) == ENVELOPE_OK
			       ? (int64_t)message.payload_len
			       : -1;
	if (envelope_header_measure(bytes(sealed.data, sealed.len < ENVELOPE_IMMUTABLE
							       ? sealed.len
							       : ENVELOPE_IMMUTABLE),
				    &len, &cause) != ENVELOPE_OK ||
	    len > sealed.len ||
	    envelope_header_decode(bytes(sealed.data, len), &header, &cause) != ENVELOPE_OK)
		return -1;
	return envelope_plain_size(&header, (int64_t)sealed.len);
}

size_t cmek_unsealed_size(const void *sealed, size_t sealed_len)
{
	int64_t size = plain_size(bytes(sealed, sealed_len));

	return size < 0 ? 0 : (size_t)size;
}

struct opening {
	const struct message *message;
	struct bytes bound_to;
	uint8_t *out;
};

/* The module may use the room of the tag too, which the caller's memory has not. */
static enum envelope_status open_message(struct library_worker *worker, void *state,
					 struct envelope_error *cause)
{
	const struct opening *opening = state;
	enum envelope_status status;

	buffer_truncate(&worker->scratch, 0);
	worker->scratch.failed = false;
	status = message_open(&worker->opener, opening->message, opening->bound_to,
			      &worker->scratch, cause);
	if (status == ENVELOPE_OK && worker->scratch.len > 0)
		memcpy(opening->out, worker->scratch.data, worker->scratch.len);
	return status;
}

static enum cmek_status unseal_message(cmek_client *client, struct bytes sealed,
				       const struct cmek_unseal_options *options, void *out,
				       size_t room, size_t *ret_len, struct cmek_error *error)
{
	struct envelope_error cause = {.text = ""};
	struct library_worker *worker;
	struct message message;
	struct opening opening = {&message, bytes(options->name, options->name_len), out};
	struct library_sought sought = {"message", 0, open_message, &opening};
	enum envelope_status status = message_decode(sealed, &message, &cause);

	if (status == ENVELOPE_OK && options->zone != NULL &&
	    cmek_zone_id(options->zone) != message.zone)
		status = ENVELOPE_OTHER_ZONE;
	if (status != ENVELOPE_OK)
		return library_fail_envelope(error, "message", status, &cause);
	TRY(library_check_room(message.payload_len, room, error));
	sought.zone = message.zone;
	TRY(library_open_by(client, &sought, &worker, error));
	*ret_len = worker->scratch.len;
	library_worker_give(worker->project->pool, worker, ENVELOPE_OK, &cause);
	return CMEK_OK;
}

/* --- An envelope of a file, in memory */

struct memory {
	struct bytes left;
};

static ssize_t read_memory(void *state, uint8_t *out, size_t len)
{
	struct memory *memory = state;

	if (len > memory->left.len)
		len = memory->left.len;
	if (len > 0)
		memcpy(out, memory->left.data, len);
	memory->left = bytes_after(memory->left, len);
	return (ssize_t)len;
}

static enum cmek_status unseal_file(cmek_client *client, struct bytes sealed,
				    const struct cmek_unseal_options *options, void *out,
				    size_t room, size_t *ret_len, struct cmek_error *error)
{
	AUTO(library_opened_clear) struct library_opened opened = {0};
	AUTO(envelope_reader_clear) struct envelope_reader reader = {0};
	struct memory memory = {sealed};
	struct envelope_io io = {.read = read_memory, .state = &memory};
	const struct envelope_expectation expected = library_expected(options);
	struct envelope_error cause = {0};
	enum envelope_status status;
	size_t len = 0;

	TRY(library_opened_read(&opened, client, &expected, &io, "envelope", error));
	TRY(library_check_room(cmek_unsealed_size(sealed.data, sealed.len), room, error));
	status = envelope_reader_begin(&reader, &opened.worker->by, &opened.header, &opened.keys,
				       &io);
	if (status == ENVELOPE_OK)
		status = envelope_reader_get(&reader, out, room, &len, &cause);
	/* Whether it ends there. */
	if (status == ENVELOPE_OK && len == room)
		status = envelope_reader_get(&reader, &(uint8_t){0}, 1, &(size_t){0}, &cause);
	if (status == ENVELOPE_OK)
		*ret_len = len;
	return library_opened_failed(&opened, "envelope", status, &cause, error);
}

static enum cmek_status unseal(cmek_client *client, struct bytes sealed,
			       const struct cmek_unseal_options *given, void *out, size_t room,
			       size_t *ret_len, struct cmek_error *error)
{
	struct cmek_unseal_options options;

	TRY(library_unseal_options(given, &options, error));
	TRY(library_check_memory(sealed.data, sealed.len, error));
	TRY(library_check_memory(out, room, error));
	return is_message(sealed)
		       ? unseal_message(client, sealed, &options, out, room, ret_len, error)
		       : unseal_file(client, sealed, &options, out, room, ret_len, error);
}

enum cmek_status cmek_unseal(cmek_client *client, const void *sealed, size_t sealed_len,
			     const struct cmek_unseal_options *options, void *out, size_t room,
			     size_t *ret_len, cmek_error **ret_error)
{
	struct cmek_error error;

	return library_answer(
		unseal(client, bytes(sealed, sealed_len), options, out, room, ret_len, &error),
		&error, ret_error);
}
