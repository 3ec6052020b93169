/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The diagnostic object, of a module that has one or not. */
#include "library/diagnostic.h"

#include "base/free.h"
#include "base/macros.h"
#include "tests/support/unit.h"

enum { SESSION = 3, DIAGNOSTIC = 8 };

static struct {
	CK_RV begins, finds, reads;
	CK_ULONG count;
	const char *facts; /* NULL: not available */
	bool searching;
} module;

static CK_RV find_begin(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count)
{
	assert_int_equal(session, SESSION);
	assert_int_equal(count, 1);
	assert_int_equal(*(CK_OBJECT_CLASS *)template->pValue, CKO_CMEK_DIAGNOSTIC);
	module.searching = module.begins == CKR_OK;
	return module.begins;
}

static CK_RV find_next(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *object, CK_ULONG room,
		       CK_ULONG *ret_count)
{
	(void)session, (void)room;
	*object = DIAGNOSTIC;
	*ret_count = module.count;
	return module.finds;
}

static CK_RV find_end(CK_SESSION_HANDLE session)
{
	(void)session;
	module.searching = false;
	return CKR_OK;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			   CK_ATTRIBUTE *template, CK_ULONG count)
{
	(void)session, (void)count;
	assert_int_equal(object, DIAGNOSTIC);
	assert_int_equal(template->type, CKA_CMEK_STORE);
	if (module.reads != CKR_OK)
		return module.reads;
	template->ulValueLen =
		module.facts == NULL ? CK_UNAVAILABLE_INFORMATION : strlen(module.facts);
	if (template->pValue != NULL)
		memcpy(template->pValue, module.facts, template->ulValueLen);
	return CKR_OK;
}

static const CK_FUNCTION_LIST functions = {.C_FindObjectsInit = find_begin,
					   .C_FindObjects = find_next,
					   .C_FindObjectsFinal = find_end,
					   .C_GetAttributeValue = get_attribute};

static int begin(void **state)
{
	(void)state;
	memset(&module, 0, sizeof(module));
	module.count = 1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	return module.searching ? -1 : 0;
}

static void a_store_is_partial_where_the_module_says_so(void **state)
{
	(void)state;
	module.facts = "{\"reads\": true, \"release\": \"9 \\\"reads\\\": false\"}";
	assert_false(library_store_is_partial(&functions, SESSION));
	module.facts = "{\"level\": 9, \"reads\": false}";
	assert_true(library_store_is_partial(&functions, SESSION));
	module.facts = "{\"level\":9,\"reads\":\n false}";
	assert_true(library_store_is_partial(&functions, SESSION));
	module.facts = "{\"release\": \"reads\", \"reads\" : false}";
	assert_true(library_store_is_partial(&functions, SESSION));
	module.facts = "{\"level\": false}";
	assert_false(library_store_is_partial(&functions, SESSION));
}

static void the_facts_are_text(void **state)
{
	AUTO(freep) char *facts = NULL;

	(void)state;
	module.facts = "{}";
	facts = library_store_facts(&functions, SESSION);
	assert_string_equal(facts, "{}");
}

static void without_the_object_or_the_attribute_nothing_is_known(void **state)
{
	(void)state;
	assert_null(library_store_facts(&functions, SESSION));
	assert_int_equal(library_diagnostic(&functions, SESSION), DIAGNOSTIC);
	module.reads = CKR_ATTRIBUTE_TYPE_INVALID;
	assert_null(library_store_facts(&functions, SESSION));
	module.finds = CKR_DEVICE_ERROR;
	assert_int_equal(library_diagnostic(&functions, SESSION), CK_INVALID_HANDLE);
	module.finds = CKR_OK;
	module.count = 0;
	assert_int_equal(library_diagnostic(&functions, SESSION), CK_INVALID_HANDLE);
	module.begins = CKR_SESSION_HANDLE_INVALID;
	assert_null(library_store_facts(&functions, SESSION));
	assert_false(library_store_is_partial(&functions, SESSION));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_store_is_partial_where_the_module_says_so, begin,
						end),
		cmocka_unit_test_setup_teardown(the_facts_are_text, begin, end),
		cmocka_unit_test_setup_teardown(
			without_the_object_or_the_attribute_nothing_is_known, begin, end),
	};

	return cmocka_run_group_tests_name("library/diagnostic", tests, NULL, NULL);
}
