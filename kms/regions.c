/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of regions and of multi-Region keys. */
#include "kms/regions.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdio.h>
#include <stdlib.h>

struct region {
	char name[KMS_REGION_MAX + 1];
	bool out;
	struct moment look_again; /* while it is passed over */
};

struct regions_key {
	bool refused;			   /* by its own region */
	uint64_t no_count;		   /* how many of its noes so far */
	char answered[KMS_REGION_MAX + 1]; /* the last yes; empty: none yet */
	char arn[];
};

void regions_init(struct regions *regions, const struct kms_settings *settings)
{
	*regions = (struct regions){.settings = settings};
	pthread_mutex_init(&regions->lock, NULL);
}

static void free_all(struct map *map)
{
	size_t at = 0;

	for (struct map_entry *entry; (entry = map_next(map, &at)) != NULL;)
		free(entry->value);
	map_clear(map);
}

void regions_clear(struct regions *regions)
{
	free_all(&regions->by_region);
	free_all(&regions->by_key);
	pthread_mutex_destroy(&regions->lock);
}

static struct moment now_of(const struct regions *regions)
{
	return clock_now(regions->settings->clock);
}

/* --- Regions. The lock is held. */

static struct region *find_region(const struct regions *regions, const char *name)
{
	return map_find(&regions->by_region, bytes_of(name));
}

static struct region *make_region(struct regions *regions, const char *name)
{
	struct region *region = calloc(1, sizeof(*region));

	if (region == NULL)
		return NULL;
	snprintf(region->name, sizeof(region->name), "%s", name);
	if (map_put(&regions->by_region, bytes_of(region->name), region))
		return region;
	free(region);
	return NULL;
}

static void look_later(const struct regions *regions, struct region *region)
{
	region->look_again = moment_after(now_of(regions), REGIONS_OUT_MS);
}

/* --- Regions, for others */

bool regions_is_out(struct regions *regions, const char *name)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);
	struct region *region = find_region(regions, name);

	if (region == NULL || !region->out)
		return false;
	if (!moment_passed(region->look_again, now_of(regions)))
		return true;
	look_later(regions, region); /* for all that come after this caller */
	return false;
}

bool regions_lost(struct regions *regions, const char *name)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);
	struct region *region = find_region(regions, name);
	bool is_news;

	if (region == NULL)
		region = make_region(regions, name);
	if (region == NULL)
		return false;
	is_news = !region->out;
	region->out = true;
	look_later(regions, region);
	return is_news;
}

bool regions_found(struct regions *regions, const char *name)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);
	struct region *region = find_region(regions, name);

	if (region == NULL || !region->out)
		return false;
	region->out = false;
	return true;
}

/* --- Keys */

/* The lock is held. */
static struct regions_key *make_key(struct regions *regions, const char *arn)
{
	size_t size = strlen(arn) + 1;
	struct regions_key *key = calloc(1, sizeof(*key) + size);

	if (key == NULL)
		return NULL;
	memcpy(key->arn, arn, size);
	if (map_put(&regions->by_key, bytes_of(key->arn), key))
		return key;
	free(key);
	return NULL;
}

struct regions_key *regions_key(struct regions *regions, const char *arn)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);
	struct regions_key *key = map_find(&regions->by_key, bytes_of(arn));

	return key == NULL ? make_key(regions, arn) : key;
}

bool regions_key_refused(struct regions *regions, const struct regions_key *key,
			 uint64_t *ret_no_count)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);

	*ret_no_count = key->no_count;
	return key->refused;
}

static void hear_no(struct regions_key *key)
{
	key->refused = true;
	key->no_count++;
}

void regions_key_heard(struct regions *regions, struct regions_key *key, const char *region,
		       bool own, uint64_t no_count, enum kms_status status)
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);

	if (own && kms_status_is_no_of_key(status))
		hear_no(key);
	if (status != KMS_OK)
		return;
	if (own && key->no_count == no_count)
		key->refused = false;
	snprintf(key->answered, sizeof(key->answered), "%s", region);
}

bool regions_key_answered(struct regions *regions, const char *arn,
			  char ret_region[static KMS_REGION_MAX + 1])
{
	pthread_mutex_t *lock AUTO(unlockp) = locked(&regions->lock);
	const struct regions_key *key = map_find(&regions->by_key, bytes_of(arn));

	if (key == NULL || key->answered[0] == 0)
		return false;
	strcpy(ret_region, key->answered);
	return true;
}
