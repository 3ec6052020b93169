/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program for its output, from a library that is a guest in someone else's process: without
 * a shell, with no descriptors but the first three, with limits on time and output, and waiting for
 * no child but this one. */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"

enum { PROCESS_WORDS_MAX = 64 };

/* A command line as a shell reads simple ones: words, '…', "…" and \ as in POSIX; nothing is
 * expanded. The words point into the buffer; NULL ends them. False: a quote does not end, or there
 * are no words or too many. */
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
