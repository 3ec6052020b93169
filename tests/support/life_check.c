/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the store has, and what opens, as the model says. */
#include "tests/support/life_check.h"

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/unit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/token_key.h"
#include "zones/ezk/ezk.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- What the store has */

/* Held, also by a process that has to ask the store for it; NULL: there is none. */
static struct entry *met_uid(struct zones *zones, struct uid uid)
{
	struct entry *entry = NULL;

	return zones_meet_uid(zones, uid, &entry) == ZONE_OK ? entry : NULL;
}

static struct entry *met_zone(struct zones *zones, uint64_t zone)
{
	struct entry *entry = NULL;

	return zones_meet_zone(zones, zone, &entry) == ZONE_OK ? entry : NULL;
}

/* A process that knows a part stays so. */
static size_t count_pages(struct life_world *w, struct zones *zones, enum entry_kind kind, bool all)
{
	struct entry_filter filter = {.project = w->project, .with_pending = all};
	struct uid after = {0};
	size_t count, sum = 0;
	bool end = false;

	filter.kinds[kind] = true;
	while (!end) {
		struct entry **entries = NULL;

		LIFE_HOLDS(w,
			   zones_list_page(zones, &filter, &after, &entries, &count, &end) ==
				   ZONE_OK,
			   "no page of kind %d", (int)kind);
		for (size_t i = 0; i < count; i++)
			entry_release(entries[i]);
		free(entries);
		sum += count;
	}
	return sum;
}

static size_t count_kind(struct life_world *w, struct zones *zones, enum entry_kind kind, bool all)
{
	struct entry_filter filter = {.project = w->project};

	filter.kinds[kind] = true;
	return zones_filter_needs_all(zones, &filter) ? count_pages(w, zones, kind, all)
						      : count_entries(zones, w->project, kind, all);
}

static void check_listed(struct life_world *w, struct zones *zones, enum entry_kind kind,
			 size_t all, size_t active)
{
	size_t found = count_kind(w, zones, kind, true);

	LIFE_HOLDS(w, found == all, "%zu of kind %d are there, and not %zu", found, (int)kind, all);
	found = count_kind(w, zones, kind, false);
	LIFE_HOLDS(w, found == active, "%zu of kind %d are in use, and not %zu", found, (int)kind,
		   active);
}

/* Held; it must be there. */
static struct entry *look_up(struct life_world *w, struct zones *zones, struct uid uid,
			     enum life_state state, int64_t due_ms, const char *what, int at)
{
	struct entry *entry = met_uid(zones, uid);

	LIFE_HOLDS(w, entry != NULL, "%s %d is lost", what, at);
	LIFE_HOLDS(w, (entry->state == ENTRY_ACTIVE) == (state == LIFE_ACTIVE),
		   "%s %d has another state", what, at);
	LIFE_HOLDS(w, state == LIFE_ACTIVE || entry->delete_after_ms == due_ms,
		   "%s %d has another purge date", what, at);
	return entry;
}

static void check_label(struct life_world *w, struct zones *zones, const struct entry *entry,
			const char *label)
{
	AUTO(entry_releasep) struct entry *found = NULL;

	LIFE_HOLDS(w, strcmp(entry->label, label) == 0, "it is called '%s', and not '%s'",
		   entry->label, label);
	if (entry->state != ENTRY_ACTIVE)
		return;
	found = find_entry(zones, w->project, entry->kind, label);
	LIFE_HOLDS(w, found != NULL && uid_equal(found->uid, entry->uid), "'%s' is another's name",
		   label);
}

static void check_keys(struct life_world *w, struct zones *zones)
{
	size_t active = 0;

	for (int i = 0; i < LIFE_KEYS; i++) {
		const struct life_key *key = &w->life.keys[i];
		AUTO(entry_releasep) struct entry *entry = NULL;

		if (!life_is_there(key->state))
			continue;
		entry = look_up(w, zones, key->uid, key->state, key->due_ms, "root key", i);
		LIFE_HOLDS(w, strcmp(entry->of_root_key.arn, w->arns[i]) == 0,
			   "root key %d is another key", i);
		active += key->state == LIFE_ACTIVE;
	}
	LIFE_HOLDS(w, life_registered(&w->life) <= ROOT_KEYS_MAX, "too many root keys");
	check_listed(w, zones, ENTRY_ROOT_KEY, life_registered(&w->life), active);
}

static bool is_key(struct life_world *w, struct uid uid, int key)
{
	return key == LIFE_NONE ? uid_equal(uid, (struct uid){0})
				: uid_equal(uid, w->life.keys[key].uid);
}

static void check_clusters(struct life_world *w, struct zones *zones)
{
	size_t all = 0, active = 0;

	for (int i = 0; i < w->next_cluster; i++) {
		const struct life_cluster *cluster = &w->life.clusters[i];
		AUTO(entry_releasep) struct entry *entry = NULL;

		if (!life_is_there(cluster->state))
			continue;
		entry = look_up(w, zones, cluster->uid, cluster->state, cluster->due_ms, "cluster",
				i);
		check_label(w, zones, entry, cluster->label);
		LIFE_HOLDS(w,
			   is_key(w, entry->of_cluster.root_key, cluster->key) &&
				   is_key(w, entry->of_cluster.leaving, cluster->leaving),
			   "cluster %d has another root key, or leaves another", i);
		LIFE_HOLDS(w,
			   cluster->state != LIFE_ACTIVE ||
				   w->life.keys[cluster->key].state == LIFE_ACTIVE,
			   "the root key of cluster %d is gone", i);
		all++;
		active += cluster->state == LIFE_ACTIVE;
	}
	check_listed(w, zones, ENTRY_CLUSTER, all, active);
}

static int key_at(struct life_world *w, struct bytes arn)
{
	for (int i = 0; i < LIFE_KEYS; i++)
		if (bytes_are(arn, w->arns[i]))
			return i;
	life_fail(w, "no such root key: %.*s", (int)arn.len, (const char *)arn.data);
}

/* Those in use are the model's, in their order; what is kept beside them is noted, and so are their
 * states: who opens a wrap proves it. */
static void check_wraps(struct life_world *w, struct life_version *version,
			const struct ezk_version *found, int zone)
{
	const struct life_version before = *version;
	size_t live = 0, states[WRAP_REPLACED + 1] = {0};

	version->wrap_count = 0;
	for (size_t i = 0; i < found->wrap_count; i++) {
		const struct wrap *wrap = &found->wraps[i];
		int key = key_at(w, bytes_of(wrap->arn));
		uint8_t ezk[LIFE_EZK];

		states[wrap->state]++;
		life_blob_key(wrap->blob, ezk);
		LIFE_HOLDS(w, bytes_are(life_blob_arn(wrap->blob), w->arns[key]),
			   "a wrap of zone %d is not by root key %d, as it says", zone, key);
		LIFE_HOLDS(w, memcmp(ezk, version->ezk, LIFE_EZK) == 0,
			   "a wrap of zone %d, version %" PRIu32
			   " by root key %d holds another key",
			   zone, found->version, key);
		LIFE_HOLDS(w, version->wrap_count < LIFE_WRAPS, "zone %d has too many wraps", zone);
		version->wraps[version->wrap_count++] = (struct life_wrap){key, wrap->state};
		if (wrap->state == WRAP_REPLACED)
			continue;
		LIFE_HOLDS(w, live < before.wrap_count && before.wraps[live].key == key,
			   "zone %d, version %" PRIu32 " is under root key %d", zone,
			   found->version, key);
		live++;
	}
	LIFE_HOLDS(w, live == life_live_wraps(&before), "zone %d, version %" PRIu32 " lacks a wrap",
		   zone, found->version);
	LIFE_HOLDS(w, states[WRAP_ACTIVE] + states[WRAP_REPLACED] > 0,
		   "nothing of zone %d, version %" PRIu32 " is known to open", zone,
		   found->version);
	LIFE_HOLDS(w, states[WRAP_ACTIVE] == 0 || states[WRAP_REPLACED] == 0,
		   "zone %d keeps a wrap that it does not need", zone);
}

static void check_key_stands(struct life_world *w, const struct life_zone *zone,
			     const struct life_version *version, int at)
{
	for (int i = 0; zone->state == LIFE_ACTIVE && i < LIFE_KEYS; i++)
		LIFE_HOLDS(w,
			   !life_version_uses(version, i) || w->life.keys[i].state == LIFE_ACTIVE,
			   "root key %d is removed, and zone %d needs it", i, at);
}

static void check_versions(struct life_world *w, struct life_zone *zone, const struct entry *entry,
			   int at)
{
	size_t count = 0;

	for (uint32_t v = 1; v <= LIFE_VERSIONS; v++) {
		struct life_version *version = &zone->versions[v - 1];
		const struct ezk_version *found = entry_version(entry, v);

		LIFE_HOLDS(w, (found != NULL) == life_is_there(version->state),
			   "zone %d: version %" PRIu32 " is %s", at, v,
			   found != NULL ? "there" : "lost");
		if (found == NULL)
			continue;
		count++;
		LIFE_HOLDS(w, found->retired == (version->state == LIFE_PENDING),
			   "zone %d: version %" PRIu32 " is retired, or is not", at, v);
		LIFE_HOLDS(w, !found->retired || found->delete_after_ms == version->due_ms,
			   "zone %d: version %" PRIu32 " has another purge date", at, v);
		check_wraps(w, version, found, at);
		check_key_stands(w, zone, version, at);
	}
	LIFE_HOLDS(w, count == entry->of_zone.version_count, "zone %d has more versions", at);
}

static void check_zones(struct life_world *w, struct zones *zones)
{
	size_t all = 0, active = 0;

	for (int i = 0; i < w->next_zone; i++) {
		struct life_zone *zone = &w->life.zones[i];
		AUTO(entry_releasep) struct entry *entry = NULL, *gone = NULL;

		if (!life_is_there(zone->state)) {
			gone = met_zone(zones, zone->id);
			LIFE_HOLDS(w, gone == NULL, "zone %d is there again", i);
			continue;
		}
		entry = look_up(w, zones, zone->uid, zone->state, zone->due_ms, "zone", i);
		check_label(w, zones, entry, zone->label);
		LIFE_HOLDS(w,
			   uid_equal(entry->of_zone.cluster, w->life.clusters[zone->cluster].uid),
			   "zone %d is in another cluster", i);
		LIFE_HOLDS(w,
			   entry->of_zone.primary == zone->primary &&
				   entry->of_zone.raw == zone->raw &&
				   entry->of_zone.minimum == zone->minimum,
			   "zone %d: primary %" PRIu32 ", raw %" PRIu32 ", minimum %" PRIu32, i,
			   entry->of_zone.primary, entry->of_zone.raw, entry->of_zone.minimum);
		check_versions(w, zone, entry, i);
		all++;
		active += zone->state == LIFE_ACTIVE;
	}
	check_listed(w, zones, ENTRY_ZONE, all, active);
}

static void check_tokens(struct life_world *w, struct zones *zones)
{
	size_t count = 0;

	for (int i = 0; i < w->next_token; i++) {
		AUTO(entry_releasep)
		struct entry *entry = met_uid(zones, w->life.tokens[i].uid);

		LIFE_HOLDS(w, (entry != NULL) == (w->life.tokens[i].state == LIFE_ACTIVE),
			   "token key %d is %s", i, entry == NULL ? "lost" : "there again");
		count += entry != NULL;
	}
	check_listed(w, zones, ENTRY_KEY, count, count);
}

static void check_store(struct life_world *w, struct zones *zones)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	life_refresh(w, zones);
	project = zones_find_uid(zones, w->project);
	LIFE_HOLDS(w, project != NULL, "the project is lost");
	LIFE_HOLDS(w, project->of_project.announced_ms == w->life.announced_ms,
		   "what goes was announced at another time");
	check_keys(w, zones);
	check_clusters(w, zones);
	check_zones(w, zones);
	check_tokens(w, zones);
}

/* --- What opens */

enum reader { READER_NEW, READER_OLD };

static const struct life_zone *zone_by_id(struct life_world *w, uint64_t id)
{
	for (int i = 0; i < w->next_zone; i++)
		if (w->life.zones[i].id == id)
			return &w->life.zones[i];
	life_fail(w, "zone %" PRIu64 " was never made", id);
}

/* An old reader may have a lease, which outlives a no of the KMS, and no other. */
static void check_answer(struct life_world *w, enum reader reader, const struct life_zone *zone,
			 uint32_t number, const uint8_t *ezk, enum zone_status status,
			 const char *what)
{
	const struct life_version *version = life_version(zone, number);
	bool may = life_may_open(zone, number) && memcmp(version->ezk, ezk, LIFE_EZK) == 0;
	bool yes = may && life_kms_opens(version, w->answers);
	int at = (int)(zone - w->life.zones);

	w->opened += status == ZONE_OK;
	w->closed += status != ZONE_OK;
	LIFE_HOLDS(w, !yes || status == ZONE_OK,
		   "%s of zone %d, version %" PRIu32 " does not open: %s", what, at, number,
		   zone_status_text(status));
	LIFE_HOLDS(w, may || status != ZONE_OK,
		   "%s of zone %d, version %" PRIu32 " opens, against the store", what, at, number);
	LIFE_HOLDS(w, yes || status != ZONE_OK || (reader == READER_OLD && w->leased),
		   "%s of zone %d, version %" PRIu32 " opens, against its root keys", what, at,
		   number);
}

enum zone_status life_open(struct zones *zones, uint64_t zone, uint32_t version,
			   const struct life_seal *seal, uint8_t ret_dek[static LIFE_DEK])
{
	AUTO(entry_releasep) struct entry *entry = met_zone(zones, zone);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	if (entry == NULL)
		return zones_zone_missing(zones, zone);
	TRY(ezk_find(zones_registry(zones), entry, version, &ezk));
	return dek_unwrap(ezk, bytes(seal->wrapped, LIFE_WRAPPED), bytes_of("aad"), ret_dek, NULL);
}

static void check_seal(struct life_world *w, enum reader reader, struct zones *zones,
		       const struct life_seal *seal)
{
	uint8_t dek[LIFE_DEK] = {0};
	const struct life_zone *other = &w->life.zones[life_below(w, w->next_zone)];
	enum zone_status status = life_open(zones, seal->zone, seal->version, seal, dek);

	check_answer(w, reader, zone_by_id(w, seal->zone), seal->version, seal->ezk, status,
		     "a seal");
	LIFE_HOLDS(w, status != ZONE_OK || memcmp(dek, seal->dek, LIFE_DEK) == 0,
		   "what was sealed has changed");
	if (other->id == seal->zone)
		return;
	status = life_open(zones, other->id, EZK_PRIMARY, seal, dek);
	LIFE_HOLDS(w, status != ZONE_OK, "a seal opens by another zone");
}

static void check_token(struct life_world *w, enum reader reader, struct zones *zones,
			const struct life_token *token)
{
	AUTO(entry_releasep) struct entry *entry = met_uid(zones, token->uid);
	AUTO(secret_freep) uint8_t *value = NULL;
	const struct life_zone *zone = &w->life.zones[token->zone];
	enum zone_status status =
		entry == NULL ? ZONE_NOT_FOUND : zones_key_open(zones, entry, &value, NULL);

	check_answer(w, reader, zone, token->version, zone->versions[token->version - 1].ezk,
		     status, "a token key");
	LIFE_HOLDS(w, status != ZONE_OK || memcmp(value, token->value, sizeof(token->value)) == 0,
		   "a token key has another value");
}

/* One that may open a record of the zone; NULL: none. Held. */
static struct entry *root_key_for(struct life_world *w, struct zones *zones,
				  const struct life_zone *zone)
{
	for (int i = 0; i < LIFE_KEYS; i++)
		for (int v = 0; v < LIFE_VERSIONS; v++)
			if (w->life.keys[i].state == LIFE_ACTIVE &&
			    life_version_uses(&zone->versions[v], i))
				return met_uid(zones, w->life.keys[i].uid);
	return NULL;
}

/* Whether the store has anything against it: not of a version that it does not know yet, as after a
 * restore. */
static bool is_barred(const struct life_zone *zone, uint32_t version)
{
	return zone->state != LIFE_ACTIVE || version < zone->minimum ||
	       (version <= zone->primary && !life_may_open(zone, version));
}

/* By a version that came with a record, which knows all that came with it. */
static void check_by_record(struct life_world *w, struct ezk *ezk, const struct life_zone *zone)
{
	for (size_t i = 0; i < w->seal_count; i++) {
		const struct life_seal *seal = &w->seals[i];
		uint8_t dek[LIFE_DEK];

		if (seal->zone != zone->id || !is_barred(zone, seal->version))
			continue;
		LIFE_HOLDS(w,
			   dek_unwrap(ezk, bytes(seal->wrapped, LIFE_WRAPPED), bytes_of("aad"), dek,
				      NULL) != ZONE_OK,
			   "version %" PRIu32 " of zone %d opens by a record, against the store",
			   seal->version, (int)(zone - w->life.zones));
	}
}

/* A record that travelled opens nothing that the store does not let open. */
static void check_record(struct life_world *w, struct zones *zones, int at)
{
	const struct life_zone *zone = &w->life.zones[at];
	const struct life_record *record = &w->records[at];
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	if (record->file.len == 0 || zone->state == LIFE_ABSENT)
		return;
	root_key = root_key_for(w, zones, zone);
	if (root_key == NULL || ezk_from_records(zones_registry(zones), root_key,
						 buffer_bytes(&record->file), &ezk) != ZONE_OK)
		return;
	LIFE_HOLDS(w, !is_barred(zone, record->version),
		   "version %" PRIu32 " of zone %d opens by its record, against the store",
		   record->version, at);
	w->by_records++;
	check_by_record(w, ezk, zone);
}

static void check_openings(struct life_world *w, enum reader reader, struct zones *zones, bool all)
{
	life_refresh(w, zones);
	for (size_t i = 0; i < w->seal_count; i++)
		if (all || life_one_in(w, 3))
			check_seal(w, reader, zones, &w->seals[i]);
	for (int i = 0; i < w->next_token; i++)
		if (w->life.tokens[i].state == LIFE_ACTIVE && (all || life_one_in(w, 3)))
			check_token(w, reader, zones, &w->life.tokens[i]);
	for (int i = 0; i < w->next_zone; i++)
		check_record(w, zones, i);
}

void life_check_all(struct life_world *w, bool thoroughly)
{
	int process = life_below(w, LIFE_PROCESSES);

	check_store(w, w->processes[process]);
	check_openings(w, READER_OLD, w->processes[process], thoroughly);
	if (thoroughly || life_one_in(w, 4)) {
		struct zones *new = zones_other(w->f);

		check_store(w, new);
		check_openings(w, READER_NEW, new, thoroughly);
		zones_free(new);
	}
	check_store(w, w->processes[1 - process]); /* what was opened may have been proven */
}
