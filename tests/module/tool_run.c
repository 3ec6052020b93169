/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/module/tool_run.h"

#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "tests/support/unit.h" /* after it: cmocka has a macro of the name fail */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS_MAX = 24 };

char home[] = "/tmp/cmek-test-XXXXXX";
struct buffer out, err; /* what the last command has printed */

char *in_home(const char *name)
{
	return path_join(home, name);
}

/* --- Running a command ----------------------------------------------------------------------- */

/* A standard stream that goes into a file meanwhile. */
struct redirected {
	FILE *stream;
	int kept, file;
};

static struct redirected redirect(FILE *stream)
{
	struct redirected redirected = {.stream = stream,
					.kept = dup(fileno(stream)),
					.file = memfd_create("output", MFD_CLOEXEC)};

	fflush(stream);
	assert_true(redirected.kept >= 0 && redirected.file >= 0);
	assert_true(dup2(redirected.file, fileno(stream)) >= 0);
	return redirected;
}

static void bring_back(struct redirected *redirected, struct buffer *ret_text)
{
	uint8_t block[4096];
	ssize_t len;

	fflush(redirected->stream);
	dup2(redirected->kept, fileno(redirected->stream));
	close(redirected->kept);
	buffer_clear(ret_text);
	assert_int_equal(lseek(redirected->file, 0, SEEK_SET), 0);
	while ((len = read(redirected->file, block, sizeof(block))) > 0)
		buffer_append(ret_text, bytes(block, (size_t)len));
	buffer_text(ret_text);
	close(redirected->file);
}

/* Runs "cmek WORD…"; the exit code. */
int run_list(char **words, int count)
{
	struct redirected standard = redirect(stdout), errors = redirect(stderr);
	int code;

	optind = 0;
	code = run_words(count, words);
	bring_back(&standard, &out);
	bring_back(&errors, &err);
	return code;
}

/* A line of words with one space between them; "@x" is the file x of the home folder. */
int run(const char *line)
{
	AUTO(freep) char *copy = strdup(line);
	char *words[WORDS_MAX] = {strdup("cmek")}, *rest;
	int count = 1, code;

	for (char *word = strtok_r(copy, " ", &rest); word != NULL && count < WORDS_MAX - 1;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = *word == '@' ? in_home(word + 1) : strdup(word);
	code = run_list(words, count);
	for (int i = 0; i < WORDS_MAX; i++)
		free(words[i]);
	return code;
}

void done(const char *line)
{
	int code = run(line);

	if (code != CMEK_EXIT_OK || err.len > 0)
		print_message("# %s: %s", line, buffer_text(&err));
	assert_int_equal(code, CMEK_EXIT_OK);
	assert_int_equal(err.len, 0);
}

/* In one line that has the word; an object, if --json is given. */
void refused(const char *line, int code, const char *word)
{
	const char *text;

	assert_int_equal(run(line), code);
	text = buffer_text(&err);
	assert_int_equal(strncmp(text, fail_in_json ? "{\"mess" : "cmek: ", 6), 0);
	assert_ptr_equal(strchr(text, '\n'), text + err.len - 1);
	if (strstr(text, word) == NULL)
		fail_msg("'%s' does not say '%s'", text, word);
}

void prints(const char *word)
{
	if (strstr(buffer_text(&out), word) == NULL)
		fail_msg("'%s' does not have '%s'", buffer_text(&out), word);
}

json_t *printed_json(void)
{
	json_t *value = json_loads(buffer_text(&out), 0, NULL);

	assert_non_null(value);
	return value;
}

void put(const char *name, const char *text)
{
	AUTO(freep) char *path = in_home(name);

	assert_true(file_replace(path, bytes_of(text), 0600));
}

void has(const char *name, const char *text)
{
	AUTO(freep) char *path = in_home(name);
	AUTO(buffer_clear) struct buffer there = {0};

	assert_true(file_read(path, 1 << 20, &there));
	assert_bytes(buffer_bytes(&there), bytes_of(text));
}

bool is_there(const char *name)
{
	AUTO(freep) char *path = in_home(name);
	struct stat status;

	return stat(path, &status) == 0;
}

/* --- Set-up ---------------------------------------------------------------------------------- */

int tool_start(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(freep) char *path = NULL;

	(void)state;
	if (mkdtemp(home) == NULL)
		return -1;
	buffer_format(&text, "[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n", home,
		      home);
	put("cmek.conf", buffer_text(&text));
	path = in_home("cmek.conf");
	setenv("CMEK_PKCS11_CONF", path, 1);
	setenv("CMEK_PKCS11_MODULE", CMEK_MODULE, 1);
	put("plain", "card 4111");
	done("project create demo");
	done("key create --project demo local:root");
	done("cluster create --project demo main --key root --region us-west-2");
	done("database create --project demo main/orders");
	done("database create --project demo main/bills");
	return 0;
}

int tool_stop(void **state)
{
	char command[64];

	(void)state;
	buffer_clear(&out);
	buffer_clear(&err);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}
