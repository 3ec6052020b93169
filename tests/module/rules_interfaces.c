/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The three exported functions: lists and interfaces. None of them needs C_Initialize. */
#include "rules.h"

#include <stdlib.h>

static CK_C_GetInterface get_interface;
static CK_C_GetInterfaceList get_interface_list;

static int load(void **state)
{
	void *one, *all;

	(void)state;
	module_load();
	one = module_symbol("C_GetInterface");
	all = module_symbol("C_GetInterfaceList");
	if (one == NULL || all == NULL)
		return -1;
	memcpy(&get_interface, &one, sizeof(one));
	memcpy(&get_interface_list, &all, sizeof(all));
	return 0;
}

static const CK_VERSION *version_of(const CK_INTERFACE *interface)
{
	return interface->pFunctionList;
}

static CK_RV ask(const char *name, CK_BYTE major, CK_BYTE minor, CK_FLAGS flags,
		 CK_INTERFACE **ret_interface)
{
	CK_VERSION version = {major, minor};
	CK_UTF8CHAR text[32];

	if (name != NULL)
		memcpy(text, name, strlen(name) + 1);
	return get_interface(name == NULL ? NULL : text, major == 0 ? NULL : &version,
			     ret_interface, flags);
}

static void the_function_list_is_that_of_2_40(void **state)
{
	CK_C_GetFunctionList get_list;
	void *symbol = module_symbol("C_GetFunctionList");
	CK_FUNCTION_LIST *again;

	(void)state;
	memcpy(&get_list, &symbol, sizeof(symbol));
	check(get_list(&again));
	assert_ptr_equal(again, module_list);
	assert_int_equal(p11->version.major, 2);
	assert_int_equal(p11->version.minor, 40);
	answers(CKR_ARGUMENTS_BAD, get_list(NULL));
	check(p11->C_GetFunctionList(&again));
	assert_ptr_equal(again, module_list);
}

static void the_default_interface_is_given(void **state)
{
	static const CK_FLAGS flags[] = {0, CKF_INTERFACE_FORK_SAFE};
	CK_INTERFACE *interface;

	(void)state;
	for (int i = 0; i < 2; i++) {
		check(ask(NULL, 0, 0, flags[i], &interface));
		assert_string_equal((char *)interface->pInterfaceName, "PKCS 11");
		check(ask("PKCS 11", 0, 0, flags[i], &interface));
		assert_string_equal((char *)interface->pInterfaceName, "PKCS 11");
		assert_non_null(interface->pFunctionList);
	}
}

static void the_interface_of_2_40_is_the_function_list(void **state)
{
	CK_INTERFACE *interface;

	(void)state;
	check(ask("PKCS 11", 2, 40, 0, &interface));
	assert_ptr_equal(interface->pFunctionList, module_list);
	check(ask(NULL, 2, 40, 0, &interface));
	assert_ptr_equal(interface->pFunctionList, module_list);
}

/* CKR_FUNCTION_NOT_SUPPORTED would make some programs give up the whole module. */
static void later_interfaces_are_given_or_refused_as_unknown(void **state)
{
	static const CK_VERSION later[] = {{3, 0}, {3, 1}, {3, 2}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		CK_INTERFACE *interface;
		CK_RV rv = ask("PKCS 11", later[i].major, later[i].minor, 0, &interface);

		if (rv == CKR_OK)
			assert_memory_equal(version_of(interface), &later[i], sizeof(CK_VERSION));
		else
			answers(CKR_ARGUMENTS_BAD, rv);
	}
}

static void our_own_interface_tells_the_last_error_without_a_session(void **state)
{
	char reserved[] = "quiet=true config=/nonexistent/cmek.conf";
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	const struct CMEK_FUNCTIONS *functions;
	CK_ULONG reason = CMEK_ERROR_EXISTS;
	CK_INTERFACE *interface;

	(void)state;
	check(ask(CMEK_INTERFACE, 1, 0, 0, &interface));
	functions = interface->pFunctionList;
	answers(CKR_FUNCTION_FAILED, p11->C_Initialize(&args));
	assert_non_null(strstr(functions->CMEK_LastError(&reason), "/nonexistent/cmek.conf"));
	assert_int_equal(reason, CMEK_ERROR_NONE);
	assert_null(functions->CMEK_Loss(1000, &reason));
}

static void other_names_and_versions_are_refused(void **state)
{
	CK_INTERFACE *interface;

	(void)state;
	answers(CKR_ARGUMENTS_BAD, ask("Vendor NSS", 0, 0, 0, &interface));
	answers(CKR_ARGUMENTS_BAD, ask("PKCS 1", 0, 0, 0, &interface));
	answers(CKR_ARGUMENTS_BAD, ask("PKCS 11", 9, 9, 0, &interface));
	answers(CKR_ARGUMENTS_BAD, get_interface(NULL, NULL, NULL, 0));
}

static void the_list_of_interfaces_follows_the_two_call_rule(void **state)
{
	CK_INTERFACE interfaces[8];
	CK_ULONG count = 0, enough;

	(void)state;
	check(get_interface_list(NULL, &enough));
	assert_in_range(enough, 1, 8);
	answers(CKR_BUFFER_TOO_SMALL, get_interface_list(interfaces, &count));
	assert_int_equal(count, enough);
	check(get_interface_list(interfaces, &count));
	assert_int_equal(count, enough);
	answers(CKR_ARGUMENTS_BAD, get_interface_list(interfaces, NULL));
}

static void each_interface_can_be_asked_for_and_knows_its_version(void **state)
{
	CK_INTERFACE interfaces[8], *same;
	CK_ULONG count = 8;
	CK_INFO info;

	assert_int_equal(token_setup(state), 0);
	check(get_interface_list(interfaces, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		const CK_FUNCTION_LIST *list = interfaces[i].pFunctionList;

		/* cmek.h describes the other. */
		if (strcmp((char *)interfaces[i].pInterfaceName, CMEK_INTERFACE) == 0)
			continue;
		assert_string_equal((char *)interfaces[i].pInterfaceName, "PKCS 11");
		check(ask("PKCS 11", list->version.major, list->version.minor, 0, &same));
		assert_ptr_equal(same->pFunctionList, list);
		check(list->C_GetInfo(&info));
		assert_memory_equal(&info.cryptokiVersion, &list->version, sizeof(CK_VERSION));
	}
	assert_int_equal(token_teardown(state), 0);
}

int rules_interfaces(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_function_list_is_that_of_2_40),
		cmocka_unit_test(the_default_interface_is_given),
		cmocka_unit_test(the_interface_of_2_40_is_the_function_list),
		cmocka_unit_test(later_interfaces_are_given_or_refused_as_unknown),
		cmocka_unit_test(our_own_interface_tells_the_last_error_without_a_session),
		cmocka_unit_test(other_names_and_versions_are_refused),
		cmocka_unit_test(the_list_of_interfaces_follows_the_two_call_rule),
		cmocka_unit_test(each_interface_can_be_asked_for_and_knows_its_version),
	};

	return run_group("interfaces", tests, load, NULL);
}
