/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt and decrypt of many files: which file becomes which, what is refused before anything is
 * written, and what the progress line says. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/meter.h"
#include "tests/module/tool_run.h"
#include "tests/support/unit.h" /* after cli.h: cmocka has a macro of the name fail */

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENCRYPT "encrypt --project demo --database main/orders "

static void make_folder(const char *name, mode_t mode)
{
	AUTO(freep) char *path = in_home(name);

	assert_int_equal(mkdir(path, mode), 0);
}

static void make_link(const char *to, const char *name)
{
	AUTO(freep) char *path = in_home(name);

	assert_int_equal(symlink(to, path), 0);
}

static mode_t mode_of(const char *name)
{
	AUTO(freep) char *path = in_home(name);
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void forget(const char *name)
{
	AUTO(freep) char *path = in_home(name);

	assert_int_equal(unlink(path), 0);
}

/* Among other lines. */
static void says(const char *line, int code, const char *word)
{
	assert_int_equal(run(line), code);
	if (strstr(buffer_text(&err), word) == NULL)
		fail_msg("'%s' does not say '%s'", buffer_text(&err), word);
}

static void a_file_alone_gets_its_envelope_beside_it(void **state)
{
	(void)state;
	put("one", "1");
	done(ENCRYPT "@one");
	assert_int_equal(out.len, 0);
	forget("one");
	done("decrypt @one.cmek");
	has("one", "1");
	done("decrypt @one.cmek -o @elsewhere");
	has("elsewhere", "1");
	done(ENCRYPT "--output @there.cmek @one");
	assert_true(is_there("there.cmek"));
	refused("decrypt @one", CMEK_EXIT_USAGE, "does not end in .cmek");
	refused(ENCRYPT "-", CMEK_EXIT_USAGE, "missing OUT: standard input has no name");
	refused(ENCRYPT, CMEK_EXIT_USAGE, "missing FILE; see cmek encrypt --help");
}

static void files_get_their_envelopes_beside_them_by_a_suffix(void **state)
{
	(void)state;
	put("a", "a");
	put("b", "b");
	done(ENCRYPT "--suffix .sealed @a @b");
	prints("2 encrypted");
	forget("a");
	done("decrypt --suffix .sealed @a.sealed --json");
	prints("\"output\"");
	prints("\"decrypted\": 1");
	has("a", "a");
	refused("decrypt --suffix .sealed @b @a.sealed --force", CMEK_EXIT_REFUSED,
		"does not end in .sealed");
	refused(ENCRYPT "--suffix a/b @a", CMEK_EXIT_USAGE, "--suffix is the end of a name");
	refused(ENCRYPT "@a @b @one", CMEK_EXIT_USAGE, "where do the outputs go?");
	refused(ENCRYPT "--suffix .x --name n @a @b", CMEK_EXIT_USAGE, "--name is for one file");
	refused(ENCRYPT "--suffix .x @a -", CMEK_EXIT_USAGE, "give it alone");
	refused(ENCRYPT "--suffix .x --embed @a @b", CMEK_EXIT_USAGE, "--embed is for one file");
	refused(ENCRYPT "--suffix .x --collection 5 @a @b", CMEK_EXIT_USAGE,
		"--collection is for one file");
	refused(ENCRYPT "-o - @a @b", CMEK_EXIT_USAGE, "many files can't go to standard output");
	refused(ENCRYPT "--suffix .x -j 0 @a", CMEK_EXIT_USAGE, "--jobs is a number from 1 to 64");
}

/* As a shell makes of a pattern, which has two matches today. */
static void a_second_word_that_is_no_output_is_not_replaced_by_force(void **state)
{
	(void)state;
	put("d1", "first");
	put("d2", "second");
	refused(ENCRYPT "--force @d1 @d2", CMEK_EXIT_REFUSED,
		"-o OUT if that is meant, --suffix for both");
	has("d2", "second");
	done(ENCRYPT "--suffix .cmek @d1 @d2");
	refused("decrypt --force @d1.cmek @d2.cmek", CMEK_EXIT_REFUSED,
		"-o OUT if that is meant, --suffix for both");
	done("decrypt @d2.cmek @d2.again");
	has("d2.again", "second");
	/* What was meant goes on: the same again, an empty file, and -o. */
	done(ENCRYPT "--force @d1 @d1.cmek");
	done("decrypt --force @d1.cmek @d1");
	has("d1", "first");
	put("made", "");
	done(ENCRYPT "--force @d1 @made");
	done("decrypt --force @d1.cmek -o @made");
	has("made", "first");
	done(ENCRYPT "--force @d1 -o @made");
	done("decrypt --suffix .cmek --force @d1.cmek @d2.cmek");
	has("d2", "second");
}

static void a_tree_goes_into_a_folder_and_back(void **state)
{
	(void)state;
	make_folder("tree", 0755);
	make_folder("tree/private", 0700);
	put("tree/private/x", "secret");
	put("tree/empty", "");
	make_link("/etc", "tree/link");
	done(ENCRYPT "-r -j 3 -o @sealed @tree");
	prints("2 encrypted; left alone: 1 links and special files");
	assert_int_equal(mode_of("sealed/private"), 0700);
	assert_int_equal(mode_of("sealed/private/x.cmek"), 0600);
	put("sealed/README", "none of ours");
	done("decrypt --recursive --quiet -o @opened @sealed");
	assert_int_equal(out.len, 0);
	has("opened/private/x", "secret");
	has("opened/empty", "");
	assert_false(is_there("opened/README"));
	refused(ENCRYPT "-o @sealed @tree", CMEK_EXIT_FAILED, "is a folder; name files, or add");
	refused(ENCRYPT "@tree", CMEK_EXIT_FAILED, "is a folder; name files, or add --recursive");
	refused("decrypt @sealed", CMEK_EXIT_FAILED, "is a folder; name files, or add --recursive");
	/* What is below the output folder is no input. */
	done(ENCRYPT "-r -o @tree/out @tree");
	done(ENCRYPT "-r -o @tree/out --force @tree");
	prints("2 encrypted");
}

static void what_is_in_a_folder_is_left_alone_by_its_name(void **state)
{
	(void)state;
	make_folder("beside", 0755);
	put("beside/f", "f");
	done(ENCRYPT "-r --suffix .cmek @beside");
	done(ENCRYPT "-r --suffix .cmek --force @beside");
	prints("1 encrypted, 1 left alone by name");
	done("decrypt -r --suffix .cmek --force @beside");
	prints("1 decrypted, 1 left alone by name");
	done("decrypt -r -o @beside-opened @beside");
	prints("1 decrypted, 1 not encrypted");
}

static void two_files_with_one_output_are_refused_before_anything_is_written(void **state)
{
	(void)state;
	make_folder("p", 0755);
	make_folder("q", 0755);
	put("p/same", "p");
	put("q/same", "q");
	put("p/other", "o");
	refused(ENCRYPT "-o @none @p/other @p/same @q/same", CMEK_EXIT_REFUSED,
		"would both become");
	assert_false(is_there("none"));
	refused(ENCRYPT "--suffix .cmek @p/same @p/../p/same", CMEK_EXIT_REFUSED,
		"would both become");
	put("p/same.cmek", "mine");
	refused(ENCRYPT "--force --suffix .cmek @p/same @p/same.cmek", CMEK_EXIT_REFUSED,
		"is to be read itself");
	has("p/same.cmek", "mine");
	/* By way of a link, too. */
	make_link("same.cmek", "p/link");
	refused(ENCRYPT "--force --suffix .cmek @p/same @p/link", CMEK_EXIT_REFUSED,
		"is to be read itself");
	forget("p/link");
	forget("p/same.cmek");
}

static void no_link_is_followed_where_many_are_written(void **state)
{
	(void)state;
	make_folder("target", 0755);
	make_folder("outward", 0755);
	make_link("../target", "outward/private");
	says(ENCRYPT "-r -o @outward --force @tree", CMEK_EXIT_REFUSED,
	     "no link is followed below the folder that was named");
	assert_false(is_there("target/x.cmek"));
	put("victim", "mine");
	make_link("../victim", "outward/same.cmek");
	refused(ENCRYPT "--force -o @outward @p/same", CMEK_EXIT_REFUSED, "is a link, and no link");
	has("victim", "mine");
	make_folder("outward/other.cmek", 0755);
	refused(ENCRYPT "--force -o @outward @p/other", CMEK_EXIT_REFUSED, "and is not a file");
}

static void one_that_fails_does_not_stop_the_others(void **state)
{
	AUTO(freep) char *pipe = in_home("pipe");

	(void)state;
	assert_int_equal(mkfifo(pipe, 0600), 0);
	refused(ENCRYPT "-o @some @p/none @p/same", CMEK_EXIT_NOT_FOUND, "No such file");
	prints("1 encrypted, 1 failed");
	refused(ENCRYPT "-o @some @pipe @p/other", CMEK_EXIT_REFUSED, "give it alone, as IN OUT");
	refused("decrypt -o @some @p/other @some/same.cmek", CMEK_EXIT_DAMAGED, "not an envelope");
	refused("decrypt -o @some/more @p/other @some/same.cmek --json", CMEK_EXIT_DAMAGED,
		"not an envelope");
	prints("\"exit_code\": 7");
	prints("p/other: not an envelope");
	has("some/same", "p");
	says("decrypt -o @some @some/same.cmek @some/other.cmek --database main/bills --force",
	     CMEK_EXIT_REFUSED, "main/orders of project demo, not main/bills");
}

static void a_list_of_files_is_read_too(void **state)
{
	AUTO(freep)
	char *list = in_home("list"), *one = in_home("p/same"), *two = in_home("q/same");
	FILE *file = fopen(list, "w");

	(void)state;
	fprintf(file, "%s\n\n%s", one, two);
	fclose(file);
	done(ENCRYPT "--files-from @list --suffix .listed @p/other");
	prints("3 encrypted");
	file = fopen(list, "w");
	fprintf(file, "%s.listed%c%s.listed%c", one, 0, two, 0);
	fclose(file);
	done("decrypt --null --files-from @list --suffix .listed --force");
	prints("2 decrypted");
	assert_non_null(freopen(list, "r", stdin));
	done("decrypt -0 --suffix .listed --force");
	prints("2 decrypted");
	refused("decrypt --files-from @none-such -o @x", CMEK_EXIT_NOT_FOUND, "none-such");
}

static void holes_and_envelopes_are_told(void **state)
{
	AUTO(freep) char *path = in_home("holes");

	(void)state;
	put("holes", "");
	assert_int_equal(truncate(path, 1 << 20), 0);
	says(ENCRYPT "-o @sealed @holes @one.cmek", CMEK_EXIT_OK, "files with holes: 1");
	assert_non_null(strstr(buffer_text(&err), "one.cmek: is an envelope already"));
}

static void the_progress_line_says_how_much_how_fast_and_how_long(void **state)
{
	static const struct {
		struct meter meter;
		const char *text;
	} rows[] = {
		{{0, 0, 0, 0, 0}, "0.0 KiB"},
		{{0, 0, 3 << 20, 0, 2000}, "3.0 MiB, 1.5 MiB/s"},
		{{3, 0, 2048, 0, 0}, "3 files, 2.0 KiB"},
		{{3, 9, 45 << 20, 90 << 20, 1000},
		 "3 of 9 files, 45.0 of 90.0 MiB, 45.0 MiB/s, 0:01 left"},
		{{0, 0, 1 << 20, UINT64_C(20) << 30, 1000},
		 "0.0 of 20.0 GiB, 1.0 MiB/s, 5 h 41 min left"},
		{{1, 1, 10, 5, 1000}, "1 of 1 files, 0.0 of 0.0 KiB, 0.0 KiB/s"},
	};
	char text[METER_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		meter_text(&rows[i].meter, text);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_alone_gets_its_envelope_beside_it),
		cmocka_unit_test(files_get_their_envelopes_beside_them_by_a_suffix),
		cmocka_unit_test(a_second_word_that_is_no_output_is_not_replaced_by_force),
		cmocka_unit_test(a_tree_goes_into_a_folder_and_back),
		cmocka_unit_test(what_is_in_a_folder_is_left_alone_by_its_name),
		cmocka_unit_test(two_files_with_one_output_are_refused_before_anything_is_written),
		cmocka_unit_test(no_link_is_followed_where_many_are_written),
		cmocka_unit_test(one_that_fails_does_not_stop_the_others),
		cmocka_unit_test(a_list_of_files_is_read_too),
		cmocka_unit_test(holes_and_envelopes_are_told),
		cmocka_unit_test(the_progress_line_says_how_much_how_fast_and_how_long),
	};

	return cmocka_run_group_tests(tests, tool_start, tool_stop);
}
