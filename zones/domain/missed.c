/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/missed.h"

void missed_init(struct missed *missed)
{
	pthread_mutex_init(&missed->lock, NULL);
}

void missed_clear(struct missed *missed)
{
	pthread_mutex_destroy(&missed->lock);
}

static bool same_key(const struct store_key *a, const struct store_key *b)
{
	if (a->by != b->by)
		return false;
	switch (a->by) {
	case STORE_BY_UID:
		return uid_equal(a->uid, b->uid);
	case STORE_BY_ZONE:
	case STORE_BY_IMPORT:
		return a->zone == b->zone && a->version == b->version;
	case STORE_BY_LABEL:
		return a->kind == b->kind && uid_equal(a->project, b->project) &&
		       bytes_equal(a->label, b->label);
	}
	return false;
}

bool missed_has(struct missed *missed, const struct store_key *key, int64_t now_ms)
{
	bool found = false;

	pthread_mutex_lock(&missed->lock);
	for (size_t i = 0; i < MISSED_COUNT && !found; i++)
		found = missed->keys[i].until_ms > now_ms && same_key(&missed->keys[i].key, key);
	pthread_mutex_unlock(&missed->lock);
	return found;
}

static void note(struct missed *missed, const struct store_key *key, int64_t until_ms)
{
	struct missed_key *place;

	if (key->label.len > LABEL_MAX)
		return;
	pthread_mutex_lock(&missed->lock);
	place = &missed->keys[missed->next];
	missed->next = (missed->next + 1) % MISSED_COUNT;
	place->key = *key;
	place->until_ms = until_ms;
	if (key->label.len > 0)
		memcpy(place->label, key->label.data, key->label.len);
	place->key.label = bytes(place->label, key->label.len);
	pthread_mutex_unlock(&missed->lock);
}

void missed_add(struct missed *missed, const struct store_key *key, int64_t now_ms)
{
	note(missed, key, now_ms + MISSED_MS);
}

void missed_keep(struct missed *missed, const struct store_key *key)
{
	note(missed, key, INT64_MAX);
}

void missed_forget(struct missed *missed)
{
	pthread_mutex_lock(&missed->lock);
	for (size_t i = 0; i < MISSED_COUNT; i++)
		missed->keys[i].until_ms = 0;
	pthread_mutex_unlock(&missed->lock);
}
