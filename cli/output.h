/*
 * An output file that appears only whole: it is written without a name (O_TMPFILE) where the file
 * system can, else under a temporary one, synced, and then put in its place. A file that is there
 * already is replaced and hands on what it allows (base/access.h); a link stays a link.
 * Standard output, devices and pipes are written to as they are.
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
	bool replaces;
	mode_t mode; /* of a new one */
};

/* "-": standard output. A new file gets the permissions of `like` (less the umask, and nothing for
 * others where that has an ACL) if that is a file, else 0600, for it may be secret. Reports; an
 * exit code. */
int output_open(struct output *output, const char *name, int like);
/* Makes it appear. Reports. */
int output_finish(struct output *output);
/* Leaves nothing behind of what was not finished. Accepts OUTPUT_NONE. */
void output_clear(struct output *output);
#define OUTPUT_NONE                                                                                \
	{                                                                                          \
		.fd = -1                                                                           \
	}
