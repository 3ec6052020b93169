/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of `cmek` share: the table of commands, their arguments, and the ways to end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ARGUMENTS_OPTIONS_MAX = 20, ARGUMENTS_POSITIONAL_MAX = 3 };

/* An option of a command: "--project P"; `value` names what to give; NULL: it has no value. */
struct option_row {
	const char *name;
	const char *value;
	const char *help;
	bool required;
	char letter;	  /* "-r" for short; 0: none */
	bool has_default; /* needed, and found out where it is not given (cli/defaults.h) */
};

struct arguments;

struct command {
	const char *noun;
	const char *verb; /* NULL: the noun alone */
	const char
		*positional; /* "NAME", "[CLUSTER/DB]", "[FILE...]": what must be given, or in
				brackets may be; the last one with ... at its end: once or more */
	const char *summary; /* one line, for the list of commands */
	const char *help;    /* what --help says below the usage: what the command does, when to use
			      * it, an example */
	const struct option_row *options;	       /* ends in a row without a name */
	int (*run)(const struct arguments *arguments); /* an exit code of include/cmek.h */
};

struct arguments {
	const struct command *command;
	const char *values[ARGUMENTS_OPTIONS_MAX];
	char *found[ARGUMENTS_OPTIONS_MAX]; /* values that were found out (cli/defaults.h) */
	const char *positional[ARGUMENTS_POSITIONAL_MAX];
	char *const *words; /* all of them */
	size_t word_count;
	bool json;
};

/* The value of an option of this command, never empty (the option's name if it has no value); NULL:
 * not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);
/* An option that is a number of seconds, at most a year; *ret_seconds is left alone where it is not
 * given. Reports; an exit code. */
int arguments_seconds(const struct arguments *arguments, const char *name, uint64_t *ret_seconds);
/* The same of a number of days, at most a century. */
int arguments_days(const struct arguments *arguments, const char *name, uint64_t *ret_days);
/* Parses what follows the command's words. Prints the cause and answers CMEK_EXIT_USAGE, or -1: go
 * on; CMEK_EXIT_OK after --help. */
int arguments_parse(struct arguments *arguments, const struct command *command, int count,
		    char **words);

/* Those that every command takes; ends in a row without a name. */
extern const struct option_row common_options[];
/* Each command, in the order of --help (cli/commands.h); NULL: there are no more. */
const struct command *command_at(size_t index);
size_t command_count(void);
void help_all(void);
void help_command(const struct command *command);
void help_usage(FILE *to, const struct command *command); /* its usage line, without a line end */

/* The tool as a function: main's arguments; the exit code. */
int run_words(int argc, char **argv);

/* One line on standard error, "cmek: …", and the code, which is not CMEK_EXIT_OK. The line reads
 * "WHICH: what; what to do" (cli/said.h); a format that begins with "%s: " says which. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a thread of many (cli/many.h) has to say of its file: the last line of `fail`, and whether
 * it says none, since the file is only interrupted. */
struct fail_here {
	bool silent;
	size_t which_len; /* bytes of the text that say what it is about (cli/said.h) */
	char text[512];
};
extern _Thread_local struct fail_here fail_here;

/* Each line on standard error is a JSON object: --json was given. */
extern bool fail_in_json;

/* What is called before a line is written to standard error: takes a progress line away. NULL:
 * none.
 */
extern void (*fail_prepare)(void);

/* "cmek: warning: …". */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Like `fail`, for an error of the system (errno) about `name`: `what` ("" for a file that exists,
 * "cannot be written: " for one that is made), the system's words and what to do; the exit code. */
int fail_system(int error, const char *name, const char *what);

/* Turns invisible characters, controls among them, into question marks: names may come from
 * elsewhere, and terminals obey. */
char *plain_text(char *text);

/* The commands, each in its noun's file. */
int project_create(const struct arguments *arguments);
int project_list(const struct arguments *arguments);
int project_show(const struct arguments *arguments);
int project_restore(const struct arguments *arguments);
int key_create(const struct arguments *arguments);
int key_add(const struct arguments *arguments);
int key_list(const struct arguments *arguments);
int key_show(const struct arguments *arguments);
int key_enable(const struct arguments *arguments);
int key_disable(const struct arguments *arguments);
int key_remove(const struct arguments *arguments);
int key_restore(const struct arguments *arguments);
int cluster_create(const struct arguments *arguments);
int cluster_list(const struct arguments *arguments);
int cluster_show(const struct arguments *arguments);
int cluster_delete(const struct arguments *arguments);
int cluster_undelete(const struct arguments *arguments);
int database_create(const struct arguments *arguments);
int database_list(const struct arguments *arguments);
int database_show(const struct arguments *arguments);
int database_rotate(const struct arguments *arguments);
int database_set(const struct arguments *arguments);
int database_rewrap(const struct arguments *arguments);
int rewrap_token_keys(const struct arguments *arguments); /* database rewrap --token-keys */
int database_set_keys(const struct arguments *arguments);
int database_delete(const struct arguments *arguments);
int database_undelete(const struct arguments *arguments);
int database_erase(const struct arguments *arguments);
int database_retire(const struct arguments *arguments);
int database_unretire(const struct arguments *arguments);
int encrypt_file(const struct arguments *arguments);
int decrypt_file(const struct arguments *arguments);
int inspect_file(const struct arguments *arguments);
int migrate_files(const struct arguments *arguments);
int export_files(const struct arguments *arguments);
int rewrap_files(const struct arguments *arguments);
int scan_files(const struct arguments *arguments);
int store_show(const struct arguments *arguments);
int store_make(const struct arguments *arguments);
int store_check(const struct arguments *arguments);
int store_upgrade(const struct arguments *arguments);
int store_downgrade(const struct arguments *arguments);
int store_copy(const struct arguments *arguments);
int backup_make(const struct arguments *arguments);
int backup_verify(const struct arguments *arguments);
int restore_backup(const struct arguments *arguments);
int maintain_run(const struct arguments *arguments);
int tree_draw(const struct arguments *arguments);
int policy_print(const struct arguments *arguments);
int completion_print(const struct arguments *arguments);
int doctor_run(const struct arguments *arguments);
