/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in pieces of any size becomes the envelope of the whole; without an end it is none. */
#include "envelope/writer.h"

#include "tests/support/sealed_bytes.h"

static struct bytes opened(struct bytes envelope, struct buffer *out)
{
	AUTO(unlocked_clear) struct unlocked it;
	struct envelope_error error = {0};

	unlock_sample(&it, envelope);
	assert_int_equal(envelope_open_payload(&it.token, &it.header, &it.keys, &it.io, &error),
			 ENVELOPE_OK);
	buffer_append(out, buffer_bytes(&it.stream.out));
	return buffer_bytes(out);
}

static void begin(struct envelope_writer *writer, struct envelope_token *token,
		  struct memory_stream *stream)
{
	const struct envelope_options options = {0};
	struct envelope_io io = memory_io(stream);
	struct envelope_error error = {0};

	*token = fake_token_session();
	assert_int_equal(
		envelope_writer_begin(writer, token, fake_token_zone(0), &options, &io, &error),
		ENVELOPE_OK);
}

static void put_in_pieces(struct envelope_writer *writer, struct bytes data, size_t piece)
{
	struct envelope_error error = {0};

	while (data.len > 0) {
		size_t len = piece < data.len ? piece : data.len;

		assert_int_equal(envelope_writer_put(writer, bytes(data.data, len), &error),
				 ENVELOPE_OK);
		data = bytes(data.data + len, data.len - len);
	}
	assert_int_equal(envelope_writer_finish(writer, &error), ENVELOPE_OK);
}

static const size_t pieces[] = {
	1009, SEALED_CHUNK - 1, SEALED_CHUNK, SEALED_CHUNK + 1, 2 * SEALED_CHUNK, 5 * SEALED_CHUNK};

static void pieces_of_any_size_make_one_envelope(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sealed_sizes) * COUNT_OF(pieces); i++) {
		AUTO(buffer_clear) struct buffer plain = {0}, back = {0};
		AUTO(envelope_writer_clear) struct envelope_writer writer = {0};
		struct memory_stream stream = {0};
		struct envelope_token token;
		size_t len = sealed_sizes[i % COUNT_OF(sealed_sizes)];

		sample_bytes(&plain, len);
		begin(&writer, &token, &stream);
		put_in_pieces(&writer, buffer_bytes(&plain), pieces[i / COUNT_OF(sealed_sizes)]);
		assert_int_equal(envelope_plain_size(&writer.header, (int64_t)stream.out.len), len);
		assert_bytes(opened(buffer_bytes(&stream.out), &back), buffer_bytes(&plain));
		buffer_clear(&stream.out);
	}
}

/* Nothing that was written before the end opens, wherever the writer was left. */
static void without_its_end_it_is_no_envelope(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sealed_sizes); i++) {
		AUTO(buffer_clear) struct buffer plain = {0};
		AUTO(unlocked_clear) struct unlocked it;
		struct memory_stream stream = {0};
		struct envelope_writer writer = {0};
		struct envelope_error error = {0};
		struct envelope_token token;

		sample_bytes(&plain, sealed_sizes[i]);
		begin(&writer, &token, &stream);
		assert_int_equal(envelope_writer_put(&writer, buffer_bytes(&plain), &error),
				 ENVELOPE_OK);
		envelope_writer_clear(&writer);
		assert_int_equal(fake.live, 0);
		unlock_sample(&it, buffer_bytes(&stream.out));
		assert_int_equal(
			envelope_open_payload(&it.token, &it.header, &it.keys, &it.io, &error),
			ENVELOPE_DAMAGED);
		buffer_clear(&stream.out);
	}
}

static void a_writer_that_failed_writes_nothing_more(void **state)
{
	AUTO(buffer_clear) struct buffer plain = {0};
	AUTO(envelope_writer_clear) struct envelope_writer writer = {0};
	struct memory_stream stream = {0};
	struct envelope_error error = {0};
	struct envelope_token token;
	size_t len;

	(void)state;
	sample_bytes(&plain, 3 * SEALED_CHUNK);
	begin(&writer, &token, &stream);
	stream.writes_left = 2;
	assert_int_equal(envelope_writer_put(&writer, buffer_bytes(&plain), &error),
			 ENVELOPE_OUTPUT);
	assert_int_equal(error.system_error, ENOSPC);
	stream.writes_left = 0;
	len = stream.out.len;
	assert_int_equal(envelope_writer_put(&writer, buffer_bytes(&plain), &error),
			 ENVELOPE_OUTPUT);
	assert_int_equal(envelope_writer_finish(&writer, &error), ENVELOPE_OUTPUT);
	assert_int_equal(stream.out.len, len);
	buffer_clear(&stream.out);
}

static void each_call_that_fails_leaves_no_key_behind(void **state)
{
	enum envelope_status status = ENVELOPE_MODULE;

	(void)state;
	for (unsigned at = 1; status != ENVELOPE_OK; at++) {
		const struct envelope_options options = {.name = bytes_of("name")};
		struct envelope_token token = fake_token_session();
		struct memory_stream stream = {0};
		struct envelope_writer writer = {0};
		struct envelope_io io = memory_io(&stream);
		struct envelope_error error = {0};

		fake_token_reset();
		fake.fail_at = at;
		status = envelope_writer_begin(&writer, &token, fake_token_zone(0), &options, &io,
					       &error);
		if (status == ENVELOPE_OK)
			assert_in_range(at, 10, 40);
		else
			assert_int_equal(status, ENVELOPE_MODULE);
		envelope_writer_clear(&writer);
		assert_int_equal(fake.live, 0);
		buffer_clear(&stream.out);
	}
}

#define WRITER_TEST(name) cmocka_unit_test_setup(name, sealed_bytes_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WRITER_TEST(pieces_of_any_size_make_one_envelope),
		WRITER_TEST(without_its_end_it_is_no_envelope),
		WRITER_TEST(a_writer_that_failed_writes_nothing_more),
		WRITER_TEST(each_call_that_fails_leaves_no_key_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
