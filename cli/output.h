/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output file that appears only whole: it is written without a name (O_TMPFILE) where the file
 * system can, else under a temporary one, synced, and then put in its place. A file that is there
 * already is replaced only if that is asked for, and hands on what it allows (base/access.h); a
 * link stays a link. Standard output, devices and pipes are written to as they are. Never is the
 * input written to.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct output {
	const char *name; /* for messages */
	int fd;
	bool direct;	 /* no file of ours: nothing to put in place */
	char *target;	 /* where it will be */
	char *folder;	 /* of the target */
	char *temporary; /* its name until then; NULL: it has none */
	bool force;	 /* a file that is there may be replaced */
	bool replaces;
	int like;    /* the input */
	mode_t mode; /* of a new one */
};

/* "-" and "/dev/stdout" are standard output. */
bool output_is_standard(const char *name);
/* Looks where the output would go, and refuses what must not be written to: a folder, the input
 * (also by another name, and as standard output), a mount point; what another user has put into a
 * folder like /tmp; a file or a disk that is there, unless `force`. A new file gets the permissions
 * of the input (less the umask, and nothing for others where that has an ACL) if that is a file,
 * else 0600, for it may be secret. Changes nothing. Reports; an exit code. */
int output_choose(struct output *output, const char *name, int in, const char *in_name, bool force);
/* Opens what was chosen. Reports; an exit code. */
int output_open(struct output *output);
/* Makes it appear; not over a file that has come meanwhile, unless `force`. Reports. */
int output_finish(struct output *output);
/* Leaves nothing behind of what was not finished. Accepts OUTPUT_NONE. */
void output_clear(struct output *output);
#define OUTPUT_NONE                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}
