/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of a database's key, shown and counted. */
#pragma once

#include "cli/print.h"
#include "cli/token.h"

/* All that is shown of one database (cli/database.c). */
void database_fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone);
/* The versions as a table. An exit code. */
int versions_print(const struct token *token, CK_OBJECT_HANDLE zone);
/* When the primary version was made: milliseconds since 1970; 0: not known. */
int64_t versions_primary_made(const struct token *token, CK_OBJECT_HANDLE zone);

/* What the store keeps under a zone, and the zone itself: CK_OBJECT_HANDLEs. Reports; an exit code.
 */
int versions_stored(const struct token *token, uint64_t zone, struct buffer *ret_handles);
/* The token keys of a zone that are wrapped by a version below `version`. The caller free()s their
 * labels, with commas between, of which there are a few at most. Reports; an exit code. */
int versions_stored_below(const struct token *token, uint64_t zone, uint64_t version,
			  size_t *ret_count, char **ret_labels);
