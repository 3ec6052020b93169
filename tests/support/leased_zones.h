/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones on a real store that are used again and again, on a clock that the test moves. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	LEASE_SECONDS = 300,
	NOT_YET = LEASE_SECONDS * 3 / 4 - 1,
	SURELY = LEASE_SECONDS * 19 / 20 + 1,
	ZONE_LEASE_SECONDS = 86400,
	STALE_SECONDS = 3600,
	DENY_SECONDS = 5,
	THREADS = 64,
	MANY_ZONES = 100
};

struct leased {
	struct zones_fixture *f;
	struct entry *root_key;
	struct ezk *ezks[MANY_ZONES];
	size_t count;
	unsigned before; /* Decrypt calls until the test began */
};

static inline void configure(struct leased *l, bool by_zone, unsigned max_stale_seconds)
{
	l->f->settings.renew_by_zone = by_zone;
	l->f->settings.zone_lease_seconds = ZONE_LEASE_SECONDS;
	l->f->settings.max_stale_seconds = max_stale_seconds;
	zones_reopen(l->f);
}

/* With a greatest lease of its own, if one is asked for. */
static inline struct ezk *make_bounded_zone(struct leased *l, const char *label,
					    struct wished_seconds max_lease)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);
	struct ezk *ezk = NULL;

	names.max_lease = max_lease;
	assert_int_equal(zones_zone_create(l->f->zones, l->f->project->uid, &names, &zone),
			 ZONE_OK);
	assert_int_equal(ezk_find(zones_registry(l->f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	return ezk;
}

static inline struct ezk *make_zone(struct leased *l, const char *label)
{
	return make_bounded_zone(l, label, (struct wished_seconds){0});
}

static inline void make_zones_by(struct leased *l, const char *kms_key, size_t count)
{
	char label[32];

	l->root_key = make_root_key(l->f, kms_key);
	for (l->count = 0; l->count < count; l->count++) {
		snprintf(label, sizeof(label), "zone-%zu", l->count);
		l->ezks[l->count] = make_zone(l, label);
	}
	l->before = fake_kms_calls(&l->f->aws, FAKE_DECRYPT);
}

static inline void make_zones(struct leased *l, size_t count)
{
	make_zones_by(l, "alias/a", count);
}

static inline unsigned calls(struct leased *l)
{
	return fake_kms_calls(&l->f->aws, FAKE_DECRYPT) - l->before;
}

static inline int begin(void **state)
{
	struct leased *l = calloc(1, sizeof(*l));
	void *fixture;

	zones_begin(&fixture);
	l->f = fixture;
	configure(l, false, 0);
	*state = l;
	return 0;
}

static inline int end(void **state)
{
	struct leased *l = *state;
	void *fixture = l->f;

	for (size_t i = 0; i < l->count; i++)
		ezk_release(l->ezks[i]);
	entry_release(l->root_key);
	free(l);
	return zones_end(&fixture);
}

static inline void seconds_pass(struct leased *l, int64_t seconds)
{
	fake_clock_advance(&l->f->clock, seconds * 1000);
}

/* As each C_ function does: it sweeps first. */
static inline enum zone_status use(struct leased *l, size_t zone)
{
	AUTO(secret_freep) uint8_t *key = secret_new(32);

	registry_sweep(zones_registry(l->f->zones));
	TRY(ezk_begin(l->ezks[zone]));
	return ezk_key(l->ezks[zone], EZK_DATA, key);
}

static inline void use_all(struct leased *l, enum zone_status expected)
{
	for (size_t i = 0; i < l->count; i++)
		assert_int_equal(use(l, i), expected);
}

static inline void set_key(struct leased *l, enum kms_key_state state)
{
	fake_kms_set(&l->f->aws, ROOT_A, state, KMS_OK);
}
