/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on what: to refuse a deletion that would take something along, and to say before one
 * what would be lost with it. */
#include "zones/domain/usage.h"

#include "base/clock.h"
#include "base/free.h"
#include "base/json.h"
#include "base/macros.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/index/rules.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- The first that needs it */

struct search {
	const struct index *index;
	const struct entry *wanted;
	enum usage_counts counts;
	int64_t now_ms;
	uint32_t version;	  /* of token keys */
	const struct entry *user; /* what still needs it */
};

/* A zone whose time is over does not hold up what is only scheduled. */
static bool counts(const struct search *search, const struct entry *zone)
{
	return search->counts == USAGE_BY_ALL || zone->state == ENTRY_ACTIVE ||
	       zone->delete_after_ms > search->now_ms;
}

static bool is_wrapped_by(const struct index *index, const struct entry *zone, const char *arn)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (ezk_version_has_wrap_by(index->providers, &zone->of_zone.versions[i], arn))
			return true;
	return false;
}

static bool find_wrapped(void *state, struct entry *zone)
{
	struct search *search = state;

	if (counts(search, zone) &&
	    is_wrapped_by(search->index, zone, search->wanted->of_root_key.arn))
		search->user = zone;
	return search->user == NULL;
}

static bool is_of_root_key(const struct entry *cluster, struct uid root_key)
{
	return uid_equal(cluster->of_cluster.root_key, root_key) ||
	       uid_equal(cluster->of_cluster.leaving, root_key);
}

static bool find_cluster(void *state, struct entry *cluster)
{
	struct search *search = state;

	if ((search->counts == USAGE_BY_ALL || cluster->state == ENTRY_ACTIVE) &&
	    is_of_root_key(cluster, search->wanted->uid))
		search->user = cluster;
	return search->user == NULL;
}

static bool find_zone(void *state, struct entry *zone)
{
	struct search *search = state;

	if (counts(search, zone) && uid_equal(zone->of_zone.cluster, search->wanted->uid))
		search->user = zone;
	return search->user == NULL;
}

const struct entry *usage_find(const struct zones *zones, const struct entry *entry,
			       enum usage_counts counting)
{
	const struct index *index = &zones->index;
	struct search search = {
		.index = index, .wanted = entry, .counts = counting, .now_ms = zones_now_ms(zones)};

	if (entry->kind == ENTRY_ROOT_KEY)
		index_each_of(index, entry->project, ENTRY_ZONE, find_wrapped, &search);
	else if (entry->kind == ENTRY_CLUSTER)
		index_each_of(index, entry->project, ENTRY_ZONE, find_zone, &search);
	if (search.user == NULL && entry->kind == ENTRY_ROOT_KEY)
		index_each_of(index, entry->project, ENTRY_CLUSTER, find_cluster, &search);
	return search.user;
}

enum zone_status usage_check_none(const struct zones *zones, const struct entry *entry,
				  enum usage_counts counting)
{
	const struct entry *user = usage_find(zones, entry, counting);

	if (user == NULL)
		return ZONE_OK;
	return refuse(ZONE_IN_USE, "'%s' is needed by %s '%s'%s", entry->label,
		      user->kind == ENTRY_ZONE ? "zone" : "cluster", user->label,
		      user->state == ENTRY_ACTIVE ? "" : ", which awaits deletion");
}

static bool find_token_key(void *state, struct entry *key)
{
	struct search *search = state;
	uint32_t version;
	uint64_t zone;

	if (key->of_key.zone == search->wanted->of_zone.zone &&
	    token_key_place(key->of_key.wrapped, &zone, &version) && version == search->version)
		search->user = key;
	return search->user == NULL;
}

const struct entry *usage_find_token_key(const struct zones *zones, const struct entry *zone,
					 uint32_t version)
{
	struct search search = {.index = &zones->index, .wanted = zone, .version = version};

	index_each_of(&zones->index, zone->project, ENTRY_KEY, find_token_key, &search);
	return search.user;
}

/* --- All of it, in words */

struct report {
	const struct zones *zones;
	const struct entry *of;
	json_t *list; /* of what is visited; NULL: memory lacked */
	size_t token_keys;
	size_t *by_version; /* token keys of a zone, by the place of their version; NULL: not asked
			     */
};

static void add_to(json_t **list, json_t *item)
{
	if (*list != NULL && json_array_append_new(*list, item) == 0)
		return;
	json_decref(*list);
	*list = NULL;
}

static bool set(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static json_t *date_of(int64_t ms)
{
	char text[25];

	clock_extended_utc(ms, text);
	return json_string(text);
}

static json_t *zone_id_of(const struct entry *zone)
{
	char text[21];

	snprintf(text, sizeof(text), "%" PRIu64, zone->of_zone.zone);
	return json_string(text);
}

static json_t *state_of(const struct entry *entry)
{
	return json_string(entry->state == ENTRY_ACTIVE ? "active" : "pending deletion");
}

static const char *version_state(const struct entry *zone, const struct ezk_version *version)
{
	if (version->retired)
		return "retired";
	if (version->record_zone != 0)
		return "imported";
	if (version->version == zone->of_zone.primary)
		return "primary";
	return version->version < zone->of_zone.minimum ? "fenced" : "decrypts";
}

/* Those that open it; or those that do only until something newer is proven. */
static json_t *wraps_of(const struct ezk_version *version, bool live)
{
	json_t *list = json_array();

	for (size_t i = 0; i < version->wrap_count; i++)
		if (wrap_is_live(&version->wraps[i]) == live)
			add_to(&list, json_text(version->wraps[i].arn));
	return list;
}

static json_t *version_of(const struct entry *zone, const struct ezk_version *version)
{
	json_t *object =
		json_pack("{s:I, s:s, s:o, s:o, s:o, s:b}", "version", (json_int_t)version->version,
			  "state", version_state(zone, version), "created",
			  date_of(version->created_ms), "root_keys", wraps_of(version, true),
			  "until_proven", wraps_of(version, false), "both", version->all_wraps);

	if (version->retired && !set(object, "purge_date", date_of(version->delete_after_ms))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* Its versions; of a root key those that it wraps. */
static json_t *versions_of(const struct report *report, const struct entry *zone)
{
	const char *arn = report->of->kind == ENTRY_ROOT_KEY ? report->of->of_root_key.arn : NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];
		json_t *object;

		if (arn != NULL &&
		    !ezk_version_has_wrap_by(report->zones->index.providers, version, arn))
			continue;
		object = version_of(zone, version);
		if (report->by_version != NULL)
			set(object, "token_keys", json_integer((json_int_t)report->by_version[i]));
		add_to(&list, object);
	}
	return list;
}

static json_t *database_of(const struct report *report, const struct entry *zone)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "database", json_text(zone->label),
			 "zone", zone_id_of(zone), "state", state_of(zone), "created",
			 date_of(zone->created_ms), "embed", !zones_zone_is_kept(zone), "versions",
			 versions_of(report, zone));
}

static bool stands_on(const struct index *index, const struct entry *zone,
		      const struct entry *entry)
{
	if (entry->kind == ENTRY_ROOT_KEY)
		return is_wrapped_by(index, zone, entry->of_root_key.arn);
	return entry->kind == ENTRY_CLUSTER ? uid_equal(zone->of_zone.cluster, entry->uid)
					    : uid_equal(zone->uid, entry->uid);
}

static bool add_database(void *state, struct entry *zone)
{
	struct report *report = state;

	if (stands_on(&report->zones->index, zone, report->of))
		add_to(&report->list, database_of(report, zone));
	return report->list != NULL;
}

static bool add_cluster(void *state, struct entry *cluster)
{
	struct report *report = state;
	bool leaves = uid_equal(cluster->of_cluster.leaving, report->of->uid);

	if (is_of_root_key(cluster, report->of->uid))
		add_to(&report->list,
		       json_pack("{s:o, s:o, s:b}", "cluster", json_text(cluster->label), "state",
				 state_of(cluster), "leaving", leaves));
	return report->list != NULL;
}

static void count_version(const struct report *report, const struct entry *zone,
			  const struct entry *key)
{
	uint32_t version;
	uint64_t id;

	if (!token_key_place(key->of_key.wrapped, &id, &version))
		return;
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		report->by_version[i] += zone->of_zone.versions[i].version == version &&
					 zone->of_zone.versions[i].record_zone == 0;
}

static bool count_key(void *state, struct entry *key)
{
	struct report *report = state;
	const struct entry *zone = index_zone(&report->zones->index, key->of_key.zone);

	if (zone == NULL || !stands_on(&report->zones->index, zone, report->of))
		return true;
	report->token_keys++;
	if (report->by_version != NULL)
		count_version(report, zone, key);
	return true;
}

static json_t *list_of(struct report *report, enum entry_kind kind, index_visit *visit)
{
	report->list = json_array();
	index_each_of(&report->zones->index, report->of->project, kind, visit, report);
	return report->list;
}

static bool has_copy(const json_t *copies, const json_t *copy)
{
	for (size_t i = 0; i < json_array_size(copies); i++)
		if (json_equal(json_array_get(copies, i), copy))
			return true;
	return false;
}

static void add_copy(const struct index *index, const struct entry *zone, json_t **copies)
{
	const struct entry *project = index_uid(index, zone->project);
	json_t *copy =
		json_pack("{s:o, s:o}", "project", json_text(project == NULL ? "" : project->label),
			  "database", json_text(zone->label));

	if (has_copy(*copies, copy))
		json_decref(copy);
	else
		add_to(copies, copy);
}

/* Databases that have imported versions of a zone, one for each: what they have of it ends with
 * it. */
static json_t *copies_of(const struct report *report)
{
	const struct index *index = &report->zones->index;
	json_t *copies = json_array();

	if (report->of->kind == ENTRY_ZONE)
		projects_warn_unread(index);
	for (size_t i = 0; report->of->kind == ENTRY_ZONE && i < report->of->of_zone.version_count;
	     i++) {
		const struct ezk_version *version = &report->of->of_zone.versions[i];
		const struct entry *zone = index_import(index, version->fingerprint);

		if (version->record_zone == 0 && zone != NULL)
			add_copy(index, zone, &copies);
	}
	return copies;
}

/* NULL: no memory. With the lock held. */
static json_t *report_of(struct report *report)
{
	json_t *databases, *clusters;

	index_each_of(&report->zones->index, report->of->project, ENTRY_KEY, count_key, report);
	databases = list_of(report, ENTRY_ZONE, add_database);
	clusters = report->of->kind == ENTRY_ROOT_KEY ? list_of(report, ENTRY_CLUSTER, add_cluster)
						      : json_array();
	return json_pack("{s:o, s:o, s:I, s:o}", "databases", databases, "clusters", clusters,
			 "token_keys", (json_int_t)report->token_keys, "copies", copies_of(report));
}

/* Of the newest state that is known. */
static json_t *report_now(const struct zones *zones, const struct entry *entry)
{
	const struct entry *newest = index_uid(&zones->index, entry->uid);
	struct report report = {.zones = zones, .of = newest == NULL ? entry : newest};
	AUTO(freep) size_t *by_version = NULL;

	if (report.of->kind == ENTRY_ZONE) {
		by_version = calloc(report.of->of_zone.version_count + 1, sizeof(*by_version));
		report.by_version = by_version;
	}
	return report.of->kind == ENTRY_ZONE && by_version == NULL ? NULL : report_of(&report);
}

enum zone_status zones_usage(struct zones *zones, const struct entry *entry,
			     struct buffer *ret_json)
{
	json_t *json = NULL;
	enum zone_status status;
	char *text;

	TRY(zones_know_all(zones));
	pthread_rwlock_rdlock(&zones->lock);
	status = project_check_read(&zones->index, entry->project);
	if (status == ZONE_OK)
		json = report_now(zones, entry);
	pthread_rwlock_unlock(&zones->lock);
	TRY(status);
	text = json == NULL ? NULL : json_dumps(json, JSON_ENSURE_ASCII);
	json_decref(json);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(ret_json, text);
	free(text);
	return ret_json->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
