/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macros.h"
#include "zones/store/remote/remote.h"

#include <stdlib.h>

void remote_limited_clear(struct remote_limited *limited)
{
	for (size_t i = 0; i < limited->count; i++)
		entry_release(limited->zones[i].row.entry);
	free(limited->zones);
}

static enum zone_status keep_zone(struct remote_limited *limited, const struct rows_minimum *zone)
{
	struct rows_minimum *zones =
		realloc(limited->zones, (limited->count + 1) * sizeof(*limited->zones));

	if (zones == NULL) {
		entry_release(zone->row.entry);
		return ZONE_NO_MEMORY;
	}
	limited->zones = zones;
	zones[limited->count++] = *zone;
	return ZONE_OK;
}

enum zone_status remote_limited_add(struct remote_limited *limited, struct store_news *news,
				    const struct rows_minimum *minimum)
{
	struct entry *entry = minimum->row.entry;

	if (entry == NULL)
		return ZONE_OK;
	if (entry->kind == ENTRY_ZONE && !minimum->row.removed)
		return keep_zone(limited, minimum);
	return store_news_add(news, entry, minimum->row.removed) ? ZONE_OK : ZONE_NO_MEMORY;
}

static bool has_active_project(const struct store_news *news, struct uid project)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, project))
			return !news->rows[i].removed && news->rows[i].entry->state == ENTRY_ACTIVE;
	return false;
}

enum zone_status remote_limited_end(const struct remote_limited *limited, struct store_news *news)
{
	for (size_t i = 0; i < limited->count; i++) {
		const struct rows_minimum *zone = &limited->zones[i];

		if (zone->active && has_active_project(news, zone->row.entry->project))
			continue;
		if (!store_news_add(news, entry_hold(zone->row.entry), true))
			return ZONE_NO_MEMORY;
	}
	return ZONE_OK;
}
