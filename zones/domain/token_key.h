/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Token keys: keys that the store keeps, and data, each wrapped by its zone. What is said of a key
 * here holds for data (names->data) of up to DATA_MAX bytes, or none, too. */
#pragma once

#include "zones/model/names.h"
#include "zones/model/status.h"

struct entry;
struct ezk;
struct index;
struct zones;

/* KMS when the zone has no lease. Wraps `value` by the zone (0: zones/domain/key_place.h) and
 * stores it. */
enum zone_status zones_key_create(struct zones *zones, struct uid project, uint64_t zone,
				  uint32_t key_type, struct bytes value,
				  const struct entry_names *names, struct entry **ret_key);
/* The same. Its value, value_len bytes for the caller to secret_free(). It is bound to its project
 * and to all that limits it: key type, length, usages and extra; label, id and state are not among
 * them. ZONE_RECORD_CORRUPT: the entry is not what it was wrapped with. *ret_ezk (may be NULL): the
 * EZK version that was used, held. */
enum zone_status zones_key_open(struct zones *zones, const struct entry *key, uint8_t **ret_secret,
				struct ezk **ret_ezk);

/* The same: its value is wrapped anew by its zone's primary version, which `version` has to be
 * (ZONE_INVALID); nothing else of it changes. One transaction; nothing, if that version wraps it
 * already. ZONE_CONFLICT: the entry is not its newest state. */
enum zone_status zones_key_rewrap(struct zones *zones, const struct entry *key, uint32_t version);
/* The version that wraps it; 0: its row is malformed. */
uint32_t zones_key_version(const struct entry *key);
/* Whether it is data, and no key. */
bool zones_key_is_data(const struct entry *key);

/* --- For zones/domain/ */

/* Whether the names change what limits the key, to which its wrapped form is bound. */
bool token_key_limits_change(const struct entry *key, const struct entry_names *names);
/* KMS when the zone has no lease. A copy with those names (NULL: its own), wrapped by its zone with
 * that value. ZONE_INVALID. */
enum zone_status token_key_wrap_value(struct zones *zones, const struct entry *key,
				      const struct entry_names *names, struct bytes value,
				      struct entry **ret_changed);
/* The same with the value that it has. As zones_key_open(). */
enum zone_status token_key_wrap_anew(struct zones *zones, const struct entry *key,
				     const struct entry_names *names, struct entry **ret_changed);
/* The value of `from`, opened by the EZK of the version that wraps it, and wrapped for `to`, which
 * is complete but for that, by another zone's: both in locked memory. ZONE_RECORD_CORRUPT: `from`
 * is not what it was wrapped with. */
enum zone_status token_key_take_along(const struct entry *from, const uint8_t *ezk_from,
				      struct entry *to, const uint8_t *ezk_to, uint32_t version);
/* Whether that zone has the version that wrapped the key, and it is not retired. */
bool token_key_has_version(const struct entry *zone, const struct entry *key);
/* Within a transaction, of a key that was wrapped before it: ZONE_CONFLICT if its version does not
 * open any more. */
enum zone_status token_key_check_version(const struct index *index, const struct entry *key);
