/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The file that is written aside: one name for each file, which the next one takes over. */
#include "base/aside.h"
#include "tests/support/folder_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

/* What a killed process has left: its locks are gone with it. */
static void leave(const char *path, char **ret_name)
{
	AUTO(file_closep) int fd = aside_open(path, ret_name);

	assert_true(fd >= 0);
	assert_int_equal(mode_of(*ret_name), 0600);
	assert_int_equal(write(fd, "secret", 6), 6);
}

static void what_a_killed_process_left_is_taken_over(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *left = NULL;
	AUTO(freep) char *name = NULL;
	AUTO(file_closep) int fd = -1;
	struct stat found;

	(void)state;
	leave(path, &left);
	fd = aside_open(path, &name);
	assert_true(fd >= 0);
	assert_string_equal(name, left);
	assert_true(file_is_at(fd, name));
	assert_int_equal(fstat(fd, &found), 0);
	assert_int_equal(found.st_size, 0);
}

static void other_files_of_the_folder_have_other_names(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *other = in_folder("filf");
	AUTO(freep) char *one = NULL;
	AUTO(freep) char *two = NULL;

	(void)state;
	leave(path, &one);
	leave(other, &two);
	assert_string_not_equal(one, two);
}

static void what_another_is_at_work_on_is_left_to_it(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *one = NULL;
	AUTO(freep) char *two = NULL;
	AUTO(file_closep) int first = aside_open(path, &one);
	AUTO(file_closep) int second = aside_open(path, &two);

	(void)state;
	assert_true(first >= 0 && second >= 0);
	assert_string_not_equal(one, two);
	assert_true(file_is_at(first, one));
	assert_true(file_is_at(second, two));
}

static void link_in_its_place_is_not_followed(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *other = in_folder("other");
	AUTO(freep) char *left = NULL;
	AUTO(freep) char *name = NULL;
	AUTO(file_closep) int fd = -1;
	struct stat found;

	(void)state;
	leave(path, &left);
	assert_true(file_replace(other, bytes_of("mine"), 0600));
	assert_int_equal(unlink(left), 0);
	assert_int_equal(symlink("other", left), 0);
	fd = aside_open(path, &name);
	assert_true(fd >= 0);
	assert_int_equal(lstat(name, &found), 0);
	assert_true(S_ISREG(found.st_mode));
	assert_int_equal(stat(other, &found), 0);
	assert_int_equal(found.st_size, 4);
}

static void file_without_a_name_gets_the_same_one(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *left = NULL;
	AUTO(freep) char *name = NULL;
	AUTO(file_closep) int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	if (fd < 0) {
		print_message("# reason: no files without names here\n");
		skip();
	}
	leave(path, &left);
	assert_true(aside_link(fd, path, &name));
	assert_string_equal(name, left);
	assert_true(file_is_at(fd, name));
	assert_false(file_link(fd, left));
	assert_int_equal(errno, EEXIST);
	assert_true(file_link(fd, path));
}

static int open_aside(const char *path)
{
	AUTO(freep) char *name = NULL;

	become_nobody();
	return aside_open(path, &name) < 0;
}

/* As in /tmp: the file belongs to another user, and only root could take it from that user. */
static void what_can_not_be_removed_holds_up_nobody(void **state)
{
	AUTO(freep) char *path = in_folder("file");
	AUTO(freep) char *left = NULL;
	struct stat found;

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(chmod(folder, 01777), 0);
	leave(path, &left);
	assert_int_equal(in_child(open_aside, path), 0);
	assert_int_equal(stat(left, &found), 0);
	assert_int_equal(found.st_uid, 0);
}

static void nothing_is_made_where_there_is_no_folder(void **state)
{
	char *name = NULL;

	(void)state;
	assert_int_equal(aside_open("/nonexistent/file", &name), -1);
	assert_int_equal(errno, ENOENT);
	assert_null(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_a_killed_process_left_is_taken_over),
		IN_FOLDER(other_files_of_the_folder_have_other_names),
		IN_FOLDER(what_another_is_at_work_on_is_left_to_it),
		IN_FOLDER(link_in_its_place_is_not_followed),
		IN_FOLDER(file_without_a_name_gets_the_same_one),
		IN_FOLDER(what_can_not_be_removed_holds_up_nobody),
		IN_FOLDER(nothing_is_made_where_there_is_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
