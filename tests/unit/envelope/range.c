/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges: the right bytes, by as few chunks as they lie in, and nothing of an object whose chunks
 * or whose size are not as they were written. */
#include "envelope/range.h"

#include "tests/support/sealed_bytes.h"

struct object {
	struct buffer bytes, plain;
	struct unlocked it;
	struct envelope_range range;
	struct envelope_scratch scratch;
	unsigned reads;
	bool fails;
};

static bool pread_object(void *state, uint8_t *out, size_t len, uint64_t offset)
{
	struct object *object = state;

	object->reads++;
	if (object->fails || offset > object->bytes.len || len > object->bytes.len - offset) {
		errno = EIO;
		return false;
	}
	memcpy(out, object->bytes.data + offset, len);
	return true;
}

static enum envelope_status begin(struct object *object, uint64_t size)
{
	struct envelope_error error = {0};

	return envelope_range_init(&object->range, &object->it.token, &object->it.header,
				   &object->it.keys, size, pread_object, object, &error);
}

static void make(struct object *object, size_t len)
{
	*object = (struct object){0};
	seal_sample(len, &object->plain, &object->bytes);
	unlock_sample(&object->it, buffer_bytes(&object->bytes));
	assert_int_equal(begin(object, object->bytes.len), ENVELOPE_OK);
	assert_int_equal(object->range.plain_size, len);
}

static void object_clear(struct object *object)
{
	envelope_scratch_clear(&object->scratch);
	unlocked_clear(&object->it);
	buffer_clear(&object->plain);
	buffer_clear(&object->bytes);
}

static enum envelope_status check_end(struct object *object)
{
	struct envelope_error error = {0};

	return envelope_range_check_end(&object->range, &object->it.token, &object->scratch,
					&error);
}

static enum envelope_status read_at(struct object *object, uint64_t offset, size_t len,
				    struct buffer *out)
{
	struct envelope_error error = {0};
	uint8_t *room;
	size_t got = 0;

	buffer_truncate(out, 0);
	room = buffer_extend(out, len);
	TRY(envelope_range_read(&object->range, &object->it.token, &object->scratch, room, len,
				offset, &got, &error));
	buffer_truncate(out, got);
	return ENVELOPE_OK;
}

static struct bytes part_of(const struct buffer *plain, uint64_t offset, size_t len)
{
	if (offset >= plain->len)
		return bytes(NULL, 0);
	return bytes(plain->data + offset, len < plain->len - offset ? len : plain->len - offset);
}

static void any_range_has_the_right_bytes(void **state)
{
	static const size_t lengths[] = {
		1, 100, SEALED_CHUNK - 1, SEALED_CHUNK, SEALED_CHUNK + 1, 4 * SEALED_CHUNK};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sealed_sizes); i++) {
		AUTO(buffer_clear) struct buffer out = {0};
		AUTO(object_clear) struct object object;

		make(&object, sealed_sizes[i]);
		assert_int_equal(check_end(&object), ENVELOPE_OK);
		for (size_t at = 0; at <= sealed_sizes[i] + 2; at += at < 3 ? 1 : 21821)
			for (size_t j = 0; j < COUNT_OF(lengths); j++) {
				assert_int_equal(read_at(&object, at, lengths[j], &out),
						 ENVELOPE_OK);
				assert_bytes(buffer_bytes(&out),
					     part_of(&object.plain, at, lengths[j]));
			}
		assert_int_equal(read_at(&object, UINT64_MAX, 10, &out), ENVELOPE_OK);
		assert_int_equal(out.len, 0);
	}
}

static void only_the_chunks_of_a_range_are_read(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	AUTO(object_clear) struct object object;

	(void)state;
	make(&object, 40 * SEALED_CHUNK);
	assert_int_equal(read_at(&object, 20 * SEALED_CHUNK + 7, 100, &out), ENVELOPE_OK);
	assert_int_equal(object.reads, 1);
	/* Over the end of a chunk; the first of the two is there already. */
	assert_int_equal(read_at(&object, 21 * SEALED_CHUNK - 50, 100, &out), ENVELOPE_OK);
	assert_int_equal(object.reads, 2);
	assert_int_equal(read_at(&object, 21 * SEALED_CHUNK, 100, &out), ENVELOPE_OK);
	assert_int_equal(object.reads, 2);
	assert_int_equal(read_at(&object, 0, 3 * SEALED_CHUNK, &out), ENVELOPE_OK);
	assert_int_equal(object.reads, 5);
}

/* The token may have been told to give the key to nobody any more. */
static void what_was_read_before_is_opened_anew(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	AUTO(object_clear) struct object object;

	(void)state;
	make(&object, 3 * SEALED_CHUNK);
	assert_int_equal(read_at(&object, 7, 100, &out), ENVELOPE_OK);
	assert_int_equal(read_at(&object, 7, 100, &out), ENVELOPE_OK);
	fake.fail_at = fake.calls + 1;
	assert_int_equal(read_at(&object, 7, 100, &out), ENVELOPE_MODULE);
	assert_int_equal(object.reads, 1);
	fake.fail_at = 0;
	assert_int_equal(read_at(&object, 7, 100, &out), ENVELOPE_OK);
	assert_bytes(buffer_bytes(&out), part_of(&object.plain, 7, 100));
}

static void what_was_changed_is_not_given(void **state)
{
	(void)state;
	for (unsigned chunk = 0; chunk < 3; chunk++) {
		AUTO(buffer_clear) struct buffer out = {0};
		AUTO(object_clear) struct object object;

		make(&object, 3 * SEALED_CHUNK - 9);
		object.bytes.data[object.it.header.header_len + chunk * SEALED_PART + 5] ^= 1;
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(read_at(&object, i * SEALED_CHUNK + 3, 100, &out),
					 i == chunk ? ENVELOPE_DAMAGED : ENVELOPE_OK);
	}
}

static void chunks_of_another_place_are_not_given(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	AUTO(object_clear) struct object object;
	uint8_t *first;

	(void)state;
	make(&object, 3 * SEALED_CHUNK);
	first = object.bytes.data + object.it.header.header_len;
	memcpy(first + SEALED_PART, first, SEALED_PART);
	assert_int_equal(read_at(&object, SEALED_CHUNK, 10, &out), ENVELOPE_DAMAGED);
	assert_int_equal(read_at(&object, 0, 10, &out), ENVELOPE_OK);
}

/* Cut off or extended by any number of bytes, at the ends of chunks too. */
static void an_object_of_another_size_shows_at_its_end(void **state)
{
	static const int64_t changes[] = {-2 * SEALED_PART,
					  -SEALED_PART,
					  -SEALED_PART - 1,
					  -SEALED_PART + 1,
					  -17,
					  -16,
					  -15,
					  -1,
					  1,
					  15,
					  16,
					  17,
					  SEALED_PART,
					  2 * SEALED_PART};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sealed_sizes); i++)
		for (size_t j = 0; j < COUNT_OF(changes); j++) {
			AUTO(object_clear) struct object object;
			int64_t size;

			make(&object, sealed_sizes[i]);
			size = (int64_t)object.bytes.len + changes[j];
			if (changes[j] > 0)
				sample_bytes(&object.bytes, (size_t)changes[j]);
			if (size < 0 || begin(&object, (uint64_t)size) == ENVELOPE_DAMAGED)
				continue;
			assert_int_equal(check_end(&object), ENVELOPE_DAMAGED);
		}
}

/* A scratch serves one range after the other, at the same place in memory too. */
static void no_range_is_given_another_ones_chunk(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct envelope_scratch scratch = {0};
	struct object object;

	(void)state;
	for (int again = 0; again < 2; again++) {
		make(&object, 100 + (size_t)again);
		object.scratch = scratch;
		assert_int_equal(read_at(&object, 0, 200, &out), ENVELOPE_OK);
		assert_bytes(buffer_bytes(&out), buffer_bytes(&object.plain));
		assert_int_equal(check_end(&object), ENVELOPE_OK);
		scratch = object.scratch;
		object.scratch = (struct envelope_scratch){0};
		object_clear(&object);
	}
	envelope_scratch_clear(&scratch);
}

static void a_read_that_fails_says_so_by_errno_and_may_be_tried_again(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	AUTO(object_clear) struct object object;
	struct envelope_error error = {0};
	uint8_t byte;
	size_t got;

	(void)state;
	make(&object, 100);
	object.fails = true;
	assert_int_equal(envelope_range_read(&object.range, &object.it.token, &object.scratch,
					     &byte, 1, 0, &got, &error),
			 ENVELOPE_INPUT);
	assert_int_equal(error.system_error, EIO);
	object.fails = false;
	assert_int_equal(read_at(&object, 0, 100, &out), ENVELOPE_OK);
}

#define RANGE_TEST(name) cmocka_unit_test_setup(name, sealed_bytes_reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RANGE_TEST(any_range_has_the_right_bytes),
		RANGE_TEST(only_the_chunks_of_a_range_are_read),
		RANGE_TEST(what_was_read_before_is_opened_anew),
		RANGE_TEST(what_was_changed_is_not_given),
		RANGE_TEST(chunks_of_another_place_are_not_given),
		RANGE_TEST(an_object_of_another_size_shows_at_its_end),
		RANGE_TEST(no_range_is_given_another_ones_chunk),
		RANGE_TEST(a_read_that_fails_says_so_by_errno_and_may_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
