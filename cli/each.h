/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same for each of several databases, which the arguments name (cli/selection.h): a row each, a
 * progress line on a terminal. Each is a step of its own, so that what was done stays done, and one
 * that fails does not stop the others.
 */
#pragma once

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/token.h"

struct each {
	/* Set by the command; all else is zero. */
	int (*step)(struct each *each, CK_OBJECT_HANDLE zone); /* prints a row; not OK: ends all */
	const char *doing;   /* for the progress line: "rotating databases" */
	const char *nothing; /* where none is selected: "no database to rotate" */
	/* While it runs, and afterwards. */
	const struct token *token; /* NULL afterwards */
	struct printer printer;
	bool dry_run, single; /* single: one database was named */
	size_t count, failed;
	int code;	  /* of the first failure */
	json_t *failures; /* of the step under way, for --json; NULL: none yet */
};

/* Reports; not OK: it could not be done, or not be printed. What became of the steps is in `each`.
 */
int each_run(const struct arguments *arguments, struct each *each);
/* Counts a failure of a step, which was reported: by fail(), last of all. */
void each_failed(struct each *each, int code);
/* At the end of a step's row, for --json alone: "failures", what fail() said of each (cli/said.h).
 */
void each_print_failures(struct each *each);
