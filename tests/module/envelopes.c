/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes over the real module: made, then attacked, once where the store knows their zones and
 * once with the KMS alone. What needs no key is in tests/unit/envelope/.
 */
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "envelopes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 65536, SEALED = CHUNK + ENVELOPE_TAG };

struct buffer envelope_small, envelope_big, envelope_big_too, envelope_other_zone;
static struct buffer envelope_evil, plain_big;
const char envelope_text[] = "what the file says";
const char envelope_name[] = "binlog/1.bin";
struct envelope_error envelope_last_error;

/* --- Streams in memory ----------------------------------------------------------------------- */

struct memory {
	struct bytes in;
	struct buffer *out; /* NULL: away with it */
};

static ssize_t memory_read(void *state, uint8_t *out, size_t len)
{
	struct memory *memory = state;

	if (len > memory->in.len)
		len = memory->in.len;
	if (len > 0)
		memcpy(out, memory->in.data, len);
	memory->in = bytes(memory->in.data + len, memory->in.len - len);
	return (ssize_t)len;
}

static bool memory_write(void *state, struct bytes bytes)
{
	struct memory *memory = state;

	if (memory->out != NULL)
		buffer_append(memory->out, bytes);
	return true;
}

static struct envelope_token token_of(CK_SESSION_HANDLE session)
{
	return (struct envelope_token){.functions = p11, .session = session};
}

static void seal(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, struct bytes plain,
		 const char *name, struct buffer *out)
{
	struct memory memory = {.in = plain, .out = out};
	struct envelope_io io = {memory_read, memory_write, &memory};
	struct envelope_options options = {.name = bytes_of(name)};
	struct envelope_token token = token_of(session);
	struct envelope_error error = {0};
	enum envelope_status status = envelope_seal(&token, zone, &options, &io, &error);

	if (status != ENVELOPE_OK)
		fail_msg("%s: %s (%s)", error.function, rv_name(error.rv),
			 envelope_status_text(status));
}

static enum envelope_status open_steps(struct envelope_token *token, const struct envelope_io *io,
				       const char *name, struct envelope_error *error)
{
	struct envelope_expectation expected = {.name = bytes_of(name)};
	AUTO(buffer_clear) struct buffer storage = {0};
	struct envelope_header header;
	struct envelope_keys keys = {0};
	enum envelope_status status;

	TRY(envelope_read_header(io, &storage, &header, error));
	TRY(envelope_check(token, &header, &expected, error));
	TRY(envelope_unlock(token, &header, &keys, error));
	status = envelope_open_payload(token, &header, &keys, io, error);
	envelope_keys_clear(token, &keys);
	return status;
}

enum envelope_status envelope_opens(CK_SESSION_HANDLE session, const struct buffer *envelope,
				    const char *name, struct buffer *ret_plain)
{
	struct memory memory = {.in = buffer_bytes(envelope), .out = ret_plain};
	struct envelope_io io = {memory_read, memory_write, &memory};
	struct envelope_token token = token_of(session);
	enum envelope_status status;

	envelope_last_error = (struct envelope_error){0};
	status = open_steps(&token, &io, name, &envelope_last_error);
	envelope_token_clear(&token);
	return status;
}

/* --- Envelopes, changed ---------------------------------------------------------------------- */

/* One of a few that stay until the end; the caller clears nothing. */
struct buffer *envelope_copy(const struct buffer *envelope)
{
	static struct buffer copies[4];
	static unsigned next;
	struct buffer *copy = &copies[next++ % COUNT_OF(copies)];

	buffer_truncate(copy, 0);
	buffer_append(copy, buffer_bytes(envelope));
	return copy;
}

uint32_t slot_len_of(const struct buffer *envelope)
{
	return (uint32_t)envelope->data[12] << 24 | (uint32_t)envelope->data[13] << 16 |
	       (uint32_t)envelope->data[14] << 8 | envelope->data[15];
}

uint8_t *slot_of(const struct buffer *envelope, unsigned index)
{
	return envelope->data + ENVELOPE_IMMUTABLE + index * slot_len_of(envelope);
}

void slot_fix(struct buffer *envelope, unsigned index)
{
	uint32_t end = slot_len_of(envelope) - 4, crc;
	uint8_t number = (uint8_t)index, *slot_bytes = slot_of(envelope, index);

	crc = envelope_crc32(envelope_crc32(0, bytes(&number, 1)), bytes(slot_bytes, end));
	for (int i = 0; i < 4; i++)
		slot_bytes[end + (uint32_t)i] = (uint8_t)(crc >> (24 - 8 * i));
}

void slot_put(struct buffer *envelope, unsigned index, uint64_t sequence, struct bytes wrapped,
	      struct bytes record)
{
	struct envelope_slot contents = {
		.sequence = sequence, .wrapped = wrapped, .record = record};
	AUTO(buffer_clear) struct buffer out = {0};

	assert_int_equal(envelope_slot_encode(index, &contents, slot_len_of(envelope), &out),
			 ENVELOPE_OK);
	memcpy(slot_of(envelope, index), out.data, out.len);
}

static struct bytes wrapped_of(const struct buffer *envelope)
{
	return bytes(slot_of(envelope, 0) + 12, ENVELOPE_WRAPPED);
}

static struct bytes record_of(const struct buffer *envelope)
{
	const uint8_t *start = slot_of(envelope, 0);

	return bytes(start + 12 + ENVELOPE_WRAPPED, (size_t)start[10] << 8 | start[11]);
}

/* --- Making them ----------------------------------------------------------------------------- */

CK_OBJECT_HANDLE root_key_of(CK_SESSION_HANDLE session, const char *kms_key, bool create)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_bool(t, CKA_TOKEN, true);
	with_text(t, CKA_CMEK_KMS_KEY, kms_key);
	with_bool(t, CKA_CMEK_CREATE, create);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

/* A cluster whose root key is not the one that the victim trusts. */
static CK_OBJECT_HANDLE evil_zone(CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE key = root_key_of(session, "local:evil", true), cluster;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_CMEK_CLUSTER);
	char arn[256] = {0};

	attribute_bytes(session, key, CKA_CMEK_ROOT_KEY, arn, sizeof(arn) - 1);
	with_bool(t, CKA_TOKEN, true);
	with_text(t, CKA_LABEL, "evil");
	with_text(t, CKA_CMEK_REGION, "nowhere");
	with_text(t, CKA_CMEK_ROOT_KEY, arn);
	check(p11->C_CreateObject(session, t->rows, t->count, &cluster));
	return zone_generate(session, "evil/zone");
}

/* So that there are limits in its record. */
static CK_OBJECT_HANDLE zone_with_limits(CK_SESSION_HANDLE session, const char *label)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE forced[] = {{CKA_SENSITIVE, &yes, sizeof(yes)}};
	struct template *t = with_text(aes_template(), CKA_LABEL, label);

	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_SENSITIVE, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	with(t, CKA_UNWRAP_TEMPLATE, forced, sizeof(forced));
	return key_generate(session, with_number(t, CKA_VALUE_LEN, 32));
}

static void fill_big(void)
{
	uint8_t *place = buffer_extend(&plain_big, 3 * CHUNK + 9);

	assert_non_null(place);
	for (size_t i = 0; i < plain_big.len; i++)
		place[i] = (uint8_t)(i * 31 + i / 4093);
}

static int make_all(void **state)
{
	CK_OBJECT_HANDLE zone, other;
	CK_SESSION_HANDLE session;

	if (token_setup(state) != 0)
		return -1;
	/* Thousands of refusals follow. */
	token_configure("[log]\nlevel = off\n");
	check(p11->C_Finalize(NULL));
	check(initialize());
	session = session_new();
	zone = zone_with_limits(session, "default/orders");
	other = zone_generate(session, "default/invoices");
	fill_big();
	seal(session, zone, bytes_of(envelope_text), envelope_name, &envelope_small);
	seal(session, zone, buffer_bytes(&plain_big), NULL, &envelope_big);
	seal(session, zone, buffer_bytes(&plain_big), NULL, &envelope_big_too);
	seal(session, other, bytes_of(envelope_text), envelope_name, &envelope_other_zone);
	seal(session, evil_zone(session), bytes_of(envelope_text), NULL, &envelope_evil);
	check(p11->C_CloseSession(session));
	return 0;
}

/* The store is gone; a fresh project has the root key. */
static int lose_store(void **state)
{
	AUTO(freep) char *path = path_join(token_folder(), "store.db");
	CK_SESSION_HANDLE session;

	(void)state;
	check(p11->C_Finalize(NULL));
	if (path == NULL || unlink(path) != 0)
		return -1;
	slot = token_new("second");
	session = session_new();
	root_key_of(session, "local:test", false);
	check(p11->C_CloseSession(session));
	return 0;
}

static int clear_all(void **state)
{
	struct buffer *all[] = {&envelope_small,      &envelope_big,  &envelope_big_too,
				&envelope_other_zone, &envelope_evil, &plain_big};

	for (size_t i = 0; i < COUNT_OF(all); i++)
		buffer_clear(all[i]);
	return token_teardown(state);
}

/* --- Tests ----------------------------------------------------------------------------------- */

#define SESSION ((CK_SESSION_HANDLE)*state)

static void they_open(void **state)
{
	AUTO(buffer_clear) struct buffer small = {0}, big = {0};

	assert_int_equal(envelope_opens(SESSION, &envelope_small, envelope_name, &small),
			 ENVELOPE_OK);
	assert_int_equal(small.len, strlen(envelope_text));
	assert_memory_equal(small.data, envelope_text, small.len);
	assert_int_equal(envelope_opens(SESSION, &envelope_big, NULL, &big), ENVELOPE_OK);
	assert_int_equal(big.len, plain_big.len);
	assert_memory_equal(big.data, plain_big.data, big.len);
}

static void refused(CK_SESSION_HANDLE session, const struct buffer *envelope, const char *name)
{
	assert_int_equal(envelope_opens(session, envelope, name, NULL), ENVELOPE_DAMAGED);
}

static void cut_at_any_interesting_length_they_are_refused(void **state)
{
	const size_t header = ENVELOPE_IMMUTABLE + 2 * slot_len_of(&envelope_big);
	size_t lengths[40], count = 0;

	for (size_t at = 4; at <= 128; at += 31)
		lengths[count++] = at;
	for (int off = -1; off <= 1; off++) {
		lengths[count++] = 128 + (size_t)(off + 1);
		lengths[count++] = header - slot_len_of(&envelope_big) + (size_t)(off + 1);
		for (size_t chunk = 0; chunk <= 3; chunk++)
			lengths[count++] = header + chunk * SEALED + (size_t)(off + 1) - 1;
		lengths[count++] = header + 3 * SEALED + 15 + (size_t)(off + 1);
	}
	lengths[count++] = envelope_big.len - 1;
	for (size_t i = 0; i < count; i++) {
		struct buffer *cut = envelope_copy(&envelope_big);

		buffer_truncate(cut, lengths[i]);
		refused(SESSION, cut, NULL);
	}
}

static uint8_t *chunk_of(struct buffer *envelope, size_t index)
{
	return envelope->data + ENVELOPE_IMMUTABLE + 2 * slot_len_of(envelope) + index * SEALED;
}

static void reordered_repeated_or_left_out_chunks_are_refused(void **state)
{
	struct buffer *swapped = envelope_copy(&envelope_big),
		      *repeated = envelope_copy(&envelope_big),
		      *missing = envelope_copy(&envelope_big),
		      *longer = envelope_copy(&envelope_big);

	memcpy(chunk_of(swapped, 0), chunk_of(&envelope_big, 1), SEALED);
	memcpy(chunk_of(swapped, 1), chunk_of(&envelope_big, 0), SEALED);
	refused(SESSION, swapped, NULL);
	memcpy(chunk_of(repeated, 1), chunk_of(&envelope_big, 0), SEALED);
	refused(SESSION, repeated, NULL);
	memmove(chunk_of(missing, 1), chunk_of(missing, 2), SEALED + 9 + ENVELOPE_TAG);
	buffer_truncate(missing, missing->len - SEALED);
	refused(SESSION, missing, NULL);
	buffer_append(longer, bytes(chunk_of(&envelope_big, 3), 9 + ENVELOPE_TAG));
	refused(SESSION, longer, NULL);
	buffer_truncate(longer, envelope_big.len);
	buffer_put_u8(longer, 0);
	refused(SESSION, longer, NULL);
}

static void pieces_of_another_file_of_the_zone_are_refused(void **state)
{
	struct buffer *chunk = envelope_copy(&envelope_big), *header = envelope_copy(&envelope_big),
		      *slots = envelope_copy(&envelope_big),
		      *immutable = envelope_copy(&envelope_big);
	uint32_t slot_len = slot_len_of(&envelope_big);

	memcpy(chunk_of(chunk, 1), chunk_of(&envelope_big_too, 1), SEALED);
	refused(SESSION, chunk, NULL);
	memcpy(header->data, envelope_big_too.data, 128 + 2 * slot_len);
	refused(SESSION, header, NULL);
	memcpy(slots->data + 128, envelope_big_too.data + 128, 2 * slot_len);
	refused(SESSION, slots, NULL);
	memcpy(immutable->data, envelope_big_too.data, 128);
	refused(SESSION, immutable, NULL);
}

static void what_another_zone_has_is_refused(void **state)
{
	struct buffer *record = envelope_copy(&envelope_small),
		      *wrapped = envelope_copy(&envelope_small),
		      *both = envelope_copy(&envelope_small);
	struct bytes others = record_of(&envelope_other_zone);

	slot_put(record, 0, 1, wrapped_of(&envelope_small), others);
	refused(SESSION, record, envelope_name);
	slot_put(wrapped, 0, 1, wrapped_of(&envelope_other_zone), record_of(&envelope_small));
	refused(SESSION, wrapped, envelope_name);
	slot_put(both, 0, 1, wrapped_of(&envelope_other_zone), others);
	refused(SESSION, both, envelope_name);
	/* Only the zone's number, everywhere it stands. */
	memcpy(both->data + 16, envelope_other_zone.data + 16, 8);
	refused(SESSION, both, envelope_name);
}

static void another_name_is_refused(void **state)
{
	assert_int_equal(envelope_opens(SESSION, &envelope_small, "binlog/2.bin", NULL),
			 ENVELOPE_WRONG_NAME);
	assert_int_equal(envelope_opens(SESSION, &envelope_small, NULL, NULL),
			 ENVELOPE_NAME_NEEDED);
}

/* --- With the KMS alone ---------------------------------------------------------------------- */

static void a_record_with_another_zones_number_is_refused_by_the_kms(void **state)
{
	struct buffer *envelope = envelope_copy(&envelope_small);
	struct bytes others = record_of(&envelope_other_zone);
	AUTO(buffer_clear) struct buffer record = {0};

	buffer_append(&record, others);
	memcpy(record.data + 40, envelope->data + 16, 8);
	slot_put(envelope, 0, 1, wrapped_of(&envelope_small), buffer_bytes(&record));
	refused(SESSION, envelope, envelope_name);
	/* All that the encryption context names is right, the blob is the other zone's. */
	memcpy(record.data + 8, record_of(&envelope_small).data + 8, 88);
	slot_put(envelope, 0, 1, wrapped_of(&envelope_small), buffer_bytes(&record));
	refused(SESSION, envelope, envelope_name);
}

static void a_root_key_that_nobody_added_is_not_trusted(void **state)
{
	assert_int_equal(envelope_opens(SESSION, &envelope_evil, NULL, NULL),
			 ENVELOPE_ROOT_KEY_UNKNOWN);
}

/* Whoever names a trusted root key beside his own must not succeed with the latter, though the KMS
 * would decrypt with it. */
static void a_wrap_by_another_key_beside_the_trusted_one_is_not_used(void **state)
{
	struct bytes evil = record_of(&envelope_evil), good = record_of(&envelope_small);
	struct bytes evil_wrap = bytes(evil.data + 97, evil.len - 97);
	struct bytes good_wrap = bytes(good.data + 97, good.len - 97);

	for (int evil_first = 0; evil_first < 2; evil_first++) {
		struct buffer *envelope = envelope_copy(&envelope_evil);
		AUTO(buffer_clear) struct buffer record = {0};

		buffer_append(&record, bytes(evil.data, 97));
		buffer_append(&record, evil_first ? evil_wrap : good_wrap);
		buffer_append(&record, evil_first ? good_wrap : evil_wrap);
		record.data[6] = (uint8_t)(record.len >> 8);
		record.data[7] = (uint8_t)record.len;
		record.data[96] = 2;
		slot_put(envelope, 0, 1, wrapped_of(&envelope_evil), buffer_bytes(&record));
		assert_int_not_equal(envelope_opens(SESSION, envelope, NULL, NULL), ENVELOPE_OK);
	}
}

int main(void)
{
	const struct CMUnitTest with_store[] = {
		in_session(they_open),
		in_session(cut_at_any_interesting_length_they_are_refused),
		in_session(reordered_repeated_or_left_out_chunks_are_refused),
		in_session(pieces_of_another_file_of_the_zone_are_refused),
		in_session(what_another_zone_has_is_refused),
		in_session(another_name_is_refused),
	};
	const struct CMUnitTest with_kms_alone[] = {
		in_session(they_open),
		in_session(cut_at_any_interesting_length_they_are_refused),
		in_session(reordered_repeated_or_left_out_chunks_are_refused),
		in_session(pieces_of_another_file_of_the_zone_are_refused),
		in_session(what_another_zone_has_is_refused),
		in_session(a_record_with_another_zones_number_is_refused_by_the_kms),
		in_session(a_root_key_that_nobody_added_is_not_trusted),
		in_session(a_wrap_by_another_key_beside_the_trusted_one_is_not_used),
	};
	int failures = run_group("envelopes where the store is", with_store, make_all, NULL);

	failures += envelopes_two_keys();
	failures += envelopes_flipped();
	failures += envelopes_messages();
	failures += run_group("envelopes with the KMS alone", with_kms_alone, lose_store, NULL);
	failures += envelopes_flipped();
	failures += envelopes_messages_lost();
	clear_all(NULL);
	return failures == 0 ? 0 : 1;
}
