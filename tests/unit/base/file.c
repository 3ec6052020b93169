/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders, and the log, which writes to one. */
#include "base/file.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/cmek-test-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* Kept here too: valgrind says of a child, which ends in the middle of a test, that it leaks what
 * only its parent goes on to free. */
static char *in_folder(const char *name)
{
	static char *volatile kept[64];
	static unsigned count;
	char *path = path_join(folder, name);

	assert_non_null(path);
	kept[count++ % COUNT_OF(kept)] = path;
	return path;
}

static size_t count_files(const char *path)
{
	DIR *directory = opendir(path);
	size_t count = 0;

	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_type == DT_REG;
	closedir(directory);
	return count;
}

static void paths_join_and_split(void **state)
{
	static const char *const joined[][3] = {
		{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
	static const char *const split[][2] = {
		{"a/b", "a"}, {"b", "."}, {"/b", "/"}, {"a//b", "a"}, {"/x/y/", "/x/y"}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(joined); i++) {
		AUTO(freep) char *path = path_join(joined[i][0], joined[i][1]);

		assert_string_equal(path, joined[i][2]);
	}
	for (size_t i = 0; i < COUNT_OF(split); i++) {
		AUTO(freep) char *path = path_folder(split[i][0]);

		assert_string_equal(path, split[i][1]);
	}
}

struct churn {
	const char *path;
	atomic_bool stop;
};

static void *make_and_remove(void *state)
{
	struct churn *churn = state;

	while (!churn->stop) {
		int fd = open(churn->path, O_WRONLY | O_CREAT, 0600);

		file_closep(&fd);
		unlink(churn->path);
	}
	return NULL;
}

static void file_that_appears_is_no_link_to_nothing(void **state)
{
	enum { LOOKS = 20000 };
	const char *path = in_folder("appears");
	struct churn churn = {.path = path};
	pthread_t thread;
	int lost = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, make_and_remove, &churn), 0);
	for (int i = 0; i < LOOKS; i++) {
		AUTO(freep) char *target = path_target(path);

		lost += target == NULL;
	}
	churn.stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(lost, 0);
}

static void link_to_nothing_has_no_target(void **state)
{
	const char *path = in_folder("dangling");

	(void)state;
	assert_int_equal(symlink("not-there", path), 0);
	assert_null(path_target(path));
	assert_int_equal(errno, ENOENT);
	unlink(path);
}

static void new_file_has_contents_and_mode_whatever_the_umask(void **state)
{
	AUTO(freep) char *path = in_folder("replaced");
	AUTO(buffer_clear) struct buffer read = {0};
	mode_t before = umask(077);
	struct stat found;

	(void)state;
	assert_true(file_replace(path, bytes_of("one"), 0640));
	umask(before);
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0640);
	assert_true(file_replace(path, bytes_of("two!"), 0600));
	assert_true(file_read(path, 4, &read));
	assert_string_equal(buffer_text(&read), "two!");
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0640); /* it stays its owner's decision */
	assert_int_equal(chmod(path, 0644), 0);
	assert_true(file_replace(path, bytes_of("secret"), 0600));
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0600); /* which one of a secret can't be meant so */
}

static void link_stays_a_link_to_the_new_contents(void **state)
{
	AUTO(freep) char *path = in_folder("link");
	AUTO(freep) char *elsewhere = in_folder("elsewhere");
	AUTO(freep) char *real = in_folder("elsewhere/real");
	AUTO(buffer_clear) struct buffer read = {0};
	struct stat found;

	(void)state;
	assert_true(file_make_folders(elsewhere));
	assert_int_equal(symlink("elsewhere/real", path), 0);
	assert_false(file_replace(path, bytes_of("x"), 0600)); /* to nothing */
	assert_int_equal(errno, ENOENT);
	assert_true(file_replace(real, bytes_of("old"), 0600));
	assert_true(file_replace(path, bytes_of("new"), 0600));
	assert_int_equal(lstat(path, &found), 0);
	assert_true(S_ISLNK(found.st_mode));
	assert_true(file_read(real, 3, &read));
	assert_string_equal(buffer_text(&read), "new");
	assert_int_equal(count_files(elsewhere), 1);
}

static void file_is_made_once_and_as_the_one_it_is_like(void **state)
{
	AUTO(freep) char *path = in_folder("made");
	AUTO(freep) char *like = in_folder("like");
	struct stat found;
	size_t before;

	(void)state;
	assert_true(file_make(like, path)); /* which is not there yet */
	assert_int_equal(stat(like, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	assert_int_equal(chmod(like, 0664), 0);
	before = count_files(folder);
	assert_true(file_make(path, like));
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0664);
	assert_int_equal(found.st_size, 0);
	assert_false(file_make(path, NULL));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(count_files(folder), before + 1);
}

/* What a file system can't do. */
static bool no_rename_new, no_link;

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
	if (!no_rename_new)
		return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
	errno = EINVAL;
	return -1;
}

int link(const char *from, const char *to)
{
	if (!no_link)
		return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
	errno = EPERM;
	return -1;
}

static const struct {
	bool no_rename_new, no_link;
} file_systems[] = {{false, false}, {true, false}, {true, true}};

static void use_file_system(size_t i)
{
	no_rename_new = file_systems[i].no_rename_new;
	no_link = file_systems[i].no_link;
}

static void write_both(const char *from, const char *to)
{
	assert_true(file_replace(from, bytes_of("new"), 0600));
	assert_true(file_replace(to, bytes_of("old"), 0600));
}

static void assert_contains(const char *path, const char *contents)
{
	AUTO(buffer_clear) struct buffer read = {0};

	assert_true(file_read(path, 100, &read));
	assert_string_equal(buffer_text(&read), contents);
}

typedef bool rename_file(const char *from, const char *to);

static bool place_new(const char *from, const char *to)
{
	return file_place(from, to, false);
}

static void name_that_is_taken_is_not_taken_away_on_any_file_system(void **state)
{
	static rename_file *const renames[] = {file_rename_new, place_new};
	AUTO(freep) char *from = in_folder("renamed"), *to = in_folder("taken");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(file_systems) * COUNT_OF(renames); i++) {
		write_both(from, to);
		use_file_system(i / COUNT_OF(renames));
		assert_false(renames[i % COUNT_OF(renames)](from, to));
		use_file_system(0);
		assert_contains(from, "new");
		assert_contains(to, "old");
	}
	unlink(from);
	unlink(to);
}

static void free_name_is_taken_on_any_file_system(void **state)
{
	AUTO(freep) char *from = in_folder("renamed"), *to = in_folder("free");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(file_systems); i++) {
		bool can = !file_systems[i].no_link, renamed;
		size_t before;
		int error;

		write_both(from, to);
		unlink(to);
		before = count_files(folder);
		use_file_system(i);
		renamed = file_rename_new(from, to);
		error = errno;
		assert_int_equal(renamed, can);
		assert_true(can || (error == EOPNOTSUPP && access(to, F_OK) != 0));
		assert_true(can || place_new(from, to));
		use_file_system(0);
		assert_contains(to, "new");
		assert_int_equal(count_files(folder), before);
		unlink(to);
	}
}

static void name_that_is_taken_is_taken_over_if_that_is_asked_for(void **state)
{
	AUTO(freep) char *from = in_folder("renamed"), *to = in_folder("taken");

	(void)state;
	write_both(from, to);
	assert_true(file_place(from, to, true));
	assert_contains(to, "new");
	assert_int_not_equal(access(from, F_OK), 0);
	unlink(to);
}

static int sync_as_nobody(const char *path)
{
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 99;
	if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 || !file_sync_name(path))
		return 1;
	return file_replace(path, bytes_of("another letter"), 0600) ? 0 : 2;
}

static void name_in_a_folder_that_can_not_be_read_is_left_unsynced(void **state)
{
	AUTO(freep) char *place = in_folder("letter-box");
	AUTO(freep) char *path = in_folder("letter-box/letter");
	AUTO(freep) char *missing = in_folder("no-box/letter");
	pid_t child;
	int status;

	(void)state;
	assert_false(file_sync_name(missing));
	assert_int_equal(errno, ENOENT);
	if (geteuid() != 0) {
		print_message("# reason: it takes root to be two users\n");
		skip();
	}
	assert_int_equal(chmod(folder, 0755), 0);
	assert_true(file_make_folders(place));
	assert_int_equal(chmod(place, 0733), 0);
	child = fork();
	if (child == 0)
		_exit(sync_as_nobody(path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(file_sync_name(path));
}

static void file_is_made_on_any_file_system(void **state)
{
	AUTO(freep) char *path = in_folder("made-anywhere");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(file_systems); i++) {
		size_t before = count_files(folder);

		use_file_system(i);
		assert_true(file_make(path, NULL));
		assert_false(file_make(path, NULL));
		assert_int_equal(errno, EEXIST);
		use_file_system(0);
		assert_int_equal(count_files(folder), before + 1);
		unlink(path);
	}
}

static int replace_as_nobody(const char *path)
{
	if (setgid(65534) != 0 || setuid(65534) != 0)
		return 99;
	return file_replace(path, bytes_of("theirs"), 0600) ? 1 : errno == EPERM ? 0 : 2;
}

/* A key file that becomes another's would be out of reach for its owner. */
static void file_of_another_is_not_taken_away(void **state)
{
	AUTO(freep) char *place = in_folder("all");
	AUTO(freep) char *path = in_folder("all/file");
	AUTO(buffer_clear) struct buffer read = {0};
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# reason: it takes root to be two users\n");
		skip();
	}
	assert_int_equal(chmod(folder, 0755), 0);
	assert_true(file_make_folders(place));
	assert_int_equal(chmod(place, 0777), 0);
	assert_true(file_replace(path, bytes_of("mine"), 0644));
	child = fork();
	if (child == 0)
		_exit(replace_as_nobody(path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(file_read(path, 6, &read));
	assert_string_equal(buffer_text(&read), "mine");
	assert_int_equal(count_files(place), 1);
}

/* What root does for a service must not shut the service out. */
static void what_root_makes_new_is_the_folder_s_owner_s(void **state)
{
	AUTO(freep) char *place = in_folder("service");
	AUTO(freep) char *below = in_folder("service/a/b");
	AUTO(freep) char *path = in_folder("service/a/b/file");
	AUTO(freep) char *appended = in_folder("service/a/b/log");
	const char *made[] = {below, path, appended};
	struct stat found;
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("# reason: it takes root to give files away\n");
		skip();
	}
	assert_true(file_make_folders(place));
	assert_int_equal(chown(place, 3000, 3001), 0);
	assert_true(file_make_folders(below));
	assert_true(file_replace(path, bytes_of("x"), 0600));
	fd = file_open_append(appended);
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		assert_int_equal(stat(made[i], &found), 0);
		assert_int_equal(found.st_uid, 3000);
		assert_int_equal(found.st_gid, 3001);
		assert_int_equal(found.st_mode & 077, 0);
	}
}

/* What whoever owns the folder above does as soon as there is a new one in it. */
static const char *swapped_in;

int mkdir(const char *path, mode_t mode)
{
	int made = mkdirat(AT_FDCWD, path, mode);

	if (made == 0 && swapped_in != NULL)
		assert_int_equal(renameat2(AT_FDCWD, swapped_in, AT_FDCWD, path, RENAME_EXCHANGE),
				 0);
	return made;
}

static void folder_that_is_put_in_a_new_one_s_place_is_not_given_away(void **state)
{
	AUTO(freep) char *place = in_folder("theirs");
	AUTO(freep) char *private = in_folder("theirs/private");
	AUTO(freep) char *file = in_folder("theirs/private/file");
	AUTO(freep) char *made = in_folder("theirs/made");
	struct stat found;

	(void)state;
	if (geteuid() != 0) {
		print_message("# reason: it takes root to give folders away\n");
		skip();
	}
	assert_true(file_make_folders(private));
	assert_true(file_replace(file, bytes_of("root's"), 0600));
	assert_int_equal(chown(place, 3000, 3001), 0);
	swapped_in = private;
	assert_true(file_make_folders(made));
	swapped_in = NULL;
	assert_int_equal(stat(made, &found), 0);
	assert_int_equal(found.st_uid, 0);
}

static void failed_replacement_leaves_nothing_behind(void **state)
{
	AUTO(freep) char *path = in_folder("target");
	size_t before;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	before = count_files(folder);
	assert_false(file_replace(path, bytes_of("x"), 0600)); /* a folder is in the way */
	assert_int_equal(errno, EISDIR);
	assert_int_equal(count_files(folder), before);
	assert_false(file_replace("/nonexistent-folder/x", bytes_of("x"), 0600));
	assert_int_equal(errno, ENOENT);
}

static void reading_stops_at_the_limit(void **state)
{
	AUTO(freep) char *path = in_folder("large");
	AUTO(buffer_clear) struct buffer contents = {0};
	AUTO(buffer_clear) struct buffer read = {0};

	(void)state;
	memset(buffer_extend(&contents, 50000), 'x', 50000);
	assert_true(file_replace(path, buffer_bytes(&contents), 0600));
	buffer_put_text(&read, "kept");
	assert_false(file_read(path, 49999, &read));
	assert_int_equal(errno, EOVERFLOW);
	assert_string_equal(buffer_text(&read), "kept");
	buffer_truncate(&read, 0);
	assert_true(file_read(path, 50000, &read));
	assert_bytes(buffer_bytes(&read), buffer_bytes(&contents));
	assert_false(file_read("/nonexistent", 1, &read));
	assert_int_equal(errno, ENOENT);
}

static void *read_slowly(void *pipe_end)
{
	static uint8_t data[4096];
	size_t total = 0;

	for (ssize_t got; (got = read(*(int *)pipe_end, data, sizeof(data))) > 0;)
		total += (size_t)got;
	return (void *)total;
}

/* More than a pipe holds, into one that does not wait. */
/* Reading one would wait for whoever may write into it, perhaps for ever. */
static void a_pipe_is_not_read(void **state)
{
	AUTO(freep) char *path = in_folder("unread pipe");
	AUTO(buffer_clear) struct buffer read = {0};

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(file_read(path, 10, &read));
	assert_int_equal(errno, ESPIPE);
	assert_true(file_is_pipe(path));
	assert_true(file_read("/dev/null", 10, &read));
	assert_false(file_is_pipe("/dev/null"));
	assert_false(file_is_pipe("/nonexistent"));
	assert_false(file_read(folder, 10, &read));
	assert_int_equal(errno, EISDIR);
}

static void everything_is_written_even_where_writing_does_not_block(void **state)
{
	enum { LEN = 1 << 20 };
	static uint8_t data[LEN];
	pthread_t reader;
	void *total = NULL;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &ends[0]), 0);
	assert_true(file_write_all(ends[1], bytes(data, LEN)));
	close(ends[1]);
	pthread_join(reader, &total);
	assert_int_equal((size_t)total, LEN);
	close(ends[0]);
	assert_false(file_write_all(-1, bytes(data, 1)));
	assert_int_equal(errno, EBADF);
}

static void folders_are_made_with_their_parents(void **state)
{
	AUTO(freep) char *path = in_folder("a//b/c/");
	AUTO(freep) char *blocked = in_folder("replaced/x");
	struct stat found;

	(void)state;
	assert_true(file_make_folders(path));
	assert_true(file_make_folders(path));
	assert_int_equal(stat(path, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0700);
	assert_false(file_make_folders(blocked));
}

static void log_writes_one_line_a_message_from_its_level_on(void **state)
{
	AUTO(freep) char *path = in_folder("log");
	AUTO(buffer_clear) struct buffer read = {0};
	const char *text;

	(void)state;
	assert_true(log_configure(LOG_WARNING, path));
	log_info("not written");
	errno = ENOENT;
	log_error("a\nb\x1b[31m\xc2\x9b%s\x7f", "\t\xc3\xa4");
	assert_int_equal(errno, ENOENT);
	assert_true(log_configure(LOG_OFF, "stderr"));
	log_error("not written either");
	assert_true(file_read(path, 4096, &read));
	text = buffer_text(&read);
	assert_non_null(strstr(text, "Z cmek-pkcs11["));
	assert_non_null(strstr(text, "]: error: a\\x0ab\\x1b[31m\\xc2\\x9b\\x09\xc3\xa4\\x7f\n"));
	assert_null(strstr(text, "not written"));
}

static void a_notice_is_written_but_is_no_reason(void **state)
{
	AUTO(freep) char *path = in_folder("log-notice");
	AUTO(buffer_clear) struct buffer read = {0};

	(void)state;
	assert_true(log_configure(LOG_WARNING, path));
	log_warning("the reason");
	errno = ENOENT;
	log_notice("%s besides", "news");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(log_last(), "the reason");
	assert_true(log_configure(LOG_ERROR, path));
	log_notice("not written");
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_true(file_read(path, 4096, &read));
	assert_non_null(strstr(buffer_text(&read), "]: warning: news besides\n"));
	assert_null(strstr(buffer_text(&read), "not written"));
}

static void a_quiet_log_keeps_the_first_loss_of_each_kind(void **state)
{
	unsigned more = 7;

	(void)state;
	assert_true(log_configure(LOG_OFF, "stderr"));
	log_loss("nobody asked for %s", "this");
	assert_null(log_kept(0, &more));
	log_quiet(true);
	for (int i = 1; i <= 3; i++)
		log_loss("the %d. of one kind", i);
	log_loss("%s", "another");
	log_notice("no loss");
	log_error("no loss either");
	log_quiet(false);
	assert_string_equal(log_kept(0, &more), "the 1. of one kind");
	assert_int_equal(more, 2);
	assert_string_equal(log_kept(1, &more), "another");
	assert_int_equal(more, 0);
	assert_null(log_kept(2, &more));
}

static void a_line_is_said_to_be_written_only_if_it_is(void **state)
{
	AUTO(freep) char *path = in_folder("written");

	(void)state;
	assert_true(log_configure(LOG_ERROR, path));
	assert_true(log_writes(LOG_ERROR));
	assert_false(log_writes(LOG_WARNING));
	log_quiet(true);
	assert_true(log_writes(LOG_ERROR));
	assert_true(log_configure(LOG_ERROR, "stderr"));
	assert_false(log_writes(LOG_ERROR));
	log_quiet(false);
	assert_true(log_writes(LOG_ERROR));
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_false(log_writes(LOG_ERROR));
	assert_true(log_configure(LOG_ERROR, "/dev/full"));
	assert_true(log_writes(LOG_ERROR));
	log_error("this is lost");
	assert_false(log_writes(LOG_ERROR));
	assert_true(log_configure(LOG_OFF, "stderr"));
}

static void what_is_in_the_way_of_a_folder_is_called_what_it_is(void **state)
{
	AUTO(freep) char *file = in_folder("file");
	AUTO(freep) char *loop = in_folder("loop");
	AUTO(freep) char *dangling = in_folder("dangling");
	AUTO(freep) char *in_file = path_join(file, "a");
	AUTO(freep) char *in_loop = path_join(loop, "a");
	AUTO(freep) char *in_nothing = path_join(dangling, "a");

	(void)state;
	assert_true(file_replace(file, bytes_of(""), 0600));
	assert_int_equal(symlink(loop, loop), 0);
	assert_int_equal(symlink("/nonexistent/x", dangling), 0);
	assert_false(file_make_folders(in_file));
	assert_int_equal(errno, ENOTDIR);
	assert_false(file_make_folders(in_loop));
	assert_int_equal(errno, ELOOP);
	assert_false(file_make_folders(in_nothing));
	assert_int_equal(errno, ENOENT);
}

static void long_messages_are_cut(void **state)
{
	AUTO(freep) char *path = in_folder("log-long");
	AUTO(buffer_clear) struct buffer read = {0};
	static char message[5000];

	(void)state;
	memset(message, '\n', sizeof(message) - 1);
	assert_true(log_configure(LOG_DEBUG, path));
	log_debug("%s", message);
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_true(file_read(path, 100000, &read));
	assert_non_null(strstr(buffer_text(&read), "\\x0a...\n"));
	assert_true(read.len > 8000 && read.len < 8400);
}

static void log_that_can_not_be_opened_stays_where_it_was(void **state)
{
	AUTO(freep) char *path = in_folder("log-kept");
	AUTO(buffer_clear) struct buffer read = {0};

	(void)state;
	assert_true(log_configure(LOG_WARNING, path));
	assert_false(log_configure(LOG_WARNING, "/nonexistent/log"));
	log_warning("here");
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_true(file_read(path, 4096, &read));
	assert_non_null(strstr(buffer_text(&read), "here"));
}

/* Without that, this test does not end. */
static void log_waits_for_no_reader_of_a_pipe(void **state)
{
	AUTO(freep) char *path = in_folder("pipe");
	char line[256] = {0};
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(log_configure(LOG_WARNING, path));
	assert_int_equal(errno, ENXIO);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_true(log_configure(LOG_WARNING, path));
	for (int i = 0; i < 10000; i++)
		log_warning("line %d", i);
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_true(read(reader, line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, "warning: line 0\n"));
	close(reader);
}

static void broken_standard_error_does_not_end_the_host(void **state)
{
	int ends[2], kept = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	assert_true(log_configure(LOG_WARNING, "stderr"));
	log_warning("nobody reads this");
	dup2(kept, STDERR_FILENO);
	close(kept);
}

static void levels_have_names(void **state)
{
	enum log_level level = LOG_OFF;

	(void)state;
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_false(log_level_parse("loud", &level));
	assert_int_equal(level, LOG_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_join_and_split),
		cmocka_unit_test(file_that_appears_is_no_link_to_nothing),
		cmocka_unit_test(link_to_nothing_has_no_target),
		cmocka_unit_test(new_file_has_contents_and_mode_whatever_the_umask),
		cmocka_unit_test(link_stays_a_link_to_the_new_contents),
		cmocka_unit_test(file_is_made_once_and_as_the_one_it_is_like),
		cmocka_unit_test(name_that_is_taken_is_not_taken_away_on_any_file_system),
		cmocka_unit_test(free_name_is_taken_on_any_file_system),
		cmocka_unit_test(name_that_is_taken_is_taken_over_if_that_is_asked_for),
		cmocka_unit_test(name_in_a_folder_that_can_not_be_read_is_left_unsynced),
		cmocka_unit_test(file_is_made_on_any_file_system),
		cmocka_unit_test(file_of_another_is_not_taken_away),
		cmocka_unit_test(what_root_makes_new_is_the_folder_s_owner_s),
		cmocka_unit_test(folder_that_is_put_in_a_new_one_s_place_is_not_given_away),
		cmocka_unit_test(failed_replacement_leaves_nothing_behind),
		cmocka_unit_test(reading_stops_at_the_limit),
		cmocka_unit_test(a_pipe_is_not_read),
		cmocka_unit_test(everything_is_written_even_where_writing_does_not_block),
		cmocka_unit_test(folders_are_made_with_their_parents),
		cmocka_unit_test(log_writes_one_line_a_message_from_its_level_on),
		cmocka_unit_test(a_notice_is_written_but_is_no_reason),
		cmocka_unit_test(a_quiet_log_keeps_the_first_loss_of_each_kind),
		cmocka_unit_test(a_line_is_said_to_be_written_only_if_it_is),
		cmocka_unit_test(what_is_in_the_way_of_a_folder_is_called_what_it_is),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(log_that_can_not_be_opened_stays_where_it_was),
		cmocka_unit_test(log_waits_for_no_reader_of_a_pipe),
		cmocka_unit_test(broken_standard_error_does_not_end_the_host),
		cmocka_unit_test(levels_have_names),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
