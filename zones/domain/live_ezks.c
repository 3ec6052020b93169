/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What live EZKs see of the domain: they are below it, and know it by this table alone. */
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/rewrap_private.h"
#include "zones/domain/root_key_private.h"
#include "zones/domain/standing.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/registry.h"

static struct entry *project(void *zones, struct uid uid)
{
	return zones_find_uid(zones, uid);
}

static enum zone_status standing(void *zones, uint64_t zone, uint32_t version)
{
	return standing_of_version_now(zones, zone, version);
}

static enum zone_status row_standing(void *zones, const struct entry *row)
{
	return standing_of_row_now(zones, row);
}

static bool explain(void *zones, uint64_t zone, uint32_t version, enum zone_status why)
{
	standing_refuse(zones, zone, version, why);
	return standing_is(why);
}

static struct zone_title title(void *zones, uint64_t zone)
{
	return zone_title(zones, zone);
}

static enum zone_status refresh(void *zones)
{
	return zones_refresh(zones, false);
}

static enum zone_status ask_canary(void *zones, struct uid project_uid, const char *arn)
{
	return root_key_ask_canary(zones, project_uid, arn, false);
}

static void proven(void *zones, const struct entry *zone, const struct ezk_version *version,
		   const struct wrap *wrap)
{
	zone_wrap_proven(zones, zone, version, wrap);
}

static bool has_root_key(void *zones, struct uid project_uid, const char *arn)
{
	return rewrap_has_root_key(zones, project_uid, arn);
}

static enum zone_status know(void *zones, uint64_t zone)
{
	return zones_know_zone(zones, zone);
}

enum zone_status zones_live_ezks(struct zones *zones, struct kms_clients *clients,
				 struct registry **ret_registry)
{
	const struct zones_settings *settings = &zones->settings;
	const struct registry_settings live = {
		.lease =
			{
				.lease_seconds = settings->lease_seconds,
				.deny_seconds = settings->deny_seconds,
				.max_stale_seconds = settings->max_stale_seconds,
				.call_ms = settings->kms_call_ms,
				.zone_lease_seconds =
					settings->renew_by_zone ? 0 : settings->zone_lease_seconds,
			},
		.clock = zones->clock,
		.clients = clients,
		.domain = {zones, project, standing, row_standing, explain, title, refresh,
			   ask_canary, proven, has_root_key, know},
	};

	return registry_new(&live, ret_registry);
}

struct registry *zones_registry(struct zones *zones)
{
	return zones->registry;
}
