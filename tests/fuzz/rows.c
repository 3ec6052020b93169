/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a store that keeps text, as whoever may write it could have written them. What is taken
 * is written, and that is read as the same. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/fuzz/fuzz.h"
#include "zones/model/record.h"
#include "zones/store/rows/rows.h"

#include <stdlib.h>

static void put(const struct store_row *row, struct buffer *out)
{
	if (row->removed)
		rows_put_tombstone(row->entry, 0, out);
	else
		rows_put_entry(row->entry, out);
}

static void try_entry(struct bytes text, bool newer)
{
	struct rows_reading reading = {.newer = newer};
	AUTO(buffer_clear) struct buffer first = {0};
	AUTO(buffer_clear) struct buffer second = {0};
	struct store_row row = {0}, again = {0};

	if (rows_read_entry(&reading, text, 1, &row) == ZONE_OK && row.entry != NULL) {
		put(&row, &first);
		if (rows_read_entry(&reading, buffer_bytes(&first), 1, &again) != ZONE_OK)
			abort();
		put(&again, &second);
		if (!bytes_equal(buffer_bytes(&first), buffer_bytes(&second)))
			abort();
	}
	entry_release(row.entry);
	entry_release(again.entry);
}

static void try_minimum(struct bytes text)
{
	struct rows_reading reading = {.newer = true};
	struct rows_minimum minimum;

	rows_read_minimum(&reading, text, 1, &minimum);
	entry_release(minimum.row.entry);
}

static void try_version(struct bytes text)
{
	AUTO(entry_releasep) struct entry *zone = entry_new(ENTRY_ZONE);
	AUTO(entry_releasep) struct entry *again = entry_new(ENTRY_ZONE);
	AUTO(buffer_clear) struct buffer out = {0};
	struct rows_reading reading = {0};

	if (zone == NULL || again == NULL)
		return;
	zone->of_zone.zone = again->of_zone.zone = 7;
	if (rows_read_version(&reading, text, zone) != ZONE_OK || zone->of_zone.version_count == 0)
		return;
	rows_put_version(7, &zone->of_zone.versions[0], &out);
	if (rows_read_version(&reading, buffer_bytes(&out), again) != ZONE_OK ||
	    !ezk_version_same(&zone->of_zone.versions[0], &again->of_zone.versions[0]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes(data, size);
	struct store_head head;
	char id[ROWS_ID_SIZE];
	int64_t created_ms;

	log_configure(LOG_OFF, "stderr");
	try_entry(text, false);
	try_entry(text, true);
	try_minimum(text);
	try_version(text);
	rows_read_head(text, id, &head, &created_ms);
	return 0;
}
