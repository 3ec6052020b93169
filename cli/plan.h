/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file becomes which, where `encrypt` and `decrypt` are given many: settled for all of them
 * before anything is written, so that no two have one output and no output is another's input.
 */
#pragma once

#include "cli/folder.h"
#include "cli/many.h"
#include "cli/source.h"

struct plan_options {
	const char *suffix; /* of an envelope's name */
	const char *folder; /* where outputs go; NULL: each beside its input */
	bool encrypts;	    /* the suffix is added; else taken away */
	bool recursive;
};

struct plan_file {
	char *path, *target; /* owned */
	size_t below, target_below;
	bool walked;
	bool keeps_name; /* its name has no suffix to be taken away */
};

struct plan {
	struct plan_file *files; /* owned */
	size_t count, room;
	size_t next;	     /* the first that no thread has taken */
	uint64_t bytes;	     /* of all of them, as far as it is known */
	uint64_t others;     /* links and special files in folders */
	uint64_t left_alone; /* by their names */
	uint64_t plain;	     /* in folders, where envelopes are looked for */
};

static inline struct place plan_input(const struct plan_file *file)
{
	return (struct place){file->path, file->below};
}

static inline struct place plan_output(const struct plan_file *file)
{
	return (struct place){file->target, file->target_below};
}

/* Reads the arguments' words and the list (NULL: none), whose paths end in `end`. Files that can't
 * be planned are reported and counted as failures of `many`; a plan that would have two files in
 * one place is refused as a whole. Reports; an exit code. */
int plan_make(struct plan *plan, const struct plan_options *options, struct many *many, FILE *list,
	      int end);
void plan_clear(struct plan *plan); /* for AUTO */
