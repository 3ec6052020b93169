/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A message's bytes (docs/format.md, 5.5): vectors of another implementation, and what is refused
 * before any key is asked. */
#include "envelope/message.h"
#include "base/macros.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "tests/support/unit.h"

static const struct vector {
	const char *ezk;
	uint64_t zone, version;
	const char *dek;
	uint64_t number, collection;
	const char *bound_to, *record;
	uint64_t payload_len;
	const char *payload_sha256, *message;
} vectors[] = {
#define VECTOR_MESSAGE(...) {__VA_ARGS__},
#include "tests/vectors/messages.inc"
};

static int start(void **state)
{
	(void)state;
	return crypto_start(false) ? 0 : -1;
}

static struct message decoded(struct bytes in)
{
	struct envelope_error error = {0};
	struct message message = {0};

	assert_int_equal(message_decode(in, &message, &error), ENVELOPE_OK);
	return message;
}

static void fields_are_where_the_page_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		AUTO(buffer_clear) struct buffer in = {0}, record = {0}, again = {0};
		const struct vector *v = &vectors[i];
		struct message m = decoded(from_hex(&in, v->message));

		assert_int_equal(m.zone, v->zone);
		assert_int_equal(m.version, v->version);
		assert_int_equal(m.number, v->number);
		assert_int_equal(m.collection, v->collection);
		assert_int_equal(m.payload_len, v->payload_len);
		assert_int_equal(m.bound, v->bound_to[0] != '\0');
		assert_bytes(m.record, from_hex(&record, v->record));
		assert_int_equal(message_header_encode(m.dek, &m, &again), ENVELOPE_OK);
		assert_bytes(buffer_bytes(&again), m.header);
	}
}

static void beside_payload_and_collection_it_has_128_bytes(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		if (vectors[i].record[0] == '\0')
			assert_int_equal(from_hex(&in, vectors[i].message).len,
					 vectors[i].payload_len + 8 + MESSAGE_OVERHEAD);
}

/* The DEK as docs/format.md, 4 and 5.5 say: the message's short form made whole again. */
static void open_dek(const struct vector *v, const struct message *m, uint8_t ret_dek[static 32])
{
	AUTO(buffer_clear) struct buffer ezk = {0}, aad = {0};
	uint8_t wrapped[ENVELOPE_WRAPPED], bound[MESSAGE_DEK_AAD], parent[32], key[32];
	bool wrong;

	message_wrapped(m, wrapped);
	message_dek_aad(m->dek_id, bound);
	buffer_append(&aad, bytes(wrapped, 48));
	buffer_append(&aad, bytes(bound, sizeof(bound)));
	assert_true(kdf_counter(from_hex(&ezk, v->ezk), "cmek/1/dek-wrap", bytes(wrapped + 8, 12),
				parent));
	assert_true(kdf_counter(bytes(parent, 32), "cmek/1/dek", bytes(wrapped + 20, 16), key));
	assert_true(aes_gcm_open(bytes(key, 32), bytes(wrapped + 36, 12), buffer_bytes(&aad),
				 bytes(wrapped + 48, 48), ret_dek, &wrong));
}

static void expand(const uint8_t dek[static 32], const char *label, struct bytes salt,
		   uint8_t ret[static 32])
{
	AUTO(buffer_clear) struct buffer info = {0};

	buffer_append(&info, bytes_of(label));
	buffer_append(&info, salt);
	assert_true(hkdf(DIGEST_SHA256, false, true, bytes(dek, 32), bytes(NULL, 0),
			 buffer_bytes(&info), ret, 32));
}

static void keys_and_payload_are_those_of_another_implementation(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		AUTO(buffer_clear) struct buffer in = {0}, hex = {0}, aad = {0}, plain = {0};
		const uint8_t nonce[12] = {[11] = 1};
		const struct vector *v = &vectors[i];
		struct message m = decoded(from_hex(&in, v->message));
		uint8_t dek[32], id[32], key[32], number[4], digest[32];
		bool wrong;

		open_dek(v, &m, dek);
		assert_bytes(bytes(dek, 32), from_hex(&hex, v->dek));
		expand(dek, "cmek/1/dek-id", bytes(NULL, 0), id);
		assert_memory_equal(id, m.dek_id, MESSAGE_DEK_ID);
		put_big_endian(number, 4, m.number);
		expand(dek, "cmek/1/message", bytes(number, 4), key);
		buffer_append(&aad, m.header);
		buffer_append(&aad, from_hex(&hex, v->bound_to));
		assert_non_null(buffer_extend(&plain, m.sealed.len));
		assert_true(aes_gcm_open(bytes(key, 32), bytes(nonce, 12), buffer_bytes(&aad),
					 m.sealed, plain.data, &wrong));
		assert_true(digest_once(DIGEST_SHA256, bytes(plain.data, m.payload_len), digest));
		assert_bytes(bytes(digest, 32), from_hex(&hex, v->payload_sha256));
	}
}

/* --- What is refused ------------------------------------------------------------------------- */

static enum envelope_status status_of(struct bytes in, struct envelope_error *error)
{
	struct message message;

	*error = (struct envelope_error){0};
	return message_decode(in, &message, error);
}

static void a_message_of_any_other_length_is_damaged(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0};
	struct envelope_error error;

	(void)state;
	from_hex(&in, vectors[3].message); /* with a record */
	for (size_t len = 4; len < in.len; len++) {
		assert_int_equal(status_of(bytes(in.data, len), &error), ENVELOPE_DAMAGED);
		assert_string_equal(error.text, "message: cut short");
	}
	buffer_put_u8(&in, 0);
	assert_int_equal(status_of(buffer_bytes(&in), &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "message: something follows it");
}

static void impossible_fields_are_damage(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum envelope_status status;
		const char *text;
	} rows[] = {
		{0, 'X', ENVELOPE_NOT_AN_ENVELOPE, ""},
		{4, 2, ENVELOPE_NEWER, ""},
		{5, 1, ENVELOPE_DAMAGED, "message: it is a file's envelope"},
		{5, 3, ENVELOPE_DAMAGED, "message: of no known kind"},
		{6, 1, ENVELOPE_DAMAGED, "message: bits set that must be zero"},
		{7, 2, ENVELOPE_DAMAGED, "message: bits set that must be zero"},
		{7, 8, ENVELOPE_DAMAGED, "message: bits set that must be zero"},
		{8, 0x80, ENVELOPE_DAMAGED, "message: impossible zone or version"},
		{108, 0x04, ENVELOPE_DAMAGED, "message: impossible size"},
		{112, 0x80, ENVELOPE_DAMAGED, "message: impossible collection"},
	};
	struct envelope_error error;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer in = {0};

		from_hex(&in, vectors[0].message);
		in.data[rows[i].at] = rows[i].value;
		assert_int_equal(status_of(buffer_bytes(&in), &error), rows[i].status);
		assert_string_equal(error.text, rows[i].text);
	}
	assert_int_equal(status_of(bytes(NULL, 0), &error), ENVELOPE_EMPTY);
	assert_int_equal(status_of(bytes_of("CM"), &error), ENVELOPE_DAMAGED);
	assert_int_equal(status_of(bytes_of("plain"), &error), ENVELOPE_NOT_AN_ENVELOPE);
}

static void zone_version_and_record_are_not_nothing(void **state)
{
	AUTO(buffer_clear) struct buffer in = {0}, with_record = {0};
	struct envelope_error error;

	(void)state;
	from_hex(&in, vectors[0].message);
	in.data[15] = 0; /* zone 1 */
	assert_int_equal(status_of(buffer_bytes(&in), &error), ENVELOPE_DAMAGED);
	from_hex(&in, vectors[0].message);
	in.data[19] = 0; /* version 1 */
	assert_int_equal(status_of(buffer_bytes(&in), &error), ENVELOPE_DAMAGED);
	from_hex(&with_record, vectors[3].message);
	with_record.data[120] = with_record.data[121] = 0;
	assert_int_equal(status_of(buffer_bytes(&with_record), &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "message: impossible length of its key record");
}

static void what_a_message_has_no_room_for_is_not_written(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct message large = {.payload_len = MESSAGE_PAYLOAD_MAX + 1};
	struct message heavy = {.record = bytes(&large, MESSAGE_RECORD_MAX + 1)};
	uint8_t dek[MESSAGE_DEK] = {0};

	(void)state;
	assert_int_equal(message_header_encode(bytes(dek, sizeof(dek)), &large, &out),
			 ENVELOPE_TOO_LARGE);
	assert_int_equal(message_header_encode(bytes(dek, sizeof(dek)), &heavy, &out),
			 ENVELOPE_TOO_LARGE);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_where_the_page_says),
		cmocka_unit_test(beside_payload_and_collection_it_has_128_bytes),
		cmocka_unit_test(keys_and_payload_are_those_of_another_implementation),
		cmocka_unit_test(a_message_of_any_other_length_is_damaged),
		cmocka_unit_test(impossible_fields_are_damage),
		cmocka_unit_test(zone_version_and_record_are_not_nothing),
		cmocka_unit_test(what_a_message_has_no_room_for_is_not_written),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
