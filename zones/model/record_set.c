/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Record sets: all versions of a zone's EZK together, as C_WrapKey gives them. */
#include "base/macros.h"
#include "base/reader.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FORMAT = 1, RECORD_LEN_AT = 6, RECORD_LEN_END = 8 };
static const char set_magic[] = "CEZS";

void record_set_clear(struct record_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		ezk_version_clear(&set->versions[i]);
	free(set->versions);
	*set = (struct record_set){0};
}

bool record_set_is_kept(const struct record_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (limits_get_kept(set->versions[i].limits))
			return true;
	return false;
}

/* One project, ascending versions. */
static bool in_order(const struct ezk_version *before, const struct ezk_version *version)
{
	return before->version < version->version && uid_equal(before->project, version->project);
}

enum zone_status record_set_encode(const struct record_set *set, struct buffer *out)
{
	if (set->count == 0 || set->count > UINT16_MAX)
		return ZONE_INVALID;
	buffer_put_text(out, set_magic);
	buffer_put_u8(out, FORMAT);
	buffer_put_u8(out, 0);
	buffer_put_u16(out, (uint16_t)set->count);
	for (size_t i = 0; i < set->count; i++) {
		if (i > 0 && !in_order(&set->versions[i - 1], &set->versions[i]))
			return ZONE_INVALID;
		TRY(record_encode(set->zone, &set->versions[i], out));
	}
	return out->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* The next record, by the length it states. */
static struct bytes take_record(struct reader *reader)
{
	struct reader ahead = *reader;

	reader_take(&ahead, RECORD_LEN_AT);
	return reader_take(reader, reader_u16(&ahead));
}

static enum zone_status read_record(struct reader *reader, struct record_set *set)
{
	struct ezk_version *version = &set->versions[set->count];
	struct bytes record = take_record(reader);
	uint64_t zone;

	if (record.len < RECORD_LEN_END)
		return ZONE_INVALID;
	TRY(record_decode(record, &zone, version));
	set->count++; /* from here on it is cleared with the set */
	if (set->count == 1)
		set->zone = zone;
	else if (zone != set->zone || !in_order(version - 1, version))
		return ZONE_INVALID;
	return ZONE_OK;
}

/* The number of records and where they begin: a set, or a record alone. */
static bool read_head(struct reader *reader, size_t *ret_count)
{
	struct reader ahead = *reader;

	*ret_count = 1;
	if (!bytes_equal(reader_take(&ahead, 4), bytes_of(set_magic)))
		return true;
	if (reader_u8(&ahead) != FORMAT || reader_u8(&ahead) != 0)
		return false;
	*ret_count = reader_u16(&ahead);
	*reader = ahead;
	return !ahead.failed && *ret_count > 0;
}

enum zone_status record_set_decode(struct bytes records, struct record_set *ret_set)
{
	AUTO(record_set_clear) struct record_set set = {0};
	struct reader reader = reader_of(records);
	size_t count;

	if (!read_head(&reader, &count) || reader.left.len / RECORD_LEN_END < count)
		return ZONE_INVALID;
	set.versions = calloc(count, sizeof(*set.versions));
	if (set.versions == NULL)
		return ZONE_NO_MEMORY;
	while (set.count < count)
		TRY(read_record(&reader, &set));
	if (!reader_done(&reader))
		return ZONE_INVALID;
	*ret_set = set;
	set = (struct record_set){0};
	return ZONE_OK;
}

/* What was to stay in its store does not come back by another way, whoever brought it out: the zone
 * may have been erased. Only the store, or a copy of it, has it. */
enum zone_status record_set_refuse_kept(const struct record_set *set)
{
	if (!record_set_is_kept(set))
		return ZONE_OK;
	return refuse(ZONE_RECORD_KEPT,
		      "the EZK record of zone %" PRIu64
		      " is for its store alone (CKA_CMEK_EMBED_EZK is FALSE) and is not taken from "
		      "elsewhere; use that store, or a backup of it",
		      set->zone);
}
