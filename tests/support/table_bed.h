/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A table of DynamoDB that is played in this process, with a store in it, for each test. */
#pragma once

#include "base/macros.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"

struct table_bed {
	struct contract_bed bed;
	struct fake_table table;
};

static inline struct store *table_bed_open(void *place)
{
	return fake_table_store(place);
}

static inline int table_bed_begin(void **state)
{
	struct table_bed *bed = calloc(1, sizeof(*bed));

	fake_table_init(&bed->table);
	bed->bed.open = table_bed_open;
	bed->bed.place = &bed->table;
	bed->bed.store = fake_table_store(&bed->table);
	*state = bed;
	return 0;
}

static inline int table_bed_end(void **state)
{
	struct table_bed *bed = *state;

	bed->bed.store->operations->free(bed->bed.store);
	fake_table_clear(&bed->table);
	free(bed);
	return 0;
}

static inline char *project_partition(void)
{
	static char partition[40];
	const struct dynamodb_key key =
		dynamodb_key_row(test_uid(ENTRY_PROJECT, 1), (struct uid){0});

	snprintf(partition, sizeof(partition), "%s", key.partition);
	return partition;
}

static inline const char *row_key(enum entry_kind kind, uint32_t number)
{
	static char sort[64];
	const struct dynamodb_key key =
		dynamodb_key_row(test_uid(ENTRY_PROJECT, 1), test_uid(kind, number));

	snprintf(sort, sizeof(sort), "%s", key.sort);
	return sort;
}

/* Of the store, or of the project in it. */
static inline enum zone_status read_status_since(struct table_bed *bed,
						 const struct store_cursor *since)
{
	AUTO(store_news_clear) struct store_news news = {0};

	TRY(bed->bed.store->operations->read(bed->bed.store, since, &news));
	return news.unread_count > 0 ? news.unread[0].why : ZONE_OK;
}

static inline enum zone_status read_status(struct table_bed *bed)
{
	const struct store_cursor nothing = {0};

	return read_status_since(bed, &nothing);
}

struct between {
	struct table_bed *bed;
	enum entry_kind kind;
	uint32_t number;
};

static inline void write_between(void *state)
{
	struct between *between = state;
	struct contract_bed other = {.store = fake_table_store(&between->bed->table)};

	assert_int_equal(contract_put_one(&other,
					  contract_make_entry(between->kind, between->number),
					  false),
			 ZONE_OK);
	other.store->operations->free(other.store);
}

enum { MANY = 90 };

static inline void make_many(struct store_change *changes, uint32_t count, uint32_t from)
{
	for (uint32_t i = 0; i < count; i++)
		changes[i] = (struct store_change){
			.entry =
				contract_make_entry(i % 2 == 0 ? ENTRY_KEY : ENTRY_ZONE, i + from)};
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, table_bed_begin, table_bed_end)
