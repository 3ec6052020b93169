/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Live EZKs as their users see them: found, begun, derived from. */
#include "zones/ezk/ezk.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "zones/ezk/registry.h"
#include "zones/kms/door.h"
#include "zones/model/record.h"
#include "zones/model/wraps.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* --- Finding */

static enum zone_status refuse(struct registry *registry, uint64_t zone, uint32_t version,
			       enum zone_status why)
{
	const struct domain_view *domain = &registry_settings(registry)->domain;

	domain->explain(domain->state, zone, version, why);
	return why;
}

static enum zone_status find(struct registry *registry, enum ezk_realm realm,
			     const struct entry *zone, uint64_t bound, uint32_t version,
			     struct ezk **ret_ezk)
{
	enum zone_status why = registry_usable(registry, zone, bound, version);

	if (why == ZONE_FENCED)
		registry_tell_fence(zone, version);
	if (why != ZONE_OK)
		return refuse(registry, zone->of_zone.zone, version, why);
	return registry_live(registry, realm, zone, bound, version, ret_ezk);
}

enum zone_status ezk_find(struct registry *registry, const struct entry *zone, uint32_t version,
			  struct ezk **ret_ezk)
{
	assert(zone->kind == ENTRY_ZONE);
	if (version == EZK_PRIMARY)
		version = zone->of_zone.primary;
	else if (version == EZK_RAW)
		version = zone->of_zone.raw;
	return find(registry, EZK_OF_STORE, zone, zone->of_zone.zone, version, ret_ezk);
}

struct entry *ezk_entry(struct ezk *ezk)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->lease.lock);

	return entry_hold(ezk->entry);
}

enum zone_status ezk_sibling(struct ezk *ezk, uint64_t bound, uint32_t version,
			     struct ezk **ret_ezk)
{
	AUTO(entry_releasep) struct entry *zone = ezk_entry(ezk);

	if (!entry_is_bound(zone, bound))
		return ZONE_OTHER_ZONE;
	return find(ezk->registry, ezk->realm, zone, bound, version, ret_ezk);
}

struct zone_title zone_title_by(struct ezk *ezk, uint64_t zone)
{
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;

	return domain->title(domain->state, zone);
}

bool ezk_is_imported(struct ezk *ezk)
{
	AUTO(entry_releasep) struct entry *zone = ezk_entry(ezk);

	return zone->of_zone.imported || zone->of_zone.zone != ezk->zone;
}

uint64_t ezk_zone(const struct ezk *ezk)
{
	return ezk->zone;
}

uint32_t ezk_version_number(const struct ezk *ezk)
{
	return ezk->version;
}

/* --- A session's record set */

/* What the records are known by here: whoever brings the same again, under the same root key,
 * shares the lease. */
static bool name_records(const char *arn, struct bytes records, struct uid *ret_uid)
{
	AUTO(buffer_clear) struct buffer all = {0};
	uint8_t digest[SHA256_SIZE];

	buffer_put_sized(&all, bytes_of(arn));
	buffer_append(&all, records);
	if (all.failed || !digest_once(DIGEST_SHA256, buffer_bytes(&all), digest))
		return false;
	memcpy(ret_uid->bytes, digest, UID_SIZE);
	return true;
}

struct known_keys {
	const struct domain_view *domain;
	struct uid project;
};

static bool is_known(void *state, const char *arn)
{
	const struct known_keys *known = state;
	const struct domain_view *domain = known->domain;

	return domain->has_root_key != NULL &&
	       domain->has_root_key(domain->state, known->project, arn);
}

/* By the root key; of two owners by the other's, too, which the project must have. */
static enum zone_status keep_trusted(struct registry *registry, const struct entry *root_key,
				     const char *arn, uint64_t zone, struct ezk_version *version)
{
	const struct registry_settings *settings = registry_settings(registry);
	const struct kms_provider *const *providers = kms_clients_providers(settings->clients);
	struct known_keys known = {&settings->domain, root_key->project};

	if (!version->all_wraps) {
		ezk_version_keep_wraps(providers, version, arn);
		return ZONE_OK;
	}
	ezk_version_keep_shares(providers, version, arn, is_known, &known);
	if (version->wrap_count == 0 || ezk_version_fits_policy(providers, version))
		return ZONE_OK;
	log_error(
		"%s needs the root keys of two owners, and the project has not both of those that "
		"its record names; add the other ('cmek key add')",
		zone_title_as(NULL, NULL, zone).text);
	return ZONE_NO_ROOT_KEY;
}

/* An entry as the index would have it. The set does not say which version is the raw one; it is
 * the first, as in a new zone. */
static enum zone_status entry_of_set(struct registry *registry, const struct entry *root_key,
				     const char *arn, struct bytes records,
				     struct entry **ret_entry)
{
	AUTO(record_set_clear) struct record_set set = {0};
	AUTO(entry_releasep) struct entry *zone = entry_new(ENTRY_ZONE);

	if (zone == NULL)
		return ZONE_NO_MEMORY;
	TRY(record_set_decode(records, &set));
	TRY(record_set_refuse_kept(&set));
	if (!name_records(arn, records, &zone->uid))
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < set.count; i++)
		TRY(keep_trusted(registry, root_key, arn, set.zone, &set.versions[i]));
	zone->project = set.versions[0].project;
	zone->of_zone.zone = set.zone;
	zone->of_zone.cluster = set.versions[0].cluster;
	zone->of_zone.raw = zone->of_zone.minimum = set.versions[0].version;
	zone->of_zone.primary = set.versions[set.count - 1].version;
	zone->of_zone.version_count = set.count;
	zone->of_zone.versions = set.versions;
	set = (struct record_set){0};
	*ret_entry = TAKE(zone);
	return ZONE_OK;
}

/* The ARN of a root key that may have been named by an alias or a key id. */
static enum zone_status resolve(const struct registry_settings *settings,
				const struct entry *root_key, struct kms_key *ret_key)
{
	const struct domain_view *domain = &settings->domain;
	AUTO(entry_releasep)
	struct entry *project = domain->project(domain->state, root_key->project);
	const char *name = root_key->of_root_key.arn;
	const struct kms_door door = {
		.clients = settings->clients,
		.key = name,
		.project = entry_label(project),
		.project_id = root_key->project,
	};

	if (!kms_clients_is_own_name(settings->clients, name))
		return door_describe(&door, ret_key);
	snprintf(ret_key->arn, sizeof(ret_key->arn), "%s", name);
	return ZONE_OK;
}

static enum zone_status check_standing(struct registry *registry, uint64_t zone, uint32_t version)
{
	const struct domain_view *domain = &registry_settings(registry)->domain;

	if (domain->know != NULL)
		TRY(domain->know(domain->state, zone));
	return refuse(registry, zone, version, domain->standing(domain->state, zone, version));
}

enum zone_status ezk_from_records(struct registry *registry, const struct entry *root_key,
				  struct bytes records, struct ezk **ret_ezk)
{
	const struct registry_settings *settings = registry_settings(registry);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct kms_key key;

	assert(root_key->kind == ENTRY_ROOT_KEY);
	/* It is not opened before the store was asked whether the zone was deleted. */
	TRY(settings->domain.refresh(settings->domain.state));
	TRY(resolve(settings, root_key, &key));
	TRY(door_check_allowed(&(struct kms_door){.clients = settings->clients}, key.arn));
	TRY(entry_of_set(registry, root_key, key.arn, records, &zone));
	if (entry_version(zone, zone->of_zone.primary)->wrap_count == 0)
		return ZONE_KMS_INCORRECT_KEY;
	TRY(check_standing(registry, zone->of_zone.zone, zone->of_zone.primary));
	TRY(find(registry, EZK_OF_SESSION, zone, zone->of_zone.zone, zone->of_zone.primary, &ezk));
	TRY(ezk_begin(ezk));
	*ret_ezk = TAKE(ezk);
	return ZONE_OK;
}

/* --- Leases */

static enum zone_status answer(struct ezk *ezk, enum zone_status status)
{
	if (zone_status_is_no(status))
		registry_await_noes(ezk->registry);
	return status;
}

enum zone_status ezk_begin(struct ezk *ezk)
{
	return answer(ezk, lease_begin(&ezk->lease));
}

enum zone_status ezk_continue(struct ezk *ezk)
{
	return answer(ezk, lease_continue(&ezk->lease));
}

static bool says_the_same(struct ezk *ezk, const struct entry *zone)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->lease.lock);
	struct entry *verified = ezk->verified;

	return verified != NULL && registry_same_record(verified, zone, ezk->zone, ezk->version);
}

enum zone_status ezk_verified(struct ezk *ezk, const struct entry *zone)
{
	if (atomic_load_explicit(&ezk->verified, memory_order_acquire) == zone ||
	    says_the_same(ezk, zone))
		return ZONE_OK;
	log_error("zone '%s' (id %" PRIu64 ", version %" PRIu32 "): its EZK record is not the one "
		  "that was found good; the store was changed: restore it from a backup",
		  zone->label, ezk->zone, ezk->version);
	return ZONE_RECORD_CORRUPT;
}

bool ezk_leased(const struct ezk *ezk)
{
	return lease_runs(&ezk->lease);
}

bool ezk_is_fresh(const struct ezk *ezk, int64_t realtime_ms)
{
	return lease_is_fresh(&ezk->lease, realtime_ms);
}

void registry_sweep(struct registry *registry)
{
	if (lease_rules_due(registry_rules(registry)))
		registry_wipe_ended(registry);
}

struct registry_watch registry_watch(struct registry *registry)
{
	const struct lease_rules *rules = registry_rules(registry);

	return (struct registry_watch){rules->clock, &rules->wipe_realtime_ms, &rules->news};
}

/* --- Keys for a purpose */

/* From the lease's keys, derived at the first need. */
static enum zone_status derive(struct ezk *ezk, enum ezk_purpose purpose, uint8_t *ret_secret)
{
	struct lease_keys *keys = ezk->lease.keys;
	uint8_t *key = keys->derived[purpose];

	if (!keys->has[purpose] && !ezk_derive(keys->ezk, purpose, ezk->zone, ezk->version, key))
		return crypto_started() ? ZONE_NO_MEMORY : ZONE_NOT_STARTED;
	keys->has[purpose] = true;
	secret_copy(ret_secret, key, EZK_SIZE);
	return ZONE_OK;
}

/* False: the lease has ended. */
static bool key_now(struct ezk *ezk, enum ezk_purpose purpose, uint8_t *ret_secret,
		    enum zone_status *ret_status)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->lease.lock);

	if (ezk->lease.keys == NULL || !lease_runs(&ezk->lease))
		return false;
	*ret_status = derive(ezk, purpose, ret_secret);
	return true;
}

enum zone_status ezk_key(struct ezk *ezk, enum ezk_purpose purpose, uint8_t *ret_secret)
{
	enum zone_status status;

	if (key_now(ezk, purpose, ret_secret, &status))
		return status;
	TRY(ezk_begin(ezk));
	if (key_now(ezk, purpose, ret_secret, &status))
		return status;
	/* It has ended in the moment since then: such a lease is too short to be used. */
	return ZONE_KMS_UNAVAILABLE;
}
