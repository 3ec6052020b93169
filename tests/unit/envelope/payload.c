/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk's nonce, AAD and lengths (docs/format.md, 5.3), as the token sees them. */
#include "base/macros.h"
#include "envelope/payload.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

static struct envelope_token token;
static struct envelope_keys keys;
static uint8_t immutable[ENVELOPE_IMMUTABLE];

static int make_key(void **state)
{
	uint8_t salt[ENVELOPE_SALT] = {0};
	struct envelope_error error = {0};

	(void)state;
	fake_token_reset();
	token = fake_token_session();
	memset(immutable, 0xAA, sizeof(immutable));
	return envelope_keys_make(&token, salt, &keys, &error) != ENVELOPE_OK ||
	       envelope_keys_payload(&token, &keys, salt, &error) != ENVELOPE_OK;
}

static struct envelope_payload payload(void)
{
	return (struct envelope_payload){.token = &token,
					 .key = keys.payload,
					 .aad = bytes(immutable, sizeof(immutable)),
					 .chunk_len = 4096};
}

static void nonce_and_aad_are_those_of_the_specification(void **state)
{
	static const struct {
		uint64_t index;
		bool last;
		const char *nonce;
	} rows[] = {
		{0, false, "000000000000000000000000"},
		{0, true, "000000000000000000000001"},
		{1, false, "000000000000000000000100"},
		{0x01020304, true, "000000000000000102030401"},
		{UINT32_MAX, false, "00000000000000ffffffff00"},
	};
	struct envelope_payload chunks = payload();
	AUTO(buffer_clear) struct buffer hex = {0};
	uint8_t out[5 + ENVELOPE_TAG];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct envelope_error error = {0};
		struct bytes nonce = from_hex(&hex, rows[i].nonce);
		size_t len;

		assert_int_equal(envelope_chunk_seal(&chunks, rows[i].index, rows[i].last,
						     bytes_of("plain"), out, &error),
				 ENVELOPE_OK);
		assert_bytes(bytes(fake.last_nonce, fake.last_gcm.ulIvLen), nonce);
		assert_int_equal(fake.last_gcm.ulIvBits, 96);
		assert_int_equal(fake.last_gcm.ulTagBits, 128);
		assert_bytes(bytes(fake.last_aad, fake.last_gcm.ulAADLen), chunks.aad);
		memset(fake.last_nonce, 0xFF, sizeof(fake.last_nonce));
		assert_int_equal(envelope_chunk_open(&chunks, rows[i].index, rows[i].last,
						     bytes(out, sizeof(out)), out, &len, &error),
				 ENVELOPE_OK);
		assert_bytes(bytes(fake.last_nonce, fake.last_gcm.ulIvLen), nonce);
		assert_bytes(bytes(out, len), bytes_of("plain"));
	}
}

static void a_chunk_opens_only_in_its_place(void **state)
{
	static const struct {
		uint64_t index;
		bool last;
		enum envelope_status status;
	} rows[] = {{5, false, ENVELOPE_OK},
		    {5, true, ENVELOPE_DAMAGED},
		    {4, false, ENVELOPE_DAMAGED},
		    {5 + 256, false, ENVELOPE_DAMAGED}};
	struct envelope_payload chunks = payload();
	uint8_t sealed[5 + ENVELOPE_TAG], out[5];
	struct envelope_error error = {0};
	size_t len;

	(void)state;
	assert_int_equal(envelope_chunk_seal(&chunks, 5, false, bytes_of("plain"), sealed, &error),
			 ENVELOPE_OK);
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(envelope_chunk_open(&chunks, rows[i].index, rows[i].last,
						     bytes(sealed, sizeof(sealed)), out, &len,
						     &error),
				 rows[i].status);
}

static void what_is_shorter_than_a_tag_is_damage_without_a_call(void **state)
{
	struct envelope_payload chunks = payload();
	uint8_t in[ENVELOPE_TAG] = {0}, out[1];
	size_t len;

	(void)state;
	fake.calls = 0;
	for (size_t in_len = 0; in_len < ENVELOPE_TAG; in_len++) {
		struct envelope_error error = {0};

		assert_int_equal(
			envelope_chunk_open(&chunks, 0, true, bytes(in, in_len), out, &len, &error),
			ENVELOPE_DAMAGED);
	}
	assert_int_equal(fake.calls, 0);
}

static void only_the_first_chunk_may_be_empty(void **state)
{
	struct envelope_payload chunks = payload();
	uint8_t sealed[ENVELOPE_TAG], out[ENVELOPE_TAG];

	(void)state;
	for (uint64_t index = 0; index < 3; index++) {
		struct envelope_error error = {0};
		size_t len = 1;

		assert_int_equal(
			envelope_chunk_seal(&chunks, index, true, bytes(out, 0), sealed, &error),
			ENVELOPE_OK);
		assert_int_equal(envelope_chunk_open(&chunks, index, true,
						     bytes(sealed, sizeof(sealed)), out, &len,
						     &error),
				 index == 0 ? ENVELOPE_OK : ENVELOPE_DAMAGED);
		assert_int_equal(len, index == 0 ? 0 : 1);
	}
}

static void a_chunk_beyond_the_counter_is_too_large(void **state)
{
	struct envelope_payload chunks = payload();
	uint8_t out[5 + ENVELOPE_TAG] = {0};
	struct envelope_error error = {0};
	size_t len;

	(void)state;
	assert_int_equal(envelope_chunk_seal(&chunks, UINT64_C(1) << 32, true, bytes_of("plain"),
					     out, &error),
			 ENVELOPE_TOO_LARGE);
	assert_int_equal(envelope_chunk_open(&chunks, UINT64_C(1) << 32, true,
					     bytes(out, sizeof(out)), out, &len, &error),
			 ENVELOPE_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonce_and_aad_are_those_of_the_specification),
		cmocka_unit_test(a_chunk_opens_only_in_its_place),
		cmocka_unit_test(what_is_shorter_than_a_tag_is_damage_without_a_call),
		cmocka_unit_test(only_the_first_chunk_may_be_empty),
		cmocka_unit_test(a_chunk_beyond_the_counter_is_too_large),
	};

	return cmocka_run_group_tests(tests, make_key, NULL);
}
