/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file beside another that is written first and then renamed to it. Its name is always the same
 * for the same file, so what a killed process left is taken over by the next one; a writer at
 * work holds flock() on it.
 */
#pragma once

#include <stdbool.h>

/* Opens an empty file, 0600, in the folder of `path`; *ret_name, which is the caller's, is where.
 * The name is a random one only where another process is at work on that of `path`, or left
 * something there that we can't remove. Close it by lock_release (base/lock.h). -1: errno. */
int aside_open(const char *path, char **ret_name);
/* Gives such a name to a file without one (O_TMPFILE). */
bool aside_link(int fd, const char *path, char **ret_name);
/* Gives it exactly that name, if it is free (EEXIST). */
bool file_link(int fd, const char *path);
/* The name still means this file. */
bool file_is_at(int fd, const char *path);
