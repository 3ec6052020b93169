/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/store_fixture.h"

#include "base/file.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void make_test_folder(const char *name, char ret_folder[static 64])
{
	snprintf(ret_folder, 64, "%s/cmek-%s-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
	assert_non_null(mkdtemp(ret_folder));
}

void remove_test_folder(const char *folder)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
}

bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

void child_exit(int code)
{
	char command[16];

	snprintf(command, sizeof(command), "exit %d", code);
	if (under_valgrind())
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(code);
}

int fixture_begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	make_test_folder("store", fixture->folder);
	snprintf(fixture->path, sizeof(fixture->path), "%s/data/store.db", fixture->folder);
	fixture->store = store_sqlite_new(fixture->path);
	assert_non_null(fixture->store);
	*state = fixture;
	return 0;
}

int fixture_end(void **state)
{
	struct fixture *fixture = *state;

	fixture->store->operations->free(fixture->store);
	remove_test_folder(fixture->folder);
	free(fixture);
	return 0;
}

void fixture_reopen(struct fixture *fixture)
{
	fixture->store->operations->free(fixture->store);
	fixture->store = store_sqlite_new(fixture->path);
	assert_non_null(fixture->store);
}

struct uid test_uid(uint8_t kind, uint32_t number)
{
	struct uid uid = {{0xa0, kind}};

	memcpy(uid.bytes + 4, &number, sizeof(number));
	return uid;
}

static void set(char **field, const char *text)
{
	assert_true(entry_set_text(field, bytes_of(text)));
}

static void fill_zone(struct entry *entry, uint32_t number)
{
	entry->of_zone.zone = ((uint64_t)1 << 62) + number;
	entry->of_zone.cluster = test_uid(ENTRY_CLUSTER, 1);
	entry->of_zone.primary = 2;
	entry->of_zone.raw = 1;
	entry->of_zone.minimum = 1;
	entry->of_zone.rotate_days = number + 90;
	entry->of_zone.versions = calloc(3, sizeof(*entry->of_zone.versions));
	entry->of_zone.version_count = 3;
	/* The third is version 1 of another zone, imported. */
	for (uint32_t i = 0; i < 3; i++) {
		struct ezk_version *version = &entry->of_zone.versions[i];

		*version = (struct ezk_version){.version = i % 2 + 1,
						.record_zone = i == 2 ? 7 : 0,
						.retired = i == 2,
						.delete_after_ms = i == 2 ? 1800000000000 : 0,
						.created_ms = 1700000000000,
						.greatest_usages = 0x7f,
						.fingerprint = {(uint8_t)(i + 1), 7},
						.mac = {9, 8, 7},
						.project = test_uid(ENTRY_PROJECT, 1),
						.cluster = test_uid(ENTRY_CLUSTER, 1)};
		memcpy(version->fingerprint + 4, &number, sizeof(number));
		if (i == 1)
			assert_true(entry_set_bytes(&version->limits, bytes("\3\0\1", 3)));
		assert_int_equal(ezk_version_add_wrap(version, "arn:one", bytes_of("blob one")),
				 ZONE_OK);
		assert_int_equal(ezk_version_add_wrap(version, "arn:two", bytes("\0\1", 2)),
				 ZONE_OK);
		version->wraps[1].state = WRAP_UNPROVEN;
		version->all_wraps = i == 1;
		for (uint8_t share = 0; version->all_wraps && share < SHARE_COUNT; share++)
			version->wraps[share].share = share + 1;
	}
}

static void fill_kind(struct entry *entry, uint32_t number)
{
	char text[64];

	switch (entry->kind) {
	case ENTRY_PROJECT:
		entry->project = entry->uid;
		entry->of_project.slot = number;
		break;
	case ENTRY_ROOT_KEY:
		snprintf(text, sizeof(text), "arn:aws:kms:us-west-2:111122223333:key/%u", number);
		set(&entry->of_root_key.arn, text);
		set(&entry->of_root_key.provider, "aws");
		set(&entry->of_root_key.region, "us-west-2");
		entry->of_root_key.multi_region = true;
		assert_true(entry_set_bytes(&entry->of_root_key.canary, bytes_of("canary")));
		break;
	case ENTRY_CLUSTER:
		set(&entry->of_cluster.provider, "aws");
		set(&entry->of_cluster.region, "us-west-2");
		entry->of_cluster.root_key = test_uid(ENTRY_ROOT_KEY, 1);
		entry->of_cluster.leaving = test_uid(ENTRY_ROOT_KEY, 2);
		break;
	case ENTRY_ZONE:
		fill_zone(entry, number);
		break;
	case ENTRY_KEY:
		entry->of_key.zone = ((uint64_t)1 << 62) + 1;
		entry->of_key.key_type = 0x1f;
		entry->of_key.value_len = 32;
		assert_true(entry_set_bytes(&entry->of_key.wrapped, bytes_of("wrapped")));
		break;
	default:
		entry->of_archive.slot = 3;
		entry->of_archive.archived = test_uid(ENTRY_PROJECT, 1);
	}
}

struct entry *test_entry(enum entry_kind kind, uint32_t number)
{
	struct entry *entry = entry_new(kind);
	char label[32];

	entry->uid = test_uid((uint8_t)kind, number);
	entry->project = test_uid(ENTRY_PROJECT, 1);
	entry->created_ms = 1700000000123;
	entry->usages = 0x55;
	snprintf(label, sizeof(label), "label/%u \xc3\xa4", number);
	set(&entry->label, label);
	assert_true(entry_set_bytes(&entry->id, bytes("\0\xff", 2)));
	assert_true(entry_set_bytes(&entry->extra, bytes_of("extra")));
	fill_kind(entry, number);
	return entry;
}

struct wish {
	struct store_change *changes;
	size_t count;
};

static enum zone_status wished(void *state, struct store_news *news,
			       struct store_change **ret_changes, size_t *ret_count)
{
	const struct wish *wish = state;

	(void)news;
	*ret_changes = wish->changes;
	*ret_count = wish->count;
	return ZONE_OK;
}

struct store_cursor cursor_at(uint64_t revision)
{
	struct store_cursor cursor = {.len = revision == 0 ? 0 : sizeof(revision)};

	memcpy(cursor.data, &revision, sizeof(revision));
	return cursor;
}

uint64_t cursor_revision(const struct store_cursor *cursor)
{
	uint64_t revision = 0;

	assert_true(cursor->len == 0 || cursor->len == sizeof(revision));
	memcpy(&revision, cursor->data, cursor->len);
	return revision;
}

enum zone_status store_since(struct store *store, uint64_t revision, struct store_news *ret_news)
{
	const struct store_cursor since = cursor_at(revision);

	return store->operations->read(store, &since, ret_news);
}

enum zone_status store_put(struct store *store, struct store_change *changes, size_t count,
			   uint64_t *ret_revision)
{
	struct wish wish = {changes, count};
	const struct store_cursor since = {0};
	struct store_cursor cursor;
	enum zone_status status = store->operations->write(store, &since, wished, &wish, &cursor);

	if (status == ZONE_OK)
		*ret_revision = cursor_revision(&cursor);
	for (size_t i = 0; i < count; i++)
		entry_release(changes[i].entry);
	return status;
}

enum zone_status store_put_one(struct store *store, struct entry *entry, bool remove)
{
	struct store_change change = {entry, remove};
	uint64_t revision;

	return store_put(store, &change, 1, &revision);
}

void fixture_fill(struct fixture *fixture)
{
	struct store_change changes[4];
	uint64_t revision;

	for (int kind = ENTRY_PROJECT; kind <= ENTRY_ZONE; kind++)
		changes[kind] = (struct store_change){test_entry((enum entry_kind)kind, 1), false};
	assert_int_equal(store_put(fixture->store, changes, 4, &revision), ZONE_OK);
}

enum zone_status store_all(struct store *store, struct store_news *ret_news)
{
	return store_since(store, 0, ret_news);
}

struct entry *news_find(const struct store_news *news, enum entry_kind kind, uint32_t number)
{
	struct uid uid = test_uid((uint8_t)kind, number);

	for (size_t i = 0; i < news->count; i++)
		if (!news->rows[i].removed && uid_equal(news->rows[i].entry->uid, uid))
			return news->rows[i].entry;
	return NULL;
}

static void assert_same_zone(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->of_zone.zone, b->of_zone.zone);
	assert_true(uid_equal(a->of_zone.cluster, b->of_zone.cluster));
	assert_int_equal(a->of_zone.primary, b->of_zone.primary);
	assert_int_equal(a->of_zone.raw, b->of_zone.raw);
	assert_int_equal(a->of_zone.minimum, b->of_zone.minimum);
	assert_int_equal(a->of_zone.imported, b->of_zone.imported);
	assert_int_equal(a->of_zone.rotate_days, b->of_zone.rotate_days);
	assert_int_equal(a->of_zone.version_count, b->of_zone.version_count);
	for (size_t i = 0; i < a->of_zone.version_count; i++) {
		const struct ezk_version *x = &a->of_zone.versions[i];
		const struct ezk_version *y = &b->of_zone.versions[i];

		assert_int_equal(x->record_zone, y->record_zone);
		assert_int_equal(x->version, y->version);
		assert_int_equal(x->retired, y->retired);
		assert_int_equal(x->delete_after_ms, y->delete_after_ms);
		assert_int_equal(x->created_ms, y->created_ms);
		assert_int_equal(x->greatest_usages, y->greatest_usages);
		assert_bytes(x->limits, y->limits);
		assert_memory_equal(x->fingerprint, y->fingerprint, sizeof(x->fingerprint));
		assert_memory_equal(x->mac, y->mac, sizeof(x->mac));
		assert_int_equal(x->all_wraps, y->all_wraps);
		assert_true(uid_equal(x->project, y->project));
		assert_true(uid_equal(x->cluster, y->cluster));
		assert_int_equal(x->wrap_count, y->wrap_count);
		for (size_t j = 0; j < x->wrap_count; j++) {
			assert_string_equal(x->wraps[j].arn, y->wraps[j].arn);
			assert_bytes(x->wraps[j].blob, y->wraps[j].blob);
			assert_int_equal(x->wraps[j].state, y->wraps[j].state);
			assert_int_equal(x->wraps[j].share, y->wraps[j].share);
		}
	}
}

static void assert_same_kind(const struct entry *a, const struct entry *b)
{
	switch (a->kind) {
	case ENTRY_PROJECT:
		assert_int_equal(a->of_project.slot, b->of_project.slot);
		break;
	case ENTRY_ROOT_KEY:
		assert_string_equal(a->of_root_key.arn, b->of_root_key.arn);
		assert_string_equal(a->of_root_key.provider, b->of_root_key.provider);
		assert_string_equal(a->of_root_key.region, b->of_root_key.region);
		assert_int_equal(a->of_root_key.multi_region, b->of_root_key.multi_region);
		assert_bytes(a->of_root_key.canary, b->of_root_key.canary);
		break;
	case ENTRY_CLUSTER:
		assert_string_equal(a->of_cluster.provider, b->of_cluster.provider);
		assert_string_equal(a->of_cluster.region, b->of_cluster.region);
		assert_true(uid_equal(a->of_cluster.root_key, b->of_cluster.root_key));
		assert_true(uid_equal(a->of_cluster.leaving, b->of_cluster.leaving));
		break;
	case ENTRY_ZONE:
		assert_same_zone(a, b);
		break;
	case ENTRY_KEY:
		assert_int_equal(a->of_key.zone, b->of_key.zone);
		assert_int_equal(a->of_key.key_type, b->of_key.key_type);
		assert_int_equal(a->of_key.value_len, b->of_key.value_len);
		assert_bytes(a->of_key.wrapped, b->of_key.wrapped);
		break;
	default:
		assert_int_equal(a->of_archive.slot, b->of_archive.slot);
		assert_true(uid_equal(a->of_archive.archived, b->of_archive.archived));
	}
}

void assert_same_entry(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->state, b->state);
	assert_true(uid_equal(a->uid, b->uid));
	assert_true(uid_equal(a->project, b->project));
	assert_int_equal(a->revision, b->revision);
	assert_int_equal(a->created_ms, b->created_ms);
	assert_int_equal(a->delete_after_ms, b->delete_after_ms);
	assert_string_equal(a->label, b->label);
	assert_bytes(a->id, b->id);
	assert_int_equal(a->usages, b->usages);
	assert_bytes(a->extra, b->extra);
	assert_same_kind(a, b);
}

void raw_sql(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *message = NULL;

	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
		SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

void file_bytes(const char *path, struct buffer *ret_bytes)
{
	buffer_truncate(ret_bytes, 0);
	assert_true(file_read(path, 1 << 26, ret_bytes));
}
