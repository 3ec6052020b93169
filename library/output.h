/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output file that appears only whole: it is written without a name (O_TMPFILE) where the file
 * system can, else under a temporary one, synced, and then put in its place. An existing file is
 * replaced only with `force`, and hands on its permissions (base/access.h); a link stays a link.
 * Devices and pipes are written to directly. The input is never written to. What goes wrong is told
 * by libcmek in library/file.c, by the tool in cli/output.c, which adds what people can do there.
 */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum output_fault {
	OUTPUT_FINE,
	OUTPUT_SYSTEM,	 /* errno: it can't be written */
	OUTPUT_EXISTS,	 /* a file or a disk would lose its contents */
	OUTPUT_IS_INPUT, /* also by another name */
	OUTPUT_IS_FOLDER,
	OUTPUT_IS_SPECIAL,  /* no file where only files may be */
	OUTPUT_IS_MOUNTED,  /* a mount point, which nothing can replace */
	OUTPUT_IS_LINK,	    /* where no link is followed */
	OUTPUT_IS_DANGLING, /* errno: a link to what can't be reached */
	OUTPUT_IS_PLANTED,  /* another user's, in a folder where everybody may put files */
	OUTPUT_UNSYNCED,    /* errno: it is written, but its name may not outlast a crash */
};

/* What happened, as words that follow its name and a colon. `error` is errno, where the fault has
 * one. Not for OUTPUT_FINE and OUTPUT_SYSTEM. */
void library_output_text(enum output_fault fault, int error, char *out, size_t room);

struct output {
	/* Set before it is chosen; all else is OUTPUT_NONE. */
	const char *name;		      /* for messages; of a path also what is opened */
	bool force;			      /* an existing file may be replaced */
	bool only_files;		      /* nothing is written to directly */
	mode_t mask;			      /* what a new file does not get of the input's mode */
	void (*guard)(const char *temporary); /* told of the name that it has aside, and then of
						 NULL; NULL: nobody is */
	/* Of the output. */
	int fd;
	bool is_borrowed; /* the descriptor is the caller's */
	bool direct;	  /* written to directly: there is no file to put in place */
	bool among_many;  /* its folder is synced by the caller */
	char *target;	  /* owned: where it will be */
	char *folder;	  /* owned: of the target */
	char *temporary;  /* owned: its name until then; NULL: it has none */
	bool replaces;
	int like;	      /* the input; -1: none */
	mode_t mode;	      /* of a new file */
	off_t written, begun; /* bytes; those that the disk has been told to write */
};
#define OUTPUT_NONE                                                                                \
	{                                                                                          \
		.fd = -1, .like = -1                                                               \
	}

/* Looks where the output `name` would go, and refuses what must not be written to. A new file gets
 * the permissions of the input if that is a file (less the mask, and nothing for others where it
 * has an ACL), else 0600, for it may be secret. Changes nothing. */
enum output_fault library_output_choose(struct output *output, int in);
/* The same for one of many outputs: in the folder that is open as `folder`, by its last name there.
 * What is there must be a file, no link. */
enum output_fault library_output_choose_in(struct output *output, int folder, const char *leaf,
					   int in);
/* Whether what is open as `in` is where writing would change it before it is read. */
bool library_output_is_input(const struct stat *out, int in);
/* Opens what was chosen, if it is not open yet. OUTPUT_SYSTEM. */
enum output_fault library_output_open(struct output *output);
/* Writes all bytes; false: errno. The disk begins at once with a large file, not when that is
 * synced. */
bool library_output_write(struct output *output, struct bytes bytes);
/* Makes it appear; a file that has appeared meanwhile is replaced only with `force`. Of one of many
 * the folder is not synced. OUTPUT_SYSTEM, _EXISTS, _IS_MOUNTED, _UNSYNCED. */
enum output_fault library_output_finish(struct output *output);
/* Removes what was not finished. Accepts OUTPUT_NONE. */
void library_output_clear(struct output *output);
