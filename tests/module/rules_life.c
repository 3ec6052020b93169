/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, configuring and logging in, as the programs do it that load modules. */
#include "rules.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static CK_RV start_with(const char *reserved)
{
	char text[2 * PATH_MAX];
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

	snprintf(text, sizeof(text), "%s", reserved);
	args.pReserved = text;
	return p11->C_Initialize(&args);
}

static CK_ULONG count_slots(void)
{
	CK_ULONG count;

	check(p11->C_GetSlotList(CK_FALSE, NULL, &count));
	return count;
}

static int restart(void **state)
{
	(void)state;
	p11->C_Finalize(NULL);
	token_configure("");
	return initialize() == CKR_OK ? 0 : -1;
}

static CK_RV make_mutex(CK_VOID_PTR *mutex)
{
	*mutex = mutex;
	return CKR_OK;
}

static CK_RV use_mutex(CK_VOID_PTR mutex)
{
	(void)mutex;
	return CKR_OK;
}

static void initialize_accepts_callbacks_where_the_system_may_lock(void **state)
{
	CK_C_INITIALIZE_ARGS args = {make_mutex, use_mutex,	    use_mutex,
				     use_mutex,	 CKF_OS_LOCKING_OK, NULL};

	(void)state;
	check(p11->C_Finalize(NULL));
	check(p11->C_Initialize(&args));
	check(p11->C_Finalize(NULL));
	args.flags |= CKF_LIBRARY_CANT_CREATE_OS_THREADS;
	check(p11->C_Initialize(&args));
}

static void initialize_accepts_an_empty_reserved_text(void **state)
{
	(void)state;
	check(p11->C_Finalize(NULL));
	check(start_with(""));
	check(p11->C_Finalize(NULL));
	check(start_with(" "));
}

static void the_reserved_text_names_the_configuration(void **state)
{
	char text[2 * PATH_MAX];

	(void)state;
	check(p11->C_Finalize(NULL));
	snprintf(text, sizeof(text), "config=%s/module.conf", token_folder());
	setenv("CMEK_PKCS11_CONF", "/nonexistent/cmek.conf", 1);
	check(start_with(text));
	assert_int_equal(token_slot("first"), slot);
}

static void a_configuration_that_is_named_must_exist(void **state)
{
	(void)state;
	check(p11->C_Finalize(NULL));
	fails(start_with("config=/nonexistent/cmek.conf"));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
}

static void an_unknown_setting_is_an_error(void **state)
{
	(void)state;
	check(p11->C_Finalize(NULL));
	token_configure("leese_seconds = 3\n");
	fails(initialize());
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
	token_configure("lease_seconds = soon\n");
	fails(initialize());
	token_configure("");
	check(initialize());
}

static void a_free_slot_is_shown_only_if_asked_for(void **state)
{
	CK_ULONG used = count_slots();

	(void)state;
	check(p11->C_Finalize(NULL));
	check(start_with("free-slot=true"));
	assert_int_equal(count_slots(), used + 1);
	check(p11->C_Finalize(NULL));
	token_configure("[slots]\nfree = true\n");
	check(initialize());
	assert_int_equal(count_slots(), used + 1);
}

static void reserved_that_points_nowhere_is_refused(void **state)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

	(void)state;
	check(p11->C_Finalize(NULL));
	for (uintptr_t at = 1; at < 1 << 12; at = at * 8 + 1) {
		args.pReserved = (void *)at;
		answers(CKR_ARGUMENTS_BAD, p11->C_Initialize(&args));
	}
	args.pReserved = (void *)(UINTPTR_MAX - 5);
	answers(CKR_ARGUMENTS_BAD, p11->C_Initialize(&args));
	check(initialize());
}

/* A text that ends where its memory ends. */
static void reserved_is_read_no_further_than_its_end(void **state)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	static const char text[] = "free-slot=false";
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(munmap(pages + page, page), 0);
	check(p11->C_Finalize(NULL));
	args.pReserved = memcpy(pages + page - sizeof(text), text, sizeof(text));
	check(p11->C_Initialize(&args));
	check(p11->C_Finalize(NULL));
	memset(pages + page - sizeof(text), ' ', sizeof(text)); /* without an end */
	answers(CKR_ARGUMENTS_BAD, p11->C_Initialize(&args));
	munmap(pages, page);
	check(initialize());
}

static CK_RV next_event(CK_SLOT_ID *ret_slot)
{
	return p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, ret_slot, NULL);
}

static void a_new_project_is_an_event(void **state)
{
	CK_UTF8CHAR label[32];
	CK_SLOT_ID slots[16], changed, made;
	CK_ULONG count = 16;

	(void)state;
	check(p11->C_Finalize(NULL));
	check(start_with("free-slot=true"));
	check(p11->C_GetSlotList(CK_TRUE, slots, &count));
	answers(CKR_NO_EVENT, next_event(&changed));
	made = slots[count - 1];
	memset(label, ' ', sizeof(label));
	memcpy(label, "arrived", 7);
	check(p11->C_InitToken(made, NULL, 0, label));
	check(p11->C_WaitForSlotEvent(0, &changed, NULL));
	assert_int_equal(changed, made);
	answers(CKR_NO_EVENT, next_event(&changed));
	answers(CKR_ARGUMENTS_BAD, next_event(NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &changed, &made));
	check(p11->C_CloseAllSessions(made + 1)); /* the next free one */
}

static void a_project_in_another_s_place_is_an_event(void **state)
{
	CK_UTF8CHAR label[32];
	CK_SLOT_ID changed, of = token_slot("arrived");
	CK_TOKEN_INFO info;

	(void)state;
	answers(CKR_NO_EVENT, next_event(&changed));
	check(p11->C_GetTokenInfo(of, &info));
	memset(label, ' ', sizeof(label));
	memcpy(label, "another", 7);
	check(p11->C_InitToken(of, NULL, 0, label));
	check(next_event(&changed));
	assert_int_equal(changed, of);
	answers(CKR_NO_EVENT, next_event(&changed));
}

static void a_free_slot_has_sessions_and_no_project(void **state)
{
	CK_SLOT_ID slots[8], empty = 0;
	CK_ULONG all = 8, present = 8;
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE session;
	CK_OBJECT_CLASS class = CKO_CMEK_BACKUP;
	CK_ATTRIBUTE backup = {CKA_CLASS, &class, sizeof(class)};
	CK_OBJECT_HANDLE object;

	(void)state;
	check(p11->C_Finalize(NULL));
	check(start_with("free-slot=true"));
	check(p11->C_GetSlotList(CK_TRUE, slots, &present));
	check(p11->C_GetSlotList(CK_FALSE, slots, &all));
	empty = slots[all - 1];
	if (p11->C_GetTokenInfo(empty, &info) == CKR_OK)
		assert_int_equal(info.flags & CKF_TOKEN_INITIALIZED, 0);
	assert_true(empty < 1UL << 31);
	/* A backup is restored there; nothing else is. */
	check(p11->C_OpenSession(empty, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	answers(CKR_DEVICE_REMOVED, p11->C_FindObjectsInit(session, NULL, 0));
	answers(CKR_DEVICE_REMOVED, p11->C_CreateObject(session, &backup, 1, &object));
	check(p11->C_CloseSession(session));
}

static CK_SESSION_HANDLE open_session(CK_FLAGS flags)
{
	CK_SESSION_HANDLE session;

	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &session));
	return session;
}

static CK_FLAGS token_flags(void)
{
	CK_TOKEN_INFO info;

	check(p11->C_GetTokenInfo(slot, &info));
	return info.flags;
}

static void any_pin_logs_in(void **state)
{
	CK_SESSION_HANDLE session = open_session(CKF_RW_SESSION);
	static const char *const pins[] = {"", "1234", "a rather long pin that nobody has set"};

	(void)state;
	assert_int_equal(token_flags() & CKF_LOGIN_REQUIRED, 0);
	for (int i = 0; i < 3; i++) {
		CK_UTF8CHAR pin[64];

		memcpy(pin, pins[i], strlen(pins[i]));
		check(p11->C_Login(session, CKU_USER, pin, strlen(pins[i])));
		check(p11->C_Logout(session));
	}
	check(p11->C_Login(session, CKU_USER, NULL, 0));
	answers(CKR_USER_ALREADY_LOGGED_IN, p11->C_Login(session, CKU_USER, NULL, 0));
	check(p11->C_CloseSession(session));
}

static void everything_works_without_a_login(void **state)
{
	CK_SESSION_HANDLE session = open_session(CKF_RW_SESSION);
	CK_OBJECT_HANDLE zone = some_zone(session), back;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	(void)state;
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, known_key(session), wrapped,
		      &len));
	check(unwrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, wrapped, len, &back));
	check(p11->C_DestroyObject(session, zone));
	check(p11->C_CloseSession(session));
}

static CK_RV create_on_token(CK_SESSION_HANDLE session)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_text(t, CKA_VALUE, "thirty-two bytes given as values");
	with_bool(t, CKA_TOKEN, true);
	return p11->C_CreateObject(session, t->rows, t->count, &(CK_ULONG){0});
}

static void a_login_can_be_required(void **state)
{
	CK_SESSION_HANDLE session;
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);
	CK_UTF8CHAR pin[] = "whatever";

	(void)state;
	check(p11->C_Finalize(NULL));
	token_configure("[slots]\nlogin_required = true\n");
	check(initialize());
	assert_int_equal(token_flags() & CKF_LOGIN_REQUIRED, CKF_LOGIN_REQUIRED);
	assert_int_equal(token_flags() & CKF_USER_PIN_INITIALIZED, CKF_USER_PIN_INITIALIZED);
	session = open_session(CKF_RW_SESSION);
	/* pkcs11-provider imports raw keys before it logs in. */
	check(p11->C_DestroyObject(session, key_generate(session, t)));
	with_bool(t, CKA_TOKEN, true);
	with_bool(t, CKA_EXTRACTABLE, false);
	answers(CKR_USER_NOT_LOGGED_IN, p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN),
							   t->rows, t->count, &(CK_ULONG){0}));
	answers(CKR_USER_NOT_LOGGED_IN, create_on_token(session));
	check(p11->C_Login(session, CKU_USER, pin, strlen((char *)pin)));
	check(p11->C_DestroyObject(session, key_generate(session, t)));
	check(p11->C_CloseSession(session));
}

static void tokens_have_different_slots_and_serials(void **state)
{
	CK_SLOT_ID second = token_new("second");
	CK_TOKEN_INFO info[2];

	(void)state;
	assert_int_not_equal(second, slot);
	assert_int_equal(token_slot("first"), slot);
	check(p11->C_GetTokenInfo(slot, &info[0]));
	check(p11->C_GetTokenInfo(second, &info[1]));
	assert_memory_not_equal(info[0].serialNumber, info[1].serialNumber, 16);
}

static void what_a_token_holds_is_not_seen_in_another(void **state)
{
	CK_SLOT_ID first = slot;
	CK_SESSION_HANDLE session = session_new(), other;
	CK_OBJECT_HANDLE zone = zone_generate(session, "only here"), key = known_key(session);
	CK_OBJECT_CLASS class;
	CK_ATTRIBUTE row = {CKA_CLASS, &class, sizeof(class)};

	(void)state;
	slot = token_slot("second");
	other = session_new();
	slot = first;
	assert_int_equal(objects_count(other, with_text(template_new(), CKA_LABEL, "only here")),
			 0);
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(other, zone, &row, 1));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(other, key, &row, 1));
	check(p11->C_CloseSession(other));
	check(p11->C_CloseSession(session));
}

static CK_RV init_again(CK_SLOT_ID of, const char *label)
{
	CK_UTF8CHAR padded[32], pin[1] = "";

	memset(padded, ' ', sizeof(padded));
	memcpy(padded, label, strlen(label));
	return p11->C_InitToken(of, pin, 0, padded);
}

/* Test tools initialise tokens; that must not lose anybody's keys. */
static void initialising_a_used_token_archives_it_until_it_is_restored(void **state)
{
	CK_SLOT_ID second = token_slot("second"), first = slot;
	struct template *archive = with_number(template_new(), CKA_CLASS, CKO_CMEK_ARCHIVE);
	struct template *active = with_number(template_new(), CKA_CMEK_STATE, CMEK_STATE_ACTIVE);
	CK_OBJECT_HANDLE archived;
	CK_SESSION_HANDLE session;

	(void)state;
	slot = second;
	session = session_new();
	zone_generate(session, "archived");
	answers(CKR_SESSION_EXISTS, init_again(second, "third"));
	check(p11->C_CloseSession(session));
	check(init_again(second, "third"));
	assert_int_equal(token_slot("third"), second);
	session = session_new();
	assert_int_equal(objects_count(session, with_text(template_new(), CKA_LABEL, "archived")),
			 0);
	archived = object_find(session, archive);
	assert_int_equal(attribute_number(session, archived, CKA_CMEK_STATE),
			 CMEK_STATE_PENDING_DELETION);
	answers(CKR_ACTION_PROHIBITED, p11->C_DestroyObject(session, archived));
	check(p11->C_SetAttributeValue(session, archived, active->rows, 1));
	assert_int_equal(objects_count(session, archive), 0);
	check(p11->C_CloseSession(session));
	/* The number is its successor's now. */
	slot = token_slot("second");
	assert_int_not_equal(slot, second);
	session = session_new();
	object_find(session, with_text(template_new(), CKA_LABEL, "archived"));
	check(p11->C_CloseSession(session));
	slot = first;
}

#define restarted(test) cmocka_unit_test_setup_teardown(test, restart, restart)

int rules_life(void)
{
	const struct CMUnitTest tests[] = {
		restarted(initialize_accepts_callbacks_where_the_system_may_lock),
		restarted(initialize_accepts_an_empty_reserved_text),
		restarted(the_reserved_text_names_the_configuration),
		restarted(a_configuration_that_is_named_must_exist),
		restarted(an_unknown_setting_is_an_error),
		restarted(a_free_slot_is_shown_only_if_asked_for),
		restarted(a_free_slot_has_sessions_and_no_project),
		restarted(reserved_that_points_nowhere_is_refused),
		restarted(reserved_is_read_no_further_than_its_end),
		restarted(a_new_project_is_an_event),
		restarted(a_project_in_another_s_place_is_an_event),
		restarted(any_pin_logs_in),
		restarted(everything_works_without_a_login),
		restarted(a_login_can_be_required),
		restarted(tokens_have_different_slots_and_serials),
		restarted(what_a_token_holds_is_not_seen_in_another),
		restarted(initialising_a_used_token_archives_it_until_it_is_restored),
	};

	return run_group("life", tests, token_setup, token_teardown);
}
