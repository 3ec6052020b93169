/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The list of groups of commands, in the order in which --help shows them, and the options that
 * every command takes or several do. */
#include "cli/commands.h"

#include "base/macros.h"

/* clang-format off */

const struct option_row common_options[] = {
	{ "json", NULL, "print JSON", false },
	{ "pin-file", "FILE", "the user's PIN, of a project with one (else CMEK_PIN)", false },
	{ "so-pin-file", "FILE", "log in as its security officer (else CMEK_SO_PIN)", false },
	{ "help", NULL, "this text", false },
	END,
};

const struct option_row no_options[] = { END };
const struct option_row project_only[] = { PROJECT, END };
const struct option_row list_options[] = { PROJECT, DELETED, END };
const struct option_row delete_options[] = { PROJECT, DRY_RUN, END };
const struct option_row undelete_options[] = {
	PROJECT,
	{ "label", "NEW", "under this name, where the old one is taken", false },
	ONE_OF,
	END,
};

/* clang-format on */

static const struct command_group *const groups[] = {
	&project_commands, &key_commands,      &cluster_commands,    &database_commands,
	&files_commands,   &tree_commands,     &policy_commands,     &backup_commands,
	&store_commands,   &maintain_commands, &completion_commands, &doctor_commands,
};

const struct command *command_at(size_t index)
{
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		if (index < groups[i]->count)
			return &groups[i]->commands[index];
		index -= groups[i]->count;
	}
	return NULL;
}

size_t command_count(void)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(groups); i++)
		count += groups[i]->count;
	return count;
}
