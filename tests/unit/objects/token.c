/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and tokens: what they show, how projects are made, who is logged in. */
#include "tests/support/objects_fixture.h"

static void pad(CK_UTF8CHAR label[static 32], const char *text)
{
	memset(label, ' ', 32);
	memcpy(label, text, strlen(text));
}

static CK_RV init(struct objects_fixture *fixture, CK_SLOT_ID slot, const char *label)
{
	CK_UTF8CHAR padded[32];

	pad(padded, label);
	return tokens_init(fixture->tokens, slot, bytes(NULL, 0), padded);
}

static size_t list(struct objects_fixture *fixture, CK_SLOT_ID ret_slots[static 8])
{
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;

	assert_int_equal(tokens_list(fixture->tokens, &slots, &count), CKR_OK);
	assert_in_range(count, 0, 8);
	for (size_t i = 0; i < count; i++)
		ret_slots[i] = slots[i];
	free(slots);
	return count;
}

static void reopen(struct objects_fixture *fixture, const struct token_settings *settings)
{
	objects_fixture_close(fixture);
	objects_fixture_open(fixture, settings);
}

static void a_project_is_a_token_with_its_label(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_TOKEN_INFO info;
	CK_SLOT_INFO slot;
	CK_UTF8CHAR label[32];

	pad(label, "first");
	assert_int_equal(tokens_info(fixture->tokens, 0, &info), CKR_OK);
	assert_memory_equal(info.label, label, 32);
	assert_int_equal(info.flags, CKF_RNG | CKF_TOKEN_INITIALIZED);
	assert_memory_equal(info.model, "cmek            ", 16);
	assert_int_equal(tokens_slot_info(fixture->tokens, 0, &slot), CKR_OK);
	assert_int_equal(slot.flags, CKF_TOKEN_PRESENT);
	assert_memory_equal(slot.slotDescription, "CMEK project first ", 19);
	for (size_t i = 0; i < 16; i++)
		assert_non_null(strchr("0123456789abcdef", info.serialNumber[i]));
}

static void slots_and_serials_stay(void **state)
{
	const struct token_settings settings = {.free_slot = true};
	struct objects_fixture *fixture = *state;
	CK_TOKEN_INFO before, after;
	CK_SLOT_ID slots[8];

	assert_int_equal(tokens_info(fixture->tokens, 0, &before), CKR_OK);
	reopen(fixture, &settings);
	assert_int_equal(tokens_info(fixture->tokens, 0, &after), CKR_OK);
	assert_memory_equal(before.serialNumber, after.serialNumber, 16);
	assert_memory_equal(before.label, after.label, 32);
	assert_int_equal(list(fixture, slots), 2);
	assert_int_equal(slots[0], 0);
}

/* Whoever trusts the embedded KMS should know it. */
static void the_model_says_whose_keys_protect_a_project(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_OBJECT_HANDLE root;
	CK_TOKEN_INFO info;

	assert_int_equal(edit_create(&fixture->editor,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
					  BOOL_ROW(CKA_TOKEN, CK_TRUE),
					  TEXT_ROW(CKA_CMEK_KMS_KEY, "local:default"),
					  BOOL_ROW(CKA_CMEK_CREATE, CK_TRUE)),
				     &root),
			 CKR_OK);
	assert_int_equal(tokens_info(fixture->tokens, 0, &info), CKR_OK);
	assert_memory_equal(info.model, "cmek local KMS  ", 16);
}

static void a_free_slot_is_shown_only_if_asked_for(void **state)
{
	const struct token_settings hidden = {0}, shown = {.free_slot = true};
	struct objects_fixture *fixture = *state;
	CK_SLOT_ID slots[8], other;
	struct entry *project;
	CK_TOKEN_INFO info;
	CK_SLOT_INFO slot;

	assert_int_equal(list(fixture, slots), 2);
	other = slots[1];
	assert_int_equal(tokens_info(fixture->tokens, other, &info), CKR_OK);
	assert_int_equal(info.flags & CKF_TOKEN_INITIALIZED, 0);
	assert_int_equal(tokens_slot_info(fixture->tokens, other, &slot), CKR_OK);
	assert_int_equal(tokens_project(fixture->tokens, other, &project),
			 CKR_TOKEN_NOT_RECOGNIZED);
	reopen(fixture, &hidden);
	assert_int_equal(list(fixture, slots), 1);
	assert_int_equal(tokens_info(fixture->tokens, other, &info), CKR_SLOT_ID_INVALID);
	assert_int_equal(init(fixture, other, "refused"), CKR_SLOT_ID_INVALID);
	reopen(fixture, &shown);
}

static void a_project_is_made_in_the_free_slot(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_SLOT_ID slots[8];
	CK_TOKEN_INFO one, two;

	assert_int_equal(list(fixture, slots), 2);
	assert_int_equal(init(fixture, slots[1], "second"), CKR_OK);
	assert_int_equal(tokens_info(fixture->tokens, slots[0], &one), CKR_OK);
	assert_int_equal(tokens_info(fixture->tokens, slots[1], &two), CKR_OK);
	assert_memory_not_equal(one.serialNumber, two.serialNumber, 16);
	assert_int_equal(list(fixture, slots), 3);
	assert_true(slots[2] != slots[0] && slots[2] != slots[1]);
	assert_int_equal(init(fixture, 7777, "third"), CKR_SLOT_ID_INVALID);
}

static void only_a_project_that_was_shown_is_replaced(void **state)
{
	const struct token_settings settings = {.free_slot = true};
	struct objects_fixture *fixture = *state;
	CK_TOKEN_INFO before, after;

	assert_int_equal(tokens_info(fixture->tokens, 0, &before), CKR_OK);
	reopen(fixture, &settings);
	assert_int_equal(init(fixture, 0, "again"), CKR_FUNCTION_FAILED);
	assert_int_equal(tokens_info(fixture->tokens, 0, &after), CKR_OK);
	assert_memory_equal(before.serialNumber, after.serialNumber, 16);
	assert_int_equal(init(fixture, 0, "again"), CKR_OK);
	assert_int_equal(tokens_info(fixture->tokens, 0, &after), CKR_OK);
	assert_memory_not_equal(before.serialNumber, after.serialNumber, 16);
	assert_memory_equal(after.label, "again ", 6);
}

static void logging_in_and_out_follows_the_standard(void **state)
{
	struct objects_fixture *fixture = *state;
	struct tokens *tokens = fixture->tokens;

	assert_int_equal(tokens_user(tokens, 0), TOKEN_LOGGED_OUT);
	assert_int_equal(tokens_logout(tokens, 0), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(tokens_login(tokens, 0, 9, bytes(NULL, 0)), CKR_USER_TYPE_INVALID);
	assert_int_equal(tokens_login(tokens, 0, CKU_USER, bytes(NULL, 0)), CKR_OK);
	assert_int_equal(tokens_user(tokens, 0), CKU_USER);
	assert_int_equal(tokens_user(tokens, 1), TOKEN_LOGGED_OUT);
	assert_int_equal(tokens_login(tokens, 0, CKU_USER, bytes(NULL, 0)),
			 CKR_USER_ALREADY_LOGGED_IN);
	assert_int_equal(tokens_login(tokens, 0, CKU_SO, bytes(NULL, 0)),
			 CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
	assert_int_equal(tokens_logout(tokens, 0), CKR_OK);
	assert_int_equal(tokens_login(tokens, 0, CKU_SO, bytes(NULL, 0)), CKR_OK);
	assert_int_equal(tokens_logout(tokens, 0), CKR_OK);
	assert_true(tokens_private_allowed(tokens, 0));
}

static void a_login_can_be_insisted_on(void **state)
{
	const struct token_settings strict = {.login_required = true};
	struct objects_fixture *fixture = *state;
	CK_TOKEN_INFO info;

	reopen(fixture, &strict);
	assert_int_equal(tokens_info(fixture->tokens, 0, &info), CKR_OK);
	assert_int_equal(info.flags, CKF_RNG | CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED |
					     CKF_USER_PIN_INITIALIZED);
	assert_false(tokens_private_allowed(fixture->tokens, 0));
	assert_int_equal(tokens_login(fixture->tokens, 0, CKU_SO, bytes(NULL, 0)), CKR_OK);
	assert_false(tokens_private_allowed(fixture->tokens, 0));
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	assert_int_equal(tokens_login(fixture->tokens, 0, CKU_USER, bytes(NULL, 0)), CKR_OK);
	assert_true(tokens_private_allowed(fixture->tokens, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_project_is_a_token_with_its_label),
		cmocka_unit_test(slots_and_serials_stay),
		cmocka_unit_test(the_model_says_whose_keys_protect_a_project),
		cmocka_unit_test(a_free_slot_is_shown_only_if_asked_for),
		cmocka_unit_test(a_project_is_made_in_the_free_slot),
		cmocka_unit_test(only_a_project_that_was_shown_is_replaced),
		cmocka_unit_test(logging_in_and_out_follows_the_standard),
		cmocka_unit_test(a_login_can_be_insisted_on),
	};

	return cmocka_run_group_tests(tests, objects_fixture_setup, objects_fixture_teardown);
}
