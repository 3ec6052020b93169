/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tool's commands as functions, over the real module and the embedded KMS: what they answer,
 * print and leave behind. The program itself, with its standard streams and signals, is tested in
 * tests/e2e/. Here: the hierarchy at a glance, help, wrong lines, exit codes.
 */
#include "tests/module/commands.h"

#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>
#include <stdlib.h>

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
	done("policy --project demo --role reader --store --principal app");
	prints("setfacl -m u:app:r '");
	prints("\"access\": \"read\"");
	done("policy --project demo --role admin --store main/orders --principal "
	     "arn:aws:iam::1:role/r");
	prints("setfacl -m u:USER:rwx '");
}

static void the_hierarchy_is_a_page(void **state)
{
	AUTO(buffer_clear) struct buffer page = {0};
	AUTO(freep) char *path = in_home("page.html");

	(void)state;
	done("key create --project demo local:odd --label <b>&\"odd\"");
	done("tree --html @page.html");
	assert_true(file_read(path, 1 << 20, &page));
	assert_non_null(strstr(buffer_text(&page), "main/orders"));
	assert_non_null(strstr(buffer_text(&page), "&lt;b&gt;&amp;&quot;odd&quot;"));
	assert_null(strstr(buffer_text(&page), "<script"));
	refused("tree --html @page.html", CMEK_EXIT_REFUSED, "is there already");
	refused("tree --html @page.html --json", CMEK_EXIT_USAGE, "give one");
	done("tree --html @page.html --force --offline");
	refused("tree --force", CMEK_EXIT_USAGE, "--force is for the file of --html");
	done("key remove --project demo --now <b>&\"odd\"");
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
	for (size_t i = 0; i < command_count(); i++) {
		AUTO(buffer_clear) struct buffer line = {0};

		buffer_format(&line, "%s%s%s --help", command_at(i)->noun,
			      command_at(i)->verb == NULL ? "" : " ",
			      command_at(i)->verb == NULL ? "" : command_at(i)->verb);
		done(buffer_text(&line));
		prints("usage: cmek ");
		prints(command_at(i)->help);
	}
}

static void a_wrong_line_is_a_usage_error(void **state)
{
	(void)state;
	refused("", CMEK_EXIT_USAGE, "no command given");
	refused("frobnicate", CMEK_EXIT_USAGE, "no such command: frobnicate");
	refused("key", CMEK_EXIT_USAGE, "see cmek key --help");
	refused("cluster create x", CMEK_EXIT_USAGE, "missing --key");
	refused("key list --porject demo", CMEK_EXIT_USAGE, "--porject");
	refused("key list --project", CMEK_EXIT_USAGE, "--project");
	refused("inspect a b", CMEK_EXIT_USAGE, "one argument too many: b");
}

static void configure_cli(const char *project, const char *database)
{
	AUTO(freep) char *path = in_home("with-cli.conf"), *store = in_home("store.db");
	AUTO(buffer_clear) struct buffer text = {0};

	buffer_format(&text, "[store]\npath = %s\n[cli]\nproject = %s\ndatabase = %s\n", store,
		      project, database);
	put("with-cli.conf", buffer_text(&text));
	setenv("CMEK_PKCS11_CONF", path, 1);
}

/* The environment, then the configuration, then the only one; other commands are not narrowed. */
static void project_and_database_have_defaults(void **state)
{
	AUTO(freep) char *before = strdup(getenv("CMEK_PKCS11_CONF"));

	(void)state;
	refused("key list", CMEK_EXIT_USAGE, "missing --project, since there are several (");
	setenv("CMEK_PROJECT", "demo", 1);
	done("key list");
	prints("root");
	refused("encrypt @plain @by-default", CMEK_EXIT_USAGE,
		"missing --database, since there are several (");
	setenv("CMEK_DATABASE", "main/orders", 1);
	done("encrypt @plain @by-default --json");
	prints("\"database\": \"main/orders\"");
	unsetenv("CMEK_PROJECT");
	unsetenv("CMEK_DATABASE");
	configure_cli("demo", "main/bills");
	done("encrypt @plain @by-default --json --force");
	prints("\"database\": \"main/bills\"");
	setenv("CMEK_PROJECT", "none", 1);
	refused("key list", CMEK_EXIT_NOT_FOUND, "no project none (from CMEK_PROJECT)");
	refused("key list --project none", CMEK_EXIT_NOT_FOUND, "no project none; see");
	done("decrypt @by-default @plain --force");
	unsetenv("CMEK_PROJECT");
	configure_cli("demo", "main/nope");
	refused("encrypt @plain @new", CMEK_EXIT_NOT_FOUND,
		"no database main/nope (from [cli] database); see cmek tree");
	setenv("CMEK_DATABASE", "main/no", 1);
	refused("encrypt --suffix .x @plain", CMEK_EXIT_NOT_FOUND,
		"no database main/no (from CMEK_DATABASE)");
	refused("encrypt --database main/no @plain @new", CMEK_EXIT_NOT_FOUND,
		"no database main/no; see");
	unsetenv("CMEK_DATABASE");
	setenv("CMEK_PKCS11_CONF", before, 1);
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
		{CKR_TOKEN_WRITE_PROTECTED, CMEK_ERROR_STORE_MOVED, CMEK_EXIT_REFUSED},
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
	cmocka_unit_test(the_hierarchy_is_a_page),
	cmocka_unit_test(doctor_finds_what_is_wrong),
	cmocka_unit_test(help_is_for_all_and_for_each),
	cmocka_unit_test(a_wrong_line_is_a_usage_error),
	cmocka_unit_test(project_and_database_have_defaults),
	cmocka_unit_test(each_failure_has_its_exit_code),
};
static const struct command_tests commands_at_a_glance = {tests, COUNT_OF(tests)};

/* One group, so that they go on with one store. */
int main(void)
{
	const struct command_tests *const parts[] = {
		&commands_nouns, &commands_root_keys, &commands_files,	&commands_at_a_glance,
		&commands_store, &commands_deleted,   &commands_doctor,
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
