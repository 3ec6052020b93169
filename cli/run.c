/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command in the table, parses its arguments, runs it. */
#include "cli/cli.h"
#include "cli/token.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdio.h>
#include <string.h>

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].noun, word) == 0)
			return true;
	return false;
}

static const struct command *find_command(int count, char **words, int *ret_used)
{
	for (size_t i = 0; count > 0 && i < command_count; i++) {
		bool alone = commands[i].verb == NULL;

		if (strcmp(commands[i].noun, words[0]) != 0)
			continue;
		if (alone || (count > 1 && strcmp(commands[i].verb, words[1]) == 0)) {
			*ret_used = alone ? 1 : 2;
			return &commands[i];
		}
	}
	return NULL;
}

static int list_verbs(const char *noun)
{
	printf("usage: cmek %s VERB …\n\n", noun);
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].noun, noun) == 0)
			printf("  cmek %s %-10s %s\n", noun, commands[i].verb, commands[i].summary);
	return CMEK_EXIT_OK;
}

static int no_command(int count, char **words)
{
	bool noun = count > 0 && is_noun(words[0]);

	if (count == 0)
		return fail(CMEK_EXIT_USAGE, "no command given; see cmek --help");
	if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0 ||
	    strcmp(words[0], "help") == 0) {
		help_all();
		return CMEK_EXIT_OK;
	}
	if (strcmp(words[0], "--version") == 0) {
		puts("cmek " CMEK_VERSION);
		return CMEK_EXIT_OK;
	}
	if (noun && count > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0))
		return list_verbs(words[0]);
	if (noun && count > 1)
		return fail(CMEK_EXIT_USAGE, "no such command: %s %s; see cmek %s --help", words[0],
			    words[1], words[0]);
	if (noun)
		return fail(CMEK_EXIT_USAGE, "cmek %s needs a verb; see cmek %s --help", words[0],
			    words[0]);
	return fail(CMEK_EXIT_USAGE, "no such command: %s; see cmek --help", words[0]);
}

int run_words(int argc, char **argv)
{
	struct arguments arguments = {0};
	const struct command *command;
	int used = 0, code;

	command = find_command(argc - 1, argv + 1, &used);
	if (command == NULL)
		return no_command(argc - 1, argv + 1);
	code = arguments_parse(&arguments, command, argc - used, argv + used);
	if (code >= 0)
		return code;
	code = command->run(&arguments);
	module_show_losses();
	return code;
}
