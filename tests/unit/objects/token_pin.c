/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Logins by a project's PINs, and what is counted in the store. */
#include "objects/pin.h"
#include "base/log.h"
#include "tests/support/objects_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/model/project_extra.h"

static const char so_pin[] = "so secret", user_pin[] = "user secret";

static struct uid project_uid(struct objects_fixture *fixture)
{
	AUTO(entry_releasep) struct entry *project = zones_find_slot(fixture->zones, 0);

	assert_non_null(project);
	return project->uid;
}

static struct pins pins_now(struct objects_fixture *fixture)
{
	AUTO(entry_releasep) struct entry *project = zones_find_slot(fixture->zones, 0);

	return pins_read(project_extra_pins(project));
}

static enum zone_status write_pins(void *state, struct bytes now, struct buffer *ret_extra)
{
	(void)now;
	buffer_truncate(ret_extra, 0);
	if (state != NULL)
		pins_write(state, ret_extra);
	return ZONE_OK;
}

static void put_pins(struct objects_fixture *fixture, struct pins *pins)
{
	assert_int_equal(zones_project_change_extra(fixture->zones, project_uid(fixture), "PIN set",
						    write_pins, pins),
			 ZONE_OK);
}

/* Of little cost, since many are tried. */
static struct pin cheap(const char *text)
{
	struct pin pin = {.algorithm = PASSWORD_PBKDF2, .cost = 1000};

	assert_true(
		password_verifier(PASSWORD_PBKDF2, 1000, bytes_of(text), pin.salt, pin.verifier));
	return pin;
}

static int both_have_pins(void **state)
{
	struct pins pins = {.of = {[CKU_SO] = cheap(so_pin), [CKU_USER] = cheap(user_pin)}};

	put_pins(*state, &pins);
	return 0;
}

static int nobody_is_there(void **state)
{
	struct objects_fixture *fixture = *state;

	tokens_logout(fixture->tokens, 0);
	put_pins(fixture, NULL);
	return 0;
}

static CK_RV login(struct objects_fixture *fixture, CK_USER_TYPE user, const char *pin)
{
	return tokens_login(fixture->tokens, 0, user, bytes_of(pin));
}

static void restart(struct objects_fixture *fixture)
{
	const struct token_settings settings = {.free_slot = true};

	objects_fixture_close(fixture);
	objects_fixture_open(fixture, &settings);
}

static CK_FLAGS flags_of(struct objects_fixture *fixture)
{
	CK_TOKEN_INFO info;

	assert_int_equal(tokens_info(fixture->tokens, 0, &info), CKR_OK);
	return info.flags & ~(CK_FLAGS)(CKF_RNG | CKF_TOKEN_INITIALIZED);
}

static void only_the_right_pin_lets_in(void **state)
{
	struct objects_fixture *fixture = *state;

	assert_int_equal(flags_of(fixture), CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED);
	assert_false(tokens_private_allowed(fixture->tokens, 0));
	assert_false(tokens_so_allowed(fixture->tokens, 0));
	assert_int_equal(login(fixture, CKU_USER, so_pin), CKR_PIN_INCORRECT);
	assert_int_equal(login(fixture, CKU_USER, ""), CKR_PIN_INCORRECT);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 1);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 0);
	assert_true(tokens_private_allowed(fixture->tokens, 0));
	assert_false(tokens_so_allowed(fixture->tokens, 0));
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	assert_int_equal(login(fixture, CKU_SO, user_pin), CKR_PIN_INCORRECT);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
	assert_false(tokens_private_allowed(fixture->tokens, 0));
	assert_true(tokens_so_allowed(fixture->tokens, 0));
}

static void ten_wrong_ones_lock_for_other_processes_and_after_a_restart(void **state)
{
	struct objects_fixture *fixture = *state;

	for (int i = 0; i < PIN_TRIES; i++) {
		assert_int_equal(flags_of(fixture) & CKF_USER_PIN_FINAL_TRY,
				 i == PIN_TRIES - 1 ? CKF_USER_PIN_FINAL_TRY : 0);
		assert_int_equal(login(fixture, CKU_USER, "wrong one"), CKR_PIN_INCORRECT);
		if (i % 4 == 0)
			restart(fixture);
	}
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_PIN_LOCKED);
	assert_non_null(strstr(log_last(), "sets it anew (C_InitPIN, docs/pin.md)"));
	restart(fixture);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_PIN_LOCKED);
	assert_int_equal(flags_of(fixture) & CKF_USER_PIN_LOCKED, CKF_USER_PIN_LOCKED);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
	assert_int_equal(tokens_init_pin(fixture->tokens, 0, bytes_of("another one")), CKR_OK);
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	assert_int_equal(login(fixture, CKU_USER, "another one"), CKR_OK);
}

static void the_sos_opens_again_after_an_hour(void **state)
{
	struct objects_fixture *fixture = *state;
	struct pins pins = pins_now(fixture);

	pins.of[CKU_SO].failures = PIN_TRIES;
	pins.of[CKU_SO].failed_ms = zones_now_ms(fixture->zones);
	put_pins(fixture, &pins);
	assert_int_equal(flags_of(fixture) & CKF_SO_PIN_LOCKED, CKF_SO_PIN_LOCKED);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_PIN_LOCKED);
	pins.of[CKU_SO].failed_ms -= PIN_SO_WAIT_MS + 1;
	put_pins(fixture, &pins);
	assert_int_equal(login(fixture, CKU_SO, "wrong one"), CKR_PIN_INCORRECT);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_PIN_LOCKED);
	put_pins(fixture, &pins);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
}

static void pins_are_set_by_whoever_may(void **state)
{
	struct objects_fixture *fixture = *state;
	struct tokens *tokens = fixture->tokens;

	assert_int_equal(tokens_init_pin(tokens, 0, bytes_of("new one")), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(tokens_set_pin(tokens, 0, bytes_of("wrong"), bytes_of("new one")),
			 CKR_PIN_INCORRECT);
	assert_int_equal(tokens_set_pin(tokens, 0, bytes_of(user_pin), bytes_of("123")),
			 CKR_PIN_LEN_RANGE);
	assert_int_equal(tokens_set_pin(tokens, 0, bytes_of(user_pin), bytes_of("new one")),
			 CKR_OK);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_PIN_INCORRECT);
	assert_int_equal(login(fixture, CKU_USER, "new one"), CKR_OK);
	assert_int_equal(tokens_init_pin(tokens, 0, bytes_of("new one")), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(tokens_logout(tokens, 0), CKR_OK);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
	assert_int_equal(tokens_set_pin(tokens, 0, bytes_of(so_pin), bytes_of("so anew")), CKR_OK);
	assert_int_equal(tokens_logout(tokens, 0), CKR_OK);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_PIN_INCORRECT);
	assert_int_equal(login(fixture, CKU_SO, "so anew"), CKR_OK);
}

static void without_a_pin_of_its_own_the_user_does_not_get_in(void **state)
{
	struct objects_fixture *fixture = *state;
	struct pins pins = {.of = {[CKU_SO] = cheap(so_pin)}};

	put_pins(fixture, &pins);
	assert_int_equal(flags_of(fixture), CKF_LOGIN_REQUIRED);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_USER_PIN_NOT_INITIALIZED);
	assert_int_equal(tokens_set_pin(fixture->tokens, 0, bytes_of(""), bytes_of("new one")),
			 CKR_PIN_INCORRECT);
}

static enum zone_status write_damage(void *state, struct bytes now, struct buffer *ret_extra)
{
	(void)state;
	(void)now;
	buffer_truncate(ret_extra, 0);
	buffer_put_text(ret_extra, "PIN of tomorrow");
	return ZONE_OK;
}

static void pins_that_can_not_be_read_let_nobody_in(void **state)
{
	struct objects_fixture *fixture = *state;

	assert_int_equal(zones_project_change_extra(fixture->zones, project_uid(fixture), "PIN set",
						    write_damage, NULL),
			 ZONE_OK);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_FUNCTION_FAILED);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_FUNCTION_FAILED);
	assert_false(tokens_private_allowed(fixture->tokens, 0));
	assert_false(tokens_so_allowed(fixture->tokens, 0));
}

static void put_store_away(struct objects_fixture *fixture)
{
	char command[192];

	snprintf(command, sizeof(command), "mv %s/store.db %s/away && mkdir %s/store.db",
		 fixture->folder, fixture->folder, fixture->folder);
	assert_int_equal(system(command), 0);
}

static void bring_store_back(struct objects_fixture *fixture)
{
	char command[192];

	snprintf(command, sizeof(command), "rmdir %s/store.db && mv %s/away %s/store.db",
		 fixture->folder, fixture->folder, fixture->folder);
	assert_int_equal(system(command), 0);
}

static void where_the_store_can_not_be_written_nobody_gets_in_after_a_wrong_one(void **state)
{
	struct objects_fixture *fixture = *state;

	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	put_store_away(fixture);
	assert_int_not_equal(login(fixture, CKU_USER, "wrong one"), CKR_OK);
	assert_int_not_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
	bring_store_back(fixture);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 0);
}

/* The one's do not take the place of the other's. */
static void wrong_ones_that_were_not_written_are_all_counted_later(void **state)
{
	struct objects_fixture *fixture = *state;

	put_store_away(fixture);
	assert_int_not_equal(login(fixture, CKU_USER, "wrong one"), CKR_OK);
	assert_int_not_equal(login(fixture, CKU_SO, "wrong one"), CKR_OK);
	bring_store_back(fixture);
	assert_int_equal(login(fixture, CKU_USER, "wrong one"), CKR_PIN_INCORRECT);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 2);
	assert_int_equal(login(fixture, CKU_SO, "wrong one"), CKR_PIN_INCORRECT);
	assert_int_equal(pins_now(fixture).of[CKU_SO].failures, 1);
}

static CK_RV init(struct objects_fixture *fixture, CK_SLOT_ID slot, const char *pin)
{
	CK_UTF8CHAR label[32];

	memset(label, ' ', sizeof(label));
	memcpy(label, "first", 5);
	return tokens_init(fixture->tokens, slot, bytes_of(pin), label);
}

static void a_used_token_is_initialised_by_its_so_who_keeps_his_pin(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_SLOT_ID *slots = NULL;
	size_t count;

	/* The list of slots counts as having shown the project. */
	restart(fixture);
	assert_int_equal(tokens_list(fixture->tokens, &slots, &count), CKR_OK);
	free(slots);
	assert_int_equal(init(fixture, 0, "wrong one"), CKR_PIN_INCORRECT);
	assert_int_equal(init(fixture, 0, so_pin), CKR_OK);
	assert_int_equal(flags_of(fixture), CKF_LOGIN_REQUIRED);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
	assert_int_equal(tokens_init_pin(fixture->tokens, 0, bytes_of("new one")), CKR_OK);
}

static void a_new_token_has_the_pin_that_it_was_given(void **state)
{
	struct objects_fixture *fixture = *state;
	CK_SLOT_ID *slots = NULL;
	size_t count;

	assert_int_equal(tokens_list(fixture->tokens, &slots, &count), CKR_OK);
	assert_int_equal(init(fixture, slots[count - 1], "123"), CKR_PIN_INCORRECT);
	assert_int_equal(init(fixture, slots[count - 1], "its own"), CKR_OK);
	assert_int_equal(tokens_login(fixture->tokens, slots[count - 1], CKU_SO, bytes_of(so_pin)),
			 CKR_PIN_INCORRECT);
	assert_int_equal(
		tokens_login(fixture->tokens, slots[count - 1], CKU_SO, bytes_of("its own")),
		CKR_OK);
	free(slots);
	/* Another project's PIN is no matter of this one. */
	assert_true(tokens_private_allowed(fixture->tokens, 0));
	assert_true(tokens_so_allowed(fixture->tokens, 0));
}

static void what_concerns_the_whole_store_needs_a_so_where_a_project_has_a_pin(void **state)
{
	struct objects_fixture *fixture = *state;
	const struct object diagnostic = {.kind = OBJECT_DIAGNOSTIC,
					  .flags = OBJECT_TOKEN | OBJECT_MODIFIABLE};
	CK_ATTRIBUTE changes[] = {{CKA_CMEK_MAINTAIN, &(CK_BBOOL){CK_FALSE}, 1},
				  {CKA_CMEK_STORE_LEVEL, (CK_ULONG[]){1, 1}, 2 * sizeof(CK_ULONG)}};
	CK_SLOT_ID *slots = NULL;
	size_t count;

	for (size_t i = 0; i < COUNT_OF(changes); i++)
		assert_int_not_equal(
			edit_change(&fixture->editor, &diagnostic, &changes[i], 1, &(bool){0}),
			CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(tokens_list(fixture->tokens, &slots, &count), CKR_OK);
	assert_int_equal(init(fixture, slots[count - 1], "its own"), CKR_OK);
	free(slots);
	for (size_t i = 0; i < COUNT_OF(changes); i++)
		assert_int_equal(
			edit_change(&fixture->editor, &diagnostic, &changes[i], 1, &(bool){0}),
			CKR_USER_NOT_LOGGED_IN);
}

/* Another process, which has been shown the slots. */
static void open_other(struct objects_fixture *fixture, struct objects_fixture *ret_other)
{
	const struct token_settings settings = {.free_slot = true};
	CK_SLOT_ID *slots = NULL;
	size_t count;

	memset(ret_other, 0, sizeof(*ret_other));
	memcpy(ret_other->folder, fixture->folder, sizeof(ret_other->folder));
	objects_fixture_open(ret_other, &settings);
	assert_int_equal(tokens_list(ret_other->tokens, &slots, &count), CKR_OK);
	free(slots);
}

static void others_lock_the_user_out(struct objects_fixture *fixture)
{
	struct objects_fixture other;
	struct pins pins = pins_now(fixture);

	open_other(fixture, &other);
	pins.of[CKU_USER].failures = PIN_TRIES;
	put_pins(&other, &pins);
	objects_fixture_close(&other);
}

/* So that of many guesses at once no more than the count allows are answered. */
static void a_lock_out_while_a_pin_is_compared_holds_for_it(void **state)
{
	struct objects_fixture *fixture = *state;

	/* One of impossible length is compared and not counted: the last look is before that. */
	fixture->looks = 0;
	assert_int_equal(login(fixture, CKU_USER, "123"), CKR_PIN_INCORRECT);
	fixture->meanwhile_at = fixture->looks;
	fixture->meanwhile = others_lock_the_user_out;
	fixture->looks = 0;
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_PIN_LOCKED);
	assert_true(fixture->looks >= fixture->meanwhile_at);
	fixture->meanwhile = NULL;
}

static CK_OBJECT_HANDLE made(struct objects_fixture *fixture, CK_ATTRIBUTE *rows, CK_ULONG count)
{
	CK_OBJECT_HANDLE handle = 0;

	assert_int_equal(edit_create(&fixture->editor, rows, count, &handle), CKR_OK);
	return handle;
}

/* As a call that reads the store does. */
static void refresh(struct objects_fixture *fixture)
{
	assert_int_equal(zones_refresh(fixture->zones, true), ZONE_OK);
}

static void what_was_found_is_private_from_when_the_project_has_a_pin(void **state)
{
	struct objects_fixture *fixture = *state, other;
	CK_OBJECT_HANDLE key =
		made(fixture,
		     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY), NUMBER_ROW(CKA_KEY_TYPE, CKK_AES),
			  TEXT_ROW(CKA_VALUE, "0123456789abcdef"), BOOL_ROW(CKA_TOKEN, CK_TRUE)));
	AUTO(object_releasep) struct object *found = objects_find(fixture->objects, 0, key);

	assert_true(objects_has(fixture->objects, found));
	open_other(fixture, &other);
	both_have_pins((void *[]){&other});
	objects_fixture_close(&other);
	refresh(fixture);
	assert_false(objects_has(fixture->objects, found));
}

static void certificates_of_a_project_with_a_pin_are_changed_by_its_users(void **state)
{
	struct objects_fixture *fixture = *state;
	struct editor nobody = fixture->editor, user = nobody;
	struct object certificate = {.kind = OBJECT_CERTIFICATE, .flags = OBJECT_TOKEN};

	nobody.private_allowed = nobody.so_allowed = user.so_allowed = false;
	assert_int_equal(editor_allows_object(&nobody, &certificate), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(editor_allows_object(&user, &certificate), CKR_OK);
	certificate.flags |= OBJECT_TRUSTED;
	assert_int_equal(editor_allows_object(&user, &certificate), CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(editor_allows_object(&fixture->editor, &certificate), CKR_OK);
	certificate.owner = FIXTURE_SESSION;
	assert_int_equal(editor_allows_object(&nobody, &certificate), CKR_OK);
}

/* A thread that makes one asked before, and comes to its end after. */
static void a_private_object_that_comes_after_a_logout_goes_again(void **state)
{
	struct objects_fixture *fixture = *state;
	struct editor late = fixture->editor;
	CK_OBJECT_HANDLE handle = 7;

	late.tokens = fixture->tokens;
	assert_int_equal(edit_create(&late,
				     ROWS(NUMBER_ROW(CKA_CLASS, CKO_SECRET_KEY),
					  NUMBER_ROW(CKA_KEY_TYPE, CKK_AES),
					  TEXT_ROW(CKA_VALUE, "0123456789abcdef"),
					  BOOL_ROW(CKA_PRIVATE, CK_TRUE)),
				     &handle),
			 CKR_USER_NOT_LOGGED_IN);
	assert_int_equal(handle, CK_INVALID_HANDLE);
}

static void a_login_is_to_the_project_and_not_to_the_slot(void **state)
{
	struct objects_fixture *fixture = *state, other;

	for (CK_USER_TYPE user = CKU_SO; user <= CKU_USER; user++) {
		both_have_pins(state);
		assert_int_equal(login(fixture, user, user == CKU_SO ? so_pin : user_pin), CKR_OK);
		assert_int_equal(tokens_user(fixture->tokens, 0), user);
		open_other(fixture, &other);
		assert_int_equal(init(&other, 0, so_pin), CKR_OK);
		objects_fixture_close(&other);
		refresh(fixture);
		assert_int_equal(tokens_user(fixture->tokens, 0), TOKEN_LOGGED_OUT);
		assert_false(tokens_private_allowed(fixture->tokens, 0));
		assert_false(tokens_so_allowed(fixture->tokens, 0));
		assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_USER_NOT_LOGGED_IN);
	}
}

static void a_login_to_a_project_that_is_gone_is_in_nobodys_way(void **state)
{
	struct objects_fixture *fixture = *state, other;

	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
	open_other(fixture, &other);
	assert_int_equal(init(&other, 0, so_pin), CKR_OK);
	objects_fixture_close(&other);
	refresh(fixture);
	assert_int_equal(login(fixture, CKU_SO, so_pin), CKR_OK);
	assert_int_equal(tokens_user(fixture->tokens, 0), CKU_SO);
}

static void a_login_by_any_text_ends_once_that_user_has_a_pin(void **state)
{
	struct objects_fixture *fixture = *state, other;

	for (CK_USER_TYPE user = CKU_SO; user <= CKU_USER; user++) {
		put_pins(fixture, NULL);
		assert_int_equal(login(fixture, user, "any text"), CKR_OK);
		open_other(fixture, &other);
		both_have_pins((void *[]){&other});
		objects_fixture_close(&other);
		refresh(fixture);
		assert_int_equal(tokens_user(fixture->tokens, 0), TOKEN_LOGGED_OUT);
		assert_false(tokens_private_allowed(fixture->tokens, 0));
		assert_false(tokens_so_allowed(fixture->tokens, 0));
		assert_int_equal(login(fixture, user, user == CKU_SO ? so_pin : user_pin), CKR_OK);
		assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	}
}

static void whoever_sets_the_pin_himself_stays_logged_in(void **state)
{
	struct objects_fixture *fixture = *state;

	put_pins(fixture, NULL);
	assert_int_equal(login(fixture, CKU_SO, "any text"), CKR_OK);
	assert_int_equal(tokens_set_pin(fixture->tokens, 0, bytes_of("any text"), bytes_of(so_pin)),
			 CKR_OK);
	assert_int_equal(tokens_user(fixture->tokens, 0), CKU_SO);
	assert_int_equal(tokens_init_pin(fixture->tokens, 0, bytes_of(user_pin)), CKR_OK);
}

static void the_user_gets_no_pin_before_the_so_has_one(void **state)
{
	struct objects_fixture *fixture = *state;
	struct pins pins = {.of = {[CKU_USER] = cheap(user_pin)}};

	put_pins(fixture, NULL);
	assert_int_equal(login(fixture, CKU_SO, "any text"), CKR_OK);
	assert_int_equal(tokens_init_pin(fixture->tokens, 0, bytes_of(user_pin)), CKR_PIN_EXPIRED);
	assert_false(pin_is_set(&pins_now(fixture).of[CKU_USER]));
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	/* Nor is one reset by anybody. */
	put_pins(fixture, &pins);
	assert_int_equal(login(fixture, CKU_SO, "any text"), CKR_OK);
	assert_int_equal(tokens_init_pin(fixture->tokens, 0, bytes_of("another")), CKR_PIN_EXPIRED);
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	assert_int_equal(login(fixture, CKU_USER, user_pin), CKR_OK);
}

#define WITH_PINS(test) cmocka_unit_test_setup_teardown(test, both_have_pins, nobody_is_there)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PINS(only_the_right_pin_lets_in),
		WITH_PINS(ten_wrong_ones_lock_for_other_processes_and_after_a_restart),
		WITH_PINS(the_sos_opens_again_after_an_hour),
		WITH_PINS(pins_are_set_by_whoever_may),
		WITH_PINS(without_a_pin_of_its_own_the_user_does_not_get_in),
		WITH_PINS(pins_that_can_not_be_read_let_nobody_in),
		WITH_PINS(where_the_store_can_not_be_written_nobody_gets_in_after_a_wrong_one),
		WITH_PINS(wrong_ones_that_were_not_written_are_all_counted_later),
		WITH_PINS(a_lock_out_while_a_pin_is_compared_holds_for_it),
		WITH_PINS(a_used_token_is_initialised_by_its_so_who_keeps_his_pin),
		WITH_PINS(certificates_of_a_project_with_a_pin_are_changed_by_its_users),
		WITH_PINS(a_private_object_that_comes_after_a_logout_goes_again),
		WITH_PINS(a_login_is_to_the_project_and_not_to_the_slot),
		WITH_PINS(a_login_to_a_project_that_is_gone_is_in_nobodys_way),
		WITH_PINS(a_login_by_any_text_ends_once_that_user_has_a_pin),
		WITH_PINS(whoever_sets_the_pin_himself_stays_logged_in),
		WITH_PINS(the_user_gets_no_pin_before_the_so_has_one),
		cmocka_unit_test(
			what_concerns_the_whole_store_needs_a_so_where_a_project_has_a_pin),
		cmocka_unit_test_teardown(what_was_found_is_private_from_when_the_project_has_a_pin,
					  nobody_is_there),
		cmocka_unit_test_teardown(a_new_token_has_the_pin_that_it_was_given,
					  nobody_is_there),
	};

	return cmocka_run_group_tests(tests, objects_fixture_setup, objects_fixture_teardown);
}
