/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What list and show of keys, clusters and databases have in common: for each kind, a function that
 * prints a row. */
#pragma once

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/token.h"

typedef void object_fields(struct printer *printer, const struct token *token,
			   CK_OBJECT_HANDLE object);

int objects_list(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields);
int objects_show(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields);
/* Asks the KMS for a root key's state, in a word: "active", "disabled", "access denied" …; unless
 * it is active, module_last_error() has the reason, and CKA_CMEK_DELETION_DATE the date. */
const char *root_key_state(const struct token *token, CK_OBJECT_HANDLE key);
/* Prints one object that was just made. */
int objects_report(const struct arguments *arguments, const struct token *token,
		   CK_OBJECT_HANDLE object, object_fields *fields);
