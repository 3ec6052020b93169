/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The header of an envelope: there and back, every length, every bit, and what slots and records
 * say. */
#include "base/macros.h"
#include "envelope/header.h"
#include "tests/support/unit.h"

enum { RECORD_LEN = 97 + 2 + 5 + 2 + 20 + 2 + 40, HEADER_TYPICAL = 3712 };

static const char arn[] = "arn:local:kms:local:";

/* A record in all its parts, except the secrets, which this layer does not know. */
static void put_record(struct buffer *out, uint64_t zone, uint32_t version)
{
	uint8_t fill[72];

	for (size_t i = 0; i < sizeof(fill); i++)
		fill[i] = (uint8_t)(i + 1);
	buffer_append(out, bytes("CEZK", 4));
	buffer_put_u8(out, 1);
	buffer_put_u8(out, 0);
	buffer_put_u16(out, RECORD_LEN);
	buffer_append(out, bytes(fill, 32));
	buffer_put_u64(out, zone);
	buffer_put_u32(out, version);
	buffer_put_u64(out, 1764000000000);
	buffer_put_u32(out, 0x30);
	buffer_append(out, bytes(fill + 32, 32));
	buffer_put_sized(out, bytes("\1\0\2ab", 5)); /* limits */
	buffer_put_u8(out, 1);
	buffer_put_sized(out, bytes_of(arn));
	buffer_put_sized(out, bytes(fill, 40));
}

static void put_wrapped(struct buffer *out, uint64_t zone, uint32_t version)
{
	uint8_t fill[76];

	memset(fill, 0x5A, sizeof(fill));
	buffer_append(out, bytes("CDEK\x01\0\0\0", 8));
	buffer_put_u64(out, zone);
	buffer_put_u32(out, version);
	buffer_append(out, bytes(fill, sizeof(fill)));
}

struct sample {
	struct envelope_header header;
	struct buffer wrapped, record, bytes;
};

static void sample_clear(struct sample *sample)
{
	buffer_clear(&sample->wrapped);
	buffer_clear(&sample->record);
	buffer_clear(&sample->bytes);
}

/* `slot_count` slots: sequence 1 in slot 0 and 2 in slot 1. */
static void sample_fill(struct sample *sample, bool name_bound, unsigned slot_count)
{
	struct envelope_header *header = &sample->header;
	struct envelope_slot slot = {.sequence = 1};
	AUTO(buffer_clear) struct buffer second = {0};

	*header = (struct envelope_header){
		.chunk_bits = ENVELOPE_CHUNK_BITS, .name_bound = name_bound, .zone = 0x1234567890};
	memset(header->salt, 0xA1, sizeof(header->salt));
	memset(header->commitment, 0xC3, sizeof(header->commitment));
	if (name_bound)
		memset(header->name_binding, 0xB2, sizeof(header->name_binding));
	put_wrapped(&sample->wrapped, header->zone, 7);
	put_record(&sample->record, header->zone, 7);
	slot.wrapped = buffer_bytes(&sample->wrapped);
	slot.record = buffer_bytes(&sample->record);
	assert_int_equal(envelope_header_prepare(header, slot.wrapped.len,
						 envelope_record_room(slot.record)),
			 ENVELOPE_OK);
	assert_int_equal(envelope_header_encode(header, 0, &slot, &sample->bytes), ENVELOPE_OK);
	assert_int_equal(sample->bytes.len, header->header_len);
	if (slot_count == 1)
		return;
	slot.sequence = 2;
	assert_int_equal(envelope_slot_encode(1, &slot, header->slot_len, &second), ENVELOPE_OK);
	memcpy(sample->bytes.data + ENVELOPE_IMMUTABLE + header->slot_len, second.data, second.len);
}

static enum envelope_status decode(const struct sample *sample, struct envelope_header *ret_header)
{
	struct envelope_error error = {0};

	return envelope_header_decode(buffer_bytes(&sample->bytes), ret_header, &error);
}

static void a_header_comes_back_as_it_was_written(void **state)
{
	(void)state;
	for (int name_bound = 0; name_bound < 2; name_bound++) {
		AUTO(sample_clear) struct sample sample = {0};
		struct envelope_header found;

		sample_fill(&sample, name_bound, 1);
		assert_int_equal(decode(&sample, &found), ENVELOPE_OK);
		assert_memory_equal(found.immutable, sample.bytes.data, ENVELOPE_IMMUTABLE);
		assert_int_equal(found.chunk_bits, 16);
		assert_int_equal(found.name_bound, name_bound);
		assert_int_equal(found.zone, sample.header.zone);
		assert_memory_equal(found.salt, sample.header.salt, ENVELOPE_SALT);
		assert_memory_equal(found.name_binding, sample.header.name_binding, 32);
		assert_memory_equal(found.commitment, sample.header.commitment,
				    ENVELOPE_COMMITMENT);
		assert_true(found.slots[0].valid && !found.slots[1].valid);
		assert_int_equal(found.slots[0].sequence, 1);
		assert_bytes(found.slots[0].wrapped, buffer_bytes(&sample.wrapped));
		assert_bytes(found.slots[0].record, buffer_bytes(&sample.record));
	}
}

static void that_a_record_is_kept_in_its_store_comes_back(void **state)
{
	static const struct {
		uint8_t flags, project;
		enum envelope_status status;
	} rows[] = {
		{2, 1, ENVELOPE_OK},	  {2, 0, ENVELOPE_DAMAGED}, {3, 1, ENVELOPE_OK},
		{0, 0, ENVELOPE_OK},	  {0, 1, ENVELOPE_DAMAGED}, {1, 1, ENVELOPE_DAMAGED},
		{4, 0, ENVELOPE_DAMAGED}, {6, 1, ENVELOPE_DAMAGED},
	};
	struct envelope_header header = {
		.chunk_bits = 16, .zone = 1, .kept = true, .project = "1234567"};

	(void)state;
	assert_int_equal(envelope_header_prepare(&header, 96, 0), ENVELOPE_OK);
	assert_int_equal(header.immutable[7], 2);
	assert_memory_equal(header.immutable + 120, "1234567", 8);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(sample_clear) struct sample sample = {0};
		struct envelope_header found = {0};

		sample_fill(&sample, rows[i].flags & 1, 1);
		sample.bytes.data[7] = rows[i].flags;
		sample.bytes.data[127] = rows[i].project;
		assert_int_equal(decode(&sample, &found), rows[i].status);
		if (rows[i].status == ENVELOPE_OK) {
			assert_int_equal(found.kept, rows[i].flags >> 1);
			assert_int_equal(found.project[7], rows[i].project);
		}
	}
}

/* A record with a wrap of each of these lengths, whatever is in them. */
static void put_record_with(struct buffer *out, const size_t *blobs, size_t count)
{
	uint8_t zeros[400] = {0};
	size_t start = out->len;

	buffer_append(out, bytes("CEZK\x01\0\0\0", 8));
	buffer_append(out, bytes(zeros, 16 + 16 + 8 + 4 + 8 + 4 + 32));
	buffer_put_sized(out, bytes(NULL, 0));
	buffer_put_u8(out, (uint8_t)count);
	for (size_t i = 0; i < count; i++) {
		buffer_put_sized(out, bytes_of("arn:aws:kms:us-west-2:111122223333:key/"
					       "1234abcd-12ab-34cd-56ef-1234567890ab"));
		buffer_put_sized(out, bytes(zeros, blobs[i]));
	}
	out->data[start + 6] = (uint8_t)((out->len - start) >> 8);
	out->data[start + 7] = (uint8_t)(out->len - start);
}

/* docs/format.md, 5.2: one wrap or two, and 1 KiB more. */
static void a_slot_has_room_for_two_wraps_and_a_kibibyte_more(void **state)
{
	AUTO(buffer_clear) struct buffer one = {0}, two = {0};
	struct envelope_header header = {.chunk_bits = 16, .zone = 1};
	size_t room;

	(void)state;
	put_record_with(&one, (size_t[]){184}, 1);
	put_record_with(&two, (size_t[]){184, 184}, 2);
	room = envelope_record_room(buffer_bytes(&one));
	assert_int_equal(room, two.len + 1024);
	assert_int_equal(envelope_record_room(buffer_bytes(&two)), two.len + 1024);
	assert_int_equal(envelope_header_prepare(&header, 96, room), ENVELOPE_OK);
	assert_int_equal(header.slot_len % 64, 0);
	assert_int_equal(header.header_len, 128 + 2 * header.slot_len);
	assert_in_range(header.slot_len, 12 + 96 + room + 4, 12 + 96 + room + 4 + 63);
	assert_int_equal(header.header_len, HEADER_TYPICAL);
	/* Where no record goes along, nothing grows. */
	assert_int_equal(envelope_record_room(bytes(NULL, 0)), 256);
	/* What can't be read has the spare room, at least. */
	assert_int_equal(envelope_record_room(bytes("x", 1)), 1025);
}

static void a_slot_that_no_reader_would_take_is_not_written(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct envelope_header header = {.chunk_bits = 16, .zone = 1};
	struct envelope_slot slot = {.sequence = 1};
	uint8_t much[200] = {0};

	(void)state;
	assert_int_equal(envelope_header_prepare(&header, 96, 16272), ENVELOPE_OK);
	assert_int_equal(header.slot_len, 16384);
	assert_int_equal(envelope_header_prepare(&header, 96, 16273), ENVELOPE_TOO_LARGE);
	slot.wrapped = bytes(much, 96);
	slot.record = bytes(much, 128 - 12 - 96 - 4);
	assert_int_equal(envelope_slot_encode(0, &slot, 128, &out), ENVELOPE_OK);
	slot.record.len++;
	assert_int_equal(envelope_slot_encode(0, &slot, 128, &out), ENVELOPE_TOO_LARGE);
}

static void a_header_cut_at_any_length_is_noticed(void **state)
{
	AUTO(sample_clear) struct sample sample = {0};
	struct envelope_header found;
	struct envelope_error error;
	uint32_t len;

	(void)state;
	sample_fill(&sample, true, 2);
	for (size_t cut = 0; cut < sample.bytes.len; cut++) {
		struct bytes part = bytes(sample.bytes.data, cut);
		enum envelope_status status = envelope_header_decode(part, &found, &error);

		assert_int_equal(status, cut == 0 ? ENVELOPE_EMPTY : ENVELOPE_DAMAGED);
		assert_int_equal(envelope_begins(part), cut >= 4);
		status = envelope_header_measure(part, &len, &error);
		assert_int_equal(status, cut == 0    ? ENVELOPE_EMPTY
					 : cut < 128 ? ENVELOPE_DAMAGED
						     : ENVELOPE_OK);
		assert_true(status != ENVELOPE_OK || len == sample.bytes.len);
	}
}

struct bit_counts {
	unsigned refused, handed_on, other_slot, idle;
};

/* What this layer makes of a flipped bit. What it hands on changed is in the immutable part, which
 * is the AAD of the wrapped DEK and of every chunk: the keys' tests show that it is noticed there.
 */
static void flip_and_count(struct sample *sample, size_t bit, struct bit_counts *counts)
{
	const struct envelope_header *header = &sample->header;
	uint8_t *place = &sample->bytes.data[bit / 8];
	struct envelope_header found;
	enum envelope_status status;

	*place ^= (uint8_t)(1 << bit % 8);
	status = decode(sample, &found);
	*place ^= (uint8_t)(1 << bit % 8);
	if (status != ENVELOPE_OK)
		counts->refused++;
	else if (bit / 8 < ENVELOPE_IMMUTABLE)
		counts->handed_on += memcmp(found.immutable, header->immutable, 128) != 0;
	else if (bit / 8 < ENVELOPE_IMMUTABLE + header->slot_len)
		counts->other_slot += !found.slots[0].valid && found.slots[1].valid;
	else
		counts->idle += found.slots[0].valid && !found.slots[1].valid;
}

static void every_flipped_bit_is_noticed_or_leaves_the_other_slot(void **state)
{
	(void)state;
	for (unsigned slots = 1; slots <= 2; slots++) {
		AUTO(sample_clear) struct sample sample = {0};
		struct bit_counts counts = {0};
		size_t slot_bits;

		sample_fill(&sample, true, slots);
		slot_bits = (size_t)sample.header.slot_len * 8;
		for (size_t bit = 0; bit < sample.bytes.len * 8; bit++)
			flip_and_count(&sample, bit, &counts);
		/* Handed on: 63 bits of the zone id, salt, name binding, commitment, and chunk
		 * sizes of 17, 18, 20 or 24 bits in place of 16. */
		assert_int_equal(counts.handed_on, 63 + 3 * 256 + 4);
		assert_int_equal(counts.idle, slot_bits);
		assert_int_equal(counts.other_slot, slots == 2 ? slot_bits : 0);
		assert_int_equal(counts.refused + counts.handed_on,
				 1024 + (slots == 1) * slot_bits);
	}
}

static void set_u64(uint8_t *place, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		place[i] = (uint8_t)(value >> (56 - 8 * i));
}

static void impossible_values_are_damage(void **state)
{
	/* offset, value of the byte there, what it is then */
	static const struct {
		size_t offset;
		uint8_t value;
		enum envelope_status status;
	} rows[] = {
		{0, 'c', ENVELOPE_NOT_AN_ENVELOPE},
		{4, 0, ENVELOPE_NEWER},
		{4, 2, ENVELOPE_NEWER},
		{5, 0, ENVELOPE_DAMAGED},
		{5, 3, ENVELOPE_DAMAGED},
		{5, 2, ENVELOPE_MESSAGE},
		{6, 11, ENVELOPE_DAMAGED},
		{6, 12, ENVELOPE_OK},
		{6, 24, ENVELOPE_OK},
		{6, 25, ENVELOPE_DAMAGED},
		{7, 2, ENVELOPE_DAMAGED},
		{7, 0x80, ENVELOPE_DAMAGED},
		{7, 0, ENVELOPE_DAMAGED}, /* a binding without its flag */
		{8, 1, ENVELOPE_DAMAGED},
		{15, 1, ENVELOPE_DAMAGED}, /* no multiple of 64 */
		{12, 1, ENVELOPE_DAMAGED},
		{120, 1, ENVELOPE_DAMAGED},
		{127, 1, ENVELOPE_DAMAGED},
	};
	AUTO(sample_clear) struct sample sample = {0};
	struct envelope_header found;

	(void)state;
	sample_fill(&sample, true, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t *place = &sample.bytes.data[rows[i].offset], before = *place;

		*place = rows[i].value;
		assert_int_equal(decode(&sample, &found), rows[i].status);
		*place = before;
	}
	set_u64(sample.bytes.data + 16, 0);
	assert_int_equal(decode(&sample, &found), ENVELOPE_DAMAGED);
	set_u64(sample.bytes.data + 16, UINT64_C(1) << 63);
	assert_int_equal(decode(&sample, &found), ENVELOPE_DAMAGED);
	set_u64(sample.bytes.data + 16, INT64_MAX);
	assert_int_equal(decode(&sample, &found), ENVELOPE_OK);
}

/* Writes a slot as `change` makes it, with a right checksum. */
static bool is_valid_with(size_t offset, uint8_t value)
{
	AUTO(sample_clear) struct sample sample = {0};
	struct envelope_header found;
	uint8_t *slot;
	uint8_t number = 0;
	uint32_t crc;

	sample_fill(&sample, false, 1);
	slot = sample.bytes.data + ENVELOPE_IMMUTABLE;
	slot[offset] = value;
	crc = envelope_crc32(envelope_crc32(0, bytes(&number, 1)),
			     bytes(slot, sample.header.slot_len - 4));
	for (int i = 0; i < 4; i++)
		slot[sample.header.slot_len - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	return decode(&sample, &found) == ENVELOPE_OK && found.slots[0].valid;
}

static void a_slot_is_valid_by_its_checksum_lengths_and_zeros(void **state)
{
	(void)state;
	assert_true(is_valid_with(7, 1));    /* as it is */
	assert_true(is_valid_with(7, 9));    /* another sequence */
	assert_false(is_valid_with(7, 0));   /* never written, and yet not zero */
	assert_false(is_valid_with(9, 95));  /* no wrapped key of 32 bytes */
	assert_false(is_valid_with(10, 99)); /* a record longer than the slot */
	assert_true(is_valid_with(12, 0));   /* contents are the contents' business */
	assert_false(is_valid_with(12 + 96 + RECORD_LEN, 1)); /* no zero behind the record */
}

static void a_slot_is_not_valid_in_the_other_place(void **state)
{
	AUTO(sample_clear) struct sample sample = {0};
	struct envelope_header found;
	uint8_t *slot;

	(void)state;
	sample_fill(&sample, false, 1);
	slot = sample.bytes.data + ENVELOPE_IMMUTABLE;
	memcpy(slot + sample.header.slot_len, slot, sample.header.slot_len);
	assert_int_equal(decode(&sample, &found), ENVELOPE_OK);
	assert_true(found.slots[0].valid && !found.slots[1].valid);
	memset(slot, 0, sample.header.slot_len);
	assert_int_equal(decode(&sample, &found), ENVELOPE_DAMAGED);
}

static void the_valid_slot_with_the_greater_sequence_comes_first(void **state)
{
	/* valid and sequence of slots 0 and 1; the order */
	static const struct {
		uint64_t sequences[2]; /* 0: not valid */
		int first, second;     /* -1: none */
	} rows[] = {{{1, 0}, 0, -1}, {{0, 1}, 1, -1}, {{1, 2}, 1, 0},
		    {{2, 1}, 0, 1},  {{5, 5}, 0, 1},  {{UINT64_MAX, 1}, 0, 1}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct envelope_header header = {0};
		const struct envelope_slot *slots[ENVELOPE_SLOTS];

		for (int s = 0; s < 2; s++) {
			header.slots[s].sequence = rows[i].sequences[s];
			header.slots[s].valid = rows[i].sequences[s] != 0;
		}
		envelope_slots_in_order(&header, slots);
		assert_ptr_equal(slots[0], &header.slots[rows[i].first]);
		assert_ptr_equal(slots[1],
				 rows[i].second < 0 ? NULL : &header.slots[rows[i].second]);
	}
}

static void a_record_says_whose_it_is(void **state)
{
	AUTO(buffer_clear) struct buffer record = {0};
	struct envelope_record found;

	(void)state;
	put_record(&record, 4711, 3);
	assert_true(envelope_record_decode(buffer_bytes(&record), &found));
	assert_int_equal(found.zone, 4711);
	assert_int_equal(found.version, 3);
	assert_int_equal(found.created_ms, 1764000000000);
	assert_int_equal(found.project[15], 16);
	assert_int_equal(found.cluster[0], 17);
	assert_int_equal(found.arn_count, 1);
	assert_bytes(found.arns[0], bytes_of(arn));
	assert_bytes(found.bound, bytes(record.data + 8, 88 + 7));
}

static void a_malformed_record_is_refused(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} rows[] = {{96, 5},	   {97, 6},	    {97, 255},
		    {0, 'X'},	   {4, 2},	    {7, RECORD_LEN + 1},
		    {103, 0},	   {103, 2},	    {103, 9},
		    {104, 1},	   {105, 0},	    {106, ' '},
		    {106, '\n'},   {106, 0x1B},	    {106, 0xC3},
		    {106 + 20, 9}, {106 + 21, 0x29}};
	AUTO(buffer_clear) struct buffer record = {0};
	struct envelope_record found;

	(void)state;
	put_record(&record, 1, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t before = record.data[rows[i].offset];

		record.data[rows[i].offset] = rows[i].value;
		assert_false(envelope_record_decode(buffer_bytes(&record), &found));
		record.data[rows[i].offset] = before;
	}
	for (size_t cut = 0; cut < record.len; cut++)
		assert_false(envelope_record_decode(bytes(record.data, cut), &found));
	assert_true(envelope_record_decode(buffer_bytes(&record), &found));
}

static void a_wrapped_key_says_its_zone_and_version(void **state)
{
	AUTO(buffer_clear) struct buffer wrapped = {0};
	uint64_t zone;
	uint32_t version;

	(void)state;
	put_wrapped(&wrapped, INT64_MAX, UINT32_MAX);
	assert_int_equal(wrapped.len, ENVELOPE_WRAPPED);
	assert_true(envelope_wrapped_version(buffer_bytes(&wrapped), &zone, &version));
	assert_int_equal(zone, INT64_MAX);
	assert_int_equal(version, UINT32_MAX);
	assert_false(envelope_wrapped_version(bytes(wrapped.data, 19), &zone, &version));
	wrapped.data[4] = 2;
	assert_false(envelope_wrapped_version(buffer_bytes(&wrapped), &zone, &version));
}

static void the_checksum_is_that_of_zip(void **state)
{
	(void)state;
	/* The check value of ISO 3309's CRC-32, as catalogues list it. */
	assert_int_equal(envelope_crc32(0, bytes_of("123456789")), 0xCBF43926);
	assert_int_equal(envelope_crc32(envelope_crc32(0, bytes_of("1234")), bytes_of("56789")),
			 0xCBF43926);
	assert_int_equal(envelope_crc32(0, bytes(NULL, 0)), 0);
}

static void every_status_has_a_text(void **state)
{
	(void)state;
	for (int status = 0; status < ENVELOPE_STATUS_COUNT; status++)
		assert_non_null(envelope_status_text((enum envelope_status)status));
	assert_string_equal(envelope_status_text(ENVELOPE_STATUS_COUNT), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_comes_back_as_it_was_written),
		cmocka_unit_test(that_a_record_is_kept_in_its_store_comes_back),
		cmocka_unit_test(a_slot_has_room_for_two_wraps_and_a_kibibyte_more),
		cmocka_unit_test(a_slot_that_no_reader_would_take_is_not_written),
		cmocka_unit_test(a_header_cut_at_any_length_is_noticed),
		cmocka_unit_test(every_flipped_bit_is_noticed_or_leaves_the_other_slot),
		cmocka_unit_test(impossible_values_are_damage),
		cmocka_unit_test(a_slot_is_valid_by_its_checksum_lengths_and_zeros),
		cmocka_unit_test(a_slot_is_not_valid_in_the_other_place),
		cmocka_unit_test(the_valid_slot_with_the_greater_sequence_comes_first),
		cmocka_unit_test(a_record_says_whose_it_is),
		cmocka_unit_test(a_malformed_record_is_refused),
		cmocka_unit_test(a_wrapped_key_says_its_zone_and_version),
		cmocka_unit_test(the_checksum_is_that_of_zip),
		cmocka_unit_test(every_status_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
