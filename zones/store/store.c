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

static bool takes(const struct store_engine *engine, const char *name)
{
	const size_t len = strlen(name);
	const char *word = engine->takes;

	while (word != NULL &&
	       (strncmp(word, name, len) != 0 || (word[len] != '\0' && word[len] != ' '))) {
		word = strchr(word, ' ');
		word += word != NULL;
	}
	return word != NULL;
}

/* Settings that an engine does not have, so that nobody takes a file for a fleet's store. */
static enum zone_status refuse_settings(const struct store_engine *engine,
					const struct store_settings *settings)
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
		{"table", settings->table},
		{"region", settings->region},
		{"look_every", settings->look_every},
		{"index_max", settings->index_max},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *at = rows[i].setting.at;

		if (rows[i].setting.text == NULL || takes(engine, rows[i].name))
			continue;
		log_error("%s%s[store] %s is not for backend = %s; set [store] backend to the "
			  "engine that it is for, or remove it",
			  at == NULL ? "" : at, at == NULL ? "" : ": ", rows[i].name,
			  settings->backend);
		return ZONE_INVALID;
	}
	return ZONE_OK;
}

/* A number of a setting that all engines which ask others have; 0: not set. */
static enum zone_status read_number(const struct store_setting *setting, const char *name,
				    unsigned least, unsigned most, unsigned *ret_number)
{
	const char *text = setting->text;
	unsigned long number = 0;

	*ret_number = 0;
	if (text == NULL)
		return ZONE_OK;
	if (*text != '\0' && strlen(text) <= 9 && bytes_all_in(bytes_of(text), "0123456789"))
		number = strtoul(text, NULL, 10);
	if (number < least || number > most) {
		log_error("%s%s[store] %s = %s: should be a number from %u to %u",
			  setting->at == NULL ? "" : setting->at, setting->at == NULL ? "" : ": ",
			  name, text, least, most);
		return ZONE_INVALID;
	}
	*ret_number = (unsigned)number;
	return ZONE_OK;
}

enum zone_status store_open(const struct store_engine *const engines[],
			    const struct store_settings *settings, struct store **ret_store)
{
	unsigned look_every, index_max;
	size_t i = 0;

	while (engines[i] != NULL && strcmp(engines[i]->name, settings->backend) != 0)
		i++;
	if (engines[i] == NULL)
		return refuse_name(engines, settings);
	TRY(refuse_settings(engines[i], settings));
	if (engines[i]->check != NULL)
		TRY(engines[i]->check(settings));
	TRY(read_number(&settings->look_every, "look_every", STORE_LOOK_MIN, STORE_LOOK_MAX,
			&look_every));
	TRY(read_number(&settings->index_max, "index_max", STORE_MOST_MIN, STORE_MOST_MAX,
			&index_max));
	*ret_store = engines[i]->open(settings);
	if (*ret_store == NULL)
		return ZONE_NO_MEMORY;
	(*ret_store)->look_every_ms = look_every * 1000;
	if (index_max != 0)
		(*ret_store)->most = index_max;
	return ZONE_OK;
}

/* --- News */

void store_news_clear(struct store_news *news)
{
	for (size_t i = 0; i < news->count; i++)
		entry_release(news->rows[i].entry);
	free(news->rows);
	free(news->unread);
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

bool store_news_add_unread(struct store_news *news, const struct store_unread *unread)
{
	struct store_unread *list =
		realloc(news->unread, (news->unread_count + 1) * sizeof(*news->unread));

	if (list == NULL)
		return false;
	news->unread = list;
	list[news->unread_count++] = *unread;
	return true;
}

const struct store_unread *store_unread_of(const struct store_unread *list, size_t count,
					   struct uid project)
{
	for (size_t i = 0; i < count; i++)
		if (uid_equal(list[i].project, project))
			return &list[i];
	return NULL;
}
