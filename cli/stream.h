/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where a command's data comes from and goes to: files or the standard streams, with a progress bar
 * on a terminal. */
#pragma once

#include "cli/output.h"
#include "envelope/envelope.h"
#include "library/input.h"

struct stream {
	const char *in_name;
	struct library_input in;
	struct output output;
	int64_t done;		      /* bytes read */
	int64_t written;	      /* bytes written */
	int64_t started_ms, shown_ms; /* progress: 0 = not shown */
	bool quiet;		      /* no progress; set before it is opened */
	bool terminal;
	struct envelope_io io;
};

/* Opens the input ("-": standard input). Reports; an exit code. */
int stream_open_input(struct stream *stream, const char *in_name);
/* Also chooses the output (cli/output.h), which stays as it is until it is opened. */
int stream_open(struct stream *stream, const char *in_name, const char *out_name, bool force);
int stream_open_output(struct stream *stream);
/* Removes the progress bar, so that something else can be printed. */
void stream_progress_end(struct stream *stream);
/* Makes the output appear. Reports. */
int stream_finish(struct stream *stream);
/* Removes what was not finished; for AUTO. Accepts a stream that was only declared by STREAM_NONE.
 */
void stream_clear(struct stream *stream);
#define STREAM_NONE                                                                                \
	{                                                                                          \
		.in = LIBRARY_INPUT_NONE, .output = OUTPUT_NONE                                    \
	}
