/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* IVs of messages, where a key vanishes meanwhile. What an application sees of them:
 * tests/module/rules_messages.c, rules_ivs.c, rules_authenticated.c. */
#include "mechanisms/message.h"

#include "tests/support/objects_fixture.h"

static struct object *created(struct objects_fixture *fixture)
{
	static CK_BYTE value[32];
	CK_ATTRIBUTE rows[] = {NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
			       NUMBER_ROW(CKA_KEY_TYPE, CKK_AES),
			       {CKA_VALUE, value, sizeof(value)}};
	CK_OBJECT_HANDLE handle = 0;

	assert_int_equal(edit_create(&fixture->editor, rows, 3, &handle), CKR_OK);
	return objects_find(fixture->objects, 0, handle);
}

/* Between the look-up of the key and the IV, by another thread. */
static void a_key_that_vanishes_is_named_as_its_use_names_it(void **state)
{
	static const struct {
		enum key_use use;
		CK_RV rv;
	} rows[] = {{KEY_WRAP, CKR_WRAPPING_KEY_HANDLE_INVALID},
		    {KEY_MESSAGE_ENCRYPT, CKR_KEY_HANDLE_INVALID}};
	struct objects_fixture *fixture = *state;
	uint8_t iv[MESSAGE_IV_MAX] = {0}, made[MESSAGE_IV_MAX];
	const struct message message = {.iv = iv, .iv_len = 12, .generator = CKG_GENERATE_RANDOM};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(object_releasep) struct object *object = created(fixture);
		const struct ready_key key = {.use = rows[i].use,
					      .mechanism = mechanism_find(CKM_AES_CCM),
					      .object = object};

		assert_int_equal(message_iv(fixture->objects, &key, &message, made), CKR_OK);
		objects_remove(fixture->objects, object->handle, NULL);
		assert_int_equal(message_iv(fixture->objects, &key, &message, made), rows[i].rv);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_vanishes_is_named_as_its_use_names_it),
	};

	return cmocka_run_group_tests(tests, objects_fixture_setup, objects_fixture_teardown);
}
