/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a store was asked for and did not have, so that the same is not asked again at once.
 * Thread-safe. */
#pragma once

#include "zones/store/store.h"

#include <pthread.h>

enum { MISSED_COUNT = 16, MISSED_MS = 1000 };

struct missed_key {
	struct store_key key; /* its label is in `label` */
	uint8_t label[LABEL_MAX];
	int64_t until_ms; /* monotonic; 0: none */
};

struct missed {
	pthread_mutex_t lock;
	struct missed_key keys[MISSED_COUNT];
	size_t next; /* the oldest one's place */
};

void missed_init(struct missed *missed);
void missed_clear(struct missed *missed);
bool missed_has(struct missed *missed, const struct store_key *key, int64_t now_ms);
/* Notes it until missed_forget(). */
void missed_keep(struct missed *missed, const struct store_key *key);
void missed_forget(struct missed *missed);
/* Notes it for MISSED_MS from now on. A label that is too long for any entry is not noted. */
void missed_add(struct missed *missed, const struct store_key *key, int64_t now_ms);
