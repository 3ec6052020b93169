/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A zone that gets a second version of its key, with the first one fenced off. */
#pragma once

#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"

#include <stdlib.h>

struct second_version {
	struct uid zone;
	struct ezk_version version;
	uint32_t minimum;
	struct entry *changed;
};

static inline enum zone_status decide_second_version(struct changes *changes, void *state)
{
	struct second_version *second = state;
	struct ezk_version *versions;

	entry_release(second->changed);
	second->changed = entry_copy(index_uid(&changes->zones->index, second->zone));
	versions = realloc(second->changed->of_zone.versions, 2 * sizeof(*versions));
	assert_non_null(versions);
	second->changed->of_zone.versions = versions;
	versions[1] = (struct ezk_version){0};
	assert_int_equal(ezk_version_copy(&second->version, &versions[1]), ZONE_OK);
	second->changed->of_zone.version_count = 2;
	second->changed->of_zone.primary = second->changed->of_zone.raw = 2;
	second->changed->of_zone.minimum = second->minimum;
	return changes_put(changes, second->changed);
}

/* Its entry as it is then, held. */
static inline struct entry *add_second_version(struct zones_fixture *f, const struct entry *zone,
					       uint32_t minimum)
{
	struct second_version second = {.zone = zone->uid, .minimum = minimum};
	const struct kms_door door = {.clients = f->zones->clients,
				      .key = zone->of_zone.versions[0].wraps[0].arn};
	const struct ezk_seal seal = {
		.identity = {zone->project,
			     zone->of_zone.cluster,
			     zone->of_zone.zone,
			     2,
			     {86400, 86400}},
		.greatest_usages = zone->of_zone.versions[0].greatest_usages,
		.created_ms = zone->created_ms,
	};

	assert_int_equal(ezk_version_seal(&door, &seal, &second.version), ZONE_OK);
	assert_int_equal(zones_change(f->zones, decide_second_version, &second), ZONE_OK);
	entry_release(second.changed);
	ezk_version_clear(&second.version);
	return zones_find_uid(f->zones, zone->uid);
}
