/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output file that appears only whole: it is written without a name (O_TMPFILE) where the file
 * system can, else under a temporary one, synced, and then put in its place. An existing file is
 * replaced only with `force`, and hands on its permissions (base/access.h); a link stays a link.
 * Standard output, devices and pipes are written to directly. The input is never written to.
 */
#pragma once

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
	int like;    /* the input */
	mode_t mode; /* of a new file */
};

/* "-" and "/dev/stdout" are standard output. */
bool output_is_standard(const char *name);
/* Looks where the output would go, and refuses what must not be written to: a folder; the input
 * (also by another name, and as standard output); a mount point; what another user has put into a
 * folder like /tmp; a file or a disk that exists, unless `force`. A new file gets the permissions
 * of the input if that is a file (less the umask, and nothing for others where it has an ACL), else
 * 0600, for it may be secret. Changes nothing. Reports; an exit code. */
int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force);
/* Opens what was chosen. Reports; an exit code. */
int output_open(struct output *output);
/* Makes it appear; a file that has appeared meanwhile is replaced only with `force`. Reports. */
int output_finish(struct output *output);
/* Removes what was not finished. Accepts OUTPUT_NONE. */
void output_clear(struct output *output);
#define OUTPUT_NONE                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}
