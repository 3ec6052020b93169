/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What every store has in common: how it is opened, and the news it brings. */
#include "zones/store/store.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/macros.h"

#include <stdlib.h>

/* --- Opening */

static enum zone_status refuse_name(const struct store_engine *const engines[],
				    const struct store_settings *settings)
{
	const char *at = settings->backend_at;
	AUTO(buffer_clear) struct buffer known = {0};

	for (size_t i = 0; engines[i] != NULL; i++)
		buffer_format(&known, " %s", engines[i]->name);
	if (known.failed)
		return ZONE_NO_MEMORY;
	log_error("%s%s[store] backend = %s: should be one of:%s", at == NULL ? "" : at,
		  at == NULL ? "" : ": ", settings->backend, buffer_text(&known));
	return ZONE_INVALID;
}

/* Settings that an engine does not have, so that nobody takes a file for a fleet's store. */
static enum zone_status refuse_settings(const struct store_settings *settings)
{
	const struct {
		const char *name;
		struct store_setting setting;
	} rows[] = {
		{"endpoint", settings->endpoint},
		{"prefix", settings->prefix},
		{"ca_bundle", settings->ca_bundle},
		{"client_certificate", settings->client_certificate},
		{"client_key", settings->client_key},
		{"user", settings->user},
		{"password_file", settings->password_file},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *at = rows[i].setting.at;

		if (rows[i].setting.text == NULL)
			continue;
		log_error("%s%s[store] %s is not for backend = %s; set [store] backend to the "
			  "engine that it is for, or remove it",
			  at == NULL ? "" : at, at == NULL ? "" : ": ", rows[i].name,
			  settings->backend);
		return ZONE_INVALID;
	}
	return ZONE_OK;
}

enum zone_status store_open(const struct store_engine *const engines[],
			    const struct store_settings *settings, struct store **ret_store)
{
	size_t i = 0;

	while (engines[i] != NULL && strcmp(engines[i]->name, settings->backend) != 0)
		i++;
	if (engines[i] == NULL)
		return refuse_name(engines, settings);
	TRY(engines[i]->check == NULL ? refuse_settings(settings) : engines[i]->check(settings));
	*ret_store = engines[i]->open(settings);
	return *ret_store == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- News */

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
