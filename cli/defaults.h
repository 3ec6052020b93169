/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The project and database of a command that needs one and was not given it: those of the
 * environment, of [cli] in the configuration, or the only ones that there are. */
#pragma once

#include "cli/cli.h"

/* Fills in the values that are missing. Reports; an exit code. */
int defaults_fill(struct arguments *arguments);
/* Where the value of --project or --database came from, for messages about it: " (set by
 * CMEK_DATABASE)", " (from [cli] database)"; "" where it was given, or is the only one. */
const char *defaults_origin(const char *option, const char *value);
void defaults_clear(struct arguments *arguments); /* frees what was found; for AUTO */
