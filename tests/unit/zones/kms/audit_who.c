/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Who writes a line of the audit log: each field, whatever host, user and identity are called, also
 * in a fork and after the user changed. */
#include "base/macros.h"
#include "base/thread.h"
#include "tests/support/audit_lines.h"
#include "zones/kms/audit.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/cmek-who.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || chmod(folder, 0777) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int begin(void **state)
{
	(void)state;
	unlink(path);
	audit_enter("C_UnwrapKey");
	return audit_configure(path) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	audit_configure(NULL);
	return 0;
}

static void write_event(const struct kms_caller *caller, const uint32_t *lease)
{
	audit_write(&(struct audit_event){.event = "kms",
					  .action = "Decrypt",
					  .outcome = "ok",
					  .duration_us = -1,
					  .lease = lease,
					  .caller = caller});
}

static int64_t number_of(const json_t *lines, size_t i, const char *name)
{
	const json_t *value = json_object_get(json_array_get(lines, i), name);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static const struct kms_caller of_role = {
	.identity = "arn:aws:sts::111122223333:assumed-role/app/host-7",
	.access_key_id = "ASIAEXAMPLE",
	.credentials = "profile work: role arn:aws:iam::111122223333:role/app by static keys",
};

static void a_line_says_who(void **state)
{
	const struct passwd *user = getpwuid(getuid());
	char host[256] = "";
	const uint32_t lease = 300, each_time = 0;
	json_t *lines;

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	write_event(&of_role, &lease);
	write_event(&of_role, &each_time);
	lines = read_lines(path);
	assert_text(lines, 0, "host", host);
	assert_int_equal(number_of(lines, 0, "uid"), getuid());
	if (user != NULL)
		assert_text(lines, 0, "user", user->pw_name);
	assert_int_equal(number_of(lines, 0, "euid"), -1);
	assert_null(text_of(lines, 0, "euser"));
	assert_text(lines, 0, "identity", of_role.identity);
	assert_text(lines, 0, "access_key_id", of_role.access_key_id);
	assert_text(lines, 0, "credentials", of_role.credentials);
	assert_text(lines, 0, "module", CMEK_VERSION);
	assert_int_equal(number_of(lines, 0, "lease"), 300);
	assert_int_equal(number_of(lines, 1, "lease"), 0);
	json_decref(lines);
}

static void what_is_not_known_is_left_out(void **state)
{
	const struct kms_caller nobody = {0};
	json_t *lines;

	(void)state;
	write_event(&nobody, NULL);
	write_event(NULL, NULL);
	lines = read_lines(path);
	for (size_t i = 0; i < 2; i++) {
		assert_null(text_of(lines, i, "identity"));
		assert_null(text_of(lines, i, "access_key_id"));
		assert_null(text_of(lines, i, "credentials"));
		assert_int_equal(number_of(lines, i, "lease"), -1);
		assert_text(lines, i, "module", CMEK_VERSION);
	}
	json_decref(lines);
}

static void what_a_call_causes_has_its_identity_and_the_next_function_has_none(void **state)
{
	const struct kms_caller nobody = {0};
	json_t *lines;

	(void)state;
	write_event(&of_role, NULL);
	write_event(NULL, NULL);
	audit_enter("C_GenerateKey");
	write_event(NULL, NULL);
	write_event(&of_role, NULL);
	write_event(&nobody, NULL);
	write_event(NULL, NULL);
	lines = read_lines(path);
	assert_text(lines, 1, "identity", of_role.identity);
	assert_text(lines, 1, "access_key_id", of_role.access_key_id);
	assert_null(text_of(lines, 2, "identity"));
	assert_text(lines, 3, "identity", of_role.identity);
	assert_null(text_of(lines, 5, "identity"));
	json_decref(lines);
}

/* Whoever gives the answers of a KMS, of STS, or writes a profile, writes no line of ours. */
static void no_identity_breaks_a_line(void **state)
{
	static const struct {
		const char *text;
		const char *read;
	} cases[] = {
		{"arn\"},\n{\"event\":\"forged\"}", NULL},
		{"a\x01\x1b[2J\\\x7f\r\n", NULL},
		{"next\xc2\x85line\xe2\x80\xa8", NULL},
		{"bad\xff\"\n", "bad\xef\xbf\xbd\"\n"},
	};
	json_t *lines;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct kms_caller caller = {0};

		snprintf(caller.identity, sizeof(caller.identity), "%s", cases[i].text);
		snprintf(caller.access_key_id, sizeof(caller.access_key_id), "%s", cases[i].text);
		snprintf(caller.credentials, sizeof(caller.credentials), "%s", cases[i].text);
		write_event(&caller, NULL);
	}
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), COUNT_OF(cases));
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *read = cases[i].read == NULL ? cases[i].text : cases[i].read;

		assert_text(lines, i, "identity", read);
		assert_text(lines, i, "access_key_id", read);
		assert_text(lines, i, "credentials", read);
	}
	json_decref(lines);
}

static void a_program_s_name_is_cut_at_a_character(void **state)
{
	char *own = program_invocation_short_name, name[600];
	json_t *lines;

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name, "\"\n\x1b", 3);
	memcpy(name + 254, "\xc3\xbc\xc3\xbc", 4);
	name[sizeof(name) - 1] = '\0';
	program_invocation_short_name = name;
	write_event(NULL, NULL);
	program_invocation_short_name = own;
	lines = read_lines(path);
	name[254] = '\0';
	assert_text(lines, 0, "program", name);
	json_decref(lines);
}

/* --- Other processes and other users */

static int run_child(void (*work)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	return child;
}

static void write_anew(void)
{
	write_event(NULL, NULL);
	/* As C_Initialize in the child does. */
	audit_configure(path);
	write_event(NULL, NULL);
}

static void a_fork_s_lines_are_its_own(void **state)
{
	json_t *lines;
	int child;

	(void)state;
	child = run_child(write_anew);
	lines = read_lines(path);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(number_of(lines, i, "pid"), child);
		assert_int_equal(number_of(lines, i, "uid"), getuid());
		if (getpwuid(getuid()) != NULL)
			assert_text(lines, i, "user", getpwuid(getuid())->pw_name);
	}
	json_decref(lines);
}

enum { OTHER = 54321, NOBODY = 65534 };

static void change_user(void)
{
	if (setgroups(0, NULL) != 0 || seteuid(NOBODY) != 0)
		_exit(1);
	write_event(NULL, NULL);
	audit_configure(path);
	write_event(NULL, NULL);
	if (seteuid(0) != 0 || setresuid(OTHER, OTHER, OTHER) != 0)
		_exit(2);
	write_event(NULL, NULL);
}

static void a_user_who_changes_is_told_by_number(void **state)
{
	json_t *lines;

	(void)state;
	if (getuid() != 0 || geteuid() != 0) {
		puts("# reason: only root can become another user");
		skip();
	}
	write_event(NULL, NULL);
	assert_int_equal(chmod(path, 0666), 0);
	run_child(change_user);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 4);
	assert_int_equal(number_of(lines, 1, "uid"), 0);
	assert_text(lines, 1, "user", "root");
	assert_int_equal(number_of(lines, 1, "euid"), NOBODY);
	/* A fork's child looks nobody up, and says no wrong name. */
	assert_null(text_of(lines, 2, "euser"));
	assert_int_equal(number_of(lines, 2, "euid"), NOBODY);
	assert_int_equal(number_of(lines, 3, "uid"), OTHER);
	assert_null(text_of(lines, 3, "user"));
	assert_int_equal(number_of(lines, 3, "euid"), -1);
	json_decref(lines);
}

static void a_user_who_is_another_at_the_start_has_both_names(void **state)
{
	json_t *lines;

	(void)state;
	if (getuid() != 0 || geteuid() != 0 || getpwuid(NOBODY) == NULL) {
		puts("# reason: only root can become another user");
		skip();
	}
	write_event(NULL, NULL);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_true(audit_configure(path));
	write_event(NULL, NULL);
	assert_int_equal(seteuid(0), 0);
	lines = read_lines(path);
	assert_text(lines, 1, "user", "root");
	assert_int_equal(number_of(lines, 1, "euid"), NOBODY);
	assert_text(lines, 1, "euser", getpwuid(NOBODY)->pw_name);
	json_decref(lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_line_says_who),
		TEST(what_is_not_known_is_left_out),
		TEST(what_a_call_causes_has_its_identity_and_the_next_function_has_none),
		TEST(no_identity_breaks_a_line),
		TEST(a_program_s_name_is_cut_at_a_character),
		TEST(a_fork_s_lines_are_its_own),
		TEST(a_user_who_changes_is_told_by_number),
		TEST(a_user_who_is_another_at_the_start_has_both_names),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
