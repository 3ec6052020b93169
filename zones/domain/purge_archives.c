/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Archives, and the projects that they stand for. */
#include "zones/domain/purge_private.h"

enum { DEPTH = 256 /* of archives in archived projects */ };

static bool keep_latest(void *state, struct entry *archive)
{
	const struct entry **latest = state;

	if (*latest == NULL || archive->delete_after_ms > (*latest)->delete_after_ms)
		*latest = archive;
	return true;
}

const struct entry *purge_archive_within(const struct index *index, const struct entry *archive)
{
	const struct entry *latest = NULL;

	index_each_of(index, archive->of_archive.archived, ENTRY_ARCHIVE, keep_latest, &latest);
	return latest;
}

bool purge_holds_undue(const struct purge *purge, const struct entry *archive)
{
	for (size_t depth = 0; depth < DEPTH; depth++) {
		archive = purge_archive_within(purge->index, archive);
		if (archive == NULL)
			return false;
		if (archive->delete_after_ms > purge->now_ms)
			return true;
	}
	return true;
}

bool purge_take_archive(void *state, struct entry *archive)
{
	struct purge *purge = state;

	if (!purge_holds_undue(purge, archive) && purge_is_over(purge, archive->delete_after_ms) &&
	    purge_archive_within(purge->index, archive) == NULL) {
		purge->status = changes_remove(purge->changes, archive);
		purge->rows++;
	}
	return purge_has_room(purge);
}

struct archive_search {
	const struct index *index;
	struct uid archived;
	bool found;
};

static bool is_its_archive(void *state, struct entry *archive)
{
	struct archive_search *search = state;

	search->found |= uid_equal(archive->of_archive.archived, search->archived);
	return !search->found;
}

static bool search_archives(void *state, struct entry *project)
{
	struct archive_search *search = state;

	index_each_of(search->index, project->uid, ENTRY_ARCHIVE, is_its_archive, search);
	return !search->found;
}

bool purge_has_archive(const struct purge *purge, const struct entry *project)
{
	struct archive_search search = {.index = purge->index, .archived = project->uid};

	index_each_project_of_all(search.index, search_archives, &search);
	return search.found;
}
