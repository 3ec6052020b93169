/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mark of a project that goes from one store to another (`cmek store copy`): in the old store
 * and in the new one, so that it lives in one of them at any time. A marked project is changed by
 * nothing but that command. It stands in `extra` of the project's row (docs/format.md, 6.2).
 */
#pragma once

#include "zones/model/entry.h"

enum moving {
	MOVING_NOT,
	MOVING_AWAY, /* it has gone to another store, or is on its way */
	MOVING_IN,   /* it is arriving from another store, and is archived until it is whole */
};

enum { MOVING_PLACE_MAX = 4096 }; /* bytes of a store's name */

/* ret_place: the other store's name, borrowed. A mark that only a later release knows counts as
 * MOVING_AWAY. */
enum moving moving_of(const struct entry *project, struct bytes *ret_place);
/* The other store's id, borrowed; no bytes: it had none. */
struct bytes moving_id_of(const struct entry *project);
/* Marks a private copy of a project, or with MOVING_NOT takes the mark away. `id`: of the other
 * store, may be empty. False: no memory. */
bool moving_mark(struct entry *project, enum moving moving, const char *place, const char *id);
