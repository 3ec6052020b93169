/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A look: the head, whether anything is newer, and how far a reading came. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

const json_t *etcd_answer_at(const json_t *answer, size_t index)
{
	const json_t *responses = json_object_get(answer, "responses");

	return json_object_get(json_array_get(responses, index), "response_range");
}

const json_t *etcd_first_kv(const json_t *range)
{
	return json_array_get(json_object_get(range, "kvs"), 0);
}

static enum zone_status take_head(struct etcd *etcd, const json_t *kv, struct etcd_look *look)
{
	AUTO(buffer_clear) struct buffer text = {0};
	enum zone_status status;

	if (kv == NULL)
		return ZONE_OK;
	if (!etcd_bytes(kv, "value", &text))
		return text.failed ? ZONE_NO_MEMORY : ZONE_STORE_UNAVAILABLE;
	status = rows_read_head(buffer_bytes(&text), look->id, &look->head, &look->created_ms);
	if (status == ZONE_STORE_CORRUPT)
		return etcd_damaged(etcd, bytes_of("head"), "as a whole");
	look->exists = true;
	look->limited = look->head.min_reader > store_level_understood();
	return status;
}

/* A large write that is not in its place: what is read is the state before it. */
static enum zone_status take_pending(struct etcd *etcd, const json_t *answer,
				     struct etcd_look *look)
{
	const size_t last = json_array_size(json_object_get(answer, "responses")) - 1;
	const json_t *kvs = json_object_get(etcd_answer_at(answer, last), "kvs");

	for (size_t i = 0; i < json_array_size(kvs); i++) {
		const json_t *kv = json_array_get(kvs, i);
		const uint64_t revision = etcd_number(kv, "mod_revision");
		AUTO(buffer_clear) struct buffer key = {0};

		if (!etcd_bytes(kv, "key", &key))
			return key.failed ? ZONE_NO_MEMORY : ZONE_OK;
		if (revision > 1 &&
		    bytes_begin(bytes_after(buffer_bytes(&key), strlen(etcd->prefix)),
				"pending/") &&
		    (look->pending == 0 || revision < look->pending))
			look->pending = revision;
	}
	if (look->pending != 0)
		look->revision = look->pending - 1;
	return ZONE_OK;
}

/* A store that was there and is not is no empty one: somebody has emptied the prefix, or another
 * etcd answers. */
static enum zone_status check_reach(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->exists || etcd->id[0] == '\0')
		return ZONE_OK;
	return etcd_says(
		etcd, ZONE_STORE_UNAVAILABLE,
		"it was there and is gone: its keys were removed, or another etcd answers; "
		"put it back, or end the processes that use it to begin anew");
}

enum zone_status etcd_look_with(struct etcd *etcd, const struct buffer *ops,
				struct etcd_look *ret_look, json_t **ret_answer)
{
	AUTO(buffer_clear) struct buffer head = {0};
	AUTO(buffer_clear) struct buffer first = {0};
	AUTO(buffer_clear) struct buffer last = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct etcd_look look = {0};
	enum etcd_fate fate;

	etcd_key(etcd, &head, "head");
	etcd_op_range(&first, &(struct etcd_range){.key = buffer_bytes(&head)});
	buffer_put_text(&body, "{\"success\":[");
	buffer_append(&body, buffer_bytes(&first));
	buffer_put_text(&body, ops->len > 0 ? "," : "");
	buffer_append(&body, buffer_bytes(ops));
	etcd_key(etcd, &head, "pending/");
	etcd_op_range(&last, &(struct etcd_range){.key = buffer_bytes(&head), .prefix = true});
	buffer_put_text(&body, ",");
	buffer_append(&body, buffer_bytes(&last));
	buffer_put_text(&body, "]}");
	if (ops->failed || last.failed || head.failed || first.failed || body.failed)
		return ZONE_NO_MEMORY;
	TRY(etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer));
	look.revision = etcd_revision(answer);
	look.cluster = etcd_number(json_object_get(answer, "header"), "cluster_id");
	if (look.revision == 0 || look.revision > INT64_MAX)
		return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
				 "it answers what etcd does not; look at [store] endpoint");
	TRY(take_head(etcd, etcd_first_kv(etcd_answer_at(answer, 0)), &look));
	TRY(take_pending(etcd, answer, &look));
	TRY(check_reach(etcd, &look));
	*ret_look = look;
	*ret_answer = TAKE(answer);
	return ZONE_OK;
}

enum zone_status etcd_look_since(struct etcd *etcd, uint64_t newer_than, struct etcd_look *ret_look,
				 bool *ret_news)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(json_freep) json_t *answer = NULL;

	etcd_key(etcd, &key, "live/");
	etcd_op_range(&ops, &(struct etcd_range){
				    .key = buffer_bytes(&key), .prefix = true, .count_only = true});
	etcd_key(etcd, &key, "row/");
	etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key),
						 .prefix = true,
						 .newer_than = newer_than,
						 .limit = 1,
						 .keys_only = true});
	ops.failed |= key.failed;
	TRY(etcd_look_with(etcd, &ops, ret_look, &answer));
	ret_look->zones = (size_t)etcd_number(etcd_answer_at(answer, 1), "count");
	*ret_news = etcd_first_kv(etcd_answer_at(answer, 2)) != NULL;
	return ZONE_OK;
}

enum zone_status etcd_look(struct etcd *etcd, struct etcd_look *ret_look)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(json_freep) json_t *answer = NULL;

	return etcd_look_with(etcd, &ops, ret_look, &answer);
}

/* --- A cursor: the revision, and whose it is */

enum { CURSOR_LEN = 2 * sizeof(uint64_t) + ROWS_ID_SIZE };

struct store_cursor etcd_cursor(const struct etcd_look *look, uint64_t revision)
{
	struct store_cursor cursor = {0};

	_Static_assert((int)CURSOR_LEN <= (int)STORE_CURSOR_MAX, "a cursor has room");
	if (!look->exists)
		return cursor;
	cursor.len = CURSOR_LEN;
	memcpy(cursor.data, &revision, sizeof(revision));
	memcpy(cursor.data + sizeof(revision), &look->cluster, sizeof(look->cluster));
	memcpy(cursor.data + 2 * sizeof(revision), look->id, ROWS_ID_SIZE);
	return cursor;
}

uint64_t etcd_cursor_revision(const struct store_cursor *cursor)
{
	uint64_t revision = 0;

	if (cursor->len == CURSOR_LEN)
		memcpy(&revision, cursor->data, sizeof(revision));
	return revision;
}

/* The same store in the same etcd, further on. */
bool etcd_goes_on(const struct etcd *etcd, const struct store_cursor *since,
		  const struct etcd_look *look)
{
	struct store_cursor then = etcd_cursor(look, etcd_cursor_revision(since));

	return since->len == CURSOR_LEN && look->exists && !look->limited && !etcd->limited &&
	       look->revision >= etcd_cursor_revision(since) &&
	       memcmp(then.data, since->data, CURSOR_LEN) == 0;
}
