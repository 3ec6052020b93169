/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/envelope.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The steps in the order of docs/format.md, 5.4, and the loops over the chunks. Only the end of the
 * stream shows which chunk is the last, so both loops read one chunk ahead. */

struct two_chunks {
	uint8_t *memory; /* current, next, result */
	uint8_t *current, *next, *result;
	size_t part_len;
};

static bool two_chunks_init(struct two_chunks *chunks, size_t part_len)
{
	chunks->part_len = part_len;
	chunks->memory = malloc(3 * (part_len + ENVELOPE_TAG));
	if (chunks->memory == NULL)
		return false;
	chunks->current = chunks->memory;
	chunks->next = chunks->current + part_len + ENVELOPE_TAG;
	chunks->result = chunks->next + part_len + ENVELOPE_TAG;
	return true;
}

static void two_chunks_clear(struct two_chunks *chunks)
{
	if (chunks->memory != NULL)
		wipe(chunks->memory, 3 * (chunks->part_len + ENVELOPE_TAG));
	free(chunks->memory);
	chunks->memory = NULL;
}

static void two_chunks_swap(struct two_chunks *chunks)
{
	uint8_t *swap = chunks->current;

	chunks->current = chunks->next;
	chunks->next = swap;
}

/* Reads until `len` bytes are there or the stream ends. */
static enum envelope_status read_full(const struct envelope_io *io, uint8_t *out, size_t len,
				      size_t *ret_len, struct envelope_error *error)
{
	size_t got = 0;

	while (got < len) {
		ssize_t count = io->read(io->state, out + got, len - got);

		if (count < 0) {
			error->system_error = errno;
			return ENVELOPE_INPUT;
		}
		if (count == 0)
			break;
		got += (size_t)count;
	}
	*ret_len = got;
	return ENVELOPE_OK;
}

static enum envelope_status write_out(const struct envelope_io *io, struct bytes bytes,
				      struct envelope_error *error)
{
	if (bytes.len == 0 || io->write(io->state, bytes))
		return ENVELOPE_OK;
	error->system_error = errno;
	return ENVELOPE_OUTPUT;
}

/* `state` begins with a struct envelope_payload. */
typedef enum envelope_status chunk_step(const void *state, uint64_t index, bool last,
					struct bytes in, uint8_t *out, size_t *ret_len,
					struct envelope_error *error);

/* Cuts the stream into parts of chunks->part_len and runs each through `step`. */
static enum envelope_status run_chunks(const void *state, struct two_chunks *chunks,
				       chunk_step *step, const struct envelope_io *io,
				       struct envelope_error *error)
{
	size_t current_len, next_len, result_len;

	TRY(read_full(io, chunks->current, chunks->part_len, &current_len, error));
	for (uint64_t index = 0;; index++) {
		/* A short part is the last, even if the file is still being written and grows. */
		next_len = 0;
		if (current_len == chunks->part_len)
			TRY(read_full(io, chunks->next, chunks->part_len, &next_len, error));
		TRY(step(state, index, next_len == 0, bytes(chunks->current, current_len),
			 chunks->result, &result_len, error));
		TRY(write_out(io, bytes(chunks->result, result_len), error));
		if (next_len == 0)
			return ENVELOPE_OK;
		two_chunks_swap(chunks);
		current_len = next_len;
	}
}

static enum envelope_status seal_step(const void *payload, uint64_t index, bool last,
				      struct bytes in, uint8_t *out, size_t *ret_len,
				      struct envelope_error *error)
{
	*ret_len = in.len + ENVELOPE_TAG;
	return envelope_chunk_seal(payload, index, last, in, out, error);
}

static enum envelope_status open_step(const void *payload, uint64_t index, bool last,
				      struct bytes in, uint8_t *out, size_t *ret_len,
				      struct envelope_error *error)
{
	TRY(envelope_chunk_open(payload, index, last, in, out, ret_len, error));
	if (*ret_len == 0 && index > 0) {
		snprintf(error->text, sizeof(error->text), "chunk %llu: empty",
			 (unsigned long long)index);
		return ENVELOPE_DAMAGED;
	}
	return ENVELOPE_OK;
}

static struct envelope_payload payload_of(struct envelope_token *token,
					  const struct envelope_header *header,
					  const struct envelope_keys *keys)
{
	return (struct envelope_payload){
		.token = token,
		.key = keys->payload,
		.aad = bytes(header->immutable, sizeof(header->immutable)),
		.chunk_len = (size_t)1 << header->chunk_bits,
	};
}

static enum envelope_status run_payload(struct envelope_token *token,
					const struct envelope_header *header,
					const struct envelope_keys *keys, chunk_step *step,
					size_t part_len, const struct envelope_io *io,
					struct envelope_error *error)
{
	AUTO(two_chunks_clear) struct two_chunks chunks = {0};
	struct envelope_payload payload = payload_of(token, header, keys);

	if (!two_chunks_init(&chunks, part_len))
		return ENVELOPE_NO_MEMORY;
	return run_chunks(&payload, &chunks, step, io, error);
}

static enum envelope_status bind_name(struct envelope_token *token,
				      const struct envelope_header *header, struct bytes name,
				      uint8_t ret_binding[static 32], struct envelope_error *error)
{
	struct bytes parts[] = {bytes_of("cmek/1/name"), bytes(header->salt, sizeof(header->salt)),
				name};

	return envelope_digest(token, parts, COUNT_OF(parts), ret_binding, error);
}

/* --- Sealing --------------------------------------------------------------------------------- */

/* The lengths of slot 0's contents are authenticated too, so a first wrap is needed to learn them.
 */
static enum envelope_status measure(struct envelope_token *token, const struct envelope_keys *keys,
				    CK_OBJECT_HANDLE ezk, struct buffer *wrapped,
				    struct buffer *record, struct envelope_header *header,
				    struct envelope_error *error)
{
	uint32_t version;

	TRY(envelope_keys_wrap(token, keys, ezk, bytes(header->immutable, 0), wrapped, record,
			       error));
	if (!envelope_wrapped_version(buffer_bytes(wrapped), &header->zone, &version))
		return envelope_failed(token, error, "C_WrapKey", CKR_GENERAL_ERROR);
	return envelope_header_prepare(
		header, wrapped->len,
		envelope_record_room(record == NULL ? bytes(NULL, 0) : buffer_bytes(record)));
}

static enum envelope_status make_header(struct envelope_token *token, struct envelope_keys *keys,
					CK_OBJECT_HANDLE ezk,
					const struct envelope_options *options,
					struct envelope_header *header, struct buffer *out,
					struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer wrapped = {0}, record = {0};
	struct envelope_slot slot = {.sequence = 1};
	struct buffer *embedded;

	TRY(envelope_zone_is_kept(token, ezk, &header->kept, error));
	if (header->kept)
		TRY(envelope_project(token, header->project, error));
	embedded = header->kept ? NULL : &record;
	header->name_bound |= options->name.data != NULL;
	if (options->name.data != NULL)
		TRY(bind_name(token, header, options->name, header->name_binding, error));
	memcpy(header->commitment, keys->commitment, sizeof(header->commitment));
	TRY(measure(token, keys, ezk, &wrapped, embedded, header, error));
	TRY(envelope_keys_wrap(token, keys, ezk,
			       bytes(header->immutable, sizeof(header->immutable)), &wrapped,
			       embedded, error));
	slot.wrapped = buffer_bytes(&wrapped);
	slot.record = buffer_bytes(&record);
	return envelope_header_encode(header, 0, &slot, out);
}

static enum envelope_status seal_with(struct envelope_token *token, struct envelope_keys *keys,
				      CK_OBJECT_HANDLE ezk, const struct envelope_options *options,
				      struct envelope_header *header, const struct envelope_io *io,
				      struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer start = {0};

	TRY(make_header(token, keys, ezk, options, header, &start, error));
	TRY(envelope_keys_payload(token, keys, header->salt, error));
	TRY(write_out(io, buffer_bytes(&start), error));
	return run_payload(token, header, keys, seal_step, (size_t)1 << header->chunk_bits, io,
			   error);
}

enum envelope_status envelope_seal(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				   const struct envelope_options *options,
				   const struct envelope_io *io, struct envelope_error *error)
{
	struct envelope_header header = {.chunk_bits = ENVELOPE_CHUNK_BITS};
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(envelope_random(token, header.salt, sizeof(header.salt), error));
	TRY(envelope_keys_make(token, header.salt, &keys, error));
	status = seal_with(token, &keys, ezk, options, &header, io, error);
	envelope_keys_clear(token, &keys);
	return status;
}

/* --- Sealing anew what another envelope holds ------------------------------------------------ */

struct resealing {
	struct envelope_payload from, to; /* of one chunk size */
	uint8_t *plain;			  /* a chunk with its tag */
};

static enum envelope_status reseal_step(const void *state, uint64_t index, bool last,
					struct bytes in, uint8_t *out, size_t *ret_len,
					struct envelope_error *error)
{
	const struct resealing *resealing = state;
	size_t len;

	TRY(open_step(&resealing->from, index, last, in, resealing->plain, &len, error));
	return seal_step(&resealing->to, index, last, bytes(resealing->plain, len), out, ret_len,
			 error);
}

static enum envelope_status reseal_payload(struct resealing *resealing,
					   const struct envelope_io *io,
					   struct envelope_error *error)
{
	AUTO(two_chunks_clear) struct two_chunks chunks = {0};
	size_t part_len = resealing->from.chunk_len + ENVELOPE_TAG;
	enum envelope_status status;

	resealing->plain = malloc(part_len);
	if (resealing->plain == NULL || !two_chunks_init(&chunks, part_len)) {
		free(resealing->plain);
		return ENVELOPE_NO_MEMORY;
	}
	status = run_chunks(resealing, &chunks, reseal_step, io, error);
	wipe(resealing->plain, part_len);
	free(resealing->plain);
	return status;
}

static enum envelope_status reseal_with(struct envelope_resealing *task, struct envelope_keys *keys,
					struct envelope_header *header,
					const struct envelope_io *io, struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer start = {0};
	struct envelope_options no_name = {0};
	struct resealing resealing = {.from = payload_of(task->from, task->header, task->keys)};

	TRY(make_header(task->to, keys, task->ezk, &no_name, header, &start, error));
	TRY(envelope_keys_payload(task->to, keys, header->salt, error));
	TRY(write_out(io, buffer_bytes(&start), error));
	resealing.to = payload_of(task->to, header, keys);
	return reseal_payload(&resealing, io, error);
}

/* A name's binding depends on the salt, which is kept with it; the data key, and so all that is
 * derived with the salt, is another. */
enum envelope_status envelope_reseal(struct envelope_resealing *task, const struct envelope_io *io,
				     struct envelope_error *error)
{
	struct envelope_header header = {.chunk_bits = task->header->chunk_bits,
					 .name_bound = task->header->name_bound};
	struct envelope_keys keys = {0};
	enum envelope_status status;

	if (header.name_bound) {
		memcpy(header.salt, task->header->salt, sizeof(header.salt));
		memcpy(header.name_binding, task->header->name_binding,
		       sizeof(header.name_binding));
	} else {
		TRY(envelope_random(task->to, header.salt, sizeof(header.salt), error));
	}
	TRY(envelope_keys_make(task->to, header.salt, &keys, error));
	status = reseal_with(task, &keys, &header, io, error);
	envelope_keys_clear(task->to, &keys);
	return status;
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
	TRY(read_full(io, start, ENVELOPE_IMMUTABLE, &len, error));
	TRY(envelope_header_measure(bytes(start, len), &header_len, error));
	rest = buffer_extend(storage, header_len - ENVELOPE_IMMUTABLE);
	if (rest == NULL)
		return ENVELOPE_NO_MEMORY;
	TRY(read_full(io, rest, header_len - ENVELOPE_IMMUTABLE, &len, error));
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
	TRY(bind_name(token, header, expected->name, binding, error));
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
	return run_payload(token, header, keys, open_step,
			   ((size_t)1 << header->chunk_bits) + ENVELOPE_TAG, io, error);
}
