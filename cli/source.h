/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a command line names, one after the other: files, folders with all below them, or
 * a list on standard input. Links in folders are not followed. */
#pragma once

#include "cli/cli.h"

#include <fts.h>

struct source {
	char *const *words;
	size_t count, next;
	bool recursive, from_list;
	FTS *walk;   /* of the folder under way */
	char *place; /* of the list: getdelim's */
	size_t room;
};

struct found {
	char *path;  /* free() it; NULL: none, see code */
	bool walked; /* in a folder */
	bool other;  /* a link or a special file in a folder: left alone */
	int code;    /* CMEK_EXIT_OK, or that of a folder that can't be read, which was reported */
};

/* The words are the arguments'. `recursive`: folders are walked, else reported. */
void source_begin(struct source *source, const struct arguments *arguments, bool recursive);
/* False: there are no more. */
bool source_next(struct source *source, struct found *ret_found);
void source_end(struct source *source);
