/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones without a store and without a domain, for tests of live EZKs: a fake KMS, a clock that
 * stands still, entries made by hand, and of the domain what the test makes up. */
#pragma once

#include "crypto/crypto.h"
#include "pkcs11/providers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_kms_client.h"
#include "tests/support/unit.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry.h"
#include "zones/kms/door.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"
#include "zones/model/title.h"

#include <stdlib.h>

#define ROOT_1 FAKE_ARN("11111111-1111-1111-1111-111111111111")
#define ROOT_2 FAKE_ARN("22222222-2222-2222-2222-222222222222")
#define ROOT_3 FAKE_ARN("33333333-3333-3333-3333-333333333333")

/* What zones are made with unless somebody says otherwise. */
static const struct lease_bounds a_day = {86400, 86400};

struct live_zones {
	struct fake_clock clock;
	struct fake_kms kms;
	struct kms_clients *clients;
	struct registry *registry;
	/* What the domain says, and how often it was asked. */
	_Atomic(enum zone_status) standing, look, canary;
	const char *canary_of;	      /* all others' canaries say yes; NULL: it is said of all */
	_Atomic uint64_t standing_of; /* that zone alone; 0: of each */
	const char *stranger;	      /* the only root key that no project has */
	atomic_uint looks, canaries, explained;
};

static inline struct entry *live_no_project(void *state, struct uid uid)
{
	(void)state;
	(void)uid;
	return NULL;
}

static inline enum zone_status live_standing(void *state, uint64_t zone, uint32_t version)
{
	const struct live_zones *live = state;

	(void)version;
	return live->standing_of == 0 || live->standing_of == zone ? live->standing : ZONE_OK;
}

static inline enum zone_status live_standing_of_row(void *state, const struct entry *row)
{
	return live_standing(state, row->of_zone.zone, 0);
}

static inline bool live_explain(void *state, uint64_t zone, uint32_t version, enum zone_status why)
{
	struct live_zones *live = state;

	(void)zone, (void)version;
	if (why != ZONE_PENDING_DELETION && why != ZONE_DELETED && why != ZONE_OTHER_PIN &&
	    why != ZONE_ROOT_KEY_REFUSED)
		return false;
	live->explained++;
	return true;
}

static inline struct zone_title live_title(void *state, uint64_t zone)
{
	(void)state;
	return zone_title_as(NULL, NULL, zone);
}

static inline enum zone_status live_look(void *state)
{
	struct live_zones *live = state;

	live->looks++;
	return live->look;
}

static inline enum zone_status live_canary(void *state, struct uid project, const char *arn)
{
	struct live_zones *live = state;

	(void)project;
	live->canaries++;
	return live->canary_of == NULL || strcmp(live->canary_of, arn) == 0 ? live->canary
									    : ZONE_OK;
}

static inline bool live_has_root_key(void *state, struct uid project, const char *arn)
{
	const struct live_zones *live = state;

	(void)project;
	return live->stranger == NULL || strcmp(live->stranger, arn) != 0;
}

static inline void live_zones_start_with(struct live_zones *live,
					 const struct lease_settings *lease)
{
	struct kms_settings kms = {.providers = module_providers};
	struct registry_settings settings = {
		.lease = *lease,
		.domain = {live, live_no_project, live_standing, live_standing_of_row, live_explain,
			   live_title, live_look, live_canary, NULL, live_has_root_key},
	};

	assert_true(crypto_start(false));
	memset(live, 0, sizeof(*live));
	live->canary = ZONE_NOT_FOUND;
	fake_clock_init(&live->clock);
	fake_kms_init(&live->kms, "aws");
	fake_kms_add(&live->kms, ROOT_1, NULL);
	fake_kms_add(&live->kms, ROOT_2, NULL);
	fake_kms_add(&live->kms, ROOT_3, "alias/third");
	kms.clock = settings.clock = &live->clock.clock;
	live->clients = settings.clients = kms_clients_new(&kms);
	assert_non_null(live->clients);
	assert_true(kms_clients_replace(live->clients, "aws", &live->kms.client));
	assert_int_equal(registry_new(&settings, &live->registry), ZONE_OK);
}

static inline void live_zones_start(struct live_zones *live, unsigned lease_seconds)
{
	const struct lease_settings lease = {.lease_seconds = lease_seconds, .deny_seconds = 5};

	live_zones_start_with(live, &lease);
}

static inline void live_zones_stop(struct live_zones *live)
{
	registry_free(live->registry);
	kms_clients_free(live->clients);
}

static inline struct kms_door live_door(struct live_zones *live, const char *arn)
{
	return (struct kms_door){.clients = live->clients, .key = arn};
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
	struct kms_door door = live_door(live, arn);
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
		assert_int_equal(ezk_version_seal(&door, &seal, &entry->of_zone.versions[i]),
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
