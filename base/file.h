/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Files: whole reads with a limit, and whole writes that appear at once. Errors leave errno set. */
#pragma once

#include "base/buffer.h"

/* Appends the whole file; a file over `limit` bytes fails with EOVERFLOW, a pipe with ESPIPE:
 * nobody waits for a writer that may come. */
bool file_read(const char *path, size_t limit, struct buffer *out);
/* Whether so many more files can be opened; else errno (EMFILE, ENFILE). For failures of libraries
 * that do not say so. */
bool file_can_open(unsigned count);
/* For files that others read for us. */
bool file_is_pipe(const char *path);
/* Writes aside (base/aside.h), syncs, renames, syncs the folder: the file appears whole, or not at
 * all. One that is there already hands on owner, group, mode, ACL and attributes (base/access.h);
 * if its owner can't be kept, it stays as it is (EPERM). A new one has `mode`, and made by root the
 * folder's owner; one that was open to all though `mode` is not has that as well. A link stays one,
 * to the new contents; one to nothing fails with ENOENT. */
bool file_replace(const char *path, struct bytes contents, unsigned mode);
/* Makes an empty file where there is none (EEXIST), all at once: with what `like` (a path, or NULL)
 * allows; where that is missing too, 0600 and, made by root, the folder's owner. EACCES: it would
 * shut out the owner of `like`, whose it can't be, nor that of a group that shares the two. */
bool file_make(const char *path, const char *like);
/* Opens a file to append to, which nobody waits for; makes it as file_make does. */
int file_open_append(const char *path);
/* Writes all bytes, past interruptions and short writes. */
bool file_write_all(int fd, struct bytes bytes);
/* Whether something can be appended to the file, which need not be there yet and is not made. */
bool file_may_append(const char *path);
/* Makes the folder and its parents (mode 0700; made by root, each belongs to whom the one above it
 * belongs). */
bool file_make_folders(const char *path);
/* "dir/name": free() it. */
char *path_join(const char *folder, const char *name);
/* The folder part of a path ("." if none): free() it. */
char *path_folder(const char *path);
/* The file that a path means, past links; the path itself where nothing is. NULL: ENOENT if it is a
 * link to nothing. free() it. */
char *path_target(const char *path);
/* fsync of a folder, so that a new name in it outlasts a crash. */
bool file_sync_folder(const char *folder);

/* Closes a descriptor by its variable, for AUTO; accepts -1. */
void file_closep(int *fd);
