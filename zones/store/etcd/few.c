/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a large store, what few processes can do without: projects, root keys, clusters and archives,
 * whose keys stand below few/. What is newer than that is read as ever, but asked for by the heads
 * of projects, which are few, and not by the rows.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

enum { LOOKS = 3 };

struct few_look {
	struct etcd_look look;
	bool listed; /* the store has keys below few/ for all there are: none of before has */
	bool news;
	size_t rows; /* with tombstones */
};

static enum zone_status look(struct etcd *etcd, const struct store_cursor *since,
			     struct few_look *ret_look)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(json_freep) json_t *answer = NULL;

	etcd_key(etcd, &key, "few");
	etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key), .keys_only = true});
	etcd_key(etcd, &key, "project/");
	etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key),
						 .prefix = true,
						 .newer_than = etcd_cursor_revision(since),
						 .limit = 1,
						 .keys_only = true});
	/* Etcd counts one by one. */
	etcd_key(etcd, &key, "row/");
	if (since->len == 0)
		etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key),
							 .prefix = true,
							 .count_only = true});
	ops.failed |= key.failed;
	TRY(etcd_look_with(etcd, &ops, &ret_look->look, &answer));
	ret_look->listed = etcd_first_kv(etcd_answer_at(answer, 1)) != NULL;
	ret_look->news = etcd_first_kv(etcd_answer_at(answer, 2)) != NULL;
	ret_look->rows = (size_t)etcd_number(etcd_answer_at(answer, 3), "count");
	return ZONE_OK;
}

static enum zone_status visit_few(void *state, const struct kv *kv)
{
	struct buffer *uids = state;
	struct uid uid;

	if (!etcd_read_uid(bytes_after(kv->key, strlen("few/")), &uid))
		return ZONE_STORE_CORRUPT;
	buffer_append(uids, bytes(uid.bytes, UID_SIZE));
	return uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status read_few(struct etcd_reading *reading, enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision, .keys_only = true};
	AUTO(buffer_clear) struct buffer below = {0};
	AUTO(buffer_clear) struct buffer uids = {0};
	enum zone_status status;

	etcd_key(reading->etcd, &below, "few/");
	status = etcd_each(reading->etcd, &below, range, visit_few, &uids, ret_fate);
	if (status == ZONE_STORE_CORRUPT)
		return etcd_damaged(reading->etcd, bytes_of("a key below few/"), "uid");
	TRY(status);
	return etcd_read_rows_of(reading, &uids, ret_fate);
}

static enum zone_status read_once(struct etcd *etcd, const struct store_cursor *since, size_t most,
				  struct few_look *few, struct store_news *ret_news,
				  enum etcd_fate *ret_fate)
{
	AUTO(etcd_reading_clear) struct etcd_reading reading = {0};
	bool whole, partial;

	*ret_fate = ETCD_ANSWERED;
	TRY(look(etcd, since, few));
	reading = etcd_reading_of(etcd, &few->look);
	whole = !etcd_goes_on(etcd, since, &few->look);
	/* What is known already is another store's, else: that is rare, and read as a whole. */
	partial = whole && since->len == 0 && few->look.exists && !few->look.limited &&
		  few->listed && few->rows > most;
	if (partial)
		TRY(read_few(&reading, ret_fate));
	else if (few->look.exists && (whole || few->news))
		TRY(etcd_read_rows(&reading, whole ? 0 : etcd_cursor_revision(since), ret_fate));
	*ret_news = reading.news;
	reading.news = (struct store_news){0};
	ret_news->whole = whole;
	ret_news->partial = partial;
	ret_news->limited = few->look.limited;
	ret_news->unknown = reading.rows.unknown;
	ret_news->cursor = etcd_cursor(&few->look, few->look.revision);
	return ZONE_OK;
}

enum zone_status etcd_read_few(struct etcd *etcd, const struct store_cursor *since, size_t most,
			       struct store_news *ret_news)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;
	struct few_look few;

	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++) {
		status = read_once(etcd, since, most, &few, ret_news, &fate);
		TRY(etcd_unblock(etcd, &few.look, fate));
	}
	if (fate == ETCD_COMPACTED && status != ZONE_OK)
		return etcd_tell_compacted(etcd);
	TRY(status);
	etcd_note_store(etcd, &few.look);
	return etcd_tell_limit(etcd, &few.look);
}
