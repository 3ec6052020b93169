/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/header.h"

#include "base/macros.h"
#include "base/reader.h"

#include <stdio.h>

/* Layout: docs/format.md section 5.1 and 5.2. Nothing here is secret, and nothing is trusted: every
 * length is checked. */

static const uint8_t magic[4] = {'C', 'M', 'E', 'K'};

enum { SLOT_FIXED = 12, SLOT_CHECKSUM = 4, FLAG_NAME_BOUND = 1, FLAG_KEPT = 2, FORMAT = 1 };

/* The limit that keeps a record in its store (docs/format.md, 3.1). */
enum { LIMIT_KEPT = 6 };

uint32_t envelope_crc32(uint32_t crc, struct bytes bytes)
{
	crc = ~crc;
	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= bytes.data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xEDB88320u & -(crc & 1));
	}
	return ~crc;
}

static enum envelope_status damaged(struct envelope_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s", what);
	return ENVELOPE_DAMAGED;
}

static bool all_zero(struct bytes b)
{
	uint8_t any = 0;

	for (size_t i = 0; i < b.len; i++)
		any |= b.data[i];
	return any == 0;
}

static enum envelope_status check_lengths(const struct envelope_header *h,
					  struct envelope_error *error)
{
	if (h->chunk_bits < ENVELOPE_CHUNK_BITS_MIN || h->chunk_bits > ENVELOPE_CHUNK_BITS_MAX)
		return damaged(error, "header: impossible chunk size");
	if (h->slot_len < ENVELOPE_SLOT_MIN || h->slot_len > ENVELOPE_SLOT_MAX ||
	    h->slot_len % 64 != 0)
		return damaged(error, "header: impossible slot length");
	if (h->header_len != ENVELOPE_IMMUTABLE + ENVELOPE_SLOTS * h->slot_len)
		return damaged(error, "header: its length and its slots' disagree");
	return ENVELOPE_OK;
}

static void take(struct reader *reader, uint8_t *out, size_t len)
{
	struct bytes taken = reader_take(reader, len);

	if (taken.len == len)
		memcpy(out, taken.data, len);
}

static enum envelope_status immutable_decode(struct bytes in, struct envelope_header *h,
					     struct envelope_error *error)
{
	struct reader reader = reader_of(in);
	uint8_t format, kind, flags;

	if (in.len == 0)
		return ENVELOPE_EMPTY;
	if (memcmp(in.data, magic, in.len < sizeof(magic) ? in.len : sizeof(magic)) != 0)
		return ENVELOPE_NOT_AN_ENVELOPE;
	if (in.len < ENVELOPE_IMMUTABLE)
		return damaged(error, "header: cut short");
	reader_take(&reader, sizeof(magic));
	format = reader_u8(&reader);
	kind = reader_u8(&reader);
	h->chunk_bits = reader_u8(&reader);
	flags = reader_u8(&reader);
	h->header_len = reader_u32(&reader);
	h->slot_len = reader_u32(&reader);
	h->zone = reader_u64(&reader);
	take(&reader, h->salt, sizeof(h->salt));
	take(&reader, h->name_binding, sizeof(h->name_binding));
	take(&reader, h->commitment, sizeof(h->commitment));
	take(&reader, h->project, sizeof(h->project));
	h->name_bound = flags & FLAG_NAME_BOUND;
	h->kept = flags & FLAG_KEPT;
	memcpy(h->immutable, in.data, ENVELOPE_IMMUTABLE);
	if (format != FORMAT)
		return ENVELOPE_NEWER;
	if (kind == ENVELOPE_KIND_MESSAGE)
		return ENVELOPE_MESSAGE;
	if (kind != ENVELOPE_KIND_FILE)
		return damaged(error, "header: not a file's envelope");
	if ((flags & ~(FLAG_NAME_BOUND | FLAG_KEPT)) != 0)
		return damaged(error, "header: bits set that must be zero");
	if (h->kept == all_zero(bytes(h->project, sizeof(h->project))))
		return damaged(error, "header: a project without its flag, or a flag without it");
	if (!h->name_bound && !all_zero(bytes(h->name_binding, sizeof(h->name_binding))))
		return damaged(error, "header: a name binding without its flag");
	if (h->zone == 0 || h->zone > INT64_MAX)
		return damaged(error, "header: impossible zone id");
	return check_lengths(h, error);
}

bool envelope_begins(struct bytes start)
{
	return start.len >= sizeof(magic) && memcmp(start.data, magic, sizeof(magic)) == 0;
}

enum envelope_status envelope_header_measure(struct bytes immutable, uint32_t *ret_len,
					     struct envelope_error *error)
{
	struct envelope_header header = {0};

	TRY(immutable_decode(immutable, &header, error));
	*ret_len = header.header_len;
	return ENVELOPE_OK;
}

static uint32_t slot_checksum(unsigned index, struct bytes contents)
{
	uint8_t number = (uint8_t)index;

	return envelope_crc32(envelope_crc32(0, bytes(&number, 1)), contents);
}

static struct envelope_slot slot_decode(unsigned index, struct bytes in)
{
	struct bytes contents = bytes(in.data, in.len - SLOT_CHECKSUM);
	struct reader end = reader_of(bytes(in.data + contents.len, SLOT_CHECKSUM));
	struct reader reader = reader_of(contents);
	struct envelope_slot slot = {.sequence = reader_u64(&reader)};
	uint16_t wrapped_len = reader_u16(&reader), record_len = reader_u16(&reader);

	slot.wrapped = reader_take(&reader, wrapped_len);
	slot.record = reader_take(&reader, record_len);
	slot.valid = !reader.failed && slot.sequence != 0 && slot.wrapped.len == ENVELOPE_WRAPPED &&
		     all_zero(reader.left) && reader_u32(&end) == slot_checksum(index, contents);
	return slot;
}

enum envelope_status envelope_header_decode(struct bytes in, struct envelope_header *ret_header,
					    struct envelope_error *error)
{
	struct envelope_header header = {0};

	TRY(immutable_decode(in, &header, error));
	if (in.len < header.header_len)
		return damaged(error, "header: cut short");
	for (unsigned i = 0; i < ENVELOPE_SLOTS; i++)
		header.slots[i] =
			slot_decode(i, bytes(in.data + ENVELOPE_IMMUTABLE + i * header.slot_len,
					     header.slot_len));
	if (!header.slots[0].valid && !header.slots[1].valid)
		return damaged(error, "header: neither slot is intact");
	*ret_header = header;
	return ENVELOPE_OK;
}

/* --- Writing ---------------------------------------------------------------------------------- */

size_t envelope_record_room(struct bytes record)
{
	struct envelope_record decoded = {0};
	size_t second = 0;

	if (record.len == 0)
		return ENVELOPE_SLOT_SPARE_KEPT;
	if (envelope_record_decode(record, &decoded) && decoded.arn_count == 1)
		second = decoded.wraps_len;
	return record.len + second + ENVELOPE_SLOT_SPARE;
}

enum envelope_status envelope_header_prepare(struct envelope_header *header, size_t wrapped_len,
					     size_t record_room)
{
	AUTO(buffer_clear) struct buffer out = {0};
	size_t slot_len = SLOT_FIXED + wrapped_len + record_room + SLOT_CHECKSUM;

	slot_len = (slot_len + 63) / 64 * 64;
	if (slot_len > ENVELOPE_SLOT_MAX)
		return ENVELOPE_TOO_LARGE;
	header->slot_len = (uint32_t)slot_len;
	header->header_len = ENVELOPE_IMMUTABLE + ENVELOPE_SLOTS * header->slot_len;
	buffer_append(&out, bytes(magic, sizeof(magic)));
	buffer_put_u8(&out, FORMAT);
	buffer_put_u8(&out, ENVELOPE_KIND_FILE);
	buffer_put_u8(&out, (uint8_t)header->chunk_bits);
	buffer_put_u8(&out, (uint8_t)((header->name_bound ? FLAG_NAME_BOUND : 0) |
				      (header->kept ? FLAG_KEPT : 0)));
	buffer_put_u32(&out, header->header_len);
	buffer_put_u32(&out, header->slot_len);
	buffer_put_u64(&out, header->zone);
	buffer_append(&out, bytes(header->salt, sizeof(header->salt)));
	buffer_append(&out, bytes(header->name_binding, sizeof(header->name_binding)));
	buffer_append(&out, bytes(header->commitment, sizeof(header->commitment)));
	buffer_append(&out, bytes(header->project, sizeof(header->project)));
	if (out.failed)
		return ENVELOPE_NO_MEMORY;
	memcpy(header->immutable, out.data, ENVELOPE_IMMUTABLE);
	return ENVELOPE_OK;
}

enum envelope_status envelope_slot_encode(unsigned index, const struct envelope_slot *slot,
					  uint32_t slot_len, struct buffer *out)
{
	size_t start = out->len, used = SLOT_FIXED + slot->wrapped.len + slot->record.len;
	uint8_t *zeros;

	if (slot->wrapped.len > UINT16_MAX || slot->record.len > UINT16_MAX ||
	    used + SLOT_CHECKSUM > slot_len)
		return ENVELOPE_TOO_LARGE;
	buffer_put_u64(out, slot->sequence);
	buffer_put_u16(out, (uint16_t)slot->wrapped.len);
	buffer_put_u16(out, (uint16_t)slot->record.len);
	buffer_append(out, slot->wrapped);
	buffer_append(out, slot->record);
	zeros = buffer_extend(out, slot_len - SLOT_CHECKSUM - used);
	if (zeros == NULL)
		return ENVELOPE_NO_MEMORY;
	memset(zeros, 0, slot_len - SLOT_CHECKSUM - used);
	buffer_put_u32(out,
		       slot_checksum(index, bytes(out->data + start, slot_len - SLOT_CHECKSUM)));
	return out->failed ? ENVELOPE_NO_MEMORY : ENVELOPE_OK;
}

enum envelope_status envelope_header_encode(const struct envelope_header *header, unsigned index,
					    const struct envelope_slot *slot, struct buffer *out)
{
	buffer_append(out, bytes(header->immutable, sizeof(header->immutable)));
	for (unsigned i = 0; i < ENVELOPE_SLOTS; i++) {
		uint8_t *empty;

		if (i == index) {
			TRY(envelope_slot_encode(i, slot, header->slot_len, out));
			continue;
		}
		empty = buffer_extend(out, header->slot_len);
		if (empty == NULL)
			return ENVELOPE_NO_MEMORY;
		memset(empty, 0, header->slot_len);
	}
	return out->failed ? ENVELOPE_NO_MEMORY : ENVELOPE_OK;
}

int64_t envelope_plain_size(const struct envelope_header *header, int64_t file_size)
{
	int64_t chunk = ((int64_t)1 << header->chunk_bits) + ENVELOPE_TAG;
	int64_t payload = file_size - header->header_len;
	int64_t rest = payload % chunk;

	if (payload < ENVELOPE_TAG || (rest > 0 && rest < ENVELOPE_TAG))
		return -1; /* cut */
	if (rest == ENVELOPE_TAG && payload > ENVELOPE_TAG)
		return -1; /* only an empty payload's chunk is empty */
	return payload - (payload + chunk - 1) / chunk * ENVELOPE_TAG;
}

void envelope_slots_in_order(const struct envelope_header *header,
			     const struct envelope_slot *ret_slots[ENVELOPE_SLOTS])
{
	const struct envelope_slot *a = header->slots[0].valid ? &header->slots[0] : NULL;
	const struct envelope_slot *b = header->slots[1].valid ? &header->slots[1] : NULL;
	bool b_first = b != NULL && (a == NULL || b->sequence > a->sequence);

	ret_slots[0] = b_first ? b : a;
	ret_slots[1] = b_first ? a : b;
}

/* --- What a slot's contents say in clear (sections 3 and 4) */

bool envelope_wrapped_version(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version)
{
	struct reader reader = reader_of(wrapped);
	struct bytes start = reader_take(&reader, 4);
	uint8_t format = reader_u8(&reader);
	uint64_t zone;
	uint32_t version;

	reader_take(&reader, 3);
	zone = reader_u64(&reader);
	version = reader_u32(&reader);
	if (reader.failed || !bytes_equal(start, bytes("CDEK", 4)) || format != FORMAT)
		return false;
	*ret_zone = zone;
	*ret_version = version;
	return true;
}

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return text.len > 0;
}

static bool record_arns_decode(struct reader *reader, struct envelope_record *record)
{
	record->arn_count = reader_u8(reader);
	if (record->arn_count == 0 || record->arn_count > COUNT_OF(record->arns))
		return false;
	record->wraps_len = reader->left.len;
	for (size_t i = 0; i < record->arn_count; i++) {
		if (record->both)
			reader_u8(reader);
		record->arns[i] = reader_sized(reader);
		reader_sized(reader);
		if (!is_printable(record->arns[i]))
			return false;
	}
	return reader_done(reader);
}

/* The module judges whatever else is in the list. */
static bool limits_say_kept(struct bytes limits)
{
	struct reader reader = reader_of(limits);
	bool kept = false;

	while (!reader.failed && reader.left.len > 0) {
		uint8_t tag = reader_u8(&reader);

		kept |= reader_sized(&reader).len == 0 && !reader.failed && tag == LIMIT_KEPT;
	}
	return kept;
}

bool envelope_record_decode(struct bytes record, struct envelope_record *ret_record)
{
	struct reader reader = reader_of(record);
	struct bytes start = reader_take(&reader, 4);
	struct envelope_record result = {0};
	uint8_t format = reader_u8(&reader), policy = reader_u8(&reader);
	struct bytes limits;
	uint16_t len;

	result.both = policy == 1;
	len = reader_u16(&reader);
	result.bound = bytes(reader.left.data, ENVELOPE_RECORD_BOUND);
	take(&reader, result.project, sizeof(result.project));
	take(&reader, result.cluster, sizeof(result.cluster));
	result.zone = reader_u64(&reader);
	result.version = reader_u32(&reader);
	result.created_ms = reader_u64(&reader);
	reader_take(&reader, 4 + 32);
	limits = reader_sized(&reader);
	result.bound.len += limits.len;
	result.kept = limits_say_kept(limits);
	if (result.bound.len > ENVELOPE_RECORD_BOUND_MAX || !record_arns_decode(&reader, &result) ||
	    len != record.len || !bytes_equal(start, bytes("CEZK", 4)) || format != FORMAT ||
	    policy > 1)
		return false;
	*ret_record = result;
	return true;
}
