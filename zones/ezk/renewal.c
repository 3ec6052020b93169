/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the lease of a live EZK asks: the KMS for the EZK itself, by the newest known state of
 * its zone; or the canary of its root key, whether it still vouches. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/ezk/registry.h"
#include "zones/kms/audit.h"
#include "zones/kms/door.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/title.h"

#include <inttypes.h>

/* Held; NULL: it is not here. */
static struct entry *find_project(const struct ezk *ezk, struct uid uid)
{
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;

	return domain->project(domain->state, uid);
}

/* --- The EZK itself */

struct opening {
	struct ezk *ezk;
	struct kms_door door;
};

/* A no about the key that is remembered is answered without asking. */
static enum zone_status open_by(void *state, const struct ezk_version *version,
				const struct wrap *wrap, uint8_t ret_ezk[static EZK_SIZE])
{
	struct opening *opening = state;
	struct ezk *ezk = opening->ezk;
	uint64_t no_count = 0;
	struct root_lease *root =
		registry_listen(ezk->registry, ezk->known_by, wrap->arn, &no_count);
	enum zone_status status;

	if (root != NULL)
		TRY(root_lease_refusal(root, registry_rules(ezk->registry)));
	status = ezk_wrap_open(&opening->door, ezk->zone, version, wrap, ret_ezk);
	/* Before the answer is told: a no about the key ends all leases that rest on it, and
	 * this lease must be among them. */
	if (status == ZONE_OK)
		ezk_rest_on(ezk, wrap->share == 0 ? 0 : wrap->share - 1, root);
	return registry_hear(ezk->registry, root, no_count, status);
}

/* A live EZK stays the same key as long as anybody holds it: values that were masked by it must
 * be readable again, whatever the store says by now. */
static enum zone_status check_same(struct ezk *ezk, const uint8_t key[static EZK_SIZE])
{
	uint8_t fingerprint[FINGERPRINT_SIZE];

	if (!ezk_fingerprint(key, fingerprint))
		return ZONE_NO_MEMORY;
	if (!ezk->was_brought)
		memcpy(ezk->fingerprint, fingerprint, FINGERPRINT_SIZE);
	ezk->was_brought = true;
	if (memcmp(ezk->fingerprint, fingerprint, FINGERPRINT_SIZE) == 0)
		return ZONE_OK;
	log_error("the EZK of %s, version %" PRIu32
		  " is not the one it was; the store was changed: "
		  "restore it from a backup",
		  zone_title_by(ezk, ezk->zone).text, ezk->version);
	return ZONE_RECORD_CORRUPT;
}

/* What its MAC was found good for. */
static void note_verified(struct ezk *ezk, struct entry *zone)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&ezk->lease.lock);
	struct entry *before = ezk->verified;

	ezk->verified = entry_hold(zone);
	entry_release(before);
}

/* Each smaller bound once in a process: for people who wonder why the configuration does not count.
 */
static void tell_bounds(struct ezk *ezk, const struct entry *project, const struct entry *zone,
			const struct lease_bounds *bounds)
{
	const struct lease_settings *settings = &registry_settings(ezk->registry)->lease;
	struct lease_rules *rules = registry_rules(ezk->registry);
	struct zone_title title = zone_title_as(zone->label, entry_label(project), ezk->zone);

	if (bounds->max_lease < settings->lease_seconds &&
	    lease_rules_first(&rules->told_lease, bounds->max_lease))
		log_info("%s: its greatest lease is %" PRIu32 " s, by its record, which holds in "
			 "place of [kms] lease_seconds = %u",
			 title.text, bounds->max_lease, settings->lease_seconds);
	if (bounds->max_stale < settings->max_stale_seconds &&
	    lease_rules_first(&rules->told_stale, bounds->max_stale))
		log_info("%s: its greatest stale time is %" PRIu32 " s, by its record, which "
			 "holds in place of [kms] max_stale_seconds = %u",
			 title.text, bounds->max_stale, settings->max_stale_seconds);
}

static bool is_news(const struct ezk_opened *opened)
{
	bool news = false;

	for (size_t i = 0; i < opened->count; i++)
		news |= opened->by[i]->state != WRAP_ACTIVE;
	return news;
}

/* Once for each state of the zone: where it can't be noted, the next process may. */
static void prove(struct ezk *ezk, const struct entry *zone, const struct ezk_version *version,
		  const struct ezk_opened *opened)
{
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;

	if (!is_news(opened) || ezk->realm != EZK_OF_STORE || domain->proven == NULL ||
	    ezk->proved == zone->revision)
		return;
	ezk->proved = zone->revision;
	for (size_t i = 0; i < opened->count; i++)
		if (opened->by[i]->state != WRAP_ACTIVE)
			domain->proven(domain->state, zone, version, opened->by[i]);
}

static enum zone_status bring(void *state, struct lease_bounds *ret_bounds,
			      uint8_t ret_ezk[static EZK_SIZE])
{
	struct ezk *ezk = state;
	AUTO(entry_releasep) struct entry *zone = ezk_entry(ezk);
	AUTO(entry_releasep) struct entry *project = find_project(ezk, zone->project);
	const struct ezk_version *version = entry_bound_version(zone, ezk->zone, ezk->version);
	struct opening opening = {
		.ezk = ezk,
		.door =
			{
				.clients = registry_settings(ezk->registry)->clients,
				.project = entry_label(project),
				.project_id = ezk->project,
				.zone = zone->label,
				.zone_id = ezk->zone,
				.version = ezk->version,
			},
	};

	struct ezk_opened opened;

	if (version == NULL)
		return ZONE_NOT_FOUND;
	TRY(ezk_version_by_wraps(&opening.door, ezk->zone, version, open_by, &opening, &opened,
				 ret_ezk));
	TRY(check_same(ezk, ret_ezk));
	if (!limits_get_lease(version->limits, ret_bounds))
		return ZONE_RECORD_CORRUPT;
	note_verified(ezk, zone);
	tell_bounds(ezk, project, zone, ret_bounds);
	prove(ezk, zone, version, &opened);
	return ZONE_OK;
}

/* --- Its root key */

struct canary {
	struct registry *registry;
	struct root_lease *root;
};

/* A no about the key is passed on before anybody can answer it. */
static enum zone_status ask_canary(void *state)
{
	const struct canary *canary = state;
	const struct domain_view *domain = &registry_settings(canary->registry)->domain;
	const struct root_lease *root = canary->root;
	uint64_t no_count = root_lease_no_count(canary->root);
	enum zone_status status = domain->ask_canary(domain->state, root->project, root->arn);

	if (zone_status_is_no_of_key(status))
		registry_hear(canary->registry, canary->root, no_count, status);
	return status;
}

static enum vouch vouch_by(struct ezk *ezk, struct root_lease *root, enum vouch_how how,
			   int64_t yes_ms, struct voucher *ret_voucher)
{
	struct canary canary = {ezk->registry, root};
	enum zone_status refused;
	enum vouch said;

	if (canary.root == NULL)
		return VOUCH_ASK_ITSELF;
	said = root_lease_vouch(canary.root, registry_rules(ezk->registry), how, yes_ms, ask_canary,
				&canary, ret_voucher, &refused);
	if (refused != ZONE_OK)
		registry_doubt(ezk->registry, canary.root);
	return said;
}

/* Of two owners both must say yes, and the earlier one counts; whatever else one of them says is
 * the answer, but for an outage, past which the other may still have none of it. */
static enum vouch vouch(void *state, enum vouch_how how, int64_t yes_ms,
			struct voucher *ret_voucher)
{
	struct ezk *ezk = state;
	enum vouch said = VOUCH_YES;

	for (size_t i = 0; i < ezk_owner_count(ezk); i++) {
		struct voucher voucher = {0};
		enum vouch one = vouch_by(ezk, ezk->rests_on[i], how, yes_ms, &voucher);

		if (one == VOUCH_ASK_ITSELF || one == VOUCH_BUSY)
			return one;
		if (said != VOUCH_YES) /* an outage already */
			continue;
		if (i > 0 && one == VOUCH_YES) {
			voucher.asked = moment_earlier(voucher.asked, ret_voucher->asked);
			voucher.renew = moment_earlier(voucher.renew, ret_voucher->renew);
		}
		*ret_voucher = voucher;
		said = one;
	}
	return said;
}

static enum zone_status refusal(void *state)
{
	struct ezk *ezk = state;

	for (size_t i = 0; i < ezk_owner_count(ezk); i++) {
		struct root_lease *root = ezk->needs[i];

		if (root != NULL)
			TRY(root_lease_refusal(root, registry_rules(ezk->registry)));
	}
	return ZONE_OK;
}

/* Of an imported version it may be the zone that has it, or the one that it comes from. */
static uint64_t subject_of(const struct ezk *ezk, const struct entry *zone, enum zone_status why)
{
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;

	return domain->standing(domain->state, ezk->zone, ezk->version) == why ? ezk->zone
									       : zone->of_zone.zone;
}

static void say(void *state, enum zone_status why)
{
	struct ezk *ezk = state;
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;
	AUTO(entry_releasep) struct entry *zone = ezk_entry(ezk);
	AUTO(entry_releasep) struct entry *project = find_project(ezk, zone->project);

	if (domain->explain(domain->state, subject_of(ezk, zone, why), ezk->version, why))
		return;
	if (why == ZONE_FENCED) {
		registry_tell_fence(zone, ezk->version);
		return;
	}
	log_reason("%s, version %" PRIu32 ": %s, as was heard a moment ago%s",
		   zone_title_as(zone->label, entry_label(project), ezk->zone).text, ezk->version,
		   zone_status_text(why),
		   log_writes(LOG_ERROR) ? "; the log has the line that says more" : "");
}

/* --- For the audit log */

static void tell(void *state, enum lease_event event, enum zone_status why)
{
	static const char *const actions[] = {[LEASE_ENDED] = "ended",
					      [LEASE_REFUSED] = "refused",
					      [LEASE_RECOVERED] = "recovered"};
	struct ezk *ezk = state;
	const struct root_lease *only = ezk->both ? NULL : ezk->needs[0];
	AUTO(entry_releasep) struct entry *zone = ezk_entry(ezk);
	AUTO(entry_releasep) struct entry *project = find_project(ezk, ezk->project);
	const struct ezk_version *version = entry_bound_version(zone, ezk->zone, ezk->version);
	unsigned configured = registry_settings(ezk->registry)->lease.lease_seconds;
	uint32_t lease =
		version == NULL ? configured : limits_lease_seconds(version->limits, configured);

	audit_write(&(struct audit_event){
		.event = "lease",
		.action = actions[event],
		.outcome = why == ZONE_OK ? "ok" : zone_status_text(why),
		.project = entry_label(project),
		.project_id = ezk->project,
		.name = zone->label,
		.zone = ezk->zone,
		.version = ezk->version,
		.root_key = only == NULL ? NULL : only->arn,
		.duration_us = -1,
		.lease = &lease,
	});
}

static enum zone_status silence(void *state)
{
	struct ezk *ezk = state;

	for (size_t i = 0; i < ezk_owner_count(ezk); i++) {
		const struct root_lease *root = ezk->needs[i];

		if (root != NULL)
			TRY(door_silent(registry_settings(ezk->registry)->clients, root->arn));
	}
	return ZONE_OK;
}

static void look(void *state)
{
	struct ezk *ezk = state;
	const struct domain_view *domain = &registry_settings(ezk->registry)->domain;

	domain->refresh(domain->state);
}

const struct lease_source ezk_source = {bring, vouch, refusal, say, tell, silence, look};
