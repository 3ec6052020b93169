/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that give lists and interfaces. None of them needs C_Initialize. */
#include "tests/support/allocator.h"

#include "rules.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* A child begins anew. NSS asks so first, and then without the flag. */
static void no_interface_is_fork_safe(void **state)
{
	static const CK_BYTE versions[][2] = {{0, 0}, {2, 40}, {3, 0}, {3, 1}, {3, 2}};
	CK_INTERFACE *interface = NULL;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		answers(CKR_ARGUMENTS_BAD, ask("PKCS 11", versions[i][0], versions[i][1],
					       CKF_INTERFACE_FORK_SAFE, &interface));
	answers(CKR_ARGUMENTS_BAD, ask(NULL, 0, 0, CKF_INTERFACE_FORK_SAFE, &interface));
	answers(CKR_ARGUMENTS_BAD, ask(NULL, 0, 0, 1UL << 20, &interface));
	assert_null(interface);
}

static void the_default_interface_is_the_newest(void **state)
{
	static const CK_VERSION newest = {3, 2};
	CK_INTERFACE *interface;

	(void)state;
	check(ask(NULL, 0, 0, 0, &interface));
	assert_string_equal((char *)interface->pInterfaceName, "PKCS 11");
	assert_memory_equal(version_of(interface), &newest, sizeof(newest));
	check(ask("PKCS 11", 0, 0, 0, &interface));
	assert_memory_equal(version_of(interface), &newest, sizeof(newest));
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

static void each_table_has_the_functions_of_its_version(void **state)
{
	static const struct {
		CK_BYTE minor;
		size_t size;
	} later[] = {
		{0, sizeof(CK_FUNCTION_LIST_3_0)},
		{1, sizeof(CK_FUNCTION_LIST_3_0)},
		{2, sizeof(CK_FUNCTION_LIST_3_2)},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		CK_INTERFACE *interface;
		const void *const *functions;

		check(ask("PKCS 11", 3, later[i].minor, 0, &interface));
		functions = (const void *const *)interface->pFunctionList;
		for (size_t at = 1; at < later[i].size / sizeof(*functions); at++)
			assert_non_null(functions[at]);
	}
}

/* But for C_GetInfo, which tells the table's version. */
static void the_tables_share_their_functions(void **state)
{
	CK_INTERFACE *interface;
	CK_FUNCTION_LIST_3_0 *old, *same;
	CK_FUNCTION_LIST_3_2 *new;
	void *by_name;

	(void)state;
	check(ask("PKCS 11", 3, 0, 0, &interface));
	old = interface->pFunctionList;
	check(ask("PKCS 11", 3, 1, 0, &interface));
	same = interface->pFunctionList;
	check(ask("PKCS 11", 3, 2, 0, &interface));
	new = interface->pFunctionList;
	assert_true(old->C_Encrypt == module_list->C_Encrypt && new->C_Encrypt == old->C_Encrypt);
	assert_true(same->C_MessageVerifyFinal == old->C_MessageVerifyFinal);
	assert_true(new->C_MessageVerifyFinal == old->C_MessageVerifyFinal);
	by_name = module_symbol("C_MessageVerifyFinal");
	assert_memory_equal(&by_name, &new->C_MessageVerifyFinal, sizeof(by_name));
	by_name = module_symbol("C_UnwrapKeyAuthenticated");
	assert_memory_equal(&by_name, &new->C_UnwrapKeyAuthenticated, sizeof(by_name));
}

static void our_own_interface_tells_the_last_error_without_a_session(void **state)
{
	char reserved[] = "quiet=true config=/nonexistent/cmek.conf";
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	const struct CMEK_FUNCTIONS *functions;
	CK_ULONG reason = CMEK_ERROR_EXISTS;
	CK_INTERFACE *interface;

	(void)state;
	check(ask(CMEK_INTERFACE, 1, 1, 0, &interface));
	functions = interface->pFunctionList;
	answers(CKR_FUNCTION_FAILED, p11->C_Initialize(&args));
	assert_non_null(strstr(functions->CMEK_LastError(&reason), "/nonexistent/cmek.conf"));
	assert_int_equal(reason, CMEK_ERROR_NONE);
	assert_null(functions->CMEK_Loss(1000, &reason));
}

/* A call that fails without a reason of its own is not given that of the call before. */
static void a_failure_does_not_inherit_the_reason_of_one_before(void **state)
{
	const struct CMEK_FUNCTIONS *functions;
	CK_ULONG reason = CMEK_ERROR_EXISTS, len = 1;
	CK_OBJECT_HANDLE zone, cluster;
	CK_SESSION_HANDLE session;
	CK_INTERFACE *interface;
	CK_BYTE little;

	check(ask(CMEK_INTERFACE, 0, 0, 0, &interface));
	functions = interface->pFunctionList;
	assert_int_equal(token_setup(state), 0);
	session = session_new();
	zone = some_zone(session);
	fails(cluster_add(session, "default", "local", "local", "arn:none", &cluster));
	(void)functions->CMEK_LastError(&reason);
	assert_int_not_equal(reason, CMEK_ERROR_NONE);
	assert_string_equal(functions->CMEK_LastRequest(), ""); /* no KMS was asked */
	/* A caller who only lacks room has met no error. */
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), known_key(session)));
	answers(CKR_BUFFER_TOO_SMALL,
		p11->C_Encrypt(session, (CK_BYTE *)known_value, 16, &little, &len));
	(void)functions->CMEK_LastError(&reason);
	assert_int_not_equal(reason, CMEK_ERROR_NONE);
	fails(p11->C_SignInit(session, mechanism(CKM_SHA256_HMAC), zone));
	assert_string_equal(functions->CMEK_LastError(&reason), "");
	assert_int_equal(reason, CMEK_ERROR_NONE);
	assert_int_equal(token_teardown(state), 0);
}

/* Also of calls that are in a session no more when they answer, as all about PINs. */
static void a_refused_pin_keeps_its_reason(void **state)
{
	static CK_UTF8CHAR pin[] = "a new pin";
	const struct CMEK_FUNCTIONS *functions;
	CK_SESSION_HANDLE session;
	CK_INTERFACE *interface;
	CK_ULONG reason;

	check(ask(CMEK_INTERFACE, 0, 0, 0, &interface));
	functions = interface->pFunctionList;
	assert_int_equal(token_setup(state), 0);
	session = session_new();
	p11->C_Logout(session);
	check(p11->C_Login(session, CKU_SO, NULL, 0));
	answers(CKR_PIN_EXPIRED, p11->C_InitPIN(session, pin, sizeof(pin) - 1));
	assert_non_null(strstr(functions->CMEK_LastError(&reason),
			       "only after the security officer has one"));
	assert_int_equal(token_teardown(state), 0);
}

static void count_rows(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	(void)row;
	++*(unsigned *)state;
}

/* Nor that of one that went well: CMEK_Doctor tells of a key that is not there in a row. */
static void a_failure_does_not_inherit_what_a_call_said_that_went_well(void **state)
{
	unsigned rows = 0;
	struct CMEK_DOCTOR request = {
		.kms_key = "local:not-there", .put = count_rows, .state = &rows};
	const struct CMEK_FUNCTIONS *functions;
	CK_SESSION_HANDLE session;
	CK_INTERFACE *interface;
	CK_OBJECT_HANDLE key;
	CK_ULONG reason;

	check(ask(CMEK_INTERFACE, 0, 0, 0, &interface));
	functions = interface->pFunctionList;
	assert_int_equal(token_setup(state), 0);
	session = session_new();
	key = known_key(session);
	check(functions->CMEK_Doctor(&request));
	assert_true(rows > 0);
	assert_string_not_equal(functions->CMEK_LastError(&reason), "");
	fails(p11->C_SignInit(session, mechanism(CKM_SHA256_HMAC), key));
	assert_string_equal(functions->CMEK_LastError(&reason), "");
	assert_int_equal(reason, CMEK_ERROR_NONE);
	assert_int_equal(token_teardown(state), 0);
}

/* Of a store that is a file: there is nothing to make, and what doctor says. */
static void our_own_interface_makes_and_checks_the_store(void **state)
{
	const struct CMEK_FUNCTIONS *functions;
	CK_INTERFACE *interface, *newest;
	char text[4096] = "x", little[8];

	check(ask(CMEK_INTERFACE, 1, 3, 0, &interface));
	check(ask(CMEK_INTERFACE, 0, 0, 0, &newest));
	assert_ptr_equal(newest, interface);
	for (CK_BYTE minor = 0; minor < 3; minor++) {
		check(ask(CMEK_INTERFACE, 1, minor, 0, &newest));
		assert_int_equal(version_of(newest)->minor, minor);
	}
	functions = interface->pFunctionList;
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, functions->CMEK_StoreCheck(text, sizeof(text)));
	assert_int_equal(token_setup(state), 0);
	answers(CKR_ARGUMENTS_BAD, functions->CMEK_StoreCheck(NULL, sizeof(text)));
	answers(CKR_ARGUMENTS_BAD, functions->CMEK_StoreCreate(text, 0));
	check(functions->CMEK_StoreCreate(text, sizeof(text)));
	assert_non_null(strstr(text, "nothing to make"));
	check(functions->CMEK_StoreCheck(text, sizeof(text)));
	assert_non_null(strstr(text, "store: its head was read in "));
	check(functions->CMEK_StoreCheck(little, sizeof(little)));
	assert_string_equal(little, "store: ");
	assert_int_equal(token_teardown(state), 0);
}

static const struct CMEK_FUNCTIONS *within;
static unsigned rows_seen;

static void finalize_within(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	CK_INFO info;

	rows_seen++;
	assert_non_null(row->said);
	answers(CKR_FUNCTION_FAILED, p11->C_Finalize(NULL));
	answers(CKR_FUNCTION_FAILED, within->CMEK_Doctor(state));
	check(p11->C_GetInfo(&info));
}

/* It waits for all calls to end, and would wait for its own. */
static void finalize_within_the_doctors_callback_is_refused(void **state)
{
	struct CMEK_DOCTOR request = {.put = finalize_within, .state = &request};
	CK_INTERFACE *interface;

	check(ask(CMEK_INTERFACE, 1, 1, 0, &interface));
	within = interface->pFunctionList;
	assert_int_equal(token_setup(state), 0);
	rows_seen = 0;
	for (unsigned seen = 0; seen < 2; seen++) {
		(void)within->CMEK_Doctor(&request);
		assert_true(rows_seen > seen);
	}
	check(p11->C_Finalize(NULL));
	check(initialize());
	assert_int_equal(token_teardown(state), 0);
}

/* --- Asking at once */

static void append_row(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	char *text = ((char **)state)[0];
	size_t len = strlen(text);

	snprintf(text + len, 8192 - len, "%s|%s|%s\n", row->what, row->which, row->said);
}

static CMEK_DOCTOR_ASK kept_ask;

static void ask_backwards(void *state, CK_ULONG count, CMEK_DOCTOR_ASK ask_one, void *asked)
{
	assert_non_null(state);
	kept_ask = ask_one;
	assert_true(count >= 2);
	for (CK_ULONG i = count; i > 0; i--)
		ask_one(asked, i - 1);
	answers(CKR_FUNCTION_FAILED, p11->C_Finalize(NULL));
}

static void the_doctor_tells_the_same_by_whoever_asks(void **state)
{
	static char alone[8192], at_once[8192];
	char *text = alone;
	struct CMEK_DOCTOR request = {.put = append_row, .state = &text};
	const struct CMEK_FUNCTIONS *functions;
	CK_INTERFACE *interface;

	check(ask(CMEK_INTERFACE, 1, 2, 0, &interface));
	functions = interface->pFunctionList;
	answers(CKR_CRYPTOKI_NOT_INITIALIZED,
		functions->CMEK_DoctorAtOnce(&request, ask_backwards));
	assert_int_equal(token_setup(state), 0);
	assert_int_not_equal(some_zone(session_new()), CK_INVALID_HANDLE);
	alone[0] = at_once[0] = '\0';
	answers(CKR_ARGUMENTS_BAD, functions->CMEK_DoctorAtOnce(NULL, ask_backwards));
	check(functions->CMEK_DoctorAtOnce(&request, NULL));
	text = at_once;
	check(functions->CMEK_DoctorAtOnce(&request, ask_backwards));
	assert_non_null(kept_ask);
	assert_non_null(strstr(alone, "root key|"));
	assert_string_equal(at_once, alone);
	text = at_once;
	at_once[0] = '\0';
	check(functions->CMEK_Doctor(&request));
	assert_string_equal(at_once, alone);
	assert_int_equal(token_teardown(state), 0);
}

/* --- A fork in what CMEK_Doctor calls */

struct forked {
	const struct CMEK_FUNCTIONS *functions;
	bool (*inside)(void); /* what the child does there */
	pid_t child;	      /* -1: not forked yet */
	unsigned rows;	      /* since the fork */
	bool went_well;
};

static void fork_once(struct forked *forked)
{
	if (forked->child != -1)
		return;
	forked->child = fork();
	forked->rows = 0;
	if (forked->child != 0)
		return;
	alarm(120);
	forked->went_well = forked->inside();
}

static void fork_in_row(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	struct forked *forked = state;

	assert_non_null(row->said);
	forked->rows++;
	fork_once(forked);
}

static void count_row(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	(void)row;
	((struct forked *)state)->rows++;
}

static void fork_and_ask_nothing(void *state, CK_ULONG count, CMEK_DOCTOR_ASK ask_one, void *asked)
{
	(void)count, (void)ask_one, (void)asked;
	fork_once(state);
}

static bool does_nothing(void)
{
	return true;
}

static bool begins_anew(void)
{
	CK_INFO info;

	return initialize() == CKR_OK && p11->C_GetInfo(&info) == CKR_OK;
}

static bool ends_it(void)
{
	return p11->C_Finalize(NULL) == CKR_OK &&
	       p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* In the child, after the call: a life of its own, from its beginning to its end. */
static bool goes_on(struct forked *forked, CK_RV answer)
{
	struct CMEK_DOCTOR request = {.put = count_row, .state = forked};
	CK_RV begun;

	if (!forked->went_well || forked->rows != 0 || answer != CKR_CRYPTOKI_NOT_INITIALIZED)
		return false;
	begun = initialize();
	return (begun == CKR_OK || begun == CKR_CRYPTOKI_ALREADY_INITIALIZED) &&
	       forked->functions->CMEK_Doctor(&request) == CKR_OK && forked->rows > 0 &&
	       p11->C_Finalize(NULL) == CKR_OK;
}

static void fork_within(CMEK_DOCTOR_PUT put, CMEK_DOCTOR_RUN run, bool (*inside)(void))
{
	struct forked forked = {.inside = inside, .child = -1};
	struct CMEK_DOCTOR request = {.put = put, .state = &forked};
	CK_INTERFACE *interface;
	int status = -1;
	CK_RV answer;

	check(ask(CMEK_INTERFACE, 1, 2, 0, &interface));
	forked.functions = interface->pFunctionList;
	answer = forked.functions->CMEK_DoctorAtOnce(&request, run);
	/* By a signal, since valgrind has a child that exits answer for its parent's memory. */
	if (forked.child == 0 && goes_on(&forked, answer))
		kill(getpid(), SIGKILL);
	if (forked.child == 0)
		_exit(3);
	check(answer);
	assert_true(forked.rows > 0);
	assert_true(forked.child > 0);
	assert_int_equal(waitpid(forked.child, &status, 0), forked.child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void the_child_of_a_fork_in_the_doctors_callback_can_go_on(void **state)
{
	static bool (*const inside[])(void) = {does_nothing, begins_anew, ends_it};

	assert_int_equal(token_setup(state), 0);
	assert_int_not_equal(some_zone(session_new()), CK_INVALID_HANDLE);
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		fork_within(fork_in_row, NULL, inside[i]);
		fork_within(count_row, fork_and_ask_nothing, inside[i]);
	}
	assert_int_equal(token_teardown(state), 0);
}

static atomic_bool looked_enough;

static void drop_row(void *state, const struct CMEK_DOCTOR_ROW *row)
{
	(void)state;
	(void)row;
}

static void *look_again_and_again(void *state)
{
	const struct CMEK_FUNCTIONS *functions = state;
	struct CMEK_DOCTOR request = {.put = drop_row};

	while (!atomic_load(&looked_enough))
		functions->CMEK_Doctor(&request);
	return NULL;
}

/* The store is the parent's, and another of its threads may be in it for ever. */
static void such_a_child_does_not_go_into_the_store(void **state)
{
	enum { FORKS = 20 };
	CK_INTERFACE *interface;
	pthread_t thread;

	if (ALLOCATOR_IS_NOT_FORK_SAFE)
		skip_because(ALLOCATOR_REASON);
	assert_int_equal(token_setup(state), 0);
	assert_int_not_equal(some_zone(session_new()), CK_INVALID_HANDLE);
	check(ask(CMEK_INTERFACE, 1, 2, 0, &interface));
	atomic_store(&looked_enough, false);
	assert_int_equal(
		pthread_create(&thread, NULL, look_again_and_again, interface->pFunctionList), 0);
	for (int i = 0; i < FORKS; i++)
		fork_within(fork_in_row, NULL, does_nothing);
	atomic_store(&looked_enough, true);
	pthread_join(thread, NULL);
	assert_int_equal(token_teardown(state), 0);
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
		cmocka_unit_test(no_interface_is_fork_safe),
		cmocka_unit_test(the_default_interface_is_the_newest),
		cmocka_unit_test(the_interface_of_2_40_is_the_function_list),
		cmocka_unit_test(each_table_has_the_functions_of_its_version),
		cmocka_unit_test(the_tables_share_their_functions),
		cmocka_unit_test(our_own_interface_tells_the_last_error_without_a_session),
		cmocka_unit_test(a_failure_does_not_inherit_the_reason_of_one_before),
		cmocka_unit_test(our_own_interface_makes_and_checks_the_store),
		cmocka_unit_test(the_doctor_tells_the_same_by_whoever_asks),
		cmocka_unit_test(finalize_within_the_doctors_callback_is_refused),
		cmocka_unit_test(a_failure_does_not_inherit_what_a_call_said_that_went_well),
		cmocka_unit_test(a_refused_pin_keeps_its_reason),
		cmocka_unit_test(the_child_of_a_fork_in_the_doctors_callback_can_go_on),
		cmocka_unit_test(such_a_child_does_not_go_into_the_store),
		cmocka_unit_test(other_names_and_versions_are_refused),
		cmocka_unit_test(the_list_of_interfaces_follows_the_two_call_rule),
		cmocka_unit_test(each_interface_can_be_asked_for_and_knows_its_version),
	};

	return run_group("interfaces", tests, load, NULL);
}
