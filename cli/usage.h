/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on a root key, cluster or database, as the module tells it (CKA_CMEK_USAGE). */
#pragma once

#include "cli/token.h"

#include <jansson.h>

/* NULL: it could not be told. json_decref() it. */
json_t *usage_of(const struct token *token, CK_OBJECT_HANDLE object);
/* "2 databases, 3 key versions, 1 cluster, 4 token keys"; "nothing". free() it. */
char *usage_summary(const json_t *usage);
/* A line for each database, version and cluster; `version`: of a database, only that one; 0: all.
 */
void usage_print(const json_t *usage, CK_ULONG version);
/* The same of those that have imported a database's key, and lose that with it. */
void usage_print_copies(const json_t *usage);
void usage_print_all(const json_t *usage);
/* Nothing stands on it, not even what awaits deletion. */
bool usage_is_none(const json_t *usage);
/* "1 primary, 2 retired": the versions of a database, for `cmek tree`. free() it. */
char *usage_versions(const json_t *usage);

/* When the KMS saw a root key used last, in words: a date, "never …", or why it is not told. free()
 * it. KMS. */
char *root_key_last_used(const struct token *token, CK_OBJECT_HANDLE key);
