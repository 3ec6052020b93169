/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What travels with the data and is read before anybody has verified it: headers of envelopes,
 * messages, EZK records, alone and in sets, and their limits. The first byte chooses the reader.
 * What is taken is written as it was read. */
#include "base/log.h"
#include "base/macros.h"
#include "envelope/header.h"
#include "envelope/message.h"
#include "tests/fuzz/fuzz.h"
#include "zones/model/limits.h"
#include "zones/model/record.h"

#include <stdlib.h>

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void read_header(struct bytes in)
{
	struct envelope_header header, again = {0};
	struct envelope_error error = {0};
	AUTO(buffer_clear) struct buffer out = {0};

	if (envelope_header_decode(in, &header, &error) != ENVELOPE_OK)
		return;
	for (unsigned i = 0; i < ENVELOPE_SLOTS; i++) {
		struct envelope_record record;

		if (header.slots[i].valid)
			envelope_record_decode(header.slots[i].record, &record);
	}
	for (unsigned i = 0; i < ENVELOPE_SLOTS; i++)
		if (header.slots[i].valid)
			must(envelope_header_encode(&header, i, &header.slots[i], &out) ==
			     ENVELOPE_OK);
	must(envelope_header_decode(bytes(out.data, header.header_len), &again, &error) ==
	     ENVELOPE_OK);
	must(again.kept == header.kept && again.zone == header.zone &&
	     memcmp(again.project, header.project, sizeof(again.project)) == 0);
}

/* A reader without its keys sees the same in a record as one who has them. */
static void compare(struct bytes in, const struct ezk_version *version, uint64_t zone)
{
	struct envelope_record record;

	if (!envelope_record_decode(in, &record))
		return; /* it takes printable ARNs alone */
	must(record.zone == zone && record.version == version->version);
	must(record.kept == limits_get_kept(version->limits));
	must(record.both == version->all_wraps);
}

static void read_record(struct bytes in)
{
	AUTO(ezk_version_clear) struct ezk_version version = {0};
	AUTO(buffer_clear) struct buffer out = {0};
	uint64_t zone;

	if (record_decode(in, &zone, &version) != ZONE_OK)
		return;
	must(record_encode(zone, &version, &out) == ZONE_OK);
	must(bytes_equal(buffer_bytes(&out), in));
	compare(in, &version, zone);
}

static void read_set(struct bytes in)
{
	AUTO(record_set_clear) struct record_set set = {0};
	AUTO(buffer_clear) struct buffer out = {0};

	if (record_set_decode(in, &set) == ZONE_OK)
		must(record_set_encode(&set, &out) == ZONE_OK);
}

static void read_limits(struct bytes in)
{
	struct lease_bounds bounds;

	if (limits_check(in) != ZONE_INVALID) {
		limits_get_kept(in);
		limits_get_lease(in, &bounds);
	}
}

static void read_message(struct bytes in)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct envelope_error error = {0};
	struct envelope_record record;
	struct message message;

	if (message_decode(in, &message, &error) != ENVELOPE_OK)
		return;
	envelope_record_decode(message.record, &record);
	must(message_header_encode(message.dek, &message, &out) == ENVELOPE_OK);
	buffer_append(&out, message.sealed);
	must(bytes_equal(buffer_bytes(&out), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(struct bytes) = {read_header, read_record, read_set,
							read_limits, read_message};

	log_configure(LOG_OFF, "stderr");
	if (size > 0)
		readers[data[0] % COUNT_OF(readers)](bytes(data + 1, size - 1));
	return 0;
}
