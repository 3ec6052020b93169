/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: projects. */
#include "base/macros.h"
#include "cli/commands.h"

/* clang-format off */

static const struct command rows[] = {
	{ "project", "create", "NAME", "make a project: a token with its own root keys",
	  "A project is a PKCS #11 token. Root keys belong to it, at most 20, and nothing is shared\n"
	  "between projects. NAME is 1 to 32 bytes.\n\n"
	  "  cmek project create payments\n",
	  no_options, project_create },
	{ "project", "list", "", "the projects of the store",
	  "Name and slot number of each project.\n",
	  no_options, project_list },
	{ "project", "show", "NAME", "one project",
	  "The token's details and how much it holds.\n",
	  no_options, project_show },
	{ "project", "restore", "NAME", "bring back the project whose slot NAME has taken",
	  "C_InitToken on a project (`pkcs11-tool --init-token`) does not erase it: the new project, NAME,\n"
	  "takes its slot, and keeps it whole, at least for the deletion window (deletion_window_days). This\n"
	  "brings the old one back, in a slot of its own; NAME stays.\n",
	  no_options, project_restore },
};

/* clang-format on */

const struct command_group project_commands = {rows, COUNT_OF(rows)};
