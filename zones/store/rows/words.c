/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The words are those of SQLite's tables. */
#include "zones/store/rows/words.h"

const char *const rows_kind_words[] = {"project",   "root key", "cluster", "zone",
				       "token key", "archive",	NULL};
const char *const rows_state_words[] = {"active", "pending deletion", NULL};
const char *const rows_wrap_words[] = {"active", "unproven", "replaced", NULL};

const char *rows_kind(enum entry_kind kind)
{
	return rows_kind_words[kind];
}
