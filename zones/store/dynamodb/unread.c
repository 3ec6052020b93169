/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A project that can't be read: its change log lacks a line, a hidden part or an item is not what a
 * release writes, or a large change waits for somebody who may put it in place. Whoever may write
 * one project alone can bring that about, so it must not keep anybody from the others: the news
 * say of which project nothing can be said, and why.
 */
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdio.h>
#include <stdlib.h>

static const struct store_unread *unread_of(const struct dynamodb *dynamodb, struct uid project)
{
	return store_unread_of(dynamodb->unread, dynamodb->unread_count, project);
}

/* What is damaged lies in the project; what is missing or waits says so itself. */
bool dynamodb_is_its_own(const struct dynamodb *dynamodb, enum zone_status status)
{
	return status == ZONE_STORE_CORRUPT ||
	       (status == ZONE_STORE_UNAVAILABLE && dynamodb->blamed);
}

/* Its own row alone, if that can be read: so that it has a name and a token. */
static enum zone_status read_itself(struct dynamodb_reading *reading, struct uid project)
{
	enum zone_status status = dynamodb_read_rows(reading, project, &project, 1);

	return dynamodb_is_its_own(reading->dynamodb, status) ? ZONE_OK : status;
}

void dynamodb_drop_rows(struct store_news *news, size_t count)
{
	while (news->count > count)
		entry_release(news->rows[--news->count].entry);
}

static enum zone_status pass_over(struct dynamodb_reading *reading,
				  const struct dynamodb_position *then,
				  struct dynamodb_position *now, enum zone_status why)
{
	struct store_unread unread = {.project = now->project, .why = why, .known = then != NULL};

	snprintf(unread.text, sizeof(unread.text), "%s", reading->dynamodb->said.text);
	*now = then != NULL ? *then : (struct dynamodb_position){.project = now->project};
	if (!store_news_add_unread(&reading->news, &unread))
		return ZONE_NO_MEMORY;
	return then == NULL ? read_itself(reading, now->project) : ZONE_OK;
}

/* More was written since than a log keeps. Its rows and tombstones say all of it: that a project is
 * written much has nobody read the others anew. What is not in a log that keeps it was lost, or is
 * of another history, and makes the whole reading anew. */
static bool has_outrun_its_log(const struct dynamodb_position *then,
			       const struct dynamodb_position *now)
{
	return then != NULL && now->rev - then->rev >= DYNAMODB_LOG_KEPT;
}

static enum zone_status read_readable(struct dynamodb_reading *reading,
				      const struct dynamodb_position *then,
				      struct dynamodb_position *now, bool few, bool *ret_lost)
{
	if (now->rev == 0)
		return dynamodb_damaged(reading->dynamodb, dynamodb_key_project(now->project).sort,
					"as a whole");
	if (few)
		return dynamodb_read_few(reading, now, ret_lost);
	TRY(dynamodb_read_project(reading, then, now, ret_lost));
	return *ret_lost && has_outrun_its_log(then, now)
		       ? dynamodb_read_project(reading, NULL, now, ret_lost)
		       : ZONE_OK;
}

/* It is logged when it begins, and not at each look. */
enum zone_status dynamodb_try_project(struct dynamodb_reading *reading,
				      const struct dynamodb_position *then,
				      struct dynamodb_position *now, bool few, bool *ret_lost)
{
	struct dynamodb *dynamodb = reading->dynamodb;
	const struct store_unread *was = unread_of(dynamodb, now->project);
	const struct remote_said before = dynamodb->said;
	const size_t count = reading->news.count;
	enum zone_status status;

	dynamodb->of = &now->project;
	dynamodb->blamed = false;
	dynamodb->hopeless = was != NULL;
	if (was != NULL)
		dynamodb->said.status = was->why;
	status = read_readable(reading, then, now, few, ret_lost);
	if (dynamodb_is_its_own(dynamodb, status)) {
		dynamodb_drop_rows(&reading->news, count);
		*ret_lost = false;
		status = pass_over(reading, then, now, status);
		dynamodb->said = before;
	} else if (was != NULL && status == ZONE_OK) {
		dynamodb->said = before;
	}
	dynamodb->of = NULL;
	dynamodb->hopeless = false;
	return status;
}

enum zone_status dynamodb_note_unread(struct dynamodb *dynamodb, const struct store_news *news)
{
	struct store_news copy = {0};

	for (size_t i = 0; i < news->unread_count; i++)
		if (!store_news_add_unread(&copy, &news->unread[i])) {
			store_news_clear(&copy);
			return ZONE_NO_MEMORY;
		}
	free(dynamodb->unread);
	dynamodb->unread = copy.unread;
	dynamodb->unread_count = copy.unread_count;
	return ZONE_OK;
}

static enum zone_status tell(struct dynamodb *dynamodb, const struct store_unread *unread)
{
	dynamodb->blamed = dynamodb->of != NULL;
	log_reason("store %s: %s", dynamodb->name, unread->text);
	return unread->why;
}

enum zone_status dynamodb_check_project(struct dynamodb *dynamodb, struct uid project)
{
	const struct store_unread *unread = unread_of(dynamodb, project);

	return unread == NULL ? ZONE_OK : tell(dynamodb, unread);
}

enum zone_status dynamodb_check_readable(struct dynamodb *dynamodb,
					 const struct store_change *change)
{
	if (dynamodb->unread_count > 0 && remote_needs_all(change))
		return tell(dynamodb, &dynamodb->unread[0]);
	return dynamodb_check_project(dynamodb, change->entry->project);
}
