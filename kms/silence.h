/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers silence: that an endpoint, or one key there, did not answer, when one caller may ask it
 * again, and what was logged about it, so that each cause has one line. kms.h describes its use
 * (kms_turn_…). It dies with the set of clients, so a fork's child begins with nothing.
 * Thread-safe; the lock is held for a look into a table, never for a request.
 *
 * The backoff is half a second after the first failure, doubled by each further one up to 13 s, and
 * shortened by up to a quarter at random. It counts from the start of the request that failed, so
 * that a slow request does not make others wait longer, but lasts at least a second (or the
 * backoff, if that is less) after the failure. A key whose own request was not answered leaves the
 * next request, for a second, to a key that was answered or not asked yet, if such a key was
 * refused meanwhile: so a key whose requests all fail does not block the endpoint for others.
 */
#pragma once

#include "base/map.h"
#include "kms/kms.h"

#include <pthread.h>

enum {
	SILENCE_FIRST_MS = 500,
	SILENCE_MAX_MS = 13000,
	SILENCE_REST_MS = 1000,
	SILENCE_OTHERS_MS = 1000
};

struct silences {
	const struct kms_settings *settings; /* with their clock; borrowed */
	pthread_mutex_t lock;		     /* of: */
	struct map by_name;		     /* endpoint or key → struct silence */
};

void silences_init(struct silences *silences, const struct kms_settings *settings);
void silences_clear(struct silences *silences);

/* kms_turn_begin(), kms_turn_end() and kms_clients_silent() without the set of clients. */
enum kms_status silences_begin(struct silences *silences, const char *key,
			       struct kms_turn *ret_turn, struct kms_report *report);
void silences_end(struct silences *silences, const struct kms_turn *turn, enum kms_status status,
		  const struct kms_report *report, struct kms_turn_news *ret_news);
enum kms_status silences_silent(struct silences *silences, const char *key);
