/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bit of a header, flipped: noticed, or harmless, and this table says which. Where a slot has
 * changed its checksum is made right, as an attacker would.
 */
#include "base/macros.h"
#include "envelopes.h"

#include <stdlib.h>
#include <string.h>

enum verdict {
	NOTICED,
	HARMLESS,
	/* It is not read where the store has the zone's key; elsewhere a change is noticed. */
	OF_RECORD,
	/* The same, except for bits that make it no record at all. */
	OF_RECORD_TEXT,
};

/* From the start of the header, or of slot 0; the rows cover it all, in order. */
struct region {
	const char *what;
	size_t end;
	enum verdict verdict;
};

enum { RECORD = 12 + ENVELOPE_WRAPPED };

/* clang-format off */
static const struct region immutable_regions[] = {
	{ "the immutable part",             128,          NOTICED },
};
/* The sequence is 1: without its last bit the slot counts as never written. */
static const struct region slot_regions[] = {
	{ "sequence, but its last bit",     7,            HARMLESS },
	{ "the byte of sequence's last bit", 8,           HARMLESS },
	{ "lengths",                        12,           NOTICED },
	{ "wrapped DEK",                    RECORD,       NOTICED },
	{ "record: magic and format",       RECORD + 5,   NOTICED },
	{ "record: policy",                 RECORD + 6,   NOTICED },
	{ "record: length",                 RECORD + 8,   NOTICED },
	{ "record: project and cluster",    RECORD + 40,  OF_RECORD },
	{ "record: zone and version",       RECORD + 52,  NOTICED },
	{ "record: created, usages, MAC",   RECORD + 96,  OF_RECORD },
	{ "record: length of the limits",   RECORD + 98,  NOTICED },
	{ "record: limits",                 0,            OF_RECORD },
	{ "record: number of wraps",        0,            NOTICED },
	{ "record: length of the ARN",      0,            NOTICED },
	{ "record: ARN",                    0,            OF_RECORD_TEXT },
	{ "record: length of the blob",     0,            NOTICED },
	{ "record: blob",                   0,            OF_RECORD },
	{ "zeros",                          0,            NOTICED },
};
/* clang-format on */

/* Those whose ends depend on the record. */
static size_t end_of(size_t row)
{
	const uint8_t *record = slot_of(&envelope_small, 0) + RECORD;
	size_t limits = (size_t)record[96] << 8 | record[97];
	size_t wraps = 98 + limits, arn = (size_t)record[wraps + 1] << 8 | record[wraps + 2];
	size_t after = wraps + 3 + arn, blob = (size_t)record[after] << 8 | record[after + 1];
	const size_t ends[] = {RECORD + wraps,
			       RECORD + wraps + 1,
			       RECORD + wraps + 3,
			       RECORD + after,
			       RECORD + after + 2,
			       RECORD + after + 2 + blob,
			       slot_len_of(&envelope_small) - 4};
	size_t fixed = COUNT_OF(slot_regions) - COUNT_OF(ends);

	return row < fixed ? slot_regions[row].end : ends[row - fixed];
}

static bool store_has_zone;

/* True: noticed. Data that are not what was sealed fail the test. */
static bool is_noticed(CK_SESSION_HANDLE session, const struct buffer *envelope)
{
	AUTO(buffer_clear) struct buffer plain = {0};

	if (envelope_opens(session, envelope, envelope_name, &plain) != ENVELOPE_OK) {
		assert_int_equal(plain.len, 0);
		return true;
	}
	assert_int_equal(plain.len, strlen(envelope_text));
	assert_memory_equal(plain.data, envelope_text, plain.len);
	return false;
}

struct counts {
	unsigned noticed, harmless;
};

static void flip(CK_SESSION_HANDLE session, size_t byte, int bit, int fix, struct counts *counts)
{
	struct buffer *changed = envelope_copy(&envelope_small);

	changed->data[byte] ^= (uint8_t)(1 << bit);
	if (fix >= 0)
		slot_fix(changed, (unsigned)fix);
	if (is_noticed(session, changed))
		counts->noticed++;
	else
		counts->harmless++;
}

/* Valgrind, under which a decryption takes twenty times as long, sees one bit of each byte. */
static int bits_of_a_byte(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded != NULL && strstr(preloaded, "valgrind") != NULL ? 1 : 8;
}

static void judge(const struct region *region, struct counts counts, unsigned exceptions)
{
	bool noticed =
		region->verdict == NOTICED || (region->verdict != HARMLESS && !store_has_zone);

	print_message("# %s: %u bits noticed, %u harmless\n", region->what, counts.noticed,
		      counts.harmless);
	if (region->verdict == OF_RECORD_TEXT && store_has_zone)
		assert_true(counts.harmless > counts.noticed);
	else if (noticed)
		assert_int_equal(counts.harmless, 0);
	else
		assert_int_equal(counts.noticed, exceptions);
}

static void each_bit_of_the_immutable_part_is_noticed(void **state)
{
	struct counts counts = {0};

	for (size_t byte = 0; byte < ENVELOPE_IMMUTABLE; byte++)
		for (int bit = 0; bit < bits_of_a_byte(); bit++)
			flip((CK_SESSION_HANDLE)*state, byte, bit, -1, &counts);
	assert_int_equal(counts.noticed, ENVELOPE_IMMUTABLE * bits_of_a_byte());
	judge(&immutable_regions[0], counts, 0);
}

static void each_bit_of_the_slot_in_use_is_noticed_by_its_checksum(void **state)
{
	struct counts counts = {0};
	size_t len = slot_len_of(&envelope_small);

	for (size_t byte = 0; byte < len; byte++)
		for (int bit = 0; bit < bits_of_a_byte(); bit++)
			flip((CK_SESSION_HANDLE)*state, ENVELOPE_IMMUTABLE + byte, bit, -1,
			     &counts);
	assert_int_equal(counts.noticed, (size_t)bits_of_a_byte() * len);
}

static void with_its_checksum_made_right_it_is_noticed_or_harmless(void **state)
{
	size_t byte = 0;

	for (size_t row = 0; row < COUNT_OF(slot_regions); row++) {
		struct counts counts = {0};

		for (; byte < end_of(row); byte++)
			for (int bit = 0; bit < bits_of_a_byte(); bit++)
				flip((CK_SESSION_HANDLE)*state, ENVELOPE_IMMUTABLE + byte, bit, 0,
				     &counts);
		judge(&slot_regions[row], counts, row == 1);
	}
	assert_int_equal(byte, slot_len_of(&envelope_small) - 4);
}

static void each_bit_of_the_idle_slot_is_harmless(void **state)
{
	size_t len = slot_len_of(&envelope_small);

	for (int fix = -1; fix <= 1; fix += 2) {
		struct counts counts = {0};

		for (size_t byte = 0; byte < len - (fix > 0 ? 4 : 0); byte++)
			flip((CK_SESSION_HANDLE)*state, ENVELOPE_IMMUTABLE + len + byte,
			     (int)(byte % 8), fix, &counts);
		assert_int_equal(counts.noticed, 0);
	}
}

static int look(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_BYTE zone[8];
	struct template *t;

	(void)state;
	memcpy(zone, envelope_small.data + 16, sizeof(zone));
	t = with(template_new(), CKA_CMEK_ZONE, zone, sizeof(zone));
	store_has_zone = objects_count(session, with_bool(t, CKA_TOKEN, true)) > 0;
	print_message("# %s\n",
		      store_has_zone ? "where the store has the zone" : "with the KMS alone");
	check(p11->C_CloseSession(session));
	return 0;
}

int envelopes_flipped(void)
{
	const struct CMUnitTest tests[] = {
		in_session(each_bit_of_the_immutable_part_is_noticed),
		in_session(each_bit_of_the_slot_in_use_is_noticed_by_its_checksum),
		in_session(with_its_checksum_made_right_it_is_noticed_or_harmless),
		in_session(each_bit_of_the_idle_slot_is_harmless),
	};

	return run_group("flipped bits of a header", tests, look, NULL);
}
