/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: a writer and a reader, each with a session of its own from begin to end. */
#include "base/cancel.h"
#include "base/macros.h"
#include "envelope/reader.h"
#include "envelope/writer.h"
#include "library/module.h"
#include "library/open.h"
#include "library/options.h"
#include "library/zone.h"

#include <errno.h>
#include <stdlib.h>

static enum cmek_status has_no_session(struct cmek_error *error)
{
	return library_fail(error, CMEK_FAILED,
			    "this stream was begun before the process forked, or before somebody "
			    "else finalized the module: begin another");
}

/* Of a stream that has failed nothing passes: what may pass is another one, from the beginning. */
static enum cmek_status for_good(enum cmek_status status, struct cmek_error *error)
{
	if (status != CMEK_OK)
		error->may_pass = false;
	return status;
}

static bool is_stale(const struct library_worker *worker)
{
	return !library_module_owns(worker->generation);
}

/* --- Writer ---------------------------------------------------------------------------------- */

struct cmek_writer {
	cmek_zone *zone;
	struct library_worker *worker;
	struct envelope_writer writer;
	cmek_write_function *write;
	void *state;
	bool finished;
	enum envelope_status failed;
	struct envelope_error cause;
};

static bool write_on(void *state, struct bytes data)
{
	const cmek_writer *writer = state;
	int error = writer->write(writer->state, data.data, data.len);

	errno = error;
	return error == 0;
}

/* The first failure is what is told again by all calls after it. */
static enum cmek_status wrote(cmek_writer *writer, enum envelope_status status,
			      const struct envelope_error *cause, struct cmek_error *error)
{
	if (status == ENVELOPE_OK)
		return CMEK_OK;
	if (writer->failed == ENVELOPE_OK) {
		writer->failed = status;
		writer->cause = *cause;
	}
	return library_fail_envelope(error, writer->zone->title, writer->failed, &writer->cause);
}

static enum cmek_status begin_writer(cmek_writer *writer, const struct cmek_seal_options *given,
				     struct cmek_error *error)
{
	struct cmek_seal_options options;
	struct envelope_options bound = {0};
	const struct envelope_io io = {.write = write_on, .state = writer};
	struct envelope_error cause = {0};

	TRY(library_seal_options(given, &options, error));
	if (options.name_len > 0)
		bound.name = bytes(options.name, options.name_len);
	TRY(library_zone_take(writer->zone, &writer->worker, error));
	return wrote(writer,
		     envelope_writer_begin(&writer->writer, &writer->worker->by,
					   writer->worker->ezk, &bound, &io, &cause),
		     &cause, error);
}

static enum cmek_status writer_new(cmek_zone *zone, const struct cmek_seal_options *options,
				   cmek_write_function *write, void *state,
				   cmek_writer **ret_writer, struct cmek_error *error)
{
	cmek_writer *writer = calloc(1, sizeof(*writer));
	enum cmek_status status;

	*ret_writer = writer;
	if (writer == NULL)
		return library_no_memory(error);
	writer->zone = library_zone_keep(zone);
	writer->write = write;
	writer->state = state;
	status = begin_writer(writer, options, error);
	if (status != CMEK_OK)
		cmek_writer_free(TAKE(*ret_writer));
	return status;
}

enum cmek_status cmek_writer_new(cmek_zone *zone, const struct cmek_seal_options *options,
				 cmek_write_function *write, void *state, cmek_writer **ret_writer,
				 cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(writer_new(zone, options, write, state, ret_writer, &error), &error,
			      ret_error);
}

/* What follows the end would make all of it damaged. */
static enum cmek_status has_ended(const cmek_writer *writer, struct cmek_error *error)
{
	return library_fail(error, CMEK_REFUSED, "%s: this stream has its end; begin another",
			    writer->zone->title);
}

static enum cmek_status put(cmek_writer *writer, struct bytes data, bool last,
			    struct cmek_error *error)
{
	struct envelope_error cause = {0};
	enum envelope_status status;

	if (is_stale(writer->worker))
		return has_no_session(error);
	if (writer->finished)
		return last ? CMEK_OK : has_ended(writer, error);
	TRY(library_check_memory(data.data, data.len, error));
	status = last ? envelope_writer_finish(&writer->writer, &cause)
		      : envelope_writer_put(&writer->writer, data, &cause);
	writer->finished = last && status == ENVELOPE_OK;
	return wrote(writer, status, &cause, error);
}

enum cmek_status cmek_writer_put(cmek_writer *writer, const void *data, size_t len,
				 cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(for_good(put(writer, bytes(data, len), false, &error), &error),
			      &error, ret_error);
}

enum cmek_status cmek_writer_finish(cmek_writer *writer, cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(for_good(put(writer, bytes(NULL, 0), true, &error), &error), &error,
			      ret_error);
}

void cmek_writer_free(cmek_writer *writer)
{
	struct cmek_error unused;

	if (writer == NULL)
		return;
	if (writer->worker != NULL && is_stale(writer->worker))
		writer->writer.keys = (struct envelope_keys){0};
	if (writer->worker != NULL) {
		envelope_writer_clear(&writer->writer);
		library_zone_give(writer->zone, writer->worker, writer->failed, &writer->cause,
				  &unused);
	}
	cmek_zone_free(writer->zone);
	free(writer);
}

/* --- Reader ---------------------------------------------------------------------------------- */

struct cmek_reader {
	struct library_opened opened;
	struct envelope_reader reader;
	cmek_read_function *read;
	void *state;
};

static ssize_t read_on(void *state, uint8_t *out, size_t len)
{
	const cmek_reader *reader = state;
	size_t got = 0;
	int error = reader->read(reader->state, out, len, &got);

	if (error == 0 && got <= len)
		return (ssize_t)got;
	errno = error == 0 ? EINVAL : error;
	return -1;
}

static enum cmek_status begin_reader(cmek_reader *reader, cmek_client *client,
				     const struct cmek_unseal_options *given,
				     struct cmek_error *error)
{
	const struct envelope_io io = {.read = read_on, .state = reader};
	struct library_opened *opened = &reader->opened;
	struct envelope_expectation expected;
	struct cmek_unseal_options options;

	TRY(library_unseal_options(given, &options, error));
	expected = library_expected(&options);
	TRY(library_opened_read(opened, client, &expected, &io, "stream", error));
	return library_opened_failed(opened, "stream",
				     envelope_reader_begin(&reader->reader, &opened->worker->by,
							   &opened->header, &opened->keys, &io),
				     &(struct envelope_error){0}, error);
}

static enum cmek_status reader_new(cmek_client *client, const struct cmek_unseal_options *options,
				   cmek_read_function *read, void *state, cmek_reader **ret_reader,
				   struct cmek_error *error)
{
	cmek_reader *reader = calloc(1, sizeof(*reader));
	enum cmek_status status;

	*ret_reader = reader;
	if (reader == NULL)
		return library_no_memory(error);
	reader->read = read;
	reader->state = state;
	status = begin_reader(reader, client, options, error);
	if (status != CMEK_OK)
		cmek_reader_free(TAKE(*ret_reader));
	return status;
}

enum cmek_status cmek_reader_new(cmek_client *client, const struct cmek_unseal_options *options,
				 cmek_read_function *read, void *state, cmek_reader **ret_reader,
				 cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(reader_new(client, options, read, state, ret_reader, &error), &error,
			      ret_error);
}

static enum cmek_status get(cmek_reader *reader, void *out, size_t room, size_t *ret_len,
			    struct cmek_error *error)
{
	struct envelope_error cause = {0};
	enum envelope_status status;

	if (is_stale(reader->opened.worker))
		return has_no_session(error);
	TRY(library_check_memory(out, room, error));
	status = envelope_reader_get(&reader->reader, out, room, ret_len, &cause);
	return library_opened_failed(&reader->opened, "stream", status, &cause, error);
}

enum cmek_status cmek_reader_get(cmek_reader *reader, void *out, size_t room, size_t *ret_len,
				 cmek_error **ret_error)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct cmek_error error;

	return library_answer(for_good(get(reader, out, room, ret_len, &error), &error), &error,
			      ret_error);
}

uint64_t cmek_reader_zone(const cmek_reader *reader)
{
	return reader->opened.header.zone;
}

void cmek_reader_free(cmek_reader *reader)
{
	if (reader == NULL)
		return;
	envelope_reader_clear(&reader->reader);
	library_opened_clear(&reader->opened);
	free(reader);
}
