/* The list of limits, written and read. */
#include "zones/limits.h"
#include "base/macros.h"
#include "base/reader.h"

/* Those that this release keeps to. */
static const bool known[] = {
	[LIMIT_MECHANISMS] = true,
	[LIMIT_UNWRAP_TEMPLATE] = true,
	[LIMIT_WRAP_TEMPLATE] = true,
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

enum zone_status limits_check(struct bytes limits)
{
	struct reader reader = reader_of(limits);
	enum zone_status status = limits.len <= LIMITS_MAX ? ZONE_OK : ZONE_INVALID;
	uint8_t before = 0;

	while (status != ZONE_INVALID && reader.left.len > 0) {
		uint8_t tag = reader_u8(&reader);

		reader_sized(&reader);
		if (reader.failed || tag <= before)
			status = ZONE_INVALID;
		else if (tag >= COUNT_OF(known) || !known[tag])
			status = ZONE_RECORD_NEWER;
		before = tag;
	}
	return status;
}
