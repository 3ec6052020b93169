/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/stream.h"

#include "base/clock.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/meter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* --- Progress -------------------------------------------------------------------------------- */

enum { PROGRESS_AFTER_MS = 500, PROGRESS_EVERY_MS = 100, PROGRESS_WIDTH = 20 };

static void draw_bar(const struct stream *stream)
{
	int percent = (int)(stream->done * 100 / stream->in.size);
	char bar[PROGRESS_WIDTH + 1];

	if (percent > 100)
		percent = 100;
	for (int i = 0; i < PROGRESS_WIDTH; i++)
		bar[i] = i < percent * PROGRESS_WIDTH / 100 ? '#' : '.';
	bar[PROGRESS_WIDTH] = '\0';
	fprintf(stderr, "\r%s %3d %% ", bar, percent);
}

static void draw(const struct stream *stream)
{
	char text[METER_SIZE];
	const struct meter meter = {
		.bytes = (uint64_t)stream->done,
		.total_bytes = stream->in.size > 0 ? (uint64_t)stream->in.size : 0,
		.elapsed_ms = stream->shown_ms - stream->started_ms,
	};

	meter_text(&meter, text);
	if (stream->in.size > 0)
		draw_bar(stream);
	else
		fputc('\r', stderr);
	fprintf(stderr, "%s\033[K", text);
}

static void progress(struct stream *stream, size_t len)
{
	int64_t now;

	stream->done += (int64_t)len;
	if (!stream->terminal)
		return;
	now = clock_system.monotonic_ms(NULL);
	if (now - stream->started_ms < PROGRESS_AFTER_MS ||
	    now - stream->shown_ms < PROGRESS_EVERY_MS)
		return;
	stream->shown_ms = now;
	draw(stream);
}

void stream_progress_end(struct stream *stream)
{
	if (stream->shown_ms != 0)
		fputs("\r\033[K", stderr);
	stream->shown_ms = 0;
}

/* --- Reading and writing --------------------------------------------------------------------- */

static ssize_t stream_read(void *state, uint8_t *out, size_t len)
{
	struct stream *stream = state;
	ssize_t count = library_input_read(stream->in.fd, out, len);

	if (count > 0)
		progress(stream, (size_t)count);
	return count;
}

static bool stream_write(void *state, struct bytes bytes)
{
	struct stream *stream = state;

	stream->written += (int64_t)bytes.len;
	return library_output_write(&stream->output, bytes);
}

int stream_open_input(struct stream *stream, const char *in_name)
{
	bool standard = strcmp(in_name, "-") == 0;

	stream->in_name = standard ? "standard input" : in_name;
	if (standard ? !library_input_standard(&stream->in)
		     : !library_input_open(&stream->in, in_name))
		return fail_system(errno, stream->in_name, "");
	if (stream->in.is_folder)
		return fail(CMEK_EXIT_FAILED, "%s: is a folder; name a file", stream->in_name);
	stream->terminal = !stream->quiet && isatty(STDERR_FILENO);
	stream->started_ms = clock_system.monotonic_ms(NULL);
	stream->io = (struct envelope_io){stream_read, stream_write, stream};
	return CMEK_EXIT_OK;
}

int stream_open(struct stream *stream, const char *in_name, const char *out_name, bool force)
{
	TRY(stream_open_input(stream, in_name));
	return output_choose(&stream->output, out_name, stream->in.fd, stream->in_name, force);
}

int stream_open_output(struct stream *stream)
{
	return output_open(&stream->output);
}

int stream_finish(struct stream *stream)
{
	stream_progress_end(stream);
	return output_finish(&stream->output);
}

void stream_clear(struct stream *stream)
{
	stream_progress_end(stream);
	library_output_clear(&stream->output);
	library_input_clear(&stream->in);
}
