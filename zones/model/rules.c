/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, and what holds for entries of every kind. */
#include "zones/model/rules.h"
#include "base/encode.h"
#include "base/macros.h"
#include "base/name.h"

static const char *const kind_words[] = {"project",  "root key",  "cluster",
					 "database", "token key", "archive"};

/* --- Labels */

/* The label is told where it can be shown. */
static enum zone_status refuse_label(enum entry_kind kind, struct bytes label, const char *why)
{
	bool shown = utf8_valid(label);

	return refuse(ZONE_INVALID_NAME, "the name of a %s %s%s%.*s", kind_words[kind], why,
		      shown ? ": " : "", shown ? (int)label.len : 0,
		      shown ? (const char *)label.data : "");
}

/* Of a database both parts are names. */
static const char *fault_of(enum entry_kind kind, struct bytes label)
{
	const uint8_t *slash = label.len == 0 ? NULL : memchr(label.data, '/', label.len);
	struct bytes rest = {0};
	const char *fault;

	if (kind == ENTRY_KEY)
		return utf8_valid(label) ? NULL : "is UTF-8 without a NUL";
	if (kind == ENTRY_ZONE && slash != NULL) {
		rest = bytes(slash + 1, (size_t)(label.data + label.len - slash - 1));
		label.len -= rest.len + 1;
	}
	fault = name_fault(label);
	return fault != NULL ? fault : name_fault(rest);
}

enum zone_status label_check(enum entry_kind kind, struct bytes label)
{
	size_t longest = kind == ENTRY_PROJECT ? PROJECT_LABEL_MAX : LABEL_MAX;
	const char *fault = fault_of(kind, label);

	if (label.len > longest)
		return refuse(ZONE_INVALID_NAME, "the name of a %s has at most %zu bytes",
			      kind_words[kind], longest);
	if (fault != NULL)
		return refuse_label(kind, label, fault);
	if (kind == ENTRY_CLUSTER && label.len == 0)
		return refuse(ZONE_INVALID_NAME, "a cluster has a name: give it one (CKA_LABEL)");
	if (kind == ENTRY_CLUSTER && memchr(label.data, '/', label.len) != NULL)
		return refuse_label(kind, label, "has no slash");
	return ZONE_OK;
}

enum zone_status zone_name_parse(struct bytes label, struct zone_name *ret_name)
{
	const uint8_t *slash = label.len == 0 ? NULL : memchr(label.data, '/', label.len);
	struct zone_name name = {bytes_of(DEFAULT_CLUSTER), label};

	TRY(label_check(ENTRY_ZONE, label));
	if (slash != NULL) {
		name.cluster = bytes(label.data, (size_t)(slash - label.data));
		name.database = bytes(slash + 1, label.len - name.cluster.len - 1);
		if (name.cluster.len == 0 || name.database.len == 0 ||
		    memchr(name.database.data, '/', name.database.len) != NULL)
			return refuse_label(ENTRY_ZONE, label,
					    "is cluster/database, or database alone");
	}
	*ret_name = name;
	return ZONE_OK;
}

/* The other way to write the name of a zone in the default cluster; NULL: there is none. */
static const char *other_spelling(const char *label, struct buffer *scratch)
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

enum zone_status label_check_free(const struct index *index, const struct entry *entry)
{
	AUTO(buffer_clear) struct buffer scratch = {0};
	const char *other = NULL;

	if (entry->kind == ENTRY_KEY || entry->state != ENTRY_ACTIVE)
		return ZONE_OK;
	if (entry->kind == ENTRY_ZONE)
		other = other_spelling(entry->label, &scratch);
	if (is_other(index_label(index, entry->project, entry->kind, bytes_of(entry->label)),
		     entry) ||
	    (other != NULL &&
	     is_other(index_label(index, entry->project, entry->kind, bytes_of(other)), entry)))
		return refuse(ZONE_EXISTS,
			      "the project has a %s '%s' already; choose another label",
			      kind_words[entry->kind], entry->label);
	return scratch.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

enum zone_status entry_take_names(struct entry *entry, const struct entry_names *names)
{
	if (names->id.len > CKA_ID_MAX)
		return refuse(ZONE_INVALID, "an id (CKA_ID) has at most %d bytes", CKA_ID_MAX);
	if (names->extra.len > EXTRA_MAX)
		return refuse(ZONE_INVALID, "an object has at most %d bytes of further attributes",
			      EXTRA_MAX);
	entry->usages = names->usages;
	if (names->label.len > 0) {
		TRY(label_check(entry->kind, names->label));
		if (!entry_set_text(&entry->label, names->label))
			return ZONE_NO_MEMORY;
	}
	if (names->id.len > 0 && !entry_set_bytes(&entry->id, names->id))
		return ZONE_NO_MEMORY;
	return entry_set_bytes(&entry->extra, names->extra) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* --- Entries */

enum zone_status entry_make(const struct zones *zones, enum entry_kind kind, struct uid project,
			    struct entry **ret_entry)
{
	AUTO(entry_releasep) struct entry *entry = entry_new(kind);

	if (entry == NULL)
		return ZONE_NO_MEMORY;
	TRY(uid_new(&entry->uid));
	entry->project = kind == ENTRY_PROJECT ? entry->uid : project;
	entry->created_ms = zones_now_ms(zones);
	*ret_entry = TAKE(entry);
	return ZONE_OK;
}

enum zone_status entry_check_current(const struct index *index, const struct entry *entry,
				     struct entry **ret_current)
{
	struct entry *current = index_uid(index, entry->uid);

	if (current == NULL || !index_is_visible(index, current))
		return refuse(ZONE_NOT_FOUND, "the %s '%s' is not there any more",
			      kind_words[entry->kind], entry->label);
	if (current->revision != entry->revision)
		return refuse(ZONE_CONFLICT, "the %s '%s' was changed by somebody else meanwhile",
			      kind_words[entry->kind], entry->label);
	*ret_current = current;
	return ZONE_OK;
}

enum zone_status entry_make_pending(const struct zones *zones, const struct entry *entry,
				    struct entry **ret_copy)
{
	struct entry *copy = entry_copy(entry);

	if (copy == NULL)
		return ZONE_NO_MEMORY;
	copy->state = ENTRY_PENDING_DELETION;
	copy->delete_after_ms = zones_deletion_ms(zones);
	*ret_copy = copy;
	return ZONE_OK;
}

enum zone_status entry_make_active(const struct entry *entry, struct entry **ret_copy)
{
	struct entry *copy = entry_copy(entry);

	if (copy == NULL)
		return ZONE_NO_MEMORY;
	copy->state = ENTRY_ACTIVE;
	copy->delete_after_ms = 0;
	*ret_copy = copy;
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
	const char *arn;
	struct entry *found;
};

static bool compare(void *state, struct entry *root_key)
{
	struct same *same = state;

	if (kms_arn_same_key(root_key->of_root_key.arn, same->arn))
		same->found = root_key;
	return same->found == NULL;
}

struct entry *root_key_same(const struct index *index, struct uid project, const char *arn)
{
	struct same same = {arn, NULL};

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
