/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values, a page at a time. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

enum zone_status etcd_damaged(struct etcd *etcd, struct bytes key, const char *what)
{
	return etcd_says(etcd, ZONE_STORE_CORRUPT,
			 "%.*s holds what no release wrote (%s); restore the store from a backup",
			 (int)key.len, (const char *)key.data, what);
}

/* --- Pages */

static enum zone_status visit_one(struct etcd *etcd, const json_t *json, struct buffer *key,
				  visit_kv *visit, void *state)
{
	AUTO(buffer_clear) struct buffer value = {0};
	size_t prefix = strlen(etcd->prefix);
	struct kv kv;

	buffer_truncate(key, 0);
	if (!etcd_bytes(json, "key", key) || !etcd_bytes(json, "value", &value) ||
	    !bytes_begin(buffer_bytes(key), etcd->prefix))
		return key->failed || value.failed
			       ? ZONE_NO_MEMORY
			       : etcd_says(
					 etcd, ZONE_STORE_UNAVAILABLE,
					 "it answers what etcd does not; look at [store] endpoint");
	kv.key = bytes_after(buffer_bytes(key), prefix);
	kv.value = buffer_bytes(&value);
	kv.revision = etcd_number(json, "mod_revision");
	return visit(state, &kv);
}

enum zone_status etcd_visit_page(struct etcd *etcd, const json_t *answer, struct buffer *last,
				 visit_kv *visit, void *state)
{
	const json_t *kvs = json_object_get(answer, "kvs");

	for (size_t i = 0; i < json_array_size(kvs); i++)
		TRY(visit_one(etcd, json_array_get(kvs, i), last, visit, state));
	return ZONE_OK;
}

static enum zone_status ask_page(struct etcd *etcd, struct etcd_range *range,
				 enum etcd_fate *ret_fate, json_t **ret_answer)
{
	AUTO(buffer_clear) struct buffer body = {0};

	range->limit = etcd->page;
	etcd_put_range(&body, range);
	return etcd_call(etcd, "/v3/kv/range", &body, true, ret_fate, ret_answer);
}

/* A page that is too long is asked for once more, with half as many rows. */
enum zone_status etcd_ask_page(struct etcd *etcd, struct etcd_range *range,
			       enum etcd_fate *ret_fate, json_t **ret_answer)
{
	enum zone_status status = ask_page(etcd, range, ret_fate, ret_answer);

	while (*ret_fate == ETCD_TOO_LONG && etcd->page > 1) {
		etcd->page /= 2;
		etcd_go_on(etcd, ETCD_READ_MS);
		status = ask_page(etcd, range, ret_fate, ret_answer);
	}
	if (*ret_fate == ETCD_TOO_LONG)
		etcd_says(etcd, status, "a row is longer than any that a release writes");
	else if (etcd->page < ETCD_PAGE)
		etcd->page *= 2; /* the rows that come may be shorter */
	return status;
}

/* All that is below `below`, a key that ends with a slash. */
enum zone_status etcd_each(struct etcd *etcd, const struct buffer *below, struct etcd_range range,
			   visit_kv *visit, void *state, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer end = {0};
	bool more = true;

	if (below->failed)
		return ZONE_NO_MEMORY;
	buffer_append(&key, buffer_bytes(below));
	etcd_prefix_end(&end, buffer_bytes(below));
	while (more) {
		AUTO(json_freep) json_t *answer = NULL;

		if (key.failed || end.failed)
			return ZONE_NO_MEMORY;
		range.key = buffer_bytes(&key);
		range.end = buffer_bytes(&end);
		TRY(etcd_ask_page(etcd, &range, ret_fate, &answer));
		TRY(etcd_visit_page(etcd, answer, &key, visit, state));
		buffer_put_u8(&key, 0);
		more = json_is_true(json_object_get(answer, "more")) &&
		       json_array_size(json_object_get(answer, "kvs")) > 0;
		/* However many there are, each has the same time. */
		if (more)
			etcd_go_on(etcd, ETCD_READ_MS);
	}
	return ZONE_OK;
}
