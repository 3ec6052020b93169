/* A home for tests of AWS settings. */
#include "tests/aws_home.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[] = "/tmp/cmek-test-XXXXXX";

static void path_of(const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/.aws/%s", home, name);
}

bool aws_home_make(void)
{
	char path[64];

	if (mkdtemp(home) == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/.aws", home);
	aws_home_empty();
	return mkdir(path, 0700) == 0 && setenv("HOME", home, 1) == 0;
}

void aws_home_remove(void)
{
	char path[64];

	aws_home_empty();
	snprintf(path, sizeof(path), "%s/.aws", home);
	rmdir(path);
	rmdir(home);
}

void aws_home_write(const char *name, const char *text)
{
	char path[64];
	FILE *file;

	path_of(name, path, sizeof(path));
	unlink(path);
	if (text == NULL)
		return;
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
