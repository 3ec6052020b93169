/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Logins beside others whose wrong PINs a store is slow to take, or does not: who is right does not
 * wait for that, and each wrong one counts. The store is one in memory with a gate. */
#include "objects/pin.h"
#include "base/log.h"
#include "objects/token_private.h"
#include "tests/support/memory_store.h"
#include "tests/support/objects_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/model/project_extra.h"

#include <pthread.h>
#include <sched.h>

static const char so_pin[] = "so secret", user_pin[] = "user secret";

/* Of little cost, since many are tried. */
static struct pin cheap(const char *text)
{
	struct pin pin = {.algorithm = PASSWORD_PBKDF2, .cost = 1000};

	assert_true(
		password_verifier(PASSWORD_PBKDF2, 1000, bytes_of(text), pin.salt, pin.verifier));
	return pin;
}

static enum zone_status write_pins(void *state, struct bytes now, struct buffer *ret_extra)
{
	(void)now;
	buffer_truncate(ret_extra, 0);
	pins_write(state, ret_extra);
	return ZONE_OK;
}

static int begin(void **state)
{
	struct objects_fixture *fixture;
	struct pins pins = {0};
	AUTO(entry_releasep) struct entry *project = NULL;

	memory_rows_begin();
	if (objects_fixture_setup_in(&memory_store, state) != 0)
		return -1;
	fixture = *state;
	pins.of[CKU_SO] = cheap(so_pin);
	pins.of[CKU_USER] = cheap(user_pin);
	project = zones_find_slot(fixture->zones, 0);
	memory_rows.conflicts = 1; /* the first try of each write, after which the rival comes */
	return zones_project_change_extra(fixture->zones, project->uid, "PIN set", write_pins,
					  &pins) == ZONE_OK
		       ? 0
		       : -1;
}

static int end(void **state)
{
	int code = objects_fixture_teardown(state);

	memory_rows_end();
	return code;
}

static struct pins pins_now(struct objects_fixture *fixture)
{
	AUTO(entry_releasep) struct entry *project = zones_find_slot(fixture->zones, 0);

	return pins_read(project_extra_pins(project));
}

static CK_RV login(struct objects_fixture *fixture, const char *pin)
{
	return tokens_login(fixture->tokens, 0, CKU_USER, bytes_of(pin));
}

/* --- Others */

struct other {
	pthread_t thread;
	struct objects_fixture *fixture;
	const char *pin;
	CK_RV rv;
};

static void *log_in(void *state)
{
	struct other *other = state;

	other->rv = login(other->fixture, other->pin);
	return NULL;
}

static void start(struct other *other, struct objects_fixture *fixture, const char *pin)
{
	*other = (struct other){.fixture = fixture, .pin = pin};
	assert_int_equal(pthread_create(&other->thread, NULL, log_in, other), 0);
}

static void close_gate(void *state)
{
	(void)state;
	memory_close();
}

static unsigned under_way(struct objects_fixture *fixture)
{
	return atomic_load(&token_of(fixture->tokens, 0)->under_way[CKU_USER]);
}

/* One that writes, and waits for it with the turn of the store; the rest behind it. */
static void start_wrong(struct objects_fixture *fixture, struct other *others, size_t count)
{
	memory_rows.rival = close_gate;
	start(&others[0], fixture, "wrong one");
	memory_await(1);
	for (size_t i = 1; i < count; i++)
		start(&others[i], fixture, "wrong one");
	while (under_way(fixture) < count)
		sched_yield();
}

static void join_all(struct other *others, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pthread_join(others[i].thread, NULL);
}

/* --- Tests */

/* If it did, it would wait for ever. */
static void the_right_pin_does_not_wait_for_a_wrong_one_to_be_written(void **state)
{
	struct objects_fixture *fixture = *state;
	struct other wrong;

	start_wrong(fixture, &wrong, 1);
	assert_int_equal(login(fixture, user_pin), CKR_OK);
	assert_int_equal(tokens_logout(fixture->tokens, 0), CKR_OK);
	memory_open();
	join_all(&wrong, 1);
	assert_int_equal(wrong.rv, CKR_PIN_INCORRECT);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 1);
}

static void ten_wrong_ones_on_their_way_lock_for_the_right_one(void **state)
{
	struct objects_fixture *fixture = *state;
	struct other wrong[PIN_TRIES];

	start_wrong(fixture, wrong, PIN_TRIES);
	assert_int_equal(login(fixture, user_pin), CKR_PIN_LOCKED);
	memory_open();
	join_all(wrong, PIN_TRIES);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, PIN_TRIES);
	assert_int_equal(login(fixture, user_pin), CKR_PIN_LOCKED);
}

static void those_who_wait_hear_together_that_it_can_not_be_written(void **state)
{
	struct objects_fixture *fixture = *state;
	struct other wrong[5];
	size_t asks = memory_rows.asks;

	start_wrong(fixture, wrong, COUNT_OF(wrong));
	memory_rows.fault = ZONE_STORE_DENIED;
	memory_open();
	join_all(wrong, COUNT_OF(wrong));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_not_equal(wrong[i].rv, CKR_PIN_INCORRECT);
	assert_int_equal(memory_rows.asks, asks + 2);
	/* Nobody gets in before they are counted. */
	memory_rows.fault = ZONE_STORE_READ_ONLY;
	assert_int_not_equal(login(fixture, user_pin), CKR_OK);
	memory_rows.fault = ZONE_OK;
	assert_int_equal(login(fixture, "wrong one"), CKR_PIN_INCORRECT);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, COUNT_OF(wrong) + 1);
	assert_int_equal(login(fixture, user_pin), CKR_OK);
	assert_int_equal(pins_now(fixture).of[CKU_USER].failures, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_right_pin_does_not_wait_for_a_wrong_one_to_be_written),
		TEST(ten_wrong_ones_on_their_way_lock_for_the_right_one),
		TEST(those_who_wait_hear_together_that_it_can_not_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
