/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The words that follow a command, by the rows of its options. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/pin.h"
#include "cli/suggest.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

const char *arguments_value(const struct arguments *arguments, const char *name)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (strcmp(options[i].name, name) == 0)
			return arguments->values[i];
	return NULL;
}

int arguments_seconds(const struct arguments *arguments, const char *name, uint64_t *ret_seconds)
{
	const char *text = arguments_value(arguments, name);

	if (text == NULL || decimal_decode(text, CMEK_LEASE_BOUND_MAX, ret_seconds))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "--%s is a number of seconds up to %lu (a year), not %s", name,
		    CMEK_LEASE_BOUND_MAX, text);
}

int arguments_days(const struct arguments *arguments, const char *name, uint64_t *ret_days)
{
	const char *text = arguments_value(arguments, name);

	if (text == NULL || decimal_decode(text, CMEK_ROTATE_DAYS_MAX, ret_days))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "--%s is a number of days up to %lu (a century), not %s", name,
		    CMEK_ROTATE_DAYS_MAX, text);
}

static int usage_error(const struct command *command, const char *what, const char *which)
{
	AUTO(freep) char *usage = NULL;
	size_t len;
	FILE *to = open_memstream(&usage, &len);

	if (to == NULL)
		return fail(CMEK_EXIT_USAGE, "%s%s", what, which);
	help_usage(to, command);
	fclose(to);
	return fail(CMEK_EXIT_USAGE, "%s%s; usage: %s", what, which, usage);
}

static const char *near_option(const struct command *command, const char *word)
{
	struct suggestion best = {0};

	for (const struct option_row *row = common_options; row->name != NULL; row++)
		suggest(&best, word, row->name);
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		suggest(&best, word, row->name);
	return best.word;
}

static const struct option_row *find_option(const struct command *command, const char *word)
{
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		if (strcmp(row->name, word) == 0)
			return row;
	return NULL;
}

/* A long option, with `=` and its value or without. */
static int long_option_error(const struct command *command, const char *given)
{
	AUTO(freep) char *word = strndup(given + 2, strcspn(given + 2, "="));
	const struct option_row *row = word == NULL ? NULL : find_option(command, word);
	const char *near = word == NULL ? NULL : near_option(command, word);

	if (row != NULL && row->value != NULL)
		return fail(CMEK_EXIT_USAGE, "--%s needs a value: --%s %s", row->name, row->name,
			    row->value);
	if (row != NULL)
		return fail(CMEK_EXIT_USAGE, "--%s takes no value", row->name);
	if (near != NULL)
		return fail(CMEK_EXIT_USAGE, "unknown option %s; did you mean --%s?", given, near);
	return usage_error(command, "unknown option ", given);
}

/* getopt answers '?': a letter is in optopt, a long option is the word where it stopped. */
static int option_error(const struct command *command, char **words)
{
	char letter[] = {'-', (char)optopt, '\0'};
	const char *given = words[optind - 1];
	bool is_letter = optopt > ' ' && optopt < 0x7F;

	if (is_letter)
		return usage_error(command, "unknown or incomplete option ", letter);
	return long_option_error(command, given);
}

static size_t count_words(const char *text)
{
	size_t count = *text != '\0';

	for (; *text != '\0'; text++)
		count += *text == ' ';
	return count;
}

/* The last word may be given again and again: "FILE...", or "[FILE...]". */
static bool may_repeat(const char *positional)
{
	const char *dots = strstr(positional, "...");

	return dots != NULL && (dots[3] == '\0' || dots[3] == ']');
}

/* A word in brackets may be left out. */
static size_t may_lack(const char *positional)
{
	return strchr(positional, '[') != NULL;
}

/* From the name of the word at `at` on. */
static const char *positional_at(const char *positional, size_t at)
{
	for (; at > 0; at--)
		positional = strchr(positional, ' ') + 1;
	return positional;
}

static int check_count(const struct arguments *arguments, size_t wanted)
{
	const struct command *command = arguments->command;
	size_t given = arguments->word_count;
	AUTO(freep) char *missing = NULL;
	const char *name;

	if (given > wanted && !may_repeat(command->positional))
		return usage_error(command,
				   wanted == 0 ? "takes no argument: " : "one argument too many: ",
				   arguments->words[wanted]);
	if (given + may_lack(command->positional) >= wanted)
		return -1;
	name = positional_at(command->positional, given);
	missing = strndup(name, strcspn(name, " "));
	return usage_error(command, "missing ", missing == NULL ? name : missing);
}

static int check_given(const struct arguments *arguments)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (options[i].required && arguments->values[i] == NULL)
			return usage_error(arguments->command, "missing --", options[i].name);
	return -1;
}

/* What the name of an option's value says of it; the command knows its bounds. */
static int check_number(const struct arguments *arguments, const struct option_row *option,
			const char *value)
{
	uint64_t ignored;

	if (strcmp(option->value, "SECONDS") == 0)
		return arguments_seconds(arguments, option->name, &ignored);
	if (strcmp(option->value, "DAYS") == 0)
		return arguments_days(arguments, option->name, &ignored);
	if (strcmp(option->value, "N") != 0 && strcmp(option->value, "LEVEL") != 0)
		return CMEK_EXIT_OK;
	return value[strspn(value, "0123456789")] == '\0'
		       ? CMEK_EXIT_OK
		       : fail(CMEK_EXIT_USAGE, "--%s is a number, not %s", option->name, value);
}

/* Before anything is opened, or asked for. */
static int check_numbers(const struct arguments *arguments)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (options[i].value != NULL && arguments->values[i] != NULL)
			TRY(check_number(arguments, &options[i], arguments->values[i]));
	return -1;
}

/* The rows of common_options, in their order. */
enum { OPTION_JSON = 1000, OPTION_PIN_FILE, OPTION_SO_PIN_FILE, OPTION_HELP, OPTION_END };

/* The command's own, those of every command, and the end. */
enum { LONG_OPTIONS_MAX = ARGUMENTS_OPTIONS_MAX + OPTION_END - OPTION_JSON + 1 };

static struct option long_option(const struct option_row *row, int number)
{
	return (struct option){row->name, row->value == NULL ? no_argument : required_argument,
			       NULL, number};
}

/* `letters` has room for two characters an option, "h" and the end. */
static void fill_long_options(const struct command *command, struct option *out, char *letters)
{
	size_t count = 0;

	*letters++ = 'h';
	for (; command->options[count].name != NULL; count++) {
		const struct option_row *row = &command->options[count];

		out[count] = long_option(row, (int)count);
		if (row->letter != 0)
			*letters++ = row->letter;
		if (row->letter != 0 && row->value != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
	for (int i = OPTION_JSON; i < OPTION_END; i++)
		out[count++] = long_option(&common_options[i - OPTION_JSON], i);
}

/* getopt answers a letter, or the number of a long option, which is less than any letter. */
static int option_index(const struct command *command, int found)
{
	for (int i = 0; found >= ARGUMENTS_OPTIONS_MAX && command->options[i].name != NULL; i++)
		if (command->options[i].letter == found)
			return i;
	return found;
}

/* A value that is an option was meant to be one; who means it as a value gives it with `=`. */
static int take_text(const struct arguments *arguments, const char *name, const char **ret_text,
		     char **words)
{
	if (*ret_text != NULL)
		return usage_error(arguments->command, "given twice: --", name);
	if (*optarg == '\0')
		return usage_error(arguments->command, "nothing is given for --", name);
	if (optarg == words[optind - 1] && strncmp(optarg, "--", 2) == 0)
		return fail(CMEK_EXIT_USAGE,
			    "--%s needs a value, and %s is an option; if it is meant: --%s=%s",
			    name, optarg, name, optarg);
	*ret_text = optarg;
	return -1;
}

static int take_value(struct arguments *arguments, int option, char **words)
{
	const char *name = arguments->command->options[option].name;

	if (optarg != NULL)
		return take_text(arguments, name, &arguments->values[option], words);
	if (arguments->values[option] != NULL)
		return usage_error(arguments->command, "given twice: --", name);
	arguments->values[option] = name;
	return -1;
}

/* Those of every command. *ret_code is -1 to go on. */
static bool take_common(struct arguments *arguments, int found, char **words, int *ret_code)
{
	const char *name = found >= OPTION_JSON ? common_options[found - OPTION_JSON].name : NULL;

	*ret_code = -1;
	switch (found) {
	case OPTION_JSON:
		arguments->json = fail_in_json = true; /* also when it is cut short */
		return true;
	case OPTION_PIN_FILE:
		*ret_code = take_text(arguments, name, &pin_file, words);
		return true;
	case OPTION_SO_PIN_FILE:
		*ret_code = take_text(arguments, name, &so_pin_file, words);
		return true;
	default:
		return false;
	}
}

int arguments_parse(struct arguments *arguments, const struct command *command, int count,
		    char **words)
{
	struct option options[LONG_OPTIONS_MAX] = {0};
	char letters[2 * ARGUMENTS_OPTIONS_MAX + 2];
	size_t wanted = count_words(command->positional), given;
	int found, code;

	arguments->command = command;
	fill_long_options(command, options, letters);
	pin_reset();
	opterr = 0;
	optind = 0; /* a fresh start, also for a letter that was under way */
	while ((found = getopt_long(count, words, letters, options, NULL)) != -1) {
		if (found == OPTION_HELP || found == 'h') {
			help_command(command);
			return CMEK_EXIT_OK;
		}
		if (found == '?')
			return option_error(command, words);
		if (!take_common(arguments, found, words, &code))
			code = take_value(arguments, option_index(command, found), words);
		if (code >= 0)
			return code;
	}
	given = (size_t)(count - optind);
	arguments->words = words + optind;
	arguments->word_count = given;
	code = check_count(arguments, wanted);
	if (code >= 0)
		return code;
	for (size_t i = 0; i < given; i++) {
		if (i < ARGUMENTS_POSITIONAL_MAX)
			arguments->positional[i] = arguments->words[i];
		if (*arguments->words[i] == '\0')
			return usage_error(command, "an argument is empty", "");
	}
	code = check_given(arguments);
	return code >= 0 ? code : check_numbers(arguments);
}
