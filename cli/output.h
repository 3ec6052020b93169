/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output file that appears only whole: it is written without a name (O_TMPFILE) where the file
 * system can, else under a temporary one, synced, and then put in its place. An existing file is
 * replaced only with `force`, and hands on its permissions (base/access.h); a link stays a link.
 * Standard output, devices and pipes are written to directly. The input is never written to.
 */
#pragma once

#include "base/bytes.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct output {
	const char *name; /* for messages */
	int fd;
	bool direct;	 /* written to directly: there is no file to put in place */
	char *target;	 /* where it will be */
	char *folder;	 /* of the target */
	char *temporary; /* its name until then; NULL: it has none */
	bool force;	 /* an existing file may be replaced */
	bool replaces;
	bool among_many;      /* written by one thread of many, which many.h interrupts */
	int like;	      /* the input */
	mode_t mode;	      /* of a new file */
	off_t written, begun; /* bytes; those that the disk has been told to write */
};

/* "-" and "/dev/stdout" are standard output. */
bool output_is_standard(const char *name);
/* Looks where the output would go, and refuses what must not be written to: a folder; the input
 * (also by another name, and as standard output); a mount point; what another user has put into a
 * folder like /tmp; a file or a disk that exists, unless `force`. A new file gets the permissions
 * of the input if that is a file (less the umask, and nothing for others where it has an ACL), else
 * 0600, for it may be secret. Changes nothing. Reports; an exit code. */
int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force);
/* The same for one of many outputs: in the folder that is open as `folder`, by its last name there.
 * What is there must be a file, no link; `called` names it in messages. */
int output_choose_in(struct output *output, const char *called, int folder, const char *leaf,
		     int in, bool force);
/* Reads the umask, which is done by changing it: before there are threads. */
void output_prepare(void);
/* Opens what was chosen. Reports; an exit code. */
int output_open(struct output *output);
/* Writes all bytes; false: errno. The disk begins at once with a large file, not when that is
 * synced. */
bool output_write(struct output *output, struct bytes bytes);
/* Makes it appear; a file that has appeared meanwhile is replaced only with `force`. Whether its
 * name outlasts a crash is, of one of many, for output_finish_folder() to see to. Reports. */
int output_finish(struct output *output);
/* The folder in which the last of many outputs appeared. */
struct output_folder {
	pthread_mutex_t lock;
	int fd; /* -1: none, or one that can't be read */
	dev_t device;
	ino_t inode;
};
#define OUTPUT_FOLDER_NONE                                                                         \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1                                        \
	}
/* After an output has appeared: syncs the folder of those before it, unless it is the same one, so
 * that a folder of many files is synced once and not for each. NULL: there is none to come.
 * Reports. Thread-safe. */
int output_finish_folder(struct output_folder *last, const struct output *output);
/* Removes what was not finished. Accepts OUTPUT_NONE. */
void output_clear(struct output *output);
#define OUTPUT_NONE                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}
