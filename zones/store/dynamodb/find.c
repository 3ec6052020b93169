/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What has a key, with what it stands on: all of it lies in one project's partition. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdlib.h>

/* Where a row is. */
struct place {
	struct uid project, uid;
};

struct finding {
	struct dynamodb_reading reading;
	struct uid project;
	struct uid *uids; /* in that project */
	size_t count;
	enum zone_status fault; /* of a project's own, the first that was met */
	struct buffer places;	/* struct place, one after another: of several projects */
};

static void finding_clear(struct finding *finding)
{
	store_news_clear(&finding->reading.news);
	free(finding->uids);
	buffer_clear(&finding->places);
}

static enum zone_status add_uid(struct finding *finding, struct uid uid)
{
	struct uid *uids = realloc(finding->uids, (finding->count + 1) * sizeof(*uids));

	if (uids == NULL)
		return ZONE_NO_MEMORY;
	finding->uids = uids;
	uids[finding->count++] = uid;
	return ZONE_OK;
}

/* --- Which uids of which project a key means */

static enum zone_status by_zone(struct finding *finding, uint64_t zone)
{
	const struct dynamodb_key key = dynamodb_key_zone(zone);
	AUTO(json_freep) json_t *item = NULL;
	struct uid uid;

	TRY(dynamodb_get(finding->reading.dynamodb, &key, &item));
	if (item == NULL)
		return ZONE_OK;
	if (!dynamodb_read_place(item, &finding->project, &uid))
		return dynamodb_damaged(finding->reading.dynamodb, key.partition, "uid");
	return add_uid(finding, uid);
}

static enum zone_status visit_label(void *state, const json_t *item)
{
	struct finding *finding = state;
	const char *sort = dynamodb_text(item, "SK");
	struct uid uid;

	if (strncmp(sort, "row/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return dynamodb_damaged(finding->reading.dynamodb, sort, "uid");
	return add_uid(finding, uid);
}

static enum zone_status by_label(struct finding *finding, const struct store_key *key)
{
	AUTO(buffer_clear) struct buffer label = {0};
	struct dynamodb_key place = dynamodb_key_row(key->project, (struct uid){0});
	struct dynamodb_range range = {.partition = place.partition, .labels = true};

	if (key->label.len > LABEL_MAX)
		return ZONE_OK;
	dynamodb_put_label(&label, key->kind, key->label);
	range.from = range.to = buffer_text(&label);
	if (range.from == NULL)
		return ZONE_NO_MEMORY;
	return dynamodb_query(finding->reading.dynamodb, &range, visit_label, finding);
}

static enum zone_status add_place(struct finding *finding, const struct place *place)
{
	buffer_append(&finding->places, bytes(place, sizeof(*place)));
	return finding->places.failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status visit_row_of_any(void *state, const json_t *item)
{
	struct finding *finding = state;
	const char *partition = dynamodb_text(item, "PK"), *sort = dynamodb_text(item, "SK");
	struct place place;

	if (strncmp(partition, "p/", 2) != 0 || !dynamodb_read_uid(partition + 2, &place.project))
		return dynamodb_damaged(finding->reading.dynamodb, partition, "PK");
	if (strncmp(sort, "row/", 4) != 0 || !dynamodb_read_uid(sort + 4, &place.uid))
		return dynamodb_damaged(finding->reading.dynamodb, sort, "uid");
	return add_place(finding, &place);
}

/* Whose project is not known: it is asked for in each. A row with that uid in one of them keeps
 * nobody from that in another. */
static enum zone_status by_uid(struct finding *finding, const struct dynamodb_look *look,
			       struct uid uid)
{
	struct dynamodb_key *keys = calloc(look->at.count + 1, sizeof(*keys));
	enum zone_status status;

	if (keys == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < look->at.count; i++)
		keys[i] = dynamodb_key_row(look->at.list[i].project, uid);
	status = dynamodb_fetch_keys(finding->reading.dynamodb, keys, look->at.count,
				     visit_row_of_any, finding);
	free(keys);
	return status;
}

/* --- And what that stands on */

static bool has(const struct store_news *news, struct uid uid)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, uid))
			return true;
	return false;
}

static bool is_of_a_zone(const struct store_news *news, struct uid cluster)
{
	for (size_t i = 0; i < news->count; i++)
		if (!news->rows[i].removed && news->rows[i].entry->kind == ENTRY_ZONE &&
		    uid_equal(news->rows[i].entry->of_zone.cluster, cluster))
			return true;
	return false;
}

/* What an entry stands on: its project; and of a zone its cluster, of that its root key. */
static struct uid parent_of(const struct store_news *news, const struct entry *entry)
{
	if (entry->kind == ENTRY_ZONE)
		return entry->of_zone.cluster;
	return entry->kind == ENTRY_CLUSTER && is_of_a_zone(news, entry->uid)
		       ? entry->of_cluster.root_key
		       : entry->project;
}

/* Replaces the uids by those on which what was found of the project stands, and which are not there
 * yet. */
static enum zone_status note_parents(struct finding *finding)
{
	const struct store_news *news = &finding->reading.news;

	finding->count = 0;
	for (size_t i = 0; i < news->count; i++) {
		const struct entry *entry = news->rows[i].entry;
		const struct uid parents[] = {entry->project, parent_of(news, entry)};
		const bool stands =
			!news->rows[i].removed && uid_equal(entry->project, finding->project);

		for (size_t j = 0; j < COUNT_OF(parents) && stands; j++)
			if (!has(news, parents[j]))
				TRY(add_uid(finding, parents[j]));
	}
	return ZONE_OK;
}

/* --- In one project, beside others */

/* `label`: by that; NULL: the uids are known. */
static enum zone_status read_in_project(struct finding *finding, const struct store_key *label)
{
	bool exists;

	TRY(dynamodb_check_project(finding->reading.dynamodb, finding->project));
	TRY(dynamodb_await_project(finding->reading.dynamodb, finding->project, &exists));
	if (!exists)
		return ZONE_OK;
	if (label != NULL)
		TRY(by_label(finding, label));
	/* The entries, what they stand on, and what that stands on. */
	for (int depth = 0; depth < 3 && finding->count > 0; depth++) {
		TRY(dynamodb_read_rows(&finding->reading, finding->project, finding->uids,
				       finding->count));
		TRY(note_parents(finding));
	}
	return ZONE_OK;
}

static void begin_project(struct finding *finding, const struct uid *project)
{
	finding->reading.dynamodb->of = project;
	finding->reading.dynamodb->blamed = false;
}

/* A fault of the project's own keeps nobody from what is found in another. */
static enum zone_status end_project(struct finding *finding, enum zone_status status)
{
	const bool own = dynamodb_is_its_own(finding->reading.dynamodb, status);

	finding->reading.dynamodb->of = NULL;
	dynamodb_go_on(finding->reading.dynamodb, DYNAMODB_READ_MS);
	if (own && finding->fault == ZONE_OK)
		finding->fault = status;
	return own ? ZONE_OK : status;
}

static enum zone_status find_in_project(struct finding *finding, const struct store_key *label)
{
	const size_t before = finding->reading.news.count;
	enum zone_status status;

	begin_project(finding, &finding->project);
	status = read_in_project(finding, label);
	if (status != ZONE_OK)
		dynamodb_drop_rows(&finding->reading.news, before);
	return end_project(finding, status);
}

/* Large writes that are not in their place yet, of any project: what is looked for may be of one.
 */
static enum zone_status await_all(struct finding *finding, const struct dynamodb_look *look)
{
	struct dynamodb *dynamodb = finding->reading.dynamodb;

	for (size_t i = 0; i < look->at.count; i++) {
		struct dynamodb_position now = look->at.list[i];
		enum zone_status status;

		if (now.parts == 0)
			continue;
		begin_project(finding, &look->at.list[i].project);
		status = dynamodb_check_project(dynamodb, now.project);
		if (status == ZONE_OK)
			status = dynamodb_await_parts(dynamodb, &now);
		TRY(end_project(finding, status));
	}
	return ZONE_OK;
}

/* --- Which zones have imported from another */

static enum zone_status visit_importer(void *state, const json_t *item)
{
	struct finding *finding = state;
	struct place place;

	if (!dynamodb_read_place(item, &place.project, &place.uid))
		return dynamodb_damaged(finding->reading.dynamodb, dynamodb_text(item, "SK"),
					"uid");
	return add_place(finding, &place);
}

/* Those of the places from there on that are in the same project; none, if an earlier one was. */
static enum zone_status take_places(struct finding *finding, size_t from)
{
	const struct place *places = (const struct place *)finding->places.data;
	const size_t count = finding->places.len / sizeof(*places);

	finding->project = places[from].project;
	finding->count = 0;
	for (size_t i = 0; i < from; i++)
		if (uid_equal(places[i].project, finding->project))
			return ZONE_OK;
	for (size_t i = from; i < count; i++)
		if (uid_equal(places[i].project, finding->project))
			TRY(add_uid(finding, places[i].uid));
	return ZONE_OK;
}

static enum zone_status find_places(struct finding *finding)
{
	for (size_t i = 0; i < finding->places.len / sizeof(struct place); i++) {
		TRY(take_places(finding, i));
		TRY(find_in_project(finding, NULL));
	}
	return ZONE_OK;
}

/* Hints: a zone that has dropped such versions may be among them. */
static enum zone_status find_importers(struct finding *finding, const struct dynamodb_look *look,
				       uint64_t zone)
{
	const struct dynamodb_key key = dynamodb_key_zone(zone);
	const struct dynamodb_range range = {key.partition, "import/", "import/g", false};

	TRY(await_all(finding, look));
	TRY(dynamodb_query(finding->reading.dynamodb, &range, visit_importer, finding));
	return find_places(finding);
}

/* --- All of it */

static bool some_wait(const struct dynamodb_look *look)
{
	for (size_t i = 0; i < look->at.count; i++)
		if (look->at.list[i].parts > 0)
			return true;
	return false;
}

static enum zone_status find_zone(struct finding *finding, struct dynamodb_look *look,
				  uint64_t zone)
{
	TRY(by_zone(finding, zone));
	if (finding->count == 0) {
		TRY(dynamodb_look(finding->reading.dynamodb, look));
		TRY(dynamodb_check_alone(finding->reading.dynamodb, look));
	}
	if (finding->count == 0 && some_wait(look)) {
		TRY(await_all(finding, look));
		TRY(by_zone(finding, zone));
	}
	return finding->count == 0 ? ZONE_OK : find_in_project(finding, NULL);
}

static enum zone_status find_uid(struct finding *finding, const struct dynamodb_look *look,
				 struct uid uid)
{
	TRY(await_all(finding, look));
	TRY(by_uid(finding, look, uid));
	return find_places(finding);
}

static enum zone_status find_label(struct finding *finding, const struct store_key *key)
{
	finding->project = key->project;
	return find_in_project(finding, key);
}

static enum zone_status find_all(struct finding *finding, struct dynamodb_look *look,
				 const struct store_key *key)
{
	switch (key->by) {
	case STORE_BY_UID:
		return find_uid(finding, look, key->uid);
	case STORE_BY_ZONE:
		return find_zone(finding, look, key->zone);
	case STORE_BY_LABEL:
		return find_label(finding, key);
	case STORE_BY_IMPORT:
		return find_importers(finding, look, key->zone);
	}
	return ZONE_OK;
}

/* What was not found may be in a project that can't be read; and of importers each counts. */
static bool is_in_doubt(const struct finding *finding, const struct store_key *key)
{
	return finding->fault != ZONE_OK &&
	       (finding->reading.news.count == 0 || key->by == STORE_BY_IMPORT);
}

/* The store's head; of all projects' too where it is not known which one is meant. */
static enum zone_status look_first(struct dynamodb *dynamodb, const struct store_key *key,
				   struct dynamodb_look *ret_look)
{
	return key->by == STORE_BY_UID || key->by == STORE_BY_IMPORT
		       ? dynamodb_look(dynamodb, ret_look)
		       : dynamodb_look_at_head(dynamodb, ret_look);
}

enum zone_status dynamodb_check_alone(struct dynamodb *dynamodb, const struct dynamodb_look *look)
{
	if (look->limited)
		return dynamodb_tell_limit(dynamodb, look) == ZONE_OK ? ZONE_STORE_NEWER
								      : ZONE_NO_MEMORY;
	/* What is known is another store's: the next look reads this one. */
	if (look->exists && dynamodb->id[0] != '\0' && strcmp(look->id, dynamodb->id) != 0)
		return dynamodb_says(
			dynamodb, ZONE_STORE_UNAVAILABLE,
			"another store has taken its place; it is read at the next look");
	return ZONE_OK;
}

enum zone_status dynamodb_find(struct dynamodb *dynamodb, const struct store_key *key,
			       struct store_news *ret_news)
{
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};
	AUTO(finding_clear) struct finding finding = {.reading.dynamodb = dynamodb};

	dynamodb_be_patient(dynamodb);
	TRY(look_first(dynamodb, key, &look));
	TRY(dynamodb_check_alone(dynamodb, &look));
	finding.reading.rows.newer = look.head.level > store_level_understood();
	if (look.exists)
		TRY(find_all(&finding, &look, key));
	if (is_in_doubt(&finding, key))
		return finding.fault;
	*ret_news = finding.reading.news;
	ret_news->unknown = finding.reading.rows.unknown;
	finding.reading.news = (struct store_news){0};
	return ZONE_OK;
}
