/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What files.c reads for files_many.c. */
#pragma once

#include "cli/plan.h"

/* The options that both commands have. Reports; an exit code. */
int files_options(const struct arguments *arguments, bool encrypts, struct plan_options *options,
		  struct many *many);
/* The plan of what the words and the list name; then the folder for outputs, if there is one, is
 * made. Reports; an exit code. */
int files_plan(struct plan *plan, const struct plan_options *options, struct many *many);
