/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* --help: of a command, and of all commands. */
#include "cli/cli.h"

#include <stdio.h>

struct option_words {
	char text[64];
};

static struct option_words words_of(const struct option_row *row)
{
	struct option_words words;

	snprintf(words.text, sizeof(words.text), row->value == NULL ? "--%s" : "--%s %s", row->name,
		 row->value);
	return words;
}

void help_usage(FILE *to, const struct command *command)
{
	fprintf(to, "cmek %s", command->noun);
	if (command->verb != NULL)
		fprintf(to, " %s", command->verb);
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		fprintf(to, row->required ? " %s" : " [%s]", words_of(row).text);
	fprintf(to, "%s%s", *command->positional == '\0' ? "" : " ", command->positional);
}

void help_all(void)
{
	puts("cmek: customer-managed encryption keys for files and PKCS #11 programs\n\n"
	     "  root key (your KMS) -> database key (EZK) -> data key (DEK) -> data\n\n"
	     "First steps:\n"
	     "  cmek project create demo\n"
	     "  cmek key create --project demo local:root     (or an AWS KMS key: cmek key add)\n"
	     "  cmek cluster create --project demo main --key root --region local\n"
	     "  cmek database create --project demo main/orders\n"
	     "  cmek encrypt --project demo --database main/orders FILE FILE.cmek\n\n"
	     "Commands:");
	for (size_t i = 0; i < command_count(); i++) {
		char words[64];

		snprintf(words, sizeof(words), "%s%s%s", command_at(i)->noun,
			 command_at(i)->verb == NULL ? "" : " ",
			 command_at(i)->verb == NULL ? "" : command_at(i)->verb);
		printf("  %-18s %s\n", words, command_at(i)->summary);
	}
	puts("\nEvery command takes --json, --help, and of a project with a PIN --pin-file FILE "
	     "and\n"
	     "--so-pin-file FILE. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by "
	     "a\n"
	     "rule, 5 the KMS said no, 6 KMS, credentials or store out of reach, 7 damaged data. "
	     "See man cmek.");
}

static void print_options(const struct option_row *rows)
{
	for (const struct option_row *row = rows; row->name != NULL; row++)
		if (row->letter == 0)
			printf("  %-24s %s\n", words_of(row).text, row->help);
		else
			printf("  %-24s %s (-%c)\n", words_of(row).text, row->help, row->letter);
}

void help_command(const struct command *command)
{
	fputs("usage: ", stdout);
	help_usage(stdout, command);
	printf("\n\n%s\nOptions:\n", command->help);
	print_options(command->options);
	print_options(common_options);
}
