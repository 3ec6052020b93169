/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_table_items.h"

#include "base/macros.h"
#include "tests/support/unit.h"

#include <stdlib.h>

const char *fake_text_at(const json_t *item, const char *name)
{
	const char *text = json_string_value(json_object_get(json_object_get(item, name), "S"));

	return text == NULL ? "" : text;
}

int fake_compare_keys(const json_t *a, const json_t *b)
{
	int order = strcmp(fake_text_at(a, "PK"), fake_text_at(b, "PK"));

	return order != 0 ? order : strcmp(fake_text_at(a, "SK"), fake_text_at(b, "SK"));
}

const json_t *fake_item_any(const struct fake_item *item)
{
	return item->now != NULL ? item->now : item->before;
}

static size_t place_of(const struct fake_table *table, const json_t *key)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (fake_compare_keys(fake_item_any(&table->items[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fake_item *fake_item_at(struct fake_table *table, const json_t *key)
{
	size_t at = place_of(table, key);

	return at < table->count && fake_compare_keys(fake_item_any(&table->items[at]), key) == 0
		       ? &table->items[at]
		       : NULL;
}

/* The last transaction is behind us: what it removed is gone, what was before it forgotten. */
void fake_items_settle(struct fake_table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++) {
		struct fake_item *item = &table->items[i];

		json_decref(item->before);
		item->before = json_incref(item->now);
		if (item->now != NULL)
			table->items[kept++] = *item;
	}
	table->count = kept;
}

void fake_item_put(struct fake_table *table, json_t *value)
{
	struct fake_item *item = fake_item_at(table, value);
	size_t at = place_of(table, value);

	if (item == NULL) {
		table->items = realloc(table->items, (table->count + 1) * sizeof(*table->items));
		assert_non_null(table->items);
		memmove(&table->items[at + 1], &table->items[at],
			(table->count - at) * sizeof(*table->items));
		table->count++;
		item = &table->items[at];
		*item = (struct fake_item){0};
	}
	json_decref(item->now);
	item->now = json_incref(value);
}

void fake_item_remove(struct fake_table *table, const json_t *key)
{
	struct fake_item *item = fake_item_at(table, key);

	if (item == NULL)
		return;
	json_decref(item->now);
	item->now = NULL;
	if (item->before == NULL) {
		table->count--;
		memmove(item, item + 1,
			(size_t)(&table->items[table->count] - item) * sizeof(*item));
	}
}

bool fake_is_of_a_project(const json_t *item)
{
	return item != NULL && strncmp(fake_text_at(item, "PK"), "p/", 2) == 0;
}

json_t *fake_item_seen(struct fake_table *table, const struct fake_item *item)
{
	bool torn = table->torn > 0 ||
		    (table->torn_rows > 0 && fake_is_of_a_project(fake_item_any(item)));

	return torn ? item->before : item->now;
}

uint64_t fake_number_of(const json_t *item, const char *name)
{
	const char *text = json_string_value(json_object_get(json_object_get(item, name), "N"));

	return text == NULL ? 0 : strtoull(text, NULL, 10);
}

bool fake_item_holds(const json_t *item, const json_t *operation)
{
	const char *expression =
		json_string_value(json_object_get(operation, "ConditionExpression"));
	const json_t *values = json_object_get(operation, "ExpressionAttributeValues");
	bool at = item != NULL && fake_number_of(item, "rev") == fake_number_of(values, ":r");

	if (expression == NULL)
		return true;
	if (strcmp(expression, "attribute_not_exists(PK)") == 0)
		return item == NULL;
	if (strcmp(expression, "attribute_exists(PK)") == 0)
		return item != NULL;
	if (strcmp(expression, "#r = :r") == 0)
		return at;
	if (strcmp(expression, "#r = :r AND attribute_exists(parts)") == 0)
		return at && json_object_get(item, "parts") != NULL;
	assert_string_equal(expression, "attribute_exists(PK) AND attribute_not_exists(PK)");
	return false;
}

/* --- Its life, and what tests look at */

void fake_table_init(struct fake_table *table)
{
	*table = (struct fake_table){.tokens = json_object(), .status.exists = true};
	pthread_mutex_init(&table->lock, NULL);
}

void fake_table_empty(struct fake_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		json_decref(table->items[i].now);
		json_decref(table->items[i].before);
	}
	free(table->items);
	table->items = NULL;
	table->count = 0;
}

void fake_table_clear(struct fake_table *table)
{
	fake_table_empty(table);
	json_decref(table->tokens);
	pthread_mutex_destroy(&table->lock);
}

static struct fake_item *find_item(struct fake_table *table, const char *partition,
				   const char *sort)
{
	json_t *key = json_pack("{s:{s:s},s:{s:s}}", "PK", "S", partition, "SK", "S", sort);
	struct fake_item *item = fake_item_at(table, key);

	json_decref(key);
	return item == NULL || item->now == NULL ? NULL : item;
}

const char *fake_table_text(struct fake_table *table, const char *partition, const char *sort,
			    const char *name)
{
	static char text[65536];
	const struct fake_item *item = find_item(table, partition, sort);
	const json_t *value = item == NULL ? NULL : json_object_get(item->now, name);

	if (value == NULL)
		return NULL;
	snprintf(text, sizeof(text), "%s",
		 json_string_value(
			 json_object_iter_value(json_object_iter((json_t *)(uintptr_t)value))));
	return text;
}

void fake_table_set_json(struct fake_table *table, const char *partition, const char *sort,
			 const char *name, json_t *value)
{
	struct fake_item *item;
	json_t *changed;

	fake_items_settle(table);
	item = find_item(table, partition, sort);
	assert_non_null(item);
	changed = json_deep_copy(item->now);
	if (name == NULL)
		fake_item_remove(table, changed);
	else
		json_object_set_new(changed, name, value);
	if (name != NULL)
		fake_item_put(table, changed);
	json_decref(changed);
	fake_items_settle(table);
}

void fake_table_set(struct fake_table *table, const char *partition, const char *sort,
		    const char *name, const char *type, const char *value)
{
	fake_table_set_json(table, partition, sort, name,
			    name == NULL ? NULL : json_pack("{s:s}", type, value));
}

size_t fake_table_count(struct fake_table *table, const char *sort_begin)
{
	size_t count = 0;

	for (size_t i = 0; i < table->count; i++)
		count += table->items[i].now != NULL &&
			 strncmp(fake_text_at(table->items[i].now, "SK"), sort_begin,
				 strlen(sort_begin)) == 0;
	return count;
}

bool fake_table_remove(struct fake_table *table, const char *sort_begin)
{
	for (size_t i = 0; i < table->count; i++) {
		const json_t *item = table->items[i].now;

		if (strncmp(fake_text_at(item, "SK"), sort_begin, strlen(sort_begin)) != 0)
			continue;
		fake_table_set(table, fake_text_at(item, "PK"), fake_text_at(item, "SK"), NULL,
			       NULL, NULL);
		return true;
	}
	return false;
}
