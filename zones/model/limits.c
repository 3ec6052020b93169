/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The list of limits, written and read. */
#include "zones/model/limits.h"

#include "base/encode.h"
#include "base/macros.h"
#include "base/reader.h"

/* Those that this release keeps to. */
static const bool known[] = {
	[LIMIT_MECHANISMS] = true, [LIMIT_UNWRAP_TEMPLATE] = true, [LIMIT_WRAP_TEMPLATE] = true,
	[LIMIT_MAX_LEASE] = true,  [LIMIT_MAX_STALE] = true,	   [LIMIT_KEPT] = true,
};

void limits_put(struct buffer *limits, enum limit tag, struct bytes value)
{
	buffer_put_u8(limits, (uint8_t)tag);
	buffer_put_sized(limits, value);
}

bool limits_get(struct bytes limits, enum limit tag, struct bytes *ret_value)
{
	struct reader reader = reader_of(limits);

	while (reader.left.len > 0) {
		uint8_t found = reader_u8(&reader);
		struct bytes value = reader_sized(&reader);

		if (reader.failed || found > tag)
			return false;
		if (found == tag) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static void put_seconds(struct buffer *limits, enum limit tag, uint32_t seconds)
{
	uint8_t value[4];

	put_big_endian(value, sizeof(value), seconds);
	limits_put(limits, tag, bytes(value, sizeof(value)));
}

void limits_put_lease(struct buffer *limits, const struct lease_bounds *bounds)
{
	put_seconds(limits, LIMIT_MAX_LEASE, bounds->max_lease);
	put_seconds(limits, LIMIT_MAX_STALE, bounds->max_stale);
}

static bool get_seconds(struct bytes limits, enum limit tag, uint32_t *ret_seconds)
{
	struct bytes value;
	struct reader reader;

	if (!limits_get(limits, tag, &value))
		return false;
	reader = reader_of(value);
	*ret_seconds = reader_u32(&reader);
	return reader_done(&reader);
}

bool limits_get_lease(struct bytes limits, struct lease_bounds *ret_bounds)
{
	return get_seconds(limits, LIMIT_MAX_LEASE, &ret_bounds->max_lease) &&
	       get_seconds(limits, LIMIT_MAX_STALE, &ret_bounds->max_stale);
}

uint32_t limits_lease_seconds(struct bytes limits, uint32_t configured)
{
	struct lease_bounds bounds;

	if (!limits_get_lease(limits, &bounds))
		return configured;
	return lease_in_force(configured, bounds.max_lease);
}

void limits_put_kept(struct buffer *limits)
{
	limits_put(limits, LIMIT_KEPT, bytes(NULL, 0));
}

bool limits_get_kept(struct bytes limits)
{
	struct bytes none;

	return limits_get(limits, LIMIT_KEPT, &none);
}

enum zone_status limits_check(struct bytes limits)
{
	struct reader reader = reader_of(limits);
	enum zone_status status = limits.len <= LIMITS_MAX ? ZONE_OK : ZONE_INVALID;
	uint8_t before = 0;

	while (status != ZONE_INVALID && reader.left.len > 0) {
		uint8_t tag = reader_u8(&reader);
		struct bytes value = reader_sized(&reader);

		if (reader.failed || tag <= before || (tag == LIMIT_KEPT && value.len > 0))
			status = ZONE_INVALID;
		else if (tag >= COUNT_OF(known) || !known[tag])
			status = ZONE_RECORD_NEWER;
		before = tag;
	}
	return status;
}
