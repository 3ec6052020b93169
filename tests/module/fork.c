/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that fork: a child has no module until it calls C_Initialize, and then all of it; the
 * parent notices nothing. Children report by their exit status, for cmocka's assertions are the
 * parent's.
 */
#include "harness.h"
#include "tests/support/allocator.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 300, CHILD_COUNT = 50, THREAD_COUNT = 4 };

/* Of the parent, for its children. */
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE zone, key;
static CK_TOKEN_INFO token;
static CK_BYTE wrapped[128];
static CK_ULONG wrapped_len;

/* How a child ends that found all well: leak checkers do not look at it, and should not, since it
 * leaves what was its parent's as it is. */
#define WELL SIGKILL

/* NULL: all is well. */
typedef const char *child_body(void);
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return #condition;                                                         \
	} while (0)

static pid_t start_child(child_body *body)
{
	const char *wrong;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child != 0)
		return child;
	alarm(CHILD_SECONDS);
	wrong = body();
	if (wrong == NULL)
		kill(getpid(), WELL);
	fprintf(stderr, "# child: not so: %s\n", wrong == NULL ? "it ends itself" : wrong);
	_exit(1);
}

static int end_of(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void in_child(child_body *body)
{
	assert_int_equal(end_of(start_child(body)), WELL);
}

static CK_RV wrap(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE what)
{
	wrapped_len = sizeof(wrapped);
	return p11->C_WrapKey(in, mechanism(CKM_CMEK_DEK_WRAP), by, what, wrapped, &wrapped_len);
}

static int prepare(void **state)
{
	if (token_setup(state) != 0)
		return -1;
	session = session_new();
	zone = zone_generate(session, "forked");
	key = key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
	check(wrap(session, zone, key));
	check(p11->C_GetTokenInfo(slot, &token));
	return 0;
}

/* --- What children do */

static const char *nothing_works(void)
{
	CK_INFO info;
	CK_ULONG count;
	CK_SESSION_INFO session_info;
	CK_BYTE block[16] = {0};

	must(p11->C_GetInfo(&info) == CKR_CRYPTOKI_NOT_INITIALIZED);
	must(p11->C_GetSlotList(CK_TRUE, NULL, &count) == CKR_CRYPTOKI_NOT_INITIALIZED);
	must(p11->C_GetSessionInfo(session, &session_info) == CKR_CRYPTOKI_NOT_INITIALIZED);
	must(p11->C_EncryptUpdate(session, block, 16, block, &count) ==
	     CKR_CRYPTOKI_NOT_INITIALIZED);
	must(p11->C_CloseSession(session) == CKR_CRYPTOKI_NOT_INITIALIZED);
	return NULL;
}

static CK_RV find_zone(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE *ret_zone)
{
	char label[] = "forked";
	CK_ATTRIBUTE row = {CKA_LABEL, label, strlen(label)};
	CK_ULONG count = 0;
	CK_RV rv = p11->C_FindObjectsInit(in, &row, 1);

	if (rv == CKR_OK)
		rv = p11->C_FindObjects(in, ret_zone, 1, &count);
	if (rv == CKR_OK)
		rv = p11->C_FindObjectsFinal(in);
	return rv != CKR_OK ? rv : count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

static CK_RV unwrap(CK_SESSION_HANDLE in, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE *ret_key)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_ATTRIBUTE rows[] = {{CKA_CLASS, &class, sizeof(class)},
			       {CKA_KEY_TYPE, &type, sizeof(type)}};
	CK_MECHANISM by_zone = {CKM_CMEK_DEK_WRAP, NULL, 0};

	return p11->C_UnwrapKey(in, &by_zone, by, wrapped, wrapped_len, rows, 2, ret_key);
}

/* Opens a session, finds the zone, unwraps the parent's key and uses it. */
static const char *the_module_works(void)
{
	CK_SESSION_HANDLE own;
	CK_OBJECT_HANDLE own_zone, own_key;
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_BYTE block[16] = {0};
	CK_ULONG len = sizeof(block);

	must(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &own) ==
	     CKR_OK);
	must(find_zone(own, &own_zone) == CKR_OK);
	must(unwrap(own, own_zone, &own_key) == CKR_OK);
	must(p11->C_EncryptInit(own, &ecb, own_key) == CKR_OK);
	must(p11->C_Encrypt(own, block, sizeof(block), block, &len) == CKR_OK);
	must(p11->C_CloseSession(own) == CKR_OK);
	return NULL;
}

static const char *it_can_be_started(void)
{
	CK_TOKEN_INFO own;
	CK_SESSION_INFO info;
	const char *wrong;

	must(initialize() == CKR_OK);
	must(p11->C_GetTokenInfo(slot, &own) == CKR_OK);
	must(memcmp(own.label, token.label, sizeof(own.label)) == 0);
	must(memcmp(own.serialNumber, token.serialNumber, sizeof(own.serialNumber)) == 0);
	must(p11->C_GetSessionInfo(session, &info) == CKR_SESSION_HANDLE_INVALID);
	wrong = the_module_works();
	if (wrong != NULL)
		return wrong;
	must(p11->C_Finalize(NULL) == CKR_OK);
	return NULL;
}

static const char *it_can_be_ended_and_started(void)
{
	must(p11->C_Finalize(NULL) == CKR_OK);
	must(p11->C_Finalize(NULL) == CKR_CRYPTOKI_NOT_INITIALIZED);
	must(p11->C_GetSlotList(CK_TRUE, NULL, &(CK_ULONG){0}) == CKR_CRYPTOKI_NOT_INITIALIZED);
	return it_can_be_started();
}

static const char *its_own_child_can_start_it(void)
{
	pid_t grandchild;
	int status = -1;

	must(initialize() == CKR_OK);
	must(the_module_works() == NULL);
	grandchild = start_child(it_can_be_started);
	must(waitpid(grandchild, &status, 0) == grandchild);
	must(status == WELL);
	must(the_module_works() == NULL);
	return NULL;
}

static const char *it_just_exits(void)
{
	return NULL;
}

static const char *it_exits_in_order(void)
{
	exit(0);
}

/* --- The tests */

static void a_child_has_no_module(void **state)
{
	(void)state;
	in_child(nothing_works);
}

static void a_child_can_start_the_module(void **state)
{
	(void)state;
	in_child(it_can_be_started);
	in_child(it_can_be_ended_and_started);
}

static void a_childs_child_can_start_the_module(void **state)
{
	(void)state;
	in_child(its_own_child_can_start_it);
}

static void a_child_that_wants_no_module_just_exits(void **state)
{
	(void)state;
	in_child(it_just_exits);
	assert_int_equal(end_of(start_child(it_exits_in_order)), 0);
}

static void the_parent_notices_nothing(void **state)
{
	CK_BYTE data[32] = {0}, whole[32], out[32];
	CK_ULONG len = sizeof(whole), done = sizeof(out), rest;

	(void)state;
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_Encrypt(session, data, 32, whole, &len));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_EncryptUpdate(session, data, 16, out, &done));
	in_child(it_can_be_started);
	rest = sizeof(out) - done;
	check(p11->C_EncryptUpdate(session, data + 16, 16, out + done, &rest));
	check(p11->C_EncryptFinal(session, out, &(CK_ULONG){0}));
	assert_memory_equal(out, whole, 32);
	answers(CKR_CRYPTOKI_ALREADY_INITIALIZED, initialize());
}

static void a_child_sees_what_its_parent_makes_later(void **state)
{
	CK_OBJECT_HANDLE again;

	(void)state;
	check(p11->C_DestroyObject(session, zone));
	zone = zone_generate(session, "forked");
	again = key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
	check(wrap(session, zone, again));
	in_child(it_can_be_started);
}

static void forking_before_initialize_is_harmless(void **state)
{
	(void)state;
	check(p11->C_Finalize(NULL));
	in_child(it_can_be_started);
	check(initialize());
	session = session_new();
	zone = object_find(session, with_text(template_new(), CKA_LABEL, "forked"));
	check(unwrap(session, zone, &key));
}

static atomic_bool stop;
static atomic_int thread_failures;

static void *work(void *argument)
{
	(void)argument;
	while (!atomic_load(&stop)) {
		const char *wrong = the_module_works();

		if (wrong != NULL) {
			fprintf(stderr, "# thread: not so: %s\n", wrong);
			atomic_fetch_add(&thread_failures, 1);
			break;
		}
	}
	return NULL;
}

static void children_of_busy_threads_can_start_the_module(void **state)
{
	pthread_t threads[THREAD_COUNT];
	pid_t children[CHILD_COUNT];
	int failures = 0;

	(void)state;
	if (ALLOCATOR_IS_NOT_FORK_SAFE)
		skip_because(ALLOCATOR_REASON);
	for (int i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
	for (int i = 0; i < CHILD_COUNT; i++) {
		children[i] = start_child(i % 2 ? it_can_be_started : it_can_be_ended_and_started);
		/* No more than a few at once. */
		if (i >= 4)
			failures += end_of(children[i - 4]) != WELL;
	}
	for (int i = CHILD_COUNT - 4; i < CHILD_COUNT; i++)
		failures += end_of(children[i]) != WELL;
	atomic_store(&stop, true);
	for (int i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(failures, 0);
	assert_int_equal(atomic_load(&thread_failures), 0);
	assert_null(the_module_works());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_has_no_module),
		cmocka_unit_test(a_child_can_start_the_module),
		cmocka_unit_test(a_childs_child_can_start_the_module),
		cmocka_unit_test(a_child_that_wants_no_module_just_exits),
		cmocka_unit_test(the_parent_notices_nothing),
		cmocka_unit_test(a_child_sees_what_its_parent_makes_later),
		cmocka_unit_test(forking_before_initialize_is_harmless),
		cmocka_unit_test(children_of_busy_threads_can_start_the_module),
	};

	return run_group("fork", tests, prepare, token_teardown);
}
