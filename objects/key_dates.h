/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CKA_START_DATE and CKA_END_DATE (PKCS #11 3.2, "Common key attributes"): the standard leaves it
 * to the token whether they are enforced, and this one does. A key is used from the beginning of
 * the first day to the end of the last, in UTC, by the realtime clock; outside these days each use
 * is CKR_KEY_FUNCTION_NOT_PERMITTED, also to decrypt. Whoever may change the key may move the
 * dates.
 */
#pragma once

#include "objects/object.h"

/* A CK_DATE as the number yyyymmdd; false: it is no day. */
bool key_date_read(struct bytes date, unsigned *ret_number);
/* CKR_TEMPLATE_INCONSISTENT: the last day comes before the first. Either may be empty. */
CK_RV key_dates_check(struct bytes start, struct bytes end);

static inline bool key_dates_has(const struct object *key)
{
	return (key->start_date.len | key->end_date.len) != 0;
}
/* Logs a refusal. `realtime_ms`: since 1970-01-01 UTC. */
CK_RV key_dates_allow(const struct object *key, int64_t realtime_ms);
