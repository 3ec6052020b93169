/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The items of a table that is played, in the order of their keys. Whoever calls holds the table's
 * lock. */
#pragma once

#include "tests/support/fake_dynamodb.h"

struct fake_item {
	json_t *now;	/* NULL: it is gone */
	json_t *before; /* as it was before the last transaction; NULL: it was not there */
};

const char *fake_text_at(const json_t *item, const char *name);
int fake_compare_keys(const json_t *a, const json_t *b);
const json_t *fake_item_any(const struct fake_item *item);
struct fake_item *fake_item_at(struct fake_table *table, const json_t *key);
/* The last transaction is behind us: what it removed is gone, what was before it forgotten. */
void fake_items_settle(struct fake_table *table);
void fake_item_put(struct fake_table *table, json_t *value);
void fake_item_remove(struct fake_table *table, const json_t *key);
bool fake_is_of_a_project(const json_t *item);
/* As the table is asked to show it: torn, or as it is now. */
json_t *fake_item_seen(struct fake_table *table, const struct fake_item *item);
uint64_t fake_number_of(const json_t *item, const char *name);
bool fake_item_holds(const json_t *item, const json_t *operation);
