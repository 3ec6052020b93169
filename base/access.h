/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what with a file, handed on to another: to the one that takes its place, or that
 * belongs to it. What can't be kept leaves less than there was, and never more, to anybody but
 * whoever writes.
 */
#pragma once

#include <stdbool.h>

/* Gives the new file `fd`, which is ours and 0600, what the file at `path` has: its group, ACL,
 * extended attributes and mode, and last its owner. A group that can't be kept keeps what all
 * others may do as well; without an ACL that can't be kept, the file is its owner's alone. False
 * (errno): its owner can't be kept, all else is as described; or, ENOMEM, memory lacked to see it.
 */
bool access_hand_on(const char *path, int fd);
/* What root makes new belongs to whom its folder belongs: else a service whose store an
 * administrator begins could not use it. `fd`: a file or folder that has just been made. */
void access_of_folder(const char *folder, int fd);
/* The mode for the new file `fd` so that nobody can read it who can't read `like` (a descriptor);
 * 0600 where that is no file. */
unsigned access_like(int like, int fd);
