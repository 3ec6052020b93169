/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Programs run for their output, and the credentials that one prints. */
#include "base/log.h"
#include "base/macros.h"
#include "base/process.h"
#include "crypto/crypto.h"
#include "tests/support/aws_home.h"
#include "tests/support/aws_look.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void words_are_split_as_a_shell_splits_simple_ones(void **state)
{
	static const struct {
		const char *line, *words[6];
	} rows[] = {
		{"a b  c", {"a", "b", "c"}},
		{"  /opt/x --y=z\t1\n", {"/opt/x", "--y=z", "1"}},
		{"'a b' \"c d\" e' 'f", {"a b", "c d", "e f"}},
		{"\"it's\" 'say \"x\"'", {"it's", "say \"x\""}},
		{"a\\ b \"c\\\"d\" 'e\\f' \"g\\h\"", {"a b", "c\"d", "e\\f", "g\\h"}},
		{"'' \"\" x", {"", "", "x"}},
		{"$HOME ~ * `x` ; | >", {"$HOME", "~", "*", "`x`", ";", "|"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer text = {0};
		char *words[PROCESS_WORDS_MAX + 1];

		assert_true(process_split(rows[i].line, &text, words));
		for (size_t j = 0; j < 6 && rows[i].words[j] != NULL; j++)
			assert_string_equal(words[j], rows[i].words[j]);
	}
}

static void what_is_no_command_is_refused(void **state)
{
	static const char *const lines[] = {"", "   ", "'a", "a \"b"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		AUTO(buffer_clear) struct buffer text = {0};
		char *words[PROCESS_WORDS_MAX + 1];

		assert_false(process_split(lines[i], &text, words));
	}
}

static enum process_result run(const char *script, int64_t timeout_ms, struct buffer *output,
			       int *code)
{
	char *words[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};

	output->limit = 8192;
	return process_run(words, timeout_ms, output, code);
}

static void output_and_code_come_back(void **state)
{
	AUTO(buffer_clear) struct buffer output = {0};
	int code = -1;

	(void)state;
	assert_int_equal(run("echo hello; exit 3", 60000, &output, &code), PROCESS_ENDED);
	assert_bytes(buffer_bytes(&output), bytes_of("hello\n"));
	assert_int_equal(code, 3);
	assert_int_equal(run("kill -TERM $$", 60000, &output, &code), PROCESS_ENDED);
	assert_int_equal(code, 128 + SIGTERM);
}

/* Valgrind and qemu-user make a fork of posix_spawn's vfork: the error stays in the child. */
static void skip_unless_spawning_tells(void)
{
	char *words[] = {(char *)"/nowhere/at/all", NULL};
	pid_t pid;

	if (posix_spawn(&pid, words[0], NULL, NULL, words, environ) != 0)
		return;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	print_message("# reason: posix_spawn does not tell here that a program is not there\n");
	skip();
}

static void a_program_that_is_not_there_is_told(void **state)
{
	char *words[] = {(char *)"/nowhere/at/all", NULL};
	AUTO(buffer_clear) struct buffer output = {.limit = 10};
	int code = 0;

	(void)state;
	skip_unless_spawning_tells();
	assert_int_equal(process_run(words, 60000, &output, &code), PROCESS_NOT_STARTED);
	assert_int_equal(errno, ENOENT);
}

static void eight_kilobytes_are_the_most(void **state)
{
	AUTO(buffer_clear) struct buffer fits = {0}, too_long = {0}, endless = {0};
	int code = 0;

	(void)state;
	assert_int_equal(run("head -c 8192 /dev/zero", 60000, &fits, &code), PROCESS_ENDED);
	assert_int_equal(fits.len, 8192);
	assert_int_equal(run("head -c 8193 /dev/zero", 60000, &too_long, &code), PROCESS_TOO_LONG);
	assert_int_equal(run("exec cat /dev/zero", 60000, &endless, &code), PROCESS_TOO_LONG);
}

static void one_that_hangs_is_ended(void **state)
{
	AUTO(buffer_clear) struct buffer output = {0};
	char path[AWS_HOME_PATH], script[AWS_HOME_PATH + 64];
	FILE *file;
	int code = 0, pid = 0;

	(void)state;
	aws_home_path("pid", path);
	aws_home_write("pid", "");
	snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 1000", path);
	assert_int_equal(run(script, 3000, &output, &code), PROCESS_TIMED_OUT);
	file = fopen(path, "re");
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void a_grandchild_that_keeps_the_pipe_does_not_hold_us_up(void **state)
{
	AUTO(buffer_clear) struct buffer output = {0};
	int code = -1, pid;

	(void)state;
	assert_int_equal(run("sleep 1000 & echo $!", 20000, &output, &code), PROCESS_ENDED);
	buffer_append(&output, bytes("", 1));
	pid = atoi((const char *)output.data);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(code, 0);
}

static void it_inherits_the_environment_and_nothing_else(void **state)
{
	AUTO(buffer_clear) struct buffer output = {0}, open_files = {0};
	sigset_t all, before;
	int fd = open("/dev/null", O_RDONLY), code = 0; /* without CLOEXEC, as hosts do */

	(void)state;
	setenv("CMEK_TEST_VALUE", "inherited", 1);
	assert_int_equal(run("printf %s \"$CMEK_TEST_VALUE\"; cat", 60000, &output, &code),
			 PROCESS_ENDED);
	assert_bytes(buffer_bytes(&output), bytes_of("inherited"));
	assert_int_equal(dup2(fd, 77), 77);
	assert_int_equal(run("test ! -e /proc/$$/fd/77", 60000, &open_files, &code), PROCESS_ENDED);
	assert_int_equal(code, 0);
	close(77);
	close(fd);
	/* Nor the thread's blocked signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	assert_int_equal(run("kill -TERM $$; sleep 1000", 60000, &output, &code), PROCESS_ENDED);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(code, 128 + SIGTERM);
}

static void the_host_s_own_children_are_not_touched(void **state)
{
	AUTO(buffer_clear) struct buffer output = {0};
	int code = 0, status = 0;
	pid_t own = fork();

	(void)state;
	if (own == 0)
		_exit(7);
	assert_int_equal(run("exit 4", 60000, &output, &code), PROCESS_ENDED);
	assert_int_equal(code, 4);
	assert_int_equal(waitpid(own, &status, 0), own);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void a_host_that_ignores_its_children_gets_its_output_all_the_same(void **state)
{
	void (*before)(int) = signal(SIGCHLD, SIG_IGN);
	AUTO(buffer_clear) struct buffer output = {0};
	int code = -1;

	(void)state;
	assert_int_equal(run("echo hello", 60000, &output, &code), PROCESS_ENDED);
	signal(SIGCHLD, before);
	assert_bytes(buffer_bytes(&output), bytes_of("hello\n"));
	assert_int_equal(code, 0);
}

/* The source. */

static struct aws_look look;

static int set_up(void **state)
{
	(void)state;
	aws_home_empty();
	aws_look_init(&look);
	setenv("AWS_PROFILE", "work", 1);
	return 0;
}

/* The profile's program prints `json` and ends with `code`. */
static void set_program(const char *json, int code)
{
	char path[AWS_HOME_PATH], text[AWS_HOME_PATH + 64], script[1024];

	aws_home_path("give me", path);
	snprintf(script, sizeof(script), "cat <<'E'\n%s\nE\nexit %d\n", json, code);
	aws_home_write("give me", script);
	snprintf(text, sizeof(text), "[profile work]\ncredential_process = sh '%s'\n", path);
	aws_home_write("config", text);
}

static void a_program_gives_credentials(void **state)
{
	(void)state;
	set_program("{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\\u002fs\", "
		    "\"SessionToken\": \"t\", \"Expiration\": \"2025-11-24T18:00:00+01:00\"}",
		    0);
	aws_look_finds(&look, "profile work: credential_process sh", "A s/s t");
	assert_int_equal(look.expires_ms - look.http.now_ms, 3600 * 1000);
	set_program("{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\"}", 0);
	aws_look_finds(&look, "profile work: credential_process sh", "A s ");
	assert_int_equal(look.expires_ms, 0);
	set_program("{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
		    "\"SessionToken\": \"\", \"Expiration\": null}",
		    0);
	aws_look_finds(&look, "profile work: credential_process sh", "A s ");
}

static void what_a_program_does_wrong_is_told_without_its_output(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *word;
	} rows[] = {
		{"{\"SecretAccessKey\": \"topsecret\"}", 3, "ended with code 3"},
		{"", 0, "\"Version\": 1"},
		{"topsecret", 0, "\"Version\": 1"},
		{"{\"Version\": 2, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"topsecret\"}", 0,
		 "\"Version\": 1"},
		{"{\"Version\": 1, \"SecretAccessKey\": \"topsecret\"}", 0, "no credentials"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\"}", 0, "no credentials"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"topsecret\", "
		 "\"Expiration\": \"soon\"}",
		 0, "printed credentials whose expiration is no time as in"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"topsecret\\n\"}",
		 0, "secret access key from profile work: credential_process sh holds characters"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"topsecret\", "
		 "\"Expiration\": \"2025-11-24T15:00:00Z\"}",
		 0, "expired already"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"topsecret\", "
		 "\"SessionToken\": \"a\\nb\"}",
		 0, "characters"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		set_program(rows[i].json, rows[i].code);
		aws_look_fails(&look, KMS_NO_CREDENTIALS, rows[i].word);
		assert_null(strstr(look.report.message, "topsecret"));
	}
}

static void a_program_that_is_none_is_told(void **state)
{
	(void)state;
	skip_unless_spawning_tells();
	aws_home_write("config", "[profile work]\ncredential_process = /nowhere/x --y\n");
	aws_look_fails(&look, KMS_NO_CREDENTIALS, "'/nowhere/x' can't be started: No such file");
	aws_home_write("config", "[profile work]\ncredential_process = 'x\n");
	aws_look_fails(&look, KMS_NO_CREDENTIALS, "not a program");
}

static void a_program_has_no_more_time_than_the_call(void **state)
{
	(void)state;
	aws_home_write("config", "[profile work]\ncredential_process = sleep 1000\n");
	look.settings.call_timeout_ms = 200;
	aws_look_fails(&look, KMS_NO_CREDENTIALS, "call_timeout_ms");
}

static void a_program_s_credentials_may_take_a_role(void **state)
{
	static char answer[1024];
	static struct fake_reply reply = {HTTP_ANSWERED, 200, NULL, answer};

	(void)state;
	set_program("{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\"}", 0);
	{
		char text[1024], path[AWS_HOME_PATH];

		aws_home_path("give me", path);
		snprintf(text, sizeof(text),
			 "[profile work]\nrole_arn = r\nsource_profile = p\n"
			 "[profile p]\ncredential_process = sh '%s'\n",
			 path);
		aws_home_write("config", text);
	}
	aws_look_sts_answer(answer, sizeof(answer), "AssumeRole", 1);
	fake_http_script(&look.http, &reply, 1);
	aws_look_finds(&look, "profile work: role r by profile p: credential_process sh",
		       "ROLE1 role1 TOKEN1");
}

static int make_home(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	return aws_home_make() && crypto_start(false) ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	aws_home_remove();
	return 0;
}

#define SOURCE(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_as_a_shell_splits_simple_ones),
		cmocka_unit_test(what_is_no_command_is_refused),
		cmocka_unit_test(output_and_code_come_back),
		cmocka_unit_test(a_program_that_is_not_there_is_told),
		cmocka_unit_test(eight_kilobytes_are_the_most),
		cmocka_unit_test(one_that_hangs_is_ended),
		cmocka_unit_test(a_grandchild_that_keeps_the_pipe_does_not_hold_us_up),
		cmocka_unit_test(it_inherits_the_environment_and_nothing_else),
		cmocka_unit_test(the_host_s_own_children_are_not_touched),
		cmocka_unit_test(a_host_that_ignores_its_children_gets_its_output_all_the_same),
		SOURCE(a_program_gives_credentials),
		SOURCE(what_a_program_does_wrong_is_told_without_its_output),
		SOURCE(a_program_that_is_none_is_told),
		SOURCE(a_program_has_no_more_time_than_the_call),
		SOURCE(a_program_s_credentials_may_take_a_role),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
