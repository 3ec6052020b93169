/* The administrator's tool: finds the command in the table, parses its arguments, runs it.
 * Everything it does, it does by PKCS #11 calls; another program can do the same with
 * pkcs11/cmek.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/cmek.h"

int fail(int code, const char *format, ...)
{
	char *text = NULL;
	va_list list;

	fflush(stdout);
	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	va_end(list);
	fprintf(stderr, "cmek: %s\n", text == NULL ? "out of memory" : plain_text(text));
	free(text);
	return code;
}

char *plain_text(char *text)
{
	for (char *at = text; *at != '\0'; at++)
		if (utf8_control(at)) {
			if ((unsigned char)*at >= 0x80)
				*at++ = '?'; /* of two bytes */
			*at = '?';
		}
	return text;
}

/* --- Help ------------------------------------------------------------------------------------ */

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

static void print_usage(FILE *to, const struct command *command)
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
	     "  cmek key add --project demo local:root        (or an AWS KMS key: alias/NAME, an "
	     "ARN)\n"
	     "  cmek cluster create --project demo main --key root --region local\n"
	     "  cmek database create --project demo main/orders\n"
	     "  cmek encrypt --project demo --database main/orders FILE FILE.cmek\n\n"
	     "Commands:");
	for (size_t i = 0; i < command_count; i++) {
		char words[64];

		snprintf(words, sizeof(words), "%s%s%s", commands[i].noun,
			 commands[i].verb == NULL ? "" : " ",
			 commands[i].verb == NULL ? "" : commands[i].verb);
		printf("  %-18s %s\n", words, commands[i].summary);
	}
	puts("\nEvery command takes --json and --help. Exit codes: 0 done, 1 failed, 2 usage, 3 "
	     "not found, 4 refused by a\n"
	     "rule, 5 the KMS said no, 6 KMS, credentials or store out of reach, 7 damaged data. "
	     "See man cmek.");
}

void help_command(const struct command *command)
{
	fputs("usage: ", stdout);
	print_usage(stdout, command);
	printf("\n\n%s\nOptions:\n", command->help);
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		printf("  %-24s %s\n", words_of(row).text, row->help);
	printf("  %-24s %s\n  %-24s %s\n", "--json", "print JSON", "--help", "this text");
}

/* --- Arguments ------------------------------------------------------------------------------- */

const char *arguments_value(const struct arguments *arguments, const char *name)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (strcmp(options[i].name, name) == 0)
			return arguments->values[i];
	return NULL;
}

static int usage_error(const struct command *command, const char *what, const char *which)
{
	fprintf(stderr, "cmek: %s%s; usage: ", what, which);
	print_usage(stderr, command);
	fputc('\n', stderr);
	return CMEK_EXIT_USAGE;
}

/* getopt says '?': an unknown letter is in optopt, a long option the word it was at. */
static int option_error(const struct command *command, char **words)
{
	char letter[] = {'-', (char)optopt, '\0'};
	bool is_letter = optopt > ' ' && optopt < 0x7F;

	return usage_error(command, "unknown or incomplete option ",
			   is_letter ? letter : words[optind - 1]);
}

static size_t count_words(const char *text)
{
	size_t count = *text != '\0';

	for (; *text != '\0'; text++)
		count += *text == ' ';
	return count;
}

/* A word in brackets may be left out. */
static size_t may_lack(const char *positional)
{
	return strchr(positional, '[') != NULL;
}

static int check_given(const struct arguments *arguments)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (options[i].required && arguments->values[i] == NULL)
			return usage_error(arguments->command, "missing --", options[i].name);
	return -1;
}

enum { OPTION_JSON = 1000, OPTION_HELP };

static size_t fill_long_options(const struct command *command, struct option *out)
{
	size_t count = 0;

	for (; command->options[count].name != NULL; count++)
		out[count] = (struct option){
			command->options[count].name,
			command->options[count].value == NULL ? no_argument : required_argument,
			NULL, (int)count};
	out[count] = (struct option){"json", no_argument, NULL, OPTION_JSON};
	out[count + 1] = (struct option){"help", no_argument, NULL, OPTION_HELP};
	return count;
}

int arguments_parse(struct arguments *arguments, const struct command *command, int count,
		    char **words)
{
	struct option options[ARGUMENTS_OPTIONS_MAX + 3] = {0};
	size_t wanted = count_words(command->positional), given;
	int found;

	arguments->command = command;
	fill_long_options(command, options);
	opterr = 0;
	optind = 1;
	while ((found = getopt_long(count, words, "h", options, NULL)) != -1) {
		if (found == OPTION_HELP || found == 'h') {
			help_command(command);
			return CMEK_EXIT_OK;
		}
		if (found == '?')
			return option_error(command, words);
		if (found == OPTION_JSON)
			arguments->json = true;
		else if (optarg == NULL)
			arguments->values[found] = options[found].name;
		else if (*optarg == '\0')
			return usage_error(command, "nothing is given for --", options[found].name);
		else
			arguments->values[found] = optarg;
	}
	given = (size_t)(count - optind);
	if (given > wanted || given + may_lack(command->positional) < wanted)
		return usage_error(command, "wrong number of arguments", "");
	for (size_t i = 0; i < given; i++) {
		arguments->positional[i] = words[optind + (int)i];
		if (*arguments->positional[i] == '\0')
			return usage_error(command, "an argument is empty", "");
	}
	return check_given(arguments);
}

/* --- Main ------------------------------------------------------------------------------------ */

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
	if (noun)
		return fail(CMEK_EXIT_USAGE, "cmek %s: what about it? see cmek %s --help", words[0],
			    words[0]);
	return fail(CMEK_EXIT_USAGE, "no such command: %s; see cmek --help", words[0]);
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {0};
	const struct command *command;
	int used = 0, code;

	command = find_command(argc - 1, argv + 1, &used);
	if (command == NULL)
		return no_command(argc - 1, argv + 1);
	code = arguments_parse(&arguments, command, argc - used, argv + used);
	return code >= 0 ? code : command->run(&arguments);
}

/* With a standard stream closed, the next file opened would take its number, and a file meant for
 * data get the messages. The wrong direction keeps it unusable. */
static void open_standard_streams(void)
{
	static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			_exit(CMEK_EXIT_FAILED);
}

int main(int argc, char **argv)
{
	int code;

	open_standard_streams();
	/* Both are errors of write() then, with a message. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	code = run(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CMEK_EXIT_OK)
		return fail(CMEK_EXIT_FAILED, "standard output: %s", strerror(errno));
	return code;
}
