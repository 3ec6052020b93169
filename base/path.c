/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One rule for every path that is given to us in writing. */
#include "base/path.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/name.h"

#include <stdlib.h>
#include <string.h>

static const char home_mark[] = "~/";

static bool is_in_home(const char *written)
{
	return strncmp(written, home_mark, strlen(home_mark)) == 0;
}

/* NULL: no folder that a path could begin with. A program with rights of its own (setuid) has none.
 */
static const char *home_folder(void)
{
	const char *home = secure_getenv("HOME");

	return home != NULL && *home == '/' ? home : NULL;
}

static bool has_unseen(const char *text)
{
	while (*text != '\0' && text_unseen(text) == 0)
		text++;
	return *text != '\0';
}

const char *path_fault(const char *written)
{
	if (strpbrk(written, "\"'`") != NULL)
		return "the path alone, without quotes";
	if (ini_has_comment(written))
		return "the path alone: a comment has a line of its own";
	if (strchr(written, '$') != NULL)
		return "a path without '$': no variables are read here; ~/ is the home folder";
	if (strchr(written, '%') != NULL)
		return "a path without '%': nothing is put in its place; ~/ is the home folder";
	if (has_unseen(written))
		return "one line without characters that nobody sees";
	if (is_in_home(written))
		return home_folder() != NULL
			       ? NULL
			       : "an absolute path: HOME, for which ~/ stands, is not "
				 "set to one";
	return *written == '/' ? NULL : "an absolute path, or one that begins with ~/";
}

char *path_expand(const char *written)
{
	const char *home = is_in_home(written) ? home_folder() : NULL;

	return home == NULL ? strdup(written) : path_join(home, written + strlen(home_mark));
}
