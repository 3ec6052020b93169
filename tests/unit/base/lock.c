/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Locks: which processes share them, whose files they are, and when none can be had. */
#include "base/lock.h"
#include "tests/support/folder_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

static enum lock_answer try(const char *name, bool exclusive, int *ret_fd)
{
	AUTO(freep) char *path = in_folder(name);
	AUTO(freep) char *guarded = in_folder("guarded");

	return lock_try(path, guarded, exclusive, ret_fd);
}

static void shared_locks_share_and_exclusive_ones_do_not(void **state)
{
	int first, second, third;

	(void)state;
	assert_int_equal(try("lock", false, &first), LOCK_OURS);
	assert_int_equal(try("lock", false, &second), LOCK_OURS);
	assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(try("lock", true, &third), LOCK_BUSY);
	assert_int_equal(third, -1);
	lock_release(first);
	lock_releasep(&second);
	assert_int_equal(second, -1);
	assert_int_equal(try("lock", true, &third), LOCK_OURS);
	assert_int_equal(try("lock", false, &first), LOCK_BUSY);
	lock_release(third);
	lock_release(-1);
}

/* A child that was made while the lock was held has its descriptor, and lives on. */
static void released_lock_is_free_though_a_child_has_it_too(void **state)
{
	int fd, again, ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(try("lock", true, &fd), LOCK_OURS);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &status, 1) != 0);
	}
	lock_release(fd);
	assert_int_equal(try("lock", true, &again), LOCK_OURS);
	lock_release(again);
	close(ends[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ends[0]);
}

static void lock_is_made_as_what_it_guards(void **state)
{
	AUTO(freep) char *path = in_folder("lock");
	AUTO(freep) char *guarded = in_folder("guarded");
	struct stat found;
	int fd;

	(void)state;
	assert_true(file_make(guarded, NULL));
	assert_int_equal(chmod(guarded, 0660), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(guarded, 3000, 3001), 0);
	assert_int_equal(try("lock", false, &fd), LOCK_OURS);
	lock_release(fd);
	assert_int_equal(mode_of(path), 0660);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_uid, geteuid() == 0 ? 3000 : geteuid());
	assert_int_equal(found.st_gid, geteuid() == 0 ? 3001 : getegid());
}

static void until_that_is_there_it_is_the_folder_s_owner_s(void **state)
{
	AUTO(freep) char *path = in_folder("lock");
	struct stat found;
	int fd;

	(void)state;
	if (geteuid() == 0)
		assert_int_equal(chown(folder, 3000, 3001), 0);
	assert_int_equal(try("lock", true, &fd), LOCK_OURS);
	lock_release(fd);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_uid, geteuid() == 0 ? 3000 : geteuid());
}

static void assert_impossible(const char *name, const char *why)
{
	AUTO(freep) char *path = in_folder(name);
	int fd = 7;

	for (int exclusive = 0; exclusive < 2; exclusive++) {
		AUTO(buffer_clear) struct buffer text = {0};
		enum lock_answer answer = try(name, exclusive, &fd);

		assert_int_equal(answer, LOCK_IMPOSSIBLE);
		assert_int_equal(fd, -1);
		lock_explain(answer, errno, path, "the store", &text);
		assert_non_null(strstr(buffer_text(&text), path));
		assert_non_null(strstr(buffer_text(&text), why));
		assert_false(lock_is_missing(path));
	}
}

static void what_is_no_file_is_no_lock(void **state)
{
	AUTO(freep) char *place = in_folder("folder");
	AUTO(freep) char *pipe = in_folder("pipe");
	AUTO(freep) char *link = in_folder("link");

	(void)state;
	assert_int_equal(mkdir(place, 0700), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(symlink("/dev/null", link), 0);
	assert_impossible("folder", "is not a file; remove it");
	assert_impossible("pipe", "is not a file; remove it");
	assert_impossible("link", "is not a file; remove it");
}

static int meet_a_shut_lock(const char *path)
{
	(void)path;
	become_nobody();
	assert_impossible("lock",
			  "Permission denied; give it the owner, group and mode of the store");
	return 0;
}

static void lock_that_can_not_be_opened_is_an_error_to_readers_too(void **state)
{
	AUTO(freep) char *path = in_folder("lock");
	int fd;

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(try("lock", true, &fd), LOCK_OURS);
	lock_release(fd);
	assert_int_equal(in_child(meet_a_shut_lock, path), 0);
}

static int read_without_and_do_not_write(const char *path)
{
	AUTO(buffer_clear) struct buffer text = {0};
	int fd;

	become_nobody();
	if (try("lock", false, &fd) != LOCK_NEEDLESS || fd != -1)
		return 1;
	if (try("lock", true, &fd) != LOCK_IMPOSSIBLE || errno != EACCES)
		return 2;
	if (!lock_is_missing(path))
		return 3;
	lock_explain(LOCK_IMPOSSIBLE, EACCES, path, "x", &text);
	return strstr(buffer_text(&text), "can't be made: Permission denied") == NULL ? 4 : 0;
}

static void reader_goes_on_where_none_can_be_made_and_a_writer_does_not(void **state)
{
	AUTO(freep) char *path = in_folder("lock");

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(in_child(read_without_and_do_not_write, path), 0);
}

static int read_and_make_none(const char *path)
{
	int fd;

	become_nobody();
	if (try("lock", false, &fd) != LOCK_NEEDLESS || try("lock", true, &fd) != LOCK_IMPOSSIBLE)
		return 1;
	return lock_is_missing(path) ? 0 : 2;
}

/* As in /tmp. */
static void nobody_makes_a_lock_that_would_shut_the_owner_out(void **state)
{
	static const unsigned modes[] = {0600, 0640, 0644};
	AUTO(freep) char *path = in_folder("lock");
	AUTO(freep) char *guarded = in_folder("guarded");

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(chmod(folder, 01777), 0);
	assert_true(file_make(guarded, NULL));
	assert_int_equal(chown(guarded, 3000, 3001), 0);
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		assert_int_equal(chmod(guarded, modes[i]), 0);
		assert_int_equal(in_child(read_and_make_none, path), 0);
	}
}

static int write_as_one_of_the_group(const char *path)
{
	struct stat found;
	int fd;

	if (setgroups(0, NULL) != 0 || setgid(3001) != 0 || setuid(4000) != 0)
		return 99;
	if (try("lock", true, &fd) != LOCK_OURS || stat(path, &found) != 0)
		return 1;
	return found.st_gid == 3001 && (found.st_mode & 0777) == 0660 ? 0 : 2;
}

static void lock_of_what_a_group_shares_is_the_group_s(void **state)
{
	AUTO(freep) char *path = in_folder("lock");
	AUTO(freep) char *guarded = in_folder("guarded");

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_int_equal(chmod(folder, 0777), 0);
	assert_true(file_make(guarded, NULL));
	assert_int_equal(chown(guarded, 3000, 3001), 0);
	assert_int_equal(chmod(guarded, 0660), 0);
	assert_int_equal(in_child(write_as_one_of_the_group, path), 0);
}

static int share_it_read_only(const char *path)
{
	int fd;

	(void)path;
	become_nobody();
	return try("lock", false, &fd) != LOCK_OURS;
}

static void reader_shares_a_lock_that_it_may_only_read(void **state)
{
	AUTO(freep) char *path = in_folder("lock");
	AUTO(freep) char *guarded = in_folder("guarded");
	int fd;

	(void)state;
	SKIP_UNLESS_ROOT();
	assert_true(file_make(guarded, NULL));
	assert_int_equal(chmod(guarded, 0644), 0);
	assert_int_equal(try("lock", true, &fd), LOCK_OURS);
	lock_release(fd);
	assert_int_equal(in_child(share_it_read_only, path), 0);
}

static void waiting_has_an_end_and_says_who_to_look_for(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct lock_wait wait = {.waited_ms = 9990};
	int tries = 0;

	(void)state;
	while (lock_wait(&wait))
		tries++;
	assert_true(tries > 0 && tries < 10);
	lock_explain(LOCK_BUSY, 0, "/the/lock", "x", &text);
	assert_string_equal(buffer_text(&text),
			    "another process has held /the/lock for 10 seconds; look which one "
			    "('fuser -v' on that file) and why");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(shared_locks_share_and_exclusive_ones_do_not),
		IN_FOLDER(released_lock_is_free_though_a_child_has_it_too),
		IN_FOLDER(lock_is_made_as_what_it_guards),
		IN_FOLDER(until_that_is_there_it_is_the_folder_s_owner_s),
		IN_FOLDER(what_is_no_file_is_no_lock),
		IN_FOLDER(lock_that_can_not_be_opened_is_an_error_to_readers_too),
		IN_FOLDER(reader_goes_on_where_none_can_be_made_and_a_writer_does_not),
		IN_FOLDER(nobody_makes_a_lock_that_would_shut_the_owner_out),
		IN_FOLDER(lock_of_what_a_group_shares_is_the_group_s),
		IN_FOLDER(reader_shares_a_lock_that_it_may_only_read),
		IN_FOLDER(waiting_has_an_end_and_says_who_to_look_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
