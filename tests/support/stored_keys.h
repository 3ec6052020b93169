/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A zone, and a token key or data of it in the store, for tests. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#define FIXTURE(state) struct zones_fixture *f = *(state)

static const char value[] = "0123456789abcdef";

static inline enum zone_status open_key(struct zones *zones, const struct entry *key)
{
	AUTO(secret_freep) uint8_t *secret = NULL;
	enum zone_status status = zones_key_open(zones, key, &secret, NULL);

	if (status == ZONE_OK)
		assert_memory_equal(secret, value, sizeof(value) - 1);
	else
		assert_null(secret);
	return status;
}

static inline struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static inline struct entry *make_key(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	struct entry_names names = names_of("key");
	struct entry *key = NULL;

	names.usages = USAGE_WRAP;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of(value), &names, &key),
			 ZONE_OK);
	return key;
}

static inline void change_extra(struct entry *key)
{
	assert_true(entry_set_bytes(&key->extra, bytes_of("y")));
}

static inline enum zone_status change(struct zones *zones, const struct entry *key,
				      const char *label, uint32_t usages, const char *extra)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	const struct entry_names names = {
		.label = bytes_of(label), .usages = usages, .extra = bytes_of(extra)};

	return zones_entry_rename(zones, key, &names, &changed);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)
