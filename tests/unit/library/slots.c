/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of a module: two projects, the free one, and one that does not answer. */
#include "library/slots.h"

#include "base/free.h"
#include "base/macros.h"
#include "tests/support/unit.h"

enum { FIRST, GUARDED, FREE, SILENT, SLOTS };

static struct {
	CK_ULONG slots; /* how many there are; another one whenever they were counted */
	CK_RV lists, fills;
	CK_SLOT_ID opened;
	CK_FLAGS flags;
	CK_RV logs_in;
} module;

static CK_RV get_slots(CK_BBOOL with_token, CK_SLOT_ID *slots, CK_ULONG *count)
{
	assert_int_equal(with_token, CK_FALSE);
	if (slots == NULL) {
		*count = module.slots++;
		return module.lists;
	}
	if (*count < module.slots)
		return CKR_BUFFER_TOO_SMALL;
	for (CK_ULONG i = 0; i < module.slots; i++)
		slots[i] = i;
	*count = module.slots;
	return module.fills;
}

static CK_RV get_token(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	if (slot == SILENT)
		return CKR_DEVICE_ERROR;
	memset(info, ' ', sizeof(*info));
	info->flags = slot == FREE ? 0 : CKF_TOKEN_INITIALIZED;
	memcpy(info->label, "a b", 3);
	memcpy(info->serialNumber, "0123456789abcdef", 16);
	if (slot == GUARDED) {
		info->flags |= CKF_WRITE_PROTECTED | CKF_LOGIN_REQUIRED;
		memset(info->label, 'x', sizeof(info->label));
	}
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *state, CK_NOTIFY notify,
			  CK_SESSION_HANDLE *session)
{
	(void)state, (void)notify;
	module.opened = slot;
	module.flags = flags;
	*session = 7;
	return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	(void)session;
	assert_int_equal(user, CKU_USER);
	assert_non_null(pin);
	assert_int_equal(len, 0);
	return module.logs_in;
}

static const CK_FUNCTION_LIST functions = {.C_GetSlotList = get_slots,
					   .C_GetTokenInfo = get_token,
					   .C_OpenSession = open_session,
					   .C_Login = login};

static int begin(void **state)
{
	(void)state;
	memset(&module, 0, sizeof(module));
	module.slots = SLOTS - 1;
	return 0;
}

static void a_slot_that_comes_while_they_are_listed_is_listed(void **state)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	CK_ULONG count;

	(void)state;
	assert_int_equal(library_slots(&functions, &slots, &count), CKR_OK);
	assert_int_equal(count, SLOTS);
	assert_int_equal(slots[SILENT], SILENT);
}

static void a_list_that_fails_leaves_the_outputs_as_they_are(void **state)
{
	CK_SLOT_ID *slots = NULL;
	CK_ULONG count = 5;

	(void)state;
	module.lists = CKR_DEVICE_ERROR;
	assert_int_equal(library_slots(&functions, &slots, &count), CKR_DEVICE_ERROR);
	module.lists = CKR_OK;
	module.fills = CKR_CRYPTOKI_NOT_INITIALIZED;
	assert_int_equal(library_slots(&functions, &slots, &count), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_null(slots);
	assert_int_equal(count, 5);
}

static void a_project_is_read_without_its_padding(void **state)
{
	struct library_slot slot;

	(void)state;
	assert_true(library_slot_read(&functions, FIRST, &slot));
	assert_int_equal(slot.id, FIRST);
	assert_string_equal(slot.project, "a b");
	assert_string_equal(slot.serial, "0123456789abcdef");
	assert_false(slot.read_only);
	assert_false(slot.wants_login);
	assert_true(library_slot_read(&functions, GUARDED, &slot));
	assert_int_equal(strlen(slot.project), 32);
	assert_true(slot.read_only);
	assert_true(slot.wants_login);
}

static void what_is_no_project_is_free_or_silent(void **state)
{
	struct library_slot slot;

	(void)state;
	assert_false(library_slot_read(&functions, FREE, &slot));
	assert_false(library_slot_read(&functions, SILENT, &slot));
	assert_true(library_slot_is_free(&functions, FREE));
	assert_false(library_slot_is_free(&functions, SILENT));
	assert_false(library_slot_is_free(&functions, FIRST));
}

static void a_session_is_as_wide_as_its_slot_allows(void **state)
{
	CK_SESSION_HANDLE session = CK_INVALID_HANDLE;

	(void)state;
	assert_int_equal(library_slot_open(&functions, GUARDED, true, &session), CKR_OK);
	assert_int_equal(session, 7);
	assert_int_equal(module.opened, GUARDED);
	assert_int_equal(module.flags, CKF_SERIAL_SESSION);
	assert_int_equal(library_slot_open(&functions, FIRST, false, &session), CKR_OK);
	assert_int_equal(module.flags, CKF_SERIAL_SESSION | CKF_RW_SESSION);
}

static void a_login_without_a_pin_is_enough_where_the_module_takes_it(void **state)
{
	(void)state;
	assert_true(library_login_without(&functions, 7));
	module.logs_in = CKR_USER_ALREADY_LOGGED_IN;
	assert_true(library_login_without(&functions, 7));
	module.logs_in = CKR_PIN_LEN_RANGE;
	assert_false(library_login_without(&functions, 7));
	assert_true(library_is_users(CKS_RO_USER_FUNCTIONS));
	assert_true(library_is_users(CKS_RW_USER_FUNCTIONS));
	assert_false(library_is_users(CKS_RW_SO_FUNCTIONS));
	assert_false(library_is_users(CKS_RO_PUBLIC_SESSION));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_slot_that_comes_while_they_are_listed_is_listed, begin),
		cmocka_unit_test_setup(a_list_that_fails_leaves_the_outputs_as_they_are, begin),
		cmocka_unit_test_setup(a_project_is_read_without_its_padding, begin),
		cmocka_unit_test_setup(what_is_no_project_is_free_or_silent, begin),
		cmocka_unit_test_setup(a_session_is_as_wide_as_its_slot_allows, begin),
		cmocka_unit_test_setup(a_login_without_a_pin_is_enough_where_the_module_takes_it,
				       begin),
	};

	return cmocka_run_group_tests_name("library/slots", tests, NULL, NULL);
}
