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
	source->from_list = source->count == 1 && strcmp(source->words[0], "-") == 0;
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

static bool judge(FTSENT *entry, struct found *ret_found)
{
	*ret_found = (struct found){0};
	switch (entry->fts_info) {
	case FTS_F:
		if (is_unfinished(entry->fts_name))
			return false;
		*ret_found = found_file(entry->fts_path, true);
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
		if (judge(entry, ret_found))
			return true;
	if (source->walk != NULL)
		fts_close(TAKE(source->walk));
	return false;
}

static bool next_of_list(struct source *source, struct found *ret_found)
{
	ssize_t len;

	do {
		len = getdelim(&source->place, &source->room, '\0', stdin);
	} while (len >= 0 && *source->place == '\0');
	if (len < 0)
		return false;
	*ret_found = found_file(source->place, false);
	return true;
}

/* A file may be missing: whoever opens it says so. */
static void next_word(struct source *source, struct found *ret_found)
{
	char *const roots[] = {source->words[source->next++], NULL};
	struct stat status;

	*ret_found = (struct found){.other = false};
	if (stat(roots[0], &status) != 0 || !S_ISDIR(status.st_mode)) {
		*ret_found = found_file(roots[0], false);
		return;
	}
	if (!source->recursive) {
		ret_found->code = fail(CMEK_EXIT_FAILED,
				       "%s: is a folder; name files, or add --recursive", roots[0]);
		return;
	}
	source->walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (source->walk == NULL)
		ret_found->code = fail_system(errno, roots[0], "");
}

bool source_next(struct source *source, struct found *ret_found)
{
	if (source->from_list)
		return next_of_list(source, ret_found);
	for (;;) {
		if (next_walked(source, ret_found))
			return true;
		if (source->next == source->count)
			return false;
		next_word(source, ret_found);
		if (ret_found->path != NULL || ret_found->code != CMEK_EXIT_OK)
			return true;
	}
}
