/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Files and messages that are encrypted and decrypted. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>
#include <unistd.h>

static void a_file_goes_in_and_comes_out(void **state)
{
	json_t *told;

	(void)state;
	done("encrypt --project demo --database main/orders --name a/b @plain @file.cmek --json");
	told = printed_json();
	assert_string_equal(json_string_value(json_object_get(told, "database")), "main/orders");
	assert_int_equal(json_integer_value(json_object_get(told, "plain_bytes")), 9);
	json_decref(told);
	done("inspect @file.cmek");
	prints("plain_bytes    9");
	prints("name_bound     yes");
	done("decrypt --name a/b @file.cmek @again");
	assert_int_equal(out.len, 0);
	has("again", "card 4111");
	done("decrypt --project demo --database main/orders --name a/b @file.cmek @again --json "
	     "--force");
	prints("\"plain_bytes\": 9");
}

static void a_file_that_is_there_is_replaced_by_force_alone(void **state)
{
	(void)state;
	put("there", "mine");
	refused("encrypt --project demo --database main/orders @plain @there", CMEK_EXIT_REFUSED,
		"there: is there already; name another file, or replace it with --force");
	has("there", "mine");
	done("encrypt --project demo --database main/orders @plain -o @there --force");
	done("encrypt --project demo --database main/orders @plain @there --force");
	refused("decrypt @there @plain", CMEK_EXIT_REFUSED, "plain: is there already");
	done("decrypt --force @there @plain");
	has("plain", "card 4111");
}

static void the_input_is_never_written_to(void **state)
{
	AUTO(freep) char *file = in_home("plain"), *hard = in_home("hard"), *soft = in_home("soft");

	(void)state;
	assert_int_equal(link(file, hard), 0);
	assert_int_equal(symlink(file, soft), 0);
	refused("encrypt --project demo --database main/orders --force @plain @plain",
		CMEK_EXIT_REFUSED, "plain: is the input itself; name another file");
	refused("encrypt --project demo --database main/orders --force @plain @hard",
		CMEK_EXIT_REFUSED, "hard: is the input itself");
	refused("encrypt --project demo --database main/orders --force @soft @plain",
		CMEK_EXIT_REFUSED, "plain: is the input itself");
	has("plain", "card 4111");
	unlink(hard);
	unlink(soft);
}

static void an_empty_file_is_called_empty_and_a_cut_one_cut(void **state)
{
	(void)state;
	put("nothing", "");
	put("three", "CME");
	refused("decrypt @nothing @new", CMEK_EXIT_DAMAGED, "nothing: is empty: not an envelope");
	refused("inspect @nothing", CMEK_EXIT_DAMAGED, "nothing: is empty: not an envelope");
	refused("decrypt @three @new", CMEK_EXIT_DAMAGED, "damaged envelope: header: cut short");
	assert_false(is_there("new"));
}

static void a_message_goes_in_and_comes_out(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders --message --collection 449302 --name "
	     "q/3 "
	     "@plain @message --json");
	prints("\"plain_bytes\": 9");
	done("inspect @message");
	prints("format         CMEK 1 message");
	prints("record         none: opens only with its store");
	prints("collection     449302");
	prints("header_bytes   120");
	done("decrypt --name q/3 --database main/orders @message @again --force --json");
	prints("\"database\": \"main/orders\"");
	has("again", "card 4111");
	refused("decrypt @message @new", CMEK_EXIT_REFUSED, "give its name with --name");
	refused("decrypt --name q/4 @message @new", CMEK_EXIT_DAMAGED, "bound to another name");
	done("encrypt --project demo --database main/orders --message --embed @plain @message "
	     "--force");
	done("inspect @message --json");
	prints("\"record\": \"embedded\"");
	done("decrypt @message @again --force");
	has("again", "card 4111");
}

static void what_is_no_message_is_refused_in_words(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *word;
	} rows[] = {
		{"encrypt --project demo --database main/orders --embed @plain @new",
		 CMEK_EXIT_USAGE, "--collection and --embed are for --message"},
		{"encrypt --project demo --database main/orders --message --collection x @plain "
		 "@new",
		 CMEK_EXIT_USAGE, "--collection is a number, not x"},
		{"encrypt --project demo --database main/kept --message --embed @plain @new",
		 CMEK_EXIT_REFUSED, "keeps its key's record in its store: leave out --embed"},
		{"decrypt @cut @new", CMEK_EXIT_DAMAGED, "message: cut short"},
		{"inspect @cut", CMEK_EXIT_DAMAGED, "message: cut short"},
	};
	AUTO(freep) char *cut = in_home("cut");

	(void)state;
	done("encrypt --project demo --database main/kept --message @plain @cut");
	assert_int_equal(truncate(cut, 130), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		refused(rows[i].line, rows[i].code, rows[i].word);
		assert_false(is_there("new"));
	}
}

static void it_is_said_that_an_envelope_is_encrypted_again(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders @plain @once --force");
	assert_int_equal(run("encrypt --project demo --database main/orders @once @twice --force"),
			 CMEK_EXIT_OK);
	assert_non_null(strstr(buffer_text(&err), "once: is an envelope already"));
	done("decrypt @twice @undone");
	done("decrypt @undone @again --force");
	has("again", "card 4111");
}

static void what_is_refused_leaves_no_file(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *word;
	} rows[] = {
		{"decrypt @free.cmek @new --name a", CMEK_EXIT_REFUSED, "leave out --name"},
		{"decrypt @free.cmek @new --database main/bills", CMEK_EXIT_REFUSED,
		 "main/orders of project demo, not main/bills"},
		{"decrypt @free.cmek @new --project none", CMEK_EXIT_NOT_FOUND, "no project none"},
		{"decrypt @plain @new", CMEK_EXIT_DAMAGED, "not an envelope"},
		{"decrypt @none @new", CMEK_EXIT_NOT_FOUND, "No such file"},
		{"decrypt @ @new", CMEK_EXIT_FAILED, "is a folder"},
		{"decrypt @free.cmek @none/new", CMEK_EXIT_NOT_FOUND, "cannot be written"},
		{"decrypt @free.cmek - --json", CMEK_EXIT_USAGE, "name a file"},
		{"encrypt --project demo --database main/none @plain @new", CMEK_EXIT_NOT_FOUND,
		 "no database main/none"},
	};

	(void)state;
	done("encrypt --project demo --database main/orders @plain @free.cmek --force");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		refused(rows[i].line, rows[i].code, rows[i].word);
		assert_false(is_there("new"));
	}
}

static void an_envelope_of_another_project_is_told_by_its_name(void **state)
{
	(void)state;
	done("encrypt --project demo --database main/orders @plain @free.cmek --force");
	done("project create other");
	refused("decrypt --project other @free.cmek @new", CMEK_EXIT_NOT_FOUND,
		"it belongs to database main/orders of project demo, and project other can't open "
		"it; leave out --project");
	refused("decrypt --project other --database main/orders @free.cmek @new",
		CMEK_EXIT_NOT_FOUND, "it belongs to database main/orders of project demo");
	done("encrypt --project demo --database main/orders --message @plain @free.message");
	refused("decrypt --project other @free.message @new", CMEK_EXIT_NOT_FOUND,
		"it belongs to database main/orders of project demo");
	/* By the record that travels with it, where the root key is known. */
	done("key add --project other local:root");
	done("decrypt --project other @free.cmek @again --json --force");
	prints("\"database\": \"\"");
	has("again", "card 4111");
}

static void a_key_that_is_in_no_store_any_more_is_told_of(void **state)
{
	(void)state;
	assert_int_equal(run("database create --project demo --no-embed main/lost"), CMEK_EXIT_OK);
	done("encrypt --project demo --database main/lost @plain @lost.cmek");
	done("database delete --project demo main/lost");
	done("database erase --project demo --yes-erase main/lost main/lost");
	refused("decrypt @lost.cmek @new", CMEK_EXIT_NOT_FOUND,
		"is only in the store of project demo, and is not there; restore the store");
	assert_int_equal(run("decrypt --suffix .cmek @lost.cmek"), CMEK_EXIT_NOT_FOUND);
	refused("decrypt --database main/orders @lost.cmek @new", CMEK_EXIT_NOT_FOUND,
		"is in no project here, so it cannot be shown to be of main/orders");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_file_goes_in_and_comes_out),
	cmocka_unit_test(a_file_that_is_there_is_replaced_by_force_alone),
	cmocka_unit_test(the_input_is_never_written_to),
	cmocka_unit_test(an_empty_file_is_called_empty_and_a_cut_one_cut),
	cmocka_unit_test(a_message_goes_in_and_comes_out),
	cmocka_unit_test(what_is_no_message_is_refused_in_words),
	cmocka_unit_test(it_is_said_that_an_envelope_is_encrypted_again),
	cmocka_unit_test(what_is_refused_leaves_no_file),
	cmocka_unit_test(an_envelope_of_another_project_is_told_by_its_name),
	cmocka_unit_test(a_key_that_is_in_no_store_any_more_is_told_of),
};
const struct command_tests commands_files = {tests, COUNT_OF(tests)};
