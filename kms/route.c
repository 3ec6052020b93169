/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A call's way through the regions in which a key has a name. */
#include "kms/route.h"

#include "base/log.h"
#include "kms/provider.h"
#include "kms/replica.h"

static uint32_t bit(size_t index)
{
	return UINT32_C(1) << index;
}

/* Makes the name at `index` the one that is asked. */
static bool take_name(struct kms_route *route, size_t index)
{
	const struct kms_settings *settings = route->regions->settings;
	char provider[KMS_PROVIDER_MAX + 1];

	if (!replica_name(settings, route->key, index, route->arn))
		return false;
	if (!kms_name_parse(settings->providers, route->arn, provider, route->region))
		route->region[0] = 0; /* not a name of a key; who asks will hear it */
	route->at = index;
	return true;
}

static void look_at_names(struct kms_route *route)
{
	for (size_t i = 0; take_name(route, i); i++) {
		route->open |= bit(i);
		if (strcmp(route->arn, route->key) == 0)
			route->own = i;
	}
}

/* Which regions come last, since they did not answer lately. */
static void look_at_regions(struct kms_route *route)
{
	for (size_t i = 0; take_name(route, i); i++)
		if (regions_is_out(route->regions, route->region))
			route->behind |= bit(i);
}

static bool has_others(const struct kms_route *route)
{
	return (route->open & ~bit(route->own)) != 0;
}

/* If memory lacks to remember it, it counts as refused. */
static bool is_refused(struct kms_route *route)
{
	route->known = regions_key(route->regions, route->key);
	return route->known == NULL ||
	       regions_key_refused(route->regions, route->known, &route->no_count);
}

void route_begin(struct kms_route *route, struct regions *regions, const char *key, bool own_only)
{
	const struct kms_settings *settings = regions->settings;
	struct bytes region;
	const struct kms_provider *provider = provider_of_key(settings->providers, key, &region);

	*route = (struct kms_route){.key = key, .regions = regions};
	route->deadline =
		moment_after(clock_now(settings->clock), provider_call_ms(settings, provider));
	look_at_names(route);
	if (!has_others(route))
		return;
	if (is_refused(route) || own_only)
		route->open = bit(route->own);
	else
		look_at_regions(route);
}

/* An equal part of the time that is left for each name that is yet to be asked. */
static void share_time(struct kms_route *route)
{
	const struct moment now = clock_now(route->regions->settings->clock);
	int64_t left = route->deadline.monotonic_ms - now.monotonic_ms;

	route->until = moment_after(now, left / __builtin_popcount(route->open));
}

bool kms_route_next(struct kms_route *route)
{
	uint32_t first = route->open & ~route->behind;

	if (route->open == 0)
		return false;
	share_time(route);
	take_name(route, (size_t)__builtin_ctz(first != 0 ? first : route->open));
	route->open &= ~bit(route->at);
	return true;
}

/* Not where the region was never reached because credentials took all the time. */
static void lose_region(const struct kms_route *route, enum kms_status status,
			const struct kms_report *report)
{
	if (report->sent && regions_lost(route->regions, route->region))
		log_notice("KMS: region %s does not answer (%s: %s); for multi-Region keys the "
			   "others of multi_region_order are asked before it until it does",
			   route->region, kms_status_text(status), report->message);
}

/* Not where credentials or memory were missing on the way: then no region has answered. */
static void find_region(const struct kms_route *route, enum kms_status status,
			const struct kms_report *report)
{
	bool answered = status == KMS_OK || report->request_id[0] != 0;

	if (answered && regions_found(route->regions, route->region))
		log_notice("KMS: region %s answers again; it is asked in its turn", route->region);
}

bool kms_route_heard(struct kms_route *route, enum kms_status status,
		     const struct kms_report *report)
{
	bool own = route->at == route->own;

	if (route->known == NULL)
		return true;
	if (kms_status_is_outage(status)) {
		lose_region(route, status, report);
		return true;
	}
	find_region(route, status, report);
	if (!own && status == KMS_NOT_FOUND)
		return false;
	regions_key_heard(route->regions, route->known, route->region, own, route->no_count,
			  status);
	route->open = 0;
	return true;
}
