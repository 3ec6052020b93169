/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A home for tests of AWS settings. */
#include "tests/support/aws_home.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[] = "/tmp/cmek-test-XXXXXX";

static void path_of(const char *name, char ret_path[static AWS_HOME_PATH])
{
	snprintf(ret_path, AWS_HOME_PATH, "%s/.aws/%s", home, name);
}

/* Of a name in a folder, the folders too. */
static void make_folders(const char *path)
{
	char folder[AWS_HOME_PATH];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		mkdir(folder, 0700);
	}
}

bool aws_home_make(void)
{
	if (mkdtemp(home) == NULL)
		return false;
	aws_home_empty();
	return setenv("HOME", home, 1) == 0;
}

void aws_home_remove(void)
{
	char command[AWS_HOME_PATH];
	int status;

	snprintf(command, sizeof(command), "rm -r %s", home);
	status = system(command);
	assert(status == 0);
	(void)status;
}

void aws_home_path(const char *name, char ret_path[static AWS_HOME_PATH])
{
	path_of(name, ret_path);
}

void aws_home_write(const char *name, const char *text)
{
	char path[AWS_HOME_PATH];
	FILE *file;

	path_of(name, path);
	unlink(path);
	if (text == NULL)
		return;
	make_folders(path);
	file = fopen(path, "we");
	assert(file != NULL);
	fputs(text, file);
	fclose(file);
}

void aws_home_empty(void)
{
	for (char **variable = environ; *variable != NULL;) {
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*variable, "="), *variable);
		if (strncmp(name, "AWS_", 4) == 0)
			unsetenv(name);
		else
			variable++;
	}
	aws_home_write("config", NULL);
	aws_home_write("credentials", NULL);
}
