/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The domain as its tests have it: a store in a folder that goes away, a KMS in the process with
 * keys of both providers, a clock that stands still. */
#pragma once

#include "tests/support/fake_clock.h"
#include "tests/support/fake_kms_client.h"
#include "zones/domain/zones.h"

#define ROOT_A	      FAKE_ARN("11111111-1111-1111-1111-111111111111") /* alias/a */
#define ROOT_B	      FAKE_ARN("22222222-2222-2222-2222-222222222222") /* alias/b */
#define ROOT_EAST     "arn:aws:kms:us-east-1:111122223333:key/33333333-3333-3333-3333-333333333333"
#define ROOT_MRK      "arn:aws:kms:us-west-2:111122223333:key/mrk-44444444444444444444444444444444"
#define ROOT_MRK_EAST "arn:aws:kms:us-east-1:111122223333:key/mrk-44444444444444444444444444444444"
#define LOCAL_KEY     "local:embedded"

struct zones_fixture {
	char folder[64];
	char path[128];
	const struct store_engine *engine;
	struct fake_clock clock;
	struct fake_kms aws;
	struct fake_kms local;
	struct zones_settings settings;		     /* for domains that are opened from here on */
	const struct kms_provider *const *providers; /* the same; NULL: the module's */
	const char *multi_region_order;		     /* the same; NULL: none */
	const char *allowed_root_keys;		     /* the same; NULL: all */
	struct zones *zones;
	struct entry *project; /* the first, in slot 0; held */
};

int zones_begin(void **state); /* *state is a struct zones_fixture with a project */
/* The same in a store of another engine than SQLite. */
int zones_begin_in(const struct store_engine *engine, void **state);
int zones_end(void **state);
/* Another domain on the same store and KMS, as another process has it. */
struct zones *zones_other(struct zones_fixture *fixture);
/* The same, in place of fixture->zones; project is looked up anew. */
void zones_reopen(struct zones_fixture *fixture);

struct entry_names names_of(const char *label);
enum zone_status fixture_create_zone(struct zones_fixture *fixture, const char *label,
				     struct entry **ret_zone);
/* Whether its EZK opens. */
enum zone_status fixture_open_zone(struct zones_fixture *fixture, uint64_t id);
/* Each held; they must succeed. */
struct entry *make_root_key(struct zones_fixture *fixture, const char *kms_key);
struct entry *make_cluster(struct zones_fixture *fixture, const struct entry *root_key,
			   const char *label);
/* Without result. */
enum zone_status add_root_key(struct zones *zones, struct uid project, const char *kms_key,
			      const char *label);
/* The same for a local key, which the KMS makes first. */
enum zone_status create_root_key(struct zones *zones, struct uid project, const char *kms_key,
				 const char *label);
enum zone_status create_cluster(struct zones *zones, const struct entry *root_key,
				const char *provider, const char *region, const char *label);
/* How many entries of a kind the project has; with those that await deletion. */
size_t count_entries(struct zones *zones, struct uid project, enum entry_kind kind, bool all);
/* The active one of that kind and label, held; NULL. */
struct entry *find_entry(struct zones *zones, struct uid project, enum entry_kind kind,
			 const char *label);
