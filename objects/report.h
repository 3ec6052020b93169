/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a token's diagnostic object: what the module says of itself, then what zones/ has
 * found in the project's store, root keys and zones. */
#pragma once

#include "objects/object.h"

struct report;

struct report *report_new(void);
void report_free(struct report *report);

/* The lines about configuration and libraries that come first; copied. */
CK_RV report_describe(struct objects *objects, const char *text);
/* Makes a new report of a project (KMS). */
CK_RV report_make(struct objects *objects, const struct entry *project);
/* Appends the last report of this project, or the CMEK_ERROR_ numbers of its faults; makes it if
 * there is none. */
void report_get_faults(struct objects *objects, const struct entry *project, struct buffer *out);
void report_get(struct objects *objects, const struct entry *project, struct buffer *out);
