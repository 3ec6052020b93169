/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcmek's files: how their outputs appear, and in how many threads they are worked on. */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "envelope/header.h"
#include "library/threads.h"
#include "tests/support/unit.h"

#include "library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << ENVELOPE_CHUNK_BITS, LARGE = 5 * (1 << 22) + 5, LANES_MAX = 7 };

/* Before libc's: how many threads this program has begun. */
static atomic_uint begun;

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
		   void *(*begin)(void *), void *restrict state)
{
	__typeof__(&pthread_create) create;

	*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
	begun++;
	return create(thread, attributes, begin, state);
}

static enum cmek_status seal_file(const char *in, const char *result, bool replace)
{
	AUTO(freep) char *from = in_home(in), *to = in_home(result);

	return cmek_seal_file(orders, from, to, replace, NULL, &why);
}

static enum cmek_status unseal_file(const char *in, const char *result, bool replace)
{
	AUTO(freep) char *from = in_home(in), *to = in_home(result);

	return cmek_unseal_file(client, from, to, replace, NULL, &why);
}

static mode_t mode_of(const char *name)
{
	AUTO(freep) char *path = in_home(name);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static unsigned names_in_home(void)
{
	DIR *folder = opendir(home);
	unsigned count = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static void a_file_comes_back_with_its_rights(void **state)
{
	AUTO(freep) char *path = in_home("rights");

	(void)state;
	put("rights", "what it says");
	assert_int_equal(chmod(path, 0640), 0);
	works(seal_file("rights", "rights.cmek", false));
	assert_int_equal(mode_of("rights.cmek"), 0640);
	works(unseal_file("rights.cmek", "rights.back", false));
	assert_int_equal(mode_of("rights.back"), 0640);
	has("rights.back", "what it says");
	client_stop(NULL);
	done("decrypt --force @rights.cmek @rights.tool");
	has("rights.tool", "what it says");
	client_start(NULL);
}

static void a_file_that_is_there_stays_unless_it_may_be_replaced(void **state)
{
	(void)state;
	put("there", "before");
	put("new", "after");
	works(seal_file("new", "new.cmek", true));
	refuses(CMEK_REFUSED, unseal_file("new.cmek", "there", false), "is there already");
	has("there", "before");
	works(unseal_file("new.cmek", "there", true));
	has("there", "after");
	refuses(CMEK_REFUSED, seal_file("new", "new", true), "the input itself");
	refuses(CMEK_NOT_FOUND, seal_file("nowhere", "nowhere.cmek", false), "nowhere");
	refuses(CMEK_REFUSED, cmek_seal_file(orders, NULL, "x", false, NULL, &why), "NULL");
	refuses(CMEK_REFUSED, cmek_unseal_file(client, "x", NULL, false, NULL, &why), "NULL");
	refuses(CMEK_REFUSED, seal_file("new", "", true), "is a folder");
}

static void a_failure_leaves_no_file_behind(void **state)
{
	AUTO(freep) char *path = in_home("damaged.cmek");
	AUTO(buffer_clear) struct buffer sealed = {0};
	unsigned before;

	(void)state;
	seal_stream(orders, 2 * CHUNK, &sealed);
	sealed.data[sealed.len - 1] ^= 1;
	assert_true(file_replace(path, buffer_bytes(&sealed), 0600));
	before = names_in_home();
	refuses(CMEK_DAMAGED, unseal_file("damaged.cmek", "damaged", false), "damaged.cmek");
	refuses(CMEK_NOT_AN_ENVELOPE, unseal_file("plain", "damaged", false), "plain");
	assert_int_equal(names_in_home(), before);
	assert_false(is_there("damaged"));
}

/* --- Kinds of outputs ------------------------------------------------------------------------ */

static void an_output_is_a_file_or_nothing(void **state)
{
	AUTO(freep) char *from = in_home("new"), *pipe = in_home("pipe");

	(void)state;
	put("new", "data");
	assert_int_equal(mkfifo(pipe, 0600), 0);
	refuses(CMEK_REFUSED, seal_file("new", "pipe", true), "is not a file");
	refuses(CMEK_REFUSED, cmek_seal_file(orders, from, "/dev/null", true, NULL, &why),
		"is not a file");
}

static void a_link_stays_one_and_one_to_nothing_is_told(void **state)
{
	AUTO(freep) char *link = in_home("link"), *dangling = in_home("dangling");
	AUTO(freep) char *target = in_home("target");
	struct stat status;

	(void)state;
	put("new", "data");
	put("target", "before");
	assert_int_equal(symlink(target, link), 0);
	works(seal_file("new", "new.cmek", true));
	works(unseal_file("new.cmek", "link", true));
	assert_int_equal(lstat(link, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	has("target", "data");
	assert_int_equal(symlink("/nowhere/at/all", dangling), 0);
	assert_int_equal(seal_file("new", "dangling", true), CMEK_IO);
	assert_int_equal(cmek_error_errno(why), ENOENT);
	refuses(CMEK_IO, CMEK_IO, "what it leads to can't be reached");
	assert_int_equal(lstat(dangling, &status), 0);
}

/* Only root can make such a file. */
static void what_another_user_has_put_into_a_folder_of_all_is_left_alone(void **state)
{
	AUTO(freep) char *folder = in_home("everybodys"), *planted = in_home("everybodys/planted");

	(void)state;
	if (geteuid() != 0) {
		print_message("# reason: only root makes another user's file\n");
		skip();
	}
	put("new", "data");
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 01777), 0);
	put("everybodys/planted", "theirs");
	assert_int_equal(chown(planted, 65534, 65534), 0);
	refuses(CMEK_REFUSED, seal_file("new", "everybodys/planted", true), "is another user's");
	has("everybodys/planted", "theirs");
}

/* A program may have closed them, so that our files have their numbers. */
static void no_descriptor_is_left_open_whatever_its_number(void **state)
{
	int null;

	(void)state;
	put("new", "data");
	close(STDIN_FILENO);
	works(seal_file("new", "low.cmek", true));
	works(unseal_file("low.cmek", "low", true));
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	null = open("/dev/null", O_RDONLY);
	assert_int_equal(null, STDIN_FILENO);
	has("low", "data");
}

/* --- Threads --------------------------------------------------------------------------------- */

/* What the call began. */
static unsigned seal_in(size_t threads)
{
	AUTO(freep) char *from = in_home("large"), *to = in_home("large.cmek");
	const struct cmek_seal_options options = {.size = sizeof(options), .threads = threads};
	unsigned before = begun;

	works(cmek_seal_file(orders, from, to, true, &options, &why));
	return begun - before;
}

static unsigned unseal_in(size_t threads)
{
	AUTO(freep) char *from = in_home("large.cmek"), *to = in_home("large.back");
	const struct cmek_unseal_options options = {.size = sizeof(options), .threads = threads};
	unsigned before = begun;

	works(cmek_unseal_file(client, from, to, true, &options, &why));
	return begun - before;
}

static void put_large(void)
{
	AUTO(freep) char *path = in_home("large");
	AUTO(freep) uint8_t *data = pattern(LARGE);

	assert_true(file_replace(path, bytes(data, LARGE), 0600));
}

static void came_back(void)
{
	AUTO(freep) char *path = in_home("large.back");
	AUTO(buffer_clear) struct buffer plain = {0};
	AUTO(freep) uint8_t *data = pattern(LARGE);

	assert_true(file_read(path, LARGE, &plain));
	assert_bytes(buffer_bytes(&plain), bytes(data, LARGE));
}

static void a_large_file_has_the_threads_that_the_options_ask_for(void **state)
{
	static const size_t wanted[] = {0, 1, 3, CMEK_ALL_PROCESSORS};

	(void)state;
	put_large();
	for (size_t i = 0; i < COUNT_OF(wanted); i++) {
		unsigned all = library_threads(wanted[i]);
		unsigned others = all < 2 ? 0 : all < LANES_MAX ? all - 1 : LANES_MAX - 1;

		assert_int_equal(seal_in(wanted[i]), others);
		assert_int_equal(unseal_in(wanted[COUNT_OF(wanted) - 1 - i]) > 0,
				 library_threads(wanted[COUNT_OF(wanted) - 1 - i]) > 1);
		came_back();
	}
}

static void no_thread_is_begun_unasked(void **state)
{
	unsigned before;

	(void)state;
	put_large();
	before = begun;
	works(seal_file("large", "large.cmek", true));
	works(unseal_file("large.cmek", "large.back", true));
	assert_int_equal(begun, before);
	came_back();
}

static void a_large_file_that_is_damaged_leaves_nothing_behind_in_threads_either(void **state)
{
	AUTO(freep) char *path = in_home("large.cmek"), *to = in_home("large.not");
	const struct cmek_unseal_options options = {.size = sizeof(options), .threads = 3};
	unsigned before;
	int fd;

	(void)state;
	put_large();
	seal_in(3);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, LARGE / 2), 6);
	close(fd);
	before = names_in_home();
	refuses(CMEK_DAMAGED, cmek_unseal_file(client, path, to, false, &options, &why), "chunk");
	assert_int_equal(names_in_home(), before);
}

const struct CMUnitTest library_file_tests[] = {
	cmocka_unit_test(a_file_comes_back_with_its_rights),
	cmocka_unit_test(a_file_that_is_there_stays_unless_it_may_be_replaced),
	cmocka_unit_test(a_failure_leaves_no_file_behind),
	cmocka_unit_test(an_output_is_a_file_or_nothing),
	cmocka_unit_test(a_link_stays_one_and_one_to_nothing_is_told),
	cmocka_unit_test(what_another_user_has_put_into_a_folder_of_all_is_left_alone),
	cmocka_unit_test(no_descriptor_is_left_open_whatever_its_number),
	cmocka_unit_test(a_large_file_has_the_threads_that_the_options_ask_for),
	cmocka_unit_test(no_thread_is_begun_unasked),
	cmocka_unit_test(a_large_file_that_is_damaged_leaves_nothing_behind_in_threads_either),
};
const size_t library_file_count = COUNT_OF(library_file_tests);
