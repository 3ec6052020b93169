/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's outputs (library/output.h): what goes wrong is reported with what to do by the tool's
 * options, and a temporary name does not outlive an interruption. Standard output is one, too. */
#pragma once

#include "library/output.h"

#include <pthread.h>

/* "-" and "/dev/stdout" are standard output. */
bool output_is_standard(const char *name);
/* Looks where the output would go, and refuses what must not be written to: a folder; the input
 * (also by another name, and as standard output); a mount point; what another user has put into a
 * folder like /tmp; a file or a disk that exists, unless `force`. A new file's mode is without the
 * umask. Changes nothing. Reports; an exit code. */
int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force);
/* The same for one of many outputs: in the folder that is open as `folder`, by its last name there.
 * What is there must be a file, no link; `called` names it in messages. */
int output_choose_in(struct output *output, const char *called, int folder, const char *leaf,
		     int in, bool force);
/* Reads the umask, which is done by changing it: before there are threads. */
void output_prepare(void);
/* Opens what was chosen. Reports; an exit code. */
int output_open(struct output *output);
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
