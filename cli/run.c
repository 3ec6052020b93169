/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the command in the table, parses its arguments, runs it. */
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/defaults.h"
#include "cli/suggest.h"
#include "cli/token.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdio.h>
#include <string.h>

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(command_at(i)->noun, word) == 0)
			return true;
	return false;
}

static const struct command *find_command(int count, char **words, int *ret_used)
{
	for (size_t i = 0; count > 0 && i < command_count(); i++) {
		bool alone = command_at(i)->verb == NULL;

		if (strcmp(command_at(i)->noun, words[0]) != 0)
			continue;
		if (alone || (count > 1 && strcmp(command_at(i)->verb, words[1]) == 0)) {
			*ret_used = alone ? 1 : 2;
			return command_at(i);
		}
	}
	return NULL;
}

static int list_verbs(const char *noun)
{
	printf("usage: cmek %s VERB ...\n\n", noun);
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(command_at(i)->noun, noun) == 0)
			printf("  cmek %s %-10s %s\n", noun, command_at(i)->verb,
			       command_at(i)->summary);
	return CMEK_EXIT_OK;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* --- Words that are no command */

static const char *near_noun(const char *word)
{
	struct suggestion best = {0};

	suggest(&best, word, "help");
	for (size_t i = 0; i < command_count(); i++)
		suggest(&best, word, command_at(i)->noun);
	return best.word;
}

static const char *near_verb(const char *noun, const char *word)
{
	struct suggestion best = {0};

	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(command_at(i)->noun, noun) == 0)
			suggest(&best, word, command_at(i)->verb);
	return best.word;
}

static int no_verb(const char *noun, const char *word)
{
	const char *near = near_verb(noun, word);

	if (near == NULL)
		return fail(CMEK_EXIT_USAGE, "no such command: %s %s; see cmek %s --help", noun,
			    word, noun);
	return fail(CMEK_EXIT_USAGE, "no such command: %s %s; did you mean cmek %s %s?", noun, word,
		    noun, near);
}

static int no_noun(const char *word)
{
	const char *near = near_noun(word);

	if (*word == '-')
		return fail(CMEK_EXIT_USAGE,
			    "no such command: %s; options come after the command: cmek COMMAND %s",
			    word, word);
	if (near == NULL)
		return fail(CMEK_EXIT_USAGE, "no such command: %s; see cmek --help", word);
	return fail(CMEK_EXIT_USAGE, "no such command: %s; did you mean cmek %s?", word, near);
}

static int unknown_words(int count, char **words)
{
	if (!is_noun(words[0]))
		return no_noun(words[0]);
	if (count > 1)
		return no_verb(words[0], words[1]);
	return fail(CMEK_EXIT_USAGE, "cmek %s needs a verb; see cmek %s --help", words[0],
		    words[0]);
}

/* --- Help */

/* `cmek help -h` asks for what `cmek help` gives. */
static int without_help(int count, char **words)
{
	while (count > 0 && (is_help(words[count - 1]) || strcmp(words[count - 1], "help") == 0))
		count--;
	return count;
}

/* `cmek help`, `cmek help database`, `cmek help database create`. */
static int help(int given, char **words)
{
	int count = without_help(given, words), used = 0;
	const struct command *command = find_command(count, words, &used);

	if (count == 0)
		help_all();
	else if (command != NULL)
		help_command(command);
	else if (count == 1 && is_noun(words[0]))
		return list_verbs(words[0]);
	else
		return unknown_words(count, words);
	return CMEK_EXIT_OK;
}

static int no_command(int count, char **words)
{
	if (count == 0)
		return fail(CMEK_EXIT_USAGE, "no command given; see cmek --help");
	if (is_help(words[0]))
		return help(0, NULL);
	if (strcmp(words[0], "help") == 0)
		return help(count - 1, words + 1);
	if (strcmp(words[0], "--version") == 0 || strcmp(words[0], "-V") == 0) {
		puts("cmek " CMEK_VERSION);
		return CMEK_EXIT_OK;
	}
	if (count > 1 && is_noun(words[0]) && is_help(words[1]))
		return list_verbs(words[0]);
	return unknown_words(count, words);
}

/* A program that asks for JSON reads no words, whatever is wrong with the others. */
static bool asks_for_json(int count, char **words)
{
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
		if (strcmp(words[i], "--json") == 0)
			return true;
	return false;
}

int run_words(int argc, char **argv)
{
	AUTO(defaults_clear) struct arguments arguments = {0};
	const struct command *command;
	int used = 0, code;

	fail_in_json = asks_for_json(argc, argv);
	command = find_command(argc - 1, argv + 1, &used);
	if (command == NULL)
		return no_command(argc - 1, argv + 1);
	code = arguments_parse(&arguments, command, argc - used, argv + used);
	if (code >= 0)
		return code;
	code = defaults_fill(&arguments);
	if (code == CMEK_EXIT_OK)
		code = command->run(&arguments);
	module_show_losses();
	return code;
}
