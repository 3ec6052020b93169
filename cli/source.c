/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/source.h"

#include "base/macros.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void source_begin(struct source *source, const struct arguments *arguments, bool recursive)
{
	*source = (struct source){
		.words = arguments->words, .count = arguments->word_count, .recursive = recursive};
	if (source->count != 1 || strcmp(source->words[0], "-") != 0)
		return;
	source->count = 0;
	source->list = stdin;
}

void source_end(struct source *source)
{
	if (source->walk != NULL)
		fts_close(source->walk);
	free(source->place);
	*source = (struct source){0};
}

static struct found found_file(const char *path, bool walked)
{
	struct found found = {.path = strdup(path), .walked = walked};

	if (found.path == NULL)
		found.code = fail(CMEK_EXIT_FAILED, "out of memory");
	return found;
}

/* What base/aside.c calls files that are not finished yet, or were left by a killed process. */
static bool is_unfinished(const char *name)
{
	return strncmp(name, ".cmek-", 6) == 0 && strlen(name) == 6 + 16 &&
	       strspn(name + 6, "0123456789abcdef") == 16;
}

/* The path's part below the folder that was named: as many names as the entry is deep. */
static size_t below_of(const FTSENT *entry)
{
	size_t at = strlen(entry->fts_path);
	int names = entry->fts_level;

	for (; names > 0 && at > 0; at--)
		names -= entry->fts_path[at - 1] == '/';
	return names > 0 ? 0 : at + 1;
}

static struct found walked_file(const FTSENT *entry)
{
	struct found found = found_file(entry->fts_path, true);

	found.below = below_of(entry);
	found.size = entry->fts_statp->st_size;
	return found;
}

static bool is_left_out(const struct source *source, const FTSENT *entry)
{
	return source->leave_out != NULL && entry->fts_info == FTS_D && entry->fts_level > 0 &&
	       entry->fts_statp->st_dev == source->leave_out->st_dev &&
	       entry->fts_statp->st_ino == source->leave_out->st_ino;
}

static bool judge(struct source *source, FTSENT *entry, struct found *ret_found)
{
	*ret_found = (struct found){0};
	if (is_left_out(source, entry))
		fts_set(source->walk, entry, FTS_SKIP);
	switch (entry->fts_info) {
	case FTS_F:
		if (is_unfinished(entry->fts_name))
			return false;
		*ret_found = walked_file(entry);
		return true;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		ret_found->code = fail_system(entry->fts_errno, entry->fts_path, "");
		return true;
	case FTS_SL:
	case FTS_SLNONE:
	case FTS_DEFAULT:
		ret_found->other = true;
		return true;
	default: /* a folder, before or after what is in it */
		return false;
	}
}

static bool next_walked(struct source *source, struct found *ret_found)
{
	FTSENT *entry;

	while (source->walk != NULL && (entry = fts_read(source->walk)) != NULL)
		if (judge(source, entry, ret_found))
			return true;
	if (source->walk != NULL)
		fts_close(TAKE(source->walk));
	return false;
}

/* A file may be missing: whoever opens it says so. False: it is a folder, to be walked. */
static bool next_named(struct source *source, char *path, struct found *ret_found)
{
	char *const roots[] = {path, NULL};
	struct stat status;

	*ret_found = (struct found){.other = false};
	if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
		*ret_found = found_file(path, false);
		return true;
	}
	if (!source->recursive) {
		ret_found->code = fail(CMEK_EXIT_FAILED,
				       "%s: is a folder; name files, or add --recursive", path);
		return true;
	}
	source->walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (source->walk == NULL)
		ret_found->code = fail_system(errno, path, "");
	return source->walk == NULL;
}

/* NULL: there are no more. */
static char *next_path(struct source *source)
{
	ssize_t len;

	if (source->next < source->count)
		return source->words[source->next++];
	if (source->list == NULL)
		return NULL;
	do {
		len = getdelim(&source->place, &source->room, source->end, source->list);
		if (len > 0 && source->place[len - 1] == source->end)
			source->place[len - 1] = '\0';
	} while (len >= 0 && *source->place == '\0');
	return len < 0 ? NULL : source->place;
}

bool source_next(struct source *source, struct found *ret_found)
{
	char *path;

	for (;;) {
		if (next_walked(source, ret_found))
			return true;
		path = next_path(source);
		if (path == NULL)
			return false;
		if (next_named(source, path, ret_found))
			return true;
	}
}
