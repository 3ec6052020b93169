/* Token keys: data keys that the store keeps, wrapped by the EZK of their zone. */
#include "base/macros.h"
#include "zones/ezk.h"
#include "zones/rules.h"

#include <inttypes.h>

static const char default_zone[] = DEFAULT_CLUSTER "/" DEFAULT_CLUSTER;

static struct entry *find_default(struct zones *zones, struct uid project)
{
	struct entry *zone;

	pthread_rwlock_rdlock(&zones->lock);
	zone = index_label(&zones->index, project, ENTRY_ZONE, bytes_of(default_zone));
	if (zone == NULL)
		zone = index_label(&zones->index, project, ENTRY_ZONE, bytes_of(DEFAULT_CLUSTER));
	if (zone != NULL)
		entry_hold(zone);
	pthread_rwlock_unlock(&zones->lock);
	return zone;
}

/* KMS. Who comes second finds the first's. */
static enum zone_status default_or_new(struct zones *zones, struct uid project,
				       struct entry **ret_zone)
{
	const struct entry_names names = {.label = bytes_of(default_zone),
					  .usages = USAGE_WRAP | USAGE_UNWRAP};
	enum zone_status status;

	*ret_zone = find_default(zones, project);
	if (*ret_zone != NULL)
		return ZONE_OK;
	status = zones_zone_create(zones, project, &names, ret_zone);
	if (status == ZONE_EXISTS)
		*ret_zone = find_default(zones, project);
	return *ret_zone != NULL ? ZONE_OK : status;
}

static enum zone_status find_zone(struct zones *zones, struct uid project, uint64_t id,
				  struct entry **ret_zone)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	if (id == 0)
		return default_or_new(zones, project, ret_zone);
	zone = zones_find_zone(zones, id);
	if (zone == NULL)
		return refuse(ZONE_NOT_FOUND, "there is no zone %" PRIu64, id);
	if (!uid_equal(zone->project, project))
		return refuse(ZONE_OTHER_ZONE, "zone %" PRIu64 " belongs to another project", id);
	*ret_zone = TAKE(zone);
	return ZONE_OK;
}

static enum zone_status wrap(struct zones *zones, const struct entry *zone, struct bytes value,
			     struct entry *key)
{
	uint8_t wrapped[DEK_MAX + DEK_WRAP_OVERHEAD];
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	if (value.len == 0 || value.len > DEK_MAX)
		return refuse(ZONE_INVALID, "a key that is kept has 1 to %d bytes", DEK_MAX);
	TRY(ezk_find(zones, zone, EZK_PRIMARY, &ezk));
	TRY(dek_wrap(ezk, value, bytes(key->uid.bytes, UID_SIZE), wrapped));
	return entry_set_bytes(&key->of_key.wrapped, bytes(wrapped, value.len + DEK_WRAP_OVERHEAD))
		       ? ZONE_OK
		       : ZONE_NO_MEMORY;
}

/* The zone may have gone while the KMS was asked. */
static enum zone_status decide(struct changes *changes, void *state)
{
	const struct index *index = &changes->zones->index;
	struct entry *key = state;
	const struct entry *zone = index_zone(index, key->of_key.zone);

	TRY(project_check(index, key->project));
	if (zone == NULL)
		return refuse(ZONE_NOT_FOUND, "zone %" PRIu64 " is not there any more",
			      key->of_key.zone);
	if (zone->state != ENTRY_ACTIVE)
		return refuse(ZONE_PENDING_DELETION, "zone '%s' awaits deletion", zone->label);
	return changes_put(changes, key);
}

enum zone_status zones_key_create(struct zones *zones, struct uid project, uint64_t zone_id,
				  uint32_t key_type, struct bytes value,
				  const struct entry_names *names, struct entry **ret_key)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *key = NULL;

	TRY(find_zone(zones, project, zone_id, &zone));
	TRY(entry_make(zones, ENTRY_KEY, project, &key));
	TRY(entry_take_names(key, names));
	key->of_key.zone = zone->of_zone.zone;
	key->of_key.key_type = key_type;
	key->of_key.value_len = (uint32_t)value.len;
	TRY(wrap(zones, zone, value, key));
	TRY(zones_change(zones, decide, key));
	*ret_key = TAKE(key);
	return ZONE_OK;
}
