/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a change is refused for, by what is there already. */
#include "zones/index/rules.h"

#include "base/log.h"
#include "base/macros.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

/* --- Entries */

const char *label_other_spelling(const char *label, struct buffer *scratch)
{
	static const char prefix[] = DEFAULT_CLUSTER "/";

	if (strchr(label, '/') == NULL)
		buffer_format(scratch, "%s%s", prefix, label);
	else if (strncmp(label, prefix, sizeof(prefix) - 1) == 0)
		buffer_put_text(scratch, label + sizeof(prefix) - 1);
	else
		return NULL;
	return buffer_text(scratch);
}

static bool is_other(const struct entry *found, const struct entry *entry)
{
	return found != NULL && !uid_equal(found->uid, entry->uid);
}

enum zone_status label_find_other(const struct index *index, const struct entry *entry)
{
	AUTO(buffer_clear) struct buffer scratch = {0};
	const char *other = NULL;

	if (entry->kind == ENTRY_KEY || entry->state != ENTRY_ACTIVE)
		return ZONE_OK;
	if (entry->kind == ENTRY_ZONE)
		other = label_other_spelling(entry->label, &scratch);
	if (is_other(index_label(index, entry->project, entry->kind, bytes_of(entry->label)),
		     entry) ||
	    (other != NULL &&
	     is_other(index_label(index, entry->project, entry->kind, bytes_of(other)), entry)))
		return ZONE_EXISTS;
	return scratch.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

enum zone_status label_check_free(const struct index *index, const struct entry *entry)
{
	enum zone_status status = label_find_other(index, entry);

	if (status != ZONE_EXISTS)
		return status;
	return refuse(ZONE_EXISTS, "the project has a %s '%s' already; choose another label",
		      entry_kind_word(entry->kind), entry->label);
}

static bool imports_from(const struct entry *zone, const uint8_t *fingerprint, uint64_t bound)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].record_zone == bound &&
		    memcmp(zone->of_zone.versions[i].fingerprint, fingerprint, 16) == 0)
			return true;
	return false;
}

const struct entry *fingerprint_find_other(const struct index *index, uint64_t bound,
					   const uint8_t fingerprint[static 16])
{
	const struct entry *owner = index_fingerprint(index, fingerprint);
	const struct entry *importer = index_import(index, fingerprint);

	if (owner != NULL && owner->of_zone.zone != bound)
		return owner;
	return importer != NULL && !imports_from(importer, fingerprint, bound) ? importer : NULL;
}

enum zone_status entry_check_current(const struct index *index, const struct entry *entry,
				     struct entry **ret_current)
{
	struct entry *current = index_uid(index, entry->uid);

	if (current == NULL || !index_is_visible(index, current))
		return refuse(ZONE_NOT_FOUND, "the %s '%s' is not there any more",
			      entry_kind_word(entry->kind), entry->label);
	if (current->revision != entry->revision)
		return refuse(ZONE_CONFLICT, "the %s '%s' was changed by somebody else meanwhile",
			      entry_kind_word(entry->kind), entry->label);
	*ret_current = current;
	return ZONE_OK;
}

enum zone_status project_check(const struct index *index, struct uid project)
{
	if (index_project_active(index, project))
		return ZONE_OK;
	return refuse(ZONE_NOT_FOUND, "the project is not there any more");
}

/* --- Root keys */

struct same {
	const struct kms_provider *const *providers;
	const char *arn;
	struct entry *found;
};

static bool compare(void *state, struct entry *root_key)
{
	struct same *same = state;

	if (kms_same_key(same->providers, root_key->of_root_key.arn, same->arn))
		same->found = root_key;
	return same->found == NULL;
}

struct entry *root_key_same(const struct index *index, struct uid project, const char *arn)
{
	struct same same = {index->providers, arn, NULL};

	index_each_of(index, project, ENTRY_ROOT_KEY, compare, &same);
	return same.found;
}

static bool count_one(void *state, struct entry *entry)
{
	(void)entry;
	++*(size_t *)state;
	return true;
}

size_t root_key_count(const struct index *index, struct uid project)
{
	size_t count = 0;

	index_each_of(index, project, ENTRY_ROOT_KEY, count_one, &count);
	return count;
}

/* --- Projects that can't be read */

enum zone_status project_check_newest(const struct index *index, struct uid project)
{
	const struct store_unread *unread = index_unread(index, project);

	return unread == NULL ? ZONE_OK : refuse(unread->why, "%s", unread->text);
}

enum zone_status project_check_read(const struct index *index, struct uid project)
{
	const struct store_unread *unread = index_unread(index, project);

	if (unread != NULL && unread->known && zone_status_is_store_outage(unread->why))
		return ZONE_OK;
	return project_check_newest(index, project);
}

void projects_warn_unread(const struct index *index)
{
	for (size_t i = 0; i < index->unread_count; i++)
		log_warning("%s; what is told here is without that project", index->unread[i].text);
}
