/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share: a folder that goes away, entries of every kind, and writing
 * them. */
#pragma once

#include "base/buffer.h"
#include "tests/support/sqlite_store.h"

struct fixture {
	char folder[64];
	char path[128]; /* of the store; nothing is there yet */
	struct store *store;
};

/* A folder in memory where there is one (no test of ours cuts the power), else in /tmp; the caller
 * removes it. */
void make_test_folder(const char *name, char ret_folder[static 64]);
void remove_test_folder(const char *folder);
/* Ends a forked child. It frees nothing, of which valgrind, that looks at children too, must hear
 * nothing. */
bool under_valgrind(void);
_Noreturn void child_exit(int code);

int fixture_begin(void **state); /* cmocka's setup: *state is a struct fixture */
int fixture_end(void **state);
/* Another handle on the same path, as another process has it; frees the old one. */
void fixture_reopen(struct fixture *fixture);

struct uid test_uid(uint8_t kind, uint32_t number);
/* Entry number `number` of its kind in project 1, with every field filled. */
struct entry *test_entry(enum entry_kind kind, uint32_t number);
/* Project 1 with root key 1, cluster 1 and zone 1, in one transaction. */
void fixture_fill(struct fixture *fixture);
/* Of SQLite: where a revision is, and the other way round. */
struct store_cursor cursor_at(uint64_t revision);
uint64_t cursor_revision(const struct store_cursor *cursor);
/* Its `read` from a revision on. */
enum zone_status store_since(struct store *store, uint64_t revision, struct store_news *ret_news);
/* One transaction of the given changes; `since` 0. Releases the entries. */
enum zone_status store_put(struct store *store, struct store_change *changes, size_t count,
			   uint64_t *ret_revision);
enum zone_status store_put_one(struct store *store, struct entry *entry, bool remove);
/* All rows now. */
enum zone_status store_all(struct store *store, struct store_news *ret_news);
/* Of that kind and number, borrowed; NULL: none, or a tombstone. */
struct entry *news_find(const struct store_news *news, enum entry_kind kind, uint32_t number);
/* Every field of two entries is equal, except number and references. */
void assert_same_entry(const struct entry *a, const struct entry *b);
/* Runs SQL on the file with SQLite itself. */
void raw_sql(const char *path, const char *sql);
void file_bytes(const char *path, struct buffer *ret_bytes);
