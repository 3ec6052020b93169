/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* libcmek's streams and ranges. */
#include "base/free.h"
#include "base/macros.h"
#include "envelope/header.h"
#include "tests/support/unit.h"

#include "library.h"

#include <errno.h>

enum { CHUNK = 1 << ENVELOPE_CHUNK_BITS, SEALED = CHUNK + ENVELOPE_TAG };

/* --- Helpers --------------------------------------------------------------------------------- */

int write_to(void *state, const void *data, size_t len)
{
	buffer_append(state, bytes(data, len));
	return 0;
}

int read_from(void *state, void *place, size_t room, size_t *ret_len)
{
	struct source *source = state;
	size_t len = source->left.len < room ? source->left.len : room;

	if (source->at_once != 0 && len > source->at_once)
		len = source->at_once;
	if (len > 0)
		memcpy(place, source->left.data, len);
	source->left = bytes_after(source->left, len);
	*ret_len = len;
	return 0;
}

int pread_from(void *state, void *place, size_t len, uint64_t offset)
{
	const struct bytes *object = state;

	if (offset > object->len || len > object->len - offset)
		return EIO;
	memcpy(place, object->data + offset, len);
	return 0;
}

static void seal_in_pieces(size_t len, size_t piece, struct buffer *ret_sealed)
{
	AUTO(freep) uint8_t *data = pattern(len);
	cmek_writer *writer;

	buffer_clear(ret_sealed);
	works(cmek_writer_new(orders, NULL, write_to, ret_sealed, &writer, &why));
	for (size_t at = 0; at < len; at += piece)
		works(cmek_writer_put(writer, data + at, len - at < piece ? len - at : piece,
				      &why));
	works(cmek_writer_finish(writer, &why));
	cmek_writer_free(writer);
}

void seal_stream(cmek_zone *zone, size_t len, struct buffer *ret_sealed)
{
	(void)zone;
	seal_in_pieces(len, len == 0 ? 1 : len, ret_sealed);
}

/* Reads all by pieces of `piece`; how it ended. */
static enum cmek_status read_stream(struct bytes sealed, size_t piece, struct buffer *ret_plain)
{
	struct source source = {.left = sealed, .at_once = 1000};
	enum cmek_status status;
	cmek_reader *reader;
	size_t len;

	buffer_truncate(ret_plain, 0);
	status = cmek_reader_new(client, NULL, read_from, &source, &reader, &why);
	if (status != CMEK_OK)
		return status;
	assert_int_equal(cmek_reader_zone(reader), cmek_zone_id(orders));
	do {
		uint8_t *room = buffer_reserve(ret_plain, piece);

		assert_non_null(room);
		status = cmek_reader_get(reader, room, piece, &len, &why);
		ret_plain->len += status == CMEK_OK ? len : 0;
	} while (status == CMEK_OK && len == piece);
	cmek_reader_free(reader);
	return status;
}

/* --- Streams --------------------------------------------------------------------------------- */

static void a_stream_comes_back_however_it_is_cut_into_pieces(void **state)
{
	static const size_t lengths[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK};
	AUTO(buffer_clear) struct buffer sealed = {0}, plain = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		AUTO(freep) uint8_t *data = pattern(lengths[i]);

		seal_in_pieces(lengths[i], 7000, &sealed);
		works(read_stream(buffer_bytes(&sealed), 10000, &plain));
		assert_bytes(buffer_bytes(&plain), bytes(data, lengths[i]));
		assert_int_equal(cmek_unsealed_size(sealed.data, sealed.len), lengths[i]);
	}
}

static void an_envelope_in_memory_is_unsealed_as_a_message_is(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) uint8_t *data = pattern(CHUNK + 5), *plain = malloc(CHUNK + 5);
	size_t len;

	(void)state;
	seal_stream(orders, CHUNK + 5, &sealed);
	works(cmek_unseal(client, sealed.data, sealed.len, NULL, plain, CHUNK + 5, &len, &why));
	assert_bytes(bytes(plain, len), bytes(data, CHUNK + 5));
	sealed.data[sealed.len - 1] ^= 1;
	refuses(CMEK_DAMAGED,
		cmek_unseal(client, sealed.data, sealed.len, NULL, plain, CHUNK + 5, &len, &why),
		"chunk 1");
}

static void a_stream_that_was_not_finished_cut_or_extended_is_damaged(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0}, plain = {0};
	cmek_writer *writer;

	(void)state;
	works(cmek_writer_new(orders, NULL, write_to, &sealed, &writer, &why));
	works(cmek_writer_put(writer, "abc", 3, &why));
	cmek_writer_free(writer);
	refuses(CMEK_DAMAGED, read_stream(buffer_bytes(&sealed), 100, &plain), "damaged");
	seal_stream(orders, 2 * CHUNK, &sealed);
	refuses(CMEK_DAMAGED, read_stream(bytes(sealed.data, sealed.len - SEALED), 100, &plain),
		"chunk 0");
	buffer_append(&sealed, bytes_of("x"));
	refuses(CMEK_DAMAGED, read_stream(buffer_bytes(&sealed), 100, &plain), "chunk 1");
}

static int no_space(void *state, const void *data, size_t len)
{
	(void)data, (void)len;
	return *(int *)state;
}

static int no_reading(void *state, void *place, size_t room, size_t *ret_len)
{
	(void)place, (void)room, (void)ret_len;
	return *(int *)state;
}

static void what_the_callers_functions_answer_is_the_calls_errno(void **state)
{
	int full = ENOSPC, broken = EIO, late = 0;
	cmek_writer *writer;
	cmek_reader *reader;

	(void)state;
	assert_int_equal(cmek_writer_new(orders, NULL, no_space, &full, &writer, &why), CMEK_IO);
	assert_int_equal(cmek_error_errno(why), ENOSPC);
	refuses(CMEK_IO, CMEK_IO, "main/orders of project demo: cannot be written");
	assert_int_equal(cmek_reader_new(client, NULL, no_reading, &broken, &reader, &why),
			 CMEK_IO);
	assert_int_equal(cmek_error_errno(why), EIO);
	refuses(CMEK_IO, CMEK_IO, "stream");
	works(cmek_writer_new(orders, NULL, no_space, &late, &writer, &why));
	late = ENOSPC;
	refuses(CMEK_IO, cmek_writer_finish(writer, &why), "No space");
	late = 0;
	refuses(CMEK_IO, cmek_writer_finish(writer, &why), "No space");
	cmek_writer_free(writer);
}

static void a_stream_that_has_its_end_takes_nothing_more(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0}, plain = {0};
	cmek_writer *writer;
	size_t len;

	(void)state;
	works(cmek_writer_new(orders, NULL, write_to, &sealed, &writer, &why));
	refuses(CMEK_REFUSED, cmek_writer_put(writer, NULL, 3, &why), "NULL");
	works(cmek_writer_put(writer, "abc", 3, &why));
	works(cmek_writer_finish(writer, &why));
	len = sealed.len;
	works(cmek_writer_finish(writer, &why));
	refuses(CMEK_REFUSED, cmek_writer_put(writer, "d", 1, &why), "has its end");
	cmek_writer_free(writer);
	assert_int_equal(sealed.len, len);
	works(read_stream(buffer_bytes(&sealed), 100, &plain));
	assert_bytes(buffer_bytes(&plain), bytes_of("abc"));
}

struct breaking {
	struct source source;
	int error; /* when nothing is left */
};

static int read_until_it_breaks(void *state, void *place, size_t room, size_t *ret_len)
{
	struct breaking *breaking = state;

	if (breaking->source.left.len == 0)
		return breaking->error;
	return read_from(&breaking->source, place, room, ret_len);
}

static void a_reader_that_has_failed_says_the_same_again(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	struct breaking breaking = {.error = ENXIO};
	uint8_t place[100];
	cmek_reader *reader;
	size_t len;

	(void)state;
	seal_stream(orders, 10, &sealed);
	breaking.source.left = buffer_bytes(&sealed);
	works(cmek_reader_new(client, NULL, read_until_it_breaks, &breaking, &reader, &why));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cmek_reader_get(reader, place, sizeof(place), &len, &why),
				 CMEK_IO);
		assert_int_equal(cmek_error_errno(why), ENXIO);
		refuses(CMEK_IO, CMEK_IO, "stream");
		breaking.error = EIO;
	}
	cmek_reader_free(reader);
}

/* --- Ranges ---------------------------------------------------------------------------------- */

static enum cmek_status open_range(struct bytes *object, bool trust_size, cmek_range **ret_range)
{
	const struct cmek_unseal_options options = {.size = sizeof(options),
						    .trust_size = trust_size};

	return cmek_range_new(client, &options, pread_from, object, object->len, ret_range, &why);
}

static void a_range_is_what_lies_there(void **state)
{
	static const struct {
		uint64_t offset;
		size_t len;
	} ranges[] = {{0, 1},	       {0, 3 * CHUNK},	   {CHUNK - 1, 2},
		      {CHUNK, CHUNK},  {2 * CHUNK + 7, 1}, {3 * CHUNK - 5, 100},
		      {3 * CHUNK, 10}, {UINT64_MAX, 1},	   {17, 0}};
	AUTO(buffer_clear) struct buffer sealed = {0};
	AUTO(freep) uint8_t *data = pattern(3 * CHUNK), *place = malloc(3 * CHUNK);
	struct bytes object;
	cmek_range *range;

	(void)state;
	seal_stream(orders, 3 * CHUNK, &sealed);
	object = buffer_bytes(&sealed);
	works(open_range(&object, false, &range));
	assert_int_equal(cmek_range_size(range), 3 * CHUNK);
	assert_int_equal(cmek_range_zone(range), cmek_zone_id(orders));
	for (size_t i = 0; i < COUNT_OF(ranges); i++) {
		uint64_t at = ranges[i].offset < 3 * CHUNK ? ranges[i].offset : 3 * CHUNK;
		size_t left = 3 * CHUNK - (size_t)at, len;

		works(cmek_range_read(range, place, ranges[i].len, ranges[i].offset, &len, &why));
		assert_bytes(bytes(place, len),
			     bytes(data + at, left < ranges[i].len ? left : ranges[i].len));
	}
	cmek_range_free(range);
}

struct counted {
	struct bytes object;
	unsigned reads, of_last;
	uint64_t last; /* where the last chunk begins */
};

static int pread_counted(void *state, void *to, size_t len, uint64_t offset)
{
	struct counted *counted = state;

	counted->reads++;
	counted->of_last += offset == counted->last;
	return pread_from(&counted->object, to, len, offset);
}

static void the_last_chunk_is_read_once_for_the_look_at_the_end_and_the_first_read(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t place[64], data[64];
	struct counted counted;
	cmek_range *range;
	unsigned before;
	size_t len;

	(void)state;
	seal_stream(orders, 2 * CHUNK + 77, &sealed);
	counted = (struct counted){.object = bytes(sealed.data, sealed.len),
				   .last = sealed.len - 77 - (SEALED - CHUNK)};
	works(cmek_range_new(client, NULL, pread_counted, &counted, sealed.len, &range, &why));
	assert_int_equal(counted.of_last, 1);
	/* Another one first: it is for the first read of the last. */
	works(cmek_range_read(range, place, sizeof(place), 5, &len, &why));
	before = counted.reads;
	works(cmek_range_read(range, place, sizeof(place), 2 * CHUNK + 13, &len, &why));
	assert_int_equal(len, sizeof(place));
	assert_int_equal(counted.reads, before);
	works(cmek_range_read(range, data, sizeof(data), CHUNK, &len, &why));
	/* Later ones ask again: nothing is kept for ever. */
	works(cmek_range_read(range, data, sizeof(data), 2 * CHUNK + 13, &len, &why));
	assert_memory_equal(data, place, sizeof(data));
	assert_int_equal(counted.of_last, 2);
	cmek_range_free(range);
}

static void an_object_that_was_cut_short_is_seen_at_once_unless_its_size_is_trusted(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t place[16];
	struct bytes object;
	cmek_range *range;
	size_t len;

	(void)state;
	seal_stream(orders, 3 * CHUNK, &sealed);
	object = bytes(sealed.data, sealed.len - SEALED);
	refuses(CMEK_DAMAGED, open_range(&object, false, &range), "chunk 1");
	works(open_range(&object, true, &range));
	works(cmek_range_read(range, place, sizeof(place), 5, &len, &why));
	refuses(CMEK_DAMAGED, cmek_range_read(range, place, sizeof(place), CHUNK + 5, &len, &why),
		"chunk 1");
	works(cmek_range_read(range, place, sizeof(place), 5, &len, &why));
	cmek_range_free(range);
}

static void a_range_of_an_object_that_can_not_be_read_says_so(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};
	uint8_t place[16];
	struct bytes object;
	cmek_range *range;
	size_t len;

	(void)state;
	seal_stream(orders, CHUNK, &sealed);
	object = buffer_bytes(&sealed);
	works(open_range(&object, true, &range));
	object.len = 10;
	assert_int_equal(cmek_range_read(range, place, sizeof(place), 0, &len, &why), CMEK_IO);
	assert_int_equal(cmek_error_errno(why), EIO);
	refuses(CMEK_IO, CMEK_IO, "range");
	cmek_range_free(range);
}

/* --- Functions that never return ------------------------------------------------------------- */

/* As those of a runtime that ends a thread of its own: the frames between are gone. */
static struct {
	jmp_buf out;
	unsigned calls; /* that do return */
	struct source source;
	struct bytes object;
	cmek_writer *writer;
	cmek_reader *reader;
	cmek_range *range;
} leaving;

static void leave_or_count(void)
{
	if (leaving.calls-- == 0)
		longjmp(leaving.out, 1);
}

static int write_and_leave(void *state, const void *data, size_t len)
{
	(void)state, (void)data, (void)len;
	leave_or_count();
	return 0;
}

static int read_and_leave(void *state, void *place, size_t room, size_t *ret_len)
{
	(void)state;
	leave_or_count();
	return read_from(&leaving.source, place, room, ret_len);
}

static int pread_and_leave(void *state, void *place, size_t len, uint64_t offset)
{
	(void)state;
	leave_or_count();
	return pread_from(&leaving.object, place, len, offset);
}

static enum cmek_status make_writer(void)
{
	return cmek_writer_new(orders, NULL, write_and_leave, NULL, &leaving.writer, &why);
}

static enum cmek_status make_reader(void)
{
	leaving.source = (struct source){.left = leaving.object};
	return cmek_reader_new(client, NULL, read_and_leave, NULL, &leaving.reader, &why);
}

static enum cmek_status make_range(void)
{
	return cmek_range_new(client, NULL, pread_and_leave, NULL, leaving.object.len,
			      &leaving.range, &why);
}

/* Whether it was left in the call after `calls`. */
static bool is_left(enum cmek_status (*make)(void), unsigned calls)
{
	leaving.calls = calls;
	if (setjmp(leaving.out) != 0)
		return true;
	works(make());
	return false;
}

/* The sanitizer, or valgrind, sees what is left behind. */
static void what_is_left_while_it_is_made_is_in_the_callers_hands(void **state)
{
	static const struct {
		enum cmek_status (*make)(void);
		unsigned calls;
	} rows[] = {{make_writer, 1}, {make_reader, 2}, {make_range, 3}};
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_stream(orders, 10, &sealed);
	leaving.object = buffer_bytes(&sealed);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		for (unsigned calls = 0; calls <= rows[i].calls; calls++) {
			assert_int_equal(is_left(rows[i].make, calls), calls < rows[i].calls);
			assert_true(leaving.writer || leaving.reader || leaving.range);
			cmek_writer_free(TAKE(leaving.writer));
			cmek_reader_free(TAKE(leaving.reader));
			cmek_range_free(TAKE(leaving.range));
		}
	}
}

static enum cmek_status read_one(void)
{
	uint8_t place[5];
	size_t len;

	return cmek_range_read(leaving.range, place, sizeof(place), 0, &len, &why);
}

static void what_a_read_of_a_range_leaves_goes_with_the_range(void **state)
{
	AUTO(buffer_clear) struct buffer sealed = {0};

	(void)state;
	seal_stream(orders, 2 * CHUNK, &sealed);
	leaving.object = buffer_bytes(&sealed);
	assert_false(is_left(make_range, 3));
	for (int i = 0; i < 3; i++)
		assert_true(is_left(read_one, 0));
	assert_false(is_left(read_one, 1));
	cmek_range_free(TAKE(leaving.range));
}

static void where_making_fails_null_is_handed_out(void **state)
{
	int full = ENOSPC;
	cmek_writer *writer = (cmek_writer *)&full;
	cmek_reader *reader = (cmek_reader *)&full;
	cmek_range *range = (cmek_range *)&full;
	struct bytes nothing = {0};

	(void)state;
	refuses(CMEK_IO, cmek_writer_new(orders, NULL, no_space, &full, &writer, &why), "written");
	refuses(CMEK_IO, cmek_reader_new(client, NULL, no_reading, &full, &reader, &why), "stream");
	refuses(CMEK_NOT_AN_ENVELOPE, open_range(&nothing, false, &range), "range");
	assert_null(writer);
	assert_null(reader);
	assert_null(range);
}

const struct CMUnitTest library_stream_tests[] = {
	cmocka_unit_test(a_stream_comes_back_however_it_is_cut_into_pieces),
	cmocka_unit_test(an_envelope_in_memory_is_unsealed_as_a_message_is),
	cmocka_unit_test(a_stream_that_was_not_finished_cut_or_extended_is_damaged),
	cmocka_unit_test(what_the_callers_functions_answer_is_the_calls_errno),
	cmocka_unit_test(a_stream_that_has_its_end_takes_nothing_more),
	cmocka_unit_test(a_reader_that_has_failed_says_the_same_again),
	cmocka_unit_test(a_range_is_what_lies_there),
	cmocka_unit_test(an_object_that_was_cut_short_is_seen_at_once_unless_its_size_is_trusted),
	cmocka_unit_test(the_last_chunk_is_read_once_for_the_look_at_the_end_and_the_first_read),
	cmocka_unit_test(a_range_of_an_object_that_can_not_be_read_says_so),
	cmocka_unit_test(what_is_left_while_it_is_made_is_in_the_callers_hands),
	cmocka_unit_test(what_a_read_of_a_range_leaves_goes_with_the_range),
	cmocka_unit_test(where_making_fails_null_is_handed_out),
};
const size_t library_stream_count = COUNT_OF(library_stream_tests);
