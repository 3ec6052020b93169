/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What every store has in common: the news it brings. */
#include "zones/store/store.h"

#include <stdlib.h>

void store_news_clear(struct store_news *news)
{
	for (size_t i = 0; i < news->count; i++)
		entry_release(news->rows[i].entry);
	free(news->rows);
	*news = (struct store_news){0};
}

/* Room grows by doubling, so a million rows cost some twenty copies. */
static bool make_room(struct store_news *news)
{
	size_t capacity = news->count == 0 ? 16 : news->count * 2;
	struct store_row *rows;

	if (news->count != 0 && (news->count < 16 || (news->count & (news->count - 1)) != 0))
		return true;
	rows = realloc(news->rows, capacity * sizeof(*rows));
	if (rows == NULL)
		return false;
	news->rows = rows;
	return true;
}

bool store_news_add(struct store_news *news, struct entry *entry, bool removed)
{
	if (!make_room(news)) {
		entry_release(entry);
		return false;
	}
	news->rows[news->count++] = (struct store_row){entry, removed};
	return true;
}
