/* Files: whole reads with a limit, whole writes that appear at once, and advisory locks. Errors
 * leave errno set. */
#pragma once

#include "base/buffer.h"

/* Appends the whole file; a file over `limit` bytes fails with EOVERFLOW, a pipe with ESPIPE:
 * nobody waits for who may write into it. */
bool file_read(const char *path, size_t limit, struct buffer *out);
/* Whether so many more files can be opened; else errno (EMFILE, ENFILE). For failures of libraries
 * that do not say so. */
bool file_can_open(unsigned count);
/* For files that others read for us. */
bool file_is_pipe(const char *path);
/* Temporary file in the same folder, fsync, rename, fsync of the folder. The file appears whole
 * with `mode`, or not at all. */
bool file_replace(const char *path, struct bytes contents, unsigned mode);
/* Writes all bytes, past interruptions and short writes. */
bool file_write_all(int fd, struct bytes bytes);
/* Whether something can be appended to the file, which need not be there yet and is not made. */
bool file_may_append(const char *path);
/* Makes the folder and its parents (mode 0700). */
bool file_make_folders(const char *path);
/* "dir/name": free() it. */
char *path_join(const char *folder, const char *name);
/* The folder part of a path ("." if none): free() it. */
char *path_folder(const char *path);
/* "folder/.cmek-XXXXXXXXXXXXXXXX", a random name: free() it. */
char *path_temporary(const char *folder);
/* fsync of a folder, so that a new name in it outlasts a crash. */
bool file_sync_folder(const char *folder);

/* flock() on a file of its own, made when missing (0600, CLOEXEC). Returns a descriptor, -1 on
 * failure (errno). */
int file_lock(const char *path, bool exclusive);
/* Closes a descriptor by its variable, for AUTO; accepts -1. */
void file_closep(int *fd);
