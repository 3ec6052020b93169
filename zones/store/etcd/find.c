/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is found by a key, and all that it stands on. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

#include <inttypes.h>

enum { LOOKS = 3 };

static enum zone_status visit_uid_of_label(void *state, const struct kv *kv)
{
	struct buffer *uids = state;
	struct uid uid;

	if (kv->key.len < (size_t)2 * UID_SIZE ||
	    !etcd_read_uid(bytes_after(kv->key, kv->key.len - (size_t)2 * UID_SIZE), &uid))
		return ZONE_STORE_CORRUPT;
	buffer_append(uids, bytes(uid.bytes, UID_SIZE));
	return uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status visit_uid_of_zone(void *state, const struct kv *kv)
{
	struct buffer *uids = state;
	struct uid uid;

	if (!etcd_read_uid(kv->value, &uid))
		return ZONE_STORE_CORRUPT;
	buffer_append(uids, bytes(uid.bytes, UID_SIZE));
	return uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* One key, as it was. */
static enum zone_status visit_key(struct etcd *etcd, const struct buffer *key, uint64_t revision,
				  visit_kv *visit, void *state, enum etcd_fate *ret_fate)
{
	struct etcd_range range = {.key = buffer_bytes(key), .revision = revision};
	AUTO(buffer_clear) struct buffer found = {0};
	AUTO(json_freep) json_t *answer = NULL;

	if (key->failed)
		return ZONE_NO_MEMORY;
	TRY(etcd_ask_page(etcd, &range, ret_fate, &answer));
	return etcd_visit_page(etcd, answer, &found, visit, state);
}

/* Hints: a zone that has dropped such versions may be among them. */
static enum zone_status find_importers(struct etcd *etcd, uint64_t zone, uint64_t revision,
				       struct buffer *ret_uids, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer below = {0};

	etcd_key(etcd, &below, "import/%016" PRIx64 "/", zone);
	return etcd_each(etcd, &below, (struct etcd_range){.revision = revision}, visit_uid_of_zone,
			 ret_uids, ret_fate);
}

/* The uids that a key means. */
static enum zone_status find_uids(struct etcd *etcd, const struct store_key *key, uint64_t revision,
				  struct buffer *ret_uids, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer name = {0};

	switch (key->by) {
	case STORE_BY_UID:
		buffer_append(ret_uids, bytes(key->uid.bytes, UID_SIZE));
		return ret_uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
	case STORE_BY_ZONE:
		etcd_key(etcd, &name, "zone/%016" PRIx64, key->zone);
		return visit_key(etcd, &name, revision, visit_uid_of_zone, ret_uids, ret_fate);
	case STORE_BY_IMPORT:
		return find_importers(etcd, key->zone, revision, ret_uids, ret_fate);
	case STORE_BY_LABEL:
		break;
	}
	if (key->label.len > LABEL_MAX)
		return ZONE_OK;
	etcd_key_label(etcd, &name, key->project, key->kind, key->label, NULL);
	return etcd_each(etcd, &name, (struct etcd_range){.revision = revision, .keys_only = true},
			 visit_uid_of_label, ret_uids, ret_fate);
}

static bool has(const struct store_news *news, struct uid uid)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, uid))
			return true;
	return false;
}

/* The row, if it is not among the news yet; *ret_entry (borrowed, may be NULL) is what came. */
static enum zone_status find_row(struct etcd_reading *reading, struct uid uid,
				 const struct entry **ret_entry, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer key = {0};
	size_t before = reading->news.count;

	*ret_entry = NULL;
	if (has(&reading->news, uid))
		return ZONE_OK;
	etcd_key_uid(reading->etcd, &key, "row", uid);
	TRY(visit_key(reading->etcd, &key, reading->look->revision, etcd_visit_row, reading,
		      ret_fate));
	if (reading->news.count > before && !reading->news.rows[before].removed)
		*ret_entry = reading->news.rows[before].entry;
	return ZONE_OK;
}

/* And what it stands on. */
static enum zone_status find_with_parents(struct etcd_reading *reading, struct uid uid,
					  enum etcd_fate *ret_fate)
{
	const struct entry *entry, *cluster, *other;

	TRY(find_row(reading, uid, &entry, ret_fate));
	if (entry == NULL)
		return ZONE_OK;
	TRY(find_row(reading, entry->project, &other, ret_fate));
	if (entry->kind != ENTRY_ZONE)
		return ZONE_OK;
	TRY(find_row(reading, entry->of_zone.cluster, &cluster, ret_fate));
	if (cluster == NULL || cluster->kind != ENTRY_CLUSTER)
		return ZONE_OK;
	return find_row(reading, cluster->of_cluster.root_key, &other, ret_fate);
}

static enum zone_status find_all(struct etcd_reading *reading, const struct store_key *key,
				 enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer uids = {0};
	enum zone_status status;
	struct uid uid;

	status = find_uids(reading->etcd, key, reading->look->revision, &uids, ret_fate);
	if (status == ZONE_STORE_CORRUPT)
		return etcd_damaged(reading->etcd, bytes_of("a key below zone/ or label/"), "uid");
	TRY(status);
	for (size_t at = 0; at < uids.len; at += UID_SIZE) {
		memcpy(uid.bytes, uids.data + at, UID_SIZE);
		TRY(find_with_parents(reading, uid, ret_fate));
	}
	return etcd_read_versions(reading, false, ret_fate);
}

enum zone_status etcd_look_alone(struct etcd *etcd, struct etcd_look *ret_look)
{
	TRY(etcd_look(etcd, ret_look));
	if (ret_look->limited)
		return etcd_tell_limit(etcd, ret_look) == ZONE_OK ? ZONE_STORE_NEWER
								  : ZONE_NO_MEMORY;
	/* What is known is another store's: the next look reads this one. */
	if (ret_look->exists && etcd->id[0] != '\0' && strcmp(ret_look->id, etcd->id) != 0)
		return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
				 "another store has taken its place; it is read at the next look");
	return ZONE_OK;
}

static enum zone_status find_once(struct etcd *etcd, const struct store_key *key,
				  struct etcd_look *look, struct store_news *ret_news,
				  enum etcd_fate *ret_fate)
{
	AUTO(etcd_reading_clear) struct etcd_reading reading = {0};

	*ret_fate = ETCD_ANSWERED;
	TRY(etcd_look_alone(etcd, look));
	reading = etcd_reading_of(etcd, look);
	if (look->exists)
		TRY(find_all(&reading, key, ret_fate));
	*ret_news = reading.news;
	ret_news->unknown = reading.rows.unknown;
	reading.news = (struct store_news){0};
	return ZONE_OK;
}

enum zone_status etcd_find(struct etcd *etcd, const struct store_key *key,
			   struct store_news *ret_news)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;
	struct etcd_look look;

	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++) {
		status = find_once(etcd, key, &look, ret_news, &fate);
		TRY(etcd_unblock(etcd, &look, fate));
	}
	return fate == ETCD_COMPACTED && status != ZONE_OK ? etcd_tell_compacted(etcd) : status;
}
