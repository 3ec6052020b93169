/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write is tried until it is in time: what is new is read as of a revision, `decide` is asked,
 * and one transaction of etcd compares that nobody has changed the projects since. Every write of
 * a project writes its head too, so the heads alone vouch for all rows of it; those rows are
 * compared once more as far as a transaction has room.
 *
 * A head keeps the tokens of its last writes, by which a write whose answer was lost is found.
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/model/record.h"
#include "zones/store/etcd/etcd.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	LEVEL_NEW = 1,		/* that each release in use understands, whatever the newest is */
	ASKED_AT_ONCE = 32,	/* rows that are looked at before they are written */
	ROWS_COMPARED = 40,	/* as far as there is room */
	PROJECTS_COMPARED = 16, /* for more, all are */
	BACKOFF_MS = 25,
	BACKOFF_MAX_MS = 1000,
	TOKEN_SIZE = 8, /* bytes */
	TOKEN_TEXT = 2 * TOKEN_SIZE + 1,
	FIND_OUT_MS = 250, /* between two looks for a write whose answer was lost */
};

/* A project that a write changes. */
struct touched {
	struct uid uid;
	uint64_t version;     /* how often its head was written; 0: never */
	struct buffer tokens; /* of the last writes, as JSON strings with commas between */
};

/* How a changed row is in the store. */
struct row_now {
	uint64_t revision; /* 0: there is none */
	struct store_row row;
	struct buffer versions; /* keys of those it has, each after its length */
};

struct attempt {
	struct etcd *etcd;
	struct etcd_look look; /* what `decide` has seen */
	struct store_change *changes;
	size_t count;
	struct touched *projects;
	size_t project_count;
	struct row_now *rows; /* of each change */
	bool wide;	      /* its rules look at all projects: none may have changed */
	char token[TOKEN_TEXT];
	struct buffer compares, ops, group;
	size_t direct, in_group, groups; /* operations, and groups of them */
	size_t at_once;			 /* rows that are looked at with one request */
	bool again; /* it failed for a reason that a new attempt does not have */
};

static void attempt_clear(struct attempt *attempt)
{
	for (size_t i = 0; attempt->projects != NULL && i < attempt->project_count; i++)
		buffer_clear(&attempt->projects[i].tokens);
	free(attempt->projects);
	for (size_t i = 0; attempt->rows != NULL && i < attempt->count; i++) {
		entry_release(attempt->rows[i].row.entry);
		buffer_clear(&attempt->rows[i].versions);
	}
	free(attempt->rows);
	buffer_clear(&attempt->compares);
	buffer_clear(&attempt->ops);
	buffer_clear(&attempt->group);
	attempt->projects = NULL;
	attempt->rows = NULL;
	attempt->project_count = 0;
	attempt->direct = attempt->in_group = attempt->groups = 0;
}

/* From one place to before another. */
struct span {
	size_t from, to;
};

/* --- Which projects */

static bool touch(struct attempt *attempt, struct uid uid)
{
	struct touched *projects;

	for (size_t i = 0; i < attempt->project_count; i++)
		if (uid_equal(attempt->projects[i].uid, uid))
			return true;
	projects = realloc(attempt->projects,
			   (attempt->project_count + 1) * sizeof(*attempt->projects));
	if (projects == NULL)
		return false;
	attempt->projects = projects;
	projects[attempt->project_count++] = (struct touched){.uid = uid};
	return true;
}

static const struct ezk_version *version_like(const struct entry *zone,
					      const struct ezk_version *version)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		if (zone->of_zone.versions[i].version == version->version &&
		    zone->of_zone.versions[i].record_zone == version->record_zone)
			return &zone->of_zone.versions[i];
	return NULL;
}

/* Whether a zone goes, or versions of it do, as far as is known. */
static bool destroys_versions(const struct store_change *change)
{
	const struct entry *was = change->before;

	if (change->entry->kind != ENTRY_ZONE)
		return false;
	if (change->remove || was == NULL)
		return true;
	for (size_t i = 0; i < was->of_zone.version_count; i++)
		if (version_like(change->entry, &was->of_zone.versions[i]) == NULL)
			return true;
	return false;
}

/* What is unique in the store, not in a project: slots and names of projects, zone ids,
 * fingerprints; what a backup brings; and what other projects may have imported meanwhile. */
static bool is_wide(const struct store_change *change)
{
	const struct entry *entry = change->entry;

	return change->from_backup || entry->kind == ENTRY_PROJECT ||
	       entry->kind == ENTRY_ARCHIVE ||
	       (entry->kind == ENTRY_ZONE && entry->revision == 0) || destroys_versions(change);
}

static enum zone_status plan(struct attempt *attempt)
{
	attempt->wide = !attempt->look.exists;
	for (size_t i = 0; i < attempt->count; i++) {
		const struct store_change *change = &attempt->changes[i];

		attempt->wide |= is_wide(change);
		if (!touch(attempt, change->entry->project))
			return ZONE_NO_MEMORY;
	}
	attempt->wide |= attempt->project_count > PROJECTS_COMPARED;
	attempt->rows = calloc(attempt->count, sizeof(*attempt->rows));
	return attempt->rows == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- What is there, as of the revision that `decide` has seen */

static enum zone_status ask(struct attempt *attempt, const struct buffer *ops,
			    json_t **ret_responses)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;
	enum zone_status status;

	buffer_put_text(&body, "{\"success\":[");
	buffer_append(&body, buffer_bytes(ops));
	buffer_put_text(&body, "]}");
	body.failed |= ops->failed;
	status = etcd_call(attempt->etcd, "/v3/kv/txn", &body, true, &fate, &answer);
	/* Compacted since: all is read anew. */
	attempt->again = fate == ETCD_COMPACTED || (fate == ETCD_TOO_LONG && attempt->at_once > 1);
	if (fate == ETCD_TOO_LONG && attempt->at_once == 1)
		etcd_says(attempt->etcd, status, "its answer is too long");
	if (fate == ETCD_TOO_LONG)
		attempt->at_once = 1;
	TRY(status);
	*ret_responses = json_incref(json_object_get(answer, "responses"));
	return ZONE_OK;
}

static const json_t *kvs_at(const json_t *responses, size_t index)
{
	return json_object_get(json_object_get(json_array_get(responses, index), "response_range"),
			       "kvs");
}

/* The text of a head: {"format":1,"writes":["…", …]}. What can't be read is replaced. */
static enum zone_status take_project_head(struct touched *project, const json_t *kv)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(json_freep) json_t *head = NULL;
	const json_t *writes;
	bool no_memory = false;
	size_t count;

	project->version = etcd_number(kv, "version");
	if (kv == NULL || !etcd_bytes(kv, "value", &text))
		return text.failed ? ZONE_NO_MEMORY : ZONE_OK;
	head = json_read(buffer_bytes(&text), 0, &no_memory);
	if (no_memory)
		return ZONE_NO_MEMORY;
	writes = json_object_get(head, "writes");
	count = json_array_size(writes);
	for (size_t i = count >= ETCD_TOKENS ? count - ETCD_TOKENS + 1 : 0; i < count; i++) {
		const char *token = json_string_value(json_array_get(writes, i));

		if (token == NULL || strlen(token) >= TOKEN_TEXT)
			continue;
		json_put_string(&project->tokens, token);
		buffer_put_text(&project->tokens, ",");
	}
	return project->tokens.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status take_row(struct attempt *attempt, const json_t *kv, struct row_now *now)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct rows_reading reading = {.newer =
					       attempt->look.head.level > store_level_understood()};
	enum zone_status status;

	if (kv == NULL)
		return ZONE_OK;
	now->revision = etcd_number(kv, "mod_revision");
	if (!etcd_bytes(kv, "value", &text))
		return text.failed ? ZONE_NO_MEMORY : ZONE_CONFLICT;
	status = rows_read_entry(&reading, buffer_bytes(&text), now->revision, &now->row);
	if (status == ZONE_STORE_CORRUPT)
		return etcd_says(attempt->etcd, status,
				 "a row that is to be changed holds what no release wrote (%s)",
				 reading.fault);
	return status;
}

static enum zone_status take_version_keys(const json_t *kvs, struct row_now *now)
{
	for (size_t i = 0; i < json_array_size(kvs); i++) {
		AUTO(buffer_clear) struct buffer key = {0};

		if (!etcd_bytes(json_array_get(kvs, i), "key", &key))
			return ZONE_NO_MEMORY;
		buffer_put_sized(&now->versions, buffer_bytes(&key));
	}
	return now->versions.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* A zone's versions are looked at where nobody says which it had. */
static bool asks_versions(const struct store_change *change)
{
	return change->entry->kind == ENTRY_ZONE && !change->remove && change->before == NULL;
}

static void put_questions(struct attempt *attempt, const struct store_change *change,
			  struct buffer *ops)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key_uid(attempt->etcd, &key, "row", change->entry->uid);
	etcd_op_range(ops, &(struct etcd_range){.key = buffer_bytes(&key),
						.revision = attempt->look.revision});
	if (!asks_versions(change))
		return;
	etcd_key(attempt->etcd, &key, "version/%016" PRIx64 "/", change->entry->of_zone.zone);
	etcd_op_range(ops, &(struct etcd_range){.key = buffer_bytes(&key),
						.prefix = true,
						.keys_only = true,
						.revision = attempt->look.revision});
}

static void ask_project(struct attempt *attempt, const struct touched *project, struct buffer *ops)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key_uid(attempt->etcd, &key, "project", project->uid);
	etcd_op_range(ops, &(struct etcd_range){.key = buffer_bytes(&key),
						.revision = attempt->look.revision});
}

static enum zone_status take_answers(struct attempt *attempt, const json_t *responses,
				     struct span projects, struct span rows)
{
	size_t at = 0;

	for (size_t i = projects.from; i < projects.to; i++)
		TRY(take_project_head(&attempt->projects[i],
				      json_array_get(kvs_at(responses, at++), 0)));
	for (size_t i = rows.from; i < rows.to; i++) {
		TRY(take_row(attempt, json_array_get(kvs_at(responses, at++), 0),
			     &attempt->rows[i]));
		if (asks_versions(&attempt->changes[i]))
			TRY(take_version_keys(kvs_at(responses, at++), &attempt->rows[i]));
	}
	return ZONE_OK;
}

static enum zone_status look_at_some(struct attempt *attempt, struct span projects,
				     struct span rows)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(json_freep) json_t *responses = NULL;

	for (size_t i = projects.from; i < projects.to; i++)
		ask_project(attempt, &attempt->projects[i], &ops);
	for (size_t i = rows.from; i < rows.to; i++)
		put_questions(attempt, &attempt->changes[i], &ops);
	TRY(ask(attempt, &ops, &responses));
	return take_answers(attempt, responses, projects, rows);
}

static struct span next_span(size_t from, size_t step, size_t count)
{
	struct span span = {from < count ? from : count, count};

	if (count - span.from > step)
		span.to = span.from + step;
	return span;
}

/* With one request, mostly. */
static enum zone_status look_at_all(struct attempt *attempt)
{
	size_t step = attempt->at_once, count = attempt->count;

	if (attempt->project_count > count)
		count = attempt->project_count;
	for (size_t i = 0; i < count; i += step)
		TRY(look_at_some(attempt, next_span(i, step, attempt->project_count),
				 next_span(i, step, attempt->count)));
	return ZONE_OK;
}

/* --- Whether the changes are based on what is there */

static bool is_possible(const struct store_change *change, const struct row_now *now)
{
	const struct entry *entry = change->entry;

	if (now->revision == 0)
		return entry->revision == 0 && (!change->remove || change->from_backup);
	if (now->row.removed)
		return change->from_backup && !change->remove && entry->revision == 0;
	return now->row.entry != NULL && now->row.entry->kind == entry->kind &&
	       uid_equal(now->row.entry->project, entry->project) &&
	       now->revision == entry->revision;
}

/* One value serves one version of one zone. */
static bool has_twins(const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		for (size_t j = 0; j < i; j++)
			if (memcmp(zone->of_zone.versions[i].fingerprint,
				   zone->of_zone.versions[j].fingerprint,
				   sizeof(zone->of_zone.versions[i].fingerprint)) == 0)
				return true;
	return false;
}

static enum zone_status check_changes(const struct attempt *attempt)
{
	for (size_t i = 0; i < attempt->count; i++) {
		const struct store_change *change = &attempt->changes[i];

		if (!is_possible(change, &attempt->rows[i]))
			return ZONE_CONFLICT;
		if (change->entry->kind == ENTRY_ZONE && !change->remove &&
		    has_twins(change->entry))
			return ZONE_CONFLICT;
	}
	return ZONE_OK;
}

/* --- The transaction */

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

static void write_version(struct attempt *attempt, uint64_t zone, const struct ezk_version *version)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};

	etcd_key_version(attempt->etcd, &key, zone, version);
	rows_put_version(zone, version, &text);
	put(attempt, &key, &text);
}

static void write_differences(struct attempt *attempt, const struct entry *is,
			      const struct entry *was)
{
	uint64_t zone = is->of_zone.zone;

	for (size_t i = 0; i < was->of_zone.version_count; i++) {
		AUTO(buffer_clear) struct buffer key = {0};

		if (version_like(is, &was->of_zone.versions[i]) != NULL)
			continue;
		etcd_key_version(attempt->etcd, &key, zone, &was->of_zone.versions[i]);
		drop(attempt, &key, false);
	}
	for (size_t i = 0; i < is->of_zone.version_count; i++) {
		const struct ezk_version *version = &is->of_zone.versions[i];
		const struct ezk_version *before = version_like(was, version);

		if (before == NULL || !ezk_version_same(version, before))
			write_version(attempt, zone, version);
	}
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
		write_version(attempt, zone->of_zone.zone, &zone->of_zone.versions[i]);
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

/* Random hexadecimal digits, and a NUL. */
static bool make_digits(char *ret_digits, size_t size)
{
	AUTO(buffer_clear) struct buffer text = {0};
	uint8_t random[ROWS_ID_SIZE / 2];

	if (!crypto_random(random, sizeof(random)))
		return false;
	hex_append(&text, bytes(random, sizeof(random)));
	if (text.failed)
		return false;
	memcpy(ret_digits, text.data, size - 1);
	ret_digits[size - 1] = '\0';
	return true;
}

/* Of a new store. */
static enum zone_status write_first_head(struct attempt *attempt)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	const struct store_level *level = store_level_row(LEVEL_NEW);

	if (!make_digits(attempt->look.id, ROWS_ID_SIZE))
		return ZONE_NO_MEMORY;
	etcd_key(attempt->etcd, &key, "head");
	rows_put_head(attempt->look.id, level, clock_system.realtime_ms(clock_system.state), &text);
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
	for (size_t i = 0; i < attempt->count && i < ROWS_COMPARED; i++) {
		etcd_key_uid(attempt->etcd, &key, "row", attempt->changes[i].entry->uid);
		attempt->compares.failed |= key.failed;
		etcd_compare(&attempt->compares, buffer_bytes(&key), "MOD", "mod_revision", "EQUAL",
			     attempt->rows[i].revision);
	}
}

/* As the whole body of a request, or as an operation. */
static void put_project_question(const struct attempt *attempt, bool as_operation,
				 struct buffer *out)
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

static enum zone_status make_transaction(struct attempt *attempt, struct buffer *ret_body)
{
	AUTO(buffer_clear) struct buffer question = {0};

	if (!make_digits(attempt->token, sizeof(attempt->token)))
		return ZONE_NO_MEMORY;
	compare(attempt);
	if (!attempt->look.exists)
		TRY(write_first_head(attempt));
	for (size_t i = 0; i < attempt->project_count; i++)
		write_project(attempt, &attempt->projects[i]);
	for (size_t i = 0; i < attempt->count; i++)
		write_change(attempt, &attempt->changes[i], &attempt->rows[i]);
	end_group(attempt);
	if (attempt->groups > ETCD_GROUPS)
		return etcd_says(attempt->etcd, ZONE_STORE_FULL,
				 "a change of more than %d keys at once is more than etcd takes; "
				 "nothing was written: do it in smaller steps",
				 ETCD_DIRECT + ETCD_GROUPS * ETCD_GROUP);
	buffer_put_text(ret_body, "{\"compare\":[");
	buffer_append(ret_body, buffer_bytes(&attempt->compares));
	buffer_put_text(ret_body, "],\"success\":[");
	buffer_append(ret_body, buffer_bytes(&attempt->ops));
	/* Libcurl itself sends a request again by another connection, if the one it was sent by
	 * ends without an answer. */
	buffer_put_text(ret_body, "],\"failure\":[");
	put_project_question(attempt, true, &question);
	buffer_append(ret_body, buffer_bytes(&question));
	buffer_put_text(ret_body, "]}");
	ret_body->failed |= attempt->compares.failed || attempt->ops.failed || question.failed;
	return ret_body->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- Its answer */

enum outcome {
	DONE,
	TOO_LATE,   /* somebody was quicker; nothing was written, nor will be */
	NOT_YET,    /* it was not done so far, and may be: it can be sent again as it is */
	IN_THE_DARK /* it can't be found out now */
};

/* At which revision a write was done. */
struct done_at {
	uint64_t revision;
	bool exact; /* false: then or later; others wrote the project since */
};

/* Whether a head has the token of this write; `last`: nobody has written since. False: that can't
 * be read out of it. */
static bool read_writes(const json_t *kv, const char *token, bool *ret_found, bool *ret_last)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(json_freep) json_t *head = NULL;
	const json_t *writes;
	bool no_memory = false;
	size_t count;

	*ret_found = *ret_last = false;
	if (kv == NULL)
		return true;
	if (!etcd_bytes(kv, "value", &text))
		return false;
	head = json_read(buffer_bytes(&text), 0, &no_memory);
	writes = json_object_get(head, "writes");
	count = json_array_size(writes);
	for (size_t i = 0; i < count && !*ret_found; i++) {
		const char *write = json_string_value(json_array_get(writes, i));

		*ret_found = write != NULL && strcmp(write, token) == 0;
		*ret_last = *ret_found && i + 1 == count;
	}
	return json_is_array(writes);
}

/* By the head of one project that it writes; NULL: it has none. */
static enum outcome outcome_of(const struct attempt *attempt, const json_t *kv,
			       struct done_at *ret_done)
{
	uint64_t before = attempt->projects[0].version, now = etcd_number(kv, "version");
	bool found, last;

	if (!read_writes(kv, attempt->token, &found, &last))
		return IN_THE_DARK;
	/* If others wrote since, its own revision is not known. One after what was seen stands for
	 * it: too low for a later change to be based on it, until the next look. */
	if (found)
		*ret_done = (struct done_at){
			last ? etcd_number(kv, "mod_revision") : attempt->look.revision + 1, last};
	if (found || now == before)
		return found ? DONE : NOT_YET;
	return now > before && now - before <= ETCD_TOKENS ? TOO_LATE : IN_THE_DARK;
}

static enum outcome find_out(const struct attempt *attempt, struct done_at *ret_done)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	put_project_question(attempt, false, &body);
	if (etcd_call(attempt->etcd, "/v3/kv/range", &body, true, &fate, &answer) != ZONE_OK)
		return IN_THE_DARK;
	return outcome_of(attempt, json_array_get(json_object_get(answer, "kvs"), 0), ret_done);
}

/* A lost answer is never followed by another write before it is known what came of it. */
static enum zone_status settle(struct attempt *attempt, enum outcome *ret_outcome,
			       struct done_at *ret_done)
{
	do {
		*ret_outcome = find_out(attempt, ret_done);
		if (*ret_outcome != IN_THE_DARK)
			return ZONE_OK;
		attempt->etcd->sleep(attempt->etcd->sleep_state, FIND_OUT_MS);
	} while (etcd_time_left(attempt->etcd) > 0);
	return etcd_says(attempt->etcd, ZONE_STORE_UNAVAILABLE,
			 "the answer to a write was lost, and what came of it can't be found out: "
			 "it may have been done; look before it is tried again");
}

static enum zone_status denied(struct etcd *etcd, enum zone_status status)
{
	/* It could be read, a moment ago. */
	return status == ZONE_STORE_DENIED ? etcd_says(etcd, ZONE_STORE_READ_ONLY,
						       "this identity may read it but not change "
						       "it (docs/store-etcd.md)")
					   : status;
}

/* What an answer to the transaction says. One that finds a head changed can't be done any more,
 * nor can the same that is still on its way. */
static enum outcome read_outcome(const struct attempt *attempt, const json_t *answer,
				 struct done_at *ret_done)
{
	enum outcome outcome;

	if (json_is_true(json_object_get(answer, "succeeded"))) {
		*ret_done = (struct done_at){etcd_revision(answer), true};
		return DONE;
	}
	outcome = outcome_of(attempt,
			     json_array_get(kvs_at(json_object_get(answer, "responses"), 0), 0),
			     ret_done);
	return outcome == NOT_YET ? TOO_LATE : outcome;
}

/* Etcd says that it is full before it does a write, or after it has done it. */
static enum zone_status tell_full(struct etcd *etcd, enum outcome outcome)
{
	if (outcome == NOT_YET)
		return ZONE_STORE_FULL;
	if (outcome == DONE)
		log_warning("store %s: the last write was done all the same", etcd->name);
	return ZONE_OK;
}

/* ZONE_OK with DONE or TOO_LATE. What was sent again can't be done twice: only one of the two finds
 * the heads as they were. But once an answer was lost, a refusal speaks for what was sent last
 * alone. */
static enum zone_status commit(struct attempt *attempt, const struct buffer *body,
			       enum outcome *ret_outcome, struct done_at *ret_done)
{
	bool lost = false;

	do {
		AUTO(json_freep) json_t *answer = NULL;
		enum etcd_fate fate;
		enum zone_status status =
			etcd_call(attempt->etcd, "/v3/kv/txn", body, false, &fate, &answer);
		bool full = !lost && status == ZONE_STORE_FULL;

		*ret_outcome = IN_THE_DARK;
		if (status == ZONE_OK)
			*ret_outcome = read_outcome(attempt, answer, ret_done);
		else if (!lost && fate == ETCD_ANSWERED)
			return denied(attempt->etcd, status);
		if (!lost && *ret_outcome == IN_THE_DARK)
			etcd_begin(attempt->etcd, ETCD_SETTLE_MS);
		lost = true;
		if (*ret_outcome == IN_THE_DARK)
			TRY(settle(attempt, ret_outcome, ret_done));
		if (full)
			return tell_full(attempt->etcd, *ret_outcome);
		if (*ret_outcome != NOT_YET)
			return ZONE_OK;
		attempt->etcd->sleep(attempt->etcd->sleep_state, FIND_OUT_MS);
	} while (etcd_time_left(attempt->etcd) > 0);
	return etcd_says(attempt->etcd, ZONE_STORE_UNAVAILABLE,
			 "the answer to a write was lost, and it is not there so far: it may have "
			 "been done; look before it is tried again");
}

/* --- All of it */

static enum zone_status try_once(struct attempt *attempt, enum outcome *ret_outcome,
				 struct done_at *ret_done)
{
	AUTO(buffer_clear) struct buffer body = {0};
	enum zone_status status;

	TRY(plan(attempt));
	status = look_at_all(attempt);
	*ret_outcome = TOO_LATE;
	if (status != ZONE_OK)
		return attempt->again ? ZONE_OK : status;
	TRY(check_changes(attempt));
	TRY(make_transaction(attempt, &body));
	return commit(attempt, &body, ret_outcome, ret_done);
}

static void note_done(struct attempt *attempt, struct done_at done, struct store_cursor *ret_cursor)
{
	/* What others wrote in between, `decide` has not seen. */
	bool next = done.exact && done.revision == attempt->look.revision + 1;

	for (size_t i = 0; i < attempt->count; i++)
		if (!attempt->changes[i].remove)
			attempt->changes[i].entry->revision = done.revision;
	if (!attempt->look.exists) {
		memcpy(attempt->etcd->id, attempt->look.id, ROWS_ID_SIZE);
		attempt->look.exists = next;
	}
	*ret_cursor = etcd_cursor(&attempt->look, next ? done.revision : attempt->look.revision);
}

static enum zone_status check_writer(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->limited)
		return ZONE_STORE_NEWER;
	if (look->exists && look->head.min_writer > store_level_understood())
		return etcd_says(etcd, ZONE_STORE_NEWER_WRITER,
				 "changing it takes level %u, and this release knows level %u; "
				 "install %s",
				 look->head.min_writer, store_level_understood(),
				 look->head.release);
	return ZONE_OK;
}

/* What is newer than at the cursor, and what to do about it. */
static enum zone_status decide_anew(struct attempt *attempt, struct store_cursor *cursor,
				    store_decide *decide, void *state)
{
	AUTO(store_news_clear) struct store_news news = {0};

	attempt_clear(attempt);
	attempt->count = 0;
	TRY(etcd_read_news(attempt->etcd, cursor, &attempt->look, &news));
	TRY(check_writer(attempt->etcd, &attempt->look));
	*cursor = news.cursor;
	return decide(state, &news, &attempt->changes, &attempt->count);
}

/* Decorrelated: three times as long as the last at most, so that many writers spread. */
static void back_off(struct etcd *etcd, int64_t *ms)
{
	int64_t most = *ms * 3 < BACKOFF_MAX_MS ? *ms * 3 : BACKOFF_MAX_MS;

	*ms = BACKOFF_MS + retry_jitter(most - BACKOFF_MS);
	etcd->sleep(etcd->sleep_state, *ms);
}

enum zone_status etcd_write(struct etcd *etcd, const struct store_cursor *since,
			    store_decide *decide, void *state, struct store_cursor *ret_cursor)
{
	AUTO(attempt_clear) struct attempt attempt = {.etcd = etcd, .at_once = ASKED_AT_ONCE};
	struct store_cursor cursor = *since;
	enum outcome outcome = TOO_LATE;
	int64_t wait_ms = BACKOFF_MS;
	struct done_at done = {0};

	for (;;) {
		TRY(decide_anew(&attempt, &cursor, decide, state));
		if (attempt.count == 0)
			break;
		TRY(try_once(&attempt, &outcome, &done));
		if (outcome == DONE) {
			note_done(&attempt, done, &cursor);
			break;
		}
		if (etcd_time_left(etcd) == 0)
			return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
					 "others were quicker for %d seconds; nothing was written: "
					 "try again",
					 ETCD_WRITE_MS / 1000);
		back_off(etcd, &wait_ms);
	}
	*ret_cursor = cursor;
	return ZONE_OK;
}

/* --- Rights */

enum zone_status etcd_may_write(struct etcd *etcd, bool *ret_writable)
{
	AUTO(buffer_clear) struct buffer compares = {0};
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum zone_status said = etcd->said, status;
	enum etcd_fate fate;

	/* Etcd asks for the right to write before it compares, and no key is of version 0 and was
	 * made at revision 1. */
	etcd_key(etcd, &key, "head");
	etcd_compare(&compares, buffer_bytes(&key), "VERSION", "version", "EQUAL", 0);
	etcd_compare(&compares, buffer_bytes(&key), "CREATE", "create_revision", "EQUAL", 1);
	etcd_op_put(&ops, buffer_bytes(&key), bytes_of(""));
	buffer_format(&body, "{\"compare\":[%s],\"success\":[%s]}", buffer_text(&compares),
		      buffer_text(&ops));
	body.failed |= compares.failed || ops.failed || key.failed;
	if (body.failed)
		return ZONE_NO_MEMORY;
	status = etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer);
	*ret_writable = status == ZONE_OK;
	if (status != ZONE_STORE_DENIED)
		return status;
	etcd->said = said;
	etcd->away = false;
	return ZONE_OK;
}
