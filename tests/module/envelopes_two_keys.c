/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ciphertext that opens under two keys. AES-GCM does not bind its key: whoever knows two keys can
 * make one message that both open (Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018), and so show
 * one file to one reader and another to the next. The key commitment in the header is against that:
 * here such a message is made, shown to be one, and refused.
 */
#include "base/macros.h"
#include "envelopes.h"

enum { BLOCK = 16, BLOCKS = 5, SIDE_COUNT = 2 };

/* --- GF(2^128) as GCM has it (SP 800-38D, section 6.3) ---------------------------------------- */

struct block {
	uint64_t high, low;
};

static struct block block_of(const uint8_t in[static BLOCK])
{
	struct block block = {0};

	for (int i = 0; i < 8; i++) {
		block.high = block.high << 8 | in[i];
		block.low = block.low << 8 | in[i + 8];
	}
	return block;
}

static void block_put(struct block block, uint8_t out[static BLOCK])
{
	for (int i = 0; i < 8; i++) {
		out[i] = (uint8_t)(block.high >> (56 - 8 * i));
		out[i + 8] = (uint8_t)(block.low >> (56 - 8 * i));
	}
}

static struct block add(struct block a, struct block b)
{
	return (struct block){a.high ^ b.high, a.low ^ b.low};
}

static struct block multiply(struct block a, struct block b)
{
	struct block sum = {0};

	for (int i = 0; i < 128; i++) {
		uint64_t word = i < 64 ? a.high : a.low, carry = b.low & 1;

		if (word >> (63 - i % 64) & 1)
			sum = add(sum, b);
		b.low = b.low >> 1 | b.high << 63;
		b.high = b.high >> 1 ^ (carry ? UINT64_C(0xE1) << 56 : 0);
	}
	return sum;
}

/* a^(2^128 - 2) */
static struct block invert(struct block a)
{
	struct block result = {UINT64_C(1) << 63, 0};

	for (int i = 1; i < 128; i++) {
		a = multiply(a, a);
		result = multiply(result, a);
	}
	return result;
}

static struct block ghash(struct block h, struct bytes aad, struct bytes text)
{
	struct block sum = {0};

	for (size_t i = 0; i < aad.len; i += BLOCK)
		sum = multiply(add(sum, block_of(aad.data + i)), h);
	for (size_t i = 0; i < text.len; i += BLOCK)
		sum = multiply(add(sum, block_of(text.data + i)), h);
	return multiply(add(sum, (struct block){aad.len * 8, text.len * 8}), h);
}

/* --- Two keys -------------------------------------------------------------------------------- */

struct side {
	CK_OBJECT_HANDLE dek, payload;
	uint8_t commitment[32];
	struct block h, mask; /* of the payload key, for the only chunk's nonce */
	uint8_t wrapped[ENVELOPE_WRAPPED];
};

static const uint8_t nonce[12] = {[11] = 1}; /* chunk 0, the last */

static CK_OBJECT_HANDLE derive(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, const char *label,
			       const uint8_t *salt)
{
	uint8_t info[64];
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL,
			       .pInfo = info,
			       .ulInfoLen = strlen(label) + 32};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	memcpy(info, label, strlen(label));
	memcpy(info + strlen(label), salt, 32);
	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), dek,
			       t->rows, t->count, &key));
	return key;
}

static struct block encrypt_block(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
				  const uint8_t in[static BLOCK])
{
	uint8_t copy[BLOCK], out[BLOCK];
	CK_ULONG len = BLOCK;

	memcpy(copy, in, BLOCK);
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, copy, BLOCK, out, &len));
	return block_of(out);
}

static void side_make(CK_SESSION_HANDLE session, uint8_t fill, const uint8_t *salt,
		      struct side *side)
{
	uint8_t value[32], zeros[BLOCK] = {0}, counter[BLOCK] = {[11] = 1, [15] = 1};
	struct template *t = aes_template();

	memset(value, fill, sizeof(value));
	with(t, CKA_VALUE, value, sizeof(value));
	with_bool(t, CKA_DERIVE, true);
	check(p11->C_CreateObject(session, t->rows, t->count, &side->dek));
	side->payload = derive(session, side->dek, "cmek/1/payload", salt);
	attribute_bytes(session, derive(session, side->dek, "cmek/1/commit", salt), CKA_VALUE,
			side->commitment, sizeof(side->commitment));
	side->h = encrypt_block(session, side->payload, zeros);
	side->mask = encrypt_block(session, side->payload, counter);
}

static void side_wrap(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, struct bytes aad,
		      struct side *side)
{
	CK_ULONG len = sizeof(side->wrapped);

	check(p11->C_WrapKey(session, mechanism_with(CKM_CMEK_DEK_WRAP, aad.data, aad.len), zone,
			     side->dek, side->wrapped, &len));
	assert_int_equal(len, sizeof(side->wrapped));
}

/* The last block of text is such that both keys give one tag. */
static void make_chunk(const struct side *sides, struct bytes aad, uint8_t *chunk)
{
	struct bytes text = bytes(chunk, BLOCKS * BLOCK);
	struct block tags[SIDE_COUNT], squares[SIDE_COUNT], wanted;

	for (size_t i = 0; i < (BLOCKS - 1) * BLOCK; i++)
		chunk[i] = (uint8_t)(i * 5 + 1);
	memset(chunk + (BLOCKS - 1) * BLOCK, 0, BLOCK);
	for (int i = 0; i < SIDE_COUNT; i++) {
		tags[i] = add(ghash(sides[i].h, aad, text), sides[i].mask);
		squares[i] = multiply(sides[i].h, sides[i].h);
	}
	wanted = multiply(add(tags[0], tags[1]), invert(add(squares[0], squares[1])));
	block_put(wanted, chunk + (BLOCKS - 1) * BLOCK);
	block_put(add(ghash(sides[0].h, aad, text), sides[0].mask), chunk + BLOCKS * BLOCK);
}

static void open_chunk(CK_SESSION_HANDLE session, const struct side *side, struct bytes aad,
		       uint8_t *chunk, uint8_t *out)
{
	CK_ULONG len = BLOCKS * BLOCK;

	check(p11->C_DecryptInit(session,
				 mechanism_gcm(nonce, sizeof(nonce), aad.data, aad.len, 128),
				 side->payload));
	check(p11->C_Decrypt(session, chunk, (BLOCKS + 1) * BLOCK, out, &len));
	assert_int_equal(len, BLOCKS * BLOCK);
}

/* A header of the small envelope's zone that commits to the first key; slot 0 has the first, slot 1
 * the second. */
static void make_header(CK_SESSION_HANDLE session, struct side *sides, struct buffer *out)
{
	CK_OBJECT_HANDLE zone =
		object_find(session, with_text(template_new(), CKA_LABEL, "default/orders"));
	struct envelope_header header = {.chunk_bits = 16};
	struct envelope_slot contents = {.sequence = 1};
	uint8_t record[2048];

	for (int i = 0; i < 8; i++)
		header.zone = header.zone << 8 | envelope_small.data[16 + i];
	memset(header.salt, 0x77, sizeof(header.salt));
	for (int i = 0; i < SIDE_COUNT; i++)
		side_make(session, (uint8_t)(0x11 + i), header.salt, &sides[i]);
	memcpy(header.commitment, sides[0].commitment, 32);
	contents.record = bytes(record, attribute_bytes(session, zone, CKA_CMEK_ENCRYPTED_KEY,
							record, sizeof(record)));
	assert_int_equal(
		envelope_header_prepare(&header, 96, envelope_record_room(contents.record)),
		ENVELOPE_OK);
	for (int i = 0; i < SIDE_COUNT; i++)
		side_wrap(session, zone, bytes(header.immutable, 128), &sides[i]);
	contents.wrapped = bytes(sides[0].wrapped, 96);
	assert_int_equal(envelope_header_encode(&header, 0, &contents, out), ENVELOPE_OK);
	slot_put(out, 1, 2, bytes(sides[1].wrapped, 96), contents.record);
}

static void a_ciphertext_that_opens_under_two_keys_opens_as_one_file_only(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	uint8_t chunk[(BLOCKS + 1) * BLOCK], texts[SIDE_COUNT][BLOCKS * BLOCK];
	AUTO(buffer_clear) struct buffer envelope = {0};
	struct side sides[SIDE_COUNT] = {0};
	struct bytes aad;

	make_header(session, sides, &envelope);
	aad = bytes(envelope.data, 128);
	make_chunk(sides, aad, chunk);
	for (int i = 0; i < SIDE_COUNT; i++)
		open_chunk(session, &sides[i], aad, chunk, texts[i]);
	assert_memory_not_equal(texts[0], texts[1], sizeof(texts[0]));
	buffer_append(&envelope, bytes(chunk, sizeof(chunk)));

	/* Whichever slot is the newer one, the file is what the header commits to. */
	for (uint64_t sequence = 0; sequence <= 2; sequence += 2) {
		AUTO(buffer_clear) struct buffer plain = {0};
		uint8_t *first = slot_of(&envelope, 0);

		first[7] = (uint8_t)(sequence + 1);
		slot_fix(&envelope, 0);
		assert_int_equal(envelope_opens(session, &envelope, NULL, &plain), ENVELOPE_OK);
		assert_int_equal(plain.len, sizeof(texts[0]));
		assert_memory_equal(plain.data, texts[0], plain.len);
	}
	/* With the second key alone it does not open, though every tag is right. */
	memset(slot_of(&envelope, 0), 0, slot_len_of(&envelope));
	assert_int_equal(envelope_opens(session, &envelope, NULL, NULL), ENVELOPE_DAMAGED);
	assert_string_equal(envelope_last_error.text,
			    "header: the data key is not the one the file was sealed with");
}

int envelopes_two_keys(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_ciphertext_that_opens_under_two_keys_opens_as_one_file_only),
	};

	return run_group("two keys", tests, NULL, NULL);
}
