/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what is to be sealed or opened. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One that is read once, from its beginning to its end. */
struct library_input {
	int fd;
	bool is_borrowed; /* the descriptor is the process's */
	bool is_folder;	  /* which can be opened, but not read */
	off_t size;	  /* -1: no file, what comes bit by bit */
};
#define LIBRARY_INPUT_NONE                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* False: errno; to be cleared all the same. */
bool library_input_open(struct library_input *input, const char *path);
bool library_input_standard(struct library_input *input);
/* How many threads may share the work on it (envelope/parallel.h): of a file, which is there to be
 * read by many, as many as library_threads() says; else 0. */
unsigned library_input_threads(const struct library_input *input, size_t wanted);
/* Accepts LIBRARY_INPUT_NONE. */
void library_input_clear(struct library_input *input);

/* As read(2), through interruptions: what a struct envelope_io needs. */
ssize_t library_input_read(int fd, uint8_t *out, size_t len);
