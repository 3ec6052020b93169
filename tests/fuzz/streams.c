/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes written in pieces, changed, and read in pieces and by ranges, over a toy token that
 * notices changes. The input says which pieces, changes and ranges. Whatever is given was written
 * there; the end is given of what was not changed only. */
#include "base/log.h"
#include "base/macros.h"
#include "envelope/range.h"
#include "envelope/reader.h"
#include "envelope/writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/fake_token.h"

#include <errno.h>
#include <stdlib.h>

enum { CHUNK_BITS = 12, PLAIN_MAX = 3 << CHUNK_BITS, ROOM = 2 << CHUNK_BITS };

static void must(bool condition)
{
	if (!condition)
		abort();
}

struct world {
	const uint8_t *script;
	size_t script_len;
	struct buffer plain, original, sealed;
	size_t read; /* of `sealed` */
	bool changed;
	struct envelope_token token;
	struct envelope_header header;
	struct envelope_keys keys;
};

static size_t next_number(struct world *world, size_t below)
{
	size_t number = 0;

	for (int i = 0; i < 2 && world->script_len > 0; i++, world->script_len--)
		number = number << 8 | *world->script++;
	return number % below;
}

static ssize_t read_sealed(void *state, uint8_t *out, size_t len)
{
	struct world *world = state;
	size_t left = world->sealed.len - world->read;

	if (len > left)
		len = left;
	if (len > 0)
		memcpy(out, world->sealed.data + world->read, len);
	world->read += len;
	return (ssize_t)len;
}

static bool write_sealed(void *state, struct bytes bytes)
{
	struct world *world = state;

	buffer_append(&world->sealed, bytes);
	return !world->sealed.failed;
}

static bool pread_sealed(void *state, uint8_t *out, size_t len, uint64_t offset)
{
	struct world *world = state;

	if (offset > world->sealed.len || len > world->sealed.len - offset) {
		errno = EIO;
		return false;
	}
	memcpy(out, world->sealed.data + offset, len);
	return true;
}

/* In small chunks, as an envelope that is sealed anew keeps those that it had. */
static void write_all(struct world *world)
{
	AUTO(envelope_writer_clear) struct envelope_writer writer = {0};
	const struct envelope_header old = {.chunk_bits = CHUNK_BITS};
	const struct envelope_resealing task = {
		.header = &old, .to = &world->token, .ezk = fake_token_zone(0)};
	const struct envelope_io io = {.write = write_sealed, .state = world};
	struct bytes rest = buffer_bytes(&world->plain);
	struct envelope_error error = {0};

	must(envelope_writer_begin_anew(&writer, &task, &io, &error) == ENVELOPE_OK);
	while (rest.len > 0) {
		size_t len = 1 + next_number(world, rest.len);

		must(envelope_writer_put(&writer, bytes(rest.data, len), &error) == ENVELOPE_OK);
		rest = bytes(rest.data + len, rest.len - len);
	}
	must(envelope_writer_finish(&writer, &error) == ENVELOPE_OK);
	buffer_append(&world->original, buffer_bytes(&world->sealed));
}

static void open_header(struct world *world)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	const struct envelope_io io = {.read = read_sealed, .state = world};
	struct envelope_error error = {0};

	must(envelope_read_header(&io, &storage, &world->header, &error) == ENVELOPE_OK);
	must(envelope_unlock(&world->token, &world->header, &world->keys, &error) == ENVELOPE_OK);
}

/* Behind the header: what that protects is tests/fuzz/records.c's business. */
static void change(struct world *world)
{
	const size_t first = world->header.header_len;
	size_t at = first + next_number(world, world->sealed.len - first + 1);
	size_t bits = next_number(world, 256);

	switch (next_number(world, 4)) {
	case 0:
		return;
	case 1:
		buffer_truncate(&world->sealed, at);
		break;
	case 2:
		buffer_append(&world->sealed, bytes(world->original.data, bits));
		break;
	default:
		if (at < world->sealed.len)
			world->sealed.data[at] ^= (uint8_t)bits;
	}
	world->changed = !bytes_equal(buffer_bytes(&world->sealed), buffer_bytes(&world->original));
}

static void must_be_plain(const struct world *world, uint64_t offset, struct bytes given)
{
	must(offset + given.len <= world->plain.len);
	must(given.len == 0 || memcmp(world->plain.data + offset, given.data, given.len) == 0);
}

static void read_all(struct world *world, uint8_t *room)
{
	AUTO(envelope_reader_clear) struct envelope_reader reader = {0};
	const struct envelope_io io = {.read = read_sealed, .state = world};
	struct envelope_error error = {0};
	size_t offset = 0, wish, got;

	must(envelope_reader_begin(&reader, &world->token, &world->header, &world->keys, &io) ==
	     ENVELOPE_OK);
	do {
		wish = 1 + next_number(world, ROOM);
		if (envelope_reader_get(&reader, room, wish, &got, &error) != ENVELOPE_OK) {
			must(world->changed);
			return;
		}
		must_be_plain(world, offset, bytes(room, got));
		offset += got;
	} while (got == wish);
	must(!world->changed && offset == world->plain.len);
}

static void read_ranges(struct world *world, uint8_t *room)
{
	AUTO(envelope_scratch_clear) struct envelope_scratch scratch = {0};
	struct envelope_error error = {0};
	struct envelope_range range;
	size_t got;

	if (envelope_range_init(&range, &world->token, &world->header, &world->keys,
				world->sealed.len, pread_sealed, world, &error) != ENVELOPE_OK) {
		must(world->changed);
		return;
	}
	if (envelope_range_check_end(&range, &world->token, &scratch, &error) == ENVELOPE_OK)
		must(world->sealed.len == world->original.len);
	else
		must(world->changed);
	for (int i = 0; i < 4; i++) {
		size_t offset = next_number(world, PLAIN_MAX + 2), len = next_number(world, ROOM);

		if (envelope_range_read(&range, &world->token, &scratch, room, len, offset, &got,
					&error) != ENVELOPE_OK)
			must(world->changed);
		else if (got > 0)
			must_be_plain(world, offset, bytes(room, got));
	}
}

static void world_clear(struct world *world)
{
	envelope_keys_clear(&world->token, &world->keys);
	buffer_clear(&world->plain);
	buffer_clear(&world->original);
	buffer_clear(&world->sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[ROOM];
	AUTO(world_clear) struct world world = {.script = data, .script_len = size};
	size_t len = next_number(&world, PLAIN_MAX);
	uint8_t *plain = buffer_extend(&world.plain, len);

	log_configure(LOG_OFF, "stderr");
	fake_token_reset();
	world.token = fake_token_session();
	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)(i * 7 + i / 251);
	write_all(&world);
	open_header(&world);
	change(&world);
	read_ranges(&world, room);
	read_all(&world, room);
	return 0;
}
