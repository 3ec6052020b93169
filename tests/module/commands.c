/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool's commands as functions, over the real module and the embedded KMS: what they answer,
 * print and leave behind. The program itself, with its standard streams and signals, is tested in
 * tests/e2e/. Here: the hierarchy at a glance, help, wrong lines, exit codes.
 */
#include "tests/module/commands.h"

#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>

static void the_hierarchy_is_shown(void **state)
{
	(void)state;
	done("tree --project demo");
	prints("database main/orders");
	done("tree --json");
	json_decref(printed_json());
	refused("policy --project demo --role reader main/orders", CMEK_EXIT_NOT_FOUND,
		"no root key whose KMS has policies");
	refused("policy --project demo --role owner", CMEK_EXIT_USAGE, "rewrapper");
}

static void doctor_finds_what_is_wrong(void **state)
{
	(void)state;
	done("doctor --project demo");
	prints("root key root");
	done("key disable --project demo root");
	assert_int_not_equal(run("doctor --project demo --json"), CMEK_EXIT_OK);
	prints("\"ok\": false");
	done("key enable --project demo root");
}

static void help_is_for_all_and_for_each(void **state)
{
	(void)state;
	done("--help");
	prints("Commands:");
	done("key --help");
	prints("cmek key add");
	done("--version");
	prints("cmek " CMEK_VERSION);
	for (size_t i = 0; i < command_count; i++) {
		AUTO(buffer_clear) struct buffer line = {0};

		buffer_format(&line, "%s%s%s --help", commands[i].noun,
			      commands[i].verb == NULL ? "" : " ",
			      commands[i].verb == NULL ? "" : commands[i].verb);
		done(buffer_text(&line));
		prints("usage: cmek ");
		prints(commands[i].help);
	}
}

static void a_wrong_line_is_a_usage_error(void **state)
{
	(void)state;
	refused("", CMEK_EXIT_USAGE, "no command given");
	refused("frobnicate", CMEK_EXIT_USAGE, "no such command: frobnicate");
	refused("key", CMEK_EXIT_USAGE, "see cmek key --help");
	refused("key list", CMEK_EXIT_USAGE, "missing --project");
	refused("key list --porject demo", CMEK_EXIT_USAGE, "--porject");
	refused("key list --project", CMEK_EXIT_USAGE, "--project");
	refused("inspect a b", CMEK_EXIT_USAGE, "one argument too many: b");
}

/* The reason counts, where the module gives one; else the return value. */
static void each_failure_has_its_exit_code(void **state)
{
	static const struct {
		CK_RV rv;
		CK_ULONG reason;
		int code;
	} rows[] = {
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DISABLED, CMEK_EXIT_DENIED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DENIED, CMEK_EXIT_DENIED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_UNAVAILABLE, CMEK_EXIT_UNAVAILABLE},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_READ_ONLY, CMEK_EXIT_UNAVAILABLE},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_CORRUPT, CMEK_EXIT_DAMAGED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_INVALID_CIPHERTEXT, CMEK_EXIT_DAMAGED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_NOT_FOUND, CMEK_EXIT_NOT_FOUND},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_EXISTS, CMEK_EXIT_REFUSED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_NONE, CMEK_EXIT_UNAVAILABLE},
		{CKR_KEY_NOT_WRAPPABLE, CMEK_ERROR_NONE, CMEK_EXIT_REFUSED},
		{CKR_GENERAL_ERROR, CMEK_ERROR_NONE, CMEK_EXIT_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(exit_code_for(rows[i].rv, rows[i].reason), rows[i].code);
	assert_string_equal(rv_text(CKR_TOKEN_WRITE_PROTECTED), "the store is read-only");
	assert_string_equal(rv_text(CKR_GENERAL_ERROR), "PKCS #11 error 0x5");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_hierarchy_is_shown),
	cmocka_unit_test(doctor_finds_what_is_wrong),
	cmocka_unit_test(help_is_for_all_and_for_each),
	cmocka_unit_test(a_wrong_line_is_a_usage_error),
	cmocka_unit_test(each_failure_has_its_exit_code),
};
static const struct command_tests commands_at_a_glance = {tests, COUNT_OF(tests)};

/* One group, so that they go on with one store. */
int main(void)
{
	const struct command_tests *const parts[] = {
		&commands_nouns,       &commands_root_keys, &commands_files,
		&commands_at_a_glance, &commands_store,	    &commands_deleted,
	};
	static struct CMUnitTest all[64];
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		for (size_t j = 0; j < parts[i]->count; j++) {
			assert_true(count < COUNT_OF(all));
			all[count++] = parts[i]->tests[j];
		}
	return _cmocka_run_group_tests("commands", all, count, tool_start, tool_stop);
}
