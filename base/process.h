/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A program run for its output, by a guest in someone else's process: no shell, no descriptor but
 * the first three, a limit of time and of output, and nobody's children are waited for but it. */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"

enum { PROCESS_WORDS_MAX = 64 };

/* A command line as a shell reads simple ones: words, '…', "…" and \ as in POSIX; nothing is
 * expanded. The words point into the buffer; NULL ends them. False: a quote without end, no words
 * or too many. */
bool process_split(const char *line, struct buffer *ret_text,
		   char *ret_words[static PROCESS_WORDS_MAX + 1]);

enum process_result {
	PROCESS_ENDED = 0,   /* *ret_code: its exit code, 128 + the number of a signal */
	PROCESS_NOT_STARTED, /* errno */
	PROCESS_TIMED_OUT,   /* killed */
	PROCESS_TOO_LONG,    /* killed: more output than the buffer's limit */
	PROCESS_NO_MEMORY
};

/*
 * Runs it with the process's environment, an empty standard input and our standard error; its
 * output is appended to the buffer, which has a limit. The program is looked for in PATH. Where the
 * host has taken the exit code for itself (it ignores SIGCHLD, or waits for all children) the code
 * is 0.
 */
enum process_result process_run(char *const words[], int64_t timeout_ms, struct buffer *ret_output,
				int *ret_code);
