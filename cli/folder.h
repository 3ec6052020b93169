/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below a folder that was named, reached name by name so that no link below it is followed,
 * whoever puts one there meanwhile. All report; an exit code.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A path of which the part from `below` on is below a folder that was named ("" before it: the
 * working folder). */
struct place {
	const char *path;
	size_t below;
};

/* The name in the last folder. */
const char *place_leaf(const struct place *place);
/* Opens (O_PATH) the folder that the last name is in. *ret_fd is the caller's. */
int folder_open(const struct place *place, int *ret_fd);
/* The same, and makes what is missing of it below the named folder, each with the mode of the
 * folder that is as deep in `like` (less the umask; NULL: 0777). A folder of another user, in one
 * where everybody may put files, is refused. */
int folder_make(const struct place *place, const struct place *like, int *ret_fd);
