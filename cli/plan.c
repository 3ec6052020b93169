/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan.h"

#include "base/file.h"
#include "base/macros.h"
#include "envelope/header.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void plan_clear(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->files[i].path);
		free(plan->files[i].target);
	}
	free(plan->files);
	*plan = (struct plan){0};
}

static int no_memory(void)
{
	return fail(CMEK_EXIT_FAILED, "out of memory");
}

/* --- One file -------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end && strcmp(name + len - end, suffix) == 0;
}

/* A file beside which its envelope, or what is in it, would be put; one that was found in a folder
 * may be that already. */
static bool is_left_alone(const struct plan_options *options, const struct found *found)
{
	return options->folder == NULL && found->walked &&
	       ends_in(found->path, options->suffix) == options->encrypts;
}

/* What was found in a folder, and is neither an envelope nor called like one, is none of ours. */
static bool is_plain(const struct plan_options *options, const struct found *found)
{
	AUTO(file_closep) int fd = -1;
	uint8_t start[4];
	ssize_t count;

	if (options->encrypts || !found->walked || ends_in(found->path, options->suffix))
		return false;
	fd = open(found->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	count = fd < 0 ? -1 : read(fd, start, sizeof(start));
	return count >= 0 && !envelope_begins(bytes(start, (size_t)count));
}

/* Beside the input, or "FOLDER/" and the part below. False: no memory. */
static bool set_target(const struct plan_options *options, struct plan_file *file)
{
	const char *folder = options->folder == NULL ? "" : options->folder;
	const char *slash = *folder == '\0' || folder[strlen(folder) - 1] == '/' ? "" : "/";
	const char *from = file->path + (options->folder == NULL ? 0 : file->below);
	size_t len = strlen(from);

	if (!options->encrypts && !file->keeps_name)
		len -= strlen(options->suffix);
	file->target_below = options->folder == NULL ? file->below : strlen(folder) + strlen(slash);
	if (asprintf(&file->target, "%s%s%.*s%s", folder, slash, (int)len, from,
		     options->encrypts ? options->suffix : "") < 0)
		file->target = NULL;
	return file->target != NULL;
}

/* A file that was named stands for itself: it is below the folder that it is in. */
static size_t below_of(const struct found *found)
{
	const char *slash = strrchr(found->path, '/');

	if (found->walked)
		return found->below;
	return slash == NULL ? 0 : (size_t)(slash + 1 - found->path);
}

static int no_suffix(const struct plan_options *options, const char *path)
{
	return fail(
		CMEK_EXIT_REFUSED,
		"%s: its name does not end in %s, so it can't be told what to call its contents; "
		"give -o FOLDER, or --suffix",
		path, options->suffix);
}

static bool make_room(struct plan *plan)
{
	size_t room = plan->room * 2 + 64;
	struct plan_file *files;

	if (plan->count < plan->room)
		return true;
	files = realloc(plan->files, room * sizeof(*files));
	if (files == NULL)
		return false;
	plan->files = files;
	plan->room = room;
	return true;
}

static off_t size_of(const struct found *found)
{
	struct stat status;

	if (found->walked)
		return found->size;
	return stat(found->path, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : 0;
}

static int add(struct plan *plan, const struct plan_options *options, struct found *found)
{
	struct plan_file file = {.below = below_of(found), .walked = found->walked};

	file.keeps_name = !options->encrypts && !ends_in(found->path, options->suffix);
	if (file.keeps_name && options->folder == NULL)
		return no_suffix(options, found->path);
	file.path = found->path;
	if (!make_room(plan) || !set_target(options, &file))
		return no_memory();
	plan->bytes += (uint64_t)size_of(found);
	found->path = NULL;
	plan->files[plan->count++] = file;
	return CMEK_EXIT_OK;
}

static void judge(struct plan *plan, const struct plan_options *options, struct many *many,
		  struct found *found)
{
	int code = found->code;

	plan->others += found->other;
	if (found->path != NULL && is_left_alone(options, found))
		plan->left_alone++;
	else if (found->path != NULL && is_plain(options, found))
		plan->plain++;
	else if (found->path != NULL)
		code = add(plan, options, found);
	if (code != CMEK_EXIT_OK)
		many_note_failure(many, found->path, code);
	free(found->path);
}

/* --- All of them ----------------------------------------------------------------------------- */

/* A path as it is without links and dots before the part below, by which two are compared. */
struct name {
	char *text; /* owned */
	const struct plan_file *file;
};

struct names {
	struct name *list;
	size_t count;
};

static void names_clear(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i].text);
	free(names->list);
}

/* The last folder that was asked about, since files of one come together. */
struct known_folder {
	char *named, *real; /* owned */
};

static void known_clear(struct known_folder *known)
{
	free(known->named);
	free(known->real);
}

/* One that is not there yet has no other name. */
static const char *real_folder(struct known_folder *known, const struct place *place)
{
	if (known->named != NULL && strlen(known->named) == place->below &&
	    strncmp(known->named, place->path, place->below) == 0)
		return known->real;
	known_clear(known);
	known->named = strndup(place->path, place->below);
	known->real = known->named == NULL
			      ? NULL
			      : realpath(*known->named == '\0' ? "." : known->named, NULL);
	if (known->real == NULL && known->named != NULL)
		known->real = strdup(known->named);
	return known->real;
}

static bool add_name(struct names *names, struct known_folder *known, const struct plan_file *file,
		     struct place place)
{
	const char *folder = real_folder(known, &place);
	char *text = NULL;

	/* A link that was named is read through; its target is what must not be written to. */
	if (place.path == file->path && !file->walked)
		text = realpath(file->path, NULL);
	if (folder == NULL ||
	    (text == NULL && asprintf(&text, "%s/%s", folder, place.path + place.below) < 0))
		return false;
	names->list[names->count++] = (struct name){text, file};
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static bool collect(const struct plan *plan, bool of_targets, struct names *names)
{
	AUTO(known_clear) struct known_folder known = {0};

	names->list = calloc(plan->count + 1, sizeof(*names->list));
	for (size_t i = 0; names->list != NULL && i < plan->count; i++) {
		const struct plan_file *file = &plan->files[i];

		if (!add_name(names, &known, file,
			      of_targets ? plan_output(file) : plan_input(file)))
			return false;
	}
	if (names->list != NULL)
		qsort(names->list, names->count, sizeof(*names->list), by_text);
	return names->list != NULL;
}

/* The first two that have one output. */
static int check_outputs(const struct names *outputs)
{
	for (size_t i = 1; i < outputs->count; i++)
		if (by_text(&outputs->list[i - 1], &outputs->list[i]) == 0)
			return fail(
				CMEK_EXIT_REFUSED,
				"%s and %s would both become %s, so nothing was written; name one "
				"of them, or give another folder",
				outputs->list[i - 1].file->path, outputs->list[i].file->path,
				outputs->list[i].file->target);
	return CMEK_EXIT_OK;
}

static int check_inputs(const struct names *outputs, const struct names *inputs)
{
	for (size_t i = 0; i < outputs->count; i++) {
		const struct name *input = bsearch(&outputs->list[i], inputs->list, inputs->count,
						   sizeof(*inputs->list), by_text);

		if (input != NULL)
			return fail(CMEK_EXIT_REFUSED,
				    "%s would be written over, for %s, and is to be read itself; "
				    "nothing was written; leave one of them out",
				    input->file->path, outputs->list[i].file->path);
	}
	return CMEK_EXIT_OK;
}

static int check_all(const struct plan *plan)
{
	AUTO(names_clear) struct names outputs = {0}, inputs = {0};

	if (!collect(plan, true, &outputs) || !collect(plan, false, &inputs))
		return no_memory();
	TRY(check_outputs(&outputs));
	return check_inputs(&outputs, &inputs);
}

int plan_make(struct plan *plan, const struct plan_options *options, struct many *many, FILE *list,
	      int end)
{
	struct source source;
	struct found found;
	struct stat folder;

	source_begin(&source, many->arguments, options->recursive);
	source.list = list;
	source.end = end;
	if (options->folder != NULL && stat(options->folder, &folder) == 0)
		source.leave_out = &folder;
	while (source_next(&source, &found))
		judge(plan, options, many, &found);
	source_end(&source);
	return check_all(plan);
}
