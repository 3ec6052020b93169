/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many files: where their paths come from, threads that take one at a time, what became of them,
 * progress on a terminal and one summary. A file that fails is reported, and the others go on. An
 * interruption (SIGINT, SIGTERM, SIGHUP) ends between two steps of a file, which then counts as not
 * begun; a second one at once.
 */
#pragma once

#include "cli/cli.h"
#include "cli/sessions.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

enum { MANY_KINDS_MAX = 8 };

struct many;
struct source;
struct found;

struct many_file {
	const char *path;
	bool walked;  /* found in a folder: a regular file; not named by anybody */
	size_t index; /* of what the command's own `next` gave */
};

/* What became of a file. */
struct many_outcome {
	unsigned kind;	    /* a row of many->kinds */
	bool quiet;	    /* not listed among the files of --json and --dry-run */
	bool stop;	    /* others would fail alike: no further file is begun */
	uint64_t bytes;	    /* of data, for the summary */
	uint32_t from, to;  /* versions of keys; 0: none to tell of */
	const char *target; /* what was written, for --json; NULL: nothing to tell of */
};

/* Does one file. Reports; an exit code. */
typedef int many_work(struct many *many, struct sessions *sessions, const struct many_file *file,
		      struct many_outcome *outcome);

struct many {
	/* Set by the command; all else is zero. */
	const struct arguments *arguments;
	const CK_FUNCTION_LIST *functions; /* NULL: without the module */
	const char *project;		   /* the only project that is looked at; NULL: all */
	const char *const *kinds;	   /* words for what can become of a file; NULL ends them */
	many_work *work;
	void *state;	   /* the command's */
	const char *again; /* what to do after an end before the end; NULL: run it again to go on */
	/* The next file, under the lock, where the command has a list of its own; NULL: those that
	 * the arguments name. False: there are no more. */
	bool (*next)(struct many *many, struct found *ret_found);
	uint64_t total_files, total_bytes; /* for the progress; 0: not known */
	unsigned threads;		   /* 0: as many as there are processors */
	bool recursive;			   /* folders are walked */
	bool silent;			   /* no summary: the command prints, and takes `files` */
	bool quiet;			   /* neither a summary in words nor a progress line */
	bool dry_run;			   /* what would be done is listed */
	/* While it runs, under the lock. */
	pthread_mutex_t lock;
	struct source *source;
	struct slots slots;
	uint64_t counts[MANY_KINDS_MAX], bytes, failed, others;
	int code; /* of all failures, if they have one in common */
	bool stop;
	json_t *files; /* for --json: rows, of a silent command those that failed alone */
	int64_t started_ms;
	atomic_llong progress;
};

/* Runs through all files that the arguments name: files, folders, or "-", a list on standard input
 * whose paths end in NUL. Prints the summary; the exit code: CMEK_EXIT_OK, what all failures have
 * in common, or CMEK_EXIT_FAILED. */
int many_run(struct many *many);
/* Counts a file that failed with this exit code, and lists it for --json with what fail() said
 * last: before the run, those that it will not see. `path` NULL: the failure says which. */
void many_note_failure(struct many *many, const char *path, int code);
/* How many files became what, and failed, for --json; json_decref() it. */
json_t *many_summary(const struct many *many);
/* Bytes of data were read: for the progress. False: interrupted, errno = ECANCELED, and no failure
 * of this file is reported any more by this thread (many_cancelled: by another). */
bool many_progress(struct many *many, size_t len);
void many_cancelled(void);
