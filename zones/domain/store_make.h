/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making what the store needs before anything is written into it, and looking at that. */
#pragma once

#include "base/buffer.h"
#include "zones/model/status.h"

struct zones;

/* Appends lines of text: what was made. What is there already stays. */
enum zone_status zones_store_create(struct zones *zones, struct buffer *ret_text);
/* Appends lines of text: all that the store says of itself, what it stands on, and how long it took
 * to answer. Another status than ZONE_OK: it can't be used as it is. */
enum zone_status zones_store_check(struct zones *zones, struct buffer *ret_text);
