/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/envelope.h"

#include "base/free.h"
#include "base/macros.h"
#include "envelope/reader.h"
#include "envelope/writer.h"

#include <errno.h>
#include <stdio.h>

/* The steps in the order of docs/format.md, 5.4, and the loops from one stream to another. */

/* --- Sealing --------------------------------------------------------------------------------- */

enum envelope_status envelope_seal(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				   const struct envelope_options *options,
				   const struct envelope_io *io, struct envelope_error *error)
{
	AUTO(envelope_writer_clear) struct envelope_writer writer = {0};

	TRY(envelope_writer_begin(&writer, token, ezk, options, io, error));
	return envelope_writer_take(&writer, io, error);
}

enum envelope_status envelope_reseal(struct envelope_resealing *task, const struct envelope_io *io,
				     struct envelope_error *error)
{
	AUTO(envelope_writer_clear) struct envelope_writer writer = {0};
	AUTO(envelope_reader_clear) struct envelope_reader reader = {0};
	struct bytes plain;

	TRY(envelope_reader_begin(&reader, task->from, task->header, task->keys, io));
	TRY(envelope_writer_begin_anew(&writer, task, io, error));
	for (;;) {
		TRY(envelope_reader_next(&reader, &plain, error));
		if (plain.len == 0)
			return envelope_writer_finish(&writer, error);
		TRY(envelope_writer_put(&writer, plain, error));
	}
}

/* --- Opening --------------------------------------------------------------------------------- */

enum envelope_status envelope_read_header(const struct envelope_io *io, struct buffer *storage,
					  struct envelope_header *ret_header,
					  struct envelope_error *error)
{
	uint8_t *start = buffer_extend(storage, ENVELOPE_IMMUTABLE), *rest;
	uint32_t header_len;
	size_t len;

	if (start == NULL)
		return ENVELOPE_NO_MEMORY;
	TRY(envelope_read_full(io, start, ENVELOPE_IMMUTABLE, &len, error));
	TRY(envelope_header_measure(bytes(start, len), &header_len, error));
	rest = buffer_extend(storage, header_len - ENVELOPE_IMMUTABLE);
	if (rest == NULL)
		return ENVELOPE_NO_MEMORY;
	TRY(envelope_read_full(io, rest, header_len - ENVELOPE_IMMUTABLE, &len, error));
	return envelope_header_decode(bytes(storage->data, ENVELOPE_IMMUTABLE + len), ret_header,
				      error);
}

enum envelope_status envelope_check(struct envelope_token *token,
				    const struct envelope_header *header,
				    const struct envelope_expectation *expected,
				    struct envelope_error *error)
{
	uint8_t binding[32];

	if (expected->zone != 0 && expected->zone != header->zone)
		return ENVELOPE_OTHER_ZONE;
	if (!header->name_bound)
		return expected->name.data == NULL ? ENVELOPE_OK : ENVELOPE_NOT_BOUND;
	if (expected->name.data == NULL)
		return ENVELOPE_NAME_NEEDED;
	TRY(envelope_name_binding(token, header->salt, expected->name, binding, error));
	return memcmp(binding, header->name_binding, sizeof(binding)) == 0 ? ENVELOPE_OK
									   : ENVELOPE_WRONG_NAME;
}

static enum envelope_status damaged(struct envelope_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "header: %s", what);
	return ENVELOPE_DAMAGED;
}

/* Header, wrapped DEK and record have to name one zone, and the latter two one version: otherwise
 * whoever may use one zone's key could pass off his data as another zone's. */
static enum envelope_status check_one_zone(const struct envelope_header *header,
					   const struct envelope_slot *slot,
					   struct envelope_error *error)
{
	struct envelope_record record;
	uint32_t version;
	uint64_t zone;

	if (!envelope_wrapped_version(slot->wrapped, &zone, &version))
		return damaged(error, "it has no wrapped data key");
	if (zone != header->zone)
		return damaged(error, "the wrapped data key is another zone's");
	if (header->kept && slot->record.len == 0)
		return ENVELOPE_OK;
	if (header->kept)
		return damaged(error, "it says that it has no key record, but it has one");
	if (slot->record.len == 0)
		return damaged(error, "its key record was taken out");
	if (!envelope_record_decode(slot->record, &record))
		return damaged(error, "the key record is malformed");
	if (record.kept)
		return damaged(error, "the key record is one that must stay in its store");
	if (record.zone != zone || record.version != version)
		return damaged(error, "the key record is another key's");
	return ENVELOPE_OK;
}

/* Where its key is, for people who search for it. */
static enum envelope_status zone_unknown(const struct envelope_header *header,
					 const struct envelope_slot *slot,
					 struct envelope_error *error)
{
	uint32_t version = 0;
	uint64_t zone;

	envelope_wrapped_version(slot->wrapped, &zone, &version);
	snprintf(error->text, sizeof(error->text), "zone %llu, key version %lu",
		 (unsigned long long)header->zone, (unsigned long)version);
	return ENVELOPE_ZONE_UNKNOWN;
}

static enum envelope_status unlock_slot(struct envelope_token *token,
					const struct envelope_header *header,
					const struct envelope_slot *slot, CK_OBJECT_HANDLE zone,
					struct envelope_keys *ret_keys,
					struct envelope_error *error)
{
	CK_OBJECT_HANDLE ezk = zone;
	uint64_t named;
	uint32_t version;

	TRY(check_one_zone(header, slot, error));
	if (slot->record.len > 0 && envelope_wrapped_version(slot->wrapped, &named, &version))
		TRY(envelope_zone_drop_older(token, named, version, &ezk, error));
	if (ezk == CK_INVALID_HANDLE && header->kept)
		return zone_unknown(header, slot, error);
	if (ezk == CK_INVALID_HANDLE)
		TRY(envelope_record_open(token, slot->record, &ezk, error));
	TRY(envelope_keys_open(token, slot->wrapped, ezk,
			       bytes(header->immutable, sizeof(header->immutable)), header->salt,
			       ret_keys, error));
	ret_keys->slot = slot;
	if (memcmp(ret_keys->commitment, header->commitment, ENVELOPE_COMMITMENT) == 0)
		return ENVELOPE_OK;
	envelope_keys_clear(token, ret_keys);
	return damaged(error, "the data key is not the one the file was sealed with");
}

/* The zone, if it is here, and the envelope say the same about the record. */
static enum envelope_status check_kept(struct envelope_token *token,
				       const struct envelope_header *header, CK_OBJECT_HANDLE zone,
				       struct envelope_error *error)
{
	bool kept = header->kept;

	if (zone != CK_INVALID_HANDLE)
		TRY(envelope_zone_is_kept(token, zone, &kept, error));
	if (kept == header->kept)
		return ENVELOPE_OK;
	return damaged(error, kept ? "its zone's key record must stay in its store, but it says "
				     "that it may have one"
				   : "it says that it may have no key record, but its zone does "
				     "not say so");
}

/* Whether another slot may do better. The module's answer (a refusal of the KMS, or no answer) is
 * final. */
static bool is_of_slot(enum envelope_status status)
{
	return status == ENVELOPE_DAMAGED || status == ENVELOPE_ZONE_UNKNOWN ||
	       status == ENVELOPE_ROOT_KEY_UNKNOWN;
}

enum envelope_status envelope_unlock(struct envelope_token *token,
				     const struct envelope_header *header,
				     struct envelope_keys *ret_keys, struct envelope_error *error)
{
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	enum envelope_status first, second;
	struct envelope_error other = {0};
	CK_OBJECT_HANDLE zone;

	TRY(envelope_opener_find(token, header->zone, &zone, error));
	TRY(check_kept(token, header, zone, error));
	envelope_slots_in_order(header, slots);
	first = unlock_slot(token, header, slots[0], zone, ret_keys, error);
	if (slots[1] == NULL || !is_of_slot(first))
		return first;
	second = unlock_slot(token, header, slots[1], zone, ret_keys, &other);
	if (is_of_slot(second))
		return first;
	*error = other;
	return second;
}

enum envelope_status envelope_open_payload(struct envelope_token *token,
					   const struct envelope_header *header,
					   const struct envelope_keys *keys,
					   const struct envelope_io *io,
					   struct envelope_error *error)
{
	AUTO(envelope_reader_clear) struct envelope_reader reader = {0};
	struct bytes plain;

	TRY(envelope_reader_begin(&reader, token, header, keys, io));
	for (;;) {
		TRY(envelope_reader_next(&reader, &plain, error));
		if (plain.len == 0)
			return ENVELOPE_OK;
		if (!io->write(io->state, plain)) {
			error->system_error = errno;
			return ENVELOPE_OUTPUT;
		}
	}
}
