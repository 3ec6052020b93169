/*
 * The values of data keys, and the families that keys belong to: a key, its copies, and what is
 * derived from it or unwrapped by it share a stamp, which says their zone once it is known.
 *
 * A value lies in locked memory. From the moment its family has a zone it is hidden there by the
 * zone's EZK (ezk_hide): so it can be read while that zone has a lease and no longer, in every
 * handle at once, also those that nobody uses again; and when the zone comes back, so do they. That
 * is the wrapped form of a handle, made before it is needed, since a no leaves nothing to wrap by.
 * A key that was stamped while its zone had no lease is hidden at its first use.
 */
#pragma once

#include <pthread.h>

#include "objects/object.h"

struct stamp {
	atomic_uint references;
	_Atomic(struct ezk *) ezk; /* held; set once */
	pthread_mutex_t lock;	   /* guards what follows, and the values of the family */
	struct object *family;
};

struct stamp *stamp_new(void); /* NULL: no memory */
struct stamp *stamp_hold(struct stamp *stamp);
void stamp_release(struct stamp *stamp); /* accepts NULL */
/* An object that has the stamp is told of it, and is gone again. */
void stamp_join(struct object *object);
void stamp_leave(struct object *object);
/* Hides what is not hidden yet, if the family has a zone and that a lease. No KMS. */
void stamp_hide(struct stamp *stamp);

bool value_is_set(const struct object *object);
/* The same for one member. */
void value_hide(struct object *object);
/* Sets it, once (who comes later changes nothing), from value_len bytes. False: no memory. */
bool value_set(struct object *object, const uint8_t *plain);
/* The same value for another handle, as it lies there; both are of one zone, or of one family.
 * False: no memory. */
bool value_share(struct object *to, const struct object *from);
/* Copies it, in the clear, to the caller's locked memory, value_len bytes. It must be set. KMS if
 * the zone has no lease. */
enum zone_status value_read(struct object *object, uint8_t *ret_secret);
/* No KMS: false if that would need one, or there is no value. */
bool value_read_now(const struct object *object, uint8_t *ret_secret);
