/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* strerror() names most of them well; what to do stands in one table. */
#include "base/system_error.h"

#include "base/macros.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	int error;
	const char *text; /* NULL: the C library's */
	const char *remedy;
} rows[] = {
	/* clang-format off */
	{ ENOENT,       NULL, "look at the path" },
	{ EEXIST,       NULL, "look at what has its name" },
	{ ENOTDIR,      NULL, "look at the path" },
	{ EISDIR,       NULL, "look at the path" },
	{ ENAMETOOLONG, NULL, "choose a shorter name" },
	{ ELOOP,        NULL, "look where the links of the path lead" },
	{ EACCES,       NULL, "look at the owner and mode of the file and its folders" },
	{ EPERM,        NULL, "look at the owner and mode of the file and its folders" },
	{ EROFS,        NULL, "choose a place that can be written" },
	{ ENOSPC,       NULL, "make room, or choose another place" },
	{ EDQUOT,       NULL, "make room, or choose another place" },
	{ EFBIG,        NULL, "raise the limit on file sizes, or choose another place" },
	{ EMFILE,       NULL, "raise the limit on open files (ulimit -n), or close some" },
	{ ENFILE,       NULL, "raise the system's limit on open files (fs.file-max)" },
	{ ENOMEM,       NULL, "give the program more memory" },
	{ EIO,          NULL, "look at the disk" },
	{ ESTALE,       NULL, "look at the file server" },
	{ EBADF,        NULL, "the stream is closed: give it, or name a file" },
	{ EPIPE,        NULL, "its reader has gone away" },
	{ ENXIO,        NULL, "name a file, a device or a pipe that somebody reads" },
	{ EOVERFLOW,    "It is larger than such a file can be", "look whether it is the right one" },
	{ ESPIPE,       "It is a pipe", "name a file instead" },
	/* clang-format on */
};

const char *system_error_text(int error)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].error == error && rows[i].text != NULL)
			return rows[i].text;
	return strerror(error);
}

const char *system_error_making(int error)
{
	return error == ENOENT ? "Its folder does not exist" : system_error_text(error);
}

const char *system_error_remedy(int error)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].error == error)
			return rows[i].remedy;
	return "see the system's log";
}
