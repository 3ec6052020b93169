/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How long keys stay made ready: no longer than they may be used, in whatever session. */
#include "base/macros.h"
#include "session/state.h"
#include "session/table.h"
#include "tests/support/session_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

enum held { NOTHING, KEY_ALONE, SCHEDULE };

/* What a session holds of a key, without entering it, since who enters tidies. */
static enum held held_by(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
	struct place *place = table_lock(handle);
	enum held held = NOTHING;

	assert_non_null(place);
	for (size_t i = 0; i < READY_KEYS_COUNT; i++) {
		const struct ready_key *ready = &place->session->ready.places[i];

		if (ready->handle == key)
			held = ready_key_has_schedule(ready) ? SCHEDULE : KEY_ALONE;
	}
	pthread_mutex_unlock(&place->lock);
	return held;
}

static void encrypt_by(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	uint8_t block[16] = {0};
	CK_ULONG len = 16;

	check(C_EncryptInit(session, &ecb, key));
	check(C_Encrypt(session, block, 16, block, &len));
	assert_int_equal(held_by(session, key), SCHEDULE);
}

static void sign_by(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM cmac = {CKM_AES_CMAC, NULL, 0};
	uint8_t mac[16] = {0};
	CK_ULONG len = 16;

	check(C_SignInit(session, &cmac, key));
	check(C_Sign(session, mac, 16, mac, &len));
	assert_int_equal(held_by(session, key), SCHEDULE);
}

static void may_sign(CK_OBJECT_HANDLE key)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE change = {CKA_SIGN, &yes, sizeof(yes)};

	check(C_SetAttributeValue(bed.session, key, &change, 1));
}

static CK_OBJECT_HANDLE token_key(void)
{
	CK_ULONG len = 32;
	CK_ATTRIBUTE template[9];
	CK_ULONG count = bed_template(template, true, true);
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_HANDLE key;

	template[count++] = (CK_ATTRIBUTE){CKA_VALUE_LEN, &len, sizeof(len)};
	check(C_GenerateKey(bed.session, &generate, template, count, &key));
	return key;
}

static void a_destroyed_key_goes_from_every_idle_session(void **state)
{
	CK_SESSION_HANDLE idle = bed_open(0);
	CK_OBJECT_HANDLE keys[2];

	(void)state;
	keys[0] = bed_key(NULL, 32);
	keys[1] = token_key();
	for (int i = 0; i < 2; i++) {
		AUTO(object_releasep) struct object *object = NULL;

		encrypt_by(bed.session, keys[i]);
		encrypt_by(idle, keys[i]);
		object = objects_find(bed.objects, bed.slot, keys[i]);
		check(C_DestroyObject(bed.session, keys[i]));
		assert_int_equal(held_by(bed.session, keys[i]), NOTHING);
		assert_int_equal(held_by(idle, keys[i]), NOTHING);
		/* Nobody has it but this test. */
		assert_false(object_is_shared(object));
	}
	check(C_CloseSession(idle));
}

static void a_key_goes_from_idle_sessions_with_the_session_that_made_it(void **state)
{
	CK_SESSION_HANDLE maker = bed_open(0), keep = bed.session;
	CK_OBJECT_HANDLE key;

	(void)state;
	bed.session = maker;
	key = bed_key(NULL, 32);
	bed.session = keep;
	encrypt_by(bed.session, key);
	check(C_CloseSession(maker));
	assert_int_equal(held_by(bed.session, key), NOTHING);
}

static void a_key_that_was_changed_goes_as_it_was_from_idle_sessions(void **state)
{
	CK_SESSION_HANDLE idle = bed_open(0);
	CK_OBJECT_HANDLE keys[2];
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE change = {CKA_WRAP, &no, sizeof(no)};

	(void)state;
	keys[0] = bed_key(NULL, 32);
	keys[1] = token_key();
	for (int i = 0; i < 2; i++) {
		encrypt_by(idle, keys[i]);
		check(C_SetAttributeValue(bed.session, keys[i], &change, 1));
		assert_int_equal(held_by(idle, keys[i]), NOTHING);
		encrypt_by(idle, keys[i]);
		check(C_DestroyObject(bed.session, keys[i]));
		assert_int_equal(held_by(idle, keys[i]), NOTHING);
	}
	check(C_CloseSession(idle));
}

/* Between the look-up and the end of C_DestroyObject another thread may change the object, and a
 * third make the new one ready. */
static void a_key_that_was_changed_meanwhile_goes_from_idle_sessions_too(void **state)
{
	CK_SESSION_HANDLE idle = bed_open(0);
	CK_OBJECT_HANDLE key = bed_key(NULL, 32);
	AUTO(object_releasep) struct object *read = objects_find(bed.objects, bed.slot, key);
	struct session *session = NULL;

	(void)state;
	may_sign(key);
	encrypt_by(idle, key);
	check(session_borrow(bed.session, &session));
	ready_keys_let_go(session, read, objects_remove(bed.objects, key, read));
	session_return(&session);
	assert_int_equal(held_by(idle, key), NOTHING);
	check(C_CloseSession(idle));
}

static void an_operation_works_on_with_a_destroyed_key_and_takes_it_along(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_SESSION_HANDLE other = bed_open(0);
	CK_OBJECT_HANDLE keys[2];
	uint8_t block[16] = {0}, expected[16] = {0}, out[16];
	CK_ULONG len = 16;

	(void)state;
	keys[0] = bed_key(NULL, 32);
	keys[1] = token_key();
	for (int i = 0; i < 2; i++) {
		check(C_EncryptInit(bed.session, &ecb, keys[i]));
		check(C_Encrypt(bed.session, block, 16, expected, &len));
		check(C_EncryptInit(other, &ecb, keys[i]));
		check(C_EncryptUpdate(other, block, 16, out, &len));
		check(C_DestroyObject(bed.session, keys[i]));
		assert_int_equal(held_by(other, keys[i]), SCHEDULE);
		check(C_EncryptUpdate(other, block, 16, out, &len));
		assert_memory_equal(out, expected, 16);
		check(C_EncryptFinal(other, out, &len));
		assert_int_equal(held_by(other, keys[i]), NOTHING);
		len = 16;
	}
	check(C_CloseSession(other));
}

static void a_lease_that_ended_is_found_out_by_any_call(void **state)
{
	CK_SESSION_HANDLE idle = bed_open(0), other = bed_open(0);
	CK_OBJECT_HANDLE key = token_key();
	CK_SESSION_INFO info;

	(void)state;
	encrypt_by(idle, bed.zone);
	encrypt_by(idle, key);
	fake_clock_advance(&bed.clock, 299 * 1000);
	check(C_GetSessionInfo(other, &info));
	assert_int_equal(held_by(idle, bed.zone), SCHEDULE);
	fake_clock_advance(&bed.clock, 2 * 1000);
	check(C_GetSessionInfo(other, &info));
	assert_int_equal(held_by(idle, bed.zone), KEY_ALONE);
	assert_int_equal(held_by(idle, key), KEY_ALONE);
	encrypt_by(idle, key);
	fake_clock_advance(&bed.clock, 301 * 1000);
	check(C_CloseSession(other));
	assert_int_equal(held_by(idle, key), KEY_ALONE);
	check(C_CloseSession(idle));
}

/* A MAC is keyed with the key, as AES is. */
static void a_keyed_mac_goes_as_a_key_schedule_does(void **state)
{
	CK_SESSION_HANDLE idle = bed_open(0), other = bed_open(0);
	CK_OBJECT_HANDLE key = token_key();
	CK_SESSION_INFO info;
	int status;
	pid_t child;

	(void)state;
	may_sign(key);
	sign_by(idle, key);
	child = fork();
	if (child == 0)
		_exit(held_by(idle, key) == KEY_ALONE ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	sign_by(idle, key);
	fake_clock_advance(&bed.clock, 301 * 1000);
	check(C_GetSessionInfo(other, &info));
	assert_int_equal(held_by(idle, key), KEY_ALONE);
	sign_by(idle, key);
	check(C_DestroyObject(bed.session, key));
	assert_int_equal(held_by(idle, key), NOTHING);
	check(C_CloseSession(idle));
	check(C_CloseSession(other));
}

static void a_no_that_is_heard_reaches_idle_sessions_before_it_is_told(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_SESSION_HANDLE idle = bed_open(0);
	CK_OBJECT_HANDLE other = bed_zone("to be denied too");

	(void)state;
	encrypt_by(idle, bed.zone);
	encrypt_by(idle, other);
	fake_kms_fail(&bed.kms, FAKE_DECRYPT, KMS_DISABLED, 100);
	/* In the lease's last part, when one asks and the others go on. */
	fake_clock_advance(&bed.clock, 286 * 1000);
	assert_int_equal(C_EncryptInit(bed.session, &ecb, bed.zone),
			 CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_int_equal(held_by(idle, bed.zone), KEY_ALONE);
	assert_int_equal(held_by(idle, other), KEY_ALONE);
	fake_kms_fail(&bed.kms, FAKE_DECRYPT, KMS_OK, 0);
	fake_clock_advance(&bed.clock, 6 * 1000);
	check(C_CloseSession(idle));
}

static void a_fork_finds_no_schedule_in_idle_sessions(void **state)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_SESSION_HANDLE idle = bed_open(0), in_parts = bed_open(0);
	CK_OBJECT_HANDLE key = bed_key(NULL, 32);
	uint8_t block[16] = {0};
	CK_ULONG len = 16;
	int status;
	pid_t child;

	(void)state;
	encrypt_by(idle, key);
	check(C_EncryptInit(in_parts, &ecb, key));
	check(C_EncryptUpdate(in_parts, block, 16, block, &len));
	child = fork();
	if (child == 0)
		_exit(held_by(idle, key) == KEY_ALONE ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* What is under way goes on, and the others make their keys ready again. */
	check(C_EncryptUpdate(in_parts, block, 16, block, &len));
	encrypt_by(idle, key);
	check(C_CloseSession(idle));
	check(C_CloseSession(in_parts));
	check(C_DestroyObject(bed.session, key));
}

static void a_logout_takes_private_keys_out_of_idle_sessions(void **state)
{
	CK_SESSION_HANDLE idle;
	CK_OBJECT_HANDLE key;

	bed_stop(state);
	bed_start_with(300, true);
	idle = bed_open(0);
	key = token_key();
	encrypt_by(bed.session, key);
	encrypt_by(idle, key);
	check(C_Logout(bed.session));
	assert_int_equal(held_by(bed.session, key), NOTHING);
	assert_int_equal(held_by(idle, key), NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_destroyed_key_goes_from_every_idle_session),
		cmocka_unit_test(a_key_goes_from_idle_sessions_with_the_session_that_made_it),
		cmocka_unit_test(a_key_that_was_changed_goes_as_it_was_from_idle_sessions),
		cmocka_unit_test(a_key_that_was_changed_meanwhile_goes_from_idle_sessions_too),
		cmocka_unit_test(an_operation_works_on_with_a_destroyed_key_and_takes_it_along),
		cmocka_unit_test(a_lease_that_ended_is_found_out_by_any_call),
		cmocka_unit_test(a_keyed_mac_goes_as_a_key_schedule_does),
		cmocka_unit_test(a_no_that_is_heard_reaches_idle_sessions_before_it_is_told),
		cmocka_unit_test(a_fork_finds_no_schedule_in_idle_sessions),
		cmocka_unit_test(a_logout_takes_private_keys_out_of_idle_sessions),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
