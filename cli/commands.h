/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of commands: a group's stands in commands_GROUP.c, or at the end of the file of a noun
 * that stands alone, and commands.c has the one list of groups. Parsing, --help, the list of
 * commands and completion all read them. What rows share stands here.
 */
#pragma once

#include "cli/cli.h"

struct command_group {
	const struct command *commands;
	size_t count;
};

extern const struct command_group project_commands;
extern const struct command_group key_commands;
extern const struct command_group cluster_commands;
extern const struct command_group database_commands;
extern const struct command_group files_commands;
extern const struct command_group tree_commands;
extern const struct command_group policy_commands;
extern const struct command_group backup_commands;
extern const struct command_group store_commands;
extern const struct command_group maintain_commands;
extern const struct command_group completion_commands;
extern const struct command_group doctor_commands;

/* Each ends in a row without a name. */
extern const struct option_row no_options[], project_only[], list_options[], delete_options[],
	undelete_options[];

/* clang-format off */

#define PROJECT { "project", "P", "the project (default: CMEK_PROJECT, [cli] project, or the only one)", false, 0, true }
#define ANY_PROJECT { "project", "P", "only this project", false }
#define BY_PROJECT { "project", "P", "as this project's security officer, if a project of the store has a PIN", false }
#define END { NULL, NULL, NULL, false }
#define DRY_RUN { "dry-run", NULL, "say what would be done, and change nothing", false }
#define DELETED { "deleted", NULL, "those that await deletion, and until when they can come back", false }
#define ONE_OF { "id", "ID", "which one, if several of that name await deletion: its id, of a database its zone", false }
#define FORCE { "force", NULL, "replace OUT if it is there", false }

/* clang-format on */
