/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Many zones at once. Their names are looked at first, since each EZK costs a call of the KMS; then
 * come the EZKs, outside of all locks, and one transaction with all of them. */
#include "base/macros.h"
#include "zones/domain/new_zone.h"
#include "zones/domain/partial.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/index/rules.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

struct many {
	struct new_zone *list;
	size_t count;
	size_t at; /* which was under way */
	uint64_t id;
};

static void many_clear(struct many *many)
{
	for (size_t i = 0; i < many->count; i++)
		new_zone_clear(&many->list[i]);
	free(many->list);
}

/* --- Their names */

/* One spelling of each. */
static enum zone_status parse_all(const struct bytes *labels, size_t count,
				  struct zone_name **ret_names)
{
	struct zone_name *names = calloc(count, sizeof(*names));
	enum zone_status status = names == NULL ? ZONE_NO_MEMORY : ZONE_OK;

	for (size_t i = 0; i < count && status == ZONE_OK; i++) {
		status = labels[i].len == 0 ? refuse(ZONE_INVALID_NAME, "each database has a name")
					    : zone_name_parse(labels[i], &names[i]);
	}
	if (status != ZONE_OK)
		free(names);
	else
		*ret_names = names;
	return status;
}

static int by_bytes(struct bytes a, struct bytes b)
{
	const size_t len = a.len < b.len ? a.len : b.len;
	const int order = len == 0 ? 0 : memcmp(a.data, b.data, len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b)
{
	const struct zone_name *x = a, *y = b;
	const int order = by_bytes(x->cluster, y->cluster);

	return order != 0 ? order : by_bytes(x->database, y->database);
}

static enum zone_status check_twice(const struct bytes *labels, size_t count)
{
	struct zone_name *names;
	enum zone_status status = ZONE_OK;

	TRY(parse_all(labels, count, &names));
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 1; i < count && status == ZONE_OK; i++)
		if (by_name(&names[i - 1], &names[i]) == 0)
			status = refuse(
				ZONE_EXISTS, "'%.*s/%.*s' is there twice among the names",
				(int)names[i].cluster.len, (const char *)names[i].cluster.data,
				(int)names[i].database.len, (const char *)names[i].database.data);
	free(names);
	return status;
}

/* The names that are taken, as far as there is room for them. */
struct taken {
	size_t count, told;
	struct buffer text;
};

enum { TOLD_BYTES = 160 };

static void taken_clear(struct taken *taken)
{
	buffer_clear(&taken->text);
}

static void note_taken(struct taken *taken, struct bytes label)
{
	taken->count++;
	if (taken->text.len + label.len > TOLD_BYTES && taken->told > 0)
		return;
	buffer_format(&taken->text, "%s'%.*s'", taken->told == 0 ? "" : ", ", (int)label.len,
		      (const char *)label.data);
	taken->told++;
}

static enum zone_status refuse_taken(struct taken *taken, size_t count)
{
	if (taken->count == 0)
		return ZONE_OK;
	if (taken->count > taken->told)
		buffer_format(&taken->text, " and %zu more", taken->count - taken->told);
	if (taken->text.failed)
		return ZONE_NO_MEMORY;
	return refuse(ZONE_EXISTS, "%zu of the %zu names %s taken in this project: %s",
		      taken->count, count, taken->count == 1 ? "is" : "are",
		      buffer_text(&taken->text));
}

/* --- The zones */

static struct entry_names names_of(const struct entry_names *names, struct bytes label)
{
	struct entry_names own = *names;

	own.label = label;
	return own;
}

static enum zone_status check_cluster(const struct new_zone *new)
{
	return !new->place.cluster_is_new
		       ? ZONE_OK
		       : refuse(ZONE_NOT_FOUND,
				"there is no cluster '%s' yet: make it, or one database in it, and "
				"then many",
				new->place.cluster->label);
}

static enum zone_status find_all(struct zones *zones, struct uid project,
				 const struct entry_names *names, const struct bytes *labels,
				 struct many *many)
{
	AUTO(taken_clear) struct taken taken = {0};

	for (many->at = 0; many->at < many->count; many->at++) {
		const struct entry_names own = names_of(names, labels[many->at]);
		struct new_zone *new = &many->list[many->at];
		enum zone_status status = new_zone_find(zones, project, NULL, &own, &many->id, new);

		if (status == ZONE_EXISTS)
			note_taken(&taken, labels[many->at]);
		else
			TRY(status);
		if (status == ZONE_OK)
			TRY(check_cluster(new));
	}
	many->at = 0;
	return refuse_taken(&taken, many->count);
}

static enum zone_status seal_all(struct zones *zones, const struct entry_names *names,
				 const struct bytes *labels, struct many *many)
{
	for (many->at = 0; many->at < many->count; many->at++) {
		const struct entry_names own = names_of(names, labels[many->at]);

		many->id = many->list[many->at].zone->of_zone.zone;
		TRY(new_zone_seal(zones, NULL, &own, &many->list[many->at]));
	}
	many->at = 0;
	return ZONE_OK;
}

static enum zone_status decide(struct changes *changes, void *state)
{
	struct many *many = state;

	for (many->at = 0; many->at < many->count; many->at++)
		TRY(new_zone_decide(changes, &many->list[many->at]));
	many->at = 0;
	return ZONE_OK;
}

struct all_keys {
	struct new_zone_keys *of; /* of each zone */
	size_t of_count;
	struct store_key *keys;
	size_t count;
};

static void all_keys_clear(struct all_keys *all)
{
	for (size_t i = 0; all->of != NULL && i < all->of_count; i++)
		new_zone_keys_clear(&all->of[i]);
	free(all->of);
	free(all->keys);
}

static enum zone_status list_all_keys(const struct many *many, struct all_keys *all)
{
	all->of_count = many->count;
	all->of = calloc(many->count, sizeof(*all->of));
	all->keys = calloc(many->count, sizeof(all->of->keys));
	if (all->of == NULL || all->keys == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < many->count; i++) {
		TRY(new_zone_list_keys(many->list[i].zone, &all->of[i]));
		memcpy(&all->keys[all->count], all->of[i].keys,
		       all->of[i].count * sizeof(*all->keys));
		all->count += all->of[i].count;
	}
	return ZONE_OK;
}

static enum zone_status commit_all(struct zones *zones, struct many *many)
{
	AUTO(all_keys_clear) struct all_keys all = {0};

	TRY(list_all_keys(many, &all));
	return zones_change_known(zones, all.keys, all.count, decide, many);
}

static enum zone_status try_once(struct zones *zones, struct uid project,
				 const struct entry_names *names, const struct bytes *labels,
				 struct many *many, struct entry **ret_first)
{
	TRY(zones_refresh(zones, true));
	TRY(find_all(zones, project, names, labels, many));
	TRY(seal_all(zones, names, labels, many));
	TRY(commit_all(zones, many));
	*ret_first = TAKE(many->list[0].zone);
	return ZONE_OK;
}

static enum zone_status create(struct zones *zones, struct uid project,
			       const struct entry_names *names, const struct bytes *labels,
			       size_t count, struct entry **ret_first)
{
	enum zone_status status = ZONE_CONFLICT;
	struct bytes label = labels[0];
	uint64_t id = 0;

	for (int i = 0; i < NEW_ZONE_ATTEMPTS && status == ZONE_CONFLICT; i++) {
		AUTO(many_clear)
		struct many many = {.list = calloc(count, sizeof(*many.list)), .count = count};

		if (many.list == NULL) {
			many.count = 0;
			return ZONE_NO_MEMORY;
		}
		status = try_once(zones, project, names, labels, &many, ret_first);
		label = labels[many.at < count ? many.at : 0];
		id = many.id;
	}
	return new_zone_ended(zones, project, label, id, status);
}

enum zone_status zones_zone_create_many(struct zones *zones, struct uid project,
					const struct entry_names *names, const struct bytes *labels,
					size_t count, struct entry **ret_first)
{
	if (count == 0 || count > ZONES_AT_ONCE)
		return refuse(ZONE_INVALID, "%zu databases at once: from 1 to %d are made so",
			      count, ZONES_AT_ONCE);
	TRY(check_twice(labels, count));
	return create(zones, project, names, labels, count, ret_first);
}
