/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones and token keys of a project, a page at a time. Rows lie in the order of their uids, those
 * of all projects together, so a page may have none of this one's. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

enum { LOOKS = 3 };

struct listing {
	struct etcd_reading reading;
	struct uid project, last;
};

static void listing_clear(struct listing *listing)
{
	etcd_reading_clear(&listing->reading);
}

static bool is_listed(const struct listing *listing, const struct store_row *row)
{
	return !row->removed && uid_equal(row->entry->project, listing->project) &&
	       (row->entry->kind == ENTRY_ZONE || row->entry->kind == ENTRY_KEY);
}

static enum zone_status visit_row(void *state, const struct kv *kv)
{
	struct listing *listing = state;
	struct store_news *news = &listing->reading.news;
	const size_t before = news->count;

	TRY(etcd_visit_row(&listing->reading, kv));
	if (!etcd_read_uid(bytes_after(kv->key, strlen("row/")), &listing->last))
		return etcd_damaged(listing->reading.etcd, kv->key, "uid");
	if (news->count > before && !is_listed(listing, &news->rows[before]))
		entry_release(news->rows[--news->count].entry);
	return ZONE_OK;
}

static enum zone_status read_page(struct listing *listing, const struct uid *after, bool *ret_end,
				  enum etcd_fate *ret_fate)
{
	static const struct uid first;
	struct etcd *etcd = listing->reading.etcd;
	AUTO(buffer_clear) struct buffer below = {0};
	AUTO(buffer_clear) struct buffer end = {0};
	AUTO(buffer_clear) struct buffer from = {0};
	AUTO(buffer_clear) struct buffer found = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct etcd_range range = {.revision = listing->reading.look->revision};

	etcd_key(etcd, &below, "row/");
	etcd_prefix_end(&end, buffer_bytes(&below));
	if (uid_equal(*after, first)) {
		buffer_append(&from, buffer_bytes(&below));
	} else {
		etcd_key_uid(etcd, &from, "row", *after);
		buffer_put_u8(&from, 0);
	}
	if (below.failed || end.failed || from.failed)
		return ZONE_NO_MEMORY;
	range.key = buffer_bytes(&from);
	range.end = buffer_bytes(&end);
	TRY(etcd_ask_page(etcd, &range, ret_fate, &answer));
	TRY(etcd_visit_page(etcd, answer, &found, visit_row, listing));
	*ret_end = !json_is_true(json_object_get(answer, "more"));
	if (!*ret_end && json_array_size(json_object_get(answer, "kvs")) == 0)
		return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
				 "it answers what etcd does not; look at [store] endpoint");
	return etcd_read_versions(&listing->reading, false, ret_fate);
}

static enum zone_status list_once(struct etcd *etcd, struct uid project, struct uid *after,
				  struct etcd_look *look, struct store_news *ret_news,
				  bool *ret_end, enum etcd_fate *ret_fate)
{
	AUTO(listing_clear) struct listing listing = {.project = project, .last = *after};
	bool end = true;

	*ret_fate = ETCD_ANSWERED;
	TRY(etcd_look_alone(etcd, look));
	listing.reading = etcd_reading_of(etcd, look);
	if (look->exists)
		TRY(read_page(&listing, after, &end, ret_fate));
	*after = listing.last;
	*ret_end = end;
	*ret_news = listing.reading.news;
	listing.reading.news = (struct store_news){0};
	return ZONE_OK;
}

enum zone_status etcd_list(struct etcd *etcd, struct uid project, struct uid *after,
			   struct store_news *ret_news, bool *ret_end)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;
	struct etcd_look look;

	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++) {
		status = list_once(etcd, project, after, &look, ret_news, ret_end, &fate);
		TRY(etcd_unblock(etcd, &look, fate));
	}
	return fate == ETCD_COMPACTED && status != ZONE_OK ? etcd_tell_compacted(etcd) : status;
}
