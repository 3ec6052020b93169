/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones that go from one root key to another, for tests. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/wraps.h"

#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static inline struct entry *moved_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

/* Root keys a and b, cluster c under a. */
static inline void place_for_zones(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *b = make_root_key(f, "alias/b");
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, a, "c");
}

static inline enum zone_status rewrap_in(struct zones *zones, const struct entry *zone,
					 const char *arn)
{
	AUTO(entry_releasep) struct entry *moved = NULL;

	return zones_zone_rewrap(zones, zone, bytes_of(arn), &moved);
}

static inline enum zone_status rewrap(struct zones_fixture *f, const struct entry *zone,
				      const char *arn)
{
	return rewrap_in(f->zones, zone, arn);
}

static inline enum zone_status aim(struct zones_fixture *f, const char *label, const char *arn)
{
	AUTO(entry_releasep)
	struct entry *cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, label);
	AUTO(entry_releasep) struct entry *aimed = NULL;

	return zones_cluster_rewrap(f->zones, cluster, bytes_of(arn), &aimed);
}

/* As its engine has it. */
static inline struct entry *now(struct zones_fixture *f, const struct entry *entry)
{
	struct entry *found;

	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	found = zones_find_uid(f->zones, entry->uid);
	assert_non_null(found);
	return found;
}

/* "b? a-": by the last letter that a test knows of an ARN; ? unproven, - replaced. */
static inline void assert_wraps(struct zones_fixture *f, const struct entry *zone,
				const char *expected)
{
	static const char marks[] = {
		[WRAP_ACTIVE] = 0, [WRAP_UNPROVEN] = '?', [WRAP_REPLACED] = '-'};
	AUTO(entry_releasep) struct entry *found = now(f, zone);

	for (size_t i = 0; i < found->of_zone.version_count; i++) {
		const struct ezk_version *version = &found->of_zone.versions[i];
		AUTO(buffer_clear) struct buffer said = {0};

		for (size_t j = 0; j < version->wrap_count; j++) {
			const struct wrap *wrap = &version->wraps[j];
			const char *name = strcmp(wrap->arn, ROOT_A) == 0	       ? "a"
					   : strcmp(wrap->arn, ROOT_B) == 0	       ? "b"
					   : strncmp(wrap->arn, "arn:local:", 10) == 0 ? "l"
										       : "other";

			buffer_format(&said, "%s%s", j == 0 ? "" : " ", name);
			if (marks[wrap->state] != 0)
				buffer_put_u8(&said, (uint8_t)marks[wrap->state]);
		}
		assert_string_equal(buffer_text(&said), expected);
	}
}

struct more_versions {
	struct uid zone;
	uint32_t count;
	struct entry *result;
};

/* As a rotation makes them. */
static inline enum zone_status decide_more(struct changes *changes, void *state)
{
	struct more_versions *more = state;
	struct entry *zone = entry_copy(index_uid(&changes->zones->index, more->zone));
	struct ezk_version *versions =
		realloc(zone->of_zone.versions, (more->count + 1) * sizeof(*versions));
	const struct kms_door door = {.clients = changes->zones->clients,
				      .key = versions[0].wraps[0].arn};
	struct ezk_seal seal = {
		.identity = {zone->project, zone->of_zone.cluster, zone->of_zone.zone, 0, {0}},
		.greatest_usages = zone->usages,
		.created_ms = zone->created_ms,
	};

	limits_get_lease(versions[0].limits, &seal.identity.lease);
	entry_release(more->result);
	more->result = zone;
	zone->of_zone.versions = versions;
	while (zone->of_zone.version_count < more->count) {
		seal.identity.version = (uint32_t)zone->of_zone.version_count + 1;
		assert_int_equal(
			ezk_version_seal(&door, &seal, &versions[zone->of_zone.version_count++]),
			ZONE_OK);
	}
	zone->of_zone.primary = more->count;
	return changes_put(changes, zone);
}

static inline void give_versions(struct zones_fixture *f, const struct entry *zone, uint32_t count)
{
	struct more_versions more = {zone->uid, count, NULL};

	assert_int_equal(zones_change(f->zones, decide_more, &more), ZONE_OK);
	entry_release(more.result);
}

/* By a process that does nothing else. */
static inline enum zone_status open_in(struct zones *zones, const struct entry *zone,
				       uint32_t version)
{
	AUTO(entry_releasep) struct entry *current = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(zones_refresh(zones, true));
	TRY(zones_meet_uid(zones, zone->uid, &current));
	TRY(ezk_find(zones_registry(zones), current, version, &ezk));
	return ezk_begin(ezk);
}

static inline enum zone_status open_anew(struct zones_fixture *f, const struct entry *zone,
					 uint32_t version)
{
	struct zones *other = zones_other(f);
	enum zone_status status = open_in(other, zone, version);

	zones_free(other);
	return status;
}

/* Whoever may re-encrypt, and nothing else; or may not. */
static inline void refuse_calls(struct zones_fixture *f, enum fake_kms_call call)
{
	fake_kms_fail(&f->aws, call, KMS_DENIED, 1000);
}
