/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/write_private.h"

#include <inttypes.h>
#include <stdlib.h>

/* For more projects than this, all are compared. */
enum { PROJECTS_COMPARED = 16 };

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

enum zone_status etcd_plan(struct attempt *attempt)
{
	attempt->wide = !attempt->look.exists;
	for (size_t i = 0; i < attempt->count; i++) {
		const struct store_change *change = &attempt->changes[i];

		attempt->wide |= remote_is_wide(change);
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
	if (status == ZONE_STORE_FULL && fate == ETCD_ANSWERED && attempt->at_once > 1) {
		attempt->again = true; /* it takes fewer operations than usual */
		attempt->at_once /= 2;
		etcd_take_fewer(attempt->etcd);
	}
	TRY(status);
	*ret_responses = json_incref(json_object_get(answer, "responses"));
	return ZONE_OK;
}

json_t *etcd_read_head(const json_t *kv, bool *ret_no_memory)
{
	AUTO(buffer_clear) struct buffer text = {0};

	*ret_no_memory = false;
	if (etcd_bytes(kv, "value", &text))
		return json_read(buffer_bytes(&text), 0, ret_no_memory);
	*ret_no_memory = text.failed;
	return NULL;
}

/* What can't be read is replaced. */
static enum zone_status take_project_head(struct touched *project, const json_t *kv)
{
	AUTO(json_freep) json_t *head = NULL;
	const json_t *writes;
	bool no_memory = false;
	size_t count;

	project->version = etcd_number(kv, "version");
	if (kv != NULL)
		head = etcd_read_head(kv, &no_memory);
	if (no_memory)
		return ZONE_NO_MEMORY;
	writes = json_object_get(head, "writes");
	count = json_array_size(writes);
	for (size_t i = count >= ETCD_TOKENS ? count - ETCD_TOKENS + 1 : 0; i < count; i++) {
		const char *token = json_string_value(json_array_get(writes, i));

		if (token == NULL || strlen(token) >= ETCD_TOKEN_TEXT)
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

enum zone_status etcd_look_at_all(struct attempt *attempt)
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

enum zone_status etcd_check_changes(const struct attempt *attempt)
{
	for (size_t i = 0; i < attempt->count; i++)
		if (!remote_fits(&attempt->changes[i], &attempt->rows[i].row,
				 attempt->rows[i].revision))
			return ZONE_CONFLICT;
	return ZONE_OK;
}
