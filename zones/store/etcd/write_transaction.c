/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Every write of a project writes its head too, so the heads alone vouch for all rows of it; those
 * rows are compared once more as far as a transaction has room. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/model/record.h"
#include "zones/store/etcd/write_private.h"

#include <inttypes.h>

enum {
	LEVEL_NEW = 1,	    /* that each release in use understands, whatever the newest is */
	ROWS_COMPARED = 40, /* as far as there is room */
};

static void end_group(struct attempt *attempt)
{
	if (attempt->in_group == 0)
		return;
	buffer_format(&attempt->ops, "%s{\"request_txn\":{\"success\":[",
		      attempt->ops.len > 0 ? "," : "");
	attempt->ops.failed |= attempt->group.failed;
	buffer_append(&attempt->ops, buffer_bytes(&attempt->group));
	buffer_put_text(&attempt->ops, "]}}");
	buffer_truncate(&attempt->group, 0);
	attempt->in_group = 0;
	attempt->groups++;
}

/* Where the next operation goes. */
static struct buffer *next_op(struct attempt *attempt)
{
	if (attempt->direct < ETCD_DIRECT) {
		attempt->direct++;
		return &attempt->ops;
	}
	if (attempt->in_group == ETCD_GROUP)
		end_group(attempt);
	attempt->in_group++;
	return &attempt->group;
}

static void put(struct attempt *attempt, const struct buffer *key, const struct buffer *value)
{
	attempt->ops.failed |= key->failed || value->failed;
	if (attempt->in_parts && !attempt->of_heads)
		etcd_part_put(attempt, key, value);
	else
		etcd_op_put(next_op(attempt), buffer_bytes(key), buffer_bytes(value));
}

static void put_uid_at(struct attempt *attempt, const struct buffer *key, struct uid uid)
{
	AUTO(buffer_clear) struct buffer value = {0};

	hex_append(&value, bytes(uid.bytes, UID_SIZE));
	put(attempt, key, &value);
}

static void drop(struct attempt *attempt, const struct buffer *key, bool prefix)
{
	attempt->ops.failed |= key->failed;
	if (attempt->in_parts)
		etcd_part_drop(attempt, key, prefix);
	else
		etcd_op_delete(next_op(attempt), buffer_bytes(key), prefix);
}

static bool same_label(const struct entry *a, const struct entry *b)
{
	return a->state == b->state && strcmp(a->label, b->label) == 0;
}

static void write_label(struct attempt *attempt, const struct store_change *change,
			const struct row_now *now)
{
	const struct entry *is = change->remove ? NULL : change->entry;
	const struct entry *was = now->row.removed ? NULL : now->row.entry;
	AUTO(buffer_clear) struct buffer key = {0};

	if (was != NULL && is != NULL && same_label(was, is))
		return;
	if (was != NULL && was->state == ENTRY_ACTIVE) {
		etcd_key_label(attempt->etcd, &key, was->project, was->kind, bytes_of(was->label),
			       &was->uid);
		drop(attempt, &key, false);
	}
	if (is != NULL && is->state == ENTRY_ACTIVE) {
		etcd_key_label(attempt->etcd, &key, is->project, is->kind, bytes_of(is->label),
			       &is->uid);
		put_uid_at(attempt, &key, is->uid);
	}
}

static void write_version(struct attempt *attempt, const struct entry *zone,
			  const struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};

	etcd_key_version(attempt->etcd, &key, zone->of_zone.zone, version);
	rows_put_version(zone->of_zone.zone, version, &text);
	put(attempt, &key, &text);
}

/* Whether one of its first `count` versions comes from that zone. */
static bool imports(const struct entry *zone, size_t count, uint64_t from)
{
	for (size_t i = 0; i < count; i++)
		if (zone->of_zone.versions[i].record_zone == from)
			return true;
	return false;
}

/* An import is found by where it comes from: a key for all versions that come from one zone, which
 * stays when they go. `was`: what has its keys already; NULL: nothing is known to. */
static void write_imports(struct attempt *attempt, const struct entry *is, const struct entry *was)
{
	for (size_t i = 0; i < is->of_zone.version_count; i++) {
		AUTO(buffer_clear) struct buffer key = {0};
		uint64_t from = is->of_zone.versions[i].record_zone;

		if (from == 0 || imports(is, i, from) ||
		    (was != NULL && imports(was, was->of_zone.version_count, from)))
			continue;
		etcd_key(attempt->etcd, &key, "import/%016" PRIx64 "/%016" PRIx64, from,
			 is->of_zone.zone);
		put_uid_at(attempt, &key, is->uid);
	}
}

static void write_differences(struct attempt *attempt, const struct entry *is,
			      const struct entry *was)
{
	uint64_t zone = is->of_zone.zone;

	for (size_t i = 0; i < was->of_zone.version_count; i++) {
		AUTO(buffer_clear) struct buffer key = {0};

		if (remote_version_like(is, &was->of_zone.versions[i]) != NULL)
			continue;
		etcd_key_version(attempt->etcd, &key, zone, &was->of_zone.versions[i]);
		drop(attempt, &key, false);
	}
	for (size_t i = 0; i < is->of_zone.version_count; i++) {
		const struct ezk_version *version = &is->of_zone.versions[i];
		const struct ezk_version *before = remote_version_like(was, version);

		if (before == NULL || !ezk_version_same(version, before))
			write_version(attempt, is, version);
	}
	write_imports(attempt, is, was);
}

static bool is_written(const struct attempt *attempt, const struct entry *zone, struct bytes key)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		AUTO(buffer_clear) struct buffer other = {0};

		etcd_key_version(attempt->etcd, &other, zone->of_zone.zone,
				 &zone->of_zone.versions[i]);
		if (other.failed || bytes_equal(buffer_bytes(&other), key))
			return true;
	}
	return false;
}

/* Nobody says which there were: all are written, and those that are left over removed. */
static void write_all_versions(struct attempt *attempt, const struct entry *zone,
			       const struct row_now *now)
{
	struct bytes left = buffer_bytes(&now->versions);

	while (left.len > 2) {
		AUTO(buffer_clear) struct buffer key = {0};
		size_t len = (size_t)left.data[0] << 8 | left.data[1];

		buffer_append(&key, bytes(left.data + 2, len));
		if (!is_written(attempt, zone, buffer_bytes(&key)))
			drop(attempt, &key, false);
		left = bytes_after(left, len + 2);
	}
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		write_version(attempt, zone, &zone->of_zone.versions[i]);
	write_imports(attempt, zone, NULL);
}

/* Where a zone is found by its id, also when it is gone; and that it is there, to be counted. */
static void write_zone(struct attempt *attempt, const struct store_change *change,
		       const struct row_now *now)
{
	const struct entry *zone = change->entry;
	AUTO(buffer_clear) struct buffer key = {0};
	bool was_live = now->revision != 0 && !now->row.removed;

	if (now->revision == 0) {
		etcd_key(attempt->etcd, &key, "zone/%016" PRIx64, zone->of_zone.zone);
		put_uid_at(attempt, &key, zone->uid);
	}
	etcd_key(attempt->etcd, &key, "live/%016" PRIx64, zone->of_zone.zone);
	if (!change->remove && !was_live)
		put_uid_at(attempt, &key, zone->uid);
	if (change->remove && was_live) {
		drop(attempt, &key, false);
		etcd_key(attempt->etcd, &key, "version/%016" PRIx64 "/", zone->of_zone.zone);
		drop(attempt, &key, true);
	}
	if (change->remove)
		return;
	if (change->before != NULL)
		write_differences(attempt, zone, change->before);
	else
		write_all_versions(attempt, zone, now);
}

/* What every process reads is found by these keys. */
static void write_few(struct attempt *attempt, const struct store_change *change,
		      const struct row_now *now)
{
	const struct entry *entry = change->entry;
	AUTO(buffer_clear) struct buffer key = {0};
	bool was = now->revision != 0 && !now->row.removed;

	if (entry->kind == ENTRY_ZONE || entry->kind == ENTRY_KEY || was != change->remove)
		return;
	etcd_key_uid(attempt->etcd, &key, "few", entry->uid);
	if (change->remove)
		drop(attempt, &key, false);
	else
		put_uid_at(attempt, &key, entry->uid);
}

static void write_change(struct attempt *attempt, const struct store_change *change,
			 const struct row_now *now)
{
	const struct entry *entry = change->entry;
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};

	if (change->remove)
		rows_put_tombstone(entry, clock_system.realtime_ms(clock_system.state), &text);
	else
		rows_put_entry(entry, &text);
	etcd_key_uid(attempt->etcd, &key, "row", entry->uid);
	put(attempt, &key, &text);
	write_few(attempt, change, now);
	write_label(attempt, change, now);
	if (entry->kind == ENTRY_ZONE)
		write_zone(attempt, change, now);
}

static void write_project(struct attempt *attempt, const struct touched *project)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};

	etcd_key_uid(attempt->etcd, &key, "project", project->uid);
	buffer_format(&text, "{\"format\":%d,\"writes\":[", ROWS_FORMAT);
	buffer_append(&text, buffer_bytes(&project->tokens));
	buffer_format(&text, "\"%s\"]}", attempt->token);
	put(attempt, &key, &text);
}

/* Of a new store. */
static enum zone_status write_first_head(struct attempt *attempt)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	const struct store_level *level = store_level_row(LEVEL_NEW);

	if (!remote_make_digits(attempt->look.id, ROWS_ID_SIZE))
		return ZONE_NO_MEMORY;
	etcd_key(attempt->etcd, &key, "head");
	rows_put_head(attempt->look.id, level, clock_system.realtime_ms(clock_system.state), &text);
	put(attempt, &key, &text);
	buffer_truncate(&text, 0);
	etcd_key(attempt->etcd, &key, "few");
	buffer_put_text(&text, "1");
	put(attempt, &key, &text);
	return ZONE_OK;
}

static void compare_not_newer(struct attempt *attempt, const struct buffer *key)
{
	attempt->compares.failed |= key->failed;
	etcd_compare(&attempt->compares, buffer_bytes(key), "MOD", "mod_revision", "LESS",
		     attempt->look.revision + 1);
}

static void compare(struct attempt *attempt)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key(attempt->etcd, &key, "head");
	compare_not_newer(attempt, &key);
	etcd_compare(&attempt->compares, buffer_bytes(&key), "VERSION", "version",
		     attempt->look.exists ? "GREATER" : "EQUAL", 0);
	/* Over a range that has no key a comparison fails nowhere. */
	etcd_key(attempt->etcd, &key, "project/");
	if (attempt->wide)
		compare_not_newer(attempt, &key);
	for (size_t i = 0; !attempt->wide && i < attempt->project_count; i++) {
		etcd_key_uid(attempt->etcd, &key, "project", attempt->projects[i].uid);
		compare_not_newer(attempt, &key);
	}
	if (attempt->in_parts)
		etcd_compare_parts(attempt);
	for (size_t i = 0; !attempt->in_parts && i < attempt->count && i < ROWS_COMPARED; i++) {
		etcd_key_uid(attempt->etcd, &key, "row", attempt->changes[i].entry->uid);
		attempt->compares.failed |= key.failed;
		etcd_compare(&attempt->compares, buffer_bytes(&key), "MOD", "mod_revision", "EQUAL",
			     attempt->rows[i].revision);
	}
}

void etcd_put_project_question(const struct attempt *attempt, bool as_operation, struct buffer *out)
{
	AUTO(buffer_clear) struct buffer key = {0};
	struct etcd_range range;

	etcd_key_uid(attempt->etcd, &key, "project", attempt->projects[0].uid);
	range = (struct etcd_range){.key = buffer_bytes(&key)};
	if (as_operation)
		etcd_op_range(out, &range);
	else
		etcd_put_range(out, &range);
	out->failed |= key.failed;
}

static enum zone_status write_all(struct attempt *attempt)
{
	attempt->of_heads = true;
	if (!attempt->look.exists)
		TRY(write_first_head(attempt));
	for (size_t i = 0; i < attempt->project_count; i++)
		write_project(attempt, &attempt->projects[i]);
	attempt->of_heads = false;
	for (size_t i = 0; i < attempt->count; i++)
		write_change(attempt, &attempt->changes[i], &attempt->rows[i]);
	end_group(attempt);
	return attempt->ops.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* Of an etcd that was told to take fewer operations nothing but that is known. */
static bool fits(const struct attempt *attempt)
{
	const size_t all = attempt->direct + attempt->groups * ETCD_GROUP;

	return attempt->groups <= ETCD_GROUPS && attempt->ops.len <= ETCD_BODY_MAX &&
	       (attempt->etcd->ops_at_once == ETCD_OPS_AT_ONCE ||
		all <= attempt->etcd->ops_at_once);
}

static enum zone_status write_in_parts(struct attempt *attempt)
{
	buffer_truncate(&attempt->ops, 0);
	attempt->direct = attempt->groups = 0;
	attempt->in_parts = true;
	TRY(write_all(attempt));
	TRY(etcd_stage(attempt));
	etcd_put_marker(attempt, &attempt->ops);
	return ZONE_OK;
}

enum zone_status etcd_make_transaction(struct attempt *attempt, struct buffer *ret_body)
{
	AUTO(buffer_clear) struct buffer question = {0};

	if (!remote_make_digits(attempt->token, sizeof(attempt->token)))
		return ZONE_NO_MEMORY;
	if (!attempt->in_parts)
		TRY(write_all(attempt));
	if (attempt->in_parts || !fits(attempt))
		TRY(write_in_parts(attempt));
	compare(attempt);
	buffer_put_text(ret_body, "{\"compare\":[");
	buffer_append(ret_body, buffer_bytes(&attempt->compares));
	buffer_put_text(ret_body, "],\"success\":[");
	buffer_append(ret_body, buffer_bytes(&attempt->ops));
	/* Libcurl itself sends a request again by another connection, if the one it was sent by
	 * ends without an answer. */
	buffer_put_text(ret_body, "],\"failure\":[");
	etcd_put_project_question(attempt, true, &question);
	buffer_append(ret_body, buffer_bytes(&question));
	buffer_put_text(ret_body, "]}");
	ret_body->failed |= attempt->compares.failed || attempt->ops.failed || question.failed;
	return ret_body->failed ? ZONE_NO_MEMORY : ZONE_OK;
}
