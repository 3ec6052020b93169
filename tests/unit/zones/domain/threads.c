/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one domain, while another process changes the same store. Run under the thread
 * sanitizer by `make check-all`. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, ROUNDS = 15, STEP_MS = 200, LEASE_MS = 300000 };

struct worker {
	struct zones_fixture *f;
	struct zones *zones;
	int number;
	int failures;
};

static void *make_and_change(void *state)
{
	struct worker *worker = state;
	struct zones *zones = worker->zones;

	for (int i = 0; i < ROUNDS; i++) {
		char label[32], other[32];
		AUTO(entry_releasep) struct entry *zone = NULL;
		AUTO(entry_releasep) struct entry *renamed = NULL;
		AUTO(entry_releasep) struct entry *key = NULL;
		AUTO(ezk_releasep) struct ezk *ezk = NULL;
		struct entry_names names, key_names = names_of("key");

		snprintf(label, sizeof(label), "db-%d-%d", worker->number, i);
		snprintf(other, sizeof(other), "renamed-%d-%d", worker->number, i);
		names = names_of(label);
		if (zones_zone_create(zones, worker->f->project->uid, &names, &zone) != ZONE_OK ||
		    zones_key_create(zones, worker->f->project->uid, zone->of_zone.zone, 0x1f,
				     bytes_of("0123456789abcdef"), &key_names, &key) != ZONE_OK ||
		    ezk_find(zones_registry(zones), zone, EZK_PRIMARY, &ezk) != ZONE_OK ||
		    ezk_begin(ezk) != ZONE_OK) {
			worker->failures++;
			continue;
		}
		names = names_of(other);
		if (zones_entry_rename(zones, zone, &names, &renamed) != ZONE_OK ||
		    zones_entry_delete(zones, renamed) != ZONE_OK ||
		    ezk_begin(ezk) != ZONE_PENDING_DELETION ||
		    zones_entry_delete(zones, key) != ZONE_OK)
			worker->failures++;
	}
	return NULL;
}

struct reader {
	struct zones_fixture *f;
	atomic_bool stop;
	const char *wrong; /* NULL: all is well. Only the test's own thread may assert. */
};

static void *look_around(void *state)
{
	struct reader *reader = state;
	struct zones *zones = reader->f->zones;
	uint64_t seen = 0;
	int64_t advanced = 0;

	while (!reader->stop) {
		AUTO(entry_releasep) struct entry *project = NULL;
		uint64_t generation;

		zones_refresh(zones, false);
		generation = zones_generation(zones);
		if (generation < seen)
			reader->wrong = "an older generation";
		seen = generation;
		project = zones_find_slot(zones, 0);
		if (project == NULL) {
			reader->wrong = "the project is not there";
			break;
		}
		count_entries(zones, project->uid, ENTRY_ZONE, true);
		for (uint64_t number = 1; number < 50; number++) {
			AUTO(entry_releasep)
			struct entry *entry = zones_find_number(zones, number);

			if (entry != NULL && entry->number != number)
				reader->wrong = "another entry than was asked for";
		}
		/* Enough to look at the store again and again; a lease must not end while a thread
		 * that is not given the processor has its question under way. */
		if (advanced < LEASE_MS / 2)
			fake_clock_advance(&reader->f->clock, STEP_MS);
		advanced += STEP_MS;
	}
	return NULL;
}

static void threads_and_processes_do_not_disturb_each_other(void **state)
{
	struct zones_fixture *f = *state;
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct worker workers[THREADS];
	struct reader reader = {.f = f};
	pthread_t threads[THREADS], looking;
	int failures = 0;

	assert_int_equal(pthread_create(&looking, NULL, look_around, &reader), 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){f, i % 2 == 0 ? f->zones : other, i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, make_and_change, &workers[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		failures += workers[i].failures;
	}
	reader.stop = true;
	pthread_join(looking, NULL);
	assert_int_equal(failures, 0);
	assert_null(reader.wrong);
	for (int i = 0; i < 2; i++) {
		struct zones *zones = i == 0 ? f->zones : other;

		assert_int_equal(zones_refresh(zones, true), ZONE_OK);
		assert_int_equal(count_entries(zones, f->project->uid, ENTRY_ZONE, true),
				 THREADS * ROUNDS);
		assert_int_equal(count_entries(zones, f->project->uid, ENTRY_ZONE, false), 0);
		assert_int_equal(count_entries(zones, f->project->uid, ENTRY_KEY, true), 0);
	}
	zones_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(threads_and_processes_do_not_disturb_each_other,
						zones_begin, zones_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
