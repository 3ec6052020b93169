/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of live EZKs. It keeps one as long as somebody holds it, or its lease or a refusal
 * is worth remembering. */
#include "zones/ezk/registry.h"

#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/ezk/registry_private.h"
#include "zones/model/record.h"
#include "zones/model/title.h"

#include <inttypes.h>

enum zone_status registry_new(const struct registry_settings *settings,
			      struct registry **ret_registry)
{
	AUTO(freep) struct registry *registry = calloc(1, sizeof(*registry));

	if (registry == NULL)
		return ZONE_NO_MEMORY;
	registry->settings = *settings;
	lease_rules_init(&registry->rules, settings->clock, &settings->lease);
	if (!crypto_random(registry->rules.salt, sizeof(registry->rules.salt)))
		return ZONE_NOT_STARTED;
	pthread_mutex_init(&registry->lock, NULL);
	*ret_registry = TAKE(registry);
	return ZONE_OK;
}

const struct registry_settings *registry_settings(const struct registry *registry)
{
	return &registry->settings;
}

void registry_note_news(struct registry *registry)
{
	atomic_fetch_add(&registry->rules.news, 1);
}

struct lease_rules *registry_rules(struct registry *registry)
{
	return &registry->rules;
}

/* --- One of them */

/* Anybody can bring a record set, and what is known of root keys is kept for ever. So all
 * projects that are not here, and so have no canary, share one place. */
static struct uid known_as(struct registry *registry, enum ezk_realm realm,
			   const struct entry *zone)
{
	const struct domain_view *domain = &registry->settings.domain;
	AUTO(entry_releasep) struct entry *project = NULL;

	if (realm == EZK_OF_STORE)
		return zone->project;
	project = domain->project(domain->state, zone->project);
	return project == NULL ? (struct uid){0} : zone->project;
}

/* What its entry says of leases is believed until the key itself comes, by a record that was found
 * good. */
static void expect(struct ezk *ezk)
{
	const struct ezk_version *version =
		entry_bound_version(ezk->entry, ezk->zone, ezk->version);
	struct lease_bounds bounds;

	if (version != NULL && limits_get_lease(version->limits, &bounds))
		lease_expect(&ezk->lease, &bounds);
}

static bool is_imported(const struct ezk *ezk)
{
	return ezk->zone != ezk->entry->of_zone.zone;
}

static struct ezk *ezk_new(struct registry *registry, enum ezk_realm realm, struct uid known_by,
			   const struct entry *zone, uint64_t bound, uint32_t version)
{
	struct ezk *ezk = calloc(1, sizeof(*ezk));

	if (ezk == NULL)
		return NULL;
	ezk->registry = registry;
	ezk->realm = realm;
	ezk->project = zone->project;
	ezk->known_by = known_by;
	ezk->zone = bound;
	ezk->version = version;
	ezk->entry = entry_hold((struct entry *)(uintptr_t)zone);
	lease_init(&ezk->lease, &registry->rules, &ezk_source, ezk);
	expect(ezk);
	registry_place(registry, ezk);
	return ezk;
}

struct ezk *ezk_hold(struct ezk *ezk)
{
	lanes_hold(&ezk->lease.lanes);
	return ezk;
}

static void ezk_free(struct ezk *ezk)
{
	lease_clear(&ezk->lease);
	entry_release(ezk->verified);
	entry_release(ezk->entry);
	free(ezk);
}

/* The registry frees it, unless that has gone. */
void ezk_release(struct ezk *ezk)
{
	if (ezk != NULL && lanes_release(&ezk->lease.lanes))
		ezk_free(ezk);
}

bool registry_let_go(struct ezk *ezk)
{
	if (lanes_are_held(&ezk->lease.lanes))
		return false;
	ezk_free(ezk);
	return true;
}

void ezk_releasep(struct ezk **ezk)
{
	ezk_release(*ezk);
}

bool registry_same_record(const struct entry *a, const struct entry *b, uint64_t bound,
			  uint32_t version)
{
	const struct ezk_version *in_a = entry_bound_version(a, bound, version),
				 *in_b = entry_bound_version(b, bound, version);

	return a->of_zone.zone == b->of_zone.zone && in_a != NULL && in_b != NULL &&
	       record_same_bound(in_a, in_b);
}

/* The entry, and what of it has been verified, which nobody need look at again if it is the same.
 * True: what the MAC covers has changed. */
static bool take_entry(struct ezk *ezk, const struct entry *zone, struct entry *ret_old[static 2])
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->lease.lock);
	struct entry *verified = ezk->verified;
	bool same = registry_same_record(ezk->entry, zone, ezk->zone, ezk->version);

	ret_old[0] = ezk->entry;
	ret_old[1] = NULL;
	ezk->entry = entry_hold((struct entry *)(uintptr_t)zone);
	if (verified != NULL && registry_same_record(verified, zone, ezk->zone, ezk->version)) {
		ret_old[1] = verified;
		ezk->verified = entry_hold(ezk->entry);
	}
	return !same;
}

/* By the zone's standing, that of where an imported version comes from, and by what its entry says
 * of the version. True: it could be used. */
static bool bar(struct ezk *ezk)
{
	enum zone_status why = ezk->standing != ZONE_OK ? ezk->standing : ezk->origin;

	if (why == ZONE_OK)
		why = registry_usable(ezk->registry, ezk->entry, ezk->zone, ezk->version);
	return lease_bar(&ezk->lease, why);
}

/* Takes a newer state of the zone; an older one changes nothing. True: it could be used. */
static bool follow(struct ezk *ezk, const struct entry *zone)
{
	struct entry *old[2];
	bool changed;

	/* It is only replaced here, with the registry's lock held; the lease's is for readers. */
	if (zone->revision <= ezk->entry->revision)
		return false;
	changed = take_entry(ezk, zone, old);
	entry_release(old[0]);
	entry_release(old[1]);
	registry_place(ezk->registry, ezk);
	/* No release writes that: the next use finds out whether it is what was sealed. */
	if (changed) {
		lease_end(&ezk->lease, ZONE_OK);
		expect(ezk);
	}
	return bar(ezk);
}

void registry_tell_fence(const struct entry *zone, uint32_t version)
{
	log_reason("version %" PRIu32 " of %s is fenced off, as its minimum version is %" PRIu32
		   "; to open what needs it, lower that ('cmek database set --min-version')",
		   version, zone_title_as(zone->label, NULL, zone->of_zone.zone).text,
		   zone->of_zone.minimum);
}

static bool may_open(const struct registry *registry, const struct ezk_version *version)
{
	size_t wraps = 0, allowed = 0;

	for (size_t i = 0; i < version->wrap_count; i++) {
		if (version->wraps[i].state == WRAP_REPLACED)
			continue;
		allowed += kms_clients_allow(registry->settings.clients, version->wraps[i].arn);
		wraps++;
	}
	/* Without wraps it does not open in any case. */
	return wraps == 0 || (version->all_wraps ? allowed == wraps : allowed > 0);
}

/* Numbers of its own versions are counted; an imported one may never have been here. */
static enum zone_status missing(const struct entry *zone, uint64_t bound, uint32_t version)
{
	return bound == zone->of_zone.zone && entry_version_is_gone(zone, version) ? ZONE_DELETED
										   : ZONE_NOT_FOUND;
}

enum zone_status registry_usable(struct registry *registry, const struct entry *zone,
				 uint64_t bound, uint32_t version)
{
	const struct ezk_version *found = entry_bound_version(zone, bound, version);

	if (zone->state != ENTRY_ACTIVE)
		return ZONE_PENDING_DELETION;
	if (found == NULL)
		return missing(zone, bound, version);
	if (found->retired)
		return ZONE_PENDING_DELETION;
	if (found->record_zone == 0 && version < zone->of_zone.minimum)
		return ZONE_FENCED;
	return may_open(registry, found) ? ZONE_OK : ZONE_ROOT_KEY_REFUSED;
}

/* --- All of them */

static struct live *find_zone(struct registry *registry, enum ezk_realm realm,
			      const struct uid *uid)
{
	return map_find(&registry->of[realm], bytes(uid->bytes, UID_SIZE));
}

static struct live *add_zone(struct registry *registry, enum ezk_realm realm, const struct uid *uid)
{
	AUTO(freep) struct live *live = calloc(1, sizeof(*live));

	if (live == NULL)
		return NULL;
	live->realm = realm;
	live->uid = *uid;
	if (!map_put(&registry->of[realm], bytes(live->uid.bytes, UID_SIZE), live))
		return NULL;
	live->next = registry->first;
	registry->first = live;
	return TAKE(live);
}

static struct ezk *find_version(const struct live *live, uint64_t bound, uint32_t version)
{
	struct ezk *ezk = live->versions;

	while (ezk != NULL && (ezk->version != version || ezk->zone != bound))
		ezk = ezk->next;
	return ezk;
}

static struct ezk *add_version(struct registry *registry, struct live *live, struct uid known_by,
			       const struct entry *zone, uint64_t bound, uint32_t version)
{
	struct ezk *ezk = ezk_new(registry, live->realm, known_by, zone, bound, version);

	if (ezk == NULL)
		return NULL;
	ezk->next = live->versions;
	live->versions = ezk;
	return ezk;
}

static enum zone_status find_or_add(struct registry *registry, enum ezk_realm realm,
				    const struct entry *zone, uint64_t bound, uint32_t version,
				    bool *ret_new, struct ezk **ret_ezk)
{
	const struct uid known_by = known_as(registry, realm, zone);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);
	struct live *live = find_zone(registry, realm, &zone->uid);
	struct ezk *ezk;

	if (live == NULL)
		live = add_zone(registry, realm, &zone->uid);
	if (live == NULL)
		return ZONE_NO_MEMORY;
	ezk = find_version(live, bound, version);
	*ret_new = ezk == NULL;
	if (ezk == NULL)
		ezk = add_version(registry, live, known_by, zone, bound, version);
	if (ezk == NULL)
		return ZONE_NO_MEMORY;
	follow(ezk, zone);
	*ret_ezk = ezk_hold(ezk);
	return ZONE_OK;
}

static bool stand(struct ezk *ezk, enum zone_status why)
{
	ezk->standing = why;
	return bar(ezk);
}

/* Records bear no name. */
static enum zone_status standing_of(struct ezk *ezk, const struct entry *zone)
{
	const struct domain_view *domain = &ezk->registry->settings.domain;

	return ezk->realm == EZK_OF_STORE
		       ? domain->standing_of_row(domain->state, zone)
		       : domain->standing(domain->state, ezk->zone, ezk->version);
}

/* What was deleted here does not open by way of a zone that has imported it either. */
static enum zone_status origin_of(struct ezk *ezk, const struct entry *zone)
{
	const struct domain_view *domain = &ezk->registry->settings.domain;

	return ezk->zone == zone->of_zone.zone
		       ? ZONE_OK
		       : domain->standing(domain->state, ezk->zone, ezk->version);
}

/* A new live EZK missed the last change of the index, and its maker may know an older state of
 * the zone. A thread that changes the index later finds it. */
static void settle(struct ezk *ezk, const struct entry *zone)
{
	enum zone_status why, origin;

	do {
		why = standing_of(ezk, zone);
		origin = origin_of(ezk, zone);
		pthread_mutex_lock(&ezk->registry->lock);
		ezk->origin = origin;
		stand(ezk, why);
		pthread_mutex_unlock(&ezk->registry->lock);
	} while (why != standing_of(ezk, zone) || origin != origin_of(ezk, zone));
}

/* What stands against it could not be found out. */
static bool is_unsettled(struct ezk *ezk)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->registry->lock);

	return ezk->standing == ZONE_STORE_UNAVAILABLE || ezk->origin == ZONE_STORE_UNAVAILABLE;
}

/* Before anything is said of it. */
static enum zone_status know(struct registry *registry, uint64_t zone)
{
	const struct domain_view *domain = &registry->settings.domain;

	return domain->know == NULL ? ZONE_OK : domain->know(domain->state, zone);
}

enum zone_status registry_live(struct registry *registry, enum ezk_realm realm,
			       const struct entry *zone, uint64_t bound, uint32_t version,
			       struct ezk **ret_ezk)
{
	bool is_new;

	TRY(know(registry, zone->of_zone.zone));
	TRY(know(registry, bound));
	TRY(find_or_add(registry, realm, zone, bound, version, &is_new, ret_ezk));
	if (is_new || is_unsettled(*ret_ezk))
		settle(*ret_ezk, zone);
	return ZONE_OK;
}

bool registry_changed(struct registry *registry, const struct entry *zone, enum zone_status why)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);
	struct live *live = find_zone(registry, EZK_OF_STORE, &zone->uid);
	bool ended = false;

	if (live == NULL)
		return false;
	live->gone = why == ZONE_NOT_FOUND || why == ZONE_DELETED;
	for (struct ezk *ezk = live->versions; ezk != NULL; ezk = ezk->next) {
		ended |= stand(ezk, why);
		ended |= follow(ezk, zone);
	}
	return ended;
}

/* True: it could be used. */
static bool stand_by_numbers(struct ezk *ezk, registry_standing *standing, void *state)
{
	enum zone_status *place = ezk->realm == EZK_OF_SESSION ? &ezk->standing : &ezk->origin;
	enum zone_status why;

	if (ezk->realm != EZK_OF_SESSION && !is_imported(ezk))
		return false;
	why = standing(state, ezk->zone, ezk->version);
	if (why == *place)
		return false;
	*place = why;
	return bar(ezk);
}

void registry_changed_records(struct registry *registry, registry_standing *standing, void *state,
			      struct buffer *ret_ended)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);

	for (struct live *live = registry->first; live != NULL; live = live->next)
		for (struct ezk *ezk = live->versions; ezk != NULL; ezk = ezk->next)
			if (stand_by_numbers(ezk, standing, state))
				buffer_append(ret_ended, bytes(&ezk->zone, sizeof(ezk->zone)));
}

void registry_zones(struct registry *registry, struct buffer *ret_zones)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&registry->lock);

	for (struct live *live = registry->first; live != NULL; live = live->next)
		for (struct ezk *ezk = live->versions; ezk != NULL; ezk = ezk->next) {
			const uint64_t zones[] = {ezk->zone, ezk->entry->of_zone.zone};

			buffer_append(ret_zones, bytes((const uint8_t *)zones, sizeof(zones)));
		}
}

/* --- The end */

void registry_drop(struct registry *registry, struct live *live)
{
	map_remove(&registry->of[live->realm], bytes(live->uid.bytes, UID_SIZE));
	free(live);
}

void registry_free(struct registry *registry)
{
	struct map_entry *root;
	struct live *live;
	size_t at = 0;

	if (registry == NULL)
		return;
	while ((live = registry->first) != NULL) {
		registry->first = live->next;
		for (struct ezk *ezk = live->versions, *next; ezk != NULL; ezk = next) {
			next = ezk->next;
			lease_bar(&ezk->lease, ZONE_NOT_STARTED); /* wipes, whoever holds it */
			if (!lanes_end(&ezk->lease.lanes))
				ezk_free(ezk);
		}
		registry_drop(registry, live);
	}
	map_clear(&registry->of[EZK_OF_STORE]);
	map_clear(&registry->of[EZK_OF_SESSION]);
	while ((root = map_next(&registry->roots, &at)) != NULL)
		root_lease_free(root->value);
	map_clear(&registry->roots);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

void registry_abandon(struct registry *registry)
{
	(void)registry; /* its locks may be held by threads that are not here */
}
