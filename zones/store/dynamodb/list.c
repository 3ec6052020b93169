/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones and token keys of a project, a page at a time, in the order of their rows' keys. */
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

static void reading_clear(struct dynamodb_reading *reading)
{
	store_news_clear(&reading->news);
}

static void keep_listed(struct store_news *news)
{
	size_t to = 0;

	for (size_t i = 0; i < news->count; i++) {
		const struct store_row row = news->rows[i];

		if (!row.removed && (row.entry->kind == ENTRY_ZONE || row.entry->kind == ENTRY_KEY))
			news->rows[to++] = row;
		else
			entry_release(row.entry);
	}
	news->count = to;
}

enum zone_status dynamodb_list(struct dynamodb *dynamodb, struct uid project, struct uid *after,
			       struct store_news *ret_news, bool *ret_end)
{
	AUTO(dynamodb_look_clear) struct dynamodb_look look = {0};
	AUTO(reading_clear) struct dynamodb_reading reading = {.dynamodb = dynamodb};
	bool exists, end = true;

	dynamodb_be_patient(dynamodb);
	TRY(dynamodb_look_at_head(dynamodb, &look));
	TRY(dynamodb_check_alone(dynamodb, &look));
	TRY(dynamodb_check_project(dynamodb, project));
	TRY(dynamodb_await_project(dynamodb, project, &exists));
	reading.rows.newer = look.head.level > store_level_understood();
	if (exists)
		TRY(dynamodb_read_page(&reading, project, after, &end));
	keep_listed(&reading.news);
	*ret_end = end;
	*ret_news = reading.news;
	reading.news = (struct store_news){0};
	return ZONE_OK;
}
