/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader gives is verified, its end too, whatever size is asked for. */
#include "envelope/reader.h"

#include "tests/support/sealed_bytes.h"

struct reading {
	struct unlocked it;
	struct envelope_reader reader;
};

static void begin(struct reading *reading, struct bytes envelope)
{
	unlock_sample(&reading->it, envelope);
	assert_int_equal(envelope_reader_begin(&reading->reader, &reading->it.token,
					       &reading->it.header, &reading->it.keys,
					       &reading->it.io),
			 ENVELOPE_OK);
}

static void reading_clear(struct reading *reading)
{
	envelope_reader_clear(&reading->reader);
	unlocked_clear(&reading->it);
}

static enum envelope_status read_in_pieces(struct reading *reading, size_t piece,
					   struct buffer *out)
{
	struct envelope_error error = {0};
	size_t got = piece;

	while (got == piece) {
		uint8_t *room = buffer_extend(out, piece);
		enum envelope_status status =
			envelope_reader_get(&reading->reader, room, piece, &got, &error);

		buffer_truncate(out, out->len - piece + (status == ENVELOPE_OK ? got : 0));
		TRY(status);
	}
	return ENVELOPE_OK;
}

static const size_t pieces[] = {1009, SEALED_CHUNK - 1, SEALED_CHUNK, SEALED_CHUNK + 1,
				5 * SEALED_CHUNK};

static void pieces_of_any_size_are_the_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sealed_sizes) * COUNT_OF(pieces); i++) {
		AUTO(buffer_clear) struct buffer plain = {0}, envelope = {0}, back = {0};
		AUTO(reading_clear) struct reading reading = {0};

		seal_sample(sealed_sizes[i % COUNT_OF(sealed_sizes)], &plain, &envelope);
		begin(&reading, buffer_bytes(&envelope));
		assert_int_equal(
			read_in_pieces(&reading, pieces[i / COUNT_OF(sealed_sizes)], &back),
			ENVELOPE_OK);
		assert_bytes(buffer_bytes(&back), buffer_bytes(&plain));
	}
}

/* Whoever reads exactly what is there has read the end as well. */
static void the_last_bytes_come_with_the_end(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, room = {0};
	AUTO(reading_clear) struct reading reading = {0};
	struct envelope_error error = {0};
	size_t got;

	(void)state;
	seal_sample(2 * SEALED_CHUNK, NULL, &envelope);
	buffer_truncate(&envelope, envelope.len - SEALED_PART);
	begin(&reading, buffer_bytes(&envelope));
	assert_non_null(buffer_extend(&room, SEALED_CHUNK));
	assert_int_equal(
		envelope_reader_get(&reading.reader, room.data, SEALED_CHUNK, &got, &error),
		ENVELOPE_DAMAGED);
}

static void a_reader_that_failed_gives_nothing_more(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(reading_clear) struct reading reading = {0};
	struct envelope_error error = {0};
	struct bytes plain;

	(void)state;
	seal_sample(3 * SEALED_CHUNK, NULL, &envelope);
	envelope.data[envelope.len - 2 * SEALED_PART] ^= 1;
	begin(&reading, buffer_bytes(&envelope));
	assert_int_equal(envelope_reader_next(&reading.reader, &plain, &error), ENVELOPE_OK);
	for (int again = 0; again < 3; again++)
		assert_int_equal(envelope_reader_next(&reading.reader, &plain, &error),
				 ENVELOPE_DAMAGED);
}

static void a_stream_that_fails_says_so_by_errno(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(reading_clear) struct reading reading = {0};
	struct envelope_error error = {0};
	struct bytes plain;

	(void)state;
	seal_sample(10, NULL, &envelope);
	begin(&reading, buffer_bytes(&envelope));
	reading.it.stream.fails = true;
	assert_int_equal(envelope_reader_next(&reading.reader, &plain, &error), ENVELOPE_INPUT);
	assert_int_equal(error.system_error, EIO);
}

#define READER_TEST(name) cmocka_unit_test_setup(name, sealed_bytes_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		READER_TEST(pieces_of_any_size_are_the_whole),
		READER_TEST(the_last_bytes_come_with_the_end),
		READER_TEST(a_reader_that_failed_gives_nothing_more),
		READER_TEST(a_stream_that_fails_says_so_by_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
