/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* While one thread waits for a store that others reach over the network, the rest of the process
 * goes on. Whatever waits here waits until the test lets it. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static int begin_in(const struct store_engine *engine, void **state)
{
	memory_rows_begin();
	return zones_begin_in(engine, state);
}

static int begin(void **state)
{
	return begin_in(&memory_store, state);
}

static int begin_hasty(void **state)
{
	return begin_in(&memory_store_hasty, state);
}

static int end(void **state)
{
	zones_end(state);
	memory_rows_end();
	return 0;
}

/* --- A thread that waits */

struct waiter {
	struct zones_fixture *f;
	enum zone_status status;
	pthread_t thread;
};

static void *make_root_key_b(void *state)
{
	struct waiter *waiter = state;

	waiter->status = add_root_key(waiter->f->zones, waiter->f->project->uid, "alias/b", "late");
	return NULL;
}

static void *refresh(void *state)
{
	struct waiter *waiter = state;

	waiter->status = zones_refresh(waiter->f->zones, false);
	return NULL;
}

/* It is at the gate when this returns. */
static void begin_waiting(struct zones_fixture *f, void *(*run)(void *), struct waiter *waiter)
{
	*waiter = (struct waiter){.f = f, .status = ZONE_INVALID};
	memory_close();
	assert_int_equal(pthread_create(&waiter->thread, NULL, run, waiter), 0);
	memory_await(1);
}

static enum zone_status end_waiting(struct waiter *waiter)
{
	memory_open();
	assert_int_equal(pthread_join(waiter->thread, NULL), 0);
	return waiter->status;
}

static void *refresh_now(void *state)
{
	struct waiter *waiter = state;

	waiter->status = zones_refresh(waiter->f->zones, true);
	return NULL;
}

/* Until so many wait for the thread that is at the gate. */
static void await_queue(struct zones_fixture *f, size_t waiting)
{
	struct turn *turn = &f->zones->changing;
	size_t now = 0;

	while (now < waiting) {
		pthread_mutex_lock(&turn->lock);
		now = turn->waiting;
		pthread_mutex_unlock(&turn->lock);
		sched_yield();
	}
}

/* --- What goes on meanwhile */

struct work {
	struct entry *zone;
	struct ezk *ezk;
	uint8_t wrapped[32 + DEK_WRAP_OVERHEAD];
};

static void work_begin(struct zones_fixture *f, struct work *work)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct entry_names names = names_of("db");

	*work = (struct work){0};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &work->zone),
			 ZONE_OK);
	assert_int_equal(ezk_find(zones_registry(f->zones), work->zone, EZK_PRIMARY, &work->ezk),
			 ZONE_OK);
	assert_int_equal(dek_wrap(work->ezk, bytes_of("0123456789abcdef0123456789abcdef"),
				  bytes(NULL, 0), work->wrapped),
			 ZONE_OK);
}

static void work_end(struct work *work)
{
	ezk_release(work->ezk);
	entry_release(work->zone);
}

static void everything_but_the_store_goes_on(struct zones_fixture *f, struct work *work)
{
	uint8_t wrapped[sizeof(work->wrapped)], dek[sizeof(work->wrapped)], key[32];
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(entry_releasep) struct entry *found = zones_find_number(f->zones, work->zone->number);

	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_ptr_equal(found, work->zone);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true), 1);
	assert_int_equal(ezk_find(zones_registry(f->zones), found, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(ezk_key(ezk, EZK_DATA, key), ZONE_OK);
	assert_int_equal(dek_wrap(ezk, bytes_of("0123456789abcdef0123456789abcdef"), bytes(NULL, 0),
				  wrapped),
			 ZONE_OK);
	assert_int_equal(dek_unwrap(ezk, bytes(work->wrapped, sizeof(work->wrapped)),
				    bytes(NULL, 0), dek, NULL),
			 ZONE_OK);
	assert_memory_equal(dek, "0123456789abcdef0123456789abcdef", 32);
}

static void a_write_that_waits_keeps_nobody_else_waiting(void **state)
{
	FIXTURE(state);
	AUTO(work_end) struct work work;
	struct waiter waiter;

	work_begin(f, &work);
	begin_waiting(f, make_root_key_b, &waiter);
	everything_but_the_store_goes_on(f, &work);
	/* Nor when a look is due. */
	fake_clock_advance(&f->clock, MEMORY_LOOK_MS + 1);
	everything_but_the_store_goes_on(f, &work);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 1);
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, true), 2);
}

static void a_look_that_waits_keeps_nobody_else_waiting(void **state)
{
	FIXTURE(state);
	AUTO(work_end) struct work work;
	struct waiter waiter;

	work_begin(f, &work);
	fake_clock_advance(&f->clock, MEMORY_LOOK_MS + 1);
	begin_waiting(f, refresh, &waiter);
	everything_but_the_store_goes_on(f, &work);
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
}

static bool looks_after(struct zones_fixture *f, int64_t ms)
{
	size_t reads;

	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	reads = memory_rows.reads;
	fake_clock_advance(&f->clock, ms);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	return memory_rows.reads > reads;
}

static void processes_that_began_together_do_not_look_in_step(void **state)
{
	FIXTURE(state);
	size_t sooner = 0;

	for (size_t i = 0; i < 64; i++) {
		assert_false(looks_after(f, MEMORY_LOOK_MS - MEMORY_LOOK_MS / 10 - 1));
		sooner += looks_after(f, MEMORY_LOOK_MS - MEMORY_LOOK_MS / 20);
		assert_true(looks_after(f, MEMORY_LOOK_MS));
	}
	assert_in_range(sooner, 1, 63); /* by chance it is not once in 2^63 */
}

/* A look that begins after they came is as good as one of their own. */
static void those_who_wait_for_a_look_share_the_next(void **state)
{
	FIXTURE(state);
	struct waiter waiter, others[4];
	size_t reads = memory_rows.reads;

	fake_clock_advance(&f->clock, MEMORY_LOOK_MS + 1);
	begin_waiting(f, refresh, &waiter);
	for (size_t i = 0; i < COUNT_OF(others); i++) {
		others[i] = (struct waiter){.f = f, .status = ZONE_INVALID};
		assert_int_equal(pthread_create(&others[i].thread, NULL, refresh_now, &others[i]),
				 0);
	}
	await_queue(f, COUNT_OF(others));
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		assert_int_equal(end_waiting(&others[i]), ZONE_OK);
	assert_int_equal(memory_rows.reads, reads + 2);
}

/* Each has a deadline of its own. */
static void a_second_change_does_not_wait_for_ever(void **state)
{
	FIXTURE(state);
	struct waiter waiter;

	begin_waiting(f, make_root_key_b, &waiter);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "a"),
			 ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "another call of this process waits for the store"));
	assert_int_equal(zones_refresh(f->zones, true), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_A, "a"), ZONE_OK);
}

/* --- How often it is asked */

static void the_engine_says_how_often_it_is_asked(void **state)
{
	FIXTURE(state);
	const struct registry_watch watch = registry_watch(zones_registry(f->zones));
	size_t reads = memory_rows.reads;
	uint64_t news = *watch.news;

	for (int i = 0; i < 26; i++) {
		fake_clock_advance(&f->clock, 1000);
		assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
		/* What else is done once a second does not wait for it. */
		assert_true(*watch.news == ++news);
	}
	assert_int_equal(memory_rows.reads, reads);
	fake_clock_advance(&f->clock, 4000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_int_equal(memory_rows.reads, reads + 1);
}

static void what_was_just_made_elsewhere_is_found_by_its_key(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *project = NULL, *root_key = NULL, *zone = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;
	struct entry_names names = names_of("db"), none = names_of(NULL);
	struct store_key key = {.by = STORE_BY_ZONE};
	size_t reads;

	assert_int_equal(zones_project_create(other, 1, bytes_of("theirs"), &project), ZONE_OK);
	assert_int_equal(
		zones_root_key_add(other, project->uid, bytes_of(ROOT_A), &none, &root_key),
		ZONE_OK);
	assert_int_equal(zones_zone_create(other, project->uid, &names, &zone), ZONE_OK);
	reads = memory_rows.reads;
	assert_null(zones_find_zone(f->zones, zone->of_zone.zone));
	key.zone = zone->of_zone.zone;
	assert_int_equal(zones_look_for(f->zones, &key), ZONE_OK);
	found = zones_find_zone(f->zones, zone->of_zone.zone);
	assert_non_null(found);
	assert_string_equal(found->label, "db");
	assert_int_equal(memory_rows.reads, reads);
	assert_int_equal(memory_rows.finds, 1);
	/* The next look brings the rest, and what is known already does no harm. */
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_int_equal(count_entries(f->zones, project->uid, ENTRY_ZONE, true), 1);
	assert_int_equal(count_entries(f->zones, project->uid, ENTRY_CLUSTER, true), 1);
	zones_free(other);
}

static void what_is_nowhere_is_not_asked_for_again_at_once(void **state)
{
	FIXTURE(state);
	const struct bytes label = bytes_of("nowhere");
	const struct store_key keys[] = {
		{.by = STORE_BY_ZONE, .zone = 77},
		{.by = STORE_BY_UID, .uid = {{7}}},
		{.by = STORE_BY_LABEL,
		 .kind = ENTRY_CLUSTER,
		 .project = f->project->uid,
		 .label = label},
	};

	for (size_t i = 0; i < COUNT_OF(keys); i++)
		for (int round = 0; round < 3; round++)
			assert_int_equal(zones_look_for(f->zones, &keys[i]), ZONE_OK);
	assert_int_equal(memory_rows.finds, COUNT_OF(keys));
	fake_clock_advance(&f->clock, 1001);
	assert_int_equal(zones_look_for(f->zones, &keys[0]), ZONE_OK);
	assert_int_equal(memory_rows.finds, COUNT_OF(keys) + 1);
}

/* --- What keeps it from an answer */

static void what_is_known_stays_in_use_whatever_the_reason(void **state)
{
	FIXTURE(state);
	static const enum zone_status faults[] = {ZONE_STORE_UNAVAILABLE, ZONE_STORE_THROTTLED,
						  ZONE_STORE_DENIED, ZONE_STORE_NO_CREDENTIALS};
	AUTO(work_end) struct work work;

	work_begin(f, &work);
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		memory_rows.fault = faults[i];
		fake_clock_advance(&f->clock, MEMORY_LOOK_MS + 1);
		everything_but_the_store_goes_on(f, &work);
		assert_int_equal(zones_refresh(f->zones, true), faults[i]);
		assert_int_equal(add_root_key(f->zones, f->project->uid, "alias/b", NULL),
				 faults[i]);
	}
	memory_rows.fault = ZONE_OK;
	fake_clock_advance(&f->clock, STORE_SILENCE_MAX_MS);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
}

/* --- The end of it */

static void in_the_child(struct zones_fixture *f)
{
	struct zones *zones;
	AUTO(entry_releasep) struct entry *project = NULL;

	zones_abandon(f->zones);
	zones = zones_other(f);
	if (zones_refresh(zones, true) != ZONE_OK)
		child_exit(1);
	project = zones_find_slot(zones, 0);
	if (project == NULL)
		child_exit(2);
	if (add_root_key(zones, project->uid, ROOT_A, "a") != ZONE_OK)
		child_exit(3);
	if (count_entries(zones, project->uid, ENTRY_ROOT_KEY, true) != 1)
		child_exit(4);
	child_exit(0);
}

static void a_child_of_a_process_that_waits_does_not_wait(void **state)
{
	FIXTURE(state);
	struct waiter waiter;
	int status = -1;
	pid_t child;

	begin_waiting(f, make_root_key_b, &waiter);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		in_the_child(f);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
}

/* As C_Finalize does it: when those who are in a call have left. */
static void an_end_comes_after_whoever_waited(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *found = NULL;
	struct waiter waiter;

	begin_waiting(f, make_root_key_b, &waiter);
	memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	assert_int_equal(end_waiting(&waiter), ZONE_STORE_UNAVAILABLE);
	memory_rows.fault = ZONE_OK;
	zones_reopen(f);
	begin_waiting(f, make_root_key_b, &waiter);
	assert_int_equal(end_waiting(&waiter), ZONE_OK);
	zones_reopen(f);
	found = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, "late");
	assert_non_null(found);
}

#define SLOW_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLOW_TEST(a_write_that_waits_keeps_nobody_else_waiting),
		SLOW_TEST(a_look_that_waits_keeps_nobody_else_waiting),
		SLOW_TEST(processes_that_began_together_do_not_look_in_step),
		SLOW_TEST(those_who_wait_for_a_look_share_the_next),
		cmocka_unit_test_setup_teardown(a_second_change_does_not_wait_for_ever, begin_hasty,
						end),
		SLOW_TEST(the_engine_says_how_often_it_is_asked),
		SLOW_TEST(what_was_just_made_elsewhere_is_found_by_its_key),
		SLOW_TEST(what_is_nowhere_is_not_asked_for_again_at_once),
		SLOW_TEST(what_is_known_stays_in_use_whatever_the_reason),
		SLOW_TEST(a_child_of_a_process_that_waits_does_not_wait),
		SLOW_TEST(an_end_comes_after_whoever_waited),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
