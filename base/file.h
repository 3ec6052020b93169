/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads with a limit, and whole writes that appear at once. Errors leave errno set. */
#pragma once

#include "base/buffer.h"

#include <dirent.h>

/* Appends the whole file; a file over `limit` bytes fails with EOVERFLOW, a pipe with ESPIPE, since
 * its writer may never come. */
bool file_read(const char *path, size_t limit, struct buffer *out);
/* Whether `count` more files can be opened; else errno (EMFILE, ENFILE). For failures of libraries
 * that do not tell this reason. */
bool file_can_open(unsigned count);
/* For files that libraries read for us. */
bool file_is_pipe(const char *path);
/* Writes aside (base/aside.h), syncs, renames, syncs the folder: the file appears whole, or not at
 * all. A file that is there already hands on its owner, group, mode, ACL and attributes
 * (base/access.h); if its owner can't be kept, the file stays as it is (EPERM). A new file has
 * `mode` and, if made by root, the folder's owner; a file that was open to all stays so, even if
 * `mode` is not. A link stays a link, to the new contents; a dangling one fails with ENOENT. */
bool file_replace(const char *path, struct bytes contents, unsigned mode);
/* Gives it another name in the same file system, unless that is taken (EEXIST). EOPNOTSUPP: the
 * file system can't, neither at once nor by a second name for a moment. */
bool file_rename_new(const char *from, const char *to);
/* For a file that is whole: the same, and where the file system can't, an empty file takes the name
 * first. With `replace` it takes the place of what has that name. */
bool file_place(const char *from, const char *to, bool replace);
/* Makes an empty file where there is none (else EEXIST), all at once, with the permissions of
 * `like` (a path, or NULL); where that is missing too, with 0600 and, if made by root, the folder's
 * owner. EACCES: the file would shut out the owner of `like`, to whom it can't be given, and there
 * is no group that shares both files. */
bool file_make(const char *path, const char *like);
/* Opens a file to append to, without waiting for a pipe's reader; makes it as file_make does. */
int file_open_append(const char *path);
/* Writes all bytes, through interruptions and short writes. */
bool file_write_all(int fd, struct bytes bytes);
/* Whether the file can be appended to. It need not exist, and is not made. */
bool file_may_append(const char *path);
/* Makes the folder and its parents (mode 0700; each one that root makes is given to the owner of
 * the folder above it). */
bool file_make_folders(const char *path);
/* "dir/name": free() it. */
char *path_join(const char *folder, const char *name);
/* The folder part of a path ("." if none): free() it. */
char *path_folder(const char *path);
/* The file that a path means, once links are followed; the path itself where nothing is. NULL:
 * ENOENT if it is a dangling link. free() it. */
char *path_target(const char *path);
/* fsync of the folder of `path`, so that a name that is new or gone outlasts a crash. One that we
 * may write but not read can't be opened for this, and some file systems can't sync any: those are
 * left as they are. Allocates nothing: what is in its place is not said to have failed for want of
 * memory. */
bool file_sync_name(const char *path);
/* The two halves of it, for whoever has many names in one folder; -1: errno. */
enum { FILE_NO_FOLDER = -2 };
int file_open_folder(const char *folder);
bool file_sync_folder(int fd); /* a negative one is none, and nothing is done */

/* Closes a descriptor by its variable, for AUTO; accepts -1. */
void file_closep(int *fd);
/* The same of a folder that is read; accepts NULL. */
void dir_closep(DIR **dir);
