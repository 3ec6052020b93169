/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek doctor: its rows, which comes first, and what is told once. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/module/commands.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>
#include <stdlib.h>

static const char *text_in(json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

/* How many rows are about such a thing. */
static size_t rows_of(json_t *report, const char *what)
{
	json_t *rows = json_object_get(report, "rows");
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(rows); i++)
		count += strcmp(text_in(json_array_get(rows, i), "what"), what) == 0;
	return count;
}

static json_t *report_of(const char *line, int code)
{
	json_t *report;

	assert_int_equal(run(line), code);
	report = printed_json();
	assert_int_equal(json_integer_value(json_object_get(report, "exit_code")), code);
	return report;
}

static void each_thing_is_a_row_with_fields(void **state)
{
	json_t *report;

	(void)state;
	done("project create clinic");
	done("key create --project clinic local:clinic --label root");
	done("cluster create --project clinic main --key root --region local");
	done("database create --project clinic main/orders");
	report = report_of("doctor --project clinic --json", CMEK_EXIT_OK);
	assert_true(json_is_true(json_object_get(report, "ok")));
	assert_string_equal(text_in(report, "verdict"), "all works");
	for (size_t i = 0; i < json_array_size(json_object_get(report, "rows")); i++)
		assert_string_equal(
			text_in(json_array_get(json_object_get(report, "rows"), i), "status"),
			"ok");
	assert_int_equal(rows_of(report, "module"), 1);
	assert_int_equal(rows_of(report, "root key"), 1);
	assert_true(rows_of(report, "store") >= 2 && rows_of(report, "KMS") >= 2);
	json_decref(report);
	/* Nothing that is not in the file. */
	done("doctor --project clinic");
	assert_null(strstr(buffer_text(&out), "[slots] free"));
	prints("verdict: all works\n");
}

static void some_zones_below_a_root_key_are_opened_or_all(void **state)
{
	json_t *report;

	(void)state;
	for (int i = 0; i < 9; i++) {
		char line[80];

		snprintf(line, sizeof(line), "database create --project clinic main/%d", i);
		done(line);
	}
	report = report_of("doctor --project clinic --json", CMEK_EXIT_OK);
	assert_int_equal(rows_of(report, "zone"), 3);
	json_decref(report);
	done("doctor --project clinic");
	prints("more were not opened; to open each: --all\n");
	report = report_of("doctor --project clinic --all --json", CMEK_EXIT_OK);
	assert_true(rows_of(report, "zone") > 9);
	assert_int_equal(rows_of(report, "zones"), 0);
	json_decref(report);
}

static void the_fault_of_a_root_key_comes_first_and_is_told_once(void **state)
{
	json_t *report, *first;

	(void)state;
	done("key disable --project clinic root");
	report = report_of("doctor --project clinic --json", CMEK_EXIT_DENIED);
	first = json_array_get(json_object_get(report, "rows"), 0);
	assert_string_equal(text_in(first, "what"), "root key");
	assert_string_equal(text_in(first, "which"), "root");
	assert_string_equal(text_in(first, "status"), "failed");
	assert_string_equal(text_in(first, "to_do"), "enable the key: cmek key enable");
	assert_int_equal(rows_of(report, "zone"), 0);
	assert_int_equal(rows_of(report, "zones"), 1);
	json_decref(report);
	assert_int_equal(run("doctor --project clinic --all"), CMEK_EXIT_DENIED);
	assert_ptr_equal(strstr(buffer_text(&out), "root key root"), buffer_text(&out));
	prints("can't be opened for that; mend the root key\n");
	prints("verdict: 1 of ");
	assert_int_equal(err.len, 0);
	done("key enable --project clinic root");
}

static void a_store_that_does_not_answer_is_told_with_its_reason(void **state)
{
	AUTO(freep) char *before = strdup(getenv("CMEK_PKCS11_CONF")), *why = NULL;
	AUTO(freep) char *path = in_home("away.conf");

	(void)state;
	put("away.conf", "[store]\nbackend = etcd\nendpoint = http://127.0.0.1:1\n");
	setenv("CMEK_PKCS11_CONF", path, 1);
	refused("store check", CMEK_EXIT_UNAVAILABLE, "; look at [store] endpoint");
	why = strdup(strstr(buffer_text(&err), "store http://"));
	*strchrnul(why, '\n') = '\0';
	assert_int_equal(run("doctor"), CMEK_EXIT_UNAVAILABLE);
	prints(why);
	prints("as nobody: no [store] user or client_certificate is set");
	setenv("CMEK_PKCS11_CONF", before, 1);
}

static void what_is_not_set_up_has_its_exit_code(void **state)
{
	json_t *report, *first;

	(void)state;
	done("project create bare");
	report = report_of("doctor --project bare --json", CMEK_EXIT_NOT_FOUND);
	first = json_array_get(json_object_get(report, "rows"), 0);
	assert_string_equal(text_in(first, "status"), "not set up");
	assert_string_equal(text_in(report, "verdict"),
			    "what is set up works; begin with the first line");
	json_decref(report);
	refused("doctor --project none", CMEK_EXIT_NOT_FOUND, "no project none; see cmek project");
	/* Of several projects each row says whose it is. */
	assert_int_equal(run("doctor"), CMEK_EXIT_NOT_FOUND);
	prints("root keys (project bare): not set up: project bare has none; register one: cmek "
	       "key add, or of the embedded KMS cmek key create\n");
}

static void a_key_is_tried_before_it_is_registered(void **state)
{
	(void)state;
	assert_int_equal(run("doctor --project clinic --kms local:nobody"), CMEK_EXIT_DENIED);
	prints("key (local:nobody): FAILED: ");
	done("doctor --project clinic --kms local:clinic");
	prints("): ok, it encrypts and decrypts\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_thing_is_a_row_with_fields),
	cmocka_unit_test(some_zones_below_a_root_key_are_opened_or_all),
	cmocka_unit_test(the_fault_of_a_root_key_comes_first_and_is_told_once),
	cmocka_unit_test(a_store_that_does_not_answer_is_told_with_its_reason),
	cmocka_unit_test(what_is_not_set_up_has_its_exit_code),
	cmocka_unit_test(a_key_is_tried_before_it_is_registered),
};
const struct command_tests commands_doctor = {tests, COUNT_OF(tests)};
