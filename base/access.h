/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands the permissions of one file on to another: to the file that takes its place, or that
 * belongs to it. Where something can't be kept, nobody but the writer ends up with more rights than
 * before.
 */
#pragma once

#include <stdbool.h>

/* Gives the new file `fd`, which is ours and 0600, what the file at `path` has: its group, ACL,
 * extended attributes and mode, and last its owner. Where the group can't be kept, the file's own
 * group may do only what all others may do as well; where an ACL can't be kept, only the owner may
 * use the file. False (errno): the owner can't be kept, all else is as described; or ENOMEM: out of
 * memory. */
bool access_hand_on(const char *path, int fd);
/* The same from an open file, whatever bears its name by now. Needs /proc. */
bool access_hand_on_from(int like, int fd);
/* What root makes new is given to the owner of its folder: otherwise a service could not use the
 * store that an administrator has made for it. `fd`: a file or folder that has just been made. */
void access_of_folder(const char *folder, int fd);
/* The mode for the new file `fd` so that nobody can read it who can't read `like` (a descriptor);
 * 0600 where `like` is not a file. */
unsigned access_like(int like, int fd);
