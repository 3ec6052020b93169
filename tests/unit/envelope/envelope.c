/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing and opening over a toy token: the loops over chunks, the order of steps, what is refused
 * and what is left behind. tests/module/envelopes.c does it over the real module. */
#include "base/macros.h"
#include "envelope/envelope.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdio.h>

enum { CHUNK = 65536, HEADER = 128 + 2 * 1344 };

/* A stream out of one buffer and into another. */
struct pipe {
	struct bytes in;
	struct buffer out;
	size_t piece;	   /* greatest read; 0: any */
	struct bytes grow; /* what comes when the stream has ended once */
	bool fail_read, fail_write;
	unsigned writes;
};

static ssize_t pipe_read(void *state, uint8_t *out, size_t len)
{
	struct pipe *pipe = state;

	if (pipe->fail_read) {
		errno = EIO;
		return -1;
	}
	if (pipe->piece != 0 && len > pipe->piece)
		len = pipe->piece;
	if (len > pipe->in.len)
		len = pipe->in.len;
	if (len == 0) {
		pipe->in = pipe->grow;
		pipe->grow = bytes(NULL, 0);
		return 0;
	}
	memcpy(out, pipe->in.data, len);
	pipe->in = bytes(pipe->in.data + len, pipe->in.len - len);
	return (ssize_t)len;
}

static bool pipe_write(void *state, struct bytes bytes)
{
	struct pipe *pipe = state;

	if (pipe->fail_write) {
		errno = ENOSPC;
		return false;
	}
	pipe->writes++;
	buffer_append(&pipe->out, bytes);
	return true;
}

static void pipe_clear(struct pipe *pipe)
{
	buffer_clear(&pipe->out);
}

static struct envelope_io io_of(struct pipe *pipe)
{
	return (struct envelope_io){pipe_read, pipe_write, pipe};
}

static enum envelope_status seal_from(struct envelope_token *token, struct pipe *pipe,
				      const char *name, struct envelope_error *error)
{
	struct envelope_options options = {.name = bytes_of(name)};
	struct envelope_io io = io_of(pipe);

	return envelope_seal(token, fake_token_zone(0), &options, &io, error);
}

/* Zone 11 of the store, with a fresh token and no other memory of it. */
static void seal(struct bytes plain, const char *name, struct buffer *ret_envelope)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	struct pipe pipe = {.in = plain};

	assert_int_equal(seal_from(&token, &pipe, name, &error), ENVELOPE_OK);
	*ret_envelope = pipe.out;
}

static enum envelope_status open_from(struct envelope_token *token, struct pipe *pipe,
				      const struct envelope_expectation *expected,
				      struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_io io = io_of(pipe);
	struct envelope_keys keys = {0};
	struct envelope_header header;
	enum envelope_status status;

	TRY(envelope_read_header(&io, &storage, &header, error));
	TRY(envelope_check(token, &header, expected, error));
	TRY(envelope_unlock(token, &header, &keys, error));
	status = envelope_open_payload(token, &header, &keys, &io, error);
	envelope_keys_clear(token, &keys);
	return status;
}

static enum envelope_status opened(struct bytes envelope, const char *name,
				   struct buffer *ret_plain, struct envelope_error *error)
{
	struct envelope_token token = fake_token_session();
	struct envelope_expectation expected = {.name = bytes_of(name)};
	struct pipe pipe = {.in = envelope};
	enum envelope_status status = open_from(&token, &pipe, &expected, error);

	*ret_plain = pipe.out;
	return status;
}

/* Its status alone. */
static enum envelope_status status_of(const struct buffer *envelope)
{
	AUTO(buffer_clear) struct buffer plain = {0};
	struct envelope_error error = {0};

	return opened(buffer_bytes(envelope), NULL, &plain, &error);
}

static void sample(struct buffer *out, size_t len)
{
	uint8_t *place = buffer_extend(out, len);

	assert_non_null(place);
	for (size_t i = 0; i < len; i++)
		place[i] = (uint8_t)(i * 7 + i / 251);
}

static int reset(void **state)
{
	(void)state;
	fake_token_reset();
	return 0;
}

/* --- There and back -------------------------------------------------------------------------- */

static const size_t sizes[] = {0, 1, 15, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 9};

static void data_of_any_length_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO(buffer_clear) struct buffer plain = {0}, envelope = {0}, back = {0};
		struct envelope_error error = {0};
		size_t chunks = sizes[i] == 0 ? 1 : (sizes[i] + CHUNK - 1) / CHUNK;

		sample(&plain, sizes[i]);
		seal(buffer_bytes(&plain), NULL, &envelope);
		assert_int_equal(envelope.len, HEADER + sizes[i] + 16 * chunks);
		assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error), ENVELOPE_OK);
		assert_bytes(buffer_bytes(&back), buffer_bytes(&plain));
		assert_int_equal(fake.live, 0);
	}
}

static void a_stream_may_come_in_small_pieces(void **state)
{
	AUTO(buffer_clear) struct buffer plain = {0};
	struct envelope_token token = fake_token_session();
	struct envelope_expectation any = {0};
	struct envelope_error error = {0};

	(void)state;
	sample(&plain, 2 * CHUNK + 5);
	for (size_t piece = 1; piece < CHUNK; piece = piece * 9 + 4) {
		AUTO(pipe_clear) struct pipe in = {.in = buffer_bytes(&plain), .piece = piece};
		AUTO(pipe_clear) struct pipe back = {.piece = piece};

		assert_int_equal(seal_from(&token, &in, NULL, &error), ENVELOPE_OK);
		back.in = buffer_bytes(&in.out);
		assert_int_equal(open_from(&token, &back, &any, &error), ENVELOPE_OK);
		assert_bytes(buffer_bytes(&back.out), buffer_bytes(&plain));
	}
}

/* A log that is written to meanwhile: what comes after its end was read once would make a short
 * chunk in the middle, which no reader could place. */
static void a_file_that_grows_is_sealed_up_to_its_first_end(void **state)
{
	static const uint8_t more[100] = {1};
	struct envelope_token token = fake_token_session();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO(buffer_clear) struct buffer plain = {0}, back = {0};
		AUTO(pipe_clear) struct pipe pipe = {0};
		struct envelope_error error = {0};

		sample(&plain, sizes[i]);
		pipe.in = buffer_bytes(&plain);
		pipe.grow = bytes(more, sizeof(more));
		assert_int_equal(seal_from(&token, &pipe, NULL, &error), ENVELOPE_OK);
		assert_int_equal(opened(buffer_bytes(&pipe.out), NULL, &back, &error), ENVELOPE_OK);
		assert_bytes(buffer_bytes(&back), buffer_bytes(&plain));
	}
}

static void no_two_envelopes_are_alike(void **state)
{
	AUTO(buffer_clear) struct buffer a = {0}, b = {0};

	(void)state;
	seal(bytes_of("the same"), NULL, &a);
	seal(bytes_of("the same"), NULL, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data + 24, b.data + 24, 32); /* the salt */
	assert_memory_not_equal(a.data + HEADER, b.data + HEADER, 24);
}

/* --- Failures -------------------------------------------------------------------------------- */

static void each_call_that_fails_is_named_and_leaves_no_key_behind(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	enum envelope_status status = ENVELOPE_MODULE;
	unsigned at;

	(void)state;
	for (at = 1; status != ENVELOPE_OK; at++) {
		struct envelope_token token = fake_token_session();
		AUTO(pipe_clear) struct pipe pipe = {.in = bytes_of("data")};
		struct envelope_error error = {0};

		fake_token_reset();
		fake.fail_at = at;
		status = seal_from(&token, &pipe, "name", &error);
		assert_int_equal(fake.live, 0);
		if (status == ENVELOPE_OK)
			break;
		assert_int_equal(status, ENVELOPE_MODULE);
		assert_int_equal(error.rv, CKR_DEVICE_ERROR);
		assert_int_equal(error.reason, at);
		assert_memory_equal(error.function, "C_", 2);
	}
	assert_in_range(at, 15, 40);
	fake_token_reset();
	seal(bytes_of("data"), "name", &envelope);
	for (at = 1, status = ENVELOPE_MODULE; status != ENVELOPE_OK; at++) {
		AUTO(buffer_clear) struct buffer back = {0};
		struct envelope_error error = {0};

		fake.calls = 0;
		fake.fail_at = at;
		status = opened(buffer_bytes(&envelope), "name", &back, &error);
		assert_int_equal(fake.live, 0);
		if (status == ENVELOPE_OK)
			break;
		assert_int_equal(status, ENVELOPE_MODULE);
		assert_int_equal(error.rv, CKR_DEVICE_ERROR);
		assert_int_equal(back.len, 0);
	}
	assert_in_range(at, 10, 40);
}

static void a_stream_that_fails_says_so_by_errno(void **state)
{
	struct envelope_token token = fake_token_session();
	AUTO(pipe_clear) struct pipe in = {.fail_read = true}, out = {.fail_write = true};
	struct envelope_error error = {0};

	(void)state;
	assert_int_equal(seal_from(&token, &in, NULL, &error), ENVELOPE_INPUT);
	assert_int_equal(error.system_error, EIO);
	assert_int_equal(seal_from(&token, &out, NULL, &error), ENVELOPE_OUTPUT);
	assert_int_equal(error.system_error, ENOSPC);
	assert_int_equal(fake.live, 0);
}

static void nothing_is_written_that_was_not_verified(void **state)
{
	AUTO(buffer_clear) struct buffer plain = {0}, envelope = {0};
	const size_t sealed = CHUNK + 16;

	(void)state;
	sample(&plain, 3 * CHUNK + 9);
	seal(buffer_bytes(&plain), NULL, &envelope);
	for (size_t chunk = 0; chunk < 4; chunk++) {
		AUTO(buffer_clear) struct buffer back = {0};
		struct envelope_error error = {0};
		uint8_t *place = &envelope.data[HEADER + chunk * sealed + 3];
		char expected[64];

		*place ^= 1;
		assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error),
				 ENVELOPE_DAMAGED);
		*place ^= 1;
		snprintf(expected, sizeof(expected), "chunk %zu: changed, out of place or cut off",
			 chunk);
		assert_string_equal(error.text, expected);
		assert_bytes(buffer_bytes(&back), bytes(plain.data, chunk * CHUNK));
	}
}

static void an_envelope_cut_anywhere_is_noticed(void **state)
{
	AUTO(buffer_clear) struct buffer plain = {0}, envelope = {0};
	size_t chunk_ends[] = {HEADER, HEADER + CHUNK + 16, HEADER + 2 * (CHUNK + 16)};

	(void)state;
	sample(&plain, 2 * CHUNK + 2);
	seal(buffer_bytes(&plain), NULL, &envelope);
	for (size_t len = 0; len < envelope.len;) {
		struct buffer cut = envelope;
		bool is_near = len < HEADER + 40;

		cut.len = len;
		assert_int_not_equal(status_of(&cut), ENVELOPE_OK);
		for (size_t i = 0; i < COUNT_OF(chunk_ends); i++)
			is_near |= len + 20 > chunk_ends[i] && len < chunk_ends[i] + 20;
		len += is_near || len + 40 > envelope.len ? 1 : 997;
	}
}

static void swap_chunks(struct buffer *envelope, size_t a, size_t b)
{
	AUTO(buffer_clear) struct buffer kept = {0};
	const size_t sealed = CHUNK + 16;

	buffer_append(&kept, bytes(envelope->data + HEADER + a * sealed, sealed));
	memcpy(envelope->data + HEADER + a * sealed, envelope->data + HEADER + b * sealed, sealed);
	memcpy(envelope->data + HEADER + b * sealed, kept.data, sealed);
}

static void chunks_have_their_place(void **state)
{
	AUTO(buffer_clear) struct buffer plain = {0}, envelope = {0}, other = {0}, longer = {0};
	const size_t sealed = CHUNK + 16;

	(void)state;
	sample(&plain, 3 * CHUNK);
	seal(buffer_bytes(&plain), NULL, &envelope);
	seal(buffer_bytes(&plain), NULL, &other);
	swap_chunks(&envelope, 0, 1);
	assert_int_equal(status_of(&envelope), ENVELOPE_DAMAGED);
	swap_chunks(&envelope, 0, 1);
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	memcpy(envelope.data + HEADER + sealed, other.data + HEADER + sealed, sealed);
	assert_int_equal(status_of(&envelope), ENVELOPE_DAMAGED);
	/* The last chunk again; and one that is empty. */
	buffer_append(&longer, buffer_bytes(&other));
	buffer_append(&longer, bytes(other.data + HEADER + 2 * sealed, sealed));
	assert_int_equal(status_of(&longer), ENVELOPE_DAMAGED);
	buffer_truncate(&longer, other.len + 16);
	assert_int_equal(status_of(&longer), ENVELOPE_DAMAGED);
	/* The header of the one on the payload of the other. */
	memcpy(other.data, envelope.data, HEADER);
	assert_int_equal(status_of(&other), ENVELOPE_DAMAGED);
}

/* --- What it must be ------------------------------------------------------------------------- */

static void a_name_has_to_be_the_one_that_was_bound(void **state)
{
	static const struct {
		const char *bound, *given;
		enum envelope_status status;
	} rows[] = {{"a/b", "a/b", ENVELOPE_OK},	 {"a/b", "a/c", ENVELOPE_WRONG_NAME},
		    {"a/b", "", ENVELOPE_WRONG_NAME},	 {"a/b", NULL, ENVELOPE_NAME_NEEDED},
		    {NULL, "a/b", ENVELOPE_NOT_BOUND},	 {NULL, NULL, ENVELOPE_OK},
		    {"a/b", "a/b/", ENVELOPE_WRONG_NAME}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer envelope = {0}, back = {0};
		struct envelope_error error = {0};

		seal(bytes_of("data"), rows[i].bound, &envelope);
		assert_int_equal(opened(buffer_bytes(&envelope), rows[i].given, &back, &error),
				 rows[i].status);
	}
}

static void the_zone_has_to_be_the_expected_one(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	struct envelope_expectation expected = {.zone = 22};
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};

	(void)state;
	seal(bytes_of("data"), NULL, &envelope);
	for (int right = 0; right < 2; right++) {
		AUTO(pipe_clear) struct pipe pipe = {.in = buffer_bytes(&envelope)};

		expected.zone = right ? 11 : 22;
		assert_int_equal(open_from(&token, &pipe, &expected, &error),
				 right ? ENVELOPE_OK : ENVELOPE_OTHER_ZONE);
	}
}

/* --- The key --------------------------------------------------------------------------------- */

static void without_the_store_the_record_opens_it(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, back = {0};
	struct envelope_error error = {0};

	(void)state;
	seal(bytes_of("data"), NULL, &envelope);
	fake.zones[0] = 0;
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error), ENVELOPE_OK);
	assert_bytes(buffer_bytes(&back), bytes_of("data"));
	assert_int_equal(fake.opened_records, 1);
}

static void a_record_of_a_root_key_that_is_not_ours_is_not_trusted(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, back = {0};
	struct envelope_error error = {0};

	(void)state;
	seal(bytes_of("data"), NULL, &envelope);
	fake.zones[0] = 0;
	fake.root_keys[0] = NULL;
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error),
			 ENVELOPE_ROOT_KEY_UNKNOWN);
	assert_string_equal(error.text, "arn:fake:kms:::key/1");
	assert_int_equal(fake.opened_records, 0);
}

/* Puts other contents into a slot, with a right checksum. */
static void put_slot(struct buffer *envelope, unsigned index, uint64_t sequence,
		     struct bytes wrapped, struct bytes record)
{
	struct envelope_slot slot = {.sequence = sequence, .wrapped = wrapped, .record = record};
	AUTO(buffer_clear) struct buffer out = {0};
	uint32_t slot_len = (uint32_t)envelope->data[14] << 8 | envelope->data[15];

	assert_int_equal(envelope_slot_encode(index, &slot, slot_len, &out), ENVELOPE_OK);
	memcpy(envelope->data + 128 + index * slot_len, out.data, out.len);
}

static void without_record_and_store_it_does_not_open(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, back = {0};
	struct envelope_error error = {0};

	(void)state;
	fake.kept = true;
	seal(bytes_of("data"), NULL, &envelope);
	assert_int_equal(envelope.data[7], 2);
	assert_memory_equal(envelope.data + 120, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	fake.zones[0] = 0;
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error),
			 ENVELOPE_ZONE_UNKNOWN);
	assert_string_equal(error.text, "zone 11, key version 1");
	assert_int_equal(fake.opened_records, 0);
}

static void refused_as(const struct buffer *envelope, const char *text)
{
	AUTO(buffer_clear) struct buffer back = {0};
	struct envelope_error error = {0};

	assert_int_equal(opened(buffer_bytes(envelope), NULL, &back, &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, text);
	assert_int_equal(back.len, 0);
}

/* With the store and without it. */
static void an_envelope_without_its_record_is_refused(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};

	(void)state;
	seal(bytes_of("data"), NULL, &envelope);
	put_slot(&envelope, 0, 1, bytes(envelope.data + 128 + 12, 96), bytes(NULL, 0));
	for (int store = 1; store >= 0; store--) {
		fake.zones[0] = store ? 11 : 0;
		refused_as(&envelope, "header: its key record was taken out");
	}
	/* With the flag that says so, it is an envelope of no zone. */
	envelope.data[7] |= 2;
	envelope.data[127] = 1;
	fake.zones[0] = 11;
	refused_as(&envelope, "header: it says that it may have no key record, but its zone does "
			      "not say so");
	fake.kept = true;
	refused_as(&envelope, "header: the wrapped data key does not open");
	fake.zones[0] = 0;
	assert_int_equal(status_of(&envelope), ENVELOPE_ZONE_UNKNOWN);
}

static void a_record_that_is_for_its_store_is_refused_in_an_envelope(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, other = {0}, kept = {0};
	struct bytes wrapped;

	(void)state;
	fake.kept = true;
	seal(bytes_of("data"), NULL, &envelope);
	wrapped = bytes(envelope.data + 128 + 12, 96);
	fake_token_kept_record(11, 1, fake.root_keys[0], &kept);
	put_slot(&envelope, 0, 1, wrapped, buffer_bytes(&kept));
	for (int store = 1; store >= 0; store--) {
		fake.zones[0] = store ? 11 : 0;
		refused_as(&envelope, "header: it says that it has no key record, but it has one");
	}
	/* In an envelope that may carry one. */
	fake.zones[0] = 11;
	fake.kept = false;
	seal(bytes_of("data"), NULL, &other);
	put_slot(&other, 0, 1, bytes(other.data + 128 + 12, 96), buffer_bytes(&kept));
	for (int store = 1; store >= 0; store--) {
		fake.zones[0] = store ? 11 : 0;
		refused_as(&other, "header: the key record is one that must stay in its store");
	}
	/* A writer that wraps by a zone without heeding its limits. */
	buffer_clear(&other);
	fake.zones[0] = 11;
	seal(bytes_of("data"), NULL, &other);
	fake.kept = true;
	refused_as(&other, "header: its zone's key record must stay in its store, but it says "
			   "that it may have one");
	assert_int_equal(fake.opened_records, 0);
}

static void many_envelopes_of_a_zone_cost_one_record(void **state)
{
	struct buffer envelopes[2 * ENVELOPE_OPENED_MAX] = {0};
	struct envelope_token token = fake_token_session();
	struct envelope_expectation any = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(envelopes); i++) {
		fake.zones[0] = 1000 + i % (ENVELOPE_OPENED_MAX + 2);
		seal(bytes_of("data"), NULL, &envelopes[i]);
	}
	fake.zones[0] = 0;
	for (size_t i = 0; i < COUNT_OF(envelopes); i++) {
		for (int again = 0; again < 3; again++) {
			AUTO(pipe_clear) struct pipe pipe = {.in = buffer_bytes(&envelopes[i])};
			struct envelope_error error = {0};

			assert_int_equal(open_from(&token, &pipe, &any, &error), ENVELOPE_OK);
		}
		/* What is forgotten is destroyed. */
		assert_in_range(fake.live, 1, ENVELOPE_OPENED_MAX);
	}
	assert_int_equal(fake.opened_records, COUNT_OF(envelopes));
	for (size_t i = 0; i < COUNT_OF(envelopes); i++)
		buffer_clear(&envelopes[i]);
}

/* The DEK of a zone, wrapped for this envelope's header, as somebody who may use that zone can. */
static struct bytes wrapped_by(unsigned zone, struct buffer *envelope, struct buffer *out)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	struct envelope_keys keys = {0};

	assert_int_equal(envelope_keys_make(&token, envelope->data + 24, &keys, &error),
			 ENVELOPE_OK);
	assert_int_equal(envelope_keys_wrap(&token, &keys, fake_token_zone(zone),
					    bytes(envelope->data, 128), out, NULL, &error),
			 ENVELOPE_OK);
	memcpy(envelope->data + 88, keys.commitment, 32);
	assert_int_equal(envelope_keys_wrap(&token, &keys, fake_token_zone(zone),
					    bytes(envelope->data, 128), out, NULL, &error),
			 ENVELOPE_OK);
	envelope_keys_clear(&token, &keys);
	return buffer_bytes(out);
}

static void a_reader_of_one_zone_can_not_pass_off_data_as_anothers(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, wrapped = {0}, record = {0}, back = {0};
	struct envelope_error error = {0};

	(void)state;
	seal(bytes_of("data"), NULL, &envelope); /* of zone 11 */
	fake_token_record(22, 1, fake.root_keys[0], &record);
	put_slot(&envelope, 0, 1, wrapped_by(1, &envelope, &wrapped), buffer_bytes(&record));
	for (int store = 0; store < 2; store++) {
		fake.zones[0] = store ? 11 : 0;
		error = (struct envelope_error){0};
		assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error),
				 ENVELOPE_DAMAGED);
		assert_string_equal(error.text, "header: the wrapped data key is another zone's");
	}
	/* The right wrapped key, the wrong record. */
	put_slot(&envelope, 0, 1, wrapped_by(0, &envelope, &wrapped), buffer_bytes(&record));
	fake.zones[0] = 0;
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "header: the key record is another key's");
	buffer_truncate(&record, 0);
	fake_token_record(11, 2, fake.root_keys[0], &record);
	fake.zones[0] = 11;
	put_slot(&envelope, 0, 1, wrapped_by(0, &envelope, &wrapped), buffer_bytes(&record));
	assert_int_equal(status_of(&envelope), ENVELOPE_DAMAGED);
	assert_int_equal(fake.opened_records, 0);
}

static void a_data_key_that_was_not_committed_to_is_refused(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, wrapped = {0}, record = {0}, back = {0};
	struct envelope_error error = {0};
	uint8_t commitment[32];

	(void)state;
	seal(bytes_of("data"), NULL, &envelope);
	memcpy(commitment, envelope.data + 88, 32);
	fake_token_record(11, 1, fake.root_keys[0], &record);
	/* Another DEK, wrapped under the very header, commitment of the first DEK and all. */
	wrapped_by(0, &envelope, &wrapped);
	memcpy(envelope.data + 88, commitment, 32);
	{
		struct envelope_token token = fake_token_session();
		struct envelope_keys keys = {0};

		assert_int_equal(envelope_keys_make(&token, envelope.data + 24, &keys, &error), 0);
		assert_int_equal(envelope_keys_wrap(&token, &keys, fake_token_zone(0),
						    bytes(envelope.data, 128), &wrapped, NULL,
						    &error),
				 ENVELOPE_OK);
		envelope_keys_clear(&token, &keys);
	}
	put_slot(&envelope, 0, 1, buffer_bytes(&wrapped), buffer_bytes(&record));
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text,
			    "header: the data key is not the one the file was sealed with");
	assert_int_equal(fake.live, 0);
}

/* --- Two slots ------------------------------------------------------------------------------- */

/* An envelope whose slot 1 has sequence 2 and these contents, slot 0 the right ones. */
static void two_slots(struct buffer *envelope, struct bytes wrapped, struct bytes record)
{
	seal(bytes_of("data"), NULL, envelope);
	put_slot(envelope, 1, 2, wrapped, record);
}

static void if_the_newer_slot_does_not_open_the_other_does(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0}, other = {0}, record = {0}, back = {0};
	struct envelope_error error = {0};
	struct bytes wrapped;

	(void)state;
	seal(bytes_of("data"), NULL, &other);
	wrapped = bytes(other.data + 128 + 12, 96); /* of another header */
	fake_token_record(11, 1, "arn:fake:kms:::key/unknown", &record);
	two_slots(&envelope, wrapped, bytes(NULL, 0));
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	fake.zones[0] = 0;
	/* No record in the newer slot; then one that is not ours to open. */
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	put_slot(&envelope, 1, 2, wrapped, buffer_bytes(&record));
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	/* Neither: what is said is what the newer one lacks. */
	memset(envelope.data + 128 + 12 + 60, 0xFF, 8);
	put_slot(&envelope, 0, 1, bytes(envelope.data + 128 + 12, 96), bytes(NULL, 0));
	assert_int_equal(opened(buffer_bytes(&envelope), NULL, &back, &error),
			 ENVELOPE_ROOT_KEY_UNKNOWN);
	assert_string_equal(error.text, "arn:fake:kms:::key/unknown");
}

static void what_the_module_answers_is_not_tried_again_with_the_other_slot(void **state)
{
	AUTO(buffer_clear) struct buffer envelope = {0};
	unsigned calls;

	(void)state;
	two_slots(&envelope, bytes(envelope.data, 0), bytes(NULL, 0));
	memcpy(envelope.data + 128 + 1344, envelope.data + 128, 1344);
	put_slot(&envelope, 1, 2, bytes(envelope.data + 128 + 12, 96), bytes(NULL, 0));
	fake.calls = 0;
	assert_int_equal(status_of(&envelope), ENVELOPE_OK);
	calls = fake.calls;
	for (unsigned at = 1; at <= calls; at++) {
		fake.calls = 0;
		fake.fail_at = at;
		if (status_of(&envelope) != ENVELOPE_OK)
			assert_true(fake.calls <= at + 1); /* except for the end of a search */
	}
}

#define from_new(test) cmocka_unit_test_setup(test, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		from_new(data_of_any_length_come_back),
		from_new(a_stream_may_come_in_small_pieces),
		from_new(a_file_that_grows_is_sealed_up_to_its_first_end),
		from_new(no_two_envelopes_are_alike),
		from_new(each_call_that_fails_is_named_and_leaves_no_key_behind),
		from_new(a_stream_that_fails_says_so_by_errno),
		from_new(nothing_is_written_that_was_not_verified),
		from_new(an_envelope_cut_anywhere_is_noticed),
		from_new(chunks_have_their_place),
		from_new(a_name_has_to_be_the_one_that_was_bound),
		from_new(the_zone_has_to_be_the_expected_one),
		from_new(without_the_store_the_record_opens_it),
		from_new(a_record_of_a_root_key_that_is_not_ours_is_not_trusted),
		from_new(without_record_and_store_it_does_not_open),
		from_new(an_envelope_without_its_record_is_refused),
		from_new(a_record_that_is_for_its_store_is_refused_in_an_envelope),
		from_new(many_envelopes_of_a_zone_cost_one_record),
		from_new(a_reader_of_one_zone_can_not_pass_off_data_as_anothers),
		from_new(a_data_key_that_was_not_committed_to_is_refused),
		from_new(if_the_newer_slot_does_not_open_the_other_does),
		from_new(what_the_module_answers_is_not_tried_again_with_the_other_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
