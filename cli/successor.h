/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that takes another's place, or a new name, only when it is whole, synced and has been read
 * back. Unlike an output (library/output.h) it has a name from the beginning, by which it is read
 * back, and all that the file has which it was made of, or is refused. What a killed process leaves
 * is nobody else's to read, and is taken over by the next process (base/aside.h). All of these
 * report; an exit code.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

struct successor {
	const char *target; /* the caller's */
	char *temporary;    /* its name until it is in place */
	int fd;
};
#define SUCCESSOR_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}

int successor_open(struct successor *successor, const char *target);
/* Hands on what the open file `like` has, whatever bears its name `called` by now: owner, group,
 * mode, ACL, attributes, and, with `times`, its times. Then it is on the disk. */
int successor_settle(struct successor *successor, int like, const char *called,
		     const struct stat *times);
/* A descriptor for reading back what is on the disk; *ret_fd is the caller's. */
int successor_reopen(const struct successor *successor, int *ret_fd);
/* Takes the target's name, which is free unless `replaces`. */
int successor_place(struct successor *successor, bool replaces);
/* Removes what is not in place; for AUTO. */
void successor_clear(struct successor *successor);
