/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a command line names, one after the other: files, folders with all below them, and
 * a list in a file. Links in folders are not followed. */
#pragma once

#include "cli/cli.h"

#include <fts.h>
#include <stdio.h>
#include <sys/stat.h>

struct source {
	char *const *words;
	size_t count, next;
	bool recursive;
	FILE *list;		      /* read after the words; the caller's. NULL: none */
	int end;		      /* of each path in it: '\n' or '\0' */
	const struct stat *leave_out; /* a folder that is not walked; NULL: none */
	FTS *walk;		      /* of the folder under way */
	char *place;		      /* of the list: getdelim's */
	size_t room;
};

struct found {
	char *path;   /* free() it; NULL: none, see code */
	bool walked;  /* in a folder */
	size_t below; /* where in the path the part below that folder begins */
	off_t size;   /* of one that was walked */
	size_t index; /* many_file's */
	bool other;   /* a link or a special file in a folder: left alone */
	int code;     /* CMEK_EXIT_OK, or that of a folder that can't be read, which was reported */
};

/* The words are the arguments'; a single "-" is standard input, a list whose paths end in NUL.
 * `recursive`: folders are walked, else reported. */
void source_begin(struct source *source, const struct arguments *arguments, bool recursive);
/* False: there are no more. */
bool source_next(struct source *source, struct found *ret_found);
void source_end(struct source *source);
