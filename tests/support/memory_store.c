/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/memory_store.h"

#include "base/buffer.h"
#include "base/cancel.h"
#include "base/macros.h"

#include <stdio.h>
#include <stdlib.h>

struct memory_rows memory_rows = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.moved = PTHREAD_COND_INITIALIZER,
};

static void clear_rows(void)
{
	for (size_t i = 0; i < memory_rows.count; i++)
		entry_release(memory_rows.rows[i].entry);
	free(memory_rows.rows);
}

void memory_rows_begin(void)
{
	clear_rows(); /* of the test before */
	memory_rows = (struct memory_rows){.lock = PTHREAD_MUTEX_INITIALIZER,
					   .moved = PTHREAD_COND_INITIALIZER};
}

void memory_rows_end(void)
{
	memory_rows_begin();
}

/* --- The gate */

static void move_gate(bool closed)
{
	pthread_mutex_lock(&memory_rows.lock);
	memory_rows.closed = closed;
	pthread_cond_broadcast(&memory_rows.moved);
	pthread_mutex_unlock(&memory_rows.lock);
}

void memory_close(void)
{
	move_gate(true);
}

void memory_open(void)
{
	move_gate(false);
}

void memory_await(size_t waiting)
{
	pthread_mutex_lock(&memory_rows.lock);
	while (memory_rows.waiting < waiting)
		pthread_cond_wait(&memory_rows.moved, &memory_rows.lock);
	pthread_mutex_unlock(&memory_rows.lock);
}

/* As a request on its way; with the lock held. */
static enum zone_status pass_gate(void)
{
	memory_rows.waiting++;
	pthread_cond_broadcast(&memory_rows.moved);
	while (memory_rows.closed)
		pthread_cond_wait(&memory_rows.moved, &memory_rows.lock);
	memory_rows.waiting--;
	return memory_rows.fault;
}

static void unlock_rows(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *lock_rows(void)
{
	pthread_mutex_lock(&memory_rows.lock);
	return &memory_rows.lock;
}

#define LOCKED AUTO(unlock_rows) __attribute__((unused)) pthread_mutex_t *locked_ = lock_rows()

/* --- Reading */

static struct store_cursor cursor_of(uint64_t revision)
{
	struct store_cursor cursor = {.len = sizeof(revision)};

	memcpy(cursor.data, &revision, sizeof(revision));
	return cursor;
}

static uint64_t revision_of(const struct store_cursor *cursor)
{
	uint64_t revision = 0;

	memcpy(&revision, cursor->data, cursor->len);
	return revision;
}

static bool is_unread(const struct entry *entry)
{
	return memory_rows.unread.why != ZONE_OK &&
	       uid_equal(entry->project, memory_rows.unread.project);
}

/* As the news of an engine have it; after their cursor is set. */
static bool tell_unread(const struct store_cursor *since, struct store_news *news)
{
	struct store_unread unread = memory_rows.unread;

	unread.known = since->len != 0;
	return unread.why == ZONE_OK || store_news_add_unread(news, &unread);
}

/* Rows are not shared with another reader: each has a copy. */
static bool tell(const struct memory_row *row, struct store_news *news)
{
	struct entry *copy = entry_copy(row->entry);

	if (copy != NULL && is_unread(copy) && copy->kind != ENTRY_PROJECT) {
		entry_release(copy);
		return true;
	}
	return copy != NULL && store_news_add(news, copy, row->removed);
}

static enum zone_status tell_since(const struct store_cursor *since, struct store_news *news)
{
	uint64_t revision = revision_of(since);

	news->whole = since->len == 0;
	news->cursor = cursor_of(memory_rows.revision);
	news->zones_counted = true;
	for (size_t i = 0; i < memory_rows.count; i++) {
		const struct memory_row *row = &memory_rows.rows[i];

		news->zones += row->entry->kind == ENTRY_ZONE && !row->removed;
		if (row->entry->revision > revision && !tell(row, news))
			return ZONE_NO_MEMORY;
	}
	news->zones -= memory_rows.miscounted;
	return tell_unread(since, news) ? ZONE_OK : ZONE_NO_MEMORY;
}

static void note_away(struct store *store)
{
	store->away = zone_status_is_store_outage(memory_rows.fault);
}

static enum zone_status memory_read(struct store *store, const struct store_cursor *since,
				    struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(store_news_clear) struct store_news news = {0};
	LOCKED;

	note_away(store);
	memory_rows.reads++;
	TRY(pass_gate());
	TRY(tell_since(since, &news));
	memory_rows.wholes += news.whole;
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

static bool is_few(const struct memory_row *row)
{
	return !row->removed && row->entry->kind != ENTRY_ZONE && row->entry->kind != ENTRY_KEY;
}

static enum zone_status tell_few(struct store_news *news)
{
	news->whole = news->partial = true;
	news->cursor = cursor_of(memory_rows.revision);
	for (size_t i = 0; i < memory_rows.count; i++)
		if (is_few(&memory_rows.rows[i]) && !tell(&memory_rows.rows[i], news))
			return ZONE_NO_MEMORY;
	return ZONE_OK;
}

static enum zone_status memory_read_few(struct store *store, const struct store_cursor *since,
					size_t most, struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(store_news_clear) struct store_news news = {0};
	LOCKED;

	note_away(store);
	memory_rows.reads++;
	TRY(pass_gate());
	TRY(since->len == 0 && memory_rows.count > most ? tell_few(&news)
							: tell_since(since, &news));
	memory_rows.wholes += news.whole && !news.partial;
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

/* To know, it would have to ask. */
static bool memory_changed(struct store *store)
{
	(void)store;
	return true;
}

static struct memory_row *row_of(struct uid uid)
{
	for (size_t i = 0; i < memory_rows.count; i++)
		if (uid_equal(memory_rows.rows[i].entry->uid, uid))
			return &memory_rows.rows[i];
	return NULL;
}

static bool imports_from(const struct entry *entry, uint64_t zone)
{
	if (entry->kind != ENTRY_ZONE)
		return false;
	for (size_t i = 0; i < entry->of_zone.version_count; i++)
		if (entry->of_zone.versions[i].record_zone == zone)
			return true;
	return false;
}

static bool has_key(const struct memory_row *row, const struct store_key *key)
{
	const struct entry *entry = row->entry;

	switch (key->by) {
	case STORE_BY_UID:
		return uid_equal(entry->uid, key->uid);
	case STORE_BY_ZONE:
		return entry->kind == ENTRY_ZONE && entry->of_zone.zone == key->zone;
	case STORE_BY_LABEL:
		return !row->removed && entry->state == ENTRY_ACTIVE && entry->kind == key->kind &&
		       uid_equal(entry->project, key->project) &&
		       bytes_equal(bytes_of(entry->label), key->label);
	case STORE_BY_IMPORT:
		return imports_from(entry, key->zone);
	}
	return false;
}

static bool tell_uid(struct uid uid, struct store_news *news)
{
	const struct memory_row *row = row_of(uid);

	return row == NULL || tell(row, news);
}

/* And what it stands on. */
static bool tell_with_parents(const struct memory_row *row, struct store_news *news)
{
	const struct entry *entry = row->entry;
	const struct memory_row *cluster;
	bool good = tell_uid(entry->project, news);

	if (entry->kind == ENTRY_ZONE) {
		cluster = row_of(entry->of_zone.cluster);
		good &= cluster == NULL || (tell_uid(cluster->entry->of_cluster.root_key, news) &&
					    tell(cluster, news));
	}
	return good && (entry->kind == ENTRY_PROJECT || tell(row, news));
}

enum { PAGE = 8 };

/* The first of a project's zones and token keys that follows that uid; NULL: none. */
static const struct memory_row *row_after(struct uid project, struct uid after)
{
	const struct memory_row *first = NULL;

	for (size_t i = 0; i < memory_rows.count; i++) {
		const struct memory_row *row = &memory_rows.rows[i];

		if (!row->removed && !is_few(row) && uid_equal(row->entry->project, project) &&
		    memcmp(row->entry->uid.bytes, after.bytes, UID_SIZE) > 0 &&
		    (first == NULL ||
		     memcmp(row->entry->uid.bytes, first->entry->uid.bytes, UID_SIZE) < 0))
			first = row;
	}
	return first;
}

static enum zone_status memory_list(struct store *store, struct uid project, struct uid *after,
				    struct store_news *ret_news, bool *ret_end)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(store_news_clear) struct store_news news = {0};
	const struct memory_row *row;
	struct uid last = *after;
	LOCKED;

	(void)store;
	memory_rows.lists++;
	if (memory_rows.lists == memory_rows.lost_list)
		return ZONE_STORE_UNAVAILABLE;
	TRY(pass_gate());
	while (news.count < PAGE && (row = row_after(project, last)) != NULL) {
		last = row->entry->uid;
		if (!tell(row, &news))
			return ZONE_NO_MEMORY;
	}
	*after = last;
	*ret_end = row_after(project, last) == NULL;
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

static enum zone_status memory_find(struct store *store, const struct store_key *key,
				    struct store_news *ret_news)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(store_news_clear) struct store_news news = {0};
	LOCKED;

	note_away(store);
	memory_rows.finds++;
	TRY(pass_gate());
	for (size_t i = 0, found = 0; i < memory_rows.count; i++)
		if (has_key(&memory_rows.rows[i], key)) {
			/* A zone id is of the first who had it, as others keep it. */
			if (key->by == STORE_BY_ZONE && found++ > 0)
				break;
			TRY(is_unread(memory_rows.rows[i].entry) ? memory_rows.unread.why
								 : ZONE_OK);
			if (!tell_with_parents(&memory_rows.rows[i], &news))
				return ZONE_NO_MEMORY;
		}
	*ret_news = news;
	news = (struct store_news){0};
	return ZONE_OK;
}

/* --- Writing */

static bool is_possible(const struct store_change *change)
{
	const struct memory_row *row = row_of(change->entry->uid);

	if (row == NULL)
		return change->entry->revision == 0 && (!change->remove || change->from_backup);
	if (row->removed)
		return change->from_backup && !change->remove && change->entry->revision == 0;
	return !row->removed && row->entry->revision == change->entry->revision;
}

/* The copies come first, so that all is written or nothing. */
static enum zone_status put_rows(struct store_change *changes, size_t count)
{
	size_t size = (memory_rows.count + count) * sizeof(*memory_rows.rows);
	struct memory_row *rows = realloc(memory_rows.rows, size);

	if (rows == NULL)
		return ZONE_NO_MEMORY;
	memory_rows.rows = rows;
	memory_rows.revision++;
	for (size_t i = 0; i < count; i++) {
		struct memory_row *row = row_of(changes[i].entry->uid);
		struct entry *copy = entry_copy(changes[i].entry);

		if (copy == NULL)
			abort(); /* tests of lacking memory are those of SQLite */
		copy->number = 0;
		copy->revision = memory_rows.revision;
		if (!changes[i].remove)
			changes[i].entry->revision = memory_rows.revision;
		if (row == NULL)
			row = &memory_rows.rows[memory_rows.count++];
		else
			entry_release(row->entry);
		*row = (struct memory_row){copy, changes[i].remove};
	}
	memory_rows.writes++;
	return ZONE_OK;
}

struct attempt {
	struct store_cursor cursor; /* as far as `decide` has seen the store */
	struct store_change *changes;
	size_t count;
};

static enum zone_status begin(struct attempt *attempt, store_decide *decide, void *state)
{
	AUTO(store_news_clear) struct store_news news = {0};

	{
		LOCKED;

		TRY(tell_since(&attempt->cursor, &news));
		memory_rows.asks++;
	}
	attempt->cursor = news.cursor;
	return decide(state, &news, &attempt->changes, &attempt->count);
}

/* False: somebody was quicker. */
static bool end(struct attempt *attempt, bool in_time, enum zone_status *ret_status)
{
	LOCKED;

	*ret_status = pass_gate();
	if (*ret_status != ZONE_OK || attempt->count == 0)
		return true;
	if (!in_time || memory_rows.revision != revision_of(&attempt->cursor))
		return false;
	for (size_t i = 0; i < attempt->count; i++)
		if (!is_possible(&attempt->changes[i])) {
			*ret_status = ZONE_CONFLICT;
			return true;
		}
	*ret_status = put_rows(attempt->changes, attempt->count);
	attempt->cursor = cursor_of(memory_rows.revision);
	return true;
}

static void let_rival(void)
{
	void (*rival)(void *) = memory_rows.rival;

	memory_rows.rival = NULL;
	if (rival != NULL)
		rival(memory_rows.rival_state);
}

static enum zone_status memory_write(struct store *store, const struct store_cursor *since,
				     store_decide *decide, void *state,
				     struct store_cursor *ret_cursor)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	struct attempt attempt = {.cursor = *since};
	enum zone_status status;

	note_away(store);
	for (size_t tries = 0;; tries++) {
		TRY(begin(&attempt, decide, state));
		if (end(&attempt, tries >= memory_rows.conflicts, &status))
			break;
		let_rival();
	}
	if (status == ZONE_OK)
		*ret_cursor = attempt.cursor;
	return status;
}

/* --- The rest */

static enum zone_status memory_describe(struct store *store, struct buffer *ret_text)
{
	(void)store;
	buffer_put_text(ret_text, "store: in memory\n");
	return memory_rows.fault;
}

static enum zone_status memory_look_at(struct store *store, struct store_facts *ret_facts)
{
	LOCKED;

	(void)store;
	memory_rows.looks++;
	*ret_facts = (struct store_facts){.path = "memory", .exists = true, .writable = true};
	snprintf(ret_facts->id, sizeof(ret_facts->id), "%s",
		 memory_rows.id == NULL ? "" : memory_rows.id);
	ret_facts->head = (struct store_head){.level = 1, .min_reader = 1, .min_writer = 1};
	return memory_rows.fault;
}

static enum zone_status memory_bring(struct store *store, unsigned from, unsigned to)
{
	(void)store;
	return from == to ? ZONE_OK : ZONE_INVALID;
}

static void memory_free(struct store *store)
{
	free(store);
}

/* Who waited at the gate is not here. */
static void memory_abandon(struct store *store)
{
	(void)store;
	pthread_mutex_init(&memory_rows.lock, NULL);
	pthread_cond_init(&memory_rows.moved, NULL);
	memory_rows.closed = false;
	memory_rows.waiting = 0;
}

static const struct store_operations operations = {
	.read = memory_read,
	.read_few = memory_read_few,
	.changed = memory_changed,
	.find = memory_find,
	.list = memory_list,
	.write = memory_write,
	.describe = memory_describe,
	.look_at = memory_look_at,
	.bring = memory_bring,
	.free = memory_free,
	.abandon = memory_abandon,
};

static struct store *open_as(const struct store_engine *engine)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store != NULL)
		*store = (struct store){
			.engine = engine, .operations = &operations, .most = memory_rows.most};
	return store;
}

static struct store *memory_open_store(const struct store_settings *settings)
{
	(void)settings;
	return open_as(&memory_store);
}

static struct store *memory_open_hasty(const struct store_settings *settings)
{
	(void)settings;
	return open_as(&memory_store_hasty);
}

const struct store_engine memory_store = {
	.name = "memory",
	.look_every_ms = MEMORY_LOOK_MS,
	.waits_ms = 60000,
	.open = memory_open_store,
};

const struct store_engine memory_store_hasty = {
	.name = "hasty memory",
	.look_every_ms = MEMORY_LOOK_MS,
	.waits_ms = MEMORY_HASTY_MS,
	.open = memory_open_hasty,
};
