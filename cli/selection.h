/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The databases that a command is about: "CLUSTER/DB", "CLUSTER/", or --all of the project. */
#pragma once

#include "cli/cli.h"
#include "cli/token.h"

struct selection {
	CK_OBJECT_HANDLE *zones;
	size_t count;
	bool single; /* named by itself */
};
void selection_clear(struct selection *selection); /* for AUTO; accepts zeros */

/* Whether the command names either some or --all, before anything is opened. Reports; an exit code.
 */
int selection_check(const struct arguments *arguments);
/* Those that are active; with --older-than, if the command has that, without the younger. The same.
 */
int selection_find(const struct arguments *arguments, const struct token *token,
		   struct selection *selection);
