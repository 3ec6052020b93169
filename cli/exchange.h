/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file and its envelope: the one is made of the other, beside it or in its place, for `migrate`
 * and `export`. What is made has the other's owner, mode, attributes and times; it is synced, read
 * back and compared before anything is removed. All functions report; an exit code.
 */
#pragma once

#include "cli/many.h"

#include <sys/stat.h>

struct exchange_options {
	bool in_place; /* under the same name */
	bool remove;   /* beside it, and then the original goes */
	bool dry_run;
};
int exchange_options_read(const struct arguments *arguments, struct exchange_options *ret_options);

/* One file under way. */
struct exchange {
	struct many *many;
	struct sessions *sessions;
	const struct exchange_options *options;
	const char *path; /* the original: the caller's */
	char *target;	  /* owned */
	int in;
	struct stat was;
	bool to_plain; /* the original is the envelope */
	struct many_outcome *outcome;
};
#define EXCHANGE_NONE .in = -1

/* Opens the original, which must be a file. */
int exchange_open(struct exchange *exchange);
void exchange_clear(struct exchange *exchange); /* for AUTO */
/* For envelope/: reads the original, from where it is; `state` is the exchange. */
ssize_t exchange_read(void *state, uint8_t *out, size_t len);
/* With --in-place or --remove: refuses an original of several names, whose data would stay. */
int exchange_check_names(const struct exchange *exchange);
/* Whether the target is there, and what it is. */
bool exchange_is_there(const struct exchange *exchange, struct stat *ret_status);

/* Writes what is made to `fd`. */
typedef int exchange_make(struct exchange *exchange, int fd, void *state);
/* The whole way: made, synced, compared, put in place; then the original removed if it is to be. */
int exchange_run(struct exchange *exchange, exchange_make *make, void *state);
/* The target was made before, and is complete: only the original is left to be removed, if it is to
 * be, after the two have been compared. */
int exchange_resume(struct exchange *exchange);
