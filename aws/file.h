/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one of AWS's shared files (its structs are in profile.h). */
#pragma once

#include "aws/profile.h"

/* Expands "~/" of the path. A missing file has no lines. `given`: the file was named explicitly; if
 * it can't be opened, that is KMS_MISCONFIGURED. A default file in a home folder that we may not
 * read is not an error. */
enum kms_status aws_file_read(struct aws_file *file, const char *path, bool given, const char *home,
			      struct kms_report *report);
void aws_file_clear(struct aws_file *file);
/* A section is named as in its header; of those of the config file that have a kind, [profile
 * NAME], [sso-session NAME] and [services NAME], by the kind and by the name without the quotes
 * that may be around it; `kind` NULL: of one that has none. */
bool aws_file_has(const struct aws_file *file, const char *kind, const char *name);
/* The last value of a key in a section; NULL: not there. */
const char *aws_file_find(const struct aws_file *file, const char *kind, const char *name,
			  const char *key);

/* A path with "~/" at its beginning replaced by the home folder: `home` if given, else that of the
 * system's user list; appended, text. False: no home, or no memory (out->failed). */
bool aws_path_expand(const char *path, const char *home, struct buffer *out);
