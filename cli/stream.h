/*
 * Where a command's data comes from and goes to: files or the standard streams, a progress bar on a
 * terminal, and an output file that appears only whole: it is written without a name (O_TMPFILE)
 * where the file system can, else under a temporary one, synced, and then renamed.
 */
#pragma once

#include "envelope/envelope.h"

struct stream {
	const char *in_name, *out_name;
	int in, out;
	char *temporary; /* NULL: no name yet, or standard output */
	char *folder;
	int64_t total; /* bytes to come, -1: not known */
	int64_t done;
	int64_t started_ms, shown_ms; /* progress: 0 = not shown */
	bool terminal;
	struct envelope_io io;
};

/* Opens both ("-": the standard streams). Reports; an exit code. */
int stream_open(struct stream *stream, const char *in_name, const char *out_name);
int stream_open_input(struct stream *stream, const char *in_name);
int stream_create_output(struct stream *stream, const char *out_name);
/* Makes the output appear. Reports. */
int stream_finish(struct stream *stream);
/* Leaves nothing behind; for AUTO. Accepts a stream that was only declared by STREAM_NONE. */
void stream_clear(struct stream *stream);
#define STREAM_NONE                                                                                \
	{                                                                                          \
		.in = -1, .out = -1                                                                \
	}
