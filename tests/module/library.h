/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of libcmek share: a client of the store that tool_start made. */
#pragma once

#include "include/cmek/cmek.h"
#include "tests/module/tool_run.h"

extern cmek_client *client;
extern cmek_zone *orders, *bills; /* main/orders and main/bills of project demo */
extern cmek_error *why;		  /* of the last call that `refuses` or `works` looked at */

/* Opens what is above, for a test of a group; and frees it. */
int client_start(void **state);
int client_stop(void **state);

/* The call succeeded; it failed in this way, in one line that has the word. `why` is its error. */
void works(enum cmek_status status);
void refuses(enum cmek_status expected, enum cmek_status status, const char *word);

/* Bytes that differ from place to place. */
uint8_t *pattern(size_t len); /* free() it */
/* A message of main/orders, in memory that `out` owns. */
void seal_message(cmek_zone *zone, const char *text, const struct cmek_seal_options *options,
		  struct buffer *ret_sealed);
/* An envelope of `len` bytes of the pattern, as a stream makes it. */
void seal_stream(cmek_zone *zone, size_t len, struct buffer *ret_sealed);

/* Streams and objects in memory. */
int write_to(void *state, const void *data, size_t len); /* a struct buffer */
struct source {
	struct bytes left;
	size_t at_once; /* 0: as much as is wanted */
};
int read_from(void *state, void *out, size_t room, size_t *ret_len);
int pread_from(void *state, void *out, size_t len, uint64_t offset); /* a struct bytes */

/* The tests of each file. */
extern const struct CMUnitTest library_stream_tests[], library_file_tests[], library_kind_tests[],
	library_fork_tests[], library_other_tests[];
extern const size_t library_stream_count, library_file_count, library_kind_count,
	library_fork_count, library_other_count;
