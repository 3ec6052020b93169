/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The words of encrypt and decrypt: what they name, and where the outputs go. */
#include "cli/files.h"

#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/files_many.h"
#include "cli/output.h"
#include "include/cmek.h"
#include "include/pkcs11.h"
#include "library/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".cmek"

static bool given(const struct arguments *arguments, const char *name)
{
	return arguments_value(arguments, name) != NULL;
}

static bool is_folder_here(const char *name)
{
	struct stat status;

	return stat(name, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_folder(const char *name)
{
	size_t len = strlen(name);

	return (len > 0 && name[len - 1] == '/') || is_folder_here(name);
}

/* As many as --jobs says, else as there are processors. */
static int read_threads(const struct arguments *arguments, unsigned *ret_threads)
{
	const char *text = arguments_value(arguments, "jobs");
	uint64_t count = 0;

	if (text != NULL && (!decimal_decode(text, LIBRARY_THREADS_MAX, &count) || count == 0))
		return fail(CMEK_EXIT_USAGE, "--jobs is a number from 1 to %d, not %s",
			    LIBRARY_THREADS_MAX, text);
	*ret_threads = text == NULL ? library_threads(CMEK_ALL_PROCESSORS) : (unsigned)count;
	return CMEK_EXIT_OK;
}

/* --- One file -------------------------------------------------------------------------------- */

void file_pair_clear(struct file_pair *pair)
{
	free(pair->made);
}

static bool ends_in_suffix(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* FILE alone. */
static int name_beside(const char *in, bool encrypts, struct file_pair *pair)
{
	if (strcmp(in, "-") == 0)
		return fail(CMEK_EXIT_USAGE,
			    "missing OUT: standard input has no name that one could be made of");
	if (!encrypts && !ends_in_suffix(in))
		return fail(CMEK_EXIT_USAGE,
			    "missing OUT: the name of %s does not end in " SUFFIX
			    ", so it can't be told what to call its contents",
			    in);
	if (encrypts && asprintf(&pair->made, "%s" SUFFIX, in) < 0)
		pair->made = NULL;
	else if (!encrypts)
		pair->made = strndup(in, strlen(in) - strlen(SUFFIX));
	pair->out = pair->made;
	return pair->made == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

static int read_pair(const struct arguments *arguments, bool encrypts, struct file_pair *pair)
{
	const char *out = arguments_value(arguments, "output");

	pair->in = arguments->words[0];
	pair->encrypts = encrypts;
	if (arguments->word_count == 1 && is_folder_here(pair->in))
		return fail(CMEK_EXIT_FAILED, "%s: is a folder; name files, or add --recursive",
			    pair->in);
	if (out != NULL && arguments->word_count == 1) {
		pair->out = out;
		return CMEK_EXIT_OK;
	}
	if (arguments->word_count == 1)
		return name_beside(pair->in, encrypts, pair);
	pair->out = arguments->words[1];
	pair->is_two_words = true;
	return CMEK_EXIT_OK;
}

/* --- Many files ------------------------------------------------------------------------------ */

static bool has_list(const struct arguments *arguments)
{
	return given(arguments, "files-from") || given(arguments, "null");
}

static bool are_many(const struct arguments *arguments)
{
	const char *out = arguments_value(arguments, "output");

	return arguments->word_count > 2 || has_list(arguments) || given(arguments, "recursive") ||
	       given(arguments, "suffix") ||
	       (out != NULL && (arguments->word_count > 1 || is_folder(out)));
}

static int check_words(const struct arguments *arguments)
{
	if (arguments->word_count == 0 && !has_list(arguments))
		return fail(CMEK_EXIT_USAGE, "missing FILE; see cmek %s --help",
			    arguments->command->noun);
	return CMEK_EXIT_OK;
}

/* What is about one file only. */
static int check_options(const struct arguments *arguments)
{
	const char *out = arguments_value(arguments, "output");
	const char *const single[] = {"name", "message", "embed", "collection"};

	for (size_t i = 0; i < COUNT_OF(single); i++)
		if (given(arguments, single[i]))
			return fail(CMEK_EXIT_USAGE, "--%s is for one file, given as IN OUT",
				    single[i]);
	if (out != NULL && output_is_standard(out))
		return fail(CMEK_EXIT_USAGE,
			    "-o %s: many files can't go to standard output; name a folder (one of "
			    "this name: ./-)",
			    out);
	for (size_t i = 0; i < arguments->word_count; i++)
		if (strcmp(arguments->words[i], "-") == 0)
			return fail(CMEK_EXIT_USAGE,
				    "-: standard input can't be one of many files; give it alone, "
				    "with its OUT (a file of this name: ./-)");
	if (!given(arguments, "suffix") && !given(arguments, "output"))
		return fail(CMEK_EXIT_USAGE,
			    "where do the outputs go? Give -o FOLDER, or --suffix " SUFFIX
			    " for each beside its file");
	return CMEK_EXIT_OK;
}

int files_read(const struct arguments *arguments, bool encrypts, bool *ret_many,
	       struct file_pair *ret_pair)
{
	TRY(check_words(arguments));
	*ret_many = are_many(arguments);
	TRY(read_threads(arguments, &ret_pair->threads));
	if (*ret_many)
		return check_options(arguments);
	return read_pair(arguments, encrypts, ret_pair);
}

static int read_suffix(const struct arguments *arguments, struct plan_options *options)
{
	const char *suffix = arguments_value(arguments, "suffix");

	options->suffix = suffix == NULL ? SUFFIX : suffix;
	if (strchr(options->suffix, '/') != NULL)
		return fail(CMEK_EXIT_USAGE, "--suffix is the end of a name, as " SUFFIX ", not %s",
			    suffix);
	return CMEK_EXIT_OK;
}

int files_options(const struct arguments *arguments, bool encrypts, struct plan_options *options,
		  struct many *many)
{
	*options = (struct plan_options){
		.folder = arguments_value(arguments, "output"),
		.encrypts = encrypts,
		.recursive = given(arguments, "recursive"),
	};
	many->quiet = given(arguments, "quiet");
	TRY(read_suffix(arguments, options));
	return read_threads(arguments, &many->threads);
}

/* --- The list -------------------------------------------------------------------------------- */

/* By -0 alone it is standard input. */
static int plan_from(struct plan *plan, const struct plan_options *options, struct many *many)
{
	const char *name = arguments_value(many->arguments, "files-from");
	int end = given(many->arguments, "null") ? '\0' : '\n';
	FILE *list;
	int code;

	if (!has_list(many->arguments))
		return plan_make(plan, options, many, NULL, end);
	if (name == NULL || strcmp(name, "-") == 0)
		return plan_make(plan, options, many, stdin, end);
	list = fopen(name, "re");
	if (list == NULL)
		return fail_system(errno, name, "");
	code = plan_make(plan, options, many, list, end);
	fclose(list);
	return code;
}

static int make_folder(const char *folder)
{
	if (folder == NULL || mkdir(folder, 0777) == 0 || errno == EEXIST)
		return CMEK_EXIT_OK;
	return fail_system(errno, folder, "cannot be made: ");
}

int files_plan(struct plan *plan, const struct plan_options *options, struct many *many)
{
	TRY(plan_from(plan, options, many));
	many->total_files = plan->count;
	many->total_bytes = plan->bytes;
	many->others = plan->others;
	return make_folder(options->folder);
}
