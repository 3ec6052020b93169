/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projects with PINs under the tool's commands: a PIN is tried once a command, at its own project
 * alone, and who gives none is told what is not seen. The PINs themselves are tested in
 * tests/unit/objects/, and under stock programs in tests/consumers/pin.sh.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { WRONG_PINS_MAX = 10, FILES = WRONG_PINS_MAX + 2 };

static void says(const char *line, int code, const char *word)
{
	assert_int_equal(run(line), code);
	if (strstr(buffer_text(&err), word) == NULL)
		fail_msg("'%s' does not say '%s'", buffer_text(&err), word);
}

static void make_project(const char *name)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "project create %s --so-pin-file @so --pin-file @%s", name, name);
	done(buffer_text(&line));
	buffer_truncate(&line, 0);
	buffer_format(&line, "key create local:%s --project %s --so-pin-file @so", name, name);
	done(buffer_text(&line));
	buffer_truncate(&line, 0);
	buffer_format(&line, "database create --project %s default/d --pin-file @%s", name, name);
	done(buffer_text(&line));
}

static int start(void **state)
{
	if (tool_start(state) != 0)
		return -1;
	put("so", "security officer\n");
	put("one", "one of them\n");
	put("two", "two of them\n");
	put("wrong", "of nobody\n");
	put("short", "123\n");
	make_project("one");
	for (int i = 0; i < FILES; i++) {
		char line[128];

		snprintf(line, sizeof(line),
			 "encrypt --project one --database default/d --pin-file @one @plain "
			 "@%d.cmek",
			 i);
		if (i == 0)
			done(line);
		else {
			AUTO(freep) char *first = in_home("0.cmek"), *copy = NULL;
			AUTO(buffer_clear) struct buffer file = {0};

			snprintf(line, sizeof(line), "%d.cmek", i);
			copy = in_home(line);
			assert_true(file_read(first, 1 << 20, &file));
			assert_true(file_replace(copy, buffer_bytes(&file), 0600));
		}
	}
	return 0;
}

/* A command of all the files; its PIN is wrong. */
static void try_wrong(const char *command)
{
	AUTO(buffer_clear) struct buffer line = {0};

	buffer_format(&line, "%s --pin-file @wrong", command);
	for (int i = 0; i < FILES; i++)
		buffer_format(&line, " @%d.cmek", i);
	refused(buffer_text(&line), CMEK_EXIT_DENIED, "the PIN is wrong");
}

static void a_wrong_pin_is_tried_once_for_all_files(void **state)
{
	(void)state;
	try_wrong("decrypt --force --suffix .cmek -j 4");
	try_wrong("rewrap");
	try_wrong("scan");
	try_wrong("export --project one");
	done("decrypt --project one --pin-file @one --force @0.cmek @again");
	has("again", "card 4111");
	done("decrypt --pin-file @one --force --suffix .cmek @0.cmek @1.cmek @2.cmek");
	prints("3 decrypted");
}

static void without_a_pin_a_command_does_not_pass_over_databases(void **state)
{
	static const char *const lines[] = {
		"database list --project one",
		"database show --project one default/d",
		"database rotate --project one --all",
		"database rewrap --project one --all --token-keys",
		"database erase --project one default/d --yes-erase default/d",
		"database undelete --project one default/d",
		"encrypt --project one @plain @none.cmek",
		"encrypt --project one --database default/d @plain @none.cmek",
		"encrypt --project one --database default/d --suffix .x @plain @again",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		refused(lines[i], CMEK_EXIT_DENIED, "give --pin-file");
	assert_false(is_there("none.cmek"));
	refused("database list --project one --so-pin-file @so", CMEK_EXIT_DENIED,
		"give --pin-file");
	says("rewrap @0.cmek", CMEK_EXIT_DENIED, "give --pin-file");
	/* Its record is in the file, so that the KMS alone decides. */
	done("decrypt --force @0.cmek @again");
	done("key list --project one");
	prints("one    local ");
}

static void the_security_officer_says_which_database_is_trusted(void **state)
{
	(void)state;
	done("database set --project one --so-pin-file @so --trusted yes default/d");
	prints("trusted        yes");
	refused("database set --project one --so-pin-file @so --trusted yes --rotate-days 9 "
		"default/d",
		CMEK_EXIT_USAGE, "alone");
	says("database set --project one --pin-file @one --trusted no default/d", CMEK_EXIT_DENIED,
	     "security officer");
	refused("database set --project one --trusted no default/d", CMEK_EXIT_DENIED,
		"--pin-file");
}

static void a_hierarchy_says_what_it_does_not_show(void **state)
{
	json_t *projects;

	(void)state;
	done("tree --project one --offline");
	prints("PIN needed: its databases are not shown");
	done("tree --html @page.html --force --offline");
	{
		AUTO(freep) char *path = in_home("page.html");
		AUTO(buffer_clear) struct buffer page = {0};

		assert_true(file_read(path, 1 << 20, &page));
		assert_non_null(strstr(buffer_text(&page), "PIN needed: its databases"));
	}
	done("tree --project one --json --offline");
	projects = printed_json();
	assert_true(json_is_true(json_object_get(json_array_get(projects, 0), "pin_needed")));
	json_decref(projects);
	done("project show one");
	prints("PIN needed");
	done("tree --project one --offline --pin-file @one");
	assert_null(strstr(buffer_text(&out), "PIN needed"));
	prints("default/d");
}

/* Ten wrong ones would lock the first project's user out. */
static void a_pin_is_tried_at_its_own_project_alone(void **state)
{
	(void)state;
	make_project("two");
	done("encrypt --project two --database default/d --pin-file @two @plain @two.cmek");
	for (int i = 0; i < WRONG_PINS_MAX; i++)
		refused("decrypt --pin-file @two --force @two.cmek @again", CMEK_EXIT_USAGE,
			"give --project");
	refused("tree --pin-file @two --offline", CMEK_EXIT_USAGE, "give --project");
	refused("scan --pin-file @two @two.cmek", CMEK_EXIT_USAGE, "give --project");
	refused("decrypt --pin-file @two --suffix .cmek @two.cmek @0.cmek", CMEK_EXIT_USAGE,
		"give --project");
	done("decrypt --project two --pin-file @two --force @two.cmek @again");
	setenv("CMEK_PROJECT", "two", 1);
	for (int i = 0; i < WRONG_PINS_MAX; i++)
		done("maintain --dry-run --pin-file @two");
	done("decrypt --pin-file @two --force @two.cmek @again");
	unsetenv("CMEK_PROJECT");
	done("database list --project one --pin-file @one");
	prints("default/d");
}

/* Its root key is not to be added to another project for it. */
static void a_file_of_a_project_with_a_pin_is_told_by_its_project(void **state)
{
	static const char *const lines[] = {
		"decrypt --project open @0.cmek @none",
		"decrypt --project open --database default/d @0.cmek @none",
		"decrypt --project open @m0.cmek @none",
		"decrypt --project open --suffix .cmek @0.cmek",
		"decrypt --project open -r --output @folder.open @folder",
		"rewrap --project open @0.cmek",
	};
	AUTO(freep) char *folder = in_home("folder");

	(void)state;
	assert_int_equal(mkdir(folder, 0700), 0);
	done("encrypt --project one --database default/d --pin-file @one @plain @folder/0.cmek");
	done("encrypt --project one --database default/d --pin-file @one --message --embed "
	     "@plain @m0.cmek");
	done("project create open");
	done("key create local:open --project open");
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		says(lines[i], CMEK_EXIT_NOT_FOUND,
		     "0.cmek: it belongs to project one, and project open can't open it; leave out "
		     "--project, or give that one");
		assert_null(strstr(buffer_text(&err), "key add"));
	}
	done("decrypt --force --project one @0.cmek @again");
}

static void a_project_is_not_made_with_half_its_pins(void **state)
{
	(void)state;
	refused("project create half --pin-file @one", CMEK_EXIT_USAGE, "--so-pin-file");
	refused("project create half --pin-file @short --so-pin-file @so", CMEK_EXIT_USAGE,
		"4 to 255 bytes");
	refused("project create half --pin-file @one --so-pin-file @short", CMEK_EXIT_USAGE,
		"4 to 255 bytes");
	assert_int_not_equal(run("project create half --pin-file @missing --so-pin-file @so"), 0);
	refused("project show half", CMEK_EXIT_NOT_FOUND, "no project half");
	done("project create half");
}

static void an_option_comes_before_a_variable(void **state)
{
	(void)state;
	setenv("CMEK_SO_PIN", "security officer", 1);
	done("database list --project one --pin-file @one");
	prints("default/d");
	unsetenv("CMEK_SO_PIN");
	setenv("CMEK_PIN", "of nobody", 1);
	done("database list --project one --pin-file @one");
	unsetenv("CMEK_PIN");
	refused("database list --project one --pin-file --json", CMEK_EXIT_USAGE,
		"--pin-file needs a value");
	refused("database list --project one --pin-file @one --pin-file @two", CMEK_EXIT_USAGE,
		"given twice");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_pin_is_tried_once_for_all_files),
		cmocka_unit_test(without_a_pin_a_command_does_not_pass_over_databases),
		cmocka_unit_test(the_security_officer_says_which_database_is_trusted),
		cmocka_unit_test(a_hierarchy_says_what_it_does_not_show),
		cmocka_unit_test(a_pin_is_tried_at_its_own_project_alone),
		cmocka_unit_test(a_file_of_a_project_with_a_pin_is_told_by_its_project),
		cmocka_unit_test(a_project_is_not_made_with_half_its_pins),
		cmocka_unit_test(an_option_comes_before_a_variable),
	};

	return cmocka_run_group_tests(tests, start, tool_stop);
}
