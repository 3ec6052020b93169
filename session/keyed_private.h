/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What keyed.c and keyed_end.c share. */
#pragma once

#include "session/keyed.h"

/* Wipes the key schedule; it is made again when it is needed. */
void keyed_drop_schedule(struct keyed *keyed);
/* Does an operation of the session work with the key? */
bool keyed_is_busy(const struct session *session, const struct keyed *place);
/* May the session see it? Not a private object without a login. */
bool keyed_may_use(struct session *session, const struct object *object);
