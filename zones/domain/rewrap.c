/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS is asked first, outside of all locks; then one transaction takes what came of it, for
 * each version whose wraps are still those that were moved. */
#include "zones/domain/rewrap.h"

#include "base/free.h"
#include "base/macros.h"
#include "zones/domain/cluster.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rewrap_private.h"
#include "zones/kms/door.h"
#include "zones/kms/ezk_rewrap.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"
#include "zones/model/wraps.h"

#include <jansson.h>

enum { ATTEMPTS = 5 };

/* Where a zone that moves alone may go. */
static enum zone_status check_place(struct zones *zones, const struct entry *root_key,
				    const struct entry *cluster)
{
	if (strcmp(root_key->of_root_key.provider, cluster->of_cluster.provider) != 0)
		return refuse(
			ZONE_WRONG_PROVIDER,
			"root key '%s' is a key of provider %s, and cluster '%s' has %s; move "
			"the whole cluster ('cmek database rewrap %s/')",
			root_key->label, root_key->of_root_key.provider, cluster->label,
			cluster->of_cluster.provider, cluster->label);
	return cluster_check_region(zones, root_key, bytes_of(cluster->of_cluster.region));
}

/* --- A zone */

enum rewrap_step { REWRAP_MOVE, REWRAP_PROVE, REWRAP_ANEW };

/* A zone on its way. */
struct rewrap {
	struct zones *zones;
	struct uid zone;
	struct entry *root_key; /* held */
	struct entry *cluster;	/* held: where that may go */
	bool begun;
	enum rewrap_step step;
	struct entry *base;    /* held: the state that was looked at */
	struct entry *wrapped; /* a copy of that, as it is to be */
	struct entry *result;  /* held */
};

static void rewrap_clear(struct rewrap *rewrap)
{
	entry_release(rewrap->root_key);
	entry_release(rewrap->cluster);
	entry_release(rewrap->base);
	entry_release(rewrap->wrapped);
	entry_release(rewrap->result);
}

static const struct ezk_version *find_version(const struct entry *zone,
					      const struct ezk_version *wanted)
{
	for (size_t i = 0; zone != NULL && i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].version == wanted->version &&
		    zone->of_zone.versions[i].record_zone == wanted->record_zone)
			return &zone->of_zone.versions[i];
	return NULL;
}

/* As it was made of the same wraps before, in an attempt that came too late. */
static const struct ezk_version *made_of(const struct entry *base, const struct entry *wrapped,
					 const struct ezk_version *version)
{
	const struct ezk_version *before = find_version(base, version);

	return before != NULL && ezk_version_same_wraps(before, version)
		       ? find_version(wrapped, version)
		       : NULL;
}

/* The new key in place of the first; a second one stays. */
static size_t list_keys(const struct rewrap *rewrap, const struct ezk_version *version,
			const char *ret_keys[static WRAPS_MAX])
{
	size_t count = 1;
	bool first = true;

	ret_keys[0] = rewrap->root_key->of_root_key.arn;
	for (size_t i = 0; i < version->wrap_count && count < WRAPS_MAX; i++) {
		const struct wrap *wrap = &version->wraps[i];

		if (!wrap_is_live(wrap))
			continue;
		if (!first && strcmp(wrap->arn, ret_keys[0]) != 0)
			ret_keys[count++] = wrap->arn;
		first = false;
	}
	return count;
}

/* KMS. */
static enum zone_status wrap_version(const struct rewrap *rewrap, const struct entry *zone,
				     const struct ezk_version *version,
				     struct ezk_version *ret_wrapped)
{
	AUTO(entry_releasep)
	struct entry *project = zones_find_uid(rewrap->zones, zone->project);
	uint64_t id = version->record_zone == 0 ? zone->of_zone.zone : version->record_zone;
	const struct kms_door door = {
		.clients = rewrap->zones->clients,
		.project = entry_label(project),
		.project_id = zone->project,
		.zone = zone->label,
		.zone_id = zone->of_zone.zone,
		.version = version->version,
	};
	const char *keys[WRAPS_MAX];
	const struct ezk_wish wish = {keys, list_keys(rewrap, version, keys),
				      rewrap->step == REWRAP_ANEW};

	return rewrap->step == REWRAP_PROVE
		       ? ezk_version_try(&door, id, version, ret_wrapped)
		       : ezk_version_rewrap(&door, id, version, &wish, ret_wrapped);
}

static enum zone_status wrap_all(const struct rewrap *rewrap, const struct entry *current,
				 struct entry *wrapped)
{
	for (size_t i = 0; i < wrapped->of_zone.version_count; i++) {
		AUTO(ezk_version_clear) struct ezk_version made = {0};
		struct ezk_version *version = &wrapped->of_zone.versions[i];
		const struct ezk_version *earlier = made_of(rewrap->base, rewrap->wrapped, version);

		if (earlier == NULL) {
			TRY(wrap_version(rewrap, current, version, &made));
			earlier = &made;
		}
		TRY(ezk_version_set_wraps(version, earlier));
	}
	return ZONE_OK;
}

/* KMS: the state that is known now, wrapped. */
static enum zone_status prepare(struct rewrap *rewrap, struct entry *current)
{
	AUTO(entry_releasep) struct entry *wrapped = entry_copy(current);

	if (wrapped == NULL)
		return ZONE_NO_MEMORY;
	TRY(wrap_all(rewrap, current, wrapped));
	entry_release(rewrap->base);
	entry_release(rewrap->wrapped);
	rewrap->base = entry_hold(current);
	rewrap->wrapped = TAKE(wrapped);
	return ZONE_OK;
}

static bool is_as_checked(const struct index *index, const struct rewrap *rewrap)
{
	const struct entry *root_key = index_uid(index, rewrap->root_key->uid);
	const struct entry *cluster = index_uid(index, rewrap->cluster->uid);

	return root_key != NULL && root_key->state == ENTRY_ACTIVE && cluster != NULL &&
	       strcmp(cluster->of_cluster.provider, rewrap->cluster->of_cluster.provider) == 0 &&
	       strcmp(cluster->of_cluster.region, rewrap->cluster->of_cluster.region) == 0;
}

static enum zone_status decide_zone(struct changes *changes, void *state)
{
	struct rewrap *rewrap = state;
	const struct index *index = &changes->zones->index;
	struct entry *current = index_uid(index, rewrap->zone);

	entry_release(TAKE(rewrap->result));
	if (current == NULL || current->kind != ENTRY_ZONE)
		return ZONE_NOT_FOUND;
	if (!is_as_checked(index, rewrap))
		return ZONE_CONFLICT;
	rewrap->result = entry_copy(current);
	if (rewrap->result == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < current->of_zone.version_count; i++) {
		const struct ezk_version *made =
			made_of(rewrap->base, rewrap->wrapped, &current->of_zone.versions[i]);

		if (made == NULL) /* it came, or moved, meanwhile */
			return ZONE_CONFLICT;
		TRY(ezk_version_set_wraps(&rewrap->result->of_zone.versions[i], made));
	}
	if (zone_wraps_change(current, rewrap->result) != NULL)
		TRY(changes_put(changes, rewrap->result));
	return cluster_leave_if_last(changes, rewrap->result);
}

static enum rewrap_step step_for(const struct entry *zone, const char *arn)
{
	if (!zone_is_under(zone, arn))
		return REWRAP_MOVE;
	return zone_is_proven(zone) ? REWRAP_ANEW : REWRAP_PROVE;
}

static enum zone_status rewrap_once(struct rewrap *rewrap, struct bytes arn)
{
	struct zones *zones = rewrap->zones;
	AUTO(entry_releasep) struct entry *current = zones_find_uid(zones, rewrap->zone);

	if (current == NULL || current->kind != ENTRY_ZONE)
		return refuse(ZONE_NOT_FOUND, "the database is not there any more");
	entry_release(TAKE(rewrap->root_key));
	entry_release(TAKE(rewrap->cluster));
	TRY(rewrap_find_root_key(zones, current->project, arn, &rewrap->root_key));
	rewrap->cluster = zones_find_uid(zones, current->of_zone.cluster);
	if (rewrap->cluster == NULL)
		return refuse(ZONE_NOT_FOUND, "the database's cluster is not there any more");
	TRY(check_place(zones, rewrap->root_key, rewrap->cluster));
	if (!rewrap->begun)
		rewrap->step = step_for(current, rewrap->root_key->of_root_key.arn);
	rewrap->begun = true;
	TRY(prepare(rewrap, current));
	return zones_change(zones, decide_zone, rewrap);
}

enum zone_status zones_zone_rewrap(struct zones *zones, const struct entry *zone, struct bytes arn,
				   struct entry **ret_zone)
{
	AUTO(rewrap_clear) struct rewrap rewrap = {.zones = zones, .zone = zone->uid};
	enum zone_status status = zones_refresh(zones, true);

	if (status == ZONE_OK)
		status = ZONE_CONFLICT;
	for (int i = 0; i < ATTEMPTS && status == ZONE_CONFLICT; i++)
		status = rewrap_once(&rewrap, arn);
	if (status == ZONE_OK)
		*ret_zone = TAKE(rewrap.result);
	return status;
}

/* --- What it is under */

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static bool has_text(const json_t *texts, const char *text)
{
	for (size_t i = 0; i < json_array_size(texts); i++)
		if (strcmp(json_string_value(json_array_get(texts, i)), text) == 0)
			return true;
	return false;
}

static bool add_keys(const struct ezk_version *version, json_t *keys)
{
	for (size_t i = 0; i < version->wrap_count; i++) {
		const struct wrap *wrap = &version->wraps[i];

		if (wrap_is_live(wrap) && !has_text(keys, wrap->arn) &&
		    json_array_append_new(keys, json_string(wrap->arn)) != 0)
			return false;
	}
	return true;
}

static bool add_all_keys(const struct entry *zone, json_t *keys)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (!add_keys(&zone->of_zone.versions[i], keys))
			return false;
	return true;
}

static bool has_each(const struct entry *zone, const json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (!zone_is_under(zone, json_string_value(json_array_get(keys, i))))
			return false;
	return true;
}

enum zone_status zones_zone_root_keys(const struct entry *zone, struct buffer *ret_json)
{
	AUTO(json_freep) json_t *keys = json_array();
	AUTO(json_freep) json_t *json = NULL;
	AUTO(freep) char *text = NULL;

	if (keys == NULL || !add_all_keys(zone, keys))
		return ZONE_NO_MEMORY;
	json = json_pack("{s:s, s:O, s:b, s:b}", "policy", "or", "keys", keys, "even",
			 has_each(zone, keys), "proven", zone_is_proven(zone));
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(ret_json, text);
	return ret_json->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- Proving */

struct proof {
	const struct entry *zone;
	const struct ezk_version *version;
	struct bytes blob;
};

static enum zone_status decide_proof(struct changes *changes, void *state)
{
	const struct proof *proof = state;
	const struct entry *current = index_uid(&changes->zones->index, proof->zone->uid);
	AUTO(entry_releasep) struct entry *proven = NULL;
	struct ezk_version *version;

	if (current == NULL || find_version(current, proof->version) == NULL)
		return ZONE_OK;
	proven = entry_copy(current);
	if (proven == NULL)
		return ZONE_NO_MEMORY;
	version = (struct ezk_version *)(uintptr_t)find_version(proven, proof->version);
	return ezk_version_prove(version, proof->blob) ? changes_put(changes, proven) : ZONE_OK;
}

/* Who may not write it has nothing to say, and no call of his fails. */
static bool may_write(struct zones *zones)
{
	struct store_facts facts = {0};

	return zones->store->operations->look_at(zones->store, &facts) == ZONE_OK && facts.exists &&
	       facts.writable && facts.head.min_writer <= store_level_understood();
}

void zone_wrap_proven(struct zones *zones, const struct entry *zone,
		      const struct ezk_version *version, const struct wrap *wrap)
{
	struct proof proof = {zone, version, wrap->blob};

	if (may_write(zones))
		zones_change(zones, decide_proof, &proof);
}
