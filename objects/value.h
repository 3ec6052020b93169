/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of data keys, and the families that keys belong to: a key, its copies, and what is
 * derived from it, wrapped or unwrapped by it share a stamp, which says their zone once it is
 * known. Two families become one when a key of one wraps a key of the other: the smaller one's
 * stamp then points to the greater one's, for ever, and says nothing of its own any more.
 *
 * A value lies in locked memory. From the moment its family has a zone, the zone keeps it (struct
 * masked_value): it can be read while the zone has a lease and no longer, through all handles
 * alike; when the zone's lease comes back, so do the values. Meanwhile a handle keeps only the
 * wrapped form.
 */
#pragma once

#include "objects/object.h"

#include <pthread.h>

struct stamp {
	atomic_uint references;
	_Atomic(struct ezk *) ezk; /* held; set once, under the lock */
	_Atomic(struct stamp *)
		joined;	      /* held; set once, under both locks: the stamp that counts */
	pthread_mutex_t lock; /* guards what follows, and the values of a family without a zone;
			       * taken before the lock of a lease; of two, the lower address first
			       */
	struct object *family;
	size_t count; /* of the family */
};

struct stamp *stamp_new(void); /* NULL: no memory */
struct stamp *stamp_hold(struct stamp *stamp);
void stamp_release(struct stamp *stamp); /* accepts NULL */
/* Registers an object that has the stamp, and takes it out again. */
void stamp_join(struct object *object);
void stamp_leave(struct object *object);
/* A new object's own stamp, which nobody else knows, and no value yet: it has a zone from the
 * beginning. */
void stamp_begin(struct stamp *stamp, struct ezk *ezk);
/* The family gets a zone, unless it has one: from here on the zone keeps its values. False: there
 * are values, and the zone has no lease; nothing has changed. No KMS. */
bool stamp_set(struct stamp *stamp, struct ezk *ezk);
/* The zone of the family; NULL: none yet. Borrowed: lives as long as the stamp. */
struct ezk *stamp_ezk(const struct stamp *stamp);
/* Two families become one. False: one of them has a zone, and the other must get that first;
 * nothing has changed. */
bool stamp_unite(struct stamp *a, struct stamp *b);

bool value_is_set(const struct object *object);
/* Sets the value, once (a later call changes nothing), from value_len bytes. Asks the KMS if the
 * zone has no lease; if the KMS refuses, the value stays unset, since nothing could hide it. */
enum zone_status value_set(struct object *object, const uint8_t *plain);
/* The same with bytes that are the caller's from secret_new(), value_len of them at least: the
 * object takes them, and leaves NULL, unless it fails or had a value. */
enum zone_status value_take(struct object *object, uint8_t **secret);
/* Gives the same value to another handle, masked or not; both have one live EZK, or are of one
 * family. False: no memory. */
bool value_share(struct object *to, const struct object *from);
/* Copies it, in the clear, to the caller's locked memory, value_len bytes. Asks the KMS if the zone
 * has no lease. ZONE_INVALID: it is not set. */
enum zone_status value_read(struct object *object, uint8_t *ret_secret);
/* Without the KMS: false if that would be needed, or there is no value. */
bool value_read_now(struct object *object, uint8_t *ret_secret);
/* When its object is freed: wipes the value and leaves the family. */
void value_clear(struct object *object);
