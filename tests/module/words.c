/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tool makes of words before any command runs: help, mistyped words, completion. */
#include "cli/cli.h"
#include "cli/suggest.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h"

#include <string.h>

/* --- Words that are nearly right */

static const char *near(const char *typed, const char *known)
{
	struct suggestion best = {0};

	suggest(&best, typed, known);
	return best.word;
}

static void word_is_near_by_a_third_of_its_letters(void **state)
{
	(void)state;
	assert_non_null(near("databse", "database"));
	assert_non_null(near("dtaabase", "database"));
	assert_non_null(near("databasee", "database"));
	assert_non_null(near("dat", "database"));
	assert_null(near("", "database"));
	assert_null(near("store", "database"));
	assert_null(near("kay", "policy"));
	assert_non_null(near("kay", "key"));
	assert_null(near("frobnicatefrobnicatefrobnicatefrobnicate", "database"));
}

static void nearest_word_is_offered(void **state)
{
	struct suggestion best = {0};

	(void)state;
	suggest(&best, "undelet", "delete");
	suggest(&best, "undelet", "undelete");
	suggest(&best, "undelet", "delete");
	assert_string_equal(best.word, "undelete");
}

static void mistyped_word_is_told_with_the_right_one(void **state)
{
	(void)state;
	refused("databse create", CMEK_EXIT_USAGE, "did you mean cmek database?");
	refused("database creat", CMEK_EXIT_USAGE, "did you mean cmek database create?");
	refused("help databse", CMEK_EXIT_USAGE, "did you mean cmek database?");
	refused("help database creat", CMEK_EXIT_USAGE, "did you mean cmek database create?");
	refused("key list --porject demo", CMEK_EXIT_USAGE, "did you mean --project?");
	refused("database frobnicate", CMEK_EXIT_USAGE, "see cmek database --help");
	refused("key list --frobnicate", CMEK_EXIT_USAGE, "usage: cmek key list");
	refused("key list -x", CMEK_EXIT_USAGE, "option -x");
}

static void what_is_missing_or_too_much_is_named(void **state)
{
	(void)state;
	refused("key add --project p", CMEK_EXIT_USAGE, "missing KEY; usage");
	refused("inspect", CMEK_EXIT_USAGE, "missing FILE; usage");
	refused("rewrap", CMEK_EXIT_USAGE, "missing FILE...; usage");
	refused("inspect a b", CMEK_EXIT_USAGE, "one argument too many: b;");
	refused("project list x", CMEK_EXIT_USAGE, "takes no argument: x;");
	refused("key list --project", CMEK_EXIT_USAGE, "--project needs a value: --project P");
	refused("encrypt --name --force a b", CMEK_EXIT_USAGE,
		"--name needs a value, and --force is");
	refused("restore --as --dry-run x", CMEK_EXIT_USAGE, "if it is meant: --as=--dry-run");
	refused("encrypt --force=3", CMEK_EXIT_USAGE, "--force takes no value");
}

/* --- Help */

static void help_is_of_all_of_a_noun_or_of_a_command(void **state)
{
	(void)state;
	done("help");
	prints("First steps:");
	done("help database");
	prints("usage: cmek database VERB");
	done("help database create");
	prints("usage: cmek database create");
	done("help help");
	prints("First steps:");
	done("help encrypt");
	prints("usage: cmek encrypt");
}

static void help_that_is_asked_for_twice_is_given(void **state)
{
	(void)state;
	done("help -h");
	prints("First steps:");
	done("help --help");
	prints("First steps:");
	done("help help -h");
	prints("First steps:");
	done("help database -h");
	prints("usage: cmek database VERB");
	done("help database create --help");
	prints("usage: cmek database create");
	refused("help databse -h", CMEK_EXIT_USAGE, "did you mean cmek database?");
}

static void version_has_two_names(void **state)
{
	(void)state;
	done("-V");
	prints("cmek " CMEK_VERSION);
	done("--version");
	prints("cmek " CMEK_VERSION);
}

/* --- Completion */

static void each_command_is_in_the_completion_of_each_shell(void **state)
{
	static const char *const lines[] = {"completion bash", "completion zsh", "completion fish"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		done(lines[i]);
		for (size_t at = 0; at < command_count(); at++) {
			const struct command *command = command_at(at);

			prints(command->verb == NULL ? command->noun : command->verb);
			for (const struct option_row *row = command->options; row->name != NULL;
			     row++)
				prints(row->name);
		}
	}
	refused("completion tcsh", CMEK_EXIT_USAGE, "bash, zsh or fish");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(word_is_near_by_a_third_of_its_letters),
		cmocka_unit_test(nearest_word_is_offered),
		cmocka_unit_test(mistyped_word_is_told_with_the_right_one),
		cmocka_unit_test(what_is_missing_or_too_much_is_named),
		cmocka_unit_test(help_is_of_all_of_a_noun_or_of_a_command),
		cmocka_unit_test(help_that_is_asked_for_twice_is_given),
		cmocka_unit_test(version_has_two_names),
		cmocka_unit_test(each_command_is_in_the_completion_of_each_shell),
	};

	return cmocka_run_group_tests(tests, tool_start, tool_stop);
}
