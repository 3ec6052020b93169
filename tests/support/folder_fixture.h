/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for one test, removed at its end, and what tests of permissions share. */
#pragma once

#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static int folder_begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/cmek-test-XXXXXX");
	return mkdtemp(folder) == NULL || chmod(folder, 0755) != 0 ? -1 : 0;
}

static int folder_end(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* Kept here too: valgrind says of a child, which ends in the middle of a test, that it leaks what
 * only its parent goes on to free. */
static inline char *in_folder(const char *name)
{
	static char *volatile kept[64];
	static unsigned count;
	char *path = path_join(folder, name);

	assert_non_null(path);
	kept[count++ % COUNT_OF(kept)] = path;
	return path;
}

static inline unsigned mode_of(const char *path)
{
	struct stat found;

	assert_int_equal(stat(path, &found), 0);
	return found.st_mode & 07777;
}

/* The exit code that `run` gives in a child. */
static inline int in_child(int (*run)(const char *path), const char *path)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(run(path));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* For such a child: it is user and group 65534 from here on, and of no other group. */
static inline void become_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
		_exit(99);
}

#define SKIP_UNLESS_ROOT()                                                                         \
	do {                                                                                       \
		if (geteuid() != 0) {                                                              \
			print_message("# reason: it takes root to be two users\n");                \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, folder_begin, folder_end)
