/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process remembers of regions and of multi-Region keys: which region did not answer lately,
 * and which key was refused in its own. It dies with the set of clients, so a fork's child begins
 * with nothing. Thread-safe; the lock is held for a look into a table, never for a request. Each
 * question is one look-up, however many regions and keys there are.
 */
#pragma once

#include "base/map.h"
#include "kms/kms.h"

#include <pthread.h>

/* How long a region that did not answer is asked after all others; then one caller tries it again.
 */
enum { REGIONS_OUT_MS = 30000 };

struct regions {
	const struct kms_settings *settings; /* with their clock; borrowed */
	pthread_mutex_t lock;		     /* of: */
	struct map by_region;		     /* struct region */
	struct map by_key;		     /* struct regions_key */
};

void regions_init(struct regions *regions, const struct kms_settings *settings);
void regions_clear(struct regions *regions);

/* Whether it did not answer lately, so that others are asked first. False also for the one caller
 * in each 30 s that is to check whether it answers again. */
bool regions_is_out(struct regions *regions, const char *region);
/* It did not answer. True: this is new. */
bool regions_lost(struct regions *regions, const char *region);
/* It answered, whatever the answer. True: this is new. */
bool regions_found(struct regions *regions, const char *region);

/* A key that has several names, by the name in its own region. It lives as long as the set; NULL:
 * no memory. */
struct regions_key *regions_key(struct regions *regions, const char *arn);
/* Its own region has said no about it, and not yes since. *ret_no_count: how often so far. */
bool regions_key_refused(struct regions *regions, const struct regions_key *key,
			 uint64_t *ret_no_count);
/* `no_count`: the count before the question was sent. A yes that was on its way when a no came does
 * not take the no back. */
void regions_key_heard(struct regions *regions, struct regions_key *key, const char *region,
		       bool own, uint64_t no_count, enum kms_status status);
/* Where the last yes came from; false: there was none yet. */
bool regions_key_answered(struct regions *regions, const char *arn,
			  char ret_region[static KMS_REGION_MAX + 1]);
