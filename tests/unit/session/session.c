/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sessions: handles, closing, logins, searches; and sessions used by many threads. */
#include "base/log.h"
#include "session/session.h"
#include "session/state.h"
#include "session/table.h"
#include "tests/support/session_fixture.h"

#include <pthread.h>
#include <sched.h>

static CK_RV info_of(CK_SESSION_HANDLE session)
{
	CK_SESSION_INFO info;

	return C_GetSessionInfo(session, &info);
}

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
	CK_SESSION_INFO info;

	check(C_GetSessionInfo(session, &info));
	return info.state;
}

static void a_closed_handle_is_never_valid_again(void **state)
{
	CK_SESSION_HANDLE first = bed_open(0), next;
	size_t i;

	(void)state;
	check(C_CloseSession(first));
	for (i = 0; i < 600; i++) {
		next = bed_open(0);
		assert_int_not_equal(next, first);
		assert_int_equal(info_of(first), CKR_SESSION_HANDLE_INVALID);
		check(C_CloseSession(next));
	}
	assert_int_equal(C_CloseSession(first), CKR_SESSION_HANDLE_INVALID);
	assert_int_equal(info_of(0), CKR_SESSION_HANDLE_INVALID);
	assert_int_equal(info_of((CK_SESSION_HANDLE)-1), CKR_SESSION_HANDLE_INVALID);
}

static void many_sessions_can_be_open(void **state)
{
	static CK_SESSION_HANDLE sessions[1000];
	CK_ULONG all, read_write;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(sessions); i++)
		sessions[i] = bed_open(i % 2 == 0 ? CKF_RW_SESSION : 0);
	session_counts(bed.slot, &all, &read_write);
	assert_int_equal(all, 1001);
	assert_int_equal(read_write, 501);
	for (i = 0; i < COUNT_OF(sessions); i++)
		check(C_CloseSession(sessions[i]));
	session_counts(bed.slot, &all, &read_write);
	assert_int_equal(all, 1);
}

static void only_serial_sessions_of_a_token_are_opened(void **state)
{
	CK_SESSION_HANDLE session = 77;

	(void)state;
	assert_int_equal(C_OpenSession(bed.slot, 0, NULL, NULL, &session),
			 CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	assert_int_equal(C_OpenSession(bed.slot + 9, CKF_SERIAL_SESSION, NULL, NULL, &session),
			 CKR_SLOT_ID_INVALID);
	assert_int_equal(C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, NULL),
			 CKR_ARGUMENTS_BAD);
	assert_int_equal(session, 77);
}

static void a_login_is_of_all_sessions_and_ends_with_the_last(void **state)
{
	CK_SESSION_HANDLE read_only = bed_open(0);

	(void)state;
	assert_int_equal(state_of(read_only), CKS_RO_PUBLIC_SESSION);
	assert_int_equal(state_of(bed.session), CKS_RW_PUBLIC_SESSION);
	check(C_Login(read_only, CKU_USER, (CK_UTF8CHAR *)"any", 3));
	assert_int_equal(state_of(read_only), CKS_RO_USER_FUNCTIONS);
	assert_int_equal(state_of(bed.session), CKS_RW_USER_FUNCTIONS);
	assert_int_equal(C_Login(bed.session, CKU_USER, NULL, 0), CKR_USER_ALREADY_LOGGED_IN);
	assert_int_equal(C_Login(bed.session, CKU_CONTEXT_SPECIFIC, NULL, 0),
			 CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_Login(bed.session, CKU_USER, NULL, 1), CKR_ARGUMENTS_BAD);
	check(C_CloseAllSessions(bed.slot));
	assert_int_equal(info_of(read_only), CKR_SESSION_HANDLE_INVALID);
	assert_int_equal(info_of(bed.session), CKR_SESSION_HANDLE_INVALID);
	bed.session = bed_open(CKF_RW_SESSION);
	assert_int_equal(state_of(bed.session), CKS_RW_PUBLIC_SESSION);
	assert_int_equal(C_Logout(bed.session), CKR_USER_NOT_LOGGED_IN);
}

static void the_officer_and_read_only_sessions_exclude_each_other(void **state)
{
	CK_SESSION_HANDLE read_only = bed_open(0);

	(void)state;
	assert_int_equal(C_Login(bed.session, CKU_SO, NULL, 0), CKR_SESSION_READ_ONLY_EXISTS);
	check(C_CloseSession(read_only));
	check(C_Login(bed.session, CKU_SO, NULL, 0));
	assert_int_equal(state_of(bed.session), CKS_RW_SO_FUNCTIONS);
	assert_int_equal(C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, &read_only),
			 CKR_SESSION_READ_WRITE_SO_EXISTS);
	check(C_Logout(bed.session));
}

/* --- Objects of sessions */

static void a_session_takes_its_objects_with_it(void **state)
{
	AUTO(object_releasep) struct object *object = NULL;
	CK_SESSION_HANDLE keep = bed.session;
	CK_OBJECT_HANDLE key;

	(void)state;
	bed.session = bed_open(0);
	key = bed_key(NULL, 32);
	object = objects_find(bed.objects, bed.slot, key);
	assert_non_null(object);
	check(C_CloseSession(bed.session));
	bed.session = keep;
	assert_null(objects_find(bed.objects, bed.slot, key));
}

static void a_destroyed_key_is_not_used_from_memory(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_OBJECT_HANDLE key = bed_key(NULL, 32);
	uint8_t block[16] = {0};
	CK_ULONG len = 16;

	(void)state;
	check(C_EncryptInit(bed.session, &ecb, key));
	check(C_Encrypt(bed.session, block, 16, block, &len));
	objects_remove(bed.objects, key, NULL);
	assert_int_equal(C_EncryptInit(bed.session, &ecb, key), CKR_KEY_HANDLE_INVALID);
}

static void more_keys_than_are_kept_ready_can_be_used(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	uint8_t block[16] = {0}, first[20][16];
	CK_OBJECT_HANDLE keys[20];
	CK_ULONG len = 16;
	size_t i, round;

	(void)state;
	for (i = 0; i < COUNT_OF(keys); i++)
		keys[i] = bed_key(NULL, 32);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < COUNT_OF(keys); i++) {
			uint8_t out[16];

			check(C_DecryptInit(bed.session, &ecb, keys[0]));
			check(C_EncryptInit(bed.session, &ecb, keys[i]));
			check(C_Encrypt(bed.session, block, 16, round == 0 ? first[i] : out, &len));
			if (round > 0)
				assert_memory_equal(out, first[i], 16);
			check(C_Decrypt(bed.session, first[0], 16, out, &len));
			assert_memory_equal(out, block, 16);
		}
	}
}

static bool has_schedule(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
	AUTO(session_return) struct session *session = NULL;

	check(session_borrow(handle, &session));
	for (size_t i = 0; i < READY_KEYS_COUNT; i++) {
		if (session->ready.places[i].handle == key)
			return session->ready.places[i].aes != NULL;
	}
	return false;
}

static void an_idle_session_keeps_no_key_beyond_its_lease(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_SESSION_HANDLE idle = bed_open(0), in_parts = bed_open(0);
	CK_OBJECT_HANDLE key = bed_key(NULL, 32);
	uint8_t block[16] = {0};
	CK_ULONG len = 16;

	(void)state;
	check(C_EncryptInit(idle, &ecb, bed.zone));
	check(C_Encrypt(idle, block, 16, block, &len));
	check(C_EncryptInit(in_parts, &ecb, bed.zone));
	check(C_EncryptInit(bed.session, &ecb, key));
	check(C_Encrypt(bed.session, block, 16, block, &len));
	assert_true(has_schedule(idle, bed.zone));
	fake_clock_advance(&bed.clock, 301 * 1000);
	check(C_EncryptInit(bed.session, &ecb, key));
	check(C_Encrypt(bed.session, block, 16, block, &len));
	assert_false(has_schedule(idle, bed.zone));
	assert_true(has_schedule(bed.session, key));
	/* An operation under way asks for itself. */
	check(C_EncryptUpdate(in_parts, block, 16, block, &len));
	check(C_EncryptInit(idle, &ecb, bed.zone));
	assert_true(has_schedule(idle, bed.zone));
	check(C_CloseSession(idle));
	check(C_CloseSession(in_parts));
}

/* --- Searches */

static void a_search_is_stepped_through(void **state)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG count, all = 0;

	(void)state;
	assert_int_equal(C_FindObjects(bed.session, found, 2, &count),
			 CKR_OPERATION_NOT_INITIALIZED);
	check(C_FindObjectsInit(bed.session, template, 1));
	assert_int_equal(C_FindObjectsInit(bed.session, template, 1), CKR_OPERATION_ACTIVE);
	do {
		check(C_FindObjects(bed.session, found, 2, &count));
		all += count;
	} while (count > 0);
	assert_true(all >= 2);
	check(C_FindObjects(bed.session, NULL, 0, &count));
	assert_int_equal(count, 0);
	check(C_FindObjectsFinal(bed.session));
	assert_int_equal(C_FindObjectsFinal(bed.session), CKR_OPERATION_NOT_INITIALIZED);
}

/* --- Threads */

enum { THREADS = 8, ROUNDS = 300 };

static void *encrypt_on(void *session)
{
	CK_SESSION_HANDLE handle = *(CK_SESSION_HANDLE *)session;
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	uint8_t block[16];
	CK_ULONG len;

	for (int i = 0; i < ROUNDS; i++) {
		len = sizeof(block);
		C_EncryptInit(handle, &ecb, bed.zone);
		C_Encrypt(handle, block, 16, block, &len);
	}
	return NULL;
}

/* Whatever the threads meet, nothing breaks; the sanitizers watch. */
static void sessions_may_be_closed_under_threads(void **state)
{
	CK_SESSION_HANDLE shared = bed_open(0);
	pthread_t threads[THREADS];
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, encrypt_on, &shared), 0);
	check(C_CloseSession(shared));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(info_of(shared), CKR_SESSION_HANDLE_INVALID);
}

static void a_login_does_not_outlive_the_session_that_asked_for_it(void **state)
{
	struct token_login user = {.user = CKU_USER, .any_text = true};
	struct token_login so = {.user = CKU_SO, .any_text = true};
	CK_SESSION_HANDLE session, reader;

	(void)state;
	check(C_OpenSession(bed.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	check(C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, &reader));
	assert_int_equal(table_log_in(session, &so), CKR_SESSION_READ_ONLY_EXISTS);
	check(C_CloseSession(reader));
	check(C_CloseSession(session));
	assert_int_equal(table_log_in(session, &user), CKR_SESSION_HANDLE_INVALID);
}

/* --- Threads that open sessions have shards of the table of their own: what is said of all
 * sessions of a token is said of theirs, too. */

struct opening {
	CK_FLAGS flags;
	CK_SESSION_HANDLE session;
	CK_RV rv;
};

static void *open_one(void *state)
{
	struct opening *opening = state;

	opening->rv = C_OpenSession(bed.slot, CKF_SERIAL_SESSION | opening->flags, NULL, NULL,
				    &opening->session);
	return NULL;
}

static struct opening opened_elsewhere(CK_FLAGS flags)
{
	struct opening opening = {.flags = flags};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, open_one, &opening), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return opening;
}

static void sessions_of_all_threads_count(void **state)
{
	struct opening others[3 * THREADS];
	CK_ULONG all, read_write;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		others[i] = opened_elsewhere(i % 2 == 0 ? CKF_RW_SESSION : 0);
		check(others[i].rv);
		for (size_t before = 0; before < i; before++)
			assert_int_not_equal(others[i].session, others[before].session);
	}
	session_counts(bed.slot, &all, &read_write);
	assert_int_equal(all, 1 + COUNT_OF(others));
	assert_int_equal(read_write, 1 + COUNT_OF(others) / 2);
	check(C_CloseAllSessions(bed.slot));
	session_counts(bed.slot, &all, &read_write);
	assert_int_equal(all, 0);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_int_equal(info_of(others[i].session), CKR_SESSION_HANDLE_INVALID);
	bed.session = bed_open(CKF_RW_SESSION);
}

static void the_officer_and_another_threads_read_only_session_exclude_each_other(void **state)
{
	CK_SESSION_HANDLE read_only = opened_elsewhere(0).session;

	(void)state;
	assert_int_equal(C_Login(bed.session, CKU_SO, NULL, 0), CKR_SESSION_READ_ONLY_EXISTS);
	check(C_CloseSession(read_only));
	check(C_Login(bed.session, CKU_SO, NULL, 0));
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(opened_elsewhere(0).rv, CKR_SESSION_READ_WRITE_SO_EXISTS);
	check(C_Logout(bed.session));
}

static void a_login_ends_with_the_last_session_whichever_thread_opened_it(void **state)
{
	CK_SESSION_HANDLE others[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		others[i] = opened_elsewhere(CKF_RW_SESSION).session;
	check(C_Login(bed.session, CKU_USER, (CK_UTF8CHAR *)"any", 3));
	check(C_CloseSession(bed.session));
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(state_of(others[i]), CKS_RW_USER_FUNCTIONS);
		check(C_CloseSession(others[i]));
	}
	bed.session = bed_open(CKF_RW_SESSION);
	assert_int_equal(state_of(bed.session), CKS_RW_PUBLIC_SESSION);
}

/* A place keeps the memory of the session that was there. */
static void a_session_begins_with_nothing_of_the_one_before(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0}, sha = {CKM_SHA256, NULL, 0};
	CK_SESSION_HANDLE before = bed_open(CKF_RW_SESSION), session;
	CK_OBJECT_HANDLE found[4];
	CK_ULONG len = 64;
	uint8_t out[64];

	(void)state;
	check(C_EncryptInit(before, &ecb, bed.zone));
	check(C_DecryptInit(before, &ecb, bed.zone));
	check(C_DigestInit(before, &sha));
	check(C_FindObjectsInit(before, NULL, 0));
	check(C_CloseSession(before));
	session = bed_open(0);
	assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
	assert_int_equal(C_Encrypt(session, out, 16, out, &len), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_Decrypt(session, out, 16, out, &len), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_Digest(session, out, 16, out, &len), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_FindObjects(session, found, 4, &len), CKR_OPERATION_NOT_INITIALIZED);
	assert_false(has_schedule(session, bed.zone));
	check(C_CloseSession(session));
}

/* What nobody else holds is in no other session's ready keys: those need not look. */
static void only_a_key_that_others_hold_is_news_when_it_is_destroyed(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_OBJECT_HANDLE alone = bed_key(NULL, 32), used = bed_key(NULL, 32);
	const _Atomic uint64_t *gone = objects_gone(bed.objects);
	CK_SESSION_HANDLE other = bed_open(0);
	uint64_t before = *gone;

	(void)state;
	check(C_DestroyObject(bed.session, alone));
	assert_int_equal(*gone, before);
	check(C_EncryptInit(other, &ecb, used));
	check(C_DestroyObject(bed.session, used));
	assert_int_not_equal(*gone, before);
	check(C_CloseSession(other));
}

/* Between the look-up and the end of C_DestroyObject another thread may change the object, and a
 * third make the new one ready. */
static void a_key_that_was_replaced_meanwhile_is_news_when_it_is_destroyed(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_ATTRIBUTE label = {CKA_LABEL, (void *)"new", 3};
	CK_OBJECT_HANDLE key = bed_key(NULL, 32);
	AUTO(object_releasep)
	struct object *before = objects_find(bed.objects, bed.slot, key);
	CK_SESSION_HANDLE other = bed_open(0);
	uint8_t block[16] = {0};
	CK_ULONG len = 16;

	(void)state;
	check(C_SetAttributeValue(bed.session, key, &label, 1));
	check(C_EncryptInit(other, &ecb, key));
	check(C_Encrypt(other, block, 16, block, &len));
	objects_remove(bed.objects, key, before);
	assert_int_equal(C_EncryptInit(other, &ecb, key), CKR_KEY_HANDLE_INVALID);
	check(C_CloseSession(other));
}

/* What only warned. */
static void a_warning_of_a_call_that_went_well_is_no_reason_of_the_next(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	struct session *session = NULL;

	(void)state;
	check(session_borrow(bed.session, &session));
	log_warning("of a call that goes well");
	session_return(&session);
	assert_string_equal(log_last(), "of a call that goes well");
	assert_int_equal(C_EncryptInit(bed.session, &ecb, 1234567), CKR_KEY_HANDLE_INVALID);
	assert_string_equal(log_last(), "");
}

/* Returns its argument if something failed. */
static void *log_in_and_out(void *argument)
{
	CK_UTF8CHAR pin[] = "1234";
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG len = 16;
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[] = {{CKA_PRIVATE, &yes, sizeof(yes)},
				   {CKA_VALUE_LEN, &len, sizeof(len)}};
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	CK_ULONG size;
	bool is_lost = false;
	CK_RV rv;

	check(C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
	for (int i = 0; i < 50; i++) {
		while ((rv = C_Login(session, CKU_USER, pin, 4)) == CKR_USER_ALREADY_LOGGED_IN)
			sched_yield();
		if (rv != CKR_OK || C_GenerateKey(session, &generate, template, 2, &key) != CKR_OK)
			return argument;
		for (int j = 0; j < 200 && !is_lost; j++)
			is_lost = C_GetObjectSize(session, key, &size) != CKR_OK;
		if (C_Logout(session) != CKR_OK || is_lost)
			return argument;
	}
	C_CloseSession(session);
	return NULL;
}

/* So that whoever looks for private ones looks long. */
static void make_public_objects(unsigned count)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_PRIVATE, &no, sizeof(no)},
		{CKA_VALUE, &no, sizeof(no)},
	};
	CK_OBJECT_HANDLE object;

	for (unsigned i = 0; i < count; i++)
		check(C_CreateObject(bed.session, template, COUNT_OF(template), &object));
}

static void what_a_login_makes_is_not_taken_for_left_over_by_another_thread(void **state)
{
	pthread_t threads[4];
	unsigned lost = 0;
	void *failed;

	check(bed_stop(state));
	bed_start_with(300, true);
	check(C_Logout(bed.session));
	make_public_objects(1000);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_and_out, threads), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		lost += failed != NULL;
	}
	assert_int_equal(lost, 0);
	check(bed_stop(state));
	check(bed_start(state));
}

/* Returns its argument if something failed. */
static void *open_and_close(void *argument)
{
	CK_SESSION_HANDLE session;

	for (int i = 0; i < ROUNDS; i++) {
		if (C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
			return argument;
		encrypt_on(&session);
		if (C_CloseSession(session) != CKR_OK)
			return argument;
	}
	return NULL;
}

static void sessions_come_and_go_in_threads(void **state)
{
	pthread_t threads[2];
	void *failed;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, threads), 0);
	for (i = 0; i < COUNT_OF(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void nothing_works_after_the_end(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	sessions_stop();
	assert_int_equal(info_of(bed.session), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_int_equal(C_CloseSession(bed.session), CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_int_equal(C_OpenSession(bed.slot, CKF_SERIAL_SESSION, NULL, NULL, &session),
			 CKR_CRYPTOKI_NOT_INITIALIZED);
	assert_int_equal(C_CloseAllSessions(bed.slot), CKR_CRYPTOKI_NOT_INITIALIZED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_handle_is_never_valid_again),
		cmocka_unit_test(many_sessions_can_be_open),
		cmocka_unit_test(a_login_does_not_outlive_the_session_that_asked_for_it),
		cmocka_unit_test(only_serial_sessions_of_a_token_are_opened),
		cmocka_unit_test(a_login_is_of_all_sessions_and_ends_with_the_last),
		cmocka_unit_test(the_officer_and_read_only_sessions_exclude_each_other),
		cmocka_unit_test(a_session_takes_its_objects_with_it),
		cmocka_unit_test(a_destroyed_key_is_not_used_from_memory),
		cmocka_unit_test(more_keys_than_are_kept_ready_can_be_used),
		cmocka_unit_test(an_idle_session_keeps_no_key_beyond_its_lease),
		cmocka_unit_test(a_search_is_stepped_through),
		cmocka_unit_test(sessions_may_be_closed_under_threads),
		cmocka_unit_test(sessions_come_and_go_in_threads),
		cmocka_unit_test(sessions_of_all_threads_count),
		cmocka_unit_test(
			the_officer_and_another_threads_read_only_session_exclude_each_other),
		cmocka_unit_test(a_login_ends_with_the_last_session_whichever_thread_opened_it),
		cmocka_unit_test(a_session_begins_with_nothing_of_the_one_before),
		cmocka_unit_test(only_a_key_that_others_hold_is_news_when_it_is_destroyed),
		cmocka_unit_test(a_key_that_was_replaced_meanwhile_is_news_when_it_is_destroyed),
		cmocka_unit_test(a_warning_of_a_call_that_went_well_is_no_reason_of_the_next),
		cmocka_unit_test(what_a_login_makes_is_not_taken_for_left_over_by_another_thread),
		cmocka_unit_test(nothing_works_after_the_end),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
