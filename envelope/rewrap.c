/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/rewrap.h"

#include "base/macros.h"

#include <stdio.h>

/* --- What is there --------------------------------------------------------------------------- */

void envelope_wrap_of(const struct envelope_slot *slot, struct envelope_wrap *ret_wrap)
{
	struct envelope_record record;
	uint64_t zone;

	*ret_wrap = (struct envelope_wrap){.record = slot->record};
	envelope_wrapped_version(slot->wrapped, &zone, &ret_wrap->version);
	if (!envelope_record_decode(slot->record, &record))
		return;
	ret_wrap->arn_count = record.arn_count;
	ret_wrap->both = record.both;
	memcpy(ret_wrap->arns, record.arns, record.arn_count * sizeof(record.arns[0]));
}

void envelope_primary_clear(struct envelope_primary *primary)
{
	buffer_clear(&primary->record);
}

enum envelope_status envelope_primary_read(struct envelope_token *token, CK_OBJECT_HANDLE zone,
					   struct envelope_primary *ret_primary,
					   struct envelope_error *error)
{
	struct envelope_record record;
	bool kept;

	buffer_clear(&ret_primary->record);
	TRY(envelope_zone_is_kept(token, zone, &kept, error));
	if (kept)
		return envelope_zone_version(token, zone, &ret_primary->version, error);
	TRY(envelope_zone_record(token, zone, &ret_primary->record, error));
	/* Not CKA_CMEK_VERSION: between two calls there may be a rotation. */
	if (!envelope_record_decode(buffer_bytes(&ret_primary->record), &record))
		return envelope_failed(token, error, "C_GetAttributeValue", CKR_GENERAL_ERROR);
	ret_primary->version = record.version;
	return ENVELOPE_OK;
}

bool envelope_slot_is_current(const struct envelope_slot *slot,
			      const struct envelope_primary *primary)
{
	struct envelope_wrap wrap;

	envelope_wrap_of(slot, &wrap);
	return slot->valid && wrap.version == primary->version &&
	       bytes_equal(wrap.record, buffer_bytes(&primary->record));
}

/* --- What takes its place -------------------------------------------------------------------- */

void envelope_new_slot_clear(struct envelope_new_slot *slot)
{
	buffer_clear(&slot->bytes);
}

/* Only somebody who changed the file can have brought the numbers to their end. */
static bool next_sequence(const struct envelope_header *header, uint64_t *ret_sequence)
{
	uint64_t greatest = 0;

	for (size_t i = 0; i < ENVELOPE_SLOTS; i++)
		if (header->slots[i].valid && header->slots[i].sequence > greatest)
			greatest = header->slots[i].sequence;
	*ret_sequence = greatest + 1;
	return *ret_sequence != 0;
}

/* `used` is the slot that stays. */
static enum envelope_status encode(const struct envelope_header *header,
				   const struct envelope_slot *used, struct bytes wrapped,
				   struct bytes record, struct envelope_new_slot *out)
{
	struct envelope_slot slot = {.wrapped = wrapped, .record = record};
	enum envelope_status status;

	if (!next_sequence(header, &slot.sequence))
		return ENVELOPE_NO_ROOM;
	out->index = used == &header->slots[0] ? 1 : 0;
	out->offset = ENVELOPE_IMMUTABLE + (uint64_t)out->index * header->slot_len;
	buffer_clear(&out->bytes);
	status = envelope_slot_encode(out->index, &slot, header->slot_len, &out->bytes);
	return status == ENVELOPE_TOO_LARGE ? ENVELOPE_NO_ROOM : status;
}

/* Before anything is written: the new wrap opens, and to the key that the file was sealed with. */
static enum envelope_status check_opens(struct envelope_token *token,
					const struct envelope_header *header, CK_OBJECT_HANDLE zone,
					struct bytes wrapped, struct envelope_error *error)
{
	struct envelope_keys keys = {0};
	bool same;

	TRY(envelope_keys_open(token, wrapped, zone,
			       bytes(header->immutable, sizeof(header->immutable)), header->salt,
			       &keys, error));
	same = memcmp(keys.commitment, header->commitment, ENVELOPE_COMMITMENT) == 0;
	envelope_keys_clear(token, &keys);
	if (same)
		return ENVELOPE_OK;
	return envelope_failed(token, error, "C_UnwrapKey", CKR_GENERAL_ERROR);
}

static enum envelope_status wrap_anew(struct envelope_token *token,
				      const struct envelope_header *header,
				      const struct envelope_keys *keys, CK_OBJECT_HANDLE zone,
				      struct envelope_new_slot *ret_slot,
				      struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer wrapped = {0}, record = {0};
	uint64_t named;

	TRY(envelope_keys_wrap(token, keys, zone,
			       bytes(header->immutable, sizeof(header->immutable)), &wrapped,
			       header->kept ? NULL : &record, error));
	TRY(check_opens(token, header, zone, buffer_bytes(&wrapped), error));
	envelope_wrapped_version(buffer_bytes(&wrapped), &named, &ret_slot->version);
	return encode(header, keys->slot, buffer_bytes(&wrapped), buffer_bytes(&record), ret_slot);
}

enum envelope_status envelope_rewrap(struct envelope_token *token,
				     const struct envelope_header *header,
				     struct envelope_new_slot *ret_slot,
				     struct envelope_error *error)
{
	struct envelope_keys keys = {0};
	enum envelope_status status;
	CK_OBJECT_HANDLE zone;

	TRY(envelope_zone_find(token, header->zone, &zone, error));
	if (zone == CK_INVALID_HANDLE)
		return ENVELOPE_ZONE_UNKNOWN;
	TRY(envelope_unlock(token, header, &keys, error));
	status = wrap_anew(token, header, &keys, zone, ret_slot, error);
	envelope_keys_clear(token, &keys);
	return status;
}

enum envelope_status envelope_rewrap_other(const struct envelope_header *header,
					   const struct envelope_slot *current,
					   struct envelope_new_slot *ret_slot)
{
	uint64_t zone;

	envelope_wrapped_version(current->wrapped, &zone, &ret_slot->version);
	return encode(header, current, current->wrapped, current->record, ret_slot);
}
