/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A name is refused by base/name.h's reasons. */
#include "zones/model/names.h"

#include "base/encode.h"
#include "base/macros.h"
#include "base/name.h"
#include "zones/model/refuse.h"

/* The message has the label where it can be shown. */
static enum zone_status refuse_label(enum entry_kind kind, struct bytes label, const char *why)
{
	bool shown = utf8_valid(label);

	return refuse(ZONE_INVALID_NAME, "the name of a %s %s%s%.*s", entry_kind_word(kind), why,
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
			      entry_kind_word(kind), longest);
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
