/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages (docs/format.md, 5.5) over the real module: made where the store is, then opened and
 * attacked there, and with the KMS alone. */
#include "base/macros.h"
#include "envelope/opener.h"
#include "envelope/retry.h"
#include "envelope/sealer.h"
#include "envelopes.h"

enum { COUNT = 300 };

static struct buffer plain_one, embedded_one, many[COUNT];
static const char payload[] = "insert 4711", place[] = "orders/3";

static struct envelope_token token_of(CK_SESSION_HANDLE session)
{
	return (struct envelope_token){.functions = p11, .session = session};
}

static void seal(struct message_sealer *sealer, const char *bound_to, struct buffer *out)
{
	struct message_input input = {
		.payload = bytes_of(payload), .collection = 449302, .bound_to = bytes_of(bound_to)};
	struct envelope_error error = {0};

	if (message_seal(sealer, &input, out, &error) != ENVELOPE_OK)
		fail_msg("%s: %s", error.function, rv_name(error.rv));
}

static CK_OBJECT_HANDLE zone_of(struct envelope_token *token)
{
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE zone;
	uint64_t id = 0;

	for (int i = 0; i < 8; i++)
		id = id << 8 | envelope_small.data[16 + i];
	assert_int_equal(envelope_zone_find(token, id, &zone, &error), ENVELOPE_OK);
	return zone;
}

static int make(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	struct envelope_token token = token_of(session);
	AUTO(message_sealer_clear) struct message_sealer sealer;

	(void)state;
	message_sealer_init(&sealer, &token, zone_of(&token), false, NULL, NULL);
	seal(&sealer, place, &plain_one);
	for (size_t i = 0; i < COUNT; i++)
		seal(&sealer, NULL, &many[i]);
	message_sealer_clear(&sealer);
	message_sealer_init(&sealer, &token, zone_of(&token), true, NULL, NULL);
	seal(&sealer, place, &embedded_one);
	message_sealer_clear(&sealer);
	check(p11->C_CloseSession(session));
	return 0;
}

static enum envelope_status opens(struct message_opener *opener, const struct buffer *in,
				  const char *bound_to)
{
	AUTO(buffer_clear) struct buffer out = {0};
	struct envelope_error error = {0};
	struct message message;
	enum envelope_status status;

	TRY(message_decode(buffer_bytes(in), &message, &error));
	status = message_open(opener, &message, bytes_of(bound_to), &out, &error);
	if (status == ENVELOPE_OK)
		assert_true(bytes_equal(buffer_bytes(&out), bytes_of(payload)));
	else
		assert_int_equal(out.len, 0);
	return status;
}

static void many_open_by_one_unwrap(void **state)
{
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state);
	AUTO(message_opener_clear) struct message_opener opener;

	message_opener_init(&opener, &token, 0);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(opens(&opener, &many[i], NULL), ENVELOPE_OK);
	assert_int_equal(opens(&opener, &plain_one, place), ENVELOPE_OK);
	assert_int_equal(opener.unwrapped, 1);
	assert_int_equal(opens(&opener, &embedded_one, place), ENVELOPE_OK);
	assert_int_equal(opener.unwrapped, 2);
}

/* By an opener that has the message's data key, and by one that has none. */
static void flip(struct envelope_token *token, struct buffer *in)
{
	AUTO(message_opener_clear) struct message_opener opener;

	message_opener_init(&opener, token, 0);
	assert_int_equal(opens(&opener, in, place), ENVELOPE_OK);
	for (size_t bit = 0; bit < 8 * in->len; bit++) {
		AUTO(message_opener_clear) struct message_opener without;

		message_opener_init(&without, token, 0);
		in->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(opens(&opener, in, place), ENVELOPE_OK);
		assert_int_not_equal(opens(&without, in, place), ENVELOPE_OK);
		in->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(opens(&opener, in, place), ENVELOPE_OK);
}

static void each_flipped_bit_is_noticed(void **state)
{
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state);

	flip(&token, &plain_one);
}

static void and_each_of_one_with_a_record(void **state)
{
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state);

	flip(&token, &embedded_one);
	envelope_token_clear(&token);
}

static void the_data_key_of_a_file_opens_no_message(void **state)
{
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state);
	AUTO(message_opener_clear) struct message_opener opener;
	struct envelope_error error = {0};
	AUTO(buffer_clear) struct buffer out = {0};
	uint8_t names[MESSAGE_DEK];
	struct message message;

	assert_int_equal(message_decode(buffer_bytes(&plain_one), &message, &error), ENVELOPE_OK);
	message_put_dek(bytes(slot_of(&envelope_small, 0) + 12, ENVELOPE_WRAPPED), message.dek_id,
			names);
	message.dek = bytes(names, sizeof(names));
	message.dek_id = names + 12;
	message_opener_init(&opener, &token, 0);
	assert_int_equal(message_open(&opener, &message, bytes_of(place), &out, &error),
			 ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "header: the wrapped data key does not open");
}

/* Whether the key is kept or not. */
static void of_a_database_that_is_deleted_none_opens(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct envelope_token token = token_of(session);
	CK_OBJECT_HANDLE zone = zone_generate(session, "default/gone");
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(message_opener_clear) struct message_opener opener;
	AUTO(buffer_clear) struct buffer in = {0};
	struct message_input input = {.payload = bytes_of(payload)};
	struct envelope_error error = {0};

	message_sealer_init(&sealer, &token, zone, false, NULL, NULL);
	message_opener_init(&opener, &token, 0);
	seal(&sealer, NULL, &in);
	assert_int_equal(opens(&opener, &in, NULL), ENVELOPE_OK);
	check(p11->C_DestroyObject(session, zone));
	assert_int_equal(opens(&opener, &in, NULL), ENVELOPE_MODULE);
	assert_int_equal(opens(&opener, &in, NULL), ENVELOPE_MODULE);
	assert_int_equal(message_seal(&sealer, &input, &in, &error), ENVELOPE_MODULE);
	assert_false(envelope_may_pass(ENVELOPE_MODULE, &error));
}

/* --- A module of an older release, which has no CKM_CMEK_MESSAGE */

static CK_RV tell_older(CK_SLOT_ID at, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *ret_info)
{
	return type == CKM_CMEK_MESSAGE ? CKR_MECHANISM_INVALID
					: p11->C_GetMechanismInfo(at, type, ret_info);
}

static CK_RV encrypt_older(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key)
{
	return by->mechanism == CKM_CMEK_MESSAGE ? CKR_MECHANISM_INVALID
						 : p11->C_EncryptInit(session, by, key);
}

static CK_RV decrypt_older(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key)
{
	return by->mechanism == CKM_CMEK_MESSAGE ? CKR_MECHANISM_INVALID
						 : p11->C_DecryptInit(session, by, key);
}

static void what_one_release_seals_the_other_opens(void **state)
{
	CK_FUNCTION_LIST older = *p11;
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state), by_older = token;
	AUTO(message_sealer_clear) struct message_sealer sealer;
	AUTO(message_opener_clear) struct message_opener opener, opener_now;
	AUTO(buffer_clear) struct buffer in = {0};

	older.C_GetMechanismInfo = tell_older;
	older.C_EncryptInit = encrypt_older;
	older.C_DecryptInit = decrypt_older;
	by_older.functions = &older;
	message_opener_init(&opener, &by_older, 0);
	assert_int_equal(opens(&opener, &plain_one, place), ENVELOPE_OK);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(opens(&opener, &many[i], NULL), ENVELOPE_OK);
	message_sealer_init(&sealer, &by_older, zone_of(&token), false, NULL, NULL);
	message_opener_init(&opener_now, &token, 0);
	for (size_t i = 0; i < 3; i++) {
		buffer_truncate(&in, 0);
		seal(&sealer, place, &in);
		assert_int_equal(opens(&opener_now, &in, place), ENVELOPE_OK);
	}
	assert_int_equal(by_older.messages, ENVELOPE_MESSAGES_DERIVED);
	assert_int_equal(token.messages, ENVELOPE_MESSAGES_AT_ONCE);
}

static void without_its_zone_only_the_one_with_a_record_opens(void **state)
{
	struct envelope_token token = token_of((CK_SESSION_HANDLE)*state);
	AUTO(message_opener_clear) struct message_opener opener;

	message_opener_init(&opener, &token, 0);
	assert_int_equal(opens(&opener, &plain_one, place), ENVELOPE_ZONE_UNKNOWN);
	assert_int_equal(opens(&opener, &embedded_one, place), ENVELOPE_OK);
	assert_int_equal(opens(&opener, &embedded_one, "orders/4"), ENVELOPE_DAMAGED);
	assert_int_equal(opens(&opener, &embedded_one, NULL), ENVELOPE_NAME_NEEDED);
	envelope_token_clear(&token);
}

int envelopes_messages(void)
{
	const struct CMUnitTest tests[] = {
		in_session(many_open_by_one_unwrap),
		in_session(each_flipped_bit_is_noticed),
		in_session(and_each_of_one_with_a_record),
		in_session(the_data_key_of_a_file_opens_no_message),
		in_session(of_a_database_that_is_deleted_none_opens),
		in_session(what_one_release_seals_the_other_opens),
	};

	return run_group("messages where the store is", tests, make, NULL);
}

static int clear(void **state)
{
	(void)state;
	buffer_clear(&plain_one);
	buffer_clear(&embedded_one);
	for (size_t i = 0; i < COUNT; i++)
		buffer_clear(&many[i]);
	return 0;
}

int envelopes_messages_lost(void)
{
	const struct CMUnitTest tests[] = {
		in_session(without_its_zone_only_the_one_with_a_record_opens),
		in_session(and_each_of_one_with_a_record),
	};

	return run_group("messages with the KMS alone", tests, NULL, clear);
}
