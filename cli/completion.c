/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Completion for shells, out of the table of commands. What a shell offers of it is: commands,
 * their verbs, their options; files for all else. */
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "include/cmek.h"

#include <stdio.h>
#include <string.h>

/* A text within '…' of a shell. `escaped` are characters that what reads it wants a \ before. */
static void put_quoted(const char *text, const char *escaped)
{
	for (; *text != '\0'; text++) {
		if (strchr(escaped, *text) != NULL)
			putchar('\\');
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

/* What the value of an option is: a path or something else. */
static bool is_path(const char *value)
{
	return value != NULL && (strcmp(value, "OUT") == 0 || strcmp(value, "FILE") == 0 ||
				 strcmp(value, "DIR") == 0);
}

/* A noun stands in the table once for each verb. */
static bool is_first_of_noun(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(command_at(i)->noun, command_at(at)->noun) == 0)
			return false;
	return true;
}

static bool stands_alone(const char *noun)
{
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(command_at(i)->noun, noun) == 0 && command_at(i)->verb == NULL)
			return true;
	return false;
}

static void put_verbs(const char *noun)
{
	const char *between = "";

	for (size_t i = 0; i < command_count(); i++) {
		if (strcmp(command_at(i)->noun, noun) != 0 || command_at(i)->verb == NULL)
			continue;
		printf("%s%s", between, command_at(i)->verb);
		between = " ";
	}
}

/* A pattern for a shell's `case "NOUN VERB" in`: of a noun alone, any second word. Rows with verbs
 * come first in the table. */
static void put_pattern(const struct command *command)
{
	if (command->verb != NULL)
		printf("'%s %s')", command->noun, command->verb);
	else
		printf("'%s '*)", command->noun);
}

/* --- bash */

static void bash_command(const struct command *command)
{
	fputs("        ", stdout);
	put_pattern(command);
	fputs("\n            words='", stdout);
	if (command->verb == NULL)
		put_verbs(command->noun);
	for (const struct option_row *row = common_options; row->name != NULL; row++)
		printf(" --%s", row->name);
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		printf(" --%s", row->name);
	puts("'");
	puts("            ;;");
}

static void bash_nouns(void)
{
	puts("        case ${1-} in");
	for (size_t i = 0; i < command_count(); i++) {
		if (!is_first_of_noun(i) || stands_alone(command_at(i)->noun))
			continue;
		printf("        %s) words='", command_at(i)->noun);
		put_verbs(command_at(i)->noun);
		puts("' ;;");
	}
	puts("        esac");
}

static void complete_bash(void)
{
	puts("# bash completion for cmek\n"
	     "_cmek_words() { # the words before the one under the cursor: what may stand there\n"
	     "    local words=''\n"
	     "    if [ $# -eq 0 ]; then");
	fputs("        words='help --help --version", stdout);
	for (size_t i = 0; i < command_count(); i++)
		if (is_first_of_noun(i))
			printf(" %s", command_at(i)->noun);
	puts("'\n    elif [ $# -eq 1 ]; then");
	bash_nouns();
	puts("    fi\n"
	     "    if [ -z \"$words\" ]; then\n"
	     "        case \"$1 ${2-}\" in");
	for (size_t i = 0; i < command_count(); i++)
		bash_command(command_at(i));
	puts("        esac\n"
	     "    fi\n"
	     "    echo \"$words\"\n"
	     "}\n"
	     "_cmek() {\n"
	     "    local under=${COMP_WORDS[COMP_CWORD]} words\n"
	     "    COMPREPLY=()\n"
	     "    words=$(_cmek_words \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n"
	     "    # Options only where one is begun: elsewhere files.\n"
	     "    [[ $words != ' '--* || $under == -* ]] || return 0\n"
	     "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$under\")\n"
	     "}\n"
	     "complete -o default -F _cmek cmek");
}

/* --- zsh */

static void zsh_option(const struct option_row *row)
{
	printf("            '--%s", row->name);
	if (row->value != NULL)
		putchar('=');
	putchar('[');
	put_quoted(row->help, "[]:\\");
	putchar(']');
	if (row->value != NULL) {
		putchar(':');
		put_quoted(row->value, "[]:\\");
		fputs(is_path(row->value) ? ":_files" : ": ", stdout);
	}
	puts("' \\");
}

static void zsh_command(const struct command *command)
{
	fputs("    ", stdout);
	put_pattern(command);
	printf("\n        _cmek_shift %d\n        _arguments \\\n", command->verb == NULL ? 1 : 2);
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		zsh_option(row);
	for (const struct option_row *row = common_options; row->name != NULL; row++)
		zsh_option(row);
	puts("            '*:file:_files' ;;");
}

static void zsh_described(const char *word, const char *summary)
{
	printf(" \\\n        '%s:", word);
	if (summary == NULL)
		put_verbs(word);
	else
		put_quoted(summary, ":\\");
	putchar('\'');
}

/* Where a noun stands alone too, what follows it may be anything. */
static void zsh_verbs(const char *noun)
{
	printf("        %s) offered=(", noun);
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(command_at(i)->noun, noun) == 0 && command_at(i)->verb != NULL)
			zsh_described(command_at(i)->verb, command_at(i)->summary);
	puts(stands_alone(noun) ? ") ;;" : ")\n            alone= ;;");
}

static void complete_zsh(void)
{
	fputs("#compdef cmek\n"
	      "_cmek_shift() { # the first words of a command, as if they were its name\n"
	      "    words=(\"$words[1]\" \"${(@)words[$1 + 2,-1]}\")\n"
	      "    (( CURRENT -= $1 ))\n"
	      "}\n"
	      "_cmek() {\n"
	      "    local -a offered\n"
	      "    local alone=yes\n"
	      "    if (( CURRENT == 2 )); then\n"
	      "        offered=('help:what a command does'",
	      stdout);
	for (size_t i = 0; i < command_count(); i++)
		if (is_first_of_noun(i))
			zsh_described(command_at(i)->noun,
				      command_at(i)->verb == NULL ? command_at(i)->summary : NULL);
	puts(")\n"
	     "        _describe command offered\n"
	     "        return\n"
	     "    fi\n"
	     "    if (( CURRENT == 3 )); then\n"
	     "        case $words[2] in");
	for (size_t i = 0; i < command_count(); i++)
		if (is_first_of_noun(i) && command_at(i)->verb != NULL)
			zsh_verbs(command_at(i)->noun);
	puts("        esac\n"
	     "        (( $#offered == 0 )) || _describe verb offered\n"
	     "        [[ -n $alone ]] || return\n"
	     "    fi\n"
	     "    case \"$words[2] $words[3]\" in");
	for (size_t i = 0; i < command_count(); i++)
		zsh_command(command_at(i));
	puts("    esac\n"
	     "}\n"
	     "_cmek \"$@\"");
}

/* --- fish */

/* A noun that stands alone may also be the verb of others, or have verbs. */
static void fish_alone(const char *noun)
{
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *other = command_at(i);

		if (other->verb != NULL && strcmp(other->verb, noun) == 0)
			printf("; and not __fish_seen_subcommand_from %s", other->noun);
		if (other->verb != NULL && strcmp(other->noun, noun) == 0)
			printf("; and not __fish_seen_subcommand_from %s", other->verb);
	}
}

/* Where a command's options are offered: its noun was typed, and its verb, if it has one. */
static void fish_where(const struct command *command)
{
	printf("complete -c cmek -n '__fish_seen_subcommand_from %s", command->noun);
	if (command->verb != NULL)
		printf("; and __fish_seen_subcommand_from %s", command->verb);
	else
		fish_alone(command->noun);
	putchar('\'');
}

static void fish_described(const char *text)
{
	fputs(" -d '", stdout);
	for (; *text != '\0'; text++)
		printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	puts("'");
}

/* Where that stands was written before. */
static void fish_option(const struct option_row *row)
{
	printf(" -l %s", row->name);
	if (row->letter != 0)
		printf(" -s %c", row->letter);
	if (row->value != NULL)
		fputs(is_path(row->value) ? " -r" : " -x", stdout);
	fish_described(row->help);
}

static void fish_noun(const char *noun, const char *summary)
{
	printf("complete -c cmek -f -n __fish_use_subcommand -a %s", noun);
	if (summary != NULL) {
		fish_described(summary);
		return;
	}
	fputs(" -d '", stdout);
	put_verbs(noun);
	puts("'");
}

static void fish_verb(const struct command *command)
{
	printf("complete -c cmek -f -n '__fish_seen_subcommand_from %s; and not "
	       "__fish_seen_subcommand_from ",
	       command->noun);
	put_verbs(command->noun);
	printf("' -a %s", command->verb);
	fish_described(command->summary);
}

static void complete_fish(void)
{
	puts("# fish completion for cmek");
	fish_noun("help", "what a command does");
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *command = command_at(i);

		if (is_first_of_noun(i))
			fish_noun(command->noun, command->verb == NULL ? command->summary : NULL);
		if (command->verb != NULL)
			fish_verb(command);
		for (const struct option_row *row = command->options; row->name != NULL; row++) {
			fish_where(command);
			fish_option(row);
		}
	}
	for (const struct option_row *row = common_options; row->name != NULL; row++) {
		fputs("complete -c cmek", stdout);
		fish_option(row);
	}
}

static const struct {
	const char *name;
	void (*print)(void);
} shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};

int completion_print(const struct arguments *arguments)
{
	const char *name = arguments->positional[0];

	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (strcmp(shells[i].name, name) == 0) {
			shells[i].print();
			return CMEK_EXIT_OK;
		}
	return fail(CMEK_EXIT_USAGE, "no completion for %s: bash, zsh or fish", name);
}

/* --- The command ----------------------------------------------------------------------------- */

/* clang-format off */

static const struct command command_rows[] = {
	{ "completion", NULL, "SHELL", "what bash, zsh or fish needs to complete cmek's words",
	  "Installed packages bring it. Else, for the shell that is running:\n\n"
	  "  source <(cmek completion bash)\n"
	  "  cmek completion zsh >~/.zfunc/_cmek      (a folder of $fpath)\n"
	  "  cmek completion fish >~/.config/fish/completions/cmek.fish\n",
	  no_options, completion_print },
};

/* clang-format on */

const struct command_group completion_commands = {command_rows, COUNT_OF(command_rows)};
