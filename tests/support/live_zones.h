/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones without a store, for tests of live EZKs: a fake KMS, a clock that stands still, and entries
 * made by hand. Links only what zones/ezk/ezk.c and the files below it need. */
#pragma once

#include "crypto/crypto.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kms_client.h"
#include "tests/support/unit.h"
#include "zones/ezk/ezks.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"
#include "zones/domain/state.h"

#include <stdlib.h>

#define ROOT_1 FAKE_ARN("11111111-1111-1111-1111-111111111111")
#define ROOT_2 FAKE_ARN("22222222-2222-2222-2222-222222222222")
#define ROOT_3 FAKE_ARN("33333333-3333-3333-3333-333333333333")

/* What zones are made with unless somebody says otherwise. */
static const struct lease_bounds a_day = {86400, 86400};

struct live_zones {
	struct fake_clock clock;
	struct fake_kms kms;
	struct zones zones;
};

static inline void live_zones_start(struct live_zones *live, unsigned lease_seconds)
{
	struct zones_settings settings = {.lease_seconds = lease_seconds, .deny_seconds = 5};
	struct kms_settings kms = {0};

	assert_true(crypto_start(false));
	memset(live, 0, sizeof(*live));
	fake_clock_init(&live->clock);
	fake_kms_init(&live->kms, "aws");
	fake_kms_add(&live->kms, ROOT_1, NULL);
	fake_kms_add(&live->kms, ROOT_2, NULL);
	fake_kms_add(&live->kms, ROOT_3, "alias/third");
	kms.clock = &live->clock.clock;
	live->zones.settings = settings;
	live->zones.clock = &live->clock.clock;
	live->zones.clients = kms_clients_new(&kms);
	pthread_rwlock_init(&live->zones.lock, NULL);
	live->zones.loaded = true; /* all that there is to be read */
	live->zones.next_look = INT64_MAX;
	assert_non_null(live->zones.clients);
	assert_true(kms_clients_replace(live->zones.clients, "aws", &live->kms.client));
	assert_int_equal(ezks_new(&live->zones, &live->zones.ezks), ZONE_OK);
}

static inline void live_zones_stop(struct live_zones *live)
{
	ezks_free(live->zones.ezks);
	kms_clients_free(live->zones.clients);
}

static inline struct ask live_ask(struct live_zones *live, const char *arn)
{
	return (struct ask){.clients = live->zones.clients, .key = arn};
}

static inline struct uid uid_of(uint8_t filler)
{
	struct uid uid;

	memset(uid.bytes, filler, UID_SIZE);
	return uid;
}

/* An entry with versions 1 … count under `arn`; `key`: their EZK, NULL: drawn. */
static inline struct entry *live_zone(struct live_zones *live, uint64_t zone, uint32_t count,
				      const char *arn, const uint8_t *key)
{
	struct entry *entry = entry_new(ENTRY_ZONE);
	struct ask ask = live_ask(live, arn);
	struct ezk_seal seal = {
		.identity = {uid_of(0xaa), uid_of(0xbb), zone, 0, a_day},
		.greatest_usages = 0x7f,
		.created_ms = 1764000000000,
		.key = key,
	};

	assert_non_null(entry);
	put_big_endian(entry->uid.bytes, UID_SIZE, zone);
	entry->project = seal.identity.project;
	entry->revision = 1;
	entry->of_zone.zone = zone;
	entry->of_zone.cluster = seal.identity.cluster;
	entry->of_zone.raw = entry->of_zone.minimum = 1;
	entry->of_zone.primary = count;
	entry->of_zone.versions = calloc(count, sizeof(struct ezk_version));
	for (uint32_t i = 0; i < count; i++) {
		seal.identity.version = i + 1;
		assert_int_equal(ezk_version_seal(&ask, &seal, &entry->of_zone.versions[i]),
				 ZONE_OK);
		entry->of_zone.version_count++;
	}
	return entry;
}

/* A changed state of an entry, as the index would have it after a commit. */
static inline struct entry *live_zone_next(const struct entry *entry)
{
	struct entry *next = entry_copy(entry);

	assert_non_null(next);
	next->revision = entry->revision + 1;
	return next;
}

static inline struct entry *live_root_key(const char *arn)
{
	struct entry *root_key = entry_new(ENTRY_ROOT_KEY);

	assert_non_null(root_key);
	assert_true(entry_set_text(&root_key->of_root_key.arn, bytes_of(arn)));
	return root_key;
}

static inline unsigned live_decrypts(struct live_zones *live)
{
	return fake_kms_calls(&live->kms, FAKE_DECRYPT);
}
