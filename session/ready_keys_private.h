/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What ready_keys.c and ready_keys_end.c share. */
#pragma once

#include "session/ready_keys.h"

/* Does an operation of the session work with the key? */
bool ready_keys_is_busy(const struct session *session, const struct ready_key *place);
/* May the session see it? Not a private object without a login. */
bool ready_keys_may_use(struct session *session, const struct object *object);
