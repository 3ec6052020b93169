/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what a line says, that no name breaks it, that lines of many processes stay whole,
 * that rotation needs no arrangement, and what becomes of a line that can't be written. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/audit_lines.h"
#include "zones/kms/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/cmek-audit.XXXXXX";
static char path[64], moved[64];

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || !crypto_start(false))
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
	.project_id = {{0x01, 0xab}},
	.name = "prod/orders",
	.zone = 9007199254740993, /* beyond what a double holds */
	.version = 3,
	.root_key = "arn:aws:kms:us-west-2:111122223333:key/a",
	.purpose = "ezk",
	.request_id = "r-1",
	.duration_us = 1500,
};

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
	/* What a process with FIPS has said, none other has. */
	assert_int_equal(json_object_get(line, "cryptography") != NULL, crypto_is_fips());
	assert_text(lines, 0, "project_id", "01ab0000000000000000000000000000");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	json_decref(lines);
}

static void what_does_not_apply_is_left_out(void **state)
{
	const struct audit_event event = {
		.event = "project", .action = "created", .outcome = "ok", .duration_us = -1};
	static const char *const expected[] = {"time",	"pid",	  "program", "function",
					       "event", "action", "outcome", "host",
					       "uid",	"module"};
	json_t *lines, *line;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	audit_enter("C_InitToken");
	audit_write(&event);
	lines = read_lines(path);
	/* A user may have no name; a process without FIPS says nothing of cryptography. */
	line = json_array_get(lines, 0);
	assert_int_equal(json_object_size(line), COUNT_OF(expected) +
							 (json_object_get(line, "user") != NULL) +
							 crypto_is_fips());
	for (size_t i = 0; i < COUNT_OF(expected); i++)
		assert_non_null(json_object_get(line, expected[i]));
	json_decref(lines);
}

/* Labels are anybody's, and a program may be called anything. */
static void no_name_breaks_a_line(void **state)
{
	static const struct {
		const char *name;
		const char *read;
	} cases[] = {
		{"\"},\n{\"event\":\"forged\"}", NULL},
		{"\\\"\\", NULL},
		{"tab\there\r\n", NULL},
		{"\x01\x1b[2J\x7f", NULL},
		{"M\xc3\xbcnchen", NULL},
		{"next\xc2\x85line\xe2\x80\xa8separator\xe2\x80\xa9", NULL},
		{"\xf0\x9f\x94\x91", NULL},
		{"bad\xff\xfe\"\n", "bad\xef\xbf\xbd\xef\xbf\xbd\"\n"},
		{"cut\xc3", "cut\xef\xbf\xbd"},
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
	};
	json_t *lines;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct audit_event event = decrypted;

		event.name = event.project = event.root_key = event.request_id = cases[i].name;
		audit_write(&event);
	}
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), COUNT_OF(cases));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *read = cases[i].read != NULL ? cases[i].read : cases[i].name;

		assert_text(lines, i, "name", read);
		assert_text(lines, i, "project", read);
		assert_text(lines, i, "root_key", read);
		assert_text(lines, i, "request_id", read);
		assert_text(lines, i, "action", "Decrypt");
	}
	json_decref(lines);
}

static void a_file_that_is_moved_away_is_followed_by_a_new_one(void **state)
{
	json_t *lines;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	audit_write(&decrypted);
	assert_int_equal(rename(path, moved), 0);
	audit_write(&decrypted);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 1);
	json_decref(lines);
}

static void a_file_that_is_copied_and_truncated_goes_on_at_its_begin(void **state)
{
	json_t *lines;

	(void)state;
	assert_true(audit_configure(path));
	audit_write(&decrypted);
	assert_int_equal(truncate(path, 0), 0);
	audit_write(&decrypted);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 1);
	json_decref(lines);
}

static void limit_files_to(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What a full disk does. */
static void a_piece_of_a_line_does_not_spoil_the_next(void **state)
{
	struct buffer text = {0};
	const char *second;
	json_t *line;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	signal(SIGXFSZ, SIG_IGN);
	limit_files_to(100);
	audit_write(&decrypted);
	limit_files_to(RLIM_INFINITY);
	audit_write(&decrypted);
	audit_write(&decrypted);
	assert_true(file_read(path, 1 << 20, &text));
	second = strchr(buffer_text(&text), '\n');
	assert_non_null(second);
	assert_int_equal(second - buffer_text(&text), 99);
	for (size_t i = 0; i < 99; i++)
		assert_int_equal(text.data[i], ' ');
	line = json_loads(second + 1, JSON_DISABLE_EOF_CHECK, NULL);
	assert_true(json_is_object(line));
	json_decref(line);
	assert_null(strstr(second, "\n\n"));
	buffer_clear(&text);
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

/* --- What can't be written */

static char log_path[80];

static void write_in_vain(const char *to, const char *why)
{
	struct buffer text = {0};

	(void)!truncate(log_path, 0); /* it may not be there yet */
	assert_true(log_configure(LOG_WARNING, log_path));
	log_reason("access denied");
	errno = EDOM;
	assert_true(audit_configure(to));
	audit_write(&decrypted);
	assert_int_equal(errno, EDOM);
	assert_string_equal(log_last(), "access denied");
	log_configure(LOG_OFF, "stderr");
	assert_true(file_read(log_path, 1 << 20, &text));
	if (why == NULL) {
		assert_int_equal(text.len, 0);
	} else {
		assert_non_null(strstr(buffer_text(&text), to));
		assert_non_null(strstr(buffer_text(&text), why));
		assert_non_null(strstr(buffer_text(&text), "a line is lost: kms Decrypt"));
		assert_int_equal(strchr(buffer_text(&text), '\n') - buffer_text(&text),
				 text.len - 1);
	}
	buffer_clear(&text);
}

static void a_log_that_cannot_be_written_stops_nobody_and_is_said(void **state)
{
	(void)state;
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	write_in_vain("/nowhere/audit.jsonl", "Its folder does not exist");
	assert_int_equal(access("/nowhere/audit.jsonl", F_OK), -1);
	write_in_vain("/dev/full", "No space left on device");
	write_in_vain(folder, "Is a directory");
	write_in_vain(path, NULL);
	unlink(log_path);
}

/* A reader that does not read must keep nobody waiting. */
static void a_pipe_that_nobody_reads_keeps_nobody_waiting(void **state)
{
	char pipe_path[80];
	int reader;

	(void)state;
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	write_in_vain(pipe_path, "No such device or address");
	reader = open(pipe_path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	fcntl(reader, F_SETPIPE_SZ, 4096);
	for (int i = 0; i < 100; i++)
		audit_write(&decrypted);
	write_in_vain(pipe_path, "temporarily unavailable");
	close(reader);
	unlink(pipe_path);
	unlink(log_path);
}

static void what_is_required_is_known_before_it_is_done(void **state)
{
	char pipe_path[80];
	int reader;

	(void)state;
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
	assert_true(audit_configure("/nowhere/audit.jsonl"));
	assert_int_equal(audit_ready(), ZONE_OK);
	assert_int_equal(audit_write(&decrypted), ZONE_OK);

	audit_require(true);
	assert_int_equal(audit_ready(), ZONE_AUDIT_UNAVAILABLE);
	assert_non_null(strstr(log_last(),
			       "/nowhere/audit.jsonl can't be written: Its folder does not exist"));
	assert_int_equal(audit_write(&decrypted), ZONE_AUDIT_UNAVAILABLE);
	assert_true(audit_configure(folder));
	assert_int_equal(audit_ready(), ZONE_AUDIT_UNAVAILABLE);

	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_true(audit_configure(pipe_path));
	assert_int_equal(audit_ready(), ZONE_AUDIT_UNAVAILABLE);
	reader = open(pipe_path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(audit_ready(), ZONE_OK);
	fcntl(reader, F_SETPIPE_SZ, 4096);
	while (audit_write(&decrypted) == ZONE_OK)
		;
	assert_int_equal(audit_ready(), ZONE_AUDIT_UNAVAILABLE);
	close(reader);
	unlink(pipe_path);

	unlink(path);
	assert_true(audit_configure(path));
	assert_int_equal(audit_ready(), ZONE_OK);
	signal(SIGXFSZ, SIG_IGN);
	limit_files_to(100);
	assert_int_equal(audit_ready(), ZONE_AUDIT_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "File too large"));
	limit_files_to(RLIM_INFINITY);
	assert_int_equal(audit_ready(), ZONE_OK);
	assert_int_equal(audit_write(&decrypted), ZONE_OK);
	/* A device tells only when it is written. */
	assert_true(audit_configure("/dev/full"));
	assert_int_equal(audit_ready(), ZONE_OK);
	assert_int_equal(audit_write(&decrypted), ZONE_AUDIT_UNAVAILABLE);
	assert_true(audit_configure(NULL));
	assert_int_equal(audit_ready(), ZONE_OK);
	assert_int_equal(audit_write(&decrypted), ZONE_OK);
	audit_require(false);
}

/* Else each line that is lost would be told twice: as itself, and as the refusal it leads to. */
static void the_loss_of_a_line_about_lost_lines_is_not_said(void **state)
{
	struct audit_event event = decrypted;
	struct buffer text = {0};

	(void)state;
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	assert_true(log_configure(LOG_WARNING, log_path));
	assert_true(audit_configure("/nowhere/audit.jsonl"));
	audit_require(true);
	event.outcome = zone_status_text(ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(audit_write(&event), ZONE_AUDIT_UNAVAILABLE);
	assert_int_equal(access(log_path, F_OK) == 0 && file_read(log_path, 1 << 20, &text) &&
				 text.len > 0,
			 0);
	audit_require(false);
	log_configure(LOG_OFF, "stderr");
	buffer_clear(&text);
	unlink(log_path);
}

/* What is reserved for lines is no part of the file. */
static void room_that_is_kept_does_not_show(void **state)
{
	json_t *lines;

	(void)state;
	unlink(path);
	assert_true(audit_configure(path));
	audit_require(true);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(audit_ready(), ZONE_OK);
		assert_int_equal(audit_write(&decrypted), ZONE_OK);
	}
	audit_require(false);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 3);
	json_decref(lines);
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
		cmocka_unit_test(what_does_not_apply_is_left_out),
		cmocka_unit_test(no_name_breaks_a_line),
		cmocka_unit_test(a_file_that_is_moved_away_is_followed_by_a_new_one),
		cmocka_unit_test(a_file_that_is_copied_and_truncated_goes_on_at_its_begin),
		cmocka_unit_test(a_piece_of_a_line_does_not_spoil_the_next),
		cmocka_unit_test(lines_of_many_processes_stay_whole),
		cmocka_unit_test(a_log_that_cannot_be_written_stops_nobody_and_is_said),
		cmocka_unit_test(a_pipe_that_nobody_reads_keeps_nobody_waiting),
		cmocka_unit_test(what_is_required_is_known_before_it_is_done),
		cmocka_unit_test(the_loss_of_a_line_about_lost_lines_is_not_said),
		cmocka_unit_test(room_that_is_kept_does_not_show),
		cmocka_unit_test(without_a_path_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
