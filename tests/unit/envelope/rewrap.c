/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* New wraps for old envelopes, and envelopes sealed anew, over a toy token that can rotate its
 * zones and change their root key. */
#include "envelope/rewrap.h"

#include "base/macros.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

#include <errno.h>

static const char text[] = "what is in the file";

struct pipe {
	struct bytes in;
	struct buffer out;
};

static ssize_t pipe_read(void *state, uint8_t *out, size_t len)
{
	struct pipe *pipe = state;

	len = len < pipe->in.len ? len : pipe->in.len;
	if (len > 0)
		memcpy(out, pipe->in.data, len);
	pipe->in = bytes_after(pipe->in, len);
	return (ssize_t)len;
}

static bool pipe_write(void *state, struct bytes bytes)
{
	buffer_append(&((struct pipe *)state)->out, bytes);
	return true;
}

static void seal(const char *name, unsigned zone, struct buffer *ret_envelope)
{
	struct envelope_token token = fake_token_session();
	struct envelope_options options = {.name = bytes_of(name)};
	struct pipe pipe = {.in = bytes_of(text)};
	struct envelope_io io = {pipe_read, pipe_write, &pipe};
	struct envelope_error error = {0};

	assert_int_equal(envelope_seal(&token, fake_token_zone(zone), &options, &io, &error),
			 ENVELOPE_OK);
	*ret_envelope = pipe.out;
}

static void decode(const struct buffer *envelope, struct envelope_header *ret_header)
{
	struct envelope_error error = {0};

	assert_int_equal(envelope_header_decode(buffer_bytes(envelope), ret_header, &error),
			 ENVELOPE_OK);
}

/* Opens to `text` under this name. */
static enum envelope_status status_of(const struct buffer *envelope, const char *name)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_token token = fake_token_session();
	struct envelope_expectation expected = {.name = bytes_of(name)};
	struct pipe pipe = {.in = buffer_bytes(envelope)};
	struct envelope_io io = {pipe_read, pipe_write, &pipe};
	struct envelope_error error = {0};
	struct envelope_header header;
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(envelope_read_header(&io, &storage, &header, &error));
	TRY(envelope_check(&token, &header, &expected, &error));
	TRY(envelope_unlock(&token, &header, &keys, &error));
	status = envelope_open_payload(&token, &header, &keys, &io, &error);
	envelope_keys_clear(&token, &keys);
	if (status == ENVELOPE_OK)
		assert_bytes(buffer_bytes(&pipe.out), bytes_of(text));
	buffer_clear(&pipe.out);
	envelope_token_clear(&token);
	return status;
}

static enum envelope_status rewrap(const struct buffer *envelope,
				   struct envelope_new_slot *ret_slot)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	struct envelope_header header;

	decode(envelope, &header);
	return envelope_rewrap(&token, &header, ret_slot, &error);
}

static void put(struct buffer *envelope, const struct envelope_new_slot *slot)
{
	memcpy(envelope->data + slot->offset, slot->bytes.data, slot->bytes.len);
}

/* Rewraps in place; the number of the slot that was written. */
static unsigned rewrapped(struct buffer *envelope)
{
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};

	assert_int_equal(rewrap(envelope, &slot), ENVELOPE_OK);
	assert_int_equal(slot.version, fake.version);
	put(envelope, &slot);
	return slot.index;
}

static int reset(void **state)
{
	(void)state;
	fake_token_reset();
	return 0;
}

static bool is_current(const struct buffer *envelope)
{
	AUTO(envelope_primary_clear) struct envelope_primary primary = {0};
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	struct envelope_header header;

	decode(envelope, &header);
	assert_int_equal(envelope_primary_read(&token, fake_token_zone(0), &primary, &error),
			 ENVELOPE_OK);
	assert_int_equal(primary.version, fake.version);
	envelope_slots_in_order(&header, slots);
	return envelope_slot_is_current(slots[0], &primary);
}

/* --- Rewraps --------------------------------------------------------------------------------- */

static void each_rewrap_takes_the_slot_that_is_not_in_use(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, before = {0};

	(void)state;
	seal("a/name", 0, &envelope);
	buffer_append(&before, buffer_bytes(&envelope));
	for (uint32_t version = 2; version < 7; version++) {
		const struct envelope_slot *slots[ENVELOPE_SLOTS];
		struct envelope_header header;
		struct envelope_wrap wrap;

		fake.version = version;
		assert_false(is_current(&envelope));
		assert_int_equal(rewrapped(&envelope), (version + 1) % 2);
		assert_true(is_current(&envelope));
		decode(&envelope, &header);
		envelope_slots_in_order(&header, slots);
		envelope_wrap_of(slots[0], &wrap);
		assert_int_equal(wrap.version, version);
		assert_int_equal(slots[0]->sequence, version);
		envelope_wrap_of(slots[1], &wrap);
		assert_int_equal(wrap.version, version - 1);
		/* The name is needed for reading alone. */
		assert_int_equal(status_of(&envelope, "a/name"), ENVELOPE_OK);
		assert_int_equal(status_of(&envelope, "b"), ENVELOPE_WRONG_NAME);
	}
	assert_int_equal(envelope.len, before.len);
	assert_memory_equal(envelope.data, before.data, ENVELOPE_IMMUTABLE);
	assert_int_equal(fake.live, 0);
}

static void a_new_root_key_comes_along(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	const struct envelope_slot *slots[ENVELOPE_SLOTS];
	struct envelope_header header;
	struct envelope_wrap wrap;

	(void)state;
	seal(NULL, 0, &envelope);
	assert_true(is_current(&envelope));
	fake.root_keys[0] = "arn:fake:kms:::key/another";
	assert_false(is_current(&envelope));
	rewrapped(&envelope);
	decode(&envelope, &header);
	envelope_slots_in_order(&header, slots);
	envelope_wrap_of(slots[0], &wrap);
	assert_int_equal(wrap.arn_count, 1);
	assert_bytes(wrap.arns[0], bytes_of("arn:fake:kms:::key/another"));
	assert_int_equal(status_of(&envelope, NULL), ENVELOPE_OK);
}

static void a_zone_that_keeps_its_record_gets_none(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	struct envelope_header header;

	(void)state;
	fake.kept = true;
	seal(NULL, 0, &envelope);
	fake.version = 2;
	assert_false(is_current(&envelope));
	assert_int_equal(rewrapped(&envelope), 1);
	assert_true(is_current(&envelope));
	decode(&envelope, &header);
	assert_int_equal(header.slots[1].record.len, 0);
	assert_int_equal(status_of(&envelope, NULL), ENVELOPE_OK);
}

/* The wrap that opens stays, whatever the numbers say: here a newer one, whole, of another file. */
static void the_slot_that_opens_is_never_written_to(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, other = {0};
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};
	struct envelope_header header, strange;
	struct envelope_slot planted;

	(void)state;
	seal(NULL, 0, &envelope);
	seal(NULL, 0, &other);
	decode(&envelope, &header);
	decode(&other, &strange);
	planted = strange.slots[0];
	planted.sequence = 7;
	slot.offset = ENVELOPE_IMMUTABLE + header.slot_len;
	assert_int_equal(envelope_slot_encode(1, &planted, header.slot_len, &slot.bytes),
			 ENVELOPE_OK);
	put(&envelope, &slot);
	decode(&envelope, &header);
	assert_true(header.slots[1].valid);
	assert_int_equal(rewrapped(&envelope), 1);
	decode(&envelope, &header);
	assert_int_equal(header.slots[1].sequence, 8);
	assert_int_equal(status_of(&envelope, NULL), ENVELOPE_OK);
}

/* Whatever part of a slot was written when the machine stopped, in whatever order. */
static void a_torn_write_leaves_an_envelope_that_opens(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};

	(void)state;
	seal(NULL, 0, &envelope);
	for (uint32_t version = 2; version < 4; version++) {
		AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};

		fake.version = version;
		assert_int_equal(rewrap(&envelope, &slot), ENVELOPE_OK);
		for (size_t len = 0; len <= slot.bytes.len; len += len < 130 ? 1 : 37) {
			AUTO(buffer_clear) struct buffer from_start = {0}, from_end = {0};
			uint8_t *end;

			buffer_append(&from_start, buffer_bytes(&envelope));
			memcpy(from_start.data + slot.offset, slot.bytes.data, len);
			assert_int_equal(status_of(&from_start, NULL), ENVELOPE_OK);
			buffer_append(&from_end, buffer_bytes(&envelope));
			end = from_end.data + slot.offset + slot.bytes.len - len;
			memcpy(end, slot.bytes.data + slot.bytes.len - len, len);
			assert_int_equal(status_of(&from_end, NULL), ENVELOPE_OK);
		}
		put(&envelope, &slot);
	}
}

static void the_other_slot_can_have_the_same_wrap(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};
	struct envelope_header header;

	(void)state;
	seal(NULL, 0, &envelope);
	fake.version = 2;
	rewrapped(&envelope);
	decode(&envelope, &header);
	assert_int_equal(envelope_rewrap_other(&header, &header.slots[1], &slot), ENVELOPE_OK);
	assert_int_equal(slot.index, 0);
	assert_int_equal(slot.version, 2);
	put(&envelope, &slot);
	decode(&envelope, &header);
	assert_true(header.slots[0].valid && header.slots[1].valid);
	assert_int_equal(header.slots[0].sequence, 3);
	assert_bytes(header.slots[0].wrapped, header.slots[1].wrapped);
	assert_bytes(header.slots[0].record, header.slots[1].record);
	assert_int_equal(status_of(&envelope, NULL), ENVELOPE_OK);
}

/* --- Refusals -------------------------------------------------------------------------------- */

static void what_does_not_fit_is_told(void **state)
{
	static char arn[1500];
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};

	(void)state;
	seal(NULL, 0, &envelope);
	memset(arn, 'x', sizeof(arn) - 1);
	fake.root_keys[0] = arn;
	assert_int_equal(rewrap(&envelope, &slot), ENVELOPE_NO_ROOM);
	assert_int_equal(fake.live, 0);
	/* Up to two wraps and 1 KiB fit. */
	arn[1024] = '\0';
	assert_int_equal(rewrap(&envelope, &slot), ENVELOPE_OK);
}

static void numbers_at_their_end_leave_no_room(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0}, out = {0};
	struct envelope_header header;
	struct envelope_slot last;

	(void)state;
	seal(NULL, 0, &envelope);
	decode(&envelope, &header);
	last = header.slots[0];
	last.sequence = UINT64_MAX;
	slot.offset = ENVELOPE_IMMUTABLE;
	assert_int_equal(envelope_slot_encode(0, &last, header.slot_len, &slot.bytes), ENVELOPE_OK);
	put(&envelope, &slot);
	assert_int_equal(rewrap(&envelope, &out), ENVELOPE_NO_ROOM);
}

static void a_zone_that_is_not_here_is_unknown(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};

	(void)state;
	seal(NULL, 0, &envelope);
	fake.zones[0] = 0;
	assert_int_equal(rewrap(&envelope, &slot), ENVELOPE_ZONE_UNKNOWN);
}

static void each_call_that_fails_leaves_no_key_behind(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	enum envelope_status status = ENVELOPE_MODULE;

	(void)state;
	seal(NULL, 0, &envelope);
	for (unsigned at = 1; status != ENVELOPE_OK; at++) {
		AUTO(envelope_new_slot_clear) struct envelope_new_slot slot = {0};

		fake.calls = 0;
		fake.fail_at = at;
		status = rewrap(&envelope, &slot);
		assert_true(status == ENVELOPE_OK || status == ENVELOPE_MODULE);
		assert_int_equal(fake.live, 0);
		assert_in_range(at, 1, 60);
	}
}

/* --- Sealed anew ----------------------------------------------------------------------------- */

static void reseal(const struct buffer *envelope, unsigned zone, struct buffer *ret_envelope)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_token token = fake_token_session();
	struct pipe pipe = {.in = buffer_bytes(envelope)};
	struct envelope_io io = {pipe_read, pipe_write, &pipe};
	struct envelope_error error = {0};
	struct envelope_header header;
	struct envelope_keys keys = {0};
	struct envelope_resealing task = {&token, &header, &keys, &token, fake_token_zone(zone)};

	assert_int_equal(envelope_read_header(&io, &storage, &header, &error), ENVELOPE_OK);
	assert_int_equal(envelope_unlock(&token, &header, &keys, &error), ENVELOPE_OK);
	assert_int_equal(envelope_reseal(&task, &io, &error), ENVELOPE_OK);
	envelope_keys_clear(&token, &keys);
	*ret_envelope = pipe.out;
}

static void an_envelope_of_another_zone_has_another_key_and_the_same_name(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, other = {0};
	struct envelope_header before, after;

	(void)state;
	seal("a/name", 0, &envelope);
	reseal(&envelope, 1, &other);
	decode(&envelope, &before);
	decode(&other, &after);
	assert_int_equal(after.zone, 22);
	assert_memory_not_equal(after.commitment, before.commitment, ENVELOPE_COMMITMENT);
	assert_int_equal(status_of(&other, "a/name"), ENVELOPE_OK);
	assert_int_equal(status_of(&other, NULL), ENVELOPE_NAME_NEEDED);
	assert_int_equal(status_of(&other, "b"), ENVELOPE_WRONG_NAME);
	assert_int_equal(fake.live, 0);
}

static void without_a_name_nothing_is_the_same(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, other = {0};
	struct envelope_header before, after;

	(void)state;
	seal(NULL, 0, &envelope);
	reseal(&envelope, 0, &other);
	decode(&envelope, &before);
	decode(&other, &after);
	assert_memory_not_equal(after.salt, before.salt, ENVELOPE_SALT);
	assert_int_equal(status_of(&other, NULL), ENVELOPE_OK);
}

static void a_damaged_chunk_is_not_sealed_anew(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, storage = {0};
	struct envelope_token token = fake_token_session();
	struct pipe pipe = {0};
	struct envelope_io io = {pipe_read, pipe_write, &pipe};
	struct envelope_error error = {0};
	struct envelope_header header;
	struct envelope_keys keys = {0};
	struct envelope_resealing task = {&token, &header, &keys, &token, fake_token_zone(0)};

	(void)state;
	seal(NULL, 0, &envelope);
	envelope.data[envelope.len - 3] ^= 1;
	pipe.in = buffer_bytes(&envelope);
	assert_int_equal(envelope_read_header(&io, &storage, &header, &error), ENVELOPE_OK);
	assert_int_equal(envelope_unlock(&token, &header, &keys, &error), ENVELOPE_OK);
	assert_int_equal(envelope_reseal(&task, &io, &error), ENVELOPE_DAMAGED);
	envelope_keys_clear(&token, &keys);
	assert_int_equal(fake.live, 0);
	buffer_clear(&pipe.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_rewrap_takes_the_slot_that_is_not_in_use, reset),
		cmocka_unit_test_setup(a_new_root_key_comes_along, reset),
		cmocka_unit_test_setup(a_zone_that_keeps_its_record_gets_none, reset),
		cmocka_unit_test_setup(the_slot_that_opens_is_never_written_to, reset),
		cmocka_unit_test_setup(a_torn_write_leaves_an_envelope_that_opens, reset),
		cmocka_unit_test_setup(the_other_slot_can_have_the_same_wrap, reset),
		cmocka_unit_test_setup(what_does_not_fit_is_told, reset),
		cmocka_unit_test_setup(numbers_at_their_end_leave_no_room, reset),
		cmocka_unit_test_setup(a_zone_that_is_not_here_is_unknown, reset),
		cmocka_unit_test_setup(each_call_that_fails_leaves_no_key_behind, reset),
		cmocka_unit_test_setup(
			an_envelope_of_another_zone_has_another_key_and_the_same_name, reset),
		cmocka_unit_test_setup(without_a_name_nothing_is_the_same, reset),
		cmocka_unit_test_setup(a_damaged_chunk_is_not_sealed_anew, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
