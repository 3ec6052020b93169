/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store that asks more of a reader than this release knows: what holds at every level of it. */
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

struct part {
	struct dynamodb_reading *reading;
	struct remote_limited limited;
};

static void part_clear(struct part *part)
{
	remote_limited_clear(&part->limited);
}

static enum zone_status visit_minimum(void *state, const json_t *item)
{
	struct part *part = state;
	struct dynamodb_reading *reading = part->reading;
	struct rows_minimum minimum;
	enum zone_status status =
		rows_read_minimum(&reading->rows, bytes_of(dynamodb_text(item, "v")),
				  dynamodb_number(item, "rev"), &minimum);

	if (status == ZONE_STORE_CORRUPT)
		return ZONE_STORE_NEWER;
	TRY(status);
	return remote_limited_add(&part->limited, &reading->news, &minimum);
}

enum zone_status dynamodb_read_in_part(struct dynamodb_reading *reading,
				       const struct dynamodb_look *look)
{
	AUTO(part_clear) struct part part = {.reading = reading};

	for (size_t i = 0; i < look->at.count; i++) {
		const struct dynamodb_key key =
			dynamodb_key_row(look->at.list[i].project, (struct uid){0});
		const struct dynamodb_range range = {key.partition, "row/", "row/g", false};

		TRY(dynamodb_query(reading->dynamodb, &range, visit_minimum, &part));
	}
	return remote_limited_end(&part.limited, &reading->news);
}
