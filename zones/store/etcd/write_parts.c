/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write that is more than one transaction of etcd takes. Its operations are first written as
 * parts, which nobody looks at. Then one transaction writes the heads of its projects and a key
 * below pending/: this is when it is done. The parts are put in their place afterwards, each on the
 * condition that that key is still there; it goes with the last. As long as it is there, everybody
 * reads the store as it was before it (look.c), and whoever writes puts the parts in place first.
 */
#include "base/clock.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/write_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PART_OPS = 64,
	PART_BYTES = 512 << 10,
	PARTS_MAX = 1000,
	LEFT_OVER_MS = 24 * 60 * 60 * 1000,
};

/* --- Operations in a part: kind, key behind the store's prefix, value */

enum { OP_PUT = 1, OP_DELETE, OP_DELETE_BELOW };

/* What a part may change: never heads. */
static const char *const places[] = {"row/",  "version/", "label/", "zone/",
				     "live/", "import/",  "few/"};

static struct buffer *room_for(struct attempt *attempt, size_t len)
{
	struct buffer *last =
		attempt->part_count == 0 ? NULL : &attempt->parts[attempt->part_count - 1];
	struct buffer *parts;

	if (last != NULL && attempt->in_part < PART_OPS && last->len + len <= PART_BYTES)
		return last;
	parts = realloc(attempt->parts, (attempt->part_count + 1) * sizeof(*parts));
	if (parts == NULL)
		return NULL;
	attempt->parts = parts;
	attempt->in_part = 0;
	parts[attempt->part_count] = (struct buffer){0};
	return &parts[attempt->part_count++];
}

static void add(struct attempt *attempt, uint8_t kind, const struct buffer *key, struct bytes value)
{
	struct bytes name = bytes_after(buffer_bytes(key), strlen(attempt->etcd->prefix));
	struct buffer *part = room_for(attempt, name.len + value.len);

	attempt->ops.failed |= part == NULL;
	if (part == NULL)
		return;
	buffer_put_u8(part, kind);
	buffer_put_sized(part, name);
	buffer_put_u32(part, (uint32_t)value.len);
	buffer_append(part, value);
	attempt->ops.failed |= part->failed;
	attempt->in_part++;
}

void etcd_part_put(struct attempt *attempt, const struct buffer *key, const struct buffer *value)
{
	add(attempt, OP_PUT, key, buffer_bytes(value));
}

void etcd_part_drop(struct attempt *attempt, const struct buffer *key, bool below)
{
	add(attempt, below ? OP_DELETE_BELOW : OP_DELETE, key, bytes(NULL, 0));
}

struct part_op {
	uint8_t kind;
	struct bytes key, value;
};

static bool is_place(struct bytes key)
{
	for (size_t i = 0; i < COUNT_OF(places); i++)
		if (bytes_begin(key, places[i]))
			return true;
	return false;
}

/* False: it is not what a release writes there. */
static bool next_op(struct bytes *rest, struct part_op *ret_op)
{
	size_t len;

	if (rest->len < 3)
		return false;
	ret_op->kind = rest->data[0];
	len = (size_t)rest->data[1] << 8 | rest->data[2];
	*rest = bytes_after(*rest, 3);
	if (rest->len < len || rest->len - len < 4)
		return false;
	ret_op->key = bytes(rest->data, len);
	*rest = bytes_after(*rest, len);
	len = (size_t)rest->data[0] << 24 | (size_t)rest->data[1] << 16 |
	      (size_t)rest->data[2] << 8 | rest->data[3];
	*rest = bytes_after(*rest, 4);
	if (rest->len < len)
		return false;
	ret_op->value = bytes(rest->data, len);
	*rest = bytes_after(*rest, len);
	return ret_op->kind >= OP_PUT && ret_op->kind <= OP_DELETE_BELOW && is_place(ret_op->key) &&
	       (ret_op->kind == OP_PUT || len == 0) &&
	       (ret_op->kind == OP_DELETE_BELOW) == (ret_op->key.data[ret_op->key.len - 1] == '/');
}

static void put_op(const struct etcd *etcd, const struct part_op *op, struct buffer *ops)
{
	AUTO(buffer_clear) struct buffer key = {0};

	buffer_put_text(&key, etcd->prefix);
	buffer_append(&key, op->key);
	ops->failed |= key.failed;
	if (op->kind == OP_PUT)
		etcd_op_put(ops, buffer_bytes(&key), op->value);
	else
		etcd_op_delete(ops, buffer_bytes(&key), op->kind == OP_DELETE_BELOW);
}

void etcd_take_fewer(struct etcd *etcd)
{
	if (etcd->ops_at_once > ETCD_OPS_AT_ONCE / 2)
		etcd->ops_at_once = ETCD_OPS_AT_ONCE / 2;
}

/* --- Requests */

/* *ret_done: the comparison held. */
/* *ret_fate: of a refusal alone. */
static enum zone_status try_send(struct etcd *etcd, const struct buffer *compares,
				 const struct buffer *ops, bool *ret_done, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;

	*ret_fate = ETCD_UNKNOWN;
	buffer_put_text(&body, "{\"compare\":[");
	buffer_append(&body, buffer_bytes(compares));
	buffer_put_text(&body, "],\"success\":[");
	buffer_append(&body, buffer_bytes(ops));
	buffer_put_text(&body, "]}");
	body.failed |= compares->failed || ops->failed;
	if (body.failed)
		return ZONE_NO_MEMORY;
	etcd_go_on(etcd, ETCD_READ_MS);
	/* What is done twice is the same as once. */
	TRY(etcd_call(etcd, "/v3/kv/txn", &body, true, ret_fate, &answer));
	*ret_done = json_is_true(json_object_get(answer, "succeeded"));
	return ZONE_OK;
}

static enum zone_status send(struct etcd *etcd, const struct buffer *compares,
			     const struct buffer *ops, bool *ret_done)
{
	enum etcd_fate fate;

	return try_send(etcd, compares, ops, ret_done, &fate);
}

/* --- Before: "part/WHEN/TOKEN/NUMBER" and "pending/WHEN/TOKEN" */

static void make_name(struct attempt *attempt)
{
	snprintf(attempt->name, sizeof(attempt->name), "%016" PRIx64 "/%s",
		 (uint64_t)clock_system.realtime_ms(clock_system.state), attempt->token);
}

/* Parts of writes that were never done, of long ago; not while one is being put in its place. */
static enum zone_status sweep(struct etcd *etcd)
{
	const int64_t before = clock_system.realtime_ms(clock_system.state) - LEFT_OVER_MS;
	AUTO(buffer_clear) struct buffer compares = {0}, ops = {0}, key = {0}, end = {0};
	bool done;

	etcd_key(etcd, &key, "pending/");
	etcd_compare(&compares, buffer_bytes(&key), "VERSION", "version", "EQUAL", 0);
	compares.failed |= key.failed;
	etcd_key(etcd, &key, "part/");
	etcd_key(etcd, &end, "part/%016" PRIx64, (uint64_t)before);
	ops.failed |= key.failed || end.failed;
	etcd_op_delete_between(&ops, buffer_bytes(&key), buffer_bytes(&end));
	return send(etcd, &compares, &ops, &done);
}

enum zone_status etcd_stage(struct attempt *attempt)
{
	struct etcd *etcd = attempt->etcd;

	if (attempt->part_count > PARTS_MAX)
		return etcd_says(etcd, ZONE_STORE_FULL,
				 "a change of %zu parts is more than this release writes; nothing "
				 "was written: do it in smaller steps",
				 attempt->part_count);
	make_name(attempt);
	TRY(sweep(etcd));
	for (size_t i = 0; i < attempt->part_count; i++) {
		AUTO(buffer_clear) struct buffer none = {0}, ops = {0}, key = {0};
		bool done;

		etcd_key(etcd, &key, "part/%s/%06zu", attempt->name, i);
		ops.failed |= key.failed;
		etcd_op_put(&ops, buffer_bytes(&key), buffer_bytes(&attempt->parts[i]));
		TRY(send(etcd, &none, &ops, &done));
	}
	return ZONE_OK;
}

void etcd_compare_parts(struct attempt *attempt)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key(attempt->etcd, &key, "pending/");
	attempt->compares.failed |= key.failed;
	etcd_compare(&attempt->compares, buffer_bytes(&key), "VERSION", "version", "EQUAL", 0);
	etcd_key(attempt->etcd, &key, "part/%s/%06u", attempt->name, 0U);
	attempt->compares.failed |= key.failed;
	etcd_compare(&attempt->compares, buffer_bytes(&key), "VERSION", "version", "EQUAL", 1);
}

void etcd_put_marker(struct attempt *attempt, struct buffer *ops)
{
	AUTO(buffer_clear) struct buffer key = {0}, value = {0};

	etcd_key(attempt->etcd, &key, "pending/%s", attempt->name);
	buffer_format(&value, "%zu", attempt->part_count);
	ops->failed |= key.failed || value.failed;
	etcd_op_put(ops, buffer_bytes(&key), buffer_bytes(&value));
}

void etcd_unstage(struct attempt *attempt)
{
	AUTO(buffer_clear) struct buffer none = {0}, ops = {0}, key = {0};
	bool done;

	etcd_key(attempt->etcd, &key, "part/%s/", attempt->name);
	ops.failed |= key.failed;
	etcd_op_delete(&ops, buffer_bytes(&key), true);
	send(attempt->etcd, &none, &ops, &done);
}

/* --- Afterwards */

struct pending {
	char name[ETCD_PART_NAME];
	uint64_t revision, parts;
};

static void compare_marker(const struct etcd *etcd, const struct pending *pending,
			   struct buffer *compares)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key(etcd, &key, "pending/%s", pending->name);
	compares->failed |= key.failed;
	etcd_compare(compares, buffer_bytes(&key), "MOD", "mod_revision", "EQUAL",
		     pending->revision);
}

static enum zone_status damaged_part(struct etcd *etcd, const struct pending *pending, uint64_t at)
{
	return etcd_says(etcd, ZONE_STORE_CORRUPT,
			 "part/%s/%06" PRIu64 " of a large change is missing, or holds what no "
			 "release writes there; nothing of it was done: see who may write the "
			 "store, and restore it from a backup",
			 pending->name, at);
}

/* As many at once as etcd takes. That it has no space is no matter of how many. */
static enum zone_status place_ops(struct etcd *etcd, const struct pending *pending,
				  struct bytes text, bool *ret_late)
{
	AUTO(buffer_clear) struct buffer compares = {0};
	struct part_op op;

	compare_marker(etcd, pending, &compares);
	while (text.len > 0) {
		AUTO(buffer_clear) struct buffer ops = {0};
		struct bytes from = text;
		enum zone_status status;
		enum etcd_fate fate;
		bool done = false;

		for (size_t i = 0; i < etcd->ops_at_once && text.len > 0; i++) {
			next_op(&text, &op);
			put_op(etcd, &op, &ops);
		}
		status = try_send(etcd, &compares, &ops, &done, &fate);
		if (status == ZONE_STORE_FULL && fate == ETCD_ANSWERED && etcd->ops_at_once > 1) {
			etcd->ops_at_once /= 2;
			text = from;
			continue;
		}
		TRY(status);
		*ret_late = !done;
		if (*ret_late)
			return ZONE_OK;
	}
	return ZONE_OK;
}

static bool is_sound(struct bytes text)
{
	struct part_op op;

	if (text.len == 0)
		return false;
	while (text.len > 0)
		if (!next_op(&text, &op))
			return false;
	return true;
}

static enum zone_status read_key(struct etcd *etcd, const struct buffer *key, json_t **ret_kv)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	if (key->failed)
		return ZONE_NO_MEMORY;
	etcd_put_range(&body, &(struct etcd_range){.key = buffer_bytes(key)});
	etcd_go_on(etcd, ETCD_READ_MS);
	TRY(etcd_call(etcd, "/v3/kv/range", &body, true, &fate, &answer));
	*ret_kv = json_incref(json_array_get(json_object_get(answer, "kvs"), 0));
	return ZONE_OK;
}

static enum zone_status place_part(struct etcd *etcd, const struct pending *pending, uint64_t at,
				   bool *ret_late)
{
	AUTO(buffer_clear) struct buffer key = {0}, text = {0}, marker = {0};
	AUTO(json_freep) json_t *kv = NULL, *still = NULL;

	etcd_key(etcd, &key, "part/%s/%06" PRIu64, pending->name, at);
	TRY(read_key(etcd, &key, &kv));
	if (kv == NULL) {
		etcd_key(etcd, &marker, "pending/%s", pending->name);
		TRY(read_key(etcd, &marker, &still));
		*ret_late = still == NULL; /* they are all in their place */
		return *ret_late ? ZONE_OK : damaged_part(etcd, pending, at);
	}
	if (!etcd_bytes(kv, "value", &text))
		return text.failed ? ZONE_NO_MEMORY : damaged_part(etcd, pending, at);
	return is_sound(buffer_bytes(&text))
		       ? place_ops(etcd, pending, buffer_bytes(&text), ret_late)
		       : damaged_part(etcd, pending, at);
}

static enum zone_status end_pending(struct etcd *etcd, const struct pending *pending)
{
	AUTO(buffer_clear) struct buffer compares = {0}, ops = {0}, key = {0};
	bool done;

	compare_marker(etcd, pending, &compares);
	etcd_key(etcd, &key, "pending/%s", pending->name);
	ops.failed |= key.failed;
	etcd_op_delete(&ops, buffer_bytes(&key), false);
	etcd_key(etcd, &key, "part/%s/", pending->name);
	ops.failed |= key.failed;
	etcd_op_delete(&ops, buffer_bytes(&key), true);
	return send(etcd, &compares, &ops, &done);
}

static enum zone_status place(struct etcd *etcd, const struct pending *pending)
{
	bool late = false;

	for (uint64_t i = 0; i < pending->parts && !late; i++)
		TRY(place_part(etcd, pending, i, &late));
	return late ? ZONE_OK : end_pending(etcd, pending);
}

/* False: it is none that a release wrote. */
static bool read_pending(const struct etcd *etcd, const json_t *kv, struct pending *ret_pending)
{
	AUTO(buffer_clear) struct buffer key = {0}, value = {0};
	struct bytes name;

	if (!etcd_bytes(kv, "key", &key) || !etcd_bytes(kv, "value", &value) ||
	    buffer_text(&value) == NULL)
		return false;
	name = bytes_after(buffer_bytes(&key), strlen(etcd->prefix) + strlen("pending/"));
	if (name.len == 0 || name.len >= sizeof(ret_pending->name))
		return false;
	snprintf(ret_pending->name, sizeof(ret_pending->name), "%.*s", (int)name.len,
		 (const char *)name.data);
	ret_pending->revision = etcd_number(kv, "mod_revision");
	ret_pending->parts = strtoull(buffer_text(&value), NULL, 10);
	return ret_pending->parts > 0 && ret_pending->parts <= PARTS_MAX;
}

enum zone_status etcd_place_parts(struct etcd *etcd)
{
	AUTO(buffer_clear) struct buffer body = {0}, key = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;
	const json_t *kvs;

	etcd_key(etcd, &key, "pending/");
	body.failed |= key.failed;
	etcd_put_range(&body, &(struct etcd_range){.key = buffer_bytes(&key), .prefix = true});
	etcd_go_on(etcd, ETCD_READ_MS);
	TRY(etcd_call(etcd, "/v3/kv/range", &body, true, &fate, &answer));
	kvs = json_object_get(answer, "kvs");
	for (size_t i = 0; i < json_array_size(kvs); i++) {
		struct pending pending;

		if (!read_pending(etcd, json_array_get(kvs, i), &pending))
			return etcd_says(
				etcd, ZONE_STORE_CORRUPT,
				"a key below pending/ holds what no release wrote; restore "
				"the store from a backup");
		TRY(place(etcd, &pending));
	}
	return ZONE_OK;
}
