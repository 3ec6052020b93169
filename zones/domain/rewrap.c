/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS is asked first, outside of all locks; then one transaction takes what came of it, for
 * each version whose wraps are still those that were moved. */
#include "zones/domain/rewrap.h"

#include "base/free.h"
#include "base/macros.h"
#include "zones/domain/cluster.h"
#include "zones/domain/levels.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/rewrap_private.h"
#include "zones/kms/door.h"
#include "zones/kms/ezk_rewrap.h"
#include "zones/model/moving.h"
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

enum rewrap_step { REWRAP_MOVE, REWRAP_PROVE, REWRAP_ANEW, REWRAP_LIST };

/* A zone on its way. */
struct rewrap {
	struct zones *zones;
	struct uid zone;
	const struct bytes *arns; /* the root key to go to, or, of REWRAP_LIST, all of them */
	size_t arn_count;
	bool begun;
	bool both; /* of REWRAP_LIST */
	enum rewrap_step step;
	struct entry *keys[ZONE_ROOT_KEYS_MAX]; /* held: those of the ARNs */
	size_t key_count;
	struct entry *cluster; /* held: where they may be */
	struct entry *leaving; /* held: the root key that the cluster is leaving; NULL: none */
	struct entry *base;    /* held: the state that was looked at */
	struct entry *wrapped; /* a copy of that, as it is to be */
	struct entry *result;  /* held */
};

static void drop_place(struct rewrap *rewrap)
{
	while (rewrap->key_count > 0)
		entry_release(rewrap->keys[--rewrap->key_count]);
	entry_release(TAKE(rewrap->cluster));
	entry_release(TAKE(rewrap->leaving));
}

static void rewrap_clear(struct rewrap *rewrap)
{
	drop_place(rewrap);
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

static enum zone_status check_other(const struct rewrap *rewrap, const char *arn)
{
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];
	const char *wanted = rewrap->cluster->of_cluster.provider;

	if (kms_name_parse(kms_clients_providers(rewrap->zones->clients), arn, provider, region) &&
	    strcmp(provider, wanted) == 0)
		return ZONE_OK;
	return refuse(ZONE_WRONG_PROVIDER,
		      "a further root key of the database, %s, is not of its cluster's provider, "
		      "%s; set all its root keys at once ('cmek database set-keys')",
		      arn, wanted);
}

/* Of two owners: the new key for the one that the cluster is leaving, else for the first. */
static enum zone_status list_both(const struct rewrap *rewrap, const struct ezk_version *version,
				  const char *ret_keys[static WRAPS_MAX], size_t *ret_count)
{
	const char *arn = rewrap->keys[0]->of_root_key.arn;
	const struct wrap *first = ezk_version_live_share(version, 1);
	const struct wrap *second = ezk_version_live_share(version, 2);
	bool leaves_second = second != NULL && rewrap->leaving != NULL &&
			     strcmp(second->arn, rewrap->leaving->of_root_key.arn) == 0;
	bool is_second = second != NULL && strcmp(second->arn, arn) == 0;
	const struct wrap *stays = leaves_second || is_second ? first : second;

	ret_keys[0] = arn;
	ret_keys[1] = stays == NULL ? arn : stays->arn;
	*ret_count = SHARE_COUNT;
	if (strcmp(ret_keys[1], arn) != 0)
		return ZONE_OK;
	return refuse(
		ZONE_INVALID,
		"the database needs the root keys of two owners, and both would be %s; name two "
		"keys ('cmek database set-keys --both')",
		arn);
}

/* The new key in place of the first; further ones stay. */
static enum zone_status list_moved(const struct rewrap *rewrap, const struct ezk_version *version,
				   const char *ret_keys[static WRAPS_MAX], size_t *ret_count)
{
	bool first = true;

	if (version->all_wraps) {
		TRY(list_both(rewrap, version, ret_keys, ret_count));
		return check_other(rewrap, ret_keys[1]);
	}
	ret_keys[0] = rewrap->keys[0]->of_root_key.arn;
	*ret_count = 1;
	for (size_t i = 0; i < version->wrap_count && *ret_count < WRAPS_MAX; i++) {
		const struct wrap *wrap = &version->wraps[i];

		if (!wrap_is_live(wrap))
			continue;
		if (!first && strcmp(wrap->arn, ret_keys[0]) != 0) {
			TRY(check_other(rewrap, wrap->arn));
			ret_keys[(*ret_count)++] = wrap->arn;
		}
		first = false;
	}
	return ZONE_OK;
}

static enum zone_status list_keys(const struct rewrap *rewrap, const struct ezk_version *version,
				  const char *ret_keys[static WRAPS_MAX], size_t *ret_count)
{
	if (rewrap->step != REWRAP_LIST)
		return list_moved(rewrap, version, ret_keys, ret_count);
	for (size_t i = 0; i < rewrap->key_count; i++)
		ret_keys[i] = rewrap->keys[i]->of_root_key.arn;
	*ret_count = rewrap->key_count;
	return ZONE_OK;
}

/* KMS. */
static enum zone_status wrap_version(const struct rewrap *rewrap, const struct entry *zone,
				     const struct ezk_version *version,
				     struct ezk_version *ret_wrapped)
{
	AUTO(entry_releasep)
	struct entry *project = zones_find_uid(rewrap->zones, zone->project);
	uint64_t id = ezk_version_bound(zone->of_zone.zone, version);
	const struct kms_door door = {
		.clients = rewrap->zones->clients,
		.project = entry_label(project),
		.project_id = zone->project,
		.zone = zone->label,
		.zone_id = zone->of_zone.zone,
		.version = version->version,
	};
	const char *keys[WRAPS_MAX];
	struct ezk_wish wish = {keys, 0, rewrap->step == REWRAP_ANEW,
				rewrap->step == REWRAP_LIST ? rewrap->both : version->all_wraps};

	if (rewrap->step == REWRAP_PROVE)
		return ezk_version_try(&door, id, version, ret_wrapped);
	TRY(list_keys(rewrap, version, keys, &wish.count));
	return ezk_version_rewrap(&door, id, version, &wish, ret_wrapped);
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

static bool is_active(const struct index *index, const struct entry *root_key)
{
	const struct entry *current = index_uid(index, root_key->uid);

	return current != NULL && current->state == ENTRY_ACTIVE;
}

static bool is_as_checked(const struct index *index, const struct rewrap *rewrap)
{
	const struct entry *cluster = index_uid(index, rewrap->cluster->uid);

	for (size_t i = 0; i < rewrap->key_count; i++)
		if (!is_active(index, rewrap->keys[i]))
			return false;
	return cluster != NULL &&
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

static enum zone_status find_keys(struct rewrap *rewrap, struct uid project)
{
	for (size_t i = 0; i < rewrap->arn_count; i++) {
		struct entry **key = &rewrap->keys[rewrap->key_count];

		TRY(rewrap_find_root_key(rewrap->zones, project, rewrap->arns[i], key));
		rewrap->key_count++;
		for (size_t j = 0; j < i; j++)
			if (rewrap->keys[j] == *key || uid_equal(rewrap->keys[j]->uid, (*key)->uid))
				return refuse(ZONE_EXISTS, "root key '%s' is named twice",
					      (*key)->label);
	}
	return ZONE_OK;
}

/* The first is where the cluster is; the others may be in other regions. */
static enum zone_status find_place(struct rewrap *rewrap, const struct entry *zone)
{
	drop_place(rewrap);
	TRY(find_keys(rewrap, zone->project));
	rewrap->cluster = zones_find_uid(rewrap->zones, zone->of_zone.cluster);
	if (rewrap->cluster == NULL)
		return refuse(ZONE_NOT_FOUND, "the database's cluster is not there any more");
	rewrap->leaving = zones_find_uid(rewrap->zones, rewrap->cluster->of_cluster.leaving);
	for (size_t i = 1; i < rewrap->key_count; i++)
		TRY(check_other(rewrap, rewrap->keys[i]->of_root_key.arn));
	return check_place(rewrap->zones, rewrap->keys[0], rewrap->cluster);
}

static enum zone_status rewrap_once(struct rewrap *rewrap)
{
	AUTO(entry_releasep) struct entry *current = zones_find_uid(rewrap->zones, rewrap->zone);

	if (current == NULL || current->kind != ENTRY_ZONE)
		return refuse(ZONE_NOT_FOUND, "the database is not there any more");
	TRY(find_place(rewrap, current));
	if (!rewrap->begun && rewrap->step != REWRAP_LIST)
		rewrap->step = step_for(current, rewrap->keys[0]->of_root_key.arn);
	rewrap->begun = true;
	TRY(prepare(rewrap, current));
	return zones_change(rewrap->zones, decide_zone, rewrap);
}

static enum zone_status run(struct rewrap *rewrap, struct entry **ret_zone)
{
	enum zone_status status = zones_refresh(rewrap->zones, true);

	if (status == ZONE_OK)
		status = zones_know_all(rewrap->zones);
	if (status == ZONE_OK)
		status = ZONE_CONFLICT;
	for (int i = 0; i < ATTEMPTS && status == ZONE_CONFLICT; i++)
		status = rewrap_once(rewrap);
	if (status == ZONE_OK)
		*ret_zone = TAKE(rewrap->result);
	return status;
}

enum zone_status zones_zone_rewrap(struct zones *zones, const struct entry *zone, struct bytes arn,
				   struct entry **ret_zone)
{
	AUTO(rewrap_clear)
	struct rewrap rewrap = {.zones = zones, .zone = zone->uid, .arns = &arn, .arn_count = 1};

	return run(&rewrap, ret_zone);
}

enum zone_status zones_zone_set_root_keys(struct zones *zones, const struct entry *zone,
					  const struct bytes *arns, size_t count, bool both,
					  struct entry **ret_zone)
{
	AUTO(rewrap_clear)
	struct rewrap rewrap = {.zones = zones,
				.zone = zone->uid,
				.arns = arns,
				.arn_count = count,
				.both = both,
				.step = REWRAP_LIST};

	if (count == 0 || count > ZONE_ROOT_KEYS_MAX)
		return refuse(ZONE_INVALID, "a database has 1 to %d root keys, not %zu",
			      ZONE_ROOT_KEYS_MAX, count);
	if (both && count != SHARE_COUNT)
		return refuse(ZONE_INVALID,
			      "a database needs one root key, or two together: name two, not %zu",
			      count);
	return run(&rewrap, ret_zone);
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

static const char *primary_policy(const struct entry *zone)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	return primary != NULL && primary->all_wraps ? "and" : "or";
}

enum zone_status zones_zone_root_keys(const struct entry *zone, struct buffer *ret_json)
{
	AUTO(json_freep) json_t *keys = json_array();
	AUTO(json_freep) json_t *json = NULL;
	AUTO(freep) char *text = NULL;

	if (keys == NULL || !add_all_keys(zone, keys))
		return ZONE_NO_MEMORY;
	json = json_pack("{s:s, s:O, s:b, s:b}", "policy", primary_policy(zone), "keys", keys,
			 "even", has_each(zone, keys), "proven", zone_is_proven(zone));
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
	const struct index *index = &changes->zones->index;
	const struct entry *current = index_uid(index, proof->zone->uid);
	const struct entry *project = index_uid(index, proof->zone->project);
	AUTO(entry_releasep) struct entry *proven = NULL;
	struct bytes place;
	struct ezk_version *version;

	if (current == NULL || find_version(current, proof->version) == NULL ||
	    (project != NULL && moving_of(project, &place) != MOVING_NOT))
		return ZONE_OK;
	proven = entry_copy(current);
	if (proven == NULL)
		return ZONE_NO_MEMORY;
	version = (struct ezk_version *)(uintptr_t)find_version(proven, proof->version);
	return ezk_version_prove(version, proof->blob) ? changes_put(changes, proven) : ZONE_OK;
}

void zone_wrap_proven(struct zones *zones, const struct entry *zone,
		      const struct ezk_version *version, const struct wrap *wrap)
{
	struct proof proof = {zone, version, wrap->blob};

	/* Who may not write it has nothing to say, and no call of his fails. */
	if (zones_store_may_write(zones))
		zones_change_known(zones, &(struct store_key){.by = STORE_BY_UID, .uid = zone->uid},
				   1, decide_proof, &proof);
}
