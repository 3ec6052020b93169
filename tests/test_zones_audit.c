/* The audit log: what a line says, that lines of many processes stay whole, and that rotation needs
 * no arrangement. */
#include "zones/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "tests/unit.h"

static char folder[] = "/tmp/cmek-audit.XXXXXX";
static char path[64], moved[64];

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
	snprintf(moved, sizeof(moved), "%s/audit.jsonl.1", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	audit_configure(NULL);
	unlink(path);
	unlink(moved);
	return rmdir(folder);
}

static const struct audit_event decrypted = {
	.event = "kms",
	.action = "Decrypt",
	.outcome = "access denied",
	.project = "payments \"eu\"\n",
	.name = "prod/orders",
	.zone = 9007199254740993, /* beyond what a double holds */
	.version = 3,
	.root_key = "arn:aws:kms:us-west-2:111122223333:key/a",
	.purpose = "ezk",
	.request_id = "r-1",
	.duration_us = 1500,
};

/* The lines of a file as JSON; fails the test if one is none. */
static json_t *read_lines(const char *file)
{
	struct buffer text = {0};
	json_t *lines = json_array();
	char *line, *rest = NULL;

	assert_true(file_read(file, 64 << 20, &text));
	for (line = strtok_r((char *)buffer_text(&text), "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *object = json_loads(line, 0, NULL);

		assert_true(json_is_object(object));
		json_array_append_new(lines, object);
	}
	buffer_clear(&text);
	return lines;
}

static const char *text_of(const json_t *lines, size_t index, const char *name)
{
	return json_string_value(json_object_get(json_array_get(lines, index), name));
}

static void a_line_says_who_did_what_to_what(void **state)
{
	json_t *lines, *line;
	struct stat status;

	(void)state;
	assert_true(audit_configure(path));
	audit_enter("C_UnwrapKey");
	audit_write(&decrypted);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 1);
	line = json_array_get(lines, 0);
	assert_string_equal(text_of(lines, 0, "function"), "C_UnwrapKey");
	assert_string_equal(text_of(lines, 0, "zone"), "9007199254740993");
	assert_string_equal(text_of(lines, 0, "project"), decrypted.project);
	assert_string_equal(text_of(lines, 0, "outcome"), "access denied");
	assert_string_equal(text_of(lines, 0, "request_id"), "r-1");
	assert_int_equal(json_integer_value(json_object_get(line, "version")), 3);
	assert_int_equal(json_integer_value(json_object_get(line, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(line, "duration_us")), 1500);
	assert_null(json_object_get(line, "project_id"));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	json_decref(lines);
}

static void a_file_that_is_moved_away_is_followed_by_a_new_one(void **state)
{
	json_t *lines;

	(void)state;
	assert_true(audit_configure(path));
	audit_write(&decrypted);
	assert_int_equal(rename(path, moved), 0);
	audit_write(&decrypted);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 1);
	json_decref(lines);
}

enum { PROCESSES = 8, LINES = 200 };

static void lines_of_many_processes_stay_whole(void **state)
{
	json_t *lines;
	int status;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() != 0)
			continue;
		for (int n = 0; n < LINES; n++)
			audit_write(&decrypted);
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), PROCESSES * LINES);
	json_decref(lines);
}

static void a_log_that_cannot_be_written_stops_nobody(void **state)
{
	(void)state;
	assert_true(audit_configure("/nowhere/audit.jsonl"));
	audit_write(&decrypted);
	assert_int_equal(access("/nowhere/audit.jsonl", F_OK), -1);
}

static void without_a_path_nothing_is_written(void **state)
{
	(void)state;
	unlink(path);
	assert_true(audit_configure(NULL));
	audit_write(&decrypted);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_who_did_what_to_what),
		cmocka_unit_test(a_file_that_is_moved_away_is_followed_by_a_new_one),
		cmocka_unit_test(lines_of_many_processes_stay_whole),
		cmocka_unit_test(a_log_that_cannot_be_written_stops_nobody),
		cmocka_unit_test(without_a_path_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
