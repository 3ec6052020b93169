/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads in one module: with sessions of their own, in one session together, and while others
 * close sessions or the whole module. Threads count failures; cmocka's assertions are the test's.
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { THREAD_COUNT = 64, FEW = 8, ROUNDS = 20 };

static atomic_bool stop;
static atomic_int failures, done;
static CK_OBJECT_HANDLE zone;
static CK_SESSION_HANDLE shared;

static bool well(CK_RV rv, const char *call)
{
	if (rv == CKR_OK)
		return true;
	if (atomic_fetch_add(&failures, 1) < 5)
		fprintf(stderr, "# thread: %s answered %#lx\n", call, rv);
	return false;
}
#define try_call(call)                                                                             \
	do {                                                                                       \
		if (!well(p11->call, #call))                                                       \
			return NULL;                                                               \
	} while (0)

static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
static CK_KEY_TYPE type = CKK_AES;
static CK_ULONG value_len = 32;
static CK_BBOOL yes = CK_TRUE;
static CK_ATTRIBUTE key_rows[] = {{CKA_CLASS, &class, sizeof(class)},
				  {CKA_KEY_TYPE, &type, sizeof(type)},
				  {CKA_EXTRACTABLE, &yes, sizeof(yes)},
				  {CKA_VALUE_LEN, &value_len, sizeof(value_len)}};
static CK_MECHANISM key_gen = {CKM_AES_KEY_GEN, NULL, 0}, dek_wrap = {CKM_CMEK_DEK_WRAP, NULL, 0},
		    ecb = {CKM_AES_ECB, NULL, 0}, sha = {CKM_SHA256, NULL, 0};

/* A key is made, wrapped, unwrapped; both encrypt alike. */
static void *use_keys(void *argument)
{
	CK_SESSION_HANDLE own;
	CK_OBJECT_HANDLE key, back, found;
	CK_BYTE wrapped[128], one[16], two[16], block[16] = {0};
	CK_ULONG count;

	(void)argument;
	try_call(C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &own));
	for (int i = 0; i < ROUNDS; i++) {
		CK_ULONG len = sizeof(wrapped);

		try_call(C_GenerateKey(own, &key_gen, key_rows, 4, &key));
		try_call(C_WrapKey(own, &dek_wrap, zone, key, wrapped, &len));
		try_call(C_UnwrapKey(own, &dek_wrap, zone, wrapped, len, key_rows, 3, &back));
		try_call(C_EncryptInit(own, &ecb, key));
		try_call(C_Encrypt(own, block, 16, one, &(CK_ULONG){16}));
		try_call(C_EncryptInit(own, &ecb, back));
		try_call(C_Encrypt(own, block, 16, two, &(CK_ULONG){16}));
		if (memcmp(one, two, 16) != 0)
			atomic_fetch_add(&failures, 1);
		try_call(C_FindObjectsInit(own, key_rows, 1));
		try_call(C_FindObjects(own, &found, 1, &count));
		try_call(C_FindObjectsFinal(own));
		try_call(C_DestroyObject(own, key));
		try_call(C_DestroyObject(own, back));
	}
	try_call(C_CloseSession(own));
	atomic_fetch_add(&done, 1);
	return NULL;
}

/* In one session, others' operations are in the way: every answer of the rules is right, as long as
 * a digest that comes out is that of the empty text or of whole blocks. */
static void *share_a_session(void *argument)
{
	CK_BYTE block[16] = {0}, out[32];
	CK_ULONG len;

	(void)argument;
	while (!atomic_load(&stop)) {
		(void)p11->C_DigestInit(shared, &sha);
		(void)p11->C_DigestUpdate(shared, block, sizeof(block));
		len = sizeof(out);
		if (p11->C_DigestFinal(shared, out, &len) == CKR_OK && len != 32)
			atomic_fetch_add(&failures, 1);
		(void)p11->C_FindObjectsInit(shared, NULL, 0);
		(void)p11->C_FindObjectsFinal(shared);
	}
	return NULL;
}

/* Sessions and the module may vanish at any moment; nothing else may go wrong. */
static void *work_on_loose_ground(void *argument)
{
	(void)argument;
	while (!atomic_load(&stop)) {
		CK_SESSION_HANDLE own;
		CK_OBJECT_HANDLE key;
		CK_BYTE wrapped[128];
		CK_ULONG len = sizeof(wrapped);
		CK_RV rv;

		rv = p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &own);
		if (rv == CKR_OK)
			rv = p11->C_GenerateKey(own, &key_gen, key_rows, 4, &key);
		if (rv == CKR_OK)
			rv = p11->C_WrapKey(own, &dek_wrap, zone, key, wrapped, &len);
		if (rv == CKR_OK)
			rv = p11->C_CloseSession(own);
		if (rv != CKR_OK && rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_SESSION_CLOSED &&
		    rv != CKR_CRYPTOKI_NOT_INITIALIZED && rv != CKR_KEY_HANDLE_INVALID)
			well(rv, "a call on loose ground");
	}
	return NULL;
}

static void *make_the_zone(void *argument)
{
	CK_BBOOL no = CK_FALSE;
	char label[] = "wanted by many";
	CK_ATTRIBUTE rows[] = {{CKA_VALUE_LEN, &value_len, sizeof(value_len)},
			       {CKA_TOKEN, &yes, sizeof(yes)},
			       {CKA_EXTRACTABLE, &no, sizeof(no)},
			       {CKA_LABEL, label, strlen(label)}};
	CK_SESSION_HANDLE own;
	CK_OBJECT_HANDLE made;

	(void)argument;
	try_call(C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &own));
	if (p11->C_GenerateKey(own, &key_gen, rows, 4, &made) == CKR_OK)
		atomic_fetch_add(&done, 1);
	try_call(C_CloseSession(own));
	return NULL;
}

static void run_threads(int count, void *(*work)(void *), void (*meanwhile)(void))
{
	pthread_t threads[THREAD_COUNT];

	atomic_store(&stop, false);
	atomic_store(&failures, 0);
	atomic_store(&done, 0);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
	if (meanwhile != NULL)
		meanwhile();
	atomic_store(&stop, true);
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&failures), 0);
}

static void find_zone(void)
{
	shared = session_new();
	zone = object_find(shared, with_text(template_new(), CKA_LABEL, "of all threads"));
}

static int prepare(void **state)
{
	if (token_setup(state) != 0)
		return -1;
	shared = session_new();
	zone = zone_generate(shared, "of all threads");
	return 0;
}

/* --- The tests */

static void sixty_four_threads_use_one_zone(void **state)
{
	(void)state;
	run_threads(THREAD_COUNT, use_keys, NULL);
	assert_int_equal(atomic_load(&done), THREAD_COUNT);
}

static void open_and_close(void)
{
	for (int i = 0; i < 200; i++)
		check(p11->C_CloseSession(session_new()));
}

static void threads_share_a_session(void **state)
{
	(void)state;
	run_threads(FEW, share_a_session, open_and_close);
}

static void close_all(void)
{
	for (int i = 0; i < 100; i++)
		check(p11->C_CloseAllSessions(slot));
}

static void sessions_are_closed_under_threads(void **state)
{
	(void)state;
	run_threads(FEW, work_on_loose_ground, close_all);
	find_zone();
}

static void end_and_start(void)
{
	for (int i = 0; i < 30; i++) {
		check(p11->C_Finalize(NULL));
		check(initialize());
	}
}

static void the_module_ends_and_starts_under_threads(void **state)
{
	(void)state;
	run_threads(FEW, work_on_loose_ground, end_and_start);
	find_zone();
}

static void one_of_many_threads_makes_the_zone(void **state)
{
	(void)state;
	run_threads(FEW, make_the_zone, NULL);
	assert_int_equal(atomic_load(&done), 1);
	object_find(shared, with_text(template_new(), CKA_LABEL, "wanted by many"));
}

/* A thread that is to be cancelled ends at the first call of the system that may wait, unless
 * cancelling is held off (base/cancel.h). Before each of ours one is sent. */
#define while_cancelled(call)                                                                      \
	do {                                                                                       \
		pthread_cancel(pthread_self());                                                    \
		if (!well(p11->call, #call))                                                       \
			return NULL;                                                               \
	} while (0)

static void *make_all_kinds_of_calls(void *argument)
{
	static CK_BBOOL no = CK_FALSE;
	static CK_OBJECT_CLASS diagnostic = CKO_CMEK_DIAGNOSTIC;
	char label[] = "of the cancelled";
	CK_ATTRIBUTE zone_rows[] = {{CKA_VALUE_LEN, &value_len, sizeof(value_len)},
				    {CKA_TOKEN, &yes, sizeof(yes)},
				    {CKA_EXTRACTABLE, &no, sizeof(no)},
				    {CKA_LABEL, label, strlen(label)}};
	CK_ATTRIBUTE report_rows[] = {{CKA_CLASS, &diagnostic, sizeof(diagnostic)}};
	CK_ATTRIBUTE value_row = {CKA_VALUE, NULL, 0};
	CK_SESSION_HANDLE own;
	CK_OBJECT_HANDLE own_zone, key, back, found;
	CK_BYTE wrapped[128], block[16] = {0};
	CK_ULONG len = sizeof(wrapped), count = 1;

	(void)argument;
	while_cancelled(C_Finalize(NULL));
	while_cancelled(C_Initialize(NULL));
	while_cancelled(C_GetSlotList(CK_TRUE, NULL, &len));
	while_cancelled(C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &own));
	while_cancelled(C_GenerateKey(own, &key_gen, zone_rows, 4, &own_zone));
	while_cancelled(C_GenerateKey(own, &key_gen, key_rows, 4, &key));
	len = sizeof(wrapped);
	while_cancelled(C_WrapKey(own, &dek_wrap, own_zone, key, wrapped, &len));
	while_cancelled(C_UnwrapKey(own, &dek_wrap, own_zone, wrapped, len, key_rows, 3, &back));
	while_cancelled(C_EncryptInit(own, &ecb, back));
	while_cancelled(C_Encrypt(own, block, 16, block, &(CK_ULONG){16}));
	while_cancelled(C_GenerateRandom(own, block, 16));
	while_cancelled(C_SeedRandom(own, block, 16));
	while_cancelled(C_FindObjectsInit(own, report_rows, 1));
	while_cancelled(C_FindObjects(own, &found, 1, &count));
	while_cancelled(C_FindObjectsFinal(own));
	if (count == 1)
		while_cancelled(C_GetAttributeValue(own, found, &value_row, 1));
	pthread_cancel(pthread_self());
	if (p11->C_GenerateKey(own, &key_gen, zone_rows, 4, &found) == CKR_OK)
		return NULL; /* it should be refused, as the log tells */
	while_cancelled(C_DestroyObject(own, own_zone));
	while_cancelled(C_CloseSession(own));
	atomic_fetch_add(&done, 1);
	pthread_testcancel();
	atomic_fetch_add(&failures, 1);
	return NULL;
}

static void a_thread_is_not_cancelled_in_a_call_but_after_it(void **state)
{
	char more[256];

	(void)state;
	snprintf(more, sizeof(more), "[log]\nlevel = debug\nto = %s/log\naudit = %s/audit.jsonl\n",
		 token_folder(), token_folder());
	token_configure(more);
	run_threads(1, make_all_kinds_of_calls, NULL);
	assert_int_equal(atomic_load(&done), 1);
	check(p11->C_Finalize(NULL));
	token_configure("");
	check(initialize());
	find_zone();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixty_four_threads_use_one_zone),
		cmocka_unit_test(threads_share_a_session),
		cmocka_unit_test(sessions_are_closed_under_threads),
		cmocka_unit_test(the_module_ends_and_starts_under_threads),
		cmocka_unit_test(one_of_many_threads_makes_the_zone),
		cmocka_unit_test(a_thread_is_not_cancelled_in_a_call_but_after_it),
	};

	return run_group("threads", tests, prepare, token_teardown);
}
