/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Stock programs can't name a zone in a template, but all of them can name a key. */
#include "zones/domain/key_place.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/name.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/model/names.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

static const char default_zone[] = DEFAULT_CLUSTER "/" DEFAULT_CLUSTER;

/* --- Zones by name */

/* Of entries by label, the first, held; `pending`: also what awaits deletion. */
static enum zone_status find(struct zones *zones, struct uid project, enum entry_kind kind,
			     struct bytes label, bool pending, struct entry **ret_entry)
{
	struct entry_filter filter = {.project = project, .label = &label, .with_pending = pending};
	AUTO(freep) struct entry **entries = NULL;
	enum zone_status status;
	size_t count = 0;

	filter.kinds[kind] = true;
	status = zones_list(zones, &filter, &entries, &count);
	for (size_t i = 1; i < count; i++)
		entry_release(entries[i]);
	*ret_entry = count > 0 ? entries[0] : NULL;
	return status == ZONE_NOT_FOUND ? ZONE_OK : status;
}

/* In the cluster "default" a zone's label may lack the cluster. */
static enum zone_status find_zone(struct zones *zones, struct uid project, struct bytes name,
				  bool pending, struct entry **ret_zone)
{
	static const char prefix[] = DEFAULT_CLUSTER "/";

	TRY(find(zones, project, ENTRY_ZONE, name, pending, ret_zone));
	if (*ret_zone != NULL || !bytes_begin(name, prefix))
		return ZONE_OK;
	name = bytes(name.data + sizeof(prefix) - 1, name.len - (sizeof(prefix) - 1));
	return find(zones, project, ENTRY_ZONE, name, pending, ret_zone);
}

/* --- By the key's label */

/* CLUSTER/DATABASE/NAME, none of them empty. */
static bool split(struct bytes label, struct bytes *ret_cluster, struct bytes *ret_zone)
{
	const uint8_t *slashes[2] = {0};
	size_t count = 0;

	for (size_t i = 0; i < label.len; i++) {
		if (label.data[i] != '/')
			continue;
		if (count == COUNT_OF(slashes))
			return false;
		slashes[count++] = label.data + i;
	}
	if (count < COUNT_OF(slashes))
		return false;
	*ret_cluster = bytes(label.data, (size_t)(slashes[0] - label.data));
	*ret_zone = bytes(label.data, (size_t)(slashes[1] - label.data));
	return ret_cluster->len > 0 && ret_zone->len > ret_cluster->len + 1 &&
	       ret_zone->len + 1 < label.len;
}

static enum zone_status refuse_label(struct bytes zone, bool pending)
{
	const char *text = (const char *)zone.data;

	if (pending)
		return refuse(ZONE_PENDING_DELETION,
			      "the new key's label begins with '%.*s', a database that awaits "
			      "deletion: restore it ('cmek database undelete'), or label the key "
			      "otherwise",
			      (int)zone.len, text);
	return refuse(
		ZONE_NOT_FOUND,
		"the new key's label begins with '%.*s', but the cluster has no such database: "
		"create it ('cmek database create'), or label the key otherwise",
		(int)zone.len, text);
}

/* *ret_zone stays NULL: the label names no zone. */
static enum zone_status by_label(struct zones *zones, struct uid project, struct bytes label,
				 struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *cluster = NULL, *pending = NULL;
	struct bytes cluster_name, zone_name;

	if (!split(label, &cluster_name, &zone_name))
		return ZONE_OK;
	TRY(find_zone(zones, project, zone_name, false, ret_zone));
	if (*ret_zone != NULL)
		return ZONE_OK;
	TRY(find_zone(zones, project, zone_name, true, &pending));
	TRY(find(zones, project, ENTRY_CLUSTER, cluster_name, true, &cluster));
	if (pending == NULL && cluster == NULL)
		return ZONE_OK;
	return refuse_label(zone_name, pending != NULL);
}

/* --- Without a name */

/* KMS. Of two threads that make it at once, the second finds the first's. */
static enum zone_status find_default(struct zones *zones, struct uid project,
				     struct entry **ret_zone)
{
	return find_zone(zones, project, bytes_of(default_zone), false, ret_zone);
}

static enum zone_status default_or_new(struct zones *zones, struct uid project,
				       struct entry **ret_zone)
{
	const struct entry_names names = {.label = bytes_of(default_zone),
					  .usages = USAGE_WRAP | USAGE_UNWRAP};
	enum zone_status status;

	TRY(find_default(zones, project, ret_zone));
	if (*ret_zone != NULL)
		return ZONE_OK;
	status = zones_zone_create(zones, project, &names, ret_zone);
	if (status == ZONE_EXISTS)
		TRY(find_default(zones, project, ret_zone));
	else if (status == ZONE_OK)
		log_warning("database '%s' is made for a key that names no database; begin a key's "
			    "label with CLUSTER/DATABASE/, or set [zones] default, for another one",
			    default_zone);
	else if (status == ZONE_NO_ROOT_KEY)
		log_warning("the key names no database: begin its label with CLUSTER/DATABASE/, or "
			    "set [zones] default");
	return *ret_zone != NULL ? ZONE_OK : status;
}

static enum zone_status configured(struct zones *zones, struct uid project, struct entry **ret_zone)
{
	const char *name = zones->settings.key_default;

	if (name == NULL)
		return ZONE_OK;
	if (strcmp(name, default_zone) == 0)
		return default_or_new(zones, project, ret_zone);
	TRY(find_zone(zones, project, bytes_of(name), false, ret_zone));
	if (*ret_zone != NULL)
		return ZONE_OK;
	return refuse(ZONE_NOT_FOUND,
		      "[zones] default is '%s', and the new key's project has no such database: "
		      "create it ('cmek database create'), or name another in the key's label",
		      name);
}

struct only {
	struct entry *found; /* borrowed, under the index's lock */
	size_t count;
};

static bool count_usable(void *state, struct entry *zone)
{
	struct only *only = state;

	if (zone->state == ENTRY_ACTIVE && !zone->of_zone.imported) {
		only->found = zone;
		only->count++;
	}
	return only->count < 2;
}

static size_t count_known(struct zones *zones, struct uid project, struct entry **ret_zone)
{
	struct only only = {0};

	pthread_rwlock_rdlock(&zones->lock);
	index_each_of(&zones->index, project, ENTRY_ZONE, count_usable, &only);
	if (only.count == 1)
		*ret_zone = entry_hold(only.found);
	pthread_rwlock_unlock(&zones->lock);
	return only.count;
}

/* *ret_zone stays NULL: there is none, or more than one, which is known as soon as two are. */
static enum zone_status find_only(struct zones *zones, struct uid project, struct entry **ret_zone)
{
	if (zones_are_partial(zones)) {
		AUTO(entry_releasep) struct entry *first = NULL;

		if (count_known(zones, project, &first) > 1)
			return ZONE_OK;
		TRY(zones_know_all(zones));
	}
	count_known(zones, project, ret_zone);
	return ZONE_OK;
}

enum zone_status zones_key_place(struct zones *zones, struct uid project, struct bytes label,
				 struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	/* A zone that another process has made or deleted just now counts. */
	TRY(zones_refresh(zones, true));
	TRY(by_label(zones, project, label, &zone));
	if (zone == NULL)
		TRY(configured(zones, project, &zone));
	if (zone == NULL)
		TRY(find_only(zones, project, &zone));
	if (zone == NULL)
		TRY(default_or_new(zones, project, &zone));
	*ret_zone = TAKE(zone);
	return ZONE_OK;
}

bool zones_key_default_valid(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash != NULL && slash != text && slash[1] != '\0' &&
	       strchr(slash + 1, '/') == NULL && name_fault(bytes_of(slash + 1)) == NULL &&
	       name_fault(bytes(text, (size_t)(slash - text))) == NULL;
}
